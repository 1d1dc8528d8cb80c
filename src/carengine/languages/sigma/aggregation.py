"""The aggregations that conditions had in Sigma's first version, and have in Hayabusa's rules.

``selection | count(TargetUserName) by IpAddress > 10`` with ``timeframe: 5m`` says what a
correlation rule says today: ten different names of one address within five minutes. It is read as
that correlation; ``near`` named events in an order that was never defined, and is refused.

https://github.com/SigmaHQ/sigma-specification/blob/main/Sigma_1_0_0.md (Aggregation expression)
https://github.com/Yamato-Security/hayabusa-rules (Deprecated aggregation conditions)
"""

from __future__ import annotations

import re

from attrs import frozen
from sigma.correlations import SigmaCorrelationCondition, SigmaCorrelationRule
from sigma.exceptions import SigmaError

from ... import ir, yamltext
from ...diagnostics import Diagnostic, Span, codes
from .correlation import Correlation, CorrelationError, evaded, plan_of
from .document import Document

_FUNCTIONS = {"count": "value_count", "sum": "value_sum", "avg": "value_avg"}
_OPERATORS = {">": "gt", ">=": "gte", "<": "lt", "<=": "lte", "==": "eq", "=": "eq"}
_TEXT = re.compile(
    r"\s*(?P<function>[a-z]+)\s*\(\s*(?P<field>[^()|]{0,200}?)\s*\)\s*"
    r"(?:by\s+(?P<by>[^<>=()|]{1,400}?)\s*)?(?P<operator><=|>=|==|=|<|>)\s*(?P<number>\d{1,15})\s*",
    re.IGNORECASE,
)
_NEAR = re.compile(r"\s*near\b", re.IGNORECASE)
_TIMEFRAME = re.compile(r"\d{1,9}[smhdwMy]")
_EVENTS = "events"


@frozen
class Aggregation:
    """What a condition counts. ``evades`` says why more events silence it; empty where they do
    not."""

    correlation: Correlation
    span: Span

    @property
    def evades(self) -> str:
        """Why more events can keep it from being true."""
        return evaded(self.correlation)

    def plan(self, events: ir.Plan) -> ir.Plan:
        """The windows over these events. Raises `CorrelationError`."""
        return plan_of(self.correlation, {_EVENTS: events}, {})


class AggregationError(ValueError):
    """What is wrong with an aggregation."""


def read_aggregation(text: str, document: Document, span: Span) -> Aggregation:
    """What stands behind the ``|`` of a condition. Raises `AggregationError`."""
    if _NEAR.match(text):
        raise AggregationError(
            "`near` was given up by Sigma before it had a meaning; "
            "a correlation rule of the type temporal says what is meant"
        )
    found = _TEXT.fullmatch(text)
    if found is None:
        raise AggregationError("behind | stands count(field) by fields > number")
    function, field = found["function"].lower(), found["field"]
    kind = _FUNCTIONS.get(function)
    if kind is None:
        raise AggregationError(f"there is no correlation for {function}")
    if not field:
        if function != "count":
            raise AggregationError(f"{function} is of a field")
        kind = "event_count"
    bound: dict[str, object] = {_OPERATORS[found["operator"]]: int(found["number"])}
    if field:
        bound["field"] = field
    by = [name.strip() for name in (found["by"] or "").split(",") if name.strip()]
    plain = {
        "type": kind,
        "rules": [_EVENTS],
        "group-by": by,
        "timespan": _timeframe(document),
        "condition": bound,
    }
    try:
        rule = SigmaCorrelationRule.from_dict({"title": "-", "correlation": plain})
        asked = SigmaCorrelationCondition.from_dict(bound)
    except (SigmaError, TypeError, ValueError, AttributeError, KeyError) as error:
        raise AggregationError(str(error)) from None
    return Aggregation(Correlation(document, rule, (_EVENTS,), (asked,), False), span)


def _timeframe(document: Document) -> str:
    node = document.root.get("detection")
    written = node.get("timeframe") if isinstance(node, yamltext.Mapping) else None
    if not isinstance(written, yamltext.Scalar) or written.value is None:
        raise AggregationError("the rule has no timeframe, so that the count never ends")
    text = written.text.strip()
    if _TIMEFRAME.fullmatch(text) is None:
        raise AggregationError(f"{text[:40]} is no timeframe such as 5m")
    return text


def aggregated(
    aggregation: Aggregation, events: ir.Plan, found: list[Diagnostic]
) -> ir.Plan | None:
    """The windows of an aggregation over events; None after an error, which is in ``found``."""
    try:
        plan = aggregation.plan(events)
    except CorrelationError as error:
        found.append(Diagnostic(error.code, str(error), aggregation.span))
        return None
    message = "Sigma has correlation rules for this; it is read as one"
    found.append(Diagnostic(codes.SIGMA_AGGREGATION, message, aggregation.span))
    if aggregation.evades:
        found.append(Diagnostic(codes.SIGMA_UPPER_BOUND, aggregation.evades, aggregation.span))
    return plan
