"""Walking through values, conditions and plans, and rewriting them.

This is the one place that knows what is inside a node. Each accessor names every node class and
ends in ``assert_never``: whoever adds a node is told by mypy which of them have to learn it, and
``tests/test_ir_accessors.py`` asks each accessor about each class.

* ``children``, ``operands`` and ``plans_below`` give what is directly inside a condition, a value
  or a plan; ``values_of``, ``values_of_plan`` and ``plans_beside`` what a node of one sort holds of
  another.
* ``atoms``, ``values_in``, ``leaves``, ``fields_of`` and ``every_plan`` go all the way down.
* ``map_atoms``, ``map_plans``, ``rewrite_operands`` and ``rewrite_value`` make the same node with
  other parts.

A function that treats all atoms alike matches the connectives by name and hands the rest, which
mypy then knows to be an `Atom`, to something that takes one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import assert_never

from attrs import evolve

from .nodes import (
    Aggregate,
    Aggregated,
    And,
    Arithmetic,
    Assign,
    Atom,
    Branch,
    Call,
    Compare,
    Condition,
    Constant,
    Difference,
    Distinct,
    Duration,
    EventKind,
    Field,
    Filter,
    Group,
    InNetwork,
    IsNull,
    IsTrue,
    Join,
    Lookup,
    Match,
    Moment,
    Not,
    Now,
    Occurs,
    Or,
    Parameter,
    Plan,
    Presence,
    Project,
    Rank,
    Raw,
    RawMatch,
    RawRegex,
    Regex,
    Search,
    Sequence,
    Step,
    Truth,
    Type,
    Union,
    Value,
    Whole,
    Window,
)

# What is directly inside a node


def children(condition: Condition) -> tuple[Condition, ...]:
    """The conditions directly inside a condition; none for an atom.

    >>> children(Not(Truth(True)))
    (Truth(value=True),)
    """
    match condition:
        case And(items) | Or(items):
            return items
        case Not(item) | IsTrue(item):
            return (item,)
        case Truth():
            return ()
        case Match() | Regex() | Compare() | InNetwork() | IsNull() | Occurs():
            return ()
        case RawMatch() | RawRegex() | Rank():
            return ()
        case _:
            assert_never(condition)


def operands(value: Value) -> tuple[Value, ...]:
    """The values directly inside a value. The plan of a ``Whole`` is not looked into."""
    match value:
        case Arithmetic(_, left, right):
            return (left, right)
        case Call(_, arguments):
            return arguments
        case Aggregate(_, inner):
            return () if inner is None else (inner,)
        case Presence(of):
            return (of,)
        case Field() | Raw() | Constant() | Moment() | Duration() | Now() | Parameter():
            return ()
        case Whole() | Lookup():
            # They are computed over rows of their own.
            return ()
        case _:
            assert_never(value)


def values_of(condition: Condition) -> tuple[Value, ...]:
    """The values an atom tests; nothing for a connective and for tests of the raw event."""
    match condition:
        case Match() | Regex() | InNetwork() | IsNull() | Rank():
            return (condition.value,)
        case Compare(left, _, right):
            return (left, right)
        case Occurs(needle, haystack):
            return (needle, haystack)
        case RawMatch() | RawRegex() | Truth() | And() | Or() | Not() | IsTrue():
            return ()
        case _:
            assert_never(condition)


def plans_below(plan: Plan) -> tuple[Plan, ...]:
    """The plans whose rows a plan is made of, directly."""
    match plan:
        case Search():
            return ()
        case Filter(inner) | Assign(inner) | Project(inner) | Distinct(inner):
            return (inner,)
        case Join(branches):
            return tuple(branch.plan for branch in branches)
        case Group(plans) | Window(plans) | Union(plans):
            return plans
        case Sequence():
            return tuple(step.plan for step in steps_of(plan))
        case Aggregated(group):
            return (group,)
        case Difference(left, right):
            return (left, right)
        case _:
            assert_never(plan)


def condition_of(plan: Plan) -> Condition | None:
    """The condition that a plan itself puts to rows: to those below it, or to a window's own."""
    match plan:
        case Filter(_, condition) | Join(_, condition) | Window(condition=condition):
            return condition
        case Search() | Assign() | Group() | Project() | Aggregated() | Difference():
            return None
        case Distinct() | Union() | Sequence():
            return None
        case _:
            assert_never(plan)


def steps_of(plan: Sequence) -> tuple[Step, ...]:
    """The steps of a sequence, that of ``until`` last."""
    return plan.steps if plan.until is None else (*plan.steps, plan.until)


