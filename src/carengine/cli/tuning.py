"""The options that leave something out: of the rules, of the events, of the matches."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from ..diagnostics import counted, visible
from ..engine import Engine, Match, Session
from ..tuning import (
    InTime,
    MatchFilter,
    TimeRange,
    Tuning,
    parse_suppression,
)
from .options import TuningSettings
from .screen import Screen


def tuning_of(settings: TuningSettings) -> Tuning:
    """The exclusions and suppressions that a command line asks for. Raises `CarError`."""
    suppressions = tuple(map(parse_suppression, settings.suppressions))
    if not settings.exclusions:
        return Tuning(suppressions=suppressions)
    from ..tuning import load_tuning

    return load_tuning(*settings.exclusions) + Tuning(suppressions=suppressions)


class Tuned:
    """A session that looks at events of a range of time only and gives the matches that a sifter
    admits."""

    def __init__(self, session: Session, times: TimeRange, sifter: MatchFilter) -> None:
        self.session = session
        self.sifter = sifter
        self.inside = InTime(session.engine, times)

    @property
    def outside(self) -> int:
        """How many events were not looked at because of their time."""
        return self.inside.outside

    @property
    def shown(self) -> Counter[str]:
        """How many matches of each rule were shown."""
        return self.session.stats.matches - self.sifter.by_rule

    @classmethod
    def of(cls, session: Session, times: TimeRange, tuning: Tuning) -> Tuned:
        """The tuned session that a command line asks for."""
        return cls(session, times, MatchFilter(tuning, datetime.now(UTC).date()))

    def wants(self) -> Callable[[Mapping[str, Any]], bool] | None:
        """What tells whether an event is to be looked at; None if all are."""
        return self.inside if self.inside.times else None

    def admit(self, match: Match) -> bool:
        """Whether a match is to be shown."""
        return self.sifter.admit(match)

    def report(self, engine: Engine, tuning: Tuning, screen: Screen, *, quiet: bool) -> None:
        """Say what was left out of the matches, and what of the tuning had no effect."""
        ids = [rule.id for rule in engine.rules]
        screen.report((*self.sifter.diagnostics, *tuning.unknown_rules(ids)))
        if quiet:
            return
        for title, counts in (
            ("excluded", self.sifter.excluded),
            ("suppressed", self.sifter.suppressed),
        ):
            if counts:
                screen.say(f"{title}: {counted(counts.total(), 'match', 'matches')}")
                for name, number in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
                    screen.say(f"  {visible(name)}: {number:,}")

    def parts(self) -> list[str]:
        """What the closing account says of it."""
        told = []
        if self.inside.timeless:
            told.append(f"{self.inside.timeless:,} without a time were looked at")
        if self.sifter.excluded:
            told.append(f"{self.sifter.excluded.total():,} more excluded")
        if self.sifter.suppressed:
            told.append(f"{self.sifter.suppressed.total():,} more suppressed")
        if self.sifter.expired:
            number = len(self.sifter.expired)
            told.append(f"{counted(number, 'exclusion')} expired")
        return told
