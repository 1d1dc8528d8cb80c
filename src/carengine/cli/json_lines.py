"""Matches as JSON lines, where what several matches have in common is written once.

A line is what `as_json_line` says of a match. Most of it does not depend on the match: the rule is
the same in all its matches, and an event that many rules match is the same in all their lines. So
both are encoded once and kept: rules for the run, events until others have taken their room.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import define, field, frozen

from ..datamodel import model
from ..engine import Match, MatchedEvent
from ..fieldmap import FieldMap, Fields
from ..matches import MatchReporter, other_record, with_inner_fields
from ..rule import Rule
from ..values import format_time
from .encode import json_line, safe_for_terminal

# Of events so many bytes are kept, and so many events.
_MOST_BYTES = 4 << 20
_MOST_EVENTS = 1_024
_MOST_UNMEASURED = 64


@frozen(eq=False)
class _RuleParts:
    """What is the same in all lines of a rule, and the names of the fields that it reads."""

    rule: Rule
    text: bytes
    names: tuple[str, ...]
    inner: tuple[str, ...]
    outputs: dict[str, bytes] = field(factory=dict)


@define(eq=False)
class _FieldsParts:
    """What the fields of an event say: who and where, and all of them as ``text``, once somebody
    asked for it. They are kept as text only: joins and groups may hold the event to the end."""

    fields: Mapping[str, Any]
    host: str
    user: str
    text: bytes = b""


@frozen(eq=False)
class _EventParts:
    """What is the same in all lines with an event of a match, but for the event as it was read."""

    event: MatchedEvent
    said: _FieldsParts
    text: bytes


@define(eq=False)
class JsonLines:
    """Writes matches as JSON lines. ``raw`` includes the events as they were read.

    What could steer a terminal or turn its text round is escaped, which JSON reads as the same.
    """

    reporter: MatchReporter
    raw: bool
    _maps: tuple[FieldMap, ...] | None = None
    _rules: dict[str, _RuleParts] = field(factory=dict)
    # By the addresses of objects, which are held so long.
    _events: dict[int, _EventParts] = field(factory=dict)
    _read: dict[int, tuple[Mapping[str, Any], bytes]] = field(factory=dict)
    _said: dict[int, _FieldsParts] = field(factory=dict)
    _kept: int = 0

    def __reduce__(self) -> tuple[type[JsonLines], tuple[MatchReporter, bool]]:
        # What is kept is made anew in another process.
        return JsonLines, (self.reporter, self.raw)

    def line(self, match: Match) -> tuple[str, bytes]:
        """The host of a match, and its line with the line's end."""
        if self._maps is not self.reporter.maps:
            self._maps = self.reporter.maps
            self._rules.clear()
            self._forget()
        rule = self._rule(match.rule)
        host = user = ""
        events = []
        for event in match.events:
            parts = self._event(event)
            host, user = host or parts.said.host, user or parts.said.user
            events.append(self._with_fields(rule, parts))
        begun = {
            "time": None if match.time is None else format_time(match.time),
            "host": host or None,
            "user": user or None,
        }
        output = rule.outputs.get(match.output)
        if output is None:
            output = rule.outputs[match.output] = _written({"output": match.output})[1:-1]
        line = [_written(begun)[:-1], b",", rule.text, b",", output]
        columns: dict[str, Any] = {}
        if match.keys:
            columns["group"] = {
                name: match.shown(name, value) for name, value in match.keys.items()
            }
        if match.fields:
            columns["fields"] = {
                name: match.shown(name, value) for name, value in match.fields.items()
            }
        if columns:
            line += (b",", _written(columns)[1:-1])
        line += (b',"events":[', b",".join(events), b"]}\n")
        return host, b"".join(line)

    def _rule(self, rule: Rule) -> _RuleParts:
        known = self._rules.get(rule.id)
        if known is not None and known.rule is rule:
            return known
        named = {
            "id": rule.id,
            "title": rule.title,
            "level": rule.metadata.level or None,
            "attack": list(rule.attack),
        }
        names = tuple(dict.fromkeys((*rule.metadata.fields, *self.reporter.fields_read(rule))))
        inner = tuple(name for name in names if "." in name)
        made = self._rules[rule.id] = _RuleParts(
            rule, _written({"rule": named})[1:-1], names, inner
        )
        return made

    def _event(self, event: MatchedEvent) -> _EventParts:
        known = self._events.get(id(event))
        if known is not None:
            return known
        said = self._said.get(id(event.fields))
        if said is None:
            if self._kept > _MOST_BYTES or len(self._said) >= self._most:
                self._forget()
            said = _FieldsParts(event.fields, *self.reporter.where_and_who_of(event))
            self._said[id(event.fields)] = said
        origin = event.origin
        data: dict[str, Any] = {"stream": event.stream} if event.stream else {}
        data |= {
            "time": None if event.time is None else format_time(event.time),
            "host": said.host or None,
            "user": said.user or None,
            "source": (origin.source or None) if origin is not None else None,
            "record": None if origin is None else origin.record,
            "object": event.kind.object,
            "action": event.kind.action,
        }
        if len(self._events) >= self._most:
            self._events.clear()
        made = self._events[id(event)] = _EventParts(event, said, _written(data)[:-1])
        return made

    def _with_fields(self, rule: _RuleParts, parts: _EventParts) -> bytes:
        """An event of a match, with the fields that its rule reads, and with all."""
        event = parts.event
        if rule.inner:
            event = with_inner_fields(event, rule.inner)
        fields = event.fields
        said = parts.said
        reads = self.reporter.told_names(rule.names, fields, said.host, said.user)
        if self.raw and model().object(event.kind.object) is None:
            shown = {name: fields.get(name) for name in reads}
            told = _written({"reads": reads, "fields": shown})[1:-1]
        else:
            told = _written({"reads": reads})[1:-1] + b',"fields":' + self._fields(said, fields)
        if event.also:
            others = [other_record(one, raw=self.raw) for one in event.also]
            told += b"," + _written({"also": others})[1:-1]
        if not self.raw:
            return b"".join((parts.text, b",", told, b"}"))
        return b"".join((parts.text, b",", told, b',"event":', self._as_read(event.event), b"}"))

    def _fields(self, said: _FieldsParts, fields: Mapping[str, Any]) -> bytes:
        """All fields of an event."""
        if fields is not said.fields:
            return _written(dict(fields))
        if not said.text:
            said.text = _written(fields.read() if isinstance(fields, Fields) else dict(fields))
            self._kept += len(said.text)
        return said.text

    @property
    def _most(self) -> int:
        """How many events are kept. What is not written is not measured either."""
        return _MOST_EVENTS if self.raw else _MOST_UNMEASURED

    def _as_read(self, event: Mapping[str, Any]) -> bytes:
        known = self._read.get(id(event))
        if known is not None:
            return known[1]
        text = _written(event)
        self._kept += len(text)
        self._read[id(event)] = (event, text)
        return text

    def _forget(self) -> None:
        self._events.clear()
        self._read.clear()
        self._said.clear()
        self._kept = 0


def _written(data: Any) -> bytes:
    line = json_line(data)
    return line if line.isascii() and b"\x7f" not in line else safe_for_terminal(line)
