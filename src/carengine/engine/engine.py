"""The engine: all rules of a run, compiled once, and the sessions that run them.

An ``Engine`` is immutable: it holds rules, field maps and the matcher made of both, can be pickled and
shared between threads. Whatever changes while events go by lives in a ``Session``. One event
takes this way through it::

    event ── unwrap ──▶ which maps recognise it ──▶ which entries it fits (event classes)
          ──▶ which stages of that class hold ──▶ a Match for each output that the stage belongs to
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from attrs import field, frozen

from .. import ir
from ..diagnostics import Diagnostic, codes
from ..fieldmap import (
    CarEvent,
    Entry,
    FieldMap,
    Lowered,
    MapChoice,
    find_maps,
    lower,
    unwrap,
    useful,
    view,
)
from ..rule import Rule, RuleSet
from .interpreter import match_of
from .match import Match, Origin
from .matcher import ClassMatcher, EventClasses


@frozen
class _Target:
    """An output that a stage belongs to, and its place among all stages of all rules' outputs."""

    rule: Rule
    output: str
    stage: ir.Stage
    place: tuple[int, int, int]


@frozen(eq=False)
class EventClass:
    """One entry of one field map, with the stages that its events may pass."""

    fieldmap: FieldMap
    entry: Entry
    matcher: ClassMatcher = field(repr=False)

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
            sorted(useful(find_maps(fieldmap), _searched(self.rules)), key=lambda found: found.name)
        )
        self.claiming = frozenset(found.name for found in self.maps if found.kinds())
        self._targets: list[list[_Target]] = []
        self._possible: set[int] = set()
        self.unsupported: tuple[Diagnostic, ...] = ()
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
        """All distinct stages; what each is for goes to ``_targets``."""
        numbers: dict[ir.Stage, int] = {}
        unsupported: list[Diagnostic] = []
        for rule_place, rule in enumerate(self.rules):
            for output_place, output in enumerate(rule.program.outputs):
                stages = ir.as_stages(output.plan)
                if stages is None:
                    unsupported.append(
                        Diagnostic(
                            codes.NO_STATE_YET,
                            f"the output {output.name} of {rule.id} needs more than one event at a time",
                            output.span,
                            origin=rule.path,
                        )
                    )
                    continue
                for stage_place, stage in enumerate(dict.fromkeys(stages)):
                    number = numbers.setdefault(stage, len(numbers))
                    if number == len(self._targets):
                        self._targets.append([])
                    place = (rule_place, output_place, stage_place)
                    self._targets[number].append(_Target(rule, output.name, stage, place))
        self.unsupported = tuple(unsupported)
        return list(numbers)

    def _shape(self, fieldmap: FieldMap, stages: list[ir.Stage], gaps: list[Gap]) -> _Shape:
        by_entry: dict[int, list[tuple[int, Lowered]]] = {}
        places = {id(entry): place for place, entry in enumerate(fieldmap.entries)}
        for number, stage in enumerate(stages):
            for lowered in lower(stage, fieldmap):
                by_entry.setdefault(places[id(lowered.entry)], []).append((number, lowered))
                if lowered.possible:
                    self._possible.add(number)
                if not lowered.possible and lowered.missing:
                    gaps += [
                        Gap(t.rule, t.output, fieldmap, lowered.entry.kind, lowered.missing)
                        for t in self._targets[number]
                    ]
        entries = tuple(
            EventClass(fieldmap, entry, ClassMatcher(by_entry.get(place, ())))
            for place, entry in enumerate(fieldmap.entries)
        )
        return _Shape(fieldmap, EventClasses(fieldmap), entries)

    def _not_runnable(self, stages: list[ir.Stage]) -> Iterator[Diagnostic]:
        """A warning for each output none of whose stages could be true of any event of these maps."""
        outputs: dict[tuple[int, int], list[tuple[int, _Target]]] = {}
        for number, targets in enumerate(self._targets):
            for target in targets:
                outputs.setdefault(target.place[:2], []).append((number, target))
        known = {kind for fieldmap in self.maps for kind in fieldmap.by_kind}
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

    def run(self, events: Iterable[Mapping[str, Any]]) -> Iterator[Match]:
        """The matches of all rules on events, in order; at the end, what only the end decides."""
        session = self.session()
        for event in events:
            yield from session.feed(event)
        yield from session.flush()

    def session(self) -> Session:
        """A new session, with an empty memory and an empty account."""
        return Session(self)

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


def _searched(rules: Iterable[Rule]) -> frozenset[ir.EventKind]:
    """The kinds of events that rules read."""
    plans = [output.plan for rule in rules for output in rule.program.outputs]
    return frozenset(kind for plan in plans for kind in ir.searched(plan))


class Account:
    """What went through a session.

    ``events`` is how many were fed; ``recognised`` counts them by field map, ``kinds`` by map and CAR kind (an
    event may be several), ``unrecognised`` those that no map claims. ``claimed_twice`` counts events
    that two maps claim. ``matches`` counts by rule id.
    """

    def __init__(self) -> None:
        self.events = 0
        self.unrecognised = 0
        self.claimed_twice = 0
        self.recognised: Counter[str] = Counter()
        self.kinds: Counter[tuple[str, ir.EventKind]] = Counter()
        self.matches: Counter[str] = Counter()

    @property
    def shaped(self) -> int:
        """How many events had a known shape."""
        return self.events - self.unrecognised


class Session:
    """One run of an engine over a stream of events: its state and its account.

    Not to be shared between threads; an engine can have many sessions at once.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.account = Account()

    def feed(self, event: Mapping[str, Any], origin: Origin | None = None) -> list[Match]:
        """The matches that an event completes, in the order of the rules, outputs, maps and entries."""
        account = self.account
        account.events += 1
        inner = unwrap(event)
        maps, classes = self.engine.classify(inner)
        if not maps:
            account.unrecognised += 1
            return []
        for fieldmap in maps:
            account.recognised[fieldmap.name] += 1
        if len(maps) > 1 and sum(found.name in self.engine.claiming for found in maps) > 1:
            account.claimed_twice += 1
        found: list[tuple[tuple[int, ...], _Target, CarEvent]] = []
        for class_place, event_class in enumerate(classes):
            account.kinds[event_class.fieldmap.name, event_class.entry.kind] += 1
            numbers = event_class.matcher.match(inner, event)
            if numbers:
                seen = view(event, inner, event_class.entry)
                for number in numbers:
                    for target in self.engine.targets(number):
                        rule, output, stage = target.place
                        found.append(((rule, output, class_place, stage), target, seen))
        if len(found) > 1:
            found = _distinct(found)
        matches = [match_of(t.rule, t.output, t.stage, seen, origin) for _, t, seen in found]
        for match in matches:
            account.matches[match.rule.id] += 1
        return matches

    def flush(self) -> list[Match]:
        """The matches that only the end of the data decides."""
        return []
