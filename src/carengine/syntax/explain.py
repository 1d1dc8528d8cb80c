"""What is said of a syntax error: what was found, what could stand there, and the likely mistake.

The parser stops at the first token that fits nowhere, which is often behind the mistake:
in ``x = fliter files where a`` the word ``fliter`` can be a value and ``files`` the name of the
next statement, and only ``where`` is wrong. So the place is moved back where a statement
seems to begin in the middle of a line, and then the known mistakes are tried in turn, the
surest first; what none of them explains is told in the words of the grammar.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Sequence

from attrs import evolve, frozen

from ..diagnostics import Block, Code, Diagnostic, Edit, Fix, Span, codes
from .lexical import STREAM_WORDS, Lexeme, bare_value, first_on_line, quoted, takes_value


@frozen
class Failure:
    """Where a parse stopped: the place in the block of the first token that fits nowhere."""

    position: int


ExpectedAt = Callable[[int], frozenset[str]]
"""Which terminals the grammar allows at a place, given what stands before it."""


@frozen
class _Error:
    """A failure among the lexemes of its statement. ``found`` is None at the statement's end."""

    block: Block
    lexemes: Sequence[Lexeme]
    index: int
    expected: frozenset[str]

    @property
    def found(self) -> Lexeme | None:
        return self.lexemes[self.index] if self.index < len(self.lexemes) else None

    @property
    def before(self) -> Lexeme | None:
        return self.lexemes[self.index - 1] if self.index else None

    @property
    def next(self) -> Lexeme | None:
        return self.lexemes[self.index + 1] if self.index + 1 < len(self.lexemes) else None

    @property
    def span(self) -> Span:
        found = self.found
        if found is not None:
            return self.block.span(found.start, found.end)
        end = self.lexemes[-1].end if self.lexemes else 0
        return self.block.span(end, end)


def explain(
    block: Block, lexemes: Sequence[Lexeme], failure: Failure, expected_at: ExpectedAt
) -> Diagnostic:
    """The finding for one failed parse. ``lexemes`` are those of the text that was parsed."""
    index = next((i for i, item in enumerate(lexemes) if item.end > failure.position), len(lexemes))
    error = _Error(block, lexemes, index, expected_at(failure.position))
    error = _moved_back(error, expected_at)
    for known in _KNOWN:
        finding = known(error)
        if finding is not None:
            return finding
    return _plain(error)


def _moved_back(error: _Error, expected_at: ExpectedAt) -> _Error:
    """The error at the name before it, where that name only seemed to begin a statement."""
    if not error.expected <= {"EQUAL", "DOT"}:
        return error
    index = error.index - 1
    while index >= 2 and error.lexemes[index - 1].text == ".":
        index -= 2
    if index <= 0 or first_on_line(error.block.text, error.lexemes, index):
        before = error.lexemes[index - 1] if index > 0 else None
        if before is None or not takes_value(before):
            return error
    expected = expected_at(error.lexemes[index].start)
    return evolve(error, index=index, expected=expected)


def _finding(
    error: _Error,
    message: str,
    label: str = "",
    fix: Fix | None = None,
    code: Code = codes.SYNTAX,
    span: Span | None = None,
) -> Diagnostic:
    return Diagnostic(code, message, span or error.span, label, fix=fix)


def _replace(error: _Error, lexeme: Lexeme, text: str) -> Fix:
    return Fix(f"write {text}", (Edit(error.block.span(lexeme.start, lexeme.end), text),))


def _insert(error: _Error, text: str, message: str) -> Fix | None:
    """The fix that puts a text before the found lexeme (a comma: right behind the one before)."""
    found, before = error.found, error.before
    if found is None or before is None:
        return None
    if text == ",":
        return Fix(message, (Edit(error.block.span(before.end, before.end), text),))
    return Fix(message, (Edit(error.block.span(found.start, found.start), text + " "),))


# The known mistakes

_KEYWORDS = {
    name: name.lower()
    for name in [
        "INPUT",
        "OUTPUT",
        "RETURN",
        "SEARCH",
        "FILTER",
        "JOIN",
        "GROUP",
        "FROM",
        "RUN",
        "WHERE",
        "BY",
        "WITHIN",
        "SELECT",
        "AS",
        "AND",
        "OR",
        "NOT",
        "IN",
        "CONTAINS",
        "DOES",
        "CONTAIN",
        "MATCH",
        "EXISTS",
        "OF",
        "TOP",
        "BOTTOM",
        "NULL",
        "NOW",
        "TRUE",
        "FALSE",
        "ANALYTIC",
    ]
}

