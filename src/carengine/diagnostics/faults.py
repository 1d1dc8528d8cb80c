"""A fault of the program's own, told as a finding, so that what it happened to is named and the rest
goes on.

Rules come from strangers, and one of a thousand may be what no pass has met before. It costs that
rule, and neither the others nor what is known of them already.
"""

from __future__ import annotations

from . import codes
from .report import Diagnostic
from .source import Span

_MOST_TEXT = 200


def fault(what: str, error: Exception, span: Span | None = None, origin: str = "") -> Diagnostic:
    """The finding (CE312) that something could not be done because of a fault.

    ``what`` is a sentence's beginning: ``the check of RULE``.

    >>> fault("the check of r1", KeyError("x")).message
    "the check of r1 broke off: KeyError: 'x'"
    """
    text = " ".join(str(error).split())
    shown = text if len(text) <= _MOST_TEXT else text[: _MOST_TEXT - 1] + "…"
    message = f"{what} broke off: {type(error).__name__}" + (f": {shown}" if shown else "")
    notes = ("this is a fault of carengine and not of the rule; all else went on",)
    return Diagnostic(codes.PASS_FAILED, message, span, notes=notes, origin=origin)
