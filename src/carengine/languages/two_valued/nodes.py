"""Conditions with two truth values, over the log's own fields only: nothing in them is unknown.

Splunk, EQL, Sigma's backends and others do not agree on what a missing field means under a
negation. So a condition is rewritten (``rewriter``) into one of these, in which each
test is of a raw field that is as it stands in the log, and whether a field is there is asked for by
name::

    parent_exe != "explorer.exe"        ParentImage is there, is not "-", ends in no separator,
                                        and does not match *\\explorer.exe, */explorer.exe, explorer.exe

``Negated`` stands before single tests only, and alternatives are flat; ``all_of``, ``any_of`` and
``negation_of`` see to that. ``holds_for`` is what they mean, for tests.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any as Anything

from attrs import evolve, frozen

from ... import ir
from ...evaluate import NoContext, RawRow, holds
from ...values import is_null
from ..translation import Findings


@frozen
class Const:
    """True (or false) of every event."""

    value: bool


@frozen
class AllOf:
    """All items hold."""

    items: tuple[TwoValued, ...]


@frozen
class AnyOf:
    """One item holds."""

    items: tuple[TwoValued, ...]


@frozen
class Negated:
    """The item does not hold."""

    item: TwoValued


@frozen
class IsPresent:
    """The field is there, and not JSON's null. What texts it holds does not matter.

    With ``with_null`` null does not matter either: the field is there, whatever its value.
    """

    field: ir.Raw
    with_null: bool = False


TestedAtom = ir.Match | ir.Regex | ir.Compare | ir.InNetwork | ir.Occurs | ir.RawMatch | ir.RawRegex


@frozen
class AtomHolds:
    """The atom is true. It tests raw fields without ``empty`` texts, constants, and functions a
    target may know."""

    atom: TestedAtom


TwoValued = Const | AllOf | AnyOf | Negated | IsPresent | AtomHolds

Case = tuple[TwoValued, ir.Value]
"""Under a guard, a value is another, simpler one."""


def all_of(items: Iterable[TwoValued]) -> TwoValued:
    """All of several conditions, flattened."""
    return _joined(AllOf, items, absorbing=False)


def any_of(items: Iterable[TwoValued]) -> TwoValued:
    """One of several conditions, flattened; tests of one field that differ in their patterns become
    one."""
    return _joined(AnyOf, items, absorbing=True)


def negation_of(item: TwoValued) -> TwoValued:
    """The opposite, with ``Negated`` standing before single tests only."""
    match item:
        case Const(value):
            return Const(not value)
        case Negated(inner):
            return inner
        case AllOf(items):
            return any_of(map(negation_of, items))
        case AnyOf(items):
            return all_of(map(negation_of, items))
        case IsPresent() | AtomHolds():
            return Negated(item)


def _joined(
    kind: type[AllOf] | type[AnyOf], items: Iterable[TwoValued], *, absorbing: bool
) -> TwoValued:
    kept: dict[TwoValued, None] = {}
    for item in items:
        for part in item.items if isinstance(item, kind) else (item,):
            if part == Const(absorbing):
                return part
            if part != Const(not absorbing):
                kept.setdefault(part)
    parts = _merged(kept, refused=kind is AllOf)
    if not parts:
        return Const(not absorbing)
    return parts[0] if len(parts) == 1 else kind(tuple(parts))


def _merged(parts: Iterable[TwoValued], *, refused: bool) -> list[TwoValued]:
    """Tests of one field's patterns put together: of alternatives those that match, of ``AllOf``
    those that do not."""
    made: list[TwoValued] = []
    places: dict[ir.Value, int] = {}
    for part in parts:
        match_ = _match_in(part, refused)
        if match_ is not None:
            place = places.setdefault(match_.value, len(made))
            if place < len(made):
                known = _match_in(made[place], refused)
                assert known is not None
                patterns = tuple(dict.fromkeys((*known.patterns, *match_.patterns)))
                test = AtomHolds(evolve(known, patterns=patterns))
                made[place] = Negated(test) if refused else test
                continue
        made.append(part)
    return made


def _match_in(part: TwoValued, refused: bool) -> ir.Match | None:
    match part:
        case AtomHolds(ir.Match() as atom) if not refused:
            return atom
        case Negated(AtomHolds(ir.Match() as atom)) if refused:
            return atom
        case _:
            return None


def require_possible(condition: TwoValued, findings: Findings) -> None:
    """Gives up an output whose condition holds of no event."""
    if condition == Const(False):
        findings.nothing("no event could be true for it, as the log spells its fields")


def holds_for(condition: TwoValued, event: Mapping[str, Anything]) -> bool:
    """Whether a condition holds of a raw event: its meaning, for tests."""
    match condition:
        case Const(value):
            return value
        case AllOf(items):
            return all(holds_for(item, event) for item in items)
        case AnyOf(items):
            return any(holds_for(item, event) for item in items)
        case Negated(item):
            return not holds_for(item, event)
        case IsPresent(field, True):
            return RawRow(event).has_raw(field.path)
        case IsPresent(field):
            return not is_null(RawRow(event).raw(field.path))
        case AtomHolds(atom):
            return holds(atom, RawRow(event), NoContext()) is True
