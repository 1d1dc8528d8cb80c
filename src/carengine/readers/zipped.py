"""Zip archives, by their directory.

A member is unpacked here as far as it goes, so that damage costs what follows it and not what came
before. What the standard library can and this module cannot (encrypted members, rare methods) goes
through ``zipfile``; members encrypted with AES through the `pyzipper` package.
"""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any, BinaryIO

from ..diagnostics import codes
from .record import ReadReport
from .unpack import (
    CHUNK,
    MEMBER,
    Content,
    DamageError,
    Meter,
    RefusalError,
    Step,
    admits,
    bzip2_step,
    deflate_step,
    expand,
    inside,
    spooled,
    too_many,
    xz_step,
)

_AES = 99
_METHODS: dict[int, Step] = {
    zipfile.ZIP_DEFLATED: deflate_step,
    zipfile.ZIP_BZIP2: bzip2_step,
    95: xz_step,
}


def unzip(content: Content, report: ReadReport) -> Iterator[Content]:
    """The files in a zip archive, in the order of its directory."""
    limits = content.meter.limits
    whole = content.file is not None
    file = content.file if content.file is not None else spooled(content)
    if whole:
        # Its members are counted as they are read.
        report.bytes_read -= file.tell()
        content.meter.taken -= file.tell()
    try:
        try:
            count, size = _directory(file)
            if size > limits.members * 512:
                report.say(
                    codes.EXPANSION_LIMIT,
                    content.name,
                    f"has a directory of {count:,} members in {size:,} bytes "
                    f"(the limit is {limits.members:,} members); it is not read",
                )
                return
            members = zipfile.ZipFile(file).infolist()
        except MemoryError:
            raise
        except Exception as problem:
            raise DamageError(f"the zip archive is damaged or cut off ({problem})") from None
        number = 0
        overlapping = _overlapping(members)
        for info in members:
            if info.filename.endswith("/"):
                continue
            number += 1
            content.meter.count(MEMBER)
            if admits(content, info.filename, number, report):
                name = f"{content.name}!{info.filename}"
                if id(info) in overlapping:
                    reason = "shares its bytes with another member; it is not read"
                    note = "archives that are made to expand without end are built like this"
                    report.say(
                        codes.UNREADABLE_FILE, content.name, reason, about=name, notes=(note,)
                    )
                    continue
                chunks = _member(file, info, content.meter, report if whole else None)
                yield inside(content, name, chunks, content.name)
            elif number > limits.members:
                too_many(content, report)
                return
    finally:
        if not whole:
            file.close()


def _overlapping(members: list[zipfile.ZipInfo]) -> frozenset[int]:
    """The members (by their ids) that begin before the one in front of them has ended."""
    found = set()
    end = -1
    for info in sorted(members, key=lambda info: info.header_offset):
        if info.header_offset < end:
            found.add(id(info))
        # The header has thirty bytes and the name, which the directory may give another length.
        end = max(end, info.header_offset + 30 + info.compress_size)
    return frozenset(found)


def _directory(file: BinaryIO) -> tuple[int, int]:
    """How many members a zip's directory claims, and its size in bytes; zeros if there is none.

    It is looked at before the standard library loads it whole.
    """
    end = file.seek(0, 2)
    start = max(0, end - 65_557)
    file.seek(start)
    tail = file.read(end - start)
    at = tail.rfind(b"PK\5\6")
    if at < 0 or len(tail) < at + 22:
        return 0, 0
    count, size = struct.unpack_from("<HI", tail, at + 10)
    if at >= 20 and tail[at - 20 : at - 16] == b"PK\6\7":
        file.seek(min(end, *struct.unpack_from("<Q", tail, at - 12)))
        wide = file.read(56)
        if len(wide) == 56 and wide[:4] == b"PK\6\6":
            count, size = struct.unpack_from("<QQ", wide, 32)
    # The library believes the 32-bit record's place, and takes no more than there is.
    return count, min(size, end)


def _member(
    file: BinaryIO, info: zipfile.ZipInfo, meter: Meter, report: ReadReport | None
) -> Iterator[bytes]:
    step = _METHODS.get(info.compress_type)
    if info.flag_bits & 0x41 or info.compress_type == zipfile.ZIP_LZMA:
        for chunk in _by_library(file, info, meter, report):
            meter.expanded(chunk)
            yield chunk
        return
    if step is None and info.compress_type != zipfile.ZIP_STORED:
        raise DamageError(
            f"the member is packed with zip method {info.compress_type}, which is not read"
        )
    chunks = _packed(file, info, meter, report)
    if step is not None:
        chunks = expand(chunks, step, meter, several=False)
    checksum = 0
    for chunk in chunks:
        checksum = zlib.crc32(chunk, checksum)
        if step is None:
            meter.expanded(chunk)
        yield chunk
    if checksum != info.CRC:
        raise DamageError("the member is damaged: its checksum is another")


def _packed(
    file: BinaryIO, info: zipfile.ZipInfo, meter: Meter, report: ReadReport | None
) -> Iterator[bytes]:
    try:
        file.seek(info.header_offset)
        header = file.read(30)
        if len(header) < 30 or header[:4] != b"PK\3\4":
            raise DamageError(
                "the zip archive is damaged: the member is not where its directory says"
            )
        name, extra = struct.unpack_from("<HH", header, 26)
        file.seek(info.header_offset + 30 + name + extra)
        left = info.compress_size
        while left > 0:
            chunk = file.read(min(CHUNK, left))
            if not chunk:
                raise DamageError("the zip archive ends within this member")
            if report is not None:
                report.bytes_read += len(chunk)
                meter.taken += len(chunk)
            left -= len(chunk)
            yield chunk
    except (OSError, ValueError, OverflowError) as problem:
        raise DamageError(f"reading fails: {problem}") from None


def _by_library(
    file: BinaryIO, info: zipfile.ZipInfo, meter: Meter, report: ReadReport | None
) -> Iterator[bytes]:
    """A member as ``zipfile`` or ``pyzipper`` reads it."""
    encrypted = bool(info.flag_bits & 0x41)
    if encrypted and not meter.password:
        raise DamageError("the member is encrypted, and no password was given")
    opener: Any = zipfile.ZipFile
    if info.compress_type == _AES:
        if find_spec("pyzipper") is None:
            raise DamageError(
                "the member is encrypted with AES; reading it needs the package pyzipper"
            )
        import pyzipper

        opener = pyzipper.AESZipFile
    try:
        with (
            opener(file) as archive,
            archive.open(info.filename, pwd=meter.password or None) as member,
        ):
            if report is not None:
                report.bytes_read += info.compress_size
                meter.taken += info.compress_size
            while chunk := member.read(CHUNK):
                yield chunk
    except (MemoryError, RefusalError):
        raise
    except Exception as problem:  # pyzipper has classes of its own for the same errors
        if encrypted and "password" in str(problem).lower():
            raise DamageError("the member is encrypted, and the password is not right") from None
        if encrypted:
            reason = f"the password is not right, or the member is damaged ({problem})"
            raise DamageError(f"the member is encrypted; {reason}") from None
        raise DamageError(f"the member is damaged ({problem})") from None
