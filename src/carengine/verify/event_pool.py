"""Small lists of events that programs which look at several events may find something in.

An `EventPool` makes events that pass the programs' filters, or just do not; gives them equal and
unequal keys, and missing ones too; puts them as far apart in time as the programs' own durations,
and a little more or less; and takes as many as their counts speak of. The lists are the same ones
every time.
"""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from attrs import frozen

from .. import ir
from ..datamodel import model
from ..fieldmap import CarEvent
from ..ir import Goal, Wish
from ..solver.texts import Budget
from ..values import format_time, number_of, time_of
from .event_kinds import Event, fixed_names, is_native, kind_of, views_of
from .kind_facts import KindFacts, is_consistent, shortest
from .logs import GivenFields, Logs
from .witness import laid

_LISTS = 400
# How many lists next to one are tried.
_NEIGHBOURS = 150
_LONGEST = 30
# Rows that plans may make of one list, and of all lists together.
_MOST_ROWS = 5_000
_MOST_WORK = 600_000
_MAX_TEMPLATES = 24
_MAX_TOGETHER = 4
_MOST_ORDERS = 24
_GOALS: tuple[Goal, ...] = (Goal.TRUE, Goal.NOT_TRUE)
_START = 1_714_550_400_000_000
_SECOND = 1_000_000
_TEXTS = ("a", "b")
_ADDRESSES = ("10.0.0.1", "10.0.0.2")
_NUMBERS = (1, 2)


def rows_of_plan(plan: ir.Plan, events: int) -> int:
    """How many rows a plan and those below it look at, at most, of so many events."""
    match plan:
        case ir.Search():
            return events
        case ir.Join(branches):
            each = [rows_of_plan(branch.plan, events) for branch in branches]
            return sum(each) + min(math.prod(each), _MOST_WORK)
        case _:
            # Every other plan looks at each row of what it is made of once.
            inner = (*ir.plans_below(plan), *ir.plans_beside(plan))
            return sum(rows_of_plan(part, events) for part in inner)


def views_in(events: Sequence[Event]) -> tuple[list[CarEvent], dict[int, int]]:
    """The events as they are read, and the place of each by the identity of what was read."""
    views: list[CarEvent] = []
    places: dict[int, int] = {}
    for place, event in enumerate(events):
        for view in views_of(event, kind_of(event)):
            views.append(view)
            places[id(view.raw)] = place
    return views, places


def within_reach(lists: Iterator[list[Event]], plans: Sequence[ir.Plan]) -> Iterator[list[Event]]:
    """The lists until looking at them is too much work."""
    work = 0
    for events in lists:
        work += sum(rows_of_plan(plan, len(events)) for plan in plans)
        if work > _MOST_WORK:
            return
        yield events


