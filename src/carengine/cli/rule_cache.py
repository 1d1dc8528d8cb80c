"""Rules that were read before, kept in the user's cache folder.

Reading thousands of rules takes seconds. What reading gave is kept as a file of the form that
`Engine.save` writes, under a name that says from what it was made::

    ~/.cache/carengine/rules/3f7c…e1.engine       key: this program, how rules are read, the content
                                                  of the rules, the packages that are installed

Another text of a rule is another key: no entry is ever out of date, and several processes may share
a folder. Rules that name files elsewhere, as Hayabusa's lists of expressions may be, are not kept. An entry is plain data, checked when it is read and never executed; a damaged one is
written anew. The folder must belong to the user, and to nobody else to write. It holds at most
``MOST_BYTES``; what was not used for longest goes first.

The folder is ``$CARENGINE_CACHE``, or ``carengine`` in ``$XDG_CACHE_HOME``, in ``%LOCALAPPDATA%``,
or in ``~/.cache``. An empty ``$CARENGINE_CACHE`` means none, as does ``--no-cache``.
"""

from __future__ import annotations

import hashlib
import os
import stat
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from attrs import frozen

from .. import __version__, gc_control
from ..datamodel import declared_objects
from ..diagnostics import CarError
from ..engine import compiled
from ..rule import RuleSet

MOST_BYTES = 256 << 20
MOST_ENTRIES = 256
FEWEST_RULES = 1
"""Even one rule is read sooner from here: the parser need not be loaded."""
_MOST_READ = 512 << 20
"""Rules of more bytes than this are not looked up: reading them for a key takes as long."""
_ENDING = ".engine"
_PACKAGE = Path(__file__).resolve().parent.parent
_SOURCES = (".py", ".yaml", ".yml", ".tsv", ".lark")


class _NotCachedError(Exception):
    """What rules or maps are made of cannot be told from the content of files."""


@frozen
class CacheEntry:
    """The place of one set of rules in the cache: ``path`` need not be there.

    ``places`` are the files and folders whose content is in the key.
    """

    path: Path
    places: tuple[Path, ...] = ()

    def read(self) -> RuleSet | None:
        """What was kept; None where there is nothing, or something else."""
        if not self.path.is_file() or not _is_ones_own(self.path.parent):
            return None
        try:
            with gc_control.paused():
                rules, _ = compiled.read(self.path)
        except CarError:
            return None
        with suppress(OSError):
            os.utime(self.path)
        return rules

    def write(self, rules: RuleSet, used: Iterable[Path]) -> None:
        """Keep rules, if they are many and depend on no other files than those of the key, of which
        ``used`` were read besides. Where that fails, nothing is kept: the next run reads them
        again."""
        if len(rules) < FEWEST_RULES or not all(map(self._is_in_key, used)):
            return
        with suppress(OSError):
            folder = self.path.parent
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not _is_ones_own(folder):
                return
            with gc_control.paused():
                text = compiled.text_of(rules, ())
            if len(text) > MOST_BYTES // 2:
                return
            # Under a name of its own: several runs may write the same entry at once.
            number, name = tempfile.mkstemp(prefix="writing-", dir=folder)
            try:
                with open(number, "w", encoding="ascii") as file:
                    file.write(text)
                os.replace(name, self.path)
            except BaseException:
                with suppress(OSError):
                    os.unlink(name)
                raise
            _trim(folder)

    def _is_in_key(self, used: Path) -> bool:
        return any(_resolved(used).is_relative_to(place) for place in self.places)


def _resolved(path: str | Path) -> Path:
    return Path(os.path.realpath(path))


