"""Rules held to logs: SigmaHQ's regression data, logs beside a rule, examples within it."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

import pytest

from carengine.cli import main
from carengine.loading import load_rules
from carengine.regression import CaseOutcome, run_regression

RULE = """\
title: Archive of a Share
id: 0e95725d-7320-415d-80f7-004da920fc11
status: test
logsource:
    product: acme
    service: audit
detection:
    selection:
        verb: export
        target.kind|startswith: 'sha'
    condition: selection
level: low
regression_tests_path: regression_data/rules/acme_export/info.yml
"""
INFO = """\
id: 2f0ab1f6-8a2c-45b4-8f28-9c4d36ac8c11
description: N/A
date: 2026-01-01
author: Somebody
rule_metadata:
    - id: 0e95725d-7320-415d-80f7-004da920fc11
      title: Archive of a Share
regression_tests_info:
    - name: Positive Detection Test
      type: json
      match_count: 2
      path: regression_data/rules/acme_export/one.json
"""
HIT: dict[str, object] = {"verb": "export", "target": {"kind": "share"}}
MISS: dict[str, object] = {"verb": "list", "target": {"kind": "share"}}


def lines(*events: dict[str, object]) -> str:
    return "".join(json.dumps(event) + "\n" for event in events)


def repository(root: Path, info: str = INFO, log: str = lines(HIT, MISS, HIT)) -> Path:
    (root / "rules").mkdir(parents=True)
    data = root / "regression_data" / "rules" / "acme_export"
    data.mkdir(parents=True)
    (root / "rules" / "acme_export.yml").write_text(RULE, encoding="utf-8")
    (data / "info.yml").write_text(info, encoding="utf-8")
    (data / "one.json").write_text(log, encoding="utf-8")
    return root / "rules"


def outcomes(path: Path) -> list[tuple[CaseOutcome, int, list[str]]]:
    return [
        (case.outcome, case.matches, [item.code.id for item in case.findings])
        for case in run_regression(load_rules(path))
    ]


PASSED, FAILED, NOT_READABLE = CaseOutcome


def test_a_case_passes_with_as_many_matches_as_it_says(tmp_path: Path) -> None:
    assert outcomes(repository(tmp_path)) == [(PASSED, 2, [])]


def test_more_matches_than_it_says_pass(tmp_path: Path) -> None:
    rules = repository(tmp_path, log=lines(HIT, HIT, HIT))
    assert outcomes(rules) == [(PASSED, 3, [])]


def test_fewer_matches_fail_with_the_reason(tmp_path: Path) -> None:
    [case] = run_regression(load_rules(repository(tmp_path, log=lines(HIT, MISS))))
    assert (case.outcome, case.matches, case.least, case.events) == (FAILED, 1, 2, 2)
    assert "should match 2 times and matches 1" in case.findings[0].message


NONE = "match_count: 2", "match_count: 0"


def test_a_count_of_nothing_wants_no_match(tmp_path: Path) -> None:
    rules = repository(tmp_path, INFO.replace(*NONE), lines(MISS))
    assert outcomes(rules) == [(PASSED, 0, [])]
    rules = repository(tmp_path / "b", INFO.replace(*NONE), lines(HIT))
    assert outcomes(rules) == [(FAILED, 1, ["CE308"])]


@pytest.mark.parametrize(
    ("info", "reason"),
    [
        (INFO.replace("one.json", "two.json"), "there is no file"),
        (INFO.replace("regression_data/rules/acme_export/one.json", "../x.json"), "no path below"),
        (INFO.replace("regression_data/rules/acme_export/one.json", "/etc/passwd"), "no path"),
        (INFO.replace("- id: 0e95", "- id: 1e95"), "of another rule"),
        (INFO.replace("match_count: 2", "match_count: many"), "match_count is a number"),
        (INFO.replace("match_count: 2", "pipelines: [ecs_windows]"), "asks for the pipelines"),
        (INFO.replace("regression_tests_info", "tests"), "regression_tests_info"),
        ("- a list", "is a mapping of keys"),
        ("a: [", "expected"),
    ],
)
def test_what_cannot_be_used_is_named(tmp_path: Path, info: str, reason: str) -> None:
    [case] = run_regression(load_rules(repository(tmp_path, info)))
    assert case.outcome is NOT_READABLE
    assert reason in case.findings[0].message, case.findings
    assert case.findings[0].span is not None


def test_a_link_out_of_the_root_is_not_followed(tmp_path: Path) -> None:
    rules = repository(tmp_path / "repository")
    log = tmp_path / "repository/regression_data/rules/acme_export/one.json"
    outside = tmp_path / "outside.json"
    log.rename(outside)
    log.symlink_to(outside)
    assert outcomes(rules) == [(NOT_READABLE, 0, ["CE313"])]


def test_a_log_without_events_is_not_readable(tmp_path: Path) -> None:
    rules = repository(tmp_path, log="\x00\x01\x02 nothing")
    assert [outcome for outcome, _, _ in outcomes(rules)] == [NOT_READABLE]


def test_rules_and_data_in_an_archive(tmp_path: Path) -> None:
    repository(tmp_path / "sigma [1]")
    (tmp_path / "sigma [1]" / "rules" / "other.yml").write_text(
        RULE.replace("0e95", "1e95").replace("acme_export/info", "missing/info"), encoding="utf-8"
    )
    with tarfile.open(tmp_path / "all.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / "sigma [1]", "sigma [1]")
    assert sorted(outcomes(tmp_path / "all.tar.gz"), key=str) == [
        (NOT_READABLE, 0, ["CE313"]),
        (PASSED, 2, []),
    ]


def test_logs_beside_a_rule(tmp_path: Path) -> None:
    bare = RULE[: RULE.index("regression_tests_path")]
    (tmp_path / "a[b].yml").write_text(bare, encoding="utf-8")
    (tmp_path / "a[b].match.jsonl").write_text(lines(HIT), encoding="utf-8")
    (tmp_path / "a[b].nomatch.jsonl").write_text(lines(HIT), encoding="utf-8")
    (tmp_path / "ab.match.jsonl").write_text(lines(HIT), encoding="utf-8")
    found = {case.name: case.outcome for case in run_regression(load_rules(tmp_path))}
    assert found == {"a[b].match.jsonl": PASSED, "a[b].nomatch.jsonl": FAILED}


def test_examples_in_a_rule(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    carried = """\
examples:
    - {name: it is, match: true, events: [{verb: EXPORT, target.kind: share}]}
    - {name: it is not, match: true, events: [{verb: list}]}
