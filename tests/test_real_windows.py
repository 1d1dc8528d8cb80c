"""SigmaHQ's rules on events of Windows as they are recorded: Microsoft Defender's, whose fields have
blanks in their names, and Sentinel's tables, whose ``EventData`` is a text.

The rules and recordings are beside the checkout; all of this is skipped without them.
"""

from __future__ import annotations

import json
import tarfile
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import pytest

import carengine
from carengine import Engine, read_events
from carengine.eventxml import event_of_xml

SHARED = Path(__file__).parents[1].parent / "shared"
RULES = SHARED / "sigma" / "sigmahq-rules-all.tar.gz"
if not RULES.exists():
    pytest.skip("SigmaHQ's rules are not here", allow_module_level=True)

CHANNEL = "Microsoft-Windows-Windows Defender/Operational"
PROVIDER = "Microsoft-Windows-Windows Defender"
EXCLUSIONS = "HKLM\\SOFTWARE\\Microsoft\\Windows Defender\\Exclusions\\Paths\\C:\\x = 0x0"
GUARD = "HKLM\\x\\Windows Defender\\Windows Defender Exploit Guard\\Controlled Folder Access"
REAL_TIME = "HKLM\\SOFTWARE\\Microsoft\\Windows Defender\\Real-Time Protection"


def folder_of(part: str, folder: Path) -> Path:
    """The rules of SigmaHQ whose path has this in it, unpacked."""
    with tarfile.open(RULES) as archive:
        for number, member in enumerate(archive):
            if part in member.name and member.name.endswith(".yml"):
                file = archive.extractfile(member)
                assert file is not None
                (folder / f"{number}.yml").write_bytes(file.read())
    return folder


