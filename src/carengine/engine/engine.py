"""The engine: all rules of a run, compiled once, and the sessions that run them.

An ``Engine`` is immutable: it holds rules, field maps and the matcher made of both, can be pickled
and shared between threads. Whatever changes while events go by lives in a ``Session``. One event
takes this way through it::

    event ── unwrap ──▶ which maps recognise it ──▶ which entries it fits (event classes)
          ──▶ which stages of that class hold ──▶ a Match for each output that the stage belongs to
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from operator import itemgetter
from pathlib import Path
from typing import Any

from attrs import asdict, evolve

from .. import gc_control, ir
from ..diagnostics import Diagnostic, codes, counted
from ..fieldmap import (
    CarEvent,
    FieldMap,
    Lowered,
    MapChoice,
    find_maps,
    lower_for,
    unwrap,
    useful,
    view,
)
from ..jsontext import FAST, UnreadableError, decode
from ..rule import Rule, RuleSet
from . import compiled
from .account import Account
from .classes import Classified, EventClass, Together
from .interpreter import shown_as_it_is
from .match import Match, MatchedEvent, Origin
from .matcher import (
    ClassMatcher,
    Leaf,
    Memory,
    Outcomes,
    Route,
    Router,
    Split,
    opaque_paths,
    paths_in,
    replaced,
    split_by,
    where_present,
)
from .prefilter.prefilter import Sieve
from .saved_session import FORMAT, Reader, Writer, fingerprint, read_state, refused, write_state
from .streams import Feeding, Flow, Stream, StreamOptions, prepare, stages_of
from .streams.rows import Occurrence, in_order, match_of_row
from .targets import Aims, Found, Gap, Target, distinct, match_found, searched_kinds

# How many late events and events without a time are named.
_NAMED = 20

_NEVER = (ir.Truth(False), ir.Truth(None))


class Engine:
    """Rules compiled for field maps.

    ``rules`` is a `RuleSet` or any iterable of rules; ``fieldmap`` is what `find_maps` takes:
    ``"auto"``, a name, a path, a map, or several. The order of either makes no difference: rules
    are sorted by id, maps by name. Raises `CarError` when a map is not right.

    A map that has nothing of what the rules search for is asked only about events that no other map
    recognises.

    ``unsupported`` tells the outputs that this engine does not execute, ``not_runnable`` those that
    no map in use could ever make match, ``gaps`` for each map what it lacks.

    >>> import carengine
    >>> rule = carengine.parse_rule('a = search Process:Create where exe = "x.exe" output a')
    >>> engine = Engine([rule])
    >>> [m.output for m in engine.run([{"object": "process", "action": "create", "exe": "X.EXE"}])]
    ['a']
    """

    def __init__(self, rules: RuleSet | Iterable[Rule], fieldmap: MapChoice = "auto") -> None:
        self.rules: tuple[Rule, ...] = tuple(sorted(rules, key=lambda rule: rule.id))
        self.maps: tuple[FieldMap, ...] = tuple(
            sorted(
                useful(find_maps(fieldmap), searched_kinds(self.rules)),
                key=lambda found: found.name,
            )
        )
        self._targets: list[list[Target]] = []
        self.streams: tuple[Stream, ...] = ()
        self.watch: Callable[[Together], None] | None = None
        """Gets to see each matcher before it is used; see `profile`."""
        self._stages = self._collect()
        self._aims = tuple(map(Aims.of, self._targets))
        self._by_kind: dict[ir.EventKind, list[int]] = {}
        for number, stage in enumerate(self._stages):
            for kind in dict.fromkeys(stage.kinds):
                self._by_kind.setdefault(kind, []).append(number)
        self.memory = Memory()
        self.learned: dict[str, Any] | None = None
        """What sessions have learned about the events: it makes the next one fast, and changes
        nothing it finds."""
        self._classes = tuple(
            tuple(EventClass.of(fieldmap, entry) for entry in fieldmap.entries)
            for fieldmap in self.maps
        )
        # Stages in the terms of a class, once an event of that class or a question asks.
        self._lowered: dict[EventClass, tuple[tuple[int, Lowered], ...]] = {}
        # The router asks for classes at once where there is nothing to decide.
        self._together: dict[tuple[tuple[tuple[int, int], ...], frozenset[ir.Value]], Together] = {}
        self._router = Router(self.maps, self._first_of, self._split, self._behind())
        self.classify: Callable[[Mapping[str, Any]], Classified] = self._router.route
        """What an (unwrapped) event is."""
        self.leaf: Callable[[Mapping[str, Any]], Leaf[Classified]] = self._router.leaf
        """The leaf of the tree of questions that an (unwrapped) event comes to."""
        self.find: Callable[[Mapping[str, Any]], Leaf[Classified] | None] = self._router.find
        """The same of a part of an event, if such events were there before."""

    def __reduce__(self) -> tuple[type[Engine], tuple[tuple[Rule, ...], tuple[FieldMap, ...]]]:
        # The matcher is made of closures; it is compiled afresh where the engine is unpickled.
        return Engine, (self.rules, self.maps)

    def save(self, path: str | Path) -> None:
        """Write the engine to a file, for `load`. Raises `CarError` (CE550) when that fails."""
        compiled.write(path, self.rules, self.maps)

    @classmethod
    def load(cls, path: str | Path) -> Engine:
        """The engine that `save` wrote to a file, in a fraction of the time that reading its rules
        takes.

        The file is plain data: loading runs no code from it, and checks it. Raises `CarError`
        (CE550) for a file that is damaged, or was written by another version.
        """
        with gc_control.paused():
            rules, maps = compiled.read(path)
            return cls(rules, maps)

    def _collect(self) -> list[ir.Stage]:
        """All distinct stages; what each is for goes to ``_targets``, stateful outputs to
        ``streams``."""
        numbers: dict[ir.Stage, int] = {}
        streams: list[Stream] = []
        prepared: dict[ir.Plan, ir.Plan] = {}
        for rule_place, rule in enumerate(self.rules):
            for output_place, output in enumerate(rule.program.outputs):
                stages: Iterable[ir.Stage] | None = ir.as_stages(output.plan)
                feeds = stages is None
                if stages is None:
                    plan = prepare(output.plan, prepared)
                    streams.append(Stream(rule, output.name, (rule_place, output_place), plan))
                    stages = stages_of(plan)
                for stage_place, stage in enumerate(dict.fromkeys(stages)):
                    number = numbers.setdefault(stage, len(numbers))
                    if number == len(self._targets):
                        self._targets.append([])
                    place = (rule_place, output_place, stage_place)
                    self._targets[number].append(Target(rule, output.name, stage, place, feeds))
        self.streams = tuple(streams)
        return list(numbers)

    def lowered(self, event_class: EventClass) -> tuple[tuple[int, Lowered], ...]:
        """The stages that events of a class may pass, by their numbers, in the class's own terms."""
        found = self._lowered.get(event_class)
        if found is None:
            fieldmap, entry = event_class.fieldmap, event_class.entry
            found = self._lowered[event_class] = tuple(
                (number, lower_for(self._stages[number], fieldmap, entry))
                for number in self._by_kind.get(entry.kind, ())
            )
        return found

    @cached_property
    def gaps(self) -> tuple[Gap, ...]:
        """What each map lacks for the rules, in the order of maps and rules."""
        found: list[Gap] = []
        for classes in self._classes:
            lacking: dict[int, dict[ir.EventKind, Lowered]] = {}
            met: set[tuple[int, ir.EventKind]] = set()
            for event_class in classes:
                kind = event_class.entry.kind
                for number, lowered in self.lowered(event_class):
                    if lowered.possible:
                        met.add((number, kind))
                    elif lowered.missing:
                        nearest = lacking.setdefault(number, {}).setdefault(kind, lowered)
                        if len(lowered.missing) < len(nearest.missing):
                            lacking[number][kind] = lowered
            # Of several entries of one kind, one that gives what is needed will do.
            found += [
                Gap(target.rule, target.output, lowered.fieldmap, kind, lowered.missing)
                for number, kinds in sorted(lacking.items(), key=lambda item: item[0])
                for kind, lowered in kinds.items()
                if (number, kind) not in met
                for target in self._targets[number]
            ]
        return tuple(found)

    @cached_property
    def not_runnable(self) -> tuple[Diagnostic, ...]:
        """A warning for each output that no event of these maps could match."""
        return tuple(self._not_runnable())

    def _not_runnable(self) -> Iterator[Diagnostic]:
        possible = {
            number
            for classes in self._classes
            for event_class in classes
            for number, lowered in self.lowered(event_class)
            if lowered.possible
        }
        outputs: dict[tuple[int, int], list[tuple[int, Target]]] = {}
        for number, targets in enumerate(self._targets):
            for target in targets:
                outputs.setdefault(target.place[:2], []).append((number, target))
        known = {kind for fieldmap in self.maps for kind in fieldmap.by_kind}
        names = ", ".join(fieldmap.name for fieldmap in self.maps) or "no field map"
        for _, found in sorted(outputs.items()):
            if any(number in possible for number, _ in found):
                continue
            _, target = found[0]
            kinds = {kind: None for number, _ in found for kind in self._stages[number].kinds}
            notes = [f"{names}: no {kind}" for kind in kinds if kind not in known]
            notes += [
                f"{gap.fieldmap.name} gives no {', '.join(gap.missing)} for {gap.kind}"
                for gap in self.gaps
                if gap.rule is target.rule and gap.output == target.output
            ]
            yield Diagnostic(
                codes.NOT_RUNNABLE,
                f"the output {target.output} of {target.rule.id} can match nothing in these logs",
                next(o.span for o in target.rule.program.outputs if o.name == target.output),
                notes=tuple(dict.fromkeys(notes)) or ("its conditions exclude each other",),
                origin=target.rule.path,
            )

    def run(
        self, events: Iterable[Mapping[str, Any]], options: StreamOptions | None = None
    ) -> Iterator[Match]:
        """The matches of all rules on events, in order; at the end, what only the end decides."""
        session = self.session(options)
        for event in events:
            yield from session.feed(event)
        yield from session.flush()

    def lines(
        self, lines: Iterable[bytes], options: StreamOptions | None = None
    ) -> Iterator[Match]:
        """The matches of all rules on lines of JSON, an event each: `run` without decoding every
        line whole.

        A list of lines is faster than other iterables: of these, each line is dealt with before the
        next is asked for.

        Blank lines are left out. Raises ``ValueError`` at a line that is no JSON object; to go on
        after it, use a session's `feed_line`.

        >>> list(Engine([]).lines([b'{"object": "process", "action": "create"}']))
        []
        """
        session = self.session(options)
        if isinstance(lines, list | tuple):
            for _, matches in session.feed_lines(lines):
                yield from matches
        else:
            for line in lines:
                if not line.isspace() and line:
                    yield from session.feed_line(line)
        yield from session.flush()

    def session(self, options: StreamOptions | None = None) -> Session:
        """A new session, with an empty memory and an empty account.

        ``options`` say how it treats time and memory; the default is for finished data in any
        order.
        """
        return Session(self, options)

    def load_session(self, path: str | Path, options: StreamOptions | None = None) -> Session:
        """The session that `Session.save` wrote to a file, to go on with.

        With ``options``, the file must have been written with the same lateness, horizon and
        reference time. Raises `CarError` (CE543) for a file made with other rules, field maps or
        options, and for a damaged one.
        """
        state = read_state(path)
        if state.get("fingerprint") != self.fingerprint:
            raise refused(
                path,
                "the state was made with other rules or field maps",
                "start afresh with another state file, or go back to those rules",
            )
        try:
            saved = StreamOptions(**state["options"])
            if options is not None and options.meaning != saved.meaning:
                message = f"the state was made with other options: {saved.differences(options)}"
                raise refused(path, message)
            session = Session(self, options or saved)
            session._load(state)
        except (LookupError, TypeError, ValueError, AttributeError, RecursionError) as error:
            raise refused(path, f"the state file is damaged: {error!r}") from None
        return session

    @cached_property
    def fingerprint(self) -> str:
        """A text that tells engines of other rules or field maps apart."""
        return fingerprint(self.rules, self.maps)

    def _behind(self) -> frozenset[int]:
        """The numbers of the maps that have nothing of what the rules search."""
        searched = searched_kinds(self.rules)
        return frozenset(
            number
            for number, fieldmap in enumerate(self.maps)
            if searched.isdisjoint(fieldmap.by_kind)
        )

    def _split(self, route: Route, asked: frozenset[tuple[str, ...]]) -> Split | None:
        conditions = [
            where_present(stage.condition, route.present)
            for number, place in route.entries
            for _, stage in self.lowered(self._classes[number][place])
            if stage.possible
        ]
        return split_by(conditions, asked)

    def _first_of(self, route: Route, outcomes: Outcomes) -> Classified:
        maps = tuple(self.maps[number] for number in route.maps)
        classes = tuple(self._classes[number][place] for number, place in route.entries)
        groups = []
        first = 0
        for number in route.maps:
            entries = tuple(entry for entry in route.entries if entry[0] == number)
            together = self._grouped(entries, route.present, outcomes)
            if together.stages:
                groups.append((first, together))
            first += len(entries)
        times: list[ir.Value] = []
        if self.streams:
            # Every event moves the clock of joins and groups, also one that no rule looks at.
            found = [one.entry.value(ir.Field("time", None, ir.Type.TIME)) for one in classes]
            times = [time for time in found if time is not None]
        return Classified(
            maps,
            classes,
            tuple(groups),
            frozenset(path for time in times for path in paths_in(time)),
            frozenset(path for time in times for path in opaque_paths(time)),
        )

    def _grouped(
        self,
        entries: tuple[tuple[int, int], ...],
        present: frozenset[ir.Value],
        outcomes: Outcomes,
    ) -> Together:
        """The stages of some entries of a map, with what is known of values and atoms put into
        them."""
        found = None if outcomes else self._together.get((entries, present))
        if found is None:
            stages = []
            for class_place, (number, place) in enumerate(entries):
                event_class = self._classes[number][place]
                for stage, lowered in self.lowered(event_class):
                    condition = where_present(lowered.condition, present)
                    if outcomes:
                        condition = ir.simplify(replaced(condition, outcomes))
                    if lowered.possible and condition not in _NEVER:
                        stages.append((class_place, event_class, stage, condition))
            found = Together(
                ClassMatcher(
                    ((place, condition) for place, (*_, condition) in enumerate(stages)),
                    self.memory,
                ),
                tuple((place, owner, stage) for place, owner, stage, _ in stages),
            )
            if self.watch is not None:
                self.watch(found)
            if not outcomes:
                self._together[entries, present] = found
        return found

    @property
    def opaque(self) -> frozenset[tuple[str, ...]]:
        """The paths at which a mapping is needed as a whole to tell what an event is."""
        return self._router.opaque

    @cached_property
    def stages(self) -> tuple[ir.Stage, ...]:
        """All distinct stages, by their numbers."""
        return tuple(self._stages)

    def targets(self, number: int) -> tuple[Target, ...]:
        """The outputs that a stage, by its number, belongs to."""
        return tuple(self._targets[number])

    def stage(self, number: int) -> tuple[ir.Stage, Aims]:
        """A stage by its number, and what it is for."""
        return self._stages[number], self._aims[number]


