"""Events of a rule, put into the shape of a log.

A solver reasons about events under the names that a rule uses. A field map reads events of a log
into those names; here it is used the other way round. ``in_shape`` looks for an event of the log
that the map reads as the one that is given::

    {"object": "process", "action": "create", "exe": "cmd.exe", "pid": "12"}
        sysmon.flat        {"Channel": "Microsoft-Windows-Sysmon/Operational", "EventID": 1,
                            "Image": "C:\\Windows\\System32\\cmd.exe", "ProcessId": "12"}
        sysmon.winlogbeat  {"winlog": {"channel": …, "event_data": {"Image": …}}}

Nothing has to be known of the functions of field maps for that: values are proposed for the raw
fields that a value is made of, and the map itself says which of them is read as it should be.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from copy import deepcopy
from typing import Any

from attrs import evolve

from .. import ir
from ..evaluate import NoContext, RawRow, holds, value_of
from ..fieldmap import Entry, FieldMap
from ..ir import Goal, Wish
from ..pattern import Pattern, fold
from ..solver.facts import Facts
from ..solver.texts import Budget
from ..values import format_time, time_of
from .event_kinds import Event, first_name, is_native, kind_of, without_kind
from .event_templates import templates_of
from .inverses import Path, raw_values
from .witness import Judge, find

_STEPS = 200_000
_MOST_LEAVES = 12
_MOST_INVERSES = 40
_FILLERS = ("x", "", "0")
_NO_CONTEXT = NoContext()
_ROW_KIND = ir.EventKind("log", "event")
_FOLDER = "C:\\Windows\\System32\\"
_DIGEST_LENGTHS = {32: ("MD5", "IMPHASH"), 40: ("SHA1",), 64: ("SHA256",)}


def in_shape(event: Event, fieldmap: FieldMap) -> Iterator[dict[str, Any]]:
    """Events of the log that a map reads which it reads as ``event``, one or more for each entry of
    its kind that can give it, the fullest first.

    Where the event is one text and its values alone are none of the log's, they stand within a
    line of it: what the rule makes of that is for the engine to say.
    """
    kind = kind_of(event)
    for place in fieldmap.by_kind.get(kind, ()):
        entry = fieldmap.entries[place]
        alone = False
        for made in _of_entry(event, fieldmap, entry):
            alone = True
            yield made
        if not alone:
            for changed in _in_texts(event, fieldmap, kind):
                yield from _of_entry(changed, fieldmap, entry)


def _in_texts(event: Event, fieldmap: FieldMap, kind: ir.EventKind) -> Iterator[Event]:
    """The event with its values within the lines that such a log writes around them."""
    asked = {raw.path for raw in _raws_of(fieldmap.recognise)}
    for template in templates_of(fieldmap.name, kind):
        for text in template.texts:
            changed = {
                name: text.replace("{}", value)
                for name, value in event.items()
                if isinstance(value, str) and (name,) in asked
            }
            if changed:
                yield {**event, **changed}


def _raws_of(condition: ir.Condition) -> Iterator[ir.Raw]:
    for atom in ir.atoms(condition):
        for value in ir.values_of(atom):
            yield from ir.raws_in(value)


def _of_entry(event: Event, fieldmap: FieldMap, entry: Entry) -> Iterator[dict[str, Any]]:
    kind = kind_of(event)
    wanted = {
        name: value
        for name, value in _flat(without_kind(event))
        if name not in ("object", "action", ir.SERVICE) or is_native(kind)
    }
    wanted.pop(ir.SERVICE, None)
    values: dict[str, ir.Value] = {}
    for name in wanted:
        value = _value(entry, name)
        if value is None:
            return
        values[name] = value
    raw: dict[str, Any] = {}
    marks = marks_of(fieldmap.recognise)
    # Base names follow from paths, where both are there.
    for name in sorted(values, key=lambda one: _calls(values[one], "basename")):
        if not write(raw, values[name], wanted[name], timed=name == "time", marks=marks):
            return

    def read(event: Event) -> bool:
        return all(
            _reads(event, values[name], wanted[name], timed=name == "time") for name in values
        )

    both = ir.conjunction((fieldmap.recognise, entry.when))

    def is_one(event: Event) -> bool:
        return holds(both, RawRow(event), _NO_CONTEXT) is True and read(event)

    made = (_plainer(told, is_one) for told in _told(raw, fieldmap, entry, kind))
    yield from filter(is_one, made)


def _value(entry: Entry, name: str) -> ir.Value | None:
    """What a map reads a field of the rule from."""
    if entry.native is not None and name != "time":
        return entry.native.value(name)
    found = entry.fields.get(name)
    head, dot, member = name.partition(".")
    if found is None and dot and head in entry.fields:
        return ir.Call("member", (entry.fields[head], ir.Constant(member)))
    return found


def _flat(event: Mapping[str, Any], head: str = "") -> Iterator[tuple[str, Any]]:
    """The fields of an event, those in mappings under names with dots."""
    for name, value in event.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{head}{name}.")
        else:
            yield f"{head}{name}", value


def _calls(value: ir.Value, function: str) -> bool:
    match value:
        case ir.Call(name, arguments):
            return name == function or any(_calls(one, function) for one in arguments)
        case _:
            return False


def _reads(raw: Event, value: ir.Value, wanted: Any, *, timed: bool) -> bool:
    """Whether a raw event is read as it should be."""
    found = value_of(value, RawRow(raw), _NO_CONTEXT)
    if timed:
        return time_of(found) == time_of(wanted)
    if isinstance(found, list) and not isinstance(wanted, list):
        return any(_same(one, wanted) for one in found)
    return _same(found, wanted)


def _same(found: Any, wanted: Any) -> bool:
    if found is None or wanted is None:
        return found is wanted
    return bool(fold(str(found)) == fold(str(wanted)))


def marks_of(condition: ir.Condition) -> frozenset[str]:
    """The mappings of a raw event by which a shape is told from its siblings: Windows' events in
    the shape `ecs` have ``process`` or ``file`` or the like."""
    match condition:
        case ir.And(items) | ir.Or(items):
            return frozenset().union(*map(marks_of, items))
        case ir.Not(ir.IsNull(of)):
            return frozenset(raw.path[0] for raw in ir.raws_in(of) if len(raw.path) == 1)
        case _:
            return frozenset()


def write(
    raw: dict[str, Any],
    value: ir.Value,
    wanted: Any,
    *,
    timed: bool,
    marks: frozenset[str] = frozenset(),
) -> bool:
    """Put into a raw event what is read as a value, rather into one of the mappings ``marks``."""
    if wanted is None or _reads(raw, value, wanted, timed=timed):
        return _reads(raw, value, wanted, timed=timed)

    def later(leaf: tuple[Path, str]) -> tuple[bool, bool]:
        # Sysmon's events alone have the time among their data; an element is its text where it
        # has no attributes.
        path, _ = leaf
        away = path[-1] == "UtcTime" if timed else len(path) < 2 or path[0] not in marks
        return path[-1] == "#text", away

    for path, name in sorted(leaves(value), key=later):
        for spelt in _spellings(wanted, value, path, name, timed=timed):
            tried = deepcopy(raw)
            if not _put(tried, path, spelt):
                continue
            if _reads(tried, value, wanted, timed=timed):
                raw.clear()
                raw.update(tried)
                return True
    for path, spelt in itertools.islice(raw_values(value, wanted), _MOST_INVERSES):
        tried = deepcopy(raw)
        if _put(tried, path, spelt) and _reads(tried, value, wanted, timed=timed):
            raw.clear()
            raw.update(tried)
            return True
    return False


def leaves(value: ir.Value) -> list[tuple[Path, str]]:
    """The raw fields that a value is made of, the first ones first, each with the name of a member
    that is asked of it."""
    found: dict[tuple[Path, str], None] = {}

    def walk(one: ir.Value, member: str) -> None:
        match one:
            case ir.Raw(path) if path:
                found.setdefault((path, member))
            case ir.Call(_, arguments):
                names = [a.value for a in arguments if isinstance(a, ir.Constant)]
                texts = [name for name in names if isinstance(name, str) and name]
                for argument in arguments:
                    walk(argument, member or (texts[0] if texts else ""))
            case _:
                pass

    walk(value, "")
    return list(found)[:_MOST_LEAVES]


def _spellings(
    wanted: Any, value: ir.Value, path: Path, member: str, *, timed: bool
) -> Iterator[Any]:
    """What may stand in a log for a value, the plainest first."""
    if timed:
        micro = time_of(wanted)
        if micro is None:
            return
        text = format_time(micro)
        if path[-1] == "UtcTime":
            yield text[:23].removesuffix("Z").replace("T", " ")
        yield from (text, text.removesuffix("Z").replace("T", " "))
        yield from (micro // 1000, micro / 1e6, micro // 10**6, str(micro / 1e6), micro * 1000)
        return
    if isinstance(wanted, str) and _calls(value, "basename"):
        yield _FOLDER + wanted
    yield wanted
    if isinstance(wanted, str):
        if _calls(value, "program"):
            yield _FOLDER + wanted
        if wanted.isdigit():
            yield int(wanted)
        for name in _DIGEST_LENGTHS.get(len(wanted), ()):
            yield f"{name}={wanted}"
    elif not isinstance(wanted, list):
        yield str(wanted)
    if member:
        yield {member: wanted}
        yield [{"Name": member, "Value": wanted}]
        yield f"{member}={wanted}"
        yield f"{member}: {wanted}"
    yield [wanted]


def _put(event: dict[str, Any], path: tuple[str, ...], value: Any) -> bool:
    """Put a value at a path; whether there was room for it."""
    place = event
    for part in path[:-1]:
        inner = place.setdefault(part, {})
        if not isinstance(inner, dict):
            return False
        place = inner
    there = place.get(path[-1])
    if isinstance(there, dict) and isinstance(value, dict):
        whole = merged(there, value)
        if whole is not None:
            place[path[-1]] = whole
        return whole is not None
    if isinstance(there, list) and isinstance(value, list):
        there.extend(value)
        return True
    if isinstance(there, str) and isinstance(value, str) and "=" in value and "=" in there:
        place[path[-1]] = f"{there},{value}"
        return True
    if there is not None and there != value:
        return False
    place[path[-1]] = value
    return True


def _told(
    raw: Event, fieldmap: FieldMap, entry: Entry, kind: ir.EventKind
) -> Iterator[dict[str, Any]]:
    """The raw event with what tells that it is one of an entry: in a template of such events, in
    what of the template is needed, or put together from the conditions of the map."""
    both = ir.conjunction((fieldmap.recognise, entry.when))
    found: dict[str, Any] = {}

    def judge(proposed: Event) -> bool:
        whole = merged(without_kind(proposed), raw)
        if whole is None or holds(both, RawRow(whole), _NO_CONTEXT) is not True:
            return False
        found.clear()
        found.update(whole)
        return True

    templates = (dict(one.event) for one in templates_of(fieldmap.name, kind))
    known = [event for event in templates if judge(event)]
    if known:
        for event in known:
            for proposed in (event, _needed(event, judge)):
                judge(proposed)
                yield dict(found)
        return
    if judge({}):
        yield dict(found)
        return
    asked = _plain(ir.rewrite_operands(both, lambda value: _bare(first_name(value))))
    wishes: list[Wish] = [(asked, Goal.TRUE)]
    for path in _paths(asked):
        there = RawRow(raw).raw(path)
        if isinstance(there, str | int):
            same = ir.Match(ir.Raw(path), (Pattern.literal(str(there)),))
            wishes.append((same, Goal.TRUE))
    facts = Facts(ir.Search((_ROW_KIND,)), plain=True, blank=True)
    budget = Budget(_STEPS)
    told = find(wishes, _ROW_KIND, facts, judge, budget)
    if told is None:
        return
    fewer = _without_fillers(without_kind(told), judge)
    mappings: dict[str, Any] = {
        name: {}
        for name in marks_of(fieldmap.recognise)
        # A name with a dot is a field and no mapping.
        if "." not in name and fewer.get(name) in _FILLERS
    }
    judge(fewer)
    if mappings:
        judge({**fewer, **mappings})
    yield dict(found)


def _needed(event: Event, judge: Judge) -> dict[str, Any]:
    """The event without the fields that it can do without."""
    made = deepcopy(event)

    def shrink(mapping: dict[str, Any]) -> None:
        for name, value in list(mapping.items()):
            del mapping[name]
            if judge(made):
                continue
            # Put back, it comes last: the order of an event's fields says nothing.
            mapping[name] = value
            if isinstance(value, dict):
                shrink(value)

    shrink(made)
    return made


def _plainer(event: Event, judge: Judge) -> Event:
    """The event with texts where it has elements that are nothing but their text."""

    def changed(value: Any) -> Any:
        if not isinstance(value, Mapping):
            return value
        if list(value) == ["#text"]:
            return value["#text"]
        return {name: changed(inner) for name, inner in value.items()}

    made = {name: changed(value) for name, value in event.items()}
    return made if made != event and judge(made) else event


def _bare(value: ir.Value) -> ir.Value:
    """A raw field, whatever texts stand for nothing in it: to the solver each is one field."""
    match value:
        case ir.Raw(path, _, type_):
            return ir.Raw(path, (), type_)
        case ir.Call(_, arguments):
            return evolve(value, arguments=tuple(map(_bare, arguments)))
        case _:
            return value


def _plain(condition: ir.Condition) -> ir.Condition:
    """The condition without what follows from the rest: that a mapping is there in which something
    is."""
    paths = _paths(condition)
    within = {path[:end] for path in paths for end in range(1, len(path))}

    def changed(atom: ir.Atom) -> ir.Condition:
        match atom:
            case ir.IsNull(ir.Raw(path)) if path in within:
                return ir.Truth(False)
            case _:
                return atom

    return ir.simplify(ir.map_atoms(condition, changed))


def _without_fillers(event: Event, judge: Judge) -> Event:
    """The event without the fields that hold anything at all, where it can do without them."""
    made = event
    for name, value in event.items():
        fewer = {key: inner for key, inner in made.items() if key != name}
        if value in _FILLERS and judge(fewer):
            made = fewer
    return made


def _paths(condition: ir.Condition) -> list[tuple[str, ...]]:
    """The paths of the raw fields that a condition reads."""
    found: dict[tuple[str, ...], None] = {}

    def noted(value: ir.Value) -> ir.Value:
        if isinstance(value, ir.Raw):
            found.setdefault(value.path)
        return value

    ir.rewrite_operands(condition, noted)
    return list(found)


def merged(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any] | None:
    """Two events in one, ``over`` before ``under``; None where one has a mapping and the other
    something else."""
    made = dict(under)
    for name, value in over.items():
        there = made.get(name)
        if isinstance(there, Mapping) and isinstance(value, Mapping):
            inner = merged(there, value)
            if inner is None:
                return None
            made[name] = inner
        elif isinstance(there, Mapping) != isinstance(value, Mapping) and there is not None:
            return None
        else:
            made[name] = value
    return made
