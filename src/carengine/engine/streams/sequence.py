"""Sequences: of each key, how far the rows so far have come, and no row that can go no further.

Rows wait until the clock has passed them, and are then taken in canonical order, so that the order
of arrival makes no difference. What ``ir.Sequence`` means is in its docstring; the reference
(``relational``) walks through finished data, this node keeps only what may still count::

    [a] [b] [c], within 10 minutes      reached[1]  (a)         let go of when a row from later than
                                        reached[2]  (a, b)      10 minutes after a has been taken
"""

from __future__ import annotations

import heapq
import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from attrs import define, field, frozen

from ... import ir
from .memory import Bucket, Memory
from .node import Around, Node, Restore, Store
from .relational import present_steps, sequence_key, sequence_row, time_of
from .rows import Row, in_order


@define(eq=False)
class _SequenceMember:
    """A row that waits, and the steps that it can take."""

    row: Row
    time: int
    steps: set[int]


@define(eq=False)
class _Chain:
    """Rows that took steps one after the other. ``blocked`` is the time of the last row of an
    absent step before the first."""

    rows: tuple[Row, ...]
    blocked: float = -math.inf

    @property
    def begin(self) -> int:
        return time_of(self.rows[0])


@define(eq=False)
class _Progress:
    """What there is of one key."""

    memory: Memory
    times: list[int] = field(factory=list)
    waiting: list[_SequenceMember] = field(factory=list)
    known: dict[Any, _SequenceMember] = field(factory=dict)
    reached: dict[int, _Chain] = field(factory=dict)
    """The chain that has come so far, by the number of its rows."""
    full: list[_Chain] = field(factory=list)
    """The chains with all their rows, which wait for what is to be absent behind them."""
    slots: dict[int, Row] = field(factory=dict)
    """The first row of each step, where there is no order."""
    blocked: float = -math.inf
    """The time of the last row of an absent step before the first."""
    deadline: float = math.inf

    def __len__(self) -> int:
        return len(self.waiting) + sum(1 for _ in self.held())

    def held(self) -> Iterator[Row]:
        """The rows that were taken and may still count, each as often as it does."""
        for chain in (*self.reached.values(), *self.full):
            yield from chain.rows
        yield from self.slots.values()

    def chains(self) -> list[_Chain]:
        """All chains, the oldest first."""
        return sorted((*self.reached.values(), *self.full), key=lambda chain: chain.begin)

    def oldest(self) -> float:
        """The time of the oldest row that may still count."""
        found = [time_of(row) for row in self.held()]
        return min([*found, *self.times[:1]], default=math.inf)

    def drop(self, chain: _Chain) -> None:
        """Let a chain go."""
        self.memory.release(chain.rows)
        self.reached = {n: c for n, c in self.reached.items() if c is not chain}
        self.full = [c for c in self.full if c is not chain]

    def clear(self) -> None:
        """Let everything go that was taken."""
        self.memory.release(list(self.held()))
        self.reached, self.full, self.slots = {}, [], {}

    def trim(self, keep: int) -> int:
        """Drop the oldest rows but ``keep``."""
        before = len(self)
        for number in sorted(self.slots, key=lambda n: time_of(self.slots[n])):
            if len(self) > keep:
                self.memory.release([self.slots.pop(number)])
        for chain in self.chains():
            if len(self) > keep:
                self.drop(chain)
        for member in self.taken(max(0, len(self) - keep)):
            self.memory.release([member.row])
        return before - len(self)

    def wait(self, member: _SequenceMember) -> None:
        """Put a row where its time is."""
        place = bisect_right(self.times, member.time)
        self.times.insert(place, member.time)
        self.waiting.insert(place, member)
        self.memory.hold(member.row)

    def taken(self, count: int) -> list[_SequenceMember]:
        """The first of the waiting rows, in canonical order; they wait no more."""
        found = self.waiting[:count]
        del self.times[:count], self.waiting[:count]
        for member in found:
            self.known.pop(member.row.identity, None)
        by_row = {id(member.row): member for member in found}
        return [by_row[id(row)] for row in in_order(member.row for member in found)]


@frozen
class _SequenceShape:
    """What a sequence asks of rows, worked out once."""

    present: tuple[int, ...]
    gaps: tuple[frozenset[int], ...]
    until: int

    @property
    def count(self) -> int:
        return len(self.present)


