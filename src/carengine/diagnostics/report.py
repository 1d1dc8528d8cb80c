"""Diagnostics: what the program has to say about a rule, a field map or a file.

A ``Code`` is declared once, in ``codes``, and never changes its meaning. A ``Diagnostic`` is
one finding: a code, a sentence about this case, the span it is about, further labelled
spans, notes, and where possible a fix. Findings are collected, sorted and shown together;
nothing stops at the first::

    error[CE201]: Process has no field "comand_line"
      --> rules/x.car:5:3
       |
     5 |   comand_line = "*a*"
       |   ^^^^^^^^^^^ not a field of Process
       |
       = help: write command_line
"""

from __future__ import annotations

import enum
import errno
import os
import re
import unicodedata
from collections.abc import Iterable
from typing import Any

from attrs import field, frozen

from .source import Span


class Severity(enum.Enum):
    """How grave a finding is. An error refuses the rule; a warning and a note do not.

    >>> [severity.value for severity in Severity], Severity.ERROR.rank
    (['error', 'warning', 'note'], 0)
    """

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"

    @property
    def rank(self) -> int:
        """0 for the gravest."""
        return list(Severity).index(self)


@frozen
class Code:
    """The declaration of a kind of finding.

    ``id`` is stable (``CE201``), ``title`` names the kind, ``explanation`` tells somebody
    who has never seen the code what it means and what to do.

    >>> from carengine.diagnostics import codes
    >>> codes.ALL["CE548"].severity.value, codes.ALL["CE548"] is codes.UNCLAIMED_MATCHES
    ('warning', True)
    """

    id: str
    severity: Severity
    title: str
    explanation: str


@frozen
class Edit:
    """Replace a span's characters with a text."""

    span: Span
    text: str


@frozen
class Fix:
    """A way to mend a finding: what to do in words and as edits.

    ``safe`` fixes keep the meaning the author evidently had and may be applied unasked
    (``check --fix``).
    """

    message: str
    edits: tuple[Edit, ...] = ()
    safe: bool = False


@frozen
class Label:
    """Something to say about a second place."""

    span: Span
    text: str


@frozen
class Diagnostic:
    """One finding. ``span`` is None where there is no place to point at.

    ``label`` is the few words under the caret; ``origin`` names what a finding without a
    span is about (a file, a rule's id).

    ``str(diagnostic)`` is one line for logs; `render` shows the text with a caret.

    >>> import carengine
    >>> try:
    ...     carengine.parse_rule("a = search Proces:Create output a", "my.car")
    ... except carengine.CarError as error:
    ...     print(error.diagnostics[0])
    my.car:1:12: error CE201: the data model has no object Proces
    """

    code: Code
    message: str
    span: Span | None = None
    label: str = ""
    labels: tuple[Label, ...] = ()
    notes: tuple[str, ...] = ()
    fix: Fix | None = None
    origin: str = ""

    @property
    def severity(self) -> Severity:
        """The code's severity."""
        return self.code.severity

    @property
    def where(self) -> str:
        """``file:line:column``, or as much of it as is known."""
        if self.span is None:
            return self.origin
        return f"{self.span.source.name}:{self.span.line}:{self.span.column}"

    def __str__(self) -> str:
        where = f"{self.where}: " if self.where else ""
        return visible(f"{where}{self.severity.value} {self.code.id}: {self.message}")

    def sort_key(self) -> tuple[str, int, int, int, str, str]:
        """By file, then place, then gravity."""
        name = self.span.source.name if self.span else self.origin
        start, end = (self.span.start, self.span.end) if self.span else (-1, -1)
        return name, start, end, self.severity.rank, self.code.id, self.message


def ordered(diagnostics: Iterable[Diagnostic]) -> tuple[Diagnostic, ...]:
    """The findings sorted by file and place, each once."""
    return tuple(sorted(dict.fromkeys(diagnostics), key=Diagnostic.sort_key))


def has_errors(diagnostics: Iterable[Diagnostic]) -> bool:
    """Whether any of them is an error."""
    return any(item.severity is Severity.ERROR for item in diagnostics)


