"""Sessions that go on with other rules: what was kept, and what was dropped."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from attrs import field, frozen

from ..diagnostics import Diagnostic, codes, counted
from .match import Match

_NAMED = 20


@frozen
class SessionUpdate:
    """What became of the rules of a session that was given others.

    ``kept`` are the ids of rules that mean the same as before: their joins, groups and windows go
    on. ``changed`` mean something else, ``added`` are new, ``removed`` are no longer there. What
    was held for joins and groups that no rule has any more is ``dropped``: rows, by what they were
    held for. ``matches`` had been decided before the update and not been asked for.
    """

    kept: tuple[str, ...]
    changed: tuple[str, ...]
    added: tuple[str, ...]
    removed: tuple[str, ...]
    dropped: Counter[str] = field(factory=Counter, hash=False)
    matches: tuple[Match, ...] = field(default=(), repr=False)

    @property
    def diagnostics(self) -> tuple[Diagnostic, ...]:
        """What there is to say of rows that were dropped (CE557)."""
        if not self.dropped:
            return ()
        message = (
            f"the rules changed: {counted(self.dropped.total(), 'row')} that joins and groups of "
            "earlier rules held are dropped, and matches of those rules with them are lost"
        )
        named = self.dropped.most_common(_NAMED)
        notes = [f"{counted(rows, 'row')} of {what}" for what, rows in named]
        if more := len(self.dropped) - len(named):
            notes.append(f"and of {more:,} more")
        return (Diagnostic(codes.UPDATED_RULES, message, notes=tuple(notes)),)


def compared(
    before: Mapping[str, Any],
    after: Mapping[str, str],
    dropped: Counter[str],
    matches: tuple[Match, ...] = (),
) -> SessionUpdate:
    """The update between two sets of rules, each as digests of what they mean by id."""
    common = [rule for rule in after if rule in before]
    return SessionUpdate(
        tuple(rule for rule in common if before[rule] == after[rule]),
        tuple(rule for rule in common if before[rule] != after[rule]),
        tuple(rule for rule in after if rule not in before),
        tuple(rule for rule in before if rule not in after),
        dropped,
        matches,
    )
