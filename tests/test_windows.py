"""Windows over event time: tables of what fires, the incremental evaluator against the reference,
and Sigma's correlations from the rule's text to the match.
"""

from __future__ import annotations

import random
import tempfile
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import carengine
from carengine import ir
from carengine.engine import Engine, Match, interpret_streams
from carengine.engine.streams.aggregates import aggregate
from carengine.fieldmap import find_maps
from carengine.loading import parse_rule
from carengine.rule import Rule
from streams import SECOND, events, stream_options
from test_streams import EXAMPLES, arrival, canonical

CAR = find_maps("car")
BASE = parse_rule("a = search Process:Create output a")
EMPTY = {"object": "process", "action": "create"}


def rule_of(plan: ir.Plan) -> Rule:
    return evolve(BASE, program=ir.Program((ir.Output("w", plan),)))


def search(*kinds: tuple[str, str]) -> ir.Plan:
    return ir.Search(tuple(ir.EventKind(*kind) for kind in kinds))


PLANS = (
    search(("process", "create")),
    search(("process", "terminate")),
    search(("process", "create"), ("file", "create")),
    ir.Assign(search(("process", "create")), "mark", ir.Constant("a")),
    ir.Assign(search(("process", "create"), ("process", "terminate")), "mark", ir.Constant("b")),
)
VALUES = (
    ir.Aggregate("count", None),
    ir.Aggregate("count", ir.Field("pid")),
    ir.Aggregate("distinct_count", ir.Field("exe")),
    ir.Aggregate("distinct_count", ir.Field("mark")),
    ir.Aggregate("sum", ir.Field("pid")),
    ir.Aggregate("average", ir.Field("pid")),
    ir.Aggregate("percentile", ir.Field("pid"), 50),
    ir.Aggregate("values", ir.Field("user")),
)


@st.composite
def windows(draw: st.DrawFn) -> ir.Window:
    """A window over up to three plans of the events of `streams`."""
    values = draw(st.lists(st.sampled_from(VALUES), min_size=1, max_size=2, unique=True))
    relation = draw(
        st.sampled_from([ir.Relation.GREATER_EQUAL, ir.Relation.LESS, ir.Relation.EQUAL])
    )
    least = ir.Constant(draw(st.integers(1, 4)))
    condition: ir.Condition = ir.Compare(ir.Field("c0"), relation, least, ir.Type.NUMBER)
    if draw(st.booleans()):
        most = ir.Constant(draw(st.integers(2, 5)))
        upper = ir.Compare(ir.Field("c0"), ir.Relation.LESS_EQUAL, most, ir.Type.NUMBER)
        condition = ir.And((condition, upper))
    return ir.Window(
        tuple(draw(st.lists(st.sampled_from(PLANS), min_size=1, max_size=3))),
        tuple(draw(st.sampled_from([(), (ir.Field("hostname"),), (ir.Field("user"),)]))),
        draw(st.sampled_from([0, 1, 5, 30])) * SECOND,
        tuple(ir.Column(f"c{number}", value) for number, value in enumerate(values)),
        condition,
        draw(st.booleans()),
        draw(st.booleans()),
    )


SETTINGS = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))


@SETTINGS
@given(windows(), events(), st.sampled_from([None, 0, 2 * SECOND]), st.integers(0, 1000))
def test_incremental_equals_reference(
    window: ir.Window, found: list[dict[str, Any]], lateness: int | None, seed: int
) -> None:
    rule = rule_of(window)
    order = list(found)
    if lateness is None:
        random.Random(seed).shuffle(order)
    else:
        order = arrival(found, lateness, seed)
    expected = interpret_streams([rule], found, CAR)
    got = list(Engine([rule], "car").run(order, stream_options(lateness=lateness)))
    assert sorted(map(canonical, got)) == sorted(map(canonical, expected))


@SETTINGS
@given(windows(), events(), st.sampled_from([None, 2 * SECOND]), st.integers(0, 18))
def test_a_saved_session_goes_on(
    window: ir.Window, found: list[dict[str, Any]], lateness: int | None, cut: int
) -> None:
    engine = Engine([rule_of(window)], "car")
    options = stream_options(lateness=lateness)
    expected = [canonical(match) for match in engine.run(found, options)]
    session = engine.session(options)
    got = [canonical(m) for event in found[:cut] for m in session.feed(event)]
    with tempfile.TemporaryDirectory() as folder:
        session.save(f"{folder}/state")
        session = engine.load_session(f"{folder}/state")
    got += [canonical(m) for event in found[cut:] for m in session.feed(event)]
    got += [canonical(match) for match in session.flush()]
    assert got == expected
    assert session.held == (0, 0)


def ran(window: ir.Window, times: list[int]) -> list[tuple[list[int], Any]]:
    """What fires: the seconds of its events, and the first column."""
    log = [{**EMPTY, "time": f"2024-05-01T10:00:{second:02}Z"} for second in times]
    rule = rule_of(window)
    found = list(Engine([rule], "car").run(log, stream_options(lateness=0)))
    assert list(map(canonical, found)) == list(map(canonical, interpret_streams([rule], log, CAR)))
    return [([seconds(e.time) for e in m.events], m.fields["n"]) for m in found]


