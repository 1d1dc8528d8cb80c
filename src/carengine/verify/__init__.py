"""Proving that the implementations of an analytic agree, or showing an event on which they do not.

``verify_analytic`` takes an analytic as CAR publishes it; ``compare`` takes any two programs in
CAR's names.
The answer "equivalent" is a proof, by the checker's logic; the answer "different" comes with an
event on which the two were run. ``corpus_table`` does it for all analytics of a folder.
"""

from .analytic import (
    Candidate,
    CarAnalytic,
    Pair,
    Report,
    findings,
    implementations,
    load_analytics,
    verify_analytic,
)
from .comparing import Comparison, Direction, RuleDifference, compare

__all__ = [
    "Candidate",
    "CarAnalytic",
    "Comparison",
    "Direction",
    "Pair",
    "Report",
    "RuleDifference",
    "compare",
    "findings",
    "implementations",
    "load_analytics",
    "verify_analytic",
]
