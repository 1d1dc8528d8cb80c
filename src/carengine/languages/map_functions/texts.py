"""The functions of field maps for texts, in other languages."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from attrs import evolve

from ... import ir
from ...pattern import One, Pattern
from ...regex import escape_regex, pattern_to_regex, tokens_of
from ...values import number_of, text_of
from ..splunk.texts import captured
from ..sql.values import Form, SqlExpression
from ..two_valued import Const, TwoValued, all_of, any_of, negation_of
from .spelling import (
    BLANK,
    Cut,
    FunctionSpelling,
    Preimage,
    Unspelled,
    is_any,
    refuse_arguments,
    regex,
)
from .sql_texts import extract, group_number, has_regex, of_text, text

if TYPE_CHECKING:
    from ..splunk.writer import SplunkWriter
    from ..sql.expressions import SqlWriter
    from ..two_valued.rewriter import TwoValuedRewriter


_NOT_WORKED_OUT = Unspelled("no way to write it is worked out")


# lower, upper


def _in_one_case_match(
    rewriter: TwoValuedRewriter, call: ir.Call, value: ir.Value, pattern: Pattern
) -> TwoValued:
    if pattern.cased:
        rewriter.findings.refuse(f"the case of what {call.function} gives")
    return rewriter.true_of(ir.Match(value, (pattern,)))


def _same_present(rewriter: TwoValuedRewriter, call: ir.Call, value: ir.Value) -> TwoValued:
    """The result is there where the argument is."""
    return rewriter.there(value)


def _in_one_case_regex(rewriter: TwoValuedRewriter, call: ir.Call, test: ir.Regex) -> TwoValued:
    if test.cased:
        rewriter.findings.refuse(f"a regular expression over what {call.function} gives", test.span)
    return rewriter.true_of(evolve(test, value=call.arguments[0]))


def _in_one_case_sql(w: SqlWriter, call: ir.Call) -> SqlExpression:
    return SqlExpression(f"{call.function.upper()}({text(w, call.arguments[0])})")


def _in_one_case_spl(w: SplunkWriter, call: ir.Call) -> str:
    return f"{call.function}({w.value(call.arguments[0])})"


LOWER, UPPER = (
    FunctionSpelling(
        name,
        Preimage(_in_one_case_match, _same_present, _in_one_case_regex),
        _in_one_case_sql,
        _in_one_case_spl,
        spl_compares=True,
    )
    for name in ("lower", "upper")
)


# trim


def _trim_match(
    rewriter: TwoValuedRewriter, call: ir.Call, value: ir.Value, pattern: Pattern
) -> TwoValued:
    return Cut(rf"^{BLANK}{{}}{BLANK}$", ".*", ".", "", r"[^\s\v]").matches(
        rewriter, value, pattern
    )


def _trim_present(rewriter: TwoValuedRewriter, call: ir.Call, value: ir.Value) -> TwoValued:
    return rewriter.true_of(regex(value, r"[^\s\v]"))


def _trim_sql(w: SqlWriter, x: str) -> str:
    return f"NULLIF(TRIM({x}), '')"


TRIM = FunctionSpelling(
    "trim", Preimage(_trim_match, _trim_present), of_text(_trim_sql), _NOT_WORKED_OUT
)


# unescape


_ODD_BACKSLASHES = r"(?:^|[^\\])(?:\\\\)*\\(?:[^\\]|$)"


def _unescape_match(
    rewriter: TwoValuedRewriter, call: ir.Call, value: ir.Value, pattern: Pattern
) -> TwoValued:
    plain = rewriter.true_of(ir.Match(value, (pattern,)))
    if not any(isinstance(token, str) and "\\" in token for token in tokens_of(pattern)):
        if not any(isinstance(token, One) for token in tokens_of(pattern)):
            # Runs may stand for backslashes, one or two: doubled or not, the text matches alike.
            return plain
        rewriter.findings.refuse("a pattern with ? over a field whose backslashes may be doubled")
    if any(isinstance(token, One) for token in tokens_of(pattern)):
        rewriter.findings.refuse("a pattern with ? over a field whose backslashes may be doubled")
    doubled = all_of(
        (
            rewriter.true_of(ir.Match(value, (Pattern("*\\\\*"),))),
            negation_of(rewriter.true_of(regex(value, _ODD_BACKSLASHES))),
        )
    )
    twice = Pattern(pattern.text.replace("\\", "\\\\"), pattern.cased)
    matched = rewriter.true_of(ir.Match(value, (twice,)))
    return any_of((all_of((doubled, matched)), all_of((negation_of(doubled), plain))))


def _unescape_sql(w: SqlWriter, x: str) -> str:
    if not has_regex(w):
        w.findings.refuse("the function unescape of field maps")
    odd = w.found(x, r"(?:^|[^\\])(?:\\\\)*\\(?:[^\\]|$)")
    two, one = w.literal("\\\\"), w.literal("\\")
    return f"CASE WHEN {odd} THEN {x} ELSE REPLACE({x}, {two}, {one}) END"


def _unescape_operand(call: ir.Call, atom: ir.Compare | ir.Occurs) -> ir.Value | None:
    match atom:
        case ir.Compare(_, _, right, type_) if type_ in (
            ir.Type.INTEGER,
            ir.Type.NUMBER,
            ir.Type.TIME,
            ir.Type.DURATION,
        ) or (isinstance(right, ir.Constant) and number_of(right.value) is not None):
            # Nothing that is a number has a backslash to undo.
            return call.arguments[0]
        case _:
            return None


UNESCAPE = FunctionSpelling(
    "unescape",
    Preimage(_unescape_match, _same_present),
    of_text(_unescape_sql),
    _NOT_WORKED_OUT,
    operand=_unescape_operand,
)


# concat


def _concat_present(rewriter: TwoValuedRewriter, call: ir.Call, value: ir.Value) -> TwoValued:
    return all_of(rewriter.there(argument) for argument in call.arguments)


def _concat_sql(w: SqlWriter, call: ir.Call) -> SqlExpression:
    return SqlExpression("(" + " || ".join(text(w, a) for a in call.arguments) + ")")


CONCAT = FunctionSpelling(
    "concat",
    Preimage(Unspelled("a text could come of its parts in many ways"), _concat_present),
    _concat_sql,
    _NOT_WORKED_OUT,
)


# hash


def _hash_around(rewriter: TwoValuedRewriter, call: ir.Call) -> str:
    algorithm = call.arguments[1] if len(call.arguments) > 1 else None
    if not isinstance(algorithm, ir.Constant) or not isinstance(algorithm.value, str):
        rewriter.findings.refuse("a hash whose algorithm is a field")
    rewriter.findings.differs("a list of hashes that holds one algorithm twice is searched whole")
    return rf"(?:^|,){BLANK}{escape_regex(algorithm.value)}{BLANK}={BLANK}{{}}"


def _hash_match(
    rewriter: TwoValuedRewriter, call: ir.Call, value: ir.Value, pattern: Pattern
) -> TwoValued:
    around = _hash_around(rewriter, call) + rf"{BLANK}(?:,|$)"
    empty = _hash_around(rewriter, call).replace("{}", r"[^,\s]")
    cut = Cut(around, "[^,]*", "[^,]", ",", empty)
    if pattern.cased:
        rewriter.findings.refuse("a hash whose case is heeded")
    return cut.matches(rewriter, value, pattern)


def _hash_present(rewriter: TwoValuedRewriter, call: ir.Call, value: ir.Value) -> TwoValued:
    return rewriter.true_of(regex(value, _hash_around(rewriter, call).replace("{}", r"[^,\s]")))


def _hash_sql(w: SqlWriter, call: ir.Call) -> SqlExpression:
    match call.arguments:
        case (value, ir.Constant(str() as algorithm)):
            return _hash_in_sql(w, text(w, value), algorithm)
        case _:
            refuse_arguments(w.findings, call)


def _hash_in_sql(w: SqlWriter, x: str, algorithm: str) -> SqlExpression:
    if not has_regex(w):
        w.findings.differs("a list of hashes is read without blanks in it")
        mark = f",{algorithm.upper()}="
        start = f"INSTR(UPPER(',' || {x}), {w.literal(mark)})"
        rest = f"SUBSTR({x}, {start} + {len(mark) - 1})"
        value = f"SUBSTR({rest}, 1, INSTR({rest} || ',', ',') - 1)"
        return SqlExpression(f"CASE WHEN {start} > 0 THEN NULLIF(TRIM({value}), '') END")
    blank = r"[ \t\n\r\f]*"
    found = extract(
        w, x, rf"(?i)(?:^|,){blank}{escape_regex(algorithm)}{blank}=([^,]*)", group_number(w, 1)
    )
    return SqlExpression(f"NULLIF(TRIM({found}), '')")


def _hash_spl(w: SplunkWriter, call: ir.Call) -> str:
    match call.arguments:
        case (value, ir.Constant(str() as algorithm)):
            name = re.escape(algorithm)
            whole = rf"(?is)^(?:.*?,)?\s*{name}\s*=\s*([^,]*?)\s*(?:,.*)?$"
            return captured(w.value(value), whole)
        case _:
            refuse_arguments(w.findings, call)


HASH = FunctionSpelling("hash", Preimage(_hash_match, _hash_present), _hash_sql, _hash_spl)


# labelled


def _label_around(rewriter: TwoValuedRewriter, call: ir.Call, body: str) -> str:
    label = call.arguments[1]
    if not isinstance(label, ir.Constant) or not isinstance(label.value, str):
        rewriter.findings.refuse("a labelled line whose label is a field")
    rewriter.findings.differs(
        f"a message in which several lines begin with {label.value}: is searched whole"
    )
    return rf"^[ \t]*{escape_regex(label.value)}:[ \t]*{body}"


def _labelled_match(
    rewriter: TwoValuedRewriter, call: ir.Call, value: ir.Value, pattern: Pattern
) -> TwoValued:
    if any(
        isinstance(token, str) and ("\r" in token or "\n" in token) for token in tokens_of(pattern)
    ):
        return Const(False)
    if not tokens_of(pattern):
        return Const(False)
    if is_any(pattern):
        return _labelled_present(rewriter, call, value)
    body = pattern_to_regex(pattern, run=r"[^\r\n]*", one=r"[^\r\n]") + r"[ \t]*\r?$"
    # The label itself is looked for with case only where the whole expression is.
    expression = _label_around(rewriter, call, body)
    return rewriter.true_of(regex(value, expression, cased=pattern.cased, multiline=True))


def _labelled_present(rewriter: TwoValuedRewriter, call: ir.Call, value: ir.Value) -> TwoValued:
    return rewriter.true_of(
        regex(value, _label_around(rewriter, call, "[^ \\t\\r\\n]"), multiline=True)
    )


def _labelled_sql(w: SqlWriter, call: ir.Call) -> SqlExpression:
    match call.arguments:
        case (value, ir.Constant(str() as label)):
            return _labelled_in_sql(w, text(w, value), label)
        case _:
            refuse_arguments(w.findings, call)


def _labelled_in_sql(w: SqlWriter, x: str, label: str) -> SqlExpression:
    if not has_regex(w):
        w.findings.differs(
            f"the label {label}: stands at the very start of its line, not behind blanks"
        )
        mark = f"CHAR(10) || {w.literal(label + ':')}"
        start = f"INSTR(CHAR(10) || {x}, {mark})"
        rest = f"SUBSTR({x}, {start} + {len(label) + 1})"
        line = f"SUBSTR({rest}, 1, INSTR({rest} || CHAR(10), CHAR(10)) - 1)"
        value = f"TRIM({line}, ' ' || CHAR(9, 13))"
        return SqlExpression(f"CASE WHEN {start} > 0 THEN NULLIF({value}, '') END")
    body = rf"(?:^|\n)[ \t]*{escape_regex(label)}:[ \t]*([^\r\n]*)\r?(?:\n|$)"
    found = extract(w, x, body, group_number(w, 1))
    return SqlExpression(f"NULLIF(TRIM({found}), '')")


LABELLED = FunctionSpelling(
    "labelled", Preimage(_labelled_match, _labelled_present), _labelled_sql, _NOT_WORKED_OUT
)


# part


def _part_sql(w: SqlWriter, call: ir.Call) -> SqlExpression:
    x, index = text(w, call.arguments[0]), call.arguments[2:]
    separator = call.arguments[1].value if isinstance(call.arguments[1], ir.Constant) else None
    mark = text_of(separator)
    place: object = 0
    if index:
        place = number_of(index[0].value) if isinstance(index[0], ir.Constant) else None
    if mark is None or len(mark) != 1 or not isinstance(place, int) or not has_regex(w):
        refuse_arguments(w.findings, call)
    one = escape_regex(mark)
    if place >= 0:
        body = rf"^(?:[^{one}]*{one}){{{place}}}([^{one}]*)"
    else:
        body = rf"([^{one}]*)(?:{one}[^{one}]*){{{-place - 1}}}$"
    group = group_number(w, 1) if place >= 0 else 1
    found = extract(w, x, body, group, empty=True)
    return SqlExpression(f"CASE WHEN {w.found(x, body)} THEN COALESCE({found}, '') END")


PART = FunctionSpelling("part", _NOT_WORKED_OUT, _part_sql, _NOT_WORKED_OUT)


# integer


def _integer_sql(w: SqlWriter, call: ir.Call) -> SqlExpression:
    return SqlExpression(w.number(w.value(call.arguments[0]), ir.Type.INTEGER), Form.NUMBER)


def _integer_operand(call: ir.Call, atom: ir.Compare | ir.Occurs) -> ir.Value | None:
    """A text is compared as the number that it spells."""
    return call.arguments[0]


INTEGER = FunctionSpelling(
    "integer", _NOT_WORKED_OUT, _integer_sql, _NOT_WORKED_OUT, operand=_integer_operand
)

# has_bits


def _has_bits_sql(w: SqlWriter, call: ir.Call) -> SqlExpression:
    value, mask = call.arguments
    bits = number_of(mask.value, hexadecimal=True) if isinstance(mask, ir.Constant) else None
    if w.dialect.common_bits is None or not isinstance(bits, int) or not 0 <= bits < 2**53:
        refuse_arguments(w.findings, call)
    own = text(w, value)
    number = w.number(SqlExpression(own), ir.Type.INTEGER)
    # A double holds no more bits, and a product stops at an integer that it cannot hold.
    w.findings.differs("the bits of numbers from 2^53 on are not looked at")
    whole = f"{w.dialect.position(own, w.literal('.'))} = 0 AND ABS({number}) < 9007199254740992"
    integer = f"CAST({number} AS {w.dialect.integer})"
    some = f"{w.dialect.common_bits(integer, str(bits))} <> 0"
    return SqlExpression(
        f"CASE WHEN {whole} THEN CASE WHEN {some} THEN 'true' ELSE 'false' END END"
    )


HAS_BITS = FunctionSpelling("has_bits", _NOT_WORKED_OUT, _has_bits_sql, _NOT_WORKED_OUT)


TEXTS = (LOWER, UPPER, TRIM, UNESCAPE, CONCAT, HASH, LABELLED, PART, INTEGER, HAS_BITS)
