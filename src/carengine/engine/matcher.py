"""All stages of a run as one matcher: which of them does this event pass?

The stages of all rules are lowered for every entry of the field maps, and gathered by entry: an event
class. For each class:

* every distinct condition on one value (an *atom*) is interned, and gets a bit in the mask of that value;
* a value's text is looked at once: its mask of true atoms is remembered, in bounded memory, and
  shared by all stages of the class;
* every stage hangs on an *anchor*: a few atoms of which one must be true for the stage to hold.
  Only stages whose anchor is hit are looked at; the rest cost nothing.

Unknown is kept exactly: negation is pushed down to the atoms first, so that a stage is decided by two
questions about atoms, "is it true" and "is it false", and the three-valued ``and`` and ``or`` become
plain ones. ``evaluate.holds`` is the reference that all this is held to::

    (exe = "a.exe" or exe = "b*") and not user = "x"
    masks of exe: 01 "a.exe", 10 "b*"      ->  any true of 11
    masks of user: 1 "x"                   ->  none true or unknown of 1
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from attrs import frozen

from .. import functions, ir
from ..evaluate import Alone, RawRow, as_time, holds, regex_of, searchable, value_of, without
from ..fieldmap import Entry, FieldMap, Lowered
from ..pattern import fold
from ..values import compare, elements, in_network, number_of, raw_text, text_of

_ALONE = Alone()

# Values longer than this are looked at each time: they hardly ever come again.
_MEMO_TEXT = 512
# How many values a memo holds before it is started afresh.
_MEMO_SIZE = 4096

Get = Callable[[Mapping[str, Any]], Any]
Masks = tuple[int, int]
"""The atoms of a value that are true, and those that are unknown."""


def getter(value: ir.Value) -> Get:
    """A function that takes a lowered value from an (unwrapped) raw event."""
    match value:
        case ir.Raw(path, empty, type_):
            return _raw_getter(path, empty, timed=type_ is ir.Type.TIME)
        case ir.Constant(constant):
            return lambda event: constant
        case ir.Call(name, arguments, type_):
            function = functions.FUNCTIONS[name]
            inner = [getter(argument) for argument in arguments]
            timed = type_ is ir.Type.TIME

            if len(inner) == 1 and function.strict and not timed:
                [only], apply = inner, function.apply

                def call_one(event: Mapping[str, Any]) -> Any:
                    given = only(event)
                    if given is None:
                        return None
                    many = isinstance(given, list | tuple)
                    return functions.call(name, [given]) if many else apply(given)

                return call_one

            def call(event: Mapping[str, Any]) -> Any:
                found = functions.call(name, [get(event) for get in inner])
                return as_time(found) if timed else found

            return call
        case _:
            return lambda event: value_of(value, RawRow(event), _ALONE)


def _raw_getter(path: tuple[str, ...], empty: tuple[str, ...], *, timed: bool) -> Get:
    if len(path) == 1 and not timed:
        [key] = path

        def get(event: Mapping[str, Any]) -> Any:
            found = event.get(key)
            return found if found is None else without(found, empty)

        return get

    def walk(event: Mapping[str, Any]) -> Any:
        found: Any = event
        for key in path:
            if not isinstance(found, Mapping):
                return None
            found = found.get(key)
        found = without(found, empty)
        return as_time(found) if timed else found

    return walk


# Atoms over one value


class _Values:
    """The atoms on one value of a class, and what is remembered about its texts."""

    def __init__(self, value: ir.Value) -> None:
        self.get = getter(value)
        self.bits: dict[ir.Condition, int] = {}
        self.exact: dict[str, int] = {}
        self.folded: list[tuple[Callable[[str], bool], int]] = []
        self.cased: list[tuple[Callable[[str], bool], int]] = []
        self.others: list[tuple[Callable[[Any], bool | None], int]] = []
        self.nulls = 0
        self.memo: dict[str, Masks] = {}

    def bit(self, atom: ir.Match | ir.Regex | ir.InNetwork | ir.IsNull | ir.Compare) -> int:
        """The mask of an atom, which is interned."""
        known = self.bits.get(atom)
        if known is None:
            known = self.bits[atom] = 1 << len(self.bits)
            self._add(atom, known)
        return known

    def _add(
        self, atom: ir.Match | ir.Regex | ir.InNetwork | ir.IsNull | ir.Compare, bit: int
    ) -> None:
        match atom:
            case ir.IsNull():
                self.nulls |= bit
            case ir.Match(_, patterns):
                for pattern in patterns:
                    text = pattern.exact
                    if text is not None and not pattern.cased:
                        self.exact[text] = self.exact.get(text, 0) | bit
                    elif pattern.cased:
                        self.cased.append((pattern.test(), bit))
                    else:
                        self.folded.append((pattern.test(), bit))
            case ir.Regex():
                found = regex_of(atom)
                self.cased.append((lambda text: found.search(searchable(text)) is not None, bit))
            case ir.InNetwork(_, networks):
                self.cased.append(
                    (lambda text: any(in_network(text, network) for network in networks), bit)
                )
            case ir.Compare(_, relation, right, type_):
                constant = getter(right)({}) if isinstance(right, ir.Constant) else _fixed(right)
                # One element of the value, boxed: a list inside the list is no list of values.
                self.others.append((lambda value: compare([value], relation, constant, type_), bit))

    def masks(self, event: Mapping[str, Any]) -> Masks:
        """The true and the unknown atoms of this value of an event."""
        value = self.get(event)
        if type(value) is str:
            known = self.memo.get(value)
            return self._look_up(value) if known is None else known
        return self._masks_of(value)

    def _look_up(self, text: str) -> Masks:
        found = self._masks_of_one(text)
        if len(text) <= _MEMO_TEXT:
            if len(self.memo) >= _MEMO_SIZE:
                self.memo.clear()
            self.memo[text] = found
        return found

    def _masks_of(self, value: Any) -> Masks:
        parts = elements(value)
        everything = (1 << len(self.bits)) - 1
        if not parts:
            return self.nulls, everything & ~self.nulls
        true = unknown = 0
        for part in parts:
            more, open_ = self._masks_of_one(part)
            true |= more
            unknown |= open_
        return true, unknown & ~true

    def _masks_of_one(self, value: Any) -> Masks:
        true = unknown = 0
        text = text_of(value)
        if text is None:
            # A mapping has no text: whatever would look at it is unknown.
            unknown = (1 << len(self.bits)) - 1 & ~self.nulls
        else:
            lowered = fold(text)
            true = self.exact.get(lowered, 0)
            for test, bit in self.folded:
                if not true & bit and test(lowered):
                    true |= bit
            for test, bit in self.cased:
                if not true & bit and test(text):
                    true |= bit
        for verdict_of, bit in self.others:
            unknown &= ~bit
            match verdict_of(value):
                case True:
                    true |= bit
                case None:
                    unknown |= bit
        return true, unknown


def _fixed(value: ir.Value) -> Any:
    assert isinstance(value, ir.Moment | ir.Duration)
    return value.microseconds


def _single_value(atom: ir.Condition) -> ir.Value | None:
    """The value of an atom that only one value decides; None for all others."""
    match atom:
        case ir.Match(value) | ir.Regex(value) | ir.InNetwork(value) | ir.IsNull(value):
            return value
        case ir.Compare(value, _, ir.Constant() | ir.Moment() | ir.Duration()):
            return value
        case _:
            return None


# Conditions


class _Look:
    """One event being matched: the masks of the values that were asked for."""

    __slots__ = ("event", "masks", "outer", "values")

    def __init__(
        self, values: Sequence[_Values], event: Mapping[str, Any], outer: Mapping[str, Any]
    ) -> None:
        self.values = values
        self.event = event
        self.outer = outer
        self.masks: list[Masks | None] = [None] * len(values)

    def at(self, index: int) -> Masks:
        found = self.masks[index]
        if found is None:
            found = self.masks[index] = self.values[index].masks(self.event)
        return found


Verdict = Callable[[_Look], bool]


@frozen
class _EventRow(RawRow):
    """A raw event whose text is that of the record it was wrapped in."""

    outer: Mapping[str, Any]

    def text(self) -> str:
        return raw_text(self.outer)


@frozen
class _Anchor:
    """Atoms of one value of which at least one is true where a stage holds."""

    index: int
    mask: int


@frozen
class _Compiled:
    """A stage's condition: what decides it, and its anchors, one of which must be hit.

    ``anchors`` is None where no such atoms exist: the stage is looked at for every event.
    """

    verdict: Verdict
    anchors: tuple[_Anchor, ...] | None


class ClassMatcher:
    """The stages of one event class: a field map's entry.

    ``stages`` are numbers that the caller gave; `match` returns those that hold, in order.
    """

    def __init__(self, lowered: Iterable[tuple[int, Lowered]]) -> None:
        self._values: list[_Values] = []
        self._indexes: dict[ir.Value, int] = {}
        self._always: list[tuple[int, Verdict]] = []
        self._anchored: dict[int, list[tuple[int, int, Verdict]]] = {}
        for number, stage in lowered:
            self._add(number, stage)
        self._anchor_masks = {
            index: _union(mask for mask, _, _ in entries)
            for index, entries in self._anchored.items()
        }

    def _add(self, number: int, stage: Lowered) -> None:
        if not stage.possible:
            return
        made = self._compile(stage.condition, wanted=True)
        if made.anchors is None:
            self._always.append((number, made.verdict))
            return
        for anchor in made.anchors:
            entry = (anchor.mask, number, made.verdict)
            self._anchored.setdefault(anchor.index, []).append(entry)

    def match(self, event: Mapping[str, Any], outer: Mapping[str, Any]) -> list[int]:
        """The numbers of the stages that hold for an event; ``outer`` is the event before unwrapping."""
        look = _Look(self._values, event, outer)
        found = [number for number, verdict in self._always if verdict(look)]
        for index, entries in self._anchored.items():
            true = look.at(index)[0]
            if true & self._anchor_masks[index]:
                for mask, number, verdict in entries:
                    if true & mask and verdict(look):
                        found.append(number)
        return sorted(set(found)) if len(found) > 1 else found

    # Compiling: ``wanted`` says whether the condition is to be true or false.

    def _compile(self, condition: ir.Condition, *, wanted: bool) -> _Compiled:
        match condition:
            case ir.Truth(value):
                decided = value is wanted
                return _Compiled(lambda look: decided, None if decided else ())
            case ir.Not(item):
                return self._compile(item, wanted=not wanted)
            case ir.IsTrue(item):
                if wanted:
                    return self._compile(item, wanted=True)
                inner = self._compile(item, wanted=True).verdict
                return _Compiled(lambda look: not inner(look), None)
            case ir.And(items) if wanted:
                return self._every(items, wanted=True)
            case ir.Or(items) if not wanted:
                return self._every(items, wanted=False)
            case ir.And(items) | ir.Or(items):
                return self._some(items, wanted=wanted)
            case _:
                return self._atom(condition, wanted=wanted)

    def _every(self, items: tuple[ir.Condition, ...], *, wanted: bool) -> _Compiled:
        parts = [self._compile(item, wanted=wanted) for item in items]
        verdicts = [part.verdict for part in parts]
        anchors = [part.anchors for part in parts if part.anchors is not None]
        best = min(anchors, key=self._breadth, default=None)
        return _Compiled(_all(verdicts), best)

    def _some(self, items: tuple[ir.Condition, ...], *, wanted: bool) -> _Compiled:
        positive: dict[int, int] = {}
        verdicts: list[Verdict] = []
        anchors: dict[int, int] | None = {}
        for item in items:
            value = _single_value(item)
            if wanted and value is not None:
                index, bit = self._bit(item, value)
                positive[index] = positive.get(index, 0) | bit
                continue
            part = self._compile(item, wanted=wanted)
            verdicts.append(part.verdict)
            if part.anchors is None:
                anchors = None
            elif anchors is not None:
                for anchor in part.anchors:
                    anchors[anchor.index] = anchors.get(anchor.index, 0) | anchor.mask
        # All alternatives on one value are one test of its mask.
        tests = [_is_true(index, mask) for index, mask in positive.items()]
        if anchors is not None:
            for index, mask in positive.items():
                anchors[index] = anchors.get(index, 0) | mask
        made = None if anchors is None else tuple(_Anchor(i, m) for i, m in anchors.items())
        return _Compiled(_any([*tests, *verdicts]), made)

    def _atom(self, atom: ir.Condition, *, wanted: bool) -> _Compiled:
        value = _single_value(atom)
        if value is None:

            def by_reference(look: _Look) -> bool:
                row = _EventRow(look.event, look.outer)
                return holds(atom, row, _ALONE) is wanted

            return _Compiled(by_reference, None)
        index, bit = self._bit(atom, value)
        if wanted:
            return _Compiled(_is_true(index, bit), (_Anchor(index, bit),))
        return _Compiled(_is_false(index, bit), None)

    def _bit(self, atom: ir.Condition, value: ir.Value) -> tuple[int, int]:
        index = self._indexes.get(value)
        if index is None:
            index = self._indexes[value] = len(self._values)
            self._values.append(_Values(value))
        assert isinstance(atom, ir.Match | ir.Regex | ir.InNetwork | ir.IsNull | ir.Compare)
        return index, self._values[index].bit(atom)

    def _breadth(self, anchors: tuple[_Anchor, ...]) -> tuple[int, int]:
        """How unspecific anchors are: many atoms are worse than few, null tests worst of all."""
        nulls = sum(bool(self._values[a.index].nulls & a.mask) for a in anchors)
        return nulls, sum(anchor.mask.bit_count() for anchor in anchors)


def _union(masks: Iterable[int]) -> int:
    total = 0
    for mask in masks:
        total |= mask
    return total


def _is_true(index: int, mask: int) -> Verdict:
    return lambda look: bool(look.at(index)[0] & mask)


def _is_false(index: int, mask: int) -> Verdict:
    def verdict(look: _Look) -> bool:
        true, unknown = look.at(index)
        return not (true | unknown) & mask

    return verdict


def _all(verdicts: Sequence[Verdict]) -> Verdict:
    if len(verdicts) == 1:
        return verdicts[0]

    def every(look: _Look) -> bool:
        for verdict in verdicts:  # noqa: SIM110 - a generator costs more than the loop
            if not verdict(look):
                return False
        return True

    return every


def _any(verdicts: Sequence[Verdict]) -> Verdict:
    if len(verdicts) == 1:
        return verdicts[0]

    def some(look: _Look) -> bool:
        for verdict in verdicts:  # noqa: SIM110 - a generator costs more than the loop
            if verdict(look):
                return True
        return False

    return some


# Routing an event to its classes


class EventClasses:
    """Which entries of a field map an event fits, decided with a table lookup where possible."""

    def __init__(self, fieldmap: FieldMap) -> None:
        self.fieldmap = fieldmap
        conditions = _Conditions([fieldmap.recognise, *(e.when for e in fieldmap.entries)])
        self._recognise, *self._whens = conditions.verdicts
        self._values = conditions.values
        self._get, self._by_text, self._rest = _discriminator(fieldmap.entries)

    def recognises(self, event: Mapping[str, Any]) -> bool:
        """Whether an (unwrapped) event has the map's shape."""
        return self._recognise(_Look(self._values, event, event))

    def entries(self, event: Mapping[str, Any]) -> list[int]:
        """The numbers of the entries that a recognised event fits, in order."""
        candidates: Iterable[int] = self._rest
        if self._get is not None:
            text = text_of(self._get(event))
            if text is None:
                # A list or nothing: every entry is asked.
                candidates = range(len(self._whens))
            else:
                candidates = {*self._found(text), *self._rest}
        look = _Look(self._values, event, event)
        return sorted(number for number in candidates if self._whens[number](look))

    def _found(self, text: str) -> Iterable[int]:
        found = self._by_text.get(fold(text), ())
        number = number_of(text)
        if number is not None and str(number) != text:
            # A number may be spelt otherwise than it is in the table: "01", " 1", 1.0.
            spelt = str(int(number)) if number == int(number) else str(number)
            return (*found, *self._by_text.get(spelt, ()))
        return found


