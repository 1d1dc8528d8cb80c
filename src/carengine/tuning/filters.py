"""Which rules run and which events they see.

A ``RuleFilter`` chooses rules by what they say about themselves. Every one of its parts must fit; a
rule that says nothing about a part (states no level, no platform) does not fit it. How many rules
each part leaves out is counted, a rule at the first part it does not fit.

A ``TimeRange`` chooses events by their time, ``start`` included, ``end`` not. Events that have none
are inside.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from attrs import frozen

from ..engine import Engine
from ..fieldmap import time_at, unwrap
from ..pyvalues import plain_event
from ..rule import Rule
from ..rule.model import LEVELS
from ..values import time_of


@frozen
class RuleFilter:
    """What a rule must be: its level at least, one of the statuses, of the tags, of the techniques,
    of the platforms.

    A technique includes its subtechniques. Texts are compared without case.

    >>> import carengine
    >>> rules = carengine.load_rules(carengine.shipped_rules())
    >>> chosen, left_out = carengine.RuleFilter(techniques=("T1003",)).choose(rules)
    >>> "CAR-2019-08-001" in [rule.id for rule in chosen], sum(left_out.values()) > 0
    (True, True)
    """

    level: str | None = None
    statuses: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    techniques: tuple[str, ...] = ()
    platforms: tuple[str, ...] = ()

    def reason(self, rule: Rule) -> str | None:
        """The part that a rule does not fit, in words; None if it fits all."""
        said = rule.metadata
        if self.level is not None and said.level not in LEVELS[LEVELS.index(self.level) :]:
            return "below the level"
        if self.statuses and said.status.lower() not in _lower(self.statuses):
            return "of another status"
        if self.tags and not _lower(self.tags) & _lower(said.tags):
            return "without the tag"
        if self.techniques and not any(map(self._has_technique, rule.attack)):
            return "for other techniques"
        if self.platforms and not _lower(self.platforms) & _lower(said.platforms):
            return "for other platforms"
        return None

    def _has_technique(self, technique: str) -> bool:
        own = technique.lower()
        return any(own == asked or own.startswith(f"{asked}.") for asked in _lower(self.techniques))

    def choose(self, rules: Iterable[Rule]) -> tuple[list[Rule], Counter[str]]:
        """The rules that fit, and how many do not, by the reason."""
        chosen: list[Rule] = []
        left_out: Counter[str] = Counter()
        for rule in rules:
            reason = self.reason(rule)
            if reason is None:
                chosen.append(rule)
            else:
                left_out[reason] += 1
        return chosen, left_out


def _lower(texts: Iterable[str]) -> frozenset[str]:
    return frozenset(text.lower() for text in texts)


@frozen
class TimeRange:
    """A stretch of time in microseconds since 1970 UTC; open where None.

    >>> import carengine
    >>> from carengine.tuning import time_of_option
    >>> day = carengine.TimeRange(time_of_option("2024-05-01"), time_of_option("2024-05-02"))
    >>> bool(day), bool(carengine.TimeRange())
    (True, False)
    """

    start: int | None = None
    end: int | None = None

    def __bool__(self) -> bool:
        return self.start is not None or self.end is not None

    def holds(self, time: int | None) -> bool:
        """Whether an event of this time is to be looked at."""
        if time is None:
            return True
        return (self.start is None or time >= self.start) and (self.end is None or time < self.end)


class InTime:
    """Tells which events a range of time lets through.

    ``outside`` counts those that it does not, ``timeless`` those that have no time and are let
    through.
    """

    def __init__(self, engine: Engine, times: TimeRange) -> None:
        self.times = times
        self.outside = 0
        self.timeless = 0
        self._classify = engine.classify

    def use(self, engine: Engine) -> None:
        """Go on with another engine's field maps."""
        self._classify = engine.classify

    def __call__(self, event: Mapping[str, Any]) -> bool:
        """Whether an event is to be looked at."""
        inner = unwrap(plain_event(event))
        classes = self._classify(inner).classes
        if not classes:
            return True  # to be counted as what it is
        time = time_at(inner, classes[0].entry)
        if time is None:
            self.timeless += 1
        inside = self.times.holds(time)
        self.outside += not inside
        return inside


def time_of_option(text: str) -> int:
    """A point in time as it is written on a command line: ``2024-05-01``, ``2024-05-01T10:00:00Z``.

    Without a zone it is UTC, without a time of day midnight. Raises `ValueError`.

    >>> time_of_option("1970-01-02")
    86400000000
    """
    found = time_of(text.strip()) if "-" in text.strip()[1:] else None
    if found is None:
        raise ValueError(f"{text} is no point in time; write 2024-05-01 or 2024-05-01T10:00:00Z")
    return found
