r"""Strings whose quotes are wrong, and values that have none.

The text of a statement is read from left to right as the tokens it seems to have. Where a value has
to stand (after a comparison, in a list, after ``contains`` and its like) it is read to where it
must end, whether its quotes say so or not::

    exe = ”cmd.exe” and …        typographic quotes
    exe = "cmd.exe) or …         no closing quote: the value ends before the bracket and the `or`
    exe = cmd.exe" and …         no opening quote
    exe = "cmd.exe"") and …      a quote too many
    line = "*\"a b\"*" and …     quotes with a backslash before them, as other languages write them
    exe = C:\Windows\cmd.exe)    no quotes at all; also *transfer*, \d{1,3}, %windir%\x

A quote closes a string when a connective, a bracket, a comma or the line's end follows it. A value
without a closing quote ends where a connective follows *that a further condition follows*: in
``"*sell and buy*"`` nothing ends. What may still be meant in two ways is left alone, and the strict
parser refuses it.
"""

from __future__ import annotations

import re

from attrs import define, field, frozen

from ..diagnostics import Code, codes
from ..syntax.lexical import quoted
from .editing import Repair

_DOUBLE_CURLY = "“”„‟″«»"
_SINGLE_CURLY = "‘’‚‛′"
_DOUBLES = '"' + _DOUBLE_CURLY
_SINGLES = "'" + _SINGLE_CURLY
_QUOTES = _DOUBLES + _SINGLES
_DASHES = "‐‑‒–—−"
_INVISIBLE = "\u200b\u200c\u200d\u2060\u00ad\ufeff"

# How far a value may reach, and how long a line may be that is looked at.
_FAR = 2_000

_STRICT = {
    '"': re.compile(r'"[^"\r\n]*(?:""[^"\r\n]*)*"'),
    "'": re.compile(r"'[^'\r\n]*(?:''[^'\r\n]*)*'"),
}
_NAME = r"[A-Za-z_@][\w@]*(?:\.[A-Za-z_@][\w@]*)*"
_OPERATOR = (
    r"(?:[=!<>]=|<>|=~|~=|[=<>]|\.\s*\w+\s*\(|"
    r"(?:not\s+)?(?:in|contains?|does|match(?:es)?|exists|includes?|is|like|"
    r"(?:starts|ends|begins)\s*with)(?![\w@]))"
)
# A connective that a further condition follows, or nothing more on its line.
CONNECTIVE = re.compile(
    rf"(?:(?<=[\s)\]{_QUOTES}])(?:and|or)(?![\w@])|&&|\|\|)"
    rf"(?=[\s(\[]*(?:not(?![\w@])[\s(]*)*"
    rf"(?:{_NAME}\]?\s*{_OPERATOR}|[{_QUOTES}][^\r\n]{{0,200}}?\braw\s+event|[)\s]*(?:[\r\n]|\Z)))",
    re.IGNORECASE,
)
_COMPARISON = re.compile(rf"\s*[(]*\s*{_NAME}\s*{_OPERATOR}", re.IGNORECASE)
# A word that may be a misspelt connective, and a comparison behind it.
_WORD_COMPARISON = re.compile(rf"\s+\S{{1,12}}\s+[(\s]*{_NAME}\s*{_OPERATOR}", re.IGNORECASE)
# A value that seems to hold a further condition: something in it is misspelt, but what?
_HAS_CONDITION = re.compile(r"\s(?:and|or)\s[^=<>]*[=<>]", re.IGNORECASE)
_ENTITY = re.compile(r"&(?:[a-z]{2,8}|#x?[0-9a-f]{1,6});", re.IGNORECASE)
# A value that can only be a regular expression.
_REGEX_NEXT = re.compile(
    r"[ \t]*(?:/[^\s]|[\"'][^\r\n\"']*(?:\.[*+?]|\\[dws][*+{]|\\\.|[\^|$+]|\[[^\]*?]))",
    re.IGNORECASE,
)
# A regular expression between slashes, as other languages write it.
_SLASHED = re.compile(r"/(.+)/i?")
_AFTER_VALUE = re.compile(
    r"[ \t\u00a0]*(?:\Z|[\r\n)\],#;]|(?:and|or)(?![\w@])|&&|\|\||"
    r"(?:output|return|input)[ \t]+\w|by[ \t]+\w|"
    r"\w+[ \t]*=[ \t]*(?:search|filter|join|group|from|run)[ \t])",
    re.IGNORECASE,
)
_AFTER_OPERAND = re.compile(r"\s*(?:not\s+)?in(?![\w@])|\s*[=!<>]", re.IGNORECASE)
_NEXT_STRING = re.compile(rf"[ \t]+[{_QUOTES}]")
_ONE_OF = re.compile(r"(?:one|any|all)\s+of(?![\w@])", re.IGNORECASE)
_COMMENT = re.compile(r"[ \t]#")
_GAP = re.compile(r"[ \t\u00a0]*")
_GAP_BEFORE = re.compile(r"[ \t\u00a0]*\Z")
_SIGN_BEFORE = re.compile(r"\s?[=!<>]+[ \t\u00a0]*\Z")
# One word that is a path, a file's name or a pattern: blanks around it are no part of it.
_ONE_PATH = re.compile(r"\S*(?:\\|\.\w|\*)\S*")
_LINE = re.compile(r"[^\r\n]*")
_TOKEN = re.compile(
    r"`(?:[^`\r\n]|``)+`|\d[\w@]*(?:\.(?=\d)[\w@]*)*|[\w@]+|"
    r"===|==|!=|<=|>=|<>|=>|=<|=~|~=|&&|\|\||:=|."
)
_BLANK = re.compile(r"(?:[\s\ufeff]+|#[^\r\n]*)+")

