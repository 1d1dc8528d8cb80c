"""Joins that are sequences: one event after the other, with equal keys, within a span of time.

``sequence_of`` recognises them for languages that have sequences but no joins. The join's condition
has to be a conjunction of equalities between fields of neighbouring branches and of orders of their
times::

    join (a, b) where a.hostname = b.hostname and a.time < b.time < a.time + 1 hour
    EventSequence(steps=(SequenceStep(a's views, keys=(Hostname,)), SequenceStep(b's views, keys=(Hostname,))), span=1 hour)

Each key has to be one raw field of the log.
"""

from __future__ import annotations

from typing import assert_never

from attrs import frozen

from .. import ir
from ..functions import respells
from .lowered import EntryView, Log, views_of, why_nothing
from .translation import Findings


@frozen
class SequenceStep:
    """One event of a sequence: what it can be, and the fields that it shares with the others."""

    name: str
    views: tuple[EntryView, ...]
    keys: tuple[ir.Raw, ...]


@frozen
class EventSequence:
    """Events in the order of time. ``span`` is the most time between first and last, in
    microseconds, or None."""

    steps: tuple[SequenceStep, ...]
    span: int | None


def sequence_of(plan: ir.Plan, log: Log, findings: Findings) -> EventSequence:
    """The sequence that a plan is. Refuses all other plans, by what they do."""
    match plan:
        case ir.Join():
            return _of_join(plan, log, findings)
        case ir.Group(_, _, span=span):
            findings.refuse("a group of events", span)
        case ir.Aggregated(_, _, span):
            findings.refuse("aggregates over groups of events", span)
        case ir.Difference(_, _, _, span):
            findings.refuse("a difference of two streams", span)
        case ir.Distinct(_, _, span):
            findings.refuse("distinct values", span)
        case ir.Filter(_, condition, span):
            if any(isinstance(atom, ir.Rank) for atom in ir.atoms(condition)):
                findings.refuse("a rank over a stream", span)
            if not ir.is_stateless(condition):
                findings.refuse("a condition that looks at other events or at the clock", span)
            findings.refuse("a condition on events that were put together", span)
        case ir.Assign(inner) | ir.Project(inner):
            findings.differs("fields that a rule adds or selects are not in the result")
            return sequence_of(inner, log, findings)
        case ir.Search() | ir.Window() | ir.Sequence() | ir.Union():
            findings.refuse(f"the operation {type(plan).__name__}")
        case _:
            assert_never(plan)


def _of_join(join: ir.Join, log: Log, findings: Findings) -> EventSequence:
    names = [branch.name for branch in join.branches]
    equal: list[tuple[ir.Field, ir.Field]] = []
    before: dict[tuple[str, str], int | None] = {}
    parts = join.condition.items if isinstance(join.condition, ir.And) else (join.condition,)
    for part in parts:
        match part:
            case ir.Compare(ir.Field() as a, ir.Relation.EQUAL, ir.Field() as b) if (
                a.name != "time" and b.name != "time"
            ):
                equal.append((a, b))
            case ir.Compare(a, relation, b, ir.Type.TIME):
                _order(a, relation, b, before, join, findings)
            case _:
                findings.refuse(
                    "a join by anything but equal fields and the order of times", join.span
                )
    order = _ordered(names, before)
    if order is None:
        findings.refuse("a join whose events have no fixed order in time", join.span)
    span = before.get((order[0], order[-1]))
    classes = _classes(names, equal)
    if classes is None:
        findings.refuse("a join whose branches do not all have the same keys", join.span)
    steps = []
    for name in order:
        branch = next(b for b in join.branches if b.name == name)
        stages = ir.as_stages(branch.plan)
        if stages is None:
            findings.refuse(f"a join with {name}, which is more than single events", join.span)
        views = views_of(stages, log)
        if not views:
            findings.nothing(why_nothing(stages, log))
        keys = tuple(_raw_key(found[name], views, log, findings) for found in classes)
        steps.append(SequenceStep(name, views, keys))
    return EventSequence(tuple(steps), span)


def _order(
    a: ir.Value,
    relation: ir.Relation,
    b: ir.Value,
    before: dict[tuple[str, str], int | None],
    join: ir.Join,
    findings: Findings,
) -> None:
    """Take in ``a.time < b.time`` or ``b.time < a.time + D``."""
    if relation in (ir.Relation.GREATER, ir.Relation.GREATER_EQUAL):
        a, b = b, a
    match a, b:
        case ir.Field("time", str() as first), ir.Field("time", str() as second):
            before.setdefault((first, second), None)
        case (
            ir.Field("time", str() as second),
            ir.Arithmetic("+", ir.Field("time", str() as first), ir.Duration(span)),
        ):
            before[first, second] = span
        case _:
            findings.refuse("a condition on times other than an order and a span", join.span)


def _ordered(names: list[str], before: dict[tuple[str, str], int | None]) -> list[str] | None:
    """The branches in the order of time, if there is one."""
    order: list[str] = []
    left = list(names)
    while left:
        free = [n for n in left if not any((m, n) in before for m in left if m != n)]
        if len(free) != 1:
            return None
        order.append(free[0])
        left.remove(free[0])
    return order


def _classes(
    names: list[str], equal: list[tuple[ir.Field, ir.Field]]
) -> list[dict[str, ir.Field]] | None:
    """The keys: for each, its field in every branch. None where one is not in all branches."""
    made: list[dict[str, ir.Field]] = []
    for a, b in equal:
        if a.source is None or b.source is None:
            return None
        found = next((c for c in made if c.get(a.source) == a or c.get(b.source) == b), None)
        if found is None:
            found = {}
            made.append(found)
        found.setdefault(a.source, a)
        found.setdefault(b.source, b)
    return made if all(set(found) == set(names) for found in made) else None


def _raw_key(field: ir.Field, views: tuple[EntryView, ...], log: Log, findings: Findings) -> ir.Raw:
    """The raw field that stands for a key."""
    found: set[ir.Raw] = set()
    for view in views:
        value = view.entry.value(ir.Field(field.name, None, field.type))
        value = ir.Constant(None) if value is None else log.settled_value(value)
        while isinstance(value, ir.Call) and respells(value.function):
            findings.differs(
                f"{field.name} is compared as the log writes it, not by what {value.function} makes of it"
            )
            value = value.arguments[0]
        if not isinstance(value, ir.Raw):
            findings.refuse(f"a join by {field.name}, which is not one field of the log")
        found.add(ir.Raw(value.path))
    if len(found) != 1:
        findings.refuse(f"a join by {field.name}, which several fields of the log hold")
    return found.pop()
