"""Rules that change while a session runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import carengine

SHELL = 'search Process:Create where exe = "cmd.exe"'
OTHER = 'search Process:Create where exe = "x.exe"'
BODIES = {
    "ALONE": f"a = {SHELL} output a",
    "GROUP": f"a = {SHELL}\ng = group a by hostname within 1 minute\n"
    "m = filter g where count(*) > 1\noutput m",
    "GROUP-TOO": f"a = {SHELL}\ng = group a by hostname within 1 minute\n"
    "m = filter g where count(*) > 2\noutput m",
    "JOIN": f"a = {SHELL}\nb = {OTHER}\n"
    "j = join (a, b) where a.hostname = b.hostname and a.time <= b.time <= a.time + 1 minute\n"
    "output j",
    "NEVER": f"a = {SHELL}\nb = {OTHER}\nd = a - b\noutput d",
    "RARE": f"a = {SHELL}\nc = filter a where pid in bottom 2 of a.pid\noutput c",
}


def rule(name: str, body: str) -> carengine.Rule:
    return carengine.parse_rule(f"---\nid: {name}\n---\n{body}")


RULES = {name: rule(name, body) for name, body in BODIES.items()}
NAMES = sorted(RULES)


def event(second: int, host: str, exe: str) -> dict[str, Any]:
    time = f"2024-05-20T09:{second // 60:02}:{second % 60:02}Z"
    return {
        "object": "process",
        "action": "create",
        "exe": exe,
        "hostname": host,
        "time": time if second else None,
        "pid": second % 7,
    }


EVENTS = st.lists(
    st.builds(
        event, st.integers(0, 400), st.sampled_from("ab"), st.sampled_from(("cmd.exe", "x.exe"))
    ),
    max_size=14,
)
OPTIONS = st.sampled_from((None, carengine.StreamOptions(lateness="2 minutes")))
SETS = st.sets(st.sampled_from(NAMES))


def texts(matches: Any, names: set[str]) -> list[str]:
    return [
        json.dumps(match.as_json(), sort_keys=True) for match in matches if match.rule.id in names
    ]


def of(names: set[str]) -> list[carengine.Rule]:
    return [RULES[name] for name in sorted(names)]


@settings(max_examples=60, deadline=None)
@given(EVENTS, st.integers(0, 14), SETS, SETS, OPTIONS, st.booleans())
def test_an_update_at_any_moment_is_as_if_the_rules_had_been_there(
    events: list[Any], moment: int, before: set[str], after: set[str], options: Any, saved: bool
) -> None:
    kept = before & after
    expected = texts(carengine.Engine(of(kept)).run(events, options), kept)
    session = carengine.Engine(of(before)).session(options)
    found = [match for one in events[:moment] for match in session.feed(one)]
    if saved:
        # A state that another process wrote, with other rules.
        session = carengine.Engine(of(after)).load_session(session.dump(), options, update=True)
        update = session.updated
    else:
        update = session.update(of(after))
        found += update.matches
    if update is not None:
        assert set(update.kept) == kept
        assert set(update.added) == after - before
        assert set(update.removed) == before - after
        assert not update.changed
    found += [match for one in events[moment:] for match in session.feed(one)]
    found += session.flush()
    assert sorted(texts(found, kept)) == sorted(expected)
    assert session.stats.events == len(events)


def test_what_was_dropped_is_named() -> None:
    session = carengine.Engine(of({"GROUP", "JOIN"})).session()
    for second in (1, 2):
        session.feed(event(second, "a", "cmd.exe"))
    changed = rule("GROUP", BODIES["GROUP"].replace("1 minute", "2 minutes"))
    update = session.update([changed, RULES["ALONE"]])
    assert (update.kept, update.changed, update.added) == ((), ("GROUP",), ("ALONE",))
    assert update.removed == ("JOIN",)
    assert set(update.dropped) >= {"a group of GROUP"} or update.dropped.total() == 4
    [diagnostic] = update.diagnostics
    assert diagnostic.code.id == "CE557"
    assert "4 rows" in diagnostic.message
    assert any("GROUP" in note for note in diagnostic.notes)
    assert any("JOIN" in note for note in diagnostic.notes)
    assert not session.update([changed, RULES["ALONE"]]).diagnostics
    assert session.held == (0, 0)


def test_rules_that_join_nothing_come_and_go() -> None:
    session = carengine.Engine(of({"ALONE"})).session()
    assert len(session.feed_line(json.dumps(event(1, "a", "cmd.exe")).encode())) == 1
    session.update(of({"GROUP"}))
    for second in (2, 3):
        assert not session.feed_line(json.dumps(event(second, "a", "cmd.exe")).encode())
    assert session.update(of({"ALONE"})).dropped.total() == 2
    assert not session.flush()
    assert session.stats.events == 3
    assert session.stats.matches == {"ALONE": 1}


def test_a_state_of_other_rules_is_refused_unless_told(tmp_path: Path) -> None:
    path = tmp_path / "state"
    carengine.Engine(of({"GROUP"})).session().save(path)
    other = carengine.Engine(of({"JOIN"}))
    with pytest.raises(carengine.CarError, match="other rules"):
        other.load_session(path)
    updated = other.load_session(path, update=True).updated
    assert updated is not None
    assert updated.removed == ("GROUP",)
    same = carengine.Engine(of({"GROUP"})).load_session(path, update=True)
    assert same.updated is None
