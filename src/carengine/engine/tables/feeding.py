"""Rows of Arrow tables as events of a session."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from attrs import define, field

from ...diagnostics import Diagnostic, codes, counted
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

    def note(self, reason: str) -> None:
        """The row counted last is left out."""
        self.unreadable += 1
        if len(self.reasons) < _NAMED:
            self.reasons.append(f"{self.source}:{self.rows}: {reason}")

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
        names = batch.schema.names
        if len(set(names)) < len(names):
            twice = sorted({name for name in names if names.count(name) > 1})
            raise ValueError(f"the table has two columns named {', '.join(twice)}")
        if json and json not in names:
            raise ValueError(f"the table has no column {json}; it has {', '.join(names)}")
        text = json or (
            names[0] if len(names) == 1 and _is_text(batch.schema.field(0).type) else ""
        )
        for begin in range(0, batch.num_rows, _ROWS):
            part = batch.slice(begin, _ROWS)
            if text:
                yield from _feed_json(session, column_values(part.column(text)), account)
            else:
                yield from _feed_rows(session, part, account)


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


def _feed_json(session: Session, texts: list[Any], account: TableRows) -> Iterator[Match]:
    for text in texts:
        account.rows += 1
        if text is None:
            account.note("null")
            continue
        try:
            matches = session.feed_line(
                text.encode("utf-8", "surrogatepass"), Origin(account.source, account.rows)
            )
        except ValueError as error:
            account.note(str(error))
            continue
        yield from matches


def _feed_rows(session: Session, batch: Any, account: TableRows) -> Iterator[Match]:
    names = batch.schema.names
    columns = [column_values(column) for column in batch.columns]
    rows: Any = zip(*columns, strict=True) if columns else (() for _ in range(batch.num_rows))
    source, feed = account.source, session.feed_decoded
    for row in rows:
        account.rows += 1
        event = {name: value for name, value in zip(names, row, strict=True) if value is not None}
        matches = feed(event, Origin(source, account.rows))
        if matches:
            yield from matches
