"""Objects, actions and fields of one's own, beside CAR's.

A model file, or a field map, declares them under ``objects``::

    objects:
      invoice:                                 an object that CAR does not have
        description: An invoice of the shop.
        identity: [number]                     optional: what tells one from another
        actions:
          pay: It was paid.
        fields:
          number: {type: integer, description: Its number.}
          amount: {type: number, description: What is to be paid.}
      process:                                 one that CAR has: its actions and fields are added to
        fields:
          ticket: {description: The change ticket that allowed it.}

What is declared is known in the whole process from then on: to rules, field maps, `model()` and all
commands. So a model file is declared before the rules that use it are loaded. The same
declaration again changes nothing; a different one of the same name is an error.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import frozen

from ..diagnostics import Block, CarError, Diagnostic, Label, Source, Span, codes
from ..filewrite import bounded_text
from .shipped import shipped_model
from .specs import TIME, Action, DataModel, FieldSpec, ObjectSpec
from .spellings import fold_name

if TYPE_CHECKING:
    from ..yamltext import Node


@frozen
class _Declared:
    """What one process has declared: the objects, where each stands, and the whole model."""

    objects: Mapping[str, ObjectSpec]
    places: Mapping[str, Span]
    model: DataModel


# Replaced as a whole, so that a thread that reads it sees one state or the other.
_declared: _Declared | None = None
_lock = threading.Lock()


def model() -> DataModel:
    """The data model: CAR's 13 objects, the extensions, and what was declared besides.

    >>> model().object("User Session").name
    'user_session'
    """
    return shipped_model() if _declared is None else _declared.model


def declare_model(path: str | Path) -> DataModel:
    """Declare what a model file holds, and return the model with it.

    Rules and field maps that are loaded afterwards can use it. The file is YAML with the key
    ``objects``, as in the text above.

    Raises `CarError` with all that is wrong in it (CE218), and declares nothing then.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder, declared_for_now():
    ...     file = Path(folder) / "shop.yaml"
    ...     _ = file.write_text(
    ...         "objects: {invoice: {description: An invoice., actions: {pay: It was paid.}, "
    ...         "fields: {amount: {type: number, description: How much.}}}}"
    ...     )
    ...     declare_model(file).title_of_action("invoice", "pay")
    'Invoice:Pay'
    """
    try:
        text = bounded_text(path, "utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        message = f"the model cannot be read: {error}"
        raise CarError([Diagnostic(codes.BAD_DATA_MODEL, message, origin=str(path))]) from None
    return declare_text(text, str(path))


def declare_text(text: str, name: str = "<model>") -> DataModel:
    """`declare_model` for a text."""
    from ..yamltext import load_yaml
    from .loading import DataModelReader

    root = load_yaml(Block.whole(Source(name, text)), codes.BAD_DATA_MODEL)
    reader = DataModelReader([])
    objects = reader.parts(root, ("objects",), ("objects",), "a model file").get("objects")
    if objects is None:
        raise CarError(reader.found)
    return declare_objects(objects)


def declare_objects(node: Node) -> DataModel:
    """Declare what stands under ``objects``: in a model file or a field map."""
    from ..yamltext import Mapping as MappingNode
    from ..yamltext import kind_of
    from .loading import DataModelReader

    global _declared
    reader = DataModelReader([])
    shipped = shipped_model()
    with _lock:
        before = _declared or _Declared({}, {}, shipped)
        objects, places = dict(before.objects), dict(before.places)
        if not isinstance(node, MappingNode):
            reader.complain(node, f"objects is a mapping from names, not {kind_of(node)}")
        for key, value in node.entries if isinstance(node, MappingNode) else ():
            known = shipped.object(key.text)
            spec = reader.declared(key, value, known)
            if spec is None:
                continue
            folded = fold_name(spec.name)
            there = objects.get(folded)
            if there is None:
                objects[folded], places[folded] = spec, key.span
            elif known is not None and not _conflict(there, spec):
                objects[folded] = _joined(there, spec)
            elif _as_data(there) != _as_data(spec):
                labels = (Label(places[folded], "first here"),)
                reader.complain(key, f'"{spec.name}" is declared in another way', labels=labels)
        for folded, spec in objects.items():
            known = shipped.object(folded)
            clash = _conflict(known, spec) if known is not None else ""
            if clash:
                message = f'"{spec.name}" has {clash} already'
                reader.found.append(Diagnostic(codes.BAD_DATA_MODEL, message, places[folded]))
        if reader.found:
            raise CarError(reader.found)
        if before.objects.keys() != objects.keys() or any(
            _as_data(before.objects[name]) != _as_data(spec) for name, spec in objects.items()
        ):
            _declared = _Declared(objects, places, _extended(shipped, objects.values()))
    return model()


def declared_objects() -> str:
    """All that was declared, as the text of a model file; empty where nothing was.

    An engine file and processes that are started get it, so that they know the same model.
    """
    if _declared is None:
        return ""
    return json.dumps({"objects": {s.name: _as_data(s) for s in _declared.objects.values()}})


@contextmanager
def declared_for_now() -> Iterator[None]:
    """Whatever is declared inside is forgotten afterwards."""
    global _declared
    before = _declared
    try:
        yield
    finally:
        _declared = before


def _conflict(known: ObjectSpec, added: ObjectSpec) -> str:
    """What two specifications of one object say differently; empty where nothing."""
    for name, action in added.actions.items():
        there = known.action(name)
        if there is not None and there != action:
            return f"an action {there.name}"
    for name, spec in added.fields.items():
        other = known.field(name)
        if name != TIME.name and other is not None and other != spec:
            return f"a field {other.name}"
    return ""


def _joined(first: ObjectSpec, second: ObjectSpec) -> ObjectSpec:
    return ObjectSpec(
        first.name,
        first.title,
        first.description,
        {**first.actions, **second.actions},
        {**first.fields, **second.fields},
        first.identity,
    )


def _extended(shipped: DataModel, added: Iterable[ObjectSpec]) -> DataModel:
    objects = dict(shipped.objects)
    for spec in added:
        known = shipped.object(spec.name)
        objects[spec.name] = spec if known is None else _joined(known, spec)
    return DataModel(objects.values())


def _as_data(spec: ObjectSpec) -> dict[str, Any]:
    """A declared object as a model file has it."""
    data: dict[str, Any] = {}
    if spec.description:
        data = {"title": spec.title, "description": spec.description}
        if spec.identity:
            data["identity"] = list(spec.identity)
    actions: Mapping[str, Action] = spec.actions
    data["actions"] = {name: action.description for name, action in actions.items()}
    own = {name: field for name, field in spec.fields.items() if name != TIME.name}
    data["fields"] = {name: _field_as_data(field) for name, field in own.items()}
    return data


def _field_as_data(spec: FieldSpec) -> dict[str, Any]:
    optional = {
        "example": spec.example,
        "base_name_of": spec.base_name_of,
        "open": spec.open or None,
        "extension": spec.reason or None,
    }
    data = {"type": spec.type.value, "description": spec.description}
    return {**data, **{key: value for key, value in optional.items() if value is not None}}
