"""The rows of a join's bucket by a value that the condition orders.

``a.pid < b.ppid`` asks, for a new row of ``b``, for the rows of ``a`` with a lower pid. In a bucket
that has them in that order they are one stretch, and for ``!=`` they are all but those with one
value::

    order = Order(Inequality(ir.Relation.LESS, get_pid, get_ppid))
    order.add(time, row, entry)
    order.count(8)              how many rows may have a pid below 8
    order.rows(8, low, high)    those of them in a stretch of time, by time

A look-up leaves out only rows for which the inequality is not true, as `carengine.values.compare`
has it; it may give others, since the condition is looked at anyway. Numbers and texts have orders
of their own. Rows whose value is a list or a mapping are always given, those with none never.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Sequence
from operator import itemgetter
from typing import Any, Generic, TypeVar

from attrs import frozen

from ... import ir
from ...evaluate import EvalContext, value_of
from ...values import is_null, key_of, order_key
from .rows import Row

Entry = TypeVar("Entry")


class Loose:
    """Stands for a value that has no place in an order and may be in any relation."""


LOOSE = Loose()
UNREAD = Loose()
"""Stands for a value with no reading as the type: it differs from all, and has no order."""

Get = Callable[[Row], Any]
"""The value of a row as an order has it: a number or a folded text, `LOOSE`, `UNREAD`, or None
where no inequality with it is true."""


@frozen(eq=False)
class Inequality:
    """``looked_in RELATION bound``, each value read in a row of its branch; no relation stands for
    ``!=``."""

    relation: ir.Relation | None
    looked_in: Get
    bound: Get


Wanted = Sequence[tuple[Inequality, Any]]
"""Inequalities, with the values of the bound rows."""


def inequality(
    part: ir.Condition,
) -> tuple[ir.Value, ir.Relation | None, ir.Value, ir.Type] | None:
    """The sides of a condition that orders two values, and their relation (none for ``!=``)."""
    match part:
        case ir.Compare(left, relation, right, type_) if relation is not ir.Relation.EQUAL:
            return left, relation, right, type_
        case ir.Not(ir.Compare(left, ir.Relation.EQUAL, right, type_)):
            return left, None, right, type_
        case _:
            return None


def order_getter(value: ir.Value, type_: ir.Type, context: EvalContext) -> Get:
    """A function that gives a row's value as a pair: as ``!=`` compares it, and as an order does."""

    def get(row: Row) -> Any:
        found = value_of(value, row, context)
        if is_null(found):
            return None
        if isinstance(found, list | tuple | dict):
            return LOOSE, LOOSE
        key, place = key_of(found, type_), order_key(found, type_)
        return UNREAD if key is None else key, UNREAD if place is None else place

    return get


@frozen
class _OrderedBucket(Generic[Entry]):
    """Values of one kind in their order, and what stands at each."""

    keys: list[Any]
    items: list[tuple[int, int, Entry]]


class Order(Generic[Entry]):
    """Rows by the value that an inequality looks at."""

    __slots__ = ("_always", "_inequality", "_number", "_numbers", "_same", "_size", "_texts")

    def __init__(self, inequality: Inequality) -> None:
        self._inequality = inequality
        self._numbers: _OrderedBucket[Entry] = _OrderedBucket([], [])
        self._texts: _OrderedBucket[Entry] = _OrderedBucket([], [])
        self._same: dict[Any, list[tuple[int, int, Entry]]] = {}
        self._always: list[tuple[int, int, Entry]] = []
        self._number = 0
        self._size = 0

    def _read(self, time: int, row: Row, entry: Entry) -> tuple[Any, tuple[int, int, Entry]] | None:
        """The value of a row, and what is kept of it: its time and arrival, by which it is sorted."""
        self._number += 1
        found = self._inequality.looked_in(row)
        if found is None:
            return None
        value = found[self._inequality.relation is not None]
        return value, (time, self._number, entry)

    def fill(self, entries: Iterable[tuple[int, Any]]) -> None:
        """Take many rows, in the order of their times and arrival."""
        values = []
        for time, entry in entries:
            read = self._read(time, entry[0], entry)
            if read is None:
                continue
            if self._inequality.relation is None or isinstance(read[0], Loose):
                self._put(*read)
            else:
                values.append(read)
        for line, kind in ((self._numbers, False), (self._texts, True)):
            pairs = [pair for pair in values if isinstance(pair[0], str) is kind]
            pairs.sort(key=itemgetter(0))
            line.keys.extend(pair[0] for pair in pairs)
            line.items.extend(pair[1] for pair in pairs)

    def add(self, time: int, row: Row, entry: Entry) -> None:
        """Take one row more."""
        read = self._read(time, row, entry)
        if read is not None:
            self._put(*read)

    def _put(self, value: Any, item: tuple[int, int, Entry]) -> None:
        if value is LOOSE:
            self._always.append(item)
        elif self._inequality.relation is None:
            self._same.setdefault(value, []).append(item)
            self._size += 1
        elif value is not UNREAD:
            line = self._texts if isinstance(value, str) else self._numbers
            place = bisect_right(line.keys, value)
            line.keys.insert(place, value)
            line.items.insert(place, item)

    def count(self, bound: Any) -> int:
        """How many rows may stand in the relation to a bound row's value."""
        relation = self._inequality.relation
        value = bound[relation is not None]
        if value is LOOSE:
            return self._size + len(self._numbers.keys) + len(self._texts.keys) + len(self._always)
        if relation is None:
            same = () if value is UNREAD else self._same.get(value, ())
            return self._size - len(same) + len(self._always)
        _, start, end = self._stretch(value, relation)
        return end - start + len(self._always)

    def _stretch(self, value: Any, relation: ir.Relation) -> tuple[_OrderedBucket[Entry], int, int]:
        line = self._texts if isinstance(value, str) else self._numbers
        keys = line.keys
        if value is UNREAD:
            return line, 0, 0
        match relation:
            case ir.Relation.LESS:
                return line, 0, bisect_left(keys, value)
            case ir.Relation.LESS_EQUAL:
                return line, 0, bisect_right(keys, value)
            case ir.Relation.GREATER:
                return line, bisect_right(keys, value), len(keys)
            case _:
                return line, bisect_left(keys, value), len(keys)

    def rows(self, bound: Any, low: float, high: float) -> list[Entry]:
        """Those rows whose time is in a stretch, in the order of time and arrival."""
        relation = self._inequality.relation
        value = bound[relation is not None]
        found = list(self._always)
        if value is LOOSE:
            for line in (self._numbers, self._texts):
                found += line.items
            for items in self._same.values():
                found += items
        elif relation is None:
            for key, items in self._same.items():
                if key != value or value is UNREAD:
                    found += items
        else:
            line, start, end = self._stretch(value, relation)
            found += line.items[start:end]
        found = [item for item in found if low <= item[0] <= high]
        found.sort(key=itemgetter(0, 1))
        return [entry for _, _, entry in found]
