"""Logs that have a record a line and are not JSON, and envelopes of JSON: what becomes of each."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carengine import read_events
from carengine.readers.line_formats import (
    LINE_FORMATS,
    line_format,
    parse_cef,
    parse_key_values,
    parse_leef,
)
from carengine.readers.line_formats.cef import _any_pairs, _plain_pairs

IIS = """\
#Software: Microsoft Internet Information Services 10.0
#Version: 1.0
#Date: 2024-05-20 07:58:00
#Fields: date time s-ip cs-method cs-uri-stem cs-uri-query c-ip cs(User-Agent) sc-status
2024-05-20 07:58:41 10.0.0.5 GET /a.aspx cmd=whoami 10.0.0.9 Mozilla/5.0+(Windows+NT) 200

#Fields: date time cs-method sc-status
2024-05-20 07:58:42 POST 404
2024-05-20 07:58:43 POST
"""
PROXY = """\
#Fields: date time c-ip cs-uri cs(User-Agent)
2024-05-20\t07:58:41\t10.0.0.9\thttp://example.com/?a=b+c\tcurl/8.0 (x)
2024-05-20 07:58:42 10.0.0.9 "http://example.com/a b" -
"""
ACCESS = r"""
10.0.0.9 - - [20/May/2024:07:58:41 +0000] "GET /a?b=c HTTP/1.1" 200 512
www.example.com:443 10.0.0.9 - ann b [20/May/2024:07:58:42 +0200] "POST /x HTTP/2.0" 302 - "-" "q \"x\" y" 0.004 "z"
10.0.0.9 - - [20/May/2024:07:58:43 +0000] "\x16\x03\x01 junk" 400 226 "-" "-"
2001:db8::1 - - [20/May/2024:07:58:44 +0000] "" 408 0 "-" "-"
not a request
"""
APACHE = """\
[Mon May 20 07:58:41.092345 2024] [core:error] [pid 7:tid 8] [client 10.0.0.9:5050] AH00037: no link
[Mon May 20 07:58:42 2024] [notice] caught SIGTERM
"""
NGINX = """\
2024/05/20 07:58:41 [error] 7#8: *9 open() "/x" failed (2: No such file), client: 10.0.0.9, server: a, request: "GET /x HTTP/1.1", host: "b"
2024/05/20 07:58:42 [notice] 7#7: signal 15 received
"""
FORTINET = """\
date=2024-05-20 time=07:58:41 devname="fw1" logid="0100032001" type="event" msg="a \\"b\\" = c" debug
before: level=info user='ann b' src=10.0.0.1, port=443
"""
PLAIN = """\
2024-05-20 07:58:41,092 ERROR [main] java.lang.Runtime exec failed
Traceback (most recent call last):

  File "/x.py", line 1
