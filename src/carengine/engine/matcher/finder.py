"""Many tests on one text at once: which of them hold?

A ``Finder`` holds tests, each with a mask; ``find`` gives the union of the masks of those that
hold. What it costs depends on the text's length and hardly on the number of tests:

* whole texts stand in a table; prefixes and suffixes in tables by the few characters at the edge;
* texts that occur anywhere, and the required texts of everything else, are looked for together: by
  a loop while there are few, else by an Aho-Corasick automaton (``ahocorasick_rs``, the extra
  ``carengine[fast]``) or, without it, by an index from four characters to the texts that have them;
* a test whose required text was seen is then made, once; a test without one is always made.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Any

from attrs import define, field, frozen

from ... import ir
from ...evaluate import may_match_regex, searchable
from ...pattern import Any as Wild
from ...pattern import Pattern, Test, fold
from ...regex import literals

Automaton: Any
try:
    from ahocorasick_rs import AhoCorasick as Automaton
    from ahocorasick_rs import Implementation, MatchKind
except ImportError:
    Automaton = None

PREPARING = threading.RLock()
"""Held while something is made that sessions in several threads share."""

# Up to this many texts, looking for one after another is cheaper than an automaton, or than the
# index.
_LOOP = 8
_LOOP_NOT_INDEX = 64
_GRAM = 4
# So many characters tell prefixes and suffixes apart, mostly ("md.exe").
_EDGE = 6
_SMALL = 300


@define(eq=False)
class _Sought:
    """A text that is looked for: the mask it means, and the tests that are to be made where it
    occurs."""

    mask: int = 0
    checks: list[int] = field(factory=list)


@frozen(eq=False)
class _Edge:
    """Texts that stand at the start of others, or at the end, with their masks.

    ``short`` are the lengths of those that are shorter than `_EDGE`; ``long`` are the others by
    their own outermost characters.
    """

    masks: dict[str, int] = field(factory=dict)
    short: tuple[int, ...] = ()
    long: dict[str, tuple[str, ...]] = field(factory=dict)

    @classmethod
    def of(cls, masks: dict[str, int], edge: Callable[[str], str]) -> _Edge:
        """The texts with their masks."""
        long: dict[str, tuple[str, ...]] = {}
        for text in masks:
            if len(text) >= _EDGE:
                long[edge(text)] = (*long.get(edge(text), ()), text)
        return cls(masks, tuple(sorted({len(t) for t in masks if len(t) < _EDGE})), long)


class Finder:
    """Tests on the texts of one value."""

    def __init__(self) -> None:
        self._exact: dict[str, int] = {}
        self._prefixes: dict[str, int] = {}
        self._suffixes: dict[str, int] = {}
        self._sought: dict[str, _Sought] = {}
        # Tests with their masks: on the folded text, or (True) on the text as it is.
        self._checks: list[tuple[Test, int, bool]] = []
        self._always: list[int] = []
        self._everything = 0
        self._ready = False
        # How texts are looked for: one by one, or all at once.
        self._pairs: tuple[tuple[str, _Sought], ...] = ()
        self._search: Callable[[str], Iterable[_Sought]] | None = None
        self._starts = self._ends = _Edge()

    def __bool__(self) -> bool:
        return bool(
            self._exact
            or self._prefixes
            or self._suffixes
            or self._sought
            or self._checks
            or self._everything
        )

    def add_pattern(self, pattern: Pattern, mask: int) -> None:
        """A wildcard pattern."""
        if pattern.cased:
            required = literals.of_pattern(pattern)
            self._add_check(pattern.test(), mask, None if required is None else (required,), True)
            return
        match pattern.tokens:
            case ():
                _join(self._exact, "", mask)
            case (str() as text,):
                _join(self._exact, fold(text), mask)
            case (Wild(),):
                self._everything |= mask
            case (str() as text, Wild()):
                _join(self._prefixes, fold(text), mask)
            case (Wild(), str() as text):
                _join(self._suffixes, fold(text), mask)
            case (Wild(), str() as text, Wild()):
                self._sought.setdefault(fold(text), _Sought()).mask |= mask
            case _:
                required = literals.of_pattern(pattern)
                self._add_check(
                    pattern.test(), mask, None if required is None else (required,), False
                )

    def add_regex(self, regex: ir.Regex, mask: int) -> None:
        """A regular expression; it is compiled when a text first asks for it."""

        def test(text: str) -> bool:
            return may_match_regex(regex, text)

        self._add_check(test, mask, literals.of_regex(regex), True)

    def _add_check(
        self, test: Test, mask: int, required: tuple[str, ...] | None, unfolded: bool
    ) -> None:
        number = len(self._checks)
        self._checks.append((test, mask, unfolded))
        if required is None:
            self._always.append(number)
            return
        for text in required:
            self._sought.setdefault(text, _Sought()).checks.append(number)

    def find(self, text: str) -> int:
        """The union of the masks of all tests that hold of a text."""
        if not self._ready:
            self._prepare()
        folded = text.lower() if text.isascii() else fold(text)
        held = self._exact.get(folded, 0) | self._everything
        starts, ends = self._starts, self._ends
        if starts.masks:
            for length in starts.short:
                held |= starts.masks.get(folded[:length], 0)
            for prefix in starts.long.get(folded[:_EDGE], ()):
                if folded.startswith(prefix):
                    held |= starts.masks[prefix]
        if ends.masks:
            for length in ends.short:
                held |= ends.masks.get(folded[-length:], 0)
            for suffix in ends.long.get(folded[-_EDGE:], ()):
                if folded.endswith(suffix):
                    held |= ends.masks[suffix]
        checks: Collection[int] = self._always
        # Few texts are looked for one by one, here: most values have none of them, and a call would
        # cost more.
        for part, sought in self._pairs:
            if part in folded:
                held |= sought.mask
                if sought.checks:
                    checks = {*checks, *sought.checks}
        if self._search is not None:
            for sought in self._search(folded):
                held |= sought.mask
                if sought.checks:
                    checks = {*checks, *sought.checks}
        for number in checks:
            test, mask, unfolded = self._checks[number]
            if mask & ~held and test(text if unfolded else folded):
                held |= mask
        return held

    def _prepare(self) -> None:
        with PREPARING:
            if not self._ready:
                self._make_ready()

    def _make_ready(self) -> None:
        # A slice by a negative length would be wrong for length 0: "" is a suffix of everything.
        self._everything |= self._prefixes.pop("", 0) | self._suffixes.pop("", 0)
        if (empty := self._sought.pop("", None)) is not None:
            self._everything |= empty.mask
            self._always += empty.checks
        self._starts = _Edge.of(self._prefixes, lambda text: text[:_EDGE])
        self._ends = _Edge.of(self._suffixes, lambda text: text[-_EDGE:])
        automaton = Automaton is not None and all(map(_encodable, self._sought))
        if len(self._sought) <= (_LOOP if automaton else _LOOP_NOT_INDEX):
            self._pairs = tuple(self._sought.items())
        else:
            self._search = (_by_automaton if automaton else _by_grams)(self._sought)
        self._ready = True


def _join(table: dict[str, int], text: str, mask: int) -> None:
    table[text] = table.get(text, 0) | mask


def _encodable(text: str) -> bool:
    return text == searchable(text)


def _by_automaton(sought: dict[str, _Sought]) -> Callable[[str], Iterable[_Sought]]:
    entries = list(sought.values())
    find = Automaton(
        list(sought),
        matchkind=MatchKind.Standard,
        # A third faster, but large and long in the making where there are many texts. Neither is
        # slow on any text.
        implementation=Implementation.DFA
        if len(sought) <= _SMALL
        else Implementation.ContiguousNFA,
    ).find_matches_as_indexes

    def search(folded: str) -> Iterable[_Sought]:
        occurrences = find(searchable(folded), overlapping=True)
        # Each once, however often it occurs.
        return (
            [entries[number] for number in {place[0] for place in occurrences}]
            if occurrences
            else ()
        )

    return search


def _by_grams(sought: dict[str, _Sought]) -> Callable[[str], Iterable[_Sought]]:
    table: dict[str, list[tuple[str, _Sought]]] = {}
    short = []
    for text, entry in sought.items():
        if len(text) < _GRAM:
            short.append((text, entry))
            continue
        grams = [text[i : i + _GRAM] for i in range(len(text) - _GRAM + 1)]
        # The one that fewest other texts are kept under.
        chosen = min(grams, key=lambda gram: len(table.get(gram, ())))
        table.setdefault(chosen, []).append((text, entry))
    known = frozenset(table)

    def search(folded: str) -> Iterator[_Sought]:
        for text, entry in short:
            if text in folded:
                yield entry
        seen = zip(folded, folded[1:], folded[2:], folded[3:], strict=False)
        for gram in known.intersection(map("".join, seen)):
            for text, entry in table[gram]:
                if text in folded:
                    yield entry

    return search
