"""Whether the JSON of an event could have one of some texts in it, told from its bytes.

Some rules look for words anywhere in an event, and so in every event that there is. Most JSON is
ruled out by one quick search for a few *fragments* of these words in all ways of writing their
letters: vectorised where the processor allows it, it runs over the bytes many times faster than an
automaton for the words themselves. That one is asked about the rest::

    sekurlsa::logon, privilege::debug, mimidrv.sys   ->  "::", "mimi", "Mimi", "mImi", …
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Callable, Collection, Iterable
from functools import lru_cache
from typing import Any

import re2
from attrs import frozen

Matcher: Any
try:
    from ahocorasick_rs import BytesAhoCorasick as Matcher
    from ahocorasick_rs import MatchKind
except ImportError:
    Matcher = None

MightHold = Callable[[bytes], bool]

_FILTER_BYTES = 4_000_000
_LETTERS = (4, 3)
_SYMBOLS = 2
# What folds to a letter of ASCII and is none.
_FOLDED = {"k": "\u212a", "s": "\u017f"}
_SYMBOL = re.compile(r"[^\w\s]+")
# More than this are not looked for by vectors; of no more than so few, twice as many bytes at once.
_MOST_WRITTEN = 60
_FEW_WRITTEN = 32
# The letters of English, the most common first.
_COMMON = "etaoinsrhldcumfpgwybvkxjqz"


@frozen(eq=False)
class Search:
    """Says of JSON, in UTF-8, whether a string in it could have one of some texts. It errs on the
    side of yes.

    Where ``maybe`` finds nothing ``might_hold`` says no. It is quicker, and errs more often.
    """

    might_hold: MightHold
    maybe: Callable[[bytes], object]


def any_of(texts: Collection[str]) -> Search:
    """The search for these texts, which are folded and of plain ASCII characters.

    >>> search = any_of(["mimikatz"])
    >>> search.might_hold(b'{"a": "MimiKatz"}'), search.might_hold(b'{"a": "mimicry"}')
    (True, False)
    """
    return _any_of(frozenset(texts))


@lru_cache(maxsize=64)
def _any_of(texts: frozenset[str]) -> Search:
    # Most classes of events ask for the same texts: those of rules that look for words wherever
    # they are.
    known = sorted(texts)
    options = re2.Options()
    options.never_capture = True
    options.log_errors = False
    options.max_mem = _FILTER_BYTES
    plain = sorted(set("".join(known)))
    characters = [*dict.fromkeys(way for c in plain for way in _ways(c)), *_beyond(plain)]
    escapes = "|".join(f"{ord(c):04x}" for c in characters)
    expression = f"(?i)\\\\u(?:{escapes})|" + "|".join(map(re2.escape, known))
    search = re2.compile(expression.encode(), options).search
    quick = _quick(known, characters)
    if quick is None:
        return Search(lambda line: search(line) is not None, search)
    return Search(lambda line: bool(quick(line)) and search(line) is not None, quick)


def written_ways(texts: Collection[str]) -> tuple[list[str] | None, list[str]]:
    """What JSON that could have one of these texts has a part of, case ignored: fragments that are
    quick to look for (None where they are too many), and the texts themselves in all ways to write
    them."""
    return _written_ways(frozenset(texts))


@lru_cache(maxsize=64)
def _written_ways(texts: frozenset[str]) -> tuple[list[str] | None, list[str]]:
    known = sorted(texts)
    plain = sorted(set("".join(known)))
    characters = [*dict.fromkeys(way for c in plain for way in _ways(c)), *_beyond(plain)]
    written = [*known, *map(_escape, characters), *_beyond(plain)]
    fragments = _few_written(known, characters)
    quick = None if fragments is None else [fragment.decode() for fragment in fragments]
    return quick, list(dict.fromkeys(written))


def _ways(character: str) -> tuple[str, ...]:
    """The ways to write a character in ASCII."""
    return tuple(dict.fromkeys((character, character.upper())))


def _beyond(text: Iterable[str]) -> list[str]:
    """The characters beyond ASCII that fold to one of these."""
    return [_FOLDED[character] for character in text if character in _FOLDED]


def _quick(texts: list[str], characters: list[str]) -> Callable[[bytes], list[Any]] | None:
    """What finds fragments of all texts, however they are written; None where there are too
    many."""
    written = None if Matcher is None else _few_written(texts, characters)
    if written is None:
        return None
    # Only this kind of search is vectorised.
    find: Callable[[bytes], list[Any]] = Matcher(
        written, matchkind=MatchKind.LeftmostFirst
    ).find_matches_as_indexes
    return find


def _few_written(texts: list[str], characters: list[str]) -> list[bytes] | None:
    written = _written(texts, characters, _LETTERS[0])
    if len(written) > _FEW_WRITTEN:
        shorter = _written(texts, characters, _LETTERS[1])
        written = shorter if len(shorter) <= _FEW_WRITTEN else written
    return None if len(written) > _MOST_WRITTEN else written


def _written(texts: list[str], characters: list[str], letters: int) -> list[bytes]:
    """Fragments of all texts, of so many letters, in all the ways to write them."""
    # The escapes of letters have their first five characters in common.
    escapes = [e[:5] if c.isalpha() else e for c in characters for e in (_escape(c),)]
    fragments = _fragments(texts, letters)
    # What is no letter goes first: the buckets of the vectorised search come out better so.
    written = [text for escape in escapes for text in (escape, _upper_hex(escape))]
    written += _beyond("".join(fragments))
    for fragment in fragments:
        written += map("".join, itertools.product(*map(_ways, fragment)))
    return [text.encode() for text in dict.fromkeys(written)]


def _escape(character: str) -> str:
    return f"\\u{ord(character):04x}"


def _upper_hex(escape: str) -> str:
    return escape[:2] + escape[2:].upper()


def _fragments(texts: list[str], letters: int) -> list[str]:
    """Few short texts of which each of the texts has one, with few ways to write them."""
    holders: dict[str, set[str]] = {}
    for text in texts:
        for fragment in _fragments_of(text, letters):
            holders.setdefault(fragment, set()).add(text)
    chosen = []
    left = set(texts)
    while left:
        best = min(holders, key=lambda f: (-len(holders[f] & left) / _number(f), -_rarity(f), f))
        chosen.append(best)
        left -= holders[best]
    return chosen


def _fragments_of(text: str, letters: int) -> Collection[str]:
    fragments = {
        text[at : at + length]
        for length in (_SYMBOLS, letters)
        for at in range(len(text) - length + 1)
    }
    # Endings of file names (".exe") and single words are too common.
    rare = {f for f in fragments if (f.isalpha() and len(f) == letters) or _SYMBOL.fullmatch(f)}
    return rare or {f for f in fragments if len(f) == letters} or {text}


def _rarity(fragment: str) -> int:
    """How rare its beginning is: the search looks closer wherever a text has the first two
    characters."""
    return sum(weight * _COMMON.find(c) for weight, c in zip((2, 1), fragment, strict=False))


def _number(fragment: str) -> int:
    return math.prod(len(_ways(character)) for character in fragment)
