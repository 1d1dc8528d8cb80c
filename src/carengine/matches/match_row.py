"""What a match says: who did it, where and when, and the values that tell.

`MatchReporter` makes a `MatchRow` of a match, whatever language its rule is written in. Host and
user come from the CAR view of the event. An event of a log source (a Sigma rule's) has its view
made for that, through the field maps of the run; where there is none, the usual names of logs are
tried.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from attrs import define, field, frozen

from ..engine import Classified, Engine, Match, MatchedEvent
from ..fieldmap import FieldMap, unwrap
from ..rule import Rule
from ..values import text_of
from .deciding import DecidingField, Span, deciding_values, fields_read, with_inner_fields

_HOST = ("hostname", "fqdn")
_NATIVE_HOST = ("Computer", "Hostname", "ComputerName", "host.name", "hostname", "host", "node")
_USER = ("user", "uid")
_NATIVE_USER = (
    "User",
    "SubjectUserName",
    "TargetUserName",
    "user.name",
    "userIdentity.userName",
    "userIdentity.sessionContext.sessionIssuer.userName",
    "userIdentity.arn",
    "UserId",
    "properties.initiatedBy.user.userPrincipalName",
    "auid",
)
_SHOWN_ELSEWHERE = frozenset({*_HOST, *_USER, *_NATIVE_HOST, *_NATIVE_USER})
_UNKNOWN = frozenset({"", "-", "N/A"})
# What tells of an event, whatever the rule reads of it; one of each group is shown.
_CONTEXT = (
    ("CommandLine", "command_line", "Image", "image_path", "exe"),
    ("TargetFilename", "TargetObject", "file_path", "key", "DestinationIp", "dest_ip", "QueryName"),
    ("eventName", "event.action"),
    ("sourceIPAddress", "source.ip", "IpAddress", "src_ip"),
)


@frozen
class ReportedValue:
    """A value of an event (or a column of a match) as text.

    ``spans`` are the parts of the text (start, end) that decided; ``decides`` tells that the value
    did, ``read`` that the rule reads it. What is not read stands there for context.
    """

    name: str
    text: str
    spans: tuple[Span, ...] = ()
    decides: bool = False
    read: bool = True


def bounded(value: ReportedValue, most: int) -> ReportedValue:
    """A value of at most about so many characters, cut around the first part that decided."""
    text, spans = value.text, value.spans
    if len(text) <= most:
        return value
    first = spans[0] if spans else (0, 0)
    start = max(0, min(first[0] - most // 4, len(text) - most))
    kept = text[start : start + most]
    inside = [
        (max(0, a - start), min(most, b - start))
        for a, b in spans
        if a < start + most and b > start
    ]
    before, after = ("…" if start else ""), ("…" if start + most < len(text) else "")
    moved = tuple((a + len(before), b + len(before)) for a, b in inside)
    return ReportedValue(value.name, before + kept + after, moved, value.decides, value.read)


@frozen
class ReportedEvent:
    """One event of a match. Texts are empty where the event says nothing of the kind.

    ``time`` is in microseconds since 1970 UTC, ``record`` the number in ``source``, from 1.
    """

    stream: str
    time: int | None
    host: str
    user: str
    values: tuple[ReportedValue, ...]
    source: str
    record: int | None
    event: MatchedEvent = field(repr=False)


@frozen
class MatchRow:
    """A match as people read it.

    ``time`` is the match's; ``host`` and ``user`` are the first that an event has. ``columns`` are
    keys of groups and projected columns.

    >>> import carengine
    >>> rule = carengine.parse_rule('a = search Process:Create where exe = "x.exe" output a')
    >>> event = {"object": "process", "action": "create", "exe": "x.exe", "hostname": "ws"}
    >>> [match] = carengine.Engine([rule]).run([event])
    >>> row = MatchReporter().row(match)
    >>> row.host, [(value.name, value.text, value.decides) for value in row.events[0].values]
    ('ws', [('exe', 'x.exe', True)])
    """

    match: Match = field(repr=False)
    time: int | None
    host: str
    user: str
    columns: tuple[ReportedValue, ...]
    events: tuple[ReportedEvent, ...]

    @property
    def rule(self) -> Rule:
        """The rule that matched."""
        return self.match.rule


@define(eq=False)
class MatchReporter:
    """Makes rows of matches. ``maps`` are the field maps of the run."""

    maps: tuple[FieldMap, ...] = ()
    _engine: Engine | None = field(default=None, repr=False)
    _read: dict[str, tuple[str, ...]] = field(factory=dict, init=False, repr=False)

    @classmethod
    def of(cls, engine: Engine) -> MatchReporter:
        """The reporter of an engine's matches; it asks the engine what an event is."""
        return cls(engine.maps, engine)

    def __reduce__(self) -> tuple[type[MatchReporter], tuple[tuple[FieldMap, ...]]]:
        # What was remembered is made anew in another process.
        return MatchReporter, (self.maps,)

    def use(self, maps: tuple[FieldMap, ...]) -> None:
        """Go on with other field maps, and with rules that may have other parts."""
        self.maps = maps
        self._read.clear()
        self._engine = None

    def row(self, match: Match, *, deciding: bool = True, context: bool = True) -> MatchRow:
        """What a match says. Without ``deciding``, which costs most, no value is marked; without
        ``context`` there are no values that the rule does not read."""
        events = tuple(self._event(match.rule, one, deciding, context) for one in match.events)
        columns = tuple(
            ReportedValue(name, _text(match.shown(name, value)), decides=True)
            for name, value in match.columns.items()
            if value is not None
        )
        return MatchRow(
            match,
            match.time,
            next((event.host for event in events if event.host), ""),
            next((event.user for event in events if event.user), ""),
            columns,
            events,
        )

    def where_and_who(self, match: Match) -> tuple[str, str]:
        """The host and the user of a match alone."""
        host = user = ""
        for event in match.events:
            found = self.where_and_who_of(event)
            host, user = host or found[0], user or found[1]
            if host and user:
                break
        return host, user

    def fields_read(self, rule: Rule) -> tuple[str, ...]:
        """The fields that a rule reads, remembered for its next match."""
        names = self._read.get(rule.id)
        if names is None:
            names = self._read[rule.id] = fields_read(rule)
        return names

    def told_names(
        self, names: Iterable[str], fields: Mapping[str, Any], host: str, user: str
    ) -> list[str]:
        """Those of some fields that say more of an event than its host and user do."""
        told = []
        for name in names:
            text = _text(fields.get(name))
            if text and not _is_shown_elsewhere(name, text, host, user):
                told.append(name)
        return told

    def _classify(self, inner: Mapping[str, Any]) -> Classified:
        if self._engine is None:
            # An engine without rules: its tree of questions tells what an event is.
            self._engine = Engine((), self.maps)
        return self._engine.classify(inner)

    def _event(
        self, rule: Rule, event: MatchedEvent, deciding: bool, context: bool
    ) -> ReportedEvent:
        read = self.fields_read(rule)
        event = with_inner_fields(event, (*rule.metadata.fields, *read))
        host, user = self.where_and_who_of(event)
        decided = {one.name: one for one in deciding_values(rule, event)} if deciding else {}
        first = rule.metadata.fields
        names = dict.fromkeys((*first, *(n for n in read if n in decided), *decided, *read))
        values = []
        for name in names:
            text = _text(event.fields.get(name))
            if not text or _is_shown_elsewhere(name, text, host, user):
                continue
            found = decided.get(name, DecidingField(name))
            values.append(ReportedValue(name, text, found.spans, name in decided))
        if context:
            values += _context(event.fields, names)
        origin = event.origin
        return ReportedEvent(
            event.stream,
            event.time,
            host,
            user,
            tuple(values),
            "" if origin is None else origin.source,
            None if origin is None else origin.record,
            event,
        )

    def where_and_who_of(self, event: MatchedEvent) -> tuple[str, str]:
        """The host and the user of one event of a match; empty where it says nothing of them."""
        host, user = _short(_first(event.fields, _HOST)), _first(event.fields, _USER)
        if not (host and user):
            inner = unwrap(event.event)
            for one in self._classify(inner).classes:
                if one.entry.native is None:
                    fields = one.entry.reader.fields(inner)
                    host = host or _short(_first(fields, _HOST))
                    user = user or _first(fields, _USER)
        if host and user:
            return host, user
        host = host or _short(_first_within(event, _NATIVE_HOST))
        return host, user or _first_within(event, _NATIVE_USER)


