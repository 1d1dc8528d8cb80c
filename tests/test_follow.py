"""Following files that grow: rotation, truncation, restarts, and kills at any moment."""

from __future__ import annotations

import csv
import json
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from carengine import read_events
from carengine.cli import main
from carengine.cli.follow import held
from carengine.diagnostics import CarError
from carengine.engine.saved_session import read_state, write_state
from carengine.readers.follow import Follower
from carengine.values import format_time

SRC = Path(__file__).parents[1] / "src"
SOAK = bool(os.environ.get("CARENGINE_SOAK"))
KILLS = 100 if SOAK else 8

RULES = """\
a = search Process:Create where exe = "a.exe"
b = search Process:Create where exe = "b.exe"
pairs = join (a, b) where (
  a.hostname = b.hostname and a.pid = b.ppid and a.time < b.time < a.time + 1 second)
series = group a by hostname within 2 seconds
runs = from series select hostname, count(*) as n, min(time) as first
many = filter runs where n > 1
output pairs, many, a
"""


def write(path: Path, *events: Any, mode: str = "a") -> None:
    with open(path, mode, encoding="utf-8") as file:
        for event in events:
            file.write(json.dumps(event) + "\n")


def numbers(follower: Follower) -> list[Any]:
    return [record.event["n"] for record in follower.poll()]


def lines(start: int, end: int) -> list[dict[str, int]]:
    return [{"n": n} for n in range(start, end)]


def again(follower: Follower, path: Path) -> Follower:
    """A follower in another process, as it were."""
    saved = json.loads(json.dumps(follower.positions()))
    follower.close()
    return Follower([str(path)], saved)


@pytest.fixture(params=[False, True], ids=["running", "restarted"])
def restart(request: pytest.FixtureRequest) -> Any:
    return again if request.param else lambda follower, path: follower


def test_lines_are_read_when_they_are_complete(tmp_path: Path, restart: Any) -> None:
    log = tmp_path / "x.jsonl"
    write(log, *lines(0, 3))
    follower = Follower([str(log)])
    assert numbers(follower) == [0, 1, 2]
    with open(log, "a") as file:
        file.write('{"n": ')
    follower = restart(follower, log)
    assert numbers(follower) == []
    with open(log, "a") as file:
        file.write('3}\n{"n": 4}\n')
    follower = restart(follower, log)
    assert numbers(follower) == [3, 4]
    follower.close()


def test_a_renamed_file_is_read_to_its_end(tmp_path: Path, restart: Any) -> None:
    log = tmp_path / "x.jsonl"
    write(tmp_path / "x.jsonl.9", {"n": "old"})
    write(log, *lines(0, 3))
    follower = Follower([str(log)])
    assert numbers(follower) == [0, 1, 2]
    write(log, *lines(3, 5))
    log.rename(tmp_path / "x.jsonl.1")
    write(log, *lines(5, 6))
    log.rename(tmp_path / "x.jsonl.0")
    os.utime(tmp_path / "x.jsonl.1", (1, 1))
    os.utime(tmp_path / "x.jsonl.0", (2, 2))
    write(log, *lines(6, 8))
    follower = restart(follower, log)
    assert numbers(follower) == [3, 4, 5, 6, 7]
    # x.jsonl.9 was there before.
    assert {item.code.id for item in follower.diagnostics} <= {"CE553"}
    follower.close()


def test_a_copied_and_cut_file_loses_nothing(tmp_path: Path, restart: Any) -> None:
    log = tmp_path / "x.jsonl"
    write(log, *lines(0, 3))
    follower = Follower([str(log)])
    assert numbers(follower) == [0, 1, 2]
    write(log, *lines(3, 5))
    (tmp_path / "x.jsonl.1").write_bytes(log.read_bytes())
    log.write_bytes(b"")
    write(log, *lines(5, 6))
    follower = restart(follower, log)
    assert sorted(numbers(follower)) == [3, 4, 5]
    follower.close()


def test_a_copy_in_the_making_is_left_alone(tmp_path: Path) -> None:
    log = tmp_path / "x.jsonl"
    write(log, *lines(0, 3))
    follower = Follower([str(log)])
    assert numbers(follower) == [0, 1, 2]
    (tmp_path / "x.jsonl.1").write_bytes(log.read_bytes())
    assert numbers(follower) == []
    write(log, *lines(3, 4))
    assert numbers(follower) == [3]
    follower.close()


