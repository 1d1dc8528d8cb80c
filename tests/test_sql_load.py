"""Tables of events: what no column of texts can hold is told apart, in each product that is here.

Hostile values are held to the engine's own verdicts. Where a query may differ, it has to say so.
"""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

import carengine
from carengine import ir, sql
from carengine.evaluate import NoContext, RawRow, holds
from carengine.fieldmap import find_maps
from carengine.languages.lowered import Log
from carengine.languages.sql.dialects import DIALECTS
from carengine.languages.sql.plans import SqlPlans
from carengine.languages.translation import Findings, Untranslatable
from carengine.pattern import Pattern
from running import Postgres, clickhouse_session, postgres_server

SHARED = Path(__file__).parents[1].parent / "shared"
[FLAT] = find_maps("sysmon.flat")
TARGETS = ["duckdb", "sqlite", "postgres", "clickhouse", "spark"]
MISSING: Any = object()

HOSTILE: list[Any] = [
    *(MISSING, None, "", "-", [], [None], ["-"], ["", "-"], {}, {"x": 1}, [{}], [[]], [["a"]]),
    *(
        "a",
        "A",
        "a.exe",
        "C:\\x\\a.exe",
        ["a"],
        ["b", "A"],
        ["b", "C:\\x\\A.EXE"],
        ["b"],
        ["", "b"],
    ),
    *(["a", {}], ["b", {}], ["b", None], [None, "a"], ["a", "a"], ["b", ["a"]], ["C:\\"]),
    *(
        445,
        445.0,
        1e3,
        4.45e2,
        "445",
        "445.0",
        "1e3",
        "0x1bd",
        " 445 ",
        "+445",
        "000445",
        "9",
        9,
        10,
    ),
    *(-0.0, 0, "0", -1, 4.5, 1e22, 1e-7, 10**45, 2**53 + 1, True, False, "true", "True"),
    *([445], [445.0], ["9", 445], [1e3], [9, 10], [True], [1e22], [4.5], ["x", 445]),
    *("ſ", "İ", "ı", "K", "ß", "SS", "é", "É", "Ω", "ﬁ", ["É"], ["ſ", "b"]),
    *("a\u2028b", "a\u2029b", "a\nb", "a\rb", "a\tb", "a\x85b", ["a\u2028b"], "\u2028", "\x01"),
    *("'", "''", '"', "\\", "%", "_", "a%b", "[a]", '["a"]', "{}", "null", "[]", "]", ['"'], ["'"]),
    *("\ud800", "😀", ["😀", "\\"], ["[", "]"], "10.0.0.7", ["10.0.0.7", "x"], "a" * 300),
    *("2024-05-20T07:41:12Z", ["2024-05-20T07:41:12Z"], "nan", "inf", "NaN"),
]
A = ir.Raw(("a",))
DASHED = ir.Raw(("a",), ("-", ""))
B = ir.Raw(("b",))


def _match(value: ir.Value, *texts: str, cased: bool = False) -> ir.Condition:
    return ir.Match(value, tuple(Pattern(text, cased) for text in texts))


def _compare(value: ir.Value, sign: str, constant: Any, type_: ir.Type) -> ir.Condition:
    right = constant if isinstance(constant, ir.Raw) else ir.Constant(constant)
    return ir.Compare(value, ir.Relation(sign), right, type_)


