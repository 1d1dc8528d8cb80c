"""The names under which two rules of different logs or languages can be compared.

A rule about CAR's events, a Sigma rule, and a query each use names of their own. There are three
kinds of names that two of them may share::

    Windows' own    Sigma rules of several log sources:  Channel, EventID, Image, NewProcessName
    CAR's           whatever a field map gives to CAR:   image_path, command_line
    Sigma's         log sources that CAR has no object for, such as windows/dns_query: QueryName

Each way takes something for granted, which the subject that comes out says.
"""

from __future__ import annotations

from functools import cache, lru_cache
from importlib import import_module

from attrs import evolve, field, frozen

from .. import ir
from ..diagnostics import Diagnostic, codes, has_errors
from ..fieldmap import ECS, FieldMap, find_maps
from ..ir import Goal, Wish
from ..languages.reading import (
    LANGUAGES,
    QueryReading,
    as_rule,
    maps_of,
    names_known,
    native_search,
    raised,
    source_maps_of,
)
from ..pattern import Pattern
from ..rule import Rule
from ..solver.facts import Facts
from ..solver.satisfiability import can_be
from ..solver.texts import Budget
from . import assumptions
from .event_kinds import first_name, is_native

_LOSING = (codes.NATIVE_ABSENT, codes.NATIVE_KIND)
_TAKEN = (codes.NATIVE_WIDER, codes.FOREIGN_NEAR, codes.DATA_SOURCE)
_OS = "host.os.type"


@frozen
class Subject:
    """A rule to be compared: with what reading it lost or took for granted, and the query that it
    was read from, where it is no rule of ours."""

    rule: Rule
    reading: QueryReading | None = field(default=None, repr=False)
    lost: tuple[str, ...] = ()
    taken: tuple[str, ...] = ()

    @property
    def native(self) -> bool:
        """Whether it is about events under names that CAR does not know."""
        return any(map(is_native, self.kinds))

    @property
    def kinds(self) -> frozenset[ir.EventKind]:
        """The kinds of events that it looks at."""
        outputs = self.rule.program.outputs
        return frozenset(kind for output in outputs for kind in ir.searched(output.plan))

    @property
    def of_windows(self) -> bool:
        """Whether it is about log sources of Windows, as Sigma's rules are."""
        return all(kind.object == "windows" for kind in self.kinds)


def subject_of(rule: Rule, reading: QueryReading | None = None) -> Subject:
    """A rule as something to compare."""
    said = rule.diagnostics if reading is None else reading.diagnostics
    return Subject(rule, reading, _told(said, _LOSING), _told(said, _TAKEN))


def _told(said: tuple[Diagnostic, ...], wanted: tuple[object, ...]) -> tuple[str, ...]:
    return tuple(
        dict.fromkeys(f"{one.message} ({one.code.id})" for one in said if one.code in wanted)
    )


def with_reading(subject: Subject) -> Subject:
    """A subject with the query that it is, where it was loaded as a rule."""
    kinds = {kind.object for kind in subject.kinds}
    [language, *others] = kinds or {""}
    if subject.reading is not None or others or language not in LANGUAGES:
        return subject
    rule = subject.rule
    return evolve(subject, reading=QueryReading(language, rule.block, rule.program))


