"""A session in two halves: workers decide what single events decide, one session runs the joins.

A worker's session is one like any other, whose flow is a `RecordingFlow`: it writes down what would
have been done to a flow, and when. `replay` then does it to the flow of another session, event by
event, in the order of the events of all workers. So everything that depends on order (what is late,
what memory has room for, which match comes when) is as in one session::

    workers   event 17: matches; this occurrence, by these stages; the clock to 10:15:03
              events 18 to 900: the clock to 10:15:59
    replay    feeds, ticks, and the matches of both, in order

Everything that goes from one process to another is plain data.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from attrs import define, field

from .. import ir
from ..fieldmap import CarEvent, Sighting
from .engine import Engine
from .match import Match, MatchedEvent, Origin
from .session import Session
from .streams import StreamOptions
from .streams.merging import Output
from .streams.rows import Occurrence

Place = tuple[int, int]
"""A rule's place among the engine's, and an output's among the rule's."""

Action = Any
"""What an event does to a flow: its time; or an occurrence as plain data, with the numbers of the
stages that it passed; or that, with none of these, and the outputs that it matches by itself: places
and numbers of stages."""

_MERGES = 3

EventActions = tuple[int, list[Any], list[Action]]
"""What one event did: its record's number, its matches (a `Place` first, the rest is the caller's),
and its actions."""


class EngineCodec:
    """Matches and occurrences of an engine to plain data and back.

    Rules, stages and native entries go over as numbers: the engine of the other process is made of
    the same rules and maps, in the same order.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._outputs = {
            (rule.id, output.name): (rule_place, place)
            for rule_place, rule in enumerate(engine.rules)
            for place, output in enumerate(rule.program.outputs)
        }
        self._stages: dict[int, int] | None = None
        self._of_targets: dict[int, int] = {}
        self._natives = {
            id(entry.native): (number, place)
            for number, fieldmap in enumerate(engine.maps)
            for place, entry in enumerate(fieldmap.entries)
            if entry.native is not None
        }

    def place_of(self, match: Match) -> Place:
        """The place of a match's output."""
        return self._outputs[match.rule.id, match.output]

    def encode_match(self, match: Match) -> tuple[Any, ...]:
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

    def decode_match(self, place: Place, data: Sequence[Any], origin: Origin | None) -> Match:
        """The match that `encode_match` was given."""
        rule = self.engine.rules[place[0]]
        time, object_, action, fields, own_time, raw, columns = data
        event = MatchedEvent(ir.EventKind(object_, action), fields, own_time, raw, origin)
        return Match(rule, rule.program.outputs[place[1]].name, time, (event,), columns)

    def encode_occurrence(self, occurrence: Occurrence, stages: Iterable[ir.Stage]) -> Action:
        """An occurrence, without its origin, and the stages that it passed, as plain data."""
        if self._stages is None:
            self._stages = {id(stage): number for number, stage in enumerate(self.engine.stages)}
        view, numbers = occurrence.view, self._stages
        kind, native = view.kind, self._natives.get(id(view.native))
        sighting = None if occurrence.sighting is None else occurrence.sighting.as_data()
        event = (kind.object, kind.action, dict(view.fields), view.time, view.raw, native, sighting)
        return (event, [numbers[id(stage)] for stage in stages])

    def number_of(self, stage: ir.Stage) -> int:
        """The number of a stage of an output."""
        known = self._of_targets.get(id(stage))
        if known is None:
            # Outputs with equal stages have their own, of which the engine keeps one.
            known = self._of_targets[id(stage)] = self.engine.stages.index(stage)
        return known

    def output_at(self, place: Sequence[int]) -> Output:
        """The output at a place."""
        rule = self.engine.rules[place[0]]
        return rule, rule.program.outputs[place[1]].name, (place[0], place[1])

    def decode_occurrence(
        self, data: Action, origin: Origin | None
    ) -> tuple[Occurrence, list[ir.Stage]]:
        """The occurrence and the stages that `encode_occurrence` was given."""
        (object_, action, fields, time, raw, at, seen), numbers = data
        native = None
        if at is not None:
            native = self.engine.maps[at[0]].entries[at[1]].native
        view = CarEvent(ir.EventKind(object_, action), fields, time, raw, native)
        sighting = None if seen is None else Sighting.of_data(seen)
        stages = [self.engine.stages[number] for number in numbers]
        return Occurrence(view, origin, sighting), stages


