"""Reading evidence: every layout, every packing, and what somebody hostile would send."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import os
import random
import tarfile
import tracemalloc
import zipfile
import zlib
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carengine.diagnostics import PathNotFoundError, codes
from carengine.readers import Limits, Reading, Record, json_text, read_events

SHARED = Path(__file__).parents[1].parent / "shared"
A, B, C = {"EventID": 1}, {"EventID": 3}, {"EventID": 11}
THREE = b'{"EventID":1}\n{"EventID":3}\n{"EventID":11}\n'


@pytest.fixture(params=["orjson", "json"])
def decoder(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Reads with orjson and without it."""
    if request.param == "json":
        monkeypatch.setattr(json_text, "FAST", None)
    elif json_text.FAST is None:
        pytest.skip("orjson is not installed")
    return str(request.param)


class Pipe(io.RawIOBase):
    """A stream that cannot seek and gives a few bytes at a time."""

    def __init__(self, data: bytes, step: int = 7) -> None:
        self.data, self.step = data, step

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        piece, self.data = self.data[: self.step], self.data[self.step :]
        buffer[: len(piece)] = piece
        return len(piece)


def read(data: bytes, limits: Limits | None = None) -> tuple[list[Record], Reading]:
    reading = read_events("-", stdin=io.BytesIO(data), limits=limits)
    return list(reading), reading


def said(reading: Reading) -> list[str]:
    return [diagnostic.code.id for diagnostic in reading.diagnostics]


