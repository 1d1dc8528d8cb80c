"""A table of events: which columns it has, and what in the events no column of texts can hold.

Queries in SQL ask a table with one row for each event and one column of texts for each raw field.
A text is not all that a field can hold, so what is no plain value lies in a second column, beside
the first one, as JSON::

    event                          "Image"     "Image json"
    {"Image": "x.exe"}             x.exe       NULL
    {"Image": 445.0}               445         NULL
    {"Image": ""}                  (empty)     NULL
    {}                             NULL        NULL
    {"Image": null}                NULL        null
    {"Image": []}                  NULL        []
    {"Image": ["a", 7, {}]}        NULL        ["a","7",null]
    {"Image": {"a": 1}}            NULL        {}

Of a list each element is its text, or null where it has none (a mapping, a list); nulls in the list
are left out, as the engine leaves them out. A field that never holds anything but plain values has
no second column. `EventTable` names the columns there are; queries that are made for it ask for
nothing else, and ask a second column only where it holds a list or a mapping.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property

from attrs import frozen

FieldPath = tuple[str, ...]
"""A raw field: the keys that lead to it."""


@frozen
class EventColumn:
    """A raw field's columns in a table.

    ``texts`` names the column of its plain values, None where it never has one; ``structures`` that
    of nulls, lists and mappings, None where there are none. ``lists`` tells that ``structures`` has
    lists or mappings, and not only nulls; ``unread_numbers`` that the field holds numbers whose
    text is no number for a query (``1e+22``, or more than 40 digits).
    """

    path: FieldPath
    texts: str | None
    structures: str | None = None
    lists: bool = False
    unread_numbers: bool = False


@frozen
class EventTable:
    """The columns of a table of events, as `carengine.sql.load` makes it.

    ``name`` is the table's, ``rows`` the number of events in it. ``raw`` tells that it has the
    column ``raw`` with the text of each event. Hand it to `carengine.translate` as ``table``.

    >>> table = EventTable("events", (EventColumn(("Image",), "Image", "Image json", True),))
    >>> table.column(("Image",)).structures, table.column(("User",))
    ('Image json', None)
    """

    name: str
    columns: tuple[EventColumn, ...]
    rows: int = 0
    raw: bool = False

    @cached_property
    def _by_path(self) -> Mapping[FieldPath, EventColumn]:
        return {column.path: column for column in self.columns}

    def column(self, path: FieldPath) -> EventColumn | None:
        """The columns of a raw field; None where no event has the field."""
        return self._by_path.get(path)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all columns, in order: ``event_id``, ``raw`` if it is there, the fields'."""
        found = [name for c in self.columns for name in (c.texts, c.structures) if name is not None]
        return ("event_id", *(["raw"] if self.raw else []), *found)


def distinct_names(names: Iterable[str], taken: Iterable[str] = ()) -> dict[str, str]:
    """A name for each name, such that no two differ in case only.

    Most products ignore case in the names of columns, and logs have fields that differ in nothing
    else. The first in the order of the alphabet keeps its name.

    >>> distinct_names(["EventId", "EventID", "Image"])
    {'EventID': 'EventID', 'EventId': 'EventId (2)', 'Image': 'Image'}
    """
    used = {name.lower() for name in taken}
    made: dict[str, str] = {}
    for name in sorted(set(names)):
        made[name] = free_name(name, used)
        used.add(made[name].lower())
    return made


def free_name(name: str, used: Iterable[str]) -> str:
    """The name, with a number behind it where one that differs in case only is ``used`` (in lower
    case).

    >>> free_name("EventId", {"eventid"})
    'EventId (2)'
    """
    found, number = name, 1
    while found.lower() in used:
        number += 1
        found = f"{name} ({number})"
    return found
