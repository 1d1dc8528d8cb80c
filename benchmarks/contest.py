"""carengine and its peers on the same rules and events: ``python benchmarks/contest.py``.

Each contestant runs in a process and an environment of its own, on one core, from lines of JSON to
pairs of an event's number and a rule's id (see ``peers/protocol.py``). The events are a sample in
random order, the same for all, so that those that a slow contestant has time for are a fair part of
them. carengine's rate is taken before and after the others, and its better one counts, as theirs
would.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from attrs import asdict, field, frozen

import carengine
import data
from environments import NOT_HERE, PEERS, Peer, UnavailableError, interpreter
from measuring import CACHE, ROOT, SOURCE

SCRIPTS = ROOT / "benchmarks" / "peers"
SEARCHED = 30_000
NUMBERS = (1, 10, 100, 1_000_000)

Pair = tuple[int, str]
Say = Callable[[str], None]


@frozen
class Outcome:
    """What one contestant did with a number of rules.

    ``seen`` events were matched (``timed`` of them in ``core`` seconds); ``pairs`` is what it
    found. ``refused`` and ``failed`` name rules it did not take or could not run, ``raised`` what
    it broke off at, with the reasons. ``peak`` is its size in megabytes. Where it did not run,
    ``reason`` says why.
    """

    name: str
    wanted: int
    reason: str = ""
    version: str = ""
    rules: int = 0
    seen: int = 0
    timed: int = 0
    core: float = 0.0
    load: float = 0.0
    peak: float = 0.0
    pairs: frozenset[Pair] = frozenset()
    refused: dict[str, str] = field(factory=dict)
    failed: dict[str, str] = field(factory=dict)
    raised: dict[Pair, str] = field(factory=dict)
    raised_number: int = 0

    @property
    def rate(self) -> float:
        """Events a second of one core; 0 where it did not run."""
        return self.timed / self.core if self.core else 0.0


@frozen
class Field:
    """What all contestants are given: lines in a file, Sigma rules by id, and EQL for those that
    can be said in it.

    The first ``compared`` lines are for comparing matches, the rest for speed.
    """

    lines: Path
    compared: int
    events: int
    rules: dict[str, Path]
    eql: dict[str, Path]
    eql_refused: dict[str, str]
    sigma_refused: tuple[str, ...]

    def some(self, wanted: int) -> list[str]:
        """So many rule ids, evenly from all: one is from the middle."""
        names = sorted(self.rules)
        wanted = min(wanted, len(names))
        return [names[(2 * place + 1) * len(names) // (2 * wanted)] for place in range(wanted)]


def prepare(folder: Path, events: int, searched: int = SEARCHED) -> Field:
    """Write the lines and the rules into a folder.

    The lines to compare on are looked for among so many.
    """
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    _, refused = data.write_sigma_rules(folder / "sigma")
    loaded = carengine.load_rules(folder / "sigma")
    rules = {rule.id: Path(rule.path) for rule in loaded}
    lines = data.lines(max(events, searched))
    compared = _telling(lines, carengine.Engine(loaded))
    random.Random(1).shuffle(lines)
    lines = compared + lines[:events]
    path = folder / "lines.jsonl"
    path.write_bytes(b"".join(line + b"\n" for line in lines))
    fields = sorted({name for line in lines for name in json.loads(line)})
    (folder / "eql").mkdir()
    eql: dict[str, Path] = {}
    unsaid: dict[str, str] = {}
    for number, rule in enumerate(loaded):
        try:
            made = carengine.translate(rule, "eql", "windows.flat", present=fields, recognise=False)
        except carengine.CarError as error:
            unsaid[rule.id] = error.diagnostics[0].message
            continue
        eql[rule.id] = folder / "eql" / f"{number}.eql"
        eql[rule.id].write_text(made.queries[0].text, encoding="utf-8")
    return Field(path, len(compared), len(lines), rules, eql, unsaid, tuple(refused))


# Of the lines that tell contestants apart, so many for each rule; and lines that are made to match.
_OF_EACH_RULE = 3
_HEAVY = 50


def _telling(lines: list[bytes], engine: carengine.Engine) -> list[bytes]:
    """Lines to compare matches on: some for each rule that matches, and one of each kind of event."""
    chosen: dict[bytes, None] = {}
    rules: Counter[str] = Counter()
    kinds: set[tuple[object, ...]] = set()
    session = engine.session()
    for line in [*lines, *data.heavy(lines)[:_HEAVY]]:
        names = [match.rule.id for match in session.feed_line(line)]
        event = json.loads(line)
        kind = tuple(str(event.get(name)) for name in ("Channel", "EventID"))
        if kind not in kinds or any(rules[name] < _OF_EACH_RULE for name in names):
            chosen[line] = None
        kinds.add(kind)
        rules.update(names)
    return list(chosen)


def ours(given: Field, wanted: int, seconds: float) -> Outcome:
    """carengine's own turn."""
    return _run("carengine", Path(sys.executable), "run_carengine.py", given, wanted, None, seconds)


