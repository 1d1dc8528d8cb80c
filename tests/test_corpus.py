"""The published corpus: all of it loads or says why not, and the repaired blocks mean what their
authors meant."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest
import yaml

from carengine import Engine, load_rules
from carengine.cli import main
from carengine.diagnostics import Severity, codes
from carengine.engine.report import run_examples
from carengine.lenient import REPAIRS
from carengine.loading.corpus import report_rows
from carengine.resolve import resolve_program
from carengine.rule import Rule, RuleSet
from carengine.syntax import parse_program, print_program

HERE = Path(__file__).parent
CAR = HERE.parents[1] / "shared" / "car"
TABLE: dict[str, dict[str, Any]] = yaml.safe_load((HERE / "corpus_table.yaml").read_text("utf-8"))

pytestmark = pytest.mark.skipif(not CAR.is_dir(), reason="the shared data is not here")

REFUSED = {
    "CAR-2014-02-001": codes.PLACEHOLDER,
    "CAR-2015-07-001": codes.UNKNOWN_OBJECT,
    "CAR-2016-04-002": codes.NO_CAR_OBJECT,
    "CAR-2020-08-001": codes.PLACEHOLDER,
    "CAR-2020-08-002": codes.PLACEHOLDER,
}


@pytest.fixture(scope="module")
def rules() -> RuleSet:
    return load_rules(CAR / "analytics")


def repaired(rule: Rule) -> list[str]:
    return [item.code.id for item in rule.diagnostics if item.code.id in REPAIRS]


def test_every_analytic_is_accounted_for(rules: RuleSet) -> None:
    files = {path.stem for path in (CAR / "analytics").glob("*.yaml")}
    known = {rule.id[:15] for rule in rules} | {item.id[:15] for item in rules.refused}
    assert known == files
    assert len(files) == 102


def test_at_least_ninety_blocks_execute(rules: RuleSet) -> None:
    rows = report_rows(rules)
    assert len(rows) == 95
    assert len(rules) >= 90


def test_the_others_say_why_not(rules: RuleSet) -> None:
    refused = {
        item.id: item
        for item in rules.refused
        if not any(found.code is codes.NO_PSEUDOCODE for found in item.diagnostics)
    }
    assert set(refused) == set(REFUSED)
    for id_, code in REFUSED.items():
        errors = [d for d in refused[id_].diagnostics if d.severity is Severity.ERROR]
        assert code in [item.code for item in errors]
        assert all(item.span is not None for item in errors)


def test_analytics_without_pseudocode_are_refused_by_name(rules: RuleSet) -> None:
    without = [
        item
        for item in rules.refused
        if any(found.code is codes.NO_PSEUDOCODE for found in item.diagnostics)
    ]
    assert len(without) == 11
    assert all(item.id in item.diagnostics[0].message for item in without)


def test_all_published_true_positives_are_found(rules: RuleSet) -> None:
    results = list(run_examples(rules))
    assert len(results) == 10
    assert {result.passed for result in results} == {True}


def test_every_repaired_block_is_in_the_table(rules: RuleSet) -> None:
    assert {rule.id for rule in rules if repaired(rule)} == set(TABLE)


def test_the_repaired_text_is_the_language(rules: RuleSet) -> None:
    for rule in rules:
        assert rule.syntax is not None
        printed = print_program(rule.syntax)
        again = parse_program(printed)
        assert not again.diagnostics, rule.id
        assert again.program == rule.syntax


def test_repairs_point_into_the_file_and_show_what_was_read(rules: RuleSet) -> None:
    for rule in rules:
        for item in rule.diagnostics:
            if item.code.id in REPAIRS:
                assert item.span is not None
                assert item.span.source is rule.block.source
                assert item.label
                assert item.fix is not None
                assert item.fix.edits


def event(row: dict[str, Any]) -> dict[str, Any]:
    object_, action = row["kind"].split("/")
    fields = {key: value for key, value in row.items() if key != "kind"}
    return {"object": object_, "action": action, "time": "2024-01-01T00:00:00Z", **fields}


def matches(rule: Rule, events: list[dict[str, Any]]) -> bool:
    return bool(list(Engine([rule], "car").run(map(event, events))))


@pytest.mark.parametrize("id_", sorted(TABLE))
def test_a_repaired_block_means_what_its_author_meant(rules: RuleSet, id_: str) -> None:
    row, rule = TABLE[id_], rules.get(id_)
    assert rule is not None
    if "program" in row:
        meant = resolve_program(parse_program(row["program"]).program).program
        assert meant is not None
        assert rule.program == meant
    for one in row.get("match", ()):
        assert matches(rule, [one]), one
    for one in row.get("no", ()):
        assert not matches(rule, [one]), one
    if getattr(Engine([rule], "car"), "unsupported", ()):  # an engine that runs no such rules yet
        assert "match" not in row
        return
    if "together" in row:
        assert matches(rule, row["together"])
        assert not matches(rule, row["apart"])


def test_pages_and_yaml_give_the_same_rules(rules: RuleSet) -> None:
    pages = load_rules(CAR / "pages", CAR / "CAR-2019-08-001.md")
    assert len(pages) == 9
    for rule in pages:
        other = rules.get(rule.id)
        assert other is not None
        assert rule.program == other.program
        assert rule.title == other.title
        assert set(rule.attack) == set(other.attack)
        types = [item.type.lower() for item in rule.publication.implementations]
        all_types = [item.type.lower() for item in other.publication.implementations]
        assert types == all_types[: len(types)]  # one page is older than its YAML
        assert len(rule.publication.unit_tests) == len(other.publication.unit_tests)
        assert len(rule.publication.true_positives) == len(other.publication.true_positives)


def test_the_page_is_current() -> None:
    spec = importlib.util.spec_from_file_location("generate", HERE.parent / "docs" / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    generate = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generate)
    page = HERE.parent / "docs" / "corpus.md"
    assert page.read_text(encoding="utf-8").startswith(generate.corpus())


def test_the_command_writes_the_page(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["corpus", str(CAR / "pages")]) == 0
    shown = capsys.readouterr()
    assert "**8 blocks**" in shown.out
    assert "8 usable" in shown.err
