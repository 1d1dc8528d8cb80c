"""Windows that move over event time: of each key the rows that may still count, and no others.

Rows wait until the clock has passed them, and are then taken in canonical order, so that the order
of arrival makes no difference. A sliding window keeps the rows that are not spent and not too old;
one that is asked when it is complete, those from its first row on. What the condition reads
(counts, distinct counts, sums, averages, percentiles) is kept up to date as rows enter and leave
the window, so that a row costs the same however many the window holds. ::

    span 10 minutes, lateness 5 minutes, row at 10:00
        →   looked at when an event from after 10:05 has come,
                                                            let go of when one from after 10:15 has
"""

from __future__ import annotations

import heapq
import math
from bisect import bisect_left, bisect_right, insort
from collections import deque
from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import Any

from attrs import define, field

from ... import ir
from ...evaluate import EvalContext, holds, value_of
from ...values import elements
from .aggregates import moment_of, number_in, percentile_of
from .memory import Bucket, Memory
from .node import Around, Node, Restore, Store
from .relational import fired, group_of_window
from .rows import RecordRow, Row, cell, in_order


@define(eq=False)
class _Member:
    """A row, and the plans that it came through."""

    row: Row
    time: int
    plans: set[int]


class _Tally:
    """A column of a window that is kept up to date while rows enter and leave it."""

    def __init__(self, aggregate: ir.Aggregate, around: EvalContext) -> None:
        self._function, self._value, self._around = aggregate.function, aggregate.value, around
        self._type = ir.Type.ANY if self._value is None else ir.type_of(self._value)
        self._argument = 50 if aggregate.argument is None else aggregate.argument
        self._rows = 0
        self._total = Fraction()
        self._ordered: list[Fraction] = []
        self._cells: dict[Any, int] = {}

    def change(self, row: Row, by: int) -> None:
        """A row enters (1) or leaves (-1)."""
        if self._value is None:
            self._rows += by
            return
        found = elements(value_of(self._value, row, self._around))
        match self._function:
            case "count":
                self._rows += by * bool(found)
            case "distinct_count":
                for item in found:
                    key = cell(item, self._type)
                    self._cells[key] = self._cells.get(key, 0) + by
                    if not self._cells[key]:
                        del self._cells[key]
            case _:
                for item in found:
                    number = number_in(item, self._type)
                    if number is not None:
                        self._count_number(Fraction(number), by)

    def _count_number(self, number: Fraction, by: int) -> None:
        if self._function != "percentile":
            self._rows += by
            self._total += by * number
        elif by > 0:
            insort(self._ordered, number)
        else:
            del self._ordered[bisect_left(self._ordered, number)]

    @property
    def value(self) -> Any:
        """What it comes to for the rows that are in the window."""
        match self._function:
            case "count":
                return self._rows
            case "distinct_count":
                return len(self._cells)
            case "percentile":
                return percentile_of(self._ordered, self._argument)
            case _:
                pass
        return moment_of(self._function, self._rows, self._total, Fraction())


def _kept_up(value: ir.Value) -> bool:
    match value:
        case ir.Aggregate("count"):
            return True
        case ir.Aggregate("distinct_count" | "sum" | "average" | "percentile", inner):
            return inner is not None
        case _:
            return False


@define(eq=False)
class _Moving:
    """The rows of one key: those that wait for the clock, by time, and those in the window."""

    memory: Memory
    tallies: dict[str, _Tally]
    times: list[int] = field(factory=list)
    waiting: list[_Member] = field(factory=list)
    window: deque[_Member] = field(factory=deque)
    known: dict[Any, _Member] = field(factory=dict)
    deadline: float = math.inf

    def __len__(self) -> int:
        return len(self.waiting) + len(self.window)

    @property
    def opened(self) -> float:
        """The time of the oldest row; infinite where there is none."""
        if self.window:
            return self.window[0].time
        return self.times[0] if self.times else math.inf

    def trim(self, keep: int) -> int:
        """Drop the oldest rows but ``keep``."""
        gone = 0
        while self.window and len(self) > keep:
            self.leave()
            gone += 1
        rest = max(0, len(self.waiting) - keep)
        for member in self.taken(rest):
            self.forget(member)
        return gone + rest

    def wait(self, member: _Member) -> None:
        """Put a row where its time is."""
        place = bisect_right(self.times, member.time)
        self.times.insert(place, member.time)
        self.waiting.insert(place, member)
        self.memory.hold(member.row)

    def taken(self, count: int) -> list[_Member]:
        """The first of the waiting rows, in canonical order; they wait no more."""
        found = self.waiting[:count]
        del self.times[:count], self.waiting[:count]
        by_row = {id(member.row): member for member in found}
        return [by_row[id(row)] for row in in_order(member.row for member in found)]

    def enter(self, member: _Member) -> None:
        """Take a row into the window."""
        self.window.append(member)
        for tally in self.tallies.values():
            tally.change(member.row, 1)

    def leave(self) -> None:
        """Let the oldest row of the window go."""
        member = self.window.popleft()
        for tally in self.tallies.values():
            tally.change(member.row, -1)
        self.forget(member)

    def forget(self, member: _Member) -> None:
        """A row is in nothing any more."""
        self.known.pop(member.row.identity, None)
        self.memory.release([member.row])


