"""Error logs of Apache and nginx.

::

    [Mon May 20 07:58:41.092345 2024] [core:error] [pid 7:tid 8] [client 10.0.0.9:5050] AH00037: …
    {"server": "apache", "time": "Mon May 20 07:58:41.092345 2024", "module": "core", "level":
    "error",
     "pid": "7", "tid": "8", "client": "10.0.0.9:5050", "code": "AH00037", "message": "AH00037: …"}

    2024/05/20 07:58:41 [error] 7#8: *9 open() "/x" failed (2: No such file), client: 10.0.0.9, …
    {"server": "nginx", "time": "2024/05/20 07:58:41", "level": "error", "pid": "7", "tid": "8",
     "connection": "9", "client": "10.0.0.9", "request": "GET /x HTTP/1.1", "message": "open() …"}

Sources: https://httpd.apache.org/docs/2.4/logs.html#errorlog,
https://nginx.org/en/docs/ngx_core_module.html#error_log
"""

from __future__ import annotations

import re

from .model import EachLine, LineFormat, Outcome, most

_APACHE = re.compile(
    r"\[(?P<time>[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d(?:\.\d{1,9})? \d{4})\] "
    r"\[(?:(?P<module>[\w.-]{0,64}):)?(?P<level>\w{1,16})\] "
    r"(?:\[pid (?P<pid>\d{1,12})(?::tid (?P<tid>\d{1,20}))?\] )?"
    r"(?:(?P<source>[\w.]{1,64}\(\d{1,8}\)): )?"
    r"(?:\[(?:remote|client) (?P<client>[^\]\s]{1,64})\] )?"
    r"(?P<message>(?:(?P<code>AH\d{5}): )?.*)",
    re.DOTALL,
)
_NGINX = re.compile(
    r"(?P<time>\d{4}/\d\d/\d\d \d\d:\d\d:\d\d) \[(?P<level>\w{1,16})\] "
    r"(?P<pid>\d{1,12})#(?P<tid>\d{1,20}): (?:\*(?P<connection>\d{1,20}) )?(?P<message>.*)",
    re.DOTALL,
)
# What nginx adds to a message about a request.
_ADDED = re.compile(r', (client|server|request|upstream|host|referrer): ("[^"]*"|[^,"]*)')


def _apache(line: str) -> Outcome:
    found = _APACHE.fullmatch(line)
    if found is None:
        return "is not a line of an Apache error log"
    values = {name: value for name, value in found.groupdict().items() if value is not None}
    return {"server": "apache", **values}


def _nginx(line: str) -> Outcome:
    found = _NGINX.fullmatch(line)
    if found is None:
        return "is not a line of an nginx error log"
    values = {name: value for name, value in found.groupdict().items() if value is not None}
    for name, value in _ADDED.findall(values["message"]):
        values.setdefault(name, value.strip('"'))
    return {"server": "nginx", **values}


APACHE_ERROR_LOG = LineFormat(
    "apache_error_log",
    "an Apache error log",
    lambda lines: most(lines, _APACHE.fullmatch),
    lambda: EachLine(_apache),
)
NGINX_ERROR_LOG = LineFormat(
    "nginx_error_log",
    "an nginx error log",
    lambda lines: most(lines, _NGINX.fullmatch),
    lambda: EachLine(_nginx),
)
