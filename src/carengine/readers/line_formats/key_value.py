r"""Lines of ``key=value``: logfmt, and what firewalls write.

::

    time=2024-05-20T07:58:41Z level=info msg="user \"ann\" added" src=10.0.0.1
    {"time": "2024-05-20T07:58:41Z", "level": "info", "msg": "user \"ann\" added", "src": "10.0.0.1"}

    date=2024-05-20 time=07:58:41 devname="fw1" type="event" action="login"      (Fortinet)
    {…, "timestamp": "2024-05-20T07:58:41"}

A key without a value (``debug``) is true, as in logfmt. Where a day and a time stand apart,
``timestamp`` has both together. What stands before the first pair is the ``message``, unless a key
has that name. Source: https://brandur.org/logfmt; FortiOS Log Message Reference.
"""

from __future__ import annotations

import re
from typing import Any

from .model import LineFormat, Outcome, most
from .templates import LineTemplates

_PAIR = re.compile(
    r"""([A-Za-z_@][\w.@:/\[\]-]{0,127})=(?:"([^"\\]*(?:\\.[^"\\]*)*)"|'([^'\\]*(?:\\.[^'\\]*)*)'|([^\s,;]*))"""
    r"""|([A-Za-z_][\w.-]{0,127})(?=[\s,;]|$)""",
    re.DOTALL,
)
_PLAIN_PAIR = re.compile(r'([A-Za-z_@][\w.@:/-]*)=(?:"([^"]*)"|([^\s,;"]*))')
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_CONTROL = {"n": "\n", "r": "\r", "t": "\t"}
_MAX_KEYS = 1_000
_PAIRS_TO_BE_SURE = 3


def parse_key_values(text: str) -> dict[str, Any] | None:
    """The pairs of a text of at least three, or None where it is something else.

    >>> parse_key_values('a=1 b="x y" c')
    >>> parse_key_values('a=1 b="x y" c=') == {"a": "1", "b": "x y", "c": ""}
    True
    """
    event: dict[str, Any] | None = _plain_pairs(text)
    if event is not None:
        return _with_timestamp(event)
    event = {}
    pairs = 0
    at = 0
    first = -1
    for found in _PAIR.finditer(text):
        name, double, single, bare, alone = found.groups()
        if alone is not None:
            if pairs and text[at : found.start()].strip(" \t,;") == "":
                event.setdefault(alone, True)
                at = found.end()
            continue
        if first < 0:
            first = found.start()
        pairs += 1
        at = found.end()
        value = double if double is not None else single if single is not None else bare
        if "\\" in value and bare is None:
            value = _ESCAPE.sub(lambda escape: _CONTROL.get(escape[1], escape[0]), value)
            value = value.replace('\\"', '"').replace("\\\\", "\\")
        event.setdefault(name, value)
        if len(event) >= _MAX_KEYS:
            break
    if pairs < _PAIRS_TO_BE_SURE:
        return None
    before = text[:first].strip()
    if before:
        event.setdefault("message", before)
    return _with_timestamp(event)


def _plain_pairs(text: str) -> dict[str, Any] | None:
    """The pairs of a text that has nothing else in it, no key twice and no escapes; else None.

    Whether the pairs are all that there is, is told by their lengths.
    """
    if "\\" in text or "'" in text:
        return None
    rows = _PLAIN_PAIR.findall(text)
    if not _PAIRS_TO_BE_SURE <= len(rows) <= _MAX_KEYS:
        return None
    size = sum([len(name) + len(quoted) + len(bare) for name, quoted, bare in rows])
    # Each pair has its equals sign; between two there is one blank.
    size += 2 * len(rows) - 1 + text.count('"')
    event = {name: quoted or bare for name, quoted, bare in rows}
    return event if size == len(text.strip()) and len(event) == len(rows) else None


def _with_timestamp(event: dict[str, Any]) -> dict[str, Any]:
    if "timestamp" not in event and "date" in event and "time" in event:
        event["timestamp"] = f"{event['date']}T{event['time']}"
    return event


def _event(line: str) -> Outcome:
    event = parse_key_values(line)
    return "is not a line of key=value pairs" if event is None else event


class KeyValueReader:
    """Reads lines of pairs; those with the keys of one before in one step."""

    def __init__(self) -> None:
        self._templates = LineTemplates()

    def read(self, lines: list[str]) -> list[Outcome]:
        """The outcome of each line; blank lines are no records."""
        event = self._event
        return [event(line) if line and not line.isspace() else None for line in lines]

    @property
    def headers(self) -> list[str]:
        """None: what was learned of lines changes nothing."""
        return []

    def pairs(self, text: str) -> dict[str, Any] | None:
        """`pairs_of` a text; in one step where it has the keys of one before."""
        return self._known(text) or pairs_of(text)

    def _event(self, line: str) -> Outcome:
        return self._known(line) or _event(line)

    def _known(self, text: str) -> dict[str, Any] | None:
        event = self._templates.event(text)
        if event is not None:
            return _with_timestamp(event)
        if self._templates.wanted:
            plain = _plain_pairs(text)
            if plain is not None:
                self._templates.learn(_expression(text), plain, text)
        return None


def _expression(line: str) -> str:
    """The expression of lines with the keys of one that `_plain_pairs` reads, one blank between
    two."""
    return " ".join(
        f'{re.escape(name)}="([^"\'\\\\]*)"'
        if line[end - 1] == '"'
        else f"{re.escape(name)}={_BARE}"
        for found in _PLAIN_PAIR.finditer(line)
        for name, end in [(found[1], found.end())]
    )


_BARE = r"""([^\s,;"'\\]*)"""


def is_pairs(line: str) -> bool:
    """Whether a line is made of pairs: they fill most of it."""
    return _covered(line) * 10 >= len(line.strip()) * 8 and parse_key_values(line) is not None


def pairs_of(line: str) -> dict[str, Any] | None:
    """The pairs of a line that is made of pairs (`is_pairs`); None for any other.

    >>> pairs_of("a=1 b=2 c=3"), pairs_of("the sum of a=1 b=2 c=3 and other things is 6")
    ({'a': '1', 'b': '2', 'c': '3'}, None)
    """
    event = _plain_pairs(line)
    if event is not None:
        return _with_timestamp(event)
    return parse_key_values(line) if is_pairs(line) else None


def _covered(line: str) -> int:
    return sum(len(found[0]) + 1 for found in _PAIR.finditer(line) if found[1])


KEY_VALUE = LineFormat(
    "key_value",
    "a log of key=value pairs",
    lambda lines: most(lines, is_pairs),
    KeyValueReader,
)
