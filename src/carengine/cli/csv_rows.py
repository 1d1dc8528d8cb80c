"""Matches as rows of CSV: for a spreadsheet, and as timeline tools read them.

Values were written by others. So every cell is one line without control characters or direction
marks, and what a spreadsheet would take for a formula has an apostrophe put before it.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence

from attrs import frozen

from ..diagnostics import visible
from ..matches import MatchRow, ReportedEvent, message_of
from ..values import format_time
from .encode import json_line, safe_for_terminal

CSV_COLUMNS = (
    "time",
    "host",
    "user",
    "rule",
    "title",
    "level",
    "attack",
    "details",
    "source",
    "record",
    "match",
    "output",
    "stream",
    "object",
    "action",
    "group",
    "also",
)
"""The columns of ``-f csv``; ``event`` follows unless ``--no-raw``."""

TIMELINE_COLUMNS = (
    "datetime",
    "timestamp_desc",
    "message",
    "timestamp",
    "host",
    "user",
    "rule_id",
    "rule_title",
    "level",
    "attack",
    "source",
    "record",
    "match",
)
"""The columns of ``-f timeline``; ``event`` follows unless ``--no-raw``.

Timesketch asks for the first three and takes ``timestamp`` in microseconds; Timeline Explorer shows
any: https://timesketch.org/guides/user/import-from-json-csv/
"""

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
_LONGEST = 30_000
"""Excel takes 32,767 characters in a cell."""


def _also(event: ReportedEvent) -> str:
    """The records of other sensors that tell of an event."""
    found = [one.origin for one in event.event.also if one.origin is not None]
    return " ¦ ".join(f"{origin.source}:{origin.record}" for origin in found)


@frozen
class CsvRows:
    """A row for each event of a match; ``match`` numbers the matches."""

    raw: bool
    full: bool = False

    def header(self) -> bytes:
        """The names of the columns."""
        return csv_line((*CSV_COLUMNS, *(["event"] if self.raw else [])))

    def of(self, row: MatchRow, number: int) -> Iterator[tuple[int | None, bytes]]:
        """The rows of a match, each with its time."""
        rule = row.rule
        group = " ¦ ".join(f"{value.name}={value.text}" for value in row.columns)
        for event in row.events:
            cells = [
                "" if event.time is None else format_time(event.time),
                event.host,
                event.user,
                rule.id,
                rule.title,
                rule.metadata.level,
                " ".join(rule.attack),
                self._cut(details(event)),
                event.source,
                "" if event.record is None else str(event.record),
                str(number),
                row.match.output,
                event.stream,
                event.event.kind.object,
                event.event.kind.action,
                self._cut(group),
                _also(event),
            ]
            yield event.time, _row(cells, event if self.raw else None)

    def _cut(self, text: str) -> str:
        return text if self.full else _bounded(text)


@frozen
class TimelineRows:
    """A row for each event of a match, with the columns that timelines are imported by."""

    raw: bool
    full: bool = False

    def header(self) -> bytes:
        """The names of the columns."""
        return csv_line((*TIMELINE_COLUMNS, *(["event"] if self.raw else [])))

    def of(self, row: MatchRow, number: int) -> Iterator[tuple[int | None, bytes]]:
        """The rows of a match, each with its time."""
        rule = row.rule
        for event in row.events:
            told = details(event) or message_of(row)
            message = f"[{rule.metadata.level or 'no level'}] {rule.title}: {told}"
            stream = f" ({event.stream})" if event.stream else ""
            cells = [
                "" if event.time is None else format_time(event.time).replace("Z", "+00:00"),
                f"carengine match{stream}",
                message if self.full else _bounded(message),
                "" if event.time is None else str(event.time),
                event.host,
                event.user,
                rule.id,
                rule.title,
                rule.metadata.level,
                " ".join(rule.attack),
                event.source,
                "" if event.record is None else str(event.record),
                str(number),
            ]
            yield event.time, _row(cells, event if self.raw else None)


def details(event: ReportedEvent) -> str:
    """What the rule reads of an event: ``name=value``, with ``¦`` between."""
    return " ¦ ".join(f"{value.name}={value.text}" for value in event.values)


def _bounded(text: str) -> str:
    if len(text) <= _LONGEST:
        return text
    return f"{text[:_LONGEST]}… ({len(text):,} characters)"


def _row(cells: Sequence[str], event: ReportedEvent | None) -> bytes:
    if event is None:
        return csv_line(cells)
    raw = safe_for_terminal(json_line(event.event.event)).decode("utf-8")
    return csv_line((*cells, raw))


def csv_line(cells: Sequence[str]) -> bytes:
    """A row of CSV: each cell is one line, and none is a formula to a spreadsheet."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerow(map(_harmless, cells))
    return text.getvalue().encode("utf-8", "backslashreplace")


def _harmless(text: str) -> str:
    # Evidence is written by attackers, too; a spreadsheet would run what begins like this, also
    # behind spaces where it trims them.
    formula = text.lstrip(" ").startswith(_FORMULA)
    return ("'" if formula else "") + visible(text)
