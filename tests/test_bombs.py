"""Small archives that unpack to more than anyone can read.

Each is made here, lies beside a file with one event, and is stopped by the ratio of what reading it
costs to what was read of it: it is named in the account, few records of it are read, and the file
behind it is read. The floor of the limits is set low, so that the bombs are small.
"""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import random
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from carengine.cli import main
from carengine.readers import Limits, Reading, read_events

FLOOR = 1 << 18
LIMITS = Limits(expansion_floor=FLOOR)
LATER = b'{"later": 1}\n'
SIZE = 4_000_000


def zip_of(members: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return packed.getvalue()


def tar_of(members: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return packed.getvalue()


def header(kind: bytes, size: int = 0) -> bytes:
    info = tarfile.TarInfo("x")
    info.type, info.size = kind, size
    return info.tobuf()


def of(unit: bytes, start: bytes = b"", size: int = SIZE) -> bytes:
    return start + unit * (size // len(unit))


def nested(inner: bytes, name: str, across: int, layers: int) -> bytes:
    """The kind of 42.zip: in each archive some copies of the one below."""
    packed = zip_of({name: inner})
    for _ in range(layers):
        packed = zip_of({f"{number}.zip": packed for number in range(across)})
    return packed


def overlapping(raw: bytes, members: int) -> bytes:
    """David Fifield's archive: each member quotes the header of the next in a block of its own that
    is not compressed, and goes on with the same compressed bytes. Nothing is packed twice."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    kernel = packer.compress(raw) + packer.flush()
    quoted, data, directory = b"", kernel, b""
    whole, packed = raw, len(kernel)
    heads: list[tuple[bytes, bytes]] = []
    for number in reversed(range(members)):
        if quoted:
            data = b"\0" + struct.pack("<HH", len(quoted), len(quoted) ^ 0xFFFF) + data
            whole, packed = quoted + whole, packed + 5 + len(quoted)
        name = b"%05d.json" % number
        told = struct.pack(
            "<HHHHHIIIHH", 20, 0, 8, 0, 33, zlib.crc32(whole), packed, len(whole), len(name), 0
        )
        quoted = b"PK\3\4" + told + name
        data = quoted + data
        heads.append((told, name))
    at = 0
    for told, name in reversed(heads):
        directory += b"PK\1\2\x14\0" + told + struct.pack("<HHHII", 0, 0, 0, 0, at) + name
        at += 30 + len(name) + 5
    end = struct.pack("<HHHHIIH", 0, 0, members, members, len(directory), len(data), 0)
    return data + directory + b"PK\5\6" + end


def zstandard_of(data: bytes) -> bytes:
    packer = pytest.importorskip("zstandard").ZstdCompressor(level=9)
    packed: bytes = packer.compress(data)
    return packed


UNITS = {
    "empty objects": of(b"{}"), "lines of empty objects": of(b"{}\n"), "numbers": of(b"1\n"),
    "brackets": of(b"["), "lines of brackets": of(b"[[[\n"), "arrays": of(b"[],", b"["),
    "lines of arrays": of(b"[1]\n"), "texts": of(b'""\n'), "nulls": of(b"null\n"),
    "an array of numbers": of(b"1,", b"[{},"), "records of numbers": of(b"1,", b'{"Records":['),
    "an array of objects": of(b"{},", b"["), "small events": of(b'{"EventID":1}\n'),
    "zeros": bytes(SIZE), "line ends": of(b"\n"), "nesting": of(b'{"a":'),
    "empty XML events": of(b"<Event/>", b"<Events>"),
    "XML events": of(b"<Event><System/></Event>", b"<Events>"),
    "a table": of(b",,\n", b"EventID,Channel,b\n"),
    "syslog": of(b"<13>Jan  1 00:00:00 h t: m\n"), "CEF": of(b"CEF:0|a|b|c|d|e|1|\n"),
    "a Zeek log": of(b"1\t1\n", b"#separator \\x09\n#fields\tts\tid.orig_h\n#types\ttime\taddr\n"),
    "UTF-16": of("{}\n".encode("utf-16-le")),
    "evtx_dump": of(b"Record 1\n{}\n"), "audit": of(b"type=A msg=audit(1.1:1): a=1\n"),
}  # fmt: skip

PACKINGS: dict[str, Callable[[bytes], bytes]] = {
    "gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress, "zst": zstandard_of,
    "gz.gz": lambda data: gzip.compress(gzip.compress(data)),
    "zip": lambda data: zip_of({"a": data}),
    "tar.gz": lambda data: gzip.compress(tar_of({"a": data})),
    "tar": lambda data: tar_of({"a.gz": gzip.compress(data)}),
    "zip.zip": lambda data: zip_of({"a.zip": zip_of({"a": data})}),
    "many.zip": lambda data: zip_of({str(number): data for number in range(4)}),
}  # fmt: skip

ARCHIVES: dict[str, Callable[[], bytes]] = {
    "zip 42": lambda: nested(of(b"{}\n"), "a", 16, 4),
    "zip 42 of numbers": lambda: nested(of(b"1\n"), "a", 16, 4),
    "zip 42 of small files": lambda: nested(b"{}", "a", 16, 3),
    "zip 42 of zeros": lambda: nested(bytes(SIZE), "a", 16, 4),
    "one above the other": lambda: overlapping(of(b"{}\n"), 500),
    "one above the other, of numbers": lambda: overlapping(of(b"1\n"), 500),
    "folders in a tar": lambda: gzip.compress(header(b"5") * 20_000),
    "links in a tar": lambda: gzip.compress(header(b"2") * 20_000),
    "long names in a tar": lambda: gzip.compress((header(b"L", 512) + b"x" * 512) * 9_000),
    "attributes in a tar": lambda: gzip.compress((header(b"x", 512) + b"8 a=bcd\n" * 64) * 9_000),
    "a member of terabytes": lambda: gzip.compress(header(b"0", 1 << 40) + bytes(1 << 20)),
    "many files in a tar": lambda: gzip.compress(header(b"0") * 9_000),
    "many streams": lambda: gzip.compress(gzip.compress(b"") * 50_000),
    "many streams of events": lambda: gzip.compress(gzip.compress(b"{}\n") * 50_000),
    "zeros behind an archive": lambda: gzip.compress(tar_of({"a": b"{}"}) + bytes(SIZE)),
    "a bomb behind an honest log": lambda: zip_of({"a": honest(900), "b": of(b"1\n")}),
}  # fmt: skip


def honest(lines: int, seed: int = 1) -> bytes:
    chance = random.Random(seed)
    return b"".join(
        b'{"EventID":%d,"Computer":"ws%d","ProcessId":%d,"CommandLine":"cmd.exe /c dir"}\n'
        % (chance.choice((1, 3, 11)), chance.randrange(9), chance.randrange(9999))
        for _ in range(lines)
    )


def read_beside(folder: Path, bomb: bytes) -> tuple[int, Reading]:
    """How many records of the bomb were met, and what is said; the file behind it is read."""
    (folder / "a.bomb").write_bytes(bomb)
    (folder / "b.jsonl").write_bytes(LATER)
    reading = read_events(folder, limits=LIMITS)
    assert sum("later" in record.event for record in reading) == 1
    return reading.records - 1, reading


def stopped(reading: Reading) -> list[str]:
    return [item.where for item in reading.diagnostics if item.code.id == "CE505"]


@pytest.mark.parametrize("content", UNITS)
@pytest.mark.parametrize("packing", ["gz", "zip"])
def test_whatever_it_is_filled_with(content: str, packing: str, tmp_path: Path) -> None:
    records, reading = read_beside(tmp_path, PACKINGS[packing](UNITS[content]))
    # A binary member of an archive is no evidence, and passed over as far as the ratio goes.
    assert stopped(reading) or content == "zeros"
    # One piece of what is unpacked is read before it is weighed.
    assert records <= FLOOR // 72 + (1 << 18) // 2


@pytest.mark.parametrize("packing", PACKINGS)
@pytest.mark.parametrize("content", ["lines of empty objects", "numbers"])
def test_however_it_is_packed(content: str, packing: str, tmp_path: Path) -> None:
    records, reading = read_beside(tmp_path, PACKINGS[packing](UNITS[content]))
    assert stopped(reading) == [str(tmp_path / "a.bomb")]
    assert records <= FLOOR // 72 + (1 << 18) // 2


@pytest.mark.parametrize("archive", ARCHIVES)
def test_archives_made_to_expand(archive: str, tmp_path: Path) -> None:
    records, reading = read_beside(tmp_path, ARCHIVES[archive]())
    assert stopped(reading) == [str(tmp_path / "a.bomb")]
    assert records <= 900 + FLOOR // 72 + 2 * (1 << 18)


def test_members_one_above_the_other_are_named(tmp_path: Path) -> None:
    records, reading = read_beside(tmp_path, overlapping(honest(2_000), 30))
    assert records == 0 or records == 2_000
    assert reading.found
    assert any("shares its bytes" in item.message for item in reading.diagnostics)


def test_several_processes_stop_as_well(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bombs = {
        "a.gz": gzip.compress(of(b"1,", b"[{},", 9_000_000)),
        "b.zip": nested(of(b"{}\n", size=9_000_000), "a", 16, 2),
        "c.zip": overlapping(of(b"[1]\n", size=9_000_000), 20),
    }
    for name, data in bombs.items():
        (tmp_path / name).write_bytes(data)
    (tmp_path / "z.jsonl").write_bytes(LATER)
    (tmp_path / "r.car").write_text('a = search Process:Create where exe = "x"\noutput a\n')
    paths = [str(tmp_path / name) for name in (*bombs, "z.jsonl")]
    main(["hunt", *paths, "-r", str(tmp_path / "r.car"), "--jobs", "2"])
    said = capsys.readouterr().err.splitlines()
    refused = {place for line, place in pairwise(said) if line.startswith("error[CE505]")}
    assert refused == {f" --> {path}" for path in paths[:-1]}


@pytest.mark.parametrize(
    "data",
    [
        lambda: gzip.compress(honest(20_000)),
        # A log of one source that says little else.
        lambda: gzip.compress(b"".join(json.dumps({"EventID": 4625, "n": n}).encode() + b"\n" for n in range(20_000))),
        # Four copies of one log: all but the first pack into nothing.
        lambda: lzma.compress(tar_of({f"{n}.jsonl": honest(9_000) for n in range(4)})),
        # The files of a machine that had little to say, and then one that had.
        lambda: zip_of({**{f"{n}.jsonl": honest(1) * 9 for n in range(300)}, "z.jsonl": honest(9_000)}),
        # A log that begins with a long quiet stretch.
        lambda: gzip.compress(b'{"EventID":1,"Message":"nothing to report at this time"}\n' * 1_500 + honest(9_000)),
    ],
)  # fmt: skip
def test_honest_logs_are_read_whole(data: Callable[[], bytes], tmp_path: Path) -> None:
    _, reading = read_beside(tmp_path, data())
    assert not stopped(reading)
    assert reading.unreadable == 0


def seven_zip_of(data: bytes) -> bytes:
    packed = io.BytesIO()
    with pytest.importorskip("py7zr").SevenZipFile(packed, "w") as archive:
        archive.writestr(data, "a.jsonl")
    return packed.getvalue()


@pytest.mark.parametrize("content", ["lines of empty objects", "numbers"])
def test_what_a_7z_archive_is_filled_with(content: str, tmp_path: Path) -> None:
    records, reading = read_beside(tmp_path, seven_zip_of(UNITS[content]))
    assert stopped(reading) == [str(tmp_path / "a.bomb")]
    assert records <= FLOOR // 72 + (1 << 18) // 2


def test_a_7z_archive_larger_than_what_is_read_at_first(tmp_path: Path) -> None:
    chance = random.Random(7)
    lines = [b'{"EventID":1,"Guid":"%032x"}\n' % chance.getrandbits(128) * 4 for _ in range(50_000)]
    path = tmp_path / "a.7z"
    path.write_bytes(seven_zip_of(b"".join(lines)))
    assert path.stat().st_size > 1 << 18
    reading = read_events(path, limits=Limits(expansion=100))
    assert sum(1 for _ in reading) == 200_000
    assert not stopped(reading)
