"""Events to test a rule with: some that it finds, and some that it only just does not.

``samples`` makes them from the rule's own conditions and writes them in the shape of a log, so that
a pipeline, a SIEM or a converted rule can be tested from end to end::

    exe = "reg.exe" and command_line = "*save*" and not user = "*backup*"

    match 1      all of it
    near miss 1  exe is something else, and the rest holds
    near miss 2  command_line has no "save"
    near miss 3  user has "backup"

Of alternatives (``or``) there is a match for each. Of a rule about several events at once a match
is the fewest events that it finds, and a near miss a list that fails one condition, key, count or
bound alone; where time is bounded, the last event at the bound and a second beyond it.

Every sample was run: the engine, with the field map of the shape, finds the matches and nothing in
the near misses. The same rule, map and seed give the same samples.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from attrs import evolve, field, frozen

from .. import ir
from ..diagnostics import CarError
from ..engine import Engine, passes
from ..evaluate import NoContext, RawRow, holds
from ..fieldmap import FieldMap, MapChoice, find_maps, installed_maps, view
from ..ir import Goal, Wish
from ..ir_text import condition_text
from ..rule import Rule
from ..solver.texts import Budget
from ..values import format_time, time_of
from .counterexamples import finding_list, loosened, search
from .event_kinds import Event, is_native, kind_of
from .event_pool import durations_of, names_read
from .inverses import Path
from .kind_conditions import by_kind, conjuncts, place_of
from .kind_facts import KindFacts, shortest
from .logs import GivenFields
from .shaping import in_shape, leaves
from .typical import Surroundings, completed
from .witness import Judge

_STEPS = 200_000
_START = 1_714_557_600_000_000
_SECOND = 1_000_000
_PREFERRED = ("sysmon.flat", "eventlog.flat", "windows.flat")
_MOST_BRANCHES = 16
_MOST_LISTS = 12


@frozen
class Sample:
    """Events that a rule finds (``match``), or only just does not.

    ``events`` are in the shape that ``fieldmap`` reads; several maps are joined by ``+``.
    ``reason`` says what makes a near miss one: the condition that fails, in the language of rules.
    """

    name: str
    match: bool
    events: tuple[Mapping[str, Any], ...] = field(hash=False)
    fieldmap: str
    reason: str = ""

    def as_json(self) -> dict[str, Any]:
        """The sample as plain data.

        >>> Sample("match 1", True, ({"a": "b"},), "car").as_json()["match"]
        True
        """
        made: dict[str, Any] = {
            "name": self.name,
            "match": self.match,
            "fieldmap": self.fieldmap,
            "events": [dict(event) for event in self.events],
        }
        if self.reason:
            made["reason"] = self.reason
        return made


@frozen
class RuleSamples:
    """The samples of a rule; ``missing`` says what there is none of, and why."""

    rule: str
    samples: tuple[Sample, ...]
    missing: tuple[str, ...] = ()

    @property
    def matches(self) -> tuple[Sample, ...]:
        """The samples that the rule finds."""
        return tuple(one for one in self.samples if one.match)

    @property
    def near_misses(self) -> tuple[Sample, ...]:
        """The samples that the rule only just does not find."""
        return tuple(one for one in self.samples if not one.match)

    def as_json(self) -> dict[str, Any]:
        """The samples as plain data.

        >>> RuleSamples("x", (), ("no event",)).as_json()
        {'id': 'x', 'samples': [], 'missing': ['no event']}
        """
        return {
            "id": self.rule,
            "samples": [one.as_json() for one in self.samples],
            "missing": list(self.missing),
        }


@frozen
class _Draft:
    """A sample in the names of the rule; of a near miss of one event ``rest`` is what holds."""

    match: bool
    events: tuple[Event, ...]
    reason: str = ""
    rest: ir.Condition | None = None


def samples(
    rule: Rule,
    maps: MapChoice = "auto",
    *,
    matches: int = 5,
    near_misses: int = 20,
    seed: int = 0,
    steps: int = _STEPS,
) -> RuleSamples:
    """Samples of a rule in the shape that a field map reads.

    ``maps`` is what `find_maps` takes; of several maps each sample is written for the first that it
    can be written for, Sysmon's own shape before the others. ``matches`` and ``near_misses`` are
    the most of each. ``seed`` chooses hosts and times where the rule does not. ``steps`` bounds the
    work for each sample. Raises `CarError` for an unknown field map.

    >>> import carengine
    >>> rule = carengine.parse_rule('a = search Process:Create where exe = "reg.exe" output a')
    >>> made = samples(rule, "car")
    >>> [(one.name, one.reason) for one in made.samples]
    [('match 1', ''), ('near miss 1', 'not exe = "reg.exe"')]
    """
    shapes = sorted(find_maps(maps), key=lambda one: (_place(one.name), one.name))
    chance = random.Random(seed)  # noqa: S311 - the same values every time, and no secret
    plans = [output.plan for output in rule.program.outputs]
    writer = _Writer(rule, shapes, chance, names_read(plans))
    made: list[Sample] = []
    missing: list[str] = []
    for match, most, name in ((True, matches, "match"), (False, near_misses, "near miss")):
        drafts = _drafts(rule, steps, match=match)
        count = drafted = 0
        seen: set[str] = set()
        for draft in drafts:
            if count >= most:
                break
            drafted += 1
            written = writer.written(draft)
            if written is None or repr(written) in seen:
                continue
            seen.add(repr(written))
            count += 1
            events, fieldmap = written
            made.append(Sample(f"{name} {count}", match, events, fieldmap, draft.reason))
        if not count and most:
            missing.append(_why(rule, shapes, name, drafted))
    return RuleSamples(rule.id, tuple(made), tuple(missing))


def _place(name: str) -> int:
    return _PREFERRED.index(name) if name in _PREFERRED else len(_PREFERRED)


def _why(rule: Rule, shapes: Sequence[FieldMap], name: str, drafted: int) -> str:
    if not drafted:
        return f"no {name}: no events were thought of that the conditions ask for"
    kinds = {kind for output in rule.program.outputs for kind in ir.searched(output.plan)}
    if not any(kind in one.by_kind for one in shapes for kind in kinds):
        asked = ", ".join(sorted(map(str, kinds))[:3])
        having = [m.name for m in installed_maps() if any(kind in m.by_kind for kind in kinds)]
        having.sort(key=lambda one: (one != "car", _place(one), one))
        told = f"; {having[0]} does" if having else ""
        return f"no {name}: no field map that was asked for has {asked}{told}"
    return f"no {name}: of {drafted:,} none could be written so that the engine confirms it"


# In the names of the rule


def _drafts(rule: Rule, steps: int, *, match: bool) -> Iterator[_Draft]:
    single = by_kind(rule.program, keyed=True)
    if single is None:
        yield from _lists(rule, steps, match=match)
        return
    for kind, condition in single.items():
        of = KindFacts(kind, GivenFields(frozenset()))
        for literals in _branches(condition):
            wishes: list[Wish] = [(one, Goal.TRUE) for one in literals]
            matching = shortest(wishes, of, of.judge(condition, None, ()), Budget(steps))
            if match:
                if matching is not None:
                    yield _Draft(True, (matching,))
                continue
            for place, failing in enumerate(literals):
                rest = ir.conjunction((*literals[:place], *literals[place + 1 :]))
                judge = of.judge(rest, condition, ())
                event = _failing(failing, rest, judge, of, steps)
                if event is not None and matching is not None:
                    event = _closest(event, matching, failing, judge)
                if event is not None:
                    yield _Draft(False, (event,), _denied(failing), rest)


def _closest(event: Event, matching: Event, failing: ir.Condition, judge: Judge) -> Event:
    """The event that matches with another value for what fails, where that is enough."""
    names = {one.name for one in ir.fields_of(failing)}
    changed = {name: event[name] for name in names if name in event}
    made = {**{name: value for name, value in matching.items() if name not in names}, **changed}
    return made if judge(made) else event


def _denied(condition: ir.Condition) -> str:
    """What holds where a condition does not."""
    if isinstance(condition, ir.Not):
        return _text(condition.item)
    return f"not {_text(condition)}"


def _text(condition: ir.Condition) -> str:
    """A condition as the rule has it, or in the language of rules."""
    span = place_of(condition)
    written = "" if span is None else " ".join(span.text.split())
    return written if written and len(written) <= 100 else condition_text(condition, most=3)


def _failing(
    failing: ir.Condition, rest: ir.Condition, judge: Judge, of: KindFacts, steps: int
) -> Event | None:
    """An event for which one condition fails alone: rather by another value than by none."""
    for goal in (Goal.FALSE, Goal.NOT_TRUE):
        wishes: list[Wish] = [(rest, Goal.TRUE), (failing, goal)]
        event = shortest(wishes, of, judge, Budget(steps))
        if event is not None:
            return event
    return None


def _branches(condition: ir.Condition) -> list[tuple[ir.Condition, ...]]:
    """Ways in which a condition can hold, each as conditions that have to hold together: one for
    each alternative, the other alternatives as in the first."""
    match condition:
        case ir.And(items):
            each = [_branches(item) for item in items]
            first = tuple(one for branch in each for one in branch[0])
            made = [first]
            for place, alternatives in enumerate(each):
                head = [one for branch in each[:place] for one in branch[0]]
                tail = [one for branch in each[place + 1 :] for one in branch[0]]
                made += [(*head, *other, *tail) for other in alternatives[1:]]
            return made[:_MOST_BRANCHES]
        case ir.Or(items):
            return [branch for item in items for branch in _branches(item)][:_MOST_BRANCHES]
        case _:
            return [conjuncts(condition)]


# Several events


def _lists(rule: Rule, steps: int, *, match: bool) -> Iterator[_Draft]:
    program = rule.program
    events = finding_list(program, steps)
    found = [] if events is None else [events]
    if match:
        for events in found:
            yield _Draft(True, events)
            yield from (_Draft(True, last) for last in _at_bounds(events, program, match=True))
        return
    for events in found:
        for last in _at_bounds(events, program, match=False):
            yield _Draft(False, last, "the last event is too late")
        yield _Draft(False, _one_more(events), f"one event more than {len(events)}")
        for place in range(len(events) if len(events) > 1 else 0):
            fewer = (*events[:place], *events[place + 1 :])
            yield _Draft(False, fewer, f"event {place + 1} of {len(events)} is missing")
    for number, output in enumerate(program.outputs):
        for count, (part, span, plan) in enumerate(loosened(output.plan)):
            if count >= _MOST_LISTS:
                break
            text = "" if span is None else " ".join(span.text.split())
            text = condition_text(part) if part is not None else text
            looser = ir.Program((ir.Output(output.name, plan),))
            own = ir.Program((program.outputs[number],))
            for one in search(looser, own, steps, most=1, keyed=True).only_first[:1]:
                yield _Draft(False, one.events, f"not {text}" if text else "")


def _at_bounds(
    events: tuple[Event, ...], program: ir.Program, *, match: bool
) -> Iterator[tuple[Event, ...]]:
    """The list with its last event at a distance of each of the program's durations, and a second
    less or more: the engine says which of them are still found."""
    if len(events) < 2:
        return
    first = time_of(events[0].get("time"))
    if first is None:
        return
    for duration in durations_of(program):
        for at in (duration, duration - _SECOND if match else duration + _SECOND):
            if at > 0:
                yield (*events[:-1], {**events[-1], "time": format_time(first + at)})


def _one_more(events: tuple[Event, ...]) -> tuple[Event, ...]:
    """The list with its last event once more, a second later."""
    at = time_of(events[-1].get("time"))
    if at is None:
        return (*events, events[-1])
    return (*events, {**events[-1], "time": format_time(at + _SECOND)})


# In the shape of a log


@frozen
class _Writer:
    """What writes the drafts of a rule in the shapes of logs, and has the engine confirm them."""

    rule: Rule
    shapes: Sequence[FieldMap]
    chance: random.Random
    names: frozenset[str]
    engines: dict[tuple[str, ...], Engine | None] = field(factory=dict)

    def written(self, draft: _Draft) -> tuple[tuple[Mapping[str, Any], ...], str] | None:
        """A draft in the first shape in which the engine says of it what it should."""
        chance = self.chance
        host = f"ws{chance.randrange(1, 100):02}"
        offset = chance.randrange(0, 86_400) * _SECOND if chance.random() else 0
        for filled in (True, False):
            events = [
                _filled(event, host, _START + offset + place * _SECOND) if filled else event
                for place, event in enumerate(draft.events)
            ]
            for choice in _shape_choices(events, self.shapes):
                for written in self._with_surroundings(choice, events, host, filled=filled):
                    if self._is_as_it_should_be(written, choice.maps, draft):
                        names = "+".join(sorted({one.name for one in choice.maps}))
                        return tuple(written), names
        return None

    def _with_surroundings(
        self, choice: _ShapeChoice, events: Sequence[Event], host: str, *, filled: bool
    ) -> Iterator[Sequence[Mapping[str, Any]]]:
        """The events with all that their log usually writes, with what the rule does not read, and
        as they are."""
        if filled:
            kinds = map(kind_of, events)
            read = list(map(self._paths_read, choice.maps, kinds))
            for untouched in ([frozenset[Path]()] * len(read), read):
                yield [
                    completed(
                        raw,
                        fieldmap,
                        Surroundings(f"{host}.example.com", place, time_of(event["time"]) or 0),
                        paths,
                    )
                    for place, (raw, fieldmap, event, paths) in enumerate(
                        zip(choice.events, choice.maps, events, untouched, strict=True)
                    )
                ]
        yield choice.events

    def _paths_read(self, fieldmap: FieldMap, kind: ir.EventKind) -> frozenset[Path]:
        """The raw fields that the rule reads of events of a kind."""
        entries = [fieldmap.entries[place] for place in fieldmap.by_kind.get(kind, ())]
        values = [entry.value(ir.Field(name)) for entry in entries for name in self.names]
        return frozenset(path for v in values if v is not None for path, _ in leaves(v))

    def _is_as_it_should_be(
        self,
        written: Sequence[Mapping[str, Any]],
        maps: Sequence[FieldMap],
        draft: _Draft,
    ) -> bool:
        engine = self._engine(maps)
        if engine is None:
            return False
        try:
            found = next(iter(engine.run(written)), None)
        except CarError:
            return False
        if (found is not None) is not draft.match:
            return False
        if draft.match:
            return True
        # What no map reads would be no near miss, and what fails two conditions neither.
        return all(
            one.recognises(event) and (draft.rest is None or _holds(draft, event, one))
            for event, one in zip(written, maps, strict=True)
        )

    def _engine(self, maps: Sequence[FieldMap]) -> Engine | None:
        """The engine for some maps; None where the rule cannot be run with them."""
        several = {one.name: one for one in maps}
        names = tuple(sorted(several))
        if names not in self.engines:
            try:
                self.engines[names] = Engine([self.rule], list(several.values()))
            except CarError:
                self.engines[names] = None
        return self.engines[names]


def _holds(draft: _Draft, event: Mapping[str, Any], fieldmap: FieldMap) -> bool:
    """Whether an event passes all of a near miss's conditions but the one that fails."""
    kind = kind_of(draft.events[0])
    stage = ir.Stage((kind,), ir.Truth(True) if draft.rest is None else draft.rest)
    row = RawRow(event)
    return any(
        holds(entry.when, row, NoContext()) is True and passes(stage, evolve(seen, kind=kind))
        for entry in (fieldmap.entries[place] for place in fieldmap.by_kind.get(kind, ()))
        if (seen := view(event, event, entry)) is not None
    )


