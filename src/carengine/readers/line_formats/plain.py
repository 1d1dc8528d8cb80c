"""Plain text: whatever a line says is the message of an event.

::

    2024-05-20 07:58:41,092 ERROR [main] java.lang.Runtime exec failed
    {"message": "2024-05-20 07:58:41,092 ERROR …", "timestamp": "2024-05-20 07:58:41,092"}

``timestamp`` is there where the line begins with a time. Rules over plain text look for words in
the message; what program wrote the log, the text does not say: ``--logsource`` does.
"""

from __future__ import annotations

import re
from typing import Any

from .model import EachLine, LineFormat, Outcome

_TIME = re.compile(
    r"\[?(\d{4}[-/]\d\d[-/]\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?: ?(?:Z|[+-]\d\d:?\d\d))?"
    r"|[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d(?:\.\d{1,9})? \d{4}"
    r"|\d\d/[A-Z][a-z]{2}/\d{4}[: ]\d\d:\d\d:\d\d(?: [+-]\d{4})?)\]?"
)


def plain_event(line: str) -> Outcome:
    """The event of a line of text."""
    event: dict[str, Any] = {"message": line}
    if (found := _TIME.match(line)) is not None:
        event["timestamp"] = found[1]
    return event


PLAIN = LineFormat("plain", "plain text", lambda lines: True, lambda: EachLine(plain_event))
