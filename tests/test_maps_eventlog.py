"""Windows event logs: what each event is, in every shape, and the rules that read them."""

from __future__ import annotations

from typing import Any

import pytest

import carengine
from carengine import ir
from carengine.engine import Engine
from carengine.fieldmap import find_maps, normalize
from carengine.resources import shipped_rules as rules_folder
from map_cases import Expected, missed, seen_as, shape_of
from windows_shapes import SHAPES, Windows, flat

SECURITY, SYSTEM = "Security", "System"
TASKS = "Microsoft-Windows-TaskScheduler/Operational"
SESSIONS = "Microsoft-Windows-TerminalServices-LocalSessionManager/Operational"
SUBJECT = {
    "SubjectUserSid": "S-1-5-21-1-2-3-1104",
    "SubjectUserName": "ann",
    "SubjectDomainName": "CORP",
    "SubjectLogonId": "0x3e7a1",
}
ANN = "CORP\\ann"
TARGET = {
    "TargetUserSid": "S-1-5-21-1-2-3-1105",
    "TargetUserName": "bob",
    "TargetDomainName": "CORP",
    "TargetLogonId": "0x51f2c",
}
LOGON = {
    **SUBJECT,
    **TARGET,
    "LogonType": "3",
    "LogonProcessName": "NtLmSsp ",
    "AuthenticationPackageName": "NTLM",
    "WorkstationName": "KALI",
    "IpAddress": "10.1.4.20",
    "IpPort": "50122",
    "ProcessName": "-",
}
PROCESS = {"ProcessId": "0x1688", "ProcessName": "C:\\Windows\\System32\\cscript.exe"}
FILE = {
    **SUBJECT,
    **PROCESS,
    "ObjectServer": "Security",
    "ObjectType": "File",
    "ObjectName": "C:\\Data\\plan.docx",
}
VALUE = {
    **SUBJECT,
    **PROCESS,
    "ObjectName": "\\REGISTRY\\MACHINE\\SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\Run",
    "ObjectValueName": "Updater",
    "NewValueType": "%%1873",
    "NewValue": "C:\\Users\\Public\\x.exe",
}
RUN = "HKLM\\SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\Run"
PLATFORM = {
    "ProcessID": "5452",
    "Application": "\\device\\harddiskvolume2\\windows\\system32\\svchost.exe",
    "SourceAddress": "10.1.4.31",
    "SourcePort": "57726",
    "DestAddress": "10.0.10.106",
    "DestPort": "443",
    "Protocol": "6",
}
SOCKET = {
    "ProcessId": "5452",
    "Application": "\\device\\harddiskvolume2\\windows\\system32\\svchost.exe",
    "SourceAddress": "0.0.0.0",
    "SourcePort": "5985",
    "Protocol": "6",
}
SHARE = {
    **SUBJECT,
    "IpAddress": "10.1.4.20",
    "IpPort": "54804",
    "ShareName": "\\\\*\\IPC$",
    "RelativeTargetName": "svcctl",
    "AccessMask": "0x3",
}
TICKET = {
    "TargetUserName": "bob@CORP.EXAMPLE",
    "TargetDomainName": "CORP.EXAMPLE",
    "ServiceName": "WS1$",
    "IpAddress": "::ffff:10.1.4.20",
    "IpPort": "51713",
}
NTLM = {
    "PackageName": "MICROSOFT_AUTHENTICATION_PACKAGE_V1_0",
    "TargetUserName": "bob",
    "Workstation": "KALI",
}
TASK_XML = "<Task><Exec><Command>powershell</Command></Exec></Task>"
TASK = {**SUBJECT, "TaskName": "\\Updater"}
TASK_FILE = "C:\\Windows\\System32\\Tasks\\Updater"
LOGON_FIELDS = {
    "user": "CORP\\bob",
    "ad_domain": "CORP",
    "uid": "S-1-5-21-1-2-3-1105",
    "login_type": "3",
    "login_id": "0x51f2c",
    "authentication_package": "NTLM",
    "logon_process": "NtLmSsp",
    "src_ip": "10.1.4.20",
    "src_port": "50122",
    "src_hostname": "KALI",
    "image_path": None,
}

