"""What the values in an event mean when they are compared.

Events come from JSON, CSV, XML: the same port is ``445`` in one log and ``"445"`` in the next, a
process id is ``"0x1f"``, a time is text in one of a dozen spellings. The functions here give one
reading each, or None where a value has none:

=========================  =========================================================
``text_of(445)``            ``"445"``; true and false are ``"true"`` and ``"false"``
``number_of("0x1f", …)``    31, where hexadecimal is asked for
``time_of("2024-…Z")``      microseconds since 1970, UTC assumed where no zone is given
``elements(["a", "b"])``    the values of a list one by one; a comparison holds if it holds for one
=========================  =========================================================

A mapping, or a list inside a list, has no text: it exists, and every comparison with it is unknown.
"""

from __future__ import annotations

import ipaddress
import math
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

from .ir import Relation, Type
from .pattern import fold

_NUMBER = re.compile(r"\s*([+-]?\d{1,40}(?:\.\d{1,40})?)\s*", re.ASCII)
_HEXADECIMAL = re.compile(r"\s*0[xX]([0-9a-fA-F]{1,32})\s*")
_SCALAR = (str, int, float)
_DOTNET = re.compile(r"/Date\((-?\d{1,14})(?:[+-]\d{4})?\)/", re.ASCII)
_DAY = r"(?P<day>\d{1,2})"
_NAMED = r"(?:[A-Za-z]{3,9},? +)?"
_MONTH = r"(?P<month>[A-Za-z]{3,9})\.?"
_CLOCK = (
    r"(?P<hour>\d{1,2}):(?P<rest>\d{2}(?::\d{2}(?:[.,]\d{1,9})?)?)"
    r"(?: ?(?P<half>[AaPp][Mm]))?"
)
_ZONE = r"(?: ?(?P<zone>[Zz]|UTC|GMT|[+-]\d{2}:?\d{2}))?"
_FORMS = tuple(
    re.compile(form, re.ASCII)
    for form in (
        # 2020/10/20 10:00:00, 2020-10-20 10:00:00 UTC
        rf"(?P<year>\d{{4}})[-/](?P<month>\d{{1,2}})[-/]{_DAY}[ T]+{_CLOCK}{_ZONE}",
        # 20/Oct/2020:10:00:00 +0000, Tue, 20 Oct 2020 10:00:00 GMT
        rf"{_NAMED}{_DAY}[ /-]{_MONTH}[ /-](?P<year>\d{{4}})[ :,T]+{_CLOCK}{_ZONE}",
        # Oct 20, 2020 @ 10:00:00.123
        rf"{_NAMED}{_MONTH} +{_DAY},? +(?P<year>\d{{4}})[ ,@]+{_CLOCK}{_ZONE}",
        # Tue Oct 20 10:00:00 2020
        rf"{_NAMED}{_MONTH} +{_DAY} +{_CLOCK}{_ZONE} +(?P<year>\d{{4}})",
    )
)
_MONTHS = {
    name: number
    for number, name in enumerate(
        ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"], 1
    )
}
_NUMERIC = (Type.TIME, Type.INTEGER, Type.NUMBER, Type.DURATION)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NAIVE_EPOCH = datetime(1970, 1, 1)
_MAPPED = ipaddress.IPv6Network("::ffff:0:0/96")


def elements(value: Any) -> tuple[Any, ...]:
    """The values to compare: those of a list (nulls left out), or the one value; none for null."""
    if value is None:
        return ()
    if isinstance(value, list | tuple):
        return tuple(item for item in value if item is not None)
    return (value,)


def is_null(value: Any) -> bool:
    """Whether a value is null: missing, JSON's null, or a list with nothing in it."""
    if value is None:
        return True
    return type(value) is not str and isinstance(value, list | tuple) and not elements(value)


def text_of(value: Any) -> str | None:
    """The text that patterns are matched against; None for null, lists and mappings.

    >>> text_of(445), text_of(445.0), text_of(True), text_of({})
    ('445', '445', 'true', None)
    """
    match value:
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case int():
            # Past this many digits Python refuses to write a number out, and none is meant.
            return str(value) if value.bit_length() < 4096 else None
        case float():
            return str(int(value)) if value.is_integer() and abs(value) < 1e16 else repr(value)
        case _:
            return None