BASE = ir.Call("basename", (DASHED,))
FIRST = ir.Call("first", (DASHED, B))
CONDITIONS: list[ir.Condition] = [
    *(ir.IsNull(v) for v in (A, DASHED, BASE, FIRST, ir.Presence(A), ir.presence_of(FIRST))),
    *(ir.Not(ir.IsNull(v)) for v in (A, DASHED, ir.Presence(A))),
    *(_match(v, "a") for v in (A, DASHED, BASE, FIRST, ir.Call("first", (B, A)))),
    *(_match(A, text) for text in ("*", "", "-", "a?b", "*.exe", "445", "1000", "true", "ss", "é")),
    *(_match(A, text, cased=True) for text in ("A", "445", "[a]", "*\\*")),
    ir.Not(_match(A, "a")),
    ir.Not(_match(BASE, "a.exe")),
    _match(ir.Call("basename", (FIRST,)), "a.exe", "b"),
    ir.Regex(A, r"^a.b$", False, True),
    ir.Regex(A, r"\d", False, False),
    ir.Not(ir.Regex(BASE, r"^a\.exe$", False, False)),
    ir.InNetwork(A, ("10.0.0.0/8",)),
    *(
        _compare(A, sign, constant, type_)
        for sign in ("=", "<", ">=")
        for constant, type_ in (
            *((445, ir.Type.INTEGER), (9, ir.Type.ANY), ("a", ir.Type.TEXT)),
            *((4.5, ir.Type.NUMBER), ("445", ir.Type.ANY), (1000, ir.Type.NUMBER)),
        )
    ),
    ir.Not(_compare(DASHED, "=", 445, ir.Type.INTEGER)),
    *(_compare(A, sign, B, ir.Type.ANY) for sign in ("=", "<")),
    ir.Occurs(ir.Constant("a"), A),
    ir.Occurs(B, A),
    ir.And((_match(A, "a", "b"), ir.Not(ir.IsNull(B)))),
]


def events() -> list[dict[str, Any]]:
    return [
        ({} if value is MISSING else {"a": value}) | ({"b": "a"} if number % 2 else {"n": number})
        for number, value in enumerate(HOSTILE)
    ]


@pytest.fixture(scope="module", params=TARGETS)
def place(request: pytest.FixtureRequest) -> tuple[str, sql.EventTable, Any]:
    """A product with the hostile events in it: its name, the table, and how to ask it."""
    target = request.param
    if target == "spark" and not os.environ.get("CARENGINE_ALL_EVIDENCE"):
        pytest.skip("starting Spark takes long: make verify-translations asks it")
    found = events()
    ask: Any
    match target:
        case "duckdb":
            duckdb = pytest.importorskip("duckdb")
            connection = duckdb.connect()
            table = sql.load(connection, found)
            return target, table, lambda text: connection.execute(text).fetchall()
        case "sqlite":
            lite = sqlite3.connect(":memory:")
            table = sql.load(lite, found)
            return target, table, lambda text: lite.execute(text).fetchall()
        case "postgres":
            if postgres_server() is None:
                pytest.skip("there is no PostgreSQL server (initdb, pg_ctl, psql)")
            table = sql.survey(found)
            client = Postgres.__new__(Postgres)
            cells = [
                "\t".join("\\N" if c is None else _copied(str(c)) for c in row)
                for row in sql.rows(found, table)
            ]
            client._run(
                "\n".join(
                    [
                        'DROP TABLE IF EXISTS "events";',
                        sql.create_statement(table, "postgres") + ";",
                        'COPY "events" FROM STDIN;',
                        *cells,
                        "\\.",
                        "",
                    ]
                )
            )
            return target, table, lambda text: [tuple(r.values()) for r in client.query(text)]
        case "clickhouse":
            pytest.importorskip("chdb")
            table = sql.survey(found)
            session = clickhouse_session()
            session.query("DROP TABLE IF EXISTS events")
            session.query(sql.create_statement(table, "clickhouse"))
            with tempfile.NamedTemporaryFile("w", suffix=".jsonl", encoding="utf-8") as file:
                for row in sql.rows(found, table):
                    line = dict(zip(table.names, row, strict=True))
                    file.write(json.dumps(line, ensure_ascii=False) + "\n")
                file.flush()
                session.query(
                    f"INSERT INTO events SELECT * FROM file('{file.name}', 'JSONEachRow')"
                )

            def ask(text: str) -> list[tuple[Any, ...]]:
                made = session.query(text, "JSONCompactEachRow")
                return [tuple(json.loads(line)) for line in str(made).splitlines() if line]

            return target, table, ask
        case _:
            pyspark = pytest.importorskip("pyspark.sql")
            table = sql.survey(found)
            builder = pyspark.SparkSession.builder.master("local[1]")
            spark = builder.config("spark.ui.enabled", "false").getOrCreate()
            texts = ", ".join(f"`{name}` STRING" for name in table.names[1:])
            frame = spark.createDataFrame(list(sql.rows(found, table)), f"event_id LONG, {texts}")
            frame.createOrReplaceTempView("events")
            return target, table, lambda text: [tuple(row) for row in spark.sql(text).collect()]


