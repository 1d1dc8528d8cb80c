"""Aggregates: one value from many.

``aggregate`` computes one over finished values in the order of their rows; it is what groups are
computed with when they close, and what the reference uses everywhere. A ``Running`` takes values
one at a time, in any order, and comes to the same; it is what aggregates over a whole stream are
computed with while events go by. Both are exact: sums are kept as fractions and rounded once, so
that no order of arrival can shift a result.

===========================  ====================================================================
``count`` of rows             how many rows ``count`` of a value          how many rows have one (a
list counts once, null never) ``distinct_count``            how many different values, letters' case
ignored, lists element by element ``min``, ``max``              of the values that can be read as
the type; where the type is not known, as
                              numbers if all are numbers and as folded text otherwise
``sum``, ``average``          of the values that are numbers; null where there is none
``standard_deviation``        of a sample (n - 1), as `stdev` in Splunk and STDDEV in SQL; null
below two ``percentile``                of the values that are numbers, in proportion between two of
them; null where there is none ``values``                    the different values, in the order of
the rows
===========================  ====================================================================
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from typing import Any

from attrs import define, field

from ... import ir
from ...pattern import fold
from ...values import elements, key_of, number_of, text_of
from .rows import cell

_NUMERIC = (ir.Type.INTEGER, ir.Type.NUMBER, ir.Type.TIME, ir.Type.DURATION)


def aggregate(
    function: str, values: Iterable[Any], type_: ir.Type, argument: float | None = None
) -> Any:
    """An aggregate over the values of rows, None for null, in the rows' order.

    ``argument`` is the percentage of a percentile; without one it is the median.

    >>> aggregate("average", [1, "2", None, "x"], ir.Type.ANY)
    1.5
    >>> aggregate("values", ["B", "a", "b"], ir.Type.TEXT)
    ['B', 'a']
    """
    match function:
        case "count":
            return sum(bool(elements(value)) for value in values)
        case "distinct_count":
            return len({cell(x, type_) for value in values for x in elements(value)})
        case "values":
            first: dict[Any, Any] = {}
            for value in values:
                for item in elements(value):
                    first.setdefault(cell(item, type_), item)
            return list(first.values())
        case "min" | "max":
            return _extreme(function, [x for v in values for x in elements(v)], type_)
        case _:
            numbers = [
                n for v in values for x in elements(v) if (n := number_in(x, type_)) is not None
            ]
            if function == "percentile":
                ordered = sorted(map(Fraction, numbers))
                return percentile_of(ordered, 50 if argument is None else argument)
            return moment_of(
                function,
                len(numbers),
                sum(map(Fraction, numbers), Fraction()),
                sum((Fraction(n) ** 2 for n in numbers), Fraction()),
            )


def number_in(value: Any, type_: ir.Type) -> int | float | None:
    """A value as a number of a type; None for what is none."""
    return number_of(value, hexadecimal=type_ is ir.Type.INTEGER)


def moment_of(function: str, count: int, total: Fraction, squares: Fraction) -> int | float | None:
    """Sum, average or deviation from the count, the sum and the sum of squares."""
    if not count or (function == "standard_deviation" and count < 2):
        return None
    try:
        match function:
            case "sum":
                return int(total) if total.denominator == 1 else float(total)
            case "average":
                mean = total / count
                return int(mean) if mean.denominator == 1 else float(mean)
            case _:
                return math.sqrt((squares - total * total / count) / (count - 1))
    except OverflowError:
        return None


def percentile_of(ordered: Sequence[Fraction], percentage: float) -> int | float | None:
    """The value below which so many percent of the numbers lie; between two of them, in
    proportion. ``ordered`` is sorted; null where there is none."""
    if not ordered:
        return None
    place = Fraction(percentage) / 100 * (len(ordered) - 1)
    below = math.floor(place)
    above = min(below + 1, len(ordered) - 1)
    found = ordered[below] + (place - below) * (ordered[above] - ordered[below])
    return int(found) if found.denominator == 1 else float(found)


def _extreme(function: str, values: Sequence[Any], type_: ir.Type) -> Any:
    choose = min if function == "min" else max
    if type_ in _NUMERIC:
        read = [number for value in values if (number := key_of(value, type_)) is not None]
        return choose(read, default=None)
    numbers = [number_of(value) for value in values]
    if type_ is ir.Type.ANY and None not in numbers:
        return choose((n for n in numbers if n is not None), default=None)
    texts = [text for value in values if (text := text_of(value)) is not None]
    # Of texts that differ in case only, one is taken whatever the order.
    return choose(texts, key=lambda text: (fold(text), text), default=None)


@define
class Running:
    """An aggregate that takes values as they come.

    ``order`` is the row's place in the canonical order; only ``values`` looks at it. What is held
    is bounded by the number of different values; ``held`` tells it.
    """

    function: str
    type: ir.Type
    rows: int = 0
    count: int = 0
    total: Fraction = field(factory=Fraction)
    squares: Fraction = field(factory=Fraction)
    number: int | float | None = None
    text: str | None = None
    only_numbers: bool = True
    first: dict[Any, tuple[Any, Any]] = field(factory=dict)

    def add(self, value: Any, order: Any) -> None:
        """Take in a row's value; None for null."""
        found = elements(value)
        self.rows += bool(found)
        for place, item in enumerate(found):
            match self.function:
                case "distinct_count" | "values":
                    self._appear(item, (order, place))
                case "min" | "max":
                    self._compare(item)
                case "sum" | "average" | "standard_deviation":
                    self._sum(item)
                case _:
                    pass

    def _appear(self, item: Any, order: Any) -> None:
        key = cell(item, self.type)
        known = self.first.get(key)
        if known is None or (self.function == "values" and order < known[0]):
            self.first[key] = (order, item)

    def _sum(self, item: Any) -> None:
        number = number_in(item, self.type)
        if number is not None:
            self.count += 1
            self.total += Fraction(number)
            self.squares += Fraction(number) ** 2

    def _compare(self, item: Any) -> None:
        number = key_of(item, self.type) if self.type in _NUMERIC else number_of(item)
        if number is None:
            self.only_numbers = False
        else:
            known = [number] if self.number is None else [number, self.number]
            self.number = _extreme(self.function, known, ir.Type.NUMBER)
        if self.type not in _NUMERIC and (text := text_of(item)) is not None:
            texts = [text] if self.text is None else [text, self.text]
            self.text = _extreme(self.function, texts, ir.Type.TEXT)

    @property
    def held(self) -> int:
        """How many values are kept."""
        return len(self.first)

    @property
    def value(self) -> Any:
        """What it comes to so far."""
        match self.function:
            case "count":
                return self.rows
            case "distinct_count":
                return len(self.first)
            case "values":
                ordered = sorted(self.first.values(), key=lambda pair: pair[0])
                return [item for _, item in ordered]
            case "min" | "max":
                numeric = self.type in _NUMERIC
                if numeric or (self.type is ir.Type.ANY and self.only_numbers):
                    return self.number
                return self.text
            case _:
                return moment_of(self.function, self.count, self.total, self.squares)

    def save(self, key: Callable[[Any], Any]) -> Any:
        """What it holds as plain data; ``key`` makes plain data of a value that was compared."""
        first = [[key(found), *pair] for found, pair in self.first.items()]
        sums = [str(self.total), str(self.squares)]
        return [self.rows, self.count, sums, self.number, self.text, self.only_numbers, first]

    def load(self, data: Any, key: Callable[[Any], Any]) -> None:
        """Take over what `save` gave."""
        match data:
            case [
                int(),
                int(),
                [str(), str()],
                int() | float() | None,
                str() | None,
                bool(),
                list(),
            ]:
                pass
            case _:
                raise ValueError("it is no state of an aggregate")
        self.rows, self.count, sums, self.number, self.text, self.only_numbers, first = data
        if any(type(number) is bool for number in data[:2]):
            raise ValueError("the counts of an aggregate are no numbers")
        self.total, self.squares = map(Fraction, sums)
        self.first = {key(found): (_tuples(order), item) for found, order, item in first}


def _tuples(data: Any) -> Any:
    return tuple(map(_tuples, data)) if isinstance(data, list) else data
