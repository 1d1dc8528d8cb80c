"""Writing matches: a table, CSV, JSON lines, profiles of other tools, or a template of the user's.

A writer gets the matches one by one. What is a line for each match goes out at once, or in the
order of time when all is read (`--sort time`, which CSV and templates always have for finished
evidence). The table keeps a bounded number of rows for each rule and is drawn at the end.
"""

from __future__ import annotations

import codecs
import struct
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol, TextIO, cast

from attrs import define, field, frozen

from ..engine import Engine, Match
from ..matches import (
    MatchReporter,
    MatchRow,
    MatchTally,
    TimeSorter,
    as_ecs,
    as_json_line,
    as_ocsf,
)
from ..rule import Rule
from .encode import json_line, safe_for_terminal
from .json_lines import JsonLines
from .options import OutputSettings
from .screen import Screen

if TYPE_CHECKING:
    from .csv_rows import CsvRows, TimelineRows

_LINES: dict[str, Callable[..., dict[str, Any]]] = {
    "jsonl": as_json_line,
    "ecs": as_ecs,
    "ocsf": as_ocsf,
}
_HEAD = struct.Struct("<?qHH")
"""Of a rendered match: whether it has a time, its time, the lengths of rule id and host."""

Put = Callable[[bytes], object]


@frozen
class Apart:
    """What `Writer.write` does, in two steps: make a text of a match, in whichever process, and
    write it."""

    render: Callable[[Match], bytes]
    put: Put


@frozen
class ShownRules:
    """What is written of matches with: the reporter of the run's field maps, and the rules by id."""

    reporter: MatchReporter
    rules: dict[str, Rule]

    @classmethod
    def of(cls, engine: Engine) -> ShownRules:
        """Those of an engine."""
        return cls(MatchReporter.of(engine), {rule.id: rule for rule in engine.rules})

    def use(self, engine: Engine) -> None:
        """Go on with those of another engine; whatever writes with these goes on too."""
        self.reporter.use(engine.maps)
        self.rules.clear()
        self.rules.update({rule.id: rule for rule in engine.rules})


class Writer(Protocol):
    """Where matches go. ``streaming`` tells that something is written before the end.

    ``apart`` is there where each match is written by itself. ``tally`` counts what was written.
    """

    streaming: bool
    tally: MatchTally

    @property
    def apart(self) -> Apart | None:
        """How a match is written in two steps."""

    def write(self, match: Match) -> None:
        """Take one match."""

    def finish(self) -> None:
        """Write what was kept."""


def writer_for(
    settings: OutputSettings,
    engine: Engine,
    screen: Screen,
    target: BinaryIO | None,
    before: int = 0,
    *,
    following: bool = False,
    shown: ShownRules | None = None,
) -> Writer:
    """The writer that is asked for; to ``target``, or to the screen.

    ``before`` is how many matches the output has already. Where files are followed there is no end
    at which to sort. ``shown`` is there where rules may change while matches are written.
    """
    chosen = settings.format
    if chosen is None:
        if settings.template is not None:
            chosen = "template"
        elif target is not None:
            named_so = settings.path is not None and settings.path.lower().endswith(".csv")
            chosen = "csv" if named_so else "jsonl"
        else:
            chosen = "table" if screen.out_terminal else "jsonl"
    put: Put = (
        _to_terminal(screen) if target is None and screen.out_terminal else screen.write_bytes
    )
    if target is not None:
        put = target.write
    shown = shown or ShownRules.of(engine)
    reporter = shown.reporter
    tally = MatchTally()
    by_time = settings.sort == "time" or (settings.sort is None and chosen not in _LINES)
    sorter = TimeSorter() if by_time and not following and chosen != "table" else None
    match chosen:
        case "csv":
            from .csv_rows import CsvRows

            rows = CsvRows(raw=settings.raw, full=settings.full)
            return _CsvWriter(put, rows, reporter, tally, sorter, before)
        case "timeline":
            from .csv_rows import TimelineRows

            lines = TimelineRows(raw=settings.raw, full=settings.full)
            return _CsvWriter(put, lines, reporter, tally, sorter, before)
        case "table":
            from .match_table import TableWriter

            drawn = screen if target is None else _on(target, screen)
            return TableWriter(drawn, reporter, tally, settings.rows, settings.full)
        case "template":
            from .template import TemplateWriter

            assert settings.template is not None
            return TemplateWriter(
                put, settings.template, reporter, tally, settings.raw, sorter or TimeSorter()
            )
        case "jsonl":
            render = partial(_rendered_line, JsonLines(reporter, settings.raw))
            return _LineWriter(put, render, shown.rules, tally, sorter)
        case _:
            render = partial(_rendered, chosen, reporter, settings.raw)
            return _LineWriter(put, render, shown.rules, tally, sorter)


