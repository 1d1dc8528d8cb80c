"""The data model that ships, as plain data.

The objects' YAML is for people; ``objects.json`` has what reading it gives, and is read in a
fraction of the time. ``python docs/generate.py`` writes it. It says for which YAML it is. With
another one the YAML is read, and nothing but time is lost.
"""

from __future__ import annotations

import hashlib
import json
from functools import cache
from pathlib import Path

from attrs import evolve

from ..jsontext import FAST
from ..plaindata import DataReader, DataWriter
from .specs import TIME, DataModel, ObjectSpec

_FOLDER = Path(__file__).parent / "objects"
_COMPILED = Path(__file__).parent / "objects.json"


@cache
def shipped_model() -> DataModel:
    """The data model that carengine ships: CAR's 13 objects, and the extensions. Read once."""
    return _compiled_model() or model_of_yaml()


def model_of_yaml() -> DataModel:
    """The data model that ships, read from its YAML."""
    from .loading import load_model

    return load_model(_FOLDER)


def objects_are_current() -> bool:
    """Whether the compiled file gives what the YAML says."""
    return _COMPILED.is_file() and _COMPILED.read_text("ascii") == _text()


def write_objects() -> None:
    """Write the compiled file."""
    _COMPILED.write_text(_text(), encoding="ascii")


def _text() -> str:
    writer = DataWriter()
    objects = [writer.value(spec) for spec in model_of_yaml().objects.values()]
    data = {
        "for": objects_digest(),
        "classes": writer.classes(),
        "texts": list(writer.texts),
        "nodes": writer.nodes,
        "objects": objects,
    }
    return json.dumps(data, separators=(",", ":")) + "\n"


@cache
def objects_digest() -> str:
    """A text that is another one for other YAML of the objects."""
    digest = hashlib.sha256()
    for path in sorted(_FOLDER.glob("*.yaml")):
        content = path.read_bytes()
        digest.update(f"{path.name} {len(content)}\n".encode())
        digest.update(content)
    return digest.hexdigest()


def _compiled_model() -> DataModel | None:
    try:
        content = _COMPILED.read_bytes()
    except OSError:
        return None
    data = (FAST or json.loads)(content)
    if data["for"] != objects_digest():
        return None
    reader = DataReader((ObjectSpec,), data["classes"], data["texts"])
    reader.read(data["nodes"])
    objects: list[ObjectSpec] = [reader.nodes[place] for place in data["objects"]]
    # Every object has the same one.
    return DataModel(evolve(one, fields={**one.fields, TIME.name: TIME}) for one in objects)
