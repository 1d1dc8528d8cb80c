"""The flow: all stateful outputs of an engine as one net of nodes, and the clock that drives it.

Equal plans of different rules are one node. The nodes stand in an order in which each comes after
what feeds it, so that one pass tells all of them about time, and one pass ends them. ::

    flow = Flow(streams, options)
    flow.feed(occurrence, stages)      an event that passed these stages
    flow.tick(time)                    … and the clock moves to its time, less the lateness
    flow.take()                        rows that have arrived at outputs
    flow.finish()                      the end of the data

The clock is the latest event time less the lateness that is allowed. An event from before it is
*late*: it takes no part in joins and groups, since what it belonged to may be closed already, and
it is counted. An event whose time is more than a day after the machine's own clock does not move
the clock: one wrong date would make everything that follows late. An event without a time waits for
the end of the data.
"""

from __future__ import annotations

import math
import time as machine_time
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from ... import ir
from ...evaluate import Row as AnyRow
from ...evaluate import value_of
from ...rule import Rule
from ...values import elements
from .feeding import FlowObserver, Step, Stream
from .group import GroupNode, LookupNode, RankNode, WholeNode
from .join import JoinNode
from .memory import Bucket, Memory, Untimed, level
from .merging import MatchMerging, MergeNode, Output, Waiting
from .node import (
    ChangeNode,
    DifferenceNode,
    DistinctNode,
    FilterNode,
    HeldNode,
    Leaf,
    Node,
    Restore,
    Sink,
    Store,
    UnionNode,
    row_of_stage,
)
from .options import StreamOptions
from .plans import ends_of, needs_now, prepare
from .relational import cells_of_each, chosen_column, keys_of_row, over_members
from .rows import EventRow, Occurrence, Row
from .sequence import SequenceNode
from .window import WindowNode

DAY = 86_400_000_000
_AHEAD = DAY


Take = Callable[[ir.Stage, Occurrence], None]
Watched = TypeVar("Watched", WholeNode, RankNode, LookupNode)


