"""Wildcards and case folding, against oracles that share no code with them."""

from __future__ import annotations

import itertools
import sys
import time
from collections import defaultdict

import pytest
import re2
from hypothesis import example, given
from hypothesis import strategies as st

from carengine.pattern import Any, One, Pattern, PatternList, escape, fold, tokenize
from strategies import some

# The oracle: dynamic programming over all prefixes of both, straight from the definition.


def oracle(pattern: str, text: str) -> bool:
    units: list[str | None] = []  # a character; "" for `?`; None for `*`
    place = 0
    while place < len(pattern):
        if pattern[place : place + 3] in ("[*]", "[?]"):
            units.append(pattern[place + 1])
            place += 3
            continue
        units.append({"*": None, "?": ""}.get(pattern[place], pattern[place]))
        place += 1
    row = [True] + [False] * len(text)
    for unit in units:
        after = [unit is None and row[0]]
        for index, character in enumerate(text):
            if unit is None:
                after.append(after[-1] or row[index + 1])
            else:
                same = unit == "" or simple_fold(unit) == simple_fold(character)
                after.append(row[index] and same)
        row = after
    return row[-1]


def simple_fold(character: str) -> str:
    """Unicode's simple case folding, by asking RE2 for the smallest character it takes for this
    one."""
    return min(ORBITS.get(character, {character}))


def _orbits() -> dict[str, set[str]]:
    """All characters that RE2 takes for each other, for every character with a case."""
    every = [chr(n) for n in range(sys.maxunicode + 1) if not 0xD800 <= n <= 0xDFFF]
    folding = {c for c in every if {c.lower(), c.upper(), c.title(), c.casefold()} != {c}}
    # What this Python knows no case of and RE2 does (another version of Unicode), and the other way
    # round.
    letters = re2.compile(r"[\p{Lu}\p{Ll}\p{Lt}]")
    folding |= {c for c in letters.findall("".join(every)) if c not in folding}
    joined = "".join(sorted(folding))
    return {c: set(re2.findall("(?i)" + re2.escape(c), joined)) for c in folding}


ORBITS = _orbits()
ALPHABET = "aAbKſ\u212aßSİıςσΣ.\\*?[]\n \U00010400\U00010428\ud800é"
patterns = st.text(ALPHABET, max_size=10) | st.text("aA*?[]", max_size=10)
contents = st.text(ALPHABET, max_size=14) | st.text("aA*?[]", max_size=14)

TABLE = [
    ("a", "a", True),
    ("a", "A", True),
    ("a", "ab", False),
    ("", "", True),
    ("", "a", False),
    ("*", "", True),
    ("*", "a\nb\\c", True),
    ("?", "", False),
    ("?", "\n", True),
    ("?", "\\", True),
    ("?", "\U0001f600", True),
    ("?", "ẞ", True),
    ("??", "ß", False),
    ("a*", "a", True),
    ("*a", "ba\n", False),
    ("*a*", "\na\n", True),
    ("a*b", "ab", True),
    ("ab*ba", "aba", False),
    ("ab*ba", "abba", True),
    ("a*a", "a", False),
    ("[*]", "*", True),
    ("[*]", "x", False),
    ("[?]", "?", True),
    ("[?]", "x", False),
    ("[[*]]", "[*]", True),
    ("[", "[", True),
    ("[a]", "[a]", True),
    ("[a]", "a", False),
    ("[**]", "[x]", True),
    ("[]*", "[]abc", True),
    ("C:\\Windows\\*\\taskmgr.exe", "c:\\windows\\system32\\Taskmgr.exe", True),
    ("C:\\Windows\\*\\taskmgr.exe", "c:\\windows\\taskmgr.exe", False),
    ("C:\\Windows\\*\\taskmgr.exe", "c:\\windows\\a\\b\\taskmgr.exe", True),
    ("C:\\Windows\\*\\taskmgr.exe", "c:\\\\windows\\\\system32\\\\taskmgr.exe", False),
    ("lsass*.dmp", "lsass.dmp", True),
    ("lsass*.dmp", "LSASS (2).DMP", True),
    ("lsass*.dmp", "lsass.dmp.txt", False),
    ("\\", "\\", True),
    ("\\*", "\\*", True),
    ("\\*", "*", False),
    ("\\\\", "\\", False),
    ("*?*?*", "a", False),
    ("*?*?*", "ab", True),
    ("ς", "Σ", True),
    ("ς", "σ", True),
    ("k", "\u212a", True),
    ("s", "ſ", True),
    ("ss", "ß", False),
    ("i", "İ", False),
    ("i", "ı", False),
    ("ꭰ", "Ꭰ", True),
    ("\ud800", "\ud800", True),
    ("\ud800*", "\ud800x", True),
]


