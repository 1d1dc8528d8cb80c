"""The rules of a set that find the same, or what another one finds anyway, and those that find
nothing.

A rule that is covered by another is so on its own smallest event, too. So one event is made for
each rule, all rules are run over all these events at once, and only the pairs that meet there are
put to the solver::

    overlaps = rule_overlaps(carengine.load_rules("rules/"))
    overlaps.pairs[0]       RuleRelation(…, verdict=Verdict.COVERED)
    overlaps.never          the rules that can find nothing, as is proved
    overlaps.removable      the rules without which the set finds the same
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from attrs import field, frozen

from .. import ir
from ..engine import Engine
from ..ir import Goal
from ..rule import Rule
from ..solver.texts import Budget
from . import assumptions
from .changes import by_itself
from .comparing import follows
from .event_kinds import Event, is_native, own_names_map, without_kind
from .kind_conditions import by_kind
from .kind_facts import KindFacts, possible, shortest
from .logs import GivenFields
from .relations import RuleRelation, Verdict, compare_rules

_STEPS = 1_000_000
_MOST_STATEFUL = 60


@frozen
class RuleOverlaps:
    """What the rules of a set have in common.

    ``pairs`` are the rules that find the same (`SAME`) or of which the first is covered by the
    second (`COVERED`), with the event that tells them apart. ``never`` are rules that can find
    nothing. ``unknown`` are pairs that met on an event and of which no proof was found, ``skipped``
    the rules that were not looked at, with the reason.
    """

    pairs: tuple[RuleRelation, ...]
    never: tuple[Rule, ...] = field(default=(), repr=False)
    unknown: tuple[RuleRelation, ...] = field(default=(), repr=False)
    skipped: tuple[tuple[Rule, str], ...] = field(default=(), repr=False)

    @property
    def groups(self) -> tuple[tuple[str, ...], ...]:
        """The ids of rules that find the same, group by group."""
        parents: dict[str, str] = {}

        def root(id_: str) -> str:
            while id_ in parents:
                id_ = parents[id_]
            return id_

        covered = {(p.first, p.second) for p in self.pairs if p.verdict is Verdict.COVERED}
        for pair in self.pairs:
            # Two that cover each other find the same, whatever they show.
            if pair.verdict is Verdict.SAME or (pair.second, pair.first) in covered:
                one, other = sorted((root(pair.first), root(pair.second)))
                if one != other:
                    parents[other] = one
        made: dict[str, list[str]] = {}
        for id_ in sorted({*parents, *parents.values()}):
            made.setdefault(root(id_), []).append(id_)
        return tuple(tuple(members) for members in made.values())

    @property
    def first_pairs(self) -> tuple[RuleRelation, ...]:
        """The pairs in which the first rule of each group stands for the others: each of these has
        one pair with it, and what covers them or is covered is said of the first alone."""
        first = {id_: group[0] for group in self.groups for id_ in group}
        return tuple(
            pair
            for pair in self.pairs
            if (
                pair.first == first.get(pair.second, "")
                or pair.second == first.get(pair.first, "")
                or (first.get(pair.first, pair.first), first.get(pair.second, pair.second))
                == (pair.first, pair.second)
            )
        )

    @property
    def removable(self) -> tuple[str, ...]:
        """The ids of rules without which the set finds the same events: the covered ones, all but
        the first of each group, and those that find nothing."""
        groups = self.groups
        of = {id_: place for place, group in enumerate(groups) for id_ in group}
        covered = {
            pair.first
            for pair in self.pairs
            if pair.verdict is Verdict.COVERED
            and assumptions.REPORTED not in pair.assumptions
            and (pair.first not in of or of[pair.first] != of.get(pair.second))
        }
        gone = set(covered)
        for group in groups:
            gone.update(group if covered.intersection(group) else group[1:])
        return tuple(sorted(gone | {rule.id for rule in self.never}))

    def as_json(self) -> dict[str, Any]:
        """The pairs as plain data, with the events that tell them apart; of a rule that finds
        nothing, ``b`` is null.

        >>> RuleOverlaps(()).as_json()
        {'pairs': []}
        """
        pairs: list[dict[str, Any]] = [
            {
                "a": one.first,
                "b": one.second,
                "verdict": one.verdict.value,
                "witnesses": [witness.as_json() for witness in one.witnesses],
            }
            for one in self.pairs
        ]
        pairs += [{"a": rule.id, "b": None, "verdict": "never"} for rule in self.never]
        return {"pairs": pairs}


@frozen
class _Subject:
    """A rule that single events decide: its condition for each kind, and an event that it finds."""

    rule: Rule
    conditions: dict[ir.EventKind, ir.Condition]
    kind: ir.EventKind
    event: Event = field(repr=False)


def rule_overlaps(rules: Iterable[Rule], steps: int = _STEPS) -> RuleOverlaps:
    """The overlaps of a set of rules, each proved. ``steps`` bounds the work for each question.

    Rules are compared within the names that they are written in: a Sigma rule with those of its log
    source, a rule in CAR's names with such.

    >>> import carengine
    >>> wide, narrow = (
    ...     carengine.parse_rule(f"a = search Process:Create where {text} output a", name=name)
    ...     for name, text in (("wide", 'exe = "*.exe"'), ("narrow", 'exe = "cmd.exe"'))
    ... )
    >>> found = rule_overlaps([wide, narrow])
    >>> found.pairs[0].first, found.pairs[0].verdict.value, found.pairs[0].second
    ('narrow', 'covered', 'wide')
    """
    subjects: list[_Subject] = []
    never: list[Rule] = []
    skipped: list[tuple[Rule, str]] = []
    stateful: list[Rule] = []
    for rule in map(by_itself, rules):
        conditions = by_kind(rule.program, keyed=True)
        if conditions is None:
            stateful.append(rule)
        elif not conditions:
            skipped.append((rule, "it reports nothing by itself"))
        else:
            _sort_in(rule, conditions, steps, subjects, never, skipped)
    pairs: list[RuleRelation] = []
    unknown: list[RuleRelation] = []
    for one, other in _met(subjects):
        made = _relation(one, other, steps)
        if made is None:
            relation = RuleRelation(one.rule.id, other.rule.id, Verdict.UNDECIDED)
            unknown.append(relation)
        elif made:
            pairs.append(_told(one, other, steps))
    pairs += _stateful_pairs(stateful, skipped, steps)
    return RuleOverlaps(
        tuple(sorted(_once(pairs), key=lambda pair: (pair.first, pair.second))),
        tuple(never),
        tuple(unknown),
        tuple(skipped),
    )


def _sort_in(
    rule: Rule,
    conditions: dict[ir.EventKind, ir.Condition],
    steps: int,
    subjects: list[_Subject],
    never: list[Rule],
    skipped: list[tuple[Rule, str]],
) -> None:
    """Find an event that a rule finds, or the proof that there is none."""
    open_ = False
    seen: set[ir.Condition] = set()
    for kind, condition in conditions.items():
        if condition in seen and is_native(kind):
            # The same question, of another product's logs.
            continue
        seen.add(condition)
        of = KindFacts(kind, GivenFields(frozenset()))
        budget = Budget(steps)
        judge = of.judge(condition, None, ())
        event = shortest([(condition, Goal.TRUE)], of, judge, budget, plain=True)
        if event is not None:
            subjects.append(_Subject(rule, conditions, kind, event))
            return
        open_ = open_ or possible([(condition, Goal.TRUE)], of, budget) is not False
    if open_:
        skipped.append((rule, "no event was found that it finds, and no proof that there is none"))
    else:
        never.append(rule)


def _met(subjects: Sequence[_Subject]) -> Iterator[tuple[_Subject, _Subject]]:
    """The pairs of which the second rule finds the event that was made for the first."""
    by_kinds: dict[ir.EventKind, list[_Subject]] = {}
    for subject in subjects:
        by_kinds.setdefault(subject.kind, []).append(subject)
    for kind, asked in by_kinds.items():
        # Any rule that looks at such events may find one of them.
        there = {s.rule.id: s for s in subjects if kind in s.conditions}
        fieldmap = own_names_map((kind,)) if is_native(kind) else "car"
        engine = Engine([s.rule for s in there.values()], fieldmap=fieldmap)
        for subject in asked:
            found = {m.rule.id for m in engine.run([without_kind(subject.event)])}
            for id_ in sorted(found - {subject.rule.id}):
                if id_ in there:
                    yield subject, there[id_]


def _relation(one: _Subject, other: _Subject, steps: int) -> bool | None:
    """Whether all that the first finds the second finds; None where that is not known."""
    if not one.conditions.keys() <= other.conditions.keys():
        return False
    for kind, condition in one.conditions.items():
        of = KindFacts(kind, GivenFields(frozenset()))
        budget = Budget(steps)
        if not follows(condition, other.conditions[kind], of, budget):
            return None if budget.left <= 0 else _is_open(one, other, kind, steps)
        if is_native(kind) and len(set(one.conditions.values())) == 1:
            # Further kinds are the same question.
            return len(set(other.conditions.values())) == 1 or None
    return True


def _is_open(one: _Subject, other: _Subject, kind: ir.EventKind, steps: int) -> bool | None:
    """False where an event shows that the second does not find all, None where none was found."""
    of = KindFacts(kind, GivenFields(frozenset()))
    mine, theirs = one.conditions[kind], other.conditions[kind]
    judge = of.judge(mine, theirs, ())
    wishes = [(mine, Goal.TRUE), (theirs, Goal.NOT_TRUE)]
    event = shortest(wishes, of, judge, Budget(steps), plain=True)
    return None if event is None else False


def _told(one: _Subject, other: _Subject, steps: int) -> RuleRelation:
    """Two of which the first is covered: as the same, or with the event that tells them apart."""
    relation = compare_rules(one.rule, other.rule, steps)
    if relation.verdict in (Verdict.SAME, Verdict.COVERED):
        return relation
    # That it is covered is proved; only whether more is so is open.
    return RuleRelation(
        one.rule.id,
        other.rule.id,
        Verdict.COVERED,
        tuple(w for w in relation.witnesses if w.finder == "b"),
        relation.assumptions,
    )


def _once(pairs: Iterable[RuleRelation]) -> list[RuleRelation]:
    """Pairs that are the same, once each, the smaller id first."""
    made: dict[tuple[str, str], RuleRelation] = {}
    for pair in pairs:
        if pair.verdict is Verdict.SAME and pair.second < pair.first:
            pair = pair.mirrored
        made.setdefault((pair.first, pair.second), pair)
    return list(made.values())


def _stateful_pairs(
    rules: Sequence[Rule], skipped: list[tuple[Rule, str]], steps: int
) -> Iterator[RuleRelation]:
    """Rules that look at several events and are proved to be the same; only those that search for
    the same events are compared."""
    by_kinds: dict[frozenset[ir.EventKind], list[Rule]] = {}
    for rule in rules:
        kinds = frozenset(k for o in rule.program.outputs for k in ir.searched(o.plan))
        by_kinds.setdefault(kinds, []).append(rule)
    for group in by_kinds.values():
        for rule in group[_MOST_STATEFUL:]:
            skipped.append((rule, f"more than {_MOST_STATEFUL} such rules search the same events"))
        chosen = group[:_MOST_STATEFUL]
        for place, one in enumerate(chosen):
            for other in chosen[place + 1 :]:
                relation = compare_rules(one, other, steps)
                if relation.verdict is Verdict.SAME:
                    yield relation
