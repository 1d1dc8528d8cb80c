r"""Kusto's query language, as far as it filters events: a condition, or ``TABLE | where …``.

    Image endswith "\\cmd.exe" and not(User =~ "x")

``contains``, ``endswith``, ``startswith``, ``=~`` and ``in~`` look at no case; ``==``, ``in`` and
those with ``_cs`` do. A text that is missing is an empty one, so that a test of it is false and
``not`` of it true, and so are ``!contains`` and its like. ``has`` looks for a whole term.

https://learn.microsoft.com/kusto/query/datatypes-string-operators
"""

from __future__ import annotations

import re

from ... import ir
from ...diagnostics import Block, Diagnostic, Span, codes
from ...ir import Relation
from ...pattern import Pattern, escape
from ...syntax import Token
from ...values import network_of
from ..filter_expressions import FilterReader
from ..query import (
    QueryReading,
    Refusal,
    finished,
    native_search,
    regex_test,
    unsupported,
    wrong,
)

LANGUAGE = "kusto"
_HEAD = re.compile(r"\s*(?P<table>\w+)\s*\|\s*where\b", re.IGNORECASE)
_RELATIONS = {
    "<": Relation.LESS,
    "<=": Relation.LESS_EQUAL,
    ">": Relation.GREATER,
    ">=": Relation.GREATER_EQUAL,
}
_CONVERSIONS = ("tostring", "todouble", "toreal", "tolong", "toint")
_NEGATED = (
    *("contains", "contains_cs", "startswith", "startswith_cs", "endswith", "endswith_cs"),
    *("in", "in~", "has", "has_cs"),
)
_BETWEEN = "[^A-Za-z0-9]"
_WILD = {"contains": "*{}*", "endswith": "*{}", "startswith": "{}*"}


def read(block: Block) -> QueryReading:
    """The reading of a Kusto query.

    >>> reading = read(Block.of('Image endswith "a.exe" and EventID == 1'))
    >>> [type(item).__name__ for item in reading.program.outputs[0].plan.condition.items]
    ['IsTrue', 'IsTrue']
    """
    said: list[Diagnostic] = []
    plan: ir.Plan | None = None
    try:
        head = _HEAD.match(block.text)
        reader = KustoReader(block, head.end() if head else 0)
        condition = reader.whole()
        said = reader.said
        if head:
            message = f"{head['table']} says where the data lies, and nothing about an event"
            place = block.span(head.start("table"), head.end("table"))
            said.append(Diagnostic(codes.DATA_SOURCE, message, place))
        plan = ir.Filter(native_search(LANGUAGE), condition, block.span(0, len(block.text)))
    except Refusal as refused:
        said.append(refused.diagnostic)
    return finished(LANGUAGE, block, plan, said)


