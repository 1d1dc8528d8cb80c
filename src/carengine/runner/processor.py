"""What is done with each record of a run, wherever it is read: each process has a
`RecordProcessor`.

It feeds a session, and looks closer at a few events, so that afterwards it can be said why
rules did not match. Which ones must not depend on how the work is divided. They are

* the first few hundred events of the run,
* the first event of each combination of kinds, and, so that it can be said of rare kinds what no
  event has, the first few hundred of each,
* and of all others about one in a thousand: of lines those whose check sum says so, elsewhere by
  the record's number.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple
from zlib import crc32

from attrs import define, field

from ..engine import KnownEvent, Match, NativeFilter, Origin, Session, native_filter_of
from ..engine.report import (
    FEEDING,
    FIRST_EVENTS,
    PREFILTERING,
    RARE,
    FieldCoverage,
    ObservedFields,
    Profile,
    UnrecognisedShapes,
)
from ..readers import LineFilter, LogFilter, NextLine, Record

Key = tuple[tuple[str, str, str], ...]
Observation = tuple[int, ObservedFields, bool]
"""An event that was looked at: its number if it is one of the first, its fields, and whether it was
chosen by chance."""

# Of lines of 32 different lengths one is asked for its check sum, and of 32 of these one is chosen.
_ONE_IN = 31
_ONE_RECORD_IN = 1023
# So many combinations of kinds come from hostile events only.
_MOST_COMBINATIONS = 1_000
_TICK = 1024


def _nothing() -> None:
    pass


@define(eq=False)
class CoverageSampling:
    """Puts together what was looked at, in the order of the run, and keeps what belongs to the
    sample."""

    coverage: FieldCoverage
    _met: set[Key] = field(factory=set)

    def note(self, observe: Observation, before: int) -> None:
        """Note an event; ``before`` is how many came before those that its number counts."""
        number, seen, chosen = observe
        key = tuple((name, object_, action) for name, object_, action, _ in seen)
        first = number > 0 and before + number <= FIRST_EVENTS
        new = key not in self._met and len(self._met) < _MOST_COMBINATIONS
        if new:
            self._met.add(key)
        self.coverage.add(seen, sampled=first or new or chosen)


@define(eq=False)
class RecordProcessor:
    """Feeds records to a session.

    ``inside`` tells which events are in the range of time asked for; with it, no line is taken
    unread. ``observe`` gets what events have that were looked at, ``emit`` the matches, ``tick`` is
    called now and then. ``first`` is how many of the next events may be among the first of the run,
    ``threads`` how many threads the native core may use.
    """

    session: Session
    coverage: FieldCoverage
    unrecognised: UnrecognisedShapes
    inside: Callable[[Mapping[str, Any]], bool] | None
    emit: Callable[[Match], None]
    observe: Callable[[Observation], None]
    tick: Callable[[], None] = _nothing
    after: Callable[[int, list[Match]], None] | None = None
    first: int = FIRST_EVENTS
    threads: int = 1
    _number: int = 0
    _records: int = 0
    _is_line: bool = False
    _chosen: bool = False
    _met: Counter[int] = field(factory=Counter)
    _clock: float = float("-inf")
    _native: NativeFilter | None = None
    _known: KnownEvent | None = None
    _moving: bool = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._moving = self.session.times_matter

    def begin(self, first: int) -> None:
        """Go on with a piece of evidence; so many of its first events may be among the first of the
        run."""
        self.first, self._number, self._known = first, 0, None
        self._is_line = self._chosen = False

    def candidates(self, lines: list[bytes]) -> Iterator[int]:
        """The places of lines of JSON that are to be read, in order; the others are dealt with.
        `read_events` asks for them."""
        begun = 0
        number = len(lines)
        while begun < number and (self.first or self.inside is not None):
            line = lines[begun]
            self._is_line = True
            self._chosen = not len(line) & _ONE_IN and not crc32(line) & _ONE_IN
            yield begun
            begun += 1
        chosen = [
            place
            for place, length in enumerate(map(len, lines))
            if not length & _ONE_IN and place >= begun and not crc32(lines[place]) & _ONE_IN
        ]
        for end in (*chosen, number):
            for place in self._undecided(lines[begun:end] if end - begun < number else lines):
                self._is_line, self._chosen = True, False
                yield begun + place
            if end < number:
                self._is_line = self._chosen = True
                yield end
            begun = end + 1

    def line_filter(
        self, blocks: Iterator[tuple[bytes, bool]], limit: int, source: str
    ) -> Iterator[NextLine]:
        """The lines of blocks that are to be read, told by the native core; the others are dealt
        with. `read_events` asks for them."""
        native = self._native_filter()
        assert native is not None
        native.source = source
        for one in native.undecided(blocks, limit, lambda: self.first):
            self._passed(one.records)
            self._is_line, self._chosen, self._known = True, one.sampled, one.known
            yield one.records, one.blank, one.line

    @property
    def log_filter(self) -> LogFilter:
        """The same for event logs."""
        native = self._native_filter()
        assert native is not None
        return LogFilter(native.converted, self._log_lines)

    def _log_lines(self, block: bytes, first: int, source: str) -> Iterator[NextLine]:
        native = self._native_filter()
        assert native is not None
        native.source = source
        for one in native.undecided_records(block, first, lambda: self.first):
            self._passed(one.records)
            self._is_line, self._known = False, one.known
            yield one.records, one.blank, one.line

    def _passed(self, records: int) -> None:
        if self._moving and records and self.after is not None:
            self.after(0, [])
        self._counted(records)

    @property
    def is_native(self) -> bool:
        """Whether lines may go through `line_filter`."""
        return self._native_filter() is not None

    def _native_filter(self) -> NativeFilter | None:
        session, native = self.session, self._native
        if native is not None and native.engine is session.engine:
            return native
        # With a lateness, joins and groups want the time of each line by itself.
        if self.inside is None and (not self._moving or session.options.lateness_us is None):
            tick = session.tick if self._moving else None
            check = session.native_check
            self._native = native_filter_of(
                *(session.engine, session.stats, tick, check, self.threads, self.unrecognised)
            )
        return self._native

    def _undecided(self, lines: list[bytes]) -> Iterator[int]:
        """The places of the lines that the prefilter does not reject; the others are counted as
        records."""
        begun = 0
        if self._moving:
            take = self.session.prefilter.rejects
            for place, line in enumerate(lines):
                if take(line):
                    self._clock_moved()
                    self._counted(1)
                else:
                    yield place
            return
        for place in self.session.prefilter.candidates(lines):
            self._counted(place - begun)
            begun = place + 1
            yield place
        self._counted(len(lines) - begun)

    def _counted(self, number: int) -> None:
        before = self._records
        self._records += number
        if before // _TICK != self._records // _TICK:
            self.tick()

    def _clock_moved(self) -> None:
        """A line that was taken may have moved the clock, and thus decided matches."""
        if self.after is not None:
            self.after(0, [])
            return
        clock = self.session.clock
        if clock != self._clock:
            self._clock = clock
            for match in self.session.arrived():
                self.emit(match)

    def process(self, record: Record) -> None:
        """Feed a record that was read to the session."""
        chosen = self._chosen if self._is_line else not record.number & _ONE_RECORD_IN
        self._is_line = self._chosen = False
        self._counted(1)
        event = record.event
        if self.inside is not None and not self.inside(event):
            return
        session = self.session
        origin, known = Origin(record.source, record.number), self._known
        if known is None:
            matches = session.feed_decoded(event, origin)
        else:
            matches = session.feed_known(event, origin, known)
            self._known = None
        if self.after is None:
            for match in matches:
                self.emit(match)
        else:
            self.after(record.number, matches)
        number = 0
        if self.first:
            self.first -= 1
            self._number += 1
            number = self._number
        latest = session.latest
        assert latest is not None
        if not latest.maps:
            self.unrecognised.add(event)
        elif number or chosen or self._met[id(latest)] < RARE:
            if len(self._met) > _MOST_COMBINATIONS:
                self._met.clear()
            self._met[id(latest)] += 1
            self.observe((number, self.coverage.observation_of(event), chosen))


class Steps(NamedTuple):
    """What a run calls for lines, for records, and for blocks of lines and for event logs where
    there is the native core."""

    candidates: Callable[[list[bytes]], Iterator[int]]
    process: Callable[[Record], None]
    line_filter: LineFilter | None = None
    log_filter: LogFilter | None = None


def steps_of(processor: RecordProcessor, profile: Profile | None) -> Steps:
    """The steps of a processor, measured where there is a profile."""
    if profile is None:
        if not processor.is_native:
            return Steps(processor.candidates, processor.process)
        line_filter, log_filter = processor.line_filter, processor.log_filter
        return Steps(processor.candidates, processor.process, line_filter, log_filter)
    return Steps(
        profile.timed_steps(PREFILTERING, processor.candidates),
        profile.timed(FEEDING, processor.process),
    )
