"""Sessions: runs of an engine over a stream of events.

An event takes this way through a session::

    event ── unwrap ──▶ which maps recognise it ──▶ which entries it fits (event classes)
          ──▶ which stages of that class hold ──▶ a Match for each output that is decided by it
                                              └─▶ the flow of joins and groups, and their matches

The flow is handed in. A session of its own accord makes a `Flow`; a worker among several processes
hands in a `RecordingFlow`, which only writes down what would have been done.
"""

from __future__ import annotations

import math
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import ir
from ..diagnostics import Diagnostic, codes, counted
from ..evaluate import REGEX_WORK, Expression
from ..fieldmap import CarEvent, unwrap, view
from ..jsontext import UnreadableError, loads
from ..pyvalues import plain_event
from ..rule import Rule
from .classes import ClassGroup, Classified
from .interpreter import shown_as_it_is
from .match import Match, MatchedEvent, Origin
from .prefilter import (
    KnownEvent,
    NativeCheck,
    NativeFilter,
    Prefilter,
    block_of_lines,
    native_filter_of,
)
from .run_account import RunAccount
from .saved_session import (
    sealed_state,
    write_state,
)
from .session_loading import state_of, taken_over
from .stats import SessionStats, name_origin
from .streams import Feeding, Flow, StreamOptions
from .streams.merging import Output
from .streams.rows import Occurrence, in_order, match_of_row
from .targets import Passed, distinct, match_of_passed
from .updating import SessionUpdate, compared

if TYPE_CHECKING:
    from .engine import Engine

# For fewer lines at once it does not pay to tell the native core what it needs.
_MANY_LINES = 64


