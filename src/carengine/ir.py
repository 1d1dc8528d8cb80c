"""The intermediate representation: what a rule means, with every name resolved.

The IR is the narrow waist. The resolver writes it; field maps lower it; the engine, the
translators and the checker read it. It has three kinds of nodes, all frozen and hashable:

* **values**, which an event (or a row) gives: a field, a constant, an expression over them;
* **conditions**, which are true, false or unknown of an event;
* **plans**, which are streams of rows: a search, a filter of a plan, a join of plans, …

The seed rule::

    Program(outputs=(Output("lsass_dump",
        Filter(
            Search((EventKind("file", "create"),)),
            And((
                Match(Field("file_name"), (Pattern("lsass*.dmp"),)),
                Match(Field("image_path"), (Pattern("C:\\Windows\\*\\taskmgr.exe"),)),
            )))),))

A *row* is what flows through a plan. Over a search it is one CAR event. Over a join it has one
row for each branch, reached by ``Field(name, source=branch)``. Over a grouping
projection it has the projected columns.

Plans are shared between the streams built on them, so hashes are cached: computing them afresh
each time would be exponential. Before lowering, values read ``Field``; afterwards they read ``Raw`` and ``Call``. ``time`` is a field
like any other.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterator

from attrs import evolve, field, frozen

from .diagnostics import Span
from .pattern import Pattern


class Type(enum.Enum):
    """How the values of a field compare: as text, as numbers, as times, as addresses.

    ``INTEGER`` fields also read hexadecimal text; ``DURATION`` values are microseconds; ``ANY`` is what the data model does not
    say (``proto_info.*``, projected columns): the other operand decides.
    """

    TEXT = "text"
    INTEGER = "integer"
    NUMBER = "number"
    TIME = "time"
    ADDRESS = "address"
    BOOLEAN = "boolean"
    DURATION = "duration"
    ANY = "any"


@frozen(order=True)
class EventKind:
    """A CAR object and action in the data model's own spelling: ``("user_session", "login")``."""

    object: str
    action: str

    def __str__(self) -> str:
        return f"{self.object}/{self.action}"


# Values


def _kind_and_value(value: object) -> tuple[type, object]:
    return type(value), value


@frozen(cache_hash=True)
class Field:
    """A CAR field (or a column) of the row; with ``source``, of that branch of a join."""

    name: str
    source: str | None = None
    type: Type = Type.ANY


@frozen(cache_hash=True)
class Raw:
    """A field of the log's own, by the keys that lead to it. Only after lowering.

    ``empty`` lists the texts that this log writes for "not known"; they are read as null.
    """

    path: tuple[str, ...]
    empty: tuple[str, ...] = ()
    type: Type = Type.ANY


@frozen(cache_hash=True)
class Constant:
    """A text, a number, a truth value, or None for null. ``1``, ``1.0`` and ``true`` are three."""

    value: str | int | float | bool | None = field(eq=_kind_and_value)


@frozen(cache_hash=True)
class Moment:
    """A point in time, in microseconds since 1970-01-01T00:00:00Z."""

    microseconds: int


@frozen(cache_hash=True)
class Duration:
    """A length of time in microseconds."""

    microseconds: int


@frozen(cache_hash=True)
class Now:
    """The reference time of the run."""


@frozen(cache_hash=True)
class Parameter:
    """The value bound to an ``input`` when the rule is run."""

    name: str
    type: Type = Type.ANY


@frozen(cache_hash=True)
class Arithmetic:
    """``left sign right`` with sign ``+``, ``-``, ``*`` or ``/``; null if a side is."""

    sign: str
    left: Value
    right: Value


@frozen(cache_hash=True)
class Call:
    """A function of field maps applied to values: ``Call("basename", (Raw(("Image",)),))``."""

    function: str
    arguments: tuple[Value, ...]
    type: Type = Type.ANY


@frozen(cache_hash=True)
class Aggregate:
    """A value computed over rows: of a group (inside ``Aggregated``) or of a whole plan (``Whole``).

    ``function`` is one of ``count``, ``distinct_count``, ``min``, ``max``, ``sum``, ``average``,
    ``standard_deviation``, ``values``; ``value`` is None for ``count(*)``.
    """

    function: str
    value: Value | None


@frozen(cache_hash=True)
class Whole:
    """An aggregate over all rows of a plan, as a value: ``max(boots.time)``, ``average(n)``."""

    aggregate: Aggregate
    plan: Plan


@frozen(cache_hash=True)
class Lookup:
    """The column of that row of a grouped plan whose keys equal those of the row at hand.

    What ``process_count`` means in ``filter processes where process_count < 3`` after
    ``process_count = count(processes) by exe``. Null where there is no such row.
    """

    plan: Aggregated
    column: str
    keys: tuple[Field, ...]


Value = (
    Field
    | Raw
    | Constant
    | Moment
    | Duration
    | Now
    | Parameter
    | Arithmetic
    | Call
    | Aggregate
    | Whole
    | Lookup
)

