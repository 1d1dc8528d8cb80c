"""Translations are run: SQL by DuckDB, SQLite, PostgreSQL and Spark, EQL by the eql package, Sigma
by our own reader and pySigma's. SPL, EQL, ES|QL and KQL are read back by our own readers and run.

Conditions, hostile values included, are compared with the reference evaluator for all three truth
values; rules on their own examples and on real logs with the engine. ``CARENGINE_ALL_EVIDENCE=1``
(``make verify-translations``) takes all archives. What is not installed (a PostgreSQL server,
pyspark, pySigma's backend for SQLite) is skipped.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import carengine
from carengine import ir
from carengine.diagnostics import Block, CarError, Severity
from carengine.engine import Engine, Match, interpret_streams
from carengine.evaluate import NoContext, RawRow, holds
from carengine.fieldmap import FieldMap, find_maps, unwrap
from carengine.languages.lowered import Log, raw_names
from carengine.languages.reading import as_rule, native_map, read
from carengine.languages.sql.dialects import DIALECTS
from carengine.languages.sql.plans import SqlPlans
from carengine.languages.translation import Findings, Untranslatable
from carengine.languages.writing import Translation, translate
from carengine.pattern import Pattern
from carengine.readers import read_events
from carengine.rule import Rule
from running import (
    SYSMON_FIELDS,
    ClickHouse,
    DuckDB,
    Evidence,
    Postgres,
    Spark,
    SQLite,
    Table,
    numbers_in,
    postgres_server,
    run_eql,
)
from spark_session import needs_spark
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
TABLES: dict[str, Callable[[Evidence, Iterable[str]], Table]] = {
    "duckdb": DuckDB,
    "sqlite": SQLite,
    "postgres": Postgres,
    "spark": Spark,
    "clickhouse": ClickHouse,
}
Event = Mapping[str, Any]


def needs(target: str) -> None:
    """Skip the test where the product that it needs is not here."""
    if target == "postgres" and postgres_server() is None:
        pytest.skip("there is no PostgreSQL server (initdb, pg_ctl, psql)")
    if target == "spark":
        needs_spark()
    if target == "clickhouse":
        pytest.importorskip("chdb")


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
    """Conditions that both kinds of dialects can say; with ``regexes`` those that need them as
    well."""
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
        st.builds(lambda value: ir.IsNull(ir.presence_of(value)), RAWS),
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
    writer = SqlPlans(DIALECTS[target], findings, Log(FLAT), "events").over_events()
    try:
        exact, plain = writer.condition(condition, exact=True), writer.condition(condition)
    except Untranslatable:
        return
    notes = " ".join(note.message for note in findings.found)
    table = TABLES[target](Evidence(events), NAMES)
    rows = table.query(f"SELECT event_id, {exact} AS v, {plain} AS w FROM events ORDER BY event_id")
    for row, event in zip(rows, events, strict=True):
        verdict = holds(condition, RawRow(event), NoContext())
        told = None if row["v"] is None else bool(row["v"])
        foreign = any(not value.isascii() for value in event.values() if value)
        if ("outside ASCII" in notes and foreign) or "hexadecimal" in notes:
            continue
        if "is there with null" in notes and None in event.values():
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


@settings(examples(60), deadline=None, suppress_health_check=list(HealthCheck))
@given(conditions(regexes=True), events_of(ascii_only=False))
def test_conditions_in_postgres(condition: ir.Condition, events: list[Event]) -> None:
    needs("postgres")
    check("postgres", condition, events)


@settings(examples(15), deadline=None, suppress_health_check=list(HealthCheck))
@given(conditions(regexes=True), events_of(ascii_only=False))
def test_conditions_in_spark(condition: ir.Condition, events: list[Event]) -> None:
    needs("spark")
    check("spark", condition, events)


@settings(examples(60), deadline=None, suppress_health_check=list(HealthCheck))
@given(conditions(regexes=True), events_of(ascii_only=False))
def test_conditions_in_clickhouse(condition: ir.Condition, events: list[Event]) -> None:
    needs("clickhouse")
    check("clickhouse", condition, events)


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
        "2024-02-29T00:00:00Z",
        "2023-02-29T00:00:00Z",
        "2024-05-20T24:00:01Z",
        "2024-05-20T07:61:00Z",
        "1601-01-01T00:00:00Z",
        "2024-05-20T07:41:12-11:30",
    ),
]


@pytest.mark.parametrize("target", list(TABLES))
def test_times(target: str) -> None:
    needs(target)
    raw = ir.Raw(("a",), (), ir.Type.TIME)
    events: list[Event] = [{"a": text} for text in TIMES]
    for relation in ir.Relation:
        for moment in (1_716_190_872_518_000, 1_716_190_872_000_000, 1_716_183_672_000_000):
            check(target, ir.Compare(raw, relation, ir.Moment(moment), ir.Type.TIME), events)


# Rules


def translated(
    rule: Rule, target: str, fieldmap: FieldMap, present: frozenset[str] | None
) -> Translation | None:
    """A rule in a language for the fields that events have; None where it is refused by name."""
    try:
        return translate(rule, target, fieldmap, present=present)
    except CarError as error:
        codes = {d.code.id for d in error.diagnostics if d.severity is Severity.ERROR}
        assert codes <= {"CE901", "CE904"}
        return None


def all_translated(
    rules: Iterable[Rule], target: str, fieldmap: FieldMap, present: frozenset[str] | None
) -> list[Translation]:
    made = [translated(rule, target, fieldmap, present) for rule in rules]
    found = [one for one in made if one is not None]
    # Of data without the fields that rules ask for, nothing is left to ask.
    assert found or present is not None
    return found


def plain(value: Any, *, ordered: bool = True) -> Any:
    """A column's value as text, lists as lists, whatever the product has them as."""
    if isinstance(value, str) and value.startswith("["):
        value = json.loads(value)
    if isinstance(value, list):
        items = [plain(item) for item in value]
        return items if ordered else sorted(items)
    return value if value is None else f"{value:.6f}" if isinstance(value, float) else str(value)


