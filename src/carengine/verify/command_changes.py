"""The changes of a command line that leave its meaning as it is, each with a source."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from attrs import evolve, frozen

from ..commandline import program_of
from ..registrynames import HIVES

_LEARN = "https://learn.microsoft.com/"
CREATE_PROCESS = f"{_LEARN}windows/win32/api/processthreadsapi/nf-processthreadsapi-createprocessw"
ARGUMENTS = f"{_LEARN}windows/win32/api/shellapi/nf-shellapi-commandlinetoargvw"
REDIRECTOR = f"{_LEARN}windows/win32/winprog64/file-system-redirector"
MODELS = "https://github.com/wietze/ArgFuscator.net/tree/main/models"
_NAMING = f"{_LEARN}windows/win32/fileio/naming-a-file"
_REGISTRY = f"{_LEARN}windows/win32/sysinfo/structure-of-the-registry"
_COMMANDS = f"{_LEARN}windows-server/administration/windows-commands/"
_POWERSHELL = f"{_LEARN}powershell/module/microsoft.powershell.core/about/"

_SYSTEM = re.compile(r"c:\\windows\\(system32|syswow64)\\", re.IGNORECASE)


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


BOTH_SIGNS: Mapping[str, str] = {
    **dict.fromkeys(
        _words(
            """arp auditpol bcdedit certreq cmdkey cscript findstr forfiles ipconfig msbuild nbtstat
    netstat nltest ping pnputil procdump procdump64 reg regsvr32 route schtasks taskkill
    tasklist w32tm wevtutil whoami wmic wscript xcopy"""
        ),
        "-/",
    ),
    "certutil": "-/\u2013\u2014",
    "powershell": "-/\u2013\u2014\u2015",
    "pwsh": "-\u2013\u2014\u2015",
}
"""The signs that a program reads before an option, where it reads several (`MODELS`)."""

_C_ARGUMENTS = _words(
    """arp at attrib auditpol bcdedit bitsadmin certutil fltmc ipconfig nbtstat net net1
    netstat nltest ping powershell procdump procdump64 pwsh reg sc schtasks systeminfo
    taskkill tasklist vssadmin wevtutil whoami"""
)
"""Programs that take their arguments apart as C programs do: quotes around one are taken off."""

_ANY_CASE = _words(
    """at auditpol bcdedit bitsadmin certutil cmstp fltmc hh mavinject net net1 procdump
    procdump64 reg regsvr32 rundll32 sc schtasks vssadmin wevtutil wmic"""
)
"""Programs that read all of their arguments without regard to case."""

_OPTIONS_FIRST = frozenset(["certutil", "procdump", "procdump64", "regsvr32"])
"""Programs whose options may come in any order before what they are for."""

_FREE_ORDER = _OPTIONS_FIRST | frozenset(["auditpol", "net", "net1", "reg", "schtasks", "vssadmin"])
"""Programs whose options may come in any order behind the first words."""

_ONE_WIDTH = _words(
    """bcdedit conhost csrss dwm logonui lsass lsm procdump procdump64 pwsh services smss
    spoolsv taskhost taskhostw wbadmin wininit winlogon wusa"""
)
"""System programs of which there is none in SysWOW64, and programs that are not Windows' own."""

_ABBREVIATED = {
    "net": {"/add": "/ad", "/delete": "/del", "/domain": "/dom"},
    "wevtutil": {
        "cl": "clear-log",
        "clear-log": "cl",
        "sl": "set-log",
        "set-log": "sl",
        "/e:false": "/enabled:false",
        "/enabled:false": "/e:false",
    },
    "powershell": {
        "-command": "-c",
        "-c": "-command",
        "-encodedcommand": "-enc",
        "-enc": "-e",
        "-noprofile": "-nop",
        "-windowstyle": "-w",
        "-executionpolicy": "-ep",
        "-noninteractive": "-noni",
    },
}
_ABBREVIATED["net1"] = _ABBREVIATED["net"]
_ABBREVIATED["pwsh"] = _ABBREVIATED["powershell"]

_ALIASES = {
    "set-itemproperty": "sp",
    "remove-item": "ri",
    "get-content": "gc",
    "start-process": "saps",
    "new-item": "ni",
    "stop-service": "spsv",
}
"""Aliases that PowerShell has from the start
(`about_Aliases <https://learn.microsoft.com/powershell/module/microsoft.powershell.core/about/about_aliases>`_)."""

