"""Programs that look at several events at a time, compared by looking for events on which they
differ.

What a join or a count finds cannot be decided by reasoning about one event. ``search`` makes small
lists of events out of what the two programs ask for: events that pass their filters, or just do
not; equal and unequal keys, missing ones too; times as far apart as the programs' own durations,
and a little more or less; as many events as their counts speak of. Both programs are run on each
list by the reference for finished data. A list on which one finds an event that the other does not
is made as small as it can be::

    count(*) > 2 by hostname    [process/create on a, process/create on a, process/create on a]
    count(*) > 3 by hostname    finds none of these

That finds differences and proves nothing. The lists are the same ones every time.
"""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, assert_never

from attrs import evolve, frozen

from .. import ir
from ..datamodel import model
from ..diagnostics import Span
from ..engine.streams import GroupRow, RecordRow, Relations, Row
from ..fieldmap import CarEvent
from ..ir import Goal, Wish
from ..solver.texts import Budget
from ..values import format_time, number_of, repr_of
from .event_kinds import Event, fixed_names, is_native, kind_of, views_of
from .kind_conditions import conjuncts, place_of, selection
from .kind_facts import KindFacts, is_consistent, shortest
from .logs import GivenFields, Logs
from .witness import laid

_LISTS = 400
_LONGEST = 30
# Rows that plans may make of one list, and of all lists together.
_MOST_ROWS = 5_000
_MOST_WORK = 600_000
_MAX_TEMPLATES = 24
# How many lists that tell programs apart are made smaller, for each direction.
_CLOSELY = 12
_MAX_TOGETHER = 4
_MOST_ORDERS = 24
_GOALS: tuple[Goal, ...] = (Goal.TRUE, Goal.NOT_TRUE)
_START = 1_714_550_400_000_000
_SECOND = 1_000_000
_TEXTS = ("a", "b")
_ADDRESSES = ("10.0.0.1", "10.0.0.2")
_NUMBERS = (1, 2)


@frozen
class ListDifference:
    """A list of events on which a program does not find what another one finds.

    ``missed`` is the place of such an event. ``condition`` is a condition of the program that does
    not find it, without which it would, and ``span`` where it stands. Without a condition, ``span``
    is where it groups rows, if it would find it in larger groups; None where there is no single
    thing.
    """

    events: tuple[Event, ...]
    missed: int
    condition: ir.Condition | None
    span: Span | None

    @property
    def kind(self) -> ir.EventKind:
        """The kind of the event that is not found."""
        return kind_of(self.events[self.missed])


@frozen
class ListSearchResult:
    """What looking for differences gave in each direction, one for each condition that is to blame,
    and how many lists were tried."""

    only_first: tuple[ListDifference, ...]
    only_second: tuple[ListDifference, ...]
    lists: int


def search(
    first: ir.Program,
    second: ir.Program,
    steps: int,
    logs: Logs | None = None,
    most: int | None = None,
    *,
    keyed: bool = False,
    shown: bool = False,
) -> ListSearchResult:
    """Looks for lists of events on which two programs find different ones, of such as ``logs`` can
    hold.

    Of the lists that tell the programs apart a few are looked at closely; after ``most``
    differences in a direction none. ``keyed`` is as `selection` has it. With ``shown`` it is the
    matches that are compared, with all that they show, and not the events in them.
    """
    plans = [
        tuple(
            output.plan if shown else selection(output.plan, keyed=keyed) for output in made.outputs
        )
        for made in (first, second)
    ]
    seen = _matches if shown else _found
    pool = _EventPool.of(plans, Budget(steps), logs)
    found: tuple[list[ListDifference], list[ListDifference]] = ([], [])
    looked_at = [0, 0]
    tried = work = 0
    for events in pool.lists():
        work += sum(_rows(plan, len(events)) for several in plans for plan in several)
        if work > _MOST_WORK:
            break
        tried += 1
        finds = [seen(each, events) for each in plans]
        for place, (mine, other) in enumerate((finds, finds[::-1])):
            enough = _CLOSELY if most is None else min(most, _CLOSELY)
            if mine - other and looked_at[place] < enough:
                looked_at[place] += 1
                found[place].append(_smallest(events, plans[place], plans[1 - place], logs, seen))
        if min(looked_at) >= (_CLOSELY if most is None else most):
            break
    return ListSearchResult(_told_apart(found[0]), _told_apart(found[1]), tried)


