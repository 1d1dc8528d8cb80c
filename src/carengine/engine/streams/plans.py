"""Plans made ready for streaming: the same rows, with the work where it is cheapest.

* A filter is split: what one event decides moves to the search below it, and so into the compiled
  matcher.
* A join hands the parts of its condition that speak of one branch to that branch, and keeps those
  that only the whole data decides for a filter above it.

``a = join (x, y) where x.exe = "a.exe" and x.pid = y.ppid`` becomes a join over ``filter x where
exe = "a.exe"``.
"""

from __future__ import annotations

from collections.abc import Iterator

from ... import ir
from .bounds import conjuncts, inside, stated_limits
from .relational import branch_of


def prepare(plan: ir.Plan, known: dict[ir.Plan, ir.Plan] | None = None) -> ir.Plan:
    """An equivalent plan whose conditions stand as low as they can. ``known`` is shared between
    calls."""
    known = {} if known is None else known
    if plan not in known:
        known[plan] = _prepared(plan, known)
    return known[plan]


def _prepared(plan: ir.Plan, known: dict[ir.Plan, ir.Plan]) -> ir.Plan:
    match plan:
        case ir.Filter(inner, condition):
            return _filtered(prepare(inner, known), condition)
        case ir.Join():
            return _joined(plan, known)
        case _:
            return ir.map_plans(plan, lambda part: prepare(part, known))


def _filtered(plan: ir.Plan, condition: ir.Condition) -> ir.Plan:
    parts = conjuncts(condition)
    alone = tuple(part for part in parts if ir.is_stateless(part))
    rest = tuple(part for part in parts if not ir.is_stateless(part))
    made = plan
    if alone or not rest:
        made = ir.Filter(made, ir.conjunction(alone))
    return ir.Filter(made, ir.conjunction(rest)) if rest else made


def _joined(join: ir.Join, known: dict[ir.Plan, ir.Plan]) -> ir.Plan:
    names = [branch.name for branch in join.branches]
    own: dict[str, list[ir.Condition]] = {name: [] for name in names}
    between: list[ir.Condition] = []
    above: list[ir.Condition] = []
    for part in conjuncts(join.condition):
        if needs_whole(part) or needs_now(part):
            above.append(part)
            continue
        name = _only_branch(part, names)
        if name is None:
            between.append(part)
        else:
            own[name].append(_inside(part, name))
    branches = []
    for branch in join.branches:
        plan = prepare(branch.plan, known)
        if own[branch.name]:
            plan = prepare(ir.Filter(plan, ir.conjunction(tuple(own[branch.name]))), known)
        branches.append(ir.Branch(branch.name, plan))
    made: ir.Plan = ir.Join(tuple(branches), ir.conjunction(tuple(between)), join.span)
    assert isinstance(made, ir.Join)
    assert stated_limits(made) == stated_limits(join), "distances are said between branches"
    return ir.Filter(made, ir.conjunction(tuple(above))) if above else made


def _only_branch(condition: ir.Condition, names: list[str]) -> str | None:
    found: set[str | None] = set()
    for atom in ir.atoms(condition):
        if isinstance(atom, ir.Truth) or ir.reads_raw_event(atom):
            return None
        for value in ir.values_of(atom):
            for leaf in ir.leaves(value):
                if isinstance(leaf, ir.Field):
                    found.add(branch_of(leaf, names))
                elif isinstance(leaf, ir.Aggregate):
                    return None
    return found.pop() if len(found) == 1 else None


def _inside(condition: ir.Condition, name: str) -> ir.Condition:
    def change(value: ir.Value) -> ir.Value:
        return (inside(value, name) or value) if isinstance(value, ir.Field) else value

    return ir.rewrite_condition(condition, change)


def needs_whole(part: ir.Condition | ir.Value) -> bool:
    """Whether only the whole data decides: an aggregate over a stream, a count looked up, a
    rank."""
    return any(isinstance(leaf, ir.Whole | ir.Lookup | ir.Rank) for leaf in ends_of(part))


def needs_now(part: ir.Condition | ir.Value) -> bool:
    """Whether the reference time is looked at."""
    return any(isinstance(leaf, ir.Now) for leaf in ends_of(part))


def ends_of(part: ir.Condition | ir.Value) -> Iterator[ir.Condition | ir.Value]:
    """The ranks of a condition and the values at the ends of its expressions."""
    if isinstance(part, ir.Value):
        yield from ir.leaves(part)
        return
    for atom in ir.atoms(part):
        if isinstance(atom, ir.Rank):
            yield atom
        for value in ir.values_of(atom):
            yield from ir.leaves(value)


def stages_of(plan: ir.Plan) -> Iterator[ir.Stage]:
    """All stages that a prepared plan is fed by, with repetition."""
    work = [plan]
    seen: set[ir.Plan] = set()
    while work:
        found = work.pop()
        if found in seen:
            continue
        seen.add(found)
        stages = ir.as_stages(found)
        if stages is not None:
            yield from stages
            continue
        work += ir.plans_below(found)
        work += [prepare(inner) for inner in ir.plans_beside(found)]
