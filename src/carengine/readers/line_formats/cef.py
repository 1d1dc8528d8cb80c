r"""CEF and LEEF, the two formats in which security products write to a SIEM.

::

    CEF:0|Vendor|Product|1.0|100|worm stopped|10|src=10.0.0.1 act=blocked msg=it said a\=b
    {"cef_version": "0", "device_vendor": "Vendor", "device_product": "Product",
     "device_version": "1.0", "signature_id": "100", "name": "worm stopped", "severity": "10",
     "src": "10.0.0.1", "act": "blocked", "msg": "it said a=b"}

    LEEF:2.0|Vendor|Product|1.0|100|^|src=10.0.0.1^usrName=ann
    {"leef_version": "2.0", "device_vendor": "Vendor", "device_product": "Product",
     "device_version": "1.0", "signature_id": "100", "src": "10.0.0.1", "usrName": "ann"}

The keys of the extension keep their names. A custom key with a label (``cs1=x cs1Label=Rule``) is
there under its label too (``Rule``), unless a key of that name is. Either may stand behind a syslog
header; then the event has ``syslog`` beside these.

Sources: ArcSight Common Event Format, Implementing Guide, version 25; IBM, "Log Event Extended
Format (LEEF)", version 2.
"""

from __future__ import annotations

import re
from typing import Any

from .model import LineFormat, Outcome, most
from .templates import LineTemplates

_UNESCAPED_BAR = re.compile(r"(?<!\\)((?:\\\\)*)\|")
_KEY = re.compile(r"(?:^|(?<=\s))([\w.\[\]-]{1,128})=")
_NAME = re.compile(r"[\w.\[\]-]{1,128}")
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_HEADER = (
    "device_vendor",
    "device_product",
    "device_version",
    "signature_id",
    "name",
    "severity",
)
_LABEL = re.compile(r"(?:c[nsf]p?|flexString|flexNumber|flexDate|deviceCustomDate|c6a)\w{0,8}Label")
_CONTROL = {"n": "\n", "r": "\r", "t": "\t"}
_MAX_KEYS = 1_000


def parse_cef(text: str) -> Outcome:
    """The event of a text that begins with ``CEF:``, or why there is none.

    >>> parse_cef("CEF:0|V|P|1|2|n|5|a=1 b=x y cs1=r cs1Label=Rule")["Rule"]
    'r'
    """
    parts = _bars(text, 7)
    if len(parts) != 8:
        return f"has {len(parts) - 1} of the 7 parts of a CEF header"
    event: dict[str, Any] = {"cef_version": parts[0].partition(":")[2].strip()}
    event.update(zip(_HEADER, (_header_text(part) for part in parts[1:7]), strict=True))
    _extend(event, parts[7])
    return event


def parse_leef(text: str) -> Outcome:
    """The event of a text that begins with ``LEEF:``, or why there is none."""
    version = text.partition(":")[2].partition("|")[0].strip()
    second = version.startswith("2")
    parts = _bars(text, 6 if second else 5)
    if len(parts) < 6:
        return f"has {len(parts) - 1} of the 5 parts of a LEEF header"
    event: dict[str, Any] = {"leef_version": version}
    event.update(zip(_HEADER[:4], (_header_text(part) for part in parts[1:5]), strict=True))
    delimiter = "\t"
    if second and len(parts) == 7:
        delimiter = _delimiter(parts[5])
        attributes = parts[6]
    else:
        attributes = "|".join(parts[5:])
    pairs = attributes.split(delimiter)
    if len(pairs) == 1 and delimiter not in attributes:
        # Some products separate the attributes by blanks, as CEF does.
        _extend(event, attributes)
        return event
    for pair in pairs[:_MAX_KEYS]:
        name, equals, value = pair.strip().partition("=")
        if equals and name:
            event.setdefault(name, value)
    return event


def _bars(text: str, most_parts: int) -> list[str]:
    """The parts between the first bars that no backslash escapes."""
    if "\\|" not in text:
        return text.split("|", most_parts)
    parts: list[str] = []
    start = 0
    for found in _UNESCAPED_BAR.finditer(text):
        parts.append(text[start : found.end() - 1])
        start = found.end()
        if len(parts) == most_parts:
            break
    return [*parts, text[start:]]


def _header_text(text: str) -> str:
    return _ESCAPE.sub(r"\1", text) if "\\" in text else text


def _extend(event: dict[str, Any], extension: str) -> None:
    """Add the pairs of an extension: a value goes on up to the next key."""
    if (pairs := _plain_pairs(extension)) is None:
        pairs = _any_pairs(extension)
    labels: list[tuple[str, str]] = []
    for name, value in pairs:
        event.setdefault(name, value)
        if name.endswith("Label") and _LABEL.fullmatch(name):
            labels.append((name.removesuffix("Label"), value))
    for name, label in labels:
        if name in event and label:
            event.setdefault(label, event[name])


