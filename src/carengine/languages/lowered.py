"""A rule in the terms of one log, ready to be written down in any language.

Every translator begins here. The program's streams that look at one event at a time become
``EntryView``s, one for each entry of the field map that can give such events::

    EntryView(kind=file/create,
         condition=Channel is Sysmon's and EventID = 11 and basename(TargetFilename) matches "lsass*.dmp" …,
         assigned=(), columns=None)

The condition tells all: whether the event has the shape, whether it is of the kind, and what the
rule asks. Where the caller says which raw fields the data has (``present``), all others are null,
and what follows from that is worked out: of ``first(EventID, EventId, EventCode)`` remains
``EventID``. That is exact, and it is necessary for languages in which a field that does not exist
is an error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Set
from typing import assert_never

from attrs import evolve, frozen

from .. import functions, ir
from ..diagnostics import CarError, Diagnostic, codes
from ..evaluate import decided
from ..fieldmap import (
    ECS,
    Entry,
    FieldMap,
    MapChoice,
    find_maps,
    installed_maps,
    lower,
    outcomes,
    with_ecs,
)
from ..functions import FUNCTIONS
from .event_table import EventTable

_NULL = ir.Constant(None)


@frozen
class Log:
    """The log that a rule is translated for.

    ``present`` names the raw fields that the data has, by their paths joined with dots (None: any
    field may be there). Without ``recognise``, queries take for granted that all events have the
    map's shape; ``shape`` is asked in the place of what the map recognises events by. ``table`` is there for queries over a table whose columns are known. What is not
    ``checked`` is not parsed in the product's grammar.
    """

    fieldmap: FieldMap
    present: frozenset[str] | None = None
    recognise: bool = True
    table: EventTable | None = None
    checked: bool = True
    shape: ir.Condition | None = None

    def settled(self, condition: ir.Condition) -> ir.Condition:
        """The condition with absent fields as null, and what is decided by that folded away."""
        return settle(ir.map_atoms(condition, self._flat), self._leaf)

    def settled_value(self, value: ir.Value) -> ir.Value:
        """The value with absent fields as null, and what is decided by that folded away."""
        return settle_value(value, self._leaf)

    def _flat(self, atom: ir.Atom) -> ir.Condition:
        """A mapping is there where one of its fields is: in flat data it is no field itself."""
        match atom:
            case ir.IsNull(ir.Raw(path) | ir.Presence(ir.Raw(path))) if self.present is not None:
                name = column_name(path)
                inner = sorted(one for one in self.present if one.startswith(f"{name}."))
                if name not in self.present and inner:
                    raws = (ir.Raw(tuple(one.split("."))) for one in inner)
                    return ir.conjunction(tuple(ir.IsNull(raw) for raw in raws))
            case _:
                pass
        return atom

    def _leaf(self, value: ir.Value) -> ir.Value:
        if not isinstance(value, ir.Raw):
            return value
        if self.table is not None:
            return _NULL if self.table.column(value.path) is None else value
        if self.present is not None and column_name(value.path) not in self.present:
            return _NULL
        return value

    def admission(self, entry: Entry) -> ir.Condition:
        """Whether an event is one of an entry's: it has the shape and is of the kind."""
        whole = self.fieldmap.recognise if self.shape is None else self.shape
        shape = whole if self.recognise else ir.Truth(True)
        return self.settled(ir.conjunction((shape, entry.when)))


def said_shape(recognise: ir.Condition) -> ir.Condition:
    """What events say of their shape by themselves: a channel, a source. The rest of what a map
    recognises them by asks only which fields there are.

    >>> a, b = (ir.Match(ir.Raw((name,)), ()) for name in "ab")
    >>> absent = ir.IsNull(ir.Raw(("c",)))
    >>> said_shape(ir.And((ir.Or((a, b, absent)), absent))) == ir.Or((a, b))
    True
    """
    match recognise:
        case ir.And(items) | ir.Or(items):
            kept = tuple(said_shape(item) for item in items if not _asks_presence(item))
            return ir.simplify(evolve(recognise, items=kept)) if kept else ir.Truth(True)
        case _:
            return ir.Truth(True) if _asks_presence(recognise) else recognise


