"""The account of a run, or of a part of one: plain data that can be added up.

A run in many places has as many accounts. Their sum says what one place would have said: how many
events there were, what was not recognised, not read, late or dropped, and which rules that befell.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from attrs import define, evolve, field

from .. import ir
from ..diagnostics import Diagnostic, codes, counted
from ..evaluate import Expression, expression_of
from ..rule import Rule
from .stats import SessionStats, difference
from .streams import Flow
from .streams.merging import MOST_WAITING

# How many late events and events without a time are named.
_NAMED = 20


@define(eq=False)
class RunAccount:
    """What went through a run, and what took no part in it as it should.

    ``stats`` counts events and matches. ``dropped`` are rows that memory had no room for, ``forced``
    how often the clock had to move on for it; ``untried`` and ``withheld`` are pairs of events that
    joins left out, by the rules and the branches.
    """

    stats: SessionStats = field(factory=SessionStats)
    dropped: Counter[str] = field(factory=Counter)
    forced: int = 0
    untried: Counter[tuple[str, str]] = field(factory=Counter)
    withheld: Counter[tuple[str, str]] = field(factory=Counter)
    merged: int = 0
    """How many records another stands for that tells of the same."""
    early: int = 0
    """How many rows waited for other records and had to go on before their time."""
    undecided: Counter[str] = field(factory=Counter)
    """In how many events the regular expressions of a rule were left undecided, by its id."""
    undecided_events: int = 0

    def note_flow(self, flow: Flow) -> None:
        """Take over what joins and groups had no room for."""
        self.dropped.update(flow.dropped)
        self.forced += flow.forced
        self.merged += flow.waiting.merged
        self.early += flow.waiting.early
        for rules, node in flow.cut_joins():
            join = (", ".join(rules), node.names)
            self.untried[join] += node.untried
            self.withheld[join] += node.withheld

    def note_undecided(
        self, expressions: Mapping[Expression, int], events: int, rules: Iterable[Rule]
    ) -> None:
        """Take over which expressions cost too much, and in how many events."""
        self.undecided_events += events
        if not expressions:
            return
        for rule in rules:
            number = max((expressions.get(one, 0) for one in _expressions(rule)), default=0)
            if number:
                self.undecided[rule.id] += number

    def as_data(self) -> dict[str, Any]:
        """The account as plain data, for `add`."""
        stats = self.stats
        counts, _ = difference(stats, {})
        return {
            "stats": counts,
            "unread_objects": dict(stats.unread_objects),
            "late": [stats.late, stats.late_by, stats.late_origins],
            "untimed": [stats.untimed, stats.untimed_origins],
            "dropped": dict(self.dropped),
            "forced": self.forced,
            "untried": [[*join, number] for join, number in self.untried.items()],
            "withheld": [[*join, number] for join, number in self.withheld.items()],
            "undecided": [self.undecided_events, dict(self.undecided)],
            "merged": [self.merged, self.early],
        }

    def add(self, data: Mapping[str, Any]) -> None:
        """Count in another account, as its `as_data` gave it."""
        stats = self.stats
        stats.add(data["stats"])
        stats.unread_objects.update(data["unread_objects"])
        late, late_by, late_origins = data["late"]
        stats.late += late
        stats.late_by = max(stats.late_by, late_by)
        untimed, untimed_origins = data["untimed"]
        stats.untimed += untimed
        for origins, more in (
            (stats.late_origins, late_origins),
            (stats.untimed_origins, untimed_origins),
        ):
            origins += more[: max(0, _NAMED - len(origins))]
        self.dropped.update(data["dropped"])
        self.forced += data["forced"]
        for counter, rows in ((self.untried, data["untried"]), (self.withheld, data["withheld"])):
            for rules, names, number in rows:
                counter[rules, names] += number
        events, undecided = data["undecided"]
        self.undecided_events += events
        self.undecided.update(undecided)
        merged, early = data["merged"]
        self.merged += merged
        self.early += early

    @property
    def diagnostics(self) -> list[Diagnostic]:
        """What there is to say of events that could not take part as they should (CE540 to CE542,
        CE549, CE551, CE555, CE312)."""
        stats = self.stats
        diagnostics = stats.of_times()
        if self.dropped:
            parts = [f"{counted(n, 'row')} of {what}" for what, n in sorted(self.dropped.items())]
            message = (
                "memory for joins and groups was full: "
                f"{counted(self.dropped.total(), 'row')} dropped, and matches with them lost"
            )
            diagnostics.append(Diagnostic(codes.STATE_CEILING, message, notes=tuple(parts)))
        if self.forced and stats.late:
            note = "memory was full before the end, so that the clock had to move on"
            diagnostics[0] = evolve(diagnostics[0], notes=(*diagnostics[0].notes, note))
        if self.untried or self.withheld:
            diagnostics.append(self._of_cut_joins())
        if self.undecided_events:
            diagnostics.append(self._of_undecided())
        if self.early:
            diagnostics.append(self._of_early())
        return [*diagnostics, *stats.of_objects(), *stats.faults.diagnostics()]

    def _of_cut_joins(self) -> Diagnostic:
        left_out = self.untried.total() + self.withheld.total()
        message = (
            f"joins reached their ceiling: {counted(left_out, 'pair')} of events with equal keys "
            "left out, and matches with them lost"
        )
        notes = []
        for join in dict.fromkeys((*self.untried, *self.withheld)):
            rules, names = join
            parts = []
            if untried := self.untried[join]:
                parts.append(f"{counted(untried, 'pair')} not tried")
            if withheld := self.withheld[join]:
                parts.append(
                    f"{counted(withheld, 'pair')} left out after so many matches had been given out"
                )
            notes.append(f"{rules}: the join of {names}: {' and '.join(parts)}")
        notes.append(
            "ask for more that the events must have in common, or for less time between them"
        )
        return Diagnostic(codes.JOIN_CEILING, message, notes=tuple(notes))

    def _of_early(self) -> Diagnostic:
        message = (
            f"{counted(self.early, 'row')} could not wait for other records of what they tell: more "
            f"than {MOST_WAITING:,} waited, or memory was full; what tells the same may be there "
            "twice"
        )
        note = "hunt on events in the order of time with --lateness, so that fewer have to wait"
        return Diagnostic(codes.MERGE_CEILING, message, notes=(note,))

    def _of_undecided(self) -> Diagnostic:
        names = [
            f"{rule}: in {counted(number, 'event')}" for rule, number in self.undecided.items()
        ]
        message = (
            f"regular expressions cost too much in {counted(self.undecided_events, 'event')}: "
            f"those of {counted(len(names), 'rule')} were left undecided there, and matches may be "
            "lost"
        )
        note = "write the expressions with fewer and smaller counts, such as {0,100}"
        return Diagnostic(codes.REGEX_CEILING, message, notes=(*names, note))


def _expressions(rule: Rule) -> set[Expression]:
    """The regular expressions of a rule."""
    return {
        expression_of(atom)
        for plan in ir.every_plan([output.plan for output in rule.program.outputs])
        for atom in ir.atoms_of_plan(plan)
        if isinstance(atom, ir.Regex | ir.RawRegex)
    }