class Session:
    """One run of an engine over a stream of events: its state and its account.

    Not to be shared between threads; an engine can have many sessions at once.
    """

    def __init__(self, engine: Engine, options: StreamOptions | None = None) -> None:
        self.engine = engine
        self.options = options or StreamOptions()
        self.account = Account()
        self.attached: dict[str, Any] = {}
        """Plain data of the caller's own that is saved with the session."""
        self.latest: Classified | None = None
        """What the event was that was fed last."""
        self._flow = Flow(engine.streams, self.options) if engine.streams else None
        self._sieve: Sieve | None = None

    def feed(self, event: Mapping[str, Any], origin: Origin | None = None) -> list[Match]:
        """The matches that an event completes, in the order of the rules, outputs, maps and
        entries.

        The event is not copied: matches, joins and groups read their fields from it when these are
        asked for. Do not change it afterwards.

        Raises `TypeError` for what is no mapping.
        """
        # The first test is the cheap one, and nearly always enough.
        if not isinstance(event, dict) and not isinstance(event, Mapping):
            raise TypeError(
                f"event {self.account.events + 1:,} is a {type(event).__name__}; an event is a mapping of fields to values"
            )
        return self._feed(event, origin, None)

    def _feed(
        self, event: Mapping[str, Any], origin: Origin | None, line: bytes | None
    ) -> list[Match]:
        inner = unwrap(event)
        leaf = self.engine.leaf(inner)
        self.account.met(leaf)
        self.latest = classified = leaf.target
        assert classified is not None
        found: list[Found] = []
        feeding: dict[int, tuple[CarEvent, list[ir.Stage]]] = {}
        for first, together in classified.groups:
            places = together.matcher.match(inner, event, line=line)
            if places:
                self._gather(event, inner, origin, first, together, places, found, feeding)
        flow: Feeding | None = self._flow
        if flow is not None:
            for class_place, event_class in enumerate(classified.classes):
                fed = feeding.get(class_place)
                if fed is None:
                    time = event_class.time(inner)
                else:
                    seen, stages = fed
                    self._feed_flow(flow, Occurrence(seen, origin), stages)
                    time = seen.time
                if time is not None:
                    flow.tick(time)
            if flow.arrived:
                placed = self._arrived(flow)
                placed += [(item[0][:2], match_found(item, origin)) for item in distinct(found)]
                # An output is decided by single events or by several: no two of these are of one
                # place.
                placed.sort(key=itemgetter(0))
                return self._counted([match for _, match in placed])
        if not found:
            return []
        if len(found) > 1:
            found = distinct(found)
        return self._counted([match_found(item, origin) for item in found])

    def _gather(
        self,
        event: Mapping[str, Any],
        inner: Mapping[str, Any],
        origin: Origin | None,
        first: int,
        together: Together,
        places: list[int],
        found: list[Found],
        feeding: dict[int, tuple[CarEvent, list[ir.Stage]]],
    ) -> None:
        """What the stages that hold are for: targets to ``found``, stages that feed a stream to
        ``feeding``."""
        views: dict[int, CarEvent] = {}
        shown: dict[int, MatchedEvent] = {}
        for place in places:
            class_place, event_class, number = together.stages[place]
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
                found.append(
                    ((rule, output, first + class_place, stage_place), target, seen, matched)
                )

    def _feed_flow(self, flow: Feeding, occurrence: Occurrence, stages: list[ir.Stage]) -> None:
        time = occurrence.view.time
        account = self.account
        if time is None:
            account.untimed += 1
            _name(account.untimed_origins, occurrence.origin)
        elif flow.is_late(time):
            account.late += 1
            account.late_by = max(account.late_by, int(self.clock) - time)
            _name(account.late_origins, occurrence.origin)
            return
        flow.feed(occurrence, stages)

    def _arrived(self, flow: Feeding) -> list[tuple[tuple[int, ...], Match]]:
        """The matches of rows that have come to outputs, by output and in canonical order."""
        return [
            (sink.place, match_of_row(sink.rule, sink.output, row))
            for sink, rows in flow.take()
            for row in in_order(rows)
        ]

    def _counted(self, matches: list[Match]) -> list[Match]:
        for match in matches:
            self.account.matches[match.rule.id] += 1
        return matches

    def feed_line(self, line: bytes, origin: Origin | None = None) -> list[Match]:
        """`feed` of the event that a line of JSON holds; most lines are not decoded whole for it.

        Raises ``ValueError`` for what is no JSON, or no object; it is not counted.

        >>> session = Engine([]).session()
        >>> session.feed_line(b'{"object": "process", "action": "create"}'), session.account.events
        ([], 1)
        """
        if (self._sieve or self.sieve).take(line):
            return [] if self._flow is None else self._taken()
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
        >>> session = Engine([]).session()
        >>> list(session.feed_lines(lines)), session.account.events
        ([], 1)
        """
        if self._flow is None:
            places: Iterable[int] = self.sieve.left(lines)
        else:
            # Each line may complete matches by its time.
            places = range(len(lines))
        for place in places:
            line = lines[place]
            if not line or line.isspace():
                continue
            where = None if origin is None else origin(place)
            if self._flow is None:
                matches = self._feed_whole(line, where)
            else:
                matches = self.feed_line(line, where)
            if matches:
                yield place, matches

    def _taken(self) -> list[Match]:
        """What the time of an event that the sieve took has completed."""
        assert self._flow is not None
        return self._counted([match for _, match in self._arrived(self._flow)])

    def _feed_whole(self, line: bytes, origin: Origin | None) -> list[Match]:
        try:
            event = (FAST or decode)(line)
        except (ValueError, RecursionError):
            event = decode(line)
        if not isinstance(event, dict):
            raise UnreadableError("the line is no JSON object")
        return self._feed(event, origin, line)

    @property
    def sieve(self) -> Sieve:
        """What takes lines of JSON that give no match without decoding them whole.

        `readers.read_events` asks its ``take``.
        """
        if self._sieve is None:
            tick = None if self._flow is None else self._flow.tick
            self._sieve = Sieve(self.engine, self.account, tick)
        return self._sieve

    @property
    def clock(self) -> float:
        """How far the clock of joins and groups has come, in microseconds; minus infinity where it
        has not moved."""
        return -math.inf if self._flow is None else self._flow.clock

    def arrived(self) -> list[Match]:
        """The matches that the clock has decided since the last event was fed: lines that `sieve`
        takes move it too."""
        flow = self._flow
        return [] if flow is None else self._counted([match for _, match in self._arrived(flow)])

    def flush(self) -> list[Match]:
        """The matches that only the end of the data decides, by rule, output and time.

        The session forgets all events by it; what is fed afterwards is new data.
        """
        flow = self._flow
        if flow is None:
            return []
        flow.finish()
        return self._counted([match for _, match in self._arrived(flow)])

    @property
    def lags(self) -> tuple[tuple[Rule, str, float], ...]:
        """The outputs whose matches may come long after their last event: rule, output,
        microseconds.

        A group waits until nothing can belong to it any more; what only the end of the data decides
        waits infinitely long. The lateness comes on top of it.
        """
        found = () if self._flow is None else self._flow.lags
        return tuple((stream.rule, stream.output, lag) for stream, lag in found if lag)

    @property
    def held(self) -> tuple[int, int]:
        """What the session holds for joins and groups: rows, and their estimated bytes."""
        return (0, 0) if self._flow is None else (self._flow.memory.rows, self._flow.memory.bytes)

    @property
    def diagnostics(self) -> tuple[Diagnostic, ...]:
        """What there is to say of events that could not take part as they should (CE540 to CE542)."""
        account = self.account
        found = account.of_times()
        flow = self._flow
        if flow is not None and flow.dropped:
            parts = [f"{counted(n, 'row')} of {what}" for what, n in sorted(flow.dropped.items())]
            message = (
                f"memory for joins and groups was full: {counted(flow.dropped.total(), 'row')} dropped, and matches "
                "with them lost"
            )
            found.append(Diagnostic(codes.STATE_CEILING, message, notes=tuple(parts)))
        if flow is not None and flow.forced and account.late:
            note = "memory was full before the end, so that the clock had to move on"
            found[0] = evolve(found[0], notes=(*found[0].notes, note))
        return tuple(found)

    def save(self, path: str | Path) -> None:
        """Write the session to a file, in one step, for `Engine.load_session`.

        Raises `CarError` (CE543) when it cannot be written.
        """
        writer = Writer()
        try:
            flow = None if self._flow is None else self._flow.save(writer)
        except TypeError as error:
            message = f"the session holds an event that is no plain data: {error}"
            raise refused(path, message) from None
        state = {
            "carengine": FORMAT,
            "fingerprint": self.engine.fingerprint,
            "options": asdict(self.options),
            "account": self.account.as_data(),
            "attached": self.attached,
            "events": writer.events,
            "flow": flow,
        }
        write_state(path, state)

    def _load(self, state: Mapping[str, Any]) -> None:
        self.account.restore(state["account"])
        self.attached = dict(state["attached"])
        if self._flow is not None:
            self._flow.load(state["flow"], Reader(state["events"], self.engine.maps))


def _name(origins: list[str], origin: Origin | None) -> None:
    if origin is not None and len(origins) < _NAMED:
        origins.append(f"{origin.source}:{origin.record}")
