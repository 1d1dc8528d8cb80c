"""A value that tells the events of one route apart: the sub-status of a logon, the id of a driver.

Where many rules fix one value to a few texts each, the events are told apart by it, and each part
has few rules left.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from attrs import frozen

from ... import ir
from .columns import opaque_paths, paths_in, single_value


@frozen
class Split:
    """A value that tells events of one route apart, and the atoms on it that matter."""

    value: ir.Value
    atoms: tuple[ir.Condition, ...]


# Splitting is worth it from so many stages on that fix the value, and from so many different tests
# of it.
_SPLIT_STAGES = 12
_SPLIT_ATOMS = 4


def split_by(
    conditions: Sequence[ir.Condition], asked: frozenset[tuple[str, ...]] = frozenset()
) -> Split | None:
    """The value that most of the conditions fix to a few texts or numbers, if that is many of them.

    Fewer will do for a value that is ``asked`` for already.
    """
    counts: dict[ir.Value, int] = {}
    for condition in conditions:
        for value in dict.fromkeys(_fixed(condition)):
            if opaque_paths(value):
                continue
            counts[value] = counts.get(value, 0) + 1
    chosen = max(counts, key=lambda value: counts[value], default=None)
    if chosen is None:
        return None
    free = paths_in(chosen) <= asked
    many = counts[chosen] >= max(_SPLIT_STAGES, len(conditions) // 4)
    # Every event has to be decoded for what splits it.
    if not free and not (many and len(paths_in(chosen)) == 1):
        return None
    atoms = tuple(
        dict.fromkeys(a for c in conditions for a in ir.atoms(c) if single_value(a) == chosen)
    )
    # A value that is compared in other ways too, or only in few, may have any number of values.
    fixed = all(isinstance(atom, ir.IsNull) or any(_fixed(atom)) for atom in atoms)
    return Split(chosen, atoms) if fixed and (free or len(atoms) >= _SPLIT_ATOMS) else None


def _fixed(condition: ir.Condition) -> Iterable[ir.Value]:
    """The values that a conjunction requires to be one of a few texts or numbers."""
    parts = condition.items if isinstance(condition, ir.And) else (condition,)
    for part in parts:
        match part:
            case ir.Match(value, patterns) if all(p.exact is not None for p in patterns):
                yield value
            case ir.Compare(value, ir.Relation.EQUAL, ir.Constant()):
                yield value
            case _:
                # Any other test leaves open which texts or numbers there can be.
                pass
