"""The functions that field maps may use, each from values to a value.

A field map says ``exe: basename(Image)``; the same function computes the CAR view of an event and
the value that a lowered rule tests. A function gets the raw values; unless it says otherwise it is
*strict*: null in, null out. A list as the first argument is gone through element by element.

``FUNCTIONS`` is the whole table. Adding one means adding an entry here, with its traits, and its
spellings in other languages in ``languages/map_functions/``; maps find it by its name.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from attrs import frozen

from .accounts import account_name, account_type
from .commandline import program_of, split_command_line
from .eventxml import mended_event
from .localtime import in_utc
from .pattern import fold
from .registrynames import HIVES, KERNEL_HIVES, ROOTS
from .values import divided, is_null, number_of, raw_text, text_of, time_of

_MAX_TEXT = 1_000_000
_MOST_VALUES = 10_000


@frozen
class Function:
    """One function: its name, the fewest and most arguments, what it gives, and the code.

    ``strict`` functions get texts and numbers only, never null. ``text_only`` functions make no
    difference between one mapping and another: they look into none, and hand one on at most.
    ``respells`` is for functions that change how a value is spelt, and not what it names.
    """

    name: str
    least: int
    most: int
    meaning: str
    apply: Callable[..., Any]
    strict: bool = True
    text_only: bool = False
    respells: bool = False


FUNCTIONS: dict[str, Function] = {}


def _function(
    least: int,
    most: int | None = None,
    *,
    strict: bool = True,
    text_only: bool = False,
    respells: bool = False,
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    def declare(apply: Callable[..., Any]) -> Callable[..., Any]:
        name = apply.__name__.removeprefix("_")
        meaning = " ".join((apply.__doc__ or "").split())
        FUNCTIONS[name] = Function(
            name, least, most or least, meaning, apply, strict, text_only, respells
        )
        return apply

    return declare


def arities() -> dict[str, tuple[int, int]]:
    """The functions' names with the fewest and the most arguments each takes."""
    return {name: (one.least, one.most) for name, one in FUNCTIONS.items()}


def respells(name: str) -> bool:
    """Whether a function changes how a value is spelt, and not what it names.

    >>> respells("lower"), respells("basename"), respells("no such function")
    (True, False, False)
    """
    return name in FUNCTIONS and FUNCTIONS[name].respells


def call(name: str, arguments: list[Any]) -> Any:
    """The value of a function for these arguments.

    >>> call("basename", ["C:\\\\Windows\\\\cmd.exe"]), call("basename", [None])
    ('cmd.exe', None)
    """
    function = FUNCTIONS[name]
    if not function.strict:
        return function.apply(*arguments)
    if any(is_null(argument) for argument in arguments):
        return None
    first, rest = arguments[0], arguments[1:]
    if isinstance(first, list | tuple):
        found = [function.apply(item, *rest) for item in first if item is not None]
        return [item for item in found if item is not None] or None
    return function.apply(first, *rest)


def _path_end(text: str) -> int:
    return max(text.rfind("\\"), text.rfind("/"))


@_function(1, text_only=True)
def _basename(path: Any) -> str | None:
    """What stands behind the last ``\\`` or ``/`` of a path."""
    text = text_of(path)
    return None if text is None else text[_path_end(text) + 1 :] or None


@_function(1, text_only=True)
def _value_name(path: Any) -> str | None:
    """The name of a registry value: what stands behind the last ``\\`` of a path, in which ``/`` is
    a character like any other."""
    text = text_of(path)
    return None if text is None else text[text.rfind("\\") + 1 :] or None


@_function(1, text_only=True)
def _dirname(path: Any) -> str | None:
    """What stands before the last ``\\`` or ``/`` of a path."""
    text = text_of(path)
    return None if text is None else text[: max(0, _path_end(text))] or None


@_function(1, text_only=True)
def _extension(path: Any) -> str | None:
    """A path's extension with its dot: ``.bat``."""
    name = _basename(path)
    if name is None:
        return None
    dot = name.rfind(".")
    return name[dot:] if dot >= 0 else None