SHELLS = frozenset({"powershell", "pwsh"})
"""The programs that read PowerShell."""

_WORD = re.compile(r'(?:[^\s"]|"[^"]*")+')
_SHELL_WORD = re.compile(r"""(?:[^\s"']|"[^"]*"|'[^']*')+""")
_OPTION = re.compile(r"[-/][A-Za-z]\w*")


@frozen
class CommandLine:
    r"""A command line with the program that it starts, in words as they are written.

    >>> command = CommandLine.of("C:\\Windows\\System32\\reg.exe", 'reg  query "HKLM\\A B"')
    >>> command.words, command.text
    (('reg', 'query', '"HKLM\\A B"'), 'reg  query "HKLM\\A B"')
    """

    path: str
    words: tuple[str, ...]
    gaps: tuple[str, ...]

    @classmethod
    def of(cls, path: str, line: str) -> CommandLine | None:
        """None where it is not certain where the words end: quotes that are open, a path with
        blanks and without quotes, a program that the line does not name."""
        if line.count('"') % 2 or '\\"' in line or _stem(program_of(line) or "") != _stem(path):
            return None
        shell = _stem(path) in SHELLS and line.count("'") % 2 == 0
        found = list((_SHELL_WORD if shell else _WORD).finditer(line))
        words = tuple(one[0] for one in found)
        ends = [one.end() for one in found]
        starts = [*(one.start() for one in found[1:]), len(line)]
        if found[0].start() or _stem(words[0].strip('"')) != _stem(path):
            return None
        return cls(path, words, tuple(line[a:b] for a, b in zip(ends, starts, strict=True)))

    @property
    def text(self) -> str:
        """The line."""
        return "".join(a + b for a, b in zip(self.words, self.gaps, strict=True))

    @property
    def program(self) -> str:
        """The program's name, in small letters and without ``.exe``."""
        return _stem(self.path)


def _stem(path: str) -> str:
    name = re.split(r"[\\/]", path)[-1].lower()
    return name.removesuffix(".exe")


def base_name(path: str) -> str:
    """What stands behind the last slash or backslash of a path."""
    return re.split(r"[\\/]", path)[-1]


@frozen
class CommandChange:
    """A change of a command line: None where the program is not known to read what comes of it.

    ``hides`` says that the change is there to hide.
    """

    what: str
    source: str
    apply: Callable[[CommandLine], CommandLine | None]
    hides: bool = False


# Changes of the program's name and place.


def _named(
    name: Callable[[CommandLine], str | None],
) -> Callable[[CommandLine], CommandLine | None]:
    def change(command: CommandLine) -> CommandLine | None:
        made = name(command)
        return None if made is None else evolve(command, words=(made, *command.words[1:]))

    return change


def _in_system(command: CommandLine, folder: str = "System32") -> str | None:
    """The program's path with another name of its folder, in quotes where there are blanks."""
    if not _SYSTEM.match(command.path):
        return None
    return _SYSTEM.sub(lambda _: f"C:\\Windows\\{folder}\\", command.path, 1)


def _full_path(command: CommandLine) -> str | None:
    return command.path if "\\" in command.path and " " not in command.path else None


def _of_32_bits(command: CommandLine) -> CommandLine | None:
    if command.program in _ONE_WIDTH:
        return None
    path = _in_system(command, "SysWOW64")
    return None if path is None else evolve(command, path=path, words=(path, *command.words[1:]))


# Changes of blanks and quotes.


def _spaced(gap: str) -> Callable[[CommandLine], CommandLine | None]:
    """Another gap between words: for PowerShell and cmd.exe too, which split at blanks."""

    def change(command: CommandLine) -> CommandLine | None:
        if not command.words[1:]:
            return None
        return evolve(command, gaps=(*(gap for _ in command.words[1:]), command.gaps[-1]))

    return change


def _trailing(command: CommandLine) -> CommandLine:
    return evolve(command, gaps=(*command.gaps[:-1], command.gaps[-1] + " "))


def _quotable(command: CommandLine, word: str) -> bool:
    return command.program in _C_ARGUMENTS and '"' not in word and word[-1:] != "\\"


def _quoted(which: slice) -> Callable[[CommandLine], CommandLine | None]:
    def change(command: CommandLine) -> CommandLine | None:
        chosen = range(1, len(command.words))[which]
        words = list(command.words)
        for place in chosen:
            if _quotable(command, words[place]):
                words[place] = f'"{words[place]}"'
        return evolve(command, words=tuple(words))

    return change


