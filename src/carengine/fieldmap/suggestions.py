"""Which of CAR's fields a log's own fields could be, by their names, values and types."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from ipaddress import ip_address
from typing import Any

from ..datamodel import ObjectSpec
from .observed import ObservedField

_HEX = {32: "md5_hash", 40: "sha1_hash", 64: "sha256_hash"}
_DATE = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d|\d\d/[A-Z][a-z]{2}/\d{4}:\d\d")
_LONGEST_TIME = 40
_TIME_NAME = re.compile(r"time|date|when|^ts$|created|published|_at$", re.IGNORECASE)


def _is_address(value: Any) -> bool:
    try:
        ip_address(str(value))
    except ValueError:
        return False
    return True


def _is_port(value: Any) -> bool:
    text = str(value)
    return text.isascii() and text.isdecimal() and 0 <= int(text[:6]) <= 65535


def _is_number(value: Any) -> bool:
    text = str(value)
    return not isinstance(value, bool) and text.isascii() and text[:19].isdecimal()


def _is_path(value: Any) -> bool:
    return isinstance(value, str) and ("/" in value or "\\" in value) and "://" not in value


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and not _DATE.match(value)


def _is_hash(value: Any) -> bool:
    return isinstance(value, str) and bool(re.fullmatch(r"[0-9A-Fa-f]{32,64}", value))


def _is_url(value: Any) -> bool:
    return isinstance(value, str) and ("://" in value or value.startswith("/"))


Test = Callable[[Any], bool]

# CAR's field; the names that logs have for it, without separators; what its values must be.
_NAMES: tuple[tuple[str, str, Test], ...] = (
    ("user", "user username accountname account login principal actorname actor who", _is_text),
    ("hostname", "hostname host computer computername machine hostname node devicename", _is_text),
    (
        "src_ip",
        "srcip sourceip clientip client remoteaddr remoteip ip cip source src sourceaddress "
        "sourceipaddress peer",
        _is_address,
    ),
    (
        "dest_ip",
        "dstip destip destinationip serverip dst dest destination destinationaddress sip",
        _is_address,
    ),
    ("src_port", "srcport sourceport sport clientport spt", _is_port),
    ("dest_port", "dstport destport destinationport dport serverport dpt port", _is_port),
    ("requester_ip_address", "srcip sourceip clientip client remoteaddr cip ip", _is_address),
    ("command_line", "commandline cmdline cmd command args argv", _is_text),
    ("image_path", "image imagepath executable exepath processpath program binary exe", _is_path),
    ("exe", "exe processname process proc program comm", _is_text),
    ("parent_image_path", "parentimage parentexecutable parentpath parentprocesspath", _is_path),
    ("parent_exe", "parentexe parentname parentprocessname", _is_text),
    ("parent_command_line", "parentcommandline parentcmdline", _is_text),
    ("current_working_directory", "cwd workingdirectory currentdirectory", _is_path),
    ("pid", "pid processid", _is_number),
    ("ppid", "ppid parentpid parentprocessid", _is_number),
    ("file_path", "filepath path file target targetfilename filename object", _is_path),
    ("file_name", "filename name file", _is_text),
    ("md5_hash", "md5 md5hash hash", _is_hash),
    ("sha1_hash", "sha1 sha1hash hash", _is_hash),
    ("sha256_hash", "sha256 sha256hash hash", _is_hash),
    ("url_full", "url uri requesturl", _is_url),
    ("url_remainder", "uri path requesturi csuristem", _is_url),
    ("url_domain", "host domain vhost cshost", _is_text),
    ("user_agent_full", "useragent ua csuseragent agent", _is_text),
    ("response_status_code", "status statuscode code scstatus responsecode", _is_number),
    ("request_referrer", "referer referrer csreferer", _is_text),
    ("method", "authmethod method mechanism", _is_text),
    ("app_name", "app appname application service", _is_text),
    ("decision_reason", "reason error decision failurereason", _is_text),
    ("transport_protocol", "proto protocol transport", _is_text),
    ("key", "key registrykey", _is_path),
    ("value", "value registryvalue", _is_text),
    ("service_name", "servicename service name", _is_text),
    ("subject", "subject", _is_text),
)

# What a kind of event is called: words in the value that tells kinds apart, the kind.
_KINDS: tuple[tuple[str, str], ...] = (
    (
        r"log.?(?:in|on).?fail|fail\w*.?log.?(?:in|on)|auth\w*.?fail|denied.?log",
        "authentication/failure",
    ),
    (r"logout|log.?off|signed?.?out|session.?(?:end|close)", "user_session/logout"),
    (r"log.?(?:in|on)|sign.?in|session.?(?:start|open)", "user_session/login"),
    (r"auth", "authentication/success"),
    (r"proc\w*.?(?:end|exit|stop|term)|exit", "process/terminate"),
    (r"exec|spawn|proc\w*|launch", "process/create"),
    (r"(?:file|object).?(?:del|rem)|unlink", "file/delete"),
    (r"file.?(?:creat|new)|upload", "file/create"),
    (r"file.?(?:writ|mod|chang)", "file/modify"),
    (r"file.?(?:read|open)|download", "file/read"),
    (r"conn\w*|flow|session|traffic", "flow/start"),
    (r"^get$|http.?get", "http/get"),
    (r"^post$|http.?post", "http/post"),
    (r"^put$|http.?put", "http/put"),
    (r"service.?(?:creat|install)", "service/create"),
    (r"reg\w*.?(?:set|edit|mod)", "registry/value_edit"),
)
_KIND_FORMS = tuple((re.compile(form, re.IGNORECASE), kind) for form, kind in _KINDS)


def kind_of_value(value: str) -> str:
    """The CAR kind that the value of a telling field sounds like; empty for none.

    >>> kind_of_value("proc.start"), kind_of_value("LOGIN_FAILED"), kind_of_value("billing")
    ('process/create', 'authentication/failure', '')
    """
    return next((kind for form, kind in _KIND_FORMS if form.search(value)), "")


def is_time(seen: ObservedField) -> bool:
    """Whether a field's values are times, by their form, or by the name and the size."""
    sample = seen.sample
    if isinstance(sample, str):
        return all(
            isinstance(one, str) and len(one) <= _LONGEST_TIME and _DATE.match(one) is not None
            for one in seen.values
        )
    if isinstance(sample, int | float) and not isinstance(sample, bool):
        return sample > 10**9 and _TIME_NAME.search(seen.path[-1]) is not None
    return False


