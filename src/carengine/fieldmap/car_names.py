"""The map of events that have CAR's names already, and those of objects that were declared."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from ..datamodel import DataModel, model, shipped_model
from .model import FieldMap
from .shipped import shipped_maps

_CAR = Path(__file__).parent / "maps" / "car.yaml"
_ENTRY = """
  - kind: {object}/{action}
    when: object in [{objects}] and action in [{actions}]
    fields: {{"*": "*"}}
"""


def car_map() -> FieldMap:
    """The field map `car`, for the data model as it is now.

    >>> car_map().name
    'car'
    """
    return _car_map(model())


@lru_cache(maxsize=4)
def _car_map(datamodel: DataModel) -> FieldMap:
    shipped = shipped_model()
    compiled = next((one for one in shipped_maps() or () if one.name == "car"), None)
    if datamodel is shipped and compiled is not None:
        return compiled
    from .load import load_map, parse_map

    if datamodel is shipped:
        return load_map(_CAR, deferred=True)[0]
    text = _CAR.read_text("utf-8").rstrip("\n") + "\n"
    for spec in datamodel.objects.values():
        known = shipped.objects.get(spec.name)
        for action in spec.actions:
            if known is None or action not in known.actions:
                text += _ENTRY.strip("\n").format(
                    object=spec.name,
                    action=action,
                    objects=_spellings(spec.name),
                    actions=_spellings(action),
                )
                text += "\n"
    [made] = parse_map(text, str(_CAR), deferred=True)
    return made


def _spellings(name: str) -> str:
    """A name as it is, and run together."""
    both = dict.fromkeys((name, name.replace("_", "")))
    return ", ".join(f'"{one}"' for one in both)
