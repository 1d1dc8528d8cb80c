"""Sigma rules: modifiers, conditions, shapes of logs, and what is refused.

The property at the end holds the whole way (pySigma, IR, lowering, matcher) against an evaluator of
its own, which reads a rule's plain data and knows nothing of carengine.
"""

from __future__ import annotations

import fnmatch
import io
import itertools
import json
import os
import re
import sys
import tarfile
import zipfile
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import attrs
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from sigma.rule import SigmaDetections

import carengine
import windows_shapes
from archives import unpack
from carengine import ir
from carengine.cli import main, status
from carengine.engine import interpret
from carengine.fieldmap import find_maps
from carengine.languages.sigma.condition import ConditionError, parse_condition
from carengine.languages.sigma.detection import pattern_text
from carengine.pattern import Pattern
from carengine.rule import RuleSet
from sigma_rules import FLAT, HEAD, SYSMON, hits, load, with_detection
from windows_shapes import Windows

SHARED = Path(__file__).parents[1].parent / "shared"
# Most backends still need version 1, which our reader takes as well.
OLD = version("pysigma").startswith("1.")
_CHANNEL = str(SYSMON["Channel"])


def matching(item: str, events: list[dict[str, Any]], **placeholders: list[str]) -> list[bool]:
    rules = load(with_detection(f"sel:\n{item}\ncondition: sel"), **placeholders)
    assert not rules.refused, rules.diagnostics
    found = {place for place, _ in hits(rules, [SYSMON | event for event in events])}
    return [place in found for place in range(len(events))]


def values_of(name: str, values: list[Any]) -> list[dict[str, Any]]:
    return [{name: value} for value in values]


# What each modifier matches, and what is near and does not.

MODIFIERS: list[tuple[str, list[Any], list[Any]]] = [
    ("F: abc", ["abc", "ABC"], ["abcd", "xabc", "", None, {}]),
    ("F: a*c", ["ac", "aBBc", "a\nc"], ["acd", "bac"]),
    ("F: a?c", ["abc", "a?c"], ["ac", "abbc"]),
    (r"F: a\*c", ["a*c"], ["abc", "ac"]),
    (r"F: a\?c", ["a?c"], ["abc"]),
    (r"F: a\\*c", ["a\\c", "a\\xc"], ["a*c", "ac"]),
    (r"F: a\\\*c", ["a\\*c"], ["a\\xc", "a*c"]),
    (r"F: C:\Windows\x", ["c:\\windows\\x"], ["c:windowsx"]),
    (r"F: \\\\host", ["\\\\host"], ["\\host", "\\\\\\\\host"]),
    ("F: 'a[*]c'", ["a[]c", "a[xy]c"], ["a*c"]),
    ("F: 'a[?]c'", ["a[x]c"], ["a?c", "a[]c"]),
    (r"F: 'a[\*]c'", ["a[*]c"], ["a*c", "a[x]c"]),
    (r"F: 'a[\?]c'", ["a[?]c"], ["a?c", "a[x]c"]),
    ("F: ''", [""], [None, "x", " "]),
    ("F: null", [None], ["", "null", "-", 0, False]),
    ("F: '-'", ["-"], [None, ""]),
    ("F: 445", [445, "445", 445.0, [1, 445]], [4450, "0x1bd", None, True]),
    ("F: 0x1BD", [445, "445", "0x1bd"], ["446", "1bd"]),
    ("F: 9007199254740993", [9007199254740993, "9007199254740993"], [9007199254740992]),
    ("F: 0x8010000000000001", ["0x8010000000000001", 0x8010000000000001], [0x8010000000000000]),
    ("F|gte: 9007199254740993", [9007199254740993], [9007199254740992]),
    ("F: 1.5", [1.5, "1.50"], [1, "1,5"]),
    ("F: true", [True, "true", "TRUE"], [False, 1, "1", None]),
    ("F: [a, b, 3]", ["a", "B", 3, "3"], ["c", "ab"]),
    ("F|contains: bc", ["bc", "abcd"], ["b c", None]),
    ("F|contains: [bc, de]", ["bc", "xde"], ["bd"]),
    ("F|contains|all: [bc, de]", ["bcde", "de bc"], ["bc", "de"]),
    ("F|contains: 44", [44, "1445"], ["4 4"]),
    ("F|contains: ''", ["", "x"], [None]),
    ("F|startswith: ab", ["ab", "abc"], ["xab", "a"]),
    ("F|endswith: bc", ["bc", "ABC"], ["bcx", "c"]),
    (r"F|endswith: \x.exe", ["C:\\x.exe"], ["x.exe", "C:\\xx.exe"]),
    ("F|cased: Abc", ["Abc"], ["abc", "ABC"]),
    ("F|contains|cased: Bc", ["aBcd"], ["abcd"]),
    ("F|startswith|cased: [Ab, Xy]", ["Abc", "Xyz"], ["abc"]),
    ("F|re: 'a.c$'", ["abc", "xabc"], ["ABC", "abcd", "a\nc"]),
    ("F|re|i: 'a.c'", ["ABC", "abc"], ["ac"]),
    ("F|re|s: '^a.c$'", ["a\nc"], ["a\n\nc"]),
    ("F|re|m: '^b$'", ["a\nb\nc"], ["abc"]),
    ("F|re|i|m|s: '^b.c$'", ["a\nB\nC"], ["a\nbc\n"]),
    (r"F|re: '\d{3}'", ["a123"], ["12"]),
    ("F|re: 'a|b'", ["xa", "b"], ["c"]),
    ("F|re|contains: 'a.c'", ["xabcx"], ["ac"]),
    ("F|re|startswith: 'a.c|d'", ["abcx", "dx"], ["xabc", "xd"]),
    ("F|re|endswith: 'a.c|d'", ["xabc", "xd"], ["abcx", "dx"]),
    ("F|cidr: 10.0.0.0/8", ["10.1.2.3"], ["11.0.0.1", "10.x", None, ""]),
    ("F|cidr: [192.168.0.0/16, 'fe80::/10']", ["192.168.3.4", "fe80::1"], ["192.169.0.1", "fc00::1"]),
    ("F|windash|contains: ' -f '", [" -f ", " /f ", " – f ".replace(" f", "f"), " —f ", " ―f "], [" f ", " +f "]),
    ("F|contains|windash: '-a'", ["x -a", "x /a"], ["x a"]),
    ("F|base64|contains: foo", ["xZm9v"], ["foo", "Zm8="]),
    ("F|base64offset|contains: foobar", ["Zm9vYmFy", "xmb29iYXI", "mZvb2Jhcg"[1:]], ["foobar", "Zm9v"]),
    ("F|wide|base64offset|contains: foo", ["ZgBvAG8A", "YAbwBvA", "mAG8Abw"], ["Zm9v"]),
    ("F|utf16le|base64offset|contains: foo", ["ZgBvAG8A"], ["Zm9v"]),
    ("F|utf16be|base64|contains: foo", ["AGYAbwBv"], ["ZgBvAG8A"]),
    ("F|utf16|base64|contains: foo", ["//5mAG8AbwA="], ["AGYAbwBv"]),
    ("F|exists: true", ["", "-", "x", 0, False, {}, [], [None], None], []),
    ("F|exists: false", [], ["", "x", 0, [], None]),
    ("G|exists: true", [], ["x"]),
    ("G|exists: false", ["x", None], []),
    ("F|gt: 5", [6, "6", 5.5, "0x10"], [5, 4, "x", None]),
    ("F|gte: 5", [5, 6], [4, None]),
    ("F|lt: 5", [4, "-1"], [5, "x", None]),
    ("F|lte: 5.5", [5.5, "5"], [6]),
    ("F|neq: a", ["b", "", None, 3], ["a", "A"]),
    ("F|neq: [a, b]", ["c", None], ["a", "b"]),
    ("F|contains|neq: a", ["b", None], ["xay"]),
    ("F|minute: 30", ["2024-01-02T03:30:59Z"], ["2024-01-02T03:31:00Z", "30", None]),
    ("F|hour: 3", ["2024-01-02T03:30:00Z", "2024-01-02T04:30:00+01:00"], ["2024-01-02T04:00:00Z"]),
    ("F|day: 2", ["2024-01-02 00:00:00"], ["2024-02-01"]),
    ("F|week: 1", ["2024-01-02"], ["2024-01-08"]),
    ("F|month: 1", ["2024-01-31"], ["2024-02-01"]),
    ("F|year: 2024", ["2024-06-01"], ["2023-12-31"]),
    ("F|hour|gte: 22", ["2024-01-02T23:00:00Z"], ["2024-01-02T21:59:00Z", None]),
]  # fmt: skip


