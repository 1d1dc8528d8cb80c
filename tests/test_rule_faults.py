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
from carengine.engine import Engine
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
    model: Any = import_module("carengine.rule.drafts")

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


# While events go by

PROCESSES = [
    {
        "object": "process",
        "action": "create",
        "exe": exe,
        "command_line": line,
        "hostname": "h",
        "time": f"2026-01-01T00:00:{second:02}Z",
    }
    for second, (exe, line) in enumerate(
        [("a.exe", "bad"), ("b.exe", "-x"), ("a.exe", "good"), ("bad.exe", "bad"), ("a.exe", "x")]
    )
]
PLAIN = """\
a = search Process:Create where exe = "a.exe" and command_line = "*{word}*"
output a
"""
SINGLE = """\
a = search Process:Create where command_line = "*{word}*"
output a
"""
SELECTING = """\
a = search Process:Create where exe = "a.exe"
b = from a select command_line as {word}
output b
"""
GROUPING = """\
a = search Process:Create where exe = "a.exe"
b = group a by {field}
output b
"""
RULES_WITH_FAULTS = {
    "plain": (PLAIN.format(word="bad"), PLAIN.format(word="o")),
    "single": (SINGLE.format(word="bad"), SINGLE.format(word="o")),
    "selecting": (SELECTING.format(word="bad"), SELECTING.format(word="good")),
    "grouping": (GROUPING.format(field="command_line"), GROUPING.format(field="hostname")),
}


def _says_bad(*given: Any, **_: Any) -> bool:
    return any(
        "bad" in repr(item) or (isinstance(item, Rule) and item.id == "bad") for item in given
    )


def _groups_by_line(node: Any, *_: Any) -> bool:
    return [key.name for key in node._plan.keys] == ["command_line"]


def _raising(real: Callable[..., Any], is_bad: Callable[..., bool]) -> Callable[..., Any]:
    """A function that gives functions, of which those for a bad one raise."""

    def made(*given: Any, **named: Any) -> Any:
        return breaking(real(*given, **named), lambda *_, **__: is_bad(*given, **named))

    return made


STEPS: list[tuple[str, str, str, Callable[..., Any], Callable[..., bool], bool]] = [
    # The rules, where the fault lies, how it comes about, and whether it comes once for a rule.
    ("plain", "engine", "lower_for", breaking, _says_bad, True),
    ("plain", "engine", "where_present", breaking, _says_bad, True),
    ("plain", "matcher.stages:ClassMatcher", "_compile", breaking, _says_bad, True),
    ("single", "matcher.stages:ClassMatcher", "_add_anchor", breaking, _says_bad, True),
    ("plain", "matcher.columns", "judge_of", _raising, _says_bad, False),
    ("plain", "matcher.columns", "judge_of", breaking, _says_bad, False),
    ("selecting", "targets", "match_of", breaking, _is_bad, False),
    ("grouping", "engine", "prepare", breaking, lambda plan, _: "command_line" in repr(plan), True),
    ("grouping", "streams.group:GroupNode", "push", breaking, _groups_by_line, True),
    ("grouping", "streams.group:GroupNode", "finish", breaking, _groups_by_line, True),
    ("grouping", "streams.group:GroupNode", "sweep", breaking, _groups_by_line, True),
    ("grouping", "session", "match_of_row", breaking, _is_bad, False),
]


@pytest.mark.parametrize("way", ["events", "lines"])
@pytest.mark.parametrize(
    ("kind", "place", "name", "how", "is_bad", "once"),
    STEPS,
    ids=[f"{place}.{name}" for _, place, name, *_ in STEPS],
)
def test_a_fault_while_events_go_by(
    kind: str,
    place: str,
    name: str,
    how: Callable[..., Any],
    is_bad: Callable[..., bool],
    once: bool,
    way: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bad, good = (
        parse_rule(f"---\nid: {id_}\n---\n{text}", f"{id_}.car")
        for id_, text in zip(("bad", "good"), RULES_WITH_FAULTS[kind], strict=True)
    )

    def matches(rules: list[Rule]) -> tuple[list[Any], Any]:
        session = Engine(rules, "car").session()
        found = []
        for event in PROCESSES * 40:
            line = json.dumps(event).encode()
            found += session.feed(event) if way == "events" else session.feed_line(line)
        found += session.flush()
        return [(m.rule.id, m.as_json()) for m in found if m.rule.id == "good"], session

    expected, untouched = matches([good])
    assert expected
    assert not untouched.stats.faults
    module, _, owner = place.partition(":")
    broken: Any = import_module(f"carengine.engine.{module}")
    if owner:
        broken = getattr(broken, owner)
    monkeypatch.setattr(broken, name, how(getattr(broken, name), is_bad))
    found, session = matches([bad, good])
    assert found == expected
    if name == "sweep":
        # Only where memory is full is anything swept.
        return
    [said] = [d for d in session.diagnostics if d.code.id == "CE312"]
    assert "of bad broke off: BoomError: surprise" in said.message
    assert bool(session.stats.faults.events) is not once
    assert session.stats.events == 40 * len(PROCESSES)


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_hunt_goes_on_after_a_fault(
    jobs: str, rules: Path, event: str, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    (rules / "bad.car").write_text(RULE.format(id="bad", exe="a.ex?"))
    engine: Any = import_module("carengine.engine.engine")
    broken = breaking(engine.lower_for, lambda stage, *_: "a.ex?" in repr(stage))
    monkeypatch.setattr(engine, "lower_for", broken)
    assert main(["hunt", event, "-r", str(rules), "-j", jobs]) == status.USAGE
    shown = capsys.readouterr()
    assert "good" in shown.out
    assert shown.err.count("error[CE312]") == 1
    assert "bad" in shown.err


def test_a_filter_that_breaks_narrows_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load: Any = import_module("carengine.languages.sigma.load")

    monkeypatch.setattr(load.ir, "conjunction", breaking(load.ir.conjunction, lambda _: True))
    path = tmp_path / "both.yml"
    narrowing = (
        "title: F\nlogsource: {product: windows, category: process_creation}\n"
        "filter:\n  rules: any\n  s: {Image: x}\n  condition: not s\n"
    )
    path.write_text(SIGMA.format(id="good") + "---\n" + narrowing)
    loaded = load_rules(path)
    assert [rule.id for rule in loaded] == ["good"]
    assert [d.code.id for d in loaded.diagnostics] == ["CE312"]
