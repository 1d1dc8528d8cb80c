"""From tree to text: the one spelling and layout of the language.

A statement stands on one line if the line is at most 100 characters long. Otherwise it is
broken where it has parts: a condition after each ``and`` or ``or``, a list after each comma::

    lsass_dump = filter files where (
      file_name = "lsass*.dmp" and
      (image_path = "C:\\\\Windows\\\\*\\\\taskmgr.exe" or
       image_path = "C:\\\\Tools\\\\*") and
      user != "SYSTEM")

Connected conditions stand in parentheses, also ``and`` inside ``or``, where the grammar would not
need them and readers do. A word that would be read as a keyword is written in backquotes.

A document describes all ways to lay a statement out (texts, possible line breaks, groups that are
broken as one), and ``_lay_out`` chooses, as Wadler's and Oppen's printers do. Each document carries
marks of where its parts stood in the source. Comments find their place by these: one that stood
behind something stays behind it, and one on a line of its own stays before what followed it. If two
would have to stand behind one line, both go before it, each on its own line.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from typing import assert_never

from attrs import frozen

from ..diagnostics import Span
from . import ast
from .lexical import STREAM_WORDS, quoted

WIDTH = 100

# Documents


@frozen
class _Break:
    """A space or nothing; in a broken group a new line."""

    flat: str


@frozen
class _Fill:
    """A space, or a new line where what follows does not fit any more; a space in a flat group."""


@frozen
class _Mark:
    """What follows stood here in the source. Takes no room."""

    span: Span


@frozen
class _Nest:
    """New lines inside are indented by so many more columns."""

    columns: int
    body: _Doc


@frozen
class _Group:
    """On one line if that fits; otherwise every break of its own is a new line."""

    body: _Doc


_Doc = str | _Break | _Fill | _Mark | _Nest | _Group | tuple["_Doc", ...]

_LINE = _Break(" ")
_SOFT = _Break("")
# Room kept free at the end of a filled line, for the brackets that may close there.
_CLOSING = 3


def _joined(separator: str, docs: Iterable[_Doc], between: _Doc = _LINE) -> _Doc:
    """The documents with a separator and a possible line break between each two."""
    parts: list[_Doc] = []
    for doc in docs:
        parts += [separator, between, doc] if parts else [doc]
    return tuple(parts)


@frozen
class _AlignedRow:
    """A line of output: its indentation, its text, and where its first part stood in the source."""

    indent: int
    text: str
    mark: Span | None


_Task = tuple[int, bool, _Doc]


def _lay_out(doc: _Doc) -> list[_AlignedRow]:
    rows: list[_AlignedRow] = []
    indent, column, parts, mark = 0, 0, list[str](), None
    tasks: list[_Task] = [(0, False, doc)]
    while tasks:
        columns, flat, item = tasks.pop()
        match item:
            case str():
                parts.append(item)
                column += len(item)
            case _Mark(span):
                mark = mark or span
            case _Break(text) if flat:
                parts.append(text)
                column += len(text)
            case _Fill() if flat or _fits((0, True, tasks[-1][2]), (), WIDTH - column - _CLOSING):
                parts.append(" ")
                column += 1
            case _Break() | _Fill():
                rows.append(_AlignedRow(indent, "".join(parts), mark))
                indent, column, parts, mark = columns, columns, [], None
            case _Nest(more, body):
                tasks.append((columns + more, flat, body))
            case _Group(body):
                fits = flat or _fits((columns, True, body), tasks, WIDTH - column)
                tasks.append((columns, fits, body))
            case _:
                tasks.extend((columns, flat, part) for part in reversed(item))
    rows.append(_AlignedRow(indent, "".join(parts), mark))
    return rows


def _fits(first: _Task, after: Sequence[_Task], room: int) -> bool:
    """Whether a document, and what follows it up to the next new line, takes at most ``room``
    columns."""
    tasks = [first]
    rest = len(after)
    while room >= 0:
        if not tasks:
            if rest == 0:
                return True
            rest -= 1
            tasks.append(after[rest])
        columns, flat, item = tasks.pop()
        match item:
            case str():
                room -= len(item)
            case _Break(text):
                if not flat:
                    return True
                room -= len(text)
            case _Fill():
                room -= 1
            case _Nest(_, body) | _Group(body):
                tasks.append((columns, flat, body))
            case _Mark():
                pass
            case _:
                tasks.extend((columns, flat, part) for part in reversed(item))
    return False


# Names and literals

_PLAIN = re.compile(r"(?![0-9])[\w@]+\Z")
_SOURCE = re.compile(r"(?:\*|[\w.+-]+)/(?:\*|[\w.+-]+)(?:/[\w.+-]+)?\Z")
_RULE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.\-]*\Z")
_VALUE_WORDS = frozenset({"not", "true", "false", "null", "now"})
_LINE_END = re.compile(r"[\r\n]")


def _name(text: str, reserved: frozenset[str] = frozenset()) -> str:
    """A name, in backquotes if it needs them."""
    if _PLAIN.match(text) and text.lower() not in reserved:
        return text
    if not text or _LINE_END.search(text):
        raise ValueError(f"not a name that can be written: {text!r}")
    return "`" + text.replace("`", "``") + "`"


def _path(path: Sequence[str]) -> str:
    first = _name(path[0], _VALUE_WORDS if len(path) == 1 else frozenset())
    return ".".join([first, *map(_name, path[1:])])


def _string(value: str) -> str:
    if _LINE_END.search(value):
        raise ValueError(f"a string of the language cannot hold a line end: {value!r}")
    return quoted(value)


def _number(value: int | float) -> str:
    if isinstance(value, int):
        return str(value)
    text = format(Decimal(repr(value)), "f")
    return text if "." in text else text + ".0"


_UNITS = (
    (86_400_000_000, "day"),
    (3_600_000_000, "hour"),
    (60_000_000, "minute"),
    (1_000_000, "second"),
    (1_000, "millisecond"),
    (1, "microsecond"),
)


def _duration(microseconds: int) -> str:
    """The length in the greatest unit that divides it."""
    if microseconds == 0:
        return "0 seconds"
    size, unit = next(item for item in _UNITS if microseconds % item[0] == 0)
    amount = microseconds // size
    return f"{amount} {unit}" if abs(amount) == 1 else f"{amount} {unit}s"


# Expressions, with how tightly each binds

_OR, _AND, _NOT, _COMPARE, _SUM, _PRODUCT, _ATOM = range(7)


def _binding(expr: ast.Expression) -> int:
    match expr:
        case ast.OrExpression():
            return _OR
        case ast.AndExpression():
            return _AND
        case ast.NotExpression():
            return _NOT
        case (
            ast.ComparisonExpression()
            | ast.InExpression()
            | ast.ContainsExpression()
            | ast.MatchExpression()
            | ast.ExistsExpression()
            | ast.RawContainsExpression()
            | ast.RankExpression()
        ):
            return _COMPARE
        case ast.ArithmeticExpression(ast.Sign.PLUS | ast.Sign.MINUS):
            return _SUM
        case ast.ArithmeticExpression():
            return _PRODUCT
        case ast.ListExpression() | ast.CallExpression() | ast.FieldPath() | ast.StringLiteral():
            return _ATOM
        case ast.NumberLiteral() | ast.DurationLiteral() | ast.NetworkLiteral():
            return _ATOM
        case ast.NullLiteral() | ast.NowLiteral() | ast.BooleanLiteral():
            return _ATOM
        case _:
            assert_never(expr)


def _expression(expr: ast.Expression, least: int = _OR) -> _Doc:
    """The expression, in parentheses if it binds less tightly than ``least``."""
    body = (_Mark(expr.span), _bare(expr))
    if _binding(expr) >= least:
        return body
    return _Group(("(", _Nest(1, body), ")"))


def _bare(expr: ast.Expression) -> _Doc:
    match expr:
        case ast.OrExpression(items):
            return _joined(" or", [_expression(item, _NOT) for item in items])
        case ast.AndExpression(items):
            return _joined(" and", [_expression(item, _NOT) for item in items])
        case ast.NotExpression(item):
            return "not ", _expression(item, _NOT)
        case ast.ComparisonExpression(first, rest):
            tail = [(f" {sign.value} ", _expression(item, _SUM)) for sign, item in rest]
            return _expression(first, _SUM), *tail
        case ast.InExpression(value, items, negated):
            return _expression(value, _SUM), " not in " if negated else " in ", _operand(items)
        case ast.ContainsExpression(value, items, negated):
            word = " does not contain " if negated else " contains "
            return _expression(value, _SUM), word, _operand(items)
        case ast.MatchExpression(value, regex):
            return _expression(value, _SUM), " match ", _string(regex.value)
        case ast.ExistsExpression(value):
            return _expression(value, _SUM), " exists"
        case ast.RawContainsExpression(text, negated):
            return _string(text.value), " not in raw event" if negated else " in raw event"
        case ast.RankExpression(value, count, field, bottom, negated):
            words = f"{'not ' if negated else ''}in {'bottom' if bottom else 'top'} {count} of"
            return _expression(value, _SUM), f" {words} {_path(field.path)}"
        case ast.ArithmeticExpression(sign, left, right):
            level = _binding(expr)
            return _expression(left, level), f" {sign.value} ", _expression(right, level + 1)
        case ast.ListExpression(items):
            return _enclosed("[", [_expression(item) for item in items], "]", _Fill())
        case ast.CallExpression(function, arguments):
            name = _name(function, _VALUE_WORDS)
            if not arguments:
                return name + ("(*)" if function.lower() == "count" else "()")
            return _enclosed(f"{name}(", [_expression(item) for item in arguments], ")")
        case _:
            return _leaf(expr)


def _operand(expr: ast.Expression) -> _Doc:
    return _expression(expr, _SUM)


def _enclosed(opening: str, items: Sequence[_Doc], closing: str, between: _Doc = _LINE) -> _Doc:
    if not items:
        return opening + closing
    return _Group((opening, _Nest(2, (_SOFT, _joined(",", items, between))), closing))


_Leaf = (
    ast.FieldPath
    | ast.StringLiteral
    | ast.NumberLiteral
    | ast.DurationLiteral
    | ast.NetworkLiteral
    | ast.NullLiteral
    | ast.NowLiteral
    | ast.BooleanLiteral
)


def _leaf(expr: _Leaf) -> str:
    match expr:
        case ast.FieldPath(path):
            return _path(path)
        case ast.StringLiteral(value):
            return _string(value)
        case ast.NumberLiteral(value):
            return _number(value)
        case ast.DurationLiteral(microseconds):
            return _duration(microseconds)
        case ast.NetworkLiteral(text):
            return text
        case ast.NullLiteral():
            return "null"
        case ast.NowLiteral():
            return "now"
        case ast.BooleanLiteral(truth):
            return "true" if truth else "false"
        case _:
            assert_never(expr)


def _where(condition: ast.Expression) -> _Doc:
    if isinstance(condition, ast.AndExpression | ast.OrExpression):
        return _Group(("where (", _Nest(2, (_SOFT, _expression(condition))), ")"))
    return "where ", _expression(condition)


# Statements


def _leftmost(expr: ast.Expression) -> str:
    """The name that an expression's text begins with, if it begins with one."""
    while True:
        match expr:
            case ast.FieldPath((name,)) | ast.CallExpression(name):
                return name
            case ast.ArithmeticExpression(_, inner, _) | ast.ComparisonExpression(inner):
                expr = inner
            case (
                ast.InExpression(inner)
                | ast.ContainsExpression(inner)
                | ast.MatchExpression(inner)
                | ast.ExistsExpression(inner)
            ):
                expr = inner
            case ast.RankExpression(inner):
                expr = inner
            case ast.AndExpression((inner, *_)) | ast.OrExpression((inner, *_)):
                expr = inner
            case _:
                return ""


