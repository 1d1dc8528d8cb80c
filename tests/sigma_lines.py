"""Random Sigma rules, and files of JSON lines that they run over.

Both draw from one small vocabulary, so that rules match, nearly match, and match nothing. Lines are
events in all shapes of Windows logs, most of them like those before (as in a log) and some written
as no shipper would: keys and values in escapes, keys twice, numbers in every spelling, values of
other kinds, white space, damage.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from typing import Any

import yaml

from windows_shapes import SHAPES, Windows

SYSMON = "Microsoft-Windows-Sysmon/Operational"
SCRIPTS = "Microsoft-Windows-PowerShell/Operational"

KINDS: tuple[tuple[str, int, tuple[str, ...]], ...] = (
    (SYSMON, 1, ("Image", "CommandLine", "ParentImage", "User", "IntegrityLevel", "ProcessId")),
    (SYSMON, 1, ("Image", "CommandLine", "ParentImage", "Hashes", "OriginalFileName")),
    (SYSMON, 3, ("Image", "DestinationIp", "DestinationPort", "Initiated", "User")),
    (SYSMON, 7, ("Image", "ImageLoaded", "Signed", "Hashes")),
    (SYSMON, 11, ("Image", "TargetFilename", "UtcTime")),
    (SYSMON, 13, ("Image", "TargetObject", "Details", "EventType")),
    ("Security", 4688, ("NewProcessName", "CommandLine", "ParentProcessName", "SubjectUserName")),
    ("Security", 4624, ("LogonType", "TargetUserName", "IpAddress", "Status")),
    ("Security", 4625, ("LogonType", "TargetUserName", "IpAddress", "Status")),
    (SCRIPTS, 4104, ("ScriptBlockText", "Path")),
    ("System", 7045, ("ServiceName", "ImagePath", "AccountName")),
    ("Application", 1000, ("Data", "Level")),
)
SOURCES: tuple[dict[str, str], ...] = (
    *({"product": "windows", "category": name} for name in (
        "process_creation", "network_connection", "image_load", "file_event", "registry_set", "registry_event", "ps_script",
    )),
    *({"product": "windows", "service": name} for name in ("security", "system", "sysmon", "powershell", "application")),
    {"product": "windows"},
    {"category": "process_creation"},
)  # fmt: skip
# The kinds of events that belong to a log source.
_OF: dict[str, tuple[tuple[str, int], ...]] = {
    "process_creation": ((SYSMON, 1), ("Security", 4688)),
    "network_connection": ((SYSMON, 3),),
    "image_load": ((SYSMON, 7),),
    "file_event": ((SYSMON, 11),),
    "registry_set": ((SYSMON, 13),),
    "registry_event": ((SYSMON, 13),),
    "ps_script": ((SCRIPTS, 4104),),
    "security": (("Security", 4688), ("Security", 4624), ("Security", 4625)),
    "system": (("System", 7045),),
    "sysmon": tuple((SYSMON, number) for number in (1, 3, 7, 11, 13)),
    "powershell": ((SCRIPTS, 4104),),
    "application": (("Application", 1000),),
    "": tuple((channel, number) for channel, number, _ in KINDS),
}


def _name(source: dict[str, str]) -> str:
    return source.get("category", source.get("service", ""))


FIELDS = (
    *dict.fromkeys(name for _, _, names in KINDS for name in names),
    *("EventID", "Channel", "Computer", "Provider_Name", "Nowhere", "Keywords"),
)

WORDS = (
    *(r"C:\Windows\System32\cmd.exe", r"C:\Windows\System32\rundll32.exe", r"C:\Temp\ä ö.exe"),
    *("cmd.exe /c whoami /all", "powershell -enc ZgBvAG8A", "mimikatz sekurlsa::logonpasswords"),
    *(r"HKLM\Software\Run\x", "NT AUTHORITY\\SYSTEM", "S-1-5-18", "10.1.2.3", "192.168.0.9", "::1"),
    *("fe80::1%4", "2024-05-20T07:41:12Z", "true", "False", "-", "", " ", "0", "1", "3", "10", "445"),
    *("0x1F", "4688", "1.0", "1e3", "a", "A", "ß", "ẞ", "K", "ſ", "İ", "é", "e\u0301", "😀", "\u2028"),
    *("null", "[]", "{}", '"', "\\", "\\\\", "a*b", "a?b", "x\ny", "tab\tx", "\x01", "MD5=AB,SHA256=CD"),
)  # fmt: skip
RARE = (
    "procdump -ma lsass",
    "vssadmin delete shadows",
    "C:\\Users\\Public\\x.exe",
    "word 99.exe",
    "4242",
)
NUMBERS: tuple[Any, ...] = (0, 1, 2, 3, 10, 445, 4688, -1, 31, 1.5, 1000, 2**53 + 1, 2**63, 2**64)

PARTS = (
    "cmd",
    ".exe",
    "whoami",
    "sekurlsa::",
    "\\System32\\",
    "S-1",
    "a",
    "e",
    "1",
    "0",
    "-enc",
    "ä",
)
EXPRESSIONS = (
    *(r"\.exe$", "(?i)WHOAMI", "^C:", r"sekurlsa::\w+", "a|b", r"\d{3,}", "^$", "", "é", "."),
    *("[^a]b", r"x\ny", "^.$"),
)


def _value(chance: random.Random, stock: Sequence[str]) -> Any:
    word = chance.choice(stock)
    match chance.randrange(12):
        case 0:
            return chance.choice(NUMBERS)
        case 1:
            return chance.choice((None, True, False))
        case 2:
            at = chance.randrange(len(word) + 1)
            return word[:at] + chance.choice("*?\\") + word[at + chance.randrange(2) :]
        case 3 | 4:
            return word.swapcase()
        case 5:
            return chance.choice(WORDS)
        case _:
            return word


def _part(chance: random.Random, edge: str, stock: Sequence[str]) -> str:
    word = chance.choice((*stock, chance.choice(PARTS)))
    start = 0 if edge == "startswith" else chance.randrange(len(word) + 1)
    end = len(word) if edge == "endswith" else chance.randrange(start, len(word) + 1)
    return word[start:end] if chance.random() < 0.7 else word


def _item(chance: random.Random, name: str, stock: Sequence[str]) -> tuple[str, Any]:
    several = chance.random() < 0.5

    def values(make: Callable[[], Any]) -> Any:
        return [make() for _ in range(chance.randint(1, 4))] if several else make()

    more = chance.choice(("", "", "", "", "|neq", "|all"))
    match chance.randrange(16):
        case 0 | 1 | 2:
            return name, values(lambda: _value(chance, stock))
        case 3 | 4 | 5 | 6:
            edge = chance.choice(("contains", "contains", "startswith", "endswith"))
            cased = chance.choice(("", "", "", "|cased"))
            return f"{name}|{edge}{cased}{more}", values(lambda: _part(chance, edge, stock))
        case 7:
            flags = "".join(f"|{flag}" for flag in "ims" if chance.random() < 0.3)
            return f"{name}|re{flags}{more}", values(lambda: chance.choice(EXPRESSIONS))
        case 8:
            nets = ("10.0.0.0/8", "192.168.0.0/24", "fe80::/10", "::1/128", "0.0.0.0/0")
            return f"{name}|cidr{more}", values(lambda: chance.choice(nets))
        case 9:
            how = chance.choice(("lt", "lte", "gt", "gte"))
            return f"{name}|{how}{more}", values(lambda: chance.choice(NUMBERS))
        case 10:
            return f"{name}|exists", chance.random() < 0.5
        case 11:
            how = chance.choice(("", "|contains", "|startswith", "|endswith"))
            return f"{name}|fieldref{how}", chance.choice(FIELDS)
        case 12:
            return f"{name}|contains|windash{more}", chance.choice((" -enc", "/all", "-c"))
        case 13:
            return f"{name}|wide|base64offset|contains", chance.choice(("foo", "fo"))
        case 14:
            part = chance.choice(("minute", "hour", "day", "week", "month", "year"))
            return f"{name}|{part}", chance.choice((41, 7, 20, 21, 5, 2024))
        case _:
            return name, chance.choice((None, "", "-", chance.choice(NUMBERS)))


def _detection(chance: random.Random, log: Log, names: Sequence[str], keywords: float) -> Any:
    if chance.random() < keywords:
        words = [chance.choice(("mimikatz", "sekurlsa::*", "WHOAMI", "ä ö", "S-1-5-18", "445"))]
        words += [chance.choice(PARTS)] if chance.random() < 0.3 else []
        return chance.choice((words, {"|all": words}, {"|re": "sekur[a-z]+::"}))

    def fields() -> dict[str, Any]:
        chosen = chance.sample(names, chance.choice((1, 1, 2)))
        return dict(
            _item(chance, name, log.stock[name] if chance.random() < log.near else RARE)
            for name in chosen
        )

    return [fields(), fields()] if chance.random() < 0.2 else fields()


_CONDITIONS = (
    *(
        "a",
        "a",
        "a and b",
        "a and not b",
        "a and not b",
        "a or b",
        "not a",
        "1 of *",
        "all of them",
    ),
    *("a and not (b or c)", "a and not 1 of c*", "not (a and b) and c"),
)


def rule(chance: random.Random, number: int, log: Log, keywords: float = 0.0) -> str:
    """One rule about a log; with a chance of ``keywords``, each of its detections is words that may
    stand anywhere."""
    channel, id_, names = chance.choice(log.kinds)
    if chance.random() < 0.2:
        names = FIELDS
    named: dict[str, Any] = {name: _detection(chance, log, names, keywords) for name in "abc"}
    if chance.random() < 0.3:
        named["a"] = {"EventID": id_}
    about = [source for source in SOURCES if (channel, id_) in _OF.get(_name(source), ())]
    return yaml.safe_dump(
        {
            "title": "A rule",
            "id": f"r{number:03}",
            "logsource": chance.choice(about or SOURCES),
            "detection": {**named, "condition": chance.choice(_CONDITIONS)},
        },
        allow_unicode=True,
    )


def correlation(chance: random.Random, number: int, rules: list[str]) -> str:
    """A correlation over some of these rules."""
    kind = chance.choice(("event_count", "value_count", "temporal", "value_sum", "value_avg"))
    body: dict[str, Any] = {
        "type": kind,
        "rules": chance.sample(rules, min(len(rules), 1 + (kind == "temporal"))),
        "group-by": chance.sample(("Computer", "Image", "User", "Channel"), chance.randint(0, 2)),
        "timespan": chance.choice(("1s", "30s", "5m")),
        "generate": chance.random() < 0.5,
    }
    if kind != "temporal":
        how = chance.choice(("gte", "gt", "lte"))
        body["condition"] = {how: chance.randint(1, 4)}
        if kind.startswith("value"):
            body["condition"]["field"] = chance.choice(("Image", "ProcessId", "CommandLine"))
    return yaml.safe_dump({"title": "C", "id": f"c{number:03}", "correlation": body})


# Events


def _ecs(event: Windows) -> dict[str, Any]:
    """As Winlogbeat's modules store it: some fields moved, the rest where they were."""
    made = SHAPES["winlogbeat"](event)
    assert made is not None
    data = made["winlog"].get("event_data", {})
    process = {
        new: data.pop(old)
        for old, new in (
            ("Image", "executable"),
            ("CommandLine", "command_line"),
            ("ProcessId", "pid"),
        )
        if old in data
    }
    if process:
        made["process"] = process
    return made


