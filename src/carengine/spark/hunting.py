"""Hunts in DataFrames of Spark, set up where the driver is."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import frozen

from ..engine import Engine, ShardPlan, StreamOptions
from ..fieldmap import MapChoice
from ..loading import load_rules
from ..rule import Rule, RuleSet
from .account import ACCOUNTS, METRICS, HuntAccount
from .engines import SentEngine, sent
from .rows import ACCOUNT, MATCH, MATCH_COLUMNS, ROUTED
from .streaming import ReadMatches, advanced
from .workers import Combine, Decide

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.streaming.query import StreamingQuery

Rules = Engine | RuleSet | Iterable[Rule] | str | Path
"""Rules, or where they are; or an engine that has been made of some."""


def hunt(
    df: DataFrame,
    rules: Rules,
    fieldmap: MapChoice = "auto",
    *,
    json: str = "",
    source: str = "",
    record: str = "",
    options: StreamOptions | None = None,
    shards: int | None = None,
    account: HuntAccount | None = None,
) -> DataFrame:
    """The matches of rules on the rows of a DataFrame, as a DataFrame.

    A row is an event, its columns the fields (structs, maps and arrays too, see
    `carengine.engine.tables`). Where ``json`` names a column, or the only column holds text
    (``spark.read.text``), each row is an event in JSON. ``source`` names a column that says where
    each row is from (``_metadata.file_path``, selected under a name), and ``record`` one with its
    number there; they are no part of the event.

    The columns of the result are those of `carengine.engine.match_schema`. Nothing is run before
    an action asks for them. Rules that look at several events have the matches that one process
    has, however the rows are divided: their events go by the keys of each join, group or window to
    one of so many ``shards`` (``spark.sql.shuffle.partitions`` by default), and where a rule has no
    keys to one place.

    A DataFrame that streams gives one that streams, in append mode. ``options.lateness`` is the
    delay of its watermark then, and needed; outputs that only the end of the data decides are left
    out, and a ``RuntimeWarning`` names them (CE558). The number of shards belongs to the
    checkpoint.

    ``account`` is told what went through: see `HuntAccount`.

    Raises ``ValueError`` for a column that is not there, for two columns of one name, where
    ``options`` tell a lateness for finished data, or none for a stream; `CarError` for rules or
    maps that cannot be loaded.
    """
    from pyspark.sql import Observation, functions

    work = _planned(df, rules, fieldmap, json, source, record, options, shards)
    found = work.rows(df)
    text = functions.when(functions.col("kind") == ACCOUNT, functions.col("data"))
    # As one text: PySpark 4.0 hands over lists of observations as objects of the JVM.
    accounts = functions.to_json(functions.collect_list(text)).alias(ACCOUNTS)
    if work.package.live:
        found = found.observe(METRICS, accounts)
        if account is not None:
            account.begin(work.plan, work.loaded, None)
    elif account is not None:
        observation = Observation()
        account.begin(work.plan, work.loaded, observation)
        found = found.observe(observation, accounts)
    return _matches(found)


def follow(
    df: DataFrame,
    rules: Rules,
    fieldmap: MapChoice = "auto",
    *,
    path: str | Path,
    checkpoint: str | Path,
    json: str = "",
    source: str = "",
    record: str = "",
    options: StreamOptions | None = None,
    shards: int | None = None,
    trigger: Mapping[str, Any] | None = None,
) -> StreamingQuery:
    """Hunt in a DataFrame that streams, and write each match once: to Parquet below a path.

    Micro-batch 17 writes ``matches/batch=17`` and ``accounts/batch=17``, each in place of what may
    be there: one that is run again after a fault writes the same again. ``checkpoint`` is Spark's;
    the same path and checkpoint go on where a query was stopped or killed. ``trigger`` has what
    ``DataStreamWriter.trigger`` takes, ``{"availableNow": True}`` for instance.

    Read the matches with ``spark.read.parquet(f"{path}/matches")``, and the account with
    `HuntAccount.read`. The rest is as for `hunt`.
    """
    work = _planned(df, rules, fieldmap, json, source, record, options, shards)
    if not work.package.live:
        raise ValueError("the DataFrame does not stream: use hunt()")
    goal = str(path).rstrip("/")

    def write(batch: DataFrame, number: int) -> None:
        write_batch(batch, goal, number)

    writer = work.rows(df).writeStream.outputMode("append").foreachBatch(write)
    writer = writer.option("checkpointLocation", str(checkpoint))
    if trigger:
        writer = writer.trigger(**trigger)
    return writer.start()


def write_batch(batch: DataFrame, path: str, number: int) -> None:
    """Write the matches and accounts of a micro-batch, in place of what may be there."""
    from pyspark.sql import functions

    batch.persist()
    try:
        found = _matches(batch)
        found.write.mode("overwrite").parquet(f"{path}/matches/batch={number}")
        accounts = batch.where(functions.col("kind") == ACCOUNT).select("data")
        accounts.write.mode("overwrite").parquet(f"{path}/accounts/batch={number}")
    finally:
        batch.unpersist()


@frozen
class _Work:
    """What is to be done with the rows of a DataFrame."""

    plan: ShardPlan
    loaded: object
    package: SentEngine
    decide: Decide
    options: StreamOptions

    def rows(self, df: DataFrame) -> DataFrame:
        """The rows of `rows.ROUTED`."""
        from pyspark.sql import functions

        found = df.mapInArrow(self.decide.__call__, ROUTED)
        if not self.plan.works:
            return found
        if self.package.live:
            live = advanced(found, self.package, self.options)
            return live.mapInArrow(ReadMatches().__call__, ROUTED)
        return (
            found.repartition("component", "shard")
            .sortWithinPartitions("component", "shard", functions.col("at").asc_nulls_last())
            .mapInArrow(Combine(self.package, self.options).__call__, ROUTED)
        )


def _planned(
    df: DataFrame,
    rules: Rules,
    fieldmap: MapChoice,
    json: str,
    source: str,
    record: str,
    options: StreamOptions | None,
    shards: int | None,
) -> _Work:
    checked_columns(df, (json, source, record))
    options = options or StreamOptions()
    if options.merge:
        raise ValueError(
            "records of several sensors are not merged on Spark: merge is for one place"
        )
    live = bool(df.isStreaming)
    if not live and options.lateness is not None:
        raise ValueError("finished data have no lateness: their events are taken in order")
    if live and options.lateness is None:
        raise ValueError(
            'a stream needs a lateness: options=StreamOptions(lateness="10 minutes") waits so long '
            "for events that come late"
        )
    spark = df.sparkSession
    loaded: object = rules
    if isinstance(rules, str | Path):
        loaded = rules = load_rules(rules)
    engine = rules if isinstance(rules, Engine) else Engine(rules, fieldmap)
    if shards is None:
        shards = int(spark.conf.get("spark.sql.shuffle.partitions") or 200)
    if shards < 1:
        raise ValueError(f"shards must be at least 1, not {shards}")
    plan = ShardPlan(engine, shards, live=live)
    for diagnostic in plan.diagnostics:
        warnings.warn(str(diagnostic), RuntimeWarning, stacklevel=3)
    package = _sent_to(spark, plan)
    return _Work(plan, loaded, package, Decide(package, options, json, source, record), options)


def _sent_to(spark: SparkSession, plan: ShardPlan) -> SentEngine:
    try:
        broadcast: Any = spark.sparkContext.broadcast
    except Exception:
        # Spark Connect has no context in the client: the engine goes along with each task.
        broadcast = None
    return sent(plan, broadcast)


def _matches(rows: DataFrame) -> DataFrame:
    from pyspark.sql import functions

    return rows.where(functions.col("kind") == MATCH).select(*MATCH_COLUMNS)


def checked_columns(df: DataFrame, names: Iterable[str]) -> None:
    """Raise ``ValueError`` where a DataFrame lacks one of some columns, or has one twice."""
    twice = sorted({name for name in df.columns if df.columns.count(name) > 1})
    if twice:
        raise ValueError(f"the DataFrame has two columns named {', '.join(twice)}")
    for name in names:
        if name and name not in df.columns:
            raise ValueError(f"the DataFrame has no column {name}; it has {', '.join(df.columns)}")
