"""Every rule format in every command, and what is particular to files of Splunk searches."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

import carengine
from carengine.cli import main
from carengine.diagnostics import Source
from carengine.engine import Engine
from carengine.languages.splunk.conf import stanzas_of
from carengine.languages.splunk.rules import read
from carengine.loading.formats import FORMATS

Event = dict[str, Any]

ELASTIC = '''
[metadata]
maturity = "production"

[rule]
name = "Whoami"
rule_id = "elastic-1"
language = "kuery"
type = "query"
severity = "low"
query = """
event.category:process and process.name:whoami.exe
"""
'''
CONTENT = r"""
name: Whoami
id: content-1
status: production
type: Hunting
date: '2024-05-01'
author: A
description: Somebody asks who they are.
data_source: [Sysmon EventID 1]
search: '| tstats `security_content_summariesonly` count min(_time) as firstTime
  from datamodel=Endpoint.Processes where Processes.process_name=whoami.exe
  by Processes.dest Processes.user Processes.process_guid Processes.vendor_product
  | `drop_dm_object_name(Processes)` | `security_content_ctime(firstTime)` | `whoami_filter`'
how_to_implement: Collect process events.
known_false_positives: Administrators.
tags:
  mitre_attack_id: [T1033]
  risk_score: 25
"""
SIGMA = """
title: Whoami
id: 5f1abf38-3b0f-4b0c-9d8e-1f2b3c4d5e6f
logsource: {product: windows, category: process_creation}
detection:
  selection: {Image|endswith: \\whoami.exe}
  condition: selection
