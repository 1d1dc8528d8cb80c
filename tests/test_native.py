"""The native core: what it passes, Python would have passed, and counts the same.

Every line that the core passes is decided by Python as well (`NativeFilter.difference`). Runs over
whole files with and without the core must come to the same matches and the same account.
"""

from __future__ import annotations

import json
import os
import random
import zipfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import carengine
from carengine.engine import Engine, NativeCheck, native_version
from carengine.engine.prefilter import NativeFilter
from carengine.engine.prefilter.native_program import NativeProgram
from carengine.engine.report import UnrecognisedShapes
from carengine.engine.stats import SessionStats
from carengine.fieldmap import unwrap
from carengine.jsontext import loads

if native_version() is None:
    pytest.skip("the native core is not built (make native)", allow_module_level=True)

ROOT = Path(__file__).parent.parent
SAMPLES = Path(__file__).parent / "samples"
MORDOR = ROOT.parent / "shared" / "mordor"
EVTX_LOGS = ROOT.parent / "shared" / "evtx"
FUZZ = int(os.environ.get("CARENGINE_FUZZ", "0"))

PROGRAMS = """
images = search Process:Create where exe = "*cmd*" or exe = "w?ami.exe" output images
lines = search Process:Create where command_line = "*/c *" and not user = "*SYSTEM" output lines
raws = search Process:Create where "*sekurlsa::*" in raw event output raws
numbers = search Process:Create where pid > 4000 and ppid = 31 output numbers
regexes = search Process:Create where command_line match "^.*-enc[a-z]* .{20}" output regexes
"""

SYSMON: dict[str, Any] = {
    "Channel": "Microsoft-Windows-Sysmon/Operational",
    "SourceName": "Microsoft-Windows-Sysmon",
    "EventID": 1,
    "Hostname": "WS1.example.org",
    "UtcTime": "2024-05-01 10:00:00.123",
    "Image": "C:\\Windows\\System32\\notepad.exe",
    "CommandLine": "notepad.exe a.txt",
    "ParentImage": "C:\\Windows\\explorer.exe",
    "User": "CORP\\ann",
    "ProcessId": "4711",
    "ParentProcessId": "0x1f",
    "Hashes": "SHA1=AA,MD5=BB",
    "Message": "Process Create:\r\nRuleName: -\r\nImage: notepad.exe",
}
SECURITY: dict[str, Any] = {
    "Channel": "Security",
    "SourceName": "Microsoft-Windows-Security-Auditing",
    "EventID": 4624,
    "Hostname": "DC1",
    "TimeCreated": "2024-05-01T10:00:00.123Z",
    "TargetUserName": "bob",
    "LogonType": "3",
    "Keywords": "0x8020000000000000",
    "EventType": "AUDIT_SUCCESS",
}
WINLOG: dict[str, Any] = {
    "@timestamp": "2024-05-01T10:00:00.123Z",
    "winlog": {
        "channel": "Microsoft-Windows-Sysmon/Operational",
        "event_id": 1,
        "event_data": {"Image": "C:\\a\\cmd.exe", "CommandLine": "cmd /c x", "User": "ann"},
    },
}
EVTX: dict[str, Any] = {
    "Event": {
        "System": {
            "Channel": "Microsoft-Windows-Sysmon/Operational",
            "EventID": 1,
            "TimeCreated": {"#attributes": {"SystemTime": "2024-05-01T10:00:00.123456Z"}},
        },
        "EventData": {"Image": "C:\\b\\whoami.exe", "CommandLine": "whoami", "ProcessId": 9},
    }
}
UNNAMED: dict[str, Any] = {
    "Event": {
        "System": {
            "Provider": {"#attributes": {"Name": "ESENT"}},
            "EventID": {"#attributes": {"Qualifiers": 0}, "#text": 326},
            "Channel": "Application",
            "Computer": "DC1",
        },
        "EventData": {"Data": {"#text": ["NTDS", "cmd.exe", None, 1]}, "Binary": None},
    }
}
TRACE: dict[str, Any] = {
    "Event": {
        "System": {"Provider": {"#attributes": {"Name": "RPC"}}, "EventID": 6, "Channel": None},
        "EventData": {"ProcNum": 3, "Endpoint": "lsasspirpc"},
    }
}
UNKNOWN: dict[str, Any] = {"sourcetype": "tool:own", "kind": 7, "text": "cmd.exe"}
PLAIN: dict[str, Any] = {"kind": 7, "text": "cmd.exe"}
HOSTILE_SHAPES = (SYSMON, SECURITY, WINLOG, EVTX, UNNAMED, TRACE, UNKNOWN, PLAIN)
SHAPES = [
    *({**SYSMON, "EventID": number} for number in (1, 3, 7, 10, 11, 13)),
    *({**SECURITY, "EventID": number} for number in (4624, 4688, 4663)),
    WINLOG,
    EVTX,
    UNNAMED,
    TRACE,
    UNKNOWN,
    PLAIN,
]


