"""The rule files at a path: a file, those of a folder, or those in an archive.

Archives come from strangers. They are read in order, never unpacked to disk, and only so many bytes
and members of them: what is over is named, not read.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import tarfile
import zipfile
import zlib
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

from attrs import frozen

from ..diagnostics import Diagnostic, Source, Span, codes

_MAX_BYTES = 8_000_000
_MAX_ARCHIVE = 256_000_000
_MAX_MEMBERS = 100_000
_TOO_LARGE = f"it is larger than {_MAX_BYTES:,} bytes"

_OPENERS: tuple[tuple[bytes, Callable[[IO[bytes]], Any]], ...] = (
    (b"\x1f\x8b", lambda file: gzip.GzipFile(fileobj=file)),
    (b"BZh", bz2.BZ2File),
    (b"\xfd7zXZ", lzma.LZMAFile),
)
_TAR_MARK, _TAR_PLACE = b"ustar", 257


@frozen
class RuleFile:
    """The text of a rule file. ``folder`` is where it stands; None inside an archive."""

    name: str
    text: str
    ending: str
    folder: Path | None


def rule_files(path: Path, endings: tuple[str, ...], found: list[Diagnostic]) -> Iterator[RuleFile]:
    """The files with one of the endings; a path to a single file is read whatever its ending is.

    What cannot be read is said in ``found``.
    """
    if path.is_dir():
        for inner in sorted(p for p in path.rglob("*") if p.suffix.lower() in endings):
            # A link that leads nowhere stays: it is a rule that somebody wanted here.
            if inner.is_file() or not inner.exists():
                yield from _plain(inner, found)
        return
    if path.exists() and not path.is_file():
        # A pipe that nobody writes to would be waited for; a device has no end.
        found.append(_unreadable(str(path), "it is no regular file"))
        return
    try:
        with path.open("rb") as file:
            kind = _archive_kind(file.read(_TAR_PLACE + len(_TAR_MARK)))
            if kind is None:
                yield from _plain(path, found)
                return
            file.seek(0)
            yield from kind(path, file, endings, found)
    except _DAMAGE as error:
        reason = error.strerror if isinstance(error, OSError) else None
        found.append(_unreadable(str(path), reason or error))


_DAMAGE = (
    OSError,
    EOFError,
    ValueError,
    RuntimeError,
    NotImplementedError,
    zlib.error,
    lzma.LZMAError,
    tarfile.TarError,
    zipfile.BadZipFile,
)


def _unreadable(name: str, reason: object) -> Diagnostic:
    message = f"the rule file cannot be read: {reason}"
    return Diagnostic(codes.UNREADABLE_RULE, message, origin=name)


def _not_utf8(name: str, content: bytes, error: UnicodeDecodeError) -> Diagnostic:
    """The finding about a file in another encoding, at the first byte that shows it."""
    mark = content[:3] == BOM_UTF8
    right = error.object[: error.start].decode("utf-8")
    source = Source(name, right)
    note = "rules are UTF-8 text"
    if content.startswith((BOM_UTF16_LE, BOM_UTF16_BE)):
        note = "this is UTF-16, and rules are UTF-8: save the file in that encoding"
    return Diagnostic(
        codes.UNREADABLE_RULE,
        f"the rule file cannot be read: byte {error.start + 3 * mark + 1:,} is not UTF-8",
        Span(source, len(right), len(right)),
        notes=(note,),
        origin=name,
    )


def _plain(path: Path, found: list[Diagnostic]) -> Iterator[RuleFile]:
    try:
        with path.open("rb") as file:
            yield from _read(str(path), file, path.parent, found)
    except OSError as error:
        found.append(_unreadable(str(path), error.strerror or str(error)))


def _read(
    name: str, stream: IO[bytes], folder: Path | None, found: list[Diagnostic]
) -> Iterator[RuleFile]:
    content = stream.read(_MAX_BYTES + 1)
    if len(content) > _MAX_BYTES:
        found.append(_unreadable(name, _TOO_LARGE))
        return
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        found.append(_not_utf8(name, content, error))
        return
    yield RuleFile(name, text, Path(name).suffix.lower(), folder)


_Read = Callable[[Path, IO[bytes], tuple[str, ...], list[Diagnostic]], Iterator[RuleFile]]


def _archive_kind(head: bytes) -> _Read | None:
    if head.startswith(b"PK\3\4"):
        return _zipped
    packed = any(head.startswith(mark) for mark, _ in _OPENERS)
    return _tarred if packed or head[_TAR_PLACE:] == _TAR_MARK else None


class _Bounded:
    """A stream that refuses to give more than so many bytes."""

    def __init__(self, stream: Any, most: int) -> None:
        self.stream = stream
        self.left = most

    def read(self, size: int = -1) -> bytes:
        got: bytes = self.stream.read(min(size, self.left + 1) if size >= 0 else self.left + 1)
        self.left -= len(got)
        if self.left < 0:
            raise ValueError(f"it expands to more than {_MAX_ARCHIVE:,} bytes")
        return got


def _tarred(
    path: Path, file: IO[bytes], endings: tuple[str, ...], found: list[Diagnostic]
) -> Iterator[RuleFile]:
    head = file.read(8)
    file.seek(0)
    opener = next((opener for mark, opener in _OPENERS if head.startswith(mark)), None)
    stream: Any = _Bounded(file if opener is None else opener(file), _MAX_ARCHIVE)
    with tarfile.open(fileobj=stream, mode="r|") as archive:
        for number, member in enumerate(archive):
            if number >= _MAX_MEMBERS:
                raise ValueError(f"it has more than {_MAX_MEMBERS:,} members")
            if member.isfile() and _wanted(member.name, endings):
                name = f"{path}!{member.name}"
                content = archive.extractfile(member) if member.size <= _MAX_BYTES else None
                if content is None:
                    found.append(_unreadable(name, _TOO_LARGE))
                    continue
                yield from _read(name, content, None, found)


def _zipped(
    path: Path, file: IO[bytes], endings: tuple[str, ...], found: list[Diagnostic]
) -> Iterator[RuleFile]:
    left = _MAX_ARCHIVE
    with zipfile.ZipFile(file) as archive:
        members = archive.infolist()
        if len(members) > _MAX_MEMBERS:
            raise ValueError(f"it has more than {_MAX_MEMBERS:,} members")
        for member in sorted(members, key=lambda member: member.filename):
            if member.is_dir() or not _wanted(member.filename, endings):
                continue
            left -= member.file_size
            if left < 0:
                raise ValueError(f"it expands to more than {_MAX_ARCHIVE:,} bytes")
            name = f"{path}!{member.filename}"
            if member.file_size > _MAX_BYTES:
                found.append(_unreadable(name, _TOO_LARGE))
                continue
            with archive.open(member) as content:
                yield from _read(name, content, None, found)


def _wanted(name: str, endings: tuple[str, ...]) -> bool:
    last = name.rpartition("/")[2]
    return last.lower().endswith(endings) and not last.startswith("._") and "__MACOSX/" not in name