def test_what_was_cut_without_a_copy_is_said(tmp_path: Path, restart: Any) -> None:
    log = tmp_path / "x.jsonl"
    write(log, *lines(0, 30))
    follower = Follower([str(log)])
    assert len(numbers(follower)) == 30
    write(log, {"n": "new"}, mode="w")
    follower = restart(follower, log)
    assert numbers(follower) == ["new"]
    assert numbers(follower) == []
    assert [item.code.id for item in follower.diagnostics] == ["CE544"]
    follower.close()


def test_a_deleted_file_is_read_to_its_end(tmp_path: Path) -> None:
    log = tmp_path / "x.jsonl"
    write(log, *lines(0, 3))
    follower = Follower([str(log)])
    assert numbers(follower) == [0, 1, 2]
    write(log, *lines(3, 5))
    log.unlink()
    write(log, *lines(5, 6))
    assert sorted(numbers(follower)) == [3, 4, 5]
    follower.close()


@pytest.mark.parametrize("cut", [False, True])
def test_a_look_in_the_midst_of_a_rotation_repeats_nothing(
    tmp_path: Path, restart: Any, cut: bool
) -> None:
    """The folder is listed, then the file is rotated, then opened: its old content is seen nowhere."""
    log, old = tmp_path / "x.jsonl", tmp_path / "x.jsonl.1"
    write(log, *lines(0, 3))
    follower = Follower([str(log)])
    assert numbers(follower) == [0, 1, 2]
    write(log, *lines(3, 5))
    hidden = tmp_path / "hidden"
    if cut:
        hidden.write_bytes(log.read_bytes())
        log.write_bytes(b"")
    else:
        log.rename(hidden)
    write(log, *lines(5, 6))
    got = numbers(follower)
    hidden.rename(old)
    follower = restart(follower, log)
    assert sorted(got + numbers(follower) + numbers(follower)) == [3, 4, 5]
    assert follower.diagnostics == ()
    follower.close()


def test_the_last_line_of_a_deleted_file_needs_no_end(tmp_path: Path) -> None:
    log = tmp_path / "x.jsonl"
    write(log, *lines(0, 2))
    follower = Follower([str(log)])
    assert numbers(follower) == [0, 1]
    with open(log, "a") as file:
        file.write('{"n": 2}\n{"n": 3}')
    assert numbers(follower) == [2]
    log.unlink()
    # Only at the second look it is sure that the file was not just being renamed.
    assert numbers(follower) == []
    assert numbers(follower) == [3]
    assert numbers(follower) == []
    assert (follower.report.records, follower.report.unreadable) == (4, 0)
    follower.close()


def test_lines_are_read_as_those_of_finished_files_are(tmp_path: Path) -> None:
    """What a line holds does not depend on whether its file is followed."""
    zeek, other, splunk = (tmp_path / name for name in ("conn.log", "sys.log", "x.json"))
    zeek.write_text('{"ts": 1714557600.5, "uid": "C1"}\n')
    other.write_text(
        '<14>May  1 10:00:00 web1 app[7]: {"a": 1}\n{"a": 2}\n',
    )
    splunk.write_text('{"result": {"_raw": "{\\"b\\": 2}", "host": "web1"}}\n[1]\n')
    paths = [str(zeek), str(other), str(splunk)]
    for age, path in enumerate(paths):
        os.utime(path, (age, age))
    follower = Follower(paths)
    reading = read_events(*paths)
    assert [r.event for r in follower.poll()] == [r.event for r in reading]
    assert [d.message for d in follower.diagnostics] == [d.message for d in reading.diagnostics]
    assert (follower.report.records, follower.report.unreadable) == (5, 1)
    follower.close()


def test_folders_and_files_to_come(tmp_path: Path) -> None:
    folder = tmp_path / "logs"
    folder.mkdir()
    write(folder / "a.jsonl", *lines(0, 2))
    later = tmp_path / "later.jsonl"
    follower = Follower([str(folder), str(later)])
    assert numbers(follower) == [0, 1]
    write(folder / "b.jsonl", *lines(2, 4))
    write(later, *lines(4, 5))
    (folder / "a.jsonl").rename(folder / "a.old")
    assert sorted(numbers(follower)) == [2, 3, 4]
    follower.close()


