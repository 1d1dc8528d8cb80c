"""What every contestant has in common: the job it is given, and what it says afterwards.

A contestant is a script that calls `serve` with a function that loads rules and gives back a
`Loaded`. It is run as ``python run_NAME.py JOB.json``, where the job names the rules, the lines,
and where the answer goes. It runs on one core, in the environment of its own library, so that
nothing but the standard library is used here.

The first ``compared`` lines are matched by everyone, untimed. Of those behind, a contestant that
takes events one by one is warmed by the first half, or by as many as it has time for in so many
seconds, and timed over the rest for as many seconds, so that a slow one sees fewer events. One that
takes all at once is given as many as the job says. What is timed is from lines of JSON to numbers
of events and ids of rules.
"""

from __future__ import annotations

import itertools
import json
import os
import resource
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Pair = tuple[int, str]
One = Callable[[int, bytes], Iterable[str]]
"""From an event's number and line to the ids of the rules that match it."""
Several = Callable[[int, list[bytes]], Iterable[Pair]]
"""The same for some lines, the number of the first being given, to pairs."""
Many = Callable[[Path, int, int], Iterable[Pair]]
"""From a file of lines, the first that counts and the first that does not to all pairs."""

# How many single failures are told; all are counted.
_TOLD = 200_000


@dataclass
class Loaded:
    """A contestant that has its rules.

    One of ``one``, ``several`` and ``many`` matches, ``several`` so many lines ``at_once``.
    ``refused`` says which rules it did not take, and why; ``failed`` which it took and could not
    run, filled while it matches. ``raised`` are pairs of an event and a rule where it broke off
    with an error, with the error.
    """

    version: str
    rules: int
    one: One | None = None
    several: Several | None = None
    at_once: int = 16
    many: Many | None = None
    refused: dict[str, str] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    raised: list[tuple[int, str, str]] = field(default_factory=list)
    load: float | None = None
    """Processor seconds of loading, where that is not what this process spent on it."""
    core: float | None = None
    """Processor seconds of matching, where that is not what this process spent on it."""
    peak: float | None = None
    """The largest size in megabytes, where that is not this process's."""


@dataclass
class Rules:
    """The rules of a job: files by rule id. ``cache`` is a folder that outlives the run, ``work``
    one that does not."""

    files: dict[str, Path]
    cache: Path
    work: Path


def serve(load: Callable[[Rules], Loaded]) -> None:
    """Do the job that the command line names."""
    job: dict[str, Any] = json.loads(Path(sys.argv[1]).read_text())
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    files = {key: Path(path) for key, path in job["rules"].items()}
    rules = Rules(files, Path(job["cache"]), Path(job["answer"]).parent)
    begun = time.process_time()
    loaded = load(rules)
    spent = time.process_time() - begun if loaded.load is None else loaded.load
    lines = Path(job["lines"])
    if loaded.many is not None:
        told = _all(loaded, loaded.many, lines, job["compared"], job["events"])
    else:
        told = _each(loaded, lines, job["compared"], job["events"], job["seconds"])
    told |= {
        "version": loaded.version,
        "python": ".".join(map(str, sys.version_info[:3])),
        "rules": loaded.rules,
        "load": spent,
        "refused": loaded.refused,
        "failed": loaded.failed,
        "raised": loaded.raised[:_TOLD],
        "raised_number": len(loaded.raised),
        "peak": peak() if loaded.peak is None else loaded.peak,
    }
    Path(job["answer"]).write_text(json.dumps(told))


def _all(loaded: Loaded, many: Many, path: Path, compared: int, events: int) -> dict[str, Any]:
    pairs = list(many(path, 0, compared)) if compared else []
    begun = time.process_time()
    pairs += many(path, compared, events)
    spent = time.process_time() - begun if loaded.core is None else loaded.core
    return {"events": events, "timed": events - compared, "core": spent, "pairs": pairs}


def _each(loaded: Loaded, path: Path, compared: int, events: int, seconds: float) -> dict[str, Any]:
    several = loaded.several or _one_by_one(loaded)
    pairs: list[Pair] = []
    begun = started = time.process_time()
    seen = warm = 0
    half = (compared + events) // 2
    with path.open("rb") as file:
        while seen < events:
            edge = compared if seen < compared else half if seen < half else events
            lines = list(itertools.islice(file, min(edge - seen, loaded.at_once)))
            if not lines:
                break
            pairs += several(seen, lines)
            seen += len(lines)
            if seen == compared:
                begun = time.process_time()
            elif seen > compared:
                now = time.process_time()
                if warm:
                    if now - started > seconds:
                        break
                elif now - begun > seconds or seen >= half:
                    warm, started = seen, time.process_time()
        spent = time.process_time() - started
    return {"events": seen, "timed": seen - warm, "core": spent, "pairs": pairs}


def _one_by_one(loaded: Loaded) -> Several:
    one = loaded.one
    assert one is not None
    return lambda first, lines: [
        (number, rule) for number, line in enumerate(lines, first) for rule in one(number, line)
    ]


def peak() -> float:
    """The largest size that this process had, in megabytes.

    Where there is ``/proc``: what `resource` says counts the process that started this one, too.
    """
    try:
        status = Path("/proc/self/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) / 1e3
    except (OSError, IndexError):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


def why(error: BaseException) -> str:
    """An error in one short line."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}"[:160]
