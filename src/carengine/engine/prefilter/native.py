"""Lines of JSON decided by the native core, where it is installed.

The core (the distribution ``carengine-native``, in Rust) tells of each line of a block that no rule
matches it, and what it is counted as; or leaves it to Python, which reads it whole. What it knows it
is told by `NativeProgram`, which grows as new kinds of events come.

Nothing depends on it: without it `Prefilter` does the same. ``CARENGINE_NATIVE=0`` leaves it out.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from attrs import define, field

from ...diagnostics import Diagnostic, codes, counted
from ...fieldmap import unwrap
from ...jsontext import loads
from ..matcher import Leaf
from .ahead import begun_ahead
from .native_program import VERSION, KnownEvent, NativeProgram

if TYPE_CHECKING:
    from ..classes import Classified
    from ..engine import Engine
    from ..report import KnownLook, UnrecognisedShapes
    from ..stats import SessionStats

try:
    import carengine_native as native
except ImportError:
    native = None

# After so many lines of kinds that were not met before the rest of a block waits for Python.
_UNMET = 32
# Of each kind so many events are read whole at first.
_READ_FIRST = 64
# Of lines that Python decides otherwise so many are named, with so many of their bytes.
_NAMED = 20
_SHOWN = 200
_CLOSED = 4
_NOT_MET = 1
# Longer lines are Python's.
_LIMIT = 1 << 25
# So many blocks for each thread are begun before their turn.
_AHEAD = 3


def native_version() -> str | None:
    """The version of the native core that is used; None where there is none.

    A core that knows programs of another form than this version writes is not used.
    """
    if native is None or os.environ.get("CARENGINE_NATIVE") == "0" or native.PROGRAM != VERSION:
        return None
    return str(native.__version__)


_Counts = list[tuple[int, int]]
_Passed = tuple[int, int, _Counts, int | None, _Counts, _Counts]
"""Lines that are dealt with: records, blank lines, how many of which leaf, the latest time, how many
of which leaf have no fields, and how many unrecognised ones have which look."""


ConvertedChunk = tuple[bool, tuple[bytes, list[int]] | None]
"""Whether the checksums of a chunk are right, and its records as lines of JSON, with their own
numbers; None for those of a chunk that Python is to read."""
T = TypeVar("T")


class UndecidedLine(NamedTuple):
    """A line that is to be read, and what was passed before it since the last one: records, blank
    lines. At the end of a block, ``line`` is None.

    ``known`` is what the core tells of the line, if it tells all.
    """

    records: int
    blank: int
    line: bytes | None
    sampled: bool
    known: KnownEvent | None = None


@define(eq=False)
class NativeCheck:
    """What Python says of the lines that the core passed: how many were ``checked``, and what
    differs, as the ``number`` of lines and the first ones in words."""

    checked: int = 0
    number: int = 0
    differences: list[str] = field(factory=list)

    def note(self, line: bytes, difference: str | None) -> None:
        """Count a line, and what is different about it."""
        self.checked += 1
        if difference is None:
            return
        self.number += 1
        if len(self.differences) < _NAMED:
            shown = line[:_SHOWN].decode("utf-8", "backslashreplace").strip()
            self.differences.append(f"{difference}: {shown}")

    def diagnostics(self) -> list[Diagnostic]:
        """What there is to say (CE559): nothing where both say the same."""
        if not self.number:
            return []
        message = (
            f"the native core and Python differ in {counted(self.number, 'line')} of "
            f"{self.checked:,}; what Python says is used"
        )
        return [Diagnostic(codes.NATIVE_DIFFERS, message, notes=tuple(self.differences))]


@define(eq=False)
class NativeFilter:
    """The core at work for one session: what it passes is counted in the account.

    With a ``check`` Python looks at every line that the core passes, and is believed. Lines that no
    field map recognises are passed where there is somebody who counts what they look like:
    ``unrecognised``. ``source`` is what the evidence is called that is read at present.
    """

    engine: Engine
    stats: SessionStats
    tick: Callable[[int], None] | None
    check: NativeCheck | None = None
    read_first: int = _READ_FIRST
    """Of each kind so many events are read whole at first."""
    threads: int = 1
    """How many threads look at blocks; one: the one that asks."""
    unrecognised: UnrecognisedShapes | None = None
    source: str = ""
    _core: Any = field(init=False)
    _program: NativeProgram = field(init=False)
    # Leaves of which events are read whole yet.
    _closed: set[Leaf[Classified]] = field(factory=set)
    _known: bool = False
    # Whether the last block had hardly anything that was not met before.
    _settled: bool = False
    # How many looks unrecognised events had when the core was told of them.
    _looks: int = 0

    def __attrs_post_init__(self) -> None:
        self._core = native.Core()
        self._program = NativeProgram(timed=self.tick is not None)

    def undecided(
        self, blocks: Iterator[tuple[bytes, bool]], limit: int, whole: Callable[[], int]
    ) -> Iterator[UndecidedLine]:
        """The lines of blocks that are to be read, in order; the others are counted. Each block
        comes with whether it is the last one; after each comes an end.

        The account is at each line what it would be if those after it had not been looked at.
        ``whole`` tells how many of the next lines are to be read in any case. With several
        ``threads`` some of the next blocks are being looked at meanwhile.
        """

        def begin(block: tuple[bytes, bool]) -> Any:
            if self.threads < 2 or not self._settled or whole():
                return None
            text, last = block
            return self._core.submit(text, _UNMET, limit, last, self.threads)

        def ahead() -> int:
            return _AHEAD * self.threads if self._settled and not whole() else 1

        if self.check is not None or self.threads < 2:
            for text, last in blocks:
                yield from self._lines(text, limit, whole, last=last)
            return
        for (text, last), pending in begun_ahead(blocks, begin, ahead):
            yield from self._lines(text, limit, whole, last=last, pending=pending)

    def undecided_records(
        self, block: bytes, first: int, whole: Callable[[], int]
    ) -> Iterator[UndecidedLine]:
        """`undecided` of one block of records of an event log as lines of JSON; ``first`` is the
        number of the first of them."""
        return self._lines(block, len(block), whole, last=True, first=first)

    def places(self, block: bytes) -> Iterator[tuple[int, KnownEvent | None]]:
        """The places of the lines of a block that are to be read, and what the core tells of
        them."""
        place = 0
        for one in self._lines(block, _LIMIT, lambda: 0, last=True):
            place += one.records + one.blank
            if one.line is not None:
                yield place, one.known
                place += 1

    def converted(
        self, batches: Iterator[tuple[T, bytes]]
    ) -> Iterator[tuple[T, list[ConvertedChunk]]]:
        """Chunks of an event log as lines of JSON; those of each batch stand one behind the
        other."""

        def begin(batch: tuple[T, bytes]) -> Any:
            return native.convert_chunks(batch[1], self.threads)

        def ahead() -> int:
            return _AHEAD * self.threads if self.threads > 1 else 1

        for (batch, _), pending in begun_ahead(batches, begin, ahead):
            yield batch, pending.result()

    def _lines(
        self,
        block: bytes,
        limit: int,
        whole: Callable[[], int],
        *,
        last: bool,
        pending: Any = None,
        first: int | None = None,
    ) -> Iterator[UndecidedLine]:
        if self.check is not None:
            yield from self._checked(block, limit, whole, self.check, last=last, first=first)
            return
        start = records = blank = seen = 0
        while True:
            if pending is not None:
                lines, after, end = pending.result()
                pending = None
            else:
                lines, after, end = self._core.scan(
                    block,
                    start,
                    whole=whole(),
                    unmet=_UNMET,
                    limit=limit,
                    sampling=True,
                    last=last,
                    record=None if first is None else first + seen,
                )
            unmet = closed = 0
            if any(line[2] == _NOT_MET for line in lines):
                self._meet(line[0] for line in lines if line[2] == _NOT_MET)
            for line, before, reason, sampled, holding in lines:
                self._count(before)
                seen += before[0] + 1
                if reason == _NOT_MET:
                    holding = self._holding(line, limit)
                known = None if holding is None else self._program.known_event(*holding)
                yield UndecidedLine(records + before[0], blank + before[1], line, sampled, known)
                records = blank = 0
                unmet += reason == _NOT_MET
                closed += reason == _CLOSED
            self._count(after)
            records += after[0]
            seen += after[0]
            blank += after[1]
            start = end
            if unmet or not self._known or (closed and self._outgrown()):
                self._grow()
            self._settled = unmet < _UNMET
            if self._settled:
                break
        yield UndecidedLine(records, blank, None, False)

    def _meet(self, lines: Iterable[bytes]) -> None:
        """Let the tree grow to some lines, and tell the core."""
        for line in lines:
            # What is wrong is told where the line is read.
            with suppress(Exception):
                event = loads(line)
                if type(event) is dict:
                    self.engine.leaf(unwrap(event))
        self._grow()

    def _holding(self, line: bytes, limit: int) -> Any:
        """What the core tells of one line, of which Python knows how it is to be counted."""
        lines, _, _ = self._core.scan(
            line, 0, whole=1, unmet=1, limit=limit, sampling=False, last=True
        )
        return lines[0][4] if lines else None

    def _checked(
        self,
        block: bytes,
        limit: int,
        whole: Callable[[], int],
        check: NativeCheck,
        *,
        last: bool,
        first: int | None,
    ) -> Iterator[UndecidedLine]:
        """All lines of a block; of those that the core passes it is noted where Python differs."""
        for place, line in enumerate(io.BytesIO(block).readlines()):
            if not line.endswith(b"\n") and not last:
                break
            lines, passed, _ = self._core.scan(
                line,
                0,
                whole=whole(),
                unmet=_UNMET,
                limit=limit,
                sampling=True,
                last=True,
                record=None if first is None else first + place,
            )
            if lines and lines[0][2] == _NOT_MET:
                self._meet([line])
                lines[0] = (*lines[0][:4], self._holding(line, limit))
            if passed[0]:
                check.note(line, self.difference(line, passed))
            elif lines and lines[0][4] is not None:
                known = self._program.known_event(*lines[0][4])
                check.note(line, self.other_stages(line, known))
            sampled = bool(lines) and lines[0][3]
            yield UndecidedLine(0, passed[1], None if passed[1] else line, sampled)
            self._grow()
        yield UndecidedLine(0, 0, None, False)

    def difference(self, line: bytes, passed: _Passed) -> str | None:
        """What Python says otherwise of a line that the core passed, in words; None for nothing."""
        try:
            event = loads(line)
        except ValueError as problem:
            return f"it is not JSON ({problem})"
        if type(event) is not dict:
            return "it is no object"
        inner = unwrap(event)
        [(number, _)] = passed[2]
        target = self.engine.leaf(inner).target
        assert target is not None
        if target is not self._program.leaves[number].target:
            return "it is another kind of event"
        looks = [self._program.looks[number].look for number, _ in passed[5]]
        if not target.maps:
            assert self.unrecognised is not None
            shapes = type(self.unrecognised)()
            shapes.add(event)
            return None if list(shapes.counts) == looks else "it looks otherwise"
        if looks:
            return "a field map recognises it"
        if any(group.match(inner, event, None, line) for _, group in target.groups):
            return "a rule matches"
        says = [one.entry.reader.says_something(inner) for one in target.classes]
        if (False in says and True not in says) is not bool(passed[4]):
            return "it has no fields of its kind" if not passed[4] else "it has fields of its kind"
        if self.tick is not None:
            times = [time for one in target.classes if (time := one.time(inner)) is not None]
            if max(times, default=None) != passed[3]:
                return "its time is another"
        return None

    def other_stages(self, line: bytes, known: KnownEvent) -> str | None:
        """What Python says otherwise of a line that the core says stages hold for, in words."""
        try:
            event = loads(line)
        except ValueError as problem:
            return f"it is not JSON ({problem})"
        if type(event) is not dict:
            return "it is no object"
        inner = unwrap(event)
        target = self.engine.leaf(inner).target
        if target is None or target is not known.leaf.target:
            return "it is another kind of event"
        stages = [sorted(group.match(inner, event, None, line)) for _, group in target.groups]
        if stages != [sorted(set(one)) for one in known.stages]:
            return "other rules match"
        says = [one.entry.reader.says_something(inner) for one in target.classes]
        return "it has no fields of its kind" if False in says and True not in says else None

    def _count(self, passed: _Passed) -> None:
        leaves, met = self._program.leaves, self.stats.met
        for number, times in passed[2]:
            met(leaves[number], times)
        for number, times in passed[4]:
            self.stats.note_silent(leaves[number], self.source, times)
        if passed[5]:
            assert self.unrecognised is not None
            looks = self._program.looks
            self.unrecognised.merge((*looks[number][:2], times) for number, times in passed[5])
        if passed[3] is not None and self.tick is not None:
            self.tick(passed[3])

    def _outgrown(self) -> bool:
        """Whether enough events of a closed leaf have been read, or unrecognised ones look as none
        did."""
        if self.unrecognised is not None and self.unrecognised.number != self._looks:
            return True
        recent = self.stats.recent
        return any(recent.get(leaf, 0) >= self.read_first for leaf in self._closed)

    def _grow(self) -> None:
        """Tell the core what has grown since."""
        root = self.engine.questions
        if root is None:
            return
        recent = self.stats.recent
        self._closed = {leaf for leaf, number in recent.items() if number < self.read_first}
        looks: list[KnownLook] = []
        if self.unrecognised is not None and self.unrecognised.number != self._looks:
            self._looks = self.unrecognised.number
            looks = list(self.unrecognised.known({one.look for one in self._program.looks}))
        self._core.extend(self._program.growth(root, self._closed, looks))
        self._known = True


def block_of_lines(lines: Sequence[bytes]) -> bytes | None:
    """Lines as one text; None where one of them has a line end inside."""
    block = b"".join(line if line.endswith(b"\n") else line + b"\n" for line in lines)
    return block if block.count(b"\n") == len(lines) else None


def native_filter_of(
    engine: Engine,
    stats: SessionStats,
    tick: Callable[[int], None] | None,
    check: NativeCheck | None,
    threads: int = 1,
    unrecognised: UnrecognisedShapes | None = None,
) -> NativeFilter | None:
    """The core for a session; None where it is not installed, and where somebody looks on."""
    if native_version() is None or engine.observer is not None:
        return None
    return NativeFilter(engine, stats, tick, check, threads=threads, unrecognised=unrecognised)
