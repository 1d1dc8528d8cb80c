r"""The expressions of Splunk's ``where`` and ``eval``.

Here ``and`` binds tighter than ``or``, keywords may be written small, names may stand in ``'…'``,
and texts are compared with their case. A comparison with a missing field is unknown, ``NOT`` of it
too: ``where`` keeps what is true::

    like(CommandLine, "reg%") AND NOT cidrmatch("10.0.0.0/8", SourceIp)
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from .. import ir
from .. import pattern as patterns
from ..diagnostics import Block, Diagnostic, Span, codes
from ..ir import Relation
from ..pattern import Pattern
from ..syntax import END, Token, TokenCursor
from ..values import network_of
from .query import Refusal, length_test, pattern_text, regex_test, unsupported, wrong

Operand = ir.Value | ir.Condition

_MAX_DEPTH = 100
_FUNCTIONS = frozenset(
    [
        "like",
        "match",
        "cidrmatch",
        "isnull",
        "isnotnull",
        "in",
        "true",
        "false",
        "tonumber",
        "lower",
        "upper",
        "len",
        "coalesce",
        "nullif",
    ]
)
_TOKEN = re.compile(
    r"""(?P<space>\s+)
    |(?P<string>"(?:[^"\\]|\\.)*")
    |(?P<quoted>'[^'\n]*')
    |(?P<number>\d+(?:\.\d+)?)
    |(?P<name>[A-Za-z_@][\w.@{}:]*)
    |(?P<sign>==|!=|<=|>=|[-=<>+*/%.(),!])""",
    re.VERBOSE | re.DOTALL,
)
_OF_LIKE: dict[str, patterns.Token] = {"%": patterns.Any(), "_": patterns.One()}
_RELATIONS = {
    "=": Relation.EQUAL,
    "==": Relation.EQUAL,
    "!=": Relation.EQUAL,
    "<": Relation.LESS,
    "<=": Relation.LESS_EQUAL,
    ">": Relation.GREATER,
    ">=": Relation.GREATER_EQUAL,
}


class ExpressionReader:
    """Reads one expression from the characters ``start`` to ``end`` of a block. Raises `Refusal`.

    ``said`` is what there is to say of what was read.
    """

    def __init__(self, block: Block, start: int, end: int) -> None:
        self.block = block
        tokens = list(self._scan(start, end))
        self.cursor = TokenCursor(tokens, lambda said, *place: wrong(said, block.span(*place)))
        self.said: list[Diagnostic] = []

    def _scan(self, start: int, end: int) -> Iterator[Token]:
        while start < end:
            found = _TOKEN.match(self.block.text, start, end)
            if found is None:
                span = self.block.span(start, start + 1)
                raise wrong(f"`{self.block.text[start]}` cannot stand here", span)
            kind = found.lastgroup or ""
            if kind != "space":
                yield Token(kind, found[0], found.start(), found.end())
            start = found.end()
        yield Token(END, "", end, end)

    def whole_condition(self) -> ir.Condition:
        """The expression as a condition."""
        first = self.cursor.next
        condition = self._condition(self._either(0), first)
        self._finish()
        return of_raw_text(condition)

    def whole_value(self) -> ir.Value:
        """The expression as a value."""
        first = self.cursor.next
        value = self._value(self._either(0), first)
        self._finish()
        return value

    def _finish(self) -> None:
        if self.cursor.left:
            token = self.cursor.next
            raise self.cursor.error(f"`{token.text}` cannot stand here", token)

    def _span(self, first: Token) -> Span:
        return self.block.span(first.start, max(first.end, self.cursor.previous.end))

    def _take(self) -> Token:
        if not self.cursor.left:
            raise self.cursor.error("the expression ends too early", self.cursor.next)
        return self.cursor.take()

    def _is(self, *texts: str) -> bool:
        return self.cursor.next.kind in ("sign", "name") and self.cursor.next.text.lower() in texts

    def _condition(self, found: Operand, first: Token) -> ir.Condition:
        if isinstance(found, ir.Condition):
            return found
        raise unsupported("a value where a condition belongs", self._span(first))

    def _value(self, found: Operand, first: Token) -> ir.Value:
        if isinstance(found, ir.Condition):
            raise unsupported("a condition used as a value", self._span(first))
        return found

    def _either(self, depth: int) -> Operand:
        first = self.cursor.next
        made = self._chain("or", ir.Or, self._both, depth)
        while self._is("xor"):
            one = self._condition(made, first)
            self._take()
            first = self.cursor.next
            other = self._condition(self._chain("or", ir.Or, self._both, depth), first)
            made = ir.Or((ir.And((one, ir.Not(other))), ir.And((ir.Not(one), other))))
        return made

    def _both(self, depth: int) -> Operand:
        return self._chain("and", ir.And, self._negated, depth)

    def _chain(
        self,
        word: str,
        kind: type[ir.And] | type[ir.Or],
        part: Callable[[int], Operand],
        depth: int,
    ) -> Operand:
        first = self.cursor.next
        made = part(depth)
        if not self._is(word):
            return made
        items = [self._condition(made, first)]
        while self._is(word):
            self._take()
            first = self.cursor.next
            items.append(self._condition(part(depth), first))
        return kind(tuple(items))

    def _too_deep(self, token: Token) -> Refusal:
        message = f"the expression is nested deeper than {_MAX_DEPTH} levels"
        return wrong(message, self.block.span(token.start, token.end))

    def _negated(self, depth: int) -> Operand:
        if depth > _MAX_DEPTH:
            raise self._too_deep(self.cursor.next)
        if not self._is("not", "!"):
            return self._compared(depth)
        self._take()
        first = self.cursor.next
        return ir.Not(self._condition(self._negated(depth + 1), first))

    def _compared(self, depth: int) -> Operand:
        first = self.cursor.next
        left = self._sum(depth)
        if self._is(*_RELATIONS):
            sign = self._take().text
            a = self._value(left, first)
            b = self._value(self._sum(depth), self.cursor.next)
            made = self._comparison(a, _RELATIONS[sign], b, self._span(first))
            return ir.Not(made) if sign == "!=" else made
        if self._is("not") and self.cursor.peek(1).text.lower() in ("in", "like"):
            negation = self._take()
            what = f"`NOT {self._take().text}` behind a field"
            span = self.block.span(negation.start, negation.end)
            raise unsupported(what, span, "`NOT` stands before the test: `NOT field IN (…)`")
        if self._is("like"):
            self._take()
            token = self._take()
            return self._like([self._value(left, first), self._constant(token)], self._span(first))
        if self._is("in") and isinstance(left, ir.Field):
            self._take()
            arguments = self._arguments(depth)
            return self._in([left, *arguments], self._span(first))
        if isinstance(left, ir.Call) and left.function == "len":
            raise unsupported("`len`, but compared with a number", self._span(first))
        return left

    def _sum(self, depth: int) -> Operand:
        first = self.cursor.next
        made = self._product(depth)
        while self._is("+", "-", "."):
            sign = self._take()
            depth += 1
            if sign.text == ".":
                raise unsupported("joining texts", self.block.span(sign.start, sign.end))
            right = self._value(self._product(depth), self.cursor.next)
            made = ir.Arithmetic(sign.text, self._value(made, first), right)
        return made

    def _product(self, depth: int) -> Operand:
        first = self.cursor.next
        made = self._atom(depth)
        while self._is("*", "/", "%"):
            sign = self._take()
            depth += 1
            if sign.text == "%":
                raise unsupported("the rest of a division", self._span(sign))
            right = self._value(self._atom(depth), self.cursor.next)
            made = ir.Arithmetic(sign.text, self._value(made, first), right)
        return made

    def _atom(self, depth: int) -> Operand:
        token = self._take()
        if depth > _MAX_DEPTH:
            raise self._too_deep(token)
        if token.kind == "sign" and token.text == "(":
            inner = self._either(depth + 1)
            message = "this `(` is never closed"
            self.cursor.expect("sign", ")", message=message, place=token)
            return inner
        if token.kind == "sign" and token.text == "-":
            return ir.Arithmetic("-", ir.Constant(0), self._value(self._atom(depth + 1), token))
        if token.kind == "name" and self._is("("):
            return self._call(token, depth)
        if token.kind == "name":
            if token.text.lower() in ("true", "false"):
                return ir.Constant(token.text.lower() == "true")
            if token.text.endswith("."):
                span = self.block.span(token.end - 1, token.end)
                raise unsupported("joining texts", span)
            return ir.Field("time" if token.text == "_time" else token.text)
        if token.kind == "quoted":
            return ir.Field(token.text[1:-1])
        return self._constant(token)

    def _constant(self, token: Token) -> ir.Value:
        if token.kind == "string":
            return ir.Constant(re.sub(r'\\([\\"])', r"\1", token.text[1:-1]))
        if token.kind == "number":
            return ir.Constant(float(token.text) if "." in token.text else int(token.text[:300]))
        raise wrong(f"`{token.text}` cannot stand here", self.block.span(token.start, token.end))

    def _arguments(self, depth: int) -> list[ir.Value]:
        opened = self._take()
        made: list[ir.Value] = []
        while not self._is(")"):
            first = self.cursor.next
            made.append(self._value(self._either(depth + 1), first))
            if self._is(","):
                self._take()
            elif not self._is(")"):
                raise wrong("this `(` is never closed", self.block.span(opened.start, opened.end))
        self._take()
        return made

    def _call(self, name: Token, depth: int) -> Operand:
        known = name.text.lower()
        where = self.block.span(name.start, name.end)
        if known not in _FUNCTIONS:
            raise unsupported(f"the function `{name.text}`", where)
        given = self._arguments(depth)
        span = self._span(name)
        match known, given:
            case "true" | "false", []:
                return ir.Constant(known == "true")
            case "like", [_, _]:
                return self._like(given, span)
            case "match", [
                ir.Call("lower" | "upper" as by, (value,)),
                ir.Constant(str() as text),
            ] if _is_of(by, re.sub(r"\\.", "", text)):
                return regex_test(value, text, span)
            case "match", [value, ir.Constant(str() as text)]:
                return regex_test(value, text, span, cased=True)
            case "cidrmatch", [ir.Constant(str() as text), value] if network_of(text) is not None:
                return ir.InNetwork(value, (text,), span)
            case "isnull", [value]:
                return ir.IsNull(value, span)
            case "isnotnull", [value]:
                return ir.Not(ir.IsNull(value, span))
            case "in", [_, *_]:
                return self._in(given, span)
            case "tonumber", [value]:
                # Values are compared as the numbers that they spell.
                return value
            case "lower" | "upper" | "len", [value]:
                return ir.Call(known, (value,))
            case "coalesce", [_, _, *_]:
                return ir.Call("first", tuple(given))
            case "nullif", [value, ir.Constant(str())]:
                return ir.Call("unless", tuple(given))
            case _:
                raise unsupported(f"`{name.text}` with these arguments", span)

    def _like(self, given: list[ir.Value], span: Span) -> ir.Condition:
        match given:
            case [value, ir.Constant(str() as text)]:
                pieces = (_OF_LIKE.get(sign, sign) for sign in text)
                pattern = pattern_text(patterns.spelled(pieces), span)
                match value:
                    case ir.Call("lower" | "upper" as by, (of,)) if _is_of(by, text):
                        return ir.Match(of, (Pattern(pattern),), span)
                return ir.Match(value, (Pattern(pattern, cased=True),), span)
            case _:
                raise unsupported("`like` with a pattern that is no plain text", span)

    def _in(self, given: list[ir.Value], span: Span) -> ir.Condition:
        tests = tuple(self._comparison(given[0], Relation.EQUAL, to, span) for to in given[1:])
        return tests[0] if len(tests) == 1 else ir.Or(tests)

    def _comparison(self, a: ir.Value, relation: Relation, b: ir.Value, span: Span) -> ir.Condition:
        if isinstance(a, ir.Constant) and not isinstance(b, ir.Constant):
            a, b, relation = b, a, relation.mirrored
        match a, b:
            case ir.Call("len", (of,)), ir.Constant(number):
                return length_test(of, relation, number, span)
            case (ir.Call("len"), _) | (_, ir.Call("len")):
                raise unsupported("`len`, but compared with a number", span)
            case _, ir.Constant(str()) if relation is not Relation.EQUAL:
                raise unsupported("an order of texts", span)
            case ir.Call("lower" | "upper" as by, (of,)), ir.Constant(str() as text):
                if _is_of(by, text):
                    return ir.Match(of, (Pattern.literal(text),), span)
            case ir.Call("lower", (one,)), ir.Call("lower", (other,)):
                return ir.Compare(one, relation, other, ir.Type.TEXT, span)
            case ir.Call("upper", (one,)), ir.Call("upper", (other,)):
                return ir.Compare(one, relation, other, ir.Type.TEXT, span)
            case ir.Field("_raw"), ir.Constant(str() as text):
                return ir.Match(a, (Pattern.literal(text, cased=True),), span)
            case ir.Field(), ir.Field() if "time" not in (a.name, b.name):
                message = "two fields are compared without regard to case, which Splunk heeds"
                note = "of numbers that is the same"
                self.said.append(Diagnostic(codes.FOREIGN_NEAR, message, span, notes=(note,)))
        if relation is Relation.EQUAL and isinstance(b, ir.Constant) and isinstance(b.value, str):
            return ir.Match(a, (Pattern.literal(b.value, cased=True),), span)
        return ir.Compare(a, relation, b, span=span)


def of_raw_text(condition: ir.Condition) -> ir.Condition:
    """The condition with tests of Splunk's field ``_raw`` as tests of the event's own text. Raises
    `Refusal`."""
    return ir.map_atoms(condition, _of_raw_text)


def _of_raw_text(atom: ir.Atom) -> ir.Condition:
    match atom:
        case ir.Match(ir.Field("_raw"), patterns, span):
            return ir.RawMatch(patterns, span)
        case ir.Regex(ir.Field("_raw"), pattern, cased, dotall, multiline, span):
            return ir.RawRegex(pattern, cased, dotall, multiline, span)
        case ir.IsNull(ir.Field("_raw")):
            return ir.Truth(False)
        case _:
            if any(field.name == "_raw" for field in ir.fields_of(atom)):
                raise unsupported("the event's own text in this test", atom.span)
            return atom


def _is_of(function: str, text: str) -> bool:
    """Whether ``lower`` or ``upper`` leaves a text as it is: then comparing with what it gives is
    ignoring case."""
    return text == (text.lower() if function == "lower" else text.upper())