@_function(2, text_only=True)
def _hash(hashes: Any, algorithm: Any) -> str | None:
    """One hash out of Sysmon's list: ``SHA1=…,MD5=…``."""
    text, wanted = text_of(hashes), text_of(algorithm)
    if text is None or wanted is None or len(text) > _MAX_TEXT:
        return None
    for part in text.split(","):
        name, equals, digest = part.partition("=")
        if equals and name.strip().upper() == wanted.upper():
            return digest.strip() or None
    return None


@_function(1, text_only=True)
def _domain_of(account: Any) -> str | None:
    r"""The domain of ``DOMAIN\user``; null where there is none."""
    text = text_of(account)
    domain, slash, _ = (text or "").partition("\\")
    return domain if slash and domain else None


@_function(1, text_only=True)
def _user_of(account: Any) -> str | None:
    r"""The user of ``DOMAIN\user``, or the whole where there is no domain."""
    text = text_of(account)
    if text is None:
        return None
    domain, slash, user = text.partition("\\")
    return (user if slash else domain) or None


@_function(1, 2, strict=False, text_only=True)
def _account(domain: Any, user: Any = None) -> str | None:
    r"""``DOMAIN\user`` out of its two parts; the user alone where the domain is not known."""
    name, realm = text_of(user), text_of(domain)
    if not name:
        return None
    return f"{realm}\\{name}" if realm else name


@_function(1, 2, strict=False, text_only=True)
def _account_name(user: Any, domain: Any = None) -> str | None:
    """A Windows account in one spelling: ``corp\\ann`` of ``ann@corp.example``."""
    return account_name(text_of(user), text_of(domain))


@_function(1, 2, strict=False, text_only=True)
def _account_type(user: Any, sid: Any = None) -> str | None:
    """What a Windows account is, by its name and its SID: user, machine, service or anonymous."""
    return account_type(text_of(user), text_of(sid))


@_function(1, text_only=True, respells=True)
def _label(name: Any) -> str | None:
    """The first part of a host name: ``WS1`` of ``WS1.corp.example``. An IP address stays whole."""
    text = text_of(name)
    if text is None:
        return None
    if (":" in text and "\n" not in text) or not text.strip("0123456789."):
        return text or None
    return text.partition(".")[0] or None


@_function(1, text_only=True, respells=True)
def _qualified(name: Any) -> str | None:
    """A host name if it has a domain, otherwise null."""
    text = text_of(name)
    return text if text is not None and "." in text else None


@_function(1, text_only=True)
def _unescape(value: Any) -> Any:
    """The text with doubled backslashes undone, if every backslash in it is doubled."""
    if not isinstance(value, str) or "\\\\" not in value:
        return value
    if any(len(run) % 2 for run in re.findall(r"\\+", value)):
        return value
    return value.replace("\\\\", "\\")


@_function(1, 8, strict=False, text_only=True)
def _first(*values: Any) -> Any:
    """The first of the values that is not null."""
    return next((value for value in values if not is_null(value)), None)


@_function(1, text_only=True, respells=True)
def _lower(value: Any) -> str | None:
    """The text in lower case."""
    text = text_of(value)
    return None if text is None else text.lower()


@_function(1, text_only=True, respells=True)
def _upper(value: Any) -> str | None:
    """The text in upper case."""
    text = text_of(value)
    return None if text is None else text.upper()


@_function(2, 9, strict=False, text_only=True)
def _concat(*values: Any) -> str | None:
    """The texts one behind the other; null if one is."""
    texts = [text_of(value) for value in values]
    return None if any(text is None for text in texts) else "".join(t for t in texts if t)


@_function(1, text_only=True, respells=True)
def _guid(value: Any) -> str | None:
    """A GUID without its braces, in lower case."""
    text = text_of(value)
    return None if text is None else text.strip().strip("{}").lower() or None


@_function(1, text_only=True)
def _integer(value: Any) -> int | float | None:
    """The number that a decimal or hexadecimal text spells."""
    return number_of(value, hexadecimal=True)