@pytest.mark.parametrize(("item", "good", "bad"), MODIFIERS, ids=[row[0] for row in MODIFIERS])
def test_modifiers(item: str, good: list[Any], bad: list[Any]) -> None:
    if OLD and "utf16" in item:
        pytest.skip("pySigma 1 writes no byte order mark")
    found = matching("  " + item, values_of("F", good + bad))
    assert found == [True] * len(good) + [False] * len(bad)


PRESENT: tuple[Any, ...] = (None, "", "-", [], {}, "x", 0)


@pytest.mark.parametrize("wrap", ["flat", "winlogbeat", "evtx", "xml"])
def test_exists_asks_whether_a_field_is_there(wrap: str) -> None:
    shapes: dict[str, Any] = {
        "flat": lambda data: {**SYSMON, **data},
        "winlogbeat": lambda data: {
            "winlog": {"channel": SYSMON["Channel"], "event_id": 1, "event_data": data}
        },
        "evtx": lambda data: {
            "Event": {"System": {"Channel": SYSMON["Channel"], "EventID": 1}, "EventData": data}
        },
        "xml": lambda data: {
            "EventID": 1,
            "Channel": SYSMON["Channel"],
            "EventData": data,
        },
    }
    head = "title: A\nid: {}\nlogsource: {{product: windows, category: process_creation}}\n"
    detection = "s: {PasswordLastSet|exists: %s}\ncondition: s"
    rules = load(
        with_detection(detection % "true", head.format("there")),
        with_detection(detection % "false", head.format("lacks")),
    )
    events = [shapes[wrap]({"Image": "a", "PasswordLastSet": value}) for value in PRESENT]
    events.append(shapes[wrap]({"Image": "a"}))
    shown = [rule for _, rule in hits(rules, events, find_maps("auto"))]
    assert shown == ["there"] * len(PRESENT) + ["lacks"]
    engine = carengine.Engine(rules)
    lines = [json.dumps(event).encode() for event in events] * 40
    assert [match.rule.id for match in engine.lines(lines)] == shown * 40


def test_a_field_with_several_names_is_there_where_one_of_them_is() -> None:
    rules = load(with_detection("s: {Hashes|exists: true}\ncondition: s"))
    assert hits(rules, [SYSMON | {"Hashes": None}, SYSMON]) == [(0, rules.rules[0].id)]
    # A hash that Sigma names is there where the list has it.
    rules = load(with_detection("s: {md5|exists: true}\ncondition: s"))
    events: list[dict[str, Any]] = [{"Hashes": "MD5=aa"}, {"Hashes": "SHA1=aa"}, {"md5": None}, {}]
    assert [place for place, _ in hits(rules, [SYSMON | event for event in events])] == [0, 2]


FIELD_REFERENCES = [
    ("A|fieldref: B", ("x", "X"), ("x", "y")),
    ("A|fieldref|contains: B", ("axb", "X"), ("axb", "c")),
    ("A|fieldref|startswith: B", ("xab", "X"), ("axb", "x")),
    ("A|fieldref|endswith: B", ("abx", "X"), ("axb", "x")),
    ("A|fieldref: B", (445, "445"), (445, "446")),
    ("A|fieldref: B", ("x", ["y", "x"]), ("x", None)),
]


@pytest.mark.parametrize(("item", "good", "bad"), FIELD_REFERENCES)
def test_field_references(item: str, good: tuple[Any, Any], bad: tuple[Any, Any]) -> None:
    events = [{"A": a, "B": b} for a, b in (good, bad, (None, "x"), ("x", None))]
    assert matching("  " + item, events) == [True, False, False, False]


def test_a_reference_to_a_missing_field_is_false_and_its_negation_true() -> None:
    rules = load(with_detection("sel: {A|fieldref: B}\ncondition: not sel"))
    events = [SYSMON | {"A": "x"}, SYSMON | {"A": "x", "B": "x"}]
    assert hits(rules, events) == [(0, rules.rules[0].id)]


KEYWORDS: list[tuple[str, list[str], list[str]]] = [
    ("- mimikatz", ["xMIMIKATZx"], ["mimi katz"]),
    ("- mimi*katz\n- foo", ["mimi and katz", "foo"], ["mimi"]),
    ("'|all':\n  - foo\n  - bar", ["foobar", "bar foo"], ["foo"]),
    ("'|cased': Foo", ["aFoo"], ["foo"]),
    ("'|re': 'a\\d+b'", ["xa12b"], ["ab", "A1B"]),
    ("'|re|i': 'a\\d+b'", ["xA12B"], ["ab"]),
    ("- 4711", ["x4711"], ["471"]),
    ("- 'x[?]y'", ["x[a]y"], ["x?y"]),
]


@pytest.mark.parametrize(("item", "good", "bad"), KEYWORDS)
def test_keywords_are_found_anywhere_in_the_event(
    item: str, good: list[str], bad: list[str]
) -> None:
    indented = "\n".join("  " + line for line in item.splitlines())
    found = matching(indented, values_of("Any", good + bad))
    assert found == [True] * len(good) + [False] * len(bad)


