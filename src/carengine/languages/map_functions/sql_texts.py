"""What the SQL spellings of functions share: taking a part out of a text.

With regular expressions that is one call (``basename`` is ``[^\\/]*$``); SQLite, which has none, takes
texts apart with ``RTRIM`` and ``INSTR``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ... import ir
from ..sql.values import SqlExpression

if TYPE_CHECKING:
    from ..sql.expressions import SqlWriter


def has_regex(w: SqlWriter) -> bool:
    """Whether the product takes a part out of a text by a regular expression."""
    return w.dialect.extract is not None


def text(w: SqlWriter, value: ir.Value) -> str:
    """A value as SQL text."""
    return w.text(w.value(value))


def extract(w: SqlWriter, x: str, expression: str, group: int = 0, *, empty: bool = False) -> str:
    """What an expression (of ours, see ``SqlWriter.own``) takes out of x; null where that is nothing.

    ``empty`` keeps an empty text, which the caller has made sure of.
    """
    d = w.dialect
    assert d.extract is not None
    part = d.extract(x, w.literal(w.own(expression)), group)
    return part if empty else f"NULLIF({part}, '')"


def group_number(w: SqlWriter, number: int) -> int:
    """The number of a group where the dialect counts the ones before it as well."""
    return number if w.dialect.group == "(?:" else number + 1


def of_text(
    write: Callable[[SqlWriter, str], str],
) -> Callable[[SqlWriter, ir.Call], SqlExpression]:
    """The SQL spelling of a function of one text, from how the text becomes another."""
    return lambda w, call: SqlExpression(write(w, text(w, call.arguments[0])))
