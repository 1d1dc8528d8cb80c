"""The values of an event that a class of rules asks about, each looked at once.

A *column* is a place that events have values in: a path of keys, or an expression over several. A
*facet* is what rules compare: the value there, its base name, one hash out of it. Both ``Image``
and ``basename(Image)`` are facets of the column ``Image``.

What is asked about a column are *atoms*: conditions that its value alone decides. They are asked in
two ways:

* ``CandidateTable`` answers "which stages could this value make true?", for the atoms of
  anchors, with one look into a table for values met before;
* a ``CellCache`` answers single atoms, when somebody asks, and remembers the answers with the
  value.

Tables are bounded, each in its entries and all together in bytes (``Memory``), and hold no long
texts: a stream of values that never come again costs time, never memory.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any, assert_never

from attrs import frozen

from ... import ir
from ...evaluate import REGEX_WORK, search_regex
from ...fieldmap import Get, getter, walker
from ...functions import FUNCTIONS
from ...pattern import Any as Wild
from ...pattern import Pattern, Test, fold
from ...regex import literals
from ...values import compare, elements, in_network, text_of
from .finder import Finder

_MEMO_TEXT = 1024
_MEMO_SIZE = 4096

Atom = ir.Match | ir.Regex | ir.InNetwork | ir.IsNull | ir.Compare
Judge = Callable[["Facet"], "bool | None"]


def single_value(condition: ir.Condition) -> ir.Value | None:
    """The value that alone decides an atom; None for conditions that need more."""
    match condition:
        case ir.Match(value) | ir.Regex(value) | ir.InNetwork(value) | ir.IsNull(value):
            return value
        case ir.Compare(value, _, ir.Constant() | ir.Moment() | ir.Duration()):
            return value
        case ir.Compare() | ir.Occurs() | ir.RawMatch() | ir.RawRegex() | ir.Rank():
            return None
        case ir.Truth() | ir.And() | ir.Or() | ir.Not() | ir.IsTrue():
            return None
        case _:
            assert_never(condition)


# Which fields a value reads


def paths_in(value: ir.Value) -> frozenset[tuple[str, ...]]:
    """The paths of all raw fields that a value reads."""
    if isinstance(value, ir.Raw):
        return frozenset({value.path})
    return frozenset(path for inner in ir.operands(value) for path in paths_in(inner))


def reads_presence(value: ir.Value) -> bool:
    """Whether it matters to a value whether a field is there with null or not at all."""
    return any(isinstance(inner, ir.Presence) for inner in ir.values_in(value))


def opaque_paths(value: ir.Value) -> frozenset[tuple[str, ...]]:
    """Those of a value's paths at which a mapping must be there as a whole, since a function looks
    into it."""
    if isinstance(value, ir.Call) and not _is_text_only(value):
        return paths_in(value)
    return frozenset(path for inner in ir.operands(value) for path in opaque_paths(inner))


def _is_text_only(call: ir.Call) -> bool:
    """Whether all mappings are alike to the function."""
    return call.function in FUNCTIONS and FUNCTIONS[call.function].text_only


# One value, looked at


class Facet:
    """A value as atoms see it: its elements, their texts, and these folded."""

    __slots__ = ("_folded", "parts", "texts", "value")

    def __init__(self, value: Any) -> None:
        self.value = value
        self.parts = elements(value)
        self.texts = tuple(text_of(part) for part in self.parts)
        self._folded: tuple[str | None, ...] | None = None

    @property
    def folded(self) -> tuple[str | None, ...]:
        """The texts with case folded."""
        if self._folded is None:
            self._folded = tuple(None if text is None else fold(text) for text in self.texts)
        return self._folded


def judge_of(atom: Atom) -> Judge:
    """An atom as a function of a facet: what ``evaluate.holds`` says of it."""
    match atom:
        case ir.IsNull():
            return lambda facet: not facet.parts
        case ir.Compare(_, relation, right, type_):
            constant = getter(right)({}) if isinstance(right, ir.Constant) else _fixed(right)
            return lambda facet: compare(facet.value, relation, constant, type_)
        case ir.Match(_, patterns):
            return _judge_match(atom, cased=any(pattern.cased for pattern in patterns))
        case ir.Regex():
            return _judge_texts(lambda text: search_regex(atom, text), folded=False)
        case ir.InNetwork(_, networks):
            return _judge_texts(
                lambda text: any(in_network(text, network) for network in networks), folded=False
            )


def _fixed(value: ir.Value) -> Any:
    assert isinstance(value, ir.Moment | ir.Duration)
    return value.microseconds


def _judge_texts(test: Callable[[str], bool | None], *, folded: bool) -> Judge:
    def judge(facet: Facet) -> bool | None:
        texts = facet.folded if folded else facet.texts
        if not texts:
            return None
        unknown = False
        for text in texts:
            verdict = None if text is None else test(text)
            if verdict:
                return True
            unknown |= verdict is None
        return None if unknown else False

    return judge


def _judge_match(atom: ir.Match, *, cased: bool) -> Judge:
    if cased:
        # Some on the text as it is, others on the folded one, which is made here when one of those
        # asks.
        folding = [pattern.test() for pattern in atom.patterns if not pattern.cased]
        tests = [pattern.test() for pattern in atom.patterns if pattern.cased]

        def either(text: str) -> bool:
            if any(test(text) for test in tests):
                return True
            return bool(folding) and any(map(_applied_to(fold(text)), folding))

        return _judge_texts(either, folded=False)
    exact: set[str] = set()
    starts: list[str] = []
    ends: list[str] = []
    within: list[str] = []
    others: list[Test] = []
    for pattern in atom.patterns:
        match pattern.tokens:
            case ():
                exact.add("")
            case (str() as text,):
                exact.add(text)
            case (str() as text, Wild()):
                starts.append(text)
            case (Wild(), str() as text):
                ends.append(text)
            case (Wild(), str() as text, Wild()):
                within.append(text)
            case _:
                others.append(pattern.test())
    heads, tails, inner = tuple(starts), tuple(ends), tuple(within)
    if len(inner) == 1 and not exact and not heads and not tails and not others:
        [only] = inner
        return _judge_texts(lambda text: only in text, folded=True)

    def test(text: str) -> bool:
        if text in exact or text.endswith(tails) or text.startswith(heads):
            return True
        for part in inner:
            if part in text:
                return True
        for other in others:  # noqa: SIM110 - a generator costs more than the loop
            if other(text):
                return True
        return False

    return _judge_texts(test, folded=True)


def _applied_to(text: str) -> Callable[[Test], bool]:
    return lambda test: test(text)


# What is remembered


class Memory:
    """What all tables of an engine may hold together, in bytes (about)."""

    def __init__(self, limit: int = 32_000_000) -> None:
        self.limit = limit
        self.spent = 0
        self.tables: list[dict[Any, Any]] = []

    def keep(self, table: dict[Any, Any], key: Any, value: Any, size: int) -> None:
        """Put an entry into a table of this memory; makes room by forgetting."""
        if self.spent > self.limit:
            self.forget()
        elif len(table) >= _MEMO_SIZE:
            table.clear()
        self.spent += sys.getsizeof(key) + size
        table[key] = value

    def forget(self) -> None:
        """Forget everything."""
        for table in self.tables:
            table.clear()
        self.spent = 0

    def release(self, tables: Iterable[dict[Any, Any]]) -> None:
        """Tables that are used no more."""
        gone = {id(table) for table in tables}
        self.tables = [table for table in self.tables if id(table) not in gone]


class CandidateTable(dict[Any, int]):
    """From a value of a column to the stages that it could make true, as a mask.

    Keys are texts, null, and numbers, but 0 and 1, which are equal to False and True as keys and
    not as texts, and numbers so large that a float equal to them is written otherwise.
    """

    __slots__ = ("_anchors", "_bits", "_finds", "_memory")

    def __init__(self, anchors: tuple[FacetAnchors, ...], memory: Memory) -> None:
        super().__init__()
        self._anchors = anchors
        self._finds = tuple(a.find if a.direct else a.of for a in anchors)
        self._memory = memory
        # What 0 and 1 come to.
        self._bits: dict[int, int] = {}
        memory.tables.append(self)

    def __missing__(self, value: Any) -> int:
        if type(value) is int and 0 <= value <= 1:
            bits = self._bits
            if value not in bits:
                bits[value] = self.of(value)
            return bits[value]
        mask = 0
        if type(value) is str:
            for find in self._finds:
                mask |= find(value)
            keep = len(value) <= _MEMO_TEXT
        else:
            mask = self.of(value)
            keep = value is None or (type(value) is int and 1 < value < 1 << 53)
        if keep:
            self._memory.keep(self, value, mask, 140 + mask.bit_length() // 8)
        return mask

    def of(self, value: Any) -> int:
        """The mask of any value, lists and mappings too, without the table."""
        mask = 0
        for anchors in self._anchors:
            mask |= anchors.of(value)
        return mask


class CandidatesByParts(dict[Any, int]):
    """The same for a value that is made of others: from these, a tuple, to the stages.

    Where there is one of them only, it is the key itself.
    """

    __slots__ = ("_candidates", "_memory", "_paths", "_read")

    def __init__(
        self,
        paths: tuple[tuple[str, ...], ...],
        read: Get,
        candidates: CandidateTable,
        memory: Memory,
    ):
        super().__init__()
        self._paths = paths
        self._read = read
        self._candidates = candidates
        self._memory = memory
        memory.tables.append(self)

    def __missing__(self, key: Any) -> int:
        parts = key if len(self._paths) > 1 else (key,)
        event: dict[str, Any] = {}
        for path, part in zip(self._paths, parts, strict=True):
            if part is not None:
                inner = event
                for step in path[:-1]:
                    inner = inner.setdefault(step, {})
                inner[path[-1]] = part
        value = self._read(event)
        try:
            mask = self._candidates[value]
        except TypeError:
            mask = self._candidates.of(value)
        sizes = [len(part) for part in parts if type(part) is str]
        if sum(sizes) <= _MEMO_TEXT and all(map(is_key, parts)):
            self._memory.keep(self, key, mask, 140 + sum(sizes) + mask.bit_length() // 8)
        return mask


def is_key(part: Any) -> bool:
    """Whether a value, as a key of a table, is equal to no value that is read otherwise."""
    return part is None or type(part) is str or (type(part) is int and 1 < part < 1 << 53)


@frozen(eq=False)
class Computed:
    """A column that is no key at the top of events: its table, and how it is read.

    ``by_parts`` is a table for the values at ``paths``; None where these do not tell, since it
    matters whether they are there.
    """

    table: CandidateTable
    read: Get
    paths: tuple[tuple[str, ...], ...]
    by_parts: dict[Any, int] | None

    @classmethod
    def of(cls, column: Column, table: CandidateTable, memory: Memory) -> Computed:
        """A column with its table."""
        paths = tuple(sorted(column.paths))
        by_parts: dict[Any, int] | None = table
        if column.path is None:
            told = not column.presence
            by_parts = CandidatesByParts(paths, column.read, table, memory) if told else None
        return cls(table, column.read, paths, by_parts)


class FacetAnchors:
    """The atoms on one facet that are in stages' anchors."""

    def __init__(self, derive: Callable[[Any], Any]) -> None:
        self._derive = derive
        self._finder = Finder()
        self.find = self._finder.find
        """The stages whose atom is true of a text, of those atoms that only texts have."""
        self._nulls = 0
        self._others: list[tuple[Judge, int]] = []

    @property
    def direct(self) -> bool:
        """Whether for a text `find` does all that `of` does."""
        return self._derive is _same and not self._others

    def add(self, atom: Atom, mask: int) -> None:
        """Stages that have an atom in their anchor."""
        match atom:
            case ir.IsNull():
                self._nulls |= mask
            case ir.Match(_, patterns):
                for pattern in patterns:
                    self._finder.add_pattern(pattern, mask)
            case ir.Regex():
                self._finder.add_regex(atom, mask)
            case ir.Compare() | ir.InNetwork():
                self._others.append((judge_of(atom), mask))
            case _:
                assert_never(atom)

    def of(self, value: Any) -> int:
        """The stages whose atom is true of the value."""
        derived = self._derive(value)
        if type(derived) is str:
            true = self.find(derived)
            if not self._others:
                return true
        else:
            true = 0
            parts = elements(derived)
            if not parts:
                return self._nulls
            if self._finder:
                for part in parts:
                    text = text_of(part)
                    if text is not None:
                        true |= self._finder.find(text)
        if self._others:
            facet = Facet(derived)
            for judge, mask in self._others:
                if mask & ~true and judge(facet) is True:
                    true |= mask
        return true


