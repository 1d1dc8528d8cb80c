"""What is known of a stream while names are repaired: which fields its rows have.

The resolver works this out exactly, for a program that is right. Here it has to be known of a
program that is not, so that it is rougher: ``Opaque`` is a stream of which nothing is known, and
nothing is repaired in it.
"""

from __future__ import annotations

from collections.abc import Sequence

from attrs import evolve, frozen

from ..datamodel import ObjectSpec


@frozen
class Events:
    """CAR events: their objects, the fields assigned to them, and the statement that searched for
    them."""

    objects: tuple[ObjectSpec, ...]
    assigned: tuple[str, ...] = ()
    root: int | None = None


@frozen
class Rows:
    """Rows of named columns."""

    columns: tuple[str, ...]


@frozen
class Joined:
    """A row of each branch."""

    branches: tuple[tuple[str, Outline], ...]


@frozen
class Grouped:
    """Groups: their keys, and what is in them."""

    keys: tuple[str, ...]
    members: Outline


@frozen
class Single:
    """A value, not a stream; ``several`` for a list."""

    several: bool = False


@frozen
class Opaque:
    """Nothing is known."""


@frozen
class Missing:
    """A stream of events that the data model has not, by the statement that searches for them."""

    statement: int


Outline = Events | Rows | Joined | Grouped | Single | Opaque | Missing


def is_stream(outline: Outline) -> bool:
    """Whether an outline is one of a stream."""
    return not isinstance(outline, Single)


def has_field(outline: Outline, path: Sequence[str], name: str | None = None) -> bool:
    """Whether a dotted path is a field in rows of an outline; ``name`` is what the stream is called
    there."""
    if name is not None and len(path) > 1 and path[0] == name and has_field(outline, path[1:]):
        return True
    text = ".".join(path)
    match outline:
        case Events(objects, assigned):
            return text in assigned or any(spec.field(text) is not None for spec in objects)
        case Rows(columns):
            return text in columns or text == "time"
        case Joined(branches):
            inner = dict(branches).get(path[0])
            return text == "time" or (
                inner is not None and len(path) > 1 and has_field(inner, path[1:])
            )
        case Grouped(keys):
            return text == "time" or any(_same(key, text) for key in keys)
        case _:
            return True


def fields_of(outline: Outline) -> tuple[str, ...]:
    """The names that a field can have in rows of an outline."""
    match outline:
        case Events(objects, assigned):
            names = [name for spec in objects for name in spec.fields]
            return tuple(dict.fromkeys([*names, *assigned]))
        case Rows(columns):
            return (*columns, "time")
        case Grouped(keys):
            return keys
        case _:
            return ()


def with_field(outline: Outline, name: str) -> Outline:
    """The outline after a field was assigned."""
    match outline:
        case Events(_, assigned):
            return evolve(outline, assigned=tuple(dict.fromkeys([*assigned, name])))
        case Rows(columns):
            return evolve(outline, columns=tuple(dict.fromkeys([*columns, name])))
        case _:
            return outline


def together(outlines: Sequence[Outline]) -> Outline:
    """The outline of rows that come from several streams."""
    if len(outlines) == 1:
        return outlines[0]
    events = [item for item in outlines if isinstance(item, Events)]
    if not outlines or len(events) != len(outlines):
        return outlines[0] if outlines and all(o == outlines[0] for o in outlines) else Opaque()
    objects = {spec.name: spec for item in events for spec in item.objects}
    assigned = dict.fromkeys(name for item in events for name in item.assigned)
    return Events(tuple(objects.values()), tuple(assigned))


def _same(a: str, b: str) -> bool:
    return a.replace("_", "").lower() == b.replace("_", "").lower()
