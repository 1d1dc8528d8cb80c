"""The incremental evaluator is held to the reference: same matches, in any order of arrival."""

from __future__ import annotations

import json
import os
import random
import tempfile
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from carengine.engine import Engine, Match, interpret_streams
from carengine.engine.streams import StreamOptions, join
from carengine.fieldmap import find_maps
from carengine.loading import parse_rule
from carengine.rule import Rule
from carengine.values import time_of
from streams import SECOND, events, programs, stream_options

# `make soak` looks at many more, and at others each time.
EXAMPLES = int(os.environ.get("CARENGINE_FUZZ") or 120)
MAPS = find_maps("car")


@pytest.fixture(autouse=True, scope="module")
def _short_stretches() -> Iterator[None]:
    """Joins look inequalities up among few rows too, as they do among many."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(join, "_FEW_ROWS", 2)
        yield


def canonical(match: Match) -> tuple[Any, ...]:
    """A match as something to compare: everything in it but the order of nothing."""
    return (
        match.rule.id,
        match.output,
        str(match.time),
        repr(match.fields),
        repr(match.keys),
        repr(sorted(match.times)),
        tuple((e.stream, str(e.time), repr(e.event), repr(e.fields)) for e in match.events),
    )


def stateful(rule: Rule, matches: list[Match]) -> list[tuple[Any, ...]]:
    """The matches of the outputs that need more than one event, in canonical order."""
    from carengine import ir

    wanted = {o.name for o in rule.program.outputs if ir.as_stages(o.plan) is None}
    return sorted(canonical(match) for match in matches if match.output in wanted)


def arrival(found: list[dict[str, Any]], lateness: int, seed: int) -> list[dict[str, Any]]:
    """An order of arrival in which no event comes later than allowed."""
    shuffle = random.Random(seed)

    def key(event: dict[str, Any]) -> float:
        time = time_of(event.get("time"))
        return shuffle.uniform(0, 1e17) if time is None else time + shuffle.uniform(0, lateness)

    return sorted(found, key=key)


def run(engine: Engine, found: list[dict[str, Any]], options: StreamOptions) -> list[Match]:
    return list(engine.run(found, options))


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
@given(
    programs(),
    events(),
    st.sampled_from([None, 0, 2 * SECOND, 60 * SECOND]),
    st.sampled_from([None, 5 * SECOND, 30 * 86_400 * SECOND]),
    st.sampled_from([None, 1_714_557_600 * SECOND + 15 * SECOND]),
    st.integers(0, 1000),
)
def test_incremental_equals_reference(
    text: str,
    found: list[dict[str, Any]],
    lateness: int | None,
    horizon: int | None,
    now: int | None,
    seed: int,
) -> None:
    note(text)
    rule = parse_rule(text)
    options = stream_options(lateness=lateness, horizon=horizon, now=now)
    expected = interpret_streams([rule], found, MAPS, now=now, horizon=horizon)
    order = list(found)
    if lateness is None:
        random.Random(seed).shuffle(order)
    else:
        order = arrival(found, lateness, seed)
    got = run(Engine([rule], "car"), order, options)
    assert stateful(rule, got) == sorted(canonical(match) for match in expected)


@settings(
    max_examples=EXAMPLES // 2,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
@given(programs(), events(), st.sampled_from([None, 2 * SECOND]), st.integers(0, 18))
def test_a_saved_session_goes_on(
    text: str, found: list[dict[str, Any]], lateness: int | None, cut: int
) -> None:
    """Saving and loading in the middle changes nothing, the order of the matches included."""
    engine = Engine([parse_rule(text)], "car")
    options = stream_options(lateness=lateness)
    expected = [canonical(match) for match in engine.run(found, options)]
    session = engine.session(options)
    got = [canonical(m) for event in found[:cut] for m in session.feed(event)]
    with tempfile.TemporaryDirectory() as folder:
        session.save(f"{folder}/state")
        session = engine.load_session(f"{folder}/state")
    got += [canonical(m) for event in found[cut:] for m in session.feed(event)]
    assert session.held[0] >= 0
    got += [canonical(match) for match in session.flush()]
    assert got == expected
    assert session.held == (0, 0)


@settings(max_examples=EXAMPLES // 3, deadline=None, suppress_health_check=list(HealthCheck))
@given(programs(), events(), st.sampled_from([None, 0, 2 * SECOND]))
def test_lines_give_what_events_give(
    text: str, found: list[dict[str, Any]], lateness: int | None
) -> None:
    """Lines that are taken undecoded move the clock all the same."""
    noise = [{"object": "flow", "action": "start", "time": e["time"]} for e in found if "time" in e]
    mixed = [event for pair in zip(found, [*noise, *found], strict=False) for event in pair]
    engine = Engine([parse_rule(text)], "car")
    options = stream_options(lateness=lateness)
    expected = [canonical(match) for match in engine.run(mixed, options)]
    lines = [json.dumps(event).encode() for event in mixed]
    got = [canonical(match) for match in engine.lines(lines, options)]
    assert sorted(got) == sorted(expected)
