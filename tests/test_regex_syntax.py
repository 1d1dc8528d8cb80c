"""The one parser of regular expressions, held to RE2."""

from __future__ import annotations

import re2
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from carengine import ir
from carengine.regex import NotPortable, portable_regex, searcher
from carengine.regex.syntax import MAX_DEPTH, RegexError, RegexNode, Repetition, parse_regex

quick = settings(max_examples=500, deadline=None)

signs = st.text("ab1_Zé]^-[(){}|*+?.,\\$:\n \x0b", max_size=12)
pieces = st.sampled_from(
    [
        *("a", "b", "K", "é", "ſ", ".", "^", "$", "|", "(", ")", "(?:", "(?i)", "(?s:", "(?-i:"),
        *(
            "(?im-s:",
            "(?U)",
            "(?P<n>",
            "(?P<n>",
            "(?<m>",
            "(?)",
            "(?=",
            "*",
            "+",
            "?",
            "*?",
            "{2}",
            "{1,}",
        ),
        *("{,3}", "{2,1}", "{1001}", "{", "}", "[", "]", "[^", "[a-c]", "[^a-]", "[]a]", "[\\d-]"),
        *("[[:alpha:]]", "[[:^digit:]]", "[[:no:]]", "[[:", "[b-a]", "-", "\\d", "\\D", "\\w"),
        *("\\S", "\\b", "\\B", "\\A", "\\z", "\\Z", "\\Q", "\\E", "\\x41", "\\x{1F600}", "\\x4"),
        *("\\0", "\\12", "\\1", "\\8", "\\n", "\\v", "\\pL", "\\p{Greek}", "\\PN", "\\p{^Lu}"),
        *("\\C", "\\_", "\\-", "\\é", "\\", "\\.", "\\ ", "\\/"),
    ]
)
expressions = st.one_of(signs, st.lists(pieces, max_size=7).map("".join))
texts = st.text("abcABK19 \n-.\\_é", max_size=8)
VALUE = ir.Field("value")


def compiled(pattern: str, flags: str = "") -> re2._Regexp[str] | None:
    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(f"(?{flags}){pattern}" if flags else pattern, options)
    except re2.error:
        return None


@quick
@given(expressions)
def test_the_parser_reads_what_re2_reads(pattern: str) -> None:
    """Only what is named in the module is refused though RE2 takes it, and nothing the other way
    but for the size of repetitions and the names of Unicode's properties."""
    accepted = compiled(pattern) is not None
    refusal = refused(pattern)
    if refusal is None:
        assert accepted or "{" in pattern or "\\p" in pattern, pattern
    else:
        assert 0 <= refusal.place <= len(pattern)
        assert not accepted or str(refusal) == r"the escape \C", (pattern, str(refusal))


def refused(pattern: str) -> RegexError | None:
    try:
        parse_regex(pattern)
    except RegexError as error:
        return error
    return None


@quick
@given(expressions, texts, st.booleans(), st.booleans())
def test_the_portable_spelling_means_the_same(
    pattern: str, text: str, dotall: bool, multiline: bool
) -> None:
    """Told by RE2, which is one of the dialects that the spelling holds in."""
    flags = ("s" if dotall else "") + ("m" if multiline else "")
    original = compiled(pattern, flags)
    assume(original is not None)
    try:
        spelled = portable_regex(pattern, dotall=dotall, multiline=multiline)
    except NotPortable:
        return
    copy = compiled(spelled, "sm" if multiline else "s")
    assert original is not None
    assert copy is not None, (pattern, spelled)
    assert bool(original.search(text)) == bool(copy.search(text)), (pattern, spelled)


@quick
@given(expressions, st.text("abk19 \n-.\\_é", max_size=6), st.booleans(), st.booleans())
def test_the_automaton_decides_as_re2_does(
    pattern: str, text: str, dotall: bool, multiline: bool
) -> None:
    flags = "i" + ("s" if dotall else "") + ("m" if multiline else "")
    original = compiled(pattern, flags)
    assume(original is not None)
    reader = searcher(ir.Regex(VALUE, pattern, dotall=dotall, multiline=multiline))
    assume(reader is not None)
    assert original is not None
    assert reader is not None
    state = reader.start
    for character in text:
        state = reader.step(state, character)
    assert reader.accepts(state) == bool(original.search(text)), pattern


def test_hostile_expressions_are_refused_or_read_in_bounded_depth() -> None:
    for pattern in ("(" * 10_000, "(" * (MAX_DEPTH + 1) + ")" * (MAX_DEPTH + 1), "[" * 10_000):
        assert refused(pattern) is not None
    parse_regex("a|" * 10_000)
    parse_regex("(?:" * (MAX_DEPTH - 1) + ")" * (MAX_DEPTH - 1))


def test_what_is_repeated() -> None:
    def repeated(node: RegexNode) -> tuple[int, int | None, bool]:
        assert isinstance(node, Repetition)
        return node.least, node.most, node.lazy

    table = {
        "a*": (0, None, False),
        "a+?": (1, None, True),
        "(?U)a+?": (1, None, False),
        "a{2}": (2, 2, False),
        "a{2,}": (2, None, False),
        "a{0,3}?": (0, 3, True),
    }
    for pattern, wanted in table.items():
        assert repeated(parse_regex(pattern).root) == wanted, pattern
