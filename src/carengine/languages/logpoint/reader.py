r"""LogPoint's queries: search terms, ``chart … by``, ``search`` and ``fields``.

Strings stand in either quote, and a backslash in them is itself, before a quote too:
``path="C:\Windows\"``. A ``-`` before a term negates it, lists stand in square brackets, keywords
may be written small::

    norm_id=WindowsSysmon event_id=1 image IN ["*\arp.exe", "*\at.exe"] -user="SYSTEM" | chart count() as cnt by host | search cnt > 1

``norm_id`` names the product that wrote the events. A bare word after ``IN`` is a list that only
the installation knows; it is refused.
"""

from __future__ import annotations

from collections.abc import Callable

from ... import ir
from ...diagnostics import Block, Diagnostic
from ...syntax import Token
from ..query import QueryReading, Refusal, finished
from ..splunk.reader import CommandReader
from ..terms import SearchDialect, scan

LANGUAGE = "logpoint"


def _itself(text: str) -> str:
    return text


DIALECT = SearchDialect(
    LANGUAGE,
    "\"'",
    False,
    _itself,
    _itself,
    True,
    True,
    "[]",
    frozenset({"norm_id", "repo_name", "device_category", "col_type", "eventlog"}),
    frozenset({"label"}),
)


def read(block: Block) -> QueryReading:
    """The reading of a LogPoint query.

    >>> reading = read(Block.of(r'norm_id=WindowsSysmon event_id=1 image="*\\at.exe"'))
    >>> reading.program.outputs[0].plan.condition.items[1].patterns[0].text
    '*\\\\at.exe'
    """
    said: list[Diagnostic] = []
    plan: ir.Plan | None = None
    try:
        reader = CommandReader(block, scan(block, DIALECT), DIALECT, _COMMANDS)
        said = reader.terms.said
        plan = reader.query()
    except Refusal as refused:
        said.append(refused.diagnostic)
    return finished(LANGUAGE, block, plan, said)


_COMMANDS: dict[str, Callable[[CommandReader, ir.Plan, Token], ir.Plan]] = {
    "search": CommandReader.search,
    "chart": CommandReader.stats,
    "fields": CommandReader.fields,
    "rename": CommandReader.rename,
}
