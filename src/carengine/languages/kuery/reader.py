r"""KQL, Kibana's query language, as Elasticsearch runs it over keyword fields.

    event.category:process and process.name:(cmd.exe or power*) and not user.id:"S-1-5-18"

What it means, and how it becomes IR:

* A value is compared with its case, and as a whole; ``*`` in a value without quotes is any run of
  characters. Elasticsearch looks at case in keyword fields, which most of ECS is.
* Fields that ECS has as analysed text (``message``, ``powershell.file.script_block_text``, names
  that end in ``.text``) hold the words of the value one behind the other, whatever their case.
  Words end where a character is no letter, digit or underscore.
* ``not`` is true where the rest is not true, so that it keeps events without the field.
* ``field:*`` asks whether the field is there; an address field takes a network (``10.0.0.0/8``).

Refused by name: a value without a field, and names of fields with wildcards.
"""

from __future__ import annotations

import functools
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ... import ir
from ...diagnostics import Block, Diagnostic, Span, codes
from ...ir import Relation
from ...pattern import Pattern, escape, starred
from ...values import network_of, time_of
from ..query import QueryReading, Refusal, finished, native_search, unsupported, wrong

if TYPE_CHECKING:
    from lark import Lark

Node = Any
"""A tree of Lark's, or a token."""

LANGUAGE = "ecs"
_MAX_TEXT = 200_000
_MAX_DEPTH = 100
_NUMBER = re.compile(r"-?\d{1,15}(?:\.\d{1,15})?")
_ESCAPE = re.compile(r"\\(?:u([0-9A-Fa-f]{4})|(.))", re.DOTALL)
_CONTROL = {"t": "\t", "r": "\r", "n": "\n"}
_RELATIONS = {
    "<": Relation.LESS,
    "<=": Relation.LESS_EQUAL,
    ">": Relation.GREATER,
    ">=": Relation.GREATER_EQUAL,
}
# Analysed text in ECS and in the logs that Elastic's integrations collect.
# https://www.elastic.co/docs/reference/ecs/ecs-field-reference
_ANALYSED = frozenset(
    {
        "message",
        "error.message",
        "error.stack_trace",
        "powershell.file.script_block_text",
        "powershell.command.invocation_details.value",
    }
)


def read(block: Block) -> QueryReading:
    """The reading of a KQL query, under the names of the Elastic Common Schema.

    >>> reading = read(Block.of('process.name:(cmd.exe or "net 1.exe")'))
    >>> [item.patterns[0].text for item in reading.program.outputs[0].plan.condition.items]
    ['cmd.exe', 'net 1.exe']
    """
    said: list[Diagnostic] = []
    plan: ir.Plan | None = None
    reader = KueryReader(block)
    try:
        condition = ir.simplify(reader.query(_parsed(block)))
        span = block.span(0, len(block.text))
        plan = ir.Filter(native_search(LANGUAGE), condition, span)
    except Refusal as refused:
        said.append(refused.diagnostic)
    return finished(LANGUAGE, block, plan, [*said, *reader.said])


@functools.cache
def _grammar() -> Lark:
    from lark import Lark

    text = (Path(__file__).parent / "kuery.lark").read_text(encoding="utf-8")
    return Lark(text, parser="lalr", propagate_positions=True, maybe_placeholders=False)


def _parsed(block: Block) -> Node:
    from lark.exceptions import UnexpectedCharacters, UnexpectedInput, UnexpectedToken

    text = block.text
    if len(text) > _MAX_TEXT:
        raise wrong(f"the query is longer than {_MAX_TEXT} characters", block.span(0, 0))
    try:
        return _grammar().parse(text)
    except UnexpectedToken as error:
        if error.token.type == "$END":
            end = len(text.rstrip())
            raise wrong("the query ends too early", block.span(end, end)) from None
        start = error.token.start_pos or 0
        span = block.span(start, start + len(error.token))
        raise wrong(f"`{error.token}` cannot stand here", span) from None
    except UnexpectedCharacters as error:
        at = error.pos_in_stream or 0
        shown = "quote has no partner" if text[at] == '"' else "character means nothing here"
        raise wrong(f"this {shown}", block.span(at, at + 1)) from None
    except UnexpectedInput as error:
        at = error.pos_in_stream or 0
        raise wrong("the query does not parse", block.span(at, at + 1)) from None