def _unquoted(command: CommandLine) -> CommandLine:
    """Without the quotes of words that need none."""
    words = tuple(
        word[1:-1]
        if re.fullmatch(r'"[^"\s]+"', word) and (place == 0 or command.program in _C_ARGUMENTS)
        else word
        for place, word in enumerate(command.words)
    )
    return evolve(command, words=words)


# Changes of arguments.


def _cased(change: Callable[[str], str]) -> Callable[[CommandLine], CommandLine | None]:
    def changed(command: CommandLine) -> CommandLine | None:
        rest = command.words[1:]
        if command.program in _ANY_CASE:
            rest = tuple(change(word) for word in rest)
        elif command.program in SHELLS and not _is_encoded(command):
            # Names of commands and parameters in any case; of words in quotes it is not known.
            rest = tuple(word if set("\"'$") & set(word) else change(word) for word in rest)
        else:
            rest = tuple(change(word) if _OPTION.fullmatch(word) else word for word in rest)
        return evolve(command, words=(change(command.words[0]), *rest))

    return changed


def _is_encoded(command: CommandLine) -> bool:
    return any(re.match(r"[-/]e(n|nc|c|$)", word, re.IGNORECASE) for word in command.words)


def _alternating(text: str) -> str:
    return "".join(c.upper() if n % 2 else c.lower() for n, c in enumerate(text))


def _signed(number: int) -> Callable[[CommandLine], CommandLine | None]:
    """Options with the sign that is so many further in the list of the program's signs."""

    def change(command: CommandLine) -> CommandLine | None:
        signs = BOTH_SIGNS.get(command.program, "")
        if number >= len(signs):
            return None
        of_shell = command.program in SHELLS
        words = list(command.words)
        for place, word in enumerate(words[1:], 1):
            if not word or word[0] not in signs or not re.match(r".[A-Za-z]", word):
                continue
            if of_shell and not _is_shell_option(word):
                # What is behind -Command is the command's own, where `/` is no sign.
                break
            words[place] = signs[(signs.index(word[0]) + number) % len(signs)] + word[1:]
        return evolve(command, words=tuple(words))

    return change


_SHELL_OPTIONS = _words(
    """-command -encodedcommand -ec -executionpolicy -ep -file -noexit -nologo -noninteractive
    -noprofile -sta -mta -version -windowstyle"""
)


def _is_shell_option(word: str) -> bool:
    return any(option.startswith("-" + word[1:].lower()) for option in _SHELL_OPTIONS)


def _reordered(command: CommandLine) -> CommandLine | None:
    """Options, each with its values, in the opposite order behind the words before them."""
    if command.program not in _FREE_ORDER:
        return None
    words = command.words
    places = [n for n, word in enumerate(words) if n and re.match(r'"?[-/][A-Za-z]', word)]
    if command.program in ("net", "net1"):
        # Options without a value of their own may stand before what they are for.
        if len(words) < 4 or len(places) != 1 or places[0] != len(words) - 1:
            return None
        return evolve(command, words=(*words[:2], words[-1], *words[2:-1]))
    if command.program in _OPTIONS_FIRST:
        # Options first, then what they are for.
        if places != list(range(1, len(places) + 1)) or len(places) < 2:
            return None
        options = tuple(reversed(words[1 : len(places) + 1]))
        return evolve(command, words=(words[0], *options, *words[len(places) + 1 :]))
    first = 2 if command.program in ("auditpol", "schtasks") else 0
    places = [n for n in places if n >= first]
    if len(places) < 2:
        return None
    ends = [*places[1:], len(words)]
    groups = [words[a:b] for a, b in zip(places, ends, strict=True)]
    turned = tuple(word for group in reversed(groups) for word in group)
    return evolve(command, words=(*words[: places[0]], *turned))


def _abbreviated(command: CommandLine) -> CommandLine | None:
    table = _ABBREVIATED.get(command.program, {})
    words = tuple(table.get(word.lower(), word) for word in command.words[1:])
    return evolve(command, words=(command.words[0], *words))


_HIVE = re.compile(r"(?<![\w\\])(HKLM|HKCU|HKU|HKCR|HKEY_[A-Z_]+)(?=[\\\s\"]|$)", re.IGNORECASE)
_SHORT = {long: short.upper() for short, long in HIVES.items() if not short.startswith("hkey")}


