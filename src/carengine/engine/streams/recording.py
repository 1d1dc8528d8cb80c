"""A session in two halves: one process decides what single events decide, another runs joins and
groups.

The first half is a session like any other, whose flow is a `Moves`: it notes what would have been
done to a flow, and when. The second half does it (`caught_up`), event by event, in the order of the
events of all first halves, so that everything that depends on order (what is late, what memory has
room for, which match comes when) is as in one session::

    first halves   event 17: matches; this occurrence, by these stages; the clock to 10:15:03
                   events 18 to 900: the clock to 10:15:59
    second half    feeds, ticks, and the matches of both, in order

Everything that goes over is plain data.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, cast

from attrs import define, field

from ... import ir
from ...fieldmap import CarEvent
from ..engine import Engine
from ..match import Match, MatchedEvent, Origin
from ..session import Session
from . import Feeding, Flow, StreamOptions
from .rows import Occurrence

Place = tuple[int, int]
"""A rule's place among the engine's, and an output's among the rule's."""

Move = Any
"""The time of an event; or an occurrence as plain data, with the numbers of the stages that it
passed."""

Entry = tuple[int, list[Any], list[Move]]
"""What one event did: its record's number, its matches (a `Place` first, the rest is the caller's),
its moves."""


class Places:
    """What an engine's rules, stages and entries are called in another process: numbers."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._outputs = {
            (rule.id, output.name): (rule_place, place)
            for rule_place, rule in enumerate(engine.rules)
            for place, output in enumerate(rule.program.outputs)
        }
        self._stages: dict[int, int] | None = None
        self._natives = {
            id(entry.native): (number, place)
            for number, fieldmap in enumerate(engine.maps)
            for place, entry in enumerate(fieldmap.entries)
            if entry.native is not None
        }

    def of(self, match: Match) -> Place:
        """The place of a match's output."""
        return self._outputs[match.rule.id, match.output]

    def match(self, match: Match) -> tuple[Any, ...]:
        """The match of one event as plain data, without its origin."""
        [event] = match.events
        kind = event.kind
        return (
            match.time,
            kind.object,
            kind.action,
            dict(event.fields),
            event.time,
            event.event,
            dict(match.fields),
        )

    def match_at(self, place: Place, data: Sequence[Any], origin: Origin | None) -> Match:
        """The match that `match` was given."""
        rule = self.engine.rules[place[0]]
        time, object_, action, fields, own_time, raw, columns = data
        event = MatchedEvent(ir.EventKind(object_, action), fields, own_time, raw, origin)
        return Match(rule, rule.program.outputs[place[1]].name, time, (event,), columns)

    def occurrence(self, seen: Occurrence, stages: Iterable[ir.Stage]) -> Move:
        """An occurrence, without its origin, and the stages that it passed, as plain data."""
        if self._stages is None:
            self._stages = {id(stage): number for number, stage in enumerate(self.engine.stages)}
        view, known = seen.view, self._stages
        kind, native = view.kind, self._natives.get(id(view.native))
        event = (kind.object, kind.action, dict(view.fields), view.time, view.raw, native)
        return (event, [known[id(stage)] for stage in stages])

    def occurrence_at(self, move: Move, origin: Origin | None) -> tuple[Occurrence, list[ir.Stage]]:
        """The occurrence and the stages that `occurrence` was given."""
        (object_, action, fields, time, raw, at), numbers = move
        native = None
        if at is not None:
            native = self.engine.maps[at[0]].entries[at[1]].native
        view = CarEvent(ir.EventKind(object_, action), fields, time, raw, native)
        return Occurrence(view, origin), [self.engine.stages[number] for number in numbers]


@define(eq=False)
class Moves:
    """What would have been done to the flow of a session.

    It stands in the flow's place and does nothing. Where no lateness is told the clock stands
    still, and of the times of events that do nothing else only the last matters: these are noted as
    one.
    """

    places: Places
    options: StreamOptions
    entries: list[Entry] = field(factory=list)
    clock: float = float("-inf")
    arrived: Sequence[Any] = ()
    """The outputs that rows have come to: none here."""
    _now: list[Move] = field(factory=list)
    _feeds: bool = False
    _after_feed: bool = False
    _last: int | None = None

    def is_late(self, time: int) -> bool:
        """Whether that is so, the other half decides."""
        return False

    def feed(self, occurrence: Occurrence, stages: Iterable[ir.Stage]) -> None:
        """Note an event that passed these stages."""
        self._feeds = True
        self._now.append(self.places.occurrence(occurrence, stages))

    def tick(self, time: int) -> None:
        """Note the time of an event."""
        self._now.append(time)

    def take(self) -> list[Any]:
        """Nothing arrives here."""
        return []

    def done(self, number: int, matches: list[Any]) -> None:
        """An event is dealt with: its moves and matches belong together."""
        if not self._now and not matches:
            return
        moves, self._now = self._now, []
        feeds, self._feeds = self._feeds, False
        idle = not feeds and not matches
        # The first event after one that may have filled the memory is where room is made.
        if idle and not self._after_feed and self.options.lateness_us is None:
            latest = max(moves)
            self._last = latest if self._last is None else max(latest, self._last)
            return
        self._note_last()
        self.entries.append((number, matches, moves))
        self._after_feed = feeds

    def _note_last(self) -> None:
        if self._last is not None:
            self.entries.append((0, [], [self._last]))
            self._last = None

    def taken(self) -> list[Entry]:
        """All entries since the last time."""
        self._note_last()
        entries, self.entries = self.entries, []
        return entries


def first_half(engine: Engine, places: Places, options: StreamOptions) -> tuple[Session, Moves]:
    """A session that decides what single events decide, and what it notes of the rest."""
    session = engine.session(options)
    moves = Moves(places, options)
    if engine.streams:
        # While it is fed a session asks no more of its flow than `Feeding` says, and it is never
        # saved.
        fed: Feeding = moves
        session._flow = cast(Flow, fed)
    return session, moves


def caught_up(
    session: Session, places: Places, moves: Iterable[Move], origin: Origin | None
) -> list[tuple[Place, Match]]:
    """Do to the flow of a second half what one event did; the matches that this decides, in order."""
    flow = session._flow
    if flow is None:
        return []
    for move in moves:
        if isinstance(move, int):
            flow.tick(move)
        else:
            occurrence, stages = places.occurrence_at(move, origin)
            session._feed_flow(flow, occurrence, stages)
    found = [((place[0], place[1]), match) for place, match in session._arrived(flow)]
    session._counted([match for _, match in found])
    return found
