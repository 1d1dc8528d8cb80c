"""Groups while events go by, and what is counted over whole streams.

A group keeps its rows by key, sorted by time. It closes when the clock has passed its last row by
more than the gap: no row that could still belong to it can come any more. Its row goes on then, and
the rows are let go. ::

    within 30 minutes, lateness 5 minutes, last row at 10:00
        →   closes when an event of 10:35:00.000001 has come

A row that comes late (within the lateness) is put where it belongs and may join two groups into
one.
"""

from __future__ import annotations

import heapq
import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from typing import Any

from attrs import define, field

from ... import ir
from ...evaluate import value_of
from .aggregates import Running
from .memory import Bucket, Memory
from .node import Around, Node, Restore, Store
from .relational import begin, cells_of_each, group_of, group_under
from .rows import GroupRow, Row, cell, in_order, order_of


@define(eq=False)
class _Open:
    """The rows of one key that have not gone on yet, by time; those without one apart."""

    memory: Memory
    times: list[int] = field(factory=list)
    rows: list[Row] = field(factory=list)
    untimed: list[Row] = field(factory=list)
    known: set[Any] = field(factory=set)
    deadline: float = math.inf

    def __len__(self) -> int:
        return len(self.rows) + len(self.untimed)

    def trim(self, keep: int) -> int:
        """Drop the oldest rows but ``keep``."""
        timed = max(0, len(self) - keep)
        gone = self.rows[:timed]
        del self.times[: len(gone)], self.rows[: len(gone)]
        rest = timed - len(gone)
        gone += self.untimed[:rest]
        del self.untimed[:rest]
        if self.known:
            self.known.difference_update(row.identity for row in gone)
        self.memory.release(gone)
        return len(gone)


