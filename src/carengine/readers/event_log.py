"""Windows event logs as Windows keeps them (EVTX), by the `evtx` package.

A log is a header of 4 KiB and chunks of 64 KiB; a chunk is complete in itself: names, templates,
records. So the chunks are given to the package one by one, each behind a header of our own::

    header | chunk 1 | chunk 2 | 0000000 | chunk 4   ->   chunk 1, chunk 2, (never used), chunk 4

Thus a log is read as it streams by (from within a zip, from standard input), in the memory of one
chunk, a damaged header costs nothing, and a damaged chunk costs only itself, even if the parser
gives up on it altogether. A chunk says how many records it has, and every one of them that is not
given counts as unreadable.

The package's JSON has one value of ``Data`` elements with the same name, or numbers them
(``Lat_1``), by its version. Its XML has all of them. Whether there are such elements say the
templates of a chunk; only then are its records made XML too, and the values become a list.
"""

from __future__ import annotations

import io
import re
import struct
import zlib
from collections.abc import Callable, Iterator
from functools import cache
from importlib.metadata import version
from itertools import islice
from typing import Any

from ..diagnostics import codes, counted
from ..eventxml import EventXmlError, event_of_xml, marked_genuine
from ..jsontext import loads
from .record import ConvertedChunk, LogFilter, ReadReport, Record, RecordCounter
from .unpack import Content, DamageError, Feed, needs_package

_HEADER = 4096
_CHUNK = 1 << 16
_MARK = b"ElfChnk\0"
# A record has a header of 24 bytes, and its size once more at its end.
# So many chunks the native core gets at once.
_TOGETHER = 16
_MOST_RECORDS = (_CHUNK - 512) // 28

# `PyEvtxParser`, with the number of threads that it may use.
Parser = Callable[..., Any]


def _own_header() -> bytes:
    """The header of a log of one chunk."""
    fields = struct.pack("<8sQQQIHHHH", b"ElfFile\0", 0, 0, 1, 128, 1, 3, _HEADER, 1)
    start = fields.ljust(120, b"\0")
    return (start + struct.pack("<II", 0, zlib.crc32(start))).ljust(_HEADER, b"\0")


_OWN_HEADER = _own_header()


def read_event_log(content: Content, report: ReadReport) -> Iterator[Record]:
    """The records of a Windows event log."""
    try:
        from evtx import PyEvtxParser
    except ImportError:
        needs_package(content, report, "a Windows event log", "evtx")
        return
    counter = RecordCounter(content.name, report, content.meter.limits)
    feed = Feed(content.chunks)
    header = feed.take(_HEADER)
    (claimed,) = struct.unpack_from("<H", header.ljust(_HEADER, b"\0"), 42)
    chunks = 0
    filter_ = report.log_filter if _is_sure() else None
    for data, converted in _converted(feed, filter_):
        chunks += 1
        if not data.startswith(_MARK) and data.count(0) == len(data):
            continue  # a log is given room before it needs it
        if len(data) < _CHUNK:
            _damaged(counter, chunks, "is cut off")
        intact, lines = converted or (True, None)
        if filter_ is not None and lines is not None:
            if not intact:
                _say_checksum(counter, chunks)
            yield from _read_lines(counter, chunks, data, lines, PyEvtxParser, filter_)
        elif data.startswith(_MARK):
            yield from _read_chunk(counter, chunks, data.ljust(_CHUNK, b"\0"), PyEvtxParser)
        else:
            _damaged(counter, chunks, "has no header, and is not read")
    if chunks < claimed:
        _say(counter, f"is cut off: {claimed - chunks} of its {claimed} chunks are not there")
    if not counter.number:
        report.say(codes.NOT_EVIDENCE, content.within, "holds no events", about=content.name)


@cache
def _is_sure() -> bool:
    """Whether the native core reads event logs as the installed package does: by the same code."""
    try:
        import carengine_native

        return bool(version("evtx") == carengine_native.EVTX)
    except (ImportError, AttributeError):
        return False


def _converted(
    feed: Feed, filter_: LogFilter | None
) -> Iterator[tuple[bytes, ConvertedChunk | None]]:
    """The chunks, each with what the native core makes of it, if it is used."""
    if filter_ is None:
        yield from ((data, None) for data in _chunks(feed))
        return
    for batch, converted in filter_.converted(_batches(feed)):
        others = iter(converted)
        for data in batch:
            yield data, next(others) if _is_whole(data) else None


