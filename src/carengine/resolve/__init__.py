"""From syntax to meaning: names bound, spellings folded, literals read, types checked.

``program`` resolves whole programs, on ``rows`` (expressions about a row) and ``names`` (what is
bound so far); ``mapping`` resolves the expressions of field maps. Both stand on ``expressions``.
``shapes`` says what the rows of a stream look like.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..ondemand import names_on_demand

if TYPE_CHECKING:
    from .expressions import regex_problem, suggestion, with_backslashes
    from .mapping import MapResolution, resolve_map_condition, resolve_map_value
    from .outcome import Clause, Path, Reference, Resolution, RunTarget
    from .program import InputConstant, resolve_program
    from .rows import AGGREGATES
    from .shapes import EventShape, GroupShape, JoinShape, RowShape, Shape, merged
else:
    __getattr__ = names_on_demand(
        globals(),
        expressions="regex_problem suggestion with_backslashes",
        mapping="MapResolution resolve_map_condition resolve_map_value",
        outcome="Clause Path Reference Resolution RunTarget",
        program="InputConstant resolve_program",
        rows="AGGREGATES",
        shapes="EventShape GroupShape JoinShape RowShape Shape merged",
    )

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
    "with_backslashes",
]
