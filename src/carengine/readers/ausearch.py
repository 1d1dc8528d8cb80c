r"""What ``ausearch -i`` writes: records of the Linux audit log with their values interpreted.

Times are dates in the words of a locale, numbers have become names, and no value is quoted::

    ----
    type=EXECVE msg=audit(05/20/2024 07:58:41.123:24) : argc=2 a0=ls a1=my notes
    type=SYSCALL msg=audit(05/20/2024 07:58:41.123:24) : arch=x86_64 syscall=execve … uid=ann …

`fields_of` gives the fields of such a record under the names that a log with ``log_format =
ENRICHED`` has: the name of a system call or a user under the upper-case name (``SYSCALL``,
``UID``). A number that the export no longer says is not there, but for those that are the same on
every system: root is 0, and unset 4294967295.

A value that a user chose may hold blanks and equals signs. It ends where the field begins that
follows it in the kernel's record.

Sources: ausearch(8); `auparse/interpret.c` of the audit userspace, which writes the values.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

TIME = r"\d{1,4}[./-]\d{1,2}[./-]\d{1,4},? \d{1,2}:\d{2}:\d{2}(?:\.\d{1,9})?(?: [AaPp][Mm])?"
"""A time in the middle of a record's head, as a regular expression."""

_TIME = re.compile(
    r"(\d{1,4})([./-])(\d{1,2})[./-](\d{1,4}),? (\d{1,2}):(\d{2}):(\d{2})(?:\.(\d{1,9}))?"
    r"(?: ([AaPp])[Mm])?"
)
_DATE = re.compile(rb"msg=audit\((\d{1,2})/(\d{1,2})/\d{2,4}[ ,]")


def begins_with_day(head: bytes) -> bool | None:
    """Whether dates with slashes begin with the day, by those in the first bytes of a file; None
    where these fit both orders, or there are none.

    >>> begins_with_day(b"type=CWD msg=audit(20/05/24 07:58:41.123:24) : cwd=/")
    True
    """
    for first, second in _DATE.findall(head):
        if int(first) > 12:
            return True
        if int(second) > 12:
            return False
    return None


def seconds(text: str, *, day_first: bool) -> float | None:
    """A time as seconds since 1970, read as UTC; None for what is none.

    >>> seconds("05/20/2024 07:58:41.123", day_first=False)
    1716191921.123
    """
    found = _TIME.fullmatch(text)
    if found is None:
        return None
    one, mark, two, three, hour, minute, second, fraction, half = found.groups()
    if len(one) == 4:
        year, month, day = one, two, three
    elif mark == "." or (mark == "/" and day_first) or int(one) > 12:
        day, month, year = one, two, three
    else:
        month, day, year = one, two, three
    hours = int(hour)
    if half is not None:
        hours = hours % 12 + (12 if half in "Pp" else 0)
    years = int(year) + (2000 if len(year) == 2 else 0)
    micros = int((fraction or "0").ljust(6, "0")[:6])
    try:
        moment = datetime(
            years, int(month), int(day), hours, int(minute), int(second), micros, tzinfo=UTC
        )
    except ValueError:
        return None
    return moment.timestamp()


# Fields whose value somebody chose, and which fields can follow them.
_FOLLOWERS: dict[str, str] = {
    "acct": "exe|hostname|addr|terminal|res",
    "cmd": "exe|hostname|addr|terminal|res",
    "comm": "exe|subj|key|sig|res|path|name|dev|capability",
    "cwd": "cmd|exe|terminal|res",
    "exe": r"subj|key|hostname|addr|terminal|res|sig|kernel|seuser|cgroup|laddr|tty|comm",
    "name": "inode|nametype|objtype|dev|mode|ouid",
    "proctitle": "",
    "path": "dev|ino|scontext",
    "key": "list|res",
    "old_key": "res",
    "unit": "comm|exe",
    "data": "res",
}
# Those that are the last of their record where none of these follows.
_TO_THE_END = frozenset({"cwd", "cmd", "comm", "proctitle"})
_ENDS: dict[str, re.Pattern[str]] = {
    name: re.compile(rf"\s(?=(?:{names})=)" if names else r"(?!)")
    for name, names in _FOLLOWERS.items()
}
_NEXT = re.compile(r"\s(?=[A-Za-z_][\w.\[\]-]{0,63}=)")
_START = re.compile(r"(?:(?<=\s)|(?<=\A)|(?<='))([A-Za-z_][\w.\[\]-]{0,63})=")
_MESSAGE = re.compile(r"\bmsg='(.*)'\s*\Z", re.DOTALL)

