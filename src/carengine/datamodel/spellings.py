"""The names that somebody may have meant.

A name that nobody knows is answered with known ones near it. Two things make a name near:

* few **typing errors**: letters missing, doubled, changed or swapped (``comand_line``);
* **words in common**: the name is a part of the other, or both are made of mostly the same words
  (``parent_image`` and ``parent_image_path``, ``port`` and ``dest_port``).

Spelling in the wider sense never counts: ``RemoteCreate``, ``remote-create`` and ``remote_create``
are the same name, as everywhere (``fold_name``).
"""

from __future__ import annotations

import re
from collections.abc import Iterable

# Nobody means anything in particular by a name longer than this; looking would only cost time.
_LONGEST = 64
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[^\W_A-Z]+")
_SEPARATORS = str.maketrans("", "", "_- ")


def fold_name(spelling: str) -> str:
    """The spelling with case, underscores, hyphens and spaces taken out; equal ones are one name.

    >>> fold_name("User_Session") == fold_name("UserSession") == fold_name("user session")
    True
    """
    return spelling.translate(_SEPARATORS).casefold()


def nearest(name: str, candidates: Iterable[str], n: int = 3) -> tuple[str, ...]:
    """At most ``n`` of the candidates that ``name`` may stand for, the likeliest first.

    Nothing is returned where nothing is near, nor for names longer than any real one. Time
    grows with the number of candidates, for each of which it is bounded.

    >>> nearest("comand_line", ["command_line", "parent_command_line", "exe"])
    ('command_line',)
    >>> nearest("parent_image", ["parent_exe", "parent_image_path", "image_path"])
    ('parent_image_path', 'image_path', 'parent_exe')
    """
    if not 0 < len(name) <= _LONGEST or n < 1:
        return ()
    folded, words = fold_name(name), _words(name)
    scored = []
    for candidate in dict.fromkeys(candidates):
        if len(candidate) <= _LONGEST:
            cost = _cost(folded, words, fold_name(candidate), _words(candidate))
            if cost is not None:
                scored.append((cost, candidate))
    return tuple(candidate for _, candidate in sorted(scored)[:n])


def typing_errors(name: str, candidate: str, most: int) -> int | None:
    """How many typing errors lie between two names, spelling aside, or None where more than
    ``most``.

    >>> typing_errors("comand_line", "CommandLine", 3)
    1
    """
    if max(len(name), len(candidate)) > _LONGEST:
        return None
    return _errors(fold_name(name), fold_name(candidate), most)


def _words(name: str) -> tuple[str, ...]:
    return tuple(word.lower() for word in _WORD.findall(name))


def _cost(a: str, a_words: tuple[str, ...], b: str, b_words: tuple[str, ...]) -> float | None:
    """How far apart two names are: 0 for equal ones, below 1, or None where they have nothing in
    common."""
    short, long = sorted((a, b), key=len)
    if not short:
        return None
    costs = []
    # One error in a short name, two in one of six letters, then one more for every four.
    allowed = 1 if len(a) < 6 else min(5, 1 + len(a) // 5)
    if len(a) > 2 or len(a) == len(b) == 2:
        errors = _errors(a, b, allowed)
        if errors is not None and errors < len(short):
            costs.append(0.9 * errors / len(short))
    rest = 1 - len(short) / len(long)
    inside = _run_of_words(a_words, b_words) or _run_of_words(b_words, a_words)
    if inside or (len(short) > 2 and (long.startswith(short) or long.endswith(short))):
        costs.append(0.2 + 0.5 * rest)
    elif len(short) > 3 and short in long:
        costs.append(0.3 + 0.5 * rest)
    shared, all_words = len({*a_words} & {*b_words}), len({*a_words} | {*b_words})
    if shared and shared * 3 >= all_words:
        costs.append(0.4 + 0.4 * (1 - shared / all_words))
    return min(costs, default=None)


def _run_of_words(few: tuple[str, ...], many: tuple[str, ...]) -> bool:
    length = len(few)
    return 0 < length <= len(many) and any(
        many[at : at + length] == few for at in range(len(many) - length + 1)
    )


def _errors(a: str, b: str, most: int) -> int | None:
    """How many letters have to be added, removed, changed or swapped with a neighbour, or None:
    over ``most``.

    Only the band of the table that can stay within ``most`` is worked out.
    """
    if abs(len(a) - len(b)) > most:
        return None
    over = most + 1
    before: list[int] = []
    last = [min(column, over) for column in range(len(b) + 1)]
    for row, letter in enumerate(a, 1):
        now = [over] * (len(b) + 1)
        if row <= most:
            now[0] = row
        for column in range(max(1, row - most), min(len(b), row + most) + 1):
            other = b[column - 1]
            best = min(last[column] + 1, now[column - 1] + 1, last[column - 1] + (letter != other))
            if row > 1 < column and letter == b[column - 2] and a[row - 2] == other:
                best = min(best, before[column - 2] + 1)
            now[column] = min(best, over)
        if min(now) > most:
            return None
        before, last = last, now
    return last[-1] if last[-1] <= most else None
