"""What a field map gives of a log, and what it misses."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ... import ir
from ...fieldmap import FieldMap, entries_of, leaves, recognise, unwrap, view
from ...pyvalues import plain_event

_MOST_UNUSED = 10_000


class MapCoverage:
    """Events, looked at through field maps: how many are recognised, of which kinds they are, how
    often each field is filled, and which fields of theirs no map uses.

    >>> from carengine.fieldmap import find_maps
    >>> coverage = MapCoverage(find_maps("car"))
    >>> coverage.add({"object": "process", "action": "create", "exe": "a.exe", "own": 1})
    >>> coverage.recognised, coverage.unused()
    (1, ['own'])
    """

    def __init__(self, maps: Sequence[FieldMap]) -> None:
        self.maps = tuple(maps)
        self.events = 0
        self.recognised = 0
        self._events: Counter[ir.EventKind] = Counter()
        self._fields: dict[ir.EventKind, Counter[str]] = {}
        self._raw: Counter[tuple[str, ...]] = Counter()

    def add(self, event: Mapping[str, Any]) -> None:
        """Look at an event."""
        event = plain_event(event)
        inner = unwrap(event)
        self.events += 1
        found = recognise(inner, self.maps)
        self.recognised += bool(found)
        for path, _ in leaves(inner):
            if path in self._raw or len(self._raw) < _MOST_UNUSED:
                self._raw[path] += 1
        for fieldmap in found:
            for entry in entries_of(inner, fieldmap):
                seen = view(event, inner, entry)
                kind = entry.kind
                self._events[kind] += 1
                there = self._fields.setdefault(kind, Counter())
                there.update(name for name in entry.fields if seen.fields.get(name) is not None)
                if seen.time is not None:
                    there["time"] += 1

    def kinds(self) -> Iterator[tuple[str, int, list[tuple[str, int]]]]:
        """Each kind that there was, with the number of events, and how often each of its fields
        was filled."""
        for kind, number in self._events.most_common():
            names = {
                name: None
                for fieldmap in self.maps
                for place in fieldmap.by_kind.get(kind, ())
                for name in fieldmap.entries[place].fields
            }
            there = self._fields[kind]
            yield str(kind), number, [(name, there[name]) for name in names]

    def absent(self) -> list[str]:
        """The kinds of the maps that no event is."""
        kinds = {entry.kind for fieldmap in self.maps for entry in fieldmap.entries}
        return sorted(str(kind) for kind in kinds if not self._events[kind])

    def unused(self) -> list[str]:
        """The raw fields that no condition and no field of the maps reads, the commonest first."""
        used = {spelled for path in self._used() for spelled in (path, ".".join(path))}
        return [
            ".".join(path)
            for path, _ in sorted(self._raw.items(), key=lambda item: (-item[1], item[0]))
            if not any(path[:n] in used for n in range(1, len(path) + 1))
            and ".".join(path) not in used
        ]

    def _used(self) -> Iterator[tuple[str, ...]]:
        for fieldmap in self.maps:
            yield from _read_by(fieldmap.recognise)
            for entry in fieldmap.entries:
                yield from _read_by(entry.when)
                for value in entry.fields.values():
                    yield from (raw.path for raw in ir.raws_in(value))

    def as_json(self) -> dict[str, Any]:
        """All of it as plain data."""
        return {
            "events": self.events,
            "recognised": self.recognised,
            "kinds": [
                {"kind": kind, "events": number, "fields": dict(fields)}
                for kind, number, fields in self.kinds()
            ],
            "kinds_without_events": self.absent(),
            "unused_raw_fields": self.unused(),
        }


def _read_by(condition: ir.Condition) -> Iterator[tuple[str, ...]]:
    for atom in ir.atoms(condition):
        for value in ir.values_of(atom):
            yield from (raw.path for raw in ir.raws_in(value))
