"""``carengine normalize``: events in CAR's names, for other tools.

One JSON line, or one row of a Parquet file, for each CAR event that a record is (a record can be
several, or none)::

    {"object": "process", "action": "create", "time": "2024-05-01T10:00:00.000Z", "image_path": …,
     "origin": {"source": "x.zip!y.evtx", "record": 17}}

It is the shape of the field map `car`, so that what is written can be hunted through again. In
Parquet every CAR field is a column of texts, ``time`` a timestamp, ``proto_info`` a map.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from typing import Any, BinaryIO, Protocol

from attrs import define, field, frozen

from ..datamodel import model
from ..diagnostics import counted
from ..engine import Engine
from ..engine.report import UnrecognisedShapes
from ..fieldmap import unwrap, view
from ..filewrite import opened_to_write
from ..readers import Reading
from ..values import text_of, time_of
from . import UsageError, status
from .encode import json_line, safe_for_terminal
from .evidence import input_status, open_events, progress, report_input, same_place
from .options import (
    EvidenceSettings,
    MapNames,
    add_events_argument,
    add_map_option,
    evidence_settings,
    map_choice,
    map_names,
    output_path,
)
from .screen import Screen

_EXAMPLES = """\
examples:
  carengine normalize logs/ -o events.jsonl         everything in a folder, as CAR events
  carengine normalize dc1.evtx -m sysmon            through one field map only
  carengine normalize logs/ -o events.parquet       a table for pandas, DuckDB, Spark (needs pyarrow)

