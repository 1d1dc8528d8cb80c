r"""Witnesses that could come from a real machine.

The smallest event that tells two rules apart is often one that no machine would log: an image
without a folder, a user called ``x``. ``natural`` puts a more usual value in the place of each such
value, one after the other, where the event still tells what it has to tell::

    {"Image": "\\cmd.exe", "User": "x"}
    {"Image": "C:\\Windows\\System32\\cmd.exe", "User": "CORP\\alice"}

The values are examples: names from RFC 2606, addresses from RFC 1918.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from .. import ir
from ..pattern import tokenize
from .event_kinds import Event, fixed_names

Judge = Callable[[Event], bool]

_FOLDERS = ("C:\\Windows\\System32", "C:\\Users\\alice\\AppData\\Local\\Temp", "C:\\Users\\alice")
_UNIX_FOLDERS = ("/usr/bin", "/tmp")  # noqa: S108 - a path in an example, nothing is written
_PROGRAM = re.compile(r"(?i)image|process_?(name|path)|^exe|executable|module_path|imageloaded")
_PATH = re.compile(r"(?i)path|file_?name|image|process_?name|folder|imageloaded|^exe")
_BASE_NAME = re.compile(r"(?i)file_name|exe|parent_exe|module_name|name")
_PLAIN = frozenset({"x", "0", "a"})

_ADDRESS = (
    r"(?i)(src|source|client|dest|destination|remote|local)_?(ip|addr)"
    r"|(^|[-_.])ip(v[46])?(_?addr(ess)?)?$|ip_?addr(ess)?$|id[._](orig|resp)_h$"
)

# What a field holds whose name has such a part, where any value will do.
_USUAL: tuple[tuple[re.Pattern[str], tuple[str, ...]], ...] = tuple(
    (re.compile(pattern), values)
    for pattern, values in (
        (r"(?i)parent.*(image|process_?name|path|exe)", ("C:\\Windows\\explorer.exe",)),
        (r"(?i)image|process_?name|exe_?path", ("C:\\Windows\\System32\\svchost.exe",)),
        (r"(?i)parent.*command", ("C:\\Windows\\explorer.exe",)),
        (r"(?i)command", ("svchost.exe -k netsvcs",)),
        (r"(?i)target_?file|file_path", ("C:\\Users\\alice\\notes.txt",)),
        (r"(?i)(domain|query)_?name|query|host_?header", ("www.example.com",)),
        (r"(?i)(host|agent)\.id$", ("4f1d7a52-0c3e-4b57-9a55-3d7c0e0f6a11",)),
        (r"(?i)entity_?id$", ("NGYxZDdhNTItNDIxMi0xNzE0NTUwNDAw",)),
        (r"(?i)process\.name$", ("svchost.exe",)),
        (r"(?i)event\.kind$", ("event",)),
        (r"(?i)host|computer|workstation", ("host1.example.com",)),
        (r"(?i)sid$", ("S-1-5-21-1004336348-1177238915-682003330-1001",)),
        (r"(?i)user|account|subject.*name", ("CORP\\alice", "alice")),
        (_ADDRESS, ("10.0.0.5", "203.0.113.5", "192.168.1.5", "2001:db8::5")),
        (r"(?i)integrity", ("Medium",)),
        (r"(?i)(^|[-_.])ur[il]|url$", ("https://www.example.com/",)),
        (r"(?i)object_?name|key", ("HKLM\\SOFTWARE\\Example",)),
    )
)
_DIGESTS = (("md5", "md5"), ("sha1", "sha1"), ("sha256", "sha256"), ("imphash", "md5"))


def natural(event: Event, judge: Judge, pieces: Mapping[str, Sequence[str]] | None = None) -> Event:
    r"""The event with more usual values, as far as the judge accepts it. ``pieces`` are the texts
    that are asked for of fields, by the names of these.

    >>> natural({"object": "process", "action": "create", "image_path": "cmd.exe"},
    ...         lambda event: event["image_path"].endswith("cmd.exe"))["image_path"]
    'C:\\Windows\\System32\\cmd.exe'
    """
    made = event
    for name, value in event.items():
        if value == {} and judge({**made, name: "x"}):
            # Something has to be there, and a mapping without anything in it is not usual.
            value = "x"
            made = {**made, name: value}
        if name in fixed_names(event) or not isinstance(value, str):
            continue
        value = _arranged(name, value, (pieces or {}).get(name, ()), made, judge)
        made = {**made, name: value}
        for _ in range(2):
            # A path that has got its disk may still want a file's name.
            found = _bettered(made, name, value, judge)
            if found is None:
                break
            value, made = found, {**made, name: found}
    return made


def _bettered(event: Event, name: str, value: str, judge: Judge) -> str | None:
    for better in (*_called(event, name, value), *_proposals(name, value)):
        if better != value and judge({**event, name: better}):
            return better
    return None


def natural_list(
    events: Sequence[Event], judge: Callable[[Sequence[Event]], bool]
) -> tuple[Event, ...]:
    """The events of a list with more usual values, as far as the judge accepts the list. A value
    that several events have under one name is changed in all of them, since they may have to have
    it in common.

    >>> natural_list([{"host.id": "a", "n": 1}, {"host.id": "a", "n": 2}], lambda events: True)[1]
    {'host.id': '4f1d7a52-0c3e-4b57-9a55-3d7c0e0f6a11', 'n': 2}
    """
    made = list(events)
    there = {
        (name, value): None
        for event in events
        for name, value in event.items()
        if name not in fixed_names(event)
        and name != "time"
        and isinstance(value, str)
        and value in _PLAIN
    }
    for name, value in there:
        for better in _proposals(name, value):
            changed = [
                {**event, name: better} if event.get(name) == value else event for event in made
            ]
            if better != value and judge(changed):
                made = changed
                break
    return tuple(made)


# CAR's image_path is a path; the ImagePath of a service has arguments.
_SPOKEN = re.compile(
    r"(?i:command|script|payload|context|(^|_)data$|message|text|hostapplication|arguments"
    r"|description)|ImagePath$|ServiceFileName$"
)


def pieces_of(conditions: Iterable[ir.Condition]) -> dict[str, tuple[str, ...]]:
    """The texts that conditions ask for of each field, between wildcards.

    >>> from ..pattern import Pattern
    >>> pieces_of([ir.Match(ir.Field("a"), (Pattern("*x*y"),))])
    {'a': ('x', 'y')}
    """
    made: dict[str, dict[str, None]] = {}
    for condition in conditions:
        for atom in ir.atoms(condition):
            if isinstance(atom, ir.Match) and isinstance(atom.value, ir.Field):
                found = made.setdefault(atom.value.name, {})
                for pattern in atom.patterns:
                    tokens = (token for token in tokenize(pattern.text) if isinstance(token, str))
                    found.update(dict.fromkeys(tokens))
    return {name: tuple(found) for name, found in made.items()}


def _arranged(name: str, value: str, pieces: Sequence[str], event: Event, judge: Judge) -> str:
    """A text of several pieces as one writes it: a path first, what begins with a dot last, and
    blanks between the words of a command."""
    there = [piece for piece in pieces if piece and piece.lower() in value.lower()]
    # A piece within another one is no piece of its own.
    there = [p for p in there if not any(p != q and p.lower() in q.lower() for q in there)]
    if len(there) < 2 or len(there) > _MOST_PIECES:
        return value
    spoken = bool(_SPOKEN.search(name))
    ordered = sorted(there, key=lambda piece: _rank(piece, spoken=spoken))
    mark = " " if spoken else ""
    for parts in (ordered, there):
        joined = mark.join(part.strip() if spoken else part for part in parts)
        once = joined.replace("\\\\", "\\")
        for text in (joined, _spaced(value, there)) if spoken else (once, joined):
            if text != value and judge({**event, name: text}):
                return text
    return value


_MOST_PIECES = 12


def _rank(piece: str, *, spoken: bool) -> int:
    """Where a piece stands in a command or a path: a program, or the folder of a path, first;
    options and what begins with a dot last."""
    text = piece.strip()
    if _STARTED.search(text) or (not spoken and re.match(r"(?i)[a-z]:\\|\\", text)):
        return 0
    return 2 if text[:1] in "-/." else 1


_STARTED = re.compile(r"(?i)^[^\s/]*[\w)]\.(exe|dll|cmd|bat|ps1|vbs)$")


def _spaced(value: str, pieces: Sequence[str]) -> str:
    """A text with blanks between its pieces, where there are none."""
    edges: set[int] = set()
    lowered = value.lower()
    for piece in pieces:
        at = lowered.find(piece.lower())
        if at >= 0:
            edges |= {at, at + len(piece)}
    for edge in sorted(edges, reverse=True):
        if 0 < edge < len(value) and not value[edge - 1].isspace() and not value[edge].isspace():
            value = f"{value[:edge]} {value[edge:]}"
    return value


_CALLED = re.compile(r"(?i)(parent)?_?command_?line")


def _called(event: Event, name: str, value: str) -> Iterator[str]:
    """A command line with the program before its arguments, where the event says which one it
    is."""
    of = _CALLED.fullmatch(name)
    if of is None or value in _PLAIN:
        return
    heads = [
        base
        for other, path in event.items()
        if isinstance(path, str)
        and _PROGRAM.search(other)
        and ("parent" in other.lower()) is bool(of[1])
        and (base := path.replace("/", "\\").rpartition("\\")[2])
    ]
    for head in heads[:1]:
        if not value.lower().lstrip('"').startswith(head.lower().removesuffix(".exe")):
            yield f"{head} {value.lstrip()}"


# Where the parts of the registry and of a disk are that rules leave the beginning of away.
_HIVES = (
    (r"(?i)(control|services|enum|policies\\microsoft)(\\|$)", "HKLM\\SYSTEM\\CurrentControlSet\\"),
    (r"(?i)(software|system|sam|security)(\\|$)", "HKLM\\"),
    (r"(?i)(currentversion)(\\|$)", "HKLM\\SOFTWARE\\Microsoft\\Windows\\"),
    (r"(?i)(windows|windows nt|office|internet explorer)(\\|$)", "HKLM\\SOFTWARE\\Microsoft\\"),
    (r"(?i)(microsoft|policies|classes|wow6432node)(\\|$)", "HKLM\\SOFTWARE\\"),
    (r"", "HKLM\\SOFTWARE\\Example\\"),
)
_PLACES = (
    (r"(?i)(windows|users|program files|program files \(x86\)|programdata|perflogs)(\\|$)", "C:\\"),
    (r"(?i)(system32|syswow64|temp|tasks|winsxs)(\\|$)", "C:\\Windows\\"),
    (r"(?i)(appdata|downloads|desktop|documents)(\\|$)", "C:\\Users\\alice\\"),
    (r"(?i)(local|roaming|locallow)(\\|$)", "C:\\Users\\alice\\AppData\\"),
    (r"(?i)(start menu)(\\|$)", "C:\\ProgramData\\Microsoft\\Windows\\"),
)
_REGISTRY = re.compile(r"(?i)target_?object|registry_?(path|key)|^key$")


def _begun(rest: str, places: tuple[tuple[str, str], ...]) -> Iterator[str]:
    """The rest of a path behind what usually stands before it."""
    yield from (f"{head}{rest}" for pattern, head in places if re.match(pattern, rest))


def _proposals(name: str, value: str) -> Iterator[str]:
    """More usual values than the one that a field has, the best first."""
    plain = value in _PLAIN
    if value.startswith(" ") and _SPOKEN.search(name):
        yield f"example.exe{value}"
    for word, algorithm in _DIGESTS:
        if word in name.lower() and plain:
            yield hashlib.new(algorithm, b"example", usedforsecurity=False).hexdigest().upper()
    if plain:
        for pattern, usual in _USUAL:
            if pattern.search(name):
                yield from usual
        if _PROGRAM.search(name) and not _BASE_NAME.fullmatch(name):
            yield from (f"{folder}\\example.exe" for folder in _FOLDERS)
    if value.startswith(".") and (_PATH.search(name) or _BASE_NAME.fullmatch(name)):
        # A file that is nothing but an ending.
        yield from (f"{folder}\\x{value}" for folder in _FOLDERS if not _BASE_NAME.fullmatch(name))
        yield f"x{value}"
    if _REGISTRY.search(name) and not plain and not re.match(r"(?i)hk|\\registry", value):
        rest = value.lstrip("\\")
        whole = f"{rest}Example" if rest.endswith("\\") else rest
        yield from (*_begun(whole, _HIVES), *_begun(rest, _HIVES))
        return
    if re.match(r"\\[^\\\s]+\.\w{2,4}(\s|$)", value) and re.search(r"(?i)command", name):
        yield f"{_FOLDERS[0]}{value}"
    if name == "Details" and value.startswith("."):
        yield f"{_FOLDERS[0]}\\example{value}"
    if not _PATH.search(name) or _BASE_NAME.fullmatch(name):
        return
    if _SPOKEN.search(name) and " " in value and not value.startswith("\\"):
        # A command with arguments, which have no folder.
        return
    slash = "/" if "/" in value and "\\" not in value else "\\"
    whole = _filled(value, slash)
    if slash == "/":
        if whole.count("/") == 1 and whole.startswith("/") and len(whole) > 1:
            yield f"{_UNIX_FOLDERS[0] if _PROGRAM.search(name) else _UNIX_FOLDERS[1]}{whole}"
        if not whole.startswith("/"):
            yield from (f"{folder}/{whole}" for folder in _UNIX_FOLDERS)
    elif not re.match(r"(?i)[a-z]:\\|\\\\|hk", whole):
        rest = whole.lstrip("\\")
        if rest.startswith(":\\"):
            yield f"C{rest}"
        if _PROGRAM.search(name) and "." not in rest and not plain:
            yield from (f"{folder}\\{rest}.exe" for folder in _FOLDERS)
        if rest.endswith("\\"):
            end = "example.exe" if _PROGRAM.search(name) else "example.txt"
            yield from _begun(f"{rest}{end}", _PLACES)
            yield from (f"{folder}\\{rest}{end}" for folder in _FOLDERS[-1:])
        yield from _begun(rest, _PLACES)
        yield from (f"{folder}\\{rest}" for folder in _FOLDERS)
        yield f"C:\\{rest}"
    if slash == "\\" and whole.endswith("\\"):
        # A folder where a file is meant.
        yield f"{whole}{'example.exe' if _PROGRAM.search(name) else 'example.txt'}"
    if whole != value:
        yield whole


def _filled(path: str, slash: str) -> str:
    """The path with a folder where nothing stands between two separators."""
    empty = re.escape(slash * 2)
    return re.sub(rf"(?<=.){empty}", lambda _: f"{slash}Temp{slash}", path)
