"""Formatting: one spelling and layout, and never another meaning."""

from __future__ import annotations

import io
import random
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carengine import CarError, load_rules
from carengine.check import format_program, format_rule
from carengine.cli import main, status
from carengine.resolve import resolve_program
from carengine.syntax import parse_program
from generators import programs

RULES = Path(__file__).parents[1] / "rules" / "car"


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("a = SEARCH process:CREATE output a", "a = search Process:Create\noutput a\n"),
        (
            'a = search user session:remote where x == "1"',
            None,
        ),
        (
            "a = search Thread:remote_create where SrcPID == 1\nreturn a",
            "a = search Thread:RemoteCreate where src_pid = 1\noutput a\n",
        ),
        (
            'a = search UserSession:Login\nb = filter a where (a.UserName exists or USER = "x")\noutput b',
            None,
        ),
        (
            'a = search Process\nb = filter a where a.Image_Path = "x"\noutput b',
            'a = search Process:*\nb = filter a where a.image_path = "x"\noutput b\n',
        ),
        # Columns keep their names; fields behind `as` are spelt.
        (
            "a = search Process\nb = from a select Image_Path, Exe as Exe\nc = filter b where Image_Path exists\noutput c",
            "a = search Process:*\nb = from a select Image_Path, exe as Exe\nc = filter b where Image_Path exists\noutput c\n",
        ),
        (
            "a = search Process\ng = group a by HostName, Command_Line\n"
            "x = from g select HOSTNAME as h, MIN(Time) as t\noutput x",
            "a = search Process:*\ng = group a by hostname, command_line\n"
            "x = from g select hostname as h, MIN(time) as t\noutput x\n",
        ),
        (
            "a = search Flow:Message\na.Exe = a.Proto_Info.File_Name\noutput a",
            "a = search Flow:Message\na.exe = a.proto_info.File_Name\noutput a\n",
        ),
        (
            "a = search Process\nb = search File\nj = join (a, b) where (a.PID = b.PId and a.Time < b.time < a.time + 1 hour)\noutput j",
            "a = search Process:*\nb = search File:*\n"
            "j = join (a, b) where (a.pid = b.pid and a.time < b.time < a.time + 1 hour)\noutput j\n",
        ),
        (
            "a = search UserSession:Login\nb = filter a where User in top 3 of (USER)\nc = max(a.Time)\n"
            "d = unique(a.HostName)\ne = count(a) by User\noutput b, d, e",
            "a = search UserSession:Login\nb = filter a where user in top 3 of user\nc = max(a.time)\n"
            "d = unique(a.hostname)\ne = count(a) by user\noutput b, d, e\n",
        ),
        # A name that stands for a list is no field.
        (
            'Names = ["x"]\na = search File\nb = filter a where File_Name in Names\noutput b',
            'Names = ["x"]\na = search File:*\nb = filter a where file_name in Names\noutput b\n',
        ),
        (
            "# head\na = search process # tail\n\n# foot\noutput a # last",
            "# head\na = search Process:*  # tail\n\n# foot\noutput a  # last\n",
        ),
        ("a = search Nothing:here\noutput a", "a = search Nothing:here\noutput a\n"),
        ("a = search Process:nothing\noutput a", "a = search Process:nothing\noutput a\n"),
    ],
)
def test_spelling(text: str, canonical: str | None) -> None:
    parsed = parse_program(text)
    if canonical is None:
        # Whatever is wrong with it, printing it does not fail and does not change what is wrong.
        printed = format_program(parsed.program)
        assert format_program(parse_program(printed).program) == printed
        return
    assert format_program(parsed.program) == canonical
    assert format_program(parse_program(canonical).program) == canonical


def test_our_own_rules_keep_their_meaning(tmp_path: Path) -> None:
    for path in RULES.glob("*.car"):
        text = path.read_text(encoding="utf-8")
        printed = format_rule(text, str(path))
        assert format_rule(printed) == printed
        assert front_matter(printed) == front_matter(text)
        (tmp_path / path.name).write_text(printed, encoding="utf-8")
    before, after = load_rules(RULES), load_rules(tmp_path)
    assert len(before) == len(after) > 90
    for one, other in zip(before, after, strict=True):
        assert one.program == other.program


def front_matter(text: str) -> str:
    return text[: text.index("\n---\n", 3) + 5]


FIELDS = (
    "exe|image_path|command_line|parent_exe|hostname|user|pid|ppid|time|key|value|dest_port|src_ip"
)
_FIELD = re.compile(rf"\b({FIELDS})\b(?![\"'\\.])")


def respelt(text: str, seed: int) -> str:
    """The program with its fields spelt as people spell them, outside of strings."""
    chance = random.Random(seed)

    def spell(found: re.Match[str]) -> str:
        name = found[0]
        words = name.split("_")
        return chance.choice(
            [
                name,
                name.upper(),
                "".join(w.title() for w in words),
                "_".join(w.title() for w in words),
            ]
        )

    parts = re.split(r"(\"[^\"]*\"|'[^']*'|#.*)", text)
    return "".join(part if n % 2 else _FIELD.sub(spell, part) for n, part in enumerate(parts))


