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

_UNSAFE = re.compile(r"[^ -~]")


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