_WORDS = frozenset(_KEYWORDS.values())


def _near(word: str, candidates: set[str]) -> str | None:
    """The one of some keywords that a word is a misspelling of."""
    if len(word) < 3 or len(word) > 12:
        return None
    near = difflib.get_close_matches(word, sorted(candidates), 1, 0.66)
    return near[0] if near else None


_UNITS = ("microseconds", "milliseconds", "seconds", "minutes", "hours", "days", "weeks")
_ABBREVIATED = {"sec": "seconds", "min": "minutes", "hrs": "hours"}
_NO_UNITS = {"month": "30 days", "quarter": "91 days", "year": "365 days"}


def misspelt_unit(block: Block, amount: str, word: str, start: int, end: int) -> Diagnostic | None:
    """What is said of a word behind a number that is nearly a unit of time. ``start`` and ``end``
    are the word's place in the block."""
    span, unit = block.span(start, end), word.lower()
    days = _NO_UNITS.get(unit.removesuffix("s"))
    if days is not None:
        message = f"`{word}` is no unit of time: months and years have no one length"
        return Diagnostic(
            codes.SYNTAX, message, span, "no unit", fix=Fix(f"write it in days, such as {days}")
        )
    singular = amount == "1"
    near = _near(unit, {one.removesuffix("s") if singular else one for one in _UNITS})
    if near is None:
        near = _ABBREVIATED.get(_near(unit, set(_ABBREVIATED)) or "")
    if near is None:
        return None
    message = f"unknown unit of time `{word}`; did you mean `{near}`?"
    fix = Fix(f"write {near}", (Edit(span, near),))
    return Diagnostic(codes.SYNTAX, message, span, f"not `{near}`", fix=fix)


def _misspelt_unit(error: _Error) -> Diagnostic | None:
    """``5 mintes``: the word behind a number."""
    found, before = error.found, error.before
    if found is not None and found.kind == "number":
        # A length of time is wanted, and the number alone is none.
        before, found = found, error.next
    if found is None or before is None or before.kind != "number" or not found.word:
        return None
    if found.word in _WORDS or first_on_line(error.block.text, error.lexemes, error.index):
        return None
    return misspelt_unit(error.block, before.text, found.text, found.start, found.end)


def _misspelt(error: _Error) -> Diagnostic | None:
    """``wher`` for ``where``: the word found, or the one before it that was taken for a value."""
    found, before = error.found, error.before
    possible = {_KEYWORDS[name] for name in error.expected & _KEYWORDS.keys()}
    spots = [(found, possible - {"null", "now", "true", "false"})]
    if error.index >= 2 and error.lexemes[error.index - 2].text == "=":
        spots.insert(0, (before, set(STREAM_WORDS)))
    if error.index == 1:
        spots.insert(0, (before, {"output", "return", "input"}))
    for lexeme, candidates in spots:
        if lexeme is None or not lexeme.word or lexeme.word in _ADVICE:
            continue
        near = _near(lexeme.word, candidates)
        if near is not None and near != lexeme.word:
            return _finding(
                error,
                f"unknown word `{lexeme.text}`; did you mean `{near}`?",
                f"not `{near}`",
                _replace(error, lexeme, near),
                span=error.block.span(lexeme.start, lexeme.end),
            )
    return None


# Words of other languages: what to say of them, and what replaces the word where that is all.
_ADVICE: dict[str, tuple[str, str | None]] = {
    **dict.fromkeys(
        ("if", "elif", "else", "then", "case", "when", "for", "while", "end"),
        ("the language has no branches and no loops; write a condition after `where`", None),
    ),
    **dict.fromkeys(
        ("let", "var", "set", "def", "const"),
        ("a name is defined with `name = …` and no word before it", None),
    ),
    **dict.fromkeys(("like", "ilike"), ("a wildcard pattern is compared with =", "=")),
    **dict.fromkeys(("is", "equals", "eq"), ("equality is written =", "=")),
    "ne": ("inequality is written !=", "!="),
    **dict.fromkeys(
        ("matches", "regex", "regexp", "rlike", "matching"),
        ("a regular expression is tested with `match`", "match"),
    ),
    **dict.fromkeys(
        ("includes", "include", "containing", "has"),
        ("a part of a text is tested with `contains`", "contains"),
    ),
    **dict.fromkeys(
        ("startswith", "starts_with", "beginswith", "starts", "begins"),
        ('the begin of a text is tested with a wildcard: = "x*"', None),
    ),
    **dict.fromkeys(
        ("endswith", "ends_with", "ends"),
        ('the end of a text is tested with a wildcard: = "*x"', None),
    ),
    "between": ("a range is written a <= b <= c", None),
    "xor": ("there is no `xor`; write it with `and`, `or` and `not`", None),
    "exist": ("presence is tested with `exists`", "exists"),
    **dict.fromkeys(
        ("order", "sort", "limit", "having"), ("the language does not sort or cut", None)
    ),
}


