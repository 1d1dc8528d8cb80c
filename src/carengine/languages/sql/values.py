"""What an SQL expression is: its text, and what it gives."""

from __future__ import annotations

import enum
from typing import Any

from attrs import frozen


class Form(enum.Enum):
    """What an expression gives. A ``NUMBER`` is whole if ``SqlExpression.whole``; lists have no
    comparisons."""

    TEXT = "text"
    NUMBER = "number"
    TIME = "time"
    LIST = "list"


@frozen
class SqlExpression:
    """SQL text and the form of its values. ``constant`` is what a constant holds."""

    sql: str
    form: Form = Form.TEXT
    whole: bool = False
    constant: Any = None
    fixed: bool = False

    @property
    def null(self) -> bool:
        """Whether it is NULL for every row."""
        return self.fixed and self.constant is None


NULL = SqlExpression("NULL", fixed=True)