def _copied(cell: str) -> str:
    cell = cell.replace("\0", "\ufffd").replace("\\", "\\\\")
    return cell.replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")


NOTED: dict[str, Callable[[dict[str, Any]], bool]] = {
    "letters outside ASCII": lambda event: not json.dumps(event, ensure_ascii=False).isascii(),
    "hexadecimal": lambda event: "0x" in json.dumps(event),
    "written with an exponent": lambda event: any(
        text in json.dumps(event) for text in ("e+", "e-", "0" * 30)
    ),
    "counts as missing": lambda event: isinstance(event.get("a"), list | dict),
}
"""What a note says, and the events for which a query with that note may differ."""


def test_hostile_values(place: tuple[str, sql.EventTable, Any], record_property: Any) -> None:
    """Each condition on each hostile value: the engine's verdict, or a note that tells of it."""
    target, table, ask = place
    figures = Counter[str]()
    wrong = []
    for condition in CONDITIONS:
        findings = Findings("rule", target)
        writer = SqlPlans(
            DIALECTS[target], findings, Log(FLAT, table=table), "events"
        ).over_events()
        try:
            exact, plain = writer.condition(condition, exact=True), writer.condition(condition)
        except Untranslatable:
            figures["refused"] += len(HOSTILE)
            continue
        notes = " ".join(note.message for note in findings.found)
        excused = [may for told, may in NOTED.items() if told in notes]
        text = f"SELECT event_id, {exact} AS v, {plain} AS w FROM events ORDER BY event_id"
        for (_, v, w), event in zip(ask(text), events(), strict=True):
            verdict = holds(condition, RawRow(event), NoContext())
            told = None if v is None else bool(v)
            if told is verdict and bool(w) == (verdict is True):
                figures["equal"] += 1
            elif any(may(event) for may in excused):
                figures["noted"] += 1
            else:
                wrong.append((condition, event, verdict, told, w))
    assert not wrong, (len(wrong), wrong[:5])
    record_property("figures", dict(figures))
    if os.environ.get("CARENGINE_FIGURES"):
        print(target, dict(figures))
    assert figures["equal"] > 0.7 * len(HOSTILE) * len(CONDITIONS)


def test_names_that_differ_in_case_only() -> None:
    """No two columns that a query reads differ in nothing but case, with and without a table."""
    rule = carengine.parse_rule('a = search Process:Create where exe = "a.exe" output a')
    told = carengine.translate(rule, "duckdb", "sysmon.flat").fields
    assert len({name.lower() for name in told}) == len(told)
    assert {"EventID", "EventId (2)"} <= set(told)
    table = sql.survey([{"EventID": 1, "EventId": 3, "eventid": {"x": 1}}])
    assert len({name.lower() for name in table.names}) == len(table.names)
    duckdb = pytest.importorskip("duckdb")
    shape = {"Channel": "Microsoft-Windows-Sysmon/Operational", "Image": "C:\\a.exe"}
    found = [{**shape, "EventId": 1}, {**shape, "EventID": 1}, {**shape, "EventID": 2}]
    connection = duckdb.connect()
    loaded = sql.load(connection, found)
    [query] = carengine.translate(rule, "duckdb", "sysmon.flat", table=loaded).queries
    rows = connection.execute(f"SELECT event_id FROM ({query.text}) ORDER BY 1").fetchall()
    assert rows == [(0,), (1,)]


