"""What SQL products do differently: regular expressions, reading numbers and times, lists.

A ``SqlDialect`` is a handful of functions from SQL expressions to SQL expressions, as text; everything
else the translator writes is understood by all. ``sqlglot`` is the name of the product's grammar in
SQLGlot, which quotes names and texts, checks each query's syntax and lays it out.

Two kinds of products are told apart. Some match with RE2 (DuckDB, BigQuery, ClickHouse): there a
pattern is written as an expression and means the same to the letter. The others ignore case in
their own ways: there patterns are ``LIKE``, and a note says that letters outside ASCII may differ.
"""

from __future__ import annotations

from collections.abc import Callable

from attrs import frozen

Make = Callable[[str], str]


@frozen
class SqlDialect:
    """One product's way to say things.

    * ``found(x, e)``: whether an expression (a quoted SQL text) is found in x, ``(?…)`` flags in
      front honoured; None where the product has no regular expressions.
    * ``extract(x, e, group)``: what a group (0: all) of the first place caught; empty or null where
      there is none.
    * ``re2``: the expressions are RE2's; otherwise they are rewritten with ``boundary``, ``end``,
      ``group``.
    * ``registered``: what finds expressions is a function that the connection has to be given. It is
      asked for only where nothing else will do, and a note says so.
    * ``flags``: flags may stand in front of an expression; otherwise ``found`` sets ``i`` and ``s``
      itself.
    * ``like(x, p)``: whether a ``LIKE`` pattern matches, case ignored; ``cased_like`` the same with
      case.
    * ``number(x)``: the number a text spells, as a double, null for others; ``hexadecimal(x)`` that
      of ``0x1f``; ``size(x)``: about that number, whatever it is for other texts;
      ``equals_integer(x, n)``: a shorter way to ask whether a text spells n, above 0.
    * ``time(x)``: microseconds since 1970 of an ISO 8601 text that has been found to be one.
    * ``collect(x, order, when)``: the list of x where ``when`` holds.
      In SQLite it is JSON text.
    * ``ordered_lists`` is whether that list keeps the order.
    * ``any_of_list(json, test, kept)``: whether a test of ``list element`` is true of one of those
      elements of a JSON array that are kept: null where it is unknown of one, or none is kept.
      None where there is no such way.
    * ``rows_in_expressions``: a query without a table can give an expression names for its parts.
    * ``common_bits``: the bits that two integers have in common.
    """

    name: str
    sqlglot: str
    text: str
    double: str
    integer: str
    number: Make | None
    hexadecimal: Make | None
    time: Make
    collect: Callable[[str, str, str], str]
    size: Make | None = None
    equals_integer: Callable[[str, int], str] | None = None
    found: Callable[[str, str], str] | None = None
    extract: Callable[[str, str, int], str] | None = None
    re2: bool = False
    registered: bool = False
    boundary: str = r"\b"
    end: str = r"\z"
    group: str = "(?:"
    lazy: bool = True
    flags: bool = True
    like: Callable[[str, str], str] | None = None
    cased_like: Callable[[str, str], str] | None = None
    position: Callable[[str, str], str] = lambda haystack, needle: f"STRPOS({haystack}, {needle})"
    trim: Callable[[str, str], str] = lambda x, characters: f"TRIM(BOTH {characters} FROM {x})"
    deviation: str = "STDDEV_SAMP"
    ordered_lists: bool = True
    same: Callable[[str, str], str] = lambda a, b: f"{a} IS NOT DISTINCT FROM {b}"
    greatest: str = "GREATEST"
    union: str = " UNION "
    any_of_list: Callable[[str, str, str], str] | None = None
    rows_in_expressions: bool = False
    common_bits: Callable[[str, str], str] | None = None


_NUMBER = r"'^[\s\v]*([+-]?[0-9]{1,40}(?:\.[0-9]{1,40})?)[\s\v]*$'"
_HEX = r"'^[\s\v]*(0[xX][0-9a-fA-F]{1,32})[\s\v]*$'"
_LEAP = r"[0-9]{2}(?:0[48]|[2468][048]|[13579][26])|(?:0[48]|[2468][048]|[13579][26])00"
_CALENDAR = (
    r"(?:[0-9]{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])"
    r"|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)|02-(?:0[1-9]|1[0-9]|2[0-8]))"
    rf"|(?:{_LEAP})-02-29)"
    r"[T ](?:[01][0-9]|2[0-3]):[0-5][0-9](?::[0-5][0-9](?:\.[0-9]{1,9})?)?"
    r"(?:[zZ]|[+-](?:0[0-9]|1[0-5]):?[0-5][0-9])?"
)
_EXISTING = f"'^(?!0000){_CALENDAR}$'"
_ZONE = r"'([zZ]|[+-][0-9]{2}:?[0-9]{2})$'"


