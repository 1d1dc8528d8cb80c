"""Files of the user, written in one step and read up to a bound.

At a path that is written there is the old file or the new one, whole. What is read as a whole is a
regular file: a pipe would be waited for, and a device has no end.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from typing import BinaryIO, TextIO


@contextmanager
def replacing(path: str | Path, encoding: str = "ascii") -> Iterator[TextIO]:
    """A text file to write to, that takes the place of the one at the path when the block ends, and
    is removed when the block fails.

    It is written beside it, as ``NAME.new``, and has its permissions. Whatever has that name is
    removed and not written through: somebody may have put a link there. What is no regular file (a
    device, a pipe) is written to and not replaced. Raises ``OSError``.
    """
    target = Path(path)
    mode = target.stat().st_mode if target.exists() else None
    if mode is not None and not stat.S_ISREG(mode):
        with open(target, "w", encoding=encoding, newline="") as file:
            yield file
        return
    fresh = target.with_name(target.name + ".new")
    with suppress(FileNotFoundError):
        fresh.unlink()
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)
    try:
        with open(os.open(fresh, flags, 0o666), "w", encoding=encoding, newline="") as file:
            yield file
        if mode is not None:
            fresh.chmod(stat.S_IMODE(mode))
        os.replace(fresh, target)
    except BaseException:
        with suppress(OSError):
            fresh.unlink()
        raise


def rewrite(path: str | Path, text: str) -> None:
    """Put a text in UTF-8 in the place of a file, in one step; of a link, in the place of the file
    that it leads to. Raises ``OSError``."""
    with replacing(os.path.realpath(path), "utf-8") as file:
        file.write(text)


def opened_to_write(path: str | Path, mode: str = "wb") -> BinaryIO:
    """A binary file to write to from its beginning, for what comes bit by bit.

    A symbolic link to a regular file, or to none, is refused: it may have been put there for
    somebody else's file to be overwritten. Devices and pipes are opened. Raises ``OSError``.
    """

    def opener(name: str, flags: int) -> int:
        if os.path.exists(name) and not os.path.isfile(name):
            return os.open(name, flags)
        try:
            return os.open(name, flags | getattr(os, "O_NOFOLLOW", 0), 0o666)
        except OSError as error:
            if error.errno != errno.ELOOP:
                raise
            reason = "it is a symbolic link; name the file that it leads to"
            raise OSError(errno.ELOOP, reason, name) from None

    return open(path, mode, opener=opener)  # type: ignore[return-value] # the mode is binary


_used: ContextVar[list[Path] | None] = ContextVar("used", default=None)


@contextmanager
def noting_used_files() -> Iterator[list[Path]]:
    """The files that are read as a whole, or looked for, until the block ends: what is made of them
    depends on each."""
    noted: list[Path] = []
    token = _used.set(noted)
    try:
        yield noted
    finally:
        _used.reset(token)


def note_used(path: str | Path) -> None:
    """Note that something depends on a file, or on there being none."""
    noted = _used.get()
    if noted is not None:
        noted.append(Path(path))


def bounded_bytes(path: str | Path, most: int = 64 << 20) -> bytes:
    """The content of a regular file of at most so many bytes; raises ``OSError`` for anything
    else."""
    note_used(path)
    if not stat.S_ISREG(os.stat(path).st_mode):
        raise OSError(errno.EINVAL, "it is no regular file", str(path))
    with open(path, "rb") as file:
        # What is asked for is set aside at once: no more than the file has.
        data = file.read(min(os.fstat(file.fileno()).st_size, most) + 1)
    if len(data) > most:
        raise OSError(errno.EFBIG, f"it has more than {most:,} bytes", str(path))
    return data


def bounded_text(path: str | Path, encoding: str = "utf-8", most: int = 64 << 20) -> str:
    """`bounded_bytes` as a text, with line ends as they are; raises ``UnicodeDecodeError`` too."""
    return bounded_bytes(path, most).decode(encoding)
