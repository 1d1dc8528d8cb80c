"""What a rule asks of a log, over the log's fields under the names that queries have for them."""

from __future__ import annotations

from typing import assert_never

from .. import ir
from .lowered import EntryView, column_name
from .translation import Findings
from .two_valued import (
    AllOf,
    AnyOf,
    AtomHolds,
    Const,
    IsPresent,
    Negated,
    TwoValued,
    any_of,
)
from .two_valued.rewriter import TwoValuedRewriter


def expanded(views: tuple[EntryView, ...]) -> ir.Condition:
    """What the views of a stream ask of a log's own fields, with what functions of its map are made
    of in their place: never unknown, over fields under the names that queries have for them.

    Raises `Untranslatable` where a function has no such form.
    """
    rewriter = TwoValuedRewriter(Findings("", ""))
    return _plain(any_of(rewriter.true_of(view.condition) for view in views))


def _plain(condition: TwoValued) -> ir.Condition:
    """A condition with two truth values over fields under the names that queries have for them."""
    match condition:
        case Const(value):
            return ir.Truth(value)
        case AllOf(items):
            return ir.And(tuple(map(_plain, items)))
        case AnyOf(items):
            return ir.Or(tuple(map(_plain, items)))
        case Negated(item):
            return ir.Not(_plain(item))
        case IsPresent(field):
            return ir.Not(ir.IsNull(ir.Field(column_name(field.path))))
        case AtomHolds(atom):
            return ir.IsTrue(ir.rewrite_operands(atom, _of_field))
        case _:
            assert_never(condition)


def _of_field(value: ir.Value) -> ir.Value:
    return ir.rewrite_value(
        value,
        lambda inner: (
            ir.Field(column_name(inner.path), None, inner.type)
            if isinstance(inner, ir.Raw)
            else inner
        ),
    )
