"""Lines of JSON decided by the native core, where it is installed.

The core (the distribution ``carengine-native``, in Rust) tells of each line of a block that no rule
matches it, and what it is counted as; or leaves it to Python, which reads it whole. What it knows it
is told by `NativeProgram`, which grows as new kinds of events come.

Nothing depends on it: without it `Prefilter` does the same. ``CARENGINE_NATIVE=0`` leaves it out.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from attrs import define, field

from ..matcher import Leaf
from .native_program import VERSION, NativeProgram

if TYPE_CHECKING:
    from ..classes import Classified
    from ..engine import Engine
    from ..stats import SessionStats

try:
    import carengine_native as native
except ImportError:
    native = None

# After so many lines of kinds that were not met before the rest of a block waits for Python.
_UNMET = 32
# Of each kind so many events are read whole at first.
_READ_FIRST = 64
_CLOSED = 4
_NOT_MET = 1


def native_version() -> str | None:
    """The version of the native core that is used; None where there is none.

    A core that knows programs of another form than this version writes is not used.
    """
    if native is None or os.environ.get("CARENGINE_NATIVE") == "0" or native.PROGRAM != VERSION:
        return None
    return str(native.__version__)


class UndecidedLine(NamedTuple):
    """A line that is to be read, and what was passed before it since the last one: records, blank
    lines. At the end, ``line`` is None and ``end`` the offset behind the last line."""

    records: int
    blank: int
    line: bytes | None
    sampled: bool
    end: int


@define(eq=False)
class NativeFilter:
    """The core at work for one session: what it passes is counted in the account."""

    engine: Engine
    stats: SessionStats
    tick: Callable[[int], None] | None
    _core: Any = field(init=False)
    _program: NativeProgram = field(init=False)
    # Leaves of which events are read whole yet.
    _closed: set[Leaf[Classified]] = field(factory=set)
    _known: bool = False

    def __attrs_post_init__(self) -> None:
        self._core = native.Core()
        self._program = NativeProgram(timed=self.tick is not None)

    def undecided(
        self, block: bytes, limit: int, whole: Callable[[], int], *, last: bool
    ) -> Iterator[UndecidedLine]:
        """The lines of a block that are to be read, in order; the others are counted.

        The account is at each line what it would be if those after it had not been looked at.
        ``whole`` tells how many of the next lines are to be read in any case.
        """
        start = records = blank = 0
        while True:
            lines, after, end = self._core.scan(
                block,
                start,
                whole=whole(),
                unmet=_UNMET,
                limit=limit,
                sampling=True,
                last=last,
            )
            unmet = closed = 0
            for line, before, reason, sampled in lines:
                self._count(before)
                yield UndecidedLine(records + before[0], blank + before[1], line, sampled, 0)
                records = blank = 0
                unmet += reason == _NOT_MET
                closed += reason == _CLOSED
            self._count(after)
            records += after[0]
            blank += after[1]
            start = end
            if unmet or closed or not self._known:
                self._grow()
            if unmet < _UNMET:
                break
        yield UndecidedLine(records, blank, None, False, end)

    def _count(self, passed: tuple[int, int, list[tuple[int, int]], int | None]) -> None:
        leaves, met = self._program.leaves, self.stats.met
        for number, times in passed[2]:
            met(leaves[number], times)
        if passed[3] is not None and self.tick is not None:
            self.tick(passed[3])

    def _grow(self) -> None:
        """Tell the core what has grown since."""
        root = self.engine.questions
        if root is None:
            return
        recent = self.stats.recent
        closed = {leaf for leaf, number in recent.items() if number < _READ_FIRST}
        self._core.extend(self._program.growth(root, closed))
        self._known = True
