"""How a session treats time and memory: lengths of time with their unit, and ceilings.

Lengths are given as ``timedelta`` or as text with a unit, never as bare numbers: 300 is five
minutes to one reader and 300 microseconds to another. Inside the engine all times are whole
microseconds: the attributes that end in ``_us``.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

from attrs import Attribute, field, frozen

from ... import ir
from ...values import time_of

Length = timedelta | str
"""A length of time: ``timedelta(minutes=5)``, or text such as ``"5 minutes"`` or ``"30s"``."""

_MICROSECOND = timedelta(microseconds=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TEXT = re.compile(r"(\d{1,15})(?:\.(\d{1,6}))?\s*([a-z]{1,12})", re.ASCII)
_LONGEST = timedelta(days=3_660_000)


def length_of(value: Length) -> timedelta:
    """A length of time as a ``timedelta``.

    Texts are written as in rules: a number and a unit from microseconds to weeks. Raises
    `TypeError` for a number without a unit, and `ValueError` for text that is no length of time,
    for what is finer than a microsecond, and for more than 10,000 years.

    >>> length_of("5 minutes"), length_of("0.5 s")
    (datetime.timedelta(seconds=300), datetime.timedelta(microseconds=500000))
    >>> length_of(300)
    Traceback (most recent call last):
    TypeError: 300 has no unit: write "300 seconds", or timedelta(seconds=300)
    """
    if isinstance(value, timedelta):
        return value
    if not isinstance(value, str):
        raise TypeError(
            f'{value!r} has no unit: write "{value} seconds", or timedelta(seconds={value})'
        )
    parts = _TEXT.fullmatch(value.strip().lower())
    unit = "" if parts is None else parts[3]
    from ...syntax.parser import MICROSECONDS

    size = MICROSECONDS.get(unit) or MICROSECONDS.get(unit.removesuffix("s"))
    if parts is None or size is None:
        raise ValueError(f'"{value}" is no length of time; write 30s or "10 minutes"')
    fraction = parts[2] or ""
    number, rest = divmod(int(parts[1] + fraction) * size, 10 ** len(fraction))
    if rest:
        raise ValueError(f'times are kept in whole microseconds; "{value}" is finer')
    if number > _LONGEST // _MICROSECOND:
        raise ValueError(f'"{value}" is more than 10,000 years')
    return timedelta(microseconds=number)


def _optional_length(value: Length | None) -> timedelta | None:
    return None if value is None else length_of(value)


def moment_of(value: datetime | str | None) -> datetime | None:
    """A point in time as a ``datetime`` in UTC; text is ISO 8601, UTC where it names no zone.

    Raises `TypeError` for a number, and `ValueError` for text that is no time and for a
    ``datetime`` without a zone.

    >>> moment_of("2024-05-01T10:00:00Z")
    datetime.datetime(2024, 5, 1, 10, 0, tzinfo=datetime.timezone.utc)
    """
    if value is None:
        return None
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise ValueError(f"{value} has no time zone: say datetime(…, tzinfo=UTC)")
        return value.astimezone(UTC)
    if not isinstance(value, str):
        raise TypeError(
            f"{value!r} is no point in time: give a datetime, or text such as 2024-05-01T10:00:00Z"
        )
    number = time_of(value)
    if number is None:
        raise ValueError(f'"{value}" is no point in time; write 2024-05-01T10:00:00Z')
    try:
        return _EPOCH + number * _MICROSECOND
    except OverflowError:
        raise ValueError(f'"{value}" is outside the years 1 to 9999') from None


def _not_negative(_: object, attribute: Attribute[Any], value: timedelta | None) -> None:
    if value is not None and value < timedelta(0):
        raise ValueError(f"{attribute.name} must not be negative: {value}")


def _positive(_: object, attribute: Attribute[int], value: int) -> None:
    if value < 1:
        raise ValueError(f"{attribute.name} must be at least 1, not {value}")


@frozen
class StreamOptions:
    """How a session treats time and memory.

    Lengths of time are ``timedelta`` or text with a unit (``"5 minutes"``, ``"30s"``); a bare
    number raises `TypeError`.

    * ``lateness``: how long after a later event an event may still come. None, the default, is for
      finished data: events may come in any order, and nothing closes before the end, or before
      memory is full. Stream processors call it allowed lateness.
    * ``horizon``: how far apart rows may be in a join or a group for which the rule itself says
      nothing; 30 days. None is without bound. Stream processors call it state retention.
    * ``now``: the reference time of the run: a ``datetime`` with a zone, or text in ISO 8601. None
      is the last event's time, which only the end of the data tells.
    * ``max_events``, ``max_bytes``: the most that may be held, in rows and in estimated bytes.
    * ``merge``: whether records of different sensors that tell of one happening (Sysmon 1 and
      Security 4688 of the start of a process) are one: see `carengine.engine.streams.merging`. A
      match of such a record then comes when no other can come any more: with a lateness, shortly
      after it; without one, at the end.

    Raises `ValueError` for a negative length, for text that is no length or no time, and for a
    ceiling below 1.

    >>> options = StreamOptions(lateness="5 minutes", horizon=timedelta(days=7))
    >>> options.lateness, options.lateness_us
    (datetime.timedelta(seconds=300), 300000000)
    """

    lateness: timedelta | None = field(
        default=None, converter=_optional_length, validator=_not_negative
    )
    horizon: timedelta | None = field(
        default=timedelta(days=30), converter=_optional_length, validator=_not_negative
    )
    now: datetime | None = field(default=None, converter=moment_of)
    max_events: int = field(default=1_000_000, validator=_positive)
    max_bytes: int = field(default=1 << 30, validator=_positive)
    merge: bool = False

    # The same in microseconds: the engine asks for them with each event.
    lateness_us: int | None = field(init=False, repr=False)
    horizon_us: int | None = field(init=False, repr=False)
    now_us: int | None = field(init=False, repr=False)

    @lateness_us.default
    def _lateness_us(self) -> int | None:
        return None if self.lateness is None else self.lateness // _MICROSECOND

    @horizon_us.default
    def _horizon_us(self) -> int | None:
        return None if self.horizon is None else self.horizon // _MICROSECOND

    @now_us.default
    def _now_us(self) -> int | None:
        return None if self.now is None else (self.now - _EPOCH) // _MICROSECOND

    @property
    def meaning(self) -> tuple[int | None, ...]:
        """What decides the matches, the ceilings apart, in microseconds; 1 where records are
        merged."""
        return (self.lateness_us, self.horizon_us, self.now_us, int(self.merge))

    def differences(self, other: StreamOptions) -> str:
        """The options that differ from another's, in words."""
        names = ("lateness", "horizon", "reference time", "merging")
        pairs = zip(names, self.meaning, other.meaning, strict=True)
        return ", ".join(
            f"{name} {_said(name, a)}, and {_said(name, b)} is asked for"
            for name, a, b in pairs
            if a != b
        )

    def as_data(self) -> dict[str, int | None]:
        """The options as plain data, for `from_data`."""
        names = ("lateness", "horizon", "now", "merge")
        ceilings = {"max_events": self.max_events, "max_bytes": self.max_bytes}
        return {**dict(zip(names, self.meaning, strict=True)), **ceilings}

    @classmethod
    def from_data(cls, data: dict[str, Any]) -> StreamOptions:
        """The options of `as_data`. Raises what comes of data that are not such."""
        lateness, horizon, now = (
            None if data[name] is None else data[name] * _MICROSECOND
            for name in ("lateness", "horizon", "now")
        )
        moment = None if now is None else _EPOCH + now
        merge = bool(data.get("merge", 0))
        return cls(lateness, horizon, moment, data["max_events"], data["max_bytes"], merge)


def _said(name: str, value: int | None) -> str:
    if name == "merging":
        return "on" if value else "off"
    if value is None:
        return "none"
    moment = name == "reference time"
    from ...ir_text import value_text

    return value_text(ir.Moment(value) if moment else ir.Duration(value))
