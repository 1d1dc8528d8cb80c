"""The columns of the table of events: what they are called, and what is beside them.

Without an `EventTable` each raw field is one column of texts, and a list in it cannot be told from
nothing, which a note says. With one, nulls, lists and mappings lie in columns of their own.
"""

from __future__ import annotations

from functools import lru_cache

from attrs import define, field

from ... import ir
from ...fieldmap import FieldMap
from ..event_table import EventColumn, distinct_names, free_name
from ..lowered import Log, column_name, raw_names
from ..translation import PRESENCE, Findings
from .dialects import SqlDialect
from .values import NULL, SqlExpression

TEXTS = (
    "a list or a mapping counts as missing, and a number as the text in its column (445, not 445.0 "
    "or 4.45e2); a table of carengine.sql.load, and a query for it, tell them apart"
)
NUMBERS = (
    "a number that is written with an exponent (1e+22) or with more than 40 digits is compared as "
    "text"
)


@define
class EventColumns:
    """What a query over events reads. ``read`` collects the names of the columns."""

    dialect: SqlDialect
    findings: Findings
    log: Log
    read: set[str] = field(factory=set)

    def texts(self, leaf: ir.Raw) -> SqlExpression:
        """The texts of a raw field; null where they are what the log writes for nothing."""
        if self.log.table is None:
            self.findings.differs(TEXTS)
            sql = self._read(self._spelled(column_name(leaf.path)))
        else:
            column = self.log.table.column(leaf.path)
            if column is None:
                return NULL
            if column.unread_numbers:
                self.findings.differs(f"{column_name(leaf.path)}: {NUMBERS}")
            if column.texts is None:
                return SqlExpression(f"CAST(NULL AS {self.dialect.text})")
            sql = self._read(column.texts)
        for text in leaf.empty:
            sql = f"NULLIF({sql}, {self._literal(text)})"
        return SqlExpression(sql)

    def lists(self, leaf: ir.Raw) -> str | None:
        """The column of a raw field's lists and mappings, if it has any."""
        column = self._column(leaf)
        if column is None or not column.lists or column.structures is None:
            return None
        return self._read(column.structures)

    def is_there(self, leaf: ir.Raw) -> SqlExpression:
        """What is not NULL where an event has a raw field, whatever its value."""
        column = self._column(leaf)
        if column is None:
            self.findings.differs(PRESENCE)
            return self.texts(leaf)
        names = [name for name in (column.texts, column.structures) if name is not None]
        parts = [self._read(name) for name in names]
        return SqlExpression(parts[0] if len(parts) == 1 else f"COALESCE({', '.join(parts)})")

    def raw(self) -> str:
        """The text of the event."""
        if self.log.table is not None and not self.log.table.raw:
            self.findings.refuse("the raw text of events over a table that was loaded without it")
        return self._read("raw")

    def name_of(self, leaf: ir.Raw) -> str:
        """A raw field as notes call it."""
        return column_name(leaf.path)

    def _column(self, leaf: ir.Raw) -> EventColumn | None:
        return None if self.log.table is None else self.log.table.column(leaf.path)

    def _spelled(self, name: str) -> str:
        """The column's name where no table says it: none differs from another in case only."""
        known = _names_of_map(self.log.fieldmap)
        if name in known:
            return known[name]
        own = self.findings.columns
        if name not in own:
            own[name] = free_name(name, {n.lower() for n in (*known.values(), *own.values())})
        return own[name]

    def _read(self, name: str) -> str:
        from sqlglot import exp

        self.read.add(name)
        return exp.to_identifier(name, quoted=True).sql(dialect=self.dialect.sqlglot)

    def _literal(self, text: str) -> str:
        from sqlglot import exp

        return exp.Literal.string(text).sql(dialect=self.dialect.sqlglot)


@lru_cache(maxsize=16)
def _names_of_map(fieldmap: FieldMap) -> dict[str, str]:
    return distinct_names(raw_names(fieldmap), ("raw", "event_id"))
