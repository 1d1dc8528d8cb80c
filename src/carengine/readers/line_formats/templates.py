"""Regular expressions for lines that have the same keys as one before.

A program writes the same keys in the same order again and again. Once a line has been read key by
key, an expression with its keys in it reads the lines like it in one step::

    srcip=10.0.0.1 action="deny"   ->   srcip=([^\\s…]*) action="([^"…]*)"

An expression must give what reading key by key gives, or not fit. It is tried on the line that it
was made of, and kept only if both agree.
"""

from __future__ import annotations

import re
from typing import Any

from attrs import define, field

# So many expressions are kept, and no more are made: a log whose lines are all different has no use
# for any.
_MOST = 8
_MOST_TRIED = 64
_MOST_KEYS = 64


@define(eq=False)
class LineTemplates:
    """The expressions of one log. ``tried`` counts the lines that none of them fitted."""

    known: list[tuple[re.Pattern[str], tuple[str, ...]]] = field(factory=list)
    tried: int = 0

    def event(self, line: str) -> dict[str, Any] | None:
        """The event of a line that is like one before; None for any other."""
        for expression, keys in self.known:
            found = expression.fullmatch(line)
            if found is not None:
                return dict(zip(keys, found.groups(), strict=True))
        return None

    @property
    def wanted(self) -> bool:
        """Whether another expression is of use."""
        return len(self.known) < _MOST and self.tried < _MOST_TRIED

    def learn(self, expression: str, event: dict[str, Any], line: str) -> None:
        """Keep an expression that was made of a line, if it gives the event of that line."""
        self.tried += 1
        keys = tuple(event)
        if len(keys) > _MOST_KEYS:
            return
        made = re.compile(expression)
        found = made.fullmatch(line)
        if made.groups != len(keys) or found is None:
            return
        if dict(zip(keys, found.groups(), strict=True)) == event:
            self.known.append((made, keys))
