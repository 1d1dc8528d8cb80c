"""Elastic's rules: files, metadata, KQL, and ECS over every log."""

from __future__ import annotations

import re
import tarfile
from pathlib import Path
from typing import Any

import pytest

import carengine
from carengine.diagnostics import Block, has_errors
from carengine.engine import Engine
from carengine.languages.kuery.reader import read
from carengine.languages.query import as_rule, native_map

SHARED = Path(__file__).parents[2] / "shared"
Event = dict[str, Any]

RULE = """
[metadata]
creation_date = "2024/05/20"
maturity = "production"

[rule]
author = ["A"]
index = ["logs-endpoint.events.process-*"]
language = "LANGUAGE"
name = "Shell"
risk_score = 47
rule_id = "0000-1"
severity = "medium"
tags = ["OS: Windows"]
type = "TYPE"
false_positives = ["Few."]
EXTRA
query = '''
QUERY
'''

[[rule.threat]]
framework = "MITRE ATT&CK"
[[rule.threat.technique]]
id = "T1059"
[[rule.threat.technique.subtechnique]]
id = "T1059.001"
[rule.threat.tactic]
id = "TA0002"
"""


def rule_text(query: str, type_: str = "eql", language: str = "eql", extra: str = "") -> str:
    """The text of a rule file."""
    text = RULE.replace("QUERY", query).replace("TYPE", type_)
    return text.replace("LANGUAGE", language).replace("EXTRA", extra)


def loaded(folder: Path, text: str, name: str = "rule.toml") -> carengine.RuleSet:
    """The rules of a file."""
    (folder / name).write_text(text, encoding="utf-8")
    return carengine.load_rules(folder)


def test_what_a_rule_says_about_itself(tmp_path: Path) -> None:
    [rule] = loaded(tmp_path, rule_text('process where process.name == "a"'))
    about = rule.metadata
    assert (rule.id, about.title, about.level, about.status) == (
        "0000-1",
        "Shell",
        "medium",
        "stable",
    )
    assert (about.date, about.platforms, rule.attack) == (
        "2024-05-20",
        ("windows",),
        ("T1059.001",),
    )
    assert about.false_positives == ("Few.",)
    assert "logs-endpoint.events.process-*" in about.data


REFUSED = [
    (rule_text("x", "esql", "esql"), "CE952", "type esql"),
    (rule_text("x", "machine_learning", ""), "CE952", "machine_learning"),
    (rule_text("a:b", "query", "lucene"), "CE952", "lucene"),
    (rule_text("process where a ==="), "CE951", "cannot stand"),
    (rule_text("a*:b", "query", "kuery"), "CE952", "wildcard"),
    (rule_text("a:b", "threshold", "kuery"), "CE951", "threshold"),
    ("[rule]\nname = \n", "CE963", "no TOML"),
]


@pytest.mark.parametrize(("text", "code", "said"), REFUSED)
def test_refused_by_name(tmp_path: Path, text: str, code: str, said: str) -> None:
    [refused] = loaded(tmp_path, text).refused
    [found] = [item for item in refused.diagnostics if item.code.id == code]
    assert said in found.message
    assert found.span is not None
    assert found.span.line > 1


def test_places_point_into_the_file(tmp_path: Path) -> None:
    [refused] = loaded(tmp_path, rule_text("process where a == 1\n  and foo(b)")).refused
    [found] = refused.diagnostics
    assert found.span is not None
    assert found.span.text == "foo"


def test_other_toml_is_passed_over(tmp_path: Path) -> None:
    found = loaded(tmp_path, "[tool]\na = 1\n")
    assert not found.refused
    assert {item.code.id for item in found.diagnostics} == {"CE311", "CE309"}


