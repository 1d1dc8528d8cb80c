r"""The Linux audit log: events that are spread over several lines.

Every line is one record of an event and names it, ``audit(seconds:serial)``; the records of an
event are joined, each under its type::

    type=SYSCALL msg=audit(1364481363.243:24): arch=c000003e syscall=59 success=yes exe="/bin/ls" …
    type=EXECVE msg=audit(1364481363.243:24): argc=2 a0="ls" a1=2D6C61
    type=PATH msg=audit(1364481363.243:24): item=0 name="/bin/ls" nametype=NORMAL …

    {"timestamp": 1364481363.243, "serial": 24, "type": "SYSCALL", "types": ["SYSCALL", "EXECVE", "PATH"],
     "SYSCALL": {"arch": "c000003e", "syscall": "59", "success": "yes", "exe": "/bin/ls", …},
     "EXECVE": {"argc": "2", "a0": "ls", "a1": "-la", "argv": ["ls", "-la"], "command_line": "ls -la"},
     "PATH": [{"item": "0", "name": "/bin/ls", "nametype": "NORMAL"}], "paths": {"NORMAL": "/bin/ls"}}

* Values are text. Those that the kernel writes in hexadecimal because they hold odd characters
  (``proctitle``, ``cwd``, ``name``, arguments, …) are decoded; ``(null)`` and ``?`` are left out.
* ``PATH`` is a list always, other types only if there are several; ``paths`` has the first name of
  each ``nametype``.
* ``SOCKADDR`` has the ``family``, ``address``, ``port`` or ``path`` that are in its ``saddr``.
* ``node`` is there if the lines name it. What ``msg='…'`` of a program's record holds stands among
  its fields.
* Where auditd has interpreted values (``log_format = ENRICHED``), these keep their upper-case
  names. What ``ausearch -i`` exports has the same names: see `ausearch`. Its dates have no zone and
  are read as UTC.

An event is given when its last record (``EOE``, ``PROCTITLE``) was there, when a later one is more
than two seconds ahead of it, or when too many are open; what comes for it afterwards is an event of
its own, which is said. Where ausearch wrote the text, an event ends at the line ``----``; its
records may stand in reverse order there, and are put right.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from typing import Any

from attrs import define, field

from ..diagnostics import codes
from . import ausearch
from .lines import BOM, numbered, without_mark
from .record import ReadReport, Record, RecordCounter
from .unpack import Content

_LINE = re.compile(
    r"(?:.{0,200}?\s)??(?:node=(?P<node>\S{1,255}) )?"
    r"type=(?P<type>[A-Z0-9_]{1,40}|UNKNOWN\[\d{1,6}\]) "
    rf"msg=audit\((?:(?P<time>\d{{1,12}}\.\d{{1,9}})|(?P<date>{ausearch.TIME}))"
    r":(?P<serial>\d{1,18})\)\s?:\s?(?P<rest>.*)",
    re.DOTALL,
)
_FIRST = re.compile(
    rb"(?:[^\n]{0,200}?[ \t])?type=[A-Z0-9_\[\]]{1,40} msg=audit\("
    rb"(?:\d{1,12}\.\d{1,9}|%b):\d{1,18}\) ?:" % ausearch.TIME.encode()
)
# What ausearch writes between events, and before one: `time->Mon May 20 07:58:41 2024`.
_BETWEEN = re.compile(rb"----\s*|time->[^\n]{0,100}|<no matches>\s*")
_PAIR = re.compile(r"""([A-Za-z_][\w.\[\]-]{0,63})=(?:"([^"]*)"|'([^']*)'|([^\s\x1d]*))""")
# Values that a process or a user could choose; the kernel writes them in quotes, or else in
# hexadecimal.
_CHOSEN = frozenset(
    [
        "acct",
        "cmd",
        "comm",
        "cwd",
        "data",
        "dir",
        "exe",
        "file",
        "grp",
        "key",
        "name",
        "new_key",
        "ocomm",
        "old_key",
        "op_name",
        "path",
        "proctitle",
        "vm",
        "watch",
    ]
)
_ARGUMENT = re.compile(r"a(\d{1,5})(?:\[(\d{1,5})\])?")
_HEX = re.compile(r"(?:[0-9A-F]{2})+")
_LAST = frozenset({"EOE", "PROCTITLE"})
# What the kernel writes after the record of the call, and ausearch before it.
_AFTER_CALL = frozenset({"PATH", "CWD", "EXECVE", "SOCKADDR"})
_OPEN_EVENTS = 512
_FINISHED_EVENTS = 1024
_RECORDS = 2_000
_SECONDS = 2.0


