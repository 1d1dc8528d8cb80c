"""Sigma correlation rules as windows over the events of other rules.

=====================================  ==============================================================
``event_count``                        a sliding window that counts its rows
``value_count``, ``value_sum``         … distinct values of a field, their sum
``value_avg``, ``value_percentile``,   their average, their percentile; asked when the window is
``value_median``                       complete, since one early event says nothing yet
``temporal``                           how many of the rules have a row in the window, or an expression over them
``temporal_ordered``                   the same, with the rows in the order of the rules
=====================================  ==============================================================

A bound from above (``lt``, ``lte``, ``eq``, ``neq``, and ``not`` in an expression) is asked of
complete windows too: until then an event may still come. Every event opens one, so that no event
before a burst hides it; that more events within it do is what such a bound says, and CE811. ``aliases`` give one name to what the
rules call differently. See `ir.Window` for what a window is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, assert_never

from attrs import evolve, frozen
from sigma.correlations import (
    CorrelationConditionAND,
    CorrelationConditionItem,
    CorrelationConditionNOT,
    CorrelationConditionOR,
    SigmaCorrelationCondition,
    SigmaCorrelationConditionOperator,
    SigmaCorrelationRule,
    SigmaCorrelationType,
    SigmaExtendedCorrelationCondition,
    SigmaRuleReference,
)
from sigma.exceptions import SigmaError, SigmaTimespanError

from ... import ir, yamltext
from ...diagnostics import Code, Diagnostic, Span, codes
from .condition import negated
from .document import Document, boolean_of

_Operator = SigmaCorrelationConditionOperator
_Kind = SigmaCorrelationType

_RISING = (_Operator.GT, _Operator.GTE)
_DILUTED = (_Kind.VALUE_AVG, _Kind.VALUE_MEDIAN, _Kind.VALUE_PERCENTILE)
_MAX_TEXT = 2_000
_MAX_DEPTH = 20
_MAX_RULES = 1_000
_RULE = "@rule"
_TIMESPANS = "a timespan is a number and one of s, m, h, d, w, M and y: 5m"
_KEYS = ("type", "rules", "group-by", "timespan", "condition", "aliases", "generate")


@frozen
class Correlation:
    """A correlation rule that was read: pySigma's object, and the rules it is about, in order.

    ``bounds`` are all that its measure must satisfy; none where the condition is an expression over
    rules. ``generate`` is whether the rules it is about report their own events as well.
    """

    document: Document
    rule: SigmaCorrelationRule
    references: tuple[str, ...]
    bounds: tuple[SigmaCorrelationCondition, ...]
    generate: bool

    @property
    def span(self) -> Span:
        """Where the correlation stands."""
        node = self.document.root.get("correlation")
        return self.document.place if node is None else node.span

    @property
    def aliased(self) -> tuple[str, ...]:
        """The rules that its aliases name."""
        names = (named.reference for alias in self.rule.aliases for named in alias.mapping)
        return tuple(dict.fromkeys(map(str, names)))


def read_correlation(document: Document) -> tuple[Correlation | None, tuple[Diagnostic, ...]]:
    """A correlation rule, or what is wrong with it."""
    node = document.root.get("correlation")
    if not isinstance(node, yamltext.Mapping):
        place = document.place if node is None else node.span
        return None, (Diagnostic(codes.BAD_SIGMA, "a correlation is a mapping of keys", place),)
    condition = node.get("condition")
    if isinstance(condition, yamltext.Scalar) and _too_large(condition.text):
        message = "the expression is too long or nested too deeply"
        return None, (Diagnostic(codes.BAD_SIGMA, message, condition.span),)
    said = tuple(
        Diagnostic(codes.SIGMA_METADATA, f"a correlation has no key {key.text}", key.span)
        for key, _ in node.entries
        if key.value not in _KEYS
    )
    generate, wrong = _generate(document, node)
    if wrong is not None:
        return None, (wrong,)
    plain = yamltext.plain(node)
    plain.pop("generate", None)
    bounds = _bounds(plain.get("condition"))
    if bounds:
        # pySigma takes one bound; a range has two.
        plain["condition"] = bounds[0]
    try:
        # What is wrong in the rest of the document is said elsewhere.
        rule = SigmaCorrelationRule.from_dict(
            {"title": "-", "correlation": plain}, collect_errors=True
        )
        asked = tuple(map(SigmaCorrelationCondition.from_dict, bounds))
    except NameError:
        # What version 1 of pySigma comes to.
        message = "a correlation without condition"
        return None, (Diagnostic(codes.BAD_SIGMA, message, node.span),)
    except (SigmaError, TypeError, ValueError, AttributeError, KeyError) as error:
        return None, (Diagnostic(codes.BAD_SIGMA, str(error), node.span),)
    if rule.errors:
        return None, tuple(
            Diagnostic(
                codes.BAD_SIGMA,
                str(error),
                node.span,
                notes=(_TIMESPANS,) if isinstance(error, SigmaTimespanError) else (),
            )
            for error in rule.errors
        )
    named = [reference.reference for reference in rule.rules or ()]
    if not named and isinstance(rule.condition, SigmaExtendedCorrelationCondition):
        named = rule.condition.get_referenced_rules()
    references = tuple(dict.fromkeys(map(str, named)))
    if not references or len(references) > _MAX_RULES:
        message = "it names no rules" if not references else f"more than {_MAX_RULES} rules"
        return None, (Diagnostic(codes.BAD_SIGMA, message, node.span),)
    if not asked and isinstance(rule.condition, SigmaCorrelationCondition):
        # All rules, where nothing is said; a rule that is named twice is one.
        asked = (replace(rule.condition, count=len(references)),)
    made = Correlation(document, rule, references, asked, generate)
    if (why := evaded(made)) and condition is not None:
        said = (*said, Diagnostic(codes.SIGMA_UPPER_BOUND, why, condition.span))
    return made, said


def evaded(correlation: Correlation) -> str:
    """Why more events can keep a correlation from matching; empty where they cannot."""
    rule = correlation.rule
    if isinstance(rule.condition, SigmaExtendedCorrelationCondition):
        refused = _negates(rule.condition.parsed)
        return "an event of a rule behind `not` keeps this correlation from matching" * refused
    upper = [a.op.name.lower() for a in correlation.bounds if a.op not in _RISING]
    if upper:
        return f"more events keep this correlation from matching, by `{'` and `'.join(upper)}`"
    if rule.type in _DILUTED:
        return f"events with other values keep this correlation from matching: {rule.type.name.lower()}"
    return ""


def _generate(document: Document, correlation: yamltext.Mapping) -> tuple[bool, Diagnostic | None]:
    """Whether the rules it is about report too, or what is wrong with saying so.

    The specification has ``generate`` beside ``correlation`` at the top of the document (Sigma
    Correlation Rules Specification, "Generate"); pySigma reads it within. Both are read.
    """
    nodes = [n for n in (document.root.get("generate"), correlation.get("generate")) if n]
    answers = set()
    for node in nodes:
        answer = boolean_of(node)
        if answer is None:
            return False, Diagnostic(codes.BAD_SIGMA, "generate is true or false", node.span)
        answers.add(answer)
    if len(answers) > 1:
        message = "generate says one thing at the top of the document and another in `correlation`"
        return False, Diagnostic(codes.BAD_SIGMA, message, nodes[1].span)
    return True in answers, None


def _bounds(condition: Any) -> list[dict[str, Any]]:
    """A condition's bounds, each as a condition of its own; none where it is not a mapping with
    bounds."""
    if not isinstance(condition, dict):
        return []
    operators = SigmaCorrelationConditionOperator.operators()
    shared = {key: value for key, value in condition.items() if key not in operators}
    return [{key: value, **shared} for key, value in condition.items() if key in operators]


def _too_large(text: str) -> bool:
    depth = deepest = 0
    for character in text:
        depth += (character == "(") - (character == ")")
        deepest = max(deepest, depth)
    return len(text) > _MAX_TEXT or deepest > _MAX_DEPTH or text.split().count("not") > _MAX_DEPTH


class CorrelationError(ValueError):
    """A correlation that cannot become a plan, with the code that says of what kind the reason is."""

    def __init__(self, code: Code, message: str) -> None:
        super().__init__(message)
        self.code = code


def plan_of(
    correlation: Correlation, plans: Mapping[str, ir.Plan], meant: Mapping[str, str]
) -> ir.Window:
    """The window that a correlation rule means. ``plans`` are those of its rules, by reference.

    ``meant`` has the reference for each name that the aliases call a rule by. Raises
    `CorrelationError`.
    """
    rule = correlation.rule
    temporal = rule.type in (_Kind.TEMPORAL, _Kind.TEMPORAL_ORDERED)
    extended = isinstance(rule.condition, SigmaExtendedCorrelationCondition)
    branches = []
    for reference in correlation.references:
        renamed = {
            alias.alias: str(field)
            for alias in rule.aliases
            for named, field in alias.mapping.items()
            if meant[str(named.reference)] == reference
        }
        read = [renamed.get(name, name) for name in _read(correlation)]
        plan = _with_fields(plans[reference], read)
        # An alias may be called as a field that another alias stands for.
        for alias, field in renamed.items():
            plan = ir.Assign(plan, f"@{alias}", ir.Field(field))
        for alias in renamed:
            plan = ir.Assign(plan, alias, ir.Field(f"@{alias}"))
        if temporal:
            marker = _marker(reference) if extended else _RULE
            plan = ir.Assign(plan, marker, ir.Constant(reference))
        branches.append(plan)
    match rule.condition:
        case SigmaExtendedCorrelationCondition():
            columns, condition, complete = _expression(rule.condition, correlation.references)
            if rule.type is _Kind.TEMPORAL_ORDERED and not _plain(rule.condition.parsed):
                message = (
                    "an order among alternatives, or with `not`, has no meaning that Sigma defines"
                )
                raise CorrelationError(codes.SIGMA_UNSUPPORTED, message)
        case _:
            columns, condition, complete = _measured(correlation)
    return ir.Window(
        tuple(branches),
        tuple(ir.Field(name) for name in dict.fromkeys(rule.group_by or ())),
        rule.timespan.seconds * 1_000_000,
        columns,
        condition,
        complete,
        rule.type is _Kind.TEMPORAL_ORDERED,
        correlation.span,
    )


def _read(correlation: Correlation) -> list[str]:
    """The fields that a correlation reads of the events of its rules."""
    counted = [name for asked in correlation.bounds for name in _counted(asked)]
    return list(dict.fromkeys([*(correlation.rule.group_by or ()), *counted]))


def _with_fields(plan: ir.Plan, names: Sequence[str]) -> ir.Plan:
    """A plan whose rows have these fields, as far as that goes.

    Events have theirs. What a correlation finds has what it is grouped by, and besides that a value
    in which all its events agree.
    """
    match plan:
        case ir.Assign(inner, name, ir.Field(source)):
            read = [source if wanted == name else wanted for wanted in names]
            return evolve(plan, plan=_with_fields(inner, read))
        case ir.Assign(inner, name):
            return evolve(plan, plan=_with_fields(inner, [n for n in names if n != name]))
        case ir.Window(plans, keys, columns=columns):
            known = {key.name for key in keys} | {column.name for column in columns}
            added = [name for name in dict.fromkeys(names) if name not in known]
            return evolve(
                plan,
                plans=tuple(_with_fields(inner, added) for inner in plans),
                columns=(*columns, *(ir.Column(name, _agreed(ir.Field(name))) for name in added)),
            )
        case ir.Search() | ir.Filter() | ir.Join() | ir.Group() | ir.Project() | ir.Aggregated():
            return plan
        case ir.Difference() | ir.Distinct() | ir.Union() | ir.Sequence():
            return plan
        case _:
            assert_never(plan)


def _agreed(field: ir.Field) -> ir.Value:
    """The value of a field in which all rows agree, null where they differ."""
    one = ir.Call("item", (ir.Aggregate("values", field), ir.Constant(0)))
    number = ir.Aggregate("distinct_count", field)
    return ir.Call("choose", (number, ir.Constant(1), one))


_Asked = tuple[tuple[ir.Column, ...], ir.Condition, bool]
"""The columns of a window, the condition over them, and whether it is asked at the end only."""


def _measured(correlation: Correlation) -> _Asked:
    rule, bounds = correlation.rule, correlation.bounds
    name, aggregate, steady = _measure(rule, bounds[0])
    rising = [asked for asked in bounds if asked.op in _RISING]
    if rule.type is _Kind.TEMPORAL_ORDERED and not any(
        asked.count + (asked.op is _Operator.GT) >= len(correlation.references) for asked in rising
    ):
        message = "an order of some of the rules only has no meaning that Sigma defines"
        raise CorrelationError(codes.SIGMA_UNSUPPORTED, message)
    wanted = tuple(_compared(ir.Field(name), asked.op, asked.count) for asked in bounds)
    condition = wanted[0] if len(wanted) == 1 else ir.And(wanted)
    complete = len(rising) < len(bounds) or not steady
    return (ir.Column(name, aggregate),), condition, complete


def _measure(
    rule: SigmaCorrelationRule, asked: SigmaCorrelationCondition
) -> tuple[str, ir.Aggregate, bool]:
    """The column's name, what it holds, and whether more rows can only add to it."""
    match rule.type:
        case _Kind.EVENT_COUNT:
            return "event_count", ir.Aggregate("count", None), True
        case _Kind.TEMPORAL | _Kind.TEMPORAL_ORDERED:
            return "rule_count", ir.Aggregate("distinct_count", ir.Field(_RULE)), True
        case _Kind.VALUE_COUNT:
            return "value_count", ir.Aggregate("distinct_count", _value(asked)), True
        case _Kind.VALUE_SUM:
            return "value_sum", ir.Aggregate("sum", _value(asked)), True
        case _Kind.VALUE_AVG:
            return "value_avg", ir.Aggregate("average", _value(asked)), False
        case _Kind.VALUE_MEDIAN:
            return "value_median", ir.Aggregate("percentile", _value(asked), 50), False
        case _Kind.VALUE_PERCENTILE:
            if asked.percentile is None or not 0 <= asked.percentile <= 100:
                message = "value_percentile needs a percentile from 0 to 100 in its condition"
                raise CorrelationError(codes.BAD_SIGMA, message)
            aggregate = ir.Aggregate("percentile", _value(asked), asked.percentile)
            return "value_percentile", aggregate, False
        case _:
            message = f"there is no correlation of the type {rule.type}"
            raise CorrelationError(codes.SIGMA_UNSUPPORTED, message)


