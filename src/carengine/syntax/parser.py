"""From text to tree.

A text is first read into lexemes (``lexical``), which finds what is wrong with its characters and
refuses what is too large. Then Lark parses it with ``grammar/car.lark``, and its parse tree becomes
the tree of ``ast``. A program with no mistake goes through once. One with mistakes is parsed again,
statement by statement, so that each mistake is told and every statement that is right is kept::

    a = fliter files where x = 1     CE101 unknown word `fliter`; did you mean `filter`?
    b = search File:Create           Define("b", Search(…))
    output a; b                      CE102 `;` has no meaning

Nothing here raises on bad text. The parser is built when the first text is parsed, once.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal

from attrs import frozen

from ..diagnostics import Block, Code, Diagnostic, Edit, Fix, Span, codes, ordered
from . import ast, quick, tables
from .explain import Failure, doubled_connective, explain, misspelt_unit
from .lexical import STREAM_WORDS, Lexeme, mistakes, scan, split, too_large

if TYPE_CHECKING:
    from lark import Token, Tree

    ParseTree = Tree[Token]
    Node = ParseTree | Token

Start = Literal["program", "expression"]

MAX_EXPLAINED = 100
"""How many mistakes of one text are told; of the others their number."""

MICROSECONDS = {
    **dict.fromkeys(("microsecond", "us"), 1),
    **dict.fromkeys(("millisecond", "msec", "ms"), 1_000),
    **dict.fromkeys(("second", "sec", "s"), 1_000_000),
    **dict.fromkeys(("minute", "min", "m"), 60_000_000),
    **dict.fromkeys(("hour", "hr", "h"), 3_600_000_000),
    **dict.fromkeys(("day", "d"), 86_400_000_000),
    **dict.fromkeys(("week", "w"), 604_800_000_000),
}
"""The length of each unit of time; the grammar also takes the plural."""

STREAM_RULES = STREAM_WORDS - {"from"} | {"select", "count"}
"""The grammar's rules for what defines a stream."""

_LINE_END = re.compile(r"[\r\n]")
_DOUBLED = re.compile(r"\b(and|or)\s+(and|or)\Z", re.IGNORECASE)

_NUMBER_BEFORE = re.compile(r"(?<![\w.])([0-9]+(?:\.[0-9]+)?)\Z")

_LONGEST = 10_000 * 366 * MICROSECONDS["day"]


@frozen
class Parsed:
    """A program's statements that are right, and what is wrong with the others."""

    program: ast.SyntaxTree
    diagnostics: tuple[Diagnostic, ...] = ()


def parse_program(block: Block | str) -> Parsed:
    """The program in a text. Never raises: every statement that parses is in the result.

    >>> parse_program("a = search Process\\noutput a").program.statements[1].names[0].text
    'a'
    """
    block = _block(block)
    scanned = scan(block.text)
    whole = block.span(0, len(block.text))
    if scanned is None:
        return Parsed(ast.SyntaxTree((), span=whole), (too_large(block),))
    lexemes, marks = scanned
    comments = tuple(
        ast.Comment(mark.text.rstrip(), span=block.span(mark.start, mark.end)) for mark in marks
    )
    statements, found = _statements(block, lexemes)
    program = ast.SyntaxTree(statements, comments, span=whole)
    return Parsed(program, ordered(found))


def parse_condition(block: Block | str) -> tuple[ast.Expression | None, tuple[Diagnostic, ...]]:
    """One condition and nothing else, as field maps hold them: ``EventID = 12 and Image exists``.

    The expression is None if there are diagnostics.
    """
    block = _block(block)
    plain = quick.read(block)
    if plain is not None:
        return plain, ()
    return _grammatical(block)


def _grammatical(block: Block) -> tuple[ast.Expression | None, tuple[Diagnostic, ...]]:
    """One expression, by the grammar."""
    scanned = scan(block.text)
    if scanned is None:
        return None, (too_large(block),)
    lexemes, _ = scanned
    found = list(mistakes(block, lexemes))
    if not found:
        tree = _parse(block.text, 0, "expression")
        if not isinstance(tree, Failure):
            try:
                return _expression(_Place(block, 0), tree), ()
            except _RefusedTextError as refused:
                return None, (refused.diagnostic,)
        found = [explain(block, lexemes, tree, _expected(block.text, 0, "expression"))]
    return None, ordered(found[:MAX_EXPLAINED])


