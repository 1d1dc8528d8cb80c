"""What is in a log, counted; and what is missing from it."""

from __future__ import annotations

import csv
import io
import json
import random
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from carengine.cli import main
from carengine.cli.stats import STATS_COLUMNS
from carengine.matches import schema
from carengine.statistics import LogStatistics, RecordNumbers
from carengine.statistics.logons import sshd_logon

HOSTILE = "=cmd|'/c calc'!A0\x1b[2J\u202e<script>"


def security(number: int, record: int, second: int, **fields: Any) -> dict[str, Any]:
    return {
        "Channel": "Security",
        "SourceName": "Microsoft-Windows-Security-Auditing",
        "EventID": number,
        "EventRecordID": record,
        "Hostname": "dc1.example.com",
        "@timestamp": f"2024-05-01T{10 + second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}Z",
        **fields,
    }


def syslog(message: str) -> dict[str, Any]:
    return {
        "timestamp": "2024-05-01T10:00:00Z",
        "syslog": {"app": "sshd", "time": "2024-05-01T10:00:00Z", "host": "lx"},
        "message": message,
    }


@given(st.lists(st.integers(1, 40), max_size=40))
def test_record_numbers_are_a_set(numbers: list[int]) -> None:
    kept = RecordNumbers()
    for number in numbers:
        kept.add(number, number)
    met = set(numbers)
    missing = {n for gap in kept.gaps("h", "c") for n in range(gap.first, gap.last + 1)}
    assert missing == ({*range(min(met), max(met) + 1)} - met if met else set())
    assert kept.twice == len(numbers) - len(met)
    assert (kept.first, kept.last) == ((min(met), max(met)) if met else (None, None))
    for gap in kept.gaps("h", "c"):
        # The times are those of the neighbours.
        assert (gap.before, gap.after) == (gap.first - 1, gap.last + 1)


def test_too_many_holes_are_not_kept() -> None:
    kept = RecordNumbers()
    for number in range(0, 200_000, 2):
        kept.add(number, None)
    assert kept.overfull
    assert kept.gaps("h", "c") == []
    assert kept.met == 100_000


def test_what_was_cut_out_is_told() -> None:
    events = [security(4688, record, record) for record in range(1, 101) if not 40 <= record < 50]
    events += [security(4688, 101, 7300), security(1102, 102, 7301, SubjectUserName="mallory")]
    random.Random(1).shuffle(events)
    statistics = LogStatistics("windows.flat")
    for event in events:
        statistics.add(event)
    [gap] = statistics.record_gaps()
    assert (gap.host, gap.channel, gap.first, gap.last) == ("DC1", "Security", 40, 49)
    assert gap.before is not None
    assert gap.after is not None
    assert gap.after - gap.before == 11_000_000
    [pause] = statistics.time_gaps()
    assert pause.seconds == 7200
    assert statistics.time_gaps(121) == []
    [cleared] = statistics.cleared
    assert (cleared.host, cleared.user, cleared.channel) == ("DC1", "mallory", "Security")


def test_logons() -> None:
    statistics = LogStatistics()
    for record, address in enumerate(["10.0.0.9"] * 3 + ["-"], 1):
        statistics.add(
            security(4625, record, record, TargetUserName="ann", TargetDomainName="CORP",
                     LogonType="3", IpAddress=address, WorkstationName="PC9")
        )  # fmt: skip
    statistics.add(security(4624, 9, 9, TargetUserName="ann", TargetDomainName="CORP", LogonType=10, IpAddress="10.0.0.9"))  # fmt: skip
    for message in (
        "Failed password for invalid user bob from 10.0.0.8 port 4222 ssh2",
        "Accepted publickey for root from 10.0.0.7 port 22 ssh2: RSA SHA256:x",
        "Connection closed by 10.0.0.8 port 4222",
    ):
        statistics.add(syslog(message))
    found = {
        (one.account, one.source, one.type, one.log): (one.successes, one.failures)
        for one in statistics.logons()
    }
    assert found == {
        ("CORP\\ann", "10.0.0.9", "network", "Security"): (0, 3),
        ("CORP\\ann", "PC9", "network", "Security"): (0, 1),
        ("CORP\\ann", "10.0.0.9", "remote interactive", "Security"): (1, 0),
        ("bob", "10.0.0.8", "password", "sshd"): (0, 1),
        ("root", "10.0.0.7", "publickey", "sshd"): (1, 0),
    }