class CellCache:
    """One value of a column, and the atoms that were decided of it."""

    __slots__ = ("_column", "_facets", "_value", "known", "true", "unknown")

    def __init__(self, column: Column, value: Any) -> None:
        self._column = column
        self._value = value
        self._facets: list[Facet | None] = [None] * len(column.derives)
        self.known = self.true = self.unknown = 0

    def any_true(self, mask: int) -> bool:
        """Whether one of these atoms is true."""
        if self.true & mask:
            return True
        open_ = mask & ~self.known
        while open_:
            bit = open_ & -open_
            if self._decide(bit):
                return True
            open_ ^= bit
        return False

    def is_false(self, bit: int) -> bool:
        """Whether an atom is false: neither true nor unknown."""
        if not self.known & bit:
            return self._decide(bit) is False
        return not (self.true | self.unknown) & bit

    def _decide(self, bit: int) -> bool | None:
        number, judge = self._column.judge(bit.bit_length() - 1)
        facet = self._facets[number]
        if facet is None:
            facet = self._facets[number] = Facet(self._column.derives[number](self._value))
        verdict = judge(facet)
        if REGEX_WORK.left > 0:
            # Otherwise it may be undecided, and is asked again (`holds_anyhow`).
            self.known |= bit
            if verdict:
                self.true |= bit
            elif verdict is None:
                self.unknown |= bit
        return verdict