@cache
def engines() -> tuple[Engine, ...]:
    """The shipped rules, and rules of all sorts of tests."""
    made = []
    for number, text in enumerate(PROGRAMS.strip().splitlines()):
        made.append(carengine.parse_rule(text, f"r{number}.car"))
    shipped = carengine.load_rules(ROOT / "rules")
    return Engine(made), Engine(shipped)


def warm(engine: Engine, *, timed: bool = False) -> NativeFilter:
    """The core at work for an engine that has met all shapes."""
    session = engine.session()
    for shape in SHAPES:
        session.feed(json.loads(json.dumps(shape)))
    ticks: list[int] = []
    looks = UnrecognisedShapes()
    for shape in (TRACE, UNKNOWN, PLAIN):
        looks.add(shape)
    native = NativeFilter(
        *(engine, SessionStats(), ticks.append if timed else None),
        read_first=0,
        unrecognised=looks,
    )
    for _ in range(3):
        decided(native, *(json.dumps(shape).encode() for shape in SHAPES))
    return native


def decided(native: NativeFilter, *lines: bytes) -> list[bytes]:
    """The lines that are left to Python."""
    block = b"".join(line + b"\n" for line in lines)
    found = native.undecided(iter([(block, False)]), 1 << 25, lambda: 0)
    return [one.line for one in found if one.line is not None]


@cache
def at_work() -> tuple[NativeFilter, ...]:
    return tuple(warm(engine, timed=timed) for engine in engines() for timed in (False, True))


def checked(line: bytes) -> int:
    """How many of the cores pass a line or tell its rules; all that do must be right."""
    passing = 0
    for native in at_work():
        check = native.check = NativeCheck()
        left = decided(native, line)
        native.check = None
        assert left == [line + b"\n"]
        assert check.differences == []
        passing += check.checked
    return passing


def test_plain_lines_are_passed() -> None:
    plain = [json.dumps(shape).encode() for shape in SHAPES]
    passing = [checked(line) for line in plain]
    assert sum(map(bool, passing)) >= len(plain) - 3


TEXTS = [
    *('"\\u0063md.exe"', '"\\ud800"', '"\\ud83d\\ude00"', '"ſekurlſa::"', '"SEKURLSA::logon"'),
    *('"K"', '"C:\\\\a/b\\\\"', '""', '"-"', '"a b"', '"\\u0000"', '"\\n"', '" 31 "', '"0x1F"'),
    *('"٣١"', '"1e3"', '"+31"', '"cmd /c x"', '"\\u001f31"', '"NT AUTHORITY\\\\SYSTEM"'),
    *('"ForwardedEvents"', '"Microsoft-Windows-Sysmon/Operational"', '"2024-02-30 10:00:00"'),
    *('"2024-05-01 10:00:00.1234567"', '"2024-05-01T24:00:00"', '"20240501"'),
    *('"10.0.0.1"', '"::ffff:10.0.0.1"', '"fe80::1%3"', '"sekurlsa\\u003a\\u003alogon"'),
]
NUMBERS = [
    *("0", "-0", "1", "1.0", "1e0", "31", "31.0", "4711", "9223372036854775807"),
    *("9223372036854775808", "18446744073709551615", "18446744073709551616", "1e400", "-1"),
    *("01", "1.", ".5", "NaN", "Infinity", "0x1f", "123456789012345678901234567890"),
]
OTHERS = [
    '["sekurlsa::", 1, null, true]',
    '["ſ", "a"]',
    '["x", {}]',
    '["", "-"]',
    '"#text"',
    "null",
    "true",
    "false",
    "[]",
    "[null]",
    '["cmd.exe"]',
    "{}",
    '{"a": 1}',
    "[[1]]",
    "[{}]",
]
VALUES = [*TEXTS, *NUMBERS, *OTHERS]


