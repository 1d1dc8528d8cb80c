"""Whether all that one program finds another one finds too, proved, where they look at several
events at a time.

Rows are compared by what they are made of. A join has all rows of another one if each of its
branches has, and it asks no more; a group that gathers more rows counts no fewer of them::

    join (a, b) where a.pid = b.pid and b.time < a.time + 5 minutes
    join (b, a) where b.pid = a.pid and b.time - a.time < 1 hour          has all of these rows

    count(p) by hostname, more than 3
    count(q) by hostname, more than 2         finds these events, where p is a part of q

What is not plain is left open: windows and sequences use up the rows that they report, so that one
with more rows may report others. `alerts` proves of these that one reports wherever another does.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence

from attrs import define, evolve, field

from .. import ir
from ..ir import Goal, Relation, Wish
from ..solver.facts import Facts
from ..solver.satisfiability import can_be
from ..solver.texts import Budget
from .kind_conditions import conjuncts, members, selection
from .normal_forms import Leaf, Names, NormalForms, as_is, pushed_down, resolved

_MOST_BRANCHES = 4
_COUNTS = ("count", "distinct_count")


@define
class Containment:
    """Proofs about the rows and events of plans.

    ``covers`` tells whether it is proved that one leaf lets all events through that another one
    does; ``exclude`` whether no event passes two leaves. ``steps`` bounds the work for each
    condition.
    """

    forms: NormalForms
    covers: Callable[[Leaf, Leaf], bool]
    exclude: Callable[[Leaf, Leaf], bool]
    steps: int = 200_000
    _known: dict[tuple[Leaf, Leaf], bool] = field(factory=dict)

    def of(self, first: ir.Program, second: ir.Program, *, keyed: bool = False) -> bool:
        """Whether it is proved that the second program finds every event that the first finds."""
        mine, theirs = (
            [selection(output.plan, keyed=keyed) for output in program.outputs]
            for program in (first, second)
        )
        return all(any(self.events(one, other) for other in theirs) for one in mine)

    def same_rows(self, first: ir.Program, second: ir.Program, *, keyed: bool = False) -> bool:
        """Whether it is proved that two programs of one output have the same rows."""
        if len(first.outputs) != 1 or len(second.outputs) != 1:
            return False
        one, other = (
            selection(program.outputs[0].plan, keyed=keyed) for program in (first, second)
        )
        return self.rows(one, other) and self.rows(other, one)

    def apart(self, first: ir.Program, second: ir.Program, *, keyed: bool = False) -> bool:
        """Whether it is proved that the programs have no event in common."""
        mine, theirs = (
            [selection(output.plan, keyed=keyed) for output in program.outputs]
            for program in (first, second)
        )
        if all(map(self._is_never, mine)) or all(map(self._is_never, theirs)):
            return True
        return all(self._are_apart(a, b) for a, b in itertools.product(mine, theirs))

    def _are_apart(self, one: ir.Plan, other: ir.Plan) -> bool:
        if self._are_other_groups(one, other) or self._are_other_events(one, other):
            return True
        return all(self.exclude(a, b) for a, b in itertools.product(_leaves(one), _leaves(other)))

    def _are_other_events(self, one: ir.Plan, other: ir.Plan) -> bool:
        """Whether two plans ask of the same single events what none of them can be at once."""
        mine, asked = _kept_of(one)
        theirs, wanted = _kept_of(other)
        leaves = ir.as_stages(mine), ir.as_stages(theirs)
        if None in leaves or self.forms.part(mine)[0] != self.forms.part(theirs)[0]:
            return False
        return self._can_be([(condition, Goal.TRUE) for condition in (*asked, *wanted)]) is False

    def _are_other_groups(self, one: ir.Plan, other: ir.Plan) -> bool:
        """Whether two plans keep different ones of the same groups: an event is in one alone."""
        mine, asked = _peeled(one)
        theirs, wanted = _peeled(other)
        if not isinstance(mine, ir.Aggregated) or not isinstance(theirs, ir.Aggregated):
            return False
        if self.forms.part(mine)[0] != self.forms.part(theirs)[0]:
            return False
        if any(ir.as_stages(plan) is None for plan in mine.group.plans):
            return False
        conditions = [
            *named(asked, self.forms.part(mine)[1]),
            *named(wanted, self.forms.part(theirs)[1]),
        ]
        return self._can_be([(condition, Goal.TRUE) for condition in conditions]) is False

    def rows(self, one: ir.Plan, other: ir.Plan) -> bool:
        """Whether it is proved that each row of one plan is a row of the other."""
        if self._leaf_within(one, other) or self.forms.part(one)[0] == self.forms.part(other)[0]:
            return True
        mine, asked = _peeled(one)
        theirs, wanted = _peeled(other)
        match mine, theirs:
            case ir.Join(), ir.Join() if len(mine.branches) == len(theirs.branches):
                # What a join asks is its own condition; what is asked behind it is in that.
                return self._joins(mine, theirs)
            case ir.Union(plans), _ if not asked and not wanted:
                inner = theirs.plans if isinstance(theirs, ir.Union) else (theirs,)
                if any(self.forms.part(part)[1] is not as_is for part in (*plans, *inner)):
                    # What a name stands for may differ between them.
                    return False
                return all(any(self.rows(part, to) for to in inner) for part in plans)
            case ir.Difference(left, right, fields), ir.Difference(to, less, others):
                alike = all(
                    self._alike(fields, plan, others, counterpart)
                    for plan, counterpart in ((left, to), (right, less))
                )
                same_left = self.forms.part(left)[0] == self.forms.part(to)[0]
                within = alike and same_left and self.rows(less, right)
            case _:
                if ir.as_stages(mine) is None:
                    within = self.forms.part(mine)[0] == self.forms.part(theirs)[0]
                else:
                    plain = all(map(_is_of_row, (*asked, *wanted)))
                    within = mine == theirs or (plain and self._leaf_within(mine, theirs))
        if not within:
            return False
        names = [self.forms.part(plan)[1] for plan in (mine, theirs)]
        return self.implied(named(asked, names[0]), named(wanted, names[1]))

    def _alike(
        self,
        fields: Sequence[ir.Field],
        plan: ir.Plan,
        others: Sequence[ir.Field],
        counterpart: ir.Plan,
    ) -> bool:
        """Whether fields of two plans stand for the same."""
        mine, theirs = self.forms.part(plan)[1], self.forms.part(counterpart)[1]
        return [resolved(f, mine) for f in fields] == [resolved(f, theirs) for f in others]

    def events(self, one: ir.Plan, other: ir.Plan) -> bool:
        """Whether it is proved that each event in a row of one plan is in a row of the other."""
        if self.rows(one, other) or self._groups(one, other):
            return True
        match one:
            case ir.Union(plans):
                return all(self.events(part, other) for part in plans)
            case ir.Project(inner) | ir.Assign(inner):
                return self.events(inner, other)
            case ir.Group() | ir.Aggregated():
                return self.events(_ungrouped(one), other)
            case _:
                # Its rows are looked at below.
                pass
        match other:
            case ir.Union(plans):
                if any(self.events(one, part) for part in plans):
                    return True
            case ir.Project(inner) | ir.Assign(inner):
                return self.events(one, inner)
            case ir.Group() | ir.Aggregated():
                return self.events(one, _ungrouped(other))
            case _:
                # Its rows are what they are.
                pass
        # The events of a row have passed what it is made of.
        match one:
            case ir.Filter(inner) | ir.Distinct(inner) | ir.Difference(inner):
                stateful = ir.as_stages(one) is None
                return stateful and self.events(inner, other)
            case ir.Join() | ir.Sequence() | ir.Window():
                return all(self.events(part, other) for part in _parts(one))
            case _:
                return False

    def _leaf_within(self, one: ir.Plan, other: ir.Plan) -> bool:
        mine, theirs = ir.as_stages(one), ir.as_stages(other)
        if mine is None or theirs is None:
            return False
        known = self._known.get((mine, theirs))
        if known is None:
            known = self._known[mine, theirs] = mine == theirs or self.covers(theirs, mine)
        return known

    def _joins(self, one: ir.Join, other: ir.Join) -> bool:
        branches = other.branches
        several = len(branches) <= _MOST_BRANCHES
        orders = itertools.permutations(branches) if several else iter((branches,))
        for order in orders:
            if not all(self.rows(a.plan, b.plan) for a, b in zip(one.branches, order, strict=True)):
                continue
            mine = named(conjuncts(one.condition), self.forms.renaming(one.branches))
            theirs = named(conjuncts(other.condition), self.forms.renaming(order))
            if self.implied(mine, theirs):
                return True
        return False

    def _groups(self, one: ir.Plan, other: ir.Plan) -> bool:
        """Whether each group that one plan keeps lies within one that the other keeps."""
        mine, asked = _peeled(one)
        theirs, wanted = _peeled(other)
        if not isinstance(mine, ir.Aggregated | ir.Group):
            return False
        if not isinstance(theirs, ir.Aggregated | ir.Group):
            return False
        small = mine.group if isinstance(mine, ir.Aggregated) else mine
        large = theirs.group if isinstance(theirs, ir.Aggregated) else theirs
        names = [self.forms.part(plan)[1] for plan in (mine, theirs)]
        of_mine, of_theirs = named(asked, names[0]), named(wanted, names[1])
        if self.forms.part(small)[0] != self.forms.part(large)[0]:
            keys = self._wider(small, large)
            if keys is None or not all(lifts(condition, keys) for condition in of_theirs):
                return False
        return self.implied(of_mine, of_theirs)

    def _wider(self, small: ir.Group, large: ir.Group) -> frozenset[ir.Value] | None:
        """The keys of the larger group, if each group of the one lies within one of the other."""
        longer = large.within is None or (small.within is not None and small.within <= large.within)
        if not longer or len(small.plans) != len(large.plans):
            return None
        # Each plan by itself: an event that two let through counts twice.
        if not any(
            all(self.rows(a, b) for a, b in zip(small.plans, order, strict=True))
            for order in itertools.islice(itertools.permutations(large.plans), 24)
        ):
            return None
        mine, theirs = (
            frozenset(resolved(key, self.forms.part(group.plans[0])[1]) for key in group.keys)
            for group in (small, large)
        )
        plain = len(small.plans) == 1 or mine == theirs == frozenset(small.keys)
        return theirs if plain and theirs <= mine else None

    def implied(self, asked: Sequence[ir.Condition], wanted: Sequence[ir.Condition]) -> bool:
        """Whether conditions on one row say all that others say."""
        left = [condition for condition in wanted if condition not in asked]
        return all(
            self._can_be([*((c, Goal.TRUE) for c in asked), (want, _failure(want, asked))]) is False
            for want in left
        )

    def _can_be(self, wishes: list[Wish]) -> bool | None:
        """Whether one row can do it; its values are given names of their own."""
        names: dict[ir.Value, ir.Field] = {}

        def plain(value: ir.Value) -> ir.Value:
            match value:
                case ir.Arithmetic(_, left, right):
                    return evolve(value, left=plain(left), right=plain(right))
                case ir.Field() | ir.Aggregate() | ir.Call() | ir.Raw() | ir.Whole() | ir.Lookup():
                    made = ir.Field(f"v{len(names)}", None, ir.type_of(value))
                    return names.setdefault(value, made)
                case _:
                    return value

        asked: list[Wish] = [
            (ir.rewrite_operands(condition, plain), goal) for condition, goal in wishes
        ]
        for value, name in names.items():
            if isinstance(value, ir.Aggregate) and value.function in _COUNTS:
                least = ir.Constant(1 if value.value is None else 0)
                there = ir.Compare(name, Relation.GREATER_EQUAL, least, ir.Type.NUMBER)
                asked.append((there, Goal.TRUE))
        for value, name in names.items():
            # No value is counted more often than it is there, and none is there without an event.
            for other, more in names.items():
                if _counts_more(other, value):
                    order = ir.Compare(more, Relation.GREATER_EQUAL, name, ir.Type.NUMBER)
                    asked.append((order, Goal.TRUE))
        lists = frozenset(name.name for value, name in names.items() if not _is_single(value))
        counts = frozenset(
            name.name
            for value, name in names.items()
            if isinstance(value, ir.Aggregate) and value.function in _COUNTS
        )
        facts = Facts(ir.Search((_ROW,)), plain=True, blank=True, lists=lists, counts=counts)
        return can_be(asked, facts, Budget(self.steps))

    def _is_never(self, plan: ir.Plan) -> bool:
        """Whether it is proved that a plan has no row."""
        stages = ir.as_stages(plan)
        if stages is not None:
            return self.exclude(stages, stages)
        core, asked = _peeled(plan)
        if (
            asked
            and self._can_be([(c, Goal.TRUE) for c in named(asked, self.forms.part(core)[1])])
            is False
        ):
            return True
        match core:
            case ir.Join(branches, condition):
                parts = named(conjuncts(condition), self.forms.renaming(branches))
                if self._can_be([(c, Goal.TRUE) for c in parts]) is False:
                    return True
                return any(self._is_never(branch.plan) for branch in branches)
            case ir.Sequence():
                return any(map(self._is_never, _parts(core)))
            case ir.Union() | ir.Group() | ir.Window():
                return all(map(self._is_never, core.plans))
            case ir.Aggregated(group):
                return self._is_never(group)
            case ir.Project(inner) | ir.Assign(inner) | ir.Distinct(inner) | ir.Difference(inner):
                return self._is_never(inner)
            case _:
                return False


_ROW = ir.EventKind("row", "row")


def _counts_more(one: ir.Value, other: ir.Value) -> bool:
    """Whether an aggregate counts at least what another one counts of the same rows."""
    match one, other:
        case ir.Aggregate("count", None), ir.Aggregate("count" | "distinct_count", of):
            return of is not None and _is_single(of)
        case ir.Aggregate("count", of), ir.Aggregate("distinct_count", same):
            return of == same and of is not None and _is_single(of)
        case _:
            return False


def _failure(wanted: ir.Condition, asked: Sequence[ir.Condition]) -> Goal:
    """What a condition is where it is not true beside others that are: false, if these compare
    all its values as the same type, so that none of them is missing or cannot be read."""
    if isinstance(wanted, ir.Compare):
        read = {
            found
            for condition in asked
            if isinstance(condition, ir.Compare) and condition.type is wanted.type
            for found in _compared_leaves(condition)
        }
        if all(found in read for found in _compared_leaves(wanted)):
            return Goal.FALSE
    return Goal.NOT_TRUE


def _compared_leaves(compared: ir.Compare) -> list[ir.Value]:
    return [
        leaf
        for value in (compared.left, compared.right)
        for leaf in ir.leaves(value)
        if not isinstance(leaf, ir.Duration | ir.Constant | ir.Moment)
    ]


def _is_single(value: ir.Value) -> bool:
    match value:
        case ir.Field(name):
            return "." not in name
        case ir.Aggregate(function):
            return function != "values"
        case _:
            return False


def named(conditions: Sequence[ir.Condition], names: Names) -> list[ir.Condition]:
    """Conditions with each field as what it stands for."""

    def change(value: ir.Value) -> ir.Value:
        return names(value) if isinstance(value, ir.Field) else value

    return [ir.rewrite_condition(condition, change) for condition in conditions]


def _peeled(plan: ir.Plan) -> tuple[ir.Plan, list[ir.Condition]]:
    """What rows are kept of, and what is asked of them."""
    asked: list[ir.Condition] = []
    plan = pushed_down(plan)
    while isinstance(plan, ir.Filter):
        asked += conjuncts(plan.condition)
        plan = pushed_down(plan.plan)
    return plan, asked


def _kept_of(plan: ir.Plan) -> tuple[ir.Plan, list[ir.Condition]]:
    """What a plan keeps rows of as they are, and what it asks of those that it keeps."""
    core, asked = _peeled(plan)
    while isinstance(core, ir.Difference | ir.Distinct):
        core, more = _peeled(core.left if isinstance(core, ir.Difference) else core.plan)
        asked += more
    return core, asked


def _is_of_row(condition: ir.Condition) -> bool:
    """Whether a row and the time decide a condition, whatever other rows there are."""
    return not any(
        isinstance(atom, ir.Rank)
        or any(
            isinstance(part, ir.Whole | ir.Lookup | ir.Aggregate)
            for value in ir.values_of(atom)
            for part in ir.values_in(value)
        )
        for atom in ir.atoms(condition)
    )


def _parts(plan: ir.Join | ir.Sequence | ir.Window) -> Iterator[ir.Plan]:
    """The plans of whose rows a plan's rows consist."""
    match plan:
        case ir.Join(branches):
            yield from (branch.plan for branch in branches)
        case ir.Sequence(steps):
            yield from (step.plan for step in steps if not step.absent)
        case ir.Window(plans):
            yield from plans


