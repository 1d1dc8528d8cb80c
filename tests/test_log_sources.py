"""ATT&CK's log sources and the events that they are: every name and channel is accounted for."""

from __future__ import annotations

from collections import Counter

import pytest

from carengine.attack import LogSource, enterprise_attack, events_of, kinds_of_component
from carengine.attack.log_sources import _channels, _file
from carengine.fieldmap import installed_maps

SOURCES = tuple(enterprise_attack().log_sources())
KINDS = {str(kind) for one in installed_maps() for entry in one.entries for kind in entry.kinds}


def test_every_name_and_channel_is_events_or_has_a_reason() -> None:
    """And what is prose has its meaning written down."""
    for source in SOURCES:
        found = events_of(source)
        assert found.place >= (0, 0), source
        assert bool(found.events) != bool(found.cannot), source
        picked = _channels()[source.name][found.place[1]][1].pick is not None
        assert found.cannot or found.means or picked, source


def test_every_item_is_used_and_no_name_stands_twice() -> None:
    used = Counter(events_of(source).place for source in SOURCES)
    entries = _file()["sources"]
    assert not [
        (entry["names"], item)
        for place, entry in enumerate(entries)
        for at, item in enumerate(entry["channels"])
        if not used[place, at]
    ]
    names = [name for entry in entries for name in entry["names"]]
    assert sorted(names) == sorted({source.name for source in SOURCES})


def test_field_maps_have_every_kind() -> None:
    asked = {events.kind for source in SOURCES for events in events_of(source).events}
    assert asked <= KINDS
    components = {component.name for component in enterprise_attack().components.values()}
    for name, found in _file()["components"].items():
        assert name in components
        assert set(found["kinds"]) <= KINDS
        assert all(any(kind.endswith(f"/{c}") for kind in KINDS) for c in found["categories"])


@pytest.mark.parametrize(
    ("name", "channel", "events"),
    [
        ("WinEventLog:Sysmon", "EventCode=3, 22", ["windows/sysmon EventID 3, 22"]),
        ("WinEventLog:Security", "EventCode=4778, EventCode=4779", ["windows/security EventID 4778, 4779"]),
        ("WinEventLog:Security", "EventCode=1", []),
        ("WinEventLog:PowerShell", "EventCode=400, 403", ["windows/powershell-classic EventID 400, 403"]),
        ("AWS:CloudTrail", "AssumeRole or ConsoleLogin with repeated MFA failures", ["aws/cloudtrail eventName AssumeRole, ConsoleLogin"]),
        ("NSM:Flow", "conn.log + files.log + ssl.log", ["zeek/conn", "zeek/files", "zeek/ssl"]),
        ("NSM:Flow", "ldap.log", []),
        ("auditd:SYSCALL", "open/read", ["linux/auditd SYSCALL open, openat, openat2, read"]),
        ("auditd:SYSCALL", "ptrace attach", ["linux/auditd SYSCALL ptrace"]),
        ("auditd:SYSCALL", "execve of sleep or ping command", ["linux/auditd type EXECVE"]),
        ("macos:unifiedlog", "process", []),
        ("Okta:SystemLog", "eventType: user.authentication.sso, app.oauth2.token.grant", ["okta/okta eventType user.authentication.sso, app.oauth2.token.grant"]),
        ("m365:exchange", "Remove-InboxRule, Clear-Mailbox", ["m365/exchange Operation Remove-InboxRule, Clear-Mailbox"]),
    ],
)  # fmt: skip
def test_channels(name: str, channel: str, events: list[str]) -> None:
    assert [str(one) for one in events_of(LogSource(name, channel, "")).events] == events


def test_a_log_source_of_a_newer_bundle() -> None:
    assert events_of(LogSource("saas:new", "Login", "")).cannot.endswith("does not know the name")
    # Text of others, however long, costs little.
    assert events_of(LogSource("WinEventLog:Sysmon", "EventCode=" + "1, " * 100_000, "")).events
    assert events_of(LogSource("WinEventLog:Sysmon", "x", "")).cannot
    assert kinds_of_component("Social Media").kinds == ()
