"""What is proved of windows and sequences is held to the reference, on lists of events."""

from __future__ import annotations

import os
import random
from typing import Any

import pytest
from attrs import evolve

from carengine import ir
from carengine.engine.streams import Relations
from carengine.loading import load_rules
from carengine.pattern import Pattern
from carengine.verify import Verdict, compare_rules
from carengine.verify.alerts import report_within
from carengine.verify.comparing import proofs
from carengine.verify.event_pool import views_in

# `CARENGINE_FUZZ` asks for more.
PAIRS = int(os.environ.get("CARENGINE_FUZZ") or 90)
KIND = ir.EventKind("process", "create")
SECOND = 1_000_000
NARROW_TO_WIDE = ("ab", "a*", "*")
STEPS = ("a*", "b*", "ab*", "*")


def leaf(pattern: str) -> ir.Plan:
    test = ir.Match(ir.Field("exe"), (Pattern(pattern),))
    return ir.Filter(ir.Search((KIND,)), test)


def keys(chance: random.Random, most: int) -> tuple[ir.Field, ...]:
    return tuple(ir.Field(name) for name in ("hostname", "user")[:most] if chance.random() < 0.6)


def window(chance: random.Random) -> ir.Window:
    value = chance.choice([None, ir.Field("pid")])
    counted = ir.Aggregate("count" if value is None else "distinct_count", value)
    least = ir.Constant(chance.randrange(1, 5))
    relation = chance.choice([ir.Relation.GREATER, ir.Relation.GREATER_EQUAL])
    return ir.Window(
        tuple(leaf(chance.choice(STEPS)) for _ in range(chance.choice([1, 1, 2]))),
        keys(chance, 2),
        chance.randrange(1, 8) * SECOND,
        (ir.Column("n", counted),),
        ir.Compare(ir.Field("n"), relation, least, ir.Type.NUMBER),
        chance.random() < 0.2,
        chance.random() < 0.3,
    )


def sequence(chance: random.Random) -> ir.Sequence:
    by = keys(chance, 2)
    steps = [ir.Step(leaf(chance.choice(STEPS)), by) for _ in range(chance.choice([2, 3, 3]))]
    if chance.random() < 0.2:
        place = chance.randrange(len(steps) + 1)
        steps.insert(place, ir.Step(leaf("c*"), by, absent=True))
    return ir.Sequence(
        tuple(steps),
        tuple(chance.random() < 0.2 for _ in by),
        chance.choice([None, *(n * SECOND for n in range(2, 9))]),
        ir.Step(leaf(chance.choice(["c", "c*"])), by) if chance.random() < 0.25 else None,
        chance.random() < 0.9,
    )


def changed(plan: Any, chance: random.Random) -> Any:
    """A plan next to another one, in any direction."""
    other: Any = window(chance) if isinstance(plan, ir.Window) else sequence(chance)
    names = (
        ("plans", "keys", "span", "condition", "complete", "ordered")
        if isinstance(plan, ir.Window)
        else ("steps", "within", "until", "ordered")
    )
    for name in chance.sample(names, chance.choice([1, 1, 2])):
        if name == "steps":
            # Their keys belong together.
            plan = evolve(plan, steps=other.steps, optional=other.optional, until=other.until)
        elif name != "until" or len(plan.optional) == len(other.optional):
            plan = evolve(plan, **{name: getattr(other, name)})
    return plan


def events(chance: random.Random) -> list[dict[str, Any]]:
    made = []
    time = 0
    for _ in range(chance.randrange(2, 12)):
        time += chance.choice([0, 1, 1, 2, 3])
        event = {
            "object": "process",
            "action": "create",
            "exe": chance.choice(["a", "ab", "abc", "b", "c", "cd"]),
            "hostname": chance.choice(["h", "h", "g"]),
            "user": chance.choice(["u", "u", "v", None]),
            "pid": chance.randrange(3),
            "time": f"2024-05-01T08:00:{time:02}Z",
        }
        made.append({name: value for name, value in event.items() if value is not None})
    return made


