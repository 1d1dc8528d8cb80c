"""Telling from a line of JSON, without decoding all of it, that no rule matches it.

``prefilter`` decides for batches of lines, ``leaf_filter`` holds what is known of the lines of one
leaf of the engine's tree, ``decoding`` decodes the few fields that are asked for, ``learned`` is
what one session hands on to the next. ``native`` does it with the native core, where that is
installed; ``native_program`` writes what that is told.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...ondemand import names_on_demand

if TYPE_CHECKING:
    from .decoding import AVAILABLE
    from .learned import LearnedStore
    from .native import (
        NativeCheck,
        NativeFilter,
        block_of_lines,
        native_filter_of,
        native_version,
    )
    from .native_program import KnownEvent
    from .prefilter import Prefilter
else:
    __getattr__ = names_on_demand(
        globals(),
        decoding="AVAILABLE",
        learned="LearnedStore",
        native="NativeCheck NativeFilter block_of_lines native_filter_of native_version",
        native_program="KnownEvent",
        prefilter="Prefilter",
    )

__all__ = [
    "AVAILABLE",
    "KnownEvent",
    "LearnedStore",
    "NativeCheck",
    "NativeFilter",
    "Prefilter",
    "block_of_lines",
    "native_filter_of",
    "native_version",
]
