"""What the columns of a table hold of an event: texts, and JSON for what is no plain value.

`Columns` learns the fields of events one by one, and gives each event as the cells of its row.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from attrs import define, field

from ..diagnostics import CarError, Diagnostic, codes
from ..evaluate import searchable
from ..languages.event_table import EventColumn, EventTable, FieldPath, free_name
from ..values import number_of, text_of

MOST_COLUMNS = 20_000
"""A table of events gets no more columns than that."""

RESERVED = ("event_id", "raw", "event")


@define
class _Growing:
    """A field's columns so far."""

    path: FieldPath
    texts: str | None = None
    structures: str | None = None
    lists: bool = False
    unread_numbers: bool = False


@define
class Columns:
    """The columns of a table while events are read.

    ``most`` is how many there may be; ``altered`` counts texts with lone surrogates, which no
    database holds: U+FFFD stands for each.
    """

    most: int = MOST_COLUMNS
    altered: int = 0
    _fields: dict[FieldPath, _Growing] = field(factory=dict)
    _used: set[str] = field(factory=lambda: set(RESERVED))
    _names: list[str] = field(factory=list)

    @property
    def names(self) -> list[str]:
        """The names of the fields' columns, in the order in which events needed them."""
        return self._names

    def table(self, name: str, rows: int, *, raw: bool) -> EventTable:
        """The table as it is by now."""
        columns = [
            EventColumn(f.path, f.texts, f.structures, f.lists, f.unread_numbers)
            for f in self._fields.values()
        ]
        return EventTable(name, tuple(columns), rows, raw)

    def cells(self, event: Mapping[str, Any]) -> dict[str, str]:
        """The cells of an event that are not NULL, by their columns.

        Raises `CarError` (CE984) where events have more different fields than a table may have
        columns.
        """
        made: dict[str, str] = {}
        # A stack instead of recursion: events may be deep.
        inside: list[tuple[FieldPath, Mapping[str, Any]]] = [((), event)]
        while inside:
            before, mapping = inside.pop()
            for key, value in mapping.items():
                path = (*before, key)
                known = self._fields.get(path)
                if known is None:
                    known = self._fields[path] = _Growing(path)
                kind = type(value)
                if kind is str or kind is int or kind is float or kind is bool:
                    text = value if kind is str else text_of(value)
                    if kind is not str and self._is_unread(value, text):
                        known.unread_numbers = True
                    if text is not None:
                        made[known.texts or self._text_column(known)] = self._stored(text)
                        continue
                    structure = "{}"
                elif isinstance(value, Mapping):
                    inside.append((path, value))
                    structure = "{}"
                elif isinstance(value, list | tuple):
                    structure = self._listed(value, known)
                else:
                    structure = "null"
                if structure != "null":
                    known.lists = True
                made[known.structures or self._structure_column(known)] = structure
        return made

    def _listed(self, value: list[Any] | tuple[Any, ...], known: _Growing) -> str:
        texts: list[str | None] = []
        for item in value:
            if item is None:
                continue
            text = text_of(item)
            if text is None:
                texts.append(None)
                continue
            if type(item) is not str and self._is_unread(item, text):
                known.unread_numbers = True
            texts.append(self._stored(text))
        return json.dumps(texts, ensure_ascii=False, separators=(",", ":"))

    @staticmethod
    def _is_unread(value: Any, text: str | None) -> bool:
        """Whether a number is none any more as the text that it becomes."""
        return text is None or (number_of(value) is not None and number_of(text) is None)

    def _stored(self, text: str) -> str:
        if text.isascii():
            return text
        stored = searchable(text)
        self.altered += stored != text
        return stored

    def _text_column(self, known: _Growing) -> str:
        known.texts = self._column(".".join(known.path))
        return known.texts

    def _structure_column(self, known: _Growing) -> str:
        known.structures = self._column(".".join(known.path) + " json")
        return known.structures

    def _column(self, name: str) -> str:
        if len(self._names) >= self.most:
            message = (
                f"events have more different fields than a table may have columns: {self.most:,}"
            )
            raise CarError([Diagnostic(codes.TOO_MANY_COLUMNS, message)])
        made = free_name(searchable(name).replace("\0", "\ufffd"), self._used)
        self._used.add(made.lower())
        self._names.append(made)
        return made
