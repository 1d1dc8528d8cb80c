"""Events written as JSON, in whichever way.

``layout`` looks at the first bytes of a text and tells which of two ways of reading fits:

* ``lines``: a record a line. Whatever a line holds, the next is not touched by it, so that logs
  with other text between the events are read as well.
* ``documents``: values one after another however they are spread over lines: the elements of an
  array, one pretty-printed object, several of them, or objects with nothing between them.

In both, a record is a JSON object; any other value, and what is not JSON, is an unreadable record::

    {"EventID": 1}\\n5\\n{"EventID": 3}\\n              lines: records 1 and 3; record 2 is
    unreadable [\\n  {"EventID": 1},\\n  {"EventID": 3}\\n]\\n      documents: records 1 and 2 {\\n
    "EventID": 1\\n}\\n{\\n  "EventID": 3\\n}\\n    documents: records 1 and 2

How a value is decoded, ``jsontext`` tells.

A line that is not JSON may be one of syslog with an event in it (see `syslog`); some programs write
logs of answers, whose records are in an array (see `pages`). A text in which no line is any of
this, and which does not begin like JSON, holds no records: it has one finding (CE506), and not one
for each line.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Generator, Iterable, Iterator, Sequence
from itertools import chain
from typing import Any

from attrs import define, field

from ..diagnostics import codes, counted
from ..jsontext import DEPTH, FAST, UnreadableError, decode, too_deep
from .json_blocks import kind_of, read_blocks, second_look
from .lines import BOM, Window, batches, without_mark
from .pages import ANSWER_HEAD, array_at, elements, opened, raw_of
from .record import ReadReport, Record, RecordCounter
from .unpack import Content
from .zeek import path_of, with_path

__all__ = ["FAST", "UnreadableError", "decode", "layout", "read_json"]

# What may follow the array of an answer.
_LONGEST_TAIL = 1 << 20
# Of the lines that are read at once.
_MANY_EMPTY = 64
_SPACE = b" \t\r\n\x0b\x0c"


# Which way of reading

_TRIED = 8
_LIKE_AN_OBJECT = re.compile(rb'\{\s*(?:["}]|$)')
_LIKE_AN_ARRAY = re.compile(rb"\[\s*(?:[\[{\]]|$)")


def layout(head: bytes) -> str:
    """``lines`` or ``documents``, told from the first bytes of a text.

    An object or array that ends on its first line, with nothing but white space after it, speaks
    for lines (an array only when an object follows on a line of its own, as in a log with odd
    lines); one that goes on over several lines, or is followed by another on the same line, for
    documents. So does one of the next few objects, since a pretty-printed ``{}`` is one line.
    """
    text = head.removeprefix(BOM).lstrip(_SPACE)
    lines = text.split(b"\n")
    match text[:1]:
        case b"{":
            start = 0
            for _ in range(_TRIED):
                # Most are one line, which is decoded faster than it is looked through.
                line = text.find(b"\n", start)
                alone = line >= 0 and _is_object(text[start:line])
                end = line if alone else _Scan().run(text, start)
                if end is None or end < 0 or not (alone or _is_object(text[start:end])):
                    break
                rest = text[end:].split(b"\n", 1)[0].strip(_SPACE)
                if b"\n" in text[start:end] or rest[:1] == b"{":
                    return "documents"
                start = text.find(b"{", end)
                if start < 0 or text[end:start].strip(_SPACE):
                    break
            if start:
                return "lines"
            if b"\n" not in text or not _LIKE_AN_OBJECT.match(text):
                return "lines"
            if any(line.startswith((b'{"', b"{}")) and _is_object(line) for line in lines):
                return "lines"
            return "documents"
        case b"[":
            alone = _is_json(lines[0])
            following = next((line for line in lines[1:] if line.strip(_SPACE)), b"")
            if alone and _is_object(following):
                return "lines"
            if alone or _LIKE_AN_ARRAY.match(text):
                return "documents"
            # [10:15:32] INFO … is a log line; [1,\n2] is not, and holds no events either.
            return "lines"
        case _:
            return "lines"


def _is_json(data: bytes) -> bool:
    try:
        decode(data)
    except UnreadableError:
        return False
    return True


def _is_object(data: bytes) -> bool:
    return data.lstrip(_SPACE)[:1] == b"{" and _is_json(data)


def read_json(content: Content, report: ReadReport) -> Iterator[Record]:
    """The records of a text, in whichever layout its beginning shows."""
    # A record must not depend on whether a mark stands before the first one.
    chunks = without_mark(content.chunks)
    counter = RecordCounter(content.name, report, content.meter.limits)
    start = content.head.removeprefix(BOM).lstrip(_SPACE)
    if not _is_request_a_line(start) and array_at(start[:ANSWER_HEAD]) is not None:
        yield from _adapted(counter, _read_answers(counter, Window(chunks)))
    elif layout(content.head) == "documents":
        yield from _adapted(counter, _read_documents(counter, Window(chunks)))
    else:
        yield from _adapted(counter, _read_lines(counter, chunks))
        conclude(counter, content.within, like_json=like_json(content.head))
        return
    if not counter.number:
        report.say(codes.NOT_EVIDENCE, content.within, "holds no events", about=content.name)


def _is_request_a_line(head: bytes) -> bool:
    """Whether the first two lines are whole requests of OTLP, as OpenTelemetry's collector writes
    them to a file."""
    first, end, rest = head.partition(b"\n")
    second, other_end, _ = rest.partition(b"\n")
    if not (end and other_end and first.startswith(b'{"resourceLogs"')):
        return False
    return second.startswith(b'{"resourceLogs"') and _is_object(first) and _is_object(second)


def like_json(head: bytes) -> bool:
    """Whether a text begins as objects of JSON do."""
    return _LIKE_AN_OBJECT.match(head.removeprefix(BOM).lstrip(_SPACE)) is not None


def conclude(counter: RecordCounter, within: str, *, like_json: bool) -> None:
    """After the last line of a text: say whether it held anything at all."""
    report = counter.report
    if counter.records and not counter.met and not like_json:
        report.take_back(codes.UNREADABLE_RECORD, counter.source)
        report.records -= counter.records
        report.unreadable -= counter.records
        report.sources -= 1
        report.say(
            codes.NOT_EVIDENCE,
            within,
            f"is text of no known format: no JSON in {counted(counter.records, 'line')}",
            about=counter.source,
        )
    if not counter.records:
        report.say(codes.NOT_EVIDENCE, within, "holds no events", about=counter.source)


def _adapted(counter: RecordCounter, records: Iterator[Record]) -> Iterator[Record]:
    """The records, after what their first one and the file's name show must be done to them."""
    first = next(records, None)
    if first is None:
        return records
    # The first has been taken; what is done to the others must be done to it.
    return _treated(counter, chain((first,), records), _treatment(first))


