"""The events of a timeline: what one record is, under the names of CAR.

A record that is several CAR events gives several. One that is none, and is of a log source that
field maps know, gives one event under the names of its log.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from attrs import frozen

from .. import ir
from ..datamodel import model
from ..engine import recogniser
from ..fieldmap import CarEvent, FieldMap, MapChoice, unwrap, view
from ..pyvalues import plain_event
from ..report import Identity, identity_in
from ..values import text_of

_TELLING: Mapping[str, tuple[str, ...]] = {
    "process": ("command_line", "image_path", "exe", "parent_image_path", "target_name"),
    "file": ("file_path", "image_path"),
    "registry": ("key", "value", "data", "image_path"),
    "flow": ("dest_hostname", "dest_ip", "dest_port", "src_ip", "image_path"),
    "socket": ("local_address", "local_port", "image_path"),
    "module": ("module_path", "image_path"),
    "driver": ("image_path", "signer"),
    "thread": ("target_name", "src_image_path", "tgt_pid", "start_function"),
    "service": ("name", "image_path", "command_line"),
    "authentication": ("target_user", "user", "method", "src_hostname", "src_ip"),
    "user_session": ("user", "login_type", "src_ip", "dest_hostname"),
    "http": ("url_full", "url_domain", "http_version", "user_agent_full"),
    "email": ("from", "to", "subject"),
}
"""For each object of CAR's the fields that tell what happened, the first first."""

_NATIVE = (
    "EventID",
    "eventName",
    "Operation",
    "eventType",
    "event.action",
    "type",
    "message",
    "CommandLine",
    "ScriptBlockText",
    "TargetUserName",
    "IpAddress",
    "ServiceName",
    "ObjectName",
)
NATIVE_USERS = (
    "userIdentity.arn",
    "userIdentity.userName",
    "UserId",
    "actor.alternateId",
    "protoPayload.authenticationInfo.principalEmail",
    "properties.userPrincipalName",
)
"""Where logs of clouds have who did it."""

_MOST = 4
_LONGEST = 1_000
_WITHOUT = frozenset({"", "-"})


@frozen
class TimelineEvent:
    """One event. Texts are empty where the event does not say.

    ``time`` is in microseconds since 1970 UTC, None where there is none that can be read. ``kind``
    is a kind of CAR's (``process/create``), or, where the record is none, a log source
    (``windows/security``), whose fields have the log's own names. ``details`` are the fields that
    tell most. ``source`` and ``record`` say where it stood.
    """

    time: int | None
    host: str
    user: str
    kind: str
    details: tuple[tuple[str, str], ...]
    fields: Mapping[str, Any]
    identity: Identity
    source: str
    record: int

    @property
    def told(self) -> str:
        """The details in one text: ``name=value``, with ``¦`` between."""
        return " ¦ ".join(f"{name}={value}" for name, value in self.details)


class TimelineReader:
    """Makes events of records, through field maps.

    >>> reader = TimelineReader("car")
    >>> record = {"object": "process", "action": "create", "exe": "x.exe", "hostname": "ws"}
    >>> [event] = reader.events(record, "x.jsonl", 1)
    >>> event.host, event.kind, event.told
    ('WS', 'process/create', 'exe=x.exe')
    """

    def __init__(self, fieldmap: MapChoice = "auto") -> None:
        self._engine = recogniser(fieldmap)
        self.records = 0
        self.unrecognised = 0

    @property
    def maps(self) -> tuple[FieldMap, ...]:
        """The field maps."""
        return self._engine.maps

    def events(self, event: Mapping[str, Any], source: str, record: int) -> Iterator[TimelineEvent]:
        """The events that a record is; none where no field map knows it."""
        event = plain_event(event)
        inner = unwrap(event)
        self.records += 1
        objects = model().objects
        classes = self._engine.classify(inner).classes
        views = [
            view(event, inner, one.entry) for one in classes if one.entry.kind.object in objects
        ]
        if not views and classes:
            # The one that says most: not all that there is of a product.
            told = min(classes, key=lambda one: _generality(str(one.entry.kind)))
            views = [view(event, inner, told.entry)]
        if not views:
            self.unrecognised += 1
        known = identity_in([seen.fields for seen in views])
        for seen in views:
            yield _event(seen, known, source, record)


def _native_user(seen: CarEvent) -> str:
    if seen.native is None:
        return ""
    texts = (text_of(seen.field(ir.Field(name))) for name in NATIVE_USERS)
    return next((text for text in texts if text is not None and text not in _WITHOUT), "")


def _generality(kind: str) -> bool:
    return "*" in kind or kind.startswith("ecs/")


def _event(seen: CarEvent, known: Identity, source: str, record: int) -> TimelineEvent:
    own = identity_in([seen.fields])
    host = own.host or known.host
    return TimelineEvent(
        seen.time,
        host,
        own.user or known.user or _native_user(seen),
        str(seen.kind),
        tuple(_details(seen)),
        seen.fields,
        own if own.has_process else known,
        source,
        record,
    )


def _details(seen: CarEvent) -> Iterator[tuple[str, str]]:
    names = _NATIVE if seen.native is not None else _TELLING.get(seen.kind.object, ())
    told = 0
    for name in names:
        text = text_of(seen.fields.get(name))
        if text is not None and text not in _WITHOUT:
            yield name, text[:_LONGEST]
            told += 1
            if told == _MOST:
                return