def _hive(command: CommandLine) -> CommandLine | None:
    """reg.exe reads long names of hives as well as short ones."""
    if command.program != "reg":
        return None

    def other(found: re.Match[str]) -> str:
        name = found[1].lower()
        return _SHORT[HIVES[name]] if name.startswith("hkey") else HIVES[name]

    return evolve(
        command,
        words=tuple(_HIVE.sub(other, word) if n else word for n, word in enumerate(command.words)),
    )


def _other_number(command: CommandLine) -> CommandLine | None:
    """Data of a REG_DWORD by another spelling of the number."""
    if command.program != "reg" or "reg_dword" not in command.text.lower():
        return None
    words = list(command.words)
    for place, word in enumerate(words[:-1]):
        number = words[place + 1]
        if word.lower() in ("/d", "-d") and re.fullmatch(r"(0x)?[0-9a-f]{1,8}", number, re.I):
            value = int(number, 16) if number.lower().startswith("0x") else int(number)
            words[place + 1] = str(value) if number.lower().startswith("0x") else f"0x{value:x}"
    return evolve(command, words=tuple(words))


def _other_program(
    old: str, new: str, path: str = ""
) -> Callable[[CommandLine], CommandLine | None]:
    def change(command: CommandLine) -> CommandLine | None:
        if command.program != old or "\\" in command.words[0]:
            return None
        folder = command.path[: len(command.path) - len(base_name(command.path))]
        ending = ".exe" if command.words[0].lower().endswith(".exe") else ""
        made = path or f"{folder}{new}.exe"
        return evolve(command, path=made, words=(new + ending, *command.words[1:]))

    return change


_CORE = "C:\\Program Files\\PowerShell\\7\\pwsh.exe"


def _replacing(
    programs: str, pattern: str, other: str | Callable[[re.Match[str]], str]
) -> Callable[[CommandLine], CommandLine | None]:
    """A part of the words behind the program written otherwise."""
    expression = re.compile(pattern, re.IGNORECASE)

    def change(command: CommandLine) -> CommandLine | None:
        if command.program not in programs.split():
            return None
        words = tuple(
            expression.sub(other, word) if n else word for n, word in enumerate(command.words)
        )
        return evolve(command, words=words)

    return change


def _alias(found: re.Match[str]) -> str:
    return _ALIASES.get(found[0].lower(), found[0])


_CMDLET = re.compile(r"(?<![\w\\-])[A-Z]+-[A-Z]+(?![\w-])", re.IGNORECASE)
_MANAGEMENT = "Microsoft.PowerShell.Management"
_MODULES = dict.fromkeys(
    _words(
        """clear-eventlog get-content limit-eventlog new-item new-itemproperty remove-eventlog
    remove-item set-itemproperty set-service start-process stop-service"""
    ),
    _MANAGEMENT,
)
_PARAMETERS = {"-value": "-val", "-logname": "-log", "-force": "-for", "-stream": "-str"}
"""Parameters by a beginning that is no other's, of the cmdlets in `_MODULES`."""


def _in_module(found: re.Match[str]) -> str:
    module = _MODULES.get(found[0].lower())
    return found[0] if module is None else f"{module}\\{found[0]}"


def _with_colons(command: CommandLine) -> CommandLine | None:
    """Parameters of a cmdlet with their values behind a colon."""
    if command.program not in SHELLS:
        return None
    text = command.text
    start = _CMDLET.search(text)
    if start is None:
        return None
    behind = re.sub(
        r"(\s-(?:LogName|Name|Path|Value|Stream))\s+(?=[^\s-])",
        r"\1:",
        text[start.end() :],
        flags=re.IGNORECASE,
    )
    return CommandLine.of(command.path, text[: start.end()] + behind)


def _turned_slashes(found: re.Match[str]) -> str:
    return found[0].replace("\\", "/")


# Behind a backslash a quote would be one that is meant.
_SPLIT_WORD = re.compile(r"^(.[^\\])")


def _quotes_inside(command: CommandLine) -> CommandLine | None:
    """Two quotes in the middle of each argument: they hold nothing, and go."""
    if command.program not in _C_ARGUMENTS or command.program in SHELLS | {"wevtutil"}:
        return None
    words = tuple(
        _SPLIT_WORD.sub(r'\1""', word) if n and len(word) > 3 and '"' not in word else word
        for n, word in enumerate(command.words)
    )
    return evolve(command, words=words)