"""


def read(text: str | bytes) -> list[dict[str, Any]]:
    data = text.encode() if isinstance(text, str) else text
    return [record.event for record in read_events("-", stdin=io.BytesIO(data))]


def test_iis() -> None:
    data = io.BytesIO(IIS.encode())
    with read_events("-", stdin=data) as reading:
        first, second = (record.event for record in reading)
        assert reading.records == 3
        assert [item.where for item in reading.diagnostics] == ["-:9"]
    assert first["cs(User-Agent)"] == "Mozilla/5.0 (Windows NT)"
    assert first["cs-uri-query"] == "cmd=whoami"
    assert first["timestamp"] == "2024-05-20T07:58:41Z"
    assert second == {
        "date": "2024-05-20",
        "time": "07:58:42",
        "cs-method": "POST",
        "sc-status": "404",
        "timestamp": "2024-05-20T07:58:42Z",
    }


def test_a_proxy_does_not_write_a_plus_for_a_blank() -> None:
    first, second = read(PROXY)
    assert first["cs-uri"] == "http://example.com/?a=b+c"
    assert first["cs(User-Agent)"] == "curl/8.0 (x)"
    assert second["cs-uri"] == "http://example.com/a b"
    assert "cs(User-Agent)" not in second


def test_access_logs() -> None:
    data = io.BytesIO(ACCESS.encode())
    with read_events("-", stdin=data) as reading:
        common, combined, broken, empty = (record.event for record in reading)
        assert (reading.records, reading.unreadable) == (5, 1)
    assert (common["client"], common["method"], common["uri"]) == ("10.0.0.9", "GET", "/a?b=c")
    assert (common["status"], common["bytes"], common["user_agent"]) == ("200", "512", "")
    assert (combined["vhost"], combined["user"]) == ("www.example.com:443", "ann b")
    assert combined["user_agent"] == r"q \"x\" y"
    assert combined["rest"] == '0.004 "z"'
    assert (broken["method"], broken["request"]) == ("", r"\x16\x03\x01 junk")
    assert (empty["client"], empty["request"], empty["status"]) == ("2001:db8::1", "", "408")


def test_a_batch_is_read_as_its_lines_are() -> None:
    form = line_format(ACCESS.encode())
    assert form is not None
    lines = [line for line in ACCESS.splitlines() if " - " in line]
    reader = form.reader()
    assert reader.read(lines) == [reader.read([line])[0] for line in lines]


def test_error_logs() -> None:
    first, second = read(APACHE)
    assert (first["module"], first["level"], first["client"]) == ("core", "error", "10.0.0.9:5050")
    assert (first["pid"], first["tid"], first["code"]) == ("7", "8", "AH00037")
    assert second["message"] == "caught SIGTERM"
    first, second = read(NGINX)
    assert (first["client"], first["request"], first["host"]) == (
        "10.0.0.9",
        "GET /x HTTP/1.1",
        "b",
    )
    assert (second["level"], second["message"]) == ("notice", "signal 15 received")


def test_key_values() -> None:
    first, second = read(FORTINET)
    assert first["timestamp"] == "2024-05-20T07:58:41"
    assert first["msg"] == 'a "b" = c'
    assert first["debug"] is True
    assert second == {
        "message": "before:",
        "level": "info",
        "user": "ann b",
        "src": "10.0.0.1",
        "port": "443",
    }


CEF_CASES: dict[str, tuple[str, dict[str, str]]] = {
    "plain": ("a=1 b=x y", {"a": "1", "b": "x y"}),
    "an escaped equals sign": (r"a=1\=2 b=3", {"a": "1=2", "b": "3"}),
    "an equals sign in a value": (
        "request=http://x/?a=b c=d",
        {"request": "http://x/?a=b", "c": "d"},
    ),
    "a line break": (r"msg=one\ntwo", {"msg": "one\ntwo"}),
    "a label": ("cs1Label=Rule cs1=r1", {"cs1Label": "Rule", "cs1": "r1", "Rule": "r1"}),
    "an empty value": ("a= b=2", {"a": "", "b": "2"}),
    "nothing": ("", {}),
    "the same key twice": ("a=1 a=2", {"a": "1"}),
}


@pytest.mark.parametrize("case", CEF_CASES)
def test_cef(case: str) -> None:
    extension, expected = CEF_CASES[case]
    event = parse_cef(rf"CEF:0|Ve\|ndor|P|1.0|100|worm \\ stopped|10|{extension}")
    assert isinstance(event, dict)
    head = {
        "cef_version": "0",
        "device_vendor": "Ve|ndor",
        "device_product": "P",
        "device_version": "1.0",
        "signature_id": "100",
        "name": r"worm \ stopped",
        "severity": "10",
    }
    assert event == head | expected


@given(st.text(alphabet="ab =\\x|n\t", max_size=40))
def test_cutting_at_every_equals_sign_is_looking_for_keys(extension: str) -> None:
    quick = _plain_pairs(extension)
    assert quick is None or quick == _any_pairs(extension)


LEEF_CASES = {
    "1.0": ("LEEF:1.0|V|P|1|9|a=1\tb=x y=z", {"a": "1", "b": "x y=z"}),
    "2.0, a caret": ("LEEF:2.0|V|P|1|9|^|a=1^b=2", {"a": "1", "b": "2"}),
    "2.0, a code": ("LEEF:2.0|V|P|1|9|x7C|a=1|b=2", {"a": "1", "b": "2"}),
    "2.0, nothing": ("LEEF:2.0|V|P|1|9||a=1\tb=2", {"a": "1", "b": "2"}),
    "1.0, blanks": ("LEEF:1.0|V|P|1|9|a=1 b=2", {"a": "1", "b": "2"}),
}


@pytest.mark.parametrize("case", LEEF_CASES)
def test_leef(case: str) -> None:
    text, expected = LEEF_CASES[case]
    event = parse_leef(text)
    assert isinstance(event, dict)
    assert {key: event[key] for key in expected} == expected
    assert event["signature_id"] == "9"


def test_what_is_not_whole_is_said() -> None:
    assert parse_cef("CEF:0|V|P") == "has 2 of the 7 parts of a CEF header"
    assert parse_leef("LEEF:1.0|V") == "has 1 of the 5 parts of a LEEF header"
    assert parse_key_values("one two=3") is None


SYSLOG = {
    "<134>May 20 07:58:41 fw CEF:0|V|P|1|2|n|5|src=10.0.0.1 act=x y": ("src", "10.0.0.1"),
    "<13>1 2024-05-20T07:58:41Z fw app - - - LEEF:1.0|V|P|1|9|src=10.0.0.1\tb=2": (
        "src",
        "10.0.0.1",
    ),
    '<189>date=2024-05-20 time=07:58:41 devname="fw" src=10.0.0.1': ("src", "10.0.0.1"),
    "May 20 07:58:41 web1 app[7]: level=info src=10.0.0.1 b=c": ("src", "10.0.0.1"),
    "May 20 07:58:41 web1 sshd[7]: Failed password for root": (
        "message",
        "Failed password for root",
    ),
    "<189>29: *Mar  1 18:46:11: %SYS-5-CONFIG_I: Configured": (
        "message",
        "29: *Mar  1 18:46:11: %SYS-5-CONFIG_I: Configured",
    ),
    '<13>May 20 07:58:41 web1 app: {"src": "10.0.0.1"}': ("src", "10.0.0.1"),
}


@pytest.mark.parametrize("line", SYSLOG)
def test_formats_behind_a_syslog_header(line: str) -> None:
    name, value = SYSLOG[line]
    for text in (line, f"{line}\n{line}\n"):
        event, *_ = read(text)
        assert event[name] == value
        assert event["syslog"]


def test_plain_text_is_events_with_a_message() -> None:
    first, second, third = read(PLAIN)
    assert first["timestamp"] == "2024-05-20 07:58:41,092"
    assert second == {"message": "Traceback (most recent call last):"}
    assert third["message"].startswith("  File")


def test_bytes_that_are_no_text_stay_in_sight() -> None:
    (event,) = read(b'10.0.0.9 - - [20/May/2024:07:58:41 +0000] "GET /\xff HTTP/1.1" 200 5\n')
    assert event["uri"] == r"/\xff"


def test_a_line_over_the_limit_is_skipped() -> None:
    from carengine.readers import Limits

    lines = [f"CEF:0|V|P|1|2|n|5|a={'x' * size}" for size in (10, 500, 20)]
    data = io.BytesIO("\n".join(lines).encode())
    with read_events("-", stdin=data, limits=Limits(record_bytes=100)) as reading:
        numbers = [record.number for record in reading]
        assert (numbers, reading.unreadable) == ([1, 3], 1)
        assert [item.code.id for item in reading.diagnostics] == ["CE503"]


def test_each_format_is_told_from_the_others() -> None:
    texts = [IIS, "CEF:0|V|P|1|2|n|5|a=1\n", ACCESS, APACHE, NGINX, FORTINET]
    assert [line_format(text.encode()) for text in texts] == list(LINE_FORMATS)
    assert line_format(PLAIN.encode()) is None
    assert line_format(b'{"a": 1}\n') is None
    assert line_format(b"") is None


def otlp() -> dict[str, Any]:
    record = {
        "timeUnixNano": "1716190872500000000",
        "severityText": "ERROR",
        "body": {"stringValue": "exec failed"},
        "attributes": [
            {"key": "status", "value": {"intValue": "500"}},
            {"key": "tags", "value": {"arrayValue": {"values": [{"stringValue": "a"}]}}},
            {
                "key": "map",
                "value": {"kvlistValue": {"values": [{"key": "k", "value": {"boolValue": True}}]}},
            },
        ],
    }
    body = {"body": {"kvlistValue": {"values": [{"key": "user", "value": {"stringValue": "ann"}}]}}}
    resource = {"attributes": [{"key": "host.name", "value": {"stringValue": "web1"}}]}
    scope = {"scope": {"name": "app"}, "logRecords": [record, body, 5]}
    return {"resourceLogs": [{"resource": resource, "scopeLogs": [scope]}]}


@pytest.mark.parametrize("indent", [None, 1])
def test_otlp(indent: int | None) -> None:
    data = io.BytesIO(json.dumps(otlp(), indent=indent).encode())
    with read_events("-", stdin=data) as reading:
        first, second = (record.event for record in reading)
        assert (reading.records, reading.unreadable) == (3, 1)
    assert first == {
        "timestamp": 1716190872.5,
        "severity_text": "ERROR",
        "message": "exec failed",
        "attributes": {"status": 500, "tags": ["a"], "map": {"k": True}},
        "resource": {"host.name": "web1"},
        "scope": {"name": "app"},
    }
    assert second["body"] == {"user": "ann"}


@pytest.mark.parametrize("lines", [1, 2])
def test_otlp_a_request_a_line(lines: int) -> None:
    assert len(read((json.dumps(otlp()) + "\n") * lines)) == 2 * lines


@pytest.mark.parametrize(
    "envelope",
    [
        {"records": [{"a": 1}, {"a": 2}]},
        {"@odata.context": "x", "value": [{"a": 1}, {"a": 2}]},
        {"kind": "EventList", "apiVersion": "audit.k8s.io/v1", "items": [{"a": 1}, {"a": 2}]},
    ],
)
@pytest.mark.parametrize("indent", [None, 2])
def test_envelopes(envelope: dict[str, Any], indent: int | None) -> None:
    assert read(json.dumps(envelope, indent=indent)) == [{"a": 1}, {"a": 2}]


def test_events_that_look_a_little_like_an_envelope_stay_whole() -> None:
    for event in ({"value": 5}, {"value": [1], "name": "x"}, {"items": [{"a": 1}]}):
        assert read(json.dumps(event)) == [event]


@given(st.binary(max_size=400))
def test_no_text_is_too_odd(data: bytes) -> None:
    for form in LINE_FORMATS:
        for outcome in form.reader().read(data.decode("utf-8", "backslashreplace").split("\n")):
            assert outcome is None or isinstance(outcome, dict | str)
    with read_events("-", stdin=io.BytesIO(data)) as reading:
        records = list(reading)
        assert reading.records == len(records) + reading.unreadable


def test_formats_are_found_in_files_by_content(tmp_path: Path) -> None:
    for number, text in enumerate([IIS, ACCESS, APACHE, NGINX, FORTINET]):
        (tmp_path / f"{number}.log").write_text(text)
    with read_events(tmp_path) as reading:
        assert len(list(reading)) == 12
