"""Text in lines, as all formats that have a record a line are read.

``batches`` cuts chunks of any size into lists of whole lines; a list at a time, because a generator
step a line would cost as much as decoding it::

    [b'{"a": 1}\\n{"a"', b': 2}\\n']   ->   [b'{"a": 1}\\n'], [b'{"a": 2}\\n']
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator

from attrs import define, field

from .unpack import DamageError

BOM = b"\xef\xbb\xbf"


def without_mark(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """The chunks without the byte order mark that may stand before them."""
    first = b""
    for chunk in chunks:
        first += chunk
        if len(first) >= len(BOM):
            break
    if first:
        yield first.removeprefix(BOM)
    yield from chunks


def batches(chunks: Iterator[bytes], limit: int) -> Iterator[list[bytes]]:
    """Lines with their ends, in lists. Of a line over the limit only as much is given as shows that
    it is.

    When the chunks fail, what they gave comes first.
    """
    held: list[bytes] = []
    size = 0
    failure: DamageError | None = None
    while True:
        try:
            chunk = next(chunks, None)
        except DamageError as damage:
            failure, chunk = damage, None
        if chunk is None:
            break
        lines = io.BytesIO(chunk).readlines()  # several times as fast as bytes.split
        rest = lines.pop() if lines and not lines[-1].endswith(b"\n") else b""
        if lines:
            if held:
                held.append(lines[0])
                lines[0] = b"".join(held)
                held.clear()
                size = 0
            yield lines
        if rest and size <= limit:
            held.append(rest)
            size += len(rest)
    if held:
        yield [b"".join(held)]
    if failure is not None:
        raise failure


def blocks(chunks: Iterator[bytes], limit: int) -> Iterator[tuple[bytes, bool]]:
    """Whole lines with their ends, many in one text, each with whether it is the last one: that may
    lack its line end. Of a line over the limit only as much is given as shows that it is.

    When the chunks fail, what they gave comes first.
    """
    held: list[bytes] = []
    size = 0
    failure: DamageError | None = None
    while True:
        try:
            chunk = next(chunks, None)
        except DamageError as damage:
            failure, chunk = damage, None
        if chunk is None:
            break
        end = chunk.rfind(b"\n") + 1
        if end:
            yield b"".join((*held, memoryview(chunk)[:end])), False
            held, size = [], 0
        if end < len(chunk) and size <= limit:
            held.append(chunk[end:])
            size += len(chunk) - end
    if held:
        yield b"".join(held), True
    if failure is not None:
        raise failure


def numbered(chunks: Iterator[bytes], limit: int) -> Iterator[tuple[int, bytes]]:
    """Line numbers from 1 and lines without their ends, for formats where a line costs more
    anyway."""
    number = 0
    for lines in batches(chunks, limit):
        for line in lines:
            number += 1
            yield number, line.rstrip(b"\r\n")


@define(eq=False)
class Window:
    """The part of a stream that is being looked at.

    ``data[at:]`` is what has not been dealt with, ``base`` the offset of ``data`` in the stream.
    Lines are counted (up to ``counted``) only when somebody asks.
    """

    chunks: Iterator[bytes]
    data: bytearray = field(factory=bytearray)
    at: int = 0
    base: int = 0
    lines: int = 0
    counted: int = 0
    failure: DamageError | None = None

    @property
    def line(self) -> int:
        """The line (from 1) that the window is at."""
        self.lines += self.data.count(b"\n", self.counted, self.at)
        self.counted = self.at
        return self.lines + 1

    def more(self) -> bool:
        """Add a chunk, and forget what has been dealt with; False at the end."""
        try:
            chunk = next(self.chunks, None)
        except DamageError as damage:
            self.failure, chunk = damage, None
        if chunk is None:
            return False
        self.lines += self.data.count(b"\n", self.counted, self.at)
        del self.data[: self.at]
        self.base += self.at
        self.at = self.counted = 0
        self.data += chunk
        return True

    def skip(self, gap: re.Pattern[bytes]) -> bytes | bytearray:
        """Pass over what a pattern matches; the byte after it, or none at the end."""
        while True:
            found = gap.match(self.data, self.at)
            assert found is not None
            self.at = found.end()
            if self.at < len(self.data):
                return self.data[self.at : self.at + 1]
            if not self.more():
                return b""

    def seek(self, mark: bytes) -> bool:
        """Pass over everything up to the next occurrence of some bytes; False if there is none."""
        while (found := self.data.find(mark, self.at)) < 0:
            self.at = max(self.at, len(self.data) - len(mark) + 1)
            if not self.more():
                self.at = len(self.data)
                return False
        self.at = found
        return True
