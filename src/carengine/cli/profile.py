"""``carengine hunt --profile``: what each rule cost, in place of the matches.

On a terminal two tables, of rules and of what is shared between them; in a pipe a JSON line for
each row.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable

from ..diagnostics import counted
from ..engine import Match
from ..engine.report import Cost
from ..matches import MatchReporter, MatchTally
from .encode import json_line
from .options import OutputSettings
from .results import Apart
from .screen import Screen
from .table import Table, cell, draw

_MOST_SHARED = 20
_OWN = ("rule", "shared rules")


class Unwritten:
    """Where matches go that are counted only."""

    streaming = False
    apart: Apart | None = None

    def __init__(self, reporter: MatchReporter) -> None:
        self.tally = MatchTally()
        self._reporter = reporter

    def write(self, match: Match) -> None:
        """Count a match; nothing is written."""
        host, _ = self._reporter.where_and_who(match)
        self.tally.add(match.rule, host, match.time)

    def finish(self) -> None:
        """Nothing was kept."""


def add_profile_option(parser: argparse.ArgumentParser) -> None:
    """``--profile``."""
    parser.add_argument(
        "--profile",
        action="store_true",
        help="show what each rule costs (a table on a terminal, JSON lines otherwise) in place of the matches, "
        "which are written with -o and counted in any case",
    )


def profile_form(output: OutputSettings, screen: Screen) -> str:
    """How a profile is shown: as ``table`` or ``jsonl``."""
    if output.path is None and output.format is not None:
        return output.format
    return "table" if screen.out_terminal else "jsonl"


def show_profile(rows: Iterable[Cost], form: str, most: int, screen: Screen) -> None:
    """Show what was measured; in a table the ``most`` dearest rules (0: all)."""
    found = list(rows)
    if form == "jsonl":
        for row in found:
            screen.write_bytes(json_line(row.as_json()) + b"\n")
        return
    own = [row for row in found if row.kind in _OWN and row.seconds]
    rest = sum(row.kind == "rule" and not row.seconds for row in found)
    shown = own[:most] if most else own
    left = len(own) - len(shown)
    notes = [f"and {counted(left, 'row')} more"] * bool(left)
    notes += [f"{counted(rest, 'rule')} without a condition that was tried"] * bool(rest)
    draw(
        Table(
            "rules",
            ("rule", "title", "seconds", "share", "events", "tries", "passes", "matches"),
            [
                (
                    cell(row.name),
                    cell(row.title or ", ".join(row.rules[:3]) + ", …" * (len(row.rules) > 3)),
                    *_time(row),
                    f"{row.events:,}" if row.kind == "rule" else "",
                    f"{row.tries:,}",
                    f"{row.passes:,}",
                    f"{row.matches:,}" if row.kind == "rule" else "",
                )
                for row in shown
            ],
            ", ".join(notes),
        ),
        screen,
    )
    shared = [row for row in found if row.kind not in _OWN]
    left = len(shared) - _MOST_SHARED
    draw(
        Table(
            "shared by all rules",
            ("kind", "what", "seconds", "share", "times"),
            [
                (row.kind, cell(row.name), *_time(row), f"{row.events:,}")
                for row in shared[:_MOST_SHARED]
            ],
            f"and {counted(left, 'row')} more" if left > 0 else "",
        ),
        screen,
    )


def _time(row: Cost) -> tuple[str, str]:
    return f"{row.seconds:.3f}", f"{100 * row.share:.1f} %"