def parse_value(block: Block | str) -> tuple[ast.Expression | None, tuple[Diagnostic, ...]]:
    """One value and nothing else: ``basename(Image)``. A condition is a value too (true or
    false)."""
    return parse_condition(block)


def _block(block: Block | str) -> Block:
    return Block.of(block) if isinstance(block, str) else block


def _statements(
    block: Block, lexemes: Sequence[Lexeme]
) -> tuple[tuple[ast.Statement, ...], list[Diagnostic]]:
    """All statements that are right, and the findings on the others."""
    if next(mistakes(block, lexemes), None) is None:
        tree = _parse(block.text, 0, "program")
        if not isinstance(tree, Failure):
            return _converted(_Place(block, 0), tree)
    statements: list[ast.Statement] = []
    found: list[Diagnostic] = []
    untold = 0
    for part in split(block.text, lexemes):
        start, end = part[0].start, part[-1].end
        wrong = list(mistakes(block, part))
        if not wrong:
            text = block.text[start:end]
            tree = _parse(text, start, "program")
            if not isinstance(tree, Failure):
                right, wrong = _converted(_Place(block, start), tree)
                statements += right
            elif len(found) < MAX_EXPLAINED:
                wrong = [explain(block, part, tree, _expected(text, start, "program"))]
            else:
                untold += 1
        room = MAX_EXPLAINED - len(found)
        found += wrong[:room]
        untold += len(wrong[room:])
    if untold:
        found.append(
            Diagnostic(
                codes.SYNTAX,
                f"{untold:,} more mistakes; only the first {MAX_EXPLAINED} are told",
                block.span(lexemes[-1].start, lexemes[-1].end),
            )
        )
    return tuple(statements), found


# Lark


_lark = functools.cache(tables.parser)


def _parse(text: str, offset: int, start: Start) -> ParseTree | Failure:
    """The parse tree, or where the parse stopped (counted in the block, from ``offset``)."""
    from lark.exceptions import UnexpectedCharacters, UnexpectedToken

    parser = _lark().parse_interactive(text, start)
    try:
        for _ in parser.iter_parse():
            pass
        tree: ParseTree = parser.feed_eof()  # type: ignore[no-untyped-call]
    except UnexpectedCharacters as error:
        return Failure(offset + (error.pos_in_stream or 0))
    except UnexpectedToken as error:
        at_end = error.token.type == "$END"
        return Failure(offset + (len(text) if at_end else error.token.start_pos or 0))
    return tree


def _expected(text: str, offset: int, start: Start) -> Callable[[int], frozenset[str]]:
    """Which terminals may stand at a place in the block, after the text before it.

    The parser's state after the failure does not tell: it has already closed all that the
    unexpected token could have ended.
    """

    def at(position: int) -> frozenset[str]:
        from lark.exceptions import UnexpectedInput

        parser = _lark().parse_interactive(text[: position - offset], start)
        try:
            for _ in parser.iter_parse():
                pass
        except UnexpectedInput:
            return frozenset()
        accepted = parser.accepts()  # type: ignore[no-untyped-call]
        return frozenset(name.strip("_$") for name in accepted)

    return at


# Parse tree to syntax tree


class _RefusedTextError(Exception):
    """Something that the grammar lets through and the tree cannot say."""

    def __init__(
        self, span: Span, message: str, fix: Fix | None = None, code: Code = codes.SYNTAX
    ) -> None:
        super().__init__(message)
        self.diagnostic = Diagnostic(code, message, span, fix=fix)


@frozen
class _Place:
    """Where a parse tree stands: its text begins at ``offset`` of the block."""

    block: Block
    offset: int

    def span(self, first: Node, last: Node | None = None) -> Span:
        """From the first token of a tree to its last one, or to the last one of another."""
        start, end = _bounds(first)
        if last is not None:
            end = _bounds(last)[1]
        return self.block.span(self.offset + start, self.offset + end)


def _bounds(item: Node) -> tuple[int, int]:
    """Where a tree's text begins and ends. Every tree that is asked for has tokens."""
    first = last = item
    while not isinstance(first, str):
        first = first.children[0]
    while not isinstance(last, str):
        last = last.children[-1]
    return first.start_pos or 0, last.end_pos or 0


