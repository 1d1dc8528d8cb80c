"""How ``carengine hunt --jobs`` scales: ``python benchmarks/cores.py``.

Two files of lines are hunted with one job and with two, turn by turn, and so is the first of them
alone. The whole run counts, and the difference: in that is neither starting nor what is learned of
the events at first. Both jobs have to write the same matches in the same order. Rules are compiled
before (``carengine compile``). Lines are real ones where there are any; when all have been used
they come again as those of another site, with other hosts, users and accounts.

Seconds are those of a clock, since that is what a second core is for: on a machine that does other
things they say little, and processor seconds, which are told as well, say what two jobs do twice.
Where ``hunt`` has no ``--jobs``, that is told.
"""

from __future__ import annotations

import argparse
import filecmp
import itertools
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from attrs import frozen

import carengine
import data
from measuring import SOURCE

# Where real lines name hosts, users and accounts.
_NAMES = re.compile(rb'S-1-5-21-\d{3}|Users\\\\+[A-Za-z][\w.]*|"Hostname":"\w+')
_MOST_AT_ONCE = 200_000


@frozen
class Row:
    """So many jobs: seconds of both files and of the first, by the clock and of all processors, and
    lines a second of the second."""

    jobs: int
    lines: int
    megabytes: float
    whole: float
    half: float
    whole_processor: float
    half_processor: float

    @property
    def rate(self) -> float:
        """Lines a second, once it runs."""
        return self.lines / 2 / max(self.whole - self.half, 1e-9)

    def __str__(self) -> str:
        return (
            f"--jobs {self.jobs}: {self.lines:,} lines, {self.megabytes:,.0f} MB, in {self.whole:.1f} s"
            f" (processors {self.whole_processor:.1f} s); second half {self.whole - self.half:.1f} s"
            f" ({self.whole_processor - self.half_processor:.1f} s), {self.rate:,.0f} lines/s"
        )


@frozen
class _Spent:
    """Seconds of a run, by the clock and of all processors."""

    clock: float
    processor: float


def made(lines: int) -> Iterator[bytes]:
    """So many lines; the second time they are those of another site, and so on."""
    once = data.lines(min(lines, _MOST_AT_ONCE))
    for number, line in enumerate(itertools.islice(itertools.cycle(once), lines)):
        site = number // len(once)
        yield _NAMES.sub(rb"\g<0>%d" % site, line) if site else line


def available() -> bool:
    """Whether ``hunt`` has ``--jobs``."""
    said = _carengine("hunt", "--help")
    if said.returncode:
        raise RuntimeError(f"hunt does not run: {said.stderr[-1000:]}")
    return "--jobs" in said.stdout


def rows(lines: int, turns: int, jobs: tuple[int, ...] = (1, 2)) -> list[Row]:
    """Measure; nothing where there is no ``--jobs``."""
    if not available():
        return []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = [folder / "first.jsonl", folder / "second.jsonl"]
        _write(files, lines)
        megabytes = sum(path.stat().st_size for path in files) / 1e6
        engine = folder / "rules.engine"
        rules = data.sigma_archive() or carengine.shipped_rules()
        _checked(_carengine("compile", "-r", str(rules), "-o", str(engine)))
        best: dict[tuple[int, int], _Spent] = {}
        for _ in range(turns):
            for parts in (1, 2):
                for number in jobs:
                    spent = _run(files[:parts], engine, number, folder / f"found{number}")
                    before = best.get((number, parts), spent)
                    best[number, parts] = _Spent(
                        min(before.clock, spent.clock), min(before.processor, spent.processor)
                    )
                for number in jobs[1:]:
                    first, other = folder / f"found{jobs[0]}", folder / f"found{number}"
                    if not filecmp.cmp(first, other, shallow=False):
                        raise RuntimeError(f"{number} jobs find something else than {jobs[0]}")
    return [
        Row(
            number,
            lines,
            megabytes,
            best[number, 2].clock,
            best[number, 1].clock,
            best[number, 2].processor,
            best[number, 1].processor,
        )
        for number in jobs
    ]


def _write(files: list[Path], lines: int) -> None:
    """So many lines, divided among the files."""
    every = made(lines)
    for number, path in enumerate(files):
        with path.open("wb") as file:
            share = lines * (number + 1) // len(files) - lines * number // len(files)
            file.writelines(line + b"\n" for line in itertools.islice(every, share))


def _run(paths: list[Path], engine: Path, jobs: int, found: Path) -> _Spent:
    before = os.times()
    begun = time.perf_counter()
    _checked(
        _carengine(
            *("hunt", *map(str, paths), "--engine", str(engine), "--jobs", str(jobs)),
            *("-f", "jsonl", "-o", str(found), "-q"),
        )
    )
    clock = time.perf_counter() - begun
    after = os.times()
    return _Spent(
        clock,
        after.children_user + after.children_system - before.children_user - before.children_system,
    )


def _checked(done: subprocess.CompletedProcess[str]) -> None:
    if done.returncode:
        raise RuntimeError(f"carengine failed: {done.stderr[-1000:]}")


def _carengine(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "carengine", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
    )


def show(say: Callable[[str], None], lines: int, turns: int) -> list[Row]:
    """Measure, and say each row."""
    found = rows(lines, turns)
    for row in found:
        say(str(row))
    if not found:
        say("carengine hunt has no --jobs")
    return found


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lines", type=int, default=1_600_000)
    parser.add_argument("--turns", type=int, default=2)
    options = parser.parse_args()
    show(print, options.lines, options.turns)


if __name__ == "__main__":
    main()
