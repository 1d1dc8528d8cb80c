"""Hypothesis strategies for programs that look at more than one event, and for events to run them
on.

``programs()`` gives texts that always resolve: statements are made with the shape of the rows in
mind. ``events()`` gives CAR events from a small world, so that keys and times meet often, with all
that logs have: missing fields, lists, numbers as text, equal times, no time at all.
"""

from __future__ import annotations

import random
from itertools import pairwise
from typing import Any

from attrs import define, field
from hypothesis import strategies as st

from carengine.engine.streams import StreamOptions
from carengine.values import format_time

SECOND = 1_000_000
START = 1_714_557_600 * SECOND
HORIZON = 30 * 86_400 * SECOND

_FIELDS = ("hostname", "user", "exe", "pid", "ppid")
_KINDS = ("Process:Create", "Process:Terminate", "File:Create", "Process:Create,Terminate")


def stream_options(
    lateness: int | None = None,
    horizon: int | None = HORIZON,
    now: int | None = None,
    *,
    max_events: int = 1_000_000,
    max_bytes: int = 1 << 30,
) -> StreamOptions:
    """Options whose lengths and times are microseconds, as the tests count them."""
    ceilings = {"max_events": max_events, "max_bytes": max_bytes}
    return StreamOptions.from_data(
        {"lateness": lateness, "horizon": horizon, "now": now, **ceilings}
    )


@define
class Made:
    """A stream of a program in the making: its name, the shape of its rows, and names to read them
    by.

    ``fields`` are texts of values, ``times`` of times, ``numbers`` of numbers; in a group, they are
    the keys.
    """

    name: str
    shape: str
    fields: list[str] = field(factory=list)
    times: list[str] = field(factory=list)
    numbers: list[str] = field(factory=list)
    kind: str = ""


@st.composite
def programs(draw: st.DrawFn) -> str:
    """The text of a program with up to seven streams and one or two outputs."""
    lines: list[str] = []
    made: list[Made] = []

    def pick(shapes: tuple[str, ...]) -> Made | None:
        found = [stream for stream in made if stream.shape in shapes]
        return draw(st.sampled_from(found)) if found else None

    for number in range(draw(st.integers(2, 8))):
        name = f"s{number}"
        makers = [_search] if number < 2 else _MAKERS
        maker = draw(st.sampled_from(makers))
        stream = maker(draw, name, pick, lines)
        if stream is None:
            stream = _search(draw, name, pick, lines)
        made.append(stream)
    outputs = [made[-1].name]
    if draw(st.booleans()):
        outputs.append(draw(st.sampled_from(made)).name)
    lines.append("output " + ", ".join(dict.fromkeys(outputs)))
    return "\n".join(lines)


def _search(draw: Any, name: str, pick: Any, lines: list[str]) -> Made:
    kind = draw(st.sampled_from(_KINDS))
    fields = ["hostname", "user"] if "File" in kind else list(_FIELDS)
    stream = Made(name, "events", fields, ["time"], ["pid"], kind.partition(":")[0])
    where = ""
    if draw(st.booleans()):
        where = f" where {_plain(draw, stream)}"
    lines.append(f"{name} = search {kind}{where}")
    return stream


def _plain(draw: Any, stream: Made) -> str:
    """A condition on one row."""
    tests = [f'{f} = "{v}"' for f in stream.fields for v in ("a", "1", "?")]
    tests += [f"{f} != null" for f in stream.fields]
    tests += [f"not {f} = 'b'" for f in stream.fields]
    tests += [f"{n} >= {v}" for n in stream.numbers for v in (1, 2)]
    tests += [f"{t} >= now - {s} seconds" for t in stream.times for s in (2, 9)]
    tests += [f"{t} < now - {s} seconds" for t in stream.times for s in (2, 9)]
    first = draw(st.sampled_from(tests))
    if draw(st.integers(0, 3)):
        return str(first)
    return f"({first} {draw(st.sampled_from(['and', 'or']))} {draw(st.sampled_from(tests))})"


