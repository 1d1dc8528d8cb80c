"""Field maps: from the language's names to a log's, and back.

``model`` holds what a map is and the two directions it serves, ``load`` reads maps from YAML,
``find`` knows where maps are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..ondemand import names_on_demand

if TYPE_CHECKING:
    from .drafting import draft_map, map_name
    from .ecs import with_ecs
    from .fields import Fields
    from .find import MapChoice, find_maps, installed_maps, maps_for
    from .getters import Get, getter, walker
    from .load import load_map, parse_map
    from .logsource import ECS, NamedLogSource
    from .model import (
        CarEvent,
        CarRow,
        Entry,
        FieldMap,
        Lowered,
        entries_of,
        lower,
        lower_for,
        may_be_decided,
        normalize,
        of_any_service,
        outcomes,
        recognise,
        time_at,
        unwrap,
        useful,
        view,
    )
    from .observed import ObservedLog, leaves
    from .raw import raw_map
    from .sensors import Sensor, Sighting, merged_kinds
    from .shapes import CHANNEL_PATHS, FORWARDED, RESHAPING_KEYS
else:
    __getattr__ = names_on_demand(
        globals(),
        drafting="draft_map map_name",
        ecs="with_ecs",
        fields="Fields",
        find="MapChoice find_maps installed_maps maps_for",
        getters="Get getter walker",
        load="load_map parse_map",
        logsource="ECS NamedLogSource",
        model=(
            "CarEvent CarRow Entry FieldMap Lowered entries_of lower lower_for may_be_decided "
            "normalize of_any_service outcomes recognise time_at unwrap useful view"
        ),
        observed="ObservedLog leaves",
        raw="raw_map",
        sensors="Sensor Sighting merged_kinds",
        shapes="CHANNEL_PATHS FORWARDED RESHAPING_KEYS",
    )

__all__ = [
    "CHANNEL_PATHS",
    "ECS",
    "FORWARDED",
    "RESHAPING_KEYS",
    "CarEvent",
    "CarRow",
    "Entry",
    "FieldMap",
    "Fields",
    "Get",
    "Lowered",
    "MapChoice",
    "NamedLogSource",
    "ObservedLog",
    "Sensor",
    "Sighting",
    "draft_map",
    "entries_of",
    "find_maps",
    "getter",
    "installed_maps",
    "leaves",
    "load_map",
    "lower",
    "lower_for",
    "map_name",
    "maps_for",
    "may_be_decided",
    "merged_kinds",
    "normalize",
    "of_any_service",
    "outcomes",
    "parse_map",
    "raw_map",
    "recognise",
    "time_at",
    "unwrap",
    "useful",
    "view",
    "walker",
    "with_ecs",
]
