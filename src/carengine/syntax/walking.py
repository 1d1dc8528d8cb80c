"""Walking over syntax trees: which names and texts are in them, and where."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from . import ast


def inner(expr: ast.Expression) -> tuple[ast.Expression, ...]:
    """The expressions directly inside one."""
    match expr:
        case (
            ast.AndExpression(items)
            | ast.OrExpression(items)
            | ast.ListExpression(items)
            | ast.CallExpression(_, items)
        ):
            return items
        case ast.NotExpression(item) | ast.ExistsExpression(item):
            return (item,)
        case ast.ComparisonExpression(first, rest):
            found: list[ast.Expression] = [first]
            found += [item for _, item in rest]
            return tuple(found)
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
        case _:
            return ()


def all_in(expr: ast.Expression) -> Iterator[ast.Expression]:
    """The expression and all inside it."""
    yield expr
    for item in inner(expr):
        yield from all_in(item)


def fields_in(expr: ast.Expression) -> Iterator[ast.FieldPath]:
    """The paths in an expression."""
    return (item for item in all_in(expr) if isinstance(item, ast.FieldPath))


def expressions(statement: ast.Statement) -> tuple[ast.Expression, ...]:
    """The expressions of a statement, keys and items included."""
    match statement:
        case ast.AssignStatement(_, _, value):
            return (value,)
        case ast.DefineStatement(_, ast.SearchExpression(_, condition)):
            return () if condition is None else (condition,)
        case ast.DefineStatement(
            _, ast.FilterExpression(_, condition) | ast.JoinExpression(_, condition)
        ):
            return (condition,)
        case ast.DefineStatement(_, ast.GroupExpression(_, keys) | ast.CountExpression(_, keys)):
            return keys
        case ast.DefineStatement(_, ast.SelectExpression(_, items)):
            return tuple(item.value for item in items)
        case ast.DefineStatement(_, ast.RunExpression()):
            return ()
        case ast.DefineStatement(_, value) if not isinstance(value, ast.StreamExpression):
            return (value,)
        case _:
            return ()


def streams_of(statement: ast.Statement) -> tuple[ast.Name, ...]:
    """The streams that a statement reads by their names alone."""
    match statement:
        case ast.DefineStatement(
            _,
            ast.FilterExpression(stream)
            | ast.SelectExpression(stream)
            | ast.CountExpression(stream),
        ):
            return (stream,)
        case ast.DefineStatement(_, ast.JoinExpression(streams) | ast.GroupExpression(streams)):
            return streams
        case ast.OutputStatement(names):
            return names
        case _:
            return ()


def reads(program: ast.SyntaxTree) -> Counter[tuple[str, int]]:
    """How often each definition is read, as a stream or as the beginning of a path.

    A definition is a name and the number of its statement; -1 stands for names that nothing defined
    before. What a stream gives to its own fields (``x.f = x.g``) does not count.
    """
    found: Counter[tuple[str, int]] = Counter()
    defined: dict[str, int] = {}
    for number, statement in enumerate(program.statements):
        names = [name.text for name in streams_of(statement)]
        names += [item.path[0] for expr in expressions(statement) for item in fields_in(expr)]
        if isinstance(statement, ast.AssignStatement):
            names = [name for name in names if name != statement.stream.text]
        found.update((name, defined.get(name, -1)) for name in names)
        if isinstance(statement, ast.DefineStatement):
            defined[statement.name.text] = number
    return found
