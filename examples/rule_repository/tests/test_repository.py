"""Every rule of the repository: loaded, without errors, held to its examples."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

import carengine

RULES = carengine.load_rules(Path(__file__).parents[1] / "rules")
RESULTS = list(carengine.run_examples(RULES))


def test_no_rule_is_refused() -> None:
    assert not RULES.refused, "\n".join(map(str, RULES.diagnostics))


def test_ids_are_unique() -> None:
    assert max(Counter(rule.id for rule in RULES).values()) == 1


@pytest.mark.parametrize("result", RESULTS, ids=lambda one: f"{one.rule.id}: {one.example.name}")
def test_an_example(result: carengine.ExampleResult) -> None:
    assert result.passed, result


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_a_rule_is_whole(rule: carengine.Rule) -> None:
    assert rule.metadata.level, "say how grave a match is"
    assert rule.attack, "name a technique of ATT&CK"
    kinds = {example.match for example in rule.examples}
    assert kinds == {True, False}, "one example that matches, and one that does not"
    errors = [f for f in carengine.check_rule(rule) if f.severity is carengine.Severity.ERROR]
    assert not errors
