"""Three-valued logic: the truth table, the laws, and the rewriting of conditions that keeps them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carengine import ir
from carengine.evaluate import NoContext, RawRow, all_of, any_of, holds, negation, value_of
from carengine.fieldmap import outcomes
from carengine.pattern import Pattern
from carengine.values import number_of
from strategies import conditions, shuffled, some, values

ALONE = NoContext()
T, F, U = True, False, None

TRUTH = [
    # a, b, a and b, a or b
    (T, T, T, T),
    (T, F, F, T),
    (T, U, U, T),
    (F, T, F, T),
    (F, F, F, F),
    (F, U, F, U),
    (U, T, U, T),
    (U, F, F, U),
    (U, U, U, U),
]

KEYS = ("a", "b", "c")
LEAVES = st.one_of(
    st.sampled_from([ir.Raw((key,)) for key in KEYS]),
    st.just(ir.Raw(("a", "x"), ("-", ""))),
    st.just(ir.Call("basename", (ir.Raw(("a",)),))),
    st.just(ir.Arithmetic("+", ir.Raw(("b",)), ir.Constant(1))),
    st.sampled_from([ir.Presence(ir.Raw(path)) for path in (("a",), ("a", "x"))]),
)
CONDITIONS = conditions(LEAVES)
EVENTS = st.dictionaries(st.sampled_from(KEYS), values(), max_size=3)


def worth(condition: ir.Condition, event: Any) -> bool | None:
    return holds(condition, RawRow(event), ALONE)


@pytest.mark.parametrize(("a", "b", "both", "either"), TRUTH)
def test_the_truth_table(
    a: bool | None, b: bool | None, both: bool | None, either: bool | None
) -> None:
    assert all_of([a, b]) is both
    assert any_of([a, b]) is either
    assert worth(ir.And((ir.Truth(a), ir.Truth(b))), {}) is both
    assert worth(ir.Or((ir.Truth(a), ir.Truth(b))), {}) is either
    assert worth(ir.IsTrue(ir.Truth(a)), {}) is (a is True)
    assert worth(ir.Not(ir.Truth(a)), {}) is negation(a)
    assert negation(a) is {T: F, F: T, U: U}[a]


def test_nothing_and_nothing_or() -> None:
    assert worth(ir.And(()), {}) is True
    assert worth(ir.Or(()), {}) is False


A = ir.Raw(("a",))
IS_X = ir.Match(A, (Pattern("x*"),))
ATOMS: list[tuple[ir.Condition, Any, bool | None]] = [
    (IS_X, {"a": "X1"}, T),
    (IS_X, {"a": "y"}, F),
    (IS_X, {}, U),
    (IS_X, {"a": None}, U),
    (IS_X, {"a": []}, U),
    (IS_X, {"a": [None]}, U),
    (IS_X, {"a": ["y", "x"]}, T),
    (IS_X, {"a": ["y", {}]}, U),
    (IS_X, {"a": {}}, U),
    (IS_X, {"a": [["x"]]}, U),
    (ir.Match(A, (Pattern("44*"),)), {"a": 445}, T),
    (ir.Match(A, (Pattern("true"),)), {"a": True}, T),
    (ir.Match(ir.Raw(("a",), ("-",)), (Pattern("*"),)), {"a": "-"}, U),
    (ir.IsNull(ir.Presence(A)), {}, T),
    (ir.IsNull(ir.Presence(A)), {"a": None}, F),
    (ir.IsNull(ir.Presence(A)), {"a": []}, F),
    (ir.IsNull(ir.Presence(ir.Raw(("a", "b")))), {"a": None}, T),
    (ir.IsNull(ir.Presence(ir.Raw(("a", "b")))), {"a": {"b": None}}, F),
    (ir.IsNull(ir.Presence(ir.Call("first", (A, ir.Raw(("b",)))))), {"b": None}, F),
    (ir.IsNull(ir.Presence(ir.Call("first", (A, ir.Raw(("b",)))))), {"c": 1}, T),
    (ir.IsNull(ir.Presence(ir.Call("unless", (A, ir.Constant("-"))))), {"a": "-"}, F),
    (ir.IsNull(ir.Presence(ir.Call("member", (A, ir.Constant("x"))))), {"a": {"x": None}}, F),
    (ir.IsNull(ir.Presence(ir.Call("member", (A, ir.Constant("x.y"))))), {"a": {"x": {}}}, T),
    (ir.IsNull(ir.Presence(ir.Call("within", (A, ir.Constant("x"))))), {"a": {"k": {"x": 0}}}, F),
    (ir.IsNull(ir.Presence(ir.Call("hash", (A, ir.Constant("MD5"))))), {"a": "SHA1=0"}, T),
    (ir.IsNull(ir.Presence(ir.Call("given", (A, ir.Raw(("b",)))))), {"a": 1, "b": None}, F),
    (ir.IsNull(ir.Presence(ir.Constant(None))), {}, T),
    (ir.IsNull(ir.Presence(ir.Duration(1))), {}, F),
    (ir.Match(ir.Raw(("a",), ("-",)), (Pattern("*"),)), {"a": ["-"]}, U),
    (ir.Match(ir.Raw(("a",), ("-",)), (Pattern("*"),)), {"a": ["-", ""]}, T),
    (ir.Match(ir.Raw(("a", "b")), (Pattern("*"),)), {"a": "b"}, U),
    (ir.IsNull(A), {}, T),
    (ir.IsNull(A), {"a": [None]}, T),
    (ir.IsNull(A), {"a": ""}, F),
    (ir.IsNull(A), {"a": {}}, F),
    (ir.IsNull(A), {"a": False}, F),
    (ir.Regex(A, "^B"), {"a": "bcd"}, T),
    (ir.Regex(A, "^B", cased=True), {"a": "bcd"}, F),
    (ir.Regex(A, "a.b"), {"a": "a\nb"}, F),
    (ir.Regex(A, "a.b", dotall=True), {"a": "a\nb"}, T),
    (ir.Regex(A, "^b"), {"a": "a\nb"}, F),
    (ir.Regex(A, "^b", multiline=True), {"a": "a\nb"}, T),
    (ir.Regex(A, "x"), {"a": "\ud800x"}, T),
    (ir.Regex(A, ""), {}, U),
    (ir.InNetwork(A, ("10.0.0.0/8", "fe80::/10")), {"a": "FE80::1"}, T),
    (ir.InNetwork(A, ("10.0.0.0/8",)), {"a": "host"}, F),
    (ir.InNetwork(A, ("10.0.0.0/8",)), {}, U),
    (ir.Occurs(A, ir.Raw(("b",))), {"a": "X", "b": "axb"}, T),
    (ir.Occurs(A, ir.Raw(("b",))), {"a": "*", "b": "axb"}, F),
    (ir.Occurs(A, ir.Raw(("b",))), {"a": "x"}, U),
    (ir.Occurs(A, ir.Raw(("b",))), {"a": "x", "b": {}}, U),
    (ir.RawMatch((Pattern("*c:\\win*"),)), {"p": "C:\\Win"}, T),
    (ir.RawMatch((Pattern("*x*"),)), {}, F),
    (ir.Compare(A, ir.Relation.LESS, ir.Constant(5), ir.Type.NUMBER), {"a": "4"}, T),
    (ir.Compare(A, ir.Relation.EQUAL, ir.Now(), ir.Type.TIME), {"a": 1}, U),
]


@pytest.mark.parametrize(("condition", "event", "verdict"), ATOMS)
def test_what_atoms_come_to(condition: ir.Condition, event: Any, verdict: bool | None) -> None:
    assert worth(condition, event) is verdict
    assert worth(ir.Not(condition), event) is negation(verdict)


def test_null_tests_are_never_unknown() -> None:
    events: tuple[Any, ...] = ({}, {"a": None}, {"a": {}}, {"a": [[]]}, {"a": "x"})
    for event in events:
        assert worth(ir.IsNull(A), event) is not None


@some(200)
@given(CONDITIONS, CONDITIONS, EVENTS)
def test_de_morgan(a: ir.Condition, b: ir.Condition, event: Any) -> None:
    assert worth(ir.Not(ir.And((a, b))), event) is worth(ir.Or((ir.Not(a), ir.Not(b))), event)
    assert worth(ir.Not(ir.Or((a, b))), event) is worth(ir.And((ir.Not(a), ir.Not(b))), event)
    assert worth(ir.Not(ir.Not(a)), event) is worth(a, event)
    assert worth(ir.IsTrue(a), event) is (worth(a, event) is True)


@some(300)
@given(CONDITIONS, EVENTS)
def test_simplifying_changes_nothing(condition: ir.Condition, event: Any) -> None:
    simple = ir.simplify(condition)
    assert worth(simple, event) is worth(condition, event)
    assert ir.simplify(simple) == simple


@some(300)
@given(CONDITIONS, EVENTS)
def test_outcomes_leave_nothing_out(condition: ir.Condition, event: Any) -> None:
    assert worth(condition, event) in outcomes(condition)


@some(200)
@given(CONDITIONS, EVENTS, st.data())
def test_order_makes_no_difference(
    condition: ir.Condition, event: Any, data: st.DataObject
) -> None:
    assert worth(shuffled(condition, data.draw), event) is worth(condition, event)


@some(200)
@given(CONDITIONS, EVENTS)
def test_rewriting_by_nothing_changes_nothing(condition: ir.Condition, event: Any) -> None:
    assert ir.rewrite_condition(condition, lambda value: value) == condition
    for atom in ir.atoms(condition):
        assert not isinstance(atom, ir.And | ir.Or | ir.Not | ir.IsTrue)


@given(EVENTS)
def test_arithmetic_of_what_is_no_number_is_null(event: Any) -> None:
    value = ir.Arithmetic("+", ir.Raw(("a",)), ir.Constant(1))
    found = value_of(value, RawRow(event), ALONE)
    assert (found is None) == (number_of(event.get("a")) is None) or found == float("inf")


def test_times_of_lists_are_their_first() -> None:
    timed = ir.Raw(("a",), (), ir.Type.TIME)
    assert value_of(timed, RawRow({"a": ["x", None, 2, 3]}), ALONE) == 2_000_000
    assert value_of(timed, RawRow({"a": ["x"]}), ALONE) is None


def test_constants_of_different_kinds_are_different() -> None:
    """Otherwise two rules' `x.f = 1` and `x.f = true` would be one stage, with one output."""
    assert len({ir.Constant(1), ir.Constant(1.0), ir.Constant(True)}) == 3
    assert ir.Constant(1) == ir.Constant(1)
