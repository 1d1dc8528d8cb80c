"""What reading costs, against the library that decodes the format, and in memory.

``python benchmarks/reading.py`` prints for each format the time of the library alone, ours, and
their ratio; the goal is 1.3. Then a long stream is generated and read (``--gigabytes 10`` for the
long test), and the process's largest size is shown. Times are the processor's, and the fastest of
several runs counts, because machines are busy.
"""

from __future__ import annotations

import argparse
import gzip
import io
import json
import resource
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import orjson

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from attrs import frozen

from carengine import read_events
from evidence_forms import EVENTS
from evtx_writer import evtx_of

ROUNDS = 9


@frozen
class Row:
    """A format: its records, and the best seconds of the library that decodes it and of carengine's
    reading."""

    name: str
    records: int
    library: float
    ours: float

    @property
    def ratio(self) -> float:
        """Our time over the library's."""
        return self.ours / self.library

    def __str__(self) -> str:
        return (
            f"{self.name:14} {self.records:8,} records  library {self.library:6.3f} s"
            f"  ours {self.ours:6.3f} s  ratio {self.ratio:4.2f}"
            f"  {self.records / self.ours:10,.0f} records/s"
        )


def flat_event(number: int) -> dict[str, object]:
    """An event of the size that Sysmon's are on average, with a text that does not compress away."""
    return {
        "@timestamp": f"2024-05-01T10:{number // 60 % 60:02}:{number % 60:02}.500Z",
        "EventID": 1 + number % 26,
        "Channel": "Microsoft-Windows-Sysmon/Operational",
        "Hostname": f"web{number % 97}.example.org",
        "Image": f"C:\\Program Files\\App {number % 1013}\\app.exe",
        "CommandLine": f'"C:\\Program Files\\App\\app.exe" --job {number:x} --out "D:\\data\\{number}"',
        "ProcessGuid": f"{{a158f72c-2ef4-5db5-0000-{number:012x}}}",
        "ProcessId": 1000 + number % 5000,
        "User": "CORP\\ann",
        "Message": "Process Create:\r\n" + f"ProcessId: {number}\r\nImage: C:\\app.exe\r\n" * 20,
    }


def _library_json(path: Path) -> int:
    number = 0
    with path.open("rb") as file:
        for line in file:
            orjson.loads(line)
            number += 1
    return number


def _library_zip(path: Path) -> int:
    number = 0
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            with archive.open(name) as member:
                for line in member:
                    orjson.loads(line)
                    number += 1
    return number


def _library_gzip(path: Path) -> int:
    number = 0
    with gzip.open(path) as file:
        for line in file:
            orjson.loads(line)
            number += 1
    return number


def _library_evtx(path: Path) -> int:
    from evtx import PyEvtxParser

    number = 0
    for record in PyEvtxParser(str(path), number_of_threads=1).records_json():
        orjson.loads(record["data"])
        number += 1
    return number


def _ours(path: Path) -> int:
    with read_events(path) as reading:
        number = 0
        for _ in reading:
            number += 1
        assert not reading.unreadable
        return number


def _compare(
    name: str, data: bytes, library: Callable[[Path], int], folder: Path, rounds: int
) -> Row:
    path = folder / "content"
    path.write_bytes(data)
    theirs, ours = [], []
    for _ in range(rounds):
        start = time.process_time()
        expected = library(path)
        middle = time.process_time()
        assert _ours(path) == expected
        theirs.append(middle - start)
        ours.append(time.process_time() - middle)
    return Row(name, expected, min(theirs), min(ours))


class _Stream(io.RawIOBase):
    """A stream of events without an end of its own, made as it is read."""

    def __init__(self, size: int) -> None:
        self.left = size
        # Made once: what is measured is reading.
        self.block = b"".join(json.dumps(flat_event(n)).encode() + b"\n" for n in range(4096))
        self.at = 0

    def readable(self) -> bool:
        return True

    def read1(self, size: int = -1) -> bytes:
        if self.left <= 0:
            return b""
        piece = self.block[self.at : self.at + size]
        self.at = (self.at + len(piece)) % len(self.block)
        self.left -= len(piece)
        return piece


def _stream(gigabytes: float) -> None:
    start = time.process_time()
    with read_events("-", stdin=_Stream(int(gigabytes * 1e9))) as reading:
        number = sum(1 for _ in reading)
    seconds = time.process_time() - start
    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"a stream of {gigabytes:g} GB: {number:,} records in {seconds:.0f} s "
        f"({gigabytes * 1e3 / seconds:,.0f} MB/s), largest size of the process {largest:,.0f} MiB"
    )


def rows(records: int = 40_000, rounds: int = ROUNDS) -> Iterator[Row]:
    """Each format, with about so many records."""
    lines = b"".join(json.dumps(flat_event(n)).encode() + b"\n" for n in range(records))
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.json", lines)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        yield _compare("JSON lines", lines, _library_json, place, rounds)
        yield _compare("zip", packed.getvalue(), _library_zip, place, rounds)
        yield _compare("gzip", gzip.compress(lines), _library_gzip, place, rounds)
        evtx = evtx_of(EVENTS * max(records // 4, 1))
        yield _compare("EVTX", evtx, _library_evtx, place, rounds)


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gigabytes", type=float, default=1.0, help="of the stream (default: 1)")
    parser.add_argument("--stream-only", action="store_true", help="only the stream and its memory")
    options = parser.parse_args()
    if not options.stream_only:
        for row in rows():
            print(row)
    _stream(options.gigabytes)


if __name__ == "__main__":
    main()
