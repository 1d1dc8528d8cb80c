"""Field maps: which raw events are which CAR events, and what each CAR field is called there.

A ``FieldMap`` is one *shape* of one product's log (Sysmon as Winlogbeat writes it). It has a
condition to recognise its events by, and entries. An ``Entry`` says: a raw event for which ``when``
holds is a CAR event of this kind, and its fields are these expressions::

    FieldMap("sysmon.flat", recognise=Channel is Sysmon's, entries=(
        Entry(EventKind("file", "create"), when=EventID = 11,
              fields={"file_path": Raw("TargetFilename"), "file_name": Call("basename", …)}), …))

An entry may also stand for a *log source*: events that keep their native names, which is what Sigma
rules are written in. Its kind is the source (``windows/process_creation``), and its ``native``
names give any field by the name the product has for it, wherever the shape puts it::

        Entry(EventKind("windows", "process_creation"), when=Channel is Sysmon's and EventID = 1,
              fields={"time": …}, native=NativeNames(("winlog", "event_data"), {"EventID": …}))

One declaration serves both directions. ``lower`` rewrites a rule's stage into the log's own fields,
once; ``normalize`` rewrites an event into CAR's. They agree: a lowered condition holds of a raw
event exactly when the condition holds of the CAR event that it normalises to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property, lru_cache
from typing import Any

from attrs import evolve, field, frozen

from .. import functions, ir
from ..datamodel import model
from ..diagnostics import Diagnostic, Span
from ..evaluate import NoContext, RawRow, as_time, decided, holds, is_fixed, value_of
from ..pyvalues import plain_event
from ..values import format_time, is_null, raw_text
from .account_fields import ACCOUNT_FIELDS, account_of, account_value
from .fields import Fields, Reader
from .getters import Get, getter
from .sensors import Sensor
from .shapes import in_known_shape

_NO_CONTEXT = NoContext()

# Names come from events; for more of them than any log has, no getter is kept.
_MOST_NAMES = 4096


@frozen
class NativeNames:
    """Where a shape puts the fields that a product names: a path, and those found elsewhere.

    ``prefix`` is the path below which a native name is a key; a ``*`` in it is whatever one key
    there is. It is None where the shape has only the ``names``. ``function``, if any, is applied to
    what is found below the prefix; ``empty`` lists the texts that are read as null. With ``dotted``
    a path is one key, dots and all; with ``either`` it is looked up as keys inside each other and
    as a key with dots, whichever the event has. ``whole``, if any, gives the mapping that all paths
    are looked up in: an event that is written as XML in a field of another one. ``folded`` are
    values of names that may be written in any case, by these in lower case: what a field of that
    name does not say. ``before`` and ``behind`` are put around names that are not in ``names``.
    ``own`` is the path by which rules for another product reach the native names
    (``winlog.event_data``).

    >>> NativeNames(("winlog", "event_data")).value("Image")
    Raw(path=('winlog', 'event_data', 'Image'), empty=(), type=<Type.ANY: 'any'>)
    """

    prefix: tuple[str, ...] | None = ()
    names: Mapping[str, ir.Value] = field(factory=dict, hash=False)
    empty: tuple[str, ...] = ()
    function: str = ""
    dotted: bool = False
    whole: ir.Value | None = None
    folded: Mapping[str, ir.Value] = field(factory=dict, hash=False)
    either: bool = False
    before: str = ""
    behind: str = ""
    own: str = ""

    def at(self, path: tuple[str, ...]) -> ir.Value:
        """The value that a path means whose first key is a native name."""
        found = self.names.get(path[0])
        if found is None:
            return self.placed((*(self.prefix or ()), *path))
        if len(path) > 1:
            return ir.Call("member", (found, ir.Constant(".".join(path[1:]))))
        return found

    def placed(self, path: tuple[str, ...]) -> ir.Value:
        """The value at a path of the raw event, read as this shape reads its fields."""
        found = self._found(path)
        return ir.Call(self.function, (found,)) if self.function else found

    def _found(self, path: tuple[str, ...]) -> ir.Value:
        if "*" in path:
            star = path.index("*")
            below = ir.Constant(".".join(path[star + 1 :]))
            return ir.Call("within", (evolve(self, empty=())._found(path[:star]), below))
        if self.either and len(path) > 1:
            plain = evolve(self, either=False)
            return first_of([plain._found(way) for way in _spellings(path)])
        if self.whole is None:
            return ir.Raw((".".join(path),) if self.dotted else path, self.empty)
        found = self.whole
        if path:
            found = ir.Call("member", (found, ir.Constant(".".join(path))))
        return ir.Call("unless", (found, *map(ir.Constant, self.empty))) if self.empty else found

    def value(self, name: str) -> ir.Value | None:
        """The value of a field by its native name, or None where the shape has no place for it.

        A name with dots that is not declared is a path from the top of the event, as
        rules for one shipper's own names have it: ``winlog.event_data.Image``.
        """
        if self.own and name.startswith(f"{self.own}.") and name not in self.names:
            return self.value(name[len(self.own) + 1 :])
        found = self.names.get(name)
        other = self.folded.get(name.lower()) if self.folded else None
        if other is not None:
            own = found if found is not None or self.prefix is None else self._below(name)
            return other if own is None else ir.Call("first", (own, other))
        if found is not None or self.prefix is None:
            return found
        return self._below(name)

    def _below(self, name: str) -> ir.Value:
        assert self.prefix is not None
        name = f"{self.before}{name}{self.behind}"
        keys = tuple(name.split("."))
        if len(keys) > 1 and all(keys):
            return self.placed(keys)
        return self.placed((*self.prefix, name))

    def getter(self, name: str) -> Get | None:
        """`value` as a function of the (unwrapped) event; None where the shape has no place for the
        name."""
        known = self._getters.get(name)
        if known is not None:
            return known
        value = self.value(name)
        if value is None:
            return None
        made = getter(value)
        if len(self._getters) < _MOST_NAMES:
            self._getters[name] = made
        return made

    @cached_property
    def _getters(self) -> dict[str, Get]:
        return {}

    def has(self, name: str, event: Mapping[str, Any]) -> bool:
        """Whether an (unwrapped) event has a field of that name, whatever its value.

        >>> names = NativeNames((), {}, ("-",))
        >>> names.has("a", {"a": None}), names.has("a", {"a": "-"}), names.has("a", {})
        (True, True, False)
        """
        value = self.value(name)
        return value is not None and getter(ir.presence_of(value))(event) is not None

    def present(self, event: Mapping[str, Any]) -> tuple[str, ...]:
        """The native names that an (unwrapped) event may have: its own keys and the declared
        ones."""
        own = () if self.prefix is None else self._own(event, self.prefix)
        return tuple(dict.fromkeys(n for n in (*self.names, *own) if n != ir.SERVICE))

    def _own(self, event: Mapping[str, Any], prefix: tuple[str, ...]) -> tuple[str, ...]:
        """The keys below a prefix."""
        whole = event if self.whole is None else value_of(self.whole, RawRow(event), _NO_CONTEXT)
        if not isinstance(whole, Mapping):
            return ()
        if self.either:
            below = whole if not prefix else RawRow(whole).raw(prefix)
            return _leaves(below)
        if self.dotted:
            head = "".join(f"{key}." for key in prefix)
            keys = (key for key in whole if isinstance(key, str) and key.startswith(head))
            return tuple(key.removeprefix(head) for key in keys)
        plain = prefix[: prefix.index("*")] if "*" in prefix else prefix
        found: Any = RawRow(whole).raw(plain)
        below = [found] if isinstance(found, Mapping) else []
        if len(plain) < len(prefix):
            below = [m for found in below for m in found.values() if isinstance(m, Mapping)]
        return tuple(key for mapping in below for key in mapping if isinstance(key, str))


# A name of more parts is looked up nested, as one key, and with one dot inside it.
_MOST_PARTS = 4
# What is shown of an event by its own names.
_MOST_LEAVES = 1024
_LEAF_DEPTH = 16


def first_of(values: Sequence[ir.Value]) -> ir.Value:
    """The first of any number of values that is not null.

    >>> first_of([ir.Raw(("a",)), ir.Raw(("b",))]).function
    'first'
    """
    most = functions.FUNCTIONS["first"].most
    if len(values) == 1:
        return values[0]
    if len(values) <= most:
        return ir.Call("first", tuple(values))
    return ir.Call("first", (*values[: most - 1], first_of(values[most - 1 :])))


def _spellings(path: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
    """The ways in which an event can have a path: each dot is one between keys, or in a key."""
    if len(path) == 1:
        return (path,)
    if len(path) > _MOST_PARTS:
        halves = [(".".join(path[:n]), ".".join(path[n:])) for n in range(1, len(path))]
        heads = [(".".join(path[:n]), *path[n:]) for n in range(2, len(path))]
        return tuple(dict.fromkeys((path, (".".join(path),), *halves, *heads)))
    made = [
        way
        for n in range(1, len(path) + 1)
        for rest in (_spellings(path[n:]) if n < len(path) else ((),))
        for way in ((".".join(path[:n]), *rest),)
    ]
    return tuple(made)


def _leaves(event: Any) -> tuple[str, ...]:
    """The names, with dots, of everything in a mapping that is no mapping itself."""
    found: list[str] = []
    waiting: list[tuple[str, Any, int]] = [("", event, 0)]
    while waiting and len(found) < _MOST_LEAVES:
        head, value, depth = waiting.pop()
        if isinstance(value, Mapping) and depth < _LEAF_DEPTH:
            below = [(f"{head}{key}", one) for key, one in value.items() if isinstance(key, str)]
            waiting += [
                (name if not isinstance(one, Mapping) else f"{name}.", one, depth + 1)
                for name, one in reversed(below)
            ]
        elif head:
            found.append(head.removesuffix("."))
    return tuple(found)


@frozen
class Entry:
    """One kind of event in a log: a CAR event, or, with ``native``, a log source.

    ``fields`` are values over raw fields, by CAR name; a log source has in it only what is
    not native (``time``). ``also`` are further log sources that the same events are of: a rule for
    several of them looks at an event once. With ``any_source`` they are of every log source that
    rules name. ``sensor`` says who tells of them, where others may tell of the same.
    """

    kind: ir.EventKind
    when: ir.Condition
    fields: Mapping[str, ir.Value] = field(hash=False)
    span: Span | None = field(default=None, eq=False, repr=False)
    native: NativeNames | None = field(default=None, hash=False)
    also: tuple[ir.EventKind, ...] = ()
    any_source: bool = False
    sensor: Sensor | None = None

    @property
    def kinds(self) -> tuple[ir.EventKind, ...]:
        """All kinds that the events are of."""
        return (self.kind, *self.also)

    @cached_property
    def reader(self) -> Reader:
        """What reads the fields of events that fit."""
        time = self.value(ir.Field("time", None, ir.Type.TIME))
        return Reader(self.fields, self.native, time)

    def value(self, wanted: ir.Field) -> ir.Value | None:
        """The expression for a field, typed as the field is; None where the map has none.

        Below ``proto_info`` a field that is not declared, or null, is looked up in the mapping that
        ``proto_info`` itself gives, if it is declared.
        """
        found = self.fields.get(wanted.name)
        if found is None and self.native is not None:
            found = self.native.value(wanted.name)
        if self.native is None and wanted.name in ACCOUNT_FIELDS:
            found = account_value(wanted.name, self.fields)
        whole = self.fields.get("proto_info")
        if whole is not None and wanted.name.startswith("proto_info."):
            name = wanted.name.removeprefix("proto_info.")
            member = ir.Call("member", (whole, ir.Constant(name)))
            found = member if found is None else ir.Call("first", (found, member))
        return found if found is None or wanted.type is not ir.Type.TIME else _as_time(found)

    def presence(self, wanted: ir.Field) -> ir.Value | None:
        """What is null exactly where an event does not have a field; None where no event has it.

        A native field is there where the log has it, whatever its value; a field of CAR's, which no
        log has, where it has a value.
        """
        own = self.native is None or wanted.name == "time"
        found = self.value(wanted)
        return found if own or found is None else ir.presence_of(found)


def _as_time(value: ir.Value) -> ir.Value:
    """The same value, read as a time."""
    match value:
        case ir.Raw() | ir.Call():
            return evolve(value, type=ir.Type.TIME)
        case ir.Constant(constant):
            time = as_time(constant)
            return ir.Constant(None) if time is None else ir.Moment(time)
        case _:
            return ir.Call("first", (value,), ir.Type.TIME)


@frozen
class FieldMap:
    """One shape of one product's log.

    ``name`` is ``family.shape`` (``sysmon.winlogbeat``), or the family alone where it has one
    shape.

    >>> import carengine
    >>> [sysmon] = carengine.find_maps("sysmon.flat")
    >>> sysmon.name, sysmon.family
    ('sysmon.flat', 'sysmon')
    """

    name: str
    title: str
    recognise: ir.Condition
    entries: tuple[Entry, ...]
    description: str = ""
    diagnostics: tuple[Diagnostic, ...] = field(default=(), eq=False, repr=False)

    @property
    def family(self) -> str:
        """The name before the dot: what ``-m`` takes for all shapes of a product."""
        return self.name.partition(".")[0]

    @cached_property
    def by_kind(self) -> Mapping[ir.EventKind, tuple[int, ...]]:
        """The places of the entries of each kind, in order."""
        made: dict[ir.EventKind, tuple[int, ...]] = {}
        for place, entry in enumerate(self.entries):
            for kind in dict.fromkeys(entry.kinds):
                made[kind] = (*made.get(kind, ()), place)
        return made

    def recognises(self, event: Mapping[str, Any]) -> bool:
        """Whether an event has this shape. The event must be unwrapped."""
        return holds(self.recognise, RawRow(event), _NO_CONTEXT) is True

    def kinds(self) -> tuple[ir.EventKind, ...]:
        """The kinds of CAR events this log can hold, in the order of the entries."""
        return self._kinds

    @cached_property
    def _kinds(self) -> tuple[ir.EventKind, ...]:
        # Accounts ask for each sum.
        return tuple(dict.fromkeys(e.kind for e in self.entries if e.native is None))

    def sources(self) -> tuple[ir.EventKind, ...]:
        """The log sources (``windows/security``) this log can hold, in the order of the entries."""
        sources = (kind for e in self.entries if e.native is not None for kind in e.kinds)
        return tuple(dict.fromkeys(sources))


@frozen
class CarEvent:
    """The CAR view of a raw event: its kind and its fields that are not null.

    ``time`` is in microseconds since 1970 UTC, or None where the event has none that can be read.
    ``raw`` is the event as it was read. An event of a log source has its ``native`` names, and
    ``fields`` by these.

    >>> import carengine
    >>> record = {"object": "process", "action": "create", "exe": "x.exe"}
    >>> [seen] = carengine.normalize(record, carengine.find_maps("car"))
    >>> str(seen.kind), seen.fields["exe"]
    ('process/create', 'x.exe')
    """

    kind: ir.EventKind
    fields: Mapping[str, Any] = field(hash=False)
    time: int | None
    raw: Mapping[str, Any] = field(repr=False, hash=False)
    native: NativeNames | None = field(default=None, eq=False, repr=False)
    entry: Entry | None = field(default=None, eq=False, repr=False)

    def is_one_of(self, kinds: Iterable[ir.EventKind]) -> bool:
        """Whether the event is of one of these kinds."""
        also = () if self.entry is None else self.entry.also
        return any(kind == self.kind or kind in also for kind in kinds)

    def field(self, wanted: ir.Field) -> Any:
        """A CAR field as conditions see it; times as microseconds."""
        name = wanted.name
        if name == "time":
            return self.time
        value = self.fields.get(name)
        if value is None:
            if self.native is not None:
                read = self.native.getter(name)
                if read is not None:
                    value = read(unwrap(self.raw))
            elif name in ACCOUNT_FIELDS:
                value = account_of(name, self.fields)
            if value is None and name.startswith("proto_info."):
                whole = self.fields.get("proto_info")
                if whole is not None:
                    value = functions.call("member", [whole, name.removeprefix("proto_info.")])
        return as_time(value) if wanted.type is ir.Type.TIME else value

    def has_field(self, wanted: ir.Field) -> bool:
        """Whether the event has a native field, whatever its value, or a CAR field that is not
        null."""
        if self.native is None or wanted.name == "time":
            return not is_null(self.field(wanted))
        return self.native.has(wanted.name, unwrap(self.raw))

    def as_json(self) -> dict[str, Any]:
        """The event in CAR's names, as plain data, which the field map `car` reads back as the same
        event.

        >>> event = CarEvent(ir.EventKind("process", "create"), {"exe": "a.exe"}, 1_500_000, {})
        >>> event.as_json()["time"], event.as_json()["exe"]
        ('1970-01-01T00:00:01.500Z', 'a.exe')
        """
        made: dict[str, Any] = {"object": self.kind.object, "action": self.kind.action}
        if self.time is not None:
            made["time"] = format_time(self.time)
        below: dict[str, Any] = {}
        for name, value in self.fields.items():
            if name.startswith("proto_info."):
                below[name.removeprefix("proto_info.")] = value
            else:
                made[name] = value
        if below:
            whole = made.get("proto_info")
            made["proto_info"] = {**whole, **below} if isinstance(whole, Mapping) else below
        return made


@frozen
class CarRow:
    """A CAR event as a row to evaluate conditions on."""

    event: CarEvent

    def field(self, wanted: ir.Field) -> Any:
        """A CAR field; times as microseconds."""
        return self.event.field(wanted)

    def has_field(self, wanted: ir.Field) -> bool:
        """Whether a field is there, whatever its value."""
        return self.event.has_field(wanted)

    def has_raw(self, path: tuple[str, ...]) -> bool:
        """Whether a field of the raw event is there."""
        return RawRow(unwrap(self.event.raw)).has_raw(path)

    def raw(self, path: tuple[str, ...]) -> Any:
        """A field of the raw event."""
        return RawRow(unwrap(self.event.raw)).raw(path)

    def text(self) -> str:
        """The raw event's text."""
        return raw_text(self.event.raw)


