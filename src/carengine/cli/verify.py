"""``carengine verify``: whether two rules, the implementations of an analytic, or a rule and what a
converter writes for it, find the same events."""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path
from typing import Any

from attrs import frozen

from ..diagnostics import CarError, Diagnostic, Severity, Span, as_json, codes, counted, fault
from ..filewrite import bounded_text
from ..loading import ENDINGS, load_rules
from ..resources import shipped_rules
from ..verify import (
    Candidate,
    Direction,
    Report,
    RuleDifference,
    RuleRelation,
    Subject,
    Verdict,
    backend,
    check_conversions,
    compare_subjects,
    findings,
    implementations,
    languages,
    load_analytics,
    subject_of,
    subjects_of_text,
    verify_analytic,
)
from . import UsageError, status
from .encode import json_document, json_line
from .rules import report_refused
from .screen import Screen

_EXAMPLES = """\
examples:
  carengine verify old.yml new.yml            two rules, in any language
  carengine verify rule.car 'EventCode=1 Image="*\\\\cmd.exe"' --as splunk
                                              a rule and a query
  carengine verify a.txt b.txt --as splunk --as eql
                                              two queries, each in its language
  carengine verify rules/ --backend splunk    each Sigma rule and what pySigma's backend makes of it
  carengine verify CAR-2019-08-001.md         every implementation of a page, run and compared
  carengine verify car/analytics -f json      all analytics of a folder, for other programs

Two arguments are compared with each other, unless one is a folder of pages: "same", "covers" (the first finds all that the
second finds, and more), "covered", "overlaps", "disjoint", or "undecided". All but the last are proved, with what the proof takes for
granted, and shown by events that the engine has confirmed. Pages are analytics with several implementations: each is run
on the true positives, and compared with each other one.

exit status: 0 all the same, 1 some differ or miss a true positive, 2 nothing could be read, 3 no difference was found, but
not all could be read and compared to the end.
"""

_LONGEST = 72


@frozen
class VerifySettings:
    """What ``verify`` was asked for.

    ``languages`` are those of the arguments that are queries. ``pages``: the arguments are
    analytics. ``backend`` is that of pySigma whose queries are compared with the rules.
    """

    paths: tuple[str, ...]
    format: str = "text"
    quiet: bool = False
    languages: tuple[str, ...] = ()
    pages: bool = False
    backend: str = ""
    pipelines: tuple[str, ...] = ()
    any_case: bool = False


def arguments(parser: argparse.ArgumentParser) -> None:
    """What ``verify`` takes."""
    parser.epilog = _EXAMPLES
    parser.add_argument(
        "rules",
        nargs="+",
        metavar="RULE-OR-PAGE",
        help="files, folders, ids of shipped rules, queries",
    )
    parser.add_argument(
        "--as",
        dest="languages",
        action="append",
        default=[],
        choices=languages(),
        metavar="LANGUAGE",
        help="the language of what is no rule file, or, given twice, of the first and the second: "
        f"{', '.join(languages())}",
    )
    parser.add_argument(
        "--pages", action="store_true", help="read two files as pages of analytics, too"
    )
    parser.add_argument(
        "--backend",
        default="",
        metavar="NAME",
        help="compare Sigma rules with the queries of this backend of pySigma: splunk, esql, …",
    )
    parser.add_argument(
        "--pipeline",
        dest="pipelines",
        action="append",
        default=[],
        metavar="NAME",
        help="a processing pipeline of pySigma that the backend uses; may be repeated",
    )
    parser.add_argument(
        "--any-case",
        action="store_true",
        help="with --backend: take fields to be indexed so that case makes no difference",
    )
    parser.add_argument(
        "-f", "--format", choices=["text", "json"], default="text", help="default: text"
    )
    parser.add_argument("-q", "--quiet", action="store_true", help="no notes and no warnings")


def settings(values: argparse.Namespace) -> VerifySettings:
    """What the command line asks for. Raises `UsageError`."""
    if values.languages and len(values.rules) != 2:
        raise UsageError("carengine verify: --as is for two rules or queries")
    if not values.backend and (values.pipelines or values.any_case):
        raise UsageError("carengine verify: --pipeline and --any-case go with --backend")
    return VerifySettings(
        tuple(values.rules),
        values.format,
        values.quiet,
        tuple(values.languages),
        values.pages,
        values.backend,
        tuple(values.pipelines),
        values.any_case,
    )


