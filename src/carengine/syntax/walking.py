"""Walking over syntax trees: what is in an expression or a statement, and the same with other
parts.

Each function names every node class and ends in ``assert_never``, so that mypy tells whoever adds a
node which of them have to learn it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import assert_never

from attrs import evolve

from . import ast


def children(expr: ast.Expression) -> tuple[ast.Expression, ...]:
    """The expressions directly inside one, from left to right."""
    match expr:
        case ast.AndExpression(items) | ast.OrExpression(items) | ast.ListExpression(items):
            return items
        case ast.CallExpression(_, arguments):
            return arguments
        case ast.NotExpression(item) | ast.ExistsExpression(item):
            return (item,)
        case ast.ComparisonExpression(first, rest):
            return (first, *(item for _, item in rest))
        case ast.InExpression(value, of) | ast.ContainsExpression(value, of):
            return (value, of)
        case ast.MatchExpression(value, regex):
            return (value, regex)
        case ast.ArithmeticExpression(_, left, right):
            return (left, right)
        case ast.RawContainsExpression(text):
            return (text,)
        case ast.RankExpression(value, _, field):
            return (value, field)
        case ast.FieldPath() | ast.StringLiteral() | ast.NumberLiteral() | ast.DurationLiteral():
            return ()
        case ast.NetworkLiteral() | ast.NullLiteral() | ast.NowLiteral() | ast.BooleanLiteral():
            return ()
        case _:
            assert_never(expr)


def map_children(
    expr: ast.Expression, change: Callable[[ast.Expression], ast.Expression]
) -> ast.Expression:
    """The expression with another one in the place of each directly inside it.

    The texts of ``match`` and ``in raw event`` stay as they are, and what a rank counts has to stay
    a path.
    """
    match expr:
        case ast.AndExpression(items) | ast.OrExpression(items) | ast.ListExpression(items):
            return evolve(expr, items=tuple(map(change, items)))
        case ast.CallExpression(_, arguments):
            return evolve(expr, arguments=tuple(map(change, arguments)))
        case ast.NotExpression(item):
            return evolve(expr, item=change(item))
        case ast.ComparisonExpression(first, rest):
            changed = tuple((sign, change(item)) for sign, item in rest)
            return evolve(expr, first=change(first), rest=changed)
        case ast.InExpression(value, items) | ast.ContainsExpression(value, items):
            return evolve(expr, value=change(value), items=change(items))
        case ast.MatchExpression(value) | ast.ExistsExpression(value):
            return evolve(expr, value=change(value))
        case ast.ArithmeticExpression(_, left, right):
            return evolve(expr, left=change(left), right=change(right))
        case ast.RankExpression(value, _, field):
            counted = change(field)
            assert isinstance(counted, ast.FieldPath), "a rank counts the values of a field"
            return evolve(expr, value=change(value), field=counted)
        case ast.RawContainsExpression() | ast.FieldPath() | ast.StringLiteral():
            return expr
        case ast.NumberLiteral() | ast.DurationLiteral() | ast.NetworkLiteral():
            return expr
        case ast.NullLiteral() | ast.NowLiteral() | ast.BooleanLiteral():
            return expr
        case _:
            assert_never(expr)


def all_in(expr: ast.Expression) -> Iterator[ast.Expression]:
    """The expression and all inside it."""
    yield expr
    for item in children(expr):
        yield from all_in(item)


def fields_in(expr: ast.Expression) -> Iterator[ast.FieldPath]:
    """The paths in an expression."""
    return (item for item in all_in(expr) if isinstance(item, ast.FieldPath))


def tests_in(expr: ast.Expression) -> Iterator[ast.Expression]:
    """The tests that ``and``, ``or`` and ``not`` put together to a condition."""
    if isinstance(expr, ast.AndExpression | ast.OrExpression | ast.NotExpression):
        for item in children(expr):
            yield from tests_in(item)
    else:
        yield expr


def expressions(statement: ast.Statement) -> tuple[ast.Expression, ...]:
    """The expressions of a statement, keys and items included."""
    match statement:
        case ast.AssignStatement(_, _, value):
            return (value,)
        case ast.DefineStatement(_, defined):
            return _expressions_of(defined)
        case ast.InputStatement() | ast.OutputStatement():
            return ()
        case _:
            assert_never(statement)


def _expressions_of(
    defined: ast.StreamExpression | ast.Expression,
) -> tuple[ast.Expression, ...]:
    match defined:
        case ast.SearchExpression(_, condition):
            return () if condition is None else (condition,)
        case ast.FilterExpression(_, condition) | ast.JoinExpression(_, condition):
            return (condition,)
        case ast.GroupExpression(_, keys) | ast.CountExpression(_, keys):
            return keys
        case ast.SelectExpression(_, items):
            return tuple(item.value for item in items)
        case ast.RunExpression():
            return ()
        case _:
            value: ast.Expression = defined
            return (value,)


def streams_of(statement: ast.Statement) -> tuple[ast.Name, ...]:
    """The streams that a statement reads by their names alone."""
    match statement:
        case ast.DefineStatement(_, defined):
            return _streams_in(defined)
        case ast.OutputStatement(names):
            return names
        case ast.AssignStatement() | ast.InputStatement():
            return ()
        case _:
            assert_never(statement)


def _streams_in(defined: ast.StreamExpression | ast.Expression) -> tuple[ast.Name, ...]:
    match defined:
        case ast.FilterExpression(stream):
            return (stream,)
        case ast.SelectExpression(stream) | ast.CountExpression(stream):
            return (stream,)
        case ast.JoinExpression(streams) | ast.GroupExpression(streams):
            return streams
        case ast.SearchExpression() | ast.RunExpression():
            return ()
        case _:
            # A value reads streams only as the beginnings of paths.
            _value: ast.Expression = defined
            return ()


def reads(program: ast.SyntaxTree) -> Counter[tuple[str, int]]:
    """How often each definition is read, as a stream or as the beginning of a path.

    A definition is a name and the number of its statement; -1 stands for names that nothing defined
    before. What a stream gives to its own fields (``x.f = x.g``) does not count.
    """
    counts: Counter[tuple[str, int]] = Counter()
    defined: dict[str, int] = {}
    for number, statement in enumerate(program.statements):
        names = [name.text for name in streams_of(statement)]
        names += [item.path[0] for expr in expressions(statement) for item in fields_in(expr)]
        if isinstance(statement, ast.AssignStatement):
            names = [name for name in names if name != statement.stream.text]
        counts.update((name, defined.get(name, -1)) for name in names)
        if isinstance(statement, ast.DefineStatement):
            defined[statement.name.text] = number
    return counts
