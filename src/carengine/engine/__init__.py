"""Running rules over events.

``interpreter`` says what a rule means, ``matcher`` decides the same for all rules at once,
``engine`` holds the compiled rules and the sessions, ``match`` what comes out. ``explain`` tells of
one event why, ``standing`` of a whole run why not, ``examples`` holds rules to the examples they
carry.

Joins, groups and baselines have the same pair: ``relational`` says what they mean over finished
data, ``streaming`` comes to the same while events go by, and ``saved`` keeps a session in a file.
"""

from .classes import Classified, EventClass
from .engine import Engine
from .interpreter import interpret
from .match import Match, MatchedEvent, Origin
from .session import Session
from .stats import SessionStats
from .streams import StreamOptions
from .streams.relational import interpret_streams
from .targets import Gap

__all__ = [
    "Classified",
    "Engine",
    "EventClass",
    "Gap",
    "Match",
    "MatchedEvent",
    "Origin",
    "Session",
    "SessionStats",
    "StreamOptions",
    "interpret",
    "interpret_streams",
]
