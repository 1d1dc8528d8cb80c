"""Numbers and times: which values a set of comparisons leaves.

Every comparison of numbers or times that the language can write is a *difference*: ``port > 10``,
``a.time < b.time + 1 second``, ``time >= now - 1 day``. Over variables (fields, ``now``, and zero
for constants) each says ``x - y <= c`` or ``x - y < c``, and a set of such has a solution exactly
when no circle of them adds up to less than nothing::

    time - now < -1 day,  now - time < 1 day        sum: 0 < 0, no solution

``Differences`` collects them, closes them under addition (shortest paths), and answers.
"""

from __future__ import annotations

import math
from collections.abc import Hashable

from attrs import frozen

from .. import ir
from ..ir import Relation, Type
from ..values import number_of

ZERO: Hashable = "zero"
NOW: Hashable = "now"
_MAX_VARIABLES = 40

Bound = tuple[int | float, bool]
"""``(c, strict)``: the difference is at most ``c``, or less than ``c`` where ``strict``."""


@frozen
class Term:
    """A variable and a number added to it."""

    variable: Hashable
    offset: int | float = 0


def term(value: ir.Value) -> Term | None:
    """A value as a variable and an offset; what is no sum of such is its own variable.

    None for a constant that is no number, and for null.
    """
    match value:
        case ir.Constant(constant):
            number = number_of(constant)
            return None if number is None else Term(ZERO, number)
        case ir.Moment(microseconds) | ir.Duration(microseconds):
            return Term(ZERO, microseconds)
        case ir.Now():
            return Term(NOW)
        case ir.Arithmetic("+" | "-" as sign, left, right):
            a, b = term(left), term(right)
            if a is not None and b is not None and b.variable == ZERO:
                return Term(a.variable, a.offset + (b.offset if sign == "+" else -b.offset))
            if a is not None and b is not None and a.variable == ZERO and sign == "+":
                return Term(b.variable, a.offset + b.offset)
        case _:
            # Anything else is a variable of its own.
            pass
    return Term(variable(value))


def variable(value: ir.Value) -> Hashable:
    """What a value is known by: a field by its name, its branch, and whether it is read as a
    time."""
    if isinstance(value, ir.Field):
        return value.source, value.name, value.type is Type.TIME
    return value


def less(a: Bound, b: Bound) -> bool:
    """Whether a bound says more than another."""
    return a[0] < b[0] or (a[0] == b[0] and a[1] and not b[1])


class Differences:
    """A set of ``x - y <= c``."""

    def __init__(self) -> None:
        self.bounds: dict[tuple[Hashable, Hashable], Bound] = {}
        self.unequal: list[tuple[Term, Term]] = []
        self.variables: dict[Hashable, None] = {ZERO: None}

    def add(self, left: Term, relation: Relation, right: Term, *, integer: bool = False) -> None:
        """Record that a comparison is true. With ``integer`` the variable holds whole numbers
        only."""
        x, y = left.variable, right.variable
        distance = right.offset - left.offset
        match relation:
            case Relation.LESS | Relation.LESS_EQUAL:
                strict = relation is Relation.LESS
                self._bound(x, y, *_whole(distance, strict, integer))
            case Relation.GREATER | Relation.GREATER_EQUAL:
                strict = relation is Relation.GREATER
                self._bound(y, x, *_whole(-distance, strict, integer))
            case Relation.EQUAL:
                self._bound(x, y, distance, False)
                self._bound(y, x, -distance, False)

    def add_unequal(self, left: Term, right: Term) -> None:
        """Record that two terms differ."""
        self.unequal.append((left, right))

    def _bound(self, x: Hashable, y: Hashable, most: int | float, strict: bool) -> None:
        self.variables.update({x: None, y: None})
        known = self.bounds.get((x, y))
        if known is None or less((most, strict), known):
            self.bounds[x, y] = (most, strict)

    def close(self) -> bool:
        """Add everything that follows. False where that is a contradiction."""
        if len(self.variables) > _MAX_VARIABLES:
            return True
        for middle in self.variables:
            into = [(x, b) for (x, y), b in self.bounds.items() if y == middle]
            out = [(y, b) for (x, y), b in self.bounds.items() if x == middle]
            for x, (first, first_strict) in into:
                for y, (second, second_strict) in out:
                    self._bound(x, y, first + second, first_strict or second_strict)
        for x in self.variables:
            most, strict = self.bounds.get((x, x), (0, False))
            if most < 0 or (most == 0 and strict):
                return False
        return not any(self._forced_equal(a, b) for a, b in self.unequal)

    def _forced_equal(self, left: Term, right: Term) -> bool:
        x, y, distance = left.variable, right.variable, right.offset - left.offset
        if x == y:
            return distance == 0 and any(x in pair for pair in self.bounds)
        return self.bounds.get((x, y), (math.inf, False)) == (distance, False) and self.bounds.get(
            (y, x), (math.inf, False)
        ) == (-distance, False)

    def most(self, x: Hashable, y: Hashable) -> Bound | None:
        """The bound on ``x - y``; None where there is none."""
        return (0, False) if x == y else self.bounds.get((x, y))


def _whole(most: int | float, strict: bool, integer: bool) -> Bound:
    """The bound, tightened to whole numbers where the variable holds no others."""
    if not integer or not math.isfinite(most):
        return most, strict
    if strict:
        return math.ceil(most) - 1, False
    return math.floor(most), False
