"""What raising asks of plans: their conditions, the names that they make, where they are written."""

from __future__ import annotations

from collections.abc import Callable
from typing import assert_never

from attrs import evolve

from .. import ir
from ..diagnostics import Span


def shown_group(plan: ir.Plan) -> ir.Group | None:
    """The group that a plan ends in, where nothing behind it decides what is found."""
    match plan:
        case ir.Project(inner) | ir.Assign(inner):
            return shown_group(inner)
        case ir.Aggregated(group):
            return group
        case ir.Search() | ir.Filter() | ir.Join() | ir.Group() | ir.Window() | ir.Union():
            return None
        case ir.Distinct() | ir.Difference() | ir.Sequence():
            return None
        case _:
            assert_never(plan)


def condition_on_search(plan: ir.Plan) -> ir.Condition | None:
    """The condition of filters on a search alone; None where there is more."""
    match plan:
        case ir.Search():
            return ir.Truth(True)
        case ir.Filter(inner, condition):
            below = condition_on_search(inner)
            return None if below is None else ir.conjunction((below, condition))
        case ir.Assign() | ir.Join() | ir.Group() | ir.Project() | ir.Aggregated():
            return None
        case ir.Window() | ir.Difference() | ir.Distinct() | ir.Union() | ir.Sequence():
            return None
        case _:
            assert_never(plan)


def columns_of(plan: ir.Plan) -> tuple[str, ...]:
    """The names that a plan itself made, which are not the log's."""
    match plan:
        case ir.Project(_, columns) | ir.Aggregated(_, columns):
            return tuple(column.name for column in columns)
        case ir.Assign(inner, name, _):
            return (*columns_of(inner), name)
        case ir.Filter(inner) | ir.Distinct(inner):
            return columns_of(inner)
        case ir.Search() | ir.Join() | ir.Group() | ir.Window() | ir.Difference() | ir.Union():
            return ()
        case ir.Sequence():
            return ()
        case _:
            assert_never(plan)


def with_columns(
    columns: tuple[ir.Column, ...], change: Callable[[ir.Value], ir.Value]
) -> tuple[ir.Column, ...]:
    """The columns with other values."""
    return tuple(evolve(c, value=ir.rewrite_value(c.value, change)) for c in columns)


def span_of(atom: ir.Condition | None) -> Span | None:
    """Where a test is written; None where that is not known."""
    found: Span | None = getattr(atom, "span", None)
    return found


def span_of_plan(plan: ir.Plan) -> Span | None:
    """Where a plan, or what it is built on, is written."""
    found = getattr(plan, "span", None)
    if isinstance(found, Span):
        # The span of a window is a time.
        return found
    inner = getattr(plan, "plan", None) or getattr(plan, "group", None)
    return None if inner is None else span_of_plan(inner)
