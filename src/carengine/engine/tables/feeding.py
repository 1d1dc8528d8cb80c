"""Rows of Arrow tables as events of a session."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from attrs import define, field

from ...diagnostics import Diagnostic, codes, counted
from ...jsontext import UnreadableError, loads
from ..match import Match, Origin
from ..session import Session
from .columns import column_values
from .distinct import BatchColumns, member_names, plain_batch, rows_at, rows_of
from .selection import Selection, select_rows

# As many rows are held as Python objects at a time, and so many unreadable ones are named.
_ROWS = 16_384
_NAMED = 20
# As many are looked at together by columns, and of these as many are fed together.
_MANY_ROWS = 65_536
_FED_AT_ONCE = 1_024

FEW_ROWS = 256
"""Fewer rows than this are looked at one by one: to look at columns would cost more."""


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
    its place in it. Statistics and account are complete once all matches were taken.
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
    for begin, size in _parts(session, batch, text, source):
        part = events.slice(begin, size)
        origins = _Origins(batch.slice(begin, size), account, source, record)
        if text:
            for first in range(0, size, _ROWS):
                texts = column_values(part.column(text).slice(first, _ROWS))
                yield from _feed_json(session, texts, account, origins.of(first, len(texts)))
        else:
            yield from _feed_events(session, part, account, origins)
            account.rows += size


def _parts(session: Session, batch: Any, text: str, source: str) -> Iterator[tuple[int, int]]:
    """Where the parts of a batch begin that are looked at together, and how many rows they have:
    rows of one source where there are many in turn."""
    import pyarrow.compute as pc

    if not source or text or not batch.num_rows:
        ends: list[int] = [batch.num_rows]
    else:
        column = batch.column(source)
        ends = pc.run_end_encode(
            column.cast("large_string") if _is_text(column.type) else column.cast("string")
        ).run_ends.to_pylist()
        if len(ends) * FEW_ROWS > batch.num_rows:
            ends = [batch.num_rows]
    begin = 0
    for end in ends:
        for first in range(begin, end, _MANY_ROWS):
            yield first, min(_MANY_ROWS, end - first)
        begin = end


def batch_events(batch: Any, account: TableRows, json: str = "") -> Iterator[dict[str, Any]]:
    """The events of the rows of a ``pyarrow.RecordBatch``, as `feed_batch` reads them."""
    text = json or json_column(batch.schema)
    for begin in range(0, batch.num_rows, _ROWS):
        part = batch.slice(begin, _ROWS)
        if not text:
            account.rows += part.num_rows
            yield from rows_of(part)
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


@define(eq=False)
class _Origins:
    """Where the rows of a part are from; asked before the account counts them."""

    batch: Any
    account: TableRows
    source: str
    record: str
    _next: int = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._next = self.account.rows + 1

    def of(self, first: int, size: int) -> Iterator[Origin]:
        """The origins of so many rows from one on."""
        places = range(self._next + first, self._next + first + size)
        return self._of(self.batch.slice(first, size), places)

    def at(self, rows: list[int]) -> Iterator[Origin]:
        """The origins of the rows of these numbers."""
        import pyarrow as pa

        named = [name for name in (self.source, self.record) if name]
        part = self.batch.select(named).take(pa.array(rows, pa.int32())) if named else None
        return self._of(part, [self._next + row for row in rows])

    @property
    def only_source(self) -> str | None:
        """The one source of all rows; None where there are several."""
        if not self.source:
            return self.account.source
        named = {_named(one) for one in column_values(self.batch.column(self.source))}
        return named.pop() if len(named) == 1 else None

    def _of(self, part: Any, places: Any) -> Iterator[Origin]:
        numbers: Any = places
        if self.record:
            numbers = [_whole(one) for one in column_values(part.column(self.record))]
        elif self.source:
            numbers = [0] * len(places)
        sources: Any = [self.account.source] * len(places)
        if self.source:
            sources = [_named(one) for one in column_values(part.column(self.source))]
        return map(Origin, sources, numbers)


def _whole(value: Any) -> int:
    return value if type(value) is int else 0


def _named(value: Any) -> str:
    return value if isinstance(value, str) else ("" if value is None else str(value))


def _batches(table: Any) -> Iterator[Any]:
    import pyarrow as pa

    if hasattr(table, "__arrow_c_stream__"):
        yield from _larger(pa.RecordBatchReader.from_stream(table))
    elif hasattr(table, "__arrow_c_array__"):
        yield pa.record_batch(table)
    elif hasattr(table, "__iter__") and not isinstance(table, str | bytes | dict):
        for one in table:
            if not (hasattr(one, "__arrow_c_stream__") or hasattr(one, "__arrow_c_array__")):
                raise _no_table(one)
            yield from _batches(one)
    else:
        raise _no_table(table)


def _larger(batches: Iterable[Any]) -> Iterator[Any]:
    """Batches of a stream, small ones put together: of more rows together fewer values are
    distinct."""
    import pyarrow as pa

    waiting: list[Any] = []
    rows = 0
    for batch in batches:
        if waiting and rows + batch.num_rows > _MANY_ROWS:
            yield from pa.Table.from_batches(waiting).combine_chunks().to_batches()
            waiting, rows = [], 0
        if batch.num_rows:
            waiting.append(batch)
            rows += batch.num_rows
    if waiting:
        yield from pa.Table.from_batches(waiting).combine_chunks().to_batches()


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


def _feed_events(
    session: Session, batch: Any, account: TableRows, origins: _Origins
) -> Iterator[Match]:
    selection = _selection(session, batch, origins)
    if selection is None:
        for begin in range(0, batch.num_rows, _ROWS):
            events = rows_of(batch.slice(begin, _ROWS))
            for event, origin in zip(events, origins.of(begin, len(events)), strict=True):
                yield from session.feed_decoded(event, origin)
        return
    plain, source, chosen = selection
    stats = session.stats
    next_timed = 0
    for begin in range(0, len(chosen.feed), _FED_AT_ONCE):
        feed = chosen.feed[begin : begin + _FED_AT_ONCE]
        rows = [row for row, _, _ in feed]
        events = rows_at(plain, rows)
        for (row, leaf, passed), event, origin in zip(feed, events, origins.at(rows), strict=True):
            if chosen.times:
                yield from _tick(session, chosen.times, next_timed, row)
                next_timed = row + 1
            if leaf is not None and passed:
                stats.pass_over(leaf, passed, source)
            yield from session.feed_decoded(event, origin)
    if chosen.times:
        yield from _tick(session, chosen.times, next_timed, batch.num_rows)
    for leaf, passed in chosen.rest:
        stats.pass_over(leaf, passed, source)
    for one in chosen.silent:
        stats.note_fields(one.leaf, one.event, source, one.times)
    for clocks in chosen.clocks:
        stats.clocks.note(source, clocks)
    for leaf, passed in chosen.passed().items():
        assert leaf.target is not None
        for _, group in leaf.target.groups:
            group.matcher.passed(passed)


def _selection(
    session: Session, batch: Any, origins: _Origins
) -> tuple[Any, str, Selection] | None:
    """What is to be fed of a batch that is looked at by columns, the batch as it is looked at, and
    its source; None where it is looked at by rows."""
    if batch.num_rows < FEW_ROWS or session.engine.observer is not None:
        return None
    source = origins.only_source
    names = [one for column in batch.schema for one in member_names(column.type, column.name)]
    # What has blanks in its name is found under another one as well.
    if source is None or any(" " in name for name in names):
        return None
    try:
        plain = plain_batch(batch)
        if plain is None:
            return None
        timed = session.times_matter
        return plain, source, select_rows(session, BatchColumns(plain), source, timed)
    except Exception:
        # Whatever it is, it is told where the rows are looked at one by one.
        return None


def _tick(
    session: Session, times: dict[int, tuple[int, ...]], first: int, end: int
) -> Iterator[Match]:
    """Tell joins and groups the times of rows that are passed over; the matches that these
    complete."""
    for row in range(first, end):
        own = times.get(row)
        if own is not None:
            for time in own:
                session.tick(time)
            yield from session.arrived()