# Conditions


@frozen(cache_hash=True)
class Truth:
    """A condition that is decided: true, false, or unknown (None)."""

    value: bool | None


@frozen(cache_hash=True)
class And:
    """True when all items are; false when one is false; otherwise unknown."""

    items: tuple[Condition, ...]


@frozen(cache_hash=True)
class Or:
    """True when one item is; false when all are false; otherwise unknown."""

    items: tuple[Condition, ...]


@frozen(cache_hash=True)
class Not:
    """The opposite; unknown stays unknown."""

    item: Condition


@frozen(cache_hash=True)
class IsTrue:
    """Whether the item is true: false where it is unknown. Sigma's negation needs it."""

    item: Condition


@frozen(cache_hash=True)
class Match:
    """The value's text matches one of the patterns as a whole. Unknown where the value is null."""

    value: Value
    patterns: tuple[Pattern, ...]
    span: Span | None = field(default=None, eq=False, repr=False)


@frozen(cache_hash=True)
class Regex:
    """An RE2 expression is found somewhere in the value's text.

    Case is ignored unless ``cased``; ``.`` matches a newline only with ``dotall``; ``^`` and ``$``
    match at lines only with ``multiline``.
    """

    value: Value
    pattern: str
    cased: bool = False
    dotall: bool = False
    multiline: bool = False
    span: Span | None = field(default=None, eq=False, repr=False)


class Relation(enum.Enum):
    """How two values are compared. ``!=`` is ``Not`` of ``EQUAL``."""

    EQUAL = "="
    LESS = "<"
    LESS_EQUAL = "<="
    GREATER = ">"
    GREATER_EQUAL = ">="


@frozen(cache_hash=True)
class Compare:
    """Two values in a relation, read as ``type`` says. Unknown where one is null or unreadable.

    With ``TEXT`` both are compared as folded text; with ``INTEGER``, ``NUMBER`` and ``TIME`` as numbers.
    Equality with a value that is there but cannot be read as the type is false, not unknown.
    """

    left: Value
    relation: Relation
    right: Value
    type: Type = Type.ANY
    span: Span | None = field(default=None, eq=False, repr=False)


@frozen(cache_hash=True)
class InNetwork:
    """The value is an address in one of the networks (``10.0.0.0/8``). Text that is no address is in none."""

    value: Value
    networks: tuple[str, ...]
    span: Span | None = field(default=None, eq=False, repr=False)


@frozen(cache_hash=True)
class IsNull:
    """The value is null. Never unknown. ``exists`` is ``Not`` of it."""

    value: Value
    span: Span | None = field(default=None, eq=False, repr=False)


@frozen(cache_hash=True)
class Occurs:
    """The text of ``needle`` occurs in the text of ``haystack``; both are folded."""

    needle: Value
    haystack: Value
    span: Span | None = field(default=None, eq=False, repr=False)


@frozen(cache_hash=True)
class RawMatch:
    """The serialised raw event matches one of the patterns (``*x*``) as a whole."""

    patterns: tuple[Pattern, ...]
    span: Span | None = field(default=None, eq=False, repr=False)


@frozen(cache_hash=True)
class Rank:
    """The value is among the ``count`` most frequent (``bottom``: least frequent) of ``of`` over ``plan``."""

    value: Value
    count: int
    of: Field
    plan: Plan
    bottom: bool = False
    span: Span | None = field(default=None, eq=False, repr=False)


Condition = (
    Truth
    | And
    | Or
    | Not
    | IsTrue
    | Match
    | Regex
    | Compare
    | InNetwork
    | IsNull
    | Occurs
    | RawMatch
    | Rank
)

# Plans


@frozen(cache_hash=True)
class Search:
    """All events of these kinds."""

    kinds: tuple[EventKind, ...]
    span: Span | None = field(default=None, eq=False, repr=False)


@frozen(cache_hash=True)
class Filter:
    """The rows of a plan for which the condition is true."""

    plan: Plan
    condition: Condition
    span: Span | None = field(default=None, eq=False, repr=False)


@frozen(cache_hash=True)
class Assign:
    """The rows of a plan with one field added or replaced."""

    plan: Plan
    name: str
    value: Value
    span: Span | None = field(default=None, eq=False, repr=False)


@frozen(cache_hash=True)
class Branch:
    """An input of a join under the name its fields are reached by."""

    name: str
    plan: Plan


@frozen(cache_hash=True)
class Join:
    """All combinations of one row of each branch for which the condition is true."""

    branches: tuple[Branch, ...]
    condition: Condition
    span: Span | None = field(default=None, eq=False, repr=False)


@frozen(cache_hash=True)
class Group:
    """Rows of the plans with equal keys, gathered.

    With ``within`` (microseconds) a group ends where two neighbours in event time are further apart.
    A group has at least one row; a row with a null key is in no group. As an output, a
    group reports all its events.
    """

    plans: tuple[Plan, ...]
    keys: tuple[Field, ...]
    within: int | None = None
    span: Span | None = field(default=None, eq=False, repr=False)


