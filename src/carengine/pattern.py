"""Text as the language compares it: case folding and wildcard patterns.

One folding function is used on both sides of every comparison. It is Unicode's *simple*
case folding: one character to one character, independent of its neighbours, so that ``?`` keeps
meaning one character, and what RE2's case-insensitive matching accepts is accepted here: the Kelvin
sign folds to ``k``, ``ſ`` to ``s``, ``ς`` to ``σ``, while ``ß``, ``ı`` and ``İ`` stay themselves.

A pattern is matched against the whole of a text. ``*`` is any run of characters, newlines and the
empty run included; ``?`` is exactly one character; ``[*]`` and ``[?]`` are the literal characters,
and any other ``[`` is itself. A backslash is an ordinary character. Matching takes the first place
each piece between two ``*`` can stand, which is never wrong and never goes back: time grows with
the text's length, never faster. Nor does it grow with the product of both lengths where a piece
holds ``?``: past a bound such a piece is looked for with one bit for each of its characters, all of
them at once.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import cached_property, lru_cache

from attrs import define, field, frozen

Test = Callable[[str], bool]

# The characters whose simple folding is not what str.lower gives; Σ because lower looks at its
# neighbours. tests/test_pattern.py holds the list against all of Unicode.
_UNLIKE_LOWER = re.compile(
    "[\u00b5\u0130\u017f\u0345\u03a3\u03c2\u03d0\u03d1\u03d5\u03d6\u03f0\u03f1\u03f5"
    "\u13a0-\u13f5\u13f8-\u13fd\u1c80-\u1c88\u1e9b\u1fbe\u1fd3\u1fe3\uab70-\uabbf\ufb05]"
)
# Folded to one character since Unicode 15.1, which this Python may be older than.
_LATER = {"\u1fd3": "\u0390", "\u1fe3": "\u03b0", "\ufb05": "\ufb06"}


def fold(text: str) -> str:
    """The text with case folded, character by character; its length never changes.

    >>> fold("C:\\\\Windows"), fold("ΑΣ"), len(fold("ẞİ"))
    ('c:\\\\windows', 'ασ', 2)
    """
    if text.isascii() or _UNLIKE_LOWER.search(text) is None:
        return text.lower()
    return "".join(map(_fold_one, text))


def _fold_one(character: str) -> str:
    if character in _LATER:
        return _LATER[character]
    for folded in (character.casefold(), character.lower()):
        if len(folded) == 1:
            return folded
    return character


@frozen
class Any:
    """``*``: any run of characters."""


@frozen
class One:
    """``?``: exactly one character."""


Token = str | Any | One

_TOKEN = re.compile(r"\[\*\]|\[\?\]|\*+|\?|[^*?\[]+|\[")


def tokenize(text: str) -> tuple[Token, ...]:
    """The pieces of a pattern; neighbouring literals are one, neighbouring ``*`` too.

    >>> tokenize("lsass*.dm?")
    ('lsass', Any(), '.dm', One())
    """
    tokens: list[Token] = []
    for piece in _TOKEN.findall(text):
        match piece[0]:
            case "*":
                token: Token = Any()
            case "?":
                token = One()
            case "[" if len(piece) == 3:
                token = piece[1]
            case _:
                token = piece
        if isinstance(token, str) and tokens and isinstance(tokens[-1], str):
            tokens[-1] += token
        else:
            tokens.append(token)
    return tuple(tokens)


def escape(text: str) -> str:
    """A pattern that matches this text and nothing else (case aside).

    >>> escape("what? *")
    'what[?] [*]'
    """
    return text.replace("*", "[*]").replace("?", "[?]")


def spelled(tokens: Iterable[Token]) -> str | None:
    """The pattern of tokens; None where there is none: ``[?]`` is a question mark, so that no
    pattern has one character between brackets.

    >>> spelled(("a[", Any(), "]")), spelled(("a", One(), "*")), spelled(("[", One(), "]"))
    ('a[**]', 'a?[*]', None)
    """
    made = ""
    for token in tokens:
        match token:
            case str():
                if token.startswith("]") and made.endswith("[?"):
                    return None
                made += escape(token)
            case Any():
                # "[*]" would be a literal star, "[**]" is a run between brackets.
                made += "**" if made.endswith("[") else "*"
            case One():
                made += "?"
    return made


def starred(text: str) -> str:
    """The pattern of a text in which ``*`` is a wildcard and nothing else is.

    >>> starred("a*"), starred("why?"), starred("x[*]")
    ('a*', 'why[?]', 'x[**]')
    """
    return text.replace("?", "[?]").replace("[*]", "[**]")


def wildcards(text: str) -> str | None:
    """The pattern of a text in which ``*`` and ``?`` are wildcards and nothing else is; None where
    there is none (`spelled`).

    >>> wildcards("a*b?"), wildcards("x[*]"), wildcards("x[?]")
    ('a*b?', 'x[**]', None)
    """
    wild: dict[str, Token] = {"*": Any(), "?": One()}
    return spelled(wild.get(sign, sign) for sign in text)


@frozen(slots=False)
class Pattern:
    """A wildcard pattern, as written; case is ignored unless ``cased``.

    >>> tool = Pattern("C:\\\\Windows\\\\*\\\\taskmgr.exe")
    >>> tool.matches("c:\\\\windows\\\\system32\\\\Taskmgr.exe")
    True
    """

    text: str
    cased: bool = False

    @classmethod
    def literal(cls, text: str, *, cased: bool = False) -> Pattern:
        """The pattern that matches just this text."""
        return cls(escape(text), cased)

    @cached_property
    def tokens(self) -> tuple[Token, ...]:
        """The pattern's pieces, folded unless it is cased."""
        return tokenize(self.text if self.cased else fold(self.text))

    @property
    def exact(self) -> str | None:
        """The one text (folded unless cased) that the pattern matches, or None if there are
        more."""
        match self.tokens:
            case ():
                return ""
            case (str() as only,):
                return only
            case _:
                return None

    def matches(self, text: str) -> bool:
        """Whether the whole of a text matches."""
        return _compiled(self)(text if self.cased else fold(text))

    def test(self) -> Test:
        """A fast test for texts that are folded already (for a cased pattern: as they are)."""
        return _compiled(self)


