"""No text of a rule, an event, a file's name or an argument is a command to the terminal.

Every command runs over files with a hostile name and hostile content, once with a person at both
streams and once with nobody at standard output; and every command is called wrongly. Nothing that a
terminal obeys, nothing that cannot be seen, and no line that somebody else began, comes out.
"""

from __future__ import annotations

import io
import json
import re
import sys
import unicodedata
import warnings
from pathlib import Path

import pytest

from carengine.cli import COMMANDS, main, status
from carengine.diagnostics import visible

CONTROLS = (
    "\x1b]8;;u:v\x07b\x1b]8;;\x1b\\"  # a link
    "\x1b[2J\x9b31m\x9d0;t\x9c\x90q\x9c"  # screen, colour, title; C1
    "\u202e\u2066\u200f\u061c\u2028\u2029\u200b\u200d\u2060\u00ad\ufeff\x7f\x85"
    "\u3164\u2800\u034f\U000e0041\ufff9"
)
FLOOD = "e" + "\u0301" * 9
NAME = f"a{CONTROLS}{FLOOD}\r\nforged: 0 matches\tz"
# YAML and JSON have it as an escape.
QUOTED = json.dumps(NAME + "\ud800" + "\0")[:-1].replace("\\ud800", "").replace("\\u0000", "")
SIGMA = f"""title: {QUOTED}"
id: {QUOTED}"
name: {QUOTED}"
description: {QUOTED}"
author: {QUOTED}"
references: [{QUOTED}"]
tags: [{QUOTED}", attack.t1059]
falsepositives: [{QUOTED}"]
logsource: {{product: windows, category: process_creation}}
detection: {{s: {{Image|endswith: cmd.exe}}, f: {{{QUOTED}": {QUOTED}"}}, condition: s and not f}}
level: high
"""
BROKEN = SIGMA.replace("s and not f", f"s and {CONTROLS.replace(chr(7), '')[:3]} nothing")
CAR = f'a = search Process:Create where exe = "{CONTROLS}*" or exe = "*cmd.exe"\noutput a\n'
ANALYTIC = f"""title: {QUOTED}"
id: CAR-2099-01-001
description: {QUOTED}"
contributors: [{QUOTED}"]
implementations:
- {{name: {QUOTED}", type: Pseudocode, code: 'a = search Process:Create where exe = "cmd.exe" output a'}}
- {{name: {QUOTED}", type: Splunk, code: 'index=x Image="*cmd.exe" | {CONTROLS[-4:]}'}}
"""
MAP = f"""name: own
title: {QUOTED}"
description: {QUOTED}"
recognise: program exists
entries:
  - {{kind: process/create, when: EventID = 1, fields: {{exe: program, {QUOTED}": x}}}}
"""
SYSMON = {
    "Channel": "Microsoft-Windows-Sysmon/Operational", "EventID": 1, "Image": "C:\\cmd.exe",
    "CommandLine": NAME, "User": NAME, "Computer": NAME, "UtcTime": "2024-05-01 10:00:00.000",
    "ParentImage": NAME, NAME: NAME,
}  # fmt: skip
EVENTS = (
    SYSMON,
    {"\ud83dx": "\udc00", "EventID": "\ud800"},
    {"object": "process", "action": "create", "exe": "cmd.exe", "user": NAME},
    {NAME: 1},
)
# What a line may not have, whoever reads it.
RAW = re.compile(
    r"[^\S\n ]|[\0-\x09\x0b-\x1f\x7f-\x9f\u00ad\u034f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069"
    r"\u2800\u3164\ufeff\ufff9-\ufffb\U000e0000-\U000e0fff\ud800-\udfff]"
)


class Terminal(io.TextIOWrapper):
    """A stream with a person at it."""

    def isatty(self) -> bool:
        return True


def said(
    command: list[str], monkeypatch: pytest.MonkeyPatch, *, watched: bool
) -> tuple[int, str, str]:
    out, err = Terminal(io.BytesIO(), "utf-8"), Terminal(io.BytesIO(), "utf-8")
    monkeypatch.setattr(sys, "stdout", out if watched else io.TextIOWrapper(io.BytesIO(), "utf-8"))
    monkeypatch.setattr(sys, "stderr", err)
    # Rich draws as it does for a person, and in no colours of its own.
    monkeypatch.setenv("TERM", "dumb")
    code = main([*command[:1], "--no-color", *command[1:]])
    texts = []
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
        stream.buffer.seek(0)
        texts.append(stream.buffer.read().decode("utf-8", "backslashreplace"))
    return code, texts[0], texts[1]


def harmless(text: str) -> None:
    assert not RAW.search(text), ascii(text)
    assert not re.search(r"^\W*forged", text, re.MULTILINE), ascii(text)
    heaped = 0
    for character in text:
        heaped = heaped + 1 if unicodedata.combining(character) else 0
        assert heaped <= 4, ascii(text)


