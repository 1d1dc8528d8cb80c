"""The rows that go from one stage of a Spark job to the next.

Matches, events on their way to a shard, times and accounts are rows of one schema, so that one pass
over the data gives all of them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from attrs import frozen

from ..engine import Match, RoutedEvent, match_rows, match_schema

MATCH, EVENT, TICK, ACCOUNT = range(4)
"""What a row is: a match; an event on its way to a shard; the last event time of a partition; the
account of a partition, as JSON."""

NOWHERE = -1
"""The component of rows that belong to none."""

_EVENT = (
    "stream: string, source: string, record: bigint, object: string, action: string, "
    "time: timestamp, fields: string, event: string, "
    "also: array<struct<source: string, record: bigint>>"
)
MATCHES = (
    "rule_id string, title string, level string, attack array<string>, output string, "
    f"time timestamp, `group` string, columns string, events array<struct<{_EVENT}>>"
)
MATCH_COLUMNS = (
    *("rule_id", "title", "level", "attack", "output", "time", "group", "columns", "events"),
)
ROUTED = "kind int, component int, shard int, at bigint, first boolean, data string, " + MATCHES


@frozen
class OutgoingRows:
    """Rows of plain data, which become a batch of Arrow."""

    rows: list[dict[str, Any]]

    def matches(self, found: Iterable[Match], spread: int = 0) -> None:
        """Add matches; ``spread`` is a shard, so that they do not all go one way."""
        for place, row in enumerate(match_rows(found)):
            self.match_row(row, spread + place)

    def match_row(self, row: dict[str, Any], shard: int = 0) -> None:
        """Add a match that is a row already."""
        for event in row["events"]:
            # Not every row has a number where it is from.
            event["record"] = event["record"] or None
            event["source"] = event["source"] or None
        self.rows.append({"kind": MATCH, "component": NOWHERE, "shard": shard, **row})

    def match_text(self, row: dict[str, Any], shard: int) -> None:
        """Add a match as JSON, for stages of live data."""
        data = json.dumps(row, separators=(",", ":"))
        self.rows.append({"kind": MATCH, "component": NOWHERE, "shard": shard, "data": data})

    def events(self, routed: Iterable[RoutedEvent]) -> None:
        """Add events on their way."""
        self.rows.extend(
            {
                "kind": EVENT,
                "component": one.component,
                "shard": one.shard,
                "at": one.time,
                "first": one.first,
                "data": one.data,
            }
            for one in routed
        )

    def tick(self, component: int, time: int) -> None:
        """Add the last event time of a partition, for a component."""
        self.rows.append({"kind": TICK, "component": component, "shard": 0, "at": time})

    def account(self, data: str, spread: int = 0) -> None:
        """Add the account of a partition."""
        self.rows.append({"kind": ACCOUNT, "component": NOWHERE, "shard": spread, "data": data})

    def taken(self) -> Any:
        """The rows so far as a ``pyarrow.RecordBatch``; they are forgotten."""
        import pyarrow as pa

        batch = pa.RecordBatch.from_pylist(self.rows, schema=routed_schema())
        self.rows.clear()
        return batch


def routed_schema() -> Any:
    """The ``pyarrow`` schema of `ROUTED`."""
    import pyarrow as pa

    return pa.schema(
        [
            *(("kind", pa.int32()), ("component", pa.int32()), ("shard", pa.int32())),
            *(("at", pa.int64()), ("first", pa.bool_()), ("data", pa.string())),
            *match_schema(),
        ]
    )
