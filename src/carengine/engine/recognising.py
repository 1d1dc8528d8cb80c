"""An engine that only says what events are."""

from __future__ import annotations

from functools import cache

from .. import ir
from ..diagnostics import Block
from ..fieldmap import MapChoice, find_maps
from ..rule import Draft, Metadata, from_drafts
from .engine import Engine


def recogniser(fieldmap: MapChoice = "auto") -> Engine:
    """An engine for `Engine.classify`: it tells every kind and every log source of the maps.

    An engine of rules leaves out maps that give only log sources for which it has no rule. Here one
    rule asks for all of them.

    >>> engine = recogniser("windows.flat")
    >>> event = {"Channel": "Security", "EventID": 4688, "SourceName": "x", "Hostname": "ws"}
    >>> "windows.flat windows/security" in [one.name for one in engine.classify(event).classes]
    True
    """
    # It keeps nothing of events: one serves all who ask for the installed maps.
    return _of_installed() if fieldmap in ("auto", ("auto",)) else _of(fieldmap)


@cache
def _of_installed() -> Engine:
    return _of("auto")


def _of(fieldmap: MapChoice) -> Engine:
    kinds = {kind for one in find_maps(fieldmap) for entry in one.entries for kind in entry.kinds}
    if not kinds:
        return Engine((), fieldmap)
    block = Block.of("every kind of event")
    plan = ir.Search(tuple(sorted(kinds, key=str)))
    program = ir.Program((ir.Output("event", plan, block.span(0, 0)),))
    return Engine(from_drafts([Draft("every-event", Metadata(), program, block)]), fieldmap)
