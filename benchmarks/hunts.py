"""Whole hunts, as a user runs them: ``python benchmarks/hunts.py``.

Each run is a process of its own, from its start to its end: Python, rules, every event once, the
account. Nothing is warm but the cache of rules, where the lane says so. Beside each run stands a
process that reads the same events and decodes them (``orjson.loads`` a line; ``records_json`` of
the ``evtx`` package and ``orjson.loads`` for EVTX); both take turns, and the best of each counts.

Processor seconds are those of a process and its children, as the system tells them: they hold on a
machine that does other things too, within some per cent. Seconds by the clock are told where
several processes are compared; they need a quiet machine, so the load when they were taken is told.

Lanes:

* ``page``: one analytic over all recorded events, each of them once;
* ``shipped``: the rules that carengine ships, the default; ``stateful``: those of them that look at
  several events;
* ``sigma``: SigmaHQ's Windows rules, from the cache of rules;
* ``unseen``: the same, every text of every event made unique;
* ``heavy``: the same over process creations that match, the matches written as JSON lines;
* ``zip``: the shipped rules over the recordings as they are downloaded;
* ``evtx-…``: one file, put together from the chunks of attack samples: a chunk stands for itself.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tarfile
import tempfile
import time
import zlib
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from attrs import asdict, frozen

import carengine
import data
from measuring import CACHE, ROOT, SOURCE, apart

_PAGE = "CAR-2021-05-012"
_CHUNK = 1 << 16
_BLIND, _REFUSED = 4, 2
_FEW = 60_000
_NUMBERS = (1, 10, 100, 1_000, 2_407, 9_600)
_DECODE = """
import sys, orjson
with open(sys.argv[1], 'rb') as file:
    for line in file:
        orjson.loads(line)
"""
_DECODE_ZIPS = """
import sys, zipfile, orjson
for name in sys.argv[1:]:
    with zipfile.ZipFile(name) as archive:
        for member in archive.namelist():
            if member.endswith('.json') and not member.startswith('__MACOSX'):
                with archive.open(member) as file:
                    for line in file:
                        orjson.loads(line)
"""
_DECODE_EVTX = """
import sys, evtx, orjson
for record in evtx.PyEvtxParser(sys.argv[1]).records_json():
    orjson.loads(record['data'])
