"""``carengine check``: everything that is wrong with rules."""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path

from attrs import frozen

from ..check import apply_fixes, check_rules, to_sarif
from ..diagnostics import Diagnostic, Severity, as_json, counted, ordered
from ..filewrite import rewrite
from ..loading import load_rules
from ..rule import RuleSet
from . import status
from .encode import json_document
from .options import add_lenient_option
from .screen import Screen

_EXAMPLES = """\
examples:
  carengine check my-rules/             every finding, with its place and a caret
  carengine check rule.car --strict     warnings fail as well
  carengine check my-rules/ --fix       put in the fixes that change no meaning
  carengine check my-rules/ -f json     for other programs
  carengine check my-rules/ -f sarif    for code-scanning tools

exit status: 0 no errors, 1 errors (with --strict: or warnings), 2 the command is not right.
"""

# A fix can make room for another; this many rounds are enough for any that people write.
_ROUNDS = 10


@frozen
class CheckSettings:
    """What ``check`` was asked for."""

    paths: tuple[str, ...]
    lenient: bool = False
    format: str = "text"
    strict: bool = False
    fix: bool = False


def arguments(parser: argparse.ArgumentParser) -> None:
    """What ``check`` takes."""
    parser.epilog = _EXAMPLES
    parser.add_argument("rules", nargs="+", metavar="RULES", help="rule files or folders of them")
    parser.add_argument(
        "-f", "--format", choices=["text", "json", "sarif"], default="text", help="default: text"
    )
    add_lenient_option(parser)
    parser.add_argument("--strict", action="store_true", help="fail on warnings as well")
    parser.add_argument(
        "--fix", action="store_true", help="apply safe fixes to the files, then say what is left"
    )


def settings(values: argparse.Namespace) -> CheckSettings:
    """What the command line asks for."""
    return CheckSettings(
        tuple(values.rules), values.lenient, values.format, values.strict, values.fix
    )


def run(settings: CheckSettings, screen: Screen) -> int:
    """Check. The exit status."""
    rules, found = _findings(settings)
    if settings.fix:
        rules, found = _fix(settings, rules, found, screen)
    counts = Counter(item.severity for item in found)
    if settings.format == "json":
        data = {
            "rules": len(rules),
            "refused": [{"id": one.id, "path": one.path} for one in rules.refused],
            "counts": {severity.value: counts[severity] for severity in Severity},
            "diagnostics": [as_json(item) for item in found],
        }
        screen.show_lines(json_document(data))
    elif settings.format == "sarif":
        screen.show_lines(json_document(to_sarif(found)))
    else:
        for item in found:
            screen.show_finding(item)
            screen.show()
    errors, warnings = counts[Severity.ERROR], counts[Severity.WARNING]
    screen.say(
        f"{counted(len(rules) + len(rules.refused), 'rule')}: {len(rules):,} usable, {len(rules.refused):,} refused; "
        f"{counted(errors, 'error')}, {counted(warnings, 'warning')}, {counted(counts[Severity.NOTE], 'note')}"
    )
    failed = errors or (settings.strict and warnings)
    return status.FINDINGS if failed else status.DONE


def _findings(settings: CheckSettings) -> tuple[RuleSet, tuple[Diagnostic, ...]]:
    """The rules of some paths and everything there is to say about them."""
    rules = load_rules(*settings.paths, lenient=settings.lenient, must_exist=False)
    refused = (item for one in rules.refused for item in one.diagnostics)
    return rules, ordered((*rules.diagnostics, *refused, *check_rules(rules)))


def _fix(
    settings: CheckSettings, rules: RuleSet, found: tuple[Diagnostic, ...], screen: Screen
) -> tuple[RuleSet, tuple[Diagnostic, ...]]:
    """Put safe fixes into the files, round after round until nothing changes; what is found then."""
    fixed: Counter[str] = Counter()
    for _ in range(_ROUNDS):
        changed = _fix_once(found)
        if not changed:
            break
        fixed.update(changed)
        rules, found = _findings(settings)
    for name, count in sorted(fixed.items()):
        screen.say(f"fixed: {name} ({count} fix{'es' if count > 1 else ''})")
    if not fixed:
        screen.say("nothing to fix safely")
    return rules, found


def _fix_once(found: tuple[Diagnostic, ...]) -> dict[str, int]:
    """One round: the files that were written, with the number of fixes that each offered."""
    files: dict[str, list[Diagnostic]] = {}
    for item in found:
        if item.fix is not None and item.fix.safe and item.fix.edits:
            files.setdefault(item.fix.edits[0].span.source.name, []).append(item)
    changed: dict[str, int] = {}
    for name, items in files.items():
        path = Path(name)
        source = items[0].fix.edits[0].span.source if items[0].fix is not None else None
        if source is None or not path.is_file():
            continue
        data = path.read_bytes()
        mark = b"\xef\xbb\xbf" if data.startswith(b"\xef\xbb\xbf") else b""
        if data.removeprefix(mark) != source.text.encode("utf-8", "surrogatepass"):
            # It is not the text that was checked: somebody wrote to it, or it is no plain text.
            continue
        better = apply_fixes(source.text, items)
        if better != source.text:
            rewrite(path, mark.decode("utf-8") + better)
            changed[name] = len(items)
    return changed