def _converted(
    place: _Place, tree: ParseTree
) -> tuple[tuple[ast.Statement, ...], list[Diagnostic]]:
    """The statements of a parse tree, and the findings on those that are refused."""
    kept: list[list[ast.Statement]] = []
    found: list[Diagnostic] = []
    before: ParseTree | None = None
    for item in _trees(tree):
        missing = _runs_on(place, before, item) if before is not None else None
        if missing is not None:
            found.append(missing)
            kept[-1:] = []
        else:
            try:
                kept.append(_statement(place, item))
            except _RefusedTextError as refused:
                found.append(refused.diagnostic)
                kept.append([])
        before = item
    return tuple(statement for group in kept for statement in group), found


def _runs_on(place: _Place, before: ParseTree, tree: ParseTree) -> Diagnostic | None:
    """What is said of ``exe = "a" pid = 1`` on one line.

    By the grammar ``pid = 1`` is the next statement; whoever wrote it forgot an ``and``, and the
    condition would silently be weaker than meant.
    """
    if _rule(before) == "output" or _rule(tree) not in ("define", "assign"):
        return None
    if _rule(tree.children[-1]) in STREAM_RULES:
        return None
    start, end = _bounds(before)[1] + place.offset, _bounds(tree)[0] + place.offset
    if _LINE_END.search(place.block.text, start, end):
        return None
    doubled = _DOUBLED.search(place.block.text[max(0, start - 60) : start])
    if doubled is not None:
        # `x or or y`: the second word was read as a field.
        second = len(doubled[2])
        return doubled_connective(
            doubled[1],
            place.block.span(start - len(doubled[0]) + len(doubled[1]), start),
            place.block.span(start - second, start),
        )
    name = _text(tree.children[0])
    number = _NUMBER_BEFORE.search(place.block.text[max(0, start - 60) : end].rstrip())
    if number is not None:
        unit = misspelt_unit(place.block, number[1], name, end, end + len(name))
        if unit is not None:
            return unit
    return Diagnostic(
        codes.SYNTAX,
        f"expected `and` or `or` before `{name}`, or the next statement on a line of its own",
        place.span(tree.children[0]),
        "nothing connects this with what stands before it",
        fix=Fix(
            "write `and` (or `or`) between the two conditions",
            (Edit(place.block.span(end, end), "and "),),
        ),
    )


def _trees(tree: ParseTree) -> list[ParseTree]:
    """The children that are no tokens."""
    return [item for item in tree.children if not isinstance(item, str)]


def _children(tree: ParseTree, *signs: str) -> list[Any]:
    """The children without the tokens that only mark a place: ``_LPAR`` and these signs.

    Which of them are trees and which are tokens is the grammar's affair, and no type's.
    """
    return [
        item
        for item in tree.children
        if not isinstance(item, str) or (item.type[0] != "_" and item.type not in signs)
    ]


def _rule(item: Node) -> str:
    """The name of a tree's rule or a token's terminal."""
    return str(getattr(item, "type", None) or getattr(item, "data", ""))


def _statement(place: _Place, tree: ParseTree) -> list[ast.Statement]:
    """One statement; ``input a, b`` is two."""
    span = place.span(tree)
    match _rule(tree), _children(tree, "EQUAL"):
        case "define", [name, value]:
            return [ast.DefineStatement(_name(place, name), _defined(place, value), span=span)]
        case "assign", [stream, *path, value]:
            return [
                ast.AssignStatement(
                    _name(place, stream),
                    tuple(map(_text, path)),
                    _expression(place, value),
                    span=span,
                )
            ]
        case "input", [name]:
            return [ast.InputStatement(_name(place, name), span=span)]
        case "input", names:
            return [ast.InputStatement(_name(place, name), span=place.span(name)) for name in names]
        case rule, names:
            assert rule == "output", rule
            return [ast.OutputStatement(_name_list(place, names), span=span)]


def _text(token: Node) -> str:
    """A name without its backquotes."""
    text = str(token)
    return text[1:-1].replace("``", "`") if text.startswith("`") else text


def _name(place: _Place, token: Node) -> ast.Name:
    return ast.Name(_text(token), span=place.span(token))


def _name_list(place: _Place, tokens: Sequence[Node]) -> tuple[ast.Name, ...]:
    return tuple(_name(place, token) for token in tokens)


