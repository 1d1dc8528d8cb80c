"""Conditions on fields that hold lists, in SQL.

A test of a list is true if it is true of one of its elements, false if it is false of all of them,
and unknown otherwise. Lists lie in a column of their own (`EventTable`), as JSON. A test becomes::

    CASE WHEN "Image json" IS NULL THEN the test of "Image"
         ELSE whether the test is true of an element of "Image json" END

What the functions of field maps make of a list is made of each element, so a test of
``basename(Image)`` goes the same way. Of values that choose between fields, ``first`` is taken
apart; where another one reads a list, a note says that the list counts as missing.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

from attrs import evolve

from ... import ir
from ...functions import FUNCTIONS
from .values import SqlExpression

if TYPE_CHECKING:
    from .expressions import SqlWriter

ELEMENT = "list element"
_AS_COLUMN = "a list or a mapping in {} counts as missing in what is joined, grouped or selected"
_SIMPLIFIED = "a list or a mapping in {} counts as missing in this test"


def condition_on_lists(writer: SqlWriter, atom: ir.Atom) -> str | None:
    """The SQL of an atom whose fields hold lists, NULL exactly where it is unknown; None where none
    of them does."""
    leaves = _listed(writer, ir.values_of(atom))
    if not leaves:
        return None
    apart = _apart(writer, atom)
    if apart is not None:
        return writer.condition(apart, exact=True)
    values = ir.values_of(atom)
    over = [value for value in values if _listed(writer, (value,))]
    if len(leaves) > 1 or len(over) > 1 or not _each_by_itself(over[0], leaves[0]):
        names = ", ".join(sorted({writer.events.name_of(leaf) for leaf in leaves}))
        writer.findings.differs(_SIMPLIFIED.format(names), getattr(atom, "span", None))
        return None
    return _over_elements(writer, atom, over[0], leaves[0])


def note_lists(writer: SqlWriter, value: ir.Value) -> None:
    """Note that lists in a column count as missing, where a value reads fields that hold some."""
    leaves = _listed(writer, (value,))
    if leaves:
        names = ", ".join(sorted({writer.events.name_of(leaf) for leaf in leaves}))
        writer.findings.differs(_AS_COLUMN.format(names))


def _over_elements(writer: SqlWriter, atom: ir.Atom, value: ir.Value, leaf: ir.Raw) -> str | None:
    any_of_list = writer.dialect.any_of_list
    if any_of_list is None:
        name = writer.events.name_of(leaf)
        writer.findings.differs(_SIMPLIFIED.format(name), getattr(atom, "span", None))
        return None
    structure = writer.events.lists(leaf)
    assert structure is not None
    element = writer.name(ELEMENT)
    inner = evolve(
        writer,
        column=lambda found: (
            SqlExpression(element)
            if isinstance(found, ir.Raw) and found.path == leaf.path
            else writer.column(found)
        ),
        with_lists=False,
    )
    plain = evolve(writer, with_lists=False)
    kept = "TRUE"
    if leaf.empty:
        texts = ", ".join(writer.literal(text) for text in leaf.empty)
        kept = f"({element} IS NULL OR {element} NOT IN ({texts}))"
    if isinstance(value, ir.Call) or isinstance(atom, ir.Occurs):
        # What has no text is in no text, and what a function makes nothing of is left out.
        kept = f"({kept} AND {inner.value(value).sql} IS NOT NULL)"
    scalar = plain.condition(atom, exact=True)
    if isinstance(atom, ir.IsNull):
        some = f"COALESCE({any_of_list(structure, 'TRUE', kept)}, FALSE)"
        mapping = writer.literal("{}")
        whole = "" if isinstance(value, ir.Call) else f" AND {structure} <> {mapping}"
        listed = f"NOT {some}{whole}"
    else:
        listed = any_of_list(structure, inner.condition(atom, exact=True), kept)
    return f"CASE WHEN {structure} IS NULL THEN {scalar} ELSE {listed} END"


def _listed(writer: SqlWriter, values: tuple[ir.Value, ...]) -> list[ir.Raw]:
    """The fields with lists that values read, each once; whether one is there asks for no list."""
    found: dict[tuple[str, ...], ir.Raw] = {}
    for value in values:
        for leaf in _leaves(value):
            if leaf.path not in found and writer.events.lists(leaf) is not None:
                found[leaf.path] = leaf
    return list(found.values())


def _leaves(value: ir.Value) -> Iterator[ir.Raw]:
    # A list is no number: arithmetic makes null of it, as of a column that is NULL.
    if isinstance(value, ir.Presence | ir.Arithmetic):
        return
    if isinstance(value, ir.Raw):
        yield value
    for part in ir.operands(value):
        yield from _leaves(part)


def _each_by_itself(value: ir.Value, leaf: ir.Raw) -> bool:
    """Whether a value of a list is made of the values of its elements."""
    match value:
        case ir.Raw(path, _, type_):
            return path == leaf.path and type_ is not ir.Type.TIME
        case ir.Call(function, (first, *rest), type_) if FUNCTIONS[function].strict:
            others = (inner for argument in rest for inner in _leaves(argument))
            alone = all(inner.path != leaf.path for inner in others)
            return type_ is not ir.Type.TIME and alone and _each_by_itself(first, leaf)
        case _:
            return False


def _apart(writer: SqlWriter, atom: ir.Atom) -> ir.Condition | None:
    """An atom over ``first`` as one condition for each of its arguments; None where it has none."""
    chosen = next(
        (
            call
            for value in ir.values_of(atom)
            for call in ir.values_in(value)
            if isinstance(call, ir.Call)
            and call.function == "first"
            and call.type is not ir.Type.TIME
            and _listed(writer, (call,))
        ),
        None,
    )
    if chosen is None:
        return None
    nulls: tuple[ir.Condition, ...] = ()
    cases: list[ir.Condition] = []
    for argument in chosen.arguments:
        test = ir.rewrite_operands(atom, partial(_with, chosen, argument))
        missing = ir.IsNull(argument)
        cases.append(ir.And((*nulls, ir.Not(missing), test)))
        nulls = (*nulls, missing)
    cases.append(ir.And((*nulls, ir.Truth(isinstance(atom, ir.IsNull) or None))))
    return ir.simplify(ir.Or(tuple(cases)))


def _with(chosen: ir.Value, argument: ir.Value, value: ir.Value) -> ir.Value:
    """The value with ``argument`` in the place of ``chosen``."""
    if value == chosen:
        return argument
    match value:
        case ir.Call(_, arguments):
            return evolve(value, arguments=tuple(_with(chosen, argument, a) for a in arguments))
        case ir.Arithmetic(sign, left, right):
            parts = (_with(chosen, argument, part) for part in (left, right))
            return ir.Arithmetic(sign, *parts)
        case ir.Presence(of):
            return ir.presence_of(_with(chosen, argument, of))
        case _:
            return value
