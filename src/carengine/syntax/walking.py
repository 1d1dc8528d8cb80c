"""Walking over syntax trees: which names and texts are in them, and where."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from . import ast


def inner(expr: ast.Expression) -> tuple[ast.Expression, ...]:
    """The expressions directly inside one."""
    match expr:
        case ast.And(items) | ast.Or(items) | ast.List(items) | ast.Call(_, items):
            return items
        case ast.Not(item) | ast.Exists(item):
            return (item,)
        case ast.Comparison(first, rest):
            found: list[ast.Expression] = [first]
            found += [item for _, item in rest]
            return tuple(found)
        case ast.In(value, of) | ast.Contains(value, of):
            return (value, of)
        case ast.Match(value, regex):
            return (value, regex)
        case ast.Arithmetic(_, left, right):
            return (left, right)
        case ast.RawContains(text):
            return (text,)
        case ast.Rank(value, _, field):
            return (value, field)
        case _:
            return ()


def all_in(expr: ast.Expression) -> Iterator[ast.Expression]:
    """The expression and all inside it."""
    yield expr
    for item in inner(expr):
        yield from all_in(item)


def fields_in(expr: ast.Expression) -> Iterator[ast.Field]:
    """The paths in an expression."""
    return (item for item in all_in(expr) if isinstance(item, ast.Field))


def expressions(statement: ast.Statement) -> tuple[ast.Expression, ...]:
    """The expressions of a statement, keys and items included."""
    match statement:
        case ast.Assign(_, _, value):
            return (value,)
        case ast.Define(_, ast.Search(_, condition)):
            return () if condition is None else (condition,)
        case ast.Define(_, ast.Filter(_, condition) | ast.Join(_, condition)):
            return (condition,)
        case ast.Define(_, ast.Group(_, keys) | ast.Count(_, keys)):
            return keys
        case ast.Define(_, ast.Select(_, items)):
            return tuple(item.value for item in items)
        case ast.Define(_, ast.Run()):
            return ()
        case ast.Define(_, value) if not isinstance(value, ast.StreamExpression):
            return (value,)
        case _:
            return ()


def streams_of(statement: ast.Statement) -> tuple[ast.Name, ...]:
    """The streams that a statement reads by their names alone."""
    match statement:
        case ast.Define(_, ast.Filter(stream) | ast.Select(stream) | ast.Count(stream)):
            return (stream,)
        case ast.Define(_, ast.Join(streams) | ast.Group(streams)):
            return streams
        case ast.Output(names):
            return names
        case _:
            return ()


def reads(program: ast.Program) -> Counter[tuple[str, int]]:
    """How often each definition is read, as a stream or as the beginning of a path.

    A definition is a name and the number of its statement; -1 stands for names that nothing defined
    before. What a stream gives to its own fields (``x.f = x.g``) does not count.
    """
    found: Counter[tuple[str, int]] = Counter()
    defined: dict[str, int] = {}
    for number, statement in enumerate(program.statements):
        names = [name.text for name in streams_of(statement)]
        names += [item.path[0] for expr in expressions(statement) for item in fields_in(expr)]
        if isinstance(statement, ast.Assign):
            names = [name for name in names if name != statement.stream.text]
        found.update((name, defined.get(name, -1)) for name in names)
        if isinstance(statement, ast.Define):
            defined[statement.name.text] = number
    return found
