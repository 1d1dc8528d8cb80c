"""The operator ``REGEXP`` of SQLite, with RE2's expressions.

SQLite has the operator, and leaves its meaning to whoever has a connection
(https://www.sqlite.org/lang_expr.html#regexp).
"""

from __future__ import annotations

import sqlite3
from functools import lru_cache
from typing import Any

import re2

from ..evaluate import searchable

_EXPRESSIONS = 512


def register_regexp(connection: sqlite3.Connection) -> None:
    """Give a connection the function that translations for SQLite ask for regular expressions.

    ``x REGEXP e`` is then whether RE2 finds the expression in a text, and null where there is none.
    `carengine.sql.load` does it by itself. Raises what ``sqlite3`` raises for a connection that is
    closed; a query fails with ``sqlite3.OperationalError`` where an expression is none of RE2's.

    >>> import sqlite3
    >>> connection = sqlite3.connect(":memory:")
    >>> register_regexp(connection)
    >>> query = "SELECT 'C:/A.EXE' REGEXP '(?i)[a-z][.]exe$', NULL REGEXP 'a'"
    >>> connection.execute(query).fetchone()
    (1, None)
    """
    connection.create_function("REGEXP", 2, _found, deterministic=True)


def _found(expression: str | None, text: Any) -> bool | None:
    if expression is None or text is None:
        return None
    found: bool = _compiled(expression).search(searchable(str(text)).encode()) is not None
    return found


@lru_cache(maxsize=_EXPRESSIONS)
def _compiled(expression: str) -> Any:
    options = re2.Options()
    options.log_errors = False
    options.never_capture = True
    return re2.compile(expression.encode(), options)
