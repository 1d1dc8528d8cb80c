"""Windows events written as XML, in files.

``wevtutil`` and the event viewer write one ``<Events>`` around all, other programs one event after
another, or one a line. None of that matters here: an event is what stands between ``<Event …>`` and
``</Event>``, each is parsed by itself (see `carengine.eventxml`), and a broken one costs no other::

    <?xml version="1.0"?><Events><Event>…</Event>    <Event>…    <Event>…</Event></Events>
                                 record 1            2: no end   record 3
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from ..diagnostics import codes
from ..eventxml import EventXmlError, event_of_xml
from .lines import Window, without_mark
from .record import ReadReport, Record, RecordCounter
from .unpack import Content

# A tag with what must follow it is no longer than this; so much is looked at again when there is
# more.
_LONGEST_MARK = 96
# What stands between two events is kept up to here, so that a frame in it is known as one.
_LONGEST_GAP = 1 << 16
_START = rb"<(?:[A-Za-z_][\w.-]{0,63}:)?Event(?=[\s/>])"
_OUTSIDE = re.compile(rb"<!--|" + _START)
_INSIDE = re.compile(
    rb"<!--|<!\[CDATA\[|</(?:[A-Za-z_][\w.-]{0,63}:)?Event[ \t\r\n]{0,9}>|" + _START
)
_CLOSES = {b"<!--": re.compile(rb"-->"), b"<![CDATA[": re.compile(rb"\]\]>")}
_FRAME = re.compile(
    r"(?:\s|<\?[^<>]{0,999}\?>|</?(?:[A-Za-z_][\w.-]{0,63}:)?Events(?:\s[^<>]{0,9999})?>)*"
)
_ENCODING = re.compile(rb"<\?xml[^<>]{0,200}?\bencoding\s*=\s*[\"']([\w.:-]{1,40})[\"']")
_SINGLE_BYTE = frozenset({"iso-8859-1", "latin1", "windows-1252", "us-ascii", "ascii"})


def is_event_xml(head: bytes) -> bool:
    """Whether a text begins like XML and its beginning has an event in it."""
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    return text[:1] == b"<" and re.search(_START, text) is not None and _begins_so(text)


def _begins_so(text: bytes) -> bool:
    return (
        re.match(rb"<(?:\?xml\b|!--|" + _START[1:] + rb"|(?:[\w.-]{1,64}:)?Events[\s>])", text)
        is not None
    )


def read_event_xml(content: Content, report: ReadReport) -> Iterator[Record]:
    """The events in an XML text."""
    counter = RecordCounter(content.name, report, content.meter.limits)
    declared = _ENCODING.match(content.head.removeprefix(b"\xef\xbb\xbf").lstrip())
    name = declared[1].decode("ascii").lower() if declared else "utf-8"
    # A text in UTF-16 has been recoded, whatever it still declares.
    encoding = name if name in _SINGLE_BYTE else "utf-8"
    window = Window(without_mark(content.chunks))
    for line, data, problem in _fragments(counter, window):
        number = counter.count()
        if data is None:
            counter.unreadable(line, problem)
            continue
        if len(data) > counter.limits.record_bytes:
            counter.too_large(line)
            continue
        try:
            event = event_of_xml(data.decode(encoding))
        except UnicodeDecodeError as failure:
            counter.unreadable(line, f"is not {encoding}: byte {failure.start + 1} of it is wrong")
        except EventXmlError as failure:
            counter.unreadable(line, f"is not an event's XML: {failure}")
        else:
            yield Record(event, content.name, number)
    if window.failure is not None:
        raise window.failure
    if not counter.number:
        report.say(codes.NOT_EVIDENCE, content.within, "holds no events", about=content.name)


def _fragments(counter: RecordCounter, window: Window) -> Iterator[tuple[int, bytes | None, str]]:
    """The line an event begins on and its text, or None and why there is none.

    Of an event over the limit, enough bytes to show that it is.
    """
    limit = counter.limits.record_bytes
    inside = ended = large = False
    closes: re.Pattern[bytes] | None = None
    scan = window.at
    while True:
        pattern = closes or (_INSIDE if inside else _OUTSIDE)
        found = pattern.search(window.data, scan)
        if not ended and (found is None or found.end() > len(window.data) - _LONGEST_MARK):
            # The mark, or what follows it, may go on in the next chunk.
            scan = max(
                scan,
                min(found.start() if found else len(window.data), len(window.data) - _LONGEST_MARK),
            )
            if inside and scan - window.at > limit:
                large = True
            if large or (not inside and closes is not None):
                window.at = scan
            elif not inside and scan - window.at > _LONGEST_GAP:
                _between(counter, window, scan)
            scan -= window.at
            ended = not window.more()
            scan += window.at
            continue
        if found is None:
            break
        if closes is not None:
            closes, scan = None, found.end()
            if not inside:
                window.at = scan
            continue
        mark = bytes(found[0])
        scan = found.end()
        if mark in _CLOSES:
            closes = _CLOSES[mark]
            if not inside:
                _between(counter, window, found.start())
        elif mark.startswith(b"</"):
            line = window.line
            data = bytes(limit + 1) if large else bytes(window.data[window.at : found.end()])
            window.at = found.end()
            inside = large = False
            yield line, data, ""
        else:
            if inside:
                line = window.line
                large = False
                window.at = found.start()
                yield line, None, "has no end before the next event"
            else:
                _between(counter, window, found.start())
            inside = True
    if inside:
        yield window.line, None, "has no end"
    elif window.failure is None:
        _between(counter, window, len(window.data))


def _between(counter: RecordCounter, window: Window, end: int) -> None:
    """Pass over what stands between two events, and say so if it is more than XML's frame."""
    text = bytes(window.data[window.at : end]).decode("utf-8", "replace")
    if not _FRAME.fullmatch(text):
        counter.report.say(
            codes.BETWEEN_RECORDS,
            counter.source,
            f"what stands after record {counter.number} is no event; it is passed over",
            line=window.line,
        )
    window.at = end
