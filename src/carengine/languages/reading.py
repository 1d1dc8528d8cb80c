"""Analytics in other languages, read into the IR that pseudocode is read into.

``read`` takes a text and the name of its language. What it gives is in the names of the query
itself; with ``raise_names`` (the rule) they are turned into CAR's, so that the query runs on every
log that a field map knows, and can be compared with pseudocode. ``LANGUAGES`` says which languages
there are: a language is a row of that table, and a folder whose ``reader`` has the function
``read``. Readers are imported when a query is in their language. ``raising`` turns the names.
"""

from __future__ import annotations

from importlib import import_module

from attrs import frozen

from ..diagnostics import Block
from .query import QueryReading, as_rule, native_map, native_search
from .raising import asked_of_entries, maps_of, names_known, raised, source_maps_of


@frozen
class QueryLanguage:
    """A language that is read: the module that reads it, and by which names it is called."""

    name: str
    module: str
    also: tuple[str, ...] = ()

    def read(self, block: Block) -> QueryReading:
        """The query of a text, in its own names. Nothing is raised."""
        reading: QueryReading = import_module(f"{__package__}.{self.module}").read(block)
        return reading


LANGUAGES: dict[str, QueryLanguage] = {
    language.name: language
    for language in (
        QueryLanguage("splunk", "splunk.reader", also=("spl",)),
        QueryLanguage("eql", "eql.reader", also=("event query language",)),
        QueryLanguage("logpoint", "logpoint.reader"),
        QueryLanguage("sigma", "sigma.query_reader"),
        QueryLanguage("esql", "esql.reader", also=("es|ql",)),
        QueryLanguage("kusto", "kusto.reader"),
        QueryLanguage("lucene", "lucene.reader"),
    )
}
"""The languages that can be read, by the names that CAR gives their implementations, in small
letters."""


def language_of(type_: str) -> str | None:
    """The language that an implementation's type names, or None where it is none that can be read.

    >>> language_of("Splunk"), language_of("Eql"), language_of("DNIF")
    ('splunk', 'eql', None)
    """
    name = type_.strip().lower()
    return next((row.name for row in LANGUAGES.values() if name in (row.name, *row.also)), None)


def read(block: Block, language: str, *, raise_names: bool = True) -> QueryReading:
    """A query as IR, in CAR's names or (``raise_names`` False) in its own. Nothing is raised.

    >>> reading = read(Block.of('EventCode=11 TargetFilename="*lsass*.dmp"'), "splunk")
    >>> str(reading.program.outputs[0].plan.plan.kinds[0])
    'file/create'
    """
    reading = LANGUAGES[language].read(block)
    return raised(reading) if raise_names else reading


__all__ = [
    "LANGUAGES",
    "QueryLanguage",
    "QueryReading",
    "as_rule",
    "asked_of_entries",
    "language_of",
    "maps_of",
    "names_known",
    "native_map",
    "native_search",
    "raised",
    "read",
    "source_maps_of",
]
