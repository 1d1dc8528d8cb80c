r"""What may stand in a log for a value that a field map computes: its functions, the other way
round.

``raw_values`` takes an expression of a field map apart and says what its raw fields could hold, so
that the expression gives a wanted value::

    listed(events.parameters, "name", "NEW_VALUE", "value")  false
                                  events: {"parameters": [{"name": "NEW_VALUE", "value": "false"}]}
    joined(event.exec.args, " ")  "id -u"           event: {"exec": {"args": ["id", "-u"]}}

These are proposals: whoever asks puts them into an event and reads it by the expression. A function
that is not known here proposes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .. import ir
from ..values import text_of

Path = tuple[str, ...]
"""The names that lead to a field of a raw event."""

_DEPTH = 8


def raw_values(value: ir.Value, wanted: Any, depth: int = _DEPTH) -> Iterator[tuple[Path, Any]]:
    """Raw fields, each with what it could hold for the value to be the one that is wanted."""
    if depth < 0:
        return
    match value:
        case ir.Raw(path) if path:
            yield path, wanted
        case ir.Call(function, arguments):
            for inner, below in _of_call(function, arguments, wanted):
                yield from raw_values(inner, below, depth - 1)
        case _:
            return


def _of_call(
    function: str, arguments: tuple[ir.Value, ...], wanted: Any
) -> Iterator[tuple[ir.Value, Any]]:
    """The arguments of a call, each with what it could be for the call to give what is wanted."""
    text = text_of(wanted)
    match function, arguments:
        case "first" | "several", _:
            yield from ((inner, wanted) for inner in arguments)
        case "choose", (of, *pairs):
            for key, chosen in zip(pairs[::2], pairs[1::2], strict=False):
                if isinstance(key, ir.Constant) and isinstance(chosen, ir.Constant):
                    if text_of(chosen.value) == text:
                        yield of, key.value
                else:
                    yield chosen, wanted
            if len(pairs) % 2:
                yield pairs[-1], wanted
        case "given", (_, then):
            yield then, wanted
        case "member" | "values_at", (of, ir.Constant(str() as name)):
            yield of, _below(name.split(".") if function == "values_at" else [name], wanted)
        case "listed", (
            of,
            ir.Constant(str() as key),
            ir.Constant(which),
            ir.Constant(str() as at),
        ):
            yield of, [{key: which, at: wanted}]
        case "item", (of, ir.Constant(0)):
            yield of, [wanted]
            yield of, wanted
        case "joined", (of, *marks) if text is not None:
            mark = marks[0].value if marks and isinstance(marks[0], ir.Constant) else " "
            yield of, text.split(str(mark))
        case "concat", _ if text is not None:
            yield from _of_parts(arguments, text)
        case "lower" | "upper" | "integer" | "unescape" | "no_number" | "label", (of,):
            yield of, wanted
        case _:
            return


def _below(names: list[str], wanted: Any) -> Any:
    for name in reversed(names):
        wanted = {name: wanted}
    return wanted


def _of_parts(parts: tuple[ir.Value, ...], text: str) -> Iterator[tuple[ir.Value, Any]]:
    """The one part of a text that is not fixed."""
    fixed = [str(part.value) if isinstance(part, ir.Constant) else None for part in parts]
    if fixed.count(None) != 1:
        return
    place = fixed.index(None)
    head = "".join(part or "" for part in fixed[:place])
    tail = "".join(part or "" for part in fixed[place + 1 :])
    if len(text) > len(head) + len(tail) and text.startswith(head) and text.endswith(tail):
        yield parts[place], text[len(head) : len(text) - len(tail)]
