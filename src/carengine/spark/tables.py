"""The table that translations into Spark SQL stand on, made of the rows of a DataFrame."""

from __future__ import annotations

import json as json_text
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import evolve, frozen

from ..diagnostics import Diagnostic
from ..engine import TableRows, batch_events
from ..fieldmap import MapChoice
from ..languages.writing import Translation, translate
from ..loading import load_rules
from ..rule import Rule, RuleSet
from ..sql import EventColumn, EventTable, free_name, rows, survey
from .hunting import checked_columns
from .workers import partition_number

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

_SURVEY = (
    "path string, texts boolean, structures boolean, lists boolean, unread boolean, counts string"
)
_ROWS = 1_024
# So many rows have a number of their own in each partition.
_PARTITION_BITS = 33


@frozen(eq=False)
class SparkTable:
    """A table of events in Spark, and the queries that ask it.

    ``frame`` has a row for each event; make it known under the name that queries ask:
    ``found.frame.createOrReplaceTempView("events")``. It is made anew for each query: persist it,
    or write it, where there are many. ``table`` says what the columns hold. ``translations`` are
    the rules as queries; `Translation.refused` says of some that they cannot be written.
    """

    frame: DataFrame
    table: EventTable
    translations: tuple[Translation, ...]
    rows: TableRows

    @property
    def diagnostics(self) -> tuple[Diagnostic, ...]:
        """What there is to say of rows that hold no event (CE502)."""
        return self.rows.diagnostics


def table(
    df: DataFrame,
    rules: RuleSet | Iterable[Rule] | str | Path,
    fieldmap: MapChoice,
    *,
    json: str = "",
    name: str = "events",
) -> SparkTable:
    """The table that rules ask for, written as queries of Spark SQL.

    The rows of the DataFrame are events, as for `hunt`. They are read once at once, to see which
    fields there are and what they hold, and again when a query is run. The table has the columns
    that the queries name, and no others: texts as the engine reads values, and lists, mappings and
    nulls beside them, see `carengine.sql.EventTable`.

    Raises ``ValueError`` for a column that is not there, `CarError` for rules or maps that cannot
    be loaded, and for more different fields than a table may have columns (CE984).
    """
    checked_columns(df, (json,))
    if isinstance(rules, str | Path):
        rules = load_rules(rules)
    whole, account = _surveyed(df, name, json)
    translations = tuple(translate(rule, "spark", fieldmap, table=whole) for rule in rules)
    wanted = {field for one in translations for field in one.fields}
    columns = []
    for column in whole.columns:
        texts = column.texts if column.texts in wanted else None
        structures = column.structures if column.structures in wanted else None
        if texts or structures:
            columns.append(evolve(column, texts=texts, structures=structures))
    found = evolve(whole, columns=tuple(columns), raw="raw" in wanted)
    shape = ", ".join(
        f"{_quoted(column)} {'bigint' if column == 'event_id' else 'string'}"
        for column in found.names
    )
    frame = df.mapInArrow(Cells(found, json).__call__, shape)
    return SparkTable(frame, found, translations, account)


def _surveyed(df: DataFrame, name: str, json: str) -> tuple[EventTable, TableRows]:
    account = TableRows()
    known: OrderedDict[tuple[str, ...], list[bool]] = OrderedDict()
    for row in sorted(df.mapInArrow(Survey(json).__call__, _SURVEY).distinct().collect(), key=str):
        if row.path is None:
            account.add(json_text.loads(row.counts)[:3])
            continue
        path = tuple(json_text.loads(row.path))
        flags = known.setdefault(path, [False] * 4)
        for place, flag in enumerate((row.texts, row.structures, row.lists, row.unread)):
            flags[place] = flags[place] or bool(flag)
    used = {"event_id", "raw", "event"}
    columns = []
    for path, (texts, structures, lists, unread) in sorted(known.items()):
        names: list[str | None] = []
        for there, ending in ((texts, ""), (structures, " json")):
            made = free_name(".".join(path) + ending, used) if there else None
            if made is not None:
                used.add(made.lower())
            names.append(made)
        columns.append(EventColumn(path, names[0], names[1], lists, unread))
    number = account.rows - account.unreadable
    return EventTable(name, tuple(columns), number, raw=True), account


@frozen
class Survey:
    """Sees which fields the events of a partition have."""

    json: str

    def __call__(self, batches: Iterable[Any]) -> Iterator[Any]:
        """Rows of `_SURVEY`: a field each, and one with the counts."""
        import pyarrow as pa

        account = TableRows(f"partition {partition_number()}")
        found = survey(_events(batches, account, self.json), raw=False)
        told: list[dict[str, Any]] = [
            {
                "path": json_text.dumps(column.path),
                "texts": column.texts is not None,
                "structures": column.structures is not None,
                "lists": column.lists,
                "unread": column.unread_numbers,
            }
            for column in found.columns
        ]
        # Each partition's own: equal ones must not become one.
        counts = [*account.as_data(), partition_number()]
        told.append({"counts": json_text.dumps(counts)})
        names = ("path", "texts", "structures", "lists", "unread", "counts")
        kinds = (pa.string(), *[pa.bool_()] * 4, pa.string())
        schema = pa.schema(list(zip(names, kinds, strict=True)))
        yield pa.RecordBatch.from_pylist(told, schema=schema)


@frozen
class Cells:
    """Makes rows of a table of the events of a partition."""

    table: EventTable
    json: str

    def __call__(self, batches: Iterable[Any]) -> Iterator[Any]:
        """The rows, in the order of `EventTable.names`."""
        import pyarrow as pa

        first = partition_number() << _PARTITION_BITS
        names = self.table.names
        kinds = [pa.int64(), *[pa.string()] * (len(names) - 1)]
        schema = pa.schema(list(zip(names, kinds, strict=True)))
        held: list[tuple[Any, ...]] = []
        for row in rows(_events(batches, TableRows(), self.json), self.table):
            held.append((first + row[0], *row[1:]))
            if len(held) == _ROWS:
                yield _batch(held, schema)
                held = []
        yield _batch(held, schema)


def _batch(held: list[tuple[Any, ...]], schema: Any) -> Any:
    import pyarrow as pa

    columns = list(zip(*held, strict=True)) if held else [()] * len(schema)
    arrays = [pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _events(batches: Iterable[Any], account: TableRows, json: str) -> Iterator[dict[str, Any]]:
    for batch in batches:
        yield from batch_events(batch, account, json)


def _quoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"
