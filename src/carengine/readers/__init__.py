"""Evidence files to records.

``read_events`` takes files, folders, archives and standard input, and gives one ``Record`` after
another, in bounded memory however large they are. What a file is, its content tells::

    for record in (reading := read_events("evidence/", "more.zip", "-")):
        record.event, record.source, record.number
    reading.records, reading.unreadable, reading.sources, reading.diagnostics

Three layers, each an iterator over the one below: ``unpack`` and ``zipped`` give contents as bytes;
a module for each format (``json_text``, ``event_log``, ``event_xml``, ``tables``, ``zeek``,
``auditd``, ``syslog``, ``parquet``) gives the records in one content; ``reading`` decides what a
content is and walks. ``record`` holds what all of them share: the record, the limits and the
report. Evidence is untrusted: nothing in it raises, and nothing in it is left out without being
counted and named.
"""

from .json_text import Treatment, conclude
from .reading import FormattedContent, Reading, Walk, read_events, records_of
from .record import (
    DiagnosticsBuffer,
    Limits,
    LineFilter,
    LogFilter,
    NextLine,
    ReadReport,
    Record,
    RecordCounter,
    replay_diagnostics,
)

__all__ = [
    "DiagnosticsBuffer",
    "FormattedContent",
    "Limits",
    "LineFilter",
    "LogFilter",
    "NextLine",
    "ReadReport",
    "Reading",
    "Record",
    "RecordCounter",
    "Treatment",
    "Walk",
    "conclude",
    "read_events",
    "records_of",
    "replay_diagnostics",
]
