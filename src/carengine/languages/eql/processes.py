"""EQL's questions about the processes that an event belongs to: ``event of``, ``child of`` and
``descendant of``.

They follow the identity of processes, which the ``eql`` package's schema calls ``unique_pid`` and
``unique_ppid`` (CAR's ``guid`` and ``parent_guid``)::

    file where child of [process where process_name == "cmd.exe"]

is a file event whose process is among the processes whose parent is among those of the events in
the brackets. Which events there are is asked of the whole data, so that an event may stand before
the one that it follows from.
"""

from __future__ import annotations

from ... import ir
from ...diagnostics import Span
from ...pattern import Pattern
from ..query import native_search
from .dialect import EqlDialect

GENERATIONS = 8
"""How far ``descendant of`` looks down."""

_PROCESS = ir.Field("unique_pid")
_PARENT = ir.Field("unique_ppid")


def related(word: str, plan: ir.Plan, dialect: EqlDialect, span: Span) -> ir.Condition | None:
    """The test that an event is one of a process of some events, of a child of it, or of a
    descendant; None for another word."""
    match word:
        case "event":
            return _among(_PROCESS, plan, span)
        case "child":
            return _among(_PROCESS, _children(plan, dialect, span), span)
        case "descendant":
            tests: list[ir.Condition] = []
            for _ in range(GENERATIONS):
                plan = _children(plan, dialect, span)
                tests.append(_among(_PROCESS, plan, span))
            return ir.Or(tuple(tests))
        case _:
            return None


def _among(value: ir.Field, plan: ir.Plan, span: Span) -> ir.Condition:
    """The test that a process is one of those of some events."""
    return ir.Rank(value, ir.EVERY, _PROCESS, plan, span=span)


def _children(plan: ir.Plan, dialect: EqlDialect, span: Span) -> ir.Plan:
    """The events of processes whose parents are those of some events."""
    category = ir.Field(dialect.category)
    process: ir.Condition = ir.Match(category, (Pattern.literal("process"),), span)
    condition = ir.And((process, _among(_PARENT, plan, span)))
    return ir.Filter(native_search(dialect.name), condition, span)