def _ilike(x: str, pattern: str) -> str:
    return f"{x} ILIKE {pattern}"


def _plain_like(x: str, pattern: str) -> str:
    return f"{x} LIKE {pattern}"


def _filtered(function: str) -> Callable[[str, str, str], str]:
    return lambda x, order, when: f"{function}({x} ORDER BY {order}) FILTER (WHERE {when})"


def _case(x: str, when: str) -> str:
    return f"CASE WHEN {when} THEN {x} END"


def _any_of_rows(rows: Callable[[str], str], some: str) -> Callable[[str, str, str], str]:
    """`any_of_list` by a query over the rows that a product makes of an array of JSON."""

    def made(json: str, test: str, kept: str) -> str:
        array = f"CASE WHEN {json} LIKE '[%' THEN {json} ELSE '[]' END"
        return (
            f"(SELECT CASE WHEN {some} THEN TRUE WHEN COUNT(*) > 0 AND COUNT(*) = COUNT(tested) "
            f"THEN FALSE END FROM (SELECT {test} AS tested FROM ({rows(array)}) AS listed "
            f"WHERE {kept}) AS tests)"
        )

    return made


def _clickhouse_any(json: str, test: str, kept: str) -> str:
    array = f"JSONExtract(COALESCE({json}, '[]'), 'Array(Nullable(String))')"
    some = f"arrayFilter(`list element` -> COALESCE({kept}, FALSE), {array})"
    tests = f"arrayMap(`list element` -> CAST({test} AS Nullable(UInt8)), {some})"
    return (
        f"CASE WHEN has({tests}, 1) THEN TRUE "
        f"WHEN length({tests}) > 0 AND NOT has({tests}, NULL) THEN FALSE END"
    )


def _spark_any(json: str, test: str, kept: str) -> str:
    array = f"FILTER(FROM_JSON({json}, 'array<string>'), `list element` -> {kept})"
    return f"CASE WHEN SIZE({array}) > 0 THEN EXISTS({array}, `list element` -> {test}) END"


DUCKDB = SqlDialect(
    "duckdb",
    "duckdb",
    "VARCHAR",
    "DOUBLE",
    "BIGINT",
    number=lambda x: f"TRY_CAST(REGEXP_EXTRACT({x}, {_NUMBER}, 1) AS DOUBLE)",
    hexadecimal=lambda x: f"CAST(TRY_CAST(REGEXP_EXTRACT({x}, {_HEX}, 1) AS UHUGEINT) AS DOUBLE)",
    size=lambda x: f"TRY_CAST({x} AS DOUBLE)",
    time=lambda x: (
        f"EPOCH_US(TRY_CAST(CASE WHEN REGEXP_MATCHES({x}, {_ZONE}) THEN {x} "
        f"ELSE {x} || 'Z' END AS TIMESTAMPTZ))"
    ),
    collect=_filtered("LIST"),
    found=lambda x, e: f"REGEXP_MATCHES({x}, {e})",
    extract=lambda x, e, group: f"REGEXP_EXTRACT({x}, {e}, {group})",
    re2=True,
    trim=lambda x, characters: f"TRIM({x}, {characters})",
    any_of_list=_any_of_rows(
        lambda array: f'SELECT UNNEST(CAST(CAST({array} AS JSON) AS VARCHAR[])) AS "list element"',
        "BOOL_OR(tested)",
    ),
    rows_in_expressions=True,
    common_bits=lambda a, b: f"({a} & {b})",
)

