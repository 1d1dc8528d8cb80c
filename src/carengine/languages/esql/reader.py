r"""ES|QL, as far as it filters events: ``from … | where …``.

    from logs-* metadata _id | where ends_with(Image, "\\cmd.exe") and not (User == "x")

Texts are compared with their case. A test of a field that is missing is null, and so is ``not`` of
it: ``where`` keeps what is true. ``rlike`` takes an expression for the whole value, in Lucene's
syntax, in which ``^`` and ``$`` are characters.

https://www.elastic.co/docs/reference/query-languages/esql/esql-syntax
"""

from __future__ import annotations

import re
from typing import assert_never

from attrs import frozen

from ... import ir
from ...diagnostics import Block, Diagnostic, Span, codes
from ...ir import Relation
from ...pattern import Pattern, escape
from ...syntax import Token
from ...values import network_of
from ..filter_expressions import FilterReader
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

LANGUAGE = "esql"
_HEAD = re.compile(r"\s*from\b(?P<place>[^|]*)\|", re.IGNORECASE)
_WHERE = re.compile(r"\s*where\b", re.IGNORECASE)
_RELATIONS = {
    "<": Relation.LESS,
    "<=": Relation.LESS_EQUAL,
    ">": Relation.GREATER,
    ">=": Relation.GREATER_EQUAL,
}
_CONVERSIONS = ("to_lower", "to_string", "to_double", "to_long", "to_integer", "to_ip")
_NO_ESCAPE = re.compile(r'(?<!\\)(?:\\\\)*\\([^tnr"\\])')
_STRAY = re.compile(r"(?<!\\)(?:\\\\)*\\(?![*?\\])")
_FUNCTIONS = ("starts_with", "ends_with", "contains", "cidr_match")


def read(block: Block) -> QueryReading:
    """The reading of an ES|QL query.

    >>> reading = read(Block.of('from * | where starts_with(Image, "C:") and EventID == 1'))
    >>> [type(item).__name__ for item in reading.program.outputs[0].plan.condition.items]
    ['Match', 'Compare']
    """
    said: list[Diagnostic] = []
    plan: ir.Plan | None = None
    try:
        head = _HEAD.match(block.text)
        where = _WHERE.match(block.text, head.end()) if head else None
        if where is None:
            raise unsupported("a query that is not `from … | where …`", block.span(0, 0))
        reader = EsqlReader(block, where.end())
        condition = reader.whole()
        said = reader.said
        assert head is not None
        place = re.split(r"(?i)\bmetadata\b", head["place"])[0].strip()
        if place != "*":
            start = head.start("place") + head["place"].index(place)
            message = f"{place} says where the data lies, and nothing about an event"
            span = block.span(start, start + len(place))
            said.append(Diagnostic(codes.DATA_SOURCE, message, span))
        plan = ir.Filter(native_search(LANGUAGE), condition, block.span(0, len(block.text)))
    except Refusal as refused:
        said.append(refused.diagnostic)
    return finished(LANGUAGE, block, plan, said)


@frozen
class _Operand:
    """A field, and whether a test is of its small letters (``to_lower``)."""

    field: ir.Field
    small: bool
    first: Token

    def pattern(self, text: str, span: Span) -> Pattern:
        """What a text with wildcards asks of the field: any case, where its small letters are
        compared with small letters."""
        if self.small and text != text.lower():
            raise unsupported("a comparison of small letters with capital ones", span)
        return Pattern(text, not self.small)