def _counted(asked: SigmaCorrelationCondition) -> list[str]:
    names = asked.fieldref if isinstance(asked.fieldref, list) else [asked.fieldref]
    return [str(name) for name in names if name is not None]


def _value(asked: SigmaCorrelationCondition) -> ir.Value:
    fields = [ir.Field(name) for name in _counted(asked)]
    if len(fields) == 1:
        return fields[0]
    if len(fields) > 4:
        raise CorrelationError(
            codes.SIGMA_UNSUPPORTED, "more than four fields are counted together"
        )
    parts: list[ir.Value] = []
    for field in fields:
        parts += [field, ir.Constant("\x1f")]
    return ir.Call("concat", tuple(parts))


def _compared(left: ir.Value, operator: _Operator, count: int | float) -> ir.Condition:
    right = ir.Constant(count)
    number = ir.Type.NUMBER
    match operator:
        case _Operator.LT:
            return ir.Compare(left, ir.Relation.LESS, right, number)
        case _Operator.LTE:
            return ir.Compare(left, ir.Relation.LESS_EQUAL, right, number)
        case _Operator.GT:
            return ir.Compare(left, ir.Relation.GREATER, right, number)
        case _Operator.GTE:
            return ir.Compare(left, ir.Relation.GREATER_EQUAL, right, number)
        case _Operator.EQ:
            return ir.Compare(left, ir.Relation.EQUAL, right, number)
        case _:
            return ir.Not(ir.Compare(left, ir.Relation.EQUAL, right, number))