class CarError(Exception):
    """What carengine raises. ``diagnostics`` tells everything that is wrong, not the first.

    >>> import carengine
    >>> try:
    ...     carengine.parse_rule("a = search Process:Create", "my.car")
    ... except carengine.CarError as error:
    ...     print([item.code.id for item in error.diagnostics])
    ['CE213']
    """

    def __init__(self, diagnostics: Iterable[Diagnostic]) -> None:
        self.diagnostics = ordered(diagnostics)
        super().__init__("\n".join(render(item) for item in self.diagnostics))

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.diagnostics,)


class PathNotFoundError(CarError, FileNotFoundError):
    """A path that was named and is not there. It is a `FileNotFoundError`, too.

    ``filename`` is the first of the paths; ``diagnostics`` has a finding for each.

    >>> import carengine
    >>> try:
    ...     carengine.load_rules("/no/such/folder")
    ... except FileNotFoundError as error:
    ...     print(error.filename)
    /no/such/folder
    """

    def __init__(self, diagnostics: Iterable[Diagnostic]) -> None:
        super().__init__(diagnostics)
        self.errno = errno.ENOENT
        self.filename = next((item.origin for item in self.diagnostics), None)

    def __str__(self) -> str:
        return "\n".join(map(render, self.diagnostics))


def refuse_missing(paths: Iterable[str | os.PathLike[str]], code: Code) -> None:
    """Raise `PathNotFoundError`, with a finding of this code for each path that does not exist."""
    missing = [os.fspath(path) for path in paths if is_missing(path)]
    if missing:
        message = "there is no file or folder of this name"
        raise PathNotFoundError(Diagnostic(code, message, origin=path) for path in missing)


def is_missing(path: str | os.PathLike[str]) -> bool:
    """Whether nothing is at a path. Of one in a folder that may not be looked into that is not
    known, so that it is not missing."""
    try:
        os.stat(path)
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return True
    except OSError:
        return False
    return False


