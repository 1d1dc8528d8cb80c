"""What the logs of some field maps can hold, so that programs can be compared on these logs alone.

A query in Splunk's language is about Sysmon's logs, and Sysmon knows nothing of
``file/acl_modify``. ``Logs`` says which kinds of events the maps give, which fields each kind has,
and which fields are the last part of another one there::

    logs_of(find_maps("sysmon.flat")).kinds[EventKind("registry", "value_edit")]
        GivenFields(fields={"key", "value", "data", …}, bases={"value": "key"})

On such logs a condition on a field that they do not give is one on null.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from attrs import field, frozen

from .. import ir
from ..datamodel import model
from ..fieldmap import CarEvent, Entry, FieldMap
from ..pattern import fold


@frozen
class GivenFields:
    """What logs have of one kind of event: the names of fields, and each base name with the field
    that holds the path.

    ``bases`` are always the last part of their path, ``defaults`` where they are not given
    themselves.
    """

    fields: frozenset[str]
    bases: Mapping[str, str] = field(factory=dict, hash=False)
    defaults: Mapping[str, str] = field(factory=dict, hash=False)


@frozen
class Logs:
    """The logs of some maps: their names, and what they have of each kind of event."""

    names: tuple[str, ...]
    kinds: Mapping[ir.EventKind, GivenFields] = field(hash=False)

    def holds(self, event: CarEvent) -> bool:
        """Whether such logs can hold an event: its kind, its fields, and base names that follow
        from their paths."""
        given = self.kinds.get(event.kind)
        if given is None or not all(_is_given(name, given.fields) for name in event.fields):
            return False
        for name, path in given.bases.items():
            if name in event.fields:
                whole = str(event.fields.get(path, "")).replace("/", "\\")
                if fold(whole.rpartition("\\")[2]) != fold(str(event.fields[name])):
                    return False
        return True

    def common(self, other: Logs) -> Logs:
        """What both these logs and others can hold."""
        kinds = {
            kind: GivenFields(
                given.fields & theirs.fields,
                {**given.bases, **theirs.bases},
                {**given.defaults, **theirs.defaults},
            )
            for kind, given in self.kinds.items()
            if (theirs := other.kinds.get(kind)) is not None
        }
        return Logs((*self.names, *(n for n in other.names if n not in self.names)), kinds)

    def seen(
        self, conditions: Mapping[ir.EventKind, ir.Condition]
    ) -> dict[ir.EventKind, ir.Condition]:
        """The conditions for the kinds that the logs have, with what these lack as null."""
        made: dict[ir.EventKind, ir.Condition] = {}
        for kind, condition in conditions.items():
            given = self.kinds.get(kind)
            if given is None:
                continue
            seen = ir.simplify(_without(condition, given.fields))
            if seen not in (ir.Truth(False), ir.Truth(None)):
                made[kind] = seen
        return made


def logs_of(maps: Iterable[FieldMap]) -> Logs:
    """The logs of field maps."""
    several = tuple(maps)
    by_kind: dict[ir.EventKind, list[Entry]] = {}
    for fieldmap in several:
        for entry in fieldmap.entries:
            if entry.native is None:
                by_kind.setdefault(entry.kind, []).append(entry)
    kinds = {kind: _given(kind, entries) for kind, entries in by_kind.items()}
    return Logs(tuple(found.name for found in several), kinds)


def _given(kind: ir.EventKind, entries: list[Entry]) -> GivenFields:
    names = frozenset(name for entry in entries for name in entry.fields)
    bases = _common([_bases(entry) for entry in entries])
    defaults = _common([_defaults(entry) for entry in entries])
    spec = model().object(kind.object)
    own = (
        {}
        if spec is None
        else {n: f.base_name_of for n, f in spec.fields.items() if f.base_name_of}
    )
    # A base name follows from its path wherever there is one.
    derived = {name for name, path in own.items() if path in names}
    return GivenFields(names | derived, bases, defaults)


def _common(found: list[dict[str, str]]) -> dict[str, str]:
    """What all entries say."""
    first, *others = found
    return {k: v for k, v in first.items() if all(other.get(k) == v for other in others)}


def _bases(entry: Entry) -> dict[str, str]:
    """The fields that are the last part of what another field is."""
    whole = {value: name for name, value in entry.fields.items()}
    return {
        name: whole[inner]
        for name, value in entry.fields.items()
        if isinstance(value, ir.Call) and value.function == "basename"
        for inner in value.arguments
        if inner in whole
    }


def _defaults(entry: Entry) -> dict[str, str]:
    """The fields that are the last part of what another field is where the log does not have
    them."""
    whole = {value: name for name, value in entry.fields.items()}
    made: dict[str, str] = {}
    for name, value in entry.fields.items():
        match value:
            case ir.Call("first", (*_, ir.Call("basename", (inner,)))) if inner in whole:
                made[name] = whole[inner]
    return made


def _without(condition: ir.Condition, names: frozenset[str]) -> ir.Condition:
    """The condition where fields of other names are null."""

    def changed(atom: ir.Atom) -> ir.Condition:
        if all(_is_given(field.name, names) for field in ir.fields_of(atom)):
            return atom
        return ir.Truth(isinstance(atom, ir.IsNull) or None)

    return ir.map_atoms(condition, changed)


def _is_given(name: str, names: frozenset[str]) -> bool:
    return name in names or name == "time" or name.partition(".")[0] in names
