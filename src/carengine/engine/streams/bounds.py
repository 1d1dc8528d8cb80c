"""How far apart in time the rows of a join can be, read off its condition.

``a.time < b.time < a.time + 1 second`` says that a row of ``b`` comes after its row of ``a``, by
less than a second. ``limits`` gathers all such parts of a condition, in whatever form they are
written, and follows chains from branch to branch::

    limits[i][j]   the most that the time of j's row can be after that of i's row, in microseconds
                   (negative: it must be before it), or infinity where the condition leaves it open

Row times are meant: the event's time, the last event's time of a group or an inner join. A
condition may speak of them through columns (``max(time) as last``) and through the parts of an
inner join; how far such a value can be from the row's time is what ``lag`` knows.

Where the condition leaves a distance open, a join takes the run's *horizon*: rows further apart are
not joined, since nobody could keep all rows forever. Rows without a time are near each other, and
near nothing else.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import assert_never

from attrs import evolve

from ... import ir

UNTIMED = 1 << 62
"""Stands for the time of a row that has none: further from every time than any horizon."""

Limits = tuple[tuple[float, ...], ...]
"""A square of distances in microseconds: whole numbers, or infinity."""


def conjuncts(condition: ir.Condition) -> tuple[ir.Condition, ...]:
    """The parts that must all be true for the condition to be."""
    match condition:
        case ir.And(items):
            return tuple(part for item in items for part in conjuncts(item))
        case ir.Truth(value):
            return () if value is True else (condition,)
        case ir.Or() | ir.Not() | ir.IsTrue():
            return (condition,)
        case _:
            atom: ir.Atom = condition
            return (atom,)


def limits(join: ir.Join, horizon: int | None) -> Limits:
    """The distances that a join allows; what its own condition leaves open, the horizon closes."""
    found = stated_limits(join)
    if horizon is None:
        return found
    closed = [[min(d, horizon) if math.isinf(d) else d for d in row] for row in found]
    return _followed(closed)


def stated_limits(join: ir.Join) -> Limits:
    """The distances that a join's condition allows by itself."""
    names = [branch.name for branch in join.branches]
    table = [[0 if i == j else math.inf for j in range(len(names))] for i in range(len(names))]
    for part in conjuncts(join.condition):
        for start, end, distance in _distances(part, join, names):
            table[start][end] = min(table[start][end], distance)
    return _followed(table)


def open_pairs(join: ir.Join) -> tuple[tuple[int, int], ...]:
    """The pairs of branches (first, second) where the second's row may be any time after the
    first's."""
    found = stated_limits(join)
    size = range(len(found))
    return tuple((i, j) for i in size for j in size if math.isinf(found[i][j]))


def _followed(table: Sequence[Sequence[float]]) -> Limits:
    """The shortest distances, along chains of branches too."""
    size = range(len(table))
    best = [list(row) for row in table]
    for middle in size:
        for start in size:
            for end in size:
                way = best[start][middle] + best[middle][end]
                best[start][end] = min(best[start][end], way)
    return tuple(map(tuple, best))


def _distances(
    part: ir.Condition, join: ir.Join, names: Sequence[str]
) -> list[tuple[int, int, float]]:
    """What a condition says: (i, j, the most that j's time can be after i's)."""
    # Only a comparison bounds a distance.
    if not isinstance(part, ir.Compare):
        return []
    left, relation, right = part.left, part.relation, part.right
    form = _difference(left, right)
    if form is None:
        return []
    plus, minus, constant = form
    # The condition is: plus - minus + constant <relation> 0, of two branches' times.
    at_plus, at_minus = _place(plus, join, names), _place(minus, join, names)
    if at_plus is None or at_minus is None or at_plus[0] == at_minus[0]:
        return []
    (i, i_lag), (j, j_lag) = at_plus, at_minus
    found: list[tuple[int, int, float]] = []
    # Strict bounds are rounded to the microsecond inside; the condition itself is looked at anyway.
    if relation in (ir.Relation.LESS, ir.Relation.LESS_EQUAL, ir.Relation.EQUAL):
        most = -constant - (relation is ir.Relation.LESS)
        found.append((j, i, most + i_lag[1] - j_lag[0]))
    if relation in (ir.Relation.GREATER, ir.Relation.GREATER_EQUAL, ir.Relation.EQUAL):
        most = constant - (relation is ir.Relation.GREATER)
        found.append((i, j, most + j_lag[1] - i_lag[0]))
    return [item for item in found if not math.isinf(item[2])]


