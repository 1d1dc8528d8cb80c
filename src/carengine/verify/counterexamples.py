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
import random
from collections.abc import Callable, Iterator, Sequence
from typing import assert_never

from attrs import evolve, frozen

from .. import ir
from ..diagnostics import Span
from ..engine.streams import GroupRow, RecordRow, Relations, Row
from ..solver.texts import Budget
from ..values import repr_of
from .event_kinds import Event, fixed_names, kind_of
from .event_pool import EventPool, can_be, views_in, within_reach
from .kind_conditions import conjuncts, place_of, selection
from .logs import Logs
from .natural import natural_list

# How many lists the likeliest programs find something in, and lists that others are made from.
_ORDERLY = 400
_BASES = 12
# How many lists that tell programs apart are made smaller, for each direction.
_CLOSELY = 12
# How many lists of each program are put together with those of the other, and how long they are.
_MOST_TOGETHER = 30
_LONGEST_TOGETHER = 8


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
    reported: bool = False,
) -> ListSearchResult:
    """Looks for lists of events on which two programs find different ones, of such as ``logs`` can
    hold.

    Of the lists that tell the programs apart a few are looked at closely; after ``most``
    differences in a direction none. ``keyed`` is as `selection` has it. With ``shown`` it is the
    matches that are compared, with all that they show, and not the events in them; with
    ``reported`` whether there is any.
    """
    plans = [
        tuple(
            output.plan if shown else selection(output.plan, keyed=keyed) for output in made.outputs
        )
        for made in (first, second)
    ]
    seen = _matches if shown else _reported if reported else _found
    pool = EventPool.of(plans, Budget(steps), logs)
    found: tuple[list[ListDifference], list[ListDifference]] = ([], [])
    looked_at = [0, 0]
    enough = _CLOSELY if most is None else min(most, _CLOSELY)
    tried = 0
    for events, bases in _tried(pool):
        tried += 1
        finds = [seen(each, events) for each in plans]
        if any(finds):
            bases.append(events)
        for place, (mine, other) in enumerate((finds, finds[::-1])):
            if mine - other and looked_at[place] < enough:
                looked_at[place] += 1
                found[place].append(_smallest(events, plans[place], plans[1 - place], logs, seen))
        if min(looked_at) >= enough:
            break
    told = [
        tuple(
            _with_usual_values(one, plans[place], plans[1 - place], logs, seen)
            for one in _told_apart(found[place])
        )
        for place in (0, 1)
    ]
    return ListSearchResult(told[0], told[1], tried)


def shared_list(first: ir.Program, second: ir.Program, steps: int) -> tuple[Event, ...]:
    """A small list of events of which two programs find one and the same; empty where none was
    met, which proves nothing."""
    plans = [
        tuple(selection(output.plan, keyed=True) for output in made.outputs)
        for made in (first, second)
    ]
    pool = EventPool.of(plans, Budget(steps), None)

    def shared(events: Sequence[Event]) -> bool:
        return can_be(events, None) and bool(_found(plans[0], events) & _found(plans[1], events))

    found: tuple[list[list[Event]], list[list[Event]]] = ([], [])
    for events, bases in _tried(pool):
        seen = [bool(_found(each, events)) for each in plans]
        if any(seen):
            bases.append(events)
        if shared(events):
            return _fewest(events, shared)
        for finds, lists in zip(seen, found, strict=True):
            if finds:
                lists.append(events)
    # What one program finds and what the other finds, in one list: an event of both is in each.
    mine, theirs = (sorted(lists, key=len)[:_MOST_TOGETHER] for lists in found)
    pairs = ([*one, *(e for e in other if e not in one)] for one in mine for other in theirs)
    for events in within_reach((e for e in pairs if len(e) <= _LONGEST_TOGETHER), pool.plans):
        if shared(events):
            return _fewest(events, shared)
    return ()


def _fewest(
    events: Sequence[Event], shared: Callable[[Sequence[Event]], bool]
) -> tuple[Event, ...]:
    kept = list(events)
    for place in reversed(range(len(kept))):
        fewer = kept[:place] + kept[place + 1 :]
        if shared(fewer):
            kept = fewer
    return tuple(kept)


