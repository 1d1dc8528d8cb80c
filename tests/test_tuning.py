"""Tuning: exclusions, suppression, filters; what they take away and that all of it is counted."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carengine import CarError, Engine, Match, Rule, parse_rule
from carengine.diagnostics import PathNotFoundError, codes
from carengine.tuning import (
    MatchFilter,
    RuleFilter,
    TimeRange,
    Tuning,
    load_tuning,
    parse_suppression,
    parse_tuning,
    time_of_option,
)

TODAY = date(2026, 6, 1)


def rule_of(id_: str, text: str = "a = search Process:Create output a", **front: Any) -> Rule:
    keys = "".join(f"{key}: {value}\n" for key, value in {"id": id_, **front}.items())
    return parse_rule(f"---\n{keys}---\n{text}\n")


def event(minute: float = 0, **fields: Any) -> dict[str, Any]:
    time = f"2026-01-01T{10 + int(minute // 60):02}:{int(minute % 60):02}:00Z"
    return {"object": "process", "action": "create", "time": time, **fields}


def matches(events: Iterable[dict[str, Any]], *rules: Rule) -> list[Match]:
    return list(Engine(rules or [rule_of("R1"), rule_of("R2")], "car").run(events))


def reported(tuning: Tuning, found: list[Match]) -> tuple[list[tuple[str, Any]], MatchFilter]:
    match_filter = MatchFilter(tuning, TODAY)
    kept = [(m.rule.id, m.events[0].fields.get("pid")) for m in found if match_filter.admit(m)]
    taken = match_filter.excluded.total() + match_filter.suppressed.total()
    assert len(kept) + taken == len(found)
    assert match_filter.by_rule.total() == taken
    return kept, match_filter


EXCLUDED = {
    'exe = "a.exe"': [2, 3, 4],
    'exe = "A.EXE" and user = "ann"': [2, 3, 4],
    'exe != "a.exe"': [1, 4],  # unknown, where there is no exe
    "exe == null": [1, 2, 3],
    'command_line contains "b"': [1, 3, 4],
    "pid > 2": [1, 2],
    'time < "2026-01-01T10:02:00Z"': [3, 4],
    'file_path = "x"': [1, 2, 3, 4],  # no field of a process
    'src_ip in [10.0.0.0/8] or exe = "*"': [4],
}
EVENTS = [
    event(0, pid=1, exe="a.exe", user="ann"),
    event(1, pid=2, exe="b.exe", command_line="x b y"),
    event(2, pid=3, exe="c.exe"),
    event(3, pid=4),
]


@pytest.mark.parametrize("condition", EXCLUDED)
def test_exclusions(condition: str) -> None:
    text = f"exclusions:\n  - {{where: '{condition}', reason: known, rules: [R1]}}\n"
    kept, match_filter = reported(parse_tuning(text), matches(EVENTS))
    assert [pid for rule, pid in kept if rule == "R1"] == EXCLUDED[condition]
    assert [pid for rule, pid in kept if rule == "R2"] == [1, 2, 3, 4]
    assert match_filter.excluded["known"] == 4 - len(EXCLUDED[condition])


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ("[R1]", {"R2"}),
        ("r1", {"R2"}),
        ('["R*"]', set()),
        ('["*2"]', {"R1"}),
        ("[X]", {"R1", "R2"}),
    ],
)
def test_rules_of_an_exclusion(rules: str, expected: set[str]) -> None:
    text = f"- {{where: pid exists, reason: known, rules: {rules}}}"
    tuning = parse_tuning(text)
    kept, _ = reported(tuning, matches(EVENTS))
    assert {rule for rule, _ in kept} == expected
    unknown = [d.code for d in tuning.unknown_rules(["R1", "R2"])]
    assert unknown == ([codes.TUNING_UNUSED] if rules == "[X]" else [])


def test_an_exclusion_ends_after_its_last_day() -> None:
    text = "- {where: pid exists, reason: known, name: n, expires: %s}"
    for day, expired in (("2026-05-31", True), ("2026-06-01", False), ("2026-06-02", False)):
        kept, match_filter = reported(parse_tuning(text % day), matches(EVENTS))
        assert bool(kept) is expired
        assert [d.code for d in match_filter.diagnostics] == [codes.EXPIRED_EXCLUSION] * expired
        assert [one.name for one in match_filter.expired] == ["n"] * expired


def test_a_match_of_several_events_is_excluded_by_one() -> None:
    [match] = matches(EVENTS[:1], rule_of("R"))
    twice = Match(
        match.rule, "a", match.time, match.events + matches(EVENTS[1:2], rule_of("R"))[0].events
    )
    tuning = parse_tuning("- {where: pid = 2, reason: known}")
    assert reported(tuning, [twice])[0] == []


WRONG: list[tuple[str, list[tuple[str, int, int]]]] = [
    ("- {where: exe = , reason: x}", [("CE101", 1, 16)]),
    ("- {where: 'imag_path = \"x\"', reason: x}", [("CE203", 1, 12)]),
    ("- {where: pid = 1}", [("CE530", 1, 3)]),
    ("- {reason: x}", [("CE530", 1, 3)]),
    ("- {where: pid = 1, reason: x, expires: soon}", [("CE530", 1, 40)]),
    ("- {where: pid = 1, reason: x, expires: 2026-13-01}", [("CE530", 1, 40)]),
    ("- {where: pid = 1, reason: x, rule: R}", [("CE530", 1, 31)]),
    ("- {where: pid = 1, reason: x, rules: []}", [("CE530", 1, 38)]),
    ("- {where: pid = 1, reason: x, rules: [{}]}", [("CE530", 1, 39)]),
    ("- {where: [pid], reason: 5}", [("CE530", 1, 11)]),
    ("- text", [("CE530", 1, 3)]),
    ("text", [("CE530", 1, 1)]),
    ("other: []", [("CE530", 1, 1)]),
    ("exclusions: {a: 1}", [("CE530", 1, 13)]),
    ("a: [", [("CE530", 1, 5)]),
    ("suppress: [{by: [rule]}]", [("CE530", 1, 12)]),
    ("suppress: [{by: [], for: 1 hour}]", [("CE530", 1, 12)]),
    ("suppress: [{by: hostnme, for: 1 hour}]", [("CE530", 1, 17)]),
    ("suppress: [{by: time, for: ever}]", [("CE530", 1, 17), ("CE530", 1, 28)]),
    ("suppress: [x]", [("CE530", 1, 12)]),
]


@pytest.mark.parametrize(("text", "expected"), WRONG)
def test_what_is_wrong_has_its_place(text: str, expected: list[tuple[str, int, int]]) -> None:
    with pytest.raises(CarError) as caught:
        parse_tuning(text, "x.yaml")
    found = [(d.code.id, d.span.line, d.span.column) for d in caught.value.diagnostics if d.span]
    assert found == expected


def test_all_files_are_checked_together(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("- {where: pid = 1, reason: x}\n")
    (tmp_path / "b.yaml").write_text("- {}\n")
    with pytest.raises(PathNotFoundError) as caught:
        load_tuning(tmp_path / "a.yaml", tmp_path / "b.yaml", tmp_path / "gone.yaml")
    assert len(caught.value.diagnostics) == 3
    assert len(load_tuning(tmp_path / "a.yaml", tmp_path / "a.yaml").exclusions) == 2
    assert parse_tuning("") == Tuning() == parse_tuning("exclusions:\nsuppress:\n")


# Suppression


def suppressing(text: str, events: list[dict[str, Any]]) -> list[tuple[str, Any]]:
    tuning = Tuning(suppressions=(parse_suppression(text),))
    return reported(tuning, matches(events))[0]


def test_repeats_are_reported_once_a_period() -> None:
    events = [
        event(minute, pid=number, hostname=host)
        for number, (minute, host) in enumerate(
            [(0, "web1"), (10, "WEB1"), (20, "web2"), (60, "web1"), (61, "web1"), (90, "web1")]
        )
    ]
    once = [0, 2, 4]
    assert suppressing("rule, hostname for 1 hour", events) == [
        (rule, pid) for pid in once for rule in ("R1", "R2")
    ]
    assert suppressing("hostname for 60 minutes", events) == [("R1", pid) for pid in once]


def test_what_has_no_key_or_no_time_is_reported() -> None:
    events = [event(0, pid=1), event(0, pid=2), {**event(0, pid=3, hostname="h"), "time": None}]
    events.append(events[-1])
    assert len(suppressing("rule, hostname for 1 hour", events)) == 8


def test_what_an_exclusion_takes_suppresses_nothing() -> None:
    tuning = parse_tuning(
        "exclusions: [{where: pid = 1, reason: x}]\nsuppress: [{by: rule, for: 1 day}]"
    )
    kept, match_filter = reported(tuning, matches(EVENTS))
    assert kept == [("R1", 2), ("R2", 2)]
    assert (match_filter.excluded.total(), match_filter.suppressed.total()) == (2, 4)


@given(st.lists(st.tuples(st.integers(0, 300), st.sampled_from("ab")), max_size=30))
def test_suppression_is_what_it_says(rows: list[tuple[int, str]]) -> None:
    """Against the plain reading: nothing within the period of the last one that was reported."""
    events = [event(minute, pid=n, hostname=host) for n, (minute, host) in enumerate(rows)]
    expected = []
    last: dict[str, int] = {}
    for number, (minute, host) in enumerate(rows):
        if host not in last or abs(minute - last[host]) > 30:
            last[host] = minute
            expected.append(number)
    found = matches(events, RULE)
    tuning = Tuning(suppressions=(parse_suppression("hostname for 30 minutes"),))
    assert [pid for _, pid in reported(tuning, found)[0]] == expected


RULE = rule_of("R1")


@pytest.mark.parametrize(
    "text", ["", "rule", "rule for", "rule for ever", "rul for 1 hour", "time for 1 hour"]
)
def test_a_suppression_that_is_none(text: str) -> None:
    with pytest.raises(CarError):
        parse_suppression(text)


# Filters

RULES = [
    rule_of(
        "A", level="high", status="stable", tags="[x]", attack="[T1003.001]", platforms="[Windows]"
    ),
    rule_of("B", level="low", status="test", tags="[y]", attack="[T1003]", platforms="[linux]"),
    rule_of("C", level="critical", attack="[T1059]"),
    rule_of("D"),
]
FILTERS: list[tuple[RuleFilter, list[str], dict[str, int]]] = [
    (RuleFilter(), ["A", "B", "C", "D"], {}),
    (RuleFilter(level="high"), ["A", "C"], {"below the level": 2}),
    (RuleFilter(statuses=("Stable", "test")), ["A", "B"], {"of another status": 2}),
    (RuleFilter(tags=("Y",)), ["B"], {"without the tag": 3}),
    (RuleFilter(techniques=("t1003",)), ["A", "B"], {"for other techniques": 2}),
    (RuleFilter(techniques=("T1003.001",)), ["A"], {"for other techniques": 3}),
    (RuleFilter(techniques=("T100",)), [], {"for other techniques": 4}),
    (RuleFilter(platforms=("windows",)), ["A"], {"for other platforms": 3}),
    (
        RuleFilter(level="low", techniques=("T1003",), platforms=("Windows",)),
        ["A"],
        {"below the level": 1, "for other techniques": 1, "for other platforms": 1},
    ),
]


@pytest.mark.parametrize(("chosen", "expected", "left_out"), FILTERS)
def test_rules_are_chosen(
    chosen: RuleFilter, expected: list[str], left_out: dict[str, int]
) -> None:
    found, counted = chosen.choose(RULES)
    assert [rule.id for rule in found] == expected
    assert counted == left_out


def test_times() -> None:
    day = time_of_option("2026-01-01")
    assert (
        time_of_option("2026-01-01T02:00:00+02:00")
        == day
        == time_of_option(" 2026-01-01T00:00:00Z ")
    )
    for text in ("yesterday", "", "5", "2026-13-01"):
        with pytest.raises(ValueError, match="point in time"):
            time_of_option(text)
    assert not TimeRange()
    inside = TimeRange(day, day + 10)
    assert [inside.holds(t) for t in (day - 1, day, day + 9, day + 10, None)] == [
        False,
        True,
        True,
        False,
        True,
    ]