def _difference(left: ir.Value, right: ir.Value) -> tuple[ir.Field, ir.Field, int] | None:
    """``left - right`` as one time minus another plus a constant; None where it is of another
    form."""
    times: list[tuple[int, ir.Field]] = []
    constant = 0
    work = [(1, left), (-1, right)]
    while work:
        sign, value = work.pop()
        match value:
            case ir.Arithmetic("+", a, b):
                work += [(sign, a), (sign, b)]
            case ir.Arithmetic("-", a, b):
                work += [(sign, a), (-sign, b)]
            case ir.Duration(length):
                constant += sign * length
            case ir.Field(type=ir.Type.TIME):
                times.append((sign, value))
            case _:
                return None
    match sorted(times, key=lambda item: item[0]):
        case [(-1, minus), (1, plus)]:
            return plus, minus, constant
        case _:
            return None


Lag = tuple[float, float]
"""The least and the most that a row's time can be after a time that the row gives."""


def _place(value: ir.Field, join: ir.Join, names: Sequence[str]) -> tuple[int, Lag] | None:
    """The branch whose time a field of a join is, and how it lags behind the row's time."""
    if value.source is None:
        return None
    for number, branch in enumerate(join.branches):
        inner = inside(value, branch.name)
        if inner is not None:
            found = lag(branch.plan, inner)
            return None if found is None else (number, found)
    return None


def is_distance(part: ir.Condition, join: ir.Join) -> bool:
    """Whether a condition bounds the distance between the own times of two branches' rows, and says
    nothing else.

    For events that have a time it is then true exactly within the `limits` of the join.
    """
    if not isinstance(part, ir.Compare) or part.type not in (ir.Type.TIME, ir.Type.DURATION):
        return False
    form = _difference(part.left, part.right)
    if form is None:
        return False
    names = [branch.name for branch in join.branches]
    places = [_place(time, join, names) for time in form[:2]]
    own = all(time.name == "time" and time.source in names for time in form[:2])
    return own and [found and found[1] for found in places] == [(0, 0), (0, 0)]


def inside(value: ir.Field, branch: str) -> ir.Field | None:
    """A field of a joined row as a field of one branch's row; None where it is another branch's."""
    if value.source == branch:
        return evolve(value, source=None)
    if value.source is not None and value.source.startswith(branch + "."):
        return evolve(value, source=value.source[len(branch) + 1 :])
    return None


def lag(plan: ir.Plan, value: ir.Field) -> Lag | None:
    """How much later than a time field of a plan's rows the rows' own time is; None where nothing
    is known."""
    own = value.source is None and value.name == "time"
    match plan:
        case ir.Search():
            return (0, 0) if own else None
        case ir.Filter(inner) | ir.Distinct(inner):
            return lag(inner, value)
        case ir.Difference(left):
            return lag(left, value)
        case ir.Union(plans):
            return _widest([lag(inner, value) for inner in plans])
        case ir.Assign(inner, name, new):
            if value.source is None and name == value.name:
                return lag(inner, new) if isinstance(new, ir.Field) else None
            return lag(inner, value)
        case ir.Project(inner, columns):
            for column in columns:
                if value.source is None and column.name == value.name:
                    new = column.value
                    return lag(inner, new) if isinstance(new, ir.Field) else None
            return (0, 0) if own else None
        case ir.Aggregated(group, columns):
            for column in columns:
                if value.source is None and column.name == value.name:
                    return _lag_of_aggregate(group, column.value)
            return (0, 0) if own else None
        case ir.Window(columns=columns, keys=keys):
            named = {column.name for column in columns} | {key.name for key in keys}
            return (0, 0) if own and "time" not in named else None
        case ir.Group(_, keys):
            return (0, 0) if own and all(key.name != "time" for key in keys) else None
        case ir.Sequence():
            return (0, 0) if own else None
        case ir.Join():
            return (0, 0) if own else _lag_of_part(plan, value)
        case _:
            assert_never(plan)


def _lag_of_aggregate(group: ir.Group, value: ir.Value) -> Lag | None:
    match value:
        case ir.Aggregate("max", ir.Field() as inner):
            return _widest([lag(plan, inner) for plan in group.plans])
        case ir.Aggregate("min", ir.Field() as inner):
            found = _widest([lag(plan, inner) for plan in group.plans])
            return None if found is None else (found[0], math.inf)
        case _:
            return None


def _lag_of_part(join: ir.Join, value: ir.Field) -> Lag | None:
    for number, branch in enumerate(join.branches):
        inner = inside(value, branch.name)
        if inner is None:
            continue
        found = lag(branch.plan, inner)
        if found is None:
            return None
        # The joined row's time is that of its last part.
        later = max(0, *stated_limits(join)[number])
        return (found[0], found[1] + later)
    return None


def _widest(lags: Sequence[Lag | None]) -> Lag | None:
    known = [found for found in lags if found is not None]
    if len(known) < len(lags) or not known:
        return None
    return min(low for low, _ in known), max(high for _, high in known)
