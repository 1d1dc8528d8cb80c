"""Endpoint products and OCSF: Microsoft Defender, CrowdStrike Falcon, OCSF's classes."""

from __future__ import annotations

from typing import Any

import pytest

from carengine.fieldmap import find_maps
from map_cases import Case, check, missed, seen_as, shape_of

CMD, SYSTEM32 = "cmd.exe", "C:\\Windows\\System32"


# Microsoft Defender for Endpoint


def defender(action: str, **columns: Any) -> dict[str, Any]:
    return {
        "Timestamp": "2024-05-20T07:41:12.518Z",
        "DeviceId": "d1",
        "DeviceName": "ws1.corp.example",
        "ActionType": action,
        "InitiatingProcessFileName": "explorer.exe",
        "InitiatingProcessFolderPath": "C:\\Windows\\explorer.exe",
        "InitiatingProcessId": 815,
        "InitiatingProcessParentId": 4,
        "InitiatingProcessAccountDomain": "corp",
        "InitiatingProcessAccountName": "ann",
        "InitiatingProcessAccountSid": "S-1-5-21-1",
        "InitiatingProcessCommandLine": "explorer",
        **columns,
    }


ACTOR = {
    "exe": "explorer.exe",
    "image_path": "C:\\Windows\\explorer.exe",
    "pid": 815,
    "user": "corp\\ann",
    "hostname": "ws1",
}
FILE = {"FileName": "a.dmp", "FolderPath": "C:\\Data\\a.dmp", "SHA1": "x", "SHA256": ""}
ENDS = {
    "LocalIP": "10.1.4.20",
    "LocalPort": 50122,
    "RemoteIP": "10.1.4.31",
    "RemotePort": 445,
    "Protocol": "Tcp",
}
VALUE = {
    "RegistryKey": "HKEY_LOCAL_MACHINE\\SOFTWARE\\Run",
    "RegistryValueName": "Updater",
    "RegistryValueData": "x.exe",
}
LOGON = {
    "AccountDomain": "corp",
    "AccountName": "bob",
    "LogonType": "RemoteInteractive",
    "RemoteIP": "10.1.4.20",
    "LogonId": 7,
}
DEFENDER: dict[str, Case] = {
    "process": Case(
        defender("ProcessCreated", FileName=CMD, FolderPath=f"{SYSTEM32}\\{CMD}", ProcessId=4711, ProcessCommandLine="cmd /c x",
                 AccountDomain="corp", AccountName="bob", SHA1="x", ProcessIntegrityLevel="High"),
        {
            "process/create": {
                "exe": CMD, "image_path": f"{SYSTEM32}\\{CMD}", "pid": 4711, "ppid": 815, "command_line": "cmd /c x",
                "parent_exe": "explorer.exe", "parent_command_line": "explorer", "user": "corp\\bob", "parent_user": "corp\\ann",
                "sha1_hash": "x", "integrity_level": "High", "fqdn": "ws1.corp.example",
            }
        },
    ),
    "process, its folder only": Case(
        defender("ProcessCreated", FileName=CMD, FolderPath=SYSTEM32), {"process/create": {"image_path": f"{SYSTEM32}\\{CMD}"}}
    ),
    "file made": Case(defender("FileCreated", **FILE), {"file/create": {**ACTOR, "file_path": "C:\\Data\\a.dmp", "extension": ".dmp", "sha256_hash": None}}),
    "file on Linux": Case(defender("FileCreated", FileName="a.sh", FolderPath="/tmp"), {"file/create": {"file_path": "/tmp/a.sh"}}),
    "file changed": Case(defender("FileModified", **FILE), {"file/modify": {}}),
    "file gone": Case(defender("FileDeleted", **FILE), {"file/delete": {"file_name": "a.dmp"}}),
    "key made": Case(defender("RegistryKeyCreated", RegistryKey="HKEY_CURRENT_USER\\x"), {"registry/add": {"key": "HKCU\\x", "hive": "HKEY_CURRENT_USER"}}),
    "value set": Case(
        defender("RegistryValueSet", **VALUE),
        {"registry/value_edit": {**ACTOR, "key": "HKLM\\SOFTWARE\\Run\\Updater", "value": "Updater", "data": "x.exe"}},
    ),
    "value gone": Case(
        defender("RegistryValueDeleted", PreviousRegistryKey=VALUE["RegistryKey"], PreviousRegistryValueName="Updater"),
        {"registry/remove": {"key": "HKLM\\SOFTWARE\\Run\\Updater"}},
    ),
    "key renamed": Case(defender("RegistryKeyRenamed", PreviousRegistryKey="HKEY_USERS\\a", RegistryKey="HKEY_USERS\\b"), {"registry/key_edit": {"key": "HKU\\a", "new_content": "HKEY_USERS\\b"}}),
    "outbound": Case(defender("ConnectionSuccess", **ENDS), {"flow/start": {**ACTOR, "dest_ip": "10.1.4.31", "dest_port": 445, "transport_protocol": "tcp", "initiated": True}}),
    "inbound": Case(defender("InboundConnectionAccepted", **ENDS), {"flow/start": {"src_ip": "10.1.4.31", "dest_ip": "10.1.4.20", "initiated": False}}),
    "listening": Case(defender("ListeningConnectionCreated", **ENDS), {"socket/listen": {"local_port": 50122, "exe": "explorer.exe"}}),
    "logon": Case(
        defender("LogonSuccess", **LOGON),
        {
            "authentication/success": {"user": "corp\\bob", "login_type": "RemoteInteractive", "src_ip": "10.1.4.20"},
            "user_session/login": {"user": "corp\\bob", "login_successful": True, "login_id": 7},
        },
    ),
    "logon failed": Case(defender("LogonFailed", **LOGON, FailureReason="InvalidUserNameOrPassword"), {"authentication/failure": {"decision_reason": "InvalidUserNameOrPassword"}}),
    "logon tried": Case(defender("LogonAttempted", **LOGON), {}),
    "module": Case(defender("ImageLoaded", FileName="b.dll", FolderPath="C:\\a\\b.dll"), {"module/load": {**ACTOR, "module_name": "b.dll"}}),
    "driver": Case(defender("DriverLoad", FileName="b.sys", FolderPath="C:\\a\\b.sys"), {"driver/load": {"module_name": "b.sys"}}),
    "thread": Case(defender("CreateRemoteThreadApiCall", FileName="lsass.exe", FolderPath=SYSTEM32, ProcessId=600), {"thread/remote_create": {"src_exe": "explorer.exe", "tgt_exe": "lsass.exe", "tgt_pid": 600}}),
    "handle": Case(defender("OpenProcessApiCall", FileName="lsass.exe", FolderPath=SYSTEM32, ProcessId=600), {"process/access": {"target_exe": "lsass.exe", "target_pid": 600}}),
    "service": Case(
        defender("ServiceInstalled", FileName="x.exe", FolderPath="C:\\x.exe", AdditionalFields={"ServiceName": "X", "ServiceStartType": "3"}),
        {"service/create": {"name": "X", "image_path": "C:\\x.exe", "start_type": "3"}},
    ),
    "a verdict": Case(defender("AntivirusDetection", **FILE), {}),
}  # fmt: skip


