"""Matches counted by level, host and rule, and when the first and the last were."""

from __future__ import annotations

from collections import Counter

from attrs import define, field

from ..rule import Rule

_MOST_HOSTS = 100_000


@define
class MatchTally:
    """What the end of a run says of its matches. ``rules`` counts by id.

    >>> tally = MatchTally()
    >>> tally.total, tally.first
    (0, None)
    """

    total: int = 0
    levels: Counter[str] = field(factory=Counter)
    hosts: Counter[str] = field(factory=Counter)
    rules: Counter[str] = field(factory=Counter)
    first: int | None = None
    last: int | None = None
    other_hosts: int = 0
    _spellings: dict[str, str] = field(factory=dict, init=False, repr=False)

    def add(self, rule: Rule, host: str, time: int | None) -> None:
        """Count a match. Hosts past a bound are counted together, in ``other_hosts``."""
        self.total += 1
        self.levels[rule.metadata.level] += 1
        self.rules[rule.id] += 1
        if host:
            # Logs write one host in small letters and in capitals: the first spelling counts.
            if len(self._spellings) < _MOST_HOSTS:
                host = self._spellings.setdefault(host.upper(), host)
            else:
                host = self._spellings.get(host.upper(), host)
            if host in self.hosts or len(self.hosts) < _MOST_HOSTS:
                self.hosts[host] += 1
            else:
                self.other_hosts += 1
        if time is not None:
            self.first = time if self.first is None else min(self.first, time)
            self.last = time if self.last is None else max(self.last, time)
