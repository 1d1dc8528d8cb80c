"""What writers of query languages share, tried with a language that is spelled like Python."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carengine import ir
from carengine.languages.text_writing import ConditionSpelling, Notation, wildcard_text
from carengine.languages.two_valued import (
    AtomHolds,
    Const,
    IsPresent,
    TwoValued,
    all_of,
    any_of,
    holds_for,
    negation_of,
)
from carengine.pattern import Pattern

A, B = ir.Raw(("a",)), ir.Raw(("b",))
EVENTS = [{}, {"a": "x"}, {"b": "x"}, {"a": "x", "b": "y"}, {"a": "y", "b": "x"}]


def refused(test: object) -> str:
    raise AssertionError(test)


def match(test: ir.Match) -> str:
    assert isinstance(test.value, ir.Raw)
    name = test.value.path[0]
    several = [f"({name} == {pattern.text!r})" for pattern in test.patterns]
    return several[0] if len(several) == 1 else f"({' or '.join(several)})"


def spelling(notation: Notation) -> ConditionSpelling:
    return ConditionSpelling(
        notation,
        field=lambda raw: raw.path[0],
        match=match,
        regex=refused,
        compare=refused,
        network=refused,
        occurs=refused,
        raw=refused,
    )


NOTATION = Notation(" and ", " or ", "not ", "True", "False", "({} != null)", "({} == null)")


def value_of(text: str, event: dict[str, str]) -> bool | None:
    """The value of a query in three-valued logic, in which what reads a missing field is unknown."""
    tokens: list[str] = re.findall(r"\(\w+ [!=]= (?:'\w+'|null)\)|and|or|not|True|False|[()]", text)

    def either() -> bool | None:
        found = [both()]
        while tokens and tokens[0] == "or":
            tokens.pop(0)
            found.append(both())
        return True if True in found else None if None in found else False

    def both() -> bool | None:
        found = [single()]
        while tokens and tokens[0] == "and":
            tokens.pop(0)
            found.append(single())
        return False if False in found else None if None in found else True

    def single() -> bool | None:
        token = tokens.pop(0)
        if token == "not":
            inner = single()
            return None if inner is None else not inner
        if token == "(":
            inner = either()
            assert tokens.pop(0) == ")"
            return inner
        if token in ("True", "False"):
            return token == "True"
        name, sign, wanted = token[1:-1].split(" ")
        if wanted == "null":
            return (name in event) == (sign == "!=")
        return event[name] == wanted.strip("'") if name in event else None

    found = either()
    assert not tokens
    return found


tests = st.builds(
    lambda raw, text: AtomHolds(ir.Match(raw, (Pattern(text),))),
    st.sampled_from([A, B]),
    st.sampled_from("xy"),
)
leaves = st.one_of(tests, st.sampled_from([A, B]).map(IsPresent), st.builds(Const, st.booleans()))
conditions = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map(all_of),
        inner.map(negation_of),
        st.lists(inner, min_size=1, max_size=3).map(any_of),
    ),
    max_leaves=6,
)


@settings(max_examples=500, deadline=None)
@given(conditions)
def test_a_condition_is_true_of_the_events_that_it_holds_for(condition: TwoValued) -> None:
    text = spelling(NOTATION).write(condition)
    for event in EVENTS:
        assert (value_of(text, event) is True) == holds_for(condition, event), text


def test_a_guard_is_left_out_where_the_field_is_there_or_the_language_needs_none() -> None:
    test = AtomHolds(ir.Match(A, (Pattern("x"),)))
    alone = negation_of(test)
    beside = all_of((IsPresent(A), alone))
    assert spelling(NOTATION).write(alone) == "((a == null) or not (a == 'x'))"
    assert spelling(NOTATION).write(beside) == "(a != null) and not (a == 'x')"
    terms = Notation(" ", " OR ", "NOT ", "*", "NOT *", "{}=*", "NOT {}=*", guarded=False)
    assert spelling(terms).write(alone) == "NOT (a == 'x')"


@pytest.mark.parametrize(
    ("text", "special", "wanted"),
    [
        ("a*.exe", "*", "a*.exe"),
        ("a?c", "*", None),
        ("a[*]c", "*", None),
        ("a[?]c", "*", "a?c"),
        ("a[?]c", "*?", None),
        ("", "*", ""),
    ],
)
def test_wildcards(text: str, special: str, wanted: str | None) -> None:
    assert wildcard_text(Pattern(text), special) == wanted
