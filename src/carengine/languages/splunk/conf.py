"""Splunk's configuration files: stanzas of settings.

::

    # a comment
    [Logons that fail]
    search = index=main EventCode=4625 \\
      | stats count by user
    cron_schedule = */15 * * * *

A value goes on in the next line where its line ends with a backslash. A setting of the stanza
``[default]``, or one before the first stanza, holds for every stanza that does not have it itself.

https://docs.splunk.com/Documentation/Splunk/latest/Admin/Howtoeditaconfigurationfile
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from attrs import frozen

from ...diagnostics import Block, Diagnostic, Source, Span, codes

_STANZA = re.compile(r"[ \t]*\[(?P<name>[^\n]*)\][ \t]*")
_SETTING = re.compile(r"[ \t]*(?P<key>[^\s=\[#][^=\n]*?)[ \t]*=[ \t]*")
_MOST_STANZAS = 20_000


@frozen
class Stanza:
    """A name in brackets, where it stands, and the settings below it, each with its place."""

    name: str
    span: Span
    settings: Mapping[str, Block]

    def text(self, key: str) -> str:
        """A setting's value without the blanks around it; empty where it is missing.

        >>> [stanza], _ = stanzas_of(Source("x.conf", "[a]\\nb = c\\n"))
        >>> stanza.text("b"), stanza.text("d")
        ('c', '')
        """
        found = self.settings.get(key)
        return found.text.strip() if found is not None else ""


def stanzas_of(source: Source) -> tuple[list[Stanza], list[Diagnostic]]:
    """The stanzas of a file, and what there is to say of lines that are none of its grammar.

    >>> stanzas, _ = stanzas_of(Source("x.conf", "a = 1\\n[one]\\nb = 2 \\\\\\n 3\\n[two]\\na = 4\\n"))
    >>> [(stanza.name, stanza.text("a"), stanza.text("b")) for stanza in stanzas]
    [('one', '1', '2 \\n 3'), ('two', '4', '')]
    """
    block = Block.whole(source)
    said: list[Diagnostic] = []
    shared: dict[str, Block] = {}
    made: list[tuple[str, Span, dict[str, Block]]] = []
    current = shared
    at = 0
    text = source.text
    while at < len(text):
        end = _line_end(text, at)
        line = text[at:end].removesuffix("\r")
        if stanza := _STANZA.fullmatch(line):
            if len(made) >= _MOST_STANZAS:
                message = f"more than {_MOST_STANZAS:,} stanzas; the rest is not read"
                said.append(Diagnostic(codes.SPLUNK_SETTING, message, block.span(at, end)))
                break
            current = {}
            name = stanza["name"].strip()
            if name == "default":
                current = shared
            else:
                made.append((name, block.span(at, end), current))
        elif setting := _SETTING.match(line):
            value, end = _value(block, at + setting.end())
            current[setting["key"]] = value
        elif line.strip() and not line.lstrip().startswith(("#", ";")):
            message = "this line is neither a stanza nor a setting"
            said.append(Diagnostic(codes.SPLUNK_SETTING, message, block.span(at, end)))
        at = end + 1
    return [Stanza(name, span, {**shared, **own}) for name, span, own in made], said


def _line_end(text: str, at: int) -> int:
    found = text.find("\n", at)
    return len(text) if found < 0 else found


def _value(block: Block, at: int) -> tuple[Block, int]:
    """The value that begins at a place, with the lines it goes on in, and where it ends."""
    text = block.text
    offsets: list[int] = []
    while True:
        end = _line_end(text, at)
        last = end - 1 if text[at:end].endswith("\r") else end
        goes_on = text[at:last].endswith("\\") and end < len(text)
        kept = last - 1 if goes_on else last
        offsets += range(at, kept)
        if not goes_on:
            break
        # The line break stays; the backslash before it goes.
        offsets.append(end)
        at = end + 1
    value = "".join(text[offset] for offset in offsets)
    left = len(value) - len(value.lstrip())
    right = len(value.rstrip())
    inner = Block(
        block.source, value[left:right], [*offsets[left:right], _after(offsets, right, at)]
    )
    return inner, end


def _after(offsets: list[int], right: int, at: int) -> int:
    return offsets[right - 1] + 1 if right else at
