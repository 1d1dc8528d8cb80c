"""The functions of field maps that take paths apart, in other languages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ... import ir
from ...pattern import Any, One, Pattern
from ...regex import escape_regex, tokens_of
from ..splunk.texts import captured, removed
from ..two_valued import Const, TwoValued, all_of, any_of, negation_of
from .spelling import (
    Cut,
    FunctionSpelling,
    Preimage,
    is_literal,
    regex,
    suffix_of,
)
from .sql_texts import extract, has_regex, of_text

if TYPE_CHECKING:
    from ..splunk.writer import SplunkWriter
    from ..sql.expressions import SqlWriter
    from ..two_valued.rewriter import TwoValuedRewriter


# basename


_BASENAME = Cut(r"(?:^|[\\/]){}$", r"[^\\/]*", r"[^\\/]", "\\/", r"[^\\/]$")


def _basename_match(
    rewriter: TwoValuedRewriter, call: ir.Call, value: ir.Value, pattern: Pattern
) -> TwoValued:
    suffix = suffix_of(pattern)
    if suffix is not None and set(suffix).isdisjoint("\\/"):
        return rewriter.true_of(ir.Match(value, (pattern,)))
    if is_literal(pattern) and tokens_of(pattern):
        [name] = tokens_of(pattern)
        assert isinstance(name, str)
        if not set(name).isdisjoint("\\/"):
            return Const(False)
        ways = tuple(Pattern(before + pattern.text, pattern.cased) for before in ("*\\", "*/", ""))
        return rewriter.true_of(ir.Match(value, ways))
    return _BASENAME.matches(rewriter, value, pattern)


def _basename_present(rewriter: TwoValuedRewriter, call: ir.Call, value: ir.Value) -> TwoValued:
    ends: tuple[Pattern, ...] = (Pattern("*\\"), Pattern("*/"))
    if not (isinstance(value, ir.Raw) and "" in value.empty):
        ends = (*ends, Pattern(""))
    return all_of((rewriter.there(value), negation_of(rewriter.true_of(ir.Match(value, ends)))))


def _separated_sql(w: SqlWriter, x: str) -> str:
    """SQLite: the text with both separators out, as the set of its other characters."""
    return f"REPLACE(REPLACE({x}, {w.literal(chr(92))}, ''), '/', '')"


def _folder_of_sql(w: SqlWriter, x: str) -> str:
    """SQLite: a path up to and with its last separator."""
    return f"RTRIM({x}, {_separated_sql(w, x)})"


def _basename_sql(w: SqlWriter, x: str) -> str:
    if not has_regex(w):
        return f"NULLIF(SUBSTR({x}, LENGTH({_folder_of_sql(w, x)}) + 1), '')"
    return extract(w, x, r"[^\\/]*$")


def _basename_spl(w: SplunkWriter, call: ir.Call) -> str:
    return removed(w.value(call.arguments[0]), r"(?s)^.*[\\/]")


BASENAME = FunctionSpelling(
    "basename",
    Preimage(_basename_match, _basename_present),
    of_text(_basename_sql),
    _basename_spl,
    spl_compares=True,
)


# value_name


_VALUE_NAME = Cut(r"(?:^|\\){}$", r"[^\\]*", r"[^\\]", "\\", r"[^\\]$")


def _value_name_match(
    rewriter: TwoValuedRewriter, call: ir.Call, value: ir.Value, pattern: Pattern
) -> TwoValued:
    suffix = suffix_of(pattern)
    if suffix is not None and "\\" not in suffix:
        return rewriter.true_of(ir.Match(value, (pattern,)))
    if is_literal(pattern) and tokens_of(pattern):
        [name] = tokens_of(pattern)
        assert isinstance(name, str)
        if "\\" in name:
            return Const(False)
        ways = tuple(Pattern(before + pattern.text, pattern.cased) for before in ("*\\", ""))
        return rewriter.true_of(ir.Match(value, ways))
    return _VALUE_NAME.matches(rewriter, value, pattern)


def _value_name_present(rewriter: TwoValuedRewriter, call: ir.Call, value: ir.Value) -> TwoValued:
    ends: tuple[Pattern, ...] = (Pattern("*\\"),)
    if not (isinstance(value, ir.Raw) and "" in value.empty):
        ends = (*ends, Pattern(""))
    return all_of((rewriter.there(value), negation_of(rewriter.true_of(ir.Match(value, ends)))))


def _value_name_sql(w: SqlWriter, x: str) -> str:
    if not has_regex(w):
        backslash = w.literal("\\")
        others = f"REPLACE({x}, {backslash}, '')"
        return f"NULLIF(SUBSTR({x}, LENGTH(RTRIM({x}, {others})) + 1), '')"
    return extract(w, x, r"[^\\]*$")


def _value_name_spl(w: SplunkWriter, call: ir.Call) -> str:
    return removed(w.value(call.arguments[0]), r"(?s)^.*\\")


VALUE_NAME = FunctionSpelling(
    "value_name",
    Preimage(_value_name_match, _value_name_present),
    of_text(_value_name_sql),
    _value_name_spl,
    spl_compares=True,
)


# dirname


_DIRNAME = Cut(r"^{}[\\/][^\\/]*$", ".*", ".", "", r"^.+[\\/][^\\/]*$")


def _dirname_match(
    rewriter: TwoValuedRewriter, call: ir.Call, value: ir.Value, pattern: Pattern
) -> TwoValued:
    return _DIRNAME.matches(rewriter, value, pattern)


def _dirname_present(rewriter: TwoValuedRewriter, call: ir.Call, value: ir.Value) -> TwoValued:
    return rewriter.true_of(regex(value, _DIRNAME.present))


def _dirname_sql(w: SqlWriter, x: str) -> str:
    if not has_regex(w):
        folder = _folder_of_sql(w, x)
        return f"NULLIF(SUBSTR({folder}, 1, LENGTH({folder}) - 1), '')"
    return extract(w, x, r"(?s)^(.*)[\\/]", 1)


def _dirname_spl(w: SplunkWriter, call: ir.Call) -> str:
    return captured(w.value(call.arguments[0]), r"(?s)^(.*)[\\/][^\\/]*$")


DIRNAME = FunctionSpelling(
    "dirname", Preimage(_dirname_match, _dirname_present), of_text(_dirname_sql), _dirname_spl
)


# extension


def _extension_match(
    rewriter: TwoValuedRewriter, call: ir.Call, value: ir.Value, pattern: Pattern
) -> TwoValued:
    """The extension begins with its dot and has no other."""
    tokens = list(tokens_of(pattern))
    ways: list[list[object]] = []
    match tokens:
        case [str() as head, *rest] if head.startswith("."):
            ways.append([head[1:], *rest])
        case [One(), *rest]:
            ways.append(list(rest))
        case [Any(), str() as head, *rest] if head.startswith("."):
            ways += [[head[1:], *rest], [Any(), head, *rest]]
        case [Any(), *rest]:
            ways += [[Any(), *rest]]
        case _:
            pass
    made = []
    for way in ways:
        texts = [token for token in way if isinstance(token, str)]
        if any(not set(text).isdisjoint(".\\/") for text in texts):
            continue
        if all(isinstance(token, str) for token in way):
            exact = Pattern("*" + Pattern.literal("." + "".join(texts)).text, pattern.cased)
            made.append(rewriter.true_of(ir.Match(value, (exact,))))
            continue
        inside = "".join(
            escape_regex(t)
            if isinstance(t, str)
            else r"[^.\\/]" + ("*" if isinstance(t, Any) else "")
            for t in way
        )
        made.append(rewriter.true_of(regex(value, rf"\.{inside}$", cased=pattern.cased)))
    return any_of(made)


def _extension_present(rewriter: TwoValuedRewriter, call: ir.Call, value: ir.Value) -> TwoValued:
    return rewriter.true_of(regex(value, r"\.[^.\\/]*$"))


def _extension_sql(w: SqlWriter, x: str) -> str:
    if not has_regex(w):
        name = _basename_sql(w, x)
        stem = f"RTRIM({name}, REPLACE({name}, '.', ''))"
        return f"CASE WHEN {stem} <> '' THEN SUBSTR({name}, LENGTH({stem})) END"
    return extract(w, x, r"(\.[^.\\/]*)$", 1)


def _extension_spl(w: SplunkWriter, call: ir.Call) -> str:
    return captured(w.value(call.arguments[0]), r"(?s)^.*([.][^.\\/]*)$")


EXTENSION = FunctionSpelling(
    "extension",
    Preimage(_extension_match, _extension_present),
    of_text(_extension_sql),
    _extension_spl,
)


PATHS = (BASENAME, DIRNAME, EXTENSION, VALUE_NAME)