def test_placeholders_take_their_values_from_the_caller() -> None:
    item = "  F|expand: 'x%names%'"
    assert matching(item, values_of("F", ["xa", "XB", "xc"]), names=["a", "b"]) == [
        True,
        True,
        False,
    ]
    item = "  F|expand|contains: '%names%'"
    assert matching(item, values_of("F", ["_a_", "c"]), names=["a", "b*"]) == [True, False]
    # They are Sigma's texts, with wildcards and escapes, and expressions in an expression.
    item = "  F|expand: '%names%'"
    found = matching(item, values_of("F", ["srv1", "a*", "ab"]), names=["srv*", r"a\*"])
    assert found == [True, True, False]
    item = "  F|re|expand|i: '^%names%$'"
    found = matching(item, values_of("F", ["B12", "xb1", "a.c", "abc"]), names=[r"b\d*", r"a\.c"])
    assert found == [True, False, True, False]
    many = [f"user{number}" for number in range(1_000)]
    assert matching("  F|expand: '%names%'", values_of("F", ["user999"]), names=many) == [True]
    # Modifiers are applied in their order: those behind `expand` to what stands for the
    # placeholder.
    item = "  F|expand|base64offset|contains: '%names%'"
    assert matching(item, values_of("F", ["xZm9vYmFyx", "foobar"]), names=["foobar"]) == [
        True,
        False,
    ]
    item = "  F|expand|windash|contains|all: ['%names%', 'x']"
    assert matching(item, values_of("F", ["x /f", "x f"]), names=[" -f"]) == [True, False]
    rules = load(with_detection("sel: {F|expand: '%both%%both%'}\ncondition: sel"), both=many)
    [refused] = rules.refused
    assert "more than 100000 values" in refused.diagnostics[0].message
    rules = load(with_detection("sel: {F|expand: '%nobody%'}\ncondition: sel"))
    [refused] = rules.refused
    assert [d.code.id for d in refused.diagnostics] == ["CE804"]
    assert "%nobody%" in refused.diagnostics[0].message


# Detections and conditions

STRUCTURES: list[tuple[str, dict[str, Any], bool]] = [
    ("s: {A: x, B: y}\ncondition: s", {"A": "x", "B": "y"}, True),
    ("s: {A: x, B: y}\ncondition: s", {"A": "x"}, False),
    ("s:\n  - A: x\n  - B: y\ncondition: s", {"B": "y"}, True),
    ("s:\n  - {A: x, B: y}\n  - C: z\ncondition: s", {"A": "x", "C": "n"}, False),
    ("s:\n  - A: x\n  - word\ncondition: s", {"B": "a word"}, True),
    ("s: {A: x}\nt: {B: y}\ncondition: s or t", {"B": "y"}, True),
    ("s: {A: x}\nt: {B: y}\ncondition: s and not t", {"A": "x"}, True),
    ("s: {A: x}\nt: {B: y}\ncondition: s and not t", {"A": "x", "B": "y"}, False),
    ("s: {A: x}\ncondition: not s", {}, True),
    ("s: {A: x}\ncondition: not not s", {}, False),
    ("a: {A: x}\nb: {B: y}\nc: {C: z}\ncondition: a or b and c", {"A": "x"}, True),
    ("a: {A: x}\nb: {B: y}\nc: {C: z}\ncondition: (a or b) and c", {"A": "x"}, False),
    ("f_a: {A: x}\nf_b: {B: y}\ncondition: 1 of f_*", {"B": "y"}, True),
    ("f_a: {A: x}\nf_b: {B: y}\ncondition: all of f_*", {"B": "y"}, False),
    ("f_a: {A: x}\nf_b: {B: y}\ncondition: all of them", {"A": "x", "B": "y"}, True),
    ("f_a: {A: x}\n_b: {B: y}\ncondition: 1 of them", {"B": "y"}, False),
    ("s: {A: x}\nf_a: {A: y}\ncondition: s and not 1 of f_*", {"A": "x"}, True),
    ("not_a: {A: x}\ncondition: not_a", {"A": "x"}, True),
    ("s: {A: x}\nt: {B: y}\ncondition: [s, t]", {"B": "y"}, True),
    ("s: {A: null}\nt: {B: y}\ncondition: s and t", {"B": "y"}, True),
]


@pytest.mark.parametrize(("detection", "event", "expected"), STRUCTURES)
def test_detections_and_conditions(detection: str, event: dict[str, Any], expected: bool) -> None:
    rules = load(with_detection(detection))
    assert not rules.refused, rules.diagnostics
    assert bool(hits(rules, [SYSMON | event])) is expected


CONDITION_ERRORS = [
    ("", "a detection is missing"),
    ("a b", "`and` or `or` is missing before b"),
    ("a and", "missing at the end"),
    ("and a", "missing before and"),
    ("(a", "never closed"),
    ("a)", "closes none"),
    ("a | count() > 3", "correlation"),
    ("a & b", "& means nothing"),
    ("z", "no detection z"),
    ("2 of them", "none of `1 of`"),
    ("1 of z*", "no detection is called z*"),
    ("(" * 60 + "a" + ")" * 60, "nested too deeply"),
    ("not " * 60 + "a", "nested too deeply"),
    ("a or " * 10_000 + "a", "longer than"),
]


@pytest.mark.parametrize(("text", "said"), CONDITION_ERRORS)
def test_condition_errors(text: str, said: str) -> None:
    with pytest.raises(ConditionError, match=re.escape(said)):
        parse_condition(text, {"a": ir.Truth(True), "b": ir.Truth(False)})


_NAMES = ["a", "b", "sel_a", "sel_b", "not_x"]


def _conditions() -> st.SearchStrategy[str]:
    leaf = st.sampled_from([*_NAMES, "1 of sel_*", "all of sel_*", "any of them", "all of them"])
    return st.recursive(
        leaf,
        lambda inner: st.one_of(
            st.builds("({})".format, inner),
            st.builds("not {}".format, leaf),
            st.builds("{} and {}".format, inner, inner),
            st.builds("{} or {}".format, inner, inner),
        ),
        max_leaves=6,
    )


@pytest.mark.skipif(OLD, reason="pySigma 1 reads not_x as a negation")
@settings(max_examples=60, deadline=None)
@given(_conditions(), st.lists(st.booleans(), min_size=5, max_size=5))
def test_conditions_are_read_as_pysigma_reads_them(text: str, truths: list[bool]) -> None:
    known = dict(zip(_NAMES, truths, strict=True))
    ours = ir.simplify(parse_condition(text, {n: ir.Truth(v) for n, v in known.items()}))
    plain = {name: {name: "x"} for name in _NAMES}
    [theirs] = SigmaDetections.from_dict({**plain, "condition": text}).parsed_condition
    assert ours == ir.Truth(_truth(theirs.parsed, known))


