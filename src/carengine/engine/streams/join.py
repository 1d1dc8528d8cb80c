"""Joins while events go by: each row meets those of the other branches that came before it.

Every branch keeps its rows, in buckets by what the condition requires to be equal (`key_of`), each
bucket sorted by time. A new row walks a path through the other branches, made when the join was: at
each step one bucket is looked up by values of the rows that are bound already, and of it only the
stretch of time that the distances between branches (``bounds``) leave open::

    join (a, b, c) where a.pid = b.ppid and b.pid = c.ppid and a.time < b.time < a.time + 1 min …
    a new row of c:  b's bucket [pid = c.ppid], c.time - … to c.time
                  →  a's bucket [pid = b.ppid], …

Where the condition also orders two values (``a.pid < b.ppid``, or ``!=``), and the stretch is long,
the bucket keeps its rows by that value too (`orders`), and the shorter of the stretches is walked.
What is left has a ceiling: so many pairs are tried and so many rows given out for each row that
comes. Without it, rows with one key would cost time that grows with their square.

What is found is held to the condition, as the reference would; where the look-up itself was exact,
to what the look-up does not know of. A row goes when every partner that may still come would be too
late for it. The order of arrival makes no difference: a combination is found when its last row
comes, whichever that is.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from attrs import frozen

from ... import ir
from ...evaluate import holds, value_of
from ...pattern import fold
from ...values import elements, key_of
from .bounds import UNTIMED, Limits, conjuncts, inside, is_distance, limits
from .memory import Bucket, Memory
from .node import Around, Node, Restore, Store
from .orders import Inequality, Order, Wanted, inequality, order_getter
from .relational import branch_of
from .rows import EventRow, JoinRow, Row

_SWEEP = 512
# How many pairs of rows a join may try at once, and how many more with each row that comes.
_MOST_PAIRS = 500_000
_PAIRS_PER_ROW = 100
# How many joined rows it may give out at once, and how many more with each row that comes.
_MOST_JOINED = 200_000
_JOINED_PER_ROW = 20
# A stretch of so few rows is walked as it is.
_FEW_ROWS = 32

Keyed = tuple[Row, tuple[Any, ...], bool]
"""A row, the keys of its values, one for each value of its branch that a condition compares, and
whether it is *exact*: an event with a time that is its own, and with one value for each key. For
exact rows equal keys are equal values, and the distances of row times are what a condition says of
times."""


class _Several:
    """The key of a list of several values: equal to whatever one of them is."""


_SEVERAL = _Several()


@frozen
class _Equality:
    """``left = right``, a value of one branch and one of another, each read in its branch's own
    rows."""

    branches: tuple[int, int]
    values: tuple[ir.Value, ir.Value]
    type: ir.Type


class _Bucket:
    """The rows of one branch with one key, by time."""

    __slots__ = ("_index", "_memory", "_orders", "rows", "times")

    def __init__(self, index: _Index, memory: Memory | None) -> None:
        self.times: list[int] = []
        self.rows: list[Keyed] = []
        self._index = index
        self._memory = memory
        # By the inequality; made when one is asked for, and made anew after rows have gone.
        self._orders: dict[Inequality, Order[Keyed]] = {}

    def __len__(self) -> int:
        return len(self.times)

    def add(self, time: int, row: Keyed) -> None:
        times = self.times
        if not times or time >= times[-1]:
            times.append(time)
            self.rows.append(row)
        else:
            place = bisect_right(times, time)
            times.insert(place, time)
            self.rows.insert(place, row)
        for order in self._orders.values():
            order.add(time, row[0], row)

    def between(self, low: float, high: float, wanted: Wanted) -> Sequence[Keyed]:
        """The rows in a stretch of time, by time; without some of those for which a wanted
        inequality is not true."""
        times = self.times
        start = bisect_left(times, low) if low > times[0] else 0
        end = bisect_right(times, high, start) if high < times[-1] else len(times)
        if wanted and end - start > _FEW_ROWS:
            shortest, least = None, end - start
            for item, key in wanted:
                order = self._orders.get(item)
                if order is None:
                    order = self._orders[item] = Order(item)
                    order.fill(zip(self.times, self.rows, strict=True))
                number = order.count(key)
                if number < least:
                    shortest, least = (order, key), number
            if shortest is not None:
                return shortest[0].rows(shortest[1], low, high)
        return self.rows[start:end]

    def delete(self, place: int) -> None:
        """Drop one row, which is held elsewhere too."""
        self._orders.clear()
        del self.times[place]
        del self.rows[place]

    def cut(self, before: float) -> int:
        """Drop the rows from before a time; how many went."""
        if not self.times or self.times[0] >= before:
            return 0
        count = bisect_left(self.times, before)
        self._drop(count)
        return count

    def trim(self, keep: int) -> int:
        count = max(0, len(self) - keep)
        self._drop(count)
        return count

    def _drop(self, count: int) -> None:
        if self._memory is not None:
            self._memory.release([entry[0] for entry in self.rows[:count]])
        self._orders.clear()
        del self.times[:count]
        del self.rows[:count]


class _Index:
    """The rows of a branch by some of their keys. The first index of a branch is the one that is
    counted."""

    def __init__(self, places: tuple[int, ...], memory: Memory | None) -> None:
        self.places = places
        self._memory = memory
        self.buckets: dict[Any, _Bucket] = {}
        self.several = _Bucket(self, memory)

    def add(self, time: int, row: Keyed) -> None:
        keys = row[1]
        key = tuple([keys[place] for place in self.places])
        if _SEVERAL in key:
            self.several.add(time, row)
            return
        bucket = self.buckets.get(key)
        if bucket is None:
            bucket = self.buckets[key] = _Bucket(self, self._memory)
            bucket.times.append(time)
            bucket.rows.append(row)
        else:
            bucket.add(time, row)

    def find(
        self, key: tuple[Any, ...], low: float, high: float, wanted: Wanted = ()
    ) -> Sequence[Keyed]:
        """The rows with a key in a stretch of time, and those whose key is a list; without some of
        those for which a wanted inequality is not true."""
        if _SEVERAL in key:
            buckets = [*self.buckets.values(), self.several]
        else:
            bucket = self.buckets.get(key)
            if not self.several.times:
                if bucket is None or not bucket.times:
                    return ()
                return bucket.between(low, high, wanted)
            buckets = [self.several] if bucket is None else [bucket, self.several]
        return [
            row for bucket in buckets if bucket.times for row in bucket.between(low, high, wanted)
        ]

    def largest(self, key: tuple[Any, ...]) -> bool:
        """Whether a look-up by a key may find many rows."""
        if _SEVERAL in key or len(self.several) > _FEW_ROWS:
            return True
        bucket = self.buckets.get(key)
        return bucket is not None and len(bucket) > _FEW_ROWS

    def cut(self, before: float) -> int:
        """Drop the rows from before a time; how many went."""
        gone = self.several.cut(before)
        passed = []
        for key, bucket in self.buckets.items():
            times = bucket.times
            if not times or times[-1] < before:
                passed.append(key)
            elif times[0] < before:
                gone += bucket.cut(before)
        rows = [entry[0] for key in passed for entry in self.buckets.pop(key).rows]
        if self._memory is not None:
            self._memory.release(rows)
        return gone + len(rows)

    def everything(self) -> Iterator[Keyed]:
        for bucket in (*self.buckets.values(), self.several):
            yield from bucket.rows


@frozen
class _Step:
    """One step of a path: the branch to look in, its index, and where the key comes from."""

    branch: int
    index: _Index
    keys: tuple[tuple[int, int], ...]
    """For each part of the key: a bound branch, and the place among that branch's keys."""
    bound: tuple[int, ...]
    inequalities: tuple[tuple[int, Inequality], ...]
    """Orders between the branch's rows and a bound branch's row: the bound branch, and which."""
    checks: tuple[ir.Condition, ...]
    """Conditions between bound branches, looked at before the next step."""