def values_of_plan(plan: Plan) -> tuple[Value, ...]:
    """The values that a plan itself reads or makes: of its condition, its columns, its keys."""
    match plan:
        case Search() | Union():
            return ()
        case Filter(_, condition) | Join(_, condition):
            return _values_tested(condition)
        case Assign(_, _, value) | Distinct(_, value):
            return (value,)
        case Project(_, columns) | Aggregated(_, columns):
            return tuple(column.value for column in columns)
        case Group(_, keys):
            return keys
        case Difference(_, _, fields):
            return fields
        case Sequence():
            return tuple(key for step in steps_of(plan) for key in step.keys)
        case Window(_, keys, _, columns, condition):
            return (*keys, *(column.value for column in columns), *_values_tested(condition))
        case _:
            assert_never(plan)


def _values_tested(condition: Condition) -> tuple[Value, ...]:
    return tuple(value for atom in atoms(condition) for value in values_of(atom))


def atoms_of_plan(plan: Plan) -> Iterator[Truth | Atom]:
    """The atoms of a plan's own condition."""
    condition = condition_of(plan)
    if condition is not None:
        yield from atoms(condition)


def plans_beside(plan: Plan) -> tuple[Plan, ...]:
    """The plans that a plan's own conditions and values look at as a whole."""
    ranks = [atom.plan for atom in atoms_of_plan(plan) if isinstance(atom, Rank)]
    looked_at = [
        part.plan
        for value in values_of_plan(plan)
        for part in values_in(value)
        if isinstance(part, Whole | Lookup)
    ]
    return (*ranks, *looked_at)


# All the way down


def atoms(condition: Condition) -> Iterator[Truth | Atom]:
    """All conditions inside this one that are no connective, from left to right."""
    match condition:
        case And(items) | Or(items):
            for item in items:
                yield from atoms(item)
        case Not(item) | IsTrue(item):
            yield from atoms(item)
        case _:
            yield condition


def values_in(value: Value) -> Iterator[Value]:
    """The value and all values inside it, the outer ones first."""
    yield value
    for inner in operands(value):
        yield from values_in(inner)


def leaves(value: Value) -> Iterator[Value]:
    """The values at the ends of an expression, from left to right.

    >>> list(leaves(Arithmetic("+", Field("time"), Duration(1_000_000)))) == [
    ...     Field("time"), Duration(1_000_000)]
    True
    """
    inner = operands(value)
    if not inner:
        yield value
    for part in inner:
        yield from leaves(part)


def fields_in(value: Value) -> Iterator[Field]:
    """The fields a value reads."""
    return (part for part in leaves(value) if isinstance(part, Field))


def raws_in(value: Value) -> Iterator[Raw]:
    """The log's own fields that a value reads."""
    return (part for part in leaves(value) if isinstance(part, Raw))


def fields_of(condition: Condition) -> Iterator[Field]:
    """The fields a condition reads, with repetition, from left to right."""
    for atom in atoms(condition):
        for value in values_of(atom):
            yield from fields_in(value)


def every_plan(plans: Iterable[Plan]) -> Iterator[Plan]:
    """The plans and all that they are built on or look at, each object once, the outer ones
    first."""
    # By identity: rules share plans, and comparing deep ones takes longer than walking them.
    seen: set[int] = set()
    work = list(plans)
    while work:
        plan = work.pop()
        if id(plan) not in seen:
            seen.add(id(plan))
            work += plans_below(plan)
            work += plans_beside(plan)
            yield plan


def searched(plan: Plan) -> frozenset[EventKind]:
    """The kinds of events that the rows of a plan are made of.

    >>> searched(Filter(Search((EventKind("process", "create"),)), Truth(True)))
    frozenset({EventKind(object='process', action='create')})
    """
    kinds: set[EventKind] = set()
    seen: set[int] = set()
    work: list[Plan] = [plan]
    while work:
        part = work.pop()
        if id(part) not in seen:
            seen.add(id(part))
            work += plans_below(part)
            if isinstance(part, Search):
                kinds.update(part.kinds)
    return frozenset(kinds)


# What nodes are


