"""What rules need against what the data has."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from carengine import Engine, needs, parse_rule
from carengine.cli import main, status
from carengine.engine.report import FieldCoverage, Outcome, RuleNeeds
from carengine.fieldmap import find_maps

RULES = [
    parse_rule(f"---\nid: {id_}\n---\n{text}")
    for id_, text in {
        "FILE": 'a = search File:Create where file_name = "x" and user = "ann" output a',
        "MATCH": 'a = search Process:Create where exe = "a.exe" output a',
        "NO": 'a = search Process:Create where exe = "b.exe" output a',
        "REG": 'a = search Registry:Add where key = "x" output a',
        "SMB": 'a = search Flow:Message where proto_info.pipe = "x" output a',
        "TWO": "a = search Process:Create b = search File:Create "
        "j = join (a, b) where a.pid = b.pid output j",
    }.items()
]
EVENTS: list[dict[str, Any]] = [
    {"EventID": 1, "Image": "C:\\a.exe", "ProcessId": 1, "User": "ann"},
    {"EventID": 1, "Image": "C:\\c.exe", "ProcessId": 2},
    {"EventID": 11, "Image": "C:\\a.exe", "TargetFilename": "C:\\y"},
    {"unknown": 1},
]


def after(events: list[dict[str, Any]], mapping: str = "sysmon") -> dict[str, RuleNeeds]:
    engine = Engine(RULES, mapping)
    session, sample = engine.session(), FieldCoverage(engine)
    for event in events:
        session.feed(event)
        sample.observe(event)
    session.flush()
    return {found.rule.id: found for found in needs(engine, session.stats, sample)}


def test_before_a_run_the_maps_speak() -> None:
    found = {one.rule.id: one for one in needs(Engine(RULES, "sysmon"))}
    assert {id_: one.status.outcome.runnable for id_, one in found.items() if id_ != "TWO"} == {
        "FILE": True,
        "MATCH": True,
        "NO": True,
        "REG": True,
        "SMB": False,
    }
    [need] = found["FILE"].needs
    assert (str(need.kind), need.fields, need.events) == ("file/create", ("file_name", "user"), 0)
    assert len(need.supplies) == len(find_maps("sysmon"))
    assert all(field.mapped for supply in need.supplies for field in supply.fields)
    [need] = found["SMB"].needs
    assert (str(need.kind), need.supplies) == ("flow/message", ())


def test_after_a_run_the_data_speaks() -> None:
    found = after(EVENTS)
    [need] = found["MATCH"].needs
    [supply] = need.supplies
    assert (supply.fieldmap, supply.events, supply.observed) == ("sysmon.flat", 2, 2)
    assert [(field.name, field.seen) for field in supply.fields] == [("exe", 2)]
    assert found["MATCH"].status.outcome is Outcome.MATCHED
    assert found["NO"].status.outcome is Outcome.NOT_TRUE
    [need] = found["FILE"].needs
    assert {f.name: f.seen for s in need.supplies for f in s.fields} == {"file_name": 1, "user": 0}
    assert found["FILE"].status.outcome is Outcome.FIELDS_EMPTY
    [need] = found["REG"].needs
    assert [(s.events, s.observed) for s in need.supplies] == [(0, 0)]
    assert found["REG"].status.outcome is Outcome.NO_EVENTS


def test_a_join_needs_the_kinds_of_all_its_branches() -> None:
    kinds = {str(need.kind): need.fields for need in after(EVENTS)["TWO"].needs}
    assert kinds.keys() == {"process/create", "file/create"}
    assert "pid" in kinds["process/create"]


def test_as_json() -> None:
    data = json.loads(json.dumps(after(EVENTS)["FILE"].as_json()))
    assert data["rule"] == "FILE"
    assert (data["outcome"], data["runnable"]) == ("fields_empty", True)
    assert data["needs"] == [
        {
            "object": "file",
            "action": "create",
            "fields": ["file_name", "user"],
            "events": 1,
            "maps": [
                {
                    "map": "sysmon.flat",
                    "events": 1,
                    "looked_at": 1,
                    "missing": [],
                    "seen": {"file_name": 1, "user": 0},
                }
            ],
        }
    ]


@pytest.fixture
def evidence(tmp_path: Path) -> Path:
    path = tmp_path / "x.json"
    path.write_text("".join(json.dumps(event) + "\n" for event in EVENTS))
    return path


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    folder = tmp_path / "rules"
    folder.mkdir()
    (folder / "NO.car").write_text('a = search Process:Create where exe = "b.exe" output a\n')
    (folder / "YES.car").write_text(
        '---\nlevel: high\n---\na = search Process:Create where exe = "a.exe" output a\n'
    )
    return folder


def test_the_command(evidence: Path, rules: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["needs", "-r", str(rules), "-m", "sysmon.flat"]) == status.DONE
    out = capsys.readouterr().out
    assert [line.split() for line in out.splitlines()] == [
        ["rule", "outcome", "kind", "map", "fields"],
        ["NO", "could", "run", "process/create", "sysmon.flat", "exe"],
        ["YES", "could", "run", "process/create", "sysmon.flat", "exe"],
    ]
    assert main(["needs", str(evidence), "-r", str(rules)]) == status.DONE
    done = capsys.readouterr()
    assert [line.split() for line in done.out.splitlines()][1:] == [
        ["NO", "not", "true", "process/create", "sysmon.flat", "2", "exe", "always"],
        ["YES", "matched", "process/create", "sysmon.flat", "2", "exe", "always"],
    ]
    assert "4 records = 3 recognised + 1 not recognised + 0 unreadable" in done.err
    assert main(["needs", str(evidence), "-r", str(rules), "-f", "json"]) == status.DONE
    data = json.loads(capsys.readouterr().out)
    assert [one["outcome"] for one in data["rules"]] == ["not_true", "matched"]


def test_the_account_of_a_hunt_adds_up(
    evidence: Path, rules: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with evidence.open("a") as file:
        timed = {
            "EventID": 1,
            "Image": "C:\\a.exe",
            "Channel": "Microsoft-Windows-Sysmon/Operational",
        }
        for day in (1, 2, 3, 3):
            file.write(json.dumps({**timed, "UtcTime": f"2024-05-0{day} 10:00:00"}) + "\n")
    (tmp_path / "ex.yaml").write_text('- {where: user = "ann", reason: ann may, name: ann}\n')
    account = tmp_path / "account.json"
    arguments = ["hunt", str(evidence), "-r", str(rules), "--level", "medium", "-f", "jsonl"]
    arguments += ["--exclude", str(tmp_path / "ex.yaml"), "--suppress", "rule for 1 hour"]
    arguments += ["--from", "2024-05-02", "--account", str(account)]
    assert main(arguments) == status.DONE
    done = capsys.readouterr()
    data = json.loads(account.read_text())
    assert data["records"]["read"] == 8
    parts = ("recognised", "not_recognised", "unreadable", "outside_time")
    assert [data["records"][part] for part in parts] == [6, 1, 0, 1]
    assert data["rules"]["left_out"] == {"below the level": 1}
    assert data["matches"] == {
        "shown": {"YES": 2},
        "excluded": {"ann": 1},
        "suppressed": {"rule for 1 hour": 1},
        "expired_exclusions": [],
        "merged_records": 0,
    }
    assert len(done.out.splitlines()) == 2
    assert "8 records = 6 recognised + 1 not recognised + 0 unreadable + 1 outside" in done.err
    assert (
        "2 matches: 2 high; 3 without a time were looked at; 1 more excluded; 1 more suppressed"
        in done.err
    )


@pytest.mark.parametrize(
    "arguments",
    [
        ["--from", "2024-05-02", "--to", "2024-05-01"],
        ["--from", "then"],
        ["--suppress", "nothing"],
        ["--exclude", "missing.yaml"],
        ["--technique", "T9999"],
        ["--account", "/nowhere/at/all"],
    ],
)
def test_options_that_cannot_be(
    arguments: list[str], evidence: Path, rules: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["hunt", str(evidence), "-r", str(rules), *arguments]) == status.USAGE
    done = capsys.readouterr()
    assert done.out == ""
    assert done.err


def test_nothing_is_proved_of_logs_of_which_no_event_was_recognised(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "log.jsonl"
    log.write_text('{"what": "is this"}\n')
    main(["needs", str(log), "--prove"])
    said = capsys.readouterr().out
    assert "can never fire on these logs" not in said
    assert "no event of these logs was recognised" in said