def _defined(place: _Place, tree: Node) -> ast.StreamExpression | ast.Expression:
    """What stands behind ``name =``."""
    span = place.span(tree)
    rule = _rule(tree)
    match rule, [] if isinstance(tree, str) else _children(tree):
        case "search", [*kinds, last] if _rule(last) == "where":
            return ast.SearchExpression(_kinds(place, kinds), _where(place, last), span=span)
        case "search", kinds:
            return ast.SearchExpression(_kinds(place, kinds), span=span)
        case "filter", [stream, where]:
            return ast.FilterExpression(_name(place, stream), _where(place, where), span=span)
        case "join", [*streams, where]:
            return ast.JoinExpression(_name_list(place, streams), _where(place, where), span=span)
        case "group", [streams, keys, *within]:
            return ast.GroupExpression(
                _name_list(place, streams.children),
                _keys(place, keys),
                _within(place, within[0]) if within else None,
                span=span,
            )
        case "select", [stream, *items]:
            return ast.SelectExpression(
                _name(place, stream), tuple(_item(place, item) for item in items), span=span
            )
        case "run", [rule_id]:
            return ast.RunExpression(_name(place, rule_id), span=span)
        case "count", [call, keys]:
            return _count(place, call, keys, span)
        case _:
            return _expression(place, tree)


def _where(place: _Place, tree: ParseTree) -> ast.Expression:
    return _expression(place, tree.children[0])


def _keys(place: _Place, tree: ParseTree) -> tuple[ast.FieldPath, ...]:
    return tuple(_field(place, path) for path in _trees(tree))


def _item(place: _Place, tree: ParseTree) -> ast.SelectItem:
    value, *alias = tree.children
    name = _name(place, alias[0]) if alias else None
    return ast.SelectItem(_expression(place, value), name, span=place.span(tree))


def _kinds(place: _Place, trees: Sequence[ParseTree]) -> tuple[ast.KindName | ast.SourceName, ...]:
    kinds: list[ast.KindName | ast.SourceName] = []
    for tree in trees:
        span = place.span(tree)
        last = kinds[-1] if kinds else None
        match _rule(tree), _children(tree, "STAR"):
            case "source", [source]:
                product, named, *service = str(source).split("/")
                kinds.append(ast.SourceName(product, named, "".join(service), span=span))
            case "kind_action", [noun, verb]:
                kinds.append(ast.KindName(_name(place, noun), _name(place, verb), span=span))
            case "more", [name] if isinstance(last, ast.KindName) and last.action is not None:
                kinds.append(ast.KindName(last.object, _name(place, name), span=span))
            case _, [name, *_]:
                kinds.append(ast.KindName(_name(place, name), None, span=span))
            case _:
                pass
    return tuple(kinds)


def _count(place: _Place, call: ParseTree, keys: ParseTree, span: Span) -> ast.CountExpression:
    match _expression(place, call):
        case ast.CallExpression(function, (ast.FieldPath((stream,), span=where),)) if (
            function.lower() == "count"
        ):
            return ast.CountExpression(ast.Name(stream, span=where), _keys(place, keys), span=span)
        case other:
            raise _RefusedTextError(
                other.span,
                "only count(stream) is counted `by` something; for other aggregates "
                "write group … by, and then from … select",
            )


def _field(place: _Place, tree: ParseTree) -> ast.FieldPath:
    return ast.FieldPath(tuple(map(_text, tree.children)), span=place.span(tree))


_OPERATORS = {operator.value: operator for operator in ast.Operator} | {"==": ast.Operator.EQUAL}


def _expression(place: _Place, tree: Node) -> ast.Expression:
    """An expression. As deep as the brackets of the text, which ``lexical`` has limited."""
    if isinstance(tree, str):
        return _literal(place, tree)
    span = place.span(tree)
    rule = _rule(tree)
    children = _children(tree, "MATCH")
    match rule:
        case "path":
            return _field(place, tree)
        case "bracketed":
            return _expression(place, children[0])
        case "any_of" | "all_of":
            items = tuple(_expression(place, item) for item in children)
            return (
                ast.OrExpression(items, span=span)
                if rule == "any_of"
                else ast.AndExpression(items, span=span)
            )
        case "negated":
            return ast.NotExpression(_expression(place, children[0]), span=span)
        case "comparison":
            first, *rest = children
            pairs = zip(rest[::2], rest[1::2], strict=True)
            return ast.ComparisonExpression(
                _expression(place, first),
                tuple((_OPERATORS[str(sign)], _expression(place, item)) for sign, item in pairs),
                span=span,
            )
        case "list":
            return ast.ListExpression(
                tuple(_expression(place, item) for item in children), span=span
            )
        case "call":
            function, *arguments = _children(tree, "STAR")
            values = tuple(_expression(place, item) for item in arguments)
            return ast.CallExpression(_text(function), values, span=span)
        case "arithmetic":
            return _arithmetic(place, children)
        case "negative":
            return _negative(_expression(place, children[1]), span)
        case "exists":
            return ast.ExistsExpression(_expression(place, children[0]), span=span)
        case "in_raw" | "not_in_raw":
            return _raw(_expression(place, children[0]), rule == "not_in_raw", span)
        case "ranked" | "not_ranked":
            rank = _trees(tree)[-1]
            value = _expression(place, children[0])
            return _rank(place, value, rank, rule == "not_ranked", span)
        case _:
            return _two(
                rule, _expression(place, children[0]), _expression(place, children[1]), span
            )


