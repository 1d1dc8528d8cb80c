"""Running translations: events as tables for DuckDB, SQLite, PostgreSQL and Spark, as a stream for
the eql package.

A table is what ``docs`` of the SQL targets ask for: one row an event, ``event_id`` its number,
every raw field a text column named by its path. What the engine says about the same events is the
measure.
"""

from __future__ import annotations

import atexit
import json
import os
import pwd
import re
import shutil
import sqlite3
import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import cache, cached_property
from typing import Any, Protocol

from carengine.fieldmap import unwrap
from carengine.languages.writing import Translation
from carengine.sql import register_regexp
from carengine.values import raw_text, text_of
from spark_session import spark_session

Events = Sequence[Mapping[str, Any]]

SYSMON_FIELDS = frozenset(
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
"""What flat Sysmon events can have, of what rules ask for: the columns that a table of them is
given."""


def columns_of(event: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """An event's fields as texts, by their paths. Lists and nulls have none."""
    made: dict[str, str] = {}
    for key, value in event.items():
        if isinstance(value, Mapping):
            made |= columns_of(value, f"{prefix}{key}.")
        elif (text := text_of(value)) is not None:
            made[prefix + key] = text
    return made


class Evidence:
    """Events, each flattened once; ``present`` are the names of all their fields."""

    def __init__(self, events: Events) -> None:
        self.events = events
        self.numbers = {id(event): number for number, event in enumerate(events)}

    @cached_property
    def flat(self) -> list[dict[str, str]]:
        """The columns of each event."""
        return [columns_of(unwrap(event)) for event in self.events]

    @cached_property
    def present(self) -> frozenset[str]:
        """The names of all columns."""
        return frozenset().union(*self.flat)

    def rows(self, names: Iterable[str]) -> list[tuple[Any, ...]]:
        """The rows of the table of events: number, raw text where it is among the names, and
        columns."""
        several = list(names)
        wanted = columns_in(several)
        with_raw = "raw" in several
        return [
            (number, raw_text(event) if with_raw else None, *map(found.get, wanted))
            for number, (event, found) in enumerate(zip(self.events, self.flat, strict=True))
        ]


def columns_in(names: Iterable[str]) -> list[str]:
    """The names that are fields of events, each once."""
    return [name for name in dict.fromkeys(names) if name not in ("raw", "event_id")]


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


class Table(Protocol):
    """A table of events in a product."""

    def query(self, text: str) -> list[dict[str, Any]]:
        """The rows of a query, by column."""
        ...


class DuckDB:
    """The events as a table in DuckDB."""

    def __init__(self, evidence: Evidence, names: Iterable[str]) -> None:
        import duckdb

        several = list(names)
        wanted = columns_in(several)
        # The one connection of the process: a new one takes longer than most queries.
        self.connection = duckdb.default_connection()
        columns = ["event_id BIGINT", "raw VARCHAR", *(f"{_quoted(n)} VARCHAR" for n in wanted)]
        self.connection.execute(f"CREATE OR REPLACE TABLE events ({', '.join(columns)})")
        rows = evidence.rows(several)
        if len(rows) > 100:
            self._load(rows, ["event_id", "raw", *wanted])
        elif rows:
            self._insert(rows)

    def _load(self, rows: list[tuple[Any, ...]], names: list[str]) -> None:
        """Many rows, by way of a file: parameters take DuckDB a hundred times as long."""
        with tempfile.NamedTemporaryFile("w", suffix=".jsonl", encoding="utf-8") as file:
            for row in rows:
                file.write(json.dumps({f"c{n}": cell for n, cell in enumerate(row)}) + "\n")
            file.flush()
            kinds = ", ".join(
                f"c{n}: '{'BIGINT' if n == 0 else 'VARCHAR'}'" for n in range(len(names))
            )
            self.connection.execute(
                f"INSERT INTO events SELECT * FROM read_json('{file.name}', "
                f"format='newline_delimited', columns={{{kinds}}}, maximum_object_size=100000000)"
            )

    def _insert(self, rows: list[tuple[Any, ...]]) -> None:
        marks = ", ".join("(" + ", ".join("?" * len(row)) + ")" for row in rows)
        self.connection.execute(
            f"INSERT INTO events VALUES {marks}", [cell for row in rows for cell in row]
        )

    def query(self, text: str) -> list[dict[str, Any]]:
        """The rows of a query, by column."""
        found = self.connection.execute(text)
        names = [column[0] for column in found.description]
        return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


class SQLite:
    """The events as a table in SQLite."""

    def __init__(self, evidence: Evidence, names: Iterable[str]) -> None:
        several = list(names)
        wanted = columns_in(several)
        self.connection = sqlite3.connect(":memory:")
        register_regexp(self.connection)
        columns = ["event_id INTEGER", "raw TEXT", *(f"{_quoted(n)} TEXT" for n in wanted)]
        self.connection.execute(f"CREATE TABLE events ({', '.join(columns)})")
        marks = ", ".join("?" * len(columns))
        self.connection.executemany(
            f"INSERT INTO events VALUES ({marks})",
            evidence.rows(several),
        )

    def query(self, text: str) -> list[dict[str, Any]]:
        """The rows of a query, by column."""
        found = self.connection.execute(text)
        names = [column[0] for column in found.description]
        return [dict(zip(names, row, strict=True)) for row in found.fetchall()]

    def as_zircolite(self) -> None:
        """A second table, ``logs``, as Zircolite sets it up for the queries of pySigma's backend."""

        def found(pattern: str, value: str | None) -> bool:
            return value is not None and re.search(pattern, value) is not None

        self.connection.create_function("REGEXP", 2, found, deterministic=True)
        names = [row[1] for row in self.connection.execute("PRAGMA table_info(events)")]
        columns = ", ".join(f"{_quoted(n)} TEXT COLLATE NOCASE" for n in names)
        self.connection.execute(f"CREATE TABLE logs ({columns})")
        self.connection.execute("INSERT INTO logs SELECT * FROM events")


def numbers_in(rows: Iterable[Mapping[str, Any]]) -> Counter[tuple[Any, ...]]:
    """The numbers of the events that rows are made of."""
    made: Counter[tuple[Any, ...]] = Counter()
    for row in rows:
        ids = [row[name] for name in row if name == "event_id" or name.endswith(".event_id")]
        made[tuple(map(int, ids))] += 1
    return made


def run_eql(
    translations: Iterable[Translation], events: Events
) -> dict[tuple[str, str], Counter[tuple[Any, ...]]]:
    """What queries find, by rule and output: the numbers of the events. One pass for all."""
    from eql.ast import EqlAnalytic
    from eql.engine import PythonEngine
    from eql.events import Event
    from eql.parser import parse_query

    engine = PythonEngine({"flatten": False})
    found: dict[tuple[str, str], Counter[tuple[Any, ...]]] = {}
    for translation in translations:
        for query in translation.queries:
            name = (translation.rule, query.output)
            found[name] = Counter()
            parsed = parse_query(query.text, implied_any=True, implied_base=True)
            engine.add_analytic(EqlAnalytic(query=parsed, metadata={"id": name}))

    def add(result: Any) -> None:
        numbers = tuple(event.data["event_number"] for event in result.events)
        found[result.analytic_id][numbers] += 1

    engine.add_output_hook(add)
    engine.stream_events(
        Event("generic", number, {**unwrap(event), "event_number": number})
        for number, event in enumerate(events)
    )
    return found


class Postgres:
    """The events as a table in PostgreSQL, by way of its own client ``psql``. Needs
    `postgres_server`."""

    def __init__(self, evidence: Evidence, names: Iterable[str]) -> None:
        several = list(names)
        wanted = columns_in(several)
        columns = ["event_id BIGINT", "raw TEXT", *(f"{_quoted(n)} TEXT" for n in wanted)]
        lines = ["DROP TABLE IF EXISTS events;", f"CREATE TABLE events ({', '.join(columns)});"]
        lines.append("COPY events FROM STDIN;")
        lines += ["\t".join(map(_copied, row)) for row in evidence.rows(several)]
        self._run("\n".join([*lines, "\\.", ""]))

    def query(self, text: str) -> list[dict[str, Any]]:
        """The rows of a query, by column."""
        text = text.strip().rstrip(";")
        found = self._run(f"SELECT row_to_json(q) FROM (\n{text}\n) AS q;\n")
        return [json.loads(line) for line in found.splitlines()]

    @staticmethod
    def _run(script: str) -> str:
        folder = postgres_server()
        assert folder is not None
        client = shutil.which("psql") or "psql"
        command = [client, "-X", "-q", "-At", "-v", "ON_ERROR_STOP=1", "-h", folder, "-U", "tests"]
        made = subprocess.run(
            [*command, "-d", "postgres", "-f", "-"],
            input=script,
            capture_output=True,
            text=True,
            encoding="utf-8",
            check=False,
        )
        assert made.returncode == 0, made.stderr
        return made.stdout


def _copied(cell: Any) -> str:
    """A cell as ``COPY`` reads it."""
    if cell is None:
        return "\\N"
    escapes = {"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"}
    return "".join(escapes.get(character, character) for character in str(cell))


@cache
def postgres_server() -> str | None:
    """The folder with the socket of a PostgreSQL server of our own; None where there is no
    PostgreSQL.

    It runs until the process ends, on a data folder that goes with it.
    """
    programs = [shutil.which(name) for name in ("initdb", "pg_ctl", "psql")]
    if None in programs:
        return None
    initdb, control, _ = map(str, programs)
    folder = tempfile.mkdtemp(prefix="carengine-postgres-")
    # The server refuses to run for root.
    user: dict[str, Any] = {}
    if os.getuid() == 0:
        account = next((a for a in pwd.getpwall() if a.pw_name in ("postgres", "nobody")), None)
        if account is None:
            return None
        user = {"user": account.pw_uid, "group": account.pw_gid}
        os.chown(folder, account.pw_uid, account.pw_gid)
    data = os.path.join(folder, "data")

    def run(*command: str) -> bool:
        null = subprocess.DEVNULL
        made = subprocess.run(command, check=False, stdout=null, stderr=null, cwd=folder, **user)
        return made.returncode == 0

    made = run(initdb, "-D", data, "-U", "tests", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8")
    options = f"-k {folder} -c listen_addresses='' -c fsync=off"
    if not made or not run(control, "-D", data, "-w", "-o", options, "start"):
        shutil.rmtree(folder, ignore_errors=True)
        return None

    def stop() -> None:
        run(control, "-D", data, "-m", "immediate", "stop")
        shutil.rmtree(folder, ignore_errors=True)

    atexit.register(stop)
    return folder


class Spark:
    """The events as a table in Spark."""

    def __init__(self, evidence: Evidence, names: Iterable[str]) -> None:
        from pyspark.sql.types import LongType, StringType, StructField, StructType

        several = list(names)
        self.session = spark_session()
        texts = [StructField(name, StringType()) for name in ("raw", *columns_in(several))]
        shape = StructType([StructField("event_id", LongType()), *texts])
        self.session.createDataFrame(evidence.rows(several), shape).createOrReplaceTempView(
            "events"
        )

    def query(self, text: str) -> list[dict[str, Any]]:
        """The rows of a query, by column."""
        return [row.asDict() for row in self.session.sql(text.strip().rstrip(";")).collect()]


class ClickHouse:
    """The events as a table in ClickHouse, which the package chdb runs inside this process."""

    def __init__(self, evidence: Evidence, names: Iterable[str]) -> None:
        several = list(names)
        wanted = columns_in(several)
        columns = ["event_id", "raw", *wanted]
        kinds = ["Int64", *["Nullable(String)"] * (len(columns) - 1)]
        told = ", ".join(f"{_backquoted(n)} {k}" for n, k in zip(columns, kinds, strict=True))
        clickhouse_session().query("DROP TABLE IF EXISTS events")
        clickhouse_session().query(f"CREATE TABLE events ({told}) ENGINE = Memory")
        rows = evidence.rows(several)
        if not rows:
            return
        with tempfile.NamedTemporaryFile("w", suffix=".jsonl", encoding="utf-8") as file:
            for row in rows:
                cells = dict(zip(columns, row, strict=True))
                file.write(json.dumps(cells, ensure_ascii=False) + "\n")
            file.flush()
            clickhouse_session().query(
                f"INSERT INTO events SELECT * FROM file('{file.name}', 'JSONEachRow', '{_told(told)}')"
            )

    def query(self, text: str) -> list[dict[str, Any]]:
        """The rows of a query, by column."""
        found = clickhouse_session().query(text, "JSONEachRow")
        return [json.loads(line) for line in str(found).splitlines() if line]


def _backquoted(name: str) -> str:
    return "`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`"


def _told(columns: str) -> str:
    return columns.replace("\\", "\\\\").replace("'", "\\'")


@cache
def clickhouse_session() -> Any:
    """The one session of the process with ClickHouse. Needs the package chdb."""
    from chdb.session import Session

    session = Session()
    # Numbers as JSON has them, and not as texts.
    session.query("SET output_format_json_quote_64bit_integers = 0")
    return session
