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


def json_document(data: Any) -> str:
    """A value as JSON for people: indented, and nothing but ASCII."""
    return json.dumps(data, indent=2, allow_nan=False, default=str)


def safe_for_terminal(line: bytes) -> bytes:
    """A line of JSON with everything escaped that a terminal could take for a command."""

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
