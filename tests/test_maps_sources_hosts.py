"""Log sources of Linux and macOS hosts, and of Zeek."""

from __future__ import annotations

from typing import Any

import pytest

import carengine
from carengine.fieldmap import installed_maps, recognise, unwrap
from source_cases import SHARED, Source, check_own, check_sigmahq, needs_sigmahq


def audit(*records: str, time: str = "1716191921.123:42") -> str:
    return "".join(
        f"type={record.replace(' ', f' msg=audit({time}): ', 1)}\n" for record in records
    )


def exec_(*arguments: str, exe: str, extra: str = "") -> str:
    """An audited program start."""
    listed = " ".join(f'a{place}="{argument}"' for place, argument in enumerate(arguments))
    return audit(
        "SYSCALL arch=c000003e syscall=59 success=yes exit=0 a0=55 a1=56 a2=57 a3=8 items=2 ppid=10 pid=11 auid=1000 uid=0 "
        f'gid=0 euid=0 tty=pts0 ses=5 comm="{exe.rpartition("/")[2]}" exe="{exe}" key="k"{extra}',
        f"EXECVE argc={len(arguments)} {listed}",
        'CWD cwd="/home/ann"',
        f'PATH item=0 name="{exe}" inode=1 nametype=NORMAL',
        "PROCTITLE proctitle=6C73",
    )


def call(number: int, *records: str, exe: str = "/usr/bin/touch", a0: str = "0") -> str:
    """An audited system call of x86-64."""
    return audit(
        f"SYSCALL arch=c000003e syscall={number} success=yes exit=3 a0={a0} a1=0 a2=0 a3=0 items=1 ppid=10 pid=11 auid=1000 "
        f'uid=0 gid=0 euid=0 tty=pts0 ses=5 comm="{exe.rpartition("/")[2]}" exe="{exe}" key="k"',
        *records,
    )


def created(path: str, exe: str = "/usr/bin/touch") -> str:
    return call(
        257,
        'CWD cwd="/home/ann"',
        f'PATH item=0 name="{path}" inode=1 nametype=CREATE',
        "PROCTITLE proctitle=6C73",
        exe=exe,
    )


def syslog(app: str, message: str) -> str:
    return f"<86>2024-05-20T07:58:41.123Z web1 {app}: {message}\n"


def ecs(system: str, **keys: Any) -> dict[str, Any]:
    return {"@timestamp": "2024-05-20T07:58:41Z", "host": {"os": {"type": system}}, **keys}


def started(system: str, executable: str, line: str) -> dict[str, Any]:
    return ecs(
        system,
        event={"category": ["process"], "type": ["start"], "action": "exec"},
        process={
            "executable": executable, "command_line": line, "pid": 7, "working_directory": "/tmp",
            "parent": {"executable": "/bin/zsh", "command_line": "zsh", "pid": 6},
        },
        user={"name": "ann"},
    )  # fmt: skip


