"""Whether one program reports something in each log in which another one does, proved.

Windows and sequences use up the rows that they report. One that asks for less may therefore report
earlier, and name other events, than one that asks for more::

    10 failed logons of one user in 5 minutes
    5 failed logons of one user in 10 minutes      reports wherever the one above does

Which events they name cannot be compared, and for an alert it does not matter. ``report_within``
proves that in each list of events in which the one reports something, the other does.

* Of windows: take the rows of a window that fires. If the wider window has spent one of them, it
  has fired. If it has not, all of them are in it at the last of them, and it fires now.
* Of sequences: as long as the wider one has not fired, it has for each chain of the narrower one a
  chain that has come as far or further, and that began no earlier. Its chains of more rows began
  no later than those of fewer, so that no chain is replaced by one that began earlier.
"""

from __future__ import annotations

import itertools
from typing import assert_never

from .. import ir
from .containment import Containment, lifts, named
from .kind_conditions import conjuncts, selection
from .normal_forms import as_is, columns_of

_MOST_ORDERS = 24


def report_within(
    known: Containment, first: ir.Program, second: ir.Program, *, keyed: bool = False
) -> bool:
    """Whether it is proved that the second program reports something in each list of events in
    which the first does. ``keyed`` is as `selection` has it."""
    mine, theirs = (
        [selection(output.plan, keyed=keyed) for output in program.outputs]
        for program in (first, second)
    )
    return all(any(_within(known, one, other) for other in theirs) for one in mine)


def uses_up_rows(program: ir.Program) -> bool:
    """Whether a program has a window or a sequence.

    >>> import carengine
    >>> uses_up_rows(carengine.parse_rule("a = search Process:Create output a").program)
    False
    """
    plans = ir.every_plan(output.plan for output in program.outputs)
    return any(isinstance(plan, ir.Window | ir.Sequence) for plan in plans)


def _within(known: Containment, one: ir.Plan, other: ir.Plan) -> bool:
    if known.events(one, other):
        return True
    match one:
        case ir.Union(plans):
            return all(_within(known, part, other) for part in plans)
        case ir.Filter(inner) | ir.Distinct(inner) | ir.Project(inner) | ir.Assign(inner):
            # Each row of it is one of these.
            return ir.as_stages(one) is None and _within(known, inner, other)
        case ir.Search() | ir.Join() | ir.Group() | ir.Aggregated() | ir.Difference():
            # They use up no rows: what is proved of them is proved of their events.
            pass
        case ir.Window() | ir.Sequence():
            # Compared below.
            pass
        case _:
            assert_never(one)
    match other:
        case ir.Union(plans):
            return any(_within(known, one, part) for part in plans)
        case ir.Project(inner) | ir.Assign(inner):
            return _within(known, one, inner)
        case ir.Window() if isinstance(one, ir.Window):
            return _windows(known, one, other)
        case ir.Sequence() if isinstance(one, ir.Sequence):
            return _sequences(known, one, other)
        case _:
            # Nothing is known of plans of two kinds.
            return False


def _windows(known: Containment, one: ir.Window, other: ir.Window) -> bool:
    """Whether the other window fires in each list in which the one fires."""
    if other.complete or one.span > other.span or not set(other.keys) <= set(one.keys):
        return False
    if other.ordered and (not one.ordered or len(one.plans) != len(other.plans)):
        return False
    if not _plans_within(known, one, other):
        return False
    asked = named(conjuncts(one.condition), columns_of(one.columns, as_is))
    wanted = named(conjuncts(other.condition), columns_of(other.columns, as_is))
    keys = frozenset[ir.Value](other.keys)
    return all(lifts(condition, keys) for condition in wanted) and known.implied(asked, wanted)


def _plans_within(known: Containment, one: ir.Window, other: ir.Window) -> bool:
    """Whether the rows of each plan are rows of a plan of the other, no two of the same one: a row
    that several plans let through counts as a row of each."""
    if other.ordered:
        orders = iter((other.plans,))
    else:
        several = itertools.permutations(other.plans, len(one.plans))
        orders = itertools.islice(several, _MOST_ORDERS)
    return any(
        all(known.rows(a, b) for a, b in zip(one.plans, order, strict=True)) for order in orders
    )


def _sequences(known: Containment, one: ir.Sequence, other: ir.Sequence) -> bool:
    """Whether the other sequence is there in each list in which the one is."""
    if not one.ordered or not other.ordered or any(step.absent for step in other.steps):
        return False
    if other.within is not None and (one.within is None or one.within > other.within):
        return False
    mine = [step for step in one.steps if not step.absent]
    if len(mine) != len(other.steps):
        return False
    if not all(known.rows(a.plan, b.plan) for a, b in zip(mine, other.steps, strict=True)):
        return False
    wider = list(other.steps)
    if other.until is not None:
        # What ends the sequences of the other has to end those of the one.
        if one.until is None or not known.rows(other.until.plan, one.until.plan):
            return False
        mine.append(one.until)
        wider.append(other.until)
    return _keys_within(mine, one.optional, wider, other.optional)


def _keys_within(
    mine: list[ir.Step],
    may_be_null: tuple[bool, ...],
    theirs: list[ir.Step],
    may_also: tuple[bool, ...],
) -> bool:
    """Whether rows with equal keys in the one have equal keys in the other: each key of the other,
    as it is in each step, is a key of the one."""
    own, others = (
        [
            (tuple(step.keys[place] for step in steps), bool(optional) and optional[place])
            for place in range(len(steps[0].keys))
        ]
        for steps, optional in ((mine, may_be_null), (theirs, may_also))
    )
    return all(
        any(key == wanted and (null_too or not null) for key, null in own)
        for wanted, null_too in others
    )
