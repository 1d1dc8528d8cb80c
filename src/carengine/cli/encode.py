"""JSON that takes whatever was in an event, and is JSON.

Events hold lone surrogates, numbers past 64 bits, texts a megabyte long, brackets a thousand deep.
orjson is used where it is installed and takes them; the standard library next; what neither takes
is written piece by piece.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from typing import Any

from ..diagnostics import visible

_UNSAFE = re.compile(r"[^ -~]")


def _fast() -> Callable[[Any], bytes]:
    try:
        import orjson
    except ImportError:
        return _standard
    return orjson.dumps


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


def json_document(data: Any) -> str:
    """A value as JSON for people: indented, and nothing but ASCII."""
    return json.dumps(data, indent=2, allow_nan=False, default=str)


def safe_for_terminal(line: bytes) -> bytes:
    """A line of JSON with everything escaped that a terminal could take for a command."""

    def escaped(found: re.Match[str]) -> str:
        character = found[0]
        if visible(character) == character:
            return character
        return json.dumps(character)[1:-1] if character != "\x7f" else "\\u007f"

    return _UNSAFE.sub(escaped, line.decode("utf-8")).encode("utf-8")


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
                parts.append(_integer(item))
            case float():
                parts.append(repr(item) if math.isfinite(item) else "null")
            case Mapping():
                work.append((True, "}"))
                for index, (key, value) in reversed(list(enumerate(item.items()))):
                    name = key if isinstance(key, str) else str(key)
                    work += [(False, value), (True, ("," if index else "") + _string(name) + ":")]
                work.append((True, "{"))
            case list() | tuple():
                work.append((True, "]"))
                for index, value in reversed(list(enumerate(item))):
                    work.append((False, value))
                    if index:
                        work.append((True, ","))
                work.append((True, "["))
            case _:
                parts.append(_string(item if isinstance(item, str) else str(item)))
    return "".join(parts)


def _integer(number: int) -> str:
    if isinstance(number, bool):
        return "true" if number else "false"
    # Python refuses to write out numbers of thousands of digits; none is meant.
    return str(number) if number.bit_length() < 4096 else "null"


def _string(text: str) -> str:
    return json.dumps(text)
