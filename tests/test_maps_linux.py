"""Linux: the audit log in both its forms, osquery, and Sysmon in Sentinel's syslog."""

from __future__ import annotations

import json
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from carengine.fieldmap import find_maps, normalize
from map_cases import Case, check, missed, seen_as, shape_of

SHARED = Path(__file__).parents[1].parent / "shared"


# The audit system


def joined(number_: str = "", record: str = "SYSCALL", **parts: Any) -> dict[str, Any]:
    """As carengine's reader joins the records of ``audit.log``."""
    made: dict[str, Any] = {
        "timestamp": 1716190872.518,
        "serial": 24,
        "node": "web1.corp.example",
        "type": record,
    }
    if record == "SYSCALL":
        number, _, arch = number_.partition("@")
        made["SYSCALL"] = {
            "arch": arch or "c000003e", "syscall": number, "success": "yes", "exit": "0", "ppid": "100", "pid": "200",
            "uid": "1000", "exe": "/usr/bin/perl", "ses": "3", **parts.pop("call", {}),
        }  # fmt: skip
    made |= parts
    made["types"] = [name for name in made if name.isupper()]
    return made


def laurel(name_: str = "", **parts: Any) -> dict[str, Any]:
    """As Laurel writes them."""
    made: dict[str, Any] = {"ID": "1716190872.518:24", "NODE": "web1.corp.example"}
    if name_:
        made["SYSCALL"] = {
            "arch": "0xc000003e", "SYSCALL": name_, "success": "yes", "exit": 0, "ppid": 100, "pid": 200, "uid": 1000,
            "UID": "ann", "exe": "/usr/bin/perl", **parts.pop("call", {}),
        }  # fmt: skip
    return made | parts