BIGQUERY = SqlDialect(
    "bigquery",
    "bigquery",
    "STRING",
    "FLOAT64",
    "INT64",
    number=lambda x: f"SAFE_CAST(REGEXP_EXTRACT({x}, r{_NUMBER}) AS FLOAT64)",
    hexadecimal=lambda x: f"CAST(SAFE_CAST(REGEXP_EXTRACT({x}, r{_HEX}) AS INT64) AS FLOAT64)",
    size=lambda x: f"SAFE_CAST({x} AS FLOAT64)",
    time=lambda x: f"UNIX_MICROS(SAFE_CAST({x} AS TIMESTAMP))",
    collect=lambda x, order, when: f"ARRAY_AGG({_case(x, when)} IGNORE NULLS ORDER BY {order})",
    found=lambda x, e: f"REGEXP_CONTAINS({x}, {e})",
    # One group at most is caught, and the whole where there is none.
    extract=lambda x, e, group: f"REGEXP_EXTRACT({x}, {e})",
    re2=True,
    trim=lambda x, characters: f"TRIM({x}, {characters})",
    union=" UNION DISTINCT ",
    common_bits=lambda a, b: f"({a} & {b})",
)

CLICKHOUSE = SqlDialect(
    "clickhouse",
    "clickhouse",
    "Nullable(String)",
    "Nullable(Float64)",
    "Nullable(Int64)",
    number=lambda x: (
        rf"toFloat64OrNull(extract({x}, '^[ \\t\\n\\f\\r\\v]*([+-]?[0-9]{{1,40}}(?:\\.[0-9]{{1,40}})?)"
        rf"[ \\t\\n\\f\\r\\v]*$'))"
    ),
    hexadecimal=lambda x: (
        rf"CASE WHEN match({x}, '^[ \\t\\n\\f\\r\\v]*0[xX][0-9a-fA-F]{{1,15}}[ \\t\\n\\f\\r\\v]*$') THEN "
        f"toFloat64(reinterpretAsUInt64(reverse(unhex(leftPad(extract({x}, '0[xX]([0-9a-fA-F]+)'), 16, '0'))))) "
        "END"
    ),
    size=lambda x: f"toFloat64OrNull({x})",
    # An hour 24 and a minute 61 would be counted into the next day and hour.
    time=lambda x: (
        f"CASE WHEN match({x}, '^{_CALENDAR}$') THEN "
        f"toUnixTimestamp64Micro(parseDateTime64BestEffortOrNull({x}, 6, 'UTC')) END"
    ),
    collect=lambda x, order, when: f"groupArray({_case(x, when)})",
    found=lambda x, e: f"match({x}, {e})",
    extract=lambda x, e, group: f"extract({x}, {e})",
    re2=True,
    position=lambda haystack, needle: f"POSITION({haystack}, {needle})",
    ordered_lists=False,
    deviation="stddevSamp",
    union=" UNION DISTINCT ",
    any_of_list=_clickhouse_any,
    common_bits=lambda a, b: f"bitAnd({a}, {b})",
)

POSTGRES = SqlDialect(
    "postgres",
    "postgres",
    "TEXT",
    "DOUBLE PRECISION",
    "BIGINT",
    number=lambda x: (
        f"CAST(SUBSTRING({x} FROM '^\\s*([+-]?[0-9]{{1,40}}(?:\\.[0-9]{{1,40}})?)\\s*$') "
        "AS DOUBLE PRECISION)"
    ),
    hexadecimal=lambda x: (
        f"CAST(CAST(CAST('x' || LPAD(SUBSTRING({x} FROM '^\\s*0[xX]0*([0-9a-fA-F]{{1,15}})\\s*$'), "
        "16, '0') AS BIT(64)) AS BIGINT) AS DOUBLE PRECISION)"
    ),
    # A date that does not exist stops a query here: it has to be kept from being read.
    time=lambda x: (
        f"CASE WHEN {x} ~ {_EXISTING} THEN "
        f"CAST(ROUND(EXTRACT(EPOCH FROM CAST(CASE WHEN {x} ~ {_ZONE} THEN {x} "
        f"ELSE {x} || 'Z' END AS TIMESTAMPTZ)) * 1000000) AS BIGINT) END"
    ),
    collect=_filtered("ARRAY_AGG"),
    found=lambda x, e: f"{x} ~ {e}",
    extract=lambda x, e, group: f"SUBSTRING({x} FROM {e})",
    boundary=r"\y",
    end=r"\Z",
    lazy=False,
    like=_ilike,
    cased_like=_plain_like,
    any_of_list=_any_of_rows(
        lambda array: (
            'SELECT each AS "list element" '
            f"FROM JSONB_ARRAY_ELEMENTS_TEXT(CAST({array} AS JSONB)) AS each"
        ),
        "BOOL_OR(tested)",
    ),
    rows_in_expressions=True,
    common_bits=lambda a, b: f"({a} & {b})",
)