class GroupNode(Node):
    """Rows gathered by keys; a group goes on when it can no longer change.

    ``horizon`` stands in for ``within`` where the rule does not say one.
    """

    name = "group"

    def __init__(
        self, plan: ir.Group, horizon: int | None, lags: Sequence[float], around: Around
    ) -> None:
        super().__init__()
        self._plan = plan
        self._gap = horizon if plan.within is None else plan.within
        self._several = len(plan.plans) > 1
        self._input_lag = max(lags)
        self.lag = math.inf if self._gap is None else self._input_lag + self._gap
        self._memory = around.memory
        self._open: dict[Any, _Open] = {}
        self._deadlines: list[tuple[int, int, Any]] = []
        self._count = 0

    def push(self, port: int, row: Row) -> None:
        parts = []
        for key in self._plan.keys:
            found = cell(row.field(key), key.type)
            if found is None:
                return
            parts.append(found)
        time = row.time
        if time is None and self._gap is not None and self._plan.within is not None:
            return
        group = self._open.get(tuple(parts))
        if group is None:
            group = self._open[tuple(parts)] = _Open(self._memory)
        if self._several:
            identity = row.identity
            if identity in group.known:
                return
            group.known.add(identity)
        self._memory.hold(row)
        if time is None:
            group.untimed.append(row)
            return
        if not group.times or time >= group.times[-1]:
            group.times.append(time)
            group.rows.append(row)
        else:
            place = bisect_right(group.times, time)
            group.times.insert(place, time)
            group.rows.insert(place, row)
        if self._gap is not None and time + self._gap < group.deadline:
            self._due(tuple(parts), group, time + self._gap)

    def _due(self, key: Any, group: _Open, deadline: int) -> None:
        group.deadline = deadline
        self._count += 1
        heapq.heappush(self._deadlines, (deadline, self._count, key))
        self.deadline = self._deadlines[0][0] + self._input_lag

    def advance(self, clock: float) -> None:
        past = clock - self._input_lag
        closed: list[GroupRow] = []
        while self._deadlines and self._deadlines[0][0] < past:
            deadline, _, key = heapq.heappop(self._deadlines)
            group = self._open.get(key)
            if group is not None and group.deadline == deadline:
                closed += self._close(key, group, past)
        self.deadline = math.inf
        if self._deadlines:
            self.deadline = self._deadlines[0][0] + self._input_lag
        for found in closed:
            self.emit(found)

    def _close(self, key: Any, group: _Open, past: float) -> list[GroupRow]:
        """The sessions at the front that have ended."""
        assert self._gap is not None
        closed: list[GroupRow] = []
        start = 0
        last = len(group.times) - 1
        for end, time in enumerate(group.times):
            if end < last and group.times[end + 1] - time <= self._gap:
                continue
            if time + self._gap >= past:
                break
            closed.append(group_of(self._plan, in_order(group.rows[start : end + 1])))
            start = end + 1
        if start:
            gone = group.rows[:start]
            self._memory.release(gone)
            if self._several:
                group.known.difference_update(row.identity for row in gone)
            del group.times[:start], group.rows[:start]
        group.deadline = math.inf
        if group.times:
            # The front session's last row: later rows may yet make it longer.
            end = 0
            while (
                end + 1 < len(group.times) and group.times[end + 1] - group.times[end] <= self._gap
            ):
                end += 1
            self._due(key, group, group.times[end] + self._gap)
        elif not group.untimed:
            self._open.pop(key, None)
        return closed

    def finish(self) -> None:
        everything, self._open = self._open, {}
        for key, group in everything.items():
            untimed = group.untimed
            if self._gap is None:
                self._memory.release(group.rows)
                untimed = [*group.rows, *group.untimed]
            else:
                for found in self._close(key, group, math.inf):
                    self.emit(found)
            if untimed:
                self._memory.release(group.untimed)
                self.emit(group_of(self._plan, in_order(untimed)))
        self._deadlines = []
        self.deadline = math.inf

    def sweep(self, clock: float) -> None:
        # Only trimming leaves keys without rows; what is due for them would be looked up in vain.
        self._open = {key: group for key, group in self._open.items() if len(group)}
        self._deadlines = [
            item
            for item in self._deadlines
            if (group := self._open.get(item[2])) is not None and group.deadline == item[0]
        ]
        heapq.heapify(self._deadlines)

    def passing(self, clock: float) -> int:
        if self._gap is None:
            return 0
        found = 0
        for group in self._open.values():
            # What goes are the sessions that end before the gap.
            times = group.times
            place = bisect_left(times, clock - self._input_lag - self._gap)
            while 0 < place < len(times) and times[place] - times[place - 1] <= self._gap:
                place -= 1
            found += place
        return found

    def buckets(self) -> Iterable[Bucket]:
        return list(self._open.values())

    def oldest(self) -> float:
        return min(
            (group.times[0] for group in self._open.values() if group.times), default=math.inf
        )

    def save(self, store: Store) -> Any:
        return [
            store.row(row) for group in self._open.values() for row in (*group.rows, *group.untimed)
        ]

    def load(self, data: Any, restore: Restore) -> None:
        for item in data:
            self.push(0, restore.row(item))


class _Kept:
    """Values that an aggregate or a rank keeps, as one bucket: the rarest go first, of equal ones
    the first to come."""

    def __init__(self, values: dict[Any, Any], memory: Memory) -> None:
        self._values, self._memory = values, memory

    def __len__(self) -> int:
        return len(self._values)

    def trim(self, keep: int) -> int:
        values = self._values
        counted = all(isinstance(count, int) for count in values.values())
        ordered = sorted(values, key=values.__getitem__) if counted else list(values)
        gone = ordered[: len(ordered) - keep]
        for value in gone:
            del values[value]
        self._memory.count(-len(gone))
        return len(gone)


class _Found:
    """The rows of counted groups, as one bucket: the keys that came first go first."""

    def __init__(
        self, found: dict[tuple[Any, ...], list[tuple[float, Row]]], memory: Memory
    ) -> None:
        self._found, self._memory = found, memory

    def __len__(self) -> int:
        return sum(map(len, self._found.values()))

    def trim(self, keep: int) -> int:
        left = len(self)
        gone = 0
        for key in list(self._found):
            if left <= keep:
                break
            rows = self._found.pop(key)
            self._memory.release(row for _, row in rows)
            left -= len(rows)
            gone += len(rows)
        return gone