"""


@frozen
class Spent:
    """What a process and its children took: processor seconds, seconds by the clock, and the
    largest size of any of them in megabytes."""

    processor: float
    clock: float
    megabytes: float


@frozen
class Lane:
    """One kind of run. ``floor`` is the code that decodes the same events."""

    name: str
    evidence: tuple[str, ...]
    rules: tuple[str, ...]
    events: int
    floor: str = _DECODE
    cached: bool = False
    written: bool = False


@frozen
class Row:
    """A lane as it was measured, with or without the native core, by so many processes."""

    lane: str
    core: bool
    jobs: int
    events: int
    processor: float
    clock: float
    megabytes: float
    floor: float
    load: float

    @property
    def ratio(self) -> float:
        """Processor time over that of decoding."""
        return self.processor / self.floor

    def __str__(self) -> str:
        how = ("core" if self.core else "Python") + (f", {self.jobs} jobs" if self.jobs > 1 else "")
        return (
            f"{self.lane:14} {how:16} {self.events:9,} events {self.processor:7.2f} s CPU "
            f"{self.clock:7.2f} s clock  {self.ratio:5.2f} x decoding ({self.floor:.2f} s)  "
            f"{self.megabytes:4.0f} MB  load {self.load:.0f}"
        )


def spent(command: list[str], **variables: str) -> Spent:
    """Run a process and measure it. Raises ``RuntimeError`` where it fails."""
    with tempfile.TemporaryFile() as told:
        begun = time.perf_counter()
        process = subprocess.Popen(
            command,
            stdout=subprocess.DEVNULL,
            stderr=told,
            env={**os.environ, "PYTHONPATH": str(SOURCE), **variables},
        )
        _, status, used = os.wait4(process.pid, 0)
        clock = time.perf_counter() - begun
        process.returncode = os.waitstatus_to_exitcode(status)
        # A hunt that is blind to what most rules ask for, or without some rules, says so; it was a
        # hunt all the same.
        if process.returncode not in (0, _BLIND, _REFUSED):
            told.seek(0)
            raise RuntimeError(f"{command}: {told.read()[-1000:].decode(errors='replace')}")
    unit = 1 << 20 if sys.platform == "darwin" else 1 << 10
    return Spent(used.ru_utime + used.ru_stime, clock, used.ru_maxrss / unit)


def hunt(lane: Lane, cache: Path, *, core: bool, jobs: int = 1) -> Spent:
    """One hunt of a lane."""
    out = ["-f", "jsonl", "-o", str(cache / "matches.jsonl")] if lane.written else ["-q"]
    rules = [word for path in lane.rules for word in ("-r", path)]
    return spent(
        [
            *(sys.executable, "-m", "carengine", "hunt", *lane.evidence, *rules, *out),
            *("--jobs", str(jobs)),
            *(() if lane.cached else ("--no-cache",)),
        ],
        CARENGINE_CACHE=str(cache),
        CARENGINE_NATIVE="" if core else "0",
    )


def core_is_there() -> bool:
    """Whether the native core is installed."""
    from carengine.engine import native_version

    return native_version() is not None


# Evidence


def lines_file(name: str, make: Callable[[], Iterable[bytes]]) -> Path:
    """A file of lines, made once."""
    path = CACHE / "hunts" / f"{name}.jsonl"
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial")
        with partial.open("wb") as file:
            file.writelines(line + b"\n" for line in make())
        partial.replace(path)
    return path


def chunks_of(folder: Path) -> Iterator[bytes]:
    """The chunks of all EVTX files in a folder and its archives, each once."""
    known: set[bytes] = set()
    for content in _evtx_contents(folder):
        for at in range(4096, len(content) - _CHUNK + 1, _CHUNK):
            chunk = content[at : at + _CHUNK]
            if chunk.startswith(b"ElfChnk\0") and chunk not in known:
                known.add(chunk)
                yield chunk


def _evtx_contents(folder: Path) -> Iterator[bytes]:
    for path in sorted(folder.rglob("*.evtx")):
        yield path.read_bytes()
    for path in sorted(folder.rglob("*.tar.*")):
        with tarfile.open(path) as archive:
            for member in archive:
                stream = archive.extractfile(member) if member.name.endswith(".evtx") else None
                if stream is not None:
                    yield stream.read()


def evtx_file(folder: Path, wanted: int) -> tuple[Path, int]:
    """One EVTX file of about so many records, and how many it has: the chunks of other files, again
    and again."""
    path = CACHE / "hunts" / f"records-{wanted}.evtx"
    path.parent.mkdir(parents=True, exist_ok=True)
    chunks = list(chunks_of(folder))
    counts = [
        int.from_bytes(c[32:40], "little") - int.from_bytes(c[24:32], "little") + 1 for c in chunks
    ]
    number = records = 0
    while records < wanted:
        records += counts[number % len(chunks)]
        number += 1
    if not path.is_file():
        head = bytearray(4096)
        head[:8] = b"ElfFile\0"
        head[16:24] = (number - 1).to_bytes(8, "little")
        head[24:32] = (records + 1).to_bytes(8, "little")
        head[32:36] = (128).to_bytes(4, "little")
        head[36:40] = (1 | 3 << 16).to_bytes(4, "little")
        head[40:42] = (4096).to_bytes(2, "little")
        head[42:44] = min(number, 0xFFFF).to_bytes(2, "little")
        head[124:128] = zlib.crc32(head[:120]).to_bytes(4, "little")
        with path.open("wb") as file:
            file.write(head)
            file.writelines(chunks[place % len(chunks)] for place in range(number))
    return path, records


def _recorded(events: int) -> tuple[str, int]:
    lines = data.lines(events)[:events]
    return str(lines_file(f"recorded-{len(lines)}", lambda: lines)), len(lines)


def _few(events: int) -> list[bytes]:
    lines = data.lines(events)[:events]
    return lines[:: max(1, len(lines) // _FEW)]


def _unseen(events: int) -> tuple[str, int]:
    lines = _few(events)
    return str(lines_file(f"unseen-{len(lines)}", lambda: data.adversarial(lines))), len(lines)


def _heavy(events: int) -> tuple[str, int]:
    lines = data.heavy(_few(events))
    return str(lines_file(f"heavy-{len(lines)}", lambda: lines)), len(lines)


def lanes(events: int, records: int) -> Iterator[Lane]:
    """The lanes that can be run here, with at most so many events and records of EVTX."""
    shipped = str(ROOT / "rules" / "car")
    page = str(ROOT / "rules" / "car" / f"{_PAGE}.car")
    if not Path(page).is_file():
        page = str(min((ROOT / "rules" / "car").glob("CAR-*.car")))
    several = [one.path for one in carengine.load_rules(shipped) if not one.stateless]
    # A rule that runs another one needs it beside it.
    stateful = tuple(rule.path for rule in carengine.load_rules(*several))
    archive = data.sigma_archive()
    sigma = (str(archive),) if archive else (shipped,)
    # What a process was before it became another one counts for its size: this one stays small.
    every, number = apart(lambda: _recorded(events))
    yield Lane("page", (every,), (page,), number)
    yield Lane("shipped", (every,), (shipped,), number)
    yield Lane("stateful", (every,), stateful, number)
    yield Lane("sigma", (every,), sigma, number, cached=True)
    unseen, few = apart(lambda: _unseen(events))
    yield Lane("unseen", (unseen,), sigma, few, cached=True)
    heavy, many = apart(lambda: _heavy(events))
    yield Lane("heavy", (heavy,), sigma, many, cached=True, written=True)
    folder = data.shared()
    if folder is None:
        return
    zips = tuple(map(str, sorted((folder / "mordor").glob("*.zip"))))
    if number >= 200_000:
        yield Lane("zip", zips, (shipped,), number, _DECODE_ZIPS)
    samples = folder / "evtx-attack-samples"
    if records and samples.is_dir():
        path, held = apart(lambda: evtx_file(samples, records))
        for name, rules, cached in (
            ("evtx-page", (page,), False),
            ("evtx-shipped", (shipped,), False),
            ("evtx-sigma", sigma, True),
        ):
            yield Lane(name, (str(path),), rules, held, _DECODE_EVTX, cached)


def rows(
    events: int, records: int, turns: int, jobs: tuple[int, ...] = (1, 2), only: str = ""
) -> Iterator[Row]:
    """Measure every lane: by Python alone, with the core where it is there, in several
    processes."""
    with tempfile.TemporaryDirectory() as name:
        cache = Path(name)
        for lane in lanes(events, records):
            if only and not lane.name.startswith(tuple(only.split(","))):
                continue
            if lane.cached:
                hunt(_short(lane), cache, core=False)
            floor = [sys.executable, "-c", lane.floor, *lane.evidence]
            cores = (False, True) if core_is_there() else (False,)
            ways = [(core, number) for core in cores for number in jobs]
            best: dict[tuple[bool, int], Spent] = {}
            decoded: list[float] = []
            load = 0.0
            for _ in range(turns):
                for way in ways:
                    decoded.append(spent(floor).processor)
                    found = hunt(lane, cache, core=way[0], jobs=way[1])
                    load = max(load, os.getloadavg()[0])
                    before = best.get(way, found)
                    best[way] = Spent(*map(min, zip(_values(found), _values(before), strict=True)))
            for (core, number), took in best.items():
                yield Row(
                    *(lane.name, core, number, lane.events),
                    *_values(took),
                    *(min(decoded), load),
                )


def _values(one: Spent) -> tuple[float, float, float]:
    return one.processor, one.clock, one.megabytes


def _short(lane: Lane) -> Lane:
    """The lane with one event: what fills the cache of rules."""
    path = CACHE / "hunts" / "one.jsonl"
    path.write_bytes(data.made_up(1)[0] + b"\n")
    return Lane(lane.name, (str(path),), lane.rules, 1, cached=True)


# Starting


@frozen
class Start:
    """One event: processor seconds of the whole process, beyond those of Python alone."""

    name: str
    processor: float
    beyond: float

    def __str__(self) -> str:
        return f"{self.name:40} {self.processor:6.2f} s, {self.beyond:6.2f} s more than Python"


def starts(turns: int) -> Iterator[Start]:
    """What starting costs: one rule, the shipped ones, SigmaHQ's, cold and from the cache."""
    event = CACHE / "hunts" / "one.jsonl"
    event.parent.mkdir(parents=True, exist_ok=True)
    event.write_bytes(data.made_up(1)[0] + b"\n")
    shipped = str(ROOT / "rules" / "car")
    one = str(min((ROOT / "rules" / "car").glob("CAR-*.car")))
    archive = data.sigma_archive()
    kinds = [
        ("one rule", one, False),
        ("one rule, cached", one, True),
        ("the shipped rules", shipped, False),
    ]
    kinds.append(("the shipped rules, cached", shipped, True))
    if archive:
        kinds += [("SigmaHQ's rules, cold", str(archive), False)]
        kinds += [("SigmaHQ's rules, cached", str(archive), True)]
    bare = min(spent([sys.executable, "-c", "pass"]).processor for _ in range(turns))
    with tempfile.TemporaryDirectory() as name:
        for told, rules, cached in kinds:
            lane = Lane("start", (str(event),), (rules,), 1, cached=cached)
            hunt(lane, Path(name), core=False)
            took = min(hunt(lane, Path(name), core=False).processor for _ in range(turns))
            yield Start(told, took, took - bare)


