"""From three truth values to two: what the parts of a condition have to be for the whole to be so.

A condition is true, false or unknown. Whoever evaluates, translates or reasons about one asks a
question that has two answers: *is it true?* Under ``not`` that becomes *is it false?*, which is not
the same as *is it not true?*, since what is unknown is neither. A `Goal` is one of these four
questions, and `demand` distributes it over one connective::

    demand(Not(a), Goal.TRUE)          a has to be false
    demand(And((a, b)), Goal.FALSE)    one of a and b has to be false
    demand(IsTrue(a), Goal.FALSE)      a has to be not true: false, or unknown

The compiled matcher, the translations and the solver all go this way.
"""

from __future__ import annotations

import enum

from attrs import frozen

from .nodes import And, Atom, Condition, IsTrue, Not, Or, Truth


class Goal(enum.Enum):
    """What a condition has to be: one question about its three truth values."""

    TRUE = "true"
    FALSE = "false"
    NOT_TRUE = "not true"
    NOT_FALSE = "not false"

    @property
    def opposite(self) -> Goal:
        """The goal that is met where this one is not.

        >>> Goal.TRUE.opposite
        <Goal.NOT_TRUE: 'not true'>
        """
        return _OPPOSITE[self]

    @property
    def under_not(self) -> Goal:
        """What the item of a ``not`` has to be for the whole to meet this goal.

        >>> Goal.TRUE.under_not
        <Goal.FALSE: 'false'>
        """
        return _UNDER_NOT[self]

    @property
    def allowed(self) -> tuple[bool | None, ...]:
        """The truth values that meet the goal.

        >>> Goal.NOT_TRUE.allowed
        (False, None)
        """
        return _ALLOWED[self]

    @property
    def is_positive(self) -> bool:
        """Whether more truth helps to meet the goal: ``and`` then asks for all of its items."""
        return self is Goal.TRUE or self is Goal.NOT_FALSE


_OPPOSITE = {
    Goal.TRUE: Goal.NOT_TRUE,
    Goal.FALSE: Goal.NOT_FALSE,
    Goal.NOT_TRUE: Goal.TRUE,
    Goal.NOT_FALSE: Goal.FALSE,
}
_UNDER_NOT = {
    Goal.TRUE: Goal.FALSE,
    Goal.FALSE: Goal.TRUE,
    Goal.NOT_TRUE: Goal.NOT_FALSE,
    Goal.NOT_FALSE: Goal.NOT_TRUE,
}
_ALLOWED: dict[Goal, tuple[bool | None, ...]] = {
    Goal.TRUE: (True,),
    Goal.FALSE: (False,),
    Goal.NOT_TRUE: (False, None),
    Goal.NOT_FALSE: (True, None),
}

Wish = tuple[Condition, Goal]
"""A condition and what it has to be."""


@frozen
class EveryOf:
    """All of these conditions have to meet the goal."""

    items: tuple[Condition, ...]
    goal: Goal

    @property
    def opposite(self) -> OneOf:
        """What holds where this does not."""
        return OneOf(self.items, self.goal.opposite)


@frozen
class OneOf:
    """One of these conditions has to meet the goal."""

    items: tuple[Condition, ...]
    goal: Goal

    @property
    def opposite(self) -> EveryOf:
        """What holds where this does not."""
        return EveryOf(self.items, self.goal.opposite)


@frozen
class Decided:
    """The goal is met, or missed, whatever the event."""

    met: bool


@frozen
class AtomGoal:
    """The atom has to meet the goal."""

    atom: Atom
    goal: Goal

    @property
    def opposite(self) -> AtomGoal:
        """What holds where this does not."""
        return AtomGoal(self.atom, self.goal.opposite)


Demand = EveryOf | OneOf | Decided | AtomGoal


def demand(condition: Condition, goal: Goal) -> Demand:
    """What a goal for a condition asks of the conditions inside it.

    ``not`` and ``is true`` are gone through, so that what is left is "all of", "one of", an atom,
    or decided.

    >>> demand(Not(Truth(None)), Goal.NOT_TRUE)
    Decided(met=True)
    """
    match condition:
        case And(items):
            return EveryOf(items, goal) if goal.is_positive else OneOf(items, goal)
        case Or(items):
            return OneOf(items, goal) if goal.is_positive else EveryOf(items, goal)
        case Not(item):
            return demand(item, goal.under_not)
        case IsTrue(item):
            # It is never unknown: "not false" is "true", and "false" is "not true".
            return demand(item, Goal.TRUE if goal.is_positive else Goal.NOT_TRUE)
        case Truth(value):
            return Decided(value in goal.allowed)
        case _:
            return AtomGoal(condition, goal)


def is_missed(condition: Condition, goal: Goal) -> bool:
    """Whether a condition misses a goal whatever its atoms are.

    >>> is_missed(And((Truth(None), Or(()))), Goal.TRUE), is_missed(Not(Truth(False)), Goal.TRUE)
    (True, False)
    """
    match demand(condition, goal):
        case Decided(met):
            return not met
        case EveryOf(items, of):
            return any(is_missed(item, of) for item in items)
        case OneOf(items, of):
            return all(is_missed(item, of) for item in items)
        case AtomGoal():
            return False