def tar_of(members: dict[str, bytes], form: int = tarfile.PAX_FORMAT) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def zip_of(members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return out.getvalue()


# Layouts

PRETTY = [json.dumps(x, indent=2).encode() for x in (A, B, C)]
LAYOUTS = {
    "lines": THREE,
    "no last line end": THREE.rstrip(),
    "CRLF": THREE.replace(b"\n", b"\r\n"),
    "blank lines": b"\n\n" + THREE.replace(b"\n", b"\n \n\t\n"),
    "UTF-8 mark": b"\xef\xbb\xbf" + THREE,
    "UTF-16 LE": b"\xff\xfe" + THREE.decode().encode("utf-16-le"),
    "UTF-16 BE": b"\xfe\xff" + THREE.decode().encode("utf-16-be"),
    "UTF-16 LE without a mark": THREE.decode().encode("utf-16-le"),
    "UTF-16 BE without a mark": json.dumps([A, B, C]).encode("utf-16-be"),
    "compact array": json.dumps([A, B, C]).encode(),
    "array, a line each": b"[\n" + b",\n".join(THREE.split()) + b"\n]\n",
    "array, commas first": b"[ " + b"\n, ".join(THREE.split()) + b" ]",
    "pretty array": json.dumps([A, B, C], indent=4).encode(),
    "pretty array, CRLF": json.dumps([A, B, C], indent=4).replace("\n", "\r\n").encode(),
    "pretty documents": b"\n".join(PRETTY),
    "pretty documents, apart": b"\n\n".join(PRETTY) + b"\n",
    "nothing between": b"".join(THREE.split()),
    "several arrays": b"[" + b"]\n[".join(THREE.split()) + b"]",
    "UTF-16 array": json.dumps([A, B, C], indent=1).encode("utf-16"),
    "UTF-8 mark, array": b"\xef\xbb\xbf" + json.dumps([A, B, C]).encode(),
}


@pytest.mark.usefixtures("decoder")
@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_gives_the_same_records(layout: str) -> None:
    for stream in (io.BytesIO(LAYOUTS[layout]), io.BufferedReader(Pipe(LAYOUTS[layout]))):
        reading = read_events("-", stdin=stream)
        # Where a record is a line it has the line's number.
        numbers = (3, 6, 9) if layout == "blank lines" else (1, 2, 3)
        assert list(reading) == [Record(x, "-", n) for n, x in zip(numbers, (A, B, C), strict=True)]
        assert (reading.records, reading.unreadable, reading.sources) == (3, 0, 1)
        assert reading.diagnostics == ()


def test_one_pretty_document_is_one_record() -> None:
    nested = {"a": [{"b": {}}, {"b": []}], "c": '}\n{ \\ " [', "d": None}
    for indent in (None, 0, 1, 4):
        records, reading = read(json.dumps(nested, indent=indent).encode())
        assert [x.event for x in records] == [nested]
        assert reading.diagnostics == ()


# Evidence as it should not be: text, events' numbers, records met, codes

HOSTILE: dict[str, tuple[bytes, list[int], int, list[str]]] = {
    "not objects": (b'{}\n5\n"x"\n[1]\nnull\ntrue\n{}\n', [1, 7], 7, ["CE502"] * 5),
    "first is no object": (b"5\n{}\n", [2], 2, ["CE502"]),
    "first is an array": (b"[1]\n{}\n{}\n", [2, 3], 3, ["CE502"]),
    "broken amid": (b'{}\n{"a":\n{"a":1}]\n{}\n', [1, 4], 4, ["CE502"] * 2),
    "broken first": (b'{"a": "x\n{"a":1}\n{}\n', [2, 3], 3, ["CE502"]),
    "cut last": (b'{}\n{"a', [1], 2, ["CE502"]),
    "text amid": (b"<13>Oct 1 x\n{}\nOct 2 y\n{}\n", [1, 2, 4], 4, ["CE502"]),
    "log lines amid": (b'[10:15] INFO\n{"a":1}\n', [2], 2, ["CE502"]),
    "blank lines are no records": (b"{}\n\n \n5\n\n{}\n", [1, 6], 3, ["CE502"]),
    "NaN": (b'{"a":NaN}\n{}\n{"a":-Infinity}\n', [2], 3, ["CE502"] * 2),
    "too large a number": (b'{"a":1e999}\n{}\n{"a":' + b"9" * 5000 + b"}", [1, 2, 3], 3, []),
    "NUL bytes": (b'{"a":"\0"}\n{}\n\0\0\n{"a":1}\0\n', [2], 4, ["CE502"] * 3),
    "NUL escape": (b'{"a":"\\u0000"}\n', [1], 1, []),
    "invalid UTF-8": (b'{"a":"\xff"}\n{}\n{"a":"\xed\xa0\x80"}\n', [2], 3, ["CE502"] * 2),
    "deep": (b"{}\n" + b'{"a":' * 5000 + b"1" + b"}" * 5000 + b"\n{}\n", [1, 3], 3, ["CE502"]),
    "deep and open": (b"{}\n" + b"[" * 100_000 + b"\n{}\n", [1, 3], 3, ["CE502"]),
    "two in a line": (b"{}\n{}{}\n{}\n", [1, 2, 3, 4], 4, []),
    "trailing comma": (b'{}\n{"a":1},\n{}\n', [1, 3], 3, ["CE502"]),
    "single quotes": (b"{}\n{'a':1}\n", [1], 2, ["CE502"]),
    "UTF-16 surrogate": (
        "\ufeff".encode("utf-16-le") + b"{\0}\0\n\0" + b'"\0\x00\xd8"\0\n\0{\0}\0',
        [1, 3],
        3,
        ["CE502"],
    ),
    "UTF-16 cut": ("\ufeff{}\n{}\n".encode("utf-16-le") + b"{", [1, 2], 2, ["CE501"]),
    "array of other things": (b'[{"a":1}, 5, "x,]", null, [{}], {}]', [1, 6], 6, ["CE502"] * 4),
    "array with a broken one": (b'[{"a":1},{"a":},{"b":2}]', [1, 3], 3, ["CE502"]),
    "array with junk": (b'[{"a":1}, nul, {"b":2}, }, {}]', [1, 3, 5], 5, ["CE502"] * 2),
    "array not closed": (b'[{"a":1},{"b":2}', [1, 2], 2, ["CE501"]),
    "array cut": (b'[{"a":1},{"b":', [1], 2, ["CE502", "CE501"]),
    "array with mismatched brackets": (
        b'[\n {"a":1},\n {"b":[2},\n {"c":"x\n },\n {"d":4}\n]',
        [1, 4],
        4,
        ["CE502"] * 2,
    ),
    "compact array, mismatched": (b'[{"a":1},{"b":[2},{"c":3}]', [1], 2, ["CE502", "CE501"]),
    "array, comma missing": (b'[{"a":1} {"b":2},,{"c":3},]', [1, 2, 3], 3, ["CE510"] * 3),
    "more after an array": (b'[\n{"a":1}]\n{"b":2}\nxx\n', [1, 2], 3, ["CE502"]),
    "pretty and broken": (b'{\n "a": 1\n}\n{\n "b":\n}\n{\n "c": 3\n}', [1, 3], 3, ["CE502"]),
    "pretty and cut off": (b'{\n "a": 1\n}\n{\n "b": [\n', [1], 2, ["CE502", "CE501"]),
    "pretty, one without an end": (
        b'{\n "a": 1\n}\n{\n "b": [\n{\n "c": 3\n}\n',
        [1, 3],
        3,
        ["CE502"],
    ),
    "object too deep in array": (
        b"[{}," + b'{"a":' * 2000 + b"1" + b"}" * 2000 + b",{}]",
        [1, 3],
        3,
        ["CE502"],
    ),
    "a bracket too many": (b"[{}]]\n{}\n", [1, 3], 3, ["CE502"]),
    "empty": (b"", [], 0, ["CE506"]),
    "white space": (b" \n\t\r\n", [], 0, ["CE506"]),
    "only a mark": (b"\xef\xbb\xbf", [], 0, ["CE506"]),
    "empty array": (b"[]\n", [], 0, ["CE506"]),
    "plain text": (b"one\ntwo\n\nthree\n", [1, 2, 3], 3, []),
    "brackets in text": (b"[main] a\n[main] b\n", [1, 2], 2, []),
    "one broken object": (b'{"a": ', [], 1, ["CE502"]),
    "XML": (b"<?xml version='1.0'?>\n<Events/>", [], 0, ["CE506"]),
    "Zeek": (b"#separator \\x09\n#fields\ta\n1\n", [1], 1, []),
    "pcapng": (b"\n\r\r\n\xc4\0\0\0M<+\x1a" + b"\0" * 99, [], 0, ["CE506"]),
    "binary": (bytes(range(256)) * 9, [], 0, ["CE506"]),
    "zeros": (bytes(9999), [], 0, ["CE506"]),
}


@pytest.mark.usefixtures("decoder")
@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_text(case: str) -> None:
    data, numbers, met, expected = HOSTILE[case]
    records, reading = read(data)
    assert [record.number for record in records] == numbers
    assert (reading.records, reading.records - reading.unreadable) == (met, len(numbers))
    assert sorted(said(reading)) == sorted(expected)
    assert all(diagnostic.where.startswith("-") for diagnostic in reading.diagnostics)


def test_positions_are_lines_and_so_are_numbers_where_a_record_is_a_line() -> None:
    _, reading = read(b'{}\n\n5\n{}\n{"a"\n')
    assert [(x.where, x.message.split(" is ")[0]) for x in reading.diagnostics] == [
        ("-:3", "record 3"),
        ("-:5", "record 5"),
    ]
    many = b"\n" * 500
    records, reading = read(b"{}\n" + many + b"{}\nx\n" + many + b"{}")
    assert [record.number for record in records] == [1, 502, 1004]
    assert (reading.records, reading.diagnostics[0].where) == (4, "-:503")
    _, reading = read(b'[\n{},\n\n5,\n{}\n,{"a"}]')
    assert [x.where for x in reading.diagnostics] == ["-:4", "-:6"]


def test_findings_are_bounded_and_counts_exact() -> None:
    records, reading = read(b"{}\n" + b"x\n" * 5000)
    assert (len(records), reading.records, reading.unreadable) == (1, 5001, 5000)
    assert said(reading) == ["CE502"] * 20 + ["CE509"]
    assert "4980 more" in reading.diagnostics[-1].message
    assert reading.found == {codes.UNREADABLE_RECORD: 5000}


def test_findings_in_many_files_are_bounded_too() -> None:
    archive = zip_of({f"{n}.jsonl": b"{}\n" + b"x\n" * 30 for n in range(150)})
    _, reading = read(archive)
    assert len(reading.diagnostics) == 2001
    assert reading.found[codes.UNREADABLE_RECORD] == 4500


# The two decoders

TRICKY = [
    b'{"a":"\\ud800"}', b'{"a":"\\ud800\\udc00"}', b'{"a":"\\udc00\\ud800"}', b'{"\\ud800":1}',
    b'{"a":1,"a":2}', b'{"a":-0}', b'{"a":-0.0}', b'{"a":1e-999}', b'{"a":1E5}', b'{"a":1.}',
    b'{"a":.5}', b'{"a":01}', b'{"a":+1}', b'{"a":-}', b'{"a":18446744073709551615}',
    b'{"a":18446744073709551616}', b'{"a":-9223372036854775809}', b'{"a":' + b"1" * 309 + b"}",
    b'{"a":' + b"1" * 310 + b"}", b'{"a":1.7976931348623159e308}', b'{"a":nan}', b'{"a":Infinity}',
    b'{"a":"\t"}', b'{"a":"\x7f"}', b'{"a":"\\x41"}', b'{"a":"\\u00"}', b'{"a":"\\/"}', b"{,}",
    b'{"a":1,}', b'{"a" 1}', b'{"a":1}}', b'{"a":1} x', b"\x0b{}", b"{}\x0c", b"\xef\xbb\xbf{}",
    b'{"a":"\xe2\x80\xa8"}', b'{"a":"\xc0\x80"}', b'{"a":"\xf4\x90\x80\x80"}', b"{1:2}", b"{a:1}",
    b'{"a":/*c*/1}', b'{"a":tru}', b'{"a":True}', b'{"a":0x1f}', b"{", b"}", b'"', b"[{]}", b"\\",
    *(b'{"a":' + b"[" * depth + b"]" * depth + b"}" for depth in (300, 500, 1024, 1100, 99_999)),
]  # fmt: skip


def both(data: bytes, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int, list[str]]]:
    results = []
    for fast in (json_text.FAST, None):
        with monkeypatch.context() as patch:
            patch.setattr(json_text, "FAST", fast)
            records, reading = read(data)
            shown = repr([(x.event, x.number) for x in records])
            results.append((shown, reading.records, [x.message for x in reading.diagnostics]))
    return results