class Column:
    """A place that events have values in, and the atoms that a class asks about it."""

    def __init__(self, source: tuple[str, ...] | ir.Value, memory: Memory) -> None:
        self.path = source if isinstance(source, tuple) else None
        self.read = walker(source) if isinstance(source, tuple) else getter(source)
        self.paths = frozenset({source}) if isinstance(source, tuple) else paths_in(source)
        self.presence = not isinstance(source, tuple) and reads_presence(source)
        self.derives: list[Callable[[Any], Any]] = []
        # The facet of each atom, and how it is decided, made when it is first asked.
        self._atoms: list[tuple[int, Atom]] = []
        self._judges: dict[int, tuple[int, Judge]] = {}
        self._facets: dict[ir.Value, int] = {}
        self._bits: dict[ir.Condition, int] = {}
        self._memory = memory
        self._cells: dict[str, CellCache] = {}
        memory.tables.append(self._cells)

    def facet(self, value: ir.Value) -> int:
        """The number of the facet that is this expression."""
        number = self._facets.get(value)
        if number is None:
            number = self._facets[value] = len(self.derives)
            self.derives.append(_same if self.path is None else _derive(value, self.path))
        return number

    def bit(self, atom: Atom, value: ir.Value) -> int:
        """The mask of an atom on a facet."""
        known = self._bits.get(atom)
        if known is None:
            known = self._bits[atom] = 1 << len(self._atoms)
            self._atoms.append((self.facet(value), atom))
        return known

    def judge(self, number: int) -> tuple[int, Judge]:
        """The facet of an atom, by its number, and how it is decided."""
        known = self._judges.get(number)
        if known is None:
            facet, atom = self._atoms[number]
            known = self._judges[number] = (facet, judge_of(atom))
        return known

    def cell(self, event: Mapping[str, Any]) -> CellCache:
        """The value of an event, with what is known of it."""
        value = self.read(event)
        if type(value) is not str or len(value) > _MEMO_TEXT:
            return CellCache(self, value)
        known = self._cells.get(value)
        if known is None:
            known = CellCache(self, value)
            # The folded text, the objects, and three numbers of a bit for each atom.
            size = 3 * len(value) + 500 + len(self._atoms) // 2
            self._memory.keep(self._cells, value, known, size)
        return known