class WindowNode(Node):
    """Rows with equal keys in a window over time; what fires goes on."""

    name = "window"

    def __init__(self, plan: ir.Window, lags: Sequence[float], around: Around) -> None:
        super().__init__()
        self._plan = plan
        self._around = around
        self._memory = around.memory
        self._input_lag = max(lags)
        self.lag = self._input_lag + (plan.span if plan.complete else 0)
        self._open: dict[Any, _Moving] = {}
        self._deadlines: list[tuple[float, int, Any]] = []
        self._count = 0
        asked = {field.name for field in ir.fields_of(plan.condition)}
        read = [column for column in plan.columns if column.name in asked]
        kept_up = all(_kept_up(column.value) for column in read)
        self._tallied = {
            column.name: column.value
            for column in read
            if kept_up and isinstance(column.value, ir.Aggregate)
        }

    def push(self, port: int, row: Row) -> None:
        time = row.time
        keys = tuple(cell(row.field(key), key.type) for key in self._plan.keys)
        if time is None or None in keys:
            return
        moving = self._open.get(keys)
        if moving is None:
            tallies = {name: _Tally(made, self._around) for name, made in self._tallied.items()}
            moving = self._open[keys] = _Moving(self._memory, tallies)
        known = moving.known.get(row.identity)
        if known is not None:
            known.plans.add(port)
            return
        moving.known[row.identity] = member = _Member(row, time, {port})
        moving.wait(member)
        self._due(keys, moving)

    def _due(self, key: Any, moving: _Moving) -> None:
        due = moving.opened + self._plan.span
        if moving.times and not self._plan.complete:
            due = min(due, moving.times[0])
        if due != moving.deadline:
            moving.deadline = due
            if due < math.inf:
                self._count += 1
                heapq.heappush(self._deadlines, (due, self._count, key))
        self.deadline = self._deadlines[0][0] + self._input_lag if self._deadlines else math.inf

    def advance(self, clock: float) -> None:
        past = clock - self._input_lag
        while self._deadlines and self._deadlines[0][0] < past:
            due, _, key = heapq.heappop(self._deadlines)
            moving = self._open.get(key)
            if moving is None or moving.deadline != due:
                continue
            self._run(moving, past)
            if len(moving):
                self._due(key, moving)
            else:
                del self._open[key]
        self.deadline = self._deadlines[0][0] + self._input_lag if self._deadlines else math.inf

    def _run(self, moving: _Moving, past: float) -> None:
        if self._plan.complete:
            self._ask_complete(moving, past)
            return
        for member in moving.taken(bisect_left(moving.times, past)):
            self._let_go(moving, member.time)
            moving.enter(member)
            found = self._fires(moving, moving.window)
            if found is not None:
                while moving.window:
                    moving.leave()
                self.emit(found)
        self._let_go(moving, past)

    def _ask_complete(self, moving: _Moving, past: float) -> None:
        """Ask the windows that the clock has passed.

        A window that no row entered since the one before it was asked lies within that one.
        """
        while (opened := moving.opened) + self._plan.span < past:
            entering = moving.taken(bisect_right(moving.times, opened + self._plan.span))
            for member in entering:
                moving.enter(member)
            found = self._fires(moving, moving.window) if entering else None
            moving.leave()
            if found is not None:
                while moving.window:
                    moving.leave()
                self.emit(found)

    def _let_go(self, moving: _Moving, time: float) -> None:
        while moving.window and moving.window[0].time + self._plan.span < time:
            moving.leave()

    def _fires(self, moving: _Moving, members: Iterable[_Member]) -> Row | None:
        if moving.tallies:
            counted = {name: tally.value for name, tally in moving.tallies.items()}
            # The condition reads columns only, so that any row will do underneath.
            last = moving.window[-1].row
            if holds(self._plan.condition, RecordRow(counted, last), self._around) is not True:
                return None
        if self._plan.ordered and not _in_turn(members, len(self._plan.plans)):
            return None
        return fired(
            self._plan, group_of_window(self._plan, [m.row for m in members]), self._around
        )

    def finish(self) -> None:
        everything, self._open = self._open, {}
        for moving in everything.values():
            self._run(moving, math.inf)
        self._deadlines = []
        self.deadline = math.inf

    def sweep(self, clock: float) -> None:
        # Only trimming leaves keys without rows; what is due for them would be looked up in vain.
        self._open = {key: moving for key, moving in self._open.items() if len(moving)}
        self._deadlines = [
            item
            for item in self._deadlines
            if (moving := self._open.get(item[2])) is not None and moving.deadline == item[0]
        ]
        heapq.heapify(self._deadlines)

    def passing(self, clock: float) -> int:
        past = clock - self._input_lag - self._plan.span
        return sum(
            bisect_left(moving.times, past) + sum(member.time < past for member in moving.window)
            for moving in self._open.values()
        )

    def buckets(self) -> Iterable[Bucket]:
        return list(self._open.values())

    def oldest(self) -> float:
        return min(
            (
                member.time
                for moving in self._open.values()
                for member in (*list(moving.window)[:1], *moving.waiting[:1])
            ),
            default=math.inf,
        )

    def save(self, store: Store) -> Any:
        return [
            [inside, store.row(member.row), sorted(member.plans)]
            for moving in self._open.values()
            for inside, members in ((True, moving.window), (False, moving.waiting))
            for member in members
        ]

    def load(self, data: Any, restore: Restore) -> None:
        for inside, item, plans in data:
            row = restore.row(item)
            for port in plans:
                self.push(port, row)
            if inside:
                # It came before all rows of its key that wait, and was the last to come so far.
                keys = tuple(cell(row.field(key), key.type) for key in self._plan.keys)
                moving = self._open[keys]
                moving.enter(*moving.taken(1))
                self._due(keys, moving)


def _in_turn(members: Iterable[_Member], count: int) -> bool:
    """Whether a row of each plan can be picked, each no older than the one before."""
    listed = list(members)
    time = -math.inf
    for plan in range(count):
        times = [m.time for m in listed if plan in m.plans and m.time >= time]
        if not times:
            return False
        time = min(times)
    return True
