"""Queries in EQL, Splunk's language and LogPoint's: what they mean, what is refused and where, what
becomes of their names."""

from __future__ import annotations

import importlib.resources
import importlib.util
import json
import tomllib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import carengine
from carengine import ir
from carengine.diagnostics import Block, Severity
from carengine.engine import Engine
from carengine.fieldmap import find_maps
from carengine.languages.reading import (
    LANGUAGES,
    QueryReading,
    as_rule,
    language_of,
    native_map,
    raised,
    read,
)
from carengine.verify import ShownParts, compare

Event = dict[str, Any]


def finds(language: str, query: str, event: Event) -> bool:
    """Whether a query finds an event that has the query's own names."""
    reading = read(Block.of(query), language, raise_names=False)
    assert reading.program is not None, [item.message for item in reading.diagnostics]
    engine = Engine([as_rule(reading, "query")], fieldmap=native_map(reading))
    return next(engine.run([event]), None) is not None


PROCESS = {"event_type": "process", "process_name": "cmd.exe", "pid": 4, "subtype": "create"}

EQL: list[tuple[str, Event, bool]] = [
    ("process where true", PROCESS, True),
    ("file where true", PROCESS, False),
    ("any where true", PROCESS, True),
    ('process where process_name == "CMD.EXE"', PROCESS, True),
    ('process where process_name == "c*.exe"', PROCESS, True),
    ('process where process_name == "c?d.exe"', PROCESS, False),
    ('process where process_name : "c?d.exe"', PROCESS, True),
    ('process where process_name like ("a*", "c*")', PROCESS, True),
    ('process where process_name regex "c[a-m]d.exe"', PROCESS, True),
    ('process where process_name regex "md.exe"', PROCESS, False),
    ('process where match(process_name, "c[a-m]d")', PROCESS, True),
    ('process where match(process_name, "md")', PROCESS, False),
    ('process where process_name != "a.exe"', PROCESS, True),
    ('process where other != "a.exe"', PROCESS, False),
    ('process where not (other == "a.exe")', PROCESS, False),
    ("process where other == null", PROCESS, True),
    ('process where null == (other == "a")', PROCESS, True),
    ('process where true == (process_name == "cmd.exe")', PROCESS, True),
    ("process where pid == 4 and 3 < pid and pid <= 4.5", PROCESS, True),
    ("process where pid + 1 == 5 and pid * 2 == 8 and pid - 5 == -1", PROCESS, True),
    ("process where pid in (1, 2, 4)", PROCESS, True),
    ("process where pid not in (1, 2, 4)", PROCESS, False),
    ('process where process_name in ("c*", "cmd.exe")', PROCESS, True),
    ('process where process_name in ("c*")', PROCESS, False),
    ("process where subtype.create", PROCESS, True),
    ("process where subtype.terminate", PROCESS, False),
    ('process where startsWith(process_name, "CM")', PROCESS, True),
    ('process where endsWith(process_name, ".com")', PROCESS, False),
    ('process where stringContains(process_name, "md.")', PROCESS, True),
    ('process where wildcard(process_name, "x", "*d.exe")', PROCESS, True),
    ('any where cidrMatch(ip, "10.0.0.0/8")', {"ip": "10.9.9.9"}, True),
    ('any where arrayContains(list, "B")', {"list": ["a", "b"]}, True),
    ('any where path == "C:\\\\x\\\\*"', {"path": "c:\\x\\y"}, True),
    ("any where path == ?'C:\\x'", {"path": "c:\\x"}, True),
    ('any where path == """a"b"""', {"path": 'a"b'}, True),
    ('process where pid == 4 | filter process_name == "cmd*"', PROCESS, True),
    ('process where pid == 4 | filter process_name == "x"', PROCESS, False),
    ("process where /* four */ pid == 4 // and no more", PROCESS, True),
    ("process where a or b and not c", {"event_type": "process", "b": True, "c": False}, True),
    # `number` reads a text; of one that is no number nothing is known.
    ("any where number(a) > 4", {"a": "5"}, True),
    ("any where number(a) == 5", {"a": "5"}, True),
    ("any where not number(a) == 5", {"a": "x"}, False),
    ("any where number(a) + 1 == 6", {"a": "5"}, True),
    (r'any where a == "\u{e9}\"\\"', {"a": 'é"\\'}, True),
    (
        'process where process.name == "a" and android == 1',
        {"event_type": "process", "process": {"name": "a"}, "android": 1},
        True,
    ),
]

SYSMON = {
    "EventCode": 11,
    "Image": r"C:\Windows\System32\taskmgr.exe",
    "TargetFilename": r"C:\t\lsass.dmp",
    "Port": "445",
}

EQL += [
    ('"process" where exit_code == 0', {"event_type": "process", "exit_code": 0}, True),
    ('"my process" where true', {"event_type": "My Process"}, True),
    ("'process' where true", {"event_type": "file"}, False),
    ('"""a "b" c""" where true', {"event_type": 'a "b" c'}, True),
    ('"any" where true', {"event_type": "process"}, False),
    ("/* one */ any where true", {}, True),
    ("// one\nsequence where a == 1", {"event_type": "sequence", "a": 1}, True),
    ("sequence /* one */ where a == 1", {"event_type": "sequence", "a": 1}, True),
]

