"""All stages of an event class as one matcher: which of them does this event pass?

Unknown is kept exactly: negation is pushed down to the atoms first (``ir.polarity``), so that a
stage is decided by two questions about atoms, "is it true" and "is it false", and the three-valued
``and`` and ``or`` become plain ones. ``evaluate.holds`` is the reference that all this is held to.

Every stage has an *anchor*: a few atoms of which one must be true for the stage to hold. From
each column that anchors are in a table leads from the value to the stages that it could make true
(a mask); the masks of an event are joined, and only the stages in it are looked at::

    (exe = "a.exe" or exe = "b*") and not user = "x"        anchor: exe is "a.exe" or "b*"

Most stages have several possible anchors. The first choice is made by guessing how rare the texts
are. While events go by it is counted how often a stage was a false candidate, and a few times, ever
more seldom, anchors that turn out to be common are changed for others. That changes what matching
costs, never what it finds.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property, partial
from typing import Any, Protocol, assert_never

from attrs import define, field, frozen

from ... import ir
from ...evaluate import REGEX_WORK, NoContext, holds, holds_anyhow
from ...fieldmap import Get, Lowered, getter, walker
from ...regex import literals
from ...values import raw_text
from .columns import (
    Atom,
    CandidateTable,
    Column,
    Computed,
    FacetAnchors,
    Memory,
    column_source,
    frequency,
    opaque_paths,
    paths_in,
    reads_presence,
    single_value,
)
from .finder import PREPARING, Finder
from .json_search import Search, any_of
from .verdicts import (
    ContextRow,
    EventContext,
    Verdict,
    WholeEventNeeded,
    all_hold,
    any_holds,
    decide_apart,
    is_false,
    is_true,
)

try:
    from orjson import dumps
except ImportError:
    dumps = None  # type: ignore[assignment]

_NO_CONTEXT = NoContext()

# After how many events anchors are first looked over, and by how much later each next time.
_FIRST_REVIEW = 512
_NEXT_REVIEW = 4
_LAST_REVIEW = 600_000

# From so many stages on that an event could pass it pays to remember which it did, if its values
# are no longer than that.
_WORTH_A_MEMO = 4
_MEMO_SIZE = 8_000


@frozen
class _Anchor:
    """Atoms, by column, of which at least one is true where a condition is as wanted.

    An anchor is necessary: where none of its atoms is true the condition does not hold. Only atoms
    that have to be true can be in one, since what is unknown has no value to look up. The column
    None stands for the event's text. ``cost`` guesses how often one of them is true.
    """

    atoms: tuple[tuple[int | None, ir.Condition], ...]
    cost: float


@frozen
class _Compiled:
    """What decides a condition, and the anchors it can have; none where there are none."""

    verdict: Verdict
    anchors: tuple[_Anchor, ...]


@define(eq=False)
class AnchoredStage:
    """A stage with anchors: which of them is in use, and what is known of those that were."""

    anchors: tuple[_Anchor, ...]
    chosen: int = 0
    measured: dict[int, float] = field(factory=dict)


@frozen(eq=False)
class CandidateIndex:
    """What is done for each event before stages are looked at.

    ``text`` finds stages by the event's text; ``search`` says of JSON that an event was decoded
    from, or could have been, whether there is any point in it. ``paths`` are those of the raw
    fields that it takes. Where it is not ``complete``, some stages can be true whatever these hold.
    """

    plain: tuple[tuple[CandidateTable, str], ...]
    computed: tuple[Computed, ...]
    text: Finder | None
    search: Search | None
    always: int
    paths: frozenset[tuple[str, ...]]

    @property
    def tables(self) -> Iterator[dict[Any, Any]]:
        """All tables of values that were met."""
        for table, _ in self.plain:
            yield table
        for column in self.computed:
            yield column.table
            if column.by_parts is not None:
                yield column.by_parts

    @property
    def complete(self) -> bool:
        """Whether no stage can hold where ``candidates`` gives nothing."""
        return not self.always and (self.text is None or self.search is not None)

    def candidates(self, event: Mapping[str, Any]) -> int:
        """The stages, as a mask, that the values of an event could make true; without ``always``
        and ``text``."""
        mask = 0
        get = event.get
        try:
            for table, key in self.plain:
                mask |= table[get(key)]
            for column in self.computed:
                mask |= column.table[column.read(event)]
        except TypeError:
            # A list or a mapping is no key of a table.
            mask = 0
            for table, key in self.plain:
                mask |= table.of(get(key))
            for column in self.computed:
                mask |= column.table.of(column.read(event))
        return mask


Match = Callable[[Mapping[str, Any], Mapping[str, Any] | None, int | None, bytes | None], list[int]]
"""`ClassMatcher.match`, or what stands in its place."""


class MatcherObserver(Protocol):
    """What may look on while a matcher works, to tell what it costs."""

    def compiling(self, compile_: Callable[[], CandidateIndex]) -> Callable[[], CandidateIndex]:
        """What is to be called in the place of compiling the conditions."""
        ...

    def matching(self, match: Match) -> Match:
        """What is to be called in the place of `ClassMatcher.match`."""
        ...

    def verdicts(self, verdicts: list[tuple[int, Verdict]]) -> list[tuple[int, Verdict]]:
        """The verdicts to be used in the place of these, by the numbers of their stages."""
        ...

    def table(
        self, column: Column, anchors: tuple[FacetAnchors, ...], memory: Memory
    ) -> CandidateTable:
        """The table from a column's values to stages."""
        ...