def _tried(pool: EventPool) -> Iterator[tuple[list[Event], list[list[Event]]]]:
    """Lists of events to be tried, and where to put those in which something was found: the lists
    next to them come last."""
    bases: list[list[Event]] = []
    nowhere: list[list[Event]] = []
    first = itertools.chain(itertools.islice(pool.orderly(), _ORDERLY), pool.lists())
    for events in within_reach(first, pool.plans):
        yield events, bases
    chance = random.Random(1)  # noqa: S311 - the same lists every time, and no secret
    chosen = sorted(bases, key=len)
    if len(chosen) > _BASES:
        chosen = [*chosen[: _BASES // 2], *chance.sample(chosen, _BASES // 2)]
    near = (events for base in chosen for events in pool.neighbours(base, chance))
    for events in within_reach(near, pool.plans):
        yield events, nowhere


def finding_list(program: ir.Program, steps: int) -> tuple[Event, ...] | None:
    """A small list of events in which a program finds something; None where none was found, which
    proves nothing."""
    plans = [selection(output.plan, keyed=True) for output in program.outputs]
    pool = EventPool.of((plans,), Budget(steps), None)
    for events in within_reach(itertools.chain(pool.orderly(), pool.lists()), pool.plans):
        if _found(plans, events):
            found = _smallest(events, plans, (), None, _found)
            return _with_usual_values(found, plans, (), None, _found).events
    return None


def _told_apart(found: list[ListDifference]) -> tuple[ListDifference, ...]:
    """The shortest list for each thing that is to blame; one for which nothing is to blame alone
    only if there is no other."""
    made: dict[tuple[ir.Condition | None, Span | None], ListDifference] = {}
    for one in sorted(found, key=lambda item: len(item.events)):
        made.setdefault((one.condition, one.span), one)
    clear = [one for (condition, span), one in made.items() if condition or span]
    return tuple(clear or list(made.values())[:1])


# Running


Seen = tuple[tuple[int, ...], str]
"""What a program finds: the places of events, and what it shows of them."""
Observe = Callable[[Sequence[ir.Plan], Sequence[Event]], frozenset[Seen]]


def _found(plans: Sequence[ir.Plan], events: Sequence[Event]) -> frozenset[Seen]:
    """The events that are in a row of one of the plans, each by itself."""
    views, places = views_in(events)
    relations = Relations(views)
    return frozenset(
        ((places[id(seen.occurrence.view.raw)],), "")
        for plan in plans
        for row in relations.rows(plan)
        for seen in row.evidence()
    )


def _matches(plans: Sequence[ir.Plan], events: Sequence[Event]) -> frozenset[Seen]:
    """The rows of plans: the events in each, and what it shows."""
    views, places = views_in(events)
    relations = Relations(views)
    return frozenset(
        (
            tuple(sorted({places[id(seen.occurrence.view.raw)] for seen in row.evidence()})),
            _shown_by(row),
        )
        for plan in plans
        for row in relations.rows(plan)
    )


def _reported(plans: Sequence[ir.Plan], events: Sequence[Event]) -> frozenset[Seen]:
    """One and the same thing wherever the plans have a row."""
    relations = Relations(views_in(events)[0])
    there = any(True for plan in plans for _ in relations.rows(plan))
    return frozenset({((), "a match")}) if there else frozenset()


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
        return can_be(candidate, logs) and bool(seen(finder, candidate) - seen(misser, candidate))

    kept = list(events)
    for place in reversed(range(len(kept))):
        fewer = kept[:place] + kept[place + 1 :]
        if differs(fewer):
            kept = fewer
    for place, event in enumerate(kept):
        # Without its time the engine puts no event together with others.
        for name in [name for name in event if name not in fixed_names(event) and name != "time"]:
            less = {key: value for key, value in kept[place].items() if key != name}
            candidate = [*kept[:place], less, *kept[place + 1 :]]
            if differs(candidate):
                kept = candidate
    missed = min(seen(finder, kept) - seen(misser, kept))
    condition, span = _demanded(misser, kept, missed, seen)
    # Whether there is a match at all is seen of no event in particular.
    return ListDifference(tuple(kept), missed[0][0] if missed[0] else 0, condition, span)


def _with_usual_values(
    found: ListDifference,
    finder: Sequence[ir.Plan],
    misser: Sequence[ir.Plan],
    logs: Logs | None,
    seen: Observe,
) -> ListDifference:
    """The difference with values that a real log could hold, where it stays what it is."""
    missed = min(seen(finder, found.events) - seen(misser, found.events))

    def same(candidate: Sequence[Event]) -> bool:
        return can_be(candidate, logs) and (
            min(seen(finder, candidate) - seen(misser, candidate), default=None) == missed
            and _demanded(misser, candidate, missed, seen) == (found.condition, found.span)
        )

    return evolve(found, events=natural_list(found.events, same))


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