_MISSING = object()


def _found(value: Any, name: Any) -> Any:
    if not isinstance(value, Mapping) or (text := text_of(name)) is None:
        return _MISSING
    if text in value:
        return value[text]
    for key in text.split("."):
        if not isinstance(value, Mapping) or key not in value:
            return _MISSING
        value = value[key]
    return value


@_function(2)
def _member(value: Any, name: Any) -> Any:
    """What a mapping holds under a name, or under a path with dots."""
    return None if (found := _found(value, name)) is _MISSING else found


@_function(2)
def _has_member(value: Any, name: Any) -> bool | None:
    """True where a mapping has a name, or a path with dots, whatever it holds there; else null."""
    return None if _found(value, name) is _MISSING else True


@_function(2)
def _has_within(value: Any, name: Any) -> bool | None:
    """True where a mapping in a mapping has a name, whatever it holds there; else null."""
    inner = value.values() if isinstance(value, Mapping) else ()
    return True if any(_has_member(one, name) for one in inner) else None


@_function(2)
def _within(value: Any, name: Any) -> Any:
    """What the first of the mappings in a mapping that has it holds under a name."""
    inner = value.values() if isinstance(value, Mapping) else ()
    found = (_member(one, name) for one in inner)
    return next((item for item in found if item is not None), None)


@_function(2, 20, strict=False)
def _hashes(*pairs: Any) -> str | None:
    """Sysmon's list of hashes out of single ones: ``hashes("MD5", a, "SHA1", b)``. Null where there
    is none."""
    known = [(text_of(n), text_of(v)) for n, v in zip(pairs[::2], pairs[1::2], strict=False)]
    return ",".join(f"{name}={digest}" for name, digest in known if digest) or None


@_function(2, text_only=True)
def _starts_with(value: Any, prefix: Any) -> bool | None:
    """Whether a text begins with another, case ignored."""
    text, start = text_of(value), text_of(prefix)
    return None if text is None or start is None else fold(text).startswith(fold(start))


@_function(2, text_only=True)
def _ends_with(value: Any, suffix: Any) -> bool | None:
    """Whether a text ends with another, case ignored."""
    text, end = text_of(value), text_of(suffix)
    return None if text is None or end is None else fold(text).endswith(fold(end))


_TIME_PARTS: dict[str, Callable[[datetime], int]] = {
    "minute": lambda moment: moment.minute,
    "hour": lambda moment: moment.hour,
    "day": lambda moment: moment.day,
    "week": lambda moment: moment.isocalendar().week,
    "month": lambda moment: moment.month,
    "year": lambda moment: moment.year,
}


@_function(2)
def _time_part(value: Any, part: Any) -> int | None:
    """One part of a time in UTC: ``minute``, ``hour``, ``day`` (of the month), ``week`` (ISO),
    ``month``, ``year``."""
    time, name = time_of(value), text_of(part)
    if time is None or name not in _TIME_PARTS:
        return None
    try:
        return _TIME_PARTS[name](datetime(1970, 1, 1) + timedelta(microseconds=time))
    except OverflowError:
        return None


@lru_cache(maxsize=64)
def _labelled_line(name: str) -> re.Pattern[str]:
    return re.compile(rf"^[ \t]*{re.escape(name)}:[ \t]*([^\r\n]*?)[ \t]*\r?$", re.MULTILINE)


@_function(2, text_only=True)
def _labelled(message: Any, name: Any) -> str | None:
    """What a message says behind a label at the start of a line: ``EventType: CreateKey``."""
    text, wanted = text_of(message), text_of(name)
    if text is None or wanted is None or len(text) > _MAX_TEXT:
        return None
    found = _labelled_line(wanted).search(text)
    return found[1] or None if found else None


