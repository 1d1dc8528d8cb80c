"""The expressions of field maps without Lark.

Shipped field maps hold thousands of expressions, nearly all of them plain: a name, a call, an
equality, a list, ``and``, ``or``, ``not``. Reading these with the grammar's parser costs half a
millisecond each, and a fifth of a second before the first; a run would spend more time on the maps
than on a small log. ``read`` reads the plain ones::

    EventID = 12 and Action in ["CreateKey", "SetValue"]     an And, as the grammar has it
    first(Image, process.executable)                         a Call
    time < now - 1 day                                       None: not plain, ask the grammar

It gives the very tree that the grammar's parser gives, spans included, or None; a test holds the
two together. None is always a right answer, so that whatever is unusual (a keyword as a name,
arithmetic, chains of comparisons, anything wrong) is left to the grammar.
"""

from __future__ import annotations

import re

from ..diagnostics import Block
from . import ast
from .cursor import END, Token, TokenCursor

_LONGEST = 10_000
_DEEPEST = 20

_TOKEN = re.compile(
    r"""\s*(?:
    (?P<name>(?![0-9])[A-Za-z0-9_@]+|`[^`\r\n]+`)
  | (?P<text>"[^"\r\n]*(?:""[^"\r\n]*)*"|'[^'\r\n]*(?:''[^'\r\n]*)*')
  | (?P<number>[0-9]{1,18}(?:\.[0-9]{1,18})?(?![\w@.:/]))
  | (?P<sign>==|!=|<=|>=|[=<>(),.\[\]-])
  | (?P<end>\Z)
    )""",
    re.VERBOSE,
)

_WORDS = frozenset(
    [
        *("and", "or", "not", "in", "exists", "null", "true", "false"),
        *("now", "contains", "does", "contain", "match", "raw", "top", "bottom"),
        *("of", "where", "by", "within", "select", "as", "from", "input"),
        *("output", "return", "search", "filter", "join", "group", "run"),
    ]
)
"""Words that the grammar reads as keywords at some place; as names they are left to it."""

_OPERATORS = {operator.value: operator for operator in ast.Operator} | {"==": ast.Operator.EQUAL}
_AFTER_NUMBER = frozenset([END, ")", "]", ",", "and", "or", "exists", "in", "not", *_OPERATORS])

Placed = tuple[ast.Expression, int, int]


class _NotPlainError(Exception):
    """The grammar has to read it."""


def _not_plain(message: str, start: int, end: int) -> _NotPlainError:
    return _NotPlainError()


def read(block: Block) -> ast.Expression | None:
    """The expression in a text if it is a plain one, else None.

    >>> read(Block.of("basename(Image)"))
    CallExpression(function='basename', arguments=(FieldPath(path=('Image',)),))
    >>> read(Block.of("a + 1")) is None
    True
    """
    if len(block.text) > _LONGEST:
        return None
    try:
        reader = PlainExpressionReader(block, _tokens(block.text))
        expression, _, _ = reader.any_of(0)
        reader.take(END)
    except _NotPlainError:
        return None
    return expression


def _tokens(text: str) -> list[Token]:
    """The tokens as kind, text and place. The kind of a keyword is the word, that of a sign the
    sign."""
    tokens: list[Token] = []
    place = 0
    while True:
        found = _TOKEN.match(text, place)
        if found is None:
            raise _NotPlainError
        kind = found.lastgroup or ""
        word = found[kind]
        start, place = found.span(kind)
        if kind == "end":
            tokens.append(Token(END, "", start, place))
            return tokens
        if kind == "name" and word.lower() in _WORDS:
            kind = word.lower()
        elif kind == "sign":
            kind = word
            if tokens and tokens[-1].kind in _WORDS:
                # A keyword before one of these is a name.
                constant = tokens[-1].kind in ("null", "true", "false")
                if word == "." or (word in ("=", "==") and not constant):
                    raise _NotPlainError
        tokens.append(Token(kind, word, start, place))


