"""Nodes: the statements of a program as small machines that rows run through.

A node takes rows in (``push``), hands rows on (``emit``), and is told two things about time: that
the clock has moved (``advance``: no row from before it will come any more) and that the data has
ended (``finish``). What it keeps in between is the state of the session::

    Leaf ──▶ FilterNode ──▶ JoinNode ──▶ Sink
    Leaf ──────────────────────▲

A node promises how late its rows can be: a row that it emits while the clock stands at ``c`` has a
time of at least ``c - lag``. For events the lag is nothing, for a group it is the gap after which
it closes, and it is without bound for what only the end of the data decides. Whoever keeps rows for
partners that are still to come goes by the lag of the node that they come from.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from typing import Any, Protocol

from ... import ir
from ...evaluate import EvalContext, holds, value_of
from ...rule import Rule
from .bounds import conjuncts
from .memory import Bucket, Memory
from .plans import ends_of
from .relational import cells
from .rows import (
    EventRow,
    Occurrence,
    RecordRow,
    Row,
    assigned,
    cell,
    in_order,
    order_of,
    projected,
    times_of,
)


class Around(EvalContext, Protocol):
    """What nodes see of the session they are in."""

    memory: Memory

    def latest(self) -> int | None:
        """The last event time so far; the reference time cannot end before it."""


class Store(Protocol):
    """How a node's state is written down: rows as numbers, everything else as plain data."""

    def row(self, row: Row) -> Any:
        """A row as plain data."""

    def key(self, key: Any) -> Any:
        """A value that rows were compared by as plain data."""


class Restore(Protocol):
    """How a node's state is read back."""

    def row(self, data: Any) -> Row:
        """The row of what `Store.row` gave."""

    def key(self, data: Any) -> Any:
        """The value of what `Store.key` gave."""


Push = Callable[[int, Row], None]
"""How a node takes a row: the number of its input, and the row."""


class Node:
    """A node without state: the base of all. ``name`` says what it is, for reports."""

    name = ""
    lag: float = 0
    deadline: float = math.inf
    """When `advance` has something to do: once the clock is past it."""

    def __init__(self) -> None:
        self.targets: list[Node] = []
        self._pushes: list[tuple[Push, int]] = []

    def feed(self, node: Node, port: int = 0) -> None:
        """Hand the rows of this node on to another."""
        self.targets.append(node)
        self._pushes.append((node.push, port))

    def leave_out(self, nodes: Set[int]) -> None:
        """Hand nothing on any more to the nodes with these identities."""
        for place, target in enumerate(self.targets):
            if id(target) in nodes:
                self._pushes[place] = (ignore, 0)

    def observe(self, observed: Callable[[Node, Push], Push]) -> None:
        """Hand rows on to what ``observed`` gives for each target and its `push`."""
        pushes = zip(self.targets, self._pushes, strict=True)
        self._pushes = [(observed(target, push), port) for target, (push, port) in pushes]

    def emit(self, row: Row) -> None:
        """Hand a row on."""
        for place, (push, port) in enumerate(self._pushes):
            try:
                push(port, row)
            except Exception as error:
                # What is pushed next is not in question: nodes that are given up stay in place.
                self.broken(self.targets[place], error)

    def broken(self, node: Node, error: Exception) -> None:
        """A node has raised an error. A flow puts in this place what gives the node up."""
        raise error

    def push(self, port: int, row: Row) -> None:
        """Take a row from the input of this number."""
        raise NotImplementedError

    def advance(self, clock: float) -> None:
        """The clock has moved: nothing from before it will come from the sources."""

    def finish(self) -> None:
        """All inputs have ended: emit what is left, and forget everything."""

    def sweep(self, clock: float) -> None:
        """Let go of what is no longer needed, now."""

    def passing(self, clock: float) -> int:
        """About how many of the rows that are held could go if the clock stood there."""
        return 0

    def buckets(self) -> Iterable[Bucket]:
        """What is held, by key, for trimming."""
        return ()

    def held_rows(self) -> int:
        """How many rows are held."""
        return sum(len(bucket) for bucket in self.buckets())

    def oldest(self) -> float:
        """The time of the oldest row that moving the clock could let go of."""
        return math.inf

    def save(self, store: Store) -> Any:
        """The state as plain data; None where there is none."""
        return None

    def load(self, data: Any, restore: Restore) -> None:
        """Take over a state that `save` gave."""


