"""Several processes find what one finds: the same matches in the same order, the same findings, the
same numbers."""

from __future__ import annotations

import gc
import gzip
import io
import itertools
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import carengine
from carengine import gc_control
from carengine.cli import main, status
from carengine.diagnostics import render
from carengine.engine import Engine, Match
from carengine.engine.report import FIRST_EVENTS
from carengine.loading import parse_rule
from carengine.readers import Limits, pieces
from carengine.runner import Run, WorkerError
from carengine.runner import pool as pool
from carengine.runner import run as run_module
from carengine.runner import worker as worker
from carengine.tuning import TimeRange
from evidence_forms import FORMS
from match_lines import match_line
from streams import SECOND, START, events, programs, stream_options

EXAMPLES = int(os.environ.get("CARENGINE_FUZZ") or 40)
SRC = Path(carengine.__file__).parents[1]
SHARED = Path(os.environ.get("CARENGINE_SHARED") or Path(__file__).parents[2] / "shared")

STATELESS = """
a = search Process:Create where exe = "*.exe" and user != "system"
b = search File:Create where file_name = "*"
output a, b
"""
JOIN = """
a = search Process:Create
b = search File:Create
c = join (a, b) where a.hostname == b.hostname and b.time - a.time < 10 seconds
output c
"""


