"""Compressed files and archives, opened as they stream by.

Everything that is read is a ``Content``: a name, the first bytes (from which its format is told),
and an iterator over the bytes. An unpacker takes one content and gives those inside it, one after
another, each to be read to its end before the next is asked for::

    Content("logs.tar.gz")  --gunzip-->  Content("logs.tar.gz")  --untar-->
    Content("logs.tar.gz!a.json"), …

Nothing is held but a chunk: gzip, bzip2, xz, zstd and tar are read in order, and a zip file by its
directory (``zipped``). Only what must be read from its end, and is itself inside something, is
copied first (``Limits.spool_bytes``).

What is damaged gives all bytes up to the damage and then raises ``DamageError``. To that end the
streams are unpacked here with the decompressors and not with the file classes of the standard
library, which throw away what they have when they fail. ``RefusalError`` is raised once a path has
cost more than ``Limits`` allow; then nothing more of it is read.
"""

from __future__ import annotations

import bz2
import codecs as encodings
import lzma
import re
import tarfile
import tempfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from importlib.util import find_spec
from itertools import chain
from typing import Any, BinaryIO, Protocol

from attrs import define, frozen

from ..diagnostics import codes
from .record import Limits, ReadReport

CHUNK = 1 << 18
HEAD = 1 << 16

# A hostile xz header may ask for a window of 4 GiB; xz -9 needs 65 MiB.
_XZ_MEMORY = 256 << 20
_ZSTANDARD_WINDOW = 128 << 20  # `zstd --ultra --long=27`
_IN_MEMORY = 16 << 20
_SECTOR = 512
# What a line or an object costs beside its bytes, in bytes.
_PIECE = 72
# What a member of an archive costs, in such pieces.
MEMBER = 16
# From this ratio on the pieces of what is unpacked are counted; logs pack to a tenth or a thirtieth.
_SUSPICIOUS = 40
_LONGEST_HEADER = 1 << 20


class DamageError(Exception):
    """The content cannot be read any further; the message says why."""


class RefusalError(Exception):
    """The content costs more than the limits allow; the message says which and how far."""


@define(eq=False)
class Meter:
    """What unpacking one path has cost. ``size`` is the packed size, read so far or known.

    ``taken`` are the packed bytes that came from the disk so far, ``waiting`` those of them that
    the outermost decompressor holds and has not looked at. What is cheap to unpack and dear to read
    is measured by what was used of the file, and not by its whole size: a small bomb is known at
    its first megabytes however much lies behind it.

    ``pieces`` are the lines, objects, lists and elements in what was unpacked: each costs far more
    than its bytes, and ``{}`` a million times packs into nothing. So do the records that
    were made of them, whatever they look like: `watch` says who counts them.

    ``password`` opens encrypted members of zip archives. ``refusal`` is there once the limits have
    been reached while records were read. ``layers`` are the decompressors at work.
    """

    limits: Limits
    size: int
    unpacked: int = 0
    pieces: int = 0
    password: bytes = b""
    refusal: RefusalError | None = None
    taken: int = 0
    waiting: int = 0
    layers: int = 0
    _report: ReadReport | None = None
    _first: int = 0
    _earlier: int = 0

    def watch(self, report: ReadReport) -> None:
        """Look at the records that this report counts from now on, too."""
        self._earlier = self.records
        self._report, self._first = report, report.met

    @property
    def records(self) -> int:
        """How many records what was unpacked came to."""
        return self._earlier + (0 if self._report is None else self._report.met - self._first)

    @property
    def used(self) -> int:
        """How many packed bytes what was unpacked came from; at least one."""
        return max(1, self.taken - self.waiting)

    @property
    def suspicious(self) -> bool:
        """Whether what was unpacked is much more than logs come to."""
        return self.unpacked > _SUSPICIOUS * self.used

    def expanded(self, data: bytes) -> None:
        """Count what was unpacked, by its bytes and its pieces; raises ``RefusalError`` at the
        limits."""
        self.unpack(len(data))
        if self.suspicious:
            # To count costs as much as to read. Texts that are mostly tiny pieces pack far better
            # than logs do, so that those of logs need not be counted. What is no object is no
            # event, and is named.
            pieces = data.count(b"\n") + 2 * data.count(b"{") + data.count(b"<") // 4
            self.count(pieces + 4 * data.count(b"["))

    def count(self, pieces: int) -> None:
        """Count pieces; raises ``RefusalError`` where they or the records cost too much."""
        self.pieces += pieces
        cost = _PIECE * max(self.pieces, 2 * self.records)
        limits = self.limits
        dear = cost > limits.expansion_floor and cost // self.used > limits.expansion
        if dear and self.suspicious:
            raise RefusalError(
                "unpacks to so many lines, objects or members that reading them costs more than "
                f"{limits.expansion} times what was read of it; the rest is not read"
            )

    def unpack(self, size: int) -> None:
        """Count unpacked bytes; raises ``RefusalError`` at the limits."""
        self.unpacked += size
        limits = self.limits
        if self.unpacked > limits.total_bytes:
            raise RefusalError(
                f"unpacks to more than {limits.total_bytes:,} bytes; the rest is not read"
            )
        ratio = self.unpacked // max(1, self.size)
        if ratio > limits.expansion and self.unpacked > limits.expansion_floor:
            raise RefusalError(
                f"unpacks to more than {ratio} times its size (the limit is {limits.expansion}); "
                "the rest is not read"
            )


