"""Slips in a condition, with their places and the edits that mend them.

What is doubtful about a test is ``unlikely``'s business; here it gets the place of the text that it
is about. A fix of these changes what a rule means, since what it means now is not what was meant:
`apply_fixes` puts it in only where that is asked for. Brackets change nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from .. import ir
from ..diagnostics import Diagnostic, Edit, Fix, Source, Span, codes
from ..solver.facts import Facts
from ..syntax import ast
from ..syntax.lexical import quoted
from ..syntax.walking import children
from .connectives import Alternative, misleading, shown
from .parts import Lists, Part
from .unlikely import Doubt, doubts

_FOLLOWING = frozenset({codes.NEVER_TRUE.id, codes.REGEX_NEVER_FOUND.id, codes.ALWAYS_TRUE.id})


def without_consequences(
    found: Iterable[Diagnostic], slips: Iterable[Diagnostic]
) -> list[Diagnostic]:
    """The findings without those that say of the same place what a slip leads to."""
    places = [slip.span for slip in slips if slip.span is not None]
    return [
        item
        for item in found
        if item.code.id not in _FOLLOWING
        or item.span is None
        or not any(_meet(item.span, place) for place in places)
    ]


def _meet(one: Span, other: Span) -> bool:
    return one.source is other.source and one.start < other.end and other.start < one.end


def check_slips(
    part: Part, expression: ast.Expression, rows: ir.Plan, lists: Lists
) -> list[Diagnostic]:
    """The slips in a condition that is written in pseudocode."""
    literals: dict[str, ast.StringLiteral] = {}
    for literal in _literals(expression, lists):
        literals.setdefault(literal.value, literal)
    facts = Facts(rows)
    found: dict[tuple[str, Span | None, str], Diagnostic] = {}
    for test in _tests(part):
        for doubt in doubts(test.condition, facts):
            item = _placed(doubt, test, literals, rows)
            found.setdefault((item.code.id, item.span, item.message), item)
    return list(found.values())


def check_tests(condition: ir.Condition, rows: ir.Plan) -> list[Diagnostic]:
    """The slips in a condition of which only the tests know where they are written."""
    facts = Facts(rows)
    found: dict[tuple[str, Span | None, str], Diagnostic] = {}
    for atom in ir.atoms(condition):
        place = None if isinstance(atom, ir.Truth) else atom.span
        for doubt in doubts(atom, facts):
            item = Diagnostic(
                doubt.code, doubt.message, place, notes=doubt.notes, fix=Fix(doubt.advice)
            )
            found.setdefault((item.code.id, place, item.message), item)
    return list(found.values())


def _tests(part: Part) -> Iterator[Part]:
    if not part.parts:
        yield part
    for inner in part.parts:
        yield from _tests(inner)


def _literals(expression: ast.Expression, lists: Lists) -> Iterator[ast.StringLiteral]:
    waiting: list[ast.Expression] = [expression]
    while waiting:
        one = waiting.pop()
        if isinstance(one, ast.StringLiteral):
            yield one
        elif isinstance(one, ast.FieldPath) and one.text in lists:
            waiting.append(lists[one.text])
        waiting += reversed(children(one))


def _placed(
    doubt: Doubt, test: Part, literals: Mapping[str, ast.StringLiteral], rows: ir.Plan
) -> Diagnostic:
    """A doubt at the text that it is about, or at its test."""
    literal = None
    if isinstance(test.syntax, ast.StringLiteral):
        literal = test.syntax
    elif doubt.text is not None:
        # `contains` puts stars around a text.
        text = doubt.text
        spellings = (text, text.removeprefix("*").removesuffix("*"), text[1:], text[:-1])
        own = [] if test.syntax is None else list(_literals(test.syntax, {}))
        near = {one.value: one for one in own}
        literal = next((near[one] for one in spellings if one in near), None)
        literal = literal or next((literals[one] for one in spellings if one in literals), None)
    if literal is None:
        fix = _other_stream(doubt, test, rows) or Fix(doubt.advice)
        return Diagnostic(doubt.code, doubt.message, test.span, notes=doubt.notes, fix=fix)
    fix = Fix(doubt.advice)
    if doubt.change is not None:
        better = quoted(doubt.change(literal.value))
        fix = Fix(f"write {better}", (Edit(literal.span, better),))
    return Diagnostic(doubt.code, doubt.message, literal.span, notes=doubt.notes, fix=fix)


def _other_stream(doubt: Doubt, test: Part, rows: ir.Plan) -> Fix | None:
    """``a.pid = b.pid`` where both sides name ``a``, if the join is of two streams."""
    match test.syntax, rows:
        case (
            ast.ComparisonExpression(ast.FieldPath((stream, *rest)), ((_, second),)),
            ir.Join((one, other)),
        ) if doubt.code is codes.COMPARED_WITH_ITSELF and stream in (one.name, other.name):
            name = other.name if stream == one.name else one.name
            better = ".".join((name, *rest))
            return Fix(f"write {better} on one side", (Edit(second.span, better),))
        case _:
            return None


# Brackets


def check_connectives(expression: ast.Expression) -> list[Diagnostic]:
    """Where ``and`` stands beside ``or`` with nothing around it."""
    found = []
    waiting: list[ast.Expression] = [expression]
    while waiting:
        one = waiting.pop()
        waiting += children(one)
        if not isinstance(one, ast.OrExpression):
            continue
        text = one.span.source.text
        bare = misleading([_alternative(item) for item in one.items], text)
        if bare:
            found.append(mixed(bare, one.span.source))
    return found


def mixed(bare: Sequence[Alternative], source: Source) -> Diagnostic:
    """What is said of alternatives that want brackets."""
    edits = []
    for one in bare:
        edits.append(Edit(Span(source, one.start, one.start), "("))
        edits.append(Edit(Span(source, one.end, one.end), ")"))
    return Diagnostic(
        codes.MIXED_CONNECTIVES,
        f"`and` binds closer than `or` beside it: this is ({shown(bare[0], source.text)})",
        Span(source, bare[0].start, bare[0].end),
        "read as if it stood in brackets",
        fix=Fix("put brackets around it", tuple(edits), safe=True),
    )


def _alternative(item: ast.Expression) -> Alternative:
    span = item.span
    if not isinstance(item, ast.AndExpression):
        return Alternative(span.start, span.end, (span.text,), 1)
    operands = tuple(one.span.text for one in item.items)
    bracketed = _is_bracketed(span)
    return Alternative(span.start, span.end, operands, len(operands), bracketed)


def _is_bracketed(span: Span) -> bool:
    """Whether there are brackets around a stretch of text, in it or at its sides."""
    text = span.source.text
    before = text[: span.start].rstrip()
    behind = text[span.end :].lstrip()
    if before.endswith("(") and behind.startswith(")"):
        return True
    return span.text.startswith("(") and _closing(span.text) == len(span.text) - 1


def _closing(text: str) -> int:
    """Where the bracket at the beginning of a text closes."""
    depth, quote = 0, ""
    for place, sign in enumerate(text):
        if quote:
            quote = "" if sign == quote else quote
        elif sign in "\"'":
            quote = sign
        elif sign == "(":
            depth += 1
        elif sign == ")":
            depth -= 1
            if not depth:
                return place
    return -1
