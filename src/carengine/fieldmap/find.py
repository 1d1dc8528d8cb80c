"""Finding field maps: the shipped ones, those in files and folders, and those of other packages.

Another package offers maps through the entry point group ``carengine.fieldmaps``; each entry point
gives a path to a YAML file, a `FieldMap`, or several of either.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from functools import lru_cache
from importlib.machinery import PathFinder
from pathlib import Path

from .. import ir
from ..datamodel import declared_objects, nearest
from ..diagnostics import CarError, Diagnostic, Fix, codes
from . import logsource
from .car_names import car_map
from .logsource import RAW, NamedLogSource
from .model import FieldMap, useful
from .shipped import shipped_maps, yaml_files

_GROUP = "carengine.fieldmaps"
_PACKAGED = (".dist-info", ".egg-info", ".egg")

_Item = str | Path | FieldMap | NamedLogSource
MapChoice = _Item | Iterable[_Item]
"""What callers may give: a name, a path, a map, the log source that the events are of, or several
of these."""


def installed_maps() -> tuple[FieldMap, ...]:
    """All field maps that come with carengine or with other installed packages.

    The map `car` has the objects that were declared besides CAR's.

    Raises `CarError` if one of them is not right.

    >>> "sysmon.flat" in [fieldmap.name for fieldmap in installed_maps()]
    True
    """
    return _with_declared(car_map()) if declared_objects() else _shipped_maps()


@lru_cache(maxsize=1)
def _shipped_maps() -> tuple[FieldMap, ...]:
    made = list(shipped_maps() or maps_of_yaml())
    if _may_be_offered():
        from importlib.metadata import entry_points

        for point in entry_points(group=_GROUP):
            made += _given(point.load())
    return _distinct(made)


@lru_cache(maxsize=1)
def _with_declared(car: FieldMap) -> tuple[FieldMap, ...]:
    return tuple(car if one.name == car.name else one for one in _shipped_maps())


def _may_be_offered() -> bool:
    """Whether an installed package may have an entry point of the group: false only where all
    packages lie in folders and none of their lists of entry points names it. To ask
    `importlib.metadata` at once takes a tenth of the time that starting may take."""
    if any(
        hasattr(finder, "find_distributions") and finder is not PathFinder
        for finder in sys.meta_path
    ):
        return True
    group = _GROUP.encode()
    for place in sys.path:
        try:
            inside = [one for one in os.scandir(place or ".") if one.name.endswith(_PACKAGED)]
            for one in inside:
                listed = os.path.join(one.path, "entry_points.txt")
                if not one.is_dir() or (
                    os.path.exists(listed) and group in Path(listed).read_bytes()
                ):
                    return True
        except NotADirectoryError:
            return True
        except OSError:
            continue
    return False


def maps_of_yaml() -> tuple[FieldMap, ...]:
    """The shipped maps, read from their YAML.

    >>> maps_of_yaml() == shipped_maps()
    True
    """
    from .load import load_map

    return tuple(found for path in yaml_files() for found in load_map(path, deferred=True))


def _given(offered: object) -> list[FieldMap]:
    match offered:
        case FieldMap():
            return [offered]
        case str() | Path():
            return list(find_maps(offered))
        case Iterable():
            return [found for item in offered for found in _given(item)]
        case _:
            pass
    message = f"an entry point of {_GROUP} gives {type(offered).__name__}, not a field map"
    raise CarError([Diagnostic(codes.BAD_MAP, message, origin=_GROUP)])


def _distinct(maps: Iterable[FieldMap]) -> tuple[FieldMap, ...]:
    made: dict[str, FieldMap] = {}
    for fieldmap in maps:
        if made.setdefault(fieldmap.name, fieldmap) != fieldmap:
            message = f"two field maps are called {fieldmap.name}"
            raise CarError([Diagnostic(codes.BAD_MAP, message, origin=fieldmap.name)])
    return tuple(made.values())


def find_maps(choice: MapChoice = "auto") -> tuple[FieldMap, ...]:
    """The field maps that a name, a path, a map or several of these stand for.

    ``"auto"`` is all installed maps. A family's name (``sysmon``) is all its shapes, a full name
    (``sysmon.flat``) one. A path to a YAML file or to a folder of them loads those. ``"raw"``
    reads events by the names of their own fields, and a `NamedLogSource` says what these events
    are; other maps beside it that have this log source go before it. See `raw_map`.

    Raises `CarError` for an unknown name or a map that is not right.

    >>> [found.name for found in find_maps("sysmon.flat")]
    ['sysmon.flat']
    """
    match choice:
        case FieldMap():
            return (choice,)
        case Path():
            return _from_path(choice)
        case NamedLogSource():
            from .raw import raw_map

            return (raw_map([choice]),)
        case "auto":
            return installed_maps()
        case logsource.RAW:
            from .raw import raw_map

            return (raw_map(),)
        case str():
            named = tuple(m for m in installed_maps() if choice.lower() in (m.name, m.family))
            if named:
                return named
            if Path(choice).exists():
                return _from_path(Path(choice))
            return _unknown(choice)
        case _:
            return _several(list(choice))


def maps_for(choice: MapChoice, kinds: Iterable[ir.EventKind]) -> tuple[FieldMap, ...]:
    """The field maps that a choice stands for, as rules use them that search for kinds of events.

    Installed maps that give nothing but other log sources are left out. A map of one's own stays.

    >>> maps_for("windows", ())
    ()
    """
    wanted = frozenset(kinds)
    found = find_maps(choice)
    if logsource.ECS in wanted:
        from .ecs import with_ecs

        found = with_ecs(found, installed_maps())
    return useful(found, wanted, keep=_is_own)


def _is_own(fieldmap: FieldMap) -> bool:
    return all(fieldmap.name != one.name for one in installed_maps())


def _several(items: list[_Item]) -> tuple[FieldMap, ...]:
    sources = [item for item in items if isinstance(item, NamedLogSource)]
    others = [item for item in items if not isinstance(item, NamedLogSource)]
    named = [item for item in others if item != RAW] if sources else others
    made = _distinct(found for item in named for found in find_maps(item))
    if not sources:
        return made
    from .raw import raw_map

    own = raw_map(sources, beside=made, car=len(named) < len(others))
    return _distinct((*made, own))


def _from_path(path: Path) -> tuple[FieldMap, ...]:
    from .load import load_map

    if not path.is_dir():
        return load_map(path)
    files = sorted(p for p in path.iterdir() if p.suffix in (".yaml", ".yml"))
    if not files:
        message = "the folder holds no field map (*.yaml)"
        raise CarError([Diagnostic(codes.UNKNOWN_MAP, message, origin=str(path))])
    found: list[Diagnostic] = []
    made: list[FieldMap] = []
    for file in files:
        try:
            made += load_map(file)
        except CarError as error:
            found += error.diagnostics
    if found:
        raise CarError(found)
    return _distinct(made)


def _unknown(name: str) -> tuple[FieldMap, ...]:
    installed = installed_maps()
    names = sorted({RAW} | {m.family for m in installed} | {m.name for m in installed})
    near = nearest(name, names, 3)
    raise CarError(
        [
            Diagnostic(
                codes.UNKNOWN_MAP,
                f"there is no field map {name}, and no file of that name",
                notes=(f"installed: {', '.join(names)}",),
                fix=Fix(f"did you mean {near[0]}?") if near else None,
                origin=name,
            )
        ]
    )
