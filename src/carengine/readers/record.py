"""What reading gives: records, and an account of everything that was met.

A ``Record`` is one event and where it stood. ``Limits`` are what reading may cost: evidence comes
from machines that somebody else controlled. The ``ReadReport`` is kept while reading: how many
records were met, how many could not be read, and what there is to say of each file. Counts are
exact; of the findings only the first of a kind are kept for each file, so that a million broken
lines take no more memory than twenty::

    Account.say(codes.UNREADABLE_RECORD, "x.jsonl", "...", line=7)     # kept
    ...                                                                # 20 times
    Account.close("x.jsonl")         ->  note CE509 at x.jsonl: and 999980 more of CE502
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from attrs import Attribute, define, field, frozen

from ..diagnostics import Code, Diagnostic, codes
from ..jsontext import DEPTH

KEPT_PER_SOURCE = 20
KEPT_IN_ALL = 2_000

_MEBIBYTE = 1 << 20


@define(eq=True)
class Record:
    """One event as its file has it.

    ``source`` is ``path``, ``path!member`` (``path!inner.zip!member``), or ``-`` for standard
    input; ``number`` counts the source's records from 1, unreadable ones too; where a record is a
    line, it is the number of that line.

    >>> import io, carengine
    >>> [record] = carengine.read_events("-", stdin=io.BytesIO(b'{"a": 1}'))
    >>> record
    Record(event={'a': 1}, source='-', number=1)
    """

    # Not frozen: one is made for every event, and being frozen would make that twice as dear.

    event: dict[str, Any]
    source: str
    number: int


def _positive(_: object, attribute: Attribute[int], value: int) -> None:
    if value < 1:
        raise ValueError(f"the limit {attribute.name} must be at least 1, not {value}")


def _at_most_depth(_: object, attribute: Attribute[int], value: int) -> None:
    if value > DEPTH:
        raise ValueError(f"the limit {attribute.name} must be at most {DEPTH}, not {value}")


def _limit(default: int) -> int:
    made: int = field(default=default, validator=_positive)
    return made


@frozen
class Limits:
    """What reading may cost. All sizes are in bytes.

    * ``record_bytes``: a larger record is skipped without being held (CE503).
    * ``json_depth``: brackets in brackets; a deeper record is unreadable (CE502). It cannot be set
      higher than 128.
    * ``archive_depth``: layers of packing, each compression and each archive one: ``x.tar.gz`` has
      two.
    * ``members``: files in one archive.
    * ``expansion``: how many times larger than the file on disk everything unpacked from it may be.
      It is looked at once ``expansion_floor`` bytes have been unpacked; smaller archives are
      harmless. What unpacks to more than 40 times what was read of it may moreover not come to so
      many tiny things: there each line counts as 72 bytes, each object and record as 144, each
      array as 288 and each member as 1,152.
    * ``total_bytes``: everything unpacked from one path.
    * ``spool_bytes``: a zip inside something else cannot be read in order and is copied first, to
      memory or (from 16 MiB on) to a temporary file; this is the largest copy.

    A ``ValueError`` is raised for a limit below 1, and for a ``json_depth`` above 128.

    >>> import io
    >>> from carengine import read_events
    >>> lines = io.BytesIO(b'{"a": 1}\\n{"a": "a long text"}\\n')
    >>> with read_events("-", stdin=lines, limits=Limits(record_bytes=10)) as reading:
    ...     [record.event for record in reading], reading.unreadable
    ([{'a': 1}], 1)
    """

    record_bytes: int = _limit(32 * _MEBIBYTE)
    json_depth: int = field(default=DEPTH, validator=(_positive, _at_most_depth))
    archive_depth: int = _limit(6)
    members: int = _limit(20_000)
    expansion: int = _limit(250)
    expansion_floor: int = _limit(8 * _MEBIBYTE)
    total_bytes: int = _limit(256 * 1024 * _MEBIBYTE)
    spool_bytes: int = _limit(2 * 1024 * _MEBIBYTE)


NextLine = tuple[int, int, bytes | None]
"""What a `LineFilter` gives: how many records before a line are dealt with and how many blank lines
there are, since the last one; and the line. At the end of a block come those that are left, and
None."""
LineFilter = Callable[[Iterator[tuple[bytes, bool]], int, str], Iterator[NextLine]]
"""Looks at blocks of lines of JSON and gives those that are to be read. It gets the blocks, each with
whether it is the last, so that its last line may lack a line end, how many bytes a line may have,
and what the evidence is called. It may take some blocks before it has given the lines of those before."""
ConvertedChunk = tuple[bool, tuple[bytes, list[int]] | None]
"""Whether the checksums of a chunk of an event log are right; and its records as lines of JSON, with
their own numbers, or None for a chunk that is to be read in another way."""


class LogFilter(NamedTuple):
    """What reads event logs (EVTX) and tells which records are to be read.

    ``converted`` gets batches of chunks, one behind the other, each with something that it gives
    back with what they are converted to. ``records`` gets lines of records, the number of the first
    and what the log is called, and gives what a `LineFilter` does for a block.
    """

    converted: Callable[
        [Iterator[tuple[list[bytes], bytes]]],
        Iterator[tuple[list[bytes], list[ConvertedChunk]]],
    ]
    records: Callable[[bytes, int, str], Iterator[NextLine]]


@define(eq=False)
class ReadReport:
    """What one reading has come to so far: counts and diagnostics.

    ``records`` counts all records met, ``unreadable`` those of them that gave no event, ``sources``
    the files and members whose content was of a known format, ``bytes_read`` what came from disk or
    standard input (before unpacking), ``found`` the findings by code, shown or not. ``candidates``
    may take lines of JSON before they are decoded, and gives the places of the others, in order.
    ``line_filter`` may do the same with blocks that are not cut into lines yet; where it is there
    it comes first. ``log_filter`` may do it with event logs.
    """

    records: int = 0
    unreadable: int = 0
    sources: int = 0
    bytes_read: int = 0
    found: Counter[Code] = field(factory=Counter)
    candidates: Callable[[list[bytes]], Iterable[int]] | None = None
    line_filter: LineFilter | None = None
    log_filter: LogFilter | None = None
    _kept: list[tuple[str, Diagnostic]] = field(factory=list)
    _open: Counter[tuple[str, Code]] = field(factory=Counter)
    _dropped: int = 0
    _handed_over: int = 0

    @property
    def met(self) -> int:
        """How many records were met in all, those that were handed on to another account too."""
        return self._handed_over + self.records

    def say(
        self,
        code: Code,
        source: str,
        message: str,
        *,
        line: int = 0,
        record: int = 0,
        about: str = "",
        notes: tuple[str, ...] = (),
    ) -> None:
        """Add a finding about a source, or about a line of it, or a record (``message`` goes on
        after its number).

        Where many things of one source can each have a finding (the members of an
        archive), ``about`` names the thing and ``source`` still bounds the number.
        """
        self.found[code] += 1
        self._open[source, code] += 1
        if self._open[source, code] <= KEPT_PER_SOURCE:
            origin = about or (f"{source}:{line}" if line else source)
            text = f"record {record} {message}" if record else message
            self._keep(source, Diagnostic(code, text, origin=origin, notes=notes))

    def more(self, code: Code, source: str, number: int) -> None:
        """So many more findings of a kind about a source, which has as many as are kept already."""
        self.found[code] += number
        self._open[source, code] += number

    def _keep(self, source: str, diagnostic: Diagnostic) -> None:
        if len(self._kept) < KEPT_IN_ALL:
            self._kept.append((source, diagnostic))
        else:
            self._dropped += 1

    def take_back(self, code: Code, source: str) -> None:
        """Withdraw all findings of a kind about a source that is still open."""
        number = self._open.pop((source, code), 0)
        self.found[code] -= number
        self.found += Counter()  # leaves out what is zero
        before = len(self._kept)
        self._kept = [x for x in self._kept if x[0] != source or x[1].code is not code]
        self._dropped -= min(number, KEPT_PER_SOURCE) - (before - len(self._kept))

    def close(self, source: str) -> None:
        """Nothing more will be said about a source: sum up what was not kept."""
        for note in self._remainders(source):
            self._keep(source, note)
        for key in [key for key in self._open if key[0] == source]:
            del self._open[key]

    def _remainders(self, source: str | None = None) -> list[Diagnostic]:
        return [
            Diagnostic(
                codes.MORE_FINDINGS,
                f"and {number - KEPT_PER_SOURCE} more of {code.id} ({code.title})",
                origin=name,
            )
            for (name, code), number in self._open.items()
            if number > KEPT_PER_SOURCE and source in (None, name)
        ]

    @property
    def diagnostics(self) -> tuple[Diagnostic, ...]:
        """The findings so far, in the order in which they were met."""
        found = [diagnostic for _, diagnostic in self._kept] + self._remainders()
        if self._dropped:
            found.append(Diagnostic(codes.MORE_FINDINGS, f"and {self._dropped} more in all"))
        return tuple(found)


Entry = tuple[str, str, str, str, int, int, str, tuple[str, ...]]
"""One thing that was said: what was done, the code, the source, the message, its line and record,
``about`` and the notes. All of it is plain data, so that it can go from one process to another."""


@define(eq=False)
class DiagnosticsBuffer(ReadReport):
    """An account that writes down what is said, for another one that is told later
    (`replay_diagnostics`).

    It keeps as much as that one can need: of the findings of a kind about a source the first ones,
    and the number of the others. `handed_over` gives what was said since the last time.
    """

    _entries: list[Entry] = field(factory=list)
    _further: Counter[tuple[str, str]] = field(factory=Counter)

    def say(
        self,
        code: Code,
        source: str,
        message: str,
        *,
        line: int = 0,
        record: int = 0,
        about: str = "",
        notes: tuple[str, ...] = (),
    ) -> None:
        """Write down a finding."""
        self.found[code] += 1
        self._open[source, code] += 1
        if self._open[source, code] <= KEPT_PER_SOURCE:
            self._entries.append(("say", code.id, source, message, line, record, about, notes))
        else:
            self._further[code.id, source] += 1

    def take_back(self, code: Code, source: str) -> None:
        """Write down that all findings of a kind about a source are withdrawn."""
        self._settle()
        self.found[code] -= self._open.pop((source, code), 0)
        self._entries.append(("take back", code.id, source, "", 0, 0, "", ()))

    def close(self, source: str) -> None:
        """Write down that nothing more will be said about a source."""
        self._settle()
        for key in [key for key in self._open if key[0] == source]:
            del self._open[key]
        self._entries.append(("close", "", source, "", 0, 0, "", ()))

    def _settle(self) -> None:
        for (code, source), number in self._further.items():
            self._entries.append(("more", code, source, "", number, 0, "", ()))
        self._further.clear()

    def handed_over(self) -> tuple[int, int, int, int, list[Entry]]:
        """What was counted (records, unreadable, sources, bytes read) and said since the last
        time."""
        self._settle()
        counts = (self.records, self.unreadable, self.sources, self.bytes_read)
        self._handed_over += self.records
        self.records = self.unreadable = self.sources = self.bytes_read = 0
        entries, self._entries = self._entries, []
        return (*counts, entries)


def replay_diagnostics(
    report: ReadReport,
    buffered: tuple[int, int, int, int, Iterable[Entry]],
    *,
    records: int = 0,
    lines: int = 0,
) -> None:
    """Tell an account what `DiagnosticsBuffer.handed_over` gave.

    Where it was about a piece of a source, ``records`` and ``lines`` are how many there were before
    the piece.
    """
    number, unreadable, sources, size, entries = buffered
    report.records += number
    report.unreadable += unreadable
    report.sources += sources
    report.bytes_read += size
    for what, id_, source, message, line, record, about, notes in entries:
        match what:
            case "say":
                report.say(
                    codes.ALL[id_],
                    source,
                    message,
                    line=line + lines if line else 0,
                    record=record + records if record else 0,
                    about=about,
                    notes=tuple(notes),
                )
            case "more":
                report.more(codes.ALL[id_], source, line)
            case "take back":
                report.take_back(codes.ALL[id_], source)
            case _:
                report.close(source)


@define(eq=False)
class RecordCounter:
    """The records of one source as they are met, and what there is to say of them.

    ``met`` is whether at least one of them was of the format that the source seemed to have.
    ``blank`` of the ``number`` were no records but blank lines: where a record is a line, it has
    the line's number.
    """

    source: str
    report: ReadReport
    limits: Limits
    number: int = 0
    met: bool = False
    blank: int = 0

    @property
    def records(self) -> int:
        """How many records there were."""
        return self.number - self.blank

    def pass_over(self, lines: int) -> None:
        """Count some blank lines."""
        self.number += lines
        self.blank += lines

    def count(self) -> int:
        """Count one record more and give its number."""
        self.report.records += 1
        self.number += 1
        return self.number

    def unreadable(self, line: int, reason: str) -> None:
        """The record that was counted last gives no event."""
        self.report.unreadable += 1
        self.report.say(codes.UNREADABLE_RECORD, self.source, reason, line=line, record=self.number)

    def too_large(self, line: int) -> None:
        """The record that was counted last is over the limit."""
        self.report.unreadable += 1
        message = f"is larger than {self.limits.record_bytes:,} bytes"
        self.report.say(codes.RECORD_TOO_LARGE, self.source, message, line=line, record=self.number)
