"""``verify`` of two rules, and of rules against what a converter writes, from the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import carengine
from carengine.cli import main
from carengine.verify import Verdict, check_conversion, subjects_of_text
from carengine.verify.relations import compare_subjects

RULE = """title: t
id: 00000000-0000-4000-8000-000000000001
logsource:
    category: process_creation
    product: windows
detection:
    selection:
        Image|endswith: '\\cmd.exe'
        CommandLine|contains|all: [' /c ', 'ftp']
        CommandLine|re: '\\d{2}\\\\x'
        IntegrityLevel: Medium
    filter:
        User: null
    condition: selection and not filter
"""
QUERY = (
    'Image="*\\\\cmd.exe" CommandLine="* /c *" CommandLine="*ftp*" IntegrityLevel="Medium" NOT NOT User=*'
    ' | regex CommandLine="\\\\d{2}\\\\\\\\x"'
)


@pytest.fixture
def rule(tmp_path: Path) -> Path:
    path = tmp_path / "rule.yml"
    path.write_text(RULE, encoding="utf-8")
    return path


CASES: list[tuple[list[str], int, str]] = [
    (["rule.yml", "rule.yml"], 0, "same"),
    (["CAR-2019-08-001", "CAR-2019-08-001"], 0, "same"),
    (['EventCode=1 Image="*a*"', 'EventCode=1 Image="*A*"', "--as", "splunk"], 0, "same"),
    (["EventCode=1", 'EventCode=1 Image="*A*"', "--as", "splunk"], 1, "covers"),
    (
        [
            'a = search Process:Create where exe = "a.exe" output a',
            'process where subtype.create and process_name == "a.exe"',
            *("--as", "car", "--as", "eql"),
        ],
        0,
        "same",
    ),
    (
        ["rule.yml", 'process where process_name == "x.exe"', "--as", "eql"],
        1,
        "disjoint",
    ),
    (["CAR-2019-08-001", "file where file_name == 'lsass*.dmp'", "--as", "eql"], 1, "covered"),
]


@pytest.mark.parametrize(("words", "code", "verdict"), CASES)
def test_two_of_anything(
    words: list[str],
    code: int,
    verdict: str,
    rule: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = [str(rule) if word == "rule.yml" else word for word in words]
    assert main(["verify", *words, "-f", "json", "-q"]) == code
    data = json.loads(capsys.readouterr().out)
    assert list(data) == ["pairs"]
    [pair] = data["pairs"]
    assert list(pair) == ["a", "b", "verdict", "witnesses", "assumptions"]
    assert pair["verdict"] == verdict
    assert main(["verify", *words, "-q"]) == code
    assert verdict in capsys.readouterr().out


def test_what_cannot_be_compared(rule: Path) -> None:
    assert main(["verify", str(rule), "no such rule"]) == 2
    assert main(["verify", str(rule), 'Image="', "--as", "splunk"]) == 2
    assert main(["verify", str(rule), "--as", "splunk"]) == 2
    assert main(["verify", str(rule), "--any-case"]) == 2
    assert main(["verify", str(rule), "--backend", "no-such"]) == 2


class Converter:
    """What stands for a backend of pySigma, which need not be installed."""

    pipelines: tuple[str, ...] = ()

    def __init__(self, name: str, query: str) -> None:
        self.name = name
        self.query = query

    def queries(self, text: str) -> tuple[str, ...]:
        """The query."""
        if not self.query:
            raise ValueError("it cannot be written")
        return (self.query,)


V = Verdict
CONVERSIONS: list[tuple[str, str, Verdict]] = [
    ("splunk", QUERY, V.SAME),
    ("splunk", QUERY.replace('"*\\\\cmd.exe"', '"*cmd.exe"'), V.COVERED),
    ("splunk", QUERY.replace("\\\\\\\\x", "y"), V.OVERLAPS),
    ("splunk", QUERY.replace('CommandLine="*ftp*"', ""), V.COVERED),
    ("splunk", QUERY.replace(" NOT NOT User=*", ""), V.COVERED),
    ("splunk", "", V.UNDECIDED),
    ("splunk", "Image=a | transaction host", V.UNDECIDED),
]


@pytest.mark.parametrize(("name", "query", "verdict"), CONVERSIONS)
def test_conversions(name: str, query: str, verdict: Verdict, rule: Path) -> None:
    made: Any = Converter(name, query)
    found = check_conversion(carengine.load_rule(rule), made)
    assert found.relation.verdict is verdict, found.relation
    if verdict is V.UNDECIDED:
        assert found.relation.reasons


def test_texts_of_each_language() -> None:
    [one], _ = subjects_of_text(RULE, "sigma")
    [other], _ = subjects_of_text(RULE.replace("cmd.exe", "CMD.exe"), "sigma")
    assert compare_subjects(one, other).verdict is V.SAME
    nothing, said = subjects_of_text("a = serch", "car")
    assert not nothing
    assert said


def test_a_folder_of_rules_is_compared_rule_by_rule(
    tmp_path: Path, rule: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    empty, full = tmp_path / "empty", tmp_path / "full"
    empty.mkdir()
    full.mkdir()
    (full / "a.yml").write_text(RULE, encoding="utf-8")
    assert main(["verify", str(empty), str(rule)]) == 2
    assert "no rule that can be used is in" in capsys.readouterr().err
    assert main(["verify", str(full), str(rule), "-f", "json"]) == 0
    [pair] = json.loads(capsys.readouterr().out)["pairs"]
    assert pair["verdict"] == "same"