def _value(expr: ast.Expression) -> _Doc:
    """A value behind ``name =``: in parentheses where its first word would begin a stream."""
    if _leftmost(expr).lower() in STREAM_WORDS:
        return "(", _Nest(1, _expression(expr)), ")"
    if isinstance(expr, ast.AndExpression | ast.OrExpression):
        return _Group(_Nest(2, _expression(expr)))
    return _expression(expr)


def _kind(kind: ast.KindName | ast.SourceName) -> str:
    match kind:
        case ast.SourceName():
            if not _SOURCE.match(kind.text):
                raise ValueError(f"not a log source that can be written: {kind.text!r}")
            return kind.text
        case ast.KindName(object_, action):
            return f"{_name(object_.text)}:{_name(action.text) if action else '*'}"
        case _:
            assert_never(kind)


def _kinds(kinds: Sequence[ast.KindName | ast.SourceName]) -> _Doc:
    named = [kind for kind in kinds if isinstance(kind, ast.KindName) and kind.action]
    if len(named) == len(kinds) and len({kind.object for kind in named}) == 1:
        actions = [_name(kind.action.text) for kind in named if kind.action]
        return f"{_name(named[0].object.text)}:{','.join(actions)}"
    texts = [_kind(kind) for kind in kinds]
    if len(texts) == 1:
        return texts[0]
    marked = [(_Mark(kind.span), text) for kind, text in zip(kinds, texts, strict=True)]
    return _Group(("(", _Nest(2, (_SOFT, _joined(" or", marked))), ")"))


