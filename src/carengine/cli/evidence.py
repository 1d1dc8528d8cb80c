"""Reading evidence for a command: progress while it lasts, and what is to be said of it afterwards."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

from ..diagnostics import Code, Severity, codes
from ..readers import Reading, read_events
from . import status
from .options import EvidenceSettings
from .screen import Screen

_LOST = frozenset({codes.UNREADABLE_RECORD, codes.RECORD_TOO_LARGE})


def open_events(settings: EvidenceSettings) -> Reading:
    """The events that a command line names."""
    return read_events(
        *settings.paths,
        password=settings.password,
        include=settings.include,
        exclude=settings.exclude,
        must_exist=False,
    )


def input_status(reading: Reading, paths: Iterable[str]) -> int:
    """`UNREADABLE` when something that was to be read was not.

    That is: a file that cannot be opened or is damaged or over a limit, a record of an evidence
    file that gave no event, a path named by the user that holds no events, or no event at all.
    Other files that lie in a folder or an archive beside the evidence are said, and nothing more.
    """
    named = set(paths)
    lost = (
        reading.records == reading.unreadable
        or loses(reading.found)
        or any(
            item.code is codes.NOT_EVIDENCE and item.origin in named for item in reading.diagnostics
        )
    )
    return status.UNREADABLE if lost else status.DONE


def loses(met: Iterable[Code]) -> bool:
    """Whether one of these findings about evidence says that some of it was not read."""
    return any(code.severity is Severity.ERROR or code in _LOST for code in met)


def report_input(reading: Reading, screen: Screen, *, quiet: bool = False) -> None:
    """Say what could not be read, and where; when ``quiet`` only what was lost, not what was left
    out."""
    screen.report(
        item
        for item in reading.diagnostics
        if not quiet or item.severity is not Severity.NOTE or item.code is codes.MORE_FINDINGS
    )


def same_place(path: str, paths: Iterable[str]) -> str | None:
    """The one of some paths that a file to be written is, or lies in; None if it is none of them.

    Writing there would overwrite evidence, or feed the results back to the reader.
    """
    target = os.path.realpath(path)
    itself = _identity(target)
    for one in paths:
        if one == "-":
            if itself is not None and itself == _identity_of_stdin():
                return "standard input"
            continue
        place = os.path.realpath(one)
        if target == place or (os.path.isdir(place) and target.startswith(place + os.sep)):
            return one
        if itself is not None and (itself == _identity(place) or _holds(place, itself)):
            return one
    return None


def _identity(path: str) -> tuple[int, int] | None:
    """Device and inode of a regular file, which all its names have in common."""
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return None
    return (found.st_dev, found.st_ino) if stat.S_ISREG(found.st_mode) else None


def _identity_of_stdin() -> tuple[int, int] | None:
    """The same of a file that the shell opened as standard input (``< FILE``)."""
    try:
        found = os.fstat(sys.stdin.fileno())
    except (OSError, ValueError, AttributeError):
        return None  # closed, or no stream of the system
    return (found.st_dev, found.st_ino) if stat.S_ISREG(found.st_mode) else None


def _holds(folder: str, file: tuple[int, int]) -> bool:
    """Whether a folder has a file under some other name (a hard link)."""
    return os.path.isdir(folder) and any(
        _identity(os.path.join(root, name)) == file
        for root, _, names in os.walk(folder)
        for name in names
    )


@contextmanager
def progress(
    reading: Reading, paths: Sequence[str], screen: Screen
) -> Iterator[Callable[[], None]]:
    """Show how far reading is while the block runs; call what it gives now and then.

    Nothing is shown where nobody looks on, or where rich is not installed.
    """
    drawn = None
    if screen.err_terminal:
        try:
            from rich.console import Console
            from rich.progress import (
                BarColumn,
                Progress,
                TextColumn,
                TimeElapsedColumn,
                TimeRemainingColumn,
                TransferSpeedColumn,
            )
        except ImportError:
            pass
        else:
            console = Console(file=screen.err, no_color=not screen.err_colour)
            drawn = Progress(
                BarColumn(),
                TextColumn("{task.fields[records]:,} records"),
                TransferSpeedColumn(),
                TimeElapsedColumn(),
                TextColumn("left"),
                TimeRemainingColumn(),
                console=console,
                transient=True,
            )
    if drawn is None:
        yield lambda: None
        return
    with drawn:
        task = drawn.add_task("", total=_size(paths), records=0)
        yield lambda: drawn.update(task, completed=reading.bytes_read, records=reading.records)


@contextmanager
def rules_loading(paths: Sequence[str], screen: Screen, *, quiet: bool) -> Iterator[None]:
    """Show, on a terminal, that rules are being loaded and how many files there are."""
    if quiet or not screen.err_terminal:
        yield
        return
    try:
        from rich.console import Console
        from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
    except ImportError:
        yield
        return
    files = sum(len(names) for path in paths for _, _, names in os.walk(path))
    what = f"loading rules from {files:,} files" if files > 1 else "loading rules"
    console = Console(file=screen.err, no_color=not screen.err_colour)
    columns = (SpinnerColumn(), TextColumn(what), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as drawn:
        drawn.add_task("", total=None)
        yield


def _size(paths: Iterable[str]) -> int | None:
    """How many bytes are to be read, or None where that cannot be known before."""
    total = 0
    for path in paths:
        try:
            if os.path.isdir(path):
                for folder, _, files in os.walk(path):
                    total += sum(
                        os.stat(os.path.join(folder, name), follow_symlinks=False).st_size
                        for name in files
                    )
            elif os.path.isfile(path):
                total += os.stat(path).st_size
            else:
                return None
        except OSError:
            return None
    return total
