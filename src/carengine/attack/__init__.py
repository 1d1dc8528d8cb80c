"""MITRE ATT&CK: tactics, techniques, and how each is detected.

``enterprise_attack`` gives the version that ships with the package, `read_bundle` any other from a
STIX file::

    from carengine.attack import enterprise_attack

    for strategy in enterprise_attack().strategies_of("T1003.001"):
        for id_ in strategy.analytics:
            print(id_, [source.name for source in enterprise_attack().analytics[id_].log_sources])

``model`` says what there is, ``bundle`` reads STIX, ``table`` the compact form that ships.
``log_sources`` says which events the log sources of analytics are to the field maps. The data
is MITRE's: © The MITRE Corporation, used under the ATT&CK Terms of Use
(https://attack.mitre.org/resources/legal-and-branding/terms-of-use/).
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from .log_sources import (
    AskedEvents,
    ComponentKinds,
    LogSourceMeaning,
    events_of,
    kinds_of_component,
    platforms_of_map,
)
from .model import Analytic, Attack, DataComponent, LogSource, Strategy, Tactic, Technique

__all__ = [
    "Analytic",
    "AskedEvents",
    "Attack",
    "ComponentKinds",
    "DataComponent",
    "LogSource",
    "LogSourceMeaning",
    "Strategy",
    "Tactic",
    "Technique",
    "analytic_text",
    "enterprise_attack",
    "events_of",
    "kinds_of_component",
    "link_to",
    "name_of",
    "platforms_of_map",
    "read_bundle",
]

_TABLE = Path(__file__).parent / "enterprise-18.1.tsv"


@cache
def enterprise_attack() -> Attack:
    """The version of ATT&CK that ships with the package. It is read once, when it is first asked
    for.

    >>> known = enterprise_attack()
    >>> known.version, len(known.strategies), len(known.analytics)
    ('18.1', 691, 1739)
    """
    from .table import from_table

    return from_table(_TABLE.read_text(encoding="utf-8"))


def read_bundle(path: str | Path) -> Attack:
    """The version of ATT&CK in a STIX bundle. See `carengine.attack.bundle.read_bundle`."""
    from .bundle import read_bundle as read

    return read(path)


def name_of(id_: str) -> str:
    """The name of a tactic or technique, or its id where there is none.

    >>> name_of("T1003.001"), name_of("TA0006"), name_of("T9999")
    ('LSASS Memory', 'Credential Access', 'T9999')
    """
    if id_.startswith("TA"):
        tactic = enterprise_attack().tactic(id_)
        return tactic.name if tactic else id_
    technique = enterprise_attack().techniques.get(id_)
    return technique.name if technique else id_


def analytic_text(id_: str) -> str:
    """An analytic in one line: its id, its strategy and the strategy's name; an unknown one its id.

    >>> analytic_text("AN1030").partition(":")[0], analytic_text("AN9999")
    ('AN1030 (DET0363', 'AN9999')
    """
    known = enterprise_attack()
    analytic = known.analytics.get(id_)
    strategy = None if analytic is None else known.strategies.get(analytic.strategy)
    return id_ if strategy is None else f"{id_} ({strategy.id}: {strategy.name})"


def link_to(id_: str) -> str:
    """A Markdown link to the page of a tactic or technique, under its name.

    >>> link_to("T1003.001")
    '[LSASS Memory](https://attack.mitre.org/techniques/T1003/001/)'
    """
    kind = "tactics" if id_.startswith("TA") else "techniques"
    return f"[{name_of(id_)}](https://attack.mitre.org/{kind}/{id_.replace('.', '/')}/)"
