"""The IR in the words of the language: what a report shows of a condition or of a field map.

The IR is turned back into a tree of the syntax, which the printer writes. The text is for people:
it says what is decided, in the simplest form that says so, and need not be how the rule's author
wrote it::

    Match(Field("exe"), (Pattern("*cmd*"),))        exe contains "cmd"
    Not(IsNull(Field("exe")))                       exe exists
    Call("basename", (Raw(("Image",)),))            basename(Image)
"""

from __future__ import annotations

import re
from typing import assert_never

from . import ir
from .pattern import Pattern
from .syntax import ast, print_expression
from .values import format_time

_RELATIONS = {
    ir.Relation.EQUAL: ast.Operator.EQUAL,
    ir.Relation.LESS: ast.Operator.LESS,
    ir.Relation.LESS_EQUAL: ast.Operator.LESS_EQUAL,
    ir.Relation.GREATER: ast.Operator.GREATER,
    ir.Relation.GREATER_EQUAL: ast.Operator.GREATER_EQUAL,
}
# What no line of text can hold.
_LINE_ENDS = re.compile(r"[\r\n\x0b\x0c\x1c-\x1e\x85\u2028\u2029]")
_SPACES = re.compile(r"\s*\n\s*")
_REST = re.compile(r"`(… \d+ more)`")


def value_text(value: ir.Value) -> str:
    """A value in one line.

    >>> value_text(ir.Call("hash", (ir.Raw(("Hashes",)), ir.Constant("MD5"))))
    'hash(Hashes, "MD5")'
    """
    return _printed(_value(value))


def condition_text(condition: ir.Condition, *, most: int | None = None) -> str:
    """A condition in one line; of a list of patterns or networks the first ``most``.

    >>> condition_text(ir.Not(ir.IsNull(ir.Field("exe"))))
    'exe exists'
    """
    return _printed(_condition(condition, most))


def pattern_text(pattern: Pattern) -> str:
    """A pattern as a string of the language.

    >>> pattern_text(Pattern("*.exe"))
    '"*.exe"'
    """
    return _printed(_string(pattern.text))


def _printed(expression: ast.Expression) -> str:
    text = _SPACES.sub(" ", print_expression(expression)).replace("( ", "(").replace("[ ", "[")
    return _REST.sub(r"\1", text)


def _string(text: str) -> ast.StringLiteral:
    return ast.StringLiteral(_LINE_ENDS.sub("\ufffd", text))


def _field(path: tuple[str, ...]) -> ast.FieldPath:
    return ast.FieldPath(tuple(_LINE_ENDS.sub("\ufffd", name) or "\ufffd" for name in path))


def _value(value: ir.Value) -> ast.Expression:
    match value:
        case ir.Field(name, source):
            path = tuple(name.split("."))
            return _field(path if source is None else (source, *path))
        case ir.Raw(path):
            return _field(path)
        case ir.Presence(of):
            return ast.CallExpression("has_field", (_value(of),))
        case ir.Constant(constant):
            return _constant(constant)
        case ir.Moment(microseconds):
            return ast.StringLiteral(format_time(microseconds))
        case ir.Duration(microseconds):
            return ast.DurationLiteral(microseconds)
        case ir.Now():
            return ast.NowLiteral()
        case ir.Parameter(name):
            return _field((name,))
        case ir.Arithmetic(sign, left, right):
            return ast.ArithmeticExpression(ast.Sign(sign), _value(left), _value(right))
        case ir.Call(function, arguments):
            return ast.CallExpression(function, tuple(map(_value, arguments)))
        case ir.Aggregate(function, inner):
            return ast.CallExpression(function, () if inner is None else (_value(inner),))
        case ir.Whole(aggregate):
            return _value(aggregate)
        case ir.Lookup(_, column):
            return _field((column,))
        case _:
            assert_never(value)


def _constant(constant: str | float | bool | None) -> ast.Expression:
    match constant:
        case None:
            return ast.NullLiteral()
        case bool():
            return ast.BooleanLiteral(constant)
        case int() | float():
            return ast.NumberLiteral(constant)
        case str():
            return _string(constant)