class JoinNode(Node):
    """A join of any number of branches; rows of branch ``n`` come in at port ``n``.

    ``horizon`` closes the distances that the condition leaves open; ``lags`` are the branches'.
    """

    name = "join"

    def __init__(
        self, plan: ir.Join, horizon: int | None, lags: Sequence[float], around: Around
    ) -> None:
        super().__init__()
        self._names = tuple(branch.name for branch in plan.branches)
        self._condition = plan.condition
        self._around = around
        self._memory = around.memory
        self._lags = tuple(lags)
        self.lag = max(lags)
        self._limits: Limits = limits(plan, horizon)
        size = range(len(self._names))
        parts = conjuncts(plan.condition)
        equalities = [found for part in parts if (found := _equality(part, self._names))]
        # The compared values of each branch, each once.
        self._values: list[list[tuple[ir.Value, ir.Type]]] = [[] for _ in size]
        for found in equalities:
            for branch, value in zip(found.branches, found.values, strict=True):
                if (value, found.type) not in self._values[branch]:
                    self._values[branch].append((value, found.type))
        self._keys = [
            [_key_getter(value, type_, around) for value, type_ in values]
            for values in self._values
        ]
        self._indexes: list[dict[tuple[int, ...], _Index]] = [{} for _ in size]
        # What is left to ask of exact rows: neither an equality of keys nor a distance in time.
        self._rest = ir.conjunction(
            tuple(
                part
                for part in parts
                if _equality(part, self._names) is None and not is_distance(part, plan)
            )
        )
        checks = [(part, _spoken_of(part, self._names)) for part in parts]
        self._inequalities = self._ordered([part for part in parts if not is_distance(part, plan)])
        self._paths = [self._path(start, equalities, checks) for start in size]
        self._count = 0
        self._next_sweep = _SWEEP
        self._budget = _MOST_PAIRS
        self._joined = _MOST_JOINED
        self.untried = 0
        """How many pairs were not tried because the ceiling was reached."""
        self.withheld = 0
        """How many rows may have joined, and were not tried, because so many had been given out."""

    @property
    def names(self) -> str:
        """The names of its branches."""
        return ", ".join(self._names)

    def _ordered(self, parts: Sequence[ir.Condition]) -> dict[tuple[int, int], list[Inequality]]:
        """The inequalities between two branches: of (the one looked in, the bound one)."""
        found: dict[tuple[int, int], list[Inequality]] = {}
        for part in parts:
            sides = inequality(part)
            if sides is None:
                continue
            left, relation, right, type_ = sides
            one, other = _only(left, self._names), _only(right, self._names)
            if one is None or other is None or one[0] == other[0]:
                continue
            gets = [order_getter(value, type_, self._around) for _, value in (one, other)]
            mirrored = None if relation is None else relation.mirrored
            found.setdefault((one[0], other[0]), []).append(Inequality(relation, *gets))
            found.setdefault((other[0], one[0]), []).append(Inequality(mirrored, *gets[::-1]))
        return found

    def _path(
        self,
        start: int,
        equalities: Sequence[_Equality],
        checks: Sequence[tuple[ir.Condition, frozenset[int]]],
    ) -> tuple[_Step, ...]:
        """The order in which a new row of a branch looks through the others: the most tied ones
        first."""
        bound = [start]
        steps: list[_Step] = []
        while len(bound) < len(self._names):
            others = [b for b in range(len(self._names)) if b not in bound]
            links = {b: _links(b, bound, equalities) for b in others}
            chosen = max(others, key=lambda b: (len(links[b]), -self._width(bound, b), -b))
            places = tuple(
                self._values[chosen].index((own, type_)) for own, type_, _, _ in links[chosen]
            )
            keys = tuple(
                (other, self._values[other].index((value, type_)))
                for _, type_, other, value in links[chosen]
            )
            had = frozenset(bound)
            bound.append(chosen)
            have = frozenset(bound)
            due: tuple[ir.Condition, ...] = ()
            if len(bound) < len(self._names):
                due = tuple(part for part, of in checks if of <= have and not of <= had)
            orders = tuple(
                (other, item)
                for other in sorted(had)
                for item in self._inequalities.get((chosen, other), ())
            )
            index = self._index(chosen, places)
            steps.append(_Step(chosen, index, keys, tuple(sorted(had)), orders, due))
        return tuple(steps)

    def _width(self, bound: Iterable[int], branch: int) -> float:
        return min(self._limits[b][branch] + self._limits[branch][b] for b in bound)

    def _index(self, branch: int, places: tuple[int, ...]) -> _Index:
        known = self._indexes[branch]
        if places not in known:
            known[places] = _Index(places, None if known else self._memory)
        return known[places]

    def push(self, port: int, row: Row) -> None:
        keys = []
        for get in self._keys[port]:
            key = get(row)
            if key is None:
                # Nothing is equal to null, nor to what cannot be read.
                return
            keys.append(key)
        time = UNTIMED if row.time is None else row.time
        self._budget = min(_MOST_PAIRS, self._budget + _PAIRS_PER_ROW)
        self._joined = min(_MOST_JOINED, self._joined + _JOINED_PER_ROW)
        entry = _keyed(row, keys)
        path = self._paths[port]
        if len(path) == 1:
            self._meet(path[0], port, entry, time)
        else:
            self._walk(0, path, {port: entry}, {port: time})
        for index in self._indexes[port].values():
            index.add(time, entry)
        self._memory.hold(row)
        self._count += 1
        if self._count > self._next_sweep:
            self.deadline = -math.inf

    def _meet(self, step: _Step, port: int, entry: Keyed, time: int) -> None:
        """Join a new row with those of the one other branch."""
        row, keys, exact = entry
        target, table = step.branch, self._limits
        key = tuple([keys[place] for _, place in step.keys])
        low, high = time - table[target][port], time + table[port][target]
        wanted = _wanted(step, key, {port: entry})
        if wanted is None:
            return
        for other, _, also in self._within(step.index.find(key, low, high, wanted)):
            parts = (row, other) if port < target else (other, row)
            self._join(JoinRow(self._names, parts), exact=exact and also)

    def _within(self, rows: Sequence[Keyed]) -> Sequence[Keyed]:
        """Of rows to be tried those that the budgets have room for, the latest ones; the others are
        counted."""
        if self._joined <= 0:
            self.withheld += len(rows)
            return ()
        self._budget -= len(rows)
        if self._budget >= 0:
            return rows
        left = min(len(rows), -self._budget)
        self._budget = 0
        self.untried += left
        return rows[left:]

    def _join(self, row: JoinRow, *, exact: bool) -> None:
        condition = self._rest if exact else self._condition
        if condition == _TRUE or holds(condition, row, self._around) is True:
            if self._joined <= 0:
                self.withheld += 1
                return
            self._joined -= 1
            self.emit(row)

    def _walk(
        self, depth: int, path: tuple[_Step, ...], bound: dict[int, Keyed], times: dict[int, int]
    ) -> None:
        step = path[depth]
        target = step.branch
        low, high = -math.inf, math.inf
        table = self._limits
        for branch in step.bound:
            time = times[branch]
            low = max(low, time - table[target][branch])
            high = min(high, time + table[branch][target])
        if low > high:
            return
        key = tuple([bound[branch][1][place] for branch, place in step.keys])
        last = depth + 1 == len(path)
        wanted = _wanted(step, key, bound)
        if wanted is None:
            return
        for entry in self._within(step.index.find(key, low, high, wanted)):
            chosen = {**bound, target: entry}
            if last:
                row = JoinRow(self._names, tuple([chosen[i][0] for i in range(len(chosen))]))
                self._join(row, exact=all(one[2] for one in chosen.values()))
                continue
            if step.checks:
                order = sorted(chosen)
                part = JoinRow(
                    tuple(self._names[i] for i in order), tuple(chosen[i][0] for i in order)
                )
                if not all(holds(check, part, self._around) is True for check in step.checks):
                    continue
            found = entry[0].time
            self._walk(
                depth + 1, path, chosen, {**times, target: UNTIMED if found is None else found}
            )

    def advance(self, clock: float) -> None:
        if self._count > self._next_sweep:
            self.sweep(clock)
            self._next_sweep = 2 * self._count + _SWEEP
        self.deadline = math.inf

    def sweep(self, clock: float) -> None:
        for branch, indexes in enumerate(self._indexes):
            before = self._needed_from(branch, clock)
            gone = [index.cut(before) for index in indexes.values()]
            self._count -= gone[0]

    def _needed_from(self, branch: int, clock: float) -> float:
        """The earliest time at which a row of a branch can still find partners in all other
        branches."""
        return min(
            clock - self._lags[other] - self._limits[branch][other]
            for other in range(len(self._names))
            if other != branch
        )

    def passing(self, clock: float) -> int:
        found = 0
        for branch, indexes in enumerate(self._indexes):
            before = self._needed_from(branch, clock)
            first = next(iter(indexes.values()))
            for bucket in (*first.buckets.values(), first.several):
                found += bisect_left(bucket.times, before)
        return found

    def finish(self) -> None:
        for indexes in self._indexes:
            for number, index in enumerate(indexes.values()):
                if number == 0:
                    self._memory.release(entry[0] for entry in index.everything())
                index.buckets, index.several = {}, _Bucket(index, index.several._memory)
        self._count = 0

    def buckets(self) -> Iterable[Bucket]:
        # A branch with several indexes holds its rows in each: they are trimmed together.
        for indexes in self._indexes:
            first, *rest = indexes.values()
            for bucket in (*first.buckets.values(), first.several):
                if bucket.times:
                    yield _Trimmed(self, bucket, rest) if rest else _Counted(self, bucket)

    def oldest(self) -> float:
        first = (next(iter(indexes.values())) for indexes in self._indexes)
        buckets = (b for index in first for b in (*index.buckets.values(), index.several))
        return min((bucket.times[0] for bucket in buckets if bucket.times), default=math.inf)

    def forget(self, count: int) -> None:
        """Rows were dropped by others."""
        self._count -= count

    def save(self, store: Store) -> Any:
        return [
            [store.row(entry[0]) for entry in next(iter(indexes.values())).everything()]
            for indexes in self._indexes
        ]

    def load(self, data: Any, restore: Restore) -> None:
        for port, rows in enumerate(data):
            for item in rows:
                row = restore.row(item)
                entry = _keyed(row, [get(row) for get in self._keys[port]])
                for index in self._indexes[port].values():
                    index.add(UNTIMED if row.time is None else row.time, entry)
                self._memory.hold(row)
                self._count += 1


