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
from heapq import heappop, heappush
from itertools import islice, product
from typing import Protocol, assert_never

from attrs import evolve, frozen

from .. import ir
from ..evaluate import test_value
from ..pattern import Any, One, Pattern, fold, tokenize
from ..regex import FOLDED_ASCII, OTHER
from ..regex import automaton as regexes
from ..values import network_of

TextTest = ir.Match | ir.Regex | ir.InNetwork

_MAX_TRIES = 60
_MAX_PAIRS = 40_000
_MAX_PATTERN = 2_000
_SEPARATORS = frozenset("\\/")


class Budget:
    """How much work one rule may cost, in steps of about a quarter of a microsecond, and what was
    found out."""

    def __init__(self, steps: int = 4_000_000) -> None:
        self.left = steps
        self.known: dict[Texts, bool | None] = {}

    def spend(self, steps: int) -> bool:
        """Take steps off; False where there are none left."""
        self.left -= steps
        return self.left > 0


@frozen
class Texts:
    """What is known of a text.

    ``base_name``: no ``\\`` and no ``/`` is in it. ``number``: it spells a number. The field of the
    tests is not looked at.
    """

    passes: frozenset[TextTest] = frozenset()
    fails: frozenset[TextTest] = frozenset()
    base_name: bool = False
    number: bool = False


def is_empty(texts: Texts, budget: Budget) -> bool | None:
    """Whether no text is as described; None where that could not be found out within the budget."""
    if texts not in budget.known:
        budget.known[texts] = _is_empty(texts, budget)
    return budget.known[texts]


def _is_empty(texts: Texts, budget: Budget) -> bool | None:
    texts = evolve(texts, passes=reduced(texts.passes, texts.fails))
    exact = _candidates(texts)
    if exact is not None:
        budget.spend(len(exact) * (len(texts.passes) + len(texts.fails)))
        return not any(_fits(text, texts) for text in exact)
    cost = 3 * (1 + len(texts.passes) + len(texts.fails))
    for text in islice(_tries(texts), _MAX_TRIES):
        if not budget.spend(cost):
            return None
        if _fits(text, texts):
            return False
    if _addresses_exclude(texts):
        return True
    found = _refined(texts, budget)
    return False if isinstance(found, str) else found


def example(texts: Texts, budget: Budget) -> str | None:
    """A folded text that is as described; None where there is none, or none was found within the
    budget.

    >>> from ..pattern import Pattern
    >>> starts, ends = (ir.Match(ir.Raw(()), (Pattern(text),)) for text in ("a*", "*b"))
    >>> example(Texts(frozenset({starts, ends})), Budget())
    'ab'
    """
    texts = evolve(texts, passes=reduced(texts.passes, texts.fails))
    cost = 3 * (1 + len(texts.passes) + len(texts.fails))
    exact = _candidates(texts)
    for text in islice(_tries(texts) if exact is None else exact, _MAX_TRIES):
        if not budget.spend(cost):
            return None
        if _fits(text, texts):
            return text
    found = _refined(texts, budget) if exact is None else None
    return found if isinstance(found, str) else None


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
    made: set[TextTest] = set()
    for test in passes:
        if isinstance(test, ir.Match) and len(test.patterns) * len(barred) <= _MAX_PAIRS:
            kept = tuple(p for p in test.patterns if not any(is_within(p, q) for q in barred))
            test = test if len(kept) == len(test.patterns) else evolve(test, patterns=kept)
        made.add(test)
    return frozenset(made)


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
    for token in tokenize(outer.text):
        if isinstance(token, One) or (isinstance(token, str) and ("*" in token or "?" in token)):
            return False
    written = "".join(
        "*" if isinstance(token, Any) else "?" if isinstance(token, One) else token
        for token in tokenize(inner.text)
    )
    return outer.matches(written)


