"""Counting events of a log, in memory that is bounded by what is told and not by the log."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from attrs import define, frozen

from ..datamodel import model
from ..engine import EventClass, recogniser
from ..fieldmap import MapChoice, unwrap
from ..pyvalues import plain_event
from ..report import host_name, identity_in
from ..timeline import NATIVE_USERS
from ..values import format_time, text_of
from .logons import LogonCount, sshd_logon, windows_logon
from .numbers import RecordGap, RecordNumbers

_MOST = 20_000
"""Different names (hosts, users, channels, logons) that are kept of each sort; what comes beyond is
counted in one sum."""
_BUCKET = 60_000_000
_OTHER = "(others)"
_LONGEST = 256


@define
class Named:
    """A host or a user: how many events, the first and the last of them (microseconds since 1970
    UTC, None where no event has a time)."""

    name: str
    events: int = 0
    first: int | None = None
    last: int | None = None

    def met(self, time: int | None) -> None:
        """Count an event."""
        self.events += 1
        if time is not None:
            self.first = time if self.first is None else min(self.first, time)
            self.last = time if self.last is None else max(self.last, time)


@define
class ChannelCount:
    """Events of one sort: ``channel`` as the log names it (or the log source of the field maps),
    ``event`` its number or name, ``kinds`` what it is to CAR."""

    channel: str
    event: str
    kinds: str
    events: int = 0
    first: int | None = None
    last: int | None = None


@frozen
class TimeGap:
    """A stretch without events on a host: the times of the events before and after it."""

    host: str
    before: int
    after: int

    @property
    def seconds(self) -> float:
        """How long it is."""
        return (self.after - self.before) / 1_000_000


@frozen
class Cleared:
    """An event that says that a log was cleared (1102 of Security, 104 of System)."""

    time: int | None
    host: str
    user: str
    channel: str


class LogStatistics:
    """Counts events.

    >>> statistics = LogStatistics("windows.flat")
    >>> for number in (7, 8, 11):
    ...     statistics.add({
    ...         "Channel": "Security", "EventID": 4688, "EventRecordID": number, "Hostname": "ws",
    ...         "SourceName": "Microsoft-Windows-Security-Auditing",
    ...         "@timestamp": f"2024-05-01T10:00:{number:02}Z"})
    >>> [(one.channel, one.event, one.events) for one in statistics.channels()]
    [('Security', '4688', 3)]
    >>> [(gap.host, gap.first, gap.last) for gap in statistics.record_gaps()]
    [('WS', 9, 10)]
    """

    def __init__(self, fieldmap: MapChoice = "auto") -> None:
        self._engine = recogniser(fieldmap)
        self.events = 0
        self.unrecognised = 0
        self.timeless = 0
        self.first: int | None = None
        self.last: int | None = None
        self.kinds: Counter[str] = Counter()
        self.cleared: list[Cleared] = []
        self._channels: dict[tuple[str, str, str], ChannelCount] = {}
        self._hosts: dict[str, Named] = {}
        self._users: dict[str, Named] = {}
        self._logons: dict[tuple[str, str, str, str], LogonCount] = {}
        self._numbers: dict[tuple[str, str], RecordNumbers] = {}
        self._buckets: dict[str, dict[int, tuple[int, int]]] = {}

    def add(self, event: Mapping[str, Any]) -> None:
        """Count an event. Raises as `Session.feed` does for what is no event."""
        event = plain_event(event)
        inner = unwrap(event)
        self.events += 1
        classes = self._engine.classify(inner).classes
        if not classes:
            self.unrecognised += 1
            return
        objects = model().objects
        own = [one for one in classes if one.entry.kind.object in objects]
        native = [one for one in classes if one.entry.kind.object not in objects]
        times = (one.time(inner) for one in (*own, *native))
        time = next((found for found in times if found is not None), None)
        self._met_time(time)
        identity = identity_in([one.entry.reader.fields(inner) for one in (*own, *native)])
        host = host_name(identity.host[:_LONGEST])
        kinds = sorted({str(one.entry.kind) for one in own})
        self.kinds.update(kinds)
        if host:
            _named(self._hosts, host).met(time)
            self._met_host(host, time)
        get = _getter(native or own, inner)
        user = identity.user or next(
            (text for name in NATIVE_USERS if (text := text_of(get(name)))), ""
        )
        user = user[:_LONGEST]
        if user:
            # Windows' names of accounts mean the same in any case.
            _named(self._users, user, user.lower() if "\\" in user else user).met(time)
        self._met_channel(native or own, get, ", ".join(kinds), host, user, time)
        self._met_logon(native, get, time)

    def _met_time(self, time: int | None) -> None:
        if time is None:
            self.timeless += 1
            return
        self.first = time if self.first is None else min(self.first, time)
        self.last = time if self.last is None else max(self.last, time)

    def _met_host(self, host: str, time: int | None) -> None:
        if time is None:
            return
        if host not in self._buckets and len(self._buckets) >= _MOST:
            return
        buckets = self._buckets.setdefault(host, {})
        place = time // _BUCKET
        least, most = buckets.get(place, (time, time))
        buckets[place] = min(least, time), max(most, time)

    def _met_channel(
        self,
        classes: list[EventClass],
        get: Callable[[str], Any],
        kinds: str,
        host: str,
        user: str,
        time: int | None,
    ) -> None:
        channel = text_of(get("Channel"))
        event = text_of(get("EventID"))
        if channel is None:
            channel = min(map(_source_name, classes), key=lambda one: (_is_general(one), one))
            names = ("eventName", "Operation", "eventType", "type", "event.action")
            event = next((found for name in names if (found := text_of(get(name)))), "")
        channel, event = channel[:_LONGEST], (event or "")[:_LONGEST]
        key = (channel, event, kinds)
        if key not in self._channels and len(self._channels) >= _MOST:
            key = (_OTHER, "", "")
        count = self._channels.setdefault(key, ChannelCount(*key))
        count.events += 1
        if time is not None:
            count.first = time if count.first is None else min(count.first, time)
            count.last = time if count.last is None else max(count.last, time)
        number = text_of(get("EventRecordID")) or text_of(get("RecordNumber"))
        if number is not None and number.isdecimal() and len(number) < 19:
            place = host, channel
            if place in self._numbers or len(self._numbers) < _MOST:
                self._numbers.setdefault(place, RecordNumbers()).add(int(number), time)
        if (event == "1102" and channel == "Security") or (event == "104" and channel == "System"):
            user = text_of(get("SubjectUserName")) or user
            named = channel if event == "1102" else text_of(get("Channel")) or channel
            if len(self.cleared) < _MOST:
                self.cleared.append(Cleared(time, host, user, named))

    def _met_logon(
        self, native: list[EventClass], get: Callable[[str], Any], time: int | None
    ) -> None:
        kinds = {str(one.entry.kind) for one in native}
        found = None
        if "windows/security" in kinds:
            found = windows_logon(get)
        elif "linux/sshd" in kinds:
            found = sshd_logon(get("message") or get("MESSAGE"))
        elif "linux/auditd" in kinds:
            records = get("type")
            listed = records if isinstance(records, list) else [records]
            if "USER_LOGIN" in listed or "USER_AUTH" in listed:
                source = text_of(get("addr")) or "local"
                succeeded = text_of(get("res")) in ("success", "1", "yes")
                account = text_of(get("acct")) or text_of(get("auid")) or ""
                type_ = "USER_LOGIN" if "USER_LOGIN" in listed else "USER_AUTH"
                found = account, source, type_, "auditd", succeeded
        if found is None:
            return
        *names, succeeded = found
        account, source, type_, log = (str(name)[:_LONGEST] for name in names)
        key = (account, source, type_, log)
        if key not in self._logons and len(self._logons) >= _MOST:
            key = (_OTHER, "", "", log)
        count = self._logons.setdefault(key, LogonCount(*key))
        if succeeded:
            count.successes += 1
        else:
            count.failures += 1
        if time is not None:
            count.first = time if count.first is None else min(count.first, time)
            count.last = time if count.last is None else max(count.last, time)

    # What was counted

    def channels(self) -> list[ChannelCount]:
        """Events by channel and number, the commonest first."""
        return sorted(
            self._channels.values(), key=lambda one: (-one.events, one.channel, one.event)
        )

    def hosts(self) -> list[Named]:
        """Hosts, those with most events first."""
        return _ranked(self._hosts)

    def users(self) -> list[Named]:
        """Users, those with most events first."""
        return _ranked(self._users)

    def logons(self) -> list[LogonCount]:
        """Logons by account, source and type, the commonest first."""
        return sorted(
            self._logons.values(),
            key=lambda one: (-one.successes - one.failures, one.account, one.source, one.type),
        )

    def record_numbers(self) -> list[tuple[str, str, RecordNumbers]]:
        """Host, channel and the record numbers that were met there."""
        return [(*place, self._numbers[place]) for place in sorted(self._numbers)]

    def record_gaps(self) -> list[RecordGap]:
        """Holes in the record numbers, the largest first."""
        found = [
            gap
            for host, channel, numbers in self.record_numbers()
            for gap in numbers.gaps(host, channel)
        ]
        return sorted(found, key=lambda gap: (-gap.records, gap.host, gap.channel, gap.first))

    def time_gaps(self, minutes: float = 60.0, most: int = 1_000) -> list[TimeGap]:
        """Stretches of at least so many minutes without an event on a host that has events before
        and after, the longest first."""
        least = minutes * 60_000_000
        found = (
            TimeGap(host, before, after)
            for host, buckets in self._buckets.items()
            for before, after in _between(buckets)
            if after - before >= least
        )
        return heapq.nsmallest(
            most, found, key=lambda gap: (gap.before - gap.after, gap.host, gap.before)
        )

    def as_json(self, minutes: float = 60.0) -> dict[str, Any]:
        """All of it as plain data; its schema is ``carengine.matches.schema("stats")``."""
        return {
            "records": self.events,
            "unrecognised": self.unrecognised,
            "without_time": self.timeless,
            "first": _time(self.first),
            "last": _time(self.last),
            "channels": [
                {
                    "channel": one.channel,
                    "event": one.event,
                    "kinds": one.kinds.split(", ") if one.kinds else [],
                    **_counted(one),
                }
                for one in self.channels()
            ],
            "kinds": dict(sorted(self.kinds.items(), key=lambda item: (-item[1], item[0]))),
            "hosts": [{"host": one.name, **_counted(one)} for one in self.hosts()],
            "users": [{"user": one.name, **_counted(one)} for one in self.users()],
            "logons": [
                {
                    "account": one.account,
                    "source": one.source,
                    "type": one.type,
                    "log": one.log,
                    "successes": one.successes,
                    "failures": one.failures,
                    "first": _time(one.first),
                    "last": _time(one.last),
                }
                for one in self.logons()
            ],
            "record_numbers": [
                {
                    "host": host,
                    "channel": channel,
                    "records": numbers.met,
                    "twice": numbers.twice,
                    "first": numbers.first,
                    "last": numbers.last,
                    "known": not numbers.overfull,
                    "missing": sum(gap.records for gap in numbers.gaps(host, channel)),
                    "gaps": [
                        {
                            "first": gap.first,
                            "last": gap.last,
                            "before": _time(gap.before),
                            "after": _time(gap.after),
                        }
                        for gap in numbers.gaps(host, channel)
                    ],
                }
                for host, channel, numbers in self.record_numbers()
            ],
            "time_gaps": [
                {
                    "host": gap.host,
                    "before": _time(gap.before),
                    "after": _time(gap.after),
                    "seconds": gap.seconds,
                }
                for gap in self.time_gaps(minutes)
            ],
            "cleared": [
                {
                    "time": _time(one.time),
                    "host": one.host,
                    "user": one.user,
                    "channel": one.channel,
                }
                for one in self.cleared
            ],
        }


def _named(among: dict[str, Named], name: str, key: str = "") -> Named:
    found = among.get(key or name)
    if found is None:
        if len(among) >= _MOST:
            name = key = _OTHER
        found = among.setdefault(key or name, Named(name))
    return found


def _ranked(among: dict[str, Named]) -> list[Named]:
    return sorted(among.values(), key=lambda one: (-one.events, one.name))


def _getter(classes: list[EventClass], inner: Mapping[str, Any]) -> Callable[[str], Any]:
    """What gives a field of an event by its native name, through the first class that has it."""
    natives = [one.entry.native for one in classes if one.entry.native is not None]

    def get(name: str) -> Any:
        for native in natives:
            read = native.getter(name)
            if read is not None and (value := read(inner)) is not None:
                return value
        return None

    return get


def _source_name(one: EventClass) -> str:
    kind = str(one.entry.kind)
    return kind if one.entry.native is not None else one.fieldmap.family


def _is_general(source: str) -> bool:
    """Whether a log source says little: that of any product, or of any event in ECS."""
    return "*" in source or source.startswith("ecs/")


def _between(buckets: Mapping[int, tuple[int, int]]) -> Iterable[tuple[int, int]]:
    last = None
    for place in sorted(buckets):
        least, most = buckets[place]
        if last is not None:
            yield last, least
        last = most


def _time(time: int | None) -> str | None:
    return None if time is None else format_time(time)


def _counted(one: ChannelCount | Named) -> dict[str, Any]:
    return {"events": one.events, "first": _time(one.first), "last": _time(one.last)}
