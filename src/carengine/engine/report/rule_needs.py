"""What rules need against what the data has, so that "no match" is never taken for "could not have
matched".

Of each rule: the kinds of events it looks at and the fields it reads of them; and for each of
these, what the field maps give and what was in the data::

    CAR-2019-08-001   file/create: file_name, image_path
                        sysmon.evtx    18 events; file_name 18 of 18, image_path 18 of 18
                        sysmon.flat    no events
                      registry/add: key, user
                        sysmon.evtx    469 events; key 256 of 256, user never

Before a run only the maps speak (no ``stats``). After one, the session's account tells how many
events of each kind there were, and a `FieldCoverage` how often each field was there, among those
events that it looked at.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import attrs
from attrs import frozen

from ... import ir
from ...fieldmap import Entry
from ...rule import Rule
from ..engine import Engine
from ..stats import SessionStats
from .rule_status import FieldCoverage, RuleStatus, rule_statuses


@frozen
class FieldSupply:
    """A field that a rule reads, in one map: whether the map gives it, and in how many events it
    was there."""

    name: str
    mapped: bool
    seen: int


@frozen
class Supply:
    """What one map gives of a kind: ``events`` were of it, ``observed`` of them were looked at
    field by field."""

    fieldmap: str
    events: int
    observed: int
    fields: tuple[FieldSupply, ...]


@frozen
class Need:
    """A kind of events that a rule looks at, the fields it reads, and the maps that have such
    events."""

    kind: ir.EventKind
    fields: tuple[str, ...]
    supplies: tuple[Supply, ...]

    @property
    def events(self) -> int:
        """How many events of the kind there were."""
        return sum(supply.events for supply in self.supplies)


@frozen
class RuleNeeds:
    """What a rule needs, and what became of it.

    >>> import carengine
    >>> rule = carengine.parse_rule('a = search Process:Create where exe = "x.exe" output a')
    >>> [found] = carengine.needs(carengine.Engine([rule], "sysmon.flat"))
    >>> [(str(need.kind), need.fields) for need in found.needs]
    [('process/create', ('exe',))]
    """

    rule: Rule
    needs: tuple[Need, ...]
    status: RuleStatus

    def as_json(self) -> dict[str, Any]:
        """The needs as plain data."""
        status = self.status
        return {
            "rule": self.rule.id,
            "outcome": status.outcome.name.lower(),
            "runnable": status.outcome.runnable,
            "reason": status.reason,
            "blind": list(status.partly),
            "needs": [
                {
                    "object": need.kind.object,
                    "action": need.kind.action,
                    "fields": list(need.fields),
                    "events": need.events,
                    "maps": [_supply_as_json(supply) for supply in need.supplies],
                }
                for need in self.needs
            ],
        }


def _supply_as_json(supply: Supply) -> dict[str, Any]:
    return {
        "map": supply.fieldmap,
        "events": supply.events,
        "looked_at": supply.observed,
        "missing": [field.name for field in supply.fields if not field.mapped],
        "seen": {field.name: field.seen for field in supply.fields if field.mapped},
    }


def needs(
    engine: Engine, stats: SessionStats | None = None, coverage: FieldCoverage | None = None
) -> list[RuleNeeds]:
    """What each rule of an engine needs, in the order of the rules, and what there is of it.

    After a run, only maps that recognised an event are listed, as long as any did.

    >>> import carengine
    >>> rule = carengine.parse_rule('a = search Process:Create where exe = "x.exe" output a')
    >>> [found] = needs(carengine.Engine([rule], "car"))
    >>> [(str(need.kind), need.fields, need.events) for need in found.needs]
    [('process/create', ('exe',), 0)]
    """
    met = stats if stats is not None else SessionStats()
    seen = [one for one in engine.maps if met.recognised[one.name]] or list(engine.maps)
    entries: dict[tuple[str, ir.EventKind], list[Entry]] = {}
    for fieldmap in seen:
        for entry in fieldmap.entries:
            for kind in entry.kinds:
                entries.setdefault((fieldmap.name, kind), []).append(entry)

    def supply(fieldmap: str, kind: ir.EventKind, names: tuple[str, ...]) -> Supply:
        # What was counted is under the kind that the map's own entry has.
        key = fieldmap, entries[fieldmap, kind][0].kind
        there: Counter[str] = (
            coverage.fields.get(key, Counter()) if coverage is not None else Counter()
        )
        fields = tuple(
            FieldSupply(
                name,
                any(entry.value(ir.Field(name)) is not None for entry in entries[fieldmap, kind]),
                there[name] or (there["proto_info"] if name.startswith("proto_info.") else 0),
            )
            for name in names
        )
        return Supply(fieldmap, met.kinds[key], coverage.observed[key] if coverage else 0, fields)

    all_needs = []
    for status in rule_statuses(engine, met, coverage):
        rule = status.rule
        reads: dict[ir.EventKind, dict[str, None]] = {kind: {} for kind in _kinds(rule)}
        for reference in rule.references:
            kind = ir.EventKind(reference.object, reference.action)
            reads.setdefault(kind, {})[reference.field] = None
        listed = []
        for kind, fields in sorted(reads.items(), key=lambda item: str(item[0])):
            names = tuple(sorted(fields))
            supplies = [
                supply(one.name, kind, names) for one in seen if (one.name, kind) in entries
            ]
            listed.append(Need(kind, names, tuple(supplies)))
        all_needs.append(RuleNeeds(rule, tuple(listed), status))
    return all_needs


def _kinds(rule: Rule) -> Iterator[ir.EventKind]:
    """The kinds that a rule's plans search for."""
    waiting: list[Any] = [output.plan for output in rule.program.outputs]
    met: set[int] = set()
    while waiting:
        node = waiting.pop()
        if id(node) in met:
            continue
        met.add(id(node))
        if isinstance(node, ir.Search):
            yield from node.kinds
        elif isinstance(node, tuple):
            waiting += node
        elif attrs.has(type(node)):
            waiting += (getattr(node, one.name) for one in attrs.fields(type(node)))
