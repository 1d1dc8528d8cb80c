"""Whether a rule can fire at all: on any log that the field maps read, and on the logs of a run.

A rule that did not match may have had no occasion, or may never have one. ``proof_of_rule`` tells
the two apart, by proof: each way in which an event could come into the rule (a field map's entry of
a kind that the rule searches) is lowered as the engine lowers it, with null for each field that is
never there, and three-valued logic and the solver say whether the condition can be true then::

    process/create, sysmon.flat     exe = "a" and (sid = "x" or gid = "y")
                                    exe = "a" and (null = "x" or null = "y")     never true

Where it can not in any of them, the rule can never fire. Where one is left, nothing is claimed.
What was lost in a run (records that could not be read, events that were not looked at) makes what
the run's logs seem to show no proof.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal, assert_never

from attrs import evolve, field, frozen

from .. import ir
from ..engine import Engine, SessionStats
from ..engine.report import FieldCoverage, kind_names, with_only
from ..fieldmap import FieldMap, Lowered, lower, lower_for
from ..ir import Goal
from ..rule import Rule
from ..solver.facts import Facts
from ..solver.satisfiability import can_be
from ..solver.texts import Budget

FiringVerdict = Literal["fired", "never", "open"]
FiringScope = Literal["rule", "maps", "logs"]

_STEPS = 100_000
_MOST_REASONS = 6


@frozen
class FiringProof:
    """Whether a rule can fire.

    ``verdict`` is ``fired`` (it did), ``never`` (proved) or ``open`` (nothing shows that it
    cannot). A proof has a ``scope``: the ``rule`` alone, whatever the events; the ``maps``,
    whatever the logs that they read; or the ``logs`` of this run. ``reasons`` has one for each way
    that is closed. ``assumptions`` is what the proof takes for granted; where the verdict is
    ``open``, it is what kept a seeming proof from being one.
    """

    rule: Rule
    verdict: FiringVerdict
    scope: FiringScope | None = None
    reasons: tuple[str, ...] = ()
    assumptions: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """The proof as plain data."""
        return {
            "verdict": self.verdict,
            "scope": self.scope,
            "reasons": list(self.reasons),
            "assumptions": list(self.assumptions),
        }


@frozen
class _Closed:
    """A plan that gives no rows, and why; what that takes for granted."""

    reasons: tuple[str, ...]
    assumptions: tuple[str, ...] = ()


@frozen
class _World:
    """What there can be: the maps that are in use and, after a run, what the logs had of each.

    Without ``stats`` any event that the maps read can be there.
    """

    maps: tuple[FieldMap, ...]
    stats: SessionStats | None = None
    coverage: FieldCoverage | None = None
    stages: dict[ir.Stage, _Closed | None] = field(factory=dict, eq=False)

    def present(self, fieldmap: FieldMap, kind: ir.EventKind) -> bool:
        return self.stats is None or self.stats.kinds[fieldmap.name, kind] > 0

    def fields(self, fieldmap: FieldMap, kind: ir.EventKind) -> set[str] | None:
        """The fields that any event of a kind had; None where not all were looked at."""
        if self.stats is None or self.coverage is None:
            return None
        key = fieldmap.name, kind
        events = self.stats.kinds[key]
        return self.coverage.every_field(key, events)


def firing_proofs(
    engine: Engine,
    stats: SessionStats | None = None,
    coverage: FieldCoverage | None = None,
    lost: Iterable[str] = (),
) -> list[FiringProof]:
    """Whether each rule of an engine can fire, in the order of the rules.

    ``stats`` and ``coverage`` are a run's: a field is said to be never there only of kinds whose
    events were all given to the ``coverage``. ``lost`` says what of the logs is not in them, in
    words (``"3 records could not be read"``): then the logs prove nothing.

    >>> import carengine
    >>> rule = carengine.parse_rule('a = search Process:Create where env_vars = "x" output a')
    >>> [found] = firing_proofs(carengine.Engine([rule], "sysmon.flat"))
    >>> found.verdict, found.scope
    ('never', 'maps')
    >>> found.reasons
    ('sysmon.flat: no process/create has env_vars, and each branch of the condition asks for it',)
    """
    missing = tuple(lost)
    maps = tuple(engine.maps)
    any_log = _World(maps)
    this_log = None if stats is None else _World(maps, stats, coverage)
    return [_proof(rule, any_log, this_log, missing) for rule in engine.rules]


def _proof(
    rule: Rule, any_log: _World, this_log: _World | None, lost: tuple[str, ...]
) -> FiringProof:
    if this_log is not None and this_log.stats is not None and this_log.stats.matches[rule.id]:
        return FiringProof(rule, "fired")
    plans = [output.plan for output in rule.program.outputs]
    own = _all_closed(_contradiction(plan) for plan in plans)
    if own is not None:
        return FiringProof(rule, "never", "rule", own.reasons, own.assumptions)
    closed = _all_closed(_closed(plan, any_log) for plan in plans)
    if closed is not None:
        return FiringProof(rule, "never", "maps", closed.reasons, closed.assumptions)
    if this_log is None:
        return FiringProof(rule, "open")
    closed = _all_closed(_closed(plan, this_log) for plan in plans)
    if closed is None:
        return FiringProof(rule, "open")
    if lost:
        return FiringProof(rule, "open", None, (), lost)
    return FiringProof(rule, "never", "logs", closed.reasons, closed.assumptions)


# Plans


def _all_closed(parts: Iterable[_Closed | None]) -> _Closed | None:
    """All of several, together; None where one is open."""
    listed = list(parts)
    closed = [part for part in listed if part is not None]
    if len(closed) < len(listed):
        return None
    reasons = tuple(dict.fromkeys(text for one in closed for text in one.reasons))
    assumptions = tuple(dict.fromkeys(text for one in closed for text in one.assumptions))
    return _Closed(reasons or ("the rule has no output",), assumptions)


def _any_closed(parts: Iterable[_Closed | None]) -> _Closed | None:
    return next((part for part in parts if part is not None), None)


def _closed(plan: ir.Plan, world: _World) -> _Closed | None:
    """Why a plan gives no rows; None where it may."""
    stages = ir.as_stages(plan)
    if stages is not None:
        return _all_closed(_stage(stage, world) for stage in stages)
    match plan:
        case ir.Join(branches, condition):
            one = _any_closed(_closed(branch.plan, world) for branch in branches)
            return one or _joined(branches, condition, world)
        case ir.Sequence(steps):
            needed = [step for step in steps if not step.absent]
            return _any_closed(_closed(step.plan, world) for step in needed)
        case ir.Window(plans, ordered=True):
            # It takes a row of each.
            return _any_closed(_closed(part, world) for part in plans)
        case ir.Group(plans) | ir.Window(plans) | ir.Union(plans):
            return _all_closed(_closed(part, world) for part in plans)
        case ir.Aggregated(inner):
            return _closed(inner, world)
        case ir.Difference(inner):
            return _closed(inner, world)
        case ir.Filter(inner) | ir.Assign(inner) | ir.Project(inner) | ir.Distinct(inner):
            return _closed(inner, world)
        case ir.Search():
            raise AssertionError("a search is a stage")
        case _:
            assert_never(plan)


def _contradiction(plan: ir.Plan) -> _Closed | None:
    """Why a plan gives no rows whatever the events: a condition contradicts itself."""
    stages = ir.as_stages(plan)
    if stages is not None:
        return _all_closed(_contradictory(stage) for stage in stages)
    match plan:
        case ir.Join(branches):
            return _any_closed(_contradiction(branch.plan) for branch in branches)
        case ir.Sequence(steps):
            return _any_closed(_contradiction(step.plan) for step in steps if not step.absent)
        case ir.Group(plans) | ir.Window(plans) | ir.Union(plans):
            return _all_closed(_contradiction(part) for part in plans)
        case ir.Aggregated(inner):
            return _contradiction(inner)
        case ir.Difference(inner):
            return _contradiction(inner)
        case ir.Filter(inner) | ir.Assign(inner) | ir.Project(inner) | ir.Distinct(inner):
            return _contradiction(inner)
        case ir.Search():
            raise AssertionError("a search is a stage")
        case _:
            assert_never(plan)


_ONE_VALUE = "each field holds one value, of the kind that the data model says"


def _contradictory(stage: ir.Stage) -> _Closed | None:
    wish = [(stage.condition, Goal.TRUE)]
    if can_be(wish, Facts(ir.Search(stage.kinds)), Budget(_STEPS)) is not False:
        return None
    kinds = _listed(kind_names(stage.kinds))
    reason = f"the condition on {kinds} can never be true, whatever the events"
    # The second time nothing is taken for granted.
    sure = can_be(wish, Facts(ir.Search(())), Budget(_STEPS)) is False
    return _Closed((reason,), () if sure else (_ONE_VALUE,))


# One event


def _stage(stage: ir.Stage, world: _World) -> _Closed | None:
    if stage not in world.stages:
        world.stages[stage] = _judge(stage, world)
    return world.stages[stage]


def _judge(stage: ir.Stage, world: _World) -> _Closed | None:
    kinds = _listed(kind_names(stage.kinds))
    reasons = []
    ways = [(m, lowered) for m in world.maps for lowered in lower(stage, m)]
    if not ways:
        return _Closed((f"no field map in use gives {kinds}",))
    present = [(m, one) for m, one in ways if world.present(m, one.entry.kind)]
    if not present:
        return _Closed((f"no event of these logs is {kinds}",))
    for fieldmap, lowered in present:
        reason = _way(stage, fieldmap, lowered, world)
        if reason is None:
            return None
        reasons.append(reason)
    distinct = list(dict.fromkeys(reasons))
    if len(distinct) > _MOST_REASONS:
        more = len(distinct) - _MOST_REASONS
        distinct = [*distinct[:_MOST_REASONS], f"and {more} more field maps alike"]
    return _Closed(tuple(distinct))


def _way(stage: ir.Stage, fieldmap: FieldMap, lowered: Lowered, world: _World) -> str | None:
    """Why events of one entry never make a stage true; None where they may."""
    kind = lowered.entry.kind
    if _impossible(lowered):
        return f"{fieldmap.name}: {_why(stage, fieldmap, lowered, 'no')}"
    there = world.fields(fieldmap, kind)
    if there is None:
        return None
    # Whether a field is there with nothing in it was not looked at.
    reduced = with_only(there | _asked_for(stage.condition), fieldmap, lowered.entry)
    [again] = lower(stage, reduced) or (None,)
    if again is None or not _impossible(again):
        return None
    events = 0 if world.stats is None else world.stats.kinds[fieldmap.name, kind]
    which = "the only" if events == 1 else f"none of the {events:,}"
    return f"{fieldmap.name}: {_why(stage, reduced, again, which)}"


def _asked_for(condition: ir.Condition) -> set[str]:
    """The fields of which a condition asks whether they are there, whatever their value."""
    return {
        inner.of.name
        for atom in ir.atoms(condition)
        for value in ir.values_of(atom)
        for inner in ir.values_in(value)
        if isinstance(inner, ir.Presence) and isinstance(inner.of, ir.Field)
    }


def _impossible(lowered: Lowered) -> bool:
    if not lowered.possible:
        return True
    wish = [(lowered.condition, Goal.TRUE)]
    return can_be(wish, Facts(ir.Search(())), Budget(_STEPS)) is False


def _why(stage: ir.Stage, fieldmap: FieldMap, lowered: Lowered, which: str) -> str:
    """The fields whose lack is enough, as few as possible."""
    core = list(lowered.missing)
    if not _without(stage, fieldmap, lowered, core):
        return f"the condition is never true of {lowered.entry.kind}, by what the map makes of it"
    for name in list(core):
        fewer = [one for one in core if one != name]
        if fewer and _without(stage, fieldmap, lowered, fewer):
            core = fewer
    names = _listed(core)
    lacks = "lacks" if which == "the only" else "has"
    subject = f"{which} {lowered.entry.kind} {lacks} {names}"
    asked = "it" if len(core) == 1 else "one of them"
    return f"{subject}, and each branch of the condition asks for {asked}"


def _without(stage: ir.Stage, fieldmap: FieldMap, lowered: Lowered, missing: Sequence[str]) -> bool:
    """Whether a stage is impossible for want of just these fields, were the others there."""
    if not missing:
        return False
    entry = lowered.entry
    given = {n: ir.Raw(("\0given", n)) for n in lowered.missing if n not in missing}
    native = entry.native
    if native is not None:
        native = evolve(native, names={**native.names, **given})
    entry = evolve(entry, fields={**entry.fields, **given}, native=native)
    return _impossible(lower_for(stage, fieldmap, entry))


# Several events


def _joined(
    branches: Sequence[ir.Branch], condition: ir.Condition, world: _World
) -> _Closed | None:
    """Why a join's condition is never true: it needs a field that no row of a branch has."""
    absent: dict[tuple[str, str], None] = {}
    for asked in ir.fields_of(condition):
        for branch in branches:
            if asked.source == branch.name and _is_absent(branch.plan, asked.name, world):
                absent.setdefault((branch.name, asked.name))
    core = list(absent)
    if not core or not _needs(condition, core):
        return None
    for one in list(core):
        fewer = [other for other in core if other != one]
        if fewer and _needs(condition, fewer):
            core = fewer
    names = _listed(f"{source}.{name}" for source, name in core)
    return _Closed((f"the join needs {names}, and no event of that branch has it",))