def _truth(node: Any, known: Mapping[str, bool]) -> bool:
    match type(node).__name__:
        case "ConditionAND":
            return all(_truth(item, known) for item in node.args)
        case "ConditionOR":
            return any(_truth(item, known) for item in node.args)
        case "ConditionNOT":
            return not _truth(node.args[0], known)
        case _:
            return known[node.field]


# Shapes

IMAGE, PARENT = "C:\\Windows\\System32\\cmd.exe", "C:\\Program Files\\App\\app.exe"
_FIELDS = {"Image": IMAGE, "ParentImage": PARENT, "CommandLine": "cmd /c x", "User": "D\\u"}
_EVTX_SYSTEM = {
    "Provider": {"#attributes": {"Name": "Microsoft-Windows-Sysmon"}},
    "EventID": 1,
    "Channel": "Microsoft-Windows-Sysmon/Operational",
    "TimeCreated": {"#attributes": {"SystemTime": "2024-01-02T03:04:05Z"}},
}
SHAPES: dict[str, dict[str, Any]] = {
    "flat": {**SYSMON, **_FIELDS},
    "flat, provider only": {"SourceName": "Microsoft-Windows-Sysmon", "EventID": "1", **_FIELDS},
    "bare": {"EventID": 1, **_FIELDS},
    "winlogbeat": {"winlog": {"channel": SYSMON["Channel"], "event_id": 1, "event_data": _FIELDS}},
    "winlogbeat6": {"log_name": SYSMON["Channel"], "event_id": 1, "event_data": _FIELDS},
    "evtx": {"Event": {"System": _EVTX_SYSTEM, "EventData": _FIELDS}},
    "evtx, qualified id": {
        "Event": {
            "System": {**_EVTX_SYSTEM, "EventID": {"#attributes": {"Qualifiers": 0}, "#text": 1}},
            "EventData": _FIELDS,
        }
    },
    "helk": {
        "log_name": SYSMON["Channel"],
        "event_id": 1,
        "process_path": IMAGE.replace("\\", "\\\\"),
        "process_parent_path": PARENT.replace("\\", "\\\\"),
        "process_command_line": "cmd /c x",
        "user_domain": "D",
        "user_name": "u",
    },
    "ecs": {
        "winlog": {"channel": SYSMON["Channel"], "event_id": 1, "event_data": {}},
        "process": {
            "executable": IMAGE,
            "command_line": "cmd /c x",
            "parent": {"executable": PARENT},
        },
        "user": {"domain": "D", "name": "u"},
    },
    "security 4688": {
        "Channel": "Security",
        "EventID": 4688,
        "NewProcessName": IMAGE,
        "ParentProcessName": PARENT,
        "CommandLine": "cmd /c x",
        "SubjectDomainName": "D",
        "SubjectUserName": "u",
    },
    "wrapped": {"_source": {**SYSMON, **_FIELDS}},
}
_SHAPE_RULE = r"""
sel:
  Image|endswith: \cmd.exe
  ParentImage|contains: Program Files
  CommandLine|contains: /c
  User: D\u
condition: sel
"""


@pytest.mark.parametrize("shape", SHAPES)
def test_one_rule_runs_on_every_shape(shape: str) -> None:
    rules = load(with_detection(_SHAPE_RULE))
    maps = find_maps("windows")
    event = SHAPES[shape]
    assert hits(rules, [event], maps) == [(0, rules.rules[0].id)]
    text = json.dumps(event).replace("cmd.exe", "com.exe")
    assert hits(rules, [json.loads(text)], maps) == []


_EVENTS = {
    "{product: windows, category: process_creation}": (
        Windows("Security", 4688, {"NewProcessName": IMAGE, "ProcessId": "0x4", "SubjectUserName": "u"}),
        r"{Image|endswith: '\cmd.exe', ParentProcessId: 0x4}",
    ),
    "{product: windows, category: registry_set}": (
        Windows(_CHANNEL, 13, {"TargetObject": "HKLM\\Run\\x", "Image": IMAGE}),
        r"{TargetObject|contains: '\run\'}",
    ),
    "{product: windows, category: ps_script}": (
        Windows("PowerShellCore/Operational", 4104, {"ScriptBlockText": "Invoke-X", "Image": "x"}),
        "{ScriptBlockText|startswith: invoke}",
    ),
    "{product: windows, service: security}": (
        Windows("Security", 4624, {"LogonType": "3", "TargetUserName": "bob", "SubjectUserName": "sys"}),
        "{EventID: 4624, LogonType: 3, TargetUserName: BOB, SubjectUserName: sys}",
    ),
    "{product: windows, service: system}": (
        Windows("System", 7045, {"ServiceName": "x", "ImagePath": "cmd /c"}),
        "{EventID: 7045, ImagePath|contains: cmd, Provider_Name: Service Control Manager}",
    ),
    "{product: windows, service: taskscheduler}": (
        Windows("Microsoft-Windows-TaskScheduler/Operational", 129, {"TaskName": "x"}),
        "{EventID: 129, TaskName: x}",
    ),
}  # fmt: skip


@pytest.mark.parametrize("source", _EVENTS)
def test_log_sources_in_every_shape(source: str) -> None:
    event, detection = _EVENTS[source]
    rules = load(
        f"title: T\nid: t\nlogsource: {source}\ndetection: {{s: {detection}, condition: s}}\n"
    )
    maps = find_maps("windows")
    for shape, made in windows_shapes.SHAPES.items():
        near = (
            attrs.evolve(event, id=event.id + 1),
            attrs.evolve(event, channel="Microsoft-Windows-NTLM/Operational"),
            attrs.evolve(event, data=dict.fromkeys(event.data, "near")),
        )
        given = [found for one in (event, *near) if (found := made(one)) is not None]
        # HELK leaves some events as they are.
        if len(given) == 4:
            assert hits(rules, given, maps) == [(0, "t")], shape


def test_what_stands_in_attributes_of_the_system_element() -> None:
    rules = load(
        "title: T\nid: t\nlogsource: {product: windows, service: security}\n"
        "detection: {s: {Execution_ProcessID: 4, Provider_Name|startswith: Microsoft}, condition: s}\n"
    )
    event = Windows("Security", 4624, {"ProcessId": "0x5"})
    for shape in ("flat", "winlogbeat", "winlogbeat6", "evtx", "bare", "dotted"):
        made = windows_shapes.SHAPES[shape](event)
        assert made is not None
        assert hits(rules, [made], find_maps("windows")) == [(0, "t")], shape


