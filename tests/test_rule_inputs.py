"""Inputs with defaults, and the analytics of ATT&CK that rules implement."""

from __future__ import annotations

from typing import Any

import pytest

from carengine import CarError, Engine, RuleSet, ir, load_rules, parse_rule
from carengine.check import check_rule, format_rule
from carengine.diagnostics import Source
from carengine.engine import compiled
from carengine.engine.report import run_examples, run_input_examples
from carengine.languages.car import carfile, page
from carengine.languages.car.page_writer import write_page
from carengine.rule import from_drafts

RULE = """\
---
id: R-1
title: Several shells of one parent
platforms: [Windows]
attack: {analytic: AN1030}
inputs:
  - {name: parents, element: TargetProcess, default: [a.exe, b.exe], description: whose}
  - {name: least, default: 2, description: how many, changed: 3, example: two}
  - {name: pause, element: TimeWindow, default: 5 minutes, changed: 1 minute, example: two}
examples:
  - name: two
    match: true
    events:
      - {object: process, action: create, time: "2024-05-01T10:00:00Z", exe: x, parent_exe: a.exe}
      - {object: process, action: create, time: "2024-05-01T10:02:00Z", exe: y, parent_exe: a.exe}
---
input parents
input least
input pause
shells = search Process:Create where parent_exe in parents
groups = group shells by parent_exe within pause
counts = from groups select parent_exe, count(*) as n
many = filter counts where n >= least
output many
"""


def processes(*rows: tuple[str, int]) -> list[dict[str, Any]]:
    return [
        {
            "object": "process",
            "action": "create",
            "exe": f"{minute}.exe",
            "parent_exe": parent,
            "time": f"2024-05-01T10:{minute:02}:00Z",
        }
        for parent, minute in rows
    ]


def matches(events: list[dict[str, Any]], **parameters: Any) -> int:
    session = Engine([parse_rule(RULE, parameters=parameters)]).session()
    return sum(len(session.feed(event)) for event in events) + len(session.flush())


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({}, 1),
        ({"least": 3}, 0),
        ({"least": "3"}, 0),
        ({"pause": "10 seconds"}, 0),
        ({"pause": "1 h"}, 1),
        ({"parents": "c.exe"}, 0),
        ({"parents": ["c.exe", "A.EXE"]}, 1),
        ({"parents": []}, 0),
    ],
)
def test_a_value_takes_the_place_of_the_default(given: dict[str, Any], wanted: int) -> None:
    assert matches(processes(("a.exe", 0), ("a.exe", 2), ("z.exe", 3)), **given) == wanted


@pytest.mark.parametrize(
    "given",
    [
        {"least": "many"},
        {"pause": "long"},
        {"pause": "5"},
        {"least": ["1", "2"]},
        {"least": "1" * 99},
    ],
)
def test_a_value_of_another_sort_is_refused_by_name(given: dict[str, Any]) -> None:
    with pytest.raises(CarError) as caught:
        parse_rule(RULE, parameters=given)
    [said] = [item for item in caught.value.diagnostics if item.code.id == "CE219"]
    assert next(iter(given)) in said.message


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("- {name: a}", "has no default"),
        ("- {element: X}", "an input has a name"),
        ("- {name: a, default: 1, left_out: because}", "an input has a name"),
        ("- {name: a, default: 1}\n  - {name: a, default: 2}", "two inputs are called a"),
        ("- {name: a, default: 1, changed: much}", "changed to what does not fit"),
        ("- a", "an input is a mapping"),
    ],
)
def test_what_is_wrong_with_an_input_is_told(text: str, told: str) -> None:
    rule = f"---\ninputs:\n  {text}\n---\ninput a\np = search Process where pid = a\noutput p\n"
    with pytest.raises(CarError) as caught:
        parse_rule(rule)
    assert any(told in item.message for item in caught.value.diagnostics)


