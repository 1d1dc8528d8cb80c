"""``and`` beside ``or`` without brackets, told where a reader may take it for something else.

``a or b and c`` is ``a or (b and c)``, and often ``(a or b) and c`` was meant. Where the way it is
written says how it is read, nothing is told: each alternative on a line of its own, alternatives of
as many conditions each (``a and b or c and d``), and names that say what belongs together (``one or
two_a and two_b``).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from attrs import frozen

_SHOWN = 60
_BEFORE = re.compile(r"\s*(?:or\b)?[\s(]*", re.IGNORECASE)
_BEHIND = re.compile(r"\s*(?:\).*|(?:or\b)?\s*(?:#.*)?)", re.IGNORECASE)


@frozen
class Alternative:
    """One alternative of an ``or``: its place in a text, what it joins by ``and``, and whether
    there are brackets around it. ``count`` is how many conditions it joins."""

    start: int
    end: int
    operands: tuple[str, ...]
    count: int
    bracketed: bool = False

    @property
    def is_bare(self) -> bool:
        """Whether it is an ``and`` with nothing around it."""
        return len(self.operands) > 1 and not self.bracketed


def misleading(alternatives: Sequence[Alternative], text: str) -> list[Alternative]:
    """The alternatives that want brackets, for a reader's sake.

    >>> text = "a or b and c"
    >>> one = Alternative(0, 1, ("a",), 1)
    >>> other = Alternative(5, 12, ("b", "c"), 2)
    >>> misleading([one, other], text) == [other]
    True
    """
    bare = [one for one in alternatives if one.is_bare]
    if len(alternatives) < 2 or not bare:
        return []
    counts = {one.count for one in alternatives}
    in_lines = not any("\n" in text[one.start : one.end] for one in bare)
    if in_lines and (len(counts) == 1 or all(_on_its_line(one, text) for one in bare)):
        return []
    if all(_named_alike(one, alternatives) for one in bare):
        return []
    return bare


def shown(one: Alternative, text: str) -> str:
    """An alternative in one line."""
    words = " ".join(text[one.start : one.end].split())
    return words if len(words) <= _SHOWN else words[: _SHOWN - 1] + "…"


def _on_its_line(one: Alternative, text: str) -> bool:
    start = text.rfind("\n", 0, one.start) + 1
    end = text.find("\n", one.end)
    end = len(text) if end < 0 else end
    if not start:
        return False
    return bool(
        _BEFORE.fullmatch(text[start : one.start]) and _BEHIND.fullmatch(text[one.end : end])
    )


def _named_alike(one: Alternative, alternatives: Sequence[Alternative]) -> bool:
    """Whether the operands are single names that have more in common than with the others."""
    others = [name for other in alternatives if other is not one for name in other.operands]
    names = (*one.operands, *others)
    if not all(re.fullmatch(r"\w+", name) for name in names):
        return False
    first, last = min(one.operands), max(one.operands)
    length = next((n for n, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), 0)
    common = first[:length]
    return len(common) > 3 and not any(name.startswith(common) for name in others)
