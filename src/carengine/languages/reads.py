"""What a program reads of events: the fields and atoms of all its plans, those of looked-up streams
included."""

from __future__ import annotations

from collections.abc import Iterator

from .. import ir


def plans_of(plan: ir.Plan, seen: set[int]) -> Iterator[ir.Plan]:
    """A plan and all plans below it, each once."""
    if id(plan) in seen:
        return
    seen.add(id(plan))
    yield plan
    match plan:
        case ir.Filter(inner) | ir.Assign(inner) | ir.Project(inner) | ir.Distinct(inner):
            yield from plans_of(inner, seen)
        case ir.Join(branches):
            for branch in branches:
                yield from plans_of(branch.plan, seen)
        case ir.Group(plans) | ir.Union(plans) | ir.Window(plans):
            for inner in plans:
                yield from plans_of(inner, seen)
        case ir.Aggregated(group):
            yield from plans_of(group, seen)
        case ir.Difference(left, right):
            yield from plans_of(left, seen)
            yield from plans_of(right, seen)
    for value in values_of_plan(plan):
        for leaf in leaves(value):
            if isinstance(leaf, ir.Whole | ir.Lookup):
                yield from plans_of(leaf.plan, seen)
    for atom in own_atoms(plan):
        if isinstance(atom, ir.Rank):
            yield from plans_of(atom.plan, seen)


def own_atoms(plan: ir.Plan) -> Iterator[ir.Condition]:
    """The atoms of a plan's own condition."""
    match plan:
        case ir.Filter(_, condition) | ir.Join(_, condition):
            yield from ir.atoms(condition)


def values_of_plan(plan: ir.Plan) -> Iterator[ir.Value]:
    """The values that a plan itself reads or makes."""
    for atom in own_atoms(plan):
        yield from ir.values_of(atom)
        if isinstance(atom, ir.Rank):
            yield atom.of
    match plan:
        case ir.Assign(_, _, value) | ir.Distinct(_, value):
            yield value
        case ir.Project(_, columns) | ir.Aggregated(_, columns):
            yield from (column.value for column in columns)
        case ir.Group(_, keys):
            yield from keys
        case ir.Difference(_, _, fields):
            yield from fields


def leaves(value: ir.Value) -> Iterator[ir.Value]:
    """The values at the ends of an expression."""
    inner = ir.operands(value)
    if not inner:
        yield value
    for part in inner:
        yield from leaves(part)


def fields_of_plan(plan: ir.Plan) -> list[ir.Field]:
    """The fields that a program reads of events, without branches, each once."""
    found: dict[str, ir.Field] = {}
    for part in plans_of(plan, set()):
        for value in values_of_plan(part):
            for leaf in leaves(value):
                fields = leaf.keys if isinstance(leaf, ir.Lookup) else (leaf,)
                for one in fields:
                    if isinstance(one, ir.Field):
                        plain = ir.Field(one.name, None, one.type)
                        known = found.setdefault(one.name, plain)
                        if known.type is ir.Type.ANY:
                            found[one.name] = plain
    return list(found.values())


def atoms_of_plan(plan: ir.Plan) -> Iterator[ir.Condition]:
    """The atoms of a plan and of all below it."""
    for part in plans_of(plan, set()):
        yield from own_atoms(part)


def with_clock(plan: ir.Plan) -> bool:
    """Whether a plan looks at the reference time."""
    return any(
        isinstance(leaf, ir.Now)
        for part in plans_of(plan, set())
        for value in values_of_plan(part)
        for leaf in leaves(value)
    )
