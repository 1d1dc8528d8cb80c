"""What went through a hunt on Spark: the accounts of all partitions, added up."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from attrs import define, field

from ..diagnostics import Diagnostic
from ..engine import Engine, RunAccount, SessionStats, TableRows
from ..rule import RuleSet

ACCOUNTS = "accounts"


@define(eq=False)
class HuntAccount:
    """The account of a hunt, once an action of Spark has run it: hand it to `hunt`.

    Spark counts while it works (`pyspark.sql.Observation`), and the counts are there after the
    first action on the matches that reads all of them. ``stats``, ``rows`` and ``diagnostics`` wait
    for that. ``bytes`` is how much the partitions sent for it.

    >>> HuntAccount().loaded
    ()
    """

    loaded: tuple[Diagnostic, ...] = ()
    """What was said of the rules when they were loaded: refused ones above all."""
    _engine: Engine | None = field(default=None, repr=False)
    _observation: Any = field(default=None, repr=False)
    _sum: tuple[RunAccount, TableRows, int] | None = field(default=None, repr=False)

    def begin(self, engine: Engine, rules: object, observation: Any) -> None:
        """A hunt is about to be run."""
        self._engine, self._observation, self._sum = engine, observation, None
        self.loaded = rules.diagnostics if isinstance(rules, RuleSet) else ()

    def _added(self) -> tuple[RunAccount, TableRows, int]:
        if self._sum is None:
            if self._observation is None:
                raise ValueError("this account was handed to no hunt")
            self._sum = added(self._observation.get[ACCOUNTS])
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


def added(texts: Iterable[str]) -> tuple[RunAccount, TableRows, int]:
    """The sum of accounts, and how many bytes they had."""
    account, rows, size = RunAccount(), TableRows(), 0
    for text in texts:
        data, of_rows = json.loads(text)
        account.add(data)
        rows.add(of_rows)
        size += len(text)
    return account, rows, size
