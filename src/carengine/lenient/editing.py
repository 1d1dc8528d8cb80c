"""A text under repair: what it says now, where each character came from, what was changed.

A repair is a stretch of the present text, what is to stand there instead, and the words for it.
Applying repairs gives a new text whose characters still know their place in the file, so that a
second repair of the same place, and whatever the strict parser says afterwards, points at what the
author wrote::

    text      exe = cmd.exe”          Repair(6, 14, '"cmd.exe"', …)
    becomes   exe = "cmd.exe"
    offsets   0 1 … 6 6 7 …

A character that was added stands where the character before it does; of a stretch that was written
anew, the beginning and the end stand where they did.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from attrs import define, field, frozen

from ..diagnostics import Block, Code, Diagnostic, Edit, Fix, codes


@frozen(order=True)
class Repair:
    """Replace the characters ``start`` to ``end`` of the present text with ``text``.

    ``message`` says what was wrong; an empty one makes the repair a part of the one before it, of
    which nothing is said of its own.
    """

    start: int
    end: int
    text: str
    code: Code = field(order=False)
    message: str = field(default="", order=False)
    notes: tuple[str, ...] = field(default=(), order=False)


@define
class Text:
    """The text under repair: its block now, and everything said so far."""

    block: Block
    said: list[Diagnostic] = field(factory=list)
    refused: bool = False
    plain: bool = field(init=False)
    """Whether the text stands in its file as it is: no quotes, escapes or indentation of YAML
    around it."""

    @plain.default
    def _is_plain(self) -> bool:
        return isinstance(self.block.offsets, range)

    @property
    def text(self) -> str:
        """The characters as they are now."""
        return self.block.text

    def apply(self, repairs: Iterable[Repair]) -> bool:
        """Make the repairs and say so. True where there was any.

        Of two that touch the same characters the first is made; the other is found again, if
        it is still needed, when the text is looked at the next time.
        """
        made: list[Repair] = []
        for repair in sorted(dict.fromkeys(repairs)):
            if not made or (repair.start >= made[-1].end and (repair != made[-1])):
                made.append(repair)
        if not made:
            return False
        for number, repair in enumerate(made):
            if repair.message:
                parts = [repair]
                for other in made[number + 1 :]:
                    if other.message:
                        break
                    parts.append(other)
                self.said.append(_said(self.block, parts, self.plain))
        self.block = _edited(self.block, made)
        return True

    def refuse(
        self,
        start: int,
        end: int,
        message: str,
        code: Code | None = None,
        notes: Sequence[str] = (),
    ) -> None:
        """Say why a place cannot be read; the text is then refused whatever else is repaired."""
        found = Diagnostic(
            code or codes.UNCERTAIN, message, self.block.span(start, end), notes=tuple(notes)
        )
        if found not in self.said:
            self.said.append(found)
        self.refused = True


def _said(block: Block, parts: Sequence[Repair], plain: bool) -> Diagnostic:
    first = parts[0]
    text = " ".join(first.text.split())
    if not text:
        read = "left out"
    elif first.start == first.end:
        read = f"added: {_short(text)}"
    else:
        read = f"read as {_short(text)}"
    edits = tuple(Edit(block.span(part.start, part.end), part.text) for part in parts)
    advice = f"write {_short(text)}" if text else "delete it"
    return Diagnostic(
        first.code,
        first.message,
        block.span(first.start, first.end),
        read,
        notes=first.notes,
        fix=Fix(advice, edits, safe=plain),
    )


def _short(text: str) -> str:
    return text if len(text) <= 80 else text[:79] + "…"


def _edited(block: Block, repairs: Sequence[Repair]) -> Block:
    parts: list[str] = []
    offsets: list[int] = []
    at = 0
    for repair in repairs:
        parts.append(block.text[at : repair.start])
        offsets += block.offsets[at : repair.start]
        parts.append(repair.text)
        offsets += _placed(block, repair)
        at = repair.end
    parts.append(block.text[at:])
    offsets += block.offsets[at:]
    return Block(block.source, "".join(parts), tuple(offsets))


def _placed(block: Block, repair: Repair) -> list[int]:
    """Where each character of a repair's text stands in the source.

    What begins and ends like the text that it replaces keeps its places; so a repaired part begins
    and ends where it did.
    """
    if repair.end == repair.start:
        return [block.offsets[max(repair.start - 1, 0)]] * len(repair.text)
    old, new = block.text[repair.start : repair.end], repair.text
    least = min(len(old), len(new))
    tail = 0
    while tail < least and old[-1 - tail] == new[-1 - tail]:
        tail += 1
    tail = max(tail, min(1, len(new) - 1))
    last = repair.end - 1
    head = [min(repair.start + at, max(last - tail, repair.start)) for at in range(len(new) - tail)]
    places = [*head, *range(repair.end - tail, repair.end)]
    return [block.offsets[at] for at in places]
