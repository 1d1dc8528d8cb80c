"""Sigma rules in tests: reading them from texts, and running them by engine and reference."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import carengine
from carengine.diagnostics import Source
from carengine.engine import interpret
from carengine.fieldmap import FieldMap, find_maps
from carengine.languages.sigma import read
from carengine.rule import RuleSet, from_drafts

SYSMON: dict[str, Any] = {"Channel": "Microsoft-Windows-Sysmon/Operational", "EventID": 1}
FLAT = find_maps("windows.flat")

HEAD = """\
title: A rule
id: 11111111-1111-4111-8111-111111111111
logsource: {product: windows, category: process_creation}
"""


def load(*texts: str, **placeholders: list[str]) -> RuleSet:
    sources = [Source(f"{number}.yml", text) for number, text in enumerate(texts, 1)]
    drafts, found = read(sources, placeholders)
    return from_drafts(drafts, diagnostics=found)


def with_detection(detection: str, head: str = HEAD) -> str:
    return head + "detection:\n" + "".join(f"  {line}\n" for line in detection.splitlines())


def hits(
    rules: RuleSet, events: list[dict[str, Any]], maps: tuple[FieldMap, ...] = FLAT
) -> list[tuple[int, str]]:
    """Which events match which rules; engine and reference must say the same."""
    where = {id(event): place for place, event in enumerate(events)}

    def placed(matches: Iterator[carengine.Match]) -> list[tuple[int, str]]:
        return sorted((where[id(m.events[0].event)], m.rule.id) for m in matches)

    found = placed(carengine.Engine(rules, maps).run(events))
    assert found == placed(interpret(rules, events, maps))
    return found
