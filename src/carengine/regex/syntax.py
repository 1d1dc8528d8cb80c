r"""RE2's syntax as a tree of frozen nodes: the one parser of regular expressions.

``parse_regex`` reads what RE2 reads. Flags are resolved while parsing, so that each node says by
itself what it means; groups stay, since other dialects count them::

    a.$               Concatenation(LiteralCharacter("a"), AnyCharacter(newlines=False),
                                    Anchor("end"))
    (?m)^x+?          Concatenation(Anchor("line begin"),
                                    Repetition(LiteralCharacter("x"), 1, None, lazy=True))
    foo|[^\d]         Alternation(LiteralCharacter…, CharacterClass(negated=True, …))

What RE2 refuses is refused here too, and a few things that it reads (``\C``, which is half a
character; groups nested deeper than anyone writes them) are refused by name: `RegexError` says
what and where. The one difference is size: RE2 also refuses expressions whose repetitions multiply
to too much, which cannot be seen in their syntax.

The grammar is https://github.com/google/re2/wiki/Syntax; where that page is silent,
``re2/parse.cc`` decides, and a property test asks RE2 itself.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Literal

from attrs import frozen

AnchorKind = Literal["begin", "end", "line begin", "line end", "word", "no word"]

MAX_DEPTH = 50
"""How deep groups may be nested."""

_MOST_REPEATED = 1000


class RegexError(ValueError):
    """An expression is not read: why, and at which offset of its text."""

    def __init__(self, message: str, place: int) -> None:
        super().__init__(message)
        self.place = place


@frozen
class LiteralCharacter:
    """One character that stands for itself; in either case where ``ignore_case``."""

    text: str
    ignore_case: bool


@frozen
class AnyCharacter:
    """``.``: any character, a newline only where ``newlines``."""

    newlines: bool


@frozen
class CharacterRange:
    """From one character of a class to another; both are the same for a single one."""

    first: str
    last: str


@frozen
class NamedClass:
    r"""A class by its name, inside of a class or alone: ``\d`` (``d``), ``[:alpha:]``, ``\p{Lu}``.

    ``name`` is as it is written, without backslash, brackets and sign of negation.
    """

    name: str
    negated: bool = False


@frozen
class CharacterClass:
    r"""One character out of a set. ``text`` is the class as RE2 reads it: ``[a-f\d]``, ``\W``."""

    negated: bool
    items: tuple[CharacterRange | NamedClass, ...]
    ignore_case: bool
    text: str


@frozen
class Anchor:
    """A place between characters."""

    kind: AnchorKind


@frozen
class Concatenation:
    """Items one behind the other; none for the empty expression."""

    items: tuple[RegexNode, ...]


@frozen
class Alternation:
    """One of several items."""

    items: tuple[RegexNode, ...]


@frozen
class Repetition:
    """The item so many times; ``most`` is None where there is no end to it."""

    item: RegexNode
    least: int
    most: int | None
    lazy: bool


@frozen
class RegexGroup:
    """An item in parentheses; ``opening`` is how they open: ``(``, ``(?:``, ``(?P<name>``,
    ``(?i:``."""

    item: RegexNode
    opening: str


RegexNode = (
    LiteralCharacter
    | AnyCharacter
    | CharacterClass
    | Anchor
    | Concatenation
    | Alternation
    | Repetition
    | RegexGroup
)


@frozen
class ParsedRegex:
    """A whole expression. ``settings`` are the flags it sets by itself, as they are written:
    ``(?i)``, ``(?s:``."""

    root: RegexNode
    settings: tuple[str, ...]


_GROUP = re.compile(r"\(\?(?:P?<(?P<name>\w+)>|(?P<on>[imsU]*)(?P<off>-[imsU]+)?(?P<end>[:)]))")
_COUNT = re.compile(r"\{([0-9]+)(?:(,)([0-9]+)?)?\}")
_OCTAL = re.compile(r"\\(?:0[0-7]{0,2}|[1-7][0-7]{1,2})")
_HEXADECIMAL = re.compile(r"\\x(?:([0-9a-fA-F]{2})|\{([0-9a-fA-F]{1,6})\})")
_PROPERTY = re.compile(r"\\[pP](?:\{\^?[^{}]+\}|[^{}])")
_POSIX = re.compile(r"\[:(\^?)(\w+):\]")
_POSIX_NAMES = frozenset(
    {
        *("alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph"),
        *("lower", "print", "punct", "space", "upper", "word", "xdigit"),
    }
)
_CONTROLS = {"a": "\a", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_ANCHORS: dict[str, AnchorKind] = {"A": "begin", "z": "end", "b": "word", "B": "no word"}


@lru_cache(maxsize=4096)
def parse_regex(text: str, flags: frozenset[str] = frozenset()) -> ParsedRegex:
    r"""The tree of an expression. ``flags`` are those it starts with: any of ``i``, ``m``, ``s``.

    Raises `RegexError`.

    >>> parse_regex("a|.").root.items
    (LiteralCharacter(text='a', ignore_case=False), AnyCharacter(newlines=False))
    """
    return _RegexParser(text, flags).expression()


class _RegexParser:
    """Recursive descent, one method for each level of binding. ``at`` is the offset of what is
    next."""

    def __init__(self, text: str, flags: frozenset[str]) -> None:
        self.text = text
        self.at = 0
        self.flags = flags
        self.depth = 0
        self.settings: list[str] = []

    def expression(self) -> ParsedRegex:
        root = self._choice()
        if self.at < len(self.text):
            raise RegexError("a parenthesis that closes none", self.at)
        return ParsedRegex(root, tuple(self.settings))

    def _choice(self) -> RegexNode:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise RegexError(f"groups nested deeper than {MAX_DEPTH} levels", self.at)
        options = [self._sequence()]
        while self.text.startswith("|", self.at):
            self.at += 1
            options.append(self._sequence())
        self.depth -= 1
        return options[0] if len(options) == 1 else Alternation(tuple(options))

    def _sequence(self) -> RegexNode:
        items: list[RegexNode] = []
        # RE2 refuses a repetition right behind another, and takes `a*(?i)*`, where flags are set
        # in between. It repeats what was read last, whatever set flags or quoted nothing since.
        repeated = False
        while self.at < len(self.text) and self.text[self.at] not in "|)":
            start = self.at
            count = self._repetition()
            if count is None:
                repeated = False
                self._item(items)
                continue
            if not items:
                raise RegexError("a repetition of nothing", start)
            if repeated:
                raise RegexError("a repetition of a repetition", start)
            repeated = True
            items[-1] = Repetition(items[-1], *count)
        return items[0] if len(items) == 1 else Concatenation(tuple(items))

    def _repetition(self) -> tuple[int, int | None, bool] | None:
        """The least, the most, and whether it is lazy, of the repetition that is next."""
        character = self.text[self.at]
        least, most = 0, None
        if character in "*+?":
            self.at += 1
            least, most = (1 if character == "+" else 0), (1 if character == "?" else None)
        elif counted := _COUNT.match(self.text, self.at):
            least = int(counted[1])
            most = least if not counted[2] else int(counted[3]) if counted[3] else None
            if max(least, most or 0) > _MOST_REPEATED or (most is not None and most < least):
                raise RegexError(f"the repetition {counted[0]}", self.at)
            self.at = counted.end()
        else:
            return None
        lazy = self.text.startswith("?", self.at)
        if lazy:
            self.at += 1
        return least, most, lazy != ("U" in self.flags)

    def _item(self, items: list[RegexNode]) -> None:
        """Adds the next item; several of a quoted text, none of a group that only sets flags."""
        character = self.text[self.at]
        match character:
            case "(":
                group = self._group()
                if group is not None:
                    items.append(group)
            case "[":
                items.append(self._class())
            case "^" | "$":
                self.at += 1
                items.append(Anchor(self._line_anchor(character)))
            case ".":
                self.at += 1
                items.append(AnyCharacter("s" in self.flags))
            case "\\" if self.text.startswith(r"\Q", self.at):
                end = self.text.find(r"\E", self.at + 2)
                literal = self.text[self.at + 2 : end if end >= 0 else None]
                self.at = len(self.text) if end < 0 else end + 2
                items += map(self._character, literal)
            case "\\":
                items.append(self._escape())
            case _:
                self.at += 1
                items.append(self._character(character))

    def _character(self, text: str) -> LiteralCharacter:
        return LiteralCharacter(text, "i" in self.flags)

    def _line_anchor(self, sign: str) -> AnchorKind:
        if "m" in self.flags:
            return "line begin" if sign == "^" else "line end"
        return "begin" if sign == "^" else "end"

    def _group(self) -> RegexNode | None:
        outer, start = self.flags, self.at
        opening = "("
        if self.text.startswith("(?", self.at):
            opened = _GROUP.match(self.text, self.at)
            if opened is None:
                raise RegexError(f"the group {self.text[self.at : self.at + 3]}…", self.at)
            opening = opened[0]
            if not opened["name"] and opening != "(?:":
                self.settings.append(opening)
                self.flags = (outer | set(opened["on"])) - set(opened["off"] or "")
            self.at = opened.end()
            if opened["end"] == ")":
                # These flags hold to the end of the group around, which puts its own back.
                return None
        else:
            self.at += 1
        item = self._choice()
        if not self.text.startswith(")", self.at):
            raise RegexError("a group without an end", start)
        self.at += 1
        self.flags = outer
        return RegexGroup(item, opening)

    def _escape(self) -> RegexNode:
        following = self.text[self.at + 1 : self.at + 2]
        if following in _ANCHORS:
            self.at += 2
            return Anchor(_ANCHORS[following])
        start = self.at
        named = self._named_class()
        if named is not None:
            # `\D` is the class of what is not a digit: one negation, that of the class.
            inside = (NamedClass(named.name),)
            text = self.text[start : self.at]
            return CharacterClass(named.negated, inside, "i" in self.flags, text)
        return self._character(self._escaped())

    def _named_class(self) -> NamedClass | None:
        r"""``\d``, ``\S``, ``\pN``, ``\p{Greek}`` if one is next."""
        following = self.text[self.at + 1 : self.at + 2]
        if following and following in "dDsSwW":
            self.at += 2
            return NamedClass(following.lower(), following.isupper())
        if following and following in "pP":
            named = _PROPERTY.match(self.text, self.at)
            if named is None:
                raise RegexError(rf"the escape \{following}", self.at)
            self.at = named.end()
            name = "p" + named[0][2:].replace("{^", "{")
            return NamedClass(name, (following == "P") != ("{^" in named[0]))
        return None

    def _escaped(self) -> str:
        """The character that an escape stands for."""
        following = self.text[self.at + 1 : self.at + 2]
        if following in _CONTROLS:
            self.at += 2
            return _CONTROLS[following]
        if octal := _OCTAL.match(self.text, self.at):
            self.at = octal.end()
            return chr(int(octal[0][1:], 8))
        if code := _HEXADECIMAL.match(self.text, self.at):
            number = int(code[1] or code[2], 16)
            if number > 0x10FFFF:
                raise RegexError(f"the escape {code[0]}", self.at)
            self.at = code.end()
            return chr(number)
        if following and following.isascii() and not following.isalnum():
            self.at += 2
            return following
        raise RegexError(f"the escape \\{following}", self.at)

    def _class(self) -> CharacterClass:
        start = self.at
        self.at += 1
        negated = self.text.startswith("^", self.at)
        if negated:
            self.at += 1
        items: list[CharacterRange | NamedClass] = []
        # A closing bracket at the very start stands for itself.
        while not self.text.startswith("]", self.at) or not items:
            if self.at >= len(self.text):
                raise RegexError("a class without an end", start)
            items.append(self._class_item())
        self.at += 1
        text = self.text[start : self.at]
        return CharacterClass(negated, tuple(items), "i" in self.flags, text)

    def _class_item(self) -> CharacterRange | NamedClass:
        start = self.at
        if posix := _POSIX.match(self.text, self.at):
            if posix[2] not in _POSIX_NAMES:
                raise RegexError(f"the class {posix[0]}", start)
            self.at = posix.end()
            return NamedClass(f":{posix[2]}:", bool(posix[1]))
        if self.text.startswith("[:", self.at) and ":]" in self.text[self.at + 2 :]:
            raise RegexError("a named class without a name that is known", start)
        if self.text.startswith("\\", self.at) and (named := self._named_class()) is not None:
            return named
        first = last = self._class_character()
        if self.text.startswith("-", self.at) and not self.text.startswith("-]", self.at):
            self.at += 1
            if self.at >= len(self.text):
                raise RegexError("a class without an end", start)
            last = self._class_character()
            if last < first:
                raise RegexError(f"the range {self.text[start : self.at]}", start)
        return CharacterRange(first, last)

    def _class_character(self) -> str:
        if self.text.startswith("\\", self.at):
            return self._escaped()
        self.at += 1
        return self.text[self.at - 1]
