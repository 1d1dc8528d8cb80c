"""Damage with a second reading: what looks mended by the nearest repair, and would mean something
else.

Each text is read as its author meant it, or refused; a refusal is an error that says where.
"""

from __future__ import annotations

import pytest

from carengine import lenient
from carengine.resolve import resolve_program
from carengine.syntax import parse_program

HEAD = "procs = search Process:Create\n"

REFUSED = {
    "alternatives on two lines": 'x = filter procs where (\n exe = "a.exe"\n exe = "b.exe")',
    "alternatives in runs": (
        'x = filter procs where (\n exe = "a.exe" and user = "u"\n exe = "b.exe" and user = "v")'
    ),
    "alternatives in brackets": (
        'x = filter procs where (\n (exe = "a.exe" and ppid = 4)\n (exe in ["b.exe"]))'
    ),
    "the connective went into the string": (
        'x = filter procs where (\n exe = "a.exe or"\n command_line = "*x*")'
    ),
    "the connective stands before the bracket's end": (
        'x = filter procs where (\n exe = "a.exe" or)\n command_line = "*x*"'
    ),
    "the connective stands behind the bracket's begin": (
        'x = filter procs where exe = "a.exe" (or command_line = "*x*")'
    ),
    "a misspelt connective between strings": (
        'x = filter procs where (exe = "a.exe" ro command_line = "*x*")'
    ),
    "a connective of HTML": 'x = filter procs where (exe = "a.exe" &amp;&amp; user = "b")',
    "the bracket went into the string": 'x = filter procs where (exe = "a.exe" and user = "b)"',
    "the list's bracket went into the string": 'x = filter procs where exe in ["a.exe", "b]"',
    "a quote inside a word of a list": 'x = filter procs where exe in ["aa", "bb"bb.exe]',
    "the comma went into the string": 'x = filter procs where exe in ["a.exe," "b.exe"]',
    "quotes around what is between": 'x = filter procs where exe in [a.exe", "b.exe]',
    "a field broken by a sign": (
        "x = filter procs where (exe = parent_exe and p*.pid < procs.ppid)"
    ),
    "a list that breaks off": 'x = filter procs where exe in ["a.exe",',
    "an object that no comma follows": "x = search Process Process:Terminate",
    "quotes of HTML": "x = filter procs where image_path = &quot;C:\\Windows\\*.exe&quot;",
    "blanks that may be the text's": "x = filter procs where command_line contains  a ",
    "a path behind a sign of two meanings": (
        'x = filter procs where image_path =~ "C:\\Windows\\System32\\a.exe"'
    ),
    "a variable behind `like`": ('x = filter procs where image_path like "%windir%\\%"'),
    "two quotes for one": "x = filter procs where user = ''admin''",
    "a sign that says equal or unequal": 'x = filter procs where exe ~= "cmd.exe"',
    "a sign that says equal or match": 'x = filter procs where exe =~ "cmd.exe"',
}

READ = {
    "colon dropped": (
        "x = search File Create, Delete\noutput x",
        "x = search File:Create, Delete\noutput x",
    ),
    "like": (
        HEAD + 'x = filter procs where command_line like "%unload%"\noutput x',
        HEAD + 'x = filter procs where command_line = "*unload*"\noutput x',
    ),
    "slashes": (
        HEAD + "x = filter procs where command_line match /a\\d+/\noutput x",
        HEAD + 'x = filter procs where command_line match "a\\d+"\noutput x',
    ),
    "a sign that can only say match": (
        HEAD + 'x = filter procs where command_line =~ "a.*b"\noutput x',
        HEAD + 'x = filter procs where command_line match "a.*b"\noutput x',
    ),
    "different fields on two lines": (
        HEAD + 'x = filter procs where (\n exe = "a.exe"\n user = "u")\noutput x',
        HEAD + 'x = filter procs where (exe = "a.exe" and user = "u")\noutput x',
    ),
    "bounds of one field on two lines": (
        HEAD + "x = filter procs where (\n pid > 4\n pid < 9)\noutput x",
        HEAD + "x = filter procs where (pid > 4 and pid < 9)\noutput x",
    ),
    "exceptions on two lines": (
        HEAD + 'x = filter procs where (\n user != "a"\n user != "b")\noutput x',
        HEAD + 'x = filter procs where (user != "a" and user != "b")\noutput x',
    ),
}


@pytest.mark.parametrize("text", REFUSED.values(), ids=REFUSED)
def test_two_readings_are_refused(text: str) -> None:
    reading = lenient.read(f"{HEAD}{text}\noutput x")
    found = list(reading.diagnostics)
    if not reading.refused:
        # A name that is no field here is the resolver's to refuse.
        found = list(resolve_program(reading.program).diagnostics)
    errors = [item for item in found if item.severity.rank == 0]
    assert errors, reading.block.text
    assert all(item.span is not None and item.span.start >= len(HEAD) for item in errors)


@pytest.mark.parametrize(("text", "meant"), READ.values(), ids=READ)
def test_one_reading_is_taken(text: str, meant: str) -> None:
    reading = lenient.read(text)
    assert not reading.refused, reading.diagnostics
    assert reading.repairs
    program = resolve_program(reading.program).program
    assert program is not None
    assert program == resolve_program(parse_program(meant).program).program


@pytest.mark.parametrize("kind", ["Create:File", "Start:Process", "ValueEdit:Registry"])
def test_object_and_action_exchanged_is_no_missing_object(kind: str) -> None:
    text = f"{HEAD}x = search {kind}\noutput procs, x"
    reading = lenient.read(text)
    assert reading.refused or resolve_program(reading.program).program is None
