"""The processes around matches: those that acted, their ancestors, and what they started.

Starts of processes are kept in a database on disk while evidence is read once more for them, so
that memory does not grow with the log. Afterwards those are chosen that a match's process comes
from or has started. A process is known by its own id (Sysmon's ``ProcessGuid`` and the like). Where
the log has none, it is host and number: of several starts with the same number the last one before
the child's is its parent.
"""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from ..engine import Engine, Match
from ..fieldmap import FieldMap
from ..loading import parse_rule
from ..runner import Run
from .identity import Identity, identity_in

_STARTS = "started = search Process:Create\noutput started\n"
_MOST_PROCESSES = 100_000
_ANCESTORS = 32
_GENERATIONS = 4
_CHILDREN = 200
_TEXT = 2_048
_PART = 2_000
_ANY_TIME = -(1 << 62)
_TABLES = """
create table start (
  id integer primary key, host text, guid text, parent_guid text, pid text, ppid text,
  time integer, image text, command_line text, user text, parent_image text
);
create table wanted (
  host text, guid text, pid text, time integer, primary key (host, guid, pid, time)
);
create table chosen (id integer primary key);
"""
_INDEXES = """
create index by_guid on start (guid);
create index by_parent on start (parent_guid);
create index by_pid on start (host, pid, time);
create index by_ppid on start (host, ppid, time);
"""