LOGIN = {
    "acct": "ann",
    "exe": "/usr/sbin/sshd",
    "hostname": "kali",
    "addr": "10.1.4.20",
    "terminal": "ssh",
    "auid": "1000",
}
AUDIT: dict[str, tuple[str, Case]] = {
    "execve": (
        "joined",
        Case(
            joined("59", EXECVE={"argv": ["perl", "-e", "1"], "command_line": "perl -e 1"}, CWD={"cwd": "/root"}, paths={"NORMAL": "/usr/bin/perl"}),
            {
                "process/create": {
                    "exe": "perl", "image_path": "/usr/bin/perl", "command_line": "perl -e 1", "pid": "200", "ppid": "100",
                    "user": "1000", "current_working_directory": "/root", "hostname": "web1", "fqdn": "web1.corp.example",
                }
            },
        ),
    ),
    "execve refused": ("joined", Case(joined("59", call={"success": "no"}, EXECVE={"command_line": "x"}), {})),
    "execve, Laurel": (
        "laurel",
        Case(
            laurel("execve", EXECVE={"argc": 3, "ARGV": ["perl", "-e", "1"]}, CWD={"cwd": "/root"}, PPID={"exe": "/bin/bash"}),
            {"process/create": {"command_line": "perl -e 1", "user": "ann", "parent_exe": "bash", "pid": 200}},
        ),
    ),
    "exit": ("joined", Case(joined("231"), {"process/terminate": {"pid": "200"}})),
    "a file is made": (
        "joined",
        Case(
            joined("257", CWD={"cwd": "/tmp"}, paths={"PARENT": "/tmp", "CREATE": "x.sh"}),
            {"file/create": {"file_path": "/tmp/x.sh", "extension": ".sh", "exe": "perl", "user": "1000"}},
        ),
    ),
    "a file is moved": (
        "joined",
        Case(
            joined("82", CWD={"cwd": "/"}, paths={"DELETE": "/tmp/a", "CREATE": "/tmp/b"}),
            {"file/create": {"file_path": "/tmp/b"}, "file/delete": {"file_path": "/tmp/a"}},
        ),
    ),
    "a file is moved, Laurel": (
        "laurel",
        Case(
            laurel("rename", PATH=[{"nametype": "DELETE", "name": "/tmp/a"}, {"nametype": "CREATE", "name": "/tmp/b"}]),
            {"file/create": {"file_path": "/tmp/b"}, "file/delete": {"file_path": "/tmp/a"}},
        ),
    ),
    "a file is only read": ("joined", Case(joined("257", paths={"NORMAL": "/etc/passwd"}), {})),
    "truncate": ("joined", Case(joined("76", paths={"NORMAL": "/etc/x"}), {"file/modify": {"file_path": "/etc/x"}})),
    "chmod": ("joined", Case(joined("268", CWD={"cwd": "/tmp"}, paths={"NORMAL": "./x"}), {"file/acl_modify": {"file_path": "/tmp/x"}})),
    "chmod on ARM": ("joined", Case(joined("53@c00000b7", paths={"NORMAL": "/x"}), {"file/acl_modify": {"file_path": "/x"}})),
    "the same number on another machine": ("joined", Case(joined("53@c000003e", paths={"NORMAL": "/x"}), {})),
    "chmod, enriched": ("joined", Case(joined("90", call={"SYSCALL": "chmod"}, paths={"NORMAL": "/x"}), {"file/acl_modify": {}})),
    "touch": ("joined", Case(joined("280", paths={"NORMAL": "/x"}), {"file/timestomp": {"file_path": "/x"}})),
    "connect": (
        "joined",
        Case(
            joined("42", SOCKADDR={"family": "inet", "address": "10.1.4.31", "port": "445"}, call={"success": "no", "exit": "-115"}),
            {"flow/start": {"dest_ip": "10.1.4.31", "dest_port": "445", "initiated": True, "exe": "perl"}},
        ),
    ),
    "connect refused": ("joined", Case(joined("42", SOCKADDR={"family": "inet"}, call={"success": "no", "exit": "-111"}), {})),
    "connect to a file": ("joined", Case(joined("42", SOCKADDR={"family": "local", "path": "/run/x"}), {})),
    "connect, Laurel": (
        "laurel",
        Case(
            laurel("connect", SOCKADDR=[{"SADDR": "{saddr_fam=inet laddr=10.1.4.31 lport=445}"}]),
            {"flow/start": {"dest_ip": "10.1.4.31", "dest_port": "445"}},
        ),
    ),
    "accept": (
        "joined",
        Case(
            joined("288", SOCKADDR={"family": "inet6", "address": "fe80::1", "port": "50122"}),
            {"flow/start": {"src_ip": "fe80::1", "network_direction": "inbound"}},
        ),
    ),
    "bind": ("joined", Case(joined("49", SOCKADDR={"family": "inet", "address": "0.0.0.0", "port": "4444"}), {"socket/bind": {"local_port": "4444", "family": "AF_INET", "success": "true"}})),
    "bind to a file, Laurel": ("laurel", Case(laurel("bind", SOCKADDR=[{"SADDR": "{saddr_fam=local path=/run/x}"}]), {"socket/bind": {"local_path": "/run/x", "family": "AF_UNIX"}})),
    "listen": ("joined", Case(joined("50"), {"socket/listen": {"pid": "200"}})),
    "insmod": ("joined", Case(joined("313", KERN_MODULE={"name": "rootkit"}), {"driver/load": {"module_name": "rootkit"}})),
    "rmmod": ("joined", Case(joined("176", KERN_MODULE={"name": "x"}), {"driver/unload": {"module_name": "x"}})),
    "authenticated": (
        "joined",
        Case(
            joined(record="USER_AUTH", USER_AUTH={**LOGIN, "res": "success"}),
            {"authentication/success": {"user": "ann", "src_ip": "10.1.4.20", "exe": "sshd", "src_hostname": "kali"}},
        ),
    ),
    "not authenticated": ("joined", Case(joined(record="USER_AUTH", USER_AUTH={**LOGIN, "res": "failed", "hostname": "?"}), {"authentication/failure": {"src_hostname": None}})),
    "not authenticated, Laurel": ("laurel", Case(laurel(USER_AUTH=[{**LOGIN, "res": "failed"}]), {"authentication/failure": {"user": "ann"}})),
    "login": ("joined", Case(joined(record="USER_LOGIN", USER_LOGIN={**LOGIN, "res": "success"}), {"user_session/login": {"user": "ann", "src_ip": "10.1.4.20"}})),
    "login refused": ("joined", Case(joined(record="USER_LOGIN", USER_LOGIN={**LOGIN, "res": "failed"}), {})),
    "logout": ("joined", Case(joined(record="USER_END", USER_END={**LOGIN, "res": "success"}), {"user_session/logout": {"user": "ann"}})),
    "service started": ("joined", Case(joined(record="SERVICE_START", SERVICE_START={"unit": "sshd", "res": "success"}), {"service/start": {"name": "sshd"}})),
    "service stopped": ("joined", Case(joined(record="SERVICE_STOP", SERVICE_STOP={"unit": "sshd", "res": "success"}), {"service/stop": {"name": "sshd"}})),
    "service did not start": ("joined", Case(joined(record="SERVICE_START", SERVICE_START={"unit": "x", "res": "failed"}), {})),
    "settings": ("joined", Case(joined(record="CONFIG_CHANGE", CONFIG_CHANGE={"op": "set"}), {})),
}  # fmt: skip