def test_statements_and_rows_make_the_same_table() -> None:
    """SQLite filled by its own statements holds what `load` puts there, in any order of fields."""
    found = events()
    table = sql.survey(found)
    lite = sqlite3.connect(":memory:")
    lite.execute(sql.create_statement(table, "sqlite"))
    lite.executemany(sql.insert_statement(table, "sqlite"), sql.rows(found, table))
    loaded = sqlite3.connect(":memory:")
    sql.load(loaded, found)
    names = ", ".join(f'"{name}"' for name in table.names)
    ask = f"SELECT {names} FROM events ORDER BY event_id"
    assert lite.execute(ask).fetchall() == loaded.execute(ask).fetchall()
    # Fields that come in another order get the columns that the table has for them.
    turned = [dict(reversed(event.items())) for event in reversed(found)]
    again = list(sql.rows(turned, sql.survey(found)))
    by_name = [dict(zip(table.names, row, strict=True)) for row in again]
    assert [row["a"] for row in reversed(by_name)] == [
        row[0] for row in lite.execute("SELECT a FROM events")
    ]


def test_what_cannot_be_loaded_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    wide = [{f"f{n}": "x"} for n in range(2_100)]
    with pytest.raises(carengine.CarError, match="CE984"):
        sql.load(sqlite3.connect(":memory:"), wide)
    with pytest.raises(carengine.CarError, match="CE903"):
        sql.load(object(), [])
    with pytest.raises(carengine.CarError, match="CE903"):
        sql.create_statement(sql.survey([]), "oracle")
    rule = carengine.parse_rule('a = search Process:Create where "x" in raw event output a')
    table = sql.survey(
        [{"EventID": 1, "Channel": "Microsoft-Windows-Sysmon/Operational"}], raw=False
    )
    with pytest.raises(carengine.CarError, match="raw text"):
        carengine.translate(rule, "duckdb", "sysmon.flat", table=table)


def hunted(logs: Any, rules: Iterable[carengine.Rule]) -> tuple[sql.SqlHunt, Counter[Any]]:
    duckdb = pytest.importorskip("duckdb")
    connection = duckdb.connect()
    hunt = sql.SqlHunt(connection, rules, sql.load(connection, logs, events=True))
    return hunt, Counter(_told(match) for match in hunt.run())


def _told(match: carengine.Match) -> tuple[Any, ...]:
    events = tuple(sorted((e.stream, str(e.kind), str(e.origin)) for e in match.events))
    if match.fields:
        # A list from a query is in the order of times, as the engine's is.
        return match.rule.id, match.output, repr({k: _text(v) for k, v in match.fields.items()})
    return match.rule.id, match.output, events


def _text(value: Any) -> Any:
    return (
        [_text(v) for v in value]
        if isinstance(value, list)
        else None
        if value is None
        else str(value)
    )


def by_engine(logs: Any, rules: Iterable[carengine.Rule]) -> Counter[Any]:
    session = carengine.Engine(rules).session()
    found = [
        match
        for event, origin in sql.loading.records_of(logs)
        for match in session.feed(event, origin)
    ]
    return Counter(_told(match) for match in [*found, *session.flush()])


def test_a_hunt_by_queries_finds_what_the_engine_finds() -> None:
    """The shipped rules over the examples of their own, through the map car; stateful ones each by
    itself, since joins of one rule's examples with another's would be many."""
    rules = carengine.load_rules(carengine.shipped_rules())
    single = [rule for rule in rules if rule.stateless]
    every = [e for r in single for x in r.examples for e in x.events]
    # Those in CAR's names: the examples in other logs' shapes go through other maps.
    found: list[Mapping[str, Any]] = [event for event in every if "object" in event]
    hunt, told = hunted(found, single)
    assert not hunt.disagreements
    wanted = by_engine(found, single)
    assert {k: n for k, n in wanted.items() if k[0] not in hunt.refused} == told
    assert len(told) > 150
    several = 0
    for rule in [rule for rule in rules if not rule.stateless][:12]:
        logs = [event for example in rule.examples for event in example.events]
        hunt, told = hunted(logs, [rule])
        if rule.id not in hunt.refused:
            assert told == by_engine(logs, [rule]), rule.id
            several += told.total()
    assert several > 10


