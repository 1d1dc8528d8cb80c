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

from ... import ir
from ...diagnostics import Block, Diagnostic
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
    regex_test,
    unsupported,
    wrong,
)

LANGUAGE = "esql"
_HEAD = re.compile(r"\s*from\b[^|]*\|", re.IGNORECASE)
_WHERE = re.compile(r"\s*where\b", re.IGNORECASE)
_RELATIONS = {
    "<": Relation.LESS,
    "<=": Relation.LESS_EQUAL,
    ">": Relation.GREATER,
    ">=": Relation.GREATER_EQUAL,
}
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
        plan = ir.Filter(native_search(LANGUAGE), condition, block.span(0, len(block.text)))
    except Refusal as refused:
        said.append(refused.diagnostic)
    return finished(LANGUAGE, block, plan, said)


class EsqlReader(FilterReader):
    """The tests of ES|QL."""

    def test(self) -> ir.Condition:
        """A function, or a field and what is asked of it."""
        name = self.cursor.expect("name", message="a field is missing here")
        if self.cursor.is_next("sign", "("):
            return self._call(name)
        return self._of(ir.Field(name.text), name)

    def _call(self, name: Token) -> ir.Condition:
        function = name.text.lower()
        if function not in _FUNCTIONS:
            raise unsupported(f"the function {name.text}", self.span(name))
        opened = self.cursor.take()
        of = ir.Field(self.cursor.expect("name", message="a field is missing here").text)
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
                return ir.InNetwork(of, tuple(texts), span)
            case "starts_with":
                return ir.Match(of, (Pattern(f"{own}*", True),), span)
            case "ends_with":
                return ir.Match(of, (Pattern(f"*{own}", True),), span)
            case _:
                return ir.Match(of, (Pattern(f"*{own}*", True),), span)

    def _of(self, of: ir.Field, name: Token) -> ir.Condition:
        sign = self.cursor.take()
        text = sign.text.lower()
        match text:
            case "==" | "!=":
                made = self._equal(of, [self.constant()], name)
                return made if text == "==" else ir.Not(made)
            case "<" | "<=" | ">" | ">=":
                right = ir.Constant(self.constant())
                span = self.span(name, self.cursor.previous)
                return ir.Compare(of, _RELATIONS[text], right, ir.Type.ANY, span)
            case "is":
                return self._is(of, name)
            case "not":
                return ir.Not(self._of(of, name))
            case "in":
                return self._equal(of, self.constants(), name)
            case "like" | "rlike":
                written = self.strings() if self.cursor.is_next("sign", "(") else [self.string()]
                return self._like(of, written, name, regex=text == "rlike")
            case _:
                raise wrong(f"`{sign.text}` cannot stand here", self.span(sign))

    def _is(self, of: ir.Field, name: Token) -> ir.Condition:
        negated = self.word("not")
        if negated:
            self.cursor.take()
        if not self.word("null"):
            raise wrong("`null` is missing here", self.span(self.cursor.next))
        self.cursor.take()
        made = ir.IsNull(of, self.span(name, self.cursor.previous))
        return ir.Not(made) if negated else made

    def _equal(
        self, of: ir.Field, values: list[str | int | float | bool], name: Token
    ) -> ir.Condition:
        span = self.span(name, self.cursor.previous)
        made: list[ir.Condition] = []
        texts = [value for value in values if isinstance(value, str)]
        if texts:
            made.append(ir.Match(of, tuple(Pattern(escape(t), True) for t in texts), span))
        for value in values:
            match value:
                case bool():
                    literal = Pattern(str(value).lower())
                    made.append(ir.Match(of, (literal,), span))
                case int() | float():
                    right = ir.Constant(value)
                    made.append(ir.Compare(of, Relation.EQUAL, right, ir.Type.ANY, span))
                case str():
                    continue
                case _:
                    assert_never(value)
        return made[0] if len(made) == 1 else ir.Or(tuple(made))

    def _like(self, of: ir.Field, written: list[str], name: Token, *, regex: bool) -> ir.Condition:
        span = self.span(name, self.cursor.previous)
        if not regex:
            patterns = tuple(Pattern(wildcards_of_lucene(text), True) for text in written)
            return ir.Match(of, patterns, span)
        made = []
        for text in written:
            body = regex_of_lucene(text)
            if body is None:
                raise unsupported("this expression of Lucene", span)
            made.append(regex_test(of, rf"^(?:{body})\z", span, cased=True, dotall=True))
        return made[0] if len(made) == 1 else ir.Or(tuple(made))
