"""Equivalent conditions that are simpler."""

from __future__ import annotations

from .nodes import And, Atom, Condition, IsTrue, Not, Or, Truth
from .traversal import never_unknown


def simplify(condition: Condition) -> Condition:
    """An equivalent condition: nested connectives flattened, decided parts folded away."""
    # Most of what rules are made of are tests, and these two.
    match condition:
        case And(items):
            return _connect(And, items, absorbing=False)
        case Or(items):
            return _connect(Or, items, absorbing=True)
        case Not(item):
            inner = simplify(item)
            match inner:
                case Truth(value):
                    return Truth(None if value is None else not value)
                case Not(item):
                    return item
                case _:
                    return Not(inner)
        case IsTrue(item):
            inner = simplify(item)
            match inner:
                case Truth(value):
                    return Truth(value is True)
                case _:
                    # What is never unknown is true, or not, by itself.
                    return inner if never_unknown(inner) else IsTrue(inner)
        case _:
            undecided: Truth | Atom = condition
            return undecided


def _connect(
    kind: type[And] | type[Or], items: tuple[Condition, ...], *, absorbing: bool
) -> Condition:
    kept: dict[Condition, None] = {}
    for item in map(simplify, items):
        for part in item.items if isinstance(item, kind) else (item,):
            if not isinstance(part, Truth):
                kept.setdefault(part)
            elif part.value is absorbing:
                return part
            elif part.value is None:
                kept.setdefault(part)
    match list(kept):
        case []:
            return Truth(not absorbing)
        case [only]:
            return only
        case several:
            return kind(tuple(several))


def conjunction(items: tuple[Condition, ...]) -> Condition:
    """``And`` of any number of conditions, simplified."""
    return simplify(And(items))