"""
# The name of a file in each format that finds the event below, and its text.
FILES: dict[str, str] = {
    "a.car": 'a = search Process:Create where exe = "whoami.exe" output a\n',
    "b.eql": '// Whoami\nprocess where process.name : "whoami.exe"\n',
    "c.kql": "// Whoami\nprocess.name:whoami.exe\n",
    "d.logpoint": '# Whoami\nnorm_id=WindowsSysmon event_id=1 image="*\\whoami.exe"\n',
    "e.spl": "```Whoami```\nindex=x EventCode=1 Image=*whoami.exe | stats count by User\n",
    "savedsearches.conf": "[Whoami]\nsearch = EventCode=1 \\\n Image=*whoami.exe\n",
    "content.yml": CONTENT,
    "elastic.toml": ELASTIC,
    "sigma.yml": SIGMA,
}
FOREIGN = [name for name in FILES if name not in ("a.car", "sigma.yml")]
EVENT: Event = {
    "Channel": "Microsoft-Windows-Sysmon/Operational",
    "EventID": 1,
    "Image": "C:\\Windows\\System32\\whoami.exe",
    "CommandLine": "whoami /all",
    "User": "A\\ann",
    "Computer": "ws1",
    "UtcTime": "2024-05-20 10:00:00",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "rules").mkdir()
    for name, text in FILES.items():
        (tmp_path / "rules" / name).write_text(text, encoding="utf-8")
    (tmp_path / "event.json").write_text(json.dumps(EVENT), encoding="utf-8")
    return tmp_path


def test_there_is_a_file_of_each_format() -> None:
    endings = {Path(name).suffix for name in FILES}
    for row in FORMATS:
        assert row.name in ("page", "analytic") or endings & set(row.endings), row.name


VERBS: list[tuple[str, int, str]] = [
    ("hunt {event} -r {rule} -f jsonl", 0, '"rule"'),
    ("check {rule}", 0, "1 usable, 0 refused"),
    ("test {rule}", 0, "1 rule, 0 refused"),
    ("needs -r {rule} -m sysmon.flat", 0, "could run"),
    ("explain {rule} {event}", 0, "match"),
    ("verify {rule}", 0, "1 analytics, 1 implementations"),
    ("translate -t splunk -m sysmon.flat {rule}", 0, "1 of 1 rules translated"),
    ("compile -r {rule} -o {out}", 0, "1 rule"),
    ("page {rule}", 0, "### Implementations"),
]


@pytest.mark.parametrize("name", FOREIGN)
@pytest.mark.parametrize(("command", "state", "said"), VERBS)
def test_every_command_takes_every_format(
    folder: Path,
    capfdbinary: pytest.CaptureFixture[bytes],
    name: str,
    command: str,
    state: int,
    said: str,
) -> None:
    rule, event = folder / "rules" / name, folder / "event.json"
    words = command.format(rule=rule, event=event, out=folder / "out.engine").split()
    returned = main(words)
    shown = b"".join(capfdbinary.readouterr()).decode()
    assert said in shown
    assert returned == state, shown


@pytest.mark.parametrize("name", FOREIGN)
def test_formats_without_a_canonical_form_are_named(
    folder: Path, capfdbinary: pytest.CaptureFixture[bytes], name: str
) -> None:
    rule = folder / "rules" / name
    assert main(["fmt", "--check", str(rule)]) == 0
    assert b"has no canonical form here" in capfdbinary.readouterr().err
    assert main(["fmt", "--write", str(rule)]) == 0
    assert rule.read_text(encoding="utf-8") == FILES[name]


def test_a_page_says_what_its_rule_is_written_in(
    folder: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    assert main(["page", str(folder / "rules" / "b.eql")]) == 0
    shown = capfdbinary.readouterr().out
    assert b"#### EQL, ECS native" in shown
    assert b"Pseudocode" not in shown.partition(b"\n#### Splunk")[0]


def test_folders_and_archives(folder: Path) -> None:
    rules = carengine.load_rules(folder / "rules")
    assert not rules.refused, rules.diagnostics
    assert len(rules) == len(FILES)
    with tarfile.open(folder / "rules.tar", "w") as archive:
        for name, text in FILES.items():
            member = tarfile.TarInfo(f"app/{name}")
            member.size = len(text.encode())
            archive.addfile(member, io.BytesIO(text.encode()))
    again = carengine.load_rules(folder / "rules.tar")
    assert {rule.id for rule in again} == {rule.id for rule in rules}
    found = {match.rule.id for match in Engine(again).run([EVENT])}
    assert found == {rule.id for rule in again}


# Splunk's files


def drafts(texts: dict[str, str]) -> tuple[list[Any], list[Any]]:
    made, said = read([Source(name, text) for name, text in texts.items()])
    return list(made), list(said)


def matches(texts: dict[str, str], *events: Event, maps: Any = "auto") -> list[list[Event]]:
    from carengine.rule import from_drafts

    rules = from_drafts(drafts(texts)[0])
    assert not rules.refused, [item.diagnostics for item in rules.refused]
    found = Engine(rules, maps).run(events)
    return [[dict(seen.event) for seen in match.events] for match in found]


def test_stanzas() -> None:
    text = "a = 1\r\n[x [y]]\r\nb = c \\\r\n  d\r\n; no\nnonsense\n[default]\ne = 2\n"
    [stanza], said = stanzas_of(Source("x.conf", text))
    assert (stanza.name, stanza.text("a"), stanza.text("e")) == ("x [y]", "1", "2")
    assert stanza.text("b") == "c \n  d"
    assert [item.span.text for item in said if item.span] == ["nonsense"]


MACROS: list[tuple[str, str, str]] = [
    ("EventCode=1 `a`", "[a]\ndefinition = Image=*whoami.exe", ""),
    ("EventCode=1 `a(whoami)`", "[a(1)]\nargs = n\ndefinition = Image=*$n$.exe", ""),
    ('`p` `a("x, y", whoami)`', "[a(2)]\nargs = q, n\ndefinition = Image=*$n$.exe\n[p]\n"
     "definition = (index=main OR sourcetype=wineventlog) EventCode=1", ""),
    ("EventCode=1 `a(n=whoami)`", "[a(1)]\nargs = n\ndefinition = `b($n$)`\n[b(1)]\nargs = m\n"
     "definition = Image=*$m$.exe", ""),
    ("EventCode=1 `sysmon_data` Image=*whoami.exe", "[sysmon_data]\n"
     "definition = (index=a sourcetype=b) OR eventtype=c", ""),
    ("EventCode=1 `a`", "[b]\ndefinition = x=1", "the macro `a`"),
    ("EventCode=1 `a`", "[a]\ndefinition = `a`", "in a circle"),
    ("EventCode=1 `a`", "[a]\niseval = 1\ndefinition = \"x=1\"", "an `eval` computes"),
]  # fmt: skip


@pytest.mark.parametrize(("search", "macros", "refused"), MACROS)
def test_macros(search: str, macros: str, refused: str) -> None:
    texts = {"app/savedsearches.conf": f"[s]\nsearch = {search}\n", "app/macros.conf": macros}
    [draft], _ = drafts(texts)
    if not refused:
        assert matches(texts, EVENT) == [[EVENT]]
        return
    [found] = [item for item in draft.diagnostics if item.severity.value == "error"]
    assert refused in found.message
    assert found.span is not None
    assert found.span.line == 2


def test_macros_of_a_file_of_their_own(
    folder: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    (folder / "s.spl").write_text("EventCode=1 `who`", encoding="utf-8")
    (folder / "who.yml").write_text("name: who\ndefinition: Image=*whoami.exe\n", encoding="utf-8")
    assert carengine.load_rules(folder / "s.spl").refused
    event, rule, macros = (str(folder / name) for name in ("event.json", "s.spl", "who.yml"))
    assert main(["hunt", event, "-r", rule, "--macros", macros, "-f", "jsonl"]) == 0
    assert b'"rule"' in capfdbinary.readouterr().out


def test_what_a_saved_search_says_of_itself() -> None:
    text = r"""
