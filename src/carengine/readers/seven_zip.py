"""7z archives, through the `py7zr` package.

A 7z archive is read from its end, and its members may be packed as one: it cannot be unpacked
while it streams by. Its members go to one temporary file (in memory while they are small), and are
read from there. All that is unpacked counts as it is unpacked, so that an archive that expands
without end stops at the limits and not at the end of the disk.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, BinaryIO

from attrs import define, field

from ..diagnostics import codes
from .record import ReadReport
from .unpack import (
    CHUNK,
    Content,
    DamageError,
    Meter,
    RefusalError,
    admits,
    inside,
    needs_package,
    spooled,
    too_many,
)

if TYPE_CHECKING:
    from py7zr import SevenZipFile

_IN_MEMORY = 16 << 20
# What an unpacker may ask for, as with xz. A hostile header may ask for 4 GiB.
_WINDOW = 256 << 20
_LZMA = b"\x03\x01\x01"
_LZMA2 = b"\x21"
_PPMD = b"\x03\x04\x01"


def unpack_7z(content: Content, report: ReadReport) -> Iterator[Content]:
    """The files in a 7z archive, in its order."""
    if find_spec("py7zr") is None:
        needs_package(content, report, "a 7z archive", "py7zr")
        return
    whole = content.file is not None
    file = content.file if content.file is not None else spooled(content)
    if whole:
        file.seek(0)
        # It is unpacked by a package, which does not say how far it has read.
        content.meter.taken = max(content.meter.taken, content.meter.size)
    with tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY) as copy:
        try:
            receiver = _MemberReceiver(copy, content.meter)
            failure = _unpacked(file, receiver, content, report)
        finally:
            if not whole:
                file.close()
        for name, start, end in receiver.finished:
            chunks = _portion(copy, start, end)
            yield inside(content, f"{content.name}!{name}", chunks, content.name)
        begun = receiver.begun
        if failure is not None and begun is not None and begun.length:
            # What there is of the member at which it failed; the failure stands at its end.
            chunks = _portion(copy, begun.start, begun.start + begun.length, failure)
            yield inside(content, f"{content.name}!{begun.name}", chunks, content.name)
            return
    if failure is not None:
        raise failure


def _unpacked(
    file: BinaryIO, receiver: _MemberReceiver, content: Content, report: ReadReport
) -> Exception | None:
    """Unpack what is to be read. What ended it before its end, if something did."""
    from py7zr.exceptions import PasswordRequired

    password = content.meter.password.decode("utf-8", "replace") or None
    try:
        with _opened(file, password) as archive:
            _refuse_windows(archive)
            wanted = _wanted(archive, content, report)
            archive.extract(targets=wanted, factory=receiver)
    except (RefusalError, MemoryError) as refusal:
        return refusal
    except PasswordRequired:
        return DamageError("is encrypted; give its password (--password)")
    except Exception as problem:
        reason = f"{type(problem).__name__}: {problem}" if str(problem) else type(problem).__name__
        hint = "; the password may be wrong" if password and not receiver.finished else ""
        message = f"the 7z archive is damaged or cut off ({reason}){hint}"
        return DamageError(message)
    return None


def _opened(file: BinaryIO, password: str | None) -> SevenZipFile:
    from py7zr import SevenZipFile

    return SevenZipFile(file, password=password)


def _wanted(archive: SevenZipFile, content: Content, report: ReadReport) -> list[str]:
    """The names of the members to unpack; what is left out is said."""
    wanted: dict[str, None] = {}
    number = 0
    for info in archive.files:
        name = info.filename
        if info.is_directory:
            continue
        number += 1
        if not admits(content, name, number, report):
            if number > content.meter.limits.members:
                too_many(content, report)
                break
            continue
        reason = ""
        if info.is_symlink or info.is_junction or info.is_socket:
            continue  # a link or a device is no file
        if name in wanted:
            reason = "has the name of another member; only the first is read"
        elif _leads_out(name):
            reason = "has a name that leads out of the archive; it is not read"
        if reason:
            about = f"{content.name}!{name}"
            report.say(codes.UNREADABLE_FILE, content.name, reason, about=about)
        else:
            wanted[name] = None
    return list(wanted)


def _leads_out(name: str) -> bool:
    """Whether a member's name is none below the archive's own folder.

    >>> _leads_out("logs/a.json"), _leads_out("../a"), _leads_out("/etc/passwd"), _leads_out("C:/x")
    (False, True, True, True)
    """
    parts = name.replace("\\", "/").split("/")
    return ".." in parts or parts[0] == "" or parts[0].endswith(":")


def _refuse_windows(archive: SevenZipFile) -> None:
    """Raise for unpackers that ask for more memory than any real archive needs."""
    streams = getattr(archive.header, "main_streams", None)
    folders: Iterable[Any] = () if streams is None else streams.unpackinfo.folders
    for folder in folders:
        for coder in folder.coders:
            size = _window(coder["method"], coder.get("properties") or b"")
            if size > _WINDOW:
                message = f"unpacking it takes {size:,} bytes of memory; it is not read"
                raise RefusalError(message)


def _window(method: bytes, properties: bytes) -> int:
    """The memory that one coder of an archive asks for, in bytes.

    >>> _window(_LZMA, bytes([93, 0, 0, 128, 0])), _window(_LZMA2, bytes([24]))
    (8388608, 16777216)
    """
    if method in (_LZMA, _PPMD) and len(properties) >= 5:
        return int.from_bytes(properties[1:5], "little")
    if method == _LZMA2 and properties:
        bits = properties[0] & 63
        return (1 << 32) - 1 if bits >= 40 else (2 | (bits & 1)) << (bits // 2 + 11)
    return 0


@define(eq=False)
class _MemberReceiver:
    """What py7zr asks for a place for each member; all go into one file, one after the other.

    ``finished`` has the name, start and end of those that are whole, ``begun`` is the one that is
    not.
    """

    copy: Any
    meter: Meter
    finished: list[tuple[str, int, int]] = field(factory=list)
    begun: _MemberWriter | None = None

    def create(self, filename: str) -> _MemberWriter:
        """A place for a member."""
        self.begun = _MemberWriter(self, filename, self.copy.tell())
        return self.begun


@define(eq=False)
class _MemberWriter:
    """A member while it is unpacked, as py7zr wants it: a file that is written."""

    receiver: _MemberReceiver
    name: str
    start: int
    length: int = 0

    def write(self, data: bytes | bytearray) -> int:
        """Take what was unpacked, and count it. Raises `RefusalError` at the limits."""
        receiver = self.receiver
        receiver.meter.expanded(bytes(data))
        limit = receiver.meter.limits.spool_bytes
        if receiver.copy.tell() + len(data) > limit:
            message = (
                f"must be copied to be read, and holds more than {limit:,} bytes; "
                "the rest is not read"
            )
            raise RefusalError(message)
        try:
            receiver.copy.write(data)
        except OSError as problem:
            reason = f"no room for the copy that reading it needs: {problem}"
            raise DamageError(reason) from None
        self.length += len(data)
        return len(data)

    def read(self, size: int | None = None) -> bytes:
        """Nothing: it is written only."""
        return b""

    def seek(self, offset: int, whence: int = 0) -> int:
        """Nothing."""
        return 0

    def seekable(self) -> bool:
        """That it cannot be wound back."""
        return False

    def flush(self) -> None:
        """Nothing."""

    def size(self) -> int:
        """How much was written."""
        return self.length

    def close(self) -> None:
        """The member is whole."""
        self.receiver.finished.append((self.name, self.start, self.start + self.length))
        self.receiver.begun = None


def _portion(copy: Any, start: int, end: int, failure: Exception | None = None) -> Iterator[bytes]:
    while start < end:
        copy.seek(start)
        data = copy.read(min(CHUNK, end - start))
        if not data:
            raise DamageError("the copy of this member ends too early")
        start += len(data)
        yield data
    if failure is not None:
        raise failure