def _filter(draw: Any, name: str, pick: Any, lines: list[str]) -> Made | None:
    of = pick(("events", "rows", "join"))
    if of is None:
        return None
    condition = _plain(draw, of)
    extra = draw(st.integers(0, 5))
    other = pick(("events", "rows"))
    counted = pick(("counted",))
    if extra == 1 and of.shape == "events":
        fewest = draw(st.sampled_from(["top", "bottom"]))
        condition = f"user {draw(st.sampled_from(['', 'not ']))}in {fewest} {draw(st.integers(1, 2))} of (user)"
    elif extra == 2 and other is not None and other.numbers and of.numbers:
        function = draw(st.sampled_from(["average", "min", "max", "standard_deviation", "sum"]))
        condition = f"{of.numbers[0]} <= {function}({other.name}.{other.numbers[0]})"
    elif extra == 3 and other is not None and of.times and other.shape == "events":
        condition = f"{of.times[0]} < max({other.name}.time)"
    elif extra == 5 and other is not None and of.fields and other.fields:
        # The fields of rows may be of another type, which nothing keeps from being looked up.
        negated = draw(st.sampled_from(["", "not "]))
        condition = (
            f"({of.fields[0]} {negated}in values({other.name}.{other.fields[0]}) or {condition})"
        )
    elif extra == 4 and counted is not None and of.shape == "events" and counted.kind == of.kind:
        condition = f"{counted.name} {draw(st.sampled_from(['<', '>=']))} 2"
    lines.append(f"{name} = filter {of.name} where {condition}")
    # A counted stream is looked up by its keys; a filtered one is rows.
    return Made(name, of.shape, of.fields, of.times, of.numbers, of.kind)


def _join(draw: Any, name: str, pick: Any, lines: list[str]) -> Made | None:
    parts = [pick(("events", "rows", "join")) for _ in range(draw(st.integers(2, 3)))]
    unique = {part.name: part for part in parts if part is not None}
    if len(unique) < 2:
        return None
    branches = list(unique.values())
    conditions = []
    for first, second in pairwise(branches):
        conditions += _between(draw, first, second)
    if draw(st.integers(0, 4)) == 0 and branches[0].fields:
        conditions.append(f'{branches[0].name}.{branches[0].fields[0]} = "a"')
    names = [branch.name for branch in branches]
    lines.append(f"{name} = join ({', '.join(names)}) where ({' and '.join(conditions) or 'true'})")
    return Made(
        name,
        "join",
        [f"{b.name}.{f}" for b in branches for f in b.fields[:2]],
        ["time", *(f"{b.name}.{t}" for b in branches for t in b.times[:2])],
        [f"{b.name}.{n}" for b in branches for n in b.numbers[:1]],
    )


def _between(draw: Any, first: Made, second: Made) -> list[str]:
    found = []
    a, b = first.name, second.name
    if first.fields and second.fields and draw(st.integers(0, 5)):
        left = draw(st.sampled_from(first.fields))
        right = draw(st.sampled_from(second.fields))
        how = draw(st.sampled_from(["=", "=", "=", "in"]))
        found.append(f"{a}.{left} {how} {b}.{right}")
    if first.times and second.times and draw(st.integers(0, 5)):
        left = f"{a}.{draw(st.sampled_from(first.times))}"
        right = f"{b}.{draw(st.sampled_from(second.times))}"
        gap = draw(st.integers(0, 6))
        form = draw(st.integers(0, 5))
        found.append(
            [
                f"{left} < {right} < {left} + {gap} seconds",
                f"{right} <= {left} + {gap} seconds",
                f"{left} - {right} < {gap} seconds",
                f"{left} <= {right}",
                f"{left} = {right}",
                f"{right} - {gap} seconds <= {left} <= {right} + 1 second",
            ][form]
        )
    if draw(st.integers(0, 3)) == 0:
        found.append(_unlike(draw, first, second))
    if not found:
        found.append(
            f"{a}.{first.times[0]} <= {b}.{second.times[0]}"
            if first.times and second.times
            else "true"
        )
    return found


