"""Zeek: what each record is, and CAR's analytics on flows over real logs."""

from __future__ import annotations

import json
import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import carengine
from carengine import ir
from carengine.engine import Engine
from carengine.fieldmap import find_maps, lower
from carengine.resources import shipped_rules as rules_folder
from map_cases import Case, check, missed, seen_as, shape_of

SHARED = Path(__file__).parents[1].parent / "shared"
IDS = {
    "id.orig_h": "10.1.4.20",
    "id.orig_p": 50122,
    "id.resp_h": "10.1.4.31",
    "id.resp_p": 445,
}
ENDS = {"src_ip": "10.1.4.20", "src_port": 50122, "dest_ip": "10.1.4.31", "dest_port": 445}


def record(log: str, **fields: Any) -> dict[str, Any]:
    return {"_path": log, "ts": 1588206048.5, "uid": "CAGQ", **IDS, **fields}


CASES: dict[str, Case] = {
    "conn": Case(
        record(
            "conn", proto="tcp", service="gssapi,smb", duration=10.5, orig_bytes=4020,
            resp_bytes=1681, conn_state="SF", local_orig=True, local_resp=False, orig_pkts=12, resp_pkts=11,
        ),
        {
            "flow/start": {
                **ENDS, "transport_protocol": "tcp", "application_protocol": "gssapi,smb",
                "network_direction": "outbound",
            },
            "flow/end": {"in_bytes": 1681, "out_bytes": 4020, "packet_count": 23},
        },
    ),
    "conn, Corelight": Case(
        {
            "@stream": "conn", "@system": "sensor1", "ts": 1588206048.5, "id_orig_h": "10.1.4.20",
            "id_orig_p": 50122, "id_resp_h": "10.1.4.31", "id_resp_p": 3389, "proto": "tcp",
        },
        {
            "flow/start": {"dest_port": 3389, "hostname": "sensor1", "network_direction": None},
            "flow/end": {"packet_count": None, "in_bytes": None},
        },
    ),
    "conn, known by its columns": Case(
        {"ts": 1.5, "uid": "C1", **IDS, "proto": "udp", "conn_state": "S0"},
        {"flow/start": ENDS, "flow/end": {"src_ip": "10.1.4.20"}},
    ),
    "conn, all text": Case(
        {k: str(v) for k, v in record("conn", duration="-", local_orig="T", local_resp="T").items()},
        {"flow/start": {"network_direction": "internal", "src_port": "50122"}, "flow/end": {}},
    ),
    "dce_rpc over a pipe": Case(
        record("dce_rpc", named_pipe="\\pipe\\svcctl", endpoint="svcctl", operation="CreateServiceW"),
        {
            "flow/message": {
                **ENDS, "proto_info.pipe": "\\pipe\\svcctl", "proto_info.function": "CreateServiceW",
                "proto_info.rpc_interface": "svcctl", "application_protocol": "dce_rpc",
            }
        },
    ),
    "dce_rpc on a port": Case(
        record("dce_rpc", named_pipe="49667", endpoint="IRemUnknown2", operation="RemQueryInterface2"),
        {"flow/message": {"proto_info.pipe": None, "proto_info.rpc_interface": "IRemUnknown2"}},
    ),
    "dce_rpc by its columns": Case(
        {"ts": 1.5, "uid": "C1", **IDS, "endpoint": "samr", "operation": "SamrConnect5"},
        {"flow/message": {"proto_info.function": "SamrConnect5"}},
    ),
    "smb_files": Case(
        record("smb_files", action="SMB::FILE_WRITE", path="\\\\FS1.corp.example\\c$", name="Windows\\x.exe"),
        {
            "flow/message": {
                **ENDS, "application_protocol": "smb", "proto_info.function": "SMB::FILE_WRITE",
                "proto_info.file_name": "Windows\\x.exe", "hostname": "FS1", "fqdn": "FS1.corp.example",
                "proto_info.hostname": "FS1", "proto_info.pipe": None,
            }
        },
    ),
    "smb_files, a pipe, no server named": Case(
        record("smb_files", action="SMB::PIPE_WRITE", path="-", name="svcctl"),
        {"flow/message": {"proto_info.pipe": "svcctl", "proto_info.file_name": None, "hostname": None}},
    ),
    "smb_mapping": Case(
        record("smb_mapping", path="\\\\NEWYORK\\IPC$", share_type="PIPE"),
        {"flow/message": {"proto_info.share": "\\\\NEWYORK\\IPC$", "proto_info.function": "tree_connect"}},
    ),
    "ntlm": Case(
        record("ntlm", username="ann", domainname="CORP", hostname="KALI", server_nb_computer_name="FS1", success=True),
        {
            "flow/message": {
                "application_protocol": "smb", "proto_info.function": "session_setup",
                "proto_info.user_name": "CORP\\ann", "proto_info.hostname": "FS1",
            },
            "authentication/success": {"user": "CORP\\ann", "src_hostname": "KALI", "auth_target": "FS1"},
        },
    ),
    "ntlm refused, on another port": Case(
        {**record("ntlm", username="ann", success=False), "id.resp_p": 5985},
        {
            "flow/message": {"application_protocol": "ntlm", "proto_info.function": "authenticate"},
            "authentication/failure": {"user": "ann", "method": "NTLM"},
        },
    ),
    "ntlm, no outcome": Case(record("ntlm", username="ann"), {"flow/message": {"proto_info.user_name": "ann"}}),
    "kerberos": Case(
        {**record("kerberos", request_type="TGS", client="ann/CORP.EXAMPLE", service="cifs/FS1", success=True), "id.resp_p": 88},
        {
            "flow/message": {"application_protocol": "kerberos", "proto_info.function": "TGS"},
            "authentication/success": {"user": "CORP.EXAMPLE\\ann", "auth_target": "cifs/FS1"},
        },
    ),
    "kerberos refused": Case(
        record("kerberos", client="ann/CORP", success=False, error_msg="KDC_ERR_PREAUTH_FAILED"),
        {"flow/message": {}, "authentication/failure": {"decision_reason": "KDC_ERR_PREAUTH_FAILED"}},
    ),
    "kerberos asks for proof": Case(
        record("kerberos", client="ann/CORP", success=False, error_msg="KDC_ERR_PREAUTH_REQUIRED"),
        {"flow/message": {"proto_info.function": "session_setup"}},
    ),
    "rdp": Case(
        record("rdp", cookie="ann", result="encrypted"),
        {"flow/message": {"application_protocol": "rdp", "proto_info.user_name": "ann"}},
    ),
    "ssh": Case(
        record("ssh", auth_success=True, client="SSH-2.0-OpenSSH_9", server="x"),
        {"flow/message": {"application_protocol": "ssh"}, "authentication/success": {"method": "SSH"}},
    ),
    "ssh refused": Case(record("ssh", auth_success="F"), {"flow/message": {}, "authentication/failure": {}}),
    "ssl": Case(
        record("ssl", server_name="example.org", version="TLSv12", ja3="x"),
        {"flow/message": {"proto_info.hostname": "example.org", "proto_info.ja3": "x"}},
    ),
    "dns": Case(
        record("dns", proto="udp", query="wpad.corp", qtype_name="A", answers=["10.0.0.1"]),
        {"flow/message": {"proto_info.query": "wpad.corp", "transport_protocol": "udp", "proto_info.answers": ["10.0.0.1"]}},
    ),
    "http get": Case(
        record("http", method="GET", host="example.org:8080", uri="/a?b", user_agent="curl/8", status_code=200),
        {
            "flow/message": {"proto_info.function": "GET", "proto_info.uri": "/a?b"},
            "http/get": {
                "url_full": "http://example.org:8080/a?b", "url_domain": "example.org",
                "response_status_code": 200, "user_agent_full": "curl/8", "requester_ip_address": "10.1.4.20",
            },
        },
    ),
    "http post": Case(
        record("http", method="POST", uri="/a"),
        {"flow/message": {}, "http/post": {"url_full": "http://10.1.4.31/a", "url_domain": None}},
    ),
    "http put": Case(record("http", method="PUT", uri="http://x.org/b"), {"flow/message": {}, "http/put": {"url_full": "http://x.org/b"}}),
    "http connect": Case(record("http", method="CONNECT", uri="x:443"), {"flow/message": {}, "http/tunnel": {}}),
    "http, another method": Case(record("http", method="OPTIONS"), {"flow/message": {"proto_info.function": "OPTIONS"}}),
    "smtp": Case(
        record("smtp", mailfrom="a@x.org", rcptto=["b@y.org"], subject="s", last_reply="250 ok"),
        {"email/deliver": {"src_address": "a@x.org", "dest_address": ["b@y.org"]}, "flow/message": {"application_protocol": "smtp"}},
    ),
    "ftp": Case(record("ftp", command="RETR", user="ann"), {"flow/message": {"proto_info.function": "RETR", "proto_info.user_name": "ann"}}),
    "weird": Case(record("weird", name="x"), {}),
    "files": Case(record("files", fuid="F1", mime_type="text/plain"), {}),
    "notice": Case(record("notice", note="Scan::Port_Scan"), {}),
    "x509": Case({"_path": "x509", "ts": 1.5, "fingerprint": "x"}, {}),
    "loaded_scripts": Case({"_path": "loaded_scripts", "name": "/x"}, {}),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_what_a_record_is(name: str) -> None:
    check(CASES[name], "zeek")


def test_every_entry_is_hit() -> None:
    [fieldmap] = find_maps("zeek")
    assert missed(fieldmap, (case.event for case in CASES.values())) == []


def test_the_end_of_a_connection_is_later() -> None:
    views = seen_as(CASES["conn"].event)
    assert views["flow/start"].event.time == 1_588_206_048_500_000
    assert views["flow/end"].event.time == 1_588_206_059_000_000
    views = seen_as(CASES["conn, Corelight"].event)
    assert views["flow/end"].event.time == views["flow/start"].event.time


@pytest.mark.parametrize(
    "event", [{"ts": 1}, {"_path": "conn"}, {"ts": 1, "uid": "C1"}, {"id.orig_h": "x"}]
)
def test_what_is_not_recognised(event: dict[str, Any]) -> None:
    assert shape_of(event) == ""


def zeek_records() -> Iterator[dict[str, Any]]:
    """The records of the real logs, JSON and tables alike."""
    for path in sorted((SHARED / "zeek").glob("*.zip")):
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                if name.endswith(".log"):
                    yield from table(archive.read(name).decode("utf-8", "replace"))


def table(text: str) -> Iterator[dict[str, Any]]:
    head: dict[str, list[str]] = {}
    for line in text.splitlines():
        if line.startswith("{"):
            yield json.loads(line)
        elif line.startswith("#"):
            name, *rest = line[1:].split("\t")
            head[name] = rest
        elif line:
            pairs = zip(head["fields"], line.split("\t"), strict=True)
            yield {"_path": head["path"][0]} | {k: v for k, v in pairs if v != "-"}


needs_logs = pytest.mark.skipif(not (SHARED / "zeek").is_dir(), reason="the real logs are not here")


@needs_logs
def test_the_real_logs_are_recognised() -> None:
    counts = Counter(shape_of(record) for record in zeek_records())
    assert set(counts) == {"zeek"}


@needs_logs
def test_analytics_on_flows_run_on_the_real_logs() -> None:
    """SMB is in them; RPC and the ports are told by what they need, which the map has."""
    wanted = {
        "CAR-2013-01-003", "CAR-2013-05-003", "CAR-2013-09-003", "CAR-2014-03-001",
        "CAR-2014-11-005", "CAR-2014-11-006", "CAR-2014-11-007", "CAR-2015-04-001", "CAR-2015-04-002",
    }  # fmt: skip
    rules = [rule for rule in carengine.load_rules(rules_folder()) if rule.id in wanted]
    assert len(rules) == len(wanted)
    [fieldmap] = find_maps("zeek")
    for rule in rules:
        for output in rule.program.outputs:
            stages = ir.as_stages(output.plan)
            assert stages
            assert any(low.possible for stage in stages for low in lower(stage, fieldmap)), rule.id
    records = list(zeek_records())
    found = Counter(match.rule.id for match in Engine(rules, fieldmap).run(records))
    assert found["CAR-2013-01-003"] > 10
    assert found["CAR-2013-09-003"] >= 3
    # What is not in them, said as Zeek says it.
    attack = [
        record("smb_files", action="SMB::FILE_WRITE", name="Windows\\x.exe"),
        record("smb_files", action="SMB::PIPE_WRITE", name="svcctl"),
        record("dce_rpc", named_pipe="winreg", endpoint="winreg", operation="BaseRegSetValue"),
        record("dce_rpc", named_pipe="atsvc", endpoint="atsvc", operation="NetrJobAdd"),
        {**record("dce_rpc", named_pipe="49667", endpoint="IRemUnknown2"), "id.resp_p": 49667},
        {**record("dce_rpc", endpoint="ITaskSchedulerService"), "id.resp_p": 49667},
        {**record("conn", conn_state="SF"), "id.resp_p": 5985},
    ]
    found = Counter(match.rule.id for match in Engine(rules, fieldmap).run(attack))
    assert set(found) == wanted - {"CAR-2013-09-003"}
