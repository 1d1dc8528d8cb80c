"""``typical_events.yaml``: what logs usually write, read once.

It has three parts. ``windows`` are the fields of Windows' events, by channel and number. ``shapes``
are what a shipper adds to every event of a field map. ``templates`` are whole events of a kind in
the shape of a field map, where what tells the kind is computed by the map and cannot be solved for;
``texts`` are lines around a value, of logs whose events are one text.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml
from attrs import field, frozen

from .. import ir

_FILE = Path(__file__).parent / "typical_events.yaml"


@frozen
class EventTemplate:
    """An event of a kind in the shape of a field map, and texts around a value, marked ``{}``."""

    event: Mapping[str, Any] = field(hash=False)
    texts: Sequence[str] = ()


@lru_cache(maxsize=1)
def _all() -> dict[str, Any]:
    text = _FILE.read_text(encoding="utf-8")
    found: dict[str, Any] = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 - both are safe loaders
    return found


@lru_cache(maxsize=1)
def windows_channels() -> Mapping[str, Mapping[str, Any]]:
    """What is written about each channel of Windows' events."""
    return {one["channel"]: one for one in _all()["windows"]}


def shape_fields(fieldmap: str) -> Mapping[str, Any] | None:
    """What a shipper adds to the events of a field map."""
    found: Mapping[str, Any] | None = _all()["shapes"].get(fieldmap)
    return found


def templates_of(fieldmap: str, kind: ir.EventKind) -> Iterator[EventTemplate]:
    """The templates for a kind of event in the shape of a field map."""
    for one in _all()["templates"]:
        kinds = one.get("kinds")
        if fieldmap in one["maps"] and (kinds is None or str(kind) in kinds):
            yield EventTemplate(one.get("event", {}), one.get("texts", ()))