@frozen(eq=False)
class Content:
    """Some bytes to read.

    ``head`` is the first 64 KiB (or all, if there is less), ``chunks`` the whole from its
    beginning; it can be walked once. ``depth`` is the number of layers of packing around it.
    ``file`` is the open file where the content is one. ``within`` is the archive or folder it is in
    (or its own name), whose findings are counted together where there may be one for each content.
    """

    name: str
    head: bytes
    chunks: Iterator[bytes]
    meter: Meter
    depth: int = 0
    file: BinaryIO | None = None
    within: str = ""

    @classmethod
    def of(
        cls,
        name: str,
        chunks: Iterable[bytes],
        meter: Meter,
        depth: int = 0,
        file: BinaryIO | None = None,
        within: str = "",
    ) -> Content:
        """The content of these chunks, with its head looked at.

        What goes wrong within the head is not raised here but where it stands in ``chunks``: it
        costs this content, and not the others of its archive.
        """
        source = iter(chunks)
        seen: list[bytes] = []
        size = 0
        failure: Exception | None = None
        try:
            while size < HEAD and (chunk := next(source, None)) is not None:
                seen.append(chunk)
                size += len(chunk)
        except (RefusalError, MemoryError):
            raise
        except Exception as problem:
            failure = problem
        rest = source if failure is None else _fail(failure)
        head = b"".join(seen)[:HEAD]
        return cls(name, head, chain(seen, rest), meter, depth, file, within or name)


def inside(content: Content, name: str, chunks: Iterable[bytes], within: str) -> Content:
    """A content within another, one layer deeper."""
    return Content.of(name, chunks, content.meter, content.depth + 1, within=within)


def _fail(failure: Exception) -> Iterator[bytes]:
    raise failure
    yield b""


def file_chunks(
    file: BinaryIO, report: ReadReport, meter: Meter | None = None, *, grows: bool = False
) -> Iterator[bytes]:
    """A file from where it stands to its end. Where its size is not known, the meter's ``grows``
    with what is read."""
    # A pipe gives what it has with read1, where read would wait for a full chunk.
    read: Callable[[int], bytes] = getattr(file, "read1", file.read)
    while True:
        try:
            chunk = read(CHUNK)
        except (OSError, ValueError) as problem:
            raise DamageError(f"reading fails: {problem}") from None
        if not chunk:
            return
        report.bytes_read += len(chunk)
        if meter is not None:
            meter.taken += len(chunk)
            if grows:
                meter.size += len(chunk)
        yield chunk


def needs_package(content: Content, report: ReadReport, what: str, package: str) -> None:
    """Say that a content is not read because a package that reads it is not installed."""
    report.say(
        codes.MISSING_PACKAGE,
        content.within,
        f"is {what}, and reading it needs the package {package}; it is not read",
        about=content.name,
    )


# Streams


class Decompressor(Protocol):
    """What the decompressors of the standard library and of the zstandard package have in
    common."""

    @property
    def eof(self) -> bool:
        """Whether the stream's end has been seen."""
        ...

    @property
    def unused_data(self) -> bytes:
        """What came after the end."""
        ...


Unpacking = Callable[[bytes], Iterator[tuple[bytes, int]]]
"""Unpacks some data: what comes out, and after how much of the data that was not looked at yet."""

Step = Callable[[], tuple[Decompressor, Unpacking]]