class Treatment(enum.Enum):
    """What must be done to the records of a text, which its first one shows."""

    NONE = "none"
    TAKEN_APART = "taken apart"
    OPENED = "opened"


def _treatment(first: Record) -> Treatment:
    if elements(first.event) is not None:
        return Treatment.TAKEN_APART
    return Treatment.NONE if raw_of(first.event) is None else Treatment.OPENED


def _treated(
    counter: RecordCounter, records: Iterator[Record], treatment: Treatment
) -> Iterator[Record]:
    match treatment:
        case Treatment.TAKEN_APART:
            return _taken_apart(counter, records)
        case Treatment.OPENED:
            return opened(records, decode)
        case Treatment.NONE:
            path = path_of(counter.source)
            return with_path(records, path) if path else records


# Texts in pieces


def treatment_of_lines(content: Content) -> Treatment | None:
    """How the lines of a text are to be treated, if it has a record a line and its head shows how;
    else None.

    Such a text can be read in pieces (`read_piece`).
    """
    text = content.head.removeprefix(BOM)
    if (
        array_at(text.lstrip(_SPACE)[:ANSWER_HEAD]) is not None
        or layout(content.head) == "documents"
    ):
        return None
    # Only whole lines: the last one may go on after the head.
    whole = text[: text.rfind(b"\n") + 1]
    counter = RecordCounter(content.name, ReadReport(), content.meter.limits)
    first = next(_read_lines(counter, iter((whole,))), None)
    return None if first is None else _treatment(first)


def read_piece(
    counter: RecordCounter, chunks: Iterator[bytes], treatment: Treatment, lines: list[int]
) -> Iterator[Record]:
    """The records of some whole lines of a text, numbered by ``counter``. How many lines it were is
    added to ``lines``."""
    return _treated(counter, _read_lines(counter, chunks, lines), treatment)


