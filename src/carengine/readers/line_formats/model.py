"""What a line format is: how its lines are recognised, and what becomes of each.

A reader gets the lines of a text in batches and gives one outcome for each line::

    'GET /a'         ->  {"method": "GET", …}      an event
    'garbage'        ->  "is not …"                 why the line is none; it counts as unreadable
    '#Fields: date'  ->  None                       a line that is no record: a header, a comment

Batches and not lines, because a call for each line would cost as much as reading it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from attrs import frozen

Outcome = dict[str, Any] | str | None
"""An event, the reason why a line is none, or None for a line that is no record."""


class LineReader(Protocol):
    """Reads the lines of one text, in order. It may remember headers; it holds no other state."""

    def read(self, lines: list[str]) -> list[Outcome]:
        """The outcome of each line. Lines come without their ends, blank ones are among them."""
        ...

    @property
    def headers(self) -> list[str]:
        """The lines that another reader has to read first to go on where this one is."""
        ...


@frozen
class LineFormat:
    """One format that has a record a line.

    ``test`` gets the first lines of a text (at most 20, without blank ones and without the last
    where it may be cut) and tells whether they are of this format. ``title`` names the format in
    messages: ``an access log``.
    """

    name: str
    title: str
    test: Callable[[list[str]], bool]
    reader: Callable[[], LineReader]


@frozen
class EachLine:
    """A reader for formats whose lines do not depend on each other."""

    event: Callable[[str], Outcome]

    def read(self, lines: list[str]) -> list[Outcome]:
        """The outcome of each line; blank lines are no records."""
        event = self.event
        return [event(line) if line and not line.isspace() else None for line in lines]

    @property
    def headers(self) -> list[str]:
        """None: no line depends on another."""
        return []


def most(lines: list[str], test: Callable[[str], object]) -> bool:
    """Whether a test holds for at least three of four lines, and for one at least.

    >>> most(["a=1", "a=2", "a=3", "?"], lambda line: line.startswith("a="))
    True
    """
    return bool(lines) and sum(1 for line in lines if test(line)) * 4 >= len(lines) * 3
