"""Tables that are looked at by columns, held to the same tables looked at by rows.

Rules and events are those of `sigma_lines`: all shapes of Windows logs, odd values, values that come
again and others that do not. ``CARENGINE_FUZZ=200`` tries that many logs.
"""

from __future__ import annotations

import json
import os
import random
from typing import Any

import pytest

import carengine
from carengine.diagnostics import Source
from carengine.engine import Engine, TableRows, feed_batch, interpret, json_column
from carengine.engine.streams import StreamOptions
from carengine.engine.tables import feeding
from carengine.engine.tables.distinct import member_names, rows_of
from carengine.engine.tables.selection import select_rows
from carengine.fieldmap import find_maps
from carengine.languages.sigma import read
from carengine.rule import RuleSet, from_drafts
from sigma_lines import Log
from test_sigma_fuzz import drawn_rules

pa = pytest.importorskip("pyarrow")

ROUNDS = int(os.environ.get("CARENGINE_FUZZ") or 5)
FIRST = int(os.environ.get("CARENGINE_FUZZ_FIRST") or 0)
ROWS = 150


def array_of(chance: random.Random, values: list[Any]) -> Any:
    """The values as a column; those of no one type as texts. Columns of text are of one of the types
    that programs have for them."""
    mappings = [value for value in values if isinstance(value, dict)]
    if mappings and all(value is None or isinstance(value, dict) for value in values):
        names = list(dict.fromkeys(name for value in mappings for name in value))
        parts = [array_of(chance, [(value or {}).get(name) for value in values]) for name in names]
        if names:
            missing = pa.array([value is None for value in values])
            return pa.StructArray.from_arrays(parts, names, mask=missing)
    try:
        made = pa.array(values)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
        made = pa.array([v if v is None or isinstance(v, str) else json.dumps(v) for v in values])
    if not pa.types.is_string(made.type):
        return made
    match chance.randrange(6):
        case 0:
            return made.dictionary_encode()
        case 1:
            return made.cast(pa.string_view())
        case 2:
            return made.cast(pa.large_string())
        case 3:
            # A dictionary of many batches, of which this one has few values.
            more = pa.array([*(f"never {n}" for n in range(1_000)), None])
            whole = pa.concat_arrays([more, made])
            return whole.dictionary_encode().slice(len(more))
        case _:
            return made


def table_of(chance: random.Random, events: list[dict[str, Any]]) -> Any:
    names = list(dict.fromkeys(name for event in events for name in event))
    return pa.RecordBatch.from_arrays(
        [array_of(chance, [event.get(name) for event in events]) for name in names], names
    )


def outcome(engine: Engine, batches: list[Any], options: StreamOptions, **named: str) -> Any:
    """All that feeding batches gives but which events were looked at for two clocks."""
    session = engine.session(options)
    account = TableRows("t")
    found = [match for one in batches for match in feed_batch(session, one, account, **named)]
    found += session.flush()
    stats = {
        name: sorted(value, key=repr) if isinstance(value, list) else dict(value)
        if isinstance(value, dict) else value
        for name, value in session.stats.as_data().items()
        if name != "clocks"
    }  # fmt: skip
    return [seen(match) for match in found], stats, account.as_data()


def seen(match: carengine.Match) -> Any:
    events = [(e.origin, e.kind, dict(e.fields), e.stream) for e in match.events]
    return match.rule.id, match.output, match.time, events, dict(match.keys), dict(match.fields)


