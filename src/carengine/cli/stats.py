"""``carengine stats``: what is in some logs, counted, and what is missing from them."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator, Sequence
from contextlib import nullcontext
from datetime import timedelta
from typing import Any

from attrs import frozen

from ..diagnostics import counted
from ..filewrite import opened_to_write
from ..readers import Reading
from ..statistics import LogStatistics
from ..values import format_time
from . import UsageError, status
from .csv_rows import csv_line
from .encode import json_document
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
from .table import Table, cell, draw

_EXAMPLES = """\
examples:
  carengine stats logs/                            what is there: channels, hosts, users, logons
  carengine stats logs/ --gap 10                   also stretches of ten minutes without an event
  carengine stats logs/ -f csv -o stats.csv        the same for a spreadsheet
  carengine stats logs/ -f json                    the same as data

A hole in the record numbers of a channel is a record that is not in the evidence: it was left out of the
collection, overwritten, or cut out. The numbers tell that it is missing, not why.

exit status: 0 done, 2 the command is not right, 3 evidence could not be read (the rest was), 130 interrupted
"""
STATS_COLUMNS = (
    "section",
    "host",
    "name",
    "detail",
    "events",
    "failures",
    "first",
    "last",
)
"""The columns of ``stats -f csv``. ``section`` is one of channel, host, user, logon, record gap, time gap,
cleared."""

_TICK = 1023
_SHOWN = 15


@frozen
class StatsSettings:
    """What ``stats`` was asked for. ``gap`` is the shortest stretch without events that is told, in
    minutes."""

    evidence: EvidenceSettings
    format: str = "text"
    maps: MapNames = ()
    gap: float = 60.0
    output: str | None = None
    full: bool = False
    quiet: bool = False


def arguments(parser: argparse.ArgumentParser) -> None:
    """What ``stats`` takes."""
    parser.epilog = _EXAMPLES
    add_events_argument(parser)
    add_map_option(parser)
    parser.add_argument(
        "--gap",
        type=float,
        default=60.0,
        metavar="MINUTES",
        help="the shortest stretch without an event on a host that is told (default: 60)",
    )
    parser.add_argument(
        "-f", "--format", choices=["text", "csv", "json"], default="text", help="default: text"
    )
    parser.add_argument("-o", "--output", metavar="FILE", help="write CSV or JSON to a file")
    parser.add_argument("--full", action="store_true", help="show all rows of all tables")
    parser.add_argument("-q", "--quiet", action="store_true", help="no progress")


def settings(values: argparse.Namespace) -> StatsSettings:
    """What the command line asks for. Raises `UsageError`."""
    output = output_path(values.output)
    if output is not None and (clash := same_place(output, values.events)):
        raise UsageError(f"carengine stats: -o {output} would write into {clash}")
    if output is not None and values.format == "text":
        raise UsageError("carengine stats: -o takes -f csv or -f json")
    if not 0 < values.gap < 100_000_000:
        raise UsageError("carengine stats: --gap takes minutes, more than none")
    return StatsSettings(
        evidence_settings(values),
        values.format,
        map_names(values),
        values.gap,
        output,
        values.full,
        values.quiet,
    )


def run(settings: StatsSettings, screen: Screen) -> int:
    """Count. The exit status."""
    statistics = LogStatistics(map_choice(settings.maps))
    interrupted = False
    with open_events(settings.evidence) as reading:
        try:
            watching: Any = nullcontext(lambda: None)
            if not settings.quiet:
                watching = progress(reading, settings.evidence.paths, screen)
            with watching as tick:
                for record in reading:
                    statistics.add(record.event)
                    if not statistics.events & _TICK:
                        tick()
        except KeyboardInterrupt:
            interrupted = True
        _show(statistics, settings, screen)
        screen.flush()
        report_input(reading, screen, quiet=settings.quiet)
        _report(statistics, reading, screen)
        return status.gravest(
            status.INTERRUPTED if interrupted else status.DONE,
            input_status(reading, settings.evidence.paths),
        )


def _report(statistics: LogStatistics, reading: Reading, screen: Screen) -> None:
    recognised = statistics.events - statistics.unrecognised
    screen.say(
        f"{counted(statistics.events + reading.unreadable, 'record')} = {recognised:,} recognised + "
        f"{statistics.unrecognised:,} not recognised + {reading.unreadable:,} unreadable"
    )


def _show(statistics: LogStatistics, settings: StatsSettings, screen: Screen) -> None:
    if settings.format == "text":
        _draw(statistics, settings, screen)
        return
    if settings.format == "json":
        text = json_document(statistics.as_json(settings.gap)) + "\n"
        lines: Iterable[bytes] = [text.encode("ascii")]
    else:
        lines = map(csv_line, (STATS_COLUMNS, *_csv(statistics, settings)))
    if settings.output is None:
        for line in lines:
            screen.write_bytes(line)
        return
    try:
        with opened_to_write(settings.output) as file:
            for line in lines:
                file.write(line)
    except OSError as error:
        message = f"carengine stats: cannot write {settings.output}: {error.strerror}"
        raise UsageError(message) from None


def _csv(statistics: LogStatistics, settings: StatsSettings) -> Iterator[Sequence[str]]:
    for one in statistics.channels():
        name = f"{one.channel} {one.event}".strip()
        yield ("channel", "", name, one.kinds, str(one.events), "", *_times(one.first, one.last))
    for section, names in (("host", statistics.hosts()), ("user", statistics.users())):
        for named in names:
            host = named.name if section == "host" else ""
            times = _times(named.first, named.last)
            yield (section, host, named.name, "", str(named.events), "", *times)
    for logon in statistics.logons():
        detail = f"from {logon.source}, {logon.type} ({logon.log})"
        numbers = str(logon.successes), str(logon.failures)
        yield ("logon", "", logon.account, detail, *numbers, *_times(logon.first, logon.last))
    for gap in statistics.record_gaps():
        detail = f"records {gap.first} to {gap.last}"
        times = _times(gap.before, gap.after)
        yield ("record gap", gap.host, gap.channel, detail, str(gap.records), "", *times)
    for pause in statistics.time_gaps(settings.gap):
        times = _times(pause.before, pause.after)
        yield ("time gap", pause.host, "", _length(pause.seconds), "", "", *times)
    for cleared in statistics.cleared:
        time = _time(cleared.time)
        yield ("cleared", cleared.host, cleared.channel, f"by {cleared.user}", "1", "", time, time)


def _draw(statistics: LogStatistics, settings: StatsSettings, screen: Screen) -> None:
    known = statistics.first is not None
    span = f", {_time(statistics.first)} to {_time(statistics.last)}" if known else ""
    late = f", {statistics.timeless:,} without a time" if statistics.timeless else ""
    screen.show(
        screen.paint(
            f"{counted(statistics.events - statistics.unrecognised, 'event')}{span}{late}", "bold"
        )
    )
    _table(
        "events by channel and kind",
        ("channel", "event", "kind", "events", "first"),
        [
            (_plain(one.channel), one.event, one.kinds, f"{one.events:,}", *_short(one.first))
            for one in statistics.channels()
        ],
        settings,
        screen,
    )
    for title, names in (("hosts", statistics.hosts()), ("users", statistics.users())):
        _table(
            title,
            (title[:-1], "events", "first", "last"),
            [(one.name, f"{one.events:,}", *_short(one.first, one.last)) for one in names],
            settings,
            screen,
        )
    _table(
        "logons",
        ("account", "from", "type", "log", "successes", "failures", "last"),
        [
            (
                one.account,
                one.source,
                one.type,
                one.log,
                f"{one.successes:,}" if one.successes else "",
                f"{one.failures:,}" if one.failures else "",
                _short(one.last)[0],
            )
            for one in statistics.logons()
        ],
        settings,
        screen,
    )
    _draw_gaps(statistics, settings, screen)


def _draw_gaps(statistics: LogStatistics, settings: StatsSettings, screen: Screen) -> None:
    _table(
        "logs that were cleared",
        ("time", "host", "channel", "by"),
        [(_time(one.time), one.host, one.channel, one.user) for one in statistics.cleared],
        settings,
        screen,
    )
    numbers = []
    for host, channel, found in statistics.record_numbers():
        gaps = found.gaps(host, channel)
        missing = sum(gap.records for gap in gaps)
        if gaps or found.overfull:
            share = f"{missing:,}" if not found.overfull else "too many holes to tell"
            numbers.append(
                (host, _plain(channel), f"{found.met:,}", share, f"{len(gaps):,}" if gaps else "")
            )
    numbers.sort(key=lambda row: (row[0], row[1]))
    _table(
        "channels with holes in their record numbers",
        ("host", "channel", "records", "missing", "holes"),
        numbers,
        settings,
        screen,
    )
    _table(
        "the largest holes",
        ("host", "channel", "records", "missing", "after", "before"),
        [
            (
                gap.host,
                _plain(gap.channel),
                f"{gap.first} to {gap.last}" if gap.records > 1 else f"{gap.first}",
                f"{gap.records:,}",
                *_short(gap.before, gap.after),
            )
            for gap in statistics.record_gaps()
        ],
        settings,
        screen,
    )
    _table(
        f"stretches of {_length(settings.gap * 60)} or more without an event",
        ("host", "length", "after", "before"),
        [
            (gap.host, _length(gap.seconds), *_short(gap.before, gap.after))
            for gap in statistics.time_gaps(settings.gap)
        ],
        settings,
        screen,
    )


def _table(
    title: str,
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    settings: StatsSettings,
    screen: Screen,
) -> None:
    if not rows:
        return
    shown = rows if settings.full else rows[:_SHOWN]
    left = len(rows) - len(shown)
    note = f"and {left:,} more (--full)" if left else ""
    screen.show()
    draw(Table(title, columns, [[cell(text) for text in row] for row in shown], note), screen)


def _plain(channel: str) -> str:
    """A channel without what the names of Windows' own have in common."""
    return channel.removeprefix("Microsoft-Windows-").removesuffix("/Operational")


def _time(time: int | None) -> str:
    return "" if time is None else format_time(time)


def _times(first: int | None, last: int | None) -> tuple[str, str]:
    return _time(first), _time(last)


def _short(*times: int | None) -> tuple[str, ...]:
    """Times to the second, as tables show them."""
    return tuple(_time(time)[:19].replace("T", " ") for time in times)


def _length(seconds: float) -> str:
    return str(timedelta(seconds=round(seconds)))