def _sysmon_bare(event: Windows) -> dict[str, Any]:
    return {"EventID": event.id, "@timestamp": "2024-05-20T07:41:12.518Z", **event.data}


_ALL_SHAPES: dict[str, Callable[[Windows], dict[str, Any] | None]] = {
    **SHAPES,
    "ecs": _ecs,
    "no channel": _sysmon_bare,
    "wrapped": lambda event: {"_index": "x", "_source": SHAPES["flat"](event)},
    "other": lambda event: {"object": "process", "action": "create", **event.data},
}


class Log:
    """Events as a machine writes them: few templates in few shapes, most values from a small stock."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.shapes = chance.sample(sorted(_ALL_SHAPES), chance.choice((1, 1, 2, 3, 6)))
        self.kinds = chance.sample(KINDS, chance.choice((1, 2, 4, 8)))
        self.new = chance.choice((0.0, 0.05, 0.5))
        self.odd = chance.choice((0.0, 0.01, 0.1))
        stock = [*WORDS, *(f"word {number}.exe" for number in range(20))]
        self.stock = {name: chance.sample(stock, chance.choice((1, 3, 12))) for name in FIELDS}
        # How often rules are drawn from what this log has.
        self.near = chance.choice((0.02, 0.2, 0.8))
        self.clock = 0

    def event(self) -> dict[str, Any]:
        """The next one."""
        chance = self.chance
        channel, id_, names = chance.choice(self.kinds)
        data: dict[str, Any] = {}
        for name in names:
            if chance.random() < 0.05:
                continue
            value: Any = chance.choice(self.stock[name])
            if chance.random() < self.new:
                value = f"{value}{chance.randrange(10**6)}"
            if chance.random() < self.odd:
                value = _odd_value(chance, value)
            data[name] = value
        made = _ALL_SHAPES[chance.choice(self.shapes)](Windows(channel, id_, data))
        if made is None:
            made = SHAPES["flat"](Windows(channel, id_, data))
        assert made is not None
        self.clock += chance.choice((0, 1, 1, 60))
        for name in ("@timestamp",):
            if name in made:
                made[name] = (
                    f"2024-05-20T{self.clock // 3600 % 24:02}:{self.clock // 60 % 60:02}:{self.clock % 60:02}Z"
                )
        if chance.random() < self.odd:
            _change_somewhere(chance, made)
        return made


def _odd_value(chance: random.Random, value: Any) -> Any:
    return chance.choice(
        (
            *(None, True, False, 0, 1, 1.0, -0.0, 3, 445.0, 1000.0, 1e17, 2**53 + 1, 2**64, 2**70),
            *(
                [value],
                [value, None],
                [],
                [[value]],
                [1, value],
                {},
                {"#text": value},
                {"x": {"y": value}},
            ),
            *(
                f"{value}{'x' * 3000}",
                f"  {value} ",
                value * 2 if isinstance(value, str) else value,
            ),
        )
    )


def _change_somewhere(chance: random.Random, event: dict[str, Any]) -> None:
    """Put something else at one place of an event, or take it away."""
    place = event
    while True:
        inner = [value for value in place.values() if isinstance(value, dict) and value]
        if not inner or chance.random() < 0.4:
            break
        place = chance.choice(inner)
    if not place:
        return
    key = chance.choice(sorted(place))
    match chance.randrange(4):
        case 0:
            del place[key]
        case 1:
            place[
                chance.choice(("EventID", "Channel", "process", "winlog", "Event", "log_name"))
            ] = place[key]
        case _:
            place[key] = _odd_value(chance, place[key])


# Lines


def plain(event: dict[str, Any]) -> bytes:
    """A line as most programs write it."""
    return json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode(
        "utf-8", "surrogatepass"
    )


def odd(chance: random.Random, event: dict[str, Any]) -> bytes:
    """A line that says the same, or nearly, in an unusual way; or one that is damaged."""
    line = _written(chance, event).encode("utf-8", "surrogatepass")
    match chance.randrange(12):
        case 0:
            at = chance.randrange(len(line) + 1)
            put = chance.choice(
                (b"", b"\xff", b"\0", b"\\", b'"', b"{", b"]", b",", b"1e999", b"\xed\xa0\x80")
            )
            return line[:at] + put + line[at + chance.randrange(2) :]
        case 1:
            return b"\xef\xbb\xbf" + line
        case 2:
            return line + chance.choice((b"\r", b"  ", b"\t", b" x", b"{}", b"\0"))
        case 3:
            return chance.choice(
                (
                    b"",
                    b" ",
                    b"\r",
                    b"null",
                    b"5",
                    b"[1]",
                    b'"x"',
                    b"{}",
                    b"[{}]",
                    line[: len(line) // 2],
                )
            )
        case 4:
            name = chance.choice(("EventID", "Channel", "Image", "CommandLine", "Other"))
            value = chance.choice(
                (
                    '"x"',
                    "1",
                    "1.0",
                    "1e999",
                    '"\\ud800"',
                    "9" * 400,
                    "-0",
                    "true",
                    "[[1]]",
                    "NaN",
                    "01",
                )
            )
            return b"{" + f'"{name}":{value},'.encode() + line[1:]
        case 5:
            depth = chance.choice((300, 1000, 1100))
            return line[:-1] + b',"deep":' + b"[" * depth + b"]" * depth + b"}"
        case _:
            return line


def _written(chance: random.Random, value: Any) -> str:
    space = chance.choice(("", "", "", " ", "\t", "  "))
    match value:
        case dict():
            items = list(value.items())
            if chance.random() < 0.3:
                chance.shuffle(items)
            if items and chance.random() < 0.2:
                # Of equal keys the last one counts.
                items.insert(0, (chance.choice(items)[0], chance.choice(("x", 1, None, {"a": 1}))))
            inner = ("," + space).join(
                f"{_text(chance, key)}{space}:{space}{_written(chance, item)}"
                for key, item in items
            )
            return f"{space}{{{inner}{space}}}"
        case list():
            return "[" + ("," + space).join(_written(chance, item) for item in value) + "]"
        case str():
            return _text(chance, value)
        case bool() | None:
            return json.dumps(value)
        case int() | float():
            return chance.choice(_spellings(value))
    return json.dumps(value)


def _spellings(value: float) -> list[str]:
    found = [json.dumps(value)]
    if abs(value) < 1e15:
        found += [
            f"{value:.3f}" if value == int(value) else found[0],
            f"{value:.6e}" if value == int(value) else found[0],
        ]
        found.append(f'"{found[0]}"')
    return found


def _text(chance: random.Random, text: str) -> str:
    if chance.random() < 0.7:
        return json.dumps(text, ensure_ascii=chance.random() < 0.5)
    made = []
    for character in text:
        code = ord(character)
        if chance.random() < 0.2 and code < 0x10000:
            made.append(chance.choice((f"\\u{code:04x}", f"\\u{code:04X}")))
        elif character == "/" and chance.random() < 0.5:
            made.append("\\/")
        else:
            made.append(json.dumps(character, ensure_ascii=chance.random() < 0.5)[1:-1])
    return '"' + "".join(made) + '"'


def lines(chance: random.Random, number: int, log: Log) -> list[bytes]:
    """So many lines of one log; most are like lines before them."""
    strange = chance.choice((0.0, 0.02, 0.2))
    made = [plain(log.event())]
    while len(made) < number:
        if chance.random() < 0.15:
            made.append(chance.choice(made))
        elif chance.random() < strange:
            made.append(odd(chance, log.event()))
        else:
            made.append(plain(log.event()))
    return made
