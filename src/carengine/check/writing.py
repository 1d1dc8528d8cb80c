"""What is written in a roundabout or doubtful way: wildcards that change nothing, numbers for
times.

These findings come from the text of a condition; what it means is ``conditions``' business.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import assert_never

from .. import ir
from ..diagnostics import Diagnostic, Edit, Fix, Span, codes
from ..pattern import tokenize
from ..syntax import ast
from ..syntax.lexical import quoted
from ..syntax.walking import tests_in
from ..values import format_time

_FIRST_YEAR = 631_152_000_000_000
"""1990-01-01: no log that is searched is older."""

_LAST_YEAR = 4_102_444_800_000_000
"""2100-01-01."""

_RUN = re.compile(r"(?<!\[)\*{2,}(?!\])")


def check_writing(
    expression: ast.Expression, condition: ir.Condition, lists: dict[str, ast.ListExpression]
) -> list[Diagnostic]:
    """The findings about the way a condition is written."""
    found = [finding for part in tests_in(expression) for finding in _wildcards(part, lists)]
    for atom in ir.atoms(condition):
        found += _times(atom)
    return found


def _wildcards(
    expression: ast.Expression, lists: dict[str, ast.ListExpression]
) -> Iterator[Diagnostic]:
    match expression:
        case ast.ContainsExpression(_, operand):
            named = isinstance(operand, ast.FieldPath)
            for text in _strings(operand, lists):
                yield from _around(text, "contains", named=named)
        case ast.RawContainsExpression(text):
            yield from _around(text, "in raw event", named=False)
        case ast.InExpression(ast.StringLiteral() as text, ast.FieldPath(path)) if (
            ".".join(path) not in lists
        ):
            yield from _around(text, "in", named=False)
        case ast.InExpression(_, operand):
            for text in _strings(operand, lists):
                yield from _runs(text)
        case ast.ComparisonExpression(first, rest):
            for operand in (first, *(operand for _, operand in rest)):
                for text in _strings(operand, lists):
                    yield from _runs(text)
        case ast.MatchExpression(_, regex):
            yield from _regex(regex)
        case _:
            pass


def _strings(
    operand: ast.Expression, lists: dict[str, ast.ListExpression]
) -> Iterator[ast.StringLiteral]:
    if isinstance(operand, ast.FieldPath):
        operand = lists.get(operand.text, operand)
    match operand:
        case ast.StringLiteral():
            yield operand
        case ast.ListExpression(items):
            for item in items:
                if isinstance(item, ast.StringLiteral):
                    yield item
        case _:
            pass


def _around(text: ast.StringLiteral, word: str, *, named: bool) -> Iterator[Diagnostic]:
    """A text that is looked for anywhere, with ``*`` at its ends."""
    inner = text.value.lstrip("*")
    while inner.endswith("*") and not inner.endswith("[*"):
        inner = inner[:-1]
    if inner == text.value or not inner:
        yield from _runs(text)
        return
    better = _RUN.sub("*", inner)
    same = _looked_for(better) == _looked_for(text.value)
    yield Diagnostic(
        codes.REDUNDANT_WILDCARD,
        f"`{word}` finds {quoted(better)} anywhere already; the `*` around it changes nothing",
        text.span,
        "`*` at the end changes nothing",
        fix=_rewritten(text, better, safe=same and not named),
    )


def _looked_for(text: str) -> tuple[object, ...]:
    """What a text looked for anywhere comes to."""
    return tokenize(f"*{text}" if text.endswith("*") and not text.endswith("[*") else f"*{text}*")


def _runs(text: ast.StringLiteral) -> Iterator[Diagnostic]:
    """Two ``*`` in a row."""
    if "**" not in text.value:
        return
    better = _RUN.sub("*", text.value)
    if better == text.value or tokenize(better) != tokenize(text.value):
        return
    yield Diagnostic(
        codes.REDUNDANT_WILDCARD,
        "`**` is the same as `*`",
        text.span,
        fix=_rewritten(text, better, safe=True),
    )


def _regex(regex: ast.StringLiteral) -> Iterator[Diagnostic]:
    """``.*`` at an end of an expression that is found anywhere."""
    better = regex.value
    if "|" in better or "\\Q" in better or "(?" in better:
        # An alternative's beginning is not the expression's.
        return
    if better.startswith(".*") and not better.startswith((".*?", ".**")):
        better = better[2:]
    if better.endswith(".*") and not _escaped(better, len(better) - 2):
        better = better[:-2]
    if better == regex.value or not better:
        return
    yield Diagnostic(
        codes.REDUNDANT_WILDCARD,
        "`match` finds an expression anywhere already; the `.*` at its end changes nothing",
        regex.span,
        "`.*` at the end changes nothing",
        fix=_rewritten(regex, better, safe=True),
    )


def _escaped(text: str, place: int) -> bool:
    """Whether a character stands behind an odd number of backslashes, or in a class."""
    count = 0
    while place - count > 0 and text[place - count - 1] == "\\":
        count += 1
    return bool(count % 2) or text.rfind("[", 0, place) > text.rfind("]", 0, place)


def _rewritten(text: ast.StringLiteral, better: str, *, safe: bool) -> Fix:
    """Put another string in a string's place; only words where the source is not what was
    parsed."""
    new = quoted(better)
    span = text.span
    edits = (Edit(span, new),) if _is_literally(span, text.value) else ()
    return Fix(f"write {new}", edits, safe=safe and bool(edits))


def _is_literally(span: Span, value: str) -> bool:
    """Whether the source has just this string, in quotes, at a place."""
    text = span.text
    return len(text) >= 2 and any(
        text == mark + value.replace(mark, mark * 2) + mark for mark in "\"'"
    )


def _times(atom: ir.Truth | ir.Atom) -> Iterator[Diagnostic]:
    match atom:
        case ir.Compare(left, _, right, ir.Type.TIME):
            for value in (left, right):
                if isinstance(value, ir.Moment) and not (
                    _FIRST_YEAR <= value.microseconds <= _LAST_YEAR
                ):
                    yield Diagnostic(
                        codes.IMPROBABLE_TIME,
                        f"this compares with {format_time(value.microseconds)}",
                        atom.span,
                        "a time that no event has",
                        notes=("a length of time has a unit: time > now - 5 days",),
                    )
        case ir.Match(ir.Field(type=ir.Type.TIME)) | ir.Regex(ir.Field(type=ir.Type.TIME)):
            yield Diagnostic(
                codes.TIME_AS_TEXT,
                "a time is compared with a pattern",
                atom.span,
                "a time has no one spelling",
                notes=('write for example: "2024-05-01" <= time < "2024-05-02"',),
            )
        case ir.Compare() | ir.Match() | ir.Regex() | ir.InNetwork() | ir.IsNull() | ir.Occurs():
            return
        case ir.RawMatch() | ir.RawRegex() | ir.Rank() | ir.Truth():
            return
        case _:
            assert_never(atom)