def is_audit_log(head: bytes) -> bool:
    """Whether one of the first lines of a text is an audit record."""
    lines = head.removeprefix(BOM).split(b"\n", 8)[:8]
    return any(_FIRST.match(line) for line in lines if line.strip()[:1] not in (b"{", b"["))


@define(eq=False)
class _Event:
    time: float
    serial: int
    node: str
    line: int
    records: list[tuple[str, dict[str, Any]]] = field(factory=list)


def read_audit_log(content: Content, report: ReadReport) -> Iterator[Record]:
    """The events of an audit log. Records are numbered as their events are complete."""
    counter = RecordCounter(content.name, report, content.meter.limits)
    limit = counter.limits.record_bytes
    open_: dict[tuple[str, str, str], _Event] = {}
    finished: dict[tuple[str, str, str], None] = {}
    latest = 0.0
    day_first = ausearch.begins_with_day(content.head)
    dated = False

    def finish(key: tuple[str, str, str]) -> Record:
        event = open_.pop(key)
        if len(finished) >= _FINISHED_EVENTS:
            del finished[next(iter(finished))]
        finished[key] = None
        return Record(_joined(event), content.name, counter.count())

    for number, line in numbered(without_mark(content.chunks), limit):
        if not line.strip():
            continue
        if _BETWEEN.fullmatch(line.rstrip()):
            while open_:
                yield finish(next(iter(open_)))
            continue
        if len(line) > limit:
            counter.count()
            counter.too_large(number)
            continue
        try:
            found = _LINE.fullmatch(line.decode("utf-8"))
        except UnicodeDecodeError as problem:
            counter.count()
            counter.unreadable(number, f"is not UTF-8: byte {problem.start + 1} is wrong")
            continue
        if found is None:
            counter.count()
            counter.unreadable(number, "is not an audit record")
            continue
        node, kind = found["node"] or "", found["type"]
        key = (node, found["time"] or found["date"], found["serial"])
        if found["date"] is None:
            time = float(found["time"])
        else:
            read = ausearch.seconds(found["date"], day_first=bool(day_first))
            if read is None:
                counter.count()
                counter.unreadable(number, f"has a time that is none: {found['date']}")
                continue
            time = read
            if not dated:
                dated = True
                _say_dates(content, report, day_first, number)
        event = open_.get(key)
        if event is None:
            if key in finished and kind != "EOE":
                message = f"a record of an event that was complete already ({kind}) is an event of its own"
                report.say(codes.LATE_RECORD, content.name, message, line=number)
            elif key in finished:
                continue
            event = open_[key] = _Event(time, int(found["serial"]), node, number)
        if kind != "EOE":
            fields = ausearch.fields_of if found["date"] is not None else _fields
            event.records.append((kind, fields(kind, found["rest"])))
        # Where ausearch wrote the records in reverse, the title of the process is the first.
        is_last = kind == "EOE" or (kind in _LAST and len(event.records) > 1)
        if is_last or len(event.records) >= _RECORDS:
            if event.records:
                yield finish(key)
            else:
                del open_[key]
        latest = max(latest, time)
        while open_:
            oldest = next(iter(open_))
            if len(open_) <= _OPEN_EVENTS and latest - open_[oldest].time <= _SECONDS:
                break
            yield finish(oldest)
    while open_:
        yield finish(next(iter(open_)))
    if not counter.number:
        report.say(codes.NOT_EVIDENCE, content.within, "holds no events", about=content.name)


def _say_dates(content: Content, report: ReadReport, day_first: bool | None, line: int) -> None:
    """Say how dates of an export are read, since they leave it open."""
    order = "" if day_first is not None else ", with the month first where a date has slashes"
    message = f"the times are dates without a zone; they are read as UTC{order}"
    report.say(codes.LOCAL_TIMES, content.name, message, line=line)


