"""Evidence in pieces that several processes can read apart from each other.

The walk through folders and archives stays one, in order; what it comes to is cut::

    a large file of lines     a `Lines` for a stretch of it, from line end to line end; then an
    `Ending` lines in an archive       the same every few MiB, with the unpacked bytes in it:
    unpacking stays with the walk any other file            a `Whole`: its path, or what was
    unpacked of it what is too large for it  `Here`: to be read by whoever walks

`read` gives the records of a piece. Records of `Lines` are numbered from the piece's beginning;
whoever puts the pieces together counts on. All pieces are plain data.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterator
from itertools import chain
from typing import BinaryIO

from attrs import define, frozen

from .json_text import Treatment, like_json, read_piece, treatment_of_lines
from .lines import without_mark
from .reading import FormattedContent, Walk, guarded, recognise, records_of
from .record import Limits, ReadReport, Record, RecordCounter
from .unpack import CHUNK, Content, DamageError, Meter, RefusalError, file_chunks

PIECE = 4 << 20
"""How many bytes of lines are a piece; the line that the last of them is in belongs to it. Of files
it may be more."""

_MOST_HELD = 32 << 20


@frozen
class Lines:
    """Whole lines of a text with a record a line: bytes ``start`` to ``end`` of the file at
    ``path``, or ``data``.

    ``text`` is a number that the pieces of one text share. ``opening`` is the first of them.
    """

    text: int
    name: str
    within: str
    treatment: Treatment
    opening: bool = False
    data: bytes | None = None
    path: str = ""
    start: int = 0
    end: int | None = None

    @property
    def size(self) -> int | None:
        """How many bytes there are; None where that is open."""
        if self.data is not None:
            return len(self.data)
        return None if self.end is None else self.end - self.start


@frozen
class Ending:
    """The end of a text that was cut in pieces; ``failure`` is what ended it before its time, and
    how."""

    text: int
    name: str
    within: str
    like_json: bool
    failure: tuple[str, str] | None = None


@frozen
class Whole:
    """One content that cannot be cut: the file at ``path``, or ``data`` that was unpacked."""

    name: str
    within: str
    depth: int
    data: bytes | None = None
    path: str = ""
    size: int = 0


@frozen(eq=False)
class Here:
    """One content that must be read before the walk goes on."""

    found: FormattedContent


Piece = Lines | Whole
Step = Piece | Ending | Here


def pieces(
    walk: Walk,
    paths: list[str],
    stopped: set[int],
    size: int = PIECE,
    stretch: Callable[[int], int] = lambda left: PIECE,
) -> Generator[Step, None, None]:
    """What there is at some paths, in order. Of texts whose number is put into ``stopped`` no more
    is cut.

    ``size`` is how many bytes of unpacked lines are a piece, ``stretch`` tells it for lines of a
    file of which so many bytes are left.
    """
    for number, (row, content) in enumerate(walk.paths(paths)):
        path = _path(content)
        treatment = whole = None
        if path:
            assert content.file is not None
            walk.report.bytes_read -= content.file.tell()  # whoever reads the pieces counts them
            whole = os.stat(path).st_size
        # A small file needs no cutting, and what its lines are like whoever reads it will see.
        if row.read is not None and row.name == _LINES and (whole is None or whole > size):
            treatment = treatment_of_lines(content)
        if treatment is not None:
            opening = Lines(number, content.name, content.within, treatment, opening=True)
            cut: Iterator[Lines | tuple[str, str]]
            if path:
                assert content.file is not None
                cut = _cut_file(opening, path, content.file, stretch)
            else:
                cut = _cut_stream(opening, content, size)
            failure: tuple[str, str] | None = None
            for item in cut:
                if isinstance(item, tuple):
                    failure = item
                    continue
                yield item
                if number in stopped:
                    break
            yield Ending(number, content.name, content.within, like_json(content.head), failure)
        elif whole is not None:
            yield Whole(content.name, content.within, content.depth, path=path, size=whole)
        else:
            yield _held(row, content)


# The row of the table of formats whose contents may be lines.
_LINES = "JSON or other text"


def _path(content: Content) -> str:
    """Where the content can be opened again; nothing where it cannot."""
    file = content.file
    name = getattr(file, "name", None)
    if file is None or content.depth or not isinstance(name, str):
        return ""
    try:
        return name if os.path.samestat(os.fstat(file.fileno()), os.stat(name)) else ""
    except (OSError, ValueError):
        return ""


def _cut_file(
    opening: Lines, path: str, file: BinaryIO, stretch: Callable[[int], int]
) -> Iterator[Lines]:
    """Stretches of a file. Only the surroundings of the borders are looked at."""
    start = 0
    while True:
        left = os.fstat(file.fileno()).st_size - start
        end = _line_end(file, start + stretch(left) - 1)
        yield _evolved(opening, opening=start == 0, path=path, start=start, end=end)
        if end is None:
            return
        start = end


def _line_end(file: BinaryIO, at: int) -> int | None:
    """The offset after the line that a byte is in; None if that is the last one, or cannot be
    read."""
    try:
        file.seek(at)
        while block := file.read(CHUNK):
            found = block.find(b"\n")
            if found >= 0:
                end = at + found + 1
                return end if file.seek(0, os.SEEK_END) > end else None
            at += len(block)
    except OSError:
        pass  # whoever reads to the end will say so
    return None


def _cut_stream(opening: Lines, content: Content, size: int) -> Iterator[Lines | tuple[str, str]]:
    """Lines as they are unpacked; last, what ended them before their time, if something did."""
    limit = content.meter.limits.record_bytes
    held: list[bytes] = []
    total = unended = 0
    first = True
    failure: tuple[str, str] | None = None
    chunks = without_mark(content.chunks)
    while True:
        try:
            chunk = next(chunks, None)
        except DamageError as damage:
            failure, chunk = ("damage", str(damage)), None
        except RefusalError as refusal:
            content.meter.refusal = refusal
            failure, chunk = ("refusal", ""), None
        except Exception as problem:
            failure, chunk = ("fault", f"{type(problem).__name__}: {problem}"), None
        if chunk is None:
            break
        end = chunk.rfind(b"\n") + 1
        if end:
            unended = len(chunk) - end
        elif unended > limit:
            continue  # enough is held to show that the line is too long
        else:
            unended += len(chunk)
        total += len(chunk)
        if total < size or not end:
            held.append(chunk)
            continue
        held.append(chunk[:end])
        yield _evolved(opening, opening=first, data=b"".join(held))
        first = False
        held, total = [chunk[end:]], len(chunk) - end
    data = b"".join(held)
    if failure is not None and failure[0] != "damage":
        data = data[: data.rfind(b"\n") + 1]  # what a refusal cuts through is not read
    if data or first:
        yield _evolved(opening, opening=first, data=data)
    if failure is not None:
        yield failure


def _evolved(
    piece: Lines,
    *,
    opening: bool,
    data: bytes | None = None,
    path: str = "",
    start: int = 0,
    end: int | None = None,
) -> Lines:
    return Lines(
        piece.text, piece.name, piece.within, piece.treatment, opening, data, path, start, end
    )


def _held(row: object, content: Content) -> Whole | Here:
    """A content as its bytes, if it is small, sound and no bomb."""
    most = min(_MOST_HELD, content.meter.limits.spool_bytes)
    held: list[bytes] = []
    size = 0
    rest: Iterator[bytes] = content.chunks
    # The limits look at the records that a suspicious content comes to, and know those read here.
    while size <= most and not content.meter.suspicious:
        try:
            chunk = next(rest, None)
        except Exception as problem:
            rest = _failing(problem)
            break
        if chunk is None:
            data = b"".join(held)
            return Whole(content.name, content.within, content.depth, data, size=len(data))
        held.append(chunk)
        size += len(chunk)
    again = Content(
        content.name,
        content.head,
        chain(held, rest),
        content.meter,
        content.depth,
        content.file,
        content.within,
    )
    return Here((recognise(content.head, content.name), again))


def _failing(problem: Exception) -> Iterator[bytes]:
    raise problem
    yield b""


@define
class Progress:
    """How far reading a piece has come: its ``lines``, if it is one of lines, how many of them are
    ``blank``, and whether any was ``met`` that is JSON.

    ``ended`` tells that nothing of the text that follows the piece is to be read.
    """

    lines: int = 0
    blank: int = 0
    met: bool = False
    ended: bool = False


def read(
    piece: Piece, report: ReadReport, limits: Limits, password: bytes, progress: Progress
) -> Iterator[Record]:
    """The records of a piece."""
    if isinstance(piece, Whole):
        yield from _read_whole(piece, report, limits, password)
        return
    meter = Meter(limits, piece.size or 0, password=password)
    content = Content(piece.name, b"", iter(()), meter, within=piece.within)
    counter = RecordCounter(piece.name, report, limits)
    lines = [0]
    whole = False

    def records() -> Iterator[Record]:
        nonlocal whole
        chunks = iter((piece.data,)) if piece.data is not None else _stretch(piece, report)
        if piece.opening and piece.data is None:
            chunks = without_mark(chunks)
        yield from read_piece(counter, chunks, piece.treatment, lines)
        whole = True

    try:
        yield from guarded(records(), content, report)
    finally:
        progress.lines, progress.blank = lines[0], counter.blank
        progress.met, progress.ended = counter.met, not whole


def _stretch(piece: Lines, report: ReadReport) -> Iterator[bytes]:
    """The bytes of a piece of a file."""
    try:
        with open(piece.path, "rb", buffering=0) as file:
            file.seek(piece.start)
            left = piece.size
            while left is None or left > 0:
                chunk = file.read(CHUNK if left is None else min(CHUNK, left))
                if not chunk:
                    return
                report.bytes_read += len(chunk)
                left = None if left is None else left - len(chunk)
                yield chunk
    except (OSError, ValueError) as problem:
        raise DamageError(f"reading fails: {problem}") from None


def _read_whole(
    piece: Whole, report: ReadReport, limits: Limits, password: bytes
) -> Iterator[Record]:
    meter = Meter(limits, piece.size, password=password)
    if piece.data is not None:
        data = piece.data
        slices = (data[at : at + CHUNK] for at in range(0, len(data), CHUNK))
        yield from _read_content(piece, slices, meter, None, report)
        return
    try:
        file = open(piece.path, "rb", buffering=0)  # noqa: SIM115 - the next line closes it
    except (OSError, ValueError) as problem:
        failing = _failing(DamageError(f"reading fails: {problem}"))
        yield from _read_content(piece, failing, meter, None, report)
        return
    with file:
        chunks = file_chunks(file, report, meter)
        yield from _read_content(piece, chunks, meter, file, report)


def _read_content(
    piece: Whole,
    chunks: Iterator[bytes],
    meter: Meter,
    file: BinaryIO | None,
    report: ReadReport,
) -> Iterator[Record]:
    content = Content.of(piece.name, chunks, meter, piece.depth, file, piece.within)
    return records_of(recognise(content.head, piece.name), content, report)
