"""Windows events as tools write them: each shape is read, by the engine and by its prefilter."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from carengine import Engine, Origin, ir, parse_rule, read_events
from carengine.cli import main
from carengine.eventxml import event_of_xml
from carengine.fieldmap import find_maps, normalize, unwrap
from evtx_writer import evtx_of
from sigma_rules import load

SYSMON = "Microsoft-Windows-Sysmon/Operational"
DEFENDER = "Microsoft-Windows-Windows Defender/Operational"
TIME = "2026-03-01T08:00:00.000Z"


def rules(logsource: str, *detections: str) -> Any:
    """One Sigma rule for each detection, entitled by its number."""
    loaded = load(
        *(
            f"title: '{number}'\nid: 00000000-0000-4000-8000-{number:012}\nstatus: test\n"
            f"logsource: {{product: windows, {logsource}}}\n"
            f"detection:\n  s: {{{detection}}}\n  condition: s\nlevel: low\n"
            for number, detection in enumerate(detections)
        )
    )
    assert not loaded.diagnostics
    return loaded


def fired(engine: Engine, event: Mapping[str, Any]) -> list[str]:
    """The titles of the rules that match an event, fed as a mapping, and as one of many lines."""
    session = engine.session()
    found = sorted(match.rule.metadata.title for match in session.feed(event))
    lines = engine.session()
    line = json.dumps(event).encode()
    # Lines that give nothing teach the prefilter what such events are.
    plain = json.dumps(dict.fromkeys(event, "x") | {"Channel": "Other", "EventID": 9}).encode()
    for number in range(400):
        if number % 2:
            lines.feed_line(plain)
        else:
            shown = sorted(match.rule.metadata.title for match in lines.feed_line(line))
            assert shown == found
    return found


def _evtx(channel: str, number: Any, data: Any, provider: str = "P") -> dict[str, Any]:
    return {
        "System": {
            "Provider": {"#attributes": {"Name": provider}},
            "EventID": number,
            "TimeCreated": {"#attributes": {"SystemTime": TIME}},
            "Channel": channel,
            "Computer": "ws1",
        },
        "EventData": data,
    }


def _elements(name: str, value: str) -> list[dict[str, str]]:
    return [{name: "Image", value: "C:\\a.exe"}, {name: "CommandLine", value: "needle"}]


DATA = {"Image": "C:\\a.exe", "CommandLine": "needle"}
PAYLOAD = {"EventData": {"Data": _elements("@Name", "#text")}}
XML = "<EventData><Data Name='Image'>C:\\a.exe</Data><Data Name='CommandLine'>needle</Data></EventData>"
EVTXECMD = {
    "ChunkNumber": 0,
    "Computer": "ws1",
    "Channel": SYSMON,
    "Provider": "Microsoft-Windows-Sysmon",
    "EventId": 1,
    "TimeCreated": "2026-03-01T08:00:00.0000000+00:00",
}
TABLE = {"Computer": "ws1", "Channel": SYSMON, "EventID": 1, "TimeGenerated": TIME}
WINEVENT = {
    "Id": 1,
    "ProviderName": "Microsoft-Windows-Sysmon",
    "LogName": SYSMON,
    "MachineName": "ws1",
    "TimeCreated": "/Date(1772352000000)/",
    "Message": "Process Create:\r\nRuleName: -\r\nImage: C:\\a.exe\r\nCommandLine: needle\r\n",
}
PROCESS_CREATIONS: dict[str, Any] = {
    "xmltodict": {"Event": _evtx(SYSMON, "1", {"Data": _elements("@Name", "#text")})},
    "attributes": {
        "Event": _evtx(
            SYSMON, 1, {"Data": [{"#attributes": {"Name": "CommandLine"}, "#text": "needle"}]}
        )
    },
    "one element": {
        "Event": _evtx(SYSMON, 1, {"Data": {"@Name": "CommandLine", "#text": "needle"}})
    },
    "xml2js": {
        "Event": _evtx(SYSMON, 1, {"Data": [{"$": {"Name": "CommandLine"}, "_": "needle"}]})
    },
    "name and value": _evtx(SYSMON, 1, {"Data": _elements("Name", "Value")}),
    "Velociraptor": _evtx(SYSMON, {"Value": 1}, DATA),
    "Velociraptor within Event": {"Event": _evtx(SYSMON, {"Value": 1}, DATA)},
    "Velociraptor's hunts": {**TABLE, "EventData": DATA},
    "Sentinel, JSON": {**TABLE, "EventData": json.dumps(DATA)},
    "Sentinel, XML": {**TABLE, "EventData": XML},
    "EvtxECmd": {**EVTXECMD, "Payload": json.dumps(PAYLOAD)},
    "EvtxECmd, one": {
        **EVTXECMD,
        "Payload": '{"EventData": {"Data": {"@Name": "CommandLine", "#text": "needle"}}}',
    },
    "Get-WinEvent": WINEVENT,
    "Get-WinEvent, PowerShell 5": {
        **WINEVENT,
        "TimeCreated": {"value": "/Date(1772352000000)/", "DateTime": "Sunday"},
    },
    "Get-WinEvent, CSV": {**WINEVENT, "Id": "1", "TimeCreated": "3/1/2026 8:00:00 AM"},
    "Wazuh": {
        "timestamp": "2026-03-01T08:00:00.000+0000",
        "rule": {"level": 3, "description": "x"},
        "id": "1.2",
        "data": {
            "win": {
                "system": {
                    "providerName": "Microsoft-Windows-Sysmon",
                    "eventID": "1",
                    "channel": SYSMON,
                    "computer": "ws1",
                },
                "eventdata": {"image": "C:\\\\a.exe", "commandLine": "needle"},
            }
        },
    },
    "separate attributes": {
        "Event": {
            "System": {
                "Provider_attributes": {"Name": "Microsoft-Windows-Sysmon"},
                "EventID": 1,
                "TimeCreated_attributes": {"SystemTime": TIME},
                "Channel": SYSMON,
                "Computer": "ws1",
            },
            "EventData": DATA,
        }
    },
}


@pytest.mark.parametrize("shape", PROCESS_CREATIONS)
def test_a_process_creation_in_every_shape(shape: str) -> None:
    event = PROCESS_CREATIONS[shape]
    engine = Engine(
        rules("category: process_creation", "CommandLine|contains: needle", "CommandLine: other")
    )
    assert fired(engine, event) == ["0"]
    [seen] = normalize(event, find_maps())
    assert str(seen.kind) == "process/create"
    assert (seen.fields["command_line"], seen.fields["hostname"]) == ("needle", "ws1")
    if "CSV" not in shape:
        assert seen.time == 1_772_352_000_000_000


def test_what_has_a_known_shape_is_not_copied() -> None:
    for event in (
        {"Channel": SYSMON, "EventID": 1, "Image": "a b"},
        {"Event": _evtx(SYSMON, 1, {**DATA, "Data": {"#text": ["a", "b"]}})},
        {"winlog": {"channel": SYSMON, "event_data": DATA}},
    ):
        assert unwrap(event) is event


SPACED = {"Product Name": "x", "Old Value": "", "New Value": "HKLM\\Exclusions = 0x0"}
SPACED_SHAPES: dict[str, Any] = {
    "EVTX": {"Event": _evtx(DEFENDER, 5007, SPACED)},
    "EVTX, inner": _evtx(DEFENDER, 5007, SPACED),
    "XML": event_of_xml(
        f"<Event><System><EventID>5007</EventID><Channel>{DEFENDER}</Channel></System><EventData>"
        + "".join(f"<Data Name='{name}'>{value}</Data>" for name, value in SPACED.items())
        + "</EventData></Event>"
    ),
    "Winlogbeat": {
        "winlog": {"channel": DEFENDER, "event_id": 5007, "event_data": SPACED},
        "@timestamp": TIME,
    },
    "Winlogbeat, dotted": {
        "winlog.channel": DEFENDER,
        "winlog.event_id": 5007,
        **{f"winlog.event_data.{name}": value for name, value in SPACED.items()},
    },
    "Winlogbeat 6": {"log_name": DEFENDER, "event_id": 5007, "event_data": SPACED},
    "NXLog": {"Channel": DEFENDER, "EventID": 5007, **SPACED},
    "user data": {
        "Event": {**_evtx(DEFENDER, 5007, None), "UserData": {"EventXML": SPACED}},
    },
    "EvtxECmd": {
        **EVTXECMD,
        "Channel": DEFENDER,
        "EventId": 5007,
        "Payload": json.dumps(
            {"EventData": {"Data": [{"@Name": k, "#text": v} for k, v in SPACED.items()]}}
        ),
    },
    "Elasticsearch": {"_source": {"Channel": DEFENDER, "EventID": 5007, **SPACED}},
}


@pytest.mark.parametrize("shape", SPACED_SHAPES)
def test_names_are_found_without_their_blanks(shape: str) -> None:
    engine = Engine(
        rules(
            "service: windefend",
            "NewValue|contains: Exclusions",
            "NewValue|contains: other",
            "ProductName: x",
            "'New Value|contains': Exclusions",
        )
    )
    assert {"0", "2"} <= set(fired(engine, SPACED_SHAPES[shape])) <= {"0", "2", "3"}


def test_a_name_without_blanks_comes_first() -> None:
    event = {"Channel": DEFENDER, "EventID": 1, "New Value": "a", "NewValue": "b"}
    assert unwrap(event)["NewValue"] == "b"


HASHES = "SHA1=AA,MD5=BB,SHA256=CC,IMPHASH=DD"


@pytest.mark.parametrize(
    "name", ["md5", "MD5", "Md5", "sha1", "SHA256", "sha256", "imphash", "ImpHash"]
)
def test_hashes_by_sigmas_names(name: str) -> None:
    value = {"md5": "bb", "sha1": "aa", "sha256": "cc", "imphash": "dd"}[name.lower()]
    engine = Engine(rules("category: process_creation", f"{name}: {value}", f"{name}: ee"))
    flat = {"Channel": SYSMON, "EventID": 1, "Image": "a", "Hashes": HASHES}
    assert fired(engine, flat) == ["0"]
    assert fired(engine, {"Event": _evtx(SYSMON, 1, {"Hashes": HASHES})}) == ["0"]
    # Where an event has a field of that name, that is meant.
    assert fired(engine, {**flat, name: "ee"}) == ["1"]


_DATA = {"Hashes": HASHES, "Image": "a"}
_WINLOG = {"channel": SYSMON, "event_id": "1", "provider_name": "Microsoft-Windows-Sysmon"}
WITH_HASHES: dict[str, dict[str, Any]] = {
    "Winlogbeat": {"winlog": {**_WINLOG, "event_data": _DATA}},
    "Winlogbeat, a list": {"winlog": {**_WINLOG, "event_data": {"Hashes": HASHES.split(",")}}},
    "Elastic Agent": {
        "winlog": {**_WINLOG, "event_data": {"Image": "a"}},
        "process": {
            "executable": "a",
            "hash": {"md5": "bb", "sha1": "aa", "sha256": "cc"},
            "pe": {"imphash": "dd"},
        },
    },
    "Velociraptor's hunts": {**TABLE, "EventData": _DATA},
    "Sentinel": {**TABLE, "EventData": json.dumps(_DATA)},
    "lower case": {"Channel": SYSMON, "EventID": 1, "Image": "a", "Hashes": HASHES.lower()},
}


@pytest.mark.parametrize("shape", WITH_HASHES)
def test_hashes_in_every_shape(shape: str) -> None:
    named = ("md5: BB", "SHA1: aa", "sha256|startswith: c", "Imphash: [x, dd]", "md5|exists: true")
    others = ("md5: aa", "sha1: bb", "imphash|exists: false", "md5|contains: 'MD5='")
    engine = Engine(rules("category: process_creation", *named, *others))
    assert fired(engine, WITH_HASHES[shape]) == [str(n) for n in range(len(named))]


def test_hashes_of_a_stream_and_of_one_kind() -> None:
    event = {"Channel": SYSMON, "EventID": 15, "Image": "a", "Hash": HASHES}
    engine = Engine(rules("category: create_stream_hash", "md5: bb", "Hash|contains: 'MD5=BB'"))
    assert fired(engine, event) == ["0", "1"]
    only = {"Channel": SYSMON, "EventID": 6, "ImageLoaded": "a.sys", "Hashes": "MD5=BB"}
    engine = Engine(rules("category: driver_load", "md5: bb", "sha1: bb", "sha256|exists: true"))
    assert fired(engine, only) == ["0"]


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        ({"Channel": "Security", "EventID": 4688, "MandatoryLabel": "S-1-16-12288"}, "0124"),
        ({"Channel": "Security", "EventID": 4688, "MandatoryLabel": "High"}, "0124"),
        ({"Channel": "Security", "EventID": 4688, "MandatoryLabel": "S-1-16-0"}, "5"),
        ({"Channel": SYSMON, "EventID": 1, "IntegrityLevel": "S-1-16-0"}, "5"),
        ({"Channel": SYSMON, "EventID": 1, "IntegrityLevel": "High"}, "0124"),
        ({"Channel": SYSMON, "EventID": 1, "IntegrityLevel": "S-1-16-12288"}, "0124"),
        ({"Channel": SYSMON, "EventID": 1, "IntegrityLevel": "Medium"}, "3"),
        ({"Channel": "Security", "EventID": 4688, "MandatoryLabel": "S-1-16-8448"}, "3"),
    ],
)
def test_integrity_levels_as_words_and_as_sids(event: dict[str, Any], expected: str) -> None:
    engine = Engine(
        rules(
            "category: process_creation",
            "IntegrityLevel: High",
            "IntegrityLevel: S-1-16-12288",
            "IntegrityLevel|endswith: '-12288'",
            "IntegrityLevel: Medium",
            "IntegrityLevel|re: 'S-1-16-(12288|16384)'",
            "IntegrityLevel: untrusted",
        )
    )
    assert "".join(fired(engine, event)) == expected


def test_a_repeated_name_is_a_list() -> None:
    data = "<Data Name='A'>1</Data><Data Name='B'>x</Data><Data Name='A'>2</Data><Data Name='A'>3</Data>"
    event = event_of_xml(f"<Event><EventData>{data}</EventData></Event>")
    assert event["Event"]["EventData"] == {"A": ["1", "2", "3"], "B": "x"}


XML_EVENT = (
    "<Event>\n  <System>\n    <EventID>1</EventID>\n"
    f"    <Channel>{SYSMON}</Channel>\n  </System>\n"
    '  <EventData>\n    <Data Name="CommandLine">needle</Data>\n  </EventData>\n</Event>\n'
)
JSON_EVENT = {"Event": _evtx(SYSMON, 1, {"CommandLine": "needle"})}
DUMPS = {
    "XML": 'Record 1\n<?xml version="1.0" encoding="utf-8"?>\n'
    + XML_EVENT
    + "Record 2\n"
    + XML_EVENT,
    "JSON": "".join(f"Record {n}\n{json.dumps(JSON_EVENT, indent=2)}\n" for n in (1, 2)),
    "JSON, CRLF": "".join(
        f"Record {n}\r\n{json.dumps(JSON_EVENT, indent=2)}\r\n".replace("\n", "\r\n")
        for n in (1, 2)
    ),
    "JSON, no indent": "".join(f"Record {n}\n{json.dumps(JSON_EVENT)}\n" for n in (1, 20)),
    "jsonl": "".join(f"{json.dumps(JSON_EVENT)}\n" for _ in range(2)),
}


@pytest.mark.parametrize("form", DUMPS)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_what_evtx_dump_writes(form: str, encoding: str) -> None:
    data = DUMPS[form].replace("\r\r", "\r").encode(encoding)
    reading = read_events("-", stdin=io.BytesIO(data))
    records = list(reading)
    assert [record.number for record in records] == [1, 2]
    assert (reading.diagnostics, reading.unreadable) == ((), 0)
    assert all(r.event["Event"]["EventData"]["CommandLine"] == "needle" for r in records)


@pytest.mark.parametrize("length", [1, 7, 4096, 70_000])
def test_numbers_of_records_that_chunks_cut(length: int) -> None:
    text = "".join(
        f"Record {n}\n{json.dumps({'a': n, 'Record 1': 'x' * length}, indent=1)}\n"
        for n in range(40)
    )
    records = list(read_events("-", stdin=io.BytesIO(text.encode())))
    assert [record.event["a"] for record in records] == list(range(40))


def test_channels_that_have_two_names() -> None:
    for name in ("DNS-Server", "DNSServer"):
        engine = Engine(rules("service: dns-server-audit", "EventID: 541"))
        assert fired(engine, {"Channel": f"Microsoft-Windows-{name}/Audit", "EventID": 541}) == [
            "0"
        ]


def test_what_the_security_log_audits_serves_sigmas_categories() -> None:
    value = {
        "Channel": "Security",
        "EventID": 4657,
        "ProcessName": "C:\\x\\reg.exe",
        "ObjectName": "\\REGISTRY\\MACHINE\\SOFTWARE\\Run",
        "ObjectValueName": "evil",
        "OperationType": "%%1905",
        "NewValue": "a.exe",
    }
    wanted = "{TargetObject|endswith: '\\Run\\evil', Details: a.exe, Image|endswith: reg.exe}"
    for category in ("registry_set", "registry_event"):
        assert fired(Engine(rules(f"category: {category}", wanted[1:-1])), value) == ["0"]
    engine = Engine(
        rules("category: registry_delete", wanted[1:-1].replace("Details: a.exe, ", ""))
    )
    assert fired(engine, value) == []
    assert fired(engine, {**value, "OperationType": "%%1906"}) == ["0"]
    platform = {
        "EventID": 5156,
        "Application": "\\device\\x\\a.exe",
        "Direction": "%%14593",
        "SourceAddress": "10.0.0.1",
        "DestAddress": "10.0.0.2",
        "DestPort_string": "445",
        "Protocol": "6",
        "FilterRTID": "1",
    }
    engine = Engine(
        rules(
            "category: network_connection",
            "Image|endswith: a.exe, DestinationIp: 10.0.0.2, DestinationPort: 445, Initiated: 'true'",
            "Initiated: 'false'",
        )
    )
    assert fired(engine, platform) == ["0"]
    assert fired(engine, {**platform, "Channel": "Security", "DestPort": 445}) == ["0"]


FORWARDED: dict[str, Any] = {
    "flat": {
        "Channel": "ForwardedEvents",
        "SourceName": "Microsoft-Windows-Sysmon",
        "EventID": 1,
        "CommandLine": "needle",
    },
    "EVTX": {
        "Event": _evtx("ForwardedEvents", 1, {"CommandLine": "needle"}, "Microsoft-Windows-Sysmon")
    },
    "Winlogbeat": {
        "winlog": {
            "channel": "ForwardedEvents",
            "provider_name": "Microsoft-Windows-Sysmon",
            "event_id": 1,
            "event_data": {"CommandLine": "needle"},
        }
    },
}


@pytest.mark.parametrize(
    ("service", "provider"),
    [
        ("ntlm", "Microsoft-Windows-NTLM"),
        ("bits-client", "Microsoft-Windows-Bits-Client"),
        ("dns-server", "Microsoft-Windows-DNS-Server-Service"),
        ("firewall-as", "Microsoft-Windows-Windows Firewall With Advanced Security"),
        (
            "terminalservices-localsessionmanager",
            "Microsoft-Windows-TerminalServices-LocalSessionManager",
        ),
        ("openssh", "OpenSSH"),
        ("windefend", "Microsoft-Windows-Windows Defender"),
    ],
)
def test_forwarded_events_of_a_provider_with_one_channel(service: str, provider: str) -> None:
    engine = Engine(rules(f"service: {service}", "A: needle", "A: x"))
    assert fired(engine, {"Event": _evtx("ForwardedEvents", 9, {"A": "needle"}, provider)}) == ["0"]
    assert fired(engine, {"Event": _evtx("ForwardedEvents", 9, {"A": "needle"}, "Other")}) == []


@pytest.mark.parametrize("number", [{"Value": "1"}, {"value": 1}, {"_": 1}, {"#text": 1}])
@pytest.mark.parametrize("name", ["#attributes", "@attributes", "$", "@"])
def test_elements_as_converters_of_xml_write_them(number: dict[str, Any], name: str) -> None:
    engine = Engine(rules("category: process_creation", "CommandLine: needle", "CommandLine: x"))
    event: dict[str, Any] = _evtx(SYSMON, 1, {}, "Microsoft-Windows-Sysmon")
    event["System"]["EventID"] = number
    event["EventData"] = {"Data": [{name: {"Name": "CommandLine"}, "#text": "needle"}]}
    assert fired(engine, {"Event": event}) == ["0"]
    assert fired(engine, event) == ["0"]


@pytest.mark.parametrize("shape", FORWARDED)
def test_forwarded_events_are_their_providers(shape: str) -> None:
    engine = Engine(rules("category: process_creation", "CommandLine: needle", "CommandLine: x"))
    assert fired(engine, FORWARDED[shape]) == ["0"]


def test_tables_of_sentinel() -> None:
    row = {
        "TimeGenerated": TIME,
        "Source": "Microsoft-Windows-Sysmon",
        "EventLog": SYSMON,
        "EventID": 1,
        "Computer": "ws1",
        "Image": "C:\\a.exe",
        "CommandLine": "needle",
        "ProcessId_dynamic": "5692",
    }
    engine = Engine(rules("category: process_creation", "CommandLine: needle, ProcessId: 5692"))
    assert fired(engine, row) == ["0"]
    connection = {
        "TimeGenerated": TIME,
        "Computer": "UBUNTU5",
        "Direction": "outbound",
        "ProcessName": "java",
        "SourceIp": "10.0.0.1",
        "DestinationIp": "10.0.0.2",
        "DestinationPort": 88,
        "Protocol": "tcp",
        "ConnectionId": "E2",
    }
    [flow] = normalize(connection, find_maps())
    assert str(flow.kind) == "flow/start"
    text = (
        '<DataItem type="System.XmlData"><EventData xmlns="x"><Data Name="CommandLine">needle</Data>'
        '<Data Name="ProcessId">5692</Data></EventData></DataItem>'
    )
    bare = {key: value for key, value in row.items() if key in ("EventLog", "EventID", "Source")}
    for column in ("EventData", "EventData_string"):
        assert fired(engine, {**bare, column: text}) == ["0"]
    assert (flow.fields["exe"], flow.fields["dest_port"]) == ("java", 88)


@pytest.mark.parametrize("command", ["bash -c 'a b=c'", 'sh -c "x "y" z"', "/bin/true"])
def test_programs_that_the_linux_agent_saw(command: str) -> None:
    event = {
        "TimeGenerated": TIME,
        "Computer": "u5",
        "SyslogMessage": "type=AUOMS_EXECVE audit(1652292621.990:84143): ppid=1340 pid=17790 "
        f'user=tomcat exe="/bin/bash" cwd="/" argc=3 cmdline="{command}" redactors= containerid=',
        "EventData": "ppid=1340",
    }
    message = event["SyslogMessage"].partition(" redactors=")[0]
    [cut] = normalize({**event, "SyslogMessage": message}, find_maps())
    assert cut.fields["command_line"] == command
    [seen] = normalize(event, find_maps())
    assert str(seen.kind) == "process/create"
    assert (seen.fields["command_line"], seen.fields["image_path"]) == (command, "/bin/bash")
    assert (seen.fields["pid"], seen.fields["ppid"], seen.time) == (
        "17790",
        "1340",
        1652292621990000,
    )


def test_nxlogs_local_times_and_service_accounts() -> None:
    event = {
        "Channel": "System",
        "EventID": 7045,
        "EventTime": "2020-09-20 12:16:56",
        "EventReceivedTime": "2020-09-20 12:16:58",
        "@timestamp": "2020-09-20T16:16:59.233Z",
        "ServiceName": "Updater",
        "AccountName": "ann",
        "AccountType": "User",
        "Message": "A service was installed.\r\n\r\nService Account:  LocalSystem",
    }
    [seen] = normalize(event, find_maps())
    assert (seen.fields["user"], seen.time) == ("LocalSystem", 1_600_618_616_000_000)
    del event["AccountType"], event["EventReceivedTime"]
    [seen] = normalize(event, find_maps())
    assert (seen.fields["user"], seen.time) == ("ann", 1_600_618_616_000_000)
    engine = Engine(rules("service: system", "AccountName: LocalSystem"))
    assert fired(engine, {**event, "AccountType": "User"}) == ["0"]


def test_a_registry_value_has_slashes() -> None:
    path = "HKLM\\SYSTEM\\EventLog\\Foo/Start"
    event = {"Channel": SYSMON, "EventID": 13, "Image": "a", "TargetObject": path}
    [seen] = normalize(event, find_maps())
    assert seen.fields["value"] == "Foo/Start"


REPEATED = {
    "Zed": "z",
    "Lat": ["a", "b", "c"],
    "Lon": "1",
    "Lon_1": "own",
    "Only_1": "alone",
    "Both": ["1", "2"],
    "Both_1": "own",
}


def test_repeated_elements_of_a_binary_log_are_lists() -> None:
    """All values are there, and a field whose own name looks numbered stays what it is."""
    once = {"System": {"EventID": "1", "Channel": "X"}, "EventData": {"Lon": "1", "Lon_1": "own"}}
    several = {"System": {"EventID": "1", "Channel": "X"}, "EventData": REPEATED}
    data = evtx_of([{"Event": one} for one in (once, several, once)], per_chunk=2)
    for number, record in enumerate(read_events("-", stdin=io.BytesIO(data)), 1):
        expected = REPEATED if number == 2 else once["EventData"]
        assert record.event["Event"]["EventData"] == expected
        assert unwrap(record.event)["Event"]["EventData"] == expected


def test_repeated_elements_of_event_xml_are_lists() -> None:
    elements = "".join(
        f'<Data Name="{name}">{value}</Data>'
        for name, values in REPEATED.items()
        for value in (values if isinstance(values, list) else [values])
    )
    event = event_of_xml(
        f"<Event><System><Channel>X</Channel></System><EventData>{elements}</EventData></Event>"
    )
    assert event["Event"]["EventData"] == REPEATED
    assert unwrap(event)["Event"]["EventData"] == REPEATED


NUMBERED: dict[str, tuple[dict[str, Any], Any]] = {
    "two": ({"Lat": "a", "Lat_1": "b"}, ["a", "b"]),
    "three, others between": (
        {"Lat": 1, "Lon": 2, "Lat_1": 3, "Lon_1": 4, "Lat_2": 5},
        [1, 3, 5],
    ),
    "no second": ({"Lat": "a", "Lat_2": "b"}, "a"),
    "alone": ({"Lat_1": "b"}, None),
    "own name, as readers give it": ({"Lat_1": "b", "Lat": "a"}, "a"),
}


@pytest.mark.parametrize("name", NUMBERED)
def test_numbered_names_of_evtx_as_json(name: str) -> None:
    data, expected = NUMBERED[name]
    event = {"Event": _evtx("X", 1, data)}
    found = unwrap(event)["Event"]["EventData"]
    assert found.get("Lat") == expected
    assert {key: found[key] for key in data if key not in ("Lat", "Lon")} == {
        key: data[key] for key in data if key not in ("Lat", "Lon")
    }
    # Neither where nobody numbers, nor where the providers have no such fields.
    assert unwrap({"Channel": "X", "EventID": 1, **data}).get("Lat") == data.get("Lat")
    sysmon = unwrap({"Event": _evtx(SYSMON, 1, data)})["Event"]["EventData"]
    assert sysmon.get("Lat") == data.get("Lat")


def test_rules_see_every_numbered_value() -> None:
    engine = Engine(rules("service: application", "Lat: b", "Lat: a", "Lat_1: b"))
    event = {"Event": _evtx("Application", 1, {"Lat": "a", "Lat_1": "b"})}
    assert fired(engine, event) == ["0", "1", "2"]


def test_events_without_fields_are_counted() -> None:
    """What a map recognises and finds nothing in is told; what has a field is not."""
    engine = Engine(rules("category: process_creation", "CommandLine: needle"))
    lost = {"Event": _evtx(SYSMON, 1, {"Somewhere": {"else": "needle"}})}
    told = {"Event": _evtx(SYSMON, 1, {"CommandLine": "x"})}
    session = engine.session()
    for event in (
        lost,
        told,
        lost,
        {"Event": _evtx("Application", 4, {})},
        {"Channel": "x", "EventID": 1},
    ):
        session.feed(event)
    created = ir.EventKind("windows", "process_creation")
    assert session.stats.without_fields == {("windows.evtx", created, ""): 2}
    lines = engine.session()
    for _ in range(300):
        lines.feed_line(json.dumps(lost).encode())
    assert lines.stats.without_fields == {("windows.evtx", created, ""): 300}
    assert engine.session().stats.without_fields == {}
    rule = parse_rule('p = search Process:Create where command_line = "*x*"\noutput p\n', "r.car")
    car = Engine([rule])
    session = car.session()
    for event in (lost, told, lost):
        session.feed(event)
    kind = ir.EventKind("process", "create")
    assert session.stats.without_fields == {("sysmon.evtx", kind, ""): 2}


@pytest.mark.parametrize("jobs", [1, 2])
def test_the_account_names_them(
    jobs: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """By map, kind and file: some in the line of records, all of them in the account."""
    names = [f"{letter}.jsonl" for letter in "abcd"]
    for number, name in enumerate(names, 1):
        lost = {"Event": _evtx(SYSMON, 1, {"Somewhere": {"else": name}})}
        (tmp_path / name).write_text(f"{json.dumps(lost)}\n" * number)
    rule = tmp_path / "r.car"
    rule.write_text('p = search Process:Create where command_line = "*x*"\noutput p\n')
    account = tmp_path / "account.json"
    paths = [str(tmp_path / name) for name in names]
    options = ["--account", str(account), "--jobs", str(jobs)]
    assert main(["hunt", "-r", str(rule), *options, *paths]) in (0, 4)
    said = capsys.readouterr().err.splitlines()
    (records,) = [line for line in said if line.startswith("10 records = ")]
    assert "(10 of them without fields: 4 process/create of sysmon.evtx in d.jsonl, 3 " in records
    assert "3 more)" in records
    assert json.loads(account.read_text())["records"]["without_fields"] == [
        {
            "map": "sysmon.evtx",
            "object": "process",
            "action": "create",
            "source": path,
            "events": number,
        }
        for number, path in enumerate(paths, 1)
    ]


def test_a_saved_session_keeps_them(tmp_path: Path) -> None:
    rule = parse_rule('p = search Process:Create where command_line = "*x*"\noutput p\n', "r.car")
    engine = Engine([rule])
    session = engine.session()
    lost = {"Event": _evtx(SYSMON, 1, {"Somewhere": {"else": "x"}})}
    session.feed(lost, Origin("a.evtx", 1))
    session.save(tmp_path / "state")
    again = engine.load_session(tmp_path / "state")
    again.feed(lost, Origin("a.evtx", 2))
    assert list(again.stats.without_fields.values()) == [2]
