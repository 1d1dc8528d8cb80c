"""What may look on while an engine and its sessions work.

An observer is handed to `Engine`, which asks it, once for each thing that it makes, what is to be
called in that thing's place. Without an observer nothing is asked and nothing is slower.
`report.profile` is the one that ships.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from .classes import EventClass
from .matcher import MatcherObserver
from .streams import FlowObserver


class Observer(FlowObserver, Protocol):
    """Looks on at the matchers of an engine, and at the joins and groups of its sessions."""

    def matcher(self, stages: Sequence[tuple[int, EventClass, int]]) -> MatcherObserver:
        """Who looks on at the matcher of these stages: see `ClassGroup.stages`."""
        ...
