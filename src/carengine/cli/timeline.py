"""``carengine timeline``: events in the order of time, in CAR's names.

All recognised events of some logs, or those around a record, a point in time or the matches of
rules. What is chosen is sorted on disk, so that memory does not grow with the log; evidence is read
once more where it must be known first what the timeline is about.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from typing import Any

from attrs import define, field, frozen

from ..diagnostics import counted, visible
from ..engine import Match
from ..filewrite import opened_to_write
from ..matches import TimeSorter
from ..readers import Reading
from ..report import ProcessStore, collect_processes, host_name, identity_of
from ..runner import Run
from ..timeline import ProcessTree, TimelineAnchor, TimelineEvent, TimelineReader, TimelineWindow
from ..tuning import time_of_option
from ..values import format_time
from . import UsageError, status
from .csv_rows import csv_line
from .encode import json_line, safe_for_terminal
from .evidence import input_status, open_events, progress, report_input, same_place
from .options import (
    EvidenceSettings,
    MapNames,
    RuleSettings,
    add_events_argument,
    add_input_option,
    add_map_option,
    add_rules_option,
    evidence_settings,
    map_choice,
    map_names,
    output_path,
    rule_settings,
)
from .rules import engine_of, load, report_refused
from .screen import Screen

_EXAMPLES = """\
examples:
  carengine timeline logs/ -f csv -o timeline.csv              everything that is recognised, in order
  carengine timeline logs/ --around 2024-05-01T10:02:00Z       five minutes before and after
  carengine timeline logs/ --around logs/a.evtx:4711 --tree    what the process of a record, its parents and
                                                               children did
  carengine timeline logs/ -r my-rules/ --minutes 2            what happened around each match, on its host

