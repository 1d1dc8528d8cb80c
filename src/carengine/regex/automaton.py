"""RE2 expressions as automata, so that the checker can reason about them.

An expression is parsed into a nondeterministic automaton whose steps are *classes* (everything that
stands for one character: ``a``, ``\\d``, ``[^x-z]``, ``.``) and *assertions* (``^``, ``$``,
``\\b``). What a class takes is not re-implemented: RE2 itself is asked, character by character, so
that the automaton cannot disagree with the engine about it. ``Searcher`` then reads a text one
character at a time and knows after each whether the expression has been found somewhere in what was
read::

    "$.*x"     "$" holds only at the end, and then no x can follow: no text ever matches
    "a^"       the same with the beginning

Only expressions whose truth depends on the *folded* text are read: those that ignore case and name
ASCII characters. ``searcher`` gives None for all others, and for those that are too large; the
checker then says nothing about them.
"""

from __future__ import annotations

import re
import string
from functools import lru_cache
from typing import Literal, assert_never

import re2
from attrs import field, frozen

from .. import ir
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

OTHER = "\u00e9"
"""Stands for every character outside ASCII: the expressions that are read treat them all alike."""

FOLDED_ASCII = tuple(chr(code) for code in range(128) if chr(code) not in string.ascii_uppercase)
"""The ASCII characters that occur in folded text."""

LIKE_ASCII = ("\u212a", "\u017f")
"""The characters outside ASCII that are some of its letters in another case: the signs of Kelvin
and the long s."""

ASCII_IN_CASE = tuple(map(chr, range(128)))
"""The ASCII characters that occur in text as it is written."""

_MAX_STATES = 500
_WORD = frozenset(string.ascii_letters + string.digits + "_")


class _Unread(Exception):  # noqa: N818 - says that an expression is outside what is read here
    """The expression is not one that is reasoned about."""


@frozen
class _ClassStep:
    """One character of a class, then on to state ``to``."""

    members: frozenset[str]
    to: int


@frozen
class _Check:
    """On to state ``to`` without a character, where the anchor holds."""

    anchor: AnchorKind
    to: int


@frozen
class _Fork:
    """On to any of several states without a character."""

    to: tuple[int, ...]


_State = _ClassStep | _Check | _Fork | None


@lru_cache(maxsize=512)
def _members(token: str) -> frozenset[str]:
    """The folded characters that a class takes, ``OTHER`` standing for all outside ASCII."""
    options = re2.Options()
    options.log_errors = False
    try:
        compiled = re2.compile(f"(?i){token}", options)
    except re2.error as error:
        raise _Unread from error
    return frozenset(c for c in (*FOLDED_ASCII, OTHER) if compiled.fullmatch(c) is not None)


@lru_cache(maxsize=512)
def _members_in_case(token: str, ignore_case: bool) -> frozenset[str]:
    """The characters that a class takes of a text as it is written, ``OTHER`` as above."""
    options = re2.Options()
    options.log_errors = False
    try:
        compiled = re2.compile(f"(?i){token}" if ignore_case else token, options)
    except re2.error as error:
        raise _Unread from error
    characters = (*ASCII_IN_CASE, OTHER, *LIKE_ASCII)
    return frozenset(c for c in characters if compiled.fullmatch(c) is not None)


class _AutomatonBuilder:
    """Thompson's construction, from the end of the expression to its beginning. ``in_case`` is for
    texts as they are written; else they are folded."""

    def __init__(self, *, in_case: bool) -> None:
        self.states: list[_State] = [None]
        self.in_case = in_case

    def add(self, state: _State) -> int:
        if len(self.states) >= _MAX_STATES:
            raise _Unread
        self.states.append(state)
        return len(self.states) - 1

    def build(self, node: RegexNode, to: int) -> int:
        """The state from which the node leads to state ``to``."""
        match node:
            case LiteralCharacter(text, ignore_case):
                return self.add(_ClassStep(self._members(re.escape(text), ignore_case), to))
            case AnyCharacter(newlines):
                members = self._members("(?s:.)" if newlines else ".", ignore_case=True)
                return self.add(_ClassStep(members, to))
            case CharacterClass(_, items, ignore_case, text):
                if not all(map(_in_ascii, items)):
                    raise _Unread
                return self.add(_ClassStep(self._members(text, ignore_case), to))
            case Anchor(kind):
                return self.add(_Check(kind, to))
            case RegexGroup(item):
                return self.build(item, to)
            case Concatenation(items):
                for item in reversed(items):
                    to = self.build(item, to)
                return to
            case Alternation(items):
                return self.add(_Fork(tuple(self.build(item, to) for item in items)))
            case Repetition(item, least, most):
                # Lazy or greedy: what is found somewhere does not depend on it.
                return self._repeated(item, least, most, to)
            case _:
                assert_never(node)

    def _members(self, text: str, ignore_case: bool) -> frozenset[str]:
        if not text.isascii() or not (ignore_case or self.in_case):
            # Truth would depend on more than the folded text, or on characters that `OTHER` mixes
            # up.
            raise _Unread
        return _members_in_case(text, ignore_case) if self.in_case else _members(text)

    def _repeated(self, item: RegexNode, least: int, most: int | None, to: int) -> int:
        if most is None:
            loop = self.add(None)
            self.states[loop] = _Fork((self.build(item, loop), to))
            to = loop
        else:
            for _ in range(most - least):
                to = self.add(_Fork((self.build(item, to), to)))
        for _ in range(least):
            to = self.build(item, to)
        return to