_TRUE = ir.Truth(True)


def _wanted(step: _Step, key: tuple[Any, ...], bound: Mapping[int, Keyed]) -> Wanted | None:
    """The inequalities that a step's rows must keep to, with the bound rows' values; None where one
    cannot be true. Values are read only where many rows may be met."""
    if not step.inequalities or not step.index.largest(key):
        return ()
    found = []
    for branch, item in step.inequalities:
        value = item.bound(bound[branch][0])
        if value is None:
            return None
        found.append((item, value))
    return found


def _keyed(row: Row, keys: Sequence[Any]) -> Keyed:
    exact = (
        isinstance(row, EventRow)
        and row.time is not None
        and "time" not in row.assigned
        and _SEVERAL not in keys
    )
    return row, tuple(keys), exact


class _Counted:
    """A bucket whose join is told of what is trimmed."""

    def __init__(self, node: JoinNode, bucket: _Bucket) -> None:
        self._node, self._bucket = node, bucket

    def __len__(self) -> int:
        return len(self._bucket)

    def trim(self, keep: int) -> int:
        gone = self._bucket.trim(keep)
        self._node.forget(gone)
        return gone


class _Trimmed(_Counted):
    """A bucket whose rows are in further indexes of the branch too."""

    def __init__(self, node: JoinNode, bucket: _Bucket, others: Sequence[_Index]) -> None:
        super().__init__(node, bucket)
        self._others = others

    def trim(self, keep: int) -> int:
        gone = self._bucket.rows[: max(0, len(self._bucket) - keep)]
        for index in self._others:
            for entry in gone:
                _remove(index, entry)
        return super().trim(keep)


