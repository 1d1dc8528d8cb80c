"""The filters that a rule has beside its query, in Elasticsearch's query language (Query DSL)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ... import ir
from ...diagnostics import Span
from ...pattern import Pattern, escape
from ..lucene_patterns import wildcards_of_lucene
from ..query import pattern_text, unsupported

_MAX_DEPTH = 20


def filters_of(found: Any, span: Span) -> list[ir.Condition]:
    """The conditions of a rule's ``filters``. Raises `Refusal`, naming what has no equivalent."""
    if found is None:
        return []
    if not isinstance(found, list):
        raise unsupported("filters that are no list", span)
    made: list[ir.Condition] = []
    for item in found:
        if not isinstance(item, Mapping):
            raise unsupported("a filter that is no table", span)
        meta = item.get("meta")
        meta = meta if isinstance(meta, Mapping) else {}
        if meta.get("disabled") is True:
            continue
        condition = _clause(item.get("query"), span, 0)
        made.append(ir.Not(ir.IsTrue(condition)) if meta.get("negate") is True else condition)
    return made


def _clause(clause: Any, span: Span, depth: int) -> ir.Condition:
    if not isinstance(clause, Mapping) or len(clause) != 1 or depth > _MAX_DEPTH:
        raise unsupported("a filter that is no single clause", span)
    [(word, body)] = clause.items()
    if word == "exists" and isinstance(body, Mapping) and isinstance(body.get("field"), str):
        return ir.Not(ir.IsNull(ir.Field(body["field"]), span))
    if word == "bool" and isinstance(body, Mapping):
        return _bool(body, span, depth)
    if not isinstance(body, Mapping) or len(body) != 1:
        raise unsupported(f"the clause `{word}` of a filter in this form", span)
    [(name, wanted)] = body.items()
    field = ir.Field(str(name))
    if word == "terms" and isinstance(wanted, list):
        return ir.Match(field, tuple(Pattern(escape(str(text)), True) for text in wanted), span)
    folded = False
    if isinstance(wanted, Mapping):
        folded = wanted.get("case_insensitive") is True
        wanted = wanted.get("value", wanted.get("query", wanted.get("wildcard")))
    if not isinstance(wanted, str | int | float):
        raise unsupported(f"the clause `{word}` of a filter in this form", span)
    text = _text(wanted)
    match word:
        case "term" | "match_phrase" | "match":
            return ir.Match(field, (Pattern(escape(text), not folded),), span)
        case "prefix":
            return ir.Match(field, (Pattern(f"{escape(text)}*", not folded),), span)
        case "wildcard":
            return ir.Match(
                field, (Pattern(pattern_text(wildcards_of_lucene(text), span), not folded),), span
            )
        case _:
            raise unsupported(f"the clause `{word}` of a filter", span)


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _bool(body: Mapping[str, Any], span: Span, depth: int) -> ir.Condition:
    parts: list[ir.Condition] = []
    for key, value in body.items():
        listed = value if isinstance(value, list) else [value]
        match key:
            case "must" | "filter":
                parts += [_clause(item, span, depth + 1) for item in listed]
            case "should":
                parts.append(ir.Or(tuple(_clause(item, span, depth + 1) for item in listed)))
            case "must_not":
                found = [_clause(item, span, depth + 1) for item in listed]
                parts += [ir.Not(ir.IsTrue(item)) for item in found]
            case "minimum_should_match" if value == 1:
                continue
            case _:
                raise unsupported(f"`{key}` of a filter", span)
    return ir.And(tuple(parts))
