"""Which rows of a batch have to be fed: those that a rule may match, and those that are unusual.

What decides is asked once for each distinct value of a column, not for each row::

    what decides an event's kind  ──▶ a leaf of the engine's tree for each distinct combination
    each column, by leaf          ──▶ which of its distinct values a stage has an anchor on
    rows with such a value        ──▶ their stages decided, once for each distinct combination
    rows for which a stage holds  ──▶ fed whole, the usual way
    all others                    ──▶ counted by leaf

The outcome is that of feeding every row: the matches, and the account. Whatever is unusual is fed:
rows in a shape that is brought into another one first, and kinds of events that the tree does not
know apart.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import partial, reduce
from typing import Any

from attrs import define, field, frozen

from ... import ir
from ...evaluate import REGEX_WORK
from ...fieldmap import CHANNEL_PATHS, FORWARDED, RESHAPING_KEYS, Get, getter, unwrap
from ...jsontext import json_line
from ...values import is_null
from ..classes import Classified
from ..matcher import Leaf, Search, opaque_paths, paths_in
from ..session import Session
from .distinct import BatchColumns, Path, part_of_event, rows_at

# So many values are looked at together for a text, and so many bytes of a column of long ones, as far
# as its first values tell: in more there is nearly always a part of one.
_SEARCHED_AT_ONCE = 512
_SEARCHED_BYTES = 8_192
_SAMPLE = 64
_WRAPPERS = ("_source", "result")

_Test = Callable[[Any], object]


@frozen
class _Asked:
    """Places of which something is asked: of the value ``alone``, or of the part of an event that
    they are. At places that are ``whole`` a mapping is needed as it is."""

    paths: tuple[Path, ...]
    whole: frozenset[Path]
    alone: bool


_Questions = dict[_Asked, dict[int, list[_Test]]]
"""What is asked of places, by the numbers of the leaves whose rows it is asked of."""


@frozen(eq=False)
class Silent:
    """Events of a leaf that may have no fields: what there is of them, and how many are so."""

    leaf: Leaf[Classified]
    event: dict[str, Any]
    times: int


@define(eq=False)
class Selection:
    """Which rows of a batch are to be fed, and what is to be counted of the others.

    ``feed`` are the rows, in order, each with its leaf (None where that is not known) and how many
    rows of the leaf before it are passed over; ``rest`` has those after the last, by leaf.
    ``asked`` says how many events the matchers of a leaf were shown; ``silent`` and ``clocks`` are
    what the account notes of those that are passed over. ``times`` are those of the
    rows that are passed over, by row, where joins and groups want them.
    """

    feed: list[tuple[int, Leaf[Classified] | None, int]] = field(factory=list)
    rest: list[tuple[Leaf[Classified], int]] = field(factory=list)
    asked: Counter[Leaf[Classified]] = field(factory=Counter)
    silent: list[Silent] = field(factory=list)
    clocks: list[list[tuple[str, int]]] = field(factory=list)
    times: dict[int, tuple[int, ...]] = field(factory=dict)

    def passed(self) -> Counter[Leaf[Classified]]:
        """How many events of each leaf its matchers were not shown."""
        passed: Counter[Leaf[Classified]] = Counter()
        for _, leaf, before in self.feed:
            if leaf is not None:
                passed[leaf] += before
        passed.update(dict(self.rest))
        return Counter({leaf: max(0, n - self.asked[leaf]) for leaf, n in passed.items()})


def select_rows(session: Session, columns: BatchColumns, source: str, timed: bool) -> Selection:
    """The rows of a batch that are to be fed to a session. Nothing is counted.

    ``source`` is where the rows are from; with ``timed`` the times of the others are given too.
    Raises what comes of rules and values that fail: the rows are then to be fed one by one.
    """
    return _Selecting(session, columns, source).selection(timed)


@define(eq=False)
class _LeafRows:
    """The rows of one leaf: from where to where they stand when rows are ordered by leaf."""

    leaf: Leaf[Classified]
    begin: int
    end: int
    # Where rows to be fed stand.
    fed: set[int] = field(factory=set)
    # Whether a stage may hold for any row, whatever its values.
    open: bool = False


@define(eq=False)
class _Selecting:
    session: Session
    columns: BatchColumns
    source: str
    made: Selection = field(factory=Selection)
    _covering: dict[tuple[Leaf[Classified], frozenset[Path]], bool] = field(factory=dict)

    def selection(self, timed: bool) -> Selection:
        import pyarrow as pa
        import pyarrow.compute as pc

        leaves, numbers = self._leaves()
        count = len(numbers)
        order = pc.array_sort_indices(numbers).slice(0, count - numbers.null_count)
        runs = pc.run_end_encode(numbers.take(order), run_end_type=pa.int32())
        ends = runs.run_ends.to_pylist()
        groups = [
            _LeafRows(leaves[number], begin, end)
            for number, begin, end in zip(
                runs.values.to_pylist(), [0, *ends[:-1]] if ends else [], ends, strict=True
            )
        ]
        self._candidates(groups, order)
        fed: list[tuple[int, Leaf[Classified] | None, int]] = [
            (row, None, 0) for row in pc.indices_nonzero(numbers.is_null()).to_pylist()
        ]
        for group in groups:
            rows = order.slice(group.begin, group.end - group.begin)
            fed += self._of_group(group, rows, timed)
        fed.sort(key=lambda one: one[0])
        self.made.feed = fed
        return self.made

    # Which leaf each row is of

    def _leaves(self) -> tuple[list[Leaf[Classified]], Any]:
        """The leaves, and for each row the number of its own; null for rows that are unusual."""
        import pyarrow as pa
        import pyarrow.compute as pc

        count = self.columns.batch.num_rows
        unusual = self._unusual()
        leaves: dict[Leaf[Classified], int] = {}
        numbers = pa.nulls(count, pa.int32())
        waiting: list[tuple[Any, frozenset[Path]]] = [
            (None if unusual is None else _places(pc.invert(unusual)), frozenset())
        ]
        while waiting:
            rows, known = waiting.pop()
            if rows is not None and not len(rows):
                continue
            combined = self.columns.combined(known, self.session.engine.opaque, rows)
            found: list[int | None] = []
            needs: dict[frozenset[Path], list[bool]] = {}
            for place in range(len(combined.rows)):
                leaf = self._leaf(combined.event(place), known, rows, combined.codes, place)
                number = None
                if leaf is not None and leaf.asked:
                    if self._covers(leaf, known):
                        number = leaves.setdefault(leaf, len(leaves))
                    else:
                        need = known | frozenset(self.columns.places(leaf.asked))
                        needs.setdefault(need, [False] * len(combined.rows))[place] = True
                found.append(number)
            own = pa.array(found, pa.int32()).take(combined.codes)
            if rows is None:
                numbers = own
            else:
                mask = pc.is_in(self.columns.numbers, rows)
                numbers = pc.replace_with_mask(numbers, mask, own)
            for need, wanted in needs.items():
                more = _places(pa.array(wanted).take(combined.codes))
                waiting.append((more if rows is None else rows.take(more), need))
        return list(leaves), numbers

    def _leaf(
        self, part: dict[str, Any], known: frozenset[Path], rows: Any, codes: Any, place: int
    ) -> Leaf[Classified] | None:
        """The leaf of rows of which only some places are known."""
        import pyarrow.compute as pc

        engine = self.session.engine
        leaf = engine.find(part)
        if leaf is not None and leaf.asked and self._covers(leaf, known):
            return leaf
        at = pc.index(codes, place).as_py()
        [event] = rows_at(self.columns.batch, [at if rows is None else rows[at].as_py()])
        return engine.leaf(event) if unwrap(event) is event else None

    def _covers(self, leaf: Leaf[Classified], known: frozenset[Path]) -> bool:
        """Whether these places are all that leads to a leaf."""
        covers = self._covering.get((leaf, known))
        if covers is None:
            covers = known.issuperset(self.columns.places(leaf.asked))
            self._covering[leaf, known] = covers
        return covers

    def _unusual(self) -> Any:
        """The rows that are brought into another shape before they are looked at, as a mask; None
        where there are none."""
        import pyarrow as pa
        import pyarrow.compute as pc

        masks = []
        for name in sorted(self.columns.names.intersection((*RESHAPING_KEYS, *_WRAPPERS))):
            masks.append(self.columns.array((name,)).is_valid())
        for path in CHANNEL_PATHS:
            if self.columns.place(path) == path:
                channels = self.columns.distinct(path)
                forwarded = [value == FORWARDED for value in channels.values]
                if any(forwarded):
                    masks.append(pa.array(forwarded).take(channels.codes))
        return reduce(pc.or_, masks) if masks else None

    # Which rows a rule may match

    def _candidates(self, groups: Sequence[_LeafRows], order: Any) -> None:
        """Note in the groups where the rows stand that have to be fed."""
        import pyarrow as pa

        questions: _Questions = {}
        searches: dict[Search, set[int]] = {}
        for number, group in enumerate(groups):
            self._ask(group, number, questions, searches)
        ends = pa.array([group.end for group in groups], pa.int32())
        texts = _noted(self._searched(s, numbers, ends, order) for s, numbers in searches.items())
        anchors = _noted(self._hits(*question, ends, order) for question in questions.items())
        for group in groups:
            group.fed.update(_between(texts, group.begin, group.end))
            if group.open:
                own = list(range(group.begin, group.end))
            else:
                own = _between(anchors, group.begin, group.end)
            if own := [place for place in own if place not in group.fed]:
                self._decide(group, pa.array(own, pa.int32()), order)

    def _ask(
        self,
        group: _LeafRows,
        number: int,
        questions: _Questions,
        searches: dict[Search, set[int]],
    ) -> None:
        """What is asked of the values of a leaf's rows, and what texts are looked for in all of
        them."""
        assert group.leaf.target is not None
        columns = self.columns
        for _, one in group.leaf.target.groups:
            index, opaque = one.matcher.candidate_index, one.matcher.opaque
            if index.text is not None:
                if index.search is None or index.search.might_hold(columns.all_names):
                    group.fed.update(range(group.begin, group.end))
                    return
                searches.setdefault(index.search, set()).add(number)
            if index.always:
                group.open = True
            wanted: list[tuple[Any, tuple[Path, ...], Get | None, bool]] = [
                (table, ((key,),), None, True) for table, key in index.plain
            ]
            # One whose table is by what stands at its path is asked that.
            wanted += [(c.table, c.paths, c.read, c.by_parts is c.table) for c in index.computed]
            for table, paths, read, direct in wanted:
                places = columns.places(paths)
                if not places:
                    # None of its columns is there: it is asked of all rows at once.
                    if _stages(table, None if read is None else read({})):
                        group.open = True
                    continue
                test, alone = partial(_stages, table), True
                if read is not None and not (direct and places == paths):
                    test, alone = partial(_stages_of, table, read), False
                asked = _Asked(places, opaque.intersection(places), alone)
                questions.setdefault(asked, {}).setdefault(number, []).append(test)

    def _searched(self, search: Search, numbers: set[int], ends: Any, order: Any) -> Any:
        """The rows of some leaves, as a mask in the order by leaf, that may have a text that is
        looked for wherever it is; None where there are none."""
        import pyarrow as pa
        import pyarrow.compute as pc

        masks = []
        for path in self.columns.flat_places:
            texts = self.columns.texts(path)
            if texts is not None:
                # Text is looked through as it lies in memory.
                held = [False] * self.columns.batch.num_rows
                sample = min(len(held), _SAMPLE)
                each = max(1, len(texts(0, sample)) // max(1, sample))
                step = max(1, min(_SEARCHED_AT_ONCE, _SEARCHED_BYTES // each))
                if _search(partial(_in_texts, search, texts), 0, len(held), held, step):
                    masks.append(pa.array(held))
                continue
            one = self.columns.distinct(path)
            held = [False] * len(one.values)
            if _search(partial(_in_values, search, one.values), 0, len(held), held):
                masks.append(pa.array(held).take(one.codes))
        if not masks:
            return None
        own = pa.array([number in numbers for number in range(len(ends))])
        asked = pc.run_end_decode(pa.RunEndEncodedArray.from_arrays(ends, own))
        return pc.and_(reduce(pc.or_, masks).take(order), asked)

    def _hits(self, asked: _Asked, tests: dict[int, list[_Test]], ends: Any, order: Any) -> Any:
        """The rows, as a mask in the order by leaf, that have a value for which a test of their
        leaf holds; None where there are none."""
        import pyarrow as pa
        import pyarrow.compute as pc

        value_at: Callable[[int], Any]
        if asked.alone:
            [path] = asked.paths
            one = self.columns.distinct(path, whole=path in asked.whole)
            codes, size, value_at = one.codes, len(one.values), one.values.__getitem__
        else:
            combined = self.columns.combined(asked.paths, asked.whole)
            codes, size, value_at = combined.codes, len(combined.rows), combined.event
        # A pair of leaf and value is one number; leaves that ask nothing here have none.
        bases = [number * size if number in tests else None for number in range(len(ends))]
        base = pc.run_end_decode(
            pa.RunEndEncodedArray.from_arrays(ends, pa.array(bases, pa.int64()))
        )
        pairs = pc.add(base, codes.take(order).cast(pa.int64())).dictionary_encode()
        held = []
        for pair in pairs.dictionary.to_pylist():
            number, code = divmod(pair, size)
            value = value_at(code)
            holds = False
            for test in tests[number]:
                if test(value):
                    holds = True
                    break
            held.append(holds)
        return pa.array(held).take(pairs.indices).fill_null(False) if any(held) else None

    def _decide(self, group: _LeafRows, places: Any, order: Any) -> None:
        """Note which of a leaf's rows, by where they stand, a stage holds for."""
        import pyarrow as pa
        import pyarrow.compute as pc

        target = group.leaf.target
        assert target is not None
        matchers = [one.matcher for _, one in target.groups]
        indexes = [matcher.candidate_index for matcher in matchers]
        paths = frozenset[Path]().union(*(matcher.paths for matcher in matchers))
        whole = frozenset[Path]().union(*(matcher.opaque for matcher in matchers))
        combined = self.columns.combined(paths, whole, order.take(places))
        held = []
        for place in range(len(combined.rows)):
            event = combined.event(place)
            REGEX_WORK.begin()
            try:
                # The text of these events has nothing that would make it worth looking at.
                holds = any(
                    one.match(event, None, index.candidates(event) | index.always, None)
                    for (_, one), index in zip(target.groups, indexes, strict=True)
                )
            except Exception:
                # The text is wanted, or something is wrong: it is told where the row is fed.
                holds = True
            # What regular expressions have left undecided is told there too.
            held.append(holds or REGEX_WORK.left <= 0)
        self.made.asked[group.leaf] += len(held)
        if any(held):
            rows = pc.indices_nonzero(pa.array(held).take(combined.codes))
            group.fed.update(places.take(rows).to_pylist())

    # What is counted of the others

    def _of_group(
        self, group: _LeafRows, rows: Any, timed: bool
    ) -> list[tuple[int, Leaf[Classified] | None, int]]:
        import pyarrow as pa
        import pyarrow.compute as pc

        leaf, count = group.leaf, len(rows)
        target = leaf.target
        assert target is not None
        places = sorted(place - group.begin for place in group.fed)
        numbers = rows.take(pa.array(places, pa.int32()))
        found: list[tuple[int, Leaf[Classified] | None, int]] = []
        before = 0
        for place, row in zip(places, numbers.to_pylist(), strict=True):
            found.append((row, leaf, place - before))
            before = place + 1
        if before < count:
            self.made.rest.append((leaf, count - before))
        if len(places) == count:
            return found
        rest = rows.filter(pc.invert(pc.is_in(rows, numbers)))
        if target.classes:
            self._clocks(leaf, rows, group.fed, group.begin)
            self._without_fields(leaf, rest)
            if timed:
                self._times(leaf, rest)
        return found

    def _clocks(self, leaf: Leaf[Classified], rows: Any, fed: set[int], begin: int) -> None:
        """Note the times that disagree of those rows of a leaf that are looked at for it, and that
        are not fed."""
        import pyarrow as pa

        assert leaf.target is not None
        readers = [one.entry.reader for one in leaf.target.classes]
        paths = frozenset[Path]().union(*(reader.clock_paths for reader in readers))
        if not self.columns.places(paths):
            return
        wanted = self.session.stats.clocks.wanted(id(leaf), self.source, len(rows))
        places = [place for place in wanted if place + begin not in fed]
        numbers = rows.take(pa.array(places, pa.int32())).to_pylist()
        names = sorted({path[0] for path in self.columns.places(paths)})
        for event in rows_at(self.columns.batch.select(names), numbers):
            for reader in readers:
                if clocks := reader.clocks(event):
                    self.made.clocks.append(clocks)
                    break

    def _without_fields(self, leaf: Leaf[Classified], rows: Any) -> None:
        """Note the rows of a leaf that may have no fields."""
        import pyarrow as pa
        import pyarrow.compute as pc

        assert leaf.target is not None
        paths: set[Path] = set()
        whole: set[Path] = set()
        singles: dict[Path, list[tuple[ir.Value, Get]]] = {}
        members: list[Path] = []
        for one in leaf.target.classes:
            reader = one.entry.reader
            if (prefix := reader.telling_prefix) is not None:
                paths.add(prefix)
                whole.add(prefix)
                members += self.columns.members(prefix)
                continue
            for value in reader.telling_values:
                own = paths_in(value)
                paths |= own
                whole |= opaque_paths(value)
                if len(own) == 1 and (places := self.columns.places(own)):
                    singles.setdefault(places[0], []).append((value, getter(value)))
        if not paths:
            return
        for path in members:
            rows = rows.filter(self.columns.array(path).is_null().take(rows))
            if not len(rows):
                return
        nulls = {path: self.columns.array(path).null_count for path in singles}
        for path in sorted(singles, key=lambda path: (nulls[path], path)):
            found = self.columns.distinct(path, whole=path in whole)
            codes = found.codes.take(rows).dictionary_encode()
            says = [
                any(_says(value, get, path, found.values[code]) for value, get in singles[path])
                for code in codes.dictionary.to_pylist()
            ]
            if any(says):
                rows = rows.filter(pc.invert(pa.array(says).take(codes.indices)))
                if not len(rows):
                    return
        combined = self.columns.combined(paths, whole, rows)
        for number, times in Counter(combined.codes.to_pylist()).items():
            self.made.silent.append(Silent(leaf, combined.event(number), times))

    def _times(self, leaf: Leaf[Classified], rows: Any) -> None:
        """Note the times of rows, in the order of their classes."""
        target = leaf.target
        assert target is not None
        combined = self.columns.combined(target.paths, target.opaque, rows)
        times: list[tuple[int, ...]] = []
        for place in range(len(combined.rows)):
            event = combined.event(place)
            own = [one.time(event) for one in target.classes]
            times.append(tuple(time for time in own if time is not None))
        for row, code in zip(rows.to_pylist(), combined.codes.to_pylist(), strict=True):
            if times[code]:
                self.made.times[row] = times[code]


