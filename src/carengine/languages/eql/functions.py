"""The functions of EQL, each as what makes IR of its arguments."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ... import ir
from ...diagnostics import Span
from ...pattern import Pattern, escape
from ...values import network_of

if TYPE_CHECKING:
    from .reader import EqlReader

Operand = ir.Value | ir.Condition
Make = Callable[["EqlReader", list[ir.Value], Span], Operand | None]
"""What makes IR of a function's arguments; None for arguments that it cannot have."""

ARITHMETIC = {"add": "+", "subtract": "-", "multiply": "*", "divide": "/", "modulo": "%"}


def _affixed(before: str, after: str) -> Make:
    def make(reader: EqlReader, arguments: list[ir.Value], span: Span) -> Operand | None:
        match arguments:
            case [value, ir.Constant(str() as text)]:
                pattern = Pattern(f"{before}{escape(text)}{after}", reader.cased)
                return ir.Match(value, (pattern,), span)
            case [haystack, needle] if before and after:
                return ir.Occurs(needle, haystack, span)
            case [value, other]:
                test = ir.Call("ends_with" if before else "starts_with", (value, other))
                return ir.Compare(test, ir.Relation.EQUAL, ir.Constant(True), span=span)
            case _:
                return None

    return make


def _texts(arguments: list[ir.Value]) -> list[str] | None:
    texts = [x.value for x in arguments if isinstance(x, ir.Constant) and isinstance(x.value, str)]
    return texts if texts and len(texts) == len(arguments) else None


def _wildcard(reader: EqlReader, arguments: list[ir.Value], span: Span) -> Operand | None:
    texts = _texts(arguments[1:])
    if texts is None:
        return None
    return ir.Match(
        arguments[0],
        tuple(Pattern(reader.wildcards(text, span), reader.cased) for text in texts),
        span,
    )


def _match(reader: EqlReader, arguments: list[ir.Value], span: Span) -> Operand | None:
    if isinstance(arguments[0], ir.Constant) and len(arguments) == 2:
        # The older order: the expression first.
        arguments = [arguments[1], arguments[0]]
    texts = _texts(arguments[1:])
    if texts is None:
        return None
    inside = [(_inside_group(t, _CASED), t) for t in texts]
    made = []
    for cased in (False, True):
        # Cased is what stands in Python's group that sets aside the package's flag.
        several = [t if whole is None else whole for whole, t in inside if (whole is None) != cased]
        if several:
            ours = [_anywhere(t) or f"^(?:{t})" for t in several]
            made.append(reader.regexes(arguments[0], ours, span, cased=cased))
    return made[0] if len(made) == 1 else ir.Or(tuple(made))


_CASED = "(?-i:"


def _anywhere(text: str) -> str | None:
    """The expression that is looked for anywhere, if ``match`` looks for it so.

    >>> _anywhere(".*?(?:a|b)"), _anywhere(".*?(?:a)|(?:b)")
    ('a|b', None)
    """
    return _inside_group(text, ".*?(?:")


def _inside_group(text: str, opening: str) -> str | None:
    """What stands in the group that an expression is, if its beginning opens a group that its end
    closes.

    >>> _inside_group("(?-i:a|(b))", "(?-i:"), _inside_group("(?-i:a)|(b)", "(?-i:")
    ('a|(b)', None)
    """
    if not text.startswith(opening):
        return None
    depth, in_class, place = 1, False, len(opening)
    while place < len(text):
        match text[place]:
            case "\\":
                place += 1
            case "[" if not in_class:
                in_class = True
                place += text[place + 1 : place + 2] in ("^", "]")
            case "]":
                in_class = False
            case "(" if not in_class:
                depth += 1
            case ")" if not in_class:
                depth -= 1
                if depth == 0:
                    return text[len(opening) : -1] if place == len(text) - 1 else None
        place += 1
    return None


def _cidr(_: EqlReader, arguments: list[ir.Value], span: Span) -> Operand | None:
    texts = _texts(arguments[1:])
    if texts is None or any(network_of(text) is None for text in texts):
        return None
    return ir.InNetwork(arguments[0], tuple(texts), span)


def _contains(_: EqlReader, arguments: list[ir.Value], span: Span) -> Operand | None:
    texts = _texts(arguments[1:])
    if texts is None:
        return None
    return ir.Match(arguments[0], tuple(Pattern.literal(text) for text in texts), span)


def _computed(sign: str) -> Make:
    def make(reader: EqlReader, arguments: list[ir.Value], span: Span) -> Operand | None:
        match arguments:
            case [a, b]:
                return reader.arithmetic(sign, a, b, span)
            case _:
                return None

    return make


def _number(_: EqlReader, arguments: list[ir.Value], span: Span) -> Operand | None:
    match arguments:
        case [ir.Constant(str() as text)]:
            base = 10
        case [ir.Constant(str() as text), ir.Constant(int() as base)]:
            pass
        case [ir.Field() as value]:
            return ir.Call("number", (value,))
        case _:
            return None
    try:
        return ir.Constant(int(text, base))
    except ValueError:
        return None


def _length(_: EqlReader, arguments: list[ir.Value], span: Span) -> Operand | None:
    match arguments:
        case [value]:
            return ir.Call("length", (value,), ir.Type.INTEGER)
        case _:
            return None


def _substring(_: EqlReader, arguments: list[ir.Value], span: Span) -> Operand | None:
    match arguments:
        case [_, ir.Constant(int())] | [_, ir.Constant(int()), ir.Constant(int())]:
            return ir.Call("substring", tuple(arguments), ir.Type.TEXT)
        case _:
            return None


def _flag(reader: EqlReader) -> ir.Constant:
    return ir.Constant(reader.cased)


def _index_of(reader: EqlReader, arguments: list[ir.Value], _: Span) -> Operand | None:
    whole: tuple[ir.Value, ...]
    match arguments:
        case [value, part]:
            whole = (value, part, ir.Constant(0), _flag(reader))
        case [value, part, start]:
            whole = (value, part, start, _flag(reader))
        case _:
            return None
    return ir.Call("index_of", whole, ir.Type.INTEGER)


def _between(reader: EqlReader, arguments: list[ir.Value], _: Span) -> Operand | None:
    match arguments:
        case [_, _, _]:
            arguments = [*arguments, ir.Constant(False)]
        case [_, _, _, ir.Constant(bool())]:
            pass
        case _:
            return None
    return ir.Call("enclosed", (*arguments, _flag(reader)), ir.Type.TEXT)


def _safe(_: EqlReader, arguments: list[ir.Value], __: Span) -> Operand | None:
    # What cannot be computed is null here anyway.
    return arguments[0] if len(arguments) == 1 else None


def _concat(_: EqlReader, arguments: list[ir.Value], span: Span) -> Operand | None:
    return ir.Call("concat", tuple(arguments), ir.Type.TEXT)


def _string(_: EqlReader, arguments: list[ir.Value], span: Span) -> Operand | None:
    match arguments:
        case [value]:
            return ir.Call("concat", (value,), ir.Type.TEXT)
        case _:
            return None


FUNCTIONS: dict[str, Make] = {
    "wildcard": _wildcard,
    "match": _match,
    "matchlite": _match,
    "cidrmatch": _cidr,
    "startswith": _affixed("", "*"),
    "endswith": _affixed("*", ""),
    "stringcontains": _affixed("*", "*"),
    "arraycontains": _contains,
    "number": _number,
    "length": _length,
    "substring": _substring,
    "concat": _concat,
    "indexof": _index_of,
    "between": _between,
    "safe": _safe,
    "string": _string,
    **{name: _computed(sign) for name, sign in ARITHMETIC.items()},
}