exit status: 0 done, 2 a rule was refused or the command is not right, 3 evidence could not be read (the
rest was), 130 interrupted
"""
TIMELINE_EVENT_COLUMNS = (
    "time",
    "host",
    "user",
    "object",
    "action",
    "pid",
    "details",
    "matched",
    "source",
    "record",
)
"""The columns of ``timeline -f csv``."""

_TICK = 1023
_DAY = 10
_KIND = 19
_NARROW = 100
"""Columns of a terminal below which details have a line of their own."""


@frozen
class TimelineSettings:
    """What ``timeline`` was asked for. ``around`` is a point in time or a record, as it was
    written; ``rules`` is None where none were asked for."""

    evidence: EvidenceSettings
    rules: RuleSettings | None
    format: str = "text"
    maps: MapNames = ()
    around: str | None = None
    minutes: float = 5.0
    host: str = ""
    tree: bool = False
    output: str | None = None
    full: bool = False
    quiet: bool = False


def arguments(parser: argparse.ArgumentParser) -> None:
    """What ``timeline`` takes."""
    parser.epilog = _EXAMPLES
    add_events_argument(parser)
    parser.add_argument(
        "--around",
        metavar="RECORD|TIME",
        help="only what is near a record (FILE:NUMBER, as matches name it) or a point in time",
    )
    parser.add_argument(
        "--minutes",
        type=float,
        default=5.0,
        metavar="N",
        help="how many minutes before and after still are near (default: 5)",
    )
    parser.add_argument("--host", metavar="NAME", help="only what happened on one host")
    parser.add_argument(
        "--tree",
        action="store_true",
        help="only what the processes did that the record's (or the matches') come from or started",
    )
    add_rules_option(
        parser, "only what is near the matches of rules, on the hosts of these; may be repeated"
    )
    add_map_option(parser)
    add_input_option(parser)
    parser.add_argument(
        "-f", "--format", choices=["text", "csv", "jsonl"], default="text", help="default: text"
    )
    parser.add_argument("-o", "--output", metavar="FILE", help="write to a file")
    parser.add_argument("--full", action="store_true", help="cut no line of text at the screen")
    parser.add_argument(
        "-q", "--quiet", action="store_true", help="say errors and the account only"
    )


def settings(values: argparse.Namespace) -> TimelineSettings:
    """What the command line asks for. Raises `UsageError`."""
    output = output_path(values.output)
    if output is not None and (clash := same_place(output, values.events)):
        raise UsageError(f"carengine timeline: -o {output} would write into {clash}")
    evidence = evidence_settings(values)
    rules = rule_settings(values) if values.rules else None
    if not 0 <= values.minutes < 10_000_000:
        raise UsageError("carengine timeline: --minutes takes a number that is not negative")
    twice = rules is not None or values.tree or _record_of(values.around) is not None
    if twice and "-" in evidence.paths:
        raise UsageError(
            "carengine timeline: standard input can be read once only; name a file for --around "
            "RECORD, --tree and -r"
        )
    if values.tree and rules is None and _record_of(values.around) is None:
        raise UsageError("carengine timeline: --tree is about a record (--around) or matches (-r)")
    if rules is not None and values.around is not None:
        raise UsageError("carengine timeline: either --around or -r says what is near")
    return TimelineSettings(
        evidence,
        rules,
        values.format,
        map_names(values),
        values.around,
        values.minutes,
        host_name(values.host or ""),
        values.tree,
        output,
        values.full,
        values.quiet,
    )


def run(settings: TimelineSettings, screen: Screen) -> int:
    """Write the timeline. The exit status."""
    target = None
    if settings.output is not None:
        try:
            target = opened_to_write(settings.output)
        except OSError as error:
            message = f"carengine timeline: cannot write {settings.output}: {error.strerror}"
            raise UsageError(message) from None
    with target or nullcontext():
        put: Callable[[bytes], object] = screen.write_bytes if target is None else target.write
        return _run(settings, screen, put)


@define
class _TimelineSubject:
    """What the timeline is about, and which records matched which rules."""

    anchors: list[TimelineAnchor] = field(factory=list)
    matched: dict[tuple[str, int], dict[str, None]] = field(factory=dict)
    broken: bool = False


def _run(settings: TimelineSettings, screen: Screen, put: Callable[[bytes], object]) -> int:
    subject = _subject(settings, screen)
    window = TimelineWindow(
        tuple(subject.anchors),
        settings.minutes,
        settings.host,
        _tree(settings, subject) if settings.tree else None,
    )
    # Matches that were looked for and are not there have nothing around them.
    nothing = settings.rules is not None and not subject.anchors
    reader = TimelineReader(map_choice(settings.maps))
    written = timeless = 0
    interrupted = False
    with TimeSorter() as rows, open_events(settings.evidence) as reading:
        try:
            with _watching(settings, reading, screen) as tick:
                for record in reading:
                    for event in reader.events(record.event, record.source, record.number):
                        if nothing or not window.holds(event):
                            continue
                        rules = subject.matched.get((record.source, record.number), {})
                        rows.add(event.time, _row(event, rules, settings.format))
                        written += 1
                        timeless += event.time is None
                    if not reader.records & _TICK:
                        tick()
        except KeyboardInterrupt:
            interrupted = True
        for line in _lines(map(json.loads, rows), settings, screen):
            put(line)
        screen.flush()
        report_input(reading, screen, quiet=settings.quiet)
        _report(settings, reading, reader, screen, (written, timeless))
        return status.gravest(
            status.INTERRUPTED if interrupted else status.DONE,
            status.USAGE if subject.broken else status.DONE,
            input_status(reading, settings.evidence.paths),
        )


def _watching(settings: TimelineSettings, reading: Reading, screen: Screen) -> Any:
    if settings.quiet:
        return nullcontext(lambda: None)
    return progress(reading, settings.evidence.paths, screen)


def _report(
    settings: TimelineSettings,
    reading: Reading,
    reader: TimelineReader,
    screen: Screen,
    numbers: tuple[int, int],
) -> None:
    written, timeless = numbers
    late = f", {timeless:,} of them without a time, at the end" if timeless else ""
    recognised = reader.records - reader.unrecognised
    screen.say(
        f"{counted(reader.records + reading.unreadable, 'record')} = {recognised:,} recognised + "
        f"{reader.unrecognised:,} not recognised + {reading.unreadable:,} unreadable; "
        f"{counted(written, 'event')} written{late}"
    )


# What the timeline is about


def _record_of(around: str | None) -> tuple[str, int] | None:
    """The file (none: any) and the number of a record; None for a point in time."""
    if around is None or _time_of(around) is not None:
        return None
    source, _, number = around.rpartition(":")
    if not number.isdecimal():
        raise UsageError(
            f"carengine timeline: {around} is no point in time (2024-05-01T10:00:00Z) and no record "
            "(FILE:NUMBER)"
        )
    return source, int(number)


def _time_of(text: str) -> int | None:
    try:
        return time_of_option(text)
    except ValueError:
        return None


def _subject(settings: TimelineSettings, screen: Screen) -> _TimelineSubject:
    if settings.rules is not None:
        return _of_matches(settings, settings.rules, screen)
    if settings.around is None:
        return _TimelineSubject()
    wanted = _record_of(settings.around)
    if wanted is not None:
        return _of_record(settings, *wanted)
    time = _time_of(settings.around)
    assert time is not None
    return _TimelineSubject([TimelineAnchor(time)])


def _of_matches(
    settings: TimelineSettings, rules: RuleSettings, screen: Screen
) -> _TimelineSubject:
    loaded = load(rules)
    broken = report_refused(loaded, screen)
    engine, lost = engine_of(loaded, map_choice(settings.maps), screen)
    subject = _TimelineSubject(broken=broken or lost)
    evidence = settings.evidence
    with Run(
        engine,
        evidence.paths,
        password=evidence.password,
        include=evidence.include,
        exclude=evidence.exclude,
    ) as found:
        for match in found:
            assert isinstance(match, Match)
            for event in match.events:
                if event.origin is not None:
                    place = event.origin.source, event.origin.record
                    subject.matched.setdefault(place, {})[match.rule.id] = None
                if event.time is not None:
                    identity = identity_of(event, engine)
                    subject.anchors.append(TimelineAnchor(event.time, identity, match.rule.id))
    return subject


def _of_record(settings: TimelineSettings, source: str, number: int) -> _TimelineSubject:
    reader = TimelineReader(map_choice(settings.maps))
    found: dict[str, list[TimelineEvent]] = {}
    with open_events(settings.evidence) as reading:
        for record in reading:
            if record.number == number and _is_source(record.source, source):
                found[record.source] = list(
                    reader.events(record.event, record.source, record.number)
                )
    around = settings.around
    if not found:
        raise UsageError(f"carengine timeline: there is no record {around}")
    if len(found) > 1:
        names = ", ".join(visible(f"{name}:{number}") for name in list(found)[:5])
        raise UsageError(f"carengine timeline: {around} may be any of {names}")
    [events] = found.values()
    anchors = [TimelineAnchor(one.time, one.identity) for one in events if one.time is not None]
    if not anchors:
        raise UsageError(
            f"carengine timeline: no field map knows the record {around}, or it has no time"
        )
    return _TimelineSubject(anchors)


def _is_source(whole: str, named: str) -> bool:
    return not named or whole == named or whole.endswith((f"/{named}", f"!{named}"))


def _tree(settings: TimelineSettings, subject: _TimelineSubject) -> ProcessTree:
    """The processes of the anchors, with those they come from and have started."""
    evidence = settings.evidence
    store = ProcessStore()
    try:
        rows: list[dict[str, Any]] = []
        for anchor in subject.anchors:
            if anchor.identity.has_process:
                store.want(anchor.identity, anchor.time)
                if anchor.identity.guid:
                    # Its start may be missing from the log.
                    rows.append({"guid": anchor.identity.guid})
        if store.wanted:
            collect_processes(
                store,
                TimelineReader(map_choice(settings.maps)).maps,
                evidence.paths,
                password=evidence.password,
                include=evidence.include,
                exclude=evidence.exclude,
            )
            for part in store.around():
                for row in part["rows"]:
                    if not row["guid"] and row["time"] is not None:
                        row["until"] = store.next_start(row["host"], row["pid"], row["time"])
                    rows.append(row)
        return ProcessTree.of(rows)
    finally:
        store.close()


# What is written


def _row(event: TimelineEvent, rules: Iterable[str], format_: str) -> bytes:
    row: dict[str, Any] = {
        "time": None if event.time is None else format_time(event.time),
        "host": event.host,
        "user": event.user,
        "kind": event.kind,
        "pid": event.identity.pid,
        "details": event.told,
        "matched": list(rules),
        "source": event.source,
        "record": event.record,
    }
    if format_ == "jsonl":
        row["fields"] = dict(event.fields)
    return json_line(row)


def _lines(
    rows: Iterator[dict[str, Any]], settings: TimelineSettings, screen: Screen
) -> Iterator[bytes]:
    match settings.format:
        case "csv":
            yield csv_line(TIMELINE_EVENT_COLUMNS)
            for row in rows:
                above, _, name = row["kind"].partition("/")
                yield csv_line(
                    [
                        row["time"] or "",
                        row["host"],
                        row["user"],
                        above,
                        name,
                        row["pid"],
                        row["details"],
                        " ".join(row["matched"]),
                        row["source"],
                        str(row["record"]),
                    ]
                )
        case "jsonl":
            terminal = settings.output is None and screen.out_terminal
            for row in rows:
                line = json_line(row)
                yield (safe_for_terminal(line) if terminal else line) + b"\n"
        case _:
            yield from _text(rows, settings, screen)


def _text(
    rows: Iterator[dict[str, Any]], settings: TimelineSettings, screen: Screen
) -> Iterator[bytes]:
    """A line or two for each event, under the day; what matched a rule is marked."""
    terminal = settings.output is None and screen.out_terminal
    width = screen.width if terminal and not settings.full else 0
    day = None
    for row in rows:
        time = row["time"] or ""
        if time[:_DAY] != day:
            day = time[:_DAY]
            head = day or "without a time"
            yield (screen.paint(head, "bold") if terminal else head).encode() + b"\n"
        rules = f"[{' '.join(row['matched'])}]  " if row["matched"] else ""
        clock = time[_DAY + 1 :].rstrip("Z") or "-"
        head = f"{'*' if rules else ' '} {clock:<12}  {row['host']:<12}  {row['kind']:<{_KIND}}  "
        user = row["user"] or "-"
        if width and width < _NARROW:
            lines = [f"{head}{rules}{user}", f"{' ' * 6}{row['details']}"]
        else:
            lines = [f"{head}{rules}{row['details']}  ({user})"]
        for line in map(visible, lines):
            shown = line[: width - 1] + "…" if width and len(line) > width else line
            if terminal and rules:
                shown = screen.paint(shown, "bold")
            yield shown.encode("utf-8", "backslashreplace") + b"\n"
