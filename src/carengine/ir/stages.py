"""Plans that look at one event at a time, as stages: what to search, under which one condition,
giving what."""

from __future__ import annotations

from collections.abc import Callable
from typing import assert_never

from attrs import evolve, frozen

from .nodes import (
    Aggregated,
    Assign,
    Call,
    Column,
    Condition,
    Difference,
    Distinct,
    EventKind,
    Field,
    Filter,
    Group,
    Join,
    Plan,
    Project,
    Search,
    Sequence,
    Truth,
    Type,
    Union,
    Value,
    Window,
)
from .simplification import conjunction
from .traversal import is_stateless, rewrite_condition, rewrite_value, value_is_stateless


@frozen(cache_hash=True)
class Stage:
    """A stream that looks at one event at a time: a search with its filters, assignments and
    selections.

    ``condition`` reads only fields of the event itself: what was assigned or selected is put in
    its place. ``assigned`` holds the added fields, the last of each name. ``columns`` names
    the fields that a selection left, or is None where all are there.
    """

    kinds: tuple[EventKind, ...]
    condition: Condition
    assigned: tuple[tuple[str, Value], ...] = ()
    columns: tuple[str, ...] | None = None


def as_stages(plan: Plan) -> tuple[Stage, ...] | None:
    """The plan as stages whose rows together are its rows, or None where it needs more than one
    event at a time.

    >>> kinds = (EventKind("process", "create"),)
    >>> as_stages(Filter(Search(kinds), Truth(True))) == (Stage(kinds, Truth(True)),)
    True
    """
    match plan:
        case Search(kinds):
            return (Stage(kinds, Truth(True)),)
        case Union(plans):
            parts = [as_stages(part) for part in plans]
            if any(part is None for part in parts):
                return None
            return tuple(stage for part in parts if part is not None for stage in part)
        case Filter(inner, condition):
            stages = as_stages(inner) if is_stateless(condition) else None
            return None if stages is None else tuple(_filtered(s, condition) for s in stages)
        case Assign(inner, name, value):
            stages = as_stages(inner) if value_is_stateless(value) else None
            return None if stages is None else tuple(_assigned(s, name, value) for s in stages)
        case Project(inner, columns):
            if not all(value_is_stateless(column.value) for column in columns):
                return None
            stages = as_stages(inner)
            return None if stages is None else tuple(_projected(s, columns) for s in stages)
        case Join() | Group() | Aggregated() | Window() | Sequence():
            return None
        case Difference() | Distinct():
            return None
        case _:
            assert_never(plan)


def _filtered(stage: Stage, condition: Condition) -> Stage:
    added = condition
    if stage.assigned:
        added = rewrite_condition(condition, _substitute(dict(stage.assigned)))
    return evolve(stage, condition=conjunction((stage.condition, added)))


def _assigned(stage: Stage, name: str, value: Value) -> Stage:
    assigned = dict(stage.assigned)
    new = rewrite_value(value, _substitute(assigned))
    assigned.pop(name, None)
    assigned[name] = new
    columns = stage.columns
    if columns is not None and name not in columns:
        columns = (*columns, name)
    return evolve(stage, assigned=tuple(assigned.items()), columns=columns)


def _projected(stage: Stage, columns: tuple[Column, ...]) -> Stage:
    change = _substitute(dict(stage.assigned))
    made = {column.name: rewrite_value(column.value, change) for column in columns}
    return evolve(stage, assigned=tuple(made.items()), columns=tuple(made))


def _substitute(assigned: dict[str, Value]) -> Callable[[Value], Value]:
    def change(value: Value) -> Value:
        if isinstance(value, Field) and value.source is None:
            found = assigned.get(value.name, value)
            if value.type is Type.TIME and isinstance(found, Field | Call):
                return evolve(found, type=Type.TIME)
            return found
        return value

    return change
