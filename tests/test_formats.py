"""Formats of evidence: each gives the same events, and says what it cannot read."""

from __future__ import annotations

import base64
import bz2
import gzip
import io
import json
import lzma
import re
import sys
import tarfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from carengine.diagnostics import codes
from carengine.eventxml import EventXmlError, event_of_xml
from carengine.readers import Limits, Reading, Record, read_events, zeek
from evidence_forms import AUDIT, EVENTS, FORMS, ZEEK, xml_of, zip_of
from evtx_writer import evtx_of

SHARED = Path(__file__).parents[1].parent / "shared"
NEEDED = {"7z": "py7zr", "parquet": "pyarrow", "zstandard": "zstandard", "evtx": "evtx"}


def read(data: bytes) -> tuple[list[Record], Reading]:
    reading = read_events("-", stdin=io.BytesIO(data))
    return list(reading), reading


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_its_events(form: str) -> None:
    if form in NEEDED:
        pytest.importorskip(NEEDED[form])
    make, expected = FORMS[form]
    records, reading = read(make())
    assert [d.message for d in reading.diagnostics] == []
    number = expected if isinstance(expected, int) else len(expected)
    assert (len(records), reading.records, reading.unreadable) == (number, number, 0)
    assert [record.number for record in records] == list(range(1, number + 1))
    if not isinstance(expected, int):
        assert [record.event for record in records] == expected


# Details of the formats


def only(data: bytes) -> list[dict[str, Any]]:
    records, reading = read(data)
    assert reading.records == len(records) + reading.unreadable
    return [record.event for record in records]


def test_audit_records_are_joined_and_decoded() -> None:
    exec_, login, connect = only(AUDIT)
    assert (login["serial"], login["type"]) == (8, "USER_LOGIN")
    assert login["USER_LOGIN"]["acct"] == "ann"
    assert "hostname" not in login["USER_LOGIN"]
    assert login["USER_LOGIN"]["UID"] == "root"
    assert exec_["types"] == ["SYSCALL", "EXECVE", "CWD", "PATH", "PROCTITLE"]
    assert exec_["EXECVE"]["argv"] == ["ls", "-la é", "x y"]
    assert exec_["EXECVE"]["command_line"] == "ls -la é x y"
    assert exec_["paths"] == {"NORMAL": "/usr/bin/ls", "CREATE": "/tmp/a b.so"}
    assert exec_["PROCTITLE"]["proctitle"] == "ls -la"
    assert exec_["SYSCALL"]["SYSCALL"] == "execve"
    assert "key" not in exec_["SYSCALL"]
    assert (connect["node"], connect["SOCKADDR"]["address"]) == ("web2", "192.168.1.5")
    assert connect["SOCKADDR"]["port"] == "80"


def test_a_late_audit_record_is_said() -> None:
    late = AUDIT + b'type=CWD msg=audit(1714557600.100:7): cwd="/x"\n'
    records, reading = read(late)
    assert [len(record.event["types"]) for record in records] == [5, 1, 2, 1]
    assert [d.code.id for d in reading.diagnostics] == ["CE526"]


@pytest.mark.parametrize(
    ("saddr", "expected"),
    [
        ("0A0000160000000000000000000000000000000000000001", {"family": "inet6", "address": "::1"}),
        ("01002F72756E2F7800", {"family": "local", "path": "/run/x"}),
        ("0200", {"family": "2"}),
        ("xyz", {}),
        ("1000", {"family": "netlink"}),
    ],
)
def test_socket_addresses(saddr: str, expected: dict[str, str]) -> None:
    line = f"type=SOCKADDR msg=audit(1.0:1): saddr={saddr}\n"
    found = only(line.encode())[0]["SOCKADDR"]
    assert {key: found.get(key) for key in expected} == expected


def test_zeek_rows_have_types() -> None:
    first, second, third = only(ZEEK)
    assert first == {
        "_path": "conn",
        "ts": 1714557600.5,
        "uid": "C1",
        "id.orig_h": "10.0.0.1",
        "id.orig_p": 49152,
        "proto": "tcp",
        "duration": 0.25,
        "local_orig": True,
        "tags": ["a", "b,c"],
        "service": "smb",
    }
    assert second["tags"] == []
    assert "duration" not in second
    assert third["service"] == "x\ty"


