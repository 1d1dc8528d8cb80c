r"""Patterns and networks as regular expressions, and regular expressions from one dialect to
another.

Where a target has no wildcards that mean what ours mean, or none at all, a pattern is written as an
expression::

    lsass*.dmp          lsass.*\.dmp                  whole value, `.` taking newlines too
    10.16.0.0/12        10\.(?:1[6-9]|2[0-9]|3[01])\.…

A rule's own expressions are RE2's. ``portable_regex`` rewrites one so that it means the same
elsewhere: what RE2, Java, PCRE, Python and PostgreSQL read differently (``\s``, ``\w``, ``$``,
``.``) is spelt out, and what not all of them have is refused.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import assert_never

from attrs import frozen

from ..pattern import Any, One, Pattern, Token
from .syntax import (
    Alternation,
    Anchor,
    AnchorKind,
    AnyCharacter,
    CharacterClass,
    CharacterRange,
    Concatenation,
    LiteralCharacter,
    NamedClass,
    RegexError,
    RegexGroup,
    RegexNode,
    Repetition,
    parse_regex,
)

_SPECIAL = frozenset(r"\.+*?()[]{}|^$/-#&~")


def escape_regex(text: str) -> str:
    r"""An expression that matches just this text. It holds in every dialect.

    >>> escape_regex("a.b\\c")
    'a\\.b\\\\c'
    """
    return "".join(_escaped(character) for character in text)


def _escaped(character: str) -> str:
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


def pattern_to_regex(pattern: Pattern, *, run: str = ".*", one: str = ".") -> str:
    """The expression for a pattern, without anchors; ``.`` is to take newlines too.

    ``run`` and ``one`` are what ``*`` and ``?`` stand for: other ones where some characters cannot
    occur.

    >>> pattern_to_regex(Pattern("a?*.exe"))
    'a..*\\\\.exe'
    """
    parts = []
    for token in tokens_of(pattern):
        match token:
            case str():
                parts.append(escape_regex(token))
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


def network_to_regex(network: str) -> tuple[str, bool] | None:
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
        return f"{_BLANK}{escape_regex(str(net.network_address))}(?:%.*)?{_BLANK}", False
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
    octets = []
    for low, high in zip(first, last, strict=True):
        if (low, high) == (0, 255):
            octets.append(_OCTET)
        else:
            octets.append(alternatives(str(number) for number in range(low, high + 1)))
    return octets


def _hexadecimal_range(first: int, last: int) -> list[str]:
    """Expressions for the numbers between two, as hexadecimal digits: blocks of sixteen at a
    time."""
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

_CLASSES = {"d": "0-9", "w": "0-9A-Za-z_", "s": r"\t\n\f\r "}
_CONTROLS = {"\n": r"\n", "\t": r"\t", "\r": r"\r"}
_HEXADECIMAL_DIGITS = frozenset("0123456789abcdefABCDEF")


class NotPortable(Exception):  # noqa: N818 (tells a caller, who says it in other words)
    """The expression uses what not every dialect has; the text says what."""


@frozen
class _RegexDialect:
    """What a dialect writes in its own way; see `portable_regex`."""

    word_boundary: str
    end: str
    group: str
    lazy: bool
    multiline: bool


def portable_regex(
    pattern: str,
    *,
    dotall: bool = False,
    multiline: bool = False,
    word_boundary: str = r"\b",
    end: str = r"\z",
    group: str = "(?:",
    lazy: bool = True,
) -> str:
    r"""An RE2 expression in the words of another dialect.

    ``word_boundary``, ``end`` and ``group`` are what the dialect writes for these; ``lazy`` is
    whether it has ``*?``. For finding whether there is a match laziness makes no difference, so
    that it is left out where there is none. With ``multiline``, ``^`` and ``$`` stand at lines, and
    the caller sets the dialect's flag for it.

    Raises `NotPortable`.

    >>> portable_regex(r"\s(cl|clear-log)\s")
    '[\\t\\n\\f\\r ](?:cl|clear-log)[\\t\\n\\f\\r ]'
    """
    settings = (("s", dotall), ("m", multiline))
    try:
        expression = parse_regex(pattern, frozenset(flag for flag, on in settings if on))
    except RegexError as error:
        raise NotPortable(str(error)) from error
    if expression.settings:
        raise NotPortable(f"the group {expression.settings[0]}…")
    dialect = _RegexDialect(word_boundary, end, group, lazy, multiline)
    return _spelled(expression.root, dialect)


def _spelled(node: RegexNode, dialect: _RegexDialect) -> str:
    match node:
        case LiteralCharacter(text):
            return _plain(text)
        case AnyCharacter(newlines):
            return "." if newlines else r"[^\n]"
        case CharacterClass(negated, items):
            return _class(negated, items)
        case Anchor(kind):
            return _anchor(kind, dialect)
        case Concatenation(items):
            return "".join(_spelled(item, dialect) for item in items)
        case Alternation(items):
            return "|".join(_spelled(item, dialect) for item in items)
        case RegexGroup(item):
            return f"{dialect.group}{_spelled(item, dialect)})"
        case Repetition(item, least, most, lazy):
            body = _spelled(item, dialect)
            if isinstance(item, Repetition):
                body = f"{dialect.group}{body})"
            return body + _count(least, most) + ("?" if lazy and dialect.lazy else "")
        case _:
            assert_never(node)


def _plain(character: str) -> str:
    """One character outside of classes."""
    if character < " " and character not in _CONTROLS:
        raise NotPortable(f"the control character U+{ord(character):04X}")
    return escape_regex(character)


def _anchor(kind: AnchorKind, dialect: _RegexDialect) -> str:
    match kind:
        case "begin":
            return r"\A" if dialect.multiline else "^"
        case "line begin":
            return "^"
        case "end":
            return dialect.end
        case "line end":
            return "$"
        case "word":
            return dialect.word_boundary
        case "no word":
            raise NotPortable(r"the escape \B")
        case _:
            assert_never(kind)


def _count(least: int, most: int | None) -> str:
    match least, most:
        case 0, None:
            return "*"
        case 1, None:
            return "+"
        case 0, 1:
            return "?"
        case _, None:
            return f"{{{least},}}"
        case _ if least == most:
            return f"{{{least}}}"
        case _:
            return f"{{{least},{most}}}"


def _class(negated: bool, items: tuple[CharacterRange | NamedClass, ...]) -> str:
    parts: list[str] = []
    # Written from the end, since a vertical tab asks what follows it.
    for item in reversed(items):
        match item:
            case CharacterRange(first, last):
                following = parts[-1] if parts else ""
                if first == last:
                    parts.append(_in_class(first, following))
                else:
                    end = _in_class(last, following)
                    parts.append(f"{_in_class(first, '-')}-{end}")
            case NamedClass(name, False) if name in _CLASSES:
                parts.append(_CLASSES[name])
            case NamedClass(name) if name.startswith(":"):
                raise NotPortable("a named class")
            case NamedClass(name, turned):
                sign = name.swapcase() if turned else name
                raise NotPortable(f"the escape \\{sign} in a class")
    return "".join(("[^" if negated else "[", *reversed(parts), "]"))


def _in_class(character: str, following: str) -> str:
    if character == "\v" and following[:1] not in _HEXADECIMAL_DIGITS:
        # `\v` is more than a vertical tab elsewhere, and PostgreSQL takes any number of digits.
        return r"\x0b"
    if character in _CONTROLS:
        return _CONTROLS[character]
    if character < " ":
        raise NotPortable(f"the control character U+{ord(character):04X} in a class")
    # Java and others give some of these a meaning inside a class.
    return "\\" + character if character in "\\[]&^-" else character
