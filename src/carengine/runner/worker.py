"""What one process of several does with its pieces of evidence, and what it hands over of it.

It reads the records of a piece and decides what single events decide. A *part* of what it found,
for the one who puts everything together (`hunting`), is plain data and bounded in size, whatever
the piece is.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from typing import Any

from attrs import astuple, define, evolve, field

from ..engine import Engine, Match, StreamOptions
from ..engine.account import difference
from ..engine.report.profile import READING, Profile
from ..engine.report.rule_status import Sample
from ..engine.report.unrecognised import UnknownShapes
from ..engine.streams.recording import Entry, Place, Places, first_half
from ..readers import Limits, Record
from ..readers.json_text import Treatment
from ..readers.pieces import Lines, Piece, Progress, Whole, read
from ..readers.reading import Found, records_of
from ..readers.record import Minutes
from ..tuning import InTime, TimeRange
from .processor import Desk, Glance, watched

Render = Callable[[Match], bytes]
"""What a match is to be written as. It may show the origins of events, and nothing else that hangs
on where they stood."""

# A part is handed over when it has so many records or matches, or bytes of these.
_RECORDS = 8_192
_MATCHES = 1_000
_BYTES = 4 << 20


@define(eq=False)
class Settings:
    """How a run goes, the same in all its processes."""

    options: StreamOptions = field(factory=StreamOptions)
    times: TimeRange = field(factory=TimeRange)
    render: Render | None = None
    limits: Limits = field(factory=Limits)
    password: bytes = b""
    profiled: bool = False


@define(eq=False)
class Part:
    """What was found in a piece of evidence, or in a part of it.

    ``minutes`` is what reading had to say, ``account`` what the session counted; ``outside`` and
    ``timeless`` are of the range of time; ``glances`` and ``unknown`` are what was looked at
    closer; ``entries`` is what events did, their matches shown as `Bench` does. ``profile`` is what
    was measured. ``progress`` is that of a piece of lines, known when the piece is read to its end.
    """

    minutes: Any
    account: dict[str, Any]
    outside: int
    timeless: int
    glances: list[Glance]
    unknown: list[Any]
    entries: list[Entry]
    profile: list[Any]
    progress: tuple[int, bool, bool]


class Bench:
    """The half of a session that a process works with, over one piece after another.

    A match is shown as its `Place` and one of: what it is to be written as; that, in two parts,
    between which the number of its record belongs; or what `Places.match` makes of it.
    """

    def __init__(self, engine: Engine, settings: Settings, profile: Profile | None = None) -> None:
        self._profile = profile
        self.places = Places(engine)
        self._settings = settings
        self._session, self._moves = first_half(engine, self.places, settings.options)
        self._inside = InTime(engine, settings.times)
        self._unknown = UnknownShapes(most=None)
        self._glances: list[Glance] = []
        # Nobody who writes events can know it.
        self._mark = 1 << 60 | secrets.randbits(60)
        self._relative = False
        self._matches = self._size = 0
        self._before: dict[str, Any] = {}
        self.desk = Desk(
            self._session,
            Sample(engine),
            self._unknown,
            self._inside if settings.times else None,
            emit=lambda match: None,
            glance=self._glances.append,
            after=self._after,
        )
        if profile is not None:
            watched(self.desk, profile)

    def begin(self) -> None:
        """This is a copy of the bench in another process: what was measured there counts there."""
        if self._profile is not None:
            self._profile.taken()

    def work(self, message: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
        """What is found in a piece, as tuples of what a `Part` has; the last has what is known at
        the end."""
        first, piece = read_message(message)
        settings = self._settings
        self._relative = isinstance(piece, Lines) and not piece.opening
        minutes = Minutes(left=self.desk.lefts)
        progress = Progress()
        records = read(piece, minutes, settings.limits, settings.password, progress)
        yield from self._read(records, minutes, progress, first)

    def here(self, found: Found, first: int) -> Iterator[tuple[Any, ...]]:
        """The same for a content that is open in this process."""
        self._relative = False
        minutes = Minutes(left=self.desk.lefts)
        yield from self._read(records_of(*found, minutes), minutes, Progress(), first)

    def _read(
        self, records: Iterator[Record], minutes: Minutes, progress: Progress, first: int
    ) -> Iterator[tuple[Any, ...]]:
        desk = self.desk
        desk.begin(first)
        look, number, profile = desk.looks, 0, self._profile
        start = None if profile is None else profile.enter()
        for record in records:
            look(record)
            number += 1
            if number == _RECORDS or self._matches >= _MATCHES or self._size >= _BYTES:
                number = 0
                if profile is not None and start is not None:
                    profile.leave(READING, start)
                yield self._part(minutes, progress)
                start = None if profile is None else profile.enter()
        if profile is not None and start is not None:
            profile.leave(READING, start)
        yield self._part(minutes, progress)

    def _part(self, minutes: Minutes, progress: Progress) -> tuple[Any, ...]:
        account, self._before = difference(self._session.account, self._before)
        inside = self._inside
        outside, timeless = inside.outside, inside.timeless
        inside.outside = inside.timeless = 0
        glances = list(self._glances)
        self._glances.clear()
        self._matches = self._size = 0
        return (
            minutes.handed_over(),
            account,
            outside,
            timeless,
            glances,
            self._unknown.taken(),
            self._moves.taken(),
            [] if self._profile is None else self._profile.taken(),
            (progress.lines, progress.met, progress.ended),
        )

    def _after(self, number: int, matches: list[Match]) -> None:
        shown = [self._shown(match) for match in matches]
        self._moves.done(number, shown)

    def _shown(self, match: Match) -> tuple[Any, ...]:
        self._matches += 1
        place: Place = self.places.of(match)
        render = self._settings.render
        if render is None:
            return (place, self.places.match(match))
        if not self._relative:
            made = render(match)
            self._size += len(made)
            return (place, made)
        [event] = match.events
        assert event.origin is not None
        marked = evolve(event, origin=evolve(event.origin, record=self._mark))
        parts = render(evolve(match, events=(marked,))).split(b"%d" % self._mark)
        self._size += sum(map(len, parts))
        if len(parts) != 2:
            return (place, self.places.match(match))
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