def _carets(command: CommandLine) -> CommandLine | None:
    """The sign with which cmd.exe takes the next one as it is, inside the words behind /c."""
    if command.program != "cmd":
        return None
    words = tuple(
        f"{word[:1]}^{word[1:]}" if n > 1 and re.match(r"[a-z]{2}", word, re.I) else word
        for n, word in enumerate(command.words)
    )
    return evolve(command, words=words)


def _backticks(command: CommandLine) -> CommandLine | None:
    """PowerShell's sign of the same kind, inside names of cmdlets."""
    if command.program not in SHELLS:
        return None
    # Before these letters it is no escape.
    words = tuple(
        re.sub(r"\b([A-Z])([cdghijklmopqswxyz]\w*-[A-Z])", r"\1`\2", word, count=1, flags=re.I)
        if n
        else word
        for n, word in enumerate(command.words)
    )
    return evolve(command, words=words)


def _glued_value(command: CommandLine) -> CommandLine | None:
    """``start=disabled`` for ``start= disabled``: sc.exe of Windows 10 and later reads both."""
    if command.program != "sc" or "start= " not in command.text:
        return None
    return CommandLine.of(command.path, command.text.replace("start= ", "start="))


def _at_this_host(command: CommandLine) -> CommandLine | None:
    r"""sc.exe takes a server's name first: ``\\localhost`` is this one."""
    if command.program != "sc" or len(command.words) < 2 or command.words[1].startswith("\\\\"):
        return None
    words = (command.words[0], "\\\\localhost", *command.words[1:])
    return evolve(command, words=words, gaps=(command.gaps[0], " ", *command.gaps[1:]))


