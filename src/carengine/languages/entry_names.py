"""What the entries of field maps call the fields of events: a field map read backwards.

A query names the fields of a log. ``names_of_entries`` gives for each entry of a map which of CAR's
fields a name is, and what the entry's own condition allows it to be::

    Image        process/create: image_path        image/load: image_path
    EventID      process/create: 1                 image/load: 7
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import assert_never

from attrs import evolve, frozen

from .. import ir
from ..datamodel import model
from ..fieldmap import ECS, Entry, FieldMap
from ..functions import respells

_MOST_KNOWN = 256

Path_ = tuple[str, ...]
Plain = str | int | float | bool


@frozen
class EntryNames:
    """What an entry calls the native names: their CAR fields, and the constants that its own
    condition allows.

    ``place`` is the number of its field map. ``empty`` holds the texts by which the log says that
    it does not know a name's value, ``absent`` the verdict on a name's being missing, where the
    entry's condition reads it, ``computed`` the fields that are made of several names, and ``logs``
    the texts by which the map recognises its logs. ``qualified`` are fields for a host's full name,
    where a shorter one is among ``fields``. ``choices`` are the constants of ``allowed`` by the
    name's text, with None for a name that may be missing; equal ones are one object.
    """

    place: int
    entry: Entry
    fields: Mapping[Path_, ir.Field]
    allowed: Mapping[Path_, tuple[Plain, ...]]
    empty: Mapping[Path_, tuple[str, ...]]
    absent: Mapping[Path_, bool]
    computed: Mapping[ir.Value, ir.Field]
    logs: Mapping[Path_, tuple[Plain, ...]]
    qualified: Mapping[Path_, ir.Field]
    paths: frozenset[Path_]
    choices: Mapping[str, tuple[Plain | None, ...]]

    @classmethod
    def of(cls, place: int, fieldmap: FieldMap, entry: Entry) -> EntryNames:
        """The names of an entry."""
        spec = model().object(entry.kind.object)
        exact: dict[Path_, ir.Field] = {}
        near: dict[Path_, ir.Field] = {}
        qualified: dict[Path_, ir.Field] = {}
        empty: dict[Path_, tuple[str, ...]] = {}
        computed: dict[ir.Value, ir.Field] = {}
        own = {} if entry.native is None else entry.native.names
        for name, value in {**own, **entry.fields}.items():
            found = spec.field(name) if spec else None
            field = ir.Field(name, None, found.type if found else ir.Type.ANY)
            if isinstance(value, ir.Call):
                computed.setdefault(bare_value(value), field)
            for raw, spelt in _aliases(value):
                tier = qualified if _is_qualified(value) else near if spelt else exact
                tier.setdefault(raw.path, field)
                empty.setdefault(raw.path, raw.empty)
        allowed: dict[Path_, tuple[Plain, ...]] = {}
        absent: dict[Path_, bool] = {}
        for of, constants in _demands(entry.when):
            for raw, _ in _aliases(of):
                allowed.setdefault(raw.path, constants)
                absent.setdefault(raw.path, _default(of) in constants)
        logs: dict[Path_, tuple[Plain, ...]] = {}
        for of, constants in _mentions(fieldmap.recognise):
            for raw, _ in _aliases(of):
                logs[raw.path] = (*logs.get(raw.path, ()), *constants)
        found_fields = {**qualified, **near, **exact}
        paths = frozenset((*found_fields, *allowed))
        choices = {
            ".".join(path): _one_object((*constants, None) if absent[path] else constants)
            for path, constants in allowed.items()
            if constants
        }
        return cls(
            place,
            entry,
            found_fields,
            allowed,
            empty,
            absent,
            computed,
            logs,
            qualified,
            paths,
            choices,
        )


_CHOICES: dict[tuple[object, ...], tuple[Plain | None, ...]] = {}


def _one_object(constants: tuple[Plain | None, ...]) -> tuple[Plain | None, ...]:
    """The first of all equal tuples, by which they are told apart without comparing them."""
    # Equal constants of other types are others: 1 is not True.
    key = (constants, *map(type, constants))
    if len(_CHOICES) >= _MOST_KNOWN:
        return constants
    return _CHOICES.setdefault(key, constants)


_KNOWN: dict[tuple[int, int], tuple[FieldMap, tuple[EntryNames, ...]]] = {}


def names_of_entries(place: int, fieldmap: FieldMap) -> tuple[EntryNames, ...]:
    """The names of the entries of a field map, which is the one in a ``place`` among several: the
    same for all that is raised by it.

    >>> from ..fieldmap import find_maps
    >>> [sysmon] = find_maps("sysmon.flat")
    >>> len(names_of_entries(0, sysmon)) == len(sysmon.entries)
    True

    A log source whose events may have any name is left out.
    """
    # By identity, as a map is large; it is kept, so that no other one gets its identity.
    known = _KNOWN.get((place, id(fieldmap)))
    if known is None:
        if len(_KNOWN) >= _MOST_KNOWN:
            _KNOWN.clear()
        names = tuple(
            EntryNames.of(place, fieldmap, e) for e in fieldmap.entries if _lists_names(e)
        )
        known = _KNOWN[place, id(fieldmap)] = (fieldmap, names)
    return known[1]


def _lists_names(entry: Entry) -> bool:
    """Whether an entry says which names its events have: one that takes any name says nothing of a
    query."""
    return entry.native is None or (entry.native.prefix is None and entry.kind != ECS)


def _aliases(value: ir.Value) -> Iterator[tuple[ir.Raw, bool]]:
    """The native names that a value is the value of, and whether it spells it in its own way."""
    match value:
        case ir.Raw():
            yield value, False
        case ir.Call("first", arguments):
            for argument in arguments:
                yield from _aliases(argument)
        case ir.Call(function, (argument,)) if respells(function):
            yield from ((raw, True) for raw, _ in _aliases(argument))
        case ir.Call("unless", (ir.Raw() as raw, *rest)):
            # What the log writes for a value that it does not know.
            texts = (str(one.value) for one in rest if isinstance(one, ir.Constant))
            yield evolve(raw, empty=(*raw.empty, *texts)), False
        case ir.Call("choose", (argument, *table, rest)) if argument == rest:
            # Some of its texts are read as another one, or as null.
            yield from ((raw, True) for raw, _ in _aliases(argument) if len(table) % 2 == 0)
        case _:
            return


def _is_qualified(value: ir.Value) -> bool:
    """Whether a value is a host's name only where that is a full one, so that it is often null."""
    return isinstance(value, ir.Call) and value.function == "qualified"


