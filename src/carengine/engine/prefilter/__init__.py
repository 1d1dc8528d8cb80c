"""Telling from a line of JSON, without decoding all of it, that no rule matches it.

``prefilter`` decides for batches of lines, ``leaf_filter`` holds what is known of the lines of one
leaf of the engine's tree, ``decoding`` decodes the few fields that are asked for, ``learned`` is
what one session hands on to the next. ``native`` does it with the native core, where that is
installed; ``native_program`` writes what that is told.
"""

from .decoding import AVAILABLE
from .learned import LearnedStore
from .native import NativeCheck, NativeFilter, native_filter_of, native_version
from .native_program import KnownEvent
from .prefilter import Prefilter

__all__ = [
    "AVAILABLE",
    "KnownEvent",
    "LearnedStore",
    "NativeCheck",
    "NativeFilter",
    "Prefilter",
    "native_filter_of",
    "native_version",
]
