"""Mutants: each says something else than the rule, an example kills it, or what it means is proved
the same."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from attrs import evolve

import carengine
from carengine.cli import main
from carengine.engine.report import run_examples
from carengine.verify import MutantOutcome, Verdict, compare_rules, mutant_results, mutants

RULE = """---
id: X-1
title: Shadow copies
examples:
  - name: deletes
    match: true
    events: [{object: process, action: create, exe: vssadmin.exe, command_line: delete shadows}]
---
shadows = search Process:Create where exe = "vssadmin.exe" and command_line = "*delete*"
output shadows
"""
TEXTS = (
    'a = search Process:Create where exe = "x.exe" and not user in ["a", "b"] output a',
    'a = search Process:Create where (exe = "*x.exe" or ppid >= 5) and pid exists output a',
    "a = search Process:Create b = search File:Create c = join (a, b) where a.pid = b.pid and "
    "a.time < b.time < a.time + 1 hour output c",
)


def rule_of(text: str, tmp_path: Path) -> carengine.Rule:
    path = tmp_path / "X-1.car"
    path.write_text(text)
    return carengine.load_rule(path)


def test_what_no_example_misses_lives_and_has_an_example_that_kills_it(tmp_path: Path) -> None:
    rule = rule_of(RULE, tmp_path)
    results = list(mutant_results(rule))
    lives = [one for one in results if one.outcome is MutantOutcome.LIVES]
    assert [one.mutant.change for one in lives][:2] == [
        'without exe = "vssadmin.exe"',
        'without command_line = "*delete*"',
    ]
    for one in lives:
        assert one.example is not None
        more = evolve(rule, examples=(*rule.examples, one.example))
        assert all(result.passed for result in run_examples([more]))
        changed = evolve(one.mutant.rule, examples=(one.example,))
        assert not all(result.passed for result in run_examples([changed]))


def test_examples_from_mutants_kill_all_that_can_be_killed(tmp_path: Path) -> None:
    rule = rule_of(RULE, tmp_path)
    made = [one.example for one in mutant_results(rule) if one.example is not None]
    whole = evolve(rule, examples=(*rule.examples, *made))
    outcomes = {one.outcome for one in mutant_results(whole)}
    assert outcomes <= {MutantOutcome.KILLED, MutantOutcome.EQUIVALENT}


@pytest.mark.parametrize("text", TEXTS)
def test_mutants_are_other_programs(text: str) -> None:
    rule = carengine.parse_rule(text)
    made = list(mutants(rule))
    assert len(made) >= 3
    programs = {one.rule.program for one in made}
    assert len(programs) == len(made)
    assert rule.program not in programs


def test_a_mutant_that_means_the_same_is_equivalent() -> None:
    rule = carengine.parse_rule(
        'a = search Process:Create where exe = "x.exe" and exe = "*.exe" output a'
    )
    became = {one.mutant.change: one.outcome for one in mutant_results(rule)}
    assert became['without exe = "*.exe"'] is MutantOutcome.EQUIVALENT
    assert became['without exe = "x.exe"'] is MutantOutcome.LIVES
    for one in mutants(rule):
        same = compare_rules(rule, one.rule).verdict is Verdict.SAME
        assert same is (became[one.change] is MutantOutcome.EQUIVALENT)


def test_a_rule_whose_examples_fail_kills_nothing(tmp_path: Path) -> None:
    rule = rule_of(RULE.replace("match: true", "match: false"), tmp_path)
    assert MutantOutcome.KILLED not in {one.outcome for one in mutant_results(rule)}


def test_the_command_names_what_lives(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rule_of(RULE, tmp_path)
    assert main(["test", str(tmp_path), "--mutants", "--no-cache"]) == 1
    out, err = capsys.readouterr()
    assert 'LIVES  without exe = "vssadmin.exe"' in out
    pasted = [line[4:] for line in out.split("\n") if line.startswith("    ")]
    assert yaml.safe_load("\n".join(pasted))[0]["match"] is False
    assert "that no example notices" in err


def test_what_is_pasted_from_the_screen_kills_the_mutant(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The printed examples, put into the rule's head as they are, leave no mutant alive."""
    rule_of(RULE, tmp_path)
    assert main(["test", str(tmp_path), "--mutants", "--no-cache"]) == 1
    out = capsys.readouterr().out
    pasted = "\n".join(line[2:] for line in out.split("\n") if line.startswith("    "))
    text = RULE.replace("---\nshadows", f"{pasted}\n---\nshadows")
    assert text != RULE
    rule_of(text, tmp_path)
    assert main(["test", str(tmp_path), "--mutants", "--no-cache"]) == 0
    out, err = capsys.readouterr()
    assert "LIVES" not in out
    assert ", 0 failed" in err


def test_mutants_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rule_of(RULE, tmp_path)
    assert main(["test", str(tmp_path), "--mutants", "-f", "json"]) == 1
    [one] = json.loads(capsys.readouterr().out)["mutants"]
    assert one["rule"] == "X-1"
    assert {mutant["outcome"] for mutant in one["mutants"]} >= {"killed", "lives"}
    assert all("example" in m for m in one["mutants"] if m["outcome"] == "lives")


def test_explain_takes_an_example(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rule_of(RULE, tmp_path)
    path = str(tmp_path / "X-1.car")
    assert main(["explain", path, "--example", "deletes"]) == 0
    assert "vssadmin.exe" in capsys.readouterr().out
    assert main(["explain", path, "--example", "other"]) == 2
    assert "'deletes'" in capsys.readouterr().err
    assert main(["explain", path]) == 2
    assert main(["explain", path, "e.json", "--example", "deletes"]) == 2
    capsys.readouterr()
    assert main(["explain", path, "--example", "deletes", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["events"][0]["record"] == 1
