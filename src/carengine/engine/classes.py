"""What an event can be: its classes, and all of them at once.

An event class is one entry of one field map. An event is of one class mostly, and of several where
it is several CAR events, or where maps overlap. All events that are alike in this share one
`Classified`: what is to be done for them, which is made when the first of them comes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from attrs import field, frozen

from ..fieldmap import Entry, FieldMap
from .matcher import ClassMatcher, Match


@frozen(eq=False)
class EventClass:
    """One entry of one field map."""

    fieldmap: FieldMap
    entry: Entry

    @property
    def time(self) -> Callable[[Mapping[str, Any]], int | None]:
        """What gives the event time of an (unwrapped) event."""
        # Of hundreds of entries a run meets a few: their readers are made when they are met.
        return self.entry.reader.time

    @property
    def name(self) -> str:
        """``map object/action``, as reports show it."""
        return f"{self.fieldmap.name} {self.entry.kind}"


@frozen(eq=False)
class ClassGroup:
    """All classes that an event is of through one map, matched at once.

    The matcher's numbers are places in ``stages``, which tells the place among these classes, the
    class, and the stage's number.
    """

    matcher: ClassMatcher
    stages: tuple[tuple[int, EventClass, int], ...]
    match: Match = field(repr=False)
    """The matcher's own, or what an observer puts in its place."""


@frozen(eq=False)
class Classified:
    """What an event is: the maps that recognise it, and its classes. One object for all events
    alike.

    ``groups`` are its classes by map, where there are stages for them, each with the place in
    ``classes`` that the map's begin at; where joins and groups are run, ``paths`` leads to the raw
    fields of the event's time, and ``opaque`` to those of them at which a mapping is needed as a
    whole.
    """

    maps: tuple[FieldMap, ...]
    classes: tuple[EventClass, ...]
    groups: tuple[tuple[int, ClassGroup], ...] = field(repr=False)
    paths: frozenset[tuple[str, ...]] = field(default=frozenset(), repr=False)
    opaque: frozenset[tuple[str, ...]] = field(default=frozenset(), repr=False)
