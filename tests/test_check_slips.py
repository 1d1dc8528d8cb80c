"""What people get wrong who know what they want: each slip, its near misses and its fix."""

from __future__ import annotations

from pathlib import Path

import pytest

from carengine import CarError, load_rules, parse_rule
from carengine.check import apply_fixes, check_rule, check_rules
from carengine.check.connectives import Alternative, misleading
from carengine.cli import main, status
from carengine.diagnostics import Diagnostic

SLIPS = ("CE704", "CE731", "CE732", "CE733", "CE734", "CE735", "CE736")


def of(condition: str, search: str) -> str:
    return f"a = search {search}\nb = filter a where {condition}\noutput b\n"


def slips(text: str) -> list[Diagnostic]:
    return [one for one in check_rule(parse_rule(text)) if one.code.id in SLIPS]


# Each with the kind of event, the condition, the code, and what the fixes make of the condition
# (None: nothing that an edit can mend).
WRONG = [
    (
        "Process:Create",
        r'image_path = "C:\\Windows\\a.exe"',
        "CE731",
        r'image_path = "C:\Windows\a.exe"',
    ),
    ("Process:Create", r'image_path = "*\\Temp\\*"', "CE731", r'image_path = "*\Temp\*"'),
    ("Process:Create", r'image_path = "*\\cmd.exe"', "CE731", r'image_path = "*\cmd.exe"'),
    ("Registry:Add", r'key contains "Run\\Once"', "CE731", r'key contains "Run\Once"'),
    ("File:Create", 'extension = "exe"', "CE731", 'extension = ".exe"'),
    ("File:Create", 'extension in [".exe", "dll"]', "CE731", 'extension in [".exe", ".dll"]'),
    ("Process:Create", 'image_path = "cmd.exe"', "CE731", r'image_path = "*\cmd.exe"'),
    ("File:Create", 'file_path != "a.dll"', "CE731", r'file_path != "*\a.dll"'),
    (
        "Process:Create",
        r'exe = "C:\Windows\cmd.exe"',
        "CE704",
        r'image_path = "C:\Windows\cmd.exe"',
    ),
    (
        "Process:Create",
        r'command_line match "C:\Windows\aa"',
        "CE733",
        r'command_line match "C:\\Windows\\aa"',
    ),
    (
        "Process:Create",
        r'image_path match "\\x\system32\\"',
        "CE733",
        r'image_path match "\\x\\system32\\"',
    ),
    ("Process:Create", r'image_path match "\temp\\a"', "CE733", r'image_path match "\\temp\\a"'),
    ("Process:Create", 'pid = "abc"', "CE732", None),
    ("Process:Create", "command_line > 5", "CE732", None),
    ("Flow:Message", 'dest_port in ["http", "443"]', "CE732", None),
    ("Flow:Message", 'dest_ip = "300.1.2.3"', "CE731", None),
    ("Flow:Message", 'dest_ip = "example.com"', "CE731", None),
    ("Process:Create", 'integrity_level = "admin"', "CE731", None),
    ("Process:Create", 'integrity_level = "*elevated*"', "CE731", None),
    ("Process:Create", 'md5_hash = "123"', "CE731", None),
    ("Process:Create", 'sha256_hash = "5eb63bbbe01eeed093cb22bb8f5acdc3"', "CE731", None),
    ("Process:Create", 'md5_hash = "zeb63bbbe01eeed093cb22bb8f5acdc3"', "CE731", None),
    (
        "Process:Create",
        'md5_hash = "MD5=5eb63bbbe01eeed093cb22bb8f5acdc3"',
        "CE731",
        'md5_hash = "5eb63bbbe01eeed093cb22bb8f5acdc3"',
    ),
    ("Process:Create", 'exe = "%cmd%"', "CE734", 'exe = "*cmd*"'),
    ("Process:Create", 'command_line = "%-enc %"', "CE734", 'command_line = "*-enc *"'),
    ("Process:Create", 'image_path = "C:/Windows/*"', "CE731", r'image_path = "C:\Windows\*"'),
    (
        "Process:Create",
        'image_path = "*/Windows/Temp/*"',
        "CE731",
        r'image_path = "*\Windows\Temp\*"',
    ),
    (
        "Process:Create",
        'exe = "a" or exe = "b" and pid = 1',
        "CE735",
        'exe = "a" or (exe = "b" and pid = 1)',
    ),
    ("Process:Create", "exe = exe", "CE736", None),
    (
        "Process:Create",
        r'command_line = "*C:\\Users\\Public\\*"',
        "CE731",
        r'command_line = "*C:\Users\Public\*"',
    ),
    (
        "Process:Create",
        r'command_line contains "\\Temp\\"',
        "CE731",
        r'command_line contains "\Temp\"',
    ),
    (
        "Process:Create",
        r'image_path match "\\temp\data\run.exe"',
        "CE733",
        r'image_path match "\\temp\\data\\run.exe"',
    ),
    ("Process:Create", 'pid > "ten"', "CE732", None),
    ("Process:Create", "exe = 5", "CE732", None),
    ("Process:Create", "integrity_level = 5", "CE732", None),
    ("Process:Create", "md5_hash = 12345", "CE731", None),
    ("Process:Create", r'image_path = "%\cmd.exe"', "CE734", r'image_path = "*\cmd.exe"'),
    ("Process:Create", 'exe = "cmd%"', "CE734", 'exe = "cmd*"'),
    ("File:Create", 'file_path = "*/Temp/*"', "CE731", r'file_path = "*\Temp\*"'),
    ("File:Create", 'file_path = "*/x/a.dll"', "CE731", r'file_path = "*\x\a.dll"'),
    ("Registry:Add", 'key = "HKLM/Software/*"', "CE731", r'key = "HKLM\Software\*"'),
]