SPLUNK: list[tuple[str, Event, bool]] = [
    ("EventCode=11", SYSMON, True),
    ('EventCode="11"', SYSMON, True),
    ("EventCode = 11", {"EventCode": "11"}, True),
    ('Image="C:\\\\Windows\\\\*\\\\taskmgr.exe"', SYSMON, True),
    (r"Image=C:\\Windows\\*\\TASKMGR.exe", SYSMON, True),
    ('Image="C:\\Windows\\*"', SYSMON, True),
    ('Image="C:\\\\\\\\Windows*"', SYSMON, False),
    ('Image="C:\\\\Windows\\\\System3?\\\\taskmgr.exe"', SYSMON, False),
    ('x="say \\"hi\\""', {"x": 'say "hi"'}, True),
    ("Image!=*cmd.exe", SYSMON, True),
    ("Other!=*cmd.exe", SYSMON, False),
    ("NOT Other=*cmd.exe", SYSMON, True),
    ("NOT NOT EventCode=11", SYSMON, True),
    ("Image=*", SYSMON, True),
    ("Other=*", SYSMON, False),
    ("NOT Other=*", SYSMON, True),
    ("Port>400 Port<=445", SYSMON, True),
    ("EventCode IN (1, 11)", SYSMON, True),
    ('Image IN (*a.exe, "*taskmgr.exe")', SYSMON, True),
    ("EventCode=1 OR EventCode=11", SYSMON, True),
    # `OR` binds tighter than the `AND` between terms.
    ("EventCode=1 Port=1 OR EventCode=11", SYSMON, False),
    ("(EventCode=1 Port=1) OR EventCode=11", SYSMON, True),
    ("EventCode=11 AND Port=445", SYSMON, True),
    ("lsass.dmp", SYSMON, True),
    ('"LSASS.DMP" EventCode=11', SYSMON, True),
    ("procdump", SYSMON, False),
    ("NOT procdump", SYSMON, True),
    ("index=main sourcetype=x EventCode=11", SYSMON, True),
    ("search EventCode=11", SYSMON, True),
    ("EventCode=11 | search Port=445", SYSMON, True),
    ("EventCode=11 | search Port=446", SYSMON, False),
    ("EventCode=11 | where Port=445", SYSMON, True),
    # `where` keeps case, and binds `AND` tighter.
    ('EventCode=11 | where Image="c:\\\\windows\\\\system32\\\\taskmgr.exe"', SYSMON, False),
    ("EventCode=11 | where Port=1 AND Port=2 OR Port=445", SYSMON, True),
    ('EventCode=11 | where like(Image, "%taskmgr___e")', SYSMON, True),
    ('EventCode=11 | where match(Image, "TASKMGR")', SYSMON, False),
    ('EventCode=11 | where match(Image, "(?i)TASKMGR")', SYSMON, True),
    ("EventCode=11 | where isnull(Other) AND isnotnull(Image)", SYSMON, True),
    ('EventCode=11 | where NOT Other="x"', SYSMON, False),
    (
        'EventCode=11 | where !cidrmatch("10.0.0.0/8", Ip)',
        {"EventCode": 11, "Ip": "11.1.1.1"},
        True,
    ),
    ('EventCode=11 | regex Image="taskmgr\\.exe$"', SYSMON, True),
    ('EventCode=11 | regex Image!="taskmgr"', SYSMON, False),
    ("EventCode=11 | table Image Port", SYSMON, True),
    ("EventCode=11 | eval x=Port+1 | where x=446", SYSMON, True),
    ("NOT *", SYSMON, False),
    ("EventCode=11 NOT Image!=*", SYSMON, True),
    # The text of the event has a name of its own.
    ('EventCode=11 | where match(_raw, "lsass")', SYSMON, True),
    ('EventCode=11 | where like(_raw, "%LSASS%")', SYSMON, False),
    ('EventCode=11 _raw="*LSASS*"', SYSMON, True),
    ('EventCode=11 | regex "lsass"', SYSMON, True),
    ('EventCode=11 | regex _raw!="lsass"', SYSMON, False),
    ("EventCode=11 | where len(Port) > 2", SYSMON, True),
    ("EventCode=11 | where 3 < len(Port)", SYSMON, False),
    ("EventCode=11 | where NOT len(Other) < 0", SYSMON, False),
    ('EventCode=11 | where upper(Port)="445" AND like(upper(Image), "%TASKMGR%")', SYSMON, True),
    ('EventCode=11 | where upper(Image)="x"', {"EventCode": 11, "Image": "x"}, False),
    # `XOR` binds weakest.
    ("EventCode=11 | where Port=445 XOR Port=1 OR EventCode=11", SYSMON, False),
    ("EventCode=11 | where Port=445 XOR EventCode=1 AND Port=2", SYSMON, True),
    ("EventCode=11 | where Port=445 XOR Other=1", SYSMON, False),
    ("EventCode=11 | sort 0 -Port | fields + Image", SYSMON, True),
    # What cannot be computed may be shown.
    ('EventCode=11 | eval y=case(Port=445, "a") | table Image y | sort y', SYSMON, True),
]

