"""All recordings at hand: one process, two processes, and tables of Arrow find the same.

``make tables-evidence`` (``CARENGINE_TABLES_EVIDENCE=1``) runs it: about ten minutes.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import carengine
from carengine.engine import MatchTable, match_rows

SHARED = Path(__file__).parents[2] / "shared"
SIGMA = SHARED / "sigma" / "sigmahq-rules-all.tar.gz"
pytestmark = pytest.mark.skipif(
    not os.environ.get("CARENGINE_TABLES_EVIDENCE") or not SIGMA.is_file(),
    reason="CARENGINE_TABLES_EVIDENCE=1 and the shared recordings are needed",
)


@cache
def engine() -> carengine.Engine:
    """The shipped rules and all of SigmaHQ's."""
    rules = [*carengine.load_rules(carengine.shipped_rules()), *carengine.load_rules(SIGMA)]
    return carengine.Engine(rules)


def column(values: list[Any]) -> Any:
    """Values as a column; as texts where they are of no one type."""
    import pyarrow as pa

    try:
        return pa.array(values)
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        return pa.array([v if v is None or isinstance(v, str) else json.dumps(v) for v in values])


def tables() -> Iterator[Any]:
    """Each recording as a table."""
    import pyarrow as pa

    for archive in sorted((SHARED / "mordor").glob("*.zip")):
        events = [record.event for record in carengine.read_events(archive)]
        names = list(dict.fromkeys(name for event in events for name in event))
        yield pa.table({name: column([event.get(name) for event in events]) for name in names})


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The rows of these tables as lines of JSON."""
    folder = tmp_path_factory.mktemp("logs")
    for number, table in enumerate(tables()):
        with (folder / f"{number:03}.jsonl").open("w") as file:
            for row in table.to_pylist():
                file.write(json.dumps({k: v for k, v in row.items() if v is not None}) + "\n")
    return folder


def named(row: dict[str, Any], *, whole: bool = True) -> str:
    """A match as a short text: its rule, output, columns and events."""
    told = [row["rule_id"], row["output"], row["group"], row["columns"] if whole else ""]
    for event in row["events"]:
        told += [event["stream"], event["time"]]
        if whole:
            told.append(json.dumps(json.loads(event["event"]), sort_keys=True))
            told.append(json.dumps(json.loads(event["fields"]), sort_keys=True))
    digest = hashlib.sha256(json.dumps(told, default=str).encode()).hexdigest()
    return f"{row['rule_id']} {digest}"


def named_all(matches: Iterable[carengine.Match], *, whole: bool = True) -> Counter[str]:
    return Counter(named(row, whole=whole) for match in matches for row in match_rows([match]))


@cache
def run(folder: Path, jobs: int) -> tuple[tuple[carengine.Match, ...], int]:
    with carengine.Run(engine(), [str(folder)], jobs=jobs) as running:
        matches = tuple(match for match in running if isinstance(match, carengine.Match))
    return matches, running.session.stats.events


def same(found: Counter[str], expected: Counter[str]) -> None:
    assert found.total() == expected.total() > 1_000
    assert not list((found - expected).elements())[:5]
    assert not list((expected - found).elements())[:5]


def test_two_processes(logs: Path) -> None:
    began = time.process_time()
    one, events = run(logs, 1)
    two, events_of_two = run(logs, 2)
    rules = len({match.rule.id for match in one})
    several = sum(len(match.events) > 1 for match in one)
    print(
        f"\n{events} events, {len(one)} matches of {rules} rules, {several} of several events,",
        f"{time.process_time() - began:.0f} s of the first process",
    )
    assert events == events_of_two
    same(named_all(two), named_all(one))


def in_duckdb(table: Any) -> Any:
    import duckdb

    if len({name.lower() for name in table.column_names}) < len(table.column_names):
        # DuckDB renames columns that differ in case only: these would be other events.
        return table
    connection = duckdb.connect()
    connection.register("events", table)
    return connection.sql("select * from events")


def in_polars(table: Any) -> Any:
    import polars

    return polars.DataFrame(table)


def in_pandas(table: Any) -> Any:
    import pandas

    return table.to_pandas(types_mapper=pandas.ArrowDtype)


FORMS: dict[str, Callable[[Any], Any]] = {
    "pyarrow": lambda table: table,
    "polars": in_polars,
    "pandas": in_pandas,
    "pandas with NumPy's types": lambda table: table.to_pandas(),
    "DuckDB": in_duckdb,
    "twelve rows at a time": lambda table: table.to_batches(max_chunksize=12),
}


def parts(form: Callable[[Any], Any]) -> Iterator[Any]:
    """All tables in a form; one without columns, of which some forms know nothing, as it is."""
    for table in tables():
        made = form(table) if table.column_names else table
        yield from made if isinstance(made, list) else [made]


@pytest.mark.parametrize("form", FORMS)
def test_tables(logs: Path, form: str) -> None:
    began = time.process_time()
    found: MatchTable = engine().hunt_table(parts(FORMS[form]))
    print(f"\n{form}: {len(found)} matches, {time.process_time() - began:.0f} s")
    matches, events = run(logs, 1)
    # NumPy has no integers beside missing ones: 4688 is 4688.0, in the event and in what is shown.
    whole = form != "pandas with NumPy's types"
    assert found.session.stats.events == events
    same(named_all(found, whole=whole), named_all(matches, whole=whole))
