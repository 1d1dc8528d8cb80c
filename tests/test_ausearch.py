"""Exports of ``ausearch``: interpreted records are read as the events that the log itself gives."""

from __future__ import annotations

import io
from typing import Any

import pytest

from carengine import Engine, read_events
from carengine.diagnostics import codes
from carengine.fieldmap import find_maps, normalize
from carengine.readers import ausearch
from sigma_rules import load

WHEN = "05/20/2024 07:58:41.123"


def event(*records: str, when: str = WHEN, serial: int = 24) -> str:
    """One event of an export, its records in the order given."""
    lines = []
    for record in records:
        kind, _, rest = record.partition(" ")
        lines.append(f"type={kind} msg=audit({when}:{serial}) : {rest} ")
    return "\n".join(["----", *lines]) + "\n"


CALL = (
    "arch=x86_64 syscall=execve success=yes exit=0 a0=0x55d0 a1=0x55d1 a2=0x0 a3=0x8 items=2 "
    "ppid=1340 pid=17790 auid=ann uid=root gid=root euid=root tty=pts0 ses=3 comm=my tool "
    "exe=/opt/my dir/tool subj=unconfined key=exec"
)
STARTED = (
    "PROCTITLE proctitle=sh -c echo a=b | tee x",
    "PATH item=1 name=/lib64/ld-linux-x86-64.so.2 inode=5 dev=fd:00 mode=file,755 nametype=NORMAL",
    "PATH item=0 name=/opt/my dir/a=b inode=4 dev=fd:00 mode=file,755 nametype=NORMAL",
    "CWD cwd=/home/ann/my notes",
    "EXECVE argc=3 a0=sh a1=-c a2=echo a=b | tee x",
    f"SYSCALL {CALL}",
)


def read(text: str) -> tuple[list[dict[str, Any]], Any]:
    reading = read_events("-", stdin=io.BytesIO(text.encode()))
    return [record.event for record in reading], reading


@pytest.mark.parametrize("records", [STARTED, STARTED[::-1]], ids=["reverse", "as the kernel"])
def test_a_process_start(records: tuple[str, ...]) -> None:
    [found], reading = read(event(*records))
    assert (found["type"], found["types"][0], found["serial"]) == ("SYSCALL", "SYSCALL", 24)
    assert found["paths"] == {"NORMAL": "/opt/my dir/a=b"}
    assert found["EXECVE"]["argv"] == ["sh", "-c", "echo a=b | tee x"]
    assert found["SYSCALL"]["exe"] == "/opt/my dir/tool"
    assert found["SYSCALL"]["comm"] == "my tool"
    assert found["SYSCALL"]["key"] == "exec"
    assert found["PROCTITLE"] == {"proctitle": "sh -c echo a=b | tee x"}
    [seen] = [x for x in normalize(found, find_maps()) if str(x.kind) == "process/create"]
    assert {
        name: seen.fields.get(name)
        for name in ("image_path", "command_line", "current_working_directory", "user", "uid")
    } == {
        "image_path": "/opt/my dir/tool",
        "command_line": "sh -c echo a=b | tee x",
        "current_working_directory": "/home/ann/my notes",
        "user": "root",
        "uid": "0",
    }
    assert seen.time == 1_716_191_921_123_000
    assert set(reading.found) == {codes.LOCAL_TIMES}


def test_events_are_told_apart_with_and_without_lines_between() -> None:
    one, two = event(*STARTED), event(*STARTED[::-1], serial=25)
    for text in (one + two, (one + two).replace("----\n", "")):
        found, _ = read(text)
        assert sorted((x["serial"], x["type"], len(x["types"])) for x in found) == [
            (24, "SYSCALL", 5),
            (25, "SYSCALL", 5),
        ]


def test_rules_about_auditd_match_an_export() -> None:
    detections = (
        "type: EXECVE, a0: sh, a2|contains: 'tee x'",
        "type: SYSCALL, syscall: execve, key: exec",
        "type: PATH, name|startswith: '/opt/my dir/'",
        "type: CWD, cwd|endswith: notes",
        "exe: '/opt/my dir/tool', uid: 0",
        "type: EXECVE, a1: tee",
    )
    loaded = load(
        *(
            f"title: '{number}'\nid: 00000000-0000-4000-8000-{number:012}\nstatus: test\n"
            "logsource: {product: linux, service: auditd}\n"
            f"detection:\n  s: {{{detection}}}\n  condition: s\nlevel: low\n"
            for number, detection in enumerate(detections)
        )
    )
    fed = Engine(loaded).session()
    [found], _ = read(event(*STARTED))
    titles = sorted(str(match.rule.metadata.title) for match in fed.feed(found))
    assert titles == ["0", "1", "2", "3", "4"]


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("{ saddr_fam=inet laddr=10.0.0.9 lport=443 }", ("inet", "10.0.0.9", "443")),
        ("{ fam=inet6 laddr=2001:db8::9 lport=22 }", ("inet6", "2001:db8::9", "22")),
        ("inet host:10.0.0.9 serv:443", ("inet", "10.0.0.9", "443")),
    ],
)
def test_a_connection(address: str, expected: tuple[str, str, str]) -> None:
    call = (
        "arch=x86_64 syscall=connect success=no exit=EINPROGRESS(Operation now in progress) pid=4"
    )
    [found], _ = read(event(f"SOCKADDR saddr={address}", f"SYSCALL {call} exe=/usr/bin/curl key=x"))
    socket = found["SOCKADDR"]
    assert (socket["family"], socket["address"], socket["port"]) == expected
    [seen] = normalize(found, find_maps())
    assert (str(seen.kind), seen.fields["dest_ip"]) == ("flow/start", expected[1])


