r"""Zeek's logs: tables with a header of their own, and JSON that does not say which log it is.

A log in Zeek's own form begins with lines that tell how it is written::

    #separator \x09
    #set_separator  ,
    #empty_field    (empty)
    #unset_field    -
    #path   conn
    #fields ts  uid id.orig_h   id.orig_p   …
    #types  time    string  addr    port    …

Its rows become what Zeek writes when told to write JSON: keys as in ``#fields`` (``id.orig_h`` is
one key), numbers and truth values as such, sets and vectors as lists, unset fields left out; and
``_path`` with the log's path, as Zeek's JSON for streaming has it. In files of JSON only the file's
name tells the path: ``path_of`` finds it::

    {"_path": "conn", "ts": 1601510400.5, "uid": "C1", "id.orig_h": "10.0.0.1", "id.orig_p": 49152, …}
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from typing import Any

from attrs import define, field

from ..diagnostics import codes
from .lines import BOM, numbered, without_mark
from .record import ReadReport, Record, RecordCounter
from .unpack import Content

_DIRECTIVES = (b"#separator ", b"#set_separator", b"#empty_field", b"#path", b"#fields")
_ESCAPE = re.compile(rb"\\x([0-9A-Fa-f]{2})")
_CONTAINER = re.compile(r"(?:set|vector|table|list)\[([a-z]{1,20})\]")


def is_zeek(head: bytes) -> bool:
    """Whether a text is a log in Zeek's own form."""
    text = head.removeprefix(BOM)
    return text.startswith(_DIRECTIVES) and (
        text.startswith(b"#separator ") or b"\n#fields" in b"\n" + text
    )


def _unescape(text: str) -> str:
    """Undo ``\\x09``; the bytes so written may be parts of UTF-8 characters."""
    if "\\" not in text:
        return text
    raw = _ESCAPE.sub(lambda found: bytes([int(found[1], 16)]), text.encode("utf-8"))
    return raw.decode("utf-8", "backslashreplace")


def _real(text: str) -> Any:
    number = float(text)
    return number if math.isfinite(number) and "_" not in text else text


def _whole(text: str) -> Any:
    # int() takes time quadratic in the length, and underscores.
    return int(text) if len(text) <= 20 and text.isascii() and "_" not in text else text


_TYPES: dict[str, Callable[[str], Any]] = {
    "time": _real,
    "interval": _real,
    "double": _real,
    "count": _whole,
    "counter": _whole,
    "int": _whole,
    "port": _whole,
    "bool": lambda text: {"T": True, "F": False}[text],
}


@define(eq=False)
class _Header:
    """What the lines that begin with ``#`` have said so far."""

    separator: str = "\t"
    set_separator: str = ","
    empty: str = "(empty)"
    unset: str = "-"
    path: str = ""
    fields: list[str] = field(factory=list)
    types: list[str] = field(factory=list)
    columns: list[tuple[str, Callable[[str], Any]]] = field(factory=list)

    def read(self, line: str) -> None:
        """Take in a line that begins with ``#``."""
        if line.startswith("#separator "):
            self.__init__()  # type: ignore[misc]  # another log begins
            self.separator = _unescape(line.removeprefix("#separator ")) or "\t"
            return
        name, *values = line.split(self.separator)
        match name, values:
            case "#set_separator", [value]:
                self.set_separator = _unescape(value) or ","
            case "#empty_field", [value]:
                self.empty = value
            case "#unset_field", [value]:
                self.unset = value
            case "#path", [value]:
                self.path = _unescape(value)
            case "#fields", _:
                self.fields = [_unescape(value) for value in values]
                self.types = []
            case "#types", _:
                self.types = values
            case _:
                pass
        if name in ("#fields", "#types"):
            types = self.types + ["string"] * (len(self.fields) - len(self.types))
            self.columns = [(x, self.reader(y)) for x, y in zip(self.fields, types, strict=False)]

    def reader(self, kind: str) -> Callable[[str], Any]:
        """What makes a value of a cell of a type."""
        container = _CONTAINER.fullmatch(kind)
        if container is None:
            return _TYPES.get(kind, self.text)
        item = _TYPES.get(container[1], self.text)

        def read(text: str) -> list[Any]:
            if text == self.empty:
                return []
            parts = text.split(self.set_separator)
            return [None if part == self.unset else item(part) for part in parts]

        return read

    def text(self, value: str) -> str:
        return "" if value == self.empty else _unescape(value)

    def event(self, line: str) -> dict[str, Any] | str:
        """The event of a row, or why it is none."""
        cells = line.split(self.separator)
        if len(cells) != len(self.fields):
            return f"has {len(cells)} cells for {len(self.fields)} columns"
        event: dict[str, Any] = {"_path": self.path} if self.path else {}
        unset = self.unset
        for (name, read), cell in zip(self.columns, cells, strict=False):
            if cell != unset:
                try:
                    event[name] = read(cell)
                except (ValueError, KeyError):
                    return f"has {name} {cell[:40]!r}, which is not of its type"
        return event


