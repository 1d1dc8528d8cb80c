"""What stages are for: the outputs that they belong to, and what comes of an event that passes
them."""

from __future__ import annotations

from collections.abc import Iterable
from operator import itemgetter
from typing import Any

from attrs import frozen

from .. import ir
from ..fieldmap import CarEvent, FieldMap
from ..rule import Rule
from .interpreter import match_of
from .match import Match, MatchedEvent, Origin


@frozen
class Gap:
    """Why a rule's output cannot match events of a map: CAR fields that the map does not give.

    >>> import carengine
    >>> rule = carengine.parse_rule('a = search Process:Create where signer = "x" output a')
    >>> engine = carengine.Engine([rule], "sysmon.flat")
    >>> [(gap.fieldmap.name, str(gap.kind), gap.missing) for gap in engine.gaps]
    [('sysmon.flat', 'process/create', ('signer',))]
    """

    rule: Rule
    output: str
    fieldmap: FieldMap
    kind: ir.EventKind
    missing: tuple[str, ...]


@frozen
class Target:
    """An output that a stage belongs to, and its place among all stages of all rules' outputs.

    ``feeds`` where the output looks at more than one event, and the stage is a part of it.
    """

    rule: Rule
    output: str
    stage: ir.Stage
    place: tuple[int, int, int]
    feeds: bool = False

    @property
    def plain(self) -> bool:
        """Whether a match shows the event as it is, with nothing assigned or selected."""
        return not self.stage.assigned and self.stage.columns is None


@frozen
class StageUse:
    """What a stage is for: outputs that it decides alone, and whether it feeds others that look at
    more than one event."""

    alone: tuple[tuple[Target, bool], ...]
    """Each with whether it is `plain`."""
    feeds: bool

    @classmethod
    def of(cls, targets: Iterable[Target]) -> StageUse:
        """What these outputs make of a stage that they all have."""
        known = tuple(targets)
        alone = tuple((target, target.plain) for target in known if not target.feeds)
        return cls(alone, len(alone) < len(known))


Passed = tuple[tuple[int, int, int, int], Target, CarEvent, MatchedEvent | None]
"""A target that an event passed, with its place (rule, output, class, stage), the event's view, and
the event of the match where it is to be shown as it is."""


def distinct(passed: list[Passed]) -> list[Passed]:
    """What was found, in order; an event that passes two stages of an output with the same fields
    once."""
    kept: list[Passed] = []
    shown: set[Any] = set()
    last: tuple[int, ...] = ()
    for item in sorted(passed, key=itemgetter(0)):
        place, stage = item[0][:3], item[1].stage
        if place != last:
            last = place
            shown.clear()
        # Mostly there is one stage of an output, and nothing to compare it with.
        elif not shown:
            first = kept[-1][1].stage
            shown.add((first.assigned, first.columns))
        if shown:
            fields = (stage.assigned, stage.columns)
            if fields in shown:
                continue
            shown.add(fields)
        kept.append(item)
    return kept


def match_of_passed(passed: Passed, origin: Origin | None) -> Match:
    """The match of a target that an event passed."""
    _, target, seen, matched = passed
    if matched is None:
        return match_of(target.rule, target.output, target.stage, seen, origin)
    return Match(target.rule, target.output, seen.time, (matched,))


def searched_kinds(rules: Iterable[Rule]) -> frozenset[ir.EventKind]:
    """The kinds of events that rules read."""
    plans = [output.plan for rule in rules for output in rule.program.outputs]
    return frozenset(kind for plan in plans for kind in ir.searched(plan))
