"""Engines on disk: rules and field maps, read and resolved, as plain data.

Reading thousands of rules (YAML, grammar, names) takes far longer than what an engine makes of
them. A file made by `Engine.save` holds what reading gave, so that `Engine.load` only has to put it
together; each event class is compiled when its first event comes.

The file is JSON, and loading it runs no code: it can name only classes of this package that rules
and maps are made of, and every value must be of the type that its field declares. ::

    {"carengine": 3, "classes": [["And", "items"], ["Match", "value", "patterns", "span"], …],
     "texts": ["title: …", …],                               long texts, each once
     "nodes": [[1, 0, [4], null], …],                        class, then a value for each field;
                                                             of an enumeration the member's name
     "rules": [812, …], "maps": […],
     "refused": [], "diagnostics": [],                       of rules that were refused
     "model": "{…}"}                                         what was declared beside CAR's objects


Of the nodes `carengine.plaindata` tells.

A file of another version of the package, whose classes differ, is refused.
"""

from __future__ import annotations

import json
import typing
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TypeVar

from .. import ir
from ..datamodel import declare_text, declared_objects
from ..diagnostics import CarError, Diagnostic, codes
from ..fieldmap import Entry, FieldMap
from ..filewrite import replacing
from ..functions import arities
from ..jsontext import FAST
from ..plaindata import DataReader, DataWriter
from ..rule import Refused, Rule, RuleSet

_MOST_BYTES = 1 << 30
FORMAT = 3
_ROOTS = (Rule, FieldMap, Refused, Diagnostic)
_APART = (Rule, FieldMap, Entry, Refused)
_T = TypeVar("_T")


def write(path: str | Path, rules: RuleSet, maps: Sequence[FieldMap]) -> None:
    """Put rules and maps into a file, in one step. Raises `CarError` (CE550) when it cannot be
    written."""
    try:
        with replacing(path) as file:
            file.write(text_of(rules, maps))
    except OSError as error:
        raise _refused(path, f"the engine cannot be written: {error.strerror}") from None


def text_of(rules: RuleSet, maps: Sequence[FieldMap]) -> str:
    """The content of the file of an engine, in ASCII."""
    writer = DataWriter(_APART)
    data = {
        "carengine": FORMAT,
        "rules": [writer.value(rule) for rule in rules],
        "maps": [writer.value(fieldmap) for fieldmap in maps],
        "refused": [writer.value(refused) for refused in rules.refused],
        "diagnostics": [writer.value(item) for item in rules.diagnostics],
        "classes": writer.classes(),
        "texts": list(writer.texts),
        "nodes": writer.nodes,
        "model": declared_objects(),
    }
    return json.dumps(data, separators=(",", ":"), allow_nan=False)


def read(path: str | Path) -> tuple[RuleSet, tuple[FieldMap, ...]]:
    """The rules and maps in a file. Raises `CarError` (CE550) where there is none, or something
    else."""
    try:
        if Path(path).exists() and not Path(path).is_file():
            raise _refused(path, "this is no regular file, and no engine")
        with open(path, "rb") as file:
            content = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise _refused(path, f"the engine cannot be read: {error.strerror}") from None
    if len(content) > _MOST_BYTES:
        raise _refused(path, f"the file has more than {_MOST_BYTES:,} bytes")
    return parse(content, path)


def parse(content: bytes, path: str | Path) -> tuple[RuleSet, tuple[FieldMap, ...]]:
    """The rules and maps of `text_of`; ``path`` is what messages call it. Raises `CarError`
    (CE550)."""
    try:
        data = (FAST or json.loads)(content)
        if type(data) is not dict or data.get("carengine") != FORMAT:
            raise ValueError("it is not an engine file of this version")
        # Rules and maps over objects of one's own are nothing without these.
        if data.get("model"):
            declare_text(data["model"], str(path))
        reader = DataReader(_ROOTS, data["classes"], data["texts"])
        reader.read(data["nodes"])
        rules = _all_of(Rule, map(reader.value, data["rules"]))
        maps = _all_of(FieldMap, map(reader.value, data["maps"]))
        refused = _all_of(Refused, map(reader.value, data["refused"]))
        diagnostics = _all_of(Diagnostic, map(reader.value, data["diagnostics"]))
        check_functions(reader.nodes)
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError) as error:
        raise _refused(path, f"the file is damaged or of another version: {error}") from None
    return RuleSet(rules, refused, diagnostics), maps


def _all_of(kind: type[_T], values: Iterable[object]) -> tuple[_T, ...]:
    read = tuple(values)
    for value in read:
        if type(value) is not kind:
            raise ValueError(f"there is something else where a {kind.__name__} belongs")
    return typing.cast("tuple[_T, ...]", read)


def _refused(path: str | Path, message: str) -> CarError:
    return CarError([Diagnostic(codes.BAD_ENGINE, message, origin=str(path))])


def check_functions(nodes: Iterable[object]) -> None:
    """Raise ``ValueError`` for a function that there is none of, or that takes another number of
    values."""
    known = arities()
    for node in nodes:
        if type(node) is ir.Call:
            least, most = known.get(node.function, (1, 0))
            if not least <= len(node.arguments) <= most:
                raise ValueError(f"there is no function {node.function} of such arguments")
