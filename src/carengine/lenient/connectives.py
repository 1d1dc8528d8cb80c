"""Commas and connectives that are missing between two things, or stand where nothing follows.

Two values side by side in a list, two items of a projection, two names behind ``output`` lack a
comma. Two conditions on two lines lack a connective: it is ``and``, unless conditions beside them
are connected with ``or``, or both say what one field is; then nobody can tell, and the text is
refused.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from attrs import define, field

from ..diagnostics import Code, codes
from ..syntax.lexical import Lexeme, first_on_line
from .editing import Repair, Text
from .phrases import COMPARISONS, UNITS

_CONNECTIVES = frozenset(["and", "or"])
# The last word of a string that its closing quote should have stood before.
_CONNECTIVE_LAST = re.compile(r"\s(?:and|or)\s*[\"']\Z", re.IGNORECASE)
# Operators of which two on one field, side by side, may be alternatives.
_POSITIVE = ("=", "==", "in", "contains", "match")
# Words that neither end nor begin an operand.
_BETWEEN = frozenset(
    [
        "and",
        "or",
        "not",
        "in",
        "contains",
        "contain",
        "does",
        "match",
        "where",
        "by",
        "within",
        "select",
        "as",
        "from",
        "filter",
        "search",
        "join",
        "group",
        "of",
        "top",
        "bottom",
    ]
)
_LISTS = frozenset(["select", "by", "output", "return", "input", "join", "group", "search"])


@define
class _BracketLevel:
    """What stands inside one pair of brackets: the kind of place, and its connectives so far."""

    kind: str
    connectives: set[str] = field(factory=set)
    gaps: list[int] = field(factory=list)
    """The indices of the lexemes that begin a condition which nothing connects with the one before.
    """
    subjects: list[tuple[int, str]] = field(factory=list)
    """The fields that conditions say to be something, each with the number of gaps before it."""


def connect(text: Text, lexemes: Sequence[Lexeme]) -> list[Repair]:
    """The repairs of commas and connectives in one statement."""
    made = _loose_ends(text, lexemes)
    if made or text.refused:
        return made
    levels = [_BracketLevel("where" if not _is_statement(lexemes) else "")]
    closed: list[_BracketLevel] = []
    for at, lexeme in enumerate(lexemes):
        before = lexemes[at - 1] if at else None
        level = levels[-1]
        if before is not None and _touches(lexemes, at):
            if level.kind == "search" and _is_action(lexemes, at):
                message = "a colon stands between an object and its action"
                made.append(Repair(before.end, lexeme.start, ":", codes.STATEMENT_SHAPE, message))
            elif level.kind in ("[", *_LISTS):
                if level.kind == "search" and _is_whole_object(lexemes, at):
                    text.refuse(
                        before.start,
                        lexeme.end,
                        f"what {before.text} says here cannot be told: no action follows it",
                    )
                    return []
                if not _is_apart(before, lexeme):
                    text.refuse(
                        before.start,
                        lexeme.end,
                        "where one text of this list ends and the next begins cannot be told",
                    )
                    return []
                message = "the parts of a list are separated by commas"
                made.append(Repair(before.end, before.end, ",", codes.COMMAS, message))
            elif level.kind == "where" and first_on_line(text.text, lexemes, at):
                level.gaps.append(at)
        if before is None or _begins(lexemes, at) or level.gaps[-1:] == [at]:
            subject, sign = _subject(lexemes, at)
            if sign in _POSITIVE:
                level.subjects.append((len(level.gaps), subject))
        if lexeme.text == "(":
            inner = level.kind
            if before is not None and before.word in (
                "join",
                "output",
                "return",
                "search",
                "group",
            ):
                inner = before.word
            elif before is not None and _is_call(lexemes, at):
                inner = "call"
            levels.append(_BracketLevel(inner))
        elif lexeme.text == "[":
            levels.append(_BracketLevel("["))
        elif lexeme.text in (")", "]"):
            if len(levels) > 1:
                closed.append(levels.pop())
                outer = levels[-1]
                outer.subjects += [(len(outer.gaps), name) for _, name in closed[-1].subjects]
        elif lexeme.word in _CONNECTIVES:
            level.connectives.add(lexeme.word)
        elif lexeme.word == "where" and not _is_value(lexemes, at):
            level.kind = "where"
        elif lexeme.word in _LISTS and not _is_value(lexemes, at):
            level.kind = lexeme.word
        elif lexeme.word in ("within", "from"):
            level.kind = ""
    for level in (*closed, *levels):
        made += _joined(text, lexemes, level)
    return made


def _is_action(lexemes: Sequence[Lexeme], at: int) -> bool:
    """Whether the name at an index is the action of the object before it: neither has its colon
    elsewhere."""
    around = (lexemes[at - 2].text, *(item.text for item in lexemes[at + 1 : at + 2]))
    return lexemes[at].is_name and lexemes[at - 1].is_name and ":" not in around


def _is_whole_object(lexemes: Sequence[Lexeme], at: int) -> bool:
    """Whether an object without an action stands right before one with an action."""
    return lexemes[at - 2].text != ":" and [x.text for x in lexemes[at + 1 : at + 2]] == [":"]


def _is_apart(before: Lexeme, lexeme: Lexeme) -> bool:
    """Whether two parts of a list are surely two: a blank is between them, and the comma is in
    neither.

    Of ``[powershell", "mshta]`` the quotes hold what is between the texts, of ``["a," "b"]`` the
    comma.
    """
    if "string" not in (before.kind, lexeme.kind):
        return True
    if before.end == lexeme.start:
        return False
    if before.text[:-1].rstrip().endswith(",") or lexeme.text[1:].lstrip().startswith(","):
        return False
    return all(item.text.strip("\"' ,;") for item in (before, lexeme))


def _is_statement(lexemes: Sequence[Lexeme]) -> bool:
    if len(lexemes) < 2 or not lexemes[0].is_name:
        return False
    return lexemes[1].text in ("=", ".") or lexemes[0].word in ("output", "return", "input")


def _is_value(lexemes: Sequence[Lexeme], at: int) -> bool:
    """Whether a keyword at an index is a field's name: something compares it, or it follows a
    dot."""
    after = lexemes[at + 1 : at + 2]
    before = lexemes[at - 1 : at] if at else []
    return bool(after and (after[0].text in COMPARISONS or after[0].text == ".")) or bool(
        before and before[0].text == "."
    )


def _is_call(lexemes: Sequence[Lexeme], at: int) -> bool:
    before = lexemes[at - 1]
    return before.is_name and (before.word not in _BETWEEN or before.word in ("contains", "match"))


def _ends_operand(lexemes: Sequence[Lexeme], at: int) -> bool:
    lexeme = lexemes[at]
    if lexeme.kind in ("string", "number", "name") or lexeme.text in (")", "]"):
        return True
    if lexeme.text == "*":
        return at > 0 and lexemes[at - 1].text in ("(", ":")
    return lexeme.kind == "word" and (lexeme.word not in _BETWEEN or _is_value(lexemes, at))


def _touches(lexemes: Sequence[Lexeme], at: int) -> bool:
    """Whether the lexeme at an index begins something new with nothing between it and the one
    before."""
    before, lexeme = lexemes[at - 1], lexemes[at]
    if not _ends_operand(lexemes, at - 1):
        return False
    if before.kind == "number" and UNITS.fullmatch(lexeme.text):
        return False
    if before.word in ("output", "return", "input", "raw", "search", "filter", "join", "group"):
        return False
    if at >= 2 and lexemes[at - 2].word in _BETWEEN and before.word in ("raw",):
        return False
    if lexeme.kind in ("string", "number", "name"):
        return True
    if lexeme.text == "(":
        # `name (` is a call; `a.name (` and `"x" (` are not.
        dotted = at >= 2 and lexemes[at - 2].text == "."
        return (
            not before.is_name
            or (dotted and before.kind == "word")
            or before.text.endswith("exists")
        )
    if lexeme.word == "not":
        following = lexemes[at + 1 : at + 2]
        return bool(following) and following[0].word not in ("in", "contain")
    if lexeme.kind != "word":
        return False
    if lexeme.word in ("exists", "includes", "event"):
        return _is_value(lexemes, at)
    return lexeme.word not in _BETWEEN or _is_value(lexemes, at)


def _joined(text: Text, lexemes: Sequence[Lexeme], level: _BracketLevel) -> list[Repair]:
    """The connectives that one level lacks."""
    if not level.gaps:
        return []
    for at in level.gaps:
        before, after = lexemes[at - 1], lexemes[at]
        if before.kind == "string" and _CONNECTIVE_LAST.search(before.text):
            text.refuse(
                before.start,
                after.end,
                "nothing connects these two conditions; does the string end before its last word?",
            )
            return []
    first, second = lexemes[level.gaps[0] - 1], lexemes[level.gaps[0]]
    shared = _shared(level)
    if shared:
        text.refuse(
            first.end,
            second.end,
            "nothing connects these two conditions, and both `and` and `or` could be meant",
            notes=(f"both sides say what {shared} is, as alternatives do",),
        )
        return []
    if "or" in level.connectives:
        text.refuse(
            first.end,
            second.end,
            "nothing connects these two conditions, and both `and` and `or` could be meant",
            notes=("the conditions beside them are connected with `or`",),
        )
        return []
    return [
        Repair(
            before.end,
            before.end,
            " and",
            codes.CONNECTIVES,
            "nothing connects this condition with the next line's",
        )
        for before in (lexemes[at - 1] for at in level.gaps)
    ]


def _begins(lexemes: Sequence[Lexeme], at: int) -> bool:
    """Whether a condition begins at an index, by what stands before it."""
    before = lexemes[at - 1]
    return before.text == "(" or (
        before.word in (*_CONNECTIVES, "where") and not _is_value(lexemes, at - 1)
    )


def _shared(level: _BracketLevel) -> str:
    """The field that conditions on both sides of a gap say to be something; nothing where there is
    none."""
    first: dict[str, int] = {}
    for number, name in level.subjects:
        if first.setdefault(name, number) != number:
            return name
    return ""


def _subject(lexemes: Sequence[Lexeme], at: int) -> tuple[str, str]:
    """The field that a condition begins with, and its operator; nothing where it begins
    otherwise."""
    end = at
    while end + 2 < len(lexemes) and lexemes[end].is_name and lexemes[end + 1].text == ".":
        end += 2
    if end + 1 >= len(lexemes) or not lexemes[end].is_name:
        return "", ""
    name = "".join(item.text for item in lexemes[at : end + 1]).lower()
    sign = lexemes[end + 1]
    return name, sign.word or sign.text


def _loose_ends(text: Text, lexemes: Sequence[Lexeme]) -> list[Repair]:
    """Connectives with nothing behind or before them, and commas too many."""
    made: list[Repair] = []
    lists = 0
    for at, lexeme in enumerate(lexemes):
        lists += {"[": 1, "]": -1}.get(lexeme.text, 0)
        after = lexemes[at + 1] if at + 1 < len(lexemes) else None
        before = lexemes[at - 1] if at else None
        if lexeme.word in _CONNECTIVES and not _is_value(lexemes, at):
            start = before.end if before is not None else lexeme.start
            if _is_astray(lexemes, at):
                text.refuse(
                    lexeme.start,
                    lexeme.end,
                    f"this `{lexeme.text}` connects nothing, and the bracket beside it lacks one",
                )
                return []
            if after is None or after.text == ")":
                made.append(_dropped(start, lexeme.end, f"nothing follows this `{lexeme.text}`"))
            elif before is not None and (before.text == "(" or before.word == "where"):
                made.append(
                    _dropped(start, lexeme.end, f"nothing stands before this `{lexeme.text}`")
                )
            elif after.word == lexeme.word:
                made.append(_dropped(start, lexeme.end, f"`{lexeme.text}` stands here twice"))
        elif lexeme.text == "," and after is None and lists > 0:
            text.refuse(lexeme.start, lexeme.end, "the list breaks off here")
            return []
        elif lexeme.text == "," and (
            after is None or after.text in (",", ")", "where") or after.word == "where"
        ):
            made.append(
                _dropped(lexeme.start, lexeme.end, "nothing follows this comma", codes.COMMAS)
            )
    return made


def _is_astray(lexemes: Sequence[Lexeme], at: int) -> bool:
    """Whether a connective stands on the wrong side of a bracket: in ``a or) b`` and in ``a (or
    b``."""
    sides = [item.text for item in lexemes[max(at - 1, 0) : at + 2]]
    if sides[-1] == ")" and at + 2 < len(lexemes):
        return _touches(lexemes, at + 2)
    if at >= 2 and sides[0] == "(":
        return _touches(lexemes, at - 1) or lexemes[at - 2].kind in ("string", "number")
    return False


def _dropped(start: int, end: int, message: str, code: Code | None = None) -> Repair:
    return Repair(start, end, "", code or codes.CONNECTIVES, message)
