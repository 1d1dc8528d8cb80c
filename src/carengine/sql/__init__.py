"""Events as tables in databases, and rules as queries over them.

``load`` makes the table that translations into SQL stand on, in DuckDB or SQLite. For other
products ``survey`` says which columns there are, ``create_statement`` and ``insert_statement`` are
the statements, and ``rows`` the rows. ``SqlHunt`` runs rules over such a table in DuckDB::

    import carengine, duckdb
    from carengine import sql

    connection = duckdb.connect("events.duckdb")
    table = sql.load(connection, "logs/")
    query = carengine.translate(rule, "duckdb", "sysmon.flat", table=table).queries[0]
    connection.execute(query.text).fetchall()

Needs ``pip install 'carengine[duckdb]'`` for DuckDB; SQLite needs nothing. What the columns hold is
said in `EventTable`.
"""

from ..languages.event_table import EventColumn, EventTable, free_name
from .hunting import QueryMatches, SqlHunt
from .loading import create_statement, insert_statement, load, rows, survey
from .regexp import register_regexp

__all__ = [
    "EventColumn",
    "EventTable",
    "QueryMatches",
    "SqlHunt",
    "create_statement",
    "free_name",
    "insert_statement",
    "load",
    "register_regexp",
    "rows",
    "survey",
]