def run(settings: VerifySettings, screen: Screen) -> int:
    """Verify. The exit status."""
    if settings.backend:
        return _conversions(settings, screen)
    two = len(settings.paths) == 2 and not settings.pages
    folders = [path for path in settings.paths if Path(path).is_dir()]
    if two and not (folders and any(map(_has_pages, settings.paths))):
        return _two(settings, screen)
    return _pages(settings, screen)


def _has_pages(path: str) -> bool:
    """Whether a file or a folder has an analytic with several implementations."""
    if not Path(path).exists():
        return False
    try:
        return any(len(implementations(found)) > 1 for found in load_analytics(path))
    except CarError:
        return False


# Two rules, and rules and what a converter writes


def _two(settings: VerifySettings, screen: Screen) -> int:
    first, second = (
        _subjects(text, place, settings, screen) for place, text in enumerate(settings.paths)
    )
    for text, found in zip(settings.paths, (first, second), strict=True):
        if not found and Path(text).exists():
            screen.say(f"no rule that can be used is in {text}")
    if not first or not second:
        return status.USAGE
    common = {one.rule.id for one in first} & {other.rule.id for other in second}
    pairs = [
        (one, other)
        for one in first
        for other in second
        if not common or len(first) == len(second) == 1 or one.rule.id == other.rule.id
    ]
    if len(pairs) > _MOST_PAIRS:
        screen.say(f"only the first {_MOST_PAIRS:,} of {len(pairs):,} pairs are compared")
    relations = [compare_subjects(one, other) for one, other in pairs[:_MOST_PAIRS]]
    return _tell(relations, settings, screen)


_MOST_PAIRS = 400


def _subjects(
    text: str, place: int, settings: VerifySettings, screen: Screen
) -> tuple[Subject, ...]:
    """What an argument stands for: the rules of a file, a shipped rule, or a query."""
    path = Path(text)
    language = ""
    shipped = None if path.exists() else load_rules(shipped_rules()).get(text)
    if len(settings.languages) > 1:
        language = settings.languages[place]
    elif settings.languages and shipped is None:
        known = path.is_file() and path.suffix in ENDINGS
        language = "" if known else settings.languages[0]
    if language:
        try:
            code = bounded_text(path, "utf-8-sig") if path.is_file() else text
        except (OSError, ValueError) as error:
            raise UsageError(f"carengine verify: {text}: {error}") from None
        name = text if path.is_file() else f"<{'first' if place == 0 else 'second'}>"
        subjects, said = subjects_of_text(code, language, name)
    elif shipped is not None:
        return (subject_of(shipped),)
    elif not path.exists():
        raise UsageError(
            f"carengine verify: there is no file and no shipped rule {text}; a query needs --as"
        )
    else:
        rules = load_rules(path)
        subjects = tuple(map(subject_of, rules))
        said = tuple(one for refused in rules.refused for one in refused.diagnostics)
    errors = [one for one in said if one.severity is Severity.ERROR or not settings.quiet]
    screen.report(errors)
    return subjects


def _conversions(settings: VerifySettings, screen: Screen) -> int:
    made_by = backend(settings.backend, settings.pipelines)
    rules = load_rules(*settings.paths)
    refused = report_refused(rules, screen)
    if not len(rules):
        return status.USAGE
    relations = []
    for made in check_conversions(rules, made_by, any_case=settings.any_case):
        relations.append(made.relation)
        if settings.format == "text" and made.relation.verdict is not Verdict.SAME:
            screen.show_text("", f"{made.rule.id}: {made.rule.title}")
            if made.query:
                screen.show_text("  ", " ".join(made.query.split()))
            _show_relation(made.relation, screen)
    left = len(rules) - len(relations)
    if left:
        screen.say(f"{counted(left, 'rule')} of other languages than Sigma are not converted")
    state = _tell(relations, settings, screen, shown=True)
    return status.gravest(state, status.UNREADABLE if refused else status.DONE)


