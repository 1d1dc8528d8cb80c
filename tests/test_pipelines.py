"""pySigma's pipelines as field maps: what is the same agrees with pySigma, what is not is named."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import pytest
from sigma.processing.pipeline import ProcessingPipeline
from sigma.rule import SigmaRule

import carengine
from carengine.cli import main
from carengine.engine import Engine
from carengine.fieldmap import parse_map, raw_map
from carengine.loading import load_rules

RULE = """\
title: r
id: 00000000-0000-4000-8000-000000000001
logsource: {product: PRODUCT, category: CATEGORY}
detection:
  s: {Image|endswith: x.exe, User: ann}
  f: {Other: 1}
  condition: s and not f
"""
WINDOWS = "rule_conditions: [{type: logsource, product: windows}]"
PROCESS = "rule_conditions: [{type: logsource, product: windows, category: process_creation}]"
MAP = "type: field_name_mapping, mapping: {Image: exe.path, User: u}"
PIPELINES = (
    f"  - {{{MAP}}}",
    f"  - {{{MAP}, {WINDOWS}}}",
    f"  - {{{MAP}, {PROCESS}}}",
    f"  - {{{MAP}, {PROCESS}, rule_cond_not: true}}",
    "  - {type: field_name_prefix, prefix: win.}",
    "  - {type: field_name_suffix, suffix: .keyword}",
    f"  - {{{MAP}}}\n  - {{type: field_name_prefix, prefix: w.}}",
    "  - {type: field_name_prefix, prefix: w.}\n"
    "  - {type: field_name_mapping, mapping: {w.Image: deep, w.Other: o}}",
    "  - {type: field_name_mapping, mapping: {Image: A, User: B}}\n"
    "  - {type: field_name_mapping, mapping: {A: C, Image: D}}",
    f"  - {{type: add_condition, conditions: {{EventID: 1}}, {PROCESS}}}",
    f"  - {{type: add_condition, conditions: {{EventID: [1, 4]}}, negated: true, {WINDOWS}}}",
    f"  - {{type: change_logsource, product: linux, category: process_creation, {WINDOWS}}}\n"
    "  - {type: field_name_prefix, prefix: l., rule_conditions: [{type: logsource, product: linux}]}",
    f"  - {{{MAP}, field_name_conditions: [{{type: include_fields, fields: [Image]}}]}}",
    f"  - {{{MAP}, field_name_conditions: [{{type: exclude_fields, fields: [Image]}}]}}",
)
SOURCES = (
    ("windows", "process_creation"),
    ("windows", "file_event"),
    ("linux", "process_creation"),
)


def written(rule: SigmaRule) -> str:
    """A rule as YAML, as pySigma left it."""
    import yaml

    data = rule.to_dict()
    # What was added to the condition is only where pySigma parsed it.
    data["detection"]["condition"] = rule.detection.parsed_condition[0].condition
    made: str = yaml.safe_dump(data)
    return made


def events() -> list[dict[str, Any]]:
    names = {
        "Image": [
            "Image",
            "exe.path",
            "win.Image",
            "Image.keyword",
            "w.exe.path",
            "deep",
            "C",
            "l.Image",
        ],
        "User": ["User", "u", "win.User", "User.keyword", "w.u", "w.User", "B", "l.User"],
    }
    made: list[dict[str, Any]] = []
    for image, user in product(names["Image"], names["User"]):
        for number in (None, 1, 2):
            event: dict[str, Any] = {image: "C:\\x.exe", user: "ANN"}
            if number is not None:
                event["EventID"] = number
            made.append(event)
    made += [{**one, other: 1} for one in made[::7] for other in ("Other", "win.Other", "o")]
    return made


@pytest.mark.parametrize("number", range(len(PIPELINES)))
def test_agrees_with_pysigma(number: int, tmp_path: Path) -> None:
    """The rule that pySigma's pipeline makes, by raw names, finds what ours finds through the
    pipeline as a map."""
    text = f"transformations:\n{PIPELINES[number]}\n"
    [own] = parse_map(text, "p.yml")
    assert not own.diagnostics
    hit = 0
    for place, (name, category) in enumerate(SOURCES):
        rule = RULE.replace("PRODUCT", name).replace("CATEGORY", category)
        theirs = SigmaRule.from_yaml(rule)
        ProcessingPipeline.from_yaml(text).apply(theirs)
        found = []
        for which, source, maps in (("a", rule, own), ("b", written(theirs), raw_map())):
            path = tmp_path / f"{place}{which}.yml"
            path.write_text(source, "utf-8")
            rules = load_rules(path)
            assert len(rules) == 1
            engine = Engine(rules, maps)
            found.append([bool(list(engine.run([event]))) for event in events()])
        assert found[0] == found[1], (name, category)
        hit += sum(found[0])
    assert hit


@pytest.mark.parametrize(
    ("step", "said"),
    [
        ("type: replace_string, regex: a, replacement: b", "replace_string"),
        ("type: map_string, mapping: {a: b}", "map_string"),
        ("type: value_placeholders", "value_placeholders"),
        ("type: query_expression_placeholders", "query_expression_placeholders"),
        ("type: drop_detection_item", "drop_detection_item"),
        ("type: no_such_step", "no_such_step"),
        ("type: field_name_mapping, mapping: {a: [b, c]}", "one of several"),
        ("type: add_condition, conditions: {a: 'x*'}", "the condition on a"),
        ("type: add_condition, template: true, conditions: {a: $product}", "template"),
        ("type: field_name_prefix, prefix: a, rule_conditions: [{type: tag, tag: x}]", "tag"),
        ("x: y", "a mapping with a type"),
    ],
)
def test_what_is_not_the_same_is_named(step: str, said: str) -> None:
    [own] = parse_map(
        f"name: n\ntransformations:\n  - {{type: set_state, key: a, val: b}}\n  - {{{step}}}\n"
    )
    [item] = own.diagnostics
    assert item.code.id == "CE408"
    assert said in item.message
    assert item.span is not None


def test_rules_that_a_pipeline_refuses_do_not_run(tmp_path: Path) -> None:
    [own] = parse_map(
        "transformations:\n  - {type: rule_failure, message: no, "
        "rule_conditions: [{type: logsource, category: file_event}]}\n"
    )
    for category, runs in (("file_event", False), ("process_creation", True)):
        (tmp_path / "r.yml").write_text(
            RULE.replace("PRODUCT", "windows").replace("CATEGORY", category), "utf-8"
        )
        event = {"Image": "x.exe", "User": "ann", "Other": 2}
        found = list(Engine(load_rules(tmp_path), own).run([event]))
        assert bool(found) is runs


@pytest.mark.parametrize("text", ["transformations: 1", "transformations: {a: b}"])
def test_no_pipeline(text: str) -> None:
    with pytest.raises(carengine.CarError):
        parse_map(text)


def test_the_command_names_what_is_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pipeline, rule, log = (tmp_path / name for name in ("p.yml", "r.yml", "l.jsonl"))
    pipeline.write_text(
        f"transformations:\n  - {{{MAP}}}\n  - {{type: drop_detection_item}}\n", "utf-8"
    )
    rule.write_text(RULE.replace("PRODUCT", "a").replace("CATEGORY", "b"), "utf-8")
    log.write_text('{"exe": {"path": "x.exe"}, "u": "ann", "Other": 0}\n', "utf-8")
    assert main(["hunt", str(log), "-r", str(rule), "-m", str(pipeline), "-f", "jsonl"]) == 0
    out, err = capsys.readouterr()
    assert len(out.splitlines()) == 1
    assert "CE408" in err
    assert "p.yml:3" in err
