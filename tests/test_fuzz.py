"""Inputs of every kind with structured injuries: rules and queries of every language, field maps and
pipelines, events, Python objects, archives, compiled engines and states, and all of it through the
commands. Nothing but what is documented is raised, and no control character reaches a terminal.

Fifty fixed seeds of each kind here; ``make fuzz`` (``CARENGINE_FUZZ=26000``) tries many more, from
``CARENGINE_FUZZ_FIRST`` on, and fails at an input that costs more than ``CARENGINE_FUZZ_SECONDS`` of
processor time.
"""

from __future__ import annotations

import contextlib
import copy
import gzip
import io
import json
import os
import random
import re
import time
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from carengine import Engine, load_rules, parse_map, parse_rule, translate
from carengine.cli import main
from carengine.diagnostics import Block, CarError, Source
from carengine.engine.saved_session import read_state, write_state
from carengine.languages.reading import LANGUAGES, read
from carengine.readers import Limits, read_events

ROUNDS = int(os.environ.get("CARENGINE_FUZZ") or 50)
FIRST = int(os.environ.get("CARENGINE_FUZZ_FIRST") or 0)
SECONDS = float(os.environ.get("CARENGINE_FUZZ_SECONDS") or "inf")
LIMITS = Limits(total_bytes=16 << 20, record_bytes=1 << 20)
CAR = """a = search Process:Create where exe = "cmd.exe" and command_line = "*x*"
b = search Process:Create where pid > 4 or not (user = "root")
j = join (a, b) where a.pid < b.ppid and a.user = b.user and b.time - a.time < 1 hour
g = group a by user
c = from g select user, count(*) as n
output a, j, c
"""
SIGMA = r"""title: t
id: 9b3ab2f5-6f4b-4d21-9a5f-0b1f0e3f8a01
logsource: {category: process_creation, product: windows}
detection:
  one:
    CommandLine|contains|all: ['-enc', 'a*b']
    Image|re: '(?i)\\cmd\.exe$'
  other|windash: [x, 'y z']
  condition: one or 1 of other* and not (one)
level: high
tags: [attack.t1059]
"""
EQL = (
    'sequence by user.name with maxspan=1m [process where process.name : "a*"] [process where true]'
)
SPL = 'index=x EventCode=1 (Image="*\\\\cmd.exe" OR a=1) | stats count by host | where count > 3'
CORRELATION = r"""title: a
id: 9b3ab2f5-6f4b-4d21-9a5f-0b1f0e3f8a02
name: one
logsource: {product: windows, service: security}
detection: {s: {EventID: 4625, TargetUserName|windash: '-a'}, condition: s}
---
title: b
correlation:
  type: value_count
  rules: [one]
  group-by: [u]
  timespan: 5m
  condition: {gte: 2, field: IpAddress}
  aliases: {u: {one: TargetUserName}}
  generate: true
---
title: f
logsource: {product: windows}
filter: {rules: [one], selection: {IpAddress|cidr: 10.0.0.0/8}, condition: not selection}
"""
GLOBAL = r"""action: global
title: t
detection: {condition: s, timeframe: 5m}
---
logsource: {product: windows, service: system}
detection: {s: {EventID: 7045, ServiceName|contains|all: [a, b]}}
---
logsource: {product: linux, category: process_creation}
detection:
  s: [x, 'y*']
  t: {Image|fieldref: ParentImage}
  condition: s and 1 of t*
"""
ELASTIC = r"""[metadata]
maturity = "production"
[rule]
name = "t"
rule_id = "9b3ab2f5-6f4b-4d21-9a5f-0b1f0e3f8a01"
language = "eql"
type = "eql"
risk_score = 21
severity = "low"
index = ["logs-endpoint.events.*", "winlogbeat-*"]
query = '''
process where host.os.type == "windows" and process.args : ("/c", "*x*") and
  not user.id in ("S-1-5-18", "S-1-5-19") and process.parent.name != null
'''
[[rule.threat]]
framework = "MITRE ATT&CK"
[rule.threat.tactic]
id = "TA0002"
"""
KUERY = r"""[rule]
name = "t"
rule_id = "9b3ab2f5-6f4b-4d21-9a5f-0b1f0e3f8a03"
language = "kuery"
type = "threshold"
query = 'event.category:process and (process.name:(cmd.exe or "a b") or process.args:a*)'
filters = [{meta = {negate = true}, query = {wildcard = {"file.path" = {value = "*x*"}}}}]
[rule.threshold]
field = ["host.id"]
value = 3
"""
PAGE = f"""---
title: t
---
### Implementations

#### T (Pseudocode)

```
{CAR}```
"""
ANALYTIC = r"""title: t
submission_date: 2020/01/01
information_domain: Host
id: CAR-2020-01-001
coverage: [{technique: T1059, tactics: [TA0002], coverage: Low}]
implementations:
- {type: Pseudocode, code: "a = search Process:Create where exe = 'x'\noutput a"}
- {type: Splunk, code: 'index=x EventCode=1 Image="*x*"'}
unit_tests: [{description: d, commands: [c]}]
"""
LOGPOINT = (
    'norm_id=WindowsSysmon event_id=1 image IN ["*cmd.exe", "a"] -user="b"'
    " | chart count() as n by host | search n > 1"
)
MAP = r"""name: mine
title: m
recognise: '`Channel` exists and EventID > 0'
empty: ["-", ""]
shapes:
  - {name: one, title: o, recognise: Image exists, names: {P: 'part(Image, "/", -1)'}}
entries:
  - kind: process/create
    when: EventID = 1
    fields: {exe: basename(Image), command_line: 'first(CommandLine, x.y)', time: UtcTime}
logsources:
  - {source: windows/process_creation, when: EventID = 1, names: {Image: Image}}
"""
PIPELINE = r"""name: p
priority: 10
transformations:
  - {type: field_name_mapping, mapping: {Image: exe.path, User: [u, v]}}
  - type: add_condition
    conditions: {EventID: 1}
    rule_conditions: [{type: logsource, product: windows}]
  - type: field_name_prefix
    prefix: win.
    field_name_conditions: [{type: include_fields, fields: [a]}]
"""
TEXTS = {
    "car": CAR, "yml": SIGMA, "eql": EQL, "spl": SPL, "c.yml": CORRELATION, "g.yml": GLOBAL,
    "toml": ELASTIC, "k.toml": KUERY, "md": PAGE, "yaml": ANALYTIC,
}  # fmt: skip
EVENTS: list[dict[str, Any]] = [
    {"object": "process", "action": "create", "exe": "cmd.exe", "command_line": "x", "user": "u",
     "pid": 5, "ppid": 9, "time": 1714557600},
    {"Channel": "Microsoft-Windows-Sysmon/Operational", "EventID": 1, "CommandLine": "-enc ab",
     "Image": "C:\\cmd.exe", "UtcTime": "2024-05-01 10:00:00.000", "ProcessId": "7"},
    {"Event": {"System": {"EventID": {"#text": 1}, "Channel": "Security"}, "EventData": {
        "Data": [{"@Name": "a", "#text": "b"}]}}},
]  # fmt: skip
ODD: tuple[Any, ...] = (
    None, True, 0, -1, 1e308, "", "x" * 3000, "\ud800", "\0\x1b[31m", [], {}, [[]], [None, 1, "a"],
    {"": {}}, 10**400, "9" * 5000, "2024-99-99", {"#text": []}, [{"@Name": 1, "#text": {}}],
)  # fmt: skip


