"""What a hunt on Spark costs, against our own processes: docs/spark.md has the figures.

``python benchmarks/spark_rates.py EVENTS.jsonl RULES…`` hunts in a file of JSON lines with
``local[2]`` once cold and three times warm, and with two of our own processes, in turn. Each figure
is processor seconds of all processes and seconds by the clock; on a machine that does other work
only the first means something.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import carengine
from carengine.spark import HuntAccount, hunt

TICKS = os.sysconf("SC_CLK_TCK")


def children(pid: int) -> Iterator[int]:
    """A process and all below it."""
    yield pid
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in task.read_text().split():
            yield from children(int(child))


def processor_seconds() -> float:
    """What this process and all below it have used, with those that have ended and were waited
    for."""
    ticks = 0
    for pid in set(children(os.getpid())):
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
        except OSError:
            continue
        ticks += sum(map(int, fields[11:15]))
    return ticks / TICKS


def measured(name: str, work: Callable[[], int]) -> dict[str, object]:
    """The seconds of some work, and what it says."""
    used, began = processor_seconds(), time.monotonic()
    found = work()
    figures = {
        "what": name,
        "processor_seconds": round(processor_seconds() - used, 2),
        "seconds": round(time.monotonic() - began, 2),
        "matches": found,
    }
    print(json.dumps(figures), flush=True)
    return figures


def main(events: str, *rules: str) -> int:
    """Print a line of JSON for each run."""
    from pyspark.sql import SparkSession

    os.environ["PYSPARK_PYTHON"] = sys.executable
    os.environ["PYTHONPATH"] = str(Path(carengine.__file__).parents[1])
    engine = carengine.Engine(carengine.load_rules(*rules))
    size = os.path.getsize(events)
    builder = SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false")
    builder = builder.config("spark.sql.files.maxPartitionBytes", str(max(1 << 20, size // 8)))
    builder = builder.config("spark.sql.shuffle.partitions", "4")
    spark = builder.config("spark.ui.showConsoleProgress", "false").getOrCreate()
    spark.sparkContext.setLogLevel("OFF")
    account = HuntAccount()

    def on_spark() -> int:
        nonlocal account
        account = HuntAccount()
        return len(hunt(spark.read.text(events), engine, account=account).toArrow())

    def own() -> int:
        with carengine.Run(engine, [events], jobs=2) as run:
            return sum(1 for _ in run)

    measured("spark, cold", on_spark)
    for _ in range(3):
        measured("spark, warm", on_spark)
        measured("two processes", own)
    number = account.stats.events
    told = {"events": number, "bytes": size, "account_bytes": account.bytes}
    print(json.dumps({**told, "account_bytes_an_event": round(account.bytes / number, 3)}))
    spark.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
