"""Sigma files to drafts of rules.

All files of a run are read together, because documents speak of each other: a filter narrows rules
in other files, a correlation rule is about the events of other rules. What comes out is a `Draft`
for each rule whose program is made already; whatever is wrong with one of them is in its
diagnostics, and the rest goes on.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from attrs import define, field, frozen

from ... import ir, yamltext
from ...diagnostics import Block, Diagnostic, Label, Source, codes, fault, has_errors
from ...rule.drafts import Draft
from ...rule.frontmatter import examples
from ...rule.model import Example, Metadata
from . import arrays, hayabusa
from .aggregation import Aggregation, AggregationError, aggregated, read_aggregation
from .condition import ConditionError, parse_condition
from .correlation import Correlation, CorrelationError, plan_of, read_correlation
from .detection import DetectionReader, Placeholders
from .document import Damaged, Document, SigmaLogSource, documents, log_source, metadata

OUTPUT = "match"
"""The name of what a Sigma rule reports."""

_NOT_DETECTIONS = ("condition", "timeframe", "rules")
_MAX_NESTING = 20


@define(eq=False)
class _Rule:
    """A rule while it is being put together. ``conditions`` has one entry for each of the rule's."""

    document: Document
    metadata: Metadata
    found: list[Diagnostic]
    source: SigmaLogSource | None = None
    conditions: list[ir.Condition] = field(factory=list)
    aggregation: Aggregation | None = None
    correlation: Correlation | None = None
    plan: ir.Plan | None = None
    examples: tuple[Example, ...] = ()
    silent: bool = False

    @property
    def name(self) -> str:
        """What correlations and filters may call it beside its id."""
        return self.document.fields.text("name")


@frozen
class _Filter:
    document: Document
    source: SigmaLogSource
    rules: tuple[str, ...] | None
    condition: ir.Condition

    def concerns(self, rule: _Rule) -> bool:
        """Whether the filter is for a rule: of its log source, and named, where it names any."""
        if rule.source is None or not self.source.includes(rule.source):
            return False
        return self.rules is None or any(_is_called(rule, name) for name in self.rules)


def _is_called(rule: _Rule, name: str) -> bool:
    document = rule.document
    return name == rule.name or name.lower() in (document.id.lower(), document.written_id.lower())


def read(
    sources: Iterable[Source | Block], placeholders: Placeholders | None = None
) -> tuple[list[Draft], list[Diagnostic]]:
    """The drafts of all rules in Sigma files, or in texts within files, and findings that belong to
    no rule.

    ``placeholders`` are the values for ``expand``, by name.
    """
    rules: list[_Rule] = []
    filters: list[_Filter] = []
    drafts: list[Draft] = []
    found: list[Diagnostic] = []
    for source in sources:
        for document in documents(source):
            if isinstance(document, Damaged):
                drafts.append(_refused(document.id, document.block, document.diagnostics))
                continue
            try:
                _read_document(document, placeholders or {}, rules, filters, drafts, found)
            except Exception as error:
                broke = fault(f"the reading of {document.id}", error, document.place)
                drafts.append(_refused(document.id, document.block, (broke,)))
    for item in filters:
        try:
            _apply(item, rules, found)
        except Exception as error:
            found.append(fault(f"the filter {item.document.id}", error, item.document.place))
    for rule in rules:
        if rule.source is not None and rule.conditions:
            rule.plan = _plan(rule.source, rule.conditions)
            if rule.aggregation is not None:
                rule.plan = aggregated(rule.aggregation, rule.plan, rule.found)
    _resolve(rules)
    drafts += map(_draft, rules)
    return drafts, found


def _read_document(
    document: Document,
    placeholders: Placeholders,
    rules: list[_Rule],
    filters: list[_Filter],
    drafts: list[Draft],
    found: list[Diagnostic],
) -> None:
    root = document.root
    if root.get("correlation") is not None:
        rules.append(_correlation(document))
    elif root.get("filter") is not None:
        _add_filter(document, placeholders, filters, found)
    elif root.get("detection") is not None:
        rules.append(_detection_rule(document, placeholders))
    elif root.get("logsource") is not None:
        message = "the detection is missing"
        said = (Diagnostic(codes.BAD_SIGMA, message, document.place),)
        drafts.append(_refused(document.id, document.block, said))
    else:
        message = "neither a detection nor a correlation nor a filter is in it"
        found.append(Diagnostic(codes.NOT_A_RULE, message, document.place))


def _refused(id_: str, block: Block, said: Iterable[Diagnostic]) -> Draft:
    return Draft(id_, Metadata(), None, block, tuple(said), place=block.span(0, 0))


def _draft(rule: _Rule) -> Draft:
    document = rule.document
    program: ir.Program | None = None
    if rule.plan is not None:
        outputs = () if rule.silent else (ir.Output(OUTPUT, rule.plan, document.place),)
        program = ir.Program(outputs)
    return Draft(
        document.id,
        rule.metadata,
        program,
        document.block,
        tuple(rule.found),
        rule.examples,
        place=document.place,
    )