# Expressions over rules


def _marker(reference: str) -> str:
    return f"@{reference}"


def _expression(asked: SigmaExtendedCorrelationCondition, references: tuple[str, ...]) -> _Asked:
    columns = tuple(
        ir.Column(reference, ir.Aggregate("count", ir.Field(_marker(reference))))
        for reference in references
    )
    return columns, _over_rules(asked.parsed), _negates(asked.parsed)


def _over_rules(node: CorrelationConditionItem | SigmaRuleReference) -> ir.Condition:
    match node:
        case SigmaRuleReference(reference=name):
            return _compared(ir.Field(name), _Operator.GTE, 1)
        case CorrelationConditionNOT(args=[inner]):
            return negated(_over_rules(inner))
        case CorrelationConditionAND(args=parts):
            return ir.And(tuple(map(_over_rules, parts)))
        case CorrelationConditionOR(args=parts):
            return ir.Or(tuple(map(_over_rules, parts)))
        case _:
            pass
    raise CorrelationError(codes.SIGMA_UNSUPPORTED, f"{type(node).__name__} has no meaning here")


def _negates(node: CorrelationConditionItem | SigmaRuleReference) -> bool:
    if isinstance(node, SigmaRuleReference):
        return False
    return isinstance(node, CorrelationConditionNOT) or any(map(_negates, node.args))


def _plain(node: CorrelationConditionItem | SigmaRuleReference) -> bool:
    """Whether an expression wants all its rules."""
    if isinstance(node, SigmaRuleReference):
        return True
    return isinstance(node, CorrelationConditionAND) and all(map(_plain, node.args))
