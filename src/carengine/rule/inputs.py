"""The inputs of a rule: what ``input`` names in its program, with what a file says about each.

Each has a name, a default, and a sentence that says what it is. An input of a rule that implements
an analytic of ATT&CK may be one of the analytic's mutable elements::

    inputs:
      - name: window
        element: TimeWindow
        default: 5 minutes
        description: How long after the start of the process its file may appear.
        changed: 10 seconds
        example: the file comes a minute later
      - element: UserContext
        left_out: The account is the computer's own in every such event.

A default is a text, a number, ``true`` or ``false``, a length of time (``5 minutes``) or a list of
texts. A value that is given for the input is read as its default is. ``changed`` is another value,
with which the named example comes out the other way round: it shows what the input does.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from attrs import evolve, frozen

from .. import ir

InputValue = str | int | float | bool | ir.Duration | tuple[str, ...]
"""What an input may be: a text, a number, a length of time, or a list of texts."""

_LENGTH = re.compile(r"[0-9]+(?:\.[0-9]+)?[ \t]*[A-Za-z]+")
_NUMBER = re.compile(r"-?[0-9]+(?:\.[0-9]+)?")
_LONGEST = 40


@frozen
class RuleInput:
    """One input. ``value`` is what was given for it; None where the ``default`` holds.

    ``element`` is a mutable element of ATT&CK's. Where the rule has no input for one, ``name`` is
    empty and ``left_out`` says why. With ``changed`` the example ``shown_by`` comes out the other
    way round.
    """

    name: str
    default: InputValue = ""
    description: str = ""
    element: str = ""
    left_out: str = ""
    changed: InputValue | None = None
    shown_by: str = ""
    value: InputValue | None = None

    @property
    def current(self) -> InputValue:
        """The value that the rule has."""
        return self.default if self.value is None else self.value


def value_of(written: str | int | float | bool | Sequence[str]) -> InputValue:
    """A value as it is written: a text that spells a length of time is one.

    >>> value_of("5 minutes"), value_of("cmd.exe"), value_of(["a", "b"])
    (Duration(microseconds=300000000), 'cmd.exe', ('a', 'b'))
    """
    if isinstance(written, bool | int | float):
        return written
    if not isinstance(written, str):
        return tuple(map(str, written))
    length = _duration(written)
    return written if length is None else length


def fitting(default: InputValue, given: object) -> InputValue | None:
    """A given value, read as the default is; None where it is none of that sort.

    >>> fitting(5, "10"), fitting(("a",), "b"), fitting(5, "many")
    (10, ('b',), None)
    """
    several = isinstance(given, Sequence) and not isinstance(given, str)
    match default:
        case tuple():
            listed = given if several else [given]
            assert isinstance(listed, Sequence)
            return tuple(map(str, listed))
        case _ if several:
            return None
        case bool():
            if isinstance(given, bool):
                return given
            return {"true": True, "false": False}.get(str(given).strip().lower())
        case int() | float():
            return _number(given)
        case ir.Duration():
            return given if isinstance(given, ir.Duration) else _duration(str(given))
        case _:
            return str(given)


def input_text(value: InputValue) -> str:
    """A value in words.

    >>> input_text(ir.Duration(300_000_000)), input_text(("a", "b")), input_text(())
    ('5 minutes', 'a, b', 'nothing')
    """
    match value:
        case ir.Duration(microseconds):
            return _length(microseconds)
        case tuple():
            return ", ".join(value) or "nothing"
        case bool():
            return str(value).lower()
        case _:
            return str(value)


def with_values(
    inputs: Iterable[RuleInput], parameters: Mapping[str, object]
) -> tuple[tuple[RuleInput, ...], tuple[str, ...]]:
    """The inputs with the values that are given for them, and what is wrong with those that do not
    fit, in words."""
    made: list[RuleInput] = []
    wrong: list[str] = []
    for one in inputs:
        if one.name and one.name in parameters:
            given = parameters[one.name]
            value = fitting(one.default, given)
            if value is None:
                sort = _sort(one.default)
                wrong.append(f"the input {one.name} is {sort}, and {given!r} is none")
            else:
                one = evolve(one, value=value)
        made.append(one)
    return tuple(made), tuple(wrong)


def _sort(value: InputValue) -> str:
    match value:
        case ir.Duration():
            return "a length of time (10 minutes)"
        case bool():
            return "true or false"
        case int() | float():
            return "a number"
        case _:
            return "one text"


def _number(given: object) -> int | float | None:
    if isinstance(given, int | float) and not isinstance(given, bool):
        return given
    text = str(given).strip()
    if len(text) > _LONGEST or _NUMBER.fullmatch(text) is None:
        return None
    return float(text) if "." in text else int(text)


def _duration(text: str) -> ir.Duration | None:
    text = text.strip()
    if len(text) > _LONGEST or _LENGTH.fullmatch(text) is None:
        return None
    from ..syntax import ast, parse_value

    value, _ = parse_value(text)
    return ir.Duration(value.microseconds) if isinstance(value, ast.DurationLiteral) else None


_UNITS = (
    ("day", 86_400_000_000),
    ("hour", 3_600_000_000),
    ("minute", 60_000_000),
    ("second", 1_000_000),
    ("millisecond", 1_000),
    ("microsecond", 1),
)


def _length(microseconds: int) -> str:
    unit, size = next((u, s) for u, s in _UNITS if microseconds % s == 0)
    number = microseconds // size
    return f"{number} {unit}" + ("" if number == 1 else "s")