@pytest.mark.parametrize("seed", range(FIRST, FIRST + ROUNDS))
def test_by_columns_as_by_rows(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    chance = random.Random(seed)
    log = Log(chance)
    stateful = chance.choice((0, 0, 3))
    rules = drawn_rules(chance, log, stateful)
    batches = [table_of(chance, [log.event() for _ in range(ROWS)]) for _ in range(3)]
    options = StreamOptions(lateness=chance.choice((None, "0 seconds", "60 seconds")))
    maps = chance.choice((None, "windows.flat", "windows.winlogbeat"))
    engine = Engine(rules, maps) if maps else Engine(rules)
    columnar = 0

    def counted(*arguments: Any) -> Any:
        nonlocal columnar
        made = select_rows(*arguments)
        columnar += 1
        return made

    monkeypatch.setattr(feeding, "select_rows", counted)
    monkeypatch.setattr(feeding, "FEW_ROWS", 1)
    first = outcome(engine, batches, options)
    again = outcome(engine, batches, options)
    # Where names have blanks, and where the one column is JSON, rows are looked at one by one.
    whole = [
        not json_column(batch.schema)
        and " " not in "".join(n for one in batch.schema for n in member_names(one.type, one.name))
        for batch in batches
    ]
    assert columnar == 2 * sum(whole)
    monkeypatch.setattr(feeding, "FEW_ROWS", 1 << 40)
    by_rows = outcome(engine, batches, options)
    assert columnar == 2 * sum(whole)
    assert first == by_rows
    assert again == by_rows
    # An engine that has seen nothing, and the reference.
    assert outcome(Engine(rules, maps) if maps else Engine(rules), batches, options) == by_rows
    if not stateful and seed < 4:
        expected: list[Any] = []
        number = 0
        for batch in batches:
            for event in rows_of(batch):
                number += 1
                matches = interpret(rules, [event], find_maps(maps) if maps else find_maps())
                expected += [(match.rule.id, match.output, number) for match in matches]
        found = [(one[0], one[1], one[3][0][0].record) for one in by_rows[0]]
        assert sorted(found) == sorted(expected)


RULE = carengine.parse_rule('a = search Process:Create where exe = "x.exe" output a')


def test_sources_and_records_of_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [
        {"object": "process", "action": "create", "exe": "x.exe" if n % 7 == 0 else f"{n}.exe"}
        for n in range(900)
    ]
    table = pa.Table.from_pylist(
        [
            {**row, "file": "a" if n < 400 else "b", "line": n % 400 + 1}
            for n, row in enumerate(rows)
        ]
    )
    [batch] = table.combine_chunks().to_batches()
    engine = Engine([RULE])
    options = StreamOptions()
    by_columns = outcome(engine, [batch], options, source="file", record="line")
    assert [one[3][0][0] for one in by_columns[0]][-1] == carengine.Origin("b", 97)
    assert len(by_columns[0]) == 129
    monkeypatch.setattr(feeding, "FEW_ROWS", 1 << 40)
    assert outcome(engine, [batch], options, source="file", record="line") == by_columns
    # Sources in turn.
    monkeypatch.setattr(feeding, "FEW_ROWS", 256)
    mixed = table.set_column(3, "file", pa.array([f"{n % 2}" for n in range(900)]))
    [batch] = mixed.combine_chunks().to_batches()
    found = outcome(engine, [batch], options, source="file")[0]
    assert [one[3][0][0] for one in found[:2]] == [
        carengine.Origin("0", 0),
        carengine.Origin("1", 0),
    ]


HOSTILE: dict[str, Any] = {
    "a number and a truth value": [1, True, 1, True, None, 0, False],
    "numbers beyond 64 bits": [2**70, 1, None],
    "lists": [["x.exe"], [], ["a", "x.exe"], None],
    "mappings": [{"a": "x.exe"}, {}, None],
    "not a number": [float("nan"), 1.0, -0.0, 0.0],
    "a lone surrogate": ["x.exe\\ud800", "x.exe"],
    "empty": ["", None, " "],
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_columns(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    values = [*HOSTILE[kind], "x.exe"]
    chance = random.Random(1)
    rows = [
        {"object": "process", "action": "create", "exe": value, "pid": value} for value in values
    ] * 3
    rules = [
        carengine.parse_rule(f"---\nid: r{number}\n---\na = search Process:Create where {text} output a")
        for number, text in enumerate(
            ('exe = "x.exe"', 'not exe = "x.exe"', "pid = 1", "exe = null", 'pid != "1"')
        )
    ]  # fmt: skip
    engine = Engine(rules)
    batch = table_of(chance, rows)
    monkeypatch.setattr(feeding, "FEW_ROWS", 1)
    by_columns = outcome(engine, [batch], StreamOptions())
    monkeypatch.setattr(feeding, "FEW_ROWS", 1 << 40)
    assert outcome(engine, [batch], StreamOptions()) == by_columns


def sigma(text: str) -> RuleSet:
    drafts, found = read([Source("x.yml", text)])
    return from_drafts(drafts, diagnostics=found)


def test_names_with_blanks_and_mappings_are_looked_at_by_rows() -> None:
    named = [{"EventID": 4657, "Channel": "Security", "New Value": "x"}] * 300
    keyed = pa.table({"Channel": ["Security"] * 300, "EventID": [1] * 300}).append_column(
        "data", pa.array([[("a b", "c")]] * 300, pa.map_(pa.string(), pa.string()))
    )
    rule = sigma(
        "title: X\nlogsource: {product: windows, service: security}\n"
        "detection: {a: {NewValue: x}, condition: a}"
    )
    engine = Engine(rule)
    assert len(engine.hunt_table(pa.Table.from_pylist(named))) == 300
    assert not len(engine.hunt_table(keyed))


def test_forwarded_events_are_those_of_their_channel() -> None:
    rows = [
        {
            "EventID": 1,
            "Channel": "ForwardedEvents" if n % 2 else "Application",
            "SourceName": "Microsoft-Windows-Sysmon",
            "Image": f"C:\\{n % 3}.exe",
        }
        for n in range(600)
    ]
    rule = sigma(
        "title: X\nlogsource: {product: windows, category: process_creation}\n"
        "detection: {a: {Image|endswith: '\\0.exe'}, condition: a}"
    )
    assert len(Engine(rule).hunt_table(pa.Table.from_pylist(rows))) == 100
