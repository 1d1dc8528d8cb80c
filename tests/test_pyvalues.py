"""Events that a program hands over: Python's own objects in them, and those of numpy and pandas."""

from __future__ import annotations

import dataclasses
import enum
import ipaddress
import json
import uuid
from collections import OrderedDict, deque
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from fractions import Fraction
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import Any, NamedTuple

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import carengine
from carengine.engine import interpret, interpret_streams
from carengine.engine.report import FieldCoverage, explain
from carengine.fieldmap import find_maps, normalize
from carengine.jsontext import DEPTH
from carengine.pyvalues import plain_event
from carengine.values import time_of
from sigma_rules import FLAT, SYSMON, hits, load, with_detection

NOON = datetime(2026, 3, 1, 12)
ZONE = timezone(timedelta(hours=2))


class Colour(enum.Enum):
    RED = "red"
    AT = NOON


class Level(enum.IntEnum):
    HIGH = 4


class Name(str):
    __slots__ = ()

    def __str__(self) -> str:
        return "something else"


class Row(NamedTuple):
    a: int
    b: str


@dataclasses.dataclass
class Process:
    name: str
    started: datetime


@attrs.frozen
class User:
    name: str


class Opaque:
    pass


class Hostile:
    def __str__(self) -> str:
        raise RuntimeError("no text")


class NoZone(tzinfo):
    def utcoffset(self, _: datetime | None) -> timedelta | None:
        raise ValueError("no offset")

    def dst(self, _: datetime | None) -> timedelta | None:
        return None

    def tzname(self, _: datetime | None) -> str | None:
        return None


