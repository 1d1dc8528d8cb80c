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

    n        node n, always an earlier one      [a, b] a tuple          {"l": [a, b]} a list
    {"i": 5} the integer                        {"n": [0, 1, 2]} a list of integers
    {"m": [[key, value], …]} a mapping          {"h": "0x…"} an integer beyond 64 bits
    {"r": [0, 9, 1]} a range                    {"f": "inf"} a float that JSON has no text for
    {"c": "CE101"} a diagnostic code            {"x": "…"} a text with lone surrogates
    {"t": 0} a long text

References are what there is most of, so they are the shortest.

A file of another version of the package, whose classes differ, is refused.
"""

from __future__ import annotations

import collections.abc
import enum
import json
import math
import types
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from operator import attrgetter
from pathlib import Path
from typing import Any, TypeVar

import attrs

from .. import ir
from ..datamodel import declare_text, declared_objects
from ..diagnostics import CarError, Code, Diagnostic, codes
from ..fieldmap import FieldMap
from ..filewrite import replacing
from ..functions import arities
from ..jsontext import FAST
from ..rule import Refused, Rule, RuleSet

_MOST_BYTES = 1 << 30
FORMAT = 3
_LONG_TEXT = 200
# Larger integers are floats to decoders of JSON.
_SMALLEST, _LARGEST = -(1 << 63), (1 << 64) - 1
_ROOTS = (Rule, FieldMap, Refused, Diagnostic)
_T = TypeVar("_T")

Check = Callable[[Any], bool]
_Allowed = tuple[frozenset[type], Check]


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
    writer = _Writer()
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
        reader = _Reader(data["texts"])
        reader.read(data["classes"], data["nodes"])
        rules = _all_of(Rule, map(reader.value, data["rules"]))
        maps = _all_of(FieldMap, map(reader.value, data["maps"]))
        refused = _all_of(Refused, map(reader.value, data["refused"]))
        diagnostics = _all_of(Diagnostic, map(reader.value, data["diagnostics"]))
        reader.check_functions()
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


# What a file may hold


@lru_cache(maxsize=1)
def _classes() -> dict[str, type]:
    """The attrs classes and enumerations that rules and maps are made of, by name."""
    classes: dict[str, type] = {}
    waiting: list[Any] = list(_ROOTS)
    while waiting:
        hint = waiting.pop()
        waiting += typing.get_args(hint)
        if not isinstance(hint, type) or hint is Code or _name(hint) in classes:
            continue
        if issubclass(hint, enum.Enum):
            classes[_name(hint)] = hint
        elif attrs.has(hint):
            classes[_name(hint)] = hint
            waiting += _hints(hint).values()
    return classes


def _name(kind: type) -> str:
    return f"{kind.__module__.removeprefix('carengine.')}.{kind.__qualname__}"


@lru_cache(maxsize=1024)
def _hints(kind: type) -> dict[str, Any]:
    """The types of the fields that a class is made with, by their names in its constructor."""
    hints = typing.get_type_hints(kind)
    return {f.alias: hints[f.name] for f in attrs.fields(kind) if f.init and f.alias}


def _field_names(kind: type[Any]) -> list[str]:
    """The fields of a class as they are written; an enumeration has none."""
    return list(_hints(kind)) if attrs.has(kind) else []


# Writing


class _Writer:
    def __init__(self) -> None:
        self.nodes: list[list[Any]] = []
        self._known: dict[int, int] = {}
        # Keeps what was written alive, so that no two objects have the same identity.
        self._kept: list[Any] = []
        self._numbers: dict[type[Any], int] = {}
        self._getters: dict[type, Callable[[Any], tuple[Any, ...]]] = {}
        self._items: dict[int, list[tuple[Any, Any]]] = {}
        self.texts: dict[str, int] = {}

    def classes(self) -> list[list[str]]:
        return [[_name(kind), *_field_names(kind)] for kind in self._numbers]

    def value(self, value: Any) -> Any:
        """A value as plain data. Everything inside it goes first, without recursion."""
        wanting: list[Any] = []
        plain = self._plain(value, wanting)
        if not wanting:
            return plain
        waiting = wanting
        while waiting:
            item = waiting[-1]
            if id(item) in self._known:
                waiting.pop()
                continue
            wanting = []
            written: list[Any]
            if isinstance(item, enum.Enum):
                written = [item.name]
            else:
                written = [self._plain(part, wanting) for part in self._fields(item)]
            if wanting:
                waiting += wanting
                continue
            waiting.pop()
            number = self._numbers.setdefault(type(item), len(self._numbers))
            self._known[id(item)] = len(self.nodes)
            self._kept.append(item)
            self.nodes.append([number, *written])
        return self._plain(value, wanting)

    def _fields(self, item: Any) -> tuple[Any, ...]:
        kind: type[Any] = type(item)
        getter = self._getters.get(kind)
        if getter is None:
            names = [f.name for f in attrs.fields(kind) if f.init]
            getter = self._getters[kind] = _getter(names)
        return getter(item)

    def _plain(self, value: Any, wanting: list[Any]) -> Any:
        """A value as plain data; objects in it that are not written yet go to ``wanting``, and what
        is returned is then of no use."""
        kind = type(value)
        if kind is str:
            if not value.isascii() and not _encodable(value):
                return {"x": ascii(value)[1:-1]}
            if len(value) < _LONG_TEXT:
                return value
            return {"t": self.texts.setdefault(value, len(self.texts))}
        if value is None or kind is bool:
            return value
        if kind is tuple:
            return [self._plain(item, wanting) for item in value]
        if kind is int:
            return {"i": value} if _SMALLEST <= value <= _LARGEST else {"h": hex(value)}
        if kind is float:
            return value if math.isfinite(value) else {"f": repr(value)}
        if kind is Code:
            return {"c": value.id}
        if kind is range:
            return {"r": [value.start, value.stop, value.step]}
        if kind is list:
            if value and all(type(item) is int and _SMALLEST <= item <= _LARGEST for item in value):
                return {"n": value}
            return {"l": [self._plain(item, wanting) for item in value]}
        if isinstance(value, Mapping):
            plain = self._plain
            items = self._items.get(id(value))
            if items is None:
                # A mapping may make its values when it is asked; here each of them is one object.
                items = self._items[id(value)] = list(value.items())
                self._kept.append(value)
            return {"m": [[plain(k, wanting), plain(v, wanting)] for k, v in items]}
        known = self._known.get(id(value))
        if known is None:
            wanting.append(value)
        return known


def _getter(names: list[str]) -> Callable[[Any], tuple[Any, ...]]:
    """What takes these attributes of an object."""
    if len(names) > 1:
        return attrgetter(*names)
    return lambda item: tuple(getattr(item, name) for name in names)


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


# Reading


class _Reader:
    def __init__(self, texts: list[Any]) -> None:
        if not all(type(text) is str for text in texts):
            raise ValueError("a text is none")
        self._texts: list[str] = texts
        self._nodes: list[Any] = []

    def read(self, classes: list[Any], written: list[Any]) -> None:
        """Make all nodes."""
        known = _classes()
        makers: list[tuple[Callable[..., Any], tuple[_Allowed, ...], tuple[str, ...]]] = []
        for name, *fields in classes:
            kind: Any = known.get(name)
            if kind is None or _field_names(kind) != fields:
                raise ValueError(f"{name} is nothing that this version knows")
            if issubclass(kind, enum.Enum):
                makers.append((_member_of(kind), _MEMBER, ()))
                continue
            keywords = tuple(
                f.alias for f in attrs.fields(kind) if f.init and f.kw_only and f.alias
            )
            makers.append((kind, tuple(map(_allowed, _hints(kind).values())), keywords))
        nodes, value_of = self._nodes, self.value
        # The types of values that are right for a class without a further look, met before: of
        # many thousand nodes, few differ in them.
        met: list[set[tuple[type, ...]]] = [set() for _ in makers]
        for number, *plain in written:
            make, allowed, keywords = makers[number]
            # What is none of these is the same in JSON.
            values = [
                item
                if (kind := type(item)) not in _WRITTEN_OTHERWISE
                else nodes[item]
                if kind is int and item >= 0
                else value_of(item)
                for item in plain
            ]
            types_met = tuple(map(type, values))
            if types_met not in met[number]:
                if len(values) != len(allowed):
                    raise ValueError("a part has too many or too few values")
                shallow = True
                for (plainly, check), value in zip(allowed, values, strict=True):
                    if type(value) not in plainly:
                        shallow = False
                        if not check(value):
                            raise ValueError(
                                f"a value of {classes[number][0]} is of the wrong type"
                            )
                if shallow:
                    met[number].add(types_met)
            if keywords:
                places = len(values) - len(keywords)
                named = dict(zip(keywords, values[places:], strict=True))
                nodes.append(make(*values[:places], **named))
            else:
                nodes.append(make(*values))

    def check_functions(self) -> None:
        """Raise ``ValueError`` for a function that there is none of, or that takes another number
        of values."""
        known = arities()
        for node in self._nodes:
            if type(node) is ir.Call:
                least, most = known.get(node.function, (1, 0))
                if not least <= len(node.arguments) <= most:
                    raise ValueError(f"there is no function {node.function} of such arguments")

    def value(self, plain: Any) -> Any:
        """What was written as ``plain``."""
        kind = type(plain)
        if kind is int:
            if plain < 0:
                raise ValueError("a reference leads nowhere")
            return self._nodes[plain]
        if kind is list:
            nodes, value_of = self._nodes, self.value
            return tuple(
                [
                    nodes[item]
                    if (inside := type(item)) is int and item >= 0
                    else item
                    if inside is str
                    else value_of(item)
                    for item in plain
                ]
            )
        if kind is not dict:
            return plain
        [(form, inner)] = plain.items()
        match form:
            case "t":
                if type(inner) is not int or inner < 0:
                    raise ValueError("a reference is no number")
                return self._texts[inner]
            case "i":
                if type(inner) is not int:
                    raise ValueError("an integer is none")
                return inner
            case "h":
                return int(inner, 16)
            case "n":
                if not all(type(item) is int for item in inner):
                    raise ValueError("an integer is none")
                return inner
            case "l":
                return list(map(self.value, inner))
            case "m":
                return {self.value(key): self.value(value) for key, value in inner}
            case "c":
                return codes.ALL[inner]
            case "r":
                start, stop, step = inner
                return range(start, stop, step)
            case "f":
                return float(inner)
            case "x":
                return inner.encode("ascii").decode("unicode_escape")
            case _:
                raise ValueError(f"there is no kind of value {form!r}")


_WRITTEN_OTHERWISE = (int, list, dict)
_MEMBER: tuple[_Allowed, ...] = ((frozenset((str,)), lambda value: False),)
"""What is written of an enumeration's member: its name."""