@define(eq=False)
class RecordingFlow:
    """A flow that does nothing, and writes down what would have been done to one.

    Where no lateness is told the clock stands still, and of the times of events that do nothing
    else only the last matters: these are noted as one.
    """

    codec: EngineCodec
    options: StreamOptions
    entries: list[EventActions] = field(factory=list)
    clock: float = float("-inf")
    arrived: Sequence[Any] = ()
    """The outputs that rows have come to: none here."""
    _actions: list[Action] = field(factory=list)
    merges: bool = True
    _merging: Occurrence | None = None
    _feeds: bool = False
    _after_feed: bool = False
    _last: int | None = None

    def is_late(self, time: int) -> bool:
        """False: whether an event is late is decided where the actions are replayed."""
        return False

    def feed(self, occurrence: Occurrence, stages: Iterable[ir.Stage]) -> None:
        """Note an event that passed these stages."""
        self._feeds = True
        self._actions.append(self.codec.encode_occurrence(occurrence, stages))

    def merge(self, occurrence: Occurrence, output: Output, stage: ir.Stage) -> None:
        """Note an event that an output matches by itself."""
        self._feeds = True
        if occurrence is not self._merging:
            self._merging = occurrence
            event, _ = self.codec.encode_occurrence(occurrence, ())
            self._actions.append((event, [], []))
        self._actions[-1][2].append([*output[2], self.codec.number_of(stage)])

    def tick(self, time: int) -> None:
        """Note the time of an event."""
        self._actions.append(time)

    def take(self) -> list[Any]:
        """Nothing arrives here."""
        return []

    def end_event(self, number: int, matches: list[Any]) -> None:
        """An event is dealt with: its actions and matches belong together."""
        if not self._actions and not matches:
            return
        actions, self._actions = self._actions, []
        feeds, self._feeds = self._feeds, False
        idle = not feeds and not matches
        # The first event after one that may have filled the memory is where room is made: its time
        # must be told at its place, even if it does nothing else.
        if idle and not self._after_feed and self.options.lateness_us is None:
            latest = max(actions)
            self._last = latest if self._last is None else max(latest, self._last)
            return
        self._note_last()
        self.entries.append((number, matches, actions))
        self._after_feed = feeds

    def _note_last(self) -> None:
        if self._last is not None:
            self.entries.append((0, [], [self._last]))
            self._last = None

    def taken(self) -> list[EventActions]:
        """All entries since the last time."""
        self._note_last()
        entries, self.entries = self.entries, []
        return entries


def recording_session(
    engine: Engine, codec: EngineCodec, options: StreamOptions
) -> tuple[Session, RecordingFlow]:
    """A session that decides what single events decide, and the flow that records the rest."""
    recording = RecordingFlow(codec, options)
    records = bool(engine.streams) or (options.merge and bool(engine.merged_kinds))
    return Session(engine, options, recording if records else None), recording


def replay(
    session: Session, codec: EngineCodec, actions: Iterable[Action], origin: Origin | None
) -> list[tuple[Place, Match]]:
    """Do to the flow of a session what one event did elsewhere; the matches that this decides, in
    order."""
    told: list[tuple[Any, Occurrence]] = []
    for action in actions:
        if isinstance(action, int):
            session.tick(action)
            continue
        occurrence, stages = codec.decode_occurrence(action[:2], origin)
        if occurrence.sighting is not None:
            # What waits at an output and what feeds a stream is one event, and counts as one.
            met = [one for data, one in told if data == action[0]]
            occurrence = met[0] if met else occurrence
            told.append((action[0], occurrence))
        if len(action) == _MERGES:
            for *place, stage in action[2]:
                output = codec.output_at(place)
                session.merge_occurrence(occurrence, output, codec.engine.stages[stage])
        else:
            session.feed_occurrence(occurrence, stages)
    return session.arrived_by_place()
