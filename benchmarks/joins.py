"""How fast a join is, beside the filters that feed it, and whether its memory stays flat.

    python benchmarks/joins.py [EVENTS_OF_EACH_SIDE] [--write]

Two streams of Sysmon events, connections and process starts, are joined on two keys (host, process)
within a second. They are spread over a day. In one run few find a partner, by chance; in a second
run one event in three does. The filters alone and the join see the same events in turns, chunk by
chunk, in processor time, so that whatever else the machine does slows both. ``--write`` puts the
result into docs/benchmarks/joins.md.
"""

from __future__ import annotations

import argparse
import gc
import os
import platform
import random
import resource
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from carengine import Engine, StreamOptions, parse_rule
from carengine.values import format_time

FILTERS = """\
processes = search Process:Create
flows = search Flow:Start
service = filter processes where parent_exe = "services.exe"
remote = filter flows where dest_port >= 1024
"""
ALONE = FILTERS + "output service, remote"
JOINED = (
    FILTERS
    + """\
pairs = join (remote, service) where (
  remote.hostname = service.hostname and remote.pid = service.ppid and
  remote.time < service.time < remote.time + 1 second)
output pairs"""
)
DAY = 86_400_000_000
START = 1_714_521_600_000_000
CHUNK = 10_000
HOSTS, PROCESSES = 200, 50
PAGE = Path(__file__).parents[1] / "docs" / "benchmarks" / "joins.md"


def events(each: int, share: float, seed: int = 1) -> Iterator[dict[str, Any]]:
    """Both sides in the order of time; every event passes its filter.

    ``share`` of the process starts, at least, follow a connection of their parent within a second.
    """
    chance = random.Random(seed)
    step = DAY / (2 * each)
    moment = START
    computer = process = ""
    for number in range(2 * each):
        last = moment
        moment = START + round(number * step + chance.random() * step)
        if number % 2 and chance.random() < share:
            # Of the host and process before it, and soon enough.
            moment = min(moment, last + 1 + chance.randrange(999_998))
        else:
            computer = f"host{chance.randrange(HOSTS)}.corp.example"
            process = str(chance.randrange(PROCESSES))
        common = {
            "Channel": "Microsoft-Windows-Sysmon/Operational",
            "Computer": computer,
            "UtcTime": format_time(moment).replace("T", " ").removesuffix("Z"),
            "ProcessGuid": f"{{{chance.getrandbits(64):016x}}}",
        }
        if number % 2:
            yield common | {
                "EventID": 1,
                "ProcessId": str(chance.randrange(65_000)),
                "ParentProcessId": process,
                "Image": r"C:\Windows\System32\svc.exe",
                "ParentImage": r"C:\Windows\System32\services.exe",
                "CommandLine": f"svc.exe -k {chance.randrange(1000)}",
                "User": r"NT AUTHORITY\SYSTEM",
            }
        else:
            yield common | {
                "EventID": 3,
                "ProcessId": process,
                "Image": r"C:\Windows\System32\services.exe",
                "SourceIp": "10.0.0.7",
                "SourcePort": "50111",
                "DestinationIp": "10.0.0.8",
                "DestinationPort": "49666",
                "Protocol": "tcp",
            }


def chunks(each: int, share: float = 0.0) -> Iterator[list[dict[str, Any]]]:
    """The events in lists, made before the clock runs."""
    part: list[dict[str, Any]] = []
    for event in events(each, share):
        part.append(event)
        if len(part) == CHUNK:
            yield part
            part = []
    if part:
        yield part


def memory() -> float:
    """The memory of this process in MiB, now; the most so far where the system does not tell."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / (1 << 20)
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 10)


def measure(
    each: int, share: float
) -> tuple[float, float, int, list[tuple[float, int, int, float]]]:
    """Processor seconds of the filters and of the join, pairs found, and the memory curve.

    A point of the curve: hours of the day, rows held, estimated bytes held, MiB of the process.
    """
    alone = Engine([parse_rule(ALONE)], "sysmon").session()
    joined = Engine([parse_rule(JOINED)], "sysmon").session(StreamOptions(lateness="1 second"))
    spent_alone = spent_joined = 0.0
    pairs = fed = 0
    curve: list[tuple[float, int, int, float]] = []
    gc.collect()
    gc.freeze()
    for part in chunks(each, share):
        started = time.process_time()
        for event in part:
            alone.feed(event)
        between = time.process_time()
        for event in part:
            pairs += len(joined.feed(event))
        ended = time.process_time()
        spent_alone += between - started
        spent_joined += ended - between
        fed += len(part)
        if fed * 24 // (2 * each) > (fed - len(part)) * 24 // (2 * each):
            curve.append((24 * fed / (2 * each), *joined.held, memory()))
    pairs += len(joined.flush())
    return spent_alone, spent_joined, pairs, curve


def report(each: int) -> str:
    """The measurement as Markdown."""
    return "\n".join(
        [
            "# Joins",
            "",
            f"`python benchmarks/joins.py {each}`, Python {platform.python_version()}, one core, processor time.",
            "",
            f"{each:,} events of each side over a day, joined on two keys within a second. What is held is looked at after",
            "every hour of the day.",
            "",
            *_part("Few pairs", each, 0.0),
            "",
            *_part("One event in three finds a partner", each, 1 / 3),
            "",
        ]
    )


def _part(title: str, each: int, share: float) -> list[str]:
    spent_alone, spent_joined, pairs, curve = measure(each, share)
    total = 2 * each
    lines = [
        f"## {title}",
        "",
        f"{pairs:,} pairs. The join runs at **{spent_alone / spent_joined:.2f}** of the speed of its filters.",
        "",
        "| | events/s | µs an event |",
        "| --- | ---: | ---: |",
        f"| the two filters alone | {total / spent_alone:,.0f} | {spent_alone / total * 1e6:.1f} |",
        f"| the join, filters included | {total / spent_joined:,.0f} | {spent_joined / total * 1e6:.1f} |",
        "",
        "| hour | rows held | estimated KiB held | MiB of the process |",
        "| ---: | ---: | ---: | ---: |",
    ]
    for hour, rows, size, process in curve:
        lines.append(f"| {hour:.0f} | {rows:,} | {size / 1024:,.0f} | {process:.0f} |")
    return lines


def main() -> None:
    """Measure, and show or write what came out."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("each", nargs="?", type=int, default=1_000_000)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    text = report(options.each)
    print(text)
    if options.write:
        PAGE.parent.mkdir(parents=True, exist_ok=True)
        PAGE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