def number_of(value: Any, *, hexadecimal: bool = False) -> int | float | None:
    """The number that a value is or spells; None if it is none.

    >>> number_of("445"), number_of("4.5"), number_of("0x1f"), number_of("0x1f", hexadecimal=True)
    (445, 4.5, None, 31)
    """
    if type(value) is str and value.isdigit() and value.isascii() and len(value) <= 40:
        return int(value)
    match value:
        case bool():
            return None
        case int():
            return value
        case float():
            return value if math.isfinite(value) else None
        case str():
            if found := _NUMBER.fullmatch(value):
                digits = found[1]
                return float(digits) if "." in digits else int(digits)
            if hexadecimal and (found := _HEXADECIMAL.fullmatch(value)):
                return int(found[1], 16)
        case _:
            pass
    return None


def time_of(value: Any) -> int | None:
    """The point in time that a value is or spells, in microseconds since 1970 UTC.

    Reads ISO 8601 with ``T`` or a blank, with and without fraction and zone (without: UTC), dates
    with the month's name (Apache, RFC 2822, ``ctime``), ``2020/10/20``, .NET's ``/Date(…)/``, and
    numbers: seconds, milliseconds, microseconds or nanoseconds since 1970, or Windows FILETIME,
    told apart by their size. Eight digits that are a date are one (``20191027``).

    >>> time_of("1970-01-01 00:00:01.5"), time_of(1), time_of("1.5")
    (1500000, 1000000, 1500000)
    """
    if isinstance(value, str):
        return _time_of_text(value)
    number = number_of(value)
    return None if number is None else _time_of_number(number)


@lru_cache(maxsize=4096)
def _time_of_text(text: str) -> int | None:
    if len(text) > 64:
        return None
    stripped = text.strip()
    # Epoch numbers come first: some long ones would pass for ISO 8601 without its hyphens.
    hyphens = stripped[4:5] == "-"
    if (
        not hyphens
        and len(stripped) != len("20191027")
        and (number := number_of(stripped)) is not None
    ):
        return _time_of_number(number)
    try:
        moment = datetime.fromisoformat(stripped)
    except ValueError:
        if (number := number_of(stripped)) is not None:
            return _time_of_number(number)
        try:
            moment = datetime.fromisoformat(_as_iso(stripped))
        except ValueError:
            return None
    since = moment - (_NAIVE_EPOCH if moment.tzinfo is None else _EPOCH)
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def _as_iso(text: str) -> str:
    """A time in another of the ways that logs write it, as ISO 8601; the text itself where it is
    none.

    A date of digits with day or month first is left alone: which of the two it is, nobody can tell.
    """
    if found := _DOTNET.fullmatch(text):
        return (_EPOCH + timedelta(milliseconds=int(found[1]))).isoformat()
    for form in _FORMS:
        if (found := form.fullmatch(text)) is None:
            continue
        part = found.groupdict()
        month = part["month"]
        number = int(month) if month.isdigit() else _MONTHS.get(month[:3].lower(), 0)
        hour = int(part["hour"])
        if half := part["half"]:
            if not 1 <= hour <= 12:
                return text
            hour = hour % 12 + (12 if half.lower() == "pm" else 0)
        zone = part["zone"] or ""
        date = f"{part['year']}-{number:02}-{int(part['day']):02}"
        offset = "+00:00" if zone.upper() in ("", "Z", "UTC", "GMT") else zone
        return f"{date}T{hour:02}:{part['rest']}{offset}"
    return text


def _time_of_number(number: int | float) -> int | None:
    size = abs(number)
    if size < 1e11:
        return round(number * 1_000_000)
    if size < 1e14:
        return round(number * 1_000)
    if size < 1e17:
        return round(number)
    if size < 5e17:
        # FILETIME: tenths of a microsecond since 1601.
        return int(number) // 10 - 11_644_473_600_000_000
    return int(number) // 1_000 if size < 1e20 else None


@lru_cache(maxsize=256)
def format_time(microseconds: int) -> str:
    """A point in time as ISO 8601 in UTC, with as many digits as it has (three at least).

    >>> format_time(1_500_000)
    '1970-01-01T00:00:01.500Z'
    """
    try:
        moment = _EPOCH + timedelta(microseconds=microseconds)
    except OverflowError:
        return str(microseconds)
    spec = "microseconds" if microseconds % 1_000 else "milliseconds"
    return moment.replace(tzinfo=None).isoformat(timespec=spec) + "Z"