@pytest.mark.parametrize(
    "message", [None, 7, "", "Failed x for a from b", "Accepted " + "a " * 100_000, {"a": 1}]
)
def test_what_is_no_logon(message: Any) -> None:
    assert sshd_logon(message) is None


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    events: list[dict[str, Any]] = [
        security(4688, 1, 1),
        security(4688, 5, 2, SubjectUserName=HOSTILE),
        security(4624, 6, 9000, TargetUserName=HOSTILE, LogonType="3", IpAddress=HOSTILE),
        {"unknown": 1},
    ]
    path = tmp_path / "x.jsonl"
    path.write_text("".join(json.dumps(event) + "\n" for event in events))
    assert main(["stats", str(path), "-f", "json"]) == 0
    data = json.loads(capsys.readouterr().out)
    jsonschema.Draft202012Validator(schema("stats")).validate(data)
    assert (data["records"], data["unrecognised"]) == (4, 1)
    assert data["record_numbers"][0]["missing"] == 3
    assert main(["stats", str(path), "--gap", "30"]) == 0
    out = capsys.readouterr().out
    assert "channels with holes in their record numbers" in out
    assert "2 to 4" in out
    assert not set("\x1b\u202e") & set(out)
    target = tmp_path / "stats.csv"
    assert main(["stats", str(path), "-f", "csv", "-o", str(target)]) == 0
    rows = list(csv.reader(io.StringIO(target.read_text(encoding="utf-8"))))
    assert tuple(rows[0]) == STATS_COLUMNS
    assert {row[0] for row in rows[1:]} >= {"channel", "host", "logon", "record gap", "time gap"}
    assert all(not cell.startswith(("=", "+", "@")) for row in rows for cell in row)
    for wrong in (["-o", str(target)], ["--gap", "0"], ["-f", "csv", "-o", str(path)]):
        assert main(["stats", str(path), *wrong]) == 2
    capsys.readouterr()


def test_names_in_any_number_take_bounded_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("carengine.statistics.counting._MOST", 5)
    statistics = LogStatistics("windows.flat")
    for number in range(20):
        statistics.add(security(4688, number, number, Hostname=f"h{number}", SubjectUserName=f"u{number}"))  # fmt: skip
    assert len(statistics.hosts()) == 6
    assert sum(one.events for one in statistics.hosts()) == 20
    # Names of accounts of Windows are one in any case.
    other = LogStatistics("car")
    for user in ("CORP\\Ann", "corp\\ann", "ann", "Ann"):
        other.add({"object": "process", "action": "create", "user": user})
    assert [(one.name, one.events) for one in other.users()] == [("CORP\\Ann", 2), ("Ann", 1), ("ann", 1)]  # fmt: skip


def test_logs_of_clouds_have_users() -> None:
    statistics = LogStatistics("aws")
    arn = "arn:aws:iam::1:user/ann"
    statistics.add(
        {
            "eventName": "ListUsers", "eventSource": "iam.amazonaws.com", "eventVersion": "1",
            "eventTime": "2024-05-01T10:00:00Z", "userIdentity": {"arn": arn},
        }
    )  # fmt: skip
    assert [one.name for one in statistics.users()] == [arn]
    assert [(one.channel, one.event) for one in statistics.channels()] == [("aws/cloudtrail", "ListUsers")]  # fmt: skip
