"""A batch of logs, hunted in with Apache Spark.

From a clone of the repository, with Java 17::

    pip install '.[spark]'
    python examples/spark_job/job.py

The rules beside this file look at single events, at groups and at pairs of events; the matches are
the same however the logs are divided. On a cluster: ``spark-submit job.py LOGS RULES OUT``, with
carengine installed on every machine.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from pyspark.sql import DataFrame, SparkSession

from carengine.spark import HuntAccount, hunt

HERE = Path(__file__).parent


def hunted(spark: SparkSession, logs: str, rules: str) -> tuple[DataFrame, HuntAccount]:
    """The matches of rules on files of JSON lines, and the account, for after the first action."""
    lines = spark.read.text(logs).select("value", "_metadata.file_path")
    account = HuntAccount()
    return hunt(lines, rules, json="value", source="file_path", account=account), account


def main(logs: str = str(HERE / "logs"), rules: str = str(HERE / "rules"), out: str = "") -> int:
    """Hunt, show or write the matches, and say what went through."""
    # Spark's workers run the Python that runs this.
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    spark = SparkSession.builder.appName("hunt").getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    matches, account = hunted(spark, logs, rules)
    if out:
        matches.write.mode("overwrite").parquet(out)
    else:
        for row in sorted(matches.collect(), key=lambda row: (row.time, row.rule_id)):
            print(row.time, row.level, row.rule_id, row.title, f"({len(row.events)} events)")
    stats = account.stats
    print(f"{stats.events} events, {stats.unrecognised} that no field map knows")
    for diagnostic in (*account.loaded, *account.diagnostics):
        print(diagnostic)
    spark.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
