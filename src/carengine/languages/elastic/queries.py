"""The texts in a TOML file, where they stand.

``tomllib`` gives values without places. ``text_block`` finds a text of the table ``[rule]`` in the
file, so that what is said of the query points into it. A text that is written with escapes has for
each of its characters the place where that is written.
"""

from __future__ import annotations

import re

from ...diagnostics import Block, Source

_QUOTES = ("'''", '"""', "'", '"')
_ESCAPES = {"b": "\b", "t": "\t", "n": "\n", "f": "\f", "r": "\r", "e": "\x1b"}


def text_block(source: Source, key: str, value: str) -> Block:
    """The text under a key of ``[rule]``, with its place; of a text that is not found, the place of
    the file's first character.

    >>> source = Source("x.toml", "[rule]\\nquery = '''\\na:b\\n'''\\n")
    >>> text_block(source, "query", "a:b\\n").span(0, 1).line
    3
    """
    text = source.text
    found = re.search(r"^[ \t]*\[[ \t]*rule[ \t]*\]", text, re.MULTILINE)
    start = found.end() if found else 0
    for place in re.finditer(rf"^[ \t]*{re.escape(key)}[ \t]*=[ \t]*", text[start:], re.MULTILINE):
        block = _literal(source, start + place.end(), value)
        if block is not None:
            return block
    return Block(source, value, [0] * (len(value) + 1))


def _literal(source: Source, at: int, value: str) -> Block | None:
    """The text whose quote opens at a place, if it is the one that is looked for."""
    text = source.text
    quote = next((quote for quote in _QUOTES if text.startswith(quote, at)), None)
    if quote is None:
        return None
    at += len(quote)
    if len(quote) == 3:
        # A line break behind the quotes is none of the text.
        at += 2 if text.startswith("\r\n", at) else 1 if text.startswith("\n", at) else 0
    offsets: list[int] = []
    made: list[str] = []
    while len(made) < len(value) and at < len(text):
        sign, end = text[at], at + 1
        if sign == "\\" and quote[0] == '"':
            sign, end = _escaped(text, at)
        elif text.startswith("\r\n", at):
            sign, end = "\n", at + 2
        made += sign
        offsets += [at] * len(sign)
        at = end
    if "".join(made) != value:
        return None
    return Block(source, value, [*offsets, at])


_FOLDED = re.compile(r"\\[ \t]*\r?\n\s*")


def _escaped(text: str, at: int) -> tuple[str, int]:
    """What an escape stands for, and where it ends."""
    folded = _FOLDED.match(text, at)
    if folded:
        return "", folded.end()
    sign = text[at + 1 : at + 2]
    size = {"u": 4, "U": 8, "x": 2}.get(sign)
    if size is not None:
        digits = text[at + 2 : at + 2 + size]
        try:
            return chr(int(digits, 16)), at + 2 + size
        except (ValueError, OverflowError):
            return "\ufffd", at + 2 + size
    return _ESCAPES.get(sign, sign), at + 2
