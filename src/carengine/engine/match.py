"""What a run gives: matches, and an account of everything that went through it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import field, frozen

from .. import ir
from ..fieldmap import Fields
from ..rule import Rule
from ..values import format_time


@frozen
class Origin:
    """Where an event came from: the name of its source and its number in it, from 1.

    >>> import carengine
    >>> rule = carengine.parse_rule('a = search Process:Create where exe = "x.exe" output a')
    >>> event = {"object": "process", "action": "create", "exe": "x.exe", "pid": 7}
    >>> session = carengine.Engine([rule]).session()
    >>> [match] = session.feed(event, carengine.Origin("app.jsonl", 3))
    >>> match.events[0].origin
    Origin(source='app.jsonl', record=3)
    """

    source: str
    record: int


@frozen
class MatchedEvent:
    """One event of a match: its CAR view, the event itself, and where it came from.

    ``stream`` names the branch of a join that it filled; empty elsewhere. ``also`` are records of
    other sensors that tell of the same, where they were merged (see `StreamOptions`).

    >>> import carengine
    >>> rule = carengine.parse_rule('a = search Process:Create where exe = "x.exe" output a')
    >>> event = {"object": "process", "action": "create", "exe": "x.exe", "pid": 7}
    >>> [match] = carengine.Engine([rule]).run([event])
    >>> str(match.events[0].kind), match.events[0].fields["pid"], match.events[0].event is event
    ('process/create', 7, True)
    """

    kind: ir.EventKind
    fields: Mapping[str, Any] = field(hash=False)
    time: int | None
    event: Mapping[str, Any] = field(repr=False, hash=False)
    origin: Origin | None = None
    stream: str = ""
    also: tuple[MatchedEvent, ...] = ()


@frozen
class Match:
    """A rule's output that came true, and the events that made it.

    ``time`` is the last of the events' times in microseconds since 1970 UTC, or None where none has
    one. ``fields`` are the columns of a row that was projected or aggregated, ``keys`` the keys of
    the groups it was made of; below a join their names begin with the branch's: ``boots.hostname``.
    ``times`` names those of both that hold times, in microseconds.

    >>> import carengine
    >>> rule = carengine.parse_rule('a = search Process:Create where exe = "x.exe" output a')
    >>> event = {"object": "process", "action": "create", "exe": "x.exe", "pid": 7}
    >>> [match] = carengine.Engine([rule]).run([event])
    >>> match.output, match.time, match.as_json(raw=False)["events"][0]["fields"]["exe"]
    ('a', None, 'x.exe')
    """

    rule: Rule
    output: str
    time: int | None
    events: tuple[MatchedEvent, ...]
    fields: Mapping[str, Any] = field(factory=dict, hash=False)
    keys: Mapping[str, Any] = field(factory=dict, hash=False)
    times: frozenset[str] = frozenset()

    def as_json(self, *, raw: bool = True) -> dict[str, Any]:
        """The match as plain data. ``raw`` includes the events as they were read."""
        metadata = self.rule.metadata
        data: dict[str, Any] = {
            "rule": {
                "id": self.rule.id,
                "title": self.rule.title,
                "attack": list(self.rule.attack),
            },
            "output": self.output,
            "time": None if self.time is None else format_time(self.time),
            "events": [event_as_json(event, raw=raw) for event in self.events],
        }
        if metadata.level:
            data["rule"]["level"] = metadata.level
        if self.keys:
            data["group"] = {name: self.shown(name, value) for name, value in self.keys.items()}
        if self.fields:
            data["fields"] = {name: self.shown(name, value) for name, value in self.fields.items()}
        return data

    def _repr_html_(self) -> str:
        from .notebook import matches_as_html

        return matches_as_html([self])

    @property
    def columns(self) -> dict[str, Any]:
        """The keys of its groups and its columns; a column of the same name stands for the key."""
        return {**self.keys, **self.fields}

    def shown(self, name: str, value: Any) -> Any:
        """A column's value as reports show it: times as ISO 8601."""
        if name not in self.times:
            return value
        if isinstance(value, list):
            return [self.shown(name, item) for item in value]
        return format_time(value) if isinstance(value, int) else value


def event_as_json(event: MatchedEvent, *, raw: bool) -> dict[str, Any]:
    """One event of a match as plain data."""
    data: dict[str, Any] = {}
    fields = event.fields
    if event.stream:
        data["stream"] = event.stream
    if event.origin is not None:
        data |= {"source": event.origin.source, "record": event.origin.record}
    data |= {
        "object": event.kind.object,
        "action": event.kind.action,
        "time": None if event.time is None else format_time(event.time),
        "fields": fields.copy() if isinstance(fields, Fields) else dict(fields),
    }
    if event.also:
        data["also"] = [event_as_json(one, raw=raw) for one in event.also]
    if raw:
        data["event"] = event.event
    return data