TRINO = SqlDialect(
    "trino",
    "trino",
    "VARCHAR",
    "DOUBLE",
    "BIGINT",
    number=lambda x: f"TRY_CAST(REGEXP_EXTRACT({x}, {_NUMBER}, 1) AS DOUBLE)",
    hexadecimal=lambda x: (
        f"CAST(TRY(FROM_BASE(REGEXP_EXTRACT({x}, '^\\s*0[xX]([0-9a-fA-F]{{1,15}})\\s*$', 1), 16)) "
        "AS DOUBLE)"
    ),
    size=lambda x: f"TRY_CAST({x} AS DOUBLE)",
    time=lambda x: (
        "CAST(ROUND(TO_UNIXTIME(TRY(FROM_ISO8601_TIMESTAMP("
        f"REPLACE(CASE WHEN REGEXP_LIKE({x}, {_ZONE}) THEN {x} ELSE {x} || 'Z' END, ' ', 'T')))) "
        "* 1000000) AS BIGINT)"
    ),
    collect=_filtered("ARRAY_AGG"),
    found=lambda x, e: f"REGEXP_LIKE({x}, {e})",
    extract=lambda x, e, group: f"REGEXP_EXTRACT({x}, {e}, {group})",
    like=lambda x, p: f"LOWER({x}) LIKE LOWER({p})",
    cased_like=_plain_like,
    common_bits=lambda a, b: f"BITWISE_AND({a}, {b})",
)

SPARK = SqlDialect(
    "spark",
    "spark",
    "STRING",
    "DOUBLE",
    "BIGINT",
    number=lambda x: (
        rf"TRY_CAST(NULLIF(REGEXP_EXTRACT({x}, '^\\s*([+-]?[0-9]{{1,40}}(?:\\.[0-9]{{1,40}})?)\\s*$', 1), '') "
        "AS DOUBLE)"
    ),
    hexadecimal=lambda x: (
        rf"TRY_CAST(CONV(NULLIF(REGEXP_EXTRACT({x}, '^\\s*0[xX]([0-9a-fA-F]{{1,15}})\\s*$', 1), ''), 16, 10) "
        "AS DOUBLE)"
    ),
    size=lambda x: f"TRY_CAST({x} AS DOUBLE)",
    time=lambda x: f"UNIX_MICROS(TRY_CAST({x} AS TIMESTAMP))",
    # COLLECT_LIST has no order of its own.
    collect=lambda x, order, when: (
        "TRANSFORM(ARRAY_SORT(COLLECT_LIST("
        f"CASE WHEN {when} THEN NAMED_STRUCT('at', {order}, 'of', {x}) END)), each -> each.of)"
    ),
    found=lambda x, e: f"{x} RLIKE {e}",
    extract=lambda x, e, group: f"REGEXP_EXTRACT({x}, {e}, {group})",
    like=_ilike,
    cased_like=_plain_like,
    position=lambda haystack, needle: f"INSTR({haystack}, {needle})",
    any_of_list=_spark_any,
    common_bits=lambda a, b: f"({a} & {b})",
)

SNOWFLAKE = SqlDialect(
    "snowflake",
    "snowflake",
    "VARCHAR",
    "DOUBLE",
    "BIGINT",
    number=lambda x: (
        rf"TRY_TO_DOUBLE(REGEXP_SUBSTR({x}, '^\\s*([+-]?[0-9]{{1,40}}(\\.[0-9]{{1,40}})?)\\s*$', 1, 1, 'e', 1))"
    ),
    hexadecimal=None,
    size=lambda x: f"TRY_TO_DOUBLE({x})",
    time=lambda x: f"DATE_PART(EPOCH_MICROSECOND, TRY_TO_TIMESTAMP_TZ({x}))",
    collect=lambda x, order, when: f"ARRAY_AGG({_case(x, when)}) WITHIN GROUP (ORDER BY {order})",
    found=lambda x, e: f"REGEXP_INSTR({x}, {e}, 1, 1, 0, 'is') > 0",
    extract=lambda x, e, group: (
        f"REGEXP_SUBSTR({x}, {e}, 1, 1, 'eis', {group})"
        if group
        else f"REGEXP_SUBSTR({x}, {e}, 1, 1, 'is')"
    ),
    flags=False,
    end="$",
    group="(",
    lazy=False,
    like=_ilike,
    cased_like=_plain_like,
    position=lambda haystack, needle: f"POSITION({needle}, {haystack})",
    trim=lambda x, characters: f"TRIM({x}, {characters})",
)


