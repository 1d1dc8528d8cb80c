"""Writing matches: a table grouped by rule, JSON lines, or CSV.

A writer gets the matches one by one. JSON lines and CSV go out at once, in the order of the
matches; the table keeps a bounded number of rows for each rule and is drawn at the end.
"""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import BinaryIO, Protocol, TextIO, cast

from attrs import define, field, frozen

from ..diagnostics import counted
from ..engine import Match, MatchedEvent
from ..rule import Rule
from ..values import format_time, text_of
from .encode import json_line, safe_for_terminal
from .options import OutputSettings
from .rules import rank
from .screen import Screen
from .table import Table, cell, draw

_MOST_COLUMNS = 5
_ELSEWHERE = frozenset({"time", "hostname", "fqdn"})
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


@frozen
class Apart:
    """What `Writer.write` does, in two steps: make a text of a match, in whichever process, and
    write it."""

    render: Callable[[Match], bytes]
    put: Callable[[bytes], object]


class Writer(Protocol):
    """Where matches go. ``streaming`` tells that something is written before the end.

    ``apart`` is there where each match is written by itself.
    """

    streaming: bool
    apart: Apart | None

    def write(self, match: Match) -> None:
        """Take one match."""

    def finish(self) -> None:
        """Write what was kept."""


def writer_for(
    settings: OutputSettings,
    rules: Sequence[Rule],
    screen: Screen,
    target: BinaryIO | None,
    before: int = 0,
) -> Writer:
    """The writer that is asked for; to ``target``, or to the screen. ``before`` is how many matches the output has
    already."""
    chosen = settings.format
    if chosen is None:
        if target is not None:
            named_so = settings.path is not None and settings.path.lower().endswith(".csv")
            chosen = "csv" if named_so else "jsonl"
        else:
            chosen = "table" if screen.out_terminal else "jsonl"
    raw = settings.raw
    put = _to_terminal(screen) if target is None and screen.out_terminal else screen.write_bytes
    if target is not None:
        put = target.write
    match chosen:
        case "jsonl":
            return _JsonLinesWriter(put, raw)
        case "csv":
            return _CsvWriter(put, raw, rules, before)
        case _:
            return _TableWriter(screen if target is None else _on(target, screen), settings.rows)


def _to_terminal(screen: Screen) -> Callable[[bytes], object]:
    def put(data: bytes) -> None:
        screen.write_bytes(b"\n".join(map(safe_for_terminal, data.split(b"\n"))))

    return put


def _on(target: BinaryIO, screen: Screen) -> Screen:
    """A screen that writes plain text to a file."""
    out = codecs.getwriter("utf-8")(target, "backslashreplace")
    return Screen(
        cast(TextIO, out), screen.err, False, screen.err_terminal, False, screen.err_colour
    )


def line_of(match: Match, *, raw: bool) -> bytes:
    """A match as a line of JSON."""
    return json_line(match.as_json(raw=raw)) + b"\n"


@define
class _JsonLinesWriter:
    put: Callable[[bytes], object]
    raw: bool
    streaming: bool = True
    apart: Apart | None = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.apart = Apart(partial(line_of, raw=self.raw), self.put)

    def write(self, match: Match) -> None:
        self.put(line_of(match, raw=self.raw))

    def finish(self) -> None:
        pass


@define
class _CsvWriter:
    """A row for each event of a match; ``match`` numbers the matches."""

    put: Callable[[bytes], object]
    raw: bool
    rules: Sequence[Rule]
    _number: int = 0
    streaming: bool = True
    apart: Apart | None = None
    _fields: list[str] = field(factory=list)

    def __attrs_post_init__(self) -> None:
        read = {reference.field for rule in self.rules for reference in rule.references}
        self._fields = sorted(read - _ELSEWHERE)
        self._row(
            ["match", "rule", "title", "level", "attack", "output", "columns", "time", "host"]
            + ["object", "action", "stream", "source", "record", *self._fields]
            + (["event"] if self.raw else [])
        )

    def write(self, match: Match) -> None:
        self._number += 1
        rule = match.rule
        shown = {name: match.shown(name, value) for name, value in match.columns.items()}
        columns = _json(shown) if shown else ""
        for event in match.events:
            origin = event.origin
            self._row(
                [
                    str(self._number),
                    rule.id,
                    rule.title,
                    rule.metadata.level,
                    " ".join(rule.attack),
                    match.output,
                    columns,
                    _time(event.time),
                    _host(event),
                    event.kind.object,
                    event.kind.action,
                    event.stream,
                    origin.source if origin else "",
                    str(origin.record) if origin else "",
                    *(_plain(event.fields.get(name)) for name in self._fields),
                    *([_json(event.event)] if self.raw else []),
                ]
            )

    def _row(self, cells: list[str]) -> None:
        made = io.StringIO()
        csv.writer(made, lineterminator="\r\n").writerow(map(_no_formula, cells))
        self.put(made.getvalue().encode("utf-8", "backslashreplace"))

    def finish(self) -> None:
        pass


