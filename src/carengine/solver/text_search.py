"""The search for a text that passes some tests and fails others.

Tests read along together, one character at a time, over an alphabet of as many characters as they
can tell apart, until a text is found or every state has been visited. A reader says what is left of
its test after each character: a state, whether the text may end there, and whether no continuation
passes::

    passes "a*"        1 --a--> 2 --anything--> 2        a text may end in 2
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from heapq import heappop, heappush
from typing import Protocol, assert_never

from attrs import frozen

from .. import ir
from ..evaluate import work_of
from ..pattern import Any, One, Pattern, fold, tokenize
from ..regex import ASCII_IN_CASE, FOLDED_ASCII, LIKE_ASCII, OTHER
from ..regex import automaton as regexes

TextTest = ir.Match | ir.Regex | ir.InNetwork

_MAX_PATTERN = 2_000
SEPARATORS = frozenset("\\/")
"""What stands in no base name."""
NUMERIC = frozenset("0123456789abcdefx.+-") | frozenset(" \t\n\r\v\f")
"""What stands in texts that spell numbers, of ASCII."""


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


def in_order(tests: Iterable[TextTest]) -> list[TextTest]:
    """Tests in an order that is the same in every run."""
    return sorted(tests, key=_order)


@lru_cache(maxsize=4096)
def _order(test: TextTest) -> str:
    return repr(test)


def size_of(tests: Iterable[TextTest]) -> int:
    """What trying a text on tests costs, in patterns, expressions and networks that are tried one
    by one.

    >>> size_of([ir.Match(ir.Raw(()), (Pattern("a"), Pattern("b")))])
    2
    """
    size = 0
    for test in tests:
        match test:
            case ir.Match():
                size += work_of(test)
            case ir.InNetwork(_, networks):
                size += len(networks)
            case ir.Regex():
                size += 1
            case _:
                assert_never(test)
    return size


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
    def of(cls, pattern: Pattern, *, in_case: bool = False) -> _Wildcards:
        """A pattern that reads folded texts, or texts as they are written."""
        masks: dict[str, int] = {}
        anything = loops = place = 0
        spellings = _as_written if in_case and pattern.cased else _in_any_case
        spellings = spellings if in_case else _as_written
        written = pattern.text if in_case and pattern.cased else fold(pattern.text)
        for token in tokenize(written):
            match token:
                case Any():
                    loops |= 1 << place
                case One():
                    anything |= 1 << place
                    place += 1
                case str():
                    for character in token:
                        for spelling in spellings(character):
                            masks[spelling] = masks.get(spelling, 0) | 1 << place
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


def _as_written(character: str) -> str:
    return character


_LIKE = {fold(character): character for character in LIKE_ASCII}


def _in_any_case(character: str) -> str:
    """The characters that a folded one of ASCII stands for."""
    return "".join(dict.fromkeys((character, character.upper(), _LIKE.get(character, character))))


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
    """A regular expression that must be found, or must not.

    A state is an ``object`` to the search, which keeps those of several matchers side by side; each
    is given only states of its own.
    """

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


# What an address in text may hold before its zone: letters beyond f only stand in the zone.
_ADDRESS = frozenset("0123456789abcdef.:")


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


_NOT_NUMERIC = frozenset(FOLDED_ASCII) - NUMERIC


def depends_on_case(texts: Texts) -> bool:
    """Whether some tests heed case, so that the folded text does not decide them."""
    return any(
        test.cased if isinstance(test, ir.Regex) else any(p.cased for p in test.patterns)
        for test in (*texts.passes, *texts.fails)
        if not isinstance(test, ir.InNetwork)
    )


def _readers_in_case(texts: Texts) -> list[_TextTestReader] | None:
    """One reader a test for texts as they are written; None where one of them cannot be read."""
    made: list[_TextTestReader] = []
    if texts.number:
        return None
    for wanted, tests in ((True, texts.passes), (False, texts.fails)):
        for test in in_order(tests):
            match test:
                case ir.Match(_, patterns):
                    if any(len(one.text) > _MAX_PATTERN or not _is_read(one) for one in patterns):
                        return None
                    read = [_Wildcards.of(pattern, in_case=True) for pattern in patterns]
                    made += [_Passes(tuple(read))] if wanted else [_Fails(one) for one in read]
                case ir.Regex():
                    searcher = regexes.searcher(test, in_case=True)
                    if searcher is None:
                        return None
                    made.append(_Expression(searcher, wanted))
                case ir.InNetwork():
                    return None
                case _:
                    assert_never(test)
    if texts.base_name:
        made.append(_Characters(SEPARATORS, digit=False))
    return made


def _is_read(pattern: Pattern) -> bool:
    """Whether it is known which characters the letters of a pattern stand for."""
    return pattern.cased or pattern.text.isascii()


def _readers(texts: Texts) -> list[_TextTestReader] | None:
    """One reader a test; None where a pattern is too long to be read."""
    made: list[_TextTestReader] = []
    for wanted, tests in ((True, texts.passes), (False, texts.fails)):
        for test in in_order(tests):
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
        made.append(_Characters(SEPARATORS, digit=False))
    if texts.number:
        made.append(_Characters(_NOT_NUMERIC, digit=True))
    return made


def search(texts: Texts, budget: Budget, *, in_case: bool = False) -> str | bool | None:
    """A folded text that is as described; True where there is none, None where the search is too
    long. Cased tests are widened (to be passed) or left out (to be failed).

    With ``in_case`` it is a text as it would be written, and no test is widened or left out; None
    also where a test cannot be read so.

    >>> search(Texts(frozenset({ir.Match(ir.Raw(()), (Pattern("ab*"),))})), Budget())
    'ab'
    """
    readers = _readers_in_case(texts) if in_case else _readers(texts)
    if readers is None:
        return None
    alphabet = _alphabet(readers, in_case=in_case)
    start = tuple(reader.start for reader in readers)
    seen = {start}
    queue: list[tuple[int, int, tuple[object, ...], str]] = [(0, 0, start, "")]
    width = sum(len(r.patterns) if isinstance(r, _Passes) else 1 for r in readers)
    cost = 4 * (1 + width) * len(alphabet)
    budget.spend(150 * (1 + width))
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
_LETTERS_FIRST = sorted(ASCII_IN_CASE, key=lambda c: (not c.islower(), not c.isalnum(), c))


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


def _alphabet(readers: list[_TextTestReader], *, in_case: bool) -> list[str]:
    """One character for each class that the readers can tell apart."""
    known = (*_LETTERS_FIRST, OTHER, *LIKE_ASCII) if in_case else (OTHER, *FOLDED_ASCII)
    characters: dict[str, None] = dict.fromkeys(known)
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
