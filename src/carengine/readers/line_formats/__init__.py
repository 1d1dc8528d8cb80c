"""Logs that have a record a line, and are not JSON: one module for each format.

``LINE_FORMATS`` is the table: the first row whose test holds for the first lines of a text is its
format. ``model`` says what a row is. A further format is a further module and a row here.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..lines import BOM, batches, without_mark
from ..record import ReadReport, Record, RecordCounter
from ..unpack import Content
from .access_log import ACCESS_LOG
from .cef import CEF, parse_cef, parse_leef
from .error_log import APACHE_ERROR_LOG, NGINX_ERROR_LOG
from .key_value import KEY_VALUE, parse_key_values
from .model import LineFormat, LineReader, Outcome
from .plain import PLAIN
from .w3c import W3C

__all__ = [
    "KEY_VALUE",
    "LINE_FORMATS",
    "PLAIN",
    "LineFormat",
    "LineReader",
    "Outcome",
    "first_lines",
    "line_format",
    "parse_cef",
    "parse_key_values",
    "parse_leef",
    "read_lines",
]

LINE_FORMATS: tuple[LineFormat, ...] = (
    W3C,
    CEF,
    ACCESS_LOG,
    APACHE_ERROR_LOG,
    NGINX_ERROR_LOG,
    KEY_VALUE,
)
"""The formats that are told by the first lines of a text. `PLAIN` is what is left."""

_LOOKED_AT = 20


def first_lines(head: bytes) -> list[str]:
    """The first lines of a text that are not blank, 20 at most.

    The last line of a head is left out where it has no end, unless it is the only one.
    """
    lines = head.removeprefix(BOM).splitlines(keepends=True)
    if len(lines) > 1 and not lines[-1].endswith((b"\n", b"\r")):
        lines.pop()
    texts = (line.rstrip(b"\r\n").decode("utf-8", "backslashreplace") for line in lines[:200])
    return [text for text in texts if text.strip()][:_LOOKED_AT]


def line_format(head: bytes) -> LineFormat | None:
    """The line format of a text, told by its first bytes; None where it has none of the table.

    >>> line_format(b'CEF:0|V|P|1|2|n|5|a=1\\n').name
    'cef'
    """
    lines = first_lines(head)
    if not lines:
        return None
    return next((row for row in LINE_FORMATS if row.test(lines)), None)


def read_lines(form: LineFormat, content: Content, report: ReadReport) -> Iterator[Record]:
    """The records of a text of a line format. Bytes that are not UTF-8 stand in them as
    ``\\xff``."""
    counter = RecordCounter(content.name, report, content.meter.limits)
    limit = counter.limits.record_bytes
    reader = form.reader()
    source = content.name
    line = 0
    for lines in batches(without_mark(content.chunks), limit):
        start = line + 1
        line += len(lines)
        if max(map(len, lines)) > limit:
            yield from _with_long_lines(counter, reader, lines, start)
            continue
        outcomes = reader.read(texts_of(lines))
        for place, outcome in enumerate(outcomes):
            if type(outcome) is dict:
                report.records += 1
                counter.number += 1
                yield Record(outcome, source, counter.number)
            elif outcome is not None:
                counter.count()
                counter.unreadable(start + place, str(outcome))


def texts_of(lines: list[bytes]) -> list[str]:
    """Lines as text, without their ends."""
    whole = b"".join(lines).decode("utf-8", "backslashreplace")
    if "\r" in whole:
        whole = whole.replace("\r\n", "\n")
    texts = whole.split("\n")
    if texts[-1] == "":
        texts.pop()
    return texts


def _with_long_lines(
    counter: RecordCounter, reader: LineReader, lines: list[bytes], start: int
) -> Iterator[Record]:
    limit = counter.limits.record_bytes
    for number, line in enumerate(lines, start):
        if len(line) > limit:
            counter.count()
            counter.too_large(number)
            continue
        for outcome in reader.read(texts_of([line])):
            if isinstance(outcome, dict):
                yield Record(outcome, counter.source, counter.count())
            elif outcome is not None:
                counter.count()
                counter.unreadable(number, outcome)