def _refined(texts: Texts, budget: Budget) -> str | bool | None:
    """A text, or True where there is none, found with as few of the tests as it takes.

    A text is looked for that some of the tests leave. The tests that it breaks are added to these,
    until a text breaks none, or there is no text.
    """
    passes, fails = _in_order(texts.passes), _in_order(texts.fails)
    some = evolve(texts, passes=frozenset(), fails=frozenset())
    while True:
        readers = _readers(some)
        if readers is None:
            return None
        found = _search(readers, budget)
        if not isinstance(found, str):
            return found
        broken = [test for test in passes if not _passes(test, found, doubt=True)]
        kept = [test for test in fails if _passes(test, found, doubt=False)]
        more = evolve(some, passes=some.passes.union(broken[:1]), fails=some.fails.union(kept[:1]))
        if more == some:
            # What is broken is nothing that is read along: there may be such a text.
            return found
        some = more


# Candidates and tries


def _in_order(tests: Iterable[TextTest]) -> list[TextTest]:
    """The tests in an order that is the same in every run."""
    return sorted(tests, key=repr)


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
    if texts.base_name and not _SEPARATORS.isdisjoint(text):
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


_NUMERIC = frozenset("0123456789abcdefx.+-") | frozenset(" \t\n\r\v\f")


def _may_be_number(text: str) -> bool:
    """Whether a folded text could spell a number; a few that do not pass too."""
    return any(c.isdigit() for c in text) and all(c in _NUMERIC or not c.isascii() for c in text)


def _tries(texts: Texts) -> Iterator[str]:
    """Texts that may be as described: from the patterns' ends, their middles, with and without
    filling."""
    passes = _in_order(texts.passes)
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
    # The networks' first addresses.
    for test in passes:
        if isinstance(test, ir.InNetwork):
            for network in test.networks[:4]:
                net = network_of(network)
                if net is not None:
                    yield str(net.network_address)


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


def _addresses_exclude(texts: Texts) -> bool:
    """Whether no address is in all networks that it must be in and in none that it must not."""
    wanted = [test for test in texts.passes if isinstance(test, ir.InNetwork)]
    if not wanted:
        return False
    barred = [network for t in texts.fails if isinstance(t, ir.InNetwork) for network in t.networks]
    for version, bits in ((4, 32), (6, 128)):
        left = [(0, 2**bits - 1)]
        for test in wanted:
            left = _common(left, _ranges(test.networks, version))
        if version == 6:
            # An IPv4 address in IPv6 clothes is read as what it is.
            mapped = ipaddress.IPv6Network("::ffff:0:0/96")
            left = _without(left, [_range(mapped)])
        if _without(left, _ranges(barred, version)):
            return False
    return True


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


# Reading along


class _TextTestReader(Protocol):
    """One test that reads a text character by character. States are hashable."""

    @property
    def start(self) -> object:
        """The state before the first character."""

    def classify(self, character: str) -> object:
        """Characters with equal classes are one to this test."""

    def step(self, state: object, character: str) -> object:
        """The state after one more character."""

    def good(self, state: object) -> bool:
        """Whether the text may end here."""

    def lost(self, state: object) -> bool:
        """Whether no continuation is good."""

    def distance(self, state: object) -> int:
        """About how many more characters it takes."""


@frozen(eq=False)
class _Wildcards:
    """One pattern as a set of places in it (the bits of a number).

    From a ``*`` every text can be reached that could be reached from a place before it, so that
    places before the last ``*`` reached are dropped.
    """

    masks: dict[str, int]
    anything: int
    loops: int
    length: int

    @classmethod
    def of(cls, pattern: Pattern) -> _Wildcards:
        masks: dict[str, int] = {}
        anything = loops = place = 0
        for token in tokenize(fold(pattern.text)):
            match token:
                case Any():
                    loops |= 1 << place
                case One():
                    anything |= 1 << place
                    place += 1
                case str():
                    for character in token:
                        masks[character] = masks.get(character, 0) | 1 << place
                        place += 1
        return cls(masks, anything, loops, place)

    def step(self, places: int, character: str) -> int:
        taken = self.masks.get(character, 0) | self.anything
        after = (places & taken) << 1 | places & self.loops
        held = after & self.loops
        if held:
            after &= -1 << (held.bit_length() - 1)
        return after

    def accepts(self, places: int) -> bool:
        return bool(places >> self.length & 1)

    def always(self, places: int) -> bool:
        return self.accepts(places) and bool(self.loops >> self.length & 1)


