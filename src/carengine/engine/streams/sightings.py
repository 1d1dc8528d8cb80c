"""What rows of events tell of, and rows of one happening put together: the plain way.

Of each happening the records are taken in the order of their times, and each goes with the earliest
one before it that is near enough and has no record of that sensor yet. So two starts of one process
id stay two, whatever lies between them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from attrs import evolve

from ...fieldmap import Sighting
from .rows import EventRow, GroupRow, JoinRow, Occurrence, RecordRow, Row, order_of


def occurrence_of(row: Row) -> Occurrence | None:
    """The event that a row of a stage is made of."""
    match row:
        case EventRow(occurrence):
            return occurrence
        case RecordRow():
            return occurrence_of(row.base)
        case JoinRow() | GroupRow():
            return None


def sighting_of(row: Row) -> Sighting | None:
    """What the event of a row tells of, if others may tell of it too."""
    occurrence = occurrence_of(row)
    return None if occurrence is None else occurrence.sighting


def known(row: Row) -> Sighting:
    """What the event of a row tells of, where others may tell of it too."""
    sighting = sighting_of(row)
    assert sighting is not None
    return sighting


def order(row: Row) -> tuple[Any, ...]:
    """The order in which records of one happening are taken."""
    return (known(row).time, order_of(row))


def with_others(rows: Sequence[Row]) -> Row:
    """The row that stands for rows of one happening, one of each sensor."""
    first, *others = sorted(rows, key=lambda row: (known(row).rank, known(row).sensor))
    seen = tuple(one for row in others if (one := occurrence_of(row)) is not None)
    return _naming(first, seen) if seen else first


def _naming(row: Row, also: tuple[Occurrence, ...]) -> Row:
    match row:
        case EventRow():
            return evolve(row, also=also)
        case RecordRow():
            return evolve(row, base=_naming(row.base, also))
        case JoinRow() | GroupRow():
            return row


def near(first: Sighting, second: Sighting) -> bool:
    """Whether two records of one happening are near enough in time."""
    return abs(second.time - first.time) <= min(first.within, second.within)


def merged(rows: Iterable[Row]) -> Iterator[Row]:
    """The rows with those of one happening put together: the reference for `merging.MergeNode`."""
    open_: dict[str, list[list[Row]]] = {}
    timed: list[Row] = []
    for row in rows:
        if sighting_of(row) is None or row.time is None:
            yield row
        else:
            timed.append(row)
    for row in sorted(timed, key=order):
        own = known(row)
        groups = open_.setdefault(own.key, [])
        for group in groups:
            if near(known(group[0]), own) and all(
                known(other).sensor != own.sensor for other in group
            ):
                group.append(row)
                break
        else:
            groups.append([row])
    for groups in open_.values():
        yield from map(with_others, groups)