_REX = (
    '* | rex field=Image "(?<ImageMatch>{})" | eval C=if(isnotnull(ImageMatch), "true", "false") | '
)
_RAW = {"CommandLine": r"C:\tools\procdump64.exe -ma lsass.exe 10.0.0.1"}
SPLUNK += [
    # A range of addresses is one, in `search` only.
    ('ip="10.0.0.0/8"', {"ip": "10.1.2.3"}, True),
    ('ip="10.0.0.0/8"', {"ip": "11.1.2.3"}, False),
    ("ip=10.0.0.0/8", {"ip": ["192.168.0.1", "10.0.0.1"]}, True),
    ("ip!=10.0.0.0/8", {"ip": "10.0.0.1"}, False),
    ("ip!=10.0.0.0/8", {"ip": "11.0.0.1"}, True),
    ("NOT ip=10.0.0.0/8", {}, True),
    ("ip IN (10.0.0.0/8, 192.168.0.0/16)", {"ip": "192.168.3.4"}, True),
    ("ip=2001:db8::/32", {"ip": "2001:db8::5"}, True),
    ("path=a/8", {"path": "a/8"}, True),
    ('* | where ip="10.0.0.0/8"', {"ip": "10.1.2.3"}, False),
    # A term is made of whole words; a star at an end leaves that end open.
    ("procdump", _RAW, False),
    ("procdump64", _RAW, True),
    ("PROCDUMP64.exe", _RAW, True),
    ("procdump*", _RAW, True),
    ("*dump64", _RAW, True),
    ("dump64", _RAW, False),
    ("*dump*", _RAW, True),
    ('"lsass.exe 10.0"', _RAW, True),
    ('"lsass.exe 1"', _RAW, False),
    ("10.0.0.1", _RAW, True),
    ("0.0.0.1", _RAW, False),
    ("tools*exe", _RAW, True),
    ("ma", _RAW, True),
    ("m", _RAW, False),
    ("CommandLine", _RAW, True),
    (r'"\\procdump64"', _RAW, True),
    (r'"\\procdump"', _RAW, False),
    ("NOT procdump", _RAW, True),
    # What pySigma's backend writes where an expression is one of several ways.
    (_REX.format("a.c") + 'search C="true"', {"Image": "xabcx"}, True),
    (_REX.format("a.c") + 'search C="true"', {"Image": "xABCx"}, False),
    (_REX.format("a.c") + 'search C="true" OR User=x', {"User": "x"}, True),
    (_REX.format("a.c") + 'search C="true" OR User=x', {"User": "y"}, False),
    (_REX.format("(?i)a|b") + "search C=true", {"Image": "A"}, True),
    (_REX.format("a") + 'search C="false"', {"Image": "b"}, True),
    (_REX.format("a") + 'search NOT C="true"', {}, True),
    ('* | rex field=Image "^(?<a>x+)-(?P<b>y|z)" | where isnotnull(b)', {"Image": "x-z"}, True),
    ('* | rex field=Image "^(?<a>x+)-(?P<b>y|z)" | where isnull(b)', {"Image": "x-q"}, True),
    ('* | rex "(?<a>lsass)" | search a=*', {"Any": "lsass"}, True),
]

LOGPOINT: list[tuple[str, Event, bool]] = [
    ("norm_id=WindowsSysmon event_id=1", {"event_id": 1}, True),
    (r'image="*\cmd.exe"', {"image": r"C:\cmd.exe"}, True),
    (r"image='*\cmd.exe'", {"image": r"C:\CMD.EXE"}, True),
    ('path="c:\\x\\" -user="a"', {"path": "c:\\x\\", "user": "b"}, True),
    ('-user="a"', {"user": "a"}, False),
    ('-user="a"', {}, True),
    ('event_id IN [1, 2] image in ["a*", "b*"]', {"event_id": 2, "image": "bx"}, True),
    ('image IN "a*"', {"image": "ab"}, True),
    ("event_id=1 or event_id=2", {"event_id": 2}, True),
    ("not event_id=1 and event_id=2", {"event_id": 2}, True),
    ('event_id=1 | search image="a"', {"event_id": 1, "image": "b"}, False),
]


EQL += [
    ("any where indexOf(a, 'Lo') == 3", {"a": "hello"}, True),
    ("any where indexOf(a, 'x') == null", {"a": "hello"}, True),
    ("any where indexOf(a, 'l', 3) == 3", {"a": "hello"}, True),
    ("any where between(a, 'h', 'o') == 'ell'", {"a": "hello, no"}, True),
    ("any where between(a, 'h', 'o', true) == 'ello, n'", {"a": "hello, no"}, True),
    ("any where length(between(a, 'x', 'y')) == 0", {"a": "hello"}, True),
    ("any where a % 4 == 3", {"a": 7}, True),
    ("any where a / 2 == 3", {"a": 7}, True),
    ("any where a / 2.0 == 3", {"a": 7}, False),
    ("any where modulo(a, 0) == null", {"a": 7}, True),
    ("any where a[1] == 'y' and a[2] == null", {"a": ["x", "Y"]}, True),
    ("any where a[0].b == 'y'", {"a": [{"b": "Y"}]}, True),
    ("any where arraySearch(a, x, x == 'b*')", {"a": ["c", "bd"]}, True),
    ("any where arraySearch(a, x, x == 'b*')", {"a": ["c", "d"]}, False),
    ("any where not arraySearch(a, x, x == 'b' or x == 'c')", {"a": ["d"]}, True),
    ("any where arraySearch(a, x, x.b.c == 1)", {"a": [{"b": {"c": 2}}, {"b": {"c": 1}}]}, True),
    (
        "any where arraySearch(a, x, arraySearch(x.b, y, y.c == 1))",
        {"a": [{"b": [{"c": 1}]}]},
        True,
    ),
    ("any where arraySearch(a, x, true)", {}, False),
    ("any where safe(a / b) == 2", {"a": 4, "b": 2}, True),
    ("any where true | sort a", {"a": 4}, True),
]


@pytest.mark.parametrize(("query", "event", "found"), EQL)
def test_eql(query: str, event: Event, found: bool) -> None:
    assert finds("eql", query, event) is found


@pytest.mark.parametrize(("query", "event", "found"), SPLUNK)
def test_splunk(query: str, event: Event, found: bool) -> None:
    assert finds("splunk", query, event) is found


