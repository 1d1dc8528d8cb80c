"""Timelines: the order of time across files, and what is near something."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from carengine.cli import main
from carengine.cli.timeline import TIMELINE_EVENT_COLUMNS
from carengine.matches import schema
from carengine.report import Identity
from carengine.timeline import ProcessTree, TimelineAnchor, TimelineReader, TimelineWindow

RULE = """---
id: R-1
title: A rule
---
a = search Process:Create where exe = "evil.exe"
output a
"""


def start(at: str, pid: int, ppid: int, exe: str, host: str = "ws1", **more: Any) -> dict[str, Any]:
    return {
        "object": "process", "action": "create", "time": at, "hostname": host, "user": "ann",
        "pid": pid, "ppid": ppid, "exe": exe, **more,
    }  # fmt: skip


EVENTS = [
    start("2024-05-01T10:00:00Z", 100, 1, "shell.exe"),
    start("2024-05-01T10:05:00Z", 200, 100, "evil.exe"),
    start("2024-05-01T10:06:00Z", 300, 200, "child.exe"),
    start("2024-05-01T10:06:00Z", 900, 1, "other.exe"),
    start("2024-05-01T10:06:30Z", 901, 1, "elsewhere.exe", "ws2"),
    {"object": "file", "action": "create", "time": "2024-05-01T10:07:00Z", "hostname": "ws1", "pid": 300, "file_path": "C:\\x.dmp"},
    start("2024-05-01T11:30:00Z", 200, 1, "later.exe"),
    {"object": "file", "action": "create", "hostname": "ws1", "file_path": "C:\\timeless"},
]  # fmt: skip


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    folder = tmp_path / "logs"
    folder.mkdir()
    # Two files whose times are interleaved.
    for name, events in (("b.jsonl", EVENTS[::2]), ("a.jsonl", EVENTS[1::2])):
        (folder / name).write_text("".join(json.dumps(event) + "\n" for event in events))
    (tmp_path / "rule.car").write_text(RULE)
    return folder


def lines(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[dict[str, Any]]:
    assert main(["timeline", *arguments, "-f", "jsonl", "-q"]) == 0
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    check = jsonschema.Draft202012Validator(schema("timeline"))
    for line in found:
        check.validate(line)
    return found


def names(found: list[dict[str, Any]]) -> list[str]:
    return [one["fields"].get("exe") or one["fields"]["file_path"] for one in found]


def test_the_order_is_that_of_time(logs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = lines(capsys, str(logs))
    times = [one["time"] for one in found]
    assert times[-1] is None
    assert times[:-1] == sorted(times[:-1])
    assert len(found) == len(EVENTS)
    assert found[0]["host"] == "WS1"
    assert found[0]["details"] == "exe=shell.exe"


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        (["--around", "2024-05-01T10:00:00Z"], ["shell.exe", "evil.exe"]),
        (["--around", "2024-05-01T10:00:00Z", "--minutes", "1"], ["shell.exe"]),
        (["--host", "WS2.example.com"], ["elsewhere.exe"]),
        # Record 1 of a.jsonl is evil.exe: on its host only.
        (["--around", "a.jsonl:1", "--minutes", "1.5"], ["evil.exe", "child.exe", "other.exe"]),
        # Its process, its parent, its child and what that did; not the later one of its number.
        (["--around", "a.jsonl:1", "--tree", "--minutes", "600"], ["shell.exe", "evil.exe", "child.exe", "C:\\x.dmp"]),
        (["-r", "RULE", "--minutes", "1"], ["evil.exe", "child.exe", "other.exe"]),
        (["-r", "RULE", "--tree"], ["shell.exe", "evil.exe", "child.exe", "C:\\x.dmp"]),
    ],
)  # fmt: skip
def test_what_is_near(
    logs: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], wanted: list[str]
) -> None:
    rule = str(logs.parent / "rule.car")
    found = lines(capsys, str(logs), *(rule if one == "RULE" else one for one in arguments))
    assert sorted(names(found)) == sorted(wanted)
    marked = [one["matched"] for one in found if one["matched"]]
    assert marked == ([["R-1"]] if "RULE" in arguments else [])


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--around", "yesterday"], "no point in time"),
        (["--around", "nothere.jsonl:1"], "there is no record"),
        (["--around", "1"], "may be any of"),
        (["--around", "a.jsonl:4"], "has no time"),
        (["--tree"], "--tree is about a record"),
        (["--around", "2024-05-01", "-r", "RULE"], "either --around or -r"),
        (["--minutes", "-1"], "not negative"),
    ],
)
def test_what_cannot_be_done(
    logs: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], told: str
) -> None:
    rule = str(logs.parent / "rule.car")
    words = [rule if one == "RULE" else one for one in arguments]
    assert main(["timeline", str(logs), *words]) == 2
    assert told in capsys.readouterr().err


def test_no_match_has_nothing_around_it(logs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rule = logs.parent / "rule.car"
    rule.write_text(RULE.replace("evil", "none"))
    assert lines(capsys, str(logs), "-r", str(rule)) == []


def test_text_and_csv(logs: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    rule = str(logs.parent / "rule.car")
    assert main(["timeline", str(logs), "-r", rule, "-q"]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0] == "2024-05-01"
    assert next(line for line in out if line.startswith("*")).endswith("[R-1]  exe=evil.exe  (ann)")
    target = tmp_path / "t.csv"
    assert main(["timeline", str(logs), "-f", "csv", "-o", str(target), "-q"]) == 0
    rows = list(csv.reader(io.StringIO(target.read_text(encoding="utf-8"))))
    assert tuple(rows[0]) == TIMELINE_EVENT_COLUMNS
    assert len(rows) == len(EVENTS) + 1
    # Not into what is read.
    assert main(["timeline", str(logs), "-f", "csv", "-o", str(logs / "a.jsonl")]) == 2


def test_hostile_values(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    event = start(
        "2024-05-01T10:00:00Z", 1, 1, "=cmd|'/c calc'!A0", "h\x1b[2J\u202e", user="+1\r\n2",
        command_line="\x1b]0;x\x07<script>" + "A" * 1_000_000,
    )  # fmt: skip
    path = tmp_path / "x.jsonl"
    path.write_text(json.dumps(event) + "\n")
    for format_ in ("text", "csv", "jsonl"):
        assert main(["timeline", str(path), "-f", format_]) == 0
        out = capsys.readouterr().out
        if format_ == "jsonl":
            assert json.loads(out)["host"]
            continue
        assert not set("\x1b\x07\u202e") & set(out)
        if format_ == "csv":
            [_, row] = csv.reader(io.StringIO(out))
            assert all(not cell.startswith(("=", "+", "-", "@")) for cell in row)
            assert len(out) < 10_000


def test_records_of_log_sources_keep_their_names() -> None:
    reader = TimelineReader("windows.flat")
    record = {
        "Channel": "Security", "EventID": 4769, "SourceName": "Microsoft-Windows-Security-Auditing",
        "Hostname": "dc1", "TargetUserName": "ann", "@timestamp": "2024-05-01T10:00:00Z",
    }  # fmt: skip
    [event] = reader.events(record, "x", 1)
    assert (event.kind, event.host, event.user) == ("windows/security", "DC1", "ann")
    assert event.told == "EventID=4769 ¦ TargetUserName=ann"
    assert list(reader.events({"x": 1}, "x", 2)) == []
    assert (reader.records, reader.unrecognised) == (2, 1)


def test_windows_and_trees() -> None:
    anchors = (
        TimelineAnchor(0, Identity(host="A")),
        TimelineAnchor(60_000_000, Identity(host="A")),
        TimelineAnchor(600_000_000, Identity(host="B")),
    )
    window = TimelineWindow(anchors, 1)
    assert [window.holds_time(t * 1_000_000, "A") for t in (-61, -60, 0, 120, 121, 600)] == [
        False, True, True, True, False, False,
    ]  # fmt: skip
    assert window.holds_time(600_000_000, "B")
    assert not window.holds_time(600_000_000, "")
    tree = ProcessTree.of(
        [
            {"guid": "{a}"},
            {"guid": "", "host": "H", "pid": "7", "time": 10, "until": 20},
            {"guid": "", "host": "H", "pid": "7", "time": 40, "until": None},
        ]
    )
    held = [tree.holds(Identity(host="H", pid="7"), time) for time in (9, 10, 19, 20, 40, None)]
    assert held == [False, True, True, False, True, False]
    assert tree.holds(Identity(guid="{a}"), None)
    assert not tree.holds(Identity(guid="{b}", host="H", pid="7"), 10)
