"""How large a plan is when it is written out, which a short program can make very large.

Streams share what they are built on, so a program of a few lines can describe a plan of astronomic
size::

    a = search Process:Create
    b = join (a, c) where …        every line doubles the plan
    a.x = a.x + a.x                every line doubles the expression for x

Whatever works on plans walks them as trees. So the resolver measures each plan it makes, with a few
numbers a plan, and refuses it past a bound:

* **nodes** of the tree, those of plans inside conditions (``Whole``, ``Lookup``, ``Rank``)
  included;
* its **depth**, which is bounded by Python's own stack;
* the **leaves** of conditions and values once what was assigned stands in its place, and how deep
  values then are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import assert_never

from attrs import field, frozen

from .. import ir

MAX_NODES = 5_000
MAX_DEPTH = 100
MAX_LEAVES = 100_000
MAX_VALUE_DEPTH = 150

Extent = tuple[int, int]
"""How many leaves a value has when it is written out, and how deep it is."""


@frozen
class _Size:
    """What a plan measures. ``plan`` is held so that its id stays its own.

    ``weights`` are the extents of the assigned fields; ``leaves`` counts those of all conditions
    and values, of which the deepest is ``deepest``.
    """

    plan: ir.Plan
    nodes: int
    depth: int
    leaves: int
    deepest: int
    weights: Mapping[str, Extent] = field(factory=dict)


class Sizes:
    """The sizes of plans, each measured once."""

    def __init__(self) -> None:
        self._known: dict[int, _Size] = {}

    def problem(self, plan: ir.Plan) -> str | None:
        """Why a plan is refused, or None."""
        size = self._of(plan)
        if size.nodes > MAX_NODES:
            return f"this stream is built of more than {MAX_NODES:,} others"
        if size.depth > MAX_DEPTH:
            return f"this stream stands on more than {MAX_DEPTH} others, one on the other"
        if size.leaves > MAX_LEAVES:
            most = f"more than {MAX_LEAVES:,} parts"
            return f"written out, the conditions and values of this stream have {most}"
        if size.deepest > MAX_VALUE_DEPTH:
            return f"written out, a value of this stream is nested more than {MAX_VALUE_DEPTH} deep"
        return None

    def _of(self, plan: ir.Plan) -> _Size:
        known = self._known.get(id(plan))
        if known is None:
            known = self._known[id(plan)] = self._measured(plan)
        return known

    def _measured(self, plan: ir.Plan) -> _Size:
        parts = [self._of(part) for part in ir.plans_below(plan)]
        inner = [self._of(part) for part in ir.plans_beside(plan)]
        weights: dict[str, Extent] = {}
        match plan:
            case ir.Filter() | ir.Assign() | ir.Project() | ir.Union() | ir.Distinct():
                for part in parts:
                    for name, extent in part.weights.items():
                        other = weights.get(name, (1, 1))
                        weights[name] = (max(extent[0], other[0]), max(extent[1], other[1]))
            case ir.Search() | ir.Join() | ir.Group() | ir.Aggregated():
                # Their rows have no fields that were assigned below them.
                pass
            case ir.Window() | ir.Sequence():
                # Their rows have no fields that were assigned below them.
                pass
            case ir.Difference():
                pass
            case _:
                assert_never(plan)
        own = [_extent(value, weights) for value in _values(plan)]
        match plan:
            case ir.Assign(_, name, value):
                weights[name] = _extent(value, weights)
            case ir.Project(_, columns):
                weights = {column.name: _extent(column.value, weights) for column in columns}
            case _:
                # No other plan gives a field another value.
                pass
        everything = [*parts, *inner]
        return _Size(
            plan,
            1 + sum(part.nodes for part in everything),
            1 + max((part.depth for part in everything), default=0),
            sum(part.leaves for part in everything) + sum(leaves for leaves, _ in own),
            max((depth for _, depth in own), default=0),
            weights,
        )


def _values(plan: ir.Plan) -> Iterator[ir.Value | ir.Rank]:
    """The values that a plan itself reads, and its ranks."""
    match plan:
        case ir.Filter(_, condition) | ir.Join(_, condition):
            for atom in ir.atoms(condition):
                if isinstance(atom, ir.Rank):
                    yield atom
                yield from ir.values_of(atom)
        case ir.Assign(_, _, value):
            yield value
        case ir.Project(_, columns) | ir.Aggregated(_, columns) | ir.Window(columns=columns):
            for column in columns:
                yield column.value
        case ir.Search() | ir.Group() | ir.Difference() | ir.Distinct() | ir.Union():
            # Keys are plain fields: they weigh nothing.
            return
        case ir.Sequence():
            # Keys are plain fields: they weigh nothing.
            return
        case _:
            assert_never(plan)


def _extent(value: ir.Value | ir.Rank, weights: Mapping[str, Extent]) -> Extent:
    match value:
        case ir.Rank() | ir.Field(source=str()):
            return 1, 1
        case ir.Field(name):
            return weights.get(name, (1, 1))
        case _:
            inner = [_extent(part, weights) for part in ir.operands(value)]
            leaves = sum(leaves for leaves, _ in inner) or 1
            return leaves, 1 + max((depth for _, depth in inner), default=0)
