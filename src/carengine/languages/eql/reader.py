r"""EQL, the Event Query Language: queries about single events, with the pipes ``filter`` and
``unique``.

The grammar is our own (``eql.lark``). The ``eql`` package has a parser, under the AGPL, which a
library under the Apache licence cannot build on; it also refuses names that its schema does not
know, and its trees have no positions for what is inside an expression. Its engine and its tests
serve ours as an oracle.

What EQL means, and how it becomes IR:

* ``process where …`` is a condition on the field ``event_type``; ``any where`` has none.
* A text compared by ``==`` or ``!=`` is a wildcard pattern, in which only ``*`` means anything;
  with ``:`` and ``like`` a ``?`` is one character. Case is ignored, but for Elasticsearch's ``==``,
  ``in``, ``like`` and ``regex``, and in an expression that is Python's group ``(?-i:…)``.
* Logic is three-valued, as it is here: ``null == (exit_code > -1)`` asks whether a comparison is
  unknown.
* ``subtype.create`` is ``subtype == "create"``.
* ``match`` must match from the beginning of a text, and need not reach its end; ``regex`` the whole
  text.

Refused by name, as our language has no such thing: ``fork``, ``arrayCount``,
``head``, ``tail``, pipes that count, and conditions used as values.
"""

from __future__ import annotations

import functools
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import evolve

from ... import ir
from ...diagnostics import Block, Diagnostic, Span, codes
from ...ir import Relation
from ...pattern import Pattern, starred, wildcards
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
from .arrays import element, searched
from .dialect import ELASTIC, PACKAGE, EqlDialect
from .functions import FUNCTIONS, Operand
from .processes import GENERATIONS, related
from .sequences import several

if TYPE_CHECKING:
    from lark import Lark, Token

Node = Any
"""A tree of Lark's, or a token: what is below a tree depends on its rule, which types cannot say.
"""

LANGUAGE = "eql"
_MAX_TEXT = 100_000
_MAX_DEPTH = 100
# What a schema declares as one of a list of names; `subtype.create` compares it.
_ENUMERATED = frozenset({"subtype", "event_subtype", "hive", "protocol", "direction"})
_RELATIONS = {
    "=": Relation.EQUAL,
    "==": Relation.EQUAL,
    "!=": Relation.EQUAL,
    "<": Relation.LESS,
    "<=": Relation.LESS_EQUAL,
    ">": Relation.GREATER,
    ">=": Relation.GREATER_EQUAL,
}
_ESCAPES = {
    "n": "\n",
    "t": "\t",
    "r": "\r",
    "b": "\b",
    "f": "\f",
    **{sign: sign for sign in "\"'\\"},
}
_ESCAPE = re.compile(r"\\(?:u\{([0-9A-Fa-f]{1,6})\}|(.))", re.DOTALL)


def read(block: Block, dialect: EqlDialect = PACKAGE) -> QueryReading:
    """The reading of an EQL query.

    >>> reading = read(Block.of('file where file_name == "lsass*.dmp"'))
    >>> reading.program.outputs[0].plan.condition.items[1].patterns[0].text
    'lsass*.dmp'
    >>> [d.message for d in read(Block.of("file where true | head 5")).diagnostics]
    ['the pipe `head`']
    """
    said: list[Diagnostic] = []
    plan: ir.Plan | None = None
    try:
        reader = EqlReader(block, dialect)
        said = reader.said
        plan = reader.query(_parsed(block))
    except Refusal as refused:
        said.append(refused.diagnostic)
    return finished(dialect.name, block, plan, said)


def read_elastic(block: Block, category: str = ELASTIC.category) -> QueryReading:
    """The reading of a query as Elasticsearch means it, over ECS; ``category`` is the field that
    names the kind of an event (``event_category_override``).

    >>> made = read_elastic(Block.of('process where process.name == "cmd.exe"')).program
    >>> [item.value.name for item in made.outputs[0].plan.condition.items]
    ['event.category', 'process.name']
    """
    return read(block, evolve(ELASTIC, category=category))


@functools.cache
def _grammar() -> Lark:
    from lark import Lark

    text = (Path(__file__).parent / "eql.lark").read_text(encoding="utf-8")
    return Lark(text, parser="lalr", propagate_positions=True, maybe_placeholders=False)


