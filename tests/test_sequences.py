"""Sequences: the node against the reference, and both against the engine of the eql package."""

from __future__ import annotations

import importlib.util
import json
import os
import random
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from carengine.diagnostics import Block
from carengine.engine import Engine, Match, interpret_streams
from carengine.languages.eql.reader import read
from carengine.languages.query import as_rule, native_map
from carengine.values import format_time, time_of
from streams import SECOND, stream_options

EXAMPLES = int(os.environ.get("CARENGINE_FUZZ") or 150)
START = 1_714_557_600 * SECOND
FIELDS = ("a", "b")
SETTINGS = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))


@st.composite
def queries(draw: st.DrawFn, *, of_package: bool = False) -> str:
    """The text of a sequence or a join."""
    word = draw(st.sampled_from(["sequence", "sequence", "sequence", "join"]))
    ordered = word == "sequence"
    shared = draw(st.booleans())
    span = draw(st.sampled_from([None, 1, 3, 10])) if ordered else None
    own = not shared and draw(st.booleans())
    text = word
    if shared:
        text += f" by {draw(st.sampled_from(FIELDS))}"
    if span is not None:
        text += f" with maxspan={span}s"

    def term(*, absent: bool = False) -> str:
        kind = draw(st.sampled_from(["x", "y", "any"]))
        made = f"[{kind} where n {draw(st.sampled_from(['<=', '>=']))} {draw(st.integers(0, 3))}]"
        if own:
            made += f" by {draw(st.sampled_from(FIELDS))}"
        if not absent and not of_package and ordered and draw(st.integers(0, 5)) == 0:
            made += " with runs=2"
        return f"!{made}" if absent else made

    for number in range(draw(st.integers(2, 3))):
        missing = not of_package and ordered and (number or span is not None)
        if missing and draw(st.integers(0, 4)) == 0:
            text += f" {term(absent=True)}"
        text += f" {term()}"
    if span is not None and not of_package and draw(st.integers(0, 4)) == 0:
        text += f" {term(absent=True)}"
    if draw(st.integers(0, 3)) == 0:
        text += f" until {term()}".replace(" with runs=2", "")
    return text


@st.composite
def logs(draw: st.DrawFn, *, complete: bool = False) -> list[dict[str, Any]]:
    """Events from a small world, in the order of their times."""
    times = draw(st.lists(st.integers(0, 30), max_size=16, unique=complete))
    values = st.sampled_from(["p", "q"] if complete else ["p", "q", "P", None])
    made = []
    for number, second in enumerate(sorted(times)):
        event = {
            "event_type": draw(st.sampled_from(["x", "y"])),
            "n": draw(st.integers(0, 3)),
            "a": draw(values),
            "b": draw(values),
            "serial": number,
            "time": format_time(START + second * SECOND),
        }
        made.append({key: value for key, value in event.items() if value is not None})
    return made


def engine_of(text: str) -> Engine:
    """The engine of a query over events with its own names."""
    reading = read(Block.of(text))
    assert reading.program is not None, reading.diagnostics
    return Engine([as_rule(reading, "query")], native_map(reading))


def serials(match: Match) -> tuple[int, ...]:
    """The events of a match."""
    return tuple(event.event["serial"] for event in match.events)


@SETTINGS
@given(
    queries(),
    logs(),
    st.sampled_from([None, 0, 2 * SECOND]),
    st.sampled_from([None, 5 * SECOND]),
    st.integers(0, 1000),
)
def test_the_node_does_what_the_reference_says(
    text: str, events: list[dict[str, Any]], lateness: int | None, horizon: int | None, seed: int
) -> None:
    note(text)
    engine = engine_of(text)
    expected = interpret_streams(engine.rules, events, engine.maps, horizon=horizon)
    order = list(events)
    if lateness is None:
        random.Random(seed).shuffle(order)
    found = engine.run(order, stream_options(lateness=lateness, horizon=horizon))
    assert sorted(map(serials, found)) == sorted(map(serials, expected))


@SETTINGS
@given(queries(), logs(), st.integers(0, 16))
def test_a_saved_session_goes_on(text: str, events: list[dict[str, Any]], cut: int) -> None:
    note(text)
    engine = engine_of(text)
    options = stream_options(lateness=0)
    expected = [serials(match) for match in engine.run(events, options)]
    session = engine.session(options)
    found = [serials(m) for event in events[:cut] for m in session.feed(event)]
    with tempfile.TemporaryDirectory() as folder:
        session.save(f"{folder}/state")
        session = engine.load_session(f"{folder}/state")
    found += [serials(m) for event in events[cut:] for m in session.feed(event)]
    found += [serials(match) for match in session.flush()]
    assert sorted(found) == sorted(expected)
    assert session.held == (0, 0)