_SPLUNK = frozenset({"preview", "offset", "result", "lastrow"})


def unwrap(event: Mapping[str, Any]) -> Mapping[str, Any]:
    """The event inside an Elasticsearch hit (``_source``) or a Splunk result (``result``), in a
    shape that field maps know (`shapes`).

    >>> unwrap({"_index": "x", "_source": {"EventID": 1}})
    {'EventID': 1}
    """
    inner = event.get("_source")
    # Asking for None first saves most events the look-up of abstract classes.
    if inner is not None and isinstance(inner, Mapping):
        return in_known_shape(inner)
    inner = event.get("result")
    if inner is not None and isinstance(inner, Mapping) and _SPLUNK.issuperset(event):
        return in_known_shape(inner)
    return in_known_shape(event)


def recognise(event: Mapping[str, Any], maps: Iterable[FieldMap]) -> tuple[FieldMap, ...]:
    """The maps whose shape an (unwrapped) event has; normally one or none."""
    return tuple(candidate for candidate in maps if candidate.recognises(event))


def useful(
    maps: Iterable[FieldMap],
    kinds: Iterable[ir.EventKind],
    *,
    keep: Callable[[FieldMap], bool] = lambda one: False,
) -> tuple[FieldMap, ...]:
    """The maps without those that give nothing but log sources of which none is among the kinds.

    Those that ``keep`` is true of stay. Entries for any log source are made those of the kinds.
    """
    wanted = frozenset(kinds)
    sources = tuple(sorted((k for k in wanted if k.object not in model().objects), key=str))
    spread = [_of_all_sources(m, sources) for m in maps]
    return tuple(m for m in spread if m.kinds() or not wanted.isdisjoint(m.sources()) or keep(m))