KQL = [
    ("a:b", {"a": "b"}, True),
    ("a:b", {"a": "B"}, False),
    ("a:b", {"a": ["x", "b"]}, True),
    ("a:b*", {"a": "bc"}, True),
    ('a:"b*"', {"a": "bc"}, False),
    (r"a:b\*", {"a": "b*"}, True),
    (r"a:c\:\\x*", {"a": "c:\\xy"}, True),
    ("a:(b or c) and not d:*", {"a": "c"}, True),
    ("a:(b or c) and not d:*", {"a": "c", "d": 1}, False),
    ("not a:b", {}, True),
    ("a:(* and not b*)", {"a": "bc"}, False),
    ("a:(* and not b*)", {"a": "cc"}, True),
    ("a:b or c:d and e:f", {"a": "b"}, True),
    ("a >= 3 and a < 5", {"a": 4}, True),
    ("a >= 3 and a < 5", {"a": 5}, False),
    ("a:4", {"a": 4}, True),
    ("a:true", {"a": True}, True),
    ("ip:10.0.0.0/8", {"ip": "10.1.2.3"}, True),
    ("ip:10.0.0.0/8", {"ip": "11.1.2.3"}, False),
    ("message:Foo", {"message": "a foo, b"}, True),
    ("message:Foo", {"message": "food"}, False),
    ('message:"foo bar"', {"message": "FOO.bar"}, True),
    ("a:foo bar", {"a": "foo bar"}, True),
    ("a:{b:c}", {"a": {"b": "c"}}, True),
    ("A:b AND NOT c:d", {"A": "b"}, True),
]


@pytest.mark.parametrize(("query", "event", "found"), KQL)
def test_kql(query: str, event: Event, found: bool) -> None:
    reading = read(Block.of(query))
    assert reading.program is not None, reading.diagnostics
    engine = Engine([as_rule(reading, "query")], native_map(reading))
    assert bool(list(engine.run([event]))) is found


@pytest.mark.parametrize("text", ["a:(" * 3_000, "not " * 3_000 + "a:b", "(" * 3_000, 'a:"', "a:"])
def test_kql_is_bounded(text: str) -> None:
    assert has_errors(read(Block.of(text)).diagnostics)


def at(second: int) -> str:
    """A time."""
    return f"2024-05-20T10:{second // 60:02}:{second % 60:02}Z"


def ecs(second: int, **fields: Any) -> Event:
    """An event in ECS with dotted keys."""
    return {"@timestamp": at(second), "event.kind": "event", **fields}


def found_by(folder: Path, text: str, events: list[Event]) -> list[list[Event]]:
    """The events of each match."""
    rules = loaded(folder, text)
    assert not rules.refused, rules.diagnostics
    return [[dict(seen.event) for seen in m.events] for m in Engine(rules).run(events)]


def test_a_threshold_counts(tmp_path: Path) -> None:
    extra = 'from = "now-1m"\n[rule.threshold]\nfield = ["user.name"]\nvalue = 3\n'
    text = rule_text("event.kind:event", "threshold", "kuery").replace("EXTRA", "")
    text += f"\n{extra.replace('from = ', '#')}"
    text = text.replace('type = "threshold"', 'type = "threshold"\nfrom = "now-1m"')
    events = [ecs(second, **{"user.name": "a"}) for second in (0, 50, 70, 80)]
    [match] = found_by(tmp_path, text, events)
    assert [event["@timestamp"] for event in match] == [at(50), at(70), at(80)]


def test_new_terms_are_those_that_were_not_there(tmp_path: Path) -> None:
    text = rule_text("event.kind:event", "new_terms", "kuery")
    text += """
[rule.new_terms]
field = "new_terms_fields"
value = ["user.name"]
[[rule.new_terms.history_window_start]]
field = "history_window_start"
value = "now-1m"
"""
    log = [(0, "a"), (10, "a"), (20, "b"), (65, "a"), (130, "a")]
    events = [ecs(second, **{"user.name": name}) for second, name in log]
    found = found_by(tmp_path, text, events)
    assert [match[0]["@timestamp"] for match in found] == [at(0), at(20), at(130)]


