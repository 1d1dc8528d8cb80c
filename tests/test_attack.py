"""ATT&CK: the table that ships, the bundles it is made of, and techniques that have moved."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from carengine.attack import enterprise_attack, link_to, name_of, read_bundle
from carengine.attack.model import Attack, Technique
from carengine.attack.table import from_table, to_table
from carengine.diagnostics import CarError

BUNDLE = Path(__file__).parents[1].parent / "shared" / "attack" / "attack-enterprise-18.1.json.gz"


def fields_of(version: Attack) -> dict[str, object]:
    names = ("version", "date", "tactics", "techniques", "strategies", "analytics", "components")
    return {name: getattr(version, name) for name in names}


def _object(type_: str, number: int, external: str, **more: Any) -> dict[str, Any]:
    references = [
        {"source_name": "elsewhere", "external_id": "X"},
        {"source_name": "mitre-attack", "external_id": external},
    ]
    return {"type": type_, "id": f"{type_}--{number}", "external_references": references, **more}


def _phases(*names: str) -> list[dict[str, str]]:
    return [{"kill_chain_name": "mitre-attack", "phase_name": name} for name in names]


def stix() -> dict[str, Any]:
    """A small bundle in MITRE's own layout."""
    return {
        "type": "bundle",
        "objects": [
            {
                "type": "x-mitre-collection",
                "id": "x-mitre-collection--1",
                "name": "Enterprise ATT&CK",
                "x_mitre_version": "19.0",
                "modified": "2026-04-21T10:00:00.000Z",
            },
            _object("x-mitre-tactic", 2, "TA0101", name="Mischief", x_mitre_shortname="mischief"),
            _object("x-mitre-tactic", 1, "TA0002", name="Execution", x_mitre_shortname="execution"),
            _object(
                "attack-pattern",
                1,
                "T9001",
                name="Old\tname",
                revoked=True,
                kill_chain_phases=_phases("execution"),
            ),
            _object(
                "attack-pattern",
                2,
                "T9002.001",
                name="New name",
                kill_chain_phases=_phases("mischief", "execution"),
                x_mitre_platforms=["Windows", "Linux"],
            ),
            _object(
                "attack-pattern",
                3,
                "T9003",
                name="Mobile",
                x_mitre_domains=["mobile-attack"],
            ),
            _object("x-mitre-data-component", 1, "DC9001", name="Process Creation"),
            _object(
                "x-mitre-detection-strategy",
                1,
                "DET9001",
                name="Detect it",
                x_mitre_analytic_refs=["x-mitre-analytic--1", "x-mitre-analytic--none"],
            ),
            _object(
                "x-mitre-analytic",
                1,
                "AN9001",
                name="Analytic 9001",
                x_mitre_platforms=["Windows"],
                x_mitre_log_source_references=[
                    {
                        "x_mitre_data_component_ref": "x-mitre-data-component--1",
                        "name": "WinEventLog:Sysmon",
                        "channel": "EventCode=1\n(or 4688)",
                    }
                ],
                x_mitre_mutable_elements=[{"field": "TimeWindow", "description": "prose"}],
            ),
            {
                "type": "relationship",
                "id": "relationship--1",
                "relationship_type": "revoked-by",
                "source_ref": "attack-pattern--1",
                "target_ref": "attack-pattern--2",
            },
            {
                "type": "relationship",
                "id": "relationship--2",
                "relationship_type": "detects",
                "source_ref": "x-mitre-detection-strategy--1",
                "target_ref": "attack-pattern--2",
            },
        ],
    }


@pytest.mark.skipif(not BUNDLE.exists(), reason="the shared data is not here")
def test_the_table_that_ships_is_what_its_bundle_says() -> None:
    assert fields_of(enterprise_attack()) == fields_of(read_bundle(BUNDLE))


def test_the_table_that_ships_is_whole() -> None:
    known = enterprise_attack()
    assert (known.version, known.date) == ("18.1", "2025-10-28")
    assert len(known.tactics) == 14
    for strategy in known.strategies.values():
        assert known.technique(strategy.technique), strategy
        assert strategy.analytics
        assert all(known.analytics[id_].strategy == strategy.id for id_ in strategy.analytics)
    for analytic in known.analytics.values():
        assert all(source.component in known.components for source in analytic.log_sources)
    for technique in known.techniques.values():
        assert technique.parent is None or technique.parent in known.techniques
        successor = known.technique(technique.id)
        assert successor is not None
        assert (technique.status != "revoked") == (successor is technique)
        assert successor.status != "revoked"


@pytest.mark.parametrize("packed", [False, True])
def test_a_stix_bundle(tmp_path: Path, packed: bool) -> None:
    raw = json.dumps(stix()).encode()
    path = tmp_path / "bundle.json"
    path.write_bytes(gzip.compress(raw) if packed else raw)
    known = read_bundle(path)
    assert (known.version, known.date) == ("19.0", "2026-04-21")
    # The known tactics stand in the matrix' order, those that are new behind them.
    assert [tactic.id for tactic in known.tactics] == ["TA0002", "TA0101"]
    assert known.techniques.keys() == {"T9001", "T9002.001"}
    moved = known.technique("t9001")
    assert moved is not None
    assert (moved.id, moved.tactics, moved.parent) == (
        "T9002.001",
        ("execution", "mischief"),
        "T9002",
    )
    (strategy,) = known.strategies_of("T9001")
    assert (strategy.technique, strategy.analytics) == ("T9002.001", ("AN9001",))
    (source,) = known.log_sources()
    assert (source.component, source.channel) == ("DC9001", "EventCode=1 (or 4688)")
    assert known.analytics["AN9001"].mutable_elements == ("TimeWindow",)
    again = fields_of(from_table(to_table(known)))
    expected = fields_of(known)
    # A table holds a text on one line, and no tabs in it.
    name = {"T9001": Technique("T9001", "Old name", ("execution",), (), "revoked", "T9002.001")}
    assert again == {**expected, "techniques": {**known.techniques, **name}}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b'{"objects": []}',
        b'{"objects": [3]}',
        b'{"objects": [{"type": "attack-pattern"}]}',
        b'{"techniques": [{"external_id": "T1"}]}',
        b"\x1f\x8b\x08\x00broken",
        b"[" * 100_000,
    ],
)
def test_what_is_no_bundle_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "bundle.json"
    path.write_bytes(content)
    with pytest.raises(CarError) as refused:
        read_bundle(path)
    assert [item.code.id for item in refused.value.diagnostics] == ["CE330"]


def test_a_bundle_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(CarError, match="No such file"):
        read_bundle(tmp_path / "none.json")


def test_a_circle_of_successors_ends() -> None:
    techniques = {
        "T1": Technique("T1", "a", (), (), "revoked", "T2"),
        "T2": Technique("T2", "b", (), (), "revoked", "T1"),
    }
    broken = Attack("0", "", (), techniques, {}, {}, {})
    assert broken.technique("T1") is not None


@pytest.mark.parametrize("line", ["tactic", "technique\tT1", "nonsense\t1", "analytic\tAN1"])
def test_a_line_that_is_no_row_is_named(line: str) -> None:
    with pytest.raises(ValueError, match="line 2"):
        from_table(f"version\t1\t2026-01-01\n{line}\n")


def test_names_and_links() -> None:
    assert name_of("TA0011") == "Command and Control"
    assert name_of("T0000") == "T0000"
    assert link_to("TA0003") == "[Persistence](https://attack.mitre.org/tactics/TA0003/)"
    assert link_to("T1086") == "[PowerShell](https://attack.mitre.org/techniques/T1086/)"
