"""What a session may hold, and what happens when it is full.

All rows that nodes keep are counted here, by number and by estimated size. When the ceiling is
reached, a session that waits for the end of the data first lets its clock move on, so that what has
passed its window goes; events that come in order lose nothing by that. What is still too much is
trimmed fairly: the keys that hold most lose their oldest rows, down to the level at which the rest
fits. A flooded key thus pays for itself, and the others keep what they have.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from attrs import define

from ... import ir
from .rows import EventRow, GroupRow, JoinRow, RecordRow, Row

# How full the memory may be after it was trimmed.
_AFTER = 0.75


class Bucket(Protocol):
    """The rows of one key of one node."""

    def __len__(self) -> int:
        """How many rows it holds."""

    def trim(self, keep: int) -> int:
        """Drop the oldest rows but ``keep``; how many went."""


@define
class Memory:
    """Counts what is held. ``max_rows`` and ``max_bytes`` are the ceiling."""

    max_rows: int
    max_bytes: int
    rows: int = 0
    bytes: int = 0
    peak_rows: int = 0

    def hold(self, row: Row) -> None:
        """A node keeps a row."""
        self.rows += 1
        self.bytes += weight(row)
        if self.rows > self.peak_rows:
            self.peak_rows = self.rows

    def release(self, rows: Iterable[Row]) -> None:
        """A node lets rows go."""
        for row in rows:
            self.rows -= 1
            self.bytes -= weight(row)

    def count(self, number: int) -> None:
        """A node keeps so many values more (or fewer) that are no rows: keys, numbers."""
        self.rows += number
        self.bytes += number * _SMALL

    @property
    def full(self) -> bool:
        """Whether the ceiling is reached."""
        return self.rows > self.max_rows or self.bytes > self.max_bytes

    def allowed(self) -> int:
        """How many rows may stay when it is trimmed, at the size that rows have now."""
        by_size = self.max_bytes / max(1.0, self.bytes / max(1, self.rows))
        return int(min(self.max_rows, by_size) * _AFTER)


_SMALL = 150


def weight(row: Row) -> int:
    """The estimated size of a row in bytes. Events that several rows share count in each."""
    if isinstance(row, EventRow):
        seen = row.occurrence
        if not seen.weight:
            seen.weight = 300 + _size(seen.view.raw)
        return seen.weight
    match row:
        case RecordRow(columns, base):
            return 300 + _size(columns) + weight(base)
        case JoinRow(_, parts):
            return 200 + sum(weight(part) for part in parts)
        case GroupRow(_, members):
            return 200 + sum(weight(member) for member in members)


def _size(values: Mapping[str, Any]) -> int:
    """A rough size of an event: its texts, and a flat amount for everything else."""
    total = 0
    work: list[Any] = [values]
    while work:
        found = work.pop()
        total += 100 * len(found)
        for value in found if isinstance(found, list) else found.values():
            if type(value) is str or isinstance(value, str):
                total += len(value)
            elif value is not None and isinstance(value, list | Mapping):
                work.append(value)
    return total


def level(sizes: Sequence[int], allowed: int) -> int:
    """The largest size to which all buckets must be cut for the rest to fit.

    >>> level([2, 3, 1000], 100)
    95
    """
    left = allowed
    remaining = len(sizes)
    for size in sorted(sizes):
        if size * remaining >= left:
            return max(0, left // remaining)
        left -= size
        remaining -= 1
    return max(sizes, default=0)


class Untimed:
    """The events that wait for the end of the data, as one bucket."""

    def __init__(
        self, waiting: list[tuple[EventRow, tuple[ir.Stage, ...]]], memory: Memory
    ) -> None:
        self._waiting, self._memory = waiting, memory

    def __len__(self) -> int:
        return len(self._waiting)

    def trim(self, keep: int) -> int:
        gone = self._waiting[: len(self._waiting) - keep]
        del self._waiting[: len(gone)]
        self._memory.release(row for row, _ in gone)
        return len(gone)
