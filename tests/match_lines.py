"""Matches as JSON lines. A module that spawned workers can import too, as they cannot a test's."""

from __future__ import annotations

from carengine.cli.results import line_of
from carengine.engine import Match
from carengine.matches import MatchReporter


def match_line(match: Match, *, raw: bool) -> bytes:
    """A match as a JSON line, made where the match is: in a worker or in the run."""
    return line_of("jsonl", MatchReporter().row(match, deciding=False), raw=raw)
