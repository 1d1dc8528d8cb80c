r"""Samples with the fields that a log usually writes, beside those that a rule asks for.

The events that a solver makes hold what a rule reads and nothing more. Software that is to be
tested expects events as a machine writes them. ``completed`` fills in the rest from
``typical_events.yaml``: the fields of Sysmon's and Windows' events, and what shippers add::

    {"Image": "C:\\Windows\\System32\\reg.exe", "CommandLine": "reg save"}
    … "ProcessGuid": "{5D3FA5C1-…}", "ProcessId": "4212", "OriginalFileName": "reg.exe",
      "ParentImage": "C:\\Windows\\explorer.exe", "User": "CORP\\alice"

What the sample says itself stays. Ids follow from the host and the program, so that the events of
one sample agree with each other.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Mapping
from typing import Any

from attrs import frozen

from .. import ir
from ..evaluate import NoContext, RawRow, holds, value_of
from ..fieldmap import Entry, FieldMap, find_maps
from ..values import format_time
from .event_templates import shape_fields, windows_channels
from .inverses import Path
from .shaping import leaves, marks_of, merged, write

_TOKEN = re.compile(r"\{\{|\}\}|\{([A-Za-z_ ]+)(?:\|([a-z ]+))?\}")
_NO_CONTEXT = NoContext()


@frozen
class Surroundings:
    """Where and when a sample's event happens: its host, its place among the sample's events, and
    its time in microseconds since 1970 UTC."""

    host: str
    place: int
    time: int

    def named(self, name: str) -> str | None:
        """What a name in a text of ``typical_events.yaml`` stands for."""
        match name:
            case "host":
                return self.host
            case "time":
                return format_time(self.time)
            case "sysmon time":
                # It is written in milliseconds.
                text = format_time(self.time)[:23].replace("T", " ").removesuffix("Z")
                return None if self.time % 1_000 else text
            case "record":
                return str(self.time // 1_000_000 % 900_000 + self.place)
            case _:
                return None


def completed(
    raw: Mapping[str, Any],
    fieldmap: FieldMap,
    around: Surroundings,
    untouched: Collection[Path] = (),
) -> dict[str, Any]:
    """The event with the fields that its log usually writes, but for those of which the raw fields
    are ``untouched``."""
    made: dict[str, Any] = dict(raw)
    windows = _windows_entry(made, fieldmap)
    marks = marks_of(fieldmap.recognise)
    if windows is not None and windows.native is not None:
        if (number := windows.native.value("EventID")) is not None:
            _numbered(made, number, windows, untouched)
        for name, text in _fields(windows, made).items():
            value = windows.native.value(name)
            if value is None or _read(value, made) is not None:
                continue
            told = _told(text, made, windows, around)
            if told is not None and _is_free(value, untouched):
                write(made, value, told, timed=name == "RecordTime", marks=marks)
    shape = shape_fields(fieldmap.name)
    if shape is not None:
        under = _told_all(shape, made, windows, around)
        whole = merged(under, made)
        made = made if whole is None else whole
    return made


def _numbered(
    made: dict[str, Any], number: ir.Value, entry: Entry, untouched: Collection[Path]
) -> None:
    """Gives a number to an event without one: no Windows event is."""
    if _read(number, made) is None and _is_free(number, untouched):
        known = windows_channels().get(str(_native(entry, made, "Channel")), {}).get("events")
        write(made, number, next(iter(known), 1) if known else 1, timed=False)


def _is_free(value: ir.Value, untouched: Collection[Path]) -> bool:
    """Whether a value is made of none of some raw fields."""
    return {path for path, _ in leaves(value)}.isdisjoint(untouched)


def _windows_entry(raw: Mapping[str, Any], fieldmap: FieldMap) -> Entry | None:
    """What reads a Windows event under Windows' own names, whatever names the map gives it."""
    maps = (fieldmap, *find_maps("windows"))
    for one in maps:
        if one.family == "windows" and one.recognises(raw):
            for entry in one.entries:
                if entry.native is not None and holds(entry.when, RawRow(raw), _NO_CONTEXT):
                    return entry
    return None


def _fields(entry: Entry, raw: Mapping[str, Any]) -> dict[str, str]:
    """The fields that an event usually has, by its channel and number."""
    channel, number = (_native(entry, raw, name) for name in ("Channel", "EventID"))
    found = windows_channels().get(str(channel))
    made = {"RecordTime": "{time}", "EventRecordID": "{record}", "Computer": "{host}"}
    if found is None:
        return made
    made |= {"Provider_Name": found["provider"]}
    if (guid := found.get("provider_guid")) is not None:
        made["Provider_Guid"] = guid
    fields = found["events"].get(int(number) if str(number).isdigit() else None)
    return made if fields is None else {**made, **found.get("always", {}), **fields}


def _native(entry: Entry, raw: Mapping[str, Any], name: str) -> Any:
    value = None if entry.native is None else entry.native.value(name)
    return None if value is None else _read(value, raw)


def _read(value: ir.Value, raw: Mapping[str, Any]) -> Any:
    return value_of(value, RawRow(raw), _NO_CONTEXT)


def _told_all(
    shape: Any, raw: Mapping[str, Any], entry: Entry | None, around: Surroundings
) -> dict[str, Any]:
    """What a shipper adds, with what its texts name."""
    made: dict[str, Any] = {}
    for name, value in shape.items():
        if isinstance(value, Mapping):
            made[name] = _told_all(value, raw, entry, around)
        elif isinstance(value, str):
            told = _told(value, raw, entry, around)
            if told is not None:
                made[name] = told
        else:
            made[name] = value
    return made


def _told(
    text: str, raw: Mapping[str, Any], entry: Entry | None, around: Surroundings
) -> str | None:
    """A text with what it names; None where one of that is not there."""
    lacking = False

    def put(found: re.Match[str]) -> str:
        nonlocal lacking
        if found[0] in ("{{", "}}"):
            return found[0][0]
        value: Any = around.named(found[1])
        if value is None and entry is not None:
            value = _native(entry, raw, found[1])
        if not isinstance(value, str | int):
            lacking = True
            return ""
        return _derived(str(value), found[2], around)

    made = _TOKEN.sub(put, text)
    return None if lacking else made


def _derived(value: str, what: str | None, around: Surroundings) -> str:
    """What follows from a value: a part of a path, or an id that is the same for the same value."""
    folder, _, base = value.replace("/", "\\").rpartition("\\")
    digest = hashlib.sha256(f"{around.host}|{value.lower()}".encode()).hexdigest().upper()
    match what:
        case "base":
            return base
        case "folder":
            return folder
        case "pid":
            return str(_pid(digest))
        case "hex pid":
            return hex(_pid(digest))
        case "guid":
            day = format_time(around.time)[:10].replace("-", "")
            return f"{{{digest[:8]}-{day[:4]}-{day[4:]}-{digest[8:12]}-{digest[12:24]}}}"
        case "hashes":
            # The same program has the same hashes on every host.
            whole = hashlib.sha256(value.lower().encode()).hexdigest().upper()
            return f"MD5={whole[:32]},SHA256={whole},IMPHASH={whole[32:]}"
        case _:
            return value


def _pid(digest: str) -> int:
    """Windows' process ids are multiples of four."""
    return 1_000 + int(digest[:4], 16) % 4_000 * 4