def test_normalized_parquet(tmp_path: Path) -> None:
    """Stateful rules over what `normalize` wrote as Parquet: the matches of the logs themselves."""
    pytest.importorskip("pyarrow")
    rules = carengine.load_rules(carengine.shipped_rules())
    rule = rules.get("CAR-2013-03-001")
    assert rule is not None
    log = tmp_path / "log.jsonl"
    example = next(x for x in rule.examples if x.match)
    log.write_text("".join(json.dumps(dict(e)) + "\n" for e in example.events), encoding="utf-8")
    parquet = tmp_path / "events.parquet"
    command = ["normalize", str(log), "-o", str(parquet)]
    from carengine.cli import main

    assert main(command) == 0
    _, told = hunted(str(parquet), [rule])
    assert told.total() == len(list(carengine.Engine([rule]).run(example.events))) > 0


ARCHIVES = sorted((SHARED / "mordor").glob("*.zip"), key=lambda path: path.stat().st_size)
CHOSEN = ARCHIVES if os.environ.get("CARENGINE_ALL_EVIDENCE") else ARCHIVES[:2]


@pytest.mark.skipif(not ARCHIVES, reason="the shared data is not here")
@pytest.mark.parametrize("path", CHOSEN, ids=lambda path: path.stem)
def test_recordings(path: Path) -> None:
    """DuckDB finds in recordings what the engine finds, for each rule that translates."""
    rules = carengine.load_rules(carengine.shipped_rules())
    hunt, told = hunted(str(path), rules)
    assert not hunt.disagreements
    wanted = by_engine(str(path), rules)
    partly = set(hunt.refused)
    assert {k: n for k, n in wanted.items() if k[0] not in partly} == {
        k: n for k, n in told.items() if k[0] not in partly
    }


def test_the_command(tmp_path: Path) -> None:
    """`carengine sql` writes what `hunt` writes, and says what was not translated."""
    pytest.importorskip("duckdb")
    rule = tmp_path / "rules"
    rule.mkdir()
    (rule / "a.car").write_text('a = search Process:Create where exe = "a.exe" output a')
    log = tmp_path / "log.jsonl"
    lines = [
        {"object": "process", "action": "create", "exe": x} for x in ("a.exe", "b.exe", "A.EXE")
    ]
    log.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")

    def ran(*words: str) -> tuple[int, list[dict[str, Any]], str]:
        command = [sys.executable, "-m", "carengine", *words]
        made = subprocess.run(
            command, capture_output=True, text=True, encoding="utf-8", check=False
        )
        return made.returncode, [json.loads(x) for x in made.stdout.splitlines()], made.stderr

    code, found, said = ran("sql", str(rule), str(log), "-f", "jsonl")
    _, wanted, _ = ran("hunt", str(log), "-r", str(rule), "-f", "jsonl")
    assert found == wanted
    assert len(found) == 2
    assert code == 0, said
    assert "3 records" in said


def test_regular_expressions_of_sqlite() -> None:
    """A query that needs the function says so, and fails where it is not there."""
    rule = carengine.parse_rule(
        'a = search Process:Create where command_line match "x\\.[0-9]+$" output a'
    )
    found = [
        {"object": "process", "action": "create", "command_line": line}
        for line in ("X.12", "x.1\n", "x", None, ["x.1"], "ſx.9")
    ]
    connection = sqlite3.connect(":memory:")
    table = sql.load(connection, found)
    translation = carengine.translate(rule, "sqlite", "car", table=table)
    [query] = translation.queries
    assert any("REGEXP must be the function" in one.message for one in translation.notes)
    rows = connection.execute(query.text).fetchall()
    assert sorted(row[0] for row in rows) == [
        number for number, event in enumerate(found) if list(carengine.Engine([rule]).run([event]))
    ]
    plain = sqlite3.connect(":memory:")
    connection.backup(plain)
    with pytest.raises(sqlite3.OperationalError, match="REGEXP"):
        plain.execute(query.text)
    sql.register_regexp(plain)
    assert plain.execute(query.text).fetchall() == rows
