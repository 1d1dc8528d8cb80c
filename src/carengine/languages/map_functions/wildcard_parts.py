r"""Wildcard patterns taken apart: for texts that are put together of others.

A function that joins texts, or puts one in another's place, makes a text of which a pattern asks
something. What it asks of the parts can be said in patterns again, exactly::

    key \ name matches "*\Run\a*"     key matches "*\Run" and name matches "a*"
                                      key matches "*" and name matches "*\Run\a*"
                                      key matches "*" and name matches "Run\a*"
                                      key matches "*\Run\a*", and name is there
    HKLM + rest matches "HK*\Run"     rest matches "*\Run"
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Set
from typing import TYPE_CHECKING

from ... import ir
from ...pattern import Any, One, Pattern, Token, fold, spelled
from ...regex import escape_regex, tokens_of
from ..two_valued import TwoValued
from .spelling import regex

if TYPE_CHECKING:
    from ..two_valued.rewriter import TwoValuedRewriter

Signs = tuple[Token, ...]
"""A pattern sign by sign: each text of it is one character."""

_MOST_SPLITS = 64


def signs_of(pattern: Pattern) -> Signs:
    """A pattern sign by sign.

    >>> signs_of(Pattern("ab*"))
    ('a', 'b', Any())
    """
    made: list[Token] = []
    for token in tokens_of(pattern):
        made += token if isinstance(token, str) else (token,)
    return tuple(made)


def matches_signs(
    rewriter: TwoValuedRewriter, value: ir.Value, signs: Iterable[Token], *, cased: bool
) -> TwoValued:
    """When a value matches a pattern that is given by its signs."""
    several = tuple(signs)
    if several and all(isinstance(sign, Any) for sign in several):
        return rewriter.there(value)
    text = spelled(several)
    if text is not None:
        return rewriter.true_of(ir.Match(value, (Pattern(text, cased),)))
    # "[?]" is a question mark to patterns.
    body = "".join(
        escape_regex(sign) if isinstance(sign, str) else ".*" if isinstance(sign, Any) else "."
        for sign in several
    )
    return rewriter.true_of(regex(value, f"^{body}$", cased=cased))


def splits(
    rewriter: TwoValuedRewriter, call: ir.Call, pattern: Pattern, separator: str
) -> Iterator[tuple[Signs, Signs]]:
    """All ways in which a pattern matches two texts with a separator between them: what the one has
    to match, and the other. Refused where they are too many."""
    signs = signs_of(pattern)
    ways: list[tuple[Signs, Signs]] = []
    for place, sign in enumerate(signs):
        match sign:
            case Any():
                ways.append((signs[: place + 1], signs[place:]))
            case One():
                ways.append((signs[:place], signs[place + 1 :]))
            case str() if sign == separator:
                ways.append((signs[:place], signs[place + 1 :]))
    if len(ways) > _MOST_SPLITS:
        rewriter.findings.refuse(
            f"a pattern that {call.function} can come to in more than {_MOST_SPLITS} ways"
        )
    yield from ways


def places_after(
    signs: Signs, text: str, *, cased: bool = False, doubtful: bool | None = None
) -> Set[int]:
    """Where in a pattern one can be when a text has been read: what follows there has to match the
    rest.

    ``doubtful`` is what is taken of a letter that a pattern with case has, and the text perhaps in
    the other case; None where the text is known in its case.

    >>> sorted(places_after(signs_of(Pattern("*a*")), "ba"))
    [0, 1, 2, 3]
    """
    known = _with_empty_runs(signs, {0})
    for character in text:
        after: set[int] = set()
        for place in known:
            match signs[place] if place < len(signs) else None:
                case Any():
                    after.add(place)
                case One():
                    after.add(place + 1)
                case str() as sign:
                    same = fold(sign) == fold(character)
                    if same and cased and doubtful is None:
                        same = sign == character
                    elif same and cased and _has_case(character):
                        same = bool(doubtful)
                    if same:
                        after.add(place + 1)
                case None:
                    pass
        known = _with_empty_runs(signs, after)
    return known


def without_implied(signs: Signs, places: Set[int]) -> list[int]:
    """The places from which the rest of a pattern matches all that it does from any of them: behind
    a run is nothing that the run does not match."""
    return [
        place
        for place in sorted(places)
        if not (place - 1 in places and isinstance(signs[place - 1], Any))
    ]


def has_case(signs: Iterable[Token]) -> bool:
    """Whether a pattern has letters of which there are two."""
    return any(isinstance(sign, str) and _has_case(sign) for sign in signs)


def _has_case(text: str) -> bool:
    return fold(text) != text or fold(text.upper()) != text.upper()


def _with_empty_runs(signs: Signs, places: Set[int]) -> Set[int]:
    made = set(places)
    for place, sign in enumerate(signs):
        if place in made and isinstance(sign, Any):
            made.add(place + 1)
    return made