def _examples(document: Document, found: list[Diagnostic]) -> tuple[Example, ...]:
    """The examples that a rule carries under a key of its own, as ``.car`` files do."""
    if document.root.get("examples") is None:
        return ()
    fields = document.fields
    folder = None if "!" in document.path else Path(document.path).parent
    carried = examples(fields, folder)
    found += fields.found
    return carried


# Rules with detections


def _detection_rule(document: Document, placeholders: Placeholders) -> _Rule:
    about, said = metadata(document)
    rule = _Rule(document, about, list(said))
    rule.examples = _examples(document, rule.found)
    rule.source, problems = log_source(document)
    rule.found += problems
    if rule.source is not None and rule.source.product and hayabusa.is_unbound(document.root):
        rule.source = SigmaLogSource(rule.source.product)
    node = document.root.get("detection")
    rule.conditions = _conditions(node, document, placeholders, rule.found, rule)
    return rule


def _conditions(
    node: yamltext.Node | None,
    document: Document,
    placeholders: Placeholders,
    found: list[Diagnostic],
    rule: _Rule | None = None,
) -> list[ir.Condition]:
    """What the conditions of a ``detection`` or ``filter`` mean; none of them after an error.

    An aggregation behind a condition goes to the ``rule``, where there is one.
    """
    if not isinstance(node, yamltext.Mapping):
        place = document.place if node is None else node.span
        found.append(Diagnostic(codes.BAD_SIGMA, "this is a mapping of detections", place))
        return []
    reader = DetectionReader(placeholders, with_arrays=arrays.has_arrays(document.root))
    named = {
        key.text: reader.read(value)
        for key, value in node.entries
        if key.value not in _NOT_DETECTIONS
    }
    found += reader.found
    written = node.get("condition")
    texts = written.items if isinstance(written, yamltext.ListNode) else (written,)
    made = []
    for text in texts:
        if not isinstance(text, yamltext.Scalar) or text.value is None:
            place = node.span if text is None else text.span
            found.append(Diagnostic(codes.BAD_SIGMA, "the condition is missing", place))
            continue
        block = text.text_block
        condition, bar, behind = text.text.partition("|")
        try:
            if bar and rule is not None and len(texts) == 1:
                span = block.span(len(condition), len(text.text))
                rule.aggregation = read_aggregation(behind, document, span)
            elif bar:
                condition = text.text
            made.append(ir.simplify(parse_condition(condition, named)))
        except AggregationError as error:
            found.append(Diagnostic(codes.BAD_SIGMA, f"in the condition, {error}", span))
        except ConditionError as error:
            span = block.span(error.start, max(error.end, error.start + 1))
            found.append(Diagnostic(codes.BAD_SIGMA, f"in the condition, {error}", span))
    if not texts:
        found.append(Diagnostic(codes.BAD_SIGMA, "the condition is missing", node.span))
    return [] if has_errors(found) else made


def _plan(source: SigmaLogSource, conditions: list[ir.Condition]) -> ir.Plan:
    """Several conditions of a rule are alternatives."""
    whole = conditions[0] if len(conditions) == 1 else ir.simplify(ir.Or(tuple(conditions)))
    return ir.Filter(source.search(), whole)


# Filters


def _add_filter(
    document: Document,
    placeholders: Placeholders,
    filters: list[_Filter],
    found: list[Diagnostic],
) -> None:
    said: list[Diagnostic] = []
    source, problems = log_source(document)
    said += problems
    node = document.root.get("filter")
    written = node.get("condition") if isinstance(node, yamltext.Mapping) else None
    if isinstance(written, yamltext.ListNode):
        said.append(Diagnostic(codes.BAD_SIGMA, "a filter has one condition", written.span))
    rules = _named_rules(node, document, said)
    conditions = _conditions(node, document, placeholders, said)
    found += said
    if source is not None and conditions and not has_errors(said):
        filters.append(_Filter(document, source, rules, conditions[0]))


def _named_rules(
    node: yamltext.Node | None, document: Document, found: list[Diagnostic]
) -> tuple[str, ...] | None:
    """The rules that a filter names, by id or name; None for any."""
    written = node.get("rules") if isinstance(node, yamltext.Mapping) else None
    match written:
        case yamltext.Scalar(str() as text):
            return None if text.lower() == "any" else (text,)
        case yamltext.ListNode(items) if all(isinstance(i, yamltext.Scalar) for i in items):
            texts = [i.text for i in items if isinstance(i, yamltext.Scalar)]
            return tuple(dict.fromkeys(texts)) or None
    place = document.place if written is None else written.span
    message = "a filter has `rules`: `any`, or ids or names of rules"
    found.append(Diagnostic(codes.BAD_SIGMA, message, place))
    return ()


