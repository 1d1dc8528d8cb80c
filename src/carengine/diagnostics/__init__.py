"""Everything the program says about texts and files, and where it points.

``source`` holds texts and places in them, ``report`` the findings and how they are shown, ``codes``
the declaration of every code. Nothing else in carengine is imported from here.
"""

from . import codes
from .faults import fault
from .report import (
    CarError,
    Code,
    Diagnostic,
    Edit,
    Fix,
    Label,
    PathNotFoundError,
    Severity,
    as_json,
    counted,
    has_errors,
    is_missing,
    ordered,
    refuse_missing,
    render,
    visible,
)
from .source import Block, Source, Span

__all__ = [
    "Block",
    "CarError",
    "Code",
    "Diagnostic",
    "Edit",
    "Fix",
    "Label",
    "PathNotFoundError",
    "Severity",
    "Source",
    "Span",
    "as_json",
    "codes",
    "counted",
    "fault",
    "has_errors",
    "is_missing",
    "ordered",
    "refuse_missing",
    "render",
    "visible",
]