def dotted(event: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    made: dict[str, Any] = {}
    for key, value in event.items():
        made |= (
            dotted(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
        )
    return made


def wrote(system: str, path: str) -> dict[str, Any]:
    return ecs(
        system, event={"category": ["file"], "type": ["creation"], "action": "creation"}, file={"path": path},
        process={"executable": "/usr/bin/touch", "pid": 7},
    )  # fmt: skip


def eslogger(**event: Any) -> dict[str, Any]:
    return {
        "schema_version": 1, "time": "2024-05-20T07:58:41.123456Z", "event_type": 9, "seq_num": 0, "action_type": 1,
        "process": {"executable": {"path": "/bin/zsh"}, "ppid": 1, "audit_token": {"pid": 7, "euid": 501}}, "event": event,
    }  # fmt: skip


def es_exec(path: str, *arguments: str) -> dict[str, Any]:
    target = {"executable": {"path": path}, "ppid": 6, "audit_token": {"pid": 7, "euid": 0}}
    return eslogger(exec={"target": target, "args": list(arguments), "cwd": {"path": "/tmp"}})


def es_create(folder: str, name: str) -> dict[str, Any]:
    return eslogger(
        create={
            "destination_type": 1,
            "destination": {"new_path": {"dir": {"path": folder}, "filename": name}},
        }
    )


def santa(**keys: str) -> str:
    return (
        "[2024-05-20T07:58:41.123Z] I santad: "
        + "|".join(f"{k}={v}" for k, v in keys.items())
        + "\n"
    )


def osquery(**columns: Any) -> dict[str, Any]:
    return {
        "name": "pack_events", "hostIdentifier": "mac1", "calendarTime": "x", "unixTime": 1716191921, "action": "added",
        "columns": {"time": "1716191921", **columns},
    }  # fmt: skip


def zeek(log: str, **columns: Any) -> dict[str, Any]:
    ends = {"id.orig_h": "10.0.0.9", "id.orig_p": 5, "id.resp_h": "192.0.2.1", "id.resp_p": 445}
    return {"_path": log, "ts": 1716191921.5, "uid": "C1", **ends, **columns}


CASES: dict[str, Source] = {
    "linux/-/auditd a record and its call": Source(
        call(133, 'PATH item=0 name="/tmp/p" nametype=CREATE'), call(83, 'PATH item=0 name="/tmp/p" nametype=CREATE'),
        "{type: SYSCALL, SYSCALL: mknod, name: /tmp/p, nametype: CREATE}", "lnx_auditd_susp_special_file_creation_via_mknod_syscall"),
    "linux/-/auditd arguments of a program": Source(
        exec_("split", "-b", "10m", "/tmp/x", exe="/usr/bin/split"), exec_("cat", "-b", "10m", "/tmp/x", exe="/usr/bin/cat"),
        "{type: EXECVE, a0: split, a3: /tmp/x, comm: split, syscall: execve, cwd: /home/ann}", "lnx_auditd_split_file_into_pieces"),
    "linux/-/auditd an argument of a call": Source(
        call(135, 'PROCTITLE proctitle=6C73', a0="40000"), call(135, 'PROCTITLE proctitle=6C73', a0="0"),
        "{SYSCALL: personality, a0: 40000}", "lnx_auditd_disable_aslr_protection"),
    "linux/-/auditd Laurel": Source(
        {"ID": "1716191921.123:42", "NODE": "web1", "SYSCALL": {"SYSCALL": "mknod", "syscall": 133, "exe": "/usr/bin/mknod", "success": "yes"},
         "PATH": [{"name": "/tmp/p", "nametype": "CREATE"}]},
        {"SYSCALL": {"SYSCALL": "mkdir", "exe": "/usr/bin/mkdir"}}, "{type: [PATH], SYSCALL: mknod, name: /tmp/p}",
        "lnx_auditd_susp_special_file_creation_via_mknod_syscall"),
    "linux/process_creation/- auditd": Source(
        exec_("curl", "http://x/a b", exe="/usr/bin/curl"), exec_("cat", "/etc/hosts", exe="/usr/bin/cat"),
        "{Image: /usr/bin/curl, CommandLine: curl http://x/a b, CurrentDirectory: /home/ann, ParentProcessId: 10}", "proc_creation_lnx_curl_usage"),
    "linux/process_creation/- ECS": Source(
        started("linux", "/usr/bin/curl", "curl x"), started("linux", "/usr/bin/cat", "cat x"),
        "{Image: /usr/bin/curl, CommandLine: curl x, ParentImage: /bin/zsh, ParentCommandLine: zsh, User: ann}", "proc_creation_lnx_curl_usage"),
    "linux/process_creation/- ECS, dotted": Source(
        dotted(started("linux", "/usr/bin/curl", "curl x")), dotted(started("linux", "/usr/bin/cat", "cat x")),
        "{Image: /usr/bin/curl, CommandLine: curl x}", "proc_creation_lnx_curl_usage"),
    "linux/process_creation/- osquery": Source(
        osquery(path="/usr/bin/curl", cmdline="curl x", pid="7", parent="6", cwd="/tmp", auid="1000"),
        osquery(path="/usr/bin/cat", cmdline="cat x", pid="7", parent="6"), "{Image: /usr/bin/curl, CommandLine: curl x, ProcessId: 7}",
        "proc_creation_lnx_curl_usage"),
    "linux/process_creation/- Sysmon": Source(
        {"Channel": "Linux-Sysmon/Operational", "EventID": 1, "UtcTime": "2024-05-20 07:58:41.123", "Image": "/usr/bin/curl", "CommandLine": "curl x"},
        {"Image": "/usr/bin/cat"}, "{Image: /usr/bin/curl}", "proc_creation_lnx_curl_usage"),
    "linux/file_event/- auditd": Source(
        created("/etc/doas.conf"), created("/etc/doas.conf.d"), "{TargetFilename: /etc/doas.conf, Image: /usr/bin/touch}", "file_event_lnx_doas_conf_creation"),
    "linux/file_event/- ECS": Source(
        wrote("linux", "/etc/doas.conf"), wrote("linux", "/etc/hosts"), "{TargetFilename: /etc/doas.conf, Image: /usr/bin/touch}",
        "file_event_lnx_doas_conf_creation"),
    "linux/file_event/- osquery": Source(
        osquery(target_path="/etc/doas.conf", action="CREATED", category="etc"), osquery(target_path="/etc/doas.conf", action="DELETED", category="etc"),
        "{TargetFilename: /etc/doas.conf}", "file_event_lnx_doas_conf_creation"),
    "linux/network_connection/- auditd": Source(
        call(42, "SOCKADDR saddr=020001BBC0000201000000000000000000", "PROCTITLE proctitle=6C73", exe="/bin/bash"),
        call(42, "SOCKADDR saddr=020001BB7F000001000000000000000000", "PROCTITLE proctitle=6C73", exe="/bin/bash"),
        '{DestinationIp: 192.0.2.1, DestinationPort: 443, Initiated: "true"}', "net_connection_lnx_back_connect_shell_dev"),
    "linux/network_connection/- ECS": Source(
        ecs("linux", event={"category": ["network"], "type": ["start"], "action": "connection_attempted"}, network={"direction": "egress"},
            process={"executable": "/bin/bash"}, destination={"ip": "192.0.2.1", "port": 443, "domain": "x.localto.net"}),
        {"destination": {"ip": "127.0.0.1", "port": 443}}, '{DestinationHostname: x.localto.net, Initiated: "true"}',
        "net_connection_lnx_back_connect_shell_dev"),
    "linux/-/-": Source(
        syslog("kernel", "a program writes /etc/ld.so.preload"), syslog("kernel", "a program writes /etc/ld.so.cache"),
        '{"message|contains": preload}', "lnx_ldso_preload_injection"),
    "linux/-/- auditd": Source(
        exec_("vi", "/etc/ld.so.preload", exe="/usr/bin/vi"), exec_("vi", "/etc/ld.so.conf", exe="/usr/bin/vi"), "[ld.so.preload]",
        "lnx_ldso_preload_injection"),
    "linux/-/auth": Source(
        syslog("pkexec[7]", "ann: The value for environment variable XAUTHORITY contains suspicious content [USER=root] [TTY=/dev/pts/0]"),
        syslog("pkexec[7]", "ann: Executing command [USER=root] [TTY=/dev/pts/0]"), '["suspicious content"]', "lnx_auth_exploit_cve_2021_4034_pwnkit_lpe"),
    "linux/-/sshd": Source(
        syslog("sshd[77]", "Failed to generate curve25519 keys"), syslog("sshd[77]", "Accepted publickey for ann"), '{"message|contains": curve25519}',
        "lnx_sshd_exploit_cve_2023_2283_libssh_authentication_bypass"),
    "linux/-/sshd journal": Source(
        {"__REALTIME_TIMESTAMP": "1716191921123456", "SYSLOG_IDENTIFIER": "sshd", "MESSAGE": "Failed to generate curve25519 keys", "_HOSTNAME": "w"},
        {"MESSAGE": "Accepted publickey for ann"}, '{"MESSAGE|contains": curve25519}', "lnx_sshd_exploit_cve_2023_2283_libssh_authentication_bypass"),
    "linux/-/sshd Elastic": Source(
        {"@timestamp": "2024-05-20T07:58:41Z", "event": {"dataset": "system.auth"}, "process": {"name": "sshd"}, "message": "Failed to generate curve25519 keys"},
        {"message": "Accepted publickey for ann"}, '{"message|contains": curve25519}', "lnx_sshd_exploit_cve_2023_2283_libssh_authentication_bypass"),
    "linux/-/sudo": Source(
        syslog("sudo[5]", "    ann : TTY=pts/0 ; PWD=/home/ann ; USER=#-1 ; COMMAND=/usr/bin/id"),
        syslog("sudo[5]", "    ann : TTY=pts/0 ; PWD=/home/ann ; USER=root ; COMMAND=/usr/bin/id"), '{USER: "#-1"}', "lnx_sudo_exploit_cve_2019_14287"),
    "linux/-/cron": Source(
        syslog("crontab[5]", "(root) REPLACE (root)"), syslog("crontab[5]", "(root) LIST (root)"), '{"message|contains": REPLACE}', "lnx_cron_crontab_file_modification"),
    "linux/-/syslog": Source(
        syslog("named[5]", "client 192.0.2.7#53: denied AXFR from [192.0.2.7]").replace("client", "zone x: denied AXFR from 192.0.2.7 client"),
        syslog("named[5]", "zone x/IN: loaded serial 5"), '{"message|contains": AXFR}', "lnx_syslog_susp_named"),
    "linux/-/clamav": Source(
        syslog("clamd[7]", "/srv/x: Trojan.Agent-1 FOUND"), syslog("clamd[7]", "SelfCheck: Database status OK."), '{"message|endswith": FOUND}', "lnx_clamav_relevant_message"),
    "linux/-/clamav its own log": Source(
        "Mon May 20 07:58:41 2024 -> /srv/x: Trojan.Agent-1 FOUND\n", "Mon May 20 07:58:41 2024 -> SelfCheck: Database status OK.\n",
        '{"message|endswith": FOUND}', "lnx_clamav_relevant_message"),
    "linux/-/vsftpd": Source(
        'Mon May 20 07:58:41 2024 [pid 7] FTP response: Client "192.0.2.7", "Connection refused: too many sessions for this address."\n',
        'Mon May 20 07:58:41 2024 [pid 7] CONNECT: Client "192.0.2.7"\n', '{"message|contains": refused}', "lnx_vsftpd_susp_error_messages"),
    "linux/-/guacamole": Source(
        syslog("guacd[7]", 'User "@x" joined connection "$y" (2 users now present)'), syslog("guacd[7]", 'User "@x" joined connection "$y" (1 users now present)'),
        '{"message|contains": "(2 users"}', "lnx_guacamole_susp_guacamole"),
    "macos/process_creation/- eslogger": Source(
        es_exec("/usr/sbin/screencapture", "screencapture", "-x", "/tmp/a.png"), es_exec("/bin/ls", "ls"),
        "{Image: /usr/sbin/screencapture, CommandLine: screencapture -x /tmp/a.png, ParentImage: /bin/zsh, User: root}", "proc_creation_macos_screencapture"),
    "macos/process_creation/- Santa": Source(
        santa(action="EXEC", decision="ALLOW", reason="BINARY", pid="7", ppid="6", user="ann", path="/usr/sbin/screencapture", args="screencapture -x a.png"),
        santa(action="EXEC", decision="ALLOW", reason="BINARY", pid="7", ppid="6", user="ann", path="/bin/ls", args="ls"),
        "{Image: /usr/sbin/screencapture, CommandLine: screencapture -x a.png, User: ann}", "proc_creation_macos_screencapture"),
    "macos/process_creation/- osquery": Source(
        osquery(path="/usr/sbin/screencapture", cmdline="screencapture -x", pid="7", parent="6", event_type="exec", signing_id="com.apple.screencapture", platform_binary="1"),
        osquery(path="/bin/ls", cmdline="ls", pid="7", event_type="exec", signing_id="com.apple.ls", platform_binary="1"),
        "{Image: /usr/sbin/screencapture, CommandLine: screencapture -x}", "proc_creation_macos_screencapture"),
    "macos/process_creation/- ECS": Source(
        started("macos", "/usr/sbin/screencapture", "screencapture -x"), started("macos", "/bin/ls", "ls"),
        "{Image: /usr/sbin/screencapture, CommandLine: screencapture -x, ParentImage: /bin/zsh}", "proc_creation_macos_screencapture"),
    "macos/file_event/- eslogger": Source(
        es_create("/Library/StartupItems", "x.plist"), es_create("/tmp", "x.plist"), "{TargetFilename: /Library/StartupItems/x.plist, Image: /bin/zsh}",
        "file_event_macos_susp_startup_item_created"),
    "macos/file_event/- Santa": Source(
        santa(action="WRITE", path="/Library/StartupItems/x.plist", pid="7", ppid="6", process="sh", processpath="/bin/sh", uid="501", user="ann"),
        santa(action="DELETE", path="/Library/StartupItems/x.plist", pid="7", ppid="6", process="sh", processpath="/bin/sh", uid="501", user="ann"),
        "{TargetFilename: /Library/StartupItems/x.plist, Image: /bin/sh}", "file_event_macos_susp_startup_item_created"),
    "macos/file_event/- ECS": Source(
        wrote("macos", "/Library/StartupItems/x.plist"), wrote("macos", "/tmp/x.plist"), "{TargetFilename: /Library/StartupItems/x.plist}",
        "file_event_macos_susp_startup_item_created"),
    "zeek/-/dce_rpc": Source(
        zeek("dce_rpc", endpoint="efsrpc", operation="EfsRpcOpenFileRaw"), {"operation": "NetrLogonSamLogonEx", "endpoint": "netlogon"},
        "{endpoint: efsrpc, id.resp_p: 445}", "zeek_dce_rpc_potential_petit_potam_efs_rpc_call"),
    "zeek/-/dns": Source(zeek("dns", query="seed.x.nkn.org"), {"query": "www.example.org"}, "{query: seed.x.nkn.org}", "zeek_dns_nkn"),
    "zeek/-/http": Source(
        zeek("http", method="PUT", uri="/x", user_agent="Microsoft-WebDAV-MiniRedir/10.0", **{"id.resp_h": "203.0.113.5"}),
        {"id.resp_h": "10.0.0.1"}, "{id.resp_h: 203.0.113.5}", "zeek_http_webdav_put_request"),
    "zeek/-/http Corelight": Source(
        {"@stream": "http", "ts": "2024-05-20T07:58:41Z", "uid": "C1", "id_orig_h": "10.0.0.9", "id_resp_h": "203.0.113.5", "method": "PUT",
         "user_agent": "Microsoft-WebDAV-MiniRedir/10.0"},
        {"id_resp_h": "10.0.0.1"}, "{id.resp_h: 203.0.113.5}", "zeek_http_webdav_put_request"),
    "zeek/-/kerberos": Source(
        zeek("kerberos", request_type="TGS", cipher="rc4-hmac", service="cifs/fs1"), {"cipher": "aes256-cts-hmac-sha1-96"}, "{cipher: rc4-hmac}",
        "zeek_susp_kerberos_rc4"),
    "zeek/-/rdp": Source(
        zeek("rdp", cookie="ann", **{"id.orig_h": "203.0.113.5"}), {"id.orig_h": "10.0.0.9"}, "{id.orig_h: 203.0.113.5}", "zeek_rdp_public_listener"),
    "zeek/-/smb_files": Source(
        zeek("smb_files", path="\\\\fs1\\IPC$", name="spoolss", action="SMB::FILE_OPEN"), {"name": "lsarpc"}, "{name: spoolss}",
        "zeek_dce_rpc_smb_spoolss_named_pipe"),
    "zeek/-/x509": Source(
        {"_path": "x509", "ts": 1716191921.5, "id": "F1", "certificate.serial": "8BB00EE", "certificate.subject": "CN=x"},
        {"certificate.serial": "01"}, "{certificate.serial: 8BB00EE}", "zeek_default_cobalt_strike_certificate"),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_an_event_and_a_near_miss(name: str) -> None:
    check_own(name.partition(" ")[0], CASES[name])


@needs_sigmahq
@pytest.mark.parametrize("name", CASES)
def test_a_rule_of_sigmahq(name: str) -> None:
    check_sigmahq(CASES[name])


@pytest.mark.skipif(not (SHARED / "zeek").is_dir(), reason="the real logs are not here")
def test_every_record_of_zeek_is_recognised() -> None:
    maps = installed_maps()
    seen = 0
    for record in carengine.read_events(SHARED / "zeek"):
        seen += 1
        assert recognise(unwrap(record.event), maps), record.event
    assert seen > 1000
