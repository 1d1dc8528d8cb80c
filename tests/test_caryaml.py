"""CAR analytics in YAML: what is read of them, and where it points."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carengine.diagnostics import Severity, Source, codes
from carengine.engine.report import run_examples
from carengine.languages.car import caryaml
from carengine.loading import load_rules
from carengine.resolve import Reference
from carengine.rule import RuleSet, Technique, from_drafts

ANALYTIC = """\
---
title: Notepad Writes Scripts
submission_date: 2099/01/31
information_domain: Host
platforms: [Windows, Linux]
subtypes: [File]
analytic_types: [TTP]
contributors: [Somebody, MITRE]
id: CAR-2099-01-002
description: Notepad saves a script.
coverage:
  - technique: T1059
    subtechniques: [T1059.001]
    tactics: [TA0002]
    coverage: High
implementations:
  - name: Scripts
    description: Look for scripts.
    type: Psuedocode
    data_model: CAR native
    code: |
      files = search File:Create
      scripts = filter files where (
        file_name = "*.ps1" and
        Image = "*\\notepad.exe"
      output scripts
  - type: Splunk
    code: index=main
  - {type: Sigma, description: somewhere else}
unit_tests:
  - description: Save one.
    configurations: [Windows 10]
    commands: [notepad a.ps1, del a.ps1]
true_positives:
  - source: Lab
    description: An event.
    event_snippet: one.json
data_model_references:
  - file/create/file_name
  - file/create/image_path
d3fend_mappings:
  - {iri: "d3f:FileAnalysis", id: D3-FA, label: File Analysis}
"""


def write(folder: Path, text: str, name: str = "CAR-2099-01-002.yaml") -> Path:
    analytics = folder / "analytics"
    analytics.mkdir(exist_ok=True)
    (analytics / name).write_text(text, encoding="utf-8")
    return analytics


def load(folder: Path, text: str) -> RuleSet:
    return load_rules(write(folder, text))


def test_an_analytic(tmp_path: Path) -> None:
    rules = load(tmp_path, ANALYTIC)
    (rule,) = rules
    about = rule.metadata
    assert rule.id == "CAR-2099-01-002"
    assert (rule.title, about.date, about.author) == (
        "Notepad Writes Scripts",
        "2099-01-31",
        "Somebody, MITRE",
    )
    assert about.platforms == ("Windows", "Linux")
    assert about.attack == (Technique("T1059", ("T1059.001",), ("TA0002",), "High"),)
    assert about.tags == ("File", "TTP", "D3-FA")
    assert rule.references == (
        Reference("file", "create", "file_name"),
        Reference("file", "create", "image_path"),
    )
    published = rule.publication
    assert [(i.name, i.type, i.data_model) for i in published.implementations] == [
        ("Scripts", "Psuedocode", "CAR native"),
        ("", "Splunk", ""),
        ("", "Sigma", ""),
    ]
    assert published.implementations[1].code is not None
    assert published.implementations[1].code.text == "index=main"
    assert published.implementations[2].code is None
    assert published.unit_tests[0].commands == ("notepad a.ps1", "del a.ps1")
    assert published.true_positives[0].event_snippet == "one.json"
    assert rule.examples == ()


def test_repairs_point_into_the_yaml(tmp_path: Path) -> None:
    (rule,) = load(tmp_path, ANALYTIC)
    found = {item.code: item for item in rule.diagnostics}
    assert set(found) == {codes.FIELD_READ_AS, codes.BRACKETS}
    span = found[codes.FIELD_READ_AS].span
    assert span is not None
    line = ANALYTIC.splitlines().index('        Image = "*\\notepad.exe"') + 1
    assert (span.line, span.column, span.text) == (line, 9, "Image")
    fix = found[codes.FIELD_READ_AS].fix
    assert fix is not None
    assert not fix.safe


@pytest.mark.parametrize(
    "code",
    [
        '"p = search Process:Create\\no = filter p where xid = 4\\noutput o"',
        "'p = search Process:Create o = filter p where xid = 4 output o'",
        "p = search Process:Create o = filter p where xid = 4 output o",
        ">\n      p = search Process:Create\n      o = filter p where xid = 4\n      output o",
        "|-\n          p = search Process:Create\n          o = filter p where xid = 4\n          output o",
    ],
    ids=["double", "single", "plain", "folded", "deep"],
)
def test_errors_point_into_every_style_of_scalar(tmp_path: Path, code: str) -> None:
    text = f"id: X\nimplementations:\n  - type: pseudocode\n    code: {code}\n"
    rules = load(tmp_path, text)
    (refused,) = rules.refused
    (error,) = [d for d in refused.diagnostics if d.code is codes.UNKNOWN_FIELD]
    assert error.span is not None
    assert error.span.text == "xid"


def test_several_blocks_are_several_rules(tmp_path: Path) -> None:
    block = "  - {type: pseudocode, code: 'p = search Process:Create output p'}\n"
    rules = load(tmp_path, f"id: X\nimplementations:\n{block}{block}")
    assert [rule.id for rule in rules] == ["X.1", "X.2"]


def test_an_analytic_without_pseudocode_says_what_it_has(tmp_path: Path) -> None:
    rules = load(tmp_path, "id: X\nimplementations:\n  - {type: Splunk, code: a}\n")
    (refused,) = rules.refused
    (found,) = refused.diagnostics
    assert found.code is codes.NO_PSEUDOCODE
    assert "X has no implementation" in found.message
    assert "it has Splunk" in found.notes
    assert found.span is not None
    assert found.span.line == 1


def test_true_positives_beside_the_analytics_are_examples(tmp_path: Path) -> None:
    events = tmp_path / "true_positives"
    events.mkdir()
    event = {
        "object": "file",
        "action": "create",
        "file_name": "a.ps1",
        "image_path": "C:\\notepad.exe",
    }
    (events / "one.json").write_text(json.dumps(event))
    (rule,) = load(tmp_path, ANALYTIC)
    (result,) = run_examples([rule])
    assert result.passed
    (events / "one.json").write_text("no json")
    (refused,) = load(tmp_path, ANALYTIC).refused
    assert codes.BAD_EXAMPLE in [item.code for item in refused.diagnostics]


@pytest.mark.parametrize("name", ["../../secret.json", "/etc/passwd", "missing.json", "a\\b.json"])
def test_true_positives_lead_nowhere_else(tmp_path: Path, name: str) -> None:
    (tmp_path / "true_positives").mkdir()
    (refused,) = load(tmp_path, ANALYTIC.replace("one.json", name)).refused
    assert codes.BAD_EXAMPLE in [item.code for item in refused.diagnostics]


def test_references_that_differ_are_told(tmp_path: Path) -> None:
    text = ANALYTIC.replace(
        "  - file/create/image_path\n", "  - file/create/user\n  - file/create\n"
    )
    (rule,) = load(tmp_path, text)
    found = [item for item in rule.diagnostics if item.code is codes.REFERENCES_DIFFER]
    assert len(found) == 2
    assert any("stated but not read: file/create/user" in item.notes for item in found)
    assert any("file/create" in item.message for item in found)


def test_run_reads_the_other_analytic(tmp_path: Path) -> None:
    write(
        tmp_path,
        "id: A\nimplementations:\n  - type: pseudocode\n    code: |\n      f = search Flow:Message\n"
        "      f.file_name = f.proto_info.x\n      output f\n",
        "a.yaml",
    )
    folder = write(
        tmp_path,
        "id: B\nimplementations:\n  - type: pseudocode\n    code: |\n      a = run Analytic:A\n"
        "      p = search Process:Create\n      j = join (a, p) where a.file_path == p.image_path\n      output j\n",
        "b.yaml",
    )
    rules = load_rules(folder)
    assert [rule.id for rule in rules] == ["A", "B"]
    assert "a.file_name == p.image_path" in rules.rules[1].block.text


def test_other_yaml_is_named(tmp_path: Path) -> None:
    rules = load(tmp_path, "name: x\nvalue: 1\n")
    assert len(rules) == 0
    found = next(item for item in rules.diagnostics if item.code is codes.NOT_A_RULE)
    assert {item.code for item in rules.diagnostics} == {codes.NOT_A_RULE, codes.NO_RULES}
    assert "CAR-2099-01-002.yaml" in found.origin
    # Folders hold YAML of other kinds; of a file that somebody names it is an error.
    (found,) = load_rules(found.origin).diagnostics
    assert found.severity is Severity.ERROR


@pytest.mark.parametrize(
    "text",
    [
        "implementations: [",
        "implementations: 4",
        "implementations: [4, {type: [pseudocode], code: {}}]",
        "implementations: &a [*a]",
        "id: [x]\nimplementations: []\ncoverage: [T1]\nunit_tests: x\ntrue_positives: [3]",
        "implementations:\n  - {type: pseudocode}",
        "implementations:\n  - {type: pseudocode, code: ''}",
    ],
)
def test_wrong_analytics_are_refused_with_reasons(tmp_path: Path, text: str) -> None:
    rules = load(tmp_path, text)
    assert len(rules) == 0
    assert rules.refused
    assert all(item.diagnostics for item in rules.refused)


@given(st.text(max_size=80))
def test_any_block_is_read(code: str) -> None:
    text = "id: X\nimplementations:\n  - type: pseudocode\n    code: " + json.dumps(code)
    source = Source("x.yaml", text)
    rules = from_drafts(caryaml.read(source))
    for item in (d for one in rules.refused for d in one.diagnostics):
        if item.span is not None:
            assert 0 <= item.span.start <= item.span.end <= len(text)
