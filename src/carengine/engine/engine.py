"""The engine: all rules of a run, compiled once, and the sessions that run them.

An ``Engine`` is immutable: it holds rules, field maps and the matcher made of both, can be pickled
and shared between threads. Whatever changes while events go by lives in a ``Session``. One event
takes this way through it::

    event ── unwrap ──▶ which maps recognise it ──▶ which entries it fits (event classes)
          ──▶ which stages of that class hold ──▶ a Match for each output that the stage belongs to
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import gc_control, ir
from ..datamodel import declare_text, declared_objects
from ..diagnostics import CarError, Diagnostic, codes, counted
from ..fieldmap import (
    FieldMap,
    Lowered,
    MapChoice,
    Sensor,
    lower_for,
    maps_for,
    merged_kinds,
)
from ..rule import Rule, RuleSet
from . import compiled
from .classes import ClassGroup, Classified, EventClass
from .match import Match
from .matcher import (
    AtomTruths,
    ClassMatcher,
    Leaf,
    Memory,
    Route,
    Router,
    Split,
    opaque_paths,
    paths_in,
    replaced,
    split_by,
    where_present,
)
from .observer import Observer
from .prefilter import LearnedStore
from .rule_faults import LeftOut
from .saved_session import (
    fingerprint,
)
from .session import Session
from .session_loading import load_session
from .streams import Stream, StreamOptions, prepare, stages_of
from .streams.updating import digest_of
from .targets import Gap, StageUse, Target, searched_kinds

if TYPE_CHECKING:
    from .tables import MatchTable

_NAMED_RULES = 20
_NEVER = (ir.Truth(False), ir.Truth(None))


class Engine:
    """Rules compiled for field maps.

    ``rules`` is a `RuleSet` or any iterable of rules; ``fieldmap`` is what `find_maps` takes:
    ``"auto"``, a name, a path, a map, or several. The order of either makes no difference: rules
    are sorted by id, maps by name. Raises `CarError` when a map is not right.

    A map that has nothing of what the rules search for is asked only about events that no other map
    recognises.

    ``not_runnable`` tells the outputs that no map in use could ever make match, ``gaps`` for each
    map what it lacks. An ``observer`` looks on at everything that is done; see `report.Profile`.

    >>> import carengine
    >>> rule = carengine.parse_rule('a = search Process:Create where exe = "x.exe" output a')
    >>> engine = Engine([rule])
    >>> [m.output for m in engine.run([{"object": "process", "action": "create", "exe": "X.EXE"}])]
    ['a']
    """

    def __init__(
        self,
        rules: RuleSet | Iterable[Rule],
        fieldmap: MapChoice = "auto",
        *,
        observer: Observer | None = None,
    ) -> None:
        self.observer = observer
        self._choice = fieldmap
        self.rules: tuple[Rule, ...] = tuple(sorted(rules, key=lambda rule: rule.id))
        self.maps: tuple[FieldMap, ...] = tuple(
            sorted(
                maps_for(fieldmap, searched_kinds(self.rules)),
                key=lambda one: one.name,
            )
        )
        self.left_out = LeftOut()
        """The rules of which something could not be made ready, by a fault of the program."""
        self._targets: list[list[Target]] = []
        # By the identity of the plan, which the rules keep: comparing plans is comparing trees.
        self._plan_stages: dict[int, tuple[ir.Stage, ...]] = {}
        self.streams: tuple[Stream, ...] = ()
        self._stages = self._collect()
        self._aims = tuple(map(StageUse.of, self._targets))
        self._by_kind: dict[ir.EventKind, list[int]] = {}
        for number, stage in enumerate(self._stages):
            for kind in dict.fromkeys(stage.kinds):
                self._by_kind.setdefault(kind, []).append(number)
        self.memory = Memory()
        self.learned = LearnedStore()
        """What sessions have learned about the events: it makes the next one fast, and changes
        nothing it finds."""
        self._classes = tuple(
            tuple(EventClass(fieldmap, entry) for entry in fieldmap.entries)
            for fieldmap in self.maps
        )
        # Stages in the terms of a class, once an event of that class or a question asks.
        self._lowered: dict[EventClass, tuple[tuple[int, Lowered], ...]] = {}
        # The router asks for classes at once where there is nothing to decide.
        self._groups: dict[tuple[tuple[tuple[int, int], ...], frozenset[ir.Value]], ClassGroup] = {}
        self._timed = bool(self.streams)
        self._begin_routing()

    def _begin_routing(self) -> None:
        self._router = Router(self.maps, self._first_of, self._split, self._behind())
        self.classify: Callable[[Mapping[str, Any]], Classified] = self._router.route
        """What an (unwrapped) event is."""
        self.leaf: Callable[[Mapping[str, Any]], Leaf[Classified]] = self._router.leaf
        """The leaf of the tree of questions that an (unwrapped) event comes to."""
        self.find: Callable[[Mapping[str, Any]], Leaf[Classified] | None] = self._router.find
        """The same of a part of an event, if such events were there before."""

    def need_times(self) -> None:
        """From now on a session asks for the time of every event. What was learned of events so far
        is learned anew, where nobody did before."""
        if not self._timed:
            self._timed = True
            self.learned = LearnedStore()
            self._begin_routing()

    @cached_property
    def merged_kinds(self) -> Mapping[ir.EventKind, int]:
        """The kinds of events of which several sensors tell, through these field maps, each with how
        far apart their records may be, in microseconds."""
        sensors: dict[ir.EventKind, list[Sensor]] = {}
        for fieldmap in self.maps:
            for entry in fieldmap.entries:
                if entry.sensor is not None:
                    for kind in entry.kinds:
                        sensors.setdefault(kind, []).append(entry.sensor)
        return merged_kinds(sensors)

    def __reduce__(self) -> tuple[Any, ...]:
        # The matcher is made of closures; it is compiled afresh where the engine is unpickled.
        return _unpickled, (self.rules, self.maps, declared_objects())

    def save(self, path: str | Path) -> None:
        """Write the engine to a file, for `load`. Raises `CarError` (CE550) when that fails."""
        compiled.write(path, RuleSet(self.rules), self.maps)

    def dump(self) -> bytes:
        """What `save` writes, as bytes, for `load` on another machine."""
        return compiled.text_of(RuleSet(self.rules), self.maps).encode("ascii")

    @classmethod
    def load(cls, path: str | Path | bytes) -> Engine:
        """The engine that `save` wrote to a file, or `dump` to bytes, in a fraction of the time
        that reading its rules takes.

        The file is plain data: loading runs no code from it, and checks it. Raises `CarError`
        (CE550) for a file that is damaged, or was written by another version.
        """
        with gc_control.paused():
            if isinstance(path, bytes):
                rules, maps = compiled.parse(path, "<engine>")
            else:
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
                try:
                    stages: Iterable[ir.Stage] | None = ir.as_stages(output.plan)
                    feeds = stages is None
                    if stages is not None:
                        self._plan_stages[id(output.plan)] = tuple(stages)
                    if stages is None:
                        plan = prepare(output.plan, prepared)
                        stages = stages_of(plan)
                        streams.append(Stream(rule, output.name, (rule_place, output_place), plan))
                except Exception as error:
                    self.left_out.note([rule], "the compiling", error)
                    continue
                for stage_place, stage in enumerate(dict.fromkeys(stages)):
                    number = numbers.setdefault(stage, len(numbers))
                    if number == len(self._targets):
                        self._targets.append([])
                    place = (rule_place, output_place, stage_place)
                    self._targets[number].append(Target(rule, output.name, stage, place, feeds))
        self.streams = tuple(streams)
        return list(numbers)

    def lowered(self, event_class: EventClass) -> tuple[tuple[int, Lowered], ...]:
        """The stages that events of a class may pass, by their numbers, in the class's own
        terms."""
        lowered = self._lowered.get(event_class)
        if lowered is None:
            fieldmap, entry = event_class.fieldmap, event_class.entry
            made = []
            for number in self._numbers_of(entry.kinds):
                try:
                    made.append((number, lower_for(self._stages[number], fieldmap, entry)))
                except Exception as error:
                    what = f"the rewriting for {event_class.name}"
                    self.left_out.note(self.rules_of(number), what, error)
            lowered = self._lowered[event_class] = tuple(made)
        return lowered

    def stages_of(self, plan: ir.Plan) -> tuple[ir.Stage, ...] | None:
        """`ir.as_stages` of a plan, looked up where it is an output's of the engine's rules."""
        known = self._plan_stages.get(id(plan))
        return ir.as_stages(plan) if known is None else known

    def rules_of(self, number: int) -> list[Rule]:
        """The rules that a stage, by its number, belongs to."""
        return [target.rule for target in self._targets[number]]

    def _numbers_of(self, kinds: tuple[ir.EventKind, ...]) -> Iterable[int]:
        if len(kinds) == 1:
            return self._by_kind.get(kinds[0], ())
        return sorted({number for kind in kinds for number in self._by_kind.get(kind, ())})

    @cached_property
    def gaps(self) -> tuple[Gap, ...]:
        """What each map lacks for the rules, in the order of maps and rules."""
        gaps: list[Gap] = []
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
            gaps += [
                Gap(target.rule, target.output, lowered.fieldmap, kind, lowered.missing)
                for number, kinds in sorted(lacking.items(), key=lambda item: item[0])
                for kind, lowered in kinds.items()
                if (number, kind) not in met
                for target in self._targets[number]
            ]
        return tuple(gaps)

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
        for _, parts in sorted(outputs.items()):
            _, target = parts[0]
            # Of a rule that a fault befell nothing is known.
            if any(number in possible for number, _ in parts) or target.rule in self.left_out:
                continue
            kinds = {kind: None for number, _ in parts for kind in self._stages[number].kinds}
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

    def hunt_table(
        self,
        table: Any,
        options: StreamOptions | None = None,
        *,
        json: str = "",
        source: str = "table",
        partition: bool = False,
    ) -> MatchTable:
        """The matches of all rules on the rows of a table, which are a table too.

        ``table`` is a table of pyarrow, polars, pandas or DuckDB, or whatever else has the Arrow
        PyCapsule stream (``__arrow_c_stream__``), or an iterable of such tables, read one after the
        other. A row is an event, its columns the fields; what Arrow's types become is in
        `carengine.engine.tables`. Where ``json`` names a column, or the only column holds text, each
        row is an event in JSON. ``source`` is what matches call the table; their records are rows,
        from 1. ``partition`` is as for `session`.

        Needs ``pyarrow`` (``carengine[arrow]``). Raises `TypeError` for what is no table and
        ``ValueError`` for two columns of one name or a ``json`` that names none. Rows of JSON that
        cannot be read are in the result's ``diagnostics`` (CE502).

        >>> import carengine, pyarrow
        >>> rule = carengine.parse_rule('a = search Process:Create where exe = "x.exe" output a')
        >>> rows = [{"object": "process", "action": "create", "exe": e} for e in ("x.exe", "y.exe")]
        >>> matches = Engine([rule]).hunt_table(pyarrow.Table.from_pylist(rows))
        >>> len(matches), matches[0].events[0].origin, matches.to_arrow().num_rows
        (1, Origin(source='table', record=1), 1)
        """
        from .tables import MatchTable, TableRows, feed_table

        session = self.session(options, partition=partition)
        account = TableRows(source)
        matches = [*feed_table(session, table, account, json), *session.flush()]
        return MatchTable(tuple(matches), session, account)

    def partial(
        self,
        events: Iterable[Mapping[str, Any]],
        options: StreamOptions | None = None,
        *,
        source: str = "",
        first: int = 1,
    ) -> bytes:
        """What a part of the events gives, for `merge`: on another machine, later, with other
        parts.

        Single events are decided here. What joins, groups and windows need of the events goes
        along, so that the merge finds matches that span the parts. ``source`` is what matches call
        the part, ``first`` the number of its first event. The bytes are plain data (JSON), of this
        version, these rules and maps; see `carengine.engine.partial`.

        Raises what `Session.feed` raises, and `CarError` (CE543) where an event is no plain data.
        """
        from .partial import write_partial

        return write_partial(self, events, options, source, first)

    def merge(self, partials: Iterable[bytes], session: Session | None = None) -> Iterator[Match]:
        """The matches of what `partial` gave for all parts, with those that only the end decides.

        They are those of one session that was fed the parts in this order; in another order they
        are the same matches, as long as no lateness is told and memory is not full. An engine of
        the same rules and field maps is needed. The account is that of ``session``, a new one of
        this engine, where it is handed over.

        Raises `CarError` (CE543) for a part that is damaged, of another version, or made with other
        rules, field maps or options.

        >>> import carengine
        >>> rule = carengine.parse_rule('''
        ... a = search Process:Create where exe = "x.exe"
        ... g = group a by hostname within 1 minute
        ... m = filter g where count(*) > 1
        ... output m''')
        >>> engine = Engine([rule])
        >>> event = {"object": "process", "action": "create", "exe": "x.exe", "hostname": "h"}
        >>> parts = [engine.partial([{**event, "time": f"2024-05-20T09:00:0{n}Z"}]) for n in (1, 2)]
        >>> [len(match.events) for match in engine.merge(parts)]
        [2]
        """
        from .partial import merge_partials

        return merge_partials(self, partials, session)

    def session(self, options: StreamOptions | None = None, *, partition: bool = False) -> Session:
        """A new session, with an empty memory and an empty account.

        ``options`` say how it treats time and memory; the default is for finished data in any
        order. ``partition`` says that the session is fed one part of the data only: it raises
        `CarError` (CE556) where rules look at several events, since what spans the parts would be
        missed, and what is absent from a part only would be reported; and ``ValueError`` where
        ``options`` ask for records to be merged.
        """
        if partition and self.streams:
            raise CarError([self._of_partition()])
        if partition and options is not None and options.merge:
            raise ValueError(
                "records of one happening may be in several parts: merge with partial() and merge()"
            )
        return Session(self, options)

    def _of_partition(self) -> Diagnostic:
        rules = list(dict.fromkeys(stream.rule.id for stream in self.streams))
        look = "looks" if len(rules) == 1 else "look"
        message = (
            f"{counted(len(rules), 'rule')} of this engine {look} at several events, and the "
            "session is fed a part of the data only: matches would be lost and invented"
        )
        note = "use partial() for each part and merge() for all, or leave these rules out"
        named = rules[:_NAMED_RULES]
        more = [f"and {len(rules) - len(named):,} more"] if len(rules) > len(named) else []
        return Diagnostic(codes.PARTITION, message, notes=(*named, *more, note))

    def load_session(
        self,
        path: str | Path | bytes,
        options: StreamOptions | None = None,
        *,
        update: bool = False,
    ) -> Session:
        """The session that `Session.save` wrote to a file, or `Session.dump` to bytes, to go on
        with.

        With ``options``, the file must have been written with the same lateness, horizon and
        reference time. With ``update`` it may have been written with other rules: what rules hold
        that mean the same goes on, and `Session.updated` says what was dropped; of a state of an
        earlier version that does not say which rule held what, all that was held is dropped. Raises
        `CarError` (CE543) for a file made with other rules, field maps or options, and for a
        damaged one.
        """
        return load_session(self, path, options, update)

    @cached_property
    def fingerprint(self) -> str:
        """A text that tells engines of other rules or field maps apart."""
        return fingerprint(self.rules, self.maps)

    @cached_property
    def rule_digests(self) -> dict[str, str]:
        """For each rule, by its id, a text that is equal for rules that mean the same."""
        return {rule.id: digest_of(rule.program) for rule in self.rules}

    def with_rules(self, rules: Iterable[Rule] | Engine) -> Engine:
        """An engine of other rules for the same field maps, or the one that is handed over."""
        if isinstance(rules, Engine):
            return rules
        return Engine(rules, self._choice, observer=self.observer)

    def _behind(self) -> frozenset[int]:
        """The numbers of the maps that have nothing of what the rules search."""
        searched = searched_kinds(self.rules)
        return frozenset(
            number
            for number, fieldmap in enumerate(self.maps)
            if searched.isdisjoint(fieldmap.by_kind)
        )

    def _split(self, route: Route, asked: frozenset[tuple[str, ...]]) -> Split | None:
        try:
            conditions = [
                where_present(stage.condition, route.present)
                for number, place in route.entries
                for _, stage in self.lowered(self._classes[number][place])
                if stage.possible
            ]
            return split_by(conditions, asked)
        except Exception:
            # A split changes what matching costs only; what is wrong shows when it is compiled.
            return None

    def _first_of(self, route: Route, outcomes: AtomTruths) -> Classified:
        maps = tuple(self.maps[number] for number in route.maps)
        classes = tuple(self._classes[number][place] for number, place in route.entries)
        groups = []
        first = 0
        for number in route.maps:
            entries = tuple(entry for entry in route.entries if entry[0] == number)
            group = self._grouped(entries, route.present, outcomes)
            if group.stages:
                groups.append((first, group))
            first += len(entries)
        times: list[ir.Value] = []
        if self._timed:
            # Every event moves the clock of joins and groups, also one that no rule looks at.
            time_values = [one.entry.value(ir.Field("time", None, ir.Type.TIME)) for one in classes]
            times = [time for time in time_values if time is not None]
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
        outcomes: AtomTruths,
    ) -> ClassGroup:
        """The stages of some entries of a map, with what is known of values and atoms put into
        them."""
        group = None if outcomes else self._groups.get((entries, present))
        if group is None:
            stages = []
            for class_place, (number, place) in enumerate(entries):
                event_class = self._classes[number][place]
                for stage, lowered in self.lowered(event_class):
                    try:
                        condition = where_present(lowered.condition, present)
                        if outcomes:
                            condition = ir.simplify(replaced(condition, outcomes))
                    except Exception as error:
                        self.left_out.note(self.rules_of(stage), "the compiling", error)
                        continue
                    if lowered.possible and condition not in _NEVER:
                        stages.append((class_place, event_class, stage, condition))
            placed = tuple((place, owner, stage) for place, owner, stage, _ in stages)
            observer = None if self.observer is None else self.observer.matcher(placed)
            matcher = ClassMatcher(
                ((place, condition) for place, (*_, condition) in enumerate(stages)),
                self.memory,
                observer,
                lambda place, error: self.left_out.note(
                    self.rules_of(placed[place][2]), "the compiling", error
                ),
            )
            match = matcher.match if observer is None else observer.matching(matcher.match)
            group = ClassGroup(matcher, placed, match)
            if not outcomes:
                self._groups[entries, present] = group
        return group

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

    @property
    def questions(self) -> Leaf[Classified] | None:
        """The tree of questions as far as it has grown; None before the first event."""
        return self._router.root

    def stage(self, number: int) -> tuple[ir.Stage, StageUse]:
        """A stage by its number, and what it is for."""
        return self._stages[number], self._aims[number]


def _unpickled(rules: tuple[Rule, ...], maps: tuple[FieldMap, ...], declared: str) -> Engine:
    """The engine of another process, which knew what was declared beside CAR's objects."""
    if declared:
        declare_text(declared, "<declared objects>")
    return Engine(rules, maps)