def _of_all_sources(fieldmap: FieldMap, sources: tuple[ir.EventKind, ...]) -> FieldMap:
    """A map whose entries for any log source name those there are."""
    if not any(entry.any_source for entry in fieldmap.entries):
        return fieldmap
    # One of a product is any log source of that product that no other entry is; one of everything
    # is what is left.
    left = set(sources).difference(*(e.kinds for e in fieldmap.entries if not e.any_source))
    entries = []
    for entry in fieldmap.entries:
        if entry.any_source:
            wide = entry.kind.action != "*"
            own = {kind for kind in left if wide or kind.object == entry.kind.object}
            left -= own
            entry = evolve(entry, also=tuple(sorted(own)))
        entries.append(entry)
    return evolve(fieldmap, entries=tuple(entries))


def normalize(
    event: Mapping[str, Any], maps: Iterable[FieldMap], *, sources: bool = False
) -> tuple[CarEvent, ...]:
    """The CAR events that a raw event is, through every map that recognises it.

    With ``sources`` also its views as an event of log sources, under native names.

    >>> from carengine.fieldmap import find_maps
    >>> event = {"object": "process", "action": "create", "exe": "a.exe"}
    >>> [found] = normalize(event, find_maps("car"))
    >>> str(found.kind), found.fields["exe"]
    ('process/create', 'a.exe')
    """
    event = plain_event(event)
    inner = unwrap(event)
    made: list[CarEvent] = []
    for fieldmap in recognise(inner, maps):
        made += [
            view(event, inner, entry)
            for entry in entries_of(inner, fieldmap)
            if sources or entry.native is None
        ]
    return tuple(made)


