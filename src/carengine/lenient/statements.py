"""Where the statements of a text begin, also where lines of it are broken.

The parser's own splitting takes each line that begins like a statement for one. In a text with
mistakes some of these lines are the middle of a condition: a connective before them was forgotten,
or the whole text is a condition with no statement around it. Such a line names a field and compares
it; it defines nothing that anything reads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from ..syntax.lexical import STREAM_WORDS, Lexeme, first_on_line, split

Part = Sequence[Lexeme]

_REPORTS = frozenset(["output", "return", "input"])


def statements(
    text: str, lexemes: Sequence[Lexeme], is_field: Callable[[str], bool]
) -> list[list[Lexeme]]:
    """The lexemes of one statement after the other; ``is_field`` knows the names of fields.

    The first may be a bare condition.
    """
    parts: list[list[Lexeme]] = []
    for part in _apart(text, split(text, lexemes)):
        if parts and (not _begins(part) or _continues(parts[-1], part, lexemes, is_field)):
            parts[-1] += part
        else:
            parts.append(list(part))
    return parts


def is_misread(text: str, lexemes: Sequence[Lexeme], is_field: Callable[[str], bool]) -> bool:
    """Whether a text that parses says something else than it seems to.

    A connective too many makes the next statement a part of the condition before; one too few makes
    the condition a statement; a condition that stands alone seems to define a constant.
    """
    strict = list(split(text, lexemes))
    parts = statements(text, lexemes, is_field)
    ours = [(part[0].start, part[-1].end) for part in parts]
    same = ours == [(part[0].start, part[-1].end) for part in strict]
    return not same or stands_alone(parts, is_field)


def stands_alone(parts: Sequence[Part], is_field: Callable[[str], bool]) -> bool:
    """Whether the text is a condition with no statement around it."""
    if not parts:
        return False
    first = parts[0]
    if is_bare(first):
        return True
    streams = any(len(part) > 2 and part[2].word in STREAM_WORDS for part in parts)
    return len(parts) == 1 and not streams and is_field(first[0].text) and first[1].text == "="


def _apart(text: str, parts: Iterable[Part]) -> Iterator[Part]:
    """The parts, and apart from them the statements that begin in the middle of them."""
    for part in parts:
        start = 0
        for at in range(3, len(part) - 1):
            if _is_assigned(text, part, at) or _is_next(part, at):
                yield part[start:at]
                start = at
        yield part[start:]


def _is_assigned(text: str, part: Part, at: int) -> bool:
    """Whether ``name.field = …`` stands here, on a line of its own behind ``name = … and``.

    No condition of a stream can read the stream that it defines.
    """
    return (
        at + 3 < len(part)
        and part[at].text == part[0].text
        and part[at + 1].text == "."
        and part[0].is_name
        and part[1].text == "="
        and part[2].word == "filter"
        and part[3].text != part[0].text
        and part[at - 1].word in ("and", "or")
        and first_on_line(text, part, at)
    )


def _is_next(part: Part, at: int) -> bool:
    """Whether ``name = search …`` or a last ``output name`` stands here, on the line of the
    statement before."""
    before, lexeme, after = part[at - 1], part[at], part[at + 1]
    if not lexeme.is_name or not (
        before.kind in ("string", "number", "name", "word") or before.text in (")", "]", "*")
    ):
        return False
    if before.word in ("and", "or", "not", "where", "by", "in", "filter", "from", "search"):
        return False
    if lexeme.word in ("output", "return"):
        names = part[at + 1 :: 2]
        commas = part[at + 2 :: 2]
        return all(item.is_name for item in names) and all(item.text == "," for item in commas)
    return (
        after.text == "="
        and at + 3 < len(part)
        and part[at + 2].word in STREAM_WORDS
        and (part[at + 3].is_name or part[at + 3].text == "(")
        and part[at + 3].word not in ("and", "or", "not", "in")
    )


def is_bare(part: Part) -> bool:
    """Whether a part is no statement: a condition that stands alone."""
    return not _begins(part)


def _begins(part: Part) -> bool:
    """Whether a part has the beginning of a statement."""
    head = part[0]
    if not head.is_name:
        return False
    if head.word in _REPORTS and (len(part) == 1 or part[1].is_name or part[1].text == "("):
        return True
    at = 1
    while at + 1 < len(part) and part[at].text == "." and part[at + 1].is_name:
        at += 2
    return at < len(part) and part[at].text == "="


def _continues(
    before: Part, part: Part, lexemes: Sequence[Lexeme], is_field: Callable[[str], bool]
) -> bool:
    """Whether ``field = value`` on a line of its own belongs to the condition before it."""
    if len(part) < 3 or part[1].text != "=" or not is_field(part[0].text):
        return False
    conditional = any(item.word == "where" for item in before) or is_bare(before)
    if not conditional or part[2].word in STREAM_WORDS or _is_call(part):
        return False
    if part[2].text == "[":
        return False
    name = part[0].text
    return not any(
        item.text == name and not _is_compared(lexemes, at) for at, item in enumerate(lexemes)
    )


def _is_call(part: Part) -> bool:
    return len(part) > 3 and part[2].is_name and part[3].text == "("


def _is_compared(lexemes: Sequence[Lexeme], at: int) -> bool:
    after = lexemes[at + 1] if at + 1 < len(lexemes) else None
    if after is None:
        return False
    return after.text in ("=", "==", "!=", "<", ">", "<=", ">=") or after.word in (
        "in",
        "not",
        "match",
        "contains",
        "does",
        "exists",
    )
