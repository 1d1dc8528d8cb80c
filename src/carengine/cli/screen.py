"""Where the command line writes: results to one stream, everything else to the other.

Both streams take any text: what their encoding lacks is written as an escape. Evidence is text that
somebody else wrote; it goes through `visible` before it gets to a terminal, or through JSON's own
escapes.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Iterable
from typing import Any, TextIO

from attrs import frozen

from ..diagnostics import Diagnostic, render, visible

_COLOURS = {
    "red": "31",
    "green": "32",
    "yellow": "33",
    "blue": "34",
    "cyan": "36",
    "bold": "1",
    "dim": "2",
}


# Stands for ESC [ in what `Screen.paint` gives. Nobody outside this process knows it, so that no
# text of a rule or an event can pass for a colour.
_MARK = f"\0{os.urandom(8).hex()}"
_COLOUR = re.compile(r"([0-9;]*m)(.*)", re.DOTALL)


def _line(text: str) -> str:
    """One line as it is written: escaped but for the colours that are our own.

    This is the one way out for text: rules, events and names of files are written by others.
    """
    first, *painted = text.split(_MARK)
    parts = [_escaped(first)]
    for part in painted:
        found = _COLOUR.fullmatch(part)
        assert found is not None
        parts.append(f"\x1b[{found[1]}{_escaped(found[2])}")
    return "".join(parts)


def _escaped(text: str) -> str:
    return text if text.isascii() and text.isprintable() else visible(text)


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
        # A process may be started with closed streams.
        sys.stdout = sys.stdout or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
        sys.stderr = sys.stderr or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
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
        """Write a line of the result. What a terminal could take for a command is escaped."""
        self.out.write(_line(text) + "\n")

    def show_lines(self, text: str) -> None:
        """Write a result of several lines. It is exact where no terminal reads it."""
        if self.out_terminal:
            text = "\n".join(map(_line, text.split("\n")))
        self.out.write(text + "\n")

    def show_text(self, painted: str, text: str) -> None:
        """Write a line of the result: a part that may be in colours, and a text of unknown origin."""
        self.show(painted + visible(text))

    def show_finding(self, diagnostic: Diagnostic) -> None:
        """Write a finding where findings are the result."""
        self.out.write(render(diagnostic, colour=self.colour) + "\n")

    def say(self, text: str) -> None:
        """Write a line that is not the result. What a terminal could take for a command is
        escaped."""
        self._say(_line(text))

    def say_lines(self, text: str) -> None:
        """Write several lines that are not the result."""
        self._say("\n".join(map(_line, text.split("\n"))))

    def _say(self, text: str) -> None:
        # What is said comes after the results that it is about, also when both go to one place.
        self.out.flush()
        self.err.write(text + "\n")
        self.err.flush()

    def report(self, diagnostics: Iterable[Diagnostic], most: int | None = None) -> None:
        """Say findings, the first ``most`` of them."""
        found = list(diagnostics)
        for item in found[:most]:
            self._say(render(item, colour=self.err_colour))  # which escapes what it quotes
        if most is not None and len(found) > most:
            self.say(f"… and {len(found) - most} more")

    def paint(self, text: str, *styles: str) -> str:
        """A text of the result in colours, where there are any."""
        if not self.colour or not text:
            return text
        return f"{_MARK}{';'.join(_COLOURS[style] for style in styles)}m{text}{_MARK}0m"

    def paint_err(self, text: str, *styles: str) -> str:
        """A text that is said, in colours, where there are any."""
        if not self.err_colour or not text or not styles:
            return text
        return f"{_MARK}{';'.join(_COLOURS[style] for style in styles)}m{text}{_MARK}0m"

    def flush(self) -> None:
        """Write out what is still held back."""
        self.out.flush()

    def write_bytes(self, data: bytes) -> None:
        """Write encoded text of the result as it is, whatever the stream's own encoding; for a
        terminal with its commands escaped."""
        if self.out_terminal:
            text = data.decode("utf-8", "backslashreplace")
            data = "\n".join(map(_line, text.replace("\r\n", "\n").split("\n"))).encode()
        buffer: Any = getattr(self.out, "buffer", None)
        if buffer is None:
            self.out.write(data.decode("utf-8", "backslashreplace"))
        else:
            buffer.write(data)
