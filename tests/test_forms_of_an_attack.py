"""The same attack in the forms that collectors give it: the same matches, whichever was kept.

The events start as Windows wrote them (real logs where they are at hand, and logs made here); each
is turned into what Winlogbeat 7, NXLog and HELK would have made of it, as JSON lines, and into
Windows' own XML and EVTX. Rules then see one attack five times.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from carengine import Engine, load_rules, read_events
from carengine.resources import shipped_rules
from evidence_forms import xml_of
from evtx_writer import evtx_of

SHARED = Path(__file__).parents[1].parent / "shared"
pytest.importorskip("evtx")

SYSMON = "Microsoft-Windows-Sysmon/Operational"


def sysmon(event_id: int, second: int, **data: str) -> dict[str, Any]:
    """A Sysmon event as the evtx package gives it."""
    time = f"2024-05-01 10:00:{second:02}.500"
    return {
        "Event": {
            "#attributes": {"xmlns": "http://schemas.microsoft.com/win/2004/08/events/event"},
            "System": {
                "Provider": {"#attributes": {"Name": "Microsoft-Windows-Sysmon"}},
                "EventID": event_id,
                "TimeCreated": {"#attributes": {"SystemTime": time.replace(" ", "T") + "Z"}},
                "Channel": SYSMON,
                "Computer": "web1.example.org",
            },
            "EventData": {"RuleName": "-", "UtcTime": time, **data},
        }
    }


ATTACK = [
    sysmon(
        1,
        0,
        ProcessGuid="{a158f72c-2ef4-5db5-0000-00100fb48f00}",
        ProcessId="2408",
        Image="C:\\Windows\\System32\\cmd.exe",
        CommandLine='cmd.exe /c "net user eve Passw0rd /add & schtasks /create /tn x /tr y.exe"',
        User="CORP\\ann",
        ParentImage="C:\\Program Files\\Office\\winword.exe",
        ParentProcessId="1200",
        Hashes="SHA1=A774A816662FF5B75669AA5BCE751BAB9D0972B8,MD5=432BE6CF7311062633459EEF6B242FB5",
    ),
    sysmon(
        11,
        5,
        ProcessGuid="{a158f72c-2ef4-5db5-0000-00100fb48f00}",
        ProcessId="2500",
        Image="C:\\Windows\\System32\\taskmgr.exe",
        TargetFilename="C:\\Users\\ann\\AppData\\Local\\Temp\\lsass.DMP",
        CreationUtcTime="2024-05-01 10:00:05.500",
    ),
    sysmon(
        10,
        6,
        SourceImage="C:\\Windows\\System32\\taskmgr.exe",
        SourceProcessId="2500",
        TargetImage="C:\\Windows\\System32\\lsass.exe",
        TargetProcessId="600",
        GrantedAccess="0x1fffff",
        CallTrace="C:\\Windows\\SYSTEM32\\ntdll.dll+9c524|C:\\Windows\\System32\\dbgcore.DLL+9447",
    ),
    sysmon(
        13,
        7,
        EventType="SetValue",
        ProcessId="2408",
        Image="C:\\Windows\\System32\\reg.exe",
        TargetObject="HKLM\\SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\Run\\evil",
        Details="C:\\Users\\Public\\evil.exe",
    ),
    sysmon(1, 9, ProcessId="9", Image="C:\\Windows\\System32\\notepad.exe", CommandLine="notepad"),
]


def _parts(event: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any], str]:
    system = event["Event"]["System"]
    data = {k: v for k, v in (event["Event"].get("EventData") or {}).items() if k != "#attributes"}
    return system, data, system["TimeCreated"]["#attributes"]["SystemTime"]


def winlogbeat(event: dict[str, Any]) -> dict[str, Any]:
    """As Winlogbeat 7 ships it: values are texts, and what was empty is not there."""
    system, data, time = _parts(event)
    return {
        "@timestamp": time,
        "event": {"code": system["EventID"], "kind": "event"},
        "winlog": {
            "channel": system["Channel"],
            "provider_name": system["Provider"]["#attributes"]["Name"],
            "event_id": system["EventID"],
            "computer_name": system["Computer"],
            "event_data": {key: str(value) for key, value in data.items() if value != ""},
        },
        "agent": {"hostname": "collector"},
        "host": {"name": "collector"},
    }


def nxlog(event: dict[str, Any]) -> dict[str, Any]:
    """As NXLog writes it: flat, its own ``EventType`` over Sysmon's, which survives in the message."""
    system, data, time = _parts(event)
    message = "".join(f"{key}: {value}\r\n" for key, value in data.items())
    return {
        "EventTime": time[:19].replace("T", " "),
        "@timestamp": time,
        "Hostname": system["Computer"],
        "host": "collector",
        "EventID": system["EventID"],
        "SourceName": system["Provider"]["#attributes"]["Name"],
        "Channel": system["Channel"],
        "AccountName": "SYSTEM",
        "Domain": "NT AUTHORITY",
        "ExecutionProcessID": 3168,
        "Message": f"Something happened:\r\n{message}",
        **data,
        "EventType": "INFO",
    }