[Logons]
search = sourcetype=WinEventLog EventCode=4625
description = Failed logons.
cron_schedule = */5 * * * *
dispatch.earliest_time = -10m@m
action.correlationsearch.label = Failed Logons
action.correlationsearch.annotations = {"mitre_attack": ["T1110.001", "T1110", "TA0006"]}
action.notable.param.severity = high
action.risk.param._risk_score = 40
"""
    [draft], said = drafts({"savedsearches.conf": text})
    about = draft.metadata
    assert not said
    assert (draft.id, about.title, about.level) == ("Logons", "Failed Logons", "high")
    assert [(t.id, t.subtechniques) for t in about.attack] == [("T1110", ("T1110.001",))]
    assert about.tags == ("Risk score: 40",)
    assert about.data == "searched at */5 * * * * from -10m@m to now"


def failed(minute: int, user: str = "ann") -> Event:
    time = f"2024-05-20T10:{minute:02}:00Z"
    return {"Channel": "Security", "EventID": 4625, "TargetUserName": user, "TimeCreated": time}


COUNTS: list[tuple[str, list[int], int]] = [
    ("search = sourcetype=WinEventLog EventCode=4625 | stats count by TargetUserName "
     "| where count > 2\ndispatch.earliest_time = -15m", [0, 5, 10], 1),
    ("search = sourcetype=WinEventLog EventCode=4625 | stats count by TargetUserName "
     "| where count > 2\ndispatch.earliest_time = -15m", [0, 20, 40], 0),
    ("search = sourcetype=WinEventLog EventCode=4625 | bin span=5m _time "
     "| stats count by _time user | where count>=2", [0, 4, 30], 1),
    ("search = sourcetype=WinEventLog EventCode=4625 | bin span=5m _time "
     "| stats count by _time user | where count>=2", [0, 6, 30], 0),
    ("search = sourcetype=WinEventLog EventCode=4625\ncounttype = number of events\n"
     "relation = greater than\nquantity = 1\ndispatch.earliest_time = -5m", [0, 3], 1),
    ("search = sourcetype=WinEventLog EventCode=4625\ncounttype = number of events\n"
     "relation = greater than\nquantity = 1\ndispatch.earliest_time = -5m", [0, 8], 0),
    ("search = sourcetype=WinEventLog EventCode=4625 | stats count by user\n"
     "alert_condition = where count > 1", [0, 50], 1),
]  # fmt: skip


@pytest.mark.parametrize(("settings", "minutes", "found"), COUNTS)
def test_what_is_counted_in_which_time(settings: str, minutes: list[int], found: int) -> None:
    texts = {"savedsearches.conf": f"[s]\n{settings}\n"}
    assert len(matches(texts, *map(failed, minutes))) == found


REFUSED = [
    ("index=a | transaction host", "the command `transaction`"),
    ("index=a x=1 | lookup b c OUTPUT d", "the command `lookup`"),
    ("index=a [search x=1]", "a search inside a search"),
    ("eventtype=a x=1", "the condition `eventtype`"),
    ("EventCode=1 | bin span=5m _time | stats count by _time User | where count < 3", "stretches"),
]


@pytest.mark.parametrize(("search", "said"), REFUSED)
def test_what_cannot_be_said_is_refused_with_its_place(search: str, said: str) -> None:
    [draft], _ = drafts({"savedsearches.conf": f"[s]\ncron_schedule = x\nsearch = {search}\n"})
    [found] = [item for item in draft.diagnostics if item.severity.value == "error"]
    assert said in found.message
    assert found.span is not None
    assert draft.program is None


LOGIN: Event = {
    "eventVersion": "1.08",
    "eventSource": "signin.amazonaws.com",
    "eventName": "ConsoleLogin",
    "eventTime": "2024-05-20T10:00:00Z",
    "awsRegion": "us-east-1",
    "responseElements": {"ConsoleLogin": "Success"},
    "userIdentity": {"type": "IAMUser"},
    "eventID": "x",
    "eventType": "AwsConsoleSignIn",
    "requestParameters": None,
}
SCRIPT: Event = {
    "Channel": "Microsoft-Windows-PowerShell/Operational",
    "EventID": 4104,
    "ScriptBlockText": "iex (New-Object Net.WebClient).DownloadString('x')",
    "Computer": "ws1",
    "TimeCreated": "2024-05-20T10:00:01Z",
}
OTHER_LOGS: list[tuple[str, Event]] = [
    ("`cloudtrail` eventName=ConsoleLogin responseElements.ConsoleLogin=Success "
     "| stats count by user src vendor_account", LOGIN),
    ("sourcetype=aws:cloudtrail userIdentity.type=IAMUser", LOGIN),
    ("`powershell` EventCode=4104 ScriptBlockText=*downloadstring* | fillnull "
     "| stats count min(_time) as firstTime by dest user signature "
     "| convert ctime(firstTime)", SCRIPT),
    ("`powershell` EventCode=4104 ScriptBlockText=*downloadstring* | rename Computer as host_name "
     "| stats count by host_name", SCRIPT),
    ("index=own Any_Name=5", {"Any_Name": 5}),
]  # fmt: skip


@pytest.mark.parametrize(("search", "event"), OTHER_LOGS)
def test_logs_that_car_has_no_objects_for(search: str, event: Event) -> None:
    maps = "raw" if "Any_Name" in event else "auto"
    assert matches({"x.spl": search}, event, maps=maps) == [[event]]
    near = {key: "other" if key != "EventID" else 1 for key in event}
    assert not matches({"x.spl": search}, near, maps=maps)


def test_events_without_a_key_are_in_a_group_of_a_data_model() -> None:
    bare = {key: value for key, value in EVENT.items() if key not in ("User", "Computer")}
    assert matches({"content.yml": CONTENT}, bare) == [[bare]]


MODELS: list[tuple[str, Event]] = [
    ("| tstats count from datamodel=Network_Traffic.All_Traffic where All_Traffic.dest_port=445 "
     "by All_Traffic.src", {"object": "flow", "action": "start", "dest_port": 445}),
    ("| tstats count from datamodel=Network_Resolution where DNS.query=*evil* by DNS.query",
     {"object": "flow", "action": "message", "proto_info": {"query": "a.evil.example"}}),
    ("| tstats count from datamodel=Web where Web.url=\"*cmd=*\" by Web.src",
     {"object": "http", "action": "get", "url_full": "http://a/?cmd=x"}),
    ("| tstats count from datamodel=Authentication where Authentication.action=failure "
     "by Authentication.user", {"object": "authentication", "action": "failure", "user": "ann"}),
    ("| tstats count from datamodel=Endpoint.Registry where "
     "Registry.registry_path=*\\\\Run\\\\* by Registry.dest | rename Registry.* as *",
     {"object": "registry", "action": "value_edit", "key": "HKLM\\Run\\x"}),
    ("| tstats count from datamodel=Endpoint.Services where Services.service_path=*x.exe "
     "by Services.dest", {"object": "service", "action": "create", "image_path": "C:\\x.exe"}),
]  # fmt: skip


@pytest.mark.parametrize(("search", "event"), MODELS)
def test_data_models(search: str, event: Event) -> None:
    assert matches({"x.spl": search}, event) == [[event]]
    assert not matches({"x.spl": search}, {**event, "action": "x"})


def test_what_other_files_say(tmp_path: Path) -> None:
    (tmp_path / "props.conf").write_text("[x]\nTIME_FORMAT = y\n", encoding="utf-8")
    (tmp_path / "kusto.kql").write_text("SigninLogs | where a == 0\n", encoding="utf-8")
    rules = carengine.load_rules(tmp_path)
    said = {item.message for item in rules.diagnostics}
    assert "it has neither saved searches nor macros of Splunk's" in said
    assert "a query in Kusto's language, by its pipe" in said
