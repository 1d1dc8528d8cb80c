"""Joins, groups and windows in many places: events dealt out by key, and each place by itself.

`recording` replays everything in one session. Here each stateful output is a *component* of its own,
and where its plan has keys (`streams.sharding`) a component is divided into shards. A worker decides
single events and says where the others go; whoever has all events of one shard of one component
finds its matches::

    worker    event 17: matches; to component 2, shard 5: the occurrence, by these stages
    (2, 5)    all occurrences from all workers, by time ─▶ matches

In a place the events of finished data come by time, so that rows are let go of as the clock goes by
and memory holds a window, not all of the data.
"""

from __future__ import annotations

import json
import math
import time as machine_time
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any

from attrs import define, evolve, field, frozen

from .. import ir
from ..diagnostics import CarError, Diagnostic, codes, counted
from .engine import Engine
from .match import Match, Origin
from .recording import EngineCodec
from .run_account import RunAccount
from .saved_session import RowDecoder, RowEncoder, pruned, refused
from .session import Session
from .streams import Flow, Stream, StreamOptions
from .streams.flow import DAY
from .streams.merging import Output
from .streams.node import Sink
from .streams.plans import needs_now, stages_of
from .streams.rows import Occurrence, Row
from .streams.sharding import Sharding, sharding_of

_FORMAT = 2
_LATENESS_OF_SORTED = "0 s"


@frozen(eq=False)
class Component:
    """A stateful output and how its events are dealt out; in one place where it has no keys.

    ``needs_latest`` says that it has to know the time of the last event of all, ``endless`` that
    only the end of the data decides it.
    """

    number: int
    stream: Stream
    sharding: Sharding | None
    needs_latest: bool
    endless: bool
    stages: frozenset[ir.Stage]

    def shards(self, stage: ir.Stage, occurrence: Occurrence, count: int) -> Iterable[int]:
        """The shards, of so many, that an event which passed a stage goes to."""
        return (0,) if self.sharding is None else self.sharding.shards(stage, occurrence, count)


class ShardPlan:
    """How the joins, groups and windows of an engine are divided, into so many shards each.

    In ``live`` data, which have no end, components that only the end decides get no events.
    """

    def __init__(self, engine: Engine, count: int, *, live: bool = False) -> None:
        self.engine = engine
        self.count = count
        self.live = live
        lags = {id(stream): lag for stream, lag in _lags_of(engine)}
        self.components = tuple(
            Component(
                number,
                stream,
                sharding_of(stream.plan),
                any(map(_looks_at_now, ir.every_plan([stream.plan]))),
                math.isinf(lags.get(id(stream), 0)),
                frozenset(stages_of(stream.plan)),
            )
            for number, stream in enumerate(engine.streams)
        )

    @cached_property
    def codec(self) -> EngineCodec:
        """What makes plain data of occurrences."""
        return EngineCodec(self.engine)

    @cached_property
    def by_stage(self) -> dict[int, tuple[Component, ...]]:
        """The components that take the events of a stage, by its identity."""
        return {
            id(stage): tuple(
                one
                for one in self.components
                if stage in one.stages and not (self.live and one.endless)
            )
            for stage in self.engine.stages
        }

    @property
    def works(self) -> bool:
        """Whether any component gets events."""
        return any(not (self.live and one.endless) for one in self.components)

    @property
    def diagnostics(self) -> tuple[Diagnostic, ...]:
        """The outputs that are left out of live data (CE558)."""
        left_out = [
            f"{one.stream.rule.id}: {one.stream.output}"
            for one in self.components
            if self.live and one.endless
        ]
        if not left_out:
            return ()
        message = (
            f"{counted(len(left_out), 'output')} that only the end of the data decides: a stream has "
            "no end, and they are left out"
        )
        return (Diagnostic(codes.ENDLESS, message, notes=tuple(left_out)),)


