"""Versions of rules compared: each edit is called what it is, and the command tells it in every
format."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

import carengine
from carengine.cli import main
from carengine.engine import Engine
from carengine.verify.changes import Change, RuleChange, rule_changes

DETECTION = """    selection:
        Image|endswith: '\\certutil.exe'
        CommandLine|contains|all:
            - ' -f '
            - 'http'
    filter_main_x:
        ParentImage|endswith: '\\msiexec.exe'
    condition: selection and not filter_main_x
"""
FILTER = "    filter_main_x:\n        ParentImage|endswith: '\\msiexec.exe'\n"
REORDERED = "            - 'http'\n            - ' -f '\n"
SOURCE = "category: process_creation\n    product: windows"


def written(detection: str, number: int = 1, source: str = SOURCE, title: str = "A rule") -> str:
    return (
        f"title: {title}\nid: 00000000-0000-4000-8000-{number:012d}\nstatus: test\n"
        f"logsource:\n    {source}\ndetection:\n{detection}level: high\n"
    )


C = Change
EDITS = [
    ("a filter dropped", [(FILTER, ""), (" and not filter_main_x", "")], C.WIDER),
    ("a filter narrowed", [("'\\msiexec.exe'", "'C:\\Windows\\msiexec.exe'")], C.WIDER),
    ("a wildcard moved", [("'http'", "'http*x'")], C.NARROWER),
    ("all removed", [("contains|all", "contains")], C.WIDER),
    ("another case", [("certutil", "CertUtil"), ("'http'", "'HTTP'")], C.UNCHANGED),
    ("cased", [("contains|all", "contains|all|cased")], C.NARROWER),
    ("reordered", [("            - ' -f '\n            - 'http'\n", REORDERED)], C.UNCHANGED),
    ("renamed inside", [("filter_main_x", "filter_a"), ("selection", "s")], C.UNCHANGED),
    ("written as wildcards", [("Image|endswith: '\\", "Image: '*\\")], C.UNCHANGED),
    ("a value added", [("'\\certutil.exe'", "['\\certutil.exe', '\\curl.exe']")], C.WIDER),
    ("another value", [("certutil", "curl")], C.MOVED),
    ("a value swapped", [("'http'", "'ftp'")], C.BOTH),
]


def sets(tmp_path: Path, old: str, new: str, name: str = "rule.yml") -> list[Path]:
    folders = [tmp_path / "old", tmp_path / "new"]
    for folder, text, file in zip(folders, (old, new), ("rule.yml", name), strict=True):
        folder.mkdir()
        if text:
            (folder / file).write_text(text, encoding="utf-8")
    return folders


@pytest.mark.parametrize(("name", "edits", "change"), EDITS)
def test_edits(name: str, edits: list[tuple[str, str]], change: Change, tmp_path: Path) -> None:
    detection = DETECTION
    for old, new in edits:
        assert old in detection
        detection = detection.replace(old, new)
    folders = sets(tmp_path, written(DETECTION), written(detection))
    before, after = map(carengine.load_rules, folders)
    [made] = rule_changes(before, after)
    assert made.change is change
    for witness in made.witnesses:
        seen = [
            bool(list(Engine(rules, fieldmap=witness.fieldmap).run(witness.events)))
            for rules in (before, after)
        ]
        assert seen == [witness.finder == "old", witness.finder == "new"]
    sides = {witness.finder for witness in made.witnesses}
    expected = {C.WIDER: {"new"}, C.NARROWER: {"old"}, C.BOTH: {"old", "new"}}
    assert sides >= expected.get(change, set())


PSEUDOCODE = """processes = search Process:Create
tool = filter processes where (exe = "certutil.exe" and command_line = "*http*"
  and not parent_exe = "msiexec.exe")
