"""Joins, groups and baselines while events go by, in bounded memory.

``plans`` makes a rule's plan ready, ``node``, ``join`` and ``group`` are the machines that rows run
through, ``flow`` puts them together and drives them by event time, ``memory`` keeps them within
bounds. ``relational`` says, over finished data, what all of it must come to.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...ondemand import names_on_demand

if TYPE_CHECKING:
    from .feeding import Feeding, FlowObserver, Stream
    from .flow import Flow
    from .options import Length, StreamOptions, length_of, moment_of
    from .plans import prepare, stages_of
    from .relational import Relations, interpret_streams
    from .rows import GroupRow, RecordRow, Row
else:
    __getattr__ = names_on_demand(
        globals(),
        feeding="Feeding FlowObserver Stream",
        flow="Flow",
        options="Length StreamOptions length_of moment_of",
        plans="prepare stages_of",
        relational="Relations interpret_streams",
        rows="GroupRow RecordRow Row",
    )

__all__ = [
    "Feeding",
    "Flow",
    "FlowObserver",
    "GroupRow",
    "Length",
    "RecordRow",
    "Relations",
    "Row",
    "Stream",
    "StreamOptions",
    "interpret_streams",
    "length_of",
    "moment_of",
    "prepare",
    "stages_of",
]
