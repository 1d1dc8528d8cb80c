"""What one process of several does with its pieces of evidence, and what it hands over of it.

It reads the records of a piece and decides what single events decide. A *part* of what it found,
for the one who puts everything together (`run`), is plain data and bounded in size, whatever
the piece is.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

from attrs import astuple, define, evolve, field

from ..engine import Engine, Match, StreamOptions, difference
from ..engine.recording import EngineCodec, EventActions, Place, recording_session
from ..engine.report import READING, FieldCoverage, Profile, UnrecognisedShapes
from ..readers import DiagnosticsBuffer, FormattedContent, Limits, Record, Treatment, records_of
from ..readers.pieces import Lines, Piece, Progress, Whole, read
from ..tuning import InTime, TimeRange
from .processor import Observation, RecordProcessor, steps_of

Render = Callable[[Match], bytes]
"""What a match is to be written as. It may show the origins of events, and nothing else that hangs
on where they stood."""

# A part is handed over when it has so many records or matches, or bytes of these.
_RECORDS = 8_192
_MATCHES = 1_000
_BYTES = 4 << 20


@define(eq=False)
class RunSettings:
    """How a run goes, the same in all its processes."""

    options: StreamOptions = field(factory=StreamOptions)
    times: TimeRange = field(factory=TimeRange)
    render: Render | None = None
    limits: Limits = field(factory=Limits)
    password: bytes = b""
    profiled: bool = False


@define(eq=False)
class PartialResult:
    """What was found in a piece of evidence, or in a part of it.

    ``diagnostics`` is what reading had to say, ``stats`` what the session counted; ``outside`` and
    ``timeless`` are of the range of time; ``observations`` and ``unrecognised`` are what was looked
    at closer; ``entries`` is what events did, their matches shown as `Worker` does. ``profile`` is
    what was measured. ``progress`` is that of a piece of lines, known when the piece is read to its
    end.
    """

    diagnostics: Any
    stats: dict[str, Any]
    outside: int
    timeless: int
    observations: list[Observation]
    unrecognised: list[Any]
    entries: list[EventActions]
    profile: list[Any]
    progress: tuple[int, int, bool, bool]


class Worker:
    """The half of a session that a process works with, over one piece after another.

    A match is shown as its `Place` and one of: what it is to be written as; that, in two parts,
    between which the number of its record belongs; or what `EngineCodec.encode_match` makes of it.
    """

    def __init__(
        self, engine: Engine, settings: RunSettings, profile: Profile | None = None
    ) -> None:
        self._profile = profile
        self.codec = EngineCodec(engine)
        self._settings = settings
        self._session, self._recording = recording_session(engine, self.codec, settings.options)
        self._inside = InTime(engine, settings.times)
        self._unrecognised = UnrecognisedShapes(most=None)
        self._observations: list[Observation] = []
        # Nobody who writes events can know it.
        self._mark = 1 << 60 | int.from_bytes(os.urandom(8)) >> 4
        self._relative = False
        self._matches = self._size = 0
        self._before: dict[str, Any] = {}
        self.processor = RecordProcessor(
            self._session,
            FieldCoverage(engine),
            self._unrecognised,
            self._inside if settings.times else None,
            emit=lambda match: None,
            observe=self._observations.append,
            after=self._after,
        )
        self._steps = steps_of(self.processor, profile)

    def begin(self) -> None:
        """This is a copy of the worker in another process: what was measured there counts
        there."""
        if self._profile is not None:
            self._profile.taken()

    def work(self, message: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
        """What is found in a piece, as tuples of what a `PartialResult` has; the last has what is
        known at the end."""
        first, piece = read_message(message)
        settings = self._settings
        self._relative = isinstance(piece, Lines) and not piece.opening
        diagnostics = self._diagnostics()
        progress = Progress()
        records = read(piece, diagnostics, settings.limits, settings.password, progress)
        yield from self._read(records, diagnostics, progress, first)

    def _diagnostics(self) -> DiagnosticsBuffer:
        steps = self._steps
        return DiagnosticsBuffer(
            candidates=steps.candidates,
            line_filter=steps.line_filter,
            log_filter=steps.log_filter,
        )

    def work_here(self, content: FormattedContent, first: int) -> Iterator[tuple[Any, ...]]:
        """The same for a content that is open in this process."""
        self._relative = False
        diagnostics = self._diagnostics()
        yield from self._read(records_of(*content, diagnostics), diagnostics, Progress(), first)

    def _read(
        self,
        records: Iterator[Record],
        diagnostics: DiagnosticsBuffer,
        progress: Progress,
        first: int,
    ) -> Iterator[tuple[Any, ...]]:
        processor = self.processor
        processor.begin(first)
        look, number, profile = self._steps.process, 0, self._profile
        start = None if profile is None else profile.enter()
        for record in records:
            look(record)
            number += 1
            if number == _RECORDS or self._matches >= _MATCHES or self._size >= _BYTES:
                number = 0
                if profile is not None and start is not None:
                    profile.leave(READING, start)
                yield self._part(diagnostics, progress)
                start = None if profile is None else profile.enter()
        if profile is not None and start is not None:
            profile.leave(READING, start)
        yield self._part(diagnostics, progress)

    def _part(self, diagnostics: DiagnosticsBuffer, progress: Progress) -> tuple[Any, ...]:
        stats, self._before = difference(self._session.stats, self._before)
        inside = self._inside
        outside, timeless = inside.outside, inside.timeless
        inside.outside = inside.timeless = 0
        observations = list(self._observations)
        self._observations.clear()
        self._matches = self._size = 0
        return (
            diagnostics.handed_over(),
            stats,
            outside,
            timeless,
            observations,
            self._unrecognised.taken(),
            self._recording.taken(),
            [] if self._profile is None else self._profile.taken(),
            (progress.lines, progress.blank, progress.met, progress.ended),
        )

    def _after(self, number: int, matches: list[Match]) -> None:
        shown = [self._shown(match) for match in matches]
        self._recording.end_event(number, shown)

    def _shown(self, match: Match) -> tuple[Any, ...]:
        self._matches += 1
        place: Place = self.codec.place_of(match)
        render = self._settings.render
        if render is None:
            return (place, self.codec.encode_match(match))
        if not self._relative:
            rendered = render(match)
            self._size += len(rendered)
            return (place, rendered)
        [event] = match.events
        assert event.origin is not None
        marked = evolve(event, origin=evolve(event.origin, record=self._mark))
        parts = render(evolve(match, events=(marked,))).split(b"%d" % self._mark)
        self._size += sum(map(len, parts))
        if len(parts) != 2:
            return (place, self.codec.encode_match(match))
        return (place, *parts)


def message_of(piece: Piece, first: int) -> tuple[Any, ...]:
    """A piece as plain data, and how many of its events may be among the first of the run."""
    match piece:
        case Lines():
            what = (piece.text, piece.name, piece.within, piece.treatment.value)
            where = (piece.opening, piece.data, piece.path, piece.start, piece.end)
            return (first, "lines", *what, *where)
        case Whole():
            return (first, "whole", *astuple(piece, recurse=False))


def read_message(message: tuple[Any, ...]) -> tuple[int, Piece]:
    """What `message_of` was given."""
    first, kind, *fields = message
    if kind == "whole":
        return first, Whole(*fields)
    text, name, within, treatment, *rest = fields
    return first, Lines(text, name, within, Treatment(treatment), *rest)
