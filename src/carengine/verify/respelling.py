r"""Other spellings of one command line, which Windows or the program takes for the same.

A rule that finds ``reg add HKLM\A /v B /d 0`` should find these as well, since they do the same::

    "C:\Windows\System32\reg.exe"  ADD HKEY_LOCAL_MACHINE\A -d 0x0 -v "B"

`spellings` gives such variations of an event of a process or of the registry, each with what was
changed and the source that says that it means the same. Nothing is changed of which no source says
so: the sign before options only for programs that are known to read both, the order of options only
where options stand by themselves or with one value, quotes only where the program takes its
arguments apart as C programs do (`commandline.split_command_line`).

The sources:

* programs, extensions, the search: `CreateProcess
  <https://learn.microsoft.com/windows/win32/api/processthreadsapi/nf-processthreadsapi-createprocessw>`_
* blanks, tabs and quotes: `CommandLineToArgvW
  <https://learn.microsoft.com/windows/win32/api/shellapi/nf-shellapi-commandlinetoargvw>`_
* the folders Sysnative and SysWOW64: `File System Redirector
  <https://learn.microsoft.com/windows/win32/winprog64/file-system-redirector>`_
* signs before options, case, abbreviations, as tried on Windows 11: `ArgFuscator's models
  <https://github.com/wietze/ArgFuscator.net/tree/main/models>`_
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import combinations
from typing import Any

from attrs import frozen

from ..registrynames import ROOTS
from .command_changes import CHANGES, CommandChange, CommandLine, base_name

REGISTRY_NAMES = "https://learn.microsoft.com/windows/win32/sysinfo/structure-of-the-registry"


@frozen
class Spelling:
    """A variation of an event: ``what`` was changed, the ``sources`` that say that it means the
    same, and the ``event``.

    ``hides`` says that the change is there to hide: signs inside words that the program or the
    shell takes out again.
    """

    what: str
    sources: tuple[str, ...]
    event: Mapping[str, Any]
    hides: bool = False


def spellings(event: Mapping[str, Any], least: int = 20) -> tuple[Spelling, ...]:
    r"""Variations of an event of a process with its command line, or of a key of the registry, in
    the names of CAR, of Sysmon or of the Security log.

    Every change by itself, then two together until there are as many as asked for, if there are.
    The same event has the same variations each time; one of another kind has none.

    >>> event = {"image_path": r"C:\Windows\System32\fltmc.exe",
    ...          "command_line": "fltmc unload SysmonDrv"}
    >>> made = spellings(event)
    >>> len(made), made[0].event["command_line"]
    (21, 'fltmc.exe unload SysmonDrv')
    """
    path, line = _first(event, _PATHS), _first(event, _LINES)
    if path is not None and line is not None:
        command = CommandLine.of(path, line)
        return () if command is None else _of_command(event, command, least)
    key = _first(event, _KEYS)
    return () if key is None else _of_key(event, key)


_PATHS = ("image_path", "Image", "NewProcessName", "exe")
_LINES = ("command_line", "CommandLine", "ProcessCommandLine")
_KEYS = ("key", "TargetObject", "ObjectName")


def _first(event: Mapping[str, Any], names: tuple[str, ...]) -> str | None:
    """The first text under one of some names, however deep it stands."""
    for name in names:
        for found in _below(event, name):
            return found
    return None


def _below(value: Any, name: str, depth: int = 0) -> Iterator[str]:
    if isinstance(value, Mapping) and depth < 20:
        for key, one in value.items():
            if key == name and isinstance(one, str) and one:
                yield one
            else:
                yield from _below(one, name, depth + 1)


def _of_key(event: Mapping[str, Any], key: str) -> tuple[Spelling, ...]:
    """A key of the registry as other logs write it."""
    made: dict[str, tuple[str, str]] = {
        key.upper(): ("capitals", REGISTRY_NAMES),
        key.lower(): ("small letters", REGISTRY_NAMES),
    }
    for begin, short in ROOTS:
        if key.upper().startswith((begin + "\\", short + "\\")):
            rest = key[key.index("\\", 1 if key[0] != "\\" else len(begin)) :]
            for other, same in ROOTS:
                if same == short:
                    made.setdefault(other + rest, ("another name of the hive", REGISTRY_NAMES))
            made.setdefault(short + rest, ("another name of the hive", REGISTRY_NAMES))
    current = re.sub(r"\\CurrentControlSet\\", r"\\ControlSet001\\", key, flags=re.IGNORECASE)
    made.setdefault(current, ("the set that CurrentControlSet stands for", REGISTRY_NAMES))
    made.pop(key, None)
    return tuple(
        Spelling(what, (source,), _replaced(event, {}, {key.lower(): other}))
        for other, (what, source) in made.items()
    )


def _of_command(event: Mapping[str, Any], command: CommandLine, least: int) -> tuple[Spelling, ...]:
    made: dict[CommandLine, tuple[CommandChange, ...]] = {}
    seen = {(command.path.lower(), command.text)}

    def add(changed: CommandLine | None, changes: tuple[CommandChange, ...]) -> None:
        if changed is not None and (key := (changed.path.lower(), changed.text)) not in seen:
            seen.add(key)
            made[changed] = changes

    for one in CHANGES:
        add(one.apply(command), (one,))
    working = [changes[0] for changes in made.values() if not changes[0].hides]
    least += sum(changes[0].hides for changes in made.values())
    pairs = sorted(combinations(range(len(working)), 2), key=lambda p: (p[1] - p[0]) * 7 % 11)
    for first, second in pairs:
        if len(made) >= least:
            break
        changes = (working[first], working[second])
        halfway = changes[0].apply(command)
        add(None if halfway is None else changes[1].apply(halfway), changes)
    return tuple(
        Spelling(
            " and ".join(change.what for change in changes),
            tuple(dict.fromkeys(change.source for change in changes)),
            _respelt(event, command, changed),
            any(change.hides for change in changes),
        )
        for changed, changes in made.items()
    )


def _respelt(event: Mapping[str, Any], old: CommandLine, new: CommandLine) -> Mapping[str, Any]:
    """The event with another line, image and base name, wherever the old ones stand."""
    names = {}
    if new.path != old.path:
        names = {old.path.lower(): new.path, base_name(old.path).lower(): base_name(new.path)}
    return _replaced(event, {old.text: new.text}, names)


def _replaced(
    event: Mapping[str, Any], lines: Mapping[str, str], names: Mapping[str, str]
) -> Mapping[str, Any]:
    """The event with other texts: ``lines`` where a command line stands, ``names`` elsewhere, but
    for what is said of the parent."""

    def walk(value: Any, key: str = "", depth: int = 0) -> Any:
        match value:
            case str() if "parent" not in key:
                return (
                    lines.get(value, value) if "command" in key else names.get(value.lower(), value)
                )
            case Mapping() if depth < 20:
                return {k: walk(one, str(k).lower(), depth + 1) for k, one in value.items()}
            case list() if depth < 20:
                return [walk(one, key, depth + 1) for one in value]
            case _:
                return value

    made: Mapping[str, Any] = walk(event)
    return made
