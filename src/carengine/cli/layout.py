"""Lines of styled pieces that fit a width: text cut around what matters, values flowed into lines.

Everything here works on text that has been through `visible`: what a terminal shows is what is
measured.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence

from attrs import frozen

from ..diagnostics import visible
from ..matches import ReportedValue
from .screen import Screen

_ELLIPSIS = "…"
_GAP = "  "
_CONTEXT_COLUMNS = 8
"""What is left of a text beside parts that decided and have no room."""
_WORD = 12
"""Columns at the end of a line that a word may leave free."""
_BEGINNING = 24
"""Columns of a value that are worth to begin in a line."""


@frozen
class Piece:
    """A text in some styles of `Screen.paint`."""

    text: str
    styles: tuple[str, ...] = ()


Line = list[Piece]


def text_width(text: str) -> int:
    """How many columns of a terminal a text takes.

    >>> text_width("añ"), text_width("漢字")
    (2, 4)
    """
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1
        for c in text
    )


def line_width(line: Iterable[Piece]) -> int:
    """How many columns a line takes."""
    return sum(text_width(piece.text) for piece in line)


def painted(line: Iterable[Piece], screen: Screen) -> str:
    """A line as `Screen.show` takes it."""
    return "".join(
        screen.paint(piece.text, *piece.styles) if piece.styles else piece.text for piece in line
    )


def cut_middle(text: str, width: int) -> str:
    """A text of at most so many columns, its middle left out where it is longer.

    >>> cut_middle("C:\\\\Windows\\\\System32\\\\cmd.exe", 16)
    'C:\\\\Windo…cmd.exe'
    """
    if text_width(text) <= width:
        return text
    if width <= 1:
        return _ELLIPSIS[:width]
    tail = (width - 1) // 2
    return _head(text, width - 1 - tail) + _ELLIPSIS + _tail(text, tail)


def _head(text: str, width: int) -> str:
    used = 0
    for at, character in enumerate(text):
        used += text_width(character)
        if used > width:
            return text[:at]
    return text


def _tail(text: str, width: int) -> str:
    return _head(text[::-1], width)[::-1]


def marked(value: ReportedValue, styles: tuple[str, ...]) -> Line:
    """The text of a value in pieces, the parts that decided in some styles."""
    line: Line = []
    at = 0
    for start, end in value.spans:
        line += [
            Piece(visible(value.text[at:start])),
            Piece(visible(value.text[start:end]), styles),
        ]
        at = end
    line.append(Piece(visible(value.text[at:])))
    return [piece for piece in line if piece.text]


def cut_around(line: Line, width: int) -> Line:
    """A line of at most so many columns. What is styled stays as long as it can; what stands
    around it is cut in the middle."""
    total = line_width(line)
    if total <= width:
        return line
    plain = [at for at, piece in enumerate(line) if not piece.styles]
    styled = total - sum(text_width(line[at].text) for at in plain)
    if styled > width - 2 * len(plain):
        return _cut_each(line, width)
    cut = list(line)
    over = total - width
    # The longest pieces give first, until all that are cut are of one length.
    widths = {at: text_width(line[at].text) for at in plain}
    cap = max(widths.values())
    while over > 0 and cap > 1:
        over = total - width - sum(max(0, size - cap) for size in widths.values())
        if over > 0:
            cap -= max(1, over // (2 * len(plain)))
    for at, size in widths.items():
        if size > cap:
            cut[at] = Piece(_cut_end(line[at].text, max(cap, 1), at, len(line)))
    return cut if line_width(cut) <= width else _cut_each(cut, width)


def _cut_end(text: str, width: int, at: int, number: int) -> str:
    """A piece cut where it is farthest from what is styled: the first one keeps its beginning and
    its end, the last one its beginning."""
    if at == number - 1 and number > 1:
        return _head(text, width - 1) + _ELLIPSIS
    return cut_middle(text, width)


def _cut_each(line: Line, width: int) -> Line:
    """A line whose styled pieces alone do not fit: what is plain gives way to a few columns, then
    the longest styled pieces are cut in the middle."""
    cut = [
        piece if piece.styles else Piece(cut_middle(piece.text, _CONTEXT_COLUMNS)) for piece in line
    ]
    over = line_width(cut) - width
    for at in sorted(range(len(cut)), key=lambda at: -text_width(cut[at].text)):
        if over <= 0:
            break
        size = text_width(cut[at].text)
        kept = max(min(size, _CONTEXT_COLUMNS), size - over)
        over -= size - kept
        cut[at] = Piece(cut_middle(cut[at].text, kept), cut[at].styles)
    kept_line: Line = []
    left = width
    for piece in cut:
        if text_width(piece.text) > left:
            kept_line.append(Piece(cut_middle(piece.text, left), piece.styles))
            break
        kept_line.append(piece)
        left -= text_width(piece.text)
    return kept_line


def flow(
    values: Sequence[ReportedValue],
    width: int,
    most: int | None,
    styles: tuple[str, ...] = ("bold", "yellow"),
) -> list[Line]:
    """Values as ``name text`` in lines of so many columns, at most ``most`` lines (None: all, whole).

    What has no place is counted in the last line.
    """
    lines: list[Line] = [[]]
    for number, value in enumerate(values):
        name = Piece(visible(value.name) + " " if value.name else "", ("dim",))
        pair = [name, *marked(value, styles)]
        size = line_width(pair)
        used = line_width(lines[-1])
        gap = len(_GAP) if used else 0
        left = len(values) - number
        room = width - used - gap
        spare = 0 if most is None else most - len(lines) - (left - 1)
        # A value longer than a line begins beside what stands there, if the lines below are free.
        begins = spare > 0 and size > width and room >= text_width(name.text) + _BEGINNING
        if size > room and used and not begins and (most is None or len(lines) < most):
            lines.append([])
            used, gap, room = 0, 0, width
            spare -= 1
        if most is None and size > width:
            lines[-1:] = [*([lines[-1]] if lines[-1] else []), *_wrapped(pair, width)]
            continue
        last = most is not None and len(lines) >= most
        note = f" +{left - 1}" if last and left > 1 else ""
        if size > room and spare > 0:
            # Lines that nothing else needs: the value goes on in them.
            free = room + (width - _WORD) * spare - text_width(name.text) - 1
            body = cut_around(pair[1:], free)
            start = Piece(_GAP if gap else "")
            lines[-1:] = _wrapped([*lines[-1], start, name, *body], width)
            continue
        if size > room:
            if last and used and room < text_width(name.text) + 12 + len(note):
                lines[-1].append(Piece(f" +{left}", ("dim",)))
                break
            body = cut_around(pair[1:], max(4, room - text_width(name.text) - len(note)))
            pair = [name, *body]
        if gap:
            lines[-1].append(Piece(_GAP))
        lines[-1] += pair
        if note and line_width(lines[-1]) + len(note) + 8 > width:
            lines[-1].append(Piece(note, ("dim",)))
            break
    return [line for line in lines if line]


def _wrapped(line: Line, width: int) -> list[Line]:
    lines: list[Line] = [[]]
    left = width
    for piece in line:
        text = piece.text
        while text:
            head = _head(text, left) or text[:1]
            rest = text[len(head) :]
            if rest and not piece.styles and (blank := head.rfind(" ", -_WORD)) > 0:
                # A word that begins near the end of a line goes to the next one whole.
                head = head[: blank + 1]
            lines[-1].append(Piece(head, piece.styles))
            text = text[len(head) :]
            left -= text_width(head)
            if text or left <= 0:
                lines.append([])
                left = width
    return [part for part in lines if part]