def _first(fields: Mapping[str, Any], names: tuple[str, ...]) -> str:
    for name in names:
        text = text_of(fields.get(name))
        if text is not None and text not in _UNKNOWN:
            return text
    return ""


def _first_within(event: MatchedEvent, names: tuple[str, ...]) -> str:
    """`_first`, where a name with dots also leads into the values of the event."""
    for name in names:
        fields = event.fields
        if "." in name:
            fields = with_inner_fields(event, (name,)).fields
        if text := _first(fields, (name,)):
            return text
    return ""


def _short(host: str) -> str:
    """A host's name without its domain, as CAR's ``hostname`` is; addresses stay."""
    label, dot, _ = host.partition(".")
    return label if dot and not label.isdigit() and ":" not in host else host


def _is_shown_elsewhere(name: str, text: str, host: str, user: str) -> bool:
    if name not in _SHOWN_ELSEWHERE:
        return False
    return text in (host, user) or (bool(host) and text.split(".")[0] == host.split(".")[0])


def _context(fields: Mapping[str, Any], shown: Mapping[str, None]) -> list[ReportedValue]:
    found = []
    for group in _CONTEXT:
        if any(name in shown and fields.get(name) is not None for name in group[:2]):
            continue
        for name in group:
            text = _text(fields.get(name))
            if text and name not in shown:
                found.append(ReportedValue(name, text, read=False))
                break
    return found


def _text(value: Any) -> str:
    if value is None:
        return ""
    text = text_of(value)
    if text is None and isinstance(value, list | tuple):
        parts = [text_of(item) for item in value]
        if all(part is not None for part in parts):
            return ", ".join(part for part in parts if part is not None)
    if text is not None:
        return text
    try:
        return json.dumps(value, ensure_ascii=False, default=str)
    except (ValueError, RecursionError):
        return str(type(value).__name__)