@pytest.mark.parametrize("name", AUDIT)
def test_what_an_audit_event_is(name: str) -> None:
    shape, case = AUDIT[name]
    check(case, f"auditd.{shape}")
    for view in seen_as(case.event).values():
        assert view.event.time == 1_716_190_872_518_000


def test_every_entry_of_the_audit_map_is_hit() -> None:
    [fieldmap] = find_maps("auditd.joined")
    assert (
        missed(fieldmap, (case.event for shape, case in AUDIT.values() if shape == "joined")) == []
    )


# osquery


def row(change_: str = "added", **columns: Any) -> dict[str, Any]:
    return {
        "name": "pack_ir_events", "hostIdentifier": "web1.corp.example", "unixTime": 1716190900, "action": change_,
        "columns": {"time": "1716190872", **columns},
    }  # fmt: skip


EXEC = {
    "path": "/bin/ls",
    "cmdline": "ls -l",
    "parent": "100",
    "pid": "200",
    "uid": "1000",
    "cwd": "/root",
}
SOCKET = {
    "path": "/usr/bin/nc", "pid": "200", "family": "2", "protocol": "6", "local_address": "10.1.4.20", "local_port": "50122",
    "remote_address": "10.1.4.31", "remote_port": "4444",
}  # fmt: skip
OSQUERY: dict[str, Case] = {
    "process_events": Case(
        row(**EXEC),
        {"process/create": {"exe": "ls", "command_line": "ls -l", "pid": "200", "ppid": "100", "current_working_directory": "/root", "hostname": "web1"}},
    ),
    "es_process_events": Case(row(**EXEC, event_type="exit"), {"process/terminate": {"pid": "200"}}),
    "processes": Case(row(**EXEC, state="S", resident_size="1"), {}),
    "a row that is gone": Case(row("removed", **EXEC), {}),
    "file made": Case(row(target_path="/tmp/a.sh", action="CREATED", md5="m"), {"file/create": {"file_path": "/tmp/a.sh", "md5_hash": "m"}}),
    "file changed": Case(row(target_path="/tmp/a", action="UPDATED"), {"file/modify": {}}),
    "file gone": Case(row(target_path="/tmp/a", action="DELETED"), {"file/delete": {}}),
    "file read": Case(row(target_path="/tmp/a", action="ACCESSED"), {"file/read": {}}),
    "file rights": Case(row(target_path="/tmp/a", action="ATTRIBUTES_MODIFIED"), {"file/acl_modify": {}}),
    "process_file_events": Case(
        row(operation="write", path="/tmp/b", executable="/bin/sh", pid="7", ppid="6", uid="0"),
        {"file/write": {"file_path": "/tmp/b", "image_path": "/bin/sh", "pid": "7", "uid": "0"}},
    ),
    "connect": Case(row(**SOCKET, action="connect"), {"flow/start": {"dest_ip": "10.1.4.31", "dest_port": "4444", "transport_protocol": "tcp", "exe": "nc"}}),
    "accept": Case(row(**SOCKET, syscall="accept4"), {"flow/start": {"src_ip": "10.1.4.31", "network_direction": "inbound"}}),
    "bind": Case(row(**{**SOCKET, "remote_address": ""}, action="bind", status="succeeded"), {"socket/bind": {"local_port": "50122", "family": "AF_INET", "success": "true"}}),
    "listen": Case(row(**SOCKET, syscall="listen"), {"socket/listen": {"exe": "nc"}}),
    "user_events": Case(row(type="1100", message="op=PAM res=success", uid="0", path="/usr/sbin/sshd", address="10.1.4.20"), {"authentication/success": {"src_ip": "10.1.4.20"}}),
    "user_events refused": Case(row(type="1100", message="op=PAM res=failed"), {"authentication/failure": {}}),
    "login": Case(row(type="1112", message="res=success", uid="0"), {"user_session/login": {"uid": "0"}}),
    "logout": Case(row(type="1113", message="res=success"), {"user_session/logout": {}}),
    "another table": Case(row(version="5.1"), {}),
}  # fmt: skip


