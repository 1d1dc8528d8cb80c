"""Faults that were met in practice, each with others of its kind: what one file, one value or one
package does must not cost the rest."""

from __future__ import annotations

import gzip
import io
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

from carengine import Engine, parse_rule, read_events
from carengine.cli import main, status
from carengine.diagnostics import CarError
from carengine.engine import interpret_streams
from carengine.engine.saved_session import read_state, write_state
from carengine.engine.streams import StreamOptions, join
from carengine.fieldmap import installed_maps
from carengine.jsontext import DEPTH
from carengine.readers import reading as reading_module
from carengine.readers.reading import FORMATS
from carengine.readers.record import Limits, ReadReport, Record
from carengine.readers.unpack import Content

RULE = "a = search Process:Create\noutput a\n"
GROUP = """a = search Process:Create
g = group a by command_line
c = from g select command_line, count(*) as n
rare = filter c where n < average(c.n)
output rare
"""
JOIN = """a = search Process:Create
b = search Process:Create
j = join (a, b) where a.command_line == b.command_line and a.pid < b.pid
output j
"""
EVENT = {"object": "process", "action": "create", "exe": "cmd.exe", "pid": 1}


def nested(depth: int, form: str = "object") -> Any:
    """A value of so many containers inside one another."""
    value: Any = "x"
    for _ in range(depth):
        value = {"a": value} if form == "object" else [value]
    return value


def lines(*events: Any) -> str:
    return "".join(json.dumps(event) + "\n" for event in events)


# One depth, everywhere


@pytest.mark.parametrize("form", ["object", "array"])
@pytest.mark.parametrize("rule", [GROUP, JOIN], ids=["group", "join"])
@pytest.mark.parametrize("depth", [DEPTH - 1, DEPTH, 900])
def test_a_deep_value_is_one_thing_in_every_way_in(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], depth: int, rule: str, form: str
) -> None:
    (tmp_path / "r.car").write_text(rule)
    deep = {**EVENT, "command_line": nested(depth, form), "pid": 2}
    log = tmp_path / "x.jsonl"
    log.write_text(lines({**EVENT, "command_line": "x"}, deep, {**EVENT, "command_line": "y"}))
    few = depth < DEPTH
    base = ["hunt", str(log), "-r", str(tmp_path / "r.car"), "-f", "jsonl"]
    for more in ([], ["--jobs", "2"], ["--follow", "--finish"]):
        code = main([*base, *more])
        _out, err = capsys.readouterr()
        assert (code == status.DONE) is few, (more, err)
        assert ("CE502" in err) is not few, (more, err)
        assert "3 record" in err, (more, err)
    code = main(["normalize", str(log), "-f", "jsonl"])
    assert len(capsys.readouterr().out.splitlines()) == 2 + few
    assert (code == status.DONE) is few
    code = main(["explain", "-r", str(tmp_path / "r.car"), "r", f"{log}:2"])
    assert (code == status.DONE) is few
    capsys.readouterr()
    session = Engine([parse_rule(rule)], "car").session()
    if few:
        session.feed(deep)
    else:
        with pytest.raises(ValueError, match="nested deeper"):
            session.feed(deep)
    session.flush()
    line = json.dumps(deep).encode()
    if few:
        session.feed_line(line)
    else:
        with pytest.raises(ValueError, match="nested deeper"):
            session.feed_line(line)


def test_a_value_that_holds_itself_is_too_deep() -> None:
    own: dict[str, Any] = dict(EVENT)
    own["extra"] = [own]
    session = Engine([parse_rule(GROUP)], "car").session()
    with pytest.raises(ValueError, match="nested deeper"):
        session.feed(own)


def test_numbers_of_any_length_from_python() -> None:
    """Python refuses to write out integers of more than 4,300 digits."""
    session = Engine([parse_rule(GROUP), parse_rule(JOIN, "j.car")], "car").session()
    for value in (10**5000, -(10**5000), [10**5000], {"a": 10**5000}, float("inf"), 10**400):
        session.feed({**EVENT, "command_line": value, "time": value, "pid": value})
    matches = session.flush()
    assert all(match.as_json() for match in matches)
    assert session.stats.events == 6