CASES: list[tuple[str, Windows, Expected]] = [
    (
        "4688",
        Windows(
            SECURITY,
            4688,
            {
                **SUBJECT,
                "NewProcessId": "0x242c",
                "NewProcessName": "C:\\Windows\\System32\\bitsadmin.exe",
                "ProcessId": "0x273c",
                "ParentProcessName": "C:\\Windows\\System32\\cmd.exe",
                "CommandLine": "bitsadmin.exe /transfer x",
                "TargetUserSid": "S-1-0-0",
                "TargetUserName": "-",
                "TargetDomainName": "-",
                "TargetLogonId": "0x0",
                "MandatoryLabel": "S-1-16-12288",
            },
        ),
        {
            "process/create": {
                "exe": "bitsadmin.exe",
                "image_path": "C:\\Windows\\System32\\bitsadmin.exe",
                "parent_exe": "cmd.exe",
                "command_line": "bitsadmin.exe /transfer x",
                "pid": "0x242c",
                "ppid": "0x273c",
                "user": ANN,
                "sid": "S-1-5-21-1-2-3-1104",
                "logon_id": "0x3e7a1",
                "integrity_level": "High",
            }
        },
    ),
    (
        "4688 under another account, of old Windows",
        Windows(SECURITY, 4688, {**SUBJECT, **TARGET, "NewProcessName": "C:\\a.exe"}),
        {
            "process/create": {
                "user": "CORP\\bob",
                "parent_user": ANN,
                "logon_id": "0x51f2c",
                "parent_image_path": None,
                "integrity_level": None,
                "command_line": None,
            }
        },
    ),
    (
        "4689",
        Windows(SECURITY, 4689, {**SUBJECT, **PROCESS, "Status": "0x0"}),
        {"process/terminate": {"exe": "cscript.exe", "pid": "0x1688", "user": ANN}},
    ),
    (
        "4656 of a process",
        Windows(
            SECURITY,
            4656,
            {
                **FILE,
                "ObjectType": "Process",
                "ObjectName": "\\Device\\HarddiskVolume1\\Windows\\System32\\lsass.exe",
                "AccessMask": "0x1f3fff",
            },
        ),
        {
            "process/access": {
                "exe": "cscript.exe",
                "target_exe": "lsass.exe",
                "target_name": "lsass.exe",
                "access_level": "0x1f3fff",
            }
        },
    ),
    (
        "4656 of a process, refused",
        Windows(SECURITY, 4656, {**FILE, "ObjectType": "Process", "AccessMask": "0x10"}, {}, True),
        {},
    ),
    ("4656 of a file", Windows(SECURITY, 4656, {**FILE, "AccessMask": "0x1"}), {}),
    (
        "4663 read",
        Windows(SECURITY, 4663, {**FILE, "AccessMask": "0x1"}),
        {"file/read": {"file_path": "C:\\Data\\plan.docx", "extension": ".docx", "user": ANN}},
    ),
    (
        "4663 written and deleted",
        Windows(SECURITY, 4663, {**FILE, "AccessMask": "0x10002"}),
        {"file/write": {"file_name": "plan.docx"}, "file/delete": {"pid": "0x1688"}},
    ),
    ("4663 attributes only", Windows(SECURITY, 4663, {**FILE, "AccessMask": "0x80"}), {}),
    ("4663 without a mask", Windows(SECURITY, 4663, FILE), {}),
    (
        "4663 of a process",
        Windows(SECURITY, 4663, {**FILE, "ObjectType": "Process", "AccessMask": "0x10"}),
        {"process/access": {"access_level": "0x10"}},
    ),
    (
        "4663 a key below a key",
        Windows(
            SECURITY,
            4663,
            {
                **FILE,
                "ObjectType": "Key",
                "ObjectName": "\\REGISTRY\\USER\\S-1-5-21\\Software\\X",
                "AccessMask": "0x4",
            },
        ),
        {"registry/add": {"key": "HKU\\S-1-5-21\\Software\\X", "hive": "HKEY_USERS"}},
    ),
    (
        "4663 a key is deleted",
        Windows(SECURITY, 4663, {**FILE, "ObjectType": "Key", "AccessMask": "0x10000"}),
        {"registry/remove": {"exe": "cscript.exe"}},
    ),
    (
        "4657 a new value",
        Windows(SECURITY, 4657, {**VALUE, "OperationType": "%%1904"}),
        {
            "registry/value_edit": {
                "key": f"{RUN}\\Updater",
                "value": "Updater",
                "data": "C:\\Users\\Public\\x.exe",
                "type": "REG_SZ",
                "hive": "HKEY_LOCAL_MACHINE",
            },
            "registry/add": {"value": "Updater"},
        },
    ),
    (
        "4657 a value is changed",
        Windows(SECURITY, 4657, {**VALUE, "OperationType": "%%1905"}),
        {"registry/value_edit": {"user": ANN}},
    ),
    (
        "4657 a value is deleted",
        Windows(SECURITY, 4657, {**VALUE, "OperationType": "%%1906"}),
        {"registry/remove": {"key": f"{RUN}\\Updater"}},
    ),
    (
        "4670 of a file",
        Windows(SECURITY, 4670, {**FILE, "OldSd": "D:x", "NewSd": "D:y"}),
        {"file/acl_modify": {"file_path": "C:\\Data\\plan.docx"}},
    ),
    ("4670 of a token", Windows(SECURITY, 4670, {**FILE, "ObjectType": "Token"}), {}),
    (
        "4664",
        Windows(SECURITY, 4664, {**SUBJECT, "FileName": "C:\\a", "LinkName": "C:\\b"}),
        {"file/create": {"file_path": "C:\\b", "link_target": "C:\\a"}},
    ),
    (
        "4624",
        Windows(SECURITY, 4624, LOGON),
        {
            "authentication/success": {**LOGON_FIELDS, "auth_target": "WS1", "method": "NTLM"},
            "user_session/login": {**LOGON_FIELDS, "login_successful": True},
        },
    ),
    (
        "4624 of the system",
        Windows(
            SECURITY,
            4624,
            {
                **LOGON,
                "TargetUserName": "SYSTEM",
                "TargetDomainName": "NT AUTHORITY",
                "WorkstationName": "-",
                "IpAddress": "-",
                "IpPort": "0",
                "ProcessName": "C:\\Windows\\System32\\services.exe",
            },
        ),
        {
            "authentication/success": {"user": "NT AUTHORITY\\SYSTEM", "src_ip": None},
            "user_session/login": {"src_port": None, "src_hostname": None, "exe": "services.exe"},
        },
    ),
    (
        "4625",
        Windows(
            SECURITY,
            4625,
            {
                **LOGON,
                "TargetUserSid": "S-1-0-0",
                "Status": "0xc000006d",
                "SubStatus": "0xc000006a",
            },
            {},
            True,
        ),
        {
            "authentication/failure": {
                "user": "CORP\\bob",
                "uid": None,
                "src_ip": "10.1.4.20",
                "login_type": "3",
                "decision_reason": "0xc000006a",
            }
        },
    ),
    ("4634", Windows(SECURITY, 4634, {**TARGET, "LogonType": "3"}),
     {"user_session/logout": {"user": "CORP\\bob", "login_id": "0x51f2c", "login_type": "3"}}),
    ("4647", Windows(SECURITY, 4647, TARGET), {"user_session/logout": {"login_type": None}}),
    ("4648 does not say how it ended", Windows(SECURITY, 4648, {**SUBJECT, **TARGET}), {}),
    (
        "4778",
        Windows(
            SECURITY,
            4778,
            {
                "AccountName": "bob",
                "AccountDomain": "CORP",
                "LogonID": "0x51f2c",
                "SessionName": "RDP-Tcp#1",
                "ClientName": "KALI",
                "ClientAddress": "10.1.4.20",
            },
        ),
        {
            "user_session/reconnect": {
                "user": "CORP\\bob",
                "login_id": "0x51f2c",
                "src_ip": "10.1.4.20",
                "src_hostname": "KALI",
            }
        },
    ),
    ("4779", Windows(SECURITY, 4779, {"AccountName": "bob", "AccountDomain": "CORP"}), {}),
    ("4800", Windows(SECURITY, 4800, {**TARGET, "SessionId": "2"}),
     {"user_session/lock": {"user": "CORP\\bob"}}),
    ("4801", Windows(SECURITY, 4801, {**TARGET, "SessionId": "2"}),
     {"user_session/unlock": {"login_id": "0x51f2c"}}),
    (
        "4768",
        Windows(SECURITY, 4768, {**TICKET, "TargetUserName": "bob", "Status": "0x0"}),
        {"authentication/success": {"user": "CORP.EXAMPLE\\bob", "method": "Kerberos"}},
    ),
    (
        "4769",
        Windows(SECURITY, 4769, {**TICKET, "Status": "0x0"}),
        {"authentication/success": {"user": "CORP.EXAMPLE\\bob", "auth_target": "WS1$"}},
    ),
    (
        "4769 refused",
        Windows(SECURITY, 4769, {**TICKET, "Status": "0x20"}, {}, True),
        {"authentication/failure": {"decision_reason": "0x20"}},
    ),
    ("4769 without a status", Windows(SECURITY, 4769, TICKET), {}),
    (
        "4771",
        Windows(SECURITY, 4771, {**TICKET, "TargetUserName": "bob", "Status": "0x18"}, {}, True),
        {"authentication/failure": {"decision_reason": "0x18", "src_port": "51713"}},
    ),
    (
        "4776",
        Windows(SECURITY, 4776, {**NTLM, "Status": "0x0"}),
        {"authentication/success": {"user": "bob", "method": "NTLM", "src_hostname": "KALI"}},
    ),
    (
        "4776 refused",
        Windows(SECURITY, 4776, {**NTLM, "Status": "0xc000006a"}, {}, True),
        {"authentication/failure": {"decision_reason": "0xc000006a"}},
    ),
    ("4777", Windows(SECURITY, 4777, {"TargetUserName": "bob", "Workstation": "KALI"}),
     {"authentication/failure": {"user": "bob"}}),
    ("6272", Windows(SECURITY, 6272, {**SUBJECT, "ClientIPAddress": "10.1.4.1"}),
     {"authentication/success": {"user": ANN, "src_ip": "10.1.4.1"}}),
    ("6273", Windows(SECURITY, 6273, {**SUBJECT, "ReasonCode": "16"}),
     {"authentication/failure": {"decision_reason": "16"}}),
    (
        "4697",
        Windows(
            SECURITY,
            4697,
            {
                **SUBJECT,
                "ServiceName": "qfhaer",
                "ServiceFileName": "rundll32.exe C:\\Users\\P\\qfhaer.dll,a /p:qfhaer",
                "ServiceType": "0x10",
                "ServiceStartType": "3",
                "ServiceAccount": "LocalSystem",
            },
        ),
        {
            "service/create": {
                "name": "qfhaer",
                "image_path": "rundll32.exe",
                "exe": "rundll32.exe",
                "command_line": "rundll32.exe C:\\Users\\P\\qfhaer.dll,a /p:qfhaer",
                "user": "LocalSystem",
                "uid": "S-1-5-21-1-2-3-1104",
                "service_type": "user mode service",
                "start_type": "demand start",
            }
        },
    ),
    (
        "7045",
        Windows(
            SYSTEM,
            7045,
            {
                "ServiceName": "PSEXESVC",
                "ImagePath": "%SystemRoot%\\PSEXESVC.exe",
                "ServiceType": "user mode service",
                "StartType": "demand start",
                "AccountName": "LocalSystem",
            },
        ),
        {
            "service/create": {
                "name": "PSEXESVC",
                "exe": "PSEXESVC.exe",
                "service_type": "user mode service",
                "user": "LocalSystem",
            }
        },
    ),
    (
        "1102",
        Windows(SECURITY, 1102, user_data=SUBJECT, element="LogFileCleared"),
        {
            "event_log/clear": {
                "name": "Security",
                "user": ANN,
                "uid": SUBJECT["SubjectUserSid"],
            }
        },
    ),
    (
        "104, without the log's name, which a flat shape writes over the channel",
        Windows(SYSTEM, 104, user_data=SUBJECT, element="LogFileCleared"),
        {"event_log/clear": {"name": None, "user": ANN}},
    ),
    ("7036 started", Windows(SYSTEM, 7036, {"param1": "Volume Shadow Copy", "param2": "running"}),
     {"service/start": {"name": "Volume Shadow Copy"}}),
    ("7036 stopped, in German",
     Windows(SYSTEM, 7036, {"param1": "Windows Defender", "param2": "beendet",
                            "Binary": "570069006E0044006500660065006E0064002F0031000000"}),
     {"service/stop": {"name": "Windows Defender"}}),
    ("7036 paused", Windows(SYSTEM, 7036, {"param1": "x", "param2": "paused"}),
     {"service/pause": {"name": "x"}}),
    ("7036 in words that nobody knows", Windows(SYSTEM, 7036, {"param1": "x", "param2": "?"}), {}),
    ("7034", Windows(SYSTEM, 7034, {"param1": "Windows Search", "param2": "1"}),
     {"service/stop": {"name": "Windows Search"}}),
    ("7040", Windows(SYSTEM, 7040, {"param1": "BITS", "param2": "demand start"}), {}),
    (
        "5156 outbound",
        Windows(SECURITY, 5156, {**PLATFORM, "Direction": "%%14593"}),
        {
            "flow/start": {
                "exe": "svchost.exe",
                "pid": "5452",
                "src_ip": "10.1.4.31",
                "dest_ip": "10.0.10.106",
                "dest_port": "443",
                "transport_protocol": "tcp",
                "network_direction": "outbound",
                "initiated": "true",
            }
        },
    ),
    (
        "5156 inbound",
        Windows(SECURITY, 5156, {**PLATFORM, "Direction": "%%14592", "Protocol": "89"}),
        {"flow/start": {"initiated": "false", "transport_protocol": "89"}},
    ),
    ("5157", Windows(SECURITY, 5157, {**PLATFORM, "Direction": "%%14592"}, {}, True), {}),
    ("5154", Windows(SECURITY, 5154, SOCKET),
     {"socket/listen": {"local_port": "5985", "protocol": "tcp", "success": True}}),
    ("5155", Windows(SECURITY, 5155, SOCKET), {"socket/listen": {"success": False}}),
    ("5158", Windows(SECURITY, 5158, {**SOCKET, "Protocol": "17"}),
     {"socket/bind": {"pid": "5452", "protocol": "udp", "exe": "svchost.exe"}}),
    ("5159", Windows(SECURITY, 5159, SOCKET), {"socket/bind": {"success": False}}),
    (
        "5140",
        Windows(SECURITY, 5140, {**SHARE, "RelativeTargetName": "-"}),
        {
            "flow/message": {
                "application_protocol": "smb",
                "src_ip": "10.1.4.20",
                "proto_info.function": "tree_connect",
                "proto_info.share": "\\\\*\\IPC$",
                "proto_info.user_name": ANN,
                "proto_info.pipe": None,
            }
        },
    ),
    (
        "5145 a pipe",
        Windows(SECURITY, 5145, SHARE),
        {"flow/message": {"proto_info.pipe": "svcctl", "proto_info.file_name": "svcctl"}},
    ),
    (
        "5145 a file",
        Windows(SECURITY, 5145, {**SHARE, "ShareName": "\\\\*\\C$", "RelativeTargetName": "a.exe", "AccessMask": "0x1"}),
        {
            "flow/message": {
                "proto_info.pipe": None,
                "proto_info.file_name": "a.exe",
                "proto_info.function": "create",
            }
        },
    ),
    (
        "5145 a file that is written",
        Windows(
            SECURITY,
            5145,
            {
                **SHARE,
                "ShareName": "\\\\*\\C$",
                "RelativeTargetName": "a.exe",
                "AccessMask": "0x120196",
            },
        ),
        {"flow/message": {"proto_info.file_name": "a.exe", "proto_info.function": "write"}},
    ),
    ("5145 refused", Windows(SECURITY, 5145, SHARE, {}, True), {}),
    (
        "4698",
        Windows(SECURITY, 4698, {**TASK, "TaskContent": TASK_XML}),
        {
            "file/create": {
                "file_path": TASK_FILE,
                "file_name": "Updater",
                "content": TASK_XML,
                "user": ANN,
                "image_path": None,
            }
        },
    ),
    (
        "4698 escaped",
        Windows(SECURITY, 4698, {**TASK, "TaskContent": "&lt;Task&gt;&lt;/Task&gt;"}),
        {"file/create": {"content": "<Task></Task>"}},
    ),
    ("4699", Windows(SECURITY, 4699, {**TASK, "TaskContent": TASK_XML}),
     {"file/delete": {"file_path": TASK_FILE}}),
    ("4702", Windows(SECURITY, 4702, {**TASK, "TaskContentNew": TASK_XML}),
     {"file/modify": {"content": TASK_XML}}),
    ("task registered", Windows(TASKS, 106, {"TaskName": "\\Updater", "UserContext": ANN}),
     {"file/create": {"file_path": TASK_FILE, "user": ANN}}),
    ("task updated", Windows(TASKS, 140, {"TaskName": "\\Updater", "UserName": ANN}),
     {"file/modify": {"user": ANN}}),
    ("task deleted", Windows(TASKS, 141, {"TaskName": "\\Updater", "UserName": ANN}),
     {"file/delete": {"file_name": "Updater"}}),
    ("task launched", Windows(TASKS, 129, {"TaskName": "\\x", "Path": "C:\\a.exe", "ProcessID": "77"}),
     {"process/create": {"exe": "a.exe", "pid": "77"}}),
    ("session opened", Windows(SESSIONS, 21, {}, {"User": ANN, "SessionID": "2", "Address": "10.1.4.20"}),
     {"user_session/login": {"user": ANN, "src_ip": "10.1.4.20", "login_id": "2"}}),
    ("session closed", Windows(SESSIONS, 23, {}, {"User": ANN, "SessionID": "2"}),
     {"user_session/logout": {"user": ANN, "src_ip": None}}),
    ("session left", Windows(SESSIONS, 24, {}, {"User": ANN, "SessionID": "2"}), {}),
    ("session taken up", Windows(SESSIONS, 25, {}, {"User": ANN, "SessionID": "2", "Address": "LOCAL"}),
     {"user_session/reconnect": {"user": ANN, "src_ip": None}}),
    ("PowerShell", Windows("Microsoft-Windows-PowerShell/Operational", 4104, {"ScriptBlockText": "x"}), {}),
    ("WMI", Windows("Microsoft-Windows-WMI-Activity/Operational", 5857, {}, {"ProviderName": "x"}), {}),
    ("another log's 4688", Windows("Application", 4688, {"NewProcessName": "C:\\a.exe"}), {}),
    ("a channel in small letters", Windows("security", 4689, {**SUBJECT, **PROCESS}),
     {"process/terminate": {"exe": "cscript.exe"}}),
]  # fmt: skip
EVENTS = [event for _, event, _ in CASES]


