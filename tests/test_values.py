"""One reading for each spelling of a value: texts, numbers, times, addresses; and how they compare."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import test_map_functions
from carengine.functions import FUNCTIONS, arities, call
from carengine.ir import Relation, Type
from carengine.values import (
    address_of,
    calculate,
    compare,
    elements,
    format_time,
    in_network,
    is_null,
    key_of,
    number_of,
    raw_text,
    text_of,
    time_of,
)
from strategies import some, values

HUGE = 2**5000


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a", "a"),
        ("", ""),
        (445, "445"),
        (445.0, "445"),
        (4.5, "4.5"),
        (-0.0, "0"),
        (1e300, "1e+300"),
        (True, "true"),
        (False, "false"),
        (10**40, "1" + "0" * 40),
        (HUGE, None),
        (None, None),
        ({}, None),
        ([], None),
        (["a"], None),
    ],
)
def test_texts(value: Any, text: str | None) -> None:
    assert text_of(value) == text


@pytest.mark.parametrize(
    ("value", "number"),
    [
        ("445", 445),
        (" 445\n", 445),
        ("+5", 5),
        ("-5", -5),
        ("007", 7),
        ("4.50", 4.5),
        (".5", None),
        ("5.", None),
        ("1e3", None),
        ("1_000", None),
        ("٣", None),
        ("", None),
        ("0x1f", None),
        ("nan", None),
        ("9" * 41, None),
        (True, None),
        (math.nan, None),
        (math.inf, None),
        (None, None),
        ([1], None),
        (HUGE, HUGE),
    ],
)
def test_numbers(value: Any, number: float | None) -> None:
    assert number_of(value) == number


@pytest.mark.parametrize(
    ("text", "number"),
    [("0x1F", 31), ("0X1f", 31), (" 0x0 ", 0), ("0x", None), ("1f", None), ("0x" + "f" * 33, None)],
)
def test_hexadecimal_numbers(text: str, number: int | None) -> None:
    assert number_of(text, hexadecimal=True) == number
    assert number_of("12", hexadecimal=True) == 12


TIME = 1_716_190_872_518_000


@pytest.mark.parametrize(
    "value",
    [
        "2024-05-20T07:41:12.518Z",
        "2024-05-20 07:41:12.518",
        " 2024-05-20T07:41:12.518+00:00 ",
        "2024-05-20T09:41:12.518+02:00",
        "2024-05-20T07:41:12.5180000Z",
        "2024-05-20T07:41:12,518Z",
        "20240520T074112.518Z",
        1_716_190_872.518,
        "1716190872.518",
        1_716_190_872_518,
        "1716190872518",
        1_716_190_872_518_000,
        1_716_190_872_518_000_000,
        133_606_644_725_180_000,
        "133606644725180000",
    ],
)
def test_times(value: Any) -> None:
    assert time_of(value) == TIME
    assert format_time(TIME) == "2024-05-20T07:41:12.518Z"


@pytest.mark.parametrize(
    "value",
    ["", "yesterday", "2024-13-01", "07:41:12", None, True, {}, math.nan, "9" * 70, 1e30, HUGE],
)
def test_no_times(value: Any) -> None:
    assert time_of(value) is None


def test_a_number_is_never_read_as_a_date_without_hyphens() -> None:
    # Twelve and more digits could pass for ISO 8601's basic format.
    assert time_of("1512121200000") == 1_512_121_200_000_000
    assert time_of("151212120000") == time_of(151_212_120_000)
    assert time_of("20191027") == time_of("2019-10-27")


@given(st.datetimes(datetime(1971, 1, 1), datetime(2100, 1, 1)))
def test_times_read_what_is_written(moment: datetime) -> None:
    micros = (moment.replace(tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(
        microseconds=1
    )
    for written in (moment.isoformat(), moment.isoformat(" "), moment.isoformat() + "Z"):
        assert time_of(written) == micros
    assert time_of(format_time(micros)) == micros


@given(st.integers(-(2**80), 2**80))
def test_any_time_can_be_shown(micros: int) -> None:
    assert format_time(micros)


@pytest.mark.parametrize(
    ("text", "network", "inside"),
    [
        ("10.1.2.3", "10.0.0.0/8", True),
        ("11.1.2.3", "10.0.0.0/8", False),
        (" 10.1.2.3 ", "10.9.9.9/8", True),
        ("fe80::1%3", "fe80::/10", True),
        ("FE80:0:0:0::1", "fe80::/10", True),
        ("::ffff:10.0.0.1", "10.0.0.0/8", True),
        ("::ffff:10.0.0.1", "::ffff:10.0.0.1", True),
        ("10.0.0.1", "::ffff:10.0.0.0/104", True),
        ("::ffff:0a00:1", "::ffff:10.0.0.0/104", True),
        ("11.0.0.1", "::ffff:10.0.0.0/104", False),
        ("203.0.113.9", "::ffff:0:0/96", True),
        ("2001:db8::1", "::/0", True),
        ("10.0.0.1:80", "10.0.0.0/8", False),
        ("10.1", "10.0.0.0/8", False),
        ("host", "10.0.0.0/8", False),
        ("::1", "::1", True),
        ("10.0.0.1", "nonsense", False),
    ],
)
def test_networks(text: str, network: str, inside: bool) -> None:
    assert in_network(text, network) is inside


def test_one_address_has_many_spellings() -> None:
    assert address_of("2001:DB8:0::0001") == address_of("2001:db8::1")


# Comparison

N = None
ORDER = [
    # left, relation, right, type, verdict
    (445, "=", "445", Type.INTEGER, True),
    ("0x1bd", "=", 445, Type.INTEGER, True),
    ("0x1bd", "=", 445, Type.NUMBER, False),
    (445, "=", 445.0, Type.NUMBER, True),
    ("x", "=", 445, Type.INTEGER, False),
    ("x", "<", 445, Type.INTEGER, N),
    ("10", "<", "9", Type.TEXT, False),
    ("b", ">", "A", Type.TEXT, True),
    ("b", ">", 5, Type.ANY, N),
    ("A", "=", "a", Type.TEXT, True),
    ("1.0", "=", "1", Type.TEXT, False),
    ("1.0", "=", "1", Type.ANY, True),
    ("FE80::1", "=", "fe80:0::1", Type.ADDRESS, True),
    ("host", "=", "HOST", Type.ADDRESS, True),
    (True, "=", "TRUE", Type.TEXT, True),
    (True, "=", 1, Type.NUMBER, False),
    (math.nan, "=", math.nan, Type.NUMBER, False),
    (math.nan, "<", 1, Type.NUMBER, N),
    (HUGE, ">", 1, Type.INTEGER, True),
    (HUGE, "=", HUGE, Type.INTEGER, True),
    (None, "=", None, Type.ANY, N),
    (None, "<", 1, Type.NUMBER, N),
    ([], "=", 1, Type.NUMBER, N),
    ([None], "=", 1, Type.NUMBER, N),
    ([None, 1], "=", 1, Type.NUMBER, True),
    (["x", 1], "=", 1, Type.NUMBER, True),
    (["x", 2], "=", 1, Type.NUMBER, False),
    (["x", 2], "<", 1, Type.NUMBER, N),
    (["x", 0], "<", 1, Type.NUMBER, True),
    ({}, "=", 1, Type.NUMBER, N),
    ({}, "=", {}, Type.ANY, N),
    ([[1]], "=", 1, Type.NUMBER, N),
    ([{}, 1], "=", 1, Type.NUMBER, True),
    ([1, 2], "=", [2, 3], Type.NUMBER, True),
]


@pytest.mark.parametrize(("left", "relation", "right", "type_", "verdict"), ORDER)
def test_comparisons(
    left: Any, relation: str, right: Any, type_: Type, verdict: bool | None
) -> None:
    assert compare(left, Relation(relation), right, type_) is verdict


@some(300)
@given(values(), values(), st.sampled_from(list(Type)))
def test_comparisons_agree_with_each_other(a: Any, b: Any, type_: Type) -> None:
    equal = compare(a, Relation.EQUAL, b, type_)
    assert compare(b, Relation.EQUAL, a, type_) is equal
    assert compare(a, Relation.LESS, b, type_) is compare(b, Relation.GREATER, a, type_)
    assert compare(a, Relation.LESS_EQUAL, b, type_) is compare(b, Relation.GREATER_EQUAL, a, type_)
    if len(elements(a)) == len(elements(b)) == 1 and compare(a, Relation.LESS, b, type_):
        assert not compare(b, Relation.LESS, a, type_)


MIXED = st.lists(st.one_of(values(), st.integers(-2, 2), st.sampled_from("aBc")), max_size=4)


@some(300)
@given(MIXED, MIXED, st.sampled_from(list(Relation)), st.sampled_from(list(Type)))
def test_lists_are_compared_pair_by_pair(
    a: list[Any], b: list[Any], relation: Relation, type_: Type
) -> None:
    # Boxed, so that a list inside a list stays one element, which has no reading.
    pairs = {
        compare([x], relation, [y], type_) for x in a for y in b if x is not None and y is not None
    }
    expected = True if True in pairs else None if None in pairs or not pairs else False
    assert compare(a, relation, b, type_) is expected


@pytest.mark.parametrize("relation", list(Relation))
@pytest.mark.parametrize("type_", [Type.TEXT, Type.NUMBER, Type.ADDRESS])
def test_long_lists_do_not_cost_their_product(relation: Relation, type_: Type) -> None:
    odd, even = list(range(1, 100_001, 2)), list(range(0, 100_000, 2))
    wanted = relation is not Relation.EQUAL
    assert compare(odd, relation, even, type_) is wanted


@some(200)
@given(values(), values(), st.sampled_from([t for t in Type if t is not Type.BOOLEAN]))
def test_keys_are_equal_where_values_are(a: Any, b: Any, type_: Type) -> None:
    """Joins and groups hash on keys; they must not differ from `=`."""
    if isinstance(a, list) or isinstance(b, list) or is_null(a) or is_null(b):
        return
    left, right = key_of(a, type_), key_of(b, type_)
    equal = left is not None and left == right
    assert (compare(a, Relation.EQUAL, b, type_) is True) == equal
    if equal:
        assert hash(left) == hash(right)


@given(values())
def test_null(value: Any) -> None:
    assert is_null(value) == (not elements(value))


@pytest.mark.parametrize(
    ("left", "sign", "right", "result"),
    [
        (1, "+", "2", 3),
        (7, "/", 2, 3.5),
        (7, "/", 0, None),
        (1, "-", None, None),
        ("x", "*", 2, None),
        (1e308, "*", 10, None),
        (HUGE, "/", 3, None),
        (True, "+", 1, None),
    ],
)
def test_arithmetic(left: Any, sign: str, right: Any, result: float | None) -> None:
    assert calculate(sign, left, right) == result


# The raw event's text


def test_the_text_of_an_event() -> None:
    assert raw_text({"Image": "C:\\x", "n": [1, None, 2.0]}) == '{"Image":"C:\\x","n":[1,null,2]}'


@given(st.dictionaries(st.text("ab", max_size=3), values(), max_size=3))
def test_the_text_is_json_where_nothing_needs_escaping(event: dict[str, Any]) -> None:
    text = raw_text(event)
    try:
        plain = json.dumps(event, allow_nan=False, ensure_ascii=True)
    except ValueError:
        return
    if "\\" in plain or any(k in plain for k in ("e+", "e-", ".0")) or len(plain) > 1000:
        return
    assert text == json.dumps(event, separators=(",", ":"))


def test_the_text_of_a_deep_event() -> None:
    event: Any = {"a": "x"}
    for _ in range(50_000):
        event = {"a": [event]}
    assert '{"a":"x"}' in raw_text(event)


# Functions of field maps

# When a local clock received an event, and when it arrived in UTC: the zone is two hours ahead.
_ARRIVALS = ["2024-05-20 09:58:42", "2024-05-20T07:58:43Z"]
FUNCTION_TABLE = [
    ("basename", ["C:\\a\\b.exe"], "b.exe"),
    ("basename", ["/usr/bin/sh"], "sh"),
    ("basename", ["b.exe"], "b.exe"),
    ("basename", ["C:\\a\\"], None),
    ("basename", [["C:\\a", None, "/b"]], ["a", "b"]),
    ("dirname", ["C:\\a\\b.exe"], "C:\\a"),
    ("index_of", ["C:\\Temp\\temp", "TEMP"], 3),
    ("index_of", ["C:\\Temp\\temp", "temp", 4], 8),
    ("index_of", ["C:\\Temp", "temp", 0, True], None),
    ("enclosed", ["a (b) (c)", "(", ")"], "b"),
    ("enclosed", ["a (b) (c)", "(", ")", True], "b) (c"),
    ("enclosed", ["a b", "(", ")"], ""),
    ("modulo", [7, 3], 1),
    ("modulo", [-7, 3], -1),
    ("modulo", ["7.5", 2], 1.5),
    ("modulo", [10**400, 7], 4),
    ("modulo", [7, 0], None),
    ("quotient", [7, 2], 3),
    ("quotient", [-7, 2], -3),
    ("quotient", ["7.5", 2], 3.75),
    ("quotient", [7, 0], None),
    ("dirname", ["b.exe"], None),
    ("extension", ["C:\\a.b\\c.tar.gz"], ".gz"),
    ("extension", ["C:\\a.b\\c"], None),
    ("hash", ["SHA1=AA,MD5=bb", "md5"], "bb"),
    ("hash", ["SHA1=AA", "MD5"], None),
    ("hash", ["", "MD5"], None),
    ("domain_of", ["CORP\\ann"], "CORP"),
    ("domain_of", ["ann"], None),
    ("user_of", ["CORP\\ann"], "ann"),
    ("user_of", ["ann"], "ann"),
    ("account", ["CORP", "ann"], "CORP\\ann"),
    ("account", [None, "ann"], "ann"),
    ("account", ["CORP", None], None),
    ("label", ["WS1.corp.example"], "WS1"),
    ("label", ["10.0.0.7"], "10.0.0.7"),
    ("label", ["fe80::1"], "fe80::1"),
    ("qualified", ["WS1"], None),
    ("qualified", ["WS1.corp"], "WS1.corp"),
    ("unescape", ["c:\\\\a\\\\b"], "c:\\a\\b"),
    ("unescape", ["\\\\\\\\srv\\\\x"], "\\\\srv\\x"),
    ("unescape", ["c:\\a\\b"], "c:\\a\\b"),
    ("unescape", ["\\\\srv\\x"], "\\\\srv\\x"),
    ("unescape", [5], 5),
    ("first", [None, [], "b", "c"], "b"),
    ("first", [None], None),
    ("lower", ["ÄB"], "äb"),
    ("upper", ["äb"], "ÄB"),
    ("concat", ["a", 1], "a1"),
    ("concat", ["a", None], None),
    ("guid", ["{AB-CD}"], "ab-cd"),
    ("integer", ["0x1f"], 31),
    ("integer", ["x"], None),
    ("member", [{"a": {"b": 1}}, "a.b"], 1),
    ("member", [{"a.b": 1}, "a.b"], 1),
    ("member", ["x", "a"], None),
    ("labelled", ["A: 1\r\n  EventType: CreateKey\r\n", "EventType"], "CreateKey"),
    ("labelled", ["NotEventType: x", "EventType"], None),
    ("choose", ["B", "a", 1, "b", 2, 3], 2),
    ("choose", ["z", "a", 1, "b", 2, 3], 3),
    ("choose", ["z", "a", 1], None),
    ("choose", [None, "a", 1, 2], None),
    ("part", ["a|b|c", "|"], "a"),
    ("part", ["a|b|c", "|", -1], "c"),
    ("part", ["a|b", "|", 5], None),
    ("hive", ["HKLM\\SOFTWARE"], "HKEY_LOCAL_MACHINE"),
    ("hive", ["\\REGISTRY\\USER\\S-1"], "HKEY_USERS"),
    ("hive", ["hkey_current_user\\x"], "HKEY_CURRENT_USER"),
    ("hive", ["x"], None),
    ("value_name", ["HKLM\\a\\b/c"], "b/c"),
    ("value_name", ["HKLM\\a\\"], None),
    ("value_name", ["x"], "x"),
    ("local_time", ["2024-05-20 09:58:41", *_ARRIVALS], 1716191921.0),
    ("local_time", ["2024-05-20T09:58:41Z", *_ARRIVALS], "2024-05-20T09:58:41Z"),
    ("local_time", ["2024-05-20 09:58:41", None, _ARRIVALS[1]], 1716191921.0),
    ("local_time", ["2024-05-20 09:58:41", _ARRIVALS[0], None], "2024-05-20 09:58:41"),
    ("local_time", ["never", *_ARRIVALS], None),
    (
        "local_time",
        ["2024-05-20 09:58:41", _ARRIVALS[0], "2024-05-20T07:43:00Z"],
        "2024-05-20 09:58:41",
    ),
    ("account_name", ["THESHIRE\\Ann"], "theshire\\ann"),
    ("account_name", ["theshire.local\\ann"], "theshire\\ann"),
    ("account_name", ["Ann@theshire.local"], "theshire\\ann"),
    ("account_name", ["ann", "THESHIRE.LOCAL"], "theshire\\ann"),
    ("account_name", ["ann"], "ann"),
    ("account_name", ["10.0.0.5\\ann"], "10.0.0.5\\ann"),
    ("account_name", ["S-1-5-18"], "nt authority\\system"),
    ("account_name", ["SYSTEM"], "nt authority\\system"),
    ("account_name", ["NT-AUTORITÄT\\Netzwerkdienst"], "nt authority\\network service"),
    ("account_name", ["AUTORITE NT\\Service local"], "nt authority\\local service"),
    ("account_name", ["Font Driver Host\\UMFD-0"], "font driver host\\umfd-0"),
    ("account_name", ["S-1-5-21-1-2-3-1107", "CORP"], "s-1-5-21-1-2-3-1107"),
    ("account_name", ["CORP\\"], None),
    ("account_name", [None, "CORP"], None),
    ("account_type", ["CORP\\ann"], "user"),
    ("account_type", ["CORP\\WS1$"], "machine"),
    ("account_type", ["NT AUTHORITY\\SYSTEM"], "service"),
    ("account_type", ["WS1\\SYSTEM"], "service"),
    ("account_type", ["NT AUTHORITY\\SERVICIO DE RED"], "service"),
    ("account_type", ["Window Manager\\DWM-1"], "service"),
    ("account_type", ["UMFD-0"], "service"),
    ("account_type", ["CORP\\dwm-1"], "user"),
    ("account_type", ["Fenstermanager\\DWM-1", "S-1-5-90-0-1"], "service"),
    ("account_type", ["NT SERVICE\\MSSQLSERVER"], "service"),
    ("account_type", ["ANONYMOUS LOGON"], "anonymous"),
    ("account_type", ["Anonyme", "S-1-5-7"], "anonymous"),
    ("account_type", [None, "S-1-5-20"], "service"),
    ("account_type", [None, "S-1-5-21-1-2-3-500"], None),
    ("length", ["abc"], 3),
    ("length", [["a", "bc"]], [1, 2]),
    ("substring", ["abcdef", 1, 3], "bc"),
    ("substring", ["abcdef", -2], "ef"),
    ("substring", ["abcdef", "x"], None),
    ("arguments", ['"C:\\a b\\c.exe" -k "d e"'], ["C:\\a b\\c.exe", "-k", "d e"]),
    ("arguments", ['x.exe a\\"b c\\\\"d e" ""'], ["x.exe", 'a"b', "c\\d e", ""]),
    ("arguments", ["  "], None),
    ("count", [["a", "b"]], 2),
    ("count", ["a"], 1),
    ("count", [None], None),
    ("within", [{"A": {"n": 1}, "B": {"m": 2}}, "m"], 2),
    ("within", [{"A": {"n": {"o": 3}}, "B": "m"}, "n.o"], 3),
    ("within", ["text", "m"], None),
    ("has_member", [{"n": None}, "n"], True),
    ("has_member", [{"n": {"o": None}}, "n.o"], True),
    ("has_member", [{"n": 1}, "m"], None),
    ("has_member", ["text", "n"], None),
    ("has_within", [{"A": {"n": 1}, "B": {"m": None}}, "m"], True),
    ("has_within", [{"A": {"n": 1}, "B": "m"}, "m"], None),
    ("has_within", ["text", "m"], None),
    ("hashes", ["MD5", "a", "SHA1", None, "SHA256", "b"], "MD5=a,SHA256=b"),
    ("hashes", ["MD5", None], None),
    ("starts_with", ["C:\\Windows", "c:\\"], True),
    ("starts_with", ["C:\\Windows", "d:"], False),
    ("starts_with", [["x", "yz"], "Y"], [False, True]),
    ("ends_with", ["a.EXE", ".exe"], True),
    ("ends_with", ["a.exe", {}], None),
    ("time_part", ["2024-12-30T23:59:00Z", "week"], 1),
    ("time_part", ["2024-12-30T23:59:00Z", "hour"], 23),
    ("time_part", ["2024-12-30 22:59:00+01:00", "minute"], 59),
    ("time_part", ["2024-12-30T23:59:00Z", "day"], 30),
    ("time_part", ["2024-12-30T23:59:00Z", "month"], 12),
    ("time_part", ["2024-12-30T23:59:00Z", "year"], 2024),
    ("time_part", ["never", "year"], None),
    ("time_part", ["2024-12-30", "era"], None),
]


@pytest.mark.parametrize(("name", "arguments", "result"), FUNCTION_TABLE)
def test_functions(name: str, arguments: list[Any], result: Any) -> None:
    assert call(name, arguments) == result


def test_every_function_is_in_the_table_and_says_what_it_does() -> None:
    tried = {name for name, _, _ in (*FUNCTION_TABLE, *test_map_functions.CASES)}
    assert tried == set(FUNCTIONS)
    for name, (least, most) in arities().items():
        assert 1 <= least <= most
        assert FUNCTIONS[name].meaning.endswith(".")


@some(300)
@given(st.sampled_from(sorted(FUNCTIONS)), st.data())
def test_functions_take_anything(name: str, data: st.DataObject) -> None:
    least, most = arities()[name]
    count = data.draw(st.integers(least, min(most, 5)))
    arguments = data.draw(st.lists(values(), min_size=count, max_size=count))
    found = call(name, arguments)
    if FUNCTIONS[name].strict and any(map(is_null, arguments)):
        assert found is None


@pytest.mark.parametrize(
    ("text", "iso"),
    [
        ("2020-10-20 10:00:00 UTC", "2020-10-20T10:00:00Z"),
        ("2020-10-20 10:00:00.123 +0200", "2020-10-20T08:00:00.123Z"),
        ("2020/10/20 10:00:00", "2020-10-20T10:00:00Z"),
        ("20/Oct/2020:10:00:00 -0700", "2020-10-20T17:00:00Z"),
        ("Tue, 20 Oct 2020 10:00:00 GMT", "2020-10-20T10:00:00Z"),
        ("Oct 20, 2020 @ 10:00:00.123456", "2020-10-20T10:00:00.123456Z"),
        ("Tue Oct 20 10:00:00 2020", "2020-10-20T10:00:00Z"),
        ("October 20, 2020 12:01:00 AM", "2020-10-20T00:01:00Z"),
        ("/Date(1603188000123)/", "2020-10-20T10:00:00.123Z"),
        ("2022-05-13T08:54:05.1230000Z", "2022-05-13T08:54:05.123Z"),
        ("10/11/2020 10:00:00", None),
        ("Foo 20 2020 10:00:00", None),
        ("2020/13/20 10:00:00", None),
        ("2020/10/20 25:00:00", None),
        ("Oct 20 2020 13:00:00 PM", None),
    ],
)
def test_times_as_logs_write_them(text: str, iso: str | None) -> None:
    assert time_of(text) == (None if iso is None else time_of(iso))
