"""Telling from a line of JSON, without decoding all of it, that no rule matches.

Most events match nothing, and of most events the rules read a few fields. So a line is first
decoded to a few fields only (by ``msgspec``, the extra ``carengine[fast]``), classified and
matched; only a line that a rule does match, or that is unusual, is decoded whole and fed like any
other::

    line ──▶ the fields that decide what it is, and those that rules of frequent events hang on
         ──▶ Classified ──▶ no stage is hit ──▶ counted, done
                        └─▶ hit, or not frequent ──▶ all fields that its rules read ──▶ no stage holds ──▶ counted, done
    anything unusual, or a match ──▶ the whole line, the usual way

Which events are frequent is looked at a few times while lines go by. For these, the first step is
two looks into tables: from the fields that decide what an event is to what is done with it, and
from each field that rules hang on to the rules (`Known`).

The outcome is that of decoding every line whole. The partial decoder checks all of the line's JSON
but for the encoding of what it skips, which is checked before. It refuses every value that it would
read otherwise than the whole decoder does: lists, integers beyond 64 bits, and mappings that
somebody looks into. All refusals lead the usual way.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import compress, count
from sys import getsizeof
from typing import TYPE_CHECKING, Any, Literal

from ..matcher import Leaf, Plan, Search, WholeEventNeeded, is_key
from .decoding import AVAILABLE, WRAPPERS, Decode, Reading, decoder_of, decodes_deep, reading_of
from .leaf_filter import (
    Further,
    Known,
    columns_of,
    decoded,
    further_of,
    hung_on,
    known_of,
    searches_of,
)

if TYPE_CHECKING:
    from ..account import Account
    from ..classes import Classified
    from ..engine import Engine

Test = Callable[[Any], int]


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
# The same of values that rules hang on, and of events that no rule matches: texts of how many
# characters together, and bytes for each session; an entry without its texts, and a text without
# its characters, are that large.
_CLEAN_TEXT = 50_000
_CLEAN_BYTES = 10_000_000
_ENTRY = 400
_TEXT = 100
_MOST_HITS = 4_000
# After so many that were not there it is looked at whether it pays: that it does where one in so
# many was there, at least.
_LOOK_AT = 1_000
_PAYS = 2
# Where it does not, it is tried again after so many.
_TRY_AGAIN = 8 * _LOOK_AT
# After how many lines decoded twice it is first looked at which events are frequent.
_FIRST_REVIEW = 64
# The same for a session that begins with what another has learned, at most.
_NEXT_SESSION = 5_000
# Whole decoders give up at 1024 brackets in brackets.
_MOST_BRACKETS = 900
# So many lines are decoded at once.
_BATCH = 128


_Taken = Known | Literal[False] | None
"""What a line was taken as: False where it is left, None where that is not known yet."""

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
        "_texts",
        "_clean_bytes",
    ),
)


class Sieve:
    """Takes the lines that give no match; they are counted in the account.

    One for each session: it learns from the account which events are frequent. The next session of
    the engine begins with what was learned. What is handed on so is shared by sessions, which may
    be in several threads, and is only added to or forgotten as a whole; whatever is learned anew is
    put into new tables.
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
        # For the leaves that these fields lead to: what decodes all that rules read of such events,
        # None where that is better decoded whole. And where the fields suffice for it, what tells
        # that no stage can hold.
        self._decoders: dict[Leaf[Classified], Decode | None] = {}
        self._plans: dict[Leaf[Classified], list[Plan]] = {}
        self._tests: dict[Leaf[Classified], tuple[Test, ...]] = {}
        self._made_with: dict[Leaf[Classified], tuple[Plan, ...]] = {}
        # Of some of these, what must not be found in the line.
        self._searches: dict[Leaf[Classified], tuple[Search, ...]] = {}
        # The same as structures, for what was met before: from the deciding values to what is done.
        self._reading: Reading | None = None
        self._known: dict[Any, Known] = {}
        self._knowable: dict[Leaf[Classified], Known] = {}
        self._entries: dict[Leaf[Classified], int] = {}
        self._varied: set[Leaf[Classified]] = set()
        self._texts: dict[str, str] = {}
        self._clean_bytes = 0
        # How many lines did not fit, and whether the structure refuses what frequent events lack.
        self._refused = 0
        self._strict = True
        # How many events of each leaf the matchers know of, and how many they were shown since.
        self._told: dict[Leaf[Classified], int] = {}
        self._shown: dict[Leaf[Classified], int] = {}
        self._usable = AVAILABLE
        self._count_brackets = self._usable and decodes_deep()
        # Lines that turned out to give a match, the events before the first of them, and how many
        # lines are let pass unseen since most do.
        self._vain = self._vain_since = self._pause = 0
        # Lines that were not taken at once, and when it is looked at why.
        self._slow = 0
        self._review_at = _FIRST_REVIEW
        if engine.learned is not None:
            vars(self).update(engine.learned)

    def take(self, line: bytes) -> bool:
        """Whether a line is certainly an event that gives no match. It is then counted, and done
        with.

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
                return self._take(line, values, fields)
            leaf = known.leaf
            hits = self._hits(known, fields)
            if hits and not self._passes(known, line, hits):
                return False
            for search in known.searches:
                if search.might_hold(line):
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

    def left(self, lines: Sequence[bytes]) -> Iterator[int]:
        """The places of those lines that `take` does not take, in order. It is faster than to ask
        about each line.

        The account is at each place what it would be if the lines after it had not been looked at.
        """
        # Where the time of events decides matches they are wanted one after another.
        if self._tick is not None:
            yield from (place for place, line in enumerate(lines) if not self.take(line))
            return
        for start in range(0, len(lines), _BATCH):
            batch = lines[start : start + _BATCH]
            taken, others = self._take_all(batch)
            begun = 0
            for place in others:
                if taken[place] is False or not self.take(batch[place]):
                    if begun < place:
                        self._count(taken[begun:place])
                    begun = place + 1
                    yield start + place
            if begun < len(taken):
                self._count(taken[begun:])

    def _count(self, taken: Iterable[_Taken]) -> None:
        met = self._account.met
        for known, number in Counter(taken).items():
            if known:
                met(known.leaf, number)

    def _take_all(self, lines: Sequence[bytes]) -> tuple[list[_Taken], Sequence[int]]:
        """What each of some lines was taken as, and the places of those that were not taken.

        Nothing is counted.
        """
        reading = self._reading
        if reading is None or self._pause:
            return [None] * len(lines), range(len(lines))
        found = decoded(reading.decode, lines)
        if self._count_brackets:
            for place, line in enumerate(lines):
                if line.count(b"{") + line.count(b"[") > _MOST_BRACKETS:
                    found[place] = None
        taken: list[_Taken]
        try:
            taken = list(map(self._known.get, map(reading.deciding, found)))
        except (TypeError, AttributeError):
            taken = [self._known_as(reading, fields) for fields in found]
        others = []
        # What `_hits` remembers is asked for here: a call for each line would cost as much as all
        # the rest.
        for known, place in zip(taken, count()):
            if known:
                memo = known.hits
                try:
                    if memo is not None:
                        hits = memo.get(known.key(found[place]))
                        if hits == 0:
                            continue
                        if hits is None:
                            hits = self._hits(known, found[place])
                    elif known.idle:
                        continue
                    else:
                        hits = self._hits(known, found[place])
                    if hits and not self._passes(known, lines[place], hits):
                        taken[place] = False
                        others.append(place)
                        if self._pause:
                            # Most lines match: the rest is not looked at.
                            begun = place + 1
                            taken[begun:] = [None] * (len(lines) - begun)
                            others += range(begun, len(lines))
                            break
                except (ValueError, TypeError, AttributeError, RecursionError, WholeEventNeeded):
                    taken[place] = None
                    others.append(place)
            else:
                others.append(place)
        searches = {search for known in set(taken) if known for search in known.searches}
        for search in searches:
            for place in compress(count(), map(search.glance, lines)):
                known = taken[place]
                if known and search in known.searches and search.might_hold(lines[place]):
                    self._slowly()
                    taken[place] = False
                    others.append(place)
        if searches:
            others.sort()
        return taken, others

    def _known_as(self, reading: Reading, fields: Any) -> Known | None:
        try:
            return self._known.get(reading.deciding(fields))
        except (TypeError, AttributeError):
            return None

    def _take(self, line: bytes, values: Any = None, fields: Any = None) -> bool:
        """The same by way of dictionaries. The line's deciding values, if given, are known
        afterwards; ``fields`` has them."""
        decode = self._decode
        if decode is None:
            return self._slowly()
        try:
            if not line.isascii():
                line.decode()
            partial = decode(line)
            leaf = self._find(partial)
            if values is not None and leaf is not None and leaf in self._knowable:
                self._remember(values, leaf, fields)
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
                        if search.might_hold(line):
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

    def _hits(self, known: Known, fields: Any) -> int:
        """The stages that the values of the columns could make true; some number where that cannot
        be said of all."""
        if known.columns is None:
            return 1
        memo = known.hits
        if memo is not None:
            values = known.key(fields)
            hits = memo.get(values)
            if hits is not None:
                return hits
        elif known.several:
            known.missed += 1
            if known.missed >= _TRY_AGAIN:
                known.missed = 0
                known.since = self._account.recent.get(known.leaf, 0)
                known.hits = {}
        hits = 0
        for table, get, _ in known.columns:
            hits |= table[get(fields)]
        if memo is not None:
            self._note(known, memo, values, hits)
        return hits

    def _note(self, known: Known, memo: dict[Any, int], values: tuple[Any, ...], hits: int) -> None:
        """Remember what these values of the columns come to."""
        known.missed += 1
        if known.missed >= _LOOK_AT:
            events = self._account.recent.get(known.leaf, 0) - known.since
            # Fewer than none: they were counted in another session.
            if 0 <= events < _PAYS * known.missed:
                # Most of them are new.
                known.hits = None
                known.missed = 0
                return
            known.since += events
            known.missed = 0
        if len(memo) >= _MOST_HITS:
            memo.clear()
        key = self._to_keep(values)
        if key is not None:
            memo[key] = hits

    def _to_keep(self, values: Any) -> Any:
        """These values as a key of a table that remembers them; None where that is not worth it.
        Makes room by forgetting."""
        parts = values if type(values) is tuple else (values,)
        if not all(map(is_key, parts)):
            return None
        texts = [part for part in parts if type(part) is str]
        if sum(map(len, texts)) > _CLEAN_TEXT:
            return None
        if self._clean_bytes > _CLEAN_BYTES:
            self._clean_bytes = 0
            self._texts = {}
            for known in self._knowable.values():
                known.forget()
        self._clean_bytes += _ENTRY
        # Most texts come again in other combinations. One of each is enough, and what is small
        # stays near.
        known_texts = self._texts
        for text in texts:
            if text not in known_texts:
                known_texts[text] = text
                self._clean_bytes += getsizeof(text) + _TEXT
        kept = tuple(known_texts[part] if type(part) is str else part for part in parts)
        return kept if type(values) is tuple else kept[0]

    def _passes(self, known: Known, line: bytes, hits: int) -> bool:
        """Whether all that rules read of a line says that none of them matches, but for what is
        searched for."""
        self._slow += 1
        further = known.further
        if further is None:
            found = [hits] if known.columns is not None and known.alone else None
            return self._again(known.leaf, line, found) is not None
        fields = further.decode(line)
        further.asked += 1
        if not further.remembers and further.asked >= _TRY_AGAIN:
            further.remembers = True
            further.asked = 0
        remembers = further.remembers
        values = further.values(fields) if remembers else None
        clean = further.clean.get(values) if remembers else None
        if clean is None:
            clean = self._look_further(known, further, line, fields, hits)
            if remembers:
                self._keep(known, further, values, clean)
        elif not clean:
            self._in_vain()
        elif known.columns is not None and known.alone:
            further.vain[hits] += 1
        if clean and further.searches is not known.searches:
            return not any(search.might_hold(line) for search in further.searches)
        return clean

    def _look_further(
        self, known: Known, further: Further, line: bytes, fields: Any, hits: int
    ) -> bool:
        self._review_where_due()
        if known.columns is None and further.columns is not None:
            hits = 0
            for table, get, _ in further.columns:
                hits |= table[get(fields)]
            if not hits:
                return True
        sure = known.columns is not None or further.columns is not None
        found = [hits] if sure and known.alone else None
        return self._again(known.leaf, line, found) is not None

    def _keep(self, known: Known, further: Further, values: Any, clean: bool) -> None:
        """Remember of an event's values whether no rule matches it."""
        assert known.leaf.target is not None
        plans = [group.matcher.plan for _, group in known.leaf.target.groups]
        if any(now is not then for now, then in zip(plans, further.plans, strict=True)):
            known.further = further_of(known.leaf, self._opaque)
            return
        further.missed += 1
        if further.missed >= _LOOK_AT:
            further.remembers = further.asked >= _PAYS * further.missed
            further.asked = further.missed = 0
        key = self._to_keep(values)
        if key is not None:
            further.clean[key] = clean

    def _remember(self, values: Any, leaf: Leaf[Classified], fields: Any) -> None:
        """Note what events with these deciding values are; ``fields`` has them."""
        parts = values if type(values) is tuple else (values,)
        # The structure has no numbers but integers there, so that no two values are equal as keys.
        if any(len(part) > _KEY_TEXT for part in parts if type(part) is str):
            return
        known = self._knowable[leaf]
        if known.decided and any(table[get(fields)] for table, get, _ in known.decided):
            assert known.otherwise is not None
            known = known.otherwise
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
        self._review_where_due()
        return False

    def _review_where_due(self) -> None:
        if self._slow >= self._review_at and self._usable:
            self._review()

    def _again(
        self, leaf: Leaf[Classified], line: bytes, known: list[int] | None, partial: Any = None
    ) -> Any:
        """The line, decoded for all that rules read of events of its leaf; None if one of them
        matches, or could.

        ``known`` are the stages that could match, for each group, where that was found out already;
        ``partial`` the fields that were decoded already, if that was the dictionary of all that are
        decoded at first.
        """
        # What is frequent may have changed meanwhile.
        decode = self._decoders.get(leaf)
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
        """Note a line that was looked at here and gives a match, for which it will be decoded
        whole.

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
        """Choose what is decoded at first: what decides what frequent events are, and what their
        rules hang on."""
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
            first = hung_on(leaf)
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
            searches = searches_of(plans)
            if searches:
                self._searches[leaf] = searches

    def _structure(self) -> None:
        """Make what takes lines of events whose deciding values were met before."""
        self._known, self._entries, self._knowable = {}, {}, {}
        self._texts, self._clean_bytes = {}, 0
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
            further = None if self._decoders[leaf] is None else further_of(leaf, self._opaque)
            if further is not None and (own is None or further.plans == tuple(own)):
                searches = further.searches
            columns = None if own is None else columns_of(own, reading.attributes)
            events = self._account.recent.get(leaf, 0)
            self._knowable[leaf] = known_of(
                leaf, columns, searches, further, reading.attributes, deciding, events
            )
