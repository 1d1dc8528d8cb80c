"""One kind of event: what is known of such events, and events of it that make conditions what they
have to be."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from attrs import frozen

from .. import ir
from ..datamodel import model
from ..engine import passes
from ..evaluate import NoContext, holds
from ..fieldmap import CarEvent, CarRow
from ..ir import Goal, Wish
from ..solver.facts import Facts
from ..solver.satisfiability import can_be
from ..solver.texts import Budget
from .event_kinds import Event, is_native, views_of
from .kind_conditions import derived, merged, on_paths, paths_read
from .logs import GivenFields
from .natural import natural, pieces_of
from .witness import Judge, cost_of_judging, find, smallest

_NO_CONTEXT = NoContext()


@frozen
class KindFacts:
    """A kind of event, and what is known of its fields beside what the data model says.

    With ``plan``, conditions are on the columns of its rows.
    """

    kind: ir.EventKind
    given: GivenFields
    plan: ir.Plan | None = None

    def facts(self, conditions: Iterable[ir.Condition]) -> Facts:
        """What is known of such events, for conditions to be put to them.

        Of fields that CAR does not know it is taken for granted that each holds one value.
        """
        if self.plan is not None:
            return Facts(self.plan, plain=True)
        if not is_native(self.kind):
            return Facts(ir.Search((self.kind,)), plain=True)
        read = {name.name for condition in conditions for name in ir.fields_of(condition)}
        columns = tuple(ir.Column(name, _TEXT) for name in sorted(read))
        return Facts(ir.Project(_TEXTS, columns), plain=True, blank=True)

    def restated(self, wishes: list[Wish]) -> list[Wish]:
        """The wishes with conditions on base names put to their paths."""
        given = [condition for condition, _ in wishes]
        read = {name.name for condition in given for name in ir.fields_of(condition)}
        known: list[Wish] = [
            (derived(name, path), Goal.TRUE)
            for name, path in self.given.defaults.items()
            # What is always the last part of its path is asked of the path.
            if name in read and path in read and name not in self.given.bases
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
        """Whether an event, read as every event is, makes mine true, the part not true, and the
        rest true."""
        stage = ir.Stage((self.kind,), mine)

        def true(condition: ir.Condition, view: CarEvent) -> bool:
            return holds(condition, CarRow(view), _NO_CONTEXT) is True

        def judge(event: Event) -> bool:
            whole = self.completed(event)
            return any(
                passes(stage, view)
                and (part is None or not true(part, view))
                and all(true(other, view) for other in rest)
                and is_consistent(view, self.given.bases)
                for view in views_of(whole, self.kind)
            )

        return judge


_TEXTS = ir.Search((ir.EventKind("process", "create"),))
_TEXT = ir.Field("command_line")


def _own(of: KindFacts) -> Collection[str]:
    """The base names that every event of a kind has with its path."""
    spec = model().object(of.kind.object)
    return () if spec is None else [n for n, found in spec.fields.items() if found.base_name_of]


def possible(wishes: list[Wish], of: KindFacts, budget: Budget) -> bool | None:
    """Whether an event can make the conditions what they have to be; None where the work ran
    out."""
    asked = [(merged(condition), goal) for condition, goal in of.restated(wishes)]
    return can_be(asked, of.facts(condition for condition, _ in asked), budget)


def shortest(
    wishes: list[Wish], of: KindFacts, judge: Judge, budget: Budget, *, plain: bool = False
) -> Event | None:
    """The smallest event found that the judge accepts, made as natural as it may be; or None.

    With ``plain`` the first one found, as it is: where nobody looks at it."""
    paths = paths_read(of.kind.object, [condition for condition, _ in wishes], of.given.bases)

    def with_paths(event: Event) -> bool:
        """Where a condition reads the path, an event with its base name alone is none that there
        can be."""
        return all(paths[name].name in event for name in event if name in paths) and judge(event)

    def agreeing(event: Event) -> Event:
        """The event with each base name as the last part of its path: values for the two are
        proposed apart."""
        made = dict(event)
        for name, path in paths.items():
            whole = event.get(path.name)
            if name in event and isinstance(whole, str):
                last = whole.replace("/", "\\").rpartition("\\")[2]
                made[name] = last or event[name]
        return made

    def either(event: Event) -> bool:
        return with_paths(event) or with_paths(agreeing(event))

    asked = of.restated(wishes)
    facts = of.facts(condition for condition, _ in asked)
    event = find(asked, of.kind, facts, either, budget)
    if event is None:
        return None
    if not with_paths(event):
        event = agreeing(event)
    if plain:
        return of.completed(event)
    pieces = pieces_of(condition for condition, _ in wishes)
    small = smallest(event, with_paths, budget, cost_of_judging(wishes))
    return of.completed(natural(small, with_paths, pieces))


def is_consistent(view: CarEvent, bases: Mapping[str, str]) -> bool:
    """Whether no text is empty, and base names are the last parts of their paths, where both are
    there."""
    spec = model().object(view.kind.object)
    if spec is None:
        # Nothing is known of the names of other logs.
        return True
    if "" in view.fields.values():
        return False
    for name, value in view.fields.items():
        found = spec.field(name)
        of = (found.base_name_of if found else None) or bases.get(name)
        path = view.fields.get(of) if of else None
        if isinstance(path, str) and isinstance(value, str):
            last = path.replace("/", "\\").rpartition("\\")[2]
            if last.lower() != value.lower():
                return False
    return True
