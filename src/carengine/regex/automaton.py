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
from typing import Literal

import re2
from attrs import field, frozen

from .. import ir

OTHER = "\u00e9"
"""Stands for every character outside ASCII: the expressions that are read treat them all alike."""

FOLDED_ASCII = tuple(chr(code) for code in range(128) if chr(code) not in string.ascii_uppercase)
"""The ASCII characters that occur in folded text."""

_MAX_STATES = 500
_WORD = frozenset(string.ascii_lowercase + string.digits + "_")

Anchor = Literal["begin", "end", "line begin", "line end", "word", "no word"]


class _Unread(Exception):  # noqa: N818 - says that an expression is outside what is read here
    """The expression is not one that is reasoned about."""


@frozen
class _Step:
    """One character of a class, then on to state ``to``."""

    members: frozenset[str]
    to: int


@frozen
class _Check:
    """On to state ``to`` without a character, where the anchor holds."""

    anchor: Anchor
    to: int


@frozen
class _Fork:
    """On to any of several states without a character."""

    to: tuple[int, ...]


_State = _Step | _Check | _Fork | None

# The expression's tree


@frozen
class _Class:
    members: frozenset[str]


@frozen
class _Anchor:
    kind: Anchor


@frozen
class _Sequence:
    items: tuple[_Node, ...]


@frozen
class _Choice:
    items: tuple[_Node, ...]


@frozen
class _Repeat:
    item: _Node
    least: int
    most: int | None


_Node = _Class | _Anchor | _Sequence | _Choice | _Repeat

_GROUP = re.compile(r"\(\?(?:P?<\w+>|([imsU]*)(-[imsU]+)?([:)]))")
_COUNT = re.compile(r"\{(\d{1,4})(?:(,)(\d{1,4})?)?\}")
_ESCAPE = re.compile(r"\\(?:[dDsSwW]|[aftnrv]|x[0-7][0-9a-fA-F]|[^\w\s])")
_CLASS = re.compile(
    r"\[\^?\]?(?:\[:\^?\w+:\]|\\(?:[dDsSwWaftnrv]|x[0-7][0-9a-fA-F]|[^\w\s])|[^\]\\])*\]"
)


class _Parser:
    """Reads the RE2 syntax that is reasoned about; raises ``_Unread`` for the rest."""

    def __init__(self, text: str, flags: frozenset[str]) -> None:
        self.text = text
        self.at = 0
        self.flags = flags
        self.depth = 0

    def parse(self) -> _Node:
        node = self._choice()
        if self.at < len(self.text):
            raise _Unread
        return node

    def _choice(self) -> _Node:
        self.depth += 1
        if self.depth > 50:
            raise _Unread
        options = [self._sequence()]
        while self.text.startswith("|", self.at):
            self.at += 1
            options.append(self._sequence())
        self.depth -= 1
        return options[0] if len(options) == 1 else _Choice(tuple(options))

    def _sequence(self) -> _Node:
        items: list[_Node] = []
        while self.at < len(self.text) and self.text[self.at] not in "|)":
            item = self._atom()
            if item is not None:
                items.append(self._repeated(item))
        return _Sequence(tuple(items))

    def _repeated(self, node: _Node) -> _Node:
        while self.at < len(self.text):
            character = self.text[self.at]
            if character in "*+?":
                self.at += 1
                least, most = (1 if character == "+" else 0), (1 if character == "?" else None)
            elif found := _COUNT.match(self.text, self.at):
                self.at = found.end()
                least = int(found[1])
                most = least if not found[2] else int(found[3]) if found[3] else None
            else:
                return node
            if self.text.startswith("?", self.at):
                # Lazy or greedy: what is found somewhere does not depend on it.
                self.at += 1
            node = _Repeat(node, least, most)
        return node

    def _atom(self) -> _Node | None:
        """The next item; None for a group that only sets flags."""
        character = self.text[self.at]
        match character:
            case "(":
                return self._group()
            case "[":
                found = _CLASS.match(self.text, self.at)
                if found is None or not found[0].isascii():
                    raise _Unread
                self.at = found.end()
                return _Class(_members(found[0], "s" in self.flags))
            case "^":
                self.at += 1
                return _Anchor("line begin" if "m" in self.flags else "begin")
            case "$":
                self.at += 1
                return _Anchor("line end" if "m" in self.flags else "end")
            case "\\":
                return self._escape()
            case _ if not character.isascii():
                raise _Unread
            case _:
                self.at += 1
                text = character if character == "." else re.escape(character)
                return _Class(_members(text, "s" in self.flags))

    def _escape(self) -> _Node:
        two = self.text[self.at : self.at + 2]
        anchors: dict[str, Anchor] = {
            r"\A": "begin",
            r"\z": "end",
            r"\b": "word",
            r"\B": "no word",
        }
        if two in anchors:
            self.at += 2
            return _Anchor(anchors[two])
        if two == r"\Q":
            end = self.text.find(r"\E", self.at)
            literal = self.text[self.at + 2 : end if end >= 0 else None]
            self.at = len(self.text) if end < 0 else end + 2
            if not literal.isascii():
                raise _Unread
            return _Sequence(tuple(_Class(_members(re.escape(c), False)) for c in literal))
        found = _ESCAPE.match(self.text, self.at)
        if found is None or not found[0].isascii():
            raise _Unread
        self.at = found.end()
        return _Class(_members(found[0], "s" in self.flags))

    def _group(self) -> _Node | None:
        outer = self.flags
        if self.text.startswith("(?", self.at):
            found = _GROUP.match(self.text, self.at)
            if found is None:
                raise _Unread
            self.at = found.end()
            added, removed, end = found[1] or "", found[2] or "", found[3]
            if "i" in removed:
                raise _Unread
            self.flags = (outer | set(added)) - set(removed)
            if end == ")":
                # The flags hold to the end of the group around.
                return None
        else:
            self.at += 1
        node = self._choice()
        if not self.text.startswith(")", self.at):
            raise _Unread
        self.at += 1
        self.flags = outer
        return node