def _ungrouped(plan: ir.Group | ir.Aggregated) -> ir.Plan:
    """The rows of a plan's groups: those that have the keys."""
    return members(plan.group if isinstance(plan, ir.Aggregated) else plan, keyed=True)


def _leaves(plan: ir.Plan) -> Iterator[Leaf]:
    """The leaves that the events of a plan's rows have passed."""
    plan = pushed_down(plan)
    stages = ir.as_stages(plan)
    if stages is not None:
        yield stages
        return
    match plan:
        case ir.Join() | ir.Sequence() | ir.Window():
            parts: Sequence[ir.Plan] = tuple(_parts(plan))
        case ir.Difference(left):
            parts = (left,)
        case _:
            parts = ir.plans_below(plan)
    for part in parts:
        yield from _leaves(part)


def lifts(condition: ir.Condition, keys: frozenset[ir.Value]) -> bool:
    """Whether a condition that is true of a group is true of each larger one that it lies in."""
    match condition:
        case ir.And(items) | ir.Or(items):
            return all(lifts(item, keys) for item in items)
        case ir.IsTrue(item):
            return lifts(item, keys)
        case ir.Compare(
            ir.Aggregate(function), Relation.GREATER | Relation.GREATER_EQUAL, ir.Constant()
        ) | ir.Compare(ir.Constant(), Relation.LESS | Relation.LESS_EQUAL, ir.Aggregate(function)):
            return function in _COUNTS
        case ir.Match(value, patterns):
            # Keys are the same without case.
            return value in keys and not any(pattern.cased for pattern in patterns)
        case ir.Not(ir.Match() as inner):
            return lifts(inner, keys)
        case _:
            return False