@pytest.mark.parametrize("value", VALUES)
def test_hostile_values(value: str) -> None:
    for shape in HOSTILE_SHAPES:
        text = json.dumps(shape)
        for key in keys_of(shape):
            checked(with_value(text, key, value).encode())
            checked(with_value(text, key, value, twice=True).encode())


def keys_of(shape: dict[str, Any]) -> Iterator[str]:
    for key, value in shape.items():
        yield key
        if isinstance(value, dict):
            yield from keys_of(value)


def with_value(text: str, key: str, value: str, *, twice: bool = False) -> str:
    """The JSON with another value under a key; ``twice``: behind the one that is there."""
    mark = json.dumps(key) + ": "
    start = text.index(mark) + len(mark)
    _, end = json.JSONDecoder().raw_decode(text, start)
    if twice:
        return text[:end] + f", {mark}{value}" + text[end:]
    return text[:start] + value + text[end:]


ODD_LINES = [
    *(
        b"",
        b" ",
        b"\r",
        b"null",
        b"[]",
        b"{}",
        b"{",
        b'{"a": 1}}',
        b'{"a": 1} x',
        b"\xef\xbb\xbf{}",
    ),
    *(b'{"a": "\xff"}', b'{"a": "\x00"}', b"{'a': 1}", b'{"a": 1,}', b'{"a" 1}', b"<xml/>"),
    b'{"EventID": 1, "x": ' + b"[" * 127 + b"]" * 127 + b"}",
    b'{"EventID": 1, "x": ' + b"[" * 128 + b"]" * 128 + b"}",
    b'{"EventID": 1, "x": ' + b'{"a":' * 1000 + b"1" + b"}" * 1001,
]


@pytest.mark.parametrize("line", ODD_LINES)
def test_odd_lines(line: bytes) -> None:
    if line.strip():
        checked(line)
    checked(json.dumps(SYSMON).encode()[:-1] + b', "x": ' + (line or b"0") + b"}")
    for shape in HOSTILE_SHAPES:
        for key in ("Payload", "Channel", "LogName", "EventData", "data", "System", "a b"):
            checked(json.dumps({**shape, key: {"a": 1}}).encode())
            checked(json.dumps({**shape, key: "x"}).encode())
        checked(json.dumps({**shape, "Odd Name": 1, "Image_1": 2, "New Value": 3}).encode())
        checked(json.dumps({"_source": shape}).encode())
        checked(json.dumps({"result": shape}).encode())
        checked(json.dumps({"_source": {}, **shape}).encode())


