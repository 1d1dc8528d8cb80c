"""Lines with the keys of one before are read in one step: as they are read key by key."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carengine.readers.line_formats import KEY_VALUE, cef, key_value
from carengine.readers.line_formats.cef import CefReader
from carengine.readers.line_formats.key_value import KeyValueReader

VALUES = [
    *("", "a", "10.0.0.1", "a b", "a  b", " a", "a ", "a=b", "a|b", "a^b", "a\\b", "a\\=b", "\\"),
    *('"', 'a"b', "'a'", "é", "\u00a0x", "x\u2028y", "x\ty", "a,b", "a;b", "b=1 c=2", "x" * 300),
]
PLAIN = ["a", "10.0.0.1", "443", "TCP", "-", "0x1f", "a/b", ""]


def _cef(keys: list[str], values: list[str]) -> str:
    pairs = " ".join(f"{key}={value}" for key, value in zip(keys, values[2:], strict=False))
    return f"CEF:0|{values[0]}|P|1.0|100|{values[1]}|5|{pairs}"


def _leef(keys: list[str], values: list[str], head: str, cut: str) -> str:
    pairs = cut.join(f"{key}={value}" for key, value in zip(keys, values[2:], strict=False))
    return f"LEEF:{head}V|{values[0]}|1.0|100|{pairs}"


def _pairs(keys: list[str], values: list[str], quoted: list[bool]) -> str:
    return " ".join(
        f'{key}="{value}"' if quote else f"{key}={value}"
        for key, value, quote in zip(keys, values, quoted, strict=False)
    )


def _line(chance: random.Random, form: str, keys: list[str], quoted: list[bool]) -> str:
    odd = chance.random() < 0.4
    values = [chance.choice(PLAIN) for _ in range(len(keys) + 2)]
    if odd:
        values[chance.randrange(len(values))] = chance.choice(VALUES)
    match form:
        case "cef":
            return _cef(keys, values)
        case "leef 1":
            return _leef(keys, values, "1.0|", "\t")
        case "leef 2":
            return _leef(keys, values, "2.0|", "\t")
        case "leef ^":
            return _leef(keys, values, "2.0|", "^").replace("|100|", "|100|^|")
        case _:
            return _pairs(keys, values, quoted)


@pytest.mark.parametrize("form", ["cef", "leef 1", "leef 2", "leef ^", "pairs"])
@given(st.integers(0, 1 << 32))
def test_in_one_step_and_key_by_key(form: str, seed: int) -> None:
    chance = random.Random(seed)
    names = ["src", "dst", "spt", "msg", "cs1", "cs1Label", "name", "src", "x.y", "a[0]", "date"]
    shapes = [chance.sample(names, chance.randint(1, 6)) for _ in range(3)]
    quoted = [chance.random() < 0.4 for _ in names]
    lines = [_line(chance, form, chance.choice(shapes), quoted) for _ in range(12)]
    reader, single = (
        (KeyValueReader(), key_value._event) if form == "pairs" else (CefReader(), cef._event)
    )
    assert reader.read(lines) == [single(line) for line in lines]
    assert [list(x) if isinstance(x, dict) else x for x in reader.read(lines)] == [
        list(x) if isinstance(x, dict) else x for x in map(single, lines)
    ]


def test_most_lines_of_a_log_take_the_short_way() -> None:
    lines = [
        f'date=2024-05-20 time=07:58:{n} dev="fw 1" srcip=10.0.0.{n} act=deny' for n in range(9)
    ]
    reader = KEY_VALUE.reader()
    assert isinstance(reader, KeyValueReader)
    events = reader.read(lines)
    assert reader._templates.tried == 1
    assert [event["timestamp"] for event in events if isinstance(event, dict)] == [
        f"2024-05-20T07:58:{n}" for n in range(9)
    ]
