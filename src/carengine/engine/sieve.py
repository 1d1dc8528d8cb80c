"""Telling from a line of JSON, without decoding all of it, that no rule matches.

Most events match nothing, and of most events the rules read a few fields. So a line is first decoded to a few fields
only (by ``msgspec``, the extra ``carengine[fast]``), classified and matched; only a line that a rule does match,
or that is unusual, is decoded whole and fed like any other::

    line ──▶ the fields that decide what it is, and those that rules of frequent events hang on
         ──▶ Classified ──▶ no stage is hit ──▶ counted, done
                        └─▶ hit, or not frequent ──▶ all fields that its rules read ──▶ no stage holds ──▶ counted, done
    anything unusual, or a match ──▶ the whole line, the usual way

Which events are frequent is looked at a few times while lines go by.

The outcome is that of decoding every line whole. The partial decoder checks all of the line's JSON but for the
encoding of what it skips, which is checked before. It refuses every value that it would read otherwise than the
whole decoder does: lists, mappings, integers beyond 64 bits. All refusals lead the usual way.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, TypedDict

from .matcher import Leaf, WholeEventNeeded

if TYPE_CHECKING:
    from .account import Account
    from .classes import Classified
    from .engine import Engine

try:
    import msgspec
except ImportError:
    msgspec = None  # type: ignore[assignment]

AVAILABLE = msgspec is not None
"""Whether lines can be decoded in part."""

Path = tuple[str, ...]
Decode = Callable[[bytes], Any]
Test = Callable[[Any], int]

# More fields than this are not decoded faster than everything.
_MOST_FIELDS = 60
# Nor are they where more than this decide what an event is.
_MOST_DECIDING = 20
# An event is frequent enough to ask for more where it is one of so many.
_WORTH = 200
# What a field costs when all lines are decoded for it, and what decoding a line once more costs, in
# the same unit (measured: microseconds on lines of 2 KB).
_FIELD_COST = 0.08
_AGAIN_COST = 1.8
# After how many lines decoded twice it is first looked at which events are frequent.
_FIRST_REVIEW = 64
# Whole decoders give up at 1024 brackets in brackets.
_DEPTH = 1024
_MOST_BRACKETS = 900
# A wrapped event is decoded whole: these keys must not hold a mapping.
_WRAPPERS: frozenset[Path] = frozenset({("_source",), ("result",)})


class Sieve:
    """Takes the lines that give no match; they are counted in the account.

    One for each session: it learns from the account which events are frequent.
    """

    def __init__(
        self, engine: Engine, account: Account, tick: Callable[[int], None] | None = None
    ) -> None:
        self._account = account
        # Joins and groups want the time of every event, whatever it is: it moves their clock.
        self._tick = tick
        self._find = engine.find
        self._opaque = engine.opaque
        # The fields that decide what frequent events are, and all that are decoded at first.
        self._deciding = _WRAPPERS
        self._fields = _WRAPPERS
        self._decode: Decode | None = None
        # For the leaves that these fields lead to: what decodes all that rules read of such events, None where that
        # is better decoded whole. And where the fields suffice for it, what tells that no stage can hold.
        self._decoders: dict[Leaf[Classified], Decode | None] = {}
        self._tests: dict[Leaf[Classified], tuple[Test, ...]] = {}
        # Of some of these, what must not be found in the line.
        self._searches: dict[Leaf[Classified], tuple[Callable[[bytes], Any], ...]] = {}
        # How many events of each leaf the matchers know of.
        self._told: dict[Leaf[Classified], int] = {}
        self._usable = AVAILABLE
        self._count_brackets = self._usable and _decodes_deep()
        # Lines that were not taken at once, and when it is looked at why.
        self._slow = 0
        self._review_at = _FIRST_REVIEW

    def take(self, line: bytes) -> bool:
        """Whether a line is certainly an event that gives no match. It is then counted, and done with.

        False says nothing about the line: it is to be decoded whole, and fed.
        """
        decode = self._decode
        if decode is None:
            return self._slowly()
        try:
            if not line.isascii():
                line.decode()
            partial = decode(line)
            leaf = self._find(partial)
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
                        if search(line) is not None:
                            return self._slowly()
        except (ValueError, RecursionError, WholeEventNeeded):
            return self._slowly()
        if self._count_brackets and line.count(b"{") + line.count(b"[") > _MOST_BRACKETS:
            return False
        recent = self._account.recent
        if leaf in recent:
            recent[leaf] += 1
        else:
            self._account.met(leaf)  # type: ignore[arg-type]
        if self._tick is not None:
            for event_class in leaf.target.classes:  # type: ignore[union-attr]
                if (time := event_class.time(partial)) is not None:
                    self._tick(time)
        return True

    def _slowly(self) -> bool:
        """Note that a line was not taken at once."""
        self._slow += 1
        if self._slow >= self._review_at and self._usable:
            self._review()
        return False

    def _again(
        self, leaf: Leaf[Classified], line: bytes, known: list[int] | None, partial: Any
    ) -> Any:
        """The line, decoded once more for all that rules read; None if it is no event of that leaf without a match.

        ``known`` are the stages that could match, for each group, where that was found out already.
        """
        decode = self._decoders[leaf]
        if decode is None:
            return None
        if decode is not self._decode:
            self._slowly()
            partial = decode(line)
            if self._find(partial) is not leaf:
                return None
        assert leaf.target is not None
        for place, (_, group) in enumerate(leaf.target.groups):
            hits = None if known is None else known[place]
            if group.matcher.match(partial, None, hits, line):
                return None
        return partial

    def _review(self) -> None:
        """Choose what is decoded at first: what decides what frequent events are, and what their rules hang on."""
        self._review_at = self._slow + 6 * self._review_at
        counts = dict(self._account.recent)
        total = max(1, sum(counts.values()))
        frequent = sorted(counts, key=lambda leaf: -counts[leaf])
        deciding = _WRAPPERS
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
            if leaf in self._tests:
                self._tell(leaf, counts[leaf])
            self._told[leaf] = counts[leaf]
            first = _hung_on(leaf)
            if first is not None:
                new = first - fields
                if len(new) * _FIELD_COST < _AGAIN_COST * counts[leaf] / total:
                    fields |= new
        for leaf in leaves:
            assert leaf.target is not None
            self._opaque |= leaf.target.opaque
            for _, group in leaf.target.groups:
                self._opaque |= group.matcher.opaque
        self._deciding, self._fields = deciding, fields
        self._decode = _decoder(fields, self._opaque) if leaves else None
        self._decoders.clear()
        self._tests.clear()
        self._searches.clear()
        for leaf in leaves:
            self._prepare(leaf)

    def _tell(self, leaf: Leaf[Classified], number: int) -> None:
        """Let the matchers know of the events that they were not shown."""
        assert leaf.target is not None
        for _, group in leaf.target.groups:
            group.matcher.passed(max(0, number - self._told.get(leaf, 0)))

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
            decode = self._decode if whole else _decoder(needed | _WRAPPERS, self._opaque)
        self._decoders[leaf] = decode
        if (
            decode is not None
            and classified.paths <= self._fields
            and all(plan.complete and plan.paths <= self._fields for plan in plans)
        ):
            self._tests[leaf] = tuple(plan.hits for plan in plans)
            searches = tuple(p.might_hold for p in plans if p.text is not None and p.might_hold)
            if searches:
                self._searches[leaf] = searches


def _hung_on(leaf: Leaf[Classified]) -> frozenset[Path] | None:
    """The fields that can show that no rule matches an event of a leaf; None where no few fields can."""
    assert leaf.target is not None
    plans = [group.matcher.plan for _, group in leaf.target.groups]
    if not all(plan.complete for plan in plans):
        return None
    return leaf.target.paths.union(*(plan.paths for plan in plans))


def _decodes_deep() -> bool:
    """Whether the partial decoder skips values so deep that whole decoders refuse them.

    That depends on the Python version and its settings.
    """
    try:
        msgspec.json.Decoder(_typed_dict({})).decode(b'{"":' + b"[" * _DEPTH + b"]" * _DEPTH + b"}")
    except (ValueError, RecursionError):
        return False
    return True


def _decoder(paths: frozenset[Path], opaque: frozenset[Path]) -> Decode | None:
    """A decoder that gives the values at these paths only; None if it cannot be made.

    It refuses mappings at the ends of paths, and at ``opaque`` ones even where other paths go on.
    """
    tree: dict[str, Any] = {}
    for path in sorted(paths):
        inner = tree
        for key in path:
            inner = inner.setdefault(key, {})
    try:
        return msgspec.json.Decoder(_type_of(tree, paths, opaque, ())).decode
    except (TypeError, ValueError, RecursionError):
        return None


def _type_of(
    tree: dict[str, Any], paths: frozenset[Path], opaque: frozenset[Path], at: Path
) -> Any:
    integer = Annotated[int, msgspec.Meta(ge=-(1 << 63), le=(1 << 63) - 1)]
    scalar: Any = str | bool | integer | float | None
    types: dict[str, Any] = {}
    for key, below in tree.items():
        path = (*at, key)
        if not below or path in opaque:
            types[key] = scalar
        else:
            inner = _type_of(below, paths, opaque, path)
            # A place that is read itself and looked into: a mapping there has no text either way.
            types[key] = inner | scalar if path in paths else inner | None
    return _typed_dict(types)


def _typed_dict(types: dict[str, Any]) -> Any:
    make: Any = TypedDict
    return make("Fields", types, total=False)
