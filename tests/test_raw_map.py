"""Fields by their own names: `-m raw`, `--logsource`, `raw_map`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import carengine
from carengine import ir
from carengine.cli import main
from carengine.engine import Engine
from carengine.engine.interpreter import interpret
from carengine.fieldmap import NamedLogSource, find_maps, maps_for, raw_map
from carengine.loading import load_rules
from carengine.rule import Rule

Event = Mapping[str, Any]


def sigma(detection: str, source: str = "{product: acme, service: audit}", name: str = "r") -> str:
    return (
        f"title: {name}\nid: {name}\nlogsource: {source}\n"
        f"detection:\n  s: {detection}\n  condition: s\n"
    )


def loaded(tmp_path: Path, *texts: str) -> list[Rule]:
    for number, text in enumerate(texts):
        (tmp_path / f"{number}.yml").write_text(text, "utf-8")
    rules = load_rules(tmp_path)
    assert not rules.refused
    return list(rules)


def hits(rules: list[Rule], events: list[Event], maps: Any) -> list[tuple[str, int]]:
    """Which rule matches which event; engine and reference must agree."""
    engine = Engine(rules, maps)
    found = []
    for number, event in enumerate(events):
        mine = [match.rule.id for match in engine.run([event])]
        kinds = {k for rule in rules for o in rule.program.outputs for k in ir.searched(o.plan)}
        theirs = [m.rule.id for m in interpret(rules, [event], maps_for(maps, kinds))]
        assert mine == theirs
        found += [(rule, number) for rule in mine]
    return found


@pytest.mark.parametrize(
    ("event", "matches"),
    [
        ({"a": {"b": {"c": 1}}}, True),
        ({"a.b.c": 1}, True),
        ({"a.b": {"c": 1}}, True),
        ({"a": {"b.c": 1}}, True),
        ({"a": {"b": {"c": "1"}}}, True),
        ({"a": {"b": {"c": [2, 1]}}}, True),
        ({"a": {"b": None}, "a.b.c": 1}, True),
        ({"a": {"b": {"c": 2}}}, False),
        ({"a": {"c": 1}}, False),
        ({"A": {"b": {"c": 1}}}, False),
        ({"a": "b.c"}, False),
        ({"a": {"b": {"c": {}}}}, False),
        ({"": {"a": 1}}, False),
        ({}, False),
    ],
)
def test_dotted_and_nested(event: Event, matches: bool, tmp_path: Path) -> None:
    rules = loaded(tmp_path, sigma("{a.b.c: 1}"))
    wanted = [("r", 0)] if matches else []
    assert hits(rules, [event], "raw") == wanted
    assert hits(rules, [event], raw_map(["acme/audit"])) == wanted


@given(st.lists(st.sampled_from("abc"), min_size=1, max_size=6), st.data())
def test_each_name_is_found_however_it_is_nested(parts: list[str], data: Any) -> None:
    """One dot moved into a key anywhere, or all of them, or none; every way up to four parts."""
    path = data.draw(st.sampled_from(_ways(parts)))
    event: Any = 1
    for key in reversed(path):
        event = {key: event}
    names = raw_map(["x/y"]).entries[0].native
    assert names is not None
    get = names.getter(".".join(parts))
    assert get is not None
    assert get(event) == 1
    assert names.present(event) == (".".join(parts),)


def _ways(parts: list[str]) -> list[list[str]]:
    if len(parts) > 4:
        return [parts, [".".join(parts)], [".".join(parts[:2]), *parts[2:]]]
    if len(parts) == 1:
        return [parts]
    rest = _ways(parts[1:])
    return [[parts[0], *way] for way in rest] + [[f"{parts[0]}.{w[0]}", *w[1:]] for w in rest]


ALL = (
    sigma("{x: 1}", "{product: acme, service: audit}", "service"),
    sigma("{x: 1}", "{product: acme}", "product"),
    sigma("{x: 1}", "{category: audit}", "category"),
    sigma("{x: 1}", "{product: acme, category: audit, service: s}", "three"),
    sigma("{x: 1}", "{product: other, service: audit}", "other"),
    sigma("{x: 1}", "{product: windows, category: process_creation}", "windows"),
    sigma("['needle']", "{product: acme, service: audit}", "word"),
)


@pytest.mark.parametrize(
    ("maps", "expected"),
    [
        ("raw", "category other product service three windows word"),
        (["raw"], "category other product service three windows word"),
        (NamedLogSource.parse("acme/audit"), "category product service word"),
        (NamedLogSource.parse("acme/audit/s"), "category product service three word"),
        (NamedLogSource.parse("audit"), "category"),
        (NamedLogSource.parse("ACME / Audit where x = 1"), "category product service word"),
        (NamedLogSource.parse("acme/audit where x = 2"), ""),
        (NamedLogSource.parse("acme/audit where a.b exists"), "category product service word"),
        (
            [NamedLogSource.parse(s) for s in ("acme/audit", "audit")],
            "category product service word",
        ),
        (["auto", NamedLogSource.parse("windows/process_creation")], "windows"),
    ],
)
def test_log_sources(maps: Any, expected: str, tmp_path: Path) -> None:
    rules = loaded(tmp_path, *ALL)
    event = {"x": 1, "note": "a NEEDLE", "a": {"b": 0}}
    # Each rule once, whatever log sources the event is of.
    assert [rule for rule, _ in hits(rules, [event], maps)] == expected.split()


@pytest.mark.parametrize(
    "text",
    ["", "a/b/c/d", "a b", "*", "*/*", "where x exists", "a/", "/", "a/b\x1b[31m", "é/" * 99],
)
def test_what_is_no_log_source(text: str) -> None:
    with pytest.raises(carengine.CarError) as error:
        NamedLogSource.parse(text)
    assert [item.code.id for item in error.value.diagnostics] == ["CE407"]


@pytest.mark.parametrize("where", ["", "x =", "exe like", "x = 1 and", "(" * 500])
def test_what_is_no_condition(where: str) -> None:
    with pytest.raises(carengine.CarError):
        NamedLogSource.parse(f"a/b where {where}")


SYSMON = {
    "Channel": "Microsoft-Windows-Sysmon/Operational",
    "EventID": 1,
    "UtcTime": "2024-05-20 10:00:00.000",
    "Image": "C:\\x\\a.exe",
}


def test_an_installed_map_goes_first(tmp_path: Path) -> None:
    source = "{product: windows, category: process_creation}"
    rules = loaded(tmp_path, sigma("{Image|endswith: '\\a.exe'}", source))
    maps: list[Any] = ["auto", NamedLogSource.parse("windows/process_creation")]
    own = {"Image": "C:\\x\\a.exe"}
    engine = Engine(rules, maps)
    through = {group[0].name for event in (SYSMON, own) if (group := engine.classify(event).maps)}
    assert hits(rules, [SYSMON, own], maps) == [("r", 0), ("r", 1)]
    assert "raw" not in {one.name for one in engine.classify(SYSMON).maps}
    assert "raw" in through
    # A Sysmon event of another kind is no process creation, whatever was said.
    assert hits(rules, [{**SYSMON, "EventID": 7}], maps) == []


def test_pseudocode_has_cars_names() -> None:
    rule = carengine.parse_rule('a = search Process:Create where exe = "x.exe" output a')
    event = {"object": "process", "action": "create", "exe": "X.EXE"}
    assert len(list(Engine([rule], "raw").run([event]))) == 1
    assert list(Engine([rule], "raw").run([{"exe": "x.exe"}])) == []


def test_times(tmp_path: Path) -> None:
    rules = loaded(tmp_path, sigma("{x: 1}"))
    for event in (
        {"x": 1, "@timestamp": "2024-05-20T10:00:00Z"},
        {"x": 1, "event": {"created": "2024-05-20T10:00:00Z"}},
        {"x": 1, "ts": 1716199200},
    ):
        [match] = Engine(rules, "raw").run([event])
        assert match.time == 1716199200_000000


def test_save_and_load(tmp_path: Path) -> None:
    rules = loaded(tmp_path, *ALL)
    event = {"x": 1}
    for maps in ("raw", NamedLogSource.parse("acme/audit where x = 1")):
        engine = Engine(rules, maps)
        engine.save(tmp_path / "e")
        again = Engine.load(tmp_path / "e")
        mine, theirs = ([m.rule.id for m in one.run([event])] for one in (engine, again))
        assert mine == theirs != []


FORMS = {
    "w3c": (
        "#Software: Microsoft Internet Information Services 10.0\n#Version: 1.0\n"
        "#Fields: date time c-ip cs-method cs-uri-stem sc-status\n"
        "2024-05-20 07:58:41 10.0.0.9 GET /x.aspx 500\n",
        "{sc-status: 500, cs-uri-stem|endswith: .aspx}",
    ),
    "access": (
        '10.0.0.9 - ann [20/May/2024:07:58:41 +0000] "GET /a?b=c HTTP/1.1" 500 5 "-" "curl/8"\n',
        "{status: 500, user_agent|startswith: curl}",
    ),
    "cef": (
        "CEF:0|Acme|Fw|1.0|100|blocked|7|src=10.0.0.1 dst=10.0.0.2 msg=no way\n",
        "{src: 10.0.0.1, msg|contains: way}",
    ),
    "pairs": (
        'time=2024-05-20T07:58:41Z level=info msg="user added" src=10.0.0.1\n',
        "{level: info}",
    ),
    "plain": ("something went wrong: panic\n", "{message|contains: panic}"),
    "word": ("something went wrong: panic\n", "['PANIC']"),
    "json": ('{"a": {"b": "x"}}\n', "{a.b: x}"),
}


@pytest.mark.parametrize("form", FORMS)
def test_any_format(form: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text, detection = FORMS[form]
    (tmp_path / "app.log").write_text(text * 3, "utf-8")
    (tmp_path / "rule.yml").write_text(sigma(detection, "{product: acme, service: app}"), "utf-8")
    log, rule = str(tmp_path / "app.log"), str(tmp_path / "rule.yml")
    assert main(["hunt", log, "-r", rule, "--logsource", "acme/app", "-f", "jsonl"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert all(json.loads(line)["events"][0]["action"] == "app" for line in lines)
    assert main(["hunt", log, "-r", rule, "-m", "raw", "-f", "jsonl", "--jobs", "2"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 3


@pytest.mark.parametrize("command", ["hunt", "needs", "explain", "detect", "normalize"])
def test_every_command_takes_it(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "app.jsonl").write_text('{"x": 1}\n', "utf-8")
    (tmp_path / "rule.yml").write_text(sigma("{x: 1}"), "utf-8")
    log, rule = str(tmp_path / "app.jsonl"), str(tmp_path / "rule.yml")
    given = {"hunt": ["-r", rule, log], "needs": ["-r", rule, log], "explain": [rule, log]}
    arguments = [command, *given.get(command, [log]), "--logsource", "acme/audit"]
    assert main(arguments) == 0
    out, error = capsys.readouterr()
    if command == "normalize":
        # The event is of the log source, and of no kind that CAR has: nothing is written.
        assert out == ""
        assert "1 recognised (1 of no CAR kind)" in error
    else:
        assert "raw" in out or "acme" in out or "match" in out, error


def test_a_wrong_log_source_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["detect", "x", "--logsource", "a b c"]) == 2
    assert "CE407" in capsys.readouterr().err
    assert main(["detect", "x", "--logsource", "a/b where x ="]) == 2
    assert "--logsource" in capsys.readouterr().err


def test_hostile_events(tmp_path: Path) -> None:
    rules = loaded(tmp_path, sigma("{a.a.a.a.a.a: 1}"))
    deep: dict[str, Any] = {"a": 1}
    for _ in range(100):
        deep = {"a": deep}
    wide = {f"k{n}": {"x": n} for n in range(5000)}
    engine = Engine(rules, "raw")
    for event in (deep, wide, {"a": [deep]}, {"a.a": {"a.a": {"a.a": 1}}}):
        for match in engine.run([event]):
            assert len(match.events[0].fields) <= 1024
    [view] = carengine.normalize(wide, find_maps("raw"), sources=True)
    assert len(dict(view.fields)) <= 1024
