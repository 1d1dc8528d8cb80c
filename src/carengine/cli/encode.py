"""JSON as commands print it: documents for people, and lines that are safe on a terminal.

`json_line` is that of the foundation `jsontext`, which takes whatever was in an event.
"""

from __future__ import annotations

import json
import re
from typing import Any

from ..diagnostics import visible
from ..jsontext import json_line

__all__ = ["json_document", "json_line", "safe_for_terminal"]

_UNSAFE = re.compile(r"[^ -~]+")
# `visible` counts the marks on one letter: so many characters before one decide with it.
_BEFORE = 4
_PLAIN = bytes(range(0x20, 0x7F))
# Other letters of lines that were found harmless: so many texts, of so many bytes at most.
_MOST_HARMLESS = 4_096
_MOST_LETTERS = 512
_harmless: set[bytes] = set()


def json_document(data: Any) -> str:
    """A value as JSON for people: indented, and nothing but ASCII."""
    return json.dumps(data, indent=2, allow_nan=False, default=str)


def safe_for_terminal(line: bytes) -> bytes:
    """A line of JSON with everything escaped that a terminal could take for a command."""
    # Lines have the same few other letters again and again. Where nothing is escaped of all of
    # these behind one another, nothing is in the line: more marks are on a letter there, not fewer.
    others = line.translate(None, _PLAIN)
    if not others or others in _harmless:
        return line
    letters = others.decode("utf-8")
    if len(others) <= _MOST_LETTERS and visible(letters) == letters and "\n" not in letters:
        if len(_harmless) >= _MOST_HARMLESS:
            _harmless.clear()
        _harmless.add(others)
        return line

    def escaped(found: re.Match[str]) -> str:
        run = found[0]
        return "".join(
            character
            if visible(run[max(0, place - _BEFORE) : place + 1]).endswith(character)
            else "\\u007f"
            if character == "\x7f"
            else json.dumps(character)[1:-1]
            for place, character in enumerate(run)
        )

    return _UNSAFE.sub(escaped, line.decode("utf-8")).encode("utf-8")
