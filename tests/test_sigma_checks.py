"""What `carengine check` says of Sigma rules beside their logic: places, fixes, configuration."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from carengine.check import Baseline, apply_fixes, check_rules
from carengine.check.sigma import check_sigma
from carengine.cli import main
from carengine.diagnostics import Diagnostic, Source
from carengine.loading import load_rules

GOOD = """\
title: Suspicious Child Process of a Printer
id: 5a30ec2d-9c38-4a59-8f0b-7e0a5a5d1c01
related:
    - id: 0f06a3a5-6a09-413f-8743-e6cf35561297
      type: similar
status: test
description: Detects a shell that a printer's service starts.
references:
    - https://example.org/a/page
author: Somebody
date: 2024-01-02
modified: 2024-02-03
tags:
    - attack.execution
    - attack.t1059.001
    - attack.s0154
    - attack.g0007
    - cve.2021-34527
    - detection.emerging-threats
logsource:
    category: process_creation
    product: windows
detection:
    selection:
        ParentImage|endswith: '\\spoolsv.exe'
        CommandLine|contains|all:
            - ' -e '
            - 'cmd'
    filter_main_a:
        User: 'x'
    condition: selection and not 1 of filter_main_*
falsepositives:
    - Unlikely
level: high
"""
NAME = "rules/proc_creation_win_printer_child.yml"


def found_in(text: str, name: str = NAME) -> list[Diagnostic]:
    return list(check_sigma([Source(name, text)]))


def test_a_good_rule_has_no_finding() -> None:
    assert found_in(GOOD) == []


# What is put in the place of what, the code, and what the fix makes of it.
CHANGES: list[tuple[str, str, str, str | None]] = [
    ("id: 5a30ec2d-9c38-4a59-8f0b-7e0a5a5d1c01\n", "", "CE820", None),
    ("id: 5a30", "id: xa30", "CE820", None),
    ("Printer\n", "Printer.\n", "CE821", "Printer\n"),
    ("title: Susp", "title: Detects Susp", "CE821", None),
    ("title: Susp", "title: " + "Very " * 30 + "Susp", "CE821", None),
    ("Child Process", "Child process", "CE822", None),
    ("status: test\n", "", "CE824", None),
    ("Detects a shell that a printer's service starts.", "A shell", "CE825", None),
    ("date: 2024-01-02", "date: 2024/1/2", "CE826", "date: 2024-01-02"),
    ("date: 2024-01-02", "date: 2024-13-02", "CE826", None),
    ("modified: 2024-02-03", "modified: 2023-02-03", "CE826", None),
    ("- https://example.org/a/page", "- see the page", "CE827", None),
    ("    - https", "    - https://example.org/a/page\n    - https", "CE827", "    - https"),
    ("https://example.org/a/page", "https://attack.mitre.org/techniques/T1003/", "CE828", None),
    ("https://example.org/a/page", "https://github.com/a/b/blob/main/c.md", "CE828", None),
    ("attack.execution", "attack.Privilege_Escalation", "CE829", "attack.privilege-escalation"),
    ("cve.2021-34527", "cve.2021.34527", "CE829", "cve.2021-34527"),
    ("cve.2021-34527", "cve.21-1", "CE829", None),
    ("cve.2021-34527", "tlp.purple", "CE829", None),
    ("cve.2021-34527", "car.2016-4-5", "CE829", None),
    ("attack.execution", "execution", "CE829", None),
    ("attack.execution", "attakc.execution", "CE829", None),
    ("    - cve", "    - attack.execution\n    - cve", "CE829", "    - cve"),
    ("attack.t1059.001", "attack.t0999", "CE830", None),
    ("attack.execution", "attack.executing", "CE830", None),
    ("attack.g0007", "attack.g0000", "CE830", None),
    ("attack.t1059.001", "attack.t1086", "CE831", "attack.t1059.001"),
    ("attack.t1059.001", "attack.t9999", "CE832", None),
    ("- Unlikely", "- None", "CE833", None),
    ("- Unlikely", "- pentest", "CE833", None),
    ("- Unlikely", "- some admins do", "CE833", "- Some admins do"),
    ("category: process_creation", "category: proces_creation", "CE837", None),
    ("product: windows", "product: windoze", "CE837", None),
    ("        User: 'x'", "        user: 'x'", "CE839", None),
    ("CommandLine|contains|all", "ComandLine|contains|all", "CE839", None),
    ("type: similar", "type: alike", "CE840", None),
    ("0f06a3a5-6a09-413f-8743-e6cf35561297", "5a30ec2d-9c38-4a59-8f0b-7e0a5a5d1c01", "CE840", None),
    ("selection and not 1 of filter_main_*", "selection", "CE842", None),
    ("selection and not 1 of filter_main_*", "all of them", "CE843", None),
    ("ParentImage|endswith:", "ParentImage|endswith|all:", "CE844", "ParentImage|endswith:"),
    ("ParentImage|endswith:", "ParentImage|endswith|endswith:", "CE845", "ParentImage|endswith:"),
    ("ParentImage|endswith:", "ParentImage|endswith|contains:", "CE845", None),
    ("CommandLine|contains|all:", "CommandLine|all:", "CE845", None),
    ("User: 'x'", "User|contains|base64offset: 'x'", "", None),
    ("User: 'x'", "User|base64offset: 'x'", "CE845", None),
    ("User: 'x'", "User: '*x*'", "CE846", "User|contains: 'x'"),
    ("User: 'x'", "User: ['*x', '*y']", "CE846", "User|endswith: ['x', 'y']"),
    ("User: 'x'", "User: ['*x', 'y*']", "", None),
    ("User: 'x'", "User: 'C:\\\\*'", "", None),
    ("User: 'x'", "User|contains: 'a**b'", "CE847", "User|contains: 'a*b'"),
    ("User: 'x'", "User|contains: 'a\\\\**b'", "CE847", "User|contains: 'a\\\\*b'"),
    ("User: 'x'", "User: 'a\\*'", "CE848", None),
    ("User: 'x'", "ProcessId: '17'", "CE849", None),
    ("User: 'x'", 'User: "a\\bc"', "CE850", None),
    ("User: 'x'", "User: ['x']", "CE851", "User: 'x'"),
    ("User: 'x'", "User:\n            - 'x'", "CE851", "User: 'x'"),
    ("User: 'x'", "User:\n            - 'x' # why", "CE851", "User: 'x' # why"),
    ("falsepositives:", "false_positives:", "CE852", None),
    ("references:", "refrences:", "CE852", None),
    ("author: Somebody", "author: [Somebody]", "CE853", None),
    (
        "            - 'cmd'",
        "            - 'cmd'\n            - 'CMD'",
        "CE854",
        "            - 'cmd'",
    ),
    ("    - cve", "    -\n    - cve", "CE854", "    - cve"),
]


@pytest.mark.parametrize(("old", "new", "code", "better"), CHANGES)
def test_findings_and_fixes(old: str, new: str, code: str, better: str | None) -> None:
    assert old in GOOD
    text = GOOD.replace(old, new, 1)
    found = found_in(text)
    codes = [item.code.id for item in found]
    assert (code in codes) if code else codes == [], found
    for item in found:
        assert item.span is not None
        assert item.severity.value != "error"
    mended = apply_fixes(text, [item for item in found if item.code.id == code])
    if better is None:
        assert mended == text
    else:
        assert mended == GOOD.replace(old, better, 1)
        again = [item.code.id for item in found_in(mended)]
        assert code not in again


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("rules/x.yml", "CE834"),
        ("rules/Proc_Creation_win_a_b.yml", "CE834"),
        ("rules/proc_creation_win_a b.yml", "CE834"),
        ("rules/proc_creation_lnx_a_child.yml", "CE835"),
        ("a.zip!rules/proc_creation_win_a_child.yml", ""),
        ("<text>", ""),
    ],
)
def test_file_names(name: str, code: str) -> None:
    assert [item.code.id for item in found_in(GOOD, name)] == ([code] if code else [])


def test_findings_about_several_rules() -> None:
    other = GOOD.replace("5a30ec2d", "6a30ec2d")
    found = check_sigma([Source("a/" + NAME, GOOD), Source("b/" + NAME, other)])
    assert [item.code.id for item in found] == ["CE841", "CE823", "CE836", "CE841"]


def test_a_document_of_a_global_action_is_checked_once() -> None:
    parts = GOOD.split("logsource:")
    text = f"action: global\n{parts[0]}---\nlogsource:{parts[1]}---\nlogsource:{parts[1]}"
    assert [item.code.id for item in found_in(text)] == []


def test_sysmon_alone_is_asked_for_a_category() -> None:
    text = GOOD.replace("category: process_creation", "service: sysmon").replace(
        "        User: 'x'", "        EventID: 1"
    )
    assert "CE838" in [item.code.id for item in found_in(text)]


HOSTILE = [
    "",
    "detection:",
    "detection: {a: {b: [{c: d}, [e]]}, condition: [a, {}]}",
    "tags: {a: b}",
]


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize(
    "key", ["title", "tags", "references", "related", "date", "falsepositives"]
)
@pytest.mark.parametrize("value", ["", "[]", "{}", "[[a]]", "[{a: b}]", "5", "'\\x'", "[null]"])
def test_no_text_breaks_a_check(text: str, key: str, value: str) -> None:
    for item in found_in(f"{text}\n{key}: {value}\ndetection2: x\nfilter: {{}}\n"):
        assert item.code.id != "CE312", item


# The command


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rules").mkdir()
    text = GOOD.replace("Printer\n", "Printer.\n").replace("User: 'x'", "User: '*x*' # who")
    (tmp_path / NAME).write_text(text.replace("Child Process", "child Process"), encoding="utf-8")
    return tmp_path


def codes_of(out: str) -> list[str]:
    return [item["code"] for item in json.loads(out)["diagnostics"]]


def test_options_choose_findings(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "rules", "-f", "json"]) == 0
    assert codes_of(capsys.readouterr().out) == ["CE821", "CE822", "CE846"]
    assert main(["check", "rules", "-f", "json", "--disable", "CE82"]) == 0
    shown = capsys.readouterr()
    assert codes_of(shown.out) == ["CE846"]
    assert "2 findings of codes that are not asked for" in shown.err
    assert main(["check", "rules", "--only", "CE846", "--severity", "CE846=error"]) == 1
    assert "error[CE846]" in capsys.readouterr().out
    (folder / "carengine.toml").write_text(
        '[check]\ndisable = ["CE846"]\n[check.severity]\nCE822 = "warning"\n', encoding="utf-8"
    )
    assert main(["check", "rules", "-f", "json", "--strict"]) == 1
    assert codes_of(capsys.readouterr().out) == ["CE821", "CE822"]
    for text in (
        "[check]\nx = 1",
        "[check]\ndisable = 'CE1'",
        "check = 1",
        "[",
        "[check.severity]\nCE1='x'",
    ):
        (folder / "carengine.toml").write_text(text, encoding="utf-8")
        assert main(["check", "rules"]) == 2
        assert "carengine.toml" in capsys.readouterr().err
    (folder / "carengine.toml").unlink()
    assert main(["check", "rules", "--severity", "CE822"]) == 2
    assert main(["check", "rules", "--disable", "E1"]) == 2


def test_a_baseline_shows_what_is_new(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rule, known = folder / NAME, "known.json"
    assert main(["check", "rules", "--baseline", known]) == 2
    assert main(["check", "rules", "--write-baseline"]) == 2
    assert main(["check", "rules", "--baseline", known, "--write-baseline"]) == 0
    capsys.readouterr()
    rule.write_text("# a line more\n" + rule.read_text().replace("Printer.", "Printer"))
    (folder / "rules/proc_creation_win_another.yml").write_text(
        GOOD.replace("5a30ec2d", "6a30ec2d").replace("Printer\n", "Mouse.\n")
    )
    assert main(["check", "rules", "-f", "json", "--baseline", known]) == 0
    shown = capsys.readouterr()
    assert codes_of(shown.out) == ["CE821", "CE841", "CE841"]
    assert "2 findings in the baseline are not shown; 1 of it are gone" in shown.err
    assert "rules/proc" in (folder / known).read_text()
    assert len(Baseline.read(known).counts) == 3
    for text in ("", "{}", "[1]", '{"baseline": 1, "findings": [5]}', "[" * 100_000):
        (folder / known).write_text(text)
        assert main(["check", "rules", "--baseline", known]) == 2


def test_fix_keeps_comments_and_tells(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "rules", "--fix"]) == 0
    err = capsys.readouterr().err
    text = (folder / NAME).read_text()
    assert text == GOOD.replace("User: 'x'", "User|contains: 'x' # who").replace(
        "Child Process", "child Process"
    )
    assert "CE821: leave the full stop out" in err
    assert "CE846: write User|contains" in err


@pytest.mark.parametrize(
    "detection",
    [
        "    sel: {User: '*x*', User|contains: 'y'}",
        "    sel: {User|contains|all: x, User|contains: [y, z]}",
        "    sel: {User|contains|contains: x, User|contains: y}",
        # Two fixes of one round that would write the same key.
        "    sel: {User|contains|all: x, User: '*y*'}",
        "    sel: {User: ['*x*'], User|contains|contains: y}",
        "    a b: {User: x}",
        "    not: {User: x}",
        "    a-b: {User: x}",
    ],
)
def test_a_fix_leaves_a_rule_usable(detection: str, tmp_path: Path) -> None:
    condition = "sel" if "sel" in detection else "not 1 of them"
    head = GOOD[: GOOD.index("detection:")]
    text = f"{head}detection:\n{detection}\n    condition: {condition}\nlevel: low\n"
    better = text
    for _ in range(5):
        better = apply_fixes(better, found_in(better))
    path = tmp_path / "proc_creation_win_fixed.yml"
    for one in (text, better):
        path.write_text(one, encoding="utf-8")
        rules = load_rules(path)
        assert (len(rules), rules.refused) == (1, ()), one


# Logic

LOGIC = r"""
title: A Rule
id: 5a30ec2d-9c38-4a59-8f0b-7e0a5a5d1c09
logsource: {product: windows, category: process_creation}
detection:
    selection:
        Image|endswith:
            - '\cmd.exe'
            - '\a\cmd.exe'  # the same
            - '\b.exe'
        CommandLine|contains: ['foo', 'foobar', 'x']
    never:
        ParentImage: 'a'
        ParentImage|endswith: 'b'
    any_user:
        User: '*'
    filter_b:
        Image|endswith: ['\cmd.exe', '\b.exe']
    condition: CONDITION