class KueryReader:
    """From the parse tree to IR. ``said`` is what there is to say of what was read."""

    def __init__(self, block: Block) -> None:
        self.block = block
        self.said: list[Diagnostic] = []

    def span(self, node: Node) -> Span:
        """Where a tree or a token stands."""
        if hasattr(node, "meta"):
            if node.meta.empty:
                return self.block.span(0, 0)
            return self.block.span(node.meta.start_pos, node.meta.end_pos)
        start = node.start_pos or 0
        return self.block.span(start, start + len(node))

    def query(self, tree: Node) -> ir.Condition:
        """The condition of a whole query; an empty one asks nothing."""
        if not tree.children:
            return ir.Truth(True)
        return self._condition(tree.children[0], "", 0)

    def _condition(self, node: Node, prefix: str, depth: int) -> ir.Condition:
        if depth > _MAX_DEPTH:
            raise wrong(f"the query is nested deeper than {_MAX_DEPTH} levels", self.span(node))
        match node.data:
            case "conjunction" | "disjunction" | "negated":
                inner = [
                    self._condition(c, prefix, depth + 1) for c in node.children if not _is_token(c)
                ]
                return _connected(node.data, inner)
            case "nested":
                name = self._name(node.children[0])
                self.said.append(
                    Diagnostic(
                        codes.FOREIGN_NEAR,
                        f"the tests of {name} are asked of all its elements together",
                        self.span(node),
                        notes=("Elasticsearch asks them of one element",),
                    )
                )
                return self._condition(node.children[2], f"{prefix}{name}.", depth + 1)
            case "tested":
                name = prefix + self._name(node.children[0])
                return self._values(node.children[2], name, depth + 1)
            case "compared":
                literal, sign, value = node.children
                return self._compared(prefix + self._name(literal), str(sign), value, node)
            case _:
                [literal] = node.children
                if self._pattern(literal) == "*":
                    return ir.Truth(True)
                note = "write the field: `field:value`"
                raise unsupported("a value that is looked for in all fields", self.span(node), note)

    def _values(self, node: Node, name: str, depth: int) -> ir.Condition:
        """The test of a field against one value or several."""
        if depth > _MAX_DEPTH:
            raise wrong(f"the query is nested deeper than {_MAX_DEPTH} levels", self.span(node))
        if node.data == "literal":
            return self._equal(name, node)
        inner = [self._values(c, name, depth + 1) for c in node.children if not _is_token(c)]
        return _connected(node.data, inner)

    def _name(self, literal: Node) -> str:
        [token] = literal.children
        if token.type == "WORDS" and "*" in _ESCAPE.sub("", str(token)):
            raise unsupported("a name of fields with a wildcard", self.span(literal))
        return self._plain(token)

    def _plain(self, token: Node) -> str:
        text = str(token)
        text = text[1:-1] if token.type == "QUOTED" else text
        return _ESCAPE.sub(_unescaped, text)

    def _pattern(self, literal: Node) -> str:
        """A value as a pattern of ours: only a ``*`` without quotes or a backslash is one."""
        [token] = literal.children
        if token.type == "QUOTED":
            return escape(self._plain(token))
        made: list[str] = []
        at = 0
        text = str(token)
        for found in _ESCAPE.finditer(text):
            made += [starred(text[at : found.start()]), escape(_unescaped(found))]
            at = found.end()
        return "".join((*made, starred(text[at:])))

    def _equal(self, name: str, literal: Node) -> ir.Condition:
        field = ir.Field(name)
        span = self.span(literal)
        [token] = literal.children
        pattern = self._pattern(literal)
        if pattern.strip("*") == "" and pattern:
            return ir.Not(ir.IsNull(field, span))
        plain = self._plain(token)
        if "/" in plain and name.endswith("ip") and network_of(plain) is not None:
            return ir.InNetwork(field, (plain,), span)
        if name in _ANALYSED or name.endswith(".text"):
            field = ir.Field(name.removesuffix(".text"))
            return self._words(field, pattern, token.type == "QUOTED", span)
        if name.endswith(".caseless"):
            return ir.Match(ir.Field(name.removesuffix(".caseless")), (Pattern(pattern),), span)
        return ir.Match(field, (Pattern(pattern, True),), span)

    def _words(self, field: ir.Field, pattern: str, quoted: bool, span: Span) -> ir.Condition:
        """The test that a text has the words of a value, one behind the other."""
        if "*" in pattern.replace("[*]", ""):
            # Wildcards are matched against single words.
            body = r"\w*".join(
                r"\W+".join(map(re.escape, re.findall(r"\w+", part)))
                for part in pattern.replace("[*]", " ").replace("[?]", " ").split("*")
            )
            return ir.Regex(field, rf"(?:^|\W){body}(?:\W|$)", False, True, False, span)
        words = re.findall(r"\w+", pattern)
        if not words:
            raise unsupported("a value without a word, looked for in analysed text", span)
        if quoted or len(words) == 1 or not re.search(r"\s", pattern):
            body = r"\W+".join(words)
            return ir.Regex(field, rf"(?:^|\W){body}(?:\W|$)", False, True, False, span)
        # Words side by side without quotes: any of them will do.
        alternatives = "|".join(words)
        return ir.Regex(field, rf"(?:^|\W)(?:{alternatives})(?:\W|$)", False, True, False, span)

    def _compared(self, name: str, sign: str, literal: Node, node: Node) -> ir.Condition:
        [token] = literal.children
        text = self._plain(token)
        span = self.span(node)
        field = ir.Field(name)
        if _NUMBER.fullmatch(text):
            number = float(text) if "." in text else int(text)
            return ir.Compare(field, _RELATIONS[sign], ir.Constant(number), span=span)
        moment = time_of(text)
        if moment is not None:
            timed = ir.Field("time" if name == "@timestamp" else name, None, ir.Type.TIME)
            return ir.Compare(timed, _RELATIONS[sign], ir.Moment(moment), ir.Type.TIME, span)
        raise unsupported("a range that is not between numbers or times", span)


def _connected(word: str, items: list[ir.Condition]) -> ir.Condition:
    match word:
        case "conjunction":
            return ir.And(tuple(items))
        case "disjunction":
            return ir.Or(tuple(items))
        case _:
            return ir.Not(ir.IsTrue(items[0]))


def _unescaped(found: re.Match[str]) -> str:
    if found[1]:
        code = int(found[1], 16)
        return "\ufffd" if 0xD800 <= code < 0xE000 else chr(code)
    return _CONTROL.get(found[2], found[2])


def _is_token(node: object) -> bool:
    return getattr(node, "type", None) is not None