@pytest.mark.parametrize("line", TRICKY, ids=lambda line: repr(line[:24]))
def test_orjson_and_json_agree(line: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    for data in (b"{}\n" + line + b"\n{}\n", b"[{}," + line + b",{}]"):
        first, second = both(data, monkeypatch)
        assert first == second


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda x: st.lists(x, max_size=3) | st.dictionaries(st.text(max_size=3), x, max_size=3),
    max_leaves=8,
)


@settings(max_examples=150, deadline=None)
@given(value=st.dictionaries(st.text(max_size=3), _json, max_size=4), data=st.data())
def test_mutated_lines_agree(value: dict[str, Any], data: st.DataObject) -> None:
    line = bytearray(json.dumps(value).encode())
    for _ in range(data.draw(st.integers(0, 3))):
        line[data.draw(st.integers(0, len(line) - 1))] = data.draw(
            st.sampled_from(b'{}[]":,\\ \n019-.eEu\xff\0')
        )
    with pytest.MonkeyPatch.context() as patch:
        first, second = both(b"{}\n" + bytes(line) + b"\n{}\n", patch)
    assert first == second


# Properties


@settings(max_examples=80, deadline=None)
@given(
    values=st.lists(st.dictionaries(st.text(max_size=4), _json, max_size=4), max_size=6),
    indent=st.sampled_from([None, 0, 1, 2]),
    between=st.sampled_from(["\n", "\r\n", "\n\n", ""]),
    step=st.integers(1, 40),
)
def test_whatever_is_written_is_read(
    values: list[dict[str, Any]], indent: int | None, between: str, step: int
) -> None:
    good = [value for value in values if "NaN" not in (x := json.dumps(value)) and "Inf" not in x]
    # Past 64 bits integers are floats, here and in orjson.
    good = [json_text.decode(json.dumps(value).encode()) for value in good]
    texts = [
        between.join(json.dumps(value, indent=indent) for value in good),
        json.dumps(good, indent=indent),
    ]
    for text in texts:
        stream = io.BufferedReader(Pipe(text.encode(), step), buffer_size=step)
        reading = read_events("-", stdin=stream)
        assert [x.event for x in reading] == good
        assert [x for x in said(reading) if x != "CE506"] == []


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from([*'{}[]",:\\\n 1x', '{"a":1}', '"a":', "\n  "]), max_size=40))
def test_no_text_is_too_odd(pieces: list[str]) -> None:
    records, reading = read("".join(pieces).encode())
    assert reading.records - reading.unreadable == len(records)
    assert [x.number for x in records] == sorted({x.number for x in records})
    assert reading.records or "CE506" in said(reading)