class PlainExpressionReader:
    """Reads tokens by recursive descent: one method for each rule of the grammar."""

    def __init__(self, block: Block, tokens: list[Token]) -> None:
        self.block = block
        self.cursor = TokenCursor(tokens, _not_plain)

    @property
    def kind(self) -> str:
        """The kind of the token at hand."""
        return self.cursor.next.kind

    def take(self, kind: str) -> Token:
        """The token at hand, which has to be of a kind."""
        if self.cursor.next.kind != kind:
            raise _NotPlainError
        return self.cursor.take()

    def any_of(self, depth: int) -> Placed:
        """Alternatives between ``or``, with where they begin and end."""
        if depth > _DEEPEST:
            raise _NotPlainError
        items = [self._all_of(depth)]
        while self.kind == "or":
            self.cursor.take()
            items.append(self._all_of(depth))
        if len(items) == 1:
            return items[0]
        start, end = items[0][1], items[-1][2]
        parts = tuple(item[0] for item in items)
        return ast.OrExpression(parts, span=self.block.span(start, end)), start, end

    def _all_of(self, depth: int) -> Placed:
        items = [self._negation(depth)]
        while self.kind == "and":
            self.cursor.take()
            items.append(self._negation(depth))
        if len(items) == 1:
            return items[0]
        start, end = items[0][1], items[-1][2]
        parts = tuple(item[0] for item in items)
        return ast.AndExpression(parts, span=self.block.span(start, end)), start, end

    def _negation(self, depth: int) -> Placed:
        if self.kind != "not":
            return self._predicate(depth)
        start = self.take("not").start
        item, _, end = self._negation(depth + 1) if depth < _DEEPEST else self._give_up()
        return ast.NotExpression(item, span=self.block.span(start, end)), start, end

    def _give_up(self) -> Placed:
        raise _NotPlainError

    def _predicate(self, depth: int) -> Placed:
        value, start, end = self._atom(depth)
        kind = self.kind
        if kind in _OPERATORS:
            self.cursor.take()
            right, _, end = self._atom(depth)
            if self.kind in _OPERATORS:
                raise _NotPlainError
            pairs = ((_OPERATORS[kind], right),)
            return (
                ast.ComparisonExpression(value, pairs, span=self.block.span(start, end)),
                start,
                end,
            )
        if kind == "exists":
            end = self.take("exists").end
            return ast.ExistsExpression(value, span=self.block.span(start, end)), start, end
        if kind in ("in", "not"):
            self.cursor.take()
            if kind == "not":
                self.take("in")
            if self.kind not in ("[", "name"):
                raise _NotPlainError
            right, _, end = self._atom(depth)
            span = self.block.span(start, end)
            return ast.InExpression(value, right, kind == "not", span=span), start, end
        return value, start, end

    def _atom(self, depth: int) -> Placed:
        kind, word, start, end, _ = self.cursor.take()
        made: ast.Expression
        match kind:
            case "name":
                return self._call(word, start, depth) if self.kind == "(" else self._path(start)
            case "text":
                mark = word[0]
                text = word[1:-1].replace(mark * 2, mark)
                made = ast.StringLiteral(text, span=self.block.span(start, end))
            case "number" | "-":
                return self._number(start)
            case "null":
                made = ast.NullLiteral(span=self.block.span(start, end))
            case "true" | "false":
                made = ast.BooleanLiteral(kind == "true", span=self.block.span(start, end))
            case "[":
                items, end = self._several("]", depth)
                made = ast.ListExpression(items, span=self.block.span(start, end))
            case "(":
                inner, _, _ = self.any_of(depth + 1)
                return inner, start, self.take(")").end
            case _:
                raise _NotPlainError
        return made, start, end

    def _number(self, start: int) -> Placed:
        negative = self.cursor.previous.kind == "-"
        if negative:
            self.take("number")
        _, word, _, end, _ = self.cursor.previous
        if self.kind not in _AFTER_NUMBER:
            # A unit of time may follow, or a network.
            raise _NotPlainError
        number = float(word) if "." in word else int(word)
        made = ast.NumberLiteral(-number if negative else number, span=self.block.span(start, end))
        return made, start, end

    def _path(self, start: int) -> Placed:
        first = self.cursor.previous
        path, end = [_plain(first.text)], first.end
        while self.kind == ".":
            self.cursor.take()
            _, word, _, end, _ = self.take("name")
            path.append(_plain(word))
        return ast.FieldPath(tuple(path), span=self.block.span(start, end)), start, end

    def _call(self, word: str, start: int, depth: int) -> Placed:
        self.take("(")
        arguments, end = self._several(")", depth)
        span = self.block.span(start, end)
        return ast.CallExpression(_plain(word), arguments, span=span), start, end

    def _several(self, closing: str, depth: int) -> tuple[tuple[ast.Expression, ...], int]:
        """What stands between brackets and commas, and where the closing bracket ends."""
        items: list[ast.Expression] = []
        while self.kind != closing:
            items.append(self.any_of(depth + 1)[0])
            if self.kind != closing:
                self.take(",")
                if self.kind == closing:
                    raise _NotPlainError
        return tuple(items), self.take(closing).end


def _plain(word: str) -> str:
    """A name without its backquotes."""
    return word[1:-1] if word.startswith("`") else word
