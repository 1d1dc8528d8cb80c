r"""What an attacker changes cheaply, and a rule then misses: advice, shown with an event.

A rule's own positive example, or a sample of it (``sampling``), is changed as an attacker can
change it without doing anything else::

    the program under another name              mimikatz.exe        winsvc7.exe
    another build of it, with another hash      MD5=2F1F…           MD5=3020…
    more blanks, quotes, another dash           certutil -decode    certutil  /dec""ode
    the program in a folder that an exclusion lets through and anyone can write to
    another address of the same server

Each variant is run. Only one that the rule misses is advice, so that what is said is true. Nothing
is said of programs that the system starts under their own names, nor of arguments of programs that
are not known to read them alike.

The levels are those of Summiting the Pyramid, by what an observable depends on
(https://center-for-threat-informed-defense.github.io/summiting-the-pyramid/levels/): 1 ephemeral
values, 2 core to a tool that the adversary brings, 3 core to a tool that is there already, 4 core
to some implementations of a technique, 5 core to the technique. How Windows' own programs read
options, quotes and blanks: https://www.wietzebeukema.nl/blog/windows-command-line-obfuscation.
"""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from attrs import frozen

from .. import ir
from ..diagnostics import CarError, Diagnostic, Fix, Span, codes
from ..engine import Engine
from ..engine.report import maps_of_examples
from ..evaluate import NoContext, holds
from ..fieldmap import CarRow, unwrap, view
from ..rule import Rule
from .command_changes import BOTH_SIGNS, SHELLS
from .sampling import samples

_NO_CONTEXT = NoContext()
_STEPS = 50_000
_MOST_EVENTS = 20

_EPHEMERAL = "Summiting the Pyramid, level 1 (ephemeral values): changed at no cost, each time anew"
_WRITTEN = (
    "Summiting the Pyramid, level 3 (core to a pre-existing tool) for what the argument asks for; "
    "how it is written is level 1"
)

# The names of CAR, of Sysmon (as Sigma has them) and of Windows' security log.
_PATHS = ("image_path", "Image", "NewProcessName")
_PROGRAMS = frozenset({"exe", *_PATHS})
_COMMAND_LINES = frozenset({"command_line", "CommandLine", "ProcessCommandLine"})
_HASHES = frozenset({"md5_hash", "sha1_hash", "sha256_hash", "hash", "Hashes", "md5", "sha1"})
_ADDRESSES = frozenset({"dest_ip", "DestinationIp"})
_KEPT_KEYS = ("original", "hash", "parent", "description", "product", "company")

# The system or a user starts these under their names: an attacker does not choose them.
_NOT_RENAMED = frozenset(
    f"{name}.exe"
    for name in re.findall(
        r"[\w-]+",
        """smss csrss wininit services lsass lsaiso lsm winlogon svchost spoolsv taskhost taskhostw
        taskeng dllhost wmiprvse w3wp sqlservr explorer consent werfault wermgr wsmprovhost userinit
        logonui sethc utilman osk magnify narrator displayswitch atbroker runtimebroker
        searchindexer sihost fontdrvhost dwm conhost mmc msdtc dns inetinfo httpd nginx tomcat java
        javaw node php php-cgi winword excel powerpnt outlook onenote msaccess mspub visio eqnedt32
        acrord32 chrome firefox msedge iexplore teams msiexec msmpeng ntoskrnl""",
    )
)
# These do what the name says by which they are called: a copy under another name does nothing.
_CALLED_BY_NAME = frozenset(
    re.findall(
        r"[\w-]+",
        """busybox toybox iptables ip6tables iptables-save iptables-restore ip6tables-save
        ip6tables-restore ebtables arptables reboot shutdown halt poweroff telinit lsmod insmod
        rmmod modprobe depmod modinfo""",
    )
)
# What takes its arguments apart as C programs do, and reads both signs before an option.
_BOTH_DASHES = frozenset(f"{name}.exe" for name in BOTH_SIGNS if name not in SHELLS)
_ARGUMENTS = _BOTH_DASHES | {
    f"{name}.exe" for name in ("reg", "vssadmin", "wevtutil", "net", "net1", "nltest", "whoami")
}
_BLANKS = _ARGUMENTS | {"powershell.exe", "pwsh.exe", "cmd.exe"}