def _member_of(kind: type[enum.Enum]) -> Callable[[str], enum.Enum]:
    return lambda name: kind[name]


@lru_cache(maxsize=4096)
def _allowed(hint: Any) -> _Allowed:
    """Types whose values are of the declared type without a further look, and what looks
    further."""
    parts = typing.get_args(hint) if _is_union(hint) else (hint,)
    return frozenset(part for part in parts if isinstance(part, type)), _check(hint)


def _is_union(hint: Any) -> bool:
    return typing.get_origin(hint) in (typing.Union, types.UnionType)


@lru_cache(maxsize=4096)
def _check(hint: Any) -> Check:
    """Whether a value is of a type, looked into as far as the type says."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any or isinstance(hint, typing.TypeVar):
        return lambda value: True
    if _is_union(hint):
        plain = tuple(a for a in arguments if isinstance(a, type))
        checks = tuple(_check(a) for a in arguments if not isinstance(a, type))
        return lambda value: isinstance(value, plain) or any(check(value) for check in checks)
    if origin is tuple:
        if len(arguments) == 2 and arguments[1] is Ellipsis:
            plainly, each = _allowed(arguments[0])
            return lambda value: (
                type(value) is tuple
                and (plainly.issuperset(map(type, value)) or all(map(each, value)))
            )
        parts = tuple(map(_check, arguments))
        return lambda value: (
            type(value) is tuple
            and len(value) == len(parts)
            and all(check(item) for check, item in zip(parts, value, strict=True))
        )
    if origin in (collections.abc.Mapping, dict):
        key, inner = map(_check, arguments)
        return lambda value: (
            type(value) is dict and all(map(key, value)) and all(map(inner, value.values()))
        )
    if origin in (collections.abc.Sequence, list):
        item = _check(arguments[0])
        return lambda value: (
            type(value) is range or (type(value) in (tuple, list) and all(map(item, value)))
        )
    if origin is typing.Literal:
        return lambda value: value in arguments
    if isinstance(hint, type):
        # An integer does where a float is declared.
        allowed = (int, float) if hint is float else hint
        return lambda value: isinstance(value, allowed)
    raise TypeError(f"a field of type {hint} cannot be stored")