@frozen(eq=False)
class _Passes:
    """A test of patterns that must be passed: one of them has to match."""

    patterns: tuple[_Wildcards, ...]

    @property
    def start(self) -> object:
        return (1,) * len(self.patterns)

    def classify(self, character: str) -> object:
        return tuple(pattern.masks.get(character, 0) for pattern in self.patterns)

    def step(self, state: object, character: str) -> object:
        assert isinstance(state, tuple)
        return tuple(p.step(s, character) for p, s in zip(self.patterns, state, strict=True))

    def good(self, state: object) -> bool:
        assert isinstance(state, tuple)
        return any(p.accepts(s) for p, s in zip(self.patterns, state, strict=True))

    def lost(self, state: object) -> bool:
        assert isinstance(state, tuple)
        return not any(state)

    def distance(self, state: object) -> int:
        assert isinstance(state, tuple)
        return min(
            (p.length - s.bit_length() + 1 for p, s in zip(self.patterns, state, strict=True) if s),
            default=0,
        )


@frozen(eq=False)
class _Fails:
    """A pattern that must not match."""

    pattern: _Wildcards

    @property
    def patterns(self) -> tuple[_Wildcards, ...]:
        return (self.pattern,)

    @property
    def start(self) -> object:
        return 1

    def classify(self, character: str) -> object:
        return self.pattern.masks.get(character, 0)

    def step(self, state: object, character: str) -> object:
        assert isinstance(state, int)
        return self.pattern.step(state, character)

    def good(self, state: object) -> bool:
        assert isinstance(state, int)
        return not self.pattern.accepts(state)

    def lost(self, state: object) -> bool:
        assert isinstance(state, int)
        return self.pattern.always(state)

    def distance(self, state: object) -> int:
        return 0


@frozen(eq=False)
class _Expression:
    """A regular expression that must be found, or must not."""

    searcher: regexes.Searcher
    wanted: bool

    @property
    def start(self) -> object:
        return self.searcher.start

    def classify(self, character: str) -> object:
        return self.searcher.classify(character)

    def step(self, state: object, character: str) -> object:
        return self.searcher.step(state, character)  # type: ignore[arg-type]

    def good(self, state: object) -> bool:
        return self.searcher.accepts(state) == self.wanted  # type: ignore[arg-type]

    def lost(self, state: object) -> bool:
        return not self.wanted and state == regexes.FOUND

    def distance(self, state: object) -> int:
        return 1 if self.wanted and state != regexes.FOUND else 0


@frozen(eq=False)
class _Characters:
    """Which characters may occur at all, and whether a digit must."""

    barred: frozenset[str]
    digit: bool

    @property
    def start(self) -> object:
        return not self.digit

    def classify(self, character: str) -> object:
        return character in self.barred, character.isdigit()

    def step(self, state: object, character: str) -> object:
        return None if character in self.barred else state or character.isdigit()

    def good(self, state: object) -> bool:
        return state is True

    def lost(self, state: object) -> bool:
        return state is None

    def distance(self, state: object) -> int:
        return 0 if state else 1


_NOT_NUMERIC = frozenset(FOLDED_ASCII) - _NUMERIC
# What an address in text may hold before its zone: letters beyond f only stand in the zone.
_ADDRESS = frozenset("0123456789abcdef.:")


