"""By which keys a stateful output can be divided, so that each part is decided by itself.

A group gathers rows with equal keys, a join pairs rows with equal values: whatever becomes one match
has a value in common. Where that holds from an output down to the searches that feed it, events can
be dealt out by this value to any number of places, the *shards*, and each finds the matches of its
events, as one place would have::

    filter ── group by host ── search            every event goes by the host
    join where a.host = b.host ── a: search      a's events by the host,
                               └─ b: search      b's too

What looks at all rows (a count over a stream, a rank, ``now``), and what has no key, needs one place.
So does a join of three branches: with lists of values, each pair may have something in common, and
all three nothing.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from ipaddress import IPv4Address, IPv6Address
from typing import Any

from attrs import frozen

from ... import ir
from ...evaluate import NoContext, value_of
from ...values import elements, key_of
from .join import equalities_of
from .node import row_of_stage
from .plans import needs_now, needs_whole
from .rows import JoinRow, Occurrence, RecordRow, Row, cell

_CONTEXT = NoContext()


@frozen
class ShardKey:
    """A value by which rows are dealt out.

    ``each`` is for joins: a list is equal to whatever one of its elements is equal to, so that its
    row goes to the shard of each. Elsewhere a list is one value. With ``optional`` null is a value
    like others; without it, a row with null takes part in nothing.
    """

    value: ir.Value
    type: ir.Type
    each: bool = False
    optional: bool = False

    def of(self, row: Row) -> frozenset[Any]:
        """What the row has in common with others; nothing where it takes part in nothing."""
        field = self.value
        found = row.field(field) if isinstance(field, ir.Field) else value_of(field, row, _CONTEXT)
        if self.each:
            keys = {key_of(item, self.type) for item in elements(found)}
            return frozenset(key for key in keys if key is not None)
        one = cell(found, self.type)
        return frozenset() if one is None and not self.optional else frozenset((one,))


ShardKeys = tuple[ShardKey, ...]


@frozen
class Sharding:
    """How the events of one output are dealt out.

    ``by_stage`` has, for each stage that feeds the output, the keys by which its events go: several
    where it feeds several inputs. ``joined`` are the two sides of the join at
    the top, if there is one.
    """

    by_stage: Mapping[ir.Stage, tuple[ShardKeys, ...]]
    joined: tuple[ShardKey, ShardKey] | None = None

    def shards(self, stage: ir.Stage, occurrence: Occurrence, count: int) -> frozenset[int]:
        """The shards, of so many, that an event which passed the stage goes to."""
        row = row_of_stage(stage, occurrence, _CONTEXT)
        found: set[int] = set()
        for keys in self.by_stage[stage]:
            parts = [key.of(row) for key in keys]
            if len(parts) == 1:
                found.update(shard_of((one,), count) for one in parts[0])
            elif all(parts):
                # Only joins have keys of several values, and these have one key.
                found.add(shard_of(tuple(next(iter(part)) for part in parts), count))
        return frozenset(found)

    def is_here(self, row: Row, shard: int, count: int) -> bool:
        """Whether a row that has arrived in a shard is to be reported there: a row of a join whose
        parts have several values in common arrives in the shard of each, and counts in one."""
        if self.joined is None:
            return True
        while isinstance(row, RecordRow):
            row = row.base
        assert isinstance(row, JoinRow)
        left, right = (key.of(part) for key, part in zip(self.joined, row.parts, strict=True))
        return min((shard_of((one,), count) for one in left & right), default=shard) == shard


def shard_of(key: tuple[Any, ...], count: int) -> int:
    """The shard of a key: the same in every process, and for keys that are equal."""
    return zlib.crc32(_text(key).encode("utf-8", "surrogatepass")) % count


def _text(key: Any) -> str:
    match key:
        case None:
            return "-"
        case str():
            return f"s{len(key)}:{key}"
        case float() if not key.is_integer():
            return f"f{key!r}"
        case int() | float():
            return f"i{int(key):x}"
        case tuple():
            return f"({','.join(map(_text, key))})"
        case IPv4Address() | IPv6Address():
            return f"a{key}"
        case _:
            raise TypeError(f"{type(key).__name__} is no key")


_Leaves = dict[ir.Plan, set[ShardKeys]]


def sharding_of(plan: ir.Plan) -> Sharding | None:
    """How the events of an output can be dealt out, by its prepared plan; None where one place has
    to see all of them."""
    if any(_looks_at_all(part) for part in ir.every_plan([plan])):
        return None
    top = plan
    while isinstance(top, ir.Filter | ir.Assign | ir.Project):
        top = top.plan
    if not isinstance(top, ir.Join):
        leaves = _leaves(plan, None)
        return None if leaves is None else _by_stage(leaves, None, alone=False)
    for sides in equalities_of(top):
        found = _of_join(top, *sides)
        if found is not None:
            return found
    return None


def _looks_at_all(plan: ir.Plan) -> bool:
    parts: list[ir.Condition | ir.Value] = list(ir.values_of_plan(plan))
    condition = ir.condition_of(plan)
    if condition is not None:
        parts.append(condition)
    return any(needs_whole(part) or needs_now(part) for part in parts)


def _of_join(
    join: ir.Join, branches: tuple[int, int], values: tuple[ir.Value, ir.Value], type_: ir.Type
) -> Sharding | None:
    if len(join.branches) != 2:
        return None
    leaves: _Leaves = {}
    sides = [ShardKey(value, type_, each=True) for value in values]
    if branches == (1, 0):
        sides.reverse()
    for branch, key in zip(join.branches, sides, strict=True):
        found = _leaves(branch.plan, (key,))
        if found is None:
            return None
        for leaf, keys in found.items():
            leaves.setdefault(leaf, set()).update(keys)
    alone = all(ir.as_stages(branch.plan) is not None for branch in join.branches)
    return _by_stage(leaves, (sides[0], sides[1]), alone=alone)


def _by_stage(
    leaves: _Leaves, joined: tuple[ShardKey, ShardKey] | None, *, alone: bool
) -> Sharding | None:
    by_stage: dict[ir.Stage, set[ShardKeys]] = {}
    for leaf, keys in leaves.items():
        for stage in ir.as_stages(leaf) or ():
            by_stage.setdefault(stage, set()).update(keys)
    # An event that is in a shard for one input is there for the others of its stage too. A join of
    # searches finds nothing wrong by it; a group would be there in part.
    if not alone and any(len(keys) > 1 for keys in by_stage.values()):
        return None
    return Sharding({stage: tuple(keys) for stage, keys in by_stage.items()}, joined)


def _leaves(plan: ir.Plan, keys: ShardKeys | None) -> _Leaves | None:
    """By which keys the events of each search below a plan go, so that the plan's rows go by these
    keys; None for ``keys`` leaves the choice to the plan."""
    if ir.as_stages(plan) is not None:
        return None if keys is None else {plan: {keys}}
    match plan:
        case ir.Filter(inner, _):
            return _leaves(inner, keys)
        case ir.Assign(inner, name, _):
            known = keys is None or all(_plain(key) not in (None, name) for key in keys)
            return _leaves(inner, keys) if known else None
        case ir.Project(inner, columns) | ir.Aggregated(inner, columns):
            if keys is None:
                return _leaves(inner, None)
            below = [_under(key, columns) for key in keys]
            found = tuple(key for key in below if key is not None)
            return _leaves(inner, found) if len(found) == len(keys) else None
        case ir.Group(plans, own) | ir.Window(plans, own):
            if keys is None:
                return _by_some([ShardKey(field, field.type) for field in own], plans)
            counted = plan.columns if isinstance(plan, ir.Window) else ()
            if any(_plain(key) in {column.name for column in counted} for key in keys):
                return None
            chosen = _among(keys, own)
            return _all_by([(inner, chosen) for inner in plans]) if chosen else None
        case ir.Sequence():
            return _of_sequence(plan, keys)
        case ir.Difference(left, right, fields):
            if keys is None:
                own_keys = [ShardKey(field, field.type, optional=True) for field in fields]
                return _by_some(own_keys, (left, right))
            keys = _among(keys, fields)
            return _all_by([(left, keys), (right, keys)]) if keys else None
        case ir.Distinct(inner, value):
            own_key = (ShardKey(value, value.type),)
            return _leaves(inner, own_key) if keys is None or keys == own_key else None
        case ir.Union(plans):
            return _all_by([(inner, keys) for inner in plans]) if keys else None
        case _:
            # A join below something else: what is grouped above it would be there in part.
            return None


def _by_some(keys: Sequence[ShardKey], plans: Sequence[ir.Plan]) -> _Leaves | None:
    """The searches below plans by all of some keys, or by the first that leads down to them."""
    for chosen in (tuple(keys), *((key,) for key in keys)):
        found = _all_by([(plan, chosen) for plan in plans]) if chosen else None
        if found is not None:
            return found
    return None


def _all_by(parts: Sequence[tuple[ir.Plan, ShardKeys]]) -> _Leaves | None:
    leaves: _Leaves = {}
    for plan, keys in parts:
        found = _leaves(plan, keys)
        if found is None:
            return None
        for leaf, own in found.items():
            leaves.setdefault(leaf, set()).update(own)
    return leaves


def _of_sequence(plan: ir.Sequence, keys: ShardKeys | None) -> _Leaves | None:
    """The rows of a sequence by its own keys; what stands above one may not ask for others."""
    steps = ir.steps_of(plan)
    if keys is not None or not steps[0].keys:
        return None
    optional = plan.optional or (False,) * len(steps[0].keys)
    return _all_by(
        [
            (
                step.plan,
                tuple(
                    ShardKey(field, field.type, optional=may)
                    for field, may in zip(step.keys, optional, strict=True)
                ),
            )
            for step in steps
        ]
    )


def _plain(key: ShardKey) -> str | None:
    """The name of the column that a key is; None where it is computed, or a part's."""
    field = key.value
    return field.name if isinstance(field, ir.Field) and field.source is None else None


def _under(key: ShardKey, columns: Sequence[ir.Column]) -> ShardKey | None:
    """A key over columns as one over the rows they are made of, where a column is a field as it
    is."""
    name = _plain(key)
    value = next((column.value for column in columns if column.name == name), None)
    if not isinstance(value, ir.Field) or value.source is not None:
        return None
    # A time is read once; what is read as one again may be another.
    if value.type is not key.type or key.type is ir.Type.TIME:
        return None
    return ShardKey(value, key.type, key.each, key.optional)


def _among(keys: ShardKeys, own: Sequence[ir.Field]) -> ShardKeys | None:
    """Keys over a grouped row as keys over the rows in it: they must be among its own."""
    found = []
    for key in keys:
        name = _plain(key)
        field = next((field for field in own if field.name == name), None)
        if field is None or field.type is not key.type or field.type is ir.Type.TIME:
            return None
        found.append(ShardKey(field, key.type, key.each, key.optional))
    return tuple(found)
