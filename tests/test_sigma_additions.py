"""What Sigma rules have beyond the specification: Hayabusa's additions, old aggregations, and
placeholders from files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from carengine import CarError, Engine, load_rules
from carengine.cli import main
from carengine.fieldmap import NamedLogSource
from carengine.loading.placeholders import read_placeholders
from carengine.rule import RuleSet

RULE = r"""
title: A Service That Is Made
id: 7e2a4d0c-4b16-4d7a-9a57-0d9c7d5f1a01
details: 'Svc: %ServiceName%'
ruletype: Hayabusa
logsource: {product: windows, service: sysmon}
detection:
    selection:
        Channel: System
        EventID: 7045
        DETECTION
    condition: selection
"""


def loaded(root: Path, detection: str) -> RuleSet:
    folder = root / "rules" / "hayabusa"
    folder.mkdir(parents=True, exist_ok=True)
    config = root / "rules" / "config"
    config.mkdir(exist_ok=True)
    (config / "bad.txt").write_text("^evil\n\n[0-9]{4}$\n", encoding="utf-8")
    (config / "good.txt").write_text(r"(?i)^C:\\Program Files\\" + "\n", encoding="utf-8")
    (root / "outside.txt").write_text(".\n")
    (folder / "a.yml").write_text(RULE.replace("DETECTION", detection), encoding="utf-8")
    return load_rules(folder)


def event(**fields: Any) -> dict[str, Any]:
    return {"Channel": "System", "EventID": 7045, "Provider_Name": "SCM", **fields}


def matches(rules: RuleSet, *events: dict[str, Any]) -> list[bool]:
    assert not rules.refused, rules.diagnostics
    engine = Engine(rules)
    return [bool(list(engine.run([one]))) for one in events]


LONG = r"C:\Windows\Temp\abcdef.exe"


@pytest.mark.parametrize(
    ("detection", "hits", "misses"),
    [
        (
            "ServiceName:\n            - value: 'mal*'\n"
            "            - regexes: ./rules/config/bad.txt",
            ["malware", "evil x", "svc1234"],
            ["Evil x", "x mal", "svc12345x", None],
        ),
        ("ServiceName: {min_length: 5}", ["12345", "123456"], ["1234", "", None]),
        (
            r"ServiceName: {min_length: 3, allowlist: rules\config\good.txt}",
            [LONG],
            ["ab", r"c:\program files\x.exe", None],
        ),
        ("ServiceName|contains: [{value: 'b'}, 'x']", ["abc", "X"], ["a"]),
        ("Event.EventData.ServiceName|endswith: 'b'", ["ab"], ["a"]),
        ("Event.System.Provider_attributes.Name: SCM", ["a"], []),
        ("Other|endswithfield: ServiceName", ["other", "THER"], ["x", None]),
    ],
)
def test_hayabusas_values(
    tmp_path: Path, detection: str, hits: list[str | None], misses: list[str | None]
) -> None:
    """The log source says Sysmon: a rule of Hayabusa's goes by its channel."""
    rules = loaded(tmp_path, detection)
    for wanted, values in ((True, hits), (False, misses)):
        events = [
            event(Other="other", **({} if value is None else {"ServiceName": value}))
            for value in values
        ]
        assert matches(rules, *events) == [wanted] * len(events)


@pytest.mark.parametrize(
    ("detection", "code", "reason"),
    [
        ("A|equalsfield: B", "CE803", "equalsfield compares fields with case"),
        ("A: {min_length: many}", "CE802", "number of characters"),
        ("A: {min_length: true}", "CE802", "number of characters"),
        ("A: {regexes: ../outside.txt}", "CE802", "no path below"),
        ("A: {regexes: /etc/passwd}", "CE802", "no path below"),
        ("A: {regexes: rules/none.txt}", "CE802", "there is no file"),
        ("A: {regexes: [a]}", "CE802", "named by its path"),
        ("A: {regexes: rules/config/look.txt}", "CE802", "RE2 does not take"),
        ("A: {value: x, other: y}", "CE802", "a value cannot be a mapping"),
    ],
)
def test_what_cannot_be_read_is_named(
    tmp_path: Path, detection: str, code: str, reason: str
) -> None:
    (tmp_path / "rules" / "config").mkdir(parents=True)
    (tmp_path / "rules" / "config" / "look.txt").write_text("(?<=a)b\n")
    [refused] = loaded(tmp_path, detection).refused
    said = [item for item in refused.diagnostics if item.severity.value == "error"]
    assert [item.code.id for item in said] == [code]
    assert reason in said[0].message
    assert said[0].span is not None


