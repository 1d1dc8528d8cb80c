"""Rows of Arrow tables as events of a session."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from attrs import define, field

from ...diagnostics import Diagnostic, codes, counted
from ...jsontext import UnreadableError, loads
from ..match import Match, Origin
from ..session import Session
from .columns import column_values

# As many rows are held as Python objects at a time, and so many unreadable ones are named.
_ROWS = 16_384
_NAMED = 20


@define(eq=False)
class TableRows:
    """The account of the rows of tables that were read.

    ``rows`` counts all; ``unreadable`` those of a column of JSON that hold no JSON object, of which
    the first are named in ``reasons``. ``source`` is what matches call the table.
    """

    source: str = "table"
    rows: int = 0
    unreadable: int = 0
    reasons: list[str] = field(factory=list)

    def note(self, reason: str, origin: Origin) -> None:
        """The row of this origin is left out."""
        self.unreadable += 1
        if len(self.reasons) < _NAMED:
            self.reasons.append(f"{origin.source}:{origin.record}: {reason}")

    def as_data(self) -> list[Any]:
        """The counts as plain data, for `add`."""
        return [self.rows, self.unreadable, self.reasons]

    def add(self, data: list[Any]) -> None:
        """Count in what `as_data` gave elsewhere."""
        rows, unreadable, reasons = data
        self.rows += rows
        self.unreadable += unreadable
        self.reasons += reasons[: max(0, _NAMED - len(self.reasons))]

    @property
    def diagnostics(self) -> tuple[Diagnostic, ...]:
        """What there is to say of rows that were not read (CE502)."""
        if not self.unreadable:
            return ()
        message = f"{counted(self.unreadable, 'row')} of {self.rows:,} hold no JSON object"
        more = self.unreadable - len(self.reasons)
        notes = (*self.reasons, f"and {counted(more, 'row')} more") if more else self.reasons
        return (Diagnostic(codes.UNREADABLE_RECORD, message, notes=tuple(notes)),)


def feed_table(session: Session, table: Any, account: TableRows, json: str = "") -> Iterator[Match]:
    """Feed the rows of a table to a session; the matches as they come, without those of the end.

    ``table`` has the Arrow PyCapsule stream or array, or is an iterable of what has. ``json`` names
    the column of JSON text; without it, the only column of a table is JSON where it holds text.

    Raises `TypeError` for what is no table, and ``ValueError`` for two columns of one name or a
    ``json`` that names none.
    """
    for batch in _batches(table):
        yield from feed_batch(session, batch, account, json)


def feed_batch(
    session: Session,
    batch: Any,
    account: TableRows,
    json: str = "",
    *,
    source: str = "",
    record: str = "",
) -> Iterator[Match]:
    """`feed_table` of one ``pyarrow.RecordBatch``.

    ``source`` names a column that says where each row is from, ``record`` one with its number
    there: they are no part of the event. Without them a row's origin is the account's source, and
    its place in it.
    """
    names = batch.schema.names
    if len(set(names)) < len(names):
        twice = sorted({name for name in names if names.count(name) > 1})
        raise ValueError(f"the table has two columns named {', '.join(twice)}")
    for name in (json, source, record):
        if name and name not in names:
            raise ValueError(f"the table has no column {name}; it has {', '.join(names)}")
    events = batch.select([name for name in names if name not in (source, record)])
    text = json or json_column(events.schema)
    for begin in range(0, batch.num_rows, _ROWS):
        part = events.slice(begin, _ROWS)
        origins = _origins(batch.slice(begin, _ROWS), account, source, record)
        if text:
            yield from _feed_json(session, column_values(part.column(text)), account, origins)
        else:
            yield from _feed_rows(session, part, account, origins)


def batch_events(batch: Any, account: TableRows, json: str = "") -> Iterator[dict[str, Any]]:
    """The events of the rows of a ``pyarrow.RecordBatch``, as `feed_batch` reads them."""
    text = json or json_column(batch.schema)
    for begin in range(0, batch.num_rows, _ROWS):
        part = batch.slice(begin, _ROWS)
        if not text:
            yield from _rows_of(part, account)
            continue
        for one in column_values(part.column(text)):
            account.rows += 1
            try:
                event = loads(one.encode("utf-8", "surrogatepass")) if one is not None else None
                if not isinstance(event, dict):
                    raise UnreadableError("null" if one is None else "the line is no JSON object")
            except ValueError as error:
                account.note(str(error), Origin(account.source, account.rows))
                continue
            yield event


def json_column(schema: Any) -> str:
    """The column of JSON text of a ``pyarrow.Schema``: its only one, where it holds text."""
    names = schema.names
    return names[0] if len(names) == 1 and _is_text(schema.field(0).type) else ""


def _origins(batch: Any, account: TableRows, source: str, record: str) -> Iterator[Origin]:
    size = batch.num_rows
    first = account.rows + 1
    numbers: Any = range(first, first + size)
    if record:
        numbers = [_whole(one) for one in column_values(batch.column(record))]
    elif source:
        numbers = [0] * size
    sources: Any = [account.source] * size
    if source:
        sources = [_named(one) for one in column_values(batch.column(source))]
    return map(Origin, sources, numbers)


def _whole(value: Any) -> int:
    return value if type(value) is int else 0


def _named(value: Any) -> str:
    return value if isinstance(value, str) else ("" if value is None else str(value))


def _batches(table: Any) -> Iterator[Any]:
    import pyarrow as pa

    if hasattr(table, "__arrow_c_stream__"):
        yield from pa.RecordBatchReader.from_stream(table)
    elif hasattr(table, "__arrow_c_array__"):
        yield pa.record_batch(table)
    elif hasattr(table, "__iter__") and not isinstance(table, str | bytes | dict):
        for one in table:
            if not (hasattr(one, "__arrow_c_stream__") or hasattr(one, "__arrow_c_array__")):
                raise _no_table(one)
            yield from _batches(one)
    else:
        raise _no_table(table)


def _no_table(value: Any) -> TypeError:
    return TypeError(
        f"a {type(value).__name__} is no table with the Arrow stream (__arrow_c_stream__): "
        "hand over a table of pyarrow, polars, pandas or DuckDB"
    )


def _is_text(kind: Any) -> bool:
    import pyarrow as pa

    if isinstance(kind, pa.BaseExtensionType):
        kind = kind.storage_type
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    is_ = pa.types
    return bool(is_.is_string(kind) or is_.is_large_string(kind) or is_.is_string_view(kind))


def _feed_json(
    session: Session, texts: list[Any], account: TableRows, origins: Iterator[Origin]
) -> Iterator[Match]:
    for text, origin in zip(texts, origins, strict=True):
        account.rows += 1
        if text is None:
            account.note("null", origin)
            continue
        try:
            matches = session.feed_line(text.encode("utf-8", "surrogatepass"), origin)
        except ValueError as error:
            account.note(str(error), origin)
            continue
        yield from matches


def _feed_rows(
    session: Session, batch: Any, account: TableRows, origins: Iterator[Origin]
) -> Iterator[Match]:
    feed = session.feed_decoded
    for event, origin in zip(_rows_of(batch, account), origins, strict=True):
        matches = feed(event, origin)
        if matches:
            yield from matches


def _rows_of(batch: Any, account: TableRows) -> Iterator[dict[str, Any]]:
    names = batch.schema.names
    columns = [column_values(column) for column in batch.columns]
    rows: Any = zip(*columns, strict=True) if columns else (() for _ in range(batch.num_rows))
    for row in rows:
        account.rows += 1
        yield {name: value for name, value in zip(names, row, strict=True) if value is not None}
