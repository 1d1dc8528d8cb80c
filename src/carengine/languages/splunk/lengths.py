"""Lengths of time as Splunk writes them: ``5m``, ``1hour``, ``7d``."""

from __future__ import annotations

import re

_LENGTH = re.compile(r"(\d{1,6})\s*(s|m|h|d|w|mon)[a-z]*")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800, "mon": 2_592_000}


def length_of(text: str) -> int | None:
    """The microseconds of a length of time such as ``5m``; None where a text is none.

    >>> length_of("5m"), length_of("1hour"), length_of("x")
    (300000000, 3600000000, None)
    """
    found = _LENGTH.fullmatch(text.strip().lower())
    return None if found is None else int(found[1]) * _UNITS[found[2]] * 1_000_000
