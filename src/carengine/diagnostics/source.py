"""Where a piece of text stands: sources, spans and blocks.

A ``Source`` is one whole file (or a string made in code) with its name. A ``Span`` is a stretch of
a source, given as two character offsets. Pseudocode often stands inside something else (after the
front matter of a ``.car`` file, inside a fence of a Markdown page, indented in a YAML block), and
the lenient reading even parses text that stands nowhere. A ``Block`` is such a text together with,
for each of its characters, the offset in the source that it came from, so that everything that is
said of it points into the file the user can open::

    Source("x.car", "---\\nid: A\\n---\\na = search Process:Create\\n")
    Block(source, "a = search Process:Create\\n", range(16, 43))
    Block.span(4, 10)  ->  Span(source, 20, 26)
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from functools import cached_property

from attrs import field, frozen


@frozen(slots=False, eq=False)
class Source:
    """One text and the name it is shown under.

    ``name`` is a path as the user gave it, or something in angle brackets for text that is
    in no file: ``<text>``. Two sources are equal only when they are the same object.

    >>> Source("x.car", "ab\\ncd").position(4)
    (2, 2)
    """

    name: str
    text: str = field(repr=False)

    @cached_property
    def _starts(self) -> list[int]:
        starts = [0]
        for index, character in enumerate(self.text):
            if character == "\n":
                starts.append(index + 1)
        return starts

    def position(self, offset: int) -> tuple[int, int]:
        """The line and the column (both from 1, columns in characters) of an offset.

        An offset outside the text is moved to its nearer end.
        """
        offset = max(0, min(offset, len(self.text)))
        line = bisect_right(self._starts, offset)
        return line, offset - self._starts[line - 1] + 1

    def line(self, number: int) -> str:
        """The text of a line (numbered from 1) without its line end."""
        start = self._starts[number - 1]
        end = self._starts[number] if number < len(self._starts) else len(self.text)
        return self.text[start:end].rstrip("\r\n")


@frozen(order=False)
class Span:
    """The characters ``start`` (included) to ``end`` (excluded) of a source."""

    source: Source = field(repr=lambda source: source.name)
    start: int
    end: int

    @property
    def text(self) -> str:
        """The source's characters in this span."""
        return self.source.text[self.start : self.end]

    @property
    def line(self) -> int:
        """The line the span starts in, from 1."""
        return self.source.position(self.start)[0]

    @property
    def column(self) -> int:
        """The column the span starts in, from 1."""
        return self.source.position(self.start)[1]

    def to(self, other: Span) -> Span:
        """From the start of this span to the end of the other, in the same source."""
        return Span(self.source, min(self.start, other.start), max(self.end, other.end))


@frozen
class Block:
    """A text to parse and where each of its characters stands in its source.

    ``offsets`` has one entry a character and one more for the end; a ``range`` will do
    where the block is a plain stretch of the source.
    """

    source: Source
    text: str = field(repr=False)
    offsets: Sequence[int] = field(repr=False)

    @classmethod
    def whole(cls, source: Source) -> Block:
        """The block that is all of a source."""
        return cls(source, source.text, range(len(source.text) + 1))

    @classmethod
    def of(cls, text: str, name: str = "<text>") -> Block:
        """The block of a text that stands alone.

        >>> Block.of("a = search Process").span(4, 10).text
        'search'
        """
        return cls.whole(Source(name, text))

    def span(self, start: int, end: int) -> Span:
        """The stretch of the source that the block's characters ``start`` to ``end`` came from."""
        last = len(self.offsets) - 1
        start = max(0, min(start, last))
        end = max(start, min(end, last))
        first = self.offsets[start]
        final = self.offsets[end - 1] + 1 if end > start else first
        return Span(self.source, first, max(first, final))