class _Conditions(ClassMatcher):
    """Conditions compiled over shared values, without anchors."""

    def __init__(self, conditions: Iterable[ir.Condition]) -> None:
        super().__init__(())
        self.verdicts = [self._compile(c, wanted=True).verdict for c in conditions]
        self.values = self._values


def _discriminator(
    entries: Sequence[Entry],
) -> tuple[Get | None, dict[str, tuple[int, ...]], tuple[int, ...]]:
    """The value that most entries fix to a few texts, and a table from these texts to entries."""
    pinned = [_fixed_texts(entry.when) for entry in entries]
    counts: dict[ir.Value, int] = {}
    for texts in pinned:
        for value in texts:
            counts[value] = counts.get(value, 0) + 1
    if not counts:
        return None, {}, tuple(range(len(entries)))
    chosen = max(counts, key=lambda value: counts[value])
    table: dict[str, list[int]] = {}
    rest = []
    for number, texts in enumerate(pinned):
        if chosen not in texts:
            rest.append(number)
            continue
        for text in texts[chosen]:
            table.setdefault(text, []).append(number)
    return getter(chosen), {text: tuple(found) for text, found in table.items()}, tuple(rest)


def _fixed_texts(condition: ir.Condition) -> dict[ir.Value, tuple[str, ...]]:
    """The values that a conjunction requires to have one of a few folded texts."""
    found: dict[ir.Value, tuple[str, ...]] = {}
    parts = condition.items if isinstance(condition, ir.And) else (condition,)
    for part in parts:
        match part:
            case ir.Match(value, patterns):
                exact = [p.exact for p in patterns if not p.cased]
                if len(exact) == len(patterns) and None not in exact:
                    found[value] = tuple(text for text in exact if text is not None)
            case ir.Compare(value, ir.Relation.EQUAL, ir.Constant(int() as number)):
                found[value] = (str(number),)
    return found
