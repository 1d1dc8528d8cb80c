"""Translations are run: SQL by DuckDB and SQLite, EQL by the eql package, Sigma by our own reader.

Conditions, hostile values included, are compared with the reference evaluator for all three truth values; rules on their own
examples and on real logs with the engine. ``CARENGINE_ALL_EVIDENCE=1`` (``make verify-translations``) takes all archives.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import carengine
from carengine import ir
from carengine.diagnostics import Block, CarError, Severity
from carengine.engine import Engine
from carengine.engine.relational import interpret_streams
from carengine.evaluate import Alone, RawRow, holds
from carengine.fieldmap import find_maps, unwrap
from carengine.foreign import as_rule, native_map, read
from carengine.pattern import Pattern
from carengine.readers import read_events
from carengine.rule import Rule
from carengine.translate import Translation, translate
from carengine.translate.lowered import Log
from carengine.translate.model import Findings, Untranslatable
from carengine.translate.sql.dialects import DIALECTS
from carengine.translate.sql.plans import Plans
from running import DuckDB, SQLite, columns_of, numbers_in, run_eql
from strategies import _REGEXES, _WORDS, PATTERNS, connected
from strategies import some as examples

SHARED = Path(__file__).parents[1].parent / "shared"
ALL = bool(os.environ.get("CARENGINE_ALL_EVIDENCE"))
LARGEST = 4_000_000 if ALL else 15_000
ARCHIVES = [
    path
    for path in sorted((SHARED / "mordor").glob("*.zip"))
    if path.stat().st_size < LARGEST and "syslog" not in path.name
]
RULES = carengine.load_rules(carengine.shipped_rules())
[FLAT] = find_maps("sysmon.flat")
[CAR] = find_maps("car")
# What Sysmon's events in these archives can have, of what rules ask for.
PRESENT = frozenset(
    [
        "Channel",
        "CommandLine",
        "CurrentDirectory",
        "DestinationIp",
        "DestinationPort",
        "Details",
        "EventID",
        "EventType",
        "GrantedAccess",
        "CallTrace",
        "Hashes",
        "Hostname",
        "Image",
        "ImageLoaded",
        "IntegrityLevel",
        "Message",
        "ParentCommandLine",
        "ParentImage",
        "ParentProcessId",
        "ProcessId",
        "Signature",
        "SourceImage",
        "SourceIp",
        "SourcePort",
        "StartFunction",
        "TargetFilename",
        "TargetImage",
        "TargetObject",
        "User",
        "UtcTime",
    ]
)
TABLES: dict[str, type[DuckDB] | type[SQLite]] = {"duckdb": DuckDB, "sqlite": SQLite}
Event = Mapping[str, Any]


# Conditions


NAMES = ("a", "b", "c")
EMPTY = st.sampled_from([(), ("-", ""), ("-",)])
RAWS = st.builds(lambda name, empty: ir.Raw((name,), empty), st.sampled_from(NAMES), EMPTY)
ODD = [
    "%",
    "_",
    "a%b",
    "a_b",
    "'",
    '"',
    "''",
    "\\'",
    "^",
    "1e5",
    "inf",
    "nan",
    "0x",
    "+5",
    "5.",
    "1.50",
    "000445",
]


def words(*, ascii_only: bool) -> st.SearchStrategy[str]:
    """Texts that a table can hold: no lone surrogates, no null characters."""
    known = [w for w in _WORDS if "\ud800" not in w and (w.isascii() or not ascii_only)]
    most = 126 if ascii_only else None
    return st.one_of(
        st.sampled_from([*known, *ODD]),
        st.text("aA.ex\\*?[] 0%_'\"^-+1", max_size=10),
        st.text(
            st.characters(min_codepoint=1, max_codepoint=most, exclude_categories=["Cs"]),
            max_size=6,
        ),
    )


def conditions(*, regexes: bool) -> st.SearchStrategy[ir.Condition]:
    """Conditions that both kinds of dialects can say; with ``regexes`` those that need them as well."""
    functions = [
        "basename",
        "dirname",
        "extension",
        "domain_of",
        "user_of",
        "label",
        "qualified",
        "hive",
    ]
    if regexes:
        functions += ["lower", "unescape"]
    calls = st.one_of(
        st.builds(lambda f, raw: ir.Call(f, (raw,)), st.sampled_from(functions), RAWS),
        st.builds(lambda a, b: ir.Call("first", (a, b)), RAWS, RAWS),
        st.builds(lambda a, b: ir.Call("account", (a, b)), RAWS, RAWS),
        st.builds(
            lambda a, b: ir.Call(
                "choose", (a, ir.Constant("a.exe"), ir.Constant("x"), ir.Constant("445"), b, a)
            ),
            RAWS,
            RAWS,
        ),
    )
    values = st.one_of(RAWS, RAWS, calls)
    texts = st.sampled_from([p for p in PATTERNS if regexes or p.isascii()])
    patterns = st.lists(
        st.builds(Pattern, texts | words(ascii_only=not regexes), st.booleans()),
        min_size=1,
        max_size=3,
    ).map(tuple)
    constants = st.builds(
        ir.Constant, st.sampled_from([0, 1, 445, 4.5, -1, "a.exe", "445", "x'y", True])
    )
    relations = st.sampled_from(tuple(ir.Relation))
    types = st.sampled_from((ir.Type.TEXT, ir.Type.INTEGER, ir.Type.NUMBER, ir.Type.ANY))
    compared = st.sampled_from((ir.Type.TEXT, ir.Type.NUMBER, ir.Type.ANY))
    atoms: list[st.SearchStrategy[ir.Condition]] = [
        st.builds(ir.Match, values, patterns),
        st.builds(ir.Match, values, patterns),
        st.builds(ir.IsNull, values),
        st.builds(ir.Compare, values, relations, constants, types),
        st.builds(ir.Compare, RAWS, relations, RAWS, compared),
        st.builds(ir.Occurs, RAWS, RAWS),
        st.builds(ir.Truth, st.sampled_from([True, False, None])),
    ]
    if regexes:
        networks = st.sampled_from([("10.0.0.0/8",), ("10.0.0.7",), ("192.168.4.0/22",)])
        atoms.append(st.builds(ir.Regex, values, st.sampled_from(_REGEXES), st.booleans()))
        atoms.append(st.builds(ir.InNetwork, RAWS, networks))
    return st.recursive(st.one_of(atoms), connected, max_leaves=5)


def check(target: str, condition: ir.Condition, events: Sequence[Event]) -> None:
    findings = Findings("rule", target)
    writer = Plans(DIALECTS[target], findings, Log(FLAT), "events").over_events()
    try:
        exact, plain = writer.condition(condition, exact=True), writer.condition(condition)
    except Untranslatable:
        return
    notes = " ".join(note.message for note in findings.found)
    table = TABLES[target](events, NAMES)
    rows = table.query(f"SELECT event_id, {exact} AS v, {plain} AS w FROM events ORDER BY event_id")
    for row, event in zip(rows, events, strict=True):
        verdict = holds(condition, RawRow(event), Alone())
        told = None if row["v"] is None else bool(row["v"])
        foreign = any(not value.isascii() for value in event.values() if value)
        if ("outside ASCII" in notes and foreign) or "hexadecimal" in notes:
            continue
        assert told is verdict, (event, exact)
        assert bool(row["w"]) == (verdict is True), (event, plain)


def events_of(*, ascii_only: bool) -> st.SearchStrategy[list[Event]]:
    texts = words(ascii_only=ascii_only) | st.none()
    event = st.fixed_dictionaries({}, optional=dict.fromkeys(NAMES, texts))
    return st.lists(event, min_size=4, max_size=8)


@settings(examples(100), deadline=None, suppress_health_check=list(HealthCheck))
@given(conditions(regexes=True), events_of(ascii_only=False))
def test_conditions_in_duckdb(condition: ir.Condition, events: list[Event]) -> None:
    check("duckdb", condition, events)


@settings(examples(100), deadline=None, suppress_health_check=list(HealthCheck))
@given(conditions(regexes=False), events_of(ascii_only=True))
def test_conditions_in_sqlite(condition: ir.Condition, events: list[Event]) -> None:
    check("sqlite", condition, events)


TIMES = [
    *(
        "2024-05-20T07:41:12.518Z",
        "2024-05-20 07:41:12",
        "2024-05-20 07:41:12.123456",
        "1716190872",
    ),
    *(
        "2024-05-20T07:41:12+02:00",
        "1716190872518",
        "1716190872.5",
        "",
        "x",
        "2024-13-01T00:00:00Z",
    ),
]


@pytest.mark.parametrize("target", ["duckdb", "sqlite"])
def test_times(target: str) -> None:
    raw = ir.Raw(("a",), (), ir.Type.TIME)
    events: list[Event] = [{"a": text} for text in TIMES]
    for relation in ir.Relation:
        for moment in (1_716_190_872_518_000, 1_716_190_872_000_000, 1_716_183_672_000_000):
            check(target, ir.Compare(raw, relation, ir.Moment(moment), ir.Type.TIME), events)


# Rules


def translated(
    rule: Rule, target: str, fieldmap: Any, events: Sequence[Event]
) -> Translation | None:
    """A rule in a language for the fields that events have; None where it is refused by name."""
    present = {name for event in events for name in columns_of(unwrap(event))}
    try:
        return translate(rule, target, fieldmap, present=present)
    except CarError as error:
        codes = {d.code.id for d in error.diagnostics if d.severity is Severity.ERROR}
        assert codes <= {"CE901", "CE904"}
        return None


def plain(value: Any) -> Any:
    """A column's value as text, lists as lists, whatever the product has them as."""
    if isinstance(value, str) and value.startswith("["):
        value = json.loads(value)
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value if value is None else f"{value:.6f}" if isinstance(value, float) else str(value)


