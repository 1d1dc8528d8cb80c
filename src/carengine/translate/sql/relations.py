"""Common table expressions: their columns, and what expressions over them look up."""

from __future__ import annotations

from collections.abc import Iterator

from attrs import field, frozen

from ... import ir
from ..reads import leaves
from .expressions import Form

Key = tuple[str | None, str]
"""A column of a relation as programs call it: the branch, if any, and the name."""


@frozen
class Column:
    """A column of a relation: its name in SQL, and what it holds."""

    name: str
    form: Form = Form.TEXT
    whole: bool = False
    type: ir.Type = ir.Type.ANY


@frozen
class Relation:
    """A common table expression.

    ``columns`` are those that programs can read, ``ids`` those that tell which events a row is made of, ``time`` is there
    always, as microseconds or NULL. Of a group, ``group`` names the keys' columns and the number's.
    """

    name: str
    columns: dict[Key, Column] = field(hash=False)
    ids: tuple[str, ...]
    group: tuple[str, ...] = ()
    values: tuple[str, ...] = ()


def lookups_in(value: ir.Value) -> list[ir.Lookup]:
    """The counts of other streams that a value looks up."""
    return [leaf for leaf in leaves(value) if isinstance(leaf, ir.Lookup)]


def lookups_of(condition: ir.Condition) -> list[ir.Lookup]:
    """The counts of other streams that a condition looks up."""
    return [
        found
        for atom in ir.atoms(condition)
        for value in ir.values_of(atom)
        for found in lookups_in(value)
    ]


def aggregates_in(value: ir.Value) -> Iterator[ir.Aggregate]:
    """The aggregates inside a value."""
    if isinstance(value, ir.Aggregate):
        yield value
    else:
        for part in ir.operands(value):
            yield from aggregates_in(part)


def type_in(value: ir.Value, source: Relation) -> ir.Type:
    """What a value over a relation is, as far as is known."""
    if isinstance(value, ir.Field) and value.type is ir.Type.ANY:
        found = source.columns.get((value.source, value.name))
        return ir.Type.ANY if found is None else found.type
    return ir.type_of(value)