@pytest.mark.parametrize(
    "paths",
    [
        ["."],
        ["a.jsonl", "a.jsonl"],
        [".", "a.jsonl"],
        ["a.jsonl", "a.jsonl.1"],
        ["link.jsonl", "."],
    ],
)
def test_a_file_is_read_once_however_it_is_reached(tmp_path: Path, paths: list[str]) -> None:
    write(tmp_path / "a.jsonl", *lines(0, 2))
    os.link(tmp_path / "a.jsonl", tmp_path / "a.jsonl.1")
    (tmp_path / "link.jsonl").symlink_to("a.jsonl")
    follower = Follower([str(tmp_path / path) for path in paths])
    assert numbers(follower) == [0, 1]
    write(tmp_path / "a.jsonl", *lines(2, 3))
    assert numbers(follower) == [2]
    assert (follower.diagnostics, follower.report.records) == ((), 3)
    follower.close()


def test_a_rotated_file_that_is_named_is_read(tmp_path: Path) -> None:
    """``hunt app.jsonl* --follow``."""
    write(tmp_path / "a.jsonl", *lines(2, 4))
    write(tmp_path / "a.jsonl.1", *lines(0, 2))
    write(tmp_path / "a.jsonl.2", *lines(9, 10))
    follower = Follower([str(tmp_path / "a.jsonl"), str(tmp_path / "a.jsonl.1")])
    assert sorted(numbers(follower)) == [0, 1, 2, 3]
    follower.close()


def test_more_files_than_can_be_open(tmp_path: Path) -> None:
    """A process may have few files open; a folder may hold thousands, all of which may grow and be
    renamed."""
    resource = pytest.importorskip("resource")
    paths = [tmp_path / f"{number:03}.jsonl" for number in range(300)]
    for number, path in enumerate(paths):
        write(path, {"n": number})
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir("/dev/fd")) + 130, before[1]))
    try:
        follower = Follower([str(tmp_path)])
        assert numbers(follower) == list(range(300))
        assert numbers(follower) == []
        for place in (3, 150, 299):
            write(paths[place], {"n": -place})
            paths[place].rename(tmp_path / f"old{place}")
        assert sorted(numbers(follower)) == [-299, -150, -3]
        follower = again(follower, tmp_path)
        write(paths[7], {"n": 7})
        assert numbers(follower) == [7]
        assert follower.diagnostics == ()
        follower.close()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_other_contents_and_bad_lines_are_named(tmp_path: Path) -> None:
    (tmp_path / "x.gz").write_bytes(b"\x1f\x8b\x08" + bytes(50))
    (tmp_path / "y.jsonl").write_bytes(b'\xef\xbb\xbf{"n": 1}\n\n[1]\n{broken\n{"n": 2}\r\n')
    follower = Follower([str(tmp_path)])
    assert numbers(follower) == [1, 2]
    assert sorted(item.code.id for item in follower.diagnostics) == ["CE502", "CE502", "CE545"]
    assert (follower.report.records, follower.report.unreadable) == (4, 2)
    follower.close()


# Kills


def stream(count: int, seed: int) -> Iterator[dict[str, Any]]:
    """Events of which some pair up and some are series, with times that grow unevenly."""
    chance = random.Random(seed)
    now = 1_714_557_600_000_000
    for number in range(count):
        now += chance.randint(1_000, 400_000)
        yield {
            "object": "process",
            "action": "create",
            "exe": chance.choice(["a.exe", "b.exe", "c.exe"]),
            "hostname": f"h{chance.randint(0, 3)}",
            "pid": chance.randint(1, 3),
            "ppid": chance.randint(1, 3),
            "time": format_time(now - chance.randint(0, 900_000)),
            "n": number,
        }


