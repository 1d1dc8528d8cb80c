"""``carengine overlap``: rules that find the same, that another covers, or that find nothing."""

from __future__ import annotations

import argparse

from attrs import frozen

from ..diagnostics import counted
from ..loading import load_rules
from ..rule import RuleSet
from ..verify import RuleOverlaps, RuleRelation, Verdict, rule_overlaps
from . import status
from .encode import json_document, json_line
from .rules import report_refused
from .screen import Screen
from .table import Table, draw

_EXAMPLES = """\
examples:
  carengine overlap rules/                    what a set holds twice, and what can go
  carengine overlap rules.tar.gz -f json      the pairs, for other programs
  carengine overlap rules/ -f dot | dot -Tsvg > rules.svg

"same": both find the same events. "covered": the second finds all that the first finds, and the event that is shown
besides. "never": no event can make the rule true. All of it is proved; what is not is counted as undecided. Rules are
compared within one log source and under the names that they are written in. Of several rules that find the same, the
table compares the first with the others; -f json has every pair.

exit status: 0 done, 2 no rule could be used or the command is not right, 3 a rule was refused or could not be looked at.
"""
_MOST_NAMED = 20


@frozen
class OverlapSettings:
    """What ``overlap`` was asked for."""

    paths: tuple[str, ...]
    format: str = "table"
    quiet: bool = False


def arguments(parser: argparse.ArgumentParser) -> None:
    """What ``overlap`` takes."""
    parser.epilog = _EXAMPLES
    parser.add_argument("rules", nargs="+", metavar="RULES", help="files, folders, archives")
    parser.add_argument(
        "-f", "--format", choices=["table", "json", "dot"], default="table", help="default: table"
    )
    parser.add_argument(
        "-q", "--quiet", action="store_true", help="do not show the events that tell rules apart"
    )


def settings(values: argparse.Namespace) -> OverlapSettings:
    """What the command line asks for."""
    return OverlapSettings(tuple(values.rules), values.format, values.quiet)


def run(settings: OverlapSettings, screen: Screen) -> int:
    """Look for overlaps. The exit status."""
    rules = load_rules(*settings.paths)
    refused = report_refused(rules, screen)
    if not len(rules):
        return status.USAGE
    overlaps = rule_overlaps(rules)
    match settings.format:
        case "json":
            screen.show_lines(json_document(overlaps.as_json()))
        case "dot":
            screen.show_lines(_dot(overlaps, rules))
        case _:
            _show(overlaps, rules, screen, events=not settings.quiet)
    for rule, reason in overlaps.skipped[:_MOST_NAMED]:
        screen.say(f"not looked at: {rule.id}: {reason}")
    if len(overlaps.skipped) > _MOST_NAMED:
        screen.say(f"… and {len(overlaps.skipped) - _MOST_NAMED:,} more")
    same = sum(pair.verdict is Verdict.SAME for pair in overlaps.pairs)
    screen.say(
        f"{counted(len(rules), 'rule')}: {counted(same, 'pair')} same, "
        f"{len(overlaps.pairs) - same:,} covered, {len(overlaps.never):,} never true, "
        f"{len(overlaps.unknown):,} undecided; "
        f"{counted(len(overlaps.removable), 'rule')} can go without loss"
    )
    return status.UNREADABLE if refused or overlaps.skipped else status.DONE


def _show(overlaps: RuleOverlaps, rules: RuleSet, screen: Screen, *, events: bool) -> None:
    rows = [
        [pair.verdict.value, _named(pair.first, rules), _named(pair.second, rules), _event(pair)]
        for pair in overlaps.first_pairs
    ]
    rows += [["never", _named(rule.id, rules), "", ""] for rule in overlaps.never]
    columns = ["verdict", "rule", "by", "only the second finds"]
    if not events:
        columns, rows = columns[:3], [row[:3] for row in rows]
    draw(Table("", columns, rows, ""), screen)
    for group in overlaps.groups:
        screen.show_text("", f"the same: {', '.join(group)}")
    if overlaps.removable:
        screen.show_text("", f"can go without loss: {', '.join(overlaps.removable)}")


def _named(id_: str, rules: RuleSet) -> str:
    rule = rules.get(id_)
    return id_ if rule is None or rule.title == id_ else f"{id_} {rule.title}"


def _event(pair: RuleRelation) -> str:
    for witness in pair.witnesses:
        if witness.finder == "b":
            return " and ".join(json_line(dict(event)).decode() for event in witness.events)
    return ""


def _dot(overlaps: RuleOverlaps, rules: RuleSet) -> str:
    """The pairs as a graph: an arrow from a covered rule to the one that covers it."""
    ids = {id_ for pair in overlaps.pairs for id_ in (pair.first, pair.second)}
    ids |= {rule.id for rule in overlaps.never}
    lines = ["digraph overlaps {", "  rankdir=LR;", "  node [shape=box];"]
    never = {rule.id for rule in overlaps.never}
    for id_ in sorted(ids):
        rule = rules.get(id_)
        title = id_ if rule is None else rule.title
        style = ", style=dashed" if id_ in never else ""
        lines.append(f"  {_quoted(id_)} [label={_quoted(title)}{style}];")
    for pair in overlaps.pairs:
        style = " [dir=both]" if pair.verdict is Verdict.SAME else ""
        lines.append(f"  {_quoted(pair.first)} -> {_quoted(pair.second)}{style};")
    return "\n".join([*lines, "}"])


def _quoted(text: str) -> str:
    plain = " ".join(text.split()).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{plain}"'
