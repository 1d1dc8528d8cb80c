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
from pathlib import Path
from typing import TextIO


@contextmanager
def replacing(path: str | Path) -> Iterator[TextIO]:
    """A text file to write to, that takes the place of the one at the path when the block ends.

    It is written beside it, as ``NAME.new``. Whatever has that name is removed and not written
    through: somebody may have put a link there. What is no regular file (a device, a pipe) is
    written to and not replaced. Raises ``OSError``.
    """
    target = Path(path)
    if target.exists() and not stat.S_ISREG(target.stat().st_mode):
        with open(target, "w", encoding="ascii") as file:
            yield file
        return
    fresh = target.with_name(target.name + ".new")
    with suppress(FileNotFoundError):
        fresh.unlink()
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)
    with open(os.open(fresh, flags, 0o666), "w", encoding="ascii") as file:
        yield file
    os.replace(fresh, target)


def bounded_text(path: str | Path, encoding: str = "utf-8", most: int = 64 << 20) -> str:
    """The text of a regular file of at most so many bytes.

    Raises ``OSError`` for anything else, and ``UnicodeDecodeError``.
    """
    if not stat.S_ISREG(os.stat(path).st_mode):
        raise OSError(errno.EINVAL, "it is no regular file", str(path))
    with open(path, "rb") as file:
        data = file.read(most + 1)
    if len(data) > most:
        raise OSError(errno.EFBIG, f"it has more than {most:,} bytes", str(path))
    return data.decode(encoding)
