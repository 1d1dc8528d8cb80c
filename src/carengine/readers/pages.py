"""Files of JSON whose events are not at the top: answers of a server, saved as they came.

What a search returns is one object, and the events are in an array in it::

    {"took": 3, "hits": {"total": …, "hits": [{"_source": {…}}, …]}}       Elasticsearch
    {"preview": false, "fields": […], "results": [{…}, …]}                 Splunk
    {"Records": [{…}, …]}                                                  cloud trails

Each element is a record. An answer that fills the whole file is read as it streams by, however large (``array_at``);
answers that stand one a line, or are small, are taken apart after they were decoded (``elements``).
Hits and results that stand alone, one a line, need nothing: a field map sees through ``_source`` and ``result``.
"""

from __future__ import annotations

import json
import re
from typing import Any

_PATHS = (("hits", "hits"), ("results",), ("Records",))
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
}
_MARK = re.compile(rb'"(?:hits|results|Records)"\s{0,64}:\s{0,64}\[')


def elements(event: dict[str, Any]) -> list[Any] | None:
    """The records in an answer, or None if the object is none.

    >>> elements({"took": 1, "hits": {"total": 1, "hits": [{"_source": {}}]}})
    [{'_source': {}}]
    """
    for path in _PATHS:
        if path[0] in event and event.keys() <= _OTHER_KEYS[path]:
            found: Any = event
            for key in path:
                found = found.get(key) if isinstance(found, dict) else None
            if isinstance(found, list):
                return found
    return None


def array_at(head: bytes) -> int | None:
    """The offset of the array of records in a text that begins like an answer."""
    for found in _MARK.finditer(head, 0, 1 << 14):
        start = head[: found.end()].decode("utf-8", "replace").lstrip("\ufeff \t\r\n")
        for closers in ("]}", "]}}"):
            try:
                opened = json.loads(start + closers)
            except (ValueError, RecursionError):
                continue
            if isinstance(opened, dict) and elements(opened) == []:
                return found.end() - 1
        # Another key of this name may come later; a few are looked at.
    return None
