"""``carengine check``: everything that is wrong with rules."""

from __future__ import annotations

import argparse
from collections import Counter

from ..diagnostics import Severity, as_json, ordered
from ..rule import load_rules
from . import status
from .encode import json_document
from .screen import Screen

_EXAMPLES = """\
examples:
  carengine check my-rules/             every finding, with its place and a caret
  carengine check rule.car --strict     warnings fail as well
  carengine check my-rules/ -f json     for other programs

exit status: 0 no errors, 1 errors (with --strict: or warnings), 2 the command is not right.
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """What ``check`` takes."""
    parser.epilog = _EXAMPLES
    parser.add_argument("rules", nargs="+", metavar="RULES", help="rule files or folders of them")
    parser.add_argument(
        "-f", "--format", choices=["text", "json"], default="text", help="default: text"
    )
    parser.add_argument("--strict", action="store_true", help="fail on warnings as well")


def run(options: argparse.Namespace, screen: Screen) -> int:
    """Check. The exit status."""
    rules = load_rules(*options.rules)
    found = ordered(
        (*rules.diagnostics, *(item for one in rules.refused for item in one.diagnostics))
    )
    counts = Counter(item.severity for item in found)
    if options.format == "json":
        data = {
            "rules": len(rules),
            "refused": [{"id": one.id, "path": one.path} for one in rules.refused],
            "counts": {severity.value: counts[severity] for severity in Severity},
            "diagnostics": [as_json(item) for item in found],
        }
        screen.show(json_document(data))
    else:
        for item in found:
            screen.show_finding(item)
            screen.show()
    errors, warnings = counts[Severity.ERROR], counts[Severity.WARNING]
    screen.say(
        f"{len(rules) + len(rules.refused):,} rules: {len(rules):,} usable, {len(rules.refused):,} refused; "
        f"{errors:,} errors, {warnings:,} warnings, {counts[Severity.NOTE]:,} notes"
    )
    failed = errors or (options.strict and warnings)
    return status.FINDINGS if failed else status.DONE