def test_logpoint_names_a_count_as_it_is_written() -> None:
    query = 'event_id=1 | chart count() by host | search "count()">1'
    reading = read(Block.of(query), "logpoint", raise_names=False)
    assert reading.program is not None
    events = [{"event_id": 1, "host": host} for host in "aab"]
    matches = Engine([as_rule(reading, "q")], fieldmap=native_map(reading)).run(events)
    assert [match.fields["host"] for match in matches] == ["a"]


@pytest.mark.parametrize(("query", "event", "found"), LOGPOINT)
def test_logpoint(query: str, event: Event, found: bool) -> None:
    assert finds("logpoint", query, event) is found


REFUSED = [
    ("eql", "sequence [a where true] fork [b where true]", "CE952", "fork"),
    ("eql", "/* one */ sequence by a [a where true] by 1", "CE952", "1"),
    (
        "eql",
        "sequence ![a where true] [b where true]",
        "CE951",
        "sequence ![a where true] [b where true]",
    ),
    ("eql", "/* only */ // this", "CE951", ""),
    ("eql", "process where a == 1 | head 5", "CE952", "| head 5"),
    ("eql", "process where arrayCount(a, b, b == 'x') > 1", "CE952", "arrayCount"),
    (
        "eql",
        "file where a == 1 and arraySearch(b, c, c.d == 1 and c.e == 2)",
        "CE952",
        "arraySearch(b, c, c.d == 1 and c.e == 2)",
    ),
    ("eql", 'process where a == "x" b == "y"', "CE951", "b"),
    ("eql", "process where a == ", "CE951", ""),
    ("eql", 'process where a == "x', "CE951", '"'),
    ("eql", 'process where match(a, "(?<!b)c")', "CE952", 'match(a, "(?<!b)c")'),
    ("eql", "", "CE951", ""),
    ("splunk", "EventCode=1 | transaction host", "CE952", "transaction"),
    ("splunk", "`mine` EventCode=1", "CE952", "`mine`"),
    ("splunk", "a=1 | `filter`", "CE952", "`filter`"),
    ("splunk", "earliest=-1d a=1", "CE952", "earliest=-1d"),
    ("splunk", "a=1 NOT [search b=2 | fields c]", "CE952", "["),
    ("splunk", 'a=1 | rex field=b "x"', "CE952", 'rex field=b "x"'),
    ("splunk", 'a=1 | rex field=b "(?<c>x)?"', "CE952", 'rex field=b "(?<c>x)?"'),
    ("splunk", 'a=1 | rex field=b "(?<c>x)|y"', "CE952", 'rex field=b "(?<c>x)|y"'),
    ("splunk", 'a=1 | rex field=b "((?<c>x)|y)z"', "CE952", 'rex field=b "((?<c>x)|y)z"'),
    ("splunk", 'a=1 | rex field=b "((?<c>x)z)*"', "CE952", 'rex field=b "((?<c>x)z)*"'),
    ("splunk", 'a=1 | rex field=b mode=sed "s/a/b/"', "CE952", "rex field=b mode"),
    ("splunk", 'a=1 | rex field=b "(?<c>x)" | stats count by c', "CE952", 'rex field=b "(?<c>x)"'),
    ("splunk", 'a=1 | rex field=b "(?<c>x)" | search c=x', "CE952", 'rex field=b "(?<c>x)"'),
    ("splunk", "NOT index=main a=1", "CE952", "index=main"),
    ("splunk", "index!=main a=1", "CE952", "index!=main"),
    ("splunk", "(a=1 b=2", "CE951", "("),
    ("splunk", "a=1) b=2", "CE951", ")"),
    ("splunk", 'a="1', "CE951", '"'),
    ("splunk", "a=", "CE951", "="),
    ("splunk", "a=1 | where len(b) > len(c)", "CE952", "len(b) > len(c)"),
    ("splunk", "a=1 | where len(b) > 2000", "CE952", "len(b) > 2000"),
    ("splunk", 'a=1 | where b > "x"', "CE952", 'b > "x"'),
    ("splunk", 'a=1 | where b NOT IN ("x")', "CE952", "NOT"),
    ("splunk", 'a=1 b NOT IN ("x")', "CE952", "b NOT IN"),
    ("splunk", "a=1 TERM(b)", "CE952", "TERM"),
    ("splunk", "a=1 CASE(b)", "CE952", "CASE"),
    ("splunk", "NOT (index=main OR a=1)", "CE952", "(index=main OR a=1)"),
    ("splunk", "a=1 | stats values(*) as *", "CE952", "*"),
    ("splunk", "a=1 | table b*", "CE952", "b*"),
    ("splunk", 'a=1 | stats count(eval(b="x"))', "CE952", "count(eval"),
    ("splunk", 'a=1 | eval b=c."x" | where b="x"', "CE952", "."),
    ("splunk", "a=1 | eval b=if(c=1, 1, 2) | stats count by b", "CE952", "if"),
    ("splunk", "a=1 | eval b=if(c=1, 1, 2) | eval d=b | search d=1", "CE952", "if"),
    ("splunk", "a=1 | eval b=case(c=1, 2) | rename b as d | where d=1", "CE952", "case"),
    ("splunk", "a=1 | sort b | dedup b", "CE952", "dedup b"),
    ("splunk", "a=1 | stats count by b | where _raw > 4", "CE952", "_raw > 4"),
    ("eql", "any where number(a) in (1)", "CE952", "number(a)"),
    ("eql", r'any where a == "C:\Windows"', "CE951", r"\W"),
    ("eql", r'any where a == "\u{110000}"', "CE951", r"\u{110000}"),
    ("splunk", "a<b", "CE952", "a<b"),
    ("logpoint", "a IN HOMENET", "CE952", "HOMENET"),
    ("logpoint", 'a IN ["b", "c"', "CE951", "["),
]