def in_windows_names(subject: Subject, other: Subject) -> Subject | None:
    """A rule about log sources of Windows under the names that the events have, or a query that has
    these names; None for others, and for rules that look at several events.

    A query that does not say which channels it is about is put to those of the other one.
    """
    if not subject.kinds:
        return None
    reading: QueryReading | None
    if subject.of_windows:
        reading = _sigma_reading(subject)
    elif subject.reading is not None and other.of_windows:
        reading = _flat_reading(subject.reading)
    else:
        return None
    if reading is None or reading.program is None or has_errors(reading.diagnostics):
        return None
    program, taken = reading.program, [*subject.taken, assumptions.WINDOWS]
    # A query says where its data lies; a rule about all of Windows is about all channels.
    queried = subject.reading is not None or any(
        f"({codes.DATA_SOURCE.id})" in text for text in subject.taken
    )
    if queried and not _tells_channel(subject):
        sources = [
            entry.when
            for kind in other.kinds
            for place in _windows_map().by_kind.get(kind, ())
            if (entry := _windows_map().entries[place])
        ]
        if not sources or not other.of_windows:
            return None
        sigma = import_module("carengine.languages.sigma.query_reader")
        when = sigma.in_first_names(ir.simplify(ir.Or(tuple(sources))))
        program = _restricted(program, when)
        taken.append(assumptions.OWN_SOURCE)
    program = _restricted(program, ir.conjunction((_NUMBERED, _schema(program))))
    rule = evolve(
        as_rule(evolve(reading, program=program), subject.rule.id), metadata=subject.rule.metadata
    )
    return Subject(rule, None, subject.lost, tuple(taken))


def _tells_channel(subject: Subject) -> bool:
    """Whether it is said of which channels the events are."""
    if subject.of_windows and all(kind.action != ir.ANY_SOURCE for kind in subject.kinds):
        return True
    return bool(names_read(subject.rule.program) & {"Channel", "LogName", "Provider_Name"})


def _flat_reading(reading: QueryReading) -> QueryReading | None:
    """A query that has the names of Windows' events, by the first of their names; None where it has
    a name that none of these events has, as far as is known."""
    if reading.program is None:
        return None
    stages = [ir.as_stages(output.plan) for output in reading.program.outputs]
    known = names_known((*maps_of("sigma"), *source_maps_of("sigma")))
    if None in stages or not names_read(reading.program) <= known | set(_FIRST_NAMES):
        return None

    def change(value: ir.Value) -> ir.Value:
        match value:
            case ir.Field(name) if name in _FIRST_NAMES:
                return evolve(value, name=_FIRST_NAMES[name])
            case _:
                return value

    conditions = [
        ir.rewrite_condition(stage.condition, change) for found in stages for stage in found or ()
    ]
    plan = ir.Filter(native_search("sigma"), ir.simplify(ir.Or(tuple(conditions))))
    return evolve(reading, program=ir.Program((ir.Output("matches", plan),)))


_FIRST_NAMES = {"EventCode": "EventID", "EventId": "EventID", "ComputerName": "Hostname"}


def _windows_map() -> FieldMap:
    return find_maps("windows.flat")[0]


# Registry events of Sysmon: only one that sets a value has its data.
# https://learn.microsoft.com/sysinternals/downloads/sysmon#event-id-13-registryevent-value-set
_SYSMON = ir.Match(ir.Field("Channel"), (Pattern("Microsoft-Windows-Sysmon/Operational"),))
_NUMBERED = ir.Not(ir.IsNull(ir.Field("EventID")))
_ONLY_IN = {"Details": 13, "NewName": 14}


def _schema(program: ir.Program) -> ir.Condition:
    """What is so of all events as for the names that a program reads, where only some events have
    them."""
    made: list[ir.Condition] = []
    for name in sorted(names_read(program) & set(_ONLY_IN)):
        number = ir.Compare(
            ir.Field("EventID"), ir.Relation.EQUAL, ir.Constant(_ONLY_IN[name]), ir.Type.ANY
        )
        elsewhere = ir.Not(ir.IsTrue(_SYSMON))
        made.append(ir.Or((ir.IsNull(ir.Field(name)), elsewhere, ir.IsTrue(number))))
    return ir.conjunction(tuple(made))


def _restricted(program: ir.Program, condition: ir.Condition) -> ir.Program:
    """A program that looks only at events for which a condition holds."""
    if condition == ir.Truth(True):
        return program
    outputs = []
    for output in program.outputs:
        stages = ir.as_stages(output.plan) or ()
        parts = tuple(
            ir.Filter(ir.Search(stage.kinds), ir.conjunction((condition, stage.condition)))
            for stage in stages
        )
        outputs.append(evolve(output, plan=parts[0] if len(parts) == 1 else ir.Union(parts)))
    return evolve(program, outputs=tuple(outputs))


