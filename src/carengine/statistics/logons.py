"""Who logged on from where: Windows' events 4624 and 4625, sshd's messages, Linux audit events."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import re2
from attrs import define

from ..values import text_of

LOGON_TYPES = {
    "0": "system",
    "2": "interactive",
    "3": "network",
    "4": "batch",
    "5": "service",
    "7": "unlock",
    "8": "network, clear text",
    "9": "new credentials",
    "10": "remote interactive",
    "11": "cached interactive",
    "12": "cached remote interactive",
    "13": "cached unlock",
}
"""What the numbers of logon types mean. Source:
https://learn.microsoft.com/windows-server/identity/securing-privileged-access/reference-tools-logon-types"""

_SSHD = re2.compile(
    r"^(Accepted|Failed) (\S{1,64}) for (?:invalid user )?(.{0,256}?) from (\S{1,256}) port \d"
)
_LONGEST = 4_096
_NOTHING = frozenset({"", "-", "::1", "127.0.0.1"})

Logon = tuple[str, str, str, str, bool]
"""Host is not part of it: account, source, type, log, and whether it succeeded."""


@define
class LogonCount:
    """Logons of an account from a source, in one way.

    ``type`` is Windows' logon type in words, or sshd's method. ``log`` says which log tells.
    ``first`` and ``last`` are in microseconds since 1970 UTC.
    """

    account: str
    source: str
    type: str
    log: str
    successes: int = 0
    failures: int = 0
    first: int | None = None
    last: int | None = None


def windows_logon(get: Callable[[str], Any]) -> Logon | None:
    """The logon that an event of the channel Security is; None for any other event. ``get`` gives a
    field by its native name.

    >>> event = {"EventID": 4625, "TargetUserName": "ann", "LogonType": 3, "IpAddress": "10.0.0.9"}
    >>> windows_logon(event.get)
    ('ann', '10.0.0.9', 'network', 'Security', False)
    """
    number = text_of(get("EventID"))
    if number not in ("4624", "4625"):
        return None
    user, domain = (text_of(get(name)) or "" for name in ("TargetUserName", "TargetDomainName"))
    sources = (text_of(get(name)) or "" for name in ("IpAddress", "WorkstationName"))
    source = next((one for one in sources if one not in _NOTHING), "local")
    type_ = text_of(get("LogonType")) or ""
    account = f"{domain}\\{user}" if domain not in ("", "-") else user
    return account, source, LOGON_TYPES.get(type_, type_), "Security", number == "4624"


def sshd_logon(message: Any) -> Logon | None:
    """The logon that a message of sshd tells of; None for any other message.

    >>> sshd_logon("Failed password for invalid user bob from 10.0.0.9 port 4222 ssh2")
    ('bob', '10.0.0.9', 'password', 'sshd', False)
    """
    text = text_of(message)
    found = None if text is None else _SSHD.search(text[:_LONGEST])
    if found is None:
        return None
    outcome, method, account, source = found.groups()
    return account, source, method, "sshd", outcome == "Accepted"