def test_a_link_out_of_the_rules_is_not_followed(tmp_path: Path) -> None:
    config = tmp_path / "a" / "rules" / "config"
    config.mkdir(parents=True)
    (tmp_path / "secret.txt").write_text("x\n")
    (config / "link.txt").symlink_to(tmp_path / "secret.txt")
    [refused] = loaded(tmp_path / "a", "A: {regexes: rules/config/link.txt}").refused
    assert any("leads out" in item.message for item in refused.diagnostics)


# Aggregations

COUNT = """
title: Many
id: 7e2a4d0c-4b16-4d7a-9a57-0d9c7d5f1a02
logsource: {product: windows, service: security}
detection:
    selection:
        EventID: 4625
    condition: selection | AGGREGATION
    TIMEFRAME
"""


def counting(root: Path, aggregation: str, timeframe: str = "timeframe: 5m") -> RuleSet:
    text = COUNT.replace("AGGREGATION", aggregation).replace("TIMEFRAME", timeframe)
    (root / "many.yml").write_text(text, encoding="utf-8")
    return load_rules(root / "many.yml")


def logon(minute: int, user: str, address: str) -> dict[str, Any]:
    return {
        "Channel": "Security",
        "EventID": 4625,
        "TargetUserName": user,
        "IpAddress": address,
        "@timestamp": f"2024-05-01T10:{minute:02}:00Z",
    }


SPRAY = [logon(n, f"user{n}", "10.0.0.1") for n in range(4)]
SAME = [logon(n, "user", "10.0.0.1") for n in range(4)]
SPREAD = [logon(n, f"user{n}", f"10.0.0.{n}") for n in range(4)]
SLOW = [logon(6 * n, f"user{n}", "10.0.0.1") for n in range(4)]


@pytest.mark.parametrize(
    ("aggregation", "hits", "misses"),
    [
        ("count(TargetUserName) by IpAddress > 3", [SPRAY], [SAME, SPREAD, SLOW]),
        ("count() by IpAddress >= 4", [SPRAY, SAME], [SPREAD, SLOW]),
        ("COUNT() BY IpAddress, TargetUserName > 3", [SAME], [SPRAY, SPREAD, SLOW]),
        ("count() > 3", [SPRAY, SAME, SPREAD], [SLOW]),
        ("count(TargetUserName)==4", [SPRAY, SPREAD], [SAME, SLOW]),
    ],
)
def test_aggregations_are_correlations(
    tmp_path: Path,
    aggregation: str,
    hits: list[list[dict[str, Any]]],
    misses: list[list[dict[str, Any]]],
) -> None:
    rules = counting(tmp_path, aggregation)
    assert not rules.refused, rules.diagnostics
    assert "CE814" in {item.code.id for item in rules.diagnostics}
    engine = Engine(rules)
    for wanted, logs in ((True, hits), (False, misses)):
        for log in logs:
            assert bool(list(engine.run(log))) is wanted, log


@pytest.mark.parametrize(
    ("aggregation", "timeframe", "reason"),
    [
        ("count() > 3", "", "no timeframe"),
        ("count() > 3", "timeframe: soon", "no timeframe such as"),
        ("count() > 3", "timeframe: [5m]", "no timeframe"),
        ("near other", "timeframe: 5m", "`near` was given up"),
        ("min(a) > 3", "timeframe: 5m", "no correlation for min"),
        ("sum() > 3", "timeframe: 5m", "sum is of a field"),
        ("count(", "timeframe: 5m", "behind | stands"),
        ("", "timeframe: 5m", "behind | stands"),
    ],
)
def test_other_aggregations_are_refused(
    tmp_path: Path, aggregation: str, timeframe: str, reason: str
) -> None:
    [refused] = counting(tmp_path, aggregation, timeframe).refused
    [error] = [item for item in refused.diagnostics if item.severity.value == "error"]
    assert reason in error.message
    assert error.span is not None


# Placeholders

EXPANDED = """
title: Admins
id: 7e2a4d0c-4b16-4d7a-9a57-0d9c7d5f1a03
logsource: {product: windows, service: security}
detection:
    selection:
        TargetUserName|expand: '%admins%'
    condition: selection
"""


@pytest.mark.parametrize(
    ("name", "text", "values"),
    [
        ("a.yml", "admins: [ann, 'bo*']\nmore: 5", {"admins": ["ann", "bo*"], "more": ["5"]}),
        ("a.json", '{"admins": "ann"}', {"admins": ["ann"]}),
        (
            "a.yml",
            "vars: {admins: [ann]}\ntransformations:\n"
            "  - {type: value_placeholders}\n"
            "  - {type: wildcard_placeholders, include: [any, admins]}\n",
            {"admins": ["ann"], "any": ["*"]},
        ),
        ("admins.txt", "ann\n\n bob \n", {"admins": ["ann", "bob"]}),
    ],
)
def test_placeholders_from_files(
    tmp_path: Path, name: str, text: str, values: dict[str, list[str]]
) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    path = tmp_path if name.endswith(".txt") else tmp_path / name
    assert read_placeholders(path) == values