@frozen(cache_hash=True)
class Column:
    """One item of a projection: a name and what it holds."""

    name: str
    value: Value


@frozen(cache_hash=True)
class Project:
    """One row a row of the plan, with only these columns; ``time`` stays available."""

    plan: Plan
    columns: tuple[Column, ...]
    span: Span | None = field(default=None, eq=False, repr=False)


@frozen(cache_hash=True)
class Aggregated:
    """One row a group: columns are aggregates over it, its keys, or expressions over these."""

    group: Group
    columns: tuple[Column, ...]
    span: Span | None = field(default=None, eq=False, repr=False)


@frozen(cache_hash=True)
class Difference:
    """The rows of ``left``, one for each distinct value of ``fields``, that have no equal in ``right``."""

    left: Plan
    right: Plan
    fields: tuple[Field, ...]
    span: Span | None = field(default=None, eq=False, repr=False)


@frozen(cache_hash=True)
class Distinct:
    """The first row with each value: ``unique(t.user)``."""

    plan: Plan
    value: Field
    span: Span | None = field(default=None, eq=False, repr=False)


@frozen(cache_hash=True)
class Union:
    """The rows of several plans: what an analytic with several outputs gives to ``run``.

    An event that several plans let through with the same fields is one row.
    """

    plans: tuple[Plan, ...]
    span: Span | None = field(default=None, eq=False, repr=False)


Plan = (
    Search | Filter | Assign | Join | Group | Project | Aggregated | Difference | Distinct | Union
)


@frozen(cache_hash=True)
class Output:
    """A stream that the rule reports, under the name it has in the program."""

    name: str
    plan: Plan
    span: Span | None = field(default=None, eq=False, repr=False)


@frozen(cache_hash=True)
class Program:
    """What a rule means: its outputs in order, and the parameters it wants."""

    outputs: tuple[Output, ...]
    parameters: tuple[str, ...] = ()


# Walking and rewriting


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


@frozen(cache_hash=True)
class Stage:
    """A stream that looks at one event at a time: a search with its filters, assignments and selections.

    ``condition`` reads only fields of the event itself: what was assigned or selected is put in
    its place. ``assigned`` holds the added fields, the last of each name. ``columns`` names
    the fields that a selection left, or is None where all are there.
    """

    kinds: tuple[EventKind, ...]
    condition: Condition
    assigned: tuple[tuple[str, Value], ...] = ()
    columns: tuple[str, ...] | None = None


def as_stages(plan: Plan) -> tuple[Stage, ...] | None:
    """The plan as stages whose rows together are its rows, or None where it needs more than one event at a time.

    >>> as_stages(Filter(Search((EventKind("process", "create"),)), Truth(True)))
    (Stage(kinds=(EventKind(object='process', action='create'),), condition=Truth(value=True), assigned=(), columns=None),)
    """
    match plan:
        case Search(kinds):
            return (Stage(kinds, Truth(True)),)
        case Union(plans):
            parts = [as_stages(part) for part in plans]
            if any(part is None for part in parts):
                return None
            return tuple(stage for part in parts if part is not None for stage in part)
        case Filter(inner, condition):
            stages = as_stages(inner) if is_stateless(condition) else None
            return None if stages is None else tuple(_filtered(s, condition) for s in stages)
        case Assign(inner, name, value):
            stages = as_stages(inner) if value_is_stateless(value) else None
            return None if stages is None else tuple(_assigned(s, name, value) for s in stages)
        case Project(inner, columns):
            if not all(value_is_stateless(column.value) for column in columns):
                return None
            stages = as_stages(inner)
            return None if stages is None else tuple(_projected(s, columns) for s in stages)
        case _:
            return None


def _filtered(stage: Stage, condition: Condition) -> Stage:
    added = rewrite_condition(condition, _substitute(dict(stage.assigned)))
    return evolve(stage, condition=conjunction((stage.condition, added)))


def _assigned(stage: Stage, name: str, value: Value) -> Stage:
    assigned = dict(stage.assigned)
    new = rewrite_value(value, _substitute(assigned))
    assigned.pop(name, None)
    assigned[name] = new
    columns = stage.columns
    if columns is not None and name not in columns:
        columns = (*columns, name)
    return evolve(stage, assigned=tuple(assigned.items()), columns=columns)


def _projected(stage: Stage, columns: tuple[Column, ...]) -> Stage:
    change = _substitute(dict(stage.assigned))
    made = {column.name: rewrite_value(column.value, change) for column in columns}
    return evolve(stage, assigned=tuple(made.items()), columns=tuple(made))


def _substitute(assigned: dict[str, Value]) -> Callable[[Value], Value]:
    def change(value: Value) -> Value:
        if isinstance(value, Field) and value.source is None:
            found = assigned.get(value.name, value)
            if value.type is Type.TIME and isinstance(found, Field | Call):
                return evolve(found, type=Type.TIME)
            return found
        return value

    return change


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
