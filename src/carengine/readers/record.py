"""What reading gives: records, and an account of everything that was met.

A ``Record`` is one event and where it stood. ``Limits`` are what reading may cost: evidence comes
from machines that somebody else controlled. The ``Account`` is kept while reading: how many records were
met, how many could not be read, and what there is to say of each file. Counts are exact; of the
findings only the first of a kind are kept for each file, so that a million broken lines take
no more memory than twenty::

    Account.say(codes.UNREADABLE_RECORD, "x.jsonl", "...", line=7)     # kept
    ...                                                                # 20 times
    Account.close("x.jsonl")         ->  note CE509 at x.jsonl: and 999980 more of CE502
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from attrs import Attribute, define, field, frozen

from ..diagnostics import Code, Diagnostic, codes

KEPT_PER_SOURCE = 20
KEPT_IN_ALL = 2_000

_MEBIBYTE = 1 << 20


@define(eq=True)
class Record:
    """One event as its file has it.

    ``source`` is ``path``, ``path!member`` (``path!inner.zip!member``), or ``-`` for standard input;
    ``number`` counts the source's records from 1, unreadable ones too and blank lines not.
    """

    # Not frozen: one is made for every event, and being frozen would make that twice as dear.

    event: dict[str, Any]
    source: str
    number: int


def _positive(_: object, attribute: Attribute[int], value: int) -> None:
    if value < 1:
        raise ValueError(f"the limit {attribute.name} must be at least 1, not {value}")


def _limit(default: int) -> int:
    made: int = field(default=default, validator=_positive)
    return made


@frozen
class Limits:
    """What reading may cost. All sizes are in bytes.

    * ``record_bytes``: a larger record is skipped without being held (CE503).
    * ``json_depth``: brackets in brackets; a deeper record is unreadable (CE502). 1024 is what orjson
      itself refuses and costs nothing; less costs a look at every record.
    * ``archive_depth``: layers of packing, each compression and each archive one: ``x.tar.gz`` has two.
    * ``members``: files in one archive.
    * ``expansion``: how many times larger than the file on disk everything unpacked from it may be.
      It is looked at once ``expansion_floor`` bytes have been unpacked; smaller archives are harmless.
    * ``total_bytes``: everything unpacked from one path.
    * ``spool_bytes``: a zip inside something else cannot be read in order and is copied first, to memory
      or (from 16 MiB on) to a temporary file; this is the largest copy.

    A ``ValueError`` is raised for a limit below 1.
    """

    record_bytes: int = _limit(32 * _MEBIBYTE)
    json_depth: int = _limit(1024)
    archive_depth: int = _limit(6)
    members: int = _limit(20_000)
    expansion: int = _limit(250)
    expansion_floor: int = _limit(32 * _MEBIBYTE)
    total_bytes: int = _limit(256 * 1024 * _MEBIBYTE)
    spool_bytes: int = _limit(2 * 1024 * _MEBIBYTE)


@define(eq=False)
class Account:
    """The running account of one reading.

    ``records`` counts all records met, ``unreadable`` those of them that gave no event, ``sources`` the files and
    members whose content was of a known format, ``bytes_read`` what came from disk or standard input (before
    unpacking), ``found`` the findings by code, shown or not. ``take`` may take a line of JSON before it is decoded.
    """

    records: int = 0
    unreadable: int = 0
    sources: int = 0
    bytes_read: int = 0
    found: Counter[Code] = field(factory=Counter)
    take: Callable[[bytes], bool] | None = None
    _kept: list[tuple[str, Diagnostic]] = field(factory=list)
    _open: Counter[tuple[str, Code]] = field(factory=Counter)
    _dropped: int = 0

    def say(
        self,
        code: Code,
        source: str,
        message: str,
        *,
        line: int = 0,
        about: str = "",
        notes: tuple[str, ...] = (),
    ) -> None:
        """Add a finding about a source, or about a line of it.

        Where many things of one source can each have a finding (the members of an
        archive), ``about`` names the thing and ``source`` still bounds the number.
        """
        self.found[code] += 1
        self._open[source, code] += 1
        if self._open[source, code] <= KEPT_PER_SOURCE:
            origin = about or (f"{source}:{line}" if line else source)
            self._keep(source, Diagnostic(code, message, origin=origin, notes=notes))

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


@define(eq=False)
class Tally:
    """The records of one source as they are met, and what there is to say of them.

    ``met`` is whether at least one of them was of the format that the source seemed to have.
    """

    source: str
    account: Account
    limits: Limits
    number: int = 0
    met: bool = False

    def count(self) -> int:
        """Count one record more and give its number."""
        self.account.records += 1
        self.number += 1
        return self.number

    def unreadable(self, line: int, reason: str) -> None:
        """The record that was counted last gives no event."""
        self.account.unreadable += 1
        message = f"record {self.number} {reason}"
        self.account.say(codes.UNREADABLE_RECORD, self.source, message, line=line)

    def too_large(self, line: int) -> None:
        """The record that was counted last is over the limit."""
        self.account.unreadable += 1
        message = f"record {self.number} is larger than {self.limits.record_bytes:,} bytes"
        self.account.say(codes.RECORD_TOO_LARGE, self.source, message, line=line)
