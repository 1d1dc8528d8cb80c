"""Conditions with two truth values, in which writers of other languages find what they write.

``nodes`` are the conditions and what they mean; ``rewriter`` makes them of a rule's conditions.
"""

from .nodes import (
    AllOf,
    AnyOf,
    AtomHolds,
    Case,
    Const,
    IsPresent,
    Negated,
    TestedAtom,
    TwoValued,
    all_of,
    any_of,
    holds_for,
    negation_of,
    require_possible,
)

__all__ = [
    "AllOf",
    "AnyOf",
    "AtomHolds",
    "Case",
    "Const",
    "IsPresent",
    "Negated",
    "TestedAtom",
    "TwoValued",
    "all_of",
    "any_of",
    "holds_for",
    "negation_of",
    "require_possible",
]
