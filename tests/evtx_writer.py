"""Windows event logs made for tests: small, valid, with as many records and chunks as wanted.

``evtx_of`` writes events, given as the mappings that readers give (``{"Event": {…}}``), in the
binary form. Elements are written out one by one, without the templates that Windows shares between
records; every value is a text.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable
from typing import Any

_HEADER, _CHUNK, _FIRST = 4096, 1 << 16, 512


class _Binary:
    """The binary XML of one record, at a known place in its chunk."""

    def __init__(self, base: int, names: dict[str, int]) -> None:
        self.base, self.names, self.data = base, names, bytearray()

    def name(self, text: str) -> None:
        at = self.base + len(self.data) + 4
        if text in self.names:
            self.data += struct.pack("<I", self.names[text])
            return
        self.names[text] = at
        code = 0
        for unit in struct.unpack(f"<{len(text)}H", text.encode("utf-16-le")):
            code = (code * 65599 + unit) & 0xFFFFFFFF
        self.data += struct.pack("<IIHH", at, 0, code & 0xFFFF, len(text))
        self.data += text.encode("utf-16-le") + b"\0\0"

    def value(self, text: str) -> None:
        raw = text.encode("utf-16-le")
        self.data += struct.pack("<BBH", 0x05, 0x01, len(raw) // 2) + raw

    def element(self, name: str, value: Any, attributes: dict[str, Any] | None = None) -> None:
        attributes = dict(attributes or {})
        text = "" if value is None else value
        if isinstance(value, dict):
            attributes |= value.get("#attributes", {})
            text = value.get("#text", "")
        self.data += struct.pack("<BI", 0x41 if attributes else 0x01, 0)
        size_at = len(self.data) - 4
        self.name(name)
        if attributes:
            self.data += bytes(4)
            start = len(self.data)
            for place, (key, item) in enumerate(attributes.items(), 1):
                self.data.append(0x06 if place == len(attributes) else 0x46)
                self.name(key)
                self.value(str(item))
            struct.pack_into("<I", self.data, start - 4, len(self.data) - start)
        self.data.append(0x02)
        if text != "":
            self.value(str(text))
        if isinstance(value, dict):
            for key, item in value.items():
                if name == "EventData" and not key.startswith("#"):
                    # A list is as many elements of one name.
                    for one in item if isinstance(item, list) else [item]:
                        self.element("Data", one, {"Name": key})
                elif not key.startswith("#"):
                    self.element(key, item)
        self.data.append(0x04)
        struct.pack_into("<I", self.data, size_at, len(self.data) - size_at - 4)


def _record(event: dict[str, Any], number: int, at: int, names: dict[str, int]) -> bytes:
    binary = _Binary(at + 24, names)
    binary.data += b"\x0f\x01\x01\0"
    binary.element("Event", event["Event"])
    binary.data += b"\0"
    binary.data += bytes(-len(binary.data) % 8)
    size = 24 + len(binary.data) + 4
    head = struct.pack("<IIQQ", 0x2A2A, size, number, 133_000_000_000_000_000 + number * 10_000_000)
    return head + bytes(binary.data) + struct.pack("<I", size)


def _chunk(records: list[bytes], first: int, last_at: int) -> bytes:
    body = b"".join(records)
    free = _FIRST + len(body)
    last = first + len(records) - 1
    head = struct.pack(
        "<8sQQQQIIII", b"ElfChnk\0", first, last, first, last, 128, last_at, free, zlib.crc32(body)
    )
    head = head.ljust(120, b"\0")
    head += struct.pack("<II", 0, zlib.crc32(bytes(384), zlib.crc32(head)))
    return (head.ljust(_FIRST, b"\0") + body).ljust(_CHUNK, b"\0")


def evtx_of(events: Iterable[dict[str, Any]], *, per_chunk: int = 1 << 30) -> bytes:
    """A log of these events; a new chunk begins when one is full or has ``per_chunk`` records."""
    chunks: list[bytes] = []
    records: list[bytes] = []
    names: dict[str, int] = {}
    number, at, last_at = 1, _FIRST, _FIRST
    for event in events:
        record = _record(event, number, at, names)
        if records and (at + len(record) > _CHUNK or len(records) >= per_chunk):
            chunks.append(_chunk(records, number - len(records), last_at))
            records, names, at = [], {}, _FIRST
            record = _record(event, number, at, names)
        last_at = at
        records.append(record)
        at += len(record)
        number += 1
    if records:
        chunks.append(_chunk(records, number - len(records), last_at))
    head = struct.pack(
        "<8sQQQIHHHH",
        b"ElfFile\0",
        0,
        max(0, len(chunks) - 1),
        number,
        128,
        1,
        3,
        _HEADER,
        len(chunks),
    ).ljust(120, b"\0")
    return (head + struct.pack("<II", 0, zlib.crc32(head))).ljust(_HEADER, b"\0") + b"".join(chunks)