def finding_list(program: ir.Program, steps: int) -> tuple[Event, ...] | None:
    """A small list of events in which a program finds something; None where none was found, which
    proves nothing."""
    plans = [selection(output.plan, keyed=True) for output in program.outputs]
    pool = _EventPool.of((plans,), Budget(steps), None)
    work = 0
    for events in itertools.chain(pool.orderly(), pool.lists()):
        work += sum(_rows(plan, len(events)) for plan in plans)
        if work > _MOST_WORK:
            break
        if _found(plans, events):
            return _smallest(events, plans, (), None, _found).events
    return None


def _told_apart(found: list[ListDifference]) -> tuple[ListDifference, ...]:
    """The shortest list for each thing that is to blame; one for which nothing is to blame alone
    only if there is no other."""
    made: dict[tuple[ir.Condition | None, Span | None], ListDifference] = {}
    for one in sorted(found, key=lambda item: len(item.events)):
        made.setdefault((one.condition, one.span), one)
    clear = [one for (condition, span), one in made.items() if condition or span]
    return tuple(clear or list(made.values())[:1])


def _rows(plan: ir.Plan, events: int) -> int:
    """How many rows a plan and those below it look at, at most, of so many events."""
    match plan:
        case ir.Search():
            return events
        case ir.Join(branches):
            each = [_rows(branch.plan, events) for branch in branches]
            return sum(each) + min(math.prod(each), _MOST_WORK)
        case _:
            # Every other plan looks at each row of what it is made of once.
            inner = (*ir.plans_below(plan), *ir.plans_beside(plan))
            return sum(_rows(part, events) for part in inner)


# Running


Seen = tuple[tuple[int, ...], str]
"""What a program finds: the places of events, and what it shows of them."""
Observe = Callable[[Sequence[ir.Plan], Sequence[Event]], frozenset[Seen]]


def _views(events: Sequence[Event]) -> tuple[list[CarEvent], dict[int, int]]:
    """The events as they are read, and the place of each by the identity of what was read."""
    views: list[CarEvent] = []
    places: dict[int, int] = {}
    for place, event in enumerate(events):
        for view in views_of(event, kind_of(event)):
            views.append(view)
            places[id(view.raw)] = place
    return views, places


def _found(plans: Sequence[ir.Plan], events: Sequence[Event]) -> frozenset[Seen]:
    """The events that are in a row of one of the plans, each by itself."""
    views, places = _views(events)
    relations = Relations(views)
    return frozenset(
        ((places[id(seen.occurrence.view.raw)],), "")
        for plan in plans
        for row in relations.rows(plan)
        for seen in row.evidence()
    )


def _matches(plans: Sequence[ir.Plan], events: Sequence[Event]) -> frozenset[Seen]:
    """The rows of plans: the events in each, and what it shows."""
    views, places = _views(events)
    relations = Relations(views)
    return frozenset(
        (
            tuple(sorted({places[id(seen.occurrence.view.raw)] for seen in row.evidence()})),
            _shown_by(row),
        )
        for plan in plans
        for row in relations.rows(plan)
    )


def _shown_by(row: Row) -> str:
    match row:
        case RecordRow(columns, base):
            cells = ", ".join(f"{name} = {repr_of(columns[name])}" for name in sorted(columns))
            return f"{cells} {_shown_by(base)}" if isinstance(base, GroupRow) else cells
        case GroupRow(keys):
            return ", ".join(f"by {name} {repr_of(keys[name])}" for name in sorted(keys))
        case _:
            # The events say what there is to say.
            return ""


