"""The evidence for CAR's rules: each match has a verdict, the figures hold, the page is theirs."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import carengine

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


def _evidence() -> ModuleType:
    spec = importlib.util.spec_from_file_location("car_evidence", BENCHMARKS / "car_evidence.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


EVIDENCE = _evidence()


@pytest.fixture(scope="module")
def figures() -> Any:
    return json.loads(EVIDENCE.FIGURES.read_text(encoding="utf-8"))


def test_every_match_that_is_to_be_read_has_a_verdict(figures: Any) -> None:
    assert EVIDENCE.unread(figures) == (set(), set())


def test_what_is_found_is_true(figures: Any) -> None:
    shares = EVIDENCE.precision(figures)
    for level, least in (("critical", 0.95), ("high", 0.95), ("medium", 0.75)):
        true, all_ = shares[level]
        assert true >= least * all_, level


def test_every_rule_that_matched_still_ships(figures: Any) -> None:
    ids = {rule.id for rule in carengine.load_rules(carengine.shipped_rules("car"))}
    assert {rule for row in figures["recordings"] for rule in row["matches"]} <= ids


def test_the_page_is_made_of_the_figures(figures: Any) -> None:
    assert EVIDENCE.PAGE.read_text(encoding="utf-8") == EVIDENCE.page(figures)


def test_mutants_are_killed() -> None:
    figures = json.loads(EVIDENCE.MUTANTS.read_text(encoding="utf-8"))["rules"]
    assert set(figures) == {
        rule.id for rule in carengine.load_rules(carengine.shipped_rules("car"))
    }
    for rule, became in figures.items():
        needed = sum(became.values()) - became.get("equivalent", 0)
        assert became.get("killed", 0) >= 0.95 * needed, rule