@frozen
class EventPool:
    """What lists of events are made of.

    ``templates`` are events, ``values`` what fields are set to in them, ``distances`` how far apart
    in time they are, ``lengths`` how long lists are. ``paths`` are the fields that the programs
    read of which others are the last parts. ``chains`` are events that pass the leaves of each
    plan, in the order in which it names these.
    """

    plans: tuple[ir.Plan, ...]
    chains: tuple[tuple[Event, ...], ...]
    templates: tuple[Event, ...]
    paths: frozenset[str]
    logs: Logs | None
    values: Mapping[str, tuple[Any, ...]]
    distances: tuple[int, ...]
    lengths: tuple[int, ...]

    @classmethod
    def of(cls, plans: Sequence[Sequence[ir.Plan]], budget: Budget, logs: Logs | None) -> EventPool:
        """The pool for two programs' plans."""
        whole = [plan for several in plans for plan in several]
        values = _varied(whole)
        distances: dict[int, None] = dict.fromkeys((0, _SECOND))
        lengths: dict[int, None] = dict.fromkeys((1, 2, 3, 4))
        for number in sorted(_durations(whole)):
            distances.update(dict.fromkeys((number - _SECOND, number, number + _SECOND)))
        for number in sorted(_counts(whole)):
            lengths.update(dict.fromkeys((number - 1, number, number + 1, number + 2)))
        paths = names_read(whole)
        templates = tuple(_whole(event, paths) for event in _templates(plans, budget, logs))
        chains = tuple(
            tuple(_whole(event, paths) for event in _chain(plan, budget, logs)) for plan in whole
        )
        return cls(
            tuple(whole),
            chains,
            templates,
            paths,
            logs,
            values,
            tuple(d for d in distances if d >= 0),
            tuple(
                length
                for length in lengths
                if 1 <= length <= _LONGEST
                and (length == 1 or sum(rows_of_plan(plan, length) for plan in whole) <= _MOST_ROWS)
            ),
        )

    def lists(self) -> Iterator[list[Event]]:
        """Lists of events, short ones among the first."""
        if not self.templates:
            return
        chance = random.Random(0)  # noqa: S311 - the same lists every time, and no secret
        for number in range(_LISTS):
            length = self.lengths[min(number // 8, len(self.lengths) - 1)]
            if number >= 8 * len(self.lengths):
                length = chance.choice(self.lengths)
            alike = chance.random() < 0.5
            few = chance.sample(self.templates, min(2 if alike else 4, len(self.templates)))
            made = []
            at = _START
            close = chance.choice((True, False))
            for _ in range(length):
                event = self._event(chance.choice(few), alike, chance)
                at += chance.choice(self.distances[:2] if close else self.distances)
                event["time"] = format_time(at)
                made.append(event)
            if can_be(made, self.logs):
                yield made

    def orderly(self) -> Iterator[list[Event]]:
        """Lists that the likeliest programs find something in: one event of each kind with the same
        keys, in every order; many of one kind, alike or each with another value."""
        distances = tuple(dict.fromkeys((*self.distances, *(d // 2 for d in self.distances))))
        for chain in self.chains:
            alike = [self._alike(event) for event in chain]
            if len(alike) > 1:
                for distance in distances:
                    yield self._timed(alike, distance)
                    yield self._timed(alike[::-1], distance)
                for name in self.values:
                    # What is compared may have to differ.
                    told = [
                        self._with(event, name, n) if _holds(event, name) else event
                        for n, event in enumerate(alike)
                    ]
                    for distance in distances[:3]:
                        yield self._timed(told, distance)
        whole = [self._alike(template) for template in self.templates]
        ways: Iterator[Sequence[Event]] = itertools.permutations(whole)
        for order in itertools.islice(ways, _MOST_ORDERS if len(whole) > 1 else 0):
            # Half of a bound is within it, whether the bound itself is or not.
            for distance in dict.fromkeys((*self.distances, *(d // 2 for d in self.distances))):
                yield self._timed(order, distance)
        for template in whole:
            for length in sorted(self.lengths):
                yield self._timed([template] * length, _SECOND)
                for name in self.values:
                    if _holds(template, name):
                        several = [self._with(template, name, n) for n in range(length)]
                        yield self._timed(several, _SECOND)

    def neighbours(self, base: Sequence[Event], chance: random.Random) -> Iterator[list[Event]]:
        """Lists that differ from one in one thing: a value, an event, a distance in time."""
        made = list(self._near(base))
        for events in chance.sample(made, min(len(made), _NEIGHBOURS)):
            if can_be(events, self.logs):
                yield events

    def _near(self, base: Sequence[Event]) -> Iterator[list[Event]]:
        at = [_time_of(event) for event in base]
        gaps = [0, *(b - a for a, b in itertools.pairwise(at))]

        def dated(events: Sequence[Event], apart: Sequence[int]) -> list[Event]:
            times = itertools.accumulate(apart, initial=_START)
            next(times)
            return [
                {**event, "time": format_time(time)}
                for event, time in zip(events, times, strict=True)
            ]

        for place, event in enumerate(base):
            before, after = base[:place], base[place + 1 :]
            if before or after:
                yield [*before, *after]
            for name, values in self.values.items():
                for value in values[:4] if _holds(event, name) else ():
                    if value != _value_in(event, name):
                        yield [*before, self._with_value(event, name, value), *after]
                        # Once more with another value, and as it was.
                        other = self._with_value(event, name, value)
                        more = (*base[: place + 1], other, *after)
                        yield dated(more, (*gaps[: place + 1], _SECOND, *gaps[place + 1 :]))
                if name in event and name not in fixed_names(event):
                    yield [*before, {k: v for k, v in event.items() if k != name}, *after]
            for distance in self.distances:
                if place:
                    yield dated(base, (*gaps[:place], distance, *gaps[place + 1 :]))
                more = (*base, event)
                yield dated(more, (*gaps, distance))
            for template in self.templates:
                changed = self._alike(template)
                same = {name: event[name] for name in self.values if name in event}
                put = {**changed, **{k: v for k, v in same.items() if k in changed}}
                yield dated((*before, put, *after), gaps)
                yield dated((*base, put), (*gaps, _SECOND))
        for name, values in self.values.items():
            # Of events that belong together all have another value.
            for value in values[:6]:
                together = [
                    self._with_value(event, name, value) if _holds(event, name) else event
                    for event in base
                ]
                if together != list(base):
                    yield together
        for distance in self.distances:
            yield self._timed(base, distance)

    def _with_value(self, event: Event, name: str, value: Any) -> Event:
        made = _holding(event, name, value)
        _put_together(made, name, kind_of(made))
        return made

    def _timed(self, events: Sequence[Event], distance: int) -> list[Event]:
        return [
            {**event, "time": format_time(_START + place * distance)}
            for place, event in enumerate(events)
        ]

    def _with(self, template: Event, name: str, number: int) -> Event:
        """The event with a value of its own."""
        old = _value_in(template, name)
        if isinstance(old, int):
            event = _holding(template, name, number)
        elif old in _ADDRESSES:
            event = _holding(template, name, f"10.0.1.{number}")
        else:
            event = _holding(template, name, f"{old}{number}")
        _put_together(event, name, kind_of(event))
        return event

    def _alike(self, template: Event) -> Event:
        """The event with the first of the values of each field that it can have."""
        event = dict(template)
        kind = kind_of(event)
        for name, values in self.values.items():
            if not _holds(event, name) and _can_hold(kind, name):
                event = _holding(event, name, values[0])
                _put_together(event, name, kind)
        return _whole(event, self.paths)

    def _event(self, template: Event, alike: bool, chance: random.Random) -> Event:
        event = dict(template)
        kind = kind_of(event)
        for name, values in self.values.items():
            if not _can_hold(kind, name) or (_holds(template, name) and chance.random() < 0.7):
                continue
            if chance.random() < 0.05:
                event.pop(name, None)
            elif alike and chance.random() < 0.8:
                event = _holding(event, name, values[0])
            else:
                event = _holding(event, name, chance.choice(values))
            _put_together(event, name, kind)
        return _whole(event, self.paths)


def _can_hold(kind: ir.EventKind, name: str) -> bool:
    spec = model().object(kind.object)
    return is_native(kind) or (spec is not None and spec.field(name) is not None)


_PROTOCOL = "proto_info"


def _value_in(event: Event, name: str) -> Any:
    outer, dot, inner = name.partition(".")
    if dot and outer == _PROTOCOL:
        below = event.get(outer)
        return below.get(inner) if isinstance(below, dict) else None
    return event.get(name)


def _holds(event: Event, name: str) -> bool:
    return _value_in(event, name) is not None


def _holding(event: Event, name: str, value: Any) -> Event:
    """The event with a value, in what it says of its protocol where the name says so."""
    outer, dot, inner = name.partition(".")
    if dot and outer == _PROTOCOL:
        below = event.get(outer)
        return {**event, outer: {**(below if isinstance(below, dict) else {}), inner: value}}
    return {**event, name: value}


def _time_of(event: Event) -> int:
    time = time_of(event.get("time"))
    return _START if time is None else time


def _put_together(event: Event, changed: str, kind: ir.EventKind) -> None:
    """Makes paths and their last parts agree again, after one of them was changed."""
    for base, path in _base_names(kind.object).items():
        if changed not in (base, path) or base not in event or path not in event:
            continue
        folder = event[path] if changed == path else "C:"
        event[path] = f"{folder}\\{event[base]}"


def _whole(event: Event, paths: frozenset[str]) -> Event:
    """The event with the paths of its base names, where the programs read these."""
    made = dict(event)
    for base, path in _base_names(kind_of(event).object).items():
        if path in paths and path not in made and isinstance(made.get(base), str):
            made[path] = f"C:\\{made.pop(base)}"
    return made


def _base_names(object_: str) -> dict[str, str]:
    """The base names of an object's events, each with the field that holds its path."""
    spec = model().object(object_)
    if spec is None:
        return {}
    return {n: found.base_name_of for n, found in spec.fields.items() if found.base_name_of}


def names_read(plans: Sequence[ir.Plan]) -> frozenset[str]:
    """The names that plans read anywhere."""
    leaves = [stage.condition for plan in plans for stage in _leaves(plan)]
    read = {found.name for condition in leaves for found in ir.fields_of(condition)}
    return frozenset(read | {v.name for v in _all_values(plans) if isinstance(v, ir.Field)})


def can_be(events: Sequence[Event], logs: Logs | None) -> bool:
    """Whether there can be such events, in such logs."""
    for view in views_in(events)[0]:
        given = None if logs is None else logs.kinds.get(view.kind)
        if not is_consistent(view, {} if given is None else given.bases):
            return False
        if logs is not None and not logs.holds(view):
            return False
    return True


def _leaves(plan: ir.Plan) -> Iterator[ir.Stage]:
    """What the single events have to be like that a plan looks at."""
    stages = ir.as_stages(plan)
    if stages is not None:
        yield from stages
        return
    for inner in (*ir.plans_below(plan), *ir.plans_beside(plan)):
        yield from _leaves(inner)


def _chain(plan: ir.Plan, budget: Budget, logs: Logs | None) -> Iterator[Event]:
    """An event that passes each of a plan's leaves."""
    for stage in _leaves(plan):
        for kind in stage.kinds:
            given = GivenFields(frozenset()) if logs is None else logs.kinds.get(kind)
            if given is None:
                continue
            of = KindFacts(kind, given)
            judge = of.judge(stage.condition, None, ())
            wishes: list[Wish] = [(stage.condition, Goal.TRUE)]
            event = shortest(wishes, of, judge, Budget(budget.left // 16))
            if event is not None:
                yield event
                break


def _templates(
    plans: Sequence[Sequence[ir.Plan]], budget: Budget, logs: Logs | None
) -> Iterator[Event]:
    """Events that pass a filter of one program, those that fail one of the other's among them."""
    asked: dict[ir.EventKind, dict[ir.Condition, None]] = {}
    for several in plans:
        for plan in several:
            for stage in _leaves(plan):
                for kind in stage.kinds:
                    asked.setdefault(kind, {}).setdefault(stage.condition)
    known: list[Event] = []
    for kind, conditions in asked.items():
        given = GivenFields(frozenset()) if logs is None else logs.kinds.get(kind)
        if given is None:
            continue
        of = KindFacts(kind, given)
        for wishes in _wishes(tuple(conditions)):
            passing = tuple(condition for condition, goal in wishes if goal is Goal.TRUE)
            failing = ir.Or(tuple(condition for condition, goal in wishes if goal is not Goal.TRUE))
            judge = of.judge(ir.conjunction(passing), failing, ())
            event = shortest(wishes, of, judge, Budget(budget.left // 16))
            if event is not None and event not in known and len(known) < _MAX_TEMPLATES:
                known.append(event)
                yield event


def _wishes(conditions: tuple[ir.Condition, ...]) -> Iterator[list[Wish]]:
    """Which of several conditions an event may pass: each way of them where there are few, else
    those of two at a time."""
    if len(conditions) <= _MAX_TOGETHER:
        for goals in itertools.product(_GOALS, repeat=len(conditions)):
            if Goal.TRUE in goals:
                yield list(zip(conditions, goals, strict=True))
        return
    for one in conditions:
        yield [(one, Goal.TRUE)]
        for other in conditions:
            if other != one:
                yield [(one, Goal.TRUE), (other, Goal.NOT_TRUE)]


def _stateful(plans: Sequence[ir.Plan]) -> Iterator[ir.Plan]:
    """The plans and what they are built on, down to where single events decide."""
    for plan in plans:
        if ir.as_stages(plan) is None:
            yield plan
            yield from _stateful((*ir.plans_below(plan), *ir.plans_beside(plan)))


def _all_values(plans: Sequence[ir.Plan]) -> Iterator[ir.Value]:
    for plan in _stateful(plans):
        for value in ir.values_of_plan(plan):
            yield from ir.values_in(value)


def _atoms(plans: Sequence[ir.Plan]) -> Iterator[ir.Truth | ir.Atom]:
    for plan in _stateful(plans):
        yield from ir.atoms_of_plan(plan)


def _varied(plans: Sequence[ir.Plan]) -> dict[str, tuple[Any, ...]]:
    """The fields by which rows are put together or told apart, with values for them."""
    made: dict[str, dict[Any, None]] = {}
    # What a window computes is in no event.
    computed = {"time"}
    for plan in _stateful(plans):
        if isinstance(plan, ir.Window):
            computed.update(column.name for column in plan.columns)
    for value in _all_values(plans):
        if isinstance(value, ir.Field) and value.name not in computed:
            match value.type:
                case ir.Type.INTEGER | ir.Type.NUMBER:
                    first: Sequence[Any] = _NUMBERS
                case ir.Type.ADDRESS:
                    first = _ADDRESSES
                case _:
                    first = _TEXTS
            made.setdefault(value.name, dict.fromkeys(first))
    for plan in plans:
        for stage in _leaves(plan):
            for given, value in stage.assigned:
                # What a name stands for is what can be varied.
                of = ir.fields_in(value) if given in made else ()
                for read in of:
                    if read.name != given and read.name != "time":
                        made.setdefault(read.name, dict(made[given]))
    for atom in _atoms(plans):
        match atom:
            case ir.Compare(ir.Field(name), _, ir.Constant(constant)) if name in made:
                number = number_of(constant) if not isinstance(constant, bool) else None
                near = (constant,) if number is None else (number - 1, number, number + 1)
                made[name].update(dict.fromkeys(near))
            case ir.Match(ir.Field(name), patterns) if name in made:
                made[name].update(dict.fromkeys(laid((one,), "x") for one in patterns[:4]))
    return {name: tuple(values) for name, values in made.items()}


def durations_of(program: ir.Program) -> list[int]:
    """The durations that a program speaks of, in microseconds, the shortest first."""
    return sorted(_durations([output.plan for output in program.outputs]))


def _durations(plans: Sequence[ir.Plan]) -> set[int]:
    found = {v.microseconds for v in _all_values(plans) if isinstance(v, ir.Duration)}
    for plan in _stateful(plans):
        match plan:
            case ir.Group(_, _, int() as within):
                found.add(within)
            case ir.Window(span=span):
                found.add(span)
            case ir.Sequence(within=int() as within):
                found.add(within)
            case _:
                # No other plan has a duration of its own.
                continue
    return found


def _counts(plans: Sequence[ir.Plan]) -> set[int]:
    """Whole numbers that something is compared with that may count events."""
    return {
        value.value
        for value in _all_values(plans)
        if isinstance(value, ir.Constant)
        and isinstance(value.value, int)
        and not isinstance(value.value, bool)
        and 0 < value.value < _LONGEST
    }