CHANGES: tuple[CommandChange, ...] = (
    CommandChange(
        "the program with its extension",
        CREATE_PROCESS,
        _named(lambda c: None if "\\" in c.words[0] else f"{c.program}.exe"),
    ),
    CommandChange("the program without extension", CREATE_PROCESS, _named(lambda c: c.program)),
    CommandChange("the program by its path", CREATE_PROCESS, _named(_full_path)),
    CommandChange(
        "the program by its path in quotes",
        CREATE_PROCESS,
        _named(lambda c: f'"{c.path}"' if "\\" in c.path else None),
    ),
    CommandChange(
        "the program's name in quotes", CREATE_PROCESS, _named(lambda c: f'"{c.program}.exe"')
    ),
    CommandChange(
        "a path with forward slashes",
        _NAMING,
        _named(lambda c: p.replace("\\", "/") if (p := _full_path(c)) else None),
    ),
    CommandChange(
        "the folder Sysnative, of a program of 32 bits",
        REDIRECTOR,
        _named(lambda c: _in_system(c, "Sysnative")),
    ),
    CommandChange("the program of 32 bits", REDIRECTOR, _of_32_bits),
    CommandChange("net1 for net", f"{MODELS}/net.json", _other_program("net", "net1")),
    CommandChange("net for net1", f"{MODELS}/net.json", _other_program("net1", "net")),
    CommandChange("pwsh for powershell", _POWERSHELL, _other_program("powershell", "pwsh", _CORE)),
    CommandChange("two blanks between words", ARGUMENTS, _spaced("  ")),
    CommandChange("a tab between words", ARGUMENTS, _spaced("\t")),
    CommandChange("a blank at the end", ARGUMENTS, _trailing),
    CommandChange("every argument in quotes", ARGUMENTS, _quoted(slice(None))),
    CommandChange("the first argument in quotes", ARGUMENTS, _quoted(slice(0, 1))),
    CommandChange("the second argument in quotes", ARGUMENTS, _quoted(slice(1, 2))),
    CommandChange("the last argument in quotes", ARGUMENTS, _quoted(slice(-1, None))),
    CommandChange("no quotes where none are needed", ARGUMENTS, _unquoted),
    CommandChange("capitals", MODELS, _cased(str.upper)),
    CommandChange("small letters", MODELS, _cased(str.lower)),
    CommandChange("letters in mixed case", MODELS, _cased(_alternating)),
    CommandChange("another sign before options", MODELS, _signed(1)),
    CommandChange("a dash of Unicode before options", MODELS, _signed(2)),
    CommandChange("options in another order", _COMMANDS, _reordered),
    CommandChange("abbreviated or long names of options", MODELS, _abbreviated),
    CommandChange("the other name of the hive", f"{_COMMANDS}reg-add", _hive),
    CommandChange("another spelling of the number", f"{_COMMANDS}reg-add", _other_number),
    CommandChange(
        "the class in place of its alias",
        f"{_LEARN}windows/win32/wmisdk/wmic",
        _replacing("wmic", r"^process$", "path win32_process"),
    ),
    CommandChange(
        "the library by its path",
        f"{_LEARN}windows/win32/api/libloaderapi/nf-libloaderapi-loadlibraryw",
        _replacing("regsvr32", r"^scrobj\.dll$", r"C:\\Windows\\System32\\scrobj.dll"),
    ),
    CommandChange(
        "the library without extension",
        f"{_LEARN}windows/win32/api/libloaderapi/nf-libloaderapi-loadlibraryw",
        _replacing("regsvr32", r"^scrobj\.dll$", "scrobj"),
    ),
    CommandChange("the local host by name", f"{_COMMANDS}sc-config", _at_this_host),
    CommandChange(
        "aliases of cmdlets",
        f"{_POWERSHELL}about_aliases",
        _replacing("powershell pwsh", r"(?<![\w-])[a-z]+-[a-z]+(?![\w-])", _alias),
    ),
    CommandChange(
        "the cmdlet with its module",
        f"{_POWERSHELL}about_command_precedence",
        _replacing("powershell pwsh", _CMDLET.pattern, _in_module),
    ),
    CommandChange(
        "abbreviated parameters of cmdlets",
        f"{_POWERSHELL}about_parameters",
        _replacing(
            "powershell pwsh",
            r"^-(value|logname|force|stream)$",
            lambda found: _PARAMETERS[found[0].lower()],
        ),
    ),
    CommandChange(
        "parameters of cmdlets with colons", f"{_POWERSHELL}about_parameters", _with_colons
    ),
    CommandChange(
        "the provider in a path of the registry",
        f"{_POWERSHELL}about_registry_provider",
        _replacing(
            "powershell pwsh",
            r"\b(HKLM|HKCU):",
            lambda found: f"Registry::{HIVES[found[1].lower()]}",
        ),
    ),
    CommandChange(
        "forward slashes in paths of PowerShell",
        f"{MODELS}/powershell.json",
        _replacing("powershell pwsh", r"\b[A-Z]+:\\[^\"\n]*", _turned_slashes),
    ),
    CommandChange(
        "two backslashes in paths of PowerShell",
        f"{MODELS}/powershell.json",
        _replacing(
            "powershell pwsh",
            r"\b[A-Z]+:\\[^\"\n]*",
            lambda found: found[0].replace("\\", "\\\\"),
        ),
    ),
    CommandChange("erase for del", f"{_COMMANDS}erase", _replacing("cmd", r"^del$", "erase")),
    CommandChange(
        "another option of cmd.exe first", f"{_COMMANDS}cmd", _replacing("cmd", "^/c$", "/q /c")
    ),
    CommandChange(
        "no blank behind start=",
        f"{_COMMANDS}sc-config",
        _glued_value,
    ),
    CommandChange(
        "the library in quotes",
        f"{_COMMANDS}rundll32",
        _replacing("rundll32", r'^([^",\s]+),', r'"\1",'),
    ),
    CommandChange(
        "the current folder inside the path",
        _NAMING,
        _named(lambda c: p.replace("\\", "\\.\\", 1) if (p := _full_path(c)) else None),
    ),
    CommandChange(
        "a folder by a variable",
        f"{_COMMANDS}set_1",
        _replacing("cmd", r"C:\\Windows(?=\\)", "%SystemRoot%"),
    ),
    CommandChange(
        "a folder by a variable of PowerShell",
        f"{_POWERSHELL}about_environment_variables",
        _replacing("powershell pwsh", r"C:\\Windows(?=\\)", "$env:windir"),
    ),
    CommandChange("quotes inside arguments", MODELS, _quotes_inside, hides=True),
    CommandChange("carets inside words", f"{_COMMANDS}cmd", _carets, hides=True),
    CommandChange(
        "backticks inside cmdlets",
        f"{_POWERSHELL}about_special_characters",
        _backticks,
        hides=True,
    ),
)
