r"""The functions of field maps in other languages: preimages, and how SQL and SPL write them.

A rule asks whether ``basename(Image)`` matches ``lsass*.dmp``. No log has a field for that, but it
has ``Image``, and the texts whose base name matches are a regular language as well::

    basename(x) matches "cmd.exe"       x matches "cmd.exe", "*\cmd.exe" or "*/cmd.exe"
    basename(x) matches "*.dmp"         x matches "*.dmp"
    basename(x) matches "lsass*.dmp"    (?:^|[\\/])lsass[^\\/]*\.dmp$ is found in x
    hash(x, "MD5") matches "ab"         (?:^|,)\s*MD5\s*=\s*ab\s*(?:,|$) is found in x

Wildcards are used where they say it exactly, since every target has them; else a regular
expression, in which ``*`` stops where the function cuts. Functions that choose between values
(``first``, ``choose``) are taken apart into guarded alternatives.

``SPELLINGS`` has one declaration for each function, in ``paths``, ``registry``, ``names``,
``texts`` and ``choosing``; what the function gives is in ``carengine.functions``, under the same name. The SQL
and the SPL spelling give what the function gives, null for null included.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import evolve

from ... import functions, ir
from ...diagnostics import Span
from ...functions import FUNCTIONS
from ...pattern import Pattern
from ..two_valued import Case, Const, TwoValued
from .choosing import CHOOSING
from .names import NAMES
from .paths import PATHS
from .registry import REGISTRY
from .spelling import Cases, FunctionSpelling, Preimage, Unspelled
from .texts import TEXTS

if TYPE_CHECKING:
    from ..splunk.writer import SplunkWriter
    from ..sql.expressions import SqlWriter
    from ..sql.values import SqlExpression
    from ..two_valued.rewriter import TwoValuedRewriter

__all__ = [
    "SPELLINGS",
    "SPL_COMPARES",
    "Cases",
    "FunctionSpelling",
    "Preimage",
    "Unspelled",
    "cases_of",
    "finds",
    "in_spl",
    "in_sql",
    "is_present",
    "matches",
    "operand_of",
]


def _refused(name: str, reason: str) -> FunctionSpelling:
    return FunctionSpelling(name, Unspelled(reason), Unspelled(reason), Unspelled(reason))


_STRUCTURED = (
    "it looks into a value that has parts, which is one text, or several fields, elsewhere"
)
_NOT_WORKED_OUT = "no way to write it is worked out"

SPELLINGS: dict[str, FunctionSpelling] = {
    spelling.name: spelling
    for spelling in (
        *(*PATHS, *REGISTRY, *NAMES, *TEXTS, *CHOOSING),
        *(
            _refused(name, _STRUCTURED)
            for name in (
                *("member", "within", "has_member", "has_within"),
                *("listed", "xml_event", "joined", "item"),
                *("values_at", "several", "json_text"),
                "count",
            )
        ),
        *(
            _refused(name, _NOT_WORKED_OUT)
            for name in (
                *("between", "ends_with", "full_path", "hashes", "inside", "later"),
                *("program", "starts_with", "time_part", "unescape_xml", "url"),
                *("utf16", "length", "substring", "arguments"),
                *("index_of", "enclosed", "modulo", "quotient"),
                *("account_name", "account_type"),
            )
        ),
    )
}
"""Each function of field maps in other languages, by its name."""

SPL_COMPARES = frozenset(name for name, spelling in SPELLINGS.items() if spelling.spl_compares)
"""The functions that Splunk computes exactly, where they are compared with other fields."""


def cases_of(rewriter: TwoValuedRewriter, call: ir.Call) -> list[Case]:
    """A call as guarded values, none of which is a choosing function."""
    spelling = SPELLINGS.get(call.function)
    match call.arguments:
        case _ if spelling is not None and isinstance(spelling.preimage, Cases):
            return spelling.preimage.of(rewriter, call)
        case (value, *rest) if call.function in FUNCTIONS and FUNCTIONS[call.function].strict:
            return [(guard, _applied(call, v, rest)) for guard, v in rewriter.cases(value)]
        case _:
            return [(Const(True), call)]


def _applied(call: ir.Call, value: ir.Value, rest: list[ir.Value]) -> ir.Value:
    """A strict function of a simple value, worked out where that is a constant."""
    if isinstance(value, ir.Constant) and all(isinstance(r, ir.Constant) for r in rest):
        given = [value.value, *(r.value for r in rest if isinstance(r, ir.Constant))]
        result = functions.call(call.function, given)
        if result is None or isinstance(result, str | int | float):
            return ir.Constant(result)
    return evolve(call, arguments=(value, *rest))


def _preimage(call: ir.Call) -> Preimage | None:
    spelling = SPELLINGS.get(call.function)
    preimage = spelling.preimage if spelling is not None else None
    return preimage if isinstance(preimage, Preimage) else None


def _simple(call: ir.Call) -> ir.Value:
    return call.arguments[0] if call.arguments else ir.Constant(None)


def is_present(rewriter: TwoValuedRewriter, call: ir.Call) -> TwoValued:
    """When a call's result is not null; the call is of a simple value."""
    preimage = _preimage(call)
    if preimage is None:
        rewriter.findings.refuse(f"whether what {call.function} gives is null")
    return preimage.present(rewriter, call, _simple(call))


def matches(
    rewriter: TwoValuedRewriter, call: ir.Call, pattern: Pattern, span: Span | None
) -> TwoValued:
    """When a call's result matches a pattern; the call is of a simple value."""
    preimage = _preimage(call)
    if preimage is None or isinstance(preimage.match, Unspelled):
        rewriter.findings.refuse(
            f"the function {call.function} of field maps, which this field needs", span
        )
    return preimage.match(rewriter, call, _simple(call), pattern)


def finds(rewriter: TwoValuedRewriter, call: ir.Call, test: ir.Regex) -> TwoValued:
    """When a regular expression is found in a call's result; the call is of a simple value."""
    preimage = _preimage(call)
    if preimage is None or preimage.regex is None:
        rewriter.findings.refuse(f"a regular expression over what {call.function} gives", test.span)
    return preimage.regex(rewriter, call, test)


def operand_of(call: ir.Call, atom: ir.Compare | ir.Occurs) -> ir.Value | None:
    """The argument that can stand for a call in a comparison; None where none can."""
    spelling = SPELLINGS.get(call.function)
    if spelling is None or spelling.operand is None or not call.arguments:
        return None
    return spelling.operand(call, atom)


def in_sql(w: SqlWriter, call: ir.Call) -> SqlExpression:
    """The SQL expression of a call."""
    spelling = SPELLINGS.get(call.function)
    if spelling is None or isinstance(spelling.sql, Unspelled):
        known = "" if spelling is not None else "unknown "
        w.findings.refuse(f"the {known}function {call.function} of field maps with these arguments")
    return spelling.sql(w, call)


def in_spl(w: SplunkWriter, call: ir.Call) -> str:
    """A call as an expression of Splunk's ``eval``."""
    spelling = SPELLINGS.get(call.function)
    if spelling is None or isinstance(spelling.spl, Unspelled):
        w.findings.refuse(f"the function {call.function} of field maps")
    return spelling.spl(w, call)
