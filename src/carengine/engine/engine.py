"""The engine: all rules of a run, compiled once, and the sessions that run them.

An ``Engine`` is immutable: it holds rules, field maps and the matcher made of both, can be pickled and
shared between threads. Whatever changes while events go by lives in a ``Session``. One event
takes this way through it::

    event ── unwrap ──▶ which maps recognise it ──▶ which entries it fits (event classes)
          ──▶ which stages of that class hold ──▶ a Match for each output that the stage belongs to
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from attrs import asdict, evolve, field, frozen

from .. import ir
from ..diagnostics import Code, Diagnostic, codes, counted
from ..fieldmap import (
    CarEvent,
    Entry,
    FieldMap,
    Lowered,
    MapChoice,
    find_maps,
    lower,
    unwrap,
    view,
)
from ..rule import Rule, RuleSet
from .interpreter import match_of
from .match import Match, Origin
from .matcher import ClassMatcher, EventClasses, getter
from .rows import Occurrence, in_order, match_of_row
from .saved import (
    FORMAT,
    Reader,
    Writer,
    fingerprint,
    kinds_as_data,
    kinds_from_data,
    read_state,
    refused,
    write_state,
)
from .streaming import Flow, Stream, StreamOptions, prepare, stages_of

# How many late events and events without a time are named.
_NAMED = 20


@frozen
class _Target:
    """An output that a stage belongs to, and its place among all stages of all rules' outputs.

    ``feeds`` where the output looks at more than one event, and the stage is a part of it.
    """

    rule: Rule
    output: str
    stage: ir.Stage
    place: tuple[int, int, int]
    feeds: bool = False


@frozen(eq=False)
class EventClass:
    """One entry of one field map, with the stages that its events may pass."""

    fieldmap: FieldMap
    entry: Entry
    matcher: ClassMatcher = field(repr=False)
    time: Callable[[Mapping[str, Any]], int | None] = field(repr=False)
    """The event time of an (unwrapped) event."""

    @property
    def name(self) -> str:
        """``map object/action``, as reports show it."""
        return f"{self.fieldmap.name} {self.entry.kind}"


@frozen
class Gap:
    """Why a rule's output cannot match events through a map's entry: CAR fields that are not there."""

    rule: Rule
    output: str
    fieldmap: FieldMap
    kind: ir.EventKind
    missing: tuple[str, ...]


@frozen(eq=False)
class _Shape:
    fieldmap: FieldMap
    classes: EventClasses
    entries: tuple[EventClass, ...]


class Engine:
    """Rules compiled for field maps.

    ``rules`` is a `RuleSet` or any iterable of rules; ``fieldmap`` is what `find_maps` takes:
    ``"auto"``, a name, a path, a map, or several. The order of either makes no difference: rules are
    sorted by id, maps by name. Raises `CarError` when a map is not right.

    ``unsupported`` tells the outputs that this engine does not execute, ``not_runnable`` those that no map in use
    could ever make match, ``gaps`` for each map what it lacks.

    >>> import carengine
    >>> rule = carengine.parse_rule('a = search Process:Create where exe = "x.exe" output a')
    >>> engine = Engine([rule])
    >>> [m.output for m in engine.run([{"object": "process", "action": "create", "exe": "X.EXE"}])]
    ['a']
    """

    def __init__(self, rules: RuleSet | Iterable[Rule], fieldmap: MapChoice = "auto") -> None:
        self.rules: tuple[Rule, ...] = tuple(sorted(rules, key=lambda rule: rule.id))
        self.maps: tuple[FieldMap, ...] = tuple(
            sorted(find_maps(fieldmap), key=lambda found: found.name)
        )
        self._targets: list[list[_Target]] = []
        self._possible: set[int] = set()
        self.streams: tuple[Stream, ...] = ()
        stages = self._collect()
        self.gaps: tuple[Gap, ...] = ()
        gaps: list[Gap] = []
        self._shapes = tuple(self._shape(fieldmap, stages, gaps) for fieldmap in self.maps)
        self.gaps = tuple(gaps)
        self.not_runnable: tuple[Diagnostic, ...] = tuple(self._not_runnable(stages))

    def __reduce__(self) -> tuple[type[Engine], tuple[tuple[Rule, ...], tuple[FieldMap, ...]]]:
        # The matcher is made of closures; it is compiled afresh where the engine is unpickled.
        return Engine, (self.rules, self.maps)

    def _collect(self) -> list[ir.Stage]:
        """All distinct stages; what each is for goes to ``_targets``, stateful outputs to ``streams``."""
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
                    self._targets[number].append(_Target(rule, output.name, stage, place, feeds))
        self.streams = tuple(streams)
        return list(numbers)

    def _shape(self, fieldmap: FieldMap, stages: list[ir.Stage], gaps: list[Gap]) -> _Shape:
        by_entry: dict[int, list[tuple[int, Lowered]]] = {}
        places = {id(entry): place for place, entry in enumerate(fieldmap.entries)}
        for number, stage in enumerate(stages):
            lacking: dict[ir.EventKind, Lowered] = {}
            met: set[ir.EventKind] = set()
            for lowered in lower(stage, fieldmap):
                by_entry.setdefault(places[id(lowered.entry)], []).append((number, lowered))
                kind = lowered.entry.kind
                if lowered.possible:
                    self._possible.add(number)
                    met.add(kind)
                elif lowered.missing:
                    nearest = lacking.setdefault(kind, lowered)
                    if len(lowered.missing) < len(nearest.missing):
                        lacking[kind] = lowered
            # Of several entries of one kind, one that gives what is needed will do.
            gaps += [
                Gap(t.rule, t.output, fieldmap, kind, lowered.missing)
                for kind, lowered in lacking.items()
                if kind not in met
                for t in self._targets[number]
            ]
        entries = tuple(
            EventClass(fieldmap, entry, ClassMatcher(by_entry.get(place, ())), _clock_of(entry))
            for place, entry in enumerate(fieldmap.entries)
        )
        return _Shape(fieldmap, EventClasses(fieldmap), entries)

    def _not_runnable(self, stages: list[ir.Stage]) -> Iterator[Diagnostic]:
        """A warning for each output none of whose stages could be true of any event of these maps."""
        outputs: dict[tuple[int, int], list[tuple[int, _Target]]] = {}
        for number, targets in enumerate(self._targets):
            for target in targets:
                outputs.setdefault(target.place[:2], []).append((number, target))
        known = {kind for fieldmap in self.maps for kind in fieldmap.kinds()}
        names = ", ".join(fieldmap.name for fieldmap in self.maps) or "no field map"
        for _, found in sorted(outputs.items()):
            if any(number in self._possible for number, _ in found):
                continue
            _, target = found[0]
            kinds = {kind: None for number, _ in found for kind in stages[number].kinds}
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

    def session(self, options: StreamOptions | None = None) -> Session:
        """A new session, with an empty memory and an empty account.

        ``options`` say how it treats time and memory; the default is for finished data in any order.
        """
        return Session(self, options)

    def load_session(self, path: str | Path, options: StreamOptions | None = None) -> Session:
        """The session that `Session.save` wrote to a file, to go on with.

        With ``options``, the file must have been written with the same lateness, horizon and reference time. Raises
        `CarError` (CE543) for a file made with other rules, field maps or options, and for a damaged one.
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

    def classify(self, inner: Mapping[str, Any]) -> tuple[list[FieldMap], list[EventClass]]:
        """The maps that recognise an (unwrapped) event, and the classes it is of."""
        maps: list[FieldMap] = []
        classes: list[EventClass] = []
        for shape in self._shapes:
            if shape.classes.recognises(inner):
                maps.append(shape.fieldmap)
                classes += [shape.entries[number] for number in shape.classes.entries(inner)]
        return maps, classes

    def targets(self, stage: int) -> list[_Target]:
        """The outputs that a stage, by its number, belongs to."""
        return self._targets[stage]


