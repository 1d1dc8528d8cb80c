"""The rules that implement analytics of ATT&CK: what each of them has to bring with it."""

from __future__ import annotations

import importlib.util
import json
import os
from collections import Counter
from pathlib import Path

import pytest

import carengine
from carengine.attack import enterprise_attack
from carengine.check import check_rules, format_rule
from carengine.cli import main
from carengine.engine.report import run_examples, run_input_examples
from carengine.verify import MutantOutcome, mutant_results

FOLDER = carengine.shipped_rules("attack")
RULES = carengine.load_rules(FOLDER)
FILES = sorted(FOLDER.glob("*.car"))


def test_every_file_is_a_rule_of_its_analytic() -> None:
    assert not RULES.refused
    assert not RULES.diagnostics
    assert [rule.id for rule in RULES] == sorted(path.stem for path in FILES)
    assert {rule.id: rule.analytics for rule in RULES} == {rule.id: (rule.id,) for rule in RULES}


def test_nothing_is_doubtful_about_them() -> None:
    assert [f"{one.origin} {one.code.id} {one.message}" for one in check_rules(RULES)] == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_they_are_in_canonical_form(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert format_rule(text) == text


def test_the_examples_come_out_as_they_say() -> None:
    failed = [f"{one.rule.id}: {one.example.name}" for one in run_examples(RULES) if not one.passed]
    assert failed == []


def test_changing_an_input_changes_what_a_rule_finds() -> None:
    results = list(run_input_examples(RULES))
    assert [f"{one.rule.id}: {one.example.name}" for one in results if not one.passed] == []
    # Every input says which example shows it.
    inputs = [one for rule in RULES for one in rule.metadata.inputs if one.name]
    assert len(results) == len(inputs)


def test_explain_names_every_input(capsys: pytest.CaptureFixture[str]) -> None:
    # Some of the rules: all of them take a quarter of a minute.
    for rule in list(RULES)[::8]:
        inputs = [one for one in rule.metadata.inputs if one.name]
        if not inputs:
            continue
        assert (
            main(["explain", str(FOLDER / f"{rule.id}.car"), "--example", rule.examples[0].name])
            == 0
        )
        told = capsys.readouterr().out
        for one in inputs:
            assert f"  input  {one.name} = " in told, rule.id
            assert one.element in told, rule.id


def test_each_tells_what_a_reader_has_to_know() -> None:
    for rule in RULES:
        counts = Counter(example.match for example in rule.examples)
        assert counts[True] >= 1, rule.id
        assert counts[False] >= 2, rule.id
        about = rule.metadata
        assert "" not in (about.title, about.description, about.level, about.status), rule.id
        assert about.false_positives, rule.id
        assert any(note.startswith("It cannot see:") for note in about.notes), rule.id
        for one in about.inputs:
            assert one.description if one.name else one.left_out, rule.id


def test_every_tactic_of_the_platforms_is_served() -> None:
    known = enterprise_attack()
    tactics = {t.name for rule in RULES for id_ in rule.attack for t in known.tactics_of(id_)}
    before = {"Reconnaissance", "Resource Development"}
    assert {tactic.name for tactic in known.tactics} - before <= tactics


def test_a_set_is_named_on_the_command_line(tmp_path: Path) -> None:
    from carengine.cli.options import RuleSettings
    from carengine.cli.rules import load

    assert len(load(RuleSettings(("attack",), cache=False))) == len(FILES)
    with pytest.raises(ValueError, match="car, attack"):
        carengine.shipped_rules("other")


def test_the_page_is_made_of_the_figures() -> None:
    top = Path(__file__).parents[1]
    spec = importlib.util.spec_from_file_location("evidence", top / "benchmarks/attack_evidence.py")
    assert spec is not None
    assert spec.loader is not None
    evidence = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(evidence)
    figures = json.loads(evidence.FIGURES.read_text(encoding="utf-8"))
    assert evidence.page(figures) == evidence.PAGE.read_text(encoding="utf-8")


@pytest.mark.skipif(
    not os.environ.get("CARENGINE_MUTANTS"), reason="minutes: CARENGINE_MUTANTS=1 runs it"
)
@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_every_condition_is_needed(rule: carengine.Rule) -> None:
    lives = [
        one.mutant.change
        for one in mutant_results(rule, steps=60_000)
        if one.outcome is MutantOutcome.LIVES
    ]
    assert lives == []