@pytest.mark.parametrize(("pattern", "text", "matches"), TABLE)
def test_what_matches(pattern: str, text: str, matches: bool) -> None:
    assert Pattern(pattern).matches(text) is matches
    assert oracle(pattern, text) is matches


@some(1500)
@given(patterns, contents)
def test_patterns_mean_what_the_definition_says(pattern: str, text: str) -> None:
    assert Pattern(pattern).matches(text) is oracle(pattern, text)


@some(300)
@given(patterns, st.data())
def test_patterns_on_texts_made_to_match(pattern: str, data: st.DataObject) -> None:
    parts = []
    for token in tokenize(pattern):
        match token:
            case Any():
                parts.append(data.draw(contents))
            case One():
                parts.append(data.draw(st.sampled_from(ALPHABET)))
            case _:
                parts.append(data.draw(st.sampled_from((token, token.swapcase()))))
    text = "".join(parts)
    assert Pattern(pattern).matches(text) is oracle(pattern, text)


@given(patterns)
@example("[**]")
def test_the_pieces_say_all_of_the_pattern(pattern: str) -> None:
    tokens = tokenize(pattern)
    for left, right in itertools.pairwise(tokens):
        assert not (isinstance(left, str) and isinstance(right, str))
        assert not (isinstance(left, Any) and isinstance(right, Any))
    # Two stars are one, and between brackets they are no literal star, as one would be.
    written = [
        "**" if isinstance(t, Any) else "?" if isinstance(t, One) else escape(t) for t in tokens
    ]
    assert tokenize("".join(written)) == tokens


@some(300)
@given(contents, contents)
def test_an_escaped_text_matches_itself_only(text: str, other: str) -> None:
    pattern = Pattern.literal(text)
    assert pattern.matches(text)
    assert pattern.exact == fold(text)
    assert pattern.matches(other) is (fold(other) == fold(text))
    assert Pattern.literal(text, cased=True).matches(other) is (other == text)


def test_case_counts_where_it_is_asked_for() -> None:
    assert Pattern("a*B", cased=True).matches("axB")
    assert not Pattern("a*B", cased=True).matches("axb")
    assert Pattern("a*B", cased=True).exact is None
    assert Pattern("aB", cased=True).exact == "aB"


@given(patterns, contents)
def test_the_fast_test_takes_folded_texts(pattern: str, text: str) -> None:
    made = Pattern(pattern)
    assert made.test()(fold(text)) is made.matches(text)
    if made.exact is not None:
        assert made.matches(text) is (fold(text) == made.exact)


# Folding


@some(300)
@given(st.text() | contents)
def test_folding(text: str) -> None:
    folded = fold(text)
    assert len(folded) == len(text)
    assert fold(folded) == folded
    assert folded == "".join(fold(character) for character in text)
    assert fold(text + "x") == folded + "x"


def test_folding_agrees_with_re2_for_every_character() -> None:
    """Two characters fold to one exactly when RE2, ignoring case, takes one for the other."""
    classes: dict[str, set[str]] = defaultdict(set)
    for character in map(chr, range(sys.maxunicode + 1)):
        classes[fold(character)].add(character)
    for folded, members in classes.items():
        if len(members) == 1 and folded not in ORBITS:
            assert members == {folded}
            continue
        assert all(ORBITS[member] == members for member in members), (folded, members)


