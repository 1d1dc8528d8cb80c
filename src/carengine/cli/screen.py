"""Where the command line writes: results to one stream, everything else to the other.

Both streams take any text: what their encoding lacks is written as an escape. Evidence is text that
somebody else wrote; it goes through `visible` before it gets to a terminal, or through JSON's own
escapes.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterable
from typing import Any, TextIO

from attrs import frozen

from ..diagnostics import Diagnostic, render, visible

_COLOURS = {"red": "31", "green": "32", "yellow": "33", "blue": "34", "bold": "1", "dim": "2"}


@frozen
class Screen:
    """Standard output and standard error, and how they may be written to.

    ``out_terminal`` tells that a person reads the results; ``colour`` and ``err_colour`` that they
    may be coloured.
    """

    out: TextIO
    err: TextIO
    out_terminal: bool
    err_terminal: bool
    colour: bool
    err_colour: bool

    @classmethod
    def standard(cls, *, no_color: bool = False) -> Screen:
        """The process's own streams."""
        for stream in (sys.stdout, sys.stderr):
            change = getattr(stream, "reconfigure", None)
            if change is not None:
                change(errors="backslashreplace")
        plain = no_color or bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"
        out, err = sys.stdout.isatty(), sys.stderr.isatty()
        return cls(sys.stdout, sys.stderr, out, err, out and not plain, err and not plain)

    @property
    def width(self) -> int:
        """How many columns a line of results may have."""
        return shutil.get_terminal_size((100, 24)).columns if self.out_terminal else 200

    def show(self, text: str = "") -> None:
        """Write a line of the result."""
        self.out.write(text + "\n")

    def show_text(self, painted: str, text: str) -> None:
        """Write a line of the result: a part that may be in colours, and a text of unknown origin."""
        self.show(painted + visible(text))

    def show_finding(self, diagnostic: Diagnostic) -> None:
        """Write a finding where findings are the result."""
        self.show(render(diagnostic, colour=self.colour))

    def say(self, text: str) -> None:
        """Write a line that is not the result."""
        # What is said comes after the results that it is about, also when both go to one place.
        self.out.flush()
        self.err.write(text + "\n")
        self.err.flush()

    def report(self, diagnostics: Iterable[Diagnostic], most: int | None = None) -> None:
        """Say findings, the first ``most`` of them."""
        found = list(diagnostics)
        for item in found[:most]:
            self.say(render(item, colour=self.err_colour))
        if most is not None and len(found) > most:
            self.say(f"… and {len(found) - most} more")

    def paint(self, text: str, *styles: str) -> str:
        """A text of the result in colours, where there are any."""
        if not self.colour or not text:
            return text
        return f"\x1b[{';'.join(_COLOURS[style] for style in styles)}m{text}\x1b[0m"

    def flush(self) -> None:
        """Write out what is still held back."""
        self.out.flush()

    def write_bytes(self, data: bytes) -> None:
        """Write encoded text of the result as it is, whatever the stream's own encoding."""
        buffer: Any = getattr(self.out, "buffer", None)
        if buffer is None:
            self.out.write(data.decode("utf-8", "backslashreplace"))
        else:
            buffer.write(data)
