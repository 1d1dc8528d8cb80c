"""``carengine translate``: rules in other languages."""

from __future__ import annotations

import argparse
import os
from collections import Counter

from attrs import evolve, frozen

from ..diagnostics import CarError, Diagnostic, Fix, Severity, codes, fault
from ..engine.report import missing_source
from ..fieldmap import NamedLogSource
from ..filewrite import bounded_text
from ..languages.writing import TARGETS, Translation, translate
from ..rule import Rule, RuleSet
from . import UsageError, status
from .encode import json_line
from .options import RuleSettings, add_input_option, add_rules_option, rule_settings
from .rules import load, report_refused
from .screen import Screen

_TARGETS = "\n".join(f"  {target.name:<12} {target.title}" for target in TARGETS.values())
_EXAMPLES = f"""\
examples:
  carengine translate -t splunk -m sysmon.flat my.car       a rule file
  carengine translate -t eql CAR-2019-08-001                a shipped rule by its id
  carengine translate -t duckdb -m sysmon.winlogbeat rules/  a folder of rules
  carengine translate -t elastic-eql -m sysmon.winlogbeat --present fields.txt rules/
                                                            only the fields that the data has

targets:
{_TARGETS}
  sigma/NAME   what the pySigma backend NAME makes of the Sigma rules

Queries go to standard output. What a target cannot express is refused by name, and where a query is not exact a note says
so, both on standard error (--quiet leaves the notes out).

exit status: 0 done, 1 with --strict if a rule is refused, 2 if no rule could be translated or the command is not right.
"""
_MOST = 200


@frozen
class TranslateSettings:
    """What ``translate`` was asked for.

    ``chosen`` are files, folders and ids. ``present`` is a file with the names of the fields that
    the data has; ``recognise`` is as for `carengine.translate`.
    """

    chosen: tuple[str, ...]
    target: str
    rules: RuleSettings
    mapping: str | NamedLogSource = "sysmon"
    present: str | None = None
    recognise: bool | None = None
    format: str = "text"
    quiet: bool = False
    strict: bool = False


def arguments(parser: argparse.ArgumentParser) -> None:
    """What ``translate`` takes."""
    parser.epilog = _EXAMPLES
    parser.add_argument(
        "chosen",
        nargs="*",
        metavar="RULES",
        help="rule files, folders, or ids (default: all of -r)",
    )
    parser.add_argument("-t", "--target", required=True, metavar="TARGET", help="the language")
    parser.add_argument(
        "-m",
        "--mapping",
        metavar="MAP",
        help="the field map of the logs: a name (sysmon.winlogbeat) or a YAML file (default: sysmon)",
    )
    parser.add_argument(
        "--logsource",
        metavar="SOURCE",
        help="instead of a field map, what the logs are (aws/cloudtrail, webserver): fields keep the "
        "names that rules have for them",
    )
    add_rules_option(parser)
    add_input_option(parser)
    parser.add_argument(
        "--present",
        metavar="FILE",
        help="a file with the names of the raw fields that the data has, one a line",
    )
    shape = parser.add_mutually_exclusive_group()
    shape.add_argument(
        "--any-shape",
        dest="recognise",
        action="store_const",
        const=False,
        help="do not ask in the query whether an event has the map's shape",
    )
    shape.add_argument(
        "--whole-shape",
        dest="recognise",
        action="store_const",
        const=True,
        help="ask for all of the map's shape (Splunk: default is what events say themselves, their "
        "channel or source)",
    )
    parser.add_argument("-f", "--format", choices=("text", "jsonl"), default="text")
    parser.add_argument("-q", "--quiet", action="store_true", help="no notes")
    parser.add_argument("--strict", action="store_true", help="exit with 1 if a rule is refused")


