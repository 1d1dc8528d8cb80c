"""Walking through values and conditions, rewriting and simplifying them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from attrs import evolve

from .nodes import (
    Aggregate,
    And,
    Arithmetic,
    Call,
    Compare,
    Condition,
    Constant,
    Duration,
    Field,
    InNetwork,
    IsNull,
    IsTrue,
    Lookup,
    Match,
    Moment,
    Not,
    Now,
    Occurs,
    Or,
    Parameter,
    Rank,
    Raw,
    Regex,
    Truth,
    Type,
    Value,
    Whole,
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
        case Arithmetic(_, left, right):
            return evolve(
                value, left=rewrite_value(left, change), right=rewrite_value(right, change)
            )
        case Call(_, arguments):
            return evolve(value, arguments=tuple(rewrite_value(x, change) for x in arguments))
        case Aggregate(_, inner) if inner is not None:
            return evolve(value, value=rewrite_value(inner, change))
        case _:
            return change(value)


def rewrite_condition(condition: Condition, change: Callable[[Value], Value]) -> Condition:
    """The condition with ``change`` applied to each leaf value of its atoms."""
    match condition:
        case And(items) | Or(items):
            return evolve(condition, items=tuple(rewrite_condition(x, change) for x in items))
        case Not(item) | IsTrue(item):
            return evolve(condition, item=rewrite_condition(item, change))
        case Match() | Regex() | InNetwork() | IsNull() | Rank():
            return evolve(condition, value=rewrite_value(condition.value, change))
        case Compare(left, _, right):
            return evolve(
                condition, left=rewrite_value(left, change), right=rewrite_value(right, change)
            )
        case Occurs(needle, haystack):
            return evolve(
                condition,
                needle=rewrite_value(needle, change),
                haystack=rewrite_value(haystack, change),
            )
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