NEARLY = [
    ("a=1 | where b=c", "b=c", "two fields"),
    ("a=1 | dedup b", "dedup b", "the oldest"),
    ("a=1 | sort -b", "-b", "10,000"),
    ("a=1 | eval b=case(c=1, 2)", "b=case(c=1, 2)", "the function `case`"),
]


@pytest.mark.parametrize(("query", "place", "said"), NEARLY)
def test_what_is_not_exact_is_said(query: str, place: str, said: str) -> None:
    reading = read(Block.of(query), "splunk", raise_names=False)
    assert reading.program is not None
    [found] = reading.diagnostics
    assert found.code.id == "CE962"
    assert said in found.message
    assert found.span is not None
    assert found.span.text == place


def test_the_macro_that_drops_a_data_sets_name() -> None:
    query = (
        "| tstats `security_content_summariesonly` count from datamodel=Endpoint.Processes "
        'where Processes.process_name="a.exe" by Processes.dest '
        '| `drop_dm_object_name("Processes")` | where count > 1'
    )
    reading = read(Block.of(query), "splunk")
    assert reading.program is not None
    plan = reading.program.outputs[0].plan
    assert isinstance(plan, ir.Filter)
    assert isinstance(plan.plan, ir.Aggregated)
    assert [column.name for column in plan.plan.columns] == ["dest", "count"]


@pytest.mark.parametrize(("language", "query", "code", "place"), REFUSED)
def test_refused_with_its_place(language: str, query: str, code: str, place: str) -> None:
    reading = read(Block.of(query), language, raise_names=False)
    assert reading.program is None
    errors = [item for item in reading.diagnostics if item.severity is Severity.ERROR]
    assert [item.code.id for item in errors] == [code]
    assert errors[0].span is not None
    assert errors[0].span.text == place


def test_what_says_where_data_lies_is_told() -> None:
    reading = read(Block.of("index=main sourcetype=x EventCode=11"), "splunk")
    said = [item for item in reading.diagnostics if item.code.id == "CE955"]
    assert [item.span.text for item in said if item.span] == ["index=main", "sourcetype=x"]


def test_small_operators_are_words_in_splunk() -> None:
    reading = read(Block.of("EventCode=11 and Image=x"), "splunk")
    assert "CE959" in {item.code.id for item in reading.diagnostics}


# Names


def shown(reading: Any) -> list[tuple[list[str], str]]:
    """The kinds and the condition of each part of a raised program."""
    assert reading.program is not None, [item.message for item in reading.diagnostics]
    [output] = reading.program.outputs
    stages = ir.as_stages(output.plan)
    assert stages is not None
    return [
        (
            [str(kind) for kind in stage.kinds],
            " ".join(sorted(f.name for f in ir.fields_of(stage.condition))),
        )
        for stage in stages
    ]


RAISED = [
    (
        "splunk",
        "EventCode=11 TargetFilename=*x* Image=*y*",
        [(["file/create"], "file_path image_path")],
    ),
    ("splunk", "EventCode=1 ParentImage=*x*", [(["process/create"], "parent_image_path")]),
    (
        "splunk",
        "(EventCode=12 OR EventCode=13 OR EventCode=14) TargetObject=*x*",
        [(["registry/add", "registry/remove", "registry/value_edit", "registry/key_edit"], "key")],
    ),
    ("splunk", "EventCode=10 GrantedAccess=0x1410", [(["process/access"], "access_level")]),
    ("splunk", "EventCode=11 Image=a OR Image=b", [(["file/create"], "image_path image_path")]),
    (
        "splunk",
        "| tstats count from datamodel=Endpoint.Processes where Processes.process_name=a.exe by Processes.user",
        [(["process/create"], "exe")],
    ),
    ("eql", 'process where subtype.create and process_name == "a"', [(["process/create"], "exe")]),
    (
        "eql",
        'file where file_name == "a"',
        [(["file/create", "file/modify", "file/delete"], "file_name")],
    ),
    ("logpoint", 'event_id=1 parent_image="a"', [(["process/create"], "parent_image_path")]),
]


@pytest.mark.parametrize(("language", "query", "parts"), RAISED)
def test_names_are_raised(language: str, query: str, parts: list[tuple[list[str], str]]) -> None:
    reading = read(Block.of(query), language)
    if "tstats" in query:
        [output] = reading.program.outputs if reading.program else []
        assert isinstance(output.plan, ir.Aggregated)
        reading = raised(read(Block.of(query), language))
        group = output.plan.group
        assert isinstance(group.plans[0], ir.Filter)
        assert [field.name for field in ir.fields_of(group.plans[0].condition)] == ["exe"]
        assert [key.name for key in group.keys] == ["user"]
        return
    assert shown(reading) == parts


def test_a_name_that_car_lacks_is_told_and_kept() -> None:
    reading = read(Block.of("EventCode=7 Signed=false"), "splunk")
    said = [item for item in reading.diagnostics if item.code.id == "CE953"]
    assert [item.span.text for item in said if item.span] == ["Signed=false"]
    engine = Engine([as_rule(reading, "q")], fieldmap="sysmon.flat")
    event = {"EventID": 7, "Channel": "Microsoft-Windows-Sysmon/Operational", "Signed": "false"}
    assert len(list(engine.run([event]))) == 1
    assert not list(engine.run([{**event, "Signed": "true"}]))


def test_events_that_no_map_knows_are_told() -> None:
    reading = read(Block.of("(EventCode=1 Image=a) OR EventCode=99999"), "splunk")
    assert "CE960" in {item.code.id for item in reading.diagnostics}
    nothing = read(Block.of("EventCode=99999"), "splunk")
    assert nothing.program is None