@frozen
class Evasion:
    """A change of an event that an attacker makes cheaply. ``change`` makes the variant."""

    what: str
    level: str
    advice: str
    fields: frozenset[str]
    change: Callable[[Mapping[str, Any]], Any]
    excludes: bool = False
    by_name: bool = False


@frozen
class Robustness:
    """The advice about a rule, and why there is none where it could not be judged."""

    findings: tuple[Diagnostic, ...]
    unjudged: str = ""


def robustness_of(rule: Rule, steps: int = _STEPS) -> Robustness:
    """Advice about the conditions of a rule that an attacker evades cheaply.

    >>> import carengine
    >>> text = 'a = search Process:Create where exe = "mimikatz.exe" output a'
    >>> [found] = robustness_of(carengine.parse_rule(text)).findings
    >>> found.message
    'the rule misses a copy of the program under another name'
    """
    events, maps = _matching(rule, steps)
    if not events:
        return Robustness((), "no event that it finds: give it a positive example")
    if _is_about_names(rule):
        return Robustness((), "it is about names and places (T1036): to change them is another act")
    engine = Engine([rule], maps)
    found: list[Diagnostic] = []
    told: set[tuple[str, Span | None]] = set()
    atoms = _atoms(rule)
    for evasion in _evasions(engine, events, atoms):
        variant = [evasion.change(event) for event in events]
        if variant == list(events) or _finds(rule, maps, variant):
            continue
        atom = _to_blame(engine, events, variant, atoms, evasion)
        if evasion.by_name and not _asks_for_name(atom):
            # Its name, or where it lies, is what makes it what the rule is about.
            continue
        place = None if atom is None else getattr(atom, "span", None)
        if (evasion.what, place) in told:
            continue
        told.add((evasion.what, place))
        changed = [
            f"{name}: {json.dumps(old, ensure_ascii=False)} becomes "
            f"{json.dumps(new, ensure_ascii=False)}"
            for before, after in zip(events, variant, strict=True)
            for name, old, new in _differences(before, after)
        ]
        written = json.dumps(variant[0] if len(variant) == 1 else variant, ensure_ascii=False)
        found.append(
            Diagnostic(
                codes.CHEAP_TO_EVADE,
                f"the rule misses {evasion.what}",
                place,
                notes=(*changed[:4], evasion.level, f"missed: {written}"),
                fix=Fix(evasion.advice),
                origin=rule.path,
            )
        )
    return Robustness(tuple(found))


def _is_about_names(rule: Rule) -> bool:
    techniques = rule.metadata.attack
    return any(i.startswith("T1036") for t in techniques for i in (t.id, *t.subtechniques))


def _matching(rule: Rule, steps: int) -> tuple[tuple[Mapping[str, Any], ...], Any]:
    """Events that the rule finds, and the field maps that read them."""
    for example in rule.examples:
        if not example.match or len(example.events) > _MOST_EVENTS:
            continue
        maps = maps_of_examples(rule) if example.fieldmap == "auto" else example.fieldmap
        if _finds(rule, maps, example.events):
            return example.events, maps
    try:
        made = samples(rule, matches=1, near_misses=0, steps=steps).matches
    except CarError:
        return (), None
    for sample in made:
        maps = sample.fieldmap if "+" not in sample.fieldmap else "auto"
        if _finds(rule, maps, sample.events):
            return sample.events, maps
    return (), None


def _finds(rule: Rule, maps: Any, events: Iterable[Mapping[str, Any]]) -> bool:
    try:
        return next(iter(Engine([rule], maps).run(events)), None) is not None
    except CarError:
        return False