RULES, LOG = f"rules/{NAME}.yml", f"logs/{NAME}.jsonl"
USES = [
    *(["hunt", LOG, "-r", "rules", "-f", form] for form in ("table", "timeline", "csv", "jsonl", "ecs", "ocsf")),
    ["hunt", LOG, "-r", "rules", "-f", "csv", "--full", "--why"],
    ["hunt", LOG, "-r", RULES, "-m", f"{NAME}.yaml"],
    ["hunt", LOG, "-r", "rules", "--profile"],
    ["hunt", LOG, "-r", "rules", "--template", f"{NAME}.j2"],
    ["hunt", LOG, "-r", "rules", "--follow", "--finish", "--state", f"{NAME}.state"],
    ["hunt", LOG, "-r", "rules", "-o", f"no/{NAME}"], ["hunt", f"logs/{NAME}.zip", "-r", "rules"],
    ["hunt", f"no{NAME}", "-r", "rules"], ["hunt", LOG, "-r", f"no{NAME}"],
    ["hunt", LOG, "--engine", f"{NAME}.yaml"], ["hunt", LOG, "-r", "rules", "-o", LOG],
    ["hunt", LOG, "-r", "rules", "--only", NAME], ["hunt", LOG, "-r", "rules", "--from", NAME],
    ["hunt", LOG, "-r", "rules", "--input", NAME], ["hunt", LOG, "-r", "rules", "--max-bytes", NAME],
    ["hunt", LOG, "-r", "rules", "--exclude", f"{NAME}.yaml"],
    ["report", LOG, "-r", "rules", "-o", f"{NAME}.html"], ["report", LOG, "-o", f"no/{NAME}"],
    ["check", "rules"], ["check", RULES, "-f", "json"], ["check", RULES, "-f", "sarif"],
    ["fmt", "rules", "--diff"], ["fmt", "rules", "--check"], ["fmt", RULES],
    ["fmt", f"rules/{NAME}.car"], ["fmt", f"no{NAME}"],
    ["test", "rules", "-v"], ["test", "rules", "-f", "json"], ["verify", "rules"],
    ["verify", f"rules/{NAME}.yaml", "-f", "json"], ["page", f"rules/{NAME}.yaml"], ["page", NAME],
    ["explain", RULES, f"{LOG}:1"], ["explain", RULES, f"{LOG}:1", "--json"],
    ["explain", NAME, f"{LOG}:1"], ["explain", RULES, f"{LOG}:{NAME}"],
    ["translate", "-r", "rules"], ["translate", "-r", "rules", "-t", "duckdb", "-m", "ecs"],
    ["translate", "-r", "rules", "-t", NAME], ["translate", NAME], ["translate", "-r", "rules", "-m", NAME],
    ["corpus", "rules"], ["corpus", NAME], ["detect", LOG], ["detect", LOG, "-f", "json"], ["detect", NAME],
    ["map", "new", LOG], ["map", "new", LOG, "-o", f"{NAME}.new.yaml"],
    ["map", "check", f"{NAME}.yaml", LOG], ["map", "check", NAME, LOG], ["map", NAME],
    ["compile", "-r", "rules", "-o", f"{NAME}.engine"], ["compile", "-r", "rules", "-o", f"no/{NAME}"],
    ["needs", "-r", "rules"], ["needs", "-r", "rules", NAME], ["needs", "-r", "rules", LOG], ["needs", "-r", "rules", LOG, "-f", "json"],
    ["normalize", LOG], ["normalize", LOG, "-f", "csv"], ["normalize", LOG, "-o", f"no/{NAME}"],
    ["fields", NAME], ["fields", "process", NAME], ["fields", "-m", NAME],
    *([command, f"--{NAME}".replace(" ", "")] for command in COMMANDS), *([command, NAME, NAME] for command in COMMANDS if command != "needs"),
]  # fmt: skip


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with hostile names and content."""
    folder = tmp_path_factory.mktemp("hostile")
    for name in ("rules", "logs"):
        (folder / name).mkdir()
    for path, text in {
        RULES: SIGMA, f"rules/b{NAME}.yml": BROKEN, f"rules/{NAME}.car": CAR,
        f"rules/{NAME}.yaml": ANALYTIC, f"rules/{NAME}.toml": f"[rule]\nname = {QUOTED}\n",
        f"rules/{NAME}.eql": f'process where a == "{CONTROLS}', f"{NAME}.yaml": MAP,
        f"{NAME}.j2": "{{ match.rule.title }} {{ match.nothing.at.all }}",
        LOG: "".join(json.dumps(event) + "\n" for event in EVENTS) + NAME,
        f"logs/{NAME}.zip": f"PK\3\4{CONTROLS}",
    }.items():  # fmt: skip
        (folder / path).write_text(text, "utf-8", newline="")
    return folder


@pytest.mark.parametrize("command", USES, ids=lambda words: ascii(" ".join(words))[:40])
def test_what_a_command_says(
    command: list[str], hostile: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(hostile)
    monkeypatch.setenv("CARENGINE_CACHE", str(hostile / "cache"))
    for watched in (True, False):
        code, out, err = said(command, monkeypatch, watched=watched)
        if "--follow" in command:  # goes back to the beginning of its line, to write it anew
            err = err.replace("\r\x1b[K", "\n").replace("\r", "\n")
        assert code in (0, 1, 2, 3, 4), ascii(err)
        harmless(err)
        if watched:
            harmless(out)


def test_every_command_is_tried() -> None:
    assert {command for command, *_ in USES} == set(COMMANDS)


def test_a_fault_and_a_warning_are_said_harmlessly(monkeypatch: pytest.MonkeyPatch) -> None:
    def faulty(*_: object) -> int:
        warnings.warn(NAME, UserWarning, stacklevel=1)
        raise ValueError(NAME)

    monkeypatch.setattr("carengine.cli.fields.run", faulty)
    code, _, err = said(["fields"], monkeypatch, watched=True)
    assert code == status.FAULT
    harmless(err)
    assert "UserWarning: a\\u001b]8;;u:v" in err
    assert "fault of the program" in err


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Ünïcödé 漢字 नमस्ते שָׁלוֹם", "Ünïcödé 漢字 नमस्ते שָׁלוֹם"),
        ("e\u0301\u0302\u0303\u0304\u0305", "e\u0301\u0302\u0303\u0304\\u0305"),
        ("a\u3164b\u2800c\ufe0f", "a\\u3164b\\u2800c\\ufe0f"),
        ("a\nb\r", "a\\nb\\u000d"),
    ],
)
def test_visible(text: str, shown: str) -> None:
    assert visible(text) == shown
