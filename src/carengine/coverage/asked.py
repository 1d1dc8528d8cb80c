"""The events that log sources ask for, counted among the events of a log.

Each kind of asked events is a rule of its own in an engine of its own. An event is put to them the
way it is put to rules, and what holds is counted; no match is made.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from functools import cache, lru_cache
from typing import Any

from .. import ir
from ..attack import AskedEvents
from ..diagnostics import Block
from ..engine import Engine, SessionStats
from ..engine.report import rule_statuses
from ..fieldmap import MapChoice, unwrap
from ..pattern import Pattern
from ..pyvalues import plain_event
from ..rule import Draft, Metadata, Rule, from_drafts


def kind_of(asked: AskedEvents) -> ir.EventKind:
    """The kind of asked events.

    >>> kind_of(AskedEvents("windows/sysmon"))
    EventKind(object='windows', action='sysmon')
    """
    above, _, name = asked.kind.partition("/")
    return ir.EventKind(above, name)


@cache
def condition_of(asked: AskedEvents) -> ir.Condition:
    """What asked events must be, as a condition over their native fields.

    >>> ir.is_stateless(condition_of(AskedEvents("windows/sysmon", (("EventID", ("10",)),))))
    True
    """
    return ir.conjunction(tuple(_one_of(ir.Field(name), values) for name, values in asked.fields))


def _one_of(field: ir.Field, values: tuple[str, ...]) -> ir.Condition:
    # Numbers and texts are read as Sigma's are.
    numbers = [int(one) for one in values if one.isdecimal()]
    texts = tuple(Pattern(one) for one in values if not one.isdecimal())
    parts: list[ir.Condition] = [
        ir.Compare(field, ir.Relation.EQUAL, ir.Constant(number)) for number in numbers
    ]
    parts += [ir.Match(field, texts)] if texts else []
    return parts[0] if len(parts) == 1 else ir.Or(tuple(parts))


def _rule(asked: AskedEvents) -> Rule:
    plan: ir.Plan = ir.Search((kind_of(asked),))
    condition = condition_of(asked)
    if not isinstance(condition, ir.Truth):
        plan = ir.Filter(plan, condition)
    block = Block.of(str(asked))
    program = ir.Program((ir.Output("asked", plan, block.span(0, 0)),))
    [rule] = from_drafts([Draft(str(asked), Metadata(), program, block)])
    return rule


def _engine(asked: tuple[AskedEvents, ...], maps: MapChoice) -> tuple[Engine, frozenset[str]]:
    """An engine for asked events, and the ids of those that its maps have."""
    engine = Engine([_rule(one) for one in asked], maps)
    statuses = rule_statuses(engine, SessionStats())
    return engine, frozenset(one.rule.id for one in statuses if one.outcome.runnable)


@lru_cache(maxsize=2)
def _installed(asked: tuple[AskedEvents, ...]) -> tuple[Engine, frozenset[str]]:
    return _engine(asked, "auto")


class AskedCounter:
    """How many of some events are of each kind of asked events.

    >>> sysmon = AskedEvents("windows/sysmon", (("EventID", ("1",)),))
    >>> counter = AskedCounter([sysmon], "windows.flat")
    >>> counter.mapped == {sysmon}
    True
    >>> counter.add({"Channel": "Microsoft-Windows-Sysmon/Operational", "EventID": 1,
    ...              "SourceName": "Microsoft-Windows-Sysmon"})
    >>> counter.counts[sysmon]
    1
    """

    def __init__(self, asked: Iterable[AskedEvents], maps: MapChoice = "auto") -> None:
        self.counts: Counter[AskedEvents] = Counter()
        rules = {str(one): one for one in asked}
        wanted = tuple(rules.values())
        self._engine, runnable = (
            _installed(wanted) if maps in ("auto", ("auto",)) else _engine(wanted, maps)
        )
        self.mapped = frozenset(rules[id_] for id_ in runnable)
        """What the field maps have, whatever the events are."""
        self._by_stage = [
            tuple(rules[target.rule.id] for target in self._engine.targets(number))
            for number in range(len(self._engine.stages))
        ]

    def add(self, event: Mapping[str, Any]) -> None:
        """Count an event. Raises as `Session.feed` does for what is no event."""
        event = plain_event(event)
        inner = unwrap(event)
        met: set[AskedEvents] = set()
        for _, group in self._engine.classify(inner).groups:
            for place in group.match(inner, event, None, None):
                met.update(self._by_stage[group.stages[place][2]])
        for one in met:
            self.counts[one] += 1
