"""Running rules over events.

``engine`` holds the compiled rules, ``session`` a run of them over a stream of events, ``match``
what comes out. ``interpreter`` says what a rule means, ``matcher`` decides the same for all rules
at once, ``prefilter`` leaves out lines of JSON before they are decoded, and ``streams`` runs joins,
groups and windows. ``recording`` is a session in several processes, ``saved_session`` a session in
a file, ``sharding`` one divided by keys, ``compiled`` an engine in a file, ``tables`` reads and
writes tables of Arrow, ``notebook`` makes what notebooks show, ``observer`` what may look on.
``report`` tells of one event why, of a whole run why not, and what rules cost.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..ondemand import names_on_demand

if TYPE_CHECKING:
    from .classes import Classified, EventClass
    from .engine import Engine
    from .interpreter import interpret, passes
    from .match import Match, MatchedEvent, Origin
    from .observer import Observer
    from .prefilter import KnownEvent, NativeCheck, NativeFilter, native_filter_of, native_version
    from .recognising import recogniser
    from .run_account import RunAccount
    from .session import Session
    from .sharding import RoutedEvent, RoutingFlow, ShardPlan, ShardSession
    from .stats import SessionStats, difference
    from .streams import StreamOptions, interpret_streams
    from .tables import (
        MatchTable,
        TableRows,
        batch_events,
        feed_batch,
        json_column,
        match_rows,
        match_schema,
    )
    from .targets import Gap
    from .updating import SessionUpdate
else:
    __getattr__ = names_on_demand(
        globals(),
        classes="Classified EventClass",
        engine="Engine",
        interpreter="interpret passes",
        match="Match MatchedEvent Origin",
        observer="Observer",
        prefilter="KnownEvent NativeCheck NativeFilter native_filter_of native_version",
        recognising="recogniser",
        run_account="RunAccount",
        session="Session",
        sharding="RoutedEvent RoutingFlow ShardPlan ShardSession",
        stats="SessionStats difference",
        streams="StreamOptions interpret_streams",
        tables="MatchTable TableRows batch_events feed_batch json_column match_rows match_schema",
        targets="Gap",
        updating="SessionUpdate",
    )

__all__ = [
    "Classified",
    "Engine",
    "EventClass",
    "Gap",
    "KnownEvent",
    "Match",
    "MatchTable",
    "MatchedEvent",
    "NativeCheck",
    "NativeFilter",
    "Observer",
    "Origin",
    "RoutedEvent",
    "RoutingFlow",
    "RunAccount",
    "Session",
    "SessionStats",
    "SessionUpdate",
    "ShardPlan",
    "ShardSession",
    "StreamOptions",
    "TableRows",
    "batch_events",
    "difference",
    "feed_batch",
    "interpret",
    "interpret_streams",
    "json_column",
    "match_rows",
    "match_schema",
    "native_filter_of",
    "native_version",
    "passes",
    "recogniser",
]