@pytest.mark.parametrize("name", DEFENDER)
@pytest.mark.parametrize("shape", ["table", "stream"])
def test_what_a_row_of_defender_is(name: str, shape: str) -> None:
    case = DEFENDER[name]
    event: Any = case.event
    if shape == "stream":
        event = {
            "time": "2024-05-20T07:41:13Z",
            "category": "AdvancedHunting-X",
            "properties": event,
        }
    check(Case(event, case.expected), f"defender.{shape}")
    for view in seen_as(event).values():
        assert view.event.time == 1_716_190_872_518_000


def test_every_entry_of_defender_is_hit() -> None:
    [fieldmap] = find_maps("defender.table")
    assert missed(fieldmap, (case.event for case in DEFENDER.values())) == []


# CrowdStrike Falcon


def falcon(name: str, **fields: str) -> dict[str, Any]:
    return {
        "event_simpleName": name,
        "name": f"{name}V1",
        "aid": "4d92",
        "cid": "c4e1",
        "event_platform": "Win",
        "ComputerName": "WS1",
        "ContextTimeStamp": "1716190872.518",
        "ContextBaseFileName": "powershell.exe",
        "ContextProcessId": "289741187433",
        "timestamp": "1716190873341",
        **fields,
    }


IP4 = {
    "LocalAddressIP4": "10.1.4.20",
    "LocalPort": "52817",
    "RemoteAddressIP4": "10.1.4.31",
    "RemotePort": "443",
    "Protocol": "6",
}
USER = {
    "UserName": "bob",
    "LogonDomain": "CORP",
    "UserSid": "S-1-5-21-2",
    "LogonType": "10",
    "RemoteAddressIP4": "10.1.4.20",
}
FALCON: dict[str, Case] = {
    "process": Case(
        falcon("ProcessRollup2", ImageFileName="\\Device\\HarddiskVolume3\\Windows\\System32\\cmd.exe", CommandLine="cmd /c x",
               TargetProcessId="11", ParentProcessId="10", RawProcessId="7412", ParentBaseFileName="WINWORD.EXE", UserSid="S-1-5-21-2",
               SHA1HashData="0" * 40, SHA256HashData="s", IntegrityLevel="8192", AuthenticationId="999", ProcessStartTime="1716190872.518"),
        {
            "process/create": {
                "exe": "cmd.exe", "command_line": "cmd /c x", "pid": "7412", "guid": "11", "parent_guid": "10", "parent_exe": "WINWORD.EXE",
                "sha1_hash": None, "sha256_hash": "s", "integrity_level": "Medium", "logon_id": "999", "hostname": "WS1", "ppid": None,
            }
        },
    ),
    "process, as LogScale names it": Case(
        {"#event_simpleName": "ProcessRollup2", "aid": "x", "TargetProcessId_decimal": "11", "RawProcessId_decimal": "7", "@timestamp": 1716190872518},
        {"process/create": {"guid": "11", "pid": "7"}},
    ),
    "a process that was there": Case(falcon("SyntheticProcessRollup2", ImageFileName="x"), {}),
    "process ended": Case(falcon("EndOfProcess", TargetProcessId="11"), {"process/terminate": {"guid": "11"}}),
    "outbound": Case(
        falcon("NetworkConnectIP4", **IP4),
        {"flow/start": {"exe": "powershell.exe", "guid": "289741187433", "dest_ip": "10.1.4.31", "dest_port": "443", "transport_protocol": "tcp"}},
    ),
    "inbound": Case(falcon("NetworkReceiveAcceptIP4", **IP4), {"flow/start": {"src_ip": "10.1.4.31", "dest_port": "52817", "initiated": False}}),
    "closed": Case(falcon("NetworkCloseIP4", **IP4), {"flow/end": {"dest_port": "443"}}),
    "listening": Case(falcon("NetworkListenIP4", **IP4), {"socket/listen": {"local_port": "52817"}}),
    "program written": Case(falcon("NewExecutableWritten", TargetFileName="\\Device\\HarddiskVolume3\\a.exe"), {"file/create": {"file_name": "a.exe", "exe": "powershell.exe"}}),
    "file written": Case(falcon("DmpFileWritten", TargetFileName="\\Device\\a.dmp"), {"file/write": {"file_name": "a.dmp"}}),
    "file gone": Case(falcon("ExecutableDeleted", TargetFileName="a.exe"), {"file/delete": {}}),
    "file renamed": Case(falcon("NewExecutableRenamed", TargetFileName="a.exe"), {"file/modify": {}}),
    "registry": Case(
        falcon("AsepValueUpdate", RegObjectName="\\REGISTRY\\MACHINE\\SOFTWARE\\Run", RegValueName="X", RegStringValue="x.exe"),
        {"registry/value_edit": {"key": "HKLM\\SOFTWARE\\Run\\X", "value": "X", "data": "x.exe", "hive": "HKEY_LOCAL_MACHINE"}},
    ),
    "module": Case(falcon("ClassifiedModuleLoad", ImageFileName="\\Device\\b.dll"), {"module/load": {"module_name": "b.dll", "exe": "powershell.exe"}}),
    "driver": Case(falcon("DriverLoad", ImageFileName="\\Device\\b.sys"), {"driver/load": {"module_name": "b.sys"}}),
    "service made": Case(falcon("CreateService", ServiceDisplayName="X", ServiceImagePath='"C:\\a b\\x.exe" -k'), {"service/create": {"name": "X", "image_path": "C:\\a b\\x.exe", "command_line": '"C:\\a b\\x.exe" -k'}}),
    "service started": Case(falcon("ServiceStarted", ServiceDisplayName="X", ImageFileName="\\Device\\x.exe"), {"service/start": {"name": "X", "exe": "x.exe"}}),
    "logon": Case(
        falcon("UserLogon", **USER),
        {"authentication/success": {"user": "CORP\\bob", "login_type": "10"}, "user_session/login": {"src_ip": "10.1.4.20", "login_successful": True}},
    ),
    "logon failed": Case(falcon("UserLogonFailed2", **USER, SubStatus="3221225578"), {"authentication/failure": {"decision_reason": "3221225578"}}),
    "logoff": Case(falcon("UserLogoff", **USER), {"user_session/logout": {"uid": "S-1-5-21-2"}}),
    "a question to DNS": Case(falcon("DnsRequest", DomainName="x.org"), {}),
}  # fmt: skip