def _condition(condition: ir.Condition, most: int | None) -> ast.Expression:
    match condition:
        case ir.Truth(value):
            return ast.NullLiteral() if value is None else ast.BooleanLiteral(value)
        case ir.And(items):
            return _connected(ast.AndExpression, items, most)
        case ir.Or(items):
            return _connected(ast.OrExpression, items, most)
        case ir.Not(ir.IsNull(ir.Presence(of))):
            return ast.CallExpression("has_field", (_value(of),))
        case ir.IsNull(ir.Presence(of)):
            return ast.NotExpression(ast.CallExpression("has_field", (_value(of),)))
        case ir.Not(ir.IsNull(value)):
            return ast.ExistsExpression(_value(value))
        case ir.Not(item):
            return ast.NotExpression(_condition(item, most))
        case ir.IsTrue(item):
            return ast.CallExpression("is_true", (_condition(item, most),))
        case ir.Match(value, patterns):
            return _match(_value(value), patterns, most)
        case ir.Regex(value, pattern):
            return ast.MatchExpression(_value(value), _string(pattern))
        case ir.Compare(left, relation, right):
            return ast.ComparisonExpression(_value(left), ((_RELATIONS[relation], _value(right)),))
        case ir.InNetwork(value, networks):
            nets = [ast.NetworkLiteral(network) for network in networks[:most]]
            if len(networks) == 1:
                return ast.InExpression(_value(value), nets[0])
            return ast.InExpression(
                _value(value), ast.ListExpression((*nets, *_rest(len(networks), most)))
            )
        case ir.IsNull(value):
            return ast.ComparisonExpression(
                _value(value), ((ast.Operator.EQUAL, ast.NullLiteral()),)
            )
        case ir.Occurs(needle, haystack):
            return ast.InExpression(_value(needle), _value(haystack))
        case ir.RawMatch(patterns):
            texts = tuple(
                ast.RawContainsExpression(_string(_inner(p) or p.text)) for p in patterns[:most]
            )
            return (
                texts[0]
                if len(patterns) == 1
                else ast.OrExpression((*texts, *_rest(len(patterns), most)))
            )
        case ir.RawRegex(pattern):
            return ast.MatchExpression(_field(("raw event",)), _string(pattern))
        case ir.Rank(value, ir.EVERY, of):
            return ast.InExpression(
                _value(value), ast.CallExpression("values", (_field((of.name,)),))
            )
        case ir.Rank(value, count, of, _, bottom):
            return ast.RankExpression(_value(value), count, _field((of.name,)), bottom)
        case _:
            assert_never(condition)


def _connected(
    kind: type[ast.AndExpression] | type[ast.OrExpression],
    items: tuple[ir.Condition, ...],
    most: int | None,
) -> ast.Expression:
    made = [_condition(item, most) for item in items]
    match made:
        case []:
            return ast.BooleanLiteral(kind is ast.AndExpression)
        case [only]:
            return only
        case _:
            return kind(tuple(made))


def _match(
    value: ast.Expression, patterns: tuple[Pattern, ...], most: int | None
) -> ast.Expression:
    inner = [_inner(pattern) for pattern in patterns]
    if patterns and all(text is not None for text in inner):
        texts = [_string(text) for text in inner[:most] if text is not None]
        if len(patterns) == 1:
            return ast.ContainsExpression(value, texts[0])
        return ast.ContainsExpression(
            value, ast.ListExpression((*texts, *_rest(len(patterns), most)))
        )
    whole = [_string(pattern.text) for pattern in patterns[:most]]
    if len(patterns) == 1:
        return ast.ComparisonExpression(value, ((ast.Operator.EQUAL, whole[0]),))
    return ast.InExpression(value, ast.ListExpression((*whole, *_rest(len(patterns), most))))


def _inner(pattern: Pattern) -> str | None:
    """What stands between two ``*`` that are the pattern's only wildcards at its ends."""
    text = pattern.text
    if len(text) > 2 and text[0] == "*" == text[-1] and text[-2] not in "*[" and text[1] != "*":
        return text[1:-1]
    return None


def _rest(number: int, most: int | None) -> tuple[ast.Expression, ...]:
    return () if most is None or number <= most else (_field((f"… {number - most} more",)),)
