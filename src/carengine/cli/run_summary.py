"""The end of a run: what went in, what matched where and when, in a few lines."""

from __future__ import annotations

from collections.abc import Mapping

from ..diagnostics import counted, visible
from ..matches import MatchTally
from ..rule import Rule
from ..rule.model import LEVELS
from ..values import format_time
from .layout import cut_middle
from .match_table import LEVEL_STYLES
from .screen import Screen

_MOST = 5
_TITLE = 44


def matches_line(total: int, tally: MatchTally, parts: list[str], screen: Screen) -> str:
    """How many matches there are, by level, and what was left out of them."""
    told = counted(total, "match", "matches")
    ranked = [*reversed(LEVELS), ""]
    levels = [
        screen.paint_err(f"{tally.levels[level]:,} {level or 'no level'}", *_styles(level))
        for level in ranked
        if tally.levels[level]
    ]
    if levels:
        told += f": {', '.join(levels)}"
    return "; ".join((told, *parts))


def _styles(level: str) -> tuple[str, ...]:
    return LEVEL_STYLES.get(level, ())


def say_where_and_when(tally: MatchTally, rules: Mapping[str, Rule], screen: Screen) -> None:
    """Say the hosts and the rules with most matches, and the time of the first and the last."""
    if not tally.total:
        return
    if tally.hosts:
        hosts = [
            f"{cut_middle(visible(host), _TITLE)} {number:,}"
            for host, number in tally.hosts.most_common(_MOST)
        ]
        screen.say(f"  hosts: {', '.join(hosts)}{_more(len(tally.hosts))}")
    titles = [
        f"{cut_middle(visible(rules[id_].title if id_ in rules else id_), _TITLE)} {number:,}"
        for id_, number in tally.rules.most_common(_MOST)
    ]
    screen.say(f"  rules: {'; '.join(titles)}{_more(len(tally.rules))}")
    if tally.first is not None and tally.last is not None:
        first, last = format_time(tally.first), format_time(tally.last)
        when = first if first == last else f"{first} to {last}"
        screen.say(f"  time: {when}")


def _more(number: int) -> str:
    return f" and {number - _MOST:,} more" if number > _MOST else ""
