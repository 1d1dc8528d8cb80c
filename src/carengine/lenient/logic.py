"""What a condition means as far as its brackets and connectives go.

A condition is here a row of items: brackets, connectives, and atoms, which are numbers. Its meaning
is a tree in which nothing is left that does not matter: ``(a and (b)) and c`` and ``a and b and c``
are one tree.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence

Meaning = int | tuple[str, tuple["Meaning", ...]]
"""An atom's number, or a connective (``and``, ``or``, ``not``) with what it connects."""

_MAX_DEPTH = 60
_MAX_WORLDS = 4_000


def meaning_of(items: Sequence[tuple[str, int]]) -> tuple[Meaning, bool] | None:
    """The meaning of a condition, and whether ``and`` and ``or`` stand side by side in it.

    None where the items are no condition.

    >>> meaning_of([("atom", 0), ("and", -1), ("(", -1), ("atom", 1), (")", -1)])
    (('and', (0, 1)), False)
    """
    parser = _ConnectiveParser(items)
    try:
        found = parser.level(0)
    except _NoCondition:
        return None
    return None if parser.at != len(items) else (found, parser.mixed)


class _NoCondition(Exception):  # noqa: N818 (it ends a parse, and nobody outside sees it)
    """The items are no condition."""


class _ConnectiveParser:
    def __init__(self, items: Sequence[tuple[str, int]]) -> None:
        self.items = items
        self.at = 0
        self.mixed = False

    def _kind(self) -> str:
        return self.items[self.at][0] if self.at < len(self.items) else ""

    def level(self, depth: int) -> Meaning:
        if depth > _MAX_DEPTH:
            raise _NoCondition
        alternatives = [self._all(depth)]
        several = self.several
        while self._kind() == "or":
            self.at += 1
            alternatives.append(self._all(depth))
            several = several or self.several
        if len(alternatives) > 1 and several:
            self.mixed = True
        return connected("or", alternatives)

    several = False

    def _all(self, depth: int) -> Meaning:
        parts = [self._one(depth)]
        while self._kind() == "and":
            self.at += 1
            parts.append(self._one(depth))
        self.several = len(parts) > 1
        return connected("and", parts)

    def _one(self, depth: int) -> Meaning:
        kind = self._kind()
        if kind == "atom":
            self.at += 1
            return self.items[self.at - 1][1]
        if kind == "not" and depth < _MAX_DEPTH:
            self.at += 1
            inner = self._one(depth + 1)
            return ("not", (inner,))
        if kind == "(":
            self.at += 1
            inner = self.level(depth + 1)
            if self._kind() != ")":
                raise _NoCondition
            self.at += 1
            return inner
        raise _NoCondition


def connected(word: str, parts: Sequence[Meaning]) -> Meaning:
    """Several meanings under one connective, those of the same connective taken apart."""
    flat: list[Meaning] = []
    for part in parts:
        if isinstance(part, tuple) and part[0] == word:
            flat += part[1]
        else:
            flat.append(part)
    return flat[0] if len(flat) == 1 else (word, tuple(flat))


# Whether different trees are true of the same events

_SIMPLE = re.compile(r'([A-Za-z_][\w.]*)\s*(==|=|!=)\s*"([^"*?\[]*)"', re.ASCII)
_EXISTS = re.compile(r"([A-Za-z_][\w.]*)\s+exists", re.ASCII | re.IGNORECASE)

World = Mapping[str, str | None]


def alike(meanings: Sequence[Meaning], atoms: Sequence[str]) -> bool:
    """Whether all meanings are true of the same events, as far as can be told by trying all cases.

    Atoms that compare a field with a plain text are tried with each text that occurs, with another
    one and with the field missing. False where there are atoms of another kind, or too many cases.
    """
    tests = []
    values: dict[str, dict[str | None, None]] = {}
    for atom in atoms:
        simple, exists = _SIMPLE.fullmatch(atom), _EXISTS.fullmatch(atom)
        if simple is not None:
            name, sign, text = simple[1].lower(), simple[2], simple[3].lower()
            tests.append((name, "!=" if sign == "!=" else "=", text))
            values.setdefault(name, {None: None, "\0": None})[text] = None
        elif exists is not None:
            name = exists[1].lower()
            tests.append((name, "exists", ""))
            values.setdefault(name, {None: None, "\0": None})
        else:
            return False
    size = 1
    for known in values.values():
        size *= len(known)
        if size * len(meanings) > _MAX_WORLDS * 20:
            return False
    names = list(values)
    for combination in itertools.product(*(values[name] for name in names)):
        world = dict(zip(names, combination, strict=True))
        truths = [_test(test, world) for test in tests]
        outcomes = {_value(meaning, truths) is True for meaning in meanings}
        if len(outcomes) > 1:
            return False
    return True


def _test(test: tuple[str, str, str], world: World) -> bool | None:
    name, kind, text = test
    value = world[name]
    if kind == "exists":
        return value is not None
    if value is None:
        return None
    return (value == text) is (kind == "=")


def _value(meaning: Meaning, truths: Sequence[bool | None]) -> bool | None:
    if isinstance(meaning, int):
        return truths[meaning]
    word, parts = meaning
    inner = [_value(part, truths) for part in parts]
    if word == "not":
        return None if inner[0] is None else not inner[0]
    decisive = word == "or"
    if decisive in inner:
        return decisive
    return None if None in inner else not decisive
