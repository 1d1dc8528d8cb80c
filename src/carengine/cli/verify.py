"""``carengine verify``: whether the implementations of an analytic agree."""

from __future__ import annotations

import argparse
from typing import Any

from attrs import frozen

from ..diagnostics import Diagnostic, Severity, Span, as_json, codes, fault
from ..verify import (
    Candidate,
    Direction,
    Report,
    RuleDifference,
    findings,
    load_analytics,
    verify_analytic,
)
from . import status
from .encode import json_document, json_line
from .screen import Screen

_EXAMPLES = """\
examples:
  carengine verify CAR-2019-08-001.md       every implementation of a page, run and compared
  carengine verify car/analytics -f json    all analytics of a folder, for other programs

Each implementation is run on the analytic's true positives, and compared with each other one: "same" is proved by
reasoning, "differ" is shown by an event, written in CAR's names, that one finds and the other does not.

exit status: 0 all agree, 1 some differ or miss a true positive, 2 nothing could be read, 3 no difference was found, but not
all implementations could be read and compared to the end.
"""

_LONGEST = 72


@frozen
class VerifySettings:
    """What ``verify`` was asked for."""

    paths: tuple[str, ...]
    format: str = "text"
    quiet: bool = False


def arguments(parser: argparse.ArgumentParser) -> None:
    """What ``verify`` takes."""
    parser.epilog = _EXAMPLES
    parser.add_argument("analytics", nargs="+", metavar="PAGE-OR-YAML", help="files or folders")
    parser.add_argument(
        "-f", "--format", choices=["text", "json"], default="text", help="default: text"
    )
    parser.add_argument("-q", "--quiet", action="store_true", help="no notes and no warnings")


def settings(values: argparse.Namespace) -> VerifySettings:
    """What the command line asks for."""
    return VerifySettings(tuple(values.analytics), values.format, values.quiet)


def run(settings: VerifySettings, screen: Screen) -> int:
    """Verify. The exit status."""
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
