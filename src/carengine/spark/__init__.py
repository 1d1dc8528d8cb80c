"""Rules on Apache Spark: batches and streams, on as many machines as there are.

`hunt` gives a DataFrame of matches, `follow` writes those of a stream; `HuntAccount` says what went
through. Joins, groups and windows
have the same matches as in one process, whatever the partitions. `table` makes the table that
translations into Spark SQL ask. Needs ``pyspark`` 4
(``carengine[spark]``), and carengine on every machine that runs Python workers.
"""

from .account import HuntAccount
from .hunting import follow, hunt
from .tables import SparkTable, table

__all__ = ["HuntAccount", "SparkTable", "follow", "hunt", "table"]
