"""Analytics in other languages, read into the IR that pseudocode is read into.

``read`` takes a text and the name of its language. What it gives is in the names of the query
itself; with ``raise_names`` (the rule) they are turned into CAR's, so that the query runs on every
log that a field map knows, and can be compared with pseudocode. ``LANGUAGES`` says which languages
there are. One module reads one language: ``eql``, ``splunk``, ``logpoint``, ``sigma``; ``raising``
turns the names.
"""

from __future__ import annotations

from collections.abc import Callable

from ..diagnostics import Block
from .eql import reader as eql
from .logpoint import reader as logpoint
from .query import QueryReading, as_rule, native_map
from .raising import asked_of_entries, maps_of, raised
from .sigma import query_reader as sigma
from .splunk import reader as splunk

LANGUAGES: dict[str, Callable[[Block], QueryReading]] = {
    "splunk": splunk.read,
    "eql": eql.read,
    "logpoint": logpoint.read,
    "sigma": sigma.read,
}
"""The languages that can be read, by the names that CAR gives their implementations, in small
letters."""

_ALSO = {"spl": "splunk", "event query language": "eql"}


def language_of(type_: str) -> str | None:
    """The language that an implementation's type names, or None where it is none that can be read.

    >>> language_of("Splunk"), language_of("Eql"), language_of("DNIF")
    ('splunk', 'eql', None)
    """
    name = type_.strip().lower()
    name = _ALSO.get(name, name)
    return name if name in LANGUAGES else None


def read(block: Block, language: str, *, raise_names: bool = True) -> QueryReading:
    """A query as IR, in CAR's names or (``raise_names`` False) in its own. Nothing is raised.

    >>> reading = read(Block.of('EventCode=11 TargetFilename="*lsass*.dmp"'), "splunk")
    >>> str(reading.program.outputs[0].plan.plan.kinds[0])
    'file/create'
    """
    reading = LANGUAGES[language](block)
    return raised(reading) if raise_names else reading


__all__ = [
    "LANGUAGES",
    "QueryReading",
    "as_rule",
    "asked_of_entries",
    "language_of",
    "maps_of",
    "native_map",
    "raised",
    "read",
]