output tool
"""
WINDOW = """logins = search UserSession:Login
by_host = group logins by hostname within 1 hour
counted = from by_host select hostname, count(*) as number
many = filter counted where number >= 5
output many
"""
CAR_EDITS = [
    ("a filter dropped", [('\n  and not parent_exe = "msiexec.exe"', "")], C.WIDER),
    ("a wildcard moved", [('"*http*"', '"http*"')], C.NARROWER),
    ("a condition dropped", [(' and command_line = "*http*"', "")], C.WIDER),
    ("another case", [("certutil", "CertUtil"), ("http", "HTTP")], C.UNCHANGED),
    (
        "reordered",
        [
            (
                'exe = "certutil.exe" and command_line = "*http*"',
                'command_line = "*http*" and exe = "certutil.exe"',
            )
        ],
        C.UNCHANGED,
    ),
    ("a stream renamed", [("tool", "found"), ("processes", "p")], C.UNCHANGED),
    (
        "a value added",
        [('exe = "certutil.exe" and', 'exe in ["certutil.exe", "curl.exe"] and')],
        C.WIDER,
    ),
    ("narrowed", [('"*http*"\n', '"*http*" and user = "SYSTEM"\n')], C.NARROWER),
    ("another action", [("Process:Create", "Process:Terminate")], C.MOVED),
    ("another value", [("certutil", "curl")], C.MOVED),
    ("a value swapped", [("http", "ftp")], C.BOTH),
    ("title and level only", [], C.UNCHANGED),
]


@pytest.mark.parametrize(("name", "edits", "change"), CAR_EDITS)
def test_edits_of_pseudocode(
    name: str, edits: list[tuple[str, str]], change: Change, tmp_path: Path
) -> None:
    code = PSEUDOCODE
    for old, new in edits:
        assert old in code
        code = code.replace(old, new)
    heads = [f"---\nid: X\ntitle: {title}\nlevel: {level}\n---\n" for title, level in TITLES]
    texts = [head + text for head, text in zip(heads, (PSEUDOCODE, code), strict=True)]
    [made] = compared(tmp_path, *texts)
    assert made.change is change
    sides = {witness.finder for witness in made.witnesses}
    assert sides >= {C.WIDER: {"new"}, C.NARROWER: {"old"}, C.BOTH: {"old", "new"}}.get(
        change, set()
    )


TITLES = (("A", "low"), ("B", "high"))


def compared(tmp_path: Path, old: str, new: str) -> tuple[RuleChange, ...]:
    files = [tmp_path / "old.car", tmp_path / "new.car"]
    for file, text in zip(files, (old, new), strict=True):
        file.write_text(text, encoding="utf-8")
    before, after = map(carengine.load_rules, files)
    assert not before.refused
    assert not after.refused
    return rule_changes(before, after)


@pytest.mark.parametrize(
    ("old", "new"), [("1 hour", "2 hours"), (">= 5", ">= 6"), ("hostname", "user")]
)
def test_a_window_changed_is_not_unchanged(old: str, new: str, tmp_path: Path) -> None:
    head = "---\nid: X\n---\n"
    assert old in WINDOW
    [made] = compared(tmp_path, head + WINDOW, head + WINDOW.replace(old, new))
    assert made.change is not C.UNCHANGED
    [same] = compared(tmp_path, head + WINDOW, head + WINDOW.replace("logins", "l"))
    assert same.change is C.UNCHANGED


@pytest.mark.parametrize(
    ("edits", "change"),
    [
        ([("title: A rule", "title: Another"), ("level: high", "level: low")], C.UNCHANGED),
        ([("category: process_creation", "category: process_creation # c")], C.UNCHANGED),
        ([("    condition: selection and not filter_main_x", "    condition: selection")], C.WIDER),
    ],
)
def test_edits_beside_the_detection(
    edits: list[tuple[str, str]], change: Change, tmp_path: Path
) -> None:
    text = written(DETECTION)
    for old, new in edits:
        assert old in text
        text = text.replace(old, new)
    folders = sets(tmp_path, written(DETECTION), text)
    [made] = rule_changes(*map(carengine.load_rules, folders))
    assert made.change is change


def test_another_log_source_is_another_rule(tmp_path: Path) -> None:
    other = written(DETECTION, source="category: image_load\n    product: windows")
    [made] = rule_changes(*map(carengine.load_rules, sets(tmp_path, written(DETECTION), other)))
    assert made.change is C.MOVED


def test_a_rule_under_another_id_file_and_title_is_unchanged(tmp_path: Path) -> None:
    other = written(DETECTION, 2, title="Another")
    folders = sets(tmp_path, written(DETECTION), other, "renamed.yml")
    [made] = rule_changes(*map(carengine.load_rules, folders))
    assert made.change is C.UNCHANGED
    assert made.renamed


def test_new_gone_and_refused(tmp_path: Path) -> None:
    folders = sets(
        tmp_path, written(DETECTION), written(DETECTION.replace("http", "x"), 2, title="B"), "b.yml"
    )
    made = rule_changes(*map(carengine.load_rules, folders))
    assert [one.change for one in made] == [C.GONE, C.NEW]
    broken = written(DETECTION.replace("not filter_main_x", "not nothing"))
    (folders[1] / "b.yml").write_text(broken, encoding="utf-8")
    [refused] = rule_changes(*map(carengine.load_rules, folders))
    assert refused.change is C.UNDECIDED
    assert refused.reasons
    (folders[0] / "rule.yml").write_text(broken, encoding="utf-8")
    [same] = rule_changes(*map(carengine.load_rules, folders))
    assert same.change is C.UNCHANGED
    (folders[1] / "b.yml").unlink()
    [gone] = rule_changes(*map(carengine.load_rules, folders))
    assert gone.change is C.GONE


CORRELATION = """title: Many
id: 00000000-0000-4000-8000-000000000009
correlation:
    type: event_count
    rules: base
    group-by: [User]
    timespan: 5m
    condition: {gte: 10}