class Loud(dict[str, Any]):
    """A mapping whose text cannot be had."""

    def __str__(self) -> str:
        raise RuntimeError("no text")


OBJECTS: tuple[Any, ...] = (
    *ODD, datetime(2024, 5, 1), datetime(1, 1, 1, tzinfo=UTC), Decimal("NaN"), Decimal("1e999999"),
    b"\xff", {1: 2, None: 3}, {1, "a"}, (1, (2,)), object(), float("nan"), float("inf"), Loud(a=1),
    complex(1, 2), range(3), iter(()), int, memoryview(b"x"),
)  # fmt: skip
SNIPPETS = (
    "(", ")", "[", "]", "{", "}", '"', "'", "|", "*", "not ", " and ", " or ", "\n", "\t", ":", "=",
    "\\", "%", "{{", "&a ", "*a ", "!!python/object:x ", "9" * 400, "\x00", "\u202e", "é", "- ",
    "(?:a{1000}){1000}", "(" * 300, "not " * 300, "count()", "1 of them", "|re: '('",
)  # fmt: skip


def hurt_text(text: str, chance: random.Random) -> str:
    """A text with one to four injuries: pieces lost, doubled, exchanged, put in."""
    for _ in range(chance.randint(1, 4)):
        words = text.split(" ")
        at, end = sorted(chance.randrange(len(text) + 1) for _ in "ab")
        match chance.randrange(6):
            case 0:
                text = text[:at] + chance.choice(SNIPPETS) + text[at:]
            case 1:
                text = text[:at] + text[min(end, at + 20) :]
            case 2:
                text = text[:end] + text[at:end] + text[end:]
            case 3:
                one, two = chance.randrange(len(words)), chance.randrange(len(words))
                words[one], words[two] = words[two], words[one]
                text = " ".join(words)
            case 4:
                other = chance.choice(list(TEXTS.values()))
                text = text[:at] + other[at % len(other) :][:40] + text[at:]
            case _:
                text = text[:at] + chr(chance.choice((0, 9, 34, 39, 92, 0x85, 0x2028))) + text[at:]
    return text


