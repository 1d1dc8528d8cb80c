"""The field maps that ship, as plain data.

The YAML of the shipped maps is for people. To read it and to resolve its conditions takes longer
than most hunts, so what reading gives ships beside it: ``maps.jsonl``, which
``python docs/generate.py`` writes. Its first line has what every run needs (names, kinds,
conditions); one line a map has the fields of its entries, which are decoded when the first event of
that map is looked at::

    {"for": "3f7c…", "classes": […], "nodes": […],
     "maps": [["sysmon.flat", "Sysmon …", "", 17,              name, title, description, recognise
               [[["windows"], 0, ["-"], …, 1], …],             native names, their tables last
               [[4, 18, 2, null, [], false], …]], …]}          kind, when, fields, native names, …
    {"nodes": […], "tables": [{"image_path": 3, "pid": 4}, …]}

The file says for which YAML it is. With another one, the maps are read from the YAML, and nothing
but time is lost. Places in the YAML (`Entry.span`) are not in it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from .. import ir
from ..datamodel.shipped import objects_digest
from ..diagnostics import Span
from ..jsontext import FAST
from ..plaindata import DataReader, DataWriter
from .model import Entry, FieldMap, NativeNames
from .sensors import Sensor

FOLDER = Path(__file__).parent / "maps"
_COMPILED = Path(__file__).parent / "maps.jsonl"
_ROOTS = (ir.EventKind, ir.Condition, ir.Value)
_load: Callable[[bytes], Any] = FAST or json.loads


def shipped_maps() -> tuple[FieldMap, ...] | None:
    """The maps in the compiled file, in the order of the YAML files; None where it is not there, or
    is for other YAML."""
    return _read(_digest())


def maps_are_current(maps: Sequence[FieldMap]) -> bool:
    """Whether the compiled file gives these maps, which were read from the YAML."""
    return shipped_maps() == tuple(maps)


def write_maps(maps: Sequence[FieldMap]) -> None:
    """Write the compiled file for maps that were read from the YAML."""
    _COMPILED.write_text(_text(maps), encoding="ascii")


def yaml_files() -> list[Path]:
    """The YAML files of the shipped maps, in order."""
    return sorted(FOLDER.glob("*.yaml"))


@lru_cache(maxsize=1)
def _digest() -> str:
    """What the compiled file is for: the maps, and the objects whose fields they name."""
    digest = hashlib.sha256(objects_digest().encode())
    for path in yaml_files():
        content = path.read_bytes()
        digest.update(f"{path.name} {len(content)}\n".encode())
        digest.update(content)
    return digest.hexdigest()


# Reading


class _Fields:
    """One line of the file: the tables of a map, decoded when one is asked for."""

    def __init__(self, classes: list[Any], line: bytes) -> None:
        self._classes = classes
        self._line = line
        self._tables: list[dict[str, ir.Value]] | None = None

    def table(self, number: int) -> dict[str, ir.Value]:
        """A table by its number."""
        if self._tables is None:
            data = _load(self._line)
            reader = DataReader(_ROOTS, self._classes, [])
            reader.read(data["nodes"])
            nodes = reader.nodes
            self._tables = [
                {name: nodes[place] for name, place in table.items()} for table in data["tables"]
            ]
        return self._tables[number]


class _Table(Mapping[str, ir.Value]):
    """A mapping from names to values that is in a line of the file. It pickles as a ``dict``."""

    __slots__ = ("_fields", "_number")

    def __init__(self, fields: _Fields, number: int) -> None:
        self._fields = fields
        self._number = number

    def __getitem__(self, name: str) -> ir.Value:
        return self._fields.table(self._number)[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields.table(self._number))

    def __len__(self) -> int:
        return len(self._fields.table(self._number))

    def __contains__(self, name: object) -> bool:
        return name in self._fields.table(self._number)

    def __repr__(self) -> str:
        return repr(dict(self))

    def __reduce__(self) -> tuple[Any, ...]:
        return dict, (dict(self),)


@lru_cache(maxsize=1)
def _read(digest: str) -> tuple[FieldMap, ...] | None:
    try:
        first, *lines = _COMPILED.read_bytes().splitlines()
    except OSError:
        return None
    index = _load(first)
    if index["for"] != digest:
        return None
    reader = DataReader(_ROOTS, index["classes"], [])
    reader.read(index["nodes"])
    nodes = reader.nodes
    made = []
    for line, (name, title, description, recognise, natives, entries) in zip(
        lines, index["maps"], strict=True
    ):
        fields = _Fields(index["classes"], line)
        names = [
            NativeNames(
                None if prefix is None else tuple(prefix),
                _Table(fields, own),
                tuple(empty),
                function,
                dotted,
                None if whole is None else nodes[whole],
                _Table(fields, folded) if folded is not None else {},
                either,
                *around,
            )
            for prefix, own, empty, function, dotted, whole, folded, either, *around in natives
        ]
        made.append(
            FieldMap(
                name,
                title,
                nodes[recognise],
                tuple(
                    Entry(
                        nodes[kind],
                        nodes[when],
                        _Table(fields, table),
                        None,
                        None if native is None else names[native],
                        tuple([nodes[place] for place in also]),
                        any_source,
                        _sensor(fields, nodes, *sensor) if sensor else None,
                    )
                    for kind, when, table, native, also, any_source, *sensor in entries
                ),
                description,
            )
        )
    return tuple(made)


def _sensor(
    fields: _Fields, nodes: list[Any], name: str, of: int, within: int, rank: int, table: int
) -> Sensor:
    return Sensor(name, nodes[of], within, rank, _Table(fields, table))


# Writing


class _MapWriter:
    """Writes the line of one map."""

    def __init__(self, classes: DataWriter) -> None:
        self._writer = DataWriter(without=(Span,), numbers=classes.numbers)
        self._tables: dict[str, int] = {}

    def table(self, values: Mapping[str, ir.Value]) -> int:
        """The number of a table."""
        plain = {name: self._writer.value(value) for name, value in values.items()}
        return self._tables.setdefault(json.dumps(plain), len(self._tables))

    def line(self) -> str:
        """What was written."""
        tables = [json.loads(table) for table in self._tables]
        return _compact({"nodes": self._writer.nodes, "tables": tables})


def _text(maps: Sequence[FieldMap]) -> str:
    index = DataWriter(without=(Span,))
    written, lines = [], []
    for fieldmap in maps:
        own = _MapWriter(index)
        natives: dict[str, int] = {}
        entries = []
        for entry in fieldmap.entries:
            native = None
            if entry.native is not None:
                names = entry.native
                plain = [
                    *(names.prefix, own.table(names.names), names.empty, names.function),
                    *(names.dotted, None if names.whole is None else index.value(names.whole)),
                    *(own.table(names.folded) if names.folded else None, names.either),
                    *(names.before, names.behind, names.own),
                ]
                native = natives.setdefault(json.dumps(plain), len(natives))
            when = index.value(entry.when)
            also = [index.value(kind) for kind in entry.also]
            fields = own.table(entry.fields)
            kind = index.value(entry.kind)
            sensor: list[Any] = []
            if entry.sensor is not None:
                one = entry.sensor
                of, values = index.value(one.of), own.table(one.values)
                sensor = [one.name, of, one.within, one.rank, values]
            entries.append([kind, when, fields, native, also, entry.any_source, *sensor])
        recognise = index.value(fieldmap.recognise)
        named = [json.loads(native) for native in natives]
        written.append(
            [fieldmap.name, fieldmap.title, fieldmap.description, recognise, named, entries]
        )
        lines.append(own.line())
    head = {
        "for": _digest(),
        "classes": index.classes(),
        "nodes": index.nodes,
        "maps": written,
    }
    return "\n".join([_compact(head), *lines]) + "\n"


def _compact(data: object) -> str:
    return json.dumps(data, separators=(",", ":"), allow_nan=False)