_EQUALITIES = frozenset(["=", "==", "!=", "===", "<>"])
_ORDERINGS = frozenset(["<", ">", "<=", ">=", "=<", "=>"])
_VALUE_WORDS = frozenset(
    ["in", "match", "matches", "contains", "contain", "includes", "include", "like", "with"]
)
_FOREIGN = {
    "===": "=",
    "<>": "!=",
    "=>": ">=",
    "=<": "<=",
    "&&": "and",
    "||": "or",
    ":=": "=",
    "=~": "match",
}
_HAS_BARE = re.compile(
    r"\\|^[*?%/^$~.{]|[\w.:)\]]\*|\*[\w.(\[\\-]|%|://|^[A-Za-z]:(?!\s)", re.ASCII
)


def requote(text: str, start: int, end: int) -> list[Repair]:
    """The repairs of quotes, unquoted values and foreign signs in a stretch of a text."""
    reader = _StatementQuotes(text, end, start)
    reader.run()
    return reader.made


@define
class _StatementQuotes:
    """The reading of one statement: where it is, what stood before, which brackets are open."""

    text: str
    end: int
    at: int
    made: list[Repair] = field(factory=list)
    before: str = ""
    earlier: str = ""
    open: list[str] = field(factory=list)
    defined: bool = False
    items: list[_ListItem] = field(factory=list)

    def run(self) -> None:
        while self.at < self.end:
            blank = _BLANK.match(self.text, self.at, self.end)
            if blank is not None:
                self.at = blank.end()
                continue
            if self.text[self.at] in _QUOTES:
                self._string()
            elif not (self._takes_value() and self._bare()):
                self._token()
        self._close_list()

    # Where we are

    def _in_list(self) -> bool:
        return bool(self.open) and self.open[-1] == "["

    def _takes_value(self) -> bool:
        if self.before in _EQUALITIES:
            # The first = of `name = …` defines; it takes no bare value.
            return self.defined
        if self.before in _VALUE_WORDS:
            return True
        if self.before == "(":
            return self.earlier in _VALUE_WORDS
        return self._in_list() and self.before in ("[", ",")

    def _push(self, sign: str) -> None:
        if sign in ("(", "["):
            self.open.append(sign)
            self._close_list()
        elif sign in (")", "]"):
            if self._in_list():
                self._close_list()
            if self.open:
                self.open.pop()
        elif self._in_list() and sign not in (",", "string"):
            self.items.append(_ListItem("word", None, sign))
        elif sign in ("where", "and", "or") or (sign in _EQUALITIES | _ORDERINGS and sign != "="):
            self.defined = True
        self.earlier, self.before = self.before, sign

    def _item(self, kind: str, value: str) -> None:
        """Remember how an item of a list was read; its repair is the last one made."""
        if self._in_list():
            repair = None if kind == "string" else self.made[-1]
            self.items.append(_ListItem(kind, repair, value))

    def _close_list(self) -> None:
        """Take back repairs of a list's items where a comma may have been part of a value.

        Two items that have no quotes side by side may be one with a comma in it, unless no item of
        the list has quotes and all look alike.
        """
        items, self.items = self.items, []
        shapes = {_shape(item.value) for item in items}
        if len(items) > 1 and len(shapes) == 1 and all(item.kind == "bare" for item in items):
            return
        loose = [item.kind != "string" for item in items]
        for number, item in enumerate(items):
            beside = loose[max(0, number - 1) : number] + loose[number + 1 : number + 2]
            if item.repair is not None and any(beside):
                self.made.remove(item.repair)

    def _say(self, start: int, end: int, text: str, code: Code, message: str) -> None:
        self.made.append(Repair(start, end, text, code, message))

    # Tokens

    def _token(self) -> None:
        found = _TOKEN.match(self.text, self.at, self.end)
        assert found is not None
        sign, start = found[0], self.at
        self.at = found.end()
        lower = sign.lower()
        if sign == "=~" and not _REGEX_NEXT.match(self.text, self.at, self.end):
            # Some languages mean a comparison without case by it; the strict parser refuses it.
            pass
        elif sign in _FOREIGN:
            right = _FOREIGN[sign]
            message = f"`{sign}` is no operator of the language; it is written `{right}`"
            self._say(start, self.at, self._spaced(right, start), codes.FOREIGN_WORDING, message)
            lower = right
        elif sign == "!" and not self.text.startswith("=", self.at):
            self._say(start, self.at, "not ", codes.FOREIGN_WORDING, "negation is written `not`")
            lower = "not"
        elif sign in _DASHES:
            self._say(start, self.at, "-", codes.QUOTES, "a typographic dash is no minus sign")
        elif sign in _INVISIBLE:
            message = f"the invisible character U+{ord(sign):04X} means nothing"
            self._say(start, self.at, "", codes.QUOTES, message)
            return
        elif sign == ";":
            self._say(start, self.at, "", codes.FOREIGN_WORDING, "`;` has no meaning here")
            return
        self._push(lower)

    def _spaced(self, word: str, start: int) -> str:
        if not word[0].isalpha():
            return word
        before = "" if start and self.text[start - 1].isspace() else " "
        after = "" if self.text[self.at : self.at + 1].isspace() else " "
        return before + word + after

    # Strings

    def _line_end(self) -> int:
        line = _LINE.match(self.text, self.at, self.end)
        assert line is not None
        return min(line.end(), self.at + _FAR)

    def _ends(self, at: int) -> bool:
        """Whether a value can end at a place: what follows goes on without it."""
        if at >= self.end or _AFTER_VALUE.match(self.text, at, self.end):
            return True
        if self._in_list():
            return _NEXT_STRING.match(self.text, at, self.end) is not None
        if self.before in ("where", "and", "or", "not", "(", ""):
            return _AFTER_OPERAND.match(self.text, at, self.end) is not None
        return False

    def _string(self) -> None:
        start, opener = self.at, self.text[self.at]
        strict = _STRICT[opener].match(self.text, start, self.end) if opener in _STRICT else None
        if strict is not None and self._ends(strict.end()):
            self.at = strict.end()
            self._push("string")
            self._item("string", "")
            return
        found = self._closed(start, opener)
        kind = "string"
        if found is None:
            kind = "unclosed"
            found = self._unclosed(start + 1, "no quote closes this string")
        if found is None:
            # Nothing certain can be said: the string is passed over as the strict lexer would.
            self.at = strict.end() if strict is not None else self._line_end()
            self._push("string")
            return
        end, value, message = found
        single = opener in _SINGLES
        self._say(start, end, _written(value, single), codes.QUOTES, message)
        self.at = end
        self._push("string")
        self._item(kind, value)

    def _closed(self, start: int, opener: str) -> tuple[int, str, str] | None:
        """A string with a closing quote of some kind: its end, its value, what was wrong."""
        plain = opener in "\"'"
        family = _DOUBLES if opener in _DOUBLES else _SINGLES
        limit = self._line_end()
        value: list[str] = []
        escapes = inner = doubles = False
        at = start + 1
        while at < limit:
            sign = self.text[at]
            if sign not in family:
                value.append(sign)
                at += 1
                continue
            twice = at + 1 < limit and sign in "\"'" and self.text[at + 1] == sign
            if twice and not self._ends(at + 2):
                value.append(sign)
                doubles = True
                at += 2
                continue
            if twice:
                if value and value[0] in family:
                    # `""x""`: two quotes for one, or a text with quotes around it.
                    return None
                return at + 2, "".join(value), "a quote too many closes this string"
            if self._ends(at + 1):
                if (inner and CONNECTIVE.search("".join(value))) or (escapes and doubles):
                    return None
                if escapes:
                    message = "a quote inside a string is written twice, not with a backslash"
                elif not plain or sign != opener:
                    message = "these quotes are typographic ones"
                else:
                    message = "a quote inside a string is written twice"
                return at + 1, "".join(value), message
            if value and value[-1] == "\\":
                value[-1] = sign
                escapes = True
                at += 1
                continue
            if CONNECTIVE.search("".join(value) + " ", 0) or self._in_list():
                return None
            if CONNECTIVE.search(self.text, start + 1, at + 1):
                return None
            if _COMPARISON.match(self.text, at + 1) or _WORD_COMPARISON.match(self.text, at + 1):
                return None
            value.append(sign)
            inner = True
            at += 1
        return None

    def _unclosed(self, start: int, message: str) -> tuple[int, str, str] | None:
        """A string without a closing quote, from after its opening one."""
        end = self._value_end(start)
        value = self.text[start:end]
        if any(sign in '"' + _DOUBLE_CURLY for sign in value) or not value.strip():
            return None
        if value[0] in _QUOTES or value[-1] in _QUOTES:
            # It may be the other quote of a string in quotes of that kind.
            return None
        if value != value.strip() or not self._certain_end(value, end, closing=True):
            return None
        return end, value, message

    def _value_end(self, start: int) -> int:
        """Where a value ends that no quote ends."""
        line = _LINE.match(self.text, start, self.end)
        assert line is not None
        limit = min(line.end(), start + _FAR)
        if self._in_list():
            limit = _list_end(self.text, start, limit)
        connective = CONNECTIVE.search(self.text, start, limit)
        if connective is not None:
            limit = connective.start()
        comment = _COMMENT.search(self.text, start, limit)
        if comment is not None:
            limit = comment.start()
        while limit > start:
            last = self.text[limit - 1]
            if last.isspace() or (last in ")]" and _unbalanced(self.text[start:limit], last)):
                limit -= 1
            else:
                break
        return limit

    def _certain_end(self, value: str, end: int, *, closing: bool = False) -> bool:
        """Whether blanks behind the value are surely not part of it."""
        after = _GAP.match(self.text, end)
        gap = len(after[0]) if after is not None else 0
        following = self.text[end + gap : end + gap + 1]
        if gap == 0:
            return True
        if following in (",", "]"):
            return False
        if following in ("", "\r", "\n", ")"):
            pattern = value.endswith("*") and not closing
            return pattern or _ONE_PATH.fullmatch(value) is not None
        return gap == 1

    def _certain_start(self, start: int, value: str) -> bool:
        """Whether blanks before the value are surely not part of it."""
        gap, before = _left_gap(self.text, start)
        if gap == 0 or before in ("", "\r", "\n"):
            return True
        if gap > 1 or before in ("[", "("):
            return False
        if before not in "=<>" or _ONE_PATH.fullmatch(value):
            return True
        # `a = x` has blanks on both sides, `a= x` on one: the other may be the value's.
        sign = _SIGN_BEFORE.search(self.text, max(0, start - 30), start)
        return sign is not None and sign[0][0].isspace()

    # Values without quotes

    def _is_regex(self) -> bool:
        operator = self.earlier if self.before == "(" else self.before
        return operator in ("match", "matches")

    def _bare(self) -> bool:
        """Read a value that has no quotes, or none in front; False where there is none."""
        start = self.at
        end = self._value_end(start)
        raw = self.text[start:end]
        if _ONE_OF.match(raw):
            return False
        if not raw or (raw[0] in "([" and not raw.startswith("[^")):
            return False
        if not self._certain_start(start, raw):
            # The blanks may have been the value's own.
            return False
        if raw[-1] in _QUOTES and not any(sign in _QUOTES for sign in raw[:-1]):
            if raw[:-1]:
                mark = raw[-1]
                message = f"no quote opens this string, and {mark} closes it"
                self._say(start, end, _written(raw[:-1], mark in _SINGLES), codes.QUOTES, message)
                self.at = end
                self._push("string")
                self._item("unopened", raw[:-1])
                return True
            return False
        if _ENTITY.search(raw):
            # The quotes may be written like this, too.
            return False
        if any(sign in _DOUBLES for sign in raw) or "…" in raw or raw.startswith("..."):
            return False
        if not _HAS_BARE.search(raw) or _HAS_CONDITION.search(raw):
            return False
        if not self._certain_end(raw, end):
            return False
        slashed = _SLASHED.fullmatch(raw) if self._is_regex() else None
        if slashed is not None:
            message = "a regular expression stands in quotes, without slashes"
            self._say(start, end, quoted(slashed[1]), codes.UNQUOTED, message)
        else:
            self._say(start, end, quoted(raw), codes.UNQUOTED, "a text stands in quotes")
        self.at = end
        self._push("string")
        self._item("bare", raw)
        return True


