"""Samples of SigmaHQ's rules, written, read back and run: by the engine, by DuckDB, by ``eql``.

``make samples`` (``CARENGINE_SAMPLES=1``) takes all of SigmaHQ's Windows rules in three shapes, and
its rules for other logs in every shape of theirs; it prints the figures of docs/test-a-pipeline.md.
Otherwise a few rules of our own are taken the same way.
"""

from __future__ import annotations

import os
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

import carengine
from carengine import Rule, ir
from carengine.fieldmap import installed_maps
from carengine.verify import samples
from sample_figures import WrittenSample, by_engine, by_eql, held, in_duckdb, write, wrong

SIGMA = Path(__file__).parents[1].parent / "shared" / "sigma"
SHARE = float(os.environ.get("CARENGINE_SAMPLES", "0"))
SHAPES = ["windows.evtx", "windows.winlogbeat", "windows.ecs"]
OWN = """
title: Shadow copies deleted
id: 6f9b0c0e-31f3-4a4a-9f0b-5ad8a1b54d11
logsource: {product: windows, category: process_creation}
detection:
  tool: {Image|endswith: '\\vssadmin.exe', CommandLine|contains|all: [delete, shadows]}
  filter: {CurrentDirectory|contains: backup, ParentImage: null}
  condition: tool and not filter
---
title: Monitor of a printer port
id: 0b1d0f52-64ae-44b7-8f5f-3c1a4c1e6a02
logsource: {product: windows, category: registry_set}
detection:
  selection: {TargetObject|contains: \\Control\\Print\\Monitors\\, Details|endswith: .dll}
  condition: selection
---
title: Logon by a name
id: 5b0f3df8-3f0f-4bb4-9a50-6d2a1a6d6f03
logsource: {product: windows, service: security}
detection:
  selection: {EventID: [4624, 4625], LogonType: 3}
  name: {TargetUserName|re|i: '^adm[0-9]{2}$'}
  far: {IpAddress|cidr: 10.0.0.0/8}
  condition: selection and (name or far)
"""


def some(rules: list[Rule]) -> list[Rule]:
    """The share of rules that was asked for, evenly."""
    step = max(1, round(1 / SHARE)) if SHARE else 1
    return rules[::step]


def said(*words: object) -> None:
    """For who runs ``make samples``."""
    print(*words, file=sys.stderr, flush=True)


@pytest.mark.parametrize("shape", SHAPES)
def test_windows_rules(shape: str, tmp_path: Path) -> None:
    if SHARE and not SIGMA.exists():
        pytest.skip("the shared data is not here")
    path = SIGMA / "sigmahq-rules-windows.tar.gz"
    if not SHARE:
        path = tmp_path / "rules.yml"
        path.write_text(OWN)
    rules = some(list(carengine.load_rules(path)))
    begun = time.process_time()
    written = write(rules, shape, tmp_path / "samples.jsonl")
    said(f"\n{shape}: {len(rules):,} rules, {written.with_both:,} with a match and a near miss")
    said(f"  {len(written.events):,} events, {time.process_time() - begun:.0f} s")
    for name, why in written.lacking:
        said(f"  lacking: {name}: {why}")
    engine = by_engine(written)
    said("  engine:", dict(held(written, engine)))
    assert not wrong(written, engine)
    assert written.with_both >= 0.95 * len(rules)
    finders = {"eql": by_eql, "duckdb": in_duckdb}
    faults: dict[str, list[WrittenSample]] = {}
    shares: dict[str, float] = {}
    for name, run in finders.items():
        begun = time.process_time()
        found, refused = run(written)
        faults[name], shares[name] = wrong(written, found), len(found) / len(rules)
        said(f"  {name}: {len(found):,} rules, {dict(held(written, found))}")
        said(f"    {time.process_time() - begun:.0f} s; refused {refused.total():,}")
        for why, number in Counter(refused).most_common(12):
            said(f"    refused {number:,}: {why}")
        for one in faults[name][:20]:
            said(f"    not as it should be: {one} {written.events[one.place]}")
        if name == "duckdb":
            # SQL ran over the samples of all rules, as the engine did.
            faults[name] += [
                WrittenSample(rule, place in engine[rule], place)
                for rule in found
                for place in sorted(found[rule] ^ engine[rule])
            ]
            said(f"    unlike the engine: {[one.rule for one in faults[name][:20]]}")
    assert not any(faults.values())
    assert min(shares.values()) >= 0.95


@pytest.mark.skipif(not (SHARE and SIGMA.exists()), reason="make samples runs it")
def test_rules_for_other_logs() -> None:
    """The share of SigmaHQ's rules for other products that can be written in each shape."""
    rules = some(list(carengine.load_rules(SIGMA / "sigmahq-rules-all.tar.gz")))
    shapes = [m for m in installed_maps() if m.sources() and m.family != "windows"]
    asked, both, anywhere = Counter[str](), Counter[str](), Counter[bool]()
    for rule in rules:
        kinds = {kind for output in rule.program.outputs for kind in ir.searched(output.plan)}
        if all(kind.object == "windows" for kind in kinds):
            continue
        fitting = [one.name for one in shapes if not kinds.isdisjoint(one.by_kind)]
        writes = []
        for name in fitting:
            made = samples(rule, name)
            writes.append(bool(made.matches and made.near_misses))
            asked[name] += 1
            both[name] += writes[-1]
        anywhere[any(writes)] += 1
        if not any(writes):
            said(f"  in no shape: {rule.title} ({rule.id}), asked: {', '.join(fitting) or 'none'}")
    for name in sorted(asked):
        said(f"  {name}: {both[name]:,} of {asked[name]:,} ({both[name] / asked[name]:.0%})")
    said(f"  in one shape or another: {anywhere[True]:,} of {anywhere.total():,}")
    assert anywhere[True] >= 0.9 * anywhere.total()
