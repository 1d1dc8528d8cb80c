"""Expressions as values and conditions of the IR, in whatever scope their names are looked up.

Programs and field maps write the same expressions; what differs is what a name means. A
``Scope`` says so: a field of the row at hand, a field of the log, a constant. Literals are read
here: a string becomes a pattern, or a number, a time or an address where the field is one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import NoReturn, assert_never

import re2
from attrs import evolve, frozen

from .. import ir
from ..diagnostics import Code, Diagnostic, Edit, Fix, Span, codes
from ..ir import Relation, Type
from ..pattern import Pattern, escape, tokenize
from ..syntax import ast
from ..syntax.lexical import quoted
from ..values import address_of, network_of, number_of, time_of

_MAX_REGEX = 10_000


class Abandoned(Exception):  # noqa: N818 - it ends a statement, and no caller outside sees it
    """Leaves the statement at hand; the diagnostic is recorded already."""


@frozen
class ListConstant:
    """A name that stands for a list."""

    items: ast.ListExpression


Typed = tuple[ir.Value, Type]
FieldLookup = Callable[[ast.FieldPath], "Typed | ListConstant"]


@frozen
class Scope:
    """What expressions may refer to: fields, aggregates, constants, functions.

    ``column`` tells the field of all rows of a stream that stands behind an ``in``, and the
    stream's plan; None for what is no stream there.
    """

    field: FieldLookup
    call: Callable[[ast.CallExpression], Typed]
    rank: Callable[[ast.RankExpression], ir.Condition]
    column: Callable[[ast.FieldPath | ast.CallExpression], tuple[ir.Field, ir.Plan] | None]
    report: Callable[[Diagnostic], None]
    raw: bool = True


def fail(
    report: Callable[[Diagnostic], None],
    code: Code,
    message: str,
    span: Span,
    label: str = "",
    *,
    notes: Sequence[str] = (),
    fix: Fix | None = None,
) -> NoReturn:
    """Record a finding and leave the statement at hand."""
    report(Diagnostic(code, message, span, label, notes=tuple(notes), fix=fix))
    raise Abandoned


def suggestion(names: Sequence[str], span: Span, *, safe: bool = False) -> Fix | None:
    """A fix that replaces a span by the nearest known name; None where nothing is near."""
    if not names:
        return None
    others = f" (or {', '.join(names[1:])})" if len(names) > 1 else ""
    return Fix(f"did you mean {names[0]}{others}?", (Edit(span, names[0]),), safe)


# Conditions and values: shared by programs and field maps


def value_of(expression: ast.Expression, scope: Scope) -> Typed:
    """An expression as a value and its type. A list or a condition is refused."""
    match expression:
        case ast.FieldPath():
            found = scope.field(expression)
            if isinstance(found, ListConstant):
                fail(
                    scope.report,
                    codes.BAD_TYPE,
                    f"{expression.text} is a list, and one value is needed here",
                    expression.span,
                    "a list",
                    notes=("write `in` to test for membership",),
                )
            return found
        case ast.StringLiteral(value):
            return ir.Constant(value), Type.TEXT
        case ast.NumberLiteral(value):
            return ir.Constant(value), Type.NUMBER
        case ast.BooleanLiteral(value):
            return ir.Constant(value), Type.BOOLEAN
        case ast.NullLiteral():
            return ir.Constant(None), Type.ANY
        case ast.DurationLiteral(microseconds):
            return ir.Duration(microseconds), Type.DURATION
        case ast.NowLiteral():
            return ir.Now(), Type.TIME
        case ast.CallExpression():
            return scope.call(expression)
        case ast.ArithmeticExpression():
            return _arithmetic(expression, scope)
        case ast.ListExpression():
            what = "a list"
        case ast.NetworkLiteral():
            what = "a network"
        case ast.AndExpression() | ast.OrExpression() | ast.NotExpression():
            what = "a condition"
        case ast.ComparisonExpression() | ast.InExpression() | ast.ContainsExpression():
            what = "a condition"
        case ast.MatchExpression() | ast.ExistsExpression() | ast.RawContainsExpression():
            what = "a condition"
        case ast.RankExpression():
            what = "a condition"
        case _:
            assert_never(expression)
    fail(
        scope.report,
        codes.BAD_TYPE,
        f"{what} stands where a value is needed",
        expression.span,
        what,
    )


def _arithmetic(expression: ast.ArithmeticExpression, scope: Scope) -> Typed:
    left, left_type = value_of(expression.left, scope)
    right, right_type = value_of(expression.right, scope)
    sign = expression.sign
    kinds = (left_type, sign, right_type)
    numeric = (Type.NUMBER, Type.INTEGER, Type.ANY)
    match kinds:
        case (Type.TIME, ast.Sign.MINUS, Type.TIME):
            result = Type.DURATION
        case (Type.TIME, ast.Sign.PLUS | ast.Sign.MINUS, Type.DURATION):
            result = Type.TIME
        case (Type.DURATION, ast.Sign.PLUS, Type.TIME):
            result = Type.TIME
        case (Type.DURATION, ast.Sign.PLUS | ast.Sign.MINUS, Type.DURATION):
            result = Type.DURATION
        case (Type.DURATION, ast.Sign.TIMES | ast.Sign.DIVIDE, _) if right_type in numeric:
            result = Type.DURATION
        case (_, ast.Sign.TIMES, Type.DURATION) if left_type in numeric:
            result = Type.DURATION
        case (Type.ANY, ast.Sign.PLUS | ast.Sign.MINUS, Type.DURATION):
            left, result = _retype(left, Type.TIME), Type.TIME
        case _ if left_type in numeric and right_type in numeric:
            result = Type.NUMBER
        case _:
            fail(
                scope.report,
                codes.BAD_TYPE,
                f"{_described(left_type)} {sign.value} {_described(right_type)} has no meaning",
                expression.span,
                fix=_with_unit(expression.right) if left_type is Type.TIME else None,
            )
    return ir.Arithmetic(sign.value, left, right), result


def _with_unit(amount: ast.Expression) -> Fix | None:
    match amount:
        case ast.NumberLiteral():
            text = f"{amount.span.text} seconds"
            return Fix(f"give it a unit: {text}", (Edit(amount.span, text),))
        case _:
            return None


def _described(type_: Type) -> str:
    return {
        Type.TEXT: "a text",
        Type.INTEGER: "a number",
        Type.NUMBER: "a number",
        Type.TIME: "a time",
        Type.DURATION: "a duration",
        Type.ADDRESS: "an address",
        Type.BOOLEAN: "a truth value",
        Type.ANY: "a value",
    }[type_]


def _retype(value: ir.Value, type_: Type) -> ir.Value:
    """The same field, read as another type."""
    if isinstance(value, ir.Field | ir.Raw | ir.Call | ir.Parameter):
        return evolve(value, type=type_)
    return value


def condition_of(expression: ast.Expression, scope: Scope) -> ir.Condition:
    """An expression as a condition. A value that is compared with nothing is refused."""
    match expression:
        case ast.AndExpression(items):
            return ir.And(tuple(_each(items, scope)))
        case ast.OrExpression(items):
            return ir.Or(tuple(_each(items, scope)))
        case ast.NotExpression(item):
            return ir.Not(condition_of(item, scope))
        case ast.ComparisonExpression(first, rest):
            return _chain(first, rest, scope)
        case ast.InExpression():
            return _negated(expression.negated, _membership(expression, scope))
        case ast.ContainsExpression():
            return _negated(expression.negated, _contains(expression, scope))
        case ast.MatchExpression(value, regex):
            left, _ = value_of(value, scope)
            check_regex(regex, scope.report)
            return ir.Regex(left, regex.value, span=expression.span)
        case ast.ExistsExpression(value):
            left, _ = value_of(value, scope)
            return ir.Not(ir.IsNull(left, expression.span))
        case ast.RawContainsExpression(text):
            if not scope.raw:
                fail(
                    scope.report,
                    codes.BAD_TYPE,
                    "the raw event cannot be looked into here",
                    expression.span,
                )
            test = ir.RawMatch((_inside(text.value),), expression.span)
            return _negated(expression.negated, test)
        case ast.RankExpression():
            return _negated(expression.negated, scope.rank(expression))
        case ast.BooleanLiteral(value):
            return ir.Truth(value)
        case ast.FieldPath() | ast.CallExpression() | ast.ArithmeticExpression():
            _no_condition(expression, scope)
        case ast.StringLiteral() | ast.NumberLiteral() | ast.DurationLiteral():
            _no_condition(expression, scope)
        case ast.NetworkLiteral() | ast.NullLiteral() | ast.NowLiteral() | ast.ListExpression():
            _no_condition(expression, scope)
        case _:
            assert_never(expression)


def _no_condition(expression: ast.Expression, scope: Scope) -> NoReturn:
    fail(
        scope.report,
        codes.BAD_TYPE,
        "this is a value, and a condition is needed",
        expression.span,
        "compare it with something",
        notes=("for 'is present' write `… exists`",),
    )


def _each(items: Sequence[ast.Expression], scope: Scope) -> list[ir.Condition]:
    """The conditions of all items; errors of all of them are reported before giving up."""
    made: list[ir.Condition] = []
    failed = False
    for item in items:
        try:
            made.append(condition_of(item, scope))
        except Abandoned:
            failed = True
    if failed:
        raise Abandoned
    return made


def _negated(negated: bool, condition: ir.Condition) -> ir.Condition:
    return ir.Not(condition) if negated else condition


def _inside(text: str) -> Pattern:
    """The pattern of a text that contains this one; redundant wildcards are left out."""
    before = "" if text.startswith("*") else "*"
    after = "" if text.endswith("*") and not text.endswith("[*") else "*"
    return Pattern(f"{before}{text}{after}")


def _chain(
    first: ast.Expression,
    rest: tuple[tuple[ast.Operator, ast.Expression], ...],
    scope: Scope,
) -> ir.Condition:
    operands = [first, *(operand for _, operand in rest)]
    pairs = [
        _compare(left, operator, right, scope)
        for left, (operator, right) in zip(operands, rest, strict=False)
    ]
    return pairs[0] if len(pairs) == 1 else ir.And(tuple(pairs))


_RELATIONS = {
    ast.Operator.LESS: Relation.LESS,
    ast.Operator.LESS_EQUAL: Relation.LESS_EQUAL,
    ast.Operator.GREATER: Relation.GREATER,
    ast.Operator.GREATER_EQUAL: Relation.GREATER_EQUAL,
}
_MIRRORED = {
    ast.Operator.LESS: ast.Operator.GREATER,
    ast.Operator.LESS_EQUAL: ast.Operator.GREATER_EQUAL,
    ast.Operator.GREATER: ast.Operator.LESS,
    ast.Operator.GREATER_EQUAL: ast.Operator.LESS_EQUAL,
}
_LITERALS = (
    ast.StringLiteral,
    ast.NumberLiteral,
    ast.BooleanLiteral,
    ast.NullLiteral,
    ast.DurationLiteral,
    ast.NetworkLiteral,
)


def _compare(
    left: ast.Expression, operator: ast.Operator, right: ast.Expression, scope: Scope
) -> ir.Condition:
    if isinstance(left, _LITERALS) and not isinstance(right, _LITERALS):
        left, operator, right = right, _MIRRORED.get(operator, operator), left
    span = left.span.to(right.span)
    if operator in (ast.Operator.EQUAL, ast.Operator.NOT_EQUAL):
        test = _equals(left, right, span, scope)
        return _negated(operator is ast.Operator.NOT_EQUAL, test)
    if isinstance(right, ast.NullLiteral):
        fail(scope.report, codes.BAD_TYPE, "null has no order; write = null or != null", span)
    value, type_ = value_of(left, scope)
    other, other_type = value_of(right, scope)
    return _ordered_pair((value, type_), _RELATIONS[operator], (other, other_type), span, scope)


def _equals(left: ast.Expression, right: ast.Expression, span: Span, scope: Scope) -> ir.Condition:
    value, type_ = value_of(left, scope)
    if isinstance(right, ast.FieldPath):
        found = scope.field(right)
        if isinstance(found, ListConstant):
            return _among(value, type_, found.items.items, span, scope)
        return _ordered_pair((value, type_), Relation.EQUAL, found, span, scope)
    if isinstance(right, ast.ListExpression):
        return _among(value, type_, right.items, span, scope)
    return _among(value, type_, (right,), span, scope)


def _among(
    value: ir.Value,
    type_: Type,
    items: Sequence[ast.Expression],
    span: Span,
    scope: Scope,
) -> ir.Condition:
    """Equality with any of several things: patterns together, everything else on its own."""
    patterns: list[Pattern] = []
    networks: list[str] = []
    others: list[ir.Condition] = []
    for item in items:
        match item:
            case ast.StringLiteral(text):
                made = _text_equality(value, type_, text, span)
                if isinstance(made, Pattern):
                    patterns.append(made)
                else:
                    others.append(made)
            case ast.NumberLiteral(number):
                kind = Type.INTEGER if type_ is Type.INTEGER else Type.NUMBER
                constant = ir.Constant(number)
                others.append(ir.Compare(value, Relation.EQUAL, constant, kind, span))
            case ast.BooleanLiteral(truth):
                patterns.append(Pattern.literal("true" if truth else "false"))
            case ast.NullLiteral():
                others.append(ir.IsNull(value, span))
            case ast.NetworkLiteral(text):
                if network_of(text) is None:
                    fail(
                        scope.report,
                        codes.BAD_NETWORK,
                        f"{text} is no network",
                        item.span,
                        notes=("a network is written 10.0.0.0/8 or fe80::/10",),
                    )
                networks.append(text)
            case ast.ListExpression(inner):
                others.append(_among(value, type_, inner, span, scope))
            case _:
                other = value_of(item, scope)
                others.append(_ordered_pair((value, type_), Relation.EQUAL, other, span, scope))
    tests: list[ir.Condition] = []
    if patterns:
        tests.append(ir.Match(value, tuple(dict.fromkeys(patterns)), span))
    if networks:
        tests.append(ir.InNetwork(value, tuple(networks), span))
    tests += others
    match tests:
        case []:
            return ir.Truth(False)
        case [only]:
            return only
        case several:
            return ir.Or(tuple(several))


def _text_equality(value: ir.Value, type_: Type, text: str, span: Span) -> Pattern | ir.Condition:
    """What ``field = "text"`` means for a field of a type: nearly always a pattern."""
    tokens = tokenize(text)
    if len(tokens) == 1 and isinstance(tokens[0], str):
        plain = tokens[0]
        match type_:
            case Type.INTEGER | Type.NUMBER:
                number = number_of(plain, hexadecimal=type_ is Type.INTEGER)
                if number is not None:
                    constant = ir.Constant(number)
                    return ir.Compare(value, Relation.EQUAL, constant, type_, span)
            case Type.TIME:
                moment = time_of(plain)
                if moment is not None:
                    return ir.Compare(value, Relation.EQUAL, ir.Moment(moment), type_, span)
            case Type.ADDRESS if ":" in plain:
                # One IPv6 address has many spellings.
                if address_of(plain) is not None:
                    return ir.InNetwork(value, (plain,), span)
    return Pattern(text)


def _ordered_pair(
    left: Typed, relation: Relation, right: Typed, span: Span, scope: Scope
) -> ir.Condition:
    (a, a_type), (b, b_type) = left, right
    type_ = _common_type(a_type, b_type)
    if type_ is None:
        fail(
            scope.report,
            codes.BAD_TYPE,
            f"{_described(a_type)} cannot be compared with {_described(b_type)}",
            span,
        )
    if type_ is Type.TIME:
        left_time, right_time = _as_time(a), _as_time(b)
        if left_time is None or right_time is None:
            fail(scope.report, codes.BAD_TYPE, "this text is no time", span)
        a, b = left_time, right_time
    if type_ is Type.DURATION:
        type_ = Type.NUMBER
    return ir.Compare(a, relation, b, type_, span)


def _as_time(value: ir.Value) -> ir.Value | None:
    if isinstance(value, ir.Constant):
        moment = time_of(value.value)
        return None if moment is None else ir.Moment(moment)
    return _retype(value, Type.TIME)


def _common_type(a: Type, b: Type) -> Type | None:
    """The type two values are compared as, or None where they cannot be."""
    if a is b:
        return a
    pair = {a, b}
    if Type.TIME in pair:
        return Type.TIME if pair & {Type.ANY, Type.TEXT} else None
    if Type.DURATION in pair:
        return Type.DURATION if pair & {Type.ANY, Type.NUMBER, Type.INTEGER} else None
    for type_ in (Type.INTEGER, Type.NUMBER, Type.ADDRESS, Type.TEXT):
        if type_ in pair:
            return type_
    return Type.ANY


def _membership(expression: ast.InExpression, scope: Scope) -> ir.Condition:
    span = expression.span
    if isinstance(expression.items, ast.FieldPath | ast.CallExpression):
        column = scope.column(expression.items)
        if column is not None:
            return _in_stream(expression, column, scope)
    match expression.items:
        case ast.ListExpression(items):
            value, type_ = value_of(expression.value, scope)
            return _among(value, type_, items, span, scope)
        case ast.NetworkLiteral() as network:
            value, type_ = value_of(expression.value, scope)
            return _among(value, type_, (network,), span, scope)
        case ast.FieldPath() as name:
            found = scope.field(name)
            if isinstance(found, ListConstant):
                value, type_ = value_of(expression.value, scope)
                return _among(value, type_, found.items.items, span, scope)
            return _occurs(expression, found[0], scope)
        case ast.CallExpression():
            haystack, _ = value_of(expression.items, scope)
            return _occurs(expression, haystack, scope)
        case other:
            fail(
                scope.report,
                codes.BAD_TYPE,
                "`in` needs a list, a network or a field behind it",
                other.span,
                "write [ … ] around it",
            )


def _occurs(expression: ast.InExpression, haystack: ir.Value, scope: Scope) -> ir.Condition:
    if isinstance(haystack, ir.Whole):
        match haystack.aggregate:
            case ir.Aggregate("values", ir.Field() as field):
                return _in_stream(expression, (field, haystack.plan), scope)
            case _:
                pass
    if isinstance(expression.value, ast.StringLiteral):
        return ir.Match(haystack, (_inside(expression.value.value),), expression.span)
    needle, _ = value_of(expression.value, scope)
    return ir.Occurs(needle, haystack, expression.span)


def _in_stream(
    expression: ast.InExpression, column: tuple[ir.Field, ir.Plan], scope: Scope
) -> ir.Condition:
    """A value that is to occur among those of a column of a stream, as a whole."""
    value: ir.Value
    if isinstance(expression.value, ast.StringLiteral):
        exact = Pattern(expression.value.value).exact
        if exact is None:
            fail(
                scope.report,
                codes.BAD_TYPE,
                "a pattern cannot be looked up in a stream",
                expression.value.span,
                notes=("filter the stream with it, and count what is left",),
            )
        value = ir.Constant(exact)
    else:
        value, _ = value_of(expression.value, scope)
    return ir.Rank(value, ir.EVERY, *column, span=expression.span)


def _contains(expression: ast.ContainsExpression, scope: Scope) -> ir.Condition:
    value, _ = value_of(expression.value, scope)
    items: Sequence[ast.Expression] = (expression.items,)
    if isinstance(expression.items, ast.ListExpression):
        items = expression.items.items
    elif isinstance(expression.items, ast.FieldPath):
        found = scope.field(expression.items)
        if not isinstance(found, ListConstant):
            return ir.Occurs(found[0], value, expression.span)
        items = found.items.items
    patterns = []
    for item in items:
        match item:
            case ast.StringLiteral(text):
                patterns.append(_inside(text))
            case ast.NumberLiteral(number):
                patterns.append(_inside(escape(str(number))))
            case _:
                fail(
                    scope.report,
                    codes.BAD_TYPE,
                    "`contains` needs a string or a list of strings",
                    item.span,
                )
    return ir.Match(value, tuple(dict.fromkeys(patterns)), expression.span)


def check_regex(regex: ast.StringLiteral, report: Callable[[Diagnostic], None]) -> None:
    """Record CE208 and leave the statement when RE2 does not take the expression."""
    message = regex_problem(regex.value)
    if message is not None:
        notes = []
        if re.search(r"\(\?<?[=!]|\\[1-9]", regex.value):
            notes.append("it has no look-around and no backreferences, so that it is always fast")
        better = with_backslashes(regex.value)
        fix = None
        if better is not None:
            notes.append("a backslash of a path is written as two in an expression")
            edits = (Edit(regex.span, quoted(better)),)
            fix = Fix(f"did you mean {quoted(better)}?", edits)
        fail(
            report,
            codes.BAD_REGEX,
            f"RE2 refuses this expression: {message}",
            regex.span,
            notes=notes,
            fix=fix,
        )


_PATH = re.compile(r"(?:^|[\w:*.)\]])(\\(?:\\)?[A-Za-z0-9_.*+ -]{2,}){2,}|[A-Za-z]:\\[A-Za-z]{2}")


def with_backslashes(pattern: str) -> str | None:
    """A regular expression that was written as a path, with its backslashes doubled; None where it
    is no such path, or RE2 does not take it then.

    >>> print(with_backslashes(r"C:\\Users\\x\\.exe"))
    C:\\\\Users\\\\x\\.exe
    """
    if _PATH.search(pattern) is None:
        return None
    better = re.sub(r"(?<!\\)((?:\\\\)*)\\(?=[A-Za-z0-9])", r"\1\\\\", pattern)
    return better if better != pattern and regex_problem(better) is None else None


def regex_problem(pattern: str) -> str | None:
    """Why RE2 does not take an expression, in its own words; None where it does."""
    if len(pattern) > _MAX_REGEX:
        return f"it is longer than {_MAX_REGEX} characters"
    options = re2.Options()
    options.log_errors = False
    try:
        re2.compile(pattern, options)
        # Ignoring case makes an expression larger, and too large is one way to be refused.
        re2.compile(f"(?i){pattern}", options)
    except (re2.error, UnicodeEncodeError) as error:
        detail = error.args[0] if error.args else error
        return detail.decode(errors="replace") if isinstance(detail, bytes) else str(detail)
    return None


def head_of(span: Span, name: str) -> Span:
    """The first characters of a span, as many as the name has."""
    return Span(span.source, span.start, span.start + len(name))