def read_zeek(content: Content, report: ReadReport) -> Iterator[Record]:
    """The rows of a log in Zeek's own form."""
    counter = RecordCounter(content.name, report, content.meter.limits)
    limit = counter.limits.record_bytes
    header = _Header()
    for number, line in numbered(without_mark(content.chunks), limit):
        if not line.strip():
            continue
        if line.startswith(b"#"):
            text = line.decode("utf-8", "replace")
            header.read(text)
            if text.startswith("#types") and len(header.types) != len(header.fields):
                message = (
                    f"its header has {len(header.types)} types for {len(header.fields)} fields"
                )
                report.say(codes.UNREADABLE_FILE, content.name, message, line=number)
            continue
        record = counter.count()
        if len(line) > limit:
            counter.too_large(number)
            continue
        if not header.columns:
            counter.unreadable(number, "stands before the line that names the fields")
            continue
        try:
            event = header.event(line.decode("utf-8"))
        except UnicodeDecodeError as problem:
            event = f"is not UTF-8: byte {problem.start + 1} is wrong"
        if isinstance(event, str):
            counter.unreadable(number, event)
        else:
            yield Record(event, content.name, record)
    if not counter.number:
        report.say(codes.NOT_EVIDENCE, content.within, "holds no events", about=content.name)


# JSON

_LOGS = frozenset(
    [
        "analyzer",
        "capture_loss",
        "conn",
        "conn_summary",
        "dce_rpc",
        "dhcp",
        "dnp3",
        "dns",
        "dpd",
        "files",
        "ftp",
        "generic_dns_tunnels",
        "http",
        "intel",
        "irc",
        "kerberos",
        "known_certs",
        "known_hosts",
        "known_modbus",
        "known_services",
        "ldap",
        "ldap_search",
        "loaded_scripts",
        "modbus",
        "mqtt_connect",
        "mqtt_publish",
        "mqtt_subscribe",
        "mysql",
        "netcontrol",
        "notice",
        "notice_alarm",
        "ntlm",
        "ntp",
        "ocsp",
        "openflow",
        "packet_filter",
        "pe",
        "postgresql",
        "profinet",
        "quic",
        "radius",
        "rdp",
        "redis",
        "reporter",
        "rfb",
        "signatures",
        "sip",
        "smb_cmd",
        "smb_files",
        "smb_mapping",
        "smtp",
        "snmp",
        "socks",
        "software",
        "ssh",
        "ssl",
        "stats",
        "stderr",
        "syslog",
        "telemetry",
        "traceroute",
        "tunnel",
        "websocket",
        "weird",
        "wireguard",
        "x509",
    ]
)
_STEM = re.compile(r"([a-z][a-z0-9_]*?)(?:[._-]\d[^/]*)?\.(?:log|json|jsonl|ndjson)(?:[._-][^/]*)?")


def path_of(name: str) -> str:
    """The path of the Zeek log that a file's name speaks of, or nothing.

    >>> path_of("x.zip!logs/conn.log"), path_of("smb_files.10:00:00-11:00:00.log.gz")
    ('conn', 'smb_files')
    >>> path_of("a.json")
    ''
    """
    last = re.split(r"[/\\!]", name)[-1]
    found = _STEM.fullmatch(last) if len(last) < 256 else None
    return found[1] if found is not None and found[1] in _LOGS else ""


def with_path(records: Iterator[Record], path: str) -> Iterator[Record]:
    """The records, and those that look like Zeek's and do not say their log's path with
    ``_path``."""
    for record in records:
        event = record.event
        if "ts" in event and "_path" not in event and "@stream" not in event:
            event["_path"] = path
        yield record
