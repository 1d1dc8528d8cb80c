"""What a program reads of events: the fields and atoms of all its plans, those of looked-up streams
included."""

from __future__ import annotations

from collections.abc import Iterator

from .. import ir


def values_read(plan: ir.Plan) -> Iterator[ir.Value]:
    """The values that a plan itself reads or makes, those that its ranks count among them."""
    yield from ir.values_of_plan(plan)
    yield from (atom.of for atom in ir.atoms_of_plan(plan) if isinstance(atom, ir.Rank))


def fields_of_plan(plan: ir.Plan) -> list[ir.Field]:
    """The fields that a program reads of events, without branches, each once."""
    found: dict[str, ir.Field] = {}
    for part in ir.every_plan((plan,)):
        for value in values_read(part):
            for leaf in ir.leaves(value):
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
    for part in ir.every_plan((plan,)):
        yield from ir.atoms_of_plan(part)


def with_clock(plan: ir.Plan) -> bool:
    """Whether a plan looks at the reference time."""
    return any(
        isinstance(leaf, ir.Now)
        for part in ir.every_plan((plan,))
        for value in ir.values_of_plan(part)
        for leaf in ir.leaves(value)
    )
