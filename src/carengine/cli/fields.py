"""``carengine fields``: the data model, and what a field map gives of it."""

from __future__ import annotations

import argparse
from typing import Any

from attrs import frozen

from ..datamodel import TIME, Action, FieldSpec, ObjectSpec, model
from ..fieldmap import Entry, FieldMap, find_maps
from ..ir_text import condition_text, value_text
from . import UsageError, status
from .encode import json_document
from .options import MapNames, add_map_option, map_names
from .screen import Screen
from .table import Table, cell, draw

_EXAMPLES = """\
examples:
  carengine fields                          the objects and their actions
  carengine fields process                  the actions and fields of an object
  carengine fields file/create -m sysmon    where a field map takes each field from
  carengine fields -m my.yaml               the CAR events that a field map gives
  carengine fields process -f json

exit status: 0 done, 2 there is no such object, action or map.
"""


@frozen
class FieldsSettings:
    """What ``fields`` was asked for. ``kind`` is an object, or one with an action; None: all."""

    kind: str | None = None
    maps: MapNames = ()
    format: str = "table"


def arguments(parser: argparse.ArgumentParser) -> None:
    """What ``fields`` takes."""
    parser.epilog = _EXAMPLES
    parser.add_argument(
        "kind",
        nargs="?",
        metavar="OBJECT[/ACTION]",
        help="process, file/create, Thread:RemoteCreate",
    )
    add_map_option(parser)
    parser.add_argument(
        "-f", "--format", choices=["table", "json"], default="table", help="default: table"
    )


def settings(values: argparse.Namespace) -> FieldsSettings:
    """What the command line asks for."""
    return FieldsSettings(values.kind, map_names(values), values.format)


def run(settings: FieldsSettings, screen: Screen) -> int:
    """List. The exit status."""
    spec, action = _wanted(settings.kind)
    maps = find_maps(settings.maps) if settings.maps else ()
    if settings.format == "json":
        objects = model().objects.values() if spec is None else [spec]
        data = {
            "objects": [_object_as_json(one, action) for one in objects],
            "maps": [_map_as_json(one, spec, action) for one in maps],
        }
        screen.show_lines(json_document(data))
    elif maps:
        _show_maps(maps, spec, action, screen)
    elif spec is None:
        _show_objects(screen)
    else:
        _show_object(spec, action, screen)
    return status.DONE


def _wanted(kind: str | None) -> tuple[ObjectSpec | None, Action | None]:
    """The object and the action that a spelling means. Raises `UsageError` where there are none."""
    if kind is None:
        return None, None
    name, _, verb = kind.replace(":", "/").partition("/")
    spec = model().object(name)
    if spec is None:
        near = model().nearest_objects(name)
        raise UsageError(f"carengine fields: there is no object {name}{_near(near)}")
    if not verb or verb == "*":
        return spec, None
    action = spec.action(verb)
    if action is None:
        near = spec.nearest_actions(verb) or tuple(spec.actions)
        raise UsageError(f"carengine fields: {spec.name} has no action {verb}{_near(near)}")
    return spec, action


def _near(names: tuple[str, ...]) -> str:
    return f"; did you mean {', '.join(names)}?" if names else "; `carengine fields` lists them"


def _fields(spec: ObjectSpec) -> list[FieldSpec]:
    return list({TIME.name: TIME, **spec.fields}.values())


def _show_objects(screen: Screen) -> None:
    rows = [
        (spec.name, ", ".join(spec.actions), str(len(spec.fields)), cell(spec.description))
        for spec in model().objects.values()
    ]
    draw(Table("", ("object", "actions", "fields", "what it is about"), rows), screen)


def _show_object(spec: ObjectSpec, action: Action | None, screen: Screen) -> None:
    actions = [action] if action else list(spec.actions.values())
    about = f"{spec.name}  {spec.description}"
    draw(
        Table(about, ("action", "meaning"), [(a.name, cell(a.description)) for a in actions]),
        screen,
    )
    if spec.reason:
        screen.show(f"CAR's own model does not have it: {spec.reason}")
    screen.show()
    rows = [
        (one.name, one.type.value, cell(one.description), cell(one.example))
        for one in _fields(spec)
    ]
    draw(Table("", ("field", "type", "meaning", "example"), rows), screen)


def _chosen(fieldmap: FieldMap, spec: ObjectSpec | None, action: Action | None) -> list[Entry]:
    return [
        entry
        for entry in fieldmap.entries
        if (spec is None or entry.kind.object == spec.name)
        and (action is None or entry.kind.action == action.name)
    ]


def _show_maps(
    maps: tuple[FieldMap, ...], spec: ObjectSpec | None, action: Action | None, screen: Screen
) -> None:
    for number, fieldmap in enumerate(maps):
        if number:
            screen.show()
        entries = _chosen(fieldmap, spec, action)
        title = f"{fieldmap.name}  {cell(fieldmap.title)}"
        if spec is None:
            rows = [
                (str(entry.kind), cell(condition_text(entry.when)), _share(entry))
                for entry in entries
            ]
            draw(Table(title, ("CAR event", "which raw events", "fields given"), rows), screen)
            continue
        screen.show(screen.paint(title, "bold"))
        if not entries:
            wanted = f"{spec.name}/{action.name}" if action else spec.name
            screen.show(f"  it has no {wanted} events")
        for entry in entries:
            _show_entry(entry, spec, screen)


def _share(entry: Entry) -> str:
    if entry.native is not None:
        return "native names"
    spec = model().objects[entry.kind.object]
    known = {one.name for one in _fields(spec)}
    return f"{len(known & entry.fields.keys())} of {len(known)}"


def _show_entry(entry: Entry, spec: ObjectSpec, screen: Screen) -> None:
    title = f"{entry.kind}  {cell(condition_text(entry.when))}"
    given = [(n, _type(spec, n), cell(value_text(value))) for n, value in entry.fields.items()]
    without = [one.name for one in _fields(spec) if one.name not in entry.fields]
    note = f"not given: {', '.join(without)}" if without else ""
    draw(Table(title, ("field", "type", "comes from"), given, note), screen)


def _type(spec: ObjectSpec, name: str) -> str:
    found = TIME if name == TIME.name else spec.field(name)
    return found.type.value if found else ""


def _object_as_json(spec: ObjectSpec, action: Action | None) -> dict[str, Any]:
    actions = [action] if action else list(spec.actions.values())
    return {
        "object": spec.name,
        "description": spec.description,
        "actions": [{"name": one.name, "description": one.description} for one in actions],
        "fields": [
            {
                "name": one.name,
                "type": one.type.value,
                "description": one.description,
                "example": one.example,
                "extension": one.extension,
            }
            for one in _fields(spec)
        ],
    }


def _map_as_json(
    fieldmap: FieldMap, spec: ObjectSpec | None, action: Action | None
) -> dict[str, Any]:
    return {
        "name": fieldmap.name,
        "title": fieldmap.title,
        "recognise": condition_text(fieldmap.recognise),
        "entries": [
            {
                "object": entry.kind.object,
                "action": entry.kind.action,
                "when": condition_text(entry.when),
                "fields": {name: value_text(value) for name, value in entry.fields.items()},
            }
            for entry in _chosen(fieldmap, spec, action)
        ],
    }
