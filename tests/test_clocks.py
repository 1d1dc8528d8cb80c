"""Events with two clocks hours apart: said once for a run, with where, which, and how far."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from carengine import Engine, Origin, Session, parse_rule
from carengine.cli import main
from carengine.diagnostics import Diagnostic, codes
from carengine.fieldmap import find_maps, normalize

RULE = 'p = search Process:Create where command_line = "*x*"\noutput p\n'
SYSMON = "Microsoft-Windows-Sysmon/Operational"
START = datetime(2026, 3, 1, 8, tzinfo=UTC)


def session() -> Session:
    return Engine([parse_rule(RULE, "r.car")]).session()


def sysmon(time: datetime, **others: datetime) -> dict[str, Any]:
    texts = {
        name: value.isoformat() if name == "@timestamp" else f"{value:%Y-%m-%d %H:%M:%S}"
        for name, value in others.items()
    }
    utc = f"{time:%Y-%m-%d %H:%M:%S}.100"
    return {"Channel": SYSMON, "EventID": 1, "Image": "a.exe", "UtcTime": utc, **texts}


def said(fed: Session) -> list[Diagnostic]:
    return [item for item in fed.diagnostics if item.code is codes.TWO_CLOCKS]


def shifted(*hours: float, name: str = "EventTime", number: int = 40) -> list[dict[str, Any]]:
    """Events a minute apart, the other clock these hours ahead in turn."""
    events = []
    for place in range(number):
        time = START + timedelta(minutes=place)
        ahead = timedelta(hours=hours[place % len(hours)])
        events.append(sysmon(time, **{name: time + ahead}))
    return events


def feed(events: list[dict[str, Any]], source: str = "a.json") -> Session:
    fed = session()
    for number, event in enumerate(events, 1):
        fed.feed(event, Origin(source, number))
    return fed


DISTANCES: dict[str, tuple[list[dict[str, Any]], str]] = {
    "behind": (shifted(-4), "UtcTime, which is used, and EventTime are 4 hours apart"),
    "ahead": (shifted(5.5), "EventTime are 5 hours 30 minutes apart"),
    "an hour": (shifted(1), "EventTime are 1 hour apart"),
    "one event": (shifted(3)[:1], "EventTime are 3 hours apart"),
    "replayed": (
        shifted(9000, 9001, name="@timestamp"),
        "@timestamp are 375 days apart",
    ),
    "not constant": (shifted(2, 7), "EventTime are between 2 hours and 7 hours apart"),
    "either way": (shifted(2, -7), "EventTime are up to 7 hours apart, either way"),
}


@pytest.mark.parametrize("name", DISTANCES)
def test_what_is_said(name: str) -> None:
    events, expected = DISTANCES[name]
    if name == "replayed":
        for event in events:
            event.pop("EventTime", None)
    [found] = said(feed(events))
    assert expected in found.message
    assert "in a.json" in found.message


QUIET: dict[str, list[dict[str, Any]]] = {
    "one clock": [sysmon(START)],
    "shipped minutes later": shifted(0.5, 0.01, name="@timestamp"),
    "a few late ones": shifted(0.1, 0.1, 0.1, 9, name="@timestamp"),
    # NXLog's EventTime is local, and what else is there says by how much.
    "local time that is known": [
        sysmon(START, EventTime=START - timedelta(hours=4), **{"@timestamp": START})
    ],
    "no time at all": [{"Channel": SYSMON, "EventID": 1, "UtcTime": "x", "EventTime": "y"}],
}


@pytest.mark.parametrize("name", QUIET)
def test_what_is_not_said(name: str) -> None:
    assert said(feed(QUIET[name])) == []


def test_once_for_a_run_of_many_files() -> None:
    fed = session()
    for name in "abcdefgh":
        for number, event in enumerate(shifted(-4)):
            fed.feed(event, Origin(f"{name}.json", number))
    [found] = said(fed)
    assert "in a.json" in found.message
    assert "in b.json" in found.notes[0]
    assert "and 3 more pairs of clocks or files" in found.notes


def test_other_events_have_the_clock_that_sysmon_falls_back_on() -> None:
    """An event of Sysmon without its own time is timed as one of Security is."""
    others = {"EventTime": "2026-03-01 04:00:00", "@timestamp": "2026-03-01T08:00:02Z"}
    [one] = normalize({"Channel": SYSMON, "EventID": 1, "Image": "a.exe", **others}, find_maps())
    two = next(iter(normalize({"Channel": "Security", "EventID": 4688, **others}, find_maps())))
    assert one.time == two.time == int(START.timestamp()) * 1_000_000


@pytest.mark.parametrize("jobs", [1, 2])
def test_the_command_line_says_it(
    jobs: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rule = tmp_path / "r.car"
    rule.write_text(RULE)
    path = tmp_path / "a.json"
    path.write_text("".join(json.dumps(event) + "\n" for event in shifted(-4, number=500)))
    assert main(["hunt", "-r", str(rule), "--jobs", str(jobs), str(path)]) == 0
    shown = capsys.readouterr().err
    assert shown.count("CE551") == 1
    assert f"events in {path} have two clocks: UtcTime, which is used, and EventTime are" in shown


def test_a_saved_session_goes_on(tmp_path: Path) -> None:
    fed = feed(shifted(-4))
    fed.save(tmp_path / "state")
    again = fed.engine.load_session(tmp_path / "state")
    assert said(again) == said(fed)