def _taken_apart(counter: RecordCounter, records: Iterator[Record]) -> Iterator[Record]:
    """The elements of answers as records of their own, in place of the answers."""
    for record in records:
        found = elements(record.event)
        if found is None:
            yield record
            continue
        counter.number -= 1
        counter.report.records -= 1
        for element in found:
            number = counter.count()
            if isinstance(element, dict):
                yield Record(element, record.source, number)
            else:
                counter.unreadable(0, f"is {kind_of(element)}, not an object")


def _read_answers(counter: RecordCounter, window: Window) -> Iterator[Record]:
    """The records of answers one after another, each as it streams by; what is no answer is read as
    it is."""
    while window.skip(_WHITE):
        while len(window.data) - window.at < ANSWER_HEAD and window.more():
            pass
        found = array_at(bytes(window.data[window.at : window.at + ANSWER_HEAD]))
        if found is None:
            yield from _taken_apart(counter, _read_documents(counter, window))
            return
        start, depth = found
        line = window.line
        before = bytes(window.data[window.at : window.at + start])
        window.at += start
        if not (yield from _read_documents(counter, window, alone=True)):
            return
        after = _up_to_end(window, depth)
        try:
            whole = after is not None and isinstance(
                decode(before + b"[]" + after, counter.limits.json_depth), dict
            )
        except UnreadableError:
            whole = False
        if not whole:
            message = "what follows the array of records is not the rest of one JSON object"
            counter.report.say(codes.BETWEEN_RECORDS, counter.source, message, line=line)
        if after is None:
            break
    if window.failure is not None:
        raise window.failure


def _up_to_end(window: Window, depth: int) -> bytes | None:
    """What follows up to the end of the object that is open, passed over; None if it has no end in
    sight."""
    scan = _Scan(open=bytearray(b"{" * depth))
    while (end := scan.run(window.data, window.at)) is None:
        if len(window.data) - window.at > _LONGEST_TAIL:
            break
        scan.at -= window.at
        if not window.more():
            break
    if end is None or end == _BROKEN:
        while window.more():
            window.at = len(window.data)
        return None
    after = bytes(window.data[window.at : end])
    window.at = end
    return after


# A record a line


def _read_lines(
    counter: RecordCounter, chunks: Iterator[bytes], read: list[int] | None = None
) -> Iterator[Record]:
    # Everything in this loop is paid for every event: names are local, and what is rare is
    # elsewhere.
    report, limits, source = counter.report, counter.limits, counter.source
    limit, depth = limits.record_bytes, limits.json_depth
    if report.line_filter is not None and depth == DEPTH:
        yield from read_blocks(counter, chunks, report.line_filter, read)
        return
    loads = FAST if FAST is not None else decode
    # Whoever takes lines unread holds them to the usual limit.
    candidates = report.candidates if depth == DEPTH else None
    position = 0
    for lines in batches(chunks, limit):
        start = position + 1
        position += len(lines)
        if read is not None:
            read[0] = position
        numbers, lines = _filled(lines, start)
        # Blank lines that are not among the lines, and how many of them were passed.
        without, passed = position + 1 - start - len(lines), 0
        places: Iterable[int] = range(len(lines))
        if candidates is not None and max(map(len, lines), default=0) <= limit:
            places = candidates(lines)
        begun = 0
        for place in chain(places, (len(lines),)):
            if without:
                before = without if place == len(lines) else numbers[place] - start - place
                counter.pass_over(before - passed)
                passed = before
            if place > begun:
                report.records += place - begun
                counter.number += place - begun
                counter.met = True
            begun = place + 1
            if place == len(lines):
                break
            line = lines[place]
            try:
                # Looked at before: old versions of orjson end the process on deep nesting.
                event = None if too_deep(line, depth) else loads(line)
            except (ValueError, RecursionError):
                event = None
            if type(event) is dict and len(line) <= limit:
                report.records += 1
                counter.number += 1
                counter.met = True
                yield Record(event, source, counter.number)
            elif line.strip(_SPACE):
                counter.count()
                event = second_look(counter, line, numbers[place])
                if event is not None:
                    yield Record(event, source, counter.number)
            else:
                counter.pass_over(1)


