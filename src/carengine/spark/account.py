"""What went through a hunt on Spark: the accounts of all partitions, added up."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import define, field

from ..diagnostics import Diagnostic
from ..engine import Engine, RunAccount, SessionStats, ShardPlan, TableRows
from ..rule import RuleSet

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

ACCOUNTS = "accounts"


METRICS = "carengine"
"""What Spark calls the accounts of a stream, in the progress of its query."""


@define(eq=False)
class HuntAccount:
    """The account of a hunt, once Spark has run it: hand it to `hunt`.

    In finished data Spark counts while it works (`pyspark.sql.Observation`), and the counts are
    there after the first action on the matches that reads all of them (``toLocalIterator`` is not
    one that counts: a ``RuntimeWarning`` says so): ``stats``, ``rows`` and ``diagnostics`` wait for
    that. Of a stream, hand each progress of its query to `take`. What
    `follow` wrote, `read` adds up. ``bytes`` is how much the partitions sent for it.

    >>> HuntAccount().loaded
    ()
    """

    loaded: tuple[Diagnostic, ...] = ()
    """What was said of the rules when they were loaded, refused ones above all, and those that are
    left out of a stream."""
    _engine: Engine | None = field(default=None, repr=False)
    _observation: Any = field(default=None, repr=False)
    _sum: tuple[RunAccount, TableRows, int] | None = field(default=None, repr=False)

    def begin(self, plan: ShardPlan, rules: object, observation: Any) -> None:
        """A hunt is about to be run."""
        self._engine, self._observation, self._sum = plan.engine, observation, None
        loaded = rules.diagnostics if isinstance(rules, RuleSet) else ()
        self.loaded = (*loaded, *plan.diagnostics)
        if plan.live:
            self._sum = added(())

    def take(self, progress: Mapping[str, Any]) -> None:
        """Count in a micro-batch: ``query.lastProgress``, or one of ``query.recentProgress``, or
        what a ``StreamingQueryListener`` is told."""
        metrics = progress["observedMetrics"].get(METRICS)
        texts = [] if metrics is None else json.loads(metrics[ACCOUNTS] or "[]")
        self._sum = added(texts, self._sum)

    @classmethod
    def read(cls, spark: SparkSession, path: str | Path) -> HuntAccount:
        """The account of what `follow` wrote below a path, in all its runs."""
        frame = spark.read.parquet(f"{str(path).rstrip('/')}/accounts").select("data")
        return cls(sum=added(row[0] for row in frame.toLocalIterator()))

    def _added(self) -> tuple[RunAccount, TableRows, int]:
        if self._sum is None:
            if self._observation is None:
                raise ValueError("this account was handed to no hunt")
            texts = json.loads(self._observation.get[ACCOUNTS] or "[]")
            if not texts:
                # Each partition tells something, if it is nothing but that it was empty.
                warnings.warn(
                    "Spark told of no partition: the DataFrame has none, or the action was "
                    "toLocalIterator(), with which Spark does not count",
                    RuntimeWarning,
                    stacklevel=3,
                )
            self._sum = added(texts)
        return self._sum

    @property
    def stats(self) -> SessionStats:
        """How many events there were, of which maps and kinds, and how many matches."""
        return self._added()[0].stats

    @property
    def rows(self) -> TableRows:
        """How many rows there were, and which were not read."""
        return self._added()[1]

    @property
    def bytes(self) -> int:
        """How many bytes of accounts came to the driver."""
        return self._added()[2]

    @property
    def not_runnable(self) -> tuple[Diagnostic, ...]:
        """A warning for each output that no event of these field maps could match."""
        return () if self._engine is None else self._engine.not_runnable

    @property
    def diagnostics(self) -> tuple[Diagnostic, ...]:
        """What there is to say of rows and events that took no part as they should."""
        account, rows, _ = self._added()
        return (*rows.diagnostics, *account.diagnostics)


def account_text(account: RunAccount, rows: TableRows) -> str:
    """The account of a partition as text."""
    return json.dumps([account.as_data(), rows.as_data()], separators=(",", ":"))


def added(
    texts: Iterable[str], before: tuple[RunAccount, TableRows, int] | None = None
) -> tuple[RunAccount, TableRows, int]:
    """The sum of accounts, and how many bytes they had."""
    account, rows, size = before or (RunAccount(), TableRows(), 0)
    for text in texts:
        data, of_rows = json.loads(text)
        account.add(data)
        rows.add(of_rows)
        size += len(text)
    return account, rows, size
