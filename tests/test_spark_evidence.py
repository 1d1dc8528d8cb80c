"""All recordings at hand on Spark: batches in any partitions, and a stream that is killed.

``make spark-evidence`` (``CARENGINE_SPARK_EVIDENCE=1``) runs it: some twenty minutes.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import carengine
from carengine.engine import RoutingFlow, Session, ShardPlan, match_rows
from spark_session import WARNINGS, needs_spark, spark_session

SHARED = Path(__file__).parents[2] / "shared"
SIGMA = SHARED / "sigma" / "sigmahq-rules-all.tar.gz"
pytestmark = [
    *WARNINGS,
    pytest.mark.skipif(
        not os.environ.get("CARENGINE_SPARK_EVIDENCE") or not SIGMA.is_file(),
        reason="CARENGINE_SPARK_EVIDENCE=1 and the shared recordings are needed",
    ),
]
PART = 20_000

# A driver of its own: follows the logs, and can be killed.
DRIVER = """
import os, sys, warnings
sys.path.insert(0, sys.argv[5])
warnings.simplefilter("ignore")
import carengine
from carengine.spark import follow
from spark_session import spark_session
spark = spark_session()
spark.conf.set("spark.sql.execution.arrow.maxRecordsPerBatch", "10000")
logs, out, checkpoint, rules = sys.argv[1:5]
query = follow(
    spark.readStream.option("maxFilesPerTrigger", 1).text(logs),
    carengine.Engine.load(open(rules, "rb").read()),
    path=out, checkpoint=checkpoint,
    options=carengine.StreamOptions(lateness="1 hour"), trigger={"availableNow": True},
)
query.awaitTermination()
"""


@cache
def engine() -> carengine.Engine:
    """The shipped rules and all of SigmaHQ's."""
    rules = [*carengine.load_rules(carengine.shipped_rules()), *carengine.load_rules(SIGMA)]
    return carengine.Engine(rules)


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All events, by time, in files of some thousands; the last event is of now."""
    folder = tmp_path_factory.mktemp("logs")
    flow = RoutingFlow(ShardPlan(engine(), 1))
    session = Session(engine(), None, flow)
    timed: list[tuple[int, str]] = []
    for archive in sorted((SHARED / "mordor").glob("*.zip")):
        for record in carengine.read_events(archive):
            flow.latest = None
            session.feed(record.event)
            flow.taken()
            timed.append((flow.latest or 0, json.dumps(record.event) + "\n"))
    timed.sort(key=lambda one: one[0])
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    timed.append((0, json.dumps({"object": "file", "action": "create", "time": now}) + "\n"))
    for number, start in enumerate(range(0, len(timed), PART)):
        path = folder / f"{number:03}.jsonl"
        path.write_text("".join(line for _, line in timed[start : start + PART]))
        os.utime(path, (number + 1, number + 1))
    return folder


def events(logs: Path) -> Iterator[dict[str, Any]]:
    for path in sorted(logs.glob("*.jsonl")):
        with path.open() as file:
            yield from map(json.loads, file)


def named(row: dict[str, Any]) -> str:
    """A match as a short text: its rule, output, columns and events."""
    told = [row["rule_id"], row["output"], row["group"], row["columns"]]
    for event in row["events"]:
        told += [event["stream"], json.dumps(json.loads(event["event"]), sort_keys=True)]
        told.append(json.dumps(json.loads(event["fields"]), sort_keys=True))
    return f"{row['rule_id']} " + hashlib.sha256(json.dumps(told).encode()).hexdigest()


def named_all(rows: Iterable[dict[str, Any]]) -> Counter[str]:
    return Counter(map(named, rows))


@pytest.fixture(scope="module")
def one_process(logs: Path) -> Counter[str]:
    return named_all(row for match in engine().run(events(logs)) for row in match_rows([match]))


def compared(found: Counter[str], expected: Counter[str]) -> None:
    assert found.total() == expected.total()
    assert not list((found - expected).elements())[:5]
    assert not list((expected - found).elements())[:5]


@pytest.mark.parametrize("partitions", [1, 2, 8])
def test_a_batch(logs: Path, one_process: Counter[str], partitions: int) -> None:
    from pyspark.sql import functions

    from carengine.spark import HuntAccount, hunt

    needs_spark()
    spark = spark_session()
    spark.conf.set("spark.sql.execution.arrow.maxRecordsPerBatch", "10000")
    frame = spark.read.text(str(logs))
    shuffled = frame.repartition(partitions, functions.rand(partitions))
    account = HuntAccount()
    began = time.monotonic()
    rows = hunt(shuffled, engine(), account=account).collect()
    found = named_all(row.asDict(recursive=True) for row in rows)
    print(
        f"\n{partitions} partitions: {time.monotonic() - began:.0f} s, {found.total()} matches,",
        f"{account.bytes} bytes of accounts, {account.stats.events} events",
    )
    compared(found, one_process)
    assert account.stats.events == sum(1 for _ in events(logs))


def test_a_stream_that_is_killed(logs: Path, one_process: Counter[str], tmp_path: Path) -> None:
    from carengine.spark import HuntAccount

    needs_spark()
    out = tmp_path / "out"
    (tmp_path / "engine").write_bytes(engine().dump())
    command = [
        *(sys.executable, "-c", DRIVER, str(logs), str(out), str(tmp_path / "checkpoint")),
        *(str(tmp_path / "engine"), str(Path(__file__).parent)),
    ]
    kills = 0
    for wanted in (2, 5, None):
        driver = subprocess.Popen(command, start_new_session=True)
        while driver.poll() is None:
            time.sleep(0.2)
            if wanted is not None and (out / "matches" / f"batch={wanted}").is_dir():
                # The driver, its JVM and its Python workers, wherever they stand.
                os.killpg(driver.pid, signal.SIGKILL)
                driver.wait()
                kills += 1
        if wanted is None:
            assert driver.returncode == 0
    assert kills == 2
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        endless = {
            (one.stream.rule.id, one.stream.output)
            for one in ShardPlan(engine(), 1, live=True).components
            if one.endless
        }
    spark = spark_session()
    frame = spark.read.parquet(str(out / "matches")).drop("batch")
    rows = (row.asDict(recursive=True) for row in frame.toLocalIterator())
    gone = {rule for rule, _ in endless}
    found = Counter({k: n for k, n in named_all(rows).items() if k.split()[0] not in gone})
    expected = Counter({k: n for k, n in one_process.items() if k.split()[0] not in gone})
    compared(found, expected)
    account = HuntAccount.read(spark, out)
    assert account.stats.events == sum(1 for _ in events(logs))
    print(f"\na stream killed twice: {found.total()} matches, without {sorted(gone)}")
