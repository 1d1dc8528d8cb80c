"""Telling from a line of JSON, without decoding all of it, that no rule matches.

Most events match nothing, and of most events the rules read a few fields. So a line is first decoded to a few fields
only (by ``msgspec``, the extra ``carengine[fast]``), classified and matched; only a line that a rule does match,
or that is unusual, is decoded whole and fed like any other::

    line ──▶ the fields that decide what it is, and those that rules of frequent events hang on
         ──▶ Classified ──▶ no stage is hit ──▶ counted, done
                        └─▶ hit, or not frequent ──▶ all fields that its rules read ──▶ no stage holds ──▶ counted, done
    anything unusual, or a match ──▶ the whole line, the usual way

Which events are frequent is looked at a few times while lines go by. For these, the first step is two looks into
tables: from the fields that decide what an event is to what is done with it, and from each field that rules hang on
to the rules (`_Known`).

The outcome is that of decoding every line whole. The partial decoder checks all of the line's JSON but for the
encoding of what it skips, which is checked before. It refuses every value that it would read otherwise than the
whole decoder does: lists, integers beyond 64 bits, and mappings that somebody
looks into. All refusals lead the usual way.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from operator import attrgetter
from sys import getsizeof
from typing import TYPE_CHECKING, Any

from attrs import define, field, frozen

from .decoding import (
    AVAILABLE,
    WRAPPERS,
    Decode,
    Path,
    Reading,
    decoder_of,
    decodes_deep,
    reading_of,
)
from .matcher import Leaf, Plan, WholeEventNeeded, is_key

if TYPE_CHECKING:
    from .account import Account
    from .classes import Classified
    from .engine import Engine

Test = Callable[[Any], int]
Columns = tuple[tuple[Any, Callable[[Any], Any]], ...]

# Where most of so many lines give a match, so many that follow are not looked at in part.
_VAIN = 32
_PAUSE = 256
# More fields than this are not decoded faster than everything.
_MOST_FIELDS = 60
# Nor are they where more than this decide what an event is.
_MOST_DECIDING = 30
# An event is frequent enough to ask for more where it is one of so many.
_WORTH = 200
# What a field costs when all lines are decoded for it, and what decoding a line once more costs, in
# the same unit (measured: microseconds on lines of 2 KB).
_FIELD_COST = 0.04
_AGAIN_COST = 2.2
# What is remembered of the values that decide what an event is.
_MOST_KNOWN = 2_000
_KEY_TEXT = 256
_MOST_REFUSED = 1_000
# The same of events that no rule matches: texts of how many characters together, and bytes for each session.
_CLEAN_TEXT = 8_000
_CLEAN_BYTES = 10_000_000
_MOST_QUIET = 4_000
# It pays to keep them where each is met so often again.
_PAYS = 2
# After how many lines decoded twice it is first looked at which events are frequent.
_FIRST_REVIEW = 64
# The same for a session that begins with what another has learned, at most.
_NEXT_SESSION = 5_000
# Whole decoders give up at 1024 brackets in brackets.
_MOST_BRACKETS = 900


@define(eq=False)
class _Known:
    """What is done with the lines of a leaf of which the deciding fields are known.

    ``columns`` are the tables of what rules hang on, with what takes their keys from the decoded fields; None where
    these fields do not suffice. ``searches`` tell what must not be found in a line. ``alone`` says that the stages are
    those of one map. ``further`` is what is done where the columns do not say that no rule matches. ``quiet`` has values of
    all columns together, as ``key`` takes them, on which no rule hangs; ``since`` is how many events there were when it was empty last.
    """

    leaf: Leaf[Classified]
    columns: Columns | None
    searches: tuple[Callable[[bytes], bool], ...]
    alone: bool
    further: _Further | None
    key: Callable[[Any], Any] = lambda fields: None
    quiet: dict[Any, None] | None = field(default=None, repr=False)
    since: int = 0


@frozen(eq=False)
class _Further:
    """What is done with lines of a leaf for which the fields that are decoded at first do not suffice.

    ``decode`` gives all fields that rules read of them, ``values`` takes these; ``columns`` and ``searches`` are as
    in `_Known`. ``clean`` has the values of events that no rule matches, but for what the searches look for. That was
    found out with these ``plans``, and holds no longer than they do. ``vain`` counts the stages, as masks, that were hit by
    such values.
    """

    decode: Decode
    values: Callable[[Any], Any]
    columns: Columns | None
    searches: tuple[Callable[[bytes], bool], ...]
    plans: tuple[Plan, ...]
    clean: dict[Any, None] = field(factory=dict, repr=False)
    vain: Counter[int] = field(factory=Counter, repr=False)


# What one session's sieve learns for the next.
_LEARNED = (
    *("_opaque", "_deciding", "_fields", "_decode", "_decoders", "_plans", "_tests", "_searches"),
    *(
        "_made_with",
        "_reading",
        "_known",
        "_knowable",
        "_entries",
        "_varied",
        "_strict",
        "_clean_bytes",
    ),
)


class Sieve:
    """Takes the lines that give no match; they are counted in the account.

    One for each session: it learns from the account which events are frequent. The next session of the engine begins
    with what was learned. What is handed on so is shared by sessions, which may be in several threads, and is only
    added to; whatever is learned anew is put into new tables.
    """

    def __init__(
        self, engine: Engine, account: Account, tick: Callable[[int], None] | None = None
    ) -> None:
        self._engine = engine
        self._account = account
        # Joins and groups want the time of every event, whatever it is: it moves their clock.
        self._tick = tick
        self._find = engine.find
        self._opaque = engine.opaque
        # The fields that decide what frequent events are, and all that are decoded at first.
        self._deciding = WRAPPERS
        self._fields = WRAPPERS
        self._decode: Decode | None = None
        # For the leaves that these fields lead to: what decodes all that rules read of such events, None where that
        # is better decoded whole. And where the fields suffice for it, what tells that no stage can hold.
        self._decoders: dict[Leaf[Classified], Decode | None] = {}
        self._plans: dict[Leaf[Classified], list[Plan]] = {}
        self._tests: dict[Leaf[Classified], tuple[Test, ...]] = {}
        self._made_with: dict[Leaf[Classified], tuple[Plan, ...]] = {}
        # Of some of these, what must not be found in the line.
        self._searches: dict[Leaf[Classified], tuple[Callable[[bytes], bool], ...]] = {}
        # The same as structures, for what was met before: from the deciding values to what is done.
        self._reading: Reading | None = None
        self._known: dict[Any, _Known] = {}
        self._knowable: dict[Leaf[Classified], _Known] = {}
        self._entries: dict[Leaf[Classified], int] = {}
        self._varied: set[Leaf[Classified]] = set()
        self._clean_bytes = 0
        # How many lines did not fit, and whether the structure refuses what frequent events lack.
        self._refused = 0
        self._strict = True
        # How many events of each leaf the matchers know of, and how many they were shown since.
        self._told: dict[Leaf[Classified], int] = {}
        self._shown: dict[Leaf[Classified], int] = {}
        self._usable = AVAILABLE
        self._count_brackets = self._usable and decodes_deep()
        # Lines that turned out to give a match, the events before the first of them, and how many lines are let pass
        # unseen since most do.
        self._vain = self._vain_since = self._pause = 0
        # Lines that were not taken at once, and when it is looked at why.
        self._slow = 0
        self._review_at = _FIRST_REVIEW
        if engine.learned is not None:
            vars(self).update(engine.learned)

    def take(self, line: bytes) -> bool:
        """Whether a line is certainly an event that gives no match. It is then counted, and done with.

        False says nothing about the line: it is to be decoded whole, and fed.
        """
        if self._pause:
            self._pause -= 1
            return False
        reading = self._reading
        if reading is None:
            return self._take(line)
        try:
            if not line.isascii():
                line.decode()
            fields = reading.decode(line)
            values = reading.deciding(fields)
            known = self._known.get(values)
            if known is None:
                return self._take(line, values)
            leaf = known.leaf
            if known.quiet is None or known.key(fields) not in known.quiet:
                hits = 0
                if known.columns is None:
                    hits = 1
                else:
                    for table, get in known.columns:
                        hits |= table[get(fields)]
                if not hits:
                    if known.quiet is not None:
                        self._hush(known, known.key(fields))
                elif not self._passes(known, line, hits):
                    return False
            for search in known.searches:
                if search(line):
                    return self._slowly()
        except WholeEventNeeded:
            return self._slowly()
        except (ValueError, TypeError, AttributeError, RecursionError):
            # What does not fit the structure.
            self._refused += 1
            if self._refused >= _MOST_REFUSED and self._strict:
                # What the frequent events lack others have.
                self._strict = False
                self._structure()
            return self._take(line)
        if self._count_brackets and line.count(b"{") + line.count(b"[") > _MOST_BRACKETS:
            return False
        recent = self._account.recent
        if leaf in recent:
            recent[leaf] += 1
        else:
            self._account.met(leaf)
        return True

    def _take(self, line: bytes, values: Any = None) -> bool:
        """The same by way of dictionaries. The line's deciding values, if given, are known afterwards."""
        decode = self._decode
        if decode is None:
            return self._slowly()
        try:
            if not line.isascii():
                line.decode()
            partial = decode(line)
            leaf = self._find(partial)
            if values is not None and leaf is not None and leaf in self._knowable:
                self._remember(values, leaf)
            tests = self._tests.get(leaf)  # type: ignore[arg-type]
            if tests is None:
                if leaf not in self._decoders:
                    return self._slowly()
                partial = self._again(leaf, line, None, partial)
                if partial is None:
                    return self._slowly()
            else:
                for test in tests:
                    if hits := test(partial):
                        known = [hits] if len(tests) == 1 else None
                        partial = self._again(leaf, line, known, partial)  # type: ignore[arg-type]
                        if partial is None:
                            return False
                        break
                if self._searches:
                    for search in self._searches.get(leaf, ()):  # type: ignore[arg-type]
                        if search(line):
                            return self._slowly()
        except (ValueError, RecursionError, WholeEventNeeded):
            return self._slowly()
        if self._count_brackets and line.count(b"{") + line.count(b"[") > _MOST_BRACKETS:
            return False
        self._account.met(leaf)  # type: ignore[arg-type]
        if self._tick is not None:
            for event_class in leaf.target.classes:  # type: ignore[union-attr]
                if (time := event_class.time(partial)) is not None:
                    self._tick(time)
        return True

    def _hush(self, known: _Known, values: tuple[Any, ...]) -> None:
        """Note that no rule hangs on these values of the columns."""
        quiet = known.quiet
        if quiet is None or not all(map(is_key, values)):
            return
        if len(quiet) >= _MOST_QUIET:
            events = self._account.recent.get(known.leaf, 0) - known.since
            # Fewer than none: they were counted in another session.
            if 0 <= events < _PAYS * _MOST_QUIET:
                # Most of them are new. It does not pay.
                known.quiet = None
                return
            known.since += events
            quiet.clear()
        if self._fits([value for value in values if type(value) is str]):
            quiet[values] = None

    def _fits(self, texts: list[str]) -> bool:
        """Whether there is room for these texts; makes some by forgetting."""
        if sum(map(len, texts)) > _CLEAN_TEXT:
            return False
        if self._clean_bytes > _CLEAN_BYTES:
            self._clean_bytes = 0
            for known in self._knowable.values():
                quiet, further = known.quiet, known.further
                if quiet is not None:
                    quiet.clear()
                if further is not None:
                    further.clean.clear()
        self._clean_bytes += 200 + sum(map(getsizeof, texts))
        return True

    def _passes(self, known: _Known, line: bytes, hits: int) -> bool:
        """Whether all that rules read of a line says that none of them matches, but for what is searched for."""
        self._slowly()
        further = known.further
        if further is None:
            found = [hits] if known.columns is not None and known.alone else None
            return self._again(known.leaf, line, found) is not None
        fields = further.decode(line)
        values = further.values(fields)
        if values in further.clean:
            if known.columns is not None and known.alone:
                further.vain[hits] += 1
        else:
            if known.columns is None and further.columns is not None:
                hits = 0
                for table, get in further.columns:
                    hits |= table[get(fields)]
            if hits:
                sure = known.columns is not None or further.columns is not None
                found = [hits] if sure and known.alone else None
                if self._again(known.leaf, line, found) is None:
                    return False
            self._keep(known, further, values)
        if further.searches is known.searches:
            return True
        return not any(search(line) for search in further.searches)

    def _keep(self, known: _Known, further: _Further, values: Any) -> None:
        """Note that no rule matches an event with these values."""
        parts = values if type(values) is tuple else (values,)
        assert known.leaf.target is not None
        plans = [group.matcher.plan for _, group in known.leaf.target.groups]
        if any(now is not then for now, then in zip(plans, further.plans, strict=True)):
            known.further = self._further(known.leaf)
            return
        if not all(map(is_key, parts)):
            return
        if self._fits([part for part in parts if type(part) is str]):
            further.clean[values] = None

    def _remember(self, values: Any, leaf: Leaf[Classified]) -> None:
        """Note what events with these deciding values are."""
        parts = values if type(values) is tuple else (values,)
        # The structure has no numbers but integers there, so that no two values are equal as keys.
        if any(len(part) > _KEY_TEXT for part in parts if type(part) is str):
            return
        known = self._knowable[leaf]
        self._known[values] = known
        self._entries[leaf] = self._entries.get(leaf, 0) + 1
        if len(self._known) >= _MOST_KNOWN:
            # Something that hardly ever is the same decides what these events are.
            # Of a copy: sessions in other threads may add to it.
            many = {one for one, n in dict(self._entries).items() if n > _MOST_KNOWN // 8}
            self._varied = self._varied | many
            self._structure()

    def _slowly(self) -> bool:
        """Note that a line was not taken at once."""
        self._slow += 1
        if self._slow >= self._review_at and self._usable:
            self._review()
        return False

    def _again(
        self, leaf: Leaf[Classified], line: bytes, known: list[int] | None, partial: Any = None
    ) -> Any:
        """The line, decoded for all that rules read of events of its leaf; None if one of them matches, or could.

        ``known`` are the stages that could match, for each group, where that was found out already; ``partial``
        the fields that were decoded already, if that was the dictionary of all that are decoded at first.
        """
        decode = self._decoders[leaf]
        if decode is None:
            return None
        if partial is None or decode is not self._decode:
            self._slowly()
            partial = decode(line)
        self._shown[leaf] = self._shown.get(leaf, 0) + 1
        assert leaf.target is not None
        for place, (_, group) in enumerate(leaf.target.groups):
            hits = None if known is None else known[place]
            if group.matcher.match(partial, None, hits, line):
                self._in_vain()
                return None
        return partial

    def _in_vain(self) -> None:
        """Note a line that was looked at here and gives a match, for which it will be decoded whole.

        Where most lines are such, the next ones are not looked at.
        """
        self._vain += 1
        if self._vain < _VAIN:
            return
        events = self._account.events
        if events - self._vain_since < 2 * _VAIN:
            self._pause = _PAUSE
        self._vain, self._vain_since = 0, events + self._pause

    def _review(self) -> None:
        """Choose what is decoded at first: what decides what frequent events are, and what their rules hang on."""
        self._review_at = self._slow + 6 * self._review_at
        counts = dict(self._account.recent)
        total = max(1, sum(counts.values()))
        frequent = sorted(counts, key=lambda leaf: -counts[leaf])
        deciding = WRAPPERS
        leaves = []
        for leaf in frequent:
            more = deciding | leaf.asked
            if len(more) <= _MOST_DECIDING and (
                not more - deciding or counts[leaf] * _WORTH > total
            ):
                deciding = more
                leaves.append(leaf)
        fields = deciding
        for leaf in leaves:
            self._tell(leaf, counts[leaf])
            first = _hung_on(leaf)
            if first is not None:
                new = first - fields
                if len(new) * _FIELD_COST < _AGAIN_COST * counts[leaf] / total:
                    fields |= new
        opaque = self._opaque
        made_with: dict[Leaf[Classified], tuple[Plan, ...]] = {}
        for leaf in leaves:
            assert leaf.target is not None
            opaque |= leaf.target.opaque
            for _, group in leaf.target.groups:
                opaque |= group.matcher.opaque
            made_with[leaf] = tuple(group.matcher.plan for _, group in leaf.target.groups)
        if (fields, opaque, made_with) == (self._fields, self._opaque, self._made_with):
            return
        self._deciding, self._fields, self._opaque = deciding, fields, opaque
        self._made_with = made_with
        self._decode = decoder_of(fields, opaque) if leaves else None
        self._decoders, self._plans, self._tests, self._searches = {}, {}, {}, {}
        for leaf in leaves:
            self._prepare(leaf)
        self._structure()

    def _tell(self, leaf: Leaf[Classified], number: int) -> None:
        """Let the matchers know of the events that they were not shown."""
        assert leaf.target is not None
        known = self._knowable.get(leaf)
        vain = Counter[int]() if known is None or known.further is None else known.further.vain
        unseen = number - self._told.get(leaf, 0) - self._shown.get(leaf, 0)
        for _, group in leaf.target.groups:
            group.matcher.passed(max(0, unseen), dict(vain))
        vain.clear()
        self._told[leaf] = number
        self._shown[leaf] = 0

    def _prepare(self, leaf: Leaf[Classified]) -> None:
        """Make what takes the lines of a leaf."""
        classified = leaf.target
        assert classified is not None
        matchers = [group.matcher for _, group in classified.groups]
        plans = [matcher.plan for matcher in matchers]
        needed = leaf.asked.union(classified.paths, *(matcher.paths for matcher in matchers))
        decode = None
        # Whoever reads wants to see what no map recognises.
        if classified.maps and len(needed) <= _MOST_FIELDS:
            whole = needed <= self._fields
            decode = self._decode if whole else decoder_of(needed | WRAPPERS, self._opaque)
        self._decoders[leaf] = decode
        if (
            decode is not None
            and classified.paths <= self._fields
            and all(plan.complete and plan.paths <= self._fields for plan in plans)
        ):
            self._plans[leaf] = plans
            self._tests[leaf] = tuple(plan.hits for plan in plans)
            searches = _searches(plans)
            if searches:
                self._searches[leaf] = searches

    def _structure(self) -> None:
        """Make what takes lines of events whose deciding values were met before."""
        self._known, self._entries, self._knowable = {}, {}, {}
        self._clean_bytes = 0
        self._reading = None
        # The time of an event is not read from structures.
        if self._tick is None:
            self._structure_of([leaf for leaf in self._decoders if leaf not in self._varied])
        learned = {name: getattr(self, name) for name in _LEARNED}
        interval = min(self._review_at - self._slow, _NEXT_SESSION)
        self._engine.learned = learned | {"_review_at": interval}

    def _structure_of(self, leaves: list[Leaf[Classified]]) -> None:
        if not leaves:
            return
        deciding = WRAPPERS.union(*(leaf.asked for leaf in leaves))
        lacking = frozenset(
            path
            for path in deciding
            if all(path in leaf.lacking or path not in leaf.asked for leaf in leaves)
        )
        plans = [plan for made in self._plans.values() for plan in made]
        keys = frozenset(path for plan in plans for path in plan.paths)
        self._refused = 0
        self._reading = reading = reading_of(
            self._fields,
            deciding,
            lacking if self._strict else WRAPPERS,
            self._opaque,
            keys,
        )
        if reading is None:
            return
        for leaf in leaves:
            assert leaf.target is not None
            own = self._plans.get(leaf)
            searches = self._searches.get(leaf, ())
            further = None if self._decoders[leaf] is None else self._further(leaf)
            if further is not None and (own is None or further.plans == tuple(own)):
                searches = further.searches
            columns = None if own is None else _all_columns(own, reading.attributes)
            self._knowable[leaf] = known = _Known(
                leaf, columns, searches, len(leaf.target.groups) == 1, further
            )
            paths = sorted({path for plan in own or () for path in plan.paths})
            if columns is not None and len(columns) > 1 and len(paths) > 1:
                known.key = attrgetter(*(reading.attributes[path] for path in paths))
                known.quiet = {}
                known.since = self._account.recent.get(leaf, 0)

    def _further(self, leaf: Leaf[Classified]) -> _Further | None:
        """How lines of a leaf are decoded to all that rules read of them; None where that is not known."""
        assert leaf.target is not None
        matchers = [group.matcher for _, group in leaf.target.groups]
        plans = [matcher.plan for matcher in matchers]
        paths = frozenset[Path]().union(*(matcher.paths for matcher in matchers))
        if any(plan.text is not None and plan.might_hold is None for plan in plans) or not paths:
            return None
        nothing = frozenset[Path]()
        reading = reading_of(paths, nothing, nothing, self._opaque, paths)
        if reading is None or not reading.attributes.keys() >= paths:
            return None
        return _Further(
            reading.decode,
            attrgetter(*(reading.attributes[path] for path in sorted(paths))),
            _all_columns(plans, reading.attributes) if all(p.complete for p in plans) else None,
            _searches(plans),
            tuple(plans),
        )


def _searches(plans: Iterable[Plan]) -> tuple[Callable[[bytes], bool], ...]:
    return tuple(p.might_hold for p in plans if p.text is not None and p.might_hold is not None)


def _all_columns(plans: Iterable[Plan], attributes: Mapping[Path, str]) -> Columns | None:
    found = [_columns(plan, attributes) for plan in plans]
    return None if None in found else tuple(c for columns in found for c in columns or ())


def _columns(plan: Plan, attributes: Mapping[Path, str]) -> Columns | None:
    """A plan's tables, and what takes their keys from a structure; None where it has not got them."""
    if not attributes.keys() >= plan.paths:
        return None
    plain = [(table, attrgetter(attributes[key,])) for table, key in plan.plain]
    computed = [
        (column.by_parts, attrgetter(*(attributes[path] for path in column.paths)))
        for column in plan.computed
    ]
    return (*plain, *computed)


def _hung_on(leaf: Leaf[Classified]) -> frozenset[Path] | None:
    """The fields that can show that no rule matches an event of a leaf; None where no few fields can."""
    assert leaf.target is not None
    plans = [group.matcher.plan for _, group in leaf.target.groups]
    if not all(plan.complete for plan in plans):
        return None
    return leaf.target.paths.union(*(plan.paths for plan in plans))