@pytest.fixture(scope="module")
def defender(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    rules = carengine.load_rules(folder_of("/win_defender", tmp_path_factory.mktemp("rules")))
    assert not rules.refused
    assert len(rules) >= 16
    return Engine(rules)


# By the stem of a rule's file: an event that it is about, and events that it is not.
# The names of the fields are those of Defender's manifest.
CASES: dict[str, tuple[tuple[int, dict[str, str]], list[tuple[int, dict[str, str]]]]] = {
    "Windows Defender Exclusions Added": (
        (5007, {"Old Value": "", "New Value": EXCLUSIONS}),
        [
            (5007, {"Old Value": EXCLUSIONS, "New Value": ""}),
            (5007, {"New Value": EXCLUSIONS.replace("Exclusions", "Exclusion")}),
            (5004, {"New Value": EXCLUSIONS}),
        ],
    ),
    "Windows Defender Exploit Guard Tamper": (
        (5007, {"New Value": f"{GUARD}\\AllowedApplications\\C:\\Users\\Public\\x.exe = 0x0"}),
        [
            (5007, {"New Value": f"{GUARD}\\AllowedApplications\\C:\\Windows\\x.exe = 0x0"}),
            (5007, {"New Value": f"{GUARD}\\ProtectedFolders\\C:\\Users\\Public\\x = 0x0"}),
        ],
    ),
    "Windows Defender Submit Sample Feature Disabled": (
        (5007, {"New Value": f"{REAL_TIME}\\SubmitSamplesConsent = 0x0"}),
        [
            (5007, {"New Value": f"{REAL_TIME}\\SubmitSamplesConsent = 0x1"}),
            (5007, {"Old Value": f"{REAL_TIME}\\SubmitSamplesConsent = 0x0"}),
        ],
    ),
    "Windows Defender Configuration Changes": (
        (5007, {"New Value": "HKLM\\SOFTWARE\\Windows Defender\\DisableAntiSpyware = 0x1"}),
        [(5007, {"New Value": "HKLM\\SOFTWARE\\Windows Defender\\DisableAntiSpywareX = 0x1"})],
    ),
    "Microsoft Defender Tamper Protection Trigger": (
        (5013, {"Changed Type": "%%14", "Value": f"{REAL_TIME}\\DisableRealtimeMonitoring"}),
        [(5013, {"Value": f"{REAL_TIME}\\DisableRealtimeMonitoring = 0x1"})],
    ),
    "LSASS Access Detected via Attack Surface Reduction": (
        (1121, {"Path": "C:\\Windows\\System32\\lsass.exe", "Process Name": "C:\\x\\a.exe"}),
        [
            (1121, {"Path": "C:\\Windows\\lsass.exe", "Process Name": "C:\\Program Files\\a.exe"}),
            (
                1121,
                {"Path": "C:\\a\\lsass.exe", "Process Name": "C:\\Windows\\System32\\svchost.exe"},
            ),
            (1121, {"Path": "C:\\Windows\\System32\\lsas.exe", "Process Name": "C:\\x\\a.exe"}),
        ],
    ),
    "PSExec and WMI Process Creations Block": (
        (1121, {"Process Name": "C:\\Windows\\System32\\wbem\\wmiprvse.exe", "Path": "x"}),
        [(1121, {"Process Name": "C:\\Windows\\x.exe", "Path": "C:\\wmiprvse.exe"})],
    ),
    "Windows Defender AMSI Trigger Detected": (
        (1116, {"Source Name": "AMSI", "Threat Name": "x"}),
        [(1116, {"Source Name": "%%818", "Threat Name": "AMSI"})],
    ),
    "Windows Defender Real-Time Protection Failure/Restart": (
        (3002, {"Feature Name": "%%835", "Reason": "%%893"}),
        [(3003, {"Feature Name": "%%835", "Reason": "%%893"})],
    ),
    "RedSun - TieringEngineService.exe Detected as EICAR Test File": (
        (
            1119,
            {
                "Source Name": "Real-Time Protection",
                "Threat Name": "Virus:DOS/EICAR_Test_File",
                "Path": "file:_C:\\x\\TieringEngineService.exe",
                "Process Name": "C:\\x\\b.exe",
            },
        ),
        [
            (
                1119,
                {
                    "Source Name": "Real-Time Protection",
                    "Threat Name": "Virus:DOS/Other",
                    "Path": "file:_C:\\x\\TieringEngineService.exe",
                    "Process Name": "b.exe",
                },
            )
        ],
    ),
    "Windows Defender Threat Detected": ((1117, {"Threat Name": "x"}), [(1118, {})]),
    "Windows Defender Virus Scanning Feature Disabled": ((5012, {}), [(5011, {})]),
    "Windows Defender Real-time Protection Disabled": ((5001, {}), [(5000, {})]),
    "Windows Defender Malware And PUA Scanning Disabled": ((5010, {}), [(5011, {})]),
    "Windows Defender Grace Period Expired": ((5101, {}), [(5100, {})]),
    "Windows Defender Malware Detection History Deletion": ((1013, {}), [(1014, {})]),
    "Win Defender Restored Quarantine File": ((1009, {}), [(1008, {})]),
}


def shapes(number: int, data: dict[str, str], channel: str = CHANNEL) -> dict[str, dict[str, Any]]:
    """An event as tools write it."""
    system = {
        "Provider": {"#attributes": {"Name": PROVIDER}},
        "EventID": number,
        "Channel": channel,
        "Computer": "ws1",
    }
    elements = "".join(f'<Data Name="{name}">{escape(v)}</Data>' for name, v in data.items())
    xml = (
        f'<Event><System><Provider Name="{PROVIDER}"/><EventID>{number}</EventID><Channel>{channel}'
        f"</Channel></System><EventData>{elements}</EventData></Event>"
    )
    winlog = {
        "channel": channel,
        "provider_name": PROVIDER,
        "event_id": str(number),
        "event_data": data,
    }
    return {
        "EVTX": {"Event": {"System": system, "EventData": data}},
        "XML": event_of_xml(xml),
        "Winlogbeat": {"winlog": winlog, "event": {"code": str(number)}},
        "Sentinel": {
            "Channel": channel,
            "Provider": PROVIDER,
            "EventID": number,
            "Computer": "ws1",
            "EventData": json.dumps(data),
        },
    }


def titles(engine: Engine, event: dict[str, Any]) -> list[str | None]:
    session = engine.session()
    told = sorted(str(match.rule.metadata.title) for match in session.feed(event))
    lines = engine.session()
    line = json.dumps(event).encode()
    for _ in range(3):
        assert sorted(str(m.rule.metadata.title) for m in lines.feed_line(line)) == told
    return [*told]


@pytest.mark.parametrize("title", CASES)
@pytest.mark.parametrize("shape", ["EVTX", "XML", "Winlogbeat", "Sentinel"])
def test_rules_about_defender(title: str, shape: str, defender: Engine) -> None:
    (number, data), misses = CASES[title]
    assert title in titles(defender, shapes(number, data)[shape])
    for other, changed in misses:
        assert title not in titles(defender, shapes(other, changed)[shape])
    elsewhere = shapes(number, data, "Microsoft-Windows-Other/Operational")[shape]
    assert title not in titles(defender, elsewhere)


def test_every_rule_about_defender_is_tried(defender: Engine) -> None:
    there = {rule.metadata.title for rule in defender.rules}
    assert set(CASES) <= there
    assert len(there - set(CASES)) <= 1  # one that is deprecated says what three others say


SENTINEL = SHARED / "mordor" / "sysmon_log4shell_cve2021_44228_java_serialized_object.zip"
needs_sentinel = pytest.mark.skipif(not SENTINEL.exists(), reason="the recording is not here")


@needs_sentinel
def test_records_of_sentinel_have_their_fields() -> None:
    """All 487 of them were recognised, and had none."""
    engine = Engine(carengine.load_rules(carengine.shipped_rules()))
    session = engine.session()
    found = []
    for number, record in enumerate(read_events(SENTINEL), 1):
        assert isinstance(record.event["EventData"], str)
        found += session.feed(record.event, carengine.Origin(record.source, number))
    found += session.flush()
    stats = session.stats
    assert (stats.events, stats.shaped, stats.without_fields.total()) == (487, 487, 0)
    [shell] = [match for match in found if match.rule.id == "CAR-2021-02-001"]
    [event] = shell.events
    assert event.fields["parent_exe"].lower() == "tomcat9.exe"
    assert event.fields["exe"].lower() == "powershell.exe"


@needs_sentinel
def test_rules_of_sigmahq_match_records_of_sentinel(tmp_path: Path) -> None:
    rules = carengine.load_rules(folder_of("proc_creation_win_powershell_", tmp_path))
    session = Engine(rules).session()
    found = {
        match.rule.metadata.title
        for record in read_events(SENTINEL)
        for match in session.feed(record.event)
    }
    assert session.stats.without_fields.total() == 0
    assert {
        "Suspicious PowerShell Parent Process",
        "Suspicious Execution of Powershell with Base64",
        "Suspicious PowerShell Parameter Substring",
    } <= found


@pytest.mark.parametrize(
    "name",
    [
        "sentinel_windowsevent_sysmon1.json",
        "sentinel_securityevent_5156.json",
        "sentinel_event_table_sysmon18.json",
        "sentinel_event_table_app.json",
    ],
)
def test_single_records_of_sentinel(name: str) -> None:
    path = SHARED / "cases" / "values" / name
    if not path.exists():
        pytest.skip("the case is not here")
    session = Engine(carengine.load_rules(carengine.shipped_rules())).session()
    for record in read_events(path):
        session.feed(record.event)
    assert session.stats.without_fields.total() == 0
    assert session.stats.unrecognised == 0 or name == "sentinel_event_table_app.json"


def test_an_archive_with_a_newline_behind_it() -> None:
    path = SHARED / "cases" / "values" / "trailing_newline.tar.gz"
    if not path.exists():
        pytest.skip("the case is not here")
    reading = read_events(path)
    assert len(list(reading)) == 1
    assert reading.diagnostics == ()
