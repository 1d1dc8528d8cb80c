"""Rows in the order of time, in bounded memory: sorted runs on the disk, merged at the end.

```
 rows ──▶ buffer ──full──▶ sorted, run 1 │ run 2 │ …      64 runs become one
                                     └── merge ──▶ rows in order
```

Rows of equal time keep the order in which they came. Rows without a time come last.
"""

from __future__ import annotations

import heapq
import struct
import tempfile
from collections.abc import Iterable, Iterator
from typing import IO

_HEAD = struct.Struct("<qQI")
"""Of a row on the disk: its time, its number, and the length of its data."""
_LAST = (1 << 63) - 1
_FAN = 64

_Row = tuple[int, int, bytes]


class TimeSorter:
    """Sorts rows of bytes by time. ``memory`` is how many bytes are held before they go to disk.

    Use it in a ``with`` block: its temporary files go with it.

    >>> with TimeSorter() as rows:
    ...     for time, data in ((5, b"b"), (None, b"c"), (1, b"a")):
    ...         rows.add(time, data)
    ...     list(rows)
    [b'a', b'b', b'c']
    """

    def __init__(self, memory: int = 64 << 20) -> None:
        self._memory = memory
        self._buffer: list[_Row] = []
        self._held = 0
        self._number = 0
        self._runs: list[IO[bytes]] = []

    def __enter__(self) -> TimeSorter:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Delete what is on the disk."""
        for run in self._runs:
            run.close()
        self._runs.clear()
        self._buffer.clear()

    def add(self, time: int | None, data: bytes) -> None:
        """Take a row. ``time`` is in microseconds since 1970 UTC. Raises `OSError` (disk full)."""
        key = _LAST if time is None else max(-_LAST, min(time, _LAST - 1))
        self._buffer.append((key, self._number, data))
        self._number += 1
        self._held += len(data) + 120
        if self._held >= self._memory:
            self._spill()

    def __iter__(self) -> Iterator[bytes]:
        """The rows in order. Call it once, when all were added."""
        self._buffer.sort()
        for _, _, data in heapq.merge(*map(_read, self._runs), self._buffer):
            yield data

    def _spill(self) -> None:
        self._buffer.sort()
        self._runs.append(_written(self._buffer))
        self._buffer = []
        self._held = 0
        if len(self._runs) >= _FAN:
            merged = _written(heapq.merge(*map(_read, self._runs)))
            for run in self._runs:
                run.close()
            self._runs = [merged]


def _written(rows: Iterable[_Row]) -> IO[bytes]:
    file: IO[bytes] = tempfile.TemporaryFile(prefix="carengine-sort-")  # noqa: SIM115
    try:
        for time, number, data in rows:
            file.write(_HEAD.pack(time, number, len(data)))
            file.write(data)
        file.flush()
    except BaseException:
        file.close()
        raise
    return file


def _read(file: IO[bytes]) -> Iterator[_Row]:
    file.seek(0)
    while head := file.read(_HEAD.size):
        time, number, length = _HEAD.unpack(head)
        yield time, number, file.read(length)