def entries_of(event: Mapping[str, Any], fieldmap: FieldMap) -> Iterator[Entry]:
    """The entries of a map that an (unwrapped) event fits."""
    row = RawRow(event)
    for entry in fieldmap.entries:
        if holds(entry.when, row, _NO_CONTEXT) is True:
            yield entry


def view(event: Mapping[str, Any], inner: Mapping[str, Any], entry: Entry) -> CarEvent:
    """The CAR view of an event through one entry. ``inner`` is the event unwrapped.

    Its fields are read from the event when they are asked for.
    """
    reader = entry.reader
    fields = Fields(reader, inner)
    return CarEvent(entry.kind, fields, reader.time(inner), event, entry.native, entry)


def time_at(inner: Mapping[str, Any], entry: Entry) -> int | None:
    """The event time of an (unwrapped) event through an entry, in microseconds."""
    return entry.reader.time(inner)


@frozen
class Lowered:
    """A stage rewritten for the events of one entry.

    ``condition`` and ``assigned`` read raw fields; ``columns`` is the stage's. ``missing`` names
    the CAR fields that the stage reads and the map cannot give; they are null. ``possible`` is
    False when the condition can then never be true.
    """

    fieldmap: FieldMap
    entry: Entry
    condition: ir.Condition
    assigned: tuple[tuple[str, ir.Value], ...]
    columns: tuple[str, ...] | None
    missing: tuple[str, ...]
    possible: bool


