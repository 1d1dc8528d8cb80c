r"""Lucene's query strings, as Elasticsearch reads them over keyword fields.

    (Image:*\\cmd.exe AND CommandLine:*\ \/c\ *) AND (NOT User:(alice OR "a b"))

A value is compared with its case and as a whole; ``*`` and ``?`` are wildcards outside of quotes, and
a backslash takes the next character as it is. ``/…/`` is an expression for the whole value, and a
network (``10.0.0.0\/8``) is looked for in a field of addresses, as ``ip`` fields are. ``NOT`` is true
where the rest is not, so that it keeps events without the field. ``AND``, ``OR`` and ``NOT`` stand
between all terms: what Lucene makes of terms without is refused.

https://www.elastic.co/docs/reference/query-languages/query-dsl/query-dsl-query-string-query
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from ... import ir
from ...diagnostics import Block, Diagnostic, Span, codes
from ...ir import Relation
from ...pattern import Pattern
from ...syntax import END, Token, TokenCursor
from ...values import network_of, number_of
from ..lucene_patterns import regex_of_lucene, wildcards_of_lucene
from ..query import (
    QueryReading,
    Refusal,
    finished,
    native_search,
    pattern_text,
    regex_test,
    unsupported,
    wrong,
)

LANGUAGE = "lucene"
_MAX_DEPTH = 100
_NEAR = re.compile(r"(?<!\\)[~^][\d.]*$")
_WHOLE_NUMBER = re.compile(r"0|[1-9]\d{0,14}")
# Other blanks than these are characters of a term.
_TOKENS = re.compile(
    r"""(?P<space>[ \t\n\r\u3000]+)
    |(?P<string>"(?:[^"\\]|\\.)*")
    |(?P<regex>/(?:[^/\\]|\\.)*/)
    |(?P<sign>[():]|>=|<=|>|<)
    |(?P<word>(?:\\.|[^ \t\n\r\u3000():"\\<>])+)""",
    re.VERBOSE | re.DOTALL,
)
_RELATIONS = {
    "<": Relation.LESS,
    "<=": Relation.LESS_EQUAL,
    ">": Relation.GREATER,
    ">=": Relation.GREATER_EQUAL,
}


def read(block: Block) -> QueryReading:
    r"""The reading of a query string.

    >>> reading = read(Block.of(r"Image:*\\cmd.exe AND NOT User:x"))
    >>> reading.program.outputs[0].plan.condition.items[0].patterns[0].text
    '*\\cmd.exe'
    """
    said: list[Diagnostic] = []
    plan: ir.Plan | None = None
    try:
        reader = LuceneReader(block)
        condition = reader.whole()
        said = reader.said
        plan = ir.Filter(native_search(LANGUAGE), condition, block.span(0, len(block.text)))
    except Refusal as refused:
        said.append(refused.diagnostic)
    return finished(LANGUAGE, block, plan, said)


class LuceneReader:
    """A query string as a condition. ``said`` is what there is to say of what was read."""

    def __init__(self, block: Block) -> None:
        self.block = block
        tokens = list(self._scan())
        self.cursor = TokenCursor(tokens, lambda said, *place: wrong(said, block.span(*place)))
        self.said: list[Diagnostic] = []

    def _scan(self) -> Iterator[Token]:
        text, at = self.block.text, 0
        while at < len(text):
            found = _TOKENS.match(text, at)
            if found is None:
                raise wrong(f"`{text[at]}` cannot stand here", self.block.span(at, at + 1))
            kind = found.lastgroup or ""
            if kind != "space":
                yield Token(kind, found[0], found.start(), found.end())
            at = found.end()
        yield Token(END, "", len(text), len(text))

    def whole(self) -> ir.Condition:
        """The condition of the whole query."""
        condition = self._either(None, 0)
        token = self.cursor.next
        if token.kind != END:
            if token.text == ")":
                raise wrong("`)` was never opened", self._span(token))
            raise unsupported("terms without AND or OR between them", self._span(token))
        return ir.simplify(condition)

    def _span(self, first: Token, last: Token | None = None) -> Span:
        return self.block.span(first.start, (last or first).end)

    def _either(self, of: ir.Field | None, depth: int) -> ir.Condition:
        if depth > _MAX_DEPTH:
            raise wrong("brackets are too deep", self._span(self.cursor.next))
        items = [self._both(of, depth)]
        while self.cursor.accept("word", "OR", "||"):
            items.append(self._both(of, depth))
        return items[0] if len(items) == 1 else ir.Or(tuple(items))

    def _both(self, of: ir.Field | None, depth: int) -> ir.Condition:
        items = [self._one(of, depth)]
        while self.cursor.accept("word", "AND", "&&"):
            items.append(self._one(of, depth))
        return items[0] if len(items) == 1 else ir.And(tuple(items))

    def _one(self, of: ir.Field | None, depth: int) -> ir.Condition:
        if depth > _MAX_DEPTH:
            raise wrong("this is too deep", self._span(self.cursor.next))
        if self.cursor.accept("word", "NOT", "!"):
            return ir.Not(ir.IsTrue(self._one(of, depth + 1)))
        opened = self.cursor.accept("sign", "(")
        if opened is not None:
            inner = self._either(of, depth + 1)
            self.cursor.expect("sign", ")", message="this `(` is never closed", place=opened)
            return inner
        if of is not None:
            return self._value(of, self.cursor.next)
        name = self.cursor.next
        if name.kind == "word" and self.cursor.peek(1).text == ":":
            self.cursor.take()
            self.cursor.take()
            field = re.sub(r"\\(.)", r"\1", name.text)
            if field == "_exists_":
                wanted = self.cursor.expect("word", message="a field is missing here")
                plain = ir.Field(re.sub(r"\\(.)", r"\1", wanted.text))
                return ir.Not(ir.IsNull(plain, self._span(name, wanted)))
            if self.cursor.is_next("sign", "("):
                return self._one(ir.Field(field), depth + 1)
            return self._value(ir.Field(field), name)
        return self._anywhere()

    def _anywhere(self) -> ir.Condition:
        """A term without a field, which is looked for in all of them."""
        token = self.cursor.take()
        span = self._span(token)
        if token.kind not in ("word", "string"):
            raise wrong(f"`{token.text or 'the end'}` cannot stand here", span)
        message = "a text without a field is looked for in the text of the event"
        self.said.append(Diagnostic(codes.FOREIGN_NEAR, message, span))
        text = token.text[1:-1] if token.kind == "string" else token.text
        pattern = pattern_text(wildcards_of_lucene(text), span)
        return ir.RawMatch((Pattern(f"*{pattern.strip('*')}*"),), span)

    def _value(self, of: ir.Field, name: Token) -> ir.Condition:
        token = self.cursor.take()
        span = self._span(name, token)
        match token.kind:
            case "string":
                text = re.sub(r"\\(.)", r"\1", token.text[1:-1], flags=re.DOTALL)
                return ir.Match(of, (Pattern.literal(text, cased=True),), span)
            case "regex":
                body = regex_of_lucene(token.text[1:-1])
                if body is None:
                    raise unsupported("this expression of Lucene", span)
                return regex_test(of, rf"^(?:{body})\z", span, cased=True, dotall=True)
            case "sign" if token.text in _RELATIONS:
                number = self.cursor.expect("word", message="a number is missing here")
                constant = ir.Constant(number_of(number.text))
                whole = self._span(name, number)
                return ir.Compare(of, _RELATIONS[token.text], constant, ir.Type.ANY, whole)
            case "word":
                if token.text == "*":
                    return ir.Not(ir.IsNull(of, span))
                if token.text[0] in "[{" or _NEAR.search(token.text):
                    raise unsupported("a range, or a term that is only near", span)
                if _WHOLE_NUMBER.fullmatch(token.text):
                    right = ir.Constant(int(token.text))
                    return ir.Compare(of, Relation.EQUAL, right, ir.Type.ANY, span)
                network = re.sub(r"\\(.)", r"\1", token.text)
                if "/" in network and network_of(network) is not None:
                    message = f"{of.name} is taken to be indexed as an address (ip)"
                    self.said.append(Diagnostic(codes.FOREIGN_NEAR, message, span))
                    return ir.InNetwork(of, (network,), span)
                pattern = pattern_text(wildcards_of_lucene(token.text), span)
                return ir.Match(of, (Pattern(pattern, True),), span)
            case _:
                raise wrong("a value is missing here", span)
