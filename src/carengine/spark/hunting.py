"""Hunts in DataFrames of Spark, set up where the driver is."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..engine import Engine, StreamOptions
from ..fieldmap import MapChoice
from ..loading import load_rules
from ..rule import Rule, RuleSet
from .account import ACCOUNTS, HuntAccount
from .engines import SentEngine, sent
from .rows import ACCOUNT, MATCH, MATCH_COLUMNS, ROUTED
from .workers import Combine, Decide

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

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

    ``account`` is told, with the first action, what went through: see `HuntAccount`.

    Raises ``ValueError`` for a column that is not there, for two columns of one name, and where
    ``options`` tell a lateness for finished data; `CarError` for rules or maps that cannot be
    loaded.
    """
    from pyspark.sql import Observation, functions

    _checked(df, (json, source, record))
    options = options or StreamOptions()
    if options.lateness is not None:
        raise ValueError("finished data have no lateness: their events are taken in order")
    spark = df.sparkSession
    loaded, engine = engine_of(rules, fieldmap)
    package = sent_to(spark, engine, shards)
    decide = Decide(package, options, json, source, record)
    found = df.mapInArrow(decide.__call__, ROUTED)
    if engine.streams:
        found = (
            found.repartition("component", "shard")
            .sortWithinPartitions("component", "shard", functions.col("at").asc_nulls_last())
            .mapInArrow(Combine(package, options).__call__, ROUTED)
        )
    if account is not None:
        observation = Observation()
        account.begin(engine, loaded, observation)
        text = functions.when(functions.col("kind") == ACCOUNT, functions.col("data"))
        found = found.observe(observation, functions.collect_list(text).alias(ACCOUNTS))
    return found.where(functions.col("kind") == MATCH).select(*MATCH_COLUMNS)


def engine_of(rules: Rules, fieldmap: MapChoice) -> tuple[object, Engine]:
    """The rules as they were loaded, and their engine."""
    if isinstance(rules, Engine):
        return None, rules
    if isinstance(rules, str | Path):
        rules = load_rules(rules)
    return rules, Engine(rules, fieldmap)


def sent_to(spark: SparkSession, engine: Engine, shards: int | None) -> SentEngine:
    """The engine for the workers of a session."""
    if shards is None:
        shards = int(spark.conf.get("spark.sql.shuffle.partitions") or 200)
    if shards < 1:
        raise ValueError(f"shards must be at least 1, not {shards}")
    try:
        broadcast: Any = spark.sparkContext.broadcast
    except Exception:
        # Spark Connect has no context in the client: the engine goes along with each task.
        broadcast = None
    return sent(engine, shards, broadcast)


def _checked(df: DataFrame, names: Iterable[str]) -> None:
    twice = sorted({name for name in df.columns if df.columns.count(name) > 1})
    if twice:
        raise ValueError(f"the DataFrame has two columns named {', '.join(twice)}")
    for name in names:
        if name and name not in df.columns:
            raise ValueError(f"the DataFrame has no column {name}; it has {', '.join(df.columns)}")
