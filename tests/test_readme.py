"""What the README shows is what happens: its Python is run, its commands are run and their output
compared."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from carengine.cli import COMMANDS, main

TOP = Path(__file__).parents[1]
README = (TOP / "README.md").read_text(encoding="utf-8")
FENCES = re.findall(r"^```(\w*)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
PYTHON = [text for language, text in FENCES if language == "python"]
CONSOLE = [text for language, text in FENCES if language == "console"]


@pytest.fixture(autouse=True)
def _from_the_top(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(TOP)
    monkeypatch.setenv("NO_COLOR", "1")


def test_there_are_examples() -> None:
    assert len(PYTHON) >= 2
    assert len(CONSOLE) >= 2


@pytest.mark.parametrize("text", PYTHON, ids=range(len(PYTHON)))
def test_python(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    exec(compile(text, "README.md", "exec"), {"__name__": "readme"})
    out = capsys.readouterr().out
    assert "print(match" not in text or "CAR-2019-08-001 lsass_dump C:\\Windows" in out


@pytest.mark.parametrize("text", CONSOLE, ids=range(len(CONSOLE)))
def test_console(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    for block in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        command, _, expected = block.partition("\n")
        program, *arguments = shlex.split(command)
        assert program == "carengine"
        main(arguments)
        out, err = capsys.readouterr()
        assert out + err == expected


def test_every_command_is_named() -> None:
    table = README[README.index("## Commands") :]
    for name in COMMANDS:
        assert f"| `{name}" in table


def test_all_field_maps_that_ship_are_named() -> None:
    maps = {path.stem for path in (TOP / "src/carengine/fieldmap/maps").glob("*.yaml")}
    table = README[README.index("These field maps ship") : README.index("## From Python")]
    assert set(re.findall(r"^\| \[?`(\w+)`", table, re.MULTILINE)) == maps


def test_the_number_of_rules_is_right() -> None:
    [number] = re.findall(r"the (\d+) detection rules", README)
    assert int(number) == len(list((TOP / "rules" / "car").glob("*.car")))


def test_what_it_links_to_is_there() -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)", README)
    assert links
    folder = TOP / "docs"
    if not (folder / "language.md").exists():
        pytest.skip("the documentation is not here")
    assert [link for link in links if not (TOP / link).exists()] == []