def settings(values: argparse.Namespace) -> TranslateSettings:
    """What the command line asks for. Raises `UsageError`, and `CarError` (CE407)."""
    mapping: str | NamedLogSource = values.mapping or "sysmon"
    if values.logsource is not None:
        if values.mapping is not None:
            raise UsageError(
                "carengine translate: of -m and --logsource, one says what the logs are"
            )
        mapping = NamedLogSource.parse(values.logsource)
    return TranslateSettings(
        tuple(values.chosen),
        values.target,
        rule_settings(values),
        mapping,
        values.present,
        values.recognise,
        values.format,
        values.quiet,
        values.strict,
    )


def _with_next_step(item: Diagnostic, rule: Rule) -> Diagnostic:
    """A finding that the field map has no such log source, with what to do about it."""
    sources = missing_source(rule)
    if item.code is not codes.NOTHING_TO_TRANSLATE or item.fix is not None or not sources:
        return item
    return evolve(item, fix=Fix(f"name another map with -m, or write --logsource {sources[0]}"))


def run(settings: TranslateSettings, screen: Screen) -> int:
    """Translate. The exit status."""
    rules, broken = _rules(settings, screen)
    present = _present(settings.present)
    done = 0
    refused: Counter[str] = Counter()
    for rule in rules:
        try:
            found = translate(
                rule,
                settings.target,
                settings.mapping,
                present=present,
                recognise=settings.recognise,
            )
        except CarError as error:
            errors = [item for item in error.diagnostics if item.severity is Severity.ERROR]
            if any(item.code.id not in ("CE901", "CE904") for item in errors):
                raise
            screen.report([_with_next_step(item, rule) for item in errors], _MOST)
            refused.update({item.code.title for item in errors})
            continue
        except Exception as error:
            broke = fault(f"the translation of {rule.id}", error, origin=rule.path)
            screen.report([broke], _MOST)
            refused[broke.code.title] += 1
            continue
        done += 1
        if not settings.quiet:
            screen.report(found.notes, _MOST)
        _show(rule, found, settings.format, screen)
    left = len(rules) - done
    reasons = "".join(f"; {count} × {title}" for title, count in sorted(refused.items()))
    screen.say(f"{done} of {len(rules)} rules translated, {left} refused{reasons}")
    if not done or broken:
        return status.USAGE
    return status.FINDINGS if left and settings.strict else status.DONE


def _show(rule: Rule, found: Translation, form: str, screen: Screen) -> None:
    if form == "text":
        screen.show_lines(found.text)
        return
    data = {
        "rule": rule.id,
        "target": found.target,
        "fieldmap": found.fieldmap,
        "queries": [
            {"output": query.output, "text": query.text, "fields": list(query.fields)}
            for query in found.queries
        ],
        "notes": [_note(note) for note in found.notes],
    }
    screen.show(json_line(data).decode("utf-8").rstrip("\n"))


def _note(note: Diagnostic) -> dict[str, str]:
    return {"code": note.code.id, "message": note.message, "where": note.where}


def _rules(settings: TranslateSettings, screen: Screen) -> tuple[list[Rule], bool]:
    """The rules that are meant, in order, and whether some that were named cannot be used."""
    paths = [name for name in settings.chosen if os.path.exists(name)]
    ids = [name for name in settings.chosen if not os.path.exists(name)]
    sources = settings.rules
    if paths:
        sources = evolve(sources, paths=(*sources.paths, *paths))
    if not settings.rules.paths and not ids:
        paths = []
    rules: RuleSet = load(sources)
    broken = report_refused(rules, screen)
    if not ids:
        return list(rules), broken
    named = []
    for name in ids:
        rule = rules.get(name)
        if rule is None:
            hint = "" if sources.paths else " among the shipped rules"
            raise UsageError(
                f"carengine translate: there is no rule {name}{hint}, and no such file"
            )
        named.append(rule)
    wanted = {os.path.realpath(path) for path in paths}
    named += [rule for rule in rules if os.path.realpath(rule.path) in wanted]
    return named, broken


def _present(path: str | None) -> frozenset[str] | None:
    """The names in a file, one a line."""
    if path is None:
        return None
    lines = bounded_text(path, "utf-8-sig").splitlines()
    return frozenset(line.strip() for line in lines if line.strip())
