"""Hunts in streams of Spark: what is kept between micro-batches, and where matches are written.

Spark keeps, for each shard of each stateful output, what its session holds, in the checkpoint. A
micro-batch that is run again after a fault begins with the same state and the same rows, and gives
the same matches. The clock of joins and groups is Spark's watermark: the latest event time of all
partitions, less the lateness, as it stood when the micro-batch began.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from attrs import frozen

from ..engine import Match, RunAccount, ShardSession, StreamOptions, TableRows, match_rows
from .account import account_text
from .engines import SentEngine
from .rows import ACCOUNT, EVENT, MATCH, NOWHERE, OutgoingRows

if TYPE_CHECKING:
    import pandas as pd
    from pyspark.sql import DataFrame

STATE = "state string"
LIVE = "kind int, data string"
"""The rows that the stateful stage gives: matches and accounts, as JSON."""

_HOUR_MS = 3_600_000


@frozen
class Advance:
    """Brings the events of a shard together with what it held, in a micro-batch."""

    engine: SentEngine
    options: StreamOptions

    def __call__(
        self, key: tuple[Any, ...], frames: Iterable[pd.DataFrame], state: Any
    ) -> Iterator[pd.DataFrame]:
        """The matches of a shard; for `applyInPandasWithState`, by component and shard."""
        import pandas as pd

        component, shard = (int(part) for part in key)
        kinds: list[int] = []
        texts: list[str] = []
        if component == NOWHERE:
            for frame in frames:
                wanted = frame[frame["kind"].isin((MATCH, ACCOUNT))]
                kinds += [int(kind) for kind in wanted["kind"]]
                texts += list(wanted["data"])
        else:
            found, account = self._advanced(component, shard, frames, state)
            for row in match_rows(found):
                kinds.append(MATCH)
                texts.append(json.dumps(row, separators=(",", ":")))
            if account is not None:
                kinds.append(ACCOUNT)
                texts.append(account)
        if kinds:
            yield pd.DataFrame({"kind": pd.Series(kinds, dtype="int32"), "data": texts})

    def _advanced(
        self, component: int, shard: int, frames: Iterable[pd.DataFrame], state: Any
    ) -> tuple[list[Match], str | None]:
        before = str(state.get[0]) if state.exists else ""
        plan = self.engine.plan()
        session = ShardSession(plan, component, shard, self.options, before)
        watermark = int(state.getCurrentWatermarkMs())
        found = session.advance(watermark * 1_000) if watermark > 0 else []
        events = [
            (int(at), str(data), bool(first))
            for frame in frames
            for kind, at, data, first in zip(
                frame["kind"], frame["at"], frame["data"], frame["first"], strict=True
            )
            if kind == EVENT
        ]
        # By time, and those of one time in an order that does not depend on the partitions.
        for _, data, first in sorted(events):
            found += session.feed(data, first=first)
        after = session.dump()
        if after:
            state.update((after,))
            state.setTimeoutTimestamp(_next_look(session.deadline, watermark))
        elif state.exists:
            state.remove()
        account = session.account()
        quiet = account.as_data() == RunAccount().as_data()
        return found, None if quiet else account_text(account, TableRows())


def _next_look(deadline: float, watermark: int) -> int:
    """When Spark is to look at a shard again, in milliseconds of the watermark."""
    if math.isinf(deadline):
        # What is held waits for no time, and may be let go of once the clock has passed.
        return watermark + _HOUR_MS
    return max(watermark + 1, math.floor(deadline / 1_000) + 1)


@frozen
class ReadMatches:
    """Makes rows of matches of their JSON."""

    def __call__(self, batches: Iterable[Any]) -> Iterator[Any]:
        """Batches of `rows.ROUTED`."""
        rows = OutgoingRows([])
        for batch in batches:
            for kind, data in zip(
                batch.column("kind").to_pylist(), batch.column("data").to_pylist(), strict=True
            ):
                if kind == MATCH:
                    rows.match_row(json.loads(data))
                else:
                    rows.account(data)
            yield rows.taken()


def advanced(found: DataFrame, package: SentEngine, options: StreamOptions) -> DataFrame:
    """The rows of `workers.Decide` in live data, with what joins and groups make of them."""
    from pyspark.sql import functions
    from pyspark.sql.streaming.state import GroupStateTimeout

    assert options.lateness_us is not None
    clock = functions.when(
        functions.col("kind") != EVENT, functions.timestamp_micros(functions.col("at"))
    )
    # Only the latest times of partitions move the watermark. Events have none here, so that Spark
    # hands over late ones too: they are counted, as in one process.
    return (
        found.select("kind", "component", "shard", "at", "first", "data", clock.alias("clock"))
        .withWatermark("clock", f"{options.lateness_us // 1_000} milliseconds")
        .groupBy("component", "shard")
        .applyInPandasWithState(
            Advance(package, options).__call__,
            LIVE,
            STATE,
            "append",
            GroupStateTimeout.EventTimeTimeout,
        )
    )
