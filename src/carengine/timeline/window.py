"""Which events belong to a timeline: those around points in time, on hosts, of process trees."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from attrs import field, frozen

from ..report import Identity
from .events import TimelineEvent

_ALL_HOSTS = ""


@frozen
class TimelineAnchor:
    """A point that a timeline is about: a time (microseconds since 1970 UTC), and the host and the
    process of what happened then, as far as they are known."""

    time: int
    identity: Identity = field(factory=Identity)
    rule: str = ""


@frozen
class TimelineWindow:
    """The events around anchors, ``minutes`` before and after each, on its host where it has one;
    with ``host`` on that host only, with ``tree`` of its processes only.

    Without anchors every time belongs to it.

    >>> window = TimelineWindow((TimelineAnchor(60_000_000),), 1)
    >>> window.holds_time(0, "WS"), window.holds_time(120_000_001, "WS")
    (True, False)
    """

    anchors: tuple[TimelineAnchor, ...] = ()
    minutes: float = 5.0
    host: str = ""
    tree: ProcessTree | None = None
    _stretches: Mapping[str, tuple[tuple[int, ...], tuple[int, ...]]] = field(
        init=False, repr=False
    )

    @_stretches.default
    def _merged(self) -> Mapping[str, tuple[tuple[int, ...], tuple[int, ...]]]:
        width = round(self.minutes * 60_000_000)
        by_host: dict[str, list[tuple[int, int]]] = defaultdict(list)
        for one in self.anchors:
            by_host[one.identity.host].append((one.time - width, one.time + width))
        return {host: _joined(stretches) for host, stretches in by_host.items()}

    def holds(self, event: TimelineEvent) -> bool:
        """Whether an event belongs to it."""
        if self.host and event.host != self.host:
            return False
        if not self.holds_time(event.time, event.host):
            return False
        return self.tree is None or self.tree.holds(event.identity, event.time)

    def holds_time(self, time: int | None, host: str) -> bool:
        """Whether a time on a host does. An event without a time is around nothing."""
        if not self.anchors:
            return True
        if time is None:
            return False
        for name in (host, _ALL_HOSTS) if host else (_ALL_HOSTS,):
            stretches = self._stretches.get(name)
            if stretches is not None:
                place = bisect_right(stretches[0], time) - 1
                if place >= 0 and time <= stretches[1][place]:
                    return True
        return False


def _joined(stretches: Iterable[tuple[int, int]]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Stretches that do not touch, as their beginnings and their ends."""
    first: list[int] = []
    last: list[int] = []
    for start, end in sorted(stretches):
        if last and start <= last[-1]:
            last[-1] = max(last[-1], end)
        else:
            first.append(start)
            last.append(end)
    return tuple(first), tuple(last)


@frozen
class ProcessTree:
    """Processes that belong together: by their own ids, and by host and number with the stretches
    of time in which the number was theirs."""

    guids: frozenset[str]
    numbers: Mapping[tuple[str, str], tuple[tuple[int, int], ...]]

    @classmethod
    def of(cls, rows: Iterable[Mapping[str, Any]]) -> ProcessTree:
        """The tree of starts of processes, as `report.ProcessStore` gives them.

        >>> tree = ProcessTree.of([{"guid": "", "host": "WS", "pid": "7", "time": 5}])
        >>> tree.holds(Identity(host="WS", pid="7"), 6), tree.holds(Identity(host="WS", pid="7"), 4)
        (True, False)
        """
        guids: set[str] = set()
        numbers: dict[tuple[str, str], list[tuple[int, int]]] = defaultdict(list)
        for row in rows:
            if row["guid"]:
                guids.add(row["guid"])
            elif row["pid"] and row["host"]:
                start = row["time"]
                end = row.get("until")
                numbers[row["host"], row["pid"]].append(
                    (-_EVER if start is None else start, _EVER if end is None else end)
                )
        return cls(frozenset(guids), {key: tuple(sorted(value)) for key, value in numbers.items()})

    def holds(self, identity: Identity, time: int | None) -> bool:
        """Whether a process is one of the tree. That of an event without a time is looked for by
        its own id only."""
        if identity.guid:
            return identity.guid in self.guids
        if time is None:
            return False
        stretches = self.numbers.get((identity.host, identity.pid), ())
        return any(start <= time < end for start, end in stretches)


_EVER = 1 << 62