VALUES = st.sampled_from(["a", r"C:\a", "b", r"C:\x\a", "ab"])
PATTERNS = st.sampled_from(["a", "*a", "C:\\\\*", "*b*", "x*", "*\\\\x\\\\*"])
NAMES = st.sampled_from(["Image", "CommandLine", "ParentImage", "TargetFilename"])
SYSMON_EVENTS = st.fixed_dictionaries(
    {"EventCode": st.sampled_from([1, 11]), "Image": VALUES},
    optional={"CommandLine": VALUES, "ParentImage": VALUES, "TargetFilename": VALUES},
)
# What an event of one kind has, no event of the other kind has.
OWN = {
    1: {"EventCode", "Image", "CommandLine", "ParentImage"},
    11: {"EventCode", "Image", "TargetFilename"},
}


@st.composite
def searches(draw: st.DrawFn, depth: int = 2) -> str:
    shape = draw(st.sampled_from(["test", "code", "and", "or", "not"] if depth else ["test"]))
    match shape:
        case "test":
            sign = draw(st.sampled_from(["=", "!="]))
            return f'{draw(NAMES)}{sign}"{draw(PATTERNS)}"'
        case "code":
            return f"EventCode={draw(st.sampled_from([1, 11]))}"
        case "not":
            return f"NOT ({draw(searches(depth - 1))})"
        case _:
            word = " " if shape == "and" else " OR "
            return f"({draw(searches(depth - 1))}{word}{draw(searches(depth - 1))})"


@settings(max_examples=150, deadline=None)
@given(searches(), st.lists(SYSMON_EVENTS, min_size=1, max_size=8))
def test_raised_and_native_agree(query: str, events: list[Event]) -> None:
    given_events = [{k: v for k, v in e.items() if k in OWN[e["EventCode"]]} for e in events]
    native = read(Block.of(query), "splunk", raise_names=False)
    made = raised(native, find_maps("sysmon.flat"))
    if made.program is None:
        assert {d.message for d in made.diagnostics} == {"events that no field map gives to CAR"}
        made_finds: list[Event] = []
    else:
        engine = Engine([as_rule(made, "q")], fieldmap="sysmon.flat")
        made_finds = [m.events[0].event for m in engine.run(given_events)]  # type: ignore[misc]
    engine = Engine([as_rule(native, "q")], fieldmap=native_map(native))
    assert [m.events[0].event for m in engine.run(given_events)] == made_finds


def test_a_kind_that_is_more_than_what_is_asked_for_is_told() -> None:
    reading = read(Block.of("EventCode=23 TargetFilename=*x*"), "splunk")
    assert reading.program is not None
    said = [item for item in reading.diagnostics if item.code.id == "CE961"]
    assert [item.span.text for item in said if item.span] == ["EventCode=23"]
    assert "23, 26" in said[0].notes[0]


SPELT_ALIKE = [
    # Comments, and macros of Splunk's public content that ask nothing.
    ("EventCode=1 Image=a", '`comment("x")` search EventCode=1 Image=a'),
    (
        "EventCode=1 Image=a",
        "```x``` EventCode=1 Image=a | `security_content_ctime(time)` | `x_filter`",
    ),
    ("EventCode=1 Image=a", "`sysmon` EventCode=1 Image=a"),
    # What Sysmon writes for "not known" is no value.
    ('EventCode=1 Image=* NOT Image IN ("-", "", "a")', "EventCode=1 Image=* NOT Image=a"),
    # The number of an event by all names that it has, and the log by its own.
    ("EventCode=11 OR EventCode=29", "EventID IN (11, 29)"),
    ("EventCode=1 Image=a", 'EventCode=1 Channel="Microsoft-Windows-Sysmon/Operational" Image=a'),
    # Registry events, as those write them who guard against NXLog's EventType.
    (
        'EventCode=12 EventType="CreateKey"',
        'EventCode=12 EventType=* NOT EventType IN ("-", "", "INFO") EventType="CreateKey"',
    ),
    # Whole numbers are numbers, however they are spelt.
    ('EventCode=10 GrantedAccess="0x1010"', "EventCode=10 GrantedAccess=4112"),
    (
        "EventCode=3 DestinationPort=80",
        "* | where tonumber(EventCode)=3 AND tonumber(DestinationPort)=80",
    ),
    # Case, and expressions that are wildcards.
    (
        "EventCode=1 Image=*\\\\a.exe",
        '* | where EventCode=1 AND match(Image, "(?is)^.*\\\\\\\\a\\\\.exe\\\\z")',
    ),
    ("EventCode=1 Image=a", 'EventCode=1 | where lower(Image)="a"'),
    ("EventCode=8 TargetImage=a", "EventCode=8 TargetImage=a | stats count by EventCode, Computer"),
]


@pytest.mark.parametrize(("one", "other"), SPELT_ALIKE)
def test_spellings_of_one_query(one: str, other: str) -> None:
    first, second = (read(Block.of(text), "splunk") for text in (one, other))
    assert first.program is not None
    assert second.program is not None, second.diagnostics
    # What a query counts by shows what it finds, and is not asked for here.
    made = compare(first.program, second.program, keyed=False, shown=ShownParts.NOTHING)
    assert made.equivalent is True


SIGMA = r"""
title: at
logsource: {product: windows, SOURCE}
detection: {s: {Image|endswith: '\at.exe', CommandLine|contains: ' 13:'}, condition: s}
"""


