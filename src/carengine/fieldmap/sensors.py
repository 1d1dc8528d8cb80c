"""Sensors: which events may tell of what another sensor tells of too.

Sysmon's event 1 and Security's 4688 tell of one start of a process. An entry of a field map can say
so::

    - kind: process/create
      when: EventID = 1
      sensor:
        name: sysmon                      who tells
        rank: 1                           the lower, the more it says (9 where it is left out)
        by: [hostname, pid, image_path]   what two records of one happening have in common
        within: 5 s                       how far apart their times may be
        time: RecordTime                  the clock that the sensors share (the event time where it
                                          is left out)
        of: process/create                the happening (the entry's kind where it is left out)

``by`` names fields of the happening's object. In a log source, whose fields are the log's own, it
is a mapping from these names to expressions. Two records are of one happening where ``of`` and all
values of ``by`` are equal, their sensors differ, and their times are near enough. A record in which
a value of ``by`` is missing is merged with nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

from attrs import field, frozen

from .. import ir
from ..datamodel import model
from ..evaluate import as_time
from ..values import key_of
from .getters import Get, getter

TIME = "time"
LOWEST_RANK = 9


@frozen
class Sighting:
    """What one record says of a happening: who tells (``sensor``), which happening it is (``key``:
    equal for records of one), when it was told and how far from it other records may be, in
    microseconds; of several records the one with the lowest ``rank`` stands for all.

    >>> Sighting.of_data(Sighting("sysmon", "k", 5, 10, 1).as_data()).sensor
    'sysmon'
    """

    sensor: str
    key: str
    time: int
    within: int
    rank: int = LOWEST_RANK

    def as_data(self) -> list[Any]:
        """The sighting as plain data, for `of_data`."""
        return [self.sensor, self.key, self.time, self.within, self.rank]

    @classmethod
    def of_data(cls, data: Any) -> Sighting:
        """What `as_data` gave. Raises ``ValueError`` for anything else."""
        match data:
            case [str(sensor), str(key), int(time), int(within), int(rank)]:
                return cls(sensor, key, time, within, rank)
            case _:
                raise ValueError("this is no sighting")


@frozen
class Sensor:
    """Who tells of the events of an entry, and how records of others are known to be of the same
    happening.

    ``of`` is the happening, ``values`` are those that records of one have in common, by the fields
    of its object; under ``time`` the clock that the sensors share, if it is not the event time.
    ``within`` is in microseconds.

    >>> import carengine
    >>> [sysmon] = carengine.find_maps("sysmon.flat")
    >>> start = sysmon.entries[sysmon.by_kind[carengine.ir.EventKind("process", "create")][0]]
    >>> start.sensor.name, str(start.sensor.of), sorted(start.sensor.values)
    ('sysmon', 'process/create', ['hostname', 'image_path', 'pid', 'time'])
    """

    name: str
    of: ir.EventKind
    within: int
    rank: int
    values: Mapping[str, ir.Value] = field(hash=False)

    @cached_property
    def _parts(self) -> tuple[tuple[ir.Type, Get], ...]:
        spec = model().object(self.of.object)
        types = {} if spec is None else {name: one.type for name, one in spec.fields.items()}
        return tuple(
            (types.get(name, ir.Type.TEXT), getter(self.values[name]))
            for name in sorted(self.values)
            if name != TIME
        )

    @cached_property
    def _clock(self) -> Get | None:
        return getter(self.values[TIME]) if TIME in self.values else None

    def sighting(self, inner: Mapping[str, Any], event_time: int | None) -> Sighting | None:
        """What an (unwrapped) event of this time says; None where it cannot be told of which
        happening it is."""
        time = event_time
        if self._clock is not None:
            read = as_time(self._clock(inner))
            time = read if isinstance(read, int) else event_time
        if time is None or event_time is None:
            return None
        key = [str(self.of)]
        for type_, get in self._parts:
            value = get(inner)
            part = None if isinstance(value, list | tuple | Mapping) else key_of(value, type_)
            if part is None:
                return None
            key.append(str(part))
        return Sighting(self.name, "\n".join(key), time, self.within, self.rank)


def merged_kinds(sensors: Mapping[ir.EventKind, list[Sensor]]) -> dict[ir.EventKind, int]:
    """The kinds of which several sensors tell, each with how far apart their records may be, in
    microseconds."""
    names: dict[ir.EventKind, set[str]] = {}
    spans: dict[ir.EventKind, int] = {}
    for declared in sensors.values():
        for sensor in declared:
            names.setdefault(sensor.of, set()).add(sensor.name)
            spans[sensor.of] = max(sensor.within, spans.get(sensor.of, 0))
    return {
        kind: max(spans[sensor.of] for sensor in declared if len(names[sensor.of]) > 1)
        for kind, declared in sensors.items()
        if any(len(names[sensor.of]) > 1 for sensor in declared)
    }
