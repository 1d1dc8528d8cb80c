"""Following logs that have a record a line and are not JSON: what is found is what reading the
finished file finds, wherever it is cut and whoever restarts."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from carengine import read_events
from carengine.readers.follow import Follower

W3C = """\
#Software: Microsoft Internet Information Services 10.0
#Version: 1.0
#Date: 2024-05-20 07:00:00
#Fields: time cs-method cs-uri-stem cs(User-Agent) sc-status
07:58:41 GET /a.aspx Mozilla/5.0+(Windows) 200
07:58:42 POST /b.aspx - 500

07:58:43 too few
#Fields: date time s-ip sc-status
2024-05-21 07:58:44 10.0.0.5 404
2024-05-21 07:58:45 10.0.0.6 200
#Software: other
#Fields: date time cs(User-Agent)
2024-05-21 07:58:46 a+b
"""
ACCESS = '10.0.0.9 - ann [20/May/2024:07:58:4{n} +0000] "GET /{n} HTTP/1.1" 200 512 "-" "curl/8"\n'
APACHE = (
    "[Mon May 20 07:58:41.09 2024] [core:error] [pid 7:tid 8] [client 10.0.0.9:5] AH0003{n}: x\n"
)
NGINX = (
    '2024/05/20 07:58:4{n} [error] 7#8: *9 open() failed, client: 10.0.0.9, request: "GET /{n}"\n'
)
CEF = "CEF:0|Vendor|Product|1.0|10{n}|worm stopped|10|src=10.0.0.{n} act=blocked\n"
LEEF = "LEEF:2.0|Vendor|Product|1.0|10{n}|^|src=10.0.0.{n}^usrName=ann\n"
PAIRS = 'time=2024-05-20T07:58:4{n}Z level=info msg="user {n}" src=10.0.0.{n}\n'
SYSLOG = "<189>date=2024-05-20 time=07:58:4{n} devname=fw{n} action=login\n"
SYSLOG_CEF = "May 20 07:58:4{n} fw1 CEF:0|V|P|1.0|10{n}|x|10|src=10.0.0.{n} act=b\n"
PLAIN = "2024-05-20 07:58:4{n},092 ERROR [main] exec {n} failed\n"


def many(line: str) -> str:
    """Lines with numbers, a blank one, and one that is none."""
    lines = [line.replace("{n}", str(n)) for n in range(8)]
    return "".join([*lines[:4], "\n", *lines[4:6], "?? garbage\n", *lines[6:]])


LOGS = {
    "w3c": W3C,
    "access": many(ACCESS),
    "apache": many(APACHE),
    "nginx": many(NGINX),
    "cef": many(CEF),
    "leef": many(LEEF),
    "pairs": many(PAIRS),
    "syslog": many(SYSLOG),
    "syslog cef": many(SYSLOG_CEF),
    "plain": many(PLAIN),
    "carriage returns": many(PAIRS).replace("\n", "\r\n"),
}


def finished(path: Path) -> tuple[list[tuple[Any, int]], int, int]:
    with read_events(path) as reading:
        found = [(record.event, record.number) for record in reading]
    return found, reading.records, reading.unreadable


@pytest.mark.parametrize("restart", [False, True], ids=["running", "restarted"])
@pytest.mark.parametrize("name", LOGS)
def test_what_grows_is_read_as_what_is_finished(name: str, restart: bool, tmp_path: Path) -> None:
    data = LOGS[name].encode()
    whole = tmp_path / "whole.log"
    whole.write_bytes(data)
    expected = finished(whole)
    assert len(expected[0]) >= 4
    chance = random.Random(name)
    log = tmp_path / "grows.log"
    follower = Follower([str(log)])
    found: list[tuple[Any, int]] = []
    records = unreadable = at = 0
    while at < len(data):
        step = chance.choice([1, 7, 40, 200])
        with open(log, "ab") as file:
            file.write(data[at : at + step])
        at += step
        found += [(record.event, record.number) for record in follower.poll()]
        if restart:
            records += follower.report.records
            unreadable += follower.report.unreadable
            saved = json.loads(json.dumps(follower.positions()))
            follower.close()
            follower = Follower([str(log)], saved)
    found += [(record.event, record.number) for record in follower.poll()]
    records += follower.report.records
    unreadable += follower.report.unreadable
    follower.close()
    assert (found, records, unreadable) == expected


@pytest.mark.parametrize("how", ["renamed", "copied and cut"])
def test_headers_through_rotation(how: str, tmp_path: Path) -> None:
    log = tmp_path / "u_ex.log"
    first, last = W3C.split("07:58:42", 1)
    log.write_text(first)
    follower = Follower([str(log)])
    assert [r.event["sc-status"] for r in follower.poll()] == ["200"]
    saved = json.loads(json.dumps(follower.positions()))
    follower.close()
    follower = Follower([str(log)], saved)
    with open(log, "a") as file:
        file.write("07:58:42" + last)
    if how == "renamed":
        log.rename(tmp_path / "u_ex.log.1")
    else:
        (tmp_path / "u_ex.log.1").write_bytes(log.read_bytes())
    fields = "#Fields: date time x-new\n2024-05-22 00:00:01 1\n"
    log.write_text(fields)
    events = [record.event for _ in range(3) for record in follower.poll()]
    follower.close()
    assert sorted(e["timestamp"] for e in events) == [
        "2024-05-20T07:58:42Z",
        "2024-05-21T07:58:44Z",
        "2024-05-21T07:58:45Z",
        "2024-05-21T07:58:46Z",
        "2024-05-22T00:00:01Z",
    ]
    assert any(e.get("cs(User-Agent)") == "a+b" for e in events)
    assert any(e.get("x-new") == "1" for e in events)


def test_a_banner_before_pairs(tmp_path: Path) -> None:
    log = tmp_path / "app.log"
    log.write_text("Welcome to the application\n")
    follower = Follower([str(log)])
    assert [r.event for r in follower.poll()] == [{"message": "Welcome to the application"}]
    with open(log, "a") as file:
        file.write(many(PAIRS))
    events = [record.event for record in follower.poll()]
    assert events[0]["level"] == "info"
    follower.close()


def test_texts_in_folders_and_other_contents(tmp_path: Path) -> None:
    (tmp_path / "readme.md").write_text("# Title\nSome words.\n")
    (tmp_path / "x.csv").write_text("a,b,c\n1,2,3\n4,5,6\n")
    (tmp_path / "app.log").write_text("one\ntwo\n")
    follower = Follower([str(tmp_path)])
    assert [r.event["message"] for r in follower.poll()] == ["one", "two"]
    said = sorted(f"{d.code.id} {Path(d.where).name}" for d in follower.diagnostics)
    assert said == ["CE545 readme.md", "CE545 x.csv"]
    follower.close()


def test_lines_over_the_limit(tmp_path: Path) -> None:
    from carengine import Limits

    log = tmp_path / "app.log"
    log.write_text(many(PAIRS) + "x" * 3000 + "\n" + many(PAIRS))
    follower = Follower([str(log)], limits=Limits(record_bytes=1000))
    count = len(list(follower.poll()))
    whole = read_events(log, limits=Limits(record_bytes=1000))
    assert count == len(list(whole))
    assert (follower.report.records, follower.report.unreadable) == (
        whole.records,
        whole.unreadable,
    )
    follower.close()
