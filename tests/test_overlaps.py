"""Rules of a set that find the same or nothing: each verdict of a table, and the command."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import carengine
from carengine.cli import main
from carengine.verify import Verdict
from carengine.verify.overlaps import rule_overlaps

SEARCHES = {
    "all": 'a = search Process:Create where exe = "*.exe" output a',
    "cmd": 'a = search Process:Create where exe = "cmd.exe" output a',
    "cmd2": 'a = search Process:Create where exe = "CMD.exe" output a',
    "files": 'a = search File:Create where exe = "cmd.exe" output a',
    "never": 'a = search Process:Create where exe = "a" and exe = "b" output a',
    "both": 'a = search Process:Create,Terminate where exe = "cmd.exe" output a',
    "near": 'a = search Process:Create where exe = "cmd*" and user = "x" output a',
    "count": "p = search Process:Create c = count(p) by user x = filter c where count > 3 output x",
    "count2": "p = search Process:Create c = count(p) by user x = filter c where count >= 4 output x",
}


def rules() -> list[carengine.Rule]:
    return [carengine.parse_rule(text, name=name) for name, text in SEARCHES.items()]


def test_pairs_groups_and_what_can_go() -> None:
    found = rule_overlaps(rules())
    told = {(pair.first, pair.second): pair.verdict for pair in found.pairs}
    same, covered = Verdict.SAME, Verdict.COVERED
    assert told == {
        ("cmd", "cmd2"): same,
        ("cmd", "all"): covered,
        ("cmd2", "all"): covered,
        ("cmd", "both"): covered,
        ("cmd2", "both"): covered,
        ("count", "count2"): same,
    }
    assert [(pair.first, pair.second) for pair in found.first_pairs] == [
        ("cmd", "all"),
        ("cmd", "both"),
        ("cmd", "cmd2"),
        ("count", "count2"),
    ]
    assert [rule.id for rule in found.never] == ["never"]
    assert found.groups == (("cmd", "cmd2"), ("count", "count2"))
    assert found.removable == ("cmd", "cmd2", "count2", "never")
    assert not found.unknown
    assert not found.skipped
    for pair in found.pairs:
        if pair.verdict is covered:
            assert any(witness.finder == "b" for witness in pair.witnesses)


SIGMA = """title: {0}
id: 00000000-0000-4000-8000-00000000000{1}
logsource:
    {2}
detection:
    selection:
        {3}
    condition: selection
"""


def test_sigma_rules_by_their_own_log_source(tmp_path: Path) -> None:
    dns = "category: dns_query\n    product: windows"
    for number, (source, test) in enumerate(
        [
            (dns, "QueryName|endswith: '.com'"),
            (dns, "QueryName: 'a.com'"),
            ("category: dns_query", "QueryName|contains: '.com'"),
            ("product: aws\n    service: cloudtrail", "QueryName: 'a.com'"),
        ]
    ):
        path = tmp_path / f"{number}.yml"
        path.write_text(SIGMA.format(f"R{number}", number, source, test), encoding="utf-8")
    found = rule_overlaps(carengine.load_rules(tmp_path))
    told = {(pair.first[-1], pair.second[-1]): pair.verdict.value for pair in found.pairs}
    assert told == {("0", "2"): "covered", ("1", "0"): "covered", ("1", "2"): "covered"}


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, text in SEARCHES.items():
        (tmp_path / f"{name}.car").write_text(text, encoding="utf-8")
    assert main(["overlap", str(tmp_path), "-f", "json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert list(data) == ["pairs"]
    told = [pair for pair in data["pairs"] if pair["b"] is not None]
    assert all(set(pair) == {"a", "b", "verdict", "witnesses"} for pair in told)
    covered = [pair for pair in told if pair["verdict"] == "covered"]
    assert all(one["found_by"] == "b" for pair in covered for one in pair["witnesses"])
    assert all(pair["witnesses"] for pair in covered)
    assert {"a": "never", "b": None, "verdict": "never"} in data["pairs"]
    assert main(["overlap", str(tmp_path), "-f", "dot"]) == 0
    assert '"cmd" -> "all";' in capsys.readouterr().out
    assert main(["overlap", str(tmp_path)]) == 0
    out = capsys.readouterr()
    assert "can go without loss: cmd, cmd2, count2, never" in out.out
    assert "4 rules can go without loss" in out.err
    assert main(["overlap", str(tmp_path / "none")]) == 2
