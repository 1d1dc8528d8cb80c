"""The lenient reading: what is repaired, what is refused, and what is said of it."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carengine import CarError, lenient, parse_rule
from carengine.diagnostics import Block, Code, Source, codes
from carengine.resolve import resolve_program
from carengine.syntax import parse_program

P = "p = search Process:Create\n"


def read(text: str) -> lenient.LenientReading:
    return lenient.read(text)


def condition(text: str) -> str:
    """A condition on processes as it is read, with the codes of its repairs."""
    reading = read(f"{P}o = filter p where {text}\noutput o")
    assert not reading.refused, reading.diagnostics
    assert resolve_program(reading.program).program is not None
    start = reading.block.text.index("where ") + 6
    return reading.block.text[start : reading.block.text.index("\noutput")]


CONDITIONS = [
    # quotes
    ("exe = “cmd.exe”", 'exe = "cmd.exe"'),
    ('exe = ”cmd.exe” AND user="a*”', 'exe = "cmd.exe" AND user="a*"'),
    ("exe = ‘cmd.exe’", "exe = 'cmd.exe'"),
    ('exe = "cmd.exe', 'exe = "cmd.exe"'),
    ('(exe = "cmd.exe)', '(exe = "cmd.exe")'),
    (
        'exe = "a.exe or exe = "b.exe or exe = "c.exe"',
        'exe = "a.exe" or exe = "b.exe" or exe = "c.exe"',
    ),
    ('exe = cmd.exe" and user = "a"', 'exe = "cmd.exe" and user = "a"'),
    ('exe = "cmd.exe""', 'exe = "cmd.exe"'),
    ('command_line = "\\"*"', "command_line = '\"*'"),
    ('command_line = "*.exe\\"*x /y*"', "command_line = '*.exe\"*x /y*'"),
    (
        'current_working_directory = "c:\\windows\\" and exe = "\\"a"',
        'current_working_directory = "c:\\windows\\" and exe = \'"a\'',
    ),
    ('command_line = "say "a" now"', "command_line = 'say \"a\" now'"),
    # values without quotes
    ("exe = cmd.exe", 'exe = "cmd.exe"'),
    ("image_path = C:\\Windows\\*\\cmd.exe", 'image_path = "C:\\Windows\\*\\cmd.exe"'),
    (
        'image_path = C:\\Program Files (x86)\\a b.exe and exe = "x"',
        'image_path = "C:\\Program Files (x86)\\a b.exe" and exe = "x"',
    ),
    ("command_line = * -x a * and user = bob", 'command_line = "* -x a *" and user = "bob"'),
    (
        "(command_line = *a* OR command_line = */add* )",
        '(command_line = "*a*" OR command_line = "*/add*" )',
    ),
    ("command_line match \\d{1,3}\\.\\d+", 'command_line match "\\d{1,3}\\.\\d+"'),
    ("command_line contains [*a*, *b*,*c*]", 'command_line contains ["*a*", "*b*","*c*"]'),
    ("command_line contains(*a*)", 'command_line contains("*a*")'),
    # words
    ('command_line.matches("a.*b")', 'command_line match "a.*b"'),
    ('command_line.contains("a")', 'command_line contains ("a")'),
    ('command_line includes one of ["a", "b"]', 'command_line contains ["a", "b"]'),
    ('command_line includes "a"', 'command_line contains "a"'),
    ('exe is "cmd.exe" && user is not null', 'exe = "cmd.exe" and user != null'),
    ("pid => 4 || pid <> 7", "pid >= 4 or pid != 7"),
    ('exe in ("a.exe", "b.exe")', 'exe in ["a.exe", "b.exe"]'),
    ('[exe] == "a" and [user] != "b"', 'exe == "a" and user != "b"'),
    ("user not in TOP30(user)", "user not in top 30 of (user)"),
    # brackets
    ('(exe = "a" or exe = "b"', '(exe = "a" or exe = "b")'),
    ('exe = "a" and (user = "b" or user = "c"', 'exe = "a" and (user = "b" or user = "c")'),
    ('exe = "a" or exe = "b")', 'exe = "a" or exe = "b"'),
    ('command_line contains("a" and exe = "b"', 'command_line contains("a") and exe = "b"'),
    ('exe in ["a", "b" and user = "c"', 'exe in ["a", "b"] and user = "c"'),
    (
        '(\n  (exe = "a" or\n   exe = "b" and\n  user = "c")',
        '(\n  (exe = "a" or\n   exe = "b") and\n  user = "c")',
    ),
    # connectives and commas
    ('exe = "a" and\n user = "b"\n pid = 4', 'exe = "a" and\n user = "b" and\n pid = 4'),
    ('exe = "a" AND', 'exe = "a"'),
    ('exe = "a" and and user = "b"', 'exe = "a" and user = "b"'),
    ('exe in ["a" "b"]', 'exe in ["a", "b"]'),
    # fields
    ('Image = "*x" and ParentImage = "*y"', 'image_path = "*x" and parent_image_path = "*y"'),
    ('comand_line = "*x*"', 'command_line = "*x*"'),
    ('p.cmdline = "*x*"', 'p.command_line = "*x*"'),
    ("timestamp > now - 1 day", "time > now - 1 day"),
    ('exe = "C:\\a\\b.exe"', 'image_path = "C:\\a\\b.exe"'),
    ('parent_exe in ["C:\\a.exe", "C:\\b.exe"]', 'parent_image_path in ["C:\\a.exe", "C:\\b.exe"]'),
    # values
    ('exe = "a.exe OR b.exe OR c.exe"', 'exe in ["a.exe", "b.exe", "c.exe"]'),
    ('exe != "a.exe OR b.exe"', 'exe not in ["a.exe", "b.exe"]'),
    ('image_path = "C:\\\\a\\\\b.exe"', 'image_path = "C:\\a\\b.exe"'),
    ('image_path = "*\\a\\\\b\\c.exe"', 'image_path = "*\\a\\b\\c.exe"'),
    ('image_path = "\\\\server\\a"', 'image_path = "\\\\server\\a"'),
    ('command_line match "(a{{pipe}}b)"', 'command_line match "(a|b)"'),
    ('command_line = "reg%HKLM\\x%REG /d 0%"', 'command_line = "reg*HKLM\\x*REG /d 0*"'),
    ('command_line = "%windir%\\a%PATH%"', 'command_line = "%windir%\\a%PATH%"'),
    ('image_path = "*\\.exe"', 'image_path = "*.exe"'),
]


@pytest.mark.parametrize(("written", "meant"), CONDITIONS, ids=[text for text, _ in CONDITIONS])
def test_conditions(written: str, meant: str) -> None:
    assert condition(written) == meant


PROGRAMS = [
    # streams
    (f"{P}o = filter q where pid = 1\noutput o", f"{P}o = filter p where pid = 1\noutput o"),
    (
        f"{P}suspicious = filter p where pid = 1\noutput suspicous",
        f"{P}suspicious = filter p where pid = 1\noutput suspicious",
    ),
    (f"{P}o = filter p where pid = 1\noutput events", f"{P}o = filter p where pid = 1\noutput o"),
    (f"{P}p = filter (pid = 1)\noutput p", f"{P}p = filter p where (pid = 1)\noutput p"),
    (f"{P}o = filter p (where pid = 1)\noutput o", f"{P}o = filter p where ( pid = 1)\noutput o"),
    (f"{P}o = filter p where pid = 1", f"{P}o = filter p where pid = 1\noutput o"),
    (
        "a = search Process:Create\nb = search File:Create\nj = join (x, b) where a.pid = b.pid\noutput j",
        "a = search Process:Create\nb = search File:Create\nj = join (a, b) where a.pid = b.pid\noutput j",
    ),
    (
        "a = search Process:Create\nb = search File:Create\nj = join (a, b) where a.pid = c.pid\noutput j",
        "a = search Process:Create\nb = search File:Create\nj = join (a, b) where a.pid = b.pid\noutput j",
    ),
    (
        'p = search Process:Create o = filter p where (exe = "a" and user = b.exe output o',
        'p = search Process:Create o = filter p where (exe = "a" and user = "b.exe") output o',
    ),
    # keywords
    (
        "p = serach Process:Create\no = fliter p wehre pid = 1\nouput o",
        "p = search Process:Create\no = filter p where pid = 1\noutput o",
    ),
    # kinds
    (
        "r = search (Registry:Create AND Registry:Remove AND Registry:Edit)\noutput r",
        "r = search (Registry:Add or Registry:Remove or Registry:ValueEdit or Registry:KeyEdit)\noutput r",
    ),
    (
        "r = search Registry:Create,Edit\noutput r",
        "r = search Registry:Add,ValueEdit,KeyEdit\noutput r",
    ),
    ("p = search Proces:Creat\noutput p", "p = search Process:Create\noutput p"),
    ("s = search UserSession:Logon\noutput s", "s = search UserSession:Login\noutput s"),
    # shapes
    (
        f"{P}g = group p by hostname user where(max time between two events is 5 minutes)\noutput g",
        f"{P}g = group p by hostname, user within 5 minutes\noutput g",
    ),
    (
        f"{P}g = group p by user\nx = from g select count(*) as n max(time) as t\noutput x",
        f"{P}g = group p by user\nx = from g select count(*) as n, max(time) as t\noutput x",
    ),
    # conditions that stand alone
    (
        "[EventCode] == 4624 and [LogonType] == 10",
        "events = search UserSession:Login where (\nlogin_type == 10)\noutput events",
    ),
    (
        'log_name == "System" AND\nevent_code == "7036"\nparam1 in ["a"] AND param2 == "stopped"',
        'events = search Service:Stop where (\nname in ["a"])\noutput events',
    ),
    (
        'parent_exe = "a" and command_line = "*b*"',
        'events = search Process where (\nparent_exe = "a" and command_line = "*b*")\noutput events',
    ),
    # what CAR has no events for
    (
        'p = search Process:Create\nt = search Task:create\nu = filter t where content = "a"\noutput p, u',
        "p = search Process:Create\noutput p",
    ),
    (
        'p = search Process:Create\no = filter p where exe = "a" and src_ip in [10.0.0.0/8]\noutput o',
        'p = search Flow:Start\no = filter p where exe = "a" and src_ip in [10.0.0.0/8]\noutput o',
    ),
]


@pytest.mark.parametrize(("written", "meant"), PROGRAMS, ids=[text for text, _ in PROGRAMS])
def test_programs(written: str, meant: str) -> None:
    reading = read(written)
    assert not reading.refused, reading.diagnostics
    assert reading.block.text == meant
    assert reading.repairs
    assert resolve_program(reading.program).program is not None


REFUSED = [
    # Two ways to close, two meanings, and nothing decides.
    (f'{P}o = filter p where (exe = "a" or exe = "b" and user = "c"\noutput o', codes.UNCERTAIN),
    (f'{P}o = filter p where exe = "a" or exe = "b") and user = "c"\noutput o', codes.UNCERTAIN),
    # The lines say one thing, the brackets another.
    (
        f'{P}o = filter p where (\n  exe = "a" and\n  (user = "b" or\n   user = "c" or\n  user = "d")\noutput o',
        codes.UNCERTAIN,
    ),
    # An author who mixes the two elsewhere.
    (
        f'{P}q = filter p where exe = "x" and pid = 1 or pid = 2\n'
        'o = filter q where exe = "a" and (user = "b" or user = "c"\noutput o',
        codes.UNCERTAIN,
    ),
    # Is it `and`, or `or`?
    (f'{P}o = filter p where (exe = "a" or\n exe = "b"\n exe = "c")\noutput o', codes.UNCERTAIN),
    # Placeholders.
    (f'{P}o = filter p where command_line match "__some_regex__"\noutput o', codes.PLACEHOLDER),
    (f'n = ["a.exe", "b.exe", ...]\n{P}o = filter p where exe in n\noutput o', codes.PLACEHOLDER),
    # Events that are nothing in CAR, or that nobody can tell.
    ('log_name == "Security" and event_code in [1100, 1102]', codes.NO_CAR_OBJECT),
    ('exe = "a"', codes.UNCERTAIN),
    # Doubled backslashes in a regular expression may mean either.
    (
        f'{P}o = filter p where image_path = "C:\\\\a\\\\b" and command_line match "x\\\\y"\noutput o',
        codes.UNCERTAIN,
    ),
]


@pytest.mark.parametrize(("text", "code"), REFUSED, ids=[text for text, _ in REFUSED])
def test_what_is_not_certain_is_refused(text: str, code: Code) -> None:
    reading = read(text)
    assert reading.refused
    assert code in [item.code for item in reading.diagnostics]


LEFT = [
    # Nothing says which field, which stream, where the value ends.
    f"{P}o = filter p where xid = 4\noutput o",
    "a1 = search Process:Create\na2 = search File:Create\nx = filter a3 where pid = 4\noutput x, a1, a2",
    f'{P}o = filter p where command_line contains [*a, b*, "c"]\noutput o',
    f'{P}o = filter p where exe = "a" user = "b"\noutput o',
    f'{P}o = filter p where command_line = "*\' and exe = "a"\noutput o',
    f'{P}o = filter p where command_line contains " a \noutput o',
]


@pytest.mark.parametrize("text", LEFT)
def test_what_cannot_be_repaired_is_left_to_the_strict_reading(text: str) -> None:
    reading = read(text)
    assert reading.refused or resolve_program(reading.program).program is None


def test_a_repair_says_what_was_read_and_where() -> None:
    source = Source(
        "x.txt",
        "# code\n  p = search Process:Create\n  o = filter p where exe = cmd.exe\n  output o\n",
    )
    lines = source.text.splitlines(keepends=True)
    text, at = "", len(lines[0])
    offsets: list[int] = []
    for line in lines[1:]:
        text += line[2:]
        offsets += range(at + 2, at + len(line))
        at += len(line)
    reading = lenient.read(Block(source, text, (*offsets, at)))
    (repair,) = reading.repairs
    assert repair.code is codes.UNQUOTED
    assert repair.span is not None
    assert (repair.span.line, repair.span.column, repair.span.text) == (3, 28, "cmd.exe")
    assert repair.label == 'read as "cmd.exe"'
    assert repair.fix is not None
    assert [(edit.span.text, edit.text) for edit in repair.fix.edits] == [("cmd.exe", '"cmd.exe"')]
    assert not repair.fix.safe
    output = reading.program.statements[-1]
    assert (output.span.line, output.span.text) == (4, "output o")


def test_all_edits_together_give_the_repaired_text() -> None:
    text = (
        "p = search Process:Create\no = filter q where (comand_line = *x* and user = “a”\noutput o"
    )
    reading = read(text)
    edits = sorted(
        (edit for item in reading.repairs for edit in (item.fix.edits if item.fix else ())),
        key=lambda edit: edit.span.start,
        reverse=True,
    )
    for edit in edits:
        text = text[: edit.span.start] + edit.text + text[edit.span.end :]
    assert text == reading.block.text


def test_car_files_are_strict_unless_asked() -> None:
    text = f"{P}o = filter p where exe = cmd.exe\noutput o"
    with pytest.raises(CarError):
        parse_rule(text)
    rule = parse_rule(text, lenient=True)
    assert [item.code for item in rule.diagnostics] == [codes.UNQUOTED]


def test_what_another_rule_outputs_is_known() -> None:
    other = parse_program("a = search Flow:Message\na.file_name = a.proto_info.name\noutput a")
    text = "w = run Analytic:X\np = search Process\nj = join (w, p) where w.file_path = p.image_path\noutput j"
    reading = lenient.read(text, programs={"X": other.program}.get)
    assert "w.file_name = p.image_path" in reading.block.text
    assert lenient.read(text).block.text == text


_HOSTILE = st.lists(
    st.sampled_from([*"()[]\"'“”‘\\=*%,.:;#\n \t-<>!&|{}", "and ", "or ", "not ", "where ", "filter ", "p ",
                     "search ", "exe ", "in ", "output ", "contains ", "C:\\", "…", "{{pipe}}", "1 ", "x.y "]),
    max_size=40,
).map("".join)  # fmt: skip


@given(_HOSTILE)
def test_any_text_is_read_without_an_exception(text: str) -> None:
    reading = read(f"{P}o = filter p where {text}\noutput o")
    assert len(reading.block.offsets) == len(reading.block.text) + 1
    if not reading.refused:
        assert not parse_program(reading.block.text).diagnostics


@given(_HOSTILE)
def test_what_is_read_once_is_read_the_same_again(text: str) -> None:
    reading = read(text)
    if not reading.refused and resolve_program(reading.program).program is not None:
        again = read(reading.block.text)
        assert again.block.text == reading.block.text
        assert not again.repairs


@pytest.mark.parametrize(
    "text",
    [
        "(" * 3_000,
        ")" * 3_000,
        "x = filter y where " + "(exe = " * 2_000,
        "x = filter y where " + '"' * 5_001,
        "x = filter y where exe = " + "* and exe = " * 2_000,
        "x = filter y where (" + " or ".join(f'(exe = "{n}" and user = "a"' for n in range(300)),
        "\\" * 20_000,
        "[" + "a, " * 8_000,
        "x = filter y where exe = 'a" + " and " * 5_000,
    ],
    ids=range(9),
)
def test_hostile_texts_take_bounded_time(text: str) -> None:
    start = time.process_time()
    read(text)
    assert time.process_time() - start < 8
