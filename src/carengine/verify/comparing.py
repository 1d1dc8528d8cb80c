"""Whether two programs find the same events, by reasoning, and an event where they do not.

Of each kind of event it is asked in both directions: can something be found by the one and not by
the other? The checker's logic answers: "no" is certain, as it reasons about the boolean structure
and about patterns as regular languages. Otherwise an event is looked for, and it counts only when
the two programs, run on it, come to different answers. So a ``RuleDifference`` is certain too; what
is neither is ``undecided``.

Each condition that one program demands and the other does not is a difference of its own, with its
own event, on which all other conditions hold where that is possible::

    pseudocode   file_name = "lsass*.dmp"    and image_path = "C:\\Windows\\*\\taskmgr.exe"
    EQL          file_name = "lsass*.dmp"    and exe = "taskmgr.exe"
      EQL finds {"file_name": "lsass.dmp", "exe": "taskmgr.exe"},
      where image_path = "C:\\Windows\\…" is not true
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from itertools import product
from typing import Any

from attrs import evolve, field, frozen

from .. import ir
from ..diagnostics import Span
from ..ir import Goal, Wish
from ..solver.texts import Budget
from . import assumptions
from .alerts import report_within, uses_up_rows
from .containment import Containment
from .counterexamples import ListDifference, search
from .event_kinds import Event, is_native
from .implication import Implication, parts_of
from .kind_conditions import by_kind, conditions_of, conjuncts, merged, place_of
from .kind_facts import KindFacts, possible, shortest
from .logs import GivenFields, Logs
from .normal_forms import Leaf, NormalForms, computed

Conditions = Mapping[ir.EventKind, ir.Condition]

_MAX_ALTERNATIVES = 60


@frozen
class RuleDifference:
    """Something that one program finds and another does not.

    ``kinds`` are the kinds of events in which it is so. ``event`` is an example, in CAR's names.
    ``condition`` is what the program that does not find it demands, None where it does not look at
    events of this kind; ``span`` is where that is written. ``found_by`` is where the alternative is
    written by which the other one finds it, if it is one of several. Where programs look at several
    events at a time, ``among`` are all those that the event is found with.
    """

    kinds: tuple[ir.EventKind, ...]
    event: Mapping[str, Any] = field(hash=False)
    condition: ir.Condition | None
    span: Span | None = None
    found_by: Span | None = None
    among: tuple[Mapping[str, Any], ...] = field(default=(), hash=False)


@frozen
class Direction:
    """What the first program finds and the second does not: differences, and kinds for which it is
    not known."""

    differences: tuple[RuleDifference, ...] = ()
    undecided: tuple[ir.EventKind, ...] = ()


class ShownParts(enum.Enum):
    """What of that which matches show is compared."""

    ALL = "all"
    COMPUTED = "computed"
    NOTHING = "nothing"


@frozen
class Comparison:
    """Two programs compared both ways.

    They are equivalent where there is neither a difference nor anything undecided. ``compared`` is
    False where one looks at several events at a time: then a difference was looked for on so many
    ``lists`` of events, and that none was found proves nothing. ``assumptions`` is what a proof
    takes for granted. ``lost`` says what of the two is not in what was compared: then nothing is
    known, whatever the rest says. ``shown`` is False where the two find the same events and show
    something else of them. ``within`` tells of programs that look at several events whether it is
    proved that the second finds all that the first finds, and the other way round (of windows and
    sequences, as `report_within` has it; the assumptions say so then); ``apart``
    whether it is proved that they find no event in common.
    """

    compared: bool
    only_first: Direction = Direction()
    only_second: Direction = Direction()
    lists: int = 0
    assumptions: tuple[str, ...] = field(default=(), eq=False)
    lost: tuple[str, ...] = ()
    shown: bool = True
    within: tuple[bool, bool] = field(default=(False, False), eq=False)
    apart: bool = field(default=False, eq=False)

    @property
    def equivalent(self) -> bool | None:
        """Whether the two find the same events, and show the same; None where that is not known."""
        if self.lost:
            return None
        if self.only_first.differences or self.only_second.differences:
            return False
        if not self.compared or not self.shown:
            return None
        return None if self.only_first.undecided or self.only_second.undecided else True


def compare(
    first: ir.Program,
    second: ir.Program,
    steps: int = 4_000_000,
    *,
    most: int | None = None,
    logs: Logs | None = None,
    together: bool = False,
    keyed: bool = True,
    shown: ShownParts = ShownParts.ALL,
) -> Comparison:
    """Two programs compared, output by output, in what they find and in what they show.

    Outputs of one name belong together; of the others, those that are proved to be the same, and
    then one after the other. With ``together`` all that a program finds counts as one. Where
    ``keyed`` is False, events without the keys that groups only show them by are left out of
    account. ``steps`` bounds the work for each kind of event and direction; after ``most``
    differences in a direction no others are looked for. With ``logs``, they are compared on what
    these logs can hold alone.

    >>> import carengine
    >>> def program(test):
    ...     return carengine.parse_rule(f"a = search File:Create where {test} output a").program
    >>> compare(program('file_name = "a*"'), program('file_name = "A*"')).equivalent
    True
    >>> found = compare(program('file_name = "a*"'), program('file_name = "ab*"'))
    >>> found.only_first.differences[0].event
    {'object': 'file', 'action': 'create', 'file_name': 'a'}
    """

    def whole(one: ir.Program, other: ir.Program) -> Comparison:
        return _compared(one, other, steps, most, logs, keyed=keyed, shown=shown)

    if together or (len(first.outputs) == len(second.outputs) == 1):
        return whole(first, second)
    parts: list[Comparison] = []
    open_first, open_second = list(first.outputs), list(second.outputs)

    def settle(one: ir.Output, other: ir.Output, made: Comparison) -> None:
        parts.append(made)
        open_first.remove(one)
        open_second.remove(other)

    for one, other in product(first.outputs, second.outputs):
        if one.name == other.name and one in open_first and other in open_second:
            settle(one, other, whole(_alone(one), _alone(other)))
    for one, other in product(tuple(open_first), tuple(open_second)):
        if one in open_first and other in open_second:
            made = whole(_alone(one), _alone(other))
            if made.equivalent:
                settle(one, other, made)
    for place in range(max(len(open_first), len(open_second))):
        mine, theirs = (
            ir.Program(tuple(left[place : place + 1])) for left in (open_first, open_second)
        )
        parts.append(whole(mine, theirs))
    return _summed(parts)


def _alone(output: ir.Output) -> ir.Program:
    return ir.Program((output,))


def _summed(parts: list[Comparison]) -> Comparison:
    """The comparisons of several outputs as one."""
    return Comparison(
        all(part.compared for part in parts),
        _both([part.only_first for part in parts]),
        _both([part.only_second for part in parts]),
        sum(part.lists for part in parts),
        tuple(dict.fromkeys(text for part in parts for text in part.assumptions)),
        tuple(dict.fromkeys(text for part in parts for text in part.lost)),
        all(part.shown for part in parts),
        (all(part.within[0] for part in parts), all(part.within[1] for part in parts)),
    )


def _both(parts: list[Direction]) -> Direction:
    return Direction(
        tuple(item for part in parts for item in part.differences),
        tuple(dict.fromkeys(kind for part in parts for kind in part.undecided)),
    )


def _compared(
    first: ir.Program,
    second: ir.Program,
    steps: int,
    most: int | None,
    logs: Logs | None,
    *,
    keyed: bool,
    shown: ShownParts,
) -> Comparison:
    mine, theirs = by_kind(first, keyed=keyed), by_kind(second, keyed=keyed)
    if mine is None or theirs is None:
        assumed = (assumptions.RETENTION, *_assumed(first, second))
        known = proofs(steps, logs)
        if known.forms.of(first, keyed=keyed) == known.forms.of(
            second, keyed=keyed
        ) or known.same_rows(first, second, keyed=keyed):
            made = Comparison(True, assumptions=assumed, within=(True, True))
            return _with_shown(made, first, second, steps, shown, keyed=keyed)
        within = (
            known.of(first, second, keyed=keyed),
            known.of(second, first, keyed=keyed),
        )
        if all(within):
            # The same events in other rows.
            made = Comparison(True, assumptions=assumed, within=within)
            return _with_shown(made, first, second, steps, shown, keyed=keyed, same_rows=False)
        reported = False
        if uses_up_rows(first) and uses_up_rows(second) and not any(within):
            within = (
                report_within(known, first, second, keyed=keyed),
                report_within(known, second, first, keyed=keyed),
            )
            reported = any(within)
            assumed += (assumptions.REPORTED,) if reported else ()
        looked = search(first, second, steps, logs, most, keyed=keyed, reported=reported)
        return Comparison(
            False,
            _direction(looked.only_first),
            _direction(looked.only_second),
            looked.lists,
            assumed,
            within=within,
            apart=logs is None and known.apart(first, second, keyed=keyed),
        )
    if logs is not None:
        mine, theirs = logs.seen(mine), logs.seen(theirs)
    forth = _only(mine, theirs, steps, most, logs)
    back = _only(theirs, mine, steps, most, logs)
    within = (forth == Direction(), back == Direction())
    made = Comparison(True, forth, back, assumptions=_assumed(first, second), within=within)
    return _with_shown(made, first, second, steps, shown, keyed=keyed)


def _assumed(first: ir.Program, second: ir.Program) -> tuple[str, ...]:
    """What a proof about two programs takes for granted."""
    kinds = {
        kind
        for program in (first, second)
        for output in program.outputs
        for kind in ir.searched(output.plan)
    }
    found = []
    if any(map(is_native, kinds)):
        found.append(assumptions.ONE_VALUE)
    if not all(map(is_native, kinds)):
        found.append(assumptions.NO_EMPTY_TEXT)
        plans = ir.every_plan(o.plan for program in (first, second) for o in program.outputs)
        if any(_orders_whole(atom) for plan in plans for atom in ir.atoms_of_plan(plan)):
            found.append(assumptions.WHOLE_NUMBERS)
    return tuple(found)


def _orders_whole(atom: ir.Truth | ir.Atom) -> bool:
    match atom:
        case ir.Compare(left, relation, right) if relation is not ir.Relation.EQUAL:
            return any(
                isinstance(one, ir.Field) and one.type is ir.Type.INTEGER for one in (left, right)
            )
        case _:
            return False


def _with_shown(
    made: Comparison,
    first: ir.Program,
    second: ir.Program,
    steps: int,
    shown: ShownParts,
    *,
    keyed: bool,
    same_rows: bool = True,
) -> Comparison:
    """A comparison of what is found, with what is shown of it. Without ``same_rows`` the events
    are known to be the same and the rows that show them are not."""
    if made.equivalent is not True or shown is ShownParts.NOTHING:
        return made
    forms = NormalForms(lambda one, other: _same_leaves(one, other, steps, None))
    mine, theirs = (
        frozenset(forms.shown(output.plan) for output in program.outputs)
        for program in (first, second)
    )
    if mine == theirs and same_rows:
        return made
    if shown is ShownParts.COMPUTED and same_rows:
        one, other = computed(mine), computed(theirs)
        if one == other:
            return made
        if not one or not other:
            return evolve(made, assumptions=(*made.assumptions, assumptions.SHOWN))
    looked = search(first, second, steps, None, 1, keyed=keyed, shown=True)
    return evolve(
        made,
        only_first=_direction(looked.only_first),
        only_second=_direction(looked.only_second),
        lists=looked.lists,
        shown=False,
    )


def proofs(steps: int, logs: Logs | None) -> Containment:
    """What proves things of the rows of plans, with leaves as conditions on single events."""
    return Containment(
        NormalForms(lambda one, other: _same_leaves(one, other, steps, logs)),
        lambda wide, narrow: _leaf_within(narrow, wide, steps, logs),
        lambda one, other: _leaves_exclude(one, other, steps),
    )


def _same_leaves(one: Leaf, other: Leaf, steps: int, logs: Logs | None) -> bool:
    """Whether it is proved that two leaves let the same events through."""
    if not _give_alike(one, other):
        return False
    mine, theirs = conditions_of(one), conditions_of(other)
    if logs is not None:
        mine, theirs = logs.seen(mine), logs.seen(theirs)
        if not mine or not theirs:
            # Of what the logs cannot hold nothing is proved.
            return False
    return _is_covered(mine, theirs, steps, logs) and _is_covered(theirs, mine, steps, logs)


def _give_alike(one: Leaf, other: Leaf) -> bool:
    """Whether the rows of two leaves hold the same of an event that passes both."""
    given = {
        (frozenset(stage.assigned), None if stage.columns is None else frozenset(stage.columns))
        for stage in (*one, *other)
    }
    return len(given) == 1


def _leaf_within(one: Leaf, other: Leaf, steps: int, logs: Logs | None) -> bool:
    """Whether it is proved that each event that passes one leaf passes the other."""
    if not _give_alike(one, other):
        return False
    mine, theirs = conditions_of(one), conditions_of(other)
    if logs is not None:
        mine, theirs = logs.seen(mine), logs.seen(theirs)
        if not mine or not theirs:
            return False
    return _is_covered(mine, theirs, steps, logs)


def _is_covered(mine: Conditions, theirs: Conditions, steps: int, logs: Logs | None) -> bool:
    for kind, condition in mine.items():
        of = KindFacts(kind, logs.kinds[kind] if logs is not None else GivenFields(frozenset()))
        other = theirs.get(kind, ir.Truth(False))
        if not follows(condition, other, of, Budget(steps)):
            return False
    return True


def _leaves_exclude(one: Leaf, other: Leaf, steps: int) -> bool:
    """Whether it is proved that no event passes both leaves."""
    mine, theirs = conditions_of(one), conditions_of(other)
    if not frozenset(mine) & frozenset(theirs):
        # Two log sources may hold the same events.
        return not any(map(is_native, (*mine, *theirs)))
    for kind in mine:
        if kind not in theirs:
            continue
        wishes: list[Wish] = [(mine[kind], Goal.TRUE), (theirs[kind], Goal.TRUE)]
        of = KindFacts(kind, GivenFields(frozenset()))
        if possible(wishes, of, Budget(steps)) is not False:
            return False
    return not any(map(is_native, (*mine, *theirs))) or len({*mine, *theirs}) == 1


def shared_event(
    first: ir.Program,
    second: ir.Program,
    steps: int = 4_000_000,
    logs: Logs | None = None,
    *,
    keyed: bool = False,
) -> Event | None:
    """An event that both programs find, if one is found; of programs that single events decide."""
    mine, theirs = by_kind(first, keyed=keyed), by_kind(second, keyed=keyed)
    if mine is None or theirs is None:
        return None
    if logs is not None:
        mine, theirs = logs.seen(mine), logs.seen(theirs)
    for kind, condition in mine.items():
        other = theirs.get(kind)
        if other is None:
            continue
        of = KindFacts(kind, logs.kinds[kind] if logs is not None else GivenFields(frozenset()))
        both: list[Wish] = [(condition, Goal.TRUE), (other, Goal.TRUE)]
        budget = Budget(steps)
        event = shortest(both, of, of.judge(condition, None, (other,)), budget)
        if event is not None:
            return event
    return None


def _direction(found: tuple[ListDifference, ...]) -> Direction:
    return Direction(
        tuple(
            RuleDifference(
                (one.kind,), one.events[one.missed], one.condition, one.span, among=one.events
            )
            for one in found
        )
    )


def _only(
    mine: Conditions, theirs: Conditions, steps: int, most: int | None, logs: Logs | None
) -> Direction:
    grouped: dict[tuple[ir.Condition | None, Span | None], list[tuple[ir.EventKind, Event]]] = {}
    undecided: list[ir.EventKind] = []
    # A rule that names no product searches the same in the logs of all of them.
    asked: set[tuple[ir.Condition, ir.Condition | None]] = set()
    for kind, condition in mine.items():
        if most is not None and len(grouped) >= most:
            break
        if is_native(kind):
            question = (condition, theirs.get(kind))
            if question in asked:
                continue
            asked.add(question)
        budget = Budget(steps)
        of = KindFacts(kind, logs.kinds[kind] if logs is not None else GivenFields(frozenset()))
        other = theirs.get(kind)
        if other is None:
            event = shortest([(condition, Goal.TRUE)], of, of.judge(condition, None, ()), budget)
            if event is not None:
                grouped.setdefault((None, None), []).append((kind, event))
            elif possible([(condition, Goal.TRUE)], of, budget) is not False:
                undecided.append(kind)
            continue
        if follows(condition, other, of, budget):
            continue
        found_any = False
        for alternative, place in _alternatives(condition):
            if most is not None and len(grouped) >= most:
                break
            for part, event in _differences(of, alternative, other, budget):
                grouped.setdefault((part, place), []).append((kind, event))
                found_any = True
        if not found_any or budget.left <= 0:
            # Where the work ran out there may be more differences than those found.
            undecided.append(kind)
    differences = [
        RuleDifference(
            tuple(dict.fromkeys(kind for kind, _ in cases)),
            cases[0][1],
            part,
            None if part is None else place_of(part),
            place,
        )
        for (part, place), cases in grouped.items()
    ]
    return Direction(tuple(differences), tuple(undecided))


def _alternatives(condition: ir.Condition) -> list[tuple[ir.Condition, Span | None]]:
    """The ways for a condition to be true, each with its place; one without place where there is
    only one."""
    match condition:
        case ir.Or(items) if len(items) <= _MAX_ALTERNATIVES:
            return [(item, place_of(item)) for item in items]
        case ir.And(items):
            several = [item for item in items if isinstance(item, ir.Or)]
            longest = max(several, key=lambda item: len(item.items), default=None)
            if longest is None or len(longest.items) > _MAX_ALTERNATIVES:
                return [(condition, None)]
            rest = tuple(item for item in items if item is not longest)
            return [(ir.conjunction((*rest, item)), place_of(item)) for item in longest.items]
        case ir.Or() | ir.Not() | ir.IsTrue() | ir.Truth():
            return [(condition, None)]
        case _:
            atom: ir.Atom = condition
            return [(atom, None)]


def follows(mine: ir.Condition, other: ir.Condition, of: KindFacts, budget: Budget) -> bool:
    """Whether it is proved that the other is true wherever mine is.

    What follows from the parts of mine alone is settled first, and then each alternative of mine is
    held to the alternatives of the other one by one: both are much less work than the whole, and
    mostly enough for two that say the same.
    """
    mine, other = merged(mine), merged(other)
    if mine == other:
        return True
    other = _left_to_prove(mine, other, of, budget)
    if other == ir.Truth(True):
        return True
    parts = [part for part, _ in _alternatives(mine)]
    theirs = [part for part, _ in _alternatives(other)]
    if len(parts) > 1 and len(theirs) > 1:
        small = Budget(budget.left // 4)
        if all(_one_follows(part, place, theirs, of, small) for place, part in enumerate(parts)):
            return True
    return possible([(mine, Goal.TRUE), (other, Goal.NOT_TRUE)], of, budget) is False


def _left_to_prove(
    mine: ir.Condition, other: ir.Condition, of: KindFacts, budget: Budget
) -> ir.Condition:
    """The parts of the other that neither the parts of mine imply, nor those of them that look at
    the same fields."""
    small = Budget(budget.left // 8)

    def test(one: ir.Condition, two: ir.Condition) -> bool:
        wishes: list[Wish] = [(one, Goal.TRUE), (two, Goal.NOT_TRUE)]
        return small.left > 0 and possible(wishes, of, small) is False

    implication = Implication(test)
    whole = merged(mine)
    asked = parts_of(whole)
    read = [frozenset(ir.fields_of(part)) for part in asked]
    left: list[ir.Condition] = []
    for part in parts_of(merged(other)):
        if part in asked or implication.entails(whole, part):
            continue
        fields = frozenset(ir.fields_of(part))
        near = [one for one, names in zip(asked, read, strict=True) if names & fields]
        if len(near) < len(asked):
            wishes: list[Wish] = [(ir.conjunction(tuple(near)), Goal.TRUE), (part, Goal.NOT_TRUE)]
            if possible(wishes, of, Budget(budget.left // 8)) is False:
                continue
        left.append(part)
    return ir.conjunction(tuple(left))


def _one_follows(
    part: ir.Condition, place: int, theirs: list[ir.Condition], of: KindFacts, budget: Budget
) -> bool:
    if part in theirs:
        return True
    # What was written from the other stands in the same order.
    ordered = sorted(range(len(theirs)), key=lambda other: abs(other - place))
    return any(
        possible([(part, Goal.TRUE), (theirs[other], Goal.NOT_TRUE)], of, budget) is False
        for other in ordered
    )


def _differences(
    of: KindFacts, mine: ir.Condition, other: ir.Condition, budget: Budget
) -> list[tuple[ir.Condition, Event]]:
    """The conditions of the other that mine does not demand, each with an event."""
    found: list[tuple[ir.Condition, Event]] = []
    parts = conjuncts(other)
    for part in parts:
        if possible([(mine, Goal.TRUE), (part, Goal.NOT_TRUE)], of, budget) is False:
            continue
        rest = tuple(p for p in parts if p is not part)
        wishes: list[Wish] = [(mine, Goal.TRUE), (part, Goal.NOT_TRUE)]
        strict: list[Wish] = [*wishes, *((p, Goal.TRUE) for p in rest)]
        event = None
        if rest:
            event = shortest(strict, of, of.judge(mine, part, rest), budget)
        if event is None:
            event = shortest(wishes, of, of.judge(mine, part, ()), budget)
        if event is not None:
            found.append((part, event))
    return found
