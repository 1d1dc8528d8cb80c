"""Walking through values and conditions, rewriting and simplifying them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from attrs import evolve

from .nodes import (
    Aggregate,
    Aggregated,
    And,
    Arithmetic,
    Assign,
    Call,
    Compare,
    Condition,
    Constant,
    Difference,
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
    Project,
    Rank,
    Raw,
    RawMatch,
    RawRegex,
    Regex,
    Search,
    Truth,
    Type,
    Union,
    Value,
    Whole,
    Window,
)


def operands(value: Value) -> tuple[Value, ...]:
    """The values directly inside a value. The plan of a ``Whole`` is not looked into."""
    match value:
        case Arithmetic(_, left, right):
            return (left, right)
        case Call(_, arguments):
            return arguments
        case Aggregate(_, inner) if inner is not None:
            return (inner,)
        case _:
            return ()


def values_of(condition: Condition) -> tuple[Value, ...]:
    """The values an atom tests; nothing for a connective."""
    match condition:
        case Match() | Regex() | InNetwork() | IsNull() | Rank():
            return (condition.value,)
        case Compare(left, _, right):
            return (left, right)
        case Occurs(needle, haystack):
            return (needle, haystack)
        case _:
            return ()


def atoms(condition: Condition) -> Iterator[Condition]:
    """All conditions inside this one that are no connective, from left to right."""
    match condition:
        case And(items) | Or(items):
            for item in items:
                yield from atoms(item)
        case Not(item) | IsTrue(item):
            yield from atoms(item)
        case _:
            yield condition


def type_of(value: Value) -> Type:
    """What the values of an expression are, as far as the data model says."""
    match value:
        case Field() | Raw() | Parameter() | Call():
            return value.type
        case Moment() | Now():
            return Type.TIME
        case Duration():
            return Type.DURATION
        case Constant(bool()):
            return Type.BOOLEAN
        case Constant(int() | float()):
            return Type.NUMBER
        case Constant(str()):
            return Type.TEXT
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
        case Whole(aggregate):
            return type_of(aggregate)
        case Lookup(plan, column):
            return next((type_of(c.value) for c in plan.columns if c.name == column), Type.ANY)
        case _:
            return Type.ANY


def fields_in(value: Value) -> Iterator[Field]:
    """The fields a value reads."""
    if isinstance(value, Field):
        yield value
    for inner in operands(value):
        yield from fields_in(inner)


def fields_of(condition: Condition) -> Iterator[Field]:
    """The fields a condition reads, with repetition, from left to right."""
    for atom in atoms(condition):
        for value in values_of(atom):
            yield from fields_in(value)


def rewrite_value(value: Value, change: Callable[[Value], Value]) -> Value:
    """The value with ``change`` applied to each leaf (field, raw field, constant …)."""
    match value:
        case Arithmetic(sign, left, right):
            return Arithmetic(sign, rewrite_value(left, change), rewrite_value(right, change))
        case Call(function, arguments, type_):
            return Call(function, tuple(rewrite_value(x, change) for x in arguments), type_)
        case Aggregate(function, inner, argument) if inner is not None:
            return Aggregate(function, rewrite_value(inner, change), argument)
        case _:
            return change(value)


def rewrite_condition(condition: Condition, change: Callable[[Value], Value]) -> Condition:
    """The condition with ``change`` applied to each leaf value of its atoms."""
    return rewrite_operands(condition, lambda value: rewrite_value(value, change))


def rewrite_operands(condition: Condition, change: Callable[[Value], Value]) -> Condition:
    """The condition with ``change`` applied to each value that an atom tests, as a whole.

    >>> upper = lambda value: Call("upper", (value,))
    >>> rewrite_operands(IsNull(Raw(("x",))), upper) == IsNull(Call("upper", (Raw(("x",)),)))
    True
    """
    # Thousands of rules are rewritten for each shape of log: most are made of these few nodes.
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
        case _:
            return condition


def simplify(condition: Condition) -> Condition:
    """An equivalent condition: nested connectives flattened, decided parts folded away."""
    match condition:
        case Not(item):
            inner = simplify(item)
            match inner:
                case Truth(value):
                    return Truth(None if value is None else not value)
                case Not(item):
                    return item
                case _:
                    return Not(inner)
        case IsTrue(item):
            inner = simplify(item)
            match inner:
                case Truth(value):
                    return Truth(value is True)
                case IsTrue() | Not(IsTrue()) | IsNull() | RawMatch() | RawRegex():
                    # These are never unknown.
                    return inner
                case _:
                    return IsTrue(inner)
        case And(items):
            return _connect(And, items, absorbing=False)
        case Or(items):
            return _connect(Or, items, absorbing=True)
        case _:
            return condition


def _connect(
    kind: type[And] | type[Or], items: tuple[Condition, ...], *, absorbing: bool
) -> Condition:
    kept: dict[Condition, None] = {}
    for item in map(simplify, items):
        for part in item.items if isinstance(item, kind) else (item,):
            if part == Truth(absorbing):
                return Truth(absorbing)
            if part != Truth(not absorbing):
                kept.setdefault(part)
    match list(kept):
        case []:
            return Truth(not absorbing)
        case [only]:
            return only
        case several:
            return kind(tuple(several))


def conjunction(items: tuple[Condition, ...]) -> Condition:
    """``And`` of any number of conditions, simplified."""
    return simplify(And(items))


def is_stateless(condition: Condition) -> bool:
    """Whether one event, and nothing else, decides the condition. ``now`` is not the event's."""
    return all(
        not isinstance(atom, Rank) and all(map(value_is_stateless, values_of(atom)))
        for atom in atoms(condition)
    )