def _foreign_word(error: _Error) -> Diagnostic | None:
    for lexeme in (error.found, error.before if error.index == 1 else None):
        if lexeme is None or lexeme.word not in _ADVICE:
            continue
        advice, text = _ADVICE[lexeme.word]
        return _finding(
            error,
            f"`{lexeme.text}` is no word of the language: {advice}",
            "",
            _replace(error, lexeme, text) if text else None,
            span=error.block.span(lexeme.start, lexeme.end),
        )
    return None


def _missing_where(error: _Error) -> Diagnostic | None:
    found, after = error.found, error.next
    if error.expected - {"COMMA", "COLON", "RPAR", "OR"} != {"WHERE"} or found is None:
        return None
    if found.text == "(" and after is not None and after.word == "where":
        start, end = found.start, after.end
        return _finding(
            error,
            "`where` stands before the bracket, not inside it",
            "",
            Fix("write where (", (Edit(error.block.span(start, end), "where ("),)),
            span=error.block.span(start, end),
        )
    if found.text != "(" and not _begins_operand(found):
        return None
    return _finding(
        error,
        f"expected `where` before the condition, found {_shown(found)}",
        "the condition begins here",
        _insert(error, "where", "write `where` before it"),
    )


def _address(error: _Error) -> Diagnostic | None:
    """A bare network where only a list or ``in`` may have one."""
    for lexeme in (error.found, error.before):
        if lexeme is None or lexeme.kind != "number":
            continue
        bare = re.match(
            r"[0-9]{1,3}(\.[0-9]{1,3}){3}(/[0-9]{1,2})?",
            error.block.text[lexeme.start : lexeme.start + 40],
        )
        if bare is None or "NETWORK" in error.expected:
            continue
        span = error.block.span(lexeme.start, lexeme.start + bare.end())
        return _finding(
            error,
            f"the address {bare.group()} stands bare only in a list or after `in`",
            "",
            Fix(
                "test it with `in`, or put an address in quotes",
                () if bare.group(2) else (Edit(span, quoted(bare.group())),),
            ),
            span=span,
        )
    return None


def _bare(error: _Error) -> Diagnostic | None:
    """``command_line = *transfer*``: a value that lacks its quotes."""
    found, index = error.found, error.index
    if found is None or found.kind not in ("operator", "number", "word"):
        return None
    if found.text in ("(", ")", "[", "]", ","):
        return None
    start, end = bare_value(error.block.text, found)
    while index and error.lexemes[index - 1].end > start:
        index -= 1
    value = error.block.text[start:end]
    if not index or not takes_value(error.lexemes[index - 1]):
        return None
    if not re.search(r"\w", value) or error.lexemes[index].start != start or value == found.word:
        return None
    span = error.block.span(start, end)
    return _finding(
        error,
        f"value without quotes: {value}",
        "a text stands in quotes",
        Fix(f"write {quoted(value)}", (Edit(span, quoted(value)),)),
        span=span,
    )


def _missing_comma(error: _Error) -> Diagnostic | None:
    found, before = error.found, error.before
    if found is None or before is None or "COMMA" not in error.expected:
        return None
    if not (_begins_operand(found) and _ends_operand(before)) or found.word in _WORDS:
        return None
    return _finding(
        error,
        f"expected `,` before {_shown(found)}",
        "a comma is missing before this",
        _insert(error, ",", f"write , after {before.text[:40]}"),
    )


def _doubled_connective(error: _Error) -> Diagnostic | None:
    """``x or or y``: the second word is read as a field, and what follows it does not fit."""
    for index in range(error.index, max(0, error.index - 3), -1):
        pair = error.lexemes[index - 1 : index + 1]
        if len(pair) < 2 or any(item.word not in ("and", "or") for item in pair):
            continue
        first, second = pair
        return doubled_connective(
            first.text,
            error.block.span(first.end, second.end),
            error.block.span(second.start, second.end),
        )
    return None