def names_read(program: ir.Program) -> frozenset[str]:
    """The names of the fields that a program reads."""
    return frozenset(
        found.name
        for part in ir.every_plan(output.plan for output in program.outputs)
        for read in ir.values_of_plan(part)
        for found in ir.fields_in(read)
        if found.name not in (ir.SERVICE, "time")
    )


def _sigma_reading(subject: Subject) -> QueryReading:
    sigma = import_module("carengine.languages.sigma.query_reader")
    made: QueryReading = sigma.of_programs([subject.rule.program], subject.rule.block)
    return made


def in_car_names(subject: Subject, *, sources: bool = False) -> Subject | None:
    """A subject raised to CAR's names; None where its language is not read backwards.

    With ``sources`` events that CAR has no object for are those of Sigma's log sources.
    """
    if not subject.native or (sources and not _is_foreign(subject)):
        return subject
    reading, assumed = _own_reading(subject)
    if reading is None:
        return None
    maps = maps_of(reading.language)
    if sources:
        others = source_maps_of(reading.language)
        maps = (*(map(_without_messages, maps) if others else maps), *others)
    made = raised(reading, maps)
    if made.program is None or has_errors(made.diagnostics):
        return None
    rule = evolve(as_rule(made, subject.rule.id), metadata=subject.rule.metadata)
    found = subject_of(rule, made)
    return evolve(found, taken=(*found.taken, *assumed, assumptions.raised_by(made.maps)))


@cache
def _without_messages(fieldmap: FieldMap) -> FieldMap:
    """A map without what it gives of messages: a DNS query is not both a message of a flow and an
    event of its own log source."""
    entries = tuple(
        evolve(one, fields={k: v for k, v in one.fields.items() if k[:11] != "proto_info."})
        for one in fieldmap.entries
    )
    return evolve(fieldmap, entries=entries)


def may_be_one(one: ir.EventKind, other: ir.EventKind) -> bool:
    """Whether an event may be of two kinds of which one alone is CAR's, as the field maps of
    queries have them.

    >>> dns = ir.EventKind("windows", "dns_query")
    >>> may_be_one(dns, ir.EventKind("flow", "message"))
    True
    >>> may_be_one(ir.EventKind("windows", "wmi_event"), ir.EventKind("process", "create"))
    False
    """
    source, car = (one, other) if is_native(one) else (other, one)
    for language in ("sigma", "elastic", "eql"):
        here = [e.when for m in source_maps_of(language) for e in m.entries if e.kind == source]
        there = [e.when for m in maps_of(language) for e in m.entries if e.kind == car]
        if any(not exclude(a, b) for a in here for b in there):
            return True
    return not any(
        entry.kind == source for found in source_maps_of("sigma") for entry in found.entries
    )


@lru_cache(maxsize=4096)
def exclude(one: ir.Condition, other: ir.Condition) -> bool:
    """Whether two conditions of field maps exclude each other."""
    names: dict[str, ir.Column] = {}

    def named(value: ir.Value) -> ir.Value:
        if not isinstance(value, ir.Raw):
            return value
        name = ".".join(value.path)
        names[name] = ir.Column(name, ir.Field("command_line"))
        return ir.Field(name, None, value.type)

    wishes: list[Wish] = [
        (ir.rewrite_condition(ir.rewrite_operands(when, first_name), named), Goal.TRUE)
        for when in (one, other)
    ]
    search = ir.Search((ir.EventKind("process", "create"),))
    facts = Facts(ir.Project(search, tuple(names.values())), plain=True)
    return can_be(wishes, facts, Budget(_STEPS)) is False


_STEPS = 2_000_000


def _is_foreign(subject: Subject) -> bool:
    """Whether a subject has names that others do not share: a rule of pseudocode about one of the
    log sources that are names for all has not."""
    shared = {entry.kind for found in source_maps_of("sigma") for entry in found.entries}
    written = subject.reading is None and subject.rule.syntax is not None
    return not (written and all(kind in shared or not is_native(kind) for kind in subject.kinds))


