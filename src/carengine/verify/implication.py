"""That one condition implies another one, by their parts: a proof in which no event is looked for.

Two rules of which one was written from the other mostly consist of the same parts. What is in both
need not be searched for values::

    entails(a and b and not (c or d), a and not c, ...)      True

The rules of inference hold whatever the tests are: an "and" implies what one of its parts implies,
an "or" what all of its parts imply, and turned round below "not". Only single tests on one value
are put to the solver. True is a proof; False says nothing.
"""

from __future__ import annotations

from collections.abc import Callable

from .. import ir

_MOST_STEPS = 30_000


class Implication:
    """Answers about pairs of conditions. ``tests_imply`` decides it for two tests of one value."""

    def __init__(self, tests_imply: Callable[[ir.Condition, ir.Condition], bool]) -> None:
        self._tests_imply = tests_imply
        self._left = _MOST_STEPS
        # The conditions are kept, so that no other one gets their identity.
        self._known: dict[tuple[int, int], tuple[bool, ir.Condition, ir.Condition]] = {}

    def entails(self, mine: ir.Condition, other: ir.Condition) -> bool:
        """Whether it is proved that the other is true wherever mine is true."""
        key = (id(mine), id(other))
        known = self._known.get(key)
        if known is None:
            self._left -= 1
            known = (self._left > 0 and self._entails(mine, other), mine, other)
            self._known[key] = known
        return known[0]

    def _entails(self, mine: ir.Condition, other: ir.Condition) -> bool:
        if mine == other:
            return True
        # These lose nothing: what is taken apart is as strong as its parts together.
        match other:
            case ir.And(items):
                return all(self.entails(mine, item) for item in items)
            case ir.IsTrue(item):
                return self.entails(mine, item)
            case _:
                pass
        match mine:
            case ir.Or(items):
                return all(self.entails(item, other) for item in items)
            case ir.IsTrue(item):
                return self.entails(item, other)
            case ir.And(items):
                if other in items or any(self.entails(item, other) for item in items):
                    return True
            case _:
                pass
        match other:
            case ir.Or(items):
                return mine in items or any(self.entails(mine, item) for item in items)
            case ir.Not(ir.IsTrue(item)):
                return self._excludes(mine, item)
            case ir.Not() | ir.Truth():
                return False
            case _:
                return _is_test(mine) and self._test_follows(mine, other)

    def _excludes(self, mine: ir.Condition, other: ir.Condition) -> bool:
        """Whether it is proved that the other is not true wherever mine is true."""
        self._left -= 1
        if self._left <= 0:
            return False
        match other:
            case ir.Or(items):
                return all(self._excludes(mine, item) for item in items)
            case ir.IsTrue(item):
                return self._excludes(mine, item)
            case _:
                pass
        match mine:
            case ir.Or(items):
                return all(self._excludes(item, other) for item in items)
            case ir.IsTrue(item):
                return self._excludes(item, other)
            case ir.And(items):
                if any(self._excludes(item, other) for item in items):
                    return True
            case ir.Not(ir.IsTrue(item)) | ir.Not(item):
                # The item is not true; were the other true, so would the item be.
                if self.entails(other, item):
                    return True
            case _:
                pass
        match other:
            case ir.And(items):
                return any(self._excludes(mine, item) for item in items)
            case _:
                return False

    def _test_follows(self, mine: ir.Condition, other: ir.Condition) -> bool:
        match mine, other:
            case ir.Match(value, patterns), ir.Match(same, wider) if value == same:
                if frozenset(patterns) <= frozenset(wider):
                    return True
            case _:
                pass
        # Where they test different values, the one says nothing of the other.
        if not frozenset(ir.values_of(mine)) & frozenset(ir.values_of(other)):
            return False
        return self._tests_imply(mine, other)


def _is_test(condition: ir.Condition) -> bool:
    return not isinstance(condition, ir.And | ir.Or | ir.Not | ir.IsTrue | ir.Truth)


def parts_of(condition: ir.Condition) -> tuple[ir.Condition, ...]:
    """Conditions that are all true exactly where this one is: the parts of "and", and of an "or"
    that is excluded.

    >>> a, b = (ir.IsNull(ir.Field(name)) for name in "ab")
    >>> len(parts_of(ir.And((a, ir.Not(ir.IsTrue(ir.Or((a, b))))))))
    3
    """
    match condition:
        case ir.And(items):
            return tuple(part for item in items for part in parts_of(item))
        case ir.Not(ir.IsTrue(ir.Or(items))):
            return tuple(ir.Not(ir.IsTrue(item)) for item in items)
        case _:
            return (condition,)
