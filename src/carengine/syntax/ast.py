"""The syntax tree of a CAR pseudocode program.

The nodes say what was written and where, and decide nothing: whether a name is a stream, a
field or a constant is the resolver's business. Every node is frozen; ``span`` takes no part in
comparison, so that two programs are equal when they are written alike up to layout::

    files = search File:Create
    dump = filter files where file_name = "lsass*.dmp"
    output dump

    SyntaxTree((
        DefineStatement("files", SearchExpression((KindName("File", "Create"),), None)),
        DefineStatement("dump", FilterExpression("files", ComparisonExpression(
            FieldPath(("file_name",)), ((EQUAL, StringLiteral("lsass*.dmp")),)))),
        OutputStatement(("dump",)),
    ))

What the IR makes of a program has names of its own: an `AndExpression` is written, an ``ir.And`` is
meant.
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
class FieldPath:
    """A dotted path: ``pid``, ``a.pid``, ``proto_info.pipe``, or the name of a constant."""

    path: tuple[str, ...]
    span: Span = _span()

    @property
    def text(self) -> str:
        """The path as it is written."""
        return ".".join(self.path)


@frozen
class StringLiteral:
    """A string without its quotes, doubled quotes undone. Wildcards are still in it."""

    value: str
    span: Span = _span()


@frozen
class NumberLiteral:
    """A whole or decimal number. ``-5`` is one too; before anything else a sign is an operator."""

    value: int | float
    span: Span = _span()


@frozen
class DurationLiteral:
    """A length of time, in microseconds; negative for ``-1 hour``."""

    microseconds: int
    span: Span = _span()


@frozen
class NetworkLiteral:
    """A bare network or address, as written: ``10.0.0.0/8``, ``fe80::/10``."""

    text: str
    span: Span = _span()


@frozen
class NullLiteral:
    """``null``."""

    span: Span = _span()


@frozen
class NowLiteral:
    """``now``: the reference time of the run."""

    span: Span = _span()


@frozen
class BooleanLiteral:
    """``true`` or ``false``."""

    value: bool
    span: Span = _span()


@frozen
class ListExpression:
    """``[a, b]``."""

    items: tuple[Expression, ...]
    span: Span = _span()


@frozen
class CallExpression:
    """``average(x)``, ``max(t.time)``, ``count(*)`` (no arguments), ``basename(Image)``."""

    function: str
    arguments: tuple[Expression, ...]
    span: Span = _span()


@frozen
class ArithmeticExpression:
    """``left sign right``. ``a - b`` may also be the difference of two streams."""

    sign: Sign
    left: Expression
    right: Expression
    span: Span = _span()


@frozen
class AndExpression:
    """All of two or more conditions. A nested ``AndExpression`` was in parentheses."""

    items: tuple[Expression, ...]
    span: Span = _span()


@frozen
class OrExpression:
    """Any of two or more conditions."""

    items: tuple[Expression, ...]
    span: Span = _span()


@frozen
class NotExpression:
    """Negation of a condition."""

    item: Expression
    span: Span = _span()


@frozen
class ComparisonExpression:
    """``first op x``, or a chain ``a < b < c``: each neighbour pair is compared."""

    first: Expression
    rest: tuple[tuple[Operator, Expression], ...]
    span: Span = _span()


@frozen
class InExpression:
    """``value in items`` and ``value not in items``; ``items`` is a list, a field, a constant or a
    network."""

    value: Expression
    items: Expression
    negated: bool = False
    span: Span = _span()


@frozen
class ContainsExpression:
    """``value contains item``; a list means any of its items."""

    value: Expression
    items: Expression
    negated: bool = False
    span: Span = _span()


@frozen
class MatchExpression:
    """``value match "regex"``."""

    value: Expression
    regex: StringLiteral
    span: Span = _span()


@frozen
class ExistsExpression:
    """``value exists``."""

    value: Expression
    span: Span = _span()


@frozen
class RawContainsExpression:
    """``"text" in raw event``."""

    text: StringLiteral
    negated: bool = False
    span: Span = _span()


@frozen
class RankExpression:
    """``value in top 30 of (field)``: whether the value is among the most (or least) frequent."""

    value: Expression
    count: int
    field: FieldPath
    bottom: bool = False
    negated: bool = False
    span: Span = _span()


Expression = (
    FieldPath
    | StringLiteral
    | NumberLiteral
    | DurationLiteral
    | NetworkLiteral
    | NullLiteral
    | NowLiteral
    | BooleanLiteral
    | ListExpression
    | CallExpression
    | ArithmeticExpression
    | AndExpression
    | OrExpression
    | NotExpression
    | ComparisonExpression
    | InExpression
    | ContainsExpression
    | MatchExpression
    | ExistsExpression
    | RawContainsExpression
    | RankExpression
)

# What a stream can be defined as


@frozen
class KindName:
    """``File:Create``; ``action`` is None for ``Process:*`` and ``Process``."""

    object: Name
    action: Name | None
    span: Span = _span()


@frozen
class SourceName:
    """``aws/cloudtrail``: a log source, whose events have their own names for fields.

    ``product`` or ``name`` may be ``*``; ``name`` is a service or a category. ``service`` is what
    stands behind a category, and empty where nothing does.
    """

    product: str
    name: str
    service: str = ""
    span: Span = _span()

    @property
    def text(self) -> str:
        """The log source as it is written."""
        return "/".join(part for part in (self.product, self.name, self.service) if part)


@frozen
class SearchExpression:
    """``search File:Create,Modify where (…)``."""

    kinds: tuple[KindName | SourceName, ...]
    condition: Expression | None = None
    span: Span = _span()


@frozen
class FilterExpression:
    """``filter stream where condition``."""

    stream: Name
    condition: Expression
    span: Span = _span()


@frozen
class JoinExpression:
    """``join (a, b) where condition``."""

    streams: tuple[Name, ...]
    condition: Expression
    span: Span = _span()


@frozen
class GroupExpression:
    """``group a, b by f, g within 30 minutes``, or ``within window``, a length that has a name."""

    streams: tuple[Name, ...]
    keys: tuple[FieldPath, ...]
    within: DurationLiteral | Name | None = None
    span: Span = _span()


@frozen
class SelectItem:
    """``min(time) as first``; without ``as`` the name is the field's own."""

    value: Expression
    alias: Name | None = None
    span: Span = _span()