def seconds(time: int | None) -> int:
    assert time is not None
    return time // SECOND % 60


@pytest.mark.parametrize(
    ("relation", "count", "complete", "times", "expected"),
    [
        (">=", 3, False, [0, 1, 2, 3, 4, 5], [([0, 1, 2], 3), ([3, 4, 5], 3)]),
        (">=", 3, False, [0, 5, 11, 12], [([5, 11, 12], 3)]),
        (">=", 2, False, [0, 10], [([0, 10], 2)]),
        (">=", 2, False, [0, 11], []),
        ("<", 2, True, [0, 1, 20, 40, 41], [([20], 1)]),
        ("<", 3, True, [0, 10, 11], [([0, 10], 2), ([11], 1)]),
    ],
)
def test_what_fires(
    relation: str, count: int, complete: bool, times: list[int], expected: list[Any]
) -> None:
    window = ir.Window(
        (search(("process", "create")),),
        (),
        10 * SECOND,
        (ir.Column("n", ir.Aggregate("count", None)),),
        ir.Compare(ir.Field("n"), ir.Relation(relation), ir.Constant(count), ir.Type.NUMBER),
        complete,
    )
    assert ran(window, times) == expected


def test_what_is_past_is_let_go_of() -> None:
    window = ir.Window(
        (search(("process", "create")),),
        (ir.Field("user"),),
        10 * SECOND,
        (ir.Column("n", ir.Aggregate("count", None)),),
        ir.Compare(ir.Field("n"), ir.Relation.GREATER, ir.Constant(99), ir.Type.NUMBER),
    )
    session = Engine([rule_of(window)], "car").session(stream_options(lateness=0))
    most = 0
    for number in range(3000):
        time = f"2024-05-01T{number // 3600:02}:{number // 60 % 60:02}:{number % 60:02}Z"
        session.feed({**EMPTY, "time": time, "user": f"u{number}"})
        most = max(most, session.held[0])
    assert most <= 12


@pytest.mark.parametrize(
    ("values", "percentage", "expected"),
    [
        ([], 50, None),
        ([3], 95, 3),
        ([1, 2], 50, 1.5),
        (["4", 1, 2, "x"], 50, 2),
        ([0, 10], 95, 9.5),
    ],
)
def test_percentiles(values: list[Any], percentage: float, expected: Any) -> None:
    assert aggregate("percentile", values, ir.Type.ANY, percentage) == expected


# Sigma

PARTS = "".join(
    f"---\ntitle: Part {n}\nname: part_{n}\nid: p{n}\n"
    "logsource: {product: windows, service: security}\n"
    f"detection:\n  s: {{EventID: {n}}}\n  condition: s\n"
    for n in (4625, 4624)
)
DOTS = "2024-05-01T10:{:02}:00.000Z"


def log(*items: tuple[int, int, str]) -> list[dict[str, Any]]:
    """Security events: minute, number and user of each."""
    return [
        {"Channel": "Security", "EventID": number, "@timestamp": DOTS.format(minute), "User": user}
        for minute, number, user in items
    ]


@pytest.mark.parametrize(
    ("body", "items", "expected"),
    [
        (
            "type: event_count\nrules: part_4625\ngroup-by: User\ntimespan: 5m\ncondition: {gte: 3}",
            [(0, 4625, "a"), (1, 4625, "b"), (2, 4625, "A"), (4, 4625, "a"), (9, 4625, "a")],
            [3],
        ),
        (
            "type: value_count\nrules: part_4625\ntimespan: 5m\ncondition: {field: User, gte: 2}",
            [(0, 4625, "a"), (1, 4625, "a"), (2, 4625, "b"), (30, 4625, "c")],
            [3],
        ),
        (
            "type: temporal\nrules: [part_4625, part_4624]\ngroup-by: User\ntimespan: 5m",
            [(0, 4624, "a"), (1, 4625, "a"), (2, 4625, "b")],
            [2],
        ),
        (
            "type: temporal_ordered\nrules: [part_4625, part_4624]\ngroup-by: User\ntimespan: 5m",
            [(0, 4624, "a"), (1, 4625, "a"), (2, 4625, "b"), (3, 4624, "b")],
            [2],
        ),
    ],
)
def test_sigma_correlations_run(
    tmp_path: Path, body: str, items: list[tuple[int, int, str]], expected: list[int]
) -> None:
    pytest.importorskip("sigma")
    indented = "".join(f"  {line}\n" for line in body.splitlines())
    (tmp_path / "c.yml").write_text(f"title: C\nid: c\ncorrelation:\n{indented}{PARTS}")
    rules = carengine.load_rules(tmp_path)
    assert not rules.refused, rules.diagnostics
    engine = Engine(rules)
    for options in (stream_options(), stream_options(lateness=60 * SECOND)):
        found: list[Match] = list(engine.run(log(*items), options))
        assert [len(match.events) for match in found] == expected
    reference = interpret_streams(rules, log(*items), engine.maps)
    assert list(map(canonical, reference)) == list(map(canonical, found))
