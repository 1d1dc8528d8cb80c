"""Telling from a line of JSON, without decoding all of it, that no rule matches.

Most events match nothing, and of most events the rules read a few fields. So a line is first
decoded to a few fields only (by ``msgspec``, the extra ``carengine[fast]``), classified and
matched; only a line that a rule does match, or that is unusual, is decoded whole and fed like any
other::

    line ──▶ the fields that decide what it is, and those with anchors of frequent events' rules
         ──▶ Classified ──▶ no stage is hit ──▶ counted, done
                        └─▶ hit, or not frequent ──▶ all fields that its rules read
                                                         ──▶ no stage holds ──▶ counted, done
    anything unusual, or a match ──▶ the whole line, the usual way

Which events are frequent is looked at a few times while lines go by. For these, the first step is
two looks into tables: from the fields that decide what an event is to what is done with it, and
from each field that has anchors to the rules (`LeafFilter`).

The outcome is that of decoding every line whole. The partial decoder checks all of the line's JSON
but for the encoding of what it skips, which is checked before. It refuses every value that it would
read otherwise than the whole decoder does: lists, integers beyond 64 bits, and mappings that
somebody looks into. All refusals lead the usual way.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import compress, count
from sys import getsizeof
from typing import TYPE_CHECKING, Any, Literal

from ...evaluate import REGEX_WORK
from ...jsontext import DEPTH, may_be_deep, opening_brackets
from ..matcher import CandidateIndex, Leaf, WholeEventNeeded, is_key
from .decoding import AVAILABLE, WRAPPERS, FieldDecoder, Path, decoder_of, field_decoder_of
from .leaf_filter import (
    FullProbe,
    LeafFilter,
    asking_long,
    columns_of,
    deciding_fields,
    decoded,
    full_probe_of,
    leaf_filter_of,
    probe_fields,
    searches_of,
)
from .learned import Learned, LearnedStore
from .odd_names import channels_of, is_forwarded, never_odd, odd_names

if TYPE_CHECKING:
    from ..classes import Classified
    from ..stats import SessionStats

# Where most of so many lines give a match, so many that follow are not looked at in part.
_MANY_MATCHED = 32
_PAUSE = 256
# More fields than this are not decoded faster than everything.
_MOST_FIELDS = 60
# What a field costs when all lines are decoded for it, and what decoding a line once more costs, in
# the same unit (measured: microseconds on lines of 2 KB).
_FIELD_COST = 0.04
_AGAIN_COST = 2.2
# What is remembered of the values that decide what an event is.
_MOST_VALUES = 2_000
_KEY_TEXT = 256
_MOST_REFUSED = 1_000
# The same of values of fields with anchors, and of events that no rule matches: texts of how many
# characters together, and bytes for each session; an entry without its texts, and a text without
# its characters, are that large.
_CLEAN_TEXT = 50_000
_CLEAN_BYTES = 10_000_000
_ENTRY = 400
_TEXT = 100
_MOST_CANDIDATES = 4_000
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
# So many lines are decoded at once.
_BATCH = 128


_Rejected = LeafFilter | Literal[False] | None
"""What a line was taken as: False where it is left, None where that is not known yet."""


class Prefilter:
    """Takes the lines that give no match; they are counted in the account.

    One for each session: it learns from the account which events are frequent. The next session of
    the engine begins with what was learned. What is handed on so is shared by sessions, which may
    be in several threads, and is only added to or forgotten as a whole; whatever is learned anew is
    put into new tables.
    """

    def __init__(
        self,
        find: Callable[[Mapping[str, Any]], Leaf[Classified] | None],
        opaque: frozenset[Path],
        stats: SessionStats,
        store: LearnedStore,
        tick: Callable[[int], None] | None = None,
    ) -> None:
        self._find = find
        self._stats = stats
        self._store = store
        # Joins and groups want the time of every event, whatever it is: it moves their clock.
        self._tick = tick
        learned = store.latest or Learned(opaque, _FIRST_REVIEW)
        self._opaque = learned.opaque
        self._deciding, self._fields = learned.deciding, learned.fields
        self._decode, self._decoders = learned.decode, learned.decoders
        self._indexes, self._tests = learned.indexes, learned.tests
        self._searches, self._made_with = learned.searches, learned.made_with
        self._field_decoder = learned.field_decoder
        self._by_values, self._by_leaf = learned.by_values, learned.by_leaf
        self._entries, self._varied = learned.entries, learned.varied
        self._texts, self._clean_bytes = learned.texts, learned.clean_bytes
        self._strict = learned.strict
        self._review_at = learned.review_at
        # Lines that did not fit the structure, and lines that were not taken at once.
        self._refused = self._slow = 0
        # How many events of each leaf the matchers know of, and how many they were shown since.
        self._told: dict[Leaf[Classified], int] = {}
        self._shown: dict[Leaf[Classified], int] = {}
        self._usable = AVAILABLE
        # Lines that turned out to give a match, the events before the first of them, and how many
        # lines are let pass unseen since most do.
        self._matched = self._matched_since = self._pause = 0

    def rejects(self, line: bytes) -> bool:
        """Whether a line is certainly an event that gives no match. It is then counted, and done
        with.

        False says nothing about the line: it is to be decoded whole, and fed.
        """
        REGEX_WORK.begin()
        if self._pause:
            self._pause -= 1
            return False
        field_decoder = self._field_decoder
        if field_decoder is None:
            return self._rejects_dictionary(line)
        try:
            if not line.isascii():
                line.decode()
            fields = field_decoder.decode(line)
            values = field_decoder.deciding(fields)
            leaf_filter = self._by_values.get(values)
            if leaf_filter is None:
                return self._rejects_dictionary(line, values, fields)
            leaf = leaf_filter.leaf
            candidates = self._candidates(leaf_filter, fields)
            if candidates and not self._probe(leaf_filter, line, candidates):
                return False
            for search in leaf_filter.searches:
                if search.might_hold(line):
                    return self._missed()
            if leaf_filter.searching_names and odd_names(line):
                return self._missed()
        except WholeEventNeeded:
            return self._missed()
        except Exception:
            # It does not fit the structure. Faults are told where it is decoded whole.
            self._refused += 1
            if self._refused >= _MOST_REFUSED and self._strict:
                # What the frequent events lack others have.
                self._strict = False
                self._structure()
            return self._rejects_dictionary(line)
        if opening_brackets(line) > DEPTH:
            return False
        recent = self._stats.recent
        if leaf in recent:
            recent[leaf] += 1
        else:
            self._stats.met(leaf)
        return True

    def candidates(self, lines: Sequence[bytes]) -> Iterator[int]:
        """The places of those lines that `rejects` does not take, in order. It is faster than to
        ask about each line.

        The account is at each place what it would be if the lines after it had not been looked at.
        """
        # Where the time of events decides matches they are wanted one after another.
        if self._tick is not None:
            yield from (place for place, line in enumerate(lines) if not self.rejects(line))
            return
        for start in range(0, len(lines), _BATCH):
            batch = lines[start : start + _BATCH]
            REGEX_WORK.begin()
            rejected, others = self._reject_all(batch)
            begun = 0
            for place in others:
                if rejected[place] is False or not self.rejects(batch[place]):
                    if begun < place:
                        self._count(rejected[begun:place])
                    begun = place + 1
                    yield start + place
            if begun < len(rejected):
                self._count(rejected[begun:])

    def _count(self, rejected: Iterable[_Rejected]) -> None:
        met = self._stats.met
        for leaf_filter, number in Counter(rejected).items():
            if leaf_filter:
                met(leaf_filter.leaf, number)

    def _reject_all(self, lines: Sequence[bytes]) -> tuple[list[_Rejected], Sequence[int]]:
        """What each of some lines was taken as, and the places of those that were not taken.

        Nothing is counted.
        """
        field_decoder = self._field_decoder
        if field_decoder is None or self._pause:
            return [None] * len(lines), range(len(lines))
        structures = decoded(field_decoder.decode, lines)
        # A line may be nested too deeply, which the partial decoder does not see.
        if may_be_deep(lines, DEPTH):
            for place, line in enumerate(lines):
                if opening_brackets(line) > DEPTH:
                    structures[place] = None
        rejected: list[_Rejected]
        try:
            rejected = list(map(self._by_values.get, map(field_decoder.deciding, structures)))
        except (TypeError, AttributeError):
            rejected = [self._filter_for(field_decoder, fields) for fields in structures]
        others = []
        # What `_candidates` remembers is asked for here: a call for each line would cost as much as
        # all the rest.
        for leaf_filter, place in zip(rejected, count()):
            if leaf_filter:
                memo = leaf_filter.candidates
                try:
                    if memo is not None:
                        candidates = memo.get(leaf_filter.key(structures[place]))
                        if candidates == 0:
                            continue
                        if candidates is None:
                            candidates = self._candidates(leaf_filter, structures[place])
                    elif leaf_filter.without_fields:
                        continue
                    else:
                        candidates = self._candidates(leaf_filter, structures[place])
                    if candidates and not self._probe(leaf_filter, lines[place], candidates):
                        rejected[place] = False
                        others.append(place)
                        if self._pause:
                            # Most lines match: the rest is not looked at.
                            begun = place + 1
                            rejected[begun:] = [None] * (len(lines) - begun)
                            others += range(begun, len(lines))
                            break
                except Exception:
                    rejected[place] = None
                    others.append(place)
            else:
                others.append(place)
        different = {leaf_filter for leaf_filter in set(rejected) if leaf_filter}
        searching = any(leaf_filter.searching_names for leaf_filter in different)
        if searching:
            for place, leaf_filter in enumerate(rejected):
                if leaf_filter and leaf_filter.searching_names and odd_names(lines[place]):
                    self._missed()
                    rejected[place] = False
                    others.append(place)
        searches = {search for leaf_filter in different for search in leaf_filter.searches}
        for search in searches:
            for place in compress(count(), map(search.maybe, lines)):
                leaf_filter = rejected[place]
                if (
                    leaf_filter
                    and search in leaf_filter.searches
                    and search.might_hold(lines[place])
                ):
                    self._missed()
                    rejected[place] = False
                    others.append(place)
        if searches or searching:
            others.sort()
        return rejected, others

    def _filter_for(self, field_decoder: FieldDecoder, fields: Any) -> LeafFilter | None:
        try:
            return self._by_values.get(field_decoder.deciding(fields))
        except (TypeError, AttributeError):
            return None

    def _rejects_dictionary(self, line: bytes, values: Any = None, fields: Any = None) -> bool:
        """The same by way of dictionaries. The line's deciding values, if given, are known
        afterwards; ``fields`` has them."""
        decode = self._decode
        if decode is None:
            return self._missed()
        try:
            if not line.isascii():
                line.decode()
            partial = decode(line)
            leaf = self._find(partial)
            if values is not None and leaf is not None and leaf in self._by_leaf:
                self._learn(values, leaf, fields)
            tests = self._tests.get(leaf)  # type: ignore[arg-type]
            if tests is None:
                if leaf not in self._decoders:
                    return self._missed()
                partial = self._match_again(leaf, line, None, partial)
                if partial is None:
                    return self._missed()
            else:
                for test in tests:
                    if candidates := test(partial):
                        assert leaf is not None
                        known = [candidates] if len(tests) == 1 else None
                        partial = self._match_again(leaf, line, known, partial)
                        if partial is None:
                            return False
                        break
                if self._searches:
                    for search in self._searches.get(leaf, ()):  # type: ignore[arg-type]
                        if search.might_hold(line):
                            return self._missed()
            if leaf in self._stats.leaves_without_fields:
                return self._missed()
            channels = channels_of(partial)
            if is_forwarded(channels) or (not never_odd(channels) and odd_names(line)):
                return self._missed()
        except Exception:
            return self._missed()
        if opening_brackets(line) > DEPTH:
            return False
        self._stats.met(leaf)  # type: ignore[arg-type]
        if self._tick is not None:
            for event_class in leaf.target.classes:  # type: ignore[union-attr]
                if (time := event_class.time(partial)) is not None:
                    self._tick(time)
        return True

    def _candidates(self, leaf_filter: LeafFilter, fields: Any) -> int:
        """The stages that the values of the columns could make true; some number where that cannot
        be said of all."""
        if leaf_filter.columns is None:
            return 1
        memo = leaf_filter.candidates
        if memo is not None:
            values = leaf_filter.key(fields)
            candidates = memo.get(values)
            if candidates is not None:
                return candidates
        elif leaf_filter.several:
            leaf_filter.missed += 1
            if leaf_filter.missed >= _TRY_AGAIN:
                leaf_filter.missed = 0
                leaf_filter.since = self._stats.recent.get(leaf_filter.leaf, 0)
                leaf_filter.candidates = {}
        candidates = 0
        for table, get, _ in leaf_filter.columns:
            candidates |= table[get(fields)]
        if memo is not None:
            self._remember_candidates(leaf_filter, memo, values, candidates)
        return candidates

    def _remember_candidates(
        self,
        leaf_filter: LeafFilter,
        memo: dict[Any, int],
        values: tuple[Any, ...],
        candidates: int,
    ) -> None:
        """Remember what these values of the columns come to."""
        leaf_filter.missed += 1
        if leaf_filter.missed >= _LOOK_AT:
            events = self._stats.recent.get(leaf_filter.leaf, 0) - leaf_filter.since
            # Fewer than none: they were counted in another session.
            if 0 <= events < _PAYS * leaf_filter.missed:
                # Most of them are new.
                leaf_filter.candidates = None
                leaf_filter.missed = 0
                return
            leaf_filter.since += events
            leaf_filter.missed = 0
        if len(memo) >= _MOST_CANDIDATES:
            memo.clear()
        key = self._to_keep(values)
        if key is not None:
            memo[key] = candidates

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
            for leaf_filter in self._by_leaf.values():
                leaf_filter.forget()
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

    def _probe(self, leaf_filter: LeafFilter, line: bytes, candidates: int) -> bool:
        """Whether all that rules read of a line says that none of them matches, but for what is
        searched for."""
        self._slow += 1
        probe = leaf_filter.probe
        if probe is None:
            known = (
                [candidates] if leaf_filter.columns is not None and leaf_filter.one_map else None
            )
            return self._match_again(leaf_filter.leaf, line, known) is not None
        fields = probe.decode(line)
        probe.asked += 1
        if not probe.remembers and probe.asked >= _TRY_AGAIN:
            probe.remembers = True
            probe.asked = 0
        remembers = probe.remembers
        values = probe.values(fields) if remembers else None
        clean = probe.clean.get(values) if remembers else None
        if clean is None:
            clean = self._probe_anew(leaf_filter, probe, line, fields, candidates)
            if remembers:
                self._remember_probe(leaf_filter, probe, values, clean)
        elif not clean:
            self._count_match()
        elif leaf_filter.columns is not None and leaf_filter.one_map:
            probe.false_candidates[candidates] += 1
        if clean and probe.searches is not leaf_filter.searches:
            return not any(search.might_hold(line) for search in probe.searches)
        return clean

    def _probe_anew(
        self, leaf_filter: LeafFilter, probe: FullProbe, line: bytes, fields: Any, candidates: int
    ) -> bool:
        self._review_where_due()
        if leaf_filter.columns is None and probe.columns is not None:
            candidates = 0
            for table, get, _ in probe.columns:
                candidates |= table[get(fields)]
            if not candidates:
                return True
        sure = leaf_filter.columns is not None or probe.columns is not None
        known = [candidates] if sure and leaf_filter.one_map else None
        return self._match_again(leaf_filter.leaf, line, known) is not None

    def _remember_probe(
        self, leaf_filter: LeafFilter, probe: FullProbe, values: Any, clean: bool
    ) -> None:
        """Remember of an event's values whether no rule matches it."""
        assert leaf_filter.leaf.target is not None
        indexes = [group.matcher.candidate_index for _, group in leaf_filter.leaf.target.groups]
        if any(now is not then for now, then in zip(indexes, probe.indexes, strict=True)):
            leaf_filter.probe = full_probe_of(leaf_filter.leaf, self._opaque)
            return
        probe.missed += 1
        if probe.missed >= _LOOK_AT:
            probe.remembers = probe.asked >= _PAYS * probe.missed
            probe.asked = probe.missed = 0
        key = self._to_keep(values)
        if key is not None:
            probe.clean[key] = clean

    def _learn(self, values: Any, leaf: Leaf[Classified], fields: Any) -> None:
        """Note what events with these deciding values are; ``fields`` has them."""
        parts = values if type(values) is tuple else (values,)
        # The structure has no numbers but integers there, so that no two values are equal as keys.
        if any(len(part) > _KEY_TEXT for part in parts if type(part) is str):
            asking = asking_long(self._decoders, self._field_decoder, fields, _KEY_TEXT)
            if not asking <= self._varied:
                self._varied |= asking
                self._structure()
            return
        if is_forwarded(parts) or leaf in self._stats.leaves_without_fields:
            return
        leaf_filter = self._by_leaf[leaf]
        if leaf_filter.decided and any(table[get(fields)] for table, get, _ in leaf_filter.decided):
            assert leaf_filter.otherwise is not None
            leaf_filter = leaf_filter.otherwise
        if not never_odd(parts):
            leaf_filter = leaf_filter.with_odd_names
        self._by_values[values] = leaf_filter
        self._entries[leaf] = self._entries.get(leaf, 0) + 1
        if len(self._by_values) >= _MOST_VALUES:
            # What decides is hardly ever the same. Of a copy: sessions in other threads may add.
            many = {one for one, n in dict(self._entries).items() if n > _MOST_VALUES // 8}
            self._varied = self._varied | many
            self._structure()

    def _missed(self) -> bool:
        """Note that a line was not taken at once."""
        self._slow += 1
        self._review_where_due()
        return False

    def _review_where_due(self) -> None:
        if self._slow >= self._review_at and self._usable:
            try:
                self._review()
            except Exception:  # Lines are decoded whole from here on; what is wrong is told there.
                self._usable, self._decode, self._field_decoder = False, None, None

    def _match_again(
        self,
        leaf: Leaf[Classified],
        line: bytes,
        leaf_filter: list[int] | None,
        partial: Any = None,
    ) -> Any:
        """The line, decoded for all that rules read of events of its leaf; None if one of them
        matches, or could.

        ``leaf_filter`` are the stages that could match, for each group, where that was found out
        already; ``partial`` the fields that were decoded already, if that was the dictionary of all
        that are decoded at first.
        """
        # What is frequent may have changed meanwhile.
        decode = self._decoders.get(leaf)
        if decode is None:
            return None
        if partial is None or decode is not self._decode:
            self._missed()
            partial = decode(line)
        self._shown[leaf] = self._shown.get(leaf, 0) + 1
        assert leaf.target is not None
        for place, (_, group) in enumerate(leaf.target.groups):
            candidates = None if leaf_filter is None else leaf_filter[place]
            if group.match(partial, None, candidates, line):
                self._count_match()
                return None
        return partial

    def _count_match(self) -> None:
        """Note a line that was looked at here and gives a match, for which it will be decoded
        whole.

        Where most lines are such, the next ones are not looked at.
        """
        self._matched += 1
        if self._matched < _MANY_MATCHED:
            return
        events = self._stats.events
        if events - self._matched_since < 2 * _MANY_MATCHED:
            self._pause = _PAUSE
        self._matched, self._matched_since = 0, events + self._pause

    def _review(self) -> None:
        """Choose what is decoded at first: what decides what frequent events are, and what their
        rules have anchors on."""
        self._review_at = self._slow + 6 * self._review_at
        counts = dict(self._stats.recent)
        total = max(1, sum(counts.values()))
        leaves, deciding = deciding_fields(counts)
        fields = deciding
        for leaf in leaves:
            self._tell(leaf, counts[leaf])
            first = probe_fields(leaf)
            if first is not None:
                new = first - fields
                if len(new) * _FIELD_COST < _AGAIN_COST * counts[leaf] / total:
                    fields |= new
        opaque = self._opaque
        made_with: dict[Leaf[Classified], tuple[CandidateIndex, ...]] = {}
        for leaf in leaves:
            assert leaf.target is not None
            opaque |= leaf.target.opaque
            for _, group in leaf.target.groups:
                opaque |= group.matcher.opaque
            made_with[leaf] = tuple(
                group.matcher.candidate_index for _, group in leaf.target.groups
            )
        if (fields, opaque, made_with) == (self._fields, self._opaque, self._made_with):
            return
        self._deciding, self._fields, self._opaque = deciding, fields, opaque
        self._made_with = made_with
        self._decode = decoder_of(fields, opaque) if leaves else None
        self._decoders, self._indexes, self._tests, self._searches = {}, {}, {}, {}
        for leaf in leaves:
            self._prepare(leaf)
        self._structure()

    def _tell(self, leaf: Leaf[Classified], number: int) -> None:
        """Let the matchers know of the events that they were not shown."""
        assert leaf.target is not None
        leaf_filter = self._by_leaf.get(leaf)
        false_candidates = (
            Counter[int]()
            if leaf_filter is None or leaf_filter.probe is None
            else leaf_filter.probe.false_candidates
        )
        unseen = number - self._told.get(leaf, 0) - self._shown.get(leaf, 0)
        for _, group in leaf.target.groups:
            group.matcher.passed(max(0, unseen), dict(false_candidates))
        false_candidates.clear()
        self._told[leaf] = number
        self._shown[leaf] = 0

    def _prepare(self, leaf: Leaf[Classified]) -> None:
        """Make what takes the lines of a leaf."""
        classified = leaf.target
        assert classified is not None
        matchers = [group.matcher for _, group in classified.groups]
        indexes = [matcher.candidate_index for matcher in matchers]
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
            and all(index.complete and index.paths <= self._fields for index in indexes)
        ):
            self._indexes[leaf] = indexes
            self._tests[leaf] = tuple(index.candidates for index in indexes)
            searches = searches_of(indexes)
            if searches:
                self._searches[leaf] = searches

    def _structure(self) -> None:
        """Make what takes lines of events whose deciding values were met before."""
        self._by_values, self._entries, self._by_leaf = {}, {}, {}
        self._texts, self._clean_bytes = {}, 0
        self._field_decoder = None
        # The time of an event is not read from structures.
        if self._tick is None:
            self._structure_of([leaf for leaf in self._decoders if leaf not in self._varied])
        self._store.latest = Learned(
            self._opaque,
            min(self._review_at - self._slow, _NEXT_SESSION),
            self._deciding,
            self._fields,
            self._decode,
            self._decoders,
            self._indexes,
            self._tests,
            self._searches,
            self._made_with,
            self._field_decoder,
            self._by_values,
            self._by_leaf,
            self._entries,
            self._varied,
            self._strict,
            self._texts,
            self._clean_bytes,
        )

    def _structure_of(self, leaves: list[Leaf[Classified]]) -> None:
        if not leaves:
            return
        deciding = WRAPPERS.union(*(leaf.asked for leaf in leaves))
        lacking = frozenset(
            path
            for path in deciding
            if all(path in leaf.lacking or path not in leaf.asked for leaf in leaves)
        )
        indexes = [index for own_indexes in self._indexes.values() for index in own_indexes]
        keys = frozenset(path for index in indexes for path in index.paths)
        self._refused = 0
        self._field_decoder = field_decoder = field_decoder_of(
            self._fields,
            deciding,
            lacking if self._strict else WRAPPERS,
            self._opaque,
            keys,
        )
        if field_decoder is None:
            return
        for leaf in leaves:
            assert leaf.target is not None
            own = self._indexes.get(leaf)
            searches = self._searches.get(leaf, ())
            probe = None if self._decoders[leaf] is None else full_probe_of(leaf, self._opaque)
            if probe is not None and (own is None or probe.indexes == tuple(own)):
                searches = probe.searches
            columns = None if own is None else columns_of(own, field_decoder.attributes)
            events = self._stats.recent.get(leaf, 0)
            self._by_leaf[leaf] = leaf_filter_of(
                leaf, columns, searches, probe, field_decoder.attributes, deciding, events
            )