def _packings(data: bytes) -> Iterator[bytes]:
    yield gzip.compress(data, mtime=0)
    yield bz2.compress(data)
    yield lzma.compress(data)
    yield zip_of({"a.json": data, "b/c.json": data})
    yield tar_of({"a.json": data, "b/c.json": data})
    yield gzip.compress(tar_of({"a": data, "b": data}, tarfile.GNU_FORMAT), mtime=0)
    yield zip_of({"in.zip": zip_of({"a": data}), "t.tgz": gzip.compress(tar_of({"b": data}))})


PACKED = list(_packings(THREE * 20))


@settings(max_examples=250, deadline=None)
@given(
    kind=st.integers(0, 6),
    flips=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), max_size=3),
    cut=st.floats(0, 1),
)
def test_damage_never_raises(kind: int, flips: list[tuple[float, int]], cut: float) -> None:
    packed = PACKED[kind]
    data = bytearray(packed)
    for place, byte in flips:
        data[int(place * (len(data) - 1))] = byte
    if not flips:
        del data[int(cut * len(data)) :]
    records, reading = read(bytes(data))
    assert reading.records - reading.unreadable == len(records)
    if not flips and len(data) < len(packed):
        # A tar ends with zero bytes, of which some may go.
        assert reading.diagnostics or (kind == 4 and len(records) == 120)


# Packings


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
def test_compressed(pack: Callable[[bytes], bytes], tmp_path: Path) -> None:
    path = tmp_path / "no suffix needed"
    path.write_bytes(pack(THREE) + pack(THREE) + bytes(700))
    reading = read_events(path)
    assert [(x.event, x.source, x.number) for x in reading] == [
        (event, str(path), number) for number, event in enumerate((A, B, C, A, B, C), 1)
    ]
    assert reading.diagnostics == ()
    assert reading.bytes_read == path.stat().st_size


