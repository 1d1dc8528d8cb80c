"""Why a peer and carengine differ on an event and a rule, found by trying.

Some causes a peer tells itself: it refused the rule, its query failed, it broke off with an error.
The others are found by reading the rule as the peer does (`dialects`): of the quirks that the peer
is known for, the fewest that turn carengine's verdict into the peer's. Where none does, the
difference is unexplained and says so.
"""

from __future__ import annotations

import itertools
import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from attrs import frozen

import carengine
from carengine.evaluate import NoContext, RawRow, holds
from carengine.fieldmap import find_maps
from carengine.ir import EventKind
from carengine.rule import Rule
from contest import Outcome, Pair
from dialects import Event, Quirk, Reading, Walk

QUIRKS: dict[str, tuple[Quirk, ...]] = {
    "zargunlite": (Quirk.SYSMON_ONLY, Quirk.OWN_NAMES, Quirk.UNKNOWN),
    "azuma": (Quirk.NO_LOG_SOURCE, Quirk.OWN_NAMES, Quirk.ANCHORED, Quirk.FIELD_KEYWORDS),
    "sigma-rule-matcher": (
        Quirk.NO_LOG_SOURCE,
        Quirk.OWN_NAMES,
        Quirk.STRICT_TYPES,
        Quirk.MISSING_EQUAL,
        Quirk.DOUBLED,
    ),
    "Tenzir": (Quirk.NO_LOG_SOURCE, Quirk.OWN_NAMES, Quirk.STRICT_TYPES, Quirk.FIELD_KEYWORDS),
    "python-eql": (),
}
"""What each peer is known for."""

UNEXPLAINED = "unexplained"
OURS = "carengine's engine and the evaluator disagree"
_MOST_AT_ONCE = 3
_EXAMPLES = 3


@frozen
class Cause:
    """A cause of differences: how many pairs only carengine has for it and only the peer has, and
    some of them."""

    text: str
    ours: int
    theirs: int
    rules: int
    examples: tuple[Pair, ...]


@frozen
class Comparison:
    """A peer's matches beside carengine's, on the events that both saw."""

    name: str
    events: int
    both: int
    ours: int
    theirs: int
    causes: tuple[Cause, ...]

    @property
    def unexplained(self) -> int:
        """How many differences have no cause."""
        wanted = (UNEXPLAINED, OURS)
        return sum(c.ours + c.theirs for c in self.causes if c.text in wanted)


class Judge:
    """Knows the rules and events, and finds causes."""

    def __init__(self, rules: Iterable[Rule], lines: Path) -> None:
        self.rules = {rule.id: rule for rule in rules}
        with lines.open("rb") as file:
            self.events: list[Event] = [json.loads(line) for line in file]
        (self.shape,) = find_maps("windows.flat")
        self._readings: dict[str, Reading] = {}

    def plainly(self, events: int) -> frozenset[Pair]:
        """What the evaluator finds with all rules in the first events: the engine's answer by other
        means."""
        by_kind: defaultdict[EventKind, list[Reading]] = defaultdict(list)
        for rule in self.rules.values():
            reading = self._reading(rule.id)
            for kind in reading.kinds:
                by_kind[kind].append(reading)
        found: set[Pair] = set()
        for number, event in enumerate(self.events[:events]):
            row = RawRow(event)
            for entry in self.shape.entries:
                readings = by_kind.get(entry.kind, ())
                if readings and holds(entry.when, row, NoContext()) is True:
                    walk = Walk(event, entry)
                    found.update((number, r.rule.id) for r in readings if r.holds(walk))
        return frozenset(found)

    def _reading(self, name: str) -> Reading:
        reading = self._readings.get(name)
        if reading is None:
            reading = self._readings[name] = Reading.of(self.rules[name])
        return reading

    def compare(self, ours: Outcome, theirs: Outcome) -> Comparison:
        """Put every difference of two outcomes into a cause."""
        seen = min(ours.seen, theirs.seen)
        mine = {pair for pair in ours.pairs if pair[0] < seen}
        other = {pair for pair in theirs.pairs if pair[0] < seen}
        found: defaultdict[str, list[Pair]] = defaultdict(list)
        for pair in sorted(mine ^ other):
            found[self.cause(pair, theirs, ours_has=pair in mine)].append(pair)
        causes = []
        for text, pairs in found.items():
            only_ours = sum(pair in mine for pair in pairs)
            rules = len({rule for _, rule in pairs})
            made = Cause(text, only_ours, len(pairs) - only_ours, rules, tuple(pairs[:_EXAMPLES]))
            causes.append(made)
        causes.sort(key=lambda cause: (-cause.ours - cause.theirs, cause.text))
        return Comparison(
            theirs.name,
            seen,
            len(mine & other),
            len(mine - other),
            len(other - mine),
            tuple(causes),
        )

    def cause(self, pair: Pair, theirs: Outcome, *, ours_has: bool) -> str:
        """The cause of one difference."""
        number, name = pair
        if ours_has:
            if name in theirs.refused:
                return f"rule not taken: {general(theirs.refused[name])}"
            if name in theirs.failed:
                return f"query fails as a whole: {general(theirs.failed[name])}"
            if pair in theirs.raised:
                return f"breaks off: {general(theirs.raised[pair])}"
        reading = self._reading(name)
        event = self.events[number]
        if reading.matches(event, self.shape) is not ours_has:
            return OURS
        quirks = QUIRKS.get(theirs.name, ())
        for size in range(1, _MOST_AT_ONCE + 1):
            for tried in itertools.combinations(quirks, size):
                if reading.matches(event, self.shape, frozenset(tried)) is not ours_has:
                    return "; ".join(quirk.value for quirk in tried)
        return UNEXPLAINED


def general(reason: str) -> str:
    """A reason without the names that only one rule has, so that equal reasons are one."""
    reason = re.sub(r"no such column: .*", "no such column", reason)
    return re.sub(r"0x[0-9a-f]+|\b\d+\b", "N", reason)[:110]


def reasons(told: Iterable[str]) -> list[tuple[str, int]]:
    """Reasons with how often each occurs, the most frequent first."""
    return Counter(map(general, told)).most_common()


PLAIN = "the benchmark's own plain evaluator"


def comparisons(
    outcomes: Sequence[Outcome], folder: Path, lines: Path, compared: int
) -> Iterator[Comparison]:
    """Each peer beside carengine, with the most rules that both ran; and the plain evaluator.

    The evaluator is slow, and sees the first ``compared`` lines only.
    """
    most = max((found.wanted for found in outcomes), default=0)
    last = {found.name: found for found in outcomes if found.wanted == most and not found.reason}
    ours = last.pop("carengine", None)
    if ours is None:
        return
    judge = Judge(carengine.load_rules(folder), lines)
    pairs = judge.plainly(compared)
    yield judge.compare(ours, Outcome(PLAIN, most, seen=compared, pairs=pairs))
    for theirs in last.values():
        yield judge.compare(ours, theirs)