"""


def test_a_part_of_a_correlation_is_compared_by_itself(tmp_path: Path) -> None:
    base = written(DETECTION).replace("status:", "name: base\nstatus:")
    changed = base.replace("'http'", "'ftp'")
    folders = sets(tmp_path, f"{base}---\n{CORRELATION}", f"{changed}---\n{CORRELATION}")
    made = {one.title: one.change for one in rule_changes(*map(carengine.load_rules, folders))}
    assert made["A rule"] is C.BOTH
    assert made["Many"] is not C.UNCHANGED


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = written(DETECTION.replace("contains|all", "contains"))
    old, new = map(str, sets(tmp_path, written(DETECTION), other))
    assert main(["diff", old, old]) == 0
    capsys.readouterr()
    assert main(["diff", old, new]) == 1
    assert "only the new version finds {" in capsys.readouterr().out
    assert main(["diff", old, new, "-f", "json"]) == 1
    data = json.loads(capsys.readouterr().out)
    assert list(data) == ["rules"]
    [rule] = data["rules"]
    assert set(rule) == {"id", "change", "witnesses"}
    assert rule["change"] == "wider"
    assert main(["diff", old, new, "-f", "markdown", "--fail-on", "gone"]) == 0
    assert "| wider |" in capsys.readouterr().out
    assert main(["diff", old, new, "-f", "sarif"]) == 1
    [run] = json.loads(capsys.readouterr().out)["runs"]
    assert [result["ruleId"] for result in run["results"]] == ["CE965"]
    log = tmp_path / "log.json"
    log.write_text(json.dumps(rule["witnesses"][0]["events"][0]), encoding="utf-8")
    assert main(["diff", old, new, "-f", "json", "--events", str(log)]) == 1
    told = json.loads(capsys.readouterr().out)["events"]
    assert [(one["lost"], one["gained"]) for one in told.values()] == [(0, 1)]
    assert main(["diff", old, str(tmp_path / "none")]) == 2
    assert main(["diff", old, new, "--fail-on", "nothing"]) == 2


def test_git_revisions(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@example.com"]
    subprocess.run([*git, "init", "-q"], check=True)
    rules = tmp_path / "rules"
    rules.mkdir()
    for text in (DETECTION, DETECTION.replace("contains|all", "contains")):
        (rules / "a.yml").write_text(written(text), encoding="utf-8")
        subprocess.run([*git, "add", "."], check=True)
        subprocess.run([*git, "commit", "-q", "-m", "x"], check=True)
    for command in (["HEAD~1:rules", "rules"], ["--git", "HEAD~1", "HEAD", "rules"]):
        assert main(["diff", *command]) == 1
        assert "1 wider" in capsys.readouterr().err
    assert main(["diff", "HEAD~7:rules", "rules"]) == 2
    assert main(["diff", "--git", "--output=x", "HEAD"]) == 2


def test_a_revision_without_files_and_a_name_that_is_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    git = ["git", "-c", "user.email=a@example.com", "-c", "user.name=a"]
    for words in (["init", "-q", "."], ["commit", "-q", "--allow-empty", "-m", "nothing"]):
        subprocess.run([*git, *words], check=True, capture_output=True)
    (tmp_path / "r.car").write_text('a = search Process:Create where exe = "a.exe" output a')
    subprocess.run([*git, "add", "r.car"], check=True, capture_output=True)
    subprocess.run([*git, "commit", "-q", "-m", "rule"], check=True, capture_output=True)
    assert main(["diff", "--git", "HEAD~1", "HEAD"]) == 0
    said = capsys.readouterr()
    assert said.out.startswith("new")
    assert "HEAD~1 holds no files" in said.err
    assert main(["diff", "HEAD~1", "HEAD"]) == 2
    assert "--git" in capsys.readouterr().err


def test_versions_without_a_rule_are_a_mistake(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
    assert main(["diff", str(tmp_path / "old"), str(tmp_path / "new")]) == 2
    assert "CE309" in capsys.readouterr().err