def ignore(port: int, row: Row) -> None:
    """What stands in the place of the `push` of a node that was given up."""


class Leaf(Node):
    """Where events come in: the rows of streams that look at one event at a time."""

    name = "search"

    def __init__(self, around: EvalContext) -> None:
        super().__init__()
        self._around = around
        self._last: Occurrence | None = None
        self._first: Row | None = None
        self._shown: set[Any] = set()

    def take(self, stage: ir.Stage, occurrence: Occurrence) -> None:
        """An event that passed one of the stages. Passing two of them alike counts once."""
        if stage.assigned or stage.columns is not None:
            row = row_of_stage(stage, occurrence, self._around)
        else:
            row = EventRow(occurrence)
        if occurrence is not self._last:
            self._last, self._first = occurrence, row
            if self._shown:
                self._shown.clear()
        else:
            if not self._shown and self._first is not None:
                self._shown.add(self._first.identity)
            if row.identity in self._shown:
                return
            self._shown.add(row.identity)
        self.emit(row)


def row_of_stage(stage: ir.Stage, occurrence: Occurrence, around: EvalContext) -> Row:
    """The row of an event in a stream, with what the stream assigns or selects."""
    row: Row = EventRow(occurrence)
    if not stage.assigned and stage.columns is None:
        return row
    made = [ir.Column(name, value) for name, value in stage.assigned]
    record = projected(row, made, times_of(made), around)
    assert isinstance(record, RecordRow)
    if stage.columns is None:
        return EventRow(occurrence, record.columns, record.times)
    return RecordRow({n: record.columns.get(n) for n in stage.columns}, row, record.times)


class FilterNode(Node):
    """Lets through the rows for which a condition is true."""

    name = "filter"

    def __init__(self, condition: ir.Condition, lag: float, around: EvalContext) -> None:
        super().__init__()
        self._condition, self.lag, self._around = condition, lag, around

    def push(self, port: int, row: Row) -> None:
        if holds(self._condition, row, self._around) is True:
            self.emit(row)


class ChangeNode(Node):
    """An assignment or a projection: one row out for each row in."""

    def __init__(
        self, plan: ir.Assign | ir.Project | ir.Aggregated, lag: float, around: EvalContext
    ) -> None:
        super().__init__()
        self.name = "assignment" if isinstance(plan, ir.Assign) else "selection"
        self.lag = lag
        self._change = change_of(plan, around)

    def push(self, port: int, row: Row) -> None:
        self.emit(self._change(row))


def change_of(
    plan: ir.Assign | ir.Project | ir.Aggregated, around: EvalContext
) -> Callable[[Row], Row]:
    """What an assignment or a projection makes of a row."""
    match plan:
        case ir.Assign(_, name, value):
            return lambda row: assigned(row, name, value, around)
        case ir.Project(_, columns) | ir.Aggregated(_, columns):
            times = times_of(columns)
            return lambda row: projected(row, columns, times, around)


class _Rows:
    """Rows in the order they came, as one bucket."""

    def __init__(self, memory: Memory) -> None:
        self.rows: list[Row] = []
        self._memory = memory

    def __len__(self) -> int:
        return len(self.rows)

    def add(self, row: Row) -> None:
        self.rows.append(row)
        self._memory.hold(row)

    def clear(self) -> list[Row]:
        rows, self.rows = self.rows, []
        self._memory.release(rows)
        return rows

    def keep(self, wanted: Callable[[Row], bool]) -> None:
        kept = [row for row in self.rows if wanted(row)]
        if len(kept) < len(self.rows):
            self._memory.release(row for row in self.rows if not wanted(row))
            self.rows = kept

    def trim(self, keep: int) -> int:
        ordered = sorted(self.rows, key=order_of)
        gone, self.rows = ordered[: len(ordered) - keep], ordered[len(ordered) - keep :]
        self._memory.release(gone)
        return len(gone)