def column_source(value: ir.Value) -> tuple[str, ...] | ir.Value:
    """Where the column of a value is: the one path it reads, or the value itself."""
    paths = paths_in(value)
    # What stands at a path does not tell whether it is there.
    return next(iter(paths)) if len(paths) == 1 and not reads_presence(value) else value


def _same(value: Any) -> Any:
    return value


def _derive(value: ir.Value, path: tuple[str, ...]) -> Callable[[Any], Any]:
    """A value over one path as a function of what stands there."""
    if value == ir.Raw(path):
        return _same
    get = getter(ir.rewrite_value(value, _at_top))
    return lambda raw: get({"": raw})


def _at_top(leaf: ir.Value) -> ir.Value:
    return ir.Raw(("",), leaf.empty, leaf.type) if isinstance(leaf, ir.Raw) else leaf


def frequency(atom: Atom) -> float:
    """A guess how often an atom is true: the longer the text, the rarer."""
    match atom:
        case ir.IsNull():
            return 0.95
        case ir.Match(_, patterns):
            return min(0.95, sum(map(_pattern_frequency, patterns)))
        case ir.Regex():
            required = literals.of_regex(atom)
            return 0.5 if required is None else min(0.5, sum(0.7 ** len(t) for t in required))
        case ir.Compare(_, ir.Relation.EQUAL):
            return 0.2
        case ir.Compare():
            return 0.5
        case ir.InNetwork():
            return 0.3
        case _:
            assert_never(atom)


def _pattern_frequency(pattern: Pattern) -> float:
    length = sum(len(token) for token in pattern.tokens if isinstance(token, str))
    return max(0.0005, 0.7**length)