def value_is_stateless(value: Value) -> bool:
    """Whether one event, and nothing else, gives the value."""
    return not isinstance(value, Whole | Lookup | Aggregate | Now) and all(
        map(value_is_stateless, operands(value))
    )


def plans_below(plan: Plan) -> tuple[Plan, ...]:
    """The plans whose rows a plan is made of, directly."""
    match plan:
        case Search():
            return ()
        case Join(branches):
            return tuple(branch.plan for branch in branches)
        case Group(plans) | Window(plans) | Union(plans):
            return plans
        case Aggregated(group):
            return (group,)
        case Difference(left, right):
            return (left, right)
        case _:
            return (plan.plan,)


def plans_beside(plan: Plan) -> tuple[Plan, ...]:
    """The plans that a plan's own conditions and values look at as a whole."""
    match plan:
        case Filter(_, condition) | Join(_, condition):
            ranks = tuple(atom.plan for atom in atoms(condition) if isinstance(atom, Rank))
            values = [value for atom in atoms(condition) for value in values_of(atom)]
            return (*ranks, *(found for value in values for found in _plans_in(value)))
        case Assign(_, _, value):
            return _plans_in(value)
        case Project(_, columns) | Aggregated(_, columns) | Window(columns=columns):
            return tuple(found for column in columns for found in _plans_in(column.value))
        case _:
            return ()


def _plans_in(value: Value) -> tuple[Plan, ...]:
    own: tuple[Plan, ...] = (value.plan,) if isinstance(value, Whole | Lookup) else ()
    return (*own, *(plan for inner in operands(value) for plan in _plans_in(inner)))


def every_plan(plans: Iterable[Plan]) -> Iterator[Plan]:
    """The plans and all that they are built on or look at, each object once, the outer ones first."""
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
    found: set[EventKind] = set()
    seen: set[int] = set()
    work: list[Plan] = [plan]
    while work:
        part = work.pop()
        if id(part) not in seen:
            seen.add(id(part))
            work += plans_below(part)
            if isinstance(part, Search):
                found.update(part.kinds)
    return frozenset(found)