@pytest.mark.parametrize("name", FALCON)
def test_what_an_event_of_falcon_is(name: str) -> None:
    check(FALCON[name], "crowdstrike")
    for view in seen_as(FALCON[name].event).values():
        assert view.event.time == 1_716_190_872_518_000


def test_every_entry_of_falcon_is_hit() -> None:
    [fieldmap] = find_maps("crowdstrike")
    assert missed(fieldmap, (case.event for case in FALCON.values())) == []


# OCSF


def ocsf(class_uid: int, activity_id: int, **fields: Any) -> dict[str, Any]:
    return {
        "class_uid": class_uid,
        "activity_id": activity_id,
        "type_uid": class_uid * 100 + activity_id,
        "time": 1716190872518,
        "device": {"hostname": "ws1.corp.example"},
        "metadata": {"version": "1.3.0"},
        "actor": {
            "process": {"pid": 815, "uid": "P", "cmd_line": "explorer", "file": {"path": "C:\\Windows\\explorer.exe", "name": "explorer.exe"}},
            "user": {"name": "ann", "domain": "CORP", "uid": "S-1-5-21-1"},
        },
        **fields,
    }  # fmt: skip


OCSF_ACTOR = {
    "exe": "explorer.exe",
    "pid": 815,
    "user": "CORP\\ann",
    "hostname": "ws1",
    "guid": "P",
}
LSASS = {
    "process": {
        "pid": 600,
        "uid": "L",
        "name": "lsass.exe",
        "file": {"path": f"{SYSTEM32}\\lsass.exe"},
    }
}
A_FILE = {
    "file": {
        "path": "C:\\Data\\a.dmp",
        "name": "a.dmp",
        "hashes": [{"algorithm_id": 1, "value": "m"}, {"algorithm": "SHA-256", "value": "s"}],
    }
}
POINTS = {
    "src_endpoint": {"ip": "10.1.4.20", "port": 50122, "hostname": "kali"},
    "dst_endpoint": {"ip": "10.1.4.31", "port": 445, "hostname": "fs1.corp.example"},
    "connection_info": {"protocol_name": "tcp", "direction_id": 2},
    "traffic": {"bytes_in": 20, "bytes_out": 10},
}
WHO = {
    "user": {"name": "bob", "domain": "CORP"},
    "logon_type_id": 10,
    "auth_protocol": "NTLM",
    **POINTS,
}
SERVICE = {"win_service": {"name": "X", "cmd_line": "C:\\x.exe -k"}}
HTTP = {
    "http_request": {"url": {"url_string": "https://x.org/a", "hostname": "x.org"}},
    "http_response": {"code": 200},
}
OCSF: dict[str, Case] = {
    "process": Case(
        ocsf(1007, 1, process={"pid": 4711, "uid": "C", "cmd_line": "cmd /c x", "file": {"path": f"{SYSTEM32}\\cmd.exe", "hashes": A_FILE["file"]["hashes"]}}),
        {
            "process/create": {
                "exe": "cmd.exe", "pid": 4711, "ppid": 815, "command_line": "cmd /c x", "parent_exe": "explorer.exe", "guid": "C",
                "parent_guid": "P", "user": "CORP\\ann", "md5_hash": "m", "sha256_hash": "s", "sha1_hash": None, "fqdn": "ws1.corp.example",
            }
        },
    ),
    "process ended": Case(ocsf(1007, 2, **LSASS), {"process/terminate": {"exe": "lsass.exe", "pid": 600}}),
    "process opened": Case(ocsf(1007, 3, **LSASS), {"process/access": {**OCSF_ACTOR, "target_exe": "lsass.exe", "target_pid": 600}}),
    "thread": Case(ocsf(1007, 4, injection_type_id=1, **LSASS), {"thread/remote_create": {"src_exe": "explorer.exe", "tgt_exe": "lsass.exe"}}),
    "another injection": Case(ocsf(1007, 4, injection_type_id=2, **LSASS), {}),
    "file made": Case(ocsf(1001, 1, **A_FILE), {"file/create": {**OCSF_ACTOR, "file_name": "a.dmp", "md5_hash": "m", "sha256_hash": "s"}}),
    "file read": Case(ocsf(1001, 2, **A_FILE), {"file/read": {}}),
    "file changed": Case(ocsf(1001, 3, **A_FILE), {"file/modify": {}}),
    "file gone": Case(ocsf(1001, 4, **A_FILE), {"file/delete": {"extension": ".dmp"}}),
    "file rights": Case(ocsf(1001, 7, **A_FILE), {"file/acl_modify": {}}),
    "driver": Case(ocsf(1002, 1, driver={"file": {"path": "C:\\b.sys"}}), {"driver/load": {"module_name": "b.sys"}}),
    "driver gone": Case(ocsf(1002, 2, driver={"file": {"path": "C:\\b.sys"}}), {"driver/unload": {}}),
    "module": Case(ocsf(1005, 1, module={"file": {"path": "C:\\b.dll"}}), {"module/load": {**OCSF_ACTOR, "module_name": "b.dll"}}),
    "module gone": Case(ocsf(1005, 2, module={"file": {"path": "C:\\b.dll"}}), {"module/unload": {}}),
    "key made": Case(ocsf(201001, 1, reg_key={"path": "HKEY_LOCAL_MACHINE\\a"}), {"registry/add": {"key": "HKLM\\a"}}),
    "key changed": Case(ocsf(201001, 5, reg_key={"path": "HKEY_LOCAL_MACHINE\\a"}), {"registry/key_edit": {}}),
    "key gone": Case(ocsf(201001, 4, prev_reg_key={"path": "HKEY_USERS\\a"}), {"registry/remove": {"hive": "HKEY_USERS"}}),
    "value set": Case(ocsf(201002, 2, reg_value={"path": "HKEY_USERS\\a", "name": "X", "data": "x.exe"}), {"registry/value_edit": {"key": "HKU\\a\\X", "value": "X", "data": "x.exe"}}),
    "value gone": Case(ocsf(201002, 4, reg_value={"path": "HKEY_USERS\\a", "name": "X"}), {"registry/remove": {"value": "X"}}),
    "service made": Case(ocsf(201004, 1, **SERVICE), {"service/create": {"name": "X", "exe": "x.exe"}}),
    "service started": Case(ocsf(201004, 3, **SERVICE), {"service/start": {}}),
    "service stopped": Case(ocsf(201004, 4, **SERVICE), {"service/stop": {"name": "X"}}),
    "service paused": Case(ocsf(201004, 5, **SERVICE), {"service/pause": {}}),
    "service gone": Case(ocsf(201004, 7, **SERVICE), {"service/delete": {}}),
    "flow": Case(ocsf(4001, 1, **POINTS), {"flow/start": {"src_ip": "10.1.4.20", "dest_port": 445, "dest_hostname": "fs1", "network_direction": "outbound", "exe": "explorer.exe"}}),
    "flow ended": Case(ocsf(4001, 2, **POINTS), {"flow/end": {"in_bytes": 20, "out_bytes": 10}}),
    "traffic": Case(ocsf(4001, 6, **POINTS), {"flow/message": {"in_bytes": 20}}),
    "flow refused": Case(ocsf(4001, 5, **POINTS), {}),
    "listening": Case(ocsf(4001, 7, **POINTS), {"socket/listen": {"local_port": 50122}}),
    "dns": Case(ocsf(4003, 1, query={"hostname": "x.org"}, **POINTS), {"flow/message": {"application_protocol": "dns", "proto_info.query": "x.org"}}),
    "smb": Case(ocsf(4006, 1, share="C$", activity_name="File Open", **A_FILE, **POINTS), {"flow/message": {"application_protocol": "smb", "proto_info.share": "C$", "proto_info.file_name": "a.dmp", "proto_info.function": "File Open"}}),
    "http get": Case(ocsf(4002, 3, **HTTP), {"http/get": {"url_full": "https://x.org/a", "url_domain": "x.org", "response_status_code": 200}}),
    "http post": Case(ocsf(4002, 6, **HTTP), {"http/post": {}}),
    "http put": Case(ocsf(4002, 7, **HTTP), {"http/put": {}}),
    "http connect": Case(ocsf(4002, 1, **HTTP), {"http/tunnel": {}}),
    "logon": Case(
        ocsf(3002, 1, status_id=1, **WHO),
        {
            "authentication/success": {"user": "CORP\\bob", "src_ip": "10.1.4.20", "login_type": 10, "authentication_package": "NTLM"},
            "user_session/login": {"user": "CORP\\bob", "src_hostname": "kali"},
        },
    ),
    "logon failed": Case(ocsf(3002, 1, status_id=2, status_detail="bad password", **WHO), {"authentication/failure": {"decision_reason": "bad password"}}),
    "logon, not told how it ended": Case(ocsf(3002, 1, **WHO), {}),
    "logoff": Case(ocsf(3002, 2, status_id=1, **WHO), {"user_session/logout": {"user": "CORP\\bob"}}),
    "a finding": Case(ocsf(2004, 1), {}),
}  # fmt: skip


@pytest.mark.parametrize("name", OCSF)
def test_what_an_event_of_ocsf_is(name: str) -> None:
    check(OCSF[name], "ocsf")
    for view in seen_as(OCSF[name].event).values():
        assert view.event.time == 1_716_190_872_518_000


def test_every_entry_of_ocsf_is_hit() -> None:
    [fieldmap] = find_maps("ocsf")
    assert missed(fieldmap, (case.event for case in OCSF.values())) == []


@pytest.mark.parametrize(
    "event",
    [
        {"ActionType": "ProcessCreated"},
        {"properties": {"ActionType": "x"}},
        {"properties": []},
        {"event_simpleName": "ProcessRollup2"},
        {"aid": "x", "cid": "y"},
        {"class_uid": 1007},
        {"activity_id": 1, "type_uid": 1},
    ],
)
def test_what_is_not_recognised(event: dict[str, Any]) -> None:
    assert shape_of(event) == ""