def _remove(index: _Index, entry: Keyed) -> None:
    key = tuple(entry[1][place] for place in index.places)
    bucket = index.several if _SEVERAL in key else index.buckets[key]
    time = UNTIMED if entry[0].time is None else entry[0].time
    place = bisect_left(bucket.times, time)
    while bucket.rows[place] is not entry:
        place += 1
    bucket.delete(place)


def _key_getter(value: ir.Value, type_: ir.Type, around: Around) -> Callable[[Row], Any]:
    """A function that gives the key of a row's value; None where nothing can be equal to it."""

    is_text = type_ is ir.Type.TEXT

    def get(row: Row) -> Any:
        if not isinstance(value, ir.Field):
            found = value_of(value, row, around)
        elif isinstance(row, EventRow) and not row.assigned:
            found = row.occurrence.view.field(value)
        else:
            found = row.field(value)
        if type(found) is str and is_text:
            return fold(found)
        if isinstance(found, list | tuple):
            keys = {key for item in elements(found) if (key := key_of(item, type_)) is not None}
            return _SEVERAL if len(keys) > 1 else keys.pop() if keys else None
        return key_of(found, type_)

    return get


def _equality(part: ir.Condition, names: Sequence[str]) -> _Equality | None:
    """A part of a condition that requires a value of one branch to equal one of another."""
    if not isinstance(part, ir.Compare) or part.relation is not ir.Relation.EQUAL:
        return None
    a, b = _only(part.left, names), _only(part.right, names)
    if a is None or b is None or a[0] == b[0]:
        return None
    return _Equality((a[0], b[0]), (a[1], b[1]), part.type)