def lower(stage: ir.Stage, fieldmap: FieldMap) -> tuple[Lowered, ...]:
    """A stage in the terms of a log, once for each entry that gives events of its kinds."""
    by_kind = fieldmap.by_kind
    places = {place for kind in stage.kinds for place in by_kind.get(kind, ())}
    return tuple(lower_for(stage, fieldmap, fieldmap.entries[place]) for place in sorted(places))


def lower_for(stage: ir.Stage, fieldmap: FieldMap, entry: Entry) -> Lowered:
    """A stage in the terms of one entry of a map, which must be of one of the stage's kinds."""
    missing: dict[str, None] = {}
    fixed = False

    def native(value: ir.Value) -> ir.Value:
        nonlocal fixed
        match value:
            case ir.Field(name):
                found = entry.value(value)
            case ir.Presence(ir.Field(name) as field):
                found = entry.presence(field)
            case _:
                return value
        if found is None:
            missing.setdefault(name)
            found = ir.Constant(None)
        fixed = fixed or isinstance(found, ir.Constant)
        return found

    asked = of_any_service(stage.condition) if entry.any_source else stage.condition
    condition = ir.rewrite_condition(asked, native)
    possible = True
    if fixed or may_be_decided(asked):
        condition = ir.simplify(decided(condition))
        possible = True in outcomes(condition)
    assigned = tuple((name, ir.rewrite_value(value, native)) for name, value in stage.assigned)
    return Lowered(fieldmap, entry, condition, assigned, stage.columns, tuple(missing), possible)