def _asks_presence(condition: ir.Condition) -> bool:
    """Whether a condition asks only which fields there are."""
    return all(isinstance(atom, ir.IsNull | ir.Truth) for atom in ir.atoms(condition))


@frozen
class EntryView:
    """One kind of event of a stream, in the log's own fields. See the module's docstring."""

    entry: Entry
    condition: ir.Condition
    assigned: tuple[tuple[str, ir.Value], ...]
    columns: tuple[str, ...] | None

    @property
    def kind(self) -> ir.EventKind:
        """The CAR object and action."""
        return self.entry.kind


def log_of(
    choice: MapChoice,
    present: Iterable[str] | None,
    recognise: bool,
    kinds: Iterable[ir.EventKind] = (),
) -> tuple[Log, int]:
    """The one log shape that a choice of maps means, and how many shapes it could have meant; for
    rules that search for these ``kinds``."""
    maps = find_maps(choice)
    if ECS in kinds:
        maps = with_ecs(maps, installed_maps())
    if not maps:
        raise CarError([Diagnostic(codes.UNKNOWN_MAP, "no field map is given")])
    log = Log(maps[0], None if present is None else frozenset(present), recognise)
    return log, len(maps)


def views_of(stages: Iterable[ir.Stage], log: Log) -> tuple[EntryView, ...]:
    """The views of a stream: those entries whose events could pass, each with its whole condition."""
    made: dict[EntryView, None] = {}
    for stage in stages:
        for lowered in lower(stage, log.fieldmap):
            admitted = log.admission(lowered.entry)
            condition = ir.simplify(ir.And((admitted, log.settled(lowered.condition))))
            if True not in outcomes(condition):
                continue
            assigned = tuple((name, log.settled_value(value)) for name, value in lowered.assigned)
            made.setdefault(EntryView(lowered.entry, condition, assigned, lowered.columns))
    return tuple(made)


def why_nothing(stages: Iterable[ir.Stage], log: Log) -> str:
    """Why no event of a log can pass any of the stages, in words."""
    name = log.fieldmap.name
    searched = {kind for stage in stages for kind in stage.kinds}
    kinds = sorted(map(str, searched))
    ways = [lowered for stage in stages for lowered in lower(stage, log.fieldmap)]
    if not ways:
        elsewhere = _families_with(searched)
        hint = f"; the field map {' or '.join(elsewhere)} has" if elsewhere else ""
        return f"{name} has no {', '.join(kinds)}{hint}"
    if views_of(stages, evolve(log, present=None, table=None)):
        return f"no event with just these fields could be true for {', '.join(kinds)} of {name}"
    missing = sorted({field for lowered in ways for field in lowered.missing})
    if missing:
        return f"{name} gives no {', '.join(missing)} for {', '.join(kinds)}"
    return f"no event of {name} could be true for {', '.join(kinds)}"


def _families_with(kinds: Set[ir.EventKind]) -> tuple[str, ...]:
    """Families of field maps for logs that have events of all these kinds, three at the most."""
    made: dict[str, None] = {}
    for fieldmap in installed_maps():
        if fieldmap.name != "car" and kinds <= {entry.kind for entry in fieldmap.entries}:
            made.setdefault(fieldmap.family)
    return tuple(made)[:3]


def why_empty(plan: ir.Plan, log: Log) -> str:
    """Why a plan can have no rows over a log, or nothing where it can.

    A join is empty with one of its branches, a union with all of its parts.
    """
    stages = ir.as_stages(plan)
    if stages is not None:
        return "" if views_of(stages, log) else why_nothing(stages, log)
    match plan:
        case ir.Join(branches):
            reasons = [why_empty(branch.plan, log) for branch in branches]
            return next(filter(None, reasons), "")
        case ir.Sequence(steps):
            reasons = [why_empty(step.plan, log) for step in steps if not step.absent]
            return next(filter(None, reasons), "")
        case ir.Group(plans) | ir.Union(plans) | ir.Window(plans):
            reasons = [why_empty(part, log) for part in plans]
            return reasons[0] if all(reasons) else ""
        case ir.Aggregated(inner) | ir.Difference(inner):
            return why_empty(inner, log)
        case ir.Filter(inner) | ir.Assign(inner) | ir.Project(inner) | ir.Distinct(inner):
            return why_empty(inner, log)
        case ir.Search(kinds):
            return why_nothing((ir.Stage(kinds, ir.Truth(True)),), log)
        case _:
            assert_never(plan)


