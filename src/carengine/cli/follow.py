"""``carengine hunt --follow``: rules over files that grow, until interrupted.

With ``--state FILE`` the run survives its process. A *checkpoint* writes, in this order: the
output, to the disk; then the state, in one step, with the session, how far every file has been read
and how long the output is. Starting with a state cuts the output back to that length and reads on
from there. So whatever moment the process is killed at, every match is in the output once::

    output   m1 m2 m3 | m4 m5        killed here, after the state said "3 matches, 700 bytes read"
    resume   m1 m2 m3 |              cut back; bytes 701 … are read again and give m4 m5 again

Where the output is a pipe it cannot be cut back: matches since the last checkpoint come twice then.

Where nothing is to go on from, the end of the run is the end of the data: an interrupt without
``--state``, and ``--finish``, decide what waits for it (groups that are open, differences, ranks).
With a state it waits in there.

Two runs with one state would overwrite each other's. So a run holds a lock of the operating system
on ``FILE.lock``, which ends with the process however that ends. The lock is not on the state
itself, since each checkpoint puts a new file in its place.
"""

from __future__ import annotations

import math
import os
import signal
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager, nullcontext, suppress
from types import FrameType
from typing import Any, BinaryIO

from attrs import define, evolve, field

from .. import ir
from ..diagnostics import CarError, Diagnostic, codes, counted, visible
from ..engine import Engine, Match, Origin, Session, StreamOptions
from ..filewrite import opened_to_write
from ..ir_text import value_text
from ..matches import MatchTally
from ..readers.follow import Follower
from ..values import format_time
from . import UsageError, status
from .evidence import loses
from .live_lines import LiveWriter, StatusLine
from .options import FollowSettings, OutputSettings
from .reload import RulesWatch, update_told
from .results import ShownRules, Writer, writer_for
from .screen import Screen
from .tuning import Tuned

_PAUSE = 0.2
# How many seconds lie between two checkpoints at least. Tests make it shorter.
_CHECKPOINT = float(os.environ.get("CARENGINE_CHECKPOINT") or 1.0)
# A checkpoint may take this part of the time.
_SHARE = 0.05
# How many seconds lie between two reports of what was counted.
_TOLD = 60.0
_GRAVE = ("critical", "high")
# After so many seconds without a record, matches no longer wait for other records of what they tell.
_SILENCE = 1.0


def follow(
    settings: FollowSettings,
    screen: Screen,
    tuned: Tuned,
    *,
    left_lock: bool = False,
    watch: RulesWatch | None = None,
) -> int:
    """Hunt until interrupted, with the session that `open_session` gave. The exit status.

    ``left_lock`` says that the state was locked before (see `held`); ``watch`` looks at the rules.
    """
    session = tuned.session
    attached = session.attached
    saved = attached.get("positions")
    try:
        if "sifter" in attached:
            tuned.sifter.load(attached["sifter"])
        follower_of = _follower(settings, saved)
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        # Its check sum is right: it was written so.
        message = f"the state file holds what no run writes: {error}"
        raise CarError(
            [Diagnostic(codes.BAD_STATE, message, origin=settings.state or "")]
        ) from None
    if left_lock and saved is None:
        message = (
            f"{settings.state}.lock is there and the state is not: an earlier run saved nothing, "
            "and this one starts anew"
        )
        screen.report([Diagnostic(codes.NOTHING_SAVED, message, origin=settings.state or "")])
    if session.updated is not None:
        screen.report(session.updated.diagnostics)
    output = _output(settings, session, resumed=saved is not None)
    with output or nullcontext(), follower_of as follower:
        shown = ShownRules.of(tuned.session.engine)
        writer = _writer(settings.output, tuned, screen, output, shown)
        status_line = StatusLine(screen)
        run = _FollowRun(
            *(tuned, follower, writer, screen, output, settings.state, status_line, settings.quiet),
            *(shown, watch),
        )
        if not settings.quiet:
            _announce(settings, session, screen, resumed=saved is not None)
        return _follow(settings, run)


def _follower(settings: FollowSettings, saved: list[Any] | None) -> closing[Follower]:
    """What watches the files; not the run's own ones, which may be called like rotated ones
    (``app.jsonl.state``)."""
    own = [] if settings.output.path is None else [settings.output.path]
    if settings.state is not None:
        own += [settings.state, *beside(settings.state)]
    return closing(Follower(settings.paths, saved, ignored=own))


