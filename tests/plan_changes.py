"""Changes of plans that look at several events: what is found changes by some, by others it does
not.

Each takes a plan and changes what it can itself, and nothing below it; a plan that it is not for
stays as it is.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from attrs import evolve

from carengine import ir

_SECOND = 1_000_000


# What is found changes


def fewer_keys(plan: ir.Plan, chance: random.Random) -> ir.Plan:
    """A group or a window without one of its keys."""
    if isinstance(plan, ir.Group | ir.Window) and plan.keys:
        gone = chance.randrange(len(plan.keys))
        return evolve(plan, keys=tuple(key for n, key in enumerate(plan.keys) if n != gone))
    return plan


def other_time(plan: ir.Plan, chance: random.Random) -> ir.Plan:
    """Twice or half the time of a group, a window, a sequence."""
    factor = chance.choice((1, 4))
    match plan:
        case ir.Group(within=int() as within):
            return evolve(plan, within=max(within * factor // 2, 1))
        case ir.Window(span=span):
            return evolve(plan, span=max(span * factor // 2, 1))
        case ir.Sequence(within=int() as within):
            return evolve(plan, within=max(within * factor // 2, 1))
        case _:
            return plan


def other_bound(plan: ir.Plan, chance: random.Random) -> ir.Plan:
    """A join whose events may be further apart, or less far."""
    if not isinstance(plan, ir.Join):
        return plan
    factor = chance.choice((1, 4))

    def change(value: ir.Value) -> ir.Value:
        if isinstance(value, ir.Duration):
            return ir.Duration(max(value.microseconds * factor // 2, 1))
        return value

    return evolve(plan, condition=ir.rewrite_condition(plan.condition, change))


_FUNCTIONS = {
    "count": "distinct_count",
    "distinct_count": "count",
    "min": "max",
    "max": "min",
    "sum": "average",
    "average": "sum",
}


def other_aggregate(plan: ir.Plan, chance: random.Random) -> ir.Plan:
    """Another aggregate in a column."""
    if not isinstance(plan, ir.Aggregated | ir.Window):
        return plan

    def change(column: ir.Column) -> ir.Column:
        match column.value:
            case ir.Aggregate(function, of) if function in _FUNCTIONS and of is not None:
                return evolve(column, value=ir.Aggregate(_FUNCTIONS[function], of))
            case _:
                return column

    columns = list(plan.columns)
    if columns:
        place = chance.randrange(len(columns))
        columns[place] = change(columns[place])
    return evolve(plan, columns=tuple(columns))


def other_side(plan: ir.Plan, chance: random.Random) -> ir.Plan:
    """A join whose branches have changed their places under their names, or steps of a sequence
    theirs."""
    if isinstance(plan, ir.Join) and len(plan.branches) > 1:
        first, second, *rest = plan.branches
        one, other = evolve(first, plan=second.plan), evolve(second, plan=first.plan)
        return evolve(plan, branches=(one, other, *rest))
    if isinstance(plan, ir.Sequence) and len(plan.steps) > 1:
        return evolve(plan, steps=plan.steps[::-1])
    return plan


def no_filter(plan: ir.Plan, chance: random.Random) -> ir.Plan:
    """Without a filter."""
    return plan.plan if isinstance(plan, ir.Filter) else plan


def not_distinct(plan: ir.Plan, chance: random.Random) -> ir.Plan:
    """All rows, not the first of each value."""
    return plan.plan if isinstance(plan, ir.Distinct) else plan


PLAN_MUTATIONS = (
    fewer_keys,
    other_time,
    other_bound,
    other_aggregate,
    other_side,
    no_filter,
    not_distinct,
)


# What is found stays


def branches_reordered(plan: ir.Plan, chance: random.Random) -> ir.Plan:
    """The branches of a join in another order."""
    if isinstance(plan, ir.Join):
        return evolve(plan, branches=tuple(chance.sample(plan.branches, len(plan.branches))))
    return plan


def _field(value: ir.Field, change: Callable[[ir.Value], ir.Value]) -> ir.Field:
    made = change(value)
    assert isinstance(made, ir.Field)
    return made


def _with_values(plan: ir.Plan, change: Callable[[ir.Value], ir.Value]) -> ir.Plan:
    """The plan and all below it with its values changed."""
    made = ir.map_plans(plan, lambda part: _with_values(part, change))
    match made:
        case ir.Filter() | ir.Join():
            return evolve(made, condition=ir.rewrite_condition(made.condition, change))
        case ir.Project() | ir.Aggregated():
            columns = [evolve(c, value=ir.rewrite_value(c.value, change)) for c in made.columns]
            return evolve(made, columns=tuple(columns))
        case ir.Assign():
            return evolve(made, value=ir.rewrite_value(made.value, change))
        case ir.Distinct():
            return evolve(made, value=_field(made.value, change))
        case ir.Group():
            return evolve(made, keys=tuple(_field(key, change) for key in made.keys))
        case _:
            return made


def branches_renamed(plan: ir.Plan, chance: random.Random) -> ir.Plan:
    """The branches of the only join in a plan under other names. Only of a whole plan."""
    joins = [one for one in ir.every_plan([plan]) if isinstance(one, ir.Join)]
    if len(joins) != 1 or not isinstance(plan, ir.Join | ir.Filter | ir.Project):
        return plan
    names = {branch.name: f"other_{branch.name}" for branch in joins[0].branches}

    def change(value: ir.Value) -> ir.Value:
        if isinstance(value, ir.Field) and value.source is not None:
            first, dot, rest = value.source.partition(".")
            return evolve(value, source=names.get(first, first) + dot + rest)
        return value

    def renamed(one: ir.Plan) -> ir.Plan:
        made = ir.map_plans(one, renamed)
        if isinstance(made, ir.Join):
            return evolve(
                made, branches=tuple(evolve(b, name=names[b.name]) for b in made.branches)
            )
        return made

    return renamed(_with_values(plan, change))


def filter_split(plan: ir.Plan, chance: random.Random) -> ir.Plan:
    """A filter with several conditions as filters behind each other."""
    match plan:
        case ir.Filter(inner, ir.And(items)) if len(items) > 1:
            at = chance.randrange(1, len(items))
            first = ir.Filter(inner, ir.conjunction(items[:at]))
            return ir.Filter(first, ir.conjunction(items[at:]))
        case _:
            return plan


def filters_merged(plan: ir.Plan, chance: random.Random) -> ir.Plan:
    """Two filters behind each other as one."""
    match plan:
        case ir.Filter(ir.Filter(inner, first), second):
            return ir.Filter(inner, ir.conjunction((second, first)))
        case _:
            return plan


def moved_into_join(plan: ir.Plan, chance: random.Random) -> ir.Plan:
    """The condition of a filter below a join asked by the join."""
    if not isinstance(plan, ir.Join):
        return plan
    able = [n for n, b in enumerate(plan.branches) if _is_movable(b.plan)]
    if not able:
        return plan
    place = chance.choice(able)
    branch = plan.branches[place]
    assert isinstance(branch.plan, ir.Filter)

    def named(value: ir.Value) -> ir.Value:
        return evolve(value, source=branch.name) if isinstance(value, ir.Field) else value

    asked = ir.rewrite_condition(branch.plan.condition, named)
    branches = list(plan.branches)
    branches[place] = evolve(branch, plan=branch.plan.plan)
    condition = ir.conjunction((asked, plan.condition))
    return evolve(plan, branches=tuple(branches), condition=condition)


def _is_movable(plan: ir.Plan) -> bool:
    if not isinstance(plan, ir.Filter) or not ir.is_stateless(plan.condition):
        return False
    plain = all(f.source is None for f in ir.fields_of(plan.condition))
    return plain and not any(map(ir.reads_raw_event, ir.atoms(plan.condition)))


def moved_out_of_join(plan: ir.Plan, chance: random.Random) -> ir.Plan:
    """A condition of a join on one of its branches asked by a filter below it."""
    match plan:
        case ir.Join(branches, ir.And(items)):
            for number, item in enumerate(items):
                sources = {found.source for found in ir.fields_of(item)}
                places = [n for n, b in enumerate(branches) if {b.name} == sources]
                if places and not isinstance(branches[places[0]].plan, ir.Join):
                    return _moved_out(plan, number, places[0])
            return plan
        case _:
            return plan


def _moved_out(plan: ir.Join, number: int, place: int) -> ir.Plan:
    assert isinstance(plan.condition, ir.And)
    items = plan.condition.items

    def plain(value: ir.Value) -> ir.Value:
        return evolve(value, source=None) if isinstance(value, ir.Field) else value

    branches = list(plan.branches)
    branch = branches[place]
    asked = ir.rewrite_condition(items[number], plain)
    branches[place] = evolve(branch, plan=ir.Filter(branch.plan, asked))
    rest = ir.conjunction((*items[:number], *items[number + 1 :]))
    return evolve(plan, branches=tuple(branches), condition=rest)


def filtered_after_join(plan: ir.Plan, chance: random.Random) -> ir.Plan:
    """A part of a join's condition asked behind it."""
    match plan:
        case ir.Join(_, ir.And(items)) if len(items) > 1:
            at = chance.randrange(1, len(items))
            return ir.Filter(
                evolve(plan, condition=ir.conjunction(items[:at])), ir.conjunction(items[at:])
            )
        case _:
            return plan


