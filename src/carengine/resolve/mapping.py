"""The expressions of field maps: the same language over the fields of a log.

``when: EventID = 12 and EventType in ["DeleteKey"]`` is a condition,
``basename(Image)`` a value. What a name means is the map's shape to say.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from attrs import frozen

from .. import ir
from ..datamodel import nearest
from ..diagnostics import Diagnostic, codes, ordered
from ..ir import Type
from ..syntax import ast
from .expressions import Abandoned, Scope, Typed, condition_of, fail, head_of, suggestion, value_of


@frozen
class MapResolution:
    """A resolved expression of a field map; ``None`` where a diagnostic tells why not."""

    condition: ir.Condition | None
    value: ir.Value | None
    diagnostics: tuple[Diagnostic, ...]


def resolve_map_condition(
    expression: ast.Expression,
    lookup: Callable[[tuple[str, ...]], ir.Value],
    functions: Mapping[str, tuple[int, int]],
) -> MapResolution:
    """A field map's ``when`` as a condition over raw fields.

    ``lookup`` gives the value that a path of the log means; ``functions`` the names of the
    functions with the fewest and the most arguments each takes.
    """
    found: list[Diagnostic] = []
    scope = _map_scope(lookup, functions, found.append)
    try:
        condition = ir.simplify(condition_of(expression, scope))
    except Abandoned:
        return MapResolution(None, None, ordered(found))
    return MapResolution(condition, None, ordered(found))


def resolve_map_value(
    expression: ast.Expression,
    lookup: Callable[[tuple[str, ...]], ir.Value],
    functions: Mapping[str, tuple[int, int]],
) -> MapResolution:
    """A field map's field expression as a value over raw fields. See `resolve_map_condition`."""
    found: list[Diagnostic] = []
    scope = _map_scope(lookup, functions, found.append)
    try:
        value, _ = value_of(expression, scope)
    except Abandoned:
        return MapResolution(None, None, ordered(found))
    return MapResolution(None, value, ordered(found))


def _map_scope(
    lookup: Callable[[tuple[str, ...]], ir.Value],
    functions: Mapping[str, tuple[int, int]],
    report: Callable[[Diagnostic], None],
) -> Scope:
    def call(expression: ast.CallExpression) -> Typed:
        name = expression.function.lower()
        if name not in functions:
            near = nearest(name, list(functions), 3)
            fail(
                report,
                codes.MAP_UNKNOWN_FUNCTION,
                f"there is no function {expression.function}",
                expression.span,
                fix=suggestion(near, head_of(expression.span, expression.function)),
            )
        least, most = functions[name]
        if not least <= len(expression.arguments) <= most:
            wanted = str(least) if least == most else f"{least} to {most}"
            noun = "argument" if least == most == 1 else "arguments"
            fail(
                report,
                codes.BAD_ARGUMENTS,
                f"{name} takes {wanted} {noun}, not {len(expression.arguments)}",
                expression.span,
            )
        arguments = tuple(value_of(argument, scope)[0] for argument in expression.arguments)
        return ir.Call(name, arguments), Type.ANY

    def rank(expression: ast.RankExpression) -> ir.Condition:
        fail(report, codes.BAD_TYPE, "a field map looks at one event only", expression.span)

    scope = Scope(
        field=lambda name: (lookup(name.path), Type.ANY),
        call=call,
        rank=rank,
        column=lambda _: None,
        raw=False,
        report=report,
    )
    return scope
