"""What the fields of a log are: names, how often each is there, and samples of their values.

What is kept is bounded, whatever the events are: so many fields, so many values of each, and a
short piece of each value.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from attrs import define, field

from ..values import is_null
from .model import unwrap

Path = tuple[str, ...]

_MOST_FIELDS = 1_000
_MOST_VALUES = 64
_MOST_TEXT = 200
_DEPTH = 8


@define
class ObservedField:
    """One field: in how many events it is, how often each of its values is there, and whether
    there were more values than are kept."""

    path: Path
    events: int = 0
    values: Counter[str | int | float | bool] = field(factory=Counter)
    many: bool = False

    def add(self, value: Any) -> None:
        """Note the field's value in one event."""
        self.events += 1
        if isinstance(value, list):
            value = next((item for item in value if not isinstance(item, list | Mapping)), None)
        if value is None or not isinstance(value, str | int | float | bool):
            return
        if isinstance(value, str):
            value = value[:_MOST_TEXT]
        if value in self.values or len(self.values) < _MOST_VALUES:
            self.values[value] += 1
        else:
            self.many = True

    @property
    def sample(self) -> str | int | float | bool | None:
        """The commonest value, or None where there is none."""
        return self.values.most_common(1)[0][0] if self.values else None


@define
class ObservedLog:
    """The fields of a log.

    ``looks`` counts which fields come together; ``left_out`` the values of fields beyond those that
    are kept.

    >>> log = ObservedLog()
    >>> log.add({"a": {"b": 1}})
    >>> log.events, list(log.fields)
    (1, [('a', 'b')])
    """

    events: int = 0
    fields: dict[Path, ObservedField] = field(factory=dict)
    left_out: int = 0
    looks: Counter[frozenset[Path]] = field(factory=Counter)

    def add(self, event: Mapping[str, Any]) -> None:
        """Note an event."""
        self.events += 1
        there = set()
        for path, value in leaves(unwrap(event)):
            found = self.fields.get(path)
            if found is None:
                if len(self.fields) >= _MOST_FIELDS:
                    self.left_out += 1
                    continue
                found = self.fields[path] = ObservedField(path)
            found.add(value)
            there.add(path)
        look = frozenset(there)
        if look in self.looks or len(self.looks) < _MOST_FIELDS:
            self.looks[look] += 1


def leaves(event: Mapping[str, Any]) -> Iterator[tuple[Path, Any]]:
    """What an event has that is no mapping, with the keys that lead to it; null and empty text are
    nothing.

    >>> list(leaves({"a": {"b": 1}, "c": ""}))
    [(('a', 'b'), 1)]
    """
    waiting: list[tuple[Path, Any]] = [((), event)]
    while waiting:
        path, value = waiting.pop()
        if isinstance(value, Mapping):
            if len(path) < _DEPTH:
                below = [((*path, key), one) for key, one in value.items() if isinstance(key, str)]
                waiting += reversed(below)
        elif path and value != "" and not is_null(value):
            yield path, value
