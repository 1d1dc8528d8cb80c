"""Syslog lines, and the events that travel in them.

The two headers in use, of RFC 5424 and of the older kind (RFC 3164, often without its priority once
it is in a file), are read into ``syslog``. A message that is a JSON object, one Windows event in
XML (Sysmon for Linux), CEF, LEEF or pairs of ``key=value``, is the event, to which ``syslog`` is
added; any other message is an event of two fields::

    <13>Oct  1 12:00:00 web1 sysmon[7]: <Event>…</Event> {"Event": {…}, "syslog": {"priority": 13,
    "time": "Oct  1 12:00:00", "hostname": "web1", "app": "sysmon", "pid": "7"}}

    <189>date=2024-10-01 time=12:00:00 devname="fw1" action="login"
    {"date": "2024-10-01", …, "message": "date=2024-10-01 …", "syslog": {"priority": 189}}

    <34>1 2024-10-01T12:00:00Z web1 su - ID47 - refused
    {"message": "refused", "syslog": {"priority": 34, …, "message_id": "ID47"}}

Where the event has a ``syslog`` of its own, that is left as it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from ..eventxml import EventXmlError, event_of_xml
from ..jsontext import UnreadableError, decode
from .line_formats.cef import parse_cef, parse_leef
from .line_formats.key_value import KeyValueReader, pairs_of
from .line_formats.model import LineFormat, Outcome, most

_STAMP = (
    r"(?:[A-Z][a-z]{2} [ \d]\d (?:\d{4} )?\d\d:\d\d:\d\d(?:\.\d{1,9})?"
    # Programs that write no syslog put a blank or a comma into such times, and a level after them.
    r"|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:?\d\d)?)"
)
_OLD = re.compile(
    rf"(?:<(?P<priority>\d{{1,3}})>)?(?P<time>{_STAMP})(?: (?P<hostname>[^\s:\[\]{{}}<>]{{1,255}}))?"
    r"(?: (?P<app>[^\s:\[\]{}<>]{1,128})(?:\[(?P<pid>[^\s\[\]]{1,64})\])?:)? ?"
)
_NEW = re.compile(
    r"<(?P<priority>\d{1,3})>1 (?P<time>\S{1,64}) (?P<hostname>\S{1,255}) (?P<app>\S{1,128}) "
    r"(?P<pid>\S{1,128}) (?P<message_id>\S{1,128}) (?=[-\[])"
)
_PRIORITY = re.compile(r"<(?P<priority>\d{1,3})>(?=[^\s<])")
# What some programs put before their JSON.
_COOKIE = re.compile(r"(?:\ufeff|@cee:)\s{0,9}")


class SyslogError(ValueError):
    """The line is syslog's, and its message is broken; the message says how."""


def event_of_line(
    text: str,
    decode: Callable[[bytes], Any],
    pairs: Callable[[str], dict[str, Any] | None] = pairs_of,
) -> dict[str, Any] | None:
    """The event of a syslog line, or of a line that is one event's XML; None if it is neither.

    ``decode`` decodes JSON and raises `ValueError`, ``pairs`` reads ``key=value``. Raises `SyslogError` when the message begins
    like JSON or an event and is broken.
    """
    text = text.strip()
    if text.startswith("<Event"):
        return _payload(text, decode, pairs)
    header: dict[str, Any]
    if (found := _NEW.match(text)) is not None:
        at = _after_data(text, found.end())
        if at is None:
            return None
        header = {name: value for name, value in found.groupdict().items() if value != "-"}
        if (data := text[found.end() : at]) != "-":
            header["structured_data"] = data
    elif (found := _OLD.match(text)) is not None and (found["priority"] or found["hostname"]):
        at = found.end()
        header = {name: value for name, value in found.groupdict().items() if value is not None}
    elif (found := _PRIORITY.match(text)) is not None:
        # Routers and firewalls write no header behind the priority, or one of their own.
        at = found.end()
        header = {"priority": found["priority"]}
    else:
        return None
    if "priority" in header:
        header["priority"] = int(header["priority"])
    message = text[at:].lstrip(" ")
    if header.get("app") in ("CEF", "LEEF") and "pid" not in header:
        # The colon is that of the format, not of a program's name.
        message = f"{header.pop('app')}:{message}"
    if (cookie := _COOKIE.match(message)) is not None:
        message = message[cookie.end() :]
    event = _payload(message, decode, pairs)
    if event is None:
        return {"message": message, "syslog": header}
    event.setdefault("syslog", header)
    return event


def _payload(
    message: str,
    decode: Callable[[bytes], Any],
    pairs: Callable[[str], dict[str, Any] | None],
) -> dict[str, Any] | None:
    if message.startswith("<Event"):
        try:
            return event_of_xml(message)
        except EventXmlError as problem:
            raise SyslogError(f"is broken XML: {problem}") from None
    if message.startswith(('{"', "{}")):
        try:
            event = decode(message.encode("utf-8", "surrogatepass"))
        except ValueError as problem:
            raise SyslogError(f"is not JSON after its syslog header: {problem}") from None
        if isinstance(event, dict):
            return event
    if message.startswith(("CEF:", "LEEF:")):
        outcome = parse_cef(message) if message.startswith("CEF:") else parse_leef(message)
        if isinstance(outcome, str):
            raise SyslogError(f"{outcome} after its syslog header")
        return outcome
    found = pairs(message) if "=" in message else None
    if found is not None:
        found.setdefault("message", message)
    return found


class SyslogReader:
    """Reads lines of syslog, and lines of JSON among them."""

    def __init__(self) -> None:
        self._pairs = KeyValueReader().pairs

    def read(self, lines: list[str]) -> list[Outcome]:
        """The outcome of each line; blank lines are no records."""
        pairs = self._pairs
        return [_event(line, pairs) if line and not line.isspace() else None for line in lines]

    @property
    def headers(self) -> list[str]:
        """None: what was learned of lines changes nothing."""
        return []


def _event(line: str, pairs: Callable[[str], dict[str, Any] | None]) -> Outcome:
    """The event of a line of a log of syslog lines, among which may be others of JSON."""
    try:
        if line.startswith("{"):
            event = decode(line.encode("utf-8", "surrogatepass"))
            return event if isinstance(event, dict) else "is not an object"
        return event_of_line(line, decode, pairs) or "is neither a line of syslog nor JSON"
    except SyslogError as problem:
        return str(problem)
    except UnreadableError as problem:
        return f"is not JSON: {problem}"


def _is_syslog(line: str) -> bool:
    try:
        return not line.startswith("<Event") and event_of_line(line, decode) is not None
    except SyslogError:
        return True


SYSLOG = LineFormat(
    "syslog",
    "a log of syslog lines",
    lambda lines: most(lines, _is_syslog),
    SyslogReader,
)


def _after_data(text: str, at: int) -> int | None:
    """Where the structured data (``-``, or elements in brackets with quoted values) ends."""
    if text[at] == "-":
        return at + 1
    quoted = False
    while at < len(text):
        match text[at]:
            case "\\" if quoted:
                at += 1
            case '"':
                quoted = not quoted
            case "]" if not quoted and text[at + 1 : at + 2] != "[":
                return at + 1
        at += 1
    return None