def _filled(lines: list[bytes], start: int) -> tuple[Sequence[int], list[bytes]]:
    """The lines and their numbers; where many are empty, without those.

    To decode an empty line costs as much as a short event, and 32 MiB of them are a file of 32 KiB.
    """
    if lines.count(b"\n") + lines.count(b"\r\n") > _MANY_EMPTY:
        filled = [(at, line) for at, line in enumerate(lines, start) if not line.isspace()]
        return [at for at, _ in filled], [line for _, line in filled]
    return range(start, start + len(lines)), lines


# Values one after another

_OUTSIDE = re.compile(rb'["{}\[\]]')
_INSIDE = re.compile(rb'["\\\n]')
_PARTNER = {0x7D: 0x7B, 0x5D: 0x5B}
_BROKEN = -1


@define(eq=False)
class _Scan:
    """Finds the end of an object, array or string; goes on where it stopped when there is more."""

    open: bytearray = field(factory=bytearray)
    in_string: bool = False
    at: int = 0

    def run(self, data: bytes | bytearray, start: int) -> int | None:
        """The offset after the value that begins at ``start``; None if it goes on after the data.

        ``_BROKEN`` when no value can come of it; ``at`` then is where that was seen.
        """
        at = max(self.at, start)
        while True:
            found = (_INSIDE if self.in_string else _OUTSIDE).search(data, at)
            if found is None:
                self.at = max(at, len(data))
                return None
            byte = data[found.start()]
            at = self.at = found.end()
            if self.in_string:
                if byte == 0x5C:
                    at += 1
                    continue
                if byte == 0x0A:
                    return _BROKEN
                self.in_string = False
            elif byte == 0x22:
                self.in_string = True
                continue
            elif byte in (0x7B, 0x5B):
                self.open.append(byte)
                if len(self.open) > _OPEN_AT_ONCE:
                    return _BROKEN
                continue
            elif not self.open or self.open.pop() != _PARTNER[byte]:
                return _BROKEN
            if not self.open:
                return at


_WHITE = re.compile(rb"[ \t\r\n\x0b\x0c]*")
_UP_TO_COMMA = re.compile(rb"[^,\]\n]*")
_UP_TO_LINE_END = re.compile(rb"[^\n]*")
# How often a stretch that was looked at in vain may be looked at again.
_SECOND_SCANS = 16
_TRUST = 64
# Brackets that are open at once, before a value counts as broken whatever follows.
_OPEN_AT_ONCE = 1 << 24


@define(eq=False)
class _Documents:
    """Where reading values one after another stands.

    ``separator`` is what stands between the values before this one. Programs that write arrays
    always write the same, so ``}`` + separator + ``{`` most likely is where this one ends: if what
    is before it decodes as an object then it is one, for no object begins with another. It is also
    where reading goes on after a value that has no end of its own. ``trust`` is how many such
    guesses may go wrong before no more are made: a text can be written so that every one costs much
    and fails.
    """

    counter: RecordCounter
    window: Window
    separator: bytes = b"\n"
    in_array: bool = False
    scanned: int = 0
    second_scans: int = _SECOND_SCANS
    trust: int = _TRUST

    def guess(self) -> dict[str, Any] | None:
        """The object at the window, if it ends where the one before suggests.

        The window is then at the one after it.
        """
        if FAST is None or not self.trust:
            return None
        window, limits = self.window, self.counter.limits
        end = window.data.find(b"}" + self.separator + b"{", window.at) + 1
        self.trust -= 1
        if not 0 < end - window.at <= limits.record_bytes:
            return None
        data = bytes(window.data[window.at : end])
        try:
            event = FAST(data)
        except (ValueError, RecursionError):
            return None
        if too_deep(data, limits.json_depth):
            return None
        self.trust = min(_TRUST, self.trust + 2)
        window.at = end + len(self.separator)
        assert isinstance(event, dict)  # it begins with a brace
        return event

    def value(self) -> bytes | None:
        """The bytes of the value at the window, passed over; None if it has no end.

        Of a value over the limit, just more bytes than the limit.
        """
        window, limit = self.window, self.counter.limits.record_bytes
        if window.base + window.at < self.scanned:
            if not self.second_scans:
                return None
            self.second_scans -= 1
        scan = _Scan()
        large = False
        while (end := scan.run(window.data, window.at)) is None:
            if large or len(window.data) - window.at > limit:
                large = True
                window.at = len(window.data)
            # `more` moves the data to the front, and the scan with it.
            scan.at -= window.at
            if not window.more():
                end, scan.at = _BROKEN, len(window.data)
                break
        if end == _BROKEN:
            self.scanned = max(self.scanned, window.base + scan.at)
            if large:
                window.at = scan.at
            return None
        data = b"" if large else bytes(window.data[window.at : end])
        window.at = end
        return bytes(limit + 1) if large else data

    def plain(self, extent: re.Pattern[bytes]) -> bytes:
        """The bytes of a value without brackets, or of what is no value, passed over."""
        window, limit = self.window, self.counter.limits.record_bytes
        kept = bytearray()
        while True:
            found = extent.match(window.data, window.at)
            assert found is not None
            if len(kept) <= limit:
                kept += found[0]
            window.at = found.end()
            if window.at < len(window.data) or not window.more():
                return bytes(kept)

    def resume(self) -> bool:
        """After a value without an end: go to where the next one surely begins, if there is such a
        place.

        Only a line end followed by the same indentation is sure; in a text without line ends, an
        object inside the broken one would pass for an event.
        """
        if b"\n" in self.separator and self.window.seek(self.separator + b"{"):
            self.window.at += len(self.separator)
            return True
        return False


