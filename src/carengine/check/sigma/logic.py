"""Mistakes in the logic of a Sigma rule, in the words that it is written in.

The parts of the condition are its detections, their items and the values of these, each with its
place::

    selection and not filter        and
                                    ├─ selection                        and
                                    │  ├─ Image|endswith: '\\\\x.exe'      test
                                    │  └─ CommandLine|contains: …       or, an item for each value
                                    └─ not filter                       test

Sigma's ``not`` is true where its operand is not true, which is less than false. What is under a
``not`` is one test to the condition; the detections in it are looked at by themselves, since what
changes nothing in them changes nothing there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache

from attrs import define, evolve, field

from ... import ir, yamltext
from ...diagnostics import Diagnostic, Source, Span, has_errors
from ...languages.sigma.arrays import has_arrays
from ...languages.sigma.condition import ConditionError, negated, parse_condition
from ...languages.sigma.detection import DetectionReader
from ...languages.sigma.document import Document, documents, log_source
from ...rule import Rule
from ...solver.texts import Budget
from ..conditions import check_condition
from ..parts import Kind, Part
from ..slips import without_consequences
from .finding import items_of, without_item
from .values import check_values

_NOT_DETECTIONS = ("condition", "timeframe", "rules")
_MOST_VALUES = 300
_SHOWN_VALUES = 3
_MOST_PATTERNS = 12
_PLACED = frozenset({"contains", "startswith", "endswith"})
_PLAIN = _PLACED | {"all", "cased"}


@lru_cache(maxsize=2)
def _documents(source: Source) -> tuple[Document, ...]:
    return tuple(one for one in documents(source) if isinstance(one, Document))


def check_logic(rule: Rule, budget: Budget) -> list[Diagnostic] | None:
    """The findings about the conditions of a rule; None where its text gives no parts.

    Correlation rules have none of their own: the rules that they are about are looked at
    themselves.
    """
    document = next(
        (
            one
            for one in _documents(rule.block.source)
            if one.id == rule.id and one.block.text == rule.block.text
        ),
        None,
    )
    if document is None:
        return None
    if document.root.get("correlation") is not None:
        return []
    reading = _LogicReader(DetectionReader({}, with_arrays=has_arrays(document.root)))
    found: list[Diagnostic] = []
    for part, others in reading.conditions(document):
        source, _ = log_source(document)
        plan = ir.Search(()) if source is None else source.search()
        for one in (part, *others):
            found += check_condition(one, plan, budget)
    if has_errors(reading.reader.found):
        # Placeholders, for example: what they stand for is not known here.
        return None
    slips = check_values(document, reading.reader)
    found = without_consequences([_with_edits(item, reading.values) for item in found], slips)
    return [*found, *slips]


def _with_edits(item: Diagnostic, values: dict[Span, yamltext.Scalar]) -> Diagnostic:
    """A finding that says to leave a value out, with the edit that does so."""
    if item.fix is None or item.fix.edits or item.fix.message != "leave it out":
        return item
    node = values.get(item.span) if item.span is not None else None
    return item if node is None else evolve(item, fix=without_item("leave it out", node))


@define(eq=False)
class _LogicReader:
    """Makes parts. ``values`` are the items of lists by their places."""

    reader: DetectionReader
    values: dict[Span, yamltext.Scalar] = field(factory=dict)

    def conditions(self, document: Document) -> Iterator[tuple[Part, tuple[Part, ...]]]:
        """Each condition of a rule, and the detections in it that are under a ``not``."""
        node = document.root.get("detection")
        if not isinstance(node, yamltext.Mapping):
            return
        named = {
            key.text: self.named(key, value)
            for key, value in node.entries
            if key.value not in _NOT_DETECTIONS
        }
        marks: dict[str, ir.Condition] = {name: ir.IsNull(ir.Field(name)) for name in named}
        for text in items_of(node.get("condition")):
            if not isinstance(text, yamltext.Scalar):
                continue
            try:
                tree = parse_condition(text.text.partition("|")[0], marks)
            except ConditionError:
                continue
            under: dict[str, Part] = {}
            part = self.joined(tree, named, under, text.span, below=False)
            yield part, tuple(one for one in under.values() if one is not part)

    def joined(
        self,
        tree: ir.Condition,
        named: dict[str, Part],
        under: dict[str, Part],
        span: Span,
        *,
        below: bool,
    ) -> Part:
        """The part that a condition over names is."""
        match tree:
            case ir.IsNull(ir.Field(name)):
                if below:
                    under[name] = named[name]
                return named[name]
            case ir.And(items) | ir.Or(items):
                kind: Kind = "and" if isinstance(tree, ir.And) else "or"
                parts = [self.joined(i, named, under, span, below=below) for i in items]
                return _several(kind, parts, span, _listed(kind, parts))
            case ir.Not(ir.IsTrue(inner)):
                part = self.joined(inner, named, under, span, below=True)
                return Part("test", negated(part.condition), part.span, words=f"not {_in(part)}")
            case _:
                raise AssertionError(tree)

    def named(self, key: yamltext.Scalar, node: yamltext.Node) -> Part:
        """A detection, under its name where it has more than one item."""
        part = self.detection(node)
        return evolve(part, words=key.text, span=key.span) if len(part.parts) > 1 else part

    def detection(self, node: yamltext.Node) -> Part:
        match node:
            case yamltext.Mapping(entries) if entries:
                parts = [self.item(key, value) for key, value in entries]
                return _several("and", parts, node.span, _listed("and", parts))
            case yamltext.ListNode(items) if not all(isinstance(i, yamltext.Scalar) for i in items):
                parts = [self.detection(item) for item in items]
                return _several("or", parts, node.span, _listed("or", parts))
            case _:
                return self.item(None, node)

    def item(self, key: yamltext.Scalar | None, node: yamltext.Node) -> Part:
        """A field with its values."""
        whole = self.reader.item(key, node)
        span = node.span if key is None else key.span.to(node.span)
        start = "" if key is None else key.text + ": "
        values = [v for v in items_of(node) if isinstance(v, yamltext.Scalar)]
        words = start + ", ".join(v.span.text for v in values[:_SHOWN_VALUES])
        if len(values) > _SHOWN_VALUES:
            words += ", …"
        modifiers = () if key is None else tuple(key.text.split("|")[1:])
        whole_part = Part("test", whole, span, words=words)
        if not 1 < len(values) <= _MOST_VALUES or "neq" in modifiers:
            return whole_part
        chosen = _overlapping(values, modifiers, keyword=key is None)
        if not chosen:
            return whole_part
        kind: Kind = "and" if "all" in modifiers else "or"
        parts = []
        for place in sorted(chosen):
            value = values[place]
            self.values[value.span] = value
            one = self.reader.item(key, value)
            text = start + value.span.text
            parts.append(Part("test", one, value.span, item=kind == "or", words=text))
        rest = tuple(value for place, value in enumerate(values) if place not in chosen)
        if rest:
            others = self.reader.item(key, yamltext.ListNode(rest, node.span))
            parts.append(Part("test", others, span, words=f"{start}…"))
        return Part(kind, whole, span, tuple(parts), words=words)


def _overlapping(
    values: list[yamltext.Scalar], modifiers: tuple[str, ...], *, keyword: bool
) -> set[int]:
    """The places of the values that may say something about others: that are in another, or are
    more than plain texts. Of most lists there are none, and the solver need not be asked."""
    texts = [value.text.lower() for value in values]
    more = not set(modifiers) <= _PLAIN
    if more or any("*" in text or "?" in text for text in texts):
        # Each of them may be any of the others.
        return set(range(len(values))) if len(values) <= _MOST_PATTERNS else set()
    anywhere = keyword or bool(_PLACED & set(modifiers))
    found: set[int] = set()
    for place, text in enumerate(texts):
        for other, longer in enumerate(texts):
            if place != other and (text in longer if anywhere else text == longer):
                found |= {place, other}
    return found


def _several(kind: Kind, parts: list[Part], span: Span, words: str) -> Part:
    if len(parts) == 1:
        return parts[0]
    joined = ir.And if kind == "and" else ir.Or
    return Part(kind, joined(tuple(p.condition for p in parts)), span, tuple(parts), words=words)


def _listed(kind: Kind, parts: Iterable[Part]) -> str:
    return f" {kind} ".join(map(_in, parts))


def _in(part: Part) -> str:
    """A part within another, in brackets where it is of several words."""
    single = part.kind == "test" or " " not in part.words or part.words.count(": ") == 1
    return part.words if single else f"({part.words})"
