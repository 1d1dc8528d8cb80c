"""What rules cost: where the time of a run goes.

A `Profile` is the observer of an engine of its own, which asks it for everything that it does. What
belongs to one rule is counted for that rule: how often one of its conditions was tried on an event,
how often it held, and how long that took; of a rule with joins or groups also what these took. The
rest is *shared*: finding out what an event is and which stages it could make true is done once for
all rules, and is told by classes of events and by columns::

    profile = Profile(carengine.Engine(rules))
    session = profile.session()
    for event in events:
        session.feed(event)
    for row in profile.rows(session.stats):
        print(row.kind, row.name, row.seconds)

Time is that of the clock on the wall. Looking at it costs time itself, so that rules are to be
compared with each other, and not with a run without a profile; without one nothing is measured and
nothing is slower.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from time import perf_counter_ns
from typing import Any, TypeVar, cast

from attrs import frozen

from ... import ir
from ..classes import EventClass
from ..engine import Engine
from ..match import Match, Origin
from ..matcher import MatcherObserver
from ..matcher.columns import CandidateTable, Column, FacetAnchors, Memory
from ..matcher.verdicts import Verdict
from ..session import Session
from ..stats import SessionStats
from ..streams import StreamOptions

Key = tuple[Any, ...]
"""What time went to: its kind, and what it is about; plain data."""

Call = TypeVar("Call", bound=Callable[..., Any])
Start = tuple[int, int]

_BILLION = 1_000_000_000


@frozen
class Cost:
    """What something cost in a run.

    ``kind`` is

    * ``rule``: what was done for this rule alone;
    * ``shared rules``: conditions that ``rules`` have in common, and joins and groups that they do;
    * ``class``: finding the stages that events of a class could make true, ``name`` being its field
      map and kind;
    * ``column``: values of a column of a class that had not been met before, or are not remembered;
    * ``phase``: everything else: reading, telling what events are, making matches, writing.

    ``seconds`` are shared out once: all rows together are the run. ``share`` is the part of that.
    ``events`` is how many events of a kind that the rule searches for there were; of other rows,
    how often this was done. ``tries`` counts how often a condition was decided, ``passes`` how
    often it held, ``matches`` what came of it. An event that was a line of JSON may be tried twice:
    on some of its fields, and, where these do not settle it, whole.

    >>> import carengine
    >>> profile = carengine.Profile(carengine.Engine([]))
    >>> {row.kind for row in profile.rows()} <= {"rule", "shared rules", "class", "column", "phase"}
    True
    """

    kind: str
    name: str
    title: str
    rules: tuple[str, ...]
    seconds: float
    share: float
    events: int = 0
    tries: int = 0
    passes: int = 0
    matches: int = 0

    def as_json(self) -> dict[str, Any]:
        """The row as plain data."""
        data: dict[str, Any] = {"kind": self.kind, "name": self.name}
        if self.kind == "rule":
            data["title"] = self.title
        if self.kind == "shared rules":
            data["rules"] = list(self.rules)
        data |= {"seconds": round(self.seconds, 6), "share": round(self.share, 6)}
        data["events"] = self.events
        if self.kind in ("rule", "shared rules"):
            data |= {"tries": self.tries, "passes": self.passes}
        if self.kind == "rule":
            data["matches"] = self.matches
        return data


class _TimedTable(CandidateTable):
    """A table that notes what it takes to look into a value."""

    __slots__ = ("_key", "_profile")

    def __init__(
        self, anchors: tuple[FacetAnchors, ...], memory: Memory, profile: Profile, key: Key
    ) -> None:
        super().__init__(anchors, memory)
        self._profile, self._key = profile, key

    def __missing__(self, value: Any) -> int:
        if type(value) is not str:
            return super().__missing__(value)  # which asks `of`
        profile = self._profile
        start = profile.enter()
        try:
            return super().__missing__(value)
        finally:
            profile.leave(self._key, start)

    def of(self, value: Any) -> int:
        """The mask of any value."""
        profile = self._profile
        start = profile.enter()
        try:
            return super().of(value)
        finally:
            profile.leave(self._key, start)


class _ProfiledSession(Session):
    """A session of which the whole of `feed` is measured."""

    def __init__(self, profile: Profile, options: StreamOptions | None) -> None:
        super().__init__(profile.engine, options)
        self._measured = profile.timed(FEEDING, super().feed)

    def feed(self, event: Mapping[str, Any], origin: Origin | None = None) -> list[Match]:
        """The matches that an event completes; see `Session.feed`."""
        return self._measured(event, origin)


@frozen(eq=False)
class _MatcherProfile:
    """Looks on at one matcher. ``stages`` has the numbers of its stages by their places."""

    profile: Profile
    name: str
    stages: tuple[int, ...]

    def compiling(self, compile_: Call) -> Call:
        """The same, timed."""
        return self.profile.timed(COMPILING, compile_)

    def matching(self, match: Call) -> Call:
        """The same, timed."""
        return self.profile.timed(("class", self.name), match)

    def verdicts(self, verdicts: list[tuple[int, Verdict]]) -> list[tuple[int, Verdict]]:
        """The same verdicts, counted and timed."""
        return [
            (place, self.profile.judging(("stage", self.stages[place]), verdict))
            for place, verdict in verdicts
        ]

    def table(
        self, column: Column, anchors: tuple[FacetAnchors, ...], memory: Memory
    ) -> CandidateTable:
        """The same table, timed."""
        path = column.path
        shown = ".".join(path) if path else ", ".join(sorted(map(".".join, column.paths)))
        return _TimedTable(anchors, memory, self.profile, ("column", self.name, shown))


class Profile:
    """Measures what the rules of an engine cost: an observer of ``engine``, which is another one of
    the same rules and maps.

    One profile is for one thread. What other processes measured can be added: `taken` and `add`.

    >>> import carengine
    >>> rule = carengine.parse_rule('a = search Process:Create where exe = "x.exe" output a')
    >>> event = {"object": "process", "action": "create", "exe": "x.exe", "pid": 7}
    >>> profile = carengine.Profile(carengine.Engine([rule]))
    >>> session = profile.session()
    >>> matches = session.feed(event)
    >>> [row.matches for row in profile.rows(session.stats) if row.kind == "rule"]
    [1]
    """

    def __init__(self, engine: Engine) -> None:
        # Nanoseconds, how often, and how often that held; by what it was for.
        self._counts: dict[Key, list[int]] = {}
        # The time of everything that was measured inside of what is being measured.
        self._inner = 0
        self.engine = Engine(engine.rules, engine.maps, observer=self)

    def session(self, options: StreamOptions | None = None) -> Session:
        """A session of the engine whose every step is measured."""
        return _ProfiledSession(self, options)

    # What the engine asks for: see `Observer`

    def matcher(self, stages: Sequence[tuple[int, EventClass, int]]) -> MatcherObserver:
        """Who looks on at the matcher of these stages."""
        owners = dict.fromkeys(owner.name for _, owner, _ in stages)
        name = ", ".join(owners) or "no class"
        return _MatcherProfile(self, name, tuple(number for _, _, number in stages))

    def step(self, rules: Sequence[str], step: Call) -> Call:
        """A step of a node that works for these rules, measured."""
        return self.timed(("node", *rules), step)

    # Measuring

    def enter(self) -> Start:
        """Something begins."""
        return perf_counter_ns(), self._inner

    def leave(self, key: Key, start: Start, passed: int = 0) -> None:
        """It has ended; what was measured inside of it is not its own."""
        elapsed = perf_counter_ns() - start[0]
        counts = self._counts.get(key)
        if counts is None:
            counts = self._counts[key] = [0, 0, 0]
        counts[0] += elapsed - (self._inner - start[1])
        counts[1] += 1
        counts[2] += passed
        self._inner = start[1] + elapsed

    def timed(self, key: Key, call: Call) -> Call:
        """A function that does the same, and is measured."""

        def measured(*arguments: Any, **named: Any) -> Any:
            start = self.enter()
            try:
                return call(*arguments, **named)
            finally:
                self.leave(key, start)

        return cast(Call, measured)

    def timed_steps(
        self, key: Key, call: Callable[..., Iterator[int]]
    ) -> Callable[..., Iterator[int]]:
        """The same for an iterator: each of its steps is measured."""

        def measured(*arguments: Any) -> Iterator[int]:
            steps = call(*arguments)
            while True:
                start = self.enter()
                try:
                    step = next(steps, None)
                finally:
                    self.leave(key, start)
                if step is None:
                    return
                yield step

        return measured

    def judging(self, key: Key, verdict: Verdict) -> Verdict:
        """A verdict that is measured, and of which it is counted how often it holds."""

        def measured(look: Any) -> bool:
            start = self.enter()
            passed = False
            try:
                passed = verdict(look)
            finally:
                self.leave(key, start, passed)
            return passed

        return measured

    # From one process to another

    def taken(self) -> list[tuple[Key, list[int]]]:
        """What was measured since the last time, as plain data; it is forgotten here."""
        measured = [(key, numbers) for key, numbers in self._counts.items()]
        self._counts = {}
        return measured

    def add(self, measured: Iterable[tuple[Key, list[int]]]) -> None:
        """Add what `taken` gave in another process."""
        for key, numbers in measured:
            counts = self._counts.setdefault(tuple(key), [0, 0, 0])
            for place, number in enumerate(numbers):
                counts[place] += number

    # What came out

    def rows(self, stats: SessionStats | None = None) -> list[Cost]:
        """What everything cost, the dearest first; every rule has a row, whatever it cost.

        With the account of the run, rules have the numbers of their events and matches.
        """
        rules = {rule.id: rule for rule in self.engine.rules}
        own: dict[tuple[str, ...], list[int]] = {(id_,): [0, 0, 0] for id_ in rules}
        others: list[tuple[Key, list[int]]] = []
        for key, numbers in self._counts.items():
            match key:
                case ("stage", number):
                    ids = dict.fromkeys(t.rule.id for t in self.engine.targets(number))
                    _sum(own, tuple(sorted(ids)), numbers)
                case ("node", *ids):
                    _sum(own, tuple(ids), [numbers[0], 0, 0])
                case _:
                    others.append((key, numbers))
        total = max(1, sum(numbers[0] for numbers in self._counts.values()))

        def cost(
            kind: str,
            name: str,
            spent: int,
            title: str = "",
            rules: tuple[str, ...] = (),
            **more: int,
        ) -> Cost:
            return Cost(kind, name, title, rules, spent / _BILLION, spent / total, **more)

        met = stats or SessionStats()
        kinds = self._kinds()
        number_of = _events_by_kind(met)
        matches = met.matches
        rows = []
        for owners, (spent, tries, passes) in own.items():
            counts = {"tries": tries, "passes": passes}
            if len(owners) == 1:
                [id_] = owners
                counts["events"] = sum(number_of.get(kind, 0) for kind in kinds.get(id_, ()))
                counts["matches"] = matches[id_]
                rows.append(cost("rule", id_, spent, rules[id_].title, owners, **counts))
            else:
                name = f"{len(owners)} rules"
                rows.append(cost("shared rules", name, spent, "", owners, events=tries, **counts))
        for key, (spent, times, _) in others:
            rows.append(cost(str(key[0]), ": ".join(key[1:]), spent, events=times))
        return sorted(rows, key=lambda row: (-row.seconds, row.kind, row.name, row.rules))

    def _kinds(self) -> dict[str, set[ir.EventKind]]:
        """The kinds of events that each rule's stages search for."""
        kinds: dict[str, set[ir.EventKind]] = {}
        for number, stage in enumerate(self.engine.stages):
            for target in self.engine.targets(number):
                kinds.setdefault(target.rule.id, set()).update(stage.kinds)
        return kinds


READING = ("phase", "reading evidence")
PREFILTERING = ("phase", "telling of lines that no rule can match")
FEEDING = ("phase", "telling what events are, and making matches")
COMPILING = ("phase", "compiling conditions for a class of events")
WRITING = ("phase", "writing matches")
MERGING = ("phase", "putting together what processes found")


def _sum(own: dict[tuple[str, ...], list[int]], ids: tuple[str, ...], numbers: list[int]) -> None:
    sums = own.setdefault(ids, [0, 0, 0])
    for place, number in enumerate(numbers):
        sums[place] += number


def _events_by_kind(stats: SessionStats) -> Mapping[ir.EventKind, int]:
    counts: dict[ir.EventKind, int] = {}
    for (_, kind), number in stats.kinds.items():
        counts[kind] = counts.get(kind, 0) + number
    return counts