@_function(3, 99, strict=False, text_only=True)
def _choose(value: Any, *pairs: Any) -> Any:
    """A table: ``choose(x, "a", 1, "b", 2, other)``. Null where nothing fits and there is no
    other."""
    text = text_of(value)
    if text is None:
        return None
    for key, chosen in zip(pairs[::2], pairs[1::2], strict=False):
        if text.lower() == (text_of(key) or "").lower():
            return chosen
    return pairs[-1] if len(pairs) % 2 else None


@_function(2, 3, text_only=True)
def _part(value: Any, separator: Any, index: Any = 0) -> str | None:
    """One part of a text taken apart at a separator, counted from 0, or from -1 backwards."""
    text, mark, place = text_of(value), text_of(separator), number_of(index)
    if text is None or not mark or not isinstance(place, int):
        return None
    parts = text.split(mark)
    return parts[place] if -len(parts) <= place < len(parts) else None


@_function(1, text_only=True)
def _hive(path: Any) -> str | None:
    r"""The hive of a registry path, by its long name: of ``HKLM\…``, ``\REGISTRY\MACHINE\…``."""
    text = text_of(path)
    if text is None:
        return None
    head, *rest = text.lstrip("\\").split("\\", 2)
    if head.lower() == "registry" and rest:
        return KERNEL_HIVES.get(rest[0].lower())
    return HIVES.get(head.lower())


@_function(2, 9, strict=False)
def _unless(value: Any, *texts: Any) -> Any:
    """The value, or null where it is one of the texts (which a log writes for "not known")."""
    if isinstance(value, list):
        return [item for item in value if item not in texts] or None
    return None if isinstance(value, str) and value in texts else value


@_function(2, strict=False)
def _given(value: Any, then: Any) -> Any:
    """The second value where the first is there, else null."""
    return None if is_null(value) else then


@_function(1)
def _no_number(value: Any) -> Any:
    """The value, or null where it is or spells a number."""
    return None if number_of(value) is not None else value


@_function(3, text_only=True)
def _between(value: Any, before: Any, after: Any) -> str | None:
    """What stands in a text behind one mark and before another, or before the end: ``10.0.0.1`` of
    ``{laddr=10.0.0.1 …}``."""
    text, start, end = text_of(value), text_of(before), text_of(after)
    if text is None or not start or not end or start not in text:
        return None
    return text.partition(start)[2].partition(end)[0].rstrip("}").strip() or None


@_function(2)
def _has_bits(value: Any, mask: Any) -> bool | None:
    """Whether a number has any of the bits of another: of an access mask, ``0x120089`` and
    ``0x1``."""
    number, bits = number_of(value, hexadecimal=True), number_of(mask, hexadecimal=True)
    if not isinstance(number, int) or not isinstance(bits, int):
        return None
    return bool(number & bits)


@_function(2, strict=False)
def _later(start: Any, seconds: Any) -> float | None:
    """A time in seconds since 1970, so many seconds on; the time itself where it is not known how
    many."""
    first, length = time_of(start), number_of(seconds)
    if first is None:
        return None
    return (first + (0 if length is None else round(length * 1_000_000))) / 1_000_000


@_function(3, strict=False)
def _local_time(event: Any, received: Any, arrived: Any) -> Any:
    """An event's time that says no zone, as NXLog's ``EventTime`` does: moved by the quarter hours
    between when it was received by the same clock, and when it arrived in UTC. The time as it is
    where it has a zone, or where these do not tell."""
    return in_utc(event, received, arrived)


@_function(3, 3, strict=False)
def _url(scheme: Any, host: Any, rest: Any) -> str | None:
    """A URL out of its scheme, its host and what follows; what follows alone where that is a
    URL."""
    start, name, path = text_of(scheme), text_of(host), text_of(rest) or ""
    if "://" in path[:12]:
        return path
    return f"{start}://{name}{path}" if start and name else None


@_function(1, 2, strict=False)
def _joined(values: Any, separator: Any = " ") -> str | None:
    """The texts of a list one behind the other with a separator, as arguments are in a command
    line."""
    if not isinstance(values, list | tuple):
        return text_of(values)
    texts = [text for item in values if (text := text_of(item)) is not None]
    return (text_of(separator) or "").join(texts) if texts else None


