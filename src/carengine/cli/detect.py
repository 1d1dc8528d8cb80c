"""``carengine detect``: which shapes logs have, and which CAR events are in them."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterable
from typing import Any

from attrs import define, field, frozen

from ..diagnostics import counted, visible
from ..engine import Engine
from ..engine.report import UnrecognisedShapes
from ..fieldmap import unwrap
from ..ir import EventKind
from . import status
from .encode import json_document
from .evidence import input_status, open_events, progress, report_input
from .options import (
    EvidenceSettings,
    MapNames,
    add_events_argument,
    add_map_option,
    evidence_settings,
    map_choice,
    map_names,
)
from .screen import Screen
from .table import Table, cell, draw

_EXAMPLES = """\
examples:
  carengine detect logs/              a table for each file
  carengine detect evidence.zip -f json
  carengine detect logs/ -m my.yaml   what one's own field map recognises

exit status: 0 done, 2 the command is not right, 3 something could not be read (the rest was), 130 interrupted.
"""
_TICK = 1023
_OTHERS = 5


@define
class _SourceContents:
    """What one source holds."""

    name: str
    records: int = 0
    shapes: Counter[str] = field(factory=Counter)
    kinds: Counter[tuple[str, EventKind]] = field(factory=Counter)
    without_kind: Counter[str] = field(factory=Counter)
    unrecognised: int = 0
    unknown: UnrecognisedShapes = field(factory=UnrecognisedShapes)
    # Of a known shape, and none of CAR's events: what these are.
    other: UnrecognisedShapes = field(factory=UnrecognisedShapes)
    claimants: Counter[tuple[str, ...]] = field(factory=Counter)


@frozen
class DetectSettings:
    """What ``detect`` was asked for."""

    evidence: EvidenceSettings
    maps: MapNames = ()
    format: str = "table"
    quiet: bool = False


def arguments(parser: argparse.ArgumentParser) -> None:
    """What ``detect`` takes."""
    parser.epilog = _EXAMPLES
    add_events_argument(parser)
    add_map_option(parser)
    parser.add_argument(
        "-f", "--format", choices=["table", "json"], default="table", help="default: table"
    )
    parser.add_argument("-q", "--quiet", action="store_true", help="no progress")


def settings(values: argparse.Namespace) -> DetectSettings:
    """What the command line asks for."""
    evidence, maps = evidence_settings(values), map_names(values)
    return DetectSettings(evidence, maps, values.format, values.quiet)


def run(settings: DetectSettings, screen: Screen) -> int:
    """Detect. The exit status."""
    engine = Engine((), map_choice(settings.maps))
    sources: dict[str, _SourceContents] = {}
    interrupted = False
    with open_events(settings.evidence) as reading:
        try:
            with progress(reading, settings.evidence.paths, screen) as tick:
                for number, record in enumerate(reading):
                    source = sources.get(record.source)
                    if source is None:
                        source = sources[record.source] = _SourceContents(record.source)
                    _look(engine, record.event, source)
                    if not (number & _TICK or settings.quiet):
                        tick()
        except KeyboardInterrupt:
            interrupted = True
        found = sorted(sources.values(), key=lambda source: source.name)
        if settings.format == "json":
            data = {
                "sources": [_as_json(source) for source in found],
                "records": reading.records,
                "unreadable": reading.unreadable,
            }
            screen.show_lines(json_document(data))
        else:
            _show(found, screen)
        screen.flush()
        report_input(reading, screen, quiet=settings.quiet)
        looked = sum(source.records for source in found)
        unknown = sum(source.unrecognised for source in found)
        screen.say(
            f"{counted(looked + reading.unreadable, 'record')} = {looked - unknown:,} recognised + {unknown:,} not "
            f"recognised + {reading.unreadable:,} unreadable, in {counted(len(found), 'source')}"
        )
        return status.gravest(
            status.INTERRUPTED if interrupted else status.DONE,
            input_status(reading, settings.evidence.paths),
        )


def _look(engine: Engine, event: dict[str, Any], source: _SourceContents) -> None:
    source.records += 1
    classified = engine.classify(unwrap(event))
    shapes, classes = classified.maps, classified.classes
    if not shapes:
        source.unrecognised += 1
        source.unknown.add(event)
        return
    source.shapes.update(shape.name for shape in shapes)
    if len(shapes) > 1:
        source.claimants[tuple(shape.name for shape in shapes)] += 1
    if not classes:
        source.other.add(event, detailed=True)
        source.without_kind.update(shape.name for shape in shapes)
    for event_class in classes:
        source.kinds[event_class.fieldmap.name, event_class.entry.kind] += 1


def _as_json(source: _SourceContents) -> dict[str, Any]:
    return {
        "source": source.name,
        "records": source.records,
        "shapes": [
            {
                "fieldmap": shape,
                "records": number,
                "without_car_event": source.without_kind[shape],
                "kinds": [
                    {"object": kind.object, "action": kind.action, "events": events}
                    for kind, events in _kinds(source, shape)
                ],
            }
            for shape, number in _ranked(source.shapes)
        ],
        "without_car_event": [
            {"mark": look.mark, "records": number} for look, number in source.other.commonest(50)
        ],
        "claimed_by_several_maps": [
            {"fieldmaps": list(names), "records": number}
            for names, number in sorted(source.claimants.items())
        ],
        "unrecognised": {
            "records": source.unrecognised,
            "commonest": [
                {"mark": look.mark, "keys": list(look.keys), "records": number}
                for look, number in source.unknown.commonest(5)
            ],
        },
    }


def _ranked(counts: Counter[str]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


def _kinds(source: _SourceContents, shape: str) -> list[tuple[EventKind, int]]:
    counts = {kind: number for (name, kind), number in source.kinds.items() if name == shape}
    return sorted(counts.items(), key=lambda item: (-item[1], str(item[0])))


def _show(found: Iterable[_SourceContents], screen: Screen) -> None:
    for number, source in enumerate(found):
        if number:
            screen.show()
        rows = []
        for shape, records in _ranked(source.shapes):
            kinds = _kinds(source, shape)
            rows += [(shape, str(kind), f"{events:,}") for kind, events in kinds]
            if source.without_kind[shape]:
                rows.append((shape, "(no CAR event)", f"{source.without_kind[shape]:,}"))
            elif not kinds:
                rows.append((shape, "", f"{records:,}"))
        if source.unrecognised:
            rows.append(("(not recognised)", "", f"{source.unrecognised:,}"))
        title = f"{cell(source.name)}  {counted(source.records, 'record')}"
        draw(Table(title, ("map", "CAR event", "events"), rows), screen)
        others = source.other.commonest(_OTHERS)
        if others:
            screen.show("  commonest without a CAR event:")
            for look, number in others:
                keys = visible(", ".join(look.keys))
                screen.show(f"    {number:,} with {visible(look.mark) or f'the keys {keys}'}")
        for names, number in sorted(source.claimants.items()):
            screen.show(f"  {number:,} recognised by several maps: {' and '.join(names)}")
        if source.unrecognised:
            screen.show("  what is not recognised:")
            for line in source.unknown.lines():
                screen.show(f"    {line}")