@pytest.mark.parametrize("make", [window, sequence])
def test_the_wider_one_reports_in_each_list_in_which_the_narrower_one_does(make: Any) -> None:
    chance = random.Random(f"alerts {make.__name__}")
    proved = told = 0
    for _ in range(PAIRS):
        one = make(chance)
        other = changed(one, chance)
        for narrow, wide in ((one, other), (other, one)):
            first, second = (ir.Program((ir.Output("x", plan),)) for plan in (narrow, wide))
            within = report_within(proofs(20_000, None), first, second)
            proved += within and narrow != wide
            for _ in range(25 if within else 4):
                given = events(chance)
                relations = Relations(views_in(given)[0])
                mine, theirs = (any(True for _ in relations.rows(p)) for p in (narrow, wide))
                if mine and not theirs:
                    told += 1
                    assert not within, (narrow, wide, given)
    # Neither side of the question is left out.
    assert proved > PAIRS // 9
    assert told > PAIRS // 12


SIGMA = """title: Base
id: 11111111-2222-4333-8444-555555555557
name: failed
logsource: {product: windows, service: security}
detection:
  s: {EventID: 4625}
  condition: s
---
title: Second
id: 11111111-2222-4333-8444-555555555559
name: success
logsource: {product: windows, service: security}
detection:
  s: {EventID: 4624}
  condition: s
---
title: Brute force
id: 11111111-2222-4333-8444-555555555558
correlation:
  type: event_count
  rules: failed
  group-by: [TargetUserName]
  timespan: 5m
  condition: {gte: 10}
"""
TEMPORAL = SIGMA.replace("rules: failed", "rules: [failed, success]").replace(
    "  condition: {gte: 10}\n", ""
)
VALUES = SIGMA.replace("event_count", "value_count").replace("10}", "10, field: IpAddress}")
COUNTS, ORDERED = SIGMA, TEMPORAL.replace("event_count", "temporal_ordered")
TEMPORAL = TEMPORAL.replace("event_count", "temporal")


@pytest.mark.parametrize(
    ("text", "old", "new", "verdict"),
    [
        (COUNTS, "gte: 10", "gt: 9", Verdict.SAME),
        (COUNTS, "5m", "300s", Verdict.SAME),
        (COUNTS, "5m", "10m", Verdict.COVERED),
        (COUNTS, "gte: 10", "gte: 20", Verdict.COVERS),
        (COUNTS, "[TargetUserName]", "[TargetUserName, IpAddress]", Verdict.COVERS),
        (COUNTS, "EventID: 4625", "EventID: [4625, 4771]", Verdict.COVERED),
        (VALUES, "gte: 10", "gt: 8", Verdict.COVERED),
        (VALUES, "gte: 10", "gt: 9", Verdict.SAME),
        (ORDERED, "temporal_ordered", "temporal", Verdict.COVERED),
        (TEMPORAL, "[failed, success]", "[success, failed]", Verdict.SAME),
        (ORDERED, "[failed, success]", "[success, failed]", Verdict.OVERLAPS),
        (ORDERED, "5m", "1h", Verdict.COVERED),
        (TEMPORAL, "EventID: 4624}", "EventID: 4624, LogonType: 3}", Verdict.COVERS),
    ],
)
def test_an_edit_of_a_correlation(
    text: str, old: str, new: str, verdict: Verdict, tmp_path: Any
) -> None:
    assert old in text
    made = []
    for name, content in (("old", text), ("new", text.replace(old, new))):
        path = tmp_path / f"{name}.yml"
        path.write_text(content)
        made.append(load_rules(path)["11111111-2222-4333-8444-555555555558"])
    relation = compare_rules(made[0], made[1])
    assert relation.verdict is verdict
    # What a correlation counts is in no event.
    shown = [event for witness in relation.witnesses for event in witness.events]
    assert not any(name in event for event in shown for name in ("event_count", "value_count"))