def _in_ascii(item: CharacterRange | NamedClass) -> bool:
    """Whether a part of a class treats all characters outside ASCII alike."""
    match item:
        case CharacterRange(first, last):
            return first.isascii() and last.isascii()
        case NamedClass(name):
            return not name.startswith("p")


Before = Literal["begin", "word", "other", "line"]
"""What stands before the next character: nothing, a word character, another one, a line end."""

SearchState = tuple[int, Before]


@frozen(eq=False)
class Searcher:
    """Reads a folded text, or one as it is written, and tells whether an expression is found in it.

    A state is a set of the automaton's states (as the bits of a number) and what was read last;
    ``FOUND`` is the state after a hit, which is never left.
    """

    states: tuple[_State, ...]
    first: int
    in_case: bool = False
    _cache: dict[tuple[int, Before, str], SearchState] = field(factory=dict, repr=False)
    _classes: dict[str, object] = field(factory=dict, repr=False)

    @property
    def start(self) -> SearchState:
        """The state before the first character."""
        return 1 << self.first, "begin"

    def classify(self, character: str) -> object:
        """Characters with equal classes lead from equal states to equal states."""
        c = self._read_as(character)
        if c not in self._classes:
            taken = (isinstance(state, _ClassStep) and c in state.members for state in self.states)
            self._classes[c] = tuple(taken), _context(c)
        return self._classes[c]

    def _read_as(self, character: str) -> str:
        alone = character.isascii() or (self.in_case and character in LIKE_ASCII)
        return character if alone else OTHER

    def step(self, state: SearchState, character: str) -> SearchState:
        """The state after one more character."""
        if state == FOUND:
            return FOUND
        c = self._read_as(character)
        key = (*state, c)
        if key not in self._cache:
            mask, before = state
            reached = self._closure(mask, before, c)
            if reached & 1:
                self._cache[key] = FOUND
            else:
                after = 1 << self.first
                for number, item in enumerate(self.states):
                    if reached >> number & 1 and isinstance(item, _ClassStep) and c in item.members:
                        after |= 1 << item.to
                self._cache[key] = FOUND if after & 1 else (after, _context(c))
        return self._cache[key]

    def accepts(self, state: SearchState) -> bool:
        """Whether the expression is found when the text ends here."""
        return state == FOUND or bool(self._closure(*state, None) & 1)

    def _closure(self, mask: int, before: Before, following: str | None) -> int:
        """All states reached without a character; state 0 is the end of the expression."""
        work = [number for number in range(len(self.states)) if mask >> number & 1]
        reached = 0
        while work:
            number = work.pop()
            if reached >> number & 1:
                continue
            reached |= 1 << number
            match self.states[number]:
                case _Fork(to):
                    work.extend(to)
                case _Check(anchor, to) if _holds(anchor, before, following):
                    work.append(to)
                case _:
                    pass
        return reached


FOUND: SearchState = (-1, "other")


def _context(character: str) -> Before:
    return "word" if character in _WORD else "line" if character == "\n" else "other"


def _holds(anchor: AnchorKind, before: Before, following: str | None) -> bool:
    match anchor:
        case "begin":
            return before == "begin"
        case "end":
            return following is None
        case "line begin":
            return before in ("begin", "line")
        case "line end":
            return following is None or following == "\n"
        case _:
            word = (before == "word") != (following is not None and following in _WORD)
            return word == (anchor == "word")


@lru_cache(maxsize=1024)
def _built(pattern: str, flags: frozenset[str], in_case: bool) -> Searcher | None:
    try:
        builder = _AutomatonBuilder(in_case=in_case)
        first = builder.build(parse_regex(pattern, flags).root, 0)
    except (_Unread, RegexError):
        return None
    return Searcher(tuple(builder.states), first, in_case)


def searcher(test: ir.Regex, *, in_case: bool = False) -> Searcher | None:
    """The automaton of an expression, for folded texts or, ``in_case``, for texts as they are
    written; None where it is not one that is reasoned about."""
    if (test.cased and not in_case) or len(test.pattern) > 2_000:
        return None
    settings = (("i", not test.cased), ("s", test.dotall), ("m", test.multiline))
    return _built(test.pattern, frozenset(flag for flag, on in settings if on), in_case)