class WholeNode(Node):
    """An aggregate over all rows of a plan, kept up to date."""

    name = "aggregate over a stream"

    def __init__(self, whole: ir.Whole, around: Around) -> None:
        super().__init__()
        self._whole, self._around = whole, around
        self._memory = around.memory
        self._rows = 0
        self._running = self._fresh()

    def _fresh(self) -> Running:
        wanted = self._whole.aggregate
        type_ = ir.Type.ANY if wanted.value is None else ir.type_of(wanted.value)
        return Running(wanted.function, type_)

    def push(self, port: int, row: Row) -> None:
        self._rows += 1
        value = self._whole.aggregate.value
        if value is not None:
            held = self._running.held
            ordered = self._whole.aggregate.function == "values"
            order = order_of(row) if ordered else None
            self._running.add(value_of(value, row, self._around), order)
            self._memory.count(self._running.held - held)

    @property
    def value(self) -> Any:
        """What it comes to so far."""
        return self._rows if self._whole.aggregate.value is None else self._running.value

    def forget(self) -> None:
        """Start afresh."""
        self._memory.count(-self._running.held)
        self._rows, self._running = 0, self._fresh()

    def buckets(self) -> Iterable[Bucket]:
        return (_Kept(self._running.first, self._memory),)

    def save(self, store: Store) -> Any:
        return [self._rows, self._running.save(store.key)]

    def load(self, data: Any, restore: Restore) -> None:
        rows, running = data
        if type(rows) is not int:
            raise ValueError("the number of rows is no whole number")
        self._rows = rows
        self._running.load(running, restore.key)
        self._memory.count(self._running.held)


class RankNode(Node):
    """How often each value occurs in a plan."""

    name = "rank"

    def __init__(self, rank: ir.Rank, around: Around) -> None:
        super().__init__()
        self._field = rank.of
        self._memory = around.memory
        self.counts: dict[Any, int] = {}

    def push(self, port: int, row: Row) -> None:
        for value in cells_of_each(row.field(self._field), self._field.type):
            if value not in self.counts:
                self._memory.count(1)
            self.counts[value] = self.counts.get(value, 0) + 1

    def forget(self) -> None:
        """Start afresh."""
        self._memory.count(-len(self.counts))
        self.counts = {}

    def buckets(self) -> Iterable[Bucket]:
        return (_Kept(self.counts, self._memory),)

    def save(self, store: Store) -> Any:
        return [[store.key(value), count] for value, count in self.counts.items()]

    def load(self, data: Any, restore: Restore) -> None:
        self.counts = {restore.key(value): count for value, count in data}
        if not all(type(count) is int for count in self.counts.values()):
            raise ValueError("a count is no whole number")
        self._memory.count(len(self.counts))


class LookupNode(Node):
    """The rows of a grouped plan, to be found by their keys."""

    name = "count"

    def __init__(self, plan: ir.Aggregated, around: Around) -> None:
        super().__init__()
        self._keys = plan.group.keys
        self._memory = around.memory
        self.found: dict[tuple[Any, ...], list[tuple[float, Row]]] = {}

    def push(self, port: int, row: Row) -> None:
        group = group_under(row)
        if group is not None:
            key = tuple(cell(group.field(field), field.type) for field in self._keys)
            self.found.setdefault(key, []).append((begin(group), row))
            self._memory.hold(row)

    def forget(self) -> None:
        """Start afresh."""
        for found in self.found.values():
            self._memory.release(row for _, row in found)
        self.found = {}

    def buckets(self) -> Iterable[Bucket]:
        return (_Found(self.found, self._memory),)

    def save(self, store: Store) -> Any:
        return [store.row(row) for found in self.found.values() for _, row in found]

    def load(self, data: Any, restore: Restore) -> None:
        for item in data:
            self.push(0, restore.row(item))
