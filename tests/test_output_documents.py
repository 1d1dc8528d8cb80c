"""What commands write as one document of JSON has a schema, and keeps to it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from carengine.cli import main
from carengine.matches import SCHEMAS, schema
from carengine.matches.json_schemas import OTHERS

SAMPLES = Path(__file__).parent / "samples"
LOG = str(SAMPLES / "lsass_dump.jsonl")
EVENTS = str(SAMPLES / "uac_bypass.jsonl")
SIGMA = str(SAMPLES / "sigma")
DOUBTFUL = """---
id: DOUBTFUL
title: Never true
examples:
  - name: one
    match: true
    events:
      - {object: process, action: create, exe: b.exe}
---
a = search Process:Create where exe = "a.exe" and exe = "b.exe"
output a
"""
WRONG = 'a = search Proces:Create where exe = "x" output a'
JOIN = """---
id: J
---
a = search Process:Create
b = search Process:Create
both = join (a, b) where a.hostname = b.hostname and a.pid = b.ppid
output both
"""
RULES = ["-r", "{rules}"]
RUNS: list[tuple[str, list[str]]] = [
    ("account", ["hunt", LOG, "-q", "--account", "{account}"]),
    ("account", ["hunt", "{strange}", *RULES, "-q", "--account", "{account}"]),
    ("check", ["check", "{rules}", "-f", "json"]),
    ("check", ["check", SIGMA, "-f", "json"]),
    ("detect", ["detect", LOG, "{strange}", "-f", "json"]),
    ("explain", ["explain", "CAR-2019-08-001", f"{LOG}:4", "--json"]),
    ("explain", ["explain", "CAR-2019-08-001", f"{LOG}:1", "--json"]),
    ("explain", ["explain", "{rules}/j.car", f"{EVENTS}:2", "--json"]),
    ("explain", ["explain", "{rules}/j.car", "{strange}:1", "--json"]),
    ("needs", ["needs", "-f", "json"]),
    ("needs", ["needs", LOG, "-r", SIGMA, "-f", "json"]),
    ("sample", ["sample", "{rules}", "-f", "json", "--matches", "1", "--near-misses", "2"]),
    ("test", ["test", "{rules}", "-f", "json"]),
    ("verify", ["verify", "{analytic}", "-f", "json"]),
]
ANALYTIC = """---
title: An analytic
id: CAR-2099-01-001
description: Of this test.
implementations:
  - name: One
    type: pseudocode
    code: |-
      a = search Process:Create
      b = filter a where (exe == "x.exe")
      output b
  - name: Two
    type: Splunk
    data_model: Sysmon
    code: |-
      index=x sourcetype=WinEventLog:Microsoft-Windows-Sysmon/Operational EventCode=1 Image="*y.exe"
"""


@pytest.fixture(scope="module")
def names(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("documents")
    rules = folder / "rules"
    rules.mkdir()
    for name, text in (("d", DOUBTFUL), ("w", WRONG), ("j", JOIN)):
        (rules / f"{name}.car").write_text(text)
    strange = folder / "strange.jsonl"
    strange.write_text('{"what": "is this"}\nno JSON\n' + json.dumps({"a": {"b": 1}}) + "\n")
    analytic = folder / "CAR-2099-01-001.yaml"
    analytic.write_text(ANALYTIC)
    return {
        "rules": str(rules),
        "strange": str(strange),
        "analytic": str(analytic),
        "account": str(folder / "account.json"),
    }


@pytest.mark.parametrize("name", [*SCHEMAS, *OTHERS])
def test_each_schema_is_one(name: str) -> None:
    jsonschema.Draft202012Validator.check_schema(schema(name))
    assert schema(name)["title"]


@pytest.mark.parametrize(
    ("name", "arguments"), RUNS, ids=[f"{number}-{name}" for number, (name, _) in enumerate(RUNS)]
)
def test_documents_fit_their_schemas_and_have_no_field_twice(
    name: str,
    arguments: list[str],
    names: dict[str, str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        assert len({key for key, _ in pairs}) == len(pairs)
        return dict(pairs)

    main([argument.format(**names) for argument in arguments])
    out = capsys.readouterr().out
    if name == "account":
        out = Path(names["account"]).read_text("utf-8")
    assert out
    data = json.loads(out, object_pairs_hook=once)
    assert data
    jsonschema.Draft202012Validator(schema(name)).validate(data)


def test_every_document_is_tried() -> None:
    elsewhere = {"coverage", "stats", "timeline"}  # have tests of their own
    assert {name for name, _ in RUNS} | elsewhere == set(OTHERS)
    with pytest.raises(KeyError):
        schema("../secrets")
