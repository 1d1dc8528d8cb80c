"""The options of joins, groups and baselines, and what is said of them afterwards."""

from __future__ import annotations

import argparse
import re
from datetime import timedelta

from ..engine import Session, StreamOptions
from ..engine.streams import length_of, moment_of
from . import UsageError
from .screen import Screen

FOLLOW_LATENESS = timedelta(minutes=5)
"""How late events may be while files are followed."""

_SIZES = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}


def add_stream_options(parser: argparse.ArgumentParser) -> None:
    """``--lateness``, ``--horizon``, ``--now``, ``--max-events`` and ``--max-bytes``."""
    group = parser.add_argument_group("joins, groups and baselines")
    group.add_argument(
        "--lateness",
        metavar="TIME",
        help="how long after a later event an event may still come: 30s, '10 minutes' "
        "(default: as long as the data lasts; with --follow 5 minutes)",
    )
    group.add_argument(
        "--horizon",
        metavar="TIME",
        help="how far apart events may be in a join or a group for which the rule gives no time "
        "(default: 30 days; none: no bound)",
    )
    group.add_argument(
        "--now", metavar="TIME", help="the reference time of the rules (default: the last event's)"
    )
    group.add_argument(
        "--max-events",
        type=int,
        default=1_000_000,
        metavar="N",
        help="the most rows held for joins and groups (default: 1000000)",
    )
    group.add_argument(
        "--max-bytes",
        default="1g",
        metavar="SIZE",
        help="the most memory held for them, estimated: 500m, 2g (default: 1g)",
    )


def stream_options(options: argparse.Namespace) -> StreamOptions:
    """What the options say. Raises `UsageError`."""
    lateness = FOLLOW_LATENESS if options.follow else None
    if options.lateness is not None:
        lateness = _length("--lateness", options.lateness)
    horizon = StreamOptions().horizon
    if options.horizon is not None:
        none = options.horizon.lower() == "none"
        horizon = None if none else _length("--horizon", options.horizon)
    try:
        now = moment_of(options.now)
    except ValueError:
        raise UsageError(
            f"carengine hunt: --now wants a time such as 2024-05-01T10:00:00Z, not {options.now}"
        ) from None
    try:
        return StreamOptions(lateness, horizon, now, options.max_events, _size(options.max_bytes))
    except ValueError as error:
        raise UsageError(f"carengine hunt: {error}") from None


def _length(name: str, text: str) -> timedelta:
    try:
        return length_of(text)
    except ValueError:
        raise UsageError(
            f"carengine hunt: {name} wants a time such as 30s or '10 minutes', not {text}"
        ) from None


def _size(text: str) -> int:
    found = re.fullmatch(r"(\d{1,15})([kmg]?)b?", text.strip().lower(), re.ASCII)
    if found is None:
        raise UsageError(f"carengine hunt: --max-bytes wants a size such as 500m or 2g, not {text}")
    return int(found[1]) * _SIZES[found[2]]


def report_streams(session: Session, screen: Screen) -> None:
    """Say what came too late, had no time, or was dropped."""
    screen.report(session.diagnostics)
