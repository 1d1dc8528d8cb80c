"""``normalize``: what is written is read back as the same CAR events, by JSON and by Parquet."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carengine import Engine, find_maps, load_rules, normalize, read_events
from carengine.cli import main, status
from carengine.datamodel import model
from carengine.fieldmap import CarEvent
from carengine.ir import EventKind
from carengine.resources import shipped_rules
from evidence_forms import EVENTS
from evtx_writer import evtx_of

SAMPLE = Path(__file__).parent / "samples" / "lsass_dump.jsonl"
SHARED = Path(__file__).parents[1].parent / "shared"
CAR = find_maps("car")
MODEL = model()


def own_time(event: CarEvent) -> tuple[Any, ...]:
    return event.kind, dict(event.fields), event.time


@given(st.data())
def test_the_car_map_reads_back_what_is_written(data: st.DataObject) -> None:
    spec = MODEL.objects[data.draw(st.sampled_from(sorted(MODEL.objects)))]
    action = data.draw(st.sampled_from(sorted(spec.actions)))
    # What is derived from another field (a base name of its path) is given by the map, too; leave
    # it to it.
    names = [n for n in spec.fields if n not in ("time", "proto_info") and "." not in n]
    text = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=9)
    value = text | st.integers(0, 99) | st.lists(text, min_size=1, max_size=2)
    fields = data.draw(st.fixed_dictionaries(dict.fromkeys(names, value)))
    time = data.draw(st.none() | st.integers(0, 2**50))
    event = CarEvent(EventKind(spec.name, action), fields, time, {})
    written = json.loads(json.dumps(event.as_json()))
    [found] = normalize(written, CAR)
    assert own_time(found) == own_time(event)


def test_what_is_below_proto_info_is_written_there() -> None:
    fields = {"proto_info": {"a": 1}, "proto_info.pipe": "x", "dest_port": 445}
    event = CarEvent(EventKind("flow", "message"), fields, None, {})
    assert event.as_json() == {
        "object": "flow",
        "action": "message",
        "proto_info": {"a": 1, "pipe": "x"},
        "dest_port": 445,
    }


def run(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    code = main(arguments)
    done = capsys.readouterr()
    return code, done.out, done.err


def test_lines(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "x.json").write_text('{"EventID": 1, "Image": "C:\\\\a.exe"}\n{"b": 1}\n5\n')
    code, out, err = run(["normalize", str(tmp_path / "x.json")], capsys)
    assert code == status.UNREADABLE
    assert [json.loads(line) for line in out.splitlines()] == [
        {
            "object": "process",
            "action": "create",
            "exe": "a.exe",
            "image_path": "C:\\a.exe",
            "origin": {"source": str(tmp_path / "x.json"), "record": 1},
        }
    ]
    assert "3 records = 1 recognised (0 of no CAR kind) + 1 not recognised + 1 unreadable" in err
    assert "1 CAR event written" in err


@cache
def engine() -> Engine:
    return Engine(load_rules(shipped_rules()))


@cache
def matches_in(*paths: Path) -> list[tuple[Any, ...]]:
    with read_events(*paths) as reading:
        matches = list(engine().run(record.event for record in reading))
    assert reading.unreadable == 0
    return [(m.rule.id, m.output, m.time, len(m.events)) for m in matches]


@pytest.mark.parametrize("suffix", ["jsonl", "parquet"])
def test_hunting_through_what_was_written_finds_the_same(
    suffix: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if suffix == "parquet":
        pytest.importorskip("pyarrow")
    inputs = [SAMPLE]
    inputs += sorted((SHARED / "zeek").glob("*.zip")) + sorted((SHARED / "evtx").glob("*.evtx"))
    target = tmp_path / f"events.{suffix}"
    code, _, _ = run(["normalize", *map(str, inputs), "-o", str(target), "-q"], capsys)
    assert code == status.DONE
    expected = matches_in(*inputs)
    assert expected
    assert matches_in(target) == expected


def test_parquet_holds_whatever_an_event_holds(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("pyarrow")
    awkward = [
        {"object": "process", "action": "create", "pid": 7, "exe": ["a", "b"], "user": "\ud800"},
        {"object": "flow", "action": "message", "proto_info": {"a": {"b": [1]}, "c": None}},
        {"object": "flow", "action": "message", "proto_info": "text", "time": "2024-05-01"},
    ]
    source, target = tmp_path / "x.json", tmp_path / "y.parquet"
    source.write_text("".join(json.dumps(event) + "\n" for event in awkward))
    code, _, _ = run(["normalize", str(source), "-o", str(target)], capsys)
    assert code == status.DONE
    with read_events(target) as reading:
        rows = [record.event for record in reading]
    assert reading.diagnostics == ()
    assert (rows[0]["pid"], json.loads(rows[0]["exe"])) == ("7", ["a", "b"])
    assert rows[1]["proto_info"] == {"a": '{"b":[1]}'}
    assert rows[2]["time"] == "2024-05-01T00:00:00.000000Z"
    assert [row["origin"]["record"] for row in rows] == [1, 2, 3]


@pytest.mark.parametrize(
    "arguments",
    [
        ["x.json", "-f", "parquet"],
        ["x.json", "-o", "x.json"],
        ["x.json", "-o", "/nowhere/at/all"],
        ["x.json", "-m", "no-such-map"],
    ],
)
def test_what_cannot_be_done(
    arguments: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("x.json").write_text("{}\n")
    code, out, err = run(["normalize", *arguments], capsys)
    assert (code, out) == (status.USAGE, "")
    assert err
    assert Path("x.json").read_text() == "{}\n"


def test_files_are_chosen_by_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("evtx")
    (tmp_path / "a.evtx").write_bytes(evtx_of(EVENTS))
    (tmp_path / "b.json").write_text("{}\n")
    code, out, _ = run(["normalize", str(tmp_path), "--include-files", "*.evtx"], capsys)
    assert code == status.DONE
    assert len(out.splitlines()) == 3
