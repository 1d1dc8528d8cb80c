"""Conditions with two truth values, in which writers of other languages find what they write.

``nodes`` are the conditions and what they mean; ``rewriter`` makes them of a rule's conditions.
"""

from .nodes import (
    All,
    Always,
    Case,
    Formula,
    Never,
    Some,
    Test,
    There,
    every,
    holds_of,
    never,
    possible,
    some,
)

__all__ = [
    "All",
    "Always",
    "Case",
    "Formula",
    "Never",
    "Some",
    "Test",
    "There",
    "every",
    "holds_of",
    "never",
    "possible",
    "some",
]