class ProcessStore:
    """Starts of processes on disk, and which of them belong to matches.

    >>> store = ProcessStore()
    >>> store.want(Identity(host="H", pid="7"))
    >>> store.start(Identity(host="H", pid="4"), 1)
    >>> store.start(Identity(host="H", pid="7", ppid="4"), 2)
    >>> [[row["pid"] for row in part["rows"]] for part in store.around()]
    [['4', '7']]
    >>> store.close()
    """

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="carengine-report-")
        self._database = sqlite3.connect(Path(self._folder.name) / "processes.sqlite")
        self._database.executescript("pragma journal_mode=off; pragma synchronous=off;" + _TABLES)
        self.starts = 0
        """How many starts of processes the evidence has."""
        self.wanted = False
        """Whether a match names a process."""
        self.cut = False
        """Whether more processes belong to matches than a report takes."""

    def close(self) -> None:
        """Remove the database."""
        self._database.close()
        self._folder.cleanup()

    def want(self, identity: Identity, time: int | None = None) -> None:
        """Note the process of a match; with a time, the one that had its number then."""
        self.wanted = True
        guid, pid = identity.guid, "" if identity.guid else identity.pid
        host = "" if guid else identity.host
        names = map(_storable, (host, guid, pid))
        at = _ANY_TIME if time is None or guid else time
        self._database.execute("insert or ignore into wanted values (?, ?, ?, ?)", (*names, at))

    def start(self, identity: Identity, time: int | None, parent_image: str = "") -> None:
        """Take one start of a process."""
        self.starts += 1
        self._database.execute(
            "insert into start values (null, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                *map(_storable, (identity.host, identity.guid, identity.parent_guid)),
                *map(_storable, (identity.pid, identity.ppid)),
                time,
                *map(_storable, (identity.image, identity.command_line)),
                *map(_storable, (identity.user, parent_image)),
            ),
        )

    def next_start(self, host: str, pid: str, time: int) -> int | None:
        """When, after some time, a host gave a number to a process again; None if it did not."""
        row = self._database.execute(
            "select min(time) from start where host = ? and pid = ? and time > ?", (host, pid, time)
        ).fetchone()
        return None if row[0] is None else int(row[0])

    def around(self) -> Iterator[dict[str, Any]]:
        """The processes around matches, in parts, by time."""
        run = self._database.execute
        self._database.executescript(_INDEXES)
        wanted = (
            "select s.id from wanted w join start s on s.guid = w.guid where w.guid != ''"
            " union select s.id from wanted w join start s on s.host = w.host and s.pid = w.pid"
            " where w.guid = '' and (w.time = ? or s.id = (select id from start t"
            " where t.host = w.host and t.pid = w.pid and t.time <= w.time"
            " order by t.time desc limit 1))"
        )
        chosen = 0
        for (root,) in run(wanted, (_ANY_TIME,)).fetchall():
            if chosen >= _MOST_PROCESSES:
                self.cut = True
                break
            family = [*self._ancestors(root), *self._descendants(root)]
            before = self._database.total_changes
            self._database.executemany(
                "insert or ignore into chosen values (?)", ((one,) for one in family)
            )
            chosen += self._database.total_changes - before
        rows = run(
            "select host, guid, parent_guid, pid, ppid, time, image, command_line, user,"
            " parent_image from start join chosen using (id) order by time, id"
        )
        names = [column[0] for column in rows.description]
        while part := rows.fetchmany(_PART):
            yield {"rows": [dict(zip(names, row, strict=True)) for row in part]}

    def _ancestors(self, of: int) -> Iterator[int]:
        seen: set[int] = set()
        current: int | None = of
        while current is not None and current not in seen and len(seen) < _ANCESTORS:
            seen.add(current)
            yield current
            current = self._parent(current)

    def _parent(self, of: int) -> int | None:
        run = self._database.execute
        host, guid, ppid, time = run(
            "select host, parent_guid, ppid, time from start where id = ?", (of,)
        ).fetchone()
        if guid:
            row = run("select id from start where guid = ? limit 1", (guid,)).fetchone()
        elif ppid and host:
            row = run(
                "select id from start where host = ? and pid = ? and id != ? and time <= ?"
                " order by time desc limit 1",
                (host, ppid, of, time),
            ).fetchone()
        else:
            row = None
        return None if row is None else int(row[0])

    def _descendants(self, of: int) -> Iterator[int]:
        generation, told = [of], 0
        for _ in range(_GENERATIONS):
            following: list[int] = []
            for parent in generation:
                for child in self._children(parent):
                    if told == _CHILDREN:
                        return
                    told += 1
                    following.append(child)
                    yield child
            generation = following

    def _children(self, of: int) -> list[int]:
        run = self._database.execute
        host, guid, pid, time = run(
            "select host, guid, pid, time from start where id = ?", (of,)
        ).fetchone()
        if guid:
            rows = run(
                "select id from start where parent_guid = ? order by time limit ?",
                (guid, _CHILDREN),
            ).fetchall()
        elif pid and host:
            # The number may be given again: its children end where the next process has it.
            again = run(
                "select min(time) from start where host = ? and pid = ? and time > ?",
                (host, pid, time),
            ).fetchone()[0]
            rows = run(
                "select id from start where host = ? and ppid = ? and parent_guid = ''"
                " and time >= ? and (? is null or time < ?) order by time limit ?",
                (host, pid, time, again, again, _CHILDREN),
            ).fetchall()
        else:
            rows = []
        return [int(row[0]) for row in rows if row[0] != of]


def collect_processes(
    store: ProcessStore, maps: Iterable[FieldMap], paths: Iterable[str | Path], **reading: Any
) -> None:
    """Read evidence once more, for the starts of processes. ``reading`` is what `Run` takes beside
    the paths."""
    engine = Engine([parse_rule(_STARTS, "processes.car")], tuple(maps))
    with Run(engine, paths, **reading) as run:
        for match in run:
            assert isinstance(match, Match)
            for event in match.events:
                identity = identity_in([event.fields])
                if identity.has_process:
                    parent = event.fields.get("parent_image_path")
                    store.start(identity, event.time, parent if isinstance(parent, str) else "")


def _storable(text: str) -> str:
    """A text as SQLite takes it: cut, and lone surrogates spelt out."""
    return text[:_TEXT].encode("utf-8", "backslashreplace").decode("utf-8")