def filtered_in_join(plan: ir.Plan, chance: random.Random) -> ir.Plan:
    """What is asked behind a join asked by it."""
    match plan:
        case ir.Filter(ir.Join() as join, condition):
            return evolve(join, condition=ir.conjunction((condition, join.condition)))
        case _:
            return plan


def keys_reordered(plan: ir.Plan, chance: random.Random) -> ir.Plan:
    """The keys and the inputs of a group in another order."""
    if isinstance(plan, ir.Group):
        plans = tuple(chance.sample(plan.plans, len(plan.plans)))
        return evolve(plan, keys=tuple(chance.sample(plan.keys, len(plan.keys))), plans=plans)
    if isinstance(plan, ir.Window):
        return evolve(plan, keys=tuple(chance.sample(plan.keys, len(plan.keys))))
    return plan


def other_window(plan: ir.Plan, chance: random.Random) -> ir.Plan:
    """The bounds of a join in time written in another way."""
    if not isinstance(plan, ir.Join):
        return plan

    def spelt(atom: ir.Atom) -> ir.Condition:
        match atom:
            case ir.Compare(left, relation, ir.Arithmetic("+", of, ir.Duration() as length)):
                if chance.random() < 0.5:
                    return ir.Compare(ir.Arithmetic("-", left, length), relation, of, ir.Type.TIME)
                return ir.Compare(ir.Arithmetic("-", left, of), relation, length, ir.Type.NUMBER)
            case ir.Compare(left, relation, right, ir.Type.TIME):
                return ir.Compare(right, relation.mirrored, left, ir.Type.TIME)
            case _:
                return atom

    return evolve(plan, condition=ir.map_atoms(plan.condition, spelt))


