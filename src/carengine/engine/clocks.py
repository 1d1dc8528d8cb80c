"""Events with two clocks that are hours apart.

A Windows event has its own time (``UtcTime``), and what shipped it adds others (``EventTime``,
``@timestamp``). Where one of them is local time, or when a recording was replayed, they lie hours
apart. Events that have only the other one are then hours away from these, and a join that asks for
minutes finds nothing. That is said once for a run::

    UtcTime and EventTime of events in dc1.json are 4 hours apart

The first events of each class in a file are looked at, then one in 128.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from attrs import define, field

from ..diagnostics import Diagnostic, codes, counted

_FIRST = 32
_ONE_IN = 128
_MOST = 1_000
# Zones differ by hours, and a clock that is wrong seldom by less; shipping may take minutes.
_APART = 59 * 60_000_000
# Distances within so much of each other are one.
_CONSTANT = 2 * 60_000_000
_SHOWN = 5

_Key = tuple[str, str, str]


@define
class _Distance:
    """How far two times of events are apart, in microseconds: of how many, and between what."""

    events: int = 0
    apart: int = 0
    least: int = 0
    most: int = 0

    def add(self, events: int, apart: int, least: int, most: int) -> None:
        if apart:
            self.least = min(self.least, least) if self.apart else least
            self.most = max(self.most, most) if self.apart else most
        self.events += events
        self.apart += apart


@define(eq=False)
class Clocks:
    """The distances of clocks by source, the field that is the event's time, and the other one."""

    distances: dict[_Key, _Distance] = field(factory=dict)
    _source: str = ""
    _fed: dict[int, int] = field(factory=dict)

    def wants(self, number: int, source: str) -> bool:
        """Whether an event of a source is to be looked at, by a number that all events alike
        have."""
        fed = self._fed
        if source != self._source or len(fed) > _MOST:
            fed.clear()
            self._source = source
        fed[number] = times = fed.get(number, 0) + 1
        return times <= _FIRST or not times % _ONE_IN

    def wanted(self, number: int, source: str, events: int) -> list[int]:
        """Which of the next so many events are to be looked at, by their places from 0."""
        fed = self._fed.get(number, 0) if source == self._source else 0
        first = range(max(0, min(events, _FIRST - fed)))
        later = range(_ONE_IN - 1 - fed % _ONE_IN, events, _ONE_IN)
        return [*first, *(place for place in later if place >= len(first))]

    def pass_over(self, number: int, source: str, events: int) -> None:
        """So many events were not asked about, since they are not `wanted`."""
        if source != self._source or len(self._fed) > _MOST:
            self._fed.clear()
            self._source = source
        self._fed[number] = self._fed.get(number, 0) + events

    def note(self, source: str, clocks: Sequence[tuple[str, int]]) -> None:
        """Count the times of an event; the first is the one that is used."""
        if len(clocks) < 2:
            return
        (used, time), *others = clocks
        for name, other in others:
            distance = other - time
            away = abs(distance) >= _APART
            self._of((source, used, name)).add(1, int(away), distance, distance)

    def _of(self, key: _Key) -> _Distance:
        if key not in self.distances and len(self.distances) >= _MOST:
            key = ("", *key[1:])
        return self.distances.setdefault(key, _Distance())

    def as_data(self) -> list[list[Any]]:
        """The distances as plain data."""
        return [
            [*key, one.events, one.apart, one.least, one.most]
            for key, one in self.distances.items()
        ]

    def add(self, data: Iterable[Sequence[Any]]) -> None:
        """Count in what `as_data` or `since` gave."""
        for source, used, name, *numbers in data:
            self._of((str(source), str(used), str(name))).add(*map(int, numbers))

    def diagnostics(self) -> list[Diagnostic]:
        """What there is to say of them: nothing, or one (CE551)."""
        found = [item for item in self.distances.items() if 2 * item[1].apart > item[1].events]
        found.sort(key=lambda item: (-item[1].apart, item[0]))
        if not found:
            return []
        told = [_told(key, one) for key, one in found]
        notes = told[1:_SHOWN]
        if len(told) > _SHOWN:
            notes.append(f"and {counted(len(told) - _SHOWN, 'more pair')} of clocks or files")
        notes.append(
            "joins, groups and baselines do not bring these events together with others whose only "
            "time is the other one"
        )
        return [Diagnostic(codes.TWO_CLOCKS, told[0], notes=tuple(notes))]


def since(now: Iterable[Sequence[Any]], before: Mapping[_Key, Sequence[int]]) -> list[list[Any]]:
    """What `Clocks.as_data` says more than before, for `Clocks.add`."""
    more = []
    for source, used, name, events, apart, *ends in now:
        known, known_apart = before.get((source, used, name), (0, 0))
        if events > known:
            more.append([source, used, name, events - known, apart - known_apart, *ends])
    return more


def _told(key: _Key, one: _Distance) -> str:
    source, used, name = key
    where = f" in {source}" if source else ""
    if one.most - one.least <= _CONSTANT:
        far = f"{_length(min(abs(one.least), abs(one.most)))} apart"
    elif one.least > 0 or one.most < 0:
        short, long = map(_length, sorted((abs(one.least), abs(one.most))))
        far = f"{long} apart" if short == long else f"between {short} and {long} apart"
    else:
        far = f"up to {_length(max(abs(one.least), abs(one.most)))} apart, either way"
    most = "" if one.apart == one.events else "most "
    return f"{most}events{where} have two clocks: {used}, which is used, and {name} are {far}"


def _length(microseconds: int) -> str:
    """A distance in words.

    >>> _length(4 * 3_600_000_000), _length(5_430_000_000), _length(90_000_000_000 * 24)
    ('4 hours', '1 hour 30 minutes', '25 days')
    """
    minutes = (
        -(-microseconds // 60_000_000)
        if microseconds % 60_000_000 > 30_000_000
        else (microseconds // 60_000_000)
    )
    hours, minutes = divmod(minutes, 60)
    if hours >= 72:
        return counted(hours // 24, "day")
    return counted(hours, "hour") + (f" {counted(minutes, 'minute')}" if minutes else "")
