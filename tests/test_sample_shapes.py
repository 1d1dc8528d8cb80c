"""How a sample gets the shape of a log: values the other way round, templates, typical fields."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import carengine
from carengine import ir
from carengine.evaluate import NoContext, RawRow, value_of
from carengine.fieldmap import find_maps, installed_maps
from carengine.verify import samples
from carengine.verify.event_templates import shape_fields, templates_of, windows_channels
from carengine.verify.inverses import raw_values

A, B = ir.Raw(("a",)), ir.Raw(("b", "c"))


def call(name: str, *arguments: Any) -> ir.Call:
    nodes = (ir.Raw, ir.Call)
    return ir.Call(name, tuple(a if isinstance(a, nodes) else ir.Constant(a) for a in arguments))


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        (A, "x"),
        (call("first", A, B), "x"),
        (call("choose", A, "k", "v", "other"), "v"),
        (call("joined", A, " "), "id -u  root"),
        (call("values_at", A, "x.y"), "v"),
        (call("member", A, "x"), "v"),
        (call("listed", call("values_at", A, "p"), "name", "N", "value"), "false"),
        (call("concat", "pre/", A, ".suf"), "pre/mid.suf"),
        (call("item", A, 0), "v"),
        (call("lower", A), "v"),
    ],
)
def test_a_function_the_other_way_round(value: ir.Value, wanted: str) -> None:
    read = []
    for path, raw in raw_values(value, wanted):
        event: dict[str, Any] = {}
        place = event
        for part in path[:-1]:
            place = place.setdefault(part, {})
        place[path[-1]] = raw
        read.append(value_of(value, RawRow(event), NoContext()))
    assert wanted in read or [wanted] in read


def test_what_cannot_be_turned_round_proposes_nothing() -> None:
    assert list(raw_values(call("concat", "pre/", A), "other")) == []
    assert list(raw_values(call("between", A, "[", "]"), "x")) == []
    deep: ir.Value = A
    for _ in range(30):
        deep = call("lower", deep)
    assert list(raw_values(deep, "x")) == []


def test_templates_name_maps_and_kinds_that_there_are() -> None:
    maps = {one.name: one for one in installed_maps()}
    named = [m for m in maps.values() for kind in m.by_kind if list(templates_of(m.name, kind))]
    assert {"unix.elastic", "network.cisco", "gcp.workspace"} <= {one.name for one in named}
    assert shape_fields("windows.winlogbeat") is not None
    assert "Security" in windows_channels()


RULE = """
title: {0}
id: 0a7d1d0e-9d6e-4bb5-8a7b-0c6f1b9ad0{1}
logsource: {2}
detection:
  selection: {3}
  condition: selection
"""
MAC = "{product: macos, category: process_creation}", "{Image|endswith: /id, CommandLine: id -u}"
CISCO = "{product: cisco, service: aaa}", "['clear logging']"
GOOGLE = (
    "{product: gcp, service: google_workspace.admin}",
    "{eventName: ENFORCE_STRONG_AUTHENTICATION, new_value: 'false'}",
)
FORTI = "{product: fortigate, service: event}", "{action: Add, cfgpath: user.local}"


@pytest.mark.parametrize(
    ("shape", "rule"),
    [
        ("unix.elastic", MAC),
        ("unix.eslogger", MAC),
        ("unix.osquery", MAC),
        ("network.cisco", CISCO),
        ("gcp.workspace", GOOGLE),
        ("gcp.entry", GOOGLE),
        ("network.fortinet", FORTI),
    ],
)
def test_kinds_that_a_map_computes(shape: str, rule: tuple[str, str], tmp_path: Path) -> None:
    path = tmp_path / "r.yml"
    path.write_text(RULE.format("x", "00", *rule))
    made = samples(carengine.load_rule(path), shape)
    assert made.missing == ()
    [fieldmap] = find_maps(shape)
    assert all(fieldmap.recognises(event) for one in made.samples for event in one.events)


def test_an_event_of_windows_has_the_fields_that_it_usually_has(tmp_path: Path) -> None:
    path = tmp_path / "r.yml"
    source = "{product: windows, category: process_creation}"
    path.write_text(
        RULE.format(
            "x", "01", source, "{Image|endswith: \\reg.exe, CommandLine|contains: ' save '}"
        )
    )
    made = samples(carengine.load_rule(path), "windows.evtx")
    event = made.matches[0].events[0]["Event"]
    data = event["EventData"]
    assert event["System"]["EventID"] == 1
    assert data["Image"] == "C:\\Windows\\System32\\reg.exe"
    assert data["OriginalFileName"] == "reg.exe"
    assert data["CommandLine"] == "reg.exe save "
    time = event["System"]["TimeCreated"]["#attributes"]["SystemTime"]
    assert time.replace("T", " ").startswith(data["UtcTime"][:19])
    for near in made.near_misses:
        other = near.events[0]["Event"]["EventData"]
        changed = {name for name in data if other[name] != data[name]}
        # What fails, what follows from it, and what each sample has of its own.
        own = {"UtcTime", "ProcessGuid", "ProcessId", "ParentProcessGuid", "ParentProcessId"}
        assert len(changed & {"Image", "CommandLine"}) == 1, changed
        assert changed - own <= {"Image", "CommandLine", "OriginalFileName", "Hashes"}


def test_what_a_rule_says_is_missing_stays_missing(tmp_path: Path) -> None:
    path = tmp_path / "r.yml"
    source = "{product: windows, category: process_creation}"
    path.write_text(
        RULE.format("x", "02", source, "{Image|endswith: \\reg.exe, ParentImage: null}")
    )
    made = samples(carengine.load_rule(path), "windows.flat")
    assert made.missing == ()
    assert "ParentImage" not in made.matches[0].events[0]
    assert [bool(near.events[0].get("ParentImage")) for near in made.near_misses].count(True) == 1