# What HELK's pipeline calls Sysmon's fields.
_HELK = {
    "Image": "process_path",
    "ProcessId": "process_id",
    "CommandLine": "process_command_line",
    "CurrentDirectory": "process_current_directory",
    "ParentImage": "process_parent_path",
    "ParentProcessId": "process_parent_id",
    "ParentCommandLine": "process_parent_command_line",
    "ProcessGuid": "process_guid",
    "ParentProcessGuid": "process_parent_guid",
    "IntegrityLevel": "process_integrity_level",
    "User": "user_account",
    "TargetFilename": "file_name",
    "CreationUtcTime": "@file_date_creation",
    "TargetObject": "registry_key_path",
    "Details": "registry_key_value",
    "EventType": "event_type",
    "SourceImage": "process_path",
    "SourceProcessId": "process_id",
    "SourceProcessGUID": "process_guid",
    "TargetImage": "target_process_path",
    "TargetProcessId": "target_process_id",
    "TargetProcessGUID": "target_process_guid",
    "GrantedAccess": "process_granted_access",
    "CallTrace": "process_call_trace",
}


def helk(event: dict[str, Any]) -> dict[str, Any]:
    """As HELK indexes it: names of its own, paths in lower case, no braces around GUIDs."""
    system, data, time = _parts(event)
    made: dict[str, Any] = {
        "@timestamp": time,
        "event_id": system["EventID"],
        "source_name": system["Provider"]["#attributes"]["Name"],
        "log_name": system["Channel"],
        "host_name": system["Computer"],
        "@date_creation": data.get("UtcTime", time),
    }
    for key, value in data.items():
        text = str(value).strip("{}") if "guid" in key.lower() else str(value)
        if key in _HELK:
            name = _HELK[key]
            made[name] = text.lower() if name.endswith("_path") or name == "file_name" else text
        elif key == "Hashes":
            for part in text.split(","):
                kind, _, digest = part.partition("=")
                made[f"hash_{kind.lower()}"] = digest
    return {"_index": "logs-endpoint-winevent-sysmon", "_source": made}


def _lines(convert: Callable[[dict[str, Any]], dict[str, Any]]) -> Callable[[list[Any]], bytes]:
    return lambda events: "".join(json.dumps(convert(x)) + "\n" for x in events).encode()


FORMS: dict[str, Callable[[list[Any]], bytes]] = {
    "evtx": evtx_of,
    "evtx as JSON": _lines(lambda event: event),
    "xml": lambda events: b"<Events>\n" + "\n".join(map(xml_of, events)).encode() + b"</Events>",
    "winlogbeat": _lines(winlogbeat),
    "nxlog": _lines(nxlog),
    "helk": _lines(helk),
}


def outcome(data: bytes, engine: Engine) -> list[tuple[str, str, int]]:
    """Rule, output and record numbers of each match."""
    found = []
    session = engine.session()
    with read_events("-", stdin=io.BytesIO(data)) as reading:
        for record in reading:
            found += [(m.rule.id, m.output, record.number) for m in session.feed(record.event)]
    assert reading.unreadable == 0
    return found


@pytest.fixture(scope="module")
def engine() -> Engine:
    return Engine(load_rules(shipped_rules()))


@pytest.mark.parametrize("form", FORMS)
def test_an_attack_is_found_in_every_form(form: str, engine: Engine) -> None:
    expected = outcome(FORMS["evtx as JSON"](ATTACK), engine)
    rules = {rule for rule, _, _ in expected}
    assert {"CAR-2019-08-001", "CAR-2020-05-001"} <= rules
    assert {record for _, _, record in expected} >= {1, 2, 3}
    assert outcome(FORMS[form](ATTACK), engine) == expected


def real_events() -> list[dict[str, Any]]:
    """Sysmon events of real logs, as they are in EVTX."""
    found = []
    paths = [SHARED / "evtx", SHARED / "sigma" / "regression-data-a.tar.gz"]
    for path in paths:
        if path.exists():
            with read_events(path, include=["*.evtx"]) as reading:
                found += [record.event for record in reading]
    return [event for event in found if event["Event"]["System"].get("Channel") == SYSMON]


@pytest.mark.parametrize("form", ["xml", "winlogbeat", "nxlog", "helk"])
def test_real_attacks_are_found_in_every_form(form: str, engine: Engine) -> None:
    events = real_events()
    if not events:
        pytest.skip("no event logs at hand")
    expected = outcome(FORMS["evtx as JSON"](events), engine)
    assert len(expected) > 5
    assert outcome(FORMS[form](events), engine) == expected
