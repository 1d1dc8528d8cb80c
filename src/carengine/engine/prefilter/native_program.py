"""The program that the native core decides lines by: plain data, made of what an engine has
compiled.

The core (the distribution ``carengine-native``) knows the nodes of the tree of questions
(`matcher.Leaf`), the stages of each kind of events with their anchors, and what tells that an event
has fields. It grows with the tree: `NativeProgram.growth` gives what the core does not have yet.

Whatever has no form here is written as ``open``: the core leaves a line that depends on it to
Python.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple, assert_never

from attrs import define, field

from ... import ir
from ...evaluate import without_flags
from ...fieldmap import getter
from ...functions import FUNCTIONS
from ...jsontext import json_line
from ...pattern import Any as Wild
from ...pattern import Pattern
from ...regex import NotPortable, literals, portable_regex
from ...values import key_of, network_of, order_key
from ..matcher import ClassMatcher, Leaf
from ..matcher.columns import single_value
from ..matcher.json_search import written_ways

if TYPE_CHECKING:
    from ..classes import Classified
    from ..report import KnownLook

VERSION = 3
"""The form of the programs; a core that knows another one is not used."""

Data = Any
_OPEN: Data = ["open"]
# Integers that JSON readers agree on.
_LEAST, _MOST = -(1 << 63), (1 << 63) - 1


class KnownEvent(NamedTuple):
    """What the core tells of an event that stages hold for: its ``leaf``, and for each of the
    leaf's groups the numbers of these ``stages``, as `ClassMatcher.match` gives them."""

    leaf: Leaf[Classified]
    stages: list[list[int]]