def hurt_value(value: Any, chance: random.Random, odd: tuple[Any, ...]) -> Any:
    """Plain data with one to three values lost, exchanged, put elsewhere or nested deep."""
    value = copy.deepcopy(value)
    for _ in range(chance.randint(1, 3)):
        inner = value
        while isinstance(inner, dict | list) and inner:
            key: Any = chance.choice(list(inner) if isinstance(inner, dict) else range(len(inner)))
            if isinstance(inner[key], dict | list) and inner[key] and chance.random() < 0.6:
                inner = inner[key]
                continue
            match chance.randrange(5):
                case 0:
                    del inner[key]
                case 1:
                    inner[key] = [inner[key]] * chance.choice((0, 1, 3))
                case 2:
                    for _ in range(chance.choice((2, 100, 140))):
                        inner[key] = {"a": inner[key]}
                case 3 if isinstance(inner, dict):
                    inner[chance.choice(("EventID", "time", "Image", "", "\x1b[0m"))] = inner[key]
                case _:
                    inner[key] = copy.deepcopy(chance.choice(odd))
            break
    return value


def hurt_bytes(data: bytes, chance: random.Random) -> bytes:
    """Bytes with one to five injuries."""
    found = bytearray(data)
    for _ in range(chance.randint(1, 5)):
        at = chance.randrange(len(found) + 1)
        match chance.randrange(4):
            case 0 if at < len(found):
                found[at] ^= 1 << chance.randrange(8)
            case 1:
                found[at : at + chance.choice((1, 4, 30))] = chance.randbytes(chance.choice((0, 4)))
            case 2:
                found[at:at] = found[: chance.choice((4, 40))]
            case _:
                del found[at + 200 :]
    return bytes(found)


def rules(chance: random.Random, folder: Path) -> None:
    ending = chance.choice(list(TEXTS))
    path = folder / f"rule.{ending}"
    path.write_bytes(hurt_text(TEXTS[ending], chance).encode("utf-8", "surrogatepass"))
    try:
        loaded = load_rules(path)
        engine = Engine(loaded, "car")
    except CarError as error:
        repr(str(error))
        return
    assert all(map(str, loaded.diagnostics))
    for match in engine.run(EVENTS):
        match.as_json()
    if len(loaded) and chance.random() < 0.2:
        with contextlib.suppress(CarError):
            translate(next(iter(loaded)), chance.choice(TARGETS))


def engine_of_all() -> Engine:
    return Engine([parse_rule(CAR)])