def by_the_package(text: str, events: list[dict[str, Any]]) -> list[tuple[int, ...]]:
    """What the engine of the eql package finds."""
    if importlib.util.find_spec("eql") is None:
        pytest.skip("the package eql is not installed")
    from eql.engine import PythonEngine
    from eql.events import Event
    from eql.parser import allow_runs, parse_query

    package = PythonEngine({"flatten": False})
    theirs: list[tuple[int, ...]] = []
    with allow_runs:
        package.add_query(parse_query(text, implied_any=True))
    package.add_output_hook(
        lambda found: theirs.append(tuple(event.data["serial"] for event in found.events))
    )

    def ticks(event: dict[str, Any]) -> int:
        return int((time_of(event["time"]) or 0) // SECOND) * 10_000_000

    package.stream_events(Event(event["event_type"], ticks(event), event) for event in events)
    return theirs


@SETTINGS
@given(queries(of_package=True), logs(complete=True))
def test_the_package_finds_the_same(text: str, events: list[dict[str, Any]]) -> None:
    note(text)
    ours = [serials(match) for match in engine_of(text).run(events)]
    assert sorted(ours) == sorted(by_the_package(text, events))


MORDOR = Path(__file__).parents[2] / "shared" / "mordor"
ARCHIVES = sorted(MORDOR.glob("*.zip"))
KINDS = {1: "process", 3: "network", 7: "library", 11: "file", 13: "registry"}
ON_REAL_LOGS = [
    "sequence by ProcessGuid [process where true] [network where true]",
    "sequence by ProcessGuid with maxspan=300s [process where true] [file where true] [file where true]",
    "sequence by host with maxspan=100s [file where true] [process where true] until [network where true]",
    "sequence [process where true] by ProcessGuid [process where true] by ParentProcessGuid",
    "sequence by host [process where Image == '*powershell.exe'] [registry where true]",
    "join by ProcessGuid [process where true] [library where true] until [registry where true]",
]


def sysmon_of(archive: Path, most: int) -> list[dict[str, Any]]:
    """The Sysmon events of a recording, one each second in the order of their times."""
    found = []
    with zipfile.ZipFile(archive) as packed:
        for name in (name for name in packed.namelist() if name.endswith(".json")):
            for line in packed.read(name).decode("utf-8", "replace").splitlines():
                event = json.loads(line) if line.startswith("{") else {}
                if "Sysmon" in str(event.get("Channel")) and event.get("EventID") in KINDS:
                    found.append(event)
    keys = ("ProcessGuid", "ParentProcessGuid", "Image")
    return [
        {"event_type": KINDS[event["EventID"]], "serial": number, "host": event.get("Hostname")}
        | {"time": format_time(START + number * SECOND)}
        | {key: event[key] for key in keys if event.get(key)}
        for number, event in enumerate(sorted(found, key=lambda one: str(one.get("UtcTime"))))
    ][:most]


@pytest.mark.skipif(not ARCHIVES, reason="the shared data is not here")
@pytest.mark.parametrize(
    "archive",
    ARCHIVES if os.environ.get("CARENGINE_SOAK") else ARCHIVES[:2],
    ids=lambda path: path.stem,
)
def test_the_package_finds_the_same_in_recordings(archive: Path) -> None:
    events = sysmon_of(archive, 100_000 if os.environ.get("CARENGINE_SOAK") else 1_500)
    for text in ON_REAL_LOGS:
        # The package has sequences with a null key, Elasticsearch and we have none.
        keyed = [event for event in events if "ProcessGuid" in event]
        ours = [serials(match) for match in engine_of(text).run(keyed)]
        assert sorted(ours) == sorted(by_the_package(text, keyed)), text


TABLE = [
    ("sequence with maxspan=5s [x where n == 1] [x where n == 2]", "1@0 2@5", [(0, 1)]),
    ("sequence with maxspan=5s [x where n == 1] [x where n == 2]", "1@0 2@6", []),
    ("sequence [x where n == 1] [x where n == 2]", "1@0 1@1 2@2 2@3", [(1, 2)]),
    ("sequence [x where n == 1] with runs=3", "1@0 1@1 1@2 1@3", [(0, 1, 2), (1, 2, 3)]),
    ("sequence [x where n == 1] ![x where n == 2] [x where n == 3]", "1@0 2@1 3@2", []),
    ("sequence [x where n == 1] ![x where n == 2] [x where n == 3]", "1@0 3@2", [(0, 1)]),
    # Nothing of it in the time before.
    ("sequence with maxspan=5s ![x where n == 2] [x where n == 1]", "2@0 1@5", []),
    ("sequence with maxspan=5s ![x where n == 2] [x where n == 1]", "2@0 1@6", [(1,)]),
    ("sequence with maxspan=5s ![x where n == 1] [x where n == 1]", "1@0 1@4 1@8", [(0,)]),
    # Nothing of it in the time behind.
    ("sequence with maxspan=5s [x where n == 1] ![x where n == 2]", "1@0 2@5", []),
    ("sequence with maxspan=5s [x where n == 1] ![x where n == 2]", "1@0 2@6", [(0,)]),
    ("sequence with maxspan=5s [x where n == 1] ![x where n == 2]", "1@0", [(0,)]),
    ("sequence [x where n == 1] [x where n == 2] until [x where n == 3]", "1@0 3@1 2@2", []),
    ("join [x where n == 1] [x where n == 2]", "2@0 1@1 1@2", [(1, 0)]),
    ("sample [x where n == 1] [x where n == 2]", "2@0 1@1", [(1, 0)]),
]


@pytest.mark.parametrize(("query", "log", "found"), TABLE)
def test_what_sequences_mean(query: str, log: str, found: list[tuple[int, ...]]) -> None:
    events = [
        {
            "event_type": "x",
            "n": int(item.partition("@")[0]),
            "serial": number,
            "time": format_time(START + int(item.partition("@")[2]) * SECOND),
        }
        for number, item in enumerate(log.split())
    ]
    assert [serials(match) for match in engine_of(query).run(events)] == found
