"""Files that grow: every new line is a record, through rotation, truncation and restarts.

A ``Follower`` looks at files (and folders, whose files may come and go) again and again. `poll`
gives the records of all lines that are complete by now; `positions` says how far each file has been
read, as plain data, and a follower made with them goes on exactly there::

    follower = Follower(["app.jsonl"], positions=saved)
    for record in follower.poll(): …
    saved = follower.positions()

A file is known by what it is (device, inode, its first bytes), not by what it is called:

* **renamed** (``app.jsonl`` becomes ``app.jsonl.1``, a new one takes its place): the rest of the
  old one is read under its new name, then the new one from its beginning;
* **copied and cut** (``copytruncate``): the copy is recognised by its first bytes, and only what
  had not been read of the original is read of it;
* **cut or written anew**: it is read from its beginning; if no copy turns up, that the end may be
  lost is said (CE544).

What leads to a file does not matter: links to one file, or a file that is named and in a followed
folder too, are one. Of files that are open only so many are kept so (`_OPEN`); the others are
opened again when they have grown.

Rotated files that were there when following began are left alone, unless they are named themselves.
A last line without an end is waited for as long as the file is there. Every format that has a
record a line can be followed, and its lines are read as those of a finished file are: JSON, syslog,
access and error logs, W3C logs, CEF, LEEF, pairs of ``key=value``, plain text. The format is told
by the first lines, once they are whole. What lines of a W3C log before the position say of those
after it is part of the position. Other contents are named (CE545) and left alone.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from io import FileIO
from pathlib import Path
from typing import Any

from attrs import define, field, frozen

from ..diagnostics import Diagnostic, codes
from .json_blocks import second_look
from .json_text import decode
from .line_formats import PLAIN, LineFormat, LineReader
from .pages import opened
from .reading import cost_of, followed_format, is_named_like_a_log, line_format_named
from .record import Limits, ReadReport, Record, RecordCounter
from .zeek import path_of, with_path

_HEAD = 1024
# A process may have few files open (256 on some systems), and a folder may hold thousands.
_OPEN = 100
_CHUNK = 1 << 20
_BOM = b"\xef\xbb\xbf"
# A format is told by so much of a file.
_SAMPLE = 1 << 16
# Where the first lines fit no format, it may be that those after them do.
_LINES_TO_BE_SURE = 20
Identity = tuple[int, int]


def _read(handle: FileIO, size: int, at: int) -> bytes:
    handle.seek(at)
    return handle.read(size) or b""


@define(eq=False)
class _File:
    """A file as far as it has been read. ``offset`` is past the last line, ``records`` the lines
    met so far.

    ``head`` are its first bytes when it was last looked at; ``done`` marks files that are not to be
    read, ``missing`` those that the last look did not find: it may have come just while they were
    renamed or copied. ``size`` is what it had in the last look, and ``due`` whether there may be
    something that was not read. ``form`` is the format of its lines, None for JSON; ``reader`` reads
    them.
    """

    source: str
    identity: Identity
    head: bytes = b""
    offset: int = 0
    records: int = 0
    done: bool = False
    skipping: bool = False
    missing: bool = False
    size: int = -1
    due: bool = True
    handle: FileIO | None = field(default=None, repr=False)
    form: LineFormat | None = None
    reader: LineReader | None = field(default=None, repr=False)

    def read_as(self, form: LineFormat | None, headers: Iterable[str] = ()) -> None:
        """Take a format for the lines to come, of which some were there before."""
        self.form = form
        self.reader = None if form is None else form.reader()
        if self.reader is not None:
            self.reader.read(list(headers))

    @property
    def format_state(self) -> list[Any]:
        """The format of the lines and what was said of it, as plain data."""
        if self.form is None or self.reader is None:
            return []
        return [self.form.name, self.reader.headers]


def _known(position: Any) -> _File:
    """A file as `Follower.positions` wrote it down. Raises ``ValueError`` for anything else."""
    match position:
        case [
            str(source),
            int(device),
            int(inode),
            str(head),
            int(offset),
            int(records),
            bool(done),
            bool(skipping),
            *form,
        ] if offset >= 0 and records >= 0 and bool not in map(type, position[1:6]):
            first = bytes.fromhex(head)
            known = _File(source, (device, inode), first, offset, records, done, skipping)
        case _:
            raise ValueError("a position in a file is not as a follower writes it")
    match form:
        case []:
            pass
        case [str(name), list(headers)] if all(isinstance(line, str) for line in headers):
            known.read_as(line_format_named(name), headers)
        case _:
            raise ValueError("the format of a file is not as a follower writes it")
    return known


@frozen
class _Fresh:
    """A file that a look met for the first time. Its handle may be closed: not all can be open at
    once."""

    path: str
    status: os.stat_result
    head: bytes
    rotated: bool
    handle: FileIO


class Follower:
    """Watches files and folders. ``positions`` is what another follower's `positions` gave; anything
    else raises ``ValueError``.

    ``ignored`` are files that are not read though their names are those of rotated ones: what the
    caller writes itself.
    """

    def __init__(
        self,
        paths: Iterable[str],
        positions: Iterable[Any] | None = None,
        limits: Limits | None = None,
        ignored: Iterable[str] = (),
    ) -> None:
        self._paths = list(paths)
        self._ignored = {os.path.realpath(path) for path in ignored}
        self._limits = limits or Limits()
        self.report = ReadReport()
        self._files: dict[Identity, _File] = {}
        self._told: set[str] = set()
        self._orphans: list[_File] = []
        # The files that are open, the one that was read longest ago first.
        self._open: dict[int, _File] = {}
        self._started = positions is not None
        for item in positions or ():
            known = _known(item)
            identity = known.identity
            if identity in self._files:
                # What was in a file before it was cut; its copy has not been found yet.
                self._orphans.append(known)
            else:
                self._files[identity] = known

    def positions(self) -> list[Any]:
        """How far each file has been read, as plain data: what `poll` has given counts as read."""
        return [
            [
                *(f.source, *f.identity, f.head.hex(), f.offset, f.records, f.done, f.skipping),
                *f.format_state,
            ]
            for f in (*self._files.values(), *self._orphans)
        ]

    @property
    def diagnostics(self) -> tuple[Diagnostic, ...]:
        """What there is to say of the files and of lines that could not be read."""
        return self.report.diagnostics

    def close(self) -> None:
        """Close all files."""
        for known in list(self._open.values()):
            self._shut(known)

    def _keep(self, known: _File, handle: FileIO) -> None:
        """Keep a file open, and shut the one that was read longest ago where these become too
        many."""
        if handle.closed:
            return
        known.handle = handle
        self._open[id(known)] = known
        if len(self._open) > _OPEN:
            self._shut(next(iter(self._open.values())))

    def _shut(self, known: _File) -> None:
        if self._open.pop(id(known), None) is not None and known.handle is not None:
            known.handle.close()
        known.handle = None

    def look(self) -> None:
        """Take note of the files that are there, before anything is read of them: `positions` knows
        them from here on, whatever they will be called."""
        if not self._started:
            self._look()
            self._started = True

    def poll(self) -> Iterator[Record]:
        """The records of the lines that have been completed since the last time."""
        found = self._look()
        for path, known in found:
            yield from self._read(path, known)
        present = {known.identity for _, known in found}
        for identity, known in list(self._files.items()):
            if identity in present:
                known.missing = False
            elif known.missing:
                yield from self._gone(known)
            else:
                known.missing = True
                yield from self._read(known.source, known)
        self._started = True

    # Which files there are

    def _look(self) -> list[tuple[str, _File]]:
        """The files to read now, the ones written longest ago first."""
        found: list[tuple[float, str, _File]] = []
        fresh: list[_Fresh] = []
        held = 0
        seen: set[Identity] = set()
        for path, rotated in self._candidates():
            try:
                handle = open(path, "rb", buffering=0)  # noqa: SIM115 - kept open while the file grows
                status = os.fstat(handle.fileno())
                head = _read(handle, _HEAD, 0)
            except OSError as error:
                self._tell(codes.UNREADABLE_FILE, path, f"cannot be read: {error.strerror}")
                continue
            identity = (status.st_dev, status.st_ino)
            if identity in seen:
                # Another way to a file that this look has met already.
                handle.close()
                continue
            seen.add(identity)
            known = self._files.get(identity)
            if known is not None and self._still(known, status.st_size, head):
                known.due = known.due or status.st_size != known.size
                known.size = status.st_size
                if known.handle is None and known.due and not known.done:
                    self._keep(known, handle)
                else:
                    handle.close()
                known.head = head
                if known.form is PLAIN and known.records < _LINES_TO_BE_SURE:
                    self._look_again(known)
                found.append((status.st_mtime, path, known))
                continue
            if known is not None:
                # Another content in the same file: what was known of it is looked for elsewhere.
                self._shut(self._files.pop(identity))
                if not known.done:
                    known.missing = False
                    self._orphans.append(known)
            if not head:
                handle.close()
                continue
            if rotated and not self._started:
                handle.close()
                left = self._files[identity] = _File(path, identity, head, done=True)
                found.append((status.st_mtime, path, left))
                self._tell(
                    codes.ROTATED_BEFORE, path, "was rotated before following began: it is not read"
                )
                continue
            if held < _OPEN:
                held += 1
            else:
                handle.close()
            fresh.append(_Fresh(path, status, head, rotated, handle))
        for new in sorted(fresh, key=lambda new: (new.status.st_mtime, new.path)):
            added = self._adopt(new)
            if added is not None:
                found.append((new.status.st_mtime, new.path, added))
        self._mourn()
        found.sort(key=lambda item: item[:2])
        return [(path, known) for _, path, known in found]

    def _candidates(self) -> Iterator[tuple[str, bool]]:
        """Paths to look at, and whether each is a rotated sibling of one that was named: what is
        named comes first."""
        siblings: list[str] = []
        for path in self._paths:
            if os.path.isdir(path):
                for root, folders, names in os.walk(path):
                    folders.sort()
                    for name in sorted(names):
                        inside = os.path.join(root, name)
                        if os.path.isfile(inside) and not name.startswith("."):
                            yield inside, False
                continue
            place = Path(path)
            try:
                names = sorted(os.listdir(place.parent))
            except OSError:
                names = []
            siblings += (
                str(place.with_name(name))
                for name in names
                if name.startswith((place.name + ".", place.name + "-"))
            )
            if os.path.isfile(path):
                yield path, False
            else:
                self._tell(codes.UNREADABLE_FILE, path, "is not there (yet); it is waited for")
        for inside in siblings:
            if os.path.isfile(inside) and os.path.realpath(inside) not in self._ignored:
                yield inside, True

    @staticmethod
    def _still(known: _File, size: int, head: bytes) -> bool:
        """Whether a file is the known one, with nothing or something added."""
        return size >= known.offset and head.startswith(known.head)

    def _adopt(self, new: _Fresh) -> _File | None:
        """A file that was not known: a copy of one that was cut, one that is copied just now, or a
        new one."""
        path, head, handle = new.path, new.head, new.handle
        identity = (new.status.st_dev, new.status.st_ino)
        for orphan in self._orphans:
            if self._still(orphan, new.status.st_size, head):
                self._orphans.remove(orphan)
                orphan.identity, orphan.head = identity, head
                orphan.missing, orphan.due, orphan.size = False, True, new.status.st_size
                self._files[identity] = orphan
                self._keep(orphan, handle)
                return orphan
        if new.rotated:
            for known in self._files.values():
                same = head.startswith(known.head) or known.head.startswith(head)
                if known.head and not known.done and same:
                    # A copy while the original still stands: it counts once the original is cut.
                    handle.close()
                    return None
        sample = head if handle.closed or len(head) < _HEAD else _read(handle, _SAMPLE, 0)
        form = followed_format(sample)
        of_lines = isinstance(form, LineFormat) or form == "a table"
        if of_lines and _is_undecided(sample):
            handle.close()
            return None
        if form is PLAIN and path not in self._paths and not is_named_like_a_log(Path(path).name):
            form = "text that is not named like a log"
        if isinstance(form, str):
            message = f"cannot be followed: it looks like {form}"
            self._tell(codes.NOT_FOLLOWED, path, message)
            handle.close()
            left = self._files[identity] = _File(path, identity, head, done=True)
            return left
        added = self._files[identity] = _File(path, identity, head, size=new.status.st_size)
        added.read_as(form)
        self._keep(added, handle)
        return added

    def _look_again(self, known: _File) -> None:
        """See whether a text whose first lines were no format's is of one after all."""
        form = followed_format(known.head)
        if isinstance(form, LineFormat) and form is not PLAIN:
            known.read_as(form)

    def _mourn(self) -> None:
        """What was cut and has left no copy, not even one that this look came too early for."""
        waiting = [orphan for orphan in self._orphans if not orphan.missing]
        for orphan in self._orphans:
            if not orphan.missing:
                orphan.missing = True
                continue
            self.report.say(
                codes.LOST_REST,
                orphan.source,
                f"was cut or written anew after record {orphan.records}; what followed may be lost",
            )
        self._orphans = waiting

    def _gone(self, known: _File) -> Iterator[Record]:
        """A file that no path leads to any more: what the open file still holds is read."""
        if known.handle is not None:
            yield from self._new_lines(known.source, known, ended=True)
            self._shut(known)
        elif not known.done and self._started:
            self.report.say(
                codes.LOST_REST,
                known.source,
                f"is gone after record {known.records}; what followed may be lost",
            )
        del self._files[known.identity]

    def _tell(self, code: Any, path: str, message: str) -> None:
        if path not in self._told:
            self._told.add(path)
            self.report.say(code, path, message)

    # Reading

    def _read(self, path: str, known: _File) -> Iterator[Record]:
        """`_new_lines`; whatever ends it costs this file and no other."""
        try:
            yield from self._new_lines(path, known)
        except GeneratorExit:
            raise
        except BaseException as problem:
            code, reason = cost_of(problem)
            self.report.say(code, path, reason)
            known.done = True
            self._shut(known)

    def _new_lines(self, path: str, known: _File, *, ended: bool = False) -> Iterator[Record]:
        """The records of the lines completed since; ``offset`` moves with each.

        Of a file that has ``ended`` (nobody can reach it any more) the last line is one, with or
        without an end.
        """
        if known.done or not (known.handle or (known.due and self._reopened(path, known))):
            return
        handle = known.handle
        assert handle is not None
        self._open[id(known)] = self._open.pop(id(known))
        pending = b""
        start = known.offset
        while True:
            chunk = _read(handle, _CHUNK, start + len(pending))
            if not chunk:
                if ended and (pending or known.skipping):
                    record = self._record(known, pending)
                    known.offset = start + len(pending)
                    if record is not None:
                        yield record
                known.due = False
                return
            pending += chunk
            *lines, rest = pending.split(b"\n")
            for line in lines:
                size = len(line) + 1
                record = self._record(known, line)
                start += size
                known.offset = start
                self.report.bytes_read += size
                if record is not None:
                    yield record
            pending = rest
            if len(pending) > self._limits.record_bytes:
                # The rest of this line is skipped without being held.
                known.skipping = True
                start += len(pending)
                known.offset = start
                pending = b""

    def _reopened(self, path: str, known: _File) -> bool:
        """Open a file again that was shut; not if its path has come to lead to another one
        meanwhile."""
        try:
            handle = open(path, "rb", buffering=0)  # noqa: SIM115 - kept open while the file grows
            status = os.fstat(handle.fileno())
        except OSError as error:
            self._tell(codes.UNREADABLE_FILE, path, f"cannot be read: {error.strerror}")
            return False
        if (status.st_dev, status.st_ino) != known.identity:
            handle.close()
            return False
        self._keep(known, handle)
        return True

    def _record(self, known: _File, line: bytes) -> Record | None:
        if known.offset == 0:
            line = line.removeprefix(_BOM)
        if known.reader is not None:
            return self._record_of_line(known, known.reader, line)
        skipped, known.skipping = known.skipping, False
        if not skipped and not line.strip():
            # A record has the number of its line.
            known.records += 1
            return None
        known.records += 1
        report = self.report
        report.records += 1
        counter = RecordCounter(known.source, report, self._limits, known.records)
        if skipped:
            counter.too_large(0)
            return None
        event = second_look(counter, line, 0)
        if event is None:
            return None
        records = opened(iter((Record(event, known.source, known.records),)), decode)
        path = path_of(known.source)
        return next(with_path(records, path) if path else records)

    def _record_of_line(self, known: _File, reader: LineReader, line: bytes) -> Record | None:
        """The record in a line of a format other than JSON; as in a finished file, lines that are
        no records are not counted."""
        skipped, known.skipping = known.skipping, False
        report = self.report
        if skipped:
            known.records += 1
            report.records += 1
            RecordCounter(known.source, report, self._limits, known.records).too_large(0)
            return None
        text = line.decode("utf-8", "backslashreplace").removesuffix("\r")
        [outcome] = reader.read([text])
        if outcome is None:
            return None
        known.records += 1
        report.records += 1
        if isinstance(outcome, dict):
            return Record(outcome, known.source, known.records)
        RecordCounter(known.source, report, self._limits, known.records).unreadable(0, outcome)
        return None


def _is_undecided(head: bytes) -> bool:
    """Whether the first lines do not tell a format yet: none is whole, or all are comments, as
    before the line of a W3C log that names its fields.

    >>> _is_undecided(b"2024-05-20 a"), _is_undecided(b"#Software: x\\n"), _is_undecided(b"a\\n")
    (True, True, False)
    """
    if len(head) >= _HEAD:
        return False
    lines = head.split(b"\n")[:-1]
    told = any(line.lower().startswith(b"#fields:") for line in lines)
    return not told and all(not line.strip() or line.startswith(b"#") for line in lines)
