"""Values of Python objects in events, as the values that JSON has.

Events that come from a program and not from a file hold what the program has: `datetime`, `UUID`,
rows of pandas. Everything else here works on what JSON knows, so such an event is read into that
form once, where it enters::

    plain_event({"UtcTime": datetime(2026, 3, 1, 8), "Id": Decimal("4688")})
        {"UtcTime": "2026-03-01T08:00:00.000Z", "Id": 4688}

==========================================  =====================================================
``datetime``, ``pandas.Timestamp``,         ISO 8601 in UTC; without a zone it is UTC already
``numpy.datetime64``
``date``, ``time``                          ISO 8601
``timedelta`` and the like                  seconds
``Decimal``, ``Fraction``, numpy numbers    a number; text where no float holds it
``NaN``, ``NaT``, ``pandas.NA``             null
``bytes``, ``bytearray``, ``memoryview``    text in UTF-8, other bytes as ``\\xNN``
``Enum``                                    its value
mappings, dataclasses, attrs classes        a mapping; keys are texts
lists, tuples, sets, deques, arrays         a list; of a set in the order of its texts
``UUID``, paths, IP addresses, …            the text that `str` gives
other objects                               an empty mapping: it is there, and equal to nothing
==========================================  =====================================================

An event that holds none of these is handed on as it is, and not copied.
"""

from __future__ import annotations

import collections
import dataclasses
import enum
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence, Set
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import attrs

from .jsontext import DEPTH
from .values import format_time

_AS_IT_IS = frozenset((str, int, bool, type(None)))
_CONTAINERS = frozenset((dict, list, tuple))
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NAIVE_EPOCH = datetime(1970, 1, 1)
_MICROSECOND = timedelta(microseconds=1)
_MOST_ITEMS = 1_000_000
_MOST_CONTAINERS = 200_000
# More than a record of the largest size that readers take has.
_MOST_VALUES = 20_000_000
# Above so many values their texts are measured too: one text may be there in many places.
_FEW_VALUES = 1_000
_MOST_TEXT = 256 << 20
# A float holds no more.
_MOST_DIGITS = 300


def plain_event(event: Mapping[str, Any], unread: Counter[str] | None = None) -> Mapping[str, Any]:
    """The event with every value as one that JSON has; the same object where all of them are.

    ``unread`` counts, by the name of their class, the objects whose own code failed: an empty
    mapping stands for each.

    Raises ``ValueError`` where mappings and lists lie deeper than `jsontext.DEPTH`, as
    they do where one holds itself, and where the event written out would have more than 20 million
    values or 256 MiB of text, as it may where a list holds another one twice, and that one a third.

    >>> plain_event({"Image": "a", "tags": {"b", "a"}})
    {'Image': 'a', 'tags': ['a', 'b']}
    """
    return event if _is_plain(event) else _copied(event, Counter() if unread is None else unread)


def _is_plain(event: Mapping[str, Any]) -> bool:
    level: list[Any] = [event]
    count = 0
    measured = False
    for _ in range(DEPTH):
        below: list[Any] = []
        for container in level:
            count += len(container)
            if count > _FEW_VALUES and not measured:
                # Before it is walked: what holds one list twice doubles with each level.
                _measure(event)
                measured = True
            if isinstance(container, list | tuple):
                values: Any = container
            else:
                values = container.values()
                for key in container:
                    if type(key) is not str:
                        return False
            for value in values:
                kind = type(value)
                if kind in _AS_IT_IS:
                    continue
                if kind is dict or kind is list or kind is tuple:
                    below.append(value)
                elif kind is not float or value != value:
                    return False
        if not below:
            return True
        level = below
    raise _too_deep()


def _measure(event: Mapping[str, Any]) -> None:
    """Raise ``ValueError`` for an event that is too large when it is written out.

    Each container is looked at once, however often it is there.
    """
    # Of each container: its values, its text, and how many levels it has. An open one has none yet.
    sizes: dict[int, tuple[int, int, int] | None] = {}
    open_: list[Any] = [event]
    while open_:
        container = open_[-1]
        place = id(container)
        found = container.values() if isinstance(container, Mapping) else container
        inner = [value for value in found if type(value) in _CONTAINERS]
        if place not in sizes:
            sizes[place] = None
            open_ += [value for value in inner if id(value) not in sizes]
            continue
        open_.pop()
        if sizes[place] is not None:
            continue
        values = len(found)
        text = sum([len(value) for value in found if type(value) is str])
        levels = 1
        for value in inner:
            size = sizes[id(value)]
            if size is None:
                # It is open: it holds itself.
                raise _too_deep()
            values += size[0]
            text += size[1]
            levels = max(levels, 1 + size[2])
        if levels > DEPTH:
            raise _too_deep()
        if values > _MOST_VALUES or text > _MOST_TEXT:
            raise _too_large()
        sizes[place] = (values, text, levels)


def _too_deep() -> ValueError:
    return ValueError(f"the event is nested deeper than {DEPTH} levels")


def _too_large() -> ValueError:
    return ValueError(
        f"the event has more than {_MOST_VALUES:,} values, {_MOST_CONTAINERS:,} objects that are "
        f"not JSON's or {_MOST_TEXT >> 20} MiB of text, counted as often as they are written out"
    )