def _two(rule: str, left: ast.Expression, right: ast.Expression, span: Span) -> ast.Expression:
    match rule:
        case "inside" | "outside":
            return ast.InExpression(left, right, rule == "outside", span=span)
        case "contains" | "contains_not":
            return ast.ContainsExpression(left, right, rule == "contains_not", span=span)
        case _:
            assert rule == "matches", rule
            assert isinstance(right, ast.StringLiteral)
            return ast.MatchExpression(left, right, span=span)


def _arithmetic(place: _Place, children: Sequence[Node]) -> ast.Expression:
    first, *rest = children
    left = _expression(place, first)
    for sign, item in zip(rest[::2], rest[1::2], strict=True):
        right = _expression(place, item)
        left = ast.ArithmeticExpression(
            ast.Sign(str(sign)), left, right, span=place.span(first, item)
        )
    return left


def _negative(value: ast.Expression, span: Span) -> ast.Expression:
    match value:
        case ast.NumberLiteral(number):
            return ast.NumberLiteral(-number, span=span)
        case ast.DurationLiteral(microseconds):
            return ast.DurationLiteral(-microseconds, span=span)
        case _:
            return ast.ArithmeticExpression(
                ast.Sign.MINUS, ast.NumberLiteral(0, span=span), value, span=span
            )


def _raw(value: ast.Expression, negated: bool, span: Span) -> ast.Expression:
    if not isinstance(value, ast.StringLiteral):
        raise _RefusedTextError(value.span, "only a string can be looked for in the raw event")
    return ast.RawContainsExpression(value, negated, span=span)


def _rank(
    place: _Place, value: ast.Expression, tree: ParseTree, negated: bool, span: Span
) -> ast.Expression:
    side, number, _ = _children(tree)
    count = _number(str(number))
    if not isinstance(count, int):
        raise _RefusedTextError(place.span(number), "a rank is a whole number")
    return ast.RankExpression(
        value, count, _field(place, _trees(tree)[0]), _rule(side) == "BOTTOM", negated, span=span
    )


def _literal(place: _Place, token: Token) -> ast.Expression:
    span = place.span(token)
    match token.type:
        case "STRING":
            mark = token[0]
            return ast.StringLiteral(token[1:-1].replace(mark * 2, mark), span=span)
        case "NUMBER":
            return ast.NumberLiteral(_number(token), span=span)
        case "DURATION":
            return _duration(place, token)
        case "NETWORK":
            return ast.NetworkLiteral(str(token), span=span)
        case "NULL":
            return ast.NullLiteral(span=span)
        case "NOW":
            return ast.NowLiteral(span=span)
        case terminal:
            assert terminal in ("TRUE", "FALSE"), terminal
            return ast.BooleanLiteral(terminal == "TRUE", span=span)


def _number(token: str) -> int | float:
    return float(token) if "." in token else int(token)


def _within(place: _Place, token: Node) -> ast.DurationLiteral | ast.Name:
    """The longest pause in a group: a length of time, or the name of one."""
    if isinstance(token, str) and _rule(token) == "DURATION":
        return _duration(place, token)
    return _name(place, token)


def _duration(place: _Place, token: Token) -> ast.DurationLiteral:
    """A length of time, exactly: ``0.5 ms`` is 500 microseconds."""
    amount = token.rstrip("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
    unit = token[len(amount) :].lower()
    whole, _, part = amount.strip().partition(".")
    size = MICROSECONDS.get(unit) or MICROSECONDS[unit.removesuffix("s")]
    microseconds, rest = divmod(int(whole + part) * size, 10 ** len(part))
    if rest:
        raise _RefusedTextError(
            place.span(token), "times are kept in whole microseconds; this one is finer"
        )
    if microseconds > _LONGEST:
        raise _RefusedTextError(place.span(token), "a duration of more than 10,000 years")
    return ast.DurationLiteral(microseconds, span=place.span(token))