def _between(places: list[int], begin: int, end: int) -> list[int]:
    return places[bisect_left(places, begin) : bisect_left(places, end)]


def _stages(table: Any, value: Any) -> int:
    """The stages, as a mask, that a value could make true."""
    REGEX_WORK.begin()
    try:
        mask: int = table[value]
    except TypeError:
        # A list or a mapping is no key of a table.
        mask = table.of(value)
    return mask


def _stages_of(table: Any, read: Get, event: dict[str, Any]) -> int:
    return _stages(table, read(event))


def _in_texts(search: Search, texts: Callable[[int, int], bytes], begin: int, end: int) -> bool:
    data = texts(begin, end)
    if not data.isascii():
        try:
            data.decode()
        except UnicodeDecodeError:
            # It is shown in another way.
            return True
    return search.might_hold(data)


def _in_values(search: Search, values: Sequence[Any], begin: int, end: int) -> bool:
    return search.might_hold(json_line(values[begin:end]))


def _search(
    might_hold: Callable[[int, int], bool],
    begin: int,
    end: int,
    held: list[bool],
    most: int = _SEARCHED_AT_ONCE,
) -> bool:
    """Note which of some values may have a text that is looked for. Mostly none has: many are
    looked at together, ``most`` at a time."""
    if end - begin > most:
        step = most
    elif begin == end or not might_hold(begin, end):
        return False
    elif end - begin == 1:
        held[begin] = True
        return True
    else:
        step = (end - begin + 1) // 2
    found = False
    for first in range(begin, end, step):
        found |= _search(might_hold, first, min(end, first + step), held, most)
    return found


def _noted(masks: Iterable[Any]) -> list[int]:
    """The places of rows that one of some masks has."""
    import pyarrow.compute as pc

    known = [mask for mask in masks if mask is not None]
    places: list[int] = pc.indices_nonzero(reduce(pc.or_, known)).to_pylist() if known else []
    return places


def _says(value: ir.Value, get: Get, path: Path, found: Any) -> bool:
    """Whether a value that an event is told by is there, where only one place leads to it."""
    if found is None:
        return False
    if type(found) is str and isinstance(value, ir.Raw) and value.type is not ir.Type.TIME:
        return found not in value.empty
    return not is_null(get(part_of_event([path], [found])))


def _places(mask: Any) -> Any:
    import pyarrow as pa
    import pyarrow.compute as pc

    return pc.indices_nonzero(mask).cast(pa.int32())
