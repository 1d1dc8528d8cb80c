"""What can be said of a text before it is parsed: its lexemes, its statements, its brackets.

The grammar's own lexer works only as far as the text is right. This one reads any text to the
end, in linear time, and gives what stands there a rough kind::

    a = filter t where exe = “x” && (b   # why
    word operator word word word word operator curly foreign operator word comment

With it the parser finds comments, refuses what is too large or too deep before it costs anything,
names mistakes that no grammar could name well (a string without an end, typographic quotes,
``&&``), and finds the lines where a statement begins, to go on there after an error.

A line begins a statement when it begins with a name, as in ``name =`` or ``output name``, and the
line before does not end in something that waits for more. Inside brackets that are open, such a
line must also stand no deeper than its statement did. ``name = search …``, ``output name`` and the
like, which no expression can contain, begin one in any case.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import islice

from attrs import frozen

from ..diagnostics import Block, Diagnostic, Edit, Fix, Label, codes

MAX_CHARACTERS = 1_000_000
MAX_LEXEMES = 200_000
MAX_DEPTH = 100
MAX_DIGITS = 400

STREAM_WORDS = frozenset({"search", "filter", "join", "group", "from", "run"})
"""The words that begin the definition of a stream, after ``name =``."""

_CURLY_QUOTES = "“”„‟″«»‘’‚‛′"
_SINGLE_QUOTES = "‘’‚‛′"

_LEXEME = re.compile(
    rf"""
    (?P<space>[\s\ufeff]+)
  | (?P<comment>\#[^\r\n]*)
  | (?P<string>"[^"\r\n]*(?:""[^"\r\n]*)*"|'[^'\r\n]*(?:''[^'\r\n]*)*')
  | (?P<name>`(?:[^`\r\n]|``)+`)
  | (?P<unclosed>["'][^\r\n]*)
  | (?P<curly>[{_CURLY_QUOTES}][^{_CURLY_QUOTES}"\r\n]*[{_CURLY_QUOTES}"])
  | (?P<number>[0-9][\w@]*(?:\.(?=[0-9])[\w@]*)*)
  | (?P<word>[\w@]+)
  | (?P<foreign>===|<>|=>|=<|&&|\|\||:=|=~|~=|!(?!=))
  | (?P<operator>==|!=|<=|>=|[=<>+\-*/(),.:\[\]])
  | (?P<stray>.)
    """,
    re.VERBOSE | re.DOTALL,
)


@frozen
class Lexeme:
    """A piece of the text: its kind (a group of the pattern above), and where in the text it
    stands."""

    kind: str
    text: str
    start: int
    end: int

    @property
    def word(self) -> str:
        """The text in small letters where this is a word, and the empty text elsewhere."""
        return self.text.lower() if self.kind == "word" else ""

    @property
    def is_name(self) -> bool:
        """Whether a name can be written like this."""
        return self.kind in ("word", "name")


def scan(text: str) -> tuple[list[Lexeme], list[Lexeme]] | None:
    """The lexemes of a text, and its comments; None if it has more than any rule needs."""
    if len(text) > MAX_CHARACTERS:
        return None
    found = (
        Lexeme(match.lastgroup or "", match.group(), match.start(), match.end())
        for match in _LEXEME.finditer(text)
        if match.lastgroup != "space"
    )
    lexemes: list[Lexeme] = []
    comments: list[Lexeme] = []
    for lexeme in islice(found, MAX_LEXEMES + 1):
        (comments if lexeme.kind == "comment" else lexemes).append(lexeme)
    return None if len(lexemes) + len(comments) > MAX_LEXEMES else (lexemes, comments)


def too_large(block: Block) -> Diagnostic:
    """What is said of a text that ``scan`` refuses."""
    return Diagnostic(
        codes.TOO_LONG,
        f"the text has {len(block.text):,} characters: more than {MAX_CHARACTERS:,}, or more than "
        f"{MAX_LEXEMES:,} words and signs",
        block.span(0, 1),
        "the text begins here, and nothing of it was read",
    )


# Statements

# Words after which a condition goes on, so that `name =` on the next line is part of it.
_WAITS = frozenset(["and", "or", "not", "in", "where", "select", "match", "contains", "contain"])

# Words that begin a line of a statement without beginning a statement.
_CONTINUES = STREAM_WORDS | frozenset(
    [
        "where",
        "by",
        "within",
        "select",
        "as",
        "and",
        "or",
        "not",
        "in",
        "match",
        "contains",
        "does",
        "contain",
        "exists",
        "raw",
        "top",
        "bottom",
        "of",
        "null",
        "now",
        "true",
        "false",
        "analytic",
    ]
)
_NO_NAME_AFTER = frozenset(["and", "or", "not", "in", "match", "contains", "does", "exists"])


def first_on_line(text: str, lexemes: Sequence[Lexeme], index: int) -> bool:
    """Whether nothing but space stands between the line's begin and a lexeme."""
    end = lexemes[index - 1].end if index else 0
    gap = text[end : lexemes[index].start]
    return index == 0 or "\n" in gap or "\r" in gap


def split(text: str, lexemes: Sequence[Lexeme]) -> Iterator[Sequence[Lexeme]]:
    """The lexemes of one statement after the other, as far as the line begins tell.

    Of a program without mistakes each part holds whole statements. No part is empty.
    """
    start, depth, indent = 0, 0, 0
    for index, lexeme in enumerate(lexemes):
        if first_on_line(text, lexemes, index):
            gap = text[lexemes[index - 1].end if index else 0 : lexeme.start]
            column = len(gap) - 1 - max(gap.rfind("\n"), gap.rfind("\r"))
            certain = _begins_statement(lexemes, index)
            if index > start and (
                certain
                or (
                    certain is False
                    and not _waits(lexemes[index - 1])
                    and (depth == 0 or column <= indent)
                )
            ):
                yield lexemes[start:index]
                start, depth = index, 0
            if index == start:
                indent = column
        if lexeme.text in ("(", "["):
            depth += 1
        elif lexeme.text in (")", "]"):
            depth = max(0, depth - 1)
    if start < len(lexemes):
        yield lexemes[start:]


def _begins_statement(lexemes: Sequence[Lexeme], index: int) -> bool | None:
    """True if a statement surely begins here, False if it may be one, None if not.

    What may be one is any line that begins with a word which continues nothing: after the end of an
    expression, outside brackets, it can only be a statement, right or wrong.
    """
    head, *after = lexemes[index : index + 2]
    if not head.is_name:
        return None
    if not after:
        return None if head.word in _CONTINUES else False
    following = after[0]
    if head.word in ("output", "return", "input"):
        if following.is_name and following.word not in _NO_NAME_AFTER:
            return True
        if following.text == "(" and head.word != "input":
            return True
    position = index + 1
    while lexemes[position].text == "." and position + 2 < len(lexemes):
        position += 2
    if lexemes[position].text != "=":
        return None if head.word in _CONTINUES else False
    words = lexemes[position + 1 : position + 3]
    if len(words) == 2 and words[0].word in STREAM_WORDS:
        name = words[1].is_name and words[1].word not in _NO_NAME_AFTER
        return name or words[1].text == "("
    return False


def _waits(lexeme: Lexeme) -> bool:
    """Whether something must follow this lexeme, so that no statement can begin after it."""
    if lexeme.kind == "operator":
        return lexeme.text not in (")", "]", "*")
    if lexeme.kind == "unclosed":  # the quote is likely one too many: `exe" and`
        return lexeme.text.split()[-1].lower() in _WAITS
    return lexeme.word in _WAITS


# Mistakes

Finding = Iterator[Diagnostic]


def mistakes(block: Block, lexemes: Sequence[Lexeme]) -> Finding:
    """What is wrong with the lexemes of one statement, whatever the grammar says.

    Characters and strings come first. Brackets are looked at only if the strings are right:
    a string without an end swallows brackets.
    """
    strings_end = brackets_match = True
    for item in _wrong_lexemes(block, lexemes):
        strings_end = strings_end and item.code is not codes.UNCLOSED_STRING
        yield item
    if strings_end:
        for item in _wrong_brackets(block, lexemes):
            brackets_match = False
            yield item
    if brackets_match:
        yield from _too_deep(block, lexemes)


_FOREIGN: dict[str, tuple[str, str]] = {
    "===": ("=", "equality is written ="),
    "<>": ("!=", "inequality is written !="),
    "=>": (">=", "greater or equal is written >="),
    "=<": ("<=", "less or equal is written <="),
    "&&": (" and ", "both conditions: write `and`"),
    "||": (" or ", "either condition: write `or`"),
    ":=": ("=", "a name is defined with ="),
    "=~": (" match ", "a regular expression is tested with `match`"),
    "~=": (" match ", "a regular expression is tested with `match`"),
    "!": ("not ", "negation is written `not`"),
}

# A value as people write it when they forget the quotes: C:\Windows\*, %windir%\x, \d{1,3}\.\d
_BARE = re.compile(r"(?:\{[^{}\s\"']*\}|[^\s\"'()\[\],#])+")
_BARE_BACK = re.compile(r"[^\s\"'()\[\],#=<>!]*\Z")
_DASHES = "‐‑‒–—−"
_INVISIBLE = "\u200b\u200c\u200d\u2060\u00ad"


def _wrong_lexemes(block: Block, lexemes: Sequence[Lexeme]) -> Finding:
    resume = 0
    escaped = False
    for index, lexeme in enumerate(lexemes):
        escaped = escaped or (lexeme.kind == "string" and lexeme.text[-2] == "\\")
        if lexeme.start < resume:
            continue
        match lexeme.kind:
            case "curly":
                yield _typographic(block, lexeme)
            case "foreign":
                yield _foreign(block, lexeme)
            case "unclosed":
                back = _BARE_BACK.search(block.text, max(0, lexeme.start - 1000), lexeme.start)
                start = back.start() if back is not None else lexeme.start
                before = _before(lexemes, index, start)
                if start < lexeme.start and before is not None and takes_value(before):
                    yield _no_opening_quote(block, start, lexeme.start)
                else:
                    yield _unclosed(block, lexeme, escaped)
            case "number" if lexeme.end - lexeme.start > MAX_DIGITS:
                yield Diagnostic(
                    codes.SYNTAX,
                    f"number of more than {MAX_DIGITS} digits",
                    block.span(lexeme.start, lexeme.end),
                )
            case "stray":
                start, end = bare_value(block.text, lexeme)
                following = index + 1
                while following < len(lexemes) and lexemes[following].start < end:
                    following += 1
                closing = lexemes[following] if following < len(lexemes) else None
                resume = end
                if closing is not None and closing.kind == "unclosed" and closing.start == end:
                    resume = closing.end
                    yield _no_opening_quote(block, start, end)
                else:
                    before = _before(lexemes, index, start)
                    yield _stray(block, lexeme, start, end, before)
            case _:
                pass


def _before(lexemes: Sequence[Lexeme], index: int, position: int) -> Lexeme | None:
    """The last lexeme that ends at a place before the lexeme ``index``, or earlier."""
    while index and lexemes[index - 1].end > position:
        index -= 1
    return lexemes[index - 1] if index else None


def bare_value(text: str, lexeme: Lexeme) -> tuple[int, int]:
    """The run of characters around a lexeme that would be a value if it had quotes."""
    back = _BARE_BACK.search(text, max(0, lexeme.start - 1000), lexeme.start)
    start = back.start() if back is not None else lexeme.start
    run = _BARE.match(text, lexeme.start, lexeme.start + 10_000)
    return start, max(lexeme.end, run.end() if run is not None else 0)


def quoted(value: str) -> str:
    """The text as a string of the language, in double quotes if it can be.

    >>> quoted('a'), quoted('say "a"')
    ('"a"', '\\'say "a"\\'')
    """
    if '"' in value and "'" not in value:
        return f"'{value}'"
    return '"' + value.replace('"', '""') + '"'


def takes_value(lexeme: Lexeme) -> bool:
    """Whether a value has to follow: after a comparison, ``[``, ``,``, ``(``, ``in``, ``match``,
    ``contains``."""
    if lexeme.kind == "operator":
        return lexeme.text in ("=", "==", "!=", "<", "<=", ">", ">=", "[", ",", "(")
    return lexeme.word in ("in", "match", "contains", "contain")


def _typographic(block: Block, lexeme: Lexeme) -> Diagnostic:
    inside = lexeme.text[1:-1]
    double = lexeme.text[0] not in _SINGLE_QUOTES or "'" in inside
    mark = '"' if double else "'"
    text = inside.replace(mark, mark * 2)
    return Diagnostic(
        codes.UNEXPECTED_CHARACTER,
        f"typographic quotes around a string: strings stand in plain {mark}",
        block.span(lexeme.start, lexeme.end),
        "these quotes are not plain ones",
        fix=Fix(
            f"write {mark}{text}{mark}",
            (Edit(block.span(lexeme.start, lexeme.end), f"{mark}{text}{mark}"),),
            safe=True,
        ),
    )


def _foreign(block: Block, lexeme: Lexeme) -> Diagnostic:
    text, advice = _FOREIGN[lexeme.text]
    return Diagnostic(
        codes.SYNTAX,
        f"`{lexeme.text}` is no operator of the language: {advice}",
        block.span(lexeme.start, lexeme.end),
        "not an operator here",
        fix=Fix(
            f"write {text.strip()}",
            (Edit(block.span(lexeme.start, lexeme.end), _spaced(block.text, lexeme, text)),),
        ),
    )


def _spaced(text: str, lexeme: Lexeme, replacement: str) -> str:
    """The replacement without the spaces that are there already."""
    if lexeme.start and text[lexeme.start - 1].isspace():
        replacement = replacement.lstrip()
    return replacement.rstrip() if text[lexeme.end : lexeme.end + 1].isspace() else replacement


_NO_ESCAPES = (
    "a string before this one ends in a backslash, which escapes nothing: a quote inside a string "
    "is written twice, or the string stands in the other quotes"
)


def _unclosed(block: Block, lexeme: Lexeme, escaped: bool) -> Diagnostic:
    mark = lexeme.text[0]
    # The value most likely ends at the first space or bracket; `"ipconfig.exe) )`.
    inside = re.match(r"[^\s)\],]+(?=[\s)\],]|\Z)", lexeme.text[1:])
    curly = re.search(f"[{_CURLY_QUOTES}]", lexeme.text)
    if curly is not None:
        place = lexeme.start + curly.start()
        fix = Fix(
            f"close it with {mark} instead of {curly.group()}",
            (Edit(block.span(place, place + 1), mark),),
        )
    elif inside is None:
        fix = Fix(
            "delete the quote, or close the string",
            (Edit(block.span(lexeme.start, lexeme.start + 1), ""),),
        )
    else:
        end = lexeme.start + 1 + inside.end()
        fix = Fix(
            f"close the string: {mark}{inside.group()}{mark}",
            (Edit(block.span(end, end), mark),),
        )
    return Diagnostic(
        codes.UNCLOSED_STRING,
        f"no {mark} closes this string on its line",
        block.span(lexeme.start, lexeme.end),
        "the string opens here",
        notes=(_NO_ESCAPES,) if escaped else (),
        fix=fix,
    )


def _no_opening_quote(block: Block, start: int, end: int) -> Diagnostic:
    mark = block.text[end]
    value = block.text[start:end]
    return Diagnostic(
        codes.UNCLOSED_STRING,
        f"this string ends with {mark} and does not begin with one",
        block.span(start, end + 1),
        "the opening quote is missing",
        fix=Fix(f"write {mark}{value}{mark}", (Edit(block.span(start, start), mark),)),
    )


def _stray(block: Block, lexeme: Lexeme, start: int, end: int, before: Lexeme | None) -> Diagnostic:
    span = block.span(lexeme.start, lexeme.end)
    character = lexeme.text
    if character in _INVISIBLE:
        return Diagnostic(
            codes.UNEXPECTED_CHARACTER,
            f"invisible character U+{ord(character):04X}",
            span,
            "cannot be seen, and means nothing",
            fix=Fix("delete it", (Edit(span, ""),), safe=True),
        )
    if character in _DASHES:
        return Diagnostic(
            codes.UNEXPECTED_CHARACTER,
            "typographic dash",
            span,
            "not a minus sign",
            fix=Fix("write -", (Edit(span, "-"),)),
        )
    if character == ";":
        return Diagnostic(
            codes.UNEXPECTED_CHARACTER,
            "`;` has no meaning: a statement ends where the next one begins",
            span,
            fix=Fix("delete it", (Edit(span, ""),), safe=True),
        )
    value = block.text[start:end]
    if before is not None and takes_value(before) and value.strip("…"):
        return Diagnostic(
            codes.UNEXPECTED_CHARACTER,
            f"value without quotes: {value}",
            block.span(start, end),
            "a text stands in quotes",
            fix=Fix(f"write {quoted(value)}", (Edit(block.span(start, end), quoted(value)),)),
        )
    return Diagnostic(
        codes.UNEXPECTED_CHARACTER,
        f"no part of the language begins with `{character}`"
        if character.isprintable()
        else f"no part of the language begins with U+{ord(character):04X}",
        span,
    )


_PARTNER = {"(": ")", "[": "]", ")": "(", "]": "["}


def _wrong_brackets(block: Block, lexemes: Sequence[Lexeme]) -> Finding:
    opened: list[Lexeme] = []
    last_pair: tuple[Lexeme, Lexeme] | None = None
    for lexeme in lexemes:
        if lexeme.text in ("(", "["):
            opened.append(lexeme)
        elif lexeme.text in (")", "]"):
            if not opened:
                yield _extra(block, lexeme, last_pair)
            elif _PARTNER[opened[-1].text] == lexeme.text:
                last_pair = (opened.pop(), lexeme)
            else:
                yield _mismatch(block, opened.pop(), lexeme)
    if opened:
        end = lexemes[-1].end
        missing = "".join(_PARTNER[item.text] for item in reversed(opened))
        inner = opened[-1]
        yield Diagnostic(
            codes.UNCLOSED_BRACKET,
            f"`{inner.text}` is never closed"
            + (f" ({len(opened)} brackets are open at the end)" if len(opened) > 1 else ""),
            block.span(inner.start, inner.end),
            "opened here",
            (Label(block.span(end, end), f"the statement ends here without {missing[:20]}"),),
            fix=Fix(
                f"add {missing} at the end of the statement, or delete the opening",
                (Edit(block.span(end, end), missing),),
            )
            if len(missing) <= MAX_DEPTH
            else None,
        )


def _extra(block: Block, lexeme: Lexeme, pair: tuple[Lexeme, Lexeme] | None) -> Diagnostic:
    labels: tuple[Label, ...] = ()
    if pair is not None:
        labels = (
            Label(block.span(pair[0].start, pair[0].end), "the last one opened, and closed before"),
        )
    span = block.span(lexeme.start, lexeme.end)
    return Diagnostic(
        codes.UNCLOSED_BRACKET,
        f"`{lexeme.text}` closes nothing",
        span,
        "nothing is open here",
        labels,
        fix=Fix("delete it, or open it where it belongs", (Edit(span, ""),)),
    )


def _mismatch(block: Block, opening: Lexeme, closing: Lexeme) -> Diagnostic:
    right = _PARTNER[opening.text]
    span = block.span(closing.start, closing.end)
    return Diagnostic(
        codes.UNCLOSED_BRACKET,
        f"`{closing.text}` where `{right}` is needed",
        span,
        "closes with another kind",
        (Label(block.span(opening.start, opening.end), "opened here"),),
        fix=Fix(f"write {right}", (Edit(span, right),)),
    )


def _too_deep(block: Block, lexemes: Sequence[Lexeme]) -> Finding:
    """One finding if the tree of these lexemes could be deeper than ``MAX_DEPTH``.

    Each bracket, arithmetic sign and ``not`` counts one level; ``and``, ``or`` and comparisons one
    for each pair of brackets they occur in, since their trees are flat.
    """
    level = _OperandDepth()
    outer: list[_OperandDepth] = []
    for lexeme in lexemes:
        connective = _CONNECTIVES.get(lexeme.word or lexeme.text)
        if lexeme.text in ("(", "["):
            outer.append(level)
            level = _OperandDepth()
        elif lexeme.text in (")", "]"):
            inside = level.total() + 1
            level = outer.pop() if outer else _OperandDepth()
            level.run = max(level.run, inside)
        elif lexeme.text in ("+", "-", "*", "/") or lexeme.word == "not":
            level.run += 1
        elif connective is not None:
            level.end_run(connective)
        if len(outer) + level.run > MAX_DEPTH:
            yield Diagnostic(
                codes.TOO_DEEP,
                f"more than {MAX_DEPTH} brackets and operators inside one another",
                block.span(lexeme.start, lexeme.end),
                "too deep here",
            )
            return


_CONNECTIVES = {
    **dict.fromkeys(("and",), "and"),
    **dict.fromkeys(("or",), "or"),
    **dict.fromkeys(("=", "==", "!=", "<", "<=", ">", ">=", "in", "match", "contains"), "compare"),
    ",": "",
}


class _OperandDepth:
    """The depth inside one pair of brackets: of the operands so far, and of the present one."""

    __slots__ = ("connectives", "deepest", "run")

    def __init__(self) -> None:
        self.run = 0
        self.deepest = 0
        self.connectives: set[str] = set()

    def end_run(self, connective: str) -> None:
        self.deepest, self.run = max(self.deepest, self.run), 0
        if connective:
            self.connectives.add(connective)

    def total(self) -> int:
        return max(self.deepest, self.run) + len(self.connectives)