@frozen
class SelectExpression:
    """``from stream select item, item``."""

    stream: Name
    items: tuple[SelectItem, ...]
    span: Span = _span()


@frozen
class CountExpression:
    """``count(stream) by f, g``."""

    stream: Name
    keys: tuple[FieldPath, ...]
    span: Span = _span()


@frozen
class RunExpression:
    """``run Analytic:CAR-2013-05-003``."""

    rule: Name
    span: Span = _span()


StreamExpression = (
    SearchExpression
    | FilterExpression
    | JoinExpression
    | GroupExpression
    | SelectExpression
    | CountExpression
    | RunExpression
)

# Statements


@frozen
class DefineStatement:
    """``name = …``: a stream, or a value (a constant, an aggregate, a difference of streams)."""

    name: Name
    value: StreamExpression | Expression
    span: Span = _span()


@frozen
class AssignStatement:
    """``stream.field = value``. ``field`` is the path behind the stream's name."""

    stream: Name
    field: tuple[str, ...]
    value: Expression
    span: Span = _span()


@frozen
class InputStatement:
    """``input name``."""

    name: Name
    span: Span = _span()


@frozen
class OutputStatement:
    """``output a, b``; ``return`` is read as the same."""

    names: tuple[Name, ...]
    span: Span = _span()


Statement = DefineStatement | AssignStatement | InputStatement | OutputStatement


@frozen
class Comment:
    """A comment with its ``#``, for the printer; it takes no part in a program's meaning."""

    text: str
    span: Span = _span()


@frozen
class SyntaxTree:
    """All statements of one text, in order. ``comments`` are kept for printing only."""

    statements: tuple[Statement, ...]
    comments: tuple[Comment, ...] = field(default=(), eq=False, repr=False)
    span: Span = _span()