class EsqlReader(FilterReader):
    """The tests of ES|QL."""

    def text_of(self, token: Token) -> str:
        """The text between quotes; Elasticsearch refuses a backslash before most characters."""
        if not token.text.startswith('"' * 3):
            stray = _NO_ESCAPE.search(token.text[1:-1])
            if stray is not None:
                raise wrong(f"a text with `\\{stray[1]}`, which is no escape", self.span(token))
        return super().text_of(token)

    def test(self) -> ir.Condition:
        """A function, or a field and what is asked of it."""
        name = self.cursor.expect("name", message="a field is missing here")
        if self.cursor.is_next("sign", "(") and name.text.lower() in _FUNCTIONS:
            return self._call(name)
        return self._of(self._operand(name))

    def _operand(self, name: Token) -> _Operand:
        """The field whose name, or whose conversions, begin with a token that was taken."""
        small, opened, inner = False, list[Token](), name
        while self.cursor.is_next("sign", "("):
            if inner.text.lower() not in _CONVERSIONS or len(opened) > len(_CONVERSIONS):
                raise unsupported(f"the function {inner.text}", self.span(inner))
            small = small or inner.text.lower() == "to_lower"
            opened.append(self.cursor.take())
            inner = self.cursor.expect("name", message="a field is missing here")
        for place in reversed(opened):
            self.cursor.expect("sign", ")", message="this `(` is never closed", place=place)
        return _Operand(ir.Field(inner.text), small, name)

    def _since(self, of: _Operand) -> Span:
        return self.span(of.first, self.cursor.previous)

    def _call(self, name: Token) -> ir.Condition:
        function = name.text.lower()
        opened = self.cursor.take()
        of = self._operand(self.cursor.expect("name", message="a field is missing here"))
        texts = []
        while self.cursor.accept("sign", ","):
            texts.append(self.string())
        self.cursor.expect("sign", ")", message="this `(` is never closed", place=opened)
        span = self.span(name, self.cursor.previous)
        if not texts or (len(texts) > 1 and function != "cidr_match"):
            raise wrong(f"{function} takes a field and a text", span)
        own = escape(texts[0])
        match function:
            case "cidr_match":
                for text in texts:
                    if network_of(text) is None:
                        raise wrong(f"{text} is no network", span)
                return ir.InNetwork(of.field, tuple(texts), span)
            case "starts_with":
                return ir.Match(of.field, (of.pattern(f"{own}*", span),), span)
            case "ends_with":
                return ir.Match(of.field, (of.pattern(f"*{own}", span),), span)
            case _:
                return ir.Match(of.field, (of.pattern(f"*{own}*", span),), span)

    def _of(self, of: _Operand) -> ir.Condition:
        sign = self.cursor.take()
        text = sign.text.lower()
        match text:
            case "==" if self.cursor.next.kind == "name" and not self.word("true", "false"):
                return self._equal_fields(of)
            case "==" | "!=":
                made = self._equal(of, [self.constant()])
                return made if text == "==" else ir.Not(made)
            case "<" | "<=" | ">" | ">=":
                right = ir.Constant(self.constant())
                relation = _RELATIONS[text]
                return ir.Compare(of.field, relation, right, ir.Type.ANY, self._since(of))
            case "is":
                return self._is(of)
            case "not":
                return ir.Not(self._of(of))
            case "in":
                return self._equal(of, self.constants())
            case "like" | "rlike":
                written = self.strings() if self.cursor.is_next("sign", "(") else [self.string()]
                return self._like(of, written, regex=text == "rlike")
            case _:
                raise wrong(f"`{sign.text}` cannot stand here", self.span(sign))

    def _equal_fields(self, of: _Operand) -> ir.Condition:
        other = self._operand(self.cursor.take())
        if of.small != other.small:
            raise unsupported(
                "a comparison of small letters with those of any case", self._since(of)
            )
        if not of.small:
            raise unsupported("an equality of two fields that heeds case", self._since(of))
        return ir.Compare(of.field, Relation.EQUAL, other.field, ir.Type.TEXT, self._since(of))

    def _is(self, of: _Operand) -> ir.Condition:
        negated = self.word("not")
        if negated:
            self.cursor.take()
        if not self.word("null"):
            raise wrong("`null` is missing here", self.span(self.cursor.next))
        self.cursor.take()
        made = ir.IsNull(of.field, self._since(of))
        return ir.Not(made) if negated else made

    def _equal(self, of: _Operand, values: list[str | int | float | bool]) -> ir.Condition:
        span = self._since(of)
        made: list[ir.Condition] = []
        texts = [value for value in values if isinstance(value, str)]
        if texts:
            patterns = tuple(of.pattern(escape(text), span) for text in texts)
            made.append(ir.Match(of.field, patterns, span))
        for value in values:
            match value:
                case bool():
                    literal = Pattern(str(value).lower())
                    made.append(ir.Match(of.field, (literal,), span))
                case int() | float():
                    right = ir.Constant(value)
                    made.append(ir.Compare(of.field, Relation.EQUAL, right, ir.Type.ANY, span))
                case str():
                    continue
                case _:
                    assert_never(value)
        return made[0] if len(made) == 1 else ir.Or(tuple(made))

    def _like(self, of: _Operand, written: list[str], *, regex: bool) -> ir.Condition:
        span = self._since(of)
        if not regex:
            if any(_STRAY.search(text) for text in written):
                note = "Elasticsearch refuses the query"
                raise unsupported(
                    r"a pattern with `\` before anything but *, ? and `\`", span, note
                )
            texts = [pattern_text(wildcards_of_lucene(text), span) for text in written]
            patterns = tuple(of.pattern(text, span) for text in texts)
            return ir.Match(of.field, patterns, span)
        made = []
        for text in written:
            body = regex_of_lucene(text)
            if body is None:
                raise unsupported("this expression of Lucene", span)
            if of.small and text != text.lower():
                # An expression with capitals, also in \W or a range, asks something else of small
                # letters than of letters of any case.
                raise unsupported("an expression with capital letters for small ones", span)
            test = regex_test(of.field, rf"^(?:{body})\z", span, cased=not of.small, dotall=True)
            made.append(test)
        return made[0] if len(made) == 1 else ir.Or(tuple(made))