def beside(state: str) -> tuple[str, str]:
    """The files that a run with a state uses besides: the next state while it is written, and the
    lock."""
    return f"{state}.new", f"{state}.lock"


def _writer(
    settings: OutputSettings,
    tuned: Tuned,
    screen: Screen,
    output: _OutputFile | None,
    shown: ShownRules,
) -> Writer:
    engine, before = tuned.session.engine, tuned.shown.total()
    if output is None:
        if screen.out_terminal and settings.format is None:
            return LiveWriter(screen, shown.reporter, MatchTally())
        # A table is drawn at the end, which does not come.
        lines = evolve(settings, format=settings.format or "jsonl")
        return writer_for(lines, engine, screen, None, before, following=True, shown=shown)
    writer = writer_for(settings, engine, screen, output.file, before, following=True, shown=shown)
    if output.length:
        # What stands at the head of an output (the names of CSV columns) is there already.
        output.file.seek(output.length)
        output.file.truncate()
    return writer


def _follow(settings: FollowSettings, run: _FollowRun) -> int:
    with _interrupts() as stop:
        # The first state knows the files: what is rotated after it is read under its new name.
        # What it leaves alone is said before, since a run that goes on says no more of it.
        run.follower.look()
        run.tell()
        run.checkpoint()
        run.until(stop, finish=settings.finish)
    interrupted = bool(stop)
    ended = 0
    if settings.state is None or not interrupted:
        ended = run.end()
    run.checkpoint()
    run.screen.flush()
    run.status.wipe()
    run.tell(last=True)
    run.screen.say(_closing(settings, run, ended, interrupted=interrupted))
    return _status(run, finish=settings.finish, interrupted=interrupted)


def _status(run: _FollowRun, *, finish: bool, interrupted: bool) -> int:
    """The exit status. Only with ``--finish`` what was not there is known to be missing."""
    if interrupted:
        return status.INTERRUPTED
    met, stats = run.follower.report, run.tuned.session.stats
    left = met.found.keys() & {codes.NOT_FOLLOWED, codes.LOST_REST}
    lost = finish and (left or loses(met.found))
    blind = status.of_sight(stats.events, stats.shaped, 1, 0)
    return status.gravest(status.UNREADABLE if lost else status.DONE, blind)


def _announce(settings: FollowSettings, session: Session, screen: Screen, *, resumed: bool) -> None:
    """Say what is watched, how long events are waited for, and which rules match long after their
    last event."""
    lateness = session.options.lateness_us or 0
    doing = "reading" if settings.finish else "watching"
    told = [f"{doing} {', '.join(map(visible, settings.paths))}"]
    told[0] += f" with {counted(len(session.engine.rules), 'rule')}"
    if session.engine.streams:
        told.append(f"events may come up to {_length(lateness)} after later ones (--lateness)")
    if resumed and settings.state is not None:
        told.append(f"going on from {visible(settings.state)}")
    if not settings.finish:
        told.append("Ctrl-C ends it")
    screen.say("; ".join(told))
    waiting: dict[float, dict[str, None]] = {}
    for rule, _, lag in session.lags:
        waiting.setdefault(lag, {})[rule.id] = None
    if waiting:
        screen.say(
            "matches that wait, beside the lateness, until nothing can change them any more:"
        )
    brings = "an interrupt" if settings.state is None else "a run with --finish"
    for lag, ids in sorted(waiting.items()):
        if math.isfinite(lag):
            when = _length(lag)
        elif settings.finish:
            when = "to the end of the data"
        else:
            when = f"to the end of the data, which {brings} brings"
        screen.say(f"  {when}: {', '.join(ids)}")


def _length(microseconds: float) -> str:
    """A length of time in words.

    >>> _length(90_000_000)
    '90 seconds'
    """
    return value_text(ir.Duration(int(microseconds)))


