"""Several processes find what one finds: the same matches in the same order, the same findings, the same numbers."""

from __future__ import annotations

import gzip
import io
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
import zipfile
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import carengine
from carengine.cli import main, status
from carengine.cli.results import line_of
from carengine.diagnostics import render
from carengine.engine import Engine, Match, StreamOptions
from carengine.engine.standing import FIRST_EVENTS
from carengine.parallel import Hunting, WorkerError, bench, crew, hunting
from carengine.readers import Limits
from carengine.rule import parse_rule
from carengine.tuning import TimeRange
from evidence_forms import FORMS
from streams import SECOND, START, events, programs

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
COUNT = """
a = search Process:Create
g = group a by hostname
n = from g select hostname, count() as total
output n
"""


def everything(run: Hunting) -> dict[str, Any]:
    """All that a run gives, as something to compare."""
    with run:
        found = [shown if isinstance(shown, bytes) else canonical(shown) for shown in run]
        return {
            "found": found,
            "account": run.session.account.as_data(),
            "held": run.session.held,
            "streams": [render(item) for item in run.session.diagnostics],
            "read": (run.reading.records, run.reading.unreadable, run.reading.sources),
            "codes": {code.id: number for code, number in run.reading.found.items()},
            "findings": [render(item) for item in run.reading.diagnostics],
            "looked": dict(run.sample.looked),
            "fields": {key: dict(names) for key, names in run.sample.fields.items()},
            "unknown": run.unknown.commonest(100),
            "others": run.unknown.others,
            "inside": (run.inside.outside, run.inside.timeless),
        }


def canonical(match: Match) -> Any:
    return json.dumps(match.as_json(), default=str)


def agree(engine: Engine, paths: list[Any], *, jobs: int = 3, **how: Any) -> dict[str, Any]:
    """What one process finds, which is what several find."""
    special = {name: how.pop(name) for name in ("piece", "warm", "start") if name in how}
    stdin = how.pop("stdin", None)
    alone = everything(
        Hunting(engine, paths, stdin=None if stdin is None else io.BytesIO(stdin), **how)
    )
    several = everything(
        Hunting(
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
        options=StreamOptions(lateness, max_events=rows),
        times=times,
        render=partial(line_of, raw=True) if written else None,
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