def _names(names: Sequence[ast.Name]) -> _Doc:
    return _joined(",", [(_Mark(name.span), _name(name.text)) for name in names])


def _flat_names(names: Sequence[ast.Name]) -> str:
    return ", ".join(_name(name.text) for name in names)


def _item(item: ast.SelectItem) -> _Doc:
    value = _expression(item.value)
    return (value, f" as {_name(item.alias.text)}") if item.alias is not None else value


def _defined(value: ast.StreamExpression | ast.Expression) -> _Doc:
    match value:
        case ast.SearchExpression(kinds, condition):
            where = (" ", _where(condition)) if condition is not None else ""
            return "search ", _kinds(kinds), where
        case ast.FilterExpression(stream, condition):
            return f"filter {_name(stream.text)} ", _where(condition)
        case ast.JoinExpression(streams, condition):
            return f"join ({_flat_names(streams)}) ", _where(condition)
        case ast.GroupExpression(streams, keys, within):
            text = f"group {_flat_names(streams)} by "
            text += ", ".join(_path(key.path) for key in keys)
            match within:
                case None:
                    return text
                case ast.Name(named):
                    return f"{text} within {_name(named)}"
                case ast.DurationLiteral(microseconds):
                    return f"{text} within {_duration(microseconds)}"
                case _:
                    assert_never(within)
        case ast.SelectExpression(stream, items):
            listed = _joined(",", [_item(item) for item in items])
            return _Group((f"from {_name(stream.text)} select", _Nest(2, (_LINE, listed))))
        case ast.CountExpression(stream, keys):
            return f"count({_path((stream.text,))}) by " + ", ".join(_path(x.path) for x in keys)
        case ast.RunExpression(rule):
            if not _RULE_ID.match(rule.text):
                raise ValueError(f"not the id of a rule: {rule.text!r}")
            return f"run Analytic:{rule.text}"
        case _:
            return _value(value)


