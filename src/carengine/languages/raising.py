"""From a query's own names to CAR's: a field map read backwards.

A field map says which events are which CAR object and action (``EventID = 11`` is ``file/create``)
and how each CAR field is made of native ones (``image_path: Image``). Lowering uses it to turn
CAR's names into a log's; here it goes the other way. For each of the map's entries, the query is
asked what it says of just these events::

    EventCode=11 Image="*\\taskmgr.exe"        in the entry file/create      true and image_path = "*\\taskmgr.exe"
                                               in the entry process/create   false

A test of what tells the entries apart is decided where the entry decides it. A native name that a
CAR field stands for as it is, or as one of several spellings of the same name, becomes that field.
Two kinds of names remain: those that the map knows for other events only, which are missing here
(CE954), and those that it does not know at all, which stay what they are and are read from the raw
event (CE953). The entries with the same condition become one search.

``raised`` and running a query under its own names agree on events that the map normalises; a test
holds them together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Set
from functools import cache, lru_cache
from pathlib import Path
from typing import assert_never

from attrs import evolve

from .. import ir
from ..diagnostics import Diagnostic, codes, ordered
from ..evaluate import NoContext, RawRow, holds
from ..fieldmap import Entry, FieldMap, find_maps, installed_maps
from ..pattern import Pattern
from ..values import number_of
from .entry_names import EntryNames, Plain, bare_value, names_of_entries
from .plan_parts import (
    columns_of,
    condition_on_search,
    shown_group,
    span_of,
    span_of_plan,
    with_columns,
)
from .query import QueryReading, Refusal, names_of, unsupported

_NO_CONTEXT = NoContext()
_OWN = Path(__file__).parent
_WINDOWS = ("sysmon", "eventlog")
_MAP_NAMES = {"kusto": "defender"}
_SOURCES = {
    "splunk": "windows",
    "sigma": "windows",
    "elastic": "ecs",
    "esql": "ecs",
    "lucene": "ecs",
}
_SOURCES["eql"] = "eql"
_FLAT_NAMES = tuple(f"{family}.flat" for family in _WINDOWS)


@cache
def maps_of(language: str) -> tuple[FieldMap, ...]:
    """The field maps whose names queries in a language use."""
    match language:
        case "splunk":
            flat = [found for found in installed_maps() if found.name in _FLAT_NAMES]
            own = (_OWN / "splunk" / "splunk_cim.yaml", _OWN / "splunk" / "splunk_windows.yaml")
            return (*flat, *(found for path in own for found in find_maps(path)))
        case "logpoint":
            return find_maps(_OWN / "logpoint" / "logpoint.yaml")
        case "sigma":
            return tuple(found for found in installed_maps() if found.name in _FLAT_NAMES)
        case "elastic" | "esql" | "lucene":
            return tuple(map(_for_queries, find_maps("ecs")))
        case _:
            return find_maps(_MAP_NAMES.get(language, language))


@cache
def source_maps_of(language: str) -> tuple[FieldMap, ...]:
    """The field maps that give the names of a language to log sources that CAR has no object for.

    >>> [str(entry.kind) for found in source_maps_of("eql") for entry in found.entries]
    ['windows/dns_query']
    """
    name = _SOURCES.get(language)
    return () if name is None else find_maps(_OWN / "log_sources" / f"{name}.yaml")


def _for_queries(fieldmap: FieldMap) -> FieldMap:
    """The map of ECS as queries mean it: what a request asks for is an event of the network, and
    the texts of a registry value are one."""

    def entry(one: Entry) -> Entry:
        when = one.when if one.kind.object != "http" else ir.conjunction((one.when, _OF_NETWORK))
        return evolve(one, when=when, fields={k: _first_text(v) for k, v in one.fields.items()})

    entries = tuple(entry(one) for one in fieldmap.entries if one.native is None)
    return evolve(fieldmap, entries=entries)


_NEVER = (ir.Truth(False), ir.Truth(None))
_OF_NETWORK = ir.Match(ir.Raw(("event", "category")), (Pattern("network"), Pattern("web")))
_TEXTS = ("registry", "data", "strings")


def _first_text(value: ir.Value) -> ir.Value:
    match value:
        case ir.Call("joined", (ir.Raw() as listed, *_)) if ".".join(listed.path) == ".".join(
            _TEXTS
        ):
            return listed
        case _:
            return value


def names_known(maps: Iterable[FieldMap]) -> frozenset[str]:
    """The native names that field maps give fields from, or tell events by.

    >>> "process_name" in names_known(maps_of("eql"))
    True
    """
    found: set[str] = set()
    for number, fieldmap in enumerate(maps):
        for names in names_of_entries(number, fieldmap):
            found.update(map(".".join, names.paths))
    return frozenset(found)


def raised(reading: QueryReading, maps: Iterable[FieldMap] | None = None) -> QueryReading:
    """The reading in CAR's names; without a program where that is not possible.

    ``maps`` are the field maps to read backwards; by default those of the language (`maps_of`).

    >>> from carengine.diagnostics import Block
    >>> from carengine.languages.eql.reader import read
    >>> made = raised(read(Block.of('process where subtype.create and process_name == "a.exe"')))
    >>> plan = made.program.outputs[0].plan
    >>> str(plan.plan.kinds[0]), plan.condition.value.name
    ('process/create', 'exe')
    """
    if reading.program is None or reading.raised:
        return reading
    known = maps_of(reading.language) if maps is None else tuple(maps)
    read = {tuple(n.split(".")) for o in reading.program.outputs for n in names_of(o.plan)}
    raising = _Raising(known, read)
    outputs = []
    places: set[int] = set()
    said = list(reading.diagnostics)
    try:
        for output in reading.program.outputs:
            raising.shown = shown_group(output.plan)
            plan, reached = raising.plan(output.plan)
            outputs.append(evolve(output, plan=plan))
            places |= {names.place for names in reached}
    except Refusal as refused:
        said.append(refused.diagnostic)
        return evolve(reading, program=None, diagnostics=ordered(said), raised=True)
    said += raising.said()
    program = ir.Program(tuple(outputs), reading.program.parameters)
    reaching = tuple(known[place] for place in sorted(places))
    return evolve(reading, program=program, diagnostics=ordered(said), raised=True, maps=reaching)


def asked_of_entries(
    reading: QueryReading, maps: Iterable[FieldMap] | None = None
) -> tuple[tuple[FieldMap, Entry, ir.Condition], ...]:
    """What a query that was read under its own names asks of the events of each entry of field
    maps.

    The conditions are on raw fields; what is so for all events of the entry is decided. The query
    must be one that single events decide; otherwise there is nothing.
    """
    if reading.program is None or reading.raised:
        return ()
    stages = [ir.as_stages(output.plan) for output in reading.program.outputs]
    conditions = [stage.condition for found in stages if found is not None for stage in found]
    if None in stages:
        return ()
    known = maps_of(reading.language) if maps is None else tuple(maps)
    whole = ir.simplify(ir.Or(tuple(conditions)))
    raising = _Raising(known, {tuple(found.name.split(".")) for found in ir.fields_of(whole)})
    raising.native = True
    return tuple(
        (known[names.place], names.entry, ir.simplify(raising.asked(whole, names)))
        for names in raising.entries
    )


class _Raising:
    """One raising, with what it found out about names."""

    def __init__(self, maps: tuple[FieldMap, ...], read: Set[tuple[str, ...]]) -> None:
        every = [names for n, found in enumerate(maps) for names in names_of_entries(n, found)]
        # A query speaks of the logs whose names it uses; one that uses none, of all.
        used = {e.place for e in every if not e.paths.isdisjoint(read)}
        self.entries = [entry for entry in every if entry.place in used or not used]
        self.known = {(names.place, path) for names in self.entries for path in names.fields}
        # The names by which a map tells its entries apart.
        self.tells = {(names.place, path) for names in self.entries for path in names.allowed}
        self.everywhere = {path for _, path in (*self.known, *self.tells)}
        self.unknown: dict[str, ir.Condition | None] = {}
        self.absent: dict[tuple[str, ir.EventKind], ir.Condition | None] = {}
        self.telling: dict[ir.Condition, bool] = {}
        self.wider: dict[ir.Condition, dict[ir.EventKind, tuple[object, ...]]] = {}
        # Names that no entry decides stay those of the log.
        self.native = False
        # The group of which only what is shown depends.
        self.shown: ir.Group | None = None
        self.left_out: dict[str, ir.Group] = {}
        # Entries ask the same again and again.
        self._names_read: dict[ir.Condition, str | None] = {}
        self._for_all: dict[tuple[ir.Condition, int], ir.Truth | None] = {}

    def _only_name(self, condition: ir.Condition) -> str | None:
        """The name that a condition reads, if it reads one alone and nothing else."""
        if condition not in self._names_read:
            read = {field.name for field in ir.fields_of(condition)}
            single = len(read) == 1 and all(map(ir.values_of, ir.atoms(condition)))
            self._names_read[condition] = read.pop() if single else None
        return self._names_read[condition]

    def asked(self, condition: ir.Condition, names: EntryNames) -> ir.Condition:
        """What a condition comes to for the events of an entry."""
        return self._condition(condition, names)

    def said(self) -> Iterator[Diagnostic]:
        """What there is to say about names, once each."""
        for name, atom in self.unknown.items():
            message = f"the data model has no field for {name} in these events"
            note = f"it is read from the event as {name}"
            yield Diagnostic(codes.NATIVE_NAME, message, span_of(atom), notes=(note,))
        for name, group in self.left_out.items():
            if name in self.unknown:
                continue
            message = f"the data model has no field for {name} in these events"
            note = "what is found is not shown apart by it"
            yield Diagnostic(codes.NATIVE_NAME, message, span_of_plan(group), notes=(note,))
        by_name: dict[str, list[ir.EventKind]] = {}
        for name, kind in self.absent:
            by_name.setdefault(name, []).append(kind)
        for name, kinds in by_name.items():
            atom = self.absent[name, kinds[0]]
            shown = ", ".join(dict.fromkeys(map(str, kinds)))
            message = f"{name} is missing in {shown}"
            yield Diagnostic(codes.NATIVE_ABSENT, message, span_of(atom))
        for atom, kinds_of in self.wider.items():
            for kind, allowed in kinds_of.items():
                message = f"CAR's {kind} is more than what this asks for"
                note = f"it is any of {', '.join(map(str, allowed))}, which CAR does not tell apart"
                yield Diagnostic(codes.NATIVE_WIDER, message, span_of(atom), notes=(note,))
        for atom, ever in self.telling.items():
            if not ever:
                message = "no field map gives CAR the events that this asks for"
                yield Diagnostic(codes.NATIVE_KIND, message, span_of(atom))

    def plan(self, plan: ir.Plan) -> tuple[ir.Plan, list[EntryNames]]:
        """The plan in CAR's names, and the entries whose events reach it."""
        match plan:
            case ir.Search() | ir.Filter() if (condition := condition_on_search(plan)) is not None:
                return self._selection(condition, plan)
            case ir.Filter(inner, condition):
                made, names = self.plan(inner)
                columns = columns_of(inner)
                changed = ir.rewrite_condition(condition, self._renaming(names, columns, plan))
                return evolve(plan, plan=made, condition=changed), names
            case ir.Assign(inner, _, value):
                made, names = self.plan(inner)
                change = self._renaming(names, columns_of(inner), plan)
                changed_value = ir.rewrite_value(value, change)
                return evolve(plan, plan=made, value=changed_value), names
            case ir.Project(inner, columns):
                made, names = self.plan(inner)
                change = self._renaming(names, columns_of(inner), plan)
                return evolve(plan, plan=made, columns=with_columns(columns, change)), names
            case ir.Distinct(inner, value):
                made, names = self.plan(inner)
                key = self._key(value, names, plan)
                if not isinstance(key, ir.Field):
                    raise unsupported(f"one event of all ({value.name})", span_of_plan(plan))
                return evolve(plan, plan=made, value=key), names
            case ir.Group(plans, keys):
                parts = [self.plan(part) for part in plans]
                names = [name for _, found in parts for name in found]
                columns = tuple(name for part in plans for name in columns_of(part))
                raised_keys = [
                    key if key.name in columns else self._key(key, names, plan)
                    for key in keys
                    if key.name in columns or self._tells(key, names, plan)
                ]
                # What is the same in all events found tells no groups apart.
                kept = tuple(key for key in raised_keys if isinstance(key, ir.Field))
                return evolve(plan, plans=tuple(p for p, _ in parts), keys=kept), names
            case ir.Aggregated(group, columns):
                made, names = self.plan(group)
                assert isinstance(made, ir.Group)
                below = tuple(name for part in group.plans for name in columns_of(part))
                change = self._renaming(names, below, plan)
                left = tuple(column for column in columns if not self._is_left_out(column, group))
                return evolve(plan, group=made, columns=with_columns(left, change)), names
            case ir.Sequence():
                return self._sequence(plan)
            case ir.Search() | ir.Join() | ir.Window() | ir.Difference() | ir.Union():
                raise unsupported("this part of the query", span_of_plan(plan))
            case _:
                assert_never(plan)

    def _sequence(self, plan: ir.Sequence) -> tuple[ir.Plan, list[EntryNames]]:
        """A sequence, each step in the names of the events that can take it."""
        reached: list[EntryNames] = []
        made: list[ir.Step] = []
        for step in ir.steps_of(plan):
            below, names = self.plan(step.plan)
            keys = [self._key(key, names, step.plan) for key in step.keys]
            if not all(isinstance(key, ir.Field) for key in keys):
                raise unsupported("a key that is the same in all events", span_of_plan(step.plan))
            of = tuple(key for key in keys if isinstance(key, ir.Field))
            made.append(evolve(step, plan=below, keys=of))
            reached += names
        until = None if plan.until is None else made.pop()
        return evolve(plan, steps=tuple(made), until=until), reached

    def _selection(
        self, condition: ir.Condition, plan: ir.Plan
    ) -> tuple[ir.Plan, list[EntryNames]]:
        by_condition: dict[ir.Condition, list[EntryNames]] = {}
        for names in self.entries:
            unknown, absent = dict(self.unknown), dict(self.absent)
            wider = {atom: dict(found) for atom, found in self.wider.items()}
            made = ir.simplify(self._condition(condition, names))
            known = len(self.absent) == len(absent)
            if made in _NEVER or (known and ir.is_missed(made, ir.Goal.TRUE)):
                # What is said of names counts only where the query looks at such events.
                self.unknown, self.absent, self.wider = unknown, absent, wider
                continue
            by_condition.setdefault(made, []).append(names)
        span = span_of_plan(plan)
        parts: list[ir.Plan] = []
        for made, found in by_condition.items():
            kinds = tuple(dict.fromkeys(names.entry.kind for names in found))
            search = ir.Search(kinds, span)
            parts.append(search if made == ir.Truth(True) else ir.Filter(search, made, span))
        if not parts:
            raise unsupported("events that no field map gives to CAR", span)
        reached = [names for found in by_condition.values() for names in found]
        return (parts[0] if len(parts) == 1 else ir.Union(tuple(parts), span)), reached

    def _condition(
        self, condition: ir.Condition, names: EntryNames, positive: bool = True
    ) -> ir.Condition:
        whole = self._for_each(condition, names)
        if whole is not None:
            return whole
        match condition:
            case ir.And(items):
                # What the entry rules out is not asked for the names in it.
                decided = [
                    self._for_each(item, names) or self._decided(item, names, positive)
                    for item in items
                ]
                if ir.Truth(False) in decided:
                    return ir.Truth(False)
                return ir.And(tuple(self._condition(item, names, positive) for item in items))
            case ir.Or(items):
                return ir.Or(tuple(self._condition(item, names, positive) for item in items))
            case ir.Not(item):
                return ir.Not(self._condition(item, names, not positive))
            case ir.IsTrue(item):
                return ir.IsTrue(self._condition(item, names, positive))
            case ir.Truth():
                return condition
            case _:
                atom: ir.Atom = condition
                made = self._decided(atom, names, positive)
                if made is not None:
                    return made
                if isinstance(atom, ir.Rank):
                    return self._ranked(atom, names)
                return _with_raw_names(atom) if self.native else self._atom(atom, names)

    def _ranked(self, atom: ir.Rank, names: EntryNames) -> ir.Condition:
        """A test of what other events have, in the names of these and of those."""
        plan, reached = self.plan(atom.plan)
        of = self._key(atom.of, reached, atom.plan)
        assert isinstance(atom.value, ir.Field)
        value = self._named(atom.value, names, atom)
        if not isinstance(of, ir.Field) or not isinstance(value, ir.Field):
            return ir.Truth(None)
        return evolve(atom, value=value, of=of, plan=plan)

    def _decided(
        self, condition: ir.Condition, names: EntryNames, positive: bool
    ) -> ir.Truth | None:
        """What the entry's own condition says of a condition, if it decides it.

        Where it says "of some of my events", all are taken (``positive`` tells whether being true
        takes more), which is told.
        """
        match condition:
            case ir.Or(items) | ir.And(items):
                found = [self._decided(item, names, positive) for item in items]
                absorbing = isinstance(condition, ir.Or)
                if ir.Truth(absorbing) in found:
                    return ir.Truth(absorbing)
                if all(item == ir.Truth(not absorbing) for item in found):
                    return ir.Truth(not absorbing)
                return None
            case (
                ir.Match(ir.Field(name))
                | ir.Regex(ir.Field(name))
                | ir.Compare(ir.Field(name), _, ir.Constant())
            ):
                path = tuple(name.split("."))
                allowed = names.allowed.get(path, names.logs.get(path))
                if allowed is None:
                    return None
                verdicts = _verdicts_of(condition, name, allowed)
                self.telling[condition] = self.telling.get(condition, False) or True in verdicts
                if path not in names.allowed:
                    # The name tells which log it is, and one of its names is enough.
                    return ir.Truth(True in verdicts)
                if len(verdicts) == 1:
                    return ir.Truth(next(iter(verdicts)))
                if self.native or path in names.fields:
                    return None
                self.wider.setdefault(condition, {}).setdefault(names.entry.kind, allowed)
                return ir.Truth(positive)
            case ir.IsNull(ir.Field(name)):
                found_absent = names.absent.get(tuple(name.split(".")))
                return None if found_absent is None else ir.Truth(found_absent)
            case ir.Match() | ir.Regex() | ir.Compare() | ir.IsNull() | ir.InNetwork():
                return None
            case ir.Occurs() | ir.RawMatch() | ir.RawRegex() | ir.Rank():
                return None
            case ir.Not() | ir.IsTrue() | ir.Truth():
                return None
            case _:
                assert_never(condition)

    def _for_each(self, condition: ir.Condition, names: EntryNames) -> ir.Truth | None:
        """What a condition on one name comes to, where it is the same whatever the entry allows the
        name to be."""
        name = self._only_name(condition)
        allowed = names.choices.get(name) if name is not None else None
        if name is None or allowed is None:
            return None
        key = (condition, id(allowed))
        if key not in self._for_all:
            self._for_all[key] = self._for_all_of(condition, name, allowed)
        return self._for_all[key]

    def _for_all_of(
        self, condition: ir.Condition, name: str, allowed: tuple[Plain | None, ...]
    ) -> ir.Truth | None:
        found = _verdicts_of(condition, name, allowed)
        if len(found) != 1:
            return None
        for atom in ir.atoms(condition):
            if not isinstance(atom, ir.IsNull):
                told = True in _verdicts_of(atom, name, allowed)
                self.telling[atom] = self.telling.get(atom, False) or told
        return ir.Truth(next(iter(found)))

    def _atom(self, atom: ir.Condition, names: EntryNames) -> ir.Condition:
        """A test in CAR's names. What the log writes for "not known" is no value in CAR."""
        match atom:
            case ir.Match(ir.Field(name) as of, patterns, span):
                empty = names.empty.get(tuple(name.split("."))) or ()
                kept = tuple(p for p in patterns if p.exact not in empty)
                if len(kept) < len(patterns):
                    null = self._renamed(ir.IsNull(of, span), names)
                    if not kept:
                        return null
                    return ir.Or((null, self._renamed(evolve(atom, patterns=kept), names)))
            case _:
                # Only patterns can spell what the log writes for "not known".
                pass
        return self._renamed(atom, names)

    def _renamed(self, atom: ir.Condition, names: EntryNames) -> ir.Condition:
        def change(value: ir.Value) -> ir.Value:
            return self._named(value, names, atom) if isinstance(value, ir.Field) else value

        match atom:
            case ir.Match(ir.Call() as call) | ir.IsNull(ir.Call() as call):
                known = names.computed.get(bare_value(call))
                if known is not None:
                    return evolve(atom, value=known)
            case _:
                pass
        made = ir.rewrite_condition(atom, change)
        values = ir.values_of(made)
        match made:
            case ir.Match(ir.Field(type=ir.Type.INTEGER) as of, patterns):
                return _as_numbers(made, of, patterns)
            case _:
                pass
        if any(value == ir.Constant(None) for value in values):
            return ir.Truth(isinstance(made, ir.IsNull) or None)
        if isinstance(made, ir.Compare):
            types = {v.type for v in values if isinstance(v, ir.Field)} - {ir.Type.ANY}
            if len(types) == 1:
                return evolve(made, type=types.pop())
        return made

    def _named(self, field: ir.Field, names: EntryNames, atom: ir.Condition | None) -> ir.Value:
        """A native name in an entry: the CAR field, null, or the name in the raw event."""
        path = tuple(field.name.split("."))
        found = names.fields.get(path)
        if path in names.qualified and isinstance(atom, ir.Match):
            # A text with a dot can only be the full name.
            dotted = all("." in pattern.text for pattern in atom.patterns)
            found = names.qualified[path] if dotted else found
        if found is not None:
            return found
        if field.name == "time":
            return ir.Field("time", None, ir.Type.TIME)
        if len(names.allowed.get(path, ())) == 1:
            return ir.Constant(names.allowed[path][0])
        if (names.place, path) in self.known:
            self.absent.setdefault((field.name, names.entry.kind), atom)
            return ir.Constant(None)
        if path in self.everywhere and (names.place, path) not in self.tells:
            # Another log's name: these events do not have it.
            return ir.Constant(None)
        self.unknown.setdefault(field.name, atom)
        return ir.Raw(path)

    def _renaming(
        self, names: list[EntryNames], columns: tuple[str, ...], plan: ir.Plan
    ) -> Callable[[ir.Value], ir.Value]:
        """Names behind a selection, where all entries have to agree on what a name means."""

        def change(value: ir.Value) -> ir.Value:
            if not isinstance(value, ir.Field) or value.name in columns:
                return value
            found = {self._named(value, name, None) for name in names}
            if len(found) == 1:
                return found.pop()
            there = {item for item in found if item != ir.Constant(None)}
            if len(there) == 1:
                return there.pop()
            what = f"{value.name}, which means several things in the events found"
            raise unsupported(what, span_of_plan(plan))

        return change

    def _tells(self, key: ir.Field, names: list[EntryNames], plan: ir.Group) -> bool:
        """Whether a key has a name in CAR, or has to have one as the groups decide what is found."""
        path = tuple(key.name.split("."))
        if plan is not self.shown or any(path in (*n.fields, *n.allowed) for n in names):
            return True
        self.left_out.setdefault(key.name, plan)
        return False

    def _is_left_out(self, column: ir.Column, group: ir.Group) -> bool:
        """Whether a column shows a key that the group goes without."""
        name = column.value.name if isinstance(column.value, ir.Field) else ""
        return self.left_out.get(name) is group

    def _key(self, key: ir.Field, names: list[EntryNames], plan: ir.Plan) -> ir.Field | ir.Constant:
        made = self._renaming(names, (), plan)(key)
        if not isinstance(made, ir.Field | ir.Constant) or made == ir.Constant(None):
            what = f"grouping by {key.name}, which CAR has no field for"
            raise unsupported(what, span_of_plan(plan))
        return made


