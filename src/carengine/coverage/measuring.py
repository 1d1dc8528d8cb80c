"""From rules, field maps and events to what they cover."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Iterator, Mapping
from functools import cache
from typing import Any

from attrs import define, evolve, field

from .. import ir
from ..attack import (
    AskedEvents,
    Attack,
    LogSource,
    enterprise_attack,
    events_of,
    kinds_of_component,
    platforms_of_map,
)
from ..datamodel import model
from ..engine import Engine
from ..engine.report import RARE, FieldCoverage, Outcome, rule_statuses
from ..fieldmap import MapChoice
from ..rule import Rule, RuleSet
from .asked import AskedCounter, kind_of
from .model import (
    AnalyticCoverage,
    Coverage,
    MissingEvents,
    RulesByLayer,
    SourceCoverage,
    SourceState,
    StrategyCoverage,
    TagFinding,
    TechniqueCoverage,
)
from .serving import ServingRules, SourceEvents, stages_of, substitutes

_RUN = frozenset({Outcome.NOT_TRUE, Outcome.MATCHED})
"""After a run a rule was runnable when its events and fields were there."""


def measure_coverage(
    rules: RuleSet | Iterable[Rule],
    events: Iterable[Mapping[str, Any]] | None = None,
    fieldmap: MapChoice = "auto",
    *,
    attack: Attack | None = None,
) -> Coverage:
    """What rules cover on some events, or, without events, on what field maps have.

    ``attack`` is the version that ships, unless another is given (see `attack.read_bundle`).

    >>> import carengine
    >>> rule = carengine.parse_rule('a = search Process:Create where exe = "x.exe" output a')
    >>> coverage = measure_coverage([rule], fieldmap="sysmon.flat")
    >>> coverage.untagged, coverage.summary()["layers"]["runnable"]["rules"]
    (('<text>',), 0)
    """
    meter = CoverageMeter(Engine(rules, fieldmap), fieldmap, attack=attack)
    for event in events or ():
        meter.add(event)
    return meter.result(ran=events is not None)


class CoverageMeter:
    """Puts events to rules and to log sources, and says what came of it.

    ``engine`` has the rules; log sources are counted through ``fieldmap``. ``add`` the events one
    by one, then ask for the ``result``.
    """

    def __init__(
        self, engine: Engine, fieldmap: MapChoice = "auto", *, attack: Attack | None = None
    ) -> None:
        self.attack = attack or enterprise_attack()
        self.engine = engine
        self.session = engine.session()
        self._fields = FieldCoverage(engine)
        self._met: Counter[int] = Counter()
        self._asked = {source: events_of(source).events for source in self.attack.log_sources()}
        self._alike = dict(self._substitutes())
        wanted = {one for events in self._asked.values() for one in events}
        wanted |= {one for events in self._alike.values() for one in events}
        # Kinds of CAR's are counted by the session, for each map.
        native = [one for one in wanted if kind_of(one).object not in model().objects]
        self._counter = AskedCounter(sorted(native, key=str), fieldmap)

    def add(self, event: Mapping[str, Any]) -> None:
        """Look at an event. Raises as `Session.feed` does."""
        session = self.session
        session.feed(event)
        latest = session.latest
        sampled = self._fields.wants(session.stats)
        if sampled or (latest is not None and self._met[id(latest)] < RARE):
            self._met[id(latest)] += 1
            self._fields.observe(event, sampled=sampled)
        self._counter.add(event)

    def result(self, *, ran: bool = True) -> Coverage:
        """What is covered; ``ran`` says that there were events, were it none."""
        self.session.flush()
        return _CoverageBuilder(self, ran).coverage()

    def _substitutes(self) -> Iterator[tuple[tuple[str, tuple[str, ...]], tuple[AskedEvents, ...]]]:
        """For each data component and platforms of an analytic the log sources that show it."""
        for analytic in self.attack.analytics.values():
            for source in analytic.log_sources:
                component = self.attack.components.get(source.component)
                name = "" if component is None else component.name
                kinds = substitutes(name, analytic.platforms)
                yield (
                    (source.component, analytic.platforms),
                    tuple(AskedEvents(str(kind)) for kind in kinds),
                )

    # What the builder asks.

    def state(self, source: LogSource, platforms: tuple[str, ...], ran: bool) -> SourceCoverage:
        """Whether the events of a log source are there, for an analytic of some platforms."""
        meaning = events_of(source)
        asked = self._asked[source]
        if not asked:
            return SourceCoverage(source, SourceState.UNREADABLE, None, (), meaning.cannot)
        number = sum(self._number(one, platforms) for one in asked) if ran else None
        if self._is_there(asked, platforms, ran):
            return SourceCoverage(source, SourceState.THERE, number, asked, meaning.means)
        other = self._is_there(self._alike[source.component, platforms], platforms, ran)
        other = other or self._is_shown(source.component, platforms, ran)
        state = SourceState.ANOTHER if other else SourceState.MISSING
        return SourceCoverage(source, state, number, asked, meaning.means)

    def _is_there(
        self, asked: Iterable[AskedEvents], platforms: tuple[str, ...], ran: bool
    ) -> bool:
        if ran:
            return any(self._number(one, platforms) for one in asked)
        return any(
            one in self._counter.mapped or self._has_kind(kind_of(one), platforms) for one in asked
        )

    def _number(self, asked: AskedEvents, platforms: tuple[str, ...]) -> int:
        """How many events there were. Those of CAR's kinds count where they may be of one of the
        platforms."""
        kind = kind_of(asked)
        if kind.object not in model().objects:
            return self._counter.counts[asked]
        counts = self.session.stats.kinds
        return sum(
            counts[one.name, kind]
            for one in self.engine.maps
            if _may_be_of(one.family, platforms) and kind in one.by_kind
        )

    def _has_kind(self, kind: ir.EventKind, platforms: tuple[str, ...]) -> bool:
        return kind.object in model().objects and any(
            kind in one.by_kind for one in self.engine.maps if _may_be_of(one.family, platforms)
        )

    def _is_shown(self, component: str, platforms: tuple[str, ...], ran: bool) -> bool:
        """Whether CAR's events for a data component are there, through a map of the platform."""
        named = self.attack.components.get(component)
        kinds = () if named is None else kinds_of_component(named.name).kinds
        counts = self.session.stats.kinds
        return any(
            (counts[one.name, kind] if ran else kind in one.by_kind)
            for one in self.engine.maps
            if not platforms_of_map(one.family).isdisjoint(platforms)
            for kind in (kind_of(AskedEvents(name)) for name in kinds)
        )

    def runnable(self, ran: bool) -> frozenset[str]:
        """The ids of the rules that could match: on these events, or through the maps."""
        stats = self.session.stats
        statuses = rule_statuses(self.engine, stats, self._fields if ran else None)
        return frozenset(
            status.rule.id
            for status in statuses
            if (status.outcome in _RUN if ran else status.outcome.runnable)
        )