def equalities_of(
    join: ir.Join,
) -> list[tuple[tuple[int, int], tuple[ir.Value, ir.Value], ir.Type]]:
    """The equalities that a join requires: of which two branches, the value of each, read in its
    own rows, and as what they are compared."""
    names = [branch.name for branch in join.branches]
    parts = conjuncts(join.condition)
    found = [one for part in parts if (one := _equality(part, names))]
    return [(one.branches, one.values, one.type) for one in found]


def _only(value: ir.Value, names: Sequence[str]) -> tuple[int, ir.Value] | None:
    """The one branch that a value is read from, and the value as read in that branch's rows."""
    found = set()
    for leaf in ir.leaves(value):
        match leaf:
            case ir.Field():
                of = branch_of(leaf, names)
                if of is None:
                    return None
                found.add(of)
            case ir.Constant() | ir.Duration() | ir.Moment():
                pass
            case _:
                # Anything else may be read from more than one branch's row.
                return None
    if len(found) != 1:
        return None
    [name] = found

    def change(part: ir.Value) -> ir.Value:
        return (inside(part, name) or part) if isinstance(part, ir.Field) else part

    return names.index(name), ir.rewrite_value(value, change)


def _links(
    branch: int, bound: Sequence[int], equalities: Sequence[_Equality]
) -> list[tuple[ir.Value, ir.Type, int, ir.Value]]:
    """The equalities between a branch and bound ones: own value, type, other branch, its value."""
    found = []
    for item in equalities:
        (a, b), (left, right) = item.branches, item.values
        if a == branch and b in bound:
            found.append((left, item.type, b, right))
        elif b == branch and a in bound:
            found.append((right, item.type, a, left))
    return found


def _spoken_of(part: ir.Condition, names: Sequence[str]) -> frozenset[int]:
    """The branches that a condition speaks of; all where it looks at whole rows."""
    everything = frozenset(range(len(names)))
    found = set()
    for atom in ir.atoms(part):
        if ir.reads_raw_event(atom):
            return everything
        for value in ir.values_of(atom):
            for leaf in ir.leaves(value):
                if isinstance(leaf, ir.Field):
                    of = branch_of(leaf, names)
                    if of is None:
                        return everything
                    found.add(names.index(of))
    return frozenset(found)