SHELL = 'process where host.os.type == "windows" and event.type == "start" and process.args : "/c"'
LOGS: list[tuple[str, Event, bool]] = [
    (
        SHELL,
        {"Channel": "Microsoft-Windows-Sysmon/Operational", "EventID": 1, "Image": "C:\\cmd.exe"}
        | {"CommandLine": 'cmd.exe /c "a b"', "UtcTime": "2024-05-20 10:00:00"},
        True,
    ),
    (
        SHELL,
        {"Channel": "Microsoft-Windows-Sysmon/Operational", "EventID": 1, "Image": "C:\\cmd.exe"}
        | {"CommandLine": 'cmd.exe "x /c"', "UtcTime": "2024-05-20 10:00:00"},
        False,
    ),
    (
        SHELL,
        {"Channel": "Security", "EventID": 4688, "NewProcessName": "C:\\cmd.exe"}
        | {"CommandLine": "cmd /c x"},
        True,
    ),
    (
        SHELL,
        {"object": "process", "action": "create", "image_path": "C:\\cmd.exe"}
        | {"command_line": "cmd /c x"},
        True,
    ),
    (
        SHELL,
        {"@timestamp": at(0), "event": {"category": ["process"], "type": ["start"]}}
        | {"host": {"os": {"type": "windows"}}, "process": {"args": ["cmd", "/c"]}},
        True,
    ),
    (
        'registry where registry.path : "HKLM\\\\*\\\\Run\\\\x" and event.type == "change"',
        {"@timestamp": at(0), "winlog": {"channel": "Microsoft-Windows-Sysmon/Operational"}}
        | {"event": {"code": "13"}}
        | {
            "winlog": {
                "channel": "Microsoft-Windows-Sysmon/Operational",
                "event_id": 13,
                "event_data": {"TargetObject": "HKLM\\S\\Run\\x", "EventType": "SetValue"},
            }
        },
        True,
    ),
    (
        'any where event.code == "5136" and winlog.event_data.ObjectDN : "*admin*"',
        {"Channel": "Security", "EventID": 5136, "ObjectDN": "CN=Admin", "Hostname": "x"},
        True,
    ),
    (
        'any where event.code == "5136" and winlog.event_data.ObjectDN : "*admin*"',
        {"Event": {"System": {"Channel": "Security", "EventID": 5136}}}
        | {
            "Event": {
                "System": {"Channel": "Security", "EventID": 5136},
                "EventData": {"ObjectDN": "CN=Admin"},
            }
        },
        True,
    ),
]


@pytest.mark.parametrize(("query", "event", "found"), LOGS)
def test_ecs_over_every_log(tmp_path: Path, query: str, event: Event, found: bool) -> None:
    assert len(found_by(tmp_path, rule_text(query), [event])) == found


def test_several_queries_in_a_file(tmp_path: Path) -> None:
    text = (
        '// Shells\nprocess where process.args : (\n\n  "/c")\n\n'
        "sequence by host.id\n  [any where true]\n\n  [any where false];\nany where a.b == 1\n"
    )
    rules = loaded(tmp_path, text, "mine.eql")
    assert [(rule.id, rule.title) for rule in rules] == [
        ("mine", "Shells"),
        ("mine#2", "mine#2"),
        ("mine#3", "mine#3"),
    ]


def test_the_package_s_schema_is_told_by_its_names(tmp_path: Path) -> None:
    text = 'process where subtype.create and process_name == "a.exe"'
    [rule] = loaded(tmp_path, text, "old.eql")
    event = {"object": "process", "action": "create", "exe": "A.exe"}
    assert len(list(Engine([rule]).run([event]))) == 1


def test_published_rules(tmp_path: Path) -> None:
    archive = SHARED / "elastic" / "detection-rules-a.tar.xz"
    if not archive.exists():
        pytest.skip("the shared data is not here")
    with tarfile.open(archive) as found:
        names = [member.name for member in found if member.name.endswith(".toml")]
    rules = carengine.load_rules(archive)
    assert len(rules) + len(rules.refused) == len(names)
    assert len(rules) >= 0.98 * len(names)
    assert {i.code.id for r in rules.refused for i in r.diagnostics} <= {"CE952", "CE962"}
    # Asking all of them of all maps takes minutes.
    some = rules[::40]
    assert len(Engine(some, "ecs").not_runnable) <= 0.05 * len(some)


