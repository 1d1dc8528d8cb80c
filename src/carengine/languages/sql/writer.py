"""Queries in SQL: one for each output of a rule."""

from __future__ import annotations

from ... import ir
from ...diagnostics import CarError, Diagnostic, codes
from ..lowered import Log
from ..translation import Findings, Query
from .dialects import DIALECTS
from .plans import SqlPlans

TABLE = "events"


def query(output: ir.Output, log: Log, target: str, findings: Findings) -> Query:
    """The SQL query of an output, for the product that the target names."""
    try:
        import sqlglot
    except ImportError:
        message = "SQL needs the package sqlglot: pip install 'carengine[sql]'"
        raise CarError([Diagnostic(codes.MISSING_LIBRARY, message, origin=target)]) from None
    dialect = DIALECTS[target]
    made = SqlPlans(dialect, findings, log, log.table.name if log.table else TABLE).query(output)
    if not log.checked:
        return made
    tree = sqlglot.parse_one(made.text, read=dialect.sqlglot)
    return Query(made.output, tree.sql(dialect=dialect.sqlglot, pretty=True), made.fields)


def text_of(queries: tuple[Query, ...]) -> str:
    """All queries of a rule, each under its output's name."""
    return "\n".join(f"-- {made.output}\n{made.text};\n" for made in queries)
