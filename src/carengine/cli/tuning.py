"""The options that leave something out: of the rules, of the events, of the matches."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from ..diagnostics import counted, visible
from ..engine import Engine, Match, Session
from ..rule.frontmatter import LEVELS
from ..tuning import (
    InTime,
    MatchFilter,
    RuleFilter,
    TimeRange,
    Tuning,
    load_tuning,
    parse_suppression,
    time_of_option,
)
from . import UsageError
from .screen import Screen


def add_tuning_options(parser: argparse.ArgumentParser) -> None:
    """Filters of rules and events, ``--exclude`` and ``--suppress``."""
    group = parser.add_argument_group(
        "what to leave out", "everything that is left out is counted in the closing account"
    )
    group.add_argument(
        "--level",
        choices=LEVELS,
        help="only rules of this level and above; those that state none are left out",
    )
    for name, what in (
        ("status", "of this status"),
        ("tag", "with this tag"),
        ("technique", "for this ATT&CK technique (T1003 includes T1003.001)"),
        ("platform", "for this platform"),
    ):
        group.add_argument(
            f"--{name}",
            action="append",
            default=[],
            metavar=name.upper(),
            help=f"only rules {what}; may be repeated",
        )
    group.add_argument(
        "--from",
        dest="start",
        metavar="TIME",
        help="only events from this time on (2024-05-01, 2024-05-01T10:00:00Z; UTC)",
    )
    group.add_argument("--to", dest="end", metavar="TIME", help="only events before this time")
    group.add_argument(
        "--exclude",
        action="append",
        default=[],
        metavar="FILE",
        help="a file of exclusions and suppressions (YAML); may be repeated",
    )
    group.add_argument(
        "--suppress",
        action="append",
        default=[],
        metavar="'FIELDS for PERIOD'",
        help="report one of the matches that agree in these fields within the period: "
        "'rule, hostname for 1 hour'; may be repeated",
    )


def rule_filter(options: argparse.Namespace) -> RuleFilter:
    """The filter of rules that a command line asks for."""
    return RuleFilter(
        options.level,
        tuple(options.status),
        tuple(options.tag),
        tuple(options.technique),
        tuple(options.platform),
    )


def time_range(options: argparse.Namespace) -> TimeRange:
    """The range of time that a command line asks for. Raises `UsageError`."""
    try:
        start, end = (
            time_of_option(text) if text is not None else None
            for text in (options.start, options.end)
        )
    except ValueError as problem:
        raise UsageError(f"carengine: {problem}") from None
    if start is not None and end is not None and start >= end:
        raise UsageError("carengine: --from is not before --to, so that no event could fit")
    return TimeRange(start, end)


def tuning_of(options: argparse.Namespace) -> Tuning:
    """The exclusions and suppressions that a command line asks for. Raises `CarError`."""
    made = load_tuning(*options.exclude)
    return made + Tuning(suppressions=tuple(map(parse_suppression, options.suppress)))


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
    def of(cls, session: Session, options: argparse.Namespace, tuning: Tuning) -> Tuned:
        """The tuned session that a command line asks for."""
        return cls(session, time_range(options), MatchFilter(tuning, datetime.now(UTC).date()))

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
