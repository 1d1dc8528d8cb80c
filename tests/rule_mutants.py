"""Mutants of rules, and rewrites that change nothing: what comparing has to tell apart, and what it
must not.

Both are made of the IR, so that a rule in any language has them. ``mutants`` change what a rule
finds, mostly; ``rewrites`` never do.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

from attrs import evolve

from carengine import ir
from carengine.pattern import Pattern
from plan_changes import PLAN_MUTATIONS, PLAN_REWRITES, WHOLE_REWRITES

Change = Callable[[ir.Condition], ir.Condition]


def places(condition: ir.Condition, path: tuple[int, ...] = ()) -> Iterator[tuple[int, ...]]:
    """The paths to all parts of a condition."""
    yield path
    for number, item in enumerate(_items(condition)):
        yield from places(item, (*path, number))


def _items(condition: ir.Condition) -> tuple[ir.Condition, ...]:
    match condition:
        case ir.And(items) | ir.Or(items):
            return items
        case ir.Not(item) | ir.IsTrue(item):
            return (item,)
        case _:
            return ()


def changed(condition: ir.Condition, path: tuple[int, ...], change: Change) -> ir.Condition:
    """The condition with one part changed."""
    if not path:
        return change(condition)
    head, *rest = path
    items = [
        changed(item, tuple(rest), change) if number == head else item
        for number, item in enumerate(_items(condition))
    ]
    match condition:
        case ir.And() | ir.Or():
            return type(condition)(tuple(items))
        case ir.Not() | ir.IsTrue():
            return type(condition)(items[0])
        case _:
            raise AssertionError(condition)


# Changes of one part; a part that a change is not for stays as it is.


def drop_item(c: ir.Condition, chance: random.Random) -> ir.Condition:
    """Without one of its items."""
    if isinstance(c, ir.And | ir.Or) and len(c.items) > 1:
        gone = chance.randrange(len(c.items))
        left = tuple(item for n, item in enumerate(c.items) if n != gone)
        return left[0] if len(left) == 1 else type(c)(left)
    return c


def negate(c: ir.Condition, chance: random.Random) -> ir.Condition:
    """The opposite."""
    return c.item if isinstance(c, ir.Not) else ir.Not(c)


def other_connective(c: ir.Condition, chance: random.Random) -> ir.Condition:
    """And for or, or for and."""
    match c:
        case ir.And(items):
            return ir.Or(items)
        case ir.Or(items):
            return ir.And(items)
        case _:
            return c


def other_pattern(c: ir.Condition, chance: random.Random) -> ir.Condition:
    """One pattern wider, narrower, or another one."""
    if not isinstance(c, ir.Match) or not c.patterns:
        return c
    place = chance.randrange(len(c.patterns))
    text = c.patterns[place].text
    texts = [f"*{text}", f"{text}*", text.lstrip("*"), text.rstrip("*"), f"{text}x", text[1:]]
    made = evolve(c.patterns[place], text=chance.choice(texts) or "x")
    return evolve(c, patterns=(*c.patterns[:place], made, *c.patterns[place + 1 :]))


def fewer_patterns(c: ir.Condition, chance: random.Random) -> ir.Condition:
    """Without one of several patterns."""
    if isinstance(c, ir.Match) and len(c.patterns) > 1:
        gone = chance.randrange(len(c.patterns))
        return evolve(c, patterns=tuple(p for n, p in enumerate(c.patterns) if n != gone))
    return c


def other_number(c: ir.Condition, chance: random.Random) -> ir.Condition:
    """Another bound, or another relation."""
    if not isinstance(c, ir.Compare):
        return c
    match c.right:
        case ir.Constant(int() as number) if not isinstance(number, bool):
            return evolve(c, right=ir.Constant(number + chance.choice((-1, 1))))
        case _:
            wanted = ir.Relation.LESS if c.relation is not ir.Relation.LESS else ir.Relation.GREATER
            return evolve(c, relation=wanted)


MUTATIONS = (drop_item, negate, other_connective, other_pattern, fewer_patterns, other_number)


def shuffled(c: ir.Condition, chance: random.Random) -> ir.Condition:
    """Its items in another order."""
    if isinstance(c, ir.And | ir.Or):
        return type(c)(tuple(chance.sample(c.items, len(c.items))))
    return c


def denied_twice(c: ir.Condition, chance: random.Random) -> ir.Condition:
    """Not of not."""
    return ir.Not(ir.Not(c))


def de_morgan(c: ir.Condition, chance: random.Random) -> ir.Condition:
    """Not of all is one of not."""
    match c:
        case ir.And(items):
            return ir.Not(ir.Or(tuple(map(ir.Not, items))))
        case ir.Or(items):
            return ir.Not(ir.And(tuple(map(ir.Not, items))))
        case _:
            return c


def another_case(c: ir.Condition, chance: random.Random) -> ir.Condition:
    """Patterns in the other case, where case is ignored."""
    if isinstance(c, ir.Match):
        patterns = tuple(p if p.cased else Pattern(_ascii_swapped(p.text)) for p in c.patterns)
        return evolve(c, patterns=patterns)
    return c


def _ascii_swapped(text: str) -> str:
    return "".join(x.swapcase() if x.isascii() else x for x in text)


def one_by_one(c: ir.Condition, chance: random.Random) -> ir.Condition:
    """Several patterns as alternatives."""
    if isinstance(c, ir.Match) and len(c.patterns) > 1:
        return ir.Or(tuple(evolve(c, patterns=(one,)) for one in c.patterns))
    return c


def distributed(c: ir.Condition, chance: random.Random) -> ir.Condition:
    """All of a and one of b is one of (a and b)."""
    if isinstance(c, ir.And):
        for n, item in enumerate(c.items):
            if isinstance(item, ir.Or) and len(item.items) <= 6:
                rest = (*c.items[:n], *c.items[n + 1 :])
                return ir.Or(tuple(ir.And((*rest, one)) for one in item.items))
    return c


def said_twice(c: ir.Condition, chance: random.Random) -> ir.Condition:
    """Once more beside itself, by itself or as a part of an alternative."""
    return ir.And((c, ir.Or((c, c))))


def turned(c: ir.Condition, chance: random.Random) -> ir.Condition:
    """The two sides of a comparison exchanged."""
    if isinstance(c, ir.Compare):
        return evolve(c, left=c.right, relation=c.relation.mirrored, right=c.left)
    return c


REWRITES = (
    shuffled,
    denied_twice,
    de_morgan,
    another_case,
    one_by_one,
    distributed,
    said_twice,
    turned,
)


def with_condition(plan: ir.Plan, change: Change, at: int) -> ir.Plan:
    """The plan with the condition of one of its filters or joins changed."""
    left = at

    def go(one: ir.Plan) -> ir.Plan:
        nonlocal left
        made = ir.map_plans(one, go)
        if isinstance(made, ir.Filter | ir.Join):
            left -= 1
            if left == -1:
                return evolve(made, condition=change(made.condition))
        return made

    return go(plan)


def filters_in(plan: ir.Plan) -> int:
    """How many filters and joins `with_condition` can change."""
    seen = 0

    def go(one: ir.Plan) -> ir.Plan:
        nonlocal seen
        made = ir.map_plans(one, go)
        seen += isinstance(made, ir.Filter | ir.Join)
        return made

    go(plan)
    return seen


PlanChange = Callable[[ir.Plan, random.Random], ir.Plan]


def _varied(
    program: ir.Program,
    kinds: tuple[Callable[[ir.Condition, random.Random], ir.Condition], ...],
    of_plans: tuple[PlanChange, ...],
    most: int,
    chance: random.Random,
) -> Iterator[tuple[str, ir.Program]]:
    made: set[ir.Program] = {program}
    for _ in range(most * 6):
        if len(made) > most:
            return
        number = chance.randrange(len(program.outputs))
        output = program.outputs[number]
        stateful = ir.as_stages(output.plan) is None
        name, plan = (
            _plan_changed(output.plan, chance.choice(of_plans), chance)
            if stateful and chance.random() < 0.6
            else _condition_changed(output.plan, chance.choice(kinds), chance)
        )
        outputs = (
            *program.outputs[:number],
            evolve(output, plan=plan),
            *program.outputs[number + 1 :],
        )
        candidate = evolve(program, outputs=outputs)
        if candidate not in made:
            made.add(candidate)
            yield name, candidate


def _condition_changed(
    plan: ir.Plan,
    kind: Callable[[ir.Condition, random.Random], ir.Condition],
    chance: random.Random,
) -> tuple[str, ir.Plan]:
    count = filters_in(plan)
    if not count:
        return "", plan

    def change(condition: ir.Condition) -> ir.Condition:
        where = chance.choice(list(places(condition)))
        made = changed(condition, where, lambda part: kind(part, chance))
        # Programs that are read are simplified, and joins rely on it.
        return made if ir.as_stages(plan) is not None else ir.simplify(made)

    return kind.__name__, with_condition(plan, change, chance.randrange(count))


def _plan_changed(plan: ir.Plan, kind: PlanChange, chance: random.Random) -> tuple[str, ir.Plan]:
    """The plan with one of the plans in it changed, of those that the change is for."""
    if kind in WHOLE_REWRITES:
        return kind.__name__, kind(plan, chance)
    able: list[int] = []

    def go(one: ir.Plan, wanted: int | None, seen: list[int]) -> ir.Plan:
        made = ir.map_plans(one, lambda part: go(part, wanted, seen))
        other = kind(made, chance)
        number = seen[0]
        seen[0] += 1
        if wanted is None and other != made:
            able.append(number)
        return other if number == wanted else made

    go(plan, None, [0])
    if not able:
        return "", plan
    return kind.__name__, go(plan, chance.choice(able), [0])


def mutants(program: ir.Program, most: int, seed: int = 0) -> Iterator[tuple[str, ir.Program]]:
    """Programs that differ from one in a single place, each with the kind of the change."""
    return _varied(program, MUTATIONS, PLAN_MUTATIONS, most, random.Random(seed))


def rewrites(program: ir.Program, most: int, seed: int = 0) -> Iterator[tuple[str, ir.Program]]:
    """Programs that say the same in another way."""
    return _varied(program, REWRITES, (*PLAN_REWRITES, *WHOLE_REWRITES), most, random.Random(seed))
