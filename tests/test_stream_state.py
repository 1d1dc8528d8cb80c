"""Time, memory and state of sessions: what is late, what is dropped, what two sessions share, what
is saved."""

from __future__ import annotations

import gc
import json
import math
import random
import statistics
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable
from contextlib import nullcontext
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carengine import CarError, ir, parse_rule
from carengine.engine import Engine, Match, Origin, Session, interpret_streams
from carengine.engine.streams.aggregates import Running, aggregate
from carengine.engine.streams.bounds import limits, stated_limits
from carengine.engine.streams.memory import level
from carengine.fieldmap import find_maps
from carengine.values import format_time
from streams import stream_options

SECOND = 1_000_000
MAPS = find_maps("car")
START = 1_714_557_600 * SECOND
PAIRS = (
    'a = search Process:Create where exe = "a"\n'
    'b = search Process:Create where exe = "b"\n'
    "j = join (a, b) where (a.hostname = b.hostname and a.time < b.time < a.time + 10 seconds)\n"
    "output j"
)
SERIES = "a = search Process:Create\ng = group a by hostname within 10 seconds\noutput g"


def event(second: float | None, host: str = "h", exe: str = "a", **more: Any) -> dict[str, Any]:
    time = {} if second is None else {"time": format_time(START + round(second * SECOND))}
    return {"object": "process", "action": "create", "hostname": host, "exe": exe, **time, **more}


def session(text: str, **options: Any) -> Session:
    return Engine([parse_rule(text)], "car").session(stream_options(**options))


def feed(run: Session, *events: dict[str, Any]) -> list[Match]:
    return [match for one in events for match in run.feed(one)]


def codes_of(run: Session) -> list[str]:
    return [item.code.id for item in run.diagnostics]


# Time


def test_a_join_matches_with_its_last_event_and_a_group_when_it_can_no_longer_change() -> None:
    run = session(PAIRS, lateness=5 * SECOND)
    assert [len(feed(run, e)) for e in (event(0), event(3, exe="b"), event(1), event(2))] == [
        0,
        1,
        1,
        1,
    ]
    run = session(SERIES, lateness=5 * SECOND)
    assert feed(run, event(0), event(10), event(15), event(30)) == []
    [match] = feed(run, event(30.000001))
    assert [e.time for e in match.events] == [START + n * SECOND for n in (0, 10, 15)]
    assert [len(match.events) for match in run.flush()] == [2]


def test_what_is_later_than_allowed_is_counted_and_named() -> None:
    run = session(PAIRS + ", a", lateness=2 * SECOND)
    feed(run, event(0), event(10))
    assert run.feed(event(8, exe="b"), Origin("x", 3)), "on time to the microsecond"
    late = run.feed(event(7.999999), Origin("x", 4))
    assert [match.output for match in late] == ["a"], "rules for single events see it"
    feed(run, event(8.5, exe="b"))
    assert run.stats.late == 1
    [told] = run.diagnostics
    assert (told.code.id, told.notes) == ("CE540", ("x:4",))
    assert "1 event came later than allowed, by up to 1 microsecond, and" in told.message
    run.feed(event(3.2))
    assert "by up to 5 seconds" in run.diagnostics[0].message


def test_events_without_a_time_wait_for_the_end() -> None:
    counts = "a = search Process:Create\nc = count(a) by hostname\noutput c"
    run = session(counts, lateness=0)
    assert feed(run, event(None), event(None), event(0), event(None, host="k")) == []
    found = run.flush()
    assert sorted((m.fields["hostname"], m.fields["count"]) for m in found) == [
        ("h", 1),
        ("h", 2),
        ("k", 1),
    ]
    assert codes_of(run) == ["CE541"]
    # Where nothing bounds time, they are as good as others.
    run = session(counts, horizon=None)
    feed(run, event(None), event(0))
    assert [m.fields["count"] for m in run.flush()] == [2]


def test_one_date_in_the_future_makes_nothing_late() -> None:
    run = session(PAIRS, lateness=0)
    far = event(0)
    far["time"] = "2999-01-01T00:00:00Z"
    feed(run, far, event(0))
    assert len(feed(run, event(1, exe="b"))) == 1
    assert run.stats.late == 0


