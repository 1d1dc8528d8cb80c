"""The reference for programs that look at more than one event: every statement over finished data.

``Relations`` holds all CAR events of the data and answers what the rows of a plan are, in plain
relational terms: a join is a filtered product, a group is what its definition says. Nothing is
clever here, nothing forgets anything; the incremental evaluator is held to it, match for match.
``docs/semantics.md`` says the same in words.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

from ... import ir
from ...evaluate import Row as AnyRow
from ...evaluate import holds, value_of
from ...fieldmap import CarEvent, FieldMap, Sighting, normalize, unwrap
from ...rule import Rule
from ...values import elements
from ..match import Match
from .aggregates import aggregate
from .bounds import conjuncts, open_pairs
from .rows import (
    EventRow,
    GroupRow,
    JoinRow,
    Occurrence,
    RecordRow,
    Row,
    assigned,
    cell,
    in_order,
    match_of_row,
    projected,
    times_of,
)
from .sightings import merged


def interpret_streams(
    rules: Iterable[Rule],
    events: Iterable[Mapping[str, Any]],
    maps: Iterable[FieldMap],
    *,
    now: int | None = None,
    horizon: int | None = None,
    merge: bool = False,
) -> list[Match]:
    """The matches of all outputs that need more than one event, over finished data; with ``merge``
    of all outputs, where records of one happening are one.

    They come by rule id, output and canonical order. ``now`` is the reference time (None: the last
    event's), ``horizon`` how far apart rows may be where a rule does not say; both in microseconds.
    """
    known = tuple(sorted(maps, key=lambda found: found.name))
    views = [view for event in events for view in normalize(event, known, sources=True)]
    relations = Relations(views, now=now, horizon=horizon, merge=merge)
    return [
        match_of_row(rule, output.name, row)
        for rule in sorted(rules, key=lambda rule: rule.id)
        for output in rule.program.outputs
        if merge or ir.as_stages(output.plan) is None
        for row in in_order(relations.rows(output.plan))
    ]


def _sighting(view: CarEvent, merge: bool) -> Sighting | None:
    entry = view.entry
    if not merge or entry is None or entry.sensor is None:
        return None
    return entry.sensor.sighting(unwrap(view.raw), view.time)


class Relations:
    """All events of the data, as rows of any plan. It is also what conditions see around a row."""

    def __init__(
        self,
        views: Iterable[CarEvent] = (),
        *,
        now: int | None = None,
        horizon: int | None = None,
        merge: bool = False,
        occurrences: Sequence[Occurrence] | None = None,
    ) -> None:
        if occurrences is None:
            occurrences = [Occurrence(view, None, _sighting(view, merge)) for view in views]
        self._events = tuple(occurrences)
        # What streams of single events hold before their records are merged.
        self._apart: Relations | None = None
        if merge:
            self._apart = Relations(now=now, horizon=horizon, occurrences=self._events)
        times = [seen.view.time for seen in self._events if seen.view.time is not None]
        self._now = max(times, default=None) if now is None else now
        self._horizon = horizon
        self._known: dict[ir.Plan, Sequence[Row]] = {}

    def rows(self, plan: ir.Plan) -> Sequence[Row]:
        """The rows of a plan, in no order that means anything."""
        if plan not in self._known:
            if self._apart is not None and ir.as_stages(plan) is not None:
                self._known[plan] = tuple(merged(self._apart.rows(plan)))
            else:
                self._known[plan] = tuple(self._rows(plan))
        return self._known[plan]

    def _rows(self, plan: ir.Plan) -> Iterable[Row]:
        match plan:
            case ir.Search(kinds):
                return (EventRow(seen) for seen in self._events if seen.view.is_one_of(kinds))
            case ir.Filter(inner, condition):
                return (row for row in self.rows(inner) if holds(condition, row, self) is True)
            case ir.Assign(inner, name, value):
                return (assigned(row, name, value, self) for row in self.rows(inner))
            case ir.Project(inner, columns):
                times = times_of(columns)
                return (projected(row, columns, times, self) for row in self.rows(inner))
            case ir.Aggregated(group, columns):
                times = times_of(columns)
                return (projected(row, columns, times, self) for row in self.rows(group))
            case ir.Union(plans):
                return self._union(plans)
            case ir.Join():
                return self._join(plan)
            case ir.Group():
                return self._group(plan)
            case ir.Window():
                return self._window(plan)
            case ir.Sequence():
                return self._sequence(plan)
            case ir.Difference():
                return self._difference(plan)
            case ir.Distinct():
                return self._distinct(plan)

    def _union(self, plans: tuple[ir.Plan, ...]) -> Iterable[Row]:
        """The rows of all plans; a row that is in several is there once."""
        return {row.identity: row for inner in plans for row in self.rows(inner)}.values()

    # Join

    def _join(self, join: ir.Join) -> Iterator[Row]:
        names = tuple(branch.name for branch in join.branches)
        parts = conjuncts(join.condition)
        # A part is looked at as soon as all branches that it speaks of have a row.
        sources = [_sources(part, names) for part in parts]
        due = [
            [part for part, of in zip(parts, sources, strict=True) if of <= have and not of <= had]
            for had, have in pairwise(set(names[:count]) for count in range(len(names) + 1))
        ]
        free = [part for part, of in zip(parts, sources, strict=True) if not of]
        unlimited = open_pairs(join)

        def extended(chosen: tuple[Row, ...]) -> Iterator[Row]:
            count = len(chosen)
            if count == len(names):
                yield JoinRow(names, chosen)
                return
            for row in self.rows(join.branches[count].plan):
                candidate = (*chosen, row)
                joined = JoinRow(names[: count + 1], candidate)
                if all(holds(part, joined, self) is True for part in due[count]) and all(
                    self._within_horizon(candidate[i], candidate[j])
                    for i, j in unlimited
                    if max(i, j) == count
                ):
                    yield from extended(candidate)

        if all(holds(part, JoinRow((), ()), self) is True for part in free):
            yield from extended(())

    def _within_horizon(self, first: Row, second: Row) -> bool:
        """Whether the second row is not too long after the first, where only the horizon says
        so."""
        if self._horizon is None:
            return True
        if first.time is None or second.time is None:
            return first.time is None and second.time is None
        return second.time - first.time <= self._horizon

    # Groups

    def _group(self, group: ir.Group) -> Iterator[Row]:
        gathered: dict[tuple[Any, ...], list[Row]] = {}
        for row in in_order(self._union(group.plans)):
            key = tuple(cell(row.field(field), field.type) for field in group.keys)
            if None not in key:
                gathered.setdefault(key, []).append(row)
        gap = self._horizon if group.within is None else group.within
        for rows in gathered.values():
            for members in _sessions(rows, gap, untimed=group.within is None):
                yield group_of(group, members)

    def aggregate(self, aggregate_: ir.Aggregate, row: AnyRow) -> Any:
        """An aggregate over the rows of a group; null for a row that is none."""
        return over_members(aggregate_, row, self)

    # Windows

    def _window(self, window: ir.Window) -> Iterator[Row]:
        plans: dict[Any, set[int]] = {}
        for number, inner in enumerate(window.plans):
            for row in self.rows(inner):
                plans.setdefault(row.identity, set()).add(number)
        gathered: dict[tuple[Any, ...], list[Row]] = {}
        for row in in_order(self._union(window.plans)):
            key = tuple(cell(row.field(field), field.type) for field in window.keys)
            if row.time is not None and None not in key:
                gathered.setdefault(key, []).append(row)
        for rows in gathered.values():
            yield from self._moved(window, rows, plans)

    def _moved(
        self, window: ir.Window, rows: Sequence[Row], plans: Mapping[Any, set[int]]
    ) -> Iterator[Row]:
        """What fires among the rows of one key, in canonical order."""
        unspent = 0
        place = 0
        asked = 0
        while place < len(rows):
            if window.complete:
                end = time_of(rows[place]) + window.span
                members = [row for row in rows[place:] if time_of(row) <= end]
                within = place + len(members) == asked
                asked = place + len(members)
                place += 1
                if within:
                    continue
            else:
                last = rows[place]
                place += 1
                members = [
                    row
                    for row in rows[unspent:place]
                    if time_of(last) - time_of(row) <= window.span
                ]
            of = [(time_of(row), plans[row.identity]) for row in members]
            if window.ordered and not _picked(of, range(len(window.plans))):
                continue
            found = fired(window, group_of_window(window, members), self)
            if found is not None:
                if window.complete:
                    place = asked
                unspent = place
                yield found

    # Sequences

    def _sequence(self, plan: ir.Sequence) -> Iterator[Row]:
        steps = ir.steps_of(plan)
        found: dict[tuple[Any, ...], dict[Any, tuple[Row, set[int]]]] = {}
        for number, step in enumerate(steps):
            for row in self.rows(step.plan):
                key = sequence_key(plan, step, row)
                if key is not None:
                    of_key = found.setdefault(key, {})
                    of_key.setdefault(row.identity, (row, set()))[1].add(number)
        limit = self._horizon if plan.within is None else plan.within
        for of_key in found.values():
            of_row = {id(row): numbers for row, numbers in of_key.values()}
            rows = [(row, of_row[id(row)]) for row in in_order(row for row, _ in of_key.values())]
            yield from (_in_turn if plan.ordered else _in_any_order)(plan, rows, limit)

    # Rows compared with rows

    def _difference(self, difference: ir.Difference) -> Iterator[Row]:
        fields = difference.fields
        known = {cells(row, fields) for row in self.rows(difference.right)}
        for row in in_order(self.rows(difference.left)):
            compared = cells(row, fields)
            if compared not in known and any(value is not None for value in compared):
                known.add(compared)
                yield row

    def _distinct(self, distinct: ir.Distinct) -> Iterator[Row]:
        known = {(None,)}
        for row in in_order(self.rows(distinct.plan)):
            value = cells(row, (distinct.value,))
            if value not in known:
                known.add(value)
                yield row

    # What lies around a row

    def now(self) -> int | None:
        """The reference time: what was told, or the last event's time."""
        return self._now

    def parameter(self, name: str) -> Any:
        """Null: parameters are bound when a rule is loaded."""
        return None

    def whole(self, whole: ir.Whole) -> Any:
        """An aggregate over all rows of a plan."""
        rows = in_order(self.rows(whole.plan))
        return over_rows(whole.aggregate, rows, self)

    def lookup(self, lookup: ir.Lookup, row: AnyRow) -> Any:
        """The column of the group with the row's keys; of several in time, the last that had
        begun."""
        keys = lookup.plan.group.keys
        wanted = keys_of_row(lookup, row)
        rows = [
            (found, group)
            for found in in_order(self.rows(lookup.plan))
            if (group := group_under(found)) is not None
            and tuple(cell(group.field(key), key.type) for key in keys) == wanted
        ]
        time = row.field(ir.Field("time", None, ir.Type.TIME))
        return chosen_column(lookup.column, [(begin(group), found) for found, group in rows], time)

    def rank(self, rank: ir.Rank, row: AnyRow) -> bool | None:
        """Whether fewer than ``count`` values are more frequent (or less, for ``bottom``)."""
        counts: dict[Any, int] = {}
        for other in self.rows(rank.plan):
            for value in cells_of_each(other.field(rank.of), rank.of.type):
                counts[value] = counts.get(value, 0) + 1
        return ranked(rank, counts, value_of(rank.value, row, self))


# Parts that both evaluators use: what is said here is said once


def group_of(group: ir.Group, members: Sequence[Row]) -> GroupRow:
    """The row of a group, from its rows in canonical order."""
    keys = {field.name: members[0].field(field) for field in reversed(group.keys)}
    named = {field.name: keys[field.name] for field in group.keys}
    times = frozenset(field.name for field in group.keys if field.type is ir.Type.TIME)
    return GroupRow(named, tuple(members), times)


def time_of(row: Row) -> int:
    """The time of a row that has one."""
    assert row.time is not None
    return row.time


def _picked(rows: Sequence[tuple[int, set[int]]], plans: range) -> bool:
    """Whether a row of each plan can be picked, none older than the one before: all choices are
    tried."""
    reached = {-math.inf}
    for plan in plans:
        reached = {
            time for time, of in rows if plan in of and any(time >= before for before in reached)
        }
    return bool(reached)


def group_of_window(window: ir.Window, members: Sequence[Row]) -> GroupRow:
    """A window's rows, in canonical order, as the row of a group."""
    return group_of(ir.Group(window.plans, window.keys, window.span), members)


def fired(window: ir.Window, group: GroupRow, around: Any) -> Row | None:
    """The row that a window gives: its keys and columns; None where its condition is not true."""
    counted = projected(group, window.columns, times_of(window.columns), around)
    assert isinstance(counted, RecordRow)
    if holds(window.condition, counted, around) is not True:
        return None
    columns = {**group.keys, **counted.columns}
    return RecordRow(columns, group, group.times | counted.times)


def _sessions(rows: Sequence[Row], gap: int | None, *, untimed: bool) -> Iterator[list[Row]]:
    """Rows in canonical order, split where neighbours in time are more than the gap apart.

    Rows without a time have no neighbours: they are left out, or (``untimed``) a group of their
    own.
    """
    if gap is None:
        yield list(rows)
        return
    session: list[Row] = []
    for row in rows:
        if row.time is None:
            continue
        if session and row.time - (session[-1].time or 0) > gap:
            yield session
            session = []
        session.append(row)
    if session:
        yield session
    rest = [row for row in rows if row.time is None]
    if rest and untimed:
        yield rest


def over_rows(wanted: ir.Aggregate, rows: Sequence[Row], around: Any) -> Any:
    """An aggregate over rows in canonical order."""
    if wanted.value is None:
        return len(rows)
    values = [value_of(wanted.value, row, around) for row in rows]
    return aggregate(wanted.function, values, ir.type_of(wanted.value), wanted.argument)


def over_members(wanted: ir.Aggregate, row: AnyRow, around: Any) -> Any:
    """An aggregate over the rows of the group that a row is; null for a row that is none."""
    return over_rows(wanted, row.members, around) if isinstance(row, GroupRow) else None


def cells(row: Row, fields: Iterable[ir.Field]) -> tuple[Any, ...]:
    """What rows have in common exactly when they are equal on the fields; null equals null here."""
    return tuple(cell(row.field(field), field.type) for field in fields)


def cells_of_each(value: Any, type_: ir.Type) -> set[Any]:
    """The different values of a value: of a list, each element's."""
    return {found for item in elements(value) if (found := cell(item, type_)) is not None}


def ranked(rank: ir.Rank, counts: Mapping[Any, int], value: Any) -> bool | None:
    """Whether a value is among the most (least) frequent ones. Ties are all in, or all out.

    Unknown for null; false for a value that does not occur.
    """
    if not elements(value):
        return None
    for found in cells_of_each(value, rank.of.type):
        own = counts.get(found)
        if own is None:
            continue
        ahead = sum(own > n if rank.bottom else own < n for n in counts.values())
        if ahead < rank.count:
            return True
    return False


def keys_of_row(lookup: ir.Lookup, row: AnyRow) -> tuple[Any, ...]:
    """The values of the row at hand that stand for the group's keys."""
    pairs = zip(lookup.keys, lookup.plan.group.keys, strict=True)
    return tuple(cell(row.field(own), key.type) for own, key in pairs)


def group_under(row: Row) -> GroupRow | None:
    """The group that a row was made from."""
    while not isinstance(row, GroupRow):
        if isinstance(row, EventRow | JoinRow):
            return None
        row = row.base
    return row


def begin(group: GroupRow) -> float:
    """The time of a group's first row; after everything for a group without times."""
    times = [row.time for row in group.members if row.time is not None]
    return min(times, default=math.inf)


def chosen_column(column: str, found: Sequence[tuple[float, Row]], time: int | None) -> Any:
    """The column of one of several groups with equal keys, each with its begin.

    The last that had begun at the time of the row at hand; the first of all where none had, or
    where the row has no time.
    """
    if not found:
        return None
    ordered = sorted(found, key=lambda pair: pair[0])
    begun = [row for start, row in ordered if time is not None and start <= time]
    row = begun[-1] if begun else ordered[0][1]
    return row.field(ir.Field(column))


def sequence_key(plan: ir.Sequence, step: ir.Step, row: Row) -> tuple[Any, ...] | None:
    """The key of a row in a step of a sequence; None for a row that is in none."""
    if row.time is None:
        return None
    key = tuple(cell(row.field(field), field.type) for field in step.keys)
    optional = plan.optional or (False,) * len(key)
    missing = any(value is None and not may for value, may in zip(key, optional, strict=True))
    return None if missing else key


def sequence_row(parts: Sequence[Row]) -> JoinRow:
    """The row of a sequence, of a row for each step."""
    return JoinRow(tuple(f"e{number}" for number in range(1, len(parts) + 1)), tuple(parts))


def present_steps(plan: ir.Sequence) -> tuple[list[int], list[frozenset[int]]]:
    """The numbers of the steps that rows take, and of the absent ones before each and at the
    end."""
    present: list[int] = []
    gaps: list[set[int]] = [set()]
    for number, step in enumerate(plan.steps):
        if step.absent:
            gaps[-1].add(number)
        else:
            present.append(number)
            gaps.append(set())
    return present, [frozenset(gap) for gap in gaps]


def _in_turn(
    plan: ir.Sequence, rows: Sequence[tuple[Row, set[int]]], limit: int | None
) -> Iterator[Row]:
    """The sequences among the rows of one key: for each row, which sequences so far it ends or
    carries on."""
    present, gaps = present_steps(plan)
    count = len(present)
    # Of each length the one that may go on, as the places of its rows; those of full length wait.
    reached: dict[int, list[int]] = {}
    full: list[list[int]] = []

    def time(place: int) -> int:
        return time_of(rows[place][0])

    def preceded(chosen: list[int]) -> bool:
        """Whether a row of an absent step came before it, in the time that counts."""
        since = time(chosen[-1]) - (limit or 0)
        return any(
            time(place) >= since and not gaps[0].isdisjoint(rows[place][1])
            for place in range(chosen[0])
        )

    for place, (_, numbers) in enumerate(rows):
        if limit is not None:
            reached = {n: c for n, c in reached.items() if time(place) - time(c[0]) <= limit}
            for chosen in [c for c in full if time(place) - time(c[0]) > limit]:
                full.remove(chosen)
                yield sequence_row([rows[at][0] for at in chosen])
        if len(plan.steps) in numbers:
            reached, full = {}, []
        if not gaps[count].isdisjoint(numbers):
            full = []
        for length in range(count - 1, -1, -1):
            so_far = reached.get(length) if length else []
            if so_far is None:
                continue
            if present[length] in numbers:
                reached.pop(length, None)
                chosen = [*so_far, place]
                if length + 1 < count:
                    reached[length + 1] = chosen
                elif gaps[0] and preceded(chosen):
                    continue
                elif gaps[count]:
                    full.append(chosen)
                else:
                    yield sequence_row([rows[at][0] for at in chosen])
            elif not gaps[length].isdisjoint(numbers):
                reached.pop(length, None)
    for chosen in full:
        yield sequence_row([rows[at][0] for at in chosen])


def _in_any_order(
    plan: ir.Sequence, rows: Sequence[tuple[Row, set[int]]], limit: int | None
) -> Iterator[Row]:
    """The rows of one key, put together as soon as there is one for each step."""
    slots: dict[int, Row] = {}
    for row, numbers in rows:
        if limit is not None:
            slots = {n: s for n, s in slots.items() if time_of(row) - time_of(s) <= limit}
        if len(plan.steps) in numbers:
            slots = {}
        for number in range(len(plan.steps)):
            if number in numbers:
                slots.setdefault(number, row)
            if len(slots) == len(plan.steps):
                yield sequence_row([slots[n] for n in sorted(slots)])
                slots = {}


def _sources(condition: ir.Condition, names: Sequence[str]) -> set[str]:
    """The branches that a condition speaks of; all of them where it looks at the raw events or the
    row."""
    found: set[str] = set()
    for atom in ir.atoms(condition):
        if ir.reads_raw_event(atom):
            return set(names)
        for value in ir.values_of(atom):
            for leaf in ir.leaves(value):
                for field in leaf.keys if isinstance(leaf, ir.Lookup) else (leaf,):
                    if isinstance(field, ir.Field):
                        of = branch_of(field, names)
                        if of is None:
                            return set(names)
                        found.add(of)
                if isinstance(leaf, ir.Lookup):
                    # Which of several groups is meant depends on the time of the whole row.
                    return set(names)
    return found


def branch_of(field: ir.Field, names: Sequence[str]) -> str | None:
    """The branch whose field a field of a joined row is."""
    if field.source is None:
        return None
    if field.source in names:
        return field.source
    return next((name for name in names if field.source.startswith(name + ".")), None)
