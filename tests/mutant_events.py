"""Events on which a rule and its mutants may differ, drawn by chance, and what the engine finds.

Nothing of this knows how comparing works: values are drawn that make the conditions of a rule or a
mutant true or not, as its atoms are written, and then changed in one place. So it can hold a proof
to account.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from attrs import evolve, frozen

from carengine import Engine, Rule, ir
from carengine.datamodel import model
from carengine.evaluate import test_value
from carengine.fieldmap import FieldMap, find_maps
from carengine.pattern import Any as AnyText
from carengine.pattern import One, tokenize
from carengine.regex import sample_texts
from carengine.values import format_time, repr_of
from carengine.verify.event_kinds import is_native, own_names_map

Event = dict[str, Any]
NUMBER = "zz_number"
_SECOND = 1_000_000
_START = 1_714_557_600 * _SECOND
_FILLINGS = ("", "", "x", "\\", "\\x\\", " ", "a.b", "/", "x x")
_PLAIN = ("x", "a", "1", "C:\\a\\b.exe", "10.0.0.1", "cmd.exe")


@frozen
class Finding:
    """What a rule finds on one list of events: the numbers of events, and its matches whole."""

    events: frozenset[int]
    matches: frozenset[str]


def map_of(rule: Rule) -> FieldMap:
    """The map that reads a rule's events under the names that the rule has for them."""
    kinds = tuple(sorted({k for o in rule.program.outputs for k in ir.searched(o.plan)}))
    if any(map(is_native, kinds)):
        return own_names_map(kinds)
    [car] = find_maps("car")
    return car


def findings(
    rules: Sequence[Rule], fieldmap: FieldMap, lists: Sequence[Sequence[Event]]
) -> list[list[Finding]]:
    """What each rule finds on each list, as the engine says: a row for each rule."""
    named = [evolve(rule, id=f"{number:04}") for number, rule in enumerate(rules)]
    engine = Engine(named, fieldmap)
    made: list[list[Finding]] = [[] for _ in rules]
    for events in lists:
        numbered = [{**event, NUMBER: number} for number, event in enumerate(events)]
        found: list[set[int]] = [set() for _ in rules]
        shown: list[set[str]] = [set() for _ in rules]
        for match in engine.run(numbered):
            rule = int(match.rule.id)
            places = sorted({event.event[NUMBER] for event in match.events})
            found[rule].update(places)
            # A column of a join's branch has the branch's name, which is no part of the meaning.
            columns = [(name.rpartition(".")[2], value) for name, value in match.columns.items()]
            shown[rule].add(f"{places} {repr_of(sorted(columns, key=repr_of))}")
        for rule, (events_found, matches) in enumerate(zip(found, shown, strict=True)):
            made[rule].append(Finding(frozenset(events_found), frozenset(matches)))
    return made


def lists_of(
    rules: Sequence[Rule], most: int, chance: random.Random, *, together: bool
) -> Iterator[list[Event]]:
    """Lists of events for rules of which the first is the rule and the others its mutants: of one
    event each, or several ``together``."""
    stages = [_stages(rule) for rule in rules]
    values = _field_values(rules)
    if not together:
        for number in range(most):
            several = stages[0] if number % 2 else chance.choice(stages)
            yield [event_of(chance.choice(several), values, chance, miss=number % 4 == 3)]
        return
    read = _read_together(rules)
    distances = _distances(rules)
    for number in range(most):
        several = stages[0] if number % 2 else chance.choice(stages)
        yield _several(several, values, read, distances, chance)


