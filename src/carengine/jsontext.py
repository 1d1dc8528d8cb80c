"""One JSON value out of bytes, and into bytes.

Decoding is orjson's where it is installed (``FAST``). What orjson refuses is tried again by the
standard library (`decode`), which takes lone surrogates (``"\\ud800"``), and keeps a number beyond
a 64-bit float (``1e999``) as the text that it is: it is JSON, and one field that no rule may ask
for must not cost the event. What is not JSON (``NaN``) is refused by both, integers beyond 64 bits
are floats in both, and of equal keys the last one counts in both: values do not depend on whether
orjson is there.

`json_line` writes whatever was in an event, and what it writes is JSON: lone surrogates, numbers
past 64 bits, texts a megabyte long, brackets a thousand deep.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from itertools import repeat
from operator import sub
from typing import Any

try:
    import orjson
except ImportError:
    FAST: Callable[[bytes | str], Any] | None = None
else:
    FAST = orjson.loads

DEPTH = 128
"""How deep brackets may be nested, in every way into the program: files, followed files, Python
objects.

Events of real logs have a dozen. Whatever walks a value later (its text, its key in a group, a
state file) does so by recursion, and Python's own limit is 1,000 frames."""


class UnreadableError(ValueError):
    """The bytes are not one JSON value; the message says what is wrong with them."""


def _constant(text: str) -> Any:
    raise ValueError(f"{text} is not JSON")


def _float(text: str) -> float | str:
    number = float(text)
    return text if math.isinf(number) else number


def _integer(text: str) -> int | float | str:
    # Short texts only: turning digits into an integer takes quadratic time.
    if len(text) <= 20:
        number = int(text)
        if -(1 << 63) <= number < 1 << 64:
            return number
    return _float(text)


_decoder = json.JSONDecoder(parse_float=_float, parse_int=_integer, parse_constant=_constant)


def decode(data: bytes, depth: int = DEPTH) -> Any:
    """The value that the bytes are, by the standard library; raises ``UnreadableError``.

    >>> decode(b'{"a": [1, "x"]}')
    {'a': [1, 'x']}
    """
    if too_deep(data, depth):
        raise UnreadableError(f"brackets are nested deeper than {depth}")
    try:
        return _decoder.decode(data.decode("utf-8"))
    except UnicodeDecodeError as problem:
        raise UnreadableError(f"byte {problem.start + 1} is not UTF-8") from None
    except json.JSONDecodeError as problem:
        raise UnreadableError(
            f"{problem.msg.removesuffix(' at')} at character {problem.pos + 1}"
        ) from None
    except RecursionError:
        raise UnreadableError("brackets are nested too deeply") from None
    except ValueError as problem:
        raise UnreadableError(str(problem)) from None


# A string, or what is left of the text where one does not end.
_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*(?:"|\\?\Z)', re.DOTALL)
_OTHER = re.compile(rb"[^\[\]{}]+")


def opening_brackets(data: bytes) -> int:
    """How many opening brackets are in some bytes, strings included.

    Leaving them out finds them with ``memchr``, which is three times as fast as ``bytes.count``.

    >>> opening_brackets(b'{"a": [1, "["]}')
    3
    """
    return 2 * len(data) - len(data.replace(b"{", b"")) - len(data.replace(b"[", b""))


def may_be_deep(lines: Sequence[bytes], depth: int) -> bool:
    """Whether one of some lines may be nested deeper than ``depth``: a bound for all together,
    without a step of Python's for each."""
    return _most(lines, b"{") + _most(lines, b"[") > depth


def _most(lines: Sequence[bytes], character: bytes) -> int:
    """The most that a line has of a character."""
    without = map(bytes.replace, lines, repeat(character), repeat(b""))
    return max(map(sub, map(len, lines), map(len, without)), default=0)


def too_deep(data: bytes, depth: int) -> bool:
    """Whether brackets outside strings are nested deeper than ``depth``, in one pass over the
    bytes."""
    if len(data) <= depth or opening_brackets(data) <= depth:
        return False
    # Texts of scripts are full of brackets. Without the strings what is left is short.
    level = 0
    for bracket in _OTHER.sub(b"", _STRING.sub(b"", data)):
        if bracket in b"{[":
            level += 1
            if level > depth:
                return True
        else:
            level -= 1
    return False


def loads(data: bytes | str, depth: int = DEPTH) -> Any:
    """The value that the bytes are, decoded by the fastest that is there.

    Raises `UnreadableError` for what is no JSON and for what is nested deeper than ``depth``.
    """
    raw = data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data
    if FAST is None or too_deep(raw, depth):
        return decode(raw, depth)
    try:
        return FAST(data)
    except (ValueError, RecursionError):
        return decode(raw, depth)


def _fast() -> Callable[[Any], bytes]:
    return _standard if FAST is None else orjson.dumps


def _standard(data: Any) -> bytes:
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.encode("utf-8")


_dumps = _fast()


def json_line(data: Any) -> bytes:
    """A value as compact JSON in UTF-8, without a line end. Nothing is refused.

    What JSON has no form for is written as near as can be: NaN as null, other objects as their
    text.

    >>> json_line({"a": "\\ud800", "n": [1, float("nan")]})
    b'{"a":"\\\\ud800","n":[1,null]}'
    """
    try:
        return _dumps(data)
    except (TypeError, ValueError, RecursionError):
        return _careful(data).encode("ascii")


def _careful(data: Any) -> str:
    parts: list[str] = []
    # A stack of pending work instead of recursion: (ready text?, item).
    work: list[tuple[bool, Any]] = [(False, data)]
    while work:
        ready, item = work.pop()
        if ready:
            parts.append(item)
            continue
        match item:
            case None:
                parts.append("null")
            case int():
                parts.append(_digits(item))
            case float():
                parts.append(repr(item) if math.isfinite(item) else "null")
            case Mapping():
                work.append((True, "}"))
                for index, (key, value) in reversed(list(enumerate(item.items()))):
                    name = key if isinstance(key, str) else str(key)
                    work += [(False, value), (True, ("," if index else "") + _quoted(name) + ":")]
                work.append((True, "{"))
            case list() | tuple():
                work.append((True, "]"))
                for index, value in reversed(list(enumerate(item))):
                    work.append((False, value))
                    if index:
                        work.append((True, ","))
                work.append((True, "["))
            case _:
                parts.append(_quoted(item if isinstance(item, str) else str(item)))
    return "".join(parts)


def _digits(number: int) -> str:
    if isinstance(number, bool):
        return "true" if number else "false"
    # Python refuses to write out numbers of thousands of digits; none is meant.
    return str(number) if number.bit_length() < 4096 else "null"


def _quoted(text: str) -> str:
    return json.dumps(text)