def test_now_is_the_last_event_or_what_was_told() -> None:
    text = "a = search Process:Create where time >= now - 5 seconds\noutput a"
    run = session(text)
    assert feed(run, event(0), event(10), event(6)) == []
    assert [m.time for m in run.flush()] == [START + 6 * SECOND, START + 10 * SECOND]
    run = session(text, now=START + 6 * SECOND)
    assert len(feed(run, event(0), event(10), event(1))) == 2, "told, it decides at once"
    assert run.flush() == []


def test_rows_that_no_reference_time_can_reach_any_more_are_let_go() -> None:
    text = (
        "a = search Process:Create where time >= now - 5 seconds\n"
        "x = from a select exe\ny = from a select exe\nd = x - y\noutput a, d"
    )
    run = session(text)
    for number in range(5_000):
        run.feed(event(number, exe=f"e{number % 7}"))
    assert run.held[0] < 2_500
    assert len([m for m in run.flush() if m.output == "a"]) == 6


def test_the_horizon_stands_in_where_a_rule_says_nothing() -> None:
    open_join = (
        "a = search Process:Create b = search Process:Terminate\n"
        "j = join (a, b) where a.hostname = b.hostname\noutput j"
    )
    end = {**event(20), "action": "terminate"}
    for horizon, number in ((20 * SECOND, 1), (20 * SECOND - 1, 0), (None, 1)):
        run = session(open_join, horizon=horizon)
        assert len(feed(run, event(0), end)) == number
        assert len(feed(session(open_join, horizon=horizon), end, event(0))) == number


def test_flushing_begins_anew() -> None:
    run = session(PAIRS, lateness=0)
    feed(run, event(0), event(100))
    run.flush()
    assert run.held == (0, 0)
    assert len(feed(run, event(0), event(1, exe="b"))) == 1


# Memory


def test_events_in_order_fit_whatever_their_number() -> None:
    """Without a lateness everything would be kept to the end; the ceiling makes the clock move, and
    nothing is lost."""
    run = session(PAIRS, max_events=500)
    found = 0
    for number in range(3_000):
        found += len(run.feed(event(number, host=f"h{number % 3}", exe="ab"[number % 2])))
        assert run.held[0] <= 501
    alone = session(PAIRS)
    assert found + len(run.flush()) == sum(
        len(alone.feed(event(n, host=f"h{n % 3}", exe="ab"[n % 2]))) for n in range(3_000)
    )
    assert codes_of(run) == []


def test_a_flooded_key_costs_itself() -> None:
    for text in (PAIRS, SERIES):
        run = session(text, max_events=500, lateness=3600 * SECOND)
        for number in range(50):
            run.feed(event(number / 100, host=f"honest{number}"))
        for number in range(5_000):
            run.feed(event(1 + number / 5_000, host="flooded"))
        assert run.held[0] <= 501
        found = feed(run, *[event(4, host=f"honest{n}", exe="b") for n in range(50)])
        found += run.flush()
        honest = [m for m in found if m.events[0].fields["hostname"] != "flooded"]
        assert [len(match.events) for match in honest] == [2] * 50
        [told] = run.diagnostics
        assert told.code.id == "CE542"
        assert "<text>" in told.notes[0]


