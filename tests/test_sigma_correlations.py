"""Sigma filters and correlations: what they apply to, when they match, and what is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest

import carengine
from carengine import ir
from carengine.check import check_rules
from carengine.engine import interpret_streams
from carengine.rule import RuleSet
from sigma_rules import FLAT, HEAD, SYSMON, hits, load, with_detection

# Filters

_FILTER = """\
title: Known good
logsource: {product: windows}
filter:
  rules: RULES
  admin: {User: admin}
  condition: not admin
"""


@pytest.mark.parametrize(
    ("rules", "applies"),
    [
        ("any", True),
        ("[11111111-1111-4111-8111-111111111111]", True),
        ("11111111-1111-4111-8111-111111111111", True),
        ("[named]", True),
        ("[another]", False),
    ],
)
def test_filters_narrow_rules_in_other_files(rules: str, applies: bool) -> None:
    rule = with_detection("s: {A: 1}\ncondition: s", HEAD + "name: named\n")
    loaded = load(_FILTER.replace("RULES", rules), rule)
    assert len(loaded) == 1
    events = [SYSMON | {"A": 1, "User": "admin"}, SYSMON | {"A": 1}]
    assert [place for place, _ in hits(loaded, events)] == ([1] if applies else [0, 1])
    assert [d.code.id for d in loaded.diagnostics] == ["CE808" if applies else "CE809"]


def test_a_rule_that_a_filter_names_in_vain_is_told() -> None:
    text = _FILTER.replace("RULES", "[named, NAMED, 11111111-1111-4111-8111-11111111111A]")
    rule = with_detection("s: {A: 1}\ncondition: s", HEAD + "name: named\n")
    loaded = load(text, rule)
    told = [d.message for d in loaded.diagnostics if d.code.id == "CE809"]
    assert [message.split()[5] for message in told] == [
        "11111111-1111-4111-8111-11111111111A,",
        "NAMED,",
    ]


def test_a_filter_has_one_condition() -> None:
    text = _FILTER.replace("RULES", "any").replace("not admin", "[not admin, admin]")
    loaded = load(text, with_detection("s: {A: 1}\ncondition: s"))
    assert len(loaded) == 1
    assert [d.code.id for d in loaded.diagnostics] == ["CE802"]


def test_a_filter_is_for_its_log_source_only() -> None:
    text = _FILTER.replace("RULES", "any").replace("windows", "windows, service: security")
    loaded = load(text, with_detection("s: {A: 1}\ncondition: s"))
    assert [d.code.id for d in loaded.diagnostics] == ["CE809"]


# Correlations

_PARTS = "".join(
    f"---\ntitle: Part {n}\nname: part_{n}\nid: p{n}\n"
    "logsource: {product: windows, service: security}\n"
    f"detection:\n  s: {{EventID: {n}}}\n  condition: s\n"
    for n in (1, 2)
)


def correlation(body: str) -> RuleSet:
    indented = "".join(f"  {line}\n" for line in body.splitlines())
    return load(f"title: Correlated\nid: c\ncorrelation:\n{indented}{_PARTS}")


def window(rules: RuleSet) -> ir.Window:
    assert not rules.refused, rules.diagnostics
    rule = rules.get("c")
    assert rule is not None
    [output] = rule.program.outputs
    assert isinstance(output.plan, ir.Window)
    return output.plan


COUNT = "type: event_count\nrules: [part_1]\ngroup-by: [Host, User]\ntimespan: 5m\n"


def test_event_counts_slide() -> None:
    rules = correlation(COUNT + "condition: {gte: 10}")
    plan = window(rules)
    assert plan.span == 300_000_000
    assert plan.keys == (ir.Field("Host"), ir.Field("User"))
    assert plan.columns == (ir.Column("event_count", ir.Aggregate("count", None)),)
    assert (plan.complete, plan.ordered) == (False, False)
    part = rules.get("p1")
    assert part is not None
    assert part.program.outputs == ()
    assert [d.code.id for d in rules.diagnostics] == ["CE805"]
    assert not rules.rules[0].stateless


def test_parts_report_for_themselves_where_they_are_asked_to() -> None:
    rules = correlation(COUNT + "condition: {gte: 10}\ngenerate: true")
    part = rules.get("p1")
    assert part is not None
    assert part.program.outputs
    assert rules.diagnostics == ()


@pytest.mark.parametrize(
    ("kind", "condition", "function", "argument", "complete"),
    [
        ("value_count", "{field: User, gte: 3}", "distinct_count", None, False),
        ("value_count", "{field: User, lt: 3}", "distinct_count", None, True),
        ("value_sum", "{field: Size, gt: 3}", "sum", None, False),
        ("value_avg", "{field: Size, gt: 3}", "average", None, True),
        ("value_median", "{field: Size, gt: 3}", "percentile", 50, True),
        ("value_percentile", "{field: Size, gt: 3, percentile: 95}", "percentile", 95, True),
    ],
)
def test_measured_correlations(
    kind: str, condition: str, function: str, argument: float | None, complete: bool
) -> None:
    rules = correlation(f"type: {kind}\nrules: part_1\ntimespan: 1h\ncondition: {condition}")
    plan = window(rules)
    [column] = plan.columns
    assert isinstance(column.value, ir.Aggregate)
    assert (column.value.function, column.value.argument) == (function, argument)
    assert plan.complete is complete


def test_temporal_correlations_count_the_rules_that_were_seen() -> None:
    body = "rules: [part_1, p2]\ntimespan: 1h\ngroup-by: Host"
    plan = window(correlation("type: temporal\n" + body))
    [column] = plan.columns
    assert column.value == ir.Aggregate("distinct_count", ir.Field("@rule"))
    assert len(plan.plans) == 2
    assert not plan.ordered
    assert window(correlation("type: temporal_ordered\n" + body)).ordered


def test_expressions_over_rules_and_aliases() -> None:
    plan = window(
        correlation(
            "type: temporal\ntimespan: 1h\ngroup-by: [who]\n"
            "aliases: {who: {part_1: UserA, part_2: UserB}}\n"
            "condition: part_1 and not part_2"
        )
    )
    assert plan.complete
    assert [column.name for column in plan.columns] == ["part_1", "part_2"]
    first = plan.plans[0]
    assert isinstance(first, ir.Assign)
    assert isinstance(first.plan, ir.Assign)
    assert first.plan.name == "who"


_IDS = "11111111-1111-4111-8111-11111111111"
_IDENTIFIED = _PARTS.replace("id: p", f"id: {_IDS}")


def fired(body: str, events: list[tuple[int, dict[str, Any]]], more: str = "") -> list[list[int]]:
    """Which events each match of a correlation has, by engine, by lines and by the reference."""
    indented = "".join(f"  {line}\n" for line in body.splitlines())
    rules = load(f"title: Correlated\nid: c\ncorrelation:\n{indented}{more}{_IDENTIFIED}")
    assert not rules.refused, rules.diagnostics
    given = [
        {"Channel": "Security", "n": n, "TimeCreated": f"2024-01-01T00:{s // 60:02}:{s % 60:02}Z"}
        | e
        for n, (s, e) in enumerate(events)
    ]
    engine = carengine.Engine(rules, FLAT)
    session = engine.session()
    by_lines = [m for event in given for m in session.feed_line(json.dumps(event).encode())]
    by_lines += session.flush()
    ways = (engine.run(given), by_lines, interpret_streams(list(rules), given, FLAT))
    shown = [
        sorted([e.event["n"] for e in m.events] for m in way if m.rule.id == "c") for way in ways
    ]
    assert shown[0] == shown[1] == shown[2]
    return shown[0]


_BOTH = "type: temporal\ntimespan: 1m\ngroup-by: [who]\n"


@pytest.mark.parametrize(
    "body",
    [
        f"rules: [{_IDS}1, {_IDS}2]\naliases: {{who: {{part_1: A, part_2: B}}}}",
        f"rules: [part_1, part_2]\naliases: {{who: {{{_IDS}1: A, {_IDS}2: B}}}}",
        f"rules: [part_1, {_IDS}2]\naliases: {{who: {{{_IDS}1: A, part_2: B}}}}",
    ],
)
def test_aliases_name_rules_by_id_or_name(body: str) -> None:
    events = [(0, {"EventID": 1, "A": "x"}), (5, {"EventID": 2, "B": "X"})]
    assert fired(_BOTH + body, events) == [[0, 1]]
    assert fired(_BOTH + body, [events[0], (5, {"EventID": 2, "B": "y"})]) == []


def test_aliases_may_exchange_fields() -> None:
    body = (
        "type: temporal\ntimespan: 1m\ngroup-by: [A, B]\nrules: [part_1, part_2]\n"
        "aliases: {A: {part_1: B, part_2: A}, B: {part_1: A, part_2: B}}"
    )
    events = [(0, {"EventID": 1, "A": 1, "B": 2}), (5, {"EventID": 2, "A": 2, "B": 1})]
    assert fired(body, events) == [[0, 1]]


def test_a_range_of_counts() -> None:
    body = "type: event_count\nrules: part_1\ntimespan: 1m\ncondition: {gt: 1, lte: 3}"
    for number, expected in ((1, []), (2, [[0, 1]]), (3, [[0, 1, 2]]), (4, [])):
        assert fired(body, [(second, {"EventID": 1}) for second in range(number)]) == expected
    assert window(correlation(body)).complete
    rules = correlation(body.replace("lte: 3", "lte: x"))
    assert "no valid" in rules.refused[0].diagnostics[0].message


BURST = [0, 240, 330, 390]
FOUR_IN_A_MINUTE = [0, 10, 20, 30]


@pytest.mark.parametrize(
    ("condition", "seconds", "expected"),
    [
        # An event before a burst does not hide it from a bound above.
        ("{gte: 3}", BURST, [[1, 2, 3]]),
        ("{gte: 3, lte: 100}", BURST, [[1, 2, 3]]),
        ("{eq: 3}", BURST, [[1, 2, 3]]),
        ("{gt: 2, lt: 4}", BURST, [[1, 2, 3]]),
        # … nor one long before, nor several.
        ("{eq: 3}", [0, 250, 299, 310, 400, 549], [[0, 1, 2], [3, 4, 5]]),
        # What lies within a larger window is not asked by itself.
        ("{eq: 3}", FOUR_IN_A_MINUTE, []),
        ("{gte: 2, lte: 3}", FOUR_IN_A_MINUTE, []),
        ("{lte: 3}", FOUR_IN_A_MINUTE, []),
        # The events of a window that matched are spent.
        ("{gte: 2, lte: 9}", [0, 10, 301, 305], [[0, 1], [2, 3]]),
        ("{lt: 3}", BURST, [[0, 1], [2, 3]]),
    ],
)
def test_bounds_from_above(condition: str, seconds: list[int], expected: list[list[int]]) -> None:
    body = f"type: event_count\nrules: part_1\ntimespan: 5m\ncondition: {condition}"
    assert fired(body, [(second, {"EventID": 1}) for second in seconds]) == expected


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("type: event_count\ncondition: {gte: 3, lte: 9}", "by `lte`"),
        ("type: event_count\ncondition: {eq: 3}", "by `eq`"),
        ("type: value_count\ncondition: {field: User, lt: 3}", "by `lt`"),
        ("type: value_avg\ncondition: {field: Size, gt: 3}", "other values"),
        ("type: temporal\ncondition: part_1 and not part_2", "behind `not`"),
        ("type: event_count\ncondition: {gte: 3}", ""),
        ("type: value_sum\ncondition: {field: Size, gt: 3}", ""),
        ("type: temporal\ncondition: part_1 and part_2", ""),
    ],
)
def test_a_correlation_that_more_events_silence_is_told(body: str, said: str) -> None:
    rules = " rules: part_1\n" if "temporal" not in body else "\n"
    loaded = correlation(f"{body}\n{rules.strip()}\ntimespan: 5m")
    assert not loaded.refused
    told = [d.message for d in loaded.diagnostics if d.code.id == "CE811"]
    assert len(told) == bool(said)
    assert all(said in message for message in told)


def test_a_window_with_a_bound_from_above_costs_the_same_however_full_it_is() -> None:
    """What the condition reads is kept up to date, also for averages and percentiles."""
    for kind in ("value_avg", "value_median", "event_count"):
        field = "" if kind == "event_count" else "field: Size, "
        body = f"type: {kind}\nrules: part_1\ntimespan: 30m\ncondition: {{{field}lt: 0}}"
        events = [(second // 10, {"EventID": 1, "Size": second % 7}) for second in range(600)]
        assert fired(body, events) == []


@pytest.mark.parametrize(
    ("outside", "inside", "reported"),
    [
        ("generate: true\n", "", True),
        ("generate: false\n", "", False),
        ("", "generate: true\n", True),
        ("generate: yes\n", "", True),
        ("generate: true\n", "generate: true\n", True),
        ("generate: true\n", "generate: false\n", None),
        ("generate: maybe\n", "", None),
        ("generate: [true]\n", "", None),
    ],
)
def test_generate_stands_at_the_top_or_within(
    outside: str, inside: str, reported: bool | None
) -> None:
    body = (COUNT + "condition: {gte: 10}\n" + inside).rstrip().replace("\n", "\n  ")
    rules = load(f"title: Correlated\nid: c\n{outside}correlation:\n  {body}\n{_PARTS}")
    part = rules.get("p1")
    assert part is not None
    if reported is None:
        [refused] = rules.refused
        assert "generate" in refused.diagnostics[0].message
    else:
        assert not rules.refused
        assert bool(part.program.outputs) is reported


@pytest.mark.parametrize(
    "body",
    [
        COUNT + "condition: {gte: 10}",
        "type: value_count\nrules: part_1\ntimespan: 5m\ncondition: {gte: 5, field: User}",
        "type: temporal\nrules: [part_1, part_2]\ngroup-by: [Host]\ntimespan: 5m",
        "type: temporal_ordered\nrules: [part_1, part_2]\ntimespan: 5m",
        "type: temporal\ntimespan: 5m\ncondition: part_1 and not part_2",
        "type: value_avg\nrules: part_1\ntimespan: 5m\ncondition: {gte: 5, field: Size}",
    ],
)
def test_correlations_can_be_checked(body: str) -> None:
    rules = correlation(body)
    assert not rules.refused
    assert [d.code.id for d in check_rules(rules)] == []


def test_a_rule_that_is_named_twice_is_one() -> None:
    body = "type: temporal\nrules: [part_1, part_1]\ntimespan: 1m"
    assert fired(body, [(0, {"EventID": 1})]) == [[0]]


def test_a_correlation_of_correlations_by_a_field_of_the_events() -> None:
    many = (
        "---\ntitle: Many\nname: many\nid: m\ncorrelation: {type: event_count, rules: [part_1],"
        " group-by: [Computer], timespan: 1m, condition: {gte: 2}}\n"
    )
    body = "type: temporal_ordered\nrules: [many, part_2]\ngroup-by: [User]\ntimespan: 5m"
    one, other = ({"EventID": 1, "Computer": "c", "User": user} for user in ("u", "v"))
    then = (20, {"EventID": 2, "User": "u"})
    assert fired(body, [(0, one), (5, one), then], many) == [[0, 1, 2]]
    # The events of one row do not agree: it is of no user.
    assert fired(body, [(0, one), (5, other), then], many) == []
    body = "type: value_count\nrules: many\ntimespan: 5m\ncondition: {gte: 2, field: User}"
    assert fired(body, [(0, one), (5, one), (7, other), (8, other)], many) == [[0, 1, 2, 3]]


def test_a_key_that_no_correlation_has_is_named() -> None:
    rules = correlation(COUNT + "condition: {gte: 10}\ngroupby: [A]")
    assert not rules.refused
    said = [d.message for d in rules.diagnostics if d.code.id == "CE806"]
    assert said == ["a correlation has no key groupby"]


CORRELATION_ERRORS = [
    (COUNT, "without condition"),
    (COUNT.replace("event_count", "no_count") + "condition: {gte: 1}", "no valid"),
    (COUNT.replace("5m", "5 parsecs") + "condition: {gte: 1}", "Timespan"),
    (COUNT.replace("part_1", "nobody") + "condition: {gte: 1}", "nobody"),
    (COUNT.replace("part_1", "c") + "condition: {gte: 1}", "leads back"),
    (_BOTH + "rules: [part_1]\naliases: {who: {part_1: A, part_9: B}}", "name the rule part_9"),
    (_BOTH + "rules: [part_1]\naliases: {who: {part_1: A, part_2: B}}", "name the rule part_2"),
    ("type: value_count\nrules: part_1\ntimespan: 1h\ncondition: {gte: 1}", "field"),
    (
        "type: value_percentile\nrules: part_1\ntimespan: 1h\ncondition: {gte: 1, field: A}",
        "percentile",
    ),
    ("type: temporal\ntimespan: 1h\ncondition: " + "(" * 40 + "part_1" + ")" * 40, "too deeply"),
    ("type: temporal_ordered\ntimespan: 1h\ncondition: part_1 or part_2", "order"),
]


@pytest.mark.parametrize(("body", "said"), CORRELATION_ERRORS)
def test_wrong_correlations_are_refused(body: str, said: str) -> None:
    rules = correlation(body)
    [refused] = rules.refused
    assert refused.id == "c"
    assert any(said in d.message for d in refused.diagnostics), refused.diagnostics
    part = rules.get("p1")
    assert part is not None
    assert part.program.outputs, "a part of a correlation that is refused reports by itself"


def test_a_correlation_of_a_refused_rule_is_refused() -> None:
    text = f"title: C\nid: c\ncorrelation:\n  {COUNT.replace(chr(10), chr(10) + '  ')}condition: {{gte: 1}}\n"
    rules = load(text + _PARTS.replace("{EventID: 1}", "{EventID|nope: 1}"))
    assert {r.id for r in rules.refused} == {"c", "p1"}
