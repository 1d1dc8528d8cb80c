"""Whether two programs find the same events, by reasoning, and an event where they do not.

Of each kind of event it is asked in both directions: can something be found by the one and not by the other? The checker's
logic answers: "no" is certain, as it reasons about the boolean structure and about patterns as regular languages. Otherwise an
event is looked for, and it counts only when the two programs, run on it, come to different answers. So a
``Difference`` is certain too; what is neither is ``undecided``.

Each condition that one program demands and the other does not is a difference of its own, with its own event, on which all other
conditions hold where that is possible::

    pseudocode   file_name = "lsass*.dmp"    and image_path = "C:\\Windows\\*\\taskmgr.exe"
    EQL          file_name = "lsass*.dmp"    and exe = "taskmgr.exe"
      EQL finds {"file_name": "lsass.dmp", "exe": "taskmgr.exe"}, where image_path = "C:\\Windows\\…" is not true
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import field, frozen

from .. import ir
from ..check.languages import Budget
from ..check.logic import Wish, can_be
from ..check.rows import Facts
from ..datamodel import model
from ..diagnostics import Span
from ..engine.interpreter import passes
from ..evaluate import Alone, holds
from ..fieldmap import CarEvent, CarRow, find_maps
from ..fieldmap import view as view_of
from .conditions import by_kind, conjuncts, on_paths, paths_read
from .witness import Event, Judge, find, smallest

Conditions = Mapping[ir.EventKind, ir.Condition]

_ALONE = Alone()
_MAX_ALTERNATIVES = 60


@frozen
class Difference:
    """Something that one program finds and another does not.

    ``kinds`` are the kinds of events in which it is so. ``event`` is an example, in CAR's names. ``condition`` is what the
    program that does not find it demands, None where it does not look at events of this kind; ``span`` is where that is
    written. ``found_by`` is where the alternative is written by which the other one finds it, if it is one of several.
    """

    kinds: tuple[ir.EventKind, ...]
    event: Mapping[str, Any] = field(hash=False)
    condition: ir.Condition | None
    span: Span | None = None
    found_by: Span | None = None


@frozen
class Direction:
    """What the first program finds and the second does not: differences, and kinds for which it is not known."""

    differences: tuple[Difference, ...] = ()
    undecided: tuple[ir.EventKind, ...] = ()


@frozen
class Comparison:
    """Two programs compared both ways. ``compared`` is False where one looks at several events at a time.

    They are equivalent where there is neither a difference nor anything undecided.
    """

    compared: bool
    only_first: Direction = Direction()
    only_second: Direction = Direction()

    @property
    def equivalent(self) -> bool | None:
        """Whether the two find the same events; None where that is not known."""
        if not self.compared:
            return None
        if self.only_first.differences or self.only_second.differences:
            return False
        return None if self.only_first.undecided or self.only_second.undecided else True


def compare(
    first: ir.Program,
    second: ir.Program,
    steps: int = 4_000_000,
    *,
    most: int | None = None,
) -> Comparison:
    """Two programs in CAR's names compared.

    ``steps`` bounds the work for each kind of event and direction; after ``most`` differences in a direction no
    others are looked for.

    >>> import carengine
    >>> def program(test):
    ...     return carengine.parse_rule(f"a = search File:Create where {test} output a").program
    >>> compare(program('file_name = "a*"'), program('file_name = "A*"')).equivalent
    True
    >>> found = compare(program('file_name = "a*"'), program('file_name = "ab*"'))
    >>> found.only_first.differences[0].event
    {'object': 'file', 'action': 'create', 'file_name': 'a'}
    """
    mine, theirs = by_kind(first), by_kind(second)
    if mine is None or theirs is None:
        same = [o.plan for o in first.outputs] == [o.plan for o in second.outputs]
        return Comparison(same)
    return Comparison(True, _only(mine, theirs, steps, most), _only(theirs, mine, steps, most))


def _only(mine: Conditions, theirs: Conditions, steps: int, most: int | None) -> Direction:
    grouped: dict[tuple[ir.Condition | None, Span | None], list[tuple[ir.EventKind, Event]]] = {}
    undecided: list[ir.EventKind] = []
    for kind, condition in mine.items():
        if most is not None and len(grouped) >= most:
            break
        budget = Budget(steps)
        other = theirs.get(kind)
        if other is None:
            event = _shortest(
                [(condition, "true")], kind, _judge(kind, condition, None, ()), budget
            )
            if event is not None:
                grouped.setdefault((None, None), []).append((kind, event))
            elif _possible([(condition, "true")], kind, budget) is not False:
                undecided.append(kind)
            continue
        if _possible([(condition, "true"), (other, "not true")], kind, budget) is False:
            continue
        found_any = False
        for alternative, place in _alternatives(condition):
            if most is not None and len(grouped) >= most:
                break
            for part, event in _differences(kind, alternative, other, budget):
                grouped.setdefault((part, place), []).append((kind, event))
                found_any = True
        if not found_any or budget.left <= 0:
            # Where the work ran out there may be more differences than those found.
            undecided.append(kind)
    differences = [
        Difference(
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
    """The ways for a condition to be true, each with its place; one without place where there is only one."""
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
        case _:
            return [(condition, None)]


def _possible(wishes: list[Wish], kind: ir.EventKind, budget: Budget) -> bool | None:
    conditions = on_paths(kind.object, [condition for condition, _ in wishes])
    restated: list[Wish] = [(c, goal) for c, (_, goal) in zip(conditions, wishes, strict=True)]
    return can_be(restated, Facts(ir.Search((kind,)), plain=True), budget)


def _differences(
    kind: ir.EventKind, mine: ir.Condition, other: ir.Condition, budget: Budget
) -> list[tuple[ir.Condition, Event]]:
    """The conditions of the other that mine does not demand, each with an event."""
    found: list[tuple[ir.Condition, Event]] = []
    parts = conjuncts(other)
    for part in parts:
        if _possible([(mine, "true"), (part, "not true")], kind, budget) is False:
            continue
        rest = tuple(p for p in parts if p is not part)
        wishes: list[Wish] = [(mine, "true"), (part, "not true")]
        strict: list[Wish] = [*wishes, *((p, "true") for p in rest)]
        event = None
        if rest:
            event = _shortest(strict, kind, _judge(kind, mine, part, rest), budget)
        if event is None:
            event = _shortest(wishes, kind, _judge(kind, mine, part, ()), budget)
        if event is not None:
            found.append((part, event))
    return found


def _shortest(wishes: list[Wish], kind: ir.EventKind, judge: Judge, budget: Budget) -> Event | None:
    given = [condition for condition, _ in wishes]
    conditions = on_paths(kind.object, given)
    restated: list[Wish] = [(c, g) for c, (_, g) in zip(conditions, wishes, strict=True)]
    paths = paths_read(kind.object, given)

    def with_paths(event: Event) -> bool:
        """Where a condition reads the path, an event with its base name alone is none that there can be."""
        return all(paths[name].name in event for name in event if name in paths) and judge(event)

    event = find(restated, kind, with_paths, budget)
    return None if event is None else smallest(event, with_paths, budget)


def _judge(
    kind: ir.EventKind,
    mine: ir.Condition,
    part: ir.Condition | None,
    rest: tuple[ir.Condition, ...],
) -> Judge:
    """Whether an event, read as every event is, makes mine true, the part not true, and the rest true."""
    # The one entry of the map that an event of this kind fits, so that the others need not be asked.
    entries = [e for found in find_maps("car") for e in found.entries if e.kind == kind]
    stage = ir.Stage((kind,), mine)

    def true(condition: ir.Condition, view: CarEvent) -> bool:
        return holds(condition, CarRow(view), _ALONE) is True

    def judge(event: Event) -> bool:
        return any(
            passes(stage, view)
            and (part is None or not true(part, view))
            and all(true(other, view) for other in rest)
            and _is_consistent(view)
            for view in (view_of(event, event, entry) for entry in entries)
        )

    return judge


def _is_consistent(view: CarEvent) -> bool:
    """Whether no text is empty, and base names are the last parts of their paths, where both are there."""
    spec = model().object(view.kind.object)
    if "" in view.fields.values():
        return False
    if spec is None:
        return True
    for name, value in view.fields.items():
        found = spec.field(name)
        path = view.fields.get(found.base_name_of) if found and found.base_name_of else None
        if isinstance(path, str) and isinstance(value, str):
            last = path.replace("/", "\\").rpartition("\\")[2]
            if last.lower() != value.lower():
                return False
    return True


def place_of(condition: ir.Condition) -> Span | None:
    """Where a condition is written: from its first atom to its last, as far as they say."""
    spans = [
        span for atom in ir.atoms(condition) if (span := getattr(atom, "span", None)) is not None
    ]
    if not spans:
        return None
    whole: Span = spans[0]
    for span in spans[1:]:
        if span.source == whole.source:
            whole = whole.to(span)
    return whole