@lru_cache(maxsize=4096)
def address_of(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The IP address that a text spells; None if it is none. A zone (``%3``) is left out."""
    try:
        address = ipaddress.ip_address(text.strip().partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


@lru_cache(maxsize=1024)
def network_of(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    """The network that a text spells (host bits are ignored); None if it is none.

    IPv4 written as IPv6 is IPv4, as in `address_of`: ``::ffff:10.0.0.0/104`` is ``10.0.0.0/8``.
    """
    try:
        network = ipaddress.ip_network(text.strip(), strict=False)
    except ValueError:
        return None
    if isinstance(network, ipaddress.IPv6Network) and network.prefixlen >= _MAPPED.prefixlen:
        mapped = network.network_address.ipv4_mapped
        if mapped is not None:
            return ipaddress.IPv4Network((mapped, network.prefixlen - _MAPPED.prefixlen))
    return network


def in_network(text: str, network: str) -> bool:
    """Whether a text is an address in a network. Text that is no address is in none."""
    address, net = address_of(text), network_of(network)
    return address is not None and net is not None and address in net


def key_of(value: Any, type_: Type) -> Any:
    """What two values have in common exactly when they are equal, or None where there is no
    reading.

    Joins and groups hash on it.

    >>> key_of("0x1F", Type.INTEGER) == key_of(31, Type.INTEGER), key_of("A", Type.TEXT)
    (True, 'a')
    """
    if type_ is Type.INTEGER:
        return number_of(value, hexadecimal=True)
    match type_:
        case Type.NUMBER | Type.TIME | Type.DURATION:
            # Times are microseconds by now: whoever reads a field of that type converts it.
            return number_of(value)
        case _:
            text = text_of(value)
            if text is None:
                return None
            if type_ is Type.ADDRESS:
                return address_of(text) or fold(text)
            if type_ is Type.ANY:
                number = number_of(value)
                return fold(text) if number is None else number
            return fold(text)


def repr_of(value: Any) -> str:
    """Python's own text of a value, also of one with integers that Python refuses to write out.

    >>> repr_of(["a", 1]), len(repr_of([1 << 20_000]))
    ("['a', 1]", 5005)
    """
    try:
        return repr(value)
    except (ValueError, RecursionError):
        match value:
            case Mapping():
                return "{{{}}}".format(
                    ", ".join(f"{key!r}: {repr_of(v)}" for key, v in value.items())
                )
            case list() | tuple():
                return "[{}]".format(", ".join(map(repr_of, value)))
            case int():
                return hex(value)
            case _:
                return f"<{type(value).__name__}>"


def compare(left: Any, relation: Relation, right: Any, type_: Type) -> bool | None:
    """Three-valued comparison of two values, lists element by element (one pair suffices).

    Unknown where a side is null or a mapping. Equality with a value that has no reading as the type
    is false; an order with one is unknown.

    >>> less, integer = Relation.LESS, Type.INTEGER
    >>> compare(["a", 5], less, 9, integer), compare({}, Relation.EQUAL, 9, integer)
    (True, None)
    """
    lefts, rights = elements(left), elements(right)
    if not lefts or not rights:
        return None
    if len(lefts) == len(rights) == 1:
        return _compare_one(lefts[0], relation, rights[0], type_)
    return _compare_lists(lefts, relation, rights, type_)


def _compare_lists(
    lefts: tuple[Any, ...], relation: Relation, rights: tuple[Any, ...], type_: Type
) -> bool | None:
    """Whether `_compare_one` is true of some pair, else unknown of some: without trying all pairs.

    Lists come from the log, and the number of pairs is the product of two lengths that a stranger
    chose. So equal ones are found by their keys, and of an order only the extremes matter.
    """
    if relation is Relation.EQUAL:
        keys = [
            {key_of(v, type_) for v in side if isinstance(v, _SCALAR)} for side in (lefts, rights)
        ]
        if (keys[0] & keys[1]) - {None}:
            return True
        return False if all(isinstance(v, _SCALAR) for v in (*lefts, *rights)) else None
    left_kinds, right_kinds = _by_kind(lefts, type_), _by_kind(rights, type_)
    for kind, low in left_kinds.items():
        high = right_kinds.get(kind)
        if kind is None or high is None:
            continue
        if relation in (Relation.LESS, Relation.LESS_EQUAL):
            pair = min(low), max(high)
        else:
            pair = max(low), min(high)
        if _in_order(pair[0], relation, pair[1]):
            return True
    # A pair of different kinds, or with a value of none, is unknown.
    one_kind = left_kinds.keys() == right_kinds.keys() and len(left_kinds) == 1
    return False if one_kind and None not in left_kinds else None


def _by_kind(values: tuple[Any, ...], type_: Type) -> dict[type | None, list[Any]]:
    """What is compared of values, the numbers and the texts apart; under None those with no
    reading."""
    found: dict[type | None, list[Any]] = {}
    for value in values:
        key = order_key(value, type_)
        kind = None if key is None else str if isinstance(key, str) else int
        found.setdefault(kind, []).append(key)
    return found


def _compare_one(left: Any, relation: Relation, right: Any, type_: Type) -> bool | None:
    if not isinstance(left, _SCALAR) or not isinstance(right, _SCALAR):
        return None
    if relation is Relation.EQUAL:
        a, b = key_of(left, type_), key_of(right, type_)
        return a is not None and b is not None and bool(a == b)
    a, b = order_key(left, type_), order_key(right, type_)
    if a is None or b is None or isinstance(a, str) is not isinstance(b, str):
        return None
    return _in_order(a, relation, b)


def order_key(value: Any, type_: Type) -> int | float | str | None:
    """What is compared of a value in an order: its number, or where any text will do its folded
    text; None where it has no reading.

    >>> order_key("0x1F", Type.INTEGER), order_key("B", Type.TEXT), order_key("x", Type.NUMBER)
    (31, 'b', None)
    """
    if not isinstance(value, _SCALAR):
        return None
    number = number_of(value, hexadecimal=type_ is Type.INTEGER)
    if number is not None or type_ in _NUMERIC:
        return number
    text = text_of(value)
    return None if text is None else fold(text)


def _in_order(left: Any, relation: Relation, right: Any) -> bool:
    match relation:
        case Relation.LESS:
            return bool(left < right)
        case Relation.LESS_EQUAL:
            return bool(left <= right)
        case Relation.GREATER:
            return bool(left > right)
        case _:
            return bool(left >= right)


def calculate(sign: str, left: Any, right: Any) -> int | float | None:
    """Arithmetic on two values; None where one is no number or the result is none."""
    a, b = number_of(left), number_of(right)
    if a is None or b is None:
        return None
    try:
        match sign:
            case "+":
                result = a + b
            case "-":
                result = a - b
            case "*":
                result = a * b
            case _:
                result = a / b
    except (ZeroDivisionError, OverflowError):
        return None
    return result if isinstance(result, int) or math.isfinite(result) else None


def raw_text(event: Mapping[str, Any]) -> str:
    """The text that ``in raw event`` looks into: compact JSON in which strings stand unescaped.

    Unescaped, so that a path is found as people write it, with single backslashes.

    >>> raw_text({"Image": "C:\\\\x", "n": [1, None]})
    '{"Image":"C:\\\\x","n":[1,null]}'
    """
    parts: list[str] = ["{"]
    write = parts.append
    # A stack of what is begun keeps deep nesting off Python's own stack.
    begun: list[tuple[Iterator[Any], bool]] = [(iter(event.items()), True)]
    comma = ""
    while begun:
        items, keyed = begun[-1]
        for item in items:
            if keyed:
                key, value = item
                name = f'{comma}"{key}":'
            else:
                name, value = comma, item
            comma = ","
            if type(value) is str:
                write(f'{name}"{value}"')
                continue
            if type(value) is int and value.bit_length() < 64:
                write(f"{name}{value}")
                continue
            match value:
                case dict():
                    write(f"{name}{{")
                    begun.append((iter(value.items()), True))
                    comma = ""
                    break
                case str():
                    write(f'{name}"{value}"')
                case None:
                    write(f"{name}null")
                case Mapping():
                    write(f"{name}{{")
                    begun.append((iter(value.items()), True))
                    comma = ""
                    break
                case list() | tuple():
                    write(f"{name}[")
                    begun.append((iter(value), False))
                    comma = ""
                    break
                case _:
                    write(f"{name}{text_of(value) or ''}")
        else:
            write("}" if keyed else "]")
            comma = ","
            begun.pop()
    return "".join(parts)


def divided(value: Any, by: Any, *, rest: bool) -> int | float | None:
    """A quotient, of whole numbers without its fraction, or what is left of a division; None where
    one of the two is no number, for a divisor of zero, and beyond all floats.

    >>> divided(-7, "2", rest=False), divided(-7, 2, rest=True), divided(7.5, 2, rest=False)
    (-3, -1, 3.75)
    """
    number, other = number_of(value), number_of(by)
    if number is None or not other:
        return None
    if isinstance(number, int) and isinstance(other, int):
        whole, left = divmod(abs(number), abs(other))
        negative = number < 0 if rest else (number < 0) is not (other < 0)
        return (-1 if negative else 1) * (left if rest else whole)
    with suppress(OverflowError, ValueError):
        return math.fmod(number, other) if rest else number / other
    return None
