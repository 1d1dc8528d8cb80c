"""Files of JSON whose events are not at the top: answers of a server, saved as they came.

What a search returns is one object, and the events are in an array in it::

    {"took": 3, "hits": {"total": …, "hits": [{"_source": {…}}, …]}}       Elasticsearch
    {"preview": false, "fields": […], "results": [{…}, …]}                 Splunk
    {"Records": [{…}, …]}                                                  AWS CloudTrail
    {"records": [{…}, …]}                                                  Azure diagnostics
    {"value": [{…}, …], "@odata.context": …}                               Microsoft Graph
    {"kind": "EventList", "items": [{…}, …]}                               Kubernetes audit
    {"resourceLogs": [{"resource": …, "scopeLogs": [{"logRecords": […]}]}]}    OpenTelemetry (OTLP)

Each element is a record. An answer that fills the whole file is read as it streams by, however
large (``array_at``); answers that stand one a line, or are small, are taken apart after they were
decoded (``elements``). Hits and results that stand alone, one a line, need nothing: a field map
sees through ``_source`` and ``result``. Only where Splunk exported the raw text of an event and no
fields is the text read (``opened``).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

from .otlp import RESOURCE_KEYS, log_records
from .record import Record
from .syslog import SyslogError, event_of_line

_PATHS = (
    ("hits", "hits"),
    ("results",),
    ("Records",),
    ("records",),
    ("value",),
    ("items",),
    ("resourceLogs",),
)
_OTHER_KEYS = {
    ("hits", "hits"): frozenset(
        [
            "took",
            "timed_out",
            "_shards",
            "hits",
            "aggregations",
            "suggest",
            "profile",
            "_scroll_id",
            "pit_id",
            "num_reduce_phases",
            "terminated_early",
            "_clusters",
            "max_score",
        ]
    ),
    ("results",): frozenset(
        [
            "preview",
            "init_offset",
            "post_process_count",
            "messages",
            "fields",
            "highlighted",
            "results",
            "sid",
            "lastrow",
            "columns",
        ]
    ),
    ("Records",): frozenset({"Records"}),
    ("records",): frozenset({"records"}),
    ("value",): frozenset(
        [
            "value",
            "@odata.context",
            "@odata.count",
            "@odata.nextLink",
            "@odata.deltaLink",
            "nextLink",
        ]
    ),
    ("items",): frozenset({"kind", "apiVersion", "metadata", "items"}),
    ("resourceLogs",): frozenset({"resourceLogs"}),
}
# Keys that tell an envelope from an event that happens to have a list of that name.
_SIGNS: dict[tuple[str, ...], str] = {("value",): "@odata.context", ("items",): "kind"}
ANSWER_HEAD = 1 << 14
# Keys of these names may occur before; so many are looked at.
_TRIED = 4
_MARK = re.compile(rb'"(?:hits|results|[Rr]ecords|value|items|resourceLogs)"\s{0,64}:\s{0,64}\[')


def elements(event: dict[str, Any]) -> list[Any] | None:
    """The records in an answer, or None if the object is none.

    >>> elements({"took": 1, "hits": {"total": 1, "hits": [{"_source": {}}]}})
    [{'_source': {}}]
    """
    if "scopeLogs" in event and event.keys() <= RESOURCE_KEYS:
        return log_records(event)
    for path in _PATHS:
        if path[0] in event and event.keys() <= _OTHER_KEYS[path]:
            found: Any = event
            for key in path:
                found = found.get(key) if isinstance(found, dict) else None
            if isinstance(found, list) and path == ("resourceLogs",):
                return [record for part in found for record in _of_resource(part)]
            if isinstance(found, list) and _SIGNS.get(path, path[0]) in event:
                return found
    return None


def _of_resource(part: Any) -> list[Any]:
    """The records of one element of ``resourceLogs``; the element itself where it is something
    else."""
    return log_records(part) if isinstance(part, dict) and "scopeLogs" in part else [part]


def array_at(head: bytes) -> tuple[int, int] | None:
    """Where the array of records of an answer begins, and in how many objects it is.

    ``head`` is the beginning of the text, ``ANSWER_HEAD`` bytes of it or all.
    """
    for tried, found in enumerate(_MARK.finditer(head)):
        if tried == _TRIED:
            break
        start = head[: found.end()].decode("utf-8", "replace")
        for closers in ("]}", "]}}"):
            try:
                opened = json.loads(start + closers)
            except (ValueError, RecursionError):
                continue
            if isinstance(opened, dict) and elements(opened) == []:
                return found.end() - 1, len(closers) - 1
    return None


# What Splunk says of an event beside its own fields.
_SPLUNK_OWN = frozenset(
    [
        "_raw",
        "_time",
        "_indextime",
        "_cd",
        "_bkt",
        "_si",
        "_serial",
        "_sourcetype",
        "_subsecond",
        "_kv",
        "_pre_msg",
        "_eventtype_color",
        "host",
        "source",
        "sourcetype",
        "index",
        "linecount",
        "splunk_server",
        "splunk_server_group",
        "punct",
        "timestamp",
        "timestartpos",
        "timeendpos",
        "eventtype",
        "tag",
    ]
)


def raw_of(event: dict[str, Any]) -> str | None:
    """The text of an event that Splunk exported with nothing taken out of it; None where it has
    fields of its own.

    >>> raw_of({"result": {"_raw": "<Event/>", "host": "web1"}})
    '<Event/>'
    >>> raw_of({"_raw": "x", "EventCode": "1"}) is None
    True
    """
    inner = event.get("result", event)
    if isinstance(inner, dict) and "_raw" in inner and inner.keys() <= _SPLUNK_OWN:
        text = inner["_raw"]
        return text if isinstance(text, str) else None
    return None


def opened(records: Iterator[Record], decode: Callable[[bytes], Any]) -> Iterator[Record]:
    """The records, with those that are only a raw text replaced by the event in it, if there is
    one.

    What Splunk said of the event is kept under ``splunk``. A text that holds no event stays as it
    is.
    """
    for record in records:
        text = raw_of(record.event)
        if text is not None:
            try:
                event = decode(text.encode("utf-8", "surrogatepass"))
            except ValueError:
                try:
                    event = event_of_line(text, decode)
                except SyslogError:
                    event = None
            if isinstance(event, dict):
                inner = record.event.get("result", record.event)
                own = {key: value for key, value in inner.items() if key != "_raw"}
                event.setdefault("splunk", own)
                record = Record(event, record.source, record.number)
        yield record
