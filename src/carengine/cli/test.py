"""``carengine test``: rules held to the examples they carry and to the logs kept beside them."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterator

from attrs import frozen

from ..diagnostics import Diagnostic, as_json, counted
from ..engine.report import ExampleResult, run_examples, run_input_examples
from ..regression import CaseOutcome, CaseResult, run_regression
from ..rule import RuleSet
from ..verify import MutantOutcome
from . import status
from .encode import json_document
from .markdown import examples_document
from .mutant_report import RuleMutants, mutants_json, mutants_line, mutants_of, show_mutants
from .options import (
    RuleSettings,
    add_cache_option,
    add_input_option,
    add_lenient_option,
    rule_settings,
)
from .rule_report import MOST_NAMED, name_of
from .rules import load, report_refused
from .screen import Screen

_EXAMPLES = """\
examples:
  carengine test                   the shipped rules
  carengine test my-rules/         one's own
  carengine test rule.car -v       every example, also those that come out right
  carengine test --mutants         what no example of a rule would miss, with the example that would
  carengine test -f markdown       for a comment on a pull request
  carengine test sigma/rules/      Sigma rules, over the regression data that they name

A Sigma rule names its regression data (regression_tests_path). Logs may also lie beside any rule, under its
name: x.match.evtx has to match x.yml, x.nomatch.jsonl must not.

A mutant is the rule with one condition, alternative, key, wildcard or number changed. One that lives is named, with an
example that kills it; one that means the same as the rule is left out where that is proved.

exit status: 0 all examples come out as they say, 1 some do not or a mutant lives, 2 a rule was refused or the command is not right
(also when there are failures), 3 regression data could not be read.
"""


@frozen
class ExampleSettings:
    """What ``test`` was asked for. ``verbose``: name every example; ``mutants``: change the rules."""

    rules: RuleSettings
    format: str = "text"
    verbose: bool = False
    mutants: bool = False


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
        "-f", "--format", choices=["text", "json", "markdown"], default="text", help="default: text"
    )
    parser.add_argument(
        "--mutants",
        action="store_true",
        help="change each rule a little, in all ways, and say which changes no example notices",
    )
    parser.add_argument("-v", "--verbose", action="store_true", help="name every example")


def settings(values: argparse.Namespace) -> ExampleSettings:
    """What the command line asks for. Raises `UsageError`."""
    return ExampleSettings(rule_settings(values), values.format, values.verbose, values.mutants)


def run(settings: ExampleSettings, screen: Screen) -> int:
    """Run the examples. The exit status."""
    rules = load(settings.rules)
    broken = report_refused(rules, screen)
    results = [*run_examples(rules), *run_input_examples(rules)]
    cases = list(run_regression(rules))
    mutated: list[RuleMutants] = []
    faults: list[Diagnostic] = []
    as_text = settings.format == "text"
    if as_text:
        _show(results, screen, verbose=settings.verbose)
        _show_cases(cases, screen, verbose=settings.verbose)
    for rule, mutants in mutants_of(rules if settings.mutants else (), faults):
        mutated.append((rule, mutants))
        if as_text:
            show_mutants(rule, mutants, screen)
    screen.report(faults)
    if settings.format == "json":
        data = _as_json(rules, results, cases)
        if settings.mutants:
            data["mutants"] = mutants_json(mutated)
        screen.show_lines(json_document(data))
    told = _numbers(rules, results, cases, mutated if settings.mutants else None)
    if settings.format == "markdown":
        screen.show_lines(examples_document(told, list(_failures(results, cases))))
    for line in told:
        screen.say(line)
    counts = Counter(result.passed for result in results)
    became = Counter(case.outcome for case in cases)
    lives = any(one.outcome is MutantOutcome.LIVES for _, several in mutated for one in several)
    return status.gravest(
        status.FAULT if faults else status.DONE,
        status.USAGE if broken else status.DONE,
        status.UNREADABLE if became[CaseOutcome.NOT_READABLE] else status.DONE,
        status.FINDINGS if counts[False] or became[CaseOutcome.FAILED] or lives else status.DONE,
    )


def _numbers(
    rules: RuleSet,
    results: list[ExampleResult],
    cases: list[CaseResult],
    mutated: list[RuleMutants] | None,
) -> list[str]:
    """What came out, in sentences with numbers that add up."""
    told = []
    tested = {case.rule.id for case in cases}
    without = [name_of(rule) for rule in rules if not rule.examples and rule.id not in tested]
    if without:
        named = ", ".join(without[:MOST_NAMED])
        told.append(f"rules without an example: {named}{_more(without, MOST_NAMED)}")
    counts = Counter(result.passed for result in results)
    told.append(
        f"{counted(len(rules), 'rule')}, {len(rules.refused):,} refused; "
        f"{counted(len(results), 'example')}: {counts[True]:,} passed, {counts[False]:,} failed"
    )
    became = Counter(case.outcome for case in cases)
    if cases:
        listed = ", ".join(f"{became[outcome]:,} {outcome.value}" for outcome in CaseOutcome)
        told.append(f"{counted(len(cases), 'case')} of regression data: {listed}")
    if mutated is not None:
        told.append(mutants_line(mutated))
    return told


def _failures(
    results: list[ExampleResult], cases: list[CaseResult]
) -> Iterator[tuple[str, str, tuple[Diagnostic, ...]]]:
    """The rule, the example and the reasons of everything that did not pass."""
    for result in results:
        if not result.passed:
            yield name_of(result.rule), result.example.name, tuple(result.findings)
    for case in cases:
        if case.outcome is not CaseOutcome.PASSED:
            yield name_of(case.rule), case.name, tuple(case.findings)


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


def _show_cases(cases: list[CaseResult], screen: Screen, *, verbose: bool) -> None:
    words = {
        CaseOutcome.PASSED: ("passed", "green"),
        CaseOutcome.FAILED: ("FAILED", "red"),
        CaseOutcome.NOT_READABLE: ("NOT READABLE", "red"),
    }
    for case in cases:
        passed = case.outcome is CaseOutcome.PASSED
        if verbose or not passed:
            word, style = words[case.outcome]
            text = f"{name_of(case.rule)}  {case.name}"
            if passed:
                text += f"  {counted(case.matches, 'match', 'matches')}"
            screen.show_text(f"{screen.paint(f'{word:<6}', style)}  ", text)
        if not passed or (verbose and case.findings):
            for item in case.findings:
                screen.show_finding(item)


def _as_json(
    rules: RuleSet, results: list[ExampleResult], cases: list[CaseResult]
) -> dict[str, object]:
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
        "regression": [
            {
                "rule": case.rule.id,
                "title": case.rule.title,
                "case": case.name,
                "path": case.path,
                "outcome": case.outcome.value,
                "events": case.events,
                "matches": case.matches,
                "wanted": case.least,
                "diagnostics": [as_json(item) for item in case.findings],
            }
            for case in cases
        ],
    }