def _needs(condition: ir.Condition, absent: Sequence[tuple[str, str]]) -> bool:
    """Whether a join's condition is never true where these fields are null."""

    def change(value: ir.Value) -> ir.Value:
        if isinstance(value, ir.Field) and (value.source, value.name) in absent:
            return ir.Constant(None)
        return value

    rewritten = ir.rewrite_condition(condition, change)
    return can_be([(rewritten, Goal.TRUE)], Facts(ir.Search(())), Budget(_STEPS)) is False


def _is_absent(plan: ir.Plan, name: str, world: _World) -> bool:
    """Whether no row of a plan can have a field."""
    stages = ir.as_stages(plan)
    if stages is None:
        return False
    for stage in stages:
        if stage.columns is not None or any(name == given for given, _ in stage.assigned):
            return False
        for fieldmap in world.maps:
            for place in (p for k in stage.kinds for p in fieldmap.by_kind.get(k, ())):
                entry = fieldmap.entries[place]
                if not world.present(fieldmap, entry.kind):
                    continue
                if entry.native is not None and name not in entry.fields:
                    # A name of the log's own: what was observed are the fields of entries.
                    return False
                there = world.fields(fieldmap, entry.kind)
                known = entry if there is None else with_only(there, fieldmap, entry).entries[0]
                if known.value(ir.Field(name)) is not None:
                    return False
    return True


def _listed(names: Iterable[str]) -> str:
    distinct = list(dict.fromkeys(names))
    if len(distinct) < 2:
        return "".join(distinct)
    return f"{', '.join(distinct[:-1])} or {distinct[-1]}"
