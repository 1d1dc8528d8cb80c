"""EQL's functions of lists with a condition on their elements: ``arraySearch(list, x, x.a == 1)``.

A test of a list holds here where it holds for an element, and so does one of what stands below all
elements. So the condition may be one test of the element, tests with ``or`` between them, and tests
of other fields beside it. Two tests of one element with ``and``, and the negation of one, would be
asked of different elements; they are refused.
"""

from __future__ import annotations

from collections.abc import Iterator

from ... import ir
from ...diagnostics import Span
from ..query import unsupported


def element(of: ir.Value, below: tuple[str, ...]) -> ir.Value:
    """What stands below all elements of a list, at a path; the elements themselves where there is
    none.

    >>> element(ir.Field("a"), ("b", "c")).arguments[1]
    Constant(value='b.c')
    """
    return ir.Call("values_at", (of, ir.Constant(".".join(below)))) if below else of


def searched(of: ir.Value, condition: ir.Condition, span: Span) -> ir.Condition:
    """The test that a condition holds for an element of a list. Raises `Refusal`."""
    made = ir.simplify(condition)
    match made:
        case ir.Truth(True):
            return ir.Not(ir.IsNull(of, span))
        case ir.Truth():
            return made
        case _:
            pass
    if not _is_of_one_test(made, of):
        note = "a test of a list here holds where it holds for any element"
        raise unsupported(
            "several tests of one element of a list, or the negation of one", span, note
        )
    return made


def _is_of_one_test(condition: ir.Condition, of: ir.Value) -> bool:
    match condition:
        case ir.And(items):
            return sum(_reads(item, of) for item in items) <= 1 and all(
                _is_of_one_test(item, of) for item in items
            )
        case ir.Or(items):
            return all(_is_of_one_test(item, of) for item in items)
        case ir.Not() | ir.IsTrue() | ir.IsNull():
            return not _reads(condition, of)
        case _:
            return sum(of in _parts(value) for value in _values(condition)) <= 1


def _reads(condition: ir.Condition, of: ir.Value) -> bool:
    return any(of in _parts(value) for value in _values(condition))


def _values(condition: ir.Condition) -> Iterator[ir.Value]:
    for atom in ir.atoms(condition):
        yield from ir.values_of(atom)


def _parts(value: ir.Value) -> list[ir.Value]:
    return list(ir.values_in(value))