CLOUD: list[tuple[str, Event]] = [
    (
        'event.dataset:aws.cloudtrail and event.provider:"iam.amazonaws.com" and event.action:AttachRolePolicy '
        "and event.outcome:success and aws.cloudtrail.request_parameters:*Administrator* "
        "and aws.cloudtrail.user_identity.session_context.session_issuer.arn:*role*",
        {
            "eventVersion": "1.08",
            "eventSource": "iam.amazonaws.com",
            "eventName": "AttachRolePolicy",
            "eventTime": "2024-05-20T10:00:00Z",
            "awsRegion": "us-east-1",
            "requestParameters": {"policyArn": "arn:aws:iam::aws:policy/AdministratorAccess"},
            "userIdentity": {"sessionContext": {"sessionIssuer": {"arn": "arn:role/x"}}},
        },
    ),
    (
        "data_stream.dataset:okta.system and event.action:user.session.start and event.outcome:failure "
        "and okta.actor.alternate_id:*@corp.example and okta.target.id:t1 and source.ip:10.0.0.0/8",
        {
            "eventType": "user.session.start",
            "published": "2024-05-20T10:00:00Z",
            "actor": {"alternateId": "ann@corp.example"},
            "outcome": {"result": "FAILURE"},
            "client": {"ipAddress": "10.1.2.3"},
            "target": [{"id": "t0"}, {"id": "t1"}],
        },
    ),
    (
        "event.dataset:azure.signinlogs and event.category:authentication and event.outcome:success "
        "and azure.signinlogs.properties.authentication_protocol:deviceCode",
        {
            "time": "2024-05-20T10:00:00Z",
            "category": "SignInLogs",
            "operationName": "Sign-in activity",
            "resultType": "0",
            "properties": {"authenticationProtocol": "deviceCode"},
        },
    ),
    (
        "event.dataset:o365.audit and event.provider:Exchange and event.category:web "
        'and event.action:"New-InboxRule" and o365.audit.Parameters.DeleteMessage:True '
        "and event.outcome:success and event.code:ExchangeAdmin",
        {
            "CreationTime": "2024-05-20T10:00:00",
            "Workload": "Exchange",
            "Operation": "New-InboxRule",
            "RecordType": 1,
            "UserId": "ann",
            "Parameters": [{"Name": "DeleteMessage", "Value": "True"}],
        },
    ),
    (
        "data_stream.dataset:gcp.audit and event.action:io.k8s.core.v1.pods.create "
        "and gcp.audit.request.spec.containers.securityContext.capabilities.add:SYS_ADMIN "
        "and gcp.audit.labels.authorization.k8s.io/decision:allow and event.outcome:success",
        {
            "timestamp": "2024-05-20T10:00:00Z",
            "logName": "projects/p/logs/cloudaudit.googleapis.com%2Factivity",
            "labels": {"authorization.k8s.io/decision": "allow"},
            "protoPayload": {
                "serviceName": "k8s.io",
                "methodName": "io.k8s.core.v1.pods.create",
                "request": {
                    "spec": {
                        "containers": [
                            {"securityContext": {"capabilities": {"add": ["SYS_ADMIN"]}}}
                        ]
                    }
                },
            },
        },
    ),
    (
        "data_stream.dataset:google_workspace.admin and event.provider:admin "
        "and google_workspace.admin.setting.name:Allow* and google_workspace.admin.new_value:true",
        {
            "kind": "admin#reports#activity",
            "id": {"time": "2024-05-20T10:00:00Z", "applicationName": "admin"},
            "events": [
                {
                    "name": "CHANGE_APPLICATION_SETTING",
                    "parameters": [
                        {"name": "SETTING_NAME", "value": "Allowed"},
                        {"name": "NEW_VALUE", "value": "true"},
                    ],
                }
            ],
        },
    ),
    (
        "data_stream.dataset:kubernetes.audit_logs and kubernetes.audit.verb:create "
        "and kubernetes.audit.annotations.authorization_k8s_io/decision:allow "
        "and kubernetes.audit.requestObject.spec.containers.securityContext.privileged:true",
        {
            "apiVersion": "audit.k8s.io/v1",
            "auditID": "a",
            "verb": "create",
            "stageTimestamp": "2024-05-20T10:00:00Z",
            "annotations": {"authorization.k8s.io/decision": "allow"},
            "requestObject": {"spec": {"containers": [{"securityContext": {"privileged": True}}]}},
        },
    ),
]


@pytest.mark.parametrize(("query", "event"), CLOUD)
def test_ecs_over_what_cloud_services_write(tmp_path: Path, query: str, event: Event) -> None:
    text = rule_text(query, "query", "kuery")
    assert found_by(tmp_path, text, [event]) == [[event]]
    # One word of the query or another, and it is another event.
    for word in re.findall(r":(\w{3,})", query):
        other = text.replace(f":{word}", f":other{word}")
        assert not found_by(tmp_path, other, [event]), word
