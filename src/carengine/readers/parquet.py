"""Parquet files, by the `pyarrow` package: a row is an event, nested columns are nested mappings.

Values become what JSON has: times are ISO texts in UTC with microseconds, bytes are text where they
are UTF-8 and hexadecimal otherwise, decimals numbers. Cells that are null are left out. A few
thousand rows are held at a time; the file must be one on disk, or is copied to one (within
``Limits.spool_bytes``), because a Parquet file is read from its end.
"""

from __future__ import annotations

import datetime
import decimal
from collections.abc import Iterator
from typing import Any

from ..diagnostics import codes
from .record import ReadReport, Record, RecordCounter
from .unpack import Content, DamageError, needs_package, spooled

_ROWS = 1024
# A row group is decoded column by column; a page that unpacks to more than this is not worth the
# risk.
_LARGEST_GROUP = 4 << 30


def read_parquet(content: Content, report: ReadReport) -> Iterator[Record]:
    """The rows of a Parquet file."""
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        needs_package(content, report, "a Parquet file", "pyarrow")
        return
    counter = RecordCounter(content.name, report, content.meter.limits)
    whole = content.file is not None
    file = content.file if content.file is not None else spooled(content)
    failures = (pa.ArrowException, OSError, ValueError, OverflowError, MemoryError, TypeError)
    try:
        try:
            table = pq.ParquetFile(file, pre_buffer=False)
            groups = table.num_row_groups
        except failures as problem:
            raise DamageError(
                f"the Parquet file is damaged or cut off ({_said(problem)})"
            ) from None
        for group in range(groups):
            read = 0
            claimed = 0
            try:
                described = table.metadata.row_group(group)
                claimed = max(0, described.num_rows)
                if described.total_byte_size > _LARGEST_GROUP:
                    raise ValueError(f"it unpacks to {described.total_byte_size:,} bytes")
                content.meter.unpack(max(0, described.total_byte_size))
                batches = table.iter_batches(_ROWS, row_groups=[group], use_threads=False)
                for batch in batches:
                    for row in batch.to_pylist(maps_as_pydicts="lossy"):
                        event = _plain(row, 0)
                        read += 1
                        yield Record(event, content.name, counter.count())
            except failures as problem:
                lost = max(0, min(claimed, 1 << 31) - read)
                report.records += lost
                report.unreadable += lost
                counter.number += lost
                report.say(
                    codes.UNREADABLE_FILE,
                    content.name,
                    f"row group {group + 1} is damaged; {lost:,} of its {claimed:,} rows are not read "
                    f"({_said(problem)})",
                )
    finally:
        if not whole:
            file.close()
    if not counter.number:
        report.say(codes.NOT_EVIDENCE, content.within, "holds no events", about=content.name)


def _said(problem: BaseException) -> str:
    return " ".join(str(problem).split())[:200]


def _plain(value: Any, depth: int) -> Any:
    """A value in JSON's terms. Types in a Parquet schema can be nested, but not without end."""
    match value:
        case None | bool() | int() | float() | str():
            return value
        case dict():
            return (
                {str(k): _plain(v, depth + 1) for k, v in value.items() if v is not None}
                if depth < 64
                else str(value)
            )
        case list() | tuple():
            return [_plain(item, depth + 1) for item in value] if depth < 64 else str(value)
        case datetime.datetime():
            if value.tzinfo is not None:
                value = value.astimezone(datetime.UTC).replace(tzinfo=None)
            return value.isoformat(timespec="microseconds") + "Z"
        case bytes():
            try:
                return value.decode("utf-8")
            except UnicodeDecodeError:
                return value.hex()
        case decimal.Decimal():
            return int(value) if value == value.to_integral_value() else float(value)
        case _:
            return str(value)
