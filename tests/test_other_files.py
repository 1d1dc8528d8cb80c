"""Files that lie beside evidence: passed over and counted in a folder, told where they are named."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest

from carengine import read_events
from carengine.cli import main
from carengine.diagnostics import codes

SHARED = Path(__file__).parents[1].parent / "shared"
EVENT = b'{"Channel": "Security", "EventID": 4624}\n'
OTHERS: dict[str, bytes] = {
    "a.ps1": b"Write-Host {hello}\n$x = @{a=1}\n",
    "wide.ps1": "Write-Host 1\r\n".encode("utf-16"),
    "b.sh": b"#!/bin/sh\n{ echo hi; }\n",
    "c.py": b"import os\n",
    "packed.bat.gz": b"\x1f\x8b\x08\0\0\0\0\0\0\x03\x03\0\0\0\0\0\0\0\0\0",
    "rule.yml": b"title: x\nlogsource:\n  product: windows\n",
    "rule.YAML": b"a=1 b=2 c=3\n",
    "flow.yml": b"{title: x}\n",
    "table.md": b"| a | b |\n| --- | --- |\n| 1 | 2 |\n",
    "notes.md": b"# Title\n\n[1]\n",
    "page.html": b"<!DOCTYPE html><html></html>",
    "drawing.svg": b"<svg xmlns='x'></svg>",
    "report.docx": b"PK\3\4 no archive",
    "picture.png": b"\x89PNG\r\n\x1a\n" + bytes(40),
    "picture": b"GIF89a" + bytes(20),
    "photo.webp": b"RIFF" + bytes(40),
    "paper": b"%PDF-1.4\n",
    "tool.exe": b"MZ" + bytes(90),
    "tool": b"\x7fELF" + bytes(90),
    "table.toml": b'[[tool]]\nname = "x"\n',
    "settings.ini": b"[x]\ny=1\n",
    "empty.css": b"",
}


@pytest.mark.parametrize("name", OTHERS)
def test_a_folder_passes_them_over(name: str, tmp_path: Path) -> None:
    (tmp_path / "events.jsonl").write_bytes(EVENT)
    (tmp_path / name).write_bytes(OTHERS[name])
    with read_events(tmp_path) as reading:
        assert len(list(reading)) == 1
    [said] = reading.diagnostics
    assert (said.code, said.origin) == (codes.SKIPPED_FILE, str(tmp_path))
    assert name in said.message
    assert (reading.records, reading.unreadable) == (1, 0)


def test_they_are_counted_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "in").mkdir()
    for name, data in OTHERS.items():
        (tmp_path / "in" / name).write_bytes(data)
    (tmp_path / "in" / "events.jsonl").write_bytes(EVENT)
    rule = tmp_path / "r.car"
    rule.write_text('p = search Authentication:Success where user = "x"\noutput p\n')
    assert main(["hunt", "-r", str(rule), str(tmp_path / "in")]) == 0
    shown = capsys.readouterr().err
    assert f"has {len(OTHERS)} files that no program writes events to" in shown
    assert "warning" not in shown
    assert shown.count("CE508") == 1


def test_an_archive_does_so_too() -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("logs/events.jsonl", EVENT)
        for name, data in OTHERS.items():
            archive.writestr(f"tools/{name}", data)
    reading = read_events("-", stdin=io.BytesIO(packed.getvalue()))
    assert len(list(reading)) == 1
    [said] = reading.diagnostics
    assert (said.code, f"has {len(OTHERS)} files" in said.message) == (codes.SKIPPED_FILE, True)


@pytest.mark.parametrize("name", ["picture.png", "paper", "tool.exe", "empty.css", "drawing.svg"])
def test_one_that_is_named_is_told(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(OTHERS[name])
    reading = read_events(path)
    assert list(reading) == []
    [said] = reading.diagnostics
    assert (said.code, said.origin) == (codes.NOT_EVIDENCE, str(path))
    assert main(["hunt", "-q", str(path)]) == 3


@pytest.mark.parametrize("include", [["*.ps1"], ["a.*"]])
def test_one_that_is_asked_for_is_read(include: list[str], tmp_path: Path) -> None:
    (tmp_path / "a.ps1").write_bytes(b"one\ntwo\n")
    (tmp_path / "b.png").write_bytes(OTHERS["picture.png"])
    (tmp_path / "c.docx").write_bytes(OTHERS["report.docx"])
    (tmp_path / "d.jsonl").write_bytes(b"")
    with read_events(tmp_path, include=include) as reading:
        assert [record.event["message"] for record in reading] == ["one", "two"]
    assert set(reading.found) == {codes.SKIPPED_FILE}


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("export.yml", EVENT),
        ("export.py", EVENT * 2),
        ("export.conf", b"[\n " + EVENT.strip() + b",\n " + EVENT + b"]\n"),
        ("audit.cfg", b"type=CWD msg=audit(1716191921.123:24): cwd=/\n"),
        ("events.html", b"<Events><Event><System><EventID>1</EventID></System></Event></Events>"),
        ("x.conf", b"CEF:0|a|b|1|2|c|3|src=10.0.0.1\n"),
    ],
)
def test_clear_content_is_read_whatever_its_name(name: str, data: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(data)
    with read_events(tmp_path) as reading:
        assert list(reading)
    assert not reading.diagnostics


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("capture.dat", b"\n\r\r\n\xc4\0\0\0M<+\x1a" + bytes(99)),
        ("broken.json", b'{"a": '),
        ("unknown.bin", bytes(range(256)) * 9),
        ("other.xml", b"<?xml version='1.0'?>\n<Items/>"),
    ],
)
def test_what_may_be_evidence_is_a_warning(name: str, data: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(data)
    reading = read_events(tmp_path)
    assert list(reading) == []
    assert set(reading.found) <= {codes.NOT_EVIDENCE, codes.UNREADABLE_RECORD}
    assert reading.found


@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared evidence is not here")
def test_the_case_from_practice() -> None:
    with read_events(SHARED / "cases" / "evidence" / "include") as reading:
        assert len(list(reading)) == 1
    assert set(reading.found) == {codes.SKIPPED_FILE}
