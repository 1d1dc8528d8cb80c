"""``carengine check``: everything that is wrong with rules."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

from attrs import field, frozen

from ..attack import Attack, read_bundle
from ..check import Baseline, applied_fixes, check_rules, to_sarif
from ..diagnostics import Diagnostic, Severity, Source, as_json, counted, ordered
from ..filewrite import rewrite
from ..loading import load_rules
from ..rule import RuleSet
from . import UsageError, check_config, status
from .check_config import FindingSettings, add_finding_options
from .encode import json_document
from .markdown import findings_document
from .options import add_lenient_option, add_macros_option
from .screen import Screen

_EXAMPLES = """\
examples:
  carengine check my-rules/             every finding, with its place and a caret
  carengine check rule.car --strict     warnings fail as well
  carengine check my-rules/ --fix       put in the fixes that change no meaning; say what is left
  carengine check rule.car --fix --unsafe-fixes    also those that change what the rule means
  carengine check my-rules/ -f json     for other programs
  carengine check my-rules/ -f sarif    for code-scanning tools
  carengine check my-rules/ -f markdown for a comment on a pull request
  carengine check my-rules/ --robustness   also what an attacker evades cheaply, with the event
  carengine check sigma/ --disable CE822 --severity CE828=error
  carengine check sigma/ --baseline known.json --write-baseline    what is there now is known
  carengine check sigma/ --baseline known.json --strict            fail on what is new