class Flow:
    """The nodes of one session. It is also what conditions see around a row.

    ``spans`` are the kinds of which several sensors tell (`merged_kinds`), used where ``options.merge``
    asks for it.

    An ``observer`` is told of every step that a node takes.

    A node that raises an error is given up, with all that it feeds, and ``given_up`` is told of the
    rules that it works for; the others go on. Without ``given_up`` the error is raised.
    """

    merges = True

    def __init__(
        self,
        streams: Sequence[Stream],
        options: StreamOptions,
        observer: FlowObserver | None = None,
        given_up: Callable[[Rule, Exception], None] | None = None,
        spans: Mapping[ir.EventKind, int] | None = None,
    ) -> None:
        self.options = options
        self._spans = (spans or {}) if options.merge else {}
        self._given_up = given_up
        self._stopped: set[int] = set()
        self._observer = observer
        self.memory = Memory(options.max_events, options.max_bytes)
        self.nodes: list[Node] = []
        self.waiting = Waiting(self.memory)
        """What waits for other records of what it tells."""
        self.clock: float = -math.inf
        self.dropped: Counter[str] = Counter()
        self.forced = 0
        self._latest: int | None = None
        self._ahead = -math.inf
        self._moved: float = -math.inf
        self._ended = False
        self._untimed: list[tuple[EventRow, tuple[ir.Stage, ...]]] = []
        self._leaves: dict[ir.Stage, list[Leaf]] = {}
        # What takes the events of a stage, by its identity: comparing stages costs more than what
        # follows. They are kept, so that no other object can have it.
        self._takes: dict[int, tuple[ir.Stage, list[tuple[Leaf, Take]]]] = {}
        self._by_plan: dict[ir.Plan, Node] = {}
        self._wholes: dict[ir.Whole, WholeNode] = {}
        self._ranks: dict[tuple[ir.Field, ir.Plan], RankNode] = {}
        self._lookups: dict[ir.Plan, LookupNode] = {}
        self._frequencies: dict[int, list[int]] = {}
        self.digests: tuple[list[str], list[str]] | None = None
        """What the nodes and stages are, for `updating`, once that was asked."""
        self.arrived: list[Sink] = []
        """The outputs at which rows have arrived since they were taken, in any order."""
        self.matches = MatchMerging(self.waiting, self.arrived)
        """The matches of single events that wait."""
        self._unmerged: dict[tuple[str, ir.Plan], Node] = {}
        self._watchers: dict[int, list[Node]] = {}
        self.lags: list[tuple[Stream, float]] = []
        """How far a stream's rows may lag behind the clock: infinitely where only the end of the
        data decides them."""
        for stream in streams:
            sink = Sink(stream.rule, stream.output, stream.place, self.arrived)
            try:
                node = self._node(stream.plan)
            except Exception as error:
                if given_up is None:
                    raise
                given_up(stream.rule, error)
                continue
            node.feed(sink)
            self.lags.append((stream, node.lag))
        # Nothing is built after this: the rules that a node works for are known.
        if observer is not None:
            for node in self.nodes:
                node.observe(self._observed)
        if given_up is not None:
            for node in self.nodes:
                node.broken = self._give_up  # type: ignore[method-assign]  # once, for each
        self._advances = [
            (node, self._observed(node, node.advance))
            for node in self.nodes
            if type(node).advance is not Node.advance
        ]
        self._sweeps = [(node, self._observed(node, node.sweep)) for node in self.nodes]
        self._finishes = [(node, self._observed(node, node.finish)) for node in self.nodes]

    def _observed(self, node: Node, step: Step) -> Step:
        """What is called for a step of a node: itself, or what the observer puts in its place."""
        # Rows that have come to an output are the session's.
        if self._observer is None or isinstance(node, Sink):
            return step
        return self._observer.step(self.rules_of(node), step)

    # Building

    def _node(self, plan: ir.Plan) -> Node:
        known = self._by_plan.get(plan)
        if known is None:
            known = self._by_plan[plan] = self._made(plan)
            self.nodes.append(known)
        return known

    def _made(self, plan: ir.Plan) -> Node:
        stages = ir.as_stages(plan)
        if stages is not None:
            leaf = Leaf(self)
            for stage in dict.fromkeys(stages):
                self._leaves.setdefault(stage, []).append(leaf)
            span = self._span(stages)
            if not span:
                return leaf
            self._unmerged["before merging", plan] = leaf
            self.nodes.append(leaf)
            return _fed(MergeNode(span, self.options.lateness_us or 0, self.waiting), [leaf])
        match plan:
            case ir.Filter(inner, condition):
                below = self._node(inner)
                node = self._row_node(plan, condition, below.lag)
                below.feed(node)
                return node
            case ir.Assign(inner, _, value):
                below = self._node(inner)
                node = self._change_node(plan, (value,), below.lag)
                below.feed(node)
                return node
            case ir.Project(inner, columns) | ir.Aggregated(inner, columns):
                below = self._node(inner)
                node = self._change_node(plan, [column.value for column in columns], below.lag)
                below.feed(node)
                return node
            case ir.Union(plans):
                inputs = [self._node(part) for part in dict.fromkeys(plans)]
                return _fed(UnionNode([node.lag for node in inputs], self), inputs)
            case ir.Group(plans):
                inputs = [self._node(part) for part in dict.fromkeys(plans)]
                lags = [node.lag for node in inputs]
                return _fed(GroupNode(plan, self.options.horizon_us, lags, self), inputs)
            case ir.Window(plans):
                # A plan may stand in several places: of windows in order each place counts.
                inputs = [self._node(part) for part in plans]
                return _fed(WindowNode(plan, [node.lag for node in inputs], self), inputs)
            case ir.Sequence():
                inputs = [self._node(step.plan) for step in ir.steps_of(plan)]
                lags = [node.lag for node in inputs]
                return _fed(SequenceNode(plan, self.options.horizon_us, lags, self), inputs)
            case ir.Join(branches):
                inputs = [self._node(branch.plan) for branch in branches]
                lags = [node.lag for node in inputs]
                return _fed(JoinNode(plan, self.options.horizon_us, lags, self), inputs)
            case ir.Difference(left, right):
                inputs = [self._node(left), self._node(right)]
                return _fed(DifferenceNode(plan, self), inputs)
            case ir.Distinct(inner):
                below = self._node(inner)
                return _fed(DistinctNode(plan, below.lag, self), [below])
            case ir.Search():
                raise AssertionError("a search is a stage")

    def _span(self, stages: Iterable[ir.Stage]) -> int:
        """How far apart records may be that tell of one happening; 0 where none are merged."""
        if not self._spans:
            return 0
        return max((self._spans.get(kind, 0) for one in stages for kind in one.kinds), default=0)

    def _row_node(self, plan: ir.Filter, condition: ir.Condition, lag: float) -> Node:
        watched = self._watch(condition)
        if watched or (needs_now(condition) and self.options.now_us is None):
            return self._watching(HeldNode(plan, self), watched)
        return FilterNode(condition, lag, self)

    def _change_node(
        self,
        plan: ir.Assign | ir.Project | ir.Aggregated,
        values: Sequence[ir.Value],
        lag: float,
    ) -> Node:
        watched = [node for value in values for node in self._watch(value)]
        if watched or (any(map(needs_now, values)) and self.options.now_us is None):
            return self._watching(HeldNode(plan, self), watched)
        return ChangeNode(plan, lag, self)

    def _watching(self, node: Node, watched: Sequence[Node]) -> Node:
        for other in watched:
            self._watchers.setdefault(id(other), []).append(node)
        return node

    def _watch(self, part: ir.Condition | ir.Value) -> list[Node]:
        """The nodes for what a condition or a value looks up in other streams."""
        nodes: list[Node] = []
        for end in ends_of(part):
            match end:
                case ir.Whole(_, plan):
                    if end not in self._wholes:
                        self._wholes[end] = self._beside(WholeNode(end, self), plan)
                    nodes.append(self._wholes[end])
                case ir.Rank():
                    key = (end.of, end.plan)
                    if key not in self._ranks:
                        self._ranks[key] = self._beside(RankNode(end, self), end.plan)
                    nodes.append(self._ranks[key])
                case ir.Lookup(plan):
                    if plan not in self._lookups:
                        self._lookups[plan] = self._beside(LookupNode(plan, self), plan)
                    nodes.append(self._lookups[plan])
                case _:
                    pass
        return nodes

    def _beside(self, node: Watched, plan: ir.Plan) -> Watched:
        self._node(prepare(plan)).feed(node)
        self.nodes.append(node)
        return node

    # Running

    def is_late(self, time: int) -> bool:
        """Whether an event of this time has come too late to take part."""
        return time < self.clock

    def feed(self, occurrence: Occurrence, stages: Iterable[ir.Stage]) -> None:
        """An event that passed these stages, and is not late."""
        if occurrence.view.time is None and not self._ended:
            row = EventRow(occurrence)
            self._untimed.append((row, tuple(stages)))
            self.memory.hold(row)
            if self.memory.full:
                # Such an event does not move the clock, so that no tick comes to look after it.
                self._make_room()
            return
        for stage in stages:
            known = self._takes.get(id(stage))
            if known is None:
                leaves = self._leaves.get(stage, [])
                takes: list[tuple[Leaf, Take]] = [
                    (leaf, self._observed(leaf, leaf.take)) for leaf in leaves
                ]
                known = self._takes[id(stage)] = (stage, takes)
            for leaf, take in known[1]:
                try:
                    take(stage, occurrence)
                except Exception as error:
                    self._give_up(leaf, error)

    def merge(self, occurrence: Occurrence, output: Output, stage: ir.Stage) -> None:
        """An event that an output matches by itself, by a stage: one with a sighting."""
        row = row_of_stage(stage, occurrence, self)
        self.matches.take(output, row, self.clock + (self.options.lateness_us or 0))

    def tick(self, time: int) -> None:
        """An event of this time has come: the clock may move."""
        if self._latest is None or time > self._latest:
            self._latest = time
        lateness = self.options.lateness_us
        if lateness is not None and time - lateness > self.clock:
            if time > self._ahead:
                # Looked up only when it could matter.
                present = int(machine_time.time() * 1_000_000)
                self._ahead = max(present, self.options.now_us or present) + _AHEAD
            if time <= self._ahead:
                self.clock = time - lateness
        if self.clock > self._moved:
            self._move()
        if self.memory.full:
            self._make_room()

    def move_to(self, clock: float) -> None:
        """No event from before this time will come."""
        self.clock = clock
        self._move()

    def _move(self) -> None:
        clock = self._moved = self.clock
        for node, advance in self._advances:
            if node.deadline < clock:
                try:
                    advance(clock)
                except Exception as error:
                    self._give_up(node, error)
        latest = clock + (self.options.lateness_us or 0)
        if self.matches.deadline < latest:
            self.matches.advance(latest)

    def let_go(self) -> None:
        """Let go of the rows that are no longer needed."""
        self._sweep()

    def _sweep(self) -> None:
        for node, sweep in self._sweeps:
            try:
                sweep(self.clock)
            except Exception as error:
                self._give_up(node, error)

    def _give_up(self, node: Node, error: Exception) -> None:
        """A node has raised an error: it takes no part any more, nor does all that hangs on it."""
        if self._given_up is None:
            raise error
        rules: dict[str, Rule] = {}
        work = [node]
        gone: set[int] = set()
        while work:
            one = work.pop()
            if id(one) in gone:
                continue
            gone.add(id(one))
            if isinstance(one, Sink):
                rules.setdefault(one.rule.id, one.rule)
            work += one.targets
            work += self._watchers.get(id(one), ())
        new = gone - self._stopped
        self._stopped |= gone
        for one in self.nodes:
            one.leave_out(self._stopped)
        self._advances = [item for item in self._advances if id(item[0]) not in gone]
        self._sweeps = [item for item in self._sweeps if id(item[0]) not in gone]
        self._finishes = [item for item in self._finishes if id(item[0]) not in gone]
        for leaves in self._leaves.values():
            leaves[:] = [leaf for leaf in leaves if id(leaf) not in gone]
        for stage, takes in self._takes.values():
            kept = [item for item in takes if id(item[0]) not in gone]
            self._takes[id(stage)] = (stage, kept)
        if new:
            for rule in rules.values():
                self._given_up(rule, error)

    def latest(self) -> int | None:
        """The last event time so far."""
        return self._latest

    def take(self) -> list[tuple[Sink, list[Row]]]:
        """The rows that have arrived at outputs since the last call, output by output."""
        arrived: list[tuple[Sink, list[Row]]] = []
        for sink in sorted(self.arrived, key=lambda sink: sink.place):
            arrived.append((sink, sink.rows))
            sink.rows = []
        self.arrived.clear()
        return arrived

    def finish(self) -> None:
        """The end of the data: decide everything, and forget it."""
        self._ended = True
        untimed, self._untimed = self._untimed, []
        self.memory.release(row for row, _ in untimed)
        for row, stages in untimed:
            self.feed(row.occurrence, stages)
        for one, finish in self._finishes:
            try:
                finish()
            except Exception as error:
                self._give_up(one, error)
        watched: list[WholeNode | RankNode | LookupNode] = [
            *self._wholes.values(),
            *self._ranks.values(),
            *self._lookups.values(),
        ]
        for node in watched:
            node.forget()
        self.matches.finish()
        self._frequencies = {}
        self._ended = False
        self._latest, self.clock, self._moved = None, -math.inf, -math.inf

    def save(self, writer: Store) -> dict[str, Any]:
        """The state as plain data."""
        stages = {stage: number for number, stage in enumerate(self._leaves)}
        untimed = [
            [writer.row(row), [stages[stage] for stage in passed]] for row, passed in self._untimed
        ]
        return {
            "clock": None if math.isinf(self.clock) else self.clock,
            "latest": self._latest,
            "forced": self.forced,
            "dropped": dict(self.dropped),
            "untimed": untimed,
            "nodes": [node.save(writer) for node in self.nodes],
            "merged": [self.waiting.merged, self.waiting.early],
        }

    def load(self, data: Any, reader: Restore) -> None:
        """Take over a state that `save` gave to a flow of the same plans."""
        if len(data["nodes"]) != len(self.nodes):
            raise ValueError("another number of nodes")
        for name in ("clock", "latest"):
            if data[name] is not None and type(data[name]) is not int:
                raise ValueError(f"flow.{name} is no time")
        if type(data["forced"]) is not int or any(
            type(number) is not int for number in data["dropped"].values()
        ):
            raise ValueError("flow.forced and flow.dropped are counts")
        self.set_clock(-math.inf if data["clock"] is None else data["clock"], data["latest"])
        self.forced = data["forced"]
        self.dropped = Counter(data["dropped"])
        self.load_merged(data)
        stages = list(self._leaves)
        for item, numbers in data["untimed"]:
            row = reader.row(item)
            if not isinstance(row, EventRow):
                raise ValueError("no event")
            self.feed(row.occurrence, [stages[number] for number in numbers])
        for number, (node, state) in enumerate(zip(self.nodes, data["nodes"], strict=True)):
            if state is not None:
                try:
                    node.load(state, reader)
                except Exception as error:
                    message = f"flow.nodes[{number}], a {node.name or 'node'}: {error!r}"
                    raise ValueError(message) from None

    def load_merged(self, data: Any) -> None:
        """Take over what was counted of merging."""
        merged, early = data.get("merged", [0, 0])
        self.waiting.merged, self.waiting.early = int(merged), int(early)

    @property
    def stages(self) -> tuple[ir.Stage, ...]:
        """The stages whose events are taken, in the order of their numbers in a saved state."""
        return tuple(self._leaves)

    def purposes(self) -> Iterator[tuple[object, Node]]:
        """What each node is for: equal things are equal nodes, whatever else a flow has."""
        yield from self._by_plan.items()
        yield from self._unmerged.items()
        yield from self._wholes.items()
        yield from ((("rank", *key), node) for key, node in self._ranks.items())
        yield from ((("lookup", plan), node) for plan, node in self._lookups.items())

    def is_given_up(self, node: Node) -> bool:
        """Whether a node takes no part any more, since it or one below it raised an error."""
        return id(node) in self._stopped

    def set_clock(self, clock: float, latest: int | None) -> None:
        """Go on where another flow's clock stood."""
        self.clock = self._moved = clock
        self._latest = latest

    # Room

    def _make_room(self) -> None:
        """The ceiling is reached: let go of what can go, then trim what is still too much.

        Where no lateness was told, the clock stands still until now; it moves on if that helps
        (`_moving_helps`). If it does not, some keys hold too much within their windows, and moving
        it would only make others late. Where a lateness was told, it is kept to.
        """
        self._sweep()
        if self._has_room():
            return
        if (
            self._latest is not None
            and self.options.lateness_us is None
            and self._moving_helps(self._latest)
        ):
            # Half of the time that is held is let go of, in steps, the oldest first.
            start = self.clock if math.isfinite(self.clock) else self._oldest()
            for part in (0.5, 0.75, 0.875, 1.0):
                ahead = start + (self._latest - start) * part
                if ahead > self.clock:
                    self.clock = math.floor(ahead)
                    self.forced += 1
                    self._move()
                self._sweep()
                if self._has_room():
                    return
        self._trim()

    def _moving_helps(self, clock: int) -> bool:
        """Whether moving the clock makes room, or spares most of the rows that would else be
        dropped and could pass."""
        passing = [node.passing(clock) for node in self.nodes]
        if self._has_room(sum(passing)):
            return True
        dropped: Counter[int] = Counter()
        for number, bucket, keep in self._too_much():
            if number >= 0 and type(self.nodes[number]).passing is not Node.passing:
                dropped[number] += len(bucket) - keep
        spared = sum(min(passing[number], count) for number, count in dropped.items())
        return 0 < dropped.total() <= 2 * spared

    def _has_room(self, going: int = 0) -> bool:
        """Whether there is room again, or would be without so many rows of usual size."""
        limits = self.memory
        share = 1 - going / max(1, limits.rows)
        return (
            limits.rows * share <= limits.max_rows * 0.8
            and limits.bytes * share <= limits.max_bytes * 0.8
        )

    def _oldest(self) -> float:
        oldest = min((node.oldest() for node in self.nodes), default=math.inf)
        return oldest if math.isfinite(oldest) else self._latest or 0

    def _trim(self) -> None:
        for number, bucket, keep in self._too_much():
            self.dropped[self.described(number)] += bucket.trim(keep)
        self._sweep()

    def _too_much(self) -> list[tuple[int, Bucket, int]]:
        """The buckets that hold more than the rest leaves room for: their node's number, and how
        much they may keep."""
        allowed = self.memory.allowed()
        buckets: list[tuple[int, Bucket]] = [
            (n, bucket) for n, node in enumerate(self.nodes) for bucket in node.buckets()
        ]
        buckets.append((-1, Untimed(self._untimed, self.memory)))
        keep = level([len(bucket) for _, bucket in buckets], allowed)
        spare = allowed
        # Where not even one row of each key has room, the keys that came first go.
        over: list[tuple[int, Bucket, int]] = []
        for number, bucket in reversed(buckets):
            size = len(bucket)
            wanted = min(size, keep) if keep else min(size, 1 if spare > 0 else 0)
            spare -= wanted
            if size > wanted:
                over.append((number, bucket, wanted))
        return over

    def described(self, number: int) -> str:
        """What a node is, and the rules that it works for; -1 is no node."""
        if number < 0:
            return "events without a time"
        node = self.nodes[number]
        return f"{node.name} of {', '.join(self.rules_of(node))}"

    def cut_joins(self) -> list[tuple[list[str], JoinNode]]:
        """The joins that have reached a ceiling, each with the ids of the rules it works for."""
        return [
            (self.rules_of(node), node)
            for node in self.nodes
            if isinstance(node, JoinNode) and (node.untried or node.withheld)
        ]

    def rules_of(self, node: Node) -> list[str]:
        """The ids of the rules that a node works for."""
        rules: dict[str, None] = {}
        work = [node]
        seen: set[int] = set()
        while work:
            node = work.pop()
            if id(node) in seen:
                continue
            seen.add(id(node))
            if isinstance(node, Sink):
                rules.setdefault(node.rule.id)
            work += node.targets
            work += self._watchers.get(id(node), ())
        return sorted(rules)

    # What lies around a row

    def now(self) -> int | None:
        """The reference time: what was told, or the last event's time."""
        return self._latest if self.options.now_us is None else self.options.now_us

    def parameter(self, name: str) -> Any:
        """Null: parameters are bound when a rule is loaded."""
        return None

    def aggregate(self, aggregate: ir.Aggregate, row: AnyRow) -> Any:
        """An aggregate over the rows of a group."""
        return over_members(aggregate, row, self)

    def whole(self, whole: ir.Whole) -> Any:
        """An aggregate over a whole stream, as far as it has come."""
        return self._wholes[whole].value

    def lookup(self, lookup: ir.Lookup, row: AnyRow) -> Any:
        """The column of the group with the row's keys."""
        groups = self._lookups[lookup.plan].found.get(keys_of_row(lookup, row), [])
        time = row.field(ir.Field("time", None, ir.Type.TIME))
        return chosen_column(lookup.column, groups, time)

    def rank(self, rank: ir.Rank, row: AnyRow) -> bool | None:
        """Whether a value is among the most or least frequent."""
        node = self._ranks[rank.of, rank.plan]
        frequencies = self._frequencies.get(id(node))
        if frequencies is None:
            frequencies = self._frequencies[id(node)] = sorted(node.counts.values())
        value = value_of(rank.value, row, self)
        if not elements(value):
            return None
        for cell_value in cells_of_each(value, rank.of.type):
            own = node.counts.get(cell_value)
            if own is None:
                continue
            ahead = (
                bisect_left(frequencies, own)
                if rank.bottom
                else len(frequencies) - bisect_right(frequencies, own)
            )
            if ahead < rank.count:
                return True
        return False


def _fed(node: Node, inputs: Sequence[Node]) -> Node:
    for port, below in enumerate(inputs):
        below.feed(node, port)
    return node
