"""Real logs: the published true positives, the Mordor archives, and the events of our own shapes in
them.

All of this needs the shared data beside the checkout, and is skipped without it.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import carengine
from carengine.engine import Engine, interpret
from carengine.fieldmap import installed_maps
from carengine.readers import read_events

SHARED = Path(__file__).parents[1].parent / "shared"
if not SHARED.is_dir():
    pytest.skip("the shared data is not here", allow_module_level=True)

TRUE = SHARED / "car" / "true_positives"
SEED = SHARED / "car" / "CAR-2019-08-001.md"
DUMP = SHARED / "mordor-2019" / "interactive_taskmngr_lsass_dump.tar.gz"
YEAR_2019 = sorted((SHARED / "mordor-2019").glob("*.tar.gz"))
# Archives of moderate size; all of them are read by `benchmarks`, a test has to be quick.
LARGEST = 600_000
RECENT = [p for p in sorted((SHARED / "mordor").glob("*.zip")) if p.stat().st_size < LARGEST]

RULES = carengine.load_rules(carengine.shipped_rules())
SHIPPED = Engine(RULES)
ONE = Engine(carengine.load_rules(SEED))


def events(path: Path) -> Iterator[dict[str, Any]]:
    for record in read_events(path):
        yield record.event


def ids(engine: Engine, path: Path) -> Counter[str]:
    return Counter(match.rule.id for match in engine.run(events(path)))


def stem(path: Path) -> str:
    return path.name.partition(".")[0]


@pytest.mark.parametrize(
    "path",
    [
        TRUE / "CAR-2019-08-001-mordor-01.json",
        TRUE / "CAR-2019-08-001-mordor-01-snippet.json",
        DUMP,
    ],
    ids=stem,
)
def test_the_seed_page_matches_exactly_one_event(path: Path) -> None:
    [match] = ONE.run(events(path))
    [event] = match.events
    assert (match.rule.id, match.output) == ("CAR-2019-08-001", "lsass_dump")
    assert event.fields["file_name"].lower() == "lsass.dmp"
    path_there = "c:\\users\\pgustavo\\appdata\\local\\temp\\lsass.dmp"
    assert event.fields["file_path"].lower() == path_there
    assert event.fields["exe"] == "taskmgr.exe"
    assert event.fields["hostname"].lower() == "it001"
    assert match.as_json()["time"].startswith("2019-10-27T05:45:39.85")


@pytest.mark.parametrize("path", [p for p in YEAR_2019 if p != DUMP], ids=stem)
def test_the_seed_page_matches_nothing_in_the_other_archives(path: Path) -> None:
    session = ONE.session()
    reading = read_events(path)
    for record in reading:
        assert session.feed(record.event) == []
    stats = session.stats
    assert stats.events > 0
    assert reading.records == stats.shaped + stats.unrecognised + reading.unreadable


@pytest.mark.parametrize("path", sorted(TRUE.glob("*.json")), ids=stem)
def test_published_true_positives_match_their_rules(path: Path) -> None:
    wanted = path.name[: len("CAR-2019-08-001")]
    assert ids(SHIPPED, path)[wanted] == 1


@pytest.mark.parametrize("key", ["file_name", "process_path", "event_id", "log_name"])
def test_the_published_event_without_a_field_does_not_match(key: str) -> None:
    [event] = events(TRUE / "CAR-2019-08-001-mordor-01-snippet.json")
    assert len(list(ONE.run([event]))) == 1
    without = {name: value for name, value in event.items() if name != key}
    # The name of the log and that of its source stand in for each other.
    assert len(list(ONE.run([without]))) == (key == "log_name")


@pytest.mark.parametrize("path", [*RECENT, DUMP], ids=stem)
def test_archives_are_read_and_everything_is_accounted_for(path: Path) -> None:
    reading = read_events(path)
    session = SHIPPED.session()
    for record in reading:
        session.feed(record.event)
    session.flush()
    stats = session.stats
    # One archive holds a packet capture, which is said.
    assert reading.records or reading.diagnostics
    assert reading.records == stats.shaped + stats.unrecognised + reading.unreadable
    assert stats.claimed_twice == 0
    assert sum(stats.recognised.values()) == stats.shaped


@pytest.mark.parametrize("path", [DUMP, *RECENT[:3]], ids=stem)
def test_the_engine_is_the_interpreter_on_real_events(path: Path) -> None:
    some = [event for number, event in enumerate(events(path)) if number % 7 == 0][:400]

    def told(matches: Any) -> list[tuple[str, str, int | None]]:
        return [(match.rule.id, match.output, match.time) for match in matches]

    stateless = [rule for rule in RULES if rule.stateless]
    assert told(Engine(stateless).run(some)) == told(interpret(stateless, some, installed_maps()))


def test_matches_are_plain_data() -> None:
    for match in SHIPPED.run(events(TRUE / "CAR-2019-08-001-mordor-01.json")):
        data = json.loads(json.dumps(match.as_json()))
        assert data["events"][0]["object"] == "file"
        assert data["events"][0]["event"]["_source"]["event_id"] == 11
        assert "event" not in match.as_json(raw=False)["events"][0]