def type_of(value: Value) -> Type:
    """What the values of an expression are, as far as the data model says."""
    match value:
        case Field() | Raw() | Parameter() | Call():
            return value.type
        case Moment() | Now():
            return Type.TIME
        case Duration():
            return Type.DURATION
        case Constant(constant):
            return _type_of_constant(constant)
        case Arithmetic(_, left, right):
            pair = {type_of(left), type_of(right)}
            if Type.TIME in pair:
                return Type.DURATION if pair == {Type.TIME} else Type.TIME
            return Type.DURATION if Type.DURATION in pair else Type.NUMBER
        case Aggregate("count" | "distinct_count"):
            return Type.INTEGER
        case Aggregate("min" | "max" | "values", inner) if inner is not None:
            return type_of(inner)
        case Aggregate(_, inner):
            timed = inner is not None and type_of(inner) is Type.DURATION
            return Type.DURATION if timed else Type.NUMBER
        case Presence():
            return Type.BOOLEAN
        case Whole(aggregate):
            return type_of(aggregate)
        case Lookup(plan, column):
            return next((type_of(c.value) for c in plan.columns if c.name == column), Type.ANY)
        case _:
            assert_never(value)


def _type_of_constant(constant: str | float | bool | None) -> Type:
    match constant:
        case bool():
            return Type.BOOLEAN
        case int() | float():
            return Type.NUMBER
        case str():
            return Type.TEXT
        case None:
            return Type.ANY


def reads_raw_event(atom: Truth | Atom) -> bool:
    """Whether an atom tests the serialised raw event, and so every event that a row is made of."""
    match atom:
        case RawMatch() | RawRegex():
            return True
        case Match() | Regex() | Compare() | InNetwork() | IsNull() | Occurs() | Rank() | Truth():
            return False
        case _:
            assert_never(atom)


def never_unknown(condition: Condition) -> bool:
    """Whether a condition is true or false of every row, by its own nature.

    >>> never_unknown(IsNull(Field("exe"))), never_unknown(Match(Field("exe"), ()))
    (True, False)
    """
    match condition:
        case IsNull() | RawMatch() | RawRegex() | IsTrue():
            return True
        case Truth(value):
            return value is not None
        case Not(item):
            return never_unknown(item)
        case And(items) | Or(items):
            return all(map(never_unknown, items))
        case Match() | Regex() | Compare() | InNetwork() | Occurs() | Rank():
            return False
        case _:
            assert_never(condition)


def is_stateless(condition: Condition) -> bool:
    """Whether one event, and nothing else, decides the condition. ``now`` is not the event's."""
    return all(
        not isinstance(atom, Rank) and all(map(value_is_stateless, values_of(atom)))
        for atom in atoms(condition)
    )


def value_is_stateless(value: Value) -> bool:
    """Whether one event, and nothing else, gives the value."""
    match value:
        case Field() | Raw() | Constant() | Moment() | Duration() | Parameter():
            return True
        case Arithmetic() | Call() | Presence():
            return all(map(value_is_stateless, operands(value)))
        case Whole() | Lookup() | Aggregate() | Now():
            return False
        case _:
            assert_never(value)


# The same node with other parts


# Functions that pick a part out of a value, so that a part is there where they give one.
_PARTS = frozenset({"between", "hash", "item", "labelled", "listed", "part", "values_at"})


def presence_of(value: Value) -> Value:
    """Whether a value is there, whatever it is: as a value that is true there, and null elsewhere.

    What a function makes of fields is there where one of these is; of the functions that choose,
    where what they choose is; and a part of a value where the value has it. Values that are made of
    several rows, or calculated, are there where they are not null.

    >>> a, b = Raw(("a",), ("-",)), Raw(("b",))
    >>> presence_of(Call("first", (a, b))) == Call("first", (Presence(Raw(("a",))), Presence(b)))
    True
    """
    match value:
        case Field():
            return Presence(value)
        case Raw(path):
            return Presence(Raw(path))
        case Presence():
            return value
        case Constant(constant):
            return Constant(None if constant is None else True)
        case Moment() | Duration():
            return Constant(True)
        case Call("choose", (asked, *pairs)):
            # Each second one is chosen, and a last one that stands alone.
            chosen = [
                presence_of(v) if place % 2 or place == len(pairs) - 1 else v
                for place, v in enumerate(pairs)
            ]
            return Call("choose", (asked, *chosen))
        case Call("given", (asked, then)):
            return Call("given", (asked, presence_of(then)))
        case Call("member" | "within" as function, (of, name)):
            return Call(f"has_{function}", (of, name))
        case Call(function, arguments) if function not in _PARTS:
            read = [part for part in arguments if any(True for _ in _fields_at_ends(part))]
            parts = tuple(dict.fromkeys(map(presence_of, read or arguments)))
            return parts[0] if len(parts) == 1 else Call("first", parts)
        case Call() | Arithmetic() | Now() | Parameter() | Aggregate() | Whole() | Lookup():
            return Call("given", (value, Constant(True)))
        case _:
            assert_never(value)


