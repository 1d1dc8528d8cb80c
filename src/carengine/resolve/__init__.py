"""From syntax to meaning: names bound, spellings folded, literals read, types checked.

``program`` resolves whole programs, on ``rows`` (expressions about a row) and ``names`` (what is
bound so far); ``mapping`` resolves the expressions of field maps. Both stand on ``expressions``.
``shapes`` says what the rows of a stream look like.
"""

from .expressions import regex_problem, suggestion
from .mapping import MapResolution, resolve_map_condition, resolve_map_value
from .outcome import Clause, Path, Reference, Resolution, RunTarget
from .program import InputConstant, resolve_program
from .rows import AGGREGATES
from .shapes import EventShape, GroupShape, JoinShape, RowShape, Shape, merged

__all__ = [
    "AGGREGATES",
    "Clause",
    "EventShape",
    "GroupShape",
    "InputConstant",
    "JoinShape",
    "MapResolution",
    "Path",
    "Reference",
    "Resolution",
    "RowShape",
    "RunTarget",
    "Shape",
    "merged",
    "regex_problem",
    "resolve_map_condition",
    "resolve_map_value",
    "resolve_program",
    "suggestion",
]