SOURCES: list[tuple[str, dict[str, Any], bool]] = [
    ("{product: windows, service: security}", {"Channel": "Security", "EventID": 4624}, True),
    ("{product: windows, service: security}", {"Channel": "security", "EventID": "4624"}, True),
    ("{product: windows, service: security}", {"Channel": "System", "EventID": 4624}, False),
    ("{product: Windows, category: FILE_EVENT}", {**SYSMON, "EventID": 11}, True),
    ("{product: windows, category: file_event}", {**SYSMON, "EventID": 1}, False),
    ("{product: windows, category: registry_event}", {**SYSMON, "EventID": 14}, True),
    ("{product: windows, category: pipe_created}", {**SYSMON, "EventID": 18}, True),
    ("{category: process_creation}", SYSMON, True),
    ("{category: process_creation}", {"Channel": "Linux-Sysmon/Operational", "EventID": 1}, True),
    ("{product: linux, category: process_creation}", SYSMON, False),
    ("{product: windows, category: process_creation, service: sysmon}", SYSMON, True),
    (
        "{product: windows, category: process_creation, service: sysmon}",
        {"Channel": "Security", "EventID": 4688},
        False,
    ),
    ("{product: windows}", {"Channel": "Whatever", "EventID": 1}, True),
    (
        "{product: windows, category: ps_script}",
        {"Channel": "PowerShellCore/Operational", "EventID": 4104},
        True,
    ),
]


@pytest.mark.parametrize(("source", "event", "expected"), SOURCES)
def test_log_sources_are_event_classes(source: str, event: dict[str, Any], expected: bool) -> None:
    head = f"title: A rule\nlogsource: {source}\n"
    rules = load(with_detection("s: {EventID|exists: true}\ncondition: s", head))
    assert bool(hits(rules, [event])) is expected


def test_user_data_stands_below_an_element_of_any_name() -> None:
    head = "title: Log cleared\nlogsource: {product: windows, service: security}\n"
    detection = "s: {EventID: 1102, SubjectUserName: eve}\ncondition: s"
    rules = load(with_detection(detection, head))
    system = {**_EVTX_SYSTEM, "EventID": 1102, "Channel": "Security"}
    event = {"Event": {"System": system, "UserData": {"Cleared": {"SubjectUserName": "eve"}}}}
    assert hits(rules, [event], find_maps("windows")) == [(0, rules.rules[0].id)]


def test_matches_show_native_fields_and_metadata() -> None:
    text = with_detection(
        "s: {Image|endswith: cmd.exe}\ncondition: s",
        HEAD
        + "level: high\nstatus: test\nauthor: Ann\ndate: 2024-01-02\n"
        + "tags: [attack.t1059.003, attack.execution, attack.t1059]\n"
        + "references: [https://example.org]\nfalsepositives: [Admins]\n",
    )
    rules = load(text)
    [rule] = rules
    assert (rule.title, rule.attack) == ("A rule", ("T1059.003", "T1059"))
    assert rule.metadata.level == "high"
    assert rule.metadata.false_positives == ("Admins",)
    assert rule.metadata.data == "windows/process_creation"
    assert rule.syntax is None
    [match] = carengine.Engine(rules).run([SHAPES["evtx"]])
    assert match.events[0].fields["Image"] == IMAGE
    assert match.time == 1_704_164_645_000_000
    assert match.as_json()["rule"]["level"] == "high"


def test_a_rule_that_no_log_can_serve_is_named() -> None:
    head = "title: Cloud\nlogsource: {product: aws, service: cloudtrail}\n"
    rules = load(with_detection("s: {eventName: x}\ncondition: s", head))
    assert len(rules) == 1
    [output] = rules.rules[0].program.outputs
    assert ir.searched(output.plan) == {ir.EventKind("aws", "cloudtrail")}


# Documents

ERRORS: list[tuple[str, str, int, str]] = [
    ("title: x\ndetection: {s: {A: 1}, condition: s}\n", "CE802", 1, "log source is missing"),
    (with_detection("s: {A|nope: 1}\ncondition: s"), "CE802", 5, "nope"),
    (with_detection("s: {A: 1}\ncondition: t"), "CE802", 6, "no detection t"),
    (with_detection("s: {A: 1}"), "CE802", 5, "condition is missing"),
    (with_detection("s: {}\ncondition: s"), "CE802", 5, "empty"),
    (
        with_detection("s: {A|re: '(?=x)'}\ncondition: s"),
        "CE802",
        5,
        ": invalid perl operator: (?=",
    ),
    (
        "title: x\nlogsource: {product: windows}\ndetections: 1\n",
        "CE802",
        1,
        "detection is missing",
    ),
    (with_detection("s: {A|cidr: 10.0.0.1/8}\ncondition: s"), "CE802", 5, "CIDR"),
    (with_detection("s: {A: {b: c}}\ncondition: s"), "CE802", 5, "a mapping"),
    (with_detection("s: {A|gt: x}\ncondition: s"), "CE802", 5, "incompatible"),
    (with_detection("s: {A|contains: [x, null]}\ncondition: s"), "CE802", 5, "of 'null'"),
    (with_detection("s: {A|base64: 'a*'}\ncondition: s"), "CE802", 5, "wildcards"),
    (with_detection("s: {A|cased|fieldref: B}\ncondition: s"), "CE803", 5, "without case"),
    (with_detection("s: {A: &a 1, B: *a}\ncondition: s"), "CE802", 5, "alias"),
    (with_detection("s: {A: 1, A: 2}\ncondition: s"), "CE802", 5, "A"),
    ("title: [\ndetection: 1\n", "CE802", 3, ""),
]


@pytest.mark.parametrize(("text", "code", "line", "said"), ERRORS)
def test_what_is_refused_is_named_with_its_place(
    text: str, code: str, line: int, said: str
) -> None:
    rules = load(text)
    assert len(rules) == 0
    [refused] = rules.refused
    errors = [d for d in refused.diagnostics if d.code.id == code]
    assert errors, refused.diagnostics
    assert any(d.span is not None and d.span.line == line and said in d.message for d in errors), (
        errors
    )


def test_every_error_of_a_rule_is_told() -> None:
    detection = "s: {A|nope: 1, B|re: '('}\nt: {C|cidr: x}\ncondition: s and"
    [refused] = load(with_detection(detection)).refused
    assert len(refused.diagnostics) == 4


def test_wrong_metadata_does_not_keep_a_rule_from_running() -> None:
    text = with_detection("s: {A: 1}\ncondition: s", HEAD + "level: huge\nstatus: {a: b}\n")
    rules = load(text)
    assert len(rules) == 1
    assert [d.code.id for d in rules.diagnostics] == ["CE806", "CE806"]


