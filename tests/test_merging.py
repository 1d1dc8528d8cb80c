"""Records of one happening as one: what goes by is held to the plain reference."""

from __future__ import annotations

import json
import os
import random
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

import carengine
import sigma_rules
from carengine.engine import Engine, Match, interpret_streams
from carengine.fieldmap import parse_map
from carengine.loading import parse_rule
from carengine.values import format_time, time_of
from streams import HORIZON, SECOND, events, programs
from test_streams import arrival, canonical

EXAMPLES = int(os.environ.get("CARENGINE_FUZZ") or 120)
WITHIN = SECOND
MAP = parse_map(
    """
name: twice
recognise: action exists
shared: {all: {"*": "*"}}
entries:
"""
    + "".join(
        f"""
  - kind: process/{action}
    when: object = "process" and action = "{action}" and teller = "{teller}"
    use: [all]
    sensor: {{name: {teller}, rank: {rank}, by: [hostname, pid], within: 1 s, time: recorded}}
"""
        for action in ("create", "terminate")
        for rank, teller in ((2, "red"), (1, "blue"), (3, "grey"))
    )
    + """
  - kind: file/create
    when: object = "file" and action = "create"
    use: [all]
"""
)


@st.composite
def told(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Events of several tellers: what one tells is told by others, by some with less."""
    chance = random.Random(draw(st.integers(0, 1 << 30)))
    found = []
    for event in draw(events()):
        found.append({**event, "teller": chance.choice(("red", "blue", "grey"))})
        if chance.random() < 0.6:
            other = {**event, "teller": chance.choice(("red", "blue", "grey"))}
            for name in ("user", "ppid", "exe"):
                if chance.random() < 0.3:
                    other.pop(name, None)
            time = time_of(event.get("time"))
            if time is not None:
                other["time"] = format_time(time + chance.randint(-1, 1) * SECOND // 2)
            found.append(other)
    for event in found:
        time = time_of(event.get("time"))
        if time is not None and chance.random() < 0.5:
            # A record is written after what it tells of, by at most the distance.
            event["recorded"] = format_time(time + chance.randint(0, 4) * WITHIN // 4)
    return found


def with_others(match: Match) -> tuple[Any, ...]:
    """A match with all that it names."""
    return (
        *canonical(match),
        tuple(
            tuple((str(one.time), repr(one.event), repr(dict(one.fields))) for one in event.also)
            for event in match.events
        ),
    )


def options(lateness: int | None) -> carengine.StreamOptions:
    told_lateness = None if lateness is None else f"{lateness} us"
    return carengine.StreamOptions(lateness=told_lateness, merge=True)


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(programs(), told(), st.sampled_from([None, 0, 2 * SECOND, 60 * SECOND]), st.integers(0, 999))
def test_what_goes_by_equals_the_reference(
    text: str, found: list[dict[str, Any]], lateness: int | None, seed: int
) -> None:
    note(text)
    rule = parse_rule(text)
    expected = sorted(
        map(with_others, interpret_streams([rule], found, MAP, horizon=HORIZON, merge=True))
    )
    order = list(found)
    if lateness is None:
        random.Random(seed).shuffle(order)
    else:
        # A record waits for what comes late by the distance at most.
        order = arrival(found, min(lateness, WITHIN), seed)
    got = list(Engine([rule], MAP).run(order, options(lateness)))
    assert sorted(map(with_others, got)) == expected


@settings(max_examples=EXAMPLES // 2, deadline=None, suppress_health_check=list(HealthCheck))
@given(programs(), told(), st.sampled_from([None, 2 * SECOND]), st.integers(0, 24))
def test_saved_cut_and_put_together(
    text: str, found: list[dict[str, Any]], lateness: int | None, cut: int
) -> None:
    """A session that was saved, lines, and parts of the data give what one session gives."""
    rule = parse_rule(text)
    engine = Engine([rule], MAP)
    wanted = options(lateness)
    expected = [with_others(match) for match in engine.run(found, wanted)]
    session = engine.session(wanted)
    got = [with_others(m) for event in found[:cut] for m in session.feed(event)]
    held = session.dump()
    session = engine.load_session(held)
    got += [with_others(m) for event in found[cut:] for m in session.feed(event)]
    got += [with_others(match) for match in session.flush()]
    assert got == expected
    assert session.held == (0, 0)
    lines = [json.dumps(event).encode() for event in found]
    assert sorted(map(with_others, Engine([rule], MAP).lines(lines, wanted))) == sorted(expected)
    parts = [engine.partial(part, wanted) for part in (found[:cut], found[cut:])]
    assert [with_others(match) for match in engine.merge(parts)] == expected
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "x.jsonl")
        path.write_bytes(b"\n".join(lines) + b"\n")
        with carengine.Run(engine, [path], options=wanted, start="fork") as run:
            plain = sorted(with_others(match) for match in run if isinstance(match, Match))
    assert plain == sorted(expected)


SYSMON = {
    "Channel": "Microsoft-Windows-Sysmon/Operational",
    "EventID": 1,
    "Computer": "ws1.example.org",
    "ProcessId": "4660",
    "Image": "C:\\Windows\\System32\\net.exe",
    "CommandLine": "net user",
    "ParentImage": "C:\\Windows\\explorer.exe",
    "UtcTime": "2024-05-20 09:00:00.000",
    "TimeCreated": "2024-05-20T09:00:00.005Z",
}
SECURITY = {
    "Channel": "Security",
    "EventID": 4688,
    "Computer": "WS1.example.org",
    "NewProcessId": "0x1234",
    "NewProcessName": "c:\\windows\\system32\\NET.EXE",
    "TimeCreated": "2024-05-20T09:00:00.003Z",
}
FLOW = {
    "Channel": "Microsoft-Windows-Sysmon/Operational",
    "EventID": 3,
    "Computer": "ws1",
    "ProcessId": 4660,
    "Protocol": "tcp",
    "SourceIp": "10.0.0.1",
    "SourcePort": "50000",
    "DestinationIp": "10.0.0.2",
    "DestinationPort": 445,
    "TimeCreated": "2024-05-20T09:00:02.003Z",
}
PLATFORM = {
    "Channel": "Security",
    "EventID": 5156,
    "Computer": "ws1",
    "ProcessID": "4660",
    "Protocol": "6",
    "SourceAddress": "10.0.0.1",
    "SourcePort": "50000",
    "DestAddress": "10.0.0.2",
    "DestPort": "445",
    "TimeCreated": "2024-05-20T09:00:01.003Z",
}
ALONE = '---\nid: ALONE\n---\na = search Process:Create where exe = "net.exe" output a'
PARENT = (
    '---\nid: PARENT\n---\na = search Process:Create where parent_exe = "explorer.exe" output a'
)
GROUP = (
    '---\nid: GROUP\n---\na = search Process:Create where exe = "net.exe"\n'
    "g = group a by hostname within 1 minute\nm = filter g where count(*) > 1\noutput m"
)
FLOWS = "---\nid: FLOWS\n---\na = search Flow:Start where dest_port = 445 output a"
SIGMA = """
title: net
id: 0b1e1c1e-0000-4000-8000-000000000001
logsource: {category: process_creation, product: windows}
detection: {s: {Image|endswith: '\\net.exe'}, condition: s}
"""
MERGED = carengine.StreamOptions(merge=True)


@pytest.mark.parametrize(
    ("text", "records", "apart", "together"),
    [
        (ALONE, [SYSMON, SECURITY], 2, [1]),
        (PARENT, [SYSMON, SECURITY], 1, [0]),
        (GROUP, [SYSMON, SECURITY], 1, []),
        (FLOWS, [PLATFORM, FLOW], 2, [1]),
        (SIGMA, [SECURITY, SYSMON], 2, [1]),
        # Other sensors, another process, another host, another time: nothing is merged.
        (ALONE, [SYSMON, SYSMON], 2, [0, 0]),
        (ALONE, [SYSMON, {**SECURITY, "NewProcessId": "0x1235"}], 2, [0, 0]),
        (ALONE, [SYSMON, {**SECURITY, "Computer": "ws2"}], 2, [0, 0]),
        (ALONE, [SYSMON, {**SECURITY, "TimeCreated": "2024-05-20T09:00:05.006Z"}], 2, [0, 0]),
        (ALONE, [SYSMON, {**SECURITY, "TimeCreated": "2024-05-20T09:00:05.005Z"}], 2, [1]),
        (ALONE, [SYSMON, SECURITY, SECURITY], 3, [1, 0]),
        (FLOWS, [PLATFORM, {**FLOW, "SourcePort": 50001}], 2, [0, 0]),
    ],
)
def test_what_is_one(
    text: str, records: list[dict[str, Any]], apart: int, together: list[int]
) -> None:
    [rule] = sigma_rules.load(text) if text is SIGMA else [parse_rule(text)]
    engine = Engine([rule])
    assert len(list(engine.run(records))) == apart
    for order in (records, records[::-1]):
        found = list(engine.run(order, MERGED))
        assert sorted(len(e.also) for m in found for e in m.events) == sorted(together)


def test_the_record_with_most_to_say_stands_for_all() -> None:
    [match] = Engine([parse_rule(ALONE)]).run([SECURITY, SYSMON], MERGED)
    [event] = match.events
    assert event.event is SYSMON
    assert [one.event for one in event.also] == [SECURITY]
    shown = match.as_json(raw=False)["events"][0]
    assert shown["also"][0]["time"] == "2024-05-20T09:00:00.003Z"
    assert shown["fields"]["parent_exe"] == "explorer.exe"


def test_live_matches_come_when_nothing_can_belong_to_them() -> None:
    session = Engine([parse_rule(ALONE)]).session(
        carengine.StreamOptions(lateness="10 minutes", merge=True)
    )
    assert session.feed(SYSMON) == []
    assert session.feed(SECURITY) == []
    assert (
        session.feed({**SECURITY, "NewProcessName": "x", "TimeCreated": "2024-05-20T09:00:15Z"})
        == []
    )
    found = session.feed_line(
        json.dumps({**FLOW, "TimeCreated": "2024-05-20T09:00:15.100Z"}).encode()
    )
    assert [len(match.events[0].also) for match in found] == [1]
    assert session.merged == 1
    # One that is too late is told at once, and as it is.
    assert len(session.feed(SECURITY)) == 1
    # Nor does one wait when nothing comes.
    assert session.feed({**SYSMON, "UtcTime": "2024-05-20 09:00:26"}) == []
    assert len(session.release_waiting()) == 1
    assert session.release_waiting() == session.flush() == []


def test_more_than_can_wait_goes_on_and_is_counted() -> None:
    session = Engine([parse_rule(ALONE), parse_rule(GROUP)]).session(MERGED)
    assert session.own_flow is not None
    session.own_flow.waiting.most = 10
    found = []
    for number in range(40):
        time = f"2024-05-20T09:{number:02}:00Z"
        found += session.feed({**SYSMON, "UtcTime": time, "TimeCreated": time})
        assert session.own_flow.waiting.rows <= 10
    found += session.flush()
    assert len([match for match in found if match.rule.id == "ALONE"]) == 40
    assert session.account().early > 0
    assert [item.code.id for item in session.diagnostics] == ["CE560"]


def test_a_session_goes_on_with_other_rules() -> None:
    session = Engine([parse_rule(ALONE)]).session(MERGED)
    assert session.feed(SYSMON) == []
    session.update([parse_rule(ALONE), parse_rule(PARENT)])
    assert session.feed(SECURITY) == []
    assert [len(match.events[0].also) for match in session.flush()] == [1]
    session.feed(SYSMON)
    update = session.update([parse_rule(PARENT)])
    assert update.dropped["matches that waited for other records"] == 1


def test_what_is_not_merged_says_so() -> None:
    engine = Engine([parse_rule(ALONE)])
    with pytest.raises(ValueError, match=r"partial\(\) and merge\(\)"):
        engine.session(MERGED, partition=True)
    part = engine.partial([SYSMON], MERGED)
    with pytest.raises(carengine.CarError, match="merging off, and on is asked for"):
        list(engine.merge([part, engine.partial([SECURITY])]))


def test_a_map_with_a_sensor_that_cannot_be() -> None:
    text = """
name: own
recognise: a exists
entries:
  - kind: process/create
    when: a = 1
    fields: {pid: p}
    sensor: {name: x, by: [pid, hostname], within: soon, of: process/born, colour: red}
"""
    with pytest.raises(carengine.CarError) as caught:
        parse_map(text)
    told = " ".join(item.message for item in caught.value.diagnostics)
    for part in ("no field hostname", "within is", "no process/born", "no key colour"):
        assert part in told