def _may_be_of(family: str, platforms: tuple[str, ...]) -> bool:
    """Whether a family of maps reads events of one of some platforms, or may."""
    known = platforms_of_map(family)
    return not known or not known.isdisjoint(platforms)


class _CoverageBuilder:
    def __init__(self, meter: CoverageMeter, ran: bool) -> None:
        self.meter, self.ran, self.attack = meter, ran, meter.attack
        self.rules = {rule.id: rule for rule in meter.engine.rules}
        self.runnable = meter.runnable(ran)
        matches = meter.session.stats.matches
        self.seen = frozenset(id_ for id_ in self.rules if ran and matches[id_])
        self.stages = {id_: stages_of(rule) for id_, rule in self.rules.items()}
        self.serving = ServingRules(meter.engine.maps)
        self.claims: dict[str, list[str]] = defaultdict(list)
        self.claiming: set[str] = set()
        self.implementing: dict[str, list[str]] = defaultdict(list)
        for rule in self.rules.values():
            for analytic in rule.analytics:
                self.implementing[analytic].append(rule.id)
        self.untagged: list[str] = []
        self.findings: dict[str, tuple[str, str, list[str]]] = {}

    def coverage(self) -> Coverage:
        for rule in self.rules.values():
            self._claim(rule)
        techniques = tuple(
            TechniqueCoverage(technique, self._layers(self.claims.get(technique.id, ())))
            for technique in self.attack.techniques.values()
            if technique.status == "current"
        )
        strategies = tuple(self._strategies())
        stats = self.meter.session.stats
        met = sorted(name for name, number in stats.recognised.items() if number)
        return Coverage(
            self.attack,
            stats.events if self.ran else None,
            tuple(met) if self.ran else tuple(one.name for one in self.meter.engine.maps),
            self._layers(id_ for id_ in self.rules if id_ in self.claiming),
            tuple(self.untagged),
            techniques,
            strategies,
            tuple(self._missing(strategies)),
            tuple(
                TagFinding(tag, state, successor, tuple(rules))
                for tag, (state, successor, rules) in sorted(self.findings.items())
            ),
        )

    def _claim(self, rule: Rule) -> None:
        if not rule.attack:
            self.untagged.append(rule.id)
        for tag in dict.fromkeys(rule.attack):
            own = self.attack.techniques.get(tag.strip().upper())
            now = self.attack.technique(tag)
            if own is None or now is None:
                self._note(tag, "unknown", "", rule)
                continue
            if now.status != "current":
                self._note(tag, "retired", "", rule)
                continue
            if now is not own:
                self._note(tag, "moved", now.id, rule)
            self.claiming.add(rule.id)
            if rule.id not in self.claims[now.id]:
                self.claims[now.id].append(rule.id)

    def _note(self, tag: str, state: str, successor: str, rule: Rule) -> None:
        self.findings.setdefault(tag.strip().upper(), (state, successor, []))[2].append(rule.id)

    def _layers(self, ids: Iterable[str]) -> RulesByLayer:
        known = tuple(ids)
        return RulesByLayer(
            known,
            tuple(one for one in known if one in self.runnable),
            tuple(one for one in known if one in self.seen),
        )

    def _events(self, source: LogSource, platforms: tuple[str, ...]) -> SourceEvents:
        component = self.attack.components.get(source.component)
        name = "" if component is None else component.name
        return SourceEvents.of(events_of(source).events, name, platforms)

    def _strategies(self) -> Iterator[StrategyCoverage]:
        for strategy in self.attack.strategies.values():
            now = self.attack.technique(strategy.technique)
            claimed = self.claims.get("" if now is None else now.id, [])
            analytics = tuple(
                self._analytic(id_, claimed)
                for id_ in strategy.analytics
                if id_ in self.attack.analytics
            )
            serving = {id_ for one in analytics for id_ in one.rules.claimed}
            named = [id_ for one in analytics for id_ in one.implemented_by if id_ not in claimed]
            rules = self._layers(id_ for id_ in dict.fromkeys((*claimed, *named)) if id_ in serving)
            yield StrategyCoverage(strategy, analytics, rules)

    def _analytic(self, id_: str, claimed: list[str]) -> AnalyticCoverage:
        analytic = self.attack.analytics[id_]
        sources = tuple(
            self.meter.state(source, analytic.platforms, self.ran)
            for source in analytic.log_sources
        )
        # Where no field map has the events of a log source, no rule looks at them.
        asked = {
            self._events(one.source, analytic.platforms)
            for one in sources
            if one.state is not SourceState.UNREADABLE
        }
        serving = [
            rule
            for rule in claimed
            if any(self.serving.serves(self.stages[rule], events) for events in asked)
        ]
        implementing = tuple(self.implementing.get(id_, ()))
        serving += [rule for rule in implementing if rule not in serving]
        return AnalyticCoverage(analytic, sources, self._layers(serving), implementing)

    def _missing(self, strategies: tuple[StrategyCoverage, ...]) -> list[MissingEvents]:
        gains: dict[AskedEvents, _Gain] = {}
        for strategy in strategies:
            for one in strategy.analytics:
                lacking = [s for s in one.sources if s.state is SourceState.MISSING]
                whole = all(s.state is not SourceState.UNREADABLE for s in one.sources)
                for asked in {unit for s in lacking for unit in _units(s.asked)}:
                    gain = gains.setdefault(asked, _Gain())
                    given = [s for s in lacking if asked in _units(s.asked)]
                    for s in given:
                        gain.sources[f"{s.source.name} {s.source.channel}".strip()] = None
                        gain.alike |= self._events(s.source, one.analytic.platforms).alike
                    gain.asking.append(one.analytic.id)
                    if whole and len(given) == len(lacking):
                        gain.completed.append(one.analytic.id)
        stuck = [id_ for id_ in self.rules if id_ not in self.runnable]
        objects = model().objects
        found = []
        for asked, gain in gains.items():
            # A category shows more than these events alone; of CAR's kinds there is no more to say.
            alike = frozenset(kind for kind in gain.alike if kind.object in objects)
            events = SourceEvents((asked,), alike)
            rules = (id_ for id_ in stuck if self.serving.serves(self.stages[id_], events))
            found.append(
                MissingEvents(
                    asked,
                    tuple(gain.sources),
                    tuple(rules),
                    tuple(gain.completed),
                    tuple(gain.asking),
                )
            )
        return sorted(
            _together(found),
            key=lambda one: (
                -len(one.rules) - len(one.completed),
                -len(one.asking),
                one.label,
            ),
        )