@define(eq=False)
class NativeProgram:
    """What the core was told of an engine's tree.

    ``leaves`` are the leaves that lines may come to, by the numbers of their nodes. ``timed`` tells
    that the times of events are wanted. ``looks`` are those of unrecognised events that it was told
    of, by their numbers.
    """

    timed: bool
    looks: list[KnownLook] = field(factory=list)
    leaves: dict[int, Leaf[Classified]] = field(factory=dict)
    _values: dict[ir.Value, int] = field(factory=dict)
    _atoms: dict[tuple[ir.Condition, ir.Value | None], int] = field(factory=dict)
    _matchers: dict[int, int] = field(factory=dict)
    # Of each matcher the numbers of its stages, by their places here.
    _stages: list[list[int]] = field(factory=list)
    _by_leaf: dict[int, list[int]] = field(factory=dict)
    _nodes: dict[int, int] = field(factory=dict)
    _written: dict[int, Any] = field(factory=dict)
    _kept: list[Any] = field(factory=list)
    _new_values: list[Data] = field(factory=list)
    _new_atoms: list[Data] = field(factory=list)
    _new_matchers: list[Data] = field(factory=list)

    def growth(
        self,
        root: Leaf[Classified],
        closed: Iterable[Leaf[Classified]],
        looks: Iterable[KnownLook] = (),
    ) -> bytes:
        """What is new since the last time, as JSON. Events of ``closed`` leaves are Python's,
        unrecognised ones with other than these ``looks``, too."""
        shut = {id(leaf) for leaf in closed}
        nodes = []
        waiting, met = [root], {id(root)}
        self._number(root)
        while waiting:
            node = waiting.pop()
            following = [*node.by_outcome.values(), *node.table.values()]
            for one in following:
                if id(one) not in met:
                    met.add(id(one))
                    waiting.append(one)
            state = (len(node.by_outcome), len(node.table), id(node) in shut)
            if self._written.get(id(node)) != state:
                self._written[id(node)] = state
                nodes.append(self._node(node, open_=id(node) not in shut))
        data = {
            "version": VERSION,
            "values": self._new_values,
            "atoms": self._new_atoms,
            "matchers": self._new_matchers,
            "nodes": nodes,
            "looks": list(self._new_looks(looks)),
        }
        written = json_line(data)
        self._new_values, self._new_atoms, self._new_matchers = [], [], []
        return written

    def _new_looks(self, looks: Iterable[KnownLook]) -> Iterator[Data]:
        for one in looks:
            if all(map(_encodable, (one.text, *one.keys))):
                self.looks.append(one)
                yield [one.place, one.text] if one.place >= 0 else [list(one.keys)]

    def known_event(self, leaf: int, places: list[list[int]]) -> KnownEvent:
        """What the core tells of an event, in numbers of its own."""
        stages = []
        for matcher, holding in zip(self._by_leaf[leaf], places, strict=True):
            numbers = self._stages[matcher]
            stages.append(list(dict.fromkeys(numbers[place] for place in holding)))
        return KnownEvent(self.leaves[leaf], stages)

    # The tree

    def _number(self, node: Leaf[Classified]) -> int:
        number = self._nodes.get(id(node))
        if number is None:
            number = self._nodes[id(node)] = len(self._nodes)
            self._kept.append(node)
        return number

    def _node(self, node: Leaf[Classified], *, open_: bool) -> Data:
        number = self._number(node)
        if node.target is not None:
            self.leaves[number] = node
            return {"id": number, "leaf": self._leaf(number, node.target, open_=open_)}
        if node.value is None:
            keys = sorted(node.absent)
            children = [
                ["".join("1" if key in (present or ()) else "0" for key in keys), self._number(to)]
                for present, to in node.by_outcome.items()
            ]
            return {"id": number, "keys": keys, "children": children}
        table = []
        for key, to in node.table.items():
            if key is dict:
                table.append([True, self._number(to)])
            elif key is None or (type(key) is str and _encodable(key)) or _is_small(key):
                table.append([key, self._number(to)])
        return {
            "id": number,
            "value": self._value(node.value),
            "atoms": [self._atom(atom, node.value) for atom in node.atoms],
            "children": [
                ["".join(map(_letter, outcome)), self._number(to)]
                for outcome, to in node.by_outcome.items()
            ],
            "table": table,
        }

    def _leaf(self, number: int, target: Classified, *, open_: bool) -> Data:
        # Whoever reads wants to see what no map recognises.
        if not target.maps:
            return {"unrecognised": True}
        telling: list[Data] = []
        for one in target.classes:
            reader = one.entry.reader
            if reader.telling_prefix is not None:
                telling.append({"below": list(reader.telling_prefix)})
            elif reader.telling_values:
                telling.append({"values": list(map(self._value, reader.telling_values))})
        times = []
        if self.timed:
            values = [one.entry.value(_TIME) for one in target.classes]
            times = [self._value(value) for value in values if value is not None]
        matchers = [self._matcher(group.matcher) for _, group in target.groups]
        self._by_leaf[number] = matchers
        return {
            "closed": not open_,
            "matchers": matchers,
            "telling": telling,
            "times": times,
        }

    # Stages

    def _matcher(self, matcher: ClassMatcher) -> int:
        number = self._matchers.get(id(matcher))
        if number is not None:
            return number
        stages: list[Data] = []
        texts: dict[Pattern, None] = {}
        numbers = []
        for stage_number, condition in matcher.conditions:
            numbers.append(stage_number)
            for atom in ir.atoms(condition):
                if isinstance(atom, ir.RawMatch):
                    texts.update(dict.fromkeys(atom.patterns))
            stages.append(self._condition(condition))
        words = [literals.in_json(pattern) for pattern in texts]
        known = [word for word in words if word is not None]
        self._new_matchers.append(
            {
                "stages": stages,
                "text": bool(texts),
                "search": _search(known) if len(known) == len(words) and known else {},
            }
        )
        self._kept.append(matcher)
        self._stages.append(numbers)
        number = self._matchers[id(matcher)] = len(self._matchers)
        return number

    def _condition(self, condition: ir.Condition) -> Data:
        match condition:
            case ir.Truth(value):
                return value
            case ir.And(items):
                return ["and", *map(self._condition, items)]
            case ir.Or(items):
                return ["or", *map(self._condition, items)]
            case ir.Not(item):
                return ["not", self._condition(item)]
            case ir.IsTrue(item):
                return ["true", self._condition(item)]
            case _:
                return self._atom(condition, single_value(condition))

    # Atoms and values

    def _atom(self, atom: ir.Condition, value: ir.Value | None) -> int:
        key = (atom, value)
        number = self._atoms.get(key)
        if number is None:
            written = self._written_atom(atom, value)
            number = self._atoms[key] = len(self._atoms)
            self._new_atoms.append(written)
        return number

    def _written_atom(self, atom: ir.Condition, value: ir.Value | None) -> Data:
        if isinstance(atom, ir.RawMatch):
            written = list(map(_pattern, atom.patterns))
            return ["text", None if None in written else written]
        if value is None:
            return _OPEN
        place = self._value(value)
        match atom:
            case ir.IsNull():
                return ["null", place]
            case ir.Match(_, patterns):
                written = [_pattern(pattern) for pattern in patterns]
                return ["match", place, written] if None not in written else ["unread", place]
            case ir.Regex():
                required = literals.of_regex(atom)
                sure = required is not None and all(map(_encodable, required))
                return ["regex", place, list(required or ()) if sure else None, _expression(atom)]
            case ir.InNetwork(_, networks):
                known = [net for net in map(network_of, networks) if net is not None]
                return ["network", place, [_network(net) for net in known]]
            case ir.Compare(_, relation, right, type_):
                constant = getter(right)({}) if isinstance(right, ir.Constant) else _micro(right)
                equal = relation is ir.Relation.EQUAL
                key = key_of(constant, type_) if equal else order_key(constant, type_)
                return ["compare", place, relation.value, _plain(key), type_.value]
            case _:
                return ["unread", place]

    def _value(self, value: ir.Value) -> int:
        number = self._values.get(value)
        if number is None:
            # What it is made of comes first.
            written = self._written_value(value)
            number = self._values[value] = len(self._values)
            self._new_values.append(written)
        return number

    def _written_value(self, value: ir.Value) -> Data:
        match value:
            case ir.Raw(path, empty, type_):
                if not all(map(_encodable, (*path, *empty))):
                    return _OPEN
                return ["raw", list(path), list(empty), type_ is ir.Type.TIME]
            case ir.Constant(constant):
                plain = _plain(constant)
                # True stands for what has no form here.
                return _OPEN if plain is True and constant is not True else ["constant", plain]
            case ir.Call(name, arguments, type_):
                timed = type_ is ir.Type.TIME
                strict = FUNCTIONS[name].strict
                return ["call", name, list(map(self._value, arguments)), strict, timed]
            case (
                ir.Field()
                | ir.Presence()
                | ir.Moment()
                | ir.Duration()
                | ir.Now()
                | ir.Parameter()
                | ir.Arithmetic()
                | ir.Aggregate()
                | ir.Whole()
                | ir.Lookup()
            ):
                return _OPEN
            case _:
                assert_never(value)


