"""``carengine map``: a field map for one's own log, drafted and checked."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

from attrs import frozen

from ..diagnostics import counted, visible
from ..engine.report import MapCoverage
from ..fieldmap import (
    NamedLogSource,
    ObservedLog,
    draft_map,
    find_maps,
    installed_maps,
    map_name,
    parse_map,
)
from ..filewrite import replacing
from . import UsageError, status
from .encode import json_document
from .evidence import input_status, open_events, progress, report_input, same_place
from .options import EvidenceSettings, add_events_argument, evidence_settings, output_path
from .screen import Screen
from .table import Table, cell, draw

_EXAMPLES = """\
examples:
  carengine map new app.jsonl -o app.yaml                       a field map to begin with
  carengine map new app.jsonl --logsource acme/till -o app.yaml  for Sigma's rules for acme/till
  carengine map check app.yaml app.jsonl                        what it gives, and what it misses

exit status: 0 done, 2 the map or the command is not right, 3 something could not be read (the rest was), 130 interrupted.
"""
_TICK = 1023
_MOST_LISTED = 40


@frozen
class FieldMapSettings:
    """What ``map`` was asked for. ``check`` is the map to check; None to draft one, which goes to
    ``output``."""

    evidence: EvidenceSettings
    check: str | None = None
    output: str | None = None
    name: str | None = None
    source: str = ""
    format: str = "table"
    quiet: bool = False


def arguments(parser: argparse.ArgumentParser) -> None:
    """What ``map`` takes."""
    parser.epilog = _EXAMPLES
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    new = actions.add_parser("new", help="write a commented field map for logs")
    add_events_argument(new)
    new.add_argument("-o", "--output", metavar="FILE", help="write the map to a file")
    new.add_argument("--name", metavar="NAME", help="what the map is called")
    new.add_argument(
        "--logsource", metavar="SOURCE", help="what rules call these logs: product/service"
    )
    check = actions.add_parser("check", help="say what a field map gives and misses in logs")
    check.add_argument("map", metavar="MAP", help="a field map: a name or a YAML file")
    add_events_argument(check)
    check.add_argument(
        "-f", "--format", choices=["table", "json"], default="table", help="default: table"
    )
    for one in (new, check):
        one.add_argument("-q", "--quiet", action="store_true", help="no progress")


def settings(values: argparse.Namespace) -> FieldMapSettings:
    """What the command line asks for. Raises `UsageError`, and `CarError` for a text that is no log
    source."""
    evidence = evidence_settings(values)
    if values.action == "check":
        return FieldMapSettings(
            evidence, check=values.map, format=values.format, quiet=values.quiet
        )
    source = ""
    if values.logsource:
        named = NamedLogSource.parse(values.logsource)
        if "*" in (named.product, named.name):
            raise UsageError("carengine map: --logsource wants product/service or product/category")
        source = f"{named.product}/{named.name}"
    output = output_path(values.output)
    clash = output and same_place(output, evidence.paths)
    if clash:
        raise UsageError(f"carengine map: -o {output} would write into {clash}")
    return FieldMapSettings(evidence, None, output, values.name, source, quiet=values.quiet)


def run(settings: FieldMapSettings, screen: Screen) -> int:
    """Draft or check. The exit status."""
    return _new(settings, screen) if settings.check is None else _check(settings, screen)


def _new(settings: FieldMapSettings, screen: Screen) -> int:
    log = ObservedLog()
    code = _read(settings, screen, log.add)
    if not log.events:
        screen.say("no event was read, so there is nothing to write a map from")
        return code
    taken = {one.family for one in installed_maps()}
    wanted = settings.name or Path(settings.output or settings.evidence.paths[0]).name
    name = map_name(wanted, taken)
    text = draft_map(log, name, settings.source)
    parse_map(text, name)
    if settings.output is None:
        screen.show_lines(text.rstrip("\n"))
    else:
        try:
            with replacing(settings.output, "utf-8") as file:
                file.write(text)
        except OSError as error:
            raise UsageError(
                f"carengine map: cannot write {settings.output}: {error.strerror}"
            ) from None
        shown = os.path.relpath(settings.output)
        screen.say(
            f"{visible(shown)}: a map for {counted(log.events, 'event')} with "
            f"{counted(len(log.fields), 'field')}; next: carengine hunt LOGS -r RULES -m {shown}"
        )
    return code


def _check(settings: FieldMapSettings, screen: Screen) -> int:
    assert settings.check is not None
    maps = find_maps(settings.check)
    coverage = MapCoverage(maps)
    code = _read(settings, screen, coverage.add)
    if settings.format == "json":
        screen.show_lines(json_document(coverage.as_json()))
        return code
    known = coverage.recognised
    screen.show(
        f"{counted(coverage.events, 'event')}: {known:,} recognised ({_percent(known, coverage.events)})"
    )
    for kind, number, fields in coverage.kinds():
        rows = [(name, f"{there:,}", _percent(there, number)) for name, there in fields]
        title = f"{cell(kind)}  {counted(number, 'event')}"
        draw(Table(title, ("field", "events", "filled"), rows), screen)
        never = [name for name, there in fields if not there]
        if never and number:
            screen.show(f"  never: {', '.join(never)}")
    _list(screen, "kinds of the map that no event is", coverage.absent())
    _list(screen, "raw fields that the map does not use", coverage.unused())
    return code


def _percent(part: int, whole: int) -> str:
    return f"{100 * part // whole} %" if whole else "-"


def _list(screen: Screen, title: str, names: list[str]) -> None:
    if names:
        more = f" and {len(names) - _MOST_LISTED:,} more" if len(names) > _MOST_LISTED else ""
        screen.show(f"{title}: {visible(', '.join(names[:_MOST_LISTED]))}{more}")


def _read(settings: FieldMapSettings, screen: Screen, add: Any) -> int:
    """Read the evidence. The exit status of that."""
    interrupted = False
    with open_events(settings.evidence) as reading:
        try:
            with progress(reading, settings.evidence.paths, screen) as tick:
                for number, record in enumerate(reading):
                    add(record.event)
                    if not (number & _TICK or settings.quiet):
                        tick()
        except KeyboardInterrupt:
            interrupted = True
        report_input(reading, screen, quiet=settings.quiet)
        return status.gravest(
            status.INTERRUPTED if interrupted else status.DONE,
            input_status(reading, settings.evidence.paths),
        )