def doubled_connective(first: str, surplus: Span, second: Span) -> Diagnostic:
    """What is said of ``or or``: ``second`` is the second word, ``surplus`` that and the space
    before it."""
    return Diagnostic(
        codes.SYNTAX,
        f"`{first}` and `{second.text}` stand side by side, and a condition belongs between them",
        second,
        "one too many",
        fix=Fix(
            f"keep one: {first}", (Edit(surplus, ""),), safe=first.lower() == second.text.lower()
        ),
    )


def _missing_and(error: _Error) -> Diagnostic | None:
    found, before = error.found, error.before
    if found is None or before is None or "AND" not in error.expected:
        return None
    if not (_begins_operand(found) and _ends_operand(before)):
        return None
    return _finding(
        error,
        f"expected `and` or `or` before {_shown(found)}",
        "nothing connects this with what stands before it",
        _insert(error, "and", "write `and` (or `or`) between the two conditions"),
    )


def _several_actions(error: _Error) -> Diagnostic | None:
    """``search (Registry:Add and Registry:Remove)``: one event cannot be both."""
    found, following = error.found, error.next
    if found is None or found.word != "and" or following is None or "OR" not in error.expected:
        return None
    kinds = error.lexemes[: error.index]
    place = next((i for i in range(len(kinds) - 1, -1, -1) if kinds[i].word == "search"), None)
    if place is None or any(item.word == "where" for item in kinds[place:]):
        return None
    return _finding(
        error,
        "an event has one action, so none is of both kinds; `or` searches for either",
        "no event is both",
        _replace(error, found, "or"),
    )


def _tuple(error: _Error) -> Diagnostic | None:
    """``x in ("a", "b")``: a list in the wrong brackets."""
    found = error.found
    if found is None or found.text != "," or "RPAR" not in error.expected:
        return None
    depth, opening = 0, None
    for index in range(error.index - 1, -1, -1):
        text = error.lexemes[index].text
        depth += (text in (")", "]")) - (text in ("(", "["))
        if depth < 0:
            opening = index
            break
    if not opening or error.lexemes[opening - 1].word not in ("in", "contains", "contain"):
        return None
    begin = error.lexemes[opening]
    depth = 0
    for lexeme in error.lexemes[opening:]:
        depth += (lexeme.text in ("(", "[")) - (lexeme.text in (")", "]"))
        if depth == 0:
            edits = (
                Edit(error.block.span(begin.start, begin.end), "["),
                Edit(error.block.span(lexeme.start, lexeme.end), "]"),
            )
            return _finding(
                error,
                "a list stands in [ and ], not in ( and )",
                "",
                Fix("write [ … ]", edits, safe=True),
                span=error.block.span(begin.start, begin.end),
            )
    return None


def _rule_id(error: _Error) -> Diagnostic | None:
    """``run CAR-2013-05-003``."""
    if error.expected != {"ANALYTIC"} or error.found is None:
        return None
    start = error.found.start
    return _finding(
        error,
        f"expected `Analytic:` before the id of the rule, found {_shown(error.found)}",
        "",
        Fix("write Analytic: before it", (Edit(error.block.span(start, start), "Analytic:"),)),
    )


def _stream_name(error: _Error) -> Diagnostic | None:
    """``filter (exe = "x")``: no stream is named."""
    before = error.before
    if before is None or before.word not in STREAM_WORDS or "NAME" not in error.expected:
        return None
    if error.expected - {"NAME", "QUOTED_NAME", "LPAR"} or before.word == "search":
        return None
    return _finding(
        error,
        f"expected the name of a stream after `{before.text}`; found {_shown(error.found)}",
        f"which stream does it {before.word}?" if before.word != "from" else "",
    )


def _bare_condition(error: _Error) -> Diagnostic | None:
    """A condition where a statement should be."""
    found = error.found
    if error.expected > {"EQUAL", "DOT"} or "EQUAL" not in error.expected or found is None:
        return None
    operators = ("==", "!=", "<", "<=", ">", ">=")
    if found.text not in operators and found.word not in ("in", "not", "match", "contains"):
        return None
    return _finding(
        error,
        "a condition where a statement should be: it stands in `name = filter stream where …`",
        f"expected = after the name, found {_shown(found)}",
    )


_KNOWN: tuple[Callable[[_Error], Diagnostic | None], ...] = (
    _foreign_word,
    _several_actions,
    _misspelt_unit,
    _misspelt,
    _missing_where,
    _address,
    _tuple,
    _bare,
    _rule_id,
    _stream_name,
    _bare_condition,
    _missing_comma,
    _doubled_connective,
    _missing_and,
)


def _begins_operand(lexeme: Lexeme) -> bool:
    return lexeme.kind in ("word", "name", "string", "number") or lexeme.text in ("(", "[")