# What a reader does not expect costs its file


class PanicException(BaseException):
    pass


def test_whatever_a_reader_raises_costs_one_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a", "b", "c"):
        (tmp_path / f"{name}.jsonl").write_text("XX\n" if name == "b" else lines(EVENT))
    for error in (KeyError("k"), RecursionError(), zipfile.BadZipFile("x"), PanicException("p")):
        for step in ("read", "unpack"):

            def broken(content: Content, report: ReadReport) -> Iterator[Any]:
                yield from ()
                raise error  # noqa: B023 - called while it is this one

            row = evolve(FORMATS[0], test=lambda head: head.startswith(b"XX"), unpack=None)
            row = evolve(row, read=broken) if step == "read" else evolve(row, unpack=broken)
            monkeypatch.setattr(reading_module, "FORMATS", (row, *FORMATS))
            reading = read_events(tmp_path)
            assert [Path(record.source).name for record in reading] == ["a.jsonl", "c.jsonl"]
            (finding,) = reading.diagnostics
            assert finding.code.id == "CE527"
            assert finding.where.endswith("b.jsonl")
            assert type(error).__name__ in finding.message


def test_what_is_no_fault_of_the_evidence_ends_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.jsonl").write_text("XX")

    def interrupted(content: Content, report: ReadReport) -> Iterator[Record]:
        raise KeyboardInterrupt
        yield Record({}, "", 1)

    row = evolve(FORMATS[-1], test=lambda head: True, read=interrupted)
    monkeypatch.setattr(reading_module, "FORMATS", (row,))
    with pytest.raises(KeyboardInterrupt):
        list(read_events(tmp_path))


@pytest.mark.parametrize("at", [0, 27, 31, 60])
def test_a_damaged_member_encrypted_with_aes(tmp_path: Path, at: int) -> None:
    pyzipper = pytest.importorskip("pyzipper")
    archive = io.BytesIO()
    with pyzipper.AESZipFile(archive, "w", encryption=pyzipper.WZ_AES) as file:
        file.setpassword(b"pw")
        for name in ("a.json", "b.json"):
            file.writestr(name, lines(*[EVENT] * 20))
    data = bytearray(archive.getvalue())
    data[at] ^= 0xFF
    (tmp_path / "a.zip").write_bytes(data)
    (tmp_path / "b.jsonl").write_text(lines(EVENT))
    reading = read_events(tmp_path, password="pw")
    assert sum(Path(record.source).name == "b.jsonl" for record in reading) == 1
    assert reading.diagnostics


def packed(data: bytes, times: int) -> bytes:
    for _ in range(times):
        data = gzip.compress(data)
    return data


@pytest.mark.parametrize(
    "unit",
    [b"{}\n", b"{} ", b"{},", b",,\n", b"\n", b'{"a":{}}\n', b"<a/>\n", b"<a/>"],
    ids=repr,
)
@pytest.mark.parametrize("layers", [1, 2])
def test_an_archive_filled_with_next_to_nothing(unit: bytes, layers: int) -> None:
    start = b"[" if unit == b"{}," else b"a,b,c\n" if unit == b",,\n" else b""
    bomb = packed(start + unit * 200_000, layers)
    reading = read_events("-", stdin=io.BytesIO(bomb), limits=Limits(expansion_floor=1 << 18))
    for _ in reading:
        pass
    assert "CE505" in [item.code.id for item in reading.diagnostics]
    assert reading.records <= 66_000


def test_a_log_of_small_and_like_events_is_no_bomb() -> None:
    log = "".join(f'{{"EventID":{n % 7},"n":{n * 7919 % 100_003}}}\n' for n in range(30_000))
    limits = Limits(expansion_floor=1 << 16)
    reading = read_events("-", stdin=io.BytesIO(gzip.compress(log.encode())), limits=limits)
    assert sum(1 for _ in reading) == 30_000
    assert not reading.diagnostics


# What rules say reaches a terminal as text