def bare_value(value: ir.Value) -> ir.Value:
    """A value by the names in it alone, so that what two maps make in the same way is the same.

    >>> bare_value(ir.Field("a.b")) == bare_value(ir.Raw(("a", "b"), ("-",)))
    True
    """
    match value:
        case ir.Call(function, arguments):
            return ir.Call(function, tuple(map(bare_value, arguments)))
        case ir.Raw(path):
            return ir.Raw(path)
        case ir.Field(name):
            return ir.Raw(tuple(name.split(".")))
        case _:
            return value


def _default(value: ir.Value) -> Plain | None:
    """What a value is where none of the names in it is there."""
    match value:
        case ir.Call("first", (*_, ir.Constant(constant))):
            return constant
        case _:
            return None


def _mentions(recognise: ir.Condition) -> Iterator[tuple[ir.Value, tuple[Plain, ...]]]:
    """The values that a map's condition names as its logs' own, in any of its alternatives."""
    match recognise:
        case ir.And(items) | ir.Or(items):
            for item in items:
                yield from _mentions(item)
        case ir.Match() | ir.Compare():
            yield from _demands(recognise)
        case ir.Not() | ir.IsTrue() | ir.Truth() | ir.IsNull() | ir.Regex() | ir.InNetwork():
            return
        case ir.Occurs() | ir.RawMatch() | ir.RawRegex() | ir.Rank():
            return
        case _:
            assert_never(recognise)


def _demands(when: ir.Condition) -> Iterator[tuple[ir.Value, tuple[Plain, ...]]]:
    """What a condition demands of values: each with the constants that it may be."""
    match when:
        case ir.And(items):
            for item in items:
                yield from _demands(item)
        case ir.Or(items):
            parts = [list(_demands(item)) for item in items]
            if parts and all(len(part) == 1 and part[0][0] == parts[0][0][0] for part in parts):
                yield parts[0][0][0], tuple(c for part in parts for c in part[0][1])
        case ir.Compare(of, ir.Relation.EQUAL, ir.Constant(constant)) if constant is not None:
            yield of, (constant,)
        case ir.Match(of, patterns):
            texts = [pattern.exact for pattern in patterns]
            if all(text is not None for text in texts):
                yield of, tuple(text for text in texts if text is not None)
        case ir.Not() | ir.IsTrue() | ir.Truth() | ir.IsNull() | ir.Regex() | ir.InNetwork():
            return
        case ir.Compare() | ir.Occurs() | ir.RawMatch() | ir.RawRegex() | ir.Rank():
            return
        case _:
            assert_never(when)