def test_sigma_is_read_by_log_source() -> None:
    own = carengine.parse_rule(
        r'a = search Process:Create b = filter a where image_path = "*\at.exe" '
        'and command_line = "* 13:*" output b'
    ).program
    both = read(Block.of(SIGMA.replace("SOURCE", "category: process_creation")), "sigma")
    assert both.program is not None
    assert compare(own, both.program).equivalent is True
    # Sysmon's own number and Security's, each by its own names.
    assert [found.name for found in both.maps] == ["eventlog.flat", "sysmon.flat"]
    sysmon = read(Block.of(SIGMA.replace("SOURCE", "service: sysmon")), "sigma")
    assert {"process/create"} < {str(k) for k in kinds_of(sysmon)}


def kinds_of(reading: QueryReading) -> frozenset[ir.EventKind]:
    assert reading.program is not None
    return frozenset().union(*(ir.searched(o.plan) for o in reading.program.outputs))


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("title: x", "CE951"),
        (
            "title: x\nlogsource: {product: linux, service: auditd}\ndetection: {s: {a: b}, condition: s}",
            "CE952",
        ),
        ("title: x\nlogsource: {service: sysmon}\ndetection: {s: {a: b}, condition: t}", "CE802"),
    ],
)
def test_sigma_that_is_refused(text: str, code: str) -> None:
    reading = read(Block.of(text), "sigma")
    assert reading.program is None
    assert code in {d.code.id for d in reading.diagnostics}


# Hostile input


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from(sorted(LANGUAGES)),
    st.text(alphabet="ab =!<>()[],|\"'\\*?:-`~\n1.", max_size=60),
)
def test_any_text_is_read_or_refused(language: str, text: str) -> None:
    reading = read(Block.of(text), language)
    assert (reading.program is None) == any(
        d.severity is Severity.ERROR for d in reading.diagnostics
    )


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("eql", "any where " + "(" * 5_000 + "a" + ")" * 5_000),
        ("eql", "any where " + "not " * 5_000 + "a"),
        ("eql", "any where " + "-" * 5_000 + "1 == 1"),
        ("splunk", "(" * 5_000 + "a=1" + ")" * 5_000),
        ("splunk", "NOT " * 5_000 + "a=1"),
        ("splunk", "a=1 | where " + "(" * 5_000 + "b" + ")" * 5_000),
        ("splunk", "a=1 | where " + "NOT " * 5_000 + "b=1"),
        ("splunk", "a=1 | where x=" + "-" * 5_000 + "1"),
        ("logpoint", "-" * 5_000 + "a=1"),
        ("splunk", "a" * 200_000),
        ("eql", "any where a == " + "1" * 50_000),
    ],
)
def test_size_and_depth_are_bounded(language: str, text: str) -> None:
    read(Block.of(text), language)


def test_languages_are_found_by_their_names() -> None:
    assert language_of(" splunk ") == "splunk"
    assert language_of("EQL") == "eql"
    assert language_of("") is None


def process(number: int, parent: int, name: str, type_: str = "process") -> Event:
    """An event of a process of the package's schema."""
    names = {"event_type": type_, "process_name": name, "time": f"2024-05-20T10:00:{number:02}Z"}
    return {**names, "unique_pid": number, "unique_ppid": parent}


TREE = [
    process(1, 0, "a"),
    process(2, 1, "b"),
    process(3, 2, "c"),
    process(4, 3, "d"),
    process(5, 9, "e"),
    process(3, 2, "f", "file"),
]
RELATED = [
    ("any where event of [process where process_name == 'c']", ["c", "f"]),
    ("file where event of [process where process_name == 'a']", []),
    ("any where child of [process where process_name == 'b']", ["c", "f"]),
    ("process where child of [process where child of [process where process_name == 'a']]", ["c"]),
    ("any where descendant of [process where process_name == 'a']", ["b", "c", "f", "d"]),
    ("process where not descendant of [process where process_name == 'a']", ["a", "e"]),
]


@pytest.mark.parametrize(("query", "names"), RELATED)
def test_processes_that_follow_from_others(query: str, names: list[str]) -> None:
    reading = read(Block.of(query), "eql", raise_names=False)
    assert reading.program is not None, reading.diagnostics
    engine = Engine([as_rule(reading, "query")], native_map(reading))
    found = [e.event["process_name"] for match in engine.run(TREE) for e in match.events]
    assert sorted(found) == sorted(names)


@pytest.mark.parametrize(
    ("query", "names"), [row for row in RELATED if not row[0].startswith("file")]
)
def test_processes_that_follow_from_others_in_car_s_names(query: str, names: list[str]) -> None:
    wanted = "process where subtype.create and " + query.partition(" where ")[2]
    reading = read(
        Block.of(wanted.replace("[process where ", "[process where subtype.create and ")), "eql"
    )
    assert reading.program is not None, reading.diagnostics
    events = [
        {"object": "process", "action": "create", "exe": one["process_name"], "time": one["time"]}
        | {"guid": f"g{one['unique_pid']}", "parent_guid": f"g{one['unique_ppid']}"}
        for one in TREE
        if one["event_type"] == "process"
    ]
    engine = Engine([as_rule(reading, "query")], "car")
    found = [e.event["exe"] for match in engine.run(events) for e in match.events]
    assert sorted(found) == sorted(name for name in names if name != "f")


# The eql package's own tests


def eql_suite() -> tuple[list[dict[str, Any]], list[Event]]:
    if importlib.util.find_spec("eql") is None:
        pytest.skip("the package eql is not installed")
    folder = importlib.resources.files("eql") / "etc"
    queries = tomllib.loads((folder / "test_queries.toml").read_text(encoding="utf-8"))["queries"]
    return queries, json.loads((folder / "test_data.json").read_text(encoding="utf-8"))