@pytest.mark.parametrize("seekable", [True, False])
def test_archives_name_their_members(seekable: bool, tmp_path: Path) -> None:
    inner = zip_of({"x.json": THREE}, zipfile.ZIP_BZIP2)
    long = "folder/" * 40 + "ü.json"
    members = {"b.json": THREE, "a.json.gz": gzip.compress(THREE), "in.zip": inner, long: THREE}
    for archive in (
        zip_of(members),
        zip_of(members, zipfile.ZIP_STORED),
        tar_of(members),
        tar_of(members, tarfile.GNU_FORMAT),
        gzip.compress(tar_of(members)),
        bz2.compress(zip_of(members)),
    ):
        path = tmp_path / "e"
        path.write_bytes(archive)
        reading = (
            read_events(path)
            if seekable
            else read_events("-", stdin=io.BufferedReader(Pipe(archive, 999)))
        )
        name = str(path) if seekable else "-"
        records = list(reading)
        assert [x.number for x in records] == [1, 2, 3] * 4
        assert list(dict.fromkeys(x.source for x in records)) == [
            f"{name}!b.json",
            f"{name}!a.json.gz",
            f"{name}!in.zip!x.json",
            f"{name}!{long}",
        ]
        assert reading.diagnostics == ()
        assert reading.sources == 4


def test_tar_with_folders_links_and_sparse_files() -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, kind, target in [("d", tarfile.DIRTYPE, ""), ("l", tarfile.SYMTYPE, "x.json")]:
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, target
            archive.addfile(info)
        info = tarfile.TarInfo("x.json")
        info.size = len(THREE)
        archive.addfile(info, io.BytesIO(THREE))
        info = tarfile.TarInfo("sparse")
        info.type = tarfile.GNUTYPE_SPARSE
        archive.addfile(info)
        info = tarfile.TarInfo("y.json")
        info.size = len(THREE)
        archive.addfile(info, io.BytesIO(THREE))
    records, reading = read(out.getvalue())
    assert [x.source for x in records] == ["-!x.json"] * 3 + ["-!y.json"] * 3
    assert [(x.code.id, x.where) for x in reading.diagnostics] == [("CE501", "-!sparse")]


def test_tars_put_together() -> None:
    records, reading = read(tar_of({"a": THREE}) + tar_of({"b": THREE}))
    assert [x.source for x in records] == ["-!a"] * 3 + ["-!b"] * 3
    assert reading.diagnostics == ()


def test_stubs_are_left_out_and_named() -> None:
    members = {"x.json": THREE, "__MACOSX/._x.json": b"\0\5\x16\7", "a/.DS_Store": b"", "._y": b""}
    for archive in (zip_of(members), tar_of(members)):
        records, reading = read(archive)
        assert len(records) == 3
        assert [(x.code.id, x.where) for x in reading.diagnostics] == [
            ("CE508", "-!__MACOSX/._x.json"),
            ("CE508", "-!a/.DS_Store"),
            ("CE508", "-!._y"),
        ]


NOISE = random.Random(1)
LONG = b"".join(b'{"n":%d,"x":"%x"}\n' % (n, NOISE.getrandbits(200)) for n in range(10_000))


