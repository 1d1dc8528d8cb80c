"""SQL, for DuckDB, PostgreSQL, Spark, Trino, ClickHouse, BigQuery, Snowflake and SQLite.

``plans`` tells what table is expected and how programs become queries, ``expressions`` how
conditions do, ``dialects`` what differs between
products, ``values`` what an expression gives; ``writer`` is where writing begins. SQLGlot (the extra ``carengine[sql]``) quotes, checks each query's syntax in its product's
grammar, and lays it out.
"""