def test_folding_is_complete_for_this_unicode() -> None:
    """`fold` may use str.lower for a text only if it gives the same for every character of it.

    The characters where it does not are spelt out in `pattern`; a new version of Unicode may add
    some.
    """
    for character in map(chr, range(sys.maxunicode + 1)):
        alone = fold(character)
        assert fold("a" + character) == "a" + alone, hex(ord(character))
        assert fold(character + "İ") == alone + "İ", hex(ord(character))


# Time

LONG = 2_000_000
EVIL = {
    "many stars": ("*a" * 500 + "*b", "a" * LONG),
    "stars and a tail": ("*a*a*a*a*a*a*a*a*a*b*", "a" * LONG),
    "question marks": ("*" + "?" * 5_000 + "b*", "a" * LONG),
    "question marks between": ("*" + "a?" * 1_000 + "b*", "a" * LONG),
    "question marks at the end": ("*b" + "?" * 5_000, "a" * LONG),
    "stars and question marks": ("*" + "?*a" * 2_000 + "b*", "a" * LONG),
    "periodic": ("*" + "ab" * 5_000 + "c*", "ab" * (LONG // 2)),
    "nearly": ("*" + "a" * 20_000 + "b*", ("a" * 19_999 + "c") * (LONG // 20_000)),
    "pieces of both kinds": ("*" + "a?a*" * 300 + "c?b*", "a" * LONG),
    "a long run of stars": ("*" * 100_000 + "b", "a" * LONG),
    "a text of wildcards": ("*[*]" * 500 + "b", "*?" * (LONG // 2)),
    "letters that fold": ("*" + "ς" * 50 + "b*", "Σσς" * (LONG // 3)),
}


@pytest.mark.parametrize("name", EVIL)
def test_no_pattern_takes_long(name: str) -> None:
    """Two million characters in two seconds, with room to spare on a slow machine."""
    pattern, text = EVIL[name]
    started = time.process_time()
    assert not Pattern(pattern).matches(text)
    assert time.process_time() - started < 2


def test_time_grows_no_faster_than_the_text() -> None:
    """Over the bound where another algorithm takes over, too, the answer is the definition's."""
    for length in (50, 5_000, 2_000_000):
        text = "a" * length + "abc"
        assert Pattern("*" + "a?" * 20 + "bc").matches(text)
        assert Pattern("*" + "a?" * 20 + "?c*").matches(text)
        assert not Pattern("*" + "a?" * 20 + "b?b*").matches(text)


@some(50)
@given(st.text("ab?*", min_size=1, max_size=12), st.text("ab", max_size=30))
def test_the_way_for_long_texts_gives_the_same(middle: str, text: str) -> None:
    padding = "b" * 20_000
    pattern = "*" + "b" * 5 + middle + "*"
    long, short = padding + text + padding[:100], "b" * 100 + text + "b" * 100
    assert Pattern(pattern).matches(long) is Pattern(pattern).matches(short)


# Many patterns together

MANY = [f"*{n:04x}*" for n in range(300)]


@given(
    st.lists(st.builds(Pattern, st.text("aAb*?\u017f", max_size=5), st.booleans()), max_size=8),
    st.text("aAbs", max_size=7),
)
@some(300)
def test_many_patterns_together_are_each_of_them(patterns: list[Pattern], text: str) -> None:
    one_by_one = any(pattern.matches(text) for pattern in patterns)
    assert PatternList.of(patterns).matches(text) is one_by_one
    # Hundreds of one length are looked for in another way.
    assert PatternList.of([*patterns, *map(Pattern, MANY)]).matches(text) is one_by_one


@pytest.mark.parametrize(
    ("text", "found"),
    [("00ff", True), ("x00FFx", True), ("0", False), ("", False), ("012f", False), ("x012B", True)],
)
def test_hundreds_of_texts_of_one_length_are_found_anywhere(text: str, found: bool) -> None:
    assert PatternList.of(map(Pattern, MANY)).matches(text) is found
