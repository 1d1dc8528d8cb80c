"""A run over evidence: rules, files, and as many processes as are wanted.

One process walks through the evidence, hands out pieces, and puts together what is found in them,
piece after piece, in the order of the evidence. It also runs the joins and groups: the others tell
it of the events that these want, and of all times. So everything is as in one process: matches and
their order, findings, numbers::

    walk ──▶ pieces ──▶ workers ──▶ partial results, in order ──▶ stats, coverage, flow ──▶ matches
                        decide single events    counts, diagnostics, matches, actions

It does the first pieces itself, so that the others begin (as copies of it) with rules that are
compiled and a prefilter that has learned; small evidence needs no other process at all. What waits
to be put together is bounded: pieces are handed out when there is room, and when there is none only
the piece whose turn it is gets on.
"""

from __future__ import annotations

import os
import signal
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, BinaryIO

from attrs import define, field, frozen

from .. import gc_control
from ..diagnostics import codes
from ..engine import Engine, Match, NativeCheck, Origin, StreamOptions
from ..engine.recording import replay
from ..engine.report import (
    FIRST_EVENTS,
    MERGING,
    READING,
    WRITING,
    FieldCoverage,
    Profile,
    UnrecognisedShapes,
)
from ..readers import (
    DiagnosticsBuffer,
    Limits,
    Reading,
    ReadReport,
    Record,
    RecordCounter,
    Walk,
    conclude,
    replay_diagnostics,
)
from ..readers.pieces import PIECE, Ending, Here, Lines, Piece, Whole, pieces
from ..tuning import InTime, TimeRange
from .pool import Work, WorkerPool, start_method, unpack
from .processor import CoverageSampling, RecordProcessor, steps_of
from .threads import threads_share
from .worker import PartialResult, Render, RunSettings, Worker, message_of

_WARM = 2 * PIECE
# All processes together work on so many pieces' worth of a file, and on several: whoever reads on
# for longer learns less of what the others learn as well.
_TOGETHER = 16
_MOST_WAITING = 64 << 20
# What a message takes beside its bytes.
_MESSAGE = 1_024


