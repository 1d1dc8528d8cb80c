"""Tables of text, drawn by rich where a person looks on and it is installed, and plainly everywhere
else.

Cells are plain text and go through `visible`; nothing in them is taken for markup.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import Any

from attrs import field, frozen

from ..diagnostics import visible
from ..values import text_of
from .encode import json_line
from .screen import Screen

_LONGEST_CELL = 120
_LONGEST_WRAPPED = 600


@frozen
class Table:
    """A headline, the names of the columns, the rows (as many cells each), and a line below."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]] = field(repr=False)
    note: str = ""


def cell(value: Any) -> str:
    """A value of an event as the text of a cell: one line, safe, and not endless."""
    if value is None:
        return ""
    text = text_of(value)
    if text is None:
        text = json_line(value)[: 4 * _LONGEST_WRAPPED].decode("utf-8", "replace")
    return visible(text[: _LONGEST_WRAPPED + 1])


def draw(table: Table, screen: Screen) -> None:
    """Show a table, with the columns left out that are empty in all rows."""
    used = [i for i, _ in enumerate(table.columns) if any(row[i] for row in table.rows)]
    columns = [table.columns[i] for i in used]
    # Rich writes to the terminal itself, and not through the screen.
    rows = [[visible(row[i]) for i in used] for row in table.rows]
    if table.title:
        screen.show(screen.paint(table.title, "bold"))
    if not screen.out_terminal or not _draw_rich(columns, rows, screen):
        _draw_plain(columns, rows, screen)
    if table.note:
        screen.show(f"  {table.note}")


def _draw_plain(columns: list[str], rows: list[list[str]], screen: Screen) -> None:
    lines = [columns, *([_cut(text, _LONGEST_CELL) for text in row] for row in rows)]
    widths = [max(map(_width, texts)) for texts in zip(*lines, strict=True)]
    for number, texts in enumerate(lines):
        padded = [
            text + " " * (width - _width(text)) for text, width in zip(texts, widths, strict=True)
        ]
        line = "  " + "  ".join(padded).rstrip()
        screen.show(line if number else screen.paint(line, "dim"))


def _draw_rich(columns: list[str], rows: list[list[str]], screen: Screen) -> bool:
    try:
        from rich.console import Console
        from rich.table import Table as RichTable
        from rich.text import Text
    except ImportError:
        return False
    drawn = RichTable(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for name in columns:
        drawn.add_column(Text(name), overflow="fold")
    for row in rows:
        drawn.add_row(*(Text(_cut(text, _LONGEST_WRAPPED)) for text in row))
    console = Console(
        file=screen.out, width=screen.width, no_color=not screen.colour, highlight=False
    )
    console.print(drawn)
    return True


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def _width(text: str) -> int:
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1
        for c in text
    )