def compare_state(rule: Rule, target: str, fieldmap: Any, events: Sequence[Event]) -> int:
    """Compare a rule's query with the reference over finished data; how many rows agreed."""
    made = translated(rule, target, fieldmap, events)
    if made is None:
        return 0
    numbers = {id(event): number for number, event in enumerate(events)}
    matches = interpret_streams([rule], events, [fieldmap])
    table = TABLES[target](events, made.fields)
    for query in made.queries:
        wanted = [match for match in matches if match.output == query.output]
        rows = table.query(query.text)
        if rows and "event_count" in rows[0]:
            names = list(wanted[0].fields) if wanted else []
            found = Counter(repr([[plain(r[n]) for n in names], r["event_count"]]) for r in rows)
            expected = Counter(
                repr([[plain(m.fields[n]) for n in names], len(m.events)]) for m in wanted
            )
            assert found == expected
        elif rows and "group_number" in rows[0]:
            groups: dict[Any, list[int]] = {}
            for row in rows:
                key = tuple(
                    v for n, v in row.items() if n.startswith("key_") or n == "group_number"
                )
                groups.setdefault(key, []).append(row["event_id"])
            assert Counter(tuple(sorted(g)) for g in groups.values()) == Counter(
                tuple(sorted(numbers[id(e.event)] for e in m.events)) for m in wanted
            )
        else:
            assert numbers_in(rows) == Counter(
                tuple(numbers[id(e.event)] for e in m.events) for m in wanted
            )
    return len(matches)