# Blanks and comments. Each way to go on begins with a character of its own, so that reading takes
# time in proportion to the text.
_BETWEEN = re.compile(r"(?:\s|//[^\n]*(?:\n|\Z)|/\*(?:[^*]|\*(?!/))*\*/)*")


def _parsed(block: Block) -> Node:
    from lark.exceptions import UnexpectedCharacters, UnexpectedInput, UnexpectedToken

    text = block.text
    if len(text) > _MAX_TEXT:
        raise wrong(f"the query is longer than {_MAX_TEXT} characters", block.span(0, 0))
    if _BETWEEN.fullmatch(text):
        raise wrong("the query is empty", block.span(0, 0))
    try:
        return _grammar().parse(text)
    except UnexpectedToken as error:
        if error.token.type == "$END":
            end = len(text.rstrip())
            raise wrong("the query ends too early", block.span(end, end)) from None
        start = error.token.start_pos or 0
        span = block.span(start, start + len(error.token))
        note = _expected(error.accepts or error.expected)
        raise wrong(f"`{error.token}` cannot stand here", span, *note) from None
    except UnexpectedCharacters as error:
        at = error.pos_in_stream or 0
        shown = "quote has no partner" if text[at] in "\"'`" else "character means nothing in EQL"
        raise wrong(f"this {shown}", block.span(at, at + 1)) from None
    except UnexpectedInput as error:
        at = error.pos_in_stream or 0
        raise wrong("the query does not parse", block.span(at, at + 1)) from None


_SHOWN = {"AND": "and", "OR": "or", "COMPARE": "==", "IN": "in", "VBAR": "|", "RPAR": ")"}


def _expected(names: set[str]) -> tuple[str, ...]:
    shown = [f"`{word}`" for name, word in _SHOWN.items() if name in names]
    return (f"{', '.join(shown)} could",) if shown else ()


