"""Which process acted, and where: the keys by which a match is found in the tree of processes.

A match of a Sigma rule shows the log's own names. The field maps know the same event under CAR's,
so that a process has one key, whatever the log and the rule's language.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from attrs import frozen

from ..engine import Engine, MatchedEvent
from ..fieldmap import unwrap, view
from ..values import text_of

_HOST = ("hostname", "fqdn", "Computer", "host", "dest_hostname", "device_name")
_USER = ("user", "User", "target_user", "SubjectUserName", "TargetUserName", "login_user")
_GUID = ("guid", "src_guid")
_PID = ("pid", "src_pid")


@frozen
class Identity:
    """The host, the user, and the process that acted; empty where the log does not say.

    ``guid`` is the process's own id, ``pid`` its number on the host. ``parent_guid`` and ``ppid``
    are there in starts of processes.
    """

    host: str = ""
    user: str = ""
    guid: str = ""
    pid: str = ""
    parent_guid: str = ""
    ppid: str = ""
    image: str = ""
    command_line: str = ""

    @property
    def has_process(self) -> bool:
        """Whether it says which process of which host."""
        return bool(self.guid or (self.pid and self.host))


def identity_of(event: MatchedEvent, engine: Engine) -> Identity:
    """Who and where an event of a match is: what CAR's view of it says, else the match's own."""
    views: list[Mapping[str, Any]] = [event.fields]
    inner = unwrap(event.event)
    for event_class in engine.classify(inner).classes:
        entry = event_class.entry
        # A log source is the event in the log's own names; CAR's are wanted first.
        at = len(views) if entry.native is not None else 0
        views.insert(at, view(event.event, inner, entry).fields)
    return identity_in(views)


def identity_in(views: Iterable[Mapping[str, Any]]) -> Identity:
    """Who and where, from the first view that says it."""
    known = list(views)

    def first(*names: str) -> str:
        for fields in known:
            for name in names:
                text = text_of(fields.get(name))
                if text and text != "-":
                    return text
        return ""

    return Identity(
        host_name(first(*_HOST)),
        first(*_USER),
        first(*_GUID).lower(),
        first(*_PID),
        first("parent_guid").lower(),
        first("ppid"),
        first("image_path", "exe", "Image", "NewProcessName"),
        first("command_line", "CommandLine"),
    )


def host_name(text: str) -> str:
    """A host under one spelling: in capitals, without its domain; an address as it is.

    >>> host_name("ws1.example.com"), host_name("10.0.0.1"), host_name("WS1")
    ('WS1', '10.0.0.1', 'WS1')
    """
    first, dot, _ = text.partition(".")
    if not dot or ":" in text or text.replace(".", "").isdigit():
        return text.upper()
    return first.upper()