def _unpack_deflate(unpacker: zlib._Decompress, data: bytes) -> Iterator[tuple[bytes, int]]:
    while True:
        before = unpacker.copy()
        try:
            out = unpacker.decompress(data, CHUNK)
        except zlib.error as problem:
            yield from _salvage(before, data)
            raise DamageError(f"the compressed data is damaged ({problem})") from None
        data = unpacker.unconsumed_tail
        yield out, len(data)
        if unpacker.eof or (not data and len(out) < CHUNK):
            return


def _salvage(unpacker: zlib._Decompress, data: bytes) -> Iterator[tuple[bytes, int]]:
    """What comes out before the byte at which unpacking fails."""
    kept = []
    try:
        for index in range(len(data)):
            kept.append(unpacker.decompress(data[index : index + 1]))
    except zlib.error:
        yield b"".join(kept), 0


# These are fed by so little that what comes out of it is known to come from it.
_BLOCK_FEED = 1 << 13


def _unpack_block(
    unpacker: bz2.BZ2Decompressor | lzma.LZMADecompressor, data: bytes
) -> Iterator[tuple[bytes, int]]:
    # These cannot be copied before each step; small steps lose little.
    step = CHUNK // 8
    for start in range(0, len(data), _BLOCK_FEED):
        feed = data[start : start + _BLOCK_FEED]
        left = max(0, len(data) - start - _BLOCK_FEED)
        while True:
            try:
                out = unpacker.decompress(feed, step)
            except (OSError, lzma.LZMAError, EOFError, ValueError) as problem:
                raise DamageError(f"the compressed data is damaged ({problem})") from None
            feed = b""
            yield out, left
            if unpacker.eof:
                return
            if len(out) < step:
                break


def _gzip_step() -> tuple[Decompressor, Unpacking]:
    unpacker = zlib.decompressobj(31)
    return unpacker, lambda data: _unpack_deflate(unpacker, data)


def deflate_step() -> tuple[Decompressor, Unpacking]:
    """A decompressor of raw deflate, as zip has it, and how to use it."""
    unpacker = zlib.decompressobj(-15)
    return unpacker, lambda data: _unpack_deflate(unpacker, data)


def bzip2_step() -> tuple[Decompressor, Unpacking]:
    """A decompressor of bzip2, and how to use it."""
    unpacker = bz2.BZ2Decompressor()
    return unpacker, lambda data: _unpack_block(unpacker, data)


def xz_step() -> tuple[Decompressor, Unpacking]:
    """A decompressor of xz, and how to use it."""
    unpacker = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_XZ_MEMORY)
    return unpacker, lambda data: _unpack_block(unpacker, data)


def _unpack_zstandard(unpacker: Any, data: bytes) -> Iterator[tuple[bytes, int]]:
    # It bounds no output. Four bytes can stand for 128 KiB, and thus a step for 16 MiB.
    step = 512
    from zstandard import ZstdError

    for start in range(0, len(data), step):
        try:
            out = unpacker.decompress(data[start : start + step])
        except (ZstdError, MemoryError) as problem:
            raise DamageError(f"the compressed data is damaged ({problem})") from None
        yield out, max(0, len(data) - start - step)
        if unpacker.eof:
            return


def _zstandard_step() -> tuple[Decompressor, Unpacking]:
    from zstandard import ZstdDecompressor

    unpacker = ZstdDecompressor(max_window_size=_ZSTANDARD_WINDOW).decompressobj()
    return unpacker, lambda data: _unpack_zstandard(unpacker, data)


_PADDING = b"\0 \t\r\n"


def expand(chunks: Iterable[bytes], step: Step, meter: Meter, *, several: bool) -> Iterator[bytes]:
    """Unpack a stream; ``several`` may follow one another, as `cat a.gz b.gz` makes them."""
    outermost = not meter.layers
    meter.layers += 1
    try:
        yield from _expanded(chunks, step, meter, several=several, outermost=outermost)
    finally:
        meter.layers -= 1
        if outermost:
            meter.waiting = 0


def _expanded(
    chunks: Iterable[bytes], step: Step, meter: Meter, *, several: bool, outermost: bool
) -> Iterator[bytes]:
    unpacker, unpack = step()
    begun = finished = False
    for chunk in chunks:
        data = chunk
        while data:
            if finished:
                # Tapes and disk images pad with zero bytes, and editors and shells end a line.
                data = data.lstrip(_PADDING)
                if not data or not several:
                    break
                meter.count(1)
                unpacker, unpack = step()
                finished = False
                begun = False
            left = 0
            for out, left in unpack(data):
                if outermost:
                    meter.waiting = left
                if out:
                    begun = True
                    meter.expanded(out)
                    yield out
            finished = unpacker.eof
            data = unpacker.unused_data + data[len(data) - left :] if finished else b""
    if not finished:
        raise DamageError(
            "the compressed data ends too early" if begun else "holds no whole header"
        )


