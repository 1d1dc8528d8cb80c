"""What is known of lines of JSON before they are matched, by what the fields say that decide what
an event is.

All lines of one leaf of the engine's tree have a `Known`. Its *columns* are tables from values of a
line to the rules that these could make true; they need a few fields only::

    line ── few fields ──▶ Known ── columns ──▶ nothing is hit: no rule matches
                                           └──▶ hit: `Further`: all fields that rules read, and what they came to before

Both remember what values came to, in bounded tables, as long as that pays.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import compress, count
from operator import attrgetter, not_
from typing import TYPE_CHECKING, Any, NamedTuple

from attrs import define, field

from ..matcher import Leaf, Plan, Search
from .decoding import Decode, Path, reading_of

if TYPE_CHECKING:
    from ..classes import Classified


class Column(NamedTuple):
    """A table of what rules hang on, what takes its keys from structures, and the paths of what
    these hold."""

    table: Any
    get: Callable[[Any], Any]
    paths: tuple[Path, ...]


Columns = tuple[Column, ...]


@define(eq=False)
class Further:
    """What is done with lines of a leaf for which the fields that are decoded at first do not
    suffice.

    ``decode`` gives all fields that rules read of them, ``values`` takes these; ``columns`` and
    ``searches`` are as in `Known`. ``clean`` says of values whether no rule matches an event with
    them, but for what the searches look for. That was found out with these ``plans``, and holds no
    longer than they do. It ``remembers`` while enough of those that were ``asked`` for are there,
    and not ``missed``. ``vain`` counts the stages, as masks, that were hit by values that no rule
    matches.
    """

    decode: Decode
    values: Callable[[Any], Any]
    columns: Columns | None
    searches: tuple[Search, ...]
    plans: tuple[Plan, ...]
    clean: dict[Any, bool] = field(factory=dict, repr=False)
    remembers: bool = True
    asked: int = 0
    missed: int = 0
    vain: Counter[int] = field(factory=Counter, repr=False)


@define(eq=False)
class Known:
    """What is done with the lines of a leaf of which the deciding fields are known.

    ``columns`` are None where the fields that are decoded at first do not suffice for them.
    ``searches`` tell what must not be found in a line. ``alone`` says that the stages are those of
    one map, ``idle`` that none hangs on any field. ``further`` is what is done where the columns do
    not say that no rule matches.

    Where there are ``several`` columns, ``hits`` has for values of all together, as ``key`` takes
    them, the stages that they could make true, as a mask; it is None while that does not pay.
    ``missed`` counts values of late that were not there; ``since`` is how many events there were
    before.

    ``decided`` are columns that are left out, since the deciding fields are all they read; where
    they say that a rule could match, ``otherwise`` is meant instead.
    """

    leaf: Leaf[Classified]
    columns: Columns | None
    searches: tuple[Search, ...]
    alone: bool
    further: Further | None
    key: Callable[[Any], Any] = lambda fields: None
    several: bool = False
    hits: dict[Any, int] | None = field(default=None, repr=False)
    missed: int = 0
    since: int = 0
    decided: Columns = ()
    otherwise: Known | None = None
    idle: bool = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.idle = self.columns == ()

    def forget(self) -> None:
        """Forget what values came to."""
        for one in (self, self.otherwise):
            if one is not None and one.hits is not None:
                one.hits.clear()
        if self.further is not None:
            self.further.clean.clear()


def known_of(
    leaf: Leaf[Classified],
    columns: Columns | None,
    searches: tuple[Search, ...],
    further: Further | None,
    attributes: Mapping[Path, str],
    deciding: frozenset[Path],
    events: int,
) -> Known:
    """What is done with the lines of a leaf; ``attributes`` lead to their fields, and so many
    ``events`` were met so far."""
    assert leaf.target is not None
    alone = len(leaf.target.groups) == 1

    def made(columns: Columns | None) -> Known:
        known = Known(leaf, columns, searches, alone, further)
        paths = sorted({path for column in columns or () for path in column.paths})
        # One look into one table needs no help.
        if len(columns or ()) > 1 and len(paths) > 1:
            known.key = attrgetter(*(attributes[path] for path in paths))
            known.several = True
            known.hits = {}
            known.since = events
        return known

    decided = tuple(column for column in columns or () if deciding.issuperset(column.paths))
    if not columns or not decided:
        return made(columns)
    known = made(tuple(column for column in columns if column not in decided))
    known.decided, known.otherwise = decided, made(columns)
    return known


def further_of(leaf: Leaf[Classified], opaque: frozenset[Path]) -> Further | None:
    """How lines of a leaf are decoded to all that rules read of them; None where that is not known."""
    assert leaf.target is not None
    matchers = [group.matcher for _, group in leaf.target.groups]
    plans = [matcher.plan for matcher in matchers]
    paths = frozenset[Path]().union(*(matcher.paths for matcher in matchers))
    if any(plan.text is not None and plan.search is None for plan in plans) or not paths:
        return None
    nothing = frozenset[Path]()
    reading = reading_of(paths, nothing, nothing, opaque, paths)
    if reading is None or not reading.attributes.keys() >= paths:
        return None
    return Further(
        reading.decode,
        attrgetter(*(reading.attributes[path] for path in sorted(paths))),
        columns_of(plans, reading.attributes) if all(p.complete for p in plans) else None,
        searches_of(plans),
        tuple(plans),
    )


def searches_of(plans: Iterable[Plan]) -> tuple[Search, ...]:
    """What must not be found in a line if plans without hits are to say that no rule matches."""
    return tuple(p.search for p in plans if p.text is not None and p.search is not None)


def columns_of(plans: Iterable[Plan], attributes: Mapping[Path, str]) -> Columns | None:
    """The columns of plans, for structures with these attributes; None where a plan needs more."""
    found: list[Column] = []
    for plan in plans:
        if not attributes.keys() >= plan.paths:
            return None
        for table, key in plan.plain:
            found.append(Column(table, attrgetter(attributes[key,]), ((key,),)))
        for one in plan.computed:
            get = attrgetter(*(attributes[path] for path in one.paths))
            found.append(Column(one.by_parts, get, one.paths))
    return tuple(found)


def hung_on(leaf: Leaf[Classified]) -> frozenset[Path] | None:
    """The fields that can show that no rule matches an event of a leaf; None where no few fields
    can."""
    assert leaf.target is not None
    plans = [group.matcher.plan for _, group in leaf.target.groups]
    if not all(plan.complete for plan in plans):
        return None
    return leaf.target.paths.union(*(plan.paths for plan in plans))


def decoded(decode: Decode, lines: Sequence[bytes]) -> list[Any]:
    """Each line decoded, with None for those that do not fit or are no UTF-8."""
    found: list[Any] = []
    decoding = map(decode, lines)
    while len(found) < len(lines):
        try:
            found += decoding
        except (ValueError, TypeError, AttributeError, RecursionError):
            # What came before it is in the list already.
            found.append(None)
    for place in compress(count(), map(not_, map(bytes.isascii, lines))):
        try:
            lines[place].decode()
        except UnicodeDecodeError:
            found[place] = None
    return found
