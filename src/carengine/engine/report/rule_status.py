"""What became of each rule in a run: it matched, or why it did not.

A rule that does not match says nothing by itself: the attack was not there, or the events were not,
or a field that the rule reads is nowhere in this log. `rule_statuses` tells these apart, from what
the session counted and from a `FieldCoverage` of the events that went through it::

    CAR-2019-08-001  MATCHED
    CAR-2013-05-003  NO_SUCH_LOG     no log of this shape (sysmon.flat) has flow/message
    CAR-2021-12-001  FIELDS_UNMAPPED sysmon.flat gives no content for file/create
    CAR-2014-11-005  NO_EVENTS       no event is registry/add
    CAR-2020-09-001  FIELDS_EMPTY    user is empty in all 12 file/create of sysmon.flat
    CAR-2016-03-001  NOT_TRUE        the events were there, and the conditions were not true

Only shapes that the data really has count: a rule is *not runnable on this data* when none of them
could ever make it match. If no event was recognised at all, all field maps in use stand in.
"""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Iterable, Mapping
from functools import reduce
from typing import Any, assert_never

from attrs import evolve, frozen

from ... import ir
from ...datamodel import model
from ...diagnostics import fault
from ...fieldmap import Entry, FieldMap, Lowered, lower_for, may_be_decided, unwrap, view
from ...pyvalues import plain_event
from ...rule import Rule
from ..engine import Engine
from ..stats import SessionStats

FIRST_EVENTS = 256
RARE = 64
"""Of kinds with fewer events than this, each event is looked at."""
_STEP = 1024
_MOST_NAMES = 8


class Outcome(enum.IntEnum):
    """What became of a rule, the hopeless cases first.

    >>> Outcome.MATCHED.runnable
    True
    """

    NO_SUCH_LOG = 1
    FIELDS_UNMAPPED = 2
    NO_EVENTS = 3
    FIELDS_EMPTY = 4
    NOT_TRUE = 5
    MATCHED = 6

    @property
    def runnable(self) -> bool:
        """Whether data of these shapes could make the rule match."""
        return self > Outcome.FIELDS_UNMAPPED


@frozen
class RuleStatus:
    """What became of a rule, and a sentence why; rules with the same sentence belong together.

    ``partly`` names shapes and kinds of the data through which the rule could not match although
    through others it could, and says why outputs of it could not although others could: it was
    blind there.

    >>> import carengine
    >>> rule = carengine.parse_rule('a = search Process:Create where exe = "x.exe" output a')
    >>> engine = carengine.Engine([rule], "car")
    >>> session = engine.session()
    >>> [status] = carengine.rule_statuses(engine, session.stats)
    >>> status.outcome.runnable, status.rule is rule
    (True, True)
    """

    rule: Rule
    outcome: Outcome
    reason: str
    partly: tuple[str, ...] = ()


ObservedFields = list[tuple[str, str, str, list[str]]]
"""The fields that an event had as what it is: map, object, action, names; several where it is
several."""