def _ends_operand(lexeme: Lexeme) -> bool:
    return lexeme.kind in ("word", "name", "string", "number") or lexeme.text in (")", "]")


# The grammar in words

_VALUE = "a value: a string, a number, a field or ("

# Groups of terminals that are told as one, each with what must be allowed for it to be told. In
# the order in which they are told.
_GROUPS: tuple[tuple[str, frozenset[str]], ...] = (
    (
        "a stream (search, filter, join, group, from, run)",
        frozenset({"SEARCH", "FILTER", "JOIN", "GROUP", "FROM", "RUN"}),
    ),
    (
        _VALUE,
        frozenset({"STRING", "NUMBER", "NAME", "LPAR", "LSQB"}),
    ),
    ("a statement: name = …, or output name", frozenset({"NAME", "OUTPUT", "INPUT", "RETURN"})),
    (
        "an operator such as =, in or contains",
        frozenset({"EQUAL", "IN", "MATCH", "CONTAINS"}),
    ),
    ("an operator such as =, < or !=", frozenset({"EQUAL", "LESS", "NOT_EQUAL"})),
    ("`and`, `or`", frozenset({"AND", "OR"})),
    ("a name", frozenset({"NAME"})),
    ("a string", frozenset({"STRING"})),
    ("a number", frozenset({"NUMBER"})),
    ("a duration such as 30 minutes", frozenset({"DURATION"})),
    ("the id of a rule", frozenset({"RULE_ID"})),
    ("Analytic:", frozenset({"ANALYTIC"})),
)
_COVERED = {
    _VALUE: frozenset(
        [
            "DURATION",
            "NULL",
            "NOW",
            "TRUE",
            "FALSE",
            "NOT",
            "MINUS",
            "QUOTED_NAME",
            "NETWORK",
            "RAW_EVENT",
            "TOP",
            "BOTTOM",
            "STAR",
        ]
    ),
    "an operator such as =, in or contains": frozenset(
        [
            "EQUAL_EQUAL",
            "NOT_EQUAL",
            "LESS",
            "LESS_EQUAL",
            "GREATER",
            "GREATER_EQUAL",
            "NOT",
            "DOES",
            "EXISTS",
            "PLUS",
            "MINUS",
            "STAR",
            "SLASH",
        ]
    ),
    "an operator such as =, < or !=": frozenset(
        ["EQUAL_EQUAL", "LESS_EQUAL", "GREATER", "GREATER_EQUAL", "PLUS", "MINUS", "STAR", "SLASH"]
    ),
    "a name": frozenset({"QUOTED_NAME"}),
    "a statement: name = …, or output name": frozenset({"QUOTED_NAME"}),
}
_SIGNS = {
    "LPAR": "(", "RPAR": ")", "LSQB": "[", "RSQB": "]", "COMMA": ",", "COLON": ":", "DOT": ".",
    "EQUAL": "=", "STAR": "*",
}  # fmt: skip
_QUIET = frozenset(["PLUS", "MINUS", "SLASH", "DOT", "QUOTED_NAME"])


def in_words(expected: frozenset[str]) -> str:
    """What could stand somewhere, in the language's words: at most five things.

    >>> in_words(frozenset({"COMMA", "WHERE"}))
    '`,` or `where`'
    """
    rest = set(expected)
    told: list[str] = []
    for words, terminals in _GROUPS:
        if terminals <= rest:
            told.append(words)
            rest -= terminals | _COVERED.get(words, frozenset())
    keywords = sorted(f"`{_KEYWORDS[name]}`" for name in rest & _KEYWORDS.keys())
    signs = sorted(f"`{_SIGNS[name]}`" for name in rest & _SIGNS.keys() - _QUIET)
    told += signs + keywords
    if "END" in rest and not told:
        told.append("the end")
    if len(told) > 1:
        told = ["a value" if words == _VALUE else words for words in told]
    told = told[:5] or ["nothing more"]
    return told[0] if len(told) == 1 else ", ".join(told[:-1]) + " or " + told[-1]


def _shown(lexeme: Lexeme | None) -> str:
    if lexeme is None:
        return "the end of the statement"
    text = lexeme.text if len(lexeme.text) <= 40 else lexeme.text[:39] + "…"
    return text if lexeme.kind == "string" else f"`{text}`"


def _plain(error: _Error) -> Diagnostic:
    expected = in_words(error.expected)
    return _finding(error, f"expected {expected}; found {_shown(error.found)}", "not expected here")