"""


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        (
            "selection",
            {
                (8, "CE708", r"`Image|endswith: '\a\cmd.exe'` adds nothing: "
                 r"`Image|endswith: '\cmd.exe'` covers it"),
                (10, "CE708", "`CommandLine|contains: 'foobar'` adds nothing: "
                 "`CommandLine|contains: 'foo'` covers it"),
            },
        ),
        (
            "any_user and not selection",
            {
                (8, "CE708", r"`Image|endswith: '\a\cmd.exe'` adds nothing: "
                 r"`Image|endswith: '\cmd.exe'` covers it"),
                (10, "CE708", "`CommandLine|contains: 'foobar'` adds nothing: "
                 "`CommandLine|contains: 'foo'` covers it"),
            },
        ),
        (
            "filter_b and not any_user and any_user",
            {(15, "CE701", "`not User: '*'` and `User: '*'` are never true of the same event")},
        ),
    ],
)  # fmt: skip
def test_logic_is_told_in_sigmas_words(
    tmp_path: Path, condition: str, expected: set[tuple[int, str, str]]
) -> None:
    path = tmp_path / "proc_creation_win_logic.yml"
    text = LOGIC.lstrip().replace("CONDITION", condition)
    path.write_text(text, encoding="utf-8")
    found = check_rules(load_rules(path))
    said = {(item.span.line, item.code.id, item.message) for item in found if item.span}
    assert {one for one in said if one[1] != "CE709"} == expected
    mended = apply_fixes(text, found)
    assert ("foobar" in mended) == ("CE708" not in {code for _, code, _ in said})
    assert "# the same" in mended
