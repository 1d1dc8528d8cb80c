"""The ways from a line of JSON to the matches of Sigma rules, held to each other over random rules
and logs.

A line that the prefilter lets go undecoded, a line decoded and fed, and the reference that walks each
rule's condition must find the same, event for event; with engines that are new, and with engines
that have learned from thousands of lines. ``CARENGINE_FUZZ=200`` tries that many logs.
"""

from __future__ import annotations

import io
import os
import random
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest

from carengine import read_events
from carengine.diagnostics import Source
from carengine.engine import Engine, Origin, interpret
from carengine.engine.matcher import stages
from carengine.engine.prefilter import prefilter
from carengine.fieldmap import find_maps
from carengine.languages.sigma import read
from carengine.rule import RuleSet, from_drafts
from sigma_lines import Log, correlation, lines, rule

ROUNDS = int(os.environ.get("CARENGINE_FUZZ") or 6)
FIRST = int(os.environ.get("CARENGINE_FUZZ_FIRST") or 0)
NUMBER = 250


def drawn_rules(chance: random.Random, log: Log, stateful: int) -> RuleSet:
    number = chance.choice((5, 30, 60, 120))
    keywords = chance.choice((0.0, 0.0, 0.0, 0.05))
    texts = [rule(chance, place, log, keywords) for place in range(number)]
    ids = [f"r{place:03}" for place in range(number)]
    texts += [correlation(chance, place, ids) for place in range(stateful)]
    drafts, found = read([Source(f"{place}.yml", text) for place, text in enumerate(texts)])
    rules = from_drafts(drafts, diagnostics=found)
    # What pySigma takes no value for, in places drawn blindly, is refused by name.
    assert len(rules) + len(rules.refused) == len(texts)
    return rules


def selective(chance: random.Random, rules: RuleSet, data: bytes, maps: Any) -> RuleSet:
    """The rules without those that match much of a log: where most lines match the prefilter lets them
    pass."""
    share = chance.choice((0.01, 0.01, 0.05, 1.0))
    _, (records, *_, matched, _, _, _) = by_file(Engine(rules, maps), data, prefiltered=False)
    often = {name for name, number in matched.items() if number > share * records}
    return RuleSet(tuple(rule for rule in rules if rule.id not in often), rules.refused)


Outcome = tuple[list[tuple[Any, ...]], Any]


def by_file(engine: Engine, data: bytes, *, prefiltered: bool) -> Outcome:
    """What reading a file gives: matches with their records' numbers, and the account."""
    session = engine.session()
    candidates = session.prefilter.candidates if prefiltered else None
    found: list[tuple[Any, ...]] = []
    with read_events("-", stdin=io.BytesIO(data), candidates=candidates) as reading:
        for record in reading:
            for match in (
                *session.arrived(),
                *session.feed(record.event, Origin(record.source, record.number)),
            ):
                numbers = [e.origin.record for e in match.events if e.origin is not None]
                found.append((match.rule.id, match.output, numbers, match.time))
    for match in (*session.arrived(), *session.flush()):
        numbers = [e.origin.record for e in match.events if e.origin is not None]
        found.append((match.rule.id, match.output, numbers, match.time))
    stats = session.stats
    counts = (reading.records, reading.unreadable, stats.events, stats.kinds, stats.matches)
    return sorted(found, key=repr), (*counts, stats.recognised, stats.late, stats.untimed)


def by_reference(rules: RuleSet, maps: Any, data: bytes) -> list[tuple[Any, ...]]:
    found: list[tuple[Any, ...]] = []
    known: dict[str, list[tuple[str, str]]] = {}
    with read_events("-", stdin=io.BytesIO(data)) as reading:
        for record in reading:
            try:
                key = repr(record.event)
            except RecursionError:
                key = f"deep {record.number}"
            if key not in known:
                known[key] = [
                    (match.rule.id, match.output)
                    for match in interpret(rules, [record.event], maps)
                ]
            found += [(*pair, [record.number]) for pair in known[key]]
    return sorted(found, key=repr)


@pytest.mark.parametrize("seed", range(FIRST, FIRST + ROUNDS))
def test_all_ways_find_the_same(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    chance = random.Random(seed)
    if seed % 2:
        # Learns at once, forgets often, remembers little.
        for name, values in (
            ("_FIRST_REVIEW", (1, 8)),
            ("_MOST_VALUES", (4, 100)),
            ("_MOST_CANDIDATES", (4, 100)),
            ("_LOOK_AT", (4, 100)),
            ("_TRY_AGAIN", (4, 100)),
            ("_CLEAN_BYTES", (1_000, 100_000)),
            ("_MOST_REFUSED", (1, 20)),
            ("_PAYS", (0, 2)),
        ):
            monkeypatch.setattr(prefilter, name, chance.choice(values))
        monkeypatch.setattr(stages, "_FIRST_REVIEW", chance.choice((8, 64)))
        monkeypatch.setattr(stages, "_WORTH_A_MEMO", chance.choice((1, 4)))
    stateful = chance.choice((0, 0, 3))
    log = Log(chance)
    rules = drawn_rules(chance, log, stateful)
    maps = find_maps(chance.choice(("windows", "auto")))
    data = b"\n".join(lines(chance, NUMBER, log)) + b"\n"
    more = b"\n".join(lines(chance, NUMBER, log)) + b"\n"
    rules = selective(chance, rules, data, maps)
    expected = by_file(Engine(rules, maps), data, prefiltered=False)
    if not stateful:
        single = [found[:3] for found in expected[0]]
        assert single == by_reference(rules, maps, data)
    engine = Engine(rules, maps)
    for turn in range(3):
        # The second time it has learned from these lines, the third time from others besides.
        assert by_file(engine, data, prefiltered=True) == expected, turn
        if turn == 1:
            by_file(engine, more, prefiltered=True)
    assert by_file(engine, data, prefiltered=False) == expected


def test_sessions_in_several_threads() -> None:
    chance = random.Random(7000)
    log = Log(chance)
    rules = drawn_rules(chance, log, 0)
    maps = find_maps("windows")
    logs = [b"\n".join(lines(chance, 60, log)) + b"\n" for _ in range(4)]
    expected = [by_file(Engine(rules, maps), data, prefiltered=False) for data in logs]
    interval = sys.getswitchinterval()
    # Another thread goes on after every few instructions.
    sys.setswitchinterval(1e-6)
    try:
        for _ in range(5):
            engine = Engine(rules, maps)
            with ThreadPoolExecutor(len(logs)) as threads:
                found = threads.map(partial(by_file, engine, prefiltered=True), logs)
                assert list(found) == expected
    finally:
        sys.setswitchinterval(interval)