@pytest.mark.parametrize("target", ["duckdb", "sqlite"])
def test_rules_with_state_on_their_examples(target: str) -> None:
    agreed = 0
    for rule in RULES:
        if not rule.stateless:
            events = [dict(event) for example in rule.examples for event in example.events]
            agreed += compare_state(rule, target, CAR, events)
    assert agreed > 20


@pytest.mark.parametrize("target", ["duckdb", "sqlite"])
def test_rules_without_state_on_their_examples(target: str) -> None:
    rules = [rule for rule in RULES if rule.stateless]
    events = [dict(e) for rule in rules for example in rule.examples for e in example.events]
    assert compare_single(rules, target, CAR, events) > 150


def compare_single(
    rules: Sequence[Rule], target: str, fieldmap: Any, events: Sequence[Event]
) -> int:
    """Compare queries with the engine, event by event; how many matches agreed."""
    numbers = {id(event): number for number, event in enumerate(events)}
    wanted: dict[tuple[str, str], Counter[tuple[Any, ...]]] = {}
    for match in Engine(rules, fieldmap=fieldmap).run(events):
        counts = wanted.setdefault((match.rule.id, match.output), Counter())
        counts[numbers[id(match.events[0].event)],] += 1
    made = [m for rule in rules if (m := translated(rule, target, fieldmap, events)) is not None]
    assert made
    found: dict[tuple[str, str], Counter[tuple[Any, ...]]] = {}
    if target in TABLES:
        table = TABLES[target](events, {name for m in made for name in m.fields})
        for translation in made:
            for query in translation.queries:
                found[translation.rule, query.output] = numbers_in(table.query(query.text))
    else:
        found = run_eql(made, events)
    assert found.keys() == {(m.rule, query.output) for m in made for query in m.queries}
    for name, counts in found.items():
        assert counts == wanted.get(name, Counter()), name
    return sum(counts.total() for counts in found.values())


@lru_cache(maxsize=1)
def archive(path: Path) -> list[Event]:
    events: list[Event] = [record.event for record in read_events(path)]
    if not events:
        pytest.skip("the archive holds no events")
    return events