"""
    (tmp_path / "a.yml").write_text(RULE.replace("\nregression", "\nx") + carried, "utf-8")
    assert main(["test", str(tmp_path), "-f", "json"]) == 1
    said = json.loads(capsys.readouterr().out)
    assert [one["passed"] for one in said["examples"]] == [True, False]


def test_the_command_reports_each_case(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rules = repository(tmp_path)
    assert main(["test", str(rules), "-v"]) == 0
    shown = capsys.readouterr()
    assert "passed  Archive of a Share  Positive Detection Test  2 matches" in shown.out
    assert "1 case of regression data: 1 passed, 0 failed, 0 not readable" in shown.err
    assert main(["test", str(tmp_path), "-f", "json"]) == 0
    shown = capsys.readouterr()
    assert "passed over" not in shown.err
    [case] = json.loads(shown.out)["regression"]
    assert case["outcome"] == "passed"
    assert case["matches"] == case["wanted"] == 2
    (tmp_path / "regression_data/rules/acme_export/one.json").unlink()
    assert main(["test", str(rules)]) == 3
    assert "NOT READABLE" in capsys.readouterr().out


SHARED = Path(__file__).parents[2] / "shared" / "sigma" / "regression-data-a.tar.gz"


@pytest.mark.skipif(not SHARED.is_file(), reason="SigmaHQ's regression data is not here")
def test_the_regression_data_of_sigmahq() -> None:
    rules = load_rules(SHARED)
    found = [case.outcome for case in run_regression(rules)]
    assert len(found) == len(rules) == 101
    assert set(found) == {PASSED}