RIGHT = [
    ("Process:Create", r'image_path = "C:\Windows\a.exe"'),
    ("Process:Create", r'image_path = "\\server\share\a.exe"'),
    ("Process:Create", r'image_path = "*\\server\share\*"'),
    ("Process:Create", r'command_line = "*\\server\share*" and command_line contains "a\\b"'),
    ("File:Create", 'extension in [".exe", "*xe", "?dll", "*"]'),
    (
        "Process:Create",
        'image_path = "*cmd.exe" or image_path = "System" or image_path = "Registry"',
    ),
    ("Process:Create", 'image_path = "/usr/bin/bash" or image_path = "*/windows"'),
    ("Process:Create", 'exe = "cmd.exe" and parent_exe = "powershell*"'),
    ("Process:Create", r'command_line match "\bcmd\s+/c" and command_line match "^\w+\.exe$"'),
    ("Process:Create", r'command_line match "C:\\Windows\\System32" and exe match "\d\S\W"'),
    ("Process:Create", r'command_line match "a\s+Windows" and command_line match "\sw"'),
    ("Process:Create", 'pid = "0x3e7" and ppid = 4 and pid != "12*" and ppid > "7"'),
    ("Flow:Message", 'dest_ip = "10.*" and src_ip = "fe80::1" and src_ip in 10.0.0.0/8'),
    (
        "Process:Create",
        'integrity_level in ["High", "SYSTEM", "S-1-16-12288", "*medium*", "0x3000"]',
    ),
    ("Process:Create", 'md5_hash = "5eb63bbbe01eeed093cb22bb8f5acdc3" and md5_hash = "5eb6*"'),
    ("Process:Create", 'command_line = "%COMSPEC%" and command_line contains "%temp%"'),
    ("Process:Create", 'command_line = "*%1%*" and user = "%%1936"'),
    ("Process:Create", 'command_line = "*C:/Windows/*" and command_line contains "/c"'),
    ("Process:Create", 'exe = "a" or (exe = "b" and pid = 1)'),
    ("Process:Create", 'exe = "a" and pid = 1 or exe = "b" and pid = 2'),
    ("Process:Create", '\n  exe = "a" or\n  exe = "b" and pid = 1 or\n  exe = "c"'),
    ("Process:Create", "exe = parent_exe and time > now - 5 minutes"),
    ("Process:Create", r'command_line contains "\\\\a\\b" and command_line contains "a\\b"'),
    ("Process:Create", r'command_line = "*C:\Windows\\*" and command_line contains "100%"'),
    ("Process:Create", r'command_line = "*like \'%carbon%\'*" and command_line contains "%esc%"'),
    ("Process:Create", r'image_path match "\\python3\d\.exe" and image_path match "a\sb\w+c"'),
    ("Process:Create", "integrity_level = 12288 and pid = 5 and command_line = 5"),
    ("File:Create", 'file_path = "/tmp/a.exe" and file_path = "*/tmp/*"'),
]