def queries(chance: random.Random, folder: Path) -> None:
    """A query in another language."""
    language = chance.choice(list(LANGUAGES))
    text = {"splunk": SPL, "eql": EQL, "logpoint": LOGPOINT, "sigma": SIGMA}.get(language, EQL)
    block = Block.whole(Source("q", hurt_text(text, chance)))
    assert all(map(str, read(block, language, raise_names=chance.random() < 0.5).diagnostics))


def maps(chance: random.Random, folder: Path) -> None:
    """A field map or pipeline, and rules run through it."""
    try:
        found = parse_map(hurt_text(chance.choice((MAP, PIPELINE)), chance))
        engine = Engine([parse_rule(CAR)], found)
    except CarError as error:
        repr(str(error))
        return
    for match in engine.run(EVENTS):
        match.as_json()


# What a terminal obeys, and what makes text look like other text.
RAW = re.compile("[\0-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
VERBS = (
    ("check", "{rules}"), ("check", "{rules}", "-f", "sarif"), ("fmt", "{rules}"),
    ("fmt", "--check", "{rules}"), ("test", "{rules}", "-v"), ("needs", "-r", "{rules}"),
    ("needs", "-r", "{rules}", "{events}"), ("explain", "{rules}", "{events}"),
    ("translate", "-r", "{rules}", "-t", "{target}"), ("compile", "-r", "{rules}", "-o", "{out}"),
    ("normalize", "{events}"), ("detect", "{events}"), ("detect", "{events}", "-f", "json"),
    ("hunt", "{events}", "-r", "{rules}", "-f", "{form}", "--why"), ("page", "{rules}"),
    ("hunt", "{events}", "-r", "{rules}", "-m", "{map}"), ("map", "check", "{map}", "{events}"),
    ("report", "{events}", "-r", "{rules}", "-o", "{out}"), ("verify", "{rules}"),
    ("corpus", "{rules}"), ("hunt", "{events}", "-r", "{rules}", "--follow", "--finish"),
)  # fmt: skip
FORMS = ("table", "timeline", "csv", "jsonl", "ecs", "ocsf")
TARGETS = (
    "splunk",
    "eql",
    "elastic-eql",
    "esql",
    "kusto",
    "sigma",
    "duckdb",
    "sqlite",
    "postgres",
    "bigquery",
)
SUM = re.compile(
    r"([\d,]+) records? = ([\d,]+) recognised \+ ([\d,]+) not recognised \+ ([\d,]+) unreadable"
)


def verbs(chance: random.Random, folder: Path) -> None:
    """A command over injured files with a hostile name."""
    ending = chance.choice(list(TEXTS))
    name = chance.choice(("r", "a b", "\x1b[31m", "\u202e", "\x9b1m"))
    paths = {
        "rules": folder / f"{name}.{ending}", "events": folder / f"{name}.jsonl",
        "map": folder / "m.yaml", "out": folder / "out",
    }  # fmt: skip
    text = hurt_text(TEXTS[ending], chance) if chance.random() < 0.8 else TEXTS[ending]
    paths["rules"].write_bytes(text.encode("utf-8", "surrogatepass"))
    mapping = hurt_text(chance.choice((MAP, PIPELINE)), chance)
    paths["map"].write_bytes(mapping.encode("utf-8", "surrogatepass"))
    lines = [json.dumps(hurt_value(event, chance, ODD)) for event in EVENTS]
    paths["events"].write_text("\n".join(lines), "utf-8")
    words = {key: str(path) for key, path in paths.items()}
    words |= {"target": chance.choice(TARGETS), "form": chance.choice(FORMS)}
    arguments = [word.format(**words) for word in chance.choice(VERBS)]
    out, err = io.StringIO(), io.StringIO()
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = main(arguments)
    finally:
        for path in paths.values():
            path.unlink(missing_ok=True)
    said = err.getvalue()
    assert code in (0, 1, 2, 3, 4), (arguments, code, said)
    assert not RAW.search(said), (arguments, said)
    # What goes to a file or a pipe is data: a query has the characters of its rule.
    assert "\x1b" not in out.getvalue(), (arguments, out.getvalue())
    for total, *parts in SUM.findall(said):
        assert int(total.replace(",", "")) == sum(int(x.replace(",", "")) for x in parts), said


ENGINE: list[Engine] = []


def shared() -> Engine:
    if not ENGINE:
        ENGINE.append(engine_of_all())
    return ENGINE[0]


def events(chance: random.Random, folder: Path) -> None:
    lines = [json.dumps(hurt_value(event, chance, ODD)).encode() for event in EVENTS]
    data = hurt_bytes(b"\n".join(lines), chance) if chance.random() < 0.5 else b"\n".join(lines)
    session = shared().session()
    with read_events("-", stdin=io.BytesIO(data), limits=LIMITS) as reading:
        for record in reading:
            session.feed(record.event)
    assert "CE527" not in {code.id for code in reading.found}
    for match in session.flush():
        match.as_json()
    assert all(map(str, session.diagnostics))


def objects(chance: random.Random, folder: Path) -> None:
    session = shared().session()
    for event in EVENTS:
        plain = {**event, chance.choice(list(event)): chance.choice(OBJECTS)}
        try:
            session.feed(plain)
        except ValueError as error:
            assert "the event" in str(error)  # noqa: PT017 - it may be raised, and need not
    for match in session.flush():
        match.as_json()


def archives(chance: random.Random, folder: Path) -> None:
    inner = b"".join(json.dumps(event).encode() + b"\n" for event in EVENTS)
    packed = io.BytesIO()
    kind = chance.choice((zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED, zipfile.ZIP_BZIP2))
    with zipfile.ZipFile(packed, "w", kind) as archive:
        for number in range(3):
            archive.writestr(f"{number}.jsonl", inner)
    data = packed.getvalue() if chance.random() < 0.6 else gzip.compress(packed.getvalue())
    with read_events("-", stdin=io.BytesIO(hurt_bytes(data, chance)), limits=LIMITS) as reading:
        assert all(isinstance(record.event, dict) for record in reading)
    assert "CE527" not in {code.id for code in reading.found}


def compiled(chance: random.Random, folder: Path) -> None:
    whole = folder / "whole.engine"
    if not whole.exists():
        shared().save(whole)
    (folder / "x.engine").write_bytes(hurt_bytes(whole.read_bytes(), chance))
    try:
        Engine.load(folder / "x.engine")
    except CarError as error:
        repr(str(error))


def states(chance: random.Random, folder: Path) -> None:
    whole = folder / "whole.state"
    if not whole.exists():
        session = shared().session()
        for event in EVENTS:
            session.feed(event)
        session.save(whole)
    if chance.random() < 0.3:
        (folder / "x.state").write_bytes(hurt_bytes(whole.read_bytes(), chance))
    else:
        state = read_state(whole)
        del state["sha256"]
        plain = (*ODD[:8], *ODD[9:14])
        try:
            write_state(folder / "x.state", hurt_value(state, chance, plain))
        except CarError:
            return
    try:
        session = shared().load_session(folder / "x.state")
    except CarError as error:
        repr(str(error))
        return
    for event in EVENTS:
        session.feed(event)
    for match in session.flush():
        match.as_json()


KINDS: tuple[Callable[[random.Random, Path], None], ...] = (
    rules, queries, maps, events, objects, archives, compiled, states, verbs,
)  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_but_what_is_documented_is_raised(
    kind: Callable[[random.Random, Path], None], tmp_path: Path
) -> None:
    # A whole command costs as much as many inputs of another kind.
    rounds = max(min(ROUNDS, 50), ROUNDS // 20) if kind is verbs else ROUNDS
    for number in range(FIRST, FIRST + rounds):
        start = time.process_time()
        try:
            kind(random.Random(f"{kind.__name__} {number}"), tmp_path)
            assert time.process_time() - start < SECONDS, "costs too much"
        except Exception as error:
            error.add_note(f"{kind.__name__}, seed {number}")
            raise
