"""Functions of values of the row at hand: parts of paths, and how two texts begin and end.

They have the names and the meaning of field maps' functions. ``basename(w.file_name) = p.exe``
compares a part of one field with another; ``ends_with(p.image_path, w.file_name) = true`` asks
whether one text is the end of the other.
"""

from __future__ import annotations

from collections.abc import Callable

from .. import ir
from ..diagnostics import Diagnostic, codes
from ..ir import Type
from ..syntax import ast
from .expressions import Typed, fail

VALUE_FUNCTIONS: dict[str, tuple[int, Type]] = {
    "basename": (1, Type.TEXT),
    "dirname": (1, Type.TEXT),
    "extension": (1, Type.TEXT),
    "starts_with": (2, Type.BOOLEAN),
    "ends_with": (2, Type.BOOLEAN),
}
"""Each with how many values it takes, and what it gives."""


def is_value_function(call: ast.CallExpression) -> bool:
    """Whether a call is of such a function."""
    return call.function.lower() in VALUE_FUNCTIONS


def function_of_values(
    call: ast.CallExpression,
    value: Callable[[ast.Expression], Typed],
    report: Callable[[Diagnostic], None],
) -> Typed:
    """The value of such a function, and its type; ``value`` gives those of its arguments."""
    function = call.function.lower()
    number, type_ = VALUE_FUNCTIONS[function]
    if len(call.arguments) != number:
        example = "(image_path)" if number == 1 else "(image_path, file_name)"
        takes = "one value" if number == 1 else "two values"
        message = f"{function} takes {takes}: {function}{example}"
        fail(report, codes.BAD_ARGUMENTS, message, call.span)
    return ir.Call(function, tuple(value(one)[0] for one in call.arguments), type_), type_
