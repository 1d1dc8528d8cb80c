"""The benchmarks run, from events and rules to the page, on made-up events and without peers; and
what they judge by.

What they measure is not looked at: no test asserts a time.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import carengine
from carengine.fieldmap import find_maps

ROOT = Path(__file__).parents[1]
BENCHMARKS = ROOT / "benchmarks"

pytest.importorskip("sigma")
pytest.importorskip("orjson")


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, check=False, cwd=BENCHMARKS
    )


def test_the_whole_way_to_the_page(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    done = run(
        *("run.py", "--tiny", "--generated", "--no-peers", "--only", "matching", "peers"),
        *("--results", str(tmp_path), "--page", str(page), "--work", str(tmp_path / "work")),
    )
    assert done.returncode == 0, done.stderr
    text = page.read_text(encoding="utf-8")
    for part in ("matching", "peers"):
        figures = json.loads((tmp_path / f"{part}.json").read_text(encoding="utf-8"))
        assert figures["data"] == "generated"
    # The events of these lines are made to match; the evaluator of the benchmark finds the same by
    # other means.
    (plain,) = figures["comparisons"]
    assert plain["both"] > 0
    assert plain["ours"] == plain["theirs"] == plain["unexplained"] == 0
    # What was not measured, or not run, is named.
    assert "| one rule" in text.replace("time over `orjson.loads`, ", "")
    assert "Not measured in this run." in text
    for peer in ("zargunlite", "azuma", "python-eql", "Tenzir", "sigma-rule-matcher", "Zircolite"):
        assert f"* **{peer}**: " in text


# How a difference finds its cause: the evaluator, turned.

SYSMON = {"Channel": "Microsoft-Windows-Sysmon/Operational", "EventID": 1}
CREATION = "{product: windows, category: process_creation}"

QUIRKS: list[tuple[str, str, dict[str, Any], list[str], bool, bool]] = [
    ("s: {Image|endswith: a.exe}", CREATION, SYSMON | {"Image": r"C:\A.exe"}, [], True, True),
    (
        "s: {Image: x}",
        CREATION,
        {**SYSMON, "EventID": 5, "Image": "x"},
        ["NO_LOG_SOURCE"],
        False,
        True,
    ),
    (
        "s: {Image: x}",
        CREATION,
        {"Channel": "Security", "EventID": 4688, "NewProcessName": "x"},
        ["SYSMON_ONLY"],
        True,
        False,
    ),
    (
        "s: {Image: x}",
        CREATION,
        {"Channel": "Security", "EventID": 4688, "NewProcessName": "x"},
        ["OWN_NAMES"],
        True,
        False,
    ),
    ("s: {Computer: x}", CREATION, SYSMON | {"Hostname": "x"}, ["OWN_NAMES"], True, False),
    ("s: {A: 1}\n  f: {B: 2}", CREATION, SYSMON | {"A": 1}, ["UNKNOWN"], True, False),
    ("s: {A: 1}", CREATION, SYSMON | {"A": "1"}, ["STRICT_TYPES"], True, False),
    ("s: {A: '1'}", CREATION, SYSMON | {"A": 1}, ["STRICT_TYPES"], True, False),
    ("s: {A|re: b}", CREATION, SYSMON | {"A": "ab"}, ["ANCHORED"], True, False),
    (r"s: {A|re: 'a\.b'}", CREATION, SYSMON | {"A": "a.b"}, ["DOUBLED"], True, False),
    ("s: {A|fieldref: B}", CREATION, SYSMON, ["MISSING_EQUAL"], False, True),
    ("s: [deep]", CREATION, SYSMON | {"A": {"B": {"deep": 1}}}, [], True, True),
    ("s: ['EventID']", CREATION, SYSMON, ["FIELD_KEYWORDS"], True, False),
]


def test_the_evaluator_is_turned(tmp_path: Path) -> None:
    """Every quirk has a row: what a rule says of an event as it is, and what when it is read that
    way."""
    cases = []
    for number, (detection, source, event, quirks, plain, _) in enumerate(QUIRKS):
        condition = "s and not f" if " f: " in detection else "s"
        path = tmp_path / f"{number}.yml"
        path.write_text(
            f"title: r{number}\nid: r{number}\nlogsource: {source}\n"
            f"detection:\n  {detection}\n  condition: {condition}\n",
            encoding="utf-8",
        )
        cases.append({"path": str(path), "event": event, "quirks": quirks})
        rules = carengine.load_rules(path)
        assert not rules.refused, rules.diagnostics
        # The engine agrees with the evaluator that is not turned.
        found = list(carengine.Engine(rules, find_maps("windows.flat")).run([event]))
        assert bool(found) is plain, detection
    (tmp_path / "cases.json").write_text(json.dumps(cases), encoding="utf-8")
    done = run("-c", _EVALUATE, str(tmp_path / "cases.json"))
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["verdicts"] == [[plain, turned] for *_, plain, turned in QUIRKS]
    assert said["quirks"] == sorted({name for row in QUIRKS for name in row[3]})


# In a process of its own, since the benchmarks' modules have names that are good for any program.
_EVALUATE = """
import json, sys
import carengine
from carengine.fieldmap import find_maps
from dialects import Quirk, Reading
(shape,) = find_maps("windows.flat")
verdicts = []
for case in json.load(open(sys.argv[1])):
    (rule,) = carengine.load_rules(case["path"])
    reading = Reading.of(rule)
    quirks = frozenset(Quirk[name] for name in case["quirks"])
    verdicts.append([reading.matches(case["event"], shape, q) for q in (frozenset(), quirks)])
print(json.dumps({"verdicts": verdicts, "quirks": sorted(quirk.name for quirk in Quirk)}))
"""
