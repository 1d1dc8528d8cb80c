"""Texts that must occur in whatever a test accepts: what makes a test cheap to rule out.

A wildcard pattern requires its pieces, and most regular expressions require some text too. A value
in which none of a test's required texts occurs cannot pass it, and looking for many texts at once
costs about as much as looking for one. Everything is folded: a required text occurs in the *folded*
value.

Of a regular expression only plain runs of characters are used; a class, a choice, or what may be
missing ends a run::

    \\\\pipe\\\\[a-z]+_srv   ->  {"\\pipe\\"} or {"_srv"}, whichever is longer
    (foo|bar)baz?          ->  {"ba"}
    foo.*|barbar           ->  {"foo", "barbar"}: one of them
    .*                     ->  None
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import assert_never

from .. import ir
from ..pattern import Pattern, fold
from .syntax import (
    Alternation,
    Anchor,
    AnyCharacter,
    CharacterClass,
    Concatenation,
    LiteralCharacter,
    RegexError,
    RegexGroup,
    RegexNode,
    Repetition,
    parse_regex,
)

_SHORTEST = 3
_MOST = 24


def of_pattern(pattern: Pattern) -> str | None:
    """The longest text that a pattern requires, folded; None if it is shorter than three
    characters."""
    texts = [fold(token) for token in pattern.tokens if isinstance(token, str)]
    longest = max(texts, key=len, default="")
    return longest if len(longest) >= _SHORTEST else None


# What JSON writes as it is, wherever it is inside a string. A colon behind anything but a quote is
# inside of one.
_PLAIN = re.compile("[A-Za-z0-9 _.;=@#$%&()*+<>!?^|~-][A-Za-z0-9 _.;:=@#$%&()*+<>!?^|~-]*")
# What numbers and the words of JSON are made of. They are written in more ways than one.
_IN_NUMBERS = frozenset("0123456789.+-eainfulsrt")


def in_json(pattern: Pattern) -> str | None:
    """A text, folded, that stands in the JSON of whatever event has a text that the pattern
    matches.

    It is inside of a string there, as it is, unless it is written with escapes (``\\u006d``). None
    where nothing of the kind is certain.

    >>> in_json(Pattern("*sekurlsa::logonpasswords*")), in_json(Pattern("*1.0*"))
    ('sekurlsa::logonpasswords', None)
    """
    runs = [
        run
        for token in pattern.tokens
        if isinstance(token, str)
        for run in _PLAIN.findall(fold(token))
        if len(run) >= _SHORTEST and not _IN_NUMBERS.issuperset(run)
    ]
    return max(runs, key=len, default=None)


def of_regex(regex: ir.Regex) -> tuple[str, ...] | None:
    """Texts of which one occurs, folded, in every folded text that the expression is found in."""
    return of_expression(regex.pattern)


def of_expression(expression: str) -> tuple[str, ...] | None:
    """The same of an RE2 expression; None where nothing is certain.

    >>> of_expression(r"(?i)foo\\d+barbar|quux"), of_expression("a.c")
    (('barbar', 'quux'), None)
    """
    try:
        root = parse_regex(expression).root
    except RegexError:
        return None
    texts: list[str] = []
    for branch in _alternatives(root):
        runs = "".join(_pieces(branch)).split(_BREAK)
        longest = max(runs, key=len)
        if len(longest) < _SHORTEST:
            return None
        texts.append(fold(longest))
    return tuple(dict.fromkeys(texts)) if len(texts) <= _MOST else None


_BREAK = "\N{REPLACEMENT CHARACTER}"
"""Stands between runs; it is outside ASCII, and so in none."""


def _alternatives(node: RegexNode) -> tuple[RegexNode, ...]:
    """The alternatives at the top, of which one matches."""
    match node:
        case Alternation(items):
            return items
        case RegexGroup(item):
            return _alternatives(item)
        case _:
            return (node,)


def _pieces(node: RegexNode) -> Iterator[str]:
    """The characters that every match of the node contains one behind the other, and breaks."""
    match node:
        case LiteralCharacter(text):
            # Letters outside ASCII may fold to more than one spelling.
            yield text if text.isascii() else _BREAK
        case Anchor():
            # An anchor takes no character: what stands around it stays side by side.
            pass
        case Concatenation(items):
            for item in items:
                yield from _pieces(item)
        case RegexGroup(item):
            yield from _pieces(item)
        case Repetition(item, least):
            if least:
                yield from _pieces(item)
            yield _BREAK
        case AnyCharacter() | CharacterClass() | Alternation():
            yield _BREAK
        case _:
            assert_never(node)