BODIES = [
    path.read_text(encoding="utf-8").split("\n---\n", 1)[1]
    for path in sorted(RULES.glob("*.car"))
    if "run Analytic" not in path.read_text(encoding="utf-8")
]


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(BODIES), st.integers(0, 2**32))
def test_other_spellings_come_out_the_same(body: str, seed: int) -> None:
    text = respelt(body, seed)
    program = parse_program(text).program
    printed = format_program(program)
    again = parse_program(printed).program
    assert resolve_program(again).program == resolve_program(program).program
    assert format_program(again) == printed


@settings(max_examples=60, deadline=None)
@given(programs())
def test_any_program_is_printed_as_one_that_means_the_same(program: object) -> None:
    text = format_program(program)  # type: ignore[arg-type]
    again = parse_program(text)
    assert not again.diagnostics
    assert format_program(again.program) == text
    assert resolve_program(again.program).program == resolve_program(program).program  # type: ignore[arg-type]


def test_the_front_matter_stays_byte_for_byte() -> None:
    head = "---\r\nid:   x   # as is\r\ntitle: 'é'\r\n---\r\n"
    assert format_rule(head + "a=search process\r\noutput   a") == (
        head + "a = search Process:*\r\noutput a\r\n"
    )
    assert format_rule("---\n- : [\n---\noutput a") == "---\n- : [\n---\noutput a\n"
    assert format_rule("") == ""


def test_what_is_not_understood_is_not_printed() -> None:
    with pytest.raises(CarError, match="CE10"):
        format_rule("a = search Process:Create\nb = = c\noutput a")


# The command


MESSY = "---\nid: x\n---\na = SEARCH process:create where exe contains '*x*'\noutput   a\n"
CLEAN = '---\nid: x\n---\na = search Process:Create where exe contains "*x*"\noutput a\n'


def test_fmt(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    messy, clean = tmp_path / "messy.car", tmp_path / "clean.car"
    messy.write_text(MESSY)
    clean.write_text(CLEAN)
    assert main(["fmt", str(messy)]) == status.DONE
    assert capsys.readouterr().out == CLEAN
    assert main(["fmt", "--check", str(tmp_path)]) == status.FINDINGS
    out, err = capsys.readouterr()
    assert out == f"{messy}\n"
    assert err == "2 files: 1 not canonical, 1 canonical, 0 with errors\n"
    assert main(["fmt", "--diff", str(tmp_path)]) == status.DONE
    assert "+output a" in capsys.readouterr().out
    assert messy.read_text() == MESSY
    assert main(["fmt", str(tmp_path)]) == status.USAGE
    messy.write_bytes(b"\xef\xbb\xbf" + MESSY.encode())
    assert main(["fmt", "--write", str(tmp_path)]) == status.DONE
    assert messy.read_bytes() == b"\xef\xbb\xbf" + CLEAN.encode()
    capsys.readouterr()
    assert main(["fmt", "--check", str(tmp_path)]) == status.DONE


def test_fmt_leaves_files_alone_that_it_cannot_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong, strange = tmp_path / "a.car", tmp_path / "b.car"
    wrong.write_text("a = = b\n")
    strange.write_bytes(b"\xff\xfe")
    assert main(["fmt", "--write", str(tmp_path), str(tmp_path / "none.car")]) == status.USAGE
    err = capsys.readouterr().err
    assert "error[CE101]" in err
    assert f"{strange}: cannot be read" in err
    assert "3 files: 0 changed, 0 canonical, 3 with errors" in err
    assert wrong.read_text() == "a = = b\n"


def test_fmt_of_standard_input(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(MESSY.encode())))
    assert main(["fmt", "-"]) == status.DONE
    assert capsys.readouterr().out == CLEAN
    assert main(["fmt", "-", "--write"]) == status.USAGE


def test_check_fix(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "x.car"
    path.write_bytes(
        b'---\r\nid: x\r\n---\r\na = search Process:Create where exe in ["*a*", "ab", "AB", "c**"]\r\noutput a\r\n'
    )
    assert main(["check", str(path), "--strict"]) == status.DONE
    assert "note[CE708]" in capsys.readouterr().out
    assert main(["check", str(path), "--fix"]) == status.DONE
    out, err = capsys.readouterr()
    assert out == ""
    assert f"fixed: {path}" in err
    assert b'where exe in ["*a*", "c*"]\r\n' in path.read_bytes()
    assert main(["check", str(path), "--fix"]) == status.DONE
    assert "nothing to fix safely" in capsys.readouterr().err


def test_check_sarif(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "x.car"
    path.write_text("a = search Process:Create where pid < 1 and pid > 1\noutput a\n")
    assert main(["check", str(path), "-f", "sarif"]) == status.DONE
    out = capsys.readouterr().out
    assert '"CE701"' in out
    assert main(["check", str(path), "-f", "sarif", "--strict"]) == status.FINDINGS
