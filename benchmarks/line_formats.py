"""What reading a log that has a record a line costs.

The measure is what nobody can do without: splitting the text into its lines, and decoding as many
bytes of JSON with `orjson` (the same events as JSON lines). The goal is 1.5. Both are measured in
turns; processor time counts, and the smallest of several turns, because machines are busy. ::

    python benchmarks/line_formats.py                  prints the table
    python benchmarks/line_formats.py --write          writes docs/benchmarks/line-formats.md
"""

from __future__ import annotations

import argparse
import io
import json
import time
from collections.abc import Iterator
from pathlib import Path

import orjson
from attrs import frozen

from carengine import read_events

GOAL = 1.5
PAGE = Path(__file__).parents[1] / "docs" / "benchmarks" / "line-formats.md"

_W3C_HEADER = (
    "#Software: Microsoft Internet Information Services 10.0\n"
    "#Fields: date time s-ip cs-method cs-uri-stem cs-uri-query s-port cs-username c-ip "
    "cs(User-Agent) cs(Referer) sc-status sc-substatus sc-win32-status time-taken\n"
)
_AGENT = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36"
LINES = {
    "access log": (
        "",
        '10.0.{b}.{c} - ann [20/May/2024:07:{m}:{s} +0000] "GET /shop/item/{n}?ref=a{c} HTTP/1.1" '
        f'200 {{n}} "https://example.org/{{c}}" "{_AGENT}"',
    ),
    "error log (Apache)": (
        "",
        "[Mon May 20 07:{m}:{s}.092345 2024] [core:error] [pid {n}:tid 8] "
        "[client 10.0.{b}.{c}:5050] AH00037: Symbolic link not allowed: /var/www/{n}",
    ),
    "error log (nginx)": (
        "",
        '2024/05/20 07:{m}:{s} [error] 7#8: *{n} open() "/var/www/{n}" failed (2: No such file), '
        'client: 10.0.{b}.{c}, server: example.org, request: "GET /{n} HTTP/1.1", host: "x.org"',
    ),
    "W3C (IIS)": (
        _W3C_HEADER,
        "2024-05-20 07:{m}:{s} 10.0.0.5 GET /shop/item/{n}.aspx ref=a{c} 443 - 10.0.{b}.{c} "
        f"{_AGENT.replace(' ', '+')} https://example.org/{{c}} 200 0 0 {{n}}",
    ),
    "CEF": (
        "",
        "CEF:0|Vendor|Firewall|7.{c}|{n}|Connection blocked|5|src=10.0.{b}.{c} spt={n} "
        "dst=192.168.{b}.{c} dpt=443 proto=TCP act=blocked msg=The rule {c} blocked it",
    ),
    "LEEF": (
        "",
        "LEEF:2.0|Vendor|Firewall|7.{c}|{n}|^|src=10.0.{b}.{c}^srcPort={n}^dst=192.168.{b}.{c}"
        "^dstPort=443^proto=TCP^action=blocked^usrName=ann",
    ),
    "key=value": (
        "",
        'date=2024-05-20 time=07:{m}:{s} devname="fw{c}" type="traffic" srcip=10.0.{b}.{c} '
        'srcport={n} dstip=192.168.{b}.{c} dstport=443 action="deny" policyid={c} msg="not allowed"',
    ),
    "syslog": (
        "",
        "<34>1 2024-05-20T07:{m}:{s}Z web{c} sshd {n} - - Failed password for invalid user ann{c} "
        "from 10.0.{b}.{c} port {n} ssh2",
    ),
    "syslog, key=value": (
        "",
        '<189>date=2024-05-20 time=07:{m}:{s} devname="fw{c}" type="traffic" srcip=10.0.{b}.{c} '
        'srcport={n} dstip=192.168.{b}.{c} dstport=443 action="deny" policyid={c}',
    ),
    "plain text": (
        "",
        "2024-05-20 07:{m}:{s},092 ERROR [worker-{c}] org.example.Shop order {n} of 10.0.{b}.{c} "
        "failed: unknown item",
    ),
    "OTLP": (
        "",
        '{{"resourceLogs": [{{"resource": {{"attributes": [{{"key": "host.name", "value": '
        '{{"stringValue": "web{c}"}}}}]}}, "scopeLogs": [{{"scope": {{"name": "app"}}, "logRecords": '
        '[{{"timeUnixNano": "17161908{m}000000000", "severityText": "ERROR", "body": '
        '{{"stringValue": "exec {n} failed"}}, "attributes": [{{"key": "http.status", "value": '
        '{{"intValue": "500"}}}}]}}]}}]}}]}}',
    ),
}
"""For each format what stands before its lines, and a line."""


@frozen
class Figure:
    """A format: its records, and the best seconds of the measure and of reading."""

    name: str
    records: int
    floor: float
    ours: float

    @property
    def ratio(self) -> float:
        """Our time over the measure."""
        return self.ours / self.floor


def log_of(name: str, records: int) -> bytes:
    """A log of a format."""
    head, line = LINES[name]
    rows = [
        line.format(
            n=1000 + n, b=n // 250 % 250, c=n % 250, m=f"{n // 60 % 60:02}", s=f"{n % 60:02}"
        )
        for n in range(records)
    ]
    return (head + "\n".join(rows) + "\n").encode()


def _read(data: bytes) -> int:
    with read_events("-", stdin=io.BytesIO(data)) as reading:
        count = 0
        for _ in reading:
            count += 1
        assert not reading.unreadable
    return count


def _decode(data: bytes, lines: list[bytes]) -> None:
    data.split(b"\n")
    loads = orjson.loads
    for line in lines:
        loads(line)


def figures(records: int = 20_000, rounds: int = 7) -> Iterator[Figure]:
    """The figures of each format."""
    for name in LINES:
        data = log_of(name, records)
        with read_events("-", stdin=io.BytesIO(data)) as reading:
            events = [json.dumps(record.event).encode() for record in reading]
        size, lines = 0, []
        while size < len(data):
            lines.append(events[len(lines) % len(events)])
            size += len(lines[-1]) + 1
        floors, ours = [], []
        for _ in range(rounds):
            start = time.process_time()
            _decode(data, lines)
            middle = time.process_time()
            assert _read(data) == records
            floors.append(middle - start)
            ours.append(time.process_time() - middle)
        yield Figure(name, records, min(floors), min(ours))


def page(found: list[Figure]) -> str:
    """The page."""
    rows = [
        f"| {one.name} | {one.records:,} | {one.ratio:.1f} | {one.records / one.ours:,.0f} | "
        f"{'met' if one.ratio <= GOAL else '**not met**'} |"
        for one in found
    ]
    return "\n".join(
        [
            "# Reading logs that have a record a line",
            "",
            "Generated by `python benchmarks/line_formats.py --write`. The measure is splitting the "
            "text into lines and decoding",
            "as many bytes of JSON lines of the same events with `orjson`; the goal is at most "
            f"{GOAL}. Processor time, in turns,",
            "the smallest of several.",
            "",
            "| format | records | over the measure | records/s | goal |",
            "| --- | ---: | ---: | ---: | --- |",
            *rows,
            "",
            "What is not met is the price of a Python object for each value: `orjson` makes them in "
            "one call for a whole line,",
            "and a reader in Python needs several calls for each line.",
            "",
        ]
    )


def main() -> None:
    """Measure, and print or write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help=f"write {PAGE.name}")
    parser.add_argument("--records", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    text = page(list(figures(options.records, options.rounds)))
    if options.write:
        PAGE.write_text(text, encoding="utf-8")
    else:
        print(text)


if __name__ == "__main__":
    main()
