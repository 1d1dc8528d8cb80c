"""The same three events in every form that is read, for tests of the readers.

``FORMS`` has, by name, a content and what it must give: the number of records and a check of their
events. The text in the events is awkward on purpose: quotes, separators, line ends, markup,
characters beyond ASCII.
"""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import tarfile
import zipfile
from collections.abc import Callable
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from evtx_writer import evtx_of

COMMANDS = ['cmd.exe /c "a, b" <x> & y', "größe\tt; 名前 | z", "line one\nline two ]]>"]
FLAT: list[dict[str, Any]] = [
    {"EventID": "1", "Image": f"C:\\{n}.exe", "CommandLine": text, "User": "D\\ann"}
    for n, text in enumerate(COMMANDS, 1)
]
EVENTS: list[dict[str, Any]] = [
    {
        "Event": {
            "#attributes": {"xmlns": "http://schemas.microsoft.com/win/2004/08/events/event"},
            "System": {
                "Provider": {"#attributes": {"Name": "Microsoft-Windows-Sysmon"}},
                "EventID": 1,
                "TimeCreated": {"#attributes": {"SystemTime": f"2024-05-01T10:00:0{n}.5Z"}},
                "Correlation": None,
                "Channel": "Microsoft-Windows-Sysmon/Operational",
                "Computer": "web1.example.org",
            },
            "EventData": {key: value for key, value in flat.items() if key != "EventID"},
        }
    }
    for n, flat in enumerate(FLAT)
]


def xml_of(event: dict[str, Any], *, prefix: str = "") -> str:
    """An event as Windows writes it in XML."""

    def element(name: str, value: Any, attributes: dict[str, Any] | None = None) -> str:
        attributes = dict(attributes or {})
        inner = ""
        if isinstance(value, dict):
            attributes |= value.get("#attributes", {})
            if name in ("EventData", "UserData"):
                inner = "".join(
                    element("Data", v, {"Name": k}) for k, v in value.items() if k[0] != "#"
                )
            else:
                inner = "".join(element(k, v) for k, v in value.items() if k[0] != "#")
            inner += escape(str(value.get("#text", "")))
        elif value is not None:
            inner = escape(str(value))
        marks = "".join(f" {key}={quoteattr(str(v))}" for key, v in attributes.items())
        tag = prefix + name
        return f"<{tag}{marks}>{inner}</{tag}>" if inner else f"<{tag}{marks}/>"

    return element("Event", event["Event"])


def tar_of(members: dict[str, bytes]) -> bytes:
    """A tar archive."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def zip_of(members: dict[str, bytes]) -> bytes:
    """A zip archive."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return out.getvalue()