def _closing(settings: FollowSettings, run: _FollowRun, ended: int, *, interrupted: bool) -> str:
    """The last line: what was read in this run, and what became of all that was read so far."""
    session, read = run.tuned.session, run.follower.report
    stats = session.stats
    held = session.held[0]
    parts = [
        f"{counted(read.records, 'record')} read since the start of this run, {read.unreadable:,} unreadable",
        f"in all {counted(stats.events, 'event')}, {stats.unrecognised:,} not recognised",
        f"{counted(run.tuned.shown.total(), 'match', 'matches')}"
        + (f", {ended:,} of them with the end" if ended else ""),
    ]
    if session.merged:
        records = counted(session.merged, "record")
        parts.append(f"{records} taken for one with what another sensor told (--no-merge)")
    if held and settings.state is not None:
        parts.append(
            f"{counted(held, 'row')} held in {visible(settings.state)} for what is still to come: "
            "the same command goes on, and with --finish decides what waits"
        )
    return ("interrupted: " if interrupted else "finished: ") + "; ".join(
        (*parts, *run.tuned.parts())
    )


@contextmanager
def held(state: str | None) -> Iterator[bool]:
    """Hold a state file against other processes; nothing where there is none. Whether one held it
    before: the lock file stays.

    Raises `CarError`: CE547 where another process holds it, CE543 where it cannot be locked.
    """
    if state is None:
        yield False
        return
    left = os.path.exists(f"{state}.lock")
    try:
        # Opened for appending and never written to: whatever is there stays as it is.
        file = opened_to_write(f"{state}.lock", "ab")
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
        yield left


def _lock(file: BinaryIO) -> None:
    if sys.platform == "win32":
        import msvcrt

        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def open_session(state: str | None, asked: StreamOptions, engine: Engine) -> Session:
    """The session of the state that a command line names, or a new one. Raises `CarError`.

    Positions in files do not depend on rules: a state of other rules goes on where it was, with the
    windows of those that mean the same (see `Session.updated`).
    """
    if state is None or not os.path.exists(state):
        return engine.session(asked)
    return engine.load_session(state, asked, update=True)


@define
class _OutputFile:
    """A file that matches go to. ``length`` is how much of it is safe; None for what cannot be cut
    back (a pipe, a device)."""

    file: BinaryIO
    name: str
    length: int | None

    def __enter__(self) -> _OutputFile:
        return self

    def __exit__(self, *exception: object) -> None:
        # What could not be written, and was told, cannot be written now either.
        with suppress(OSError):
            self.file.close()

    def secure(self) -> None:
        """Bring what was written to the disk."""
        self.file.flush()
        if self.length is not None:
            os.fsync(self.file.fileno())
            self.length = self.file.tell()


def _output(settings: FollowSettings, session: Session, *, resumed: bool) -> _OutputFile | None:
    """The output file, cut back to where the state says it ended."""
    name = settings.output.path
    if name is None:
        return None
    try:
        if os.path.exists(name) and not os.path.isfile(name):
            return _OutputFile(opened_to_write(name), name, None)
        if not resumed:
            return _OutputFile(opened_to_write(name, "w+b"), name, 0)
        length = session.attached.get("output")
        if length is not None and (type(length) is not int or length < 0):
            message = "the state file holds what no run writes: the output's length is no number"
            raise CarError([Diagnostic(codes.BAD_STATE, message, origin=settings.state or "")])
        file = opened_to_write(name, "r+b" if os.path.exists(name) else "w+b")
    except OSError as error:
        raise _cannot_write(name, error) from None
    size = file.seek(0, os.SEEK_END)
    if length is None or size < length:
        file.close()
        reason = (
            "its matches went elsewhere than to a file"
            if length is None
            else f"it has {size:,} bytes where {length:,} were written"
        )
        message = f"{name} is not the output that this state was saved with: {reason}"
        raise CarError([Diagnostic(codes.BAD_STATE, message, origin=settings.state or "")])
    file.truncate(length)
    file.seek(length)
    return _OutputFile(file, name, length)


def _cannot_write(name: str, error: OSError) -> UsageError:
    return UsageError(f"carengine hunt: cannot write {name}: {error.strerror or error}")