def _lags_of(engine: Engine) -> Sequence[tuple[Stream, float]]:
    """How long the matches of each output wait for the end; a rule that cannot be run has none."""
    return Flow(engine.streams, StreamOptions(), None, lambda rule, error: None).lags


def _looks_at_now(plan: ir.Plan) -> bool:
    condition = ir.condition_of(plan)
    return (condition is not None and needs_now(condition)) or any(
        map(needs_now, ir.values_of_plan(plan))
    )


@frozen
class RoutedEvent:
    """An event on its way to a shard. ``data`` is plain data; ``first`` is true of one of all that
    an event is sent as."""

    component: int
    shard: int
    time: int | None
    first: bool
    data: str


@define(eq=False)
class RoutingFlow:
    """A flow that does nothing, and says where events go."""

    plan: ShardPlan
    origin: Origin | None = None
    clock: float = float("-inf")
    arrived: Sequence[Any] = ()
    """The outputs that rows have come to: none here."""
    latest: int | None = None
    """The last event time so far."""
    current: int | None = None
    """The last one that may move a clock: not more than a day ahead of the machine's own."""
    _ahead: int = field(factory=lambda: int(machine_time.time() * 1_000_000) + DAY)
    routed: list[RoutedEvent] = field(factory=list)
    merges: bool = False

    def is_late(self, time: int) -> bool:
        """False: whether an event is late is decided where it goes."""
        return False

    def feed(self, occurrence: Occurrence, stages: Iterable[ir.Stage]) -> None:
        """Note where an event goes that passed these stages."""
        plan = self.plan
        goals: dict[tuple[int, int], list[ir.Stage]] = {}
        for stage in stages:
            for component in plan.by_stage[id(stage)]:
                for shard in component.shards(stage, occurrence, plan.count):
                    goals.setdefault((component.number, shard), []).append(stage)
        origin = occurrence.origin
        place = None if origin is None else [origin.source, origin.record]
        first = True
        event: Any = None
        for (number, shard), passed in goals.items():
            encoded, stages_passed = plan.codec.encode_occurrence(occurrence, passed)
            event = event or pruned(encoded)
            data = json.dumps([event, stages_passed, place], separators=(",", ":"))
            self.routed.append(RoutedEvent(number, shard, occurrence.view.time, first, data))
            first = False

    def merge(self, occurrence: Occurrence, output: Output, stage: ir.Stage) -> None:
        """Never called: a session hands nothing to be merged to a flow whose ``merges`` is False."""
        raise AssertionError("a flow that only routes rows merges no records")

    def tick(self, time: int) -> None:
        """Note the time of an event."""
        if self.latest is None or time > self.latest:
            self.latest = time
            if time <= self._ahead:
                self.current = time
        elif time <= self._ahead and (self.current is None or time > self.current):
            self.current = time

    def take(self) -> list[Any]:
        """Nothing arrives here."""
        return []

    def taken(self) -> list[RoutedEvent]:
        """Where events went since the last time."""
        routed, self.routed = self.routed, []
        return routed


class _ShardFlow(Flow):
    """The flow of one component, which reports what belongs to its shard."""

    shard: int = 0
    count: int = 1
    sharding: Sharding | None = None

    def take(self) -> list[tuple[Sink, list[Row]]]:
        arrived = super().take()
        sharding = self.sharding
        if sharding is None or sharding.joined is None:
            return arrived
        return [
            (sink, [row for row in rows if sharding.is_here(row, self.shard, self.count)])
            for sink, rows in arrived
        ]


