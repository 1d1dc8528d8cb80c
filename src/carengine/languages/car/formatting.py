"""Canonical source: one layout, and the data model's own spelling of objects, actions and fields.

``format_program`` prints a program; ``format_rule`` prints a whole ``.car`` text and leaves its
front matter as it is, byte for byte. Printing never changes what a program means: what a field is
called in its results is kept, even where it is spelt otherwise than the data model spells it::

    a = SEARCH process:CREATE WHERE ImagePath == "x"      a = search Process:Create where image_path = "x"
    b = from a select Image_Path                          b = from a select Image_Path   (the column's name)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import assert_never

from attrs import evolve

from ...datamodel import DataModel, model
from ...diagnostics import Block, CarError, Source, Span, has_errors
from ...resolve import InputConstant, Path, RunTarget, resolve_program
from ...rule import frontmatter
from ...syntax import ast, parse_program, print_program
from ...syntax.walking import map_children

_Spellings = Mapping[Span, tuple[Path, Path]]


def format_program(
    program: ast.SyntaxTree,
    datamodel: DataModel | None = None,
    *,
    analytics: Callable[[str], RunTarget | None] = lambda _id: None,
    parameters: Mapping[str, InputConstant] | None = None,
) -> str:
    """The program's canonical text, with its comments; every line has its line end.

    ``analytics`` finds the rules that the program runs, whose fields are spelt as they are written
    where it finds none. ``parameters`` are values of its inputs. What does not resolve is printed as it is spelt. Raises ValueError for a
    program made in code that no text says.

    >>> print(format_program(parse_program('a = SEARCH process:create output a').program), end="")
    a = search Process:Create
    output a
    """
    known = datamodel or model()
    resolution = resolve_program(
        program, datamodel=known, analytics=analytics, parameters=parameters
    )
    spellings = {span: (written, meant) for span, written, meant in resolution.spelt}
    statements = tuple(_statement(s, spellings, known) for s in program.statements)
    return print_program(evolve(program, statements=statements))


def format_rule(
    text: str,
    name: str = "<text>",
    datamodel: DataModel | None = None,
    *,
    analytics: Callable[[str], RunTarget | None] = lambda _id: None,
) -> str:
    """A ``.car`` text with its program in canonical form; the front matter is left alone.

    Raises `CarError` where the program has syntax errors: what was not understood cannot be
    printed.

    >>> format_rule('a = search process:create where EXE = "x" output a').splitlines()[0]
    'a = search Process:Create where exe = "x"'
    """
    block = Block.whole(Source(name, text))
    front = frontmatter.split(block)
    start = front.body
    body = Block(block.source, text[start:], range(start, len(text) + 1))
    parsed = parse_program(body)
    if has_errors(parsed.diagnostics):
        raise CarError(parsed.diagnostics)
    inputs = frontmatter.inputs(frontmatter.FrontMatterFields(front.root))
    values = {one.name: one.current for one in inputs if one.name}
    printed = format_program(parsed.program, datamodel, analytics=analytics, parameters=values)
    if "\r\n" in text[start:]:
        printed = printed.replace("\n", "\r\n")
    return text[:start] + printed


def _statement(statement: ast.Statement, spellings: _Spellings, known: DataModel) -> ast.Statement:
    match statement:
        case ast.DefineStatement(_, value):
            return evolve(statement, value=_defined(value, spellings, known))
        case ast.AssignStatement(_, path, value):
            written, meant = spellings.get(statement.span, (path, path))
            return evolve(
                statement,
                field=meant if written == path else path,
                value=_expression(value, spellings),
            )
        case ast.InputStatement() | ast.OutputStatement():
            return statement
        case _:
            assert_never(statement)


def _defined(
    value: ast.StreamExpression | ast.Expression, spellings: _Spellings, known: DataModel
) -> ast.StreamExpression | ast.Expression:
    match value:
        case ast.SearchExpression(kinds, condition):
            kinds = tuple(_kind(kind, known) for kind in kinds)
            where = None if condition is None else _expression(condition, spellings)
            return evolve(value, kinds=kinds, condition=where)
        case ast.FilterExpression(_, condition) | ast.JoinExpression(_, condition):
            return evolve(value, condition=_expression(condition, spellings))
        case ast.GroupExpression(_, keys) | ast.CountExpression(_, keys):
            return evolve(value, keys=tuple(_field(key, spellings) for key in keys))
        case ast.SelectExpression(_, items):
            return evolve(value, items=tuple(_item(item, spellings) for item in items))
        case ast.RunExpression():
            return value
        case _:
            expression: ast.Expression = value
            return _expression(expression, spellings)


def _item(item: ast.SelectItem, spellings: _Spellings) -> ast.SelectItem:
    """Without ``as`` the column is called what the field is called here, so that stays."""
    if item.alias is None:
        return item
    return evolve(item, value=_expression(item.value, spellings))


def _kind(kind: ast.KindName | ast.SourceName, known: DataModel) -> ast.KindName | ast.SourceName:
    if isinstance(kind, ast.SourceName):
        product, name, service = (p.lower() for p in (kind.product, kind.name, kind.service))
        return evolve(kind, product=product, name=name, service=service)
    spec = known.object(kind.object.text)
    if spec is None:
        return kind
    object_ = evolve(kind.object, text=spec.title)
    action = None if kind.action is None else spec.action(kind.action.text)
    if kind.action is None or action is None:
        return evolve(kind, object=object_)
    return evolve(kind, object=object_, action=evolve(kind.action, text=action.title))


def _field(field: ast.FieldPath, spellings: _Spellings) -> ast.FieldPath:
    written, meant = spellings.get(field.span, (field.path, field.path))
    kept = len(field.path) - len(written)
    if kept < 0 or field.path[kept:] != written:
        return field
    return evolve(field, path=(*field.path[:kept], *meant))


def _expression(expression: ast.Expression, spellings: _Spellings) -> ast.Expression:
    if isinstance(expression, ast.FieldPath):
        return _field(expression, spellings)
    return map_children(expression, lambda inner: _expression(inner, spellings))