def _no_formula(text: str) -> str:
    # Evidence is written by attackers, too; a spreadsheet would run what begins like this.
    return f"'{text}" if text.startswith(_FORMULA) else text.replace("\0", "\\0")


def _json(value: object) -> str:
    return json_line(value).decode("utf-8")


def _plain(value: object) -> str:
    if value is None:
        return ""
    text = text_of(value)
    return _json(value) if text is None else text


def _time(time: int | None) -> str:
    return "" if time is None else format_time(time)


def _host(event: MatchedEvent) -> str:
    return _plain(event.fields.get("hostname") or event.fields.get("fqdn"))


@define
class _RuleRows:
    """The rows that are kept of a rule's matches: what the table shows, and nothing else of the
    events."""

    rule: Rule
    matches: int = 0
    shown: int = 0
    rows: list[_TableRow] = field(factory=list)


@frozen
class _TableRow:
    match: int
    output: str
    stream: str
    time: str
    host: str
    values: Mapping[str, str]
    record: str


@define
class _TableWriter:
    screen: Screen
    most: int
    streaming: bool = False
    apart: Apart | None = None
    _kept: dict[str, _RuleRows] = field(factory=dict)

    def write(self, match: Match) -> None:
        kept = self._kept.setdefault(match.rule.id, _RuleRows(match.rule))
        kept.matches += 1
        if self.most and len(kept.rows) >= self.most:
            return
        kept.shown += 1
        columns = {name: cell(match.shown(name, v)) for name, v in match.columns.items()}
        read = [reference.field for reference in match.rule.references]
        room = self.most - len(kept.rows) if self.most else len(match.events)
        for event in match.events[:room]:
            values = {name: cell(event.fields.get(name)) for name in read if name not in _ELSEWHERE}
            origin = event.origin
            kept.rows.append(
                _TableRow(
                    kept.shown,
                    match.output,
                    cell(event.stream),
                    _time(event.time),
                    cell(_host(event)),
                    columns | values | columns,
                    cell(f"{origin.source}:{origin.record}") if origin else "",
                )
            )

    def finish(self) -> None:
        groups = sorted(self._kept.values(), key=lambda kept: (-rank(kept.rule), kept.rule.id))
        for number, kept in enumerate(groups):
            if number:
                self.screen.show()
            draw(_table(kept), self.screen)
        self.screen.flush()


def _table(kept: _RuleRows) -> Table:
    rule, rows = kept.rule, kept.rows
    number = counted(kept.matches, "match", "matches")
    head = [rule.id, rule.title, rule.metadata.level, " ".join(rule.attack), number]
    names = list(dict.fromkeys(name for row in rows for name in row.values))
    together = len(names) > _MOST_COLUMNS
    several = len({row.match for row in rows}) < len(rows)
    outputs = len({row.output for row in rows}) > 1
    cells = []
    for row in rows:
        values = [row.values.get(name, "") for name in names]
        if together:
            pairs = zip(names, values, strict=True)
            values = ["; ".join(f"{name}={text}" for name, text in pairs if text)]
        cells.append(
            [
                row.output if outputs else "",
                str(row.match) if several else "",
                row.stream,
                row.time,
                row.host,
                *values,
                row.record,
            ]
        )
    middle = ["fields"] if together else names
    columns = ["output", "match", "stream", "time", "host", *middle, "record"]
    hidden = kept.matches - kept.shown
    note = (
        f"… and {counted(hidden, 'more match', 'more matches')} (--rows 0 shows all)"
        if hidden
        else ""
    )
    return Table("  ".join(cell(text) for text in head if text), columns, cells, note)