def suggest(spec: ObjectSpec, fields: Iterable[ObservedField]) -> dict[str, ObservedField]:
    """For fields of an object the field of a log that each could be; a field of the log is given
    once."""
    known = {_plain(seen.path): seen for seen in fields if seen.values}
    last: dict[str, ObservedField] = {}
    for seen in known.values():
        last.setdefault(_plain(seen.path[-1:]), seen)
    made: dict[str, ObservedField] = {}
    used: set[int] = set()

    def take(name: str, candidates: Iterable[ObservedField | None], test: Test) -> None:
        for seen in candidates:
            if name in made or seen is None or id(seen) in used:
                continue
            if all(test(value) for value in seen.values):
                made[name] = seen
                used.add(id(seen))

    for name in spec.fields:
        plain = _plain((name,))
        take(name, [known.get(plain), last.get(plain)], _test_of(name))
    for name, spelled, test in _NAMES:
        if name in spec.fields:
            spellings = spelled.split()
            take(name, [known.get(one) for one in spellings], test)
            take(name, [last.get(one) for one in spellings], test)
    for seen in known.values():
        lengths = {len(str(value)) for value in seen.values}
        if len(lengths) == 1 and (name := _HEX.get(lengths.pop(), "")) in spec.fields:
            take(name, [seen], _is_hash)
    return {name: made[name] for name in spec.fields if name in made}


def _test_of(name: str) -> Test:
    if name.endswith(("_ip", "_ip_address")):
        return _is_address
    if name.endswith("_port"):
        return _is_port
    if name.endswith("_path"):
        return _is_path
    if name.endswith("_hash"):
        return lambda value: _is_hash(value) and _HEX.get(len(value)) == name
    return lambda value: True


def _plain(path: Iterable[str]) -> str:
    return re.sub(r"[^a-z0-9]", "", "".join(path).lower())