class SequenceNode(Node):
    """Rows with equal keys that take steps in order; the rows of step ``n`` come in at port ``n``,
    those of ``until`` at the last."""

    name = "sequence"

    def __init__(
        self, plan: ir.Sequence, horizon: int | None, lags: Sequence[float], around: Around
    ) -> None:
        super().__init__()
        self._plan = plan
        self._steps = ir.steps_of(plan)
        present, gaps = present_steps(plan)
        self._shape = _SequenceShape(tuple(present), tuple(gaps), len(plan.steps))
        self._limit = horizon if plan.within is None else plan.within
        self._memory = around.memory
        self._input_lag = max(lags)
        self.lag = self._input_lag + (self._limit or 0 if gaps[-1] else 0)
        self._open: dict[Any, _Progress] = {}
        self._deadlines: list[tuple[float, int, Any]] = []
        self._count = 0

    def push(self, port: int, row: Row) -> None:
        key = sequence_key(self._plan, self._steps[port], row)
        if key is None:
            return
        progress = self._open.get(key)
        if progress is None:
            progress = self._open[key] = _Progress(self._memory)
        known = progress.known.get(row.identity)
        if known is not None:
            known.steps.add(port)
            return
        progress.known[row.identity] = member = _SequenceMember(row, time_of(row), {port})
        progress.wait(member)
        self._due(key, progress)

    def _due(self, key: Any, progress: _Progress) -> None:
        """Set when there is something to do for a key: a row to take, or one to let go of."""
        due: float = progress.times[0] if progress.times else math.inf
        if self._limit is not None:
            begins = [chain.begin for chain in (*progress.reached.values(), *progress.full)]
            begins += map(time_of, progress.slots.values())
            past = min((*begins, progress.blocked if self._blocks(progress) else math.inf))
            due = min(due, past + self._limit)
        if due != progress.deadline:
            progress.deadline = due
            if due < math.inf:
                self._count += 1
                heapq.heappush(self._deadlines, (due, self._count, key))
        self.deadline = self._deadlines[0][0] + self._input_lag if self._deadlines else math.inf

    def _blocks(self, progress: _Progress) -> bool:
        return progress.blocked > -math.inf

    def advance(self, clock: float) -> None:
        past = clock - self._input_lag
        while self._deadlines and self._deadlines[0][0] < past:
            due, _, key = heapq.heappop(self._deadlines)
            progress = self._open.get(key)
            if progress is None or progress.deadline != due:
                continue
            progress.deadline = math.inf
            self._run(progress, past)
            if len(progress) or self._blocks(progress):
                self._due(key, progress)
            else:
                del self._open[key]
        self.deadline = self._deadlines[0][0] + self._input_lag if self._deadlines else math.inf

    def _run(self, progress: _Progress, past: float) -> None:
        take = self._take if self._plan.ordered else self._put
        for member in progress.taken(bisect_left(progress.times, past)):
            self._let_go(progress, member.time)
            take(progress, member)
            self._memory.release([member.row])
        self._let_go(progress, past)

    def _let_go(self, progress: _Progress, time: float) -> None:
        """Nothing from before this time will come: what is too old for it is decided."""
        if self._limit is None:
            return
        limit = self._limit
        for chain in [c for c in progress.full if time - c.begin > limit]:
            self.emit(sequence_row(chain.rows))
            progress.drop(chain)
        for chain in [c for c in progress.reached.values() if time - c.begin > limit]:
            progress.drop(chain)
        for number in [n for n, row in progress.slots.items() if time - time_of(row) > limit]:
            self._memory.release([progress.slots.pop(number)])
        if time - progress.blocked > limit:
            progress.blocked = -math.inf

    def _take(self, progress: _Progress, member: _SequenceMember) -> None:
        """Let a row take what steps it can, the last one first."""
        shape, steps = self._shape, member.steps
        if shape.until in steps:
            progress.clear()
        if not shape.gaps[shape.count].isdisjoint(steps):
            for chain in list(progress.full):
                progress.drop(chain)
        for length in range(shape.count - 1, -1, -1):
            so_far = progress.reached.get(length)
            if length and so_far is None:
                continue
            if shape.present[length] in steps:
                if so_far is None:
                    carried = _Chain((member.row,), progress.blocked)
                else:
                    carried = _Chain((*so_far.rows, member.row), so_far.blocked)
                    progress.drop(so_far)
                self._come_to(progress, carried, member.time)
            elif so_far is not None and not shape.gaps[length].isdisjoint(steps):
                progress.drop(so_far)
        if not shape.gaps[0].isdisjoint(steps):
            progress.blocked = member.time

    def _come_to(self, progress: _Progress, chain: _Chain, time: int) -> None:
        """A chain has come further."""
        length, count = len(chain.rows), self._shape.count
        if length < count:
            before = progress.reached.get(length)
            if before is not None:
                progress.drop(before)
            progress.reached[length] = chain
        elif time - chain.blocked <= (self._limit or 0):
            return
        elif self._shape.gaps[count]:
            progress.full.append(chain)
        else:
            self.emit(sequence_row(chain.rows))
            return
        for row in chain.rows:
            self._memory.hold(row)

    def _put(self, progress: _Progress, member: _SequenceMember) -> None:
        """Keep a row for the steps that it is the first of."""
        if self._shape.until in member.steps:
            progress.clear()
        for number in range(self._shape.count):
            if number in member.steps and number not in progress.slots:
                progress.slots[number] = member.row
                self._memory.hold(member.row)
            if len(progress.slots) == self._shape.count:
                self.emit(sequence_row([progress.slots[n] for n in sorted(progress.slots)]))
                progress.clear()

    def finish(self) -> None:
        everything, self._open = self._open, {}
        for progress in everything.values():
            self._run(progress, math.inf)
            for chain in progress.full:
                self.emit(sequence_row(chain.rows))
            progress.clear()
        self._deadlines = []
        self.deadline = math.inf

    def sweep(self, clock: float) -> None:
        # Only trimming leaves keys without rows; what is due for them would be looked up in vain.
        self._open = {
            key: progress
            for key, progress in self._open.items()
            if len(progress) or self._blocks(progress)
        }
        self._deadlines = [
            item
            for item in self._deadlines
            if (found := self._open.get(item[2])) is not None and found.deadline == item[0]
        ]
        heapq.heapify(self._deadlines)

    def passing(self, clock: float) -> int:
        if self._limit is None:
            return 0
        past = clock - self._input_lag - self._limit
        return sum(
            bisect_left(progress.times, past)
            + sum(len(chain.rows) for chain in progress.chains() if chain.begin < past)
            + sum(time_of(row) < past for row in progress.slots.values())
            for progress in self._open.values()
        )

    def buckets(self) -> Iterable[Bucket]:
        return list(self._open.values())

    def oldest(self) -> float:
        return min((progress.oldest() for progress in self._open.values()), default=math.inf)

    def save(self, store: Store) -> Any:
        return [
            [
                store.key(key),
                None if progress.blocked == -math.inf else progress.blocked,
                [[store.row(m.row), sorted(m.steps)] for m in progress.waiting],
                [_saved(store, chain) for chain in progress.reached.values()],
                [_saved(store, chain) for chain in progress.full],
                [[number, store.row(row)] for number, row in progress.slots.items()],
            ]
            for key, progress in self._open.items()
        ]

    def load(self, data: Any, restore: Restore) -> None:
        for key_data, blocked, waiting, reached, full, slots in data:
            key = restore.key(key_data)
            progress = self._open[key] = _Progress(self._memory)
            progress.blocked = -math.inf if blocked is None else blocked
            for item, steps in waiting:
                row = restore.row(item)
                member = _SequenceMember(row, time_of(row), set(steps))
                progress.known[row.identity] = member
                progress.wait(member)
            for chains, into in ((reached, None), (full, progress.full)):
                for rows, before in chains:
                    chain = _Chain(
                        tuple(map(restore.row, rows)), -math.inf if before is None else before
                    )
                    if into is None:
                        progress.reached[len(chain.rows)] = chain
                    else:
                        into.append(chain)
            for number, item in slots:
                progress.slots[number] = restore.row(item)
            for row in progress.held():
                self._memory.hold(row)
            self._due(key, progress)


def _saved(store: Store, chain: _Chain) -> Any:
    before = None if chain.blocked == -math.inf else chain.blocked
    return [[store.row(row) for row in chain.rows], before]