def _unlike(draw: Any, first: Made, second: Made) -> str:
    """A condition on two branches that no index serves, or only in part."""
    a, b = first.name, second.name
    found = ['"a" in raw event']
    for m, n in zip(first.numbers[:1], second.numbers[:1], strict=False):
        found += [f"{a}.{m} < {b}.{n}", f"{a}.{m} + 1 = {b}.{n}", f"{a}.{m} + {b}.{n} = 3"]
        found += [f"{b}.{n} <= average({a}.{m})", f"{a}.{m} != {b}.{n}"]
    for f, g in zip(first.fields[:1], second.fields[:1], strict=False):
        found += [f"not {a}.{f} = {b}.{g}", f"({a}.{f} = {b}.{g} or {a}.{f} = 'a')"]
        found += [f"({a}.{f} = null or {a}.{f} = {b}.{g})"]
    for t, u in zip(first.times[:1], second.times[-1:], strict=False):
        found += [f"({a}.{t} <= {b}.{u} or {b}.{u} <= {a}.{t} - 2 seconds)", f"{a}.{t} != {b}.{u}"]
        found += [
            f"not {a}.{t} < {b}.{u}",
            f"time >= {a}.{t} + 2 seconds",
            f"{b}.{u} >= now - 4 seconds",
        ]
        found += [f"{a}.{t} + 2 * 3 seconds >= {b}.{u} >= {a}.{t} - 0.5 seconds"]
        found += [f"{b}.{u} + ({a}.{t} - {b}.{u}) < {b}.{u}", f"now - {a}.{t} < {b}.{u} - {a}.{t}"]
    return str(draw(st.sampled_from(found)))


def _group(draw: Any, name: str, pick: Any, lines: list[str]) -> Made | None:
    of = pick(("events", "events", "rows", "join"))
    if of is None or not of.fields:
        return None
    names = [of.name]
    if of.shape == "events" and draw(st.booleans()):
        other = pick(("events",))
        if other is not None and other.fields == of.fields:
            names.append(other.name)
    keys = draw(st.lists(st.sampled_from(of.fields), min_size=1, max_size=2, unique=True))
    if len({key.rpartition(".")[2] for key in keys}) < len(keys):
        keys = keys[:1]
    within = draw(
        st.sampled_from(["", " within 3 seconds", " within 0 seconds", " within 8 seconds"])
    )
    lines.append(f"{name} = group {', '.join(dict.fromkeys(names))} by {', '.join(keys)}{within}")
    # What a group's aggregates look at is the same as what its rows are read by.
    return Made(name, "group", of.fields, of.times, of.numbers, ",".join(keys))


def _select(draw: Any, name: str, pick: Any, lines: list[str]) -> Made | None:
    of = pick(("group", "group", "events", "join"))
    if of is None:
        return None
    if of.shape != "group":
        if not of.fields:
            return None
        chosen = of.fields[0]
        number = f", {of.numbers[0]} as num" if of.numbers else ""
        lines.append(f"{name} = from {of.name} select {chosen} as val{number}")
        return Made(name, "rows", ["val"], ["time"], ["num"] if number else [])
    key = of.kind.split(",")[0]
    inner = draw(st.sampled_from(of.fields))
    items = [f"{key} as val", "count(*) as n", "max(time) as last", "min(time) as first"]
    function = draw(st.sampled_from(["values", "distinct_count", "count", "min", "max"]))
    items.append(f"{function}({inner}) as agg")
    if of.numbers:
        function = draw(st.sampled_from(["sum", "average", "standard_deviation"]))
        items.append(f"{function}({of.numbers[0]}) as num")
    lines.append(f"{name} = from {of.name} select {', '.join(items)}")
    return Made(name, "rows", ["val"], ["last", "time", "first"], ["n"])