@lru_cache(maxsize=4096)
def of_any_service(condition: ir.Condition) -> ir.Condition:
    """A condition without what it asks of the service that an event is of, as for an event that
    may be of any.

    >>> asked = ir.Compare(ir.Field(ir.SERVICE), ir.Relation.EQUAL, ir.Constant("sshd"))
    >>> of_any_service(ir.And((asked, ir.RawMatch(()))))
    RawMatch(patterns=())
    """
    service = ir.Field(ir.SERVICE)
    return ir.simplify(
        ir.map_atoms(
            condition,
            lambda atom: ir.Truth(True) if service in ir.values_of(atom) else atom,
        )
    )


@lru_cache(maxsize=16384)
def may_be_decided(condition: ir.Condition) -> bool:
    """Whether a part of a condition is decided without any event; seldom, and the same for all
    maps."""
    return any(
        isinstance(atom, ir.Truth) or (values and all(map(is_fixed, values)))
        for atom in ir.atoms(condition)
        for values in [ir.values_of(atom)]
    )


def outcomes(condition: ir.Condition) -> frozenset[bool | None]:
    """What a condition could come to, taking every undecided atom as open.

    >>> outcomes(ir.And((ir.Truth(None), ir.RawMatch(())))) == {False, None}
    True
    """
    match condition:
        case ir.Truth(value):
            return frozenset({value})
        case ir.Not(item):
            return frozenset(None if v is None else not v for v in outcomes(item))
        case ir.IsTrue(item):
            return frozenset(v is True for v in outcomes(item))
        case ir.And(items):
            return _combined([outcomes(item) for item in items], absorbing=False)
        case ir.Or(items):
            return _combined([outcomes(item) for item in items], absorbing=True)
        case _:
            unknown = () if ir.never_unknown(condition) else (None,)
            return frozenset({True, False, *unknown})


def _combined(parts: list[frozenset[bool | None]], *, absorbing: bool) -> frozenset[bool | None]:
    """The outcomes of ``or`` (``absorbing`` true) or ``and`` (false) of independent parts."""
    found: set[bool | None] = set()
    if any(absorbing in part for part in parts):
        found.add(absorbing)
    if all((not absorbing) in part for part in parts):
        found.add(not absorbing)
    if any(None in part for part in parts) and all(part - {absorbing} for part in parts):
        found.add(None)
    return frozenset(found)