class HeldNode(Node):
    """A filter, assignment or projection that only the end of the data decides: it keeps its rows
    until then.

    Rows that lie before every reference time still possible (``time >= now - 1 day``, two days
    later) are let go of on the way. For trimming, rows are told apart by what is looked up of them
    elsewhere, and selections by what they select: a value that floods costs its own rows.
    """

    name = "comparison with the whole data"
    lag = math.inf

    def __init__(
        self, plan: ir.Filter | ir.Assign | ir.Project | ir.Aggregated, around: Around
    ) -> None:
        super().__init__()
        self._plan, self._around = plan, around
        self._held: dict[Any, _Rows] = {}
        self._count = 0
        self._keys = [part for value in _parts_of(plan) for part in _looked_up(value)]
        self._passing: list[ir.Condition] = []
        if isinstance(plan, ir.Filter):
            self._passing = [part for part in conjuncts(plan.condition) if _passes_away(part)]
        self._next_sweep = 256

    def push(self, port: int, row: Row) -> None:
        self._hold(row)
        self._count += 1
        if self._passing and self._count > self._next_sweep:
            self.sweep(0)
            self._next_sweep = 2 * self._count + 256

    def _hold(self, row: Row) -> None:
        key: Any = tuple(
            [cell(value_of(value, row, self._around), type_) for value, type_ in self._keys]
        )
        if not key and isinstance(row, RecordRow):
            key = row.shown
        rows = self._held.get(key)
        if rows is None:
            rows = self._held[key] = _Rows(self._around.memory)
        rows.add(row)

    def sweep(self, clock: float) -> None:
        if self._passing:
            earliest = _EarliestNow(self._around.latest())
            for rows in self._held.values():
                rows.keep(
                    lambda row: all(holds(part, row, earliest) is True for part in self._passing)
                )
        # Trimming too leaves keys without rows.
        self._held = {key: rows for key, rows in self._held.items() if len(rows)}
        self._count = sum(map(len, self._held.values()))

    def finish(self) -> None:
        held, self._held, self._count = self._held, {}, 0
        rows = [row for found in held.values() for row in found.clear()]
        match self._plan:
            case ir.Filter(_, condition):
                for row in rows:
                    if holds(condition, row, self._around) is True:
                        self.emit(row)
            case plan:
                change = change_of(plan, self._around)
                for row in rows:
                    self.emit(change(row))

    def buckets(self) -> Iterable[Bucket]:
        return list(self._held.values())

    def save(self, store: Store) -> Any:
        return [store.row(row) for rows in self._held.values() for row in rows.rows]

    def load(self, data: Any, restore: Restore) -> None:
        for item in data:
            self._hold(restore.row(item))
            self._count += 1


def _parts_of(
    plan: ir.Filter | ir.Assign | ir.Project | ir.Aggregated,
) -> Sequence[ir.Condition | ir.Value]:
    match plan:
        case ir.Filter(_, condition):
            return (condition,)
        case ir.Assign(_, _, value):
            return (value,)
        case ir.Project(_, columns) | ir.Aggregated(_, columns):
            return [column.value for column in columns]


def _looked_up(part: ir.Condition | ir.Value) -> Iterator[tuple[ir.Value, ir.Type]]:
    """The values of a row, with their types, that are looked up among those of other streams."""
    for end in ends_of(part):
        match end:
            case ir.Rank(value, of=of):
                yield value, of.type
            case ir.Lookup(plan, keys=keys):
                yield from ((own, key.type) for own, key in zip(keys, plan.group.keys, strict=True))
            case _:
                pass


class _EarliestNow:
    """EvalContext in which the reference time is the earliest that it can still be."""

    def __init__(self, now: int | None) -> None:
        self._now = now

    def now(self) -> int | None:
        return self._now

    def parameter(self, name: str) -> Any:
        return None

    def aggregate(self, aggregate: ir.Aggregate, row: Any) -> Any:
        return None

    def whole(self, whole: ir.Whole) -> Any:
        return None

    def lookup(self, lookup: ir.Lookup, row: Any) -> Any:
        return None

    def rank(self, rank: ir.Rank, row: Any) -> bool | None:
        return None


