r"""Access logs of web servers: the common and the combined format of Apache and nginx.

::

    www.example.com:443 10.0.0.9 - ann [20/May/2024:07:58:41 +0000] "GET /a?b=c HTTP/1.1" 200 512 "-" "curl/8.0"

    {"vhost": "www.example.com:443", "client": "10.0.0.9", "ident": "-", "user": "ann",
     "time": "20/May/2024:07:58:41 +0000", "method": "GET", "uri": "/a?b=c", "protocol": "HTTP/1.1",
     "status": "200", "bytes": "512", "referer": "-", "user_agent": "curl/8.0", "rest": ""}

The name of the virtual host before, the referer and the user agent behind, and what a server adds
at the end (``rest``) may be missing. Values are text; ``-`` is what the servers write for "not
known". A request line that is no request (an attack on the parser, TLS on a plain port) is kept as
``request``. Quotes inside values are written ``\"``, odd bytes ``\x16``: they stay so.

Sources: https://httpd.apache.org/docs/2.4/logs.html#accesslog,
https://nginx.org/en/docs/http/ngx_http_log_module.html
"""

from __future__ import annotations

import re

from .model import LineFormat, Outcome, most

_TEXT = r'[^"\\\n]*(?:\\.[^"\\\n]*)*'
_LINE = re.compile(
    # A virtual host stands first where an address comes second.
    r"^(?:([^\s\[\"]{1,255}) (?=[0-9A-Fa-f]{0,4}[.:0-9][0-9A-Fa-f.:]{1,45} ))?([^\s\[\"]{1,255}) (\S{1,255}) ([^\[\n]{1,255}?) "
    r"\[(\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d(?:\.\d{1,9})? [+-]\d{4})\] "
    rf'"(?:([A-Z_-]{{1,32}}) ([^\s"\\]*(?:\\.[^\s"\\]*)*)(?: (HTTP/\d(?:\.\d)?))?|({_TEXT}))" '
    rf'(\d{{3}}|-) (\d+|-)(?: "({_TEXT})" "({_TEXT})")?(?: ([^\n]*))?$',
    re.MULTILINE,
)
_NAMES = (
    "vhost",
    "client",
    "ident",
    "user",
    "time",
    "method",
    "uri",
    "protocol",
    "request",
    "status",
    "bytes",
    "referer",
    "user_agent",
    "rest",
)


class AccessLogReader:
    """Reads batches at once: where every line fits, one search over all of them finds every
    value."""

    def read(self, lines: list[str]) -> list[Outcome]:
        """The outcome of each line."""
        names = _NAMES
        rows = _LINE.findall("\n".join(lines))
        if len(rows) == len(lines):
            return [dict(zip(names, row, strict=True)) for row in rows]
        return [_event(line) for line in lines]

    @property
    def headers(self) -> list[str]:
        """None: no line depends on another."""
        return []


def _event(line: str) -> Outcome:
    if not line or line.isspace():
        return None
    found = _LINE.fullmatch(line)
    if found is None:
        return "is not a line of an access log"
    return dict(zip(_NAMES, found.groups(""), strict=True))


def _is_access_log(lines: list[str]) -> bool:
    return most(lines, _LINE.fullmatch)


ACCESS_LOG = LineFormat("access_log", "an access log", _is_access_log, AccessLogReader)