class FieldCoverage:
    """Which fields the events of each kind really had, from a bounded look at some of them.

    `wants` says whether the next event should be looked at: the first few hundred, the first of
    each kind, and a few of all others. What is kept is the names of fields and how often each was
    there, never an event.

    A sample says how often a field is there; that it never is, it cannot say: the events with the
    field may be those that a rule wants. So of kinds with fewer than `RARE` events each event is
    looked at, and only of these it is said that a field is empty in all of them. ``every`` and
    ``present`` count these, also beyond the sample.

    >>> import carengine
    >>> rule = carengine.parse_rule('a = search Process:Create where exe = "x.exe" output a')
    >>> event = {"object": "process", "action": "create", "exe": "x.exe", "pid": 7}
    >>> engine = carengine.Engine([rule])
    >>> session, coverage = engine.session(), carengine.FieldCoverage(engine)
    >>> matches = session.feed(event)
    >>> if coverage.wants(session.stats):
    ...     coverage.observe(event)
    >>> [status.outcome.name for status in carengine.rule_statuses(engine, session.stats, coverage)]
    ['MATCHED']
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._classes = 0
        self.observed: Counter[tuple[str, ir.EventKind]] = Counter()
        self.fields: dict[tuple[str, ir.EventKind], Counter[str]] = {}
        self.every: Counter[tuple[str, ir.EventKind]] = Counter()
        self.present: dict[tuple[str, ir.EventKind], set[str]] = {}

    def wants(self, stats: SessionStats) -> bool:
        """Whether the event that was just fed belongs to the sample."""
        events = stats.events
        if len(stats.recent) == self._classes and events > FIRST_EVENTS and events % _STEP:
            return False
        self._classes = len(stats.recent)
        return True

    def observe(self, event: Mapping[str, Any], *, sampled: bool = True) -> None:
        """Note the fields that an event has."""
        self.add(self.observation_of(event), sampled=sampled)

    def observation_of(self, event: Mapping[str, Any]) -> ObservedFields:
        """The fields that an event has, for `add`; plain data."""
        event = plain_event(event)
        inner = unwrap(event)
        observed: ObservedFields = []
        for event_class in self._engine.classify(inner).classes:
            car_event = view(event, inner, event_class.entry)
            names = [*car_event.fields, *(("time",) if car_event.time is not None else ())]
            kind = event_class.entry.kind
            observed.append((event_class.fieldmap.name, kind.object, kind.action, names))
        return observed

    def add(self, observation: ObservedFields, *, sampled: bool = True) -> None:
        """Note what `observation_of` gave, here or in another process; each event once.

        What is not ``sampled`` was looked at because its kind was rare so far.
        """
        for name, object_, action, names in observation:
            key = name, ir.EventKind(object_, action)
            self.every[key] += 1
            self.present.setdefault(key, set()).update(names)
            if sampled:
                self.observed[key] += 1
                self.fields.setdefault(key, Counter()).update(names)

    def all_fields(self, key: tuple[str, ir.EventKind], events: int) -> set[str] | None:
        """The fields that any of all ``events`` of a kind had; None where not all were looked
        at."""
        return self.every_field(key, events) if events < RARE else None

    def every_field(self, key: tuple[str, ir.EventKind], events: int) -> set[str] | None:
        """The fields that any of all ``events`` of a kind had, however many they are; None where
        not all were given to `observe`.

        >>> import carengine
        >>> coverage = carengine.FieldCoverage(carengine.Engine([], "car"))
        >>> coverage.every_field(("car", ir.EventKind("process", "create")), 1) is None
        True
        """
        if not events or self.every[key] != events:
            return None
        return self.present[key]


@frozen
class _Reason:
    outcome: Outcome
    text: str
    partly: tuple[str, ...] = ()


def rule_statuses(
    engine: Engine, stats: SessionStats, coverage: FieldCoverage | None = None
) -> list[RuleStatus]:
    """What became of each rule of an engine, in the order of the rules.

    Without a ``coverage``, fields that are empty in all events are not told from conditions that
    are false.

    >>> import carengine
    >>> rule = carengine.parse_rule('a = search Process:Create where exe = "x.exe" output a')
    >>> engine = carengine.Engine([rule], "car")
    >>> [status.outcome.name for status in carengine.rule_statuses(engine, engine.session().stats)]
    ['NO_EVENTS']
    """
    analysis = _StatusAnalysis(engine, stats, coverage)
    return [_status(analysis, rule) for rule in engine.rules]


def kind_names(kinds: Iterable[ir.EventKind]) -> list[str]:
    """The names of kinds of events; a log source of any product by what it is alone.

    >>> kind_names([ir.EventKind("*", "webserver"), ir.EventKind("windows", "webserver")])
    ['webserver']
    >>> kind_names([ir.EventKind("aws", "cloudtrail")])
    ['aws/cloudtrail']
    """
    listed = list(kinds)
    everywhere = {kind.action for kind in listed if kind.object == "*"}
    names = (kind.action if kind.action in everywhere else str(kind) for kind in listed)
    return list(dict.fromkeys(names))


def events_wanted(rule: Rule) -> str:
    """The kinds of events that a rule searches, in a few words.

    >>> import carengine
    >>> events_wanted(carengine.parse_rule('a = search Flow:Message where exe = "x" output a'))
    'flow/message'
    """
    kinds = {kind for output in rule.program.outputs for kind in ir.searched(output.plan)}
    names = kind_names(sorted(kinds))
    return " + ".join(names[:2]) + (" + …" if len(names) > 2 else "")


def missing_source(rule: Rule) -> list[str]:
    """The log sources that a rule is for, as ``--logsource`` takes them; none where it is for CAR's
    objects."""
    kinds = {kind for output in rule.program.outputs for kind in ir.searched(output.plan)}
    sources = sorted(kind for kind in kinds if kind.object not in model().objects)
    return kind_names(sources)


def _status(analysis: _StatusAnalysis, rule: Rule) -> RuleStatus:
    try:
        return analysis.status(rule)
    except Exception as error:
        matched = analysis.stats.matches[rule.id] > 0
        outcome = Outcome.MATCHED if matched else Outcome.NOT_TRUE
        return RuleStatus(rule, outcome, fault("the search for the reason", error).message)


@frozen
class _Way:
    """A stage on events of one entry: the fields that it lacks there, and whether it can hold."""

    fieldmap: FieldMap
    entry: Entry
    missing: tuple[str, ...] = ()
    possible: bool = True

    @classmethod
    def of(cls, lowered: Lowered) -> _Way:
        return cls(lowered.fieldmap, lowered.entry, lowered.missing, lowered.possible)


class _StageReading:
    """What a stage asks of an entry, gathered once: most entries give all of it, and then nothing
    is missing, and nothing is decided before an event comes."""

    def __init__(
        self, stage: ir.Stage, given: dict[tuple[int, ir.Field | ir.Presence], bool]
    ) -> None:
        self.stage = stage
        # What entries give, by their identity: stages ask for the same fields again and again.
        self._given = given
        read: dict[ir.Field | ir.Presence, None] = {}

        def note(value: ir.Value) -> ir.Value:
            if isinstance(value, ir.Field) or (
                isinstance(value, ir.Presence) and isinstance(value.of, ir.Field)
            ):
                read.setdefault(value)
            return value

        ir.rewrite_condition(stage.condition, note)
        for _, value in stage.assigned:
            ir.rewrite_value(value, note)
        self._read = tuple(read)
        self._open = not may_be_decided(stage.condition)

    def way(self, fieldmap: FieldMap, entry: Entry) -> _Way:
        """The stage on events of an entry, which must be of one of its kinds."""
        if self._open and not entry.any_source and self._gives_all(entry):
            return _Way(fieldmap, entry)
        return _Way.of(lower_for(self.stage, fieldmap, entry))

    def _gives_all(self, entry: Entry) -> bool:
        for read in self._read:
            key = id(entry), read
            given = self._given.get(key)
            if given is None:
                given = self._given[key] = _gives(entry, read)
            if not given:
                return False
        return True

    def ways(self, fieldmap: FieldMap) -> list[_Way]:
        """The stage on events of each entry of a map that has one of its kinds."""
        by_kind = fieldmap.by_kind
        places = {place for kind in self.stage.kinds for place in by_kind.get(kind, ())}
        return [self.way(fieldmap, fieldmap.entries[place]) for place in sorted(places)]


def _gives(entry: Entry, read: ir.Field | ir.Presence) -> bool:
    """Whether an entry has a value for what is read, and one that events decide."""
    if isinstance(read, ir.Field):
        found = entry.value(read)
    else:
        assert isinstance(read.of, ir.Field)
        found = entry.presence(read.of)
    return found is not None and not isinstance(found, ir.Constant)


class _StatusAnalysis:
    def __init__(self, engine: Engine, stats: SessionStats, coverage: FieldCoverage | None) -> None:
        self._engine = engine
        self.stats = stats
        self.coverage = coverage
        observation_of = [m for m in engine.maps if stats.recognised[m.name]]
        self.maps = observation_of or list(engine.maps)
        self._known = frozenset(kind for one in engine.maps for kind in one.by_kind)
        self._kinds = stats.kinds
        # By the identity of the entry, which the engine keeps: comparing entries is comparing
        # trees.
        self._reduced: dict[int, FieldMap] = {}
        self._stages: dict[ir.Stage, _Reason] = {}
        self._given: dict[tuple[int, ir.Field | ir.Presence], bool] = {}

    def status(self, rule: Rule) -> RuleStatus:
        reasons = [self._plan(output.plan) for output in rule.program.outputs]
        # Where one output can match, the others that never could are told all the same.
        stuck = _merged(r.partly or (r.text,) for r in reasons if not r.outcome.runnable)
        if self.stats.matches[rule.id]:
            blind = _merged([*(r.partly for r in reasons), stuck])
            return RuleStatus(rule, Outcome.MATCHED, "", blind)
        if not reasons:
            return RuleStatus(rule, Outcome.NOT_TRUE, "the rule has no output")
        best = reduce(_better, reasons)
        partly = _merged([best.partly, stuck]) if best.outcome.runnable else best.partly
        return RuleStatus(rule, best.outcome, best.text, partly)

    def _plan(self, plan: ir.Plan) -> _Reason:
        """The most hopeful reason for a plan: a join is as hopeless as its worst branch."""
        stages = self._engine.stages_of(plan)
        if stages is not None:
            return reduce(_better, [self._stage(stage) for stage in stages])
        match plan:
            case ir.Join(branches):
                return reduce(_worse, [self._plan(branch.plan) for branch in branches])
            case ir.Sequence(steps):
                needed = [step for step in steps if not step.absent]
                return reduce(_worse, [self._plan(step.plan) for step in needed])
            case ir.Group(plans) | ir.Window(plans) | ir.Union(plans):
                return reduce(_better, [self._plan(part) for part in plans])
            case ir.Aggregated(group):
                return self._plan(group)
            case ir.Difference(left):
                return self._plan(left)
            case ir.Filter(inner) | ir.Assign(inner) | ir.Project(inner) | ir.Distinct(inner):
                return self._plan(inner)
            case ir.Search():
                raise AssertionError("a search is a stage")
            case _:
                assert_never(plan)

    def _stage(self, stage: ir.Stage) -> _Reason:
        reason = self._stages.get(stage)
        if reason is None:
            reason = self._stages[stage] = self._judge(stage)
        return reason

    def _judge(self, stage: ir.Stage) -> _Reason:
        kinds = _listed(kind_names(stage.kinds))
        reading = _StageReading(stage, self._given)
        ways = [(m, way) for m in self.maps for way in reading.ways(m)]
        if not ways:
            if self._known.isdisjoint(stage.kinds):
                return _Reason(Outcome.NO_SUCH_LOG, f'no map gives "{kinds}"')
            maps = _listed(m.name for m in self.maps)
            return _Reason(Outcome.NO_SUCH_LOG, f"logs of this shape ({maps}) have no {kinds}")
        open_ = [(m, x) for m, x in ways if x.possible]
        # Where one entry of a map gives what is needed, it does not matter that another of the same
        # kind lacks it.
        met = {(m.name, x.entry.kind) for m, x in open_}
        closed = [(m, x) for m, x in ways if (m.name, x.entry.kind) not in met]
        blind = tuple(dict.fromkeys(_unmapped(m, x) for m, x in closed if x.missing))
        present = [(m, x) for m, x in open_ if self._kinds[m.name, x.entry.kind]]
        partly = tuple(
            dict.fromkeys(
                _unmapped(m, x)
                for m, x in closed
                if x.missing and self._kinds[m.name, x.entry.kind]
            )
        )
        if not open_:
            if not blind:
                return _Reason(Outcome.NOT_TRUE, "the condition can never be true")
            return _Reason(Outcome.FIELDS_UNMAPPED, "; ".join(blind[:3]), partly)
        if not present:
            return _Reason(Outcome.NO_EVENTS, f"no event is {kinds}", partly)
        empty = [self._empty(reading, m, x) for m, x in present]
        if all(empty):
            return _Reason(
                Outcome.FIELDS_EMPTY, "; ".join([text for text in empty if text][:3]), partly
            )
        return _Reason(
            Outcome.NOT_TRUE, "the events were there, and the conditions were not true", partly
        )

    def _empty(self, reading: _StageReading, fieldmap: FieldMap, lowered: _Way) -> str:
        """That a field which the stage cannot do without was null in all events there were, or
        nothing."""
        key = fieldmap.name, lowered.entry.kind
        if self.coverage is None:
            return ""
        events = self._kinds[key]
        present = self.coverage.all_fields(key, events)
        if present is None:
            return ""
        reduced = self._reduced.get(id(lowered.entry))
        if reduced is None:
            reduced = with_only(present, fieldmap, lowered.entry)
            self._reduced[id(lowered.entry)] = reduced
        [entry] = reduced.entries
        again = reading.way(reduced, entry)
        if again.possible:
            return ""
        names = [name for name in again.missing if name not in lowered.missing]
        if not names:
            return ""
        where = "the one" if events == 1 else f"all {events:,}"
        return (
            f"{_listed(names, 'and')} {'is' if len(names) == 1 else 'are'} empty in {where} "
            f"{lowered.entry.kind} of {fieldmap.name}"
        )


def with_only(there: Iterable[str], fieldmap: FieldMap, entry: Entry) -> FieldMap:
    """A map of one entry, with those of its fields that are ``there``: the others are null."""
    # What is below a mapping, as `proto_info.pipe` is, is not looked into.
    kept = {n: v for n, v in entry.fields.items() if n in there or n == "proto_info"}
    native = entry.native
    if native is not None:
        if native.either:
            # What is there at `a.b` makes `a` a mapping that is there.
            heads = {n[:at] for n in there for at, c in enumerate(n) if c == "."}
            there = {*there, *heads}
        there_too = {n: v for n in there if (v := native.value(n)) is not None}
        constant = {n: v for n, v in native.names.items() if isinstance(v, ir.Constant)}
        native = evolve(native, prefix=None, names={**there_too, **constant})
    return evolve(fieldmap, entries=(evolve(entry, fields=kept, native=native),))


def _unmapped(fieldmap: FieldMap, lowered: _Way) -> str:
    return f"{fieldmap.name} gives no {_listed(lowered.missing)} for {lowered.entry.kind}"


def _better(a: _Reason, b: _Reason) -> _Reason:
    kept = a if a.outcome >= b.outcome else b
    return evolve(kept, partly=_merged([a.partly, b.partly]))


def _worse(a: _Reason, b: _Reason) -> _Reason:
    kept = a if a.outcome <= b.outcome else b
    return evolve(kept, partly=_merged([a.partly, b.partly]))


def _merged(parts: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(text for part in parts for text in part))


def _listed(names: Iterable[str], word: str = "or") -> str:
    distinct = list(dict.fromkeys(names))
    if len(distinct) > _MOST_NAMES:
        return ", ".join(distinct[:_MOST_NAMES]) + f" and {len(distinct) - _MOST_NAMES} more"
    return (
        f" {word} ".join([", ".join(distinct[:-1]), distinct[-1]])
        if len(distinct) > 1
        else "".join(distinct)
    )