@lru_cache(maxsize=65536)
def _compiled(pattern: Pattern) -> Test:
    segments: list[list[str | One]] = [[]]
    for token in pattern.tokens:
        if isinstance(token, Any):
            segments.append([])
        else:
            segments[-1].append(token)
    pieces = [_PatternPiece.of(segment) for segment in segments]
    if len(pieces) == 1:
        return pieces[0].equals()
    first, *middle, last = pieces
    return _wildcard_test(first, [piece for piece in middle if piece.length], last)


@define
class _PatternGroup:
    """Patterns of which one has to match, all with case or all without, as sets of the texts that
    they look for at the beginning, at the end or anywhere."""

    whole: set[str] = field(factory=set)
    starts: dict[int, set[str]] = field(factory=dict)
    ends: dict[int, set[str]] = field(factory=dict)
    parts: dict[int, set[str]] = field(factory=dict)
    others: list[Test] = field(factory=list)

    def add(self, pattern: Pattern) -> None:
        match pattern.tokens:
            case ():
                self.whole.add("")
            case (str() as text,):
                self.whole.add(text)
            case (str() as text, Any()):
                self.starts.setdefault(len(text), set()).add(text)
            case (Any(), str() as text):
                self.ends.setdefault(len(text), set()).add(text)
            case (Any(), str() as text, Any()):
                self.parts.setdefault(len(text), set()).add(text)
            case _:
                self.others.append(pattern.test())

    def matches(self, text: str) -> bool:
        length = len(text)
        return (
            text in self.whole
            or any(text[:size] in texts for size, texts in self.starts.items())
            or any(size <= length and text[length - size :] in t for size, t in self.ends.items())
            or any(_holds_one(text, size, texts) for size, texts in self.parts.items())
            or any(test(text) for test in self.others)
        )

    @property
    def work(self) -> int:
        parts = sum(min(len(texts), _MANY_PARTS // 8) for texts in self.parts.values())
        return 1 + len(self.starts) + len(self.ends) + parts + len(self.others)


# From so many texts of one length on, cutting a text into pieces of that length is less work than
# looking for each of them in it, however long the text is.
_MANY_PARTS = 256


def _holds_one(text: str, size: int, parts: set[str]) -> bool:
    """Whether one of several texts of one length is in a text."""
    if len(parts) < _MANY_PARTS:
        return any(part in text for part in parts)
    return any(text[at : at + size] in parts for at in range(len(text) - size + 1))


@define
class PatternList:
    """Many patterns of which one has to match, in time that hardly grows with their number.

    >>> several = PatternList.of(Pattern(f"*md5={n:04}*") for n in range(1_000))
    >>> several.matches("SHA1=1,MD5=0077"), several.matches("SHA1=1"), several.work
    (True, False, 34)
    """

    folded: _PatternGroup = field(factory=_PatternGroup)
    cased: _PatternGroup = field(factory=_PatternGroup)

    @classmethod
    def of(cls, patterns: Iterable[Pattern]) -> PatternList:
        """The list of some patterns."""
        made = cls()
        for pattern in patterns:
            (made.cased if pattern.cased else made.folded).add(pattern)
        return made

    def matches(self, text: str) -> bool:
        """Whether one of the patterns matches the whole of a text."""
        return self.folded.matches(fold(text)) or self.cased.matches(text)

    @property
    def work(self) -> int:
        """What one text costs, in patterns that are tried one by one."""
        return self.folded.work + self.cased.work


# Up to this many characters compared, looking for a shape at one place after the other is fastest.
_FEW_STEPS = 1_000_000


@frozen
class _PatternPiece:
    """What stands between two ``*``: a text of fixed length, some of its characters free."""

    length: int
    literal: str | None
    shape: re.Pattern[str] | None = field(eq=False)
    segment: tuple[str | One, ...] = ()

    @classmethod
    def of(cls, segment: list[str | One]) -> _PatternPiece:
        if not any(isinstance(token, One) for token in segment):
            text = "".join(token for token in segment if isinstance(token, str))
            return cls(len(text), text, None)
        # A fixed-length expression: `re` has nothing in it that could backtrack.
        source = "".join(re.escape(t) if isinstance(t, str) else "." for t in segment)
        length = sum(len(t) if isinstance(t, str) else 1 for t in segment)
        return cls(length, None, re.compile(source, re.DOTALL), tuple(segment))

    def equals(self) -> Test:
        if self.literal is not None:
            return self.literal.__eq__
        shape, length = self.shape, self.length
        assert shape is not None
        return lambda text: len(text) == length and shape.match(text) is not None

    def stands_at(self, text: str, start: int) -> bool:
        if self.literal is not None:
            return text.startswith(self.literal, start)
        assert self.shape is not None
        return self.shape.match(text, start) is not None

    def find(self, text: str, start: int, end: int) -> int:
        """Where the piece first stands between two offsets, or -1."""
        if self.literal is not None:
            return text.find(self.literal, start, end)
        assert self.shape is not None
        near = min(end, start + self.length + _FEW_STEPS // self.length)
        found = self.shape.search(text, start, near)
        if found is not None:
            return found.start()
        return -1 if near == end else self._find_far(text, near - self.length + 1, end)

    def _find_far(self, text: str, start: int, end: int) -> int:
        """As `find`, in time that hardly depends on the piece's length (Baeza-Yates and Gonnet's
        shift-and).

        Bit ``i`` of the state says that the piece's first ``i + 1`` characters stand just before
        here.
        """
        free = 0
        wanted: dict[str, int] = {}
        place = 0
        for token in self.segment:
            if isinstance(token, One):
                free |= 1 << place
                place += 1
                continue
            for character in token:
                wanted[character] = wanted.get(character, 0) | 1 << place
                place += 1
        fits = {character: bits | free for character, bits in wanted.items()}
        last = 1 << self.length - 1
        state = 0
        for position in range(start, end):
            state = (state << 1 | 1) & fits.get(text[position], free)
            if state & last:
                return position - self.length + 1
        return -1


def _wildcard_test(first: _PatternPiece, middle: list[_PatternPiece], last: _PatternPiece) -> Test:
    if first.literal is not None and last.literal is not None:
        head, tail = first.literal, last.literal
        if not middle:
            if not head and not tail:
                return lambda text: True
            if not tail:
                return lambda text: text.startswith(head)
            if not head:
                return lambda text: text.endswith(tail)
        elif not head and not tail and len(middle) == 1 and middle[0].literal is not None:
            inner = middle[0].literal
            return lambda text: inner in text

    fixed = first.length + last.length

    def test(text: str) -> bool:
        end = len(text) - last.length
        if len(text) < fixed or not first.stands_at(text, 0) or not last.stands_at(text, end):
            return False
        position = first.length
        for piece in middle:
            position = piece.find(text, position, end)
            if position < 0:
                return False
            position += piece.length
        return True

    return test
