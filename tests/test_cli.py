"""The command line: what it writes where, what it returns, and that its account adds up."""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import carengine
from carengine import jsontext
from carengine.cli import COMMANDS, encode, main, status
from carengine.cli.screen import Screen
from carengine.cli.table import Table, draw
from carengine.engine.report import UnrecognisedShapes

SAMPLE = Path(__file__).parent / "samples" / "lsass_dump.jsonl"
SHARED = Path(__file__).parents[1].parent / "shared"
SRC = Path(__file__).parents[1] / "src"

RULE = 'a = search Process:Create where exe = "evil*.exe"\noutput a\n'
HIT = {"object": "process", "action": "create", "exe": "EVIL.exe", "hostname": "H1"}
MISS = {"object": "process", "action": "create", "exe": "good.exe", "hostname": "H1"}
UNKNOWN = {"what": "is", "this": 1}

needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason="the shared evidence is not here")


@pytest.fixture
def rule(tmp_path: Path) -> str:
    folder = tmp_path / "rules"
    folder.mkdir()
    (folder / "R-1.car").write_text(RULE)
    return str(folder)


def lines(*events: Any) -> bytes:
    return b"".join(json.dumps(event).encode() + b"\n" for event in events)


def account(err: str) -> tuple[int, int, int, int]:
    """What became of the records, as the end of a run says: recognised, not recognised, unreadable."""
    last = err
    found = re.search(
        r"([\d,]+) records? = ([\d,]+) recognised \+ ([\d,]+) not recognised \+ ([\d,]+) unreadable",
        last,
    )
    assert found, last
    read, known, unknown, bad = (int(number.replace(",", "")) for number in found.groups())
    return read, known, unknown, bad


# The account, over all shapes of input


def _zip(**members: bytes) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return made.getvalue()


# content, (records, recognised, not recognised, unreadable), exit status, matches
INPUTS: dict[str, tuple[bytes, tuple[int, int, int, int], int, int]] = {
    "lines": (lines(HIT, MISS, UNKNOWN), (3, 2, 1, 0), status.DONE, 1),
    "array": (json.dumps([HIT, HIT, UNKNOWN]).encode(), (3, 2, 1, 0), status.DONE, 2),
    "document": (json.dumps(HIT, indent=4).encode(), (1, 1, 0, 0), status.DONE, 1),
    "bad line": (lines(HIT) + b"{oops\n" + lines(MISS), (3, 2, 0, 1), status.UNREADABLE, 1),
    "not an object": (lines(HIT, 5), (2, 1, 0, 1), status.UNREADABLE, 1),
    "empty": (b"", (0, 0, 0, 0), status.UNREADABLE, 0),
    "blank": (b"\n \n", (0, 0, 0, 0), status.UNREADABLE, 0),
    "binary": (bytes(range(256)) * 40, (0, 0, 0, 0), status.UNREADABLE, 0),
    "gzip": (gzip.compress(lines(HIT, UNKNOWN)), (2, 1, 1, 0), status.DONE, 1),
    "zip": (_zip(a=lines(HIT), b=lines(MISS, UNKNOWN)), (3, 2, 1, 0), status.DONE, 1),
    "byte order mark": (b"\xef\xbb\xbf" + lines(HIT), (1, 1, 0, 0), status.DONE, 1),
    "surrogate": (b'{"a": "\\ud800"}\n' + lines(HIT), (2, 1, 1, 0), status.DONE, 1),
    "only strangers": (lines(UNKNOWN, UNKNOWN), (2, 0, 2, 0), status.BLIND, 0),
}