def test_documents_of_one_file() -> None:
    text = "\n---\n".join(
        [
            "action: global\nlogsource: {product: windows, service: security}\ntitle: Shared",
            "id: a\ndetection: {s: {A: 1}, condition: s}",
            "action: repeat\nid: b\ndetection: {s: {A: 2}}",
            "# nothing but a comment",
            "just text",
        ]
    )
    rules = load(text)
    assert [rule.id for rule in rules] == ["a", "b"]
    assert [r.id for r in rules.refused] == ["1#4"]
    events = [{"Channel": "Security", "EventID": 1, "A": n} for n in (1, 2)]
    assert hits(rules, events) == [(0, "a"), (1, "b")]


GLOBAL = "action: global\ntitle: Shared\nid: g\nname: shared\ndetection: {condition: s}"
SECURITY = "logsource: {product: windows, service: security}\ndetection: {s: {EventID: 4697}}"
SYSTEM = "logsource: {product: windows, service: system}\ndetection: {s: {EventID: 7045}}"
SERVICE_EVENTS: list[dict[str, Any]] = [
    {"Channel": "System", "EventID": 7045},
    {"Channel": "Security", "EventID": 4697},
]


@pytest.mark.parametrize(
    ("documents", "ids"),
    [
        ([GLOBAL, SECURITY, SYSTEM], ["g", "g#2"]),
        ([GLOBAL, SECURITY + "\nid: own", SYSTEM], ["own", "g"]),
        ([GLOBAL.replace("id: g\n", ""), SECURITY, SYSTEM], ["1#2", "1#3"]),
        ([f"{SECURITY[:-1]}, condition: s}}\nid: r", f"action: repeat\n{SYSTEM}"], ["r", "r#2"]),
        ([GLOBAL, SECURITY, "action: reset", SYSTEM[:-1] + ", condition: s}"], ["g", "1#4"]),
    ],
)
def test_documents_with_one_id_are_all_loaded(documents: list[str], ids: list[str]) -> None:
    rules = load("\n---\n".join(documents))
    assert not rules.refused
    assert sorted(rule.id for rule in rules) == sorted(ids)
    assert hits(rules, SERVICE_EVENTS) == [(0, ids[1]), (1, ids[0])]


def test_an_id_that_is_written_twice_is_still_told() -> None:
    rules = load("\n---\n".join([GLOBAL, SECURITY + "\nid: a", SYSTEM + "\nid: a"]))
    assert [rule.id for rule in rules] == ["a"]
    assert [d.code.id for d in rules.refused[0].diagnostics] == ["CE304"]


@pytest.mark.parametrize("reference", ["g", "shared", "G"])
def test_a_reference_to_a_global_id_or_name_means_all_its_documents(reference: str) -> None:
    count = (
        "title: Count\nid: c\ncorrelation: {type: event_count, timespan: 1h,"
        f" rules: {reference}, condition: {{gte: 2}}}}"
    )
    narrowed = (
        "title: Known\nlogsource: {product: windows}\n"
        f"filter: {{rules: [{reference}], f: {{User: admin}}, condition: not f}}"
    )
    rules = load("\n---\n".join([GLOBAL, SECURITY, SYSTEM]), count)
    times = [e | {"TimeCreated": "2024-01-01T00:00:00Z"} for e in SERVICE_EVENTS]
    matches = list(carengine.Engine(rules, FLAT).run(times))
    assert [(m.rule.id, len(m.events)) for m in matches] == [("c", 2)]
    rules = load("\n---\n".join([GLOBAL, SECURITY, SYSTEM]), narrowed)
    assert hits(rules, [e | {"User": "admin"} for e in SERVICE_EVENTS]) == []


YAML_1_2 = [
    # written, what matches, what does not, told
    ("off", ["off", "OFF"], ["false", False], True),
    ("No", ["no"], [False], True),
    ("yes", ["yes"], [True, "true"], True),
    ("on", ["on"], [True], True),
    ("'off'", ["off"], [False], False),
    ("true", [True, "true"], ["yes"], False),
    ("False", [False], ["no"], False),
    ("017", [17, "17", "017"], [15], True),
    ("0o17", [15], [17], True),
    ("1_000", ["1_000"], [1000], True),
    ("0b11", ["0b11"], [3], True),
    ("1e3", [1000], ["1e4"], True),
    ("12:30", ["12:30"], [750], False),
    ("4688", [4688, "4688"], ["4689"], False),
    ("~", [None], ["~"], False),
    ("[a, off]", ["a", "off"], [False], True),
]


@pytest.mark.parametrize(("written", "good", "bad", "told"), YAML_1_2)
def test_values_are_yaml_1_2(written: str, good: list[Any], bad: list[Any], told: bool) -> None:
    rules = load(with_detection(f"sel: {{F: {written}}}\ncondition: sel"))
    events = [SYSMON | {"F": value} for value in good + bad]
    assert [place for place, _ in hits(rules, events)] == list(range(len(good)))
    assert ("CE810" in [d.code.id for d in rules.diagnostics]) is told


@pytest.mark.parametrize("written", ["yes", "no", "on", "off"])
def test_a_truth_value_in_the_words_of_yaml_1_1_is_one_where_nothing_else_can_stand(
    written: str,
) -> None:
    rules = load(with_detection(f"sel: {{F|exists: {written}}}\ncondition: sel"))
    found = hits(rules, [SYSMON | {"F": "x"}, SYSMON])
    assert [place for place, _ in found] == [int(written in ("no", "off"))]
    assert [d.code.id for d in rules.diagnostics] == ["CE810"]


@pytest.mark.parametrize(
    ("item", "good", "bad", "told"),
    [
        (r"F|expand: '\%plain%name%'", ["%plainann"], ["annname%", r"\%plainann"], False),
        (r"F|expand: '\%name\%'", ["%name%"], ["ann"], False),
        (r"F|expand: '\%name%'", ["%name%"], ["ann", r"\ann"], True),
        (r"F|expand: 'C:\\%name%\x'", [r"C:\ann\x"], [r"C:\%name%\x"], False),
        (r"F|expand: 'C:\\\\\%x%name%'", ["C:\\\\%xann"], [r"C:\%xann"], False),
        (r"F|expand: '\\\\%name%\\\\'", ["\\\\ann\\\\"], [r"\%name%"], False),
        (r"F|re|expand: '^C:\\%name%$'", [r"C:\ann"], ["C:ann"], False),
        (r"F|expand|contains: '5\% of %name%'", ["_5% of ann_"], ["5 of ann"], False),
        (r"F|re|expand: '^\%%name%$'", ["%ann"], ["ann"], False),
        (r"F|expand: '%name%\%'", ["ann%"], ["ann"], False),
        (r"F: '\%name\%'", [r"\%name\%"], ["%name%"], False),
    ],
)
def test_an_escaped_percent_is_plain(
    item: str, good: list[str], bad: list[str], told: bool
) -> None:
    rules = load(with_detection(f"sel:\n  {item}\ncondition: sel"), name=["ann"])
    assert not rules.refused, rules.refused[0].diagnostics
    found = hits(rules, [SYSMON | {"F": value} for value in good + bad])
    assert [place for place, _ in found] == list(range(len(good)))
    assert ("CE812" in [d.code.id for d in rules.diagnostics]) is told


