"""Witnesses: events that tell rules apart, replayed by the engine, in the shape of the rule's log.

A solver proposes an event in the names that a rule uses. Here it is put into the shape of a log
that an installed field map reads, and the engine decides once more, on the rules as they were
loaded, what it finds. What the engine does not confirm is no witness::

    {"Image": "C:\\\\Windows\\\\System32\\\\cmd.exe"}           windows/process_creation
    {"Channel": "Microsoft-Windows-Sysmon/Operational", "EventID": 1, "Image": …}    sysmon.flat
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

from attrs import evolve, field, frozen

from .. import ir
from ..diagnostics import CarError
from ..engine import Engine
from ..evaluate import NoContext, RawRow, holds
from ..fieldmap import Entry, FieldMap, NamedLogSource, installed_maps, raw_map
from ..ir import Goal
from ..rule import Rule
from ..solver.facts import Facts
from ..solver.texts import Budget
from ..values import repr_of
from .event_kinds import Event, first_name, is_native, kind_of, own_names_map, without_kind
from .witness import find

_STEPS = 200_000
_MOST_SHAPES = 6
_PREFERRED = ("sysmon.flat", "eventlog.flat")


@frozen
class Witness:
    """Events that one rule finds and another does not (``finder`` ``a`` or ``b``), or that both do
    (``both``).

    ``events`` are in the shape of the log that ``fieldmap`` reads: a map's name, ``car`` for CAR's
    own names, ``raw`` for the rule's. ``logsource`` says then which log source they are of.
    ``demanded`` is what the rule that does not find them asks for, as it is written, where that is
    one condition.
    """

    finder: str
    events: tuple[Mapping[str, Any], ...] = field(hash=False)
    fieldmap: str = "car"
    logsource: str = ""
    demanded: str = ""

    def as_json(self) -> dict[str, Any]:
        """The witness as plain data.

        >>> Witness("a", ({"exe": "x"},)).as_json()["found_by"]
        'a'
        """
        made: dict[str, Any] = {
            "found_by": self.finder,
            "events": [dict(event) for event in self.events],
            "fieldmap": self.fieldmap,
        }
        if self.logsource:
            made["logsource"] = self.logsource
        if self.demanded:
            made["demanded"] = self.demanded
        return made


@frozen
class ReplayedEvents:
    """Events in a shape, and the map that reads them."""

    events: tuple[Mapping[str, Any], ...] = field(hash=False)
    fieldmap: FieldMap = field(repr=False)
    logsource: str = ""

    def found_by(self, rule: Rule, *, shown: bool = False) -> frozenset[str]:
        """The places of the events that the engine finds by a rule; with ``shown`` its matches,
        each with the places of its events and what it shows."""
        found: set[str] = set()
        for match in Engine([rule], fieldmap=self.fieldmap).run(self.events):
            places = sorted({self._place(event.event) for event in match.events})
            if shown:
                cells = {**match.fields, **match.keys}
                found.add(f"{places} {repr_of(sorted(cells.items(), key=repr_of))}")
            else:
                found.update(map(str, places))
        return frozenset(found)

    def _place(self, event: Mapping[str, Any]) -> int:
        return next(place for place, one in enumerate(self.events) if one == event)


def witness_of(
    finder: str,
    events: Sequence[Event],
    finds: Rule,
    misses: Rule | None = None,
    *,
    also: Rule | None = None,
    demanded: str = "",
    shown: bool = False,
) -> Witness | None:
    """The witness that events are, in the first shape in which the engine confirms that a rule
    finds one of them, or with ``shown`` gives a match, that another does not; None where it does in
    none.

    ``also`` is a rule that has to find something in them as well.
    """
    for shaped in shapes_of(events):
        seen = shaped.found_by(finds, shown=shown)
        if misses is not None:
            seen -= shaped.found_by(misses, shown=shown)
        if seen and (also is None or shaped.found_by(also)):
            name = shaped.fieldmap.name
            name = "raw" if name == "own_names" else name
            return Witness(finder, shaped.events, name, shaped.logsource, demanded)
    return None


def shapes_of(events: Sequence[Event]) -> Iterator[ReplayedEvents]:
    """The events in the shapes that they can be shown in, those of logs that a map knows first."""
    kinds = tuple(dict.fromkeys(map(kind_of, events)))
    if not any(map(is_native, kinds)):
        [car] = [found for found in installed_maps() if found.name == "car"]
        yield ReplayedEvents(tuple(events), car)
        return
    plain = [without_kind(event) for event in events]
    service = next((str(e[ir.SERVICE]) for e in plain if ir.SERVICE in e), "")
    if len(kinds) == 1:
        [kind] = kinds
        for fieldmap, entry, told in _shapes(kind)[:_MOST_SHAPES]:
            whole = tuple({**told, **_without_service(event)} for event in plain)
            if all(_fits(event, entry) for event in whole):
                yield ReplayedEvents(whole, fieldmap)
        text = f"{kind}/{service}" if service else str(kind)
        try:
            given = raw_map([NamedLogSource.parse(text)])
        except CarError:
            pass
        else:
            own = tuple(map(_without_service, plain))
            yield ReplayedEvents(own, evolve(given, name="own_names"), text)
    yield ReplayedEvents(tuple(plain), own_names_map(kinds), ", ".join(map(str, kinds)))


def _without_service(event: Event) -> Event:
    return {name: value for name, value in event.items() if name != ir.SERVICE}


def _fits(event: Event, entry: Entry) -> bool:
    return holds(entry.when, RawRow(event), NoContext()) is True


@lru_cache(maxsize=1024)
def _shapes(kind: ir.EventKind) -> tuple[tuple[FieldMap, Entry, Event], ...]:
    """The maps that read events of a log source under its own names, each with what such an event
    says of itself."""
    made: list[tuple[FieldMap, Entry, Event]] = []
    for fieldmap in sorted(installed_maps(), key=lambda one: one.name not in _PREFERRED):
        for place in fieldmap.by_kind.get(kind, ()):
            entry = fieldmap.entries[place]
            native = entry.native
            if native is None or native.prefix != () or native.whole is not None:
                continue
            told = _told(fieldmap, entry)
            if told is not None:
                made.append((fieldmap, entry, told))
    return tuple(made)


def _told(fieldmap: FieldMap, entry: Entry) -> Event | None:
    """The fields by which an event says that it is one of an entry."""
    both = ir.conjunction((fieldmap.recognise, entry.when))
    row_kind = ir.EventKind("log", "event")
    facts = Facts(ir.Search((row_kind,)), plain=True, blank=True)

    def judge(event: Event) -> bool:
        return holds(both, RawRow(without_kind(event)), NoContext()) is True

    # The names that shippers use for the same thing are proposed by the first of them.
    wish = ir.rewrite_operands(both, first_name)
    found = find([(wish, Goal.TRUE)], row_kind, facts, judge, Budget(_STEPS))
    return None if found is None else without_kind(found)