def _passes_away(part: ir.Condition) -> bool:
    """Whether a condition on a time and ``now`` stays untrue, as now grows, once it is."""
    if not isinstance(part, ir.Compare):
        return False
    relation = part.relation
    match (_sign_of_now(part.left), _sign_of_now(part.right)):
        case (0, 1) | (-1, 0):
            return relation in (ir.Relation.GREATER, ir.Relation.GREATER_EQUAL)
        case (1, 0) | (0, -1):
            return relation in (ir.Relation.LESS, ir.Relation.LESS_EQUAL)
        case _:
            return False


def _sign_of_now(value: ir.Value) -> int | None:
    """How often ``now`` is in a sum: 1, 0, -1; None for anything but sums of times and
    durations."""
    match value:
        case ir.Now():
            return 1
        case ir.Field() | ir.Duration() | ir.Moment():
            return 0
        case ir.Arithmetic("+" | "-" as sign, left, right):
            a, b = _sign_of_now(left), _sign_of_now(right)
            if a is None or b is None:
                return None
            return a + b if sign == "+" else a - b
        case _:
            return None


class UnionNode(Node):
    """The rows of several plans; one that comes through several of them goes on once."""

    name = "union"

    def __init__(self, lags: Sequence[float], around: Around) -> None:
        super().__init__()
        self.lag = max(lags)
        self._memory = around.memory
        self._seen: dict[Any, Row] = {}
        self._next_sweep = 256

    def push(self, port: int, row: Row) -> None:
        identity = row.identity
        if identity not in self._seen:
            self._seen[identity] = row
            self._memory.hold(row)
            self.emit(row)

    def advance(self, clock: float) -> None:
        if len(self._seen) > self._next_sweep:
            self.sweep(clock)
            self._next_sweep = 2 * len(self._seen) + 256

    deadline = -math.inf

    def sweep(self, clock: float) -> None:
        past = clock - self.lag
        gone = [i for i, row in self._seen.items() if row.time is not None and row.time < past]
        self._memory.release([self._seen.pop(identity) for identity in gone])

    def passing(self, clock: float) -> int:
        past = clock - self.lag
        return sum(row.time is not None and row.time < past for row in self._seen.values())

    def finish(self) -> None:
        self._memory.release(self._seen.values())
        self._seen = {}

    def buckets(self) -> Iterable[Bucket]:
        return (_Values(self._seen, self._memory),)

    def save(self, store: Store) -> Any:
        return [store.row(row) for row in self._seen.values()]

    def load(self, data: Any, restore: Restore) -> None:
        for item in data:
            row = restore.row(item)
            self._seen[row.identity] = row
            self._memory.hold(row)


