"""Other spellings of an event mean the same, and CAR's rules find their true positives in them."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import carengine
from carengine.commandline import split_command_line
from carengine.verify import spellings
from carengine.verify.command_changes import CommandLine

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "car_spellings.py"
SYSTEM = "C:\\Windows\\System32\\"

# A line, a kind of change, and what comes of it.
TABLE = [
    ("net user x /add", "net1 for net", "net1 user x /add"),
    ("net user x /add", "abbreviated or long names of options", "net user x /ad"),
    ("net user x /add", "options in another order", "net user /add x"),
    ("reg query HKLM\\A /s", "the other name of the hive", "reg query HKEY_LOCAL_MACHINE\\A /s"),
    ("reg query HKLM\\A /s", "another sign before options", "reg query HKLM\\A -s"),
    (
        "reg add HKLM\\A /v B /t REG_DWORD /d 0 /f",
        "another spelling of the number",
        "reg add HKLM\\A /v B /t REG_DWORD /d 0x0 /f",
    ),
    (
        "reg add HKLM\\A /v B /d 0 /f",
        "options in another order",
        "reg add HKLM\\A /f /d 0 /v B",
    ),
    ("reg add HKLM\\A /v B", "the program of 32 bits", "C:\\Windows\\SysWOW64\\reg.exe add HKLM\\A /v B"),
    (
        "reg add HKLM\\A /v B",
        "the folder Sysnative, of a program of 32 bits",
        "C:\\Windows\\Sysnative\\reg.exe add HKLM\\A /v B",
    ),
    ("fltmc unload a", "every argument in quotes", 'fltmc "unload" "a"'),
    ("fltmc unload a", "a tab between words", "fltmc\tunload\ta"),
    ("fltmc unload a", "quotes inside arguments", 'fltmc un""load a'),
    ("certutil -f -split -urlcache http://a b", "a dash of Unicode before options",
     "certutil \u2013f \u2013split \u2013urlcache http://a b"),
    ("wevtutil cl System", "abbreviated or long names of options", "wevtutil clear-log System"),
    ("wmic process call create x", "the class in place of its alias",
     "wmic path win32_process call create x"),
    ("sc stop a", "the local host by name", "sc \\\\localhost stop a"),
    ("cmd /c del C:\\Windows\\a", "a folder by a variable", "cmd /c del %SystemRoot%\\a"),
    ("cmd /c del a", "carets inside words", "cmd /c d^el a"),
    ("powershell -c gi x", "pwsh for powershell", "pwsh -c gi x"),
    ("powershell -Command Remove-Item x", "aliases of cmdlets", "powershell -Command ri x"),
    (
        "powershell Set-ItemProperty HKLM:\\A -Name B -Value 0",
        "parameters of cmdlets with colons",
        "powershell Set-ItemProperty HKLM:\\A -Name:B -Value:0",
    ),
    (
        "powershell Set-ItemProperty HKLM:\\A -Name B -Value 0",
        "the provider in a path of the registry",
        "powershell Set-ItemProperty Registry::HKEY_LOCAL_MACHINE\\A -Name B -Value 0",
    ),
]  # fmt: skip


def process(line: str, folder: str = SYSTEM) -> dict[str, Any]:
    name = line.split()[0].strip('"').removesuffix(".exe") + ".exe"
    return {"exe": name, "image_path": folder + name, "command_line": line, "parent_exe": name}


@pytest.mark.parametrize(("line", "what", "other"), TABLE)
def test_a_line_and_another(line: str, what: str, other: str) -> None:
    made = {one.what: one for one in spellings(process(line))}
    assert made[what].event["command_line"] == other
    assert made[what].sources[0].startswith("https://")
    assert made[what].hides is ("inside" in what)


def test_the_image_goes_with_the_line_and_the_parent_stays() -> None:
    made = {one.what: one.event for one in spellings(process("net user"))}
    other = made["net1 for net"]
    assert (other["exe"], other["image_path"]) == ("net1.exe", SYSTEM + "net1.exe")
    assert other["parent_exe"] == "net.exe"
    assert made["two blanks between words"]["image_path"] == SYSTEM + "net.exe"


def test_the_event_of_another_log() -> None:
    inner = {"Image": SYSTEM + "reg.exe", "CommandLine": "reg query HKLM\\A /s", "User": "CORP\\a"}
    made = spellings({"Event": {"EventData": inner}})
    lines = {one.event["Event"]["EventData"]["CommandLine"] for one in made}
    assert "reg  query  HKLM\\A  /s" in lines
    assert len(lines) >= 18


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (SYSTEM + "reg.exe", 'reg query "HKLM'),
        (SYSTEM + "reg.exe", "tracert a"),
        ("C:\\Program.exe", "C:\\Program Files\\a.exe -x"),
        (SYSTEM + "reg.exe", ""),
    ],
)
def test_a_line_of_which_it_is_not_certain_where_words_end_has_none(path: str, line: str) -> None:
    assert spellings({"image_path": path, "command_line": line}) == ()


def test_other_events_have_none() -> None:
    assert spellings({"object": "file", "file_path": "C:\\a"}) == ()


def test_keys_of_the_registry() -> None:
    made = {one.event["key"] for one in spellings({"key": "HKLM\\System\\CurrentControlSet\\A"})}
    assert "\\REGISTRY\\MACHINE\\System\\CurrentControlSet\\A" in made
    assert "HKEY_LOCAL_MACHINE\\System\\CurrentControlSet\\A" in made
    assert "HKLM\\System\\ControlSet001\\A" in made
    made = {one.event["key"] for one in spellings({"key": "\\REGISTRY\\USER\\A"})}
    assert {"HKU\\A", "HKEY_USERS\\A"} <= made


WORDS = st.lists(
    st.text("ab/-:\\.= ", min_size=1, max_size=8).filter(lambda text: text.strip() == text),
    min_size=1,
    max_size=5,
)
SAME_ARGUMENTS = ("two blanks", "a tab", "a blank at the end", "argument in quotes", "no quotes",
                  "quotes inside")  # fmt: skip


@given(WORDS)
def test_quotes_and_blanks_leave_the_arguments_as_they_are(words: list[str]) -> None:
    """As the C runtime takes them apart."""
    quoted = [f'"{word}"' if " " in word and word[-1] != "\\" else word for word in words]
    event = process("fltmc " + " ".join(quoted))
    for one in spellings(event):
        if all(any(kind in what for kind in SAME_ARGUMENTS) for what in one.what.split(" and ")):
            assert (
                split_command_line(one.event["command_line"])[1:]
                == split_command_line(event["command_line"])[1:]
            ), one


@given(st.text(max_size=40))
def test_any_line_is_spelt_or_not(line: str) -> None:
    for one in spellings({"image_path": SYSTEM + "reg.exe", "command_line": "reg " + line}):
        assert one.event["command_line"] != "reg " + line or one.event["image_path"] != "reg.exe"
    command = CommandLine.of("reg.exe", "reg " + line)
    assert command is None or command.text == "reg " + line


def _script() -> Any:
    spec = importlib.util.spec_from_file_location("car_spellings", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


SPELT = _script()


@pytest.fixture(scope="module")
def every() -> list[Any]:
    return list(SPELT.tried())


def test_rules_find_their_own_true_positives_in_other_spellings(every: list[Any]) -> None:
    plain: dict[str, list[bool]] = {}
    for one in every:
        if not one.spelling.hides and "command_line" in SPELT.asks_for(one.rule):
            plain.setdefault(one.rule.id, []).append(one.found)
    counted = {id_: found for id_, found in plain.items() if len(found) >= 20}
    assert len(counted) >= 20
    assert {id_ for id_, found in counted.items() if sum(found) < 0.95 * len(found)} == set()


def test_what_is_missed_has_a_reason(every: list[Any]) -> None:
    assert SPELT.unexplained(every) == []


def test_the_page_is_what_the_rules_find(every: list[Any]) -> None:
    assert SPELT.PAGE.read_text(encoding="utf-8") == SPELT.page(every)


def test_a_rule_that_misses_a_spelling_is_seen() -> None:
    text = """---
id: X
examples:
  - name: it
    match: true
    events:
      - {object: process, action: create, exe: reg.exe, image_path: 'C:\\Windows\\System32\\reg.exe',
         command_line: reg query HKLM}
---
a = search Process:Create where command_line = "reg query HKLM"
output a
"""
    missed = [
        one.spelling.what for one in SPELT.tried([carengine.parse_rule(text)]) if not one.found
    ]
    assert "two blanks between words" in missed
    assert "capitals" not in missed