def test_each_input_is_shown_by_an_example() -> None:
    rule = parse_rule(RULE)
    assert [one.passed for one in run_examples([rule])] == [True]
    assert [one.passed for one in run_input_examples([rule])] == [True, True]
    same = parse_rule(RULE.replace("changed: 3", "changed: 1"))
    assert [one.passed for one in run_input_examples([same])] == [False, True]
    none = parse_rule(RULE.replace("changed: 3, example: two", "changed: 3, example: none"))
    [bad, _] = run_input_examples([none])
    assert not bad.passed
    assert "shown by no example" in bad.findings[0].message


def test_an_analytic_gives_the_technique() -> None:
    rule = parse_rule(RULE)
    assert rule.analytics == ("AN1030",)
    assert rule.attack == ("T1003.001",)


def findings(text: str) -> list[tuple[str, str]]:
    return [
        (item.code.id, item.message)
        for item in check_rule(parse_rule(text))
        if "CE722" <= item.code.id <= "CE725"
    ]


def test_what_is_said_of_an_analytic_is_checked() -> None:
    analytic = "attack: {analytic: AN1030}"
    told = dict(findings(RULE))
    assert set(told) == {"CE724"}
    other = RULE.replace(analytic, "attack: [{technique: T1059, analytic: AN1030}]")
    assert ("CE723", "AN1030 detects T1003.001 (LSASS Memory), and not T1059") in findings(other)
    unknown = RULE.replace(analytic, "attack: [{technique: T1059, analytic: AN9999}]")
    assert ("CE722", "ATT&CK 18.1 has no analytic AN9999") in findings(unknown)
    linux = RULE.replace("[Windows]", "[Linux]")
    assert ("CE723", "AN1030 is for Windows, and not for Linux") in findings(linux)
    unread = RULE.replace("input parents\n", 'parents = ["a"]\n')
    assert ("CE725", "the program has no input parents") in findings(unread)


@pytest.mark.parametrize(
    ("told", "wanted"),
    [("{analytic: AN1}", "no id of an analytic"), ("{analytic: AN9999}", "no ATT&CK technique id")],
)
def test_an_analytic_that_says_nothing_is_refused(told: str, wanted: str) -> None:
    with pytest.raises(CarError) as caught:
        parse_rule(RULE.replace("{analytic: AN1030}", told))
    assert any(wanted in item.message for item in caught.value.diagnostics)


def test_a_rule_with_inputs_is_printed_saved_and_read_from_its_page(tmp_path: Any) -> None:
    assert format_rule(RULE.replace("within pause", "WITHIN   pause")) == RULE
    rule = parse_rule(RULE, parameters={"least": 3})
    file = tmp_path / "x.engine"
    compiled.write(file, RuleSet((rule,)), Engine([rule], "car").maps)
    saved, _ = compiled.read(file)
    assert saved.rules[0].metadata == rule.metadata
    assert saved.rules[0].program == rule.program
    shown = write_page(parse_rule(RULE))
    assert "https://attack.mitre.org/detectionstrategies/DET0363#AN1030" in shown
    [again] = from_drafts(page.read(Source("R-1.md", shown))).rules
    assert again.metadata.inputs == parse_rule(RULE).metadata.inputs
    assert again.program.outputs[0].plan is not None


def test_a_length_of_time_has_to_be_one(tmp_path: Any) -> None:
    for value, code in (("least", "CE209"), ("nothing", "CE209"), ("parents", "CE209")):
        drafts = carfile.read(Source("x.car", RULE.replace("within pause", f"within {value}")))
        [refused] = from_drafts(drafts).refused
        assert code in {item.code.id for item in refused.diagnostics}
    unbound = "input pause\na = search Process\ng = group a by exe within pause\noutput g\n"
    (tmp_path / "x.car").write_text(unbound)
    [refused] = load_rules(tmp_path).refused
    assert [item.code.id for item in refused.diagnostics] == ["CE212"]
    [rule] = load_rules(tmp_path, parameters={"pause": "5 minutes"}).refused or [None]
    assert rule is not None  # what is not declared is a text
    assert ir.Duration(1).microseconds == 1
