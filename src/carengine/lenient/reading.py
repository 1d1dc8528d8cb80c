"""The order of the repairs.

Syntax comes first, statement by statement, and only where the strict parser refuses a statement:
quotes, then the words, then the shape, then commas and connectives, brackets last, since each needs
what is before it to be right. When the whole text parses, its names and values are looked at
(``names``, ``values``), again until nothing changes. A text that cannot be repaired is handed on as
far as it got, with what is said of it; it is never guessed at.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence

from attrs import frozen

from ..datamodel import DataModel, model
from ..diagnostics import Block, Diagnostic, codes, has_errors, ordered
from ..syntax import ast, parse_program
from ..syntax.lexical import Lexeme, scan
from . import foreign
from .brackets import balance
from .connectives import connect
from .editing import Repair, Text
from .events import bare_condition
from .names import Programs, mend_names
from .phrases import renote, reshape, respell, reword, supply_streams
from .quoting import requote
from .statements import is_bare, is_misread, stands_alone, statements
from .values import mend_values

MAX_CHARACTERS = 100_000
"""A longer text is not repaired, only parsed."""

_ROUNDS = 8
# Lexemes that may hold anything: with these in it, the brackets of a statement cannot be counted.
_UNREAD = frozenset(["unclosed", "curly", "stray"])


@frozen
class LenientReading:
    """What a text was read as.

    ``block`` holds the repaired text, each character with its place in the file; ``program`` is its
    syntax tree, ``diagnostics`` the repairs (warnings), reasons for refusing (errors) and what the
    strict parser says of the repaired text.
    """

    block: Block
    program: ast.SyntaxTree
    diagnostics: tuple[Diagnostic, ...] = ()

    @property
    def refused(self) -> bool:
        """Whether the text cannot be used."""
        return has_errors(self.diagnostics)

    @property
    def repairs(self) -> tuple[Diagnostic, ...]:
        """What was repaired."""
        return tuple(item for item in self.diagnostics if item.code.id in REPAIRS)


REPAIRS = frozenset(
    code.id for code in codes.ALL.values() if code.id.startswith("CE6") and code.severity.rank > 0
)
"""The ids of the codes that stand for a repair."""


def read(
    block: Block | str,
    *,
    datamodel: DataModel | None = None,
    programs: Programs = lambda _id: None,
) -> LenientReading:
    """Read a text leniently. Never raises.

    ``programs`` finds the syntax tree of another rule by its id, for what ``run`` gives.

    >>> reading = read('p = search Process:Create\\no = filter p where exe = cmd.exe')
    >>> print(reading.block.text)
    p = search Process:Create
    o = filter p where exe = "cmd.exe"
    output o
    """
    block = Block.of(block) if isinstance(block, str) else block
    parsed = parse_program(block)
    if len(block.text) > MAX_CHARACTERS:
        return LenientReading(block, parsed.program, parsed.diagnostics)
    known = datamodel or model()
    text = Text(block)
    fields = foreign.field_names(known)
    _syntax(text, lambda name: foreign.folded(name) in fields, known)
    parsed = parse_program(text.block)
    if not parsed.diagnostics and not text.refused:
        for _ in range(_ROUNDS):
            program = _standing(text)
            changed = text.apply(mend_names(text, program, known, programs))
            if changed:
                program = _standing(text)
            changed = text.apply(mend_values(text, program, known)) or changed
            if not changed or text.refused:
                break
        parsed = parse_program(text.block)
    refusals = [item.span for item in text.said if item.severity.rank == 0 and item.span]
    strict = [
        item
        for item in parsed.diagnostics
        if item.span is None
        or not any(item.span.start < r.end and r.start <= item.span.end for r in refusals)
    ]
    said = ordered((*text.said, *strict))
    return LenientReading(text.block, parsed.program, said)


def _standing(text: Text) -> ast.SyntaxTree:
    """The syntax tree with places in the present text instead of the file."""
    return parse_program(Block.of(text.text)).program


Pass = Callable[[Text, Sequence[Lexeme]], Sequence[Repair]]

_PASSES: Mapping[str, Pass] = {
    "quotes": lambda text, part: requote(text.text, part[0].start, part[-1].end),
    "words": lambda text, part: reword(text.text, part),
    "shape": lambda text, part: reshape(text.text, part),
    "connectives": connect,
    "brackets": balance,
}


def _syntax(text: Text, is_field: Callable[[str], bool], datamodel: DataModel) -> None:
    """Repair the statements that the strict parser refuses."""
    text.apply([item for part in _parts(text, is_field) for item in renote(text.text, part)])
    scanned = scan(text.text)
    if scanned is None or (_parses(text.text) and not is_misread(text.text, scanned[0], is_field)):
        return
    if text.apply(respell(text.text, scanned[0])):
        # `where` is looked for behind `filter`, which may have been misspelt itself.
        again = scan(text.text)
        text.apply(respell(text.text, again[0]) if again is not None else ())
    for name, make in _PASSES.items():
        rounds = 1 if name == "quotes" else _ROUNDS
        for _ in range(rounds):
            repairs: list[Repair] = []
            for part in _broken(text, is_field):
                if name in ("connectives", "brackets") and not _UNREAD.isdisjoint(
                    item.kind for item in part
                ):
                    continue
                repairs += make(text, part)
            if text.refused or not text.apply(repairs):
                break
        if name == "shape":
            text.apply(supply_streams(text, _parts(text, is_field)))
        if text.refused:
            return
    parts = _parts(text, is_field)
    if stands_alone(parts, is_field):
        text.apply(bare_condition(text, parts[0], datamodel))
    _placeholders(text)


@functools.lru_cache(maxsize=128)
def _parses(text: str) -> bool:
    return not parse_program(Block.of(text)).diagnostics


def _parts(text: Text, is_field: Callable[[str], bool]) -> list[list[Lexeme]]:
    scanned = scan(text.text)
    return [] if scanned is None else statements(text.text, scanned[0], is_field)


def _broken(text: Text, is_field: Callable[[str], bool]) -> list[list[Lexeme]]:
    """The statements that do not parse alone, a bare condition too."""
    return [part for part in _parts(text, is_field) if not _is_right(text.text, part)]


def _is_right(text: str, part: Sequence[Lexeme]) -> bool:
    whole = text[part[0].start : part[-1].end]
    if is_bare(part):
        return _is_condition(whole)
    return _parses(whole) and (_statements(whole) == 1 or part[0].word == "input")


@functools.lru_cache(maxsize=128)
def _statements(text: str) -> int:
    return len(parse_program(Block.of(text)).program.statements)


def _is_condition(text: str) -> bool:
    return _parses(f"x = search Process where (\n{text}\n)\noutput x")


def _placeholders(text: Text) -> None:
    """Say so where a text leaves out what it should hold."""
    for found in foreign.ELLIPSIS.finditer(text.text):
        text.refuse(
            found.start(1),
            found.end(1),
            "the list is not complete: its author left out what belongs here",
            codes.PLACEHOLDER,
        )