VALUES: list[tuple[Any, Any]] = [
    (NOON, "2026-03-01T12:00:00.000Z"),
    (NOON.replace(tzinfo=UTC), "2026-03-01T12:00:00.000Z"),
    (NOON.replace(tzinfo=ZONE), "2026-03-01T10:00:00.000Z"),
    (NOON.replace(microsecond=5), "2026-03-01T12:00:00.000005Z"),
    (datetime.min.replace(tzinfo=ZONE), "-62135604000000000"),
    (datetime(2026, 3, 1, tzinfo=NoZone()), {}),
    (date(2026, 3, 1), "2026-03-01"),
    (time(8, 30), "08:30:00"),
    (timedelta(minutes=1), 60),
    (timedelta(milliseconds=-1500), -1.5),
    (Decimal(4688), 4688),
    (Decimal("1.5"), 1.5),
    (Decimal("NaN"), None),
    (Decimal("Infinity"), "Infinity"),
    (Decimal("1e999999"), "1E+999999"),
    (Decimal("1e-999999"), "1E-999999"),
    (Decimal(10) ** 30, "1" + "0" * 30),
    (Fraction(3, 2), 1.5),
    (float("nan"), None),
    (2 + 0j, {}),
    (b"cmd.exe", "cmd.exe"),
    (b"caf\xe9", "caf\\xe9"),
    (bytearray(b"a"), "a"),
    (memoryview(b"a"), "a"),
    (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
    (ipaddress.ip_address("10.0.0.1"), "10.0.0.1"),
    (PurePosixPath("/bin/sh"), "/bin/sh"),
    (Colour.RED, "red"),
    (Colour.AT, "2026-03-01T12:00:00.000Z"),
    (Level.HIGH, 4),
    (Name("x"), "x"),
    (Row(1, "b"), [1, "b"]),
    ({"b", "a"}, ["a", "b"]),
    (frozenset([2, 10, "x"]), [10, 2, "x"]),
    (deque([1, NOON]), [1, "2026-03-01T12:00:00.000Z"]),
    (range(3), [0, 1, 2]),
    (Process("a", NOON), {"name": "a", "started": "2026-03-01T12:00:00.000Z"}),
    (User("ann"), {"name": "ann"}),
    (OrderedDict(a=NOON), {"a": "2026-03-01T12:00:00.000Z"}),
    (MappingProxyType({"a": 1}), {"a": 1}),
    ({1: "x", None: "y", Colour.RED: 0}, {"1": "x", "null": "y", "red": 0}),
    ([{"a": {"b": {Decimal(1)}}}], [{"a": {"b": [1]}}]),
    (Opaque(), {}),
    (Opaque, {}),
    (Hostile(), {}),
    ((n for n in "ab"), {}),
    (range(10**9), {}),
    (ValueError("bad"), "bad"),
]


@pytest.mark.parametrize(("value", "read"), VALUES, ids=lambda value: type(value).__name__)
def test_what_python_objects_are_read_as(value: Any, read: Any) -> None:
    found = plain_event({"F": value})
    assert found == {"F": read}
    assert type(found["F"]) is type(read)
    assert json.loads(json.dumps(found)) == found
    assert plain_event(found) is found


def test_an_event_of_plain_values_is_not_copied() -> None:
    for event in ({}, {"a": [1, {"b": None}], "c": (1.5, True)}, MappingProxyType({"a": "x"})):
        assert plain_event(event) is event


def test_events_without_an_end_are_refused() -> None:
    cyclic: dict[str, Any] = {}
    cyclic["a"] = [cyclic, cyclic]
    deep: Any = "x"
    for _ in range(DEPTH + 1):
        deep = [deep]
    for event in (cyclic, {"a": deep}, cyclic | {"b": NOON}, {"a": deep, "b": NOON}):
        with pytest.raises(ValueError, match="nested deeper"):
            plain_event(event)
        with pytest.raises(ValueError, match="nested deeper"):
            carengine.Engine((), FLAT).session().feed(event)


JOIN = carengine.parse_rule(
    "a = search Process:Create\nb = search File:Create\n"
    "c = join (a, b) where a.hostname = b.hostname and a.time < b.time\n"
    "and b.time < a.time + 1 hour\noutput c"
)
PAIR: list[dict[str, Any]] = [
    SYSMON | {"Computer": "h", "Image": "C:\\a.exe"},
    SYSMON | {"Computer": "h", "EventID": 11, "TargetFilename": "C:\\b"},
]
TIMES = [
    (NOON, NOON + timedelta(minutes=5)),
    (NOON.replace(tzinfo=ZONE), datetime(2026, 3, 1, 10, 5, tzinfo=UTC)),
    (date(2026, 3, 1), datetime(2026, 3, 1, 0, 30)),
    (NOON, "2026-03-01 12:01:00"),
    (1772366400, NOON.replace(tzinfo=UTC) + timedelta(seconds=1)),
    (Decimal(1772366400), NOON + timedelta(seconds=1)),
]


@pytest.mark.parametrize(("first", "second"), TIMES)
def test_times_that_are_objects_are_times(first: Any, second: Any) -> None:
    events = [PAIR[0] | {"UtcTime": first}, PAIR[1] | {"UtcTime": second}]
    maps = find_maps("sysmon.flat")
    engine = carengine.Engine([JOIN], maps)
    session = engine.session()
    by_feeding = [m for event in events for m in session.feed(event)] + session.flush()
    found = [list(engine.run(events)), by_feeding, list(interpret_streams([JOIN], events, maps))]
    assert session.stats.untimed == 0
    shown = [[match.as_json() for match in matches] for matches in found]
    assert shown[0] == shown[1] == shown[2]
    [match] = shown[0]
    assert json.loads(json.dumps(match)) == match
    assert match["events"][0]["time"] is not None
    assert [view.time for event in events for view in normalize(event, maps)] == [
        time_of(plain_event(event)["UtcTime"]) for event in events
    ]


DETECTIONS = (
    "s: {F: '*'}\ncondition: s",
    "s: {F: red}\ncondition: s",
    "s: {F|contains: '2026-03'}\ncondition: s",
    "s: {F: 4688}\ncondition: s",
    "s: {F|gte: 1}\ncondition: s",
    "s: {F: null}\ncondition: s",
    "s: {F|exists: true}\ncondition: s",
    "s: ['2026-03-01']\ncondition: s",
    "s: {F|cidr: 10.0.0.0/8}\ncondition: s",
    "s: {F|hour: 12}\ncondition: s",
    "s: {F|re: '^[0-9]'}\ncondition: not s",
)
RULES = load(
    *(
        with_detection(
            text,
            f"title: R\nid: r{n}\nlogsource: {{product: windows, category: process_creation}}\n",
        )
        for n, text in enumerate(DETECTIONS)
    )
)
_SCALARS = st.integers(0, len(VALUES) - 1).map(lambda number: VALUES[number][0])
_ANY = st.recursive(_SCALARS, lambda inner: st.lists(inner, max_size=3) | st.tuples(inner))


@settings(max_examples=200, deadline=None)
@given(st.lists(_ANY, max_size=4))
def test_engine_and_reference_agree_about_python_objects(values: list[Any]) -> None:
    events = [SYSMON | {"F": value, "n": number} for number, value in enumerate(values)]

    def shown(matches: Any) -> list[Any]:
        # Tuples and lists are one in JSON.
        return sorted(json.dumps(match.as_json()) for match in matches)

    engine = carengine.Engine(RULES, FLAT)
    by_objects = shown(engine.run(events))
    assert by_objects == shown(interpret(RULES, events, FLAT))
    assert by_objects == shown(engine.run([plain_event(event) for event in events]))
    lines = [json.dumps(plain_event(event)).encode() for event in events]
    assert by_objects == shown(engine.lines(lines))
    sample = FieldCoverage(engine)
    for event in events:
        sample.observe(event)
        for rule in RULES:
            assert explain(rule, event, FLAT) == explain(rule, plain_event(event), FLAT)


def test_a_rule_reads_what_an_object_says() -> None:
    rules = load(with_detection("s: {F|contains: '2026-03-01T10'}\ncondition: s"))
    events = [SYSMON | {"F": NOON.replace(tzinfo=zone)} for zone in (ZONE, UTC)]
    assert [match.events[0].event for match in carengine.Engine(rules, FLAT).run(events)] == [
        plain_event(events[0])
    ]
    rules = load(with_detection("s: {F: 4688}\ncondition: s"))
    assert hits(rules, [SYSMON | {"F": 4688}]) == [(0, rules.rules[0].id)]
    found = list(carengine.Engine(rules, FLAT).run([SYSMON | {"F": Decimal(4688)}]))
    assert len(found) == 1


def test_numpy_and_pandas() -> None:
    numpy = pytest.importorskip("numpy", reason="numpy is not installed")
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    read = [
        (numpy.datetime64("2026-03-01T12:00:00"), "2026-03-01T12:00:00.000Z"),
        (numpy.datetime64("2026-03-01T12:00:00.000005999", "ns"), "2026-03-01T12:00:00.000005Z"),
        (numpy.datetime64("2026-03"), "2026-03-01T00:00:00.000Z"),
        (numpy.datetime64("NaT"), None),
        (numpy.timedelta64(90, "s"), 90),
        (numpy.int64(5), 5),
        (numpy.float64(1.5), 1.5),
        (numpy.float32("nan"), None),
        (numpy.bool_(True), True),
        (numpy.str_("a"), "a"),
        (numpy.bytes_(b"a"), "a"),
        (numpy.array([1, 2]), [1, 2]),
        (numpy.array(["2026-03-01"], dtype="datetime64[ns]"), ["2026-03-01T00:00:00.000Z"]),
        (pandas.Timestamp("2026-03-01 12:00", tz="Europe/Berlin"), "2026-03-01T11:00:00.000Z"),
        (pandas.Timestamp("2026-03-01 12:00"), "2026-03-01T12:00:00.000Z"),
        (pandas.NaT, None),
        (pandas.NA, None),
        (pandas.Timedelta("1h"), 3600),
        (pandas.Series([pandas.Timestamp("2026-03-01")]), ["2026-03-01T00:00:00.000Z"]),
        (pandas.Period("2026-03"), "2026-03"),
    ]
    for value, expected in read:
        found = plain_event({"F": value})["F"]
        assert found == expected, value
        assert type(found) is type(expected), value


def test_objects_that_cannot_be_read_are_counted_and_named(tmp_path: Path) -> None:
    rule = carengine.parse_rule('a = search Process:Create where exe = "a.exe" output a')
    engine = carengine.Engine([rule], "car")
    session = engine.session()
    event = {"object": "process", "action": "create", "exe": "a.exe"}
    assert (
        len(session.feed({**event, "pid": Hostile(), "tags": [Hostile(), {"x": Hostile()}]})) == 1
    )
    assert len(session.feed({**event, "pid": 1})) == 1
    (told,) = (item for item in session.diagnostics if item.code.id == "CE555")
    assert told.message.startswith("3 values of events from Python")
    assert told.notes == (f"{Hostile.__module__}.Hostile: 3",)
    session.save(tmp_path / "state")
    loaded = engine.load_session(tmp_path / "state")
    assert loaded.stats.unread_objects == session.stats.unread_objects
