"""When a saved search is run, over which time, and from how many results on it alerts.

A search runs at intervals, each time over a stretch that ends about then. Here a rule sees events as
they come. A search for single events finds the same. One that counts is asked of a window as long as
the stretch, where more events can only make its condition true::

    stats count by user | where count > 5          dispatch.earliest_time = -15m
      Window(…, keys=(user,), span=15 minutes, condition=count > 5)

Any other one that counts is asked of the whole log, which is said.
"""

from __future__ import annotations

import re

from attrs import frozen

from ... import ir
from ...diagnostics import Diagnostic, Span, codes
from ..query import unsupported, wrong
from .lengths import length_of

_LENGTH = re.compile(r"-(\d{0,6}[a-z]+)(?:@[a-z0-9]+)?")
_GROWING = frozenset({"count", "distinct_count", "max"})
_MORE = (ir.Relation.GREATER, ir.Relation.GREATER_EQUAL)


@frozen
class Schedule:
    """The settings of a saved search: relative times of its stretch, and when it alerts (``greater
    than`` and ``0``; empty where it does at any result)."""

    earliest: str = ""
    latest: str = ""
    relation: str = ""
    quantity: str = ""

    @property
    def span(self) -> int | None:
        """How long the stretch is, in microseconds; None where that is not said.

        >>> Schedule("-15m@m", "now").span, Schedule("-1h", "-30m").span, Schedule("0").span
        (900000000, 1800000000, None)
        """
        start, end = _before(self.earliest), _before(self.latest)
        if start is None or start <= (end or 0):
            return None
        return start - (end or 0)


def _before(text: str) -> int | None:
    """How long before now a relative time is, in microseconds."""
    found = _LENGTH.fullmatch(text.strip().lower())
    if found is None:
        return None
    return length_of(found[1] if found[1][:1].isdigit() else f"1{found[1]}")


def in_stretches(plan: ir.Plan, span: int, place: Span) -> tuple[ir.Plan, list[Diagnostic]]:
    """The plan of a search that counts in stretches of time (``bin span=5m _time``).

    It is asked of every window of that length, those between Splunk's stretches too. Raises
    `Refusal` where more events can make what is asked false.
    """
    counted = _counted(plan)
    if counted is None:
        return plan, []
    group, columns, condition = counted
    if not _grows(condition, columns):
        what = "counting in stretches of time, with a condition that more events can make false"
        raise unsupported(what, place)
    message = "what is counted is counted in every stretch of that length"
    note = "Splunk's stretches lie side by side, so that it does not count across their borders"
    said = [Diagnostic(codes.SPLUNK_SCHEDULE, message, place, notes=(note,))]
    return ir.Window(group.plans, group.keys, span, columns, condition, place=place), said


def scheduled(plan: ir.Plan, schedule: Schedule, place: Span) -> tuple[ir.Plan, list[Diagnostic]]:
    """The plan as a saved search runs it, and what there is to say of that. Raises `Refusal`."""
    said: list[Diagnostic] = []
    threshold = _threshold(schedule, place)
    if threshold is None:
        counted = _counted(plan)
        if counted is None:
            return plan, []
        group, columns, condition = counted
        if schedule.span is None:
            return plan, []
        if _grows(condition, columns):
            return ir.Window(
                group.plans, group.keys, schedule.span, columns, condition, place=place
            ), []
        message = "what is counted is counted in the whole log"
        note = f"Splunk counts in each stretch from {schedule.earliest} on"
        said.append(Diagnostic(codes.SPLUNK_SCHEDULE, message, place, notes=(note,)))
        return plan, said
    relation, number = threshold
    if relation not in _MORE or not _is_of_events(plan) or schedule.span is None:
        what = f"an alert at a number of results {schedule.relation} {schedule.quantity}"
        note = "of a search for single events over a stretch such as -15m, more than so many can be"
        raise unsupported(what, place, note)
    count = ir.Field("count", None, ir.Type.INTEGER)
    condition = ir.Compare(count, relation, ir.Constant(number), ir.Type.INTEGER, place)
    columns = (ir.Column("count", ir.Aggregate("count", None)),)
    return ir.Window((plan,), (), schedule.span, columns, condition, place=place), said


def _threshold(schedule: Schedule, place: Span) -> tuple[ir.Relation, int] | None:
    """From how many results on there is an alert; None where one result is enough."""
    if not schedule.relation or not schedule.quantity:
        return None
    if not re.fullmatch(r"\d{1,9}", schedule.quantity):
        raise wrong("the number of results of an alert is no number", place)
    number = int(schedule.quantity)
    match schedule.relation:
        case "greater than":
            return None if number == 0 else (ir.Relation.GREATER, number)
        case "not equal to" if number == 0:
            return None
        case "less than" | "drops by":
            return ir.Relation.LESS, number
        case "equal to":
            return ir.Relation.EQUAL, number
        case _:
            raise unsupported(f"an alert at a number of results {schedule.relation}", place)


def _is_of_events(plan: ir.Plan) -> bool:
    """Whether the rows of a plan are single events."""
    match plan:
        case ir.Search():
            return True
        case ir.Filter(inner) | ir.Assign(inner) | ir.Project(inner):
            return _is_of_events(inner)
        case _:
            return False


def _counted(
    plan: ir.Plan,
) -> tuple[ir.Group, tuple[ir.Column, ...], ir.Condition] | None:
    """The group, its columns and the condition on them, of a plan that is no more than these."""
    match plan:
        case ir.Filter(inner, condition):
            found = _counted(inner)
            if found is not None:
                group, columns, before = found
                return group, columns, ir.simplify(ir.conjunction((before, condition)))
            match inner:
                case ir.Aggregated(group, columns):
                    made = tuple(c for c in columns if isinstance(c.value, ir.Aggregate))
                    return group, made, condition
                case _:
                    return None
        case _:
            return None


def _grows(condition: ir.Condition, columns: tuple[ir.Column, ...]) -> bool:
    """Whether more rows can only make a condition true."""
    growing = {
        column.name
        for column in columns
        if isinstance(column.value, ir.Aggregate) and column.value.function in _GROWING
    }
    match condition:
        case ir.And(items) | ir.Or(items):
            return all(_grows(item, columns) for item in items)
        case ir.Compare(ir.Field(name), relation, ir.Constant(int() | float())):
            return name in growing and relation in _MORE
        case ir.Truth(True):
            return True
        case _:
            return False