class ClassMatcher:
    """The stages of an event class, or of several that go together.

    ``stages`` are lowered stages or their conditions, with numbers that the caller gave; `match`
    returns those that hold, in order. Nothing is compiled before the first event asks. A stage that
    cannot be compiled is left out, and ``broken`` is told; without it the error is raised.
    """

    def __init__(
        self,
        stages: Iterable[tuple[int, Lowered | ir.Condition]],
        memory: Memory | None = None,
        observer: MatcherObserver | None = None,
        broken: Callable[[int, Exception], None] | None = None,
    ) -> None:
        self._broken = broken
        self._conditions: list[tuple[int, ir.Condition]] = []
        for number, stage in sorted(stages, key=lambda pair: pair[0]):
            if not isinstance(stage, Lowered):
                self._conditions.append((number, stage))
            elif stage.possible:
                self._conditions.append((number, stage.condition))
        self._memory = Memory() if memory is None else memory
        self.observer = observer
        self._columns: list[Column] = []
        self._column_places: dict[Any, int] = {}
        self._verdicts: list[tuple[int, Verdict]] = []
        # The conditions of the verdicts.
        self._compiled: list[tuple[int, ir.Condition]] = []
        self._anchored: list[AnchoredStage | None] = []
        # What stages held among some, for the values that these look at; and what reads these
        # values.
        self._outcomes: dict[tuple[int, tuple[Any, ...]], tuple[int, ...]] = {}
        self._reads: dict[int, tuple[Get, ...]] = {}
        self._memory.tables += [self._outcomes, self._reads]
        self._index: CandidateIndex | None = None
        self._events = 0
        self._review_at = _FIRST_REVIEW
        self._tries: list[int] = []
        self._passes: list[int] = []

    def __len__(self) -> int:
        return len(self._conditions)

    def __getstate__(self) -> dict[str, Any]:
        return {"conditions": self._conditions, "memory": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__((), state["memory"])  # type: ignore[misc]
        self._conditions = state["conditions"]

    @cached_property
    def values(self) -> tuple[ir.Value, ...]:
        """The values that the stages' conditions test."""
        values: dict[ir.Value, None] = {}
        for _, condition in self._conditions:
            for atom in ir.atoms(condition):
                values.update(dict.fromkeys(ir.values_of(atom)))
        return tuple(values)

    @cached_property
    def opaque(self) -> frozenset[tuple[str, ...]]:
        """The paths at which the stages need a mapping as a whole, if there is one."""
        return frozenset(path for value in self.values for path in opaque_paths(value))

    @cached_property
    def presence(self) -> bool:
        """Whether it matters to the stages whether a field is there with null or not at all."""
        return any(map(reads_presence, self.values))

    @cached_property
    def paths(self) -> frozenset[tuple[str, ...]]:
        """The paths of all raw fields that the stages' conditions read."""
        return frozenset(path for value in self.values for path in paths_in(value))

    def match(
        self,
        event: Mapping[str, Any],
        outer: Mapping[str, Any] | None,
        known: int | None = None,
        line: bytes | None = None,
    ) -> list[int]:
        """The numbers of the stages that hold for an event; ``outer`` is the event before
        unwrapping.

        With None for ``outer``, ``event`` need only have the fields that `paths` names. Raises
        `WholeEventNeeded` where these do not do. ``known`` is what a plan of this matcher, a
        complete one, gave as hits for the event. ``line`` is the JSON that the event was decoded
        from.
        """
        index = self._index
        if index is None:
            if not self._conditions:
                return []
            index = self._prepare()
        self._events += 1
        if known is not None:
            return self._looked_at(known, event, outer)
        candidates = index.candidates(event) | index.always
        if index.text is not None and _worth_a_look(index, outer, line):
            if outer is None:
                raise WholeEventNeeded
            candidates |= index.text.find(raw_text(outer))
        return self._looked_at(candidates, event, outer) if candidates else []

    def match_apart(
        self, event: Mapping[str, Any], outer: Mapping[str, Any]
    ) -> tuple[list[int], list[tuple[int, Exception]]]:
        """`match`, where that has raised: each stage by itself, and those that raise."""
        if self._index is None:
            self._prepare()
        return decide_apart(self._verdicts, self._columns, event, outer)

    @property
    def candidate_index(self) -> CandidateIndex:
        """What is done at present for each event before stages are looked at.

        Whoever keeps it may go on with it after the matcher has changed to another: what stages
        had as an anchor once stays necessary. Tell of events that go that way by `passed`.
        """
        return self._index or self._prepare()

    @property
    def conditions(self) -> Sequence[tuple[int, ir.Condition]]:
        """The stages' numbers and conditions."""
        return self._conditions

    def passed(self, number: int, false_candidates: Mapping[int, int] | None = None) -> None:
        """So many events were not shown to the matcher: its plan had no candidates for them, or
        false in vain.

        ``false_candidates`` says how often by which stages, as masks.
        """
        self._events += number
        for candidates, times in (false_candidates or {}).items():
            while candidates:
                bit = candidates & -candidates
                candidates ^= bit
                self._tries[bit.bit_length() - 1] += times
        if self._events >= self._review_at and self._index is not None:
            self._review()

    def _looked_at(
        self, candidates: int, event: Mapping[str, Any], outer: Mapping[str, Any] | None
    ) -> list[int]:
        """The stages among ``candidates`` that hold. Where they are many, what was found for the
        same values is remembered."""
        if self._events >= self._review_at:
            self._review()
        # Whoever looks on wants to see each condition tried.
        if candidates.bit_count() < _WORTH_A_MEMO or self.observer is not None:
            return self._asked(candidates, event, outer)
        key = self._key(candidates, event)
        if key is None:
            return self._asked(candidates, event, outer)
        known = self._outcomes.get(key)
        if known is None:
            holding = self._asked(candidates, event, outer)
            size = sum(len(part) for part in key[1] if type(part) is str) + 100 * len(key[1])
            if size < _MEMO_SIZE:
                self._memory.keep(self._outcomes, key, tuple(holding), size)
            return holding
        return list(known)

    def _key(self, candidates: int, event: Mapping[str, Any]) -> tuple[int, tuple[Any, ...]] | None:
        """All that decides which of some stages hold; None where that is more than single
        values."""
        reads = self._reads.get(candidates)
        if reads is None:
            reads = self._reads_of(candidates)
            self._memory.keep(self._reads, candidates, reads, 100 + 8 * len(reads))
        if not reads:
            return None
        values = []
        for read in reads:
            value = read(event)
            if type(value) is not str and value is not None:
                if isinstance(value, list | tuple | Mapping):
                    return None
                # 1, 1.0 and true are equal, and not the same to rules.
                value = (type(value), value)
            values.append(value)
        return candidates, tuple(values)

    def _reads_of(self, candidates: int) -> tuple[Get, ...]:
        """What reads all values that some stages' conditions test; none where one tests the event's
        text."""
        reads: dict[ir.Value | tuple[str, ...], Get] = {}
        while candidates:
            bit = candidates & -candidates
            candidates ^= bit
            _, condition = self._compiled[bit.bit_length() - 1]
            for atom in ir.atoms(condition):
                if ir.reads_raw_event(atom):
                    return ()
                for value in ir.values_of(atom):
                    source = column_source(value)
                    if source in reads or not paths_in(value):
                        continue
                    reads[source] = walker(source) if isinstance(source, tuple) else getter(source)
        return tuple(reads.values())

    def _asked(
        self, candidates: int, event: Mapping[str, Any], outer: Mapping[str, Any] | None
    ) -> list[int]:
        context = EventContext(self._columns, event, outer)
        holding: list[int] = []
        tries, passes, verdicts = self._tries, self._passes, self._verdicts
        while candidates:
            bit = candidates & -candidates
            candidates ^= bit
            index = bit.bit_length() - 1
            tries[index] += 1
            number, verdict = verdicts[index]
            if verdict(context):
                if REGEX_WORK.left <= 0 and not holds_anyhow(partial(verdict, context)):
                    continue
                passes[index] += 1
                holding.append(number)
        return list(dict.fromkeys(holding)) if len(holding) > 1 else holding

    # Anchors

    def _prepare(self) -> CandidateIndex:
        compile_ = self._compiled_index
        if self.observer is not None:
            compile_ = self.observer.compiling(compile_)
        with PREPARING:
            # Another thread may have been faster.
            return self._index or compile_()

    def _compiled_index(self) -> CandidateIndex:
        verdicts: list[tuple[int, Verdict]] = []
        compiled: list[tuple[int, ir.Condition]] = []
        hanging: list[AnchoredStage | None] = []
        used: dict[int | None, int] = {}
        for number, condition in self._conditions:
            try:
                stage = self._compile(condition, ir.Goal.TRUE)
            except Exception as error:
                self._left_out(number, error)
                continue
            if stage is None:
                continue
            verdicts.append((number, stage.verdict))
            compiled.append((number, condition))
            if not stage.anchors:
                hanging.append(None)
                continue
            ranked = sorted(stage.anchors, key=lambda anchor: _with_columns(anchor, used))
            hanging.append(AnchoredStage(tuple(ranked)))
            for index in {index for index, _ in ranked[0].atoms}:
                used[index] = used.get(index, 0) + 1
        self._tries = [0] * len(verdicts)
        self._passes = [0] * len(verdicts)
        if self.observer is not None:
            verdicts = self.observer.verdicts(verdicts)
        self._verdicts, self._compiled, self._anchored = verdicts, compiled, hanging
        # Last, since others go on as soon as there is a plan.
        self._index = self._made_index()
        return self._index

    def _made_index(self) -> CandidateIndex:
        always = 0
        facets: dict[int, dict[int, FacetAnchors]] = {}
        text: Finder | None = None
        in_json: set[str | None] = set()
        for place, stage in enumerate(self._anchored):
            mask = 1 << place
            if stage is None:
                always |= mask
                continue
            try:
                for index, atom in stage.anchors[stage.chosen].atoms:
                    if index is None:
                        assert isinstance(atom, ir.RawMatch)
                        text = Finder() if text is None else text
                        for pattern in atom.patterns:
                            text.add_pattern(pattern, mask)
                            in_json.add(literals.in_json(pattern))
                    else:
                        self._add_anchor(facets.setdefault(index, {}), index, atom, mask)
            except Exception as error:
                # Any anchor less is another event to decide, and no match more or less.
                self._left_out(self._compiled[place][0], error)
                always |= mask
        plain, computed = [], []
        for index, anchors in facets.items():
            column = self._columns[index]
            held = tuple(anchors.values())
            if self.observer is None:
                table = CandidateTable(held, self._memory)
            else:
                table = self.observer.table(column, held, self._memory)
            if column.path is not None and len(column.path) == 1:
                plain.append((table, column.path[0]))
            else:
                computed.append(Computed.of(column, table, self._memory))
        paths = frozenset(path for index in facets for path in self._columns[index].paths)
        return CandidateIndex(tuple(plain), tuple(computed), text, _any_of(in_json), always, paths)

    def _add_anchor(
        self, facets: dict[int, FacetAnchors], index: int, atom: ir.Condition, mask: int
    ) -> None:
        column, value = self._columns[index], single_value(atom)
        assert value is not None
        number = column.facet(value)
        if number not in facets:
            facets[number] = FacetAnchors(column.derives[number])
        facets[number].add(_as_atom(atom), mask)

    def _left_out(self, number: int, error: Exception) -> None:
        if self._broken is None:
            raise error
        self._broken(number, error)

    def _review(self) -> None:
        """Change anchors that often give false candidates."""
        with PREPARING:
            if self._events >= self._review_at:
                self._reviewed()

    def _reviewed(self) -> None:
        events = self._events
        last = self._review_at >= _LAST_REVIEW
        self._review_at = self._review_at * _NEXT_REVIEW if not last else sys.maxsize
        changed = False
        for place, stage in enumerate(self._anchored):
            if stage is None or len(stage.anchors) == 1:
                continue
            rate = self._tries[place] / events
            false_rate = rate - self._passes[place] / events
            stage.measured[stage.chosen] = false_rate
            # What is rarely a false candidate stays: changing it would cost more than it saves.
            if false_rate < 0.004:
                continue
            # Any of a stage's anchors will do: each is necessary for it to hold, so that the choice
            # decides how often the stage is looked at, and never whether it is found.
            untried = [n for n in range(len(stage.anchors)) if n not in stage.measured]
            if untried and not last:
                best = min(untried, key=lambda n: stage.anchors[n].cost)
                if stage.anchors[best].cost > 0.9:
                    best = min(stage.measured, key=lambda n: stage.measured[n])
            else:
                best = min(stage.measured, key=lambda n: stage.measured[n])
            if best != stage.chosen:
                stage.chosen = best
                changed = True
        self._tries = [0] * len(self._verdicts)
        self._passes = [0] * len(self._verdicts)
        self._events = 0
        if changed:
            old = self._index
            self._index = self._made_index()
            if old is not None:
                self._memory.release(old.tables)

    # Compiling a condition for what it has to be. None: it never is.

    def _compile(self, condition: ir.Condition, goal: ir.Goal) -> _Compiled | None:
        return self._meeting(ir.demand(condition, goal))

    def _meeting(self, demand: ir.Demand) -> _Compiled | None:
        match demand:
            case ir.Decided(met):
                return _Compiled(_always, ()) if met else None
            case ir.EveryOf(items, ir.Goal.TRUE | ir.Goal.FALSE as goal):
                return self._every(items, goal)
            case ir.OneOf(items, ir.Goal.TRUE | ir.Goal.FALSE as goal):
                return self._some(items, goal)
            case ir.AtomGoal(atom, ir.Goal.TRUE | ir.Goal.FALSE as goal):
                return self._atom(atom, wanted=goal is ir.Goal.TRUE)
            case ir.EveryOf() | ir.OneOf() | ir.AtomGoal():
                # Not true, or not false: what is unknown will do, so that nothing can be an anchor.
                # One test turned round is cheaper than each of its parts turned round.
                opposite = self._meeting(demand.opposite)
                if opposite is None:
                    return _Compiled(_always, ())
                holds_not = opposite.verdict
                return _Compiled(lambda context: not holds_not(context), ())
            case _:
                assert_never(demand)

    def _every(self, items: tuple[ir.Condition, ...], goal: ir.Goal) -> _Compiled | None:
        parts = []
        for item in items:
            made = self._compile(item, goal)
            if made is None:
                return None
            parts.append(made)
        # What is rare first: the others are then hardly ever asked.
        parts.sort(key=lambda part: min((a.cost for a in part.anchors), default=1.0))
        anchors = tuple(anchor for part in parts for anchor in part.anchors)
        return _Compiled(all_hold([part.verdict for part in parts]), anchors)

    def _some(self, items: tuple[ir.Condition, ...], goal: ir.Goal) -> _Compiled | None:
        positive: dict[int, int] = {}
        verdicts: list[Verdict] = []
        atoms: list[tuple[int | None, ir.Condition]] = []
        cost = 0.0
        anchored = True
        for item in items:
            part = self._compile(item, goal)
            if part is None:
                continue
            if part.anchors:
                best = min(part.anchors, key=lambda anchor: anchor.cost)
                atoms += best.atoms
                cost += best.cost
            else:
                anchored = False
            value = single_value(item) if goal is ir.Goal.TRUE else None
            if value is None:
                verdicts.append(part.verdict)
            else:
                # All alternatives on one column are one test of its cell.
                index, bit = self._bit(item, value)
                positive[index] = positive.get(index, 0) | bit
        tests = [is_true(index, mask) for index, mask in positive.items()]
        if not tests and not verdicts:
            return None
        anchors = (_Anchor(tuple(dict.fromkeys(atoms)), cost),) if anchored else ()
        return _Compiled(any_holds([*tests, *verdicts]), anchors)

    def _atom(self, atom: ir.Atom, *, wanted: bool) -> _Compiled:
        if isinstance(atom, ir.RawMatch):
            patterns = atom.patterns
            if wanted:
                return _Compiled(
                    lambda context: context.matches_text(patterns), (_Anchor(((None, atom),), 0.8),)
                )
            return _Compiled(lambda context: not context.matches_text(patterns), ())
        value = single_value(atom)
        if value is None:

            def by_reference(context: EventContext) -> bool:
                return holds(atom, ContextRow(context.event, context), _NO_CONTEXT) is wanted

            return _Compiled(by_reference, ())
        index, bit = self._bit(atom, value)
        if wanted:
            return _Compiled(
                is_true(index, bit), (_Anchor(((index, atom),), frequency(_as_atom(atom))),)
            )
        return _Compiled(is_false(index, bit), ())

    def _bit(self, atom: ir.Condition, value: ir.Value) -> tuple[int, int]:
        source = column_source(value)
        index = self._column_places.get(source)
        if index is None:
            index = self._column_places[source] = len(self._columns)
            self._columns.append(Column(source, self._memory))
        return index, self._columns[index].bit(_as_atom(atom), value)


def _always(context: EventContext) -> bool:
    return True


def _any_of(texts: set[str | None]) -> Search | None:
    """What tells whether JSON has one of these texts; None where that is not known of all of
    them."""
    known = [text for text in texts if text is not None]
    return any_of(known) if known and len(known) == len(texts) else None


def _worth_a_look(
    index: CandidateIndex, outer: Mapping[str, Any] | None, line: bytes | None
) -> bool:
    if index.search is None:
        return True
    if line is not None and not index.search.might_hold(line):
        return False
    if outer is None or dumps is None:
        return True
    # Written afresh it has no escapes but those of control characters.
    try:
        return index.search.might_hold(dumps(outer))
    except TypeError:
        return True


def _as_atom(atom: ir.Condition) -> Atom:
    assert isinstance(atom, ir.Match | ir.Regex | ir.InNetwork | ir.IsNull | ir.Compare)
    return atom


def _with_columns(anchor: _Anchor, used: dict[int | None, int]) -> float:
    """An anchor's cost with that of reading columns nobody reads yet."""
    return anchor.cost + 0.01 * len({index for index, _ in anchor.atoms if index not in used})