@settings(max_examples=max(150, FUZZ), deadline=None)
@given(st.integers(0, 1 << 62))
def test_mutated_lines(seed: int) -> None:
    """Real shapes with values exchanged, and bytes changed, lost, doubled."""
    chance = random.Random(seed)
    shape = chance.choice(SHAPES)
    text = json.dumps(shape, ensure_ascii=chance.random() < 0.5)
    for _ in range(chance.randrange(3)):
        key = chance.choice(list(keys_of(shape)))
        if json.dumps(key) + ": " in text:
            try:
                text = with_value(text, key, chance.choice(VALUES), twice=chance.random() < 0.2)
            except ValueError:
                break  # what was put in is no JSON
    line = bytearray(text.encode("utf-8", "surrogatepass"))
    for _ in range(chance.choice((0, 0, 1, 2))):
        at = chance.randrange(len(line))
        match chance.randrange(4):
            case 0:
                line[at] = chance.randrange(256)
            case 1:
                del line[at]
            case 2:
                line[at:at] = line[at : at + chance.randrange(40)]
            case _:
                line[at : at + 1] = chance.choice((b'"', b"\\", b"{", b"}", b",", b":", b"\\u"))
    checked(bytes(line).replace(b"\n", b" ") or b" {")


PIECES = [
    *("cmd", " ", "\t", "\v", "a", "aa", "bb", "K", "k", "s", "\u212a", "\u017f", "é", "É", "@12"),
    *("x", "\n", "\r", "q", "z", "A", "foo", ".exe", "\\", "&", "&&", "~", "#", "-", "c", "d", "0"),
    *(".*", "\x1c", "\x85", "\u00a0", "Z", "_"),
]
EXPRESSIONS = [
    *(r"\bcmd\b", r"^\s*a+?b{2,3}$", r"(?i)K[^k]s", r"[\w.-]+@\d{1,3}", r"(?s)a.b", r"a.[bK]"),
    *(r"(?m)^x$", r"\Aq|z\z", r"[^\x00-\x7f]", r"[[:alpha:]]\d", r"\\[a-z&&b]", r"[a\-z~~]#"),
    *(
        r"\W\S\D",
        r"(?i)[^a-f]{3}\.exe",
        r"\pL",
        r"\Bfoo",
        r"\Q.*\E",
        r"[+--]a",
        r"[[a]b]",
        r"&&[ax]",
    ),
]


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_expressions_are_re2s(expression: str) -> None:
    text = f'r = search Process:Create where command_line match "{expression}" output r'
    native = warm(Engine([carengine.parse_rule(text)], "sysmon.flat"))
    chance = random.Random(expression)
    lines = []
    for _ in range(max(200, FUZZ // 20)):
        line = "".join(chance.choice(PIECES) for _ in range(chance.randrange(1, 9)))
        event = {**SYSMON, "CommandLine": line}
        lines.append(json.dumps(event, ensure_ascii=chance.random() < 0.5).encode())
    native.check = NativeCheck()
    decided(native, *lines)
    assert native.check.differences == []


def account(engine: Engine, path: Path, jobs: int = 1) -> tuple[Any, ...]:
    with carengine.Run(engine, [path], jobs=jobs) as run:
        assert run.threads == (jobs if native_version() else 1)
        matches = [
            (match.rule.id, match.output, [event.origin for event in match.events])
            for match in run
            if not isinstance(match, bytes)
        ]
        data = run.session.stats.as_data()
        del data["clocks"]  # a sample of events
        found = [str(diagnostic) for diagnostic in run.reading.diagnostics]
        found += run.unrecognised.lines(100)
        return matches, data, found, run.reading.records, run.reading.unreadable


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_a_run_is_the_same(tmp_path: Path, end: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    chance = random.Random(7)
    lines = []
    for number in range(3_000):
        event = {**chance.choice(SHAPES), "RecordNumber": number}
        if chance.random() < 0.02:
            event["Image"] = chance.choice(["cmd.exe", "C:\\x\\whoami.exe", "ſ"])
        lines.append(json.dumps(event).encode())
        if chance.random() < 0.02:
            lines.append(chance.choice([b"", b"  ", *ODD_LINES]))
    path = tmp_path / "log.jsonl"
    path.write_bytes(b"\xef\xbb\xbf" + end.join(lines))
    for engine in engines():
        with_core = account(engine, path)
        assert with_core == account(engine, path, jobs=2)
        monkeypatch.setenv("CARENGINE_NATIVE", "0")
        assert with_core == account(engine, path)
        monkeypatch.delenv("CARENGINE_NATIVE")


def test_lists_of_lines_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    chance = random.Random(11)
    lines = []
    for number in range(2_000):
        event = {**chance.choice(SHAPES), "RecordNumber": number}
        if chance.random() < 0.05:
            event["Image"] = chance.choice(
                ["cmd.exe", "C:\\x\\whoami.exe", "\u017f", "\u00e9cmd.exe"]
            )
        text = json.dumps(event, ensure_ascii=chance.random() < 0.5).encode()
        lines += [text, text + b"\n"][chance.randrange(2) :][:1]
        if chance.random() < 0.02:
            lines.append(chance.choice([b"", b"  ", b"\n"]))

    def found() -> tuple[Any, ...]:
        session = engines()[0].session()
        matches = [
            (start + place, [match.rule.id for match in matches])
            for start in range(0, len(lines), 500)
            for place, matches in session.feed_lines(lines[start : start + 500])
        ]
        data = session.stats.as_data()
        del data["clocks"], data["without_fields"]  # of what is read whole
        return matches, data

    with_core = found()
    monkeypatch.setenv("CARENGINE_NATIVE", "0")
    assert with_core == found()
    assert len(with_core[0]) > 20


@pytest.mark.skipif(not EVTX_LOGS.is_dir(), reason="needs the shared event logs")
def test_event_logs_are_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Event logs, whole ones and damaged ones, give what they give without the core."""
    chance = random.Random(3)
    for number, log in enumerate(3 * sorted(EVTX_LOGS.rglob("*.evtx"))):
        data = bytearray(log.read_bytes())
        if number % 3 == 1:
            for _ in range(9):
                data[chance.randrange(4096, len(data))] = chance.randrange(256)
        elif number % 3 == 2:
            del data[chance.randrange(4096, len(data)) :]
        (tmp_path / f"{number:02}.evtx").write_bytes(data)
    engine = engines()[1]
    with_core = account(engine, tmp_path)
    assert with_core == account(engine, tmp_path, jobs=2)
    monkeypatch.setenv("CARENGINE_NATIVE", "0")
    assert with_core == account(engine, tmp_path)


def test_a_difference_is_said() -> None:
    """What the core passes wrongly Python finds: here it is told of a tree without any rule."""
    [line] = [json.dumps({**SYSMON, "Image": "C:\\cmd.exe"}).encode()]
    engine = engines()[0]
    native = warm(engine)
    bare = Engine([], engine.maps)
    for shape in SHAPES:
        bare.session().feed(json.loads(json.dumps(shape)))
    program = NativeProgram(timed=False)
    native._core = type(native._core)()
    assert bare.questions is not None
    native._core.extend(program.growth(bare.questions, ()))
    native._program = program
    lines, passed, _ = native._core.scan(
        line, 0, whole=0, unmet=9, limit=1 << 20, sampling=False, last=True
    )
    assert lines == []
    assert native.difference(line, passed) is not None


@pytest.mark.skipif(not MORDOR.is_dir(), reason="needs the shared recordings")
def test_real_logs() -> None:
    engine = engines()[1]
    session = engine.session()
    native = NativeFilter(engine, session.stats, None, NativeCheck(), read_first=0)
    path = min(MORDOR.glob("*.zip"))
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            if name.endswith(".json") and not name.startswith("__MACOSX"):
                for line in archive.read(name).splitlines()[:1_500]:
                    for _ in decided(native, line):
                        engine.leaf(unwrap(loads(line)))
    assert native.check is not None
    assert native.check.checked > 300
    assert native.check.differences == []


def test_a_program_is_checked() -> None:
    native = warm(engines()[0])
    for data in (b"", b"{}", b'{"version": 3, "values": [["raw", [], []]]}', b"[" * 100_000):
        with pytest.raises(ValueError, match=r".+"):
            native._core.extend(data)
    for data in (b'{"version": 3, "nodes": [{"id": 9999999}]}', b'{"version": 1}'):
        with pytest.raises(ValueError, match=r".+"):
            native._core.extend(data)
