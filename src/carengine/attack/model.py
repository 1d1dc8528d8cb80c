"""ATT&CK as the library knows it: techniques, and since version 18 how to detect them.

::

    Tactic ◀── Technique ◀── Strategy ◀── Analytic ──▶ LogSource ──▶ DataComponent
    TA0006     T1003.001     DET0363      AN1032       ("WinEventLog:Sysmon", "EventCode=10")

A *detection strategy* says how one technique is detected. Each of its *analytics* does so on some
platforms, from some *log sources*; a log source is a name with a channel, and shows one *data
component*. What an analyst may adjust in an analytic are its *mutable elements*, of which the names
are kept. MITRE's descriptions are not part of the model.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property

from attrs import field, frozen

_SITE = "https://attack.mitre.org"


@frozen
class Tactic:
    """What an adversary wants: ``TA0006``, ``credential-access``, ``Credential Access``."""

    id: str
    short_name: str
    name: str

    @property
    def url(self) -> str:
        """The tactic's page."""
        return f"{_SITE}/tactics/{self.id}/"


@frozen
class Technique:
    """How an adversary gets it.

    ``tactics`` are short names (``credential-access``), in ATT&CK's order. ``status`` is
    ``current``, ``revoked`` (another technique, ``successor``, has taken its place; empty where
    none is known) or ``deprecated`` (nothing has).
    """

    id: str
    name: str
    tactics: tuple[str, ...]
    platforms: tuple[str, ...]
    status: str = "current"
    successor: str = ""

    @property
    def parent(self) -> str | None:
        """The id of the technique that a sub-technique belongs to; None for a technique.

        >>> Technique("T1003.001", "LSASS Memory", ("credential-access",), ("Windows",)).parent
        'T1003'
        """
        above, dot, _ = self.id.partition(".")
        return above if dot else None

    @property
    def url(self) -> str:
        """The technique's page."""
        return f"{_SITE}/techniques/{self.id.replace('.', '/')}/"


@frozen
class DataComponent:
    """One kind of thing that logs show: ``DC0032``, ``Process Creation``."""

    id: str
    name: str


@frozen
class LogSource:
    """Where an analytic looks: a name and a channel, and the data component that is seen there.

    ``WinEventLog:Sysmon`` with ``EventCode=1`` shows ``DC0032``. A channel may be prose.
    """

    name: str
    channel: str
    component: str


@frozen
class Analytic:
    """One way to carry a detection strategy out: on which platforms, from which log sources."""

    id: str
    strategy: str
    platforms: tuple[str, ...]
    log_sources: tuple[LogSource, ...]
    mutable_elements: tuple[str, ...]

    @property
    def url(self) -> str:
        """The analytic's place on the page of its strategy."""
        return f"{_SITE}/detectionstrategies/{self.strategy}#{self.id}"


@frozen
class Strategy:
    """A detection strategy: the technique that it detects, and the ids of its analytics."""

    id: str
    name: str
    technique: str
    analytics: tuple[str, ...]

    @property
    def url(self) -> str:
        """The strategy's page."""
        return f"{_SITE}/detectionstrategies/{self.id}/"


@frozen(eq=False, slots=False)
class Attack:
    """One version of ATT&CK's enterprise matrix. Immutable; everything is found by its id.

    ``version`` is ATT&CK's own (``18.1``), ``date`` the day its main version came out. ``others``
    are the names of groups, campaigns, software and mitigations by id (``G0007``, ``S0154``).

    >>> from carengine.attack import enterprise_attack
    >>> enterprise_attack().technique("T1086").id           # PowerShell has moved
    'T1059.001'
    >>> [tactic.name for tactic in enterprise_attack().tactics_of("T1003.001")]
    ['Credential Access']
    """

    version: str
    date: str
    tactics: tuple[Tactic, ...]
    techniques: Mapping[str, Technique] = field(repr=False)
    strategies: Mapping[str, Strategy] = field(repr=False)
    analytics: Mapping[str, Analytic] = field(repr=False)
    components: Mapping[str, DataComponent] = field(repr=False)
    others: Mapping[str, str] = field(factory=dict, repr=False)

    def technique(self, id_: str) -> Technique | None:
        """The technique of an id, followed to its successor where it has moved; None if unknown."""
        technique = self.techniques.get(id_.strip().upper())
        # A chain of successors has no circle where ATT&CK is right; a broken bundle may have one.
        for _ in range(8):
            if technique is None or not technique.successor:
                return technique
            technique = self.techniques.get(technique.successor)
        return technique

    def tactic(self, name: str) -> Tactic | None:
        """The tactic of an id, a short name or a name in any case; None if unknown.

        >>> from carengine.attack import enterprise_attack
        >>> known = enterprise_attack()
        >>> known.tactic("credential_access").id, known.tactic("TA0006").short_name
        ('TA0006', 'credential-access')
        """
        return self._tactics.get(_folded(name))

    def tactics_of(self, technique: str) -> tuple[Tactic, ...]:
        """The tactics of a technique's id, in the order of the matrix; none if it is unknown."""
        known = self.technique(technique)
        names = frozenset(() if known is None else known.tactics)
        return tuple(tactic for tactic in self.tactics if tactic.short_name in names)

    def strategies_of(self, technique: str) -> tuple[Strategy, ...]:
        """The detection strategies of a technique's id."""
        known = self.technique(technique)
        return () if known is None else self._strategies.get(known.id, ())

    def technique_of_analytic(self, id_: str) -> Technique | None:
        """The technique that an analytic detects, by its strategy; None for an unknown id.

        >>> from carengine.attack import enterprise_attack
        >>> enterprise_attack().technique_of_analytic("AN1030").name
        'LSASS Memory'
        """
        analytic = self.analytics.get(id_.strip().upper())
        strategy = None if analytic is None else self.strategies.get(analytic.strategy)
        return None if strategy is None else self.technique(strategy.technique)

    def log_sources(self) -> Iterator[LogSource]:
        """Every log source that some analytic names, each once, in the order of the analytics."""
        seen: dict[LogSource, None] = {}
        for analytic in self.analytics.values():
            seen.update(dict.fromkeys(analytic.log_sources))
        return iter(seen)

    @cached_property
    def _tactics(self) -> Mapping[str, Tactic]:
        return {
            _folded(name): tactic
            for tactic in self.tactics
            for name in (tactic.id, tactic.short_name, tactic.name)
        }

    @cached_property
    def _strategies(self) -> Mapping[str, tuple[Strategy, ...]]:
        of: dict[str, list[Strategy]] = {}
        for strategy in self.strategies.values():
            of.setdefault(strategy.technique, []).append(strategy)
        return {technique: tuple(strategies) for technique, strategies in of.items()}


def _folded(name: str) -> str:
    return name.strip().lower().replace("_", "-").replace(" ", "-")
