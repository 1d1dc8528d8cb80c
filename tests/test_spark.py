"""Hunts on Apache Spark in local mode: the same matches as in one process.

Skipped where PySpark or Java is missing.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import runpy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import carengine
from carengine.engine import match_rows
from spark_session import WARNINGS, needs_spark, spark_session

pytest.importorskip("pyspark", reason="PySpark is not installed (carengine[spark])")
pytestmark = WARNINGS

from carengine.spark import HuntAccount, follow, hunt, table  # noqa: E402  # only where Spark can run


@pytest.fixture(scope="module")
def spark() -> Iterator[Any]:
    """The session; times are shown in a zone that is not UTC."""
    needs_spark()
    session = spark_session()
    session.conf.set("spark.sql.session.timeZone", "America/New_York")
    yield session
    session.conf.set("spark.sql.session.timeZone", "UTC")


A = 'a = search Process:Create where exe = "cmd.exe"\n'
B = 'b = search Process:Create where exe = "x.exe"\n'
BODIES = {
    "ALONE": "level: high\n" + "---\n" + A + "output a",
    "GROUP": "---\n" + A + "g = group a by hostname within 1 minute\n"
    "m = filter g where count(*) > 1\noutput m",
    "JOIN": "---\n" + A + B + "j = join (a, b) where a.hostname = b.hostname and a.time <= b.time "
    "and b.time <= a.time + 1 minute\noutput j",
    "PLACE": "---\n"
    + A
    + B
    + "j = join (a, b) where a.time < b.time < a.time + 2 seconds\noutput j",
}
RULES = [carengine.parse_rule(f"---\nid: {name}\n{body}") for name, body in BODIES.items()]
ENGINE = carengine.Engine(RULES)


def events_of(number: int) -> list[dict[str, Any]]:
    """Events of an application with CAR's own names, in any order."""
    draw = random.Random(number)
    made = []
    for pid in range(number):
        second = draw.randrange(600)
        event: dict[str, Any] = {
            "object": "process",
            "action": "create",
            "exe": draw.choice(["cmd.exe", "x.exe", "calc.exe", "é\u2028.exe"]),
            "pid": pid,
            "time": f"2024-05-20T09:{second // 60:02}:{second % 60:02}Z",
        }
        if draw.random() < 0.9:
            event["hostname"] = draw.choice(["ws1", "WS1", "ws2", "ws3"])
        made.append(event)
    return made


EVENTS = events_of(200)


def comparable(row: dict[str, Any]) -> str:
    row = {**row, "time": str(row["time"])}
    for event in row["events"]:
        event["time"] = str(event["time"])
        event["event"] = json.dumps(json.loads(event["event"]), sort_keys=True)
        event["fields"] = json.dumps(json.loads(event["fields"]), sort_keys=True)
        event["source"] = event["record"] = None
    return json.dumps(row, sort_keys=True)


def one_process(events: list[Any], engine: carengine.Engine = ENGINE) -> list[str]:
    import pyarrow as pa

    from carengine.engine.tables import match_schema

    rows = match_rows(engine.run(events))
    return sorted(map(comparable, pa.Table.from_pylist(rows, match_schema()).to_pylist()))


def on_spark(frame: Any) -> list[str]:
    return sorted(map(comparable, frame.toArrow().to_pylist()))


def test_rows_of_json_in_any_partitions(spark: Any, tmp_path: Path) -> None:
    lines = [json.dumps(event, ensure_ascii=False) for event in EVENTS]
    expected = one_process(EVENTS)
    assert {json.loads(one)["rule_id"] for one in expected} == set(BODIES)
    (tmp_path / "logs").mkdir()
    random.Random(1).shuffle(lines)
    for number in range(3):
        text = "\n".join([*lines[number::3], "{" if number == 1 else ""])
        (tmp_path / "logs" / f"{number}.jsonl").write_text(text + "\n", encoding="utf-8")
    frame = spark.read.text(str(tmp_path / "logs"), lineSep="\n").where("value <> ''")
    session = ENGINE.session()
    for event in EVENTS:
        session.feed(event)
    session.flush()
    for partitions in (1, 4):
        account = HuntAccount()
        found = hunt(frame.repartition(partitions), RULES, account=account)
        assert on_spark(found) == expected
        assert account.stats.events == len(EVENTS)
        assert account.stats.as_data() == session.stats.as_data()
        assert account.rows.rows == len(EVENTS) + 1
        [unread] = account.diagnostics
        assert unread.code.id == "CE502"


