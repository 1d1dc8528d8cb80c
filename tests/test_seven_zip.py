"""7z archives: their members, and what hostile ones may not cost."""

from __future__ import annotations

import gzip
import io
import random
from pathlib import Path

import pytest

from carengine import Limits, Reading, read_events
from carengine.readers import seven_zip
from evidence_forms import seven_zip_of

pytest.importorskip("py7zr")

LINES = b"".join(b'{"EventID": %d, "text": "%s"}\n' % (n, b"abc" * (n % 7)) for n in range(200))


def read(data: bytes, **given: object) -> tuple[list[tuple[str, int]], Reading]:
    reading = read_events("-", stdin=io.BytesIO(data), **given)  # type: ignore[arg-type] # any option
    return [(record.source, record.number) for record in reading], reading


def said(reading: Reading) -> list[str]:
    return [f"{item.code.id} {item.where} {item.message}" for item in reading.diagnostics]


def test_members_come_in_order_from_a_file_and_from_within(tmp_path: Path) -> None:
    members = {"b/x.json": LINES, "a.json": b'{"EventID": 1}\n', "empty.json": b""}
    data = seven_zip_of(members)
    (tmp_path / "x.7z").write_bytes(data)
    expected = [("b/x.json", n) for n in range(1, 201)] + [("a.json", 1)]
    for path, head in ((tmp_path / "x.7z", f"{tmp_path}/x.7z!"),):
        with read_events(path) as reading:
            found = [(r.source.removeprefix(head), r.number) for r in reading]
        assert found == expected
    records, reading = read(gzip.compress(seven_zip_of({"inner.7z": data})))
    assert [(s.removeprefix("-!inner.7z!"), n) for s, n in records] == expected
    assert reading.unreadable == 0


def test_a_format_is_told_by_content(tmp_path: Path) -> None:
    (tmp_path / "x.log").write_bytes(seven_zip_of({"x.json": LINES}))
    with read_events(tmp_path) as reading:
        assert len(list(reading)) == 200


@pytest.mark.parametrize("password", ["", "wrong", "infected"])
def test_passwords(password: str) -> None:
    records, reading = read(seven_zip_of({"x.json": LINES}, "infected"), password=password)
    assert len(records) == (200 if password == "infected" else 0)
    assert len(said(reading)) == (password != "infected")
    assert password != "" or "password" in said(reading)[0]


@pytest.mark.parametrize("name", ["../x.json", "/etc/x.json", "C:/x.json", "a/../../x.json"])
def test_names_that_lead_out(name: str) -> None:
    assert seven_zip._leads_out(name)
    data = seven_zip_of({"x" * len(name): LINES, "good.json": b"{}\n"})
    # The names of a plain header, replaced as they stand.
    import py7zr

    out = io.BytesIO()
    with py7zr.SevenZipFile(out, "w") as archive:
        archive.header_encode = False
        archive.set_encoded_header_mode(False)
        archive.writestr(LINES, "x" * len(name))
        archive.writestr(b"{}\n", "good.json")
    data = out.getvalue()
    before = ("x" * len(name)).encode("utf-16-le")
    assert data.count(before) == 1
    hostile = _with_header_crc(data.replace(before, name.encode("utf-16-le")))
    records, reading = read(hostile)
    assert records == [("-!good.json", 1)]
    assert "leads out of the archive" in said(reading)[0]


def _with_header_crc(data: bytes) -> bytes:
    """An archive whose header was changed, with the checksums that it has now."""
    import struct
    import zlib

    at, size = struct.unpack_from("<QQ", data, 12)
    header = data[32 + at : 32 + at + size]
    start = struct.pack("<QQI", at, size, zlib.crc32(header))
    return data[:8] + struct.pack("<I", zlib.crc32(start)) + start + data[32:]


def test_bombs(monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = seven_zip_of({"a.json": b'{"EventID": 1}\n', "b.json": bytes(60 << 20)})
    assert len(bomb) < 100_000
    records, reading = read(bomb, limits=Limits(expansion_floor=1 << 20))
    assert records == [("-!a.json", 1)]
    assert any("times its size" in text and text.startswith("CE505") for text in said(reading))
    records, reading = read(seven_zip_of({"a.json": LINES}), limits=Limits(spool_bytes=400))
    assert any("must be copied" in text for text in said(reading))
    many = seven_zip_of({f"{n}.json": b"{}\n" for n in range(5)})
    records, reading = read(many, limits=Limits(members=3))
    assert len(records) == 3
    assert any("more than 3 members" in text for text in said(reading))
    nested = seven_zip_of({"x.json": LINES})
    for _ in range(3):
        nested = seven_zip_of({"x.7z": nested})
    records, reading = read(nested, limits=Limits(archive_depth=2))
    assert records == []
    monkeypatch.setattr(seven_zip, "_WINDOW", 1 << 10)
    records, reading = read(seven_zip_of({"x.json": LINES}))
    assert records == []
    assert any("bytes of memory" in text for text in said(reading))


def test_damage_costs_what_follows_it() -> None:
    noise = random.Random(7)
    data = seven_zip_of({"a.json": LINES, "b.json": noise.randbytes(3000).hex().encode() + b"\n"})
    for cut in (10, 33, 100, len(data) // 2, len(data) - 5):
        records, reading = read(data[:cut])
        assert records == []
        assert said(reading)
    for place in range(0, len(data), 37):
        broken = bytearray(data)
        broken[place] ^= 0xFF
        records, reading = read(bytes(broken))
        assert said(reading) or len(records) >= 200
    records, reading = read(data)
    assert len(records) == 200