class Session:
    """One run of an engine over a stream of events: its state and its statistics.

    ``flow`` takes the events that joins and groups want in the place of a flow of the session's
    own; only where it is a `Flow` can the session be saved. Not to be shared between threads; an
    engine can have many sessions at once.

    A session is a context manager. `flush` belongs inside the block, since it gives matches and
    leaving the block cannot::

        with engine.session() as session:
            for event in events:
                for match in session.feed(event):
                    report(match)
            for match in session.flush():
                report(match)

    Leaving the block calls `close`. After an exception nothing more is done.

    >>> import carengine
    >>> rule = carengine.parse_rule('a = search Process:Create where exe = "x.exe" output a')
    >>> with carengine.Engine([rule]).session() as session:
    ...     found = session.feed({"object": "process", "action": "create", "exe": "x.exe"})
    ...     found += session.flush()
    >>> [match.output for match in found], session.stats.matches["<text>"]
    (['a'], 1)
    """

    def __init__(
        self,
        engine: Engine,
        options: StreamOptions | None = None,
        flow: Feeding | None = None,
    ) -> None:
        self.engine = engine
        self.options = options or StreamOptions()
        self.stats = SessionStats(engine.left_out)
        self.attached: dict[str, Any] = {}
        """Plain data of the caller's own that is saved with the session."""
        self.updated: SessionUpdate | None = None
        """What became of the rules, where the session was loaded with others."""
        self.latest: Classified | None = None
        """What the event was that was fed last."""
        self.own_flow: Flow | None = None
        """The joins and groups that this session runs: none where another flow is handed in, or
        where no rule has any."""
        self._flow: Feeding | None = flow
        self._begin(flow)
        self._prefilter: Prefilter | None = None
        self.native_check: NativeCheck | None = None
        self._native: NativeFilter | None = None
        self._undecided: Counter[Expression] = Counter()
        self._undecided_events = 0
        self._saved_at = -1
        self._unclaimed = 0

    def _begin(self, flow: Feeding | None = None) -> None:
        """Run the engine's joins and groups, and merge records, in another flow or in one's own."""
        engine, options = self.engine, self.options
        # The kinds of events that wait for other records of what they tell.
        self._merged = engine.merged_kinds if options.merge else {}
        if flow is None and (engine.streams or self._merged):
            spans = self._merged
            flow = Flow(engine.streams, options, engine.observer, self._given_up, spans)
        if flow is not None and not flow.merges:
            self._merged = {}
        self._flow = flow
        self.own_flow = flow if isinstance(flow, Flow) else None
        self.times_matter = bool(engine.streams)
        """Whether joins, groups or what waits to be merged want every event's time (`tick`)."""
        if self._merged and options.lateness_us is not None and not self.times_matter:
            self.times_matter = True
            engine.need_times()

    def __enter__(self) -> Session:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.close()

    def close(self) -> None:
        """End the session: the matches that only the end of the data decides are decided, and if
        nobody asked for them, that is said.

        Where `flush` was called after the last event, or `save`, nothing is lost and nothing is
        said. Otherwise the matches that `flush` would have given are counted in a diagnostic
        (CE548), and a ``RuntimeWarning`` names their number. The statistics and the diagnostics can
        be read afterwards.
        """
        if self.own_flow is None or self._saved_at == self.stats.events:
            return
        self.own_flow.finish()
        lost = len(self._arrived(self.own_flow))
        if lost:
            self._unclaimed += lost
            warnings.warn(str(self._of_unclaimed()), RuntimeWarning, stacklevel=3)

    def _of_unclaimed(self) -> Diagnostic:
        message = (
            f"the session was closed before it was asked for "
            f"{counted(self._unclaimed, 'match', 'matches')} that the end of the data decided"
        )
        note = "call flush() after the last event, or save() to go on later"
        return Diagnostic(codes.UNCLAIMED_MATCHES, message, notes=(note,))

    def feed(self, event: Mapping[str, Any], origin: Origin | None = None) -> list[Match]:
        """The matches that an event completes, in the order of the rules, outputs, maps and
        entries.

        The event is not copied: matches, joins and groups read their fields from it when these are
        asked for. Do not change it afterwards. Of one that holds what JSON has not (a ``datetime``)
        matches have a copy, see `carengine.pyvalues`.

        Raises `TypeError` for what is no mapping, `ValueError` for what is too deep or too large (see
        `carengine.pyvalues.plain_event`).
        """
        # The first test is the cheap one, and nearly always enough.
        if not isinstance(event, dict) and not isinstance(event, Mapping):
            raise TypeError(
                f"event {self.stats.events + 1:,} is a {type(event).__name__}; "
                "an event is a mapping of fields to values"
            )
        return self._feed(plain_event(event, self.stats.unread_objects), origin, None)

    def feed_decoded(self, event: dict[str, Any], origin: Origin | None = None) -> list[Match]:
        """`feed` for an event that a reader decoded: its values are JSON's own, and no deeper than
        readers allow, so that nobody need look whether they are."""
        return self._feed(event, origin, None)

    def feed_known(
        self, event: dict[str, Any], origin: Origin | None, known: KnownEvent
    ) -> list[Match]:
        """`feed_decoded` for an event of which the native core has told what it is, and which
        stages hold."""
        return self._feed(event, origin, None, known)

    def _feed(
        self,
        event: Mapping[str, Any],
        origin: Origin | None,
        line: bytes | None,
        known: KnownEvent | None = None,
    ) -> list[Match]:
        work = REGEX_WORK
        work.begin()
        work.deciding = True
        try:
            return self._feed_event(event, origin, line, known)
        finally:
            work.deciding = False
            if work.undecided:
                self._undecided.update(work.undecided)
                self._undecided_events += 1
                work.undecided.clear()
                # What is remembered of values may come from it.
                self.engine.memory.forget()

    def _feed_event(
        self,
        event: Mapping[str, Any],
        origin: Origin | None,
        line: bytes | None,
        known: KnownEvent | None,
    ) -> list[Match]:
        inner = unwrap(event)
        leaf = self.engine.leaf(inner) if known is None else known.leaf
        self.stats.met(leaf)
        source = "" if origin is None else origin.source
        if known is None:
            self.stats.note_fields(leaf, inner, source)
        self.stats.note_clocks(leaf, inner, source)
        self.latest = classified = leaf.target
        assert classified is not None
        passed: list[Passed] = []
        feeding: dict[int, tuple[CarEvent, list[ir.Stage]]] = {}
        for number, (first, group) in enumerate(classified.groups):
            try:
                if known is not None:
                    places = known.stages[number]
                else:
                    places = group.match(inner, event, None, line)
            except Exception as error:
                places = self._match_apart(group, inner, event, error)
            if places:
                try:
                    self._gather(event, inner, origin, first, group, places, passed, feeding)
                except Exception:
                    passed = [item for item in passed if item[0][2] < first]
                    feeding = {place: fed for place, fed in feeding.items() if place < first}
                    self._gather_apart(event, inner, origin, first, group, places, passed, feeding)
        flow = self._flow
        if flow is not None:
            occurrences: dict[int, Occurrence] = {}
            if passed and self._merged:
                passed = self._merge_passed(passed, occurrences, inner, origin)
            for class_place, event_class in enumerate(
                classified.classes if self.times_matter else ()
            ):
                fed = feeding.get(class_place)
                if fed is None:
                    time = event_class.time(inner)
                else:
                    seen, stages = fed
                    occurrence = occurrences.get(class_place)
                    if occurrence is None:
                        occurrence = self._occurrence(seen, inner, origin)
                    self.feed_occurrence(occurrence, stages)
                    time = seen.time
                if time is not None:
                    flow.tick(time)
            if flow.arrived:
                placed = self._arrived(flow)
                placed += [
                    (item[0][:2], match)
                    for item in distinct(passed)
                    for match in self._matches([item], origin)
                ]
                # An output is decided by single events or by several: no two of these are of one
                # place.
                placed.sort(key=itemgetter(0))
                return self._counted([match for _, match in placed])
        if not passed:
            return []
        if len(passed) > 1:
            passed = distinct(passed)
        return self._counted(self._matches(passed, origin))

    def _occurrence(
        self, seen: CarEvent, inner: Mapping[str, Any], origin: Origin | None
    ) -> Occurrence:
        entry = seen.entry
        if entry is None or entry.sensor is None or entry.kind not in self._merged:
            return Occurrence(seen, origin)
        return Occurrence(seen, origin, entry.sensor.sighting(inner, seen.time))

    def _merge_passed(
        self,
        passed: list[Passed],
        occurrences: dict[int, Occurrence],
        inner: Mapping[str, Any],
        origin: Origin | None,
    ) -> list[Passed]:
        """Let matches wait whose event others may tell of too; the matches that wait for nothing.

        ``occurrences`` gets the events by their class.
        """
        kept = []
        for item in distinct(passed):
            (rule, output, place, _), target, seen, _ = item
            occurrence = occurrences.get(place)
            if occurrence is None:
                occurrence = occurrences[place] = self._occurrence(seen, inner, origin)
            if occurrence.sighting is None:
                kept.append(item)
            else:
                known = (target.rule, target.output, (rule, output))
                self.merge_occurrence(occurrence, known, target.stage)
        return kept

    def merge_occurrence(self, occurrence: Occurrence, output: Output, stage: ir.Stage) -> None:
        """Let the match of an output by a stage wait for other records of what its event tells."""
        assert self._flow is not None
        try:
            self._flow.merge(occurrence, output, stage)
        except Exception as error:
            self.stats.faults.note_event([output[0]], error)

    def _matches(self, passed: list[Passed], origin: Origin | None) -> list[Match]:
        try:
            return [match_of_passed(item, origin) for item in passed]
        except Exception:
            matches = []
            for item in passed:
                try:
                    matches.append(match_of_passed(item, origin))
                except Exception as error:
                    self.stats.faults.note_event([item[1].rule], error)
            return matches

    def _match_apart(
        self,
        group: ClassGroup,
        inner: Mapping[str, Any],
        event: Mapping[str, Any],
        error: Exception,
    ) -> list[int]:
        """The stages that hold, where to ask for all at once has raised an error."""
        places, broken = group.matcher.match_apart(inner, event)
        for place, fault in broken:
            rules = self.engine.rules_of(group.stages[place][2])
            self.stats.faults.note_event(rules, fault)
        if not broken:
            # It is no stage's own: each has been decided.
            self.stats.faults.note_event([], error)
        return places

    def _given_up(self, rule: Rule, error: Exception) -> None:
        """A rule's joins and groups are left out from here on."""
        self.stats.faults.left_out.note([rule], "the joining and grouping", error)

    def _gather_apart(
        self,
        event: Mapping[str, Any],
        inner: Mapping[str, Any],
        origin: Origin | None,
        first: int,
        group: ClassGroup,
        places: list[int],
        passed: list[Passed],
        feeding: dict[int, tuple[CarEvent, list[ir.Stage]]],
    ) -> None:
        """`_gather` for each stage by itself, where that for all of them has raised an error."""
        for place in places:
            own_passed: list[Passed] = []
            own_feeding: dict[int, tuple[CarEvent, list[ir.Stage]]] = {}
            try:
                self._gather(event, inner, origin, first, group, [place], own_passed, own_feeding)
            except Exception as error:
                rules = self.engine.rules_of(group.stages[place][2])
                self.stats.faults.note_event(rules, error)
                continue
            passed += own_passed
            for at, (seen, stages) in own_feeding.items():
                feeding.setdefault(at, (seen, []))[1].extend(stages)

    def _gather(
        self,
        event: Mapping[str, Any],
        inner: Mapping[str, Any],
        origin: Origin | None,
        first: int,
        group: ClassGroup,
        places: list[int],
        passed: list[Passed],
        feeding: dict[int, tuple[CarEvent, list[ir.Stage]]],
    ) -> None:
        """What the stages that hold are for: targets to ``passed``, stages that feed a stream to
        ``feeding``."""
        views: dict[int, CarEvent] = {}
        shown: dict[int, MatchedEvent] = {}
        for place in places:
            class_place, event_class, number = group.stages[place]
            seen = views.get(class_place)
            if seen is None:
                seen = views[class_place] = view(event, inner, event_class.entry)
            stage, aims = self.engine.stage(number)
            if aims.feeds:
                feeding.setdefault(first + class_place, (seen, []))[1].append(stage)
            for target, plain in aims.alone:
                matched = None
                if plain:
                    matched = shown.get(class_place)
                    if matched is None:
                        matched = shown[class_place] = shown_as_it_is(seen, origin)
                rule, output, stage_place = target.place
                passed.append(
                    ((rule, output, first + class_place, stage_place), target, seen, matched)
                )

    def feed_occurrence(self, occurrence: Occurrence, stages: list[ir.Stage]) -> None:
        """Feed an event that passed these stages to the joins and groups; it must have some.

        Events that are late are counted and not fed. The clock does not move: see `tick`.
        """
        flow = self._flow
        assert flow is not None
        time = occurrence.view.time
        stats = self.stats
        if time is None:
            stats.untimed += 1
            name_origin(stats.untimed_origins, occurrence.origin)
        elif flow.is_late(time):
            stats.late += 1
            stats.late_by = max(stats.late_by, int(flow.clock) - time)
            name_origin(stats.late_origins, occurrence.origin)
            return
        flow.feed(occurrence, stages)

    def tick(self, time: int) -> None:
        """Tell joins and groups that an event of this time (in microseconds) has come."""
        if self._flow is not None:
            self._flow.tick(time)

    def arrived_by_place(self) -> list[tuple[tuple[int, int], Match]]:
        """`arrived`, each match with the place of its rule and of its output."""
        flow = self._flow
        if flow is None or not flow.arrived:
            return []
        placed = self._arrived(flow)
        self._counted([match for _, match in placed])
        return placed

    def _arrived(self, flow: Feeding) -> list[tuple[tuple[int, int], Match]]:
        """The matches of rows that have come to outputs, by output and in canonical order."""
        arrived = []
        for sink, rows in flow.take():
            try:
                arrived += [
                    (sink.place, match_of_row(sink.rule, sink.output, row))
                    for row in in_order(rows)
                ]
            except Exception as error:
                self.stats.faults.note_event([sink.rule], error)
        return arrived

    def _counted(self, matches: list[Match]) -> list[Match]:
        for match in matches:
            self.stats.matches[match.rule.id] += 1
        return matches

    def feed_line(self, line: bytes, origin: Origin | None = None) -> list[Match]:
        """`feed` of the event that a line of JSON holds; most lines are not decoded whole for it.

        Raises ``ValueError`` for what is no JSON, or no object; it is not counted.

        >>> import carengine
        >>> session = carengine.Engine([]).session()
        >>> session.feed_line(b'{"object": "process", "action": "create"}'), session.stats.events
        ([], 1)
        """
        if (self._prefilter or self.prefilter).rejects(line):
            return [] if self._flow is None else self.arrived()
        return self._feed_whole(line, origin)

    def feed_lines(
        self, lines: Sequence[bytes], origin: Callable[[int], Origin] | None = None
    ) -> Iterator[tuple[int, list[Match]]]:
        """`feed_line` of each of some lines, which is faster: the places of those that complete
        matches, with these.

        Blank lines are left out. ``origin`` tells where the line of a place is from. Raises
        ``ValueError`` at a line that is no JSON, or no object: those before it have been fed by
        then, and nothing else.

        >>> lines = [b'{"object": "process", "action": "create"}', b""]
        >>> import carengine
        >>> session = carengine.Engine([]).session()
        >>> list(session.feed_lines(lines)), session.stats.events
        ([], 1)
        """
        for place, known in self._candidates(lines):
            line = lines[place]
            if not line or line.isspace():
                continue
            where = None if origin is None else origin(place)
            if not self.times_matter:
                matches = self._feed_whole(line, where, known)
            else:
                matches = self.feed_line(line, where)
            if matches:
                yield place, matches

    def _candidates(self, lines: Sequence[bytes]) -> Iterator[tuple[int, KnownEvent | None]]:
        if self.times_matter:
            # Each line may complete matches by its time.
            return ((place, None) for place in range(len(lines)))
        if len(lines) >= _MANY_LINES and (block := block_of_lines(lines)) is not None:
            native = self._native
            if native is None or native.engine is not self.engine:
                native = native_filter_of(self.engine, self.stats, None, self.native_check)
                self._native = native
            if native is not None:
                return native.places(block)
        return ((place, None) for place in self.prefilter.candidates(lines))

    def _feed_whole(
        self, line: bytes, origin: Origin | None, known: KnownEvent | None = None
    ) -> list[Match]:
        event = loads(line)
        if not isinstance(event, dict):
            raise UnreadableError("the line is no JSON object")
        return self._feed(event, origin, line, known)

    @property
    def prefilter(self) -> Prefilter:
        """What takes lines of JSON that give no match without decoding them whole.

        `readers.read_events` asks its ``take``.
        """
        if self._prefilter is None:
            tick = self._flow.tick if self._flow is not None and self.times_matter else None
            engine = self.engine
            self._prefilter = Prefilter(
                engine.find, engine.opaque, self.stats, engine.learned, tick
            )
        return self._prefilter

    @property
    def clock(self) -> float:
        """How far the clock of joins and groups has come, in microseconds; minus infinity where it
        has not moved."""
        return -math.inf if self._flow is None else self._flow.clock

    def arrived(self) -> list[Match]:
        """The matches that the clock has decided since the last event was fed: lines that
        `prefilter` rejects move it too."""
        return [match for _, match in self.arrived_by_place()]

    def flush(self) -> list[Match]:
        """The matches that only the end of the data decides, by rule, output and time.

        The session forgets all events by it; what is fed afterwards is new data.
        """
        if self.own_flow is None:
            return []
        self.own_flow.finish()
        return self.arrived()

    def release_waiting(self) -> list[Match]:
        """The matches of single events that wait for other records of what they tell, as they are:
        for live data, once none has come for a while."""
        if self.own_flow is None or not self.own_flow.waiting.rows:
            return []
        self.own_flow.matches.finish()
        return self.arrived()

    @property
    def lags(self) -> tuple[tuple[Rule, str, float], ...]:
        """The outputs whose matches may come long after their last event: rule, output,
        microseconds.

        A group waits until nothing can belong to it any more; what only the end of the data decides
        waits infinitely long. The lateness comes on top of it.
        """
        lags = () if self.own_flow is None else self.own_flow.lags
        return tuple((stream.rule, stream.output, lag) for stream, lag in lags if lag)

    @property
    def held(self) -> tuple[int, int]:
        """What the session holds for joins and groups: rows, and their estimated bytes."""
        memory = None if self.own_flow is None else self.own_flow.memory
        return (0, 0) if memory is None else (memory.rows, memory.bytes)

    @property
    def merged(self) -> int:
        """How many records another stands for that tells of the same."""
        return 0 if self.own_flow is None else self.own_flow.waiting.merged

    @property
    def diagnostics(self) -> tuple[Diagnostic, ...]:
        """What there is to say of events that could not take part as they should (CE540 to CE542,
        CE549, CE551, CE555), and of matches that `close` decided and nobody got (CE548)."""
        diagnostics = self.account().diagnostics
        if self._unclaimed:
            diagnostics.append(self._of_unclaimed())
        check = self.native_check
        return (*diagnostics, *([] if check is None else check.diagnostics()))

    def account(self) -> RunAccount:
        """The account of the session, to be added to those of others."""
        account = RunAccount(self.stats)
        if self.own_flow is not None:
            account.note_flow(self.own_flow)
        account.note_undecided(self._undecided, self._undecided_events, self.engine.rules)
        return account

    def save(self, path: str | Path) -> None:
        """Write the session to a file, in one step, for `Engine.load_session`.

        Raises `CarError` (CE543) when it cannot be written.
        """
        self.saving(path)()

    def saving(self, path: str | Path) -> Callable[[], None]:
        """What writes the session as it is now to a file, as `save` does: to be called once, in any
        thread, while the session goes on. The call itself takes a small part of the time.

        ``await asyncio.to_thread(session.saving(path))`` does not stall an event loop.
        """
        state = state_of(self, path, whole=False)
        self._saved_at = self.stats.events
        return partial(write_state, path, state)

    def dump(self) -> bytes:
        """What `save` writes, as bytes, for `Engine.load_session`.

        It is plain data: loading it runs no code. Raises `CarError` (CE543) where an event is no
        plain data.

        >>> import carengine
        >>> engine = carengine.Engine([])
        >>> session = engine.session()
        >>> session.feed({"object": "process", "action": "create"})
        []
        >>> engine.load_session(session.dump()).stats.events
        1
        """
        name = "<dumped session>"
        data = sealed_state(name, state_of(self, name)).encode("ascii")
        self._saved_at = self.stats.events
        return data

    def update(self, rules: Iterable[Rule] | Engine) -> SessionUpdate:
        """Go on with other rules, between two events.

        The joins, groups and windows of rules that mean the same go on: their matches are those of
        a session that had the new rules from the start. What was held for others is dropped, and
        named in the result, as are the matches that were decided and not asked for. ``rules`` are
        compiled for this engine's field maps; an `Engine` may have its own.

        Raises `CarError` (CE543) where an event that is held is no plain data.

        >>> import carengine
        >>> one = carengine.parse_rule('a = search Process:Create where exe = "x.exe" output a')
        >>> session = carengine.Engine([]).session()
        >>> session.update([one]).added, [rule.id for rule in session.engine.rules]
        (('<text>',), ['<text>'])
        """
        before = self.engine
        engine = before.with_rules(rules)
        matches = tuple(self.arrived())
        state = state_of(self, "<session>")
        self.engine = engine
        self._prefilter = self.latest = None
        self._begin()
        self.stats.faults.left_out = engine.left_out
        dropped = taken_over(self, state)
        return compared(before.rule_digests, engine.rule_digests, dropped, matches)