def _several(
    stages: Sequence[ir.Stage],
    values: Mapping[str, Sequence[Any]],
    read: Sequence[str],
    distances: Sequence[int],
    chance: random.Random,
) -> list[Event]:
    length = chance.choice((2, 2, 3, 4, 6, 9))
    first = [event_of(stage, values, chance, miss=False) for stage in stages]
    events = [chance.choice(first) for _ in range(length)]
    if len(first) <= length:
        events[: len(first)] = chance.sample(first, len(first))
    same = {name: chance.choice(values.get(name, _PLAIN)) for name in read}
    step = chance.choice((0, 1, chance.choice(distances)))
    at = _START
    made = []
    for number, event in enumerate(events):
        whole = dict(event)
        for name, value in same.items():
            draw = chance.random()
            spec = model().object(event.get("object", ""))
            if spec is not None and spec.field(name) is None:
                continue
            if draw < 0.65:
                whole.setdefault(name, value)
            elif draw < 0.9:
                whole.setdefault(name, f"{value}{number}" if isinstance(value, str) else number)
        at += chance.choice((step, step, chance.choice(distances)))
        whole["time"] = format_time(at)
        made.append(consistent(whole))
    return made


def event_of(
    stage: ir.Stage, values: Mapping[str, Sequence[Any]], chance: random.Random, *, miss: bool
) -> Event:
    """An event that a stage may let through, or may just not."""
    kind = chance.choice(stage.kinds)
    wanted: dict[str, list[tuple[ir.Atom, bool]]] = {}
    _want(stage.condition, True, chance, wanted)
    event: Event = {} if is_native(kind) else {"object": kind.object, "action": kind.action}
    for name, asked in wanted.items():
        value = _value(asked, values.get(name, _PLAIN), chance)
        if value is not None:
            _put(event, name, value)
    names = [name for name in wanted if name in event]
    if miss and names:
        name = chance.choice(names)
        match chance.randrange(4):
            case 0:
                del event[name]
            case 1:
                event[name] = chance.choice(values.get(name, _PLAIN))
            case 2 if isinstance(event[name], str):
                event[name] += "x"
            case _:
                event[name] = f"x{event[name]}"
    return consistent(event)


def _put(event: Event, name: str, value: Any) -> None:
    if name.startswith("proto_info."):
        event.setdefault("proto_info", {})[name.removeprefix("proto_info.")] = value
    else:
        event[name] = value


def consistent(event: Event) -> Event:
    """The event with paths and their last parts that agree."""
    spec = model().object(event.get("object", ""))
    for name, found in spec.fields.items() if spec is not None else ():
        path = found.base_name_of
        if path is None or name not in event or path not in event:
            continue
        text = str(event[path])
        last = text.replace("/", "\\").rpartition("\\")[2]
        if last and len(str(event[name])) % 2:
            event[name] = last
        elif last != event[name]:
            event[path] = f"C:\\Users\\{event[name]}"
    return {name: value for name, value in event.items() if value != ""}


def _want(
    condition: ir.Condition,
    goal: bool,
    chance: random.Random,
    wanted: dict[str, list[tuple[ir.Atom, bool]]],
) -> None:
    match condition:
        case ir.And(items) | ir.Or(items):
            every = isinstance(condition, ir.And) is goal
            for item in items if every else (chance.choice(items),):
                _want(item, goal, chance, wanted)
        case ir.Not(item):
            _want(item, not goal, chance, wanted)
        case ir.IsTrue(item):
            _want(item, goal, chance, wanted)
        case ir.Truth():
            return
        case _:
            atom: ir.Atom = condition
            for found in ir.fields_of(atom):
                wanted.setdefault(found.name, []).append((atom, goal))
            if isinstance(atom, ir.RawMatch | ir.RawRegex):
                wanted.setdefault("message", []).append((atom, goal))


def _value(
    asked: Sequence[tuple[ir.Atom, bool]], pool: Sequence[Any], chance: random.Random
) -> Any:
    """A value for which the atoms are what they should be, as far as one is drawn."""
    best, score = None, -1
    for _ in range(12):
        atom, goal = chance.choice(asked)
        made = chance.choice(pool)
        if goal and chance.random() < 0.85:
            made = chance.choice(tuple(_texts(atom, chance)) or pool)
            for other, also in asked:
                texts = tuple(_texts(other, chance)) if also and other != atom else ()
                if texts and chance.random() < 0.5:
                    made = f"{made}{chance.choice(_FILLINGS)}{chance.choice(texts)}"
        elif not goal and chance.random() < 0.3:
            made = None
        right = sum(_holds(other, made) is also for other, also in asked)
        if right > score:
            best, score = made, right
        if right == len(asked):
            break
    return best