@define
class _FollowRun:
    """One run: what is read, what is written, and when it was last made safe."""

    tuned: Tuned
    follower: Follower
    writer: Writer
    screen: Screen
    output: _OutputFile | None
    state: str | None
    status: StatusLine
    quiet: bool
    shown: ShownRules
    watch: RulesWatch | None = None
    next_checkpoint: float = 0.0
    changed: bool = True
    told: set[Diagnostic] = field(factory=set)
    next_told: float = 0.0

    def until(self, stop: list[bool], *, finish: bool = False) -> None:
        """Read what comes until told to stop, between two records only; or (``finish``) until
        nothing more is there."""
        session = self.tuned.session
        looks_in_vain = 0
        last = time.monotonic()
        while not stop:
            quiet = True
            started = time.monotonic()
            self.reload()
            inside = self.tuned.wants()
            for record in self.follower.poll():
                quiet, self.changed, last = False, True, time.monotonic()
                if inside is None or inside(record.event):
                    self.write(session.feed(record.event, Origin(record.source, record.number)))
                if time.monotonic() >= self.next_checkpoint:
                    self.checkpoint()
                    if self.reload():
                        inside = self.tuned.wants()
                if stop:
                    return
            looks_in_vain = looks_in_vain + 1 if quiet else 0
            if looks_in_vain > 1 and finish:
                # The second look in vain finds what the first came too early for, in the midst of a
                # rotation.
                return
            if quiet:
                if not finish and time.monotonic() - last >= _SILENCE:
                    self.changed = bool(self.write(session.release_waiting())) or self.changed
                if self.changed:
                    self.checkpoint()
                self.tell()
                self.show_status()
                # Looking through many files takes its time too.
                time.sleep(max(_PAUSE, 2 * (time.monotonic() - started)))

    def reload(self) -> bool:
        """Take up rules that have changed, between two events; whether some were."""
        if self.watch is None or not self.watch.due:
            return False
        engine = self.watch.look()
        if engine is None:
            return False
        update = self.tuned.session.update(engine)
        self.write(update.matches)
        self.shown.use(engine)
        self.tuned.inside.use(engine)
        self.changed = True
        self.status.wipe()
        self.screen.report(update.diagnostics)
        self.screen.say(update_told(update))
        return True

    def write(self, matches: Iterable[Match]) -> int:
        """Write the matches that are to be shown; how many."""
        shown = 0
        try:
            for match in matches:
                if self.tuned.admit(match):
                    self.status.wipe()
                    self.writer.write(match)
                    shown += 1
        except OSError as error:
            raise self._unwritten(error) from None
        return shown

    def show_status(self) -> None:
        """Say on the last line of a terminal how far the run is."""
        if self.quiet:
            return
        tally = self.writer.tally
        parts = [
            "watching",
            counted(self.follower.report.records, "record"),
            counted(self.tuned.shown.total(), "match", "matches"),
        ]
        parts += [f"{tally.levels[level]:,} {level}" for level in _GRAVE if tally.levels[level]]
        if tally.last is not None:
            parts.append(f"last match {format_time(tally.last)[:19]}Z")
        self.status.show(" · ".join(parts))

    def end(self) -> int:
        """The data has ended: write what waited for it. How many matches."""
        self.changed = True
        return self.write(self.tuned.session.flush())

    def tell(self, *, last: bool = False) -> None:
        """Say what there is to say of files, lines and events that was not said yet.

        What counts events changes with each of them: it is said once a minute at most, and at the
        end.
        """
        for item in self.follower.diagnostics:
            if item not in self.told and (last or item.code is not codes.MORE_FINDINGS):
                self.status.wipe()
                self.told.add(item)
                self.screen.report([item])
        if last or time.monotonic() >= self.next_told:
            fresh = [item for item in self.tuned.session.diagnostics if item not in self.told]
            if fresh:
                self.status.wipe()
                self.told.update(fresh)
                self.screen.report(fresh)
                self.next_told = time.monotonic() + _TOLD

    def checkpoint(self) -> None:
        """Make everything so far safe: the output first, then the state that says how long it is."""
        started = time.monotonic()
        try:
            if self.output is None:
                self.screen.flush()
            else:
                self.output.secure()
        except OSError as error:
            raise self._unwritten(error) from None
        if self.state is not None:
            session = self.tuned.session
            session.attached = {
                "positions": self.follower.positions(),
                "output": None if self.output is None else self.output.length,
                "sifter": self.tuned.sifter.save(),
            }
            session.save(self.state)
        self.changed = False
        self.tell()
        ended = time.monotonic()
        self.next_checkpoint = ended + max(_CHECKPOINT, (ended - started) / _SHARE)

    def _unwritten(self, error: OSError) -> Exception:
        """What to raise when matches cannot be written. A reader that has gone is no error."""
        if isinstance(error, BrokenPipeError):
            return error
        return _cannot_write("standard output" if self.output is None else self.output.name, error)


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