@pytest.fixture(autouse=True)
def processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the native core threads would share the work."""
    monkeypatch.setenv("CARENGINE_NATIVE", "0")


COUNT = """
a = search Process:Create
g = group a by hostname
n = from g select hostname, count() as total
output n
"""


def everything(run: Run) -> dict[str, Any]:
    """All that a run gives, as something to compare."""
    with run:
        found = [shown if isinstance(shown, bytes) else canonical(shown) for shown in run]
        return {
            "found": found,
            "account": run.session.stats.as_data(),
            "held": run.session.held,
            "streams": [render(item) for item in run.session.diagnostics],
            "read": (run.reading.records, run.reading.unreadable, run.reading.sources),
            "codes": {code.id: number for code, number in run.reading.found.items()},
            "findings": [render(item) for item in run.reading.diagnostics],
            "looked": dict(run.coverage.observed),
            "fields": {key: dict(names) for key, names in run.coverage.fields.items()},
            "unknown": run.unrecognised.commonest(100),
            "others": run.unrecognised.others,
            "inside": (run.inside.outside, run.inside.timeless),
        }


def canonical(match: Match) -> Any:
    return json.dumps(match.as_json(), default=str)


def agree(engine: Engine, paths: list[Any], *, jobs: int = 3, **how: Any) -> dict[str, Any]:
    """What one process finds, which is what several find."""
    special = {name: how.pop(name) for name in ("piece", "warm", "start") if name in how}
    stdin = how.pop("stdin", None)
    alone = everything(
        Run(engine, paths, stdin=None if stdin is None else io.BytesIO(stdin), **how)
    )
    several = everything(
        Run(
            engine,
            paths,
            jobs=jobs,
            stdin=None if stdin is None else io.BytesIO(stdin),
            **how,
            **special,
        )
    )
    for name, value in alone.items():
        assert several[name] == value, name
    return alone


# Texts that are hard to cut

ODD = [
    b"",
    b"\r",
    b"   ",
    b"{broken",
    b'{"a": 1',
    b"5",
    b'"text"',
    b"[1, 2]",
    b"null",
    b"\xff\xfe\x00",
    b'{"object": "process", "action": "create", "exe": "' + b"x" * 300 + b'"}',
    b'{"nobody": "knows this"}',
    b'{"EventID": 4242, "Channel": "Nowhere"}',
    b'{"_raw": "{\\"object\\": \\"process\\", \\"action\\": \\"create\\", \\"exe\\": \\"r.exe\\"}"}',
    b'{"took": 1, "hits": {"total": 1, "hits": [{"_source": {"object": "file", "action": "create"}}, 7]}}',
    b"<13>May  1 10:00:00 host app: "
    + b'{"object": "process", "action": "create", "exe": "s.exe"}',
]


@st.composite
def texts(draw: st.DrawFn) -> bytes:
    """A text of lines: events of the small world, and lines of all sorts."""
    lines = [json.dumps(event).encode() for event in draw(events())]
    lines += draw(st.lists(st.sampled_from(ODD), max_size=12))
    shuffle = random.Random(draw(st.integers(0, 1000)))
    shuffle.shuffle(lines)
    ends = draw(st.sampled_from([b"\n", b"\r\n", b"\n\n"]))
    text = draw(st.sampled_from([b"", b"\xef\xbb\xbf"])) + ends.join(lines)
    return text + draw(st.sampled_from([b"", ends, b"\n \n"]))


def write(folder: Path, number: int, content: bytes, form: str) -> None:
    name = f"{number}.jsonl"
    match form:
        case "plain":
            (folder / name).write_bytes(content)
        case "gzip":
            (folder / f"{name}.gz").write_bytes(gzip.compress(content, mtime=0))
        case "cut gzip":
            packed = gzip.compress(content, mtime=0)
            (folder / f"{name}.gz").write_bytes(packed[: len(packed) * 2 // 3])
        case _:
            with zipfile.ZipFile(folder / f"{number}.zip", "w") as archive:
                archive.writestr("one.jsonl", content)
                archive.writestr("two.csv", b"object,action,exe\nprocess,create,c.exe\n")
                archive.writestr("three.jsonl", content[: len(content) // 2])


SETS = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
FORM = st.sampled_from(["plain", "plain", "gzip", "cut gzip", "zip"])
TIMES = st.sampled_from(
    [None, TimeRange(START, START + 30 * SECOND), TimeRange(START + 10 * SECOND, None)]
)


def _agree_on(
    path: Path,
    text: str,
    contents: list[tuple[bytes, str]],
    *,
    lateness: int | None,
    rows: int,
    times: TimeRange | None,
    written: bool,
    **how: Any,
) -> None:
    written_rules = enumerate((text, STATELESS, JOIN))
    rules = [parse_rule(program, f"R-{n}.car") for n, program in written_rules]
    folder = path / "evidence"
    folder.mkdir()
    for number, (content, form) in enumerate(contents):
        write(folder, number, content, form)
    agree(
        Engine(rules, "auto"),
        [folder],
        options=stream_options(lateness, max_events=rows),
        times=times,
        render=partial(match_line, raw=True) if written else None,
        limits=Limits(record_bytes=260),
        **how,
    )


@SETS
@given(
    programs(),
    st.lists(st.tuples(texts(), FORM), min_size=1, max_size=3),
    st.sampled_from([None, 0, 20 * SECOND]),
    st.sampled_from([4, 1_000_000]),
    st.integers(1, 700),
    TIMES,
    st.booleans(),
)
def test_pieces_are_put_together(
    tmp_path_factory: pytest.TempPathFactory,
    text: str,
    contents: list[tuple[bytes, str]],
    lateness: int | None,
    rows: int,
    piece: int,
    times: TimeRange | None,
    written: bool,
) -> None:
    """Cut at every kind of border, and read by one bench."""
    _agree_on(
        tmp_path_factory.mktemp("pieces"),
        text,
        contents,
        lateness=lateness,
        rows=rows,
        times=times,
        written=written,
        piece=piece,
        warm=1 << 30,
    )


@settings(SETS, max_examples=max(8, EXAMPLES // 4))
@given(
    programs(),
    st.lists(st.tuples(texts(), FORM), min_size=1, max_size=3),
    st.sampled_from([None, 0, 20 * SECOND]),
    st.integers(100, 700),
    st.sampled_from([0, 1000]),
    st.booleans(),
)
def test_processes_agree(
    tmp_path_factory: pytest.TempPathFactory,
    text: str,
    contents: list[tuple[bytes, str]],
    lateness: int | None,
    piece: int,
    warm: int,
    written: bool,
) -> None:
    """The same with processes."""
    _agree_on(
        tmp_path_factory.mktemp("processes"),
        text,
        contents,
        lateness=lateness,
        rows=1_000_000,
        times=None,
        written=written,
        piece=piece,
        warm=warm,
    )


def test_matches_are_there_to_be_compared(tmp_path: Path) -> None:
    """The properties above compare something: matches of one event, of joins and of groups, and
    findings."""
    rules = [parse_rule(text, f"{n}.car") for n, text in enumerate((STATELESS, JOIN, COUNT))]
    lines = [
        json.dumps(
            {
                "object": ("process", "file")[n % 2],
                "action": "create",
                "hostname": f"h{n % 3}",
                "exe": "a.exe",
                "file_name": "f",
                "time": f"2024-05-01T10:{n // 60:02}:{n % 60:02}Z",
            }
        )
        for n in range(600)
    ]
    lines[100:100] = ["{", "[]", ""]
    lines.append("x" * 3000)
    path = tmp_path / "x.jsonl"
    path.write_text("\n".join(lines))
    for lateness in (None, 5 * SECOND):
        found = agree(
            Engine(rules),
            [path],
            options=stream_options(lateness),
            limits=Limits(record_bytes=2000),
            piece=2_500,
            warm=3_000,
        )
        matches = found["account"]["matches"]
        assert matches == {"0": 600, "1": 3 * 100 * 10 // 2 - 25, "2": 3} or set(matches) == set(
            "012"
        )
        assert found["read"] == (603, 3, 1)
        assert found["codes"] == {"CE502": 2, "CE503": 1}
        assert found["looked"]
    origins = [json.loads(text)["events"][0]["record"] for text in found["found"][:-3]]
    assert max(origins) == 603


def test_every_form_is_read(tmp_path: Path) -> None:
    """EVTX, XML, tables and the like are a piece each, in folders and in archives."""
    contents = {name.replace(" ", "-"): make() for name, (make, _) in FORMS.items()}
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    with zipfile.ZipFile(tmp_path / "all.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in contents.items():
            archive.writestr(name, content)
    rule = parse_rule("a = search Process:Create output a", "R.car")
    found = agree(Engine([rule]), [tmp_path], warm=0, piece=50)
    assert found["read"][2] >= 2 * len(FORMS)
    assert found["found"]


def test_large_contents_of_archives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is not in lines and too large to be handed over is read by the process that walks."""
    monkeypatch.setattr(pieces, "_MOST_HELD", 5_000)
    event = {"object": "process", "action": "create", "exe": "a.exe", "user": "ann"}
    with zipfile.ZipFile(tmp_path / "x.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(4):
            archive.writestr(f"{number}.json", json.dumps([event] * (3 + 400 * (number % 2))))
            archive.writestr(f"{number}.jsonl", (json.dumps(event) + "\n") * 40)
    rules = [parse_rule(text, f"{n}.car") for n, text in enumerate((STATELESS, JOIN))]
    found = agree(Engine(rules), [tmp_path], warm=0, piece=1000)
    assert found["read"] == (4 * 43 + 2 * 400, 0, 8)


def test_standard_input(tmp_path: Path) -> None:
    rule = parse_rule(STATELESS, "R.car")
    event = b'{"object": "process", "action": "create", "exe": "a.exe", "user": "ann"}\n'
    for content in (event * 50, b"[" + event.replace(b"\n", b",") * 50 + b"{}]", b""):
        agree(Engine([rule]), ["-"], stdin=content, warm=0, piece=200)


def test_what_cannot_be_read(tmp_path: Path) -> None:
    rule = parse_rule(STATELESS, "R.car")
    event = b'{"object": "process", "action": "create", "exe": "a.exe", "user": "ann"}\n'
    (tmp_path / "a.txt").write_bytes(b"no json here\n" * 100)
    (tmp_path / "b.jsonl").write_bytes(b"")
    (tmp_path / "c.jsonl").write_bytes(event * 30)
    (tmp_path / "d.bin").write_bytes(bytes(range(256)) * 40)
    (tmp_path / "e.jsonl.gz").write_bytes(gzip.compress(event * 300)[:-12])
    (tmp_path / "f.zip").write_bytes(b"PK\3\4 no archive")
    (tmp_path / "g.jsonl").write_bytes(b"{broken\n" * 100 + event)
    with zipfile.ZipFile(tmp_path / "h.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb.jsonl", event * 3_000)
        archive.writestr("after.jsonl", event)
    paths = [tmp_path, tmp_path / "nowhere"]
    found = agree(Engine([rule]), paths, warm=0, piece=300)
    assert found["codes"]["CE501"] >= 3
    limits = Limits(expansion=2, expansion_floor=10_000, spool_bytes=100)
    found = agree(Engine([rule]), paths, limits=limits, warm=0, piece=300)
    assert found["codes"]["CE505"]


@pytest.mark.parametrize("jobs", [2, 3, 8, 40])
@pytest.mark.parametrize("warm", [0, 5_000])
def test_a_large_file_is_cut_without_a_gap(jobs: int, warm: int, tmp_path: Path) -> None:
    """At line ends; into longer pieces, but for those read alone and the last ones."""
    path = tmp_path / "x.jsonl"
    line = b'{"object": "process"}\n'
    path.write_bytes(line * 20_000)
    size, piece = path.stat().st_size, 1_000
    run = Run(Engine([]), [path], jobs=jobs, warm=warm, piece=piece)
    with run:
        cut = [step for step in run._pieces if isinstance(step, pieces.Lines)]
    borders = [(one.start, size if one.end is None else one.end) for one in cut]
    assert borders[0][0] == 0
    assert borders[-1][1] == size
    assert all(end == start for (_, end), (start, _) in itertools.pairwise(borders))
    assert all(end % len(line) == 0 for _, end in borders)
    lengths = [end - start for start, end in borders]
    assert max(lengths) <= piece * max(1, 16 // jobs) + len(line)
    assert lengths[-1] <= piece + len(line)
    if warm:
        assert max(lengths) <= piece + len(line)
    elif jobs <= 8:
        assert max(lengths) > 2 * piece - len(line)


def test_settling() -> None:
    """What is there is looked through for garbage no more; what comes is, later."""
    before = gc.get_threshold()
    # A test before may have settled already.
    gc.set_threshold(700, 10, 10)
    try:
        with gc_control.paused():
            gc_control.settle()
            assert gc.isenabled()
        assert gc.isenabled()
        assert gc.get_freeze_count() > 0
        assert gc.get_threshold()[0] > 700
        assert gc.get_threshold()[1:] == (10, 10)
    finally:
        gc.unfreeze()
        gc.set_threshold(*before)


def test_a_line_that_is_longer_than_pieces(tmp_path: Path) -> None:
    rule = parse_rule(STATELESS, "R.car")
    event = b'{"object": "process", "action": "create", "exe": "a.exe", "user": "ann", "x": "%s"}\n'
    path = tmp_path / "x.jsonl"
    path.write_bytes(event % b"" + event % (b"y" * 700_000) + event % b"" * 20)
    packed = tmp_path / "y.jsonl.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    for most in (1 << 20, 1000):
        found = agree(
            Engine([rule]), [path, packed], limits=Limits(record_bytes=most), warm=0, piece=500
        )
        assert found["read"] == (44, 0 if most > 1000 else 2, 2)


def test_processes_can_be_spawned(tmp_path: Path) -> None:
    rules = [parse_rule(text, f"{n}.car") for n, text in enumerate((STATELESS, JOIN))]
    event = b'{"object": "process", "action": "create", "exe": "a.exe", "user": "ann"}\n'
    (tmp_path / "x.jsonl").write_bytes(event * 100)
    agree(
        Engine(rules),
        [tmp_path],
        jobs=2,
        start="spawn",
        warm=0,
        piece=1000,
        render=partial(match_line, raw=False),
    )


def test_an_event_nested_as_deep_as_is_read(tmp_path: Path) -> None:
    rules = [parse_rule(text, f"{n}.car") for n, text in enumerate((STATELESS, JOIN))]
    deep = b'{"object": "process", "action": "create", "exe": "a.exe", "user": "ann", "x": %s}\n'
    (tmp_path / "x.jsonl").write_bytes(deep % (b"[" * 126 + b"]" * 126) * 8)
    agree(Engine(rules), [tmp_path], warm=0, piece=4000)


def test_most_results_of_small_pieces_are_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Parts of a piece, and waiting for the one whose turn it is, change nothing."""
    monkeypatch.setattr(worker, "_MATCHES", 3)
    monkeypatch.setattr(worker, "_RECORDS", 7)
    monkeypatch.setattr(run_module, "_MOST_WAITING", 1)
    rules = [parse_rule(text, f"{n}.car") for n, text in enumerate((STATELESS, JOIN))]
    event = b'{"object": "process", "action": "create", "exe": "a.exe", "user": "ann", "n": %d}\n'
    (tmp_path / "x.jsonl").write_bytes(b"".join(event % n for n in range(400)) + b"{\n")
    found = agree(Engine(rules), [tmp_path], warm=500, piece=2000)
    assert len(found["found"]) == 400


# Faults


def _evidence(tmp_path: Path, number: int = 400) -> Path:
    event = b'{"object": "process", "action": "create", "exe": "a.exe", "user": "ann", "n": %d}\n'
    path = tmp_path / "x.jsonl"
    path.write_bytes(b"".join(event % n for n in range(number)))
    return path


def _failing(self: worker.Worker, message: tuple[Any, ...]) -> Any:
    if os.getpid() != PARENT:
        raise RuntimeError("this cannot be")
    return WORK(self, message)


def _killed(self: worker.Worker, message: tuple[Any, ...]) -> Any:
    if os.getpid() != PARENT:
        os.kill(os.getpid(), signal.SIGKILL)
    return WORK(self, message)


PARENT = os.getpid()
WORK = worker.Worker.work


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="processes are forked on Linux")
@pytest.mark.parametrize(
    ("does", "said"), [(_failing, "this cannot be"), (_killed, "ended by signal 9")]
)
def test_a_process_that_is_lost(
    does: Any,
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """It is said, with a code; the numbers are those of what was read before, and nothing hangs."""
    monkeypatch.setattr(worker.Worker, "work", does)
    rule = parse_rule(STATELESS, "R.car")
    run = Run(Engine([rule]), [_evidence(tmp_path)], jobs=2, warm=9_000, piece=3_000)
    with run, pytest.raises(WorkerError) as caught:
        list(run)
    assert [item.code.id for item in caught.value.diagnostics] == ["CE546"]
    assert said in caught.value.diagnostics[0].message
    assert run._pool is None
    before = run.session.stats.events
    assert 0 < before < 400
    assert run.session.stats.matches["R"] == before

    rules = tmp_path / "r.car"
    rules.write_text(STATELESS)
    monkeypatch.setattr(run_module, "PIECE", 3_000)
    plain = Run.__init__
    monkeypatch.setattr(Run, "__init__", lambda *a, **k: plain(*a, **k, warm=9_000, piece=3_000))
    code = main(["hunt", str(tmp_path / "x.jsonl"), "-r", str(rules), "-j", "2", "-f", "jsonl"])
    out, err = capsys.readouterr()
    assert code == status.FAULT
    assert "error[CE546]" in err
    assert f"\nstopped by a fault: {len(out.splitlines())} records" in err


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Interrupts raise as they do at a terminal: a shell starts what runs behind with interrupts
    ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_an_interrupt_leaves_what_was_counted(tmp_path: Path) -> None:
    """Each match that was counted has been handed out, and no process is left."""
    rule = parse_rule(STATELESS, "R.car")
    given_out: list[Any] = []

    def emit(found: Any) -> None:
        given_out.append(found)
        if len(given_out) == 150:
            signal.raise_signal(signal.SIGINT)

    run = Run(Engine([rule]), [_evidence(tmp_path)], jobs=2, warm=5_000, piece=2_000)
    with run, pytest.raises(KeyboardInterrupt):
        run.run(emit)
    assert 150 <= len(given_out) == run.session.stats.matches["R"] < 400
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_processes_end_with_the_one_they_work_for(tmp_path: Path) -> None:
    """Also when that one is killed: their pipes end."""
    code = (
        "import os, signal, sys\n"
        "from carengine.runner.pool import WorkerPool\n"
        "def make():\n"
        "    def work(piece):\n"
        "        yield os.getpid()\n"
        "    return work\n"
        "crew = WorkerPool(2, 'fork', make, ())\n"
        "print(*(worker.process.pid for worker in crew._workers), flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        env={**os.environ, "PYTHONPATH": str(SRC)},
        check=False,
        timeout=60,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    left = [int(text) for text in done.stdout.split()]
    assert len(left) == 2
    for _ in range(200):
        left = [pid for pid in left if Path(f"/proc/{pid}").exists()]
        if not left:
            break
        time.sleep(0.05)
    assert not left


def test_threads_are_not_forked() -> None:
    stop = threading.Event()
    thread = threading.Thread(target=stop.wait)
    thread.start()
    try:
        assert pool.start_method() == "spawn"
    finally:
        stop.set()
        thread.join()
    assert pool.start_method("fork") == "fork"


def test_marks_that_stand_in_an_event(tmp_path: Path) -> None:
    """An event that holds the number which stands for its record's goes over whole."""
    rule = parse_rule(STATELESS, "R.car")
    run = Run(
        Engine([rule]),
        [tmp_path / "x.jsonl"],
        jobs=2,
        warm=1 << 20,
        piece=100,
        render=partial(match_line, raw=True),
    )
    event = b'{"object": "process", "action": "create", "exe": "a.exe", "user": "ann", "n": %d}\n'
    (tmp_path / "x.jsonl").write_bytes(event % run._worker._mark * 5)
    with run:
        found = [json.loads(text) for text in run if isinstance(text, bytes)]
    assert [one["events"][0]["record"] for one in found] == [1, 2, 3, 4, 5]


# The command


@pytest.mark.skipif(not (SHARED / "mordor").is_dir(), reason="no shared data")
def test_the_command_on_real_logs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sources = [str(SHARED / name) for name in ("evtx", "zeek")]
    sources.append(str(SHARED / "mordor" / "psh_cmstp_execution_bypassuac.zip"))
    said = []
    for jobs in ("1", "3"):
        account = tmp_path / f"account-{jobs}"
        code = main(["hunt", *sources, "-j", jobs, "-f", "jsonl", "--account", str(account)])
        out, err = capsys.readouterr()
        said.append((code, out, err, account.read_text()))
    assert said[0] == said[1]
    assert said[0][1]


@pytest.mark.parametrize("form", ["table", "csv", "jsonl"])
def test_forms_of_output(form: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = _evidence(tmp_path, 40)
    rules = tmp_path / "r.car"
    rules.write_text(STATELESS)
    said = []
    for more in ([], ["-j", "2"], ["--suppress", "rule for 1 hour"], ["--from", "2020-01-01"]):
        for jobs in ("1", "3"):
            code = main(["hunt", str(path), "-r", str(rules), "-f", form, "-j", jobs, *more])
            said.append((code, *capsys.readouterr()))
        assert said[-1] == said[-2]


@pytest.mark.parametrize(
    "more", [["-j", "many"], ["-j", "-1"], ["-j", "2", "--follow"], ["-j", "1.5"]]
)
def test_what_cannot_be_asked_for(
    more: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["hunt", str(_evidence(tmp_path)), *more]) == status.USAGE
    assert "Traceback" not in capsys.readouterr().err


def test_first_events_are_the_first_of_the_run(tmp_path: Path) -> None:
    """Several small files have them together, and it makes no difference who reads which."""
    rule = parse_rule(STATELESS, "R.car")
    event = b'{"object": "process", "action": "create", "exe": "a.exe", "user": "ann", "n": %d}\n'
    for number in range(12):
        (tmp_path / f"{number}.jsonl").write_bytes(b"".join(event % n for n in range(30)))
    found = agree(Engine([rule]), [tmp_path], warm=0, piece=10_000)
    assert FIRST_EVENTS <= sum(found["looked"].values()) < 300
