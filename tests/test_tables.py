"""Tables of Arrow: rows as events, matches as a table."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

import carengine
from carengine.engine.tables import column_values, match_schema

pa = pytest.importorskip("pyarrow")

SHARED = Path(__file__).parents[2] / "shared"
RULES = [
    carengine.parse_rule(
        '---\nid: A\n---\na = search Process:Create where exe = "cmd.exe" output a'
    ),
    carengine.parse_rule(
        '---\nid: B\n---\na = search Process:Create where exe = "cmd.exe"\n'
        "g = group a by hostname within 1 minute\n"
        "m = filter g where count(*) > 2\noutput m",
    ),
]
TIMES = [datetime(2024, 5, 20, 9, 14, n) for n in range(4)]
ROWS = [
    {"object": "process", "action": "create", "exe": exe, "hostname": "ws7", "time": moment}
    for exe, moment in zip(["cmd.exe", "x.exe", "CMD.EXE", "cmd.exe"], TIMES, strict=True)
]


def seen(matches: Any) -> list[Any]:
    return [
        (m.rule.id, m.time, [e.origin.record for e in m.events if e.origin], m.columns)
        for m in matches
    ]


def of_lines(engine: carengine.Engine, rows: list[Any]) -> list[Any]:
    session = engine.session()
    matches: list[carengine.Match] = []
    lines = [json.dumps(row, default=lambda one: one.isoformat()).encode() for row in rows]
    for _, found in session.feed_lines(lines, lambda place: carengine.Origin("t", place + 1)):
        matches += found
    return seen(matches + session.flush())


ZONE = timezone(timedelta(hours=2))
NESTED = pa.struct([("a", pa.int64()), ("b", pa.list_(pa.string()))])
CASES: dict[str, tuple[Any, list[Any]]] = {
    "texts": (pa.array(["a", None, "", "ß\u2028"]), ["a", None, "", "ß\u2028"]),
    "views": (pa.array(["a", None, "a"], pa.string_view()), ["a", None, "a"]),
    "large": (pa.array(["a", "b"], pa.large_string()), ["a", "b"]),
    "bytes in text": (
        pa.Array.from_buffers(pa.string(), 1, pa.array([b"a\xff"]).buffers()),
        ["a\\xff"],
    ),
    "binary": (pa.array([b"a\xff", None, b"x"]), ["a\\xff", None, "x"]),
    "dictionary": (pa.array(["b", None, "b"]).dictionary_encode(), ["b", None, "b"]),
    "null in a dictionary": (
        pa.DictionaryArray.from_arrays(pa.array([0, 1, 0], pa.uint8()), pa.array(["x", None])),
        ["x", None, "x"],
    ),
    "unsigned": (pa.array([1 << 63, None], pa.uint64()), [1 << 63, None]),
    "small": (pa.array([-1, 2, None], pa.int8()), [-1, 2, None]),
    "floats": (pa.array([1.5, float("nan"), None]), [1.5, None, None]),
    "booleans": (pa.array([True, None]), [True, None]),
    "nothing": (pa.nulls(2), [None, None]),
    "seconds": (pa.array([0], pa.timestamp("s")), ["1970-01-01T00:00:00.000Z"]),
    "nanoseconds": (pa.array([-1], pa.timestamp("ns")), ["1969-12-31T23:59:59.999999Z"]),
    "a zone": (
        pa.array([datetime(2024, 5, 20, 9, tzinfo=ZONE)], pa.timestamp("us", "Europe/Paris")),
        ["2024-05-20T07:00:00.000Z"],
    ),
    "far away": (pa.array([1 << 62], pa.timestamp("s")), [str((1 << 62) * 1_000_000)]),
    "dates": (pa.array([date(2024, 5, 20), None]), ["2024-05-20", None]),
    "times of day": (pa.array([time(9, 1)], pa.time64("ns")), ["09:01:00"]),
    "durations": (pa.array([timedelta(seconds=1.5)], pa.duration("ns")), [1.5]),
    "decimals": (pa.array([Decimal("4688.00"), Decimal("0.50")]), [4688, 0.5]),
    "structs": (
        pa.array([{"a": 1, "b": ["x", None]}, None, {"a": None, "b": []}], NESTED),
        [{"a": 1, "b": ["x", None]}, None, {"b": []}],
    ),
    "a slice of lists": (pa.array([["a"], ["b", "c"], None, []]).slice(1), [["b", "c"], None, []]),
    "a slice of structs": (pa.array([{"a": 1}, None, {"a": 2}]).slice(1), [None, {"a": 2}]),
    "fixed lists": (pa.array([[1, 2], None], pa.list_(pa.int64(), 2)), [[1, 2], None]),
    "list views": (pa.array([[1], None, []], pa.list_view(pa.int64())), [[1], None, []]),
    "maps": (
        pa.array([[("a", 1), ("b", None)], None, []], pa.map_(pa.string(), pa.int64())).slice(0),
        [{"a": 1, "b": None}, None, {}],
    ),
    "keys that are numbers": (
        pa.array([[(7, "x")]], pa.map_(pa.int64(), pa.string())),
        [{"7": "x"}],
    ),
    "runs": (pa.RunEndEncodedArray.from_arrays([2, 3], ["a", "b"]), ["a", "a", "b"]),
    "uuid": (
        pa.array([UUID(int=1).bytes, None], pa.uuid()),
        ["00000000-0000-0000-0000-000000000001", None],
    ),
}


@pytest.mark.parametrize(("array", "values"), CASES.values(), ids=CASES)
def test_values_of_arrow(array: Any, values: list[Any]) -> None:
    assert column_values(array) == values
    assert column_values(array.slice(len(array))) == []
    assert column_values(array.slice(0, 1)) == values[:1]


@given(st.lists(st.lists(st.text(st.characters(codec="utf-8"), max_size=2) | st.none())))
def test_lists_of_texts_come_back(rows: list[Any]) -> None:
    array = pa.array(rows, pa.list_(pa.string()))
    assert column_values(array) == rows
    assert column_values(array.slice(1)) == rows[1:]


def test_types_nested_without_end_are_refused() -> None:
    kind = pa.int64()
    for _ in range(200):
        kind = pa.list_(kind)
    with pytest.raises(ValueError, match="nested deeper than 128"):
        column_values(pa.array([None], kind))


def in_duckdb(table: Any) -> Any:
    connection = pytest.importorskip("duckdb").connect()
    connection.register("events", table)
    return connection.sql("select * from events")


def forms() -> dict[str, Any]:
    table = pa.Table.from_pylist(ROWS)
    return {
        "pyarrow": lambda: table,
        "batches": lambda: table.to_batches(max_chunksize=1),
        "a reader": lambda: pa.RecordBatchReader.from_batches(table.schema, table.to_batches()),
        "one batch": lambda: table.to_batches()[0],
        "with a zone": lambda: table.set_column(
            4, "time", pa.array([t.replace(tzinfo=UTC) for t in TIMES])
        ),
        "dictionaries": lambda: table.set_column(2, "exe", table.column("exe").dictionary_encode()),
        "JSON": lambda: pa.table(
            {"raw": [json.dumps(row, default=lambda one: one.isoformat()) for row in ROWS]}
        ),
        "polars": lambda: pytest.importorskip("polars").DataFrame(ROWS),
        "pandas": lambda: pytest.importorskip("pandas").DataFrame(ROWS),
        "DuckDB": lambda: in_duckdb(table),
    }


@pytest.mark.parametrize("form", forms())
def test_the_same_matches_as_lines(form: str) -> None:
    engine = carengine.Engine(RULES)
    expected = of_lines(engine, ROWS)
    assert len(expected) == 4
    made = forms()
    found = engine.hunt_table(made[form]())
    assert seen(found) == expected
    assert found.rows.rows == found.session.stats.events == 4
    assert not found.diagnostics


def test_matches_are_a_table() -> None:
    found = carengine.Engine(RULES).hunt_table(pa.Table.from_pylist(ROWS))
    table = pa.table(found)
    assert table.schema == match_schema()
    rows = table.to_pylist()
    assert [row["rule_id"] for row in rows] == [match.rule.id for match in found]
    assert rows[0]["time"] == TIMES[0].replace(tzinfo=UTC)
    assert json.loads(rows[0]["events"][0]["event"])["exe"] == "cmd.exe"
    assert json.loads(rows[-1]["group"]) == {"hostname": "ws7"}
    assert len(rows[-1]["events"]) == 3
    assert pa.table(carengine.Engine([]).hunt_table(table)).num_rows == 0
    # And the table of matches can be hunted in again.
    assert not len(carengine.Engine(RULES).hunt_table(found))


def test_rows_of_json_that_cannot_be_read_are_named() -> None:
    texts = [
        json.dumps({"object": "process", "action": "create", "exe": "cmd.exe"}),
        "{",
        None,
        "7",
    ]
    table = pa.table({"raw": texts, "day": [1, 2, 3, 4]})
    found = carengine.Engine(RULES[:1]).hunt_table(table, json="raw", source="bronze")
    assert [match.events[0].origin for match in found] == [carengine.Origin("bronze", 1)]
    [diagnostic] = found.diagnostics
    assert diagnostic.code.id == "CE502"
    assert diagnostic.message == "3 rows of 4 hold no JSON object"
    assert [note.split(": ")[0] for note in diagnostic.notes] == [
        "bronze:2",
        "bronze:3",
        "bronze:4",
    ]


def test_what_is_no_table_is_refused() -> None:
    engine = carengine.Engine(RULES)
    for value in (7, "x", {"a": 1}, [{"a": 1}]):
        with pytest.raises(TypeError, match="__arrow_c_stream__"):
            engine.hunt_table(value)
    with pytest.raises(ValueError, match="two columns named a"):
        engine.hunt_table(pa.table([[1], [2]], names=["a", "a"]))
    with pytest.raises(ValueError, match="no column raw; it has a"):
        engine.hunt_table(pa.table({"a": [1]}), json="raw")


HOSTILE = "<script>alert(1)</script>\u202e\x1b[2J\n"


def test_what_notebooks_show_is_escaped() -> None:
    rule = carengine.parse_rule(
        "---\nid: X\ntitle: <b>bold</b>\n---\n"
        'a = search Process:Create where exe = "*script*" output a'
    )
    event = {"object": "process", "action": "create", "exe": HOSTILE, "<i>": HOSTILE}
    found = carengine.Engine([rule]).hunt_table(pa.Table.from_pylist([event] * 300))
    explanation = carengine.explain(rule, event)
    for shown in (
        found._repr_html_(),
        found[0]._repr_html_(),
        explanation._repr_html_(),
        found.session.stats._repr_html_(),
    ):
        assert shown.startswith("<table>")
        assert not any(bad in shown for bad in ("<script", "<i>x", "\u202e", "\x1b", "<b>bold"))
    assert "300 matches, the first 200 shown" in found._repr_html_()
    assert "&lt;script&gt;" in found[0]._repr_html_()


@pytest.mark.skipif(not (SHARED / "mordor").is_dir(), reason="no shared data")
def test_a_recording_as_a_table_and_as_lines() -> None:
    engine = carengine.Engine(carengine.load_rules(carengine.shipped_rules()))
    path = SHARED / "mordor" / "empire_schtasks_creation_standard_user.zip"
    events = [record.event for record in carengine.read_events(path)]
    names = list(dict.fromkeys(name for event in events for name in event))
    table = pa.table({name: [event.get(name) for event in events] for name in names})
    found = seen(engine.hunt_table(table))
    expected = of_lines(engine, events)
    # Events of one time stand in the order of their text, in which fields stand in that of the row.
    for *_, records, _ in (*found, *expected):
        records.sort()
    assert found == expected