def _smallest(
    events: Sequence[Event],
    finder: Sequence[ir.Plan],
    misser: Sequence[ir.Plan],
    logs: Logs | None,
    seen: Observe,
) -> ListDifference:
    """The list without the events, fields and distances in time that the difference can do
    without."""

    def differs(candidate: Sequence[Event]) -> bool:
        return _can_be(candidate, logs) and bool(seen(finder, candidate) - seen(misser, candidate))

    kept = list(events)
    for place in reversed(range(len(kept))):
        fewer = kept[:place] + kept[place + 1 :]
        if differs(fewer):
            kept = fewer
    for place, event in enumerate(kept):
        for name in [name for name in event if name not in fixed_names(event)]:
            less = {key: value for key, value in kept[place].items() if key != name}
            candidate = [*kept[:place], less, *kept[place + 1 :]]
            if differs(candidate):
                kept = candidate
    missed = min(seen(finder, kept) - seen(misser, kept))
    condition, span = _demanded(misser, kept, missed, seen)
    # A match of no event at all cannot be: each has one.
    return ListDifference(tuple(kept), missed[0][0] if missed[0] else 0, condition, span)


def _demanded(
    plans: Sequence[ir.Plan], events: Sequence[Event], missed: Seen, seen: Observe
) -> tuple[ir.Condition | None, Span | None]:
    """A condition without which the plans would find an event."""
    for place, plan in enumerate(plans):
        for part, span, changed in loosened(plan):
            if missed in seen([*plans[:place], changed, *plans[place + 1 :]], events):
                return part, span
    return None, None


Loosened = tuple[ir.Condition | None, Span | None, ir.Plan]


def loosened(plan: ir.Plan) -> Iterator[Loosened]:
    """The plan without one of the conditions, keys or bounds in it, in all ways; those of single
    events first."""
    match plan:
        case ir.Filter(inner) | ir.Assign(inner) | ir.Project(inner) | ir.Distinct(inner):
            for part, span, changed in loosened(inner):
                yield part, span, evolve(plan, plan=changed)
        case ir.Aggregated(group):
            for part, span, changed in loosened(group):
                assert isinstance(changed, ir.Group)
                yield part, span, evolve(plan, group=changed)
        case ir.Join(branches):
            for place, branch in enumerate(branches):
                for part, span, changed in loosened(branch.plan):
                    made = evolve(branch, plan=changed)
                    both = (*branches[:place], made, *branches[place + 1 :])
                    yield part, span, evolve(plan, branches=both)
        case ir.Sequence(steps):
            for place, step in enumerate(steps):
                for part, span, changed in loosened(step.plan):
                    others = (*steps[:place], evolve(step, plan=changed), *steps[place + 1 :])
                    yield part, span, evolve(plan, steps=others)
        case ir.Group(plans) | ir.Union(plans) | ir.Window(plans):
            for place, inner in enumerate(plans):
                for part, span, changed in loosened(inner):
                    several = (*plans[:place], changed, *plans[place + 1 :])
                    yield part, span, evolve(plan, plans=several)
        case ir.Difference(left):
            for part, span, changed in loosened(left):
                yield part, span, evolve(plan, left=changed)
        case ir.Search():
            pass
    match plan:
        case ir.Filter(_, condition) | ir.Join(_, condition):
            parts = conjuncts(condition)
            for own in parts:
                rest = ir.conjunction(tuple(p for p in parts if p is not own))
                yield own, place_of(own), evolve(plan, condition=rest)
        case ir.Group(_, keys, within):
            if within is not None:
                yield None, plan.span, evolve(plan, within=None)
            for key in keys:
                fewer = tuple(other for other in keys if other is not key)
                yield None, plan.span, evolve(plan, keys=fewer)
        case ir.Search() | ir.Assign() | ir.Project() | ir.Aggregated() | ir.Distinct():
            # They let every row through, or the first of each kind.
            return
        case ir.Difference() | ir.Union() | ir.Window() | ir.Sequence():
            return
        case _:
            assert_never(plan)


# Making events


