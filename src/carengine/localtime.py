"""Times of events that say no zone."""

from __future__ import annotations

import re
from typing import Any

from .values import time_of

_QUARTER = 900_000_000
_SECOND = 1_000_000
# Local times are at most so far from UTC, and what is forwarded arrives within minutes.
_FARTHEST = 14 * 3_600 * _SECOND
_ARRIVES = 300 * _SECOND
_ZONE = re.compile(r"(?:[Zz]|[+-]\d\d:?\d\d|UTC|GMT)\s*\Z")


def in_utc(event: Any, received: Any, arrived: Any) -> Any:
    """An event's time moved by the quarter hours between when it was ``received`` by the same
    clock, and when it ``arrived`` in UTC; the time as it is where it has a zone, or where these do
    not tell.

    >>> in_utc("2024-05-20 09:58:41", None, "2024-05-20T07:58:42Z")
    1716191921.0
    """
    time, end = time_of(event), time_of(arrived)
    if time is None or end is None or (isinstance(event, str) and _ZONE.search(event)):
        return event if time is not None else None
    if not isinstance(event, str):
        return event
    local = time_of(received)
    behind = end - (time if local is None else local)
    moved = round(behind / _QUARTER) * _QUARTER
    if abs(moved) > _FARTHEST or not -_SECOND <= behind - moved <= _ARRIVES:
        return event
    time += moved
    if time % _SECOND == 0 and 0 <= end - time < _SECOND:
        # The same second, written with more digits.
        return arrived
    return event if moved == 0 else time / _SECOND
