"""Texts that must occur in whatever a test accepts: what makes a test cheap to rule out.

A wildcard pattern requires its pieces, and most regular expressions require some text too. A value
in which none of a test's required texts occurs cannot pass it, and looking for many texts at once
costs about as much as looking for one. Everything is folded: a required text occurs in the *folded*
value.

The reading of regular expressions is conservative. It never understands more than plain runs of
characters outside groups and classes; whatever it does not understand ends a run, or makes it give
up::

    \\\\pipe\\\\[a-z]+_srv   ->  {"\\pipe\\"} or {"_srv"}, whichever is longer
    (foo|bar)baz?          ->  {"ba"}
    foo.*|barbar           ->  {"foo", "barbar"}: one of them
    .*                     ->  None
"""

from __future__ import annotations

import re

from .. import ir
from ..pattern import Pattern, fold

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
    found = [
        run
        for token in pattern.tokens
        if isinstance(token, str)
        for run in _PLAIN.findall(fold(token))
        if len(run) >= _SHORTEST and not _IN_NUMBERS.issuperset(run)
    ]
    return max(found, key=len, default=None)


def of_regex(regex: ir.Regex) -> tuple[str, ...] | None:
    """Texts of which one occurs, folded, in every folded text that the expression is found in."""
    return of_expression(regex.pattern)


def of_expression(expression: str) -> tuple[str, ...] | None:
    """The same of an RE2 expression; None where nothing is certain.

    >>> of_expression(r"(?i)foo\\d+barbar|quux"), of_expression("a.c")
    (('barbar', 'quux'), None)
    """
    found = []
    for branch in _branches(expression) or ():
        runs = _runs(branch)
        longest = max(runs or (), key=len, default="")
        if len(longest) < _SHORTEST:
            return None
        found.append(fold(longest))
    return tuple(dict.fromkeys(found)) if 0 < len(found) <= _MOST else None


def _branches(expression: str) -> list[str] | None:
    """The alternatives at the top; None where the expression cannot be taken apart."""
    found = []
    start = at = 0
    while at < len(expression):
        match expression[at]:
            case "|":
                found.append(expression[start:at])
                at += 1
                start = at
                continue
            case "(":
                end = _group_end(expression, at)
            case "[":
                end = _class_end(expression, at)
            case "\\":
                end = at + 2 if expression[at + 1 : at + 2] != "Q" else None
            case _:
                end = at + 1
        if end is None or end > len(expression):
            return None
        at = end
    return [*found, expression[start:]]


def _class_end(expression: str, start: int) -> int | None:
    """The offset after a class ``[…]`` that begins at ``start``."""
    at = start + 1
    if expression[at : at + 1] == "^":
        at += 1
    if expression[at : at + 1] == "]":
        at += 1
    while at < len(expression):
        match expression[at]:
            case "]":
                return at + 1
            case "\\":
                at += 2
            case "[" if expression[at + 1 : at + 2] == ":":
                end = expression.find(":]", at + 2)
                if end < 0:
                    return None
                at = end + 2
            case _:
                at += 1
    return None


def _group_end(expression: str, start: int) -> int | None:
    """The offset after a group ``(…)`` that begins at ``start``."""
    depth, at = 0, start
    while at < len(expression):
        match expression[at]:
            case "(":
                depth += 1
                at += 1
            case ")":
                depth -= 1
                at += 1
                if depth == 0:
                    return at
            case "[":
                end = _class_end(expression, at)
                if end is None:
                    return None
                at = end
            case "\\":
                if expression[at + 1 : at + 2] == "Q":
                    return None
                at += 2
            case _:
                at += 1
    return None


_PUNCTUATION = frozenset("\\/.-_:;,'\"!@#%&=<>~` ()[]{}*+?^$|")


def _runs(branch: str) -> list[str] | None:
    """The runs of plain characters of a branch that every match contains."""
    runs: list[str] = []
    run: list[str] = []

    def close() -> None:
        runs.append("".join(run))
        run.clear()

    at = 0
    while at < len(branch):
        character = branch[at]
        match character:
            case "(" | "[":
                close()
                end = _group_end(branch, at) if character == "(" else _class_end(branch, at)
                if end is None:
                    return None
                at = end
                continue
            case "\\":
                escaped = branch[at + 1 : at + 2]
                at += 2
                if escaped in _PUNCTUATION and escaped:
                    run.append(escaped)
                elif escaped in ("d", "D", "w", "W", "s", "S", "b", "B", "A", "z"):
                    close()
                else:
                    return None
                continue
            case "*" | "?":
                # The character before may be missing.
                if run:
                    run.pop()
                close()
            case "{":
                if run:
                    run.pop()
                close()
                end = branch.find("}", at)
                if end < 0:
                    return None
                at = end
            case "+" | "." | "^" | "$":
                close()
            case ")" | "]" | "}":
                return None
            case _ if character.isascii():
                run.append(character)
            case _:
                close()
        at += 1
    close()
    return runs