def cores() -> int:
    """How many processes this one may keep busy."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:
        return os.cpu_count() or 1


@frozen
class _WalkDiagnostics:
    """What the walk had to say."""

    diagnostics: Any


@define(eq=False)
class _Slot:
    """A piece that was handed out, with the parts that have come of it and are not dealt with."""

    piece: Piece
    parts: deque[bytes | tuple[Any, ...]] = field(factory=deque)
    done: bool = False
    before: int | None = None
    counted: int = 0


@define(eq=False)
class _Text:
    """How far a text that was cut has been put together."""

    records: int = 0
    blank: int = 0
    lines: int = 0
    met: bool = False
    ended: bool = False


class Run:
    """One run of an engine over the evidence at some paths.

    ``jobs`` is the number of processes that share the work, 0 for as many as there are cores;
    results do not depend on it. Where the native core is installed and reads the evidence, they are
    threads of this process (`threads_share`). ``times`` leaves events out, ``render`` says what a match is to be
    written as (a function of a module, so that all processes find it). The rest is as for
    `read_events` and `Engine.session`; ``start`` is how processes are started: ``fork``, ``spawn``,
    or ``auto``. With ``profile``, what rules cost is measured, in all processes together.

    `run` hands out matches; iterating gives them. ``reading`` and ``session`` are the accounts of
    both halves, ``coverage`` and ``unrecognised`` what was looked at closer, ``inside`` counts what
    the range of time left out. They tell of the part that has been dealt with.

    `WorkerError` (CE546) is raised when a process is lost.

    Example::

        with carengine.Run(engine, ["evidence/"], jobs=4) as run:
            for match in run:
                print(match.rule.id)
        print(run.session.stats.events, run.reading.unreadable)
    """

    def __init__(
        self,
        engine: Engine,
        paths: Iterable[str | Path],
        *,
        jobs: int = 1,
        options: StreamOptions | None = None,
        times: TimeRange | None = None,
        render: Render | None = None,
        limits: Limits | None = None,
        stdin: BinaryIO | None = None,
        password: str | bytes = b"",
        include: Iterable[str] = (),
        exclude: Iterable[str] = (),
        start: str = "auto",
        profile: bool = False,
        check_native: bool = False,
        piece: int = PIECE,
        warm: int = _WARM,
    ) -> None:
        if jobs < 0:
            raise ValueError(f"jobs must not be negative: {jobs}")
        self.profile = Profile(engine) if profile else None
        """What rules cost, where that is measured."""
        self.engine = engine = engine if self.profile is None else self.profile.engine
        self.jobs = jobs or cores()
        self.threads = 1
        """How many threads share the work in place of so many ``jobs``."""
        self._paths = [os.fspath(path) for path in paths]
        if (
            self.jobs > 1
            and start == "auto"
            and threads_share(engine, options or StreamOptions(), self._paths, timed=bool(times))
        ):
            self.jobs, self.threads = 1, self.jobs
        secret = password.encode() if isinstance(password, str) else password
        self._settings = RunSettings(
            options or StreamOptions(),
            times or TimeRange(),
            render,
            limits or Limits(),
            secret,
            profile,
        )
        self.session = engine.session(self._settings.options)
        if check_native:
            if jobs != 1:
                raise ValueError("the native core is checked by one process")
            self.session.native_check = NativeCheck()
        self.coverage = FieldCoverage(engine)
        self.unrecognised = UnrecognisedShapes()
        self.inside = InTime(engine, self._settings.times)
        self._sampling = CoverageSampling(self.coverage)
        self._report = ReadReport()
        stats = self._report if self.jobs == 1 else DiagnosticsBuffer()
        self._walk = Walk.of(stats, self._settings.limits, stdin, secret, include, exclude)
        self._found: list[Match | bytes] = []
        if self.jobs == 1:
            self._processor = self._own_processor()
            self._steps = steps_of(self._processor, self.profile)
            self._report.candidates = self._steps.candidates
            self._report.line_filter = self._steps.line_filter
            self._report.log_filter = self._steps.log_filter
            self.reading = Reading(self._walk.records(self._paths), self._report)
            return
        self.reading = Reading(_nothing_more(), self._report)
        self._worker = Worker(engine, self._settings, self.profile)
        self._start = start
        self._share_out(piece, warm)

    def _share_out(self, piece: int, warm: int) -> None:
        """Make ready what several processes need: pieces of ``piece`` bytes, of which the first
        ``warm`` bytes are read here."""
        self._piece = piece
        self._warm = warm
        self._stopped: set[int] = set()
        self._pieces = pieces(self._walk, self._paths, self._stopped, piece, self._stretch)
        self._pool: WorkerPool | None = None
        self._engine_file: str | None = None
        self._next: Piece | None = None
        self._here: Here | None = None
        self._walked = False
        self._order: deque[_WalkDiagnostics | Ending | _Slot] = deque()
        self._slots: dict[int, _Slot] = {}
        self._given = 0
        self._waiting = 0
        self._texts: dict[int, _Text] = {}

    def _own_processor(self) -> RecordProcessor:
        sampling = self._sampling
        return RecordProcessor(
            self.session,
            self.coverage,
            self.unrecognised,
            self.inside if self._settings.times else None,
            emit=self._emit,
            observe=lambda observe: sampling.note(observe, 0),
            threads=self.threads,
        )

    def _emit(self, match: Match) -> None:
        render = self._settings.render
        self._found.append(match if render is None else render(match))

    def __enter__(self) -> Run:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the other processes and close all files."""
        self.reading.close()
        if self.jobs == 1:
            return
        self._pieces.close()
        if self._pool is not None:
            self._pool.close()
            self._pool = None
        if self._engine_file is not None:
            Path(self._engine_file).unlink(missing_ok=True)
            self._engine_file = None

    # Running

    def __iter__(self) -> Iterator[Match | bytes]:
        """All matches (what ``render`` makes of each, if it was given), in order."""
        if self.jobs == 1:
            process, matches = self._steps.process, self._found
            for record in self._measured(self.reading):
                process(record)
                if matches:
                    yield from matches
                    matches.clear()
        else:
            for _ in self._merged():
                yield from self._found
                self._found.clear()
        self._flush()
        yield from self._found
        self._found.clear()

    def run(
        self, emit: Callable[[Match | bytes], None], tick: Callable[[], None] = lambda: None
    ) -> None:
        """Hand each match to ``emit``, and call ``tick`` now and then.

        An interrupt takes effect between two steps of the work; what was counted by then has been
        handed out.
        """
        if self.profile is not None:
            emit = self.profile.timed(WRITING, emit)
        if self.jobs == 1:
            processor = self._processor
            processor.tick = tick
            if self._settings.render is None:
                processor.emit = emit
            else:
                render = self._settings.render
                processor.emit = lambda match: emit(render(match))
            process = self._steps.process
            for record in self._measured(self.reading):
                process(record)
        else:
            with _interrupts() as interrupted:
                for _ in self._merged(interrupted):
                    for found in self._found:
                        emit(found)
                    self._found.clear()
                    tick()
                    if interrupted:
                        raise KeyboardInterrupt
        self._flush()
        for found in self._found:
            emit(found)
        self._found.clear()

    def _measured(self, reading: Reading) -> Iterator[Record]:
        """The records, with the time measured that reading them takes."""
        return iter(reading) if self.profile is None else self._timed(reading, self.profile)

    def _timed(self, reading: Reading, profile: Profile) -> Iterator[Record]:
        while True:
            start = profile.enter()
            record = next(reading, None)
            profile.leave(READING, start)
            if record is None:
                return
            yield record

    def _flush(self) -> None:
        for match in self.session.flush():
            self._emit(match)

    def begin(self) -> None:
        """Do the first pieces, and start the other processes if there are more. `run` does it if
        nobody else did.

        It is worth a call of its own before threads are started: see `start_method`.
        """
        if self.jobs == 1:
            return
        with gc_control.paused():  # what compiling makes stays, here and in the other processes
            self._warm_up()
            self._warm = 0
            if self._next is not None:
                self._start_workers()

    def _warm_up(self) -> None:
        while self._warm > 0 and self._advance():
            piece = self._next
            if piece is None:
                continue
            size = piece.size if piece.size is not None else self._piece
            if size > self._warm:
                break
            self._warm -= max(1, size)
            self._next = None
            slot = _Slot(piece, done=True)
            self._order.append(slot)
            slot.parts.extend(self._worker.work(message_of(piece, self._first())))
            for _ in self._put_together():
                pass  # what was found waits for `run`

    def _stretch(self, left: int) -> int:
        """How many bytes of a file are the next piece. The last ones are small: all end at about
        the same time."""
        if self._warm:
            return self._piece
        most = self._piece * max(1, _TOGETHER // self.jobs)
        return max(self._piece, min(most, left // (2 * self.jobs)))

    def _first(self) -> int:
        """How many events of the next piece may be among the first of the run."""
        return FIRST_EVENTS if self.session.stats.events < FIRST_EVENTS else 0

    def _start_workers(self) -> None:
        """Start the other processes."""
        method = start_method(self._start)
        if method == "fork":
            self._pool = WorkerPool(self.jobs, method, _forked, (self._worker,))
            return
        descriptor, self._engine_file = tempfile.mkstemp(suffix=".carengine")
        os.close(descriptor)
        self.engine.save(self._engine_file)
        self._pool = WorkerPool(self.jobs, method, _spawned, (self._engine_file, self._settings))

    def _advance(self) -> bool:
        """Walk on by a step; False where that has to wait."""
        if self._walked or self._next is not None or self._here is not None:
            return False
        step = next(self._pieces, None)
        assert isinstance(self._walk.report, DiagnosticsBuffer)
        diagnostics = self._walk.report.handed_over()
        if any(diagnostics):
            self._order.append(_WalkDiagnostics(diagnostics))
        match step:
            case None:
                self._walked = True
            case Ending():
                self._order.append(step)
            case Here():
                self._here = step
            case _:
                self._next = step
        return True

    def _merged(self, interrupted: list[bool] | None = None) -> Iterator[None]:
        """Everything, put together; after each step, what was found is in ``_found``."""
        self.begin()
        yield
        while True:
            yield from self._put_together()
            if self._advance():
                continue
            if self._here is not None and not self._order:
                here, self._here = self._here, None
                content = here.found[1]
                slot = _Slot(Whole(content.name, content.within, content.depth))
                for part in self._worker.work_here(here.found, self._first()):
                    self._merge(slot, PartialResult(*part))
                    yield
                continue
            if self._next is not None and self._give(self._next):
                self._next = None
                continue
            if not self._order:
                if self._walked and self._next is None:
                    return
                continue
            self._wait(interrupted)
            yield

    def _give(self, piece: Piece) -> bool:
        """Hand a piece out, if there is room."""
        if self._pool is None:
            self._start_workers()
        assert self._pool is not None
        if self._waiting >= _MOST_WAITING or not self._pool.free(idle=piece.data is not None):
            return False
        slot = self._slots[self._given] = _Slot(piece)
        self._order.append(slot)
        self._pool.give(self._given, message_of(piece, self._first()))
        self._given += 1
        return True

    def _wait(self, interrupted: list[bool] | None) -> None:
        """Wait for what comes next, and take it in."""
        assert self._pool is not None
        head = self._order[0]
        only = None
        if self._waiting >= _MOST_WAITING:
            only = next(number for number, slot in self._slots.items() if slot is head)
        for number, message, last in self._pool.answers(only, interrupted):
            slot = self._slots[number]
            slot.parts.append(message)
            self._waiting += len(message) + _MESSAGE
            if last:
                slot.done = True
                del self._slots[number]

    def _put_together(self) -> Iterator[None]:
        """What is there and has its turn."""
        while self._order:
            head = self._order[0]
            match head:
                case _WalkDiagnostics(diagnostics):
                    replay_diagnostics(self._report, diagnostics)
                case Ending():
                    self._end(head)
                case _Slot():
                    while head.parts:
                        part = head.parts.popleft()
                        if isinstance(part, bytes):
                            self._waiting -= len(part) + _MESSAGE
                            part = unpack(part)
                        self._merge(head, PartialResult(*part))
                        yield
                    if not head.done:
                        return
            self._order.popleft()

    def _end(self, ending: Ending) -> None:
        """A text that was cut is at its end."""
        text = self._texts.pop(ending.text)
        stats, name, within = self._report, ending.name, ending.within
        match ending.failure:
            case _ if text.ended:
                pass  # it has been said
            case None:
                limits = self._settings.limits
                counter = RecordCounter(name, stats, limits, text.records, text.met, text.blank)
                conclude(counter, within, like_json=ending.like_json)
            case ("damage", message):
                stats.say(codes.UNREADABLE_FILE, within, message, about=name)
            case ("fault", message):
                reason = f"is not read any further: {message}"
                stats.say(codes.READER_FAILED, within, reason, about=name)
            case _:
                pass  # a refusal is said by the walk

    def _merge(self, slot: _Slot, part: PartialResult) -> None:
        """Take in a part whose turn it is."""
        profile = self.profile
        if profile is None:
            self._take_in(slot, part)
            return
        start = profile.enter()
        self._take_in(slot, part)
        profile.leave(MERGING, start)
        profile.add(part.profile)

    def _take_in(self, slot: _Slot, part: PartialResult) -> None:
        piece = slot.piece
        text = None
        if isinstance(piece, Lines):
            text = self._texts.setdefault(piece.text, _Text())
            if text.ended:
                return  # nothing of what follows a failure is read
        stats = self.session.stats
        if slot.before is None:
            slot.before = stats.events
        records = 0 if text is None else text.records
        replay_diagnostics(
            self._report, part.diagnostics, records=records, lines=0 if text is None else text.lines
        )
        stats.add(part.stats)
        self.inside.outside += part.outside
        self.inside.timeless += part.timeless
        for observe in part.observations:
            self._sampling.note(observe, slot.before)
        self.unrecognised.merge(part.unrecognised)
        self._replay(piece.name, part, records)
        if isinstance(piece, Lines) and text is not None:
            # Within a piece numbers go on by themselves.
            slot.counted += part.diagnostics[0]
            if slot.done and not slot.parts:
                lines, blank, met, ended = part.progress
                text.records += slot.counted + blank
                text.blank += blank
                text.lines += lines
                text.met = text.met or met
                text.ended = ended
                if ended:
                    self._stopped.add(piece.text)

    def _replay(self, name: str, part: PartialResult, records: int) -> None:
        """Do what the events of a part did, in order."""
        codec, session, render = self._worker.codec, self.session, self._settings.render
        for number, matches, recording in part.entries:
            origin = Origin(name, number + records)
            placed: list[tuple[Any, Match | bytes]] = []
            for place, *shown in matches:
                match shown:
                    case [bytes(rendered)]:
                        placed.append((place, rendered))
                    case [before, after]:
                        placed.append((place, before + b"%d" % origin.record + after))
                    case [data]:
                        decoded = codec.decode_match(place, data, origin)
                        placed.append((place, decoded if render is None else render(decoded)))
                    case _:
                        pass
            if recording:
                arrived = replay(session, codec, recording, origin)
                if arrived:
                    placed += [(p, m if render is None else render(m)) for p, m in arrived]
                    placed.sort(key=lambda item: item[0])
            self._found += [decoded for _, decoded in placed]


def _nothing_more() -> Any:
    return
    yield iter(())


def _forked(worker: Worker) -> Work:
    worker.begin()
    return worker.work


def _spawned(engine_file: str, settings: RunSettings) -> Work:
    engine = Engine.load(engine_file)
    profile = Profile(engine) if settings.profiled else None
    return Worker(engine if profile is None else profile.engine, settings, profile).work


@contextmanager
def _interrupts() -> Iterator[list[bool]]:
    """A list that is no longer empty once an interrupt was asked for; a second one is not waited
    with."""
    asked: list[bool] = []
    if threading.current_thread() is not threading.main_thread():
        yield asked
        return

    def note(number: int, frame: FrameType | None) -> None:
        if asked:
            raise KeyboardInterrupt
        asked.append(True)

    before = signal.getsignal(signal.SIGINT)
    if before is not signal.default_int_handler:
        yield asked  # whoever asked for something else gets that
        return
    signal.signal(signal.SIGINT, note)
    try:
        yield asked
    finally:
        signal.signal(signal.SIGINT, before)
