"""Deciding all rules for one event at once.

``routing`` finds the classes that an event is of, ``stages`` decides which stages of a class hold,
``columns`` and ``finder`` look at values, ``verdicts`` put tests together, ``literals`` knows which
texts a test requires. Outcomes are those of ``evaluate.holds``; everything here is about what they
cost.
"""

from .columns import Memory, is_key, opaque_paths, paths_in
from .json_search import Search
from .routing import (
    AtomTruths,
    EventClasses,
    Leaf,
    Route,
    Router,
    Split,
    replaced,
    split_by,
    where_present,
)
from .stages import CandidateIndex, ClassMatcher, Match, MatcherObserver
from .verdicts import WholeEventNeeded

__all__ = [
    "AtomTruths",
    "CandidateIndex",
    "ClassMatcher",
    "EventClasses",
    "Leaf",
    "Match",
    "MatcherObserver",
    "Memory",
    "Route",
    "Router",
    "Search",
    "Split",
    "WholeEventNeeded",
    "is_key",
    "opaque_paths",
    "paths_in",
    "replaced",
    "split_by",
    "where_present",
]
