"""Loading rules for a command: where they are, what is said of those that cannot be used."""

from __future__ import annotations

import argparse

from .. import gc_control
from ..diagnostics import Severity, codes, counted, ordered
from ..engine import compiled
from ..fieldmap import MapChoice
from ..loading import load_rules
from ..resources import shipped_rules
from ..rule import Rule, RuleSet
from ..rule.frontmatter import LEVELS
from ..syntax import ast
from . import UsageError
from .screen import Screen

_MOST_FINDINGS = 50
_NAMED = 5


def add_rules_option(parser: argparse.ArgumentParser) -> None:
    """``-r RULES``, as often as wanted."""
    parser.add_argument(
        "-r",
        "--rules",
        action="append",
        metavar="RULES",
        help="a rule file or a folder of them; may be repeated (default: the shipped rules)",
    )
    add_lenient_option(parser)


def add_lenient_option(parser: argparse.ArgumentParser) -> None:
    """``--lenient``."""
    parser.add_argument(
        "--lenient",
        action="store_true",
        help="repair .car files where it is certain what is meant, and say so; CAR's YAML and Markdown always are",
    )


def add_map_option(parser: argparse.ArgumentParser) -> None:
    """``-m MAP``, as often as wanted."""
    parser.add_argument(
        "-m",
        "--mapping",
        action="append",
        metavar="MAP",
        help="field map: a name (sysmon, sysmon.flat), a YAML file or a folder of them; "
        "may be repeated (default: auto, which recognises each event's shape)",
    )


def add_input_option(parser: argparse.ArgumentParser) -> None:
    """``--input NAME=VALUE``, as often as wanted."""
    parser.add_argument(
        "--input",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="the value of an `input` of the rules, or of a placeholder of Sigma rules, which takes "
        "several; may be repeated",
    )


def add_engine_option(parser: argparse.ArgumentParser) -> None:
    """``--engine FILE``, instead of ``-r`` and ``-m``."""
    parser.add_argument(
        "--engine",
        metavar="FILE",
        help="rules and field maps that `carengine compile` put into a file, instead of -r and -m: "
        "thousands of rules start at once",
    )


def load_with_maps(options: argparse.Namespace, screen: Screen) -> tuple[RuleSet, MapChoice]:
    """The rules and field maps to run: those in the file of ``--engine``, or what ``-r`` and ``-m``
    name.

    Raises `CarError` (CE550) for a file that is no engine, and `UsageError` where something else is
    given beside it.
    """
    if options.engine is None:
        return load(options, screen), options.mapping or "auto"
    beside = (
        ("-r", options.rules),
        ("-m", options.mapping),
        ("--input", options.input),
        ("--lenient", options.lenient),
    )
    for option, given in beside:
        if given:
            raise UsageError(
                f"carengine: {option} has no place beside --engine; compile anew with it"
            )
    with gc_control.paused():
        rules, maps = compiled.read(options.engine)
    return RuleSet(rules), maps


def load(options: argparse.Namespace, screen: Screen) -> RuleSet:
    """The rules that ``-r`` names or that are shipped, with ``--input`` bound.

    Raises `UsageError` for an ``--input`` without ``=`` or that no rule asks for.
    """
    values: dict[str, list[str]] = {}
    for given in options.input:
        name, equals, value = given.partition("=")
        if not equals or not name:
            raise UsageError(f"carengine: --input wants NAME=VALUE, not {given}")
        values.setdefault(name, []).append(value)
    parameters: dict[str, str | list[str]] = {
        name: several[0] if len(several) == 1 else several for name, several in values.items()
    }
    rules = load_rules(
        *(options.rules or [shipped_rules()]),
        parameters=parameters,
        lenient=options.lenient,
        must_exist=False,
    )
    asked = {
        statement.name.text
        for rule in rules
        if rule.syntax is not None
        for statement in rule.syntax.statements
        if isinstance(statement, ast.InputStatement)
    }
    # What is written so in a rule of Sigma's is a placeholder, or might be one.
    placed = [rule.block.text for rule in rules if rule.syntax is None] if parameters else []
    asked |= {name for name in parameters if any(f"%{name}%" in text for text in placed)}
    unknown = sorted(set(parameters) - asked)
    if unknown and not rules.refused:
        raise UsageError(f"carengine: no rule has an input {', '.join(unknown)}")
    return rules


def report_refused(rules: RuleSet, screen: Screen) -> bool:
    """Name the rules that cannot be used, with every error; whether there were any errors."""
    errors = [item for item in rules.diagnostics if item.severity is Severity.ERROR]
    errors += [
        item
        for refused in rules.refused
        for item in refused.diagnostics
        if item.severity is Severity.ERROR
    ]
    errors = list(ordered(errors))
    screen.report(errors, _MOST_FINDINGS)
    _report_passed_over(rules, screen)
    for refused in rules.refused[:_MOST_FINDINGS]:
        where = next((item.where for item in refused.diagnostics if item.where), refused.path)
        screen.say(f"refused: {refused.id} ({where})")
    return bool(errors)


def _report_passed_over(rules: RuleSet, screen: Screen) -> None:
    """Name the files among the rules that hold none."""
    names = [item.where for item in rules.diagnostics if item.code is codes.NOT_A_RULE]
    if names:
        more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
        shown = ", ".join(names[:_NAMED]) + more
        screen.say(f"passed over: {counted(len(names), 'file')} with no rule: {shown}")


def rank(rule: Rule) -> int:
    """How grave what a rule finds is: higher for higher levels, lowest without one."""
    level = rule.metadata.level
    return LEVELS.index(level) if level in LEVELS else -1