def _copied(event: Mapping[str, Any], unread: Counter[str]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    # A stack instead of recursion: what is copied, into what, and how deep it lies.
    open_: list[tuple[Any, dict[str, Any] | list[Any], int]] = [(event, made, 1)]
    copied = values = text = 0
    while open_:
        source, target, depth = open_.pop()
        if depth > DEPTH:
            raise _too_deep()
        copied += 1
        values += len(source)
        if copied > _MOST_CONTAINERS or values > _MOST_VALUES:
            raise _too_large()
        read: Iterable[Any]
        if isinstance(target, dict):
            for key, value in source.items():
                target[_key(key, unread)] = _begun(value, open_, depth, unread)
            read = target.values()
        else:
            target += [_begun(value, open_, depth, unread) for value in source]
            read = target
        if values > _FEW_VALUES:
            text += sum([len(value) for value in read if type(value) is str])
            if text > _MOST_TEXT:
                raise _too_large()
    return made


def _begun(value: Any, open_: list[tuple[Any, Any, int]], depth: int, unread: Counter[str]) -> Any:
    """A value as it is read; of a mapping or a list the new one, which is filled later."""
    read = _read(value, unread)
    if isinstance(read, Mapping):
        made: Any = {}
    elif isinstance(read, list | tuple):
        made = []
    else:
        return read
    open_.append((read, made, depth + 1))
    return made


def _key(key: Any, unread: Counter[str]) -> str:
    if type(key) is str:
        return key
    read = _read(key, unread)
    if isinstance(read, bool):
        return "true" if read else "false"
    return read if isinstance(read, str) else "null" if read is None else str(read)


def _read(value: Any, unread: Counter[str]) -> Any:
    """A value as a scalar of JSON, or as a mapping or list whose values are not read yet."""
    kind = type(value)
    if kind in _AS_IT_IS:
        return value
    try:
        return _read_object(value, unread)
    except Exception:
        # The code of the object's own class failed. The field is there, and has no text that a rule
        # could match: what a mapping is. Left out, it would look as if the event lacked the field.
        unread[f"{kind.__module__}.{kind.__qualname__}"] += 1
        return {}


def _read_object(value: Any, unread: Counter[str]) -> Any:
    package = type(value).__module__.partition(".")[0]
    if package == "numpy":
        return _read_numpy(value, unread)
    if package == "pandas" and (found := _read_pandas(value)) is not value:
        return found
    match value:
        case enum.Enum():
            return _read(value.value, unread)
        case str():
            return str.__add__(value, "")
        case int():
            return int.__add__(value, 0)
        case float():
            number = float.__add__(value, 0.0)
            return None if math.isnan(number) else number
        case datetime():
            return _moment(value)
        case date() | time():
            return value.isoformat()
        case timedelta():
            return _number(Fraction(value // _MICROSECOND, 1_000_000))
        case Decimal():
            if value.is_nan():
                return None
            # Its exponent may be larger than any memory.
            near = value.is_finite() and abs(value.adjusted()) < _MOST_DIGITS
            return _number(Fraction(value)) if near else str(value)
        case Fraction():
            return _number(value)
        case bytes() | bytearray() | memoryview():
            return bytes(value).decode("utf-8", "backslashreplace")
        case Mapping():
            return value
        case list() | tuple():
            return value
        case Set():
            return _in_order(value, unread)
        case collections.deque() | Sequence() if len(value) <= _MOST_ITEMS:
            return list(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
    if attrs.has(type(value)):
        return {a.name: getattr(value, a.name) for a in attrs.fields(type(value))}
    if not isinstance(value, type) and _has_text(type(value)):
        return str.__add__(str(value), "")
    return {}


def _has_text(kind: type) -> bool:
    """Whether a class says what its text is; `object`'s is the place in memory."""
    return any("__str__" in vars(base) for base in kind.__mro__ if base is not object)


def _moment(value: datetime) -> str | None:
    if value != value:
        # pandas.NaT is a datetime.
        return None
    since = value - (_NAIVE_EPOCH if value.utcoffset() is None else _EPOCH)
    return format_time((since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds)


def _number(value: Fraction) -> int | float | str:
    if value.denominator == 1:
        return int(value) if value.numerator.bit_length() <= 64 else str(int(value))
    return float(value)


def _in_order(values: Set[Any], unread: Counter[str]) -> list[Any]:
    """The members of a set in an order that does not depend on their hashes."""
    read = (_read(value, unread) for value in values)
    return sorted(read, key=lambda item: (type(item).__name__, str(item)))


def _read_numpy(value: Any, unread: Counter[str]) -> Any:
    kind = value.dtype.kind
    if kind in "mM":
        # Its own conversion gives nanoseconds as a number without a unit.
        value = value.astype(f"{'datetime' if kind == 'M' else 'timedelta'}64[us]")
    found = value.tolist()
    if kind == "M" and isinstance(found, int):
        # Before the year 1 or after 9999.
        return format_time(found)
    return found if isinstance(found, list) else _read(found, unread)


def _read_pandas(value: Any) -> Any:
    if type(value).__name__ in ("NAType", "NaTType"):
        return None
    return value.tolist() if hasattr(value, "tolist") else value