exit status: 0 done, 2 the command is not right, 3 evidence could not be read (the rest was), 130 interrupted
"""
_TICK = 1023
_ROWS = 4096


@frozen
class NormalizeSettings:
    """What ``normalize`` was asked for. ``format`` is ``jsonl`` or ``parquet``; ``output`` is None
    for standard output."""

    evidence: EvidenceSettings
    format: str
    maps: MapNames = ()
    output: str | None = None
    quiet: bool = False


def arguments(parser: argparse.ArgumentParser) -> None:
    """What ``normalize`` takes."""
    parser.epilog = _EXAMPLES
    add_events_argument(parser)
    add_map_option(parser)
    parser.add_argument(
        "-f",
        "--format",
        choices=["jsonl", "parquet"],
        help="default: parquet for a file of that name, JSON lines otherwise",
    )
    parser.add_argument("-o", "--output", metavar="FILE", help="write to a file")
    parser.add_argument(
        "-q", "--quiet", action="store_true", help="say errors and the account only"
    )


class _EventWriter(Protocol):
    def write(self, event: dict[str, Any]) -> None:
        """Take one CAR event."""

    def finish(self) -> None:
        """Write what was kept."""


@define
class _NormalizedCounts:
    """What became of the records that were read."""

    looked: int = 0
    unrecognised: int = 0
    without_kind: int = 0
    kinds: Counter[str] = field(factory=Counter)
    unknown: UnrecognisedShapes = field(factory=UnrecognisedShapes)


def settings(values: argparse.Namespace) -> NormalizeSettings:
    """What the command line asks for. Raises `UsageError`."""
    output = output_path(values.output)
    if output is not None and (clash := same_place(output, values.events)):
        raise UsageError(f"carengine normalize: -o {output} would write into {clash}")
    chosen = values.format
    if chosen is None:
        named_so = output is not None and output.lower().endswith(".parquet")
        chosen = "parquet" if named_so else "jsonl"
    if chosen == "parquet" and output is None:
        raise UsageError("carengine normalize: Parquet goes to a file: -o FILE")
    evidence, maps = evidence_settings(values), map_names(values)
    return NormalizeSettings(evidence, chosen, maps, output, values.quiet)


def run(settings: NormalizeSettings, screen: Screen) -> int:
    """Normalise. The exit status."""
    engine = Engine((), map_choice(settings.maps))
    output = settings.output
    try:
        target = opened_to_write(output) if output else None
    except OSError as error:
        raise UsageError(f"carengine normalize: cannot write {output}: {error.strerror}") from None
    with target or nullcontext():
        writer: _EventWriter
        if settings.format == "parquet":
            assert target is not None
            writer = _parquet(target)
        elif target is not None:
            writer = _JsonEventWriter(target.write)
        elif screen.out_terminal:
            writer = _JsonEventWriter(
                lambda line: screen.write_bytes(safe_for_terminal(line[:-1]) + b"\n")
            )
        else:
            writer = _JsonEventWriter(screen.write_bytes)
        return _normalize(settings, screen, engine, writer)


def _normalize(
    settings: NormalizeSettings, screen: Screen, engine: Engine, writer: _EventWriter
) -> int:
    account = _NormalizedCounts()
    interrupted = False
    with open_events(settings.evidence) as reading:
        try:
            silent = settings.quiet or (settings.output is None and screen.out_terminal)
            watching = (
                nullcontext(_nothing)
                if silent
                else progress(reading, settings.evidence.paths, screen)
            )
            with watching as tick:
                for record in reading:
                    for event in _events(engine, record.event, account):
                        event["origin"] = {"source": record.source, "record": record.number}
                        writer.write(event)
                    if not account.looked & _TICK:
                        tick()
        except KeyboardInterrupt:
            interrupted = True
        writer.finish()
        screen.flush()
        report_input(reading, screen, quiet=settings.quiet)
        _report(account, reading, screen, quiet=settings.quiet)
        return status.gravest(
            status.INTERRUPTED if interrupted else status.DONE,
            input_status(reading, settings.evidence.paths),
        )


def _nothing() -> None:
    pass


def _events(
    engine: Engine, event: Mapping[str, Any], account: _NormalizedCounts
) -> list[dict[str, Any]]:
    """The CAR events that a record is, as plain data."""
    inner = unwrap(event)
    classified = engine.classify(inner)
    maps = classified.maps
    # Kinds that only a log source of Sigma's asks for hold a record's raw fields: written, they
    # would be read back as raw records once more.
    classes = [found for found in classified.classes if found.entry.kind.object in model().objects]
    account.looked += 1
    if not maps:
        account.unrecognised += 1
        account.unknown.add(event)
    elif not classes:
        account.without_kind += 1
    made = []
    for found in classes:
        account.kinds[str(found.entry.kind)] += 1
        made.append(view(event, inner, found.entry).as_json())
    return made


def _report(account: _NormalizedCounts, reading: Reading, screen: Screen, *, quiet: bool) -> None:
    if account.kinds and not quiet:
        ranked = sorted(account.kinds.items(), key=lambda item: (-item[1], item[0]))
        screen.say("written: " + ", ".join(f"{kind} {number:,}" for kind, number in ranked))
    if account.unknown.counts and not quiet:
        screen.say(f"not recognised: {counted(account.unrecognised, 'record')}, the commonest")
        for line in account.unknown.lines():
            screen.say(f"  {line}")
    shaped = account.looked - account.unrecognised
    screen.say(
        f"{counted(account.looked + reading.unreadable, 'record')} = {shaped:,} recognised "
        f"({account.without_kind:,} of no CAR kind) + {account.unrecognised:,} not recognised "
        f"+ {reading.unreadable:,} unreadable; {counted(account.kinds.total(), 'CAR event')} written"
    )


@define
class _JsonEventWriter:
    put: Callable[[bytes], object]

    def write(self, event: dict[str, Any]) -> None:
        self.put(json_line(event) + b"\n")

    def finish(self) -> None:
        pass


def _parquet(target: BinaryIO) -> _EventWriter:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise UsageError(
            "carengine normalize: writing Parquet needs pyarrow: pip install 'carengine[parquet]'"
        ) from None
    names = dict.fromkeys(
        name for spec in model().objects.values() for name in spec.fields if "." not in name
    )
    kept = ("object", "action", "time", "proto_info", "source", "record")
    columns = [pa.field("object", pa.string(), False), pa.field("action", pa.string(), False)]
    columns.append(pa.field("time", pa.timestamp("us", tz="UTC")))
    columns += [pa.field(name, pa.string()) for name in names if name not in kept]
    columns.append(pa.field("proto_info", pa.map_(pa.string(), pa.string())))
    origin = [pa.field("source", pa.string()), pa.field("record", pa.int64())]
    columns.append(pa.field("origin", pa.struct(origin)))
    schema = pa.schema(columns)
    return _ParquetEventWriter(pq.ParquetWriter(target, schema, compression="zstd"), pa, schema)


@define
class _ParquetEventWriter:
    writer: Any
    pa: Any
    schema: Any
    rows: list[dict[str, Any]] = field(factory=list)

    def write(self, event: dict[str, Any]) -> None:
        row: dict[str, Any] = {}
        for name, value in event.items():
            match name:
                case "time":
                    row[name] = time_of(value)
                case "proto_info" if isinstance(value, Mapping):
                    row[name] = [(_safe(str(k)), _text(v)) for k, v in value.items()]
                case "proto_info" | "origin":
                    row[name] = value if name == "origin" else None
                case _:
                    row[name] = _text(value)
        self.rows.append(row)
        if len(self.rows) >= _ROWS:
            self._flush()

    def _flush(self) -> None:
        if self.rows:
            self.writer.write_table(self.pa.Table.from_pylist(self.rows, schema=self.schema))
            self.rows.clear()

    def finish(self) -> None:
        self._flush()
        self.writer.close()


def _text(value: Any) -> str | None:
    if value is None:
        return None
    text = text_of(value)
    return json_line(value).decode("utf-8") if text is None else _safe(text)


def _safe(text: str) -> str:
    """The text without lone surrogates, which UTF-8 cannot hold."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
