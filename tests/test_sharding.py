"""Stateful rules in shards: the same matches as in one place, whatever the number of shards."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import carengine
from carengine.engine.run_account import RunAccount
from carengine.engine.session import Session
from carengine.engine.sharding import RoutingFlow, ShardPlan, ShardSession

A = 'a = search Process:Create where exe = "cmd.exe"\n'
B = 'b = search Process:Create where exe = "x.exe"\n'
BODIES = {
    "group": A
    + "g = group a by hostname within 1 minute\nm = filter g where count(*) > 1\noutput m",
    "two keys": A + "g = group a by hostname, user\noutput g",
    "join": A + B + "j = join (a, b) where a.hostname = b.hostname and a.time <= b.time\noutput j",
    "near": A
    + B
    + "j = join (a, b) where a.user = b.user and a.time <= b.time <= a.time + 1 minute\noutput j",
    "itself": A + "c = filter a where pid > 3\n"
    "j = join (a, c) where a.hostname = c.user and a.pid != c.pid\noutput j",
    "no key": A + B + "j = join (a, b) where a.time < b.time\noutput j",
    "group in join": A + B + "g = group a by hostname within 1 minute\n"
    "j = join (g, b) where g.hostname = b.hostname\noutput j",
    "three": A + B + 'c = search Process:Create where exe = "y.exe"\n'
    "j = join (a, b, c) where a.hostname = b.hostname and b.hostname = c.hostname\noutput j",
    "alone": 'a = search Process:Create where exe = "cmd.exe" output a',
}


def rule(name: str, body: str) -> carengine.Rule:
    return carengine.parse_rule(f"---\nid: {name}\n---\n{body}")


ENGINE = carengine.Engine([rule(name, body) for name, body in BODIES.items()])
NAME = st.sampled_from(["a", "b", "A", "c"])
NAMES = st.one_of(NAME, st.none(), st.lists(NAME, max_size=3))
EVENTS = st.lists(
    st.fixed_dictionaries(
        {
            "object": st.just("process"),
            "action": st.just("create"),
            "exe": st.sampled_from(["cmd.exe", "x.exe", "y.exe"]),
            "hostname": NAMES,
            "user": NAMES,
            "pid": st.integers(0, 9),
            "time": st.one_of(
                st.none(),
                st.integers(0, 300).map(lambda s: f"2024-05-20T09:{s // 60:02}:{s % 60:02}Z"),
            ),
        }
    ),
    max_size=10,
)


def seen(matches: Any) -> list[str]:
    return sorted(json.dumps(match.as_json(), sort_keys=True) for match in matches)


def in_shards(
    engine: carengine.Engine, events: list[Any], count: int, *, reload: bool = False
) -> tuple[list[carengine.Match], RunAccount]:
    """What workers and shards find together."""
    plan = ShardPlan(engine, count)
    flow = RoutingFlow(plan)
    session = Session(engine, None, flow)
    found = [match for event in events for match in session.feed(event)]
    total = RunAccount()
    total.add(session.account().as_data())
    places: dict[tuple[int, int], list[Any]] = {}
    for one in flow.taken():
        places.setdefault((one.component, one.shard), []).append(one)
    options = carengine.StreamOptions()
    for (component, shard), routed in places.items():
        other = ShardPlan(carengine.Engine(engine.rules), count) if reload else plan
        part = ShardSession(other, component, shard, options)
        for one in sorted(routed, key=lambda one: (one.time is None, one.time or 0)):
            found += part.feed(one.data, first=one.first)
            if reload:
                total.add(part.account().as_data())
                part = ShardSession(other, component, shard, options, part.dump())
        if plan.components[component].needs_latest and flow.latest is not None:
            found += part.tick(flow.latest)
        found += part.flush()
        total.add(part.account().as_data())
    return found, total


@settings(max_examples=40)
@given(EVENTS, st.sampled_from([1, 2, 7]), st.randoms())
def test_shards_together_are_one_place(events: list[Any], count: int, random: Any) -> None:
    session = ENGINE.session()
    expected = [match for one in events for match in session.feed(one)] + session.flush()
    random.shuffle(events)
    found, account = in_shards(ENGINE, events, count)
    assert seen(found) == seen(expected)
    assert account.as_data() == RunAccount(session.stats).as_data()


@settings(max_examples=6)
@given(EVENTS)
def test_shards_go_on_from_their_state(events: list[Any]) -> None:
    found, account = in_shards(ENGINE, events, 3, reload=True)
    session = ENGINE.session()
    assert seen(found) == seen([*ENGINE.run(events)])
    [session.feed(one) for one in events]
    session.flush()
    assert account.stats.matches == session.stats.matches


def test_which_outputs_have_keys() -> None:
    names = {one.stream.rule.id for one in ShardPlan(ENGINE, 2).components if one.sharding is None}
    assert names == {"no key", "three"}


def test_a_state_of_something_else_is_refused() -> None:
    engine = carengine.Engine([rule("group", BODIES["group"])])
    plan = ShardPlan(engine, 2)
    options = carengine.StreamOptions(lateness="1m")
    flow = RoutingFlow(plan)
    event = {"object": "process", "action": "create", "exe": "cmd.exe", "hostname": "a"}
    Session(engine, None, flow).feed({**event, "time": "2024-05-20T09:00:00Z"})
    [routed] = flow.taken()
    here, there = routed.shard, 1 - routed.shard
    session = ShardSession(plan, 0, here, options)
    assert session.dump() == ""
    session.feed(routed.data)
    state = session.dump()
    assert session.deadline < 2e15
    other = ShardPlan(carengine.Engine([rule("group", BODIES["group"].replace("> 1", "> 2"))]), 2)
    late = carengine.StreamOptions(lateness="2m")
    cases = [
        ("another shard", plan, there, options, state),
        ("other rules", other, here, options, state),
        ("other options", plan, here, late, state),
        ("no engine writes", plan, here, options, state[:-3]),
        ("no engine writes", plan, here, options, "[]"),
        ("of this version", plan, here, options, state.replace('shard":2', 'shard":0', 1)),
    ]
    for message, of, shard, chosen, data in cases:
        with pytest.raises(carengine.CarError, match=message):
            ShardSession(of, 0, shard, chosen, data)


def test_what_only_the_end_decides_is_left_out_of_live_data() -> None:
    body = A + B + "d = difference a, b by user\noutput d"
    try:
        rules = [rule("END", body), rule("GROUP", BODIES["group"])]
    except carengine.CarError:
        rules = [r for r in carengine.load_rules(carengine.shipped_rules()) if "09-005" in r.id]
    plan = ShardPlan(carengine.Engine(rules), 2, live=True)
    assert [one.endless for one in plan.components].count(True) >= 1
    [said] = plan.diagnostics
    assert said.code.id == "CE558"
    assert not ShardPlan(plan.engine, 2).diagnostics
    gone = {id(stage) for one in plan.components if one.endless for stage in one.stages}
    assert all(not one.endless for stage in gone for one in plan.by_stage.get(stage, ()))