# What is refused, with what its fix makes of it (None: the advice alone).
REFUSED = [
    (
        r'a = search Process:Create where exe match "C:\Windows\cmd.exe" output a',
        "CE208",
        r'a = search Process:Create where exe match "C:\\Windows\\cmd.exe" output a',
    ),
    (r'a = search Process:Create where exe match "a(" output a', "CE208", None),
    (
        "a = search Process:Create b = search File:Create c = join (a, b) where pid = pid output c",
        "CE207",
        "a = search Process:Create b = search File:Create c = join (a, b) where "
        "a.pid = b.pid output c",
    ),
    (
        "a = search Process:Create where time > now - 300 output a",
        "CE209",
        "a = search Process:Create where time > now - 300 seconds output a",
    ),
    (
        "a = search Process:Create b = group a by user within 5 mim where count > 5 output b",
        "CE101",
        "a = search Process:Create b = group a by user within 5 minutes where count > 5 output b",
    ),
]


@pytest.mark.parametrize(("text", "code", "fixed"), REFUSED)
def test_slips_that_are_errors(text: str, code: str, fixed: str | None) -> None:
    with pytest.raises(CarError) as refused:
        parse_rule(text)
    found = list(refused.value.diagnostics)
    assert [one.code.id for one in found] == [code]
    assert apply_fixes(text, found, safe_only=False) == (fixed or text)


@pytest.mark.parametrize(("search", "condition", "code", "fixed"), WRONG)
def test_slips_are_told_and_mended(
    search: str, condition: str, code: str, fixed: str | None
) -> None:
    text = of(condition, search)
    found = slips(text)
    assert [one.code.id for one in found] == [code]
    [one] = found
    assert one.span is not None
    assert one.span.text in condition
    assert one.fix is not None
    assert one.fix.message
    mended = apply_fixes(text, found, safe_only=False)
    assert mended == (of(fixed, search) if fixed else text)
    if fixed:
        assert not slips(mended)
    if code != "CE735":
        # What is meant is not what is said: only somebody who asks for it gets such a fix.
        assert apply_fixes(text, found) == text


@pytest.mark.parametrize(("search", "condition"), RIGHT)
def test_what_is_right_is_left_alone(search: str, condition: str) -> None:
    assert slips(of(condition, search)) == []


def test_a_named_list_is_mended_where_it_is_written() -> None:
    text = of("extension in kinds", "File:Create").replace("b =", 'kinds = ["exe", ".dll"]\nb =')
    assert '[".exe", ".dll"]' in apply_fixes(text, slips(text), safe_only=False)


def test_a_join_with_itself_names_the_other_stream() -> None:
    text = (
        "a = search Process:Create\nb = search File:Create\n"
        "c = join (a, b) where a.pid = a.pid and a.time < b.time < a.time + 1 minute\noutput c\n"
    )
    [found] = slips(text)
    assert found.code.id == "CE736"
    mended = apply_fixes(text, [found], safe_only=False)
    assert "a.pid = b.pid" in mended
    assert not slips(mended)


def test_a_slip_is_told_once() -> None:
    """Not as an expression that matches nothing as well, with another reason."""
    found = check_rule(parse_rule(of(r'image_path match "C:\Windows\bits.exe"', "Process:Create")))
    assert [one.code.id for one in found] == ["CE733"]


@pytest.mark.parametrize(
    ("length", "unit"),
    [
        ("time > now - 5 mintes", "minutes"),
        ("time > now - 1 dai", None),
        ("time > now - 3 dayz", "days"),
        ("time > now - 1 secnd and pid = 1", "second"),
    ],
)
def test_units_of_time(length: str, unit: str | None) -> None:
    with pytest.raises(CarError) as raised:
        parse_rule(of(length, "Process:Create"))
    [found] = raised.value.diagnostics
    assert (f"did you mean `{unit}`?" in found.message) is (unit is not None)
    if unit is not None:
        assert found.fix is not None
        [edit] = found.fix.edits
        text = of(length, "Process:Create")
        parse_rule(text[: edit.span.start] + edit.text + text[edit.span.end :])


def test_units_behind_within_and_months() -> None:
    for text, said in (
        ("a = search Process:Create b = group a by pid within 5 minuts output b", "`minutes`"),
        ("a = search Process:Create where time > now - 2 months output a", "no unit of time"),
    ):
        with pytest.raises(CarError) as raised:
            parse_rule(text)
        assert said in raised.value.diagnostics[0].message


# Sigma

SIGMA = r"""title: Something
logsource: {category: process_creation, product: windows}
detection:
  a:
    %s
  condition: a
"""

