r"""Patterns and networks as regular expressions, and regular expressions from one dialect to
another.

Where a target has no wildcards that mean what ours mean, or none at all, a pattern is written as an
expression::

    lsass*.dmp          lsass.*\.dmp                  whole value, `.` taking newlines too
    10.16.0.0/12        10\.(?:1[6-9]|2[0-9]|3[01])\.…

A rule's own expressions are RE2's. ``portable`` rewrites one so that it means the same elsewhere:
what RE2, Java, PCRE, Python and PostgreSQL read differently (``\s``, ``\w``, ``$``, ``.``) is spelt
out, and what not all of them have is refused.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable

from ..pattern import Any, One, Pattern, Token

_SPECIAL = frozenset(r"\.+*?()[]{}|^$/-#&~")


def quoted(text: str) -> str:
    r"""An expression that matches just this text. It holds in every dialect.

    >>> quoted("a.b\\c")
    'a\\.b\\\\c'
    """
    return "".join(_quoted(character) for character in text)


def _quoted(character: str) -> str:
    match character:
        case "\n":
            return r"\n"
        case "\r":
            return r"\r"
        case "\t":
            return r"\t"
        case _ if character in _SPECIAL and character not in "/-#&~":
            return "\\" + character
        case _:
            return character


def tokens_of(pattern: Pattern) -> tuple[Token, ...]:
    """The pieces of a pattern as it is written, not folded."""
    return Pattern(pattern.text, cased=True).tokens


def of_pattern(pattern: Pattern, *, run: str = ".*", one: str = ".") -> str:
    """The expression for a pattern, without anchors; ``.`` is to take newlines too.

    ``run`` and ``one`` are what ``*`` and ``?`` stand for: other ones where some characters cannot
    occur.

    >>> of_pattern(Pattern("a?*.exe"))
    'a..*\\\\.exe'
    """
    parts = []
    for token in tokens_of(pattern):
        match token:
            case str():
                parts.append(quoted(token))
            case One():
                parts.append(one)
            case Any():
                parts.append(run)
    return "".join(parts)


def alternatives(expressions: Iterable[str]) -> str:
    """One of several expressions.

    >>> alternatives(["a", "b"]), alternatives(["a"])
    ('(?:a|b)', 'a')
    """
    several = list(dict.fromkeys(expressions))
    return several[0] if len(several) == 1 else "(?:" + "|".join(several) + ")"


# Networks

_OCTET = "(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_BLANK = r"[ \t\n\r\f\v]*"


def of_network(network: str) -> tuple[str, bool] | None:
    """An expression for the addresses of a network as whole texts, and whether it is exact.

    For IPv4 it is. IPv6 addresses have many spellings: expected is the usual one (RFC 5952, either
    case), and only networks that the first group or the whole address decides can be written; None
    for the others.
    """
    net = ipaddress.ip_network(network.strip(), strict=False)
    if isinstance(net, ipaddress.IPv4Network):
        body = r"\.".join(_octets(net))
        return f"{_BLANK}(?:::[fF][fF][fF][fF]:)?{body}(?:%.*)?{_BLANK}", True
    if net.prefixlen == 128:
        return f"{_BLANK}{quoted(str(net.network_address))}(?:%.*)?{_BLANK}", False
    if 0 < net.prefixlen <= 16:
        first = int(net.network_address) >> 112
        last = int(net.broadcast_address) >> 112
        if first == 0:
            return None
        groups = alternatives(_hexadecimal_range(first, last))
        return f"{_BLANK}0*{groups}:[0-9a-fA-F:.]*(?:%.*)?{_BLANK}", False
    return None


def _octets(net: ipaddress.IPv4Network) -> list[str]:
    first, last = net.network_address.packed, net.broadcast_address.packed
    made = []
    for low, high in zip(first, last, strict=True):
        if (low, high) == (0, 255):
            made.append(_OCTET)
        else:
            made.append(alternatives(str(number) for number in range(low, high + 1)))
    return made


def _hexadecimal_range(first: int, last: int) -> list[str]:
    """Expressions for the numbers between two, as hexadecimal digits: blocks of sixteen at a time."""
    made = []
    number = first
    while number <= last:
        width = 1
        while number % (width * 16) == 0 and number + width * 16 - 1 <= last:
            width *= 16
        digits = f"{number // width:x}" if number >= width else ""
        free = len(f"{width:x}") - 1
        letters = "".join(f"[{d}{d.upper()}]" if d.isalpha() else d for d in digits)
        made.append(letters + "[0-9a-fA-F]" * free)
        number += width
    return made


# From RE2 to others

_CLASSES = {
    "d": "0-9",
    "w": "0-9A-Za-z_",
    "s": r"\t\n\f\r ",
}
_PLAIN_ESCAPES = {"n": r"\n", "t": r"\t", "r": r"\r"}
_DIGITS = tuple("0123456789abcdefABCDEF")
_QUANTIFIER = re.compile(r"\{\d{1,4}(?:,\d{0,4})?\}")


class NotPortable(Exception):  # noqa: N818 (tells a caller, who says it in other words)
    """The expression uses what not every dialect has; the text says what."""


def portable(
    pattern: str,
    *,
    dotall: bool = False,
    word_boundary: str = r"\b",
    end: str = r"\z",
    group: str = "(?:",
    lazy: bool = True,
) -> str:
    r"""An RE2 expression in the words of another dialect.

    ``word_boundary``, ``end`` and ``group`` are what the dialect writes for these; ``lazy`` is
    whether it has ``*?``. For finding whether there is a match laziness makes no difference, so
    that it is left out where there is none.

    Raises `NotPortable`.

    >>> portable(r"\s(cl|clear-log)\s")
    '[\\t\\n\\f\\r ](?:cl|clear-log)[\\t\\n\\f\\r ]'
    """
    out: list[str] = []
    place = 0
    while place < len(pattern):
        character = pattern[place]
        match character:
            case "\\":
                place = _escape(pattern, place, out, word_boundary, end)
            case "[":
                place = _class(pattern, place, out)
            case "(":
                if pattern.startswith("(?:", place):
                    place += 3
                elif pattern.startswith("(?", place):
                    raise NotPortable(f"the group {pattern[place : place + 3]}…")
                else:
                    place += 1
                out.append(group)
            case ".":
                out.append("." if dotall else r"[^\n]")
                place += 1
            case "$":
                out.append(end)
                place += 1
            case "{":
                found = _QUANTIFIER.match(pattern, place)
                out.append(found[0] if found else r"\{")
                place = found.end() if found else place + 1
            case "?" if place and pattern[place - 1] in "*+?}" and not lazy and out[-1] != r"\}":
                place += 1
            case _:
                out.append(character)
                place += 1
    return "".join(out)


def _escape(pattern: str, place: int, out: list[str], boundary: str, end: str) -> int:
    following = pattern[place + 1 : place + 2]
    match following:
        case "d" | "w" | "s":
            out.append(f"[{_CLASSES[following]}]")
        case "D" | "W" | "S":
            out.append(f"[^{_CLASSES[following.lower()]}]")
        case "n" | "t" | "r":
            out.append(_PLAIN_ESCAPES[following])
        case "b":
            out.append(boundary)
        case "z":
            out.append(end)
        case "A":
            out.append("^")
        case _ if following and not following.isalnum() and following.isascii():
            out.append(quoted(following))
        case _:
            raise NotPortable(f"the escape \\{following}")
    return place + 2


def _class(pattern: str, place: int, out: list[str]) -> int:
    made = ["["]
    place += 1
    if pattern.startswith("^", place):
        made.append("^")
        place += 1
    first = True
    while place < len(pattern) and (pattern[place] != "]" or first):
        character = pattern[place]
        following = pattern[place + 1 : place + 2]
        if character == "[" and following == ":":
            raise NotPortable("a named class")
        if character == "\\":
            if following in _CLASSES:
                made.append(_CLASSES[following])
            elif following in _PLAIN_ESCAPES:
                made.append(_PLAIN_ESCAPES[following])
            elif following == "v" and pattern[place + 2 : place + 3] not in _DIGITS:
                # A vertical tab; `\v` is more than that elsewhere, and PostgreSQL takes any number
                # of digits.
                made.append(r"\x0b")
            elif following and not following.isalnum() and following.isascii():
                made.append("\\" + following)
            else:
                raise NotPortable(f"the escape \\{following} in a class")
            place += 2
        else:
            # Java and others give these a meaning inside a class.
            made.append("\\" + character if character in "[]&" else character)
            place += 1
        first = False
    if place >= len(pattern):
        raise NotPortable("a class without an end")
    out.append("".join([*made, "]"]))
    return place + 1
