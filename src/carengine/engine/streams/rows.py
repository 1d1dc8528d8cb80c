"""Rows: what flows between the statements of a program that looks at more than one event.

Both evaluators, the plain one (``relational``) and the incremental one (``streaming``), work on
these::

    EventRow    one CAR event, with the fields that were assigned to it        search, filter
    RecordRow   named columns made from another row                            from … select
    JoinRow     one row of each branch, under the branch's name                join
    GroupRow    all rows with the same keys                                    group … by

Every row has a ``time``: an event its own, a record that of the row it was made from, a joined row
and a group the last of their parts' (null where none has one). A row leads back to the events it
was made of (``evidence``), has an ``identity`` (the same events with the same values), and a place
in the canonical ``order``: by time, rows without one last, and rows of one time by what the events
say, so that the order of the result never depends on the order of arrival.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from attrs import define, field, frozen

from ... import ir
from ...evaluate import EvalContext, as_time, value_of
from ...fieldmap import CarEvent, CarRow, Sighting
from ...pattern import fold
from ...rule import Rule
from ...values import key_of, raw_text, repr_of, text_of
from ..match import Match, MatchedEvent, Origin

NO_NAMES: frozenset[str] = frozenset()
NO_FIELDS: Mapping[str, Any] = MappingProxyType({})


@define(eq=False)
class Occurrence:
    """A CAR event that came by, and where it came from. Each is itself: two equal ones are two.

    ``sighting`` is what it tells of, where others may tell of the same and are to be merged with it;
    ``merged`` says that another stands for it. ``weight`` is its estimated size once somebody asked
    for it; 0 before.
    """

    view: CarEvent
    origin: Origin | None = None
    sighting: Sighting | None = None
    weight: int = field(default=0, init=False, repr=False)
    merged: bool = field(default=False, init=False, repr=False)

    @property
    def order(self) -> tuple[str, ...]:
        """Its place among events of the same time: by the event's text, the kind, the origin."""
        known = _orders.get(id(self))
        if known is not None and known[0]() is self:
            return known[1]
        source, record = (
            ("", 0) if self.origin is None else (self.origin.source, self.origin.record)
        )
        text = raw_text(self.view.raw)
        order = (text, str(self.view.kind), source, f"{record:020}")
        if len(text) <= _LONGEST_KEPT:
            if len(_orders) >= _MOST_KEPT:
                _orders.clear()
            _orders[id(self)] = (weakref.ref(self), order)
        return order


# An event is in many rows of a join, which are put in order one time after another: the places of
# the last ones are kept, if their texts are not long. No event is kept alive by that.
_orders: dict[int, tuple[weakref.ref[Occurrence], tuple[str, ...]]] = {}
_MOST_KEPT = 256
_LONGEST_KEPT = 1 << 14


@frozen
class Evidence:
    """An event of a row: the stream it filled (``a.b`` in a join of joins) and what was assigned to
    it."""

    stream: str
    occurrence: Occurrence
    assigned: Mapping[str, Any]


@frozen(eq=False)
class EventRow:
    """One CAR event. ``times`` names the assigned fields that hold times already read as such;
    ``also`` are other records of what the event tells."""

    occurrence: Occurrence
    assigned: Mapping[str, Any] = NO_FIELDS
    times: frozenset[str] = NO_NAMES
    also: tuple[Occurrence, ...] = ()
    time: int | None = field(init=False)

    @time.default
    def _time_of_event(self) -> int | None:
        return self.occurrence.view.time

    def field(self, wanted: ir.Field) -> Any:
        """An assigned field, or the event's own."""
        if self.assigned and wanted.name in self.assigned:
            return _read(self.assigned[wanted.name], wanted, self.times)
        return self.occurrence.view.field(wanted)

    def has_field(self, wanted: ir.Field) -> bool:
        """Whether a field was assigned, or the event has it."""
        return wanted.name in self.assigned or self.occurrence.view.has_field(wanted)

    def has_raw(self, path: tuple[str, ...]) -> bool:
        """Whether a field of the log's own is there."""
        return CarRow(self.occurrence.view).has_raw(path)

    def raw(self, path: tuple[str, ...]) -> Any:
        """A field of the log's own."""
        return CarRow(self.occurrence.view).raw(path)

    def text(self) -> str:
        """The raw event's text."""
        return raw_text(self.occurrence.view.raw)

    def evidence(self, stream: str = "") -> Iterator[Evidence]:
        """The event itself."""
        yield Evidence(stream, self.occurrence, self.assigned)

    @property
    def identity(self) -> tuple[Any, ...]:
        """The event and what was assigned to it."""
        return (self.occurrence, _shown(self.assigned))

    @property
    def order(self) -> tuple[str, ...]:
        """The row's place among rows of its time."""
        return (*self.occurrence.order, _shown(self.assigned))


