"""Exclusions: matches that are known to be harmless, in files apart from the rules.

A file is YAML. ``where`` is a condition on the CAR fields of an event, in the language of the
rules; without ``rules`` it is for all of them::

    exclusions:
      - name: backup agent
        rules: [CAR-2019-08-001, "CAR-2013-*"]
        where: image_path = "C:\\\\Program Files\\\\Backup\\\\*" and hostname in ["fs1", "fs2"]
        reason: the backup agent dumps its own processes (ticket 4711)
        expires: 2026-12-31
    suppress:
      - {by: [rule, hostname], for: 1 hour}

A match is excluded when the condition is true of one of its events. It is not when it is unknown:
an event without the field is reported. ``reason`` is required; from the day after ``expires`` on
the exclusion does nothing, and is named.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from fnmatch import fnmatchcase

from attrs import field, frozen

from .. import ir
from ..diagnostics import Diagnostic, Span, codes
from ..engine import Match, passes
from ..fieldmap import CarEvent
from .suppression import Suppression


@frozen
class Exclusion:
    """One exclusion. ``rules`` are ids or glob patterns of ids; ``expires`` is the last day it
    holds."""

    name: str
    rules: tuple[str, ...]
    stage: ir.Stage = field(repr=False)
    reason: str
    expires: date | None = None
    span: Span | None = field(default=None, eq=False, repr=False)

    def expired(self, today: date) -> bool:
        """Whether its last day is over."""
        return self.expires is not None and today > self.expires

    def excludes(self, match: Match) -> bool:
        """Whether a match is one that this exclusion is about."""
        if not fits(match.rule.id, self.rules):
            return False
        return any(
            passes(self.stage, CarEvent(event.kind, event.fields, event.time, event.event))
            for event in match.events
        )


@frozen
class Tuning:
    """What files and options ask to leave out.

    >>> import carengine
    >>> from carengine.tuning import parse_suppression
    >>> once = carengine.Tuning(suppressions=(parse_suppression("rule, hostname for 1 hour"),))
    >>> len((once + once).suppressions)
    2
    """

    exclusions: tuple[Exclusion, ...] = ()
    suppressions: tuple[Suppression, ...] = ()

    def __add__(self, other: Tuning) -> Tuning:
        return Tuning(self.exclusions + other.exclusions, self.suppressions + other.suppressions)

    def unknown_rules(self, known: Iterable[str]) -> tuple[Diagnostic, ...]:
        """Warnings for ids and patterns that none of the known rules fits: a misspelling, or a rule
        that is gone."""
        ids = list(known)
        diagnostics = []
        for item in self.exclusions:
            for pattern in item.rules:
                if not any(fits(id_, (pattern,)) for id_ in ids):
                    message = (
                        f"the exclusion {item.name} is for {pattern}, "
                        "and no loaded rule is called so"
                    )
                    diagnostics.append(Diagnostic(codes.TUNING_UNUSED, message, item.span))
        return tuple(diagnostics)


def fits(rule: str, patterns: tuple[str, ...]) -> bool:
    """Whether a rule's id is, or has the form of, one of the patterns."""
    return any(pattern == "*" or fnmatchcase(rule.lower(), pattern.lower()) for pattern in patterns)
