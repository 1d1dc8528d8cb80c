r"""Sigma rules, as YAML, and through pySigma's backends whatever they write.

An output becomes one rule: its condition as named detections and a condition over them, its field
names the product's own (``Image``, ``TargetFilename``), its log source that of the field map::

    logsource: {product: windows, service: sysmon}
    detection:
      selection: {EventID: 11, TargetFilename|re|i|s: '(?:^|[\\/])lsass[^\\/]*\.dmp$', Image: 'C:\Windows\\*\taskmgr.exe'}
      condition: selection

Tests that stand together under an ``and`` are one mapping, alternatives are detections of their
own. Sigma's ``not`` is true of an event without the field, as ``Negated`` is, so that
both mean the same. Which events are of the log source is the business of whoever runs the rule, so
that the map's recognition is left out.

With the target ``sigma/NAME`` the rules go through the pySigma backend of that name, if it is
installed (``pysigma-backend-…``), without a processing pipeline. What the backend makes of them is
its own affair, which a note says.
"""

from __future__ import annotations

import uuid
from typing import Any as Anything
from typing import assert_never

from attrs import define, evolve, field

from ... import ir
from ...pattern import Any, One, Pattern
from ...regex import tokens_of
from ..lowered import Log, column_name
from ..text_writing import note_whole_events, required_views
from ..translation import Findings, Query
from ..two_valued import (
    AllOf,
    AnyOf,
    AtomHolds,
    Const,
    IsPresent,
    Negated,
    TwoValued,
    any_of,
    require_possible,
)
from ..two_valued.rewriter import TwoValuedRewriter
from .backends import Backend, ConversionError

# Sigma's names for the logs of a family of field maps; of one that Sigma has no names for, the
# family is the product.
_SOURCES = {
    "sysmon": {"product": "windows", "service": "sysmon"},
    "mordor": {"product": "windows", "service": "sysmon"},
    "eventlog": {"product": "windows"},
    "windows": {"product": "windows"},
    "auditd": {"product": "linux", "service": "auditd"},
}
_NAMESPACE = uuid.UUID("6ba7b811-9dad-11d1-80b4-00c04fd430c8")
_RELATIONS = {
    ir.Relation.LESS: "lt",
    ir.Relation.LESS_EQUAL: "lte",
    ir.Relation.GREATER: "gt",
    ir.Relation.GREATER_EQUAL: "gte",
}


def query(output: ir.Output, log: Log, target: str, findings: Findings) -> Query:
    """The Sigma rule of an output, as YAML; for ``sigma/NAME`` what that backend makes of it."""
    stages = ir.as_stages(output.plan)
    if stages is None:
        findings.refuse("a stream that looks at more than single events", output.span)
    views = required_views(stages, evolve(log, recognise=False), findings)
    note_whole_events(views, findings)
    rewriter = TwoValuedRewriter(findings, presence=True)
    truth = any_of(rewriter.true_of(_native(view.condition, findings)) for view in views)
    require_possible(truth, findings)
    writer = SigmaWriter(findings)
    condition = writer.condition(truth)
    source = _SOURCES.get(log.fieldmap.family, {"product": log.fieldmap.family})
    rule = {
        "title": f"{findings.rule} {output.name}",
        "id": str(uuid.uuid5(_NAMESPACE, f"{findings.rule}/{output.name}/{log.fieldmap.name}")),
        "status": "experimental",
        "logsource": source,
        "detection": {**writer.detections, "condition": condition},
    }
    text = _yaml(rule)
    _, _, backend = target.partition("/")
    if backend:
        text = _through(backend, text, findings)
    return Query(output.name, text, tuple(sorted(writer.read)))


def text_of(queries: tuple[Query, ...]) -> str:
    """All rules as YAML documents; queries of a backend one below the other."""
    between = "---\n" if queries and queries[0].text.startswith("title:") else "\n"
    return between.join(f"{made.text.rstrip()}\n" for made in queries)