exit status: 0 no errors, 1 errors (with --strict: or warnings), 2 the command is not right.
"""

# A fix can make room for another; this many rounds are enough for any that people write.
_ROUNDS = 10
_MOST_NAMED = 10


@frozen
class CheckSettings:
    """What ``check`` was asked for."""

    paths: tuple[str, ...]
    lenient: bool = False
    format: str = "text"
    strict: bool = False
    fix: bool = False
    unsafe: bool = False
    findings: FindingSettings = field(factory=FindingSettings)
    macros: tuple[str, ...] = ()
    robustness: bool = False


def arguments(parser: argparse.ArgumentParser) -> None:
    """What ``check`` takes."""
    parser.epilog = _EXAMPLES
    parser.add_argument("rules", nargs="+", metavar="RULES", help="rule files or folders of them")
    parser.add_argument(
        "-f",
        "--format",
        choices=["text", "json", "sarif", "markdown"],
        default="text",
        help="default: text",
    )
    add_lenient_option(parser)
    add_macros_option(parser)
    parser.add_argument("--strict", action="store_true", help="fail on warnings as well")
    parser.add_argument(
        "--fix", action="store_true", help="apply safe fixes to the files, then say what is left"
    )
    parser.add_argument(
        "--unsafe-fixes",
        action="store_true",
        help="with --fix: also the fixes that change what a rule means, because it seems to say "
        "something else than was meant",
    )
    parser.add_argument(
        "--robustness",
        action="store_true",
        help="advice about conditions that an attacker evades cheaply, each with an event that the "
        "rule was seen to miss",
    )
    add_finding_options(parser)


def settings(values: argparse.Namespace) -> CheckSettings:
    """What the command line asks for. Raises `UsageError`."""
    return CheckSettings(
        tuple(values.rules),
        values.lenient,
        values.format,
        values.strict,
        values.fix or values.unsafe_fixes,
        values.unsafe_fixes,
        check_config.settings(values),
        tuple(values.macros),
        values.robustness,
    )


def run(settings: CheckSettings, screen: Screen) -> int:
    """Check. The exit status."""
    baseline = _baseline(settings.findings)
    attack = _attack(settings.findings)
    rules, everything = _findings(settings, attack)
    if settings.fix:
        rules, everything = _fix(settings, rules, everything, attack, screen)
    found, left_out = settings.findings.chosen(everything)
    if settings.findings.write_baseline and settings.findings.baseline is not None:
        _write_baseline(settings.findings.baseline, found, screen)
        return status.DONE
    known = 0
    if baseline is not None:
        fresh = baseline.new(found)
        known, gone = len(found) - len(fresh), baseline.gone(found)
        found = fresh
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
    elif settings.format == "markdown":
        screen.show_lines(findings_document(len(rules), len(rules.refused), found))
    else:
        for item in found:
            screen.show_finding(item)
            screen.show()
    errors, warnings = counts[Severity.ERROR], counts[Severity.WARNING]
    screen.say(
        f"{counted(len(rules) + len(rules.refused), 'rule')}: {len(rules):,} usable, {len(rules.refused):,} refused; "
        f"{counted(errors, 'error')}, {counted(warnings, 'warning')}, {counted(counts[Severity.NOTE], 'note')}"
    )
    if left_out:
        screen.say(f"{counted(left_out, 'finding')} of codes that are not asked for")
    if baseline is not None:
        screen.say(
            f"{counted(known, 'finding')} in the baseline are not shown; {gone:,} of it are gone"
        )
    failed = errors or (settings.strict and warnings)
    return status.FINDINGS if failed else status.DONE


def _baseline(settings: FindingSettings) -> Baseline | None:
    if settings.baseline is None or settings.write_baseline:
        return None
    try:
        return Baseline.read(settings.baseline)
    except (OSError, ValueError) as error:
        message = f"carengine check: the baseline {settings.baseline} cannot be read: {error}"
        raise UsageError(message) from None


def _write_baseline(path: str, found: list[Diagnostic], screen: Screen) -> None:
    try:
        Baseline.of(found, str(Path(path).parent)).write(path)
    except OSError as error:
        raise UsageError(f"carengine check: {path} cannot be written: {error}") from None
    screen.say(f"{counted(len(found), 'finding')} put into the baseline {path}")


def _attack(settings: FindingSettings) -> Attack | None:
    """The version of ATT&CK that was named. Raises `CarError` (CE330)."""
    return None if settings.attack is None else read_bundle(settings.attack)


def _findings(
    settings: CheckSettings, attack: Attack | None
) -> tuple[RuleSet, tuple[Diagnostic, ...]]:
    """The rules of some paths and everything there is to say about them."""
    rules = load_rules(
        *settings.paths, lenient=settings.lenient, must_exist=False, macros=settings.macros
    )
    refused = (item for one in rules.refused for item in one.diagnostics)
    sigma = _sigma_findings(rules, attack)
    advice = _robustness(rules) if settings.robustness else ()
    return rules, ordered((*rules.diagnostics, *refused, *check_rules(rules), *sigma, *advice))


def _robustness(rules: RuleSet) -> tuple[Diagnostic, ...]:
    """What an attacker evades cheaply, of the rules of which an event is known."""
    # Its modules are loaded where they are asked for.
    from ..verify import robustness_of

    return tuple(found for rule in rules for found in robustness_of(rule).findings)


def _sigma_findings(rules: RuleSet, attack: Attack | None) -> tuple[Diagnostic, ...]:
    """What there is to say about Sigma files beside what their conditions mean."""
    blocks = [rule.block for rule in rules if rule.syntax is None]
    blocks += [one.block for one in rules.refused if one.block is not None]
    sources: dict[int, Source] = {
        id(block.source): block.source
        for block in blocks
        if block.source.name.lower().endswith((".yml", ".yaml"))
    }
    if not sources:
        return ()
    try:
        # It stands on the extra `sigma`.
        from ..check.sigma import check_sigma
    except ImportError:
        return ()  # without it, every such rule was refused for that
    return check_sigma(sources.values(), attack)


def _fix(
    settings: CheckSettings,
    rules: RuleSet,
    found: tuple[Diagnostic, ...],
    attack: Attack | None,
    screen: Screen,
) -> tuple[RuleSet, tuple[Diagnostic, ...]]:
    """Put safe fixes into the files, round after round until nothing changes; what is found then."""
    fixed: list[Diagnostic] = []
    passed_over: dict[str, str] = {}
    for _ in range(_ROUNDS):
        passed_over = {}
        changed = _fix_once(settings.findings.chosen(found)[0], settings, passed_over)
        if not changed:
            break
        fixed += changed
        rules, found = _findings(settings, attack)
    files = Counter(_file_of(item) for item in fixed)
    for name, count in sorted(files.items()):
        screen.say(f"fixed: {name} ({count} fix{'es' if count > 1 else ''})")
    for item in fixed[:_MOST_NAMED]:
        screen.say(f"  {item.where}: {item.code.id}: {item.fix.message if item.fix else ''}")
    if len(fixed) > _MOST_NAMED:
        screen.say(f"  and {len(fixed) - _MOST_NAMED:,} more")
    if not fixed:
        screen.say("nothing to fix safely" if not settings.unsafe else "nothing to fix")
    _tell_left(settings.findings.chosen(found)[0], settings, passed_over, screen)
    return rules, found


def _tell_left(
    found: Iterable[Diagnostic],
    settings: CheckSettings,
    passed_over: Mapping[str, str],
    screen: Screen,
) -> None:
    """The findings that were left, each reason with their number and the first of them."""
    left: dict[str, list[Diagnostic]] = {}
    for item in found:
        left.setdefault(_why_left(item, settings, passed_over), []).append(item)
    for reason, items in sorted(left.items()):
        screen.say(f"left: {counted(len(items), 'finding')}: {reason}")
        for item in items[:_MOST_NAMED]:
            advice = f": {item.fix.message}" if item.fix is not None else ""
            screen.say(f"  {item.where}: {item.code.id}{advice}")
        if len(items) > _MOST_NAMED:
            screen.say(f"  and {len(items) - _MOST_NAMED:,} more")


def _why_left(item: Diagnostic, settings: CheckSettings, passed_over: Mapping[str, str]) -> str:
    fix = item.fix
    if fix is None:
        return "no fix is known"
    if not fix.edits:
        return "more than an edit has to be done, by somebody who knows what is meant"
    if not fix.safe and not settings.unsafe:
        return "the fix changes what the rule means; --unsafe-fixes puts it in"
    name = fix.edits[0].span.source.name
    return passed_over.get(name, "the fixes did not come to an end; run again")


def _file_of(item: Diagnostic) -> str:
    return item.span.source.name if item.span is not None else item.origin


def _fix_once(
    found: Iterable[Diagnostic], settings: CheckSettings, passed_over: dict[str, str]
) -> list[Diagnostic]:
    """One round: the findings whose fixes were put into files. ``passed_over`` gets the files that
    were left as they are, and why."""
    files: dict[str, list[Diagnostic]] = {}
    for item in found:
        if item.fix is not None and item.fix.edits and (item.fix.safe or settings.unsafe):
            files.setdefault(item.fix.edits[0].span.source.name, []).append(item)
    changed: list[Diagnostic] = []
    for name, items in files.items():
        path = Path(name)
        source = items[0].fix.edits[0].span.source if items[0].fix is not None else None
        if source is None or not path.is_file():
            passed_over[name] = "it stands in an archive or a page, and no file of its own"
            continue
        data = path.read_bytes()
        mark = b"\xef\xbb\xbf" if data.startswith(b"\xef\xbb\xbf") else b""
        if data.removeprefix(mark) != source.text.encode("utf-8", "surrogatepass"):
            # It is not the text that was checked: somebody wrote to it, or it is no plain text.
            passed_over[name] = "the file is not the text that was checked"
            continue
        better, applied = applied_fixes(source.text, items, safe_only=not settings.unsafe)
        if better != source.text:
            rewrite(path, mark.decode("utf-8") + better)
            changed += applied
    return changed
