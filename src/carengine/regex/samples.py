"""Short texts in which an expression is found, for examples of what it matches."""

from __future__ import annotations

from typing import assert_never

from .syntax import (
    Alternation,
    Anchor,
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

_MOST_REPEATED = 1_000
_MOST_WAYS = 4
_LONGEST = 4_000
_USUAL = "a1A x0-._/\\:,;=+*()[]{}'\"@#$%&!?<>|~^`\t"


def sample_texts(pattern: str) -> tuple[str, ...]:
    """A few texts that an expression probably matches, the shortest ones that are easy to write
    down; none for one that cannot be read. Whoever uses one has to try it.

    >>> sample_texts("a(b|cd){2}[0-9]+$")
    ('abb1', 'acdcd1')
    """
    try:
        root = parse_regex(pattern).root
    except RegexError:
        return ()
    found = (_sample(root, way) for way in range(_MOST_WAYS))
    return tuple(dict.fromkeys(text for text in found if text is not None))


def _sample(node: RegexNode, way: int) -> str | None:
    """A text for a node, of several alternatives that of a number; None where it would be long."""
    match node:
        case LiteralCharacter(text):
            return text
        case AnyCharacter():
            return "x"
        case CharacterClass(negated, items):
            return _member(negated, items)
        case Anchor():
            return ""
        case RegexGroup(item):
            return _sample(item, way)
        case Concatenation(items):
            parts = [_sample(item, way) for item in items]
            whole = "".join(part for part in parts if part is not None)
            return None if None in parts or len(whole) > _LONGEST else whole
        case Alternation(items):
            return _sample(items[way % len(items)], way)
        case Repetition(item, least, most):
            times = least if least or way % 2 == 0 or most == 0 else 1
            inner = _sample(item, way)
            if inner is None or times > _MOST_REPEATED or len(inner) * times > _LONGEST:
                return None
            return inner * times
        case _:
            assert_never(node)


def _member(negated: bool, items: tuple[CharacterRange | NamedClass, ...]) -> str | None:
    """A character of a class: the first that is usual, else the first of its first range."""
    for character in _USUAL:
        if any(_takes(item, character) for item in items) is not negated:
            return character
    for item in items if not negated else ():
        if isinstance(item, CharacterRange):
            return item.first
    return None


def _takes(item: CharacterRange | NamedClass, character: str) -> bool:
    match item:
        case CharacterRange(first, last):
            return first <= character <= last
        case NamedClass(name, negated):
            kinds = {
                "d": character.isdigit(),
                "w": character.isalnum() or character == "_",
                "s": character.isspace(),
                "alpha": character.isalpha(),
                "digit": character.isdigit(),
                "alnum": character.isalnum(),
                "upper": character.isupper(),
                "lower": character.islower(),
                "space": character.isspace(),
                "punct": not character.isalnum() and not character.isspace(),
                "xdigit": character in "0123456789abcdefABCDEF",
            }
            return kinds.get(name, False) is not negated
        case _:
            assert_never(item)
