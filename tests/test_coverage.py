"""Coverage of ATT&CK: three layers that are never mixed, log sources, and what is missing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

import carengine
from carengine.attack import AskedEvents, enterprise_attack
from carengine.attack.bundle import from_objects
from carengine.cli import main
from carengine.coverage import AskedCounter, Coverage, measure_coverage, navigator_layers
from carengine.coverage.serving import ServingRules, SourceEvents, stages_of
from carengine.fieldmap import find_maps, installed_maps
from carengine.loading import load_rules
from carengine.matches import schema

SAMPLE = Path(__file__).parent / "samples" / "lsass_dump.jsonl"
CAR = """---
id: {id}
title: A rule
attack: [{attack}]
---
a = search {search}
output a
"""


def car(id_: str, attack: str, search: str) -> carengine.Rule:
    return carengine.parse_rule(CAR.format(id=id_, attack=attack, search=search))


def sysmon(number: int, **fields: Any) -> dict[str, Any]:
    return {
        "Channel": "Microsoft-Windows-Sysmon/Operational",
        "SourceName": "Microsoft-Windows-Sysmon",
        "EventID": number,
        "Hostname": "ws1",
        "@timestamp": "2024-05-01T10:00:00Z",
        **fields,
    }


def sigma(tmp_path: Path, tags: str, logsource: str, selection: str) -> carengine.RuleSet:
    number = len(list(tmp_path.iterdir()))
    (tmp_path / f"{number}.yml").write_text(
        f"title: A rule\nid: 00000000-0000-4000-8000-{number:012}\nstatus: test\n"
        f"tags: [{tags}]\nlogsource: {logsource}\n"
        f"detection:\n  s: {selection}\n  condition: s\nlevel: low\n"
    )
    return load_rules(tmp_path)


def analytics(coverage: Coverage, technique: str) -> dict[str, Any]:
    return {
        one.analytic.id: one
        for strategy in coverage.strategies
        if strategy.strategy.technique == technique
        for one in strategy.analytics
    }


def test_a_layer_says_only_what_it_was_found_for() -> None:
    rules = [
        car("A-1", "T1003.001", 'Process:Access where target_name = "lsass.exe"'),
        car("A-2", "T1003.001", 'Process:Create where exe = "procdump.exe"'),
        car("A-3", "T1003.001", 'Registry:Value_Edit where key = "*x*"'),
        car("A-4", "T1059.001", 'Process:Create where exe = "powershell.exe"'),
    ]
    event = sysmon(10, SourceImage="C:\\a.exe", TargetImage="C:\\Windows\\System32\\lsass.exe")
    other = sysmon(1, Image="C:\\b.exe", ParentImage="C:\\c.exe", CommandLine="b")
    coverage = measure_coverage(rules, [event, other])
    lsass = coverage.by_technique["T1003.001"].rules
    assert (lsass.claimed, lsass.runnable, lsass.seen) == (
        ("A-1", "A-2", "A-3"), ("A-1", "A-2"), ("A-1",),
    )  # fmt: skip
    powershell = coverage.by_technique["T1059.001"].rules
    assert (powershell.claimed, powershell.runnable, powershell.seen) == (("A-4",), ("A-4",), ())
    # Without events nothing is seen, and the maps say what could run.
    alone = measure_coverage(rules, fieldmap="sysmon.flat")
    assert alone.events is None
    assert alone.rules.runnable == ("A-1", "A-2", "A-3", "A-4")
    assert alone.rules.seen == ()
    # No events at all is not the same as no evidence.
    none = measure_coverage(rules, [])
    assert (none.events, none.rules.runnable) == (0, ())


def test_from_the_strategy_to_the_log_source_to_the_rule() -> None:
    rules = [car("A-1", "T1003.001", 'Process:Access where target_name = "lsass.exe"')]
    event = sysmon(10, SourceImage="C:\\a.exe", TargetImage="C:\\Windows\\System32\\lsass.exe")
    found = analytics(measure_coverage(rules, [event] * 3), "T1003.001")["AN1030"]
    states = {
        f"{s.source.name} {s.source.channel}": (s.state.value, s.events) for s in found.sources
    }
    assert states["WinEventLog:Sysmon EventCode=10"] == ("there", 3)
    assert states["WinEventLog:Sysmon EventCode=11"] == ("missing", 0)
    assert not found.complete
    assert found.partial
    assert found.rules.seen == ("A-1",)


def test_another_log_stands_in_on_its_own_platform_only() -> None:
    started = {
        "Channel": "Security", "EventID": 4688, "SourceName": "Microsoft-Windows-Security-Auditing",
        "Hostname": "ws1", "NewProcessName": "C:\\a.exe", "@timestamp": "2024-05-01T10:00:00Z",
    }  # fmt: skip
    coverage = measure_coverage([], [started])
    states: dict[str, set[str]] = {}
    for one in coverage.analytics:
        for source in one.sources:
            name = f"{source.source.name} {source.source.channel}"
            component = coverage.attack.components[source.source.component].name
            if component == "Process Creation":
                states.setdefault(name, set()).add(source.state.value)
    assert states["WinEventLog:Security EventCode=4688"] == {"there"}
    assert states["WinEventLog:Sysmon EventCode=1"] >= {"another log"}
    assert states["auditd:EXECVE execve"] == {"missing"}
    assert states["linux:osquery process_events"] == {"missing"}
    assert states["macos:osquery process_events"] == {"missing"}


@pytest.mark.parametrize(
    ("logsource", "selection", "asked", "serves"),
    [
        ("{product: windows, service: security}", "{EventID: 4769}", "windows/security EventID 4769", True),
        ("{product: windows, service: security}", "{EventID: 4769}", "windows/security EventID 4688", False),
        ("{product: windows, service: security}", "{EventID: [1, 4688]}", "windows/security EventID 4688", True),
        ("{product: windows, category: process_creation}", "{Image: x}", "windows/sysmon EventID 1", True),
        ("{product: windows, category: process_creation}", "{Image: x}", "windows/sysmon EventID 10", False),
        ("{product: windows, category: process_creation}", "{Image: x}", "windows/security EventID 4688", True),
        ("{product: windows, category: ps_script}", "{ScriptBlockText: x}", "windows/powershell EventID 4104", True),
        ("{product: windows, category: ps_script}", "{ScriptBlockText: x}", "windows/powershell EventID 4103", False),
        ("{product: linux, category: process_creation}", "{Image: x}", "windows/sysmon EventID 1", False),
        ("{product: linux, category: process_creation}", "{Image: x}", "linux/auditd type EXECVE", True),
        ("{category: proxy}", "{c-uri: x}", "*/proxy", True),
        ("{product: aws, service: cloudtrail}", "{eventName: CreateUser}", "aws/cloudtrail eventName Create*", True),
        ("{product: aws, service: cloudtrail}", "{eventName: CreateUser}", "aws/cloudtrail eventName DeleteUser", False),
    ],
)  # fmt: skip
def test_which_rules_look_at_asked_events(
    tmp_path: Path, logsource: str, selection: str, asked: str, serves: bool
) -> None:
    [rule] = sigma(tmp_path, "attack.t1003", logsource, selection)
    kind, _, rest = asked.partition(" ")
    name, _, value = rest.partition(" ")
    events = AskedEvents(kind, ((name, (value,)),) if name else ())
    serving = ServingRules(installed_maps())
    assert serving.serves(stages_of(rule), SourceEvents((events,), frozenset())) is serves


def test_what_is_missing_is_ranked(tmp_path: Path) -> None:
    sigma(tmp_path, "attack.t1558.003", "{product: windows, service: security}", "{EventID: 4769}")
    rules = sigma(
        tmp_path,
        "attack.t1558.003",
        "{product: windows, service: security}",
        "{EventID: 4769, ServiceName: x}",
    )
    coverage = measure_coverage(rules, [sysmon(1, Image="C:\\a.exe")])
    tickets = next(one for one in coverage.missing if one.label == "windows/security EventID 4769")
    assert len(tickets.rules) == 2
    gains = [len(one.rules) + len(one.completed) for one in coverage.missing]
    assert gains == sorted(gains, reverse=True)
    for one in coverage.missing:
        assert set(one.completed) <= set(one.asking)


def test_ids_that_moved_are_followed_and_unknown_ones_named() -> None:
    rules = [
        car("A-1", "T1086", "Process:Create"),
        car("A-2", "T1059.001", "Process:Create"),
        car("A-3", "T1099", "File:Timestomp"),
        car("A-4", "T9999", "File:Create"),
        car("A-5", "T1108", "File:Create"),
    ]
    coverage = measure_coverage(rules, fieldmap="sysmon")
    assert coverage.by_technique["T1059.001"].rules.claimed == ("A-1", "A-2")
    told = {one.tag: (one.state, one.successor, one.rules) for one in coverage.tags}
    assert told["T1086"] == ("moved", "T1059.001", ("A-1",))
    assert told["T9999"] == ("unknown", "", ("A-4",))
    assert told["T1108"][0] in ("retired", "moved")


def test_counting_asked_events() -> None:
    asked = [
        AskedEvents("windows/sysmon", (("EventID", ("1", "10")),)),
        AskedEvents("windows/sysmon"),
        AskedEvents("aws/cloudtrail", (("eventName", ("List*",)),)),
    ]
    counter = AskedCounter(asked)
    for event in [sysmon(1), sysmon(10), sysmon(11), {"x": 1}]:
        counter.add(event)
    for name in ("ListUsers", "GetUser"):
        counter.add({"eventName": name, "eventSource": "iam.amazonaws.com", "eventVersion": "1", "userIdentity": {}, "eventTime": "2024-05-01T10:00:00Z", "eventID": "x", "awsRegion": "y"})  # fmt: skip
    assert [counter.counts[one] for one in asked] == [2, 3, 1]
    assert counter.mapped == set(asked)
    assert AskedCounter(asked, "aws").mapped == {asked[2]}


# The command


def test_as_data(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["coverage", str(SAMPLE), "-f", "json"]) == 0
    data = json.loads(capsys.readouterr().out)
    jsonschema.Draft202012Validator(schema("coverage")).validate(data)
    known = enterprise_attack()
    assert len(data["strategies"]) == len(known.strategies)
    assert sum(len(one["analytics"]) for one in data["strategies"]) == len(known.analytics)
    for one in [*data["techniques"], *data["strategies"]]:
        layers = one["rules"]
        assert set(layers["seen"]) <= set(layers["runnable"]) <= set(layers["claimed"])
    assert data["summary"]["layers"]["seen"]["techniques"] >= 1


def test_as_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["coverage", str(SAMPLE)]) == 0
    out = capsys.readouterr().out
    assert "691 strategies, 1,739 analytics" in out
    assert "what is missing, and what it would bring" in out
    assert main(["coverage", str(SAMPLE), "--technique", "t1086"]) == 0
    assert "T1059.001 PowerShell" in capsys.readouterr().out
    assert main(["coverage", "--technique", "T9999"]) == 2
    assert "no technique T9999" in capsys.readouterr().err


NAVIGATOR = {
    "type": "object",
    "required": ["name", "domain", "versions"],
    "additionalProperties": False,
    "properties": {
        "name": {"type": "string"},
        "description": {"type": "string"},
        "domain": {"enum": ["enterprise-attack", "mobile-attack", "ics-attack"]},
        "versions": {
            "type": "object",
            "required": ["navigator", "layer"],
            "additionalProperties": False,
            "properties": {
                "attack": {"type": "string", "pattern": "^[0-9]+$"},
                "navigator": {"type": "string", "pattern": r"^(4\.9|[5-9])"},
                "layer": {"const": "4.5"},
            },
        },
        "sorting": {"enum": [0, 1, 2, 3]},
        "layout": {
            "type": "object",
            "additionalProperties": False,
            "properties": {
                "layout": {"enum": ["side", "flat", "mini"]},
                "showID": {"type": "boolean"},
                "showName": {"type": "boolean"},
            },
        },
        "hideDisabled": {"type": "boolean"},
        "techniques": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["techniqueID"],
                "additionalProperties": False,
                "properties": {
                    "techniqueID": {"type": "string", "pattern": r"^T[0-9]{4}(\.[0-9]{3})?$"},
                    "score": {"type": "number"},
                    "comment": {"type": "string"},
                    "enabled": {"type": "boolean"},
                    "metadata": {"$ref": "#/$defs/metadata"},
                },
            },
        },
        "gradient": {
            "type": "object",
            "required": ["colors", "minValue", "maxValue"],
            "additionalProperties": False,
            "properties": {
                "colors": {"type": "array", "minItems": 2, "items": {"$ref": "#/$defs/color"}},
                "minValue": {"type": "number"},
                "maxValue": {"type": "number", "exclusiveMinimum": 0},
            },
        },
        "legendItems": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["label", "color"],
                "additionalProperties": False,
                "properties": {"label": {"type": "string"}, "color": {"$ref": "#/$defs/color"}},
            },
        },
        "metadata": {"$ref": "#/$defs/metadata"},
    },
    "$defs": {
        "color": {"type": "string", "pattern": "^#[0-9a-f]{6}$"},
        "metadata": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["name", "value"],
                "additionalProperties": False,
                "properties": {"name": {"type": "string"}, "value": {"type": "string"}},
            },
        },
    },
}
"""What MITRE's page of the format, version 4.5, says of the properties that we write:
https://github.com/mitre-attack/attack-navigator/blob/master/layers/spec/v4.5/layerformat.md"""


