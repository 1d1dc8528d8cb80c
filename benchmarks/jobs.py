"""One process against several, over a large file: ``python benchmarks/jobs.py [LINES] [JOBS] [TURNS]``.

The file is made of `data.lines`, again and again; the rules are SigmaHQ's, as carengine reads them, or without the shared data the
shipped ones. Runs take turns, each in a process of its own that has loaded the rules before the clock starts. Beside the time on the
wall, which others on the machine change, the processors' time is told, of the process that was started and of its others.
"""

from __future__ import annotations

import gc
import os
import resource
import statistics
import sys
import tarfile
import tempfile
import time
from functools import partial
from pathlib import Path

import carengine
import data
from carengine.cli.results import line_of
from carengine.engine import Engine
from carengine.parallel import Hunting


def processor(who: int) -> float:
    """The processor time so far, in seconds."""
    used = resource.getrusage(who)
    return used.ru_utime + used.ru_stime


def rules(folder: Path) -> Path | None:
    """SigmaHQ's rules unpacked, or None for the shipped ones."""
    shared = data.shared()
    archive = None if shared is None else shared / "sigma" / "sigmahq-rules-windows.tar.gz"
    if archive is None or not archive.exists():
        return None
    with tarfile.open(archive) as found:
        found.extractall(folder / "rules", filter="data")
    return folder / "rules"


def turn(engine: Path, evidence: Path, out: Path, jobs: int) -> tuple[float, float, float, int]:
    """One run: seconds on the wall, of this processor, of the others', and the number of events."""
    loaded = Engine.load(engine)
    gc.freeze()
    started, own = time.monotonic(), processor(resource.RUSAGE_SELF)
    with (
        open(out, "wb") as target,
        Hunting(loaded, [evidence], jobs=jobs, render=partial(line_of, raw=True)) as run,
    ):
        run.run(target.write)
        events = run.session.account.events
    return (
        time.monotonic() - started,
        processor(resource.RUSAGE_SELF) - own,
        processor(resource.RUSAGE_CHILDREN),
        events,
    )


def apart(engine: Path, evidence: Path, out: Path, jobs: int) -> tuple[float, float, float, int]:
    """`turn` in a process of its own."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        found = turn(engine, evidence, out, jobs)
        os.write(writing, repr(found).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        wall, own, others, events = pipe.read().strip("()").split(", ")
    os.waitpid(child, 0)
    return float(wall), float(own), float(others), int(events)


def main(wanted: int = 1_000_000, jobs: int = 2, turns: int = 5) -> None:
    """Measure, and print a table."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        evidence, engine = folder / "x.jsonl", folder / "rules.engine"
        lines = data.lines(200_000)
        with open(evidence, "wb") as file:
            for number in range(wanted):
                file.write(lines[number % len(lines)].rstrip(b"\n") + b"\n")
        Engine(carengine.load_rules(rules(folder) or carengine.shipped_rules())).save(engine)
        print(f"{wanted:,} lines, {evidence.stat().st_size:,} bytes\n")
        print("| processes | wall, s | own processor, s | others', s | load |")
        print("| ---: | ---: | ---: | ---: | ---: |")
        taken: dict[int, list[float]] = {1: [], jobs: []}
        written: dict[int, bytes] = {}
        for _ in range(turns):
            for number in taken:
                out = folder / f"out.{number}"
                wall, own, others, events = apart(engine, evidence, out, number)
                assert events == wanted
                taken[number].append(wall)
                written[number] = out.read_bytes()
                load = os.getloadavg()[0]
                print(
                    f"| {number} | {wall:.2f} | {own:.2f} | {others:.2f} | {load:.1f} |", flush=True
                )
        assert written[1] == written[jobs]
        ratios = sorted(a / b for a, b in zip(taken[1], taken[jobs], strict=True))
        print(
            f"\nratios {', '.join(f'{r:.2f}' for r in ratios)}; median {statistics.median(ratios):.2f}"
        )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