def theirs(peer: Peer, given: Field, wanted: int, seconds: float) -> Outcome:
    """A peer's turn."""
    try:
        python = interpreter(peer)
    except UnavailableError as error:
        return Outcome(peer.name, wanted, reason=str(error))
    return _run(peer.name, python, peer.script, given, wanted, peer.batch, seconds)


def _run(
    name: str,
    python: Path,
    script: str,
    given: Field,
    wanted: int,
    batch: int | None,
    seconds: float,
) -> Outcome:
    chosen = given.some(wanted)
    files, refused = given.rules, {}
    if script == "run_eql.py":
        files = given.eql
        refused = {
            rule: f"no EQL: {given.eql_refused[rule]}" for rule in chosen if rule not in files
        }
    CACHE.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as place:
        job, answer = Path(place) / "job.json", Path(place) / "answer.json"
        told: dict[str, Any] = {
            "rules": {rule: str(files[rule]) for rule in chosen if rule in files},
            "lines": str(given.lines),
            "compared": given.compared,
            "events": given.events if batch is None else min(given.compared + batch, given.events),
            "seconds": seconds,
            "cache": str(CACHE),
            "answer": str(answer),
        }
        job.write_text(json.dumps(told), encoding="utf-8")
        environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
        if name == "carengine":
            environment["PYTHONPATH"] = str(SOURCE)
        try:
            done = subprocess.run(
                [str(python), str(SCRIPTS / script), str(job)],
                capture_output=True,
                text=True,
                env=environment,
                timeout=600,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return Outcome(name, len(chosen), reason="did not finish within ten minutes")
        if done.returncode or not answer.exists():
            said = (done.stderr.strip().splitlines() or ["no reason was given"])[-1]
            return Outcome(name, len(chosen), reason=f"failed: {said[:200]}")
        found: dict[str, Any] = json.loads(answer.read_text(encoding="utf-8"))
    return Outcome(
        name,
        len(chosen),
        version=found["version"],
        rules=found["rules"],
        seen=found["events"],
        timed=found["timed"],
        core=found["core"],
        load=found["load"],
        peak=found["peak"],
        pairs=frozenset((event, rule) for event, rule in found["pairs"]),
        refused=refused | found["refused"],
        failed=found["failed"],
        raised={(event, rule): reason for event, rule, reason in found["raised"]},
        raised_number=found["raised_number"],
    )


def contest(
    given: Field,
    numbers: Sequence[int],
    seconds: float,
    peers: Sequence[Peer] = PEERS,
    say: Say = print,
) -> Iterator[Outcome]:
    """All contestants with each number of rules. What could not run has a reason."""
    gone: dict[str, str] = {}
    for wanted in dict.fromkeys(min(number, len(given.rules)) for number in numbers):
        first = ours(given, wanted, seconds)
        for peer in peers:
            if peer.name in gone:
                yield Outcome(peer.name, wanted, reason=gone[peer.name])
                continue
            begun = time.monotonic()
            found = theirs(peer, given, wanted, seconds)
            if found.reason:
                gone[peer.name] = found.reason
            say(f"{told(found)}  ({time.monotonic() - begun:.0f} s)")
            yield found
        second = ours(given, wanted, seconds)
        better = max(first, second, key=lambda found: found.rate)
        say(told(better))
        yield better


def told(found: Outcome) -> str:
    """An outcome in one line."""
    if found.reason:
        return f"{found.name:20} {found.wanted:5} rules: {found.reason}"
    return (
        f"{found.name:20} {found.wanted:5} rules, {found.rules:5} taken, {len(found.failed):4} fail"
        f" {found.rate:12,.0f} events/s of {found.timed:6} load {found.load:7.1f} s"
        f" {found.peak:6.0f} MB {len(found.pairs):7} pairs, {found.raised_number} raised"
    )


def as_json(found: Outcome) -> dict[str, Any]:
    """An outcome as plain data."""
    made = asdict(found, recurse=False)
    made["pairs"] = sorted(found.pairs)
    made["raised"] = [[*pair, reason] for pair, reason in sorted(found.raised.items())]
    return made


def from_json(made: dict[str, Any]) -> Outcome:
    """What `as_json` wrote."""
    pairs = frozenset((event, rule) for event, rule in made["pairs"])
    raised = {(event, rule): reason for event, rule, reason in made["raised"]}
    return Outcome(**{**made, "pairs": pairs, "raised": raised})


def main() -> None:
    """Print what each contestant did."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--seconds", type=float, default=5.0, help="of matching, for each")
    parser.add_argument("--rules", type=int, nargs="*", default=NUMBERS)
    parser.add_argument("--peers", nargs="*", default=[peer.name for peer in PEERS])
    options = parser.parse_args()
    say = partial(print, flush=True)
    given = prepare(CACHE / "field", options.events)
    print(
        f"{given.compared} + {given.events - given.compared} events, {len(given.rules)} rules, {len(given.eql)} of them in EQL"
    )
    peers = [peer for peer in PEERS if peer.name in options.peers]
    outcomes = list(contest(given, options.rules, options.seconds, peers, say))
    (CACHE / "outcomes.json").write_text(json.dumps([as_json(found) for found in outcomes]))
    for name, reason in NOT_HERE.items():
        print(f"{name:20} {reason}")


if __name__ == "__main__":
    main()