def test_what_comes_before_damage_is_kept() -> None:
    packed = bytearray(gzip.compress(LONG))
    packed[len(packed) // 2] ^= 0xFF
    records, reading = read(bytes(packed))
    events = [x.event["n"] for x in records]
    assert events[:4500] == list(range(4500))
    assert "CE501" in said(reading)

    small_blocks = bz2.compress(LONG, 1)
    for cut in (gzip.compress(LONG), small_blocks, lzma.compress(LONG)):
        records, reading = read(cut[: len(cut) * 3 // 4])
        assert 4_000 < len(records) < 10_000
        assert said(reading)[-1] == "CE501" or said(reading)[0] == "CE501"

    wrong_sum = bytearray(gzip.compress(LONG))
    wrong_sum[-6] ^= 0xFF
    records, reading = read(bytes(wrong_sum))
    assert (len(records), said(reading)) == (10_000, ["CE501"])


def test_damage_in_one_member_does_not_touch_the_next() -> None:
    archive = bytearray(zip_of({"a": THREE, "b": THREE}, zipfile.ZIP_STORED))
    at = archive.index(b'"EventID":3')
    archive[at + 1] ^= 1
    records, reading = read(bytes(archive))
    assert [x.source for x in records] == ["-!a"] * 3 + ["-!b"] * 3
    assert [(x.code.id, x.where) for x in reading.diagnostics] == [("CE501", "-!a")]

    damaged = bytearray(gzip.compress(THREE))
    damaged[15] ^= 0xFF
    records, reading = read(tar_of({"a.gz": bytes(damaged), "b": THREE}))
    assert [x.source for x in records][-3:] == ["-!b"] * 3
    assert "CE501" in said(reading)


def test_damage_is_said_once() -> None:
    packed = gzip.compress(tar_of({"a": LONG, "b": THREE}))
    _, reading = read(packed[: len(packed) // 2])
    assert said(reading).count("CE501") == 1


def _nameless() -> bytes:
    archive = bytearray(zip_of({"a": THREE}))
    archive[archive.index(b"PK\1\2") + 46] = 0
    return bytes(archive)


def _encrypted() -> bytes:
    archive = bytearray(zip_of({"a": THREE, "b": THREE}))
    archive[6] |= 1  # the flag of the first member, in its header and in the directory
    archive[archive.index(b"PK\1\2") + 8] |= 1
    return bytes(archive)


def _method(method: int) -> bytes:
    archive = bytearray(zip_of({"a": THREE, "b": THREE}))
    archive[archive.index(b"PK\1\2") + 10] = method
    return bytes(archive)


def _lzma_window() -> bytes:
    """An xz header that asks for a 1.5 GiB window."""
    filters = [{"id": lzma.FILTER_LZMA2, "dict_size": 1 << 16}]
    packed = bytearray(lzma.compress(THREE, filters=filters))
    at = packed.index(b"\x21\x01", 12) + 2
    packed[at] = 38
    header = packed[12 : 12 + (packed[12] + 1) * 4 - 4]
    packed[12 + len(header) : 16 + len(header)] = zlib.crc32(header).to_bytes(4, "little")
    return bytes(packed)


def _pax_chain() -> bytes:
    info = tarfile.TarInfo("x")
    info.type = tarfile.XHDTYPE
    return info.tobuf() * 5000 + bytes(1024)


BAD_ARCHIVES: dict[str, tuple[bytes, int, list[str]]] = {
    "encrypted member": (_encrypted(), 3, ["CE501"]),
    "unknown zip method": (_method(9), 3, ["CE501"]),
    "zip member without a name": (_nameless(), 3, []),
    "zip cut off": (zip_of({"a": THREE})[:-30], 0, ["CE501"]),
    "zip of nothing": (zip_of({}), 0, ["CE506"]),
    "zip with empty member": (zip_of({"a": b"", "b": THREE}), 3, ["CE506"]),
    "gzip of nothing": (gzip.compress(b""), 0, ["CE506"]),
    "gzip header only": (gzip.compress(THREE)[:10], 0, ["CE501"]),
    "gzip and more": (gzip.compress(THREE) + b"rubbish", 3, ["CE501"]),
    "gzip of binary": (gzip.compress(bytes(range(256))), 0, ["CE506"]),
    "tar cut in a member": (tar_of({"a": THREE, "b": THREE})[:1050], 3, ["CE501"]),
    "tar cut between": (tar_of({"a": THREE, "b": THREE})[:1024], 3, ["CE501"]),
    "tar with a bad header": (
        tar_of({"a": THREE})[:1024] + b"x" * 512 + bytes(1024),
        3,
        ["CE501"],
    ),
    "huge window": (_lzma_window(), 0, ["CE501"]),
    "chain of headers": (_pax_chain(), 0, ["CE506"]),
    "only stubs": (zip_of({"._a": THREE}), 0, ["CE508"]),
}


@pytest.mark.parametrize("case", BAD_ARCHIVES)
def test_bad_archives(case: str) -> None:
    data, events, expected = BAD_ARCHIVES[case]
    records, reading = read(data)
    assert len(records) == events
    assert sorted(said(reading)) == expected
    if case.startswith("encrypted"):
        assert "encrypted" in reading.diagnostics[0].message


# Limits


def test_large_records_are_skipped_without_being_held() -> None:
    large = b'{"a":"' + b"x" * 8_000_000 + b'"}'
    limits = Limits(record_bytes=100_000)
    cases = {
        "lines": b"{}\n" + large + b"\n{}\n",
        "array": b"[{},\n" + large + b",\n{}]",
        "scalar": b"[{},\n" + b"1" * 8_000_000 + b",\n{}]",
        "junk": b"[{}]\n" + b"x" * 8_000_000 + b"\n{}",
    }
    for data in cases.values():
        stream = io.BufferedReader(Pipe(data, 1 << 16))
        del data
        tracemalloc.start()
        reading = read_events("-", stdin=stream, limits=limits)
        assert [x.number for x in reading] == [1, 3]
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert said(reading) == ["CE503"]
        # The pipe itself copies its 8 MB rest once a step.
        assert peak < 20_000_000
    at_limit = b'{"a":"' + b"x" * (100_000 - 8) + b'"}'
    for end in (b"\n", b"\r\n", b""):
        records, _ = read(b"{}\n" + at_limit + end, limits)
        assert len(records) == 2


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    path = tmp_path / "x.json.gz"
    for before, line, after in [
        (b"", b'{"a":1,"b":[{}],"c":"%s"}\n' % (b"x" * 99), b""),
        (b"[{}", b',{"a":[{},{}],"c":"%s"}' % (b"x" * 99), b"]"),
    ]:
        with gzip.open(path, "wb", compresslevel=1) as file:
            file.write(before)
            for _ in range(20):
                file.write(line * 5000)
            file.write(after)
        tracemalloc.start()
        reading = read_events(path, limits=Limits(expansion=10_000))
        assert sum(1 for _ in islice(reading, 30_000)) == 30_000
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        reading.close()
        assert peak < 4_000_000


def test_bombs_are_refused_with_their_ratio() -> None:
    bomb = b'{"a":"%s"}\n' % (b"x" * 90) * 30_000
    limits = Limits(expansion=100, expansion_floor=1_000_000)
    packings = [
        gzip.compress(bomb),
        bz2.compress(bomb),
        lzma.compress(bomb),
        zip_of({"a": bomb, "b": THREE}),
        zip_of({"in.zip": zip_of({"a": bomb})}),
    ]
    for packed in packings:
        records, reading = read(packed, limits)
        assert len(records) < 30_000
        (finding,) = [x for x in reading.diagnostics if x.code is codes.EXPANSION_LIMIT]
        assert "100" in finding.message
        assert finding.where == "-"
    _, reading = read(packings[0], Limits(total_bytes=1_000_000))
    assert "CE505" in said(reading)
    _, reading = read(gzip.compress(zip_of({"a": LONG})), Limits(spool_bytes=1000))
    assert said(reading) == ["CE505"]


def test_overlapping_members_are_read_once() -> None:
    """One member, listed a thousand times in the directory."""
    archive = zip_of({"a": (b" " * 99 + b"{}\n") * 10_000})
    at = archive.index(b"PK\1\2")
    end = archive.index(b"PK\5\6")
    tail = bytearray(archive[end:])
    tail[8:12] = (1000).to_bytes(2, "little") * 2
    tail[12:16] = (1000 * (end - at)).to_bytes(4, "little")
    hostile = archive[:at] + archive[at:end] * 1000 + bytes(tail)
    _, reading = read(hostile, Limits(expansion=50, expansion_floor=1_000_000))
    assert reading.records == 10_000
    first, *_, rest = reading.diagnostics
    assert first.code.id == "CE501"
    assert "shares its bytes with another member" in first.message
    shown = said(reading).count("CE501")
    assert rest.code.id == "CE509"
    assert f"{999 - shown} more of CE501" in rest.message


def test_nesting_and_member_limits() -> None:
    nested = THREE
    for _ in range(6):
        nested = zip_of({"in": nested}, zipfile.ZIP_STORED)
    records, reading = read(nested)
    assert (len(records), said(reading)) == (3, [])
    records, reading = read(zip_of({"in": nested}))
    assert (len(records), said(reading)) == (0, ["CE505"])

    many = {f"{n}.json": THREE for n in range(12)}
    for archive in (zip_of(many), tar_of(many)):
        records, reading = read(archive, Limits(members=10))
        assert (len(records), said(reading)) == (30, ["CE505"])
    crowd = zip_of({f"{n}{'x' * 900}": b"" for n in range(12)})
    records, reading = read(crowd, Limits(members=10))
    assert (len(records), said(reading)) == (0, ["CE505"])


def test_depth_limit() -> None:
    limits = Limits(json_depth=3)
    for lines in (True, False):
        texts = [b'{"a":[[]]}', b'{"a":[[[]]]}', b'{"a":"[[[[["}', b'{"a":"\\"[[[[["}']
        data = b"\n".join(texts) if lines else b"[" + b",\n".join(texts) + b"]"
        records, reading = read(data, limits)
        assert [x.number for x in records] == [1, 3, 4]
        assert "deeper than 3" in reading.diagnostics[0].message


def test_limits_are_checked() -> None:
    with pytest.raises(ValueError, match="record_bytes"):
        Limits(record_bytes=0)


# Paths


def test_folders_in_order_with_links(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "2.json").write_bytes(THREE)
    (tmp_path / "b" / "loop").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "b" / "self").symlink_to("self")
    (tmp_path / "a.json").write_bytes(THREE)
    (tmp_path / "c").symlink_to("b", target_is_directory=True)
    (tmp_path / "d.json").symlink_to("a.json")
    (tmp_path / "._d.json").write_bytes(b"")
    (tmp_path / "gone").symlink_to("nowhere")
    os.mkfifo(tmp_path / "pipe")
    reading = read_events(tmp_path)
    sources = list(dict.fromkeys(x.source for x in reading))
    assert sources == [str(tmp_path / x) for x in ("a.json", "b/2.json", "d.json")]
    where = {(x.code.id, Path(x.where).name) for x in reading.diagnostics}
    assert where == {
        ("CE504", "loop"),
        ("CE504", "c"),
        ("CE501", "self"),
        ("CE501", "gone"),
        ("CE508", "._d.json"),
        ("CE508", "pipe"),
    }


def test_deep_folders(tmp_path: Path) -> None:
    deep = tmp_path
    for _ in range(300):
        deep = deep / "d"
    deep.mkdir(parents=True)
    (deep / "x.json").write_bytes(THREE)
    assert len(list(read_events(tmp_path))) == 3


def test_paths_that_cannot_be_read(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.write_bytes(THREE)
    closed.chmod(0)
    good = tmp_path / "good"
    good.write_bytes(THREE)
    bad: list[str | Path] = [tmp_path / "missing", "", "nul\0byte", good / "below"]
    with pytest.raises(FileNotFoundError) as caught:
        read_events(*bad, good, "-")
    assert isinstance(caught.value, PathNotFoundError)
    assert [item.code.id for item in caught.value.diagnostics] == ["CE501"] * 4
    reading = read_events(*bad, good, must_exist=False)
    assert len(list(reading)) == 3
    assert said(reading) == ["CE501"] * 4
    if os.geteuid() != 0:
        assert said_after(read_events(closed)) == ["CE501"]


def said_after(reading: Reading) -> list[str]:
    for _ in reading:
        pass
    return said(reading)


def test_file_names_that_are_no_text(tmp_path: Path) -> None:
    try:
        (Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.json"))).write_bytes(THREE)
    except OSError:
        pytest.skip("the file system takes text only")
    (record, *_) = read_events(tmp_path)
    assert record.source.encode().endswith(b"\\xff.json")


def test_a_stream_that_fails() -> None:
    class Failing(io.RawIOBase):
        left = 100

        def readable(self) -> bool:
            return True

        def readinto(self, buffer: Any) -> int:
            self.left -= 1
            if not self.left:
                raise OSError(5, "Input/output error")
            buffer[:14] = THREE[:14]
            return 14

    reading = read_events("-", stdin=io.BufferedReader(Failing(), 14))
    assert len(list(reading)) == 99
    assert said(reading) == ["CE501"]


def test_reading_is_an_iterator_and_counts_as_it_goes(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_bytes(THREE)
    with read_events(path, path) as reading:
        assert next(reading) == Record(A, str(path), 1)
        assert reading.records == 1
        assert sum(1 for _ in reading) == 5
        assert (reading.records, reading.sources) == (6, 2)
    assert list(read_events()) == []


# Real files


def _independent(path: Path) -> int:
    """JSON objects and rows of Zeek's tables, a line each, in an archive's members, counted with
    other code."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            texts = [archive.read(x) for x in archive.infolist()]
    else:
        with tarfile.open(path) as tar:
            files = [tar.extractfile(x) for x in tar]
            texts = [x.read() for x in files if x is not None]
    texts = [text for text in texts if b"\0" not in text]  # one is a capture
    tables = [text for text in texts if text.startswith(b"#separator")]
    number = sum(line.startswith(b"{") for text in texts for line in text.split(b"\n"))
    rows = (line for text in tables for line in text.split(b"\n") if line)
    return number + sum(not line.startswith(b"#") for line in rows)


def _archives() -> list[Path]:
    found = [
        path
        for folder in ("mordor", "mordor-2019", "zeek")
        for path in sorted((SHARED / folder).glob("*"))
        if path.suffix in (".zip", ".gz")
    ]
    # The large ones take some seconds and much memory to count; CARENGINE_ALL_EVIDENCE=1 reads
    # them.
    everything = "CARENGINE_ALL_EVIDENCE" in os.environ
    return [path for path in found if everything or path.stat().st_size < 350_000]


@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared evidence is not here")
def test_real_archives() -> None:
    for path in _archives():
        reading = read_events(path)
        assert sum(1 for _ in reading) == _independent(path), path
        assert reading.unreadable == 0
        assert reading.bytes_read <= path.stat().st_size


@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared evidence is not here")
def test_real_event_logs() -> None:
    evtx = pytest.importorskip("evtx")
    members = {x.name: x.read_bytes() for x in sorted((SHARED / "evtx").glob("*.evtx"))}
    archive = SHARED / "sigma" / "regression-data-a.tar.gz"
    if archive.exists():
        with tarfile.open(archive) as tar:
            for x in tar:
                file = tar.extractfile(x)
                if file is not None and x.name.endswith(".evtx"):
                    members[x.name] = file.read()
    expected = []
    for data in members.values():
        expected += [
            json.loads(x["data"]) for x in evtx.PyEvtxParser(io.BytesIO(data)).records_json()
        ]
    with read_events(SHARED / "evtx", archive, include=["*.evtx"]) as reading:
        found = [record.event for record in reading]
    assert found == expected
    assert len(found) >= 100
    assert (reading.records, reading.unreadable) == (len(found), 0)
    assert set(reading.found) <= {codes.SKIPPED_FILE}


@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared evidence is not here")
def test_real_documents_and_captures() -> None:
    documents = sorted((SHARED / "car" / "true_positives").glob("*.json"))
    for path in documents:
        (record,) = read_events(path)
        assert record.event == json.loads(path.read_bytes())
    reading = read_events(SHARED / "mordor" / "schtask_create.zip")
    assert list(reading) == []
    assert [(x.code.id, "pcapng" in x.message) for x in reading.diagnostics] == [("CE506", True)]
