"""Rules that are edited while `hunt --follow --reload` runs, and states of earlier versions."""

from __future__ import annotations

import io
import signal
import time
from pathlib import Path
from typing import Any

import pytest

import carengine
from carengine.cli import main
from carengine.cli import reload as reloading
from carengine.cli.options import MapNames, RuleSettings
from carengine.cli.reload import rules_watch, signature_of
from carengine.cli.rules import load
from carengine.cli.screen import Screen
from carengine.tuning import RuleFilter
from test_follow import Hunt, write

PAIRS = """\
a = search Process:Create where exe = "a.exe"
b = search Process:Create where exe = "b.exe"
pairs = join (a, b) where a.hostname = b.hostname and a.time < b.time < a.time + 1 hour
output pairs
"""
ALONE = 'c = search Process:Create where exe = "{}" output c'
STATES = Path(__file__).parent / "samples" / "states"


def event(exe: str, second: int) -> dict[str, Any]:
    at = f"2024-05-01T10:00:{second:02}Z"
    return {"object": "process", "action": "create", "exe": exe, "hostname": "h1", "time": at}


@pytest.fixture
def watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A folder with two rules, and what looks at it."""
    monkeypatch.setattr(reloading, "_LOOK", 0.0)
    monkeypatch.setenv("CARENGINE_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "rules"
    folder.mkdir()
    (folder / "pairs.car").write_text(PAIRS)
    (folder / "alone.car").write_text(ALONE.format("c.exe"))
    told = io.StringIO()
    screen = Screen(io.StringIO(), told, False, False, False, False)
    settings = RuleSettings((str(folder),))
    watch = rules_watch(settings, MapNames(), RuleFilter(), load(settings), screen)
    return folder, watch, told


def test_an_edit_is_taken_up_when_it_is_whole(watched: Any) -> None:
    folder, watch, told = watched
    assert watch.look() is None
    (folder / "alone.car").write_text(ALONE.format("other.exe"))
    assert watch.look() is None, "the first look sees it change"
    engine = watch.look()
    assert engine is not None
    assert [rule.id for rule in engine.rules] == ["alone", "pairs"]
    assert watch.look() is None, "once"
    (folder / "more.car").write_text(ALONE.format("d.exe"))
    watch.look()
    (folder / "more.car").write_text(ALONE.format("longer.exe"))
    assert watch.look() is None, "it changed again"
    assert len(watch.look().rules) == 3
    (folder / "more.car").unlink()
    watch.look()
    assert len(watch.look().rules) == 2
    assert told.getvalue() == ""


def test_a_broken_edit_keeps_the_rules_before(watched: Any) -> None:
    folder, watch, told = watched
    (folder / "alone.car").write_text("c = search Process:Create where exe = ")
    watch.look()
    assert watch.look() is None
    assert "alone cannot be used" in told.getvalue()
    assert "those before go on" in told.getvalue()
    assert "CE1" in told.getvalue()
    said = told.getvalue()
    assert watch.look() is None
    assert told.getvalue() == said, "it is said once"
    (folder / "alone.car").write_text(ALONE.format("mended.exe"))
    watch.look()
    assert watch.look() is not None
    for path in folder.iterdir():
        path.unlink()
    watch.look()
    assert watch.look() is None, "an empty folder is an accident"


def test_the_signature_of_what_is_not_there(tmp_path: Path) -> None:
    assert signature_of((str(tmp_path / "none"),)) == {}


def test_the_rules_of_a_running_hunt_change(tmp_path: Path) -> None:
    """A window that is open goes on, a changed rule finds what it says now, a broken one is told."""
    hunt = Hunt(tmp_path)
    rules = tmp_path / "rules"
    (rules / "r.car").write_text(PAIRS)
    (rules / "alone.car").write_text(ALONE.format("c.exe"))
    write(hunt.log, event("a.exe", 0), event("c.exe", 1))
    process = hunt.start("--reload")
    stderr = process.stderr
    assert stderr is not None
    told: list[str] = []

    def wait(words: str) -> None:
        while words not in (line := stderr.readline().decode()):
            assert line, told
            told.append(line)
        told.append(line)

    def wait_for(count: int) -> None:
        until = time.monotonic() + 60
        while hunt.read() < count and time.monotonic() < until:
            time.sleep(0.02)

    try:
        wait_for(2)
        (rules / "alone.car").write_text(ALONE.format("d.exe"))
        wait("rules reloaded: 2 rules")
        assert "1 as before; 1 changed: alone" in told[-1]
        (rules / "alone.car").write_text("c = ")
        wait("those before go on")
        write(hunt.log, event("c.exe", 2), event("d.exe", 3), event("b.exe", 4))
        wait_for(5)
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
    assert hunt.read() == 5
    found = [line for line in hunt.matches() if line]
    named = sorted(line.split('"output":"')[1].split('"')[0] for line in found)
    assert named == ["c", "c", "pairs"]
    assert any("c.exe" in line for line in found)
    assert any("d.exe" in line for line in found)


def test_reload_is_for_rules_that_are_named_while_files_are_followed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["hunt", str(tmp_path), "--reload"]) == 2
    assert "--reload is for --follow" in capsys.readouterr().err
    assert main(["hunt", str(tmp_path), "--reload", "--follow"]) == 2
    assert "--reload is for rules that -r names" in capsys.readouterr().err


@pytest.mark.parametrize("path", sorted(STATES.glob("*.json")), ids=lambda path: path.stem)
def test_states_of_earlier_versions(path: Path) -> None:
    """Stored states: the same rule goes on with its window; of other rules the positions do, and
    what was held is said to be dropped."""
    pairs = carengine.parse_rule(
        'a = search Process:Create where exe = "a.exe" b = search Process:Create where '
        'exe = "b.exe" pairs = join (a, b) where (a.hostname = b.hostname and '
        "a.time < b.time < a.time + 1 hour) output pairs"
    )
    engine = carengine.Engine([pairs], "car")
    state = path.read_bytes()
    update = engine.load_session(state, update=True)
    found = [*update.feed(event("b.exe", 9)), *update.flush()]
    # A later version may read rules in another way; then the window is dropped, and that is said.
    dropped = update.updated is not None and bool(update.updated.diagnostics)
    assert len(found) == (0 if dropped else 1)
    other = carengine.Engine([carengine.parse_rule(ALONE.format("c.exe"))], "car")
    with pytest.raises(carengine.CarError, match="CE543"):
        other.load_session(state)
    session = other.load_session(state, update=True)
    assert session.attached == {"positions": []}
    assert session.stats.events == 1
    assert session.updated is not None
    [said] = session.updated.diagnostics
    assert said.code.id == "CE557"
    assert "earlier version" in said.notes[0]
