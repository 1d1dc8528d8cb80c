"""A place in a list of tokens: what every reader written by hand looks ahead and goes on with.

::

    cursor = TokenCursor(tokens, refuse)      the last token is of the kind "end"
    cursor.next.text                          what is at hand
    cursor.accept("sign", ",")                taken if it is next, else None
    cursor.expect("sign", ")", message="this `(` is never closed", place=opened)

``refuse`` makes the error of what does not fit, from a message and where it is; the reader's own
kind of error, so that its caller knows it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

END = "end"
"""The kind of the last token."""


class Token(NamedTuple):
    """A piece of a text: ``text`` is what it means, ``start`` and ``end`` where it stands."""

    kind: str
    text: str
    start: int
    end: int
    tight: bool = False
    """Nothing stands between this token and the one before."""


Refuse = Callable[[str, int, int], Exception]
"""Makes an error of a message and of where it is, from a first offset to a last."""


class TokenCursor:
    """A place in a list of tokens, which only goes forward, and never beyond the end.

    ``at`` is the number of the token at hand, and ``next`` that token: always ``_tokens[at]``, held
    by itself since readers look at it several times for each step.
    """

    __slots__ = ("_last", "_refuse", "_tokens", "at", "next")

    def __init__(self, tokens: Sequence[Token], refuse: Refuse) -> None:
        self._tokens = list(tokens)
        self._last = len(self._tokens) - 1
        self._refuse = refuse
        self.at = 0
        self.next = self._tokens[0]

    @property
    def previous(self) -> Token:
        """The token that was taken last; the first one where none was."""
        return self._tokens[self.at - 1 if self.at else 0]

    @property
    def left(self) -> int:
        """How many tokens are left before the end."""
        return self._last - self.at

    def peek(self, ahead: int) -> Token:
        """The token so many places behind the one at hand."""
        return self._tokens[min(self.at + ahead, self._last)]

    def token_at(self, at: int) -> Token:
        """The token that stood at a place."""
        return self._tokens[at]

    def take(self) -> Token:
        """The token at hand; goes on to the next, but for the end, which stays."""
        token = self.next
        if self.at < self._last:
            self.at += 1
            self.next = self._tokens[self.at]
        return token

    def is_next(self, kind: str, *texts: str) -> bool:
        """Whether a token of a kind, with one of some texts if any are named, is next."""
        token = self.next
        return token.kind == kind and (not texts or token.text in texts)

    def accept(self, kind: str, *texts: str) -> Token | None:
        """The token at hand, taken, if it is of a kind and has one of the texts."""
        return self.take() if self.is_next(kind, *texts) else None

    def expect(self, kind: str, *texts: str, message: str, place: Token | None = None) -> Token:
        """The token at hand, taken. Raises what ``refuse`` makes of the message, at ``place`` or
        at hand, if it is another."""
        if not self.is_next(kind, *texts):
            raise self.error(message, place or self.next)
        return self.take()

    def error(self, message: str, first: Token, last: Token | None = None) -> Exception:
        """The error that something is wrong with a token, or from one to another."""
        return self._refuse(message, first.start, (last or first).end)

    def replace_next(self, token: Token) -> None:
        """Put another token in the place of the one at hand, such as the rest of it."""
        self._tokens[self.at] = self.next = token

    @contextmanager
    def until(self, ahead: int) -> Iterator[None]:
        """The text ends before the token so many places ahead, for as long as the block runs."""
        place = min(self.at + ahead, self._last)
        hidden, last = self._tokens[place], self._last
        self._tokens[place] = Token(END, "", hidden.start, hidden.start)
        self._last = place
        self.next = self._tokens[self.at]
        try:
            yield
        finally:
            self._tokens[place] = hidden
            self._last = last
            self.next = self._tokens[self.at]
