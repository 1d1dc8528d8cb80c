"""What is known of lines of JSON before they are matched, by what the fields say that decide what
an event is.

All lines of one leaf of the engine's tree have a `LeafFilter`. Its *columns* are tables from values
of a line to the rules that these could make true; they need a few fields only::

    line ── few fields ──▶ Known ── columns ──▶ nothing is hit: no rule matches
                                           └──▶ hit: `FullProbe`: all fields that rules read

Both remember what values came to, in bounded tables, as long as that pays.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import compress, count
from operator import attrgetter, not_
from typing import TYPE_CHECKING, Any, NamedTuple

from attrs import define, evolve, field

from ..matcher import CandidateIndex, Leaf, Search
from .decoding import (
    NOT_DECODED,
    WRAPPERS,
    Decode,
    FieldDecoder,
    Path,
    field_decoder_of,
    long_fields,
)

if TYPE_CHECKING:
    from ..classes import Classified


CandidateTest = Callable[[Any], int]
"""Gives the stages, as a mask, that the fields of a line could make true."""

# Lines are not decoded faster in part where more fields than this decide what an event is.
_MOST_DECIDING = 48
# An event is frequent enough to ask for more fields where it is one of so many.
_WORTH = 200


class Column(NamedTuple):
    """A table from values to candidate stages, what takes its keys from structures, and the paths
    of what these hold."""

    table: Any
    get: Callable[[Any], Any]
    paths: tuple[Path, ...]


Columns = tuple[Column, ...]


@define(eq=False)
class FullProbe:
    """What is done with lines of a leaf for which the fields that are decoded at first do not
    suffice.

    ``decode`` gives all fields that rules read of them, ``values`` takes these; ``columns`` and
    ``searches`` are as in `LeafFilter`. ``clean`` says of values whether no rule matches an event
    with them, but for what the searches look for. That was found out with these ``indexes``, and
    holds no longer than they do. It ``remembers`` while enough of those that were ``asked`` for are
    there, and not ``missed``. ``false_candidates`` counts the stages, as masks, that were hit by
    values that no rule matches.
    """

    decode: Decode
    values: Callable[[Any], Any]
    columns: Columns | None
    searches: tuple[Search, ...]
    indexes: tuple[CandidateIndex, ...]
    clean: dict[Any, bool] = field(factory=dict, repr=False)
    remembers: bool = True
    asked: int = 0
    missed: int = 0
    false_candidates: Counter[int] = field(factory=Counter, repr=False)


@define(eq=False)
class LeafFilter:
    """What is done with the lines of a leaf of which the deciding fields are known.

    ``columns`` are None where the fields that are decoded at first do not suffice for them.
    ``searches`` tell what must not be found in a line. ``one_map`` says that the stages are those
    of one map, ``without_fields`` that none has an anchor on a field. ``probe`` is what is done
    where the columns do not say that no rule matches.

    Where there are ``several`` columns, ``candidates`` has for values of all together, as ``key``
    takes them, the stages that they could make true, as a mask; it is None while that does not pay.
    ``missed`` counts values of late that were not there; ``since`` is how many events there were
    before.

    ``decided`` are columns that are left out, since the deciding fields are all they read; where
    they say that a rule could match, ``otherwise`` is meant instead.

    ``searching_names`` says that a line is looked through for names of fields that are found under
    another name as well (`odd_names`): ``with_odd_names`` is the one for such lines.
    """

    leaf: Leaf[Classified]
    columns: Columns | None
    searches: tuple[Search, ...]
    one_map: bool
    probe: FullProbe | None
    key: Callable[[Any], Any] = lambda fields: None
    several: bool = False
    candidates: dict[Any, int] | None = field(default=None, repr=False)
    missed: int = 0
    since: int = 0
    decided: Columns = ()
    otherwise: LeafFilter | None = None
    searching_names: bool = False
    _with_odd_names: LeafFilter | None = None
    without_fields: bool = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.without_fields = self.columns == ()

    @property
    def with_odd_names(self) -> LeafFilter:
        """The same for lines of events whose names may be odd."""
        if self._with_odd_names is None:
            candidates: dict[Any, int] | None = None if self.candidates is None else {}
            self._with_odd_names = evolve(self, searching_names=True, candidates=candidates)
        return self._with_odd_names

    def forget(self) -> None:
        """Forget what values came to."""
        others = (self, self.otherwise)
        for one in (*others, *(one._with_odd_names for one in others if one is not None)):
            if one is not None and one.candidates is not None:
                one.candidates.clear()
        if self.probe is not None:
            self.probe.clean.clear()


def leaf_filter_of(
    leaf: Leaf[Classified],
    columns: Columns | None,
    searches: tuple[Search, ...],
    probe: FullProbe | None,
    attributes: Mapping[Path, str],
    deciding: frozenset[Path],
    events: int,
) -> LeafFilter:
    """What is done with the lines of a leaf; ``attributes`` lead to their fields, and so many
    ``events`` were met so far."""
    assert leaf.target is not None
    one_map = len(leaf.target.groups) == 1

    def filter_with(columns: Columns | None) -> LeafFilter:
        leaf_filter = LeafFilter(leaf, columns, searches, one_map, probe)
        paths = sorted({path for column in columns or () for path in column.paths})
        # One look into one table needs no help.
        if len(columns or ()) > 1 and len(paths) > 1:
            leaf_filter.key = attrgetter(*(attributes[path] for path in paths))
            leaf_filter.several = True
            leaf_filter.candidates = {}
            leaf_filter.since = events
        return leaf_filter

    decided = tuple(column for column in columns or () if deciding.issuperset(column.paths))
    if not columns or not decided:
        return filter_with(columns)
    leaf_filter = filter_with(tuple(column for column in columns if column not in decided))
    leaf_filter.decided, leaf_filter.otherwise = decided, filter_with(columns)
    return leaf_filter


def full_probe_of(leaf: Leaf[Classified], opaque: frozenset[Path]) -> FullProbe | None:
    """How lines of a leaf are decoded to all that rules read of them; None where that is not
    known."""
    assert leaf.target is not None
    matchers = [group.matcher for _, group in leaf.target.groups]
    indexes = [matcher.candidate_index for matcher in matchers]
    paths = frozenset[Path]().union(*(matcher.paths for matcher in matchers))
    if any(matcher.presence for matcher in matchers):
        # A structure does not tell what is not there from null.
        return None
    if any(index.text is not None and index.search is None for index in indexes) or not paths:
        return None
    nothing = frozenset[Path]()
    field_decoder = field_decoder_of(paths, nothing, nothing, opaque, paths)
    if field_decoder is None or not field_decoder.attributes.keys() >= paths:
        return None
    return FullProbe(
        field_decoder.decode,
        attrgetter(*(field_decoder.attributes[path] for path in sorted(paths))),
        columns_of(indexes, field_decoder.attributes) if all(p.complete for p in indexes) else None,
        searches_of(indexes),
        tuple(indexes),
    )


def searches_of(indexes: Iterable[CandidateIndex]) -> tuple[Search, ...]:
    """What must not be found in a line if plans without hits are to say that no rule matches."""
    return tuple(p.search for p in indexes if p.text is not None and p.search is not None)


def columns_of(indexes: Iterable[CandidateIndex], attributes: Mapping[Path, str]) -> Columns | None:
    """The columns of plans, for structures with these attributes; None where a plan needs more."""
    columns: list[Column] = []
    for index in indexes:
        if not attributes.keys() >= index.paths:
            return None
        for table, key in index.plain:
            columns.append(Column(table, attrgetter(attributes[key,]), ((key,),)))
        for one in index.computed:
            if one.by_parts is None:
                # A structure does not tell what is not there from null.
                return None
            get = attrgetter(*(attributes[path] for path in one.paths))
            columns.append(Column(one.by_parts, get, one.paths))
    return tuple(columns)


def probe_fields(leaf: Leaf[Classified]) -> frozenset[Path] | None:
    """The fields that can show that no rule matches an event of a leaf; None where no few fields
    can."""
    assert leaf.target is not None
    indexes = [group.matcher.candidate_index for _, group in leaf.target.groups]
    if not all(index.complete for index in indexes):
        return None
    return leaf.target.paths.union(*(index.paths for index in indexes))


def asking_long(
    leaves: Iterable[Leaf[Classified]], decoder: FieldDecoder | None, fields: Any, most: int
) -> frozenset[Leaf[Classified]]:
    """The leaves that ask for a field which is a text of more than ``most`` characters here.

    Such values are too long to be kept. Where one leaf asks for such a field, no event of any leaf
    would be known by its values.
    """
    long = frozenset() if decoder is None else long_fields(decoder, fields, most)
    return frozenset(leaf for leaf in leaves if leaf.asked & long)


def deciding_fields(
    counts: Mapping[Leaf[Classified], int],
) -> tuple[list[Leaf[Classified]], frozenset[Path]]:
    """The leaves that are worth it to decode lines in part for, the most frequent first, and the
    fields that decide that an event is of them. ``counts`` has the events of each leaf."""
    total = sum(counts.values())
    deciding = WRAPPERS
    leaves = []
    for leaf in sorted(counts, key=lambda leaf: -counts[leaf]):
        more = deciding | leaf.asked
        if len(more) <= _MOST_DECIDING and (not more - deciding or counts[leaf] * _WORTH > total):
            deciding = more
            leaves.append(leaf)
    return leaves, deciding


def decoded(decode: Decode, lines: Sequence[bytes]) -> list[Any]:
    """Each line decoded, with None for those that do not fit or are no UTF-8."""
    structures: list[Any] = []
    decoding = map(decode, lines)
    while len(structures) < len(lines):
        try:
            structures += decoding
        except NOT_DECODED:
            # What came before it is in the list already.
            structures.append(None)
    for place in compress(count(), map(not_, map(bytes.isascii, lines))):
        try:
            lines[place].decode()
        except UnicodeDecodeError:
            structures[place] = None
    return structures
