"""What a function of field maps is in other languages: one declaration for each.

A ``FunctionSpelling`` says what has to hold of a function's arguments for its result to match
(``preimage``), and how the languages that compute values write it (``sql``, ``spl``; EQL, Sigma and
search terms compute none, and live on the preimage alone). Whatever a function has not is
`Unspelled`, with the reason; there is no default, so that none is forgotten.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NoReturn

from attrs import frozen

from ... import ir
from ...pattern import Any, Pattern
from ...regex import pattern_to_regex, tokens_of
from ..translation import Findings
from ..two_valued import Case, Const, TwoValued

if TYPE_CHECKING:
    from ..splunk.writer import SplunkWriter
    from ..sql.expressions import SqlWriter
    from ..sql.values import SqlExpression
    from ..two_valued.rewriter import TwoValuedRewriter


@frozen
class Unspelled:
    """A language cannot say the function, or nothing here says how: why."""

    reason: str


@frozen
class Preimage:
    """What has to hold of the arguments of a function.

    ``match`` is when the result matches a pattern, ``present`` when it is not null, ``regex`` when
    a regular expression is found in it (refused where it is None). The first argument is a simple
    value, none that chooses between others.
    """

    match: Callable[[TwoValuedRewriter, ir.Call, ir.Value, Pattern], TwoValued] | Unspelled
    present: Callable[[TwoValuedRewriter, ir.Call, ir.Value], TwoValued]
    regex: Callable[[TwoValuedRewriter, ir.Call, ir.Regex], TwoValued] | None = None


@frozen
class Cases:
    """A function that chooses between values: these, each with the guard under which it is."""

    of: Callable[[TwoValuedRewriter, ir.Call], list[Case]]


@frozen
class FunctionSpelling:
    """A function of field maps in other languages.

    ``operand`` gives, for a comparison with a number or with another field, the argument that is
    compared in the result's place, where that makes no difference. ``spl_compares`` says that what
    ``spl`` writes is equal to the result where the two are compared with other fields.
    """

    name: str
    preimage: Preimage | Cases | Unspelled
    sql: Callable[[SqlWriter, ir.Call], SqlExpression] | Unspelled
    spl: Callable[[SplunkWriter, ir.Call], str] | Unspelled
    operand: Callable[[ir.Call, ir.Compare | ir.Occurs], ir.Value | None] | None = None
    spl_compares: bool = False


def refuse_arguments(findings: Findings, call: ir.Call) -> NoReturn:
    """Refuse a call whose arguments are other than its spelling knows."""
    findings.refuse(f"the function {call.function} of field maps with these arguments")


# What preimages have in common

BLANK = r"[\s\v]*"


def regex(
    value: ir.Value, pattern: str, *, cased: bool = False, multiline: bool = False
) -> ir.Condition:
    """A test by an expression of ours, in which ``.`` takes newlines."""
    return ir.Regex(value, pattern, cased, True, multiline)


def is_literal(pattern: Pattern) -> bool:
    """Whether a pattern matches one text only."""
    return all(isinstance(token, str) for token in tokens_of(pattern))


def is_any(pattern: Pattern) -> bool:
    """Whether a pattern matches whatever there is."""
    return all(isinstance(token, Any) for token in tokens_of(pattern))


def suffix_of(pattern: Pattern) -> str | None:
    """The text behind a single ``*`` at the pattern's start."""
    match tokens_of(pattern):
        case (Any(), str() as text):
            return text
        case _:
            return None


@frozen
class Cut:
    """A function that takes a part of a text.

    ``around`` is the expression of the whole text, with ``{}`` for the part; ``run`` and ``one``
    are what ``*`` and ``?`` can be in the part; ``outside`` holds characters that the part cannot
    have; ``present`` is an expression for texts that have a part at all.
    """

    around: str
    run: str
    one: str
    outside: str
    present: str

    def matches(self, rewriter: TwoValuedRewriter, value: ir.Value, pattern: Pattern) -> TwoValued:
        """When the part matches a pattern; it is never empty."""
        tokens = tokens_of(pattern)
        if any(isinstance(t, str) and not set(self.outside).isdisjoint(t) for t in tokens):
            return Const(False)
        if not tokens:
            return Const(False)
        if is_any(pattern):
            return rewriter.true_of(regex(value, self.present))
        body = pattern_to_regex(pattern, run=self.run, one=self.one)
        return rewriter.true_of(regex(value, self.around.replace("{}", body), cased=pattern.cased))