def compare_state(
    rules: Sequence[Rule], target: str, fieldmap: FieldMap, evidence: Evidence
) -> int:
    """Compare queries of rules with state with the reference over finished data; how many rows
    agreed."""
    made = all_translated(rules, target, fieldmap, evidence.present)
    matches = interpret_streams(rules, evidence.events, [fieldmap])
    table = TABLES[target](evidence, [name for one in made for name in one.fields])
    agreed = 0
    for translation in made:
        for query in translation.queries:
            name = (translation.rule, query.output)
            wanted = [match for match in matches if (match.rule.id, match.output) == name]
            ordered = DIALECTS[target].ordered_lists
            assert state_of(table.query(query.text), wanted, evidence, ordered) == "", name
            agreed += len(wanted)
    return agreed


def state_of(
    rows: list[dict[str, Any]], wanted: list[Match], evidence: Evidence, ordered: bool = True
) -> str:
    """What tells the rows of a query from the matches that it should find; nothing where they are
    the same.

    Lists are compared without their order where the product has them in none.
    """

    def shown(value: Any) -> Any:
        return plain(value, ordered=ordered)

    found: Counter[Any]
    expected: Counter[Any]
    if rows and "event_count" in rows[0]:
        names = list(wanted[0].fields) if wanted else []
        found = Counter(repr([[shown(r[n]) for n in names], r["event_count"]]) for r in rows)
        expected = Counter(
            repr([[shown(m.fields[n]) for n in names], len(m.events)]) for m in wanted
        )
    elif rows and "group_number" in rows[0]:
        groups: dict[Any, list[int]] = {}
        for row in rows:
            key = tuple(v for n, v in row.items() if n.startswith("key_") or n == "group_number")
            groups.setdefault(key, []).append(row["event_id"])
        found = Counter(tuple(sorted(g)) for g in groups.values())
        expected = Counter(
            tuple(sorted(evidence.numbers[id(e.event)] for e in m.events)) for m in wanted
        )
    elif groups_in := [name for name in (rows[0] if rows else ()) if name.endswith(".event_count")]:
        # A group beside others in a join says how many events it has, not which.
        [counted] = groups_in
        ids = [n for n in rows[0] if n.endswith(".event_id") or n == counted]
        before, after = ids.index(counted), len(ids) - ids.index(counted) - 1
        found = Counter(tuple(int(row[name]) for name in ids) for row in rows)
        expected = Counter()
        for match in wanted:
            numbers = [evidence.numbers[id(e.event)] for e in match.events]
            size = len(numbers) - before - after
            expected[(*numbers[:before], size, *numbers[before + size :])] += 1
    else:
        found = numbers_in(rows)
        expected = Counter(tuple(evidence.numbers[id(e.event)] for e in m.events) for m in wanted)
    return "" if found == expected else f"{found - expected} too many, {expected - found} too few"


STATELESS = [rule for rule in RULES if rule.stateless]
STATEFUL = [rule for rule in RULES if not rule.stateless]