class Hunt:
    """A hunt in a process of its own, over a folder that is being written to."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "rules").mkdir(parents=True, exist_ok=True)
        (folder / "rules" / "r.car").write_text(RULES)
        self.log = folder / "log.jsonl"
        self.log.touch()

    def start(self, *more: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "carengine", "hunt", str(self.log), "--follow", *more]
        command += ["-r", str(self.folder / "rules"), "-m", "car", "--lateness", "1s"]
        command += ["--state", str(self.folder / "state"), "-o", str(self.folder / "out.jsonl")]
        return subprocess.Popen(
            command,
            env={
                **os.environ,
                "PYTHONPATH": str(SRC),
                "CARENGINE_CHECKPOINT": "0.02",
                "CARENGINE_RELOAD": "0.05",
            },
            stderr=subprocess.PIPE,
        )

    def read(self) -> int:
        """How many events the state knows of."""
        try:
            return int(json.loads((self.folder / "state").read_text())["account"]["events"])
        except FileNotFoundError:
            return 0

    def has_begun(self) -> bool:
        """Wait for the first state: files that were rotated before it are none of the hunt's
        business."""
        while not (self.folder / "state").exists():
            time.sleep(0.02)
        return True

    def matches(self) -> list[str]:
        return (self.folder / "out.jsonl").read_text().splitlines()


def finish(process: subprocess.Popen[bytes], hunt: Hunt, count: int) -> None:
    until = time.monotonic() + 60
    while hunt.read() < count and time.monotonic() < until:
        assert process.poll() is None, process.stderr and process.stderr.read()
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)
    assert hunt.read() == count


def test_kills_lose_nothing_and_repeat_nothing(tmp_path: Path) -> None:
    """Killed at random moments while events come in and the log is rotated, against one run in
    peace."""
    chance = random.Random(KILLS)
    events = list(stream(150 * (KILLS + 2), 7))
    for name in ("calm", "wild"):
        (tmp_path / name).mkdir()
    calm, wild = Hunt(tmp_path / "calm"), Hunt(tmp_path / "wild")
    write(calm.log, *events)
    process = calm.start()
    finish(process, calm, len(events))
    rest = iter(events)
    rotated = 0
    begun = False
    for _ in range(KILLS):
        process = wild.start()
        begun = begun or wild.has_begun()
        until = time.monotonic() + chance.uniform(0.0, 1.2)
        while time.monotonic() < until:
            write(wild.log, *islice(rest, chance.randint(1, 5)))
            time.sleep(0.02)
            if chance.random() < 0.05:
                rotated += 1
                wild.log.rename(wild.log.with_name(f"log.jsonl.{rotated}"))
                wild.log.touch()
        process.kill()
        process.communicate()
    write(wild.log, *rest)
    process = wild.start()
    finish(process, wild, len(events))
    mine, theirs = wild.matches(), calm.matches()
    assert len(theirs) > 100
    assert sorted(map(without_source, mine)) == sorted(map(without_source, theirs))


def rotate(log: Path, number: int) -> None:
    log.rename(log.with_name(f"log.jsonl.{number}"))
    log.touch()


def test_kills_before_the_first_state_lose_what_is_said(tmp_path: Path) -> None:
    """Killed before anything was saved, and after it, while the log is rotated: what was rotated
    before the first state is not read, and named; everything else comes once."""
    chance = random.Random(KILLS)
    wild, calm = Hunt(tmp_path / "wild"), Hunt(tmp_path / "calm")
    events = list(stream(20 * (2 * KILLS + 2), 11))
    rest = iter(events)
    said = ""
    before = 0
    for number in range(KILLS):
        write(wild.log, *islice(rest, 20))
        saved = (tmp_path / "wild" / "state").exists()
        before += not saved
        process = wild.start()
        # Early kills are before the first state most of the time; the last third waits for it.
        if 3 * number < 2 * KILLS:
            time.sleep(chance.uniform(0.0, 0.3))
        else:
            wild.has_begun()
        rotate(wild.log, number)
        write(wild.log, *islice(rest, 20))
        if chance.random() < 0.5:
            time.sleep(chance.uniform(0.0, 0.1))
        process.kill()
        said += process.communicate()[1].decode()
    assert before > KILLS // 3
    write(wild.log, *rest)
    said += wild.start("--finish").communicate(timeout=120)[1].decode()
    left = re.findall(r"CE553.*\n *--> (\S+)", said)
    assert left
    unread = {
        json.loads(line)["n"] for path in left for line in Path(path).read_text().splitlines()
    }
    write(calm.log, *(event for event in events if event["n"] not in unread))
    calm.start("--finish").communicate(timeout=120)
    assert wild.read() == calm.read() == len(events) - len(unread)
    mine, theirs = wild.matches(), calm.matches()
    assert sorted(map(without_source, mine)) == sorted(map(without_source, theirs))


def test_a_run_that_saved_nothing_is_told(hunting: Any, capsys: Any) -> None:
    write(Path("log.jsonl"), *EVENTS)
    files = ("--follow", "--finish", "-o", "out.jsonl", "--state", "s")
    Path("s.lock").touch()
    assert hunting(*files) == 0
    assert "CE554" in capsys.readouterr().err
    assert hunting(*files) == 0
    assert "CE554" not in capsys.readouterr().err


def test_the_first_state_knows_the_files(tmp_path: Path) -> None:
    log = tmp_path / "x.jsonl"
    write(tmp_path / "x.jsonl.9", {"n": "old"})
    write(log, *lines(0, 3))
    follower = Follower([str(log)])
    follower.look()
    saved = json.loads(json.dumps(follower.positions()))
    follower.close()
    log.rename(tmp_path / "x.jsonl.1")
    write(log, *lines(3, 4))
    follower = Follower([str(log)], saved)
    assert numbers(follower) == [0, 1, 2, 3]
    assert not follower.diagnostics
    follower.close()
    again_from_nothing = Follower([str(log)])
    assert numbers(again_from_nothing) == [3]
    told = {(item.code.id, Path(item.origin).name) for item in again_from_nothing.diagnostics}
    assert told == {("CE553", "x.jsonl.1"), ("CE553", "x.jsonl.9")}
    again_from_nothing.close()


def wrong_positions() -> Iterator[Any]:
    good = ["x.jsonl", 1, 2, "7b", 0, 0, False, False]
    for place, _ in enumerate(good):
        others: tuple[Any, ...] = (None, [], {}, -1.5, "zz")
        for new in others:
            if new == "zz" and place == 0:
                continue
            yield [[*good[:place], new, *good[place + 1 :]]]
    yield from (1, "x", [None], [[]], [good[:7]], [[*good, 1]], [[*good, "cef", 1]], {"a": 1}, True)


def test_a_state_with_wrong_positions_is_refused(hunting: Any, capsys: Any) -> None:
    write(Path("log.jsonl"), *EVENTS)
    files = ("--follow", "--finish", "-o", "out.jsonl", "--state", "s")
    assert hunting(*files) == 0
    state = read_state("s")
    del state["sha256"]
    lengths: tuple[Any, ...] = ("x", -1, 1.5, [], {}, True)
    sifters: tuple[Any, ...] = ("x", 1, [1], {"a": 1})
    wrong: list[dict[str, Any]] = [{"positions": positions} for positions in wrong_positions()]
    wrong += [{"output": length} for length in lengths]
    wrong += [{"sifter": sifter} for sifter in sifters]
    assert len(wrong) > 50
    for change in wrong:
        write_state("s", {**state, "attached": {**state["attached"], **change}})
        capsys.readouterr()
        assert hunting(*files) == 2, change
        assert "CE543" in capsys.readouterr().err, change


def test_a_state_is_used_by_one_process_at_a_time(tmp_path: Path) -> None:
    hunt = Hunt(tmp_path)
    events = list(stream(40, 3))
    write(hunt.log, *events)
    first = hunt.start()
    assert hunt.has_begun()
    second = hunt.start()
    _, said = second.communicate(timeout=60)
    assert second.returncode not in (0, None)
    assert b"CE547" in said
    assert b"another process uses this state" in said
    finish(first, hunt, len(events))
    # Killed or ended, a process holds nothing any more; the lock file stays and does no harm.
    third = hunt.start()
    finish(third, hunt, len(events))
    assert (tmp_path / "state.lock").read_bytes() == b""


def test_a_state_that_cannot_be_locked(tmp_path: Path) -> None:
    with pytest.raises(CarError, match="CE543"), held(str(tmp_path / "none" / "state")):
        pass


# What a run says, and how it ends


EVENTS = [
    {
        "object": "process",
        "action": "create",
        "exe": exe,
        "hostname": "h",
        "time": time,
        "pid": 1,
        "ppid": 1,
    }
    for exe, time in [
        ("a.exe", "2024-05-01T10:00:00Z"),
        ("b.exe", "2024-05-01T10:00:00.5Z"),
        ("a.exe", "2024-05-01T10:00:01Z"),
        ("a.exe", "2024-05-01T10:05:00Z"),
        ("a.exe", "2024-05-01T10:05:01Z"),
        ("c.exe", "2024-05-01T10:06:00Z"),
    ]
]
ENDING = """\
p = search Process:Create
old = filter p where time < now - 1 minute
new = filter p where time >= now - 1 minute
a = from new select exe, hostname
b = from old select exe, hostname
fresh = a - b
output fresh
"""


@pytest.fixture
def hunting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A function that hunts in this process, in a folder with rules and a log; the exit status."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "r").mkdir()
    (tmp_path / "r" / "r.car").write_text(RULES)
    (tmp_path / "r" / "end.car").write_text(ENDING)

    def hunt(*more: str) -> int:
        return main(["hunt", "log.jsonl", "-r", "r", "-m", "car", *more])

    return hunt


def outputs(path: str) -> list[tuple[str, str]]:
    found = [json.loads(line) for line in Path(path).read_text().splitlines()]
    return sorted((match["output"], json.dumps(match, sort_keys=True)) for match in found)


def interrupted_soon() -> None:
    threading.Timer(0.7, os.kill, (os.getpid(), signal.SIGINT)).start()


def test_the_end_of_a_run_is_the_end_of_the_data(hunting: Any, capsys: Any) -> None:
    """Finished, interrupted, or in pieces with a state: what comes out is what a hunt over the
    finished log gives."""
    write(Path("log.jsonl"), *EVENTS)
    assert hunting("-o", "all.jsonl") == 0
    expected = outputs("all.jsonl")
    assert [name for name, _ in expected] == ["a"] * 4 + ["fresh"] + ["many"] * 2 + ["pairs"]
    capsys.readouterr()
    assert hunting("--follow", "--finish", "-o", "finished.jsonl") == 0
    assert "finished: 6 records" in capsys.readouterr().err
    assert outputs("finished.jsonl") == expected
    interrupted_soon()
    assert hunting("--follow", "-o", "stopped.jsonl") == 130
    said = capsys.readouterr().err
    assert "with 2 rules; events may come up to 5 minutes after later ones" in said
    assert "  2 seconds: r\n" in said
    assert "  to the end of the data, which an interrupt brings: end\n" in said
    assert "8 matches, 2 of them with the end" in said
    assert outputs("stopped.jsonl") == expected
    Path("log.jsonl").unlink()
    write(Path("log.jsonl"), *EVENTS[:3])
    for more in ([], EVENTS[3:]):
        write(Path("log.jsonl"), *more)
        interrupted_soon()
        assert hunting("--follow", "--state", "s", "-o", "two.jsonl") == 130
    assert "held in s for what is still to come" in capsys.readouterr().err
    assert len(outputs("two.jsonl")) == len(expected) - 2
    assert hunting("--follow", "--state", "s", "-o", "two.jsonl", "--finish") == 0
    assert outputs("two.jsonl") == expected
    assert hunting("--follow", "--state", "s", "-o", "two.jsonl", "--finish") == 0
    assert outputs("two.jsonl") == expected


def test_findings_are_told_while_a_run_goes_on(tmp_path: Path) -> None:
    hunt = Hunt(tmp_path)
    write(hunt.log, *EVENTS, {**EVENTS[0], "time": None}, EVENTS[0])
    with hunt.log.open("a") as file:
        file.write("{broken\n")
    process = hunt.start()
    said: list[bytes] = []
    assert process.stderr is not None
    while sum(b"[CE" in line for line in said) < 3:
        said.append(process.stderr.readline())
        assert said[-1], said
    assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    _, rest = process.communicate(timeout=30)
    told = [code for code in ("CE502", "CE540", "CE541") for line in said if code.encode() in line]
    assert told == ["CE502", "CE540", "CE541"]
    assert b"[CE" not in rest


@pytest.mark.parametrize(
    "more",
    [
        ["--account", "x"],
        ["--why"],
        ["--fail-on-match"],
        ["--password", "x"],
        ["--include-files", "*.x"],
        ["--exclude-files", "*.x"],
    ],
)
def test_what_does_nothing_while_following_is_refused(
    more: list[str], hunting: Any, capsys: Any
) -> None:
    write(Path("log.jsonl"), *EVENTS)
    assert hunting("--follow", "--finish", *more) == 2
    assert capsys.readouterr().err.startswith(f"carengine hunt: {more[0]} is for finished evidence")
    assert not Path("x").exists()


def test_outputs_that_are_no_files(hunting: Any, capsys: Any) -> None:
    write(Path("log.jsonl"), *EVENTS)
    assert hunting("--follow", "--finish", "-o", os.devnull, "--state", "s") == 0
    assert hunting("--follow", "--finish", "-o", os.devnull, "--state", "s") == 0
    capsys.readouterr()
    assert hunting("--follow", "--finish", "-o", "out.jsonl", "--state", "s") == 2
    assert "went elsewhere than to a file" in capsys.readouterr().err


def test_an_output_that_was_changed_is_refused(hunting: Any, capsys: Any) -> None:
    write(Path("log.jsonl"), *EVENTS)
    assert hunting("--follow", "--finish", "-o", "out.jsonl", "--state", "s") == 0
    Path("out.jsonl").unlink()
    capsys.readouterr()
    assert hunting("--follow", "--finish", "-o", "out.jsonl", "--state", "s") == 2
    assert "CE543" in capsys.readouterr().err


def test_a_table_goes_on_where_it_ended(hunting: Any) -> None:
    """CSV: one head, and matches numbered through."""
    files = ("--follow", "--finish", "-o", "out.csv", "--state", "s")
    write(Path("log.jsonl"), *EVENTS[:3])
    assert hunting(*files) == 0
    write(Path("log.jsonl"), *EVENTS[3:])
    assert hunting(*files) == 0
    head, *rows = csv.reader(Path("out.csv").read_text().splitlines())
    assert head[:4] == ["time", "host", "user", "rule"]
    number, output = head.index("match"), head.index("output")
    numbers = [int(row[number]) for row in rows]
    assert sorted(set(numbers)) == list(range(1, max(numbers) + 1))
    by_number = {row[number]: (row[3], row[output]) for row in rows}
    assert all((row[3], row[output]) == by_number[row[number]] for row in rows)


def test_a_run_does_not_read_what_it_writes(hunting: Any, capsys: Any) -> None:
    """Its own files may be called like rotated ones of the log."""
    write(Path("log.jsonl"), *EVENTS[:2])
    files = ("-o", "log.jsonl.hits", "--state", "log.jsonl.state")
    interrupted_soon()
    assert hunting("--follow", *files) == 130
    write(Path("log.jsonl"), *EVENTS[2:])
    assert hunting("--follow", "--finish", *files) == 0
    said = capsys.readouterr().err
    assert "in all 6 events, 0 not recognised" in said
    assert len(outputs("log.jsonl.hits")) == 8


@pytest.mark.parametrize(
    "more",
    [
        ["--follow", "--state", "x", "-o", "x"],
        ["--follow", "--state", "x", "-o", "x.new"],
        ["--follow", "--state", "x", "-o", "./x.lock"],
        ["-o", "x", "--account", "x"],
    ],
)
def test_one_file_is_not_written_for_two_purposes(
    more: list[str], hunting: Any, capsys: Any
) -> None:
    write(Path("log.jsonl"), *EVENTS)
    assert hunting(*more) == 2
    assert "would both write" in capsys.readouterr().err
    assert sorted(os.listdir()) == ["log.jsonl", "r"]


def test_a_full_disk_loses_nothing(hunting: Any, capsys: Any) -> None:
    resource = pytest.importorskip("resource")
    write(Path("log.jsonl"), *EVENTS)
    assert hunting("-o", "all.jsonl") == 0
    whole = outputs("all.jsonl")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    for limit in (0, 100, 700, 2_000):
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
        try:
            assert hunting("--follow", "--finish", "-o", "out.jsonl", "--state", "s") == 2
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        said = capsys.readouterr().err
        assert "cannot write out.jsonl: File too large" in said or "s: " in said or "CE543" in said
    assert hunting("--follow", "--finish", "-o", "out.jsonl", "--state", "s") == 0
    assert outputs("out.jsonl") == whole


def without_source(line: str) -> str:
    """A match without the names of files, which rotation changes."""
    match = json.loads(line)
    for event in match["events"]:
        del event["source"], event["record"]
    return json.dumps(match, sort_keys=True)


def test_a_state_of_other_rules_goes_on_where_it_was(hunting: Any, capsys: Any) -> None:
    """Positions do not depend on rules, and windows of the rules that stay go on."""
    write(Path("log.jsonl"), *EVENTS)
    assert hunting("--follow", "--finish", "-o", "all.jsonl") == 0
    Path("log.jsonl").unlink()
    write(Path("log.jsonl"), *EVENTS[:3])
    interrupted_soon()
    assert hunting("--follow", "--state", "s", "-o", "two.jsonl") == 130
    extra = '---\nid: MORE\n---\nz = search File:Create where file_name = "none" output z\n'
    Path("r", "more.car").write_text(extra, encoding="utf-8")
    write(Path("log.jsonl"), *EVENTS[3:])
    assert hunting("--follow", "--state", "s", "-o", "two.jsonl", "--finish") == 0
    assert "CE557" not in capsys.readouterr().err
    assert outputs("two.jsonl") == outputs("all.jsonl")