def test_events_in_order_lose_nothing_beside_what_the_end_decides() -> None:
    """What waits for the end fills the memory for good; groups still only need to go by."""
    end = "b = search Process:Create\nf = filter b where user not in top 1 of (user)"
    run = session(f"{SERIES}, f".replace("output", f"{end}\noutput"), max_events=300)
    events = [
        event(20 * (number // 5) + number % 5, user=f"u{number % 3}") for number in range(2_000)
    ]
    groups = [
        len(match.events) for match in [*feed(run, *events), *run.flush()] if match.output == "g"
    ]
    assert run.held == (0, 0)
    assert sum(groups) == 2_000
    [told] = run.diagnostics
    assert [note.split(" rows of ")[1] for note in told.notes] == [
        "comparison with the whole data of <text>"
    ]


@pytest.mark.parametrize("text", [PAIRS, SERIES])
@pytest.mark.parametrize("honest_first", [False, True])
def test_a_flood_makes_nobody_late(text: str, *, honest_first: bool) -> None:
    """Where no lateness was told the clock may move to make room, but not where that makes none."""
    run = session(text, max_events=500)
    flood = [event(5 + number / 1_000, host="flooded") for number in range(3_000)]
    honest = [event(number / 100, host=f"honest{number}") for number in range(50)]
    later = [event(4, host=f"honest{number}", exe="b") for number in range(50)]
    found = feed(run, *((*honest, *flood) if honest_first else (*flood, *honest)), *later)
    assert run.held[0] <= 501
    found += run.flush()
    kept = [m for m in found if m.events[0].fields["hostname"] != "flooded"]
    assert [len(match.events) for match in kept] == [2] * 50
    assert codes_of(run) == ["CE542"]


@pytest.mark.parametrize(
    "text",
    [
        "f = filter a where user not in top 1 of (user)",
        "u = unique(a.user)\nn = count(a) by user\nf = filter a where n < 5",
        "n = from a select user\nf = filter n where time > now - 1 hour",
    ],
)
@pytest.mark.parametrize("lateness", [None, 3600 * SECOND])
def test_a_flooded_value_costs_itself_where_the_end_decides(
    text: str, lateness: int | None
) -> None:
    run = session(f"a = search Process:Create\n{text}\noutput f", max_events=500, lateness=lateness)
    feed(run, *[event(number, user=f"u{number}") for number in range(50)])
    feed(run, *[event(60 + number / 100, user="flood") for number in range(3_000)])
    assert run.held[0] <= 501
    users = [(m.fields or m.events[0].fields)["user"] for m in run.flush()]
    assert sorted(set(users) - {"flood"}) == sorted(f"u{number}" for number in range(50))
    assert codes_of(run) == ["CE542"]


def test_many_keys_are_bounded_too() -> None:
    run = session(PAIRS, max_events=1_000, lateness=3600 * SECOND)
    for number in range(5_000):
        run.feed(event(number / 10_000, host=f"h{number}"))
    assert run.held[0] <= 1_001
    assert codes_of(run) == ["CE542"]
    big = session(PAIRS, max_bytes=200_000, lateness=3600 * SECOND)
    for number in range(500):
        big.feed(event(number / 10_000, host=f"h{number}", command_line="x" * 5_000))
    assert big.held[1] <= 210_000


def test_levels() -> None:
    assert level([1, 1, 10], 12) == 10
    assert level([5, 5, 5], 6) == 2
    assert level([1] * 10, 5) == 0


def test_memory_does_not_grow_with_a_stream() -> None:
    run = session(PAIRS, lateness=SECOND)
    held = []
    for number in range(8_000):
        run.feed(event(number / 10, host=f"h{number % 50}", exe="ab"[number % 2]))
        held.append(run.held[0])
    assert max(held[4_000:]) <= max(held[:4_000]) * 1.1
    assert max(held) < 2_000


# Sessions


def test_sessions_of_one_engine_do_not_see_each_other() -> None:
    engine = Engine([parse_rule(PAIRS)], "car")
    found: dict[int, int] = {}

    def hunt(which: int) -> None:
        run = engine.session(stream_options(lateness=SECOND))
        exe = "a" if which % 2 else "b"
        total = 0
        for number in range(2_000):
            total += len(run.feed(event(number, exe=exe)))
            if which == 0:
                total += len(run.feed(event(number + 0.5, exe="a")))
        found[which] = total + len(run.flush())

    threads = [threading.Thread(target=hunt, args=(which,)) for which in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found[1] == found[2] == found[3] == 0
    assert found[0] > 1_000


# Saving


def test_another_process_goes_on(tmp_path: Path) -> None:
    (tmp_path / "r.car").write_text(PAIRS)
    run = Engine([parse_rule(PAIRS, str(tmp_path / "r.car"))], "car").session(
        stream_options(lateness=SECOND)
    )
    run.feed(event(0), Origin("log", 7))
    run.attached = {"mine": [1]}
    run.save(tmp_path / "state")
    script = """
import json, sys, carengine
from carengine.engine import Engine
text = open(sys.argv[1]).read()
run = Engine([carengine.parse_rule(text, sys.argv[1])], "car").load_session(sys.argv[2])
[match] = run.feed(json.loads(sys.argv[3]))
assert run.attached == {"mine": [1]} and run.stats.events == 2
print(match.events[0].origin.record, match.events[0].stream, match.events[1].stream)
"""
    src = Path(__file__).parents[1] / "src"
    out = subprocess.run(
        [
            *(sys.executable, "-c", script, tmp_path / "r.car", tmp_path / "state"),
            json.dumps(event(1, exe="b")),
        ],
        env={"PYTHONPATH": str(src)},
        check=True,
        capture_output=True,
        text=True,
    )
    assert out.stdout.split() == ["7", "a", "b"]


def test_states_of_others_are_refused(tmp_path: Path) -> None:
    state = tmp_path / "state"
    engine = Engine([parse_rule(PAIRS)], "car")
    engine.session(stream_options(lateness=SECOND)).save(state)
    assert engine.load_session(state).options.lateness_us == SECOND
    others: list[Callable[[], Session]] = [
        lambda: Engine([parse_rule(SERIES)], "car").load_session(state),
        lambda: Engine([parse_rule(PAIRS.replace("10 sec", "11 sec"))], "car").load_session(state),
        lambda: Engine([parse_rule(PAIRS)], ["car", "eql"]).load_session(state),
        lambda: engine.load_session(state, stream_options(lateness=2 * SECOND)),
        lambda: engine.load_session(tmp_path / "none"),
    ]
    for other in others:
        with pytest.raises(CarError) as refusal:
            other()
        assert [item.code.id for item in refusal.value.diagnostics] == ["CE543"]


def test_damaged_states_are_refused(tmp_path: Path) -> None:
    """Whatever is done to a state file, it is refused with a diagnostic: also what looks like a
    state still."""
    state = tmp_path / "state"
    engine = Engine([parse_rule(PAIRS + "\n" + "output a"), parse_rule(SERIES, "b.car")], "car")
    run = engine.session()
    feed(run, event(0), event(1, host="k"), event(None))
    run.save(state)
    whole = state.read_text()
    chance = random.Random(1)
    for _ in range(300):
        place = chance.randrange(len(whole))
        damage = chance.choice(["", "null", "7", "[", '"', "}", "[[]]"])
        damaged = whole[:place] + damage + whole[place + chance.randrange(9) :]
        state.write_text(damaged)
        with pytest.raises(CarError, match="CE543") if damaged != whole else nullcontext():
            engine.load_session(state)
    state.write_text(whole.replace('"hostname":"k"', '"hostname":"l"'))
    with pytest.raises(CarError, match="check sum"):
        engine.load_session(state)


def test_what_differs_is_said_in_words(tmp_path: Path) -> None:
    state = tmp_path / "state"
    engine = Engine([parse_rule(PAIRS)], "car")
    engine.session(stream_options(lateness=90 * SECOND)).save(state)
    with pytest.raises(CarError, match="lateness 90 seconds, and 2 minutes is asked for"):
        engine.load_session(state, stream_options(lateness=120 * SECOND))
    with pytest.raises(CarError, match=r"reference time none, and .2024-05-01T10:00:00\.000Z. is"):
        engine.load_session(state, stream_options(lateness=90 * SECOND, now=START))


def test_hostile_events_can_be_saved(tmp_path: Path) -> None:
    deep: Any = "x"
    for _ in range(120):
        deep = [deep]
    engine = Engine([parse_rule(PAIRS)], "car")
    run = engine.session()
    feed(run, event(0, user="\ud800", command_line="\0", extra=deep, number=10**30))
    run.save(tmp_path / "state")
    again = engine.load_session(tmp_path / "state")
    [match] = feed(again, event(1, exe="b"))
    assert match.events[0].fields["user"] == "\ud800"


# Parts

_NUMBERS = st.one_of(
    st.integers(-(10**18), 10**18),
    st.floats(allow_nan=False, allow_infinity=False, width=32),
    st.sampled_from(["1", "2.5", "x", "", None, ["1", 3], [], "A", "a", True]),
)
_FUNCTIONS = [
    "count",
    "distinct_count",
    "min",
    "max",
    "sum",
    "average",
    "standard_deviation",
    "values",
]


@given(
    st.lists(_NUMBERS, max_size=12),
    st.sampled_from(_FUNCTIONS),
    st.sampled_from([ir.Type.ANY, ir.Type.TEXT, ir.Type.INTEGER, ir.Type.NUMBER]),
    st.randoms(use_true_random=False),
)
def test_running_aggregates_equal_finished_ones(
    values: list[Any], function: str, type_: ir.Type, chance: random.Random
) -> None:
    running = Running(function, type_)
    order = list(enumerate(values))
    chance.shuffle(order)
    for place, value in order:
        running.add(value, place)
    assert running.value == aggregate(function, values, type_)


def test_aggregates_of_nulls_and_mixed_values() -> None:
    mixed = ["10", 9, None, "b", ["B", "a"]]
    expected = {
        "count": 4,
        "distinct_count": 4,
        "min": "10",
        "max": "b",
        "sum": 19,
        "average": 9.5,
        "standard_deviation": statistics.stdev([10, 9]),
        "values": ["10", 9, "b", "a"],
    }
    got = {name: aggregate(name, mixed, ir.Type.ANY) for name in expected}
    assert got == expected
    empty = {name: aggregate(name, [None, []], ir.Type.ANY) for name in _FUNCTIONS}
    assert {name: value for name, value in empty.items() if value is not None} == {
        "count": 0,
        "distinct_count": 0,
        "values": [],
    }
    assert aggregate("max", ["9", 10], ir.Type.ANY) == 10
    assert aggregate("min", ["0x1f", "x", 40], ir.Type.INTEGER) == 31
    assert aggregate("sum", [0.1] * 10, ir.Type.NUMBER) == 1.0


CHAINS = [
    ("a.time < b.time < a.time + 10 seconds", 9_999_999, -1),
    ("b.time - a.time <= 10 seconds and b.time >= a.time", 10_000_000, 0),
    ("a.time - 10 seconds = b.time", -10_000_000, 10_000_000),
    ("10 seconds + a.time > b.time", 9_999_999, math.inf),
    ("not a.time < b.time", math.inf, math.inf),
    ("a.time < b.time or a.pid = b.pid", math.inf, math.inf),
    ("a.creation_time < b.time", math.inf, math.inf),
]


@pytest.mark.parametrize(("condition", "after", "before"), CHAINS)
def test_distances_are_read_off_conditions(condition: str, after: float, before: float) -> None:
    kind = "File:Create" if "creation" in condition else "Process:Create"
    found = stated_limits(
        join_of(f"a = search {kind} b = search Process:Create", "a, b", condition)
    )
    assert (found[0][1], found[1][0]) == (after, before)


def join_of(streams: str, branches: str, condition: str) -> ir.Join:
    rule = parse_rule(f"{streams}\nj = join ({branches}) where ({condition})\noutput j")
    plan = rule.program.outputs[0].plan
    assert isinstance(plan, ir.Join)
    return plan


def test_distances_follow_chains_columns_and_inner_joins() -> None:
    three = "a = search Process:Create b = search Process:Create c = search Process:Create"
    chain = join_of(
        three,
        "a, b, c",
        "a.time < b.time < a.time + 1 second and b.time <= c.time <= b.time + 1 second",
    )
    assert stated_limits(chain)[0][2] == 1_999_999
    assert stated_limits(chain)[2][0] == -1
    boots = (
        "p = search Process:Create l = search UserSession:Login\n"
        "g = group p by hostname\nb = from g select hostname, max(time) as last, min(time) as first"
    )
    found = stated_limits(join_of(boots, "b, l", "b.last < l.time < b.last + 1 day"))
    assert found[0][1] == 86_400 * SECOND - 1
    found = stated_limits(join_of(boots, "b, l", "b.first < l.time < b.first + 1 day"))
    assert found[0][1] == 86_400 * SECOND - 1
    assert found[1][0] == math.inf
    inner = f"{three}\nab = join (a, b) where a.time <= b.time <= a.time + 5 seconds"
    outer = join_of(inner, "ab, c", "ab.a.time < c.time < ab.a.time + 7 seconds")
    assert stated_limits(outer) == ((0, 6_999_999), (4_999_999, 0))
    open_ = join_of(three, "a, b", "a.pid = b.pid")
    assert limits(open_, 7)[0][1] == limits(open_, 7)[1][0] == 7


def test_ranks_ties_and_lookups() -> None:
    users = ["x"] * 3 + ["y"] * 2 + ["z"] * 2 + ["w"]
    events = [event(n, user=user) for n, user in enumerate(users)]
    for which, wanted in (
        ("top 1", "x"),
        ("top 2", "xyz"),
        ("top 3", "xyz"),
        ("bottom 1", "w"),
        ("not in top 2", "w"),
    ):
        test = which if which.startswith("not") else f"in {which}"
        run = session(
            f"a = search Process:Create f = filter a where user {test} of (user) output f"
        )
        feed(run, *events, event(99))
        assert {m.events[0].fields["user"] for m in run.flush()} == set(wanted)
    rare = "a = search Process:Create n = count(a) by user f = filter a where n < 2 output f"
    run = session(rare)
    feed(run, *events)
    assert [m.events[0].fields["user"] for m in run.flush()] == ["w"]


def test_aggregates_in_conditions_are_over_whole_streams() -> None:
    """Of a stream that is not grouped, there is nothing else that they could be over."""
    events = [event(n, pid=n) for n in range(5)]
    head = "a = search Process:Create\nb = search Process:Create where exe != null\n"
    for text, wanted in (
        ("f = filter a where pid > average(a.pid)\noutput f", [3, 4]),
        ("f = filter a where pid > average(pid)\noutput f", [3, 4]),
        ("f = filter a where pid >= max(b.pid)\noutput f", [4]),
        ("f = filter a where pid < count(a) - 3\noutput f", [0, 1]),
        ("j = join (a, b) where a.pid = b.pid and a.pid < average(a.pid)\noutput j", [0, 1]),
        ("a.mean = average(pid)\nf = filter a where pid = mean\noutput f", [2]),
    ):
        run = session(head + text)
        feed(run, *events)
        assert [m.events[0].fields["pid"] for m in run.flush()] == wanted, text
        assert len(interpret_streams([parse_rule(head + text)], events, MAPS)) == len(wanted)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("u = unique(f.user)\nx = filter p where user in u", [0, 2]),
        ("u = unique(f.user)\nx = filter p where user not in u", [1]),
        ("u = unique(f.user)\nx = filter p where not user in u or user = null", [1, 3]),
        ("u = unique(f.user)\nv = filter u where pid = 9\nx = filter p where user in v", [0, 2]),
        ("e = filter f where pid = 8\nu = unique(e.user)\nx = filter p where user in u", []),
        (
            "e = filter f where pid = 8\nu = unique(e.user)\nx = filter p where user not in u",
            [0, 1, 2],
        ),
        ("v = values(f.user)\nx = filter p where user in v", [0, 2]),
        ("e = filter f where pid = 8\nx = filter p where user not in values(e.user)", [0, 1, 2]),
        ("x = filter p where user in unique(f.user)", [0, 2]),
        ("l = from f select user\nx = filter p where user in l", [0, 2]),
        ("l = from f select user, pid\nx = filter p where user in l.user", [0, 2]),
        (
            "g = group f by user\nl = from g select user, count(*) as n\nx = filter p where user in l.user",
            [0, 2],
        ),
        ("x = filter p where pid in f.ppid", [0]),
        ("x = filter p where 'ABC' in values(p.user) and 'b' not in values(p.user)", [0, 1, 2, 3]),
        ("x = search Process:Create where user in values(f.user)", [0, 2]),
        ("u = unique(f.user)\nj = join (p, f) where p.user not in u and p.pid < f.pid\nx = j", [1]),
    ],
)
def test_a_value_in_a_stream(text: str, expected: list[int]) -> None:
    """Whole values are compared, not parts of their text; in an empty stream is nothing."""
    base = "p = search Process:Create\nf = search Flow:Start\n"
    events = [
        event(0, user="ann", pid=1),
        event(1, user="abc", pid=2),
        event(2, user="ANN", pid=2),
        event(3, pid=4),
        {**event(4, user="Ann", pid=9, ppid="1"), "object": "flow", "action": "start"},
        {**event(4, user="xabcx", pid=9), "object": "flow", "action": "start"},
    ]
    rule = parse_rule(base + text + "\noutput x")
    for found in (
        interpret_streams([rule], events, MAPS),
        list(Engine([rule], "car").run(events)),
    ):
        assert sorted({events.index(m.events[0].event) for m in found}) == expected  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x = filter p where user in f", "of which field. write f.field"),
        ("l = from f select user, pid\nx = filter p where user in l", "write l.field"),
        ("x = filter p where 'a*' in values(f.user)", "a pattern cannot be looked up"),
        ("x = filter p where user in f.usr", "user"),
        ("x = filter p where user in nothing", "nothing"),
    ],
)
def test_what_is_no_value_in_a_stream(text: str, said: str) -> None:
    with pytest.raises(CarError, match=said):
        parse_rule(f"p = search Process:Create\nf = search Flow:Start\n{text}\noutput x")


