"""What is said of the rules of a run: which could not run and why, and which did not match.

It is short, whatever the number of rules. Where there are few reasons, each has a line with the rules
by name, as far as ten of them go; of many there is one line with numbers. ``--why``, or a run without
a match, has a line for each of the commonest. The whole list is in the file of
``--account``. Where a log source is what is missing, the line says what to do.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from shlex import quote

from ..diagnostics import counted
from ..engine import Session
from ..engine.report import (
    Outcome,
    RuleStatus,
    UnrecognisedShapes,
    events_wanted,
    missing_source,
)
from ..rule import Rule
from .screen import Screen

MOST_NAMED = 10
"""So many rules are named in one place, and so many reasons given."""

_UUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}(?:#\d+)?", re.IGNORECASE)
_WIDE = 60
_MOST_REASONS = 4
"""So many reasons have a line each; of more there is one line, unless it is asked why."""
_MOST_SOURCES = 5


def name_of(rule: Rule) -> str:
    """What a person calls a rule: its id, or its title where the id is a UUID."""
    title = rule.metadata.title
    if not title or _UUID.fullmatch(rule.id) is None:
        return rule.id
    return title if len(title) <= _WIDE else title[: _WIDE - 1] + "…"


def report_rules(
    became: Sequence[RuleStatus],
    session: Session,
    unknown: UnrecognisedShapes,
    screen: Screen,
    *,
    why: bool,
) -> None:
    """Say which rules could not run, what was not recognised, and, where nothing matched or ``why``
    is asked for, why."""
    stats = session.stats
    stuck = [one for one in became if not one.outcome.runnable]
    lacking = any(one.outcome is Outcome.NO_SUCH_LOG for one in became)
    if stats.events and not stats.shaped and not lacking:
        screen.say(_next_step(became))
    partly: dict[str, list[Rule]] = {}
    for one in became:
        for text in one.partly if one.outcome.runnable else ():
            partly.setdefault(text, []).append(one.rule)
    whole = why or not stats.matches.total()
    reasons = len({one.reason for one in stuck}) + len(partly)
    if not whole and reasons > _MOST_REASONS:
        _say_shortly(stuck, partly, screen)
        stuck, partly = [], {}
    if stuck:
        screen.say(f"not runnable on this data: {counted(len(stuck), 'rule')}")
        _by_reason(stuck, screen)
    if partly:
        screen.say("blind on part of this data:")
        _say_groups([(text, rules) for text, rules in sorted(partly.items())], screen)
    if unknown.counts and whole:
        screen.say(f"not recognised: {counted(stats.unrecognised, 'record')}, the commonest")
        for line in unknown.lines():
            screen.say(f"  {line}")
    elif unknown.counts:
        look = next(unknown.lines(1), "")
        told = f"not recognised: {counted(stats.unrecognised, 'record')}, the commonest {look}"
        screen.say(f"{told}; --why says more" if len(unknown.counts) > 1 else told)
    if whole:
        _why(became, session, screen)


def _say_shortly(
    stuck: Sequence[RuleStatus], partly: Mapping[str, Sequence[Rule]], screen: Screen
) -> None:
    """One line for the rules that cannot run, and one for those that were blind in part."""
    told = []
    missing: Counter[str] = Counter()
    for one in stuck:
        if one.outcome is Outcome.NO_SUCH_LOG:
            missing[events_wanted(one.rule)] += 1
    if missing:
        ranked = sorted(missing.items(), key=lambda item: (-item[1], item[0]))
        names = ", ".join(f"{name} {number:,}" for name, number in ranked[:_MOST_SOURCES])
        others = len(ranked) - _MOST_SOURCES
        names += f" and {others:,} more" if others > 0 else ""
        told.append(f"{counted(missing.total(), 'rule')} for events that are not here ({names})")
    fields = len(stuck) - missing.total()
    if fields:
        told.append(f"{counted(fields, 'rule')} for fields that no map gives")
    if told:
        said = ", ".join(told)
        screen.say(f"not runnable on this data: {said}; --why says more, --account FILE lists all")
    if partly:
        rules = {rule.id for each in partly.values() for rule in each}
        first = max(partly, key=lambda text: len(partly[text]))
        more = f" and {counted(len(partly) - 1, 'other reason')}" if len(partly) > 1 else ""
        screen.say(
            f"blind on part of this data: {counted(len(rules), 'rule')}: {first}{more}; "
            "--why says more"
        )


def _next_step(became: Sequence[RuleStatus]) -> str:
    """That no record was recognised, and what to do, with the log source that most rules are
    for."""
    sources: dict[str, int] = {}
    for one in became:
        for name in missing_source(one.rule):
            sources[name] = sources.get(name, 0) + 1
    best = max(sources, key=lambda name: sources[name], default="product/service")
    if len(sources) != 1:
        best = "product/service"
    return (
        "no field map for these rules knows these records: `carengine detect` says what they are; "
        f"carengine map new, or --logsource {quote(best)}"
    )


def _why(became: Sequence[RuleStatus], session: Session, screen: Screen) -> None:
    stats = session.stats
    without = [one for one in became if one.outcome is not Outcome.MATCHED]
    if not stats.events:
        screen.say("nothing matched: no record was read")
        return
    if not stats.matches.total():
        screen.say(
            f"nothing matched: of {counted(stats.events, 'record')} {stats.shaped:,} have a known "
            "shape"
        )
    kinds: dict[str, int] = {}
    for (_, kind), number in stats.kinds.items():
        kinds[str(kind)] = kinds.get(str(kind), 0) + number
    ranked = sorted(kinds.items(), key=lambda item: (-item[1], item[0]))
    if ranked:
        there = ", ".join(f"{kind} {number:,}" for kind, number in ranked[:MOST_NAMED])
        more = len(ranked) - MOST_NAMED
        screen.say(f"the data has: {there}" + (f" and {more:,} more kinds" if more > 0 else ""))
    open_ = [one for one in without if one.outcome.runnable]
    if open_:
        screen.say(f"without a match: {counted(len(open_), 'rule')}")
        _by_reason(open_, screen)


def _by_reason(became: Iterable[RuleStatus], screen: Screen) -> None:
    groups: dict[tuple[Outcome, str], list[Rule]] = {}
    for one in became:
        groups.setdefault((one.outcome, one.reason), []).append(one.rule)
    said = []
    for (outcome, reason), rules in sorted(groups.items(), key=lambda item: item[0]):
        if outcome is Outcome.NO_SUCH_LOG and reason.startswith("no map gives"):
            reason += f": carengine map new{_or_source(rules[0])}"
        said.append((reason, rules))
    _say_groups(said, screen)


def _or_source(rule: Rule) -> str:
    sources = missing_source(rule)
    # Quoted where a shell would take it for a pattern of file names: 'aws/*'.
    return f", or --logsource {quote(sources[0])}" if sources else ""


def _say_groups(groups: Sequence[tuple[str, list[Rule]]], screen: Screen) -> None:
    """A line for each of the reasons that hold for most rules, in the order given."""
    kept = sorted(range(len(groups)), key=lambda place: (-len(groups[place][1]), place))
    places = sorted(kept[:MOST_NAMED])
    each = max(1, MOST_NAMED // max(1, len(places)))
    for place in places:
        reason, rules = groups[place]
        names = [name_of(rule) for rule in rules]
        more = f" and {len(names) - each:,} more" if len(names) > each else ""
        listed = ", ".join(names[:each]) + more
        screen.say(f"  {reason} ({listed})" if ": " in reason else f"  {reason}: {listed}")
    rest = [groups[place] for place in kept[MOST_NAMED:]]
    if rest:
        number = sum(len(rules) for _, rules in rest)
        screen.say(
            f"  and {counted(number, 'rule')} for {counted(len(rest), 'other reason')}; "
            "--account FILE lists all"
        )