def test_files_folders_and_archives(tmp_path: Path) -> None:
    good = with_detection("s: {A: 1}\ncondition: s")
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "good.yml").write_text(good)
    (tmp_path / "rules" / "info.yml").write_text("id: x\n")
    (tmp_path / "rules" / "own.car").write_text("a = search Process:Create output a")
    rules = carengine.load_rules(tmp_path / "rules")
    assert len(rules) == 2
    assert [d.code.id for d in rules.diagnostics] == ["CE311"]
    with tarfile.open(tmp_path / "x.tar.gz", "w:gz") as tar:
        tar.add(tmp_path / "rules", "rules")
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("rules/good.yml", good)
    for name, number in (("x.tar.gz", 2), ("x.zip", 1)):
        packed = carengine.load_rules(tmp_path / name)
        assert len(packed) == number
        assert any("!rules/good.yml" in rule.path for rule in packed)


_WRITTEN = {
    "json": '{"title": "T", "id": "x", "logsource": {"product": "windows"}, "detection": {"s": {"A": 1}, "condition": "s"}}',
    "old Mac": "title: T\rid: x\rlogsource: {product: windows}\rdetection: {s: {A: 1}, condition: s}\r",
    "quoted": "'title': T\n'id': x\n\"logsource\": {product: windows}\n'detection': {s: {A: 1}, condition: s}\n",
    "indented": "  title: T\n  id: x\n  logsource: {product: windows}\n  detection: {s: {A: 1}, condition: s}\n",
    "marked": "\ufefftitle: T\r\nid: x\r\nlogsource: {product: windows}\r\ndetection: {s: {A: 1}, condition: s}\r\n",
}  # fmt: skip


@pytest.mark.parametrize("form", _WRITTEN)
def test_rules_are_known_however_they_are_written(form: str, tmp_path: Path) -> None:
    (tmp_path / "x.yml").write_bytes(_WRITTEN[form].encode())
    rules = carengine.load_rules(tmp_path)
    assert [rule.id for rule in rules] == ["x"], rules.diagnostics


def test_files_that_are_nearly_rules_are_refused(tmp_path: Path) -> None:
    (tmp_path / "list.yml").write_text("- logsource: {product: windows}\n  detection: {}\n")
    (tmp_path / "none.yml").write_text("id: none\nlogsource: {product: windows}\ndetections: {}\n")
    (tmp_path / "other.yml").write_text("services:\n  web:\n    filter: x\n")
    rules = carengine.load_rules(tmp_path)
    assert [refused.id for refused in rules.refused] == ["list", "none"]
    assert [d.code.id for d in rules.diagnostics] == ["CE802", "CE802", "CE311"]


def test_placeholders_and_files_passed_over_on_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "other.yml").write_text("services: {}\n")
    rule = with_detection("s: {User|expand: '%admins%'}\ncondition: s")
    (tmp_path / "rules" / "x.yml").write_text(rule)
    lines = [json.dumps(SYSMON | {"User": user}) for user in ("ann", "bob", "eve")]
    (tmp_path / "e.jsonl").write_text("\n".join(lines))
    given = ["hunt", str(tmp_path / "e.jsonl"), "-r", str(tmp_path / "rules"), "-f", "jsonl"]
    assert main([*given, "--input", "admins=ann", "--input", "admins=B*"]) == status.DONE
    told = capsys.readouterr()
    assert [json.loads(line)["events"][0]["record"] for line in told.out.splitlines()] == [1, 2]
    assert "passed over: 1 file with no rule: " in told.err
    assert main([*given, "--input", "others=ann"]) == status.USAGE


def test_archives_have_limits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("carengine.loading.files._MAX_ARCHIVE", 1_000_000)
    with tarfile.open(tmp_path / "x.tgz", "w:gz") as tar:
        for number in range(40):
            info = tarfile.TarInfo(f"{number}.bin")
            info.size = 80_000
            tar.addfile(info, io.BytesIO(bytes(info.size)))
    rules = carengine.load_rules(tmp_path / "x.tgz")
    assert [d.code.id for d in rules.diagnostics] == ["CE301"]
    (tmp_path / "y.zip").write_bytes(b"PK\3\4 and nothing more")
    (tmp_path / "z.tgz").write_bytes(b"\x1f\x8b and nothing more")
    for name in ("y.zip", "z.tgz"):
        said = carengine.load_rules(tmp_path / name).diagnostics
        assert {d.code.id for d in said} == {"CE301"}


def test_without_pysigma_every_file_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.yml").write_text(with_detection("s: {A: 1}\ncondition: s"))
    (tmp_path / "b.car").write_text("a = search Process:Create output a")
    monkeypatch.setitem(sys.modules, "carengine.languages.sigma", None)
    rules = carengine.load_rules(tmp_path)
    assert [rule.id for rule in rules] == ["b"]
    [refused] = rules.refused
    assert (refused.id, refused.diagnostics[0].code.id) == ("a", "CE801")


# Against an evaluator of its own

_ALPHABET = st.sampled_from(["a", "A", "b", "é", "É", "\\", "*", "?", "[", "]", ".", "-", "1"])
_TEXT = st.text(_ALPHABET, max_size=5)
_VALUE: st.SearchStrategy[Any] = st.one_of(_TEXT, st.sampled_from([None, 1, 11, True]))
_MODIFIERS_TRIED = ["", "|contains", "|startswith", "|endswith", "|cased", "|contains|cased"]


@st.composite
def _items(draw: st.DrawFn) -> tuple[str, Any]:
    field = draw(st.sampled_from(["A", "B"]))
    kind = draw(st.sampled_from(["text", "text", "text", "plain", "exists"]))
    if kind == "exists":
        return f"{field}|exists", draw(st.booleans())
    if kind == "plain":
        return field, draw(st.one_of(_VALUE, st.lists(_VALUE, min_size=1, max_size=3)))
    modifiers = draw(st.sampled_from(_MODIFIERS_TRIED))
    modifiers += draw(st.sampled_from(["", "|all", "|neq"]))
    return field + modifiers, draw(st.lists(_TEXT, min_size=1, max_size=3))


_DETECTION = st.lists(_items(), min_size=1, max_size=3).map(dict)
_EVENT = st.fixed_dictionaries({}, optional={"A": _VALUE, "B": _VALUE})
_CONDITION = st.sampled_from(
    ["x", "not x", "x and y", "x or not y", "not (x or y)", "1 of them", "not all of them"]
)