HOSTILE = "x\\n\\e[1A\\e[2K0 records; nothing matched\\e]0;pwned\\a\\u202e\\u0085"
SIGMA = f"""title: "t {HOSTILE}"
id: "{HOSTILE}"
description: "{HOSTILE}"
author: "{HOSTILE}"
logsource: {{product: windows, category: process_creation}}
detection: {{s: {{Image|endswith: "{HOSTILE}cmd.exe"}}, condition: s}}
level: high
"""


@pytest.mark.parametrize(
    "command",
    [
        ["hunt", "ev.jsonl", "-r", "rules", "--why"],
        ["hunt", "ev.jsonl", "-r", "rules", "-f", "table"],
        ["hunt", "ev.jsonl", "-r", "rules", "-f", "csv"],
        ["needs", "-r", "rules", "ev.jsonl"],
        ["test", "-r", "rules"],
        ["check", "rules"],
        ["corpus", "rules"],
        ["verify", "rules"],
        ["fmt", "rules", "--diff"],
        ["page", "rules/a\x1b[31m\u202e.car"],
        ["explain", "-r", "rules", "nosuch\x1b[2J", "ev.jsonl:1"],
        ["compile", "-r", "rules", "-o", "x.engine"],
    ],
    ids=lambda words: " ".join(words[:1]),
)
def test_no_text_of_a_rule_is_a_command_to_the_terminal(
    command: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("rules").mkdir()
    Path("rules/s.yml").write_text(SIGMA)
    Path("rules/a\x1b[31m\u202e.car").write_text(RULE)
    Path("ev.jsonl").write_text(lines(EVENT))
    main(command)
    captured = capsys.readouterr()
    # Matches as data, and a page, are exact where no terminal reads them.
    data = command[0] == "page" or (command[0] == "hunt" and "table" not in command)
    for character in "\x1b\x07\x85\u202e":
        assert character not in captured.err + ("" if data else captured.out), (command, captured)
    assert "\n0 records; nothing matched" not in captured.err


# What is written, and what is read


def test_evidence_is_not_overwritten_through_another_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("r.car").write_text(RULE)
    Path("in").mkdir()
    log = Path("in/ev.jsonl")
    log.write_text(lines(EVENT))
    os.link(log, "hard")
    os.symlink(log, "sym")
    os.link("r.car", "rule")
    for evidence in ("in/ev.jsonl", "in"):
        for name in ("hard", "sym"):
            for command in (
                ["hunt", evidence, "-r", "r.car", "-o", name],
                ["hunt", evidence, "-r", "r.car", "--account", name],
                ["hunt", evidence, "-r", "r.car", "--follow", "--finish", "-o", name],
                ["hunt", evidence, "-r", "r.car", "--follow", "--finish", "--state", name],
                ["normalize", evidence, "-o", name],
            ):
                assert main(command) == status.USAGE, command
                assert "would write into" in capsys.readouterr().err
    assert main(["compile", "-r", "r.car", "-o", "rule"]) == status.USAGE
    assert log.read_text() == lines(EVENT)
    assert Path("r.car").read_text() == RULE


def test_a_page_is_written_as_it_is_and_not_over_its_rule(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rule = tmp_path / "r.car"
    rule.write_text(RULE)
    os.link(rule, tmp_path / "hard")
    for name in ("r.car", "hard"):
        assert main(["page", str(rule), "-o", str(tmp_path / name)]) == status.USAGE
    assert rule.read_text() == RULE
    assert main(["page", str(rule)]) == status.DONE
    shown = capsys.readouterr().out
    assert main(["page", str(rule), "-o", str(tmp_path / "page.md")]) == status.DONE
    assert shown == (tmp_path / "page.md").read_text()


def test_a_template_is_a_file_with_an_end(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("r.car").write_text(RULE)
    Path("ev.jsonl").write_text(lines(EVENT))
    os.mkfifo("fifo")
    for name in ("fifo", "/dev/zero", "."):
        command = ["hunt", "ev.jsonl", "-r", "r.car", "--template", name]
        assert main(command) == status.USAGE
        assert "cannot read the template" in capsys.readouterr().err


def test_evidence_that_a_shell_opened_is_not_overwritten(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("r.car").write_text(RULE)
    Path("ev.jsonl").write_text(lines(EVENT))
    os.link("ev.jsonl", "hard")
    for name in ("ev.jsonl", "hard"):
        for command in (
            ["hunt", "-", "-r", "r.car", "-o", name],
            ["hunt", "-", "-r", "r.car", "--account", name],
            ["normalize", "-", "-o", name],
        ):
            with open("ev.jsonl") as stdin:
                monkeypatch.setattr("sys.stdin", stdin)
                assert main(command) == status.USAGE, command
            assert "would write into standard input" in capsys.readouterr().err
    assert Path("ev.jsonl").read_text() == lines(EVENT)


def test_what_is_written_goes_through_no_planted_link(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("r.car").write_text(RULE)
    Path("ev.jsonl").write_text(lines(EVENT))
    Path("victim").write_text("precious")
    for name in ("x.state", "x.engine"):
        os.symlink(tmp_path / "victim", f"{name}.new")
    run = ["hunt", "ev.jsonl", "-r", "r.car", "--follow", "--finish"]
    assert main([*run, "--state", "x.state", "-o", "out"]) == status.DONE
    assert main(["compile", "-r", "r.car", "-o", "x.engine"]) == status.DONE
    assert Path("victim").read_text() == "precious"
    assert main(["hunt", "ev.jsonl", "--engine", "x.engine"]) == status.DONE


def test_what_is_written_bit_by_bit_goes_through_no_link(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("r.car").write_text(RULE)
    Path("ev.jsonl").write_text(lines(EVENT))
    Path("victim").write_text("precious")
    for name in ("out", "page.md", "acc", "x.state.lock"):
        os.symlink(tmp_path / "victim", name)
    os.symlink(tmp_path / "nowhere", "dangling")
    follow = ["hunt", "ev.jsonl", "-r", "r.car", "--follow", "--finish"]
    for command in (
        ["hunt", "ev.jsonl", "-r", "r.car", "-o", "out"],
        ["hunt", "ev.jsonl", "-r", "r.car", "-o", "dangling"],
        [*follow, "-o", "out"],
        [*follow, "--state", "x.state"],
        ["normalize", "ev.jsonl", "-o", "out"],
    ):
        assert main(command) == status.USAGE, command
        assert "symbolic link" in capsys.readouterr().err, command
    # These are replaced in one step, and the link goes.
    assert main(["hunt", "ev.jsonl", "-r", "r.car", "--account", "acc"]) == status.DONE
    assert main(["page", "r.car", "-o", "page.md"]) == status.DONE
    assert Path("victim").read_text() == "precious"
    assert not Path("nowhere").exists()


def test_rules_are_rewritten_in_one_step(tmp_path: Path) -> None:
    """With their permissions, and where a link leads to them."""
    rule = tmp_path / "r.car"
    rule.write_text(RULE.replace(" = ", "="))
    rule.chmod(0o640)
    (tmp_path / "link.car").symlink_to(rule)
    assert main(["fmt", "--write", str(tmp_path / "link.car")]) == status.DONE
    assert rule.read_text() == RULE
    assert rule.stat().st_mode & 0o777 == 0o640
    assert (tmp_path / "link.car").is_symlink()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link.car", "r.car"]


def test_devices_are_written_to_and_not_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("r.car").write_text(RULE)
    Path("ev.jsonl").write_text(lines(EVENT))
    os.symlink("/dev/null", "null")
    for name in ("/dev/null", "null"):
        for command in (
            ["hunt", "ev.jsonl", "-r", "r.car", "-o", name],
            ["hunt", "ev.jsonl", "-r", "r.car", "--account", name],
            ["normalize", "ev.jsonl", "-o", name],
            ["compile", "-r", "r.car", "-o", name],
            ["page", "r.car", "-o", name],
        ):
            assert main(command) == status.DONE, command
            assert not Path(name).is_file()


@pytest.mark.parametrize("option", ["-m", "--engine", "-r"])
def test_what_has_no_end_is_not_read(
    option: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    os.mkfifo(tmp_path / "pipe.yaml")
    (tmp_path / "ev.jsonl").write_text(lines(EVENT))
    for path in ("/dev/zero", str(tmp_path / "pipe.yaml")):
        assert main(["hunt", str(tmp_path / "ev.jsonl"), option, path]) == status.USAGE, path


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", "<&- >&- 2>&-"])
def test_closed_standard_streams(closed: str, tmp_path: Path) -> None:
    (tmp_path / "r.car").write_text(RULE)
    (tmp_path / "x.jsonl").write_text(lines(EVENT))
    for path in ("x.jsonl", "-"):
        command = f"{sys.executable} -m carengine hunt {path} -r r.car {closed}"
        ran = subprocess.run(
            ["sh", "-c", command],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            stdin=subprocess.DEVNULL,
        )
        assert "Traceback" not in ran.stdout + ran.stderr
        assert ran.returncode in (status.DONE, status.UNREADABLE)


@pytest.mark.parametrize("content", [None, '{"broken\n', "<?xml?>\n"])
def test_following_to_the_end_says_what_was_not_read(tmp_path: Path, content: str | None) -> None:
    (tmp_path / "r.car").write_text(RULE)
    log = tmp_path / "x.jsonl"
    if content is not None:
        log.write_text(content)
    run = ["hunt", str(log), "-r", str(tmp_path / "r.car")]
    assert main(run) == status.UNREADABLE
    assert main([*run, "--follow", "--finish"]) == status.UNREADABLE


# Joins


def joined(rule: str, number: int, **values: Any) -> tuple[int, list[Any]]:
    """How many matches a rule has for so many events, whose pid counts up, and what is said."""
    session = Engine([parse_rule(rule, "cut.car")], "car").session()
    found = 0
    for pid in range(number):
        event = {**EVENT, "command_line": "x", "pid": pid, "time": 1714557600 + pid, **values}
        found += len(session.feed(event))
    found += len(session.flush())
    return found, list(session.diagnostics)


@pytest.mark.parametrize("rule", [JOIN, JOIN.replace("a.pid < b.pid", "a.exe == b.exe")])
def test_a_join_has_a_ceiling_on_its_work(monkeypatch: pytest.MonkeyPatch, rule: str) -> None:
    monkeypatch.setattr(join, "_MOST_PAIRS", 2_000)
    monkeypatch.setattr(join, "_PAIRS_PER_ROW", 10)
    both = 1 if rule is JOIN else 2
    assert joined(rule, 30) == (30 * 29 // 2 * both + (30 if both == 2 else 0), [])
    number, said = joined(rule, 400)
    assert 0 < number < 2_000 + 800 * 10
    assert [item.code.id for item in said] == ["CE549"]
    assert "cut: the join of a, b" in said[0].notes[0]


def test_a_join_has_a_ceiling_on_what_it_gives_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(join, "_MOST_JOINED", 1_000)
    monkeypatch.setattr(join, "_JOINED_PER_ROW", 5)
    assert joined(JOIN, 40) == (40 * 39 // 2, [])
    number, said = joined(JOIN, 400)
    assert 1_000 < number <= 1_000 + 800 * 5
    assert [item.code.id for item in said] == ["CE549"]
    assert "had been given out" in said[0].notes[0]


@pytest.mark.parametrize("condition", ["a.pid > b.ppid", "a.exe != b.exe", "b.ppid >= a.pid"])
def test_an_inequality_is_looked_up(monkeypatch: pytest.MonkeyPatch, condition: str) -> None:
    """Where few pairs match, few are tried: a low ceiling is not reached."""
    monkeypatch.setattr(join, "_MOST_PAIRS", 4_000)
    monkeypatch.setattr(join, "_PAIRS_PER_ROW", 0)
    rule = JOIN.replace("a.pid < b.pid", condition)
    wrong = {"pid": 5, "ppid": 5 if ">" in condition and "=" not in condition else 4}
    assert joined(rule, 1_000, **wrong) == (0, [])


VALUES: st.SearchStrategy[Any] = st.one_of(
    st.integers(-3, 3),
    st.sampled_from(["1", "2", "0x2", "a", "A", "b", "", None, 1.5, True, {}, {"x": 1}, "1.0"]),
    st.lists(st.sampled_from([None, 0, 2, "a", "b", "3", {}]), max_size=3),
)
CONDITIONS = [
    f"{left} {sign} {right}"
    for left, right in (("a.pid", "b.ppid"), ("a.exe", "b.command_line"), ("b.ppid", "a.pid"))
    for sign in ("<", "<=", ">", ">=", "!=")
]


@settings(max_examples=int(os.environ.get("CARENGINE_FUZZ") or 80), deadline=None)
@given(
    st.lists(st.sampled_from(CONDITIONS), min_size=1, max_size=2),
    st.booleans(),
    st.lists(st.tuples(VALUES, VALUES, VALUES, VALUES, st.integers(0, 30)), max_size=14),
)
def test_looked_up_inequalities_give_what_the_reference_gives(
    conditions: list[str], third: bool, found: list[tuple[Any, ...]]
) -> None:
    timed = "a.time < b.time and b.time < a.time + 20 seconds"
    names = ("a", "b", "c") if third else ("a", "b")
    parts = [*conditions, timed, *(["c.pid > a.ppid", "c.exe != b.exe"] if third else [])]
    rule = parse_rule(
        "".join(f"{name} = search Process:Create\n" for name in names)
        + f"j = join ({', '.join(names)}) where {' and '.join(parts)}\noutput j\n"
    )
    events = [
        {"object": "process", "action": "create", "user": "u", "n": n, "pid": pid, "ppid": ppid,
         "exe": exe, "command_line": line, "time": 1714557600 + time}
        for n, (pid, ppid, exe, line, time) in enumerate(found)
    ]  # fmt: skip
    engine = Engine([rule], "car")
    options = StreamOptions()
    expected = interpret_streams([rule], events, installed_maps(), horizon=options.horizon_us)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(join, "_FEW_ROWS", 0)
        session = engine.session(options)
        got = [match for event in events for match in session.feed(event)]
        got += session.flush()
    told, wanted = (
        sorted(repr([(e.stream, e.event["n"]) for e in match.events]) for match in matches)
        for matches in (got, expected)
    )
    assert told == wanted


# State files


def altered(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    """A copy of plain data with another value at a place."""
    if not path:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = altered(copy[path[0]], path[1:], new)
    return copy


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The places of all values in plain data."""
    yield path
    if isinstance(value, dict | list):
        pairs = value.items() if isinstance(value, dict) else enumerate(value)
        for key, inner in pairs:
            yield from places(inner, (*path, key))


OTHERS: tuple[Any, ...] = (None, "x", 1.5, [], {}, [[["x"]]], -1, True)


def test_a_state_with_other_types_is_refused_when_it_is_loaded(tmp_path: Path) -> None:
    """Or taken as it is, where any value will do: nothing is raised later on."""
    engine = Engine([parse_rule(GROUP), parse_rule(JOIN, "j.car")], "car")
    session = engine.session()
    for pid in range(3):
        session.feed({**EVENT, "command_line": "x", "pid": pid, "time": 1714557600 + pid})
    session.save(tmp_path / "s")
    state = read_state(tmp_path / "s")
    del state["sha256"]
    refused = 0
    for place in places(state):
        for new in OTHERS:
            write_state(tmp_path / "t", altered(state, place, new) if place else {"x": new})
            try:
                loaded = engine.load_session(tmp_path / "t")
                loaded.feed({**EVENT, "command_line": "x", "pid": 9, "time": 1714557609})
                matches = loaded.flush()
                assert all(match.as_json() for match in matches)
                assert all(map(str, loaded.diagnostics))
                loaded.save(tmp_path / "u")
            except CarError as error:
                codes = {item.code.id for item in error.diagnostics}
                assert codes == {"CE543"}, place
                refused += 1
    assert refused > 200
    wrong = altered(state, ("events", 1, 3), "yesterday")
    write_state(tmp_path / "t", wrong)
    with pytest.raises(CarError, match=r"events\[1\]"):
        engine.load_session(tmp_path / "t")
