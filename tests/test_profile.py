"""A profile tells where the time went, and changes nothing else."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from carengine.cli import main, status
from carengine.engine import Engine, Match, Session
from carengine.engine.report import Profile
from carengine.loading import parse_rule
from carengine.runner import Run

RULES = {
    "ONE": 'a = search Process:Create where exe = "a*.exe" and user != "system" output a',
    "SAME": 'b = search Process:Create where exe = "a*.exe" and user != "system" output b',
    "NEVER": 'a = search Process:Create where exe = "zz.exe" output a',
    "OTHER": "a = search File:Delete output a",
    "JOIN": """
a = search Process:Create where exe = "a1.exe"
b = search Process:Terminate
c = join (a, b) where a.pid == b.pid
output c
""",
    "OWN": 'a = search Process:Create where exe = "a3.exe" and command_line = "*x*" output a',
    "WORD": 'a = search Process:Create where command_line = "*long word*" output a',
}
EVENTS: list[dict[str, Any]] = [
    {
        "object": "process",
        "action": action,
        "exe": f"a{n % 10}.exe",
        "user": "ann",
        "pid": n,
        "command_line": f"x {n}" if n % 20 == 3 else f"y {n}",
        "time": f"2024-05-01T10:{n // 60:02}:{n % 60:02}Z",
    }
    for n in range(300)
    for action in ("create", "terminate")
]


def engine() -> Engine:
    return Engine([parse_rule(text, f"{name}.car") for name, text in RULES.items()])


def told(found: Iterable[Match | bytes]) -> list[Any]:
    return [match if isinstance(match, bytes) else match.as_json() for match in found]


def test_what_is_counted() -> None:
    profile = Profile(engine())
    session = profile.session()
    matches = [match for event in EVENTS for match in session.feed(event)] + session.flush()
    assert told(matches) == told(engine().run(EVENTS))
    rows = profile.rows(session.stats)
    rules = {row.name: row for row in rows if row.kind == "rule"}
    assert set(rules) == set(RULES)
    own = rules["OWN"]
    assert (own.events, own.passes, own.matches) == (300, 15, 15)
    assert 15 <= own.tries <= 30
    assert (rules["NEVER"].tries, rules["NEVER"].seconds) == (0, 0)
    assert rules["OTHER"].events == 0
    # What two rules have in common is neither's.
    assert rules["ONE"].seconds == rules["SAME"].seconds == rules["ONE"].tries == 0
    assert rules["ONE"].matches == rules["SAME"].matches == 300
    [shared] = [row for row in rows if row.rules == ("ONE", "SAME")]
    assert (shared.kind, shared.tries, shared.passes) == ("shared rules", 300, 300)
    assert rules["JOIN"].seconds > 0
    assert {row.kind for row in rows} == {"rule", "shared rules", "class", "column", "phase"}
    assert any("command_line" in row.name for row in rows if row.kind == "column")
    assert sum(row.share for row in rows) == pytest.approx(1)
    assert all(row.seconds >= 0 for row in rows)
    assert [row.seconds for row in rows] == sorted((r.seconds for r in rows), reverse=True)


def test_without_a_profile_nothing_looks_on() -> None:
    plain = engine()
    session = plain.session()
    for event in EVENTS:
        session.feed(event)
    assert plain.observer is None
    assert type(session) is Session
    assert all(
        group.matcher.observer is None and group.match == group.matcher.match
        for _, group in plain.classify(EVENTS[0]).groups
    )


@pytest.mark.parametrize(
    "how", [{}, {"jobs": 2, "warm": 0}, {"jobs": 2, "start": "spawn", "warm": 0}]
)
def test_processes_are_summed(how: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text("\n".join(map(json.dumps, EVENTS)))
    with Run(engine(), [path], profile=True, piece=20_000, **how) as run:
        found = told(run)
    with Run(engine(), [path]) as plain:
        assert told(plain) == found
    assert run.profile is not None
    rows = run.profile.rows(run.session.stats)
    rules = {row.name: row for row in rows if row.kind == "rule"}
    assert (rules["OWN"].events, rules["OWN"].matches) == (300, 15)
    assert 15 <= rules["OWN"].passes <= 30  # lines may be tried in part first
    assert rules["JOIN"].seconds > 0
    assert sum(row.share for row in rows) == pytest.approx(1)
    phases = {row.name for row in rows if row.kind == "phase"}
    assert {"reading evidence", "telling what events are, and making matches"} <= phases


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, rules, hits = tmp_path / "x.jsonl", tmp_path / "rules", tmp_path / "hits.jsonl"
    path.write_text("\n".join(map(json.dumps, EVENTS)))
    rules.mkdir()
    for name, text in RULES.items():
        (rules / f"{name}.car").write_text(text)
    asked = ["hunt", str(path), "-r", str(rules), "--profile"]
    assert main([*asked, "-o", str(hits)]) == status.DONE
    out, err = capsys.readouterr()
    rows = [json.loads(line) for line in out.splitlines()]
    assert {row["name"] for row in rows if row["kind"] == "rule"} == set(RULES)
    [own] = [row for row in rows if row["name"] == "OWN"]
    assert own.keys() == {
        *("kind", "name", "title", "seconds", "share", "events", "tries", "passes", "matches")
    }
    [shared] = [row for row in rows if row["kind"] == "shared rules"]
    assert shared["rules"] == ["ONE", "SAME"]
    matches = len(hits.read_text().splitlines())
    assert f"{matches} matches: " in err
    assert main([*asked, "-f", "table", "--rows", "2"]) == status.DONE
    out, _ = capsys.readouterr()
    assert "shared by all rules" in out
    assert "1 row more" in out or "rows more" in out
    for more in (["-f", "csv"], ["--follow"]):
        assert main([*asked, *more]) == status.USAGE
        assert "profile" in capsys.readouterr().err
