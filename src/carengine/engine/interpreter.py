"""The reference: what a rule means for events, written to be read, not to be fast.

Each event is normalised to its CAR views; each output's stages are asked about each view, with
``evaluate.holds``. The engine must give the same matches for all rules and events.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from attrs import evolve

from .. import ir
from ..evaluate import NoContext, holds, value_of
from ..fieldmap import CarEvent, CarRow, FieldMap, normalize, of_any_service
from ..rule import Rule
from .match import Match, MatchedEvent, Origin

_NO_CONTEXT = NoContext()


def interpret(
    rules: Iterable[Rule], events: Iterable[Mapping[str, Any]], maps: Iterable[FieldMap]
) -> Iterator[Match]:
    """The matches of stateless rules on events.

    They come in the order of the events, then of the rules' ids, of a rule's outputs, of the maps'
    names and of a map's entries.
    """
    known = tuple(sorted(maps, key=lambda fieldmap: fieldmap.name))
    programs = [
        (rule, output, tuple(dict.fromkeys(stages)))
        for rule in sorted(rules, key=lambda rule: rule.id)
        for output in rule.program.outputs
        if (stages := ir.as_stages(output.plan)) is not None
    ]
    for event in events:
        views = normalize(event, known, sources=True)
        for rule, output, stages in programs:
            for view in views:
                rows = set()
                for stage in stages:
                    row = (stage.assigned, stage.columns)
                    if row not in rows and passes(stage, view):
                        rows.add(row)
                        yield match_of(rule, output.name, stage, view)


def passes(stage: ir.Stage, view: CarEvent) -> bool:
    """Whether a CAR event passes a stage: it is of its kinds, and the condition is true."""
    if not view.is_one_of(stage.kinds):
        return False
    return holds(asked_of(stage, view), CarRow(view), _NO_CONTEXT) is True


def asked_of(stage: ir.Stage, view: CarEvent) -> ir.Condition:
    """What a stage asks of an event; of one of any log source, nothing about the service."""
    any_source = view.entry is not None and view.entry.any_source
    return of_any_service(stage.condition) if any_source else stage.condition


def match_of(
    rule: Rule, output: str, stage: ir.Stage, view: CarEvent, origin: Origin | None = None
) -> Match:
    """The match of a stage and the event that passed it, with what the stage assigned or
    selected."""
    matched = shown_as_it_is(view, origin)
    if not stage.assigned and stage.columns is None:
        return Match(rule, output, view.time, (matched,))
    row = CarRow(view)
    added = {
        name: value
        for name, expression in stage.assigned
        if (value := value_of(expression, row, _NO_CONTEXT)) is not None
    }
    if stage.columns is not None:
        columns = {name: added.get(name) for name in stage.columns}
        return Match(rule, output, view.time, (matched,), columns)
    fields = {**view.fields, **added}
    return Match(rule, output, view.time, (evolve(matched, fields=fields),))


def shown_as_it_is(view: CarEvent, origin: Origin | None = None) -> MatchedEvent:
    """The event of a match, with the fields of its view and no others."""
    return MatchedEvent(view.kind, view.fields, view.time, view.raw, origin)