def _with_raw_names(atom: ir.Condition) -> ir.Condition:
    def change(value: ir.Value) -> ir.Value:
        match value:
            case ir.Field(name) if name != "time":
                return ir.Raw(tuple(name.split(".")))
            case _:
                return value

    return ir.rewrite_condition(atom, change)


def _as_numbers(atom: ir.Match, of: ir.Field, patterns: tuple[Pattern, ...]) -> ir.Condition:
    """A test of texts on a field that holds a whole number: what spells one is compared as the
    number."""
    numbers = {p: number_of(p.exact, hexadecimal=True) for p in patterns if p.exact is not None}
    whole = {p: number for p, number in numbers.items() if isinstance(number, int)}
    tests: list[ir.Condition] = [
        ir.Compare(of, ir.Relation.EQUAL, ir.Constant(number), of.type, atom.span)
        for number in dict.fromkeys(whole.values())
    ]
    rest = tuple(p for p in patterns if p not in whole)
    if rest:
        tests.append(evolve(atom, patterns=rest))
    return tests[0] if len(tests) == 1 else ir.Or(tuple(tests))


def _verdicts_of(
    condition: ir.Condition, name: str, allowed: tuple[Plain | None, ...]
) -> frozenset[bool | None]:
    """What a condition on one name comes to for each of the constants that it may be."""
    # Equal constants of other types are others: 1 is not True.
    return _remembered(condition, name, allowed, tuple(map(type, allowed)))


@lru_cache(maxsize=16384)
def _remembered(
    condition: ir.Condition,
    name: str,
    allowed: tuple[Plain | None, ...],
    types: tuple[type, ...],
) -> frozenset[bool | None]:
    change = _constant_for(name)
    return frozenset(
        holds(ir.rewrite_condition(condition, change(c)), RawRow({}), _NO_CONTEXT) for c in allowed
    )


def _constant_for(name: str) -> Callable[[Plain | None], Callable[[ir.Value], ir.Value]]:
    def with_constant(constant: Plain | None) -> Callable[[ir.Value], ir.Value]:
        def change(value: ir.Value) -> ir.Value:
            if isinstance(value, ir.Field) and value.name == name:
                return ir.Constant(constant)
            return value

        return change

    return with_constant
