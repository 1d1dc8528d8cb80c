"""What is in a log, counted: events by channel and kind, hosts, users, logons, and what is missing.

::

    from carengine.statistics import LogStatistics

    statistics = LogStatistics()
    for record in carengine.read_events("logs/"):
        statistics.add(record.event)
    for gap in statistics.record_gaps():
        print(gap.host, gap.channel, gap.first, gap.last)

``counting`` looks at events, ``numbers`` keeps record numbers as stretches, ``logons`` reads who
logged on from where.
"""

from __future__ import annotations

from .counting import ChannelCount, Cleared, LogStatistics, Named, TimeGap
from .logons import LogonCount
from .numbers import RecordGap, RecordNumbers

__all__ = [
    "ChannelCount",
    "Cleared",
    "LogStatistics",
    "LogonCount",
    "Named",
    "RecordGap",
    "RecordNumbers",
    "TimeGap",
]
