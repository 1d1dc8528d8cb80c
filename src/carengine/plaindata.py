"""Objects of attrs classes as plain data, and back, without running code.

Rules, plans and field maps are trees of frozen attrs objects. Written as JSON they can be kept in
a file or shipped, and be read in a fraction of the time that making them anew takes. Reading can
name only the classes that the caller's roots are made of, and every value must be of the type that
its field declares. ::

    {"classes": [["And", "items"], ["Match", "value", "patterns", "span"], …],
     "texts": ["title: …", …],                               long texts, each once
     "nodes": [[1, 0, [4], null], …]}                        class, then a value for each field;
                                                             of an enumeration the member's name

    n        node n, always an earlier one      [a, b] a tuple          {"l": [a, b]} a list
    {"i": 5} the integer                        {"n": [0, 1, 2]} a list of integers
    {"m": [[key, value], …]} a mapping          {"h": "0x…"} an integer beyond 64 bits
    {"r": [0, 9, 1]} a range                    {"f": "inf"} a float that JSON has no text for
    {"c": "CE101"} a diagnostic code            {"x": "…"} a text with lone surrogates
    {"t": 0} a long text

References are what there is most of, so they are the shortest.
"""

from __future__ import annotations

import collections.abc
import enum
import math
import types
import typing
from collections.abc import Callable, Collection, Mapping
from functools import lru_cache
from operator import attrgetter
from typing import Any

import attrs

from .diagnostics import Code, codes

_LONG_TEXT = 200
# Larger integers are floats to decoders of JSON.
_SMALLEST, _LARGEST = -(1 << 63), (1 << 64) - 1

Check = Callable[[Any], bool]
_Allowed = tuple[frozenset[type], Check]
# What makes an object, what its values may be, and the names of those that are keywords.
_Maker = tuple[Callable[..., Any], tuple[_Allowed, ...], tuple[str, ...]]


# What data may hold


@lru_cache(maxsize=8)
def classes_of(roots: tuple[Any, ...]) -> Mapping[str, type]:
    """The attrs classes and enumerations that objects of some classes are made of, by name."""
    classes: dict[str, type] = {}
    waiting: list[Any] = list(roots)
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
    # What a module does not load for its annotations alone, its class tells.
    names: dict[str, Any] = getattr(kind, "annotation_names", dict)()
    hints = typing.get_type_hints(kind, localns=names)
    return {f.alias: hints[f.name] for f in attrs.fields(kind) if f.init and f.alias}


def _field_names(kind: type[Any]) -> list[str]:
    """The fields of a class as they are written; an enumeration has none."""
    return list(_hints(kind)) if attrs.has(kind) else []


# Writing


class DataWriter:
    """Writes objects as nodes, equal ones once.

    Objects of the classes in ``apart`` are told apart by what they are, not by what they hold:
    each has a node of its own. In the place of objects of the classes in ``without`` stands null.
    ``numbers`` are the numbers of classes of another writer, whose `classes` are then those of
    both.
    """

    def __init__(
        self,
        apart: Collection[type] = (),
        without: Collection[type] = (),
        numbers: dict[type[Any], int] | None = None,
    ) -> None:
        self.nodes: list[list[Any]] = []
        self.numbers: dict[type[Any], int] = {} if numbers is None else numbers
        self._apart = frozenset(apart)
        self._without = frozenset(without)
        self._known: dict[int, int] = {}
        self._alike: dict[str, int] = {}
        # Keeps what was written alive, so that no two objects have the same identity.
        self._kept: list[Any] = []
        self._getters: dict[type, Callable[[Any], tuple[Any, ...]]] = {}
        self._items: dict[int, list[tuple[Any, Any]]] = {}
        self.texts: dict[str, int] = {}

    def classes(self) -> list[list[str]]:
        """The classes that nodes are of, each with its fields, in the order of their numbers."""
        return [[_name(kind), *_field_names(kind)] for kind in self.numbers]

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
            number = self.numbers.setdefault(type(item), len(self.numbers))
            node = [number, *written]
            place = len(self.nodes)
            if type(item) not in self._apart:
                place = self._alike.setdefault(repr(node), place)
            self._known[id(item)] = place
            self._kept.append(item)
            if place == len(self.nodes):
                self.nodes.append(node)
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
        if kind in self._without:
            return None
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


class DataReader:
    """Reads nodes of some classes: all that objects of the ``roots`` may be made of.

    ``classes`` and ``texts`` are what a `DataWriter` gave. Raises ``ValueError`` for a class that
    is not among them, or that has other fields.
    """

    def __init__(self, roots: tuple[Any, ...], classes: list[Any], texts: list[Any]) -> None:
        if not all(type(text) is str for text in texts):
            raise ValueError("a text is none")
        self.nodes: list[Any] = []
        self._texts: list[str] = texts
        known = classes_of(roots)
        self._classes = classes
        self._makers: list[_Maker] = []
        for name, *fields in classes:
            kind: Any = known.get(name)
            if kind is None or _field_names(kind) != fields:
                raise ValueError(f"{name} is nothing that this version knows")
            if issubclass(kind, enum.Enum):
                self._makers.append((_member_of(kind), _MEMBER, ()))
                continue
            keywords = tuple(
                f.alias for f in attrs.fields(kind) if f.init and f.kw_only and f.alias
            )
            self._makers.append((kind, tuple(map(_allowed, _hints(kind).values())), keywords))
        # The types of values that are right for a class without a further look, met before: of
        # many thousand nodes, few differ in them.
        self._met: list[set[tuple[type, ...]]] = [set() for _ in self._makers]

    def read(self, written: list[Any]) -> None:
        """Make the objects of some nodes, which may refer to those of earlier calls.

        Raises ``ValueError``, ``IndexError`` and ``TypeError`` for what no writer wrote.
        """
        nodes, value_of, makers, met = self.nodes, self.value, self._makers, self._met
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
                                f"a value of {self._classes[number][0]} is of the wrong type"
                            )
                if shallow:
                    met[number].add(types_met)
            if keywords:
                places = len(values) - len(keywords)
                named = dict(zip(keywords, values[places:], strict=True))
                nodes.append(make(*values[:places], **named))
            else:
                nodes.append(make(*values))

    def value(self, plain: Any) -> Any:
        """What was written as ``plain``."""
        kind = type(plain)
        if kind is int:
            if plain < 0:
                raise ValueError("a reference leads nowhere")
            return self.nodes[plain]
        if kind is list:
            nodes, value_of = self.nodes, self.value
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