@frozen(eq=False)
class RecordRow:
    """Named columns, made from ``base``. ``times`` names the columns that hold times."""

    columns: Mapping[str, Any]
    base: Row
    times: frozenset[str] = NO_NAMES
    time: int | None = field(init=False)

    @time.default
    def _time_of_base(self) -> int | None:
        return self.base.time

    def field(self, wanted: ir.Field) -> Any:
        """A column; ``time`` besides."""
        if wanted.source is None:
            if wanted.name in self.columns:
                return _read(self.columns[wanted.name], wanted, self.times)
            if wanted.name == "time":
                return self.time
        return None

    def has_field(self, wanted: ir.Field) -> bool:
        """Whether there is a column of the name, or a ``time``."""
        own = wanted.source is None and wanted.name in self.columns
        return own or self.field(wanted) is not None

    def has_raw(self, path: tuple[str, ...]) -> bool:
        """Whether a field of the log's own is there, of the row underneath."""
        return self.base.has_raw(path)

    def raw(self, path: tuple[str, ...]) -> Any:
        """A field of the log's own, of the row underneath."""
        return self.base.raw(path)

    def text(self) -> str:
        """The text of the events underneath."""
        return self.base.text()

    def evidence(self, stream: str = "") -> Iterator[Evidence]:
        """The events underneath."""
        return self.base.evidence(stream)

    @property
    def shown(self) -> Any:
        """The columns as one value, equal for rows that look alike."""
        return _shown(self.columns)

    @property
    def identity(self) -> tuple[Any, ...]:
        """The columns and the row underneath."""
        return (self.shown, self.base.identity)

    @property
    def order(self) -> tuple[str, ...]:
        """The row's place among rows of its time."""
        return (*self.base.order, _shown(self.columns))


@frozen(eq=False)
class JoinRow:
    """One row of each branch."""

    names: tuple[str, ...]
    parts: tuple[Row, ...]
    time: int | None = field(init=False)

    @time.default
    def _time_of_last(self) -> int | None:
        return latest(self.parts)

    def field(self, wanted: ir.Field) -> Any:
        """A branch's field by its source; ``time`` is the last of the parts' times."""
        source = wanted.source
        if source is None:
            return self.time if wanted.name == "time" else None
        for name, part in zip(self.names, self.parts, strict=True):
            if source == name:
                return part.field(ir.Field(wanted.name, None, wanted.type))
        for name, part in zip(self.names, self.parts, strict=True):
            if source.startswith(name + "."):
                return part.field(ir.Field(wanted.name, source[len(name) + 1 :], wanted.type))
        return None

    def has_field(self, wanted: ir.Field) -> bool:
        """Whether the branch that the field's source names has it."""
        source = wanted.source
        if source is None:
            return wanted.name == "time" and self.time is not None
        for name, part in zip(self.names, self.parts, strict=True):
            if source == name:
                return part.has_field(ir.Field(wanted.name, None, wanted.type))
        for name, part in zip(self.names, self.parts, strict=True):
            if source.startswith(name + "."):
                return part.has_field(ir.Field(wanted.name, source[len(name) + 1 :], wanted.type))
        return False

    def raw(self, path: tuple[str, ...]) -> Any:
        """Null: nobody could say of which event."""
        return None

    def has_raw(self, path: tuple[str, ...]) -> bool:
        """Never: nobody could say of which event."""
        return False

    def text(self) -> str:
        """The texts of all events, one a line."""
        return "\n".join(part.text() for part in self.parts)

    def evidence(self, stream: str = "") -> Iterator[Evidence]:
        """The events of all branches, in their order."""
        for name, part in zip(self.names, self.parts, strict=True):
            yield from part.evidence(f"{stream}.{name}" if stream else name)

    @property
    def identity(self) -> tuple[Any, ...]:
        """The parts, each as itself."""
        return tuple(part.identity for part in self.parts)

    @property
    def order(self) -> tuple[str, ...]:
        """The row's place among rows of its time."""
        return tuple(text for part in self.parts for text in (str(part.time), *part.order))