def parquet_of(rows: list[dict[str, Any]]) -> bytes:
    """A Parquet file in row groups of two."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    out = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), out, row_group_size=2)
    return out.getvalue()


def zstandard_of(data: bytes) -> bytes:
    """A Zstandard file of two frames."""
    import zstandard

    half = len(data) // 2
    frames = [zstandard.ZstdCompressor().compress(part) for part in (data[:half], data[half:])]
    return b"".join(frames)


def seven_zip_of(members: dict[str, bytes], password: str | None = None) -> bytes:
    """A 7z archive."""
    import py7zr

    out = io.BytesIO()
    with py7zr.SevenZipFile(out, "w", password=password) as archive:
        for name, data in members.items():
            archive.writestr(data, name)
    return out.getvalue()


def _line(event: Any) -> str:
    return json.dumps(event, ensure_ascii=False)


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


LINES = "".join(_line(event) + "\n" for event in FLAT).encode()
ONE_LINE_XML = [xml_of(event).replace("\n", "&#10;") for event in EVENTS]
ZEEK = b"""#separator \\x09
#set_separator\t,
#empty_field\t(empty)
#unset_field\t-
#path\tconn
#open\t2024-05-01-10-00-00
#fields\tts\tuid\tid.orig_h\tid.orig_p\tproto\tduration\tlocal_orig\ttags\tservice
#types\ttime\tstring\taddr\tport\tenum\tinterval\tbool\tset[string]\tstring
1714557600.5\tC1\t10.0.0.1\t49152\ttcp\t0.25\tT\ta,b\\x2cc\tsmb
1714557601.0\tC2\tfe80::1\t53\tudp\t-\tF\t(empty)\t-
1714557602.0\tC3\t10.0.0.3\t445\ttcp\t1.0\tT\t-\tx\\x09y
#close\t2024-05-01-11-00-00
"""
AUDIT = b"""type=SYSCALL msg=audit(1714557600.100:7): arch=c000003e syscall=59 success=yes exit=0 ppid=1 pid=22 auid=1000 uid=0 comm="ls" exe="/usr/bin/ls" key=(null)\x1dARCH=x86_64 SYSCALL=execve AUID="ann"
type=EXECVE msg=audit(1714557600.100:7): argc=3 a0="ls" a1=2D6C6120C3A9 a2="x y"
type=USER_LOGIN msg=audit(1714557600.200:8): pid=9 uid=0 auid=1000 ses=3 msg='op=login acct="ann" exe="/usr/sbin/sshd" hostname=? addr=10.0.0.9 terminal=ssh res=success'\x1dUID="root"
type=CWD msg=audit(1714557600.100:7): cwd="/root"
type=PATH msg=audit(1714557600.100:7): item=0 name="/usr/bin/ls" inode=1 nametype=NORMAL
type=PATH msg=audit(1714557600.100:7): item=1 name=2F746D702F6120622E736F inode=2 nametype=CREATE
type=PROCTITLE msg=audit(1714557600.100:7): proctitle=6C73002D6C61
node=web2 type=SOCKADDR msg=audit(1714557610.000:9): saddr=02000050C0A80105000000000000000000
node=web2 type=SYSCALL msg=audit(1714557610.000:9): syscall=42 pid=5
"""

FORMS: dict[str, tuple[Callable[[], bytes], list[dict[str, Any]] | int]] = {
    "lines": (lambda: LINES, FLAT),
    "array": (lambda: _line(FLAT).encode(), FLAT),
    "pretty": (lambda: json.dumps(FLAT, indent=2).encode(), FLAT),
    "hits": (
        lambda: json.dumps(
            {"took": 1, "hits": {"total": 3, "hits": [{"_source": x} for x in FLAT]}}, indent=1
        ).encode(),
        [{"_source": x} for x in FLAT],
    ),
    "hits, a page a line": (
        lambda: b"".join(
            json.dumps({"took": 1, "hits": {"total": 3, "hits": [{"_source": x}]}}).encode() + b"\n"
            for x in FLAT
        ),
        [{"_source": x} for x in FLAT],
    ),
    "bulk": (
        lambda: "".join(_line({"_index": "x", "_source": x}) + "\n" for x in FLAT).encode(),
        [{"_index": "x", "_source": x} for x in FLAT],
    ),
    "splunk": (
        lambda: "".join(_line({"preview": False, "result": x}) + "\n" for x in FLAT).encode(),
        [{"preview": False, "result": x} for x in FLAT],
    ),
    "splunk results": (
        lambda: _line({"preview": False, "fields": ["x"], "results": FLAT}).encode(),
        FLAT,
    ),
    "evtx": (lambda: evtx_of(EVENTS, per_chunk=2), 3),
    "event xml": (
        lambda: (
            '<?xml version="1.0" encoding="utf-8"?>\n<Events>\n'
            + "\n".join(xml_of(event) for event in EVENTS)
            + "\n</Events>\n"
        ).encode(),
        EVENTS,
    ),
    "event xml, a line each": (lambda: "\n".join(ONE_LINE_XML).encode(), EVENTS),
    "event xml, utf-16": (
        lambda: (
            '<?xml version="1.0" encoding="utf-16"?><Events>'
            + "".join(xml_of(event) for event in EVENTS)
            + "</Events>"
        ).encode("utf-16"),
        EVENTS,
    ),
    "csv": (
        lambda: (
            "EventID,Image,CommandLine,User\r\n"
            + "".join(",".join(map(_quoted, x.values())) + "\r\n" for x in FLAT)
        ).encode("utf-8-sig"),
        FLAT,
    ),
    "tsv": (
        lambda: (
            "EventID\tImage\tCommandLine\tUser\n"
            + "".join(f"{x['EventID']}\t{x['Image']}\tplain\tD\\ann\n" for x in FLAT)
        ).encode(),
        [{**x, "CommandLine": "plain"} for x in FLAT],
    ),
    "semicolons": (
        lambda: (
            "EventID;Image;CommandLine;User\n"
            + "".join(";".join(map(_quoted, x.values())) + "\n" for x in FLAT)
        ).encode("utf-16"),
        FLAT,
    ),
    "zeek": (lambda: ZEEK, 3),
    "audit": (lambda: AUDIT, 3),
    "syslog json": (
        lambda: "".join(
            f"<14>May  1 10:00:0{n} web1 app[7]: {_line(x)}\n" for n, x in enumerate(FLAT)
        ).encode(),
        3,
    ),
    "syslog xml": (
        lambda: "".join(
            f'<14>1 2024-05-01T10:00:00Z web1 sysmon 7 - [x@1 a="b]"] {x}\n' for x in ONE_LINE_XML
        ).encode(),
        3,
    ),
    "parquet": (lambda: parquet_of(FLAT), FLAT),
    "gzip": (lambda: gzip.compress(LINES, mtime=0), FLAT),
    "bzip2": (lambda: bz2.compress(LINES), FLAT),
    "xz": (lambda: lzma.compress(LINES), FLAT),
    "zstandard": (lambda: zstandard_of(LINES), FLAT),
    "7z": (lambda: seven_zip_of({"a/x.json": LINES}), FLAT),
    "zip": (lambda: zip_of({"a/x.json": LINES}), FLAT),
    "tar": (lambda: tar_of({"a/x.json": LINES}), FLAT),
    "zip in tar in gzip": (
        lambda: gzip.compress(tar_of({"x.zip": zip_of({"x.xml": xml_of(EVENTS[0]).encode()})})),
        EVENTS[:1],
    ),
}
