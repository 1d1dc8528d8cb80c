"""What the prefilter of one session has learned about the events, for the next session.

It makes the next session fast from its first line, and changes nothing that it finds. It is shared
by sessions, which may be in several threads: its tables are only added to, or forgotten as a whole.
Whatever is learned anew is put into new tables.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attrs import define, field, frozen

from ..matcher import CandidateIndex, Leaf, Search
from .decoding import WRAPPERS, Decode, FieldDecoder, Path
from .leaf_filter import CandidateTest, LeafFilter

if TYPE_CHECKING:
    from ..classes import Classified


@frozen(eq=False)
class Learned:
    """What to decode of a line at first, and what is known of the events of each leaf.

    ``deciding`` are the fields that decide what frequent events are, ``fields`` all that are
    decoded at first, to dictionaries by ``decode``; at ``opaque`` paths mappings are refused.

    For the leaves that these fields lead to, ``decoders`` has what decodes all that rules read of
    such events; None where they are better decoded whole. Where ``fields`` suffice to tell that no
    stage can hold, ``indexes`` and ``tests`` tell it, and ``searches`` what must not be found in
    the line. It was all made with the candidate indexes ``made_with``.

    ``field_decoder`` decodes the same fields to structures, which is faster. ``by_values`` leads
    from the values of the deciding fields to what is done with a line, ``by_leaf`` from its leaf;
    ``entries`` counts how many of ``by_values`` are of a leaf. Leaves in ``varied`` are left out,
    since their deciding values hardly ever come again. ``strict`` says that structures refuse what
    frequent events lack. ``texts`` and ``clean_bytes`` are what `LeafFilter` and `FullProbe`
    remember by, and how much of it there is. ``review_at`` is after how many lines that were not
    taken at once the choice is looked at again.
    """

    opaque: frozenset[Path]
    review_at: int
    deciding: frozenset[Path] = WRAPPERS
    fields: frozenset[Path] = WRAPPERS
    decode: Decode | None = None
    decoders: dict[Leaf[Classified], Decode | None] = field(factory=dict)
    indexes: dict[Leaf[Classified], list[CandidateIndex]] = field(factory=dict)
    tests: dict[Leaf[Classified], tuple[CandidateTest, ...]] = field(factory=dict)
    searches: dict[Leaf[Classified], tuple[Search, ...]] = field(factory=dict)
    made_with: dict[Leaf[Classified], tuple[CandidateIndex, ...]] = field(factory=dict)
    field_decoder: FieldDecoder | None = None
    by_values: dict[Any, LeafFilter] = field(factory=dict)
    by_leaf: dict[Leaf[Classified], LeafFilter] = field(factory=dict)
    entries: dict[Leaf[Classified], int] = field(factory=dict)
    varied: frozenset[Leaf[Classified]] = frozenset()
    strict: bool = True
    texts: dict[str, str] = field(factory=dict)
    clean_bytes: int = 0


@define(eq=False)
class LearnedStore:
    """The latest that sessions of an engine have learned; None before the first has."""

    latest: Learned | None = None
