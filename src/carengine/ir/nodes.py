"""The nodes: values, conditions, plans, and the program that has them."""

from __future__ import annotations

import enum

from attrs import field, frozen

from ..diagnostics import Span
from ..pattern import Pattern


class Type(enum.Enum):
    """How the values of a field compare: as text, as numbers, as times, as addresses.

    ``INTEGER`` fields also read hexadecimal text; ``DURATION`` values are microseconds; ``ANY`` is
    what the data model does not say (``proto_info.*``, projected columns): the other operand
    decides.
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
    """A CAR object and action in the data model's own spelling: ``("user_session", "login")``.

    Rules over native names search a log source instead: a product, and a category or service of
    it, ``("windows", "process_creation")``.
    """

    object: str
    action: str

    def __str__(self) -> str:
        return f"{self.object}/{self.action}"


SERVICE = "@service"
"""The field of a log source's events that tells the service, for rules that name it beside the
category."""


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
class Presence:
    """Whether a field is there, whatever its value: true where it is, null where it is not.

    A field with null, an empty text or an empty list is there. What Sigma's ``exists`` asks for
    (``IsNull(Presence(field))`` is ``exists: false``). ``of`` is a ``Field``, after lowering a
    ``Raw``; of any other value `presence_of` tells what its presence is.
    """

    of: Value


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
    """A value computed over rows: of a group (inside ``Aggregated``) or of a whole plan
    (``Whole``).

    ``function`` is one of ``count``, ``distinct_count``, ``min``, ``max``, ``sum``, ``average``,
    ``standard_deviation``, ``values``, ``percentile``; ``value`` is None for ``count(*)``.
    ``argument`` is the percentage of a percentile (50 is the median).
    """

    function: str
    value: Value | None
    argument: float | None = None


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
    | Presence
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

    @property
    def mirrored(self) -> Relation:
        """The relation that says the same with the two sides exchanged.

        >>> Relation.LESS.mirrored
        <Relation.GREATER: '>'>
        """
        return _MIRRORED[self]

    @property
    def negated(self) -> Relation | None:
        """The relation that holds of two ordered values where this one does not.

        None for ``EQUAL``: what is not equal is in no single relation.

        >>> Relation.LESS.negated
        <Relation.GREATER_EQUAL: '>='>
        """
        return _NEGATED.get(self)


_MIRRORED = {
    Relation.EQUAL: Relation.EQUAL,
    Relation.LESS: Relation.GREATER,
    Relation.LESS_EQUAL: Relation.GREATER_EQUAL,
    Relation.GREATER: Relation.LESS,
    Relation.GREATER_EQUAL: Relation.LESS_EQUAL,
}
_NEGATED = {
    Relation.LESS: Relation.GREATER_EQUAL,
    Relation.LESS_EQUAL: Relation.GREATER,
    Relation.GREATER: Relation.LESS_EQUAL,
    Relation.GREATER_EQUAL: Relation.LESS,
}


@frozen(cache_hash=True)
class Compare:
    """Two values in a relation, read as ``type`` says. Unknown where one is null or unreadable.

    With ``TEXT`` both are compared as folded text; with ``INTEGER``, ``NUMBER`` and ``TIME`` as
    numbers. Equality with a value that is there but cannot be read as the type is false, not
    unknown.
    """

    left: Value
    relation: Relation
    right: Value
    type: Type = Type.ANY
    span: Span | None = field(default=None, eq=False, repr=False)


@frozen(cache_hash=True)
class InNetwork:
    """The value is an address in one of the networks (``10.0.0.0/8``). Text that is no address is
    in none."""

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
class RawRegex:
    """An RE2 expression is found somewhere in the serialised raw event. The flags are those of
    `Regex`."""

    pattern: str
    cased: bool = False
    dotall: bool = False
    multiline: bool = False
    span: Span | None = field(default=None, eq=False, repr=False)


EVERY = 1 << 62
"""The ``count`` of a rank that every value has: the value occurs at all (``user in known_users``).
"""


@frozen(cache_hash=True)
class Rank:
    """The value is among the ``count`` most frequent (``bottom``: least frequent) of ``of`` over
    ``plan``."""

    value: Value
    count: int
    of: Field
    plan: Plan
    bottom: bool = False
    span: Span | None = field(default=None, eq=False, repr=False)


Atom = Match | Regex | Compare | InNetwork | IsNull | Occurs | RawMatch | RawRegex | Rank
"""A test: a condition that has no other condition inside and is not decided yet."""

Condition = Truth | And | Or | Not | IsTrue | Atom

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

    With ``within`` (microseconds) a group ends where two neighbours in event time are further
    apart. A group has at least one row; a row with a null key is in no group. As an output, a group
    reports all its events.
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
class Window:
    """Rows with equal keys, seen through a window that moves over event time; one row for each that
    fires.

    The rows of all plans are taken in the order of their times; an event that several plans let
    through with the same fields is one row, and counts as a row of each of them. A row that has no
    time or a null key is in no window. ``columns`` are aggregates over the window's rows;
    ``condition`` reads the columns.

    * Sliding (not ``complete``): with each row r, the window holds the rows with r's keys that are
      not spent and at most ``span`` microseconds older than r, and r itself. Where the condition is
      true the window fires.
    * ``complete``: each row that is not spent opens a window, which holds the rows of its keys up
      to ``span`` microseconds later that are not spent. The condition is asked once, when time has
      passed the window, and only of windows that do not lie within an earlier one: of three rows
      close together it is asked once, and no row before them changes that.

    The rows of a window that fired are spent: they are in no later one. With ``ordered`` a window
    fires only if a row of each plan can be picked from it, in the order of the plans, no row older
    than the one before it.

    What fires is a row with the keys and the columns, its time that of the window's last row; all
    the window's rows are its events. Sigma's correlation rules are windows.
    """

    plans: tuple[Plan, ...]
    keys: tuple[Field, ...]
    span: int
    columns: tuple[Column, ...]
    condition: Condition
    complete: bool = False
    ordered: bool = False
    place: Span | None = field(default=None, eq=False, repr=False)


@frozen(cache_hash=True)
class Step:
    """One place of a sequence: the rows that can take it, and what their keys are.

    An ``absent`` step is taken by nothing: a row of it between the two steps around it ends the
    sequence.
    """

    plan: Plan
    keys: tuple[Field, ...]
    absent: bool = False


@frozen(cache_hash=True)
class Sequence:
    """Rows with equal keys, one for each step that is not absent, in the order of the steps.

    The rows of all steps are taken in the order of their times, key by key. A row of the first step
    begins a sequence, and a row of the next step carries on the one that has come so far: of each
    length there is one at most, the latest, and what is carried on is gone from where it was. A row
    takes one step at a time. A row of ``until`` ends all sequences of its key, before it takes a
    step itself. With ``within`` (microseconds) the last row is at most so much later than the
    first.

    * A row of an absent step between two others ends the sequences that wait there.
    * One before the first: a row of it that is older than the first row, and at most ``within``
      older than the last, keeps the sequence from being one.
    * One behind the last: the sequence waits until ``within`` after its first row has passed.

    A row without a time is in no sequence, nor is one with a null key that is not ``optional``;
    null is equal to null in one that is.

    Not ``ordered``, the rows come in any order: the first of each step is kept, and when there is
    one of each they are a row, and gone.

    What comes out has a part for each step that is not absent, ``e1``, ``e2``, … EQL's sequences
    are these.
    """

    steps: tuple[Step, ...]
    optional: tuple[bool, ...] = ()
    within: int | None = None
    until: Step | None = None
    ordered: bool = True
    span: Span | None = field(default=None, eq=False, repr=False)


@frozen(cache_hash=True)
class Difference:
    """The rows of ``left``, one for each distinct value of ``fields``, that have no equal in
    ``right``."""

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
    Search
    | Filter
    | Assign
    | Join
    | Group
    | Project
    | Aggregated
    | Window
    | Sequence
    | Difference
    | Distinct
    | Union
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