@define
class _Gain:
    """What some missing events would bring, while it is gathered."""

    sources: dict[str, None] = field(factory=dict)
    alike: frozenset[ir.EventKind] = frozenset()
    asking: list[str] = field(factory=list)
    completed: list[str] = field(factory=list)


@cache
def _units(asked: tuple[AskedEvents, ...]) -> tuple[AskedEvents, ...]:
    """Asked events one by one: each kind with one value of its first field."""
    units: list[AskedEvents] = []
    for one in asked:
        if not one.fields:
            units.append(one)
        else:
            (name, values), *rest = one.fields
            units += [AskedEvents(one.kind, ((name, (value,)), *rest)) for value in values]
    return tuple(dict.fromkeys(units))


def _together(found: list[MissingEvents]) -> Iterator[MissingEvents]:
    """Events that differ in one value only and bring the same, as one."""
    groups: dict[Hashable, list[MissingEvents]] = {}
    for one in sorted(found, key=lambda one: one.label):
        names = tuple(name for name, _ in one.asked.fields)
        rest = one.asked.fields[1:]
        key = (one.asked.kind, names, rest, one.rules, one.completed, one.asking)
        groups.setdefault(key, []).append(one)
    for group in groups.values():
        first = group[0]
        if len(group) == 1 or not first.asked.fields:
            yield first
            continue
        name, others = first.asked.fields[0][0], first.asked.fields[1:]
        values = tuple(one.asked.fields[0][1][0] for one in group)
        sources = dict.fromkeys(source for one in group for source in one.sources)
        yield evolve(
            first,
            asked=AskedEvents(first.asked.kind, ((name, values), *others)),
            sources=tuple(sources),
        )
