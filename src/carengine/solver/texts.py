"""Which texts a set of tests leaves: patterns, expressions and networks as regular languages.

``Texts`` says what is known of one text: tests that it passes and tests that it fails. ``is_empty``
decides whether such a text can exist. Most can, and an example is found by trying texts that are
put together from the patterns themselves; each try is judged by the same functions that judge
events. Where none is found, tests read along together, one character at a time, over an alphabet of
as many characters as they can tell apart, until a text is found or every state has been visited.
They begin with none, and each text that is found and breaks another test brings this one in::

    passes "a*", passes "b*"             no text: after the first character one of them is lost
    passes "x.exe", fails "*.exe"        no text: the only candidate fails
    fails "a", fails "b"                 "" is one

Case is folded, as everywhere. Cased patterns and expressions that ``regexes`` does not read are
widened (a test to be passed) or left out (one to be failed), so that "no text" is always right;
only "there may be one" can be too careful. The search is bounded by the work a ``Budget`` allows,
and ``is_empty`` is None where that is used up.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import islice, product
from typing import assert_never

from attrs import evolve, frozen

from .. import ir
from ..evaluate import test_value
from ..pattern import Any, One, Pattern, PatternList, fold, tokenize
from ..values import network_of
from .text_search import (
    NUMERIC,
    SEPARATORS,
    Budget,
    Texts,
    TextTest,
    depends_on_case,
    in_order,
    search,
    size_of,
)

__all__ = ["Budget", "TextTest", "Texts", "example", "is_empty", "is_within", "reduced", "size_of"]

_MAX_TRIES = 60
_MAX_PAIRS = 4_000
_MAX_PATTERN = 2_000
# Only texts that are tried one by one, and patterns of which each is looked at by itself.
_MAX_EXACT = 1_000
_MAX_AT_ONCE = 8
# Steps that trying texts may cost before a text is searched for.
_MOST_TRYING = 200_000


def is_empty(texts: Texts, budget: Budget) -> bool | None:
    """Whether no text is as described; None where that could not be found out within the budget."""
    if texts not in budget.known:
        budget.known[texts] = _is_empty(texts, budget)
    return budget.known[texts]


def _is_empty(texts: Texts, budget: Budget) -> bool | None:
    texts = evolve(texts, passes=reduced(texts.passes, texts.fails))
    if depends_on_case(texts):
        found = _in_case(texts, budget)
        if found is not None:
            return found is True
    cost = _cost_of_fitting(texts)
    exact = _candidates(texts)
    if exact is not None:
        for text in exact:
            if not budget.spend(cost):
                return None
            if _fits(text, texts):
                return False
        return True
    for text in islice(_tries(texts), _most_tries(cost)):
        if not budget.spend(cost):
            return None
        if _fits(text, texts):
            return False
    if _addresses_exclude(texts):
        return True
    refined = _refined(texts, budget)
    return False if isinstance(refined, str) else refined


def example(texts: Texts, budget: Budget) -> str | None:
    """A text that is as described, folded unless a test heeds case; None where there is none, or
    none was found within the budget.

    >>> from ..pattern import Pattern
    >>> starts, ends = (ir.Match(ir.Raw(()), (Pattern(text),)) for text in ("a*", "*b"))
    >>> example(Texts(frozenset({starts, ends})), Budget())
    'ab'
    """
    texts = evolve(texts, passes=reduced(texts.passes, texts.fails))
    if depends_on_case(texts):
        written = _in_case(texts, budget)
        if written is not None:
            return written if isinstance(written, str) else None
    cost = _cost_of_fitting(texts)
    exact = _candidates(texts)
    most = _most_tries(cost)
    for text in islice(_tries(texts), most) if exact is None else exact[:_MAX_EXACT]:
        if not budget.spend(cost):
            return None
        if _fits(text, texts):
            return text
    found = _refined(texts, budget) if exact is None else None
    return found if isinstance(found, str) else None


def _in_case(texts: Texts, budget: Budget) -> str | bool | None:
    """A text as it is written that is as described, or True where there is none, found with as few
    of the tests as it takes; None where it is not known, or a test cannot be read in this way."""
    passes, fails = in_order(texts.passes), in_order(texts.fails)
    if any(isinstance(one, ir.Match) and len(one.patterns) > _MAX_AT_ONCE for one in passes):
        return None
    cost = 6 * (size_of(passes) + size_of(fails))
    some = evolve(texts, passes=frozenset(), fails=frozenset())
    while True:
        if not budget.spend(cost):
            return None
        found = search(some, budget, in_case=True)
        if not isinstance(found, str):
            return found
        broken = next((one for one in passes if test_value(one, found) is not True), None)
        kept = next((one for one in fails if test_value(one, found) is True), None)
        if broken is None and kept is None:
            return found
        more = evolve(
            some,
            passes=some.passes if broken is None else some.passes | {broken},
            fails=some.fails if kept is None else some.fails | {kept},
        )
        if more == some:
            return None
        some = more


def _cost_of_fitting(texts: Texts) -> int:
    return 3 * (1 + size_of(texts.passes) + size_of(texts.fails))


def _most_tries(cost: int) -> int:
    """How many texts are tried: fewer where a try costs much, as the search is then the shorter
    way."""
    return max(4, min(_MAX_TRIES, _MOST_TRYING // cost))


def reduced(passes: frozenset[TextTest], fails: frozenset[TextTest]) -> frozenset[TextTest]:
    """The tests to be passed, without the patterns of which each text breaks a test to be failed.

    Of two long lists that have most of their patterns in common, this leaves the few that tell them
    apart.

    >>> one, two = (ir.Match(ir.Raw(()), tuple(map(Pattern, texts))) for texts in ("ab", "a"))
    >>> [found] = reduced(frozenset({one}), frozenset({two}))
    >>> [pattern.text for pattern in found.patterns]
    ['b']
    """
    barred = [p for test in fails if isinstance(test, ir.Match) for p in test.patterns]
    if not barred:
        return passes
    # Lists of thousands have most in common as they are written: a set finds that at once.
    written = {p if p.cased else fold(p.text) for p in barred}
    several: _Barred | None = None
    made: set[TextTest] = set()
    for test in passes:
        if isinstance(test, ir.Match):
            kept = tuple(p for p in test.patterns if not _is_written(p, written))
            if len(kept) * len(barred) <= _MAX_PAIRS:
                kept = tuple(p for p in kept if not any(is_within(p, q) for q in barred))
            else:
                several = several or _Barred.of(barred)
                kept = tuple(p for p in kept if not several.hold(p))
            test = test if len(kept) == len(test.patterns) else evolve(test, patterns=kept)
        made.add(test)
    return frozenset(made)


@frozen
class _Barred:
    """Many patterns, of which one may plainly hold all texts of another one."""

    folded: PatternList
    cased: PatternList

    @classmethod
    def of(cls, patterns: Iterable[Pattern]) -> _Barred:
        plain = [pattern for pattern in patterns if _is_plain(pattern)]
        return cls(
            PatternList.of(pattern for pattern in plain if not pattern.cased),
            PatternList.of(pattern for pattern in plain if pattern.cased),
        )

    def hold(self, inner: Pattern) -> bool:
        written = _as_characters(inner)
        return self.folded.matches(written) or (inner.cased and self.cased.matches(written))


def _is_written(pattern: Pattern, written: set[Pattern | str]) -> bool:
    """Whether a pattern is one of others as these are written, or one of them without case."""
    return fold(pattern.text) in written or (pattern.cased and pattern in written)


@lru_cache(maxsize=65536)
def is_within(inner: Pattern, outer: Pattern) -> bool:
    """Whether it is plain that each text that matches a pattern matches another one, too.

    The wildcards of the one are read as characters, which only a ``*`` of the other takes.

    >>> is_within(Pattern("a*\\\\b.exe"), Pattern("*.exe")), is_within(Pattern("a*"), Pattern("a?"))
    (True, False)
    """
    if outer.cased and not inner.cased:
        return False
    if inner.text == outer.text:
        return True
    return _is_plain(outer) and outer.matches(_as_characters(inner))


def _is_plain(pattern: Pattern) -> bool:
    """Whether only the ``*`` of a pattern takes the characters that wildcards are written with."""
    return not any(
        isinstance(token, One) or (isinstance(token, str) and ("*" in token or "?" in token))
        for token in tokenize(pattern.text)
    )


def _as_characters(pattern: Pattern) -> str:
    """A pattern as a text, its wildcards as characters."""
    return "".join(
        "*" if isinstance(token, Any) else "?" if isinstance(token, One) else token
        for token in tokenize(pattern.text)
    )


def _refined(texts: Texts, budget: Budget) -> str | bool | None:
    """A text, or True where there is none, found with as few of the tests as it takes.

    A text is looked for that some of the tests leave. The tests that it breaks are added to these,
    until a text breaks none, or there is no text. Of a long list of patterns one after the other
    is the one to be matched.
    """
    listed = [
        test
        for test in texts.passes
        if isinstance(test, ir.Match) and len(test.patterns) > _MAX_AT_ONCE
    ]
    if not listed:
        return _refined_at_once(texts, budget)
    long = min(listed, key=lambda test: len(test.patterns))
    others = texts.passes - {long}
    open_ = False
    for pattern in long.patterns:
        one = evolve(texts, passes=others | {evolve(long, patterns=(pattern,))})
        found = _refined(one, budget) if len(listed) > 1 else _refined_at_once(one, budget)
        if isinstance(found, str):
            return found
        open_ = open_ or found is None
        if budget.left <= 0:
            return None
    return None if open_ else True


def _refined_at_once(texts: Texts, budget: Budget) -> str | bool | None:
    passes, fails = in_order(texts.passes), in_order(texts.fails)
    cost = 6 * (size_of(passes) + size_of(fails))
    some = evolve(texts, passes=frozenset(), fails=frozenset())
    while True:
        if not budget.spend(cost):
            return None
        found = search(some, budget)
        if not isinstance(found, str):
            return found
        broken = [test for test in passes if not _passes(test, found, doubt=True)]
        kept = next((test for test in fails if _passes(test, found, doubt=False)), None)
        more = evolve(
            some,
            passes=some.passes.union(broken[:1]),
            fails=some.fails if kept is None else some.fails | {_to_blame(kept, found)},
        )
        if more == some:
            # What is broken is nothing that is read along: there may be such a text.
            return found
        some = more


def _to_blame(test: TextTest, text: str) -> TextTest:
    """A test that a text passes, with the first of its patterns alone that the text matches: to
    fail it is to fail each."""
    if not isinstance(test, ir.Match):
        return test
    alone = (evolve(test, patterns=(pattern,)) for pattern in test.patterns)
    return next(one for one in alone if _passes(one, text, doubt=False))


# Candidates and tries


def _candidates(texts: Texts) -> list[str] | None:
    """The only texts that pass a test of plain texts; None where no test is one."""
    for test in texts.passes:
        if isinstance(test, ir.Match):
            exact = [pattern.exact for pattern in test.patterns]
            if all(text is not None for text in exact):
                return [fold(text) for text in exact if text is not None]
    return None


def _fits(text: str, texts: Texts) -> bool:
    """Whether a folded text is as described, cased tests given the benefit of the doubt."""
    if texts.base_name and not SEPARATORS.isdisjoint(text):
        return False
    if texts.number and not _may_be_number(text):
        return False
    return all(_passes(test, text, doubt=True) for test in texts.passes) and not any(
        _passes(test, text, doubt=False) for test in texts.fails
    )


def _passes(test: TextTest, text: str, *, doubt: bool) -> bool:
    match test:
        case ir.Regex(cased=True):
            return doubt
        case ir.Match(_, patterns) if any(pattern.cased for pattern in patterns):
            if doubt:
                return any(Pattern(pattern.text).matches(text) for pattern in patterns)
            return any(pattern.matches(text) for pattern in patterns if not pattern.cased)
        case ir.Match() | ir.Regex() | ir.InNetwork():
            return test_value(test, text) is True
        case _:
            assert_never(test)


def _may_be_number(text: str) -> bool:
    """Whether a folded text could spell a number; a few that do not pass too."""
    return any(c.isdigit() for c in text) and all(c in NUMERIC or not c.isascii() for c in text)


def _tries(texts: Texts) -> Iterator[str]:
    """Texts that may be as described: from the patterns' ends, their middles, with and without
    filling."""
    passes = in_order(texts.passes)
    options = [
        test.patterns[:4]
        for test in passes
        if isinstance(test, ir.Match) and len(test.patterns[0].text) <= _MAX_PATTERN
    ]
    if not options:
        yield from ("", "\x01", "1", "0x1", "10.0.0.1", "x")
    for chosen in islice(product(*options), 16):
        for filling in ("", "\x01", "1"):
            yield _overlaid(chosen, filling)
    yield from addresses(texts)


def _overlaid(patterns: Sequence[Pattern], filling: str) -> str:
    """One text for several patterns: the longest beginning, all middles, the longest end."""
    head, tail, middles = "", "", []
    for pattern in patterns:
        pieces = _pieces(pattern)
        head = max(head, pieces[0], key=len)
        if len(pieces) > 1:
            tail = max(tail, pieces[-1], key=len)
            middles += [piece for piece in pieces[1:-1] if piece]
    parts = [head, *dict.fromkeys(middles), tail]
    return filling.join(part for part in parts if part) if len(parts) > 2 else head + filling + tail


@lru_cache(maxsize=4096)
def _pieces(pattern: Pattern) -> tuple[str, ...]:
    """The texts between the ``*`` of a pattern, ``?`` filled."""
    pieces = [""]
    for token in tokenize(fold(pattern.text)):
        match token:
            case Any():
                pieces.append("")
            case One():
                pieces[-1] += "\x01"
            case str():
                pieces[-1] += token
    return tuple(pieces)


# Addresses


def addresses(texts: Texts) -> Iterator[str]:
    """Addresses, one of each range that is in all networks that a text must be in and in none that
    it must not be in.

    >>> wide, narrow = (ir.InNetwork(ir.Raw(()), (n,)) for n in ("10.0.0.0/8", "10.0.0.0/16"))
    >>> list(addresses(Texts(frozenset({wide}), frozenset({narrow}))))
    ['10.1.0.0']
    """
    for version, ranges in _addresses_left(texts):
        kind = ipaddress.IPv4Address if version == 4 else ipaddress.IPv6Address
        yield from (str(kind(low)) for low, _ in ranges[:_MOST_RANGES])


_MOST_RANGES = 4


def _addresses_exclude(texts: Texts) -> bool:
    """Whether no address is in all networks that it must be in and in none that it must not."""
    if not any(isinstance(test, ir.InNetwork) for test in texts.passes):
        return False
    return not any(ranges for _, ranges in _addresses_left(texts))


def _addresses_left(texts: Texts) -> Iterator[tuple[int, list[_Range]]]:
    """The addresses of each version that are where they must be; none where they need not be
    in any network."""
    wanted = [test for test in texts.passes if isinstance(test, ir.InNetwork)]
    barred = [network for t in texts.fails if isinstance(t, ir.InNetwork) for network in t.networks]
    for version, bits in ((4, 32), (6, 128)) if wanted else ():
        left = [(0, 2**bits - 1)]
        for test in wanted:
            left = _common(left, _ranges(test.networks, version))
        if version == 6:
            # An IPv4 address in IPv6 clothes is read as what it is.
            mapped = ipaddress.IPv6Network("::ffff:0:0/96")
            left = _without(left, [_range(mapped)])
        yield version, _without(left, _ranges(barred, version))


_Range = tuple[int, int]


def _range(net: ipaddress.IPv4Network | ipaddress.IPv6Network) -> _Range:
    return int(net.network_address), int(net.broadcast_address)


def _ranges(networks: Iterable[str], version: int) -> list[_Range]:
    nets = [net for text in networks if (net := network_of(text)) and net.version == version]
    return [_range(net) for net in nets]


def _common(left: list[_Range], right: list[_Range]) -> list[_Range]:
    pairs = [(max(a, c), min(b, d)) for a, b in left for c, d in right]
    return list(dict.fromkeys(pair for pair in pairs if pair[0] <= pair[1]))


def _without(left: list[_Range], barred: list[_Range]) -> list[_Range]:
    for low, high in barred:
        parts = [part for a, b in left for part in ((a, min(b, low - 1)), (max(a, high + 1), b))]
        left = list(dict.fromkeys(part for part in parts if part[0] <= part[1]))
    return left