# What our language has no equivalent for, by the beginning of what is said.
OUTSIDE = (
    "`fork` in a sequence",
    "the pipe `head`",
    "the pipe `tail`",
    "the pipe `sort`",
    "the pipe `unique_count`",
    "the function `arrayCount`",
    "several tests of one element of a list",
    "a condition used as a value",
)


def test_the_queries_of_the_eql_package() -> None:
    queries, events = eql_suite()
    # Of one time, events have an order of their own here, and that of arrival in the package; its
    # first event has none that is a time.
    events = [
        {**event, "timestamp": 131_485_996_510_000_000 + 100_000 * number}
        for number, event in enumerate(events)
    ]
    right = wrong = outside = 0
    wrongly: list[str] = []
    for query in queries:
        if query.get("case_sensitive") and not query.get("case_insensitive"):
            # An option of the package's engine; ours ignores case.
            outside += 1
            continue
        reading = read(Block.of(query["query"]), "eql", raise_names=False)
        if reading.program is None:
            assert reading.diagnostics[0].message.startswith(OUTSIDE), reading.diagnostics
            outside += 1
            continue
        engine = Engine([as_rule(reading, "query")], fieldmap=native_map(reading))
        found = [e.event["serial_event_id"] for match in engine.run(events) for e in match.events]
        expected = query["expected_event_ids"]
        if isinstance(reading.program.outputs[0].plan, ir.Sequence):
            found, expected = sorted(found), sorted(expected)
        if found == expected:
            right += 1
        else:
            wrong += 1
            wrongly.append(query["query"])
    assert not wrongly
    assert right >= 183
    assert right + wrong + outside == len(queries)


def test_what_only_shows_events_needs_no_names_of_cars() -> None:
    shown = "EventCode=1 | stats count values(Image) by Image dvc | table dvc"
    reading = read(Block.of(shown), "splunk")
    assert reading.program is not None
    assert [d.code.id for d in reading.diagnostics if "dvc" in d.message] == ["CE953"]
    # Where the groups decide what is found, they cannot be other groups.
    reading = read(Block.of("EventCode=1 | stats count by Image dvc | where count > 2"), "splunk")
    assert reading.program is None
    assert any("grouping by dvc" in d.message for d in reading.diagnostics)


NAMED = [
    ("splunk", 'EventCode=7045 Service_File_Name="*.exe"', "service/create", "image_path"),
    ("splunk", 'EventCode=4688 New_Process_Name="*.exe"', "process/create", "image_path"),
    ("splunk", "EventCode=1 ComputerName=WS1", "process/create", "hostname"),
    ("splunk", 'EventCode=1 ComputerName="WS1.corp.example"', "process/create", "fqdn"),
    ("logpoint", 'event_id=4670 object_type="File" user_id="S-1"', "file/acl_modify", "uid"),
]


@pytest.mark.parametrize(("language", "query", "kind", "name"), NAMED)
def test_names_become_cars(language: str, query: str, kind: str, name: str) -> None:
    reading = read(Block.of(query), language)
    assert reading.program is not None
    [stage] = ir.as_stages(reading.program.outputs[0].plan) or ()
    assert [str(found) for found in stage.kinds] == [kind]
    assert [found.name for found in ir.fields_of(stage.condition)] == [name]


BRACKETS = [
    ("splunk", r'x="*a[*]b*"', ["a[]b", "qa[x]b"], ["a*b"]),
    ("splunk", r'x IN ("a[*]b", "c[?]")', ["a[x]b", "c[?]"], ["a*b", "c?", "c[x]"]),
    ("splunk", r'* | where like(x, "a[%]")', ["a[1]"], ["a*"]),
    ("logpoint", r'x="a[*]b"', ["a[x]b"], ["a*b"]),
    ("lucene", r"x:a\[*\]b", ["a[x]b"], ["a*b"]),
    ("esql", 'from a | where x like "a[*]b"', ["a[x]b"], ["a*b"]),
    ("eql", 'any where x == "a[*]b"', ["a[x]b"], ["a*b"]),
]


@pytest.mark.parametrize(("language", "query", "found", "not_found"), BRACKETS)
def test_wildcards_between_brackets(
    language: str, query: str, found: list[str], not_found: list[str]
) -> None:
    """In patterns of ours ``[*]`` is a star, which no other language knows."""
    reading = read(Block.of(query), language, raise_names=False)
    assert reading.program is not None, reading.diagnostics
    [test] = [
        atom
        for output in reading.program.outputs
        for part in ir.every_plan([output.plan])
        if isinstance(part, ir.Filter)
        for atom in ir.atoms(part.condition)
        if isinstance(atom, ir.Match)
    ]
    for text in found:
        assert any(pattern.matches(text) for pattern in test.patterns), text
    for text in not_found:
        assert not any(pattern.matches(text) for pattern in test.patterns), text


@pytest.mark.parametrize(
    ("language", "query"),
    [
        ("lucene", r"x:a\[?\]b"),
        ("esql", 'from a | where x like "a[?]b"'),
        ("splunk", r'* | where like(x, "a[_]")'),
        # Splunk refuses these, too.
        ("splunk", "a=b | search OR c=d"),
        ("splunk", "(AND a=b) c=d"),
        ("splunk", "a=b AND OR c=d"),
        ("logpoint", "OR a=b"),
    ],
)
def test_what_has_no_meaning_is_refused(language: str, query: str) -> None:
    reading = read(Block.of(query), language, raise_names=False)
    assert reading.program is None
    assert reading.diagnostics