@frozen
class _ShapeChoice:
    """Events written in the shape of a log, each with the map that reads it."""

    maps: tuple[FieldMap, ...]
    events: tuple[Mapping[str, Any], ...]


def _shape_choices(events: Sequence[Event], shapes: Sequence[FieldMap]) -> Iterator[_ShapeChoice]:
    """The events written for one map, for each that can; for several maps where none can all."""
    alone = False
    for fieldmap in shapes:
        if not all(kind_of(event) in fieldmap.by_kind for event in events):
            continue
        each = [list(in_shape(event, fieldmap)) for event in events]
        if all(each):
            alone = True
            for number in range(min(max(map(len, each)), 4)):
                same = tuple(ways[min(number, len(ways) - 1)] for ways in each)
                yield _ShapeChoice((fieldmap,) * len(events), same)
    if alone or len(events) < 2:
        return
    maps: list[FieldMap] = []
    written: list[Mapping[str, Any]] = []
    for event in events:
        ways = ((one, way) for one in shapes for way in in_shape(event, one))
        found = next(ways, None)
        if found is None:
            return
        maps.append(found[0])
        written.append(found[1])
    yield _ShapeChoice(tuple(maps), tuple(written))


def _filled(event: Event, host: str, at: int) -> Event:
    """The event with a time and a host, where it has none."""
    made = dict(event)
    kind = kind_of(event)
    made.setdefault("time", format_time(at))
    if not is_native(kind):
        made.setdefault("hostname", host)
    elif kind.object == "windows":
        made.setdefault("Computer", f"{host}.example.com")
    return made
