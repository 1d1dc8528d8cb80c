"""Verdicts: whether what is asked of one event holds, put together of tests of its values."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from attrs import frozen

from ...evaluate import RawRow
from ...pattern import Pattern, fold
from ...values import raw_text
from .columns import CellCache, Column


class WholeEventNeeded(Exception):  # noqa: N818 - a question that cannot be answered yet, no error
    """The text of an event is asked for, and only some of its fields are there."""


class EventContext:
    """One event being matched: its cells that were asked for, and its text."""

    __slots__ = ("cells", "columns", "event", "folded", "outer", "text")

    def __init__(
        self, columns: Sequence[Column], event: Mapping[str, Any], outer: Mapping[str, Any] | None
    ) -> None:
        self.columns = columns
        self.event = event
        self.outer = outer
        self.cells: list[CellCache | None] = [None] * len(columns)
        self.text: str | None = None
        self.folded: str | None = None

    def cell(self, index: int) -> CellCache:
        """The event's value in a column, with what is known of it."""
        found = self.cells[index] = self.columns[index].cell(self.event)
        return found

    def whole_text(self) -> str:
        """The text of the event as it came. Raises `WholeEventNeeded` where it is not there."""
        if self.text is None:
            if self.outer is None:
                raise WholeEventNeeded
            self.text = raw_text(self.outer)
        return self.text

    def matches_text(self, patterns: tuple[Pattern, ...]) -> bool:
        """Whether the event's text matches one of some patterns."""
        text = self.whole_text()
        if self.folded is None:
            self.folded = fold(text)
        folded = self.folded
        return any(pattern.test()(text if pattern.cased else folded) for pattern in patterns)


@frozen
class ContextRow(RawRow):
    """A raw event whose text is that of the record it was wrapped in."""

    context: EventContext

    def text(self) -> str:
        """The text of the record that the event was wrapped in."""
        return self.context.whole_text()


Verdict = Callable[[EventContext], bool]


def decide_apart(
    verdicts: Iterable[tuple[int, Verdict]],
    columns: Sequence[Column],
    event: Mapping[str, Any],
    outer: Mapping[str, Any] | None,
) -> tuple[list[int], list[tuple[int, Exception]]]:
    """The numbers of the verdicts that hold for an event, and those that raise, each decided by
    itself."""
    holding: dict[int, None] = {}
    broken: list[tuple[int, Exception]] = []
    for number, verdict in verdicts:
        try:
            if verdict(EventContext(columns, event, outer)):
                holding[number] = None
        except WholeEventNeeded:
            raise
        except Exception as error:
            broken.append((number, error))
    return list(holding), broken


def is_true(index: int, mask: int) -> Verdict:
    """Whether one of some atoms of a column is true."""

    def verdict(context: EventContext) -> bool:
        cell = context.cells[index] or context.cell(index)
        return bool(cell.true & mask) or cell.any_true(mask)

    return verdict


def is_false(index: int, bit: int) -> Verdict:
    """Whether an atom of a column is false: neither true nor unknown."""
    return lambda context: (context.cells[index] or context.cell(index)).is_false(bit)


def all_hold(verdicts: Sequence[Verdict]) -> Verdict:
    """Whether all of several verdicts hold."""
    if len(verdicts) == 1:
        return verdicts[0]

    def every(context: EventContext) -> bool:
        for verdict in verdicts:  # noqa: SIM110 - a generator costs more than the loop
            if not verdict(context):
                return False
        return True

    return every


def any_holds(verdicts: Sequence[Verdict]) -> Verdict:
    """Whether one of several verdicts holds."""
    if len(verdicts) == 1:
        return verdicts[0]

    def some(context: EventContext) -> bool:
        for verdict in verdicts:  # noqa: SIM110 - a generator costs more than the loop
            if verdict(context):
                return True
        return False

    return some
