"""Explanations are held to the reference; what became of each rule is held to what was fed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import carengine
from carengine import ir
from carengine.engine import Engine, interpret
from carengine.engine.report import (
    FieldCoverage,
    Node,
    Outcome,
    explain,
    rule_statuses,
    run_examples,
    streams_of,
)
from carengine.evaluate import NoContext, holds
from carengine.fieldmap import CarRow, find_maps, normalize
from carengine.ir_text import condition_text, value_text
from carengine.rule import Rule

SAMPLE = Path(__file__).parent / "samples" / "lsass_dump.jsonl"


@cache
def rules() -> tuple[Rule, ...]:
    return tuple(carengine.load_rules(carengine.shipped_rules()))


@cache
def sample() -> tuple[Mapping[str, Any], ...]:
    with carengine.read_events(SAMPLE) as reading:
        return tuple(record.event for record in reading)


HOSTILE = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),
    st.text(st.characters(), max_size=20),
    st.just("-"),
    st.just([]),
    st.lists(st.none() | st.text(max_size=5), max_size=3),
    st.just({"a": 1}),
    st.just("\ud800"),
    st.just("x" * 5000),
)


@st.composite
def cases(draw: st.DrawFn) -> tuple[Rule, dict[str, Any]]:
    """A rule and an event near what it looks for: an example of some rule, or of the sample, with
    values changed."""
    rule = draw(st.sampled_from(rules()))
    own = [event for example in rule.examples for event in example.events]
    event = dict(draw(st.sampled_from([*own, *own, *sample()])))
    for key in draw(st.lists(st.sampled_from(sorted(event)), max_size=3)):
        if draw(st.booleans()):
            event.pop(key, None)
        else:
            event[key] = draw(HOSTILE)
    return rule, event


@given(cases())
def test_the_verdict_is_that_of_the_reference(case: tuple[Rule, dict[str, Any]]) -> None:
    rule, event = case
    maps = find_maps("auto")
    found = explain(rule, event)
    views = normalize(event, maps)
    assert [view.kind for view in found.views] == [view.kind for view in views]
    stages = [stage for output in rule.program.outputs for _, stage in streams_of(output.plan)]
    for shown, view in zip(found.views, views, strict=True):
        for test, stage in zip(shown.tests, stages, strict=True):
            wanted = holds(stage.condition, CarRow(view), NoContext())
            if view.kind not in stage.kinds:
                assert (test.verdict, test.tree) == (False, None)
            else:
                assert test.tree is not None
                assert test.verdict is test.tree.verdict is wanted
                _check_marks(test.tree)
    if rule.stateless:
        assert (found.verdict is True) == bool(list(interpret([rule], [event], maps)))
    else:
        assert found.verdict is not True or any(
            ir.as_stages(output.plan) for output in rule.program.outputs
        )
    found.as_json()


def _check_marks(node: Node) -> None:
    """A node that decides and has parts has a part that decides, with the verdict that the parts
    give it."""
    assert node.decides
    marked = [child for child in node.children if child.decides]
    assert bool(marked) == bool(node.children)
    if node.condition in ("all of", "any of"):
        assert {child.verdict for child in marked} <= {node.verdict}
    for child in marked:
        _check_marks(child)


def _leaves(node: Node) -> Iterator[Node]:
    if not node.children:
        yield node
    for child in node.children:
        yield from _leaves(child)


def _only(text: str, event: dict[str, Any]) -> Node:
    [view] = explain(carengine.parse_rule(text), event).views
    assert view.tests[0].tree is not None
    [leaf] = _leaves(view.tests[0].tree)
    return leaf


def _car(**fields: Any) -> dict[str, Any]:
    return {"object": "process", "action": "create", **fields}


SYSMON = {"Channel": "Microsoft-Windows-Sysmon/Operational", "EventID": 1, "Image": "C:\\a\\b.exe"}


@pytest.mark.parametrize(
    ("condition", "event", "verdict", "reason"),
    [
        ('exe = "b*"', SYSMON, True, '"b.exe" matches it'),
        ('exe in ["x", "?.exe"]', SYSMON, True, '"b.exe" matches "?.exe"'),
        ('exe in ["x", "y"]', SYSMON, False, '"b.exe" matches none of them'),
        ('user = "x"', SYSMON, None, "null: the event has no User"),
        (
            'user = "x"',
            {**SYSMON, "User": "-"},
            None,
            'null: User is "-", which here means not known',
        ),
        (
            'env_vars = "x"',
            SYSMON,
            None,
            "the field map sysmon.flat gives no env_vars for process/create",
        ),
        ("exe exists", SYSMON, True, "it is there"),
        ("user exists", SYSMON, False, "null: the event has no User"),
        ("user == null", SYSMON, True, "null: the event has no User"),
        ("pid = 7", _car(pid="0x7"), True, 'it is "0x7"'),
        ("pid > 7", _car(pid="x"), None, '"x" cannot be compared'),
        ("pid > ppid", _car(pid=5, ppid="9"), False, 'it is 5, and the other side "9"'),
        ('exe match "^B"', SYSMON, True, 'the expression is found in "b.exe"'),
        (
            "exe in command_line",
            _car(exe="a", command_line="B"),
            False,
            '"a" does not occur in "B"',
        ),
        ('"b.exe" in raw event', SYSMON, True, "the text of the event has it"),
        ('exe = "a"', _car(exe={"a": 1}), None, "a mapping cannot be compared"),
        ('exe = "a"', _car(exe=["x", "A"]), True, '["x", "A"] matches it'),
    ],
)
def test_reasons(condition: str, event: dict[str, Any], verdict: bool | None, reason: str) -> None:
    leaf = _only(f"a = search Process:Create where {condition}\noutput a", event)
    assert (leaf.verdict, leaf.reason) == (verdict, reason)


def test_values_are_named_twice() -> None:
    leaf = _only('a = search Process:Create where exe = "b*"\noutput a', SYSMON)
    [operand] = leaf.operands
    assert (operand.car, operand.native, operand.value) == ("exe", "basename(Image)", "b.exe")


def test_a_join_is_explained_branch_by_branch() -> None:
    rule = carengine.parse_rule(
        "a = search Process:Create where exe = 'b.exe'\n"
        "b = search File:Create\n"
        "j = join (a, b) where a.pid = b.pid\noutput j"
    )
    found = explain(rule, SYSMON)
    assert found.verdict is None
    assert [(test.branch, test.verdict) for test in found.views[0].tests] == [
        ("a", True),
        ("b", False),
    ]
    assert explain(rule, {**SYSMON, "Image": "x"}).verdict is False


def test_no_shape_and_no_kind() -> None:
    rule = carengine.parse_rule("a = search Process:Create\noutput a")
    assert explain(rule, {"x": 1}).shapes == ()
    assert explain(rule, {"x": 1}).keys == ("x",)
    found = explain(rule, {**SYSMON, "EventID": 99999})
    assert (found.shapes, found.views, found.verdict) == (("sysmon.flat",), (), False)


def test_a_hundred_thousand_characters_are_cut() -> None:
    leaf = _only('a = search Process:Create where exe = "b*"\noutput a', _car(exe="x" * 100_000))
    assert len(leaf.reason) < 300


# Wording


def test_every_shipped_rule_and_map_can_be_said_in_one_line() -> None:
    for rule in rules():
        for output in rule.program.outputs:
            for _, stage in streams_of(output.plan):
                assert "\n" not in condition_text(stage.condition)
    for fieldmap in find_maps("auto"):
        assert "\n" not in condition_text(fieldmap.recognise)
        for entry in fieldmap.entries:
            for value in entry.fields.values():
                assert value_text(value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('exe = "*x*"', 'exe contains "x"'),
        ('exe = "x[*]*"', 'exe = "x[*]*"'),
        ('exe in ["a", "b", "c"]', 'exe in ["a", "b", … 1 more]'),
        ('exe != "a"', 'not exe = "a"'),
        ("src_ip in 10.0.0.0/8", "src_ip in 10.0.0.0/8"),
        ("exe == null or exe exists", "exe = null or exe exists"),
    ],
)
def test_wording(text: str, said: str) -> None:
    object_ = "Flow:Start" if "src_ip" in text else "Process:Create"
    rule = carengine.parse_rule(f"a = search {object_} where {text}\noutput a")
    [stage] = ir.as_stages(rule.program.outputs[0].plan) or ()
    assert condition_text(stage.condition, most=2) == said


# What became of each rule


def _standing(text: str, *events: Mapping[str, Any]) -> tuple[Outcome, str]:
    engine = Engine([carengine.parse_rule(text)])
    session, looked = engine.session(), FieldCoverage(engine)
    for event in events:
        session.feed(event)
        if looked.wants(session.stats):
            looked.observe(event)
    session.flush()
    [found] = rule_statuses(engine, session.stats, looked)
    return found.outcome, found.reason


EXE = 'a = search Process:Create where exe = "b.exe" and user = "x"\noutput a'
FILE = {**SYSMON, "EventID": 11}


@pytest.mark.parametrize(
    ("text", "events", "outcome"),
    [
        (EXE, [{**SYSMON, "User": "x"}], Outcome.MATCHED),
        (EXE, [{**SYSMON, "User": "y"}], Outcome.NOT_TRUE),
        (EXE, [SYSMON, {**SYSMON, "User": "-"}], Outcome.FIELDS_EMPTY),
        (EXE, [FILE], Outcome.NO_EVENTS),
        (EXE.replace("user", "env_vars"), [SYSMON], Outcome.FIELDS_UNMAPPED),
        (EXE.replace("user", "env_vars"), [FILE], Outcome.FIELDS_UNMAPPED),
        ('a = search Email:Deliver where subject = "x"\noutput a', [SYSMON], Outcome.NO_SUCH_LOG),
        ('a = search Email:Deliver where subject = "x"\noutput a', [], Outcome.NO_EVENTS),
        (
            "a = search Process:Create where user == null and exe = 'q'\noutput a",
            [SYSMON],
            Outcome.NOT_TRUE,
        ),
    ],
)
def test_standings(text: str, events: list[Any], outcome: Outcome) -> None:
    assert _standing(text, *events)[0] is outcome


@pytest.mark.parametrize("user", ["x", "y"])
def test_outputs_that_never_can_are_told_beside_one_that_can(user: str) -> None:
    text = EXE.removesuffix("output a") + (
        'b = search Process:Create where env_vars = "x"\n'
        'c = search Email:Deliver where subject = "x"\n'
        "output a, b, c"
    )
    engine = Engine([carengine.parse_rule(text)])
    session = engine.session()
    matched = session.feed({**SYSMON, "User": user})
    [found] = rule_statuses(engine, session.stats)
    assert found.outcome is (Outcome.MATCHED if matched else Outcome.NOT_TRUE)
    assert found.partly == (
        "sysmon.flat gives no env_vars for process/create",
        "logs of this shape (sysmon.flat) have no email/deliver",
    )


def test_only_a_bounded_number_of_events_is_looked_at() -> None:
    engine = Engine(())
    session, looked = engine.session(), FieldCoverage(engine)
    number = 0
    for _ in range(5_000):
        session.feed(SYSMON)
        number += looked.wants(session.stats)
    assert 256 <= number < 300
    session.feed(FILE)
    assert looked.wants(session.stats)


# Examples


def test_examples_that_cannot_be_run_are_failures() -> None:
    text = (
        "---\nexamples:\n  - {name: a, match: true, map: nowhere, events: [{x: 1}]}\n---\n"
        "a = search Process:Create\noutput a\n"
    )
    [result] = run_examples([carengine.parse_rule(text)])
    assert result.passed is False
    assert "nowhere" in result.findings[0].message
