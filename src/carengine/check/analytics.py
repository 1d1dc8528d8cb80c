"""What a rule says of ATT&CK's analytics, held against ATT&CK.

They must be there, be of the technique and the platforms that the rule names, and each of their
mutable elements is an input of the rule, or left out for a reason.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..attack import Analytic, Attack, enterprise_attack
from ..diagnostics import Diagnostic, Span, codes
from ..rule import Rule
from ..syntax import ast


def check_analytics(
    rule: Rule, place: Span | None, attack: Attack | None = None
) -> list[Diagnostic]:
    """The findings about the analytics and inputs that a rule names. ``attack`` is the version that
    ships, unless another is given."""
    found = list(_inputs(rule, place))
    if not rule.analytics:
        return found
    known = attack or enterprise_attack()
    analytics: list[Analytic] = []
    for technique in rule.metadata.attack:
        for id_ in technique.analytics:
            analytic = known.analytics.get(id_)
            if analytic is None:
                message = f"ATT&CK {known.version} has no analytic {id_}"
                found.append(Diagnostic(codes.UNKNOWN_ANALYTIC, message, place))
                continue
            analytics.append(analytic)
            now = known.technique_of_analytic(id_)
            named = (technique.id, *technique.subtechniques)
            meant = {one.id for name in named if (one := known.technique(name)) is not None}
            if now is not None and now.id not in meant:
                message = f"{id_} detects {now.id} ({now.name}), and not {' or '.join(named)}"
                found.append(Diagnostic(codes.ANALYTIC_DIFFERS, message, place))
            others = sorted(set(rule.metadata.platforms) - set(analytic.platforms))
            if others:
                message = (
                    f"{id_} is for {', '.join(analytic.platforms)}, and not for {', '.join(others)}"
                )
                found.append(Diagnostic(codes.ANALYTIC_DIFFERS, message, place))
    found += _elements(rule, analytics, place)
    return found


def _elements(rule: Rule, analytics: list[Analytic], place: Span | None) -> Iterator[Diagnostic]:
    theirs = list(dict.fromkeys(name for one in analytics for name in one.mutable_elements))
    ours = {one.element for one in rule.metadata.inputs if one.element}
    ids = ", ".join(one.id for one in analytics)
    for name in theirs:
        if name not in ours:
            message = f"the mutable element {name} of {ids} is no input of the rule"
            yield Diagnostic(
                codes.ANALYTIC_ELEMENTS,
                message,
                place,
                notes=("an input names it as its `element`, or says why it is `left_out`",),
            )
    for name in sorted(ours - set(theirs)) if analytics else ():
        listed = ", ".join(theirs) or "none"
        yield Diagnostic(
            codes.ANALYTIC_ELEMENTS,
            f"{ids} has no mutable element {name}",
            place,
            notes=(f"its mutable elements: {listed}",),
        )


def _inputs(rule: Rule, place: Span | None) -> Iterator[Diagnostic]:
    if rule.syntax is None:
        return
    asked = {one.name.text for one in rule.syntax.statements if isinstance(one, ast.InputStatement)}
    for one in rule.metadata.inputs:
        if one.name and one.name not in asked:
            message = f"the program has no input {one.name}"
            yield Diagnostic(codes.INPUT_NOT_READ, message, place)