def _sqlite_number(x: str) -> str:
    blanks = "' ' || CHAR(9, 10, 11, 12, 13)"
    text = f"TRIM({x}, {blanks})"
    digits = f"SUBSTR({text}, 1 + (SUBSTR({text}, 1, 1) IN ('+', '-')))"
    dot = f"INSTR({digits}, '.')"
    return (
        f"CASE WHEN {digits} GLOB '[0-9]*' AND {digits} GLOB '*[0-9]' "
        f"AND {digits} NOT GLOB '*[^0-9.]*' AND {digits} NOT GLOB '*.*.*' "
        f"AND (({dot} = 0 AND LENGTH({digits}) <= 40) "
        f"OR ({dot} BETWEEN 2 AND 41 AND LENGTH({digits}) - {dot} <= 40)) "
        f"THEN CAST({text} AS REAL) END"
    )


def _sqlite_equals(x: str, number: int) -> str:
    # CAST reads as far as it can: what it read must be all there is.
    text = f"TRIM({x}, ' ' || CHAR(9, 10, 11, 12, 13))"
    return (
        f"(CAST({text} AS REAL) = {number} AND {text} GLOB '*[0-9]' "
        f"AND NOT {text} GLOB '*[^0-9.+]*' AND NOT {text} GLOB '?*+*' "
        f"AND NOT {text} GLOB '*.*.*')"
    )


def _sqlite_time(x: str) -> str:
    # strftime knows milliseconds only: the fraction is read by itself. It counts days that a month
    # does not have into the next one, and knows an hour 24.
    day = f"SUBSTR({x}, 1, 10)"
    exists = f"DATE({day}, '+0 days') = {day} AND SUBSTR({x}, 12, 2) < '24'"
    seconds = f"CAST(STRFTIME('%s', {x}) AS INTEGER) * 1000000"
    tail = f"SUBSTR({x}, INSTR({x}, '.') + 1)"
    digits = f"SUBSTR({tail}, 1, LENGTH({tail}) - LENGTH(LTRIM({tail}, '0123456789')))"
    fraction = (
        f"CASE WHEN INSTR({x}, '.') > 0 THEN CAST(SUBSTR({digits} || '000000', 1, 6) AS INTEGER) "
        "ELSE 0 END"
    )
    return f"CASE WHEN {exists} THEN {seconds} + {fraction} END"


SQLITE = SqlDialect(
    "sqlite",
    "sqlite",
    "TEXT",
    "REAL",
    "INTEGER",
    number=_sqlite_number,
    hexadecimal=None,
    size=lambda x: f"CAST({x} AS REAL)",
    equals_integer=_sqlite_equals,
    time=_sqlite_time,
    collect=lambda x, order, when: f"JSON_GROUP_ARRAY({x}) FILTER (WHERE {when})",
    found=lambda x, e: f"{x} REGEXP {e}",
    re2=True,
    registered=True,
    position=lambda haystack, needle: f"INSTR({haystack}, {needle})",
    trim=lambda x, characters: f"TRIM({x}, {characters})",
    ordered_lists=False,
    same=lambda a, b: f"{a} IS {b}",
    greatest="MAX",
    any_of_list=_any_of_rows(
        lambda array: f'SELECT value AS "list element" FROM JSON_EACH({array})', "MAX(tested)"
    ),
    rows_in_expressions=True,
    common_bits=lambda a, b: f"({a} & {b})",
)

DIALECTS = {
    dialect.name: dialect
    for dialect in (DUCKDB, POSTGRES, SPARK, TRINO, CLICKHOUSE, BIGQUERY, SNOWFLAKE, SQLITE)
}
"""The SQL products that rules are translated for."""