def test_a_programs_record() -> None:
    text = (
        "USER_AUTH pid=9 uid=root auid=unset ses=unset subj=x msg='op=PAM:authentication "
        "grantors=pam_unix acct=ann exe=/usr/sbin/sshd hostname=10.0.0.9 addr=10.0.0.9 "
        "terminal=ssh res=success'"
    )
    [found], _ = read(event(text))
    [seen] = normalize(found, find_maps())
    assert (str(seen.kind), seen.fields["user"], seen.fields["src_ip"]) == (
        "authentication/success",
        "ann",
        "10.0.0.9",
    )
    assert found["USER_AUTH"]["auid"] == "4294967295"


def test_programs_start_a_service_and_run_a_command() -> None:
    [service, command], _ = read(
        event(
            "SERVICE_START pid=1 uid=root msg='unit=my.service comm=systemd exe=/lib/systemd "
            "hostname=? addr=? terminal=? res=success'"
        )
        + event("USER_CMD pid=5 uid=ann msg='cwd=/home/a b cmd=ls -l terminal=pts/0 res=success'")
    )
    [seen] = normalize(service, find_maps())
    assert (str(seen.kind), seen.fields["name"]) == ("service/start", "my.service")
    assert "addr" not in service["SERVICE_START"]
    said = command["USER_CMD"]
    assert (said["cwd"], said["cmd"], said["res"]) == ("/home/a b", "ls -l", "success")


@pytest.mark.parametrize(
    ("text", "day_first", "expected"),
    [
        ("05/20/2024 07:58:41.123", False, 1_716_191_921.123),
        ("05/20/24 07:58:41.123", False, 1_716_191_921.123),
        ("20/05/24 07:58:41.123", True, 1_716_191_921.123),
        ("20.05.2024 07:58:41.123", False, 1_716_191_921.123),
        ("2024-05-20 07:58:41.123", False, 1_716_191_921.123),
        ("05/20/2024 07:58:41 PM", False, 1_716_235_121.0),
        ("05/20/2024 12:00:00 AM", False, 1_716_163_200.0),
        ("13/32/2024 07:58:41.123", False, None),
        ("05/20/2024 25:58:41.123", False, None),
    ],
)
def test_times(text: str, day_first: bool, expected: float | None) -> None:
    assert ausearch.seconds(text, day_first=day_first) == expected


def test_a_later_date_tells_the_order_of_all() -> None:
    [one, two], reading = read(
        event("CWD cwd=/", when="03/04/2024 00:00:00.000")
        + event("CWD cwd=/", when="20/04/2024 00:00:00.000")
    )
    assert (one["timestamp"], two["timestamp"]) == (1_712_102_400.0, 1_713_571_200.0)
    [said] = reading.diagnostics
    assert "month first" not in said.message


def test_broken_lines_cost_themselves() -> None:
    text = event("CWD cwd=/") + "no record\n" + event("CWD cwd=/b", when="99/99/2024 00:00:00.000")
    found, reading = read(text + event("CWD cwd=/c", serial=9))
    assert [x["CWD"]["cwd"] for x in found] == ["/", "/c"]
    assert reading.unreadable == 2


def test_what_ausearch_writes_without_interpreting() -> None:
    text = "----\ntime->Mon May 20 07:58:41 2024\n" + "".join(
        f"type={kind} msg=audit(1716191921.123:24): {rest}\n"
        for kind, rest in (
            ("PROCTITLE", "proctitle=6C73002D6C61"),
            ("EXECVE", 'argc=2 a0="ls" a1="-la"'),
            ("SYSCALL", 'arch=c000003e syscall=59 success=yes pid=3 exe="/bin/ls"'),
        )
    )
    [found], reading = read(text)
    assert (found["type"], found["EXECVE"]["command_line"]) == ("SYSCALL", "ls -la")
    assert not reading.diagnostics


def test_long_records_are_read_in_one_go() -> None:
    """Blanks and names without end cost no more than their length."""
    for value in (
        " " * 200_000,
        "cwd=" * 50_000,
        "a1=" * 50_000,
        " name=x" * 30_000,
        "'" * 200_000,
    ):
        ausearch.fields_of("EXECVE", f"a0=x {value}")
        ausearch.fields_of("PATH", f"name={value}")
        ausearch.fields_of("USER_CMD", f"msg='cmd={value}'")
