"""The solver on tests that heed case: nothing is called impossible that some text is."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carengine import ir
from carengine.evaluate import test_value as value_of
from carengine.pattern import Pattern
from carengine.solver.texts import Budget, Texts, example, is_empty

FIELD = ir.Field("x")
# K is the sign of Kelvin, which folds to k.
LETTERS = "aAkK\u212aé"
TEXTS = ["".join(made) for length in range(4) for made in product(LETTERS, repeat=length)]


def match(*patterns: str, cased: bool = True) -> ir.Match:
    return ir.Match(FIELD, tuple(Pattern(text, cased) for text in patterns))


def regex(pattern: str, *, cased: bool = True) -> ir.Regex:
    return ir.Regex(FIELD, pattern, cased)


MATCHES = st.builds(
    match,
    st.text("aAkK\u212aé*?", min_size=1, max_size=4),
    cased=st.booleans(),
)
REGEXES = st.builds(
    regex,
    st.sampled_from(
        ["a", "A", "[^a]", "k$", "^K", "[a-k]", "[A-Z]+", "a|K", r"\w", r"\W", "a.k", "^(?:aK)*$"]
    ),
    cased=st.booleans(),
)
TESTS = st.frozensets(st.one_of(MATCHES, REGEXES), max_size=3)


@settings(max_examples=300, deadline=None)
@given(TESTS, TESTS)
def test_what_is_impossible_is_so(
    passes: frozenset[ir.Match | ir.Regex], fails: frozenset[ir.Match | ir.Regex]
) -> None:
    texts = Texts(passes, fails)

    def fits(text: str) -> bool:
        return all(value_of(one, text) is True for one in passes) and not any(
            value_of(one, text) is True for one in fails
        )

    empty = is_empty(texts, Budget())
    if any(map(fits, TEXTS)):
        assert empty is not True
    found = example(texts, Budget())
    if empty is True:
        assert found is None


@pytest.mark.parametrize(
    ("inner", "outer"),
    [
        (regex("(foo|bar)"), match("*foo*", "*bar*")),
        (match("*foo*", "*bar*"), regex("bar|foo")),
        (regex("a.*b"), match("*a*b*", cased=False)),
        (regex(".*/LaunchAgents/.*"), match("*/launchagents/*", cased=False)),
        (regex(r"^[A-Z]{2}\d$"), regex(r"^[A-Za-z]{2}\d$")),
        (match("*.Exe"), match("*.exe", cased=False)),
        (regex("(?:K|k)x"), regex("kx", cased=False)),
    ],
)
def test_one_is_within_the_other(inner: ir.Match | ir.Regex, outer: ir.Match | ir.Regex) -> None:
    assert is_empty(Texts(frozenset({inner}), frozenset({outer})), Budget()) is True


@pytest.mark.parametrize(
    ("passed", "failed"),
    [
        (match("*.exe", cased=False), match("*.exe")),
        (regex("kx", cased=False), regex("(?:K|k)x")),  # the sign of Kelvin
        (regex("[^a]"), regex("[^a]", cased=False)),
    ],
)
def test_case_tells_them_apart(passed: ir.Match | ir.Regex, failed: ir.Match | ir.Regex) -> None:
    text = example(Texts(frozenset({passed}), frozenset({failed})), Budget())
    assert text is not None
    assert value_of(passed, text) is True
    assert value_of(failed, text) is not True
