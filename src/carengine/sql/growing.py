"""Tables of events that get columns and rows while they are filled, in DuckDB and SQLite."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from attrs import define, field

from ..diagnostics import CarError, Diagnostic, codes
from .cells import Columns

_TEXT = {
    "duckdb": "VARCHAR",
    "sqlite": "TEXT",
    "postgres": "TEXT",
    "spark": "STRING",
    "clickhouse": "Nullable(String)",
}

Source = tuple[int, str, int, str]
"""An event as it was read: its number, where it is from (source and record), and its JSON."""


class Filling(Protocol):
    """How rows come into a product, by one connection."""

    target: str
    key: str
    """The type of the events' numbers."""

    def execute(self, statement: str) -> object:
        """Run a statement."""
        ...

    def insert(self, table: str, first: int, batch: Sequence[Mapping[str, str]]) -> None:
        """Add events, by the names of their columns; the first has this number."""
        ...

    def insert_sources(self, table: str, sources: Sequence[Source]) -> None:
        """Add events as they were read."""
        ...


@define(eq=False)
class GrowingTable:
    """A table of events that gets its columns as events ask for them.

    ``raw`` and ``events`` are those of `carengine.sql.load`.
    """

    filling: Filling
    name: str
    raw: bool = field(kw_only=True)
    events: bool = field(kw_only=True)
    _columns: int = 0

    def create(self) -> None:
        """Make the table, without columns for fields yet."""
        filling = self.filling
        text = text_type(filling.target)
        raw = f", raw {text}" if self.raw else ""
        filling.execute(f"CREATE TABLE {self._name()} (event_id {filling.key}{raw})")
        if self.events:
            filling.execute(
                f"CREATE TABLE {self._name('_source')} "
                f"(event_id {filling.key}, source {text}, record BIGINT, event {text})"
            )

    def add(
        self,
        columns: Columns,
        first: int,
        batch: Sequence[Mapping[str, str]],
        sources: Sequence[Source],
    ) -> None:
        """Add rows, and the columns that they need."""
        target = self.filling.target
        for name in columns.names[self._columns :]:
            self.filling.execute(
                f"ALTER TABLE {self._name()} ADD COLUMN {quoted(name, target)} {text_type(target)}"
            )
        self._columns = len(columns.names)
        if batch:
            self.filling.insert(self._name(), first, batch)
        if sources:
            self.filling.insert_sources(self._name("_source"), sources)

    def _name(self, ending: str = "") -> str:
        return quoted(self.name + ending, self.filling.target)


class SQLiteFilling:
    """Rows into SQLite: each with the columns that it has."""

    target = "sqlite"
    key = "INTEGER PRIMARY KEY"

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self.execute = connection.execute

    def insert(self, table: str, first: int, batch: Sequence[Mapping[str, str]]) -> None:
        """Add events, by the names of their columns; the first has this number."""
        for number, cells in enumerate(batch, first):
            names = ", ".join(quoted(name, self.target) for name in ("event_id", *cells))
            marks = ", ".join("?" * (1 + len(cells)))
            statement = f"INSERT INTO {table} ({names}) VALUES ({marks})"
            self.execute(statement, (number, *cells.values()))
        self._connection.commit()

    def insert_sources(self, table: str, sources: Sequence[Source]) -> None:
        """Add events as they were read."""
        self._connection.executemany(f"INSERT INTO {table} VALUES (?, ?, ?, ?)", sources)
        self._connection.commit()


class DuckDBFilling:
    """Rows into DuckDB: by way of tables of pyarrow."""

    target = "duckdb"
    key = "BIGINT"

    def __init__(self, connection: Any, arrow: Any) -> None:
        self._connection = connection
        self._arrow = arrow
        self.execute = connection.execute

    def insert(self, table: str, first: int, batch: Sequence[Mapping[str, str]]) -> None:
        """Add events, by the names of their columns; the first has this number."""
        arrow = self._arrow
        texts: dict[str, list[str | None]] = {}
        for place, cells in enumerate(batch):
            for name, text in cells.items():
                if name not in texts:
                    texts[name] = [None] * len(batch)
                texts[name][place] = text
        # By place and not by name: names that differ in case only are one to DuckDB.
        data = [arrow.array(range(first, first + len(batch)), arrow.int64())]
        data += [arrow.array(column, arrow.string()) for column in texts.values()]
        into = ", ".join(quoted(name, self.target) for name in ("event_id", *texts))
        self._insert(f"{table} ({into})", data)

    def insert_sources(self, table: str, sources: Sequence[Source]) -> None:
        """Add events as they were read."""
        arrow = self._arrow
        kinds = (arrow.int64(), arrow.string(), arrow.int64(), arrow.string())
        parts = zip(zip(*sources, strict=True), kinds, strict=True)
        self._insert(table, [arrow.array(part, kind) for part, kind in parts])

    def _insert(self, into: str, data: list[Any]) -> None:
        found = self._arrow.table(data, names=[f"c{n}" for n in range(len(data))])
        self._connection.register("carengine_batch", found)
        try:
            self.execute(f"INSERT INTO {into} SELECT * FROM carengine_batch")
        finally:
            self._connection.unregister("carengine_batch")


def duckdb_filling(connection: Any) -> DuckDBFilling:
    """Rows into DuckDB. Raises `CarError` where pyarrow is missing (CE906)."""
    try:
        import pyarrow
    except ImportError:
        message = "DuckDB is filled by way of pyarrow: pip install 'carengine[duckdb]'"
        raise CarError([Diagnostic(codes.MISSING_LIBRARY, message)]) from None
    return DuckDBFilling(connection, pyarrow)


def text_type(target: str) -> str:
    """A product's type of texts. Raises `CarError` for a product that is not known (CE903)."""
    if target not in _TEXT:
        message = f"no statement is known for {target}; there are {', '.join(_TEXT)}"
        raise CarError([Diagnostic(codes.UNKNOWN_TARGET, message)])
    return _TEXT[target]


def quoted(name: str, target: str) -> str:
    """A name as a product quotes it."""
    if target == "clickhouse":
        return "`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`"
    if target == "spark":
        return "`" + name.replace("`", "``") + "`"
    return '"' + name.replace('"', '""') + '"'