@settings(max_examples=80, deadline=None)
@given(_DETECTION, _DETECTION, _CONDITION, st.lists(_EVENT, min_size=1, max_size=6))
def test_rules_mean_what_a_small_evaluator_says(
    x: dict[str, Any], y: dict[str, Any], condition: str, events: list[dict[str, Any]]
) -> None:
    rule = {
        "title": "A",
        "logsource": {"product": "windows", "category": "process_creation"},
        "detection": {"x": x, "y": y, "condition": condition},
    }
    rules = load(yaml.safe_dump(rule, allow_unicode=True))
    assert not rules.refused, rules.diagnostics
    full = [SYSMON | event for event in events]
    found = {place for place, _ in hits(rules, full)}
    for place, event in enumerate(events):
        truth = {"x": _detected(x, event), "y": _detected(y, event)}
        text = condition.replace("1 of them", "(x or y)").replace("all of them", "(x and y)")
        assert (place in found) is bool(eval(text, {}, truth)), (rule, event)


def _detected(detection: dict[str, Any], event: Mapping[str, Any]) -> bool:
    return all(_item(key, value, event) for key, value in detection.items())


def _item(key: str, wanted: Any, event: Mapping[str, Any]) -> bool:
    field, *modifiers = key.split("|")
    value = event.get(field)
    if modifiers == ["exists"]:
        return (field in event) is wanted
    wanted = wanted if isinstance(wanted, list) else [wanted]
    verdicts = [_one(value, item, modifiers) for item in wanted]
    verdict = all(verdicts) if "all" in modifiers else any(verdicts)
    return not verdict if "neq" in modifiers else verdict


def _one(value: Any, wanted: Any, modifiers: list[str]) -> bool:
    if wanted is None or value is None:
        return wanted is None and value is None
    if isinstance(wanted, int) and not isinstance(wanted, bool):
        return not isinstance(value, bool) and str(value).strip() == str(wanted)
    text = str(value).lower() if isinstance(value, bool) else str(value)
    pattern = str(wanted).lower() if isinstance(wanted, bool) else wanted
    expression = _expression(pattern)
    if "contains" in modifiers:
        expression = f".*{expression}.*"
    elif "startswith" in modifiers:
        expression += ".*"
    elif "endswith" in modifiers:
        expression = ".*" + expression
    flags = re.DOTALL | (0 if "cased" in modifiers else re.IGNORECASE)
    return re.fullmatch(expression, text, flags) is not None


def _expression(pattern: str) -> str:
    """Sigma's wildcards as a regular expression: a backslash escapes ``*``, ``?`` and itself, and
    nothing else."""
    made = ""
    place = 0
    while place < len(pattern):
        character = pattern[place]
        if character == "\\" and pattern[place + 1 : place + 2] in ("*", "?", "\\"):
            place += 1
            made += re.escape(pattern[place])
        else:
            made += {"*": ".*", "?": "."}.get(character) or re.escape(character)
        place += 1
    return made


@settings(max_examples=300, deadline=None)
@given(
    st.text(st.sampled_from("ab[]*?\\"), max_size=8),
    st.text(st.sampled_from("ab[]*?\\"), max_size=8),
)
def test_patterns_keep_their_meaning(written: str, text: str) -> None:
    from sigma.types import SigmaString

    pattern = pattern_text(SigmaString(written))
    if pattern is not None:
        expected = re.fullmatch(_expression(written), text, re.DOTALL | re.IGNORECASE)
        assert Pattern(pattern).matches(text) is (expected is not None)


# Real rules and real logs


def _sigmahq() -> Path:
    path = SHARED / "sigma" / "sigmahq-rules-windows.tar.gz"
    if not path.exists():
        pytest.skip("the rules of SigmaHQ are not here")
    return path


@pytest.fixture(scope="module")
def sigmahq() -> RuleSet:
    return carengine.load_rules(_sigmahq())


def test_all_rules_of_sigmahq_load_and_have_a_log(sigmahq: RuleSet) -> None:
    with tarfile.open(_sigmahq()) as archive:
        files = fnmatch.filter(archive.getnames(), "*.yml")
    assert len(sigmahq) + len(sigmahq.refused) == len(files)
    assert len(sigmahq.refused) <= len(files) // 100
    sources = {kind for found in find_maps("windows") for kind in found.sources()}
    plans = [output.plan for rule in sigmahq for output in rule.program.outputs]
    runnable = [plan for plan in plans if not ir.searched(plan).isdisjoint(sources)]
    assert len(runnable) >= 0.99 * len(files)


def test_regression_data_of_sigmahq(tmp_path: Path) -> None:
    pytest.importorskip("evtx")
    packed = SHARED / "sigma" / "regression-data-a.tar.gz"
    if not packed.exists():
        pytest.skip("the regression data of SigmaHQ are not here")
    with tarfile.open(packed) as archive:
        unpack(archive, tmp_path)
    cases = json.loads((tmp_path / "expected.json").read_text())
    rules = carengine.load_rules(*(tmp_path / case["rule"] for case in cases))
    assert not rules.refused
    engine = carengine.Engine(rules, "windows.evtx")
    exact = 0
    for case in cases:
        events = [record.event for record in carengine.read_events(tmp_path / case["evtx"])]
        found = sum(match.rule.id == case["id"] for match in engine.run(events))
        assert found >= case["match_count"], case
        exact += found == case["match_count"]
    # Two of the samples state no count, and one states fewer events than the rule describes.
    assert exact >= len(cases) - 3


# A few events of each shipper; `make soak-sigma` takes all events of all recordings.
_SOAK = "CARENGINE_SOAK" in os.environ
_SAMPLE = [
    "mordor/psh_lsass_memory_dump_comsvcs.zip",
    "mordor-2019/empire_net_start.tar.gz",
]


def test_the_matcher_agrees_with_the_reference_on_real_logs(sigmahq: RuleSet) -> None:
    paths = [SHARED / name for name in (["mordor", "mordor-2019"] if _SOAK else _SAMPLE)]
    if not all(path.exists() for path in paths):
        pytest.skip("the recorded attacks are not here")
    maps = find_maps("windows") if _SOAK else find_maps(["windows.flat", "windows.winlogbeat6"])
    engine = carengine.Engine(sigmahq, maps)
    events = (record.event for record in carengine.read_events(*paths))
    if not _SOAK:
        # Those that match, and some of the rest.
        session = engine.session()
        events = (e for n, e in enumerate(events) if session.feed(e) or n % 100 == 0)
    looked = matched = 0
    while batch := list(itertools.islice(events, 200)):
        where = {id(event): place for place, event in enumerate(batch)}
        fast = sorted((where[id(m.events[0].event)], m.rule.id) for m in engine.run(batch))
        slow = interpret(sigmahq, batch, maps)
        assert fast == sorted((where[id(m.events[0].event)], m.rule.id) for m in slow)
        looked += len(batch)
        matched += len(fast)
    print(f"{looked:,} events, {matched:,} matches, the same by both")
    assert matched
