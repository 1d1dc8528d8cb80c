"""A fault of the program at one rule, put there by the test: every command names the rule and goes
on with the others."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from carengine import load_rules, parse_rule
from carengine.check import check_rules
from carengine.cli import main, status
from carengine.rule import Rule

RULE = """\
---
id: {id}
title: {id}
examples:
  - {{name: one, match: true, events: [{{object: process, action: create, exe: a.exe}}]}}
---
a = search Process:Create where exe = "{exe}"
output a
"""
SIGMA = """\
title: {id}
id: {id}
logsource: {{product: windows, category: process_creation}}
detection:
  s: {{Image|endswith: {id}}}
  condition: s
"""


class BoomError(Exception):
    """A fault that no pass knows of."""


def breaking(real: Callable[..., Any], is_bad: Callable[..., bool]) -> Callable[..., Any]:
    def broken(*given: Any, **named: Any) -> Any:
        if is_bad(*given, **named):
            raise BoomError("surprise")
        return real(*given, **named)

    return broken


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    folder = tmp_path / "rules"
    folder.mkdir()
    for name in ("bad", "good"):
        (folder / f"{name}.car").write_text(RULE.format(id=name, exe="a.exe"))
    return folder


@pytest.fixture
def event(tmp_path: Path) -> str:
    path = tmp_path / "events.jsonl"
    path.write_text('{"object": "process", "action": "create", "exe": "a.exe"}\n')
    return str(path)


def _is_bad(rule: Any, *_: Any, **__: Any) -> bool:
    return isinstance(rule, Rule) and rule.id == "bad"


def test_check(rules: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    checker: Any = import_module("carengine.check.checker")

    monkeypatch.setattr(checker, "_checked", breaking(checker._checked, _is_bad))
    found = check_rules(load_rules(rules))
    assert [d.code.id for d in found if "bad" in d.message] == ["CE312"]
    assert main(["check", str(rules), "-f", "json"]) == status.FINDINGS
    shown = json.loads(capsys.readouterr().out)
    assert shown["rules"] == 2
    assert "BoomError: surprise" in json.dumps(shown)


def test_fmt(rules: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    fmt: Any = import_module("carengine.cli.fmt")

    broken = breaking(fmt.format_rule, lambda text, name: name.endswith("bad.car"))
    monkeypatch.setattr(fmt, "format_rule", broken)
    assert main(["fmt", "--check", str(rules)]) == status.FAULT
    err = capsys.readouterr().err
    assert "CE312" in err
    assert "2 files: 1 not canonical" in err or "1 canonical, 1 with errors" in err


def test_test(rules: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    examples: Any = import_module("carengine.engine.report.examples")

    monkeypatch.setattr(examples, "_run", breaking(examples._run, _is_bad))
    assert main(["test", str(rules)]) == status.FINDINGS
    shown = capsys.readouterr()
    assert "CE312" in shown.out + shown.err
    assert "1 passed, 1 failed" in shown.err


def test_translate(rules: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    translate: Any = import_module("carengine.cli.translate")

    monkeypatch.setattr(translate, "translate", breaking(translate.translate, _is_bad))
    command = ["translate", "-t", "splunk", "-m", "sysmon.flat", str(rules)]
    assert main(command) == status.DONE
    shown = capsys.readouterr()
    assert "1 of 2 rules translated" in shown.err
    assert "CE312" in shown.err
    assert shown.out.strip()


def test_explain(rules: Path, event: str, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    explain: Any = import_module("carengine.cli.explain")

    monkeypatch.setattr(explain, "explain", breaking(explain.explain, _is_bad))
    assert main(["explain", str(rules / "bad.car"), event]) == status.FAULT
    assert "CE312" in capsys.readouterr().err
    assert main(["explain", str(rules / "good.car"), event]) == status.DONE


def test_verify(monkeypatch: pytest.MonkeyPatch, capsys: Any, tmp_path: Path) -> None:
    verify: Any = import_module("carengine.cli.verify")

    class Analytic:
        def __init__(self, id_: str) -> None:
            self.id = id_

    def verified(analytic: Analytic) -> Any:
        if analytic.id == "bad":
            raise BoomError("surprise")
        raise AssertionError("every other analytic is asked for")

    monkeypatch.setattr(verify, "load_analytics", lambda *_: [Analytic("bad"), Analytic("bad")])
    monkeypatch.setattr(verify, "verify_analytic", verified)
    assert main(["verify", str(tmp_path)]) == status.FAULT
    assert capsys.readouterr().err.count("CE312") == 2


@pytest.mark.parametrize("command", ["hunt", "needs"])
def test_hunt_and_needs_without_a_reason(
    command: str, rules: Path, event: str, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    rule_status: Any = import_module("carengine.engine.report.rule_status")

    analysis = rule_status._StatusAnalysis
    broken = breaking(analysis.status, lambda _, rule: rule.id == "bad")
    monkeypatch.setattr(analysis, "status", broken)
    assert main([command, event, "-r", str(rules)]) == status.DONE
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize("command", ["hunt", "needs"])
def test_a_rule_that_cannot_be_compiled(
    command: str, rules: Path, event: str, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    loading: Any = import_module("carengine.cli.rules")

    def is_bad(chosen: Any, *_: Any) -> bool:
        return any(rule.id == "bad" for rule in chosen)

    monkeypatch.setattr(loading, "Engine", breaking(loading.Engine, is_bad))
    assert main([command, event, "-r", str(rules)]) == status.USAGE
    shown = capsys.readouterr()
    assert "CE312" in shown.err
    assert "good" in shown.out


def test_resolving(rules: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model: Any = import_module("carengine.rule.model")

    broken = breaking(model._Resolved.of, lambda _, key: key == "bad")
    monkeypatch.setattr(model._Resolved, "of", broken)
    loaded = load_rules(rules)
    assert [rule.id for rule in loaded] == ["good"]
    assert [d.code.id for d in loaded.refused[0].diagnostics] == ["CE312"]


def test_reading_a_file(rules: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    load: Any = import_module("carengine.loading.load")

    broken = breaking(load.carfile.read, lambda source, **_: source.name.endswith("bad.car"))
    monkeypatch.setattr(load.carfile, "read", broken)
    loaded = load_rules(rules)
    assert [rule.id for rule in loaded] == ["good"]
    assert [d.code.id for d in loaded.diagnostics] == ["CE312"]


@pytest.mark.parametrize("part", ["_detection_rule", "metadata"])
def test_reading_a_sigma_document(
    part: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load: Any = import_module("carengine.languages.sigma.load")

    broken = breaking(getattr(load, part), lambda document, *_: document.id == "bad")
    monkeypatch.setattr(load, part, broken)
    path = tmp_path / "both.yml"
    path.write_text("---\n".join(SIGMA.format(id=name) for name in ("bad", "good")))
    loaded = load_rules(path)
    assert [rule.id for rule in loaded] == ["good"]
    assert [d.code.id for d in loaded.refused[0].diagnostics] == ["CE312"]


def test_a_rule_made_in_code_is_named_too(monkeypatch: pytest.MonkeyPatch) -> None:
    checker: Any = import_module("carengine.check.checker")

    monkeypatch.setattr(checker, "_checked", breaking(checker._checked, lambda _: True))
    [found] = check_rules([parse_rule("a = search Process:Create\noutput a")])
    assert found.where