def _tell(
    relations: list[RuleRelation], settings: VerifySettings, screen: Screen, *, shown: bool = False
) -> int:
    """Show how rules compare; the exit status."""
    if settings.format == "json":
        screen.show_lines(json_document({"pairs": [one.as_json() for one in relations]}))
    elif not shown:
        for one in relations:
            _show_relation(one, screen)
    counts = Counter(one.verdict for one in relations)
    told = ", ".join(
        f"{counts[verdict]:,} {verdict.value}" for verdict in Verdict if counts[verdict]
    )
    screen.say(f"{counted(len(relations), 'pair')}: {told or 'none'}")
    if set(counts) - {Verdict.SAME, Verdict.UNDECIDED}:
        return status.FINDINGS
    return status.UNREADABLE if counts[Verdict.UNDECIDED] else status.DONE


def _show_relation(one: RuleRelation, screen: Screen) -> None:
    first, second = one.first, one.second
    if first == second:
        first, second = f"the first {first}", f"the second {second}"
    screen.show_text("", f"{first} and {second}: {one.verdict.value}")
    names = {"a": f"only {first} finds", "b": f"only {second} finds", "both": "both find"}
    for witness in one.witnesses:
        events = " and ".join(json_line(dict(event)).decode() for event in witness.events)
        shape = witness.logsource or witness.fieldmap
        screen.show_text("", f"  {names[witness.finder]} {events} ({shape})")
        if witness.demanded:
            screen.show_text("", f"    the other demands {witness.demanded}")
    for text in one.reasons:
        screen.show_text("", f"  not decided: {text}")
    for text in one.assumptions:
        screen.show_text("", f"  taken for granted: {text}")


# Analytics


def _pages(settings: VerifySettings, screen: Screen) -> int:
    reports = []
    broken = False
    for analytic in load_analytics(*settings.paths):
        try:
            reports.append(verify_analytic(analytic))
        except Exception as error:
            screen.report([fault(f"the comparison of {analytic.id}", error)])
            broken = True
    if settings.format == "json":
        screen.show_lines(json_document([_as_data(report) for report in reports]))
    else:
        for report in reports:
            _show(report, screen, quiet=settings.quiet)
    pairs = [pair.equivalent for report in reports for pair in report.pairs]
    screen.say(
        f"{len(reports):,} analytics, {sum(len(r.implementations) for r in reports):,} implementations, "
        f"{len(pairs):,} pairs: {pairs.count(True):,} same, {pairs.count(False):,} differ, "
        f"{pairs.count(None):,} not decided"
    )
    if broken:
        return status.FAULT
    if any(report.misses for report in reports) or False in pairs:
        return status.FINDINGS
    read = [item.program is not None for report in reports for item in report.implementations]
    if True not in read:
        return status.USAGE
    return status.DONE if all(read) and None not in pairs else status.UNREADABLE


def _show(report: Report, screen: Screen, *, quiet: bool) -> None:
    screen.show_text("", f"{report.analytic.id}: {report.analytic.title}")
    for number, item in enumerate(report.implementations, 1):
        screen.show_text("", f"  {number}. {item.title}: {_state(item)}")
        for example, found in zip(report.examples, item.found, strict=True):
            if found is False:
                text = f"     {codes.MISSES_POSITIVE.id} does not find {example.name}"
                screen.show_text("", text)
        for said in item.diagnostics:
            if not quiet or said.severity is Severity.ERROR:
                screen.show_text("", f"     {_said(said)}")
    for pair in report.pairs:
        a, b = pair.first + 1, pair.second + 1
        comparison = pair.comparison
        logs = ", ".join(pair.logs)
        match comparison.equivalent:
            case False | None if pair.equivalent:
                screen.show(f"  {a} and {b} find the same events of {logs} (proved); elsewhere:")
            case True:
                screen.show(f"  {a} and {b} find the same events (proved)")
            case None if comparison.lost:
                screen.show_text("", f"  {a} and {b}: not decided; not in what was compared:")
                for text in comparison.lost:
                    screen.show_text("", f"    {text}")
            case None if not comparison.compared:
                screen.show(
                    f"  {a} and {b}: one looks at several events at a time; {comparison.lists} small lists of events"
                    " show no difference, which proves nothing"
                )
            case None:
                screen.show(f"  {a} and {b}: no difference found, and no proof that there is none")
            case False:
                screen.show(f"  {a} and {b} differ")
        if pair.equivalent:
            proof = comparison if comparison.equivalent else pair.on_logs
            for text in proof.assumptions if proof is not None else ():
                screen.show_text("", f"    taken for granted: {text}")
        elif pair.on_logs is not None:
            for text in pair.on_logs.lost:
                screen.show_text("", f"    {text}")
        _show_direction(a, b, comparison.only_first, screen)
        _show_direction(b, a, comparison.only_second, screen)
    screen.show()


