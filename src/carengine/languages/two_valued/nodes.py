"""Conditions with two truth values, over the log's own fields only: nothing in them is unknown.

Splunk, EQL, Sigma's backends and others do not agree on what a missing field means under a
negation. So a condition is rewritten (``rewriter``) into one of these, in which each
test is of a raw field that is as it stands in the log, and whether a field is there is asked for by
name::

    parent_exe != "explorer.exe"        ParentImage is there, is not "-", ends in no separator,
                                        and does not match *\\explorer.exe, */explorer.exe, explorer.exe

``Never`` stands before single tests only, and alternatives are flat; ``every``, ``some`` and
``never`` see to that. ``holds_of`` is what they mean, for tests.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any as Anything

from attrs import evolve, frozen

from ... import ir
from ...evaluate import Alone, RawRow, holds
from ...values import is_null
from ..translation import Findings


@frozen
class Always:
    """True (or false) of every event."""

    value: bool


@frozen
class All:
    """All items hold."""

    items: tuple[Formula, ...]


@frozen
class Some:
    """One item holds."""

    items: tuple[Formula, ...]


@frozen
class Never:
    """The item does not hold."""

    item: Formula


@frozen
class There:
    """The field is there, and not JSON's null. What texts it holds does not matter."""

    field: ir.Raw


@frozen
class Test:
    """The atom is true. It tests raw fields without ``empty`` texts, constants, and functions a
    target may know."""

    atom: ir.Match | ir.Regex | ir.Compare | ir.InNetwork | ir.Occurs | ir.RawMatch | ir.RawRegex


Formula = Always | All | Some | Never | There | Test

Case = tuple[Formula, ir.Value]
"""Under a guard, a value is another, simpler one."""


def every(items: Iterable[Formula]) -> Formula:
    """All of several formulas, flattened."""
    return _joined(All, items, absorbing=False)


def some(items: Iterable[Formula]) -> Formula:
    """One of several formulas, flattened; tests of one field that differ in their patterns become
    one."""
    return _joined(Some, items, absorbing=True)


def never(item: Formula) -> Formula:
    """The opposite, with ``Never`` standing before single tests only."""
    match item:
        case Always(value):
            return Always(not value)
        case Never(inner):
            return inner
        case All(items):
            return some(map(never, items))
        case Some(items):
            return every(map(never, items))
        case There() | Test():
            return Never(item)


def _joined(kind: type[All] | type[Some], items: Iterable[Formula], *, absorbing: bool) -> Formula:
    kept: dict[Formula, None] = {}
    for item in items:
        for part in item.items if isinstance(item, kind) else (item,):
            if part == Always(absorbing):
                return part
            if part != Always(not absorbing):
                kept.setdefault(part)
    parts = _merged(kept, refused=kind is All)
    if not parts:
        return Always(not absorbing)
    return parts[0] if len(parts) == 1 else kind(tuple(parts))


def _merged(parts: Iterable[Formula], *, refused: bool) -> list[Formula]:
    """Tests of one field's patterns put together: of alternatives those that match, of ``All``
    those that do not."""
    made: list[Formula] = []
    places: dict[ir.Value, int] = {}
    for part in parts:
        match_ = _match_in(part, refused)
        if match_ is not None:
            place = places.setdefault(match_.value, len(made))
            if place < len(made):
                known = _match_in(made[place], refused)
                assert known is not None
                patterns = tuple(dict.fromkeys((*known.patterns, *match_.patterns)))
                test = Test(evolve(known, patterns=patterns))
                made[place] = Never(test) if refused else test
                continue
        made.append(part)
    return made


def _match_in(part: Formula, refused: bool) -> ir.Match | None:
    match part:
        case Test(ir.Match() as atom) if not refused:
            return atom
        case Never(Test(ir.Match() as atom)) if refused:
            return atom
        case _:
            return None


def possible(formula: Formula, findings: Findings) -> None:
    """Gives up an output whose formula holds of no event."""
    if formula == Always(False):
        findings.nothing("no event could be true for it, as the log spells its fields")


def holds_of(formula: Formula, event: Mapping[str, Anything]) -> bool:
    """Whether a formula holds of a raw event: its meaning, for tests."""
    match formula:
        case Always(value):
            return value
        case All(items):
            return all(holds_of(item, event) for item in items)
        case Some(items):
            return any(holds_of(item, event) for item in items)
        case Never(item):
            return not holds_of(item, event)
        case There(field):
            return not is_null(RawRow(event).raw(field.path))
        case Test(atom):
            return holds(atom, RawRow(event), Alone()) is True
