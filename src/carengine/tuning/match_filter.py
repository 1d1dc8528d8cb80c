"""The state of tuning in one run: what was taken away, by what, and how often."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any

from ..diagnostics import Diagnostic, codes
from ..engine import Match
from .exclusions import Exclusion, Tuning, fits
from .suppression import Repeats


class MatchFilter:
    """Decides of each match whether it is reported, and counts the others.

    ``excluded`` and ``suppressed`` count by the name of what took the match away, ``by_rule`` both
    by rule id. ``expired`` are the exclusions that do nothing any more on the day ``today``.

    >>> import carengine
    >>> rule = carengine.parse_rule('a = search Process:Create where exe = "x.exe" output a')
    >>> event = {"object": "process", "action": "create", "exe": "x.exe", "pid": 7}
    >>> from datetime import date
    >>> tuning = carengine.Tuning()
    >>> admitted = carengine.MatchFilter(tuning, date(2024, 5, 1))
    >>> [match.output for match in carengine.Engine([rule]).run([event]) if admitted.admit(match)]
    ['a']
    """

    def __init__(self, tuning: Tuning, today: date) -> None:
        self.expired: tuple[Exclusion, ...] = tuple(
            item for item in tuning.exclusions if item.expired(today)
        )
        self.excluded: Counter[str] = Counter()
        self.suppressed: Counter[str] = Counter()
        self.by_rule: Counter[str] = Counter()
        self._exclusions = [item for item in tuning.exclusions if not item.expired(today)]
        self._repeats = [Repeats(item) for item in tuning.suppressions]
        self._for_rule: dict[str, tuple[list[Exclusion], list[Repeats]]] = {}

    def admit(self, match: Match) -> bool:
        """Whether a match is to be reported. Exclusions come first, so that what they take away
        suppresses nothing."""
        id_ = match.rule.id
        applying = self._for_rule.get(id_)
        if applying is None:
            applying = self._for_rule[id_] = (
                [item for item in self._exclusions if fits(id_, item.rules)],
                [item for item in self._repeats if fits(id_, item.suppression.rules)],
            )
        exclusions, repeats = applying
        for exclusion in exclusions:
            if exclusion.excludes(match):
                self.excluded[exclusion.name] += 1
                self.by_rule[id_] += 1
                return False
        for repeat in repeats:
            if repeat.holds_back(match):
                self.suppressed[repeat.suppression.name] += 1
                self.by_rule[id_] += 1
                return False
        for repeat in repeats:
            repeat.reported(match)
        return True

    def save(self) -> dict[str, Any]:
        """What it has counted and what it remembers, as plain data."""
        return {
            "excluded": dict(self.excluded),
            "suppressed": dict(self.suppressed),
            "by_rule": dict(self.by_rule),
            "repeats": {item.suppression.name: item.save() for item in self._repeats},
        }

    def load(self, data: Mapping[str, Any]) -> None:
        """Go on from what `save` gave. Suppressions that were not there then begin anew."""
        self.excluded = Counter(data["excluded"])
        self.suppressed = Counter(data["suppressed"])
        self.by_rule = Counter(data["by_rule"])
        for item in self._repeats:
            if item.suppression.name in data["repeats"]:
                item.load(data["repeats"][item.suppression.name])

    def reported(self, matches: Iterable[Match]) -> Iterable[Match]:
        """The matches that are to be reported."""
        return filter(self.admit, matches)

    @property
    def diagnostics(self) -> tuple[Diagnostic, ...]:
        """Exclusions that are over, and memory of repeats that was given up."""
        diagnostics = [
            Diagnostic(
                codes.EXPIRED_EXCLUSION,
                f"the exclusion {item.name} held until {item.expires}, and does nothing any more",
                item.span,
            )
            for item in self.expired
        ]
        diagnostics += [
            Diagnostic(
                codes.REPEATS_FORGOTTEN,
                f"{repeat.forgotten:,} keys of the suppression {repeat.suppression.name} "
                "were forgotten",
            )
            for repeat in self._repeats
            if repeat.forgotten
        ]
        return tuple(diagnostics)
