r"""Texts that a field cannot have, and expressions that say something else than they seem to.

These are the slips of people who know what they want: ``image_path = "cmd.exe"``, ``extension =
"exe"``, ``match "C:\Windows"``, ``exe = "%cmd%"``. What a field holds is ``forms``' business;
how a text is written in a language, and where, that of the caller.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import cache

from attrs import evolve, frozen

from .. import ir
from ..diagnostics import Code, codes
from ..ir import Relation, Type
from ..pattern import Pattern, fold, tokenize
from ..solver.facts import Facts
from ..syntax.lexical import quoted
from ..values import address_of, number_of
from .forms import DIGITS, FieldForm, KnownForm, form_of

Change = Callable[[str], str]


@frozen
class Doubt:
    """What is wrong with a text of an atom, and what to do.

    ``text`` is the text or expression as the atom has it, None where the whole atom is meant.
    ``change`` makes the text that is meant of the one that is written; None where more than the
    text has to change. ``ending`` tells that the text should be asked for behind a folder.
    """

    code: Code
    message: str
    advice: str
    text: str | None = None
    change: Change | None = None
    notes: tuple[str, ...] = ()
    ending: bool = False


def doubts(atom: ir.Condition, facts: Facts) -> Iterator[Doubt]:
    """What is doubtful about the texts of one test."""
    match atom:
        case ir.Match(value, patterns):
            found = form_of(value, facts)
            for pattern in patterns:
                doubt = _pattern(value, pattern, found)
                if doubt is not None:
                    yield doubt
        case ir.Regex(value, pattern):
            form = form_of(value, facts)
            path = form is not None and form.form in (FieldForm.PATH, FieldForm.KEY)
            doubt = _path_in_regex(pattern, path=path)
            if doubt is not None:
                yield doubt
        case ir.RawRegex(pattern):
            doubt = _path_in_regex(pattern)
            if doubt is not None:
                yield doubt
        case ir.Compare(left, relation, right):
            yield from _comparison(left, relation, right, facts)
        case _:
            return


# Texts


def _pattern(value: ir.Value, pattern: Pattern, found: KnownForm | None) -> Doubt | None:
    text = pattern.text
    if found is not None and text.strip("*?"):
        name = _name(value)
        doubt = _of_form(name, text, found)
        if doubt is not None:
            return doubt
    if isinstance(value, ir.Field) and value.type in (Type.TEXT, Type.ANY):
        return _percent(text) or _half_percent(text, found) or _doubled_throughout(value, text)
    return None


def _of_form(name: str, text: str, found: KnownForm) -> Doubt | None:
    match found.form:
        case FieldForm.PATH:
            return (
                _doubled(name, text) or _slashes(name, text) or _without_folder(name, text, found)
            )
        case FieldForm.KEY:
            return _doubled(name, text) or _slashes_in_key(name, text)
        case FieldForm.NAME:
            return _with_folder(name, text) if found.native else None
        case FieldForm.DOTTED_EXTENSION:
            if text[0] not in ".*?":
                return _form(
                    f"{name} begins with a dot, and {quoted(text)} does not",
                    text,
                    lambda written: "." + written,
                )
        case FieldForm.EXTENSION:
            if text[0] == ".":
                return _form(
                    f"{name} has no dot at its beginning, and {quoted(text)} has",
                    text,
                    lambda written: written.removeprefix("."),
                )
        case FieldForm.INTEGRITY:
            return _integrity(name, text)
        case FieldForm.HASH:
            return _hash(name, text, found.digits)
        case FieldForm.HASHES:
            return _hashes(name, text)
        case FieldForm.NUMBER:
            return _number(name, text)
        case FieldForm.ADDRESS:
            return _address(name, text, native=found.native)
    return None


def _form(message: str, text: str, change: Change) -> Doubt:
    return Doubt(codes.UNLIKELY_TEXT, message, f"write {quoted(change(text))}", text, change)


# Two backslashes between two names: not at the beginning, where a network path has two.
_DOUBLED = re.compile(r"(?<=[^\\*?])\\\\(?!\\)")
_DOUBLED_AT_START = re.compile(r"\*\\\\[^\\*?]+")


def _doubled(name: str, text: str) -> Doubt | None:
    if _DOUBLED.search(text) is None and _DOUBLED_AT_START.fullmatch(text) is None:
        return None

    def change(written: str) -> str:
        return re.sub(r"\\\\", lambda _: "\\", written)

    return Doubt(
        codes.UNLIKELY_TEXT,
        f"{name} has one backslash between two names, and {quoted(text)} has two",
        f"write {quoted(change(text))}",
        text,
        change,
        ("a backslash is an ordinary character in a text: it needs no second one",),
    )


# A path from its drive on, or a folder of Windows, in which no backslash is alone.
_DOUBLED_PATH = re.compile(
    r"[^\\]*[A-Za-z]:\\\\[^\\]+\\\\(?:[^\\]+\\\\)*[^\\]*"
    r"|[^\\]*\\\\(?:appdata|program files|programdata|public|system32|temp|users|windows)[^\\]*"
    r"\\\\(?:[^\\]+\\\\)*[^\\]*",
    re.IGNORECASE,
)
_COMMAND_LINES = frozenset(
    {"command_line", "parent_command_line", "commandline", "parentcommandline"}
)


def _doubled_throughout(value: ir.Field, text: str) -> Doubt | None:
    """A path in a command line, where programs may write anything, but hardly this."""
    if value.name.lower() not in _COMMAND_LINES or _DOUBLED_PATH.fullmatch(text) is None:
        return None
    return _doubled(value.name, text)


# Slashes throughout, and a folder or a file that only Windows has.
_SLASHES = re.compile(
    r"\**[A-Za-z]:/|.*/(?:windows|program files(?: \(x86\))?|programdata)/"
    r"|.*/(?:appdata|system32|syswow64|temp)/"
    r"|(?!/)[^\\]*/[^\\/]*\.(?:bat|cmd|dll|exe|lnk|msi|ps1|scr|sys|vbs)",
    re.IGNORECASE,
)
_SLASHES_IN_KEY = re.compile(
    r"[^\\]*(?:hklm|hkcu|hku|hkcr|hkey_\w+|software|currentversion|services)/[^\\]*", re.IGNORECASE
)


def _slashes(name: str, text: str) -> Doubt | None:
    if _SLASHES.match(text) is None:
        return None
    return _form(
        f"{name} of a Windows machine has backslashes, and {quoted(text)} has slashes",
        text,
        lambda written: written.replace("/", "\\"),
    )


def _slashes_in_key(name: str, text: str) -> Doubt | None:
    if _SLASHES_IN_KEY.fullmatch(text) is None:
        return None
    return _form(
        f"{name} has backslashes, and {quoted(text)} has slashes",
        text,
        lambda written: written.replace("/", "\\"),
    )


_FILE = re.compile(r"[A-Za-z0-9_ .$~{}()-]+\.[A-Za-z][A-Za-z0-9]{1,3}\*?")


def _without_folder(name: str, text: str, found: KnownForm) -> Doubt | None:
    if _FILE.fullmatch(text) is None:
        return None
    message = f"{name} is {found.form.value}, and {quoted(text)} has no folder"
    if found.native:
        better = quoted("*\\" + text)
        advice = f"ask for what {name} ends with: {better}"
        return Doubt(codes.UNLIKELY_TEXT, message, advice, text, ending=True)
    return _form(message, text, lambda written: "*\\" + written)


def _with_folder(name: str, text: str) -> Doubt | None:
    if "\\" not in text and re.match(r"/|[A-Za-z]:/", text) is None:
        return None
    if name == "file.name" and "pipe" in text.lower():
        # Elastic's agents write the whole name of a named pipe there.
        return None
    message = f"{name} is {FieldForm.NAME.value}, and {quoted(text)} has a separator in it"
    if text.rfind("\\") == 0 and len(text) > 1:
        advice = f"write {quoted(text[1:])}"
        change = _without_separator
        return Doubt(codes.PATH_FOR_BASE_NAME, message, advice, text, change)
    advice = "compare the field that holds the path, or leave the folders out"
    return Doubt(codes.PATH_FOR_BASE_NAME, message, advice, text)


def _without_separator(written: str) -> str:
    return written.lstrip("\\")


_LEVELS = ("untrusted", "low", "medium", "medium plus", "high", "system", "protected process")
_LEVEL_NUMBERS = (0, 4096, 8192, 8448, 12288, 16384, 20480, 28672)


@cache
def _level_texts() -> tuple[str, ...]:
    """The ways in which logs write integrity levels."""
    names = [*_LEVELS, "mediumplus", "medium_plus", "protectedprocess", "protected", "appcontainer"]
    names += ["secure process", "unknown", "?"]
    numbers = [f"S-1-16-{number}" for number in _LEVEL_NUMBERS]
    numbers += [text for one in _LEVEL_NUMBERS for text in (str(one), hex(one))]
    labels = [f"Mandatory Label\\{level} Mandatory Level" for level in _LEVELS]
    labels += [f"{level} Mandatory Level" for level in _LEVELS]
    return (*names, *numbers, *labels)


def _integrity(name: str, text: str) -> Doubt | None:
    pattern = Pattern(text)
    if any(pattern.matches(level) for level in _level_texts()):
        return None
    meant = {"admin": "high", "administrator": "high", "elevated": "high", "limited": "medium"}
    near = meant.get(fold(text.strip("*")))
    advice = f"did you mean {near}?" if near else f"levels are {', '.join(_LEVELS[:6])}"
    message = f"{quoted(text)} is no integrity level of Windows"
    return Doubt(codes.UNLIKELY_TEXT, message, advice, text)


_NAMED_HASH = re.compile(r"(md5|imphash|sha1|sha256)\s*[=:]\s*", re.IGNORECASE)
_NO_HEXADECIMAL = re.compile(r"[^0-9A-Fa-f*?]")


def _hash(name: str, text: str, digits: int) -> Doubt | None:
    named = _NAMED_HASH.match(text)
    if named is not None:
        return _form(
            f"{name} holds the hash alone, and {quoted(_short(text))} begins with its name",
            text,
            lambda written: _NAMED_HASH.sub("", written, count=1),
        )
    wild = "*" in text or "?" in text
    length = sum(len(one) if isinstance(one, str) else 0 for one in tokenize(text))
    other = [hash_ for hash_, many in DIGITS.items() if many == length and not wild]
    if _NO_HEXADECIMAL.search(text) is not None:
        message = f"{name} is {digits} hexadecimal digits, and {quoted(_short(text))} has others"
    elif length > digits or (not wild and length < digits):
        message = f"{name} is {digits} hexadecimal digits, and {quoted(_short(text))} is {length}"
    else:
        return None
    advice = f"{length} digits are of {' or '.join(other)}" if other else "look the hash up again"
    return Doubt(codes.UNLIKELY_TEXT, message, advice, text)


_HASH_IN_LIST = re.compile(r"(md5|imphash|sha1|sha256)=([0-9a-z]*)", re.IGNORECASE)


def _hashes(name: str, text: str) -> Doubt | None:
    for which, value in _HASH_IN_LIST.findall(text):
        digits = DIGITS[which.lower()]
        if _NO_HEXADECIMAL.search(value) is None and len(value) <= digits:
            continue
        what = "others" if _NO_HEXADECIMAL.search(value) is not None else f"{len(value)} digits"
        return Doubt(
            codes.UNLIKELY_TEXT,
            f"{which} is {digits} hexadecimal digits, and {quoted(_short(value))} has {what}",
            "look the hash up again",
            text,
        )
    return None


def _number(name: str, text: str) -> Doubt | None:
    if "*" in text or "?" in text:
        rest = text.replace("*", "").replace("?", "")
        if re.fullmatch(r"[0-9a-fA-Fx.,+-]*", rest):
            return None
    elif not text or number_of(text, hexadecimal=True) is not None or text in ("-", "<unknown>"):
        return None
    message = f"{name} is a number, and {quoted(_short(text))} is none"
    return Doubt(codes.TEXT_AS_NUMBER, message, "write a number", text)


def _address(name: str, text: str, *, native: bool) -> Doubt | None:
    if "*" in text or "?" in text:
        rest = re.sub(r"[*?]", "", text)
        if re.fullmatch(r"[0-9a-fA-F.:%]*", rest):
            return None
    elif not text or address_of(text) is not None or text in ("-", "localhost"):
        return None
    elif re.fullmatch(r"[0-9a-fA-F.:]+/[0-9]{1,3}", text):
        advice = "a network stands without quotes: 10.0.0.0/8"
        if native:
            advice = f"compare it with the network: `{name}|cidr` in Sigma, `cidrMatch` in EQL"
        message = f"{name} is {FieldForm.ADDRESS.value}, and {quoted(text)} is a network"
        return Doubt(codes.UNLIKELY_TEXT, message, advice, text)
    message = f"{name} is {FieldForm.ADDRESS.value}, and {quoted(_short(text))} is none"
    return Doubt(codes.UNLIKELY_TEXT, message, "write an address, or compare the name", text)


# Environment variables of Windows, which stand between percent signs in command lines and keys.
_VARIABLES = re.compile(
    r"%(?:all|app|common|comspec|home|local|log|path|pr|public|ps|session|sys|temp|tmp|user|win|cd"
    r"|date|time|random|error|cmd(?:cmdline|extversion)|computer|number|os|client|drive|one|%)",
    re.IGNORECASE,
)


def _percent(text: str) -> Doubt | None:
    inner = text.strip("%")
    both = text.startswith("%") and text.endswith("%")
    if not inner or "%" in inner or "*" in text or not both or _VARIABLES.match(text):
        return None
    if re.fullmatch(r"[A-Z0-9_]+", inner) or text.startswith("%%"):
        # It may be a variable of somebody's own, or a message of Windows' event log.
        return None
    return Doubt(
        codes.SQL_WILDCARD,
        f"`%` is no wildcard: {quoted(text)} is asked for as it is written",
        f"write {quoted('*' + inner + '*')}",
        text,
        lambda written: "*" + written.strip("%") + "*",
    )


def _half_percent(text: str, found: KnownForm | None) -> Doubt | None:
    """One ``%`` at an end of a name or a path, where it would be a wildcard elsewhere."""
    if found is None or found.form not in (FieldForm.PATH, FieldForm.NAME, FieldForm.KEY):
        return None
    if text.count("%") != 1 or text.strip("%") == text or len(text) == 1 or "*" in text:
        return None
    return Doubt(
        codes.SQL_WILDCARD,
        f"`%` is no wildcard: {quoted(text)} is asked for as it is written",
        f"write {quoted(text.replace('%', '*'))}",
        text,
        lambda written: written.replace("%", "*"),
    )


# Expressions

_ESCAPES = "AaBbCDdEfnQrSstvWwxz"
_FOLDERS = (
    "appdata",
    "desktop",
    "device",
    "documents",
    "downloads",
    "drivers",
    "fonts",
    "roaming",
    "services",
    "software",
    "startup",
    "syswow64",
    "system",
    "system32",
    "tasks",
    "temp",
    "tools",
    "wbem",
    "windows",
    "winevt",
)
_PATH_IN_REGEX = re.compile(
    rf"(?<!\\)(?:\\\\)*(?:(?<=:)\\[{_ESCAPES}](?=[a-z]{{3}})|\\(?:{'|'.join(_FOLDERS)})(?![a-z+*?{{]))",
    re.IGNORECASE,
)
_SINGLE = re.compile(r"(?<!\\)((?:\\\\)*)\\(?=[A-Za-z]{2})")


# Hardly a path is asked for by a digit in the middle of a word, and none by the end of a line; and
# between two letters of a word there is no boundary.
_IN_A_PATH = re.compile(r"(?<=[A-Za-z0-9])(?<!\\[A-Za-z])\\[AabBdDfnrtvWwz](?=[a-z]{2})")


def _path_in_regex(pattern: str, *, path: bool = False) -> Doubt | None:
    found = _PATH_IN_REGEX.search(pattern)
    if found is None and path:
        found = _IN_A_PATH.search(pattern)
    if found is None:
        return None
    sign = found[0][-1] if found[0][-2:-1] == "\\" else found[0][found[0].rindex("\\") + 1]

    def change(written: str) -> str:
        return _SINGLE.sub(lambda one: one[1] + "\\\\", written)

    return Doubt(
        codes.PATH_IN_REGEX,
        f"`\\{sign}` is a sign of regular expressions here, and no backslash of a path",
        f"write {quoted(_short(change(pattern)))}",
        pattern,
        change,
    )


# Comparisons


_NO_NUMBERS = frozenset({FieldForm.PATH, FieldForm.NAME, FieldForm.KEY, FieldForm.INTEGRITY})


def _comparison(
    left: ir.Value, relation: Relation, right: ir.Value, facts: Facts
) -> Iterator[Doubt]:
    if isinstance(left, ir.Field) and left == right and relation is Relation.EQUAL:
        name = f"{left.source}.{left.name}" if left.source else left.name
        yield Doubt(
            codes.COMPARED_WITH_ITSELF,
            f"{name} is compared with itself",
            "name the other stream" if left.source else "compare it with another field",
        )
    for value, other in ((left, right), (right, left)):
        if not isinstance(value, ir.Field) or not isinstance(other, ir.Constant):
            continue
        number = isinstance(other.value, int | float) and not isinstance(other.value, bool)
        form = form_of(value, facts) if number and relation is Relation.EQUAL else None
        if form is not None and form.form is FieldForm.HASH:
            doubt = _hash(_name(value), str(other.value), form.digits)
            if doubt is not None:
                yield evolve(doubt, text=None)
        elif form is not None and form.form in _NO_NUMBERS and other.value not in _LEVEL_NUMBERS:
            yield Doubt(
                codes.TEXT_AS_NUMBER,
                f"{value.name} is {form.form.value}, and {other.value} is a number",
                "compare it with a text, or compare another field",
            )
        is_number = value.type in (Type.NUMBER, Type.INTEGER)
        if is_number and isinstance(other.value, str) and number_of(other.value) is None:
            yield Doubt(
                codes.TEXT_AS_NUMBER,
                f"{value.name} is a number, and {quoted(_short(other.value))} is none",
                "write a number",
                other.value,
            )
        if value.type is Type.TEXT and relation is not Relation.EQUAL and number:
            yield Doubt(
                codes.TEXT_AS_NUMBER,
                f"{value.name} is a text, and `{relation.value}` compares it with a number",
                "compare it with a text, or compare another field",
            )


def _name(value: ir.Value) -> str:
    if isinstance(value, ir.Field):
        return f"{value.source}.{value.name}" if value.source else value.name
    return "the field"


def _short(text: str) -> str:
    return text if len(text) <= 60 else text[:59] + "…"