class KustoReader(FilterReader):
    """The tests of Kusto."""

    _coalescing = False

    def test(self) -> ir.Condition:
        """A function, or a field and what is asked of it: true or false, never unknown."""
        if self.cursor.next.kind == "string":
            what = "a text without a field, whose meaning depends on the table"
            raise unsupported(what, self.span(self.cursor.next))
        name = self.cursor.expect("name", message="a field is missing here")
        if self.cursor.is_next("sign", "("):
            if name.text.lower() == "coalesce":
                return self._coalesce(name)
            if name.text.lower() in _CONVERSIONS:
                return self._of(self._converted(), name)
            return self._call(name)
        return self._of(ir.Field(name.text), name)

    def _converted(self) -> ir.Field:
        """The field in the brackets of a conversion. What it holds has no type here."""
        opened = self.cursor.take()
        name = self.cursor.expect("name", message="a field is missing here")
        self.cursor.expect("sign", ")", message="this `(` is never closed", place=opened)
        return ir.Field(name.text)

    def _coalesce(self, name: Token) -> ir.Condition:
        """``coalesce(TEST, false)``: false where the test is unknown."""
        if self._coalescing:
            raise unsupported("coalesce in coalesce", self.span(name))
        opened = self.cursor.take()
        self._coalescing = True
        inner = self.either(0)
        self._coalescing = False
        self.cursor.expect("sign", ",", message="`, false` is missing here")
        if self.constant() is not False:
            raise unsupported("coalesce with anything but false", self._since(name))
        self.cursor.expect("sign", ")", message="this `(` is never closed", place=opened)
        return ir.IsTrue(inner)

    def _other_field(self) -> ir.Field | None:
        """A field on the right of an operator, taken; None where no field stands there."""
        if self.cursor.next.kind != "name" or self.word("true", "false"):
            return None
        name = self.cursor.take()
        if self.cursor.is_next("sign", "(") and name.text.lower() in _CONVERSIONS:
            return self._converted()
        return ir.Field(name.text)

    def _call(self, name: Token) -> ir.Condition:
        function = name.text.lower()
        opened = self.cursor.take()
        of = ir.Field(self.cursor.expect("name", message="a field is missing here").text)
        texts = []
        while self.cursor.accept("sign", ","):
            texts.append(self.string())
        self.cursor.expect("sign", ")", message="this `(` is never closed", place=opened)
        span = self.span(name, self.cursor.previous)
        empty = ir.Or((ir.IsNull(of, span), ir.IsTrue(ir.Match(of, (Pattern(""),), span))))
        match function:
            case "ipv4_is_in_range" | "ipv6_is_in_range" if len(texts) == 1:
                if network_of(texts[0]) is None:
                    raise wrong(f"{texts[0]} is no network", span)
                return ir.IsTrue(ir.InNetwork(of, tuple(texts), span))
            case "isempty":
                return empty
            case "isnotempty":
                return ir.Not(empty)
            case "isnull" | "isnotnull":
                message = "of a text Kusto never says that it is null; it is read as missing"
                self.said.append(Diagnostic(codes.FOREIGN_NEAR, message, span))
                made = ir.IsNull(of, span)
                return made if function == "isnull" else ir.Not(made)
            case _:
                raise unsupported(f"the function {name.text}", span)

    def _of(self, of: ir.Field, name: Token) -> ir.Condition:
        sign = self.cursor.take()
        text = sign.text.lower()
        if text == "!":
            if not self.word(*_NEGATED):
                raise unsupported(f"`!{self.cursor.next.text}`", self.span(self.cursor.next))
            return ir.Not(self._of(of, name))
        base, cased = text.removesuffix("_cs"), text.endswith("_cs")
        other = self._other_field() if base in ("contains", "==", "=~") and not cased else None
        if other is not None:
            if base == "contains":
                return ir.IsTrue(ir.Occurs(other, of, self._since(name)))
            number = base == "=="
            type_ = ir.Type.NUMBER if number else ir.Type.TEXT
            return ir.IsTrue(ir.Compare(of, Relation.EQUAL, other, type_, self._since(name)))
        match base:
            case "contains" | "endswith" | "startswith":
                pattern = Pattern(_WILD[base].format(escape(self.string())), cased)
                made: ir.Condition = ir.Match(of, (pattern,), self._since(name))
            case "==" | "!=" | "=~" | "!~":
                made = self._equal(of, [self.constant()], name, cased=base in ("==", "!="))
                if base in ("!=", "!~"):
                    return ir.Not(made)
            case "in" | "in~":
                made = self._equal(of, self.constants(), name, cased=base == "in")
            case "has":
                made = self._has(of, self.string(), name, cased=cased)
            case "has_any" | "has_all":
                terms = [self._has(of, text, name, cased=False) for text in self.strings()]
                made = (ir.Or if base == "has_any" else ir.And)(tuple(terms))
            case "matches":
                if not self.word("regex"):
                    raise wrong("`regex` is missing here", self.span(self.cursor.next))
                self.cursor.take()
                made = regex_test(of, self.string(), self._since(name), cased=True)
            case "<" | "<=" | ">" | ">=":
                right = ir.Constant(self.constant())
                made = ir.Compare(of, _RELATIONS[base], right, ir.Type.ANY, self._since(name))
            case _:
                raise unsupported(f"`{sign.text}`", self.span(sign))
        # What is missing is an empty text, of which no test is unknown.
        return ir.IsTrue(made)

    def _has(self, of: ir.Field, text: str, name: Token, *, cased: bool) -> ir.Condition:
        """The test for a term: a text before and behind which no letter and no digit stands."""
        span = self._since(name)
        if not text or not text.isascii():
            raise unsupported("a term that is empty, or not ASCII", span)
        before = rf"(?:^|{_BETWEEN})" if text[0].isalnum() else ""
        behind = rf"(?:{_BETWEEN}|\z)" if text[-1].isalnum() else ""
        message = "a term is taken to end where no letter and no digit of ASCII follows"
        self.said.append(Diagnostic(codes.FOREIGN_NEAR, message, span))
        # In both cases letter by letter: what separates terms knows no case.
        letters = (f"[{c.lower()}{c.upper()}]" if c.isalpha() and not cased else c for c in text)
        body = "".join(one if len(one) > 1 else _quoted(one) for one in letters)
        return regex_test(of, f"{before}{body}{behind}", span, cased=True, dotall=True)

    def _since(self, name: Token) -> Span:
        return self.span(name, self.cursor.previous)

    def _equal(
        self,
        of: ir.Field,
        values: list[str | int | float | bool],
        name: Token,
        *,
        cased: bool,
    ) -> ir.Condition:
        span = self._since(name)
        made: list[ir.Condition] = []
        texts = [v if isinstance(v, str) else str(v).lower() for v in values if _is_text(v)]
        if texts:
            made.append(ir.Match(of, tuple(Pattern(escape(t), cased) for t in texts), span))
        if "" in texts:
            made.append(ir.IsNull(of, span))
        for value in values:
            if not _is_text(value):
                right = ir.Constant(value)
                made.append(ir.Compare(of, Relation.EQUAL, right, ir.Type.ANY, span))
        return ir.IsTrue(made[0] if len(made) == 1 else ir.Or(tuple(made)))


def _quoted(text: str) -> str:
    """A text as an expression for it."""
    return re.sub(r"([!-/:-@\[-`{-~])", r"\\\1", text)


def _is_text(value: object) -> bool:
    return isinstance(value, str | bool)