@lru_cache(maxsize=512)
def _members(token: str, dotall: bool) -> frozenset[str]:
    """The folded characters that a class takes, ``OTHER`` standing for all outside ASCII."""
    options = re2.Options()
    options.log_errors = False
    try:
        compiled = re2.compile(f"(?{'is' if dotall else 'i'}){token}", options)
    except re2.error as error:
        raise _Unread from error
    return frozenset(c for c in (*FOLDED_ASCII, OTHER) if compiled.fullmatch(c) is not None)


class _Builder:
    """Thompson's construction, from the end of the expression to its beginning."""

    def __init__(self) -> None:
        self.states: list[_State] = [None]

    def add(self, state: _State) -> int:
        if len(self.states) >= _MAX_STATES:
            raise _Unread
        self.states.append(state)
        return len(self.states) - 1

    def build(self, node: _Node, to: int) -> int:
        """The state from which the node leads to state ``to``."""
        match node:
            case _Class(members):
                return self.add(_Step(members, to))
            case _Anchor(kind):
                return self.add(_Check(kind, to))
            case _Sequence(items):
                for item in reversed(items):
                    to = self.build(item, to)
                return to
            case _Choice(items):
                return self.add(_Fork(tuple(self.build(item, to) for item in items)))
            case _Repeat(item, least, most):
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


Before = Literal["begin", "word", "other", "line"]
"""What stands before the next character: nothing, a word character, another one, a line end."""

SearchState = tuple[int, Before]


@frozen(eq=False)
class Searcher:
    """Reads a folded text and tells whether an expression is found in it.

    A state is a set of the automaton's states (as the bits of a number) and what was read last;
    ``FOUND`` is the state after a hit, which is never left.
    """

    states: tuple[_State, ...]
    first: int
    _cache: dict[tuple[int, Before, str], SearchState] = field(factory=dict, repr=False)
    _classes: dict[str, object] = field(factory=dict, repr=False)

    @property
    def start(self) -> SearchState:
        """The state before the first character."""
        return 1 << self.first, "begin"

    def classify(self, character: str) -> object:
        """Characters with equal classes lead from equal states to equal states."""
        c = character if character.isascii() else OTHER
        if c not in self._classes:
            taken = (isinstance(state, _Step) and c in state.members for state in self.states)
            self._classes[c] = tuple(taken), _context(c)
        return self._classes[c]

    def step(self, state: SearchState, character: str) -> SearchState:
        """The state after one more character."""
        if state == FOUND:
            return FOUND
        c = character if character.isascii() else OTHER
        key = (*state, c)
        if key not in self._cache:
            mask, before = state
            reached = self._closure(mask, before, c)
            if reached & 1:
                self._cache[key] = FOUND
            else:
                after = 1 << self.first
                for number, item in enumerate(self.states):
                    if reached >> number & 1 and isinstance(item, _Step) and c in item.members:
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
        return reached


FOUND: SearchState = (-1, "other")


def _context(character: str) -> Before:
    return "word" if character in _WORD else "line" if character == "\n" else "other"


def _holds(anchor: Anchor, before: Before, following: str | None) -> bool:
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
def _built(pattern: str, flags: frozenset[str]) -> Searcher | None:
    try:
        node = _Parser(pattern, flags).parse()
        builder = _Builder()
        first = builder.build(node, 0)
    except _Unread:
        return None
    return Searcher(tuple(builder.states), first)


def searcher(test: ir.Regex) -> Searcher | None:
    """The automaton of an expression; None where it is not one that is reasoned about."""
    if test.cased or len(test.pattern) > 2_000:
        return None
    flags = {name for name, on in (("s", test.dotall), ("m", test.multiline)) if on}
    return _built(test.pattern, frozenset(flags))
