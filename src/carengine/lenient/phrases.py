"""Words and shapes of other languages, and statements whose parts stand in the wrong place.

What is read here needs no knowledge of the data model, only of how a statement is built::

    command_line.matches("x")              command_line match "x"
    command_line includes one of ["a"]     command_line contains ["a"]
    user not in TOP30(user)                user not in top 30 of (user)
    [EventCode] == 4624                    EventCode == 4624
    exe in ("a.exe", "b.exe")              exe in ["a.exe", "b.exe"]
    filter s (where x = 1)                 filter s where (x = 1)
    group s by f where(max time between
    two events is 30 minutes)              group s by f within 30 minutes
    search (A:B and A:C)                   search (A:B or A:C)

Each rule looks at the lexemes of one statement that the strict parser refused.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence

from ..datamodel import typing_errors
from ..diagnostics import codes
from ..syntax.lexical import STREAM_WORDS, Lexeme, first_on_line
from .editing import Repair, Text

COMPARISONS = frozenset(["=", "==", "!=", "<", "<=", ">", ">="])
UNITS = re.compile(
    r"(?:micro|milli)?sec(?:ond)?s?|[mu]?s|msecs?|min(?:ute)?s?|m|hours?|hrs?|h|days?|d|weeks?|w",
    re.IGNORECASE,
)
_VARIABLE = re.compile(r"%\w+%[\\/]")
_RANK = re.compile(r"(top|bottom)_?(\d{1,6})", re.IGNORECASE)
_DURATION = re.compile(
    rf"\d+(?:\.\d+)?[ \t]*(?:{UNITS.pattern})(?![\w@])",
    re.IGNORECASE,
)

# Operators of other languages, longest first, and what the language writes.
_OPERATORS: tuple[tuple[tuple[str, ...], str], ...] = (
    (("does", "not", "include", "any", "of"), "does not contain"),
    (("does", "not", "include"), "does not contain"),
    (("not", "contains"), "does not contain"),
    (("includes", "one", "of"), "contains"),
    (("includes", "any", "of"), "contains"),
    (("include", "one", "of"), "contains"),
    (("contains", "one", "of"), "contains"),
    (("contains", "any", "of"), "contains"),
    (("is", "not", "one", "of"), "not in"),
    (("is", "not", "in"), "not in"),
    (("is", "one", "of"), "in"),
    (("is", "any", "of"), "in"),
    (("is", "in"), "in"),
    (("one", "of"), "in"),
    (("any", "of"), "in"),
    (("is", "not"), "!="),
    (("is",), "="),
    (("equals",), "="),
    (("includes",), "contains"),
    (("matches",), "match"),
    (("like",), "="),
)
_METHODS = {
    "matches": "match",
    "match": "match",
    "regex": "match",
    "contains": "contains",
    "includes": "contains",
}


def reword(text: str, lexemes: Sequence[Lexeme]) -> list[Repair]:
    """The repairs of foreign operators and notations in one statement."""
    return [
        *_methods(lexemes),
        *_operators(lexemes),
        *_lists(lexemes),
        *_kinds(lexemes),
    ]


def renote(text: str, lexemes: Sequence[Lexeme]) -> list[Repair]:
    """The repairs of notations that the strict parser takes for something else.

    ``TOP30(user)`` parses as a call of a function, ``[field] == 1`` as the comparison of a list;
    both can mean nothing as such.
    """
    return [*_ranks(lexemes), *_bracketed_fields(lexemes)]


def reshape(text: str, lexemes: Sequence[Lexeme]) -> list[Repair]:
    """The repairs of statements whose parts stand in the wrong place."""
    return [*_misplaced_where(lexemes), *_missing_where(lexemes), *_window(text, lexemes)]


def respell(text: str, lexemes: Sequence[Lexeme]) -> list[Repair]:
    """The repairs of keywords with a typing error where no other word can stand.

    ``name = fliter t …``, ``filter t wehre …``, and ``ouput name`` on a line of its own.
    """
    made: list[Repair] = []
    for at, lexeme in enumerate(lexemes):
        after = lexemes[at + 1] if at + 1 < len(lexemes) else None
        if not lexeme.word or after is None or after.text in COMPARISONS or after.text == ".":
            continue
        words: frozenset[str] = frozenset()
        if at >= 2 and lexemes[at - 1].text == "=" and first_on_line(text, lexemes, at - 2):
            words = STREAM_WORDS if after.is_name or after.text == "(" else words
        elif at >= 3 and lexemes[at - 2].word == "filter" and lexemes[at - 3].text == "=":
            words = frozenset(["where"])
        elif first_on_line(text, lexemes, at) and after.is_name:
            behind = at + 2 == len(lexemes) or lexemes[at + 2].text == ","
            words = frozenset(["output"]) if behind else words
        near = [word for word in words if typing_errors(lexeme.word, word, 1) is not None]
        if len(near) == 1 and near[0] != lexeme.word:
            message = f"`{lexeme.text}` is a typing error of `{near[0]}`"
            made.append(Repair(lexeme.start, lexeme.end, near[0], codes.KEYWORD_READ_AS, message))
    return made


def supply_streams(text: Text, parts: Sequence[Sequence[Lexeme]]) -> list[Repair]:
    """The repairs of filters with no stream: it is the one that is defined anew, or the only one
    there is."""
    made: list[Repair] = []
    defined: dict[str, None] = {}
    for part in parts:
        head = _head(part)
        if head == "filter" and len(part) > 4 and part[3].word == "where" and part[4].text != "=":
            name = part[0].text
            names = list(defined)
            chosen = name if name in defined else names[0] if len(names) == 1 else None
            if chosen is None:
                text.refuse(
                    part[2].start,
                    part[3].end,
                    "the filter names no stream, and more than one could be meant",
                )
            else:
                place = part[2].end
                message = "the filter names no stream"
                made.append(Repair(place, place, f" {chosen}", codes.STATEMENT_SHAPE, message))
        if head in STREAM_WORDS or (len(part) > 3 and part[3].text == "-"):
            defined[part[0].text] = None
    return made


def _repair(lexeme: Lexeme, last: Lexeme, text: str, message: str) -> Repair:
    return Repair(lexeme.start, last.end, text, codes.FOREIGN_WORDING, message)


def _is_operand(lexeme: Lexeme) -> bool:
    """Whether a lexeme can end what an operator compares."""
    return lexeme.is_name or lexeme.text in (")", "]") or lexeme.kind in ("string", "number")


def _methods(lexemes: Sequence[Lexeme]) -> Iterator[Repair]:
    """``f.matches("x")``, ``match("x")``: the operator stands between its sides."""
    for at, lexeme in enumerate(lexemes):
        word = _METHODS.get(lexeme.word)
        if word is None or at == 0 or at + 3 >= len(lexemes) or lexemes[at + 1].text != "(":
            continue
        dotted = lexemes[at - 1].text == "."
        if not dotted and not (word == "match" and lexemes[at - 1].is_name):
            continue
        close = _closing(lexemes, at + 1)
        if close is None:
            continue
        start = lexemes[at - 1] if dotted else lexeme
        written = f" {word} " if dotted else f"{word} "
        shown = f".{lexeme.text}( )" if dotted else f"{lexeme.text}( )"
        message = f"`{shown}` is written `{word}`, between its two sides"
        if word == "match":
            yield _repair(start, lexemes[at + 1], written, message)
            yield Repair(lexemes[close].start, lexemes[close].end, "", codes.FOREIGN_WORDING)
        else:
            yield _repair(start, lexeme, written, message)


def _closing(lexemes: Sequence[Lexeme], at: int) -> int | None:
    """The index of the bracket that closes the one at an index."""
    depth = 0
    for index in range(at, len(lexemes)):
        if lexemes[index].text in ("(", "["):
            depth += 1
        elif lexemes[index].text in (")", "]"):
            depth -= 1
            if depth == 0:
                return index
    return None


def _operators(lexemes: Sequence[Lexeme]) -> Iterator[Repair]:
    if _head(lexemes) == "group":
        return
    at = 1
    while at < len(lexemes) - 1:
        found = _operator_at(lexemes, at)
        if found is None:
            at += 1
            continue
        length, right = found
        last = lexemes[at + length - 1]
        said = " ".join(item.text for item in lexemes[at : at + length])
        value = lexemes[at + length]
        if lexemes[at].word == "like" and value.kind == "string" and "%" in value.text:
            if _VARIABLE.search(value.text):
                # `%windir%\%`: a variable, or any text? The strict parser refuses it.
                at += length
                continue
            pattern = value.text.replace("%", "*")
            yield _repair(
                lexemes[at], last, right, f"`{said}` is written `{right}`, and `%` as `*`"
            )
            yield Repair(value.start, value.end, pattern, codes.FOREIGN_WORDING)
        else:
            yield _repair(lexemes[at], last, right, f"`{said}` is written `{right}`")
        at += length


def _operator_at(lexemes: Sequence[Lexeme], at: int) -> tuple[int, str] | None:
    if not _is_operand(lexemes[at - 1]) or lexemes[at - 1].word in ("where", "and", "or", "not"):
        return None
    for words, right in _OPERATORS:
        last = at + len(words)
        if lexemes[at].word != words[0] or last >= len(lexemes):
            continue
        if tuple(item.word for item in lexemes[at:last]) != words:
            continue
        follows = lexemes[last]
        if follows.kind == "string" or follows.text in ("[", "(") or follows.kind == "number":
            return len(words), right
        if follows.is_name and follows.word not in ("and", "or", "in", "not", "where", "select"):
            return len(words), right
    return None


def _ranks(lexemes: Sequence[Lexeme]) -> Iterator[Repair]:
    """``TOP30(user)``, ``top 30 (user)``."""
    for at, lexeme in enumerate(lexemes):
        joined = _RANK.fullmatch(lexeme.text)
        if at == 0 or lexemes[at - 1].word != "in":
            continue
        if joined is not None and lexemes[at + 1 : at + 2] and lexemes[at + 1].text == "(":
            right = f"{joined[1].lower()} {joined[2]} of "
            yield _repair(lexeme, lexeme, right, f"`{lexeme.text}` is written `{right.strip()}`")
        elif lexeme.word in ("top", "bottom") and [x.kind for x in lexemes[at + 1 : at + 2]] == [
            "number"
        ]:
            following = lexemes[at + 2 : at + 3]
            if following and following[0].text == "(":
                number = lexemes[at + 1]
                right = f"{number.text} of"
                yield _repair(number, number, right, "a rank is written `top 30 of (field)`")


def _bracketed_fields(lexemes: Sequence[Lexeme]) -> Iterator[Repair]:
    """``[field] == …``."""
    for at in range(len(lexemes) - 3):
        opening, name, closing, after = lexemes[at : at + 4]
        before = lexemes[at - 1] if at else None
        if (opening.text, closing.text) != ("[", "]") or not name.is_name:
            continue
        if before is not None and not (
            before.word in ("where", "and", "or", "not") or before.text == "("
        ):
            continue
        if after.text in COMPARISONS or after.word in ("in", "not", "match", "contains", "exists"):
            message = "a field stands without brackets"
            yield _repair(opening, closing, name.text, message)


def _lists(lexemes: Sequence[Lexeme]) -> Iterator[Repair]:
    """``in ("a", "b")``: lists stand in square brackets."""
    for at, lexeme in enumerate(lexemes):
        if lexeme.word != "in" or at + 2 >= len(lexemes) or lexemes[at + 1].text != "(":
            continue
        close = _closing(lexemes, at + 1)
        if close is None:
            continue
        items = lexemes[at + 2 : close]
        values, commas = items[::2], items[1::2]
        if (
            len(items) % 2
            and all(item.kind in ("string", "number") for item in values)
            and all(item.text == "," for item in commas)
        ):
            opening, closing = lexemes[at + 1], lexemes[close]
            yield _repair(opening, opening, "[", "a list stands in square brackets")
            yield Repair(closing.start, closing.end, "]", codes.FOREIGN_WORDING)


def _kinds(lexemes: Sequence[Lexeme]) -> Iterator[Repair]:
    """``search (A:B and A:C)``: an event has one action, so that `or` is meant."""
    if [item.word for item in lexemes[2:3]] != ["search"]:
        return
    for at, lexeme in enumerate(lexemes[3:], 3):
        if lexeme.word == "where":
            return
        if lexeme.word == "and" and at + 1 < len(lexemes) and lexemes[at + 1].is_name:
            message = "no event is of two kinds at once: kinds are listed with `or`"
            yield Repair(lexeme.start, lexeme.end, "or", codes.STATEMENT_SHAPE, message)


# Shapes


def _head(lexemes: Sequence[Lexeme]) -> str:
    """The word behind ``name =``."""
    if len(lexemes) > 2 and lexemes[0].is_name and lexemes[1].text == "=":
        return lexemes[2].word
    return ""


def _misplaced_where(lexemes: Sequence[Lexeme]) -> Iterator[Repair]:
    """``filter s (where …)``."""
    if _head(lexemes) not in ("filter", "join", "search"):
        return
    for opening, word in itertools.pairwise(lexemes):
        if opening.text == "(" and word.word == "where":
            message = "`where` stands before its bracket, not inside it"
            yield Repair(opening.start, word.end, "where (", codes.STATEMENT_SHAPE, message)
            return
        if opening.word == "where":
            return


def _missing_where(lexemes: Sequence[Lexeme]) -> Iterator[Repair]:
    """``filter s (x = 1)``, ``filter s x = 1``, ``filter (x = 1)``."""
    if any(item.word == "where" for item in lexemes) or len(lexemes) < 5:
        return
    place: Lexeme | None = None
    match _head(lexemes):
        case "filter" if lexemes[3].text == "(":
            place = lexemes[3]
        case "filter" if lexemes[3].is_name and (
            lexemes[4].text == "(" or (lexemes[4].is_name and lexemes[4].word != "in")
        ):
            place = lexemes[4]
        case "search":
            # `search A:B (…)`, and no list of kinds, which has no comparison in it
            names = 3
            while names + 2 < len(lexemes) and lexemes[names + 1].text == ":":
                names += 3
                break
            if names < len(lexemes) and lexemes[names].text == "(" and names > 3:
                place = lexemes[names]
        case _:
            pass
    if place is not None:
        message = "the condition of a stream stands behind `where`"
        yield Repair(place.start, place.start, "where ", codes.STATEMENT_SHAPE, message)


def _window(text: str, lexemes: Sequence[Lexeme]) -> Iterator[Repair]:
    """``group … by … where (… between two events … 30 minutes)``: a bound on the gaps is a
    window."""
    if _head(lexemes) != "group":
        return
    for at, lexeme in enumerate(lexemes):
        if lexeme.word != "where" or at + 1 >= len(lexemes):
            continue
        words = {item.word for item in lexemes[at + 1 :]}
        durations = _DURATION.findall(text[lexeme.end : lexemes[-1].end])
        about_gaps = words & {"between", "apart", "within", "gap"} and words & {"time", "gap"}
        plain = all(
            item.is_name or item.kind == "number" or item.text in ("(", ")", "<", "<=", "=")
            for item in lexemes[at + 1 :]
        )
        least = words & {"min", "minimum", "least"}
        if about_gaps and plain and len(durations) == 1 and not least:
            right = f"within {durations[0]}"
            message = "the longest time between two events of a group is written `within`"
            yield Repair(lexeme.start, lexemes[-1].end, right, codes.STATEMENT_SHAPE, message)
        return
