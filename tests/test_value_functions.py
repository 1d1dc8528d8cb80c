"""Parts of paths, and how texts begin and end, in rules: engine, reference, joins, translations."""

from __future__ import annotations

from typing import Any

import pytest

import carengine
from carengine.engine import Engine, interpret, interpret_streams
from carengine.fieldmap import find_maps
from carengine.syntax import parse_program, print_program

MAPS = find_maps("car")


def event(number: int, path: str | None, name: str | None, **more: Any) -> dict[str, Any]:
    return {
        "object": "process",
        "action": "create",
        "time": f"2024-05-01T10:00:0{number}Z",
        "hostname": "a",
        "pid": number,
        "image_path": path,
        "parent_image_path": name,
        **more,
    }


EVENTS = [
    event(0, "C:\\Windows\\cmd.exe", "c:\\windows\\CMD.EXE"),
    event(1, "C:\\Temp\\data.exe", "a.exe"),
    event(2, "C:\\Temp\\a.exe", "Temp\\a.exe"),
    event(3, "C:\\Temp\\sub\\x.exe", "C:\\temp"),
    event(4, None, "a.exe"),
    event(5, "[*]", "[*]x"),
]


@pytest.mark.parametrize(
    ("condition", "pids"),
    [
        ("basename(image_path) = basename(parent_image_path)", [0, 2]),
        ("basename(image_path) = parent_exe", [0, 2]),
        ('BaseName(image_path) = "*.exe"', [0, 1, 2, 3]),
        ("ends_with(image_path, parent_image_path) = true", [0, 1, 2]),
        ("not ends_with(image_path, parent_image_path) = true", [3, 5]),
        ("ends_with(image_path, parent_image_path) = false", [3, 5]),
        ("starts_with(image_path, parent_image_path) = true", [0, 3]),
        ("starts_with(parent_image_path, image_path) = true", [0, 5]),
        ('starts_with(image_path, "c:\\t") = true', [1, 2, 3]),
        ("dirname(image_path) = parent_image_path", []),
        ("dirname(dirname(image_path)) = parent_image_path", [3]),
        ('extension(image_path) = ".exe" and extension(image_path) != null', [0, 1, 2, 3]),
        ("basename(image_path) = null", [4]),
    ],
)
def test_conditions(condition: str, pids: list[int]) -> None:
    text = f"p = search Process:Create where {condition} output p"
    rule = carengine.parse_rule(text)
    found = [match.as_json() for match in Engine([rule], "car").run(EVENTS)]
    assert [match["events"][0]["fields"]["pid"] for match in found] == pids
    assert found == [match.as_json() for match in interpret([rule], EVENTS, MAPS)]
    # Printed and read again it means the same, and so does it as data.
    again = carengine.parse_rule(print_program(parse_program(text).program))
    assert again.program == rule.program
    assert Engine.load(Engine([rule], "car").dump()).rules[0].program == rule.program


def test_joins_columns_and_groups() -> None:
    rule = carengine.parse_rule(
        """
w = search File:Write
p = search Process:Create
j = join (w, p) where (
  w.hostname = p.hostname and basename(w.file_path) = p.exe and
  ends_with(p.image_path, w.file_path) = true and w.time < p.time < w.time + 1 minute)
s = from p select basename(image_path) as name
g = group s by name
c = from g select name, count(*) as number
output j, c
"""
    )
    written = {**EVENTS[0], "object": "file", "action": "write", "image_path": None}
    events = [{**written, "file_path": "temp\\a.exe"}, *EVENTS]
    found = list(Engine([rule], "car").run(events))
    assert [
        [one.fields.get("pid") for one in match.events] for match in found if match.output == "j"
    ] == [[0, 2]]
    assert sorted(match.fields["name"] for match in found if match.output == "c") == [
        "[*]",
        "a.exe",
        "cmd.exe",
        "data.exe",
        "x.exe",
    ]
    expected = interpret_streams([rule], events, MAPS, horizon=30 * 86_400_000_000)
    assert sorted(str(m.as_json()) for m in found) == sorted(str(m.as_json()) for m in expected)


def test_through_a_field_map_and_to_other_languages() -> None:
    rule = carengine.parse_rule(
        "p = search Process:Create where ends_with(image_path, parent_exe) = true output p"
    )
    record = {
        "Channel": "Microsoft-Windows-Sysmon/Operational",
        "EventID": 1,
        "Image": "C:\\a\\b.exe",
        "ParentImage": "D:\\B.EXE",
    }
    assert len(list(Engine([rule], "sysmon.flat").run([record]))) == 1
    with pytest.raises(carengine.CarError, match="ends_with"):
        carengine.translate(rule, "splunk", "sysmon.flat")


def test_two_rules_are_not_taken_for_equal() -> None:
    one, other = (
        carengine.parse_rule(
            f"p = search Process:Create where {name}(image_path, exe) = true output p"
        )
        for name in ("ends_with", "starts_with")
    )
    assert not carengine.compare(one.program, other.program).equivalent
    plain = carengine.parse_rule('p = search Process:Create where exe = "a.exe" output p')
    part = carengine.parse_rule(
        'p = search Process:Create where basename(image_path) = "a.exe" output p'
    )
    # In CAR's own events `exe` and `image_path` are two fields.
    assert not carengine.compare(plain.program, part.program).equivalent
    assert carengine.compare(part.program, part.program).equivalent is not False


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ("basename()", "takes one value"),
        ("ends_with(image_path)", "takes two values"),
        ("starts_with(image_path, exe, user)", "takes two values"),
    ],
)
def test_what_is_wrong(call: str, message: str) -> None:
    with pytest.raises(carengine.CarError, match=message):
        carengine.parse_rule(f"p = search Process:Create where {call} = true output p")