def _state(item: Candidate) -> str:
    if item.program is None:
        return "not read"
    if not item.found:
        return "read; there is no true positive to run it on"
    return f"finds {item.found.count(True)} of {len(item.found)} true positives"


def _show_direction(finder: int, other: int, direction: Direction, screen: Screen) -> None:
    for item in direction.differences:
        event = json_line(dict(item.event)).decode()
        screen.show_text("", f"    {finder} finds, {other} does not: {event}")
        if item.found_by is not None:
            screen.show_text("", f"      {finder} by {_place(item.found_by)}")
        if item.among:
            events = json_line([dict(event) for event in item.among]).decode()
            screen.show_text("", f"      among {events}")
            if item.span is not None:
                screen.show_text("", f"      {other} demands {_place(item.span)}")
        elif item.condition is None:
            kinds = ", ".join(map(str, item.kinds))
            screen.show_text("", f"      {other} does not look at {kinds}")
        elif item.span is not None:
            screen.show_text("", f"      {other} demands {_place(item.span)}")
    if direction.undecided:
        kinds = ", ".join(map(str, direction.undecided))
        screen.show_text("", f"    not decided what {finder} finds and {other} does not: {kinds}")


def _place(span: Span) -> str:
    text = " ".join(span.text.split())
    if len(text) > _LONGEST:
        text = text[: _LONGEST - 1] + "…"
    return f"{text} (line {span.line}, column {span.column})"


def _said(item: Diagnostic) -> str:
    where = "" if item.span is None else f" (line {item.span.line}, column {item.span.column})"
    return f"{item.code.id} {item.message}{where}"


def _as_data(report: Report) -> dict[str, Any]:
    return {
        "id": report.analytic.id,
        "title": report.analytic.title,
        "equivalent": report.equivalent,
        "implementations": [
            {
                "title": item.title,
                "language": item.language or None,
                "read": item.program is not None,
                "finds": dict(zip((e.name for e in report.examples), item.found, strict=True)),
                "diagnostics": [as_json(said) for said in item.diagnostics],
            }
            for item in report.implementations
        ],
        "findings": [as_json(item) for item in findings(report)],
        "pairs": [
            {
                "first": pair.first + 1,
                "second": pair.second + 1,
                "equivalent": pair.comparison.equivalent,
                "compared": pair.comparison.compared,
                "lists": pair.comparison.lists,
                "assumptions": list((pair.on_logs or pair.comparison).assumptions),
                "lost": list(pair.comparison.lost),
                "logs": list(pair.logs),
                "equivalent_on_logs": pair.on_logs.equivalent if pair.on_logs else None,
                "only_first": _direction_data(pair.comparison.only_first),
                "only_second": _direction_data(pair.comparison.only_second),
            }
            for pair in report.pairs
        ],
    }


def _direction_data(direction: Direction) -> dict[str, Any]:
    return {
        "differences": [_difference_data(item) for item in direction.differences],
        "undecided": [str(kind) for kind in direction.undecided],
    }


def _difference_data(item: RuleDifference) -> dict[str, Any]:
    return {
        "kinds": [str(kind) for kind in item.kinds],
        "event": dict(item.event),
        "among": [dict(event) for event in item.among],
        "demanded": None if item.span is None else _span_data(item.span),
        "found_by": None if item.found_by is None else _span_data(item.found_by),
    }


def _span_data(span: Span) -> dict[str, Any]:
    return {
        "file": span.source.name,
        "line": span.line,
        "column": span.column,
        "text": span.text,
    }
