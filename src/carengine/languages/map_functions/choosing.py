"""The functions of field maps that choose between values, in other languages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ... import ir
from ...pattern import Pattern
from ...values import text_of
from ..splunk.texts import string
from ..sql.values import NULL, Form, SqlExpression
from ..two_valued import Case, Const, TwoValued, all_of, negation_of
from .spelling import (
    Cases,
    FunctionSpelling,
    Unspelled,
    refuse_arguments,
    regex,
)
from .sql_texts import text

if TYPE_CHECKING:
    from ..splunk.writer import SplunkWriter
    from ..sql.expressions import SqlWriter
    from ..two_valued.rewriter import TwoValuedRewriter


_NOT_WORKED_OUT = Unspelled("no way to write it is worked out")


# first


def _first_cases(rewriter: TwoValuedRewriter, call: ir.Call) -> list[Case]:
    made: list[Case] = []
    before: list[TwoValued] = []
    for number, argument in enumerate(call.arguments, 1):
        made += [(all_of((*before, guard)), v) for guard, v in rewriter.cases(argument)]
        if number < len(call.arguments):
            before.append(rewriter.null(argument))
    return made


def _first_sql(w: SqlWriter, call: ir.Call) -> SqlExpression:
    made = [x for x in map(w.value, call.arguments) if not x.null]
    if not made:
        return NULL
    forms = {x.form for x in made}
    if len(made) == 1:
        return made[0]
    if len(forms) == 1:
        inner = ", ".join(x.sql for x in made)
        return SqlExpression(f"COALESCE({inner})", made[0].form, all(x.whole for x in made))
    return SqlExpression(f"COALESCE({', '.join(w.text(x) for x in made)})")


def _first_spl(w: SplunkWriter, call: ir.Call) -> str:
    return f"coalesce({', '.join(map(w.value, call.arguments))})"


FIRST = FunctionSpelling("first", Cases(_first_cases), _first_sql, _first_spl, spl_compares=True)


# choose


def _choose_cases(rewriter: TwoValuedRewriter, call: ir.Call) -> list[Case]:
    value, *pairs = call.arguments
    made: list[Case] = []
    other: ir.Value = pairs[-1] if len(pairs) % 2 else ir.Constant(None)
    earlier: list[Pattern] = []
    for key, chosen in zip(pairs[::2], pairs[1::2], strict=False):
        if not isinstance(key, ir.Constant):
            rewriter.findings.refuse("a table (choose) whose keys are fields")
        pattern = Pattern.literal(text_of(key.value) or "")
        if pattern in earlier:
            continue
        # Keys are different texts: the test of one leaves the others out.
        test = rewriter.true_of(ir.Match(value, (pattern,)))
        earlier.append(pattern)
        made += [(all_of((test, guard)), v) for guard, v in rewriter.cases(chosen)]
    if other != ir.Constant(None):
        rest = rewriter.false_of(ir.Match(value, tuple(earlier)))
        made += [(all_of((rest, guard)), v) for guard, v in rewriter.cases(other)]
    return made


def _choose_sql(w: SqlWriter, call: ir.Call) -> SqlExpression:
    value, *pairs = call.arguments
    x = text(w, value)
    other = pairs[-1] if len(pairs) % 2 else None
    chosen = [w.value(v) for v in [*pairs[1::2], *([other] if other is not None else [])]]
    numbers = all(c.form is Form.NUMBER or c.null for c in chosen) and any(
        not c.null for c in chosen
    )

    def result(found: ir.Value) -> str:
        c = w.value(found)
        return c.sql if numbers or c.null else w.text(c)

    cases = []
    for key, found in zip(pairs[::2], pairs[1::2], strict=False):
        if not isinstance(key, ir.Constant):
            w.findings.refuse("a table (choose) whose keys are fields")
        name = text_of(key.value) or ""
        test = w.condition(ir.Match(value, (Pattern.literal(name),)), exact=True)
        cases.append(f"WHEN {test} THEN {result(found)}")
    last = f" ELSE {result(other)}" if other is not None else ""
    sql = f"CASE WHEN {x} IS NULL THEN NULL {' '.join(cases)}{last} END"
    if not numbers:
        sql = f"CAST({sql} AS {w.dialect.text})"
    return SqlExpression(sql, Form.NUMBER if numbers else Form.TEXT, numbers)


def _choose_spl(w: SplunkWriter, call: ir.Call) -> str:
    value, *pairs = call.arguments
    x = w.value(value)
    cases = [f"isnull({x}), null()"]
    for key, chosen in zip(pairs[::2], pairs[1::2], strict=False):
        if not isinstance(key, ir.Constant):
            w.findings.refuse("a table (choose) whose keys are fields")
        cases.append(f"lower({x})={string(str(key.value).lower())}, {w.value(chosen)}")
    if len(pairs) % 2:
        cases.append(f"true(), {w.value(pairs[-1])}")
    return f"case({', '.join(cases)})"


CHOOSE = FunctionSpelling("choose", Cases(_choose_cases), _choose_sql, _choose_spl)


# unless


def _unless_cases(rewriter: TwoValuedRewriter, call: ir.Call) -> list[Case]:
    value, *texts = call.arguments
    patterns = []
    for refused in texts:
        if not isinstance(refused, ir.Constant) or not isinstance(refused.value, str):
            refuse_arguments(rewriter.findings, call)
        patterns.append(Pattern.literal(refused.value, cased=True))
    made = []
    for guard, v in rewriter.cases(value):
        no = negation_of(rewriter.true_of(ir.Match(v, tuple(patterns))))
        made.append((all_of((guard, no)), v))
    return made


def _unless_sql(w: SqlWriter, call: ir.Call) -> SqlExpression:
    kept, *texts = (text(w, argument) for argument in call.arguments)
    for refused in texts:
        kept = f"NULLIF({kept}, {refused})"
    return SqlExpression(kept)


UNLESS = FunctionSpelling("unless", Cases(_unless_cases), _unless_sql, _NOT_WORKED_OUT)


# given


def _given_cases(rewriter: TwoValuedRewriter, call: ir.Call) -> list[Case]:
    value, then = call.arguments
    given = rewriter.there(value)
    return [(all_of((given, guard)), v) for guard, v in rewriter.cases(then)]


def _given_sql(w: SqlWriter, call: ir.Call) -> SqlExpression:
    given, result = map(w.value, call.arguments)
    sql = f"CASE WHEN {given.sql} IS NOT NULL THEN {result.sql} END"
    return SqlExpression(sql, result.form, result.whole)


GIVEN = FunctionSpelling("given", Cases(_given_cases), _given_sql, _NOT_WORKED_OUT)


# no_number


def _no_number_cases(rewriter: TwoValuedRewriter, call: ir.Call) -> list[Case]:
    number = r"^[\s\v]*[+-]?[0-9]{1,40}(?:\.[0-9]{1,40})?[\s\v]*$"
    return [
        (all_of((guard, negation_of(rewriter.true_of(regex(v, number))))), v)
        for guard, v in rewriter.cases(call.arguments[0])
    ]


def _no_number_sql(w: SqlWriter, call: ir.Call) -> SqlExpression:
    own = text(w, call.arguments[0])
    number = w.number(SqlExpression(own), ir.Type.NUMBER)
    return SqlExpression(f"CASE WHEN {number} IS NULL THEN {own} END")


NO_NUMBER = FunctionSpelling("no_number", Cases(_no_number_cases), _no_number_sql, _NOT_WORKED_OUT)


# local_time


def _local_time_cases(rewriter: TwoValuedRewriter, call: ir.Call) -> list[Case]:
    # Where the log has no such time of an event, nothing is moved.
    event = rewriter.cases(call.arguments[0])
    if all(value == ir.Constant(None) for _, value in event):
        return event
    return [(Const(True), call)]


def _local_time_sql(w: SqlWriter, call: ir.Call) -> SqlExpression:
    event = w.value(call.arguments[0])
    if event.null:
        return NULL
    if w.dialect.rows_in_expressions:
        return SqlExpression(_moved_sql(w, event.sql, *map(w.value, call.arguments[1:])))
    w.findings.differs("a time of an event that says no zone is taken as UTC")
    return event


def _moved_sql(w: SqlWriter, event: str, received: SqlExpression, arrived: SqlExpression) -> str:
    """An event's time as `carengine.localtime.in_utc` moves it; a moved one in microseconds."""
    text = w.dialect.text
    own, local, end = (w.name(n) for n in ("own time", "received time", "arrived time"))
    times = [
        f"CAST(NULL AS {w.dialect.integer})" if x.null else w.time(w.text(x))
        for x in (SqlExpression(event), received, arrived)
    ]
    whole = f"CAST(NULL AS {text})" if arrived.null else w.text(arrived)
    behind = f"({end} - COALESCE({local}, {own}))"
    moved = f"(CAST(ROUND({behind} / 900000000.0) AS {w.dialect.integer}) * 900000000)"
    zone = " OR ".join(
        f"{event} LIKE {w.literal(ending)}"
        for ending in ("%Z", "%z", "%UTC", "%GMT", "%+__:__", "%-__:__", "%+____", "%:%-____")
    )
    return (
        f"(SELECT CASE WHEN {own} IS NULL THEN NULL WHEN {end} IS NULL OR {zone} "
        f"OR ABS({moved}) > 50400000000 OR NOT {behind} - {moved} BETWEEN -1000000 AND 300000000 "
        f"THEN {event} WHEN ({own} + {moved}) % 1000000 = 0 "
        f"AND {end} - ({own} + {moved}) BETWEEN 0 AND 999999 THEN {whole} "
        f"WHEN {moved} = 0 THEN {event} ELSE CAST({own} + {moved} AS {text}) END "
        f"FROM (SELECT {times[0]} AS {own}, {times[1]} AS {local}, {times[2]} AS {end}) AS times)"
    )


LOCAL_TIME = FunctionSpelling(
    "local_time", Cases(_local_time_cases), _local_time_sql, _NOT_WORKED_OUT
)


CHOOSING = (FIRST, CHOOSE, UNLESS, GIVEN, NO_NUMBER, LOCAL_TIME)