def _readers(texts: Texts) -> list[_TextTestReader] | None:
    """One reader a test; None where a pattern is too long to be read."""
    made: list[_TextTestReader] = []
    for wanted, tests in ((True, texts.passes), (False, texts.fails)):
        for test in _in_order(tests):
            match test:
                case ir.Match(_, patterns):
                    if not wanted:
                        patterns = tuple(p for p in patterns if not p.cased)
                    if any(len(pattern.text) > _MAX_PATTERN for pattern in patterns):
                        return None
                    if wanted:
                        made.append(_Passes(tuple(map(_Wildcards.of, patterns))))
                    else:
                        made += [_Fails(_Wildcards.of(pattern)) for pattern in patterns]
                case ir.Regex():
                    searcher = regexes.searcher(test)
                    if searcher is not None:
                        made.append(_Expression(searcher, wanted))
                case ir.InNetwork():
                    # That a text is in no network says nothing about its characters.
                    if wanted:
                        made.append(_Address())
                case _:
                    assert_never(test)
    if texts.base_name:
        made.append(_Characters(_SEPARATORS, digit=False))
    if texts.number:
        made.append(_Characters(_NOT_NUMERIC, digit=True))
    return made


@frozen(eq=False)
class _Address:
    """The text may be an address: digits, dots and colons, blanks around, and anything after
    ``%``."""

    @property
    def start(self) -> object:
        return "empty"

    def classify(self, character: str) -> object:
        return character == "%", character in _ADDRESS, character.isspace()

    def step(self, state: object, character: str) -> object:
        if state in ("zone", "lost"):
            return state
        if character == "%":
            return "zone" if state == "some" else "lost"
        if character in _ADDRESS:
            return "some"
        return state if character.isspace() or not character.isascii() else "lost"

    def good(self, state: object) -> bool:
        return state in ("some", "zone")

    def lost(self, state: object) -> bool:
        return state == "lost"

    def distance(self, state: object) -> int:
        return 1 if state == "empty" else 0


def _search(readers: list[_TextTestReader], budget: Budget) -> str | bool | None:
    """A text that is good for all readers; True where there is none, None where the search is too
    long."""
    alphabet = _alphabet(readers)
    start = tuple(reader.start for reader in readers)
    seen = {start}
    queue: list[tuple[int, int, tuple[object, ...], str]] = [(0, 0, start, "")]
    cost = 4 * (1 + len(readers)) * len(alphabet)
    budget.spend(150 * (1 + len(readers)))
    share = budget.left // 10
    while queue:
        _, _, states, text = heappop(queue)
        if all(r.good(s) for r, s in zip(readers, states, strict=True)):
            return text
        share -= cost
        if not budget.spend(cost) or share < 0 or len(seen) > _MAX_SEEN:
            return None
        for character in alphabet:
            after = _stepped(readers, states, character)
            if after is not None and after not in seen:
                seen.add(after)
                rest = sum(r.distance(s) for r, s in zip(readers, after, strict=True))
                heappush(queue, (rest, len(seen), after, text + character))
    return True


_MAX_SEEN = 20_000


def _stepped(
    readers: list[_TextTestReader], states: tuple[object, ...], character: str
) -> tuple[object, ...] | None:
    after = []
    for reader, state in zip(readers, states, strict=True):
        new = reader.step(state, character)
        if reader.lost(new):
            return None
        after.append(new)
    return tuple(after)


def _alphabet(readers: list[_TextTestReader]) -> list[str]:
    """One character for each class that the readers can tell apart."""
    characters: dict[str, None] = dict.fromkeys((OTHER, *FOLDED_ASCII))
    for reader in readers:
        if isinstance(reader, _Passes | _Fails):
            for pattern in reader.patterns:
                characters.update(dict.fromkeys(pattern.masks))
    if OTHER in {
        c for r in readers if isinstance(r, _Passes | _Fails) for p in r.patterns for c in p.masks
    }:
        # Something else has to stand for the characters that no pattern names.
        characters[_unnamed(characters)] = None
    classes: dict[tuple[object, ...], str] = {}
    for character in characters:
        key = tuple(reader.classify(character) for reader in readers)
        classes.setdefault(key, character)
    return list(classes.values())


def _unnamed(characters: dict[str, None]) -> str:
    """A character outside ASCII, folded, that is none of these."""
    return next(c for c in map(chr, range(0x4E00, 0x10000)) if c not in characters)
