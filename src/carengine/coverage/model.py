"""What there is to tell of coverage, as data."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from functools import cached_property
from typing import Any

from attrs import field, frozen

from ..attack import Analytic, AskedEvents, Attack, LogSource, Strategy, Technique


@frozen
class RulesByLayer:
    """Ids of rules in the three layers. What is runnable is claimed, what is seen is runnable; a
    layer says only what it was found for, and is never filled up from another."""

    claimed: tuple[str, ...] = ()
    runnable: tuple[str, ...] = ()
    seen: tuple[str, ...] = ()

    def as_json(self) -> dict[str, list[str]]:
        """The layers as plain data."""
        return {
            "claimed": list(self.claimed),
            "runnable": list(self.runnable),
            "seen": list(self.seen),
        }


class SourceState(enum.Enum):
    """Whether the events of a log source are there."""

    THERE = "there"
    ANOTHER = "another log"
    """They are not, and another log of the same platform has events of the same data component."""
    MISSING = "missing"
    UNREADABLE = "no field map"
    """No field map has events for it; the reason is in `log_sources.yml`."""


@frozen
class SourceCoverage:
    """One log source of an analytic.

    ``events`` is the number of its events, None where no logs were read. ``asked`` are the events
    it is, ``told`` what its channel means, or why there are no events of it.
    """

    source: LogSource
    state: SourceState
    events: int | None
    asked: tuple[AskedEvents, ...]
    told: str = ""


@frozen
class AnalyticCoverage:
    """One analytic: its log sources, and the rules that serve it.

    A rule serves an analytic when it claims the technique of the analytic's strategy and looks at
    events that one of the analytic's log sources is, or when it says that it implements the
    analytic; ``implemented_by`` are the ids of the latter.
    """

    analytic: Analytic
    sources: tuple[SourceCoverage, ...]
    rules: RulesByLayer
    implemented_by: tuple[str, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether all its log sources are there, themselves or through another log."""
        return bool(self.sources) and all(one.state in _THERE for one in self.sources)

    @property
    def partial(self) -> bool:
        """Whether some of its log sources are there, and some not."""
        return not self.complete and any(one.state in _THERE for one in self.sources)

    def as_json(self) -> dict[str, Any]:
        """The analytic as plain data."""
        return {
            "id": self.analytic.id,
            "platforms": list(self.analytic.platforms),
            "sources": "complete" if self.complete else "partial" if self.partial else "none",
            "log_sources": [
                {
                    "name": one.source.name,
                    "channel": one.source.channel,
                    "component": one.source.component,
                    "state": one.state.value,
                    "events": one.events,
                    "asks_for": [str(asked) for asked in one.asked],
                    "told": one.told,
                }
                for one in self.sources
            ],
            "rules": self.rules.as_json(),
            "implemented_by": list(self.implemented_by),
        }


_THERE = frozenset({SourceState.THERE, SourceState.ANOTHER})


@frozen
class StrategyCoverage:
    """One detection strategy with its analytics; ``rules`` serve one of them."""

    strategy: Strategy
    analytics: tuple[AnalyticCoverage, ...]
    rules: RulesByLayer

    def as_json(self) -> dict[str, Any]:
        """The strategy as plain data."""
        return {
            "id": self.strategy.id,
            "name": self.strategy.name,
            "technique": self.strategy.technique,
            "rules": self.rules.as_json(),
            "analytics": [one.as_json() for one in self.analytics],
        }


@frozen
class TechniqueCoverage:
    """One technique, and the rules whose tags name it (or one that has become it)."""

    technique: Technique
    rules: RulesByLayer

    def as_json(self) -> dict[str, Any]:
        """The technique as plain data."""
        return {
            "id": self.technique.id,
            "name": self.technique.name,
            "tactics": list(self.technique.tactics),
            "rules": self.rules.as_json(),
        }


@frozen
class TagFinding:
    """An id in tags of rules that is none of a current technique.

    ``state`` is ``moved`` (to ``successor``, under which the rules are counted), ``retired`` (no
    technique took its place) or ``unknown``.
    """

    tag: str
    state: str
    successor: str
    rules: tuple[str, ...]