class ShardSession:
    """The events of one shard of one component, and their matches.

    In finished data (``options.lateness`` is None) events are fed by time, those without one last:
    see `feed`. ``state`` is what `dump` gave.
    """

    def __init__(
        self,
        plan: ShardPlan,
        component: int,
        shard: int,
        options: StreamOptions,
        state: str = "",
    ) -> None:
        self.plan = plan
        self.component = plan.components[component]
        engine = plan.engine
        if options.lateness is None:
            # Events come by time: none is late, and what no later one can belong to is decided.
            options = evolve(options, lateness=_LATENESS_OF_SORTED)
        self._options = options
        self._flow = _ShardFlow(
            [self.component.stream],
            options,
            None,
            lambda rule, error: engine.left_out.note([rule], "the joining and grouping", error),
        )
        self._flow.shard, self._flow.count = shard, plan.count
        self._flow.sharding = self.component.sharding
        self._session = Session(engine, options, self._flow)
        self._empty = self._flow.save(RowEncoder())["nodes"]
        if state:
            self._load(state)

    def feed(self, data: str, *, first: bool = True) -> list[Match]:
        """The matches that an event completes, as `RoutedEvent.data` has it.

        ``first`` says whether the account counts it, where it is late: of all places that an event
        is sent to, one does.
        """
        codec, session = self.plan.codec, self._session
        event, stages, place = json.loads(data)
        origin = None if place is None else Origin(place[0], place[1])
        occurrence, passed = codec.decode_occurrence((event, stages), origin)
        time = occurrence.view.time
        if first or time is None or not self._flow.is_late(time):
            session.feed_occurrence(occurrence, passed)
            if time is not None:
                session.tick(time)
        return session.arrived()

    def tick(self, time: int) -> list[Match]:
        """The matches that are decided once an event of this time has come."""
        self._session.tick(time)
        return self._session.arrived()

    def advance(self, clock: int) -> list[Match]:
        """The matches that are decided once no event from before this time will come."""
        flow = self._flow
        if clock > flow.clock:
            flow.move_to(clock)
        return self._session.arrived()

    @property
    def deadline(self) -> float:
        """The time that `advance` must pass for something to be decided; infinity where nothing
        waits for a time."""
        deadlines = (node.deadline for node in self._flow.nodes)
        return min((one for one in deadlines if one > -math.inf), default=math.inf)

    def flush(self) -> list[Match]:
        """The matches that only the end of the data decides."""
        return self._session.flush()

    def account(self) -> RunAccount:
        """The account of the shard. Events without a time are those of `feed`'s caller, which has
        met each once."""
        account = self._session.account()
        account.stats.untimed = 0
        account.stats.untimed_origins.clear()
        return account

    def dump(self) -> str:
        """The state, for another session of this shard; empty where nothing is held. It is plain
        data: loading it runs no code."""
        self._flow.let_go()
        encoder = RowEncoder()
        flow = self._flow.save(encoder)
        if flow["nodes"] == self._empty and not flow["untimed"]:
            return ""
        state = {
            "carengine_shard": _FORMAT,
            "fingerprint": self.plan.engine.fingerprint,
            "place": [self.component.number, self._flow.shard, self.plan.count],
            "options": self._options.as_data(),
            "events": encoder.events,
            "flow": flow,
        }
        return json.dumps(state, separators=(",", ":"))

    def _load(self, text: str) -> None:
        name = "<state of a shard>"
        try:
            state: Mapping[str, Any] = json.loads(text)
            if state["carengine_shard"] != _FORMAT:
                raise refused(name, "this is not a state of this version")
            if state["fingerprint"] != self.plan.engine.fingerprint:
                raise refused(
                    name,
                    "the state was made with other rules or field maps",
                    "start with another checkpoint, or go back to those rules",
                )
            if state["place"] != [self.component.number, self._flow.shard, self.plan.count]:
                raise refused(name, "the state is that of another shard")
            saved = StreamOptions.from_data(state["options"])
            if saved.meaning != self._options.meaning:
                differences = saved.differences(self._options)
                raise refused(name, f"the state was made with other options: {differences}")
            decoder = RowDecoder(state["events"], self.plan.engine.maps)
            self._flow.load(state["flow"], decoder)
        except CarError:
            raise
        except Exception as error:
            raise refused(name, f"it holds what no engine writes: {error!r}") from None
