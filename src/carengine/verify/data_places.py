"""Where rules and queries look for their events: the index, table or source type that they name.

Such a name says nothing about an event, so that no proof can tell what two of them have in common::

    DeviceNetworkEvents | where RemotePort == 80
    DeviceProcessEvents | where RemotePort == 80

Two queries of one language that name different places are therefore not compared. Where one of them
names none, it is put to the events of the other, and the verdict says so.
"""

from __future__ import annotations

from attrs import frozen

from .. import ir
from ..diagnostics import Block, codes
from ..languages.elastic.rules import index_patterns
from ..languages.reading import QueryReading
from ..rule import Rule

_SAID = "says where the data lies"


@frozen
class DataPlaces:
    """The names by which a rule of a language says where its events are; none where it does not."""

    language: str
    names: frozenset[str] = frozenset()


def places_of(rule: Rule, reading: QueryReading | None) -> DataPlaces:
    """The places that a rule, or the query that it was read from, names.

    >>> import carengine
    >>> rule = carengine.parse_rule("a = search File:Create output a")
    >>> places_of(rule, None).names
    frozenset()
    """
    patterns = index_patterns(Block.whole(rule.block.source))
    if patterns:
        return DataPlaces("elastic", frozenset(patterns))
    said = rule.diagnostics if reading is None else reading.diagnostics
    names = frozenset(
        one.span.text.strip().lower()
        for one in said
        if one.code is codes.DATA_SOURCE and _SAID in one.message and one.span is not None
    )
    kinds = {kind.object for output in rule.program.outputs for kind in ir.searched(output.plan)}
    return DataPlaces(reading.language if reading is not None else min(kinds, default=""), names)


def different_places(first: DataPlaces, second: DataPlaces) -> str | None:
    """Why two rules that name different places cannot be compared; None where they can.

    >>> different_places(DataPlaces("splunk", frozenset({"index=a"})), DataPlaces("splunk")) is None
    True
    >>> different_places(*(DataPlaces("splunk", frozenset({f"index={name}"})) for name in "ab"))
    'they look in different places: index=a, and index=b'
    """
    if first.language != second.language or first.names == second.names:
        return None
    if not first.names or not second.names:
        return None
    mine, theirs = (", ".join(sorted(one.names)) for one in (first, second))
    return f"they look in different places: {mine}, and {theirs}"