def _atoms(rule: Rule) -> list[tuple[ir.Atom, bool]]:
    """The tests of a rule, each with whether it is asked to hold (not excluded)."""
    found: dict[tuple[ir.Atom, bool], None] = {}

    def walk(condition: ir.Condition, wanted: bool) -> None:
        match condition:
            case ir.Not(item):
                walk(item, not wanted)
            case ir.And(items) | ir.Or(items):
                for item in items:
                    walk(item, wanted)
            case ir.IsTrue(item):
                walk(item, wanted)
            case ir.Truth():
                return
            case _:
                found.setdefault((condition, wanted))

    for plan in ir.every_plan(output.plan for output in rule.program.outputs):
        condition = ir.condition_of(plan)
        if condition is not None:
            walk(condition, True)
    return list(found)


def _names(atoms: Iterable[tuple[ir.Atom, bool]], *, wanted: bool) -> set[str]:
    return {
        one.name
        for atom, holds_ in atoms
        if holds_ is wanted and not isinstance(atom, ir.IsNull)
        for value in ir.values_of(atom)
        for one in ir.fields_in(value)
    }


def _evasions(
    engine: Engine, events: Sequence[Mapping[str, Any]], atoms: list[tuple[ir.Atom, bool]]
) -> Iterator[Evasion]:
    asked = _names(atoms, wanted=True)
    for event in events:
        for seen in _views(engine, event):
            fields = seen.fields
            if (seen.kind.object, seen.kind.action) == ("process", "create") or (
                seen.kind.action == "process_creation"
            ):
                yield from _of_process(fields, asked, atoms)
            address = _first(fields, _ADDRESSES)
            if asked & _ADDRESSES and _is_global(address):
                yield Evasion(
                    "the same from another address",
                    _EPHEMERAL,
                    "ask for what the connection is for beside where it goes",
                    _ADDRESSES,
                    _replacing({str(address): "203.0.113.77"}),
                )


def _of_process(
    fields: Mapping[str, Any], asked: set[str], atoms: list[tuple[ir.Atom, bool]]
) -> Iterator[Evasion]:
    """Other ways to start the same program with the same arguments."""
    path = _first(fields, (*_PATHS, "exe"))
    if path is None:
        return
    program = _base(path)
    name = program.lower()
    if name not in _NOT_RENAMED:
        if asked & _PROGRAMS and name not in _CALLED_BY_NAME:
            yield from _renamed(path, program)
        if asked & _HASHES:
            yield _other_build()
        for atom, wanted in atoms:
            if not wanted and isinstance(atom, ir.Match):
                yield from _let_through(atom, fields)
    line = _first(fields, _COMMAND_LINES)
    if asked & _COMMAND_LINES and line is not None:
        yield from _rewritten(name, line)


def _first(fields: Mapping[str, Any], names: Iterable[str]) -> str | None:
    """The first of some fields that is a text with something in it."""
    values = (fields.get(name) for name in names)
    return next((value for value in values if isinstance(value, str) and value), None)


def _is_global(address: object) -> bool:
    try:
        return ipaddress.ip_address(str(address)).is_global
    except ValueError:
        return False


def _base(path: str) -> str:
    return re.split(r"[\\/]", path)[-1]


def _renamed(path: str, program: str) -> Iterator[Evasion]:
    """A copy of the program under another name, where anyone can write."""
    stem, dot, ending = program.rpartition(".")
    if not stem:
        stem, ending = program, ""
    better = f"winsvc7{dot}{ending}"
    if program.lower() == better or len(stem) < 2:
        return
    folder = path[: len(path) - len(program)]
    moved = "/tmp/" if folder.startswith("/") else "C:\\Users\\Public\\"  # noqa: S108 - an example
    whole = re.compile(re.escape(path), re.IGNORECASE)
    old = re.compile(rf"(?<![\w.-]){re.escape(program)}(?![\w.-])", re.IGNORECASE)
    bare = re.compile(rf'^("?){re.escape(stem)}(?=["\s]|$)', re.IGNORECASE)

    def change(text: str) -> str:
        if folder and whole.search(text):
            return whole.sub(lambda _: moved + better, text, 1)
        if bare.match(text):
            return bare.sub(lambda found: f"{found[1]}winsvc7", text, 1)
        return old.sub(lambda _: better, text, 1)

    yield Evasion(
        "a copy of the program under another name",
        _EPHEMERAL,
        "ask for what does not change with the name: original_file_name, arguments, what it does",
        _PROGRAMS | _COMMAND_LINES,
        _everywhere(change, _KEPT_KEYS),
        by_name=True,
    )