# Growth


@frozen
class Growth:
    """Processor seconds of a whole hunt with so many rules, or events of so many bytes."""

    what: str
    number: int
    processor: float
    floor: float
    megabytes: float


def growth(events: int, numbers: Iterable[int]) -> Iterator[Growth]:
    """How a hunt grows with the number of rules (beyond those of SigmaHQ: copies of them under
    other ids, whose texts look for something else) and with the size of events."""
    path, number_of = apart(lambda: _recorded(events))
    floor = spent([sys.executable, "-c", _DECODE, path]).processor
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        texts = dict(_rule_texts(folder / "sigma"))
        names = sorted(texts)
        for number in numbers:
            rules = folder / f"rules{number}"
            rules.mkdir()
            for place in range(number):
                text, again = texts[names[place % len(names)]], place // len(names)
                (rules / f"{place}.yml").write_bytes(_another(text, again) if again else text)
            lane = Lane("growth", (path,), (str(rules),), number_of, cached=True)
            hunt(lane, folder, core=False)
            took = hunt(lane, folder, core=False)
            yield Growth("rules", number, took.processor, floor, took.megabytes)
        lane_rules = (str(folder / "sigma"),)
        for size in (1, 2, 4):
            grown = apart(partial(_grown, events, size))
            mean = grown.stat().st_size // number_of
            lane = Lane("growth", (str(grown),), lane_rules, number_of, cached=True)
            hunt(lane, folder, core=False)
            took = hunt(lane, folder, core=False)
            decoded = spent([sys.executable, "-c", _DECODE, str(grown)]).processor
            yield Growth("bytes an event", mean, took.processor, decoded, took.megabytes)


