"""What records look like that no field map recognises."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, NamedTuple

from attrs import define, field, frozen

from ...diagnostics import visible
from ...fieldmap import unwrap
from ...pyvalues import plain_event

# Names of fields come from the evidence: neither many nor long ones are kept.
_KEYS = 12
_KEY_TEXT = 60
# Channels have names of up to 255 characters.
_MARK_TEXT = 255
_SHAPES = 1000

# Fields by which people, too, tell logs apart; the first one that an event has is shown with its
# value.
_TELLING = (
    ("Channel",),
    ("log_name",),
    ("winlog", "channel"),
    ("Event", "System", "Channel"),
    ("LogName",),
    ("channel",),
    ("SourceName",),
    ("source_name",),
    ("event", "dataset"),
    ("sourcetype",),
    ("_path",),
    ("@stream",),
    ("ActionType",),
    ("event_simpleName",),
    ("event_type",),
    ("eventName",),
)

_NUMBERS = (
    ("EventID",),
    ("event_id",),
    ("winlog", "event_id"),
    ("Event", "System", "EventID"),
    ("EventCode",),
)


_PLACES = {".".join(path): place for place, path in enumerate(_TELLING)}


class KnownLook(NamedTuple):
    """A look of `UnrecognisedShapes`, and the first keys of the first such event. Either a telling
    field, by its place among these, has this text, or there is none, and the event has these keys:
    the place is -1."""

    look: str | tuple[str, ...]
    keys: tuple[str, ...]
    place: int
    text: str


@frozen
class Shape:
    """What a record looks like: a telling field with its value, if there is one, and its first
    keys."""

    mark: str
    keys: tuple[str, ...]


@define
class UnrecognisedShapes:
    """What records look like that no field map recognises, counted.

    Records with the same telling field are one look, whatever their keys; the others are told apart
    by their keys. At ``most`` so many looks are kept; ``others`` counts the records that look
    otherwise.
    """

    counts: Counter[str | tuple[str, ...]] = field(factory=Counter)
    others: int = 0
    _keys: dict[str | tuple[str, ...], tuple[str, ...]] = field(factory=dict)

    most: int | None = _SHAPES
    number: int = 0
    """How many looks were met first."""

    def add(self, event: Mapping[str, Any], *, detailed: bool = False) -> None:
        """Note one record. ``detailed`` tells the events of one Windows channel apart by their
        numbers."""
        inner = unwrap(plain_event(event))
        mark = _mark(inner)
        if detailed and mark and (number := _number(inner)):
            mark = f"{mark}, event {number}"
        look: str | tuple[str, ...] = mark or _first_keys(inner)
        if look in self.counts:
            self.counts[look] += 1
        else:
            self._first(look, _first_keys(inner), 1)

    def _first(self, look: str | tuple[str, ...], keys: tuple[str, ...], number: int) -> None:
        if self.most is None or len(self.counts) < self.most:
            self.counts[look] = number
            self._keys[look] = keys
            self.number += 1
        else:
            self.others += number

    def known(self, besides: Container[str | tuple[str, ...]]) -> Iterator[KnownLook]:
        """The looks of which nothing was cut, without some."""
        for look in self.counts:
            if look in besides:
                continue
            if isinstance(look, tuple):
                if all(len(key) < _KEY_TEXT for key in look):
                    yield KnownLook(look, look, -1, "")
                continue
            name, _, text = look.partition(" = ")
            if name in _PLACES and len(text) < _MARK_TEXT:
                yield KnownLook(look, self._keys[look], _PLACES[name], text)

    def taken(self) -> list[tuple[str | tuple[str, ...], tuple[str, ...], int]]:
        """All looks with their keys and numbers, in the order they were met, which are then
        forgotten; plain data."""
        shapes = [(look, self._keys[look], number) for look, number in self.counts.items()]
        self.counts.clear()
        self._keys.clear()
        return shapes

    def merge(self, shapes: Iterable[tuple[str | tuple[str, ...], tuple[str, ...], int]]) -> None:
        """Note what `taken` gave, here or in another process."""
        for look, keys, number in shapes:
            if look in self.counts:
                self.counts[look] += number
            else:
                self._first(look, keys, number)

    def commonest(self, most: int = 3) -> list[tuple[Shape, int]]:
        """The commonest looks with their numbers, the commonest first."""
        ranked = sorted(self.counts.items(), key=lambda item: (-item[1], str(item[0])))
        return [
            (Shape(look if isinstance(look, str) else "", self._keys[look]), number)
            for look, number in ranked[:most]
        ]

    def lines(self, most: int = 3) -> Iterator[str]:
        """The commonest looks, a line each."""
        for look, number in self.commonest(most):
            more = ", …" if len(look.keys) == _KEYS else ""
            keys = visible(", ".join(look.keys)) + more if look.keys else "no keys at all"
            mark = f"{visible(look.mark)}; keys " if look.mark else "the keys "
            yield f"{number:,} with {mark}{keys}"


def _first_keys(event: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(str(key)[:_KEY_TEXT] for key in islice(event, _KEYS))


def _number(event: Mapping[str, Any]) -> str:
    """The number of a Windows event, if it has one."""
    for path in _NUMBERS:
        value = _at(event, path)
        if isinstance(value, Mapping):
            value = value.get("#text")
        if isinstance(value, int | str) and str(value)[:8].isdigit():
            return str(value)[:8]
    return ""


def _at(event: Mapping[str, Any], path: tuple[str, ...]) -> Any:
    value: Any = event
    for key in path:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def _mark(event: Mapping[str, Any]) -> str:
    for path in _TELLING:
        value = _at(event, path)
        if isinstance(value, str) and value:
            return f"{'.'.join(path)} = {value[:_MARK_TEXT]}"
    return ""
