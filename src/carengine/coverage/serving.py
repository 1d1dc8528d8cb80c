"""Which rules look at the events that a log source is.

A rule looks at them where one of its stages searches the same log source and its condition can be
true of such an event, where the stage searches another log source that the same events are of
(``windows/process_creation`` is event 1 of Sysmon), or where it searches a kind or a category that
shows the same data component on the same platform.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from attrs import frozen

from .. import ir
from ..attack import AskedEvents, kinds_of_component
from ..datamodel import model
from ..fieldmap import FieldMap, lower
from ..pattern import Pattern
from ..rule import Rule
from ..solver.facts import Facts
from ..solver.satisfiability import can_be
from ..solver.texts import Budget
from .asked import condition_of, kind_of

_STEPS = 40_000
"""What one question may cost (about 10 ms); where it is used up, the answer is yes."""

_OF_RECORDS = frozenset({"type", "name", "nametype", "mode", "syscall"})

_AUDIT = "linux/auditd"
_SHOWN = {
    ("type", "EXECVE"): "process_creation",
    ("SYSCALL", "execve"): "process_creation",
    ("SYSCALL", "connect"): "network_connection",
    ("nametype", "CREATE"): "file_event",
    ("nametype", "DELETE"): "file_delete",
}
"""The categories that records of the audit system are, as the field map has them."""

_PRODUCTS = {"Windows": "windows", "Linux": "linux", "macOS": "macos"}


@frozen
class SourceEvents:
    """What a log source asks for, with what shows the same on its platform. Log sources that are
    alike in this are served by the same rules."""

    asked: tuple[AskedEvents, ...]
    alike: frozenset[ir.EventKind]

    @classmethod
    def of(
        cls, asked: tuple[AskedEvents, ...], component: str, platforms: Iterable[str]
    ) -> SourceEvents:
        """Those of a log source for a data component (by name) on some platforms."""
        return cls(asked, frozenset((*substitutes(component, platforms), *_car_kinds(component))))


def substitutes(component: str, platforms: Iterable[str]) -> tuple[ir.EventKind, ...]:
    """The log sources that show a data component on some platforms.

    >>> [str(kind) for kind in substitutes("Process Creation", ["Windows", "IaaS"])]
    ['windows/process_creation']
    """
    categories = kinds_of_component(component).categories
    return tuple(
        ir.EventKind(_PRODUCTS[platform], category)
        for platform in platforms
        if platform in _PRODUCTS
        for category in categories
    )


def _car_kinds(component: str) -> tuple[ir.EventKind, ...]:
    return tuple(kind_of(AskedEvents(kind)) for kind in kinds_of_component(component).kinds)


def stages_of(rule: Rule) -> tuple[ir.Stage, ...]:
    """The parts of a rule that look at one event each."""
    return tuple(
        dict.fromkeys(stage for output in rule.program.outputs for stage in _stages_in(output.plan))
    )


def _stages_in(plan: ir.Plan) -> Iterator[ir.Stage]:
    stages = ir.as_stages(plan)
    if stages is not None:
        yield from stages
        return
    for below in ir.plans_below(plan):
        yield from _stages_in(below)


class ServingRules:
    """Answers which stages look at which events, and remembers the answers."""

    def __init__(self, maps: Iterable[FieldMap]) -> None:
        # Shapes of a family have the same entries under other names: one of them says it all.
        self._maps = {one.family: one for one in maps}
        self._same: dict[tuple[ir.Stage, AskedEvents], bool] = {}
        self._kinds: dict[tuple[ir.EventKind, AskedEvents], bool] = {}

    def serves(self, stages: Iterable[ir.Stage], events: SourceEvents) -> bool:
        """Whether one of some stages looks at the events of a log source."""
        return any(self._looks_at(stage, events) for stage in stages)

    def _looks_at(self, stage: ir.Stage, events: SourceEvents) -> bool:
        if not events.alike.isdisjoint(stage.kinds):
            return True
        return any(self._reads(stage, asked) for asked in events.asked)

    def _reads(self, stage: ir.Stage, asked: AskedEvents) -> bool:
        wanted = kind_of(asked)
        if any(_covers(kind, wanted) for kind in stage.kinds):
            return self._is_possible(stage, asked)
        return any(self._overlap(kind, asked) for kind in stage.kinds)

    def _is_possible(self, stage: ir.Stage, asked: AskedEvents) -> bool:
        if not asked.fields:
            return True
        found = self._same.get((stage, asked))
        if found is None:
            found = _can_be(stage.kinds, stage.condition, condition_of(asked))
            self._same[stage, asked] = found
        return found

    def _overlap(self, kind: ir.EventKind, asked: AskedEvents) -> bool:
        """Whether some event is of a kind and asked for, as a field map tells them."""
        found = self._kinds.get((kind, asked))
        if found is None:
            found = self._kinds[kind, asked] = self._decided(kind, asked)
        return found

    def _decided(self, kind: ir.EventKind, asked: AskedEvents) -> bool:
        wanted = kind_of(asked)
        # Kinds of CAR's are in maps of their own; components say which log sources they are.
        if kind.object in model().objects or wanted.object in model().objects:
            return False
        if asked.kind == _AUDIT:
            # An event of it holds several records: which category they are, only this table says.
            pairs = [(name, value) for name, values in asked.fields for value in values]
            return kind.object == "linux" and kind.action in {_SHOWN.get(pair) for pair in pairs}
        stage = ir.Stage((wanted,), condition_of(asked))
        for fieldmap in self._maps.values():
            places = fieldmap.by_kind.get(kind, ())
            if not places or wanted not in fieldmap.by_kind:
                continue
            for lowered in lower(stage, fieldmap):
                for place in places:
                    conditions = (
                        lowered.entry.when,
                        lowered.condition,
                        fieldmap.entries[place].when,
                    )
                    if lowered.possible and _can_be((kind,), *conditions):
                        return True
        return False


def _covers(kind: ir.EventKind, wanted: ir.EventKind) -> bool:
    """Whether a searched kind is a wanted one, or all of its product or of its name."""
    return kind.object in (wanted.object, "*") and kind.action in (wanted.action, "*")


def _can_be(kinds: tuple[ir.EventKind, ...], *conditions: ir.Condition) -> bool:
    wishes = [(ir.map_atoms(condition, _as_text), ir.Goal.TRUE) for condition in conditions]
    # An event of the audit system holds several records; everywhere else a field is one value.
    lists = _OF_RECORDS if any(kind.object in ("linux", "*") for kind in kinds) else frozenset()
    return can_be(wishes, Facts(ir.Search(kinds), lists=lists), Budget(_STEPS)) is not False


def _as_text(atom: ir.Atom) -> ir.Condition:
    """A comparison with a whole number as one of texts, in which the solver sees that a field of no
    known type is not two numbers at once."""
    if (
        isinstance(atom, ir.Compare)
        and atom.relation is ir.Relation.EQUAL
        and isinstance(atom.right, ir.Constant)
        and isinstance(atom.right.value, int | float)
        and not isinstance(atom.right.value, bool)
        and float(atom.right.value).is_integer()
        and not isinstance(atom.left, ir.Constant)
    ):
        return ir.Match(atom.left, (Pattern(str(int(atom.right.value))),))
    return atom
