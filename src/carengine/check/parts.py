"""The parts of a condition: each piece of the meaning together with the place where it is written.

A ``Part`` is one node: ``and``, ``or``, ``not`` or a test. Lists are taken apart, so that a finding
can point at one item of ``exe in ["a.exe", "b.exe"]``::

    Part("or", Match(exe, (a.exe, b.exe)), "exe in […]", (
        Part("test", Match(exe, (a.exe,)), "a.exe"), Part("test", Match(exe, (b.exe,)), "b.exe")))
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from attrs import evolve, frozen

from .. import ir
from ..diagnostics import Span
from ..pattern import Pattern
from ..syntax import ast

Kind = Literal["and", "or", "not", "test"]
Lists = Mapping[str, ast.ListExpression]

_MAX_ITEMS = 300


@frozen
class Part:
    """A piece of a condition. ``span`` is None where it is written nowhere.

    ``item`` tells that it is one of several texts of a list, not a condition of its own; ``shared``
    that the list has a name, so that others may use it too. ``words`` is what it is called where
    its place does not say it: a Sigma rule's detection, or an item with its field.
    """

    kind: Kind
    condition: ir.Condition
    span: Span | None
    parts: tuple[Part, ...] = ()
    syntax: ast.Expression | None = None
    item: bool = False
    shared: bool = False
    words: str = ""


def parts_of(expression: ast.Expression, condition: ir.Condition, lists: Lists) -> Part:
    """The parts of a condition as written. ``lists`` are the lists that names stand for."""
    span = expression.span
    match expression, condition:
        case (ast.AndExpression(items), ir.And(conditions)) if len(items) == len(conditions):
            inner = _each(items, conditions, lists)
            return Part("and", condition, span, inner, expression)
        case (ast.OrExpression(items), ir.Or(conditions)) if len(items) == len(conditions):
            inner = _each(items, conditions, lists)
            return Part("or", condition, span, inner, expression)
        case ast.NotExpression(item), ir.Not(negated):
            return Part("not", condition, span, (parts_of(item, negated, lists),), expression)
        case ast.ComparisonExpression(_, rest), ir.And(conditions) if (
            len(rest) == len(conditions) > 1
        ):
            return Part("and", condition, span, tuple(map(part_of, conditions)), expression)
        case _, ir.Not(negated) if not isinstance(negated, ir.IsNull):
            test = _test(expression, negated, lists)
            return Part("not", condition, span, (test,), expression)
        case _:
            return _test(expression, condition, lists)


def _each(
    items: Sequence[ast.Expression], conditions: Sequence[ir.Condition], lists: Lists
) -> tuple[Part, ...]:
    return tuple(parts_of(a, b, lists) for a, b in zip(items, conditions, strict=True))


def part_of(condition: ir.Condition) -> Part:
    """The parts of a condition of which only the tests know where they are written."""
    match condition:
        case ir.And(items):
            return Part("and", condition, None, tuple(map(part_of, items)))
        case ir.Or(items):
            return Part("or", condition, None, tuple(map(part_of, items)))
        case ir.Not(ir.IsNull(_, place)):
            return Part("test", condition, place)
        case ir.Not(item):
            inner = part_of(item)
            return Part("not", condition, inner.span, (inner,))
        case ir.IsTrue() | ir.Truth():
            return Part("test", condition, None)
        case _:
            return Part("test", condition, condition.span)


def _test(expression: ast.Expression, condition: ir.Condition, lists: Lists) -> Part:
    whole = Part("test", condition, expression.span, (), expression)
    items = _items(expression, lists)
    if items is None or not 1 < len(items) <= _MAX_ITEMS:
        return whole
    made = _taken_apart(items, condition, inside=isinstance(expression, ast.ContainsExpression))
    if made is None:
        return whole
    if isinstance(_operand(expression), ast.FieldPath):
        made = tuple(evolve(part, shared=True) for part in made)
    return Part("or", condition, expression.span, made, expression)


def _operand(expression: ast.Expression) -> ast.Expression | None:
    """What stands behind ``in``, ``contains`` or a comparison sign."""
    match expression:
        case (
            ast.InExpression(_, operand)
            | ast.ContainsExpression(_, operand)
            | ast.ComparisonExpression(_, ((_, operand),))
        ):
            return operand
        case _:
            return None


def _items(expression: ast.Expression, lists: Lists) -> tuple[ast.Expression, ...] | None:
    operand = _operand(expression)
    if isinstance(operand, ast.FieldPath):
        operand = lists.get(operand.text, operand)
    return operand.items if isinstance(operand, ast.ListExpression) else None


def _taken_apart(
    items: tuple[ast.Expression, ...], condition: ir.Condition, *, inside: bool
) -> tuple[Part, ...] | None:
    """One part an item; None where the items are not those that the condition was made of."""
    tests = list(condition.items) if isinstance(condition, ir.Or) else [condition]
    matching = next((test for test in tests if isinstance(test, ir.Match)), None)
    networks = next((test for test in tests if isinstance(test, ir.InNetwork)), None)
    others = [test for test in tests if test is not matching and not _is_bare(test, items)]
    made: list[Part] = []
    for item in items:
        test: ir.Condition | None = None
        match item:
            case ast.NetworkLiteral(text) if networks is not None:
                test = ir.InNetwork(networks.value, (text,), item.span)
            case ast.StringLiteral(text) if matching is not None:
                pattern = _pattern(text, matching.patterns, inside=inside)
                test = None if pattern is None else ir.Match(matching.value, (pattern,), item.span)
        if test is None:
            if not others:
                return None
            test = others.pop(0)
        made.append(Part("test", test, item.span, (), item, item=True))
    return tuple(made) if not others else None


def _is_bare(test: ir.Condition, items: Sequence[ast.Expression]) -> bool:
    """Whether the test is the one that the list's bare networks were put into together."""
    bare = tuple(item.text for item in items if isinstance(item, ast.NetworkLiteral))
    return isinstance(test, ir.InNetwork) and test.networks == bare


def _pattern(text: str, patterns: Sequence[Pattern], *, inside: bool) -> Pattern | None:
    if inside:
        before = "" if text.startswith("*") else "*"
        after = "" if text.endswith("*") and not text.endswith("[*") else "*"
        text = f"{before}{text}{after}"
    return Pattern(text) if Pattern(text) in patterns else None
