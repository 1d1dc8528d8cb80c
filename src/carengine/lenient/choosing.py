"""Which of the known names a name that nobody knows was meant to be, if that is certain.

A typing error is certain only where no other name is within reach: the name meant may have two
errors where another one seems to have one. ``src_idd`` is near ``src_pid`` and ``src_tid``, and is
refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from ..datamodel import fold_name, typing_errors

_REACH = 4
_WORD = re.compile(r"[^\W_]+")


def by_typing(spelling: str, names: Iterable[str]) -> str | None:
    """The one name that differs by typing errors alone, none of the others being near."""
    known = list(dict.fromkeys(names))
    same = [name for name in known if fold_name(name) == fold_name(spelling)]
    if same:
        return same[0] if len(same) == 1 else None
    length = len(fold_name(spelling))
    if length < 3:
        return None
    near = sorted(
        (errors, name)
        for name in known
        if (errors := typing_errors(spelling, name, _REACH)) is not None
    )
    if not near:
        return None
    errors, name = near[0]
    second = near[1][0] if len(near) > 1 else _REACH + 1
    if errors == 1 and second >= 3:
        return name
    if errors == 2 and length >= 8 and second >= 4:
        return name
    return None


def is_near(spelling: str, names: Iterable[str], most: int = 2) -> bool:
    """Whether any of the names is within a few typing errors; short names have fewer to be near."""
    length = len(fold_name(spelling))
    allowed = min(most, 0 if length < 3 else 1 if length < 5 else most)
    return any(typing_errors(spelling, name, allowed) is not None for name in names)


def by_words(spelling: str, names: Iterable[str]) -> str | None:
    """The one name that begins with the spelling or has its words in a row, or the other way
    round."""
    wanted = _words(spelling)
    if len(spelling) < 3 or not wanted:
        return None
    found = []
    for name in dict.fromkeys(names):
        words = _words(name)
        stems = name.startswith(spelling) or spelling.startswith(name)
        if len(name) >= 3 and (stems or _inside(wanted, words) or _inside(words, wanted)):
            found.append(name)
    return found[0] if len(found) == 1 else None


def _words(name: str) -> tuple[str, ...]:
    return tuple(word.lower() for word in _WORD.findall(name))


def _inside(few: tuple[str, ...], many: tuple[str, ...]) -> bool:
    return bool(few) and any(
        many[at : at + len(few)] == few for at in range(len(many) - len(few) + 1)
    )