def _yaml(rule: Anything) -> str:
    import yaml

    text: str = yaml.safe_dump(rule, sort_keys=False, allow_unicode=True, width=1_000_000)
    return text


def _through(name: str, text: str, findings: Findings) -> str:
    """What a pySigma backend writes for a rule."""
    backend = Backend(name)
    findings.differs(f"the query is what pySigma's backend {name} makes of the Sigma rule")
    try:
        queries = backend.queries(text)
    except ConversionError as problem:
        findings.refuse(f"the Sigma rule, of which the backend {name} says: {problem}")
    return "\n".join(queries)


def _native(condition: ir.Condition, findings: Findings) -> ir.Condition:
    """The condition with one name for a field for which the shape has several spellings.

    Sigma's field names are the product's; what an exporter calls them is the business of pipelines.
    """

    def change(value: ir.Value) -> ir.Value:
        match value:
            case ir.Call("first", (ir.Raw() as first, *others)) if all(
                isinstance(other, ir.Raw) for other in others
            ):
                names = ", ".join(column_name(o.path) for o in others if isinstance(o, ir.Raw))
                findings.differs(f"{column_name(first.path)} stands for {names} as well")
                return first
            case ir.Call(_, arguments):
                return evolve(value, arguments=tuple(map(change, arguments)))
            case _:
                return value

    return ir.rewrite_operands(condition, change)