@frozen
class MissingEvents:
    """Events that are not there, and what they would bring.

    ``sources`` are ATT&CK's names and channels for them. ``rules`` cannot run now and look at such
    events; ``completed`` are the analytics for which these are the last that is missing, and
    ``asking`` all analytics that ask for them.
    """

    asked: AskedEvents
    sources: tuple[str, ...]
    rules: tuple[str, ...]
    completed: tuple[str, ...]
    asking: tuple[str, ...]

    @property
    def label(self) -> str:
        """The events in a few words: ``windows/sysmon EventID 10``."""
        return str(self.asked)

    def as_json(self) -> dict[str, Any]:
        """What is missing as plain data."""
        return {
            "events": str(self.asked),
            "log_sources": list(self.sources),
            "rules": list(self.rules),
            "analytics_completed": list(self.completed),
            "analytics_asking": list(self.asking),
        }


@frozen(slots=False)
class Coverage:
    """What rules cover of one version of ATT&CK.

    ``events`` is the number of events read, None where the field maps alone spoke: then *runnable*
    means that they have what a rule needs, and *seen* is empty. ``untagged`` are rules that name no
    technique. ``techniques`` are the current ones, ``missing`` is ranked: what brings most first.
    """

    attack: Attack = field(repr=False)
    events: int | None
    maps: tuple[str, ...]
    rules: RulesByLayer = field(repr=False)
    untagged: tuple[str, ...] = field(repr=False)
    techniques: tuple[TechniqueCoverage, ...] = field(repr=False)
    strategies: tuple[StrategyCoverage, ...] = field(repr=False)
    missing: tuple[MissingEvents, ...] = field(repr=False)
    tags: tuple[TagFinding, ...] = field(repr=False)

    @cached_property
    def analytics(self) -> tuple[AnalyticCoverage, ...]:
        """The analytics of all strategies."""
        return tuple(one for strategy in self.strategies for one in strategy.analytics)

    @cached_property
    def by_technique(self) -> Mapping[str, TechniqueCoverage]:
        """The techniques by id."""
        return {one.technique.id: one for one in self.techniques}

    def summary(self) -> dict[str, Any]:
        """The numbers: of each layer, how many techniques, strategies and analytics; of log
        sources, how many are in each state."""
        parts: dict[str, list[RulesByLayer]] = {
            "techniques": [one.rules for one in self.techniques],
            "strategies": [one.rules for one in self.strategies],
            "analytics": [one.rules for one in self.analytics],
        }
        layers = {
            layer: {
                name: sum(bool(getattr(rules, layer)) for rules in items)
                for name, items in parts.items()
            }
            for layer in ("claimed", "runnable", "seen")
        }
        states = {source.source: source.state for one in self.analytics for source in one.sources}
        return {
            "techniques": len(self.techniques),
            "strategies": len(self.strategies),
            "analytics": len(self.analytics),
            "layers": {
                layer: {"rules": len(getattr(self.rules, layer)), **layers[layer]}
                for layer in layers
            },
            "log_sources": {
                state.value: sum(found is state for found in states.values())
                for state in SourceState
            },
            "analytics_by_sources": {
                "complete": sum(one.complete for one in self.analytics),
                "partial": sum(one.partial for one in self.analytics),
                "none": sum(not one.complete and not one.partial for one in self.analytics),
            },
            "implemented": sum(bool(one.implemented_by) for one in self.analytics),
        }

    def as_json(self) -> dict[str, Any]:
        """All of it as plain data; its schema is
        ``carengine.matches.schema("coverage")``."""
        return {
            "attack": {"version": self.attack.version, "date": self.attack.date},
            "events": self.events,
            "maps": list(self.maps),
            "summary": self.summary(),
            "rules": self.rules.as_json(),
            "rules_without_technique": list(self.untagged),
            "techniques": [one.as_json() for one in self.techniques],
            "strategies": [one.as_json() for one in self.strategies],
            "missing": [one.as_json() for one in self.missing],
            "tags": [
                {
                    "tag": one.tag,
                    "state": one.state,
                    "successor": one.successor,
                    "rules": list(one.rules),
                }
                for one in self.tags
            ],
        }