def test_zeek_json_gets_its_path_from_the_name(tmp_path: Path) -> None:
    line = b'{"ts": 1.5, "uid": "C1", "id.orig_h": "10.0.0.1"}\n'
    for name in ("conn.log", "dce_rpc.10:00:00-11:00:00.log", "notes.log", "dns_20240501.json"):
        (tmp_path / name).write_bytes(line)
    (tmp_path / "http.log").write_bytes(b'{"ts": 1.5, "_path": "mine"}\n{"a": 1}\n')
    found = [(Path(r.source).name, r.event.get("_path")) for r in read_events(tmp_path)]
    assert found == [
        ("conn.log", "conn"),
        ("dce_rpc.10:00:00-11:00:00.log", "dce_rpc"),
        ("dns_20240501.json", "dns"),
        ("http.log", "mine"),
        ("http.log", None),
        ("notes.log", None),
    ]


def test_syslog_headers_are_kept() -> None:
    lines = [
        '<14>May  1 10:00:00 web1 app[7]: {"a": 1}',
        "<34>1 2024-05-01T10:00:00Z web1 su - ID47 - refused {x}",
        '<34>1 - - - - - [a@1 b="c\\"]"][d] @cee:{"syslog": "own"}',
        "2024-05-01T10:00:00+02:00 web1 sshd[9]: Accepted for ann",
        "not syslog at all",
        '<14>May  1 10:00:00 web1 app: {"cut": ',
    ]
    records, reading = read("\n".join(lines).encode())
    assert [record.event for record in records] == [
        {
            "a": 1,
            "syslog": {
                "priority": 14,
                "time": "May  1 10:00:00",
                "hostname": "web1",
                "app": "app",
                "pid": "7",
            },
        },
        {
            "message": "refused {x}",
            "syslog": {
                "priority": 34,
                "time": "2024-05-01T10:00:00Z",
                "hostname": "web1",
                "app": "su",
                "message_id": "ID47",
            },
        },
        {"syslog": "own"},
        {
            "message": "Accepted for ann",
            "syslog": {
                "time": "2024-05-01T10:00:00+02:00",
                "hostname": "web1",
                "app": "sshd",
                "pid": "9",
            },
        },
    ]
    assert [(d.code.id, d.where) for d in reading.diagnostics] == [
        ("CE502", "-:5"),
        ("CE502", "-:6"),
    ]


GOOD = b"a,b,c\n" + b"1,2,3\n" * 9
# A table's further rows; what the last record has; how many are unreadable; the codes.
TABLES: dict[str, tuple[bytes, dict[str, str], int, list[str]]] = {
    "short row": (b"4,5\n", {"a": "4", "b": "5"}, 0, ["CE524"]),
    "long row": (b"1,2,3,4\n", {"a": "1", "b": "2", "c": "3"}, 1, ["CE502"]),
    # A row without an end costs itself; the rows it would have swallowed are read.
    "open quote": (b'4,"5,6\n7,8,9\n', {"a": "7", "b": "8", "c": "9"}, 1, ["CE502"]),
    "line ends in cells": (b'4,"5\n\n6",\r\n', {"a": "4", "b": "5\n\n6"}, 0, []),
    "quotes in cells": (
        b'4,"say ""a, b""",x"y\n',
        {"a": "4", "b": 'say "a, b"', "c": 'x"y'},
        0,
        [],
    ),
    "not UTF-8": (b"\xff,2,3\n4,5,6\n", {"a": "4", "b": "5", "c": "6"}, 1, ["CE502"]),
    "blank lines": (b"\n \n4,5,6\n", {"a": "4", "b": "5", "c": "6"}, 0, []),
}


@pytest.mark.parametrize("case", TABLES)
def test_tables(case: str) -> None:
    data, last, unreadable, expected = TABLES[case]
    records, reading = read(GOOD + data)
    assert records[-1].event == last
    assert (reading.unreadable, len(records)) == (unreadable, reading.records - unreadable)
    assert [d.code.id for d in reading.diagnostics] == expected


@pytest.mark.parametrize(
    "above", [b"#TYPE System.Diagnostics.Eventing.Reader.EventLogRecord\r\n", b"sep=,\n"]
)
def test_what_programs_write_above_the_names_is_passed_over(above: bytes) -> None:
    records, reading = read(above + GOOD)
    assert [record.event for record in records] == [{"a": "1", "b": "2", "c": "3"}] * 9
    assert reading.diagnostics == ()