class EqlReader:
    """From the parse tree to IR."""

    def __init__(self, block: Block, dialect: EqlDialect) -> None:
        self.block = block
        self.dialect = dialect
        self.cased = dialect.elastic
        """Whether the function at hand looks at case."""
        self.behind_sequence = False
        self.bound: dict[str, ir.Value] = {}
        """The lists whose elements have a name, in the conditions on them."""
        self.said: list[Diagnostic] = []

    def span(self, node: Node) -> Span:
        """Where a node of the tree stands."""
        if hasattr(node, "meta"):
            if node.meta.empty:
                return self.block.span(0, 0)
            return self.block.span(node.meta.start_pos, node.meta.end_pos)
        start = node.start_pos or 0
        return self.block.span(start, start + len(node))

    def query(self, tree: Node) -> ir.Plan:
        """The plan of a whole query."""
        first, *pipes = tree.children
        plan = several(self, first) if first.data == "several" else self.event(first)
        self.behind_sequence = isinstance(plan, ir.Sequence)
        for number, pipe in enumerate(pipes):
            plan = self.pipe(plan, pipe, last=number == len(pipes) - 1)
        return plan

    def event(self, tree: Node) -> ir.Plan:
        """The events of one kind for which a condition is true."""
        *head, expression = tree.children
        type_: ir.Condition = ir.Truth(True)
        if head and str(head[0]) != "any":
            # In quotes `any` is a category like any other.
            name = head[0]
            plain = _is_token(name, "NAME")
            text = str(name).strip("`") if plain else str(self._constant(name))
            pattern = Pattern.literal(text, cased=self.dialect.elastic)
            type_ = ir.Match(ir.Field(self.dialect.category), (pattern,), self.span(name))
        elif head and not _is_token(head[0], "NAME"):
            pattern = Pattern.literal("any", cased=self.dialect.elastic)
            type_ = ir.Match(ir.Field(self.dialect.category), (pattern,), self.span(head[0]))
        condition = ir.simplify(ir.And((type_, self.condition(expression, 0))))
        return ir.Filter(native_search(self.dialect.name), condition, self.span(expression))

    def pipe(self, plan: ir.Plan, pipe: Node, *, last: bool = False) -> ir.Plan:
        """The plan with one pipe behind it."""
        name, *rest = pipe.children
        arguments = list(rest[0].children) if rest else []
        match str(name):
            case "filter" if len(arguments) == 1:
                return ir.Filter(plan, self.condition(arguments[0], 0), self.span(pipe))
            case "unique" if len(arguments) == 1:
                value = self.value(arguments[0], 0)
                if isinstance(value, ir.Field):
                    return ir.Distinct(plan, value, self.span(pipe))
                span = self.span(pipe)
                return ir.Distinct(ir.Assign(plan, _KEY, value, span), ir.Field(_KEY), span)
            case "unique" if len(arguments) > 1:
                keys = [self.value(argument, 0) for argument in arguments]
                listed = ir.Call("json_text", (ir.Call("several", tuple(map(_or_nothing, keys))),))
                span = self.span(pipe)
                return ir.Distinct(ir.Assign(plan, _KEY, listed, span), ir.Field(_KEY), span)
            case "sort" if last and arguments:
                message = "`sort` is about the order in which events are shown"
                self.said.append(Diagnostic(codes.DATA_SOURCE, message, self.span(pipe)))
                return plan
            case "filter" | "unique":
                what = f"the pipe `{name}` of {len(arguments)} values"
                raise unsupported(what, self.span(pipe))
            case "head" | "tail" | "sort" | "count" | "unique_count":
                note = "what a rule finds does not depend on the order of the events found"
                raise unsupported(f"the pipe `{name}`", self.span(pipe), note)
            case _:
                raise wrong(f"EQL has no pipe `{name}`", self.span(name))

    # Conditions

    def condition(self, node: Node, depth: int) -> ir.Condition:
        """A node as a condition; a value holds where it is true."""
        found = self.operand(node, depth)
        return found if isinstance(found, ir.Condition) else self._holds(found, self.span(node))

    def _holds(self, value: ir.Value, span: Span) -> ir.Condition:
        """A value where a condition stands: it is there, and not false."""
        match value:
            case ir.Constant(bool() | None as truth):
                return ir.Truth(truth)
            case ir.Constant():
                raise unsupported("a constant where a condition belongs", span)
            case _:
                false = ir.Compare(value, Relation.EQUAL, ir.Constant(False), span=span)
                return ir.And((ir.Not(ir.IsNull(value, span)), ir.Not(ir.IsTrue(false))))

    def value(self, node: Node, depth: int) -> ir.Value:
        """A node as a value. Raises `Refusal` for a condition."""
        found = self.operand(node, depth)
        if isinstance(found, ir.Condition):
            raise unsupported("a condition used as a value", self.span(node))
        if _is_reading(found):
            what = "`number` of a field, but compared with a number"
            raise unsupported(what, self.span(node))
        return found

    def number(self, node: Node, depth: int) -> ir.Value:
        """A value of which only the number counts."""
        found = self.operand(node, depth)
        match found:
            case ir.Call("number", (inner,)):
                return inner
            case _:
                return self.value(node, depth)

    def operand(self, node: Node, depth: int) -> Operand:
        """A node as what it is, a condition or a value."""
        if depth > _MAX_DEPTH:
            raise wrong(f"the query is nested deeper than {_MAX_DEPTH} levels", self.span(node))
        assert not _is_token(node)
        children = node.children
        span = self.span(node)
        deeper = depth + 1
        match node.data:
            case "conjunction":
                items = [c for c in children if not _is_token(c)]
                return ir.And(tuple(self.condition(c, deeper) for c in items))
            case "disjunction":
                items = [c for c in children if not _is_token(c)]
                return ir.Or(_without_twins([self.condition(c, deeper) for c in items]))
            case "negated":
                return ir.Not(self.condition(children[1], deeper))
            case "compared":
                left, sign, right = children
                a, b = self.operand(left, deeper), self.operand(right, deeper)
                return self._compared(a, str(sign), b, span)
            case "membership":
                return self._membership(node, deeper)
            case "worded":
                return self._worded(node, deeper)
            case "arithmetic":
                left, sign, right = children
                a, b = self.number(left, deeper), self.number(right, deeper)
                return self.arithmetic(str(sign), a, b, span)
            case "signed":
                return self._signed(str(children[0]), self.number(children[1], deeper), span)
            case "call":
                return self._call(node, deeper)
            case "related":
                return self._related(node)
            case "field":
                return self._field(node)
            case _:
                return ir.Constant(self._constant(children[0]))

    def _compared(self, a: Operand, sign: str, b: Operand, span: Span) -> ir.Condition:
        relation = _RELATIONS[sign]
        if isinstance(a, ir.Constant) and not isinstance(b, ir.Constant):
            a, b, relation = b, a, relation.mirrored
        if isinstance(a, ir.Condition):
            made = self._verdict(a, relation, b, span)
        elif isinstance(b, ir.Condition):
            made = self._verdict(b, relation.mirrored, a, span)
        elif _is_reading(a) or _is_reading(b):
            made = self._numeric(a, relation, b, span)
        elif relation is not Relation.EQUAL:
            made = ir.Compare(a, relation, b, span=span)
        else:
            made = self._equal(a, b, span)
        return ir.Not(made) if sign == "!=" else made

    def _verdict(
        self, condition: ir.Condition, relation: Relation, to: Operand, span: Span
    ) -> ir.Condition:
        """A condition compared with a truth value or with null."""
        if relation is Relation.EQUAL and isinstance(to, ir.Constant):
            match to.value:
                case True:
                    return condition
                case False:
                    return ir.Not(condition)
                case None:
                    false = ir.Not(ir.IsTrue(ir.Not(condition)))
                    return ir.And((ir.Not(ir.IsTrue(condition)), false))
                case _:
                    pass
        raise unsupported("the outcome of a condition, compared with a value", span)

    def _numeric(self, a: ir.Value, relation: Relation, b: ir.Value, span: Span) -> ir.Condition:
        """A comparison with ``number`` of a field, which is unknown where the field spells no
        number."""
        if b == ir.Constant(None) or (isinstance(b, ir.Constant) and isinstance(b.value, str)):
            raise unsupported("`number` of a field, compared with no number", span)
        left, right = (v.arguments[0] if isinstance(v, ir.Call) else v for v in (a, b))
        if relation is not Relation.EQUAL:
            return ir.Compare(left, relation, right, span=span)
        both = (Relation.GREATER_EQUAL, Relation.LESS_EQUAL)
        return ir.And(tuple(ir.Compare(left, one, right, span=span) for one in both))

    def _equal(self, value: ir.Value, to: ir.Value, span: Span) -> ir.Condition:
        match to:
            case ir.Constant(None):
                return ir.IsNull(value, span)
            case ir.Constant(str() as text) if self.dialect.elastic:
                return ir.Match(value, (Pattern.literal(text, cased=True),), span)
            case ir.Constant(str() as text):
                return ir.Match(value, (Pattern(self.wildcards(text, span)),), span)
            case ir.Call("concat", (b,)) if not self.dialect.elastic:
                match value:
                    case ir.Call("concat", (a,)):
                        # `string` of both: compared are the texts.
                        return ir.Compare(a, Relation.EQUAL, b, ir.Type.TEXT, span)
                    case _:
                        return ir.Compare(value, Relation.EQUAL, to, span=span)
            case _:
                return ir.Compare(value, Relation.EQUAL, to, span=span)

    def wildcards(self, text: str, span: Span) -> str:
        """The pattern of a text in which wildcards count: of the package's, only ``*`` does."""
        if not self.dialect.elastic:
            return starred(text)
        return pattern_text(wildcards(text), span)

    def _membership(self, node: Node, depth: int) -> ir.Condition:
        items = [c for c in node.children if not _is_token(c)]
        negated = any(_is_token(c, "NOT") for c in node.children)
        cased = self.dialect.elastic and not any(str(c) == "in~" for c in node.children)
        value = self.value(items[0], depth)
        texts: list[Pattern] = []
        others: list[ir.Condition] = []
        for item in items[1:]:
            match self.value(item, depth):
                case ir.Constant(str() as text):
                    texts.append(Pattern.literal(text, cased=cased))
                case other:
                    others.append(self._equal(value, other, self.span(item)))
        if texts:
            others.insert(0, ir.Match(value, tuple(texts), self.span(node)))
        others = list(_without_twins(others))
        made = others[0] if len(others) == 1 else ir.Or(tuple(others))
        return ir.Not(made) if negated else made

    def _worded(self, node: Node, depth: int) -> ir.Condition:
        value = self.value(node.children[0], depth)
        word = str(node.children[1])
        cased = self.dialect.elastic and word in ("like", "regex")
        found = [c for c in node.children[2:] if not _is_token(c)]
        span = self.span(node)
        if word == ":" and len(found) == 1:
            other = self.value(found[0], depth)
            match other:
                case ir.Constant(str()):
                    pass
                case _:
                    return self._equal(value, other, span)
        texts = [self._text(c, depth) for c in found]
        if word.startswith("regex"):
            return self.regexes(value, [f"^(?:{text})$" for text in texts], span, cased=cased)
        patterns = tuple(Pattern(pattern_text(wildcards(text), span), cased) for text in texts)
        return ir.Match(value, patterns, span)

    def _text(self, node: Node, depth: int) -> str:
        match self.value(node, depth):
            case ir.Constant(str() as text):
                return text
            case _:
                raise unsupported("a pattern that is no plain text", self.span(node))

    def regexes(
        self, value: ir.Value, texts: list[str], span: Span, *, cased: bool = False
    ) -> ir.Condition:
        """The test that one of some expressions is found in a value."""
        # The end of a text is \Z to the package, and \z here.
        ours = [re.sub(r"\\(.)", lambda m: r"\z" if m[1] == "Z" else m[0], text) for text in texts]
        tests = [regex_test(value, text, span, cased=cased, dotall=True) for text in ours]
        return tests[0] if len(tests) == 1 else ir.Or(tuple(tests))

    # Values

    def arithmetic(self, sign: str, a: ir.Value, b: ir.Value, span: Span) -> ir.Value:
        """The value of a sum, a difference, a product or a quotient."""
        if sign == "%":
            return ir.Call("modulo", (a, b), ir.Type.NUMBER)
        if sign == "/" and not any(
            isinstance(x, ir.Constant) and isinstance(x.value, float) for x in (a, b)
        ):
            # Of whole numbers the fraction is left out.
            return ir.Call("quotient", (a, b), ir.Type.NUMBER)
        return ir.Arithmetic(sign, a, b)

    def _signed(self, sign: str, value: ir.Value, span: Span) -> ir.Value:
        match value:
            case ir.Constant(int() | float() as number) if not isinstance(number, bool):
                return ir.Constant(-number if sign == "-" else number)
            case _:
                return self.arithmetic(sign, ir.Constant(0), value, span)

    def _field(self, node: Node) -> Operand:
        names = [c for c in node.children if _is_token(c, "NAME")]
        parts = [str(names[0]).strip("`")]
        value: ir.Value | None = None
        if (part := self._of_a_step(node)) is not None:
            return part
        for accessor in node.children:
            if _is_token(accessor):
                continue
            [inner] = accessor.children
            if inner.type == "INDEX":
                place = int(str(inner).strip("[] \t")[:9])
                whole = ir.Field(".".join(parts)) if value is None else value
                value = ir.Call("item", (whole, ir.Constant(place)))
            elif value is not None:
                key = ir.Constant(str(inner).strip("`"))
                value = ir.Call("member", (value, key))
            else:
                parts.append(str(inner).strip("`"))
        if value is not None:
            return value
        if parts[0] in self.bound:
            return element(self.bound[parts[0]], tuple(parts[1:]))
        if not self.dialect.elastic and len(parts) == 2 and parts[0] in _ENUMERATED:
            pattern = Pattern.literal(parts[1])
            return ir.Match(ir.Field(parts[0]), (pattern,), self.span(node))
        return ir.Field(".".join(parts))

    def _related(self, node: Node) -> ir.Condition:
        """``event of [ … ]``, ``child of [ … ]``, ``descendant of [ … ]``."""
        word, span = str(node.children[0]).lower(), self.span(node)
        event = next(c for c in node.children if not _is_token(c))
        if self.dialect.elastic:
            note = "Elasticsearch's EQL has no such test"
            raise unsupported(f"`{word} of`", span, note)
        found = related(word, self.event(event), self.dialect, span)
        if found is None:
            raise wrong(f"EQL has no `{word} of`", span)
        if word == "descendant":
            message = f"descendants are followed over {GENERATIONS} generations"
            self.said.append(Diagnostic(codes.FOREIGN_NEAR, message, span))
        return found

    def _array_search(self, nodes: list[Node], span: Span, depth: int) -> ir.Condition:
        """``arraySearch(list, name, condition)``."""
        of = self.value(nodes[0], depth)
        name = self.block.text[nodes[1].meta.start_pos : nodes[1].meta.end_pos].strip("`")
        if not name.isidentifier() or name in self.bound:
            raise wrong("the name of an element is missing here", self.span(nodes[1]))
        self.bound[name] = of
        try:
            condition = self.condition(nodes[2], depth)
        finally:
            del self.bound[name]
        return searched(of, condition, span)

    def _of_a_step(self, node: Node) -> ir.Field | None:
        """``events[1].name`` behind a sequence: a field of the row that took a step."""
        names = [c for c in node.children if _is_token(c, "NAME")]
        accessors = [c.children[0] for c in node.children if not _is_token(c)]
        if not self.behind_sequence or str(names[0]) != "events" or len(accessors) < 2:
            return None
        place, *keys = accessors
        if place.type != "INDEX" or any(key.type == "INDEX" for key in keys):
            return None
        number = int(str(place).strip("[] \t")[:9]) + 1
        return ir.Field(".".join(str(key).strip("`") for key in keys), f"e{number}")

    def _constant(self, token: Token) -> str | int | float | bool | None:
        text = str(token)
        match token.type:
            case "STRING":
                return _ESCAPE.sub(lambda found: self._escaped(token, found), text[1:-1])
            case "RAW_STRING":
                return text[2:-1]
            case "TRIPLE":
                return text[3:-3]
            case "DECIMAL":
                return float(text)
            case "INTEGER":
                return int(text[:300])
            case "TRUE" | "FALSE":
                return token.type == "TRUE"
            case _:
                return None

    def _escaped(self, token: Token, found: re.Match[str]) -> str:
        known = _ESCAPES.get(found[2] or "")
        if found[1]:
            code = int(found[1], 16)
            known = None if code > 0x10FFFF or 0xD800 <= code < 0xE000 else chr(code)
        if known is None:
            start = (token.start_pos or 0) + 1
            span = self.block.span(start + found.start(), start + found.end())
            raise wrong(f"EQL has no escape `{found[0]}`", span, "a backslash is written `\\\\`")
        return known

    def _call(self, node: Node, depth: int) -> Operand:
        name, *rest = node.children
        nodes = [c for c in rest if not _is_token(c)]
        span = self.span(node)
        if str(name).lower() == "arraysearch" and len(nodes) == 3:
            return self._array_search(nodes, span, depth)
        made = FUNCTIONS.get(str(name).lower())
        if made is None:
            what = f"the function `{name}`"
            raise unsupported(what, self.span(name))
        arguments = [self.value(c, depth) for c in nodes]
        self.cased = self.dialect.elastic and not any(_is_token(c, "TILDE") for c in rest)
        found = made(self, arguments, span) if arguments else None
        if found is None:
            raise unsupported(f"`{name}` with these arguments", span)
        return found


_KEY = "unique key"
"""The name of what is worked out to tell events apart."""


def _or_nothing(value: ir.Value) -> ir.Value:
    """A value that is there, whatever is null: lists of these have a place for each."""
    return ir.Call("first", (value, ir.Constant("")))


def _without_twins(items: list[ir.Condition]) -> tuple[ir.Condition, ...]:
    """Alternatives without ``x == 4`` where ``x == "4"`` is one: a number is equal to the first,
    and has the text of the second."""
    texts = {
        (item.value, pattern.exact)
        for item in items
        if isinstance(item, ir.Match)
        for pattern in item.patterns
    }

    def is_twin(item: ir.Condition) -> bool:
        match item:
            case ir.Compare(value, Relation.EQUAL, ir.Constant(int() as number)):
                return (value, str(number)) in texts
            case _:
                return False

    return tuple(item for item in items if not is_twin(item))


def _is_reading(found: Operand) -> bool:
    """Whether something is what ``number`` reads out of a field."""
    return isinstance(found, ir.Call) and found.function == "number"


def _is_token(node: object, type_: str = "") -> bool:
    found = getattr(node, "type", None)
    return found is not None and (not type_ or found == type_)