def _joined(event: _Event) -> dict[str, Any]:
    first, last = event.records[0][0], event.records[-1][0]
    if first in _LAST or (first in _AFTER_CALL and last == "SYSCALL"):
        event.records.reverse()
    made: dict[str, Any] = {"timestamp": event.time, "serial": event.serial}
    if event.node:
        made["node"] = event.node
    made["type"] = event.records[0][0]
    made["types"] = list(dict.fromkeys(kind for kind, _ in event.records))
    by_type: dict[str, list[dict[str, Any]]] = {}
    for kind, fields in event.records:
        by_type.setdefault(kind, []).append(fields)
    if "EXECVE" in by_type:
        # The arguments of one call may fill several records.
        whole: dict[str, Any] = {}
        for part in by_type["EXECVE"]:
            whole |= part
        by_type["EXECVE"] = [_with_arguments(whole)]
    for kind, several in by_type.items():
        made[kind] = several if kind == "PATH" or len(several) > 1 else several[0]
    paths: dict[str, str] = {}
    for fields in by_type.get("PATH", ()):
        if "name" in fields:
            paths.setdefault(fields.get("nametype", "UNKNOWN"), fields["name"])
    if paths:
        made["paths"] = paths
    return made


def _fields(kind: str, text: str) -> dict[str, Any]:
    """The fields of one record."""
    made: dict[str, Any] = {}
    for found in _PAIR.finditer(text):
        name, quoted, single, bare = found.groups()
        if single is not None and name == "msg":
            made |= _fields(kind, single)
        elif quoted is not None:
            made[name] = quoted
        else:
            value = single if single is not None else bare.rstrip(",")
            if value in ("(null)", "?", ""):
                continue
            made[name] = _decoded(kind, name, value)
    if kind == "SOCKADDR" and isinstance(saddr := made.get("saddr"), str):
        made |= _address(saddr)
    return made


def _decoded(kind: str, name: str, value: str) -> str:
    chosen = name in _CHOSEN or (kind == "EXECVE" and _ARGUMENT.fullmatch(name) is not None)
    if not chosen or not _HEX.fullmatch(value):
        return value
    data = bytes.fromhex(value)
    # A process title is its arguments with a zero byte after each; several keys have \x01 between
    # them.
    text = data.rstrip(b"\0").replace(b"\0", b" ").decode("utf-8", "backslashreplace")
    return text.replace("\x01", " ") if name == "key" else text


def _with_arguments(fields: dict[str, Any]) -> dict[str, Any]:
    """The fields with ``argv`` and ``command_line``; long arguments are written in pieces:
    ``a1[0]``, ``a1[1]``."""
    pieces: dict[int, dict[int, str]] = {}
    for name, value in fields.items():
        if (found := _ARGUMENT.fullmatch(name)) is not None:
            pieces.setdefault(int(found[1]), {})[int(found[2] or 0)] = value
    argv = ["".join(text for _, text in sorted(part.items())) for _, part in sorted(pieces.items())]
    return fields | {"argv": argv, "command_line": " ".join(argv)} if argv else fields


def _address(saddr: str) -> dict[str, str]:
    """What a socket address in hexadecimal says."""
    if not _HEX.fullmatch(saddr.upper()):
        return {}
    data = bytes.fromhex(saddr)
    if len(data) < 2:
        return {}
    # The family is in the machine's byte order; those of interest are below 256.
    family = data[0] or data[1]
    if family == 1:
        path = data[2:].lstrip(b"\0").split(b"\0")[0].decode("utf-8", "backslashreplace")
        return {"family": "local", "path": path} if path else {"family": "local"}
    if family == 2 and len(data) >= 8:
        port, address = int.from_bytes(data[2:4], "big"), str(ipaddress.IPv4Address(data[4:8]))
        return {"family": "inet", "address": address, "port": str(port)}
    if family == 10 and len(data) >= 24:
        port, address = int.from_bytes(data[2:4], "big"), str(ipaddress.IPv6Address(data[8:24]))
        return {"family": "inet6", "address": address, "port": str(port)}
    return {"family": {16: "netlink", 17: "packet"}.get(family, str(family))}