def _distinct(
    found: list[tuple[tuple[int, ...], _Target, CarEvent]],
) -> list[tuple[tuple[int, ...], _Target, CarEvent]]:
    """What was found, in order; an event that passes two stages of an output with the same fields once."""
    rows: dict[tuple[Any, ...], tuple[tuple[int, ...], _Target, CarEvent]] = {}
    for placed in sorted(found, key=lambda placed: placed[0]):
        place, target, _ = placed
        rows.setdefault((place[:3], target.stage.assigned, target.stage.columns), placed)
    return list(rows.values())


def _clock_of(entry: Entry) -> Callable[[Mapping[str, Any]], int | None]:
    expression = entry.value(ir.Field("time", None, ir.Type.TIME))
    if expression is None:
        return lambda inner: None
    get = getter(expression)

    def time(inner: Mapping[str, Any]) -> int | None:
        found = get(inner)
        return found if isinstance(found, int) else None

    return time


class Account:
    """What went through a session.

    ``events`` is how many were fed; ``recognised`` counts them by field map, ``kinds`` by map and CAR kind (an
    event may be several), ``unrecognised`` those that no map claims. ``claimed_twice`` counts events
    that two maps claim, ``claimants`` by the names of these maps. ``matches`` counts by rule id.

    ``late`` counts events that a join or a group wanted and that came later than allowed: they took no part in it.
    ``untimed`` counts those that one wanted and that have no time: they wait for the end of the data, and are near
    nothing but each other. The first few of both are named in ``late_origins`` and ``untimed_origins``.
    """

    def __init__(self) -> None:
        self.events = 0
        self.unrecognised = 0
        self.claimed_twice = 0
        self.claimants: Counter[tuple[str, ...]] = Counter()
        self.recognised: Counter[str] = Counter()
        self.kinds: Counter[tuple[str, ir.EventKind]] = Counter()
        self.matches: Counter[str] = Counter()
        self.late = 0
        self.untimed = 0
        self.late_origins: list[str] = []
        self.untimed_origins: list[str] = []

    @property
    def shaped(self) -> int:
        """How many events had a known shape."""
        return self.events - self.unrecognised


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
        self._flow = Flow(engine.streams, self.options) if engine.streams else None

    def feed(self, event: Mapping[str, Any], origin: Origin | None = None) -> list[Match]:
        """The matches that an event completes, in the order of the rules, outputs, maps and entries.

        Raises `TypeError` for what is no mapping.
        """
        account = self.account
        # The first test is the cheap one, and nearly always enough.
        if not isinstance(event, dict) and not isinstance(event, Mapping):
            raise TypeError(
                f"event {account.events + 1:,} is a {type(event).__name__}; an event is a mapping of fields to values"
            )
        account.events += 1
        inner = unwrap(event)
        maps, classes = self.engine.classify(inner)
        if not maps:
            account.unrecognised += 1
            return []
        for fieldmap in maps:
            account.recognised[fieldmap.name] += 1
        if len(maps) > 1:
            account.claimed_twice += 1
            account.claimants[tuple(fieldmap.name for fieldmap in maps)] += 1
        found: list[tuple[tuple[int, ...], _Target, CarEvent]] = []
        flow = self._flow
        for class_place, event_class in enumerate(classes):
            account.kinds[event_class.fieldmap.name, event_class.entry.kind] += 1
            numbers = event_class.matcher.match(inner, event)
            if numbers:
                seen = view(event, inner, event_class.entry)
                feeding: list[ir.Stage] = []
                for number in numbers:
                    targets = self.engine.targets(number)
                    if any(target.feeds for target in targets):
                        feeding.append(targets[0].stage)
                    for target in targets:
                        if target.feeds:
                            continue
                        rule, output, stage = target.place
                        found.append(((rule, output, class_place, stage), target, seen))
                if feeding and flow is not None:
                    self._feed_flow(flow, Occurrence(seen, origin), feeding)
            if flow is not None:
                time = event_class.time(inner)
                if time is not None:
                    flow.tick(time)
        if len(found) > 1:
            found = _distinct(found)
        matches = [
            (place[:2], match_of(t.rule, t.output, t.stage, seen, origin))
            for place, t, seen in found
        ]
        if flow is not None:
            arrived = self._arrived(flow)
            if arrived:
                matches = sorted([*matches, *arrived], key=lambda placed: placed[0])
        return self._counted([match for _, match in matches])

    def _feed_flow(self, flow: Flow, occurrence: Occurrence, stages: list[ir.Stage]) -> None:
        time = occurrence.view.time
        account = self.account
        if time is None:
            account.untimed += 1
            _name(account.untimed_origins, occurrence.origin)
        elif flow.is_late(time):
            account.late += 1
            _name(account.late_origins, occurrence.origin)
            return
        flow.feed(occurrence, stages)

    def _arrived(self, flow: Flow) -> list[tuple[tuple[int, ...], Match]]:
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
    def held(self) -> tuple[int, int]:
        """What the session holds for joins and groups: rows, and their estimated bytes."""
        return (0, 0) if self._flow is None else (self._flow.memory.rows, self._flow.memory.bytes)

    @property
    def diagnostics(self) -> tuple[Diagnostic, ...]:
        """What there is to say of events that could not take part as they should (CE540 to CE542)."""
        account = self.account
        found: list[Diagnostic] = []
        if account.late:
            message = f"{counted(account.late, 'event')} came later than allowed and took no part in joins and groups"
            found.append(_about(codes.LATE_EVENTS, message, account.late_origins, account.late))
        if account.untimed:
            message = (
                f"without a time: {counted(account.untimed, 'event')} that a join or a group wanted"
            )
            found.append(
                _about(codes.UNTIMED_EVENTS, message, account.untimed_origins, account.untimed)
            )
        flow = self._flow
        if flow is not None and flow.dropped:
            parts = [f"{counted(n, 'row')} of {what}" for what, n in sorted(flow.dropped.items())]
            message = f"dropped {counted(flow.dropped.total(), 'row')}: memory for joins and groups was full"
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
        account = self.account
        state = {
            "carengine": FORMAT,
            "fingerprint": self.engine.fingerprint,
            "options": asdict(self.options),
            "account": {
                **{name: getattr(account, name) for name in _COUNTED},
                "kinds": kinds_as_data(account.kinds),
            },
            "attached": self.attached,
            "events": writer.events,
            "flow": flow,
        }
        write_state(path, state)

    def _load(self, state: Mapping[str, Any]) -> None:
        account = state["account"]
        for name in _COUNTED:
            kind = type(getattr(self.account, name))
            setattr(self.account, name, kind(account[name]))
        self.account.kinds = kinds_from_data(account["kinds"])
        self.attached = dict(state["attached"])
        if self._flow is not None:
            self._flow.load(state["flow"], Reader(state["events"]))


_COUNTED = (
    "events",
    "unrecognised",
    "claimed_twice",
    "recognised",
    "matches",
    "late",
    "untimed",
    "late_origins",
    "untimed_origins",
)


def _about(code: Code, message: str, origins: list[str], number: int) -> Diagnostic:
    more = f" and {number - len(origins):,} more" if origins and number > len(origins) else ""
    return Diagnostic(code, message, notes=(", ".join(origins) + more,) if origins else ())


def _name(origins: list[str], origin: Origin | None) -> None:
    if origin is not None and len(origins) < _NAMED:
        origins.append(f"{origin.source}:{origin.record}")