@pytest.mark.parametrize("name", INPUTS)
@pytest.mark.parametrize("way", ["file", "folder", "stdin"])
def test_the_account_adds_up(
    name: str,
    way: str,
    tmp_path: Path,
    rule: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    content, expected, code, matches = INPUTS[name]
    folder = tmp_path / "evidence"
    folder.mkdir()
    path = folder / "x"
    path.write_bytes(content)
    given_path = {"file": str(path), "folder": str(folder), "stdin": "-"}[way]
    if way == "stdin":
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
    returned = main(["hunt", given_path, "-r", rule])
    out, err = capsys.readouterr()
    read, known, unknown, bad = account(err)
    assert read == known + unknown + bad
    assert (read, known, unknown, bad) == expected
    assert returned == code
    assert len(out.splitlines()) == matches


@pytest.mark.parametrize("cut", [4, 60, -1])
def test_damaged_archives_are_said_and_the_rest_is_read(
    cut: int, tmp_path: Path, rule: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "broken.zip").write_bytes(_zip(a=lines(*[HIT] * 50))[:cut])
    (tmp_path / "good.jsonl").write_bytes(lines(HIT))
    code = main(["hunt", str(tmp_path / "broken.zip"), str(tmp_path / "good.jsonl"), "-r", rule])
    out, err = capsys.readouterr()
    read, known, unknown, bad = account(err)
    assert code == status.UNREADABLE
    assert read == known + unknown + bad
    assert "broken.zip" in err
    assert "good.jsonl" in out


def test_a_folder_in_itself(tmp_path: Path, rule: str, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "loop"
    folder.mkdir()
    (folder / "a.jsonl").write_bytes(lines(HIT))
    (folder / "again").symlink_to(folder)
    assert main(["hunt", str(folder), "-r", rule]) == status.DONE
    out, err = capsys.readouterr()
    assert account(err) == (1, 1, 0, 0)
    assert "CE504" in err
    assert len(out.splitlines()) == 1


def test_strangers_beside_the_evidence_fail_only_when_named(
    tmp_path: Path, rule: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "a.jsonl").write_bytes(lines(HIT))
    (tmp_path / "logs" / "core").write_bytes(b"\x7fELF" + bytes(99))
    assert main(["hunt", str(tmp_path / "logs"), "-r", rule]) == status.DONE
    assert "CE508" in capsys.readouterr().err
    named = [str(tmp_path / "logs" / "a.jsonl"), str(tmp_path / "logs" / "core")]
    assert main(["hunt", *named, "-r", rule]) == status.UNREADABLE
    assert main(["hunt", str(tmp_path / "nowhere"), "-r", rule]) == status.UNREADABLE


# Results


def test_json_lines(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["hunt", str(SAMPLE)]) == status.DONE
    out, err = capsys.readouterr()
    found = [json.loads(line) for line in out.splitlines()]
    by_rule = {match["rule"]["id"]: match for match in found}
    seed = by_rule["CAR-2019-08-001"]
    assert seed["output"] == "lsass_dump"
    assert seed["rule"]["attack"] == ["T1003.001"]
    [event] = seed["events"]
    assert event["source"] == str(SAMPLE)
    assert (event["object"], event["action"]) == ("file", "create")
    assert event["fields"]["file_name"].lower().startswith("lsass")
    original = SAMPLE.read_text().splitlines()[event["record"] - 1]
    assert event["event"] == json.loads(original)
    assert f"\n{len(found)} matches: 2 high, 1 low, 1 informational\n" in err
    assert re.search(r"\n  hosts: fj-dc-01 2, .*\n  rules: .*\n  time: 2024-05-20T07:58", err)


def test_the_same_twice(capsys: pytest.CaptureFixture[str]) -> None:
    first = main(["hunt", str(SAMPLE), "-f", "table"]), capsys.readouterr()
    second = main(["hunt", str(SAMPLE), "-f", "table"]), capsys.readouterr()
    assert first == second


def test_no_raw(capsys: pytest.CaptureFixture[str]) -> None:
    main(["hunt", str(SAMPLE), "--no-raw"])
    for line in capsys.readouterr().out.splitlines():
        assert "event" not in json.loads(line)["events"][0]


def test_a_table_is_grouped_by_rule_and_bounded(
    tmp_path: Path, rule: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes(lines(*[{**HIT, "exe": f"evil{n}.exe"} for n in range(120)]))
    assert main(["hunt", str(path), "-r", rule, "-f", "table"]) == status.DONE
    out = capsys.readouterr().out
    assert out.splitlines()[0].startswith("records of ")
    assert out.splitlines()[2] == "no level  R-1  120 matches"
    assert out.count("evil") == 10
    assert "110 more" in out
    main(["hunt", str(path), "-r", rule, "-f", "table", "--rows", "0"])
    assert capsys.readouterr().out.count("evil") == 120


def test_matches_that_say_the_same_are_one_row(
    tmp_path: Path, rule: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes(lines(*[HIT] * 7))
    main(["hunt", str(path), "-r", rule, "-f", "table", "--rows", "3"])
    out = capsys.readouterr().out
    assert out.count("EVIL.exe") == 1
    assert "×7" in out
    main(["hunt", str(path), "-r", rule, "-f", "table", "--full"])
    assert capsys.readouterr().out.count("EVIL.exe") == 7


def test_csv(tmp_path: Path, rule: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes(lines({**HIT, "exe": 'evil,"\n.exe', "command_line": "=1+1"}, HIT))
    (tmp_path / "rules" / "R-2.car").write_text(
        'a = search Process:Create where command_line = "*1*"\noutput a\n'
    )
    assert main(["hunt", str(path), "-r", rule, "-f", "csv"]) == status.DONE
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out, newline="")))
    assert [row["rule"] for row in rows] == ["R-1", "R-2", "R-1"]
    assert rows[0]["details"].startswith('exe=evil,"\\n.exe ¦ ')
    assert "command_line==1+1" in rows[1]["details"]
    assert json.loads(rows[0]["event"])["command_line"] == "=1+1"
    assert (rows[2]["source"], rows[2]["record"], rows[2]["host"]) == (str(path), "2", "H1")


def test_output_to_a_file(tmp_path: Path, rule: str, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "logs").mkdir()
    path = tmp_path / "logs" / "x.jsonl"
    path.write_bytes(lines(HIT))
    for name, start in [("o.jsonl", '{"time"'), ("o.csv", "time,"), ("o.txt", '{"time"')]:
        assert main(["hunt", str(path), "-r", rule, "-o", str(tmp_path / name)]) == status.DONE
        assert (tmp_path / name).read_text().startswith(start)
    main(["hunt", str(path), "-r", rule, "-f", "table", "-o", str(tmp_path / "o.table")])
    assert "EVIL.exe" in (tmp_path / "o.table").read_text()
    assert capsys.readouterr().out == ""
    main(["hunt", str(path), "-r", rule, "-o", "-"])
    assert capsys.readouterr().out.startswith('{"time"')


def test_evidence_and_rules_are_not_written_over(
    tmp_path: Path, rule: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "logs").mkdir()
    path = tmp_path / "logs" / "x.jsonl"
    path.write_bytes(lines(HIT))
    (tmp_path / "link").symlink_to(path)
    for events, target in [
        (path, path),
        (path, tmp_path / "link"),
        (tmp_path / "logs", tmp_path / "logs" / "out.jsonl"),
        (path, Path(rule) / "R-1.car"),
    ]:
        assert main(["hunt", str(events), "-r", rule, "-o", str(target)]) == status.USAGE
        assert "would write into" in capsys.readouterr().err
    assert path.read_bytes() == lines(HIT)
    assert (Path(rule) / "R-1.car").read_text() == RULE
    assert main(["hunt", str(path), "-r", rule, "-o", str(tmp_path / "no" / "x")]) == status.USAGE


def test_hostile_text_in_matches(
    tmp_path: Path, rule: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "x.jsonl"
    nasty = "evil\x1b[2J\u202e\ud800\x9b31m[red].exe"
    path.write_bytes(lines({**HIT, "exe": nasty, "hostname": "a\nb", "fqdn": ["x", {"y": "\x07"}]}))
    assert main(["hunt", str(path), "-r", rule, "-f", "table"]) == status.DONE
    out = capsys.readouterr().out
    assert "\\u001b[2J" in out
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e\ud800]", out)
    assert main(["hunt", str(path), "-r", rule]) == status.DONE
    [line] = capsys.readouterr().out.splitlines()
    assert json.loads(line)["events"][0]["event"]["exe"] == nasty
    assert main(["hunt", str(path), "-r", rule, "-f", "csv"]) == status.DONE


def test_deep_and_large_values_come_out_as_json(
    tmp_path: Path, rule: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "x.jsonl"
    event = json.dumps(HIT)[:-1]
    path.write_text(f'{event}, "deep": {"[" * 120}{"]" * 120}, "n": 18446744073709551615}}\n')
    assert main(["hunt", str(path), "-r", rule]) == status.DONE
    out = capsys.readouterr().out
    assert "[" * 120 in out
    assert "18446744073709551615" in out


# Exit status


def test_one_broken_rule_among_others(
    tmp_path: Path, rule: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes(lines(HIT))
    broken = Path(rule) / "BROKEN.car"
    broken.write_text("a = search Process:Create where\n  comand_line = \noutput a\n")
    assert main(["hunt", str(path), "-r", rule]) == status.USAGE
    out, err = capsys.readouterr()
    assert json.loads(out)["rule"]["id"] == "R-1"
    assert re.search(re.escape(str(broken)) + r":\d+:\d+", err)
    assert "refused: BROKEN" in err
    assert "\n1 rule loaded, 1 refused" in err


def test_precedence(tmp_path: Path, rule: str, capsys: pytest.CaptureFixture[str]) -> None:
    good, bad = tmp_path / "x.jsonl", tmp_path / "bad.jsonl"
    good.write_bytes(lines(HIT))
    bad.write_bytes(lines(HIT) + b"{\n")
    assert main(["hunt", str(good), "-r", rule, "--fail-on-match"]) == status.FINDINGS
    assert main(["hunt", str(bad), "-r", rule, "--fail-on-match"]) == status.UNREADABLE
    (Path(rule) / "B.car").write_text("x")
    assert main(["hunt", str(bad), "-r", rule, "--fail-on-match"]) == status.USAGE
    assert status.gravest(0, 1, 2, 3, 130) == 130
    assert status.gravest(0, 1, 2, 3) == 2
    assert status.gravest() == 0


@pytest.mark.parametrize(
    "argv",
    [
        [],
        ["nonsense"],
        ["hunt"],
        ["hunt", "x", "--format", "xml"],
        ["hunt", str(SAMPLE), "-m", "no-such-map"],
        ["hunt", str(SAMPLE), "--input", "novalue"],
        ["hunt", str(SAMPLE), "--input", "nobody=1"],
        ["hunt", str(SAMPLE), "-r", "no/such/rules"],
        ["explain", "NO-SUCH-RULE", str(SAMPLE)],
        ["fields", "proces"],
        ["fields", "process/creat"],
        ["fields", "-m", "no-such-map"],
    ],
    ids=" ".join,
)
def test_usage_errors(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(argv) == status.USAGE
    out, err = capsys.readouterr()
    assert out == ""
    assert err
    assert "Traceback" not in err


def test_interrupted(
    rule: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes(lines(HIT, MISS, UNKNOWN))
    real = UnrecognisedShapes.add

    def add(self: Any, event: Any) -> None:
        real(self, event)
        raise KeyboardInterrupt

    monkeypatch.setattr(UnrecognisedShapes, "add", add)
    assert main(["hunt", str(path), "-r", rule, "--fail-on-match"]) == status.INTERRUPTED
    out, err = capsys.readouterr()
    assert account(err) == (3, 2, 1, 0)
    assert "\ninterrupted: 3 records" in err
    assert len(out.splitlines()) == 1


def test_a_reader_that_goes_away() -> None:
    running = subprocess.Popen(
        [sys.executable, "-m", "carengine", "fields", "-m", "sysmon", "-f", "json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(SRC)},
    )
    assert running.stdout is not None
    assert running.stderr is not None
    running.stdout.close()
    assert running.stderr.read() == b""
    running.stderr.close()
    assert running.wait(timeout=30) == status.CLOSED


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no /dev/full")
def test_a_full_disk_is_said_in_words(
    tmp_path: Path, rule: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes(lines(*[HIT] * 1000))
    assert main(["hunt", str(path), "-r", rule, "-o", "/dev/full"]) == status.USAGE
    assert capsys.readouterr().err.endswith("carengine: No space left on device\n")


# Why not


def _why(tmp_path: Path, text: str, *events: Any, more: tuple[str, ...] = ()) -> list[str]:
    (tmp_path / "r.car").write_text(text)
    (tmp_path / "e.jsonl").write_bytes(lines(*events))
    return ["hunt", str(tmp_path / "e.jsonl"), "-r", str(tmp_path / "r.car"), *more]


SYSMON = {
    "Channel": "Microsoft-Windows-Sysmon/Operational",
    "EventID": 11,
    "TargetFilename": "C:\\a",
}


@pytest.mark.parametrize(
    ("text", "event", "said"),
    [
        (RULE, {"object": "file", "action": "create"}, "no event is process/create: r"),
        (RULE, MISS, "the events were there, and the conditions were not true: r"),
        (RULE, UNKNOWN, "1 with the keys what, this"),
        (
            'a = search File:Create where content = "x"\noutput a',
            SYSMON,
            "sysmon.flat gives no content for file/create: r",
        ),
        (
            'a = search File:Create where user = "x"\noutput a',
            SYSMON,
            "user is empty in the one file/create of sysmon.flat: r",
        ),
        (
            'a = search Email:Deliver where subject = "x"\noutput a',
            SYSMON,
            "logs of this shape (sysmon.flat) have no email/deliver: r",
        ),
        (
            RULE,
            {"Channel": "Security\x07", "b": 1},
            "1 with Channel = Security\\u0007; keys Channel, b",
        ),
    ],
)
def test_why_nothing_matched(
    text: str, event: Any, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = main(_why(tmp_path, text, event))
    out, err = capsys.readouterr()
    blind = "0 have a known shape" in err or "not runnable on this data: 1 rule" in err
    assert code == (status.BLIND if blind else status.DONE)
    assert out == ""
    assert said in err
    assert "nothing matched" in err


def test_quiet_says_the_account_only(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(_why(tmp_path, RULE, MISS, UNKNOWN, more=("-q",)))
    assert len(capsys.readouterr().err.splitlines()) == 3


def test_level(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["hunt", str(SAMPLE), "--level", "high"]) == status.DONE
    out, err = capsys.readouterr()
    assert {json.loads(line)["rule"]["level"] for line in out.splitlines()} <= {"high", "critical"}
    assert "below the level" in err
    assert main(_why(tmp_path, RULE, HIT, more=("--level", "low"))) == status.USAGE


def test_input(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = "input who\na = search Process:Create where hostname = who\noutput a"
    assert main(_why(tmp_path, text, HIT)) == status.USAGE
    assert "CE212" in capsys.readouterr().err
    assert main(_why(tmp_path, text, HIT, more=("--input", "who=h1"))) == status.DONE
    assert capsys.readouterr().out.count("\n") == 1
    assert main(_why(tmp_path, text, HIT, more=("--input", "who=a=b"))) == status.DONE


# The other commands


def test_check(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.car").write_text(RULE)
    assert main(["check", str(tmp_path)]) == status.DONE
    (tmp_path / "b.car").write_text(
        "---\nid: B\nfoo: 1\n---\na = search Process:Create\noutput a\n"
    )
    capsys.readouterr()
    assert main(["check", str(tmp_path)]) == status.DONE
    out, err = capsys.readouterr()
    assert "warning[CE303]" in out
    assert "2 usable, 0 refused" in err
    assert main(["check", str(tmp_path), "--strict"]) == status.FINDINGS
    (tmp_path / "c.car").write_text('a = search Process:Create where ex = "1"\noutput a\n')
    capsys.readouterr()
    assert main(["check", str(tmp_path), "-f", "json"]) == status.FINDINGS
    data = json.loads(capsys.readouterr().out)
    assert [one["id"] for one in data["refused"]] == ["c"]
    [error] = [one for one in data["diagnostics"] if one["severity"] == "error"]
    assert (error["code"], error["line"]) == ("CE203", 1)
    assert data["counts"]["error"] == 1


EXAMPLES = """---
id: E
examples:
  - {name: good, match: true, events: [{object: process, action: create, exe: evil.exe}]}
  - {name: wrong, match: false, events: [{object: process, action: create, exe: evil.exe}]}
  - {name: strange, match: true, events: [{nobody: knows}]}
---
"""


def test_test(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "e.car"
    path.write_text(EXAMPLES + RULE)
    assert main(["test", str(path)]) == status.FINDINGS
    out, err = capsys.readouterr()
    assert out.count("error[CE308]") == 2
    assert f"{path}:5:" in out
    assert "no field map recognises the shape of 1 of 1 event" in out
    assert "3 examples: 1 passed, 2 failed" in err
    assert main(["test", str(path), "-f", "json"]) == status.FINDINGS
    data = json.loads(capsys.readouterr().out)
    assert [one["passed"] for one in data["examples"]] == [True, False, False]
    (tmp_path / "broken.car").write_text("x")
    assert main(["test", str(tmp_path)]) == status.USAGE


def test_explain_names_both_sides(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "car-2019-08-001", f"{SAMPLE}:4"]) == status.DONE
    out = capsys.readouterr().out
    assert "it matches" in out
    assert "file_name is basename(TargetFilename)" in out
    assert main(["explain", "CAR-2019-08-001", f"{SAMPLE}:5", "--json"]) == status.DONE
    data = json.loads(capsys.readouterr().out)
    assert (data["record"], data["verdict"]) == (5, False)
    [test] = data["views"][0]["tests"]
    assert [part["verdict"] for part in test["condition"]["parts"]] == [False, False]


def test_explain_finds_records(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "r.car").write_text(RULE)
    (tmp_path / "x.zip").write_bytes(_zip(a=lines(MISS), b=lines(MISS, HIT)))
    rule = str(tmp_path / "r.car")
    assert main(["explain", rule, f"{tmp_path / 'x.zip'}!b:2"]) == status.DONE
    assert "it matches" in capsys.readouterr().out
    assert main(["explain", rule, f"{tmp_path / 'x.zip'}"]) == status.DONE
    assert "it does not match" in capsys.readouterr().out
    assert main(["explain", rule, f"{tmp_path / 'x.zip'}:9"]) == status.UNREADABLE
    assert "read: 3 records, 3 of them" in capsys.readouterr().err
    assert main(["explain", rule, str(tmp_path / "nowhere")]) == status.UNREADABLE
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(lines(UNKNOWN))))
    assert main(["explain", rule, "-"]) == status.DONE
    assert "no field map recognises the event" in capsys.readouterr().out
    (tmp_path / "bad.car").write_text("x = = =")
    assert main(["explain", str(tmp_path / "bad.car"), str(SAMPLE)]) == status.USAGE
    assert "CE10" in capsys.readouterr().err


def test_detect(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["detect", str(SAMPLE), "-f", "json"]) == status.DONE
    out, err = capsys.readouterr()
    [source] = json.loads(out)["sources"]
    assert {shape["fieldmap"] for shape in source["shapes"]} == {
        "sysmon.flat",
        "sysmon.winlogbeat",
        "mordor",
    }
    read, known, unknown, bad = account(err)
    assert read == known + unknown + bad == source["records"]
    path = tmp_path / "x"
    path.write_bytes(lines(HIT, UNKNOWN, {**SYSMON, "EventID": 99999}))
    assert main(["detect", str(path)]) == status.DONE
    out = capsys.readouterr().out
    assert re.search(r"car +process/create +1\n", out)
    assert re.search(r"sysmon.flat +\(no CAR event\) +1\n", out)
    assert "1 with the keys what, this" in out


def test_fields(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fields"]) == status.DONE
    assert len(capsys.readouterr().out.splitlines()) == 15
    assert main(["fields", "Thread:RemoteCreate", "-m", "sysmon.flat", "-f", "json"]) == status.DONE
    data = json.loads(capsys.readouterr().out)
    [entry] = data["maps"][0]["entries"]
    assert (entry["object"], entry["action"]) == ("thread", "remote_create")
    assert entry["fields"]["src_pid"] == "SourceProcessId"
    assert main(["fields", "process", "-m", "mordor"]) == status.DONE
    assert "process_command_line" in capsys.readouterr().out
    assert main(["fields", "UserSession"]) == status.DONE
    assert "login_type" in capsys.readouterr().out
    assert main(["fields", "-m", "sysmon"]) == status.DONE
    assert "file/create" in capsys.readouterr().out


def test_a_compiled_engine_runs_as_its_rules_do(
    tmp_path: Path, rule: str, capsys: pytest.CaptureFixture[str]
) -> None:
    events, file = tmp_path / "events.jsonl", tmp_path / "rules.engine"
    events.write_bytes(lines(HIT, MISS, UNKNOWN))
    (Path(rule) / "broken.car").write_text("a = search\n")
    assert main(["compile", "-r", rule, "-m", "car", "-o", str(file)]) == status.USAGE
    said = capsys.readouterr().err
    assert "refused: broken" in said
    assert f"{file}: 1 rule, 1 refused, 1 field map" in said
    assert main(["hunt", str(events), "--engine", str(file), "-f", "jsonl"]) == 0
    compiled = capsys.readouterr().out
    (Path(rule) / "broken.car").unlink()
    assert main(["hunt", str(events), "-r", rule, "-m", "car", "-f", "jsonl"]) == 0
    assert compiled == capsys.readouterr().out != ""


def test_what_an_engine_file_cannot_be(
    tmp_path: Path, rule: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "rules.engine"
    assert main(["compile", "-r", rule, "-o", str(Path(rule) / "R-1.car")]) == status.USAGE
    assert "would write into" in capsys.readouterr().err
    assert main(["compile", "-r", str(tmp_path / "none"), "-o", str(file)]) == status.USAGE
    assert not file.exists()
    file.write_text("{}")
    assert main(["hunt", str(SAMPLE), "--engine", str(file)]) == status.USAGE
    assert "CE550" in capsys.readouterr().err
    for more in (["-r", rule], ["-m", "car"], ["--input", "a=1"], ["--lenient"]):
        assert main(["hunt", str(SAMPLE), "--engine", str(file), *more]) == status.USAGE
        assert f"{more[0]} has no place beside --engine" in capsys.readouterr().err
    assert main(["hunt", str(SAMPLE), "--engine", str(file), "-o", str(file)]) == status.USAGE
    assert "would write into" in capsys.readouterr().err


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_examples(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([command, "--help"]) == status.DONE
    out = capsys.readouterr().out
    assert "examples:" in out
    assert "exit status:" in out


def test_general_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == status.DONE
    out = capsys.readouterr().out
    assert all(name in out for name in COMMANDS)
    assert main(["--version"]) == status.DONE
    assert carengine.__version__ in capsys.readouterr().out


# Writing


@pytest.mark.parametrize("with_rich", [True, False])
def test_terminals_get_safe_tables(with_rich: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not with_rich:
        for name in ("rich.console", "rich.table", "rich.text"):
            monkeypatch.setitem(sys.modules, name, None)
    out = io.StringIO()
    screen = Screen(out, io.StringIO(), True, True, False, False)
    draw(Table("t", ("a", "b", "empty"), [("[red]x", "語" * 20, "")] * 3), screen)
    assert "[red]x" in out.getvalue()
    assert "\x1b" not in out.getvalue()
    assert "empty" not in out.getvalue()


def _json_values() -> st.SearchStrategy[Any]:
    leaves = (
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(st.characters())
    )
    return st.recursive(
        leaves, lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters()), inner)
    )


@given(_json_values())
def test_all_encoders_say_the_same(value: Any) -> None:
    assert json.loads(encode.json_line(value)) == value
    assert json.loads(jsontext._careful(value)) == value
    assert json.loads(encode.safe_for_terminal(encode.json_line(value))) == value
    try:
        plain = jsontext._standard(value)
    except ValueError:
        return
    assert json.loads(plain) == value


@given(_json_values())
@example({"\u0300" * 5: None})
@example({"a": "\x7f\u202e\u0301"})
def test_json_on_a_terminal_is_text(value: Any) -> None:
    shown = encode.safe_for_terminal(encode.json_line(value)).decode()
    assert carengine.diagnostics.visible(shown) == shown


# Real evidence


def _matching(evidence: Path, rule: Path, capsys: pytest.CaptureFixture[str]) -> list[Any]:
    assert main(["hunt", str(evidence), "-q", "--no-raw", "-r", str(rule)]) == status.DONE
    out, err = capsys.readouterr()
    read, known, unknown, bad = account(err)
    assert read == known + unknown + bad
    return [json.loads(line) for line in out.splitlines()]


TRUE_POSITIVES = sorted((SHARED / "car" / "true_positives").glob("CAR-*.json"))


@needs_shared
@pytest.mark.parametrize("path", TRUE_POSITIVES, ids=lambda path: path.stem)
def test_true_positives(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wanted = "-".join(path.stem.split("-")[:4])
    assert _matching(path, carengine.shipped_rules() / f"{wanted}.car", capsys)


@needs_shared
def test_the_seed_page(capsys: pytest.CaptureFixture[str]) -> None:
    page = SHARED / "car" / "CAR-2019-08-001.md"
    for name in ("CAR-2019-08-001-mordor-01.json", "CAR-2019-08-001-mordor-01-snippet.json"):
        assert len(_matching(SHARED / "car" / "true_positives" / name, page, capsys)) == 1
    for archive in sorted((SHARED / "mordor-2019").glob("*.tar.gz")):
        wanted = int("taskmngr" in archive.name)
        assert len(_matching(archive, page, capsys)) == wanted, archive


def test_explain_shows_how_events_match_together(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rule = tmp_path / "r.car"
    rule.write_text(
        'a = search Process:Create where exe = "a.exe" b = search Process:Create\n'
        "g = group b by hostname within 1 hour n = from g select count(*) as n, max(time) as last\n"
        "j = join (a, n) where n.last <= a.time <= n.last + 1 minute output j, g"
    )
    log = tmp_path / "x.jsonl"
    events = [
        {**HIT, "exe": exe, "time": f"2024-05-01T10:00:0{n}Z"}
        for n, exe in enumerate(["b.exe", "c.exe", "a.exe"])
    ]
    log.write_bytes(lines(*events))
    assert main(["explain", str(rule), f"{log}:3"]) == 0
    shown = capsys.readouterr().out
    assert "it is part of 2 matches" in shown
    assert f"    a: process/create  2024-05-01T10:00:02.000Z  {log}:3" in shown
    assert f"    n: process/create  2024-05-01T10:00:00.000Z  {log}:1" in shown
    assert "    group: n.hostname = H1" in shown
    assert "    columns: n.n = 3, n.last = 2024-05-01T10:00:02.000Z" in shown
    assert main(["explain", str(rule), f"{log}:3", "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert [match["output"] for match in data["matches"]] == ["j", "g"]
    assert data["matches"][0]["group"] == {"n.hostname": "H1"}


def test_options_of_streams(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rule = tmp_path / "r.car"
    rule.write_text(
        "a = search Process:Create b = search Process:Terminate\n"
        "j = join (a, b) where a.hostname = b.hostname\n"
        "now = filter a where time >= now - 1 minute output j, now"
    )
    log = tmp_path / "x.jsonl"
    end = {**HIT, "action": "terminate", "time": "2024-05-01T12:00:00Z"}
    start = {**HIT, "time": "2024-05-01T10:00:00Z"}
    log.write_bytes(lines(start, end))

    def hunt(*options: str) -> list[str]:
        assert main(["hunt", str(log), "-r", str(rule), "-f", "jsonl", *options]) == 0
        return [json.loads(line)["output"] for line in capsys.readouterr().out.splitlines()]

    assert hunt() == ["j"]
    assert hunt("--horizon", "1 hour") == []
    assert hunt("--horizon", "none", "--now", "2024-05-01T10:00:30Z") == ["now", "j"]
    log.write_bytes(lines(end, start))
    main(["hunt", str(log), "-r", str(rule), "-f", "jsonl", "--lateness", "30min"])
    told = capsys.readouterr()
    assert told.out == ""
    assert "CE540" in told.err
    for wrong in (
        ["--lateness", "soon"],
        ["--horizon", "5"],
        ["--now", "x"],
        ["--max-bytes", "1x"],
        ["--max-events", "0"],
        ["--state", "x"],
        ["--follow", "-f", "table"],
    ):
        assert main(["hunt", str(log), "-r", str(rule), *wrong]) == 2
        assert capsys.readouterr().err.startswith("carengine hunt: ")