def _rewritten(program: str, line: str) -> Iterator[Evasion]:
    """The same command line, written in other ways that the program reads alike."""
    words = re.findall(r'"[^"]*"\S*|\S+', line)
    joined = " ".join(words)
    if len(words) < 2 or joined.lower() != line.lower() or line.count('"') % 2:
        return
    made: list[tuple[str, str, str]] = []
    if program in _BLANKS:
        advice = "take any number of blanks, or ask for each argument by itself"
        made.append(("with two blanks before its options", _spaced(words), advice))
    if program in _ARGUMENTS:
        advice = "ask for parts of arguments, or take quotes out of the line first"
        made.append(("with quotes in its arguments", _quoted(words), advice))
        made.append(("with its options in other case", _cased(words), "compare without case"))
        advice = "ask for each argument by itself"
        made.append(("with its options in another order", _turned(words), advice))
    if program in _BOTH_DASHES:
        advice = "take both `-` and `/` (in Sigma: `windash`)"
        made.append(("with the other sign before its options", _dashed(words), advice))
    for what, variant, advice in made:
        if variant != line:
            yield Evasion(
                f"the same command {what}",
                _WRITTEN,
                advice,
                _COMMAND_LINES,
                _replacing({line: variant}),
            )


def _spaced(words: list[str]) -> str:
    """Two blanks behind the program and before each option: any other blank may be in a value."""
    made = words[0]
    for place, word in enumerate(words[1:]):
        made += ("  " if place == 0 or word[0] in "-/" else " ") + word
    return made


def _quoted(words: list[str]) -> str:
    """Quotes in the middle of each argument, which the program takes out."""
    made = [words[0]]
    for word in words[1:]:
        plain = '"' not in word and len(word) > 3 and word[1] != "\\"
        made.append(f'{word[:2]}""{word[2:]}' if plain else word)
    return " ".join(made)


_OPTION = re.compile(r"[-/][A-Za-z]\w*")


def _cased(words: list[str]) -> str:
    return " ".join(w.swapcase() if _OPTION.fullmatch(w) else w for w in words)


def _dashed(words: list[str]) -> str:
    other = {"-": "/", "/": "-"}
    return " ".join(other[w[0]] + w[1:] if _OPTION.fullmatch(w) else w for w in words)


def _turned(words: list[str]) -> str:
    """Options in the opposite order: only where each stands by itself."""
    options = [place for place, word in enumerate(words) if _OPTION.fullmatch(word)]
    if len(options) < 2 or options != list(range(options[0], len(words))):
        return " ".join(words)
    return " ".join([*words[: options[0]], *reversed(words[options[0] :])])


_DIGEST = re.compile(r"\b[0-9A-Fa-f]{32,64}\b")


def _other_build() -> Evasion:
    turned = str.maketrans("0123456789abcdefABCDEF", "123456789abcdef0BCDEF0")

    def change(text: str) -> str:
        return _DIGEST.sub(lambda found: found[0].translate(turned), text)

    return Evasion(
        "another build of the same program, with another hash",
        _EPHEMERAL,
        "ask for what the program does beside what it is",
        _HASHES,
        _everywhere(change, ()),
    )


_WRITABLE = re.compile(
    r"c:\\(?:users\\|programdata\\|temp\\|tmp\\|windows\\(?:temp|tasks|tracing)\\|perflogs\\)|/tmp/|"
    r"/var/tmp/|/dev/shm/|/home/",
    re.IGNORECASE,
)


