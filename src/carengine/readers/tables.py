"""Tables as text: comma-separated values, and what separates by tabs, semicolons or bars.

The first line names the columns (after ``#TYPE …`` or ``sep=;``, which is passed over), every
further row is an event of those cells that are not empty; all values are text::

    EventID,Image,User              {"EventID": "1", "Image": "C:\\a.exe"}
    1,C:\\a.exe,
    3,"C:\\b, c.exe",ann            {"EventID": "3", "Image": "C:\\b, c.exe", "User": "ann"}

Cells may stand in quotes, and then hold separators, doubled quotes and line ends. A quote that is
never closed would make one cell of the rest of the file: a row that grows over its limit is
unreadable, and reading goes on at the line after the one it began on.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator

from attrs import define, field

from ..diagnostics import codes
from .json_text import decode
from .lines import BOM, batches, without_mark
from .pages import opened
from .record import ReadReport, Record, RecordCounter
from .unpack import Content

_SEPARATORS = (",", "\t", ";", "|")
# What PowerShell's Export-Csv and spreadsheets write above the names.
_PREAMBLE = re.compile(r"(?:#TYPE [^\n]{1,512}|(?i:sep)=[,;|\t])\r?\n")
_TRIED_ROWS = 20
_NAME = re.compile(r"[@#$*\w](?:[\w .:/@#$()\[\]{}*%+-]{0,126}[\w)\]}*%.])?")
_LARGEST_ROW = 4 << 20
# How often lines that were read as part of a row without an end may be read again.
_SECOND_LOOKS = 64


def separator_of(head: bytes, *, hinted: bool = False) -> str | None:
    """What separates the columns of a text if it is a table, by its first lines.

    The first line must be names, all different, and the rows that follow have as many cells. With a
    hint (the file's name) one row is enough, and none if the header has two columns.
    """
    text = head.removeprefix(BOM).decode("utf-8", "replace")
    lines = text.splitlines(keepends=True)
    if len(head) >= 1 << 16 and len(lines) > 1:
        lines.pop()  # it may go on
    if lines and _PREAMBLE.fullmatch(lines[0]):
        del lines[0]
    if not lines or lines[0].lstrip()[:1] in ("", "{", "[", "<"):
        return None
    for separator in sorted(_SEPARATORS, key=lambda s: -lines[0].count(s)):
        try:
            rows = []
            for row in csv.reader(lines, delimiter=separator):
                rows.append(row)
                if len(rows) > _TRIED_ROWS:
                    break
        except csv.Error:
            continue
        if _is_table([row for row in rows if row], hinted=hinted):
            return separator
    return None


def _is_name(text: str) -> bool:
    return _NAME.fullmatch(text) is not None and any(c.isalpha() for c in text)


def _is_table(rows: list[list[str]], *, hinted: bool) -> bool:
    if not rows:
        return False
    header, *rest = rows
    width = len(header)
    if width < 2 or len(set(header)) < width or not all(map(_is_name, header)):
        return False
    fitting = sum(len(row) == width for row in rest)
    if hinted:
        return not rest or fitting > 0
    return fitting >= (1 if width > 2 else 3) and fitting >= 0.8 * len(rest)


@define(eq=False)
class _Rows:
    """The rows of a text: the line each begins on, and its text, or None for one without an end."""

    lines: Iterator[tuple[int, str]]
    separator: str
    limit: int
    again: list[tuple[int, str]] = field(factory=list)
    second_looks: int = _SECOND_LOOKS

    def next_line(self) -> tuple[int, str] | None:
        return self.again.pop() if self.again else next(self.lines, None)

    def __iter__(self) -> Iterator[tuple[int, str | None]]:
        while (line := self.next_line()) is not None:
            number, text = line
            if '"' not in text:
                yield number, text
                continue
            row = [line]
            size = len(text)
            is_open = self.open_after(text, False)
            while is_open and size <= self.limit and (line := self.next_line()) is not None:
                row.append(line)
                size += len(line[1])
                is_open = self.open_after(line[1], True)
            if not is_open:
                yield number, "".join(part for _, part in row)
                continue
            yield number, None
            if self.second_looks:
                self.second_looks -= 1
                self.again += row[:0:-1]

    def open_after(self, text: str, is_open: bool) -> bool:
        """Whether a cell's quote is open after a line, given whether one was before it."""
        at = 0
        if not is_open and text[:1] == '"':
            at, is_open = 1, True
        while True:
            if is_open:
                at = text.find('"', at)
                if at < 0:
                    return True
                is_open = text[at + 1 : at + 2] == '"'
                at += 2 if is_open else 1
            else:
                at = text.find(f'{self.separator}"', at)
                if at < 0:
                    return False
                at, is_open = at + 2, True


def _decoded(content: Content, limit: int) -> Iterator[tuple[int, str]]:
    number = 0
    for lines in batches(without_mark(content.chunks), limit):
        for line in lines:
            number += 1
            # Bytes that are no UTF-8 become lone surrogates, until it is known what row they are
            # in.
            yield number, line.decode("utf-8", "surrogateescape")


def read_table(content: Content, report: ReadReport) -> Iterator[Record]:
    """The rows of a table as events."""
    return opened(_read_rows(content, report), decode)


def _read_rows(content: Content, report: ReadReport) -> Iterator[Record]:
    counter = RecordCounter(content.name, report, content.meter.limits)
    separator = separator_of(content.head) or separator_of(content.head, hinted=True) or ","
    limit = min(counter.limits.record_bytes, _LARGEST_ROW)
    # The csv module's bound on a cell is one for the whole process; it is only ever raised.
    csv.field_size_limit(max(csv.field_size_limit(), 2 * limit))
    names: list[str] = []
    for line, text in _Rows(_decoded(content, limit), separator, limit):
        if text is not None and not text.strip():
            continue
        if text is not None and line == 1 and _PREAMBLE.fullmatch(text):
            continue
        if text is not None and not names:
            names = _header(counter, _cells(text, separator) or text.split(separator))
            continue
        number = counter.count()
        if text is None:
            counter.unreadable(line, "has a quote that is not closed")
        elif len(text) > limit:
            counter.too_large(line)
        elif not _is_text(text):
            counter.unreadable(line, "is not UTF-8")
        else:
            cells = _cells(text, separator)
            if cells is None:
                counter.unreadable(line, "has a line end amid a cell")
                continue
            if len(cells) > len(names):
                counter.unreadable(line, f"has {len(cells)} cells for {len(names)} columns")
                continue
            if len(cells) < len(names):
                message = f"record {number} has {len(cells)} cells for {len(names)} columns"
                report.say(codes.SHORT_ROW, content.name, message, line=line)
            event = {name: cell for name, cell in zip(names, cells, strict=False) if cell}
            yield Record(event, content.name, number)
    if not counter.number:
        report.say(codes.NOT_EVIDENCE, content.within, "holds no events", about=content.name)


def _cells(text: str, separator: str) -> list[str] | None:
    """The cells of a row; None where a line end stands amid a cell without quotes."""
    text = text.rstrip("\r\n")
    if '"' not in text:
        return text.split(separator)
    try:
        return next(csv.reader([text], delimiter=separator))
    except csv.Error:
        return None


def _is_text(text: str) -> bool:
    return text.isascii() or not any("\ud800" <= c <= "\udfff" for c in text)


def _header(counter: RecordCounter, cells: list[str]) -> list[str]:
    """The columns' names; a number tells apart those that are equal or empty, which is said."""
    names: list[str] = []
    taken = set(cells)
    for place, cell in enumerate(cells, 1):
        name = (
            cell
            if _is_text(cell)
            else cell.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
        )
        if not name or name in names:
            number = 2
            base = name or f"column {place}"
            name = base
            while name in taken:
                name, number = f"{base}_{number}", number + 1
            message = f"column {place} has {'no name' if not cell else 'the name of another'}; it is read as {name}"
            counter.report.say(codes.COLUMN_NAME, counter.source, message)
        taken.add(name)
        names.append(name)
    return names
