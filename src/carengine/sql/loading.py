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

Logs = str | os.PathLike[str] | Reading | Iterable[Any]
"""Events: a path, several paths, what `carengine.read_events` gives, or mappings."""

_ROWS = 4_096
_SQLITE_COLUMNS = 1_990
_TEXT = {
    "duckdb": "VARCHAR",
    "sqlite": "TEXT",
    "postgres": "TEXT",
    "spark": "STRING",
    "clickhouse": "Nullable(String)",
}
_NUMBER = {"clickhouse": "Int64"}


def load(
    connection: Any, logs: Logs, name: str = "events", *, raw: bool = True, events: bool = False
) -> EventTable:
    """Make the table that translations ask, and fill it with events.

    ``connection`` is one of DuckDB or of Python's ``sqlite3``. ``logs`` are paths of files, folders
    and archives of any format that `carengine.read_events` knows, or events. The table ``name``
    must not be there yet. It gets a row for each event, in their order; ``event_id`` counts them
    from 0. ``raw=False`` leaves out the text of the event, which only rules with ``in raw event``
    ask for. With ``events`` a second table, ``NAME_source``, keeps each event as JSON and where it
    came from, as `SqlHunt` needs it.

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
        place: _DuckDBTable | _SQLiteTable = _SQLiteTable(connection, name, raw, events)
    elif type(connection).__module__.partition(".")[0] in ("duckdb", "_duckdb"):
        columns = Columns()
        place = _DuckDBTable(connection, name, raw, events)
    else:
        message = (
            f"no table is loaded by way of a {type(connection).__qualname__}: connections of "
            "DuckDB and sqlite3 are known; for others there are create_statement, "
            "insert_statement and rows"
        )
        raise CarError([Diagnostic(codes.UNKNOWN_TARGET, message)])
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
    text = _text_type(target)
    number = _NUMBER.get(target, "BIGINT")
    cells = [f"{_quoted(n, target)} {number if n == 'event_id' else text}" for n in table.names]
    ending = " ENGINE = MergeTree ORDER BY event_id" if target == "clickhouse" else ""
    return f"CREATE TABLE {_quoted(table.name, target)} ({', '.join(cells)}){ending}"


def insert_statement(table: EventTable, target: str, mark: str = "?") -> str:
    """The statement that inserts one of the `rows`; ``mark`` stands for a value.

    Drivers of PostgreSQL write ``%s``. ClickHouse takes rows by a format of its own: name the
    columns as `EventTable.names` does.

    >>> print(insert_statement(survey([{"Image": "x.exe"}], raw=False), "postgres", "%s"))
    INSERT INTO "events" ("event_id", "Image") VALUES (%s, %s)
    """
    _text_type(target)
    names = ", ".join(_quoted(name, target) for name in table.names)
    if mark.startswith("%"):
        names = names.replace("%", "%%")
    marks = ", ".join([mark] * len(table.names))
    return f"INSERT INTO {_quoted(table.name, target)} ({names}) VALUES ({marks})"


def _text_type(target: str) -> str:
    if target not in _TEXT:
        message = f"no statement is known for {target}; there are {', '.join(_TEXT)}"
        raise CarError([Diagnostic(codes.UNKNOWN_TARGET, message)])
    return _TEXT[target]


def _quoted(name: str, target: str) -> str:
    if target == "clickhouse":
        return "`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`"
    if target == "spark":
        return "`" + name.replace("`", "``") + "`"
    return '"' + name.replace('"', '""') + '"'


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


class _SQLiteTable:
    """A table of events that grows in SQLite."""

    def __init__(self, connection: sqlite3.Connection, name: str, raw: bool, events: bool) -> None:
        self.connection = connection
        self.name = name
        self.raw = raw
        self.events = events
        self.there = 0

    def create(self) -> None:
        """Make the table, without columns for fields yet."""
        raw = ", raw TEXT" if self.raw else ""
        self.connection.execute(f"CREATE TABLE {self._name()} (event_id INTEGER PRIMARY KEY{raw})")
        if self.events:
            self.connection.execute(
                f"CREATE TABLE {self._name('_source')} (event_id INTEGER PRIMARY KEY, "
                "source TEXT, record INTEGER, event TEXT)"
            )

    def add(
        self,
        columns: Columns,
        first: int,
        batch: list[dict[str, str]],
        sources: list[tuple[int, str, int, str]],
    ) -> None:
        """Add rows, and the columns that they need."""
        for name in columns.names[self.there :]:
            self.connection.execute(
                f"ALTER TABLE {self._name()} ADD COLUMN {_quoted(name, 'sqlite')} TEXT"
            )
        self.there = len(columns.names)
        for number, cells in enumerate(batch, first):
            names = ", ".join(_quoted(name, "sqlite") for name in ("event_id", *cells))
            marks = ", ".join("?" * (1 + len(cells)))
            self.connection.execute(
                f"INSERT INTO {self._name()} ({names}) VALUES ({marks})", (number, *cells.values())
            )
        if sources:
            source = self._name("_source")
            self.connection.executemany(f"INSERT INTO {source} VALUES (?, ?, ?, ?)", sources)
        self.connection.commit()

    def _name(self, ending: str = "") -> str:
        return _quoted(self.name + ending, "sqlite")


class _DuckDBTable:
    """A table of events that grows in DuckDB."""

    def __init__(self, connection: Any, name: str, raw: bool, events: bool) -> None:
        try:
            import pyarrow
        except ImportError:
            message = "DuckDB is filled by way of pyarrow: pip install 'carengine[duckdb]'"
            raise CarError([Diagnostic(codes.MISSING_LIBRARY, message)]) from None
        self.arrow = pyarrow
        self.connection = connection
        self.name = name
        self.raw = raw
        self.events = events
        self.there = 0

    def create(self) -> None:
        """Make the table, without columns for fields yet."""
        raw = ", raw VARCHAR" if self.raw else ""
        self.connection.execute(f"CREATE TABLE {self._name()} (event_id BIGINT{raw})")
        if self.events:
            self.connection.execute(
                f"CREATE TABLE {self._name('_source')} "
                "(event_id BIGINT, source VARCHAR, record BIGINT, event VARCHAR)"
            )

    def add(
        self,
        columns: Columns,
        first: int,
        batch: list[dict[str, str]],
        sources: list[tuple[int, str, int, str]],
    ) -> None:
        """Add rows, and the columns that they need."""
        new = columns.names[self.there :]
        self.there = len(columns.names)
        for name in new:
            self.connection.execute(
                f"ALTER TABLE {self._name()} ADD COLUMN {_quoted(name, 'duckdb')} VARCHAR"
            )
        if not batch:
            return
        arrow = self.arrow
        texts: dict[str, list[str | None]] = {}
        for place, cells in enumerate(batch):
            for name, text in cells.items():
                if name not in texts:
                    texts[name] = [None] * len(batch)
                texts[name][place] = text
        # By place and not by name: names that differ in case only are one to DuckDB.
        data = [arrow.array(range(first, first + len(batch)), arrow.int64())]
        data += [arrow.array(column, arrow.string()) for column in texts.values()]
        into = ", ".join(_quoted(name, "duckdb") for name in ("event_id", *texts))
        self._insert(f"{self._name()} ({into})", data)
        if sources:
            kinds = (arrow.int64(), arrow.string(), arrow.int64(), arrow.string())
            parts = zip(zip(*sources, strict=True), kinds, strict=True)
            self._insert(self._name("_source"), [arrow.array(p, kind) for p, kind in parts])

    def _insert(self, into: str, data: list[Any]) -> None:
        found = self.arrow.table(data, names=[f"c{n}" for n in range(len(data))])
        self.connection.register("carengine_batch", found)
        try:
            self.connection.execute(f"INSERT INTO {into} SELECT * FROM carengine_batch")
        finally:
            self.connection.unregister("carengine_batch")

    def _name(self, ending: str = "") -> str:
        return _quoted(self.name + ending, "duckdb")
