"""Which field maps recognise an event, and which of their entries does it fit?

Each map has a condition to recognise its events by, each entry another. To ask them all of every
event would cost more than decoding it. So the questions are asked in the order of a tree that grows
as events come::

    Channel?  "…Sysmon/Operational" ──▶ winlog, Event, … all absent? ──▶ EventID?  1 ──▶ Route
              "Security" ──▶ …                                                          10 ──▶ Route

A node asks for one value (or whether some keys are there), and each answer leads to the node where
all conditions stand with that answer put into them, until none is open. Two values are the same
answer when all conditions on the value come out the same; plain texts and numbers are looked up in
a table and decided only when they are new. Of ``first(EventID, EventCode)`` the first part is asked
for, and the second only where that is null. Nodes and tables are bounded; beyond, an event is
decided by the conditions themselves. The outcome is always that of ``evaluate.holds``.

Which maps recognise the event is asked first; the entries of the others are never looked at.

Maps may be set *behind* the others: only events that none of the others recognises are asked about
by them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, Generic, TypeVar, assert_never

from attrs import evolve, frozen

from ... import ir
from ...evaluate import NoContext, RawRow, decided, holds
from ...fieldmap import FieldMap, Get, getter, outcomes
from ...values import is_null
from .columns import opaque_paths, paths_in, single_value
from .splitting import Split

_NO_CONTEXT = NoContext()

_MOST_NODES = 5_000
_MOST_ROUTES = 5_000
_TABLE = 512
_KEY_TEXT = 256
_NO_KEY = object()


T = TypeVar("T")


@frozen(eq=False)
class _Part:
    """A condition that is open: by its slot, simplified, and what is asked for in it.

    An answer changes few of the conditions. Which ones is told by ``atoms``, by the top-level
    ``keys`` that these read, and by the ``values`` that one of them is about, or begins with.
    ``fixed`` tells that an atom reads nothing.
    """

    slot: int
    condition: ir.Condition
    atoms: frozenset[ir.Condition]
    keys: frozenset[str]
    values: frozenset[ir.Value]
    fixed: bool

    @classmethod
    def of(cls, slot: int, condition: ir.Condition) -> _Part:
        """The part that is this condition."""
        atoms = frozenset(ir.atoms(condition))
        read = [
            [path for value in values for path in paths_in(value)]
            for values in map(ir.values_of, atoms)
            if values
        ]
        values: set[ir.Value] = set()
        for value in map(single_value, atoms):
            if value is not None and value not in values:
                values |= {value, _beginning(value) or value}
        keys = frozenset(path[0] for paths in read for path in paths)
        return cls(slot, condition, atoms, keys, frozenset(values), not all(read))


Open = tuple[_Part, ...]


@frozen(cache_hash=True)
class Route:
    """Where an event belongs: numbers of field maps, and of entries of each map, in order.

    ``present`` are raw values that were asked for on the way and that are not null.
    """

    maps: tuple[int, ...]
    entries: tuple[tuple[int, int], ...]
    present: frozenset[ir.Value] = frozenset()


AtomTruths = Mapping[ir.Condition, ir.Condition]
"""What atoms have come to, as ``Truth``."""


class Leaf(Generic[T]):
    """A place in the tree: what stands open there, the next question, and where its answers lead.

    At a leaf proper nothing is open, and ``target`` is what the caller made of the route. ``asked``
    are the paths of all fields that were looked at on the way: events that are alike in these are
    alike in everything. ``lacking`` are those of them that are not there in most events of the
    leaf.
    """

    __slots__ = (
        "absent",
        "asked",
        "atoms",
        "by_outcome",
        "entered",
        "facts",
        "holding",
        "key",
        "lacking",
        "open",
        "past_keys",
        "present",
        "read",
        "route",
        "table",
        "target",
        "value",
        "without",
    )

    def __init__(
        self, open_: Open = (), holding: frozenset[int] = frozenset(), *, past_keys: bool = False
    ) -> None:
        # Whether the entries of the maps that recognise the event are among what is open. Before
        # they are: what atoms have come to, and the keys that are not there.
        self.entered = False
        self.facts: dict[ir.Condition, ir.Condition] = {}
        self.without: frozenset[str] = frozenset()
        # The conditions that are open yet, by their slots, and the slots of those that are true.
        self.open = open_
        self.holding = holding
        # Whether it was asked already which keys are there.
        self.past_keys = past_keys
        # What is asked for: the value under a key, or another value. Neither: which keys are there.
        self.key: str | None = None
        self.read: Get | None = None
        self.atoms: tuple[ir.Condition, ...] = ()
        self.absent: frozenset[str] = frozenset()
        self.asked: frozenset[tuple[str, ...]] = frozenset()
        self.lacking: frozenset[tuple[str, ...]] = frozenset()
        self.present: frozenset[ir.Value] = frozenset()
        self.table: dict[Any, Leaf[T]] = {}
        self.by_outcome: dict[Any, Leaf[T]] = {}
        self.target: T | None = None
        # Set where the route is known and only the value that splits its events is asked for.
        self.route: Route | None = None
        # The value that is asked for.
        self.value: ir.Value | None = None

    def ask(self, value: ir.Value) -> None:
        """Make the value the question."""
        self.value = value
        self.asked |= paths_in(value)
        if isinstance(value, ir.Raw) and value == ir.Raw(value.path[:1]):
            [self.key] = value.path
        else:
            self.read = getter(value)


class Router(Generic[T]):
    """The routes of a list of field maps, each with what the caller makes of it.

    ``split`` may name a value for a route, and atoms on it: the events of the route are then told
    apart by the outcomes of these atoms as well. ``make`` gets the route and the outcomes, once for
    each combination (more often only where there are too many to keep). ``behind`` are the numbers
    of the maps that are asked only where no other map recognises the event.
    """

    def __init__(
        self,
        maps: Sequence[FieldMap],
        make: Callable[[Route, AtomTruths], T],
        split: Callable[[Route, frozenset[tuple[str, ...]]], Split | None],
        behind: frozenset[int] = frozenset(),
    ) -> None:
        self.maps = tuple(maps)
        self._behind = behind
        self._make = make
        self._split = split
        self._known: dict[Route, T] = {}
        self._nodes = 0
        self._slots: list[tuple[int, int | None]] = []
        conditions: list[ir.Condition] = []
        for number, fieldmap in enumerate(self.maps):
            self._slots.append((number, None))
            conditions.append(fieldmap.recognise)
            for place, entry in enumerate(fieldmap.entries):
                self._slots.append((number, place))
                conditions.append(entry.when)
        self._conditions = tuple(conditions)
        # The slots of the entries of each map.
        self._entries: list[list[int]] = [[] for _ in self.maps]
        for slot, (of_map, entry_place) in enumerate(self._slots):
            if entry_place is not None:
                self._entries[of_map].append(slot)
        self._root: Leaf[T] | None = None

    @cached_property
    def opaque(self) -> frozenset[tuple[str, ...]]:
        """The paths at which the conditions need a mapping as a whole, if there is one."""
        return frozenset(
            path
            for condition in self._conditions
            for atom in ir.atoms(condition)
            for value in ir.values_of(atom)
            for path in opaque_paths(value)
        )

    @property
    def root(self) -> Leaf[T] | None:
        """The first question of the tree; None before the first event."""
        return self._root

    def route(self, event: Mapping[str, Any]) -> T:
        """What was made of the route of an (unwrapped) event."""
        target = self.leaf(event).target
        assert target is not None
        return target

    def leaf(self, event: Mapping[str, Any]) -> Leaf[T]:
        """The leaf that an (unwrapped) event comes to; the tree grows to it where it has not
        been."""
        node = self._root or self._first(event)
        while node.target is None:
            following: Leaf[T] | None
            if node.key is not None:
                value = event.get(node.key)
            elif node.read is not None:
                value = node.read(event)
            else:
                keys = event.keys()
                present = None if keys.isdisjoint(node.absent) else frozenset(keys & node.absent)
                following = node.by_outcome.get(present) or self._without(node, present, event)
                if following is None:
                    return self._by_conditions(event)
                node = following
                continue
            kind = type(value)
            if kind is str or kind is int or value is None:
                following = node.table.get(value) or self._after(node, value, event, value)
            elif kind is dict:
                # To conditions on it as a whole, all mappings are alike.
                following = node.table.get(dict) or self._after(node, value, event, dict)
            else:
                # 1.0 and True are keys equal to 1, and are other texts; lists are no keys.
                following = self._after(node, value, event)
            if following is None:
                return self._by_conditions(event)
            node = following
        return node

    def find(self, event: Mapping[str, Any]) -> Leaf[T] | None:
        """The leaf that an event comes to, if an event like it has been there before; nothing
        grows.

        The event need only have the fields that are asked for on the way to the leaf that comes
        out.
        """
        node = self._root
        while node is not None and node.target is None:
            if node.key is not None:
                value = event.get(node.key)
            elif node.read is not None:
                value = node.read(event)
            else:
                keys = event.keys()
                present = None if keys.isdisjoint(node.absent) else frozenset(keys & node.absent)
                node = node.by_outcome.get(present)
                continue
            kind = type(value)
            if kind is str or kind is int or value is None:
                node = node.table.get(value)
            else:
                node = node.table.get(dict) if kind is dict else None
        return node

    def _by_conditions(self, event: Mapping[str, Any]) -> Leaf[T]:
        row = RawRow(event)
        holding = [n for n, c in enumerate(self._conditions) if holds(c, row, _NO_CONTEXT) is True]
        leaf: Leaf[T] = Leaf()
        leaf.target = self._target(self._route_of(frozenset(holding)))
        return leaf

    def _target(self, route: Route) -> T:
        target = self._known.get(route)
        if target is None:
            target = self._make(route, {})
            if len(self._known) < _MOST_ROUTES:
                self._known[route] = target
        return target

    def _route_of(
        self, holding: frozenset[int], present: frozenset[ir.Value] = frozenset()
    ) -> Route:
        slots = [self._slots[slot] for slot in sorted(holding)]
        maps = tuple(number for number, place in slots if place is None)
        if not self._behind.issuperset(maps):
            maps = tuple(number for number in maps if number not in self._behind)
        entries = tuple(
            (number, place) for number, place in slots if place is not None and number in maps
        )
        return Route(maps, entries, present)

    # Growing the tree

    def _first(self, event: Mapping[str, Any]) -> Leaf[T]:
        recognising = [
            (slot, self._conditions[slot])
            for slot, (_, place) in enumerate(self._slots)
            if place is None
        ]
        root = self._made(recognising, frozenset(), frozenset(), event, Leaf())
        if root is None:
            return self._by_conditions(event)
        self._root = root
        return root

    def _after(
        self, node: Leaf[T], value: Any, event: Mapping[str, Any], key: Any = _NO_KEY
    ) -> Leaf[T] | None:
        """Where a value leads, from now on by its key; None: only the conditions themselves can
        tell."""
        row = RawRow({"": value})
        null = is_null(value)
        outcome = (
            null,
            *(holds(_about(atom, ir.Raw(("",))), row, _NO_CONTEXT) for atom in node.atoms),
        )
        following = node.by_outcome.get(outcome)
        if following is None:
            if self._nodes >= _MOST_NODES:
                return None
            asked = node.value
            assert asked is not None
            known: dict[ir.Condition, ir.Condition] = {
                # What begins with the value that was asked for goes on with what follows it.
                atom: _past(atom, asked) if null and single_value(atom) != asked else ir.Truth(true)
                for atom, true in zip(node.atoms, outcome[1:], strict=True)
            }
            answered = frozenset(known)
            if node.route is not None:
                self._nodes += 1
                following = Leaf()
                following.target = self._make(node.route, known)
                following.asked = node.asked
                following.lacking = node.lacking
            else:
                following = self._made(
                    tuple(
                        part
                        if part.atoms.isdisjoint(answered)
                        else (part.slot, replaced(part.condition, known))
                        for part in node.open
                    ),
                    node.holding,
                    node.asked,
                    event,
                    node,
                    node.present if null else node.present | {asked},
                    facts=known,
                    past_keys=node.past_keys,
                )
                if following is None:
                    return None
                following.lacking |= node.lacking
                if value is None and isinstance(asked, ir.Raw):
                    following.lacking |= {asked.path}
            node.by_outcome[outcome] = following
        if (
            key is not _NO_KEY
            and len(node.table) < _TABLE
            and (type(key) is not str or len(key) <= _KEY_TEXT)
        ):
            node.table[key] = following
        return following

    def _without(
        self, node: Leaf[T], present: frozenset[str] | None, event: Mapping[str, Any]
    ) -> Leaf[T] | None:
        if self._nodes >= _MOST_NODES:
            return None
        absent = node.absent - (present or frozenset())
        following = self._made(
            tuple(
                part
                if part.keys.isdisjoint(absent) and not part.fixed
                else (part.slot, _without_keys(part.condition, absent))
                for part in node.open
            ),
            node.holding,
            node.asked,
            event,
            node,
            node.present,
            absent=absent,
            past_keys=True,
        )
        if following is not None:
            following.lacking |= node.lacking | {(key,) for key in absent}
            node.by_outcome[present] = following
        return following

    def _made(
        self,
        parts: Iterable[_Part | tuple[int, ir.Condition]],
        holding: frozenset[int],
        asked: frozenset[tuple[str, ...]],
        event: Mapping[str, Any],
        before: Leaf[T],
        present: frozenset[ir.Value] = frozenset(),
        *,
        facts: AtomTruths | None = None,
        absent: frozenset[str] = frozenset(),
        past_keys: bool = False,
    ) -> Leaf[T] | None:
        """The node for what may be open. What it asks is chosen so that it tells most of events
        like this one.

        Of the ``parts``, those that were open ``before`` stand as they are; the others are
        conditions that an answer was put into. ``facts`` and ``absent`` are the answer.
        """
        self._nodes += 1
        open_, true = self._opened(parts)
        holding |= true
        # Entries of maps that do not recognise the event are of no interest.
        hopeful = {self._slots[p.slot][0] for p in open_ if self._slots[p.slot][1] is None}
        sure = {self._slots[slot][0] for slot in holding if self._slots[slot][1] is None}
        if not self._behind.issuperset(sure):
            hopeful -= self._behind
            sure -= self._behind
        wanted = hopeful | sure
        open_ = [part for part in open_ if self._slots[part.slot][0] in wanted]
        known, without = {**before.facts, **(facts or {})}, before.without | absent
        entered = before.entered
        if not open_ and not entered:
            entered = True
            open_, true = self._opened(self._entering(sure, known, without))
            holding |= true
        if not open_:
            return self._end(self._route_of(holding, present), asked)
        node: Leaf[T] = Leaf(tuple(open_), holding, past_keys=past_keys)
        node.entered = entered
        if not entered:
            node.facts, node.without = known, without
        node.asked, node.present = asked, present
        recognise = self._to_recognise(node.open)
        # Not first of all: different logs lack different keys.
        if recognise and not past_keys and asked:
            keys = _telling_keys(recognise, event)
            if keys:
                node.past_keys = True
                node.absent = keys
                node.asked |= {(key,) for key in keys}
                return node
        value = _most_asked(recognise or [part.condition for part in open_], event)
        if value is None:
            # Only conditions on several values or on the text of the event: no tree for these.
            return None
        node.ask(value)
        node.atoms = tuple(
            dict.fromkeys(
                atom
                for part in open_
                if value in part.values
                for atom in ir.atoms(part.condition)
                if _begins_with(single_value(atom), value)
            )
        )
        return node

    def _opened(
        self, parts: Iterable[_Part | tuple[int, ir.Condition]]
    ) -> tuple[list[_Part], frozenset[int]]:
        """What is open of some parts, and the slots of those that are true."""
        open_: list[_Part] = []
        true: list[int] = []
        for part in parts:
            if isinstance(part, _Part):
                open_.append(part)
                continue
            slot, condition = part[0], ir.simplify(part[1])
            if condition == ir.Truth(True):
                true.append(slot)
            elif not _is_decided(condition):
                open_.append(_Part.of(slot, condition))
        return open_, frozenset(true)

    def _entering(
        self, maps: Iterable[int], facts: AtomTruths, without: frozenset[str]
    ) -> Iterator[tuple[int, ir.Condition]]:
        """The conditions of the entries of maps that recognise an event, with what is known."""
        for number in sorted(maps):
            for slot in self._entries[number]:
                condition = self._conditions[slot]
                if without:
                    condition = _without_keys(condition, without)
                yield slot, replaced(condition, facts)

    def _to_recognise(self, open_: Open) -> list[ir.Condition]:
        """The open conditions that tell whether maps recognise the event; maps in front come
        first."""
        placed = [(self._slots[part.slot], part.condition) for part in open_]
        maps = [(number, c) for (number, place), c in placed if place is None]
        front = [c for number, c in maps if number not in self._behind]
        return front or [c for _, c in maps]

    def _end(self, route: Route, asked: frozenset[tuple[str, ...]]) -> Leaf[T]:
        leaf: Leaf[T] = Leaf()
        leaf.asked = asked
        split = self._split(route, asked) if self._nodes < _MOST_NODES else None
        if split is None:
            leaf.target = self._target(route)
        else:
            leaf.route = route
            leaf.atoms = split.atoms
            leaf.ask(split.value)
        return leaf


def _is_decided(condition: ir.Condition) -> bool:
    # Unknown for certain is as good as false.
    return True not in outcomes(condition) or condition == ir.Truth(True)


def _about(atom: ir.Condition, value: ir.Value) -> ir.Condition:
    """An atom on one value, on another value instead."""
    match atom:
        case ir.Compare():
            return evolve(atom, left=value)
        case ir.Match() | ir.Regex() | ir.InNetwork() | ir.IsNull():
            return evolve(atom, value=value)
        case ir.Occurs() | ir.RawMatch() | ir.RawRegex() | ir.Rank():
            return atom
        case ir.Truth() | ir.And() | ir.Or() | ir.Not() | ir.IsTrue():
            return atom
        case _:
            assert_never(atom)


def replaced(condition: ir.Condition, known: AtomTruths) -> ir.Condition:
    """The condition with what atoms have come to in their place."""
    return ir.map_atoms(condition, lambda atom: known.get(atom, atom))


def _beginning(value: ir.Value | None) -> ir.Value | None:
    """What is to be asked for first where a value is wanted: of ``first(a, b)`` only ``a``."""
    if not isinstance(value, ir.Call) or value.function != "first" or value.type is ir.Type.TIME:
        return value
    beginning = _beginning(value.arguments[0])
    # What is read as a time is compared in another way than what it is read from.
    typed = isinstance(beginning, ir.Raw | ir.Call) and beginning.type is not ir.Type.TIME
    return beginning if typed else value


def _begins_with(value: ir.Value | None, beginning: ir.Value) -> bool:
    """Whether a value is this one, or is this one wherever that is not null."""
    return value == beginning or _beginning(value) == beginning


def _after_null(value: ir.Value, beginning: ir.Value) -> ir.Value:
    """What a value that begins with another one is where that is null."""
    if value == beginning or not isinstance(value, ir.Call):
        return ir.Constant(None)
    first, *rest = value.arguments
    left = _after_null(first, beginning)
    if left != ir.Constant(None):
        rest = [left, *rest]
    return evolve(value, arguments=tuple(rest)) if rest else ir.Constant(None)


def where_present(condition: ir.Condition, present: frozenset[ir.Value]) -> ir.Condition:
    """The condition for events in which these raw values are not null.

    >>> a, b = ir.Raw(("EventID",)), ir.Raw(("EventCode",))
    >>> where_present(ir.IsNull(ir.Call("first", (a, b))), frozenset({a})) == ir.IsNull(a)
    True
    """
    return ir.rewrite_operands(condition, lambda value: _where_present(value, present))


def _where_present(value: ir.Value, present: frozenset[ir.Value]) -> ir.Value:
    if not isinstance(value, ir.Call):
        return value
    beginning = _beginning(value)
    if beginning is not value and beginning in present:
        assert beginning is not None
        return beginning
    arguments = tuple(_where_present(inner, present) for inner in value.arguments)
    return value if arguments == value.arguments else evolve(value, arguments=arguments)


def _past(atom: ir.Condition, beginning: ir.Value) -> ir.Condition:
    value = single_value(atom)
    assert value is not None
    rest = _about(atom, _after_null(value, beginning))
    value = single_value(rest)
    return (
        ir.Truth(holds(rest, RawRow({}), _NO_CONTEXT)) if isinstance(value, ir.Constant) else rest
    )


def _most_asked(conditions: Iterable[ir.Condition], event: Mapping[str, Any]) -> ir.Value | None:
    """The value that most open atoms are about; one that is there in the event before all
    others."""
    counts: dict[ir.Value, int] = {}
    for condition in conditions:
        for value in dict.fromkeys(_beginning(single_value(a)) for a in ir.atoms(condition)):
            if value is not None:
                counts[value] = counts.get(value, 0) + 1
    return max(
        counts,
        key=lambda value: (getter(value)(event) is not None, counts[value]),
        default=None,
    )


def _telling_keys(conditions: Iterable[ir.Condition], event: Mapping[str, Any]) -> frozenset[str]:
    """Keys that the event lacks, and without which most of the conditions cannot be true."""
    telling: dict[str, None] = {}
    for condition in conditions:
        keys = dict.fromkeys(
            path[0]
            for atom in ir.atoms(condition)
            for value in ir.values_of(atom)
            for path in sorted(paths_in(value))
            if path[0] not in event
        )
        if not keys or not _is_decided(_without_keys(condition, frozenset(keys))):
            continue
        alone = [key for key in keys if _is_decided(_without_keys(condition, frozenset({key})))]
        if alone:
            telling.setdefault(next((key for key in alone if key in telling), alone[0]))
            continue
        # Several that only together rule it out: those that are asked for already, then the others.
        needed = {key for key in keys if key in telling}
        for key in keys:
            if _is_decided(_without_keys(condition, frozenset(needed))):
                break
            needed.add(key)
        telling.update(dict.fromkeys(sorted(needed)))
    return frozenset(telling)


def _without_keys(condition: ir.Condition, absent: frozenset[str]) -> ir.Condition:
    """The condition for events that have nothing under these top-level keys."""

    def nothing(leaf: ir.Value) -> ir.Value:
        if isinstance(leaf, ir.Raw) and leaf.path[0] in absent:
            return ir.Constant(None)
        return leaf

    without = ir.rewrite_condition(condition, nothing)
    return ir.simplify(decided(without, lambda value: not paths_in(value)))


def _itself(route: Route, outcomes: AtomTruths) -> Route:
    return route


def _whole(route: Route, asked: frozenset[tuple[str, ...]]) -> None:
    return None


class EventClasses:
    """Which entries of one field map an event fits."""

    def __init__(self, fieldmap: FieldMap) -> None:
        self.fieldmap = fieldmap
        self._router = Router([fieldmap], _itself, _whole)

    def recognises(self, event: Mapping[str, Any]) -> bool:
        """Whether an (unwrapped) event has the map's shape."""
        return bool(self._router.route(event).maps)

    def entries(self, event: Mapping[str, Any]) -> list[int]:
        """The numbers of the entries that a recognised event fits, in order."""
        return [place for _, place in self._router.route(event).entries]