def test_navigator_layers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "layers.json"
    assert main(["coverage", str(SAMPLE), "--navigator", str(path)]) == 0
    layers = json.loads(path.read_text())
    assert [layer["name"].rsplit(" ", 1)[1] for layer in layers] == ["claimed", "runnable", "seen"]
    for layer in layers:
        jsonschema.Draft202012Validator(NAVIGATOR).validate(layer)
        ids = [one["techniqueID"] for one in layer["techniques"]]
        assert len(ids) == len(set(ids))
        assert all(one["score"] > 0 for one in layer["techniques"])
    colours = [layer["gradient"]["colors"][1] for layer in layers]
    assert len(set(colours)) == 3
    # Not into the evidence.
    assert main(["coverage", str(tmp_path), "--navigator", str(path)]) == 2
    capsys.readouterr()


def test_another_version_of_attack(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With a technique that has gone, one that is new, and a log source nobody knows."""
    bundle = tmp_path / "enterprise.json"

    def item(type_: str, id_: str, **more: Any) -> dict[str, Any]:
        reference = {"source_name": "mitre-attack", "external_id": id_}
        return {"type": type_, "id": f"{type_}--{id_}", "name": f"Name of {id_}\x1b[31m", "external_references": [reference], **more}  # fmt: skip

    objects = [
        item("attack-pattern", "T1003", revoked=True),
        item("attack-pattern", "T2003", kill_chain_phases=[{"kill_chain_name": "mitre-attack", "phase_name": "credential-access"}]),
        item("x-mitre-data-component", "DC0001"),
        item(
            "x-mitre-analytic", "AN0001", x_mitre_platforms=["Windows"],
            x_mitre_log_source_references=[{"x_mitre_data_component_ref": "x-mitre-data-component--DC0001", "name": "new:\x1b[2Jsource", "channel": "<b>"}],
        ),
        item("x-mitre-detection-strategy", "DET0001", x_mitre_analytic_refs=["x-mitre-analytic--AN0001"]),
        {"type": "relationship", "id": "r1", "relationship_type": "revoked-by", "source_ref": "attack-pattern--T1003", "target_ref": "attack-pattern--T2003"},
        {"type": "relationship", "id": "r2", "relationship_type": "detects", "source_ref": "x-mitre-detection-strategy--DET0001", "target_ref": "attack-pattern--T2003"},
    ]  # fmt: skip
    bundle.write_text(json.dumps({"type": "bundle", "id": "b", "objects": objects}))
    rules = tmp_path / "rule.car"
    rules.write_text(CAR.format(id="A-1", attack="T1003", search="Process:Create"))
    command = ["coverage", "--attack", str(bundle), "-r", str(rules)]
    assert main([*command, "-f", "json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert [(one["id"], one["rules"]["claimed"]) for one in data["techniques"]] == [
        ("T2003", ["A-1"])
    ]
    assert data["tags"] == [
        {"tag": "T1003", "state": "moved", "successor": "T2003", "rules": ["A-1"]}
    ]
    [source] = data["strategies"][0]["analytics"][0]["log_sources"]
    assert source["state"] == "no field map"
    assert "does not know" in source["told"]
    # What the bundle says is text.
    for more in ([], ["--technique", "T2003"]):
        assert main([*command, *more]) == 0
        assert "\x1b" not in capsys.readouterr().out
    assert from_objects({}).techniques == {}
    assert navigator_layers(measure_coverage([]))[0]["techniques"] == []
    assert find_maps("sysmon")


def test_events_that_bring_the_same_are_told_together() -> None:
    rules = [car("A-1", "T1003.001", "Process:Create")]
    labels = [one.label for one in measure_coverage(rules, []).missing]
    assert len(labels) == len(set(labels))
    assert "windows/sysmon EventID 10" in labels
    # One event, wherever an analytic asks for it beside others.
    assert any(label.startswith("linux/auditd SYSCALL open, openat2") for label in labels)
