"""Running rules over events.

``interpreter`` says what a rule means, ``matcher`` decides the same for all rules at once, ``engine`` holds
the compiled rules and the sessions, ``match`` what comes out. ``explain`` tells of one event why, ``standing`` of
a whole run why not, ``examples`` holds rules to the examples they carry.
"""

from .engine import Account, Engine, EventClass, Gap, Session
from .interpreter import interpret
from .match import Match, MatchedEvent, Origin

__all__ = [
    "Account",
    "Engine",
    "EventClass",
    "Gap",
    "Match",
    "MatchedEvent",
    "Origin",
    "Session",
    "interpret",
]