def _read_documents(
    counter: RecordCounter, window: Window, *, alone: bool = False
) -> Generator[Record, None, bool]:
    """The records from where the window stands; whether they end as they should.

    ``alone``: only those of the array that begins there; the window is then after it.
    """
    state = _Documents(counter, window)
    report, source = counter.report, counter.source
    wants_comma = False
    while byte := window.skip(_WHITE):
        match byte:
            case b"[" if not state.in_array:
                window.at += 1
                window.skip(_WHITE)
                state.in_array, wants_comma = True, False
                state.separator = b"," + _white_before(window)
                continue
            case b"]" if state.in_array:
                window.at += 1
                if alone:
                    return True
                state.in_array, wants_comma = False, False
                state.separator = b"\n"
                continue
            case b"," if state.in_array and wants_comma:
                window.at += 1
                wants_comma = window.skip(_WHITE) in (b"]", b",")
                if wants_comma:
                    _loose(counter, window.line)
                continue
            case b"," if state.in_array:
                _loose(counter, window.line)
                window.at += 1
                continue
            case _:
                if wants_comma:
                    _loose(counter, window.line)
        number = counter.count()
        if byte == b"{" and (event := state.guess()) is not None:
            counter.met = True
            wants_comma = False  # the guess has passed over what separates it from the next
            yield Record(event, source, number)
            continue
        line = window.line
        if byte in b'{["':
            data = state.value()
        else:
            data = state.plain(_UP_TO_COMMA if state.in_array else _UP_TO_LINE_END)
        if data is None:
            counter.unreadable(line, "is broken JSON, and has no end")
            if not state.resume():
                where = f"from line {line:,} on"
                reason = "nothing shows where the next record begins after a broken one"
                message = f"cannot be read {where}: {reason}"
                report.say(codes.UNREADABLE_FILE, source, message, line=line)
                break
            wants_comma = False
            continue
        event = second_look(counter, data, line)
        wants_comma = state.in_array
        _learn(state)
        if event is not None:
            yield Record(event, source, number)
    else:
        if state.in_array and window.failure is None:
            message = "ends within its JSON array; it may be cut off"
            report.say(codes.UNREADABLE_FILE, source, message)
    if window.failure is not None:
        raise window.failure
    return not alone


def _loose(counter: RecordCounter, line: int) -> None:
    message = f"a comma is missing or too many after record {counter.number}"
    counter.report.say(codes.LOOSE_ARRAY, counter.source, message, line=line)


def _white_before(window: Window) -> bytes:
    """The white space that ends where the window stands, as far as it is still there."""
    before = bytes(window.data[max(0, window.at - 256) : window.at])
    return before[len(before.rstrip(_SPACE)) :]


_GAP = re.compile(rb"([ \t\r\n]*,?[ \t\r\n]*)\{")


def _learn(state: _Documents) -> None:
    """Remember what stands between the value just passed and the next, if that is in sight."""
    window = state.window
    found = _GAP.match(window.data, window.at, window.at + 256)
    if found is not None and (b"," in found[1]) == state.in_array:
        state.separator = found[1]
