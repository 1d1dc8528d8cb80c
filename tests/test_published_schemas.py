"""ECS and OCSF as others publish them, against what `hunt` writes.

The schemas are in ``published/``, reduced to what carengine's outputs touch; its README says from
where.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from carengine.cli import main

HERE = Path(__file__).parent
SAMPLES = HERE / "samples"
OCSF = json.loads((HERE / "published" / "ocsf-detection_finding-1.4.0.json").read_text("utf-8"))
with open(HERE / "published" / "ecs-fields.csv", encoding="utf-8", newline="") as _file:
    ECS = {row["field"]: row for row in csv.DictReader(_file)}
JOIN = """---
id: J
title: A join
level: critical
---
a = search Process:Create
b = search Process:Create
both = join (a, b) where a.hostname = b.hostname and a.pid = b.ppid
output both
"""
GROUP = """---
id: G
title: A group
---
a = search Process:Create
g = group a by hostname
n = from g select hostname, count(*) as starts
output n
"""
RUNS = [
    ("lsass_dump.jsonl", None),
    ("uac_bypass.jsonl", "sigma"),
    ("cloudtrail.json", "sigma"),
    ("uac_bypass.jsonl", JOIN),
    ("uac_bypass.jsonl", GROUP),
]


def documents(
    format_: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> Iterator[dict[str, Any]]:
    """What some runs write, with and without raw events."""
    for number, (sample, rules) in enumerate(RUNS):
        asked = ["hunt", str(SAMPLES / sample), "-q", "-f", format_]
        if rules == "sigma":
            asked += ["-r", str(SAMPLES / "sigma")]
        elif rules is not None:
            (folder / f"{number}.car").write_text(rules)
            asked += ["-r", str(folder / f"{number}.car")]
        for more in ([], ["--no-raw"]):
            main([*asked, *more])
            lines = capsys.readouterr().out.splitlines()
            assert lines, (sample, rules)
            yield from map(json.loads, lines)


# OCSF


def faults(value: Any, wanted: Mapping[str, Any], where: str) -> Iterator[str]:
    """What is wrong with a value of an attribute."""
    values = value if wanted.get("array") else [value]
    if not isinstance(values, list):
        yield f"{where} is no list"
        return
    for item in values:
        if wanted["type"] == "object_t":
            yield from object_faults(item, wanted["object"], where)
        else:
            yield from plain_faults(item, wanted, where)


def plain_faults(item: Any, wanted: Mapping[str, Any], where: str) -> Iterator[str]:
    name = wanted["type"]
    about = OCSF["types"].get(name, {})
    base = about.get("type", name)
    python: dict[str, type | tuple[type, ...]] = {
        "string_t": str,
        "integer_t": int,
        "long_t": int,
        "float_t": (int, float),
        "boolean_t": bool,
        "json_t": object,
    }
    if base not in python:
        yield f"{where}: the type {name} is not known to this test"
    elif not isinstance(item, python[base]) or (base != "boolean_t" and item is True):
        yield f"{where}: {item!r} is no {name}"
    elif "enum" in wanted and base in ("integer_t", "long_t") and str(item) not in wanted["enum"]:
        yield f"{where}: {item!r} is none of {wanted['enum']}"
    elif "regex" in about and re.search(about["regex"], str(item)) is None:
        yield f"{where}: {item!r} does not match {about['regex']}"
    elif "max_len" in about and len(str(item)) > about["max_len"]:
        yield f"{where}: longer than {about['max_len']}"


def object_faults(item: Any, name: str, where: str) -> Iterator[str]:
    if not isinstance(item, dict):
        yield f"{where} is no object"
    elif name != "object":  # whose attributes are free
        if name not in OCSF["objects"]:
            yield f"{where}: the object {name} is not in the reduced schema"
            return
        about = OCSF["objects"][name]
        yield from attribute_faults(item, about["attributes"], about["constraints"], where)


def attribute_faults(
    item: Mapping[str, Any], known: Mapping[str, Any], constraints: Mapping[str, Any], where: str
) -> Iterator[str]:
    for name, value in item.items():
        if name not in known:
            yield f"{where}.{name} is no attribute"
        elif known[name].get("deprecated"):
            yield f"{where}.{name} is deprecated"
        else:
            yield from faults(value, known[name], f"{where}.{name}")
    for name, wanted in known.items():
        # Attributes of a profile are required where the profile is used.
        if wanted["requirement"] == "required" and "profile" not in wanted and name not in item:
            yield f"{where}.{name} is required"
    for kind, names in constraints.items():
        there = sum(name in item for name in names)
        if there == 0 or (kind == "just_one" and there > 1):
            yield f"{where}: {kind} of {names}"


def ocsf_faults(document: Mapping[str, Any]) -> list[str]:
    about = OCSF["class"]
    return list(attribute_faults(document, about["attributes"], about["constraints"], "$"))


def test_findings_are_what_ocsf_publishes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    seen = 0
    for document in documents("ocsf", tmp_path, capsys):
        assert ocsf_faults(document) == []
        assert document["class_uid"] == OCSF["class"]["uid"]
        assert document["metadata"]["version"] == OCSF["version"]
        assert document["type_uid"] == document["class_uid"] * 100 + document["activity_id"]
        seen += 1
    assert seen > 20


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"time": None}, "no timestamp_t"),
        ({"time": "2024-05-20"}, "no timestamp_t"),
        ({"severity_id": 7}, "none of"),
        ({"no_such": 1}, "no attribute"),
        ({"finding_info": {"title": "x"}}, "uid is required"),
        ({"evidences": [{}]}, "at_least_one"),
        ({"evidences": {}}, "no list"),
    ],
)
def test_the_check_sees_faults(
    change: dict[str, Any], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["hunt", str(SAMPLES / "lsass_dump.jsonl"), "-q", "-f", "ocsf"])
    document = json.loads(capsys.readouterr().out.splitlines()[0])
    assert any(says in fault for fault in ocsf_faults({**document, **change}))


# ECS


def flat(data: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in data.items():
        if isinstance(value, dict):
            yield from flat(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def test_documents_have_the_fields_that_ecs_publishes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    types: dict[str, type | tuple[type, ...]] = {
        "keyword": str,
        "match_only_text": str,
        "long": int,
        "date": (str, type(None)),
    }
    seen: set[str] = set()
    for document in documents("ecs", tmp_path, capsys):
        own = document.pop("carengine")  # a namespace of one's own is what ECS asks for
        assert own
        for name, value in flat(document):
            assert name in ECS, name
            wanted = ECS[name]
            values = value if wanted["normalization"] == "array" else [value]
            assert isinstance(values, list), name
            for item in values:
                assert isinstance(item, types[wanted["type"]]), (name, item)
            seen.add(name)
        technique = document.get("threat", {}).get("technique", {"id": []})
        assert not [id_ for id_ in technique["id"] if "." in id_]
    assert {"threat.technique.subtechnique.id", "rule.author", "user.domain"} <= seen