@frozen
class _Paint:
    on: bool = field(default=False)

    def __call__(self, code: str, text: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self.on and text else text


_COLOURS = {Severity.ERROR: "1;31", Severity.WARNING: "1;33", Severity.NOTE: "1;36"}
_WIDTH = 100


def render(diagnostic: Diagnostic, *, colour: bool = False) -> str:
    """A finding as text for people: headline, place, the line with a caret, notes, help.

    >>> from carengine.diagnostics import Diagnostic, codes
    >>> print(render(Diagnostic(codes.NO_RULES, "there is no rule in it", origin="x.car")))
    error[CE309]: there is no rule in it
     --> x.car
    """
    paint = _Paint(colour)
    tint = _COLOURS[diagnostic.severity]
    head = paint(tint, f"{diagnostic.severity.value}[{diagnostic.code.id}]")
    lines = [f"{head}: {visible(diagnostic.message)}"]
    gutter = 1
    if diagnostic.span is not None:
        spots = [(diagnostic.span, diagnostic.label, "^", tint)]
        spots += [(label.span, label.text, "-", "1;34") for label in diagnostic.labels]
        gutter = max(len(str(span.line)) for span, *_ in spots) + 1
        edge = " " * gutter + paint("1;34", " |")
        for number, (span, text, mark, hue) in enumerate(spots):
            arrow = "-->" if number == 0 or span.source is not spots[0][0].source else ":::"
            place = f"{visible(span.source.name)}:{span.line}:{span.column}"
            lines.append(" " * gutter + paint("1;34", arrow) + f" {place}")
            lines.append(edge)
            shown, caret = _excerpt(span, mark)
            lines.append(paint("1;34", f"{span.line:>{gutter}} |") + f" {shown}")
            lines.append(edge + " " + paint(hue, f"{caret} {visible(text)}".rstrip()))
    elif diagnostic.origin:
        lines.append(" " * gutter + paint("1;34", "-->") + f" {visible(diagnostic.origin)}")
    lines += [" " * gutter + f" = note: {visible(note)}" for note in diagnostic.notes]
    if diagnostic.fix is not None:
        lines.append(" " * gutter + f" = help: {visible(diagnostic.fix.message)}")
    return "\n".join(lines)


def _excerpt(span: Span, mark: str) -> tuple[str, str]:
    """The span's first line, cut to a width that can be read, and the marks under it."""
    text = span.source.line(span.line)
    start = min(span.column - 1, len(text))
    end = min(len(text), start + max(1, span.end - span.start))
    left = max(0, start - _WIDTH // 2) if len(text) > _WIDTH else 0
    right = min(len(text), left + _WIDTH)
    before = _visible(text[left:start])
    inside = _visible(text[start : min(end, right)])
    after = _visible(text[min(end, right) : right])
    prefix = "…" if left else ""
    suffix = "…" if right < len(text) else ""
    caret = " " * (_columns(before) + len(prefix)) + mark * max(1, _columns(inside))
    return f"{prefix}{before}{inside}{after}{suffix}", caret


def _visible(text: str) -> str:
    """The text with tabs as spaces and control characters escaped, safe for a terminal."""
    if text.isascii() and text.isprintable():
        return text
    shown = []
    heaped = 0
    for character in text:
        heaped = heaped + 1 if unicodedata.category(character) in ("Mn", "Me") else 0
        if character == "\t":
            shown.append("    ")
        elif character == "\n" or (_harmless(character) and heaped <= _HEAPED):
            shown.append(character)
        else:
            shown.append(f"\\u{ord(character):04x}")
    return "".join(shown)


# Scripts put up to this many marks on a letter: points, accents and signs of Hebrew or Tibetan.
_HEAPED = 4
# What is printable by its category, and shows nothing: Unicode's Default_Ignorable_Code_Point
# (https://www.unicode.org/Public/UCD/latest/ucd/DerivedCoreProperties.txt) without the formats (Cf),
# and the empty pattern of Braille.
_UNSEEN = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0"
    "\U000e0000-\U000e0fff]"
)


def counted(number: int, one: str, several: str = "") -> str:
    """A number of things in words; ``several`` is the plural where it is not ``one`` with an s.

    >>> counted(1, "rule"), counted(1200, "match", "matches")
    ('1 rule', '1,200 matches')
    """
    return f"{number:,} {one if number == 1 else several or one + 's'}"


def visible(text: str) -> str:
    """A text of unknown origin as one line that no terminal takes for anything but text.

    Control characters, direction marks, what takes no room and lone surrogates become escapes, and
    so does what is heaped on one letter: more than four marks would cover the lines around.

    >>> visible("a\\x1b[2J\\nb")
    'a\\\\u001b[2J\\\\nb'
    """
    return _visible(text).replace("\n", "\\n")


def _harmless(character: str) -> bool:
    return (
        character.isprintable()
        and unicodedata.category(character) != "Cf"
        and not _UNSEEN.match(character)
    )


def _columns(text: str) -> int:
    """How many terminal columns a text takes."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1
        for c in text
    )


def as_json(diagnostic: Diagnostic) -> dict[str, Any]:
    """A finding as plain data: code, severity, message, file, line, column, fix."""
    data: dict[str, Any] = {
        "code": diagnostic.code.id,
        "title": diagnostic.code.title,
        "severity": diagnostic.severity.value,
        "message": diagnostic.message,
        **_place(diagnostic.span, diagnostic.origin),
    }
    if diagnostic.label:
        data["label"] = diagnostic.label
    if diagnostic.labels:
        data["related"] = [{"message": x.text, **_place(x.span, "")} for x in diagnostic.labels]
    if diagnostic.notes:
        data["notes"] = list(diagnostic.notes)
    if diagnostic.fix is not None:
        data["fix"] = {
            "message": diagnostic.fix.message,
            "safe": diagnostic.fix.safe,
            "edits": [{"text": e.text, **_place(e.span, "")} for e in diagnostic.fix.edits],
        }
    return data


def _place(span: Span | None, origin: str) -> dict[str, Any]:
    if span is None:
        return {"file": origin} if origin else {}
    end_line, end_column = span.source.position(span.end)
    return {
        "file": span.source.name,
        "line": span.line,
        "column": span.column,
        "end_line": end_line,
        "end_column": end_column,
    }