def _stream(step: Step, name: str) -> Callable[[Content, ReadReport], Iterator[Content]]:
    def unpack(content: Content, report: ReadReport) -> Iterator[Content]:
        chunks = expand(content.chunks, step, content.meter, several=True)
        yield inside(content, content.name, chunks, content.within)

    unpack.__doc__ = f"What a {name} file holds, under the same name."
    return unpack


gunzip = _stream(_gzip_step, "gzip")
bunzip2 = _stream(bzip2_step, "bzip2")
unxz = _stream(xz_step, "xz")
_unzstandard = _stream(_zstandard_step, "Zstandard")


def unzstandard(content: Content, report: ReadReport) -> Iterator[Content]:
    """What a Zstandard file holds, under the same name."""
    if find_spec("zstandard") is None:
        needs_package(content, report, "a Zstandard file", "zstandard")
        return iter(())
    return _unzstandard(content, report)


# Text in UTF-16


def decode_utf16(content: Content, encoding: str = "utf-16") -> Content:
    """A text in UTF-16, as UTF-8. The byte order is the mark's, or else given: ``utf-16-le``.

    A lone surrogate goes through as the bytes that stand for it, which are not UTF-8, so that the
    line it is in is refused and no other.
    """
    return Content.of(
        content.name,
        _recode(content.chunks, encoding),
        content.meter,
        content.depth,
        within=content.within,
    )


def _recode(chunks: Iterable[bytes], encoding: str) -> Iterator[bytes]:
    decoder = encodings.getincrementaldecoder(encoding)("surrogatepass")
    for chunk in chunks:
        yield decoder.decode(chunk).encode("utf-8", "surrogatepass")
    if decoder.getstate()[0]:
        raise DamageError("the UTF-16 text ends within a character")


# Archives


def is_stub(name: str) -> bool:
    """Whether a member or file is one of those that macOS puts beside the real ones.

    >>> is_stub("__MACOSX/._x.json"), is_stub("logs/._x.json"), is_stub("logs/x.json")
    (True, True, False)
    """
    *folders, last = name.replace("\\", "/").rstrip("/").split("/")
    return "__MACOSX" in folders or last.startswith("._") or last in ("__MACOSX", ".DS_Store")


def admits(content: Content, name: str, number: int, report: ReadReport) -> bool:
    """Whether member ``number`` (from 1) of an archive is to be read; if not, it has been said
    why."""
    if is_stub(name):
        report.say(
            codes.SKIPPED_FILE,
            content.name,
            "is a stub that macOS adds; it is not read",
            about=f"{content.name}!{name}",
        )
        return False
    return number <= content.meter.limits.members


def too_many(content: Content, report: ReadReport) -> None:
    """Say that an archive has more members than the limit."""
    limit = content.meter.limits.members
    report.say(
        codes.EXPANSION_LIMIT,
        content.name,
        f"has more than {limit:,} members; the rest is not read",
    )


@define(eq=False)
class Feed:
    """Chunks, taken in pieces of the size that is wanted."""

    chunks: Iterator[bytes]
    held: bytes = b""
    at: int = 0
    failed: bool = False

    def upto(self, size: int) -> bytes:
        """The next bytes, at least one and at most ``size``; none at the end."""
        while self.at >= len(self.held):
            try:
                chunk = next(self.chunks, None)
            except Exception:
                self.failed = True
                raise
            if chunk is None:
                return b""
            self.held, self.at = chunk, 0
        piece = self.held[self.at : self.at + size]
        self.at += size
        return piece

    def take(self, size: int) -> bytes:
        """The next ``size`` bytes, or what there is. The caller bounds the size."""
        pieces = []
        while size and (piece := self.upto(size)):
            pieces.append(piece)
            size -= len(piece)
        return b"".join(pieces)


@define(eq=False)
class _Portion:
    """The next ``left`` bytes of a feed, as an iterator of chunks."""

    feed: Feed
    left: int

    def __iter__(self) -> Iterator[bytes]:
        while self.left:
            piece = self.feed.upto(self.left)
            if not piece:
                self.feed.failed = True
                raise DamageError("the archive ends within this member")
            self.left -= len(piece)
            yield piece