def _plain_pairs(extension: str) -> list[tuple[str, str]] | None:
    """The pairs of an extension in which each ``=`` ends a key, which most are; else None.

    Cutting at every ``=`` is several times as fast as looking for keys.
    """
    if "\\" in extension:
        return None
    pairs: list[tuple[str, str]] = []
    first, *pieces = extension.split("=")
    key = first.lstrip()
    if not pieces or not _NAME.fullmatch(key) or len(pieces) > _MAX_KEYS:
        return None
    for piece in pieces[:-1]:
        value, _, following = piece.rpartition(" ")
        if not _NAME.fullmatch(following) or (not value and not piece.startswith(" ")):
            return None
        pairs.append((key, value.strip()))
        key = following
    pairs.append((key, pieces[-1].strip()))
    return pairs


def _any_pairs(extension: str) -> list[tuple[str, str]]:
    keys = list(_KEY.finditer(extension))[:_MAX_KEYS]
    if not keys:
        return []
    ends = [key.start() for key in keys[1:]] + [len(extension)]
    pairs: list[tuple[str, str]] = []
    for key, end in zip(keys, ends, strict=True):
        value = extension[key.end() : end].strip()
        if "\\" in value:
            value = _ESCAPE.sub(lambda found: _CONTROL.get(found[1], found[1]), value)
        pairs.append((key[1], value))
    return pairs


def _delimiter(text: str) -> str:
    """The character that LEEF 2.0 names: itself, or its code (``x09``, ``0x5e``)."""
    found = re.fullmatch(r"0?x([0-9A-Fa-f]{1,4})", text.strip())
    if found:
        return chr(int(found[1], 16))
    return text if text else "\t"


def _event(line: str) -> Outcome:
    if line.startswith("CEF:"):
        return parse_cef(line)
    if line.startswith("LEEF:"):
        return parse_leef(line)
    return "begins with neither CEF: nor LEEF:"


class CefReader:
    """Reads lines of CEF and LEEF; those with the keys of one before in one step."""

    def __init__(self) -> None:
        self._templates = LineTemplates()

    def read(self, lines: list[str]) -> list[Outcome]:
        """The outcome of each line; blank lines are no records."""
        event = self._event
        return [event(line) if line and not line.isspace() else None for line in lines]

    @property
    def headers(self) -> list[str]:
        """None: what was learned of lines changes nothing."""
        return []

    def _event(self, line: str) -> Outcome:
        templates = self._templates
        event = templates.event(line)
        if event is not None:
            return event
        outcome = _event(line)
        if templates.wanted and isinstance(outcome, dict) and line.isascii():
            expression = _expression(line, outcome)
            if expression:
                templates.learn(expression, outcome, line)
        return outcome


# A value of words with one blank between two: what stripping it would change is in none.
_WORDS = r"([^=\\\s]+(?: [^=\\\s]+)*|)"
_BAR_TEXT = r"([^|\\]*)"


def _expression(line: str, event: dict[str, Any]) -> str:
    """The expression of lines with the keys of one; empty for a line that needs more than one."""
    names = list(event)
    if line.startswith("CEF:"):
        keys = names[1 + len(_HEADER) :]
        if not keys or any(key.endswith("Label") for key in keys):
            return ""
        head = r"CEF:([^|\\\s]*)\|" + "".join(rf"{_BAR_TEXT}\|" for _ in _HEADER)
        return head + " ".join(f"{re.escape(key)}={_WORDS}" for key in keys)
    keys = names[5:]
    # In front of the first key stands the delimiter's declaration, or the header's last bar.
    start = line.rfind("|", 0, line.find(f"{keys[0]}=") if keys else 0)
    parts = line[: start + 1].split("|")
    second = line.startswith("LEEF:2")
    # A single attribute may be several that blanks separate; and without a declared delimiter,
    # another bar in a value would be read as one.
    if len(keys) < 2 or start < 0 or len(parts) != (7 if second else 6):
        return ""
    delimiter = _delimiter(parts[5]) if second else "\t"
    if len(delimiter) != 1 or delimiter.isspace() != (delimiter == "\t"):
        return ""
    cut = re.escape(delimiter)
    value = rf"([^{cut}\s]+(?: [^{cut}\s]+)*|)"
    version = re.escape(parts[0].partition(":")[2])
    texts = rf"{_BAR_TEXT}\|" * 4 + (rf"{re.escape(parts[5])}\|" if second else "")
    return rf"LEEF:({version})\|{texts}" + cut.join(f"{re.escape(key)}={value}" for key in keys)


CEF = LineFormat(
    "cef",
    "a CEF or LEEF log",
    lambda lines: most(lines, lambda line: line.startswith(("CEF:", "LEEF:"))),
    CefReader,
)
