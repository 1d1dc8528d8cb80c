"""The two EQLs: what the ``eql`` package and Endgame run, and what Elasticsearch runs.

The grammar is one; what a comparison of texts means is not. The package's ``==`` ignores case and
knows ``*``; Elasticsearch's looks at case and knows no wildcards, while ``:``, ``like~`` and
functions with a ``~`` ignore case.
"""

from __future__ import annotations

from attrs import frozen


@frozen
class EqlDialect:
    """One EQL: the name of the events it is about, the field that holds their kind, and whose
    comparisons it has."""

    name: str
    category: str
    elastic: bool


PACKAGE = EqlDialect("eql", "event_type", elastic=False)
"""EQL as the ``eql`` package and Endgame have it."""

ELASTIC = EqlDialect("ecs", "event.category", elastic=True)
"""EQL as Elasticsearch has it, over the Elastic Common Schema."""