def shaped(event: Windows, shape: str) -> dict[str, Any]:
    made = SHAPES[shape](event)
    if made is None:
        pytest.skip("HELK leaves these as they are")
    return made


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("event", "expected"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_what_an_event_is(event: Windows, expected: Expected, shape: str) -> None:
    raw = shaped(event, shape)
    assert shape_of(raw) == f"eventlog.{'flat' if shape == 'splunk' else shape}"
    views = seen_as(raw)
    assert set(views) == set(expected)
    for kind, fields in expected.items():
        got = {n: views[kind].field(ir.Field(n)) for n in fields}
        # HELK writes the machine's name in small letters.
        assert {n: v.lower() if shape == "helk" and n == "auth_target" else v for n, v in got.items()} == {
            n: v.lower() if shape == "helk" and n == "auth_target" else v for n, v in fields.items()
        }, kind  # fmt: skip
        assert views[kind].event.time == 1_716_190_872_518_000
        assert str(views[kind].field(ir.Field("hostname"))).lower() == "ws1"


@pytest.mark.parametrize("name", ["flat", "winlogbeat", "evtx"])
def test_every_entry_is_hit(name: str) -> None:
    [fieldmap] = find_maps(f"eventlog.{name}")
    raw = [made for event in EVENTS if (made := SHAPES[name](event)) is not None]
    assert missed(fieldmap, raw) == []


@pytest.mark.parametrize("shape", SHAPES)
def test_an_attack_gives_the_same_matches_in_every_shape(shape: str) -> None:
    """What the shipped rules that read single events say, event by event, is what they say of
    NXLog's form."""
    engine = Engine([r for r in carengine.load_rules(rules_folder()) if r.stateless], "eventlog")

    def hits(raw: dict[str, Any]) -> set[tuple[str, str]]:
        return {(match.rule.id, match.output) for match in engine.run([raw])}

    found = 0
    for event in EVENTS:
        raw = SHAPES[shape](event)
        if raw is not None:
            assert hits(raw) == hits(flat(event)), event
            found += len(hits(raw))
    assert found >= 3


ANALYTICS = """
failures = search Authentication:Failure
guessed = filter failures where login_type = 3 and src_ip exists and user = "*\\bob"
successes = search Authentication:Success where (login_type = 10 and src_ip in 10.0.0.0/8)
services = search Service:Create
dropped = filter services where command_line contains "\\Users\\" and start_type = "demand start"
remote = filter services where name = "PSEXESVC" and service_type = "user mode service"
output guessed, successes, dropped, remote
"""
RDP = {**LOGON, "LogonType": "10", "AuthenticationPackageName": "Negotiate"}
LOCAL = {**LOGON, "TargetDomainName": "WS1"}


@pytest.mark.parametrize("shape", SHAPES)
def test_analytics_on_logons_and_services(shape: str) -> None:
    shipped = [
        r
        for r in carengine.load_rules(rules_folder())
        if r.id.startswith(("CAR-2016-04-00", "CAR-2021-05-012"))
    ]
    engine = Engine([*shipped, carengine.parse_rule(ANALYTICS)], "auto")
    more = [
        Windows(SECURITY, 4624, RDP),
        Windows(SECURITY, 4624, LOCAL),
        Windows(SYSTEM, 7036, {"param1": "Windows Defender Firewall", "param2": "stopped"}),
    ]
    raw = [made for event in [*EVENTS, *more] if (made := SHAPES[shape](event)) is not None]
    found = {(match.rule.id, match.output) for match in engine.run(raw)}
    wanted = {
        ("<text>", "guessed"),
        ("<text>", "successes"),
        ("<text>", "dropped"),
        ("<text>", "remote"),
        ("CAR-2016-04-004", "local_logins"),
        ("CAR-2016-04-005", "rdp_logins"),
        ("CAR-2021-05-012", "suspicious_services"),
    }
    # HELK's pipelines leave 7036 as it is.
    assert found >= wanted | (
        {("CAR-2016-04-003", "defensive_services")} if shape != "helk" else set()
    )


def test_numbers_may_be_text_and_text_numbers() -> None:
    event = SHAPES["flat"](Windows(SECURITY, 4624, LOGON))
    assert event is not None
    assert set(seen_as({**event, "EventID": "4624", "LogonType": 3})) == {
        "authentication/success",
        "user_session/login",
    }


@pytest.mark.parametrize(
    "event",
    [
        {"EventID": 4624},
        {"Channel": "Security"},
        {"Channel": "Security", "EventID": None, "EventCode": None},
        {"winlog": {"event_id": 4624}},
        {"Event": {"System": {"EventID": 4624}}},
        {"log_name": "Security"},
        {"Event": []},
        {"winlog": "x"},
    ],
)
def test_what_is_not_recognised(event: dict[str, Any]) -> None:
    assert shape_of(event) == ""


@pytest.mark.parametrize(
    "hostile", [[], {}, 0, True, "\ud800", ["x", None, {}], {"a": {"b": 1}}, "0x" + "f" * 50]
)
def test_any_value_anywhere_is_taken(hostile: Any) -> None:
    maps = find_maps("eventlog.flat")
    for event in EVENTS:
        raw = SHAPES["flat"](event)
        assert raw is not None
        kept = {"Channel", "EventID"}
        normalize({k: v if k in kept else hostile for k, v in raw.items()}, maps)


def test_which_log_was_cleared() -> None:
    """System 104 tells it under a name that is the channel's too; a flat shape holds one of them."""
    told = {"SubjectUserName": "ann", "SubjectDomainName": "CORP", "Channel": "Application"}
    event = Windows(SYSTEM, 104, user_data=told, element="LogFileCleared")
    for shape in ("evtx", "winlogbeat"):
        raw = SHAPES[shape](event)
        assert raw is not None
        view = seen_as(raw)["event_log/clear"]
        assert view.field(ir.Field("name")) == "Application"
        assert view.field(ir.Field("user")) == ANN