def test_the_order_of_arrival_never_shows() -> None:
    text = (
        "a = search Process:Create\nu = unique(a.user)\nl = from a select user\n"
        'r = search Process:Create where exe = "b"\nrr = from r select user\nd = l - rr\n'
        "g = group a by hostname\ng2 = from g select values(user) as who\noutput u, d, g2"
    )
    events = [
        event(1, user="A", n=1),
        event(1, user="a", n=2),
        event(0, user="c"),
        event(1, exe="b"),
    ]
    results = set()
    for order in permutations(events):
        run = session(text)
        found = feed(run, *order) + run.flush()
        results.add(repr([(m.output, m.fields, [e.event for e in m.events]) for m in found]))
    assert len(results) == 1


def test_a_row_that_comes_twice_is_one() -> None:
    text = (
        'a = search Process:Create where exe = "a"\nb = search Process:Create\n'
        "g = group a, b by hostname\nx = from g select count(*) as n\noutput x"
    )
    run = session(text)
    feed(run, event(0), event(1, exe="z"))
    assert [m.fields["n"] for m in run.flush()] == [2]


class _Seen(dict[str, Any]):
    """An event of which can be told whether something still holds it."""


@pytest.mark.parametrize("flood", ["values", "one key", "without a time", "half of them without"])
@pytest.mark.parametrize(
    "text",
    [
        "f = filter a where user not in top 3 of (user)\noutput f",
        "f = filter a where pid < distinct_count(a.user)\noutput f",
        "u = unique(a.user)\noutput u",
        "x = from a select user\ny = from a select exe as user\nd = x - y\noutput d",
        "n = count(a) by user f = filter a where n > 1 output f",
        "g = group a by user\noutput g",
        "b = filter a where pid > 3\ng = group a, b by user within 1 hour\noutput g",
        "b = search Process:Create\nj = join (a, b) where a.user = b.exe\noutput j",
    ],
)
def test_floods_are_bounded_in_every_statement(text: str, flood: str) -> None:
    """Against every statement that keeps something: what is held is bounded, and so is what is kept
    alive by it."""
    for lateness in (None, 5 * SECOND):
        run = session("a = search Process:Create\n" + text, max_events=300, lateness=lateness)
        alive: weakref.WeakValueDictionary[int, _Seen] = weakref.WeakValueDictionary()
        for number in range(900):
            user = "u" if flood == "one key" else f"u{number}"
            fed = _Seen(event(number / 100, user=user, pid=number))
            if flood == "without a time" or (flood == "half of them without" and number % 2):
                del fed["time"]
            alive[number] = fed
            run.feed(fed)
            assert run.held[0] <= 305
        del fed
        if len(alive) > 305:
            gc.collect()
        assert len(alive) <= 305
        run.flush()
        assert run.held == (0, 0), text


def test_events_without_a_time_cost_the_others_nothing() -> None:
    run = session(PAIRS, max_events=500, lateness=3600 * SECOND)
    feed(run, *[event(number / 100, host=f"honest{number}") for number in range(200)])
    for number in range(5_000):
        run.feed(event(None, host=f"flooded{number}"))
    found = feed(run, *[event(4, host=f"honest{n}", exe="b") for n in range(200)])
    assert len(found) == 200
    [_, told] = run.diagnostics
    assert told.code.id == "CE542"
    assert told.notes[0].endswith("rows of events without a time")


def test_trimmed_groups_leave_nothing_behind() -> None:
    run = session(SERIES, max_events=100, lateness=0)
    for number in range(2_000):
        run.feed(event(number / 1_000, host=f"h{number}"))
    [node] = [node for node in run.own_flow.nodes if node.name == "group"] if run.own_flow else []
    assert len(node._open) <= 101  # type: ignore[attr-defined]
    assert len(node._deadlines) <= 202  # type: ignore[attr-defined]