@pytest.mark.parametrize(
    "text",
    [
        "[a]",
        "a: [[b]]",
        "a: {b: c}",
        "a:",
        "a: [",
        "transformations: [{type: query_expression_placeholders}]",
        "transformations: [{type: wildcard_placeholders}]",
    ],
)
def test_files_that_hold_no_placeholders(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.yml").write_text(text, encoding="utf-8")
    with pytest.raises(CarError) as error:
        read_placeholders(tmp_path / "a.yml")
    assert {item.code.id for item in error.value.diagnostics} == {"CE816"}


def test_the_option_gives_placeholders(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rule, lists = tmp_path / "rule.yml", tmp_path / "lists.yml"
    rule.write_text(EXPANDED, encoding="utf-8")
    lists.write_text("admins: [ann]\nunused: [x]\n", encoding="utf-8")
    log = tmp_path / "log.jsonl"
    log.write_text('{"Channel": "Security", "EventID": 1, "TargetUserName": "Ann"}\n')
    asked = ["hunt", str(log), "-r", str(rule), "-f", "jsonl", "--fail-on-match"]
    assert main([*asked, "--placeholders", str(lists)]) == 1
    capsys.readouterr()
    assert main(asked) == 2
    assert "--placeholders FILE" in capsys.readouterr().err
    assert main([*asked, "--placeholders", str(tmp_path / "none.yml")]) == 2
    assert "CE816" in capsys.readouterr().err


# Members of arrays

MEMBERS = """
title: Members
id: 7e2a4d0c-4b16-4d7a-9a57-0d9c7d5f1a04
VERSION
logsource: {product: acme, service: audit}
detection:
    selection:
        kind: x
        ITEM
    condition: selection
"""


def of_members(root: Path, item: str, version: str = "sigma-version: 3") -> RuleSet:
    text = MEMBERS.replace("VERSION", version).replace("ITEM", item)
    (root / "members.yml").write_text(text, encoding="utf-8")
    return load_rules(root / "members.yml")


@pytest.mark.parametrize(
    ("item", "hits", "misses"),
    [
        ("tags[any]: a", [["b", "A"], "a"], [["b"], [], None]),
        ("tags[any]|startswith: [a, b]", [["c", "bc"]], [["c"]]),
        ("tags[none]: a", [["b"], [], None, "b"], [["b", "a"], "a"]),
    ],
)
def test_members_of_arrays(tmp_path: Path, item: str, hits: list[Any], misses: list[Any]) -> None:
    rules = of_members(tmp_path, item)
    assert not rules.refused, rules.diagnostics
    engine = Engine(rules, ("auto", NamedLogSource.parse("acme/audit")))
    for wanted, values in ((True, hits), (False, misses)):
        for value in values:
            event = {"kind": "x", **({} if value is None else {"tags": value})}
            assert bool(list(engine.run([event]))) is wanted, value


@pytest.mark.parametrize(
    "item",
    ["tags[all]: a", "tags[all_or_empty]: a", "tags[0]: a", "a[any].b: c", "t[any]: {a: b}"],
)
def test_other_selectors_are_refused_by_name(tmp_path: Path, item: str) -> None:
    [refused] = of_members(tmp_path, item).refused
    [error] = [one for one in refused.diagnostics if one.severity.value == "error"]
    assert error.code.id == "CE803"
    assert item.partition(":")[0] in error.message


def test_without_the_switch_brackets_are_a_name(tmp_path: Path) -> None:
    for version in ("", "sigma-version: 2"):
        rules = of_members(tmp_path, "tags[any]: a", version)
        assert [item.code.id for item in rules.diagnostics] == ["CE817"]
        engine = Engine(rules, ("auto", NamedLogSource.parse("acme/audit")))
        assert list(engine.run([{"kind": "x", "tags[any]": "a"}]))
        assert not list(engine.run([{"kind": "x", "tags": ["a"]}]))


def test_what_to_do_where_no_map_has_the_log_source(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    of_members(tmp_path, "n: 1")
    rule, log = str(tmp_path / "members.yml"), tmp_path / "log.jsonl"
    log.write_text('{"kind": "y"}\n')
    main(["translate", rule, "-t", "splunk"])
    assert "--logsource acme/audit" in capsys.readouterr().err
    assert main(["translate", rule, "-t", "splunk", "--logsource", "acme/audit"]) == 0
    assert 'kind="x"' in capsys.readouterr().out
    assert main(["translate", rule, "-t", "splunk", "-m", "aws", "--logsource", "a/b"]) == 2
    capsys.readouterr()
    main(["explain", rule, str(log)])
    assert "--logsource acme/audit" in capsys.readouterr().out