@pytest.mark.parametrize("target", list(TABLES))
def test_rules_with_state_on_their_examples(target: str) -> None:
    needs(target)
    agreed = 0
    # Each by itself: joins of one rule's examples with another's would be many.
    for rule in STATEFUL:
        if translated(rule, target, CAR, None) is not None:
            events = [dict(event) for example in rule.examples for event in example.events]
            agreed += compare_state([rule], target, CAR, Evidence(events))
    assert agreed > 20


@pytest.mark.parametrize("target", list(TABLES))
def test_rules_without_state_on_their_examples(target: str) -> None:
    needs(target)
    events = [dict(e) for rule in STATELESS for example in rule.examples for e in example.events]
    evidence = Evidence(events)
    assert compare_single(STATELESS, target, CAR, evidence, single(evidence, CAR)) > 150


Wanted = Mapping[tuple[str, str], Counter[tuple[Any, ...]]]


def single(evidence: Evidence, fieldmap: FieldMap, rules: Sequence[Rule] = STATELESS) -> Wanted:
    """What rules that look at single events find, by rule and output: the numbers of the events."""
    wanted: dict[tuple[str, str], Counter[tuple[Any, ...]]] = {}
    for match in Engine(rules, fieldmap=fieldmap).run(evidence.events):
        counts = wanted.setdefault((match.rule.id, match.output), Counter())
        counts[evidence.numbers[id(match.events[0].event)],] += 1
    return wanted


def compare_single(
    rules: Sequence[Rule], target: str, fieldmap: FieldMap, evidence: Evidence, wanted: Wanted
) -> int:
    """Compare queries with the engine, event by event; how many matches agreed."""
    made = all_translated(rules, target, fieldmap, evidence.present)
    found: dict[tuple[str, str], Counter[tuple[Any, ...]]] = {}
    if target in TABLES:
        table = TABLES[target](evidence, [name for m in made for name in m.fields])
        for translation in made:
            for query in translation.queries:
                found[translation.rule, query.output] = numbers_in(table.query(query.text))
    else:
        found = run_eql(made, evidence.events)
    assert found.keys() == {(m.rule, query.output) for m in made for query in m.queries}
    for name, counts in found.items():
        assert counts == wanted.get(name, Counter()), name
    for rule in rules:
        # What there is no query for since no event could match is found by nobody.
        if any((rule.id, o.name) in wanted.keys() - found.keys() for o in rule.program.outputs):
            with pytest.raises(CarError, match="CE901"):
                translate(rule, target, fieldmap, present=evidence.present)
    return sum(counts.total() for counts in found.values())


# Real logs


@lru_cache(maxsize=1)
def archive(path: Path) -> tuple[Evidence, Wanted]:
    """The events of an archive, and what the engine finds in them."""
    evidence = Evidence([record.event for record in read_events(path)])
    if not evidence.events:
        pytest.skip("the archive holds no events")
    return evidence, single(evidence, FLAT)


def in_tables(target: str) -> Callable[[Path], int]:
    def run(path: Path) -> int:
        needs(target)
        evidence, wanted = archive(path)
        return compare_single(STATELESS, target, FLAT, evidence, wanted)

    return run


def with_state(target: str) -> Callable[[Path], int]:
    def run(path: Path) -> int:
        needs(target)
        return compare_state(STATEFUL, target, FLAT, archive(path)[0])

    return run


@cache
def sigma_rules() -> tuple[tuple[str, str, str], ...]:
    """All rules that Sigma can express: rule, output, and the Sigma rule."""
    made = [translated(rule, "sigma", FLAT, None) for rule in STATELESS]
    return tuple((m.rule, q.output, q.text) for m in made if m is not None for q in m.queries)


def by_sigma(path: Path) -> int:
    """Sigma rules that were written are read by our own reader, and find the same."""
    pytest.importorskip("carengine.languages.sigma")
    evidence, wanted = archive(path)
    with tempfile.TemporaryDirectory() as folder:
        for number, (_, _, text) in enumerate(sigma_rules()):
            (Path(folder) / f"{number}.yml").write_text(text, encoding="utf-8")
        written = carengine.load_rules(folder)
    assert not written.refused
    assert len(written) == len(sigma_rules())
    names = {f"{rule} {output}": (rule, output) for rule, output, _ in sigma_rules()}
    found: dict[tuple[str, str], Counter[tuple[Any, ...]]] = {n: Counter() for n in names.values()}
    for match in Engine(written).run(evidence.events):
        found[names[match.rule.title]][evidence.numbers[id(match.events[0].event)],] += 1
    for name, counts in found.items():
        assert counts == wanted.get(name, Counter()), name
    return sum(counts.total() for counts in found.values())


