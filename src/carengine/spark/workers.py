"""What runs in the Python workers of Spark, on batches of Arrow."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from attrs import frozen

from ..engine import (
    RoutingFlow,
    RunAccount,
    Session,
    ShardSession,
    StreamOptions,
    TableRows,
    feed_batch,
    match_rows,
)
from .account import account_text
from .engines import SentEngine
from .rows import ACCOUNT, EVENT, MATCH, NOWHERE, TICK, OutgoingRows, routed_schema

# So many rows are held before they go on.
_ROWS = 2_048


@frozen
class Decide:
    """Decides single events, and says where those go that joins, groups and windows want.

    ``json``, ``source`` and ``record`` name columns, see `hunt`.
    """

    engine: SentEngine
    options: StreamOptions
    json: str
    source: str
    record: str

    def __call__(self, batches: Iterable[Any]) -> Iterator[Any]:
        """The rows (`rows.ROUTED`) of a partition."""
        plan = self.engine.plan()
        partition = partition_number()
        flow = RoutingFlow(plan) if plan.works else None
        session = Session(plan.engine, self.options, flow)
        read = TableRows(f"partition {partition}")
        rows = OutgoingRows([])
        for batch in batches:
            found = feed_batch(
                session, batch, read, self.json, source=self.source, record=self.record
            )
            for match in found:
                if plan.live and flow is not None:
                    [row] = match_rows([match])
                    rows.match_text(row, session.stats.events % plan.count)
                else:
                    rows.matches([match], spread=session.stats.events)
            if flow is not None:
                # What has no time waits for the end of the data, which does not come.
                routed = flow.taken()
                rows.events(one for one in routed if not plan.live or one.time is not None)
            if len(rows.rows) > _ROWS:
                yield rows.taken()
        if flow is not None and plan.live and flow.current is not None:
            rows.tick(NOWHERE, flow.current)
        elif flow is not None and flow.latest is not None:
            for component in plan.components:
                if component.needs_latest:
                    rows.tick(component.number, flow.latest)
        rows.account(account_text(session.account(), read), spread=partition)
        yield rows.taken()


@frozen
class Combine:
    """Brings the events of each shard together, in finished data.

    The rows of a shard come one after the other, by time, those without one last; everything else
    goes on as it is.
    """

    engine: SentEngine
    options: StreamOptions

    def __call__(self, batches: Iterable[Any]) -> Iterator[Any]:
        """The matches of the shards, and what goes on."""
        plan = self.engine.plan()
        total = RunAccount()
        session: ShardSession | None = None
        at: tuple[int, int] | None = None
        rows = OutgoingRows([])
        for batch in batches:
            yield going_on(batch)
            for place, (kind, time, first, data) in routed_in(batch):
                if place != at:
                    if session is not None:
                        rows.matches(session.flush())
                        total.add(session.account().as_data())
                    at, session = place, ShardSession(plan, *place, self.options)
                assert session is not None
                if kind == TICK:
                    rows.matches(session.tick(time))
                else:
                    rows.matches(session.feed(data, first=first))
                if len(rows.rows) > _ROWS:
                    yield rows.taken()
        if session is not None:
            rows.matches(session.flush())
            total.add(session.account().as_data())
            rows.account(account_text(total, TableRows()))
            yield rows.taken()


def going_on(batch: Any) -> Any:
    """The rows of a batch that are matches and accounts."""
    import pyarrow as pa
    import pyarrow.compute as pc

    wanted = pc.is_in(batch.column("kind"), pa.array([MATCH, ACCOUNT], pa.int32()))
    # Spark says times in the zone of the session; all batches must be of one schema.
    return batch.filter(wanted).cast(routed_schema())


def routed_in(batch: Any) -> Iterator[tuple[tuple[int, int], tuple[int, int, bool, str]]]:
    """The events and times of a batch: component and shard; what it is, its time, `first`, data."""
    names = ("component", "shard", "kind", "at", "first", "data")
    columns = (batch.column(name).to_pylist() for name in names)
    for component, shard, kind, time, first, data in zip(*columns, strict=True):
        if component != NOWHERE and kind in (EVENT, TICK):
            yield (component, shard), (kind, time, first, data)


def partition_number() -> int:
    """The number of the partition that this worker is at."""
    from pyspark import TaskContext

    context = TaskContext.get()
    return 0 if context is None else context.partitionId()