def _let_through(atom: ir.Match, fields: Mapping[str, Any]) -> Iterator[Evasion]:
    """The program in a folder that an exclusion lets through, if anyone can write there."""
    value = atom.value
    if not isinstance(value, ir.Field) or value.name not in _PATHS:
        return
    path = fields.get(value.name)
    if not isinstance(path, str) or not path:
        return
    for pattern in atom.patterns:
        text = pattern.text
        if "*" in text[1:-1]:
            continue
        if text.startswith("*\\"):
            text = "C:\\Users\\Public" + text[1:]
        elif text.startswith("*"):
            text = "C:\\Users\\Public\\" + text[1:]
        if text.endswith("*"):
            folder = text[:-1] if text.endswith("\\*") else text[:-1] + "\\"
            text = folder + _base(path)
        text = text.replace("*", "x").replace("?", "x")
        if not _WRITABLE.match(text) or not pattern.matches(text):
            continue
        yield Evasion(
            f"the same program run from {text}, which an exclusion lets through",
            "Summiting the Pyramid, level 1 (ephemeral values): anyone can write to this folder",
            "exclude by what only the excluded program has: its signature, a protected folder",
            frozenset(_PATHS),
            _everywhere(_instead_of(path, text), _KEPT_KEYS),
            excludes=True,
        )
        return


def _instead_of(old: str, new: str) -> Callable[[str], str]:
    return lambda text: text.replace(old, new)


def _replacing(texts: Mapping[str, str]) -> Callable[[Mapping[str, Any]], Any]:
    """Whole values in the place of others, wherever they stand in an event."""
    return _everywhere(lambda text: texts.get(text, text), ())


def _everywhere(
    change: Callable[[str], str], kept: tuple[str, ...]
) -> Callable[[Mapping[str, Any]], Any]:
    def walk(value: Any, depth: int = 0) -> Any:
        match value:
            case str():
                return change(value)
            case Mapping() if depth < 20:
                return {
                    key: one
                    if any(word in str(key).lower() for word in kept)
                    else walk(one, depth + 1)
                    for key, one in value.items()
                }
            case list() if depth < 20:
                return [walk(one, depth + 1) for one in value]
            case _:
                return value

    return walk


def _is_kept(key: str, kept: tuple[str, ...]) -> bool:
    return any(word in key.lower() for word in kept)


def _views(engine: Engine, event: Mapping[str, Any]) -> list[Any]:
    inner = unwrap(event)
    return [view(event, inner, one.entry) for one in engine.classify(inner).classes]


def _truths(engine: Engine, events: Iterable[Mapping[str, Any]], atom: ir.Atom) -> list[bool]:
    return [
        holds(atom, CarRow(seen), _NO_CONTEXT) is True
        for event in events
        for seen in _views(engine, event)
    ]


def _to_blame(
    engine: Engine,
    events: Iterable[Mapping[str, Any]],
    variant: Iterable[Mapping[str, Any]],
    atoms: list[tuple[ir.Atom, bool]],
    evasion: Evasion,
) -> ir.Atom | None:
    """The test that the variant is missed by; None where that is not one test."""
    for atom, wanted in atoms:
        named = {one.name for value in ir.values_of(atom) for one in ir.fields_in(value)}
        if wanted is evasion.excludes or not named & evasion.fields or not ir.is_stateless(atom):
            continue
        if _truths(engine, events, atom) != _truths(engine, variant, atom):
            return atom
    return None


_PLAIN_NAME = re.compile(r"[A-Za-z0-9_+-]{2,}(?:\.(?:exe|com|scr))?", re.IGNORECASE)


def _asks_for_name(atom: ir.Atom | None) -> bool:
    """Whether a test asks for programs by plain names, wherever they lie."""
    if not isinstance(atom, ir.Match):
        return False
    for pattern in atom.patterns:
        folder, separator, name = pattern.text.rpartition("\\" if "\\" in pattern.text else "/")
        if not _PLAIN_NAME.fullmatch(name.removeprefix("*")) or (
            separator and folder not in ("*", "")
        ):
            return False
    return True


def _differences(before: Any, after: Any, name: str = "") -> Iterator[tuple[str, Any, Any]]:
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for key in before:
            yield from _differences(
                before[key], after.get(key), f"{name}.{key}" if name else str(key)
            )
    elif before != after:
        yield name, before, after