WRONG_SIGMA = [
    ("Image: cmd.exe", "CE731", r"Image|endswith: '\cmd.exe'"),
    ("Image: [cmd.exe, 'C:\\a.exe']", "CE731", None),
    (r"OriginalFileName: '\cmd.exe'", "CE704", "OriginalFileName: 'cmd.exe'"),
    (r"OriginalFileName: 'C:\a\cmd.exe'", "CE704", None),
    (r"Image: 'C:\\\\Windows\\\\a.exe'", "CE731", r"Image: 'C:\\Windows\\a.exe'"),
    ("Image|startswith: 'C:/Windows/'", "CE731", "Image|startswith: 'C:\\Windows\\'"),
    (r"CommandLine|re: 'C:\Windows\aa'", "CE733", r"CommandLine|re: 'C:\\Windows\\aa'"),
    ("IntegrityLevel: admin", "CE731", None),
    ("Hashes|contains: MD5=12345z", "CE731", None),
    ("ProcessId: abc", "CE732", None),
    ("CommandLine: '%whoami%'", "CE734", "CommandLine: '*whoami*'"),
]


def sigma_slips(folder: Path, text: str) -> list[Diagnostic]:
    pytest.importorskip("sigma")
    path = folder / "rule.yml"
    path.write_text(text, encoding="utf-8")
    return [one for one in check_rules(load_rules(path)) if one.code.id in SLIPS]


@pytest.mark.parametrize(("item", "code", "fixed"), WRONG_SIGMA)
def test_slips_in_sigma_rules(tmp_path: Path, item: str, code: str, fixed: str | None) -> None:
    text = SIGMA % item
    [found] = sigma_slips(tmp_path, text)
    assert found.code.id == code
    mended = apply_fixes(text, [found], safe_only=False)
    assert mended == (SIGMA % fixed if fixed else text)
    if fixed:
        assert not sigma_slips(tmp_path, mended)


@pytest.mark.parametrize(
    "item",
    [
        r"Image|endswith: '\cmd.exe'",
        "Image: [System, Registry, MemCompression]",
        r"Image: 'C:\\Windows\\a.exe'",
        r"Image|startswith: '\\\\server\share'",
        "OriginalFileName: [Cmd.Exe, 'a*']",
        r"CommandLine|re: '\bcmd\s+/c\s+C:\\Windows'",
        "IntegrityLevel: [System, S-1-16-16384]",
        "Hashes|contains: [MD5=5eb63bbbe01eeed093cb22bb8f5acdc3, 'IMPHASH=5eb6']",
        "CommandLine|contains: ['%temp%', 'C:/Windows']",
    ],
)
def test_right_sigma_rules(tmp_path: Path, item: str) -> None:
    assert sigma_slips(tmp_path, SIGMA % item) == []


def test_brackets_in_a_sigma_condition(tmp_path: Path) -> None:
    text = (SIGMA % "Image: a").replace(
        "  condition: a", "  b: {Image: b}\n  c: {User: c}\n  condition: a or b and not c"
    )
    [found] = sigma_slips(tmp_path, text)
    assert found.code.id == "CE735"
    mended = apply_fixes(text, [found])
    assert "condition: a or (b and not c)" in mended
    assert not sigma_slips(tmp_path, mended)


def test_the_way_a_condition_is_written_says_how_it_is_read() -> None:
    def alternatives(text: str) -> list[Alternative]:
        made, start = [], 0
        for part in text.split(" or "):
            operands = tuple(part.strip().split(" and "))
            made.append(Alternative(start, start + len(part), operands, len(operands)))
            start += len(part) + 4
        return made

    for text, told in [
        ("a or b and c", 1),
        ("a and b or c and d", 0),
        ("a and b and c or d and e", 2),
        ("selection1 or selection2a and selection2b", 0),
        ("selection1 or selection2 and filter", 1),
        ("a or b", 0),
        ("a and b", 0),
    ]:
        assert len(misleading(alternatives(text), text)) == told, text


def test_fix_says_what_it_left_and_why(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rule = tmp_path / "rule.car"
    text = of('image_path = "cmd.exe" and exe contains "*x*" and pid = "abc"', "Process:Create")
    rule.write_text(text)
    assert main(["check", str(rule), "--fix"]) == status.DONE
    said = capsys.readouterr().err
    assert "left: 1 finding: the fix changes what the rule means" in said
    assert "left: 1 finding: more than an edit has to be done" in said
    fixed = rule.read_text()
    assert 'contains "x"' in fixed
    assert '"cmd.exe"' in fixed
    assert main(["check", str(rule), "--fix", "--unsafe-fixes"]) == status.DONE
    assert r'image_path = "*\cmd.exe"' in rule.read_text()
    assert "the fix changes" not in capsys.readouterr().err
