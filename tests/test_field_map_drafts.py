"""`carengine map new` and `carengine map check`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import carengine
from carengine.cli import main
from carengine.fieldmap import ObservedLog, draft_map, installed_maps, map_name, parse_map

TILL: list[dict[str, Any]] = [
    {
        "when": "2024-05-20T10:00:00Z",
        "app": "till",
        "op": "proc.start",
        "actor": {"name": "ann"},
        "client": {"ip": "10.0.0.9", "port": 4455},
        "cmd": "sh -c id",
        "image": "/bin/sh",
        "md5": "0cc175b9c0f1b6a831c399e269772661",
        "in\x1b[31m": "\x1b]0;x\x07\n- evil: true",
    },
    {"when": "2024-05-20T10:00:01Z", "app": "till", "op": "login", "actor": {"name": "bob"}},
    {"when": "2024-05-20T10:00:02Z", "app": "till", "op": "refund", "actor": {"name": "bob"}},
]


def drafted(events: list[dict[str, Any]], source: str = "") -> str:
    log = ObservedLog()
    for event in events:
        log.add(event)
    return draft_map(log, "own", source)


def test_suggestions_have_their_samples() -> None:
    text = drafted(TILL, "acme/till")
    for line in (
        "recognise: 'app = \"till\" and when exists and op exists'",
        '  time: when  # "2024-05-20T10:00:00Z"',
        "  - source: acme/till",
        "  - kind: process/create",
        '      command_line: cmd  # "sh -c id"',
        '      image_path: image  # "/bin/sh"',
        '      md5_hash: md5  # "0cc175b9c0f1b6a831c399e269772661"',
        "      user: actor.name  # bob",
        "  - kind: user_session/login",
        '      src_ip: client.ip  # "10.0.0.9"',
        "      src_port: client.port  # 4455",
        "  # Of no kind that its name tells: op is refund",
    ):
        assert line in text.splitlines(), line
    assert "\x1b" not in text
    [own] = parse_map(text)
    [seen] = carengine.normalize(TILL[0], [own])
    assert (str(seen.kind), seen.fields["command_line"], seen.fields["exe"]) == (
        "process/create",
        "sh -c id",
        "sh",
    )


KEYS = st.one_of(
    st.sampled_from(["time", "op", "where", "a.b", "a", "Ünï", "x`y", "", "on", "user", "ip", "*"]),
    st.text(max_size=8),
)
VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),
    st.text(max_size=20),
    st.sampled_from(["login", "10.0.0.1", "C:\\x\\y.exe", "2024-05-20T10:00:00Z", "'", '"', "*"]),
)
EVENTS = st.lists(
    st.dictionaries(
        KEYS,
        st.recursive(
            VALUES,
            lambda below: st.one_of(
                st.lists(below, max_size=2), st.dictionaries(KEYS, below, max_size=3)
            ),
            max_leaves=4,
        ),
        max_size=5,
    ),
    min_size=1,
    max_size=6,
)


@given(EVENTS)
def test_every_draft_loads_and_recognises_its_events(events: list[dict[str, Any]]) -> None:
    """All events are recognised but those that the draft counts as having none of its fields."""
    text = drafted(events)
    [own] = parse_map(text)
    missed = sum(not own.recognises(carengine.fieldmap.unwrap(event)) for event in events)
    told = _told(text)
    assert missed <= told
    for event in events:
        carengine.normalize(event, [own], sources=True)


def _told(text: str) -> int:
    for line in text.splitlines():
        if line.endswith("of the events have none of these fields."):
            return int(line.split()[1].replace(",", ""))
    return 0


@pytest.mark.parametrize(
    ("wanted", "name"),
    [
        ("app.jsonl", "app"),
        ("My App-2.log", "my_app_2"),
        ("sysmon.yaml", "sysmon_log"),
        ("raw", "raw_log"),
        ("2024.json", "log_2024"),
        ("-", "log"),
        ("日本.json", "log"),
    ],
)
def test_names(wanted: str, name: str) -> None:
    assert map_name(wanted, {one.family for one in installed_maps()}) == name


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "till.jsonl"
    path.write_text("".join(json.dumps(event) + "\n" for event in TILL), "utf-8")
    return path


def test_from_a_log_to_matches(
    log: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rule = tmp_path / "rule.yml"
    rule.write_text(
        "title: t\nlogsource: {product: acme, service: till}\n"
        "detection: {s: {actor.name: ann}, condition: s}\n",
        "utf-8",
    )
    own = str(tmp_path / "own.yaml")
    assert main(["map", "new", str(log), "--logsource", "acme/till", "-o", own]) == 0
    assert "next: carengine hunt LOGS -r RULES -m" in capsys.readouterr().err
    assert main(["hunt", str(log), "-r", str(rule), "-m", own, "-f", "jsonl"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 1
    assert main(["detect", str(log), "-m", own]) == 0
    assert "acme/till" in capsys.readouterr().out
    assert main(["map", "check", own, str(log)]) == 0
    out = capsys.readouterr().out
    assert "3 events: 3 recognised (100 %)" in out
    assert main(["map", "check", own, str(log), "-f", "json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert (data["events"], data["recognised"]) == (3, 3)
    [process] = [one for one in data["kinds"] if one["kind"] == "process/create"]
    assert process["events"] == 1
    assert process["fields"]["command_line"] == 1


def test_check_says_what_is_missing(
    log: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = tmp_path / "own.yaml"
    own.write_text(
        "name: own\nrecognise: cmd exists\nentries:\n"
        "  - {kind: process/create, when: op exists, fields: {exe: nowhere, pid: client.port}}\n"
        '  - {kind: file/create, when: op = "file", fields: {file_path: cmd}}\n',
        "utf-8",
    )
    assert main(["map", "check", str(own), str(log)]) == 0
    out = capsys.readouterr().out
    assert "3 events: 1 recognised (33 %)" in out
    assert "never: exe" in out
    assert "kinds of the map that no event is: file/create" in out
    assert "raw fields that the map does not use: actor.name, app, when" in out
    assert "\x1b" not in out


@pytest.mark.parametrize(
    "arguments",
    [
        ["map"],
        ["map", "new"],
        ["map", "new", "{log}", "-o", "{log}"],
        ["map", "new", "{log}", "--logsource", "webserver"],
        ["map", "new", "{log}", "--logsource", "a b"],
        ["map", "check", "nothing-of-the-name", "{log}"],
    ],
)
def test_what_is_refused(arguments: list[str], log: Path) -> None:
    assert main([one.replace("{log}", str(log)) for one in arguments]) == 2
    assert log.read_text("utf-8").count("\n") == 3


def test_many_fields_and_large_values_are_bounded() -> None:
    log = ObservedLog()
    for number in range(30):
        log.add({f"k{number}_{n}": "x" * 10_000 for n in range(100)})
    assert len(log.fields) == 1000
    text = draft_map(log, "own")
    assert len(text) < 50_000
    parse_map(text)


def test_a_draft_of_letters_of_any_script(tmp_path: Path) -> None:
    event = {"wer": "Jürgen " + "x" * 500, "op": "x"}
    line = json.dumps(event, ensure_ascii=False) + "\n"
    (tmp_path / "a.jsonl").write_text(line * 3, "utf-8")
    output = tmp_path / "a.yaml"
    assert main(["map", "new", str(tmp_path / "a.jsonl"), "-o", str(output)]) == 0
    assert "…" in output.read_text("utf-8")
