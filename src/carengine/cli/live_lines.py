"""What a terminal shows while files are followed: a line for each match, and a status line below.

The status line is on standard error. It is wiped before anything else is written, and drawn again
when nothing new comes.
"""

from __future__ import annotations

from attrs import define

from ..diagnostics import visible
from ..engine import Match
from ..matches import MatchReporter, MatchTally, ReportedValue, bounded
from ..values import format_time
from .layout import Line, Piece, cut_middle, flow, line_width, painted, text_width
from .match_table import LEVEL_STYLES
from .screen import Screen

_MOST_TEXT = 600
_LEVEL = 8


@define
class LiveWriter:
    """A line for each match: when, how grave, what, where, who, and what decided."""

    screen: Screen
    reporter: MatchReporter
    tally: MatchTally
    streaming: bool = True
    apart: None = None

    def write(self, match: Match) -> None:
        """Show one match."""
        row = self.reporter.row(match)
        self.tally.add(match.rule, row.host, match.time)
        width = self.screen.width
        level = row.rule.metadata.level or "no level"
        when = "(no time)" if row.time is None else format_time(row.time)[:19].replace("T", " ")
        line: Line = [
            Piece(f"{when}  "),
            Piece(level[:_LEVEL].ljust(_LEVEL) + "  ", LEVEL_STYLES.get(level, ("dim",))),
        ]
        title = cut_middle(visible(row.rule.title), max(20, width // 5))
        line.append(Piece(title + "  ", ("bold",)))
        for text, most in ((row.host, 16), (row.user, 20)):
            if text:
                line.append(Piece(cut_middle(visible(text[:_MOST_TEXT]), most) + "  "))
        values: list[ReportedValue] = [*row.columns]
        for event in row.events[:4]:
            values += event.values
        room = width - line_width(line)
        told = flow([bounded(value, _MOST_TEXT) for value in values[:8]], max(room, 12), 1)
        if told and room >= 16:
            line += told[0]
        while line_width(line) > width and len(line) > 3:
            line.pop()
        self.screen.show(painted(line, self.screen).rstrip())
        self.screen.flush()

    def finish(self) -> None:
        """Nothing was kept."""


@define
class StatusLine:
    """The last line of a terminal, which says how a run that goes on is going."""

    screen: Screen
    _shown: str = ""

    def show(self, text: str) -> None:
        """Show a text in place of the one before; nothing where no terminal is."""
        if not self.screen.err_terminal:
            return
        text = cut_middle(visible(text), max(20, self.screen.width - 1))
        if text != self._shown:
            self.screen.err.write("\r\x1b[K" + text)
            self.screen.err.flush()
            self._shown = text

    def wipe(self) -> None:
        """Take it away, so that something else can be written."""
        if self._shown:
            self.screen.err.write("\r" + " " * text_width(self._shown) + "\r")
            self.screen.err.flush()
            self._shown = ""
