"""What a session counts, for Prometheus. Needs ``pip install 'carengine[prometheus]'``.

::

    from prometheus_client import start_http_server
    from carengine.prometheus import SessionCollector

    session = engine.session(options)
    SessionCollector(session, service="mail").register()
    start_http_server(9108)

================================== =================================================================
``carengine_events_total``         events that were fed
``carengine_recognised_total``     of them, by field map (``map``); an event may be of several
``carengine_unrecognised_total``   of them, those of no field map
``carengine_matches_total``        matches, by ``rule``
``carengine_late_total``           events that came later than joins and groups wait
``carengine_untimed_total``        events without a time that a join or group wanted
``carengine_held_rows``            rows held for joins, groups and windows
``carengine_held_bytes``           their estimated size
``carengine_clock_seconds``        the clock of joins and groups, in seconds since 1970
``carengine_rules``                rules of the session
================================== =================================================================

A collector counts nothing itself: it reads ``session.stats`` when Prometheus asks, in whichever
thread, so that a session that is fed pays nothing for it.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from .diagnostics import CarError, Diagnostic, codes
from .engine import Session

try:
    from prometheus_client.core import REGISTRY, CounterMetricFamily, GaugeMetricFamily
    from prometheus_client.registry import Collector
except ImportError:
    _message = "this needs prometheus_client: pip install 'carengine[prometheus]'"
    raise CarError([Diagnostic(codes.MISSING_LIBRARY, _message)]) from None

__all__ = ["SessionCollector"]

_T = TypeVar("_T")
_TRIES = 100


class SessionCollector(Collector):
    """Gives Prometheus what a session has counted.

    ``labels`` are put on every figure (``service="mail"``), so that several sessions of a process
    can be told apart. Assign ``session`` to go on with another one.

    >>> import carengine
    >>> session = carengine.Engine([]).session()
    >>> session.feed({"object": "process", "action": "create"})
    []
    >>> found = {metric.name: metric for metric in SessionCollector(session).collect()}
    >>> found["carengine_events"].samples[0].value
    1
    """

    def __init__(self, session: Session, **labels: str) -> None:
        self.session = session
        self.labels = labels

    def register(self, registry: Any = None) -> SessionCollector:
        """Make it known to a registry of prometheus_client; by default to the process's own."""
        (REGISTRY if registry is None else registry).register(self)
        return self

    def collect(self) -> Iterator[Any]:
        """The figures as they are now."""
        session = self.session
        stats = session.stats
        counted = _read(lambda: (stats.events, stats.unrecognised, Counter(stats.recognised)))
        events, unrecognised, recognised = counted
        yield self._counter("events", "Events that were fed", events)
        yield self._counter("unrecognised", "Events that no field map recognised", unrecognised)
        yield self._counters("recognised", "Events by field map", "map", recognised)
        matches = _read(lambda: Counter(stats.matches))
        yield self._counters("matches", "Matches by rule", "rule", matches)
        yield self._counter("late", "Events later than joins and groups wait", stats.late)
        yield self._counter("untimed", "Events without a time that a join wanted", stats.untimed)
        rows, held = session.held
        yield self._gauge("held_rows", "Rows held for joins, groups and windows", rows)
        yield self._gauge("held_bytes", "Their estimated size", held)
        clock = session.clock
        seconds = clock / 1_000_000 if math.isfinite(clock) else math.nan
        yield self._gauge("clock_seconds", "The clock of joins and groups", seconds)
        yield self._gauge("rules", "Rules of the session", len(session.engine.rules))

    def _counter(self, name: str, told: str, value: int) -> Any:
        made = CounterMetricFamily(f"carengine_{name}", told, labels=list(self.labels))
        made.add_metric(list(self.labels.values()), value)
        return made

    def _counters(self, name: str, told: str, label: str, values: Counter[str]) -> Any:
        made = CounterMetricFamily(f"carengine_{name}", told, labels=[*self.labels, label])
        for what, number in sorted(values.items()):
            made.add_metric([*self.labels.values(), what], number)
        return made

    def _gauge(self, name: str, told: str, value: float) -> Any:
        made = GaugeMetricFamily(f"carengine_{name}", told, labels=list(self.labels))
        made.add_metric(list(self.labels.values()), value)
        return made


def _read(read: Callable[[], _T]) -> _T:
    """What a function reads of dictionaries that another thread may be adding to."""
    for _ in range(_TRIES):
        try:
            return read()
        except RuntimeError:
            # One grew while it was gone through.
            continue
    return read()