def _left_gap(text: str, start: int) -> tuple[int, str]:
    """How many blanks stand before a place on its line, and what is before them; nothing at a
    line's begin."""
    found = _GAP_BEFORE.search(text, max(0, start - 30), start)
    assert found is not None
    return len(found[0]), text[found.start() - 1 : found.start()] if found.start() else ""


@frozen
class _ListItem:
    """An item of the list at hand: how it was read (as a string, without quotes …), its repair, its
    value."""

    kind: str
    repair: Repair | None
    value: str


def _shape(value: str) -> tuple[bool, bool, bool]:
    """What values look like that belong together: wildcards at the same ends, all paths or none."""
    return value.startswith("*"), value.endswith("*"), "\\" in value


def _written(value: str, single: bool) -> str:
    """A string in the quotes its author chose, if it can stand in them."""
    return f"'{value}'" if single and "'" not in value else quoted(value)


def _unbalanced(text: str, closing: str) -> bool:
    opening = "(" if closing == ")" else "["
    return text.count(closing) > text.count(opening)


def _list_end(text: str, start: int, limit: int) -> int:
    """The comma or bracket that ends an item of a list; those in braces and brackets do not."""
    depth = 0
    for at in range(start, limit):
        sign = text[at]
        if sign in "{([":
            depth += 1
        elif depth and sign in "})]":
            depth -= 1
        elif not depth and sign in ",]":
            return at
    return limit
