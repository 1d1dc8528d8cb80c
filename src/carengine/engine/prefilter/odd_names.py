"""Lines with names of fields that are found under another name as well.

``New Value`` is found as ``NewValue`` too, and of an EVTX record as JSON ``Lat_1`` is another value
of ``Lat`` (see `fieldmap.shapes`). A line that is decoded to a few fields would lack these, so that
one with such a name is decoded whole. To look for one costs about as much as to decode a few
fields.

The events of some channels are not looked at: their providers' manifests have no such names.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

_STRUCTURE = b'" :'
_OTHERS = bytes(set(range(256)) - set(_STRUCTURE))
# What is left of `"a b":` when all but quotes, blanks and colons is gone.
_BLANK_IN_NAME = re.compile(rb' [ :]*" *:')

_WITHOUT = frozenset(
    {
        *("Security", "Windows PowerShell", "Microsoft-Windows-PowerShell/Operational"),
        *("PowerShellCore/Operational", "Microsoft-Windows-Sysmon/Operational"),
        *("Linux-Sysmon/Operational", "Microsoft-Windows-Sysmon", "Linux-Sysmon"),
    }
)


def odd_names(line: bytes) -> bool:
    """Whether a line of JSON has such a name. It may also be said of a line that has none, where
    JSON is written in one of its values.

    >>> odd_names(b'{"New Value": 1}'), odd_names(b'{"New": "a b"}')
    (True, False)
    """
    if b'_1":' in line:
        return True
    return _BLANK_IN_NAME.search(line.translate(None, _OTHERS)) is not None


def never_odd(values: Iterable[Any]) -> bool:
    """Whether values that decide what an event is tell that it has no such name."""
    return any(type(value) is str and value in _WITHOUT for value in values)


def is_forwarded(values: Iterable[Any]) -> bool:
    """Whether an event is in the channel that collects forwarded ones, and belongs to another."""
    return any(type(value) is str and value == "ForwardedEvents" for value in values)


def channels_of(event: dict[str, Any]) -> list[Any]:
    """What a decoded event may have as its channel, or its provider."""
    get = event.get
    values = [get("Channel"), get("SourceName"), get("log_name"), get("winlog.channel")]
    if type(winlog := get("winlog")) is dict:
        values.append(winlog.get("channel"))
    if type(inner := get("Event")) is dict and type(system := inner.get("System")) is dict:
        values.append(system.get("Channel"))
    if type(system := get("System")) is dict:
        values.append(system.get("Channel"))
    return values