def test_tables_of_parquet(spark: Any, tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    inner = [{**event, "time": None, "more": {"pid": event["pid"]}} for event in EVENTS]
    table = pa.table(
        {
            "object": [event["object"] for event in EVENTS],
            "action": [event["action"] for event in EVENTS],
            "exe": [event["exe"] for event in EVENTS],
            "hostname": [event.get("hostname") for event in EVENTS],
            "time": pa.array([event["time"] for event in EVENTS]).cast(pa.timestamp("us", "UTC")),
            "nested": pa.array([[event["more"]] for event in inner]),
            "number": list(range(1, len(EVENTS) + 1)),
            "file": ["a.parquet"] * len(EVENTS),
        }
    )
    pq.write_table(table, tmp_path / "logs.parquet")
    frame = spark.read.parquet(str(tmp_path / "logs.parquet"))
    found = hunt(frame, ENGINE, source="file", record="number").toArrow().to_pylist()
    expected = ENGINE.hunt_table(table.drop_columns(["file", "number"])).to_arrow().to_pylist()
    assert sorted(
        (row["rule_id"], row["time"], [event["record"] for event in row["events"]])
        for row in expected
    ) == sorted(
        (row["rule_id"], row["time"], [event["record"] for event in row["events"]]) for row in found
    )
    assert {event["source"] for row in found for event in row["events"]} == {"a.parquet"}
    [nested] = {one["event"] for row in found for one in row["events"] if one["record"] == 1} or {
        ""
    }
    assert not nested or json.loads(nested)["nested"] == [{"pid": EVENTS[0]["pid"]}]


def test_what_cannot_be_hunted_in(spark: Any) -> None:
    frame = spark.createDataFrame([("x", "y")], "a string, b string")
    with pytest.raises(ValueError, match="no column raw; it has a, b"):
        hunt(frame, RULES, json="raw")
    with pytest.raises(ValueError, match="two columns named a"):
        hunt(frame.select("a", "a"), RULES)
    with pytest.raises(ValueError, match="no lateness"):
        hunt(frame, RULES, options=carengine.StreamOptions(lateness="1m"))
    with pytest.raises(ValueError, match="at least 1, not 0"):
        hunt(frame, RULES, shards=0)
    with pytest.raises(ValueError, match="handed to no hunt"):
        _ = HuntAccount().stats
    account = HuntAccount()
    assert list(hunt(frame, RULES, account=account).toLocalIterator()) == []
    with pytest.warns(RuntimeWarning, match="told of no partition"):
        assert account.stats.events == 0


LATE = carengine.StreamOptions(lateness="15 minutes")
END = {"object": "file", "action": "create", "time": "2024-09-01T00:00:00Z"}


class CutOffError(Exception):
    """Stands for a driver that is killed between two steps."""


def test_a_stream_that_is_cut_off(
    spark: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pyspark.errors import StreamingQueryException

    from carengine.spark import hunting

    # A pair of a join that spans micro-batches, groups too; the last event closes all of them.
    logs = tmp_path / "logs"
    logs.mkdir()
    events = [*sorted(EVENTS, key=lambda event: str(event["time"])), END]
    for number in range(3):
        part = events[number * 70 : (number + 1) * 70]
        text = "".join(json.dumps(event) + "\n" for event in part)
        (logs / f"{number}.jsonl").write_text(text + ("[]\n" if number == 1 else ""))
        os.utime(logs / f"{number}.jsonl", (number, number))
    stream = spark.readStream.option("maxFilesPerTrigger", 1).text(str(logs))
    out, checkpoint = str(tmp_path / "out"), str(tmp_path / "checkpoint")
    whole = hunting.write_batch
    cuts = {0: "after", 1: "before"}

    def write(batch: Any, path: str, number: int) -> None:
        cut = cuts.pop(number, "")
        if cut != "before":
            whole(batch, path, number)
        if cut:
            raise CutOffError

    monkeypatch.setattr(hunting, "write_batch", write)
    runs = 0
    while True:
        runs += 1
        query = follow(
            stream,
            RULES,
            path=out,
            checkpoint=checkpoint,
            options=LATE,
            shards=2,
            trigger={"availableNow": True},
        )
        with contextlib.suppress(StreamingQueryException):
            query.awaitTermination()
            break
    assert runs == 3
    found = spark.read.parquet(f"{out}/matches").drop("batch")
    assert on_spark(found) == one_process(events)
    account = HuntAccount.read(spark, out)
    assert account.stats.events == len(events)
    assert account.stats.matches.total() == found.count()
    assert [one.code.id for one in account.diagnostics] == ["CE502"]


def test_the_job_of_the_examples(spark: Any) -> None:
    folder = Path(__file__).parents[1] / "examples" / "spark_job"
    program = runpy.run_path(str(folder / "job.py"))
    matches, account = program["hunted"](spark, str(folder / "logs"), str(folder / "rules"))
    rows = matches.collect()
    assert sorted((row.rule_id, len(row.events)) for row in rows) == [
        ("BURST", 3),
        ("DROPPED", 2),
        ("OFFICE-SHELL", 1),
    ]
    assert all(event.source.endswith(".jsonl") for row in rows for event in row.events)
    assert (account.stats.events, account.stats.unrecognised) == (8, 1)


HOSTILE: list[dict[str, Any]] = [
    {"exe": ["cmd.exe", None, {"a": 1}]},
    {"exe": []},
    {"exe": {"x": "cmd.exe"}},
    {"exe": "", "pid": 445.0},
    {"exe": None, "pid": "9"},
    {"exe": "CMD.exe", "pid": 1e3},
    {"exe": "cmd.exe\u2028", "Exe": "x.exe", "pid": [9, "445"]},
    {"exe": "x.exe", "a.b": "1", "a": {"b": 2}},
]
CONDITIONS = (
    'exe = "cmd.exe"',
    'exe != "cmd.exe"',
    'exe = "*.exe"',
    "pid = 445",
    "pid = 9",
    "not (pid = 1000)",
    "exe = null",
)


def test_translations_ask_the_table(spark: Any) -> None:
    """The queries of a table in Spark give what the engine gives, of hostile values too."""
    events = [
        {"object": "process", "action": "create", **event, "time": f"2024-05-20T09:{n:02}:00Z"}
        for n, event in enumerate([*HOSTILE, *EVENTS[:30]])
        if n < 10 or "hostname" in event
    ]
    rules = [
        carengine.parse_rule(f"---\nid: C{n}\n---\na = search Process:Create where {text} output a")
        for n, text in enumerate(CONDITIONS)
    ]
    lines = [(json.dumps(event),) for event in events] + [("{",)]
    frame = spark.createDataFrame(lines, "raw string").repartition(2)
    found = table(frame, [*rules, RULES[2]], "car", json="raw")
    assert found.table.rows == len(events)
    assert [one.code.id for one in found.diagnostics] == ["CE502"]
    found.frame.persist().createOrReplaceTempView("events")
    by_id = {row.event_id: row for row in found.frame.collect()}
    assert len(by_id) == len(events)
    engine = carengine.Engine(rules, "car")
    expected: dict[str, list[str]] = {}
    for match in engine.run(events):
        expected.setdefault(match.rule.id, []).append(str(match.events[0].event["time"]))
    for translation in found.translations[:-1]:
        [query] = translation.queries
        rows = spark.sql(query.text.rstrip("; \n")).collect()
        assert sorted(row["time"] for row in rows) == sorted(expected.get(translation.rule, []))
    [joined] = found.translations[-1].queries
    pairs = carengine.Engine([RULES[2]], "car").run(events)
    assert len(spark.sql(joined.text.rstrip("; \n")).collect()) == len(list(pairs))
