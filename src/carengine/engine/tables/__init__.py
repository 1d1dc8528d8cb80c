"""Tables of Arrow: their rows as events, and matches as a table.

Whatever has the Arrow PyCapsule stream (``__arrow_c_stream__``: pyarrow, polars, pandas, relations of
DuckDB) can be hunted in, through ``pyarrow``, the one package this needs. A table with one column of
text holds JSON, an event a row; of any other table a row is an event, and its columns the fields.

==========================================  =====================================================
Arrow                                       in the event
==========================================  =====================================================
null, NaN                                   the field is left out
text, numbers, booleans                     themselves; bytes in text that are no UTF-8 as ``\\xNN``
timestamp                                   ISO 8601 in UTC; without a zone it is UTC already;
                                            nanoseconds are cut to microseconds
date, time                                  ISO 8601
duration                                    seconds
decimal                                     a number; text where no float holds it
binary                                      text in UTF-8, other bytes as ``\\xNN``
struct                                      a mapping; members that are null are left out
map                                         a mapping; keys are texts, and values that are null stay
list of any kind                            a list; items that are null stay
dictionary, run-end encoded, extension      the values that it stands for; a UUID as its text
==========================================  =====================================================

Arrow does not tell a field that is missing from one that is null: both are missing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...ondemand import names_on_demand

if TYPE_CHECKING:
    from .columns import column_values
    from .feeding import TableRows, batch_events, feed_batch, feed_table, json_column
    from .match_table import MatchTable, match_rows, match_schema
else:
    __getattr__ = names_on_demand(
        globals(),
        columns="column_values",
        feeding="TableRows batch_events feed_batch feed_table json_column",
        match_table="MatchTable match_rows match_schema",
    )

__all__ = [
    "MatchTable",
    "TableRows",
    "batch_events",
    "column_values",
    "feed_batch",
    "feed_table",
    "json_column",
    "match_rows",
    "match_schema",
]