def _batches(feed: Feed) -> Iterator[tuple[list[bytes], bytes]]:
    """Several chunks at a time, with those of them one behind the other that are complete."""
    batch: list[bytes] = []
    failure: DamageError | None = None
    chunks = _chunks(feed)
    while failure is None:
        try:
            batch.extend(islice(chunks, _TOGETHER))
        except DamageError as damage:
            failure = damage
        if not batch:
            break
        yield batch, b"".join(data for data in batch if _is_whole(data))
        batch = []
    if failure is not None:
        raise failure


def _is_whole(data: bytes) -> bool:
    return len(data) == _CHUNK and data.startswith(_MARK)


def _chunks(feed: Feed) -> Iterator[bytes]:
    """The chunks; the last one, or the one that reading fails at, may be shorter."""
    failure: DamageError | None = None
    while failure is None:
        data, failure = _chunk(feed)
        if not data:
            break
        yield data
    if failure is not None:
        raise failure


def _read_lines(
    counter: RecordCounter,
    chunk: int,
    data: bytes,
    lines: tuple[bytes, list[int]],
    parser: Parser,
    filter_: LogFilter,
) -> Iterator[Record]:
    """The records of a chunk that are to be read, of those that the native core gives."""
    source, report = counter.source, counter.report
    whole = _WholeData(data, parser, False)
    text, numbers = lines
    at = 0
    for passed, _, line in filter_.records(text, counter.number + 1, source):
        report.records += passed
        counter.number += passed
        at += passed
        if line is None:
            continue
        report.records += 1
        counter.number += 1
        at += 1
        try:
            event = loads(line)
        except ValueError as problem:
            counter.unreadable(0, f"(chunk {chunk:,}) is not JSON after conversion: {problem}")
            continue
        whole.complete(event, numbers[at - 1])
        yield Record(event, source, counter.number)


def _chunk(feed: Feed) -> tuple[bytes, DamageError | None]:
    """The next chunk, shorter at the end or where reading fails."""
    pieces: list[bytes] = []
    left = _CHUNK
    try:
        while left and (piece := feed.upto(left)):
            pieces.append(piece)
            left -= len(piece)
    except DamageError as damage:
        return b"".join(pieces), damage
    return b"".join(pieces), None


def _say(counter: RecordCounter, message: str) -> None:
    counter.report.say(codes.UNREADABLE_FILE, counter.source, message)


def _damaged(counter: RecordCounter, chunk: int, message: str) -> None:
    _say(counter, f"chunk {chunk:,} {message}")


def _read_chunk(
    counter: RecordCounter, chunk: int, data: bytes, parser: Parser
) -> Iterator[Record]:
    first, last = struct.unpack_from("<QQ", data, 8)
    expected = last - first + 1 if 0 < last - first + 1 <= _MOST_RECORDS else 0
    _check(counter, chunk, data)
    source, report = counter.source, counter.report
    events: Iterator[dict[str, Any]] | None = None
    whole = _WholeData(data, parser, _may_repeat(data))
    read = failed = 0
    reason = ""
    while failed <= _MOST_RECORDS:
        try:
            if events is None:
                file = io.BytesIO(_OWN_HEADER + data)
                events = parser(file, number_of_threads=1).records_json()
            for item in events:
                read += 1
                report.records += 1
                counter.number += 1
                try:
                    event = loads(item["data"])
                except ValueError as problem:
                    counter.unreadable(
                        0, f"(chunk {chunk:,}) is not JSON after conversion: {problem}"
                    )
                    continue
                whole.complete(event, item["event_record_id"])
                yield Record(event, source, counter.number)
            break
        except RuntimeError as problem:
            # One record's, or all that is left of the chunk; iterating then goes on or ends.
            failed += 1
            reason = reason or " ".join(str(problem).split())[:200]
            if events is None:
                break
        except BaseException as problem:
            # A panic of the Rust code is no Exception, so that nobody catches it by mistake.
            if type(problem).__name__ != "PanicException":
                raise
            failed += 1
            reason = reason or f"the parser gives up: {' '.join(str(problem).split())[:200]}"
            break
    lost = max(failed, expected - read)
    if lost > 0:
        report.records += lost
        report.unreadable += lost
        counter.number += lost
        of = f" of its {expected:,}" if expected else ""
        why = f": {reason}" if reason else ""
        _damaged(counter, chunk, f"is damaged; not read: {counted(lost, 'record')}{of}{why}")


