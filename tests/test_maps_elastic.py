"""ECS: Elastic Endpoint and others, nested and with dotted keys; Sysmon as its module turns it into
ECS."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from carengine.fieldmap import find_maps
from map_cases import Case, check, entries_hit, missed, shape_of

HOST = {"name": "WS1.corp.example", "hostname": "WS1"}
PROCESS = {
    "executable": "C:\\Windows\\System32\\cmd.exe",
    "name": "cmd.exe",
    "pid": 4711,
    "entity_id": "AbCd",
    "command_line": "cmd /c whoami",
    "args": ["cmd", "/c", "whoami"],
    "hash": {"md5": "m", "sha256": "s"},
    "pe": {"original_file_name": "Cmd.Exe"},
    "parent": {"executable": "C:\\Windows\\explorer.exe", "pid": 815, "entity_id": "Par"},
    "Ext": {"token": {"integrity_level_name": "high"}},
}
USER = {"domain": "CORP", "name": "ann", "id": "S-1-5-21-1"}
ACTOR = {"exe": "cmd.exe", "pid": 4711, "user": "CORP\\ann", "guid": "AbCd", "hostname": "WS1"}


def event(category: Any, kind: Any, **fields: Any) -> dict[str, Any]:
    return {
        "@timestamp": "2024-05-20T07:41:12.518Z",
        "host": HOST,
        "event": {"category": category, "type": kind, **fields.pop("event", {})},
        "process": PROCESS,
        "user": USER,
        **fields,
    }


FILE = {"path": "C:\\Data\\a.DOCX", "name": "a.DOCX", "extension": "docx", "hash": {"sha1": "x"}}
REGISTRY = {
    "path": "HKLM\\SOFTWARE\\Run\\Updater",
    "key": "SOFTWARE\\Run",
    "value": "Updater",
    "hive": "HKLM",
    "data": {"strings": ["C:\\x.exe"], "type": "REG_SZ"},
}
NETWORK: dict[str, Any] = {
    "source": {"ip": "10.1.4.20", "port": 50122, "bytes": 10},
    "destination": {"ip": "10.1.4.31", "port": 445, "domain": "fs1.corp.example", "bytes": 20},
    "network": {"transport": "tcp", "direction": "egress"},
}
HTTP = {
    "http": {"request": {"method": "get"}, "response": {"status_code": 200}},
    "url": {"full": "https://x.org/a", "domain": "x.org", "scheme": "https"},
}
CASES: dict[str, Case] = {
    "process start": Case(
        event(["process"], ["start"], event={"action": "exec"}),
        {
            "process/create": {
                **ACTOR, "command_line": "cmd /c whoami", "parent_exe": "explorer.exe", "ppid": 815,
                "parent_guid": "Par", "md5_hash": "m", "sha256_hash": "s", "original_file_name": "Cmd.Exe",
                "integrity_level": "high",
            }
        },
    ),
    "process, arguments only": Case(
        {**event("process", "start"), "process": {"executable": "/bin/ls", "args": ["ls", "-l"]}},
        {"process/create": {"command_line": "ls -l", "exe": "ls", "image_path": "/bin/ls"}},
    ),
    "process end": Case(event(["process"], ["end"]), {"process/terminate": ACTOR}),
    "process change": Case(event(["process"], ["change"]), {}),
    "file created": Case(
        event(["file"], ["creation"], file=FILE),
        {"file/create": {**ACTOR, "file_path": "C:\\Data\\a.DOCX", "file_name": "a.DOCX", "extension": ".docx", "sha1_hash": "x"}},
    ),
    "file changed": Case(event(["file"], ["change"], file=FILE), {"file/modify": {}}),
    "file deleted": Case(event("file", "deletion", file={"path": "/tmp/a.sh"}), {"file/delete": {"file_name": "a.sh", "extension": ".sh"}}),
    "file read": Case(event("file", "access", file=FILE), {"file/read": {}}),
    "registry value": Case(
        event(["registry"], ["change"], registry=REGISTRY),
        {
            "registry/value_edit": {
                **ACTOR, "key": "HKLM\\SOFTWARE\\Run\\Updater", "value": "Updater",
                "hive": "HKEY_LOCAL_MACHINE", "data": "C:\\x.exe", "type": "REG_SZ",
            }
        },
    ),
    "registry key": Case(event("registry", "creation", registry=REGISTRY), {"registry/add": {"value": "Updater"}}),
    "registry gone": Case(event("registry", "deletion", registry=REGISTRY), {"registry/remove": {}}),
    "library": Case(
        event(["library"], ["start"], dll={"path": "C:\\a\\b.dll", "hash": {"md5": "d"}, "code_signature": {"trusted": True}}),
        {"module/load": {**ACTOR, "module_name": "b.dll", "md5_hash": "d", "signature_valid": True}},
    ),
    "driver": Case(event(["driver"], ["start"], dll={"path": "C:\\a\\b.sys"}), {"driver/load": {"module_name": "b.sys"}}),
    "driver gone": Case(event(["driver"], ["end"], dll={"path": "C:\\a\\b.sys"}), {"driver/unload": {"module_name": "b.sys"}}),
    "connection begun": Case(
        event(["network"], ["start"], **NETWORK),
        {
            "flow/start": {
                **ACTOR, "src_ip": "10.1.4.20", "dest_port": 445, "dest_hostname": "fs1", "transport_protocol": "tcp",
                "network_direction": "outbound", "initiated": "true",
            }
        },
    ),
    "connection ended": Case(event(["network"], ["end"], **NETWORK), {"flow/end": {"out_bytes": 10, "in_bytes": 20}}),
    "connection, begun and named so": Case(event(["network"], ["start", "connection"], **NETWORK), {"flow/start": {}}),
    "connection, no more said": Case(event("network", ["connection", "allowed"], **NETWORK), {"flow/start": {}}),
    "connection denied": Case(event("network", ["connection", "denied"], **NETWORK), {}),
    "protocol": Case(
        event(["network"], ["protocol"], dns={"question": {"name": "x.org"}}, **NETWORK),
        {"flow/message": {"proto_info.query": "x.org"}},
    ),
    "http get": Case(
        event("web", "access", **HTTP),
        {"http/get": {"url_full": "https://x.org/a", "url_domain": "x.org", "response_status_code": 200}},
    ),
    "http post": Case(event("web", "access", http={"request": {"method": "POST"}}), {"http/post": {}}),
    "http put": Case(event("web", "access", http={"request": {"method": "PUT"}}), {"http/put": {}}),
    "http connect": Case(event("web", "access", http={"request": {"method": "CONNECT"}}), {"http/tunnel": {}}),
    "logon": Case(
        event(["authentication", "session"], ["start"], event={"outcome": "success"}, source={"ip": "10.1.4.20"}),
        {
            "authentication/success": {"user": "CORP\\ann", "src_ip": "10.1.4.20", "auth_target": "WS1"},
            "user_session/login": {"user": "CORP\\ann", "exe": "cmd.exe"},
        },
    ),
    "logon refused": Case(
        event(["authentication", "session"], ["start"], event={"outcome": "failure", "reason": "bad password"}),
        {"authentication/failure": {"decision_reason": "bad password"}},
    ),
    "logoff": Case(event("session", "end"), {"user_session/logout": {"ad_domain": "CORP"}}),
    "a verdict": Case(event("malware", "info"), {}),
}  # fmt: skip


def dotted(value: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """The event with a key for every path, as exports to tables have it."""
    made: dict[str, Any] = {}
    for key, inner in value.items():
        name = f"{before}{key}"
        made |= dotted(inner, f"{name}.") if isinstance(inner, dict) else {name: inner}
    return made


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("shape", ["nested", "dotted"])
def test_what_an_event_is(name: str, shape: str) -> None:
    case = CASES[name]
    told = case.event if shape == "nested" else dotted(case.event)
    check(Case(told, case.expected), f"ecs.{shape}")


@pytest.mark.parametrize("shape", ["nested", "dotted"])
def test_every_entry_is_hit(shape: str) -> None:
    [fieldmap] = find_maps(f"ecs.{shape}")
    events = [case.event if shape == "nested" else dotted(case.event) for case in CASES.values()]
    assert missed(fieldmap, events) == []


def sysmon(number: int, data: Mapping[str, Any] | None = None, **moved: Any) -> dict[str, Any]:
    winlog = {
        "channel": "Microsoft-Windows-Sysmon/Operational",
        "event_id": number,
        "computer_name": "WS1.corp.example",
        "event_data": dict(data or {}),
    }
    return {
        "@timestamp": "2024-05-20T07:41:12.518Z",
        "winlog": winlog,
        "process": PROCESS,
        "user": USER,
        **moved,
    }


DLL = {"path": "C:\\a\\b.dll", "hash": {"md5": "d", "sha1": "e"}, "pe": {"imphash": "f"}}
TARGET = {"TargetImage": "C:\\Windows\\System32\\lsass.exe", "GrantedAccess": "0x1010"}
SYSMON: dict[str, Case] = {
    "1": Case(
        sysmon(1, {"IntegrityLevel": "High"}),
        {
            "process/create": {
                "exe": "cmd.exe", "command_line": "cmd /c whoami", "parent_exe": "explorer.exe", "user": "CORP\\ann",
                "md5_hash": "m", "integrity_level": "High", "original_file_name": "Cmd.Exe",
            }
        },
    ),
    "2": Case(sysmon(2, {"PreviousCreationUtcTime": "2020-01-01"}, file=FILE), {"file/timestomp": {"file_path": "C:\\Data\\a.DOCX"}}),
    "3": Case(sysmon(3, None, **NETWORK), {"flow/start": {"dest_ip": "10.1.4.31", "network_direction": "outbound", "exe": "cmd.exe"}}),
    "5": Case(sysmon(5), {"process/terminate": {"pid": 4711}}),
    "6": Case(sysmon(6, file={**DLL, "path": "C:\\a\\b.sys"}), {"driver/load": {"module_name": "b.sys", "md5_hash": "d"}}),
    "7": Case(sysmon(7, file=DLL), {"module/load": {"module_name": "b.dll", "sha1_hash": "e", "imphash": "f"}}),
    "8": Case(sysmon(8, {**TARGET, "StartAddress": "0x1"}), {"thread/remote_create": {"src_exe": "cmd.exe", "tgt_exe": "lsass.exe"}}),
    "10": Case(sysmon(10, TARGET), {"process/access": {"target_exe": "lsass.exe", "access_level": "0x1010", "pid": 4711}}),
    "11": Case(sysmon(11, file=FILE), {"file/create": {"file_name": "a.DOCX", "exe": "cmd.exe"}}),
    "12 made": Case(sysmon(12, {"EventType": "CreateKey"}, registry=REGISTRY), {"registry/add": {}}),
    "12 removed": Case(sysmon(12, {"EventType": "DeleteValue"}, registry=REGISTRY), {"registry/remove": {"value": "Updater"}}),
    "12 lost": Case(sysmon(12, registry=REGISTRY), {}),
    "13": Case(sysmon(13, registry=REGISTRY), {"registry/value_edit": {"key": "HKLM\\SOFTWARE\\Run\\Updater", "value": "Updater", "data": ["C:\\x.exe"]}}),
    "14": Case(sysmon(14, {"NewName": "n"}, registry=REGISTRY), {"registry/key_edit": {"new_content": "n"}}),
    "22": Case(sysmon(22, dns={"question": {"name": "x.org"}}), {}),
    "23": Case(sysmon(23, file=FILE), {"file/delete": {"file_name": "a.DOCX"}}),
}  # fmt: skip


@pytest.mark.parametrize("name", SYSMON)
def test_what_sysmons_module_leaves(name: str) -> None:
    check(SYSMON[name], "sysmon.ecs")


def test_every_entry_of_sysmons_module_is_hit() -> None:
    [fieldmap] = find_maps("sysmon.ecs")
    assert len(entries_hit(fieldmap, (c.event for c in SYSMON.values()))) == len(fieldmap.entries)


@pytest.mark.parametrize(
    "raw",
    [
        {"event": {"code": 1}},
        {"event": "process"},
        {"event": {"category": None}},
        {"event.category": []},
    ],
)
def test_what_is_not_recognised(raw: dict[str, Any]) -> None:
    assert shape_of(raw) == ""