def counted_otherwise(plan: ir.Plan, chance: random.Random) -> ir.Plan:
    """More than three as four at least, of counts."""
    match plan:
        case ir.Filter(ir.Aggregated(_, columns), condition):
            counts = {
                c.name
                for c in columns
                if isinstance(c.value, ir.Aggregate)
                and c.value.function in ("count", "distinct_count")
            }

            def spelt(atom: ir.Atom) -> ir.Condition:
                match atom:
                    case ir.Compare(
                        ir.Field(name), ir.Relation.GREATER, ir.Constant(int() as number)
                    ) if name in counts:
                        return evolve(
                            atom,
                            relation=ir.Relation.GREATER_EQUAL,
                            right=ir.Constant(number + 1),
                        )
                    case _:
                        return atom

            return evolve(plan, condition=ir.map_atoms(condition, spelt))
        case _:
            return plan


def said_twice(plan: ir.Plan, chance: random.Random) -> ir.Plan:
    """A filter behind itself."""
    return ir.Filter(plan, plan.condition) if isinstance(plan, ir.Filter) else plan


PLAN_REWRITES = (
    branches_reordered,
    filter_split,
    filters_merged,
    moved_into_join,
    moved_out_of_join,
    filtered_after_join,
    filtered_in_join,
    keys_reordered,
    other_window,
    counted_otherwise,
    said_twice,
)

WHOLE_REWRITES = (branches_renamed,)
"""Those that have to see the whole plan, since what is above speaks of what is below."""
