"""Tables of events: loaded into DuckDB and SQLite, and the statements for other products."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ..diagnostics import CarError, Diagnostic, codes
from ..engine import Origin
from ..evaluate import searchable
from ..fieldmap import unwrap
from ..languages.event_table import EventTable
from ..pyvalues import plain_event
from ..readers import Reading, Record, read_events
from ..values import raw_text
from .cells import Columns
from .growing import Filling, GrowingTable, SQLiteFilling, duckdb_filling, quoted, text_type
from .regexp import register_regexp

Logs = str | os.PathLike[str] | Reading | Iterable[Any]
"""Events: a path, several paths, what `carengine.read_events` gives, or mappings."""

_ROWS = 4_096
_SQLITE_COLUMNS = 1_990
_NUMBER = {"clickhouse": "Int64"}


def load(
    connection: Any, logs: Logs, name: str = "events", *, raw: bool = True, events: bool = False
) -> EventTable:
    """Make the table that translations ask, and fill it with events.

    ``connection`` is one of DuckDB or of Python's ``sqlite3``. ``logs`` are paths of files, folders
    and archives of any format that `carengine.read_events` knows, or events. The table ``name``
    must not be there yet. It gets a row for each event, in their order; ``event_id`` counts them
    from 0. ``raw=False`` leaves out the text of the event, which only rules with ``in raw event``
    ask for. A connection of SQLite gets the function that queries with regular expressions ask for
    (`register_regexp`). With ``events`` a second table, ``NAME_source``, keeps each event as JSON
    and where it came from, as `SqlHunt` needs it.

    What is held in memory is some thousand events, however many there are. Raises `CarError` where
    the connection is of another product (CE903), where a library is missing (CE906), and for more
    different fields than the product has columns (CE984). What could not be read of files is in
    the ``diagnostics`` of a `Reading`, if one is given as ``logs``.

    >>> import sqlite3
    >>> table = load(sqlite3.connect(":memory:"), [{"Image": "x.exe"}, {"Image": ["a", "b"]}])
    >>> table.rows, table.names
    (2, ('event_id', 'raw', 'Image', 'Image json'))
    """
    if isinstance(connection, sqlite3.Connection):
        columns = Columns(_SQLITE_COLUMNS)
        register_regexp(connection)
        filling: Filling = SQLiteFilling(connection)
    elif type(connection).__module__.partition(".")[0] in ("duckdb", "_duckdb"):
        columns = Columns()
        filling = duckdb_filling(connection)
    else:
        message = (
            f"no table is loaded by way of a {type(connection).__qualname__}: connections of "
            "DuckDB and sqlite3 are known; for others there are create_statement, "
            "insert_statement and rows"
        )
        raise CarError([Diagnostic(codes.UNKNOWN_TARGET, message)])
    place = GrowingTable(filling, name, raw=raw, events=events)
    place.create()
    batch: list[dict[str, str]] = []
    sources: list[tuple[int, str, int, str]] = []
    total = 0
    for event, origin in records_of(logs):
        shown = unwrap(event)
        cells = columns.cells(shown)
        if raw:
            cells["raw"] = searchable(raw_text(event))
        if events:
            sources.append((total, origin.source, origin.record, _as_json(event)))
        batch.append(cells)
        total += 1
        if len(batch) == _ROWS:
            place.add(columns, total - len(batch), batch, sources)
            batch, sources = [], []
    place.add(columns, total - len(batch), batch, sources)
    return columns.table(name, total, raw=raw)


def survey(logs: Logs, name: str = "events", *, raw: bool = True) -> EventTable:
    """The columns that a table of events has to have, without one: events are read once for it.

    >>> survey([{"Image": "x.exe", "User": None}]).names
    ('event_id', 'raw', 'Image', 'User json')
    """
    columns = Columns()
    total = 0
    for event, _ in records_of(logs):
        columns.cells(unwrap(event))
        total += 1
    return columns.table(name, total, raw=raw)


def rows(logs: Logs, table: EventTable) -> Iterator[tuple[Any, ...]]:
    """The rows of a table, in the order of its `EventTable.names`: a number, and texts or None.

    The events must be those that the table was made for by `survey`. PostgreSQL has no texts with
    a null character: put another one in its place (``text.replace("\\0", "\\ufffd")``).

    >>> events = [{"Image": "x.exe", "User": None}]
    >>> list(rows(events, survey(events)))
    [(0, '{"Image":"x.exe","User":null}', 'x.exe', 'null')]
    """
    columns = Columns()
    names = table.names[2 if table.raw else 1 :]
    spelled = {(c.path, True): c.texts for c in table.columns}
    spelled |= {(c.path, False): c.structures for c in table.columns}
    known = 0
    renamed: dict[str, str | None] | None = None
    for number, (event, _) in enumerate(records_of(logs)):
        shown = unwrap(event)
        cells = columns.cells(shown)
        if len(columns.names) != known:
            known = len(columns.names)
            same = columns.names == list(names[:known])
            renamed = None if same else _spelled_as(columns, spelled)
        if renamed is not None:
            cells = {new: text for old, text in cells.items() if (new := renamed.get(old))}
        made = [number, searchable(raw_text(event))] if table.raw else [number]
        yield (*made, *map(cells.get, names))


def _spelled_as(columns: Columns, spelled: Mapping[Any, str | None]) -> dict[str, str | None]:
    """What the columns are called in a table."""
    names: dict[str, str | None] = {}
    for column in columns.table("", 0, raw=False).columns:
        for name, texts in ((column.texts, True), (column.structures, False)):
            if name is not None:
                names[name] = spelled.get((column.path, texts))
    return names


def create_statement(table: EventTable, target: str) -> str:
    """The statement that creates a table, for ``duckdb``, ``sqlite``, ``postgres``, ``clickhouse``
    or ``spark``. Raises `CarError` for another one (CE903).

    >>> print(create_statement(survey([{"Image": "x.exe"}], raw=False), "postgres"))
    CREATE TABLE "events" ("event_id" BIGINT, "Image" TEXT)
    """
    text = text_type(target)
    number = _NUMBER.get(target, "BIGINT")
    cells = [f"{quoted(n, target)} {number if n == 'event_id' else text}" for n in table.names]
    ending = " ENGINE = MergeTree ORDER BY event_id" if target == "clickhouse" else ""
    return f"CREATE TABLE {quoted(table.name, target)} ({', '.join(cells)}){ending}"


def insert_statement(table: EventTable, target: str, mark: str = "?") -> str:
    """The statement that inserts one of the `rows`; ``mark`` stands for a value.

    Drivers of PostgreSQL write ``%s``. ClickHouse takes rows by a format of its own: name the
    columns as `EventTable.names` does.

    >>> print(insert_statement(survey([{"Image": "x.exe"}], raw=False), "postgres", "%s"))
    INSERT INTO "events" ("event_id", "Image") VALUES (%s, %s)
    """
    text_type(target)
    names = ", ".join(quoted(name, target) for name in table.names)
    if mark.startswith("%"):
        names = names.replace("%", "%%")
    marks = ", ".join([mark] * len(table.names))
    return f"INSERT INTO {quoted(table.name, target)} ({names}) VALUES ({marks})"


def records_of(logs: Logs) -> Iterator[tuple[Mapping[str, Any], Origin]]:
    """Events with their origins, whatever they are given as."""
    if isinstance(logs, str | os.PathLike):
        logs = read_events(os.fspath(logs))
    elif isinstance(logs, list | tuple) and logs and isinstance(logs[0], str | Path):
        logs = read_events(*logs)
    for number, item in enumerate(logs):
        if isinstance(item, Record):
            yield item.event, Origin(item.source, item.number)
        else:
            yield plain_event(item), Origin("", number)


def _as_json(event: Mapping[str, Any]) -> str:
    return json.dumps(event, ensure_ascii=True, separators=(",", ":"))