def _count(draw: Any, name: str, pick: Any, lines: list[str]) -> Made | None:
    of = pick(("events",))
    if of is None:
        return None
    lines.append(f"{name} = count({of.name}) by {draw(st.sampled_from(of.fields))}")
    return Made(name, "counted", ["count"], ["time"], ["count"], of.kind)


def _difference(draw: Any, name: str, pick: Any, lines: list[str]) -> Made | None:
    left, right = pick(("events",)), pick(("events",))
    if left is None or right is None:
        return None
    chosen = draw(st.sampled_from(["user", "hostname"]))
    lines.append(f"{name}l = from {left.name} select {chosen}")
    lines.append(f"{name}r = from {right.name} select {chosen}")
    lines.append(f"{name} = {name}l - {name}r")
    return Made(name, "rows", [chosen], ["time"], [])


def _unique(draw: Any, name: str, pick: Any, lines: list[str]) -> Made | None:
    of = pick(("events", "rows"))
    if of is None or not of.fields:
        return None
    lines.append(f"{name} = unique({of.name}.{draw(st.sampled_from(of.fields))})")
    return Made(name, of.shape, of.fields, of.times, of.numbers, of.kind)


def _assign(draw: Any, name: str, pick: Any, lines: list[str]) -> Made | None:
    of = pick(("events", "rows"))
    if of is None or not of.times:
        return None
    lines.append(f"{name} = filter {of.name} where {of.times[0]} exists")
    if draw(st.integers(0, 3)) == 0:
        # What a condition calls the time of a row need not be its own.
        lines.append(f"{name}.time = {of.times[0]} {draw(st.sampled_from('+-'))} 2 seconds")
        return Made(name, of.shape, list(of.fields), list(of.times), of.numbers, of.kind)
    value = draw(st.sampled_from([*of.fields, f"{of.times[0]} + 2 seconds"]))
    lines.append(f"{name}.extra = {value}")
    times = [*of.times, "extra"] if "seconds" in value else of.times
    fields = of.fields if "seconds" in value else [*of.fields, "extra"]
    return Made(name, of.shape, list(fields), list(times), of.numbers, of.kind)


def _group_filter(draw: Any, name: str, pick: Any, lines: list[str]) -> Made | None:
    of = pick(("group",))
    if of is None:
        return None
    lines.append(f"{name} = filter {of.name} where count(*) >= {draw(st.integers(1, 3))}")
    return Made(name, "group", of.fields, of.times, of.numbers, of.kind)


_MAKERS = [
    _filter,
    _filter,
    _join,
    _join,
    _join,
    _group,
    _group,
    _select,
    _select,
    _count,
    _difference,
    _unique,
    _assign,
    _group_filter,
]

_VALUES = ["a", "A", "a", "b", "1", 1, "01", None, ["a", "b"], ["a"], "a b"]
_NUMBERS = [1, "1", 1, 2, "0x2", None, "x"]


@st.composite
def events(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Up to eighteen CAR events within half a minute.

    Only their number and a seed are drawn: left to itself, hypothesis makes most events empty.
    """
    chance = random.Random(draw(st.integers(0, 10**9)))
    dense = chance.random() < 0.5
    found = []
    for _ in range(draw(st.integers(0, 18))):
        kind = chance.choice(["create", "create", "create", "terminate", "file"])
        event: dict[str, Any] = (
            {"object": "file", "action": "create"}
            if kind == "file"
            else {"object": "process", "action": kind}
        )
        for name in ("hostname", "user", "exe"):
            value = chance.choice(["a", "b"] if dense else _VALUES)
            if value is not None:
                event[name] = value
        for name in ("pid", "ppid"):
            value = chance.choice([1, 2] if dense else _NUMBERS)
            if value is not None:
                event[name] = value
        if chance.random() < 0.95:
            offset = chance.randint(0, 20) * SECOND + chance.choice([0, 0, 1, 500_000])
            event["time"] = format_time(START + offset)
        found.append(event)
    return found
