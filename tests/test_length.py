"""The length of a text, in conditions, columns and aggregates."""

from __future__ import annotations

from typing import Any

import pytest

import carengine
from carengine import CarError, Engine

EVENTS = [
    {
        "object": "process",
        "action": "create",
        "time": f"2024-05-01T10:00:0{number}Z",
        "hostname": host,
        "pid": number,
        "command_line": line,
    }
    for number, (host, line) in enumerate(
        [("A", "a"), ("A", "äöü🙂"), ("B", "x" * 40), ("B", None)]
    )
]


def matches(text: str) -> list[Any]:
    rule = carengine.parse_rule(text)
    return [match.as_json() for match in Engine([rule], "car").run(EVENTS)]


@pytest.mark.parametrize(
    ("condition", "pids"),
    [
        ("length(command_line) >= 4", [1, 2]),
        ("len(command_line) = 4", [1]),
        ("not length(command_line) > 4", [0, 1]),
        ("length(command_line) != null", [0, 1, 2]),
        ("length(command_line) * 2 < length(hostname) + 2", [0]),
        ("length(hostname) = length(command_line)", [0]),
        ("length(pid) = 1", [0, 1, 2, 3]),
    ],
)
def test_conditions(condition: str, pids: list[int]) -> None:
    found = matches(f"p = search Process:Create where {condition} output p")
    assert [match["events"][0]["fields"]["pid"] for match in found] == pids


def test_columns_and_aggregates() -> None:
    text = """p = search Process:Create
g = group p by hostname
s = from g select hostname, max(length(command_line)) as most, average(len(command_line)) as mean
output s"""
    columns = [match["fields"] for match in matches(text)]
    assert [(row["hostname"], row["most"], row["mean"]) for row in columns] == [
        ("A", 4, 2.5),
        ("B", 40, 40),
    ]


def test_against_the_average_of_its_group() -> None:
    text = """p = search Process:Create
g = group p by hostname
s = from g select hostname, average(length(command_line)) as mean
f = filter p where length(command_line) > s.mean
output f"""
    assert [match["events"][0]["fields"]["pid"] for match in matches(text)] == [1]


@pytest.mark.parametrize("call", ["length()", "length(command_line, pid)", "lenght(command_line)"])
def test_what_is_wrong_is_told(call: str) -> None:
    with pytest.raises(CarError) as caught:
        carengine.parse_rule(f"p = search Process:Create where {call} > 1 output p")
    [said] = caught.value.diagnostics
    assert said.code.id in ("CE206", "CE207") or "length" in said.message + str(said.fix)
    assert said.span is not None


def test_it_is_printed_as_it_is_written() -> None:
    text = "p = search Process:Create\nf = filter p where length(command_line) > 10\noutput f\n"
    assert carengine.format_rule(text, "x.car") == text


def test_languages_that_cannot_say_it_refuse() -> None:
    rule = carengine.parse_rule("p = search Process:Create where length(command_line) > 9 output p")
    for target in ("splunk", "eql", "esql", "sigma", "duckdb"):
        with pytest.raises(CarError) as caught:
            carengine.translate(rule, target, "sysmon.flat")
        assert caught.value.diagnostics[0].code.id == "CE901", target
