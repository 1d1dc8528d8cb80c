"""Whether threads share the work of a run, in place of processes.

With the native core one process can use several cores, with less memory and nothing learned twice.
That helps where nearly all of the evidence is of formats that the core reads.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from stat import S_ISREG

from ..engine import Engine, StreamOptions, native_version

# So much of a file tells what it is.
_HEAD = 1 << 16
# Of so many files it is looked at what they are; and that much of their bytes must be readable.
_MOST_FILES = 1_000
_SHARE = 0.9
_LOG = b"ElfFile\0"


def threads_share(
    engine: Engine, options: StreamOptions, paths: Iterable[str], *, timed: bool
) -> bool:
    """Whether a run over some paths is shared by threads; ``timed`` where it is for a range of
    time."""
    if native_version() is None or engine.observer is not None or timed:
        return False
    moving = engine.streams or (options.merge and engine.merged_kinds)
    if moving and options.lateness_us is not None:
        return False
    fitting = others = 0
    for path, size in _files(paths):
        if size and fits(path):
            fitting += size
        else:
            others += size
    return fitting > 0 and fitting >= _SHARE * (fitting + others)


def _files(paths: Iterable[str]) -> Iterator[tuple[Path, int]]:
    """The files of some paths, with their sizes, up to a number of them."""
    left = _MOST_FILES
    for path in paths:
        for folder, folders, names in os.walk(path) if os.path.isdir(path) else _alone(path):
            folders.sort()
            for name in sorted(names):
                left -= 1
                if left < 0:
                    return
                file = Path(folder, name)
                try:
                    found = file.stat()
                except OSError:
                    continue
                if S_ISREG(found.st_mode):
                    yield file, found.st_size


def _alone(path: str) -> Iterator[tuple[str, list[str], list[str]]]:
    folder, name = os.path.split(path)
    yield folder, [], [name]


def fits(path: Path) -> bool:
    """Whether a file has a JSON object a line, or is a Windows event log."""
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD)
    except OSError:
        return False
    if head.startswith(_LOG):
        return True
    lines = head.removeprefix(b"\xef\xbb\xbf").lstrip().split(b"\n", 2)
    return lines[0].startswith(b"{") and (len(lines) == 1 or lines[0].rstrip().endswith(b"}"))
