"""The kinds of events that rules search for, and how an event of each is read.

A kind is one of CAR's (``process/create``), or a log source whose events keep their own names
(``windows/process_creation``), or whatever a query in another language searches (``splunk/event``).
An event to reason about is a mapping: under CAR's names for the first, under the names that the
rule itself uses for the others::

    {"object": "process", "action": "create", "exe": "cmd.exe"}
    {"Image": "C:\\Windows\\System32\\cmd.exe"}
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from attrs import evolve

from .. import ir
from ..datamodel import model
from ..fieldmap import CarEvent, Entry, FieldMap, find_maps, raw_map
from ..fieldmap import view as view_of

Event = dict[str, Any]

KIND = "@kind"
"""Under this name an event that is being reasoned about holds its kind where CAR has none."""


def is_native(kind: ir.EventKind) -> bool:
    """Whether the events of a kind keep the names of their own log.

    >>> is_native(ir.EventKind("windows", "dns_query")), is_native(ir.EventKind("file", "create"))
    (True, False)
    """
    return kind.object not in model().objects


@lru_cache(maxsize=4096)
def entries_of_kind(kind: ir.EventKind) -> tuple[Entry, ...]:
    """What reads an event of a kind: the entries of the map `car`, or one that takes each name as
    it is."""
    if is_native(kind):
        [anything] = [entry for entry in raw_map().entries if entry.any_source]
        return (Entry(kind, ir.Truth(True), anything.fields, None, anything.native),)
    return tuple(e for found in find_maps("car") for e in found.entries if e.kind == kind)


def own_names_map(kinds: tuple[ir.EventKind, ...]) -> FieldMap:
    """A field map by which every event is of the first of some kinds, and of the others too."""
    first, *also = kinds
    [entry] = entries_of_kind(first)
    whole = Entry(first, entry.when, entry.fields, None, entry.native, tuple(also))
    return FieldMap("own_names", "Events under a rule's own names", ir.Truth(True), (whole,))


def empty_event(kind: ir.EventKind) -> Event:
    """An event of a kind with no fields."""
    if is_native(kind):
        return {KIND: kind}
    return {"object": kind.object, "action": kind.action}


def kind_of(event: Event) -> ir.EventKind:
    """The kind of an event that is being reasoned about."""
    native = event.get(KIND)
    if isinstance(native, ir.EventKind):
        return native
    return ir.EventKind(event["object"], event["action"])


def views_of(event: Event, kind: ir.EventKind) -> tuple[CarEvent, ...]:
    """The event as its kind's entries read it."""
    plain = without_kind(event)
    return tuple(view_of(plain, plain, entry) for entry in entries_of_kind(kind))


def without_kind(event: Event) -> Event:
    """The event as a log would hold it."""
    if KIND not in event:
        return event
    return {name: value for name, value in event.items() if name != KIND}


def fixed_names(event: Event) -> tuple[str, ...]:
    """The names by which an event says what kind it is, which every event of the kind has."""
    return (KIND,) if KIND in event else ("object", "action")


def first_name(value: ir.Value) -> ir.Value:
    """A value that shippers call by several names, by the first of them."""
    match value:
        case ir.Call("first", (first, *_), type_):
            inner = first_name(first)
            return evolve(inner, type=type_) if isinstance(inner, ir.Raw) else inner
        case ir.Call(_, arguments):
            return evolve(value, arguments=tuple(map(first_name, arguments)))
        case _:
            return value
