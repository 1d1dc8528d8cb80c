"""The compact table that ships: one version of ATT&CK as lines of tab-separated text.

The first column says what a line is. Log sources are numbered in the order they stand in, and
analytics name them by number::

    version    18.1        2025-10-28
    tactic     TA0006      credential-access  Credential Access
    technique  T1003.001   LSASS Memory       credential-access  Windows    current
    component  DC0032      Process Creation
    source     DC0032      WinEventLog:Sysmon EventCode=1
    strategy   DET0363     Detect …           T1003.001
    analytic   AN1032      DET0363            Windows            0,17       TimeWindow,AccessMask
    other      G0007       APT28

``to_table`` writes it from what `read_bundle` gives, so that a new version of ATT&CK is one
command.
"""

from __future__ import annotations

from collections.abc import Iterable

from .model import Analytic, Attack, DataComponent, LogSource, Strategy, Tactic, Technique


def to_table(attack: Attack) -> str:
    """A version of ATT&CK as the text of a table, which `from_table` reads back as it was."""
    lines = [("version", attack.version, attack.date)]
    rows: list[tuple[str, ...]] = [*lines]
    rows += [("tactic", t.id, t.short_name, t.name) for t in attack.tactics]
    rows += [
        ("technique", t.id, t.name, _list(t.tactics), _list(t.platforms), t.status, t.successor)
        for t in attack.techniques.values()
    ]
    rows += [("component", c.id, c.name) for c in attack.components.values()]
    numbers = {source: number for number, source in enumerate(attack.log_sources())}
    rows += [("source", s.component, s.name, s.channel) for s in numbers]
    rows += [("strategy", s.id, s.name, s.technique) for s in attack.strategies.values()]
    rows += [
        (
            "analytic",
            a.id,
            a.strategy,
            _list(a.platforms),
            _list(str(numbers[source]) for source in a.log_sources),
            _list(a.mutable_elements),
        )
        for a in attack.analytics.values()
    ]
    rows += [("other", id_, name) for id_, name in attack.others.items()]
    return "".join("\t".join(map(_cell, row)).rstrip("\t") + "\n" for row in rows)


def from_table(text: str) -> Attack:
    """The version of ATT&CK that a table holds. Raises `ValueError` for a line that is none."""
    version, date = "", ""
    tactics: list[Tactic] = []
    techniques: dict[str, Technique] = {}
    components: dict[str, DataComponent] = {}
    sources: list[LogSource] = []
    strategies: dict[str, tuple[str, str]] = {}
    analytics: dict[str, Analytic] = {}
    others: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        match line.split("\t"):
            case [comment, *_] if comment.startswith("#"):
                pass
            case ["version", version, date]:
                pass
            case ["tactic", id_, short_name, name]:
                tactics.append(Tactic(id_, short_name, name))
            case ["technique", id_, name, of, platforms, status, *successor]:
                techniques[id_] = Technique(
                    id_, name, _items(of), _items(platforms), status, "".join(successor)
                )
            case ["component", id_, name]:
                components[id_] = DataComponent(id_, name)
            case ["source", component, name, *channel]:
                sources.append(LogSource(name, "".join(channel), component))
            case ["other", id_, name]:
                others[id_] = name
            case ["strategy", id_, name, technique]:
                strategies[id_] = name, technique
            case ["analytic", id_, strategy, platforms, *rest]:
                named, elements = (*rest, "", "")[:2]
                analytics[id_] = Analytic(
                    id_,
                    strategy,
                    _items(platforms),
                    tuple(sources[int(item)] for item in _items(named)),
                    _items(elements),
                )
            case _:
                raise ValueError(f"line {number} is no row of a table of ATT&CK: {line[:80]!r}")
    of_strategy: dict[str, list[str]] = {}
    for analytic in analytics.values():
        of_strategy.setdefault(analytic.strategy, []).append(analytic.id)
    return Attack(
        version,
        date,
        tuple(tactics),
        techniques,
        {
            id_: Strategy(id_, name, technique, tuple(of_strategy.get(id_, ())))
            for id_, (name, technique) in strategies.items()
        },
        analytics,
        components,
        others,
    )


def _cell(text: str) -> str:
    return " ".join(text.split())


def _list(items: Iterable[str]) -> str:
    return ",".join(item.replace(",", ";") for item in items)


def _items(text: str) -> tuple[str, ...]:
    return tuple(text.split(",")) if text else ()