def cache_entry(paths: Sequence[str], *settings: object) -> CacheEntry | None:
    """Where what is read from files, folders and archives would be kept.

    ``settings`` is everything else that decides what is read; their ``repr`` tells them apart. None
    where there is no cache folder, or where the content of files does not tell what the rules would
    be.
    """
    folder = cache_folder()
    if folder is None:
        return None
    key = hashlib.sha256()
    try:
        # What is declared beside CAR's objects decides which rules are right.
        about = (__version__, compiled.FORMAT, sys.version_info[:2], declared_objects())
        for part in (*about, *paths, *settings):
            key.update(repr(part).encode("utf-8", "backslashreplace") + b"\0")
        for line in (*_program(), *_installed()):
            key.update(line.encode("utf-8", "surrogateescape") + b"\0")
        read = 0
        for place in dict.fromkeys(paths):
            for name, content in _contents(Path(place)):
                key.update(f"{name}\0{len(content)}\0".encode("utf-8", "surrogateescape"))
                key.update(content)
                read += len(content)
                if read > _MOST_READ:
                    return None
    except (_NotCachedError, OSError, ValueError):
        return None
    places = tuple(map(_resolved, paths))
    return CacheEntry(folder / (key.hexdigest()[:40] + _ENDING), places)


def cache_folder() -> Path | None:
    """The folder of kept rules, whether it is there or not; None where there is to be none."""
    named = os.environ.get("CARENGINE_CACHE")
    if named is not None:
        return Path(named) / "rules" if named else None
    for variable in ("XDG_CACHE_HOME", "LOCALAPPDATA"):
        base = os.environ.get(variable)
        if base and Path(base).is_absolute():
            return Path(base) / "carengine" / "rules"
    try:
        return Path.home() / ".cache" / "carengine" / "rules"
    except RuntimeError:
        return None


def _is_ones_own(folder: Path) -> bool:
    """Whether nobody else may put files into a folder."""
    found = folder.stat()
    if not hasattr(os, "getuid"):
        return True
    return found.st_uid == os.getuid() and not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def _trim(folder: Path) -> None:
    """Remove what was not used for longest, down to the bounds."""
    entries = []
    with os.scandir(folder) as found:
        for item in found:
            if item.is_file(follow_symlinks=False):
                state = item.stat(follow_symlinks=False)
                entries.append((state.st_mtime, state.st_size, item.path))
    entries.sort(reverse=True)
    size = 0
    for number, (_, bytes_, path) in enumerate(entries):
        size += bytes_
        if size > MOST_BYTES or number >= MOST_ENTRIES:
            with suppress(OSError):
                os.unlink(path)


# What an engine is made of


def _program() -> Iterator[str]:
    """The files of this package, by size and time: in a checkout they change with the version the
    same."""
    waiting = [_PACKAGE]
    while waiting:
        with os.scandir(waiting.pop()) as found:
            for item in sorted(found, key=lambda one: one.name):
                if item.is_dir():
                    if item.name != "__pycache__":
                        waiting.append(Path(item.path))
                elif item.name.endswith(_SOURCES):
                    state = item.stat()
                    yield f"{item.path} {state.st_size} {state.st_mtime_ns}"


def _installed() -> Iterator[str]:
    """The folders of installed packages, which change with every package that comes or goes: rules
    are read with pySigma, and packages may bring field maps."""
    for place in sys.path:
        if place.rstrip("/\\").endswith(("site-packages", "dist-packages")):
            with suppress(OSError):
                yield f"{place} {os.stat(place).st_mtime_ns}"


def _contents(place: Path) -> Iterator[tuple[str, bytes]]:
    """The files at a path, as they are looked for: rules with their content, others in their
    folders with size and time. Raises `_NotCachedError` for what is no file and no folder: a pipe
    gives its content once."""
    if place.is_dir():
        from ..loading import ENDINGS

        for inner in sorted(place.rglob("*")):
            if inner.suffix.lower() in ENDINGS and inner.is_file():
                yield str(inner), inner.read_bytes()
            elif not inner.is_dir():
                state = inner.lstat()
                yield str(inner), f"{state.st_size} {state.st_mtime_ns}".encode()
    elif place.is_file():
        yield str(place), place.read_bytes()
    else:
        raise _NotCachedError
