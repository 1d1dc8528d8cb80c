"""What the tests of the shipped field maps have in common: cases, and how they are held to the
maps."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from attrs import frozen

from carengine import ir
from carengine.engine import Engine
from carengine.fieldmap import CarRow, FieldMap, installed_maps, normalize, recognise, unwrap

Expected = Mapping[str, Mapping[str, Any]]
"""By kind (``file/create``), some fields and what they are."""


@frozen
class Case:
    """An event, and the CAR events it is: all kinds, and some fields of each (None: not known)."""

    event: Mapping[str, Any]
    expected: Expected


def seen_as(event: Mapping[str, Any]) -> dict[str, CarRow]:
    """The CAR views of an event through all installed maps, by kind."""
    views = normalize(event, installed_maps())
    assert len({view.kind for view in views}) == len(views)
    return {str(view.kind): CarRow(view) for view in views}


def shape_of(event: Mapping[str, Any]) -> str:
    """The one map that recognises an event, of those that give CAR events; maps of log sources
    stand beside them."""
    found = recognise(unwrap(event), [m for m in installed_maps() if m.kinds()])
    assert len(found) <= 1, [fieldmap.name for fieldmap in found]
    return found[0].name if found else ""


def check(case: Case, shape: str) -> None:
    """Hold a case to the maps: its shape, its kinds, the fields it names."""
    assert shape_of(case.event) == shape
    views = seen_as(case.event)
    assert set(views) == set(case.expected)
    for kind, fields in case.expected.items():
        got = {name: views[kind].field(ir.Field(name)) for name in fields}
        assert got == dict(fields), kind


def entries_hit(fieldmap: FieldMap, cases: Iterable[Mapping[str, Any]]) -> set[int]:
    """The numbers of a map's entries that some event fits."""
    engine = Engine((), fieldmap)
    hit: set[int] = set()
    for event in cases:
        classes = engine.classify(unwrap(event)).classes
        hit |= {fieldmap.entries.index(found.entry) for found in classes}
    return hit


def missed(fieldmap: FieldMap, cases: Iterable[Mapping[str, Any]]) -> list[str]:
    """The entries that no event fits, for people to read."""
    hit = entries_hit(fieldmap, cases)
    return [f"{n}: {entry.kind}" for n, entry in enumerate(fieldmap.entries) if n not in hit]