# Numbers that the export has as names; a name goes where an enriched log has it.
_NAMED = frozenset(
    [
        *("arch", "syscall", "auid", "uid", "gid", "euid", "suid", "fsuid", "egid", "sgid"),
        *("fsgid", "ouid", "ogid", "oauid", "old-auid", "id", "new-auid", "iuid", "igid", "sauid"),
    ]
)
_EVERYWHERE = {"root": "0", "unset": "4294967295"}
_EMPTY = frozenset({"(null)", "?", "(none)", ""})
_EXIT = re.compile(r"(E[A-Z0-9]{1,20})\(.*\)", re.DOTALL)


def fields_of(kind: str, text: str) -> dict[str, Any]:
    """The fields of a record of this type.

    >>> fields_of("EXECVE", "argc=3 a0=sh a1=-c a2=echo a b=c")
    {'argc': '3', 'a0': 'sh', 'a1': '-c', 'a2': 'echo a b=c'}
    >>> fields_of("SYSCALL", "syscall=connect exit=EINPROGRESS(Operation now in progress) uid=ann")
    {'SYSCALL': 'connect', 'syscall': 'connect', 'exit': 'EINPROGRESS', 'UID': 'ann'}
    """
    said = _MESSAGE.search(text)
    if said is not None:
        return _fields(kind, text[: said.start()]) | _fields(kind, said[1])
    return _fields(kind, text)


def _fields(kind: str, text: str) -> dict[str, Any]:
    made: dict[str, Any] = {}
    # What does not follow one field follows no later one: a line is not searched twice for it.
    absent: set[re.Pattern[str]] = set()
    at = 0
    while (found := _START.search(text, at)) is not None:
        name, start = found[1], found.end()
        if name == "saddr":
            # All that follows is in braces, or in words.
            made |= _address(text[start:])
            break
        pattern = _end_of(kind, name)
        following = None if pattern in absent else pattern.search(text, start)
        if following is None:
            absent.add(pattern)
        if following is None and name in _FOLLOWERS and name not in _TO_THE_END:
            following = _NEXT.search(text, start)
        end = len(text) if following is None else following.start()
        at = end
        _add(made, name, _plain(text[start:end]))
    return made


def _end_of(kind: str, name: str) -> re.Pattern[str]:
    if kind == "EXECVE":
        return _argument_end(name)
    return _ENDS.get(name, _NEXT)


_ARGUMENT = re.compile(r"a(\d{1,5})(?:\[(\d{1,5})\])?")
_PATTERNS: dict[str, re.Pattern[str]] = {}
_MOST_PATTERNS = 256


def _argument_end(name: str) -> re.Pattern[str]:
    """What ends an argument: the next one, or its own next piece."""
    argument = _ARGUMENT.fullmatch(name)
    if argument is None:
        return _NEXT
    kept = _PATTERNS.get(name)
    if kept is None:
        number = int(argument[1])
        after = rf"a{number + 1}(?:\[0\])?="
        if argument[2] is not None:
            after = rf"(?:a{number}\[{int(argument[2]) + 1}\]=|{after})"
        kept = re.compile(rf"\s(?={after}|a{number + 1}_len=)")
        if len(_PATTERNS) < _MOST_PATTERNS:
            _PATTERNS[name] = kept
    return kept


def _plain(value: str) -> str:
    value = value.strip()
    return value[1:-1] if len(value) > 1 and value[0] == value[-1] == '"' else value


def _add(made: dict[str, Any], name: str, value: str) -> None:
    if value in _EMPTY:
        return
    if name == "exit" and (error := _EXIT.fullmatch(value)):
        value = error[1]
    if name not in _NAMED or value.isdigit():
        made[name] = value
        return
    made[name.upper()] = value
    if name in ("arch", "syscall"):
        made[name] = value
    elif (number := _EVERYWHERE.get(value)) is not None:
        made[name] = number


_IN_BRACES = re.compile(r"\{\s*(.*?)\s*\}", re.DOTALL)
_HOST = re.compile(r"host:(\S+)\s+serv:(\S+)")


def _address(text: str) -> dict[str, str]:
    """The parts of a socket address: ``{ saddr_fam=inet laddr=10.0.0.1 lport=443 }``, or in older
    versions ``inet host:10.0.0.1 serv:443``."""
    braces = _IN_BRACES.match(text)
    if braces is None:
        family, _, rest = text.strip().partition(" ")
        made = {"family": family}
        if (host := _HOST.match(rest)) is not None:
            made |= {"address": host[1], "port": host[2]}
        elif family == "local" and rest:
            made["path"] = rest
        return made
    inside = _fields("", braces[1])
    made = {}
    for given, name in (
        ("saddr_fam", "family"),
        ("fam", "family"),
        ("laddr", "address"),
        ("lport", "port"),
        ("path", "path"),
    ):
        if given in inside:
            made[name] = inside[given]
    return made
