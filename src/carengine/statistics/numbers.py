"""The record numbers of a channel of a host, as stretches without a hole.

Windows numbers the records of a channel one after the other, from 1, and goes on after the channel
was cleared. A hole in the numbers is a record that is not in the evidence: it was left out when
that was collected, overwritten, or cut out.
"""

from __future__ import annotations

from bisect import bisect_right

from attrs import define, field, frozen

_MOST_STRETCHES = 50_000
"""Stretches that are kept of a channel. Where a collection leaves out every other record there are
more, and holes say nothing."""


@frozen
class RecordGap:
    """Numbers that are missing between two records: from ``first`` to ``last``. The times are those
    of the records before and after, in microseconds since 1970 UTC."""

    host: str
    channel: str
    first: int
    last: int
    before: int | None
    after: int | None

    @property
    def records(self) -> int:
        """How many records are missing."""
        return self.last - self.first + 1


@define
class _Stretch:
    first: int
    last: int
    first_time: int | None
    last_time: int | None


@define
class RecordNumbers:
    """The record numbers that were met, in any order.

    >>> numbers = RecordNumbers()
    >>> for number in (7, 8, 12, 9, 8):
    ...     numbers.add(number, None)
    >>> [(gap.first, gap.last) for gap in numbers.gaps("h", "c")], numbers.twice
    ([(10, 11)], 1)
    """

    met: int = 0
    twice: int = 0
    """Numbers that were met again: the same records from several files."""
    overfull: bool = False
    """Whether there were more stretches than are kept, so that holes are not known."""
    _stretches: list[_Stretch] = field(factory=list, repr=False)
    _firsts: list[int] = field(factory=list, repr=False)

    def add(self, number: int, time: int | None) -> None:
        """Note a number, with the time of its record."""
        self.met += 1
        if self.overfull:
            return
        place = bisect_right(self._firsts, number) - 1
        before = self._stretches[place] if place >= 0 else None
        if before is not None and number <= before.last:
            self.twice += 1
            return
        following = self._stretches[place + 1] if place + 1 < len(self._stretches) else None
        if before is not None and number == before.last + 1:
            before.last, before.last_time = number, time
            if following is not None and following.first == number + 1:
                before.last, before.last_time = following.last, following.last_time
                del self._stretches[place + 1], self._firsts[place + 1]
        elif following is not None and following.first == number + 1:
            following.first, following.first_time = number, time
            self._firsts[place + 1] = number
        elif len(self._stretches) == _MOST_STRETCHES:
            self.overfull = True
            self._stretches.clear()
            self._firsts.clear()
        else:
            self._stretches.insert(place + 1, _Stretch(number, number, time, time))
            self._firsts.insert(place + 1, number)

    @property
    def first(self) -> int | None:
        """The lowest number; None where it is not known."""
        return self._firsts[0] if self._firsts else None

    @property
    def last(self) -> int | None:
        """The highest number; None where it is not known."""
        return self._stretches[-1].last if self._stretches else None

    def gaps(self, host: str, channel: str) -> list[RecordGap]:
        """The holes, from the lowest number up."""
        return [
            RecordGap(host, channel, one.last + 1, other.first - 1, one.last_time, other.first_time)
            for one, other in zip(self._stretches, self._stretches[1:], strict=False)
        ]