def _apply(item: _Filter, rules: list[_Rule], found: list[Diagnostic]) -> None:
    """Narrow the rules that a filter is for: all of them, or, where that breaks off, none."""
    concerned = [rule for rule in rules if rule.conditions and item.concerns(rule)]
    title = item.document.fields.text("title") or item.document.id
    narrowed = [
        [ir.conjunction((condition, item.condition)) for condition in rule.conditions]
        for rule in concerned
    ]
    for rule, conditions in zip(concerned, narrowed, strict=True):
        rule.conditions = conditions
        rule.found.append(
            Diagnostic(
                codes.SIGMA_FILTERED,
                f"the filter {title} narrows it",
                rule.document.place,
                labels=(Label(item.document.place, "the filter"),),
            )
        )
    if not concerned:
        message = f"the filter {title} is for no rule that was loaded"
        found.append(Diagnostic(codes.SIGMA_FILTER_UNUSED, message, item.document.place))
        return
    for name in item.rules or ():
        if not any(_is_called(rule, name) for rule in concerned):
            message = f"the filter {title} names {name}, which is no rule of its log source"
            found.append(Diagnostic(codes.SIGMA_FILTER_UNUSED, message, item.document.place))


# Correlations


def _correlation(document: Document) -> _Rule:
    about, said = metadata(document)
    rule = _Rule(document, about, list(said))
    rule.examples = _examples(document, rule.found)
    rule.correlation, problems = read_correlation(document)
    rule.found += problems
    return rule


def _resolve(rules: list[_Rule]) -> None:
    """Make the plans of correlation rules, those they are about first."""
    known: dict[str, tuple[_Rule, ...]] = {}
    for rule in rules:
        for name in dict.fromkeys((rule.document.id.lower(), rule.document.written_id.lower())):
            _name(known, name, rule)
    for rule in rules:
        _name(known, rule.name, rule)
    done: set[int] = set()
    for rule in rules:
        _resolve_one(rule, known, done, ())
    reported: set[int] = set()
    parts: dict[int, tuple[_Rule, _Rule]] = {}
    for rule in rules:
        if rule.correlation is None or rule.plan is None:
            continue
        for reference in rule.correlation.references:
            for part in _find(reference, known):
                if rule.correlation.generate:
                    reported.add(id(part))
                parts.setdefault(id(part), (part, rule))
    for key, (part, rule) in parts.items():
        if key not in reported:
            part.silent = True
            message = (
                f"only the correlation {rule.metadata.title or rule.document.id} reports its events"
            )
            part.found.append(Diagnostic(codes.SIGMA_PART_ONLY, message, part.document.place))


def _name(known: dict[str, tuple[_Rule, ...]], name: str, rule: _Rule) -> None:
    """Let a name stand for a rule, unless it is another's already.

    The documents that share the keys of one ``action: global`` are one rule to their author: its id
    and name stand for all of them.
    """
    if not name:
        return
    before = known.get(name, ())
    document = rule.document
    if not before or (
        document.sharing > 1
        and rule not in before
        and document.written_id == before[0].document.written_id
        and document.block.source is before[0].document.block.source
    ):
        known[name] = (*before, rule)


def _find(reference: str, known: Mapping[str, tuple[_Rule, ...]]) -> tuple[_Rule, ...]:
    """The rules that a reference stands for: one, or the documents of an ``action: global``."""
    return known.get(reference) or known.get(reference.lower()) or ()


def _resolve_one(
    rule: _Rule,
    known: Mapping[str, tuple[_Rule, ...]],
    done: set[int],
    chain: tuple[_Rule, ...],
) -> None:
    correlation = rule.correlation
    if correlation is None or id(rule) in done:
        return
    done.add(id(rule))
    plans: dict[str, ir.Plan] = {}
    for reference in correlation.references:
        parts = _find(reference, known)
        problem = ""
        if not parts:
            problem = f"the rule {reference} is not among the loaded ones"
        elif any(p is rule or p in chain for p in parts) or len(chain) >= _MAX_NESTING:
            problem = f"the rule {reference} leads back to this one, or too deep"
        else:
            for part in parts:
                _resolve_one(part, known, done, (*chain, rule))
            made = [part.plan for part in parts if part.plan is not None]
            if len(made) < len(parts):
                problem = f"the rule {reference} cannot be used itself"
            else:
                plans[reference] = made[0] if len(made) == 1 else ir.Union(tuple(made))
        if problem:
            rule.found.append(Diagnostic(codes.BAD_SIGMA, problem, correlation.span))
    meant: dict[str, str] = {}
    for name in correlation.aliased:
        named = _find(name, known)
        same = [one for one in plans if _find(one, known) == named]
        if not named or not same:
            problem = f"the aliases name the rule {name}, which the correlation is not about"
            rule.found.append(Diagnostic(codes.BAD_SIGMA, problem, correlation.span))
        else:
            meant[name] = same[0]
    if has_errors(rule.found):
        return
    try:
        rule.plan = plan_of(correlation, plans, meant)
    except CorrelationError as error:
        rule.found.append(Diagnostic(error.code, str(error), correlation.span))
    except Exception as error:
        rule.found.append(fault(f"the reading of {rule.document.id}", error, correlation.span))
