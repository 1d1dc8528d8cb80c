"""What proofs take for granted, as sentences that are shown beside them."""

from __future__ import annotations

from .. import ir
from ..fieldmap import FieldMap

ONE_VALUE = "a field of an event holds one value"
"""Of fields of logs that CAR has no names for."""

NO_EMPTY_TEXT = "no field of a CAR event holds an empty text"
"""Of fields in CAR's names: a log that writes an empty text means that it does not know."""

WHOLE_NUMBERS = "a field that CAR's data model calls a whole number holds no fraction"
"""Of programs that compare such a field by size."""

RETENTION = "events that are found together come within the time for which an engine keeps them"
"""Of joins, groups and windows: 30 days unless it is told otherwise (`--horizon`)."""

REPORTED = (
    "the narrower rule reports nothing where the wider one does not, "
    "but the two may name other events of a list"
)
"""Of windows and sequences, which use up the rows that they report: what was proved is that the
one reports something in each list of events in which the other does."""

SPELLING = (
    "whole numbers and addresses in logs are spelt as usual, and a list of hashes has each once"
)
"""Of a query held to a rule under the names of the log."""

DIGITS = "whole numbers in logs are spelt with their digits alone"
"""Of a query that asks for the text of a number where the rule asks for the number."""

SHOWN = "what is shown of the events is not compared: one computes something of them, one does not"
"""Of two programs in different languages."""

OUTPUTS = "what the outputs find is taken together: the two do not have the same number of them"
"""Of an analytic with several outputs and a query, which has one."""


EMPTY_IS_MISSING = "no field holds an empty text: to the product that is a missing field"
"""Of a query whose note says that the product does not tell the two apart."""

EXPANDED = "a function of the field map is what it is expanded to where rules are translated"
"""Of a translation that is held to its rule: tests hold the expansions to the reference."""

OWN_SOURCE = "the query is put to the events of the rule's log source, and no field in them is null"
"""Of a query that a converter wrote without a pipeline."""

ANY_CASE = "the product indexes fields so that case makes no difference"
"""Of a query in a language that looks at case, where one says that it need not."""

NEVER = "no event was found that either of them finds"
"""Of two rules that are the same because neither finds anything, as far as is known."""


WINDOWS = "the log sources of Windows are the channels and events that the field map windows says"
"""Of Sigma rules of different log sources, compared under the names that the events have."""


def of_hosts(name: str, system: str) -> str:
    """Of a query about one operating system, which CAR's events do not tell.

    >>> of_hosts("host.os.type", "linux")
    'the events are of hosts whose host.os.type is linux'
    """
    return f"the events are of hosts whose {name} is {system}"


def raised_by(maps: tuple[FieldMap, ...]) -> str:
    """Of a rule in a log's own names that was put into CAR's."""
    names = ", ".join(one.name for one in maps)
    return f"the events are those that the field maps {names} know"


def sources(one: ir.EventKind, other: ir.EventKind) -> str:
    """Of rules that are about different log sources.

    >>> sources(ir.EventKind("linux", "auditd"), ir.EventKind("windows", "system"))
    'no event is of both log sources, linux/auditd and windows/system'
    """
    return f"no event is of both log sources, {one} and {other}"


def keyed(names: tuple[str, ...]) -> str:
    """Of groups that only show what is found.

    >>> keyed(("hostname", "user"))
    'every event has hostname, user, by which one of the two groups what it shows'
    """
    return f"every event has {', '.join(names)}, by which one of the two groups what it shows"


def on_logs(names: tuple[str, ...]) -> str:
    """Of a proof for the events of some logs.

    >>> on_logs(("sysmon.flat",))
    'the events are those that logs of sysmon.flat can hold'
    """
    return f"the events are those that logs of {', '.join(names)} can hold"