@pytest.mark.skipif(not ARCHIVES, reason="the shared data is not here")
@pytest.mark.parametrize("target", ["duckdb", "sqlite", "eql"])
@pytest.mark.parametrize("path", ARCHIVES, ids=lambda path: path.stem)
def test_real_logs(path: Path, target: str) -> None:
    compare_single([rule for rule in RULES if rule.stateless], target, FLAT, archive(path))


@pytest.mark.skipif(not ARCHIVES, reason="the shared data is not here")
@pytest.mark.parametrize("path", ARCHIVES, ids=lambda path: path.stem)
def test_real_logs_with_state(path: Path) -> None:
    for rule in RULES:
        if not rule.stateless:
            compare_state(rule, "duckdb", FLAT, archive(path))


@pytest.mark.skipif(not ARCHIVES, reason="the shared data is not here")
@pytest.mark.parametrize("path", ARCHIVES, ids=lambda path: path.stem)
def test_real_logs_as_sigma(path: Path, tmp_path: Path) -> None:
    """Sigma rules that were written are read by our own reader, and find the same."""
    pytest.importorskip("carengine.sigma")
    rules = [rule for rule in RULES if rule.stateless]
    names: set[tuple[str, str]] = set()
    for rule in rules:
        try:
            made = translate(rule, "sigma", FLAT)
        except CarError:
            continue
        names |= {(rule.id, query.output) for query in made.queries}
        (tmp_path / f"{rule.id}.yml").write_text(made.text, encoding="utf-8")
    written = carengine.load_rules(tmp_path)
    assert not written.refused
    assert len(written) == len(names)
    events = archive(path)
    numbers = {id(event): number for number, event in enumerate(events)}
    wanted = Counter(
        (f"{match.rule.id} {match.output}", numbers[id(match.events[0].event)])
        for match in Engine(rules, fieldmap=FLAT).run(events)
        if (match.rule.id, match.output) in names
    )
    found = Counter(
        (match.rule.title, numbers[id(match.events[0].event)])
        for match in Engine(written).run(events)
    )
    assert found == wanted


@pytest.mark.skipif(not ARCHIVES, reason="the shared data is not here")
@pytest.mark.parametrize("target", ["splunk", "eql"])
@pytest.mark.parametrize("path", ARCHIVES, ids=lambda path: path.stem)
def test_real_logs_read_back(path: Path, target: str) -> None:
    """Queries that were written are read by our own readers of other languages, and find the same.

    The readers know less than is written (`tonumber`); they refuse that by name.
    """
    rules = [rule for rule in RULES if rule.stateless]
    events = [
        {key: value for key, value in unwrap(event).items() if key in PRESENT}
        for event in archive(path)
        if FLAT.recognises(unwrap(event))
    ]
    numbers = {id(event): number for number, event in enumerate(events)}
    wanted: dict[tuple[str, str], Counter[int]] = {}
    for match in Engine(rules, fieldmap=FLAT).run(events):
        counts = wanted.setdefault((match.rule.id, match.output), Counter())
        counts[numbers[id(match.events[0].event)]] += 1
    known = 0
    for rule in rules:
        try:
            made = translate(rule, target, FLAT, present=PRESENT, recognise=False)
        except CarError:
            continue
        for query in made.queries:
            reading = read(Block.of(query.text), target, raise_names=False)
            if reading.program is None:
                assert "CE952" in {d.code.id for d in reading.diagnostics}
                continue
            known += 1
            engine = Engine([as_rule(reading, "back")], fieldmap=native_map(reading))
            found = Counter(numbers[id(match.events[0].event)] for match in engine.run(events))
            assert found == wanted.get((rule.id, query.output), Counter()), query.text
    assert known > 70


@pytest.mark.parametrize("target", ["duckdb", "sqlite", "eql"])
def test_integers_as_data_spells_them(target: str) -> None:
    """An integer of CAR is there as a number, as decimal and as hexadecimal text."""
    rule = carengine.parse_rule(
        'a = search Process:Access b = filter a where access_level in ["0x1010", "7"] '
        'c = filter a where access_level not in ["0x1010", "7"] output b, c'
    )
    values: list[Any] = ["0x1010", "0X1010", 4112, "4112", "0x7", 7, "7", "0x8", 8, "x", None, "-"]
    shape = {"Channel": "Microsoft-Windows-Sysmon/Operational", "EventID": 10}
    events = [{**shape, "GrantedAccess": value} for value in values]
    assert compare_single([rule], target, FLAT, events) == 10
