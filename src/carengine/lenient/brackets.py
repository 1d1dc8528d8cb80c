"""Brackets that lack their partner, put or taken away where that can mean only one thing.

A bracket around values (a list, the argument of a function) ends where a connective begins. A
bracket around conditions may end in several places, and each may mean something else. So all places
are tried, and each reading is reduced to its *meaning*: a tree of ``and``, ``or`` and ``not`` over
the conditions, in which brackets that change nothing are gone::

    a and (b or c            after b:   a and (b) or c        (a and b) or c
                             after c:   a and (b or c)        a and (b or c)       the end

If all readings mean the same, the last place is taken. Otherwise there must be two reasons for a
reading: it is the only one in which no pair of brackets holds both ``and`` and ``or`` without
further brackets, and it closes at the end or the lines are indented for it. The first reason does
not count in a program that mixes the two elsewhere. With less, the text is refused, and two of the
readings are shown.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence

from attrs import evolve, field, frozen

from ..diagnostics import codes
from ..syntax.lexical import Lexeme, first_on_line, scan, split
from .editing import Repair, Text
from .logic import Meaning, alike, meaning_of
from .phrases import COMPARISONS

# So many items are looked at in all readings together; where it would take more, nothing is
# certain.
_MAX_ITEMS = 400_000
_PARTNER = {"(": ")", "[": "]"}
_STOPS = frozenset(["and", "or", "as", "by", "where", "select", "within"])
_NOT_A_CALL = frozenset(["and", "or", "not", "where", "in", "search", "join", "output", "return"])


def balance(text: Text, lexemes: Sequence[Lexeme]) -> list[Repair]:
    """The repairs of brackets in one statement; nothing where they are right, or where none is
    certain."""
    stray = _bracket_in_string(lexemes)
    if stray is not None:
        text.refuse(
            stray.start,
            stray.end,
            "a bracket is never closed; does this string end before its last one?",
        )
        return []
    made = list(_values(lexemes))
    if made:
        return made
    where = next((at for at, item in enumerate(lexemes) if _is_where(lexemes, at)), None)
    if where is None and _is_definition(lexemes):
        return list(_plain(lexemes))
    start = 0 if where is None else where + 1
    items = list(_items(text.text, lexemes, start))
    return _conditions(text, items)


def _bracket_in_string(lexemes: Sequence[Lexeme]) -> Lexeme | None:
    """A string that ends in the bracket which its statement lacks."""
    for opening, closing in _PARTNER.items():
        signs = [item.text for item in lexemes]
        if signs.count(opening) <= signs.count(closing):
            continue
        for item in lexemes:
            inside = item.text[1:-1].rstrip()
            if (
                item.kind == "string"
                and inside.endswith(closing)
                and inside.count(closing) > inside.count(opening)
            ):
                return item
    return None


def _is_where(lexemes: Sequence[Lexeme], at: int) -> bool:
    after = lexemes[at + 1].text if at + 1 < len(lexemes) else ""
    return lexemes[at].word == "where" and after not in COMPARISONS


def _is_definition(lexemes: Sequence[Lexeme]) -> bool:
    if len(lexemes) < 2 or not lexemes[0].is_name:
        return False
    return lexemes[1].text in ("=", ".") or lexemes[0].word in ("output", "return", "input")


# Brackets around values


def _values(lexemes: Sequence[Lexeme]) -> Iterator[Repair]:
    """Lists and arguments that are not closed, and brackets closed by another kind."""
    open_: list[tuple[str, str]] = []
    for at, lexeme in enumerate(lexemes):
        before = lexemes[at - 1] if at else None
        if lexeme.text == "[":
            open_.append(("[", "list"))
        elif lexeme.text == "(":
            call = (
                before is not None
                and before.is_name
                and before.word not in _NOT_A_CALL
                and not _is_filter(lexemes, at)
            )
            names = before is not None and before.word in ("search", "join", "output", "return")
            open_.append(("(", "names" if names else "call" if call else "condition"))
        elif lexeme.text == ")" and open_ and open_[-1][0] == "[":
            assert before is not None
            outer = any(sign == "(" for sign, _ in open_)
            if outer:
                yield _insert(before, "]")
            else:
                yield _replace(lexeme, "]")
            return
        elif lexeme.text == "]" and open_ and open_[-1][0] == "(":
            if not any(sign == "[" for sign, _ in open_):
                yield _replace(lexeme, ")" if open_[-1][1] == "call" else "")
            elif before is not None:
                yield _insert(before, ")")
            return
        elif lexeme.text in (")", "]"):
            if open_:
                open_.pop()
            elif lexeme.text == "]":
                yield _replace(lexeme, "")
                return
        elif before is not None and open_ and open_[-1][1] != "condition":
            sign, kind = open_[-1]
            stops = {"where"} if kind == "names" else _STOPS
            if lexeme.word in stops and not _compared(lexemes, at):
                yield _insert(before, _PARTNER[sign])
                return
    if open_ and open_[-1][1] != "condition" and lexemes:
        yield _insert(lexemes[-1], _PARTNER[open_[-1][0]])


def _is_filter(lexemes: Sequence[Lexeme], at: int) -> bool:
    """Whether the bracket at an index follows the stream of a filter, and is none of a call."""
    return at >= 2 and lexemes[at - 2].word == "filter"


def _compared(lexemes: Sequence[Lexeme], at: int) -> bool:
    return at + 1 < len(lexemes) and lexemes[at + 1].text in COMPARISONS


def _insert(before: Lexeme, sign: str) -> Repair:
    opening = "[" if sign == "]" else "("
    return Repair(
        before.end, before.end, sign, codes.BRACKETS, f"the `{opening}` before this is never closed"
    )


def _replace(lexeme: Lexeme, sign: str) -> Repair:
    message = f"`{lexeme.text}` closes nothing" if not sign else f"`{sign}` is needed here"
    return Repair(lexeme.start, lexeme.end, sign, codes.BRACKETS, message)


def _plain(lexemes: Sequence[Lexeme]) -> Iterator[Repair]:
    """A statement without a condition: one bracket too many at its end changes nothing."""
    depth = 0
    for at, lexeme in enumerate(lexemes):
        depth += {"(": 1, ")": -1}.get(lexeme.text, 0)
        if depth < 0:
            arithmetic = any(item.text in ("+", "-", "*", "/") for item in lexemes[2:])
            if at == len(lexemes) - 1 and not arithmetic:
                yield _replace(lexeme, "")
            return


# Brackets around conditions


@frozen
class _ConditionPart:
    """A part of a condition: a connective, a bracket, or an atom, which is all between two of
    these."""

    kind: str
    start: int
    end: int
    text: str = ""
    column: int | None = None
    """The column, where the item is the first on its line."""
    number: int = -1
    made: bool = False
    """Whether it is a bracket that the text does not have."""


def _items(text: str, lexemes: Sequence[Lexeme], start: int) -> Iterator[_ConditionPart]:
    number = 0
    at = start
    while at < len(lexemes):
        lexeme = lexemes[at]
        column = _column(text, lexemes, at)
        word = lexeme.word if lexeme.word in ("and", "or", "not") else ""
        if word and not _compared(lexemes, at) and not _inner_not(lexemes, at):
            yield _ConditionPart(word, lexeme.start, lexeme.end, column=column)
            at += 1
        elif lexeme.text in ("(", ")"):
            yield _ConditionPart(lexeme.text, lexeme.start, lexeme.end, column=column)
            at += 1
        else:
            end = _atom_end(lexemes, at)
            last = lexemes[end - 1]
            yield _ConditionPart(
                "atom", lexeme.start, last.end, text[lexeme.start : last.end], column, number
            )
            number += 1
            at = end


def _inner_not(lexemes: Sequence[Lexeme], at: int) -> bool:
    """``not`` that belongs to ``not in`` or ``does not contain``."""
    if lexemes[at].word != "not" or at + 1 >= len(lexemes):
        return False
    return lexemes[at + 1].word in ("in", "contain")


def _atom_end(lexemes: Sequence[Lexeme], at: int) -> int:
    """The index behind an atom: brackets of its own values belong to it."""
    depth = 0
    begin = at
    while at < len(lexemes):
        lexeme = lexemes[at]
        before = lexemes[at - 1] if at > begin else None
        if depth == 0:
            if lexeme.word in ("and", "or") and not _compared(lexemes, at):
                break
            if lexeme.word == "not" and not _inner_not(lexemes, at) and at > begin:
                break
            if lexeme.text == ")":
                break
            if lexeme.text == "(" and (before is None or before.text == ")"):
                break
        if lexeme.text in ("(", "["):
            depth += 1
        elif lexeme.text in (")", "]"):
            depth -= 1
        at += 1
    return at


def _column(text: str, lexemes: Sequence[Lexeme], at: int) -> int | None:
    if not first_on_line(text, lexemes, at):
        return None
    start = lexemes[at].start
    return start - 1 - max(text.rfind("\n", 0, start), text.rfind("\r", 0, start))


@frozen
class _BracketReading:
    """One way to mend the brackets: what changes, what it then means, what speaks for it."""

    changes: tuple[tuple[int, str], ...]
    """Where (between items), and the bracket added; the empty text takes the item away."""
    meaning: Meaning
    mixed: bool
    at_end: bool
    indented: bool = field(default=False)


def _conditions(text: Text, items: Sequence[_ConditionPart]) -> list[Repair]:
    missing, extra = _unmatched(items)
    if not missing and not extra:
        return []
    if missing and extra:
        place = items[extra[0]]
        text.refuse(
            place.start,
            place.end,
            "brackets are both missing and too many, and nothing tells where they belong",
        )
        return []
    end = _at_end(items, missing, extra)
    if len({item.kind for item in items} & {"and", "or", "not"}) < 2 and _read(items, end):
        # With one connective, brackets mean nothing.
        return [_change(items, at, sign) for at, sign in end]
    readings = _readings(items, missing, extra, end)
    chosen = _chosen(readings, items, _is_loose(text.text, items[0]))
    if chosen is None:
        _refuse(text, items, missing, extra, readings)
        return []
    return [_change(items, at, sign) for at, sign in chosen.changes]


def _unmatched(items: Sequence[_ConditionPart]) -> tuple[list[int], list[int]]:
    open_: list[int] = []
    extra: list[int] = []
    for at, item in enumerate(items):
        if item.kind == "(":
            open_.append(at)
        elif item.kind == ")":
            if open_:
                open_.pop()
            else:
                extra.append(at)
    return open_, extra


def _change(items: Sequence[_ConditionPart], at: int, sign: str) -> Repair:
    if not sign:
        message = "this `)` closes nothing"
        return Repair(items[at].start, items[at].end, "", codes.BRACKETS, message)
    if sign == ")":
        place = items[at - 1].end
        return Repair(
            place, place, ")", codes.BRACKETS, "a bracket that opens here is never closed"
        )
    place = items[at].start
    return Repair(place, place, "(", codes.BRACKETS, "a bracket is closed that nothing opens")


def _at_end(
    items: Sequence[_ConditionPart], missing: Sequence[int], extra: Sequence[int]
) -> tuple[tuple[int, str], ...]:
    """The option that closes at the end, or takes out the brackets that close nothing."""
    if missing:
        return ((len(items), ")"),) * len(missing)
    return tuple((at, "") for at in extra)


def _readings(
    items: Sequence[_ConditionPart],
    missing: Sequence[int],
    extra: Sequence[int],
    end: tuple[tuple[int, str], ...],
) -> list[_BracketReading]:
    """All readings; none where they are too many to try."""
    count = len(missing) + len(extra)
    if missing:
        slots = [
            (at + 1, ")")
            for at in range(missing[0] + 1, len(items))
            if items[at].kind in ("atom", ")")
        ]
        options = _combined(slots, count, repeated=True)
    else:
        drops = [(at, "") for at in range(extra[-1] + 1) if items[at].kind == ")"]
        opens = [(at, "(") for at in range(extra[0]) if items[at].kind in ("atom", "(", "not")]
        options = itertools.chain(
            _combined(drops, count, repeated=False), _combined(opens, count, repeated=True)
        )
    most = _MAX_ITEMS // len(items)
    tried = list(itertools.islice(options, most + 1))
    if len(tried) > most:
        return []
    made: list[_BracketReading] = []
    for option in dict.fromkeys([end, *tried]):
        found = _read(items, option)
        if found is not None:
            made.append(evolve(found, at_end=option == end))
    return made


def _combined(
    slots: Sequence[tuple[int, str]], count: int, *, repeated: bool
) -> Iterator[tuple[tuple[int, str], ...]]:
    """All ways to choose ``count`` of the slots."""
    if repeated:
        return itertools.combinations_with_replacement(slots, count)
    return itertools.combinations(slots, count)


def _read(
    items: Sequence[_ConditionPart], option: tuple[tuple[int, str], ...]
) -> _BracketReading | None:
    mended = _mended(items, option)
    found = meaning_of([(item.kind, item.number) for item in mended])
    if found is None:
        return None
    meaning, mixed = found
    return _BracketReading(option, meaning, mixed, False, _is_indented(mended))


def _mended(
    items: Sequence[_ConditionPart], option: tuple[tuple[int, str], ...]
) -> list[_ConditionPart]:
    """The items with the brackets of an option."""
    added: dict[int, list[_ConditionPart]] = {}
    dropped = set()
    for at, sign in option:
        if sign:
            place = items[at - 1].end if sign == ")" else items[at].start
            added.setdefault(at, []).append(_ConditionPart(sign, place, place, made=True))
        else:
            dropped.add(at)
    mended: list[_ConditionPart] = []
    for at in range(len(items) + 1):
        mended += added.get(at, [])
        if at < len(items) and at not in dropped:
            mended.append(items[at])
    return mended


def _is_indented(items: Sequence[_ConditionPart]) -> bool:
    """Whether the lines fit the brackets: those inside one that begins a line stand deeper, the
    next does not."""
    open_: list[int | None] = []
    left: int | None = None
    for item in items:
        if item.column is not None:
            if any(column is not None and item.column <= column for column in open_):
                return False
            if left is not None and item.kind != ")" and item.column > left:
                return False
            left = None
        if item.kind == "(":
            open_.append(item.column)
        elif item.kind == ")" and open_:
            left = open_.pop()
    return True


def _chosen(
    readings: Sequence[_BracketReading], items: Sequence[_ConditionPart], loose: bool
) -> _BracketReading | None:
    """The reading that is certain, or None. ``loose``: brackets where both connectives meet are not
    to be expected."""
    if not readings:
        return None
    atoms = [item.text for item in items if item.kind == "atom"]
    classes = _classes(readings, atoms)
    if len(classes) == 1:
        return _best(classes[0])
    indented = [item for item in readings if item.indented]
    if indented and len(indented) < len(readings):
        fitting = _classes(indented, atoms)
        clean = [group for group in fitting if any(not item.mixed for item in group)]
        if len(fitting) == 1 and (clean or loose or all(item.mixed for item in readings)):
            return _best(fitting[0])
        if len(clean) == 1 and not loose:
            return _best([item for item in clean[0] if not item.mixed])
        return None
    clean = _classes([item for item in readings if not item.mixed], atoms)
    if len(clean) == 1 and not loose and any(item.at_end for item in clean[0]):
        return next(item for item in clean[0] if item.at_end)
    return None


def _is_loose(text: str, own: _ConditionPart) -> bool:
    """Whether another statement has ``and`` and ``or`` side by side without brackets: its author
    may anywhere."""
    scanned = scan(text)
    for part in split(text, scanned[0]) if scanned is not None else ():
        where = next((at for at in range(len(part)) if _is_where(part, at)), None)
        if where is None or part[0].start <= own.start < part[-1].end:
            continue
        found = meaning_of([(i.kind, i.number) for i in _items(text, part, where + 1)])
        if found is not None and found[1]:
            return True
    return False


def _best(readings: Sequence[_BracketReading]) -> _BracketReading:
    """Of readings that mean the same: the one at the end, or else one that fits the lines, the
    latest."""
    return max(
        readings, key=lambda item: (item.at_end, item.indented, not item.mixed, item.changes)
    )


def _classes(
    readings: Sequence[_BracketReading], atoms: Sequence[str]
) -> list[list[_BracketReading]]:
    """Readings by what they mean."""
    by_meaning: dict[Meaning, list[_BracketReading]] = {}
    for reading in readings:
        by_meaning.setdefault(reading.meaning, []).append(reading)
    if len(by_meaning) > 1 and alike(tuple(by_meaning), atoms):
        return [list(readings)]
    return list(by_meaning.values())


def _refuse(
    text: Text,
    items: Sequence[_ConditionPart],
    missing: Sequence[int],
    extra: Sequence[int],
    readings: Sequence[_BracketReading],
) -> None:
    place = items[missing[-1] if missing else extra[0]]
    what = "this bracket is never closed" if missing else "this bracket closes nothing"
    shown: dict[Meaning, str] = {}
    for reading in sorted(readings, key=lambda item: not item.at_end):
        if reading.meaning not in shown:
            shown[reading.meaning] = _shown(items, reading)
    notes = [f"it could be: {line}" for line in list(shown.values())[:2]]
    text.refuse(
        place.start,
        place.end,
        f"{what}, and where its partner belongs decides what the condition means",
        notes=notes,
    )


def _shown(items: Sequence[_ConditionPart], reading: _BracketReading) -> str:
    parts = [
        re.sub(r"\s+", " ", item.text) if item.kind == "atom" else item.kind
        for item in _mended(items, reading.changes)
    ]
    line = " ".join(parts).replace("( ", "(").replace(" )", ")")
    return line if len(line) <= 300 else line[:299] + "…"
