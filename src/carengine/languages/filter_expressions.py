"""Filters of query languages that write conditions as ``field operator value``: ``and``, ``or``,
``not`` and brackets around tests, which each language reads in its own way.

A language derives a reader that knows its tests::

    class EsqlReader(FilterReader):
        def test(self) -> ir.Condition: …
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from .. import ir
from ..diagnostics import Block, Diagnostic, Span
from ..syntax import END, Token, TokenCursor
from .query import wrong

_MAX_DEPTH = 100
_MAX_TEXT = 1_000_000
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r"}

TOKENS = re.compile(
    r"""(?P<space>\s+)
    |(?P<string>"{3}(?!").*?"{3}|@"(?:[^"]|"")*"|@'(?:[^']|'')*'|"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
    |(?P<number>-?\d+(?:\.\d+)?(?![\w.]))
    |(?P<name>[A-Za-z_@][\w.@-]*~?|`[^`\n]+`)
    |(?P<sign>==|=~|!=|!~|!(?=[A-Za-z])|<=|>=|[-=<>(),|*])""",
    re.VERBOSE | re.DOTALL,
)
"""The tokens of a filter; names may hold dots, and stand between backticks."""


def texts_of(written: str) -> str:
    r"""What a text between quotes says: a backslash takes the next character as it is, but for
    ``\n``, ``\t`` and ``\r``. Between three quotes, or behind ``@``, it is a backslash.

    >>> texts_of(r'"a\\b\"c"')
    'a\\b"c'
    >>> texts_of(r'@"C:\a"')
    'C:\\a'
    """
    if written.startswith('"' * 3):
        return written[3:-3]
    if written.startswith("@"):
        quote = written[1]
        return written[2:-1].replace(quote * 2, quote)
    return re.sub(r"\\(.)", lambda m: _ESCAPES.get(m[1], m[1]), written[1:-1], flags=re.DOTALL)


class FilterReader:
    """Reads a filter from an offset of a block to its end. Raises `Refusal`.

    ``said`` is what there is to say of what was read.
    """

    def __init__(self, block: Block, start: int = 0) -> None:
        self.block = block
        tokens = list(self._scan(start))
        self.cursor = TokenCursor(tokens, lambda said, *place: wrong(said, block.span(*place)))
        self.said: list[Diagnostic] = []

    def _scan(self, start: int) -> Iterator[Token]:
        text = self.block.text
        if len(text) > _MAX_TEXT:
            raise wrong(f"the query is longer than {_MAX_TEXT} characters", self.block.span(0, 0))
        while start < len(text):
            found = TOKENS.match(text, start)
            if found is None:
                span = self.block.span(start, start + 1)
                raise wrong(f"`{text[start]}` cannot stand here", span)
            kind = found.lastgroup or ""
            if kind != "space":
                shown = found[0].strip("`") if kind == "name" else found[0]
                yield Token(kind, shown, found.start(), found.end())
            start = found.end()
        yield Token(END, "", len(text), len(text))

    def whole(self) -> ir.Condition:
        """The condition of the whole filter."""
        condition = self.either(0)
        if self.cursor.next.kind != END:
            raise wrong(f"`{self.cursor.next.text}` cannot stand here", self.span(self.cursor.next))
        return ir.simplify(condition)

    def span(self, first: Token, last: Token | None = None) -> Span:
        """Where tokens stand."""
        return self.block.span(first.start, (last or first).end)

    def word(self, *words: str) -> bool:
        """Whether one of some keywords is next, in any case."""
        token = self.cursor.next
        return token.kind == "name" and token.text.lower() in words

    def either(self, depth: int) -> ir.Condition:
        """Alternatives."""
        if depth > _MAX_DEPTH:
            raise wrong("brackets are too deep", self.span(self.cursor.next))
        items = [self._both(depth)]
        while self.word("or"):
            self.cursor.take()
            items.append(self._both(depth))
        return items[0] if len(items) == 1 else ir.Or(tuple(items))

    def _both(self, depth: int) -> ir.Condition:
        items = [self._one(depth)]
        while self.word("and"):
            self.cursor.take()
            items.append(self._one(depth))
        return items[0] if len(items) == 1 else ir.And(tuple(items))

    def _one(self, depth: int) -> ir.Condition:
        if depth > _MAX_DEPTH:
            raise wrong("this is too deep", self.span(self.cursor.next))
        if self.word("not"):
            self.cursor.take()
            return ir.Not(self._one(depth + 1))
        opened = self.cursor.accept("sign", "(")
        if opened is not None:
            inner = self.either(depth + 1)
            self.cursor.expect("sign", ")", message="this `(` is never closed", place=opened)
            return inner
        if self.word("true", "false"):
            return ir.Truth(self.cursor.take().text.lower() == "true")
        return self.test()

    def test(self) -> ir.Condition:
        """One test; each language has its own."""
        raise NotImplementedError

    # What tests are made of

    def text_of(self, token: Token) -> str:
        """What a text between quotes says. Raises `Refusal` for one that its language refuses."""
        return texts_of(token.text)

    def string(self) -> str:
        """A text between quotes, taken."""
        token = self.cursor.expect("string", message="a text is missing here")
        return self.text_of(token)

    def strings(self) -> list[str]:
        """Texts between brackets, with commas between."""
        opened = self.cursor.expect("sign", "(", message="`(` is missing here")
        found = [self.string()]
        while self.cursor.accept("sign", ","):
            found.append(self.string())
        self.cursor.expect("sign", ")", message="this `(` is never closed", place=opened)
        return found

    def constant(self) -> str | int | float | bool:
        """A text, a number or a truth value, taken."""
        token = self.cursor.take()
        match token.kind, token.text.lower():
            case "string", _:
                return self.text_of(token)
            case "number", text:
                return float(text) if "." in text else int(text)
            case "name", ("true" | "false") as text:
                return text == "true"
            case _:
                raise wrong("a value is missing here", self.span(token))

    def constants(self) -> list[str | int | float | bool]:
        """Values between brackets, with commas between."""
        opened = self.cursor.expect("sign", "(", message="`(` is missing here")
        found = [self.constant()]
        while self.cursor.accept("sign", ","):
            found.append(self.constant())
        self.cursor.expect("sign", ")", message="this `(` is never closed", place=opened)
        return found