@frozen
class _EventPool:
    """What lists of events are made of.

    ``templates`` are events, ``values`` what fields are set to in them, ``distances`` how far apart
    in time they are, ``lengths`` how long lists are. ``paths`` are the fields that the programs
    read of which others are the last parts.
    """

    templates: tuple[Event, ...]
    paths: frozenset[str]
    logs: Logs | None
    values: Mapping[str, tuple[Any, ...]]
    distances: tuple[int, ...]
    lengths: tuple[int, ...]

    @classmethod
    def of(
        cls, plans: Sequence[Sequence[ir.Plan]], budget: Budget, logs: Logs | None
    ) -> _EventPool:
        """The pool for two programs' plans."""
        whole = [plan for several in plans for plan in several]
        values = _varied(whole)
        distances: dict[int, None] = dict.fromkeys((0, _SECOND))
        lengths: dict[int, None] = dict.fromkeys((1, 2, 3, 4))
        for number in sorted(_durations(whole)):
            distances.update(dict.fromkeys((number - _SECOND, number, number + _SECOND)))
        for number in sorted(_counts(whole)):
            lengths.update(dict.fromkeys((number - 1, number, number + 1, number + 2)))
        paths = _paths(whole)
        templates = tuple(_whole(event, paths) for event in _templates(plans, budget, logs))
        return cls(
            templates,
            paths,
            logs,
            values,
            tuple(d for d in distances if d >= 0),
            tuple(
                length
                for length in lengths
                if 1 <= length <= _LONGEST
                and (length == 1 or sum(_rows(plan, length) for plan in whole) <= _MOST_ROWS)
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
            if _can_be(made, self.logs):
                yield made

    def orderly(self) -> Iterator[list[Event]]:
        """Lists that the likeliest programs find something in: one event of each kind with the same
        keys, in every order; many of one kind, alike or each with another value."""
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
                    if name in template:
                        several = [self._with(template, name, n) for n in range(length)]
                        yield self._timed(several, _SECOND)

    def _timed(self, events: Sequence[Event], distance: int) -> list[Event]:
        return [
            {**event, "time": format_time(_START + place * distance)}
            for place, event in enumerate(events)
        ]

    def _with(self, template: Event, name: str, number: int) -> Event:
        """The event with a value of its own."""
        old = template[name]
        event = dict(template)
        if isinstance(old, int):
            event[name] = number
        elif old in _ADDRESSES:
            event[name] = f"10.0.1.{number}"
        else:
            event[name] = f"{old}{number}"
        _put_together(event, name, kind_of(event))
        return event

    def _alike(self, template: Event) -> Event:
        """The event with the first of the values of each field that it can have."""
        event = dict(template)
        kind = kind_of(event)
        spec = model().object(kind.object)
        for name, values in self.values.items():
            if name not in event and (
                is_native(kind) or (spec is not None and spec.field(name) is not None)
            ):
                event[name] = values[0]
                _put_together(event, name, kind)
        return _whole(event, self.paths)

    def _event(self, template: Event, alike: bool, chance: random.Random) -> Event:
        event = dict(template)
        kind = kind_of(event)
        spec = model().object(kind.object)
        for name, values in self.values.items():
            if not is_native(kind) and (spec is None or spec.field(name) is None):
                continue
            if name in template and chance.random() < 0.7:
                continue
            if chance.random() < 0.05:
                event.pop(name, None)
            elif alike and chance.random() < 0.8:
                event[name] = values[0]
            else:
                event[name] = chance.choice(values)
            _put_together(event, name, kind)
        return _whole(event, self.paths)


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


def _paths(plans: Sequence[ir.Plan]) -> frozenset[str]:
    """The names that plans read anywhere."""
    leaves = [stage.condition for plan in plans for stage in _leaves(plan)]
    read = {found.name for condition in leaves for found in ir.fields_of(condition)}
    return frozenset(read | {v.name for v in _all_values(plans) if isinstance(v, ir.Field)})


def _can_be(events: Sequence[Event], logs: Logs | None) -> bool:
    """Whether there can be such events, in such logs."""
    for view in _views(events)[0]:
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
    for value in _all_values(plans):
        if isinstance(value, ir.Field) and value.name != "time":
            match value.type:
                case ir.Type.INTEGER | ir.Type.NUMBER:
                    first: Sequence[Any] = _NUMBERS
                case ir.Type.ADDRESS:
                    first = _ADDRESSES
                case _:
                    first = _TEXTS
            made.setdefault(value.name, dict.fromkeys(first))
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