def is_tar(head: bytes) -> bool:
    """Whether the first bytes are a tar header, by its checksum."""
    return len(head) >= _SECTOR and head[0] != 0 and _header(head[:_SECTOR]) is not None


def _header(block: bytes) -> tarfile.TarInfo | None:
    try:
        return tarfile.TarInfo.frombuf(block, "utf-8", "backslashreplace")
    except (tarfile.HeaderError, ValueError, OverflowError):
        return None


def untar(content: Content, report: ReadReport) -> Iterator[Content]:
    """The files in a tar archive, read in order. Links, folders and devices are not files."""
    feed = Feed(content.chunks)
    number = 0
    ended = False
    extended: dict[str, str] = {}
    while True:
        block = feed.take(_SECTOR)
        if not block:
            if not ended:
                raise DamageError("the tar archive has no end mark; it may be cut off")
            return
        if not block.strip(b"\0"):
            # Read on: damage to a compressed archive shows at its end, and `cat a.tar b.tar` has
            # two.
            ended = True
            continue
        if ended and not block.strip(_PADDING):
            continue  # a line end behind the archive
        ended = False
        info = _header(block)
        if info is None or info.size < 0:
            raise DamageError("the tar archive is damaged: what follows is no header")
        content.meter.count(MEMBER)
        if info.type in (b"L", b"K", b"x", b"g", b"X"):
            if info.size > _LONGEST_HEADER:
                raise DamageError("the tar archive has an extended header of an absurd length")
            data = feed.take(info.size)
            feed.take(-info.size % _SECTOR)
            if info.type == b"L":
                extended["path"] = data.rstrip(b"\0").decode("utf-8", "backslashreplace")
            elif info.type in (b"x", b"X"):
                extended |= _pax(data)
            continue
        size = _pax_size(extended.get("size", ""), info.size)
        member = extended.get("path", info.name)
        sparse = info.type == b"S" or any(key.startswith("GNU.sparse.") for key in extended)
        extended = {}
        while info.type == b"S" and block[-8 if block[257:262] != b"ustar" else 482] == 1:
            block = feed.take(_SECTOR)  # the rest of a sparse file's map
            if len(block) < _SECTOR:
                raise DamageError("the tar archive ends within a header")
        if info.type not in (b"0", b"\0", b"7", b"S"):
            if info.type in (b"1", b"2", b"3", b"4", b"5", b"6"):
                size = 0  # some archives give a link the size of its target, and no data
            for _ in _Portion(feed, size + -size % _SECTOR):
                pass
            continue
        number += 1
        portion = _Portion(feed, size)
        name = f"{content.name}!{member}"
        if sparse:
            report.say(codes.UNREADABLE_FILE, content.name, "is a sparse file", about=name)
        elif admits(content, member, number, report):
            yield inside(content, name, portion, content.name)
        elif number > content.meter.limits.members:
            too_many(content, report)
            return
        if feed.failed:
            return  # said where it happened: at the member
        for _ in portion:
            pass
        feed.take(-size % _SECTOR)


def _pax(data: bytes) -> dict[str, str]:
    """The entries of an extended header: lines of ``length key=value``."""
    entries = {}
    position = 0
    while found := re.compile(rb"(\d{1,9}) ([^=\n]+)=").match(data, position):
        end = position + int(found[1])
        if end <= found.end() or end > len(data):
            break
        key, value = found[2], data[found.end() : end - 1]
        entries[key.decode("utf-8", "replace")] = value.decode("utf-8", "backslashreplace")
        position = end
    return entries


def _pax_size(text: str, size: int) -> int:
    return int(text) if re.fullmatch(r"[0-9]{1,18}", text) else size


def spooled(content: Content) -> BinaryIO:
    """The content as a file that can be read from any place."""
    limit = content.meter.limits.spool_bytes
    copy = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY)  # noqa: SIM115 (the caller closes it)
    try:
        for chunk in content.chunks:
            if copy.tell() + len(chunk) > limit:
                raise RefusalError(
                    f"must be copied to be read, and has more than {limit:,} bytes; it is not read"
                )
            copy.write(chunk)
    except OSError as problem:
        copy.close()
        raise DamageError(f"no room for the copy that reading it needs: {problem}") from None
    except (DamageError, RefusalError):
        copy.close()
        raise
    copy.seek(0)
    return copy  # type: ignore[return-value]
