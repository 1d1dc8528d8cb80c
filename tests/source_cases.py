"""What the tests of log sources have in common: a case for each, and how the maps are held to it.

A case has an event as the product's documentation describes it, a near miss, a small rule of our
own, and a rule of SigmaHQ. Both rules match the event and neither matches the near miss.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
from attrs import frozen

import carengine
from carengine.fieldmap import ECS, FieldMap, installed_maps, normalize, recognise, unwrap, with_ecs
from carengine.rule import RuleSet
from sigma_rules import hits, load

SHARED = Path(__file__).parents[1].parent / "shared"
ARCHIVE = SHARED / "sigma" / "sigmahq-rules-all.tar.gz"
FOLDERS = ("rules/", "rules-emerging-threats/", "rules-threat-hunting/", "rules-compliance/")
KEYS = ("product", "category", "service")

needs_sigmahq = pytest.mark.skipif(not ARCHIVE.is_file(), reason="SigmaHQ's rules are not here")


@frozen
class Source:
    """``given`` matches and ``near`` does not; either is an event, or lines that the readers read.

    A near miss that is a mapping has only what is different from the event; None takes a key away.
    ``rule`` is a detection (YAML's flow style), ``sigmahq`` the file name of a rule without ``.yml``.
    """

    given: Mapping[str, Any] | str
    near: Mapping[str, Any] | str
    rule: str
    sigmahq: str

    @property
    def events(self) -> list[dict[str, Any]]:
        """The events of the case."""
        return events_of(self.given)

    @property
    def near_events(self) -> list[dict[str, Any]]:
        """The events of the near miss."""
        if isinstance(self.near, str):
            return events_of(self.near)
        assert isinstance(self.given, Mapping)
        return [{k: v for k, v in {**self.given, **self.near}.items() if v is not None}]


def events_of(written: Mapping[str, Any] | str) -> list[dict[str, Any]]:
    """An event, or those that the readers find in lines."""
    if isinstance(written, Mapping):
        return [dict(written)]
    data = io.BytesIO(written.encode())
    found = [record.event for record in carengine.read_events("-", stdin=data)]
    assert found
    return found


def own_rule(source: str, detection: str) -> RuleSet:
    """A rule for a log source, written as ``product/category/service``, with ``-`` for none."""
    parts = zip(KEYS, source.split("/"), strict=True)
    named = ", ".join(f'{key}: "{part}"' for key, part in parts if part != "-")
    rules = load(
        f"title: Own\nid: 11111111-1111-4111-8111-111111111111\nlogsource: {{{named}}}\n"
        f"detection:\n  wanted: {detection}\n  condition: wanted\n"
    )
    assert len(rules) == 1
    return rules


@lru_cache(maxsize=1)
def archive() -> Mapping[str, str]:
    """The texts of SigmaHQ's rules by file name without ``.yml``."""
    with tarfile.open(ARCHIVE) as tar:
        return {
            Path(member.name).stem: opened.read().decode()
            for member in tar
            if member.name.startswith(FOLDERS) and member.name.endswith(".yml")
            if (opened := tar.extractfile(member)) is not None
        }


@lru_cache(maxsize=1)
def _with_ecs() -> tuple[FieldMap, ...]:
    """The installed maps as Elastic's rules use them."""
    return with_ecs(installed_maps(), installed_maps())


def holds(case: Source, rules: RuleSet) -> None:
    """The rules match each event of the case and none of the near miss's."""
    assert len(rules) >= 1
    maps = installed_maps()
    events = case.events
    matches = hits(rules, events, maps)
    assert len(matches) == len(set(matches))
    assert {place for place, _ in matches} == set(range(len(events)))
    assert hits(rules, case.near_events, maps) == []


def check_own(source: str, case: Source) -> None:
    """The case with the rule of our own; the near miss is an event of the same product."""
    holds(case, own_rule(source, case.rule))
    for event in [*case.events, *case.near_events]:
        shapes = recognise(unwrap(event), installed_maps())
        # Elastic's rules search the same event under ECS's own names, which is no log source of a
        # product: the event may be there once as well.
        claiming = [m for m in shapes if any(kind != ECS for kind in m.sources())]
        assert len(claiming) == 1, [m.name for m in claiming]
        seen = normalize(event, _with_ecs(), sources=True)
        assert sum(view.kind == ECS for view in seen) <= 1
    product, category, service = source.split("/")
    kind = f"{'*' if product == '-' else product}/{category if category != '-' else service if service != '-' else '*'}"
    for event in case.events:
        views = [v for v in normalize(event, installed_maps(), sources=True) if str(v.kind) == kind]
        assert len(views) == 1
        assert views[0].time is not None


def check_sigmahq(case: Source) -> None:
    """The case with SigmaHQ's rule."""
    holds(case, load(archive()[case.sigmahq]))