def _statement(statement: ast.Statement) -> _Doc:
    mark = _Mark(statement.span)
    match statement:
        case ast.DefineStatement(name, value):
            return mark, f"{_name(name.text)} = ", _defined(value)
        case ast.AssignStatement(stream, path, value):
            left = ".".join(_name(part) for part in (stream.text, *path))
            return mark, f"{left} = ", _value(value)
        case ast.InputStatement(name):
            return mark, f"input {_name(name.text)}"
        case ast.OutputStatement(names):
            return mark, "output ", _Group(_Nest(2, _names(names)))


# The public calls


def print_expression(expr: ast.Expression) -> str:
    """The text of an expression; a long one takes several lines.

    Raises ValueError for what no text says: a string with a line end, an empty name.

    >>> path = ast.FieldPath(("a", "id.orig_h"))
    >>> print_expression(ast.InExpression(path, ast.NetworkLiteral("10.0.0.0/8")))
    'a.`id.orig_h` in 10.0.0.0/8'
    """
    return _text(_lay_out(_Group(_expression(expr))))


def print_statement(statement: ast.Statement) -> str:
    """The text of a statement without a line end behind it. Raises as ``print_expression``."""
    return _text(_lay_out(_statement(statement)))


def print_program(program: ast.SyntaxTree) -> str:
    """The program as a formatter would write it, with its comments; every line has its line end.

    One empty line stays where there were some between two statements. The text of an
    empty program is empty. Raises as ``print_expression``.

    >>> print_program(ast.SyntaxTree((ast.OutputStatement((ast.Name("a"), ast.Name("b"))),)))
    'output a, b\\n'
    """
    lines: list[str] = []
    comments = program.comments
    upcoming = 0
    for index, statement in enumerate(program.statements):
        follower = program.statements[index + 1 : index + 2]
        first = upcoming
        while upcoming < len(comments) and _is_before(comments[upcoming], statement):
            upcoming += 1
        for comment in comments[first:upcoming]:
            lines += [*_gap(lines, comment.span), comment.text.rstrip()]
        first = upcoming
        while (
            upcoming < len(comments)
            and _belongs(comments[upcoming], statement)
            and not (follower and not _is_before(comments[upcoming], follower[0]))
        ):
            upcoming += 1
        lines += _gap(lines, statement.span)
        lines += _with_comments(_lay_out(_statement(statement)), comments[first:upcoming])
    for comment in comments[upcoming:]:
        lines += [*_gap(lines, comment.span), comment.text.rstrip()]
    return "".join(line + "\n" for line in lines)


