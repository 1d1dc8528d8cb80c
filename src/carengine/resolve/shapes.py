"""What the rows of a stream look like, which is what its fields are looked up in.

::

    EventShape   events of some objects, plus assigned fields      process.exe -> Field("exe")
    JoinShape    a row of each branch                              a.pid       -> Field("pid", "a")
    RowShape     named columns of a projection or an aggregation   n           -> Field("n")
    GroupShape   rows gathered by keys; aggregates may be used     count(*)    -> Aggregate(…)
"""

from __future__ import annotations

from collections.abc import Sequence

from attrs import frozen

from .. import ir
from ..ir import Type


@frozen
class EventShape:
    """CAR events of these kinds, with assigned fields and their types."""

    kinds: tuple[ir.EventKind, ...]
    assigned: tuple[tuple[str, Type], ...] = ()


@frozen
class JoinShape:
    """One row of each branch, under the branch's name."""

    branches: tuple[tuple[str, Shape], ...]


@frozen
class RowShape:
    """Named columns; ``time`` besides."""

    columns: tuple[tuple[str, Type], ...]


@frozen
class GroupShape:
    """Groups of rows of ``members``, by keys; ``sources`` are the branches that keys of joined rows
    come from."""

    keys: tuple[tuple[str, Type], ...]
    members: Shape
    sources: tuple[str | None, ...]


Shape = EventShape | JoinShape | RowShape | GroupShape


def merged(shapes: Sequence[Shape]) -> Shape:
    """The shape of rows that come from several streams."""
    first = shapes[0]
    if isinstance(first, EventShape) and all(isinstance(shape, EventShape) for shape in shapes):
        kinds: dict[ir.EventKind, None] = {}
        assigned: dict[str, Type] = {}
        for shape in shapes:
            assert isinstance(shape, EventShape)
            kinds.update(dict.fromkeys(shape.kinds))
            assigned.update(shape.assigned)
        return EventShape(tuple(kinds), tuple(assigned.items()))
    return first
