"""``carengine hunt --follow``: rules over files that grow, until interrupted.

With ``--state FILE`` the run survives its process. A *checkpoint* writes, in this order: the output, to the disk;
then the state, in one step, with the session, how far every file has been read and how long the output is. Starting with a
state cuts the output back to that length and reads on from there. So whatever moment the process is killed at, every match is
in the output once::

    output   m1 m2 m3 | m4 m5        killed here, after the state said "3 matches, 700 bytes read"
    resume   m1 m2 m3 |              cut back; bytes 701 … are read again and give m4 m5 again

Where the output is a pipe it cannot be cut back: matches since the last checkpoint come twice then.

Two runs with one state would overwrite each other's. So a run holds a lock of the operating system on ``FILE.lock``, which ends
with the process however that ends. The lock is not on the state itself, since each checkpoint puts a new file in its place.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import BinaryIO

from attrs import define

from ..diagnostics import CarError, Diagnostic, codes, counted
from ..engine import Engine, Origin, Session, StreamOptions
from ..readers.follow import Follower
from . import UsageError, status
from .results import Writer, writer_for
from .screen import Screen
from .streams import report_streams
from .tuning import Tuned

_PAUSE = 0.2
# How many seconds lie between two checkpoints at least. Tests make it shorter.
_CHECKPOINT = float(os.environ.get("CARENGINE_CHECKPOINT") or 1.0)
# A checkpoint may take this part of the time.
_SHARE = 0.05


def follow(options: argparse.Namespace, screen: Screen, tuned: Tuned) -> int:
    """Hunt until interrupted, with the session that `open_session` gave. The exit status."""
    if options.format == "table":
        raise UsageError("carengine hunt: a table is drawn at the end; --follow has none")
    if "-" in options.events:
        raise UsageError("carengine hunt: standard input ends by itself; --follow is for files")
    session = tuned.session
    saved = session.attached.get("positions")
    if "sifter" in session.attached:
        tuned.sifter.load(session.attached["sifter"])
    target = _target(options, session, resumed=saved is not None)
    follower = Follower(options.events, saved)
    if options.format is None and target is None:
        options.format = "jsonl"
    place = 0 if target is None else target.tell()
    writer = writer_for(options, session.engine.rules, screen, target)
    if place and target is not None:
        # What stands at the head of an output (the names of CSV columns) is there already.
        target.seek(place)
        target.truncate()
    run = _Run(tuned, follower, writer, screen, target, options.state)
    with _interrupts() as stop:
        run.checkpoint()
        run.until(stop)
    run.checkpoint()
    follower.close()
    screen.flush()
    if target is not None:
        target.close()
    screen.report(follower.diagnostics)
    report_streams(session, screen)
    account = session.account
    screen.say(
        f"interrupted: {counted(follower.account.records, 'record')} read since the start of this run, "
        f"{follower.account.unreadable:,} unreadable; in all {counted(account.events, 'event')}, "
        f"{account.unrecognised:,} not recognised, {counted(account.matches.total(), 'match', 'matches')}"
        + "".join(f"; {part}" for part in tuned.parts())
    )
    return status.INTERRUPTED


@contextmanager
def held(state: str | None) -> Iterator[None]:
    """Hold a state file against other processes; nothing where there is none.

    Raises `CarError`: CE547 where another process holds it, CE543 where it cannot be locked.
    """
    if state is None:
        yield
        return
    try:
        # Opened for appending and never written to: whatever is there stays as it is.
        file = open(f"{state}.lock", "ab")  # noqa: SIM115
    except OSError as error:
        message = f"the state cannot be locked: {state}.lock: {error.strerror}"
        raise CarError([Diagnostic(codes.BAD_STATE, message, origin=state)]) from None
    with file:
        try:
            _lock(file)
        except (BlockingIOError, PermissionError):
            message = "another process uses this state"
            raise CarError([Diagnostic(codes.STATE_IN_USE, message, origin=state)]) from None
        except OSError as error:
            message = f"the state cannot be locked: {error.strerror}"
            note = "it has to be on a file system that knows locks"
            raise CarError(
                [Diagnostic(codes.BAD_STATE, message, origin=state, notes=(note,))]
            ) from None
        yield


def _lock(file: BinaryIO) -> None:
    if sys.platform == "win32":
        import msvcrt

        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def open_session(options: argparse.Namespace, asked: StreamOptions, engine: Engine) -> Session:
    """The session of the state that a command line names, or a new one. Raises `CarError`."""
    if options.state is None or not os.path.exists(options.state):
        return engine.session(asked)
    return engine.load_session(options.state, asked)


def _target(options: argparse.Namespace, session: Session, *, resumed: bool) -> BinaryIO | None:
    """The output file, cut back to where the state says it ended."""
    if options.output is None:
        return None
    try:
        if not resumed:
            return open(options.output, "w+b")
        length = session.attached["output"]
        target = open(options.output, "r+b")  # noqa: SIM115
    except OSError as error:
        message = f"carengine hunt: cannot write {options.output}: {error.strerror}"
        raise UsageError(message) from None
    size = target.seek(0, os.SEEK_END)
    if length is None or size < length:
        message = (
            f"{options.output} is not the output that this state was saved with: it is shorter"
        )
        raise CarError([Diagnostic(codes.BAD_STATE, message, origin=options.state)])
    target.truncate(length)
    target.seek(length)
    return target


@define
class _Run:
    """One run: what is read, what is written, and when it was last made safe."""

    tuned: Tuned
    follower: Follower
    writer: Writer
    screen: Screen
    target: BinaryIO | None
    state: str | None
    next_checkpoint: float = 0.0
    changed: bool = True

    def until(self, stop: list[bool]) -> None:
        """Read what comes until told to stop; between two records only."""
        session, admit, inside = self.tuned.session, self.tuned.admit, self.tuned.wants()
        while not stop:
            quiet = True
            for record in self.follower.poll():
                quiet, self.changed = False, True
                if inside is None or inside(record.event):
                    for match in session.feed(record.event, Origin(record.source, record.number)):
                        if admit(match):
                            self.writer.write(match)
                if time.monotonic() >= self.next_checkpoint:
                    self.checkpoint()
                if stop:
                    return
            if quiet:
                if self.changed:
                    self.checkpoint()
                time.sleep(_PAUSE)

    def checkpoint(self) -> None:
        """Make everything so far safe: the output first, then the state that says how long it is."""
        started = time.monotonic()
        length = None
        if self.target is None:
            self.screen.flush()
        else:
            self.target.flush()
            os.fsync(self.target.fileno())
            length = self.target.tell()
        if self.state is not None:
            session = self.tuned.session
            session.attached = {
                "positions": self.follower.positions(),
                "output": length,
                "sifter": self.tuned.sifter.save(),
            }
            session.save(self.state)
        self.changed = False
        ended = time.monotonic()
        self.next_checkpoint = ended + max(_CHECKPOINT, (ended - started) / _SHARE)


@contextmanager
def _interrupts() -> Iterator[list[bool]]:
    """A list that is no longer empty once an interrupt or a termination was asked for.

    Nothing is broken off in the middle, so that what is saved is whole.
    """
    stop: list[bool] = []

    def note(number: int, frame: FrameType | None) -> None:
        stop.append(True)

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
