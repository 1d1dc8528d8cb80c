"""Records of one happening as one row.

Sysmon's event 1 and Security's 4688 tell of one start of a process (`carengine.fieldmap.sensors` says
which events do). A stream that both are in has one row for the start: the record of the sensor with
the most to say stands for it, and names the others (`EventRow.also`).

`sightings.merged` says what that means, over finished data: of each happening the records are taken in the
order of their times, and each goes with the earliest one before it that is near enough and has no
record of that sensor yet. So two starts of one process id stay two, whatever lies between them.

`MergeNode` does it while events go by. A record waits for three times the distance, by the latest
event time: its partner is that far from it by the clock that sensors share, which may be that far
from the event time, and it may come that late. One that comes later still is a row of its own:
alerts are wanted soon, and do not wait for the lateness. What waits is bounded (`Waiting`): when too
much does, the oldest half goes on as it is, and is counted.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Hashable, Iterator, Mapping
from typing import Any

from attrs import define, field

from ...rule import Rule
from .memory import Memory
from .node import Node, Restore, Sink, Store
from .rows import EventRow, RecordRow, Row
from .sightings import known, near, order, sighting_of, with_others

MOST_WAITING = 20_000
"""How many rows wait at most, in one session, for other records of what they tell."""

_WAITS = 3


@define(eq=False)
class Waiting:
    """What all merges of a session hold, and how much that may be. ``merged`` counts records that
    another stands for, ``early`` rows that had to go on before their time."""

    memory: Memory
    most: int = MOST_WAITING
    rows: int = 0
    merged: int = 0
    early: int = 0
    holders: list[HeldRows] = field(factory=list)

    @property
    def full(self) -> bool:
        """Whether something has to go on."""
        return self.rows > self.most or (self.memory.full and self.rows > 0)

    def relieve(self) -> None:
        """Let the older half go on."""
        deadlines = sorted(d for holder in self.holders for d in holder.deadlines())
        clock = deadlines[len(deadlines) // 2] + 1
        for holder in self.holders:
            before = self.rows
            holder.go(clock)
            self.early += before - self.rows

    def note(self, row: Row) -> None:
        """A row stands for several records: count those that were not counted before."""
        also = row.also if isinstance(row, EventRow) else ()
        if isinstance(row, RecordRow):
            self.note(row.base)
        for occurrence in also:
            if not occurrence.merged:
                occurrence.merged = True
                self.merged += 1


Out = Callable[[Any, Row], None]


class HeldRows:
    """Rows that wait for other records of what they tell, by an output and what they tell of.

    ``out`` takes the rows that go on, each with its output.
    """

    def __init__(self, waiting: Waiting, out: Out) -> None:
        self._waiting, self._out = waiting, out
        self._rows: dict[tuple[Hashable, str], list[Row]] = {}
        self._deadlines: list[tuple[int, int, tuple[Hashable, str]]] = []
        self._count = 0
        waiting.holders.append(self)

    @property
    def deadline(self) -> float:
        """When the clock has to be past for a row to go on."""
        return self._deadlines[0][0] if self._deadlines else math.inf

    def deadlines(self) -> Iterator[int]:
        """When each row would go on."""
        return (deadline for deadline, _, _ in self._deadlines)

    def __len__(self) -> int:
        return sum(map(len, self._rows.values()))

    def __iter__(self) -> Iterator[tuple[Any, Row]]:
        return ((output, row) for (output, _), rows in self._rows.items() for row in rows)

    def add(self, output: Hashable, row: Row, clock: float) -> None:
        """Take a row in. One that has no more to wait for by this clock, or tells of nothing, goes
        on at once."""
        sighting = sighting_of(row)
        if sighting is None or row.time is None or _deadline(row) < clock:
            self._out(output, row)
            return
        key = (output, sighting.key)
        self._rows.setdefault(key, []).append(row)
        self._count += 1
        heapq.heappush(self._deadlines, (_deadline(row), self._count, key))
        waiting = self._waiting
        waiting.rows += 1
        waiting.memory.hold(row)
        if waiting.full:
            waiting.relieve()

    def go(self, clock: float) -> None:
        """No record from before this time will come: let go on what waits for none."""
        due: dict[tuple[Hashable, str], None] = {}
        while self._deadlines and self._deadlines[0][0] < clock:
            due[heapq.heappop(self._deadlines)[2]] = None
        for key in due:
            rows = self._rows.pop(key, None)
            if rows is None:
                continue
            rows.sort(key=order)
            while rows and min(map(_deadline, rows)) < clock:
                self._emit(key[0], _taken(rows))
            if rows:
                self._rows[key] = rows

    def finish(self) -> None:
        """No record will come at all."""
        everything, self._rows, self._deadlines = self._rows, {}, []
        for (output, _), rows in everything.items():
            rows.sort(key=order)
            while rows:
                self._emit(output, _taken(rows))

    def _emit(self, output: Hashable, rows: list[Row]) -> None:
        waiting = self._waiting
        waiting.rows -= len(rows)
        waiting.memory.release(rows)
        row = with_others(rows)
        if len(rows) > 1:
            waiting.note(row)
        self._out(output, row)


def _deadline(row: Row) -> int:
    assert row.time is not None
    return row.time + _WAITS * known(row).within


def _taken(rows: list[Row]) -> list[Row]:
    """Take out the first of some rows in order, and those of other sensors that belong to it."""
    taken = [rows.pop(0)]
    first = known(taken[0])
    sensors = {first.sensor}
    place = 0
    while place < len(rows):
        own = known(rows[place])
        if own.sensor not in sensors and near(first, own):
            sensors.add(own.sensor)
            taken.append(rows.pop(place))
        else:
            place += 1
    return taken


class MergeNode(Node):
    """Puts records of one happening together, where the rows of a stream come in.

    ``span`` is the distance, ``lateness`` how far the clock of the flow is behind the latest event.
    """

    name = "merging of records"

    def __init__(self, span: int, lateness: int, waiting: Waiting) -> None:
        super().__init__()
        self.lag = max(0, _WAITS * span - lateness)
        # What is told soon is worth more than what is late by more than the distance.
        self._ahead = lateness
        self._held = HeldRows(waiting, lambda _, row: self.emit(row))

    def push(self, port: int, row: Row) -> None:
        self._held.add(None, row, -math.inf)
        self.deadline = self._held.deadline - self._ahead

    def advance(self, clock: float) -> None:
        self._held.go(clock + self._ahead)
        self.deadline = self._held.deadline - self._ahead

    def finish(self) -> None:
        self._held.finish()
        self.deadline = math.inf

    def passing(self, clock: float) -> int:
        return sum(deadline < clock + self._ahead for deadline in self._held.deadlines())

    def oldest(self) -> float:
        return min((row.time for _, row in self._held if row.time is not None), default=math.inf)

    def held_rows(self) -> int:
        return len(self._held)

    def save(self, store: Store) -> Any:
        return [store.row(row) for _, row in self._held]

    def load(self, data: Any, restore: Restore) -> None:
        for item in data:
            self.push(0, restore.row(item))


Output = tuple[Rule, str, tuple[int, int]]
"""A rule, an output of it, and the place of both."""


class MatchMerging:
    """Puts matches of one output together that are of records of one happening.

    It is for outputs that each event decides alone. Their rows arrive at sinks, as those of other
    outputs do. Its clock is the latest event time.
    """

    def __init__(self, waiting: Waiting, arrived: list[Sink]) -> None:
        self._arrived = arrived
        self._sinks: dict[tuple[int, int], Sink] = {}
        self._held = HeldRows(waiting, self._out)

    def _out(self, place: Any, row: Row) -> None:
        self._sinks[place].push(0, row)

    @property
    def deadline(self) -> float:
        """When the clock has to be past for a match to go on."""
        return self._held.deadline

    def take(self, output: Output, row: Row, clock: float) -> None:
        """Take the row of a match."""
        rule, name, place = output
        if place not in self._sinks:
            self._sinks[place] = Sink(rule, name, place, self._arrived)
        self._held.add(place, row, clock)

    def advance(self, clock: float) -> None:
        """The clock has moved."""
        self._held.go(clock)

    def finish(self) -> None:
        """The data has ended."""
        self._held.finish()

    def save(self, store: Store, digests: Mapping[str, str]) -> list[Any]:
        """What waits, as plain data: the rule's id, its digest, the output, the row."""
        saved = []
        for place, row in self._held:
            sink = self._sinks[place]
            saved.append([sink.rule.id, digests[sink.rule.id], sink.output, store.row(row)])
        return saved

    def load(
        self,
        data: Any,
        restore: Restore,
        outputs: Callable[[str, str, str], Output | None],
    ) -> int:
        """Take over what `save` gave; how many rows are of rules that ``outputs`` does not know."""
        gone = 0
        for rule, digest, name, item in data:
            output = outputs(str(rule), str(digest), str(name))
            row = restore.row(item)
            if output is None:
                gone += 1
            else:
                self.take(output, row, -math.inf)
        return gone