_TIME = ir.Field("time", None, ir.Type.TIME)


def _letter(truth: bool | None) -> str:
    return "N" if truth is None else "T" if truth else "F"


def _micro(value: ir.Value) -> int:
    assert isinstance(value, ir.Moment | ir.Duration)
    return value.microseconds


def _plain(value: Any) -> Data:
    """A key or a constant; True for what has no form."""
    if value is None or type(value) is bool or _is_small(value):
        return value
    return value if type(value) is str and _encodable(value) else True


def _is_small(value: Any) -> bool:
    return type(value) is int and _LEAST <= value <= _MOST


def _encodable(text: str) -> bool:
    return text.isascii() or not any("\ud800" <= character <= "\udfff" for character in text)


def _pattern(pattern: Pattern) -> Data:
    """A pattern; None for one that has no form."""
    tokens: list[Data] = []
    for token in pattern.tokens:
        if isinstance(token, str):
            if not _encodable(token):
                return None
            tokens.append(token)
        else:
            tokens.append(0 if isinstance(token, Wild) else 1)
    return [pattern.cased, tokens]


def _expression(test: ir.Regex) -> str:
    """A regular expression for the core; empty for one that it might read in another way."""
    atom = without_flags(test)
    try:
        portable = portable_regex(atom.pattern, dotall=atom.dotall, multiline=atom.multiline)
    except NotPortable:
        return ""
    # In a class Rust reads two of these as what is in one of two classes only.
    if not portable.isascii() or "~~" in portable:
        return ""
    flags = f"s{'m' if atom.multiline else ''}{'' if atom.cased else 'i'}"
    return f"(?{flags}){portable}"


def _network(network: ipaddress.IPv4Network | ipaddress.IPv6Network) -> Data:
    return [str(network.network_address), network.prefixlen]


def _search(words: list[str]) -> Data:
    quick, written = written_ways(words)
    return {"words": written, "quick": quick}
