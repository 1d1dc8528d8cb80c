"""The syntax tree of a CAR pseudocode program.

The nodes say what was written and where, and decide nothing: whether a name is a stream, a
field or a constant is the resolver's business. Every node is frozen; ``span`` takes no part in
comparison, so that two programs are equal when they are written alike up to layout::

    files = search File:Create
    dump = filter files where file_name = "lsass*.dmp"
    output dump

    Program((
        Define("files", Search((Kind("File", "Create"),), None)),
        Define("dump", Filter("files", Comparison(Field(("file_name",)), ((EQUAL, String("lsass*.dmp")),)))),
        Output(("dump",)),
    ))
"""

from __future__ import annotations

import enum

from attrs import field, frozen

from ..diagnostics import Block, Span


def _nowhere() -> Span:
    """The span of a node that was made in code."""
    return Block.of("", "<made in code>").span(0, 0)


def _span() -> Span:
    made: Span = field(factory=_nowhere, eq=False, repr=False, kw_only=True)
    return made


class Operator(enum.Enum):
    """A comparison operator. ``=`` and ``==`` are one."""

    EQUAL = "="
    NOT_EQUAL = "!="
    LESS = "<"
    LESS_EQUAL = "<="
    GREATER = ">"
    GREATER_EQUAL = ">="


class Sign(enum.Enum):
    """An arithmetic operator."""

    PLUS = "+"
    MINUS = "-"
    TIMES = "*"
    DIVIDE = "/"


@frozen
class Name:
    """A name where it stands: of a stream, a constant, an object or an action."""

    text: str
    span: Span = _span()


# Expressions


@frozen
class Field:
    """A dotted path: ``pid``, ``a.pid``, ``proto_info.pipe``, or the name of a constant."""

    path: tuple[str, ...]
    span: Span = _span()

    @property
    def text(self) -> str:
        """The path as it is written."""
        return ".".join(self.path)


@frozen
class String:
    """A string without its quotes, doubled quotes undone. Wildcards are still in it."""

    value: str
    span: Span = _span()


@frozen
class Number:
    """A whole or decimal number. ``-5`` is one too; before anything else a sign is an operator."""

    value: int | float
    span: Span = _span()


@frozen
class Duration:
    """A length of time, in microseconds; negative for ``-1 hour``."""

    microseconds: int
    span: Span = _span()


@frozen
class Network:
    """A bare network or address, as written: ``10.0.0.0/8``, ``fe80::/10``."""

    text: str
    span: Span = _span()


@frozen
class Null:
    """``null``."""

    span: Span = _span()


@frozen
class Now:
    """``now``: the reference time of the run."""

    span: Span = _span()


@frozen
class Boolean:
    """``true`` or ``false``."""

    value: bool
    span: Span = _span()


@frozen
class List:
    """``[a, b]``."""

    items: tuple[Expression, ...]
    span: Span = _span()


@frozen
class Call:
    """``average(x)``, ``max(t.time)``, ``count(*)`` (no arguments), ``basename(Image)``."""

    function: str
    arguments: tuple[Expression, ...]
    span: Span = _span()


@frozen
class Arithmetic:
    """``left sign right``. ``a - b`` may also be the difference of two streams."""

    sign: Sign
    left: Expression
    right: Expression
    span: Span = _span()


@frozen
class And:
    """All of two or more conditions. A nested ``And`` was in parentheses."""

    items: tuple[Expression, ...]
    span: Span = _span()


@frozen
class Or:
    """Any of two or more conditions."""

    items: tuple[Expression, ...]
    span: Span = _span()


@frozen
class Not:
    """Negation of a condition."""

    item: Expression
    span: Span = _span()


@frozen
class Comparison:
    """``first op x``, or a chain ``a < b < c``: each neighbour pair is compared."""

    first: Expression
    rest: tuple[tuple[Operator, Expression], ...]
    span: Span = _span()


@frozen
class In:
    """``value in items`` and ``value not in items``; ``items`` is a list, a field, a constant or a
    network."""

    value: Expression
    items: Expression
    negated: bool = False
    span: Span = _span()


@frozen
class Contains:
    """``value contains item``; a list means any of its items."""

    value: Expression
    items: Expression
    negated: bool = False
    span: Span = _span()


@frozen
class Match:
    """``value match "regex"``."""

    value: Expression
    regex: String
    span: Span = _span()


@frozen
class Exists:
    """``value exists``."""

    value: Expression
    span: Span = _span()


@frozen
class RawContains:
    """``"text" in raw event``."""

    text: String
    negated: bool = False
    span: Span = _span()


@frozen
class Rank:
    """``value in top 30 of (field)``: whether the value is among the most (or least) frequent."""

    value: Expression
    count: int
    field: Field
    bottom: bool = False
    negated: bool = False
    span: Span = _span()


Expression = (
    Field
    | String
    | Number
    | Duration
    | Network
    | Null
    | Now
    | Boolean
    | List
    | Call
    | Arithmetic
    | And
    | Or
    | Not
    | Comparison
    | In
    | Contains
    | Match
    | Exists
    | RawContains
    | Rank
)

# What a stream can be defined as


@frozen
class Kind:
    """``File:Create``; ``action`` is None for ``Process:*`` and ``Process``."""

    object: Name
    action: Name | None
    span: Span = _span()


@frozen
class Search:
    """``search File:Create,Modify where (…)``."""

    kinds: tuple[Kind, ...]
    condition: Expression | None = None
    span: Span = _span()


@frozen
class Filter:
    """``filter stream where condition``."""

    stream: Name
    condition: Expression
    span: Span = _span()


@frozen
class Join:
    """``join (a, b) where condition``."""

    streams: tuple[Name, ...]
    condition: Expression
    span: Span = _span()


@frozen
class Group:
    """``group a, b by f, g within 30 minutes``."""

    streams: tuple[Name, ...]
    keys: tuple[Field, ...]
    within: Duration | None = None
    span: Span = _span()


@frozen
class Item:
    """``min(time) as first``; without ``as`` the name is the field's own."""

    value: Expression
    alias: Name | None = None
    span: Span = _span()


@frozen
class Select:
    """``from stream select item, item``."""

    stream: Name
    items: tuple[Item, ...]
    span: Span = _span()


@frozen
class Count:
    """``count(stream) by f, g``."""

    stream: Name
    keys: tuple[Field, ...]
    span: Span = _span()


@frozen
class Run:
    """``run Analytic:CAR-2013-05-003``."""

    rule: Name
    span: Span = _span()


StreamExpression = Search | Filter | Join | Group | Select | Count | Run

# Statements


@frozen
class Define:
    """``name = …``: a stream, or a value (a constant, an aggregate, a difference of streams)."""

    name: Name
    value: StreamExpression | Expression
    span: Span = _span()


@frozen
class Assign:
    """``stream.field = value``. ``field`` is the path behind the stream's name."""

    stream: Name
    field: tuple[str, ...]
    value: Expression
    span: Span = _span()


@frozen
class Input:
    """``input name``."""

    name: Name
    span: Span = _span()


@frozen
class Output:
    """``output a, b``; ``return`` is read as the same."""

    names: tuple[Name, ...]
    span: Span = _span()


Statement = Define | Assign | Input | Output


@frozen
class Comment:
    """A comment with its ``#``, for the printer; it takes no part in a program's meaning."""

    text: str
    span: Span = _span()


@frozen
class Program:
    """All statements of one text, in order. ``comments`` are kept for printing only."""

    statements: tuple[Statement, ...]
    comments: tuple[Comment, ...] = field(default=(), eq=False, repr=False)
    span: Span = _span()
