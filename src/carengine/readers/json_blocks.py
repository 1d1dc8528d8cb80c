"""Records a line, of blocks that somebody looks at before they are cut into lines, and what is done
with a line that did not decode at once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..jsontext import DEPTH, FAST, UnreadableError, decode, too_deep
from .lines import blocks
from .record import LineFilter, Record, RecordCounter
from .syslog import SyslogError, event_of_line


def read_blocks(
    counter: RecordCounter, chunks: Iterator[bytes], take: LineFilter, read: list[int] | None
) -> Iterator[Record]:
    """The records of lines, where whole blocks are looked at before they are cut into lines."""
    report, limit, source = counter.report, counter.limits.record_bytes, counter.source
    loads = FAST if FAST is not None else decode
    position = 0
    for records, blank, line in take(blocks(chunks, limit), limit, source):
        counter.pass_over(blank)
        if records:
            report.records += records
            counter.number += records
            counter.met = True
        position += records + blank
        if read is not None:
            read[0] = position + (line is not None)
        if line is None:
            continue
        position += 1
        try:
            event = None if too_deep(line, DEPTH) else loads(line)
        except (ValueError, RecursionError):
            event = None
        counter.count()
        if type(event) is dict and len(line) <= limit:
            counter.met = True
            yield Record(event, source, counter.number)
        elif (found := second_look(counter, line, position)) is not None:
            yield Record(found, source, counter.number)


def kind_of(value: Any) -> str:
    """What a JSON value that is no object is called."""
    match value:
        case None:
            return "null"
        case bool():
            return "true or false"
        case str():
            return "a string"
        case int() | float():
            return "a number"
        case _:
            return "an array"


def second_look(counter: RecordCounter, data: bytes, line: int) -> dict[str, Any] | None:
    """The event of a record that did not decode at once, or None when it has none, which is said.

    The record must have been counted.
    """
    data = data.rstrip(b"\r\n")
    if len(data) > counter.limits.record_bytes:
        counter.too_large(line)
        return None
    try:
        value = decode(data, counter.limits.json_depth)
    except UnreadableError as problem:
        return _in_syslog(counter, data, line, problem)
    counter.met = True
    if isinstance(value, dict):
        return value
    counter.unreadable(line, f"is {kind_of(value)}, not an object")
    return None


def _in_syslog(
    counter: RecordCounter, data: bytes, line: int, problem: UnreadableError
) -> dict[str, Any] | None:
    """The event of a line that is not JSON: of syslog, or one event's XML."""
    depth = counter.limits.json_depth
    try:
        event = event_of_line(data.decode("utf-8"), lambda text: decode(text, depth))
    except UnicodeDecodeError:
        event = None
    except SyslogError as broken:
        counter.met = True
        counter.unreadable(line, str(broken))
        return None
    if event is None:
        counter.unreadable(line, f"is not JSON: {problem}")
        return None
    counter.met = True
    return event