class DistinctNode(Node):
    """The first row with each value: it goes on when no earlier one can come any more."""

    name = "unique"

    def __init__(self, plan: ir.Distinct, lag: float, around: Around) -> None:
        super().__init__()
        self.lag = lag
        self._value = plan.value
        self._memory = around.memory
        self._waiting: dict[Any, Row] = {}
        self._done: dict[Any, None] = {}
        self._times: list[tuple[int, int, Any]] = []
        self._count = 0

    def push(self, port: int, row: Row) -> None:
        value = cell(row.field(self._value), self._value.type)
        if value is None or value in self._done:
            return
        known = self._waiting.get(value)
        if known is not None:
            if order_of(known) <= order_of(row):
                return
            self._memory.release([known])
        self._waiting[value] = row
        self._memory.hold(row)
        if row.time is not None:
            self._count += 1
            heapq.heappush(self._times, (row.time, self._count, value))
            self.deadline = self._times[0][0] + self.lag

    def advance(self, clock: float) -> None:
        past = clock - self.lag
        while self._times and self._times[0][0] < past:
            time, _, value = heapq.heappop(self._times)
            row = self._waiting.get(value)
            if row is not None and row.time == time:
                self._go(value)
        self.deadline = self._times[0][0] + self.lag if self._times else math.inf

    def _go(self, value: Any) -> None:
        row = self._waiting.pop(value)
        self._memory.release([row])
        self._done[value] = None
        self._memory.count(1)
        self.emit(row)

    def finish(self) -> None:
        for row in in_order(self._waiting.values()):
            self.emit(row)
        self._memory.release(self._waiting.values())
        self._memory.count(-len(self._done))
        self._waiting, self._done, self._times = {}, {}, []
        self.deadline = math.inf

    def sweep(self, clock: float) -> None:
        # What was trimmed, or gave way to an earlier row, would be looked up in vain.
        self._times = [
            item
            for item in self._times
            if (row := self._waiting.get(item[2])) is not None and row.time == item[0]
        ]
        heapq.heapify(self._times)

    def buckets(self) -> Iterable[Bucket]:
        return (_Values(self._done, self._memory), _Values(self._waiting, self._memory))

    def save(self, store: Store) -> Any:
        waiting = [store.row(row) for row in self._waiting.values()]
        return [waiting, [store.key(value) for value in self._done]]

    def load(self, data: Any, restore: Restore) -> None:
        waiting, done = data
        self._done = {restore.key(value): None for value in done}
        self._memory.count(len(self._done))
        for item in waiting:
            self.push(0, restore.row(item))


class _Values:
    """Values that were met, each with the row it stands for if it has one, as one bucket: the first
    to come is the oldest."""

    def __init__(self, values: Mapping[Any, Row | None], memory: Memory) -> None:
        self._values, self._memory = values, memory

    def __len__(self) -> int:
        return len(self._values)

    def trim(self, keep: int) -> int:
        assert isinstance(self._values, dict)
        gone = list(self._values)[: len(self._values) - keep]
        for value in gone:
            row = self._values.pop(value)
            if row is None:
                self._memory.count(-1)
            else:
                self._memory.release([row])
        return len(gone)


class DifferenceNode(Node):
    """The first rows of the left that have no equal on the right; the end of the data decides.

    What is kept is a row for each different value of the left, and the values of the right.
    """

    name = "set difference"
    lag = math.inf

    def __init__(self, plan: ir.Difference, around: Around) -> None:
        super().__init__()
        self._fields = plan.fields
        self._memory = around.memory
        self._left: dict[tuple[Any, ...], Row] = {}
        self._right: dict[tuple[Any, ...], None] = {}

    def push(self, port: int, row: Row) -> None:
        compared = cells(row, self._fields)
        if port == 1:
            if compared not in self._right:
                self._right[compared] = None
                self._memory.count(1)
            known = self._left.pop(compared, None)
            if known is not None:
                self._memory.release([known])
            return
        if compared in self._right or all(value is None for value in compared):
            return
        known = self._left.get(compared)
        if known is None or order_of(row) < order_of(known):
            self._left[compared] = row
            self._memory.hold(row)
            if known is not None:
                self._memory.release([known])

    def finish(self) -> None:
        rows = in_order(self._left.values())
        self._memory.release(rows)
        self._memory.count(-len(self._right))
        self._left, self._right = {}, {}
        for row in rows:
            self.emit(row)

    def buckets(self) -> Iterable[Bucket]:
        return (_Values(self._left, self._memory), _Values(self._right, self._memory))

    def save(self, store: Store) -> Any:
        left = [store.row(row) for row in self._left.values()]
        return [left, [store.key(compared) for compared in self._right]]

    def load(self, data: Any, restore: Restore) -> None:
        left, right = data
        self._right = {restore.key(compared): None for compared in right}
        self._memory.count(len(self._right))
        for item in left:
            self.push(0, restore.row(item))


class Sink(Node):
    """Where the rows of an output arrive."""

    def __init__(
        self, rule: Rule, output: str, place: tuple[int, int], arrived: list[Sink]
    ) -> None:
        super().__init__()
        self.rule, self.output, self.place = rule, output, place
        self.rows: list[Row] = []
        self._arrived = arrived

    def push(self, port: int, row: Row) -> None:
        if not self.rows:
            self._arrived.append(self)
        self.rows.append(row)
