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

from collections.abc import Collection, Mapping
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
from .conditions import by_kind, conjuncts, derived, merged, on_paths, paths_read
from .logs import Given, Logs
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
    logs: Logs | None = None,
) -> Comparison:
    """Two programs in CAR's names compared.

    ``steps`` bounds the work for each kind of event and direction; after ``most`` differences in a direction no
    others are looked for. With ``logs``, they are compared on what these logs can hold alone.

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
    if logs is not None:
        mine, theirs = logs.seen(mine), logs.seen(theirs)
    forth = _only(mine, theirs, steps, most, logs)
    return Comparison(True, forth, _only(theirs, mine, steps, most, logs))


def _only(
    mine: Conditions, theirs: Conditions, steps: int, most: int | None, logs: Logs | None
) -> Direction:
    grouped: dict[tuple[ir.Condition | None, Span | None], list[tuple[ir.EventKind, Event]]] = {}
    undecided: list[ir.EventKind] = []
    for kind, condition in mine.items():
        if most is not None and len(grouped) >= most:
            break
        budget = Budget(steps)
        of = _Kind(kind, logs.kinds[kind] if logs is not None else Given(frozenset()))
        other = theirs.get(kind)
        if other is None:
            event = _shortest([(condition, "true")], of, of.judge(condition, None, ()), budget)
            if event is not None:
                grouped.setdefault((None, None), []).append((kind, event))
            elif _possible([(condition, "true")], of, budget) is not False:
                undecided.append(kind)
            continue
        if _follows(condition, other, of, budget):
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


@frozen
class _Kind:
    """A kind of event, and what is known of its fields beside what the data model says."""

    kind: ir.EventKind
    given: Given

    @property
    def facts(self) -> Facts:
        """What is known of such events."""
        return Facts(ir.Search((self.kind,)), plain=True)

    def restated(self, wishes: list[Wish]) -> list[Wish]:
        """The wishes with conditions on base names put to their paths."""
        given = [condition for condition, _ in wishes]
        read = {name.name for condition in given for name in ir.fields_of(condition)}
        known: list[Wish] = [
            (derived(name, path), "true")
            for name, path in self.given.defaults.items()
            if name in read and path in read
        ]
        conditions = on_paths(self.kind.object, given, self.given.bases)
        return [*((c, goal) for c, (_, goal) in zip(conditions, wishes, strict=True)), *known]

    def completed(self, event: Event) -> Event:
        """The event with the last parts of its paths, where the logs give these."""
        made = dict(event)
        for name, path in (*self.given.bases.items(), *self.given.defaults.items()):
            if isinstance(event.get(path), str) and name not in event and name not in _own(self):
                last = str(event[path]).replace("/", "\\").rpartition("\\")[2]
                if last:
                    made[name] = last
        return made

    def judge(
        self, mine: ir.Condition, part: ir.Condition | None, rest: tuple[ir.Condition, ...]
    ) -> Judge:
        """Whether an event, read as every event is, makes mine true, the part not true, and the rest true."""
        # The one entry of the map that an event of this kind fits, so that the others need not be asked.
        entries = [e for found in find_maps("car") for e in found.entries if e.kind == self.kind]
        stage = ir.Stage((self.kind,), mine)

        def true(condition: ir.Condition, view: CarEvent) -> bool:
            return holds(condition, CarRow(view), _ALONE) is True

        def judge(event: Event) -> bool:
            whole = self.completed(event)
            return any(
                passes(stage, view)
                and (part is None or not true(part, view))
                and all(true(other, view) for other in rest)
                and _is_consistent(view, self.given.bases)
                for view in (view_of(whole, whole, entry) for entry in entries)
            )

        return judge


def _own(of: _Kind) -> Collection[str]:
    """The base names that every event of a kind has with its path."""
    spec = model().object(of.kind.object)
    return () if spec is None else [n for n, found in spec.fields.items() if found.base_name_of]


def _possible(wishes: list[Wish], of: _Kind, budget: Budget) -> bool | None:
    asked = [(merged(condition), goal) for condition, goal in of.restated(wishes)]
    return can_be(asked, of.facts, budget)


def _follows(mine: ir.Condition, other: ir.Condition, of: _Kind, budget: Budget) -> bool:
    """Whether it is proved that the other is true wherever mine is.

    First each alternative of mine is held to the alternatives of the other one by one, which is much less work than the
    whole and mostly enough for two that say the same.
    """
    parts = [part for part, _ in _alternatives(mine)]
    theirs = [part for part, _ in _alternatives(other)]
    if len(parts) > 1 and len(theirs) > 1:
        small = Budget(budget.left // 4)
        if all(_one_follows(part, place, theirs, of, small) for place, part in enumerate(parts)):
            return True
    return _possible([(mine, "true"), (other, "not true")], of, budget) is False


def _one_follows(
    part: ir.Condition, place: int, theirs: list[ir.Condition], of: _Kind, budget: Budget
) -> bool:
    # What was written from the other stands in the same order.
    ordered = sorted(range(len(theirs)), key=lambda other: abs(other - place))
    return any(
        _possible([(part, "true"), (theirs[other], "not true")], of, budget) is False
        for other in ordered
    )


def _differences(
    of: _Kind, mine: ir.Condition, other: ir.Condition, budget: Budget
) -> list[tuple[ir.Condition, Event]]:
    """The conditions of the other that mine does not demand, each with an event."""
    found: list[tuple[ir.Condition, Event]] = []
    parts = conjuncts(other)
    for part in parts:
        if _possible([(mine, "true"), (part, "not true")], of, budget) is False:
            continue
        rest = tuple(p for p in parts if p is not part)
        wishes: list[Wish] = [(mine, "true"), (part, "not true")]
        strict: list[Wish] = [*wishes, *((p, "true") for p in rest)]
        event = None
        if rest:
            event = _shortest(strict, of, of.judge(mine, part, rest), budget)
        if event is None:
            event = _shortest(wishes, of, of.judge(mine, part, ()), budget)
        if event is not None:
            found.append((part, event))
    return found


def _shortest(wishes: list[Wish], of: _Kind, judge: Judge, budget: Budget) -> Event | None:
    paths = paths_read(of.kind.object, [condition for condition, _ in wishes], of.given.bases)

    def with_paths(event: Event) -> bool:
        """Where a condition reads the path, an event with its base name alone is none that there can be."""
        return all(paths[name].name in event for name in event if name in paths) and judge(event)

    event = find(of.restated(wishes), of.kind, with_paths, budget)
    return None if event is None else of.completed(smallest(event, with_paths, budget))


def _is_consistent(view: CarEvent, bases: Mapping[str, str]) -> bool:
    """Whether no text is empty, and base names are the last parts of their paths, where both are there."""
    spec = model().object(view.kind.object)
    if "" in view.fields.values():
        return False
    if spec is None:
        return True
    for name, value in view.fields.items():
        found = spec.field(name)
        of = (found.base_name_of if found else None) or bases.get(name)
        path = view.fields.get(of) if of else None
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