def _fields_at_ends(value: Value) -> Iterator[Value]:
    return (part for part in leaves(value) if isinstance(part, Field | Raw))


def rewrite_value(value: Value, change: Callable[[Value], Value]) -> Value:
    """The value with ``change`` applied to each leaf (field, raw field, constant …).

    Of a ``Presence``, ``change`` is asked for another value first; if it gives none, for what is in
    it.
    """
    match value:
        case Field() | Raw() | Constant():
            return change(value)
        case Arithmetic(sign, left, right):
            return Arithmetic(sign, rewrite_value(left, change), rewrite_value(right, change))
        case Call(function, arguments, type_):
            return Call(function, tuple([rewrite_value(x, change) for x in arguments]), type_)
        case Aggregate(function, inner, argument):
            if inner is None:
                return change(value)
            return Aggregate(function, rewrite_value(inner, change), argument)
        case Presence(of):
            changed = change(value)
            return presence_of(rewrite_value(of, change)) if changed is value else changed
        case Moment() | Duration() | Now() | Parameter() | Whole() | Lookup():
            return change(value)
        case _:
            assert_never(value)


def rewrite_condition(condition: Condition, change: Callable[[Value], Value]) -> Condition:
    """The condition with ``change`` applied to each leaf value of its atoms."""
    return rewrite_operands(condition, lambda value: rewrite_value(value, change))


def rewrite_operands(condition: Condition, change: Callable[[Value], Value]) -> Condition:
    """The condition with ``change`` applied to each value that an atom tests, as a whole.

    >>> upper = lambda value: Call("upper", (value,))
    >>> rewrite_operands(IsNull(Raw(("x",))), upper) == IsNull(Call("upper", (Raw(("x",)),)))
    True
    """
    # Thousands of rules are rewritten for each shape of log: most are made of these few nodes, so
    # they come first, and none is made by `evolve`.
    match condition:
        case And(items):
            return And(tuple([rewrite_operands(x, change) for x in items]))
        case Or(items):
            return Or(tuple([rewrite_operands(x, change) for x in items]))
        case Match(value, patterns, span):
            return Match(change(value), patterns, span)
        case Not(item):
            return Not(rewrite_operands(item, change))
        case IsTrue(item):
            return IsTrue(rewrite_operands(item, change))
        case Compare(left, relation, right, type_, span):
            return Compare(change(left), relation, change(right), type_, span)
        case IsNull(value, span):
            return IsNull(change(value), span)
        case Regex() | InNetwork() | Rank():
            return evolve(condition, value=change(condition.value))
        case Occurs(needle, haystack, span):
            return Occurs(change(needle), change(haystack), span)
        case Truth() | RawMatch() | RawRegex():
            return condition
        case _:
            assert_never(condition)


def map_atoms(condition: Condition, change: Callable[[Atom], Condition]) -> Condition:
    """The condition with another one in the place of each atom.

    >>> map_atoms(Not(IsNull(Field("exe"))), lambda atom: Truth(False))
    Not(item=Truth(value=False))
    """
    match condition:
        case And(items):
            return And(tuple([map_atoms(item, change) for item in items]))
        case Or(items):
            return Or(tuple([map_atoms(item, change) for item in items]))
        case Not(item):
            return Not(map_atoms(item, change))
        case IsTrue(item):
            return IsTrue(map_atoms(item, change))
        case Truth():
            return condition
        case _:
            return change(condition)


def map_plans(plan: Plan, change: Callable[[Plan], Plan]) -> Plan:
    """The plan with another one in the place of each plan directly below it.

    What an aggregation stands on has to stay a group.
    """
    match plan:
        case Search():
            return plan
        case Filter(inner) | Assign(inner) | Project(inner) | Distinct(inner):
            return evolve(plan, plan=change(inner))
        case Join(branches):
            changed = tuple([Branch(branch.name, change(branch.plan)) for branch in branches])
            return evolve(plan, branches=changed)
        case Group(plans) | Window(plans) | Union(plans):
            return evolve(plan, plans=tuple([change(part) for part in plans]))
        case Sequence(steps, _, _, until):
            changed_steps = tuple([evolve(step, plan=change(step.plan)) for step in steps])
            changed_until = None if until is None else evolve(until, plan=change(until.plan))
            return evolve(plan, steps=changed_steps, until=changed_until)
        case Aggregated(group):
            changed_group = change(group)
            assert isinstance(changed_group, Group), "an aggregation stands on a group"
            return evolve(plan, group=changed_group)
        case Difference(left, right):
            return evolve(plan, left=change(left), right=change(right))
        case _:
            assert_never(plan)