def _own_reading(subject: Subject) -> tuple[QueryReading | None, tuple[str, ...]]:
    """What a subject asks under its own names, with what that takes for granted."""
    reading = subject.reading
    if reading is None and subject.of_windows:
        return _sigma_reading(subject), ()
    if reading is None and subject.kinds == {ECS}:
        made, assumed = _of_hosts(subject.rule.program)
        return QueryReading("elastic", subject.rule.block, made), assumed
    if reading is None or reading.program is None:
        return None, ()
    if reading.language == "eql" and _has_ecs_names(reading.program):
        eql = import_module("carengine.languages.eql.reader")
        again: QueryReading = eql.read_elastic(reading.block)
        if again.program is None:
            return None, ()
        reading = evolve(again, language="elastic")
    if reading.language in ("elastic", "esql", "lucene") and reading.program is not None:
        made, assumed = _of_hosts(reading.program)
        return evolve(reading, program=made), assumed
    return reading, ()


def _has_ecs_names(program: ir.Program) -> bool:
    """Whether a query in EQL uses the names of ECS, which are paths, and not Endgame's."""
    return any(
        "." in found.name
        for part in ir.every_plan(output.plan for output in program.outputs)
        for read in ir.values_of_plan(part)
        for found in ir.fields_in(read)
    )


def _of_hosts(program: ir.Program) -> tuple[ir.Program, tuple[str, ...]]:
    """A program about hosts with one operating system, where it demands one: CAR does not tell."""
    demanded = {_system_of(output.plan) for output in program.outputs}
    system = demanded.pop() if len(demanded) == 1 else None
    if system is None:
        return program, ()

    def change(atom: ir.Atom) -> ir.Condition:
        found = _system_test(atom)
        return atom if found is None else ir.Truth(system in found)

    outputs = []
    for output in program.outputs:
        stages = ir.as_stages(output.plan) or ()
        parts = tuple(
            ir.Filter(ir.Search(stage.kinds), ir.simplify(ir.map_atoms(stage.condition, change)))
            for stage in stages
        )
        outputs.append(evolve(output, plan=parts[0] if len(parts) == 1 else ir.Union(parts)))
    return evolve(program, outputs=tuple(outputs)), (assumptions.of_hosts(_OS, system),)


def _system_of(plan: ir.Plan) -> str | None:
    """The one operating system that all events have that a plan finds."""
    stages = ir.as_stages(plan)
    found: set[str] = set()
    for stage in stages or ():
        items = stage.condition.items if isinstance(stage.condition, ir.And) else (stage.condition,)
        bare = [item.item if isinstance(item, ir.IsTrue) else item for item in items]
        tests = [names for item in bare if (names := _system_test(item)) is not None]
        found.add(next(iter(tests[0])) if tests and len(tests[0]) == 1 else "")
    return found.pop() if len(found) == 1 and found != {""} else None


def _system_test(condition: ir.Condition) -> frozenset[str] | None:
    """The operating systems that a test lets through; None of other conditions."""
    match condition:
        case ir.Match(ir.Field(name), patterns) if name == _OS:
            texts = [pattern.exact for pattern in patterns]
            return None if None in texts else frozenset(str(text).lower() for text in texts)
        case _:
            return None


def demanded_system(subject: Subject) -> str | None:
    """The operating system whose events alone a subject finds, where it says so."""
    if subject.of_windows and subject.kinds:
        return "windows"
    program = subject.rule.program
    return _of_hosts(program)[1][0].rpartition(" ")[2] if _of_hosts(program)[1] else None


def nameless(program: ir.Program) -> frozenset[str]:
    """The fields that a program in CAR's names still reads under the names of a log."""
    return frozenset(
        ".".join(value.path)
        for part in ir.every_plan(output.plan for output in program.outputs)
        for read in ir.values_of_plan(part)
        for value in ir.raws_in(read)
    )