@frozen(eq=False)
class GroupRow:
    """Rows with equal keys, in canonical order. ``keys`` holds the first row's spelling of each."""

    keys: Mapping[str, Any]
    members: tuple[Row, ...]
    times: frozenset[str] = NO_NAMES
    time: int | None = field(init=False)

    @time.default
    def _time_of_last(self) -> int | None:
        return latest(self.members)

    def field(self, wanted: ir.Field) -> Any:
        """A key, or ``time``: the time of the last row."""
        if wanted.name in self.keys:
            return _read(self.keys[wanted.name], wanted, self.times)
        return self.time if wanted.name == "time" else None

    def has_field(self, wanted: ir.Field) -> bool:
        """Whether it is a key, or a ``time`` that is known."""
        return wanted.name in self.keys or self.field(wanted) is not None

    def raw(self, path: tuple[str, ...]) -> Any:
        """Null: nobody could say of which event."""
        return None

    def has_raw(self, path: tuple[str, ...]) -> bool:
        """Never: nobody could say of which event."""
        return False

    def text(self) -> str:
        """The texts of all events, one a line."""
        return "\n".join(member.text() for member in self.members)

    def evidence(self, stream: str = "") -> Iterator[Evidence]:
        """The events of all rows."""
        for member in self.members:
            yield from member.evidence(stream)

    @property
    def identity(self) -> tuple[Any, ...]:
        """The keys and all rows."""
        return (_shown(self.keys), tuple(member.identity for member in self.members))

    @property
    def order(self) -> tuple[str, ...]:
        """The row's place among rows of its time."""
        first = self.members[0]
        return (_shown(self.keys), str(first.time), *first.order, f"{len(self.members):020}")


Row = EventRow | RecordRow | JoinRow | GroupRow


def _read(value: Any, wanted: ir.Field, times: frozenset[str]) -> Any:
    """A computed value as the type it is wanted as; what is a time already is not read twice."""
    return as_time(value) if wanted.type is ir.Type.TIME and wanted.name not in times else value


def _shown(values: Mapping[str, Any]) -> str:
    return repr_of(sorted(values.items(), key=_name)) if values else ""


def _name(item: tuple[str, Any]) -> str:
    return item[0]


def latest(rows: Iterable[Row]) -> int | None:
    """The last of the rows' times; None where none has one."""
    return max([row.time for row in rows if row.time is not None], default=None)


Order = tuple[bool, int, tuple[str, ...]]


def order_of(row: Row) -> Order:
    """The key of the canonical order."""
    return (row.time is None, row.time or 0, row.order)


def by_time(row: Row) -> tuple[bool, int]:
    """The first part of the canonical order: the time, none last."""
    return (row.time is None, row.time or 0)


def in_order(rows: Iterable[Row]) -> list[Row]:
    """The rows in canonical order. The texts of events are looked at only where times are equal."""
    found = sorted(rows, key=by_time)
    if len(found) < 2:
        return found
    start = 0
    for end in range(1, len(found) + 1):
        if end == len(found) or by_time(found[end]) != by_time(found[start]):
            if end - start > 1:
                found[start:end] = sorted(found[start:end], key=lambda row: row.order)
            start = end
    return found


def cell(value: Any, type_: ir.Type) -> Any:
    """What values have in common exactly when rows with them are in one group; None for null.

    A list is one value: equal to a list with equal elements, and a list of one to its element. What
    cannot be read as the type is compared as text.
    """
    if value is None:
        return None
    if isinstance(value, list | tuple):
        cells = tuple(found for item in value if (found := cell(item, type_)) is not None)
        return cells[0] if len(cells) == 1 else cells or None
    found = key_of(value, type_)
    if found is None:
        text = text_of(value)
        return ("?", fold(text if text is not None else _text_of_mapping(value)))
    return found


