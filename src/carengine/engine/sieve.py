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

from .matcher import WholeEventNeeded

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
_MOST_FIELDS = 40
# What a field costs when all lines are decoded for it, and what decoding a line once more costs, in
# the same unit (measured: microseconds on lines of 2 KB).
_FIELD_COST = 0.08
_AGAIN_COST = 1.8
_MOST_CLASSES = 2_000
# After how many lines decoded twice it is first looked at which events are frequent.
_FIRST_REVIEW = 64
# Whole decoders give up at 1024 brackets in brackets.
_DEPTH = 1024
_MOST_BRACKETS = 900
# A wrapped event is decoded whole: these keys must not hold a mapping.
_WRAPPERS: frozenset[Path] = frozenset({("_source",), ("result",)})


class Sieve:
    """Takes the lines that give no match; they are counted in the account.

    One for each session: it learns which events are frequent.
    """

    def __init__(
        self, engine: Engine, account: Account, tick: Callable[[int], None] | None = None
    ) -> None:
        self._account = account
        # Joins and groups want the time of every event, whatever it is: it moves their clock.
        self._tick = tick
        self._classify = engine.classify
        # The fields that decide what an event is, and all that are decoded at first.
        self._deciding = engine.routing_paths | _WRAPPERS
        self._fields = self._deciding
        self._opaque = engine.routing_opaque
        usable = AVAILABLE and not engine.routing_reads_text
        self._decode = _decoder(self._fields, self._opaque) if usable else None
        # Of the events that these fields are enough for: what tells that no stage can hold. And what
        # decodes all that the rules read of an event; None where it is better decoded whole.
        self._tests: dict[Classified, tuple[Test, ...]] = {}
        self._decoders: dict[Classified, Decode | None] = {}
        # How many events of each class the matchers know of.
        self._told: dict[Classified, int] = {}
        self._twice = 0
        self._review_at = _FIRST_REVIEW
        self._count_brackets = self._decode is not None and _decodes_deep()

    def take(self, line: bytes) -> bool:
        """Whether a line is certainly an event that gives no match. It is then counted, and done with.

        False says nothing about the line: it is to be decoded whole, and fed.
        """
        decode = self._decode
        if decode is None:
            return False
        try:
            if not line.isascii():
                line.decode()
            partial = decode(line)
            classified = self._classify(partial)
            tests = self._tests.get(classified)
            if tests is None:
                if not self._again(classified, line, None, partial):
                    return False
            else:
                for test in tests:
                    if hits := test(partial):
                        known = [hits] if len(tests) == 1 else None
                        if not self._again(classified, line, known, partial):
                            return False
                        break
        except (ValueError, RecursionError, WholeEventNeeded):
            return False
        if self._count_brackets and line.count(b"{") + line.count(b"[") > _MOST_BRACKETS:
            return False
        recent = self._account.recent
        if classified in recent:
            recent[classified] += 1
        else:
            self._account.met(classified)
        if self._tick is not None:
            for event_class in classified.classes:
                if (time := event_class.time(partial)) is not None:
                    self._tick(time)
        return True

    def _again(
        self, classified: Classified, line: bytes, known: list[int] | None, partial: Any
    ) -> bool:
        """Whether the line, decoded once more for all that the rules read, is an event of a class without a match.

        ``known`` are the stages that could match, for each group, where that was found out already.
        """
        if classified not in self._decoders:
            # The first of each class is decoded whole.
            self._meet(classified)
            return False
        decode = self._decoders[classified]
        if decode is None:
            return False
        if decode is not self._decode:
            self._twice += 1
            if self._twice >= self._review_at:
                self._review()
            partial = decode(line)
            if self._classify(partial) is not classified:
                return False
        for place, (_, group) in enumerate(classified.groups):
            hits = None if known is None else known[place]
            if group.matcher.match(partial, None, hits):
                return False
        return True

    def _meet(self, classified: Classified) -> None:
        """Make what takes the lines of a class."""
        opaque = self._opaque.union(*(group.matcher.opaque for _, group in classified.groups))
        if not classified.paths <= self._fields or opaque != self._opaque:
            # What it is was told without a field that it depends on, or without all of one.
            self._deciding |= classified.paths
            self._opaque = opaque
            self._extend(self._fields | classified.paths)
            return
        if len(self._decoders) >= _MOST_CLASSES:
            return
        matchers = [group.matcher for _, group in classified.groups]
        plans = [matcher.plan for matcher in matchers]
        needed = classified.paths.union(*(matcher.paths for matcher in matchers))
        decode = None
        # Whoever reads wants to see what no map recognises.
        if classified.maps and len(needed) <= _MOST_FIELDS:
            decode = (
                self._decode
                if needed <= self._fields
                else _decoder(needed | self._deciding, self._opaque)
            )
        self._decoders[classified] = decode
        if decode is not None and all(
            plan.complete and plan.paths <= self._fields for plan in plans
        ):
            self._tests[classified] = tuple(plan.hits for plan in plans)

    def _first(self, classified: Classified) -> frozenset[Path] | None:
        """The fields that can show that no rule matches an event; None where no few fields can."""
        plans = [group.matcher.plan for _, group in classified.groups]
        if not all(plan.complete for plan in plans):
            return None
        return classified.paths.union(*(plan.paths for plan in plans))

    def _extend(self, fields: frozenset[Path]) -> None:
        self._fields = fields
        self._decode = _decoder(fields, self._opaque)
        self._tests.clear()
        self._decoders.clear()

    def _review(self) -> None:
        """Decode at first what tells of events that are frequent enough to pay for it."""
        self._review_at = self._twice + 8 * self._review_at
        counts = self._account.recent
        total = max(1, sum(counts.values()))
        fields = self._deciding
        for classified in sorted(counts, key=lambda one: -counts[one]):
            number = counts[classified]
            if classified in self._tests:
                for _, group in classified.groups:
                    group.matcher.passed(max(0, number - self._told.get(classified, 0)))
            self._told[classified] = number
            first = self._first(classified)
            if first is None:
                continue
            new = first - fields
            if len(new) * _FIELD_COST < _AGAIN_COST * number / total:
                fields |= new
        # Also where the fields are the same: what stages hang on may have changed.
        self._extend(fields)


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
