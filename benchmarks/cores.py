"""How ``carengine hunt --jobs`` scales: ``python benchmarks/cores.py``.

A file of lines is hunted with one job and with two, turn by turn, and so is half of it; what counts is the
difference, so that neither starting nor reading rules nor what is compiled at first is in it. Seconds are those of a clock, since that is what a
second core is for: on a machine that does other things they say little. Where ``hunt`` has no ``--jobs``, that is told.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from attrs import frozen

import carengine
import data
from measuring import SOURCE


@frozen
class Row:
    """So many jobs: seconds of the whole file and of its first half, and lines a second of the second."""

    jobs: int
    lines: int
    whole: float
    half: float

    @property
    def rate(self) -> float:
        """Lines a second, once it runs."""
        return self.lines / 2 / max(self.whole - self.half, 1e-9)

    def __str__(self) -> str:
        return f"--jobs {self.jobs}: {self.lines:,} lines in {self.whole:.1f} s, {self.rate:,.0f} lines/s"


def available() -> bool:
    """Whether ``hunt`` has ``--jobs``."""
    said = _hunt("--help")
    if said.returncode:
        raise RuntimeError(f"hunt does not run: {said.stderr[-1000:]}")
    return "--jobs" in said.stdout


def rows(lines: int, turns: int, jobs: tuple[int, ...] = (1, 2)) -> list[Row]:
    """Measure; nothing where there is no ``--jobs``."""
    if not available():
        return []
    with tempfile.TemporaryDirectory() as folder:
        whole, half = Path(folder) / "whole.jsonl", Path(folder) / "half.jsonl"
        once = data.lines(min(lines, 60_000))
        with whole.open("wb") as file, half.open("wb") as first:
            for number in range(lines):
                line = once[number % len(once)] + b"\n"
                file.write(line)
                if number < lines // 2:
                    first.write(line)
        best: dict[tuple[int, Path], float] = {}
        for _ in range(turns):
            for number in jobs:
                for path in (whole, half):
                    begun = time.perf_counter()
                    done = _run(path, number, Path(folder) / "found")
                    spent = time.perf_counter() - begun
                    if done.returncode:
                        raise RuntimeError(f"hunt failed: {done.stderr[-1000:]}")
                    key = (number, path)
                    best[key] = min(best.get(key, spent), spent)
    return [Row(number, lines, best[number, whole], best[number, half]) for number in jobs]


def _run(path: Path, jobs: int, found: Path) -> subprocess.CompletedProcess[str]:
    rules = data.sigma_archive() or carengine.shipped_rules()
    return _hunt(
        str(path), "-r", str(rules), "--jobs", str(jobs), "-f", "jsonl", "-o", str(found), "-q"
    )


def _hunt(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "carengine", "hunt", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
    )


def show(say: Callable[[str], None], lines: int, turns: int) -> list[Row]:
    """Measure, and say each row."""
    made = rows(lines, turns)
    for row in made:
        say(str(row))
    if not made:
        say("carengine hunt has no --jobs")
    return made


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lines", type=int, default=400_000)
    parser.add_argument("--turns", type=int, default=2)
    options = parser.parse_args()
    show(print, options.lines, options.turns)


if __name__ == "__main__":
    main()