@_function(2, strict=False)
def _item(values: Any, place: Any) -> Any:
    """One of a list, counted from 0, or from -1 backwards. A single value is a list of one."""
    several = values if isinstance(values, list | tuple) else [values]
    number = number_of(place)
    if not isinstance(number, int) or not -len(several) <= number < len(several):
        return None
    return several[number]


@_function(1, text_only=True)
def _length(value: Any) -> int | None:
    """The number of characters of a text."""
    return None if (text := text_of(value)) is None else len(text)


@_function(2, 3)
def _substring(value: Any, start: Any, end: Any = None) -> str | None:
    """The part of a text from one place to before another, both counted from 0, or from the end
    where they are negative."""
    text, first = text_of(value), number_of(start)
    last = None if end is None else number_of(end)
    if text is None or not isinstance(first, int) or not isinstance(last, int | None):
        return None
    return text[first:last]


@_function(1, text_only=True)
def _arguments(command: Any) -> list[str] | None:
    """The arguments of a Windows command line, the program's path first, as Windows has them."""
    text = text_of(command)
    return split_command_line(text) if text and len(text) <= _MAX_TEXT and text.strip() else None


@_function(1, strict=False)
def _count(values: Any) -> int | None:
    """How many there are of a list. A single value is a list of one."""
    if is_null(values):
        return None
    return len(values) if isinstance(values, list | tuple) else 1


@_function(1, text_only=True)
def _utf16(hexadecimal: Any) -> str | None:
    """The text that hexadecimal digits spell in UTF-16: names of the service control manager."""
    text = text_of(hexadecimal)
    if text is None or len(text) > _MAX_TEXT:
        return None
    try:
        found = bytes.fromhex(text).decode("utf-16-le")
    except ValueError:
        return None
    return found.rstrip("\0") or None


@_function(1, text_only=True)
def _unescape_xml(value: Any) -> str | None:
    """XML that was escaped as a whole (``&lt;Task&gt;``) as XML again; any other text as it is."""
    text = text_of(value)
    if text is None or len(text) > _MAX_TEXT or not text.lstrip().startswith("&lt;"):
        return text
    return html.unescape(text)


@_function(1, text_only=True)
def _program(command: Any) -> str | None:
    r"""The program that a command line starts: ``C:\a b\c.exe`` of ``"C:\a b\c.exe" -k``, quoted or
    not."""
    text = text_of(command)
    if text is None or len(text) > _MAX_TEXT:
        return None
    return program_of(text)


@_function(1, text_only=True)
def _trim(value: Any) -> str | None:
    """The text without the blanks around it."""
    text = text_of(value)
    return None if text is None else text.strip() or None


@_function(1, 2, strict=False, text_only=True)
def _registry_path(key: Any, value: Any = None) -> str | None:
    r"""A registry path as Sysmon writes it (``HKLM\…``), of ``\REGISTRY\MACHINE\…``; with a value's
    name behind it."""
    text, name = text_of(key), text_of(value)
    if text is None:
        return None
    for root, short in ROOTS:
        start, behind = text[: len(root)], text[len(root) : len(root) + 1]
        if behind in ("", "\\") and fold(start) == fold(root):
            text = short + text[len(root) :]
            break
    return text if name is None else f"{text}\\{name}"


_ABSOLUTE = re.compile(r"[/\\]|[A-Za-z]:[/\\]")


def _separator(folder: str) -> str:
    return "/" if "/" in folder and "\\" not in folder else "\\"


@_function(2, strict=False, text_only=True)
def _inside(folder: Any, name: Any) -> str | None:
    """A path that may be relative to a folder, in full; where it is and the folder is not known, as
    it is."""
    base, text = text_of(folder), text_of(name)
    if not text or not base or _ABSOLUTE.match(text):
        return text or None
    return base.rstrip("/\\") + _separator(base) + text.removeprefix("./").removeprefix(".\\")