def _text_of_mapping(value: Any) -> str:
    return raw_text(value) if isinstance(value, Mapping) else repr_of(value)


# What projections and outputs make of rows


def assigned(row: Row, name: str, value: ir.Value, around: EvalContext) -> Row:
    """The row with a field added or replaced."""
    made = value_of(value, row, around)
    timed = ir.type_of(value) is ir.Type.TIME
    match row:
        case EventRow(occurrence, fields, times, also):
            named = _named(times, name, timed=timed)
            return EventRow(occurrence, {**fields, name: made}, named, also)
        case RecordRow(columns, base, times):
            return RecordRow({**columns, name: made}, base, _named(times, name, timed=timed))
        case _:
            # The resolver lets fields be assigned on events and projections only.
            return row


def _named(times: frozenset[str], name: str, *, timed: bool) -> frozenset[str]:
    return times | {name} if timed else times - {name}


def times_of(columns: Sequence[ir.Column]) -> frozenset[str]:
    """The columns that hold times."""
    return frozenset(c.name for c in columns if ir.type_of(c.value) is ir.Type.TIME)


def projected(
    row: Row, columns: Sequence[ir.Column], times: frozenset[str], around: EvalContext
) -> Row:
    """The row of a projection, or of an aggregation over a group. Fields that are not selected are
    gone."""
    base = row
    match row:
        case RecordRow():
            base = row.base
        case EventRow(occurrence):
            base = EventRow(occurrence, also=row.also)
        case _:
            pass
    return RecordRow({c.name: value_of(c.value, row, around) for c in columns}, base, times)


def match_of_row(rule: Rule, output: str, row: Row) -> Match:
    """The match of an output's row: its events under their streams, its columns, its groups'
    keys."""
    events: list[MatchedEvent] = []
    _show(row, "", events)
    fields: dict[str, Any] = {}
    keys: dict[str, Any] = {}
    times: set[str] = set()
    _gather(row, "", fields, keys, times)
    return Match(rule, output, row.time, tuple(events), fields, keys, frozenset(times))


def _show(row: Row, stream: str, events: list[MatchedEvent]) -> None:
    """Add the events of a row, in the order of its evidence."""
    match row:
        case EventRow(occurrence, assigned):
            view = occurrence.view
            fields = _with_assigned(view.fields, assigned) if assigned else view.fields
            also = tuple(map(shown_besides, row.also)) if row.also else ()
            origin = occurrence.origin
            events.append(
                MatchedEvent(view.kind, fields, view.time, view.raw, origin, stream, also)
            )
        case RecordRow():
            _show(row.base, stream, events)
        case JoinRow():
            for name, part in zip(row.names, row.parts, strict=True):
                _show(part, f"{stream}.{name}" if stream else name, events)
        case GroupRow():
            for member in row.members:
                _show(member, stream, events)


def shown_besides(occurrence: Occurrence) -> MatchedEvent:
    """An event for which another of a match stands."""
    view = occurrence.view
    return MatchedEvent(view.kind, view.fields, view.time, view.raw, occurrence.origin)


def _with_assigned(fields: Mapping[str, Any], assigned: Mapping[str, Any]) -> Mapping[str, Any]:
    added = {name: value for name, value in assigned.items() if value is not None}
    return {**fields, **added} if added else fields


def _gather(
    row: Row, prefix: str, fields: dict[str, Any], keys: dict[str, Any], times: set[str]
) -> None:
    match row:
        case RecordRow(columns, base, timed):
            fields |= {prefix + name: value for name, value in columns.items()}
            times |= {prefix + name for name in timed}
            if isinstance(base, GroupRow | JoinRow):
                _gather(base, prefix, {}, keys, times)
        case JoinRow(names, parts):
            for name, part in zip(names, parts, strict=True):
                if not isinstance(part, EventRow):
                    _gather(part, f"{prefix}{name}.", fields, keys, times)
        case GroupRow(values, _, timed):
            keys |= {prefix + name: value for name, value in values.items()}
            times |= {prefix + name for name in timed}
        case _:
            pass