def _to_terminal(screen: Screen) -> Put:
    def put(data: bytes) -> None:
        screen.write_bytes(b"\n".join(map(safe_for_terminal, data.split(b"\n"))))

    return put


def _on(target: BinaryIO, screen: Screen) -> Screen:
    """A screen that writes plain text to a file."""
    out = codecs.getwriter("utf-8")(target, "backslashreplace")
    return Screen(
        cast(TextIO, out), screen.err, False, screen.err_terminal, False, screen.err_colour
    )


def line_of(name: str, row: MatchRow, *, raw: bool) -> bytes:
    """A match as a line of one of the JSON formats.

    What could steer a terminal or turn its text round is escaped, which JSON reads as the same.
    """
    line = json_line(_LINES[name](row, raw=raw))
    plain = line.isascii() and b"\x7f" not in line
    return (line if plain else safe_for_terminal(line)) + b"\n"


def _rendered(name: str, reporter: MatchReporter, raw: bool, match: Match) -> bytes:
    """A line, with what counts and sorts it in front: workers make it, the run takes it apart."""
    row = reporter.row(match, deciding=False, context=False)
    return _with_head(match, row.host, line_of(name, row, raw=raw))


def _rendered_line(lines: JsonLines, match: Match) -> bytes:
    return _with_head(match, *lines.line(match))


def _with_head(match: Match, host_name: str, line: bytes) -> bytes:
    rule = match.rule.id.encode("utf-8", "backslashreplace")[:0xFFFF]
    host = host_name[:4096].encode("utf-8", "backslashreplace")[:0xFFFF]
    head = _HEAD.pack(match.time is not None, match.time or 0, len(rule), len(host))
    return b"".join((head, rule, host, line))


@define
class _LineWriter:
    """A line for each match."""

    _put: Put
    _render: Callable[[Match], bytes]
    _rules: dict[str, Rule]
    tally: MatchTally
    _sorter: TimeSorter | None = None
    streaming: bool = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.streaming = self._sorter is None

    @property
    def apart(self) -> Apart | None:
        """How a match is written in two steps."""
        return Apart(self._render, self.take)

    def write(self, match: Match) -> None:
        """Take one match."""
        self.take(self._render(match))

    def take(self, rendered: bytes) -> None:
        """Take a match that was rendered."""
        timed, time, rule, host = _HEAD.unpack_from(rendered)
        start = _HEAD.size + rule
        id_ = rendered[_HEAD.size : start].decode("utf-8", "replace")
        name = rendered[start : start + host].decode("utf-8", "replace")
        if id_ in self._rules:
            self.tally.add(self._rules[id_], name, time if timed else None)
        line = rendered[start + host :]
        if self._sorter is None:
            self._put(line)
        else:
            self._sorter.add(time if timed else None, line)

    def finish(self) -> None:
        """Write what was kept."""
        _drain(self._sorter, self._put)


@define
class _CsvWriter:
    """Rows of CSV, in the order of time where there is an end."""

    _put: Put
    _rows: CsvRows | TimelineRows
    _reporter: MatchReporter
    tally: MatchTally
    _sorter: TimeSorter | None
    _number: int = 0
    streaming: bool = field(init=False)
    apart: None = None

    def __attrs_post_init__(self) -> None:
        self.streaming = self._sorter is None
        self._put(self._rows.header())

    def write(self, match: Match) -> None:
        """Take one match."""
        self._number += 1
        row = self._reporter.row(match, deciding=False)
        self.tally.add(match.rule, row.host, match.time)
        for time, data in self._rows.of(row, self._number):
            if self._sorter is None:
                self._put(data)
            else:
                self._sorter.add(time, data)

    def finish(self) -> None:
        """Write what was kept."""
        _drain(self._sorter, self._put)


def _drain(sorter: TimeSorter | None, put: Put) -> None:
    if sorter is not None:
        with sorter:
            for data in sorter:
                put(data)
