"""Deciding all rules for one event at once.

``routing`` finds the classes that an event is of, ``stages`` decides which stages of a class hold,
``columns`` and ``finder`` look at values, ``verdicts`` put tests together, ``literals`` knows which
texts a test requires. Outcomes are those of ``evaluate.holds``; everything here is about what they
cost.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...ondemand import names_on_demand

if TYPE_CHECKING:
    from .columns import Memory, is_key, opaque_paths, paths_in
    from .json_search import Search
    from .routing import (
        AtomTruths,
        EventClasses,
        Leaf,
        Route,
        Router,
        replaced,
        where_present,
    )
    from .splitting import Split, split_by
    from .stages import CandidateIndex, ClassMatcher, Match, MatcherObserver
    from .verdicts import WholeEventNeeded
else:
    __getattr__ = names_on_demand(
        globals(),
        columns="Memory is_key opaque_paths paths_in",
        json_search="Search",
        routing="AtomTruths EventClasses Leaf Route Router replaced where_present",
        splitting="Split split_by",
        stages="CandidateIndex ClassMatcher Match MatcherObserver",
        verdicts="WholeEventNeeded",
    )

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