def test_columns_get_names_of_their_own(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_bytes(b"a,,a\n1,2,3\n")
    with read_events(tmp_path / "x.csv") as reading:
        # Names that are equal make no table.
        assert [r.event for r in reading] == [{"message": "a,,a"}, {"message": "1,2,3"}]
    (tmp_path / "y.csv").write_bytes(b"time,host\n1,2\n")
    with read_events(tmp_path / "y.csv") as reading:
        assert [r.event for r in reading] == [{"time": "1", "host": "2"}]


@pytest.mark.parametrize(
    "text",
    [
        b"Dear all,\nthe meeting, as said, is today,\nand not, as feared, tomorrow.\n",
        b"one two three\nfour five six\n",
        b"10:00,11:00,12:00\n1,2,3\n" * 3,
        b"key: value\nother: [a, b, c]\n",
    ],
)
def test_other_text_is_no_table(text: bytes) -> None:
    records, reading = read(text)
    assert [record.event.keys() for record in records] == [{"message"}] * len(records)
    assert reading.diagnostics == ()


def test_raw_texts_that_splunk_exported_are_read() -> None:
    xml = xml_of(EVENTS[0])
    rows = [
        {"_raw": xml, "host": "web1", "sourcetype": "x"},
        {"_raw": '{"EventID": 1}', "host": "web1"},
        {"_raw": "plain", "host": "web1"},
        {"_raw": xml, "EventCode": "1"},
    ]
    expected = [
        EVENTS[0] | {"splunk": {"host": "web1", "sourcetype": "x"}},
        {"EventID": 1, "splunk": {"host": "web1"}},
        rows[2],
        rows[3],
    ]
    assert only("".join(json.dumps(row) + "\n" for row in rows).encode()) == expected
    wrapped = [{"preview": False, "result": row} for row in rows]
    found = only("".join(json.dumps(row) + "\n" for row in wrapped).encode())
    assert found == [*expected[:2], *wrapped[2:]]
    page = json.dumps({"preview": False, "results": rows}, indent=1).encode()
    assert only(page) == expected
    table = "host,sourcetype,_raw\n" + f'web1,x,"{xml.replace(chr(34), chr(34) * 2)}"\n' * 3
    assert only(table.encode()) == [expected[0]] * 3


# Event XML


def test_event_xml_has_the_shape_of_the_evtx_package() -> None:
    """Whatever a log holds: its XML, read back, is its JSON, but for the types that XML does not
    tell."""
    evtx = pytest.importorskip("evtx")
    files = sorted((SHARED / "evtx").glob("*.evtx"))
    if not files:
        pytest.skip("no event logs at hand")

    def plain(value: Any) -> Any:
        match value:
            case dict():
                return {key: plain(item) for key, item in value.items()}
            case list():
                return [plain(item) for item in value]
            case None:
                return ""
            case bool():
                return str(value).lower()
            case str():
                return value.replace("\r\n", "\n")
        return str(value)

    for file in files:
        parser = evtx.PyEvtxParser(str(file))
        as_json = [json.loads(record["data"]) for record in parser.records_json()]
        parser = evtx.PyEvtxParser(str(file))
        as_xml = [event_of_xml(record["data"].split("?>", 1)[1]) for record in parser.records()]
        assert plain(as_xml) == plain(as_json)


XML = {
    "unnamed data": (
        "<Event><EventData><Data>a</Data><Data>b</Data><Binary/></EventData></Event>",
        {"Event": {"EventData": {"Binary": None, "Data": {"#text": ["a", "b"]}}}},
    ),
    "user data": (
        '<Event><UserData><x:Y xmlns:x="u"><A>1</A><A>2</A></x:Y></UserData></Event>',
        {"Event": {"UserData": {"Y": {"#attributes": {"xmlns:x": "u"}, "A": "1", "A_1": "2"}}}},
    ),
    "system": (
        '<Event><System><EventID Qualifiers="5">7045</EventID><Level>04</Level></System></Event>',
        {
            "Event": {
                "System": {
                    "EventID": {"#attributes": {"Qualifiers": 5}, "#text": 7045},
                    "Level": 4,
                }
            }
        },
    ),
    "what XML has no character for": (
        '<Event><EventData><Data Name="a">x&#x1;y\x02</Data></EventData></Event>',
        {"Event": {"EventData": {"a": "x\ufffdy\ufffd"}}},
    ),
    "markup in data": (
        '<Event><EventData><Data Name="a"><![CDATA[</Event><b>]]></Data></EventData></Event>',
        {"Event": {"EventData": {"a": "</Event><b>"}}},
    ),
    "single quotes and a prefix": (
        "<e:Event xmlns:e='u'><e:System><e:Channel>C</e:Channel></e:System></e:Event>",
        {"Event": {"#attributes": {"xmlns:e": "u"}, "System": {"Channel": "C"}}},
    ),
}


@pytest.mark.parametrize("case", XML)
def test_event_xml(case: str) -> None:
    text, expected = XML[case]
    assert only(text.encode()) == [expected]


REFUSED = {
    "entities": '<!DOCTYPE x [<!ENTITY a "b">]><Event><System>&a;</System></Event>',
    "an entity nobody declared": "<Event><System>&a;</System></Event>",
    "deep": "<Event>" + "<a>" * 999 + "</a>" * 999 + "</Event>",
    "not well-formed": "<Event><System></Event>",
    "no end": "<Event><System>",
    "an external entity": '<!DOCTYPE x SYSTEM "file:///etc/passwd"><Event>&x;</Event>',
}


@pytest.mark.parametrize("case", REFUSED)
def test_event_xml_that_is_refused(case: str) -> None:
    good = xml_of(EVENTS[0])
    records, reading = read(f'<?xml version="1.0"?>\n{good}\n{REFUSED[case]}\n{good}'.encode())
    # Where an event has no end, the next one's beginning ends it.
    assert [record.event for record in records] == [EVENTS[0]] * 2
    assert (reading.records, reading.unreadable) == (3, 1)
    assert "CE502" in [d.code.id for d in reading.diagnostics]


@pytest.mark.parametrize("text", [*REFUSED.values(), "<Other/>", "<Event/><x/>", ""])
def test_the_parser_raises_nothing_else(text: str) -> None:
    with pytest.raises(EventXmlError):
        event_of_xml(text)


# Event logs


def damaged_log(change: Callable[[bytearray], None]) -> tuple[list[Record], Reading]:
    pytest.importorskip("evtx")
    data = bytearray(evtx_of(EVENTS * 3, per_chunk=3))
    change(data)
    return read(bytes(data))


def _set(at: int, data: bytes) -> Callable[[bytearray], None]:
    def change(log: bytearray) -> None:
        log[at : at + len(data)] = data

    return change


_SECOND = 4096 + 65536
DAMAGE: dict[str, tuple[Callable[[bytearray], None], list[int], int, list[str]]] = {
    "none": (lambda log: None, [1, 2, 3, 4, 5, 6, 7, 8, 9], 0, []),
    "file header": (_set(0, b"ElfFile\0" + bytes(4088)), [1, 2, 3, 4, 5, 6, 7, 8, 9], 0, []),
    "chunk header": (_set(_SECOND, bytes(8)), [1, 2, 3, 4, 5, 6], 0, ["CE501"]),
    "chunk never used": (_set(_SECOND, bytes(65536)), [1, 2, 3, 4, 5, 6], 0, []),
    "records": (
        _set(_SECOND + 512, b"\xff" * 20000),
        [1, 2, 3, 7, 8, 9],
        3,
        ["CE501", "CE523"],
    ),
    "a text altered": (
        lambda log: log.__setitem__(_SECOND + 512 + 400, log[_SECOND + 512 + 400] ^ 1),
        [1, 2, 3, 4, 5, 6, 7, 8, 9],
        0,
        ["CE523"],
    ),
    "cut off": (lambda log: log.__delitem__(slice(_SECOND + 600, None)), [1, 2, 3], 3, ["CE501"]),
    "chunks missing": (lambda log: log.__delitem__(slice(_SECOND, None)), [1, 2, 3], 0, ["CE501"]),
}


@pytest.mark.parametrize("case", DAMAGE)
def test_damage_to_a_log_costs_the_chunk(case: str) -> None:
    change, numbers, unreadable, expected = DAMAGE[case]
    records, reading = damaged_log(change)
    assert [record.number for record in records] == numbers
    assert reading.unreadable == unreadable
    assert set(expected) <= {d.code.id for d in reading.diagnostics}
    assert bool(expected) == bool(reading.diagnostics)


def test_a_panic_of_the_parser_costs_the_chunk(monkeypatch: pytest.MonkeyPatch) -> None:
    evtx = pytest.importorskip("evtx")

    class PanicException(BaseException):
        pass

    calls = 0

    def parser(*args: Any, **options: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise PanicException("index out of bounds")
        return real(*args, **options)

    real = evtx.PyEvtxParser
    monkeypatch.setattr(evtx, "PyEvtxParser", parser)
    records, reading = read(evtx_of(EVENTS * 3, per_chunk=3))
    assert [record.number for record in records] == [1, 2, 3, 7, 8, 9]
    assert (reading.records, reading.unreadable) == (9, 3)
    assert "gives up" in reading.diagnostics[0].message


def test_a_mistake_in_a_reader_costs_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> Any:
        raise ZeroDivisionError("oh")

    monkeypatch.setattr(zeek._Header, "event", broken)
    (tmp_path / "a.log").write_bytes(ZEEK)
    (tmp_path / "b.json").write_bytes(b"{}\n")
    with read_events(tmp_path) as reading:
        assert [Path(record.source).name for record in reading] == ["b.json"]
    [said] = reading.diagnostics
    assert said.code is codes.READER_FAILED


@pytest.mark.parametrize(
    ("package", "form"),
    [("evtx", "evtx"), ("pyarrow", "parquet"), ("zstandard", "zstandard"), ("py7zr", "7z")],
)
def test_a_missing_package_is_named(
    package: str, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip(package)
    data = FORMS[form][0]()
    monkeypatch.setitem(sys.modules, package, None)
    records, reading = read(data)
    assert records == []
    [said] = reading.diagnostics
    assert said.code is codes.MISSING_PACKAGE
    assert package in said.message


# Archives: passwords, filters, bombs


def _aes(password: bytes, data: bytes) -> bytes:
    pyzipper = pytest.importorskip("pyzipper")
    out = io.BytesIO()
    with pyzipper.AESZipFile(
        out, "w", compression=zipfile.ZIP_DEFLATED, encryption=pyzipper.WZ_AES
    ) as archive:
        archive.setpassword(password)
        archive.writestr("x.json", data)
    return out.getvalue()


@pytest.mark.parametrize("password", [b"", b"wrong", b"infected"])
def test_passwords(password: bytes) -> None:
    lines = b'{"EventID": 1}\n{"EventID": 3}\n'
    data = zip_of({"inner.zip": _aes(b"infected", lines), "plain.json": b"{}\n"})
    reading = read_events("-", stdin=io.BytesIO(data), password=password)
    found = [record.event for record in reading]
    if password == b"infected":
        assert found == [{"EventID": 1}, {"EventID": 3}, {}]
        assert reading.diagnostics == ()
    else:
        assert found == [{}]
        [said] = reading.diagnostics
        assert "encrypted" in said.message
        assert ("no password" if not password else "not right") in said.message


# What `zip -P infected` makes of one line; the standard library reads this kind and writes none.
CLASSIC = base64.b64decode(
    "UEsDBAoACQAAACUieF2GG/rTGwAAAA8AAAAGABwAeC5qc29uVVQJAAPFDwVrxQ8Fa3V4CwABBAAAAAAEAAAAAI/UyimLIRnDIWvhteJ1Fzu3"
    "kyhlu5XHoo8mdVBLBwiGG/rTGwAAAA8AAABQSwECHgMKAAkAAAAlInhdhhv60xsAAAAPAAAABgAYAAAAAAABAAAApIEAAAAAeC5qc29uVVQF"
    "AAPFDwVrdXgLAAEEAAAAAAQAAAAAUEsFBgAAAAABAAEATAAAAGsAAAAAAA=="
)


def test_the_older_encryption(tmp_path: Path) -> None:
    (tmp_path / "x.zip").write_bytes(CLASSIC)
    for password, expected in (("infected", [{"EventID": 1}]), ("other", []), ("", [])):
        with read_events(tmp_path / "x.zip", password=password) as reading:
            assert [record.event for record in reading] == expected
        assert [d.code.id for d in reading.diagnostics] == ([] if expected else ["CE501"])


FILTERED: list[tuple[list[str], list[str], list[str]]] = [
    ([], [], ["a.json", "b.log", "c.json", "d.json"]),
    (["*.json"], [], ["a.json", "c.json", "d.json"]),
    (["*.json"], ["sub/*"], ["a.json", "c.json"]),
    ([], ["*.zip"], ["a.json", "b.log", "d.json"]),
    (["sub/*"], [], ["d.json"]),
    (["nothing"], [], []),
]


@pytest.mark.parametrize(("include", "exclude", "expected"), FILTERED)
def test_filters(
    include: list[str], exclude: list[str], expected: list[str], tmp_path: Path
) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "a.json").write_bytes(b"{}")
    (tmp_path / "b.log").write_bytes(b"{}")
    (tmp_path / "c.zip").write_bytes(zip_of({"c.json": b"{}"}))
    (tmp_path / "sub" / "d.json.gz").write_bytes(gzip.compress(b"{}"))
    with read_events(tmp_path, include=include, exclude=exclude) as reading:
        found = [re.split(r"[/!]", record.source)[-1].removesuffix(".gz") for record in reading]
    assert found == expected
    assert reading.found.get(codes.SKIPPED_FILE, 0) == (4 - len(expected))


def zlib_pieces(data: bytes) -> bytes:
    """Several members, as `cat a.gz b.gz` makes them, a newline between them."""
    return gzip.compress(data[:700]) + b"\n" + gzip.compress(data[700:])


@pytest.mark.parametrize("padding", [b"\n", b"\r\n", b" \n\t", bytes(700), b"\n" * 70_000])
@pytest.mark.parametrize(
    "pack",
    [gzip.compress, bz2.compress, lzma.compress, bytes, zlib_pieces],
    ids=lambda f: f.__name__,
)
def test_what_pads_an_archive_is_no_damage(pack: Callable[[bytes], bytes], padding: bytes) -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        member = tarfile.TarInfo("a.jsonl")
        member.size = 9
        tar.addfile(member, io.BytesIO(b'{"a": 1}\n'))
    records, reading = read(pack(packed.getvalue()) + padding)
    assert [record.event for record in records] == [{"a": 1}]
    assert reading.diagnostics == ()


def test_a_zip_with_a_newline_behind_it_is_whole() -> None:
    records, reading = read(zip_of({"a.json": b'{"a": 1}'}) + b"\n")
    assert [record.event for record in records] == [{"a": 1}]
    assert reading.diagnostics == ()


def test_rubbish_behind_an_archive_is_said() -> None:
    records, reading = read(gzip.compress(b'{"a": 1}\n') + b"\nno archive")
    assert [record.event for record in records] == [{"a": 1}]
    assert [item.code.id for item in reading.diagnostics] == ["CE501"]


def test_empty_lines_cost_next_to_nothing() -> None:
    """A gzip file of 32 KiB can hold 32 MiB of them before it is refused."""
    text = b'{"a": 1}\n' + b"\n" * 500 + b"\r\n" * 500 + b'{"a": 2}\n5\n'
    records, reading = read(text)
    assert [record.event for record in records] == [{"a": 1}, {"a": 2}]
    assert [item.where for item in reading.diagnostics] == ["-:1003"]
    bomb = gzip.compress(b"{}" + b"\n" * (33 << 20))
    started = time.process_time()
    records, reading = read(bomb)
    # What so many lines cost may be known before the first record is given.
    assert [record.event for record in records] in ([], [{}])
    assert [d.code.id for d in reading.diagnostics] == ["CE505"]
    assert time.process_time() - started < 10


def test_a_bomb_of_zstandard_is_refused_with_its_ratio() -> None:
    zstandard = pytest.importorskip("zstandard")
    bomb = zstandard.ZstdCompressor(level=3).compress(bytes(200 << 20))
    reading = read_events("-", stdin=io.BytesIO(bomb), limits=Limits(expansion_floor=1 << 20))
    assert list(reading) == []
    assert [d.code.id for d in reading.diagnostics] == ["CE505"]
    assert "times its size" in reading.diagnostics[0].message
