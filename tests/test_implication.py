"""What is proved of two conditions by their parts holds whatever their tests are worth."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carengine import ir
from carengine.verify.implication import Implication, parts_of
from carengine.verify.kind_conditions import merged

NAMES = "abc"
TESTS = [ir.Compare(ir.Field(name), ir.Relation.EQUAL, ir.Constant(1)) for name in NAMES]


def conditions() -> st.SearchStrategy[ir.Condition]:
    known = [ir.Truth(True), ir.Truth(False), ir.Truth(None)]
    leaves: st.SearchStrategy[ir.Condition] = st.sampled_from([*TESTS, *known])

    def wider(inner: st.SearchStrategy[ir.Condition]) -> st.SearchStrategy[ir.Condition]:
        several = st.lists(inner, min_size=1, max_size=3).map(tuple)
        return st.one_of(
            inner.map(ir.Not),
            inner.map(ir.IsTrue),
            inner.map(lambda item: ir.Not(ir.IsTrue(item))),
            several.map(ir.And),
            several.map(ir.Or),
        )

    return st.recursive(leaves, wider, max_leaves=8)


def value(condition: ir.Condition, given: dict[str, bool | None]) -> bool | None:
    """The value of a condition whose tests have given values."""
    match condition:
        case ir.And(items):
            values = [value(item, given) for item in items]
            return False if False in values else None if None in values else True
        case ir.Or(items):
            values = [value(item, given) for item in items]
            return True if True in values else None if None in values else False
        case ir.Not(item):
            inner = value(item, given)
            return None if inner is None else not inner
        case ir.IsTrue(item):
            return value(item, given) is True
        case ir.Truth(known):
            return known
        case ir.Compare(ir.Field(name)):
            return given[name]
        case _:
            raise AssertionError(condition)


WORLDS = [
    dict(zip(NAMES, values, strict=True)) for values in product((True, False, None), repeat=3)
]


@given(conditions(), conditions())
def test_what_is_proved_holds_in_every_case(mine: ir.Condition, other: ir.Condition) -> None:
    if Implication(lambda one, two: False).entails(mine, other):
        assert all(value(other, w) is True for w in WORLDS if value(mine, w) is True)


@given(conditions())
def test_the_parts_are_true_together_where_the_whole_is(whole: ir.Condition) -> None:
    assert Implication(lambda one, two: False).entails(whole, whole)
    for world in WORLDS:
        together = all(value(part, world) is True for part in parts_of(whole))
        assert together is (value(whole, world) is True)


A, B, C = TESTS


@pytest.mark.parametrize(
    ("mine", "other"),
    [
        (ir.And((A, B, C)), ir.And((C, A))),
        (ir.And((A, ir.Or((B, C)))), ir.Or((C, B, A))),
        (ir.And((A, ir.Not(ir.IsTrue(ir.Or((B, C)))))), ir.Not(ir.IsTrue(ir.And((C, A))))),
        (ir.Not(ir.Or((A, B))), ir.Not(ir.IsTrue(ir.IsTrue(B)))),
        (ir.Or((ir.And((A, B)), ir.And((B, C)))), B),
    ],
)
def test_what_follows_by_parts(mine: ir.Condition, other: ir.Condition) -> None:
    assert Implication(lambda one, two: False).entails(mine, other)
    assert not Implication(lambda one, two: False).entails(other, mine)


def test_the_work_is_bounded() -> None:
    wide = ir.And(tuple(ir.Or((A, ir.IsNull(ir.Field(f"f{n}")))) for n in range(600)))
    other = ir.And(tuple(ir.Or((A, ir.IsNull(ir.Field(f"g{n}")))) for n in range(600)))
    assert not Implication(lambda one, two: False).entails(wide, other)


@pytest.mark.parametrize(
    ("pattern", "plain", "flags"),
    [
        ("(?i)a|b", "a|b", (False, False, False)),
        ("(?is)a.b", "a.b", (False, True, False)),
        ("(?i)(?m)^a", "^a", (False, False, True)),
        ("(?s)a", "a", (True, True, False)),
        ("(?i:a)b", "(?i:a)b", (True, False, False)),
        ("a(?i)b", "a(?i)b", (True, False, False)),
    ],
)
def test_flags_at_the_beginning_are_flags_of_the_test(
    pattern: str, plain: str, flags: tuple[bool, bool, bool]
) -> None:
    field = ir.Field("exe")
    assert merged(ir.Regex(field, pattern, cased=True)) == ir.Regex(field, plain, *flags)