@_function(2, strict=False, text_only=True)
def _full_path(folder: Any, name: Any) -> str | None:
    """A folder and a name as one path; the folder alone where it ends with the name already."""
    base, text = text_of(folder), text_of(name)
    if not base or not text:
        return base or text or None
    if base.lower().endswith(text.lower()) and _ABSOLUTE.search(base[: -len(text)][-1:]):
        return base
    return base.rstrip("/\\") + _separator(base) + text


@_function(4, strict=False)
def _listed(values: Any, key: Any, wanted: Any, name: Any) -> Any:
    """Of a list of mappings, what the one has under a name that has a certain value under a key."""
    if not isinstance(values, list | tuple):
        values = (values,)
    sought = (text_of(wanted) or "").lower()
    for one in values:
        if isinstance(one, Mapping) and (text_of(_member(one, key)) or "").lower() == sought:
            return _member(one, name)
    return None


@_function(2, strict=False)
def _values_at(value: Any, path: Any) -> Any:
    """All that stands at a path with dots below a value, in each item of the lists on the way."""
    text = text_of(path)
    if text is None:
        return None
    found = [value]
    for key in text.split("."):
        found = [
            below
            for one in found
            for item in _items(one)
            if isinstance(item, Mapping) and (below := item.get(key)) is not None
        ]
        del found[_MOST_VALUES:]
    whole = [item for one in found for item in _items(one) if item is not None][:_MOST_VALUES]
    return whole or None


def _items(value: Any) -> Any:
    return value if isinstance(value, list | tuple) else (value,)


@_function(1, 100, strict=False)
def _several(*values: Any) -> list[Any] | None:
    """The values that are there, as one list: a test of it holds if it holds for any of them."""
    found = [item for one in values for item in _items(one) if item is not None]
    return found[:_MOST_VALUES] or None


@_function(1, strict=False)
def _json_text(value: Any) -> str | None:
    """A mapping or a list as the text of its JSON, in which a rule may look for words; any other
    value as its text."""
    if isinstance(value, Mapping):
        return raw_text(value)
    if isinstance(value, list | tuple):
        return raw_text({"": value})[len('{"":') : -1] if value else None
    return text_of(value)


@_function(1)
def _xml_event(value: Any) -> Mapping[str, Any] | None:
    """A Windows event written as XML as a mapping, as EVTX readers have it; of one that was cut
    off, what is there."""
    text = text_of(value)
    if text is None or len(text) > _MAX_TEXT or "<Event" not in text:
        return None
    start = text.find("<Event")
    return mended_event(text[start:] if start else text)


@_function(2, 4, text_only=True)
def _index_of(value: Any, part: Any, start: Any = 0, cased: Any = False) -> int | None:
    """The place in a text, from 0, where another begins, at or behind a place; null where it is
    not there."""
    text, wanted, first = text_of(value), text_of(part), number_of(start)
    if text is None or wanted is None or not isinstance(first, int):
        return None
    text, wanted = (text, wanted) if cased is True else (fold(text), fold(wanted))
    found = text.find(wanted, max(first, 0))
    return None if found < 0 else found


@_function(3, 5, text_only=True)
def _enclosed(value: Any, left: Any, right: Any, greedy: Any = False, cased: Any = False) -> Any:
    """What stands in a text between one part and the first of another behind it, or the last where
    it is greedy; an empty text where they are not there."""
    texts = [text_of(item) for item in (value, left, right)]
    looked, before, after = (t if cased is True else fold(t) for t in (t or "" for t in texts))
    start = looked.find(before) + len(before)
    if start < len(before) or texts[0] is None:
        return ""
    end = looked.rfind(after, start) if greedy is True else looked.find(after, start)
    return texts[0][start:end] if end >= start else ""


@_function(2)
def _modulo(value: Any, by: Any) -> int | float | None:
    """The rest of a division, with the sign of what is divided."""
    return divided(value, by, rest=True)


@_function(2)
def _quotient(value: Any, by: Any) -> int | float | None:
    """A quotient; of whole numbers, without its fraction."""
    return divided(value, by, rest=False)
