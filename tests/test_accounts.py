"""One account in several spellings, and what kind it is, through field maps and beside them."""

from __future__ import annotations

from typing import Any

import pytest

import carengine
from carengine.engine import interpret
from carengine.fieldmap import find_maps

RULE = carengine.parse_rule(
    """
a = search UserSession:Login where account_type = "user"
g = group a by account within 1 hour
s = from g select account, distinct_count(hostname) as hosts, values(account_type) as types
m = filter s where hosts > 1
output m
"""
)
NAMED = carengine.parse_rule('a = search UserSession:Login where account = "corp\\ann" output a')


def logon(host: str, name: str, domain: str, sid: str = "S-1-5-21-1-2-3-1107") -> dict[str, Any]:
    return {
        "EventID": 4624,
        "Channel": "Security",
        "Computer": host,
        "TargetUserName": name,
        "TargetDomainName": domain,
        "TargetUserSid": sid,
        "LogonType": "3",
        "TimeCreated": "2024-05-20T09:00:00Z",
    }


def test_a_user_in_two_spellings_is_one() -> None:
    events = [
        logon("a", "Ann", "CORP"),
        logon("b", "ann", "corp.example.org"),
        logon("c", "b", "CORP"),
        # Accounts of machines and of Windows, by name or by SID only.
        *(logon(host, "WS1$", "CORP") for host in "abc"),
        *(logon(host, "SYSTEM", "NT-AUTORITÄT", "S-1-5-18") for host in "abc"),
        *(logon(host, "DWM-1", "Fenster-Manager", "S-1-5-90-0-1") for host in "abc"),
    ]
    engine = carengine.Engine([RULE])
    [match] = engine.run(events)
    assert match.columns == {"account": "corp\\ann", "hosts": 2, "types": ["user"]}
    # Decided in parts, where a view is only what was written of it.
    [again] = engine.merge([engine.partial([event]) for event in events])
    assert again.as_json() == match.as_json()


@pytest.mark.parametrize("user", ["CORP\\ann", "corp.example.org\\Ann", "ANN@corp.example.org"])
def test_engine_and_reference_agree(user: str) -> None:
    own = {"object": "user_session", "action": "login", "user": user}
    for event, maps in (
        (own, "car"),
        ({**own, "user": "x", "account": "CORP\\ann"}, "car"),
        (logon("a", *reversed(user.partition("\\")[::2])), "eventlog.flat"),
    ):
        if "@" in user and maps != "car":
            continue
        found = list(carengine.Engine([NAMED], maps).run([event]))
        assert [m.as_json() for m in found] == [
            m.as_json() for m in interpret([NAMED], [event], find_maps(maps))
        ]
        assert len(found) == 1


def test_a_translation_says_that_it_cannot_be_written() -> None:
    [sysmon] = carengine.find_maps("eventlog.flat")
    with pytest.raises(carengine.CarError, match="account_name"):
        carengine.translate(NAMED, "splunk", fieldmap=sysmon.name)
