"""Common table expressions: their columns, and what expressions over them look up."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from attrs import field, frozen

from ... import ir
from ..lowered import EntryView
from .expressions import SqlWriter
from .values import NULL, Form, SqlExpression

Key = tuple[str | None, str]
"""A column of a relation as programs call it: the branch, if any, and the name."""


@frozen
class SqlColumn:
    """A column of a relation: its name in SQL, and what it holds."""

    name: str
    form: Form = Form.TEXT
    whole: bool = False
    type: ir.Type = ir.Type.ANY


@frozen
class SqlRelation:
    """A common table expression.

    ``columns`` are those that programs can read, ``ids`` those that tell which events a row is made
    of, ``time`` is there always, as microseconds or NULL. Of a group, ``group`` names the keys'
    columns and the number's.
    """

    name: str
    columns: dict[Key, SqlColumn] = field(hash=False)
    ids: tuple[str, ...]
    group: tuple[str, ...] = ()
    values: tuple[str, ...] = ()


def lookups_in(value: ir.Value) -> list[ir.Lookup]:
    """The counts of other streams that a value looks up."""
    return [leaf for leaf in ir.leaves(value) if isinstance(leaf, ir.Lookup)]


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


def type_in(value: ir.Value, source: SqlRelation) -> ir.Type:
    """What a value over a relation is, as far as is known."""
    if isinstance(value, ir.Field) and value.type is ir.Type.ANY:
        found = source.columns.get((value.source, value.name))
        return ir.Type.ANY if found is None else found.type
    return ir.type_of(value)


def cell(made: SqlExpression, writer: SqlWriter) -> str:
    """A column as SQL; what is always null as a text."""
    return f"CAST(NULL AS {writer.dialect.text})" if made.null else made.sql


def _alike(own: SqlExpression, views: Sequence[SqlExpression], writer: SqlWriter) -> str:
    """A column as SQL, of the type that it has in the query's other parts, which are among
    ``views``."""
    there = [made for made in views if not made.null]
    forms = {made.form for made in there}
    if len(forms) > 1:
        return cell(own, writer) if own.null else writer.text(own)
    if not own.null or forms <= {Form.TEXT}:
        return cell(own, writer)
    if Form.LIST in forms:
        return "NULL"
    double = any(made.form is Form.NUMBER and not made.whole for made in there)
    return f"CAST(NULL AS {writer.dialect.double if double else writer.dialect.integer})"


def cells_of_views(views: Sequence[EntryView], writer: SqlWriter) -> Iterator[list[str]]:
    """What is selected of each kind of event that a query looks at: its number, its kind, and the
    fields that are added or shown."""
    shown: list[dict[str, SqlExpression]] = []
    for view in views:
        assigned = dict(view.assigned)
        names = tuple(assigned) if view.columns is None else view.columns
        shown.append({n: writer.shown(assigned[n]) if n in assigned else NULL for n in names})
    for view, made in zip(views, shown, strict=True):
        yield [
            writer.name("event_id"),
            f"{writer.literal(str(view.kind))} AS {writer.name('kind')}",
            *(
                f"{_alike(own, [v[n] for v in shown if n in v], writer)} AS {writer.name(n)}"
                for n, own in made.items()
            ),
        ]


def events_query(views: tuple[EntryView, ...], writer: SqlWriter, table_name: str) -> str:
    """The query over single events: whole rows, or the fields that a rule adds or selects."""
    table = writer.name(table_name)
    parts = []
    if all(view.columns is None and not view.assigned for view in views):
        condition = ir.simplify(ir.Or(tuple(view.condition for view in views)))
        parts.append(f"SELECT {table}.* FROM {table} WHERE {writer.condition(condition)}")
    else:
        for view, cells in zip(views, cells_of_views(views, writer), strict=True):
            where = writer.condition(view.condition)
            parts.append(f"SELECT {', '.join(cells)} FROM {table} WHERE {where}")
    return writer.dialect.union.join(parts)
