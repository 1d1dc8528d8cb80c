"""``carengine test``: rules held to the examples they carry."""

from __future__ import annotations

import argparse
from collections import Counter

from attrs import frozen

from ..diagnostics import as_json, counted
from ..engine.report import ExampleResult, run_examples
from ..rule import RuleSet
from . import status
from .encode import json_document
from .options import (
    RuleSettings,
    add_cache_option,
    add_input_option,
    add_lenient_option,
    rule_settings,
)
from .rules import load, report_refused
from .screen import Screen

_EXAMPLES = """\
examples:
  carengine test                   the shipped rules
  carengine test my-rules/         one's own
  carengine test rule.car -v       every example, also those that come out right

exit status: 0 all examples come out as they say, 1 some do not, 2 a rule was refused or the command is not right
(also when there are failures).
"""


@frozen
class ExampleSettings:
    """What ``test`` was asked for. ``verbose``: name every example."""

    rules: RuleSettings
    format: str = "text"
    verbose: bool = False


def arguments(parser: argparse.ArgumentParser) -> None:
    """What ``test`` takes."""
    parser.epilog = _EXAMPLES
    parser.add_argument(
        "rules",
        nargs="*",
        metavar="RULES",
        help="rule files or folders of them (default: the shipped rules)",
    )
    add_input_option(parser)
    add_lenient_option(parser)
    add_cache_option(parser)
    parser.add_argument(
        "-f", "--format", choices=["text", "json"], default="text", help="default: text"
    )
    parser.add_argument("-v", "--verbose", action="store_true", help="name every example")


def settings(values: argparse.Namespace) -> ExampleSettings:
    """What the command line asks for. Raises `UsageError`."""
    return ExampleSettings(rule_settings(values), values.format, values.verbose)


def run(settings: ExampleSettings, screen: Screen) -> int:
    """Run the examples. The exit status."""
    rules = load(settings.rules)
    broken = report_refused(rules, screen)
    results = list(run_examples(rules))
    if settings.format == "json":
        screen.show_lines(json_document(_as_json(rules, results)))
    else:
        _show(results, screen, verbose=settings.verbose)
    counts = Counter(result.passed for result in results)
    without = [rule.id for rule in rules if not rule.examples]
    if without:
        screen.say(f"rules without an example: {', '.join(without[:12])}{_more(without, 12)}")
    screen.say(
        f"{counted(len(rules), 'rule')}, {len(rules.refused):,} refused; {counted(len(results), 'example')}: "
        f"{counts[True]:,} passed, {counts[False]:,} failed"
    )
    return status.gravest(
        status.USAGE if broken else status.DONE,
        status.FINDINGS if counts[False] else status.DONE,
    )


def _more(found: list[str], most: int) -> str:
    return f" and {len(found) - most} more" if len(found) > most else ""


def _show(results: list[ExampleResult], screen: Screen, *, verbose: bool) -> None:
    words = {True: "passed", False: "FAILED"}
    styles = {True: "green", False: "red"}
    for result in results:
        if verbose or not result.passed:
            word = screen.paint(f"{words[result.passed]:<6}", styles[result.passed])
            screen.show_text(f"{word}  ", f"{result.rule.id}  {result.example.name}")
        if not result.passed:
            for item in result.findings:
                screen.show_finding(item)


def _as_json(rules: RuleSet, results: list[ExampleResult]) -> dict[str, object]:
    return {
        "rules": len(rules),
        "refused": [{"id": one.id, "path": one.path} for one in rules.refused],
        "examples": [
            {
                "rule": result.rule.id,
                "example": result.example.name,
                "match": result.example.match,
                "passed": result.passed,
                "matches": result.matches,
                "diagnostics": [as_json(item) for item in result.findings],
            }
            for result in results
        ],
    }
