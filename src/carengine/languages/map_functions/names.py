"""The functions of field maps for names of accounts, hosts and things, in other languages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import evolve

from ... import ir
from ...pattern import Any, Pattern
from ...regex import pattern_to_regex, tokens_of
from ..splunk.texts import captured, removed, string
from ..sql.values import SqlExpression
from ..two_valued import Const, TwoValued, all_of, any_of, negation_of
from .spelling import (
    BLANK,
    Cut,
    FunctionSpelling,
    Preimage,
    is_any,
    is_literal,
    refuse_arguments,
    regex,
    suffix_of,
)
from .sql_texts import extract, has_regex, of_text, text
from .wildcard_parts import matches_signs, splits

if TYPE_CHECKING:
    from ..splunk.writer import SplunkWriter
    from ..sql.expressions import SqlWriter
    from ..two_valued.rewriter import TwoValuedRewriter


# domain_of


_DOMAIN = Cut(r"^{}\\", r"[^\\]*", r"[^\\]", "\\", r"^[^\\]+\\")


def _domain_of_match(
    rewriter: TwoValuedRewriter, call: ir.Call, value: ir.Value, pattern: Pattern
) -> TwoValued:
    if is_literal(pattern) and tokens_of(pattern) and "\\" not in pattern.text:
        return rewriter.true_of(ir.Match(value, (Pattern(pattern.text + "\\*", pattern.cased),)))
    return _DOMAIN.matches(rewriter, value, pattern)


def _domain_of_present(rewriter: TwoValuedRewriter, call: ir.Call, value: ir.Value) -> TwoValued:
    return rewriter.true_of(regex(value, _DOMAIN.present))


def _domain_of_sql(w: SqlWriter, x: str) -> str:
    if not has_regex(w):
        slash = f"INSTR({x}, {w.literal(chr(92))})"
        return f"CASE WHEN {slash} > 1 THEN SUBSTR({x}, 1, {slash} - 1) END"
    return extract(w, x, r"^([^\\]+)\\", 1)


def _domain_of_spl(w: SplunkWriter, call: ir.Call) -> str:
    return captured(w.value(call.arguments[0]), r"(?s)^([^\\]+)\\.*$")


DOMAIN_OF = FunctionSpelling(
    "domain_of",
    Preimage(_domain_of_match, _domain_of_present),
    of_text(_domain_of_sql),
    _domain_of_spl,
)


# user_of


def _user_of_match(
    rewriter: TwoValuedRewriter, call: ir.Call, value: ir.Value, pattern: Pattern
) -> TwoValued:
    if not tokens_of(pattern):
        return Const(False)
    if is_any(pattern):
        return _user_of_present(rewriter, call, value)
    with_domain = pattern_to_regex(pattern)
    alone = pattern_to_regex(pattern, run=r"[^\\]*", one=r"[^\\]")
    made = [rewriter.true_of(regex(value, rf"^[^\\]*\\{with_domain}$", cased=pattern.cased))]
    if not any(isinstance(token, str) and "\\" in token for token in tokens_of(pattern)):
        made.append(rewriter.true_of(regex(value, f"^{alone}$", cased=pattern.cased)))
    return any_of(made)


def _user_of_present(rewriter: TwoValuedRewriter, call: ir.Call, value: ir.Value) -> TwoValued:
    empty = ir.Match(value, (Pattern(""),))
    slash = ir.Match(value, (Pattern("*\\"),))
    only = regex(value, r"^[^\\]*\\$")
    return all_of(
        (
            rewriter.there(value),
            negation_of(rewriter.true_of(empty)),
            negation_of(all_of((rewriter.true_of(slash), rewriter.true_of(only)))),
        )
    )


def _user_of_sql(w: SqlWriter, x: str) -> str:
    if not has_regex(w):
        return f"NULLIF(SUBSTR({x}, INSTR({x}, {w.literal(chr(92))}) + 1), '')"
    return (
        f"CASE WHEN {w.found(x, chr(92) * 2)} THEN "
        f"{extract(w, x, r'(?s)^[^' + chr(92) * 2 + r']*' + chr(92) * 2 + r'(.*)$', 1)} "
        f"ELSE NULLIF({x}, '') END"
    )


def _user_of_spl(w: SplunkWriter, call: ir.Call) -> str:
    return removed(w.value(call.arguments[0]), r"^[^\\]*\\")


USER_OF = FunctionSpelling(
    "user_of", Preimage(_user_of_match, _user_of_present), of_text(_user_of_sql), _user_of_spl
)


# account


def _account_match(
    rewriter: TwoValuedRewriter, call: ir.Call, value: ir.Value, pattern: Pattern
) -> TwoValued:
    if len(call.arguments) != 2:
        rewriter.findings.refuse("the function account of field maps with one argument")
    domain, user = call.arguments
    if not tokens_of(pattern):
        return Const(False)
    if is_any(pattern):
        return _account_present(rewriter, call, value)
    suffix = suffix_of(pattern)
    if suffix is not None and "\\" not in suffix:
        return rewriter.true_of(ir.Match(user, (pattern,)))
    nameless = rewriter.true_of(ir.Match(domain, (Pattern(""),)))
    unknown = any_of((rewriter.null(domain), nameless))
    made = [all_of((unknown, rewriter.true_of(ir.Match(user, (pattern,)))))]
    for before, after in splits(rewriter, call, pattern, "\\"):
        # Neither is empty: there is no account then, or it has no domain.
        parts = [matches_signs(rewriter, domain, before, cased=pattern.cased)]
        if all(isinstance(sign, Any) for sign in before):
            parts.append(negation_of(nameless))
        if all(isinstance(sign, Any) for sign in after):
            parts.append(_account_present(rewriter, call, value))
        else:
            parts.append(matches_signs(rewriter, user, after, cased=pattern.cased))
        if before and after:
            made.append(all_of(parts))
    return any_of(made)


def _account_present(rewriter: TwoValuedRewriter, call: ir.Call, value: ir.Value) -> TwoValued:
    return rewriter.true_of(ir.Match(call.arguments[-1], (Pattern("?*"),)))


def _account_sql(w: SqlWriter, call: ir.Call) -> SqlExpression:
    if len(call.arguments) != 2:
        refuse_arguments(w.findings, call)
    d, u = (text(w, argument) for argument in call.arguments)
    return SqlExpression(
        f"CASE WHEN {u} <> '' THEN CASE WHEN {d} <> '' "
        f"THEN {d} || {w.literal(chr(92))} || {u} ELSE {u} END END"
    )


def _account_spl(w: SplunkWriter, call: ir.Call) -> str:
    if len(call.arguments) != 2:
        refuse_arguments(w.findings, call)
    d, u = map(w.value, call.arguments)
    slash = string("\\")
    return f'if({d}!="", {d}.{slash}.{u}, nullif({u}, ""))'


ACCOUNT = FunctionSpelling(
    "account", Preimage(_account_match, _account_present), _account_sql, _account_spl
)


# label


_ADDRESS_LIKE = r"^(?:[0-9.]+|[^\n]*:[^\n]*)$"


def _label_match(
    rewriter: TwoValuedRewriter, call: ir.Call, value: ir.Value, pattern: Pattern
) -> TwoValued:
    like = rewriter.true_of(regex(value, _ADDRESS_LIKE))
    whole = all_of((like, rewriter.true_of(ir.Match(value, (pattern,)))))
    cut = Cut(r"^{}(?:\.|$)", "[^.]*", "[^.]", ".", "^[^.]")
    return any_of((whole, all_of((negation_of(like), cut.matches(rewriter, value, pattern)))))


def _label_present(rewriter: TwoValuedRewriter, call: ir.Call, value: ir.Value) -> TwoValued:
    like = rewriter.true_of(regex(value, _ADDRESS_LIKE))
    return any_of((like, rewriter.true_of(regex(value, r"^[^.]"))))


def _label_sql(w: SqlWriter, x: str) -> str:
    if not has_regex(w):
        whole = f"({x} GLOB '[0-9.]*' AND {x} NOT GLOB '*[^0-9.]*') OR INSTR({x}, ':') > 0"
        return (
            f"CASE WHEN {whole} THEN {x} "
            f"ELSE NULLIF(SUBSTR({x}, 1, INSTR({x} || '.', '.') - 1), '') END"
        )
    whole = w.found(x, r"^(?:[0-9.]+|[^\n]*:[^\n]*)$")
    return f"CASE WHEN {whole} THEN {x} ELSE {extract(w, x, r'^[^.]*')} END"


def _label_spl(w: SplunkWriter, call: ir.Call) -> str:
    x = w.value(call.arguments[0])
    like = string(r"^(?:[0-9.]+|[^\n]*:[^\n]*)\z")
    return f'if(match({x}, {like}), {x}, nullif(mvindex(split({x}, "."), 0), ""))'


LABEL = FunctionSpelling(
    "label",
    Preimage(_label_match, _label_present),
    of_text(_label_sql),
    _label_spl,
    spl_compares=True,
)


# qualified


_DOTTED = (Pattern("*.*"),)


def _qualified_match(
    rewriter: TwoValuedRewriter, call: ir.Call, value: ir.Value, pattern: Pattern
) -> TwoValued:
    dotted = rewriter.true_of(ir.Match(value, _DOTTED))
    return all_of((dotted, rewriter.true_of(ir.Match(value, (pattern,)))))


def _qualified_present(rewriter: TwoValuedRewriter, call: ir.Call, value: ir.Value) -> TwoValued:
    return rewriter.true_of(ir.Match(value, _DOTTED))


def _qualified_regex(rewriter: TwoValuedRewriter, call: ir.Call, test: ir.Regex) -> TwoValued:
    value = call.arguments[0]
    dotted = rewriter.true_of(ir.Match(value, _DOTTED))
    return all_of((dotted, rewriter.true_of(evolve(test, value=value))))


def _qualified_sql(w: SqlWriter, x: str) -> str:
    dot = w.literal(".")
    return f"CASE WHEN {w.dialect.position(x, dot)} > 0 THEN {x} END"


def _qualified_spl(w: SplunkWriter, call: ir.Call) -> str:
    x = w.value(call.arguments[0])
    return f'if(match({x}, "[.]"), {x}, null())'


QUALIFIED = FunctionSpelling(
    "qualified",
    Preimage(_qualified_match, _qualified_present, _qualified_regex),
    of_text(_qualified_sql),
    _qualified_spl,
)


# guid


def _guid_match(
    rewriter: TwoValuedRewriter, call: ir.Call, value: ir.Value, pattern: Pattern
) -> TwoValued:
    if pattern.cased or "{" in pattern.text or "}" in pattern.text:
        rewriter.findings.refuse("a GUID with braces, or whose case is heeded")
    cut = Cut(rf"^{BLANK}[{{}}]*\0[{{}}]*{BLANK}$", ".*", ".", "", r"[^{}\s\v]")
    tokens = tokens_of(pattern)
    if not tokens or all(isinstance(token, Any) for token in tokens):
        return cut.matches(rewriter, value, pattern)
    expression = cut.around.replace("\\0", pattern_to_regex(pattern))
    return rewriter.true_of(regex(value, expression))


def _guid_present(rewriter: TwoValuedRewriter, call: ir.Call, value: ir.Value) -> TwoValued:
    return rewriter.true_of(regex(value, r"[^{}\s\v]"))


def _guid_sql(w: SqlWriter, x: str) -> str:
    return f"NULLIF(LOWER({w.dialect.trim(f'TRIM({x})', w.literal('{}'))}), '')"


def _guid_spl(w: SplunkWriter, call: ir.Call) -> str:
    return f'nullif(lower(trim(trim({w.value(call.arguments[0])}), "{{}}")), "")'


GUID = FunctionSpelling(
    "guid",
    Preimage(_guid_match, _guid_present),
    of_text(_guid_sql),
    _guid_spl,
    spl_compares=True,
)


NAMES = (DOMAIN_OF, USER_OF, ACCOUNT, LABEL, QUALIFIED, GUID)
