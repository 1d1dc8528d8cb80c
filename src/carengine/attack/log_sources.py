"""Which events ATT&CK's log sources are, in the names of the field maps.

``log_sources.yml`` says it of every name and channel of the version that ships. `events_of` answers
for one log source::

    WinEventLog:Sysmon  EventCode=10   ──▶  windows/sysmon with EventID 10
    macos:unifiedlog    …              ──▶  none: Apple's unified log has no field map
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import re2
from attrs import field, frozen

from ..diagnostics import Block, Source, codes
from ..yamltext import load_yaml, plain
from .model import LogSource

_FILE = Path(__file__).parent / "log_sources.yml"
_EACH = "{each}"
_LONGEST = 2_000
"""What is looked at of a channel, in characters: a newer bundle was written by others."""
_UNKNOWN = "log_sources.yml does not know the name"


@frozen
class AskedEvents:
    """Events that a log source is: their kind, and what fields of theirs must be.

    ``kind`` is a log source of the field maps (``windows/sysmon``) or a kind of CAR's
    (``process/create``). Of each of ``fields`` one of the values must be there; values have
    wildcards, as in Sigma.
    """

    kind: str
    fields: tuple[tuple[str, tuple[str, ...]], ...] = ()

    def __str__(self) -> str:
        told = (f"{name} {', '.join(values)}" for name, values in self.fields)
        return " ".join((self.kind, *told))


@frozen
class LogSourceMeaning:
    """What a log source is to the field maps.

    ``events`` are alternatives; there are none where ``cannot`` says why. ``means`` says in words
    what a channel of prose asks for. ``place`` is that of the item in the file, for tests.
    """

    events: tuple[AskedEvents, ...]
    means: str = ""
    cannot: str = ""
    place: tuple[int, int] = field(default=(-1, -1), eq=False)


@frozen
class ComponentKinds:
    """What shows a data component: Sigma's categories, and CAR's kinds of events."""

    categories: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()


@frozen
class _ChannelMeaning:
    """An item of the file: which channels it takes, and what they are."""

    match: Any
    pick: Any
    also: Mapping[str, tuple[str, ...]]
    events: tuple[AskedEvents, ...]
    means: str
    cannot: str

    def of(self, channel: str, place: tuple[int, int]) -> LogSourceMeaning | None:
        """What a channel is; None where the item does not take it."""
        if self.match is not None and self.match.search(channel) is None:
            return None
        if self.pick is None:
            return LogSourceMeaning(self.events, self.means, self.cannot, place)
        picked: dict[str, None] = {}
        for found in self.pick.finditer(channel):
            value = found.group(0).removesuffix(".log")
            picked |= dict.fromkeys((value, *self.also.get(value, ())))
        if not picked:
            return None
        events = tuple(dict.fromkeys(_filled(self.events, tuple(picked))))
        return LogSourceMeaning(events, self.means, self.cannot, place)


def _filled(events: tuple[AskedEvents, ...], picked: tuple[str, ...]) -> Iterator[AskedEvents]:
    for one in events:
        fields = tuple(
            (name, picked if values == (_EACH,) else values) for name, values in one.fields
        )
        for value in picked if _EACH in one.kind else picked[:1]:
            yield AskedEvents(one.kind.replace(_EACH, value), fields)


def events_of(source: LogSource) -> LogSourceMeaning:
    """What a log source is to the field maps.

    >>> source = LogSource("WinEventLog:Sysmon", "EventCode=10", "DC0035")
    >>> [str(events) for events in events_of(source).events]
    ['windows/sysmon EventID 10']
    >>> events_of(LogSource("saas:zoom", "New user created", "DC0014")).cannot
    'The audit log of this service has no field map; `carengine map` drafts one.'
    """
    return _meaning(source.name, source.channel[:_LONGEST])


@cache
def kinds_of_component(name: str) -> ComponentKinds:
    """What shows a data component, by its name; nothing where no event does.

    >>> kinds_of_component("Module Load")
    ComponentKinds(categories=('image_load',), kinds=('module/load',))
    """
    found = _file()["components"].get(name)
    if found is None:
        return ComponentKinds()
    return ComponentKinds(tuple(found["categories"]), tuple(found["kinds"]))


@cache
def platforms_of_map(family: str) -> frozenset[str]:
    """The platforms of the events that a family of field maps reads; none where it may be any.

    >>> platforms_of_map("sysmon"), platforms_of_map("ecs")
    (frozenset({'Windows'}), frozenset())
    """
    return frozenset(_file()["maps"].get(family, ()))


@cache
def _meaning(name: str, channel: str) -> LogSourceMeaning:
    for at, (place, item) in enumerate(_channels().get(name, ())):
        found = item.of(channel, (place, at))
        if found is not None:
            return found
    known = name in _channels()
    reason = "log_sources.yml has no item for the channel" if known else _UNKNOWN
    return LogSourceMeaning((), cannot=reason)


@cache
def _file() -> dict[str, Any]:
    source = Source(_FILE.name, _FILE.read_text(encoding="utf-8"))
    data: dict[str, Any] = plain(load_yaml(Block.whole(source), codes.BAD_MAP))
    return data


@cache
def _channels() -> Mapping[str, tuple[tuple[int, _ChannelMeaning], ...]]:
    """For each name its items, each with the place of its entry in the file."""
    made: dict[str, tuple[tuple[int, _ChannelMeaning], ...]] = {}
    for place, entry in enumerate(_file()["sources"]):
        items = tuple((place, _item(item)) for item in entry["channels"])
        made.update(dict.fromkeys(entry["names"], items))
    return made


def _item(item: Mapping[str, Any]) -> _ChannelMeaning:
    return _ChannelMeaning(
        _expression(item.get("match"), any_case=True),
        _expression(item.get("pick"), any_case=False),
        {str(key): tuple(map(str, values)) for key, values in item.get("also", {}).items()},
        tuple(_asked(event) for event in item.get("events", ())),
        item.get("means", ""),
        item.get("cannot", ""),
    )


def _asked(event: str | Mapping[str, Any]) -> AskedEvents:
    if isinstance(event, str):
        return AskedEvents(event)
    [(kind, fields)] = event.items()
    return AskedEvents(
        kind,
        tuple(
            (name, tuple(map(str, values if isinstance(values, list) else [values])))
            for name, values in fields.items()
        ),
    )


def _expression(text: str | None, *, any_case: bool) -> Any:
    if text is None:
        return None
    return re2.compile(f"(?i){text}" if any_case else text)