def _grown(events: int, size: int) -> Path:
    lines = data.lines(events)[:events]
    return lines_file(f"size-{size}-{len(lines)}", lambda: _larger(lines, size))


def _rule_texts(folder: Path) -> Iterator[tuple[str, bytes]]:
    data.write_sigma_rules(folder)
    for path in sorted(folder.glob("*.yml")):
        yield path.stem, path.read_bytes()


def _another(text: bytes, again: int) -> bytes:
    """A rule with another id, whose longer texts look for something else."""
    made = []
    for line in text.split(b"\n"):
        if line.startswith(b"id:"):
            kept, _, tail = line.rpartition(b"-")
            line = kept + b"-%012x" % (int(tail.strip()[:12] or b"0", 16) ^ again)
        elif line.startswith(b"        ") and line.endswith(b"'") and len(line) > 24:
            line = line[:-1] + b"q%d'" % again
        made.append(line)
    return b"\n".join(made)


def _larger(recorded: list[bytes], size: int) -> Iterator[bytes]:
    """Events so many times as large, by fields that no rule asks for."""
    for line in recorded:
        more = b"".join(
            b',"padding%d":"%s"' % (n, b"x" * (len(line) - 20)) for n in range(size - 1)
        )
        yield line[:-1] + more + b"}" if line.endswith(b"}") else line


def measured(
    events: int,
    records: int,
    turns: int,
    growing: int,
    say: Callable[[str], None],
    only: str = "",
    jobs: tuple[int, ...] = (1, 2),
    numbers: tuple[int, ...] = _NUMBERS,
) -> dict[str, Any]:
    """Everything, as plain data."""
    found: dict[str, Any] = {"rows": [], "starts": [], "growth": []}
    if not only or "start" in only:
        for one in starts(max(3, turns)):
            say(str(one))
            found["starts"].append(asdict(one))
    for row in rows(events, records, turns, jobs, only):
        say(str(row))
        found["rows"].append({**asdict(row), "ratio": row.ratio})
    if growing and (not only or "growth" in only):
        for step in growth(growing, numbers):
            say(str(step))
            found["growth"].append(asdict(step))
    return found


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--events", type=int, default=1_000_000, help="all there are by default")
    parser.add_argument("--records", type=int, default=200_000, help="records of the EVTX file")
    parser.add_argument("--turns", type=int, default=1)
    parser.add_argument("--growth", type=int, default=20_000, help="events; 0 for none")
    parser.add_argument(
        "--only", default="", help="lanes that begin with one of these, with commas"
    )
    parser.add_argument(
        "--numbers", default=",".join(map(str, _NUMBERS)), help="numbers of rules, for the growth"
    )
    parser.add_argument("--jobs", type=int, default=2, help="processes at most")
    parser.add_argument("--json", type=Path, help="where the figures go")
    options = parser.parse_args()

    def say(text: str) -> None:
        print(text, flush=True)

    found = measured(
        *(options.events, options.records, options.turns, options.growth, say, options.only),
        tuple(range(1, options.jobs + 1)),
        tuple(map(int, options.numbers.split(","))),
    )
    if options.json:
        options.json.write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    main()
