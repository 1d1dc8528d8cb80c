"""What a match says: the one model that the table, CSV, JSON lines and reports are made of.

``match_row`` says who, where and when: `MatchReporter` makes a `MatchRow` of a match, with a
`ReportedEvent` for each of its events. ``deciding`` says which values a rule reads and which parts
of them decided. ``tally`` counts matches by level, host and rule, ``ordering`` sorts rows by time
on the disk, ``profiles`` writes ECS and OCSF, ``schemas`` holds a JSON Schema for each JSON format.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..ondemand import names_on_demand

if TYPE_CHECKING:
    from .deciding import DecidingField, deciding_values, fields_read, with_inner_fields
    from .json_schemas import SCHEMAS, schema
    from .match_row import MatchReporter, MatchRow, ReportedEvent, ReportedValue, bounded
    from .ordering import TimeSorter
    from .profiles import as_ecs, as_json_line, as_ocsf, message_of, other_record
    from .tally import MatchTally
else:
    __getattr__ = names_on_demand(
        globals(),
        deciding="DecidingField deciding_values fields_read with_inner_fields",
        json_schemas="SCHEMAS schema",
        match_row="MatchReporter MatchRow ReportedEvent ReportedValue bounded",
        ordering="TimeSorter",
        profiles="as_ecs as_json_line as_ocsf message_of other_record",
        tally="MatchTally",
    )

__all__ = [
    "SCHEMAS",
    "DecidingField",
    "MatchReporter",
    "MatchRow",
    "MatchTally",
    "ReportedEvent",
    "ReportedValue",
    "TimeSorter",
    "as_ecs",
    "as_json_line",
    "as_ocsf",
    "bounded",
    "deciding_values",
    "fields_read",
    "message_of",
    "other_record",
    "schema",
    "with_inner_fields",
]