def by_sigma_backend(path: Path) -> int:
    """What pySigma's backend for SQLite makes of the rules, run by SQLite as its users run it
    (Zircolite): a table `logs` whose columns ignore case, and Python's regular expressions. Only
    Sysmon's events are in it.
    """
    pytest.importorskip("sigma.backends.sqlite")
    evidence, wanted = archive(path)
    sysmon = [event for event in evidence.events if FLAT.recognises(unwrap(event))]
    if not sysmon:
        pytest.skip("the archive holds no events of Sysmon")
    made = backend_rules()
    table = SQLite(Evidence(sysmon), sorted({name for one in made for name in one.fields}))
    table.as_zircolite()
    agreed = 0
    for one in made:
        for query in one.queries:
            found = Counter(
                (evidence.numbers[id(sysmon[number])],)
                for (number,) in numbers_in(table.query(query.text)).elements()
            )
            assert found == wanted.get((one.rule, query.output), Counter()), query.text
            agreed += found.total()
    return agreed


@cache
def backend_rules() -> tuple[Translation, ...]:
    """The rules as pySigma's backend for SQLite writes them."""
    made = []
    for rule in STATELESS:
        with suppress(CarError):
            made.append(translate(rule, "sigma/sqlite", FLAT, present=ALL_NAMES))
    assert len(made) > 50
    return tuple(made)


def read_back(target: str) -> Callable[[Path], int]:
    """Queries that were written are read by our own readers of other languages, and find the same.

    The readers know less than is written (functions that compute texts); they refuse that by name.
    """

    def run(path: Path) -> int:
        evidence, _ = archive(path)
        events = [
            {key: value for key, value in unwrap(event).items() if key in SYSMON_FIELDS}
            for event in evidence.events
            if FLAT.recognises(unwrap(event))
        ]
        shown = Evidence(events)
        wanted = single(shown, FLAT)
        readings = read_again(target)
        assert len(readings) > 55
        found: dict[tuple[str, str], Counter[tuple[Any, ...]]] = {}
        for (name, output), rule, fieldmap in readings:
            counts = found.setdefault((name, output), Counter())
            for match in Engine([rule], fieldmap=fieldmap).run(events):
                counts[shown.numbers[id(match.events[0].event)],] += 1
        for key, counts in found.items():
            assert counts == wanted.get(key, Counter()), key
        return sum(counts.total() for counts in found.values())

    return run


@cache
def read_again(target: str) -> tuple[tuple[tuple[str, str], Rule, FieldMap], ...]:
    """Each query that a target writes and our reader reads, as a rule under the log's own names."""
    made = []
    for rule in STATELESS:
        try:
            found = translate(rule, target, FLAT, present=SYSMON_FIELDS, recognise=False)
        except CarError:
            continue
        for query in found.queries:
            reading = read(Block.of(query.text), target, raise_names=False)
            if reading.program is None:
                assert "CE952" in {d.code.id for d in reading.diagnostics}
                continue
            made.append(((rule.id, query.output), as_rule(reading, "back"), native_map(reading)))
    return tuple(made)


ALL_NAMES = raw_names(FLAT) - {"EventId", "EventCode"}
WAYS: dict[str, Callable[[Path], int]] = {
    "duckdb": in_tables("duckdb"),
    "sqlite": in_tables("sqlite"),
    "postgres": in_tables("postgres"),
    "spark": in_tables("spark"),
    "clickhouse": in_tables("clickhouse"),
    "eql": in_tables("eql"),
    "duckdb, with state": with_state("duckdb"),
    "postgres, with state": with_state("postgres"),
    "clickhouse, with state": with_state("clickhouse"),
    "sigma, by our reader": by_sigma,
    "sigma, by pySigma's backend for SQLite": by_sigma_backend,
    "splunk, read back": read_back("splunk"),
    "eql, read back": read_back("eql"),
    "esql, read back": read_back("esql"),
    "kusto, read back": read_back("kusto"),
}


@pytest.mark.skipif(not ARCHIVES, reason="the shared data is not here")
@pytest.mark.parametrize("way", list(WAYS))
@pytest.mark.parametrize("path", ARCHIVES, ids=lambda path: path.stem)
def test_real_logs(path: Path, way: str, record_property: Callable[[str, object], None]) -> None:
    """Each rule that a target can express finds in an archive what the engine finds."""
    record_property("agreed", WAYS[way](path))


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
    evidence = Evidence(events)
    wanted = single(evidence, FLAT, [rule])
    assert compare_single([rule], target, FLAT, evidence, wanted) == 10