def column_name(path: tuple[str, ...]) -> str:
    """A raw field's name where events are flat: its keys, joined by dots.

    >>> column_name(("winlog", "event_data", "Image"))
    'winlog.event_data.Image'
    """
    return ".".join(path)


def raw_names(fieldmap: FieldMap) -> frozenset[str]:
    """The names of all raw fields that a map reads, as ``present`` takes them.

    >>> from carengine.fieldmap import find_maps
    >>> {"EventID", "EventCode", "Image"} <= raw_names(*find_maps("sysmon.flat"))
    True
    """
    found: set[str] = set()
    work: list[ir.Value] = []
    for entry in fieldmap.entries:
        work += entry.fields.values()
        for condition in (entry.when, fieldmap.recognise):
            work += (value for atom in ir.atoms(condition) for value in ir.values_of(atom))
    while work:
        value = work.pop()
        if isinstance(value, ir.Raw):
            found.add(column_name(value.path))
        work += ir.operands(value)
    return frozenset(found)


# Working out what is decided


def settle_value(value: ir.Value, leaf: Callable[[ir.Value], ir.Value]) -> ir.Value:
    """The value with its leaves replaced, and the calls that are then decided worked out."""
    match value:
        case ir.Call("member", (ir.Raw(path, empty), ir.Constant(str() as name)), type_):
            # In a flat table a member is a column of its own.
            return leaf(ir.Raw((*path, *name.split(".")), empty, type_))
        case ir.Call(function, arguments, type_):
            inner = tuple(settle_value(argument, leaf) for argument in arguments)
            return _called(function, inner, type_)
        case ir.Arithmetic(sign, left, right):
            a, b = settle_value(left, leaf), settle_value(right, leaf)
            return _NULL if _NULL in (a, b) else ir.Arithmetic(sign, a, b)
        case ir.Presence(of):
            return ir.presence_of(settle_value(of, leaf))
        case ir.Aggregate(function, inner) if inner is not None:
            return evolve(value, value=settle_value(inner, leaf))
        case _:
            return leaf(value)


def _called(function: str, arguments: tuple[ir.Value, ...], type_: ir.Type) -> ir.Value:
    match function, arguments:
        case "first", _:
            return _first(arguments, type_)
        case "choose", (ir.Constant(None), *_):
            return _NULL
        case _:
            pass
    known = FUNCTIONS.get(function)
    if known is not None:
        if all(isinstance(argument, ir.Constant) for argument in arguments):
            found = functions.call(
                function, [a.value for a in arguments if isinstance(a, ir.Constant)]
            )
            if found is None or isinstance(found, str | int | float):
                return ir.Constant(found)
        if known.strict and arguments and _NULL in arguments:
            return _NULL
    return ir.Call(function, arguments, type_)


def _first(arguments: tuple[ir.Value, ...], type_: ir.Type) -> ir.Value:
    kept: list[ir.Value] = []
    for argument in arguments:
        inner = (
            argument.arguments
            if isinstance(argument, ir.Call) and argument.function == "first"
            else (argument,)
        )
        kept += [value for value in inner if value != _NULL and value not in kept]
        if kept and isinstance(kept[-1], ir.Constant):
            break
    match kept:
        case []:
            return _NULL
        case [ir.Raw() | ir.Call() as only]:
            return evolve(only, type=type_) if type_ is not ir.Type.ANY else only
        case [only] if type_ is ir.Type.ANY:
            return only
        case _:
            return ir.Call("first", tuple(kept), type_)


def settle(condition: ir.Condition, leaf: Callable[[ir.Value], ir.Value]) -> ir.Condition:
    """The condition with its leaves replaced, and the atoms that are then decided folded away."""
    settled = ir.rewrite_operands(condition, lambda value: settle_value(value, leaf))
    return ir.simplify(decided(settled))