@pytest.mark.parametrize("name", OSQUERY)
@pytest.mark.parametrize("shape", ["nested", "dotted"])
def test_what_a_row_is(name: str, shape: str) -> None:
    case = OSQUERY[name]
    event = dict(case.event)
    if shape == "dotted":
        event |= {f"columns.{key}": value for key, value in event.pop("columns").items()}
    check(Case(event, case.expected), f"osquery.{shape}")
    for view in seen_as(event).values():
        assert view.event.time == 1_716_190_872_000_000


def test_every_entry_of_osquery_is_hit() -> None:
    [fieldmap] = find_maps("osquery.nested")
    assert missed(fieldmap, (case.event for case in OSQUERY.values())) == []


# Sysmon for Linux in Sentinel's export of syslog


def syslog(number: int, end: str = "</EventData></Event>", **data: str) -> dict[str, Any]:
    fields = "".join(f'<Data Name="{name}">{value}</Data>' for name, value in data.items())
    return {
        "TenantId": "x",
        "Computer": "UBUNTU5",
        "SyslogMessage": f'<Event><System><Provider Name="Linux-Sysmon"/><EventID>{number}</EventID><TimeCreated SystemTime='
        f'"2022-05-11T18:10:20.399931Z"/><Channel>Linux-Sysmon/Operational</Channel><Computer>UBUNTU5</Computer></System>'
        f'<EventData><Data Name="UtcTime">2022-05-11 18:10:20.395</Data>{fields}{end}',
    }  # fmt: skip


SENTINEL: dict[str, Case] = {
    "1": Case(
        syslog(1, Image="/usr/bin/wget", CommandLine="wget -O a &amp;&amp; b", User="root", ParentImage="-"),
        {"process/create": {"exe": "wget", "command_line": "wget -O a && b", "user": "root", "parent_image_path": None, "hostname": "UBUNTU5"}},
    ),
    "5, an entity without its end": Case(syslog(5, Image="&lt unknown process&gt "), {"process/terminate": {"image_path": "< unknown process> "}}),
    "1, cut by syslog": Case(
        {"SyslogMessage": syslog(1, "", Image="/usr/bin/java", CommandLine="java -Xmx")["SyslogMessage"].removesuffix("</Data>")},
        {"process/create": {"command_line": "java -Xmx"}},
    ),
    "3": Case(syslog(3, DestinationIp="10.1.4.31", Initiated="true"), {"flow/start": {"dest_ip": "10.1.4.31"}}),
    "11": Case(syslog(11, TargetFilename="/tmp/a"), {"file/create": {"file_name": "a"}}),
    "23": Case(syslog(23, TargetFilename="/tmp/a"), {"file/delete": {}}),
    "9": Case(syslog(9, Device="/dev/sda"), {}),
    "no XML at all": Case({"SyslogMessage": "<Event> Linux-Sysmon"}, {}),
    "a document type": Case({"SyslogMessage": '<!DOCTYPE x [<!ENTITY a "b">]><Event><x/>Linux-Sysmon&a;</Event>'}, {}),
}  # fmt: skip


@pytest.mark.parametrize("name", SENTINEL)
def test_sysmon_in_syslog(name: str) -> None:
    check(SENTINEL[name], "sysmon.sentinel")
    for view in seen_as(SENTINEL[name].event).values():
        assert view.event.time == 1_652_292_620_395_000


def test_hostile_xml_costs_nothing() -> None:
    deep = "<Event>Linux-Sysmon" + "<a>" * 100_000
    long = "<Event>Linux-Sysmon<EventData>" + "<Data " * 100_000
    for text in (
        deep,
        long,
        "<Event>Linux-Sysmon" + "&" * 500_000,
        "<Event>Linux-Sysmon" + "x" * 2_000_000,
    ):
        assert normalize({"SyslogMessage": text}, find_maps("sysmon")) == ()


@pytest.mark.skipif(not (SHARED / "mordor").is_dir(), reason="the real logs are not here")
def test_a_real_export() -> None:
    path = SHARED / "mordor" / "syslog_sysmon_log4shell_cve2021_44228_jndi_reference.zip"
    with zipfile.ZipFile(path) as archive:
        text = archive.read(archive.namelist()[0]).decode()
    events = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    kinds = Counter(
        str(view.kind) for event in events for view in normalize(event, find_maps("sysmon"))
    )
    shapes = Counter(shape_of(event) for event in events)
    assert shapes == {"sysmon.sentinel": len(events)}
    assert sum(kinds.values()) == len(events)
    assert kinds["process/create"] == 31