@define
class SigmaWriter:
    """The detections of a rule while its condition is written."""

    findings: Findings
    detections: dict[str, Anything] = field(factory=dict)
    read: set[str] = field(factory=set)

    def condition(self, truth: TwoValued) -> str:
        """The condition, with its detections named on the way."""
        return self._written(truth, 0)

    def _written(self, truth: TwoValued, depth: int) -> str:
        match truth:
            case Const(value):
                # Sigma has no constants: an event either has a field or has not.
                name = self._named({"EventID|exists": True})
                return f"{name} or not {name}" if value else f"{name} and not {name}"
            case AllOf(items):
                return self._all(items, depth)
            case AnyOf(items):
                text = " or ".join(self._written(item, depth + 1) for item in items)
                return f"({text})" if depth else text
            case Negated(IsPresent(raw, False)):
                return self._named({self._field(raw): None})
            case Negated(item):
                return f"not {self._written(item, depth + 1)}"
            case IsPresent(raw, False):
                # Sigma's `exists` holds of a field with null as well.
                return f"not {self._named({self._field(raw): None})}"
            case IsPresent() | AtomHolds():
                return self._named(self._detection(truth))
            case _:
                assert_never(truth)

    def _all(self, items: tuple[TwoValued, ...], depth: int) -> str:
        """Tests of different fields are one mapping; the rest stands beside it."""
        together: dict[str, Anything] = {}
        parts: list[str] = []
        for item in items:
            if isinstance(item, AtomHolds) or (isinstance(item, IsPresent) and item.with_null):
                made = self._detection(item)
                if isinstance(made, dict) and not set(made) & set(together):
                    together |= made
                    continue
                parts.append(self._named(made))
            else:
                parts.append(self._written(item, depth + 1))
        if together:
            parts.insert(0, self._named(together))
        text = " and ".join(parts)
        return f"({text})" if depth and len(parts) > 1 else text

    def _named(self, detection: Anything) -> str:
        for name, known in self.detections.items():
            if known == detection:
                return name
        number = len(self.detections) + 1
        name = "selection" if number == 1 else f"selection_{number}"
        self.detections[name] = detection
        return name

    def _field(self, value: ir.Value, span: Anything = None) -> str:
        if not isinstance(value, ir.Raw):
            self.findings.refuse("a comparison of what a function gives", span)
        name = column_name(value.path)
        self.read.add(name)
        return name

    def _detection(self, test: IsPresent | AtomHolds) -> Anything:
        """A mapping of one item, or a list of alternatives."""
        match test:
            case IsPresent(raw):
                return {f"{self._field(raw)}|exists": True}
            case AtomHolds(ir.Match(value, patterns, span)):
                return self._match(self._field(value, span), patterns)
            case AtomHolds(ir.Regex(value, pattern, cased, dotall, multiline, span)):
                flags = "".join(
                    f"|{flag}"
                    for flag, on in (("i", not cased), ("s", dotall), ("m", multiline))
                    if on
                )
                return {f"{self._field(value, span)}|re{flags}": pattern}
            case AtomHolds(ir.RawRegex(span=span)):
                self.findings.refuse("a regular expression over the text of an event", span)
            case AtomHolds(ir.InNetwork(value, networks, span)):
                return {f"{self._field(value, span)}|cidr": list(networks)}
            case AtomHolds(ir.Compare() as atom):
                return self._compare(atom)
            case AtomHolds(ir.Occurs(span=span)):
                self.findings.refuse("whether one field's text is in another's", span)
            case AtomHolds(ir.RawMatch(patterns, span)):
                return self._keywords(patterns, span)
            case _:
                raise AssertionError(test)

    def _keywords(self, patterns: tuple[Pattern, ...], span: Anything) -> Anything:
        words = []
        for pattern in patterns:
            match tokens_of(pattern):
                case (Any(), *inner, Any()) if inner and not pattern.cased:
                    words.append(_written(tuple(inner)))
                case _:
                    self.findings.refuse("a pattern for the whole text of an event", span)
        return words

    def _match(self, name: str, patterns: tuple[Pattern, ...]) -> Anything:
        kinds: dict[str, list[str]] = {}
        for pattern in patterns:
            modifier, text = _modified(pattern)
            kinds.setdefault(f"{name}{modifier}", []).append(text)
        items = [{key: texts[0] if len(texts) == 1 else texts} for key, texts in kinds.items()]
        return items[0] if len(items) == 1 else items

    def _compare(self, test: ir.Compare) -> Anything:
        name = self._field(test.left, test.span)
        match test.right:
            case ir.Constant(int() | float() as number) if not isinstance(number, bool):
                if test.type in (ir.Type.TIME, ir.Type.DURATION):
                    self.findings.refuse("a comparison of times", test.span)
                if test.relation is ir.Relation.EQUAL:
                    return {name: number}
                return {f"{name}|{_RELATIONS[test.relation]}": number}
            case ir.Raw() as other if test.relation is ir.Relation.EQUAL:
                return {f"{name}|fieldref": self._field(other, test.span)}
            case _:
                self.findings.refuse("an order of texts, times or fields", test.span)


def _modified(pattern: Pattern) -> tuple[str, str]:
    """A pattern as modifiers and a value."""
    cased = "|cased" if pattern.cased and pattern.text.upper() != pattern.text.lower() else ""
    match tokens_of(pattern):
        case (Any(), *inner, Any()) if inner:
            return f"|contains{cased}", _written(tuple(inner))
        case (Any(), *inner) if inner:
            return f"|endswith{cased}", _written(tuple(inner))
        case (*inner, Any()) if inner:
            return f"|startswith{cased}", _written(tuple(inner))
        case tokens:
            return cased, _written(tokens)


def _written(tokens: tuple[object, ...]) -> str:
    r"""Pieces of a pattern as a Sigma value: a backslash stands for itself unless a special sign
    follows it.

    >>> _written(("C:\\Windows\\", Any()))
    'C:\\Windows\\\\*'
    """
    parts: list[str] = []
    for token in tokens:
        match token:
            case str():
                parts += [{"*": "\\*", "?": "\\?"}.get(c, c) for c in token]
            case One():
                parts.append("?")
            case _:
                parts.append("*")
    made = []
    for place, part in enumerate(parts):
        following = parts[place + 1] if place + 1 < len(parts) else ""
        special = following[:1] in ("\\", "*", "?")
        made.append("\\\\" if part == "\\" and special else part)
    return "".join(made)