def _holds(atom: ir.Atom, value: Any) -> bool | None:
    match atom:
        case ir.Match() | ir.Regex() | ir.InNetwork():
            return None if value is None else test_value(atom, value)
        case ir.IsNull():
            return value is None
        case _:
            return None


def _texts(atom: ir.Atom, chance: random.Random) -> Iterator[Any]:
    match atom:
        case ir.Match(_, patterns) | ir.RawMatch(patterns):
            if patterns:
                yield _laid(chance.choice(patterns).text, chance)
        case ir.Regex(_, pattern) | ir.RawRegex(pattern):
            yield from (f"{text}" for text in sample_texts(pattern)[:6])
        case ir.Compare(_, _, ir.Constant(value)) | ir.Compare(ir.Constant(value)):
            yield value
            if isinstance(value, int) and not isinstance(value, bool):
                yield from (value - 1, value + 1)
        case ir.InNetwork(_, networks):
            yield from (network.partition("/")[0] for network in networks[:5])
        case _:
            return


def _laid(pattern: str, chance: random.Random) -> str:
    made = ""
    for token in tokenize(pattern):
        match token:
            case AnyText():
                made += chance.choice(_FILLINGS)
            case One():
                made += "x"
            case str():
                made += token
    return made


def _stages(rule: Rule) -> list[ir.Stage]:
    made: dict[ir.Stage, None] = {}

    def go(plan: ir.Plan) -> None:
        stages = ir.as_stages(plan)
        if stages is not None:
            made.update(dict.fromkeys(stages))
            return
        for inner in (*ir.plans_below(plan), *ir.plans_beside(plan)):
            go(inner)

    for output in rule.program.outputs:
        go(output.plan)
    return list(made)


def _together(rules: Sequence[Rule]) -> Iterator[ir.Plan]:
    for rule in rules:
        for output in rule.program.outputs:
            for plan in ir.every_plan([output.plan]):
                if ir.as_stages(plan) is None:
                    yield plan


def _read_together(rules: Sequence[Rule]) -> list[str]:
    """The fields by which rows are put together."""
    found = {
        part.name
        for plan in _together(rules)
        for value in ir.values_of_plan(plan)
        for part in ir.fields_in(value)
    }
    return sorted(found - {"time"})


def _distances(rules: Sequence[Rule]) -> list[int]:
    found = {0, _SECOND}
    for plan in _together(rules):
        lengths = [
            part.microseconds
            for value in ir.values_of_plan(plan)
            for part in ir.values_in(value)
            if isinstance(part, ir.Duration)
        ]
        match plan:
            case ir.Group(within=int() as length) | ir.Sequence(within=int() as length):
                lengths.append(length)
            case ir.Window(span=length):
                lengths.append(length)
            case _:
                pass
        for length in lengths:
            found.update((length // 3, length // 2, length - 1, length, length + 1))
    return sorted(d for d in found if 0 <= d < 3 * 86_400 * _SECOND)


def _field_values(rules: Sequence[Rule]) -> dict[str, list[Any]]:
    """Values near those that the rules ask of each field."""
    chance = random.Random(0)
    made: dict[str, dict[Any, None]] = {}
    for rule in rules:
        for stage in _stages(rule):
            for atom in ir.atoms(stage.condition):
                if isinstance(atom, ir.Truth):
                    continue
                for found in ir.fields_of(atom):
                    several = made.setdefault(found.name, dict.fromkeys(("x",)))
                    if len(several) < 80:
                        several.update(dict.fromkeys(_texts(atom, chance)))
    return {name: list(values) for name, values in made.items()}
