"""Running translations: events as tables for DuckDB and SQLite, as a stream for the eql package.

``Table`` is what ``docs`` of the SQL targets ask for: one row an event, ``event_id`` its number, every raw field a text column
named by its path. What the engine says about the same events is the measure.
"""

from __future__ import annotations

import json
import sqlite3
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from carengine.fieldmap import unwrap
from carengine.translate import Translation
from carengine.values import raw_text, text_of

Events = Sequence[Mapping[str, Any]]


def columns_of(event: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """An event's fields as texts, by their paths. Lists and nulls have none."""
    made: dict[str, str] = {}
    for key, value in event.items():
        if isinstance(value, Mapping):
            made |= columns_of(value, f"{prefix}{key}.")
        elif (text := text_of(value)) is not None:
            made[prefix + key] = text
    return made


def rows_of(events: Events, names: Iterable[str]) -> list[tuple[Any, ...]]:
    """The rows of the table of events, with the event's number and its raw text in front."""
    several = list(names)
    wanted = [name for name in several if name not in ("raw", "event_id")]
    with_raw = "raw" in several
    rows = []
    for number, event in enumerate(events):
        inner = unwrap(event)
        found = columns_of(inner)
        rows.append(
            (number, raw_text(event) if with_raw else None, *(found.get(name) for name in wanted))
        )
    return rows


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


class DuckDB:
    """The events as a table in DuckDB."""

    def __init__(self, events: Events, names: Iterable[str]) -> None:
        import duckdb

        several = list(dict.fromkeys(names))
        wanted = [name for name in several if name not in ("raw", "event_id")]
        # The one connection of the process: a new one takes longer than most queries.
        self.connection = duckdb.default_connection()
        columns = ["event_id BIGINT", "raw VARCHAR", *(f"{_quoted(n)} VARCHAR" for n in wanted)]
        self.connection.execute(f"CREATE OR REPLACE TABLE events ({', '.join(columns)})")
        rows = rows_of(events, [*wanted, *(["raw"] if "raw" in several else [])])
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

    def __init__(self, events: Events, names: Iterable[str]) -> None:
        several = list(dict.fromkeys(names))
        wanted = [name for name in several if name not in ("raw", "event_id")]
        self.connection = sqlite3.connect(":memory:")
        columns = ["event_id INTEGER", "raw TEXT", *(f"{_quoted(n)} TEXT" for n in wanted)]
        self.connection.execute(f"CREATE TABLE events ({', '.join(columns)})")
        marks = ", ".join("?" * len(columns))
        self.connection.executemany(
            f"INSERT INTO events VALUES ({marks})",
            rows_of(events, [*wanted, *(["raw"] if "raw" in several else [])]),
        )

    def query(self, text: str) -> list[dict[str, Any]]:
        """The rows of a query, by column."""
        found = self.connection.execute(text)
        names = [column[0] for column in found.description]
        return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


def numbers_in(rows: Iterable[Mapping[str, Any]]) -> Counter[tuple[Any, ...]]:
    """The numbers of the events that rows are made of."""
    made: Counter[tuple[Any, ...]] = Counter()
    for row in rows:
        ids = [row[name] for name in row if name == "event_id" or name.endswith(".event_id")]
        made[tuple(ids)] += 1
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