def _is_before(comment: ast.Comment, statement: ast.Statement) -> bool:
    same = comment.span.source is statement.span.source
    return same and comment.span.start < statement.span.start


def _belongs(comment: ast.Comment, statement: ast.Statement) -> bool:
    """Whether a comment stands inside a statement or behind it on its last line."""
    source, end = statement.span.source, statement.span.end
    return comment.span.source is source and (
        comment.span.start < end or comment.span.line == source.position(end)[0]
    )


def _gap(lines: Sequence[str], span: Span) -> list[str]:
    """An empty line, if there was one in the source and this is not the first line."""
    line = span.line
    empty = line > 1 and not span.source.line(line - 1).strip()
    return [""] if lines and empty else []


def _stands_alone(comment: ast.Comment) -> bool:
    """Whether nothing but the comment is on its line."""
    line = comment.span.source.line(comment.span.line)
    return not line[: comment.span.column - 1].strip("\ufeff \t\r\n\v\f\u00a0")


def _with_comments(rows: Sequence[_AlignedRow], comments: Sequence[ast.Comment]) -> Iterator[str]:
    """The lines of a statement with the comments inside it and behind it."""
    before: list[list[str]] = [[] for _ in rows]
    behind: list[list[str]] = [[] for _ in rows]
    at = 0
    for comment in comments:
        while at + 1 < len(rows) and not _starts_after(rows[at + 1], comment):
            at += 1
        if _stands_alone(comment):
            before[min(at + 1, len(rows) - 1)].append(comment.text.rstrip())
        else:
            behind[at].append(comment.text.rstrip())
    for row, above, trailing in zip(rows, before, behind, strict=True):
        margin = " " * row.indent
        alone = above if len(trailing) == 1 else [*above, *trailing]
        yield from (margin + text for text in alone)
        yield margin + row.text + (f"  {trailing[0]}" if len(trailing) == 1 else "")


def _starts_after(row: _AlignedRow, comment: ast.Comment) -> bool:
    mark = row.mark
    return (
        mark is not None and mark.source is comment.span.source and mark.start > comment.span.start
    )


def _text(rows: Iterable[_AlignedRow]) -> str:
    return "\n".join(" " * row.indent + row.text for row in rows)
