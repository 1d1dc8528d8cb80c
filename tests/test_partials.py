"""Runs in two halves, sessions as bytes, and parts that are not the whole."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import carengine

SHARED = Path(__file__).parents[2] / "shared"
TEXTS = (
    '---\nid: ALONE\n---\na = search Process:Create where exe = "cmd.exe" output a',
    '---\nid: GROUP\n---\na = search Process:Create where exe = "cmd.exe"\n'
    "g = group a by hostname within 1 minute\nm = filter g where count(*) > 1\noutput m",
    "---\nid: JOIN\n---\n"
    'a = search Process:Create where exe = "cmd.exe"\nb = search Process:Create where exe = "x.exe"\n'
    "j = join (a, b) where a.hostname = b.hostname and a.time <= b.time <= a.time + 1 minute\n"
    "output j",
)
RULES = [carengine.parse_rule(text) for text in TEXTS]
ENGINE = carengine.Engine(RULES)


def event(second: int, host: str, exe: str) -> dict[str, Any]:
    time = f"2024-05-20T09:{second // 60:02}:{second % 60:02}Z"
    return {
        "object": "process",
        "action": "create",
        "exe": exe,
        "hostname": host,
        "time": time,
        "pid": second,
    }


EVENTS = st.lists(
    st.builds(
        event, st.integers(0, 400), st.sampled_from("ab"), st.sampled_from(("cmd.exe", "x.exe"))
    ),
    max_size=12,
)


def seen(matches: Any) -> list[str]:
    return sorted(json.dumps(match.as_json(), sort_keys=True) for match in matches)


@settings(max_examples=60)
@given(EVENTS, st.data())
def test_parts_together_are_the_whole(events: list[Any], data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(events)), max_size=3)))
    bounds = [0, *cuts, len(events)]
    parts = [ENGINE.partial(events[a:b], first=a + 1, source="x") for a, b in pairwise(bounds)]
    session = ENGINE.session()
    expected = [
        match
        for number, one in enumerate(events, 1)
        for match in session.feed(one, carengine.Origin("x", number))
    ] + session.flush()
    merged = ENGINE.session()
    found = list(ENGINE.merge(parts, merged))
    assert [match.as_json() for match in found] == [match.as_json() for match in expected]
    assert merged.stats.as_data() == session.stats.as_data()
    # An engine made anew, as on another machine, and the parts in any order.
    again = carengine.Engine(RULES)
    assert seen(again.merge(data.draw(st.permutations(parts)))) == seen(expected)


def test_parts_of_something_else_are_refused() -> None:
    part = ENGINE.partial([event(1, "a", "cmd.exe")], source="x")
    other = carengine.Engine(RULES[:1])
    late = carengine.StreamOptions(lateness="1m")
    first = ENGINE.partial([])
    cases: list[tuple[str, carengine.Engine, list[bytes]]] = [
        ("other rules", other, [part]),
        ("other options: lateness 1 minute", ENGINE, [first, ENGINE.partial([], late)]),
        ("check sum", ENGINE, [first, part.replace(b"cmd.exe", b"cmx.exe")]),
        ("not a state", ENGINE, [b"\xff\x00"]),
        ("of this version", ENGINE, [ENGINE.session().dump()]),
    ]
    for message, engine, parts in cases:
        with pytest.raises(carengine.CarError, match=message):
            list(engine.merge(parts))


def test_a_part_with_what_no_engine_writes_is_refused() -> None:
    from carengine.engine.saved_session import sealed

    state = json.loads(ENGINE.partial([event(1, "a", "cmd.exe")], source="x"))
    del state["sha256"]
    for name, value in (
        ("entries", [[1, [[[99, 0], []]], []]]),
        ("entries", [[1, [], [["x"]]]]),
        ("entries", 7),
        ("account", {}),
        ("options", {}),
        ("unread_objects", {"x": "y"}),
    ):
        data = sealed({**state, name: value}).encode()
        with pytest.raises(carengine.CarError, match="what no engine writes"):
            list(ENGINE.merge([data]))


@settings(max_examples=40)
@given(EVENTS, st.integers(0, 12))
def test_a_dumped_session_goes_on(events: list[Any], cut: int) -> None:
    expected = list(ENGINE.run(events))
    session = ENGINE.session()
    found = [match for one in events[:cut] for match in session.feed(one)]
    session = carengine.Engine(RULES).load_session(session.dump())
    found += [match for one in events[cut:] for match in session.feed(one)] + session.flush()
    assert [match.as_json() for match in found] == [match.as_json() for match in expected]


def test_a_damaged_dump_is_refused() -> None:
    data = ENGINE.session().dump()
    for damaged in (b"", data[:-2], data.replace(b'"events":[]', b'"events":[1]'), b"\xff"):
        with pytest.raises(carengine.CarError) as caught:
            ENGINE.load_session(damaged)
        assert caught.value.diagnostics[0].code.id == "CE543"


def test_a_part_of_the_data_gives_no_wrong_answers() -> None:
    with pytest.raises(carengine.CarError) as caught:
        ENGINE.session(partition=True)
    [diagnostic] = caught.value.diagnostics
    assert diagnostic.code.id == "CE556"
    assert diagnostic.notes[:2] == ("GROUP", "JOIN")
    session = carengine.Engine(RULES[:1]).session(partition=True)
    assert [m.rule.id for m in session.feed(event(1, "a", "cmd.exe"))] == ["ALONE"]


@pytest.mark.skipif(not (SHARED / "mordor").is_dir(), reason="no shared data")
def test_a_recording_in_parts() -> None:
    engine = carengine.Engine(carengine.load_rules(carengine.shipped_rules()))
    path = SHARED / "mordor" / "empire_schtasks_creation_standard_user.zip"
    events = [record.event for record in carengine.read_events(path)]
    parts = [engine.partial(events[n : n + 500]) for n in range(0, len(events), 500)]
    expected = [match.as_json(raw=False) for match in engine.run(events)]
    assert [match.as_json(raw=False) for match in engine.merge(parts)] == expected
