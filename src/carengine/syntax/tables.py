"""The parser's tables, as they ship beside the grammar.

Working out the tables of the grammar takes longer than parsing a rule. ``grammar/car.tables.json``
has what Lark made of the grammar, as plain data; ``python docs/generate.py`` writes it. It says for
which grammar and which version of Lark it is. With another of either, the tables are worked out
from the grammar, and nothing but time is lost.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from .. import resources

if TYPE_CHECKING:
    from lark import Lark


def parser() -> Lark:
    """The parser of the language, from the tables that ship where they fit."""
    from lark import Lark

    grammar = resources.grammar_file().read_text(encoding="utf-8")
    shipped = _shipped()
    if shipped is not None and _fits(shipped, grammar):
        tables: Any = {"data": shipped["data"], "memo": shipped["memo"]}
        return Lark.load(tables)
    return _built(grammar)


def tables_are_current() -> bool:
    """Whether the tables that ship are those of this grammar and of this version of Lark."""
    shipped = _shipped()
    return shipped is not None and _fits(shipped, resources.grammar_file().read_text("utf-8"))


def tables_text() -> str:
    """The content of ``grammar/car.tables.json`` for the grammar and the Lark that are here."""
    from lark import __version__
    from lark.grammar import Rule
    from lark.lexer import TerminalDef

    grammar = resources.grammar_file().read_text(encoding="utf-8")
    data, memo = _built(grammar).memo_serialize([TerminalDef, Rule])
    tables = {"for": [_digest(grammar), __version__], "data": data, "memo": memo}
    return json.dumps(tables, separators=(",", ":")) + "\n"


def _shipped() -> dict[str, Any] | None:
    try:
        text = resources.grammar_tables().read_text(encoding="ascii")
        tables = json.loads(text, object_pairs_hook=_mapping)
    except (OSError, ValueError):
        return None
    return tables if isinstance(tables, dict) else None


def _fits(tables: dict[str, Any], grammar: str) -> bool:
    from lark import __version__

    return bool(tables.get("for") == [_digest(grammar), __version__])


def _mapping(items: list[tuple[str, Any]]) -> dict[str | int, Any]:
    """A mapping with its keys as they were before JSON: states and terminals have numbers."""
    return {int(key) if key.isdigit() else key: value for key, value in items}


def _digest(grammar: str) -> str:
    return hashlib.sha256(grammar.encode()).hexdigest()


def _built(grammar: str) -> Lark:
    from lark import Lark

    return Lark(
        grammar,
        parser="lalr",
        lexer="contextual",
        start=["program", "expression"],
        maybe_placeholders=False,
    )