# A text that stands in a template as it is, as the names of fields do: its length and UTF-16.
_TEXT = re.compile(rb"\x05\x01(..)", re.DOTALL)
_BUCKETS, _TEMPLATES = 32, 384
_MOST_TEMPLATES = 2_000
_RECORD = struct.Struct("<II")


def _may_repeat(data: bytes) -> bool:
    """Whether a record of a chunk may have two ``Data`` elements of one name: some template, or a
    record without one, has the same text twice."""
    seen: set[int] = set()
    waiting = list(struct.unpack_from(f"<{_BUCKETS}I", data, _TEMPLATES))
    while waiting and len(seen) < _MOST_TEMPLATES:
        at = waiting.pop()
        if at in seen or not 512 <= at <= _CHUNK - 24:
            continue
        seen.add(at)
        following, size = struct.unpack_from("<I16xI", data, at)
        waiting.append(following)
        if _has_twice(data[at + 24 : at + 24 + size]):
            return True
    at = 512
    while at <= _CHUNK - 28:
        mark, size = _RECORD.unpack_from(data, at)
        if mark != 0x2A2A or size < 28:
            break
        # After the header of the record and of the fragment comes a template, nearly always.
        if data[at + 28 : at + 29] != b"\x0c" and _has_twice(data[at + 24 : at + size]):
            return True
        at += size
    return False


def _has_twice(binary: bytes) -> bool:
    texts: set[bytes] = set()
    for found in _TEXT.finditer(binary):
        size = 2 * int.from_bytes(found[1], "little")
        text = binary[found.end() : found.end() + size]
        if len(text) < max(size, 2):
            continue
        if text in texts:
            return True
        texts.add(text)
    return False


class _WholeData:
    """What the XML of a chunk's records adds to their JSON."""

    def __init__(self, data: bytes, parser: Parser, may_repeat: bool) -> None:
        self._data = data
        self._parser = parser
        self._may_repeat = may_repeat
        self._texts: dict[int, str] | None = None

    def complete(self, event: dict[str, Any], number: int) -> None:
        """Give a record's fields that are there several times all their values."""
        body = event.get("Event")
        if not isinstance(body, dict):
            return
        data = body.get("EventData")
        if not isinstance(data, dict) or not (self._may_repeat or _numbered(data)):
            return
        if self._texts is None:
            self._texts = self._xml()
        text = self._texts.get(number)
        if text is None:
            return
        try:
            said = event_of_xml(text)["Event"].get("EventData")
        except EventXmlError:
            return
        if not isinstance(said, dict):
            return
        for name, value in said.items():
            if isinstance(value, list) and name in data and name != "Data":
                data[name] = [_typed(one, data[name]) for one in value]
                for place in range(1, len(value)):
                    if f"{name}_{place}" not in said:
                        data.pop(f"{name}_{place}", None)
        body["EventData"] = marked_genuine(data)

    def _xml(self) -> dict[int, str]:
        texts: dict[int, str] = {}
        try:
            file = io.BytesIO(_OWN_HEADER + self._data)
            for item in self._parser(file, number_of_threads=1).records():
                texts[item["event_record_id"]] = item["data"]
        except RuntimeError:
            pass  # what is damaged was said for the JSON
        return texts


def _numbered(data: dict[str, Any]) -> bool:
    return any(name.endswith("_1") and name[:-2] in data for name in data)


def _typed(text: str, like: Any) -> Any:
    """A value of an element as the package has another one of its name in JSON."""
    if type(like) is int and re.fullmatch(r"-?\d{1,18}", text):
        return int(text)
    return text


def _check(counter: RecordCounter, chunk: int, data: bytes) -> None:
    """Say that a chunk was altered after it was written, or copied while it was being written."""
    (end,) = struct.unpack_from("<I", data, 48)
    (records,) = struct.unpack_from("<I", data, 52)
    (header,) = struct.unpack_from("<I", data, 124)
    wrong = not 512 <= end <= _CHUNK or zlib.crc32(data[512:end]) != records
    if wrong or zlib.crc32(data[128:512], zlib.crc32(data[:120])) != header:
        _say_checksum(counter, chunk)


def _say_checksum(counter: RecordCounter, chunk: int) -> None:
    counter.report.say(
        codes.CHECKSUM,
        counter.source,
        f"chunk {chunk:,} fails its checksum: it was altered, or copied while it was written",
    )
