"""Events in the order of time, in CAR's names: all of a log, or those around something.

::

    from carengine.timeline import TimelineReader, Window

    reader = TimelineReader()
    for record in carengine.read_events("logs/"):
        for event in reader.events(record.event, record.source, record.number):
            print(event.time, event.host, event.kind, event.details)

``events`` has the events of a timeline, ``window`` the choice of those around some points in time,
hosts and processes.
"""

from __future__ import annotations

from .events import NATIVE_USERS, TimelineEvent, TimelineReader
from .window import ProcessTree, TimelineAnchor, TimelineWindow

__all__ = [
    "NATIVE_USERS",
    "ProcessTree",
    "TimelineAnchor",
    "TimelineEvent",
    "TimelineReader",
    "TimelineWindow",
]
