"""What went through a session, counted.

Counting an event is one step, since all events alike come to one leaf; the counts by map and by
kind are summed up when somebody asks for them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from attrs import define, evolve, field

from .. import ir
from ..diagnostics import Code, Diagnostic, codes, counted
from . import rule_faults
from .classes import Classified
from .clocks import Clocks, since
from .match import Origin
from .matcher import Leaf
from .notebook import stats_as_html
from .rule_faults import LeftOut, RuleFaults
from .saved_session import kinds_as_data, kinds_from_data

# So many different combinations of classes come from hostile events only.
_MOST_COUNTS = 1_000


WithoutFields = tuple[str, ir.EventKind, str]
"""Where events without fields are: the name of the map, the kind, the source of evidence."""


_NAMED_CLASSES = 5
_NAMED_ORIGINS = 20


@define(eq=False)
class _Sums:
    """The counts that are summed up."""

    events: int = 0
    unrecognised: int = 0
    claimed_twice: int = 0
    claimants: Counter[tuple[str, ...]] = field(factory=Counter)
    recognised: Counter[str] = field(factory=Counter)
    kinds: Counter[tuple[str, ir.EventKind]] = field(factory=Counter)

    def add(self, classified: Classified | None, number: int) -> None:
        assert classified is not None
        names = tuple(fieldmap.name for fieldmap in classified.maps)
        self.events += number
        if not names:
            self.unrecognised += number
        # Maps of log sources alone give every event of a channel a name, and claim none.
        claiming = tuple(fieldmap.name for fieldmap in classified.maps if fieldmap.kinds())
        if len(claiming) > 1:
            self.claimed_twice += number
            self.claimants[claiming] += number
        for name in names:
            self.recognised[name] += number
        for one in classified.classes:
            self.kinds[one.fieldmap.name, one.entry.kind] += number

    def copy(self) -> _Sums:
        return evolve(
            self,
            claimants=Counter(self.claimants),
            recognised=Counter(self.recognised),
            kinds=Counter(self.kinds),
        )


class SessionStats:
    """What went through a session.

    ``events`` is how many were fed; ``recognised`` counts them by field map, ``kinds`` by map and
    CAR kind (an event may be several), ``unrecognised`` those that no map claims. ``claimed_twice``
    counts events that two maps claim, ``claimants`` by the names of these maps. ``matches`` counts
    by rule id.

    ``without_fields`` counts, by field map, kind and source of evidence, recognised events that are
    of a CAR kind or a category of Sigma's and have no field of it but when and where they were:
    most likely a tool wrote them in a way that the map does not know. They are counted where an
    event is decoded whole; lines of such events are, once one was met, but for what the prefilter
    has learned before. The source is empty where it is not known, and of more than 1,000
    combinations.

    ``late`` counts events that a join or a group wanted and that came later than allowed: they took
    no part in it; ``late_by`` is by how much at most, in microseconds. ``untimed`` counts those
    that one wanted and that have no time: they wait for the end of the data, and are near nothing
    but each other. The first few of both are named in ``late_origins`` and ``untimed_origins``.

    >>> import carengine
    >>> rule = carengine.parse_rule('a = search Process:Create where exe = "x.exe" output a')
    >>> event = {"object": "process", "action": "create", "exe": "x.exe", "pid": 7}
    >>> session = carengine.Engine([rule]).session()
    >>> matches = session.feed(event) + session.feed({"unlike": "any log"})
    >>> session.stats.events, session.stats.unrecognised, session.stats.matches
    (2, 1, Counter({'<text>': 1}))
    """

    def __init__(self, left_out: LeftOut | None = None) -> None:
        self.recent: dict[Leaf[Classified], int] = {}
        """How many events of late came to which leaf of the engine's tree."""
        self._sums = _Sums()
        self.matches: Counter[str] = Counter()
        self.without_fields: Counter[WithoutFields] = Counter()
        self.leaves_without_fields: set[Leaf[Classified]] = set()
        """Where such events came to: lines there are decoded whole."""
        self.clocks = Clocks()
        """How far the times of an event are apart that has several."""
        self.faults = RuleFaults(LeftOut() if left_out is None else left_out)
        """The rules that a fault of the program befell."""
        self.late = 0
        self.late_by = 0
        self.untimed = 0
        self.late_origins: list[str] = []
        self.untimed_origins: list[str] = []
        self.unread_objects: Counter[str] = Counter()
        """Python objects in events whose own code failed when they were read, by class: an empty
        mapping stands for each."""

    def met(self, leaf: Leaf[Classified], times: int = 1) -> None:
        """Count an event, or several."""
        recent = self.recent
        if leaf in recent:
            recent[leaf] += times
            return
        if len(recent) >= _MOST_COUNTS:
            for known_leaf, number in recent.items():
                self._sums.add(known_leaf.target, number)
            recent.clear()
        recent[leaf] = times

    def pass_over(self, leaf: Leaf[Classified], events: int, source: str = "") -> None:
        """Count so many events of a leaf that are not fed, since no rule matches them.

        Those without fields are told by `note_fields`.
        """
        self.met(leaf, events)
        assert leaf.target is not None
        if leaf.target.classes:
            self.clocks.pass_over(id(leaf), source, events)

    def note_fields(
        self,
        leaf: Leaf[Classified],
        event: Mapping[str, Any],
        source: str = "",
        times: int = 1,
    ) -> None:
        """Count an (unwrapped) event of a leaf that has no fields, or several alike."""
        assert leaf.target is not None
        empty: tuple[str, ir.EventKind] | None = None
        for one in leaf.target.classes:
            says = one.entry.reader.says_something(event)
            if says:
                return
            if says is False:
                empty = empty or (one.fieldmap.name, one.entry.kind)
        if empty:
            self._without_fields(leaf, empty, source, times)

    def _without_fields(
        self, leaf: Leaf[Classified], empty: tuple[str, ir.EventKind], source: str, times: int
    ) -> None:
        key = (*empty, source)
        if key not in self.without_fields and len(self.without_fields) >= _MOST_COUNTS:
            key = (*empty, "")
        self.without_fields[key] += times
        if len(self.leaves_without_fields) < _MOST_COUNTS:
            self.leaves_without_fields.add(leaf)

    def note_silent(self, leaf: Leaf[Classified], source: str, times: int) -> None:
        """Count events of a leaf that are known to have no fields."""
        assert leaf.target is not None
        for one in leaf.target.classes:
            reader = one.entry.reader
            if reader.telling_prefix is not None or reader.telling_values:
                self._without_fields(leaf, (one.fieldmap.name, one.entry.kind), source, times)
                return

    def note_clocks(
        self, leaf: Leaf[Classified], event: Mapping[str, Any], source: str = ""
    ) -> None:
        """Look at the times of an (unwrapped) event, if it is one of those that are looked at."""
        assert leaf.target is not None
        if not leaf.target.classes or not self.clocks.wants(id(leaf), source):
            return
        for one in leaf.target.classes:
            if clocks := one.entry.reader.clocks(event):
                self.clocks.note(source, clocks)
                return

    def of_objects(self) -> list[Diagnostic]:
        """What there is to say of objects in events that could not be read (CE555)."""
        if not self.unread_objects:
            return []
        message = (
            f"{counted(self.unread_objects.total(), 'value')} of events from Python could not be "
            "read: the code of their own class failed. Rules see an empty mapping"
        )
        named = self.unread_objects.most_common(_NAMED_CLASSES)
        notes = [f"{name}: {number:,}" for name, number in named]
        if (more := len(self.unread_objects) - len(named)) > 0:
            notes.append(f"and {counted(more, 'class', 'classes')} more")
        return [Diagnostic(codes.UNREAD_OBJECTS, message, notes=tuple(notes))]

    def of_times(self) -> list[Diagnostic]:
        """What there is to say of events that came too late, or without a time, or with two (CE540,
        CE541, CE551)."""
        diagnostics: list[Diagnostic] = []
        if self.late:
            message = (
                f"{counted(self.late, 'event')} came later than allowed, "
                f"by up to {_length(self.late_by)}, and took no part in joins and groups"
            )
            diagnostics.append(_about(codes.LATE_EVENTS, message, self.late_origins, self.late))
        if self.untimed:
            message = (
                f"{counted(self.untimed, 'event')} without a time: joins and groups hold them back "
                "to the end of the data, and bring them together with each other only"
            )
            diagnostics.append(
                _about(codes.UNTIMED_EVENTS, message, self.untimed_origins, self.untimed)
            )
        return diagnostics + self.clocks.diagnostics()

    def _summed(self) -> _Sums:
        sums = self._sums.copy()
        for leaf, number in self.recent.items():
            sums.add(leaf.target, number)
        return sums

    @property
    def events(self) -> int:
        """How many events were fed."""
        return self._sums.events + sum(self.recent.values())

    @property
    def unrecognised(self) -> int:
        """How many events no map claims."""
        return self._summed().unrecognised

    @property
    def claimed_twice(self) -> int:
        """How many events two maps claim, or more."""
        return self._summed().claimed_twice

    @property
    def claimants(self) -> Counter[tuple[str, ...]]:
        """These by the names of the maps."""
        return self._summed().claimants

    @property
    def recognised(self) -> Counter[str]:
        """How many events each field map recognises, by its name."""
        return self._summed().recognised

    @property
    def kinds(self) -> Counter[tuple[str, ir.EventKind]]:
        """How many events there are of each map and CAR kind."""
        return self._summed().kinds

    @property
    def shaped(self) -> int:
        """How many events had a known shape."""
        sums = self._summed()
        return sums.events - sums.unrecognised

    def _repr_html_(self) -> str:
        return stats_as_html(self)

    def as_data(self) -> dict[str, Any]:
        """The account as plain data, for `restore`."""
        sums = self._summed()
        return {
            "events": sums.events,
            "unrecognised": sums.unrecognised,
            "claimed_twice": sums.claimed_twice,
            "recognised": sums.recognised,
            "matches": self.matches,
            "without_fields": [
                [name, kind.object, kind.action, source, number]
                for (name, kind, source), number in self.without_fields.items()
            ],
            "clocks": self.clocks.as_data(),
            "faults": self.faults.as_data(),
            "late": self.late,
            "late_by": self.late_by,
            "untimed": self.untimed,
            "late_origins": self.late_origins,
            "untimed_origins": self.untimed_origins,
            "unread_objects": self.unread_objects,
            "claimants": [[list(names), number] for names, number in sums.claimants.items()],
            "kinds": kinds_as_data(sums.kinds),
        }

    def restore(self, data: Mapping[str, Any]) -> None:
        """Take over the counts that `as_data` gave. Raises what comes of data that are not such."""
        self.recent.clear()
        self._sums = _Sums(
            events=int(data["events"]),
            unrecognised=int(data["unrecognised"]),
            claimed_twice=int(data["claimed_twice"]),
            claimants=Counter({tuple(names): number for names, number in data["claimants"]}),
            recognised=Counter(data["recognised"]),
            kinds=kinds_from_data(data["kinds"]),
        )
        self.matches = Counter(data["matches"])
        # A state that was saved before these were counted has none.
        self.without_fields = _without_fields(data.get("without_fields", ()))
        self.clocks = Clocks()
        self.clocks.add(data.get("clocks", ()))
        # What was left out then is made ready anew.
        self.faults.add(row for row in data.get("faults", ()) if row[-1])
        self.late, self.late_by = int(data["late"]), int(data["late_by"])
        self.untimed = int(data["untimed"])
        self.late_origins = list(data["late_origins"])
        self.untimed_origins = list(data["untimed_origins"])
        self.unread_objects = Counter(
            {str(name): int(number) for name, number in data.get("unread_objects", {}).items()}
        )
        counts: dict[str, Counter[Any]] = {
            "claimants": self._sums.claimants,
            "recognised": self._sums.recognised,
            "matches": self.matches,
            "without_fields": self.without_fields,
        }
        for name, counter in counts.items():
            if any(type(number) is not int for number in counter.values()):
                raise ValueError(f"account.{name} has what is no whole number")
        for name in ("late_origins", "untimed_origins"):
            if not all(isinstance(origin, str) for origin in data[name]):
                raise ValueError(f"account.{name} has what is no text")

    def add(self, data: Mapping[str, Any]) -> None:
        """Count in what another account had met in the meantime, as `difference` gave it."""
        sums = self._sums
        sums.events += data["events"]
        sums.unrecognised += data["unrecognised"]
        sums.claimed_twice += data["claimed_twice"]
        sums.recognised.update(data["recognised"])
        sums.claimants.update({tuple(names): number for names, number in data["claimants"]})
        sums.kinds.update(kinds_from_data(data["kinds"]))
        self.matches.update(data["matches"])
        self.without_fields.update(_without_fields(data["without_fields"]))
        self.clocks.add(data["clocks"])
        self.faults.add(data["faults"])


def _without_fields(data: Any) -> Counter[WithoutFields]:
    return Counter({(name, ir.EventKind(o, a), source): n for name, o, a, source, n in data})


def difference(
    after: SessionStats, before: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """What an account has met since ``before``, and the ``before`` of the next time; both are plain
    data.

    The first ``before`` is an empty mapping. What concerns joins and groups only is left out.

    >>> stats = SessionStats()
    >>> first, before = difference(stats, {})
    >>> first["events"], difference(stats, before)[0]["matches"]
    (0, {})
    """
    now = after.as_data()
    plain = {
        **{name: now[name] for name in ("events", "unrecognised", "claimed_twice")},
        **{name: dict(now[name]) for name in ("recognised", "matches")},
        "without_fields": {tuple(key): number for *key, number in now["without_fields"]},
        "claimants": {tuple(names): number for names, number in now["claimants"]},
        "kinds": {tuple(key): number for *key, number in now["kinds"]},
    }
    more_clocks = since(now["clocks"], before.get("clocks_known", {}))
    more_counts: dict[str, Any] = {}
    for name, value in plain.items():
        if isinstance(value, dict):
            known = before.get(name, {})
            more_counts[name] = {
                key: more for key, number in value.items() if (more := number - known.get(key, 0))
            }
        else:
            more_counts[name] = value - before.get(name, 0)
    more_counts["claimants"] = [
        [list(names), number] for names, number in more_counts["claimants"].items()
    ]
    for name in ("kinds", "without_fields"):
        more_counts[name] = [[*key, number] for key, number in more_counts[name].items()]
    more_counts["clocks"] = more_clocks
    more_counts["faults"] = rule_faults.since(now["faults"], before.get("faults_known", {}))
    plain["faults_known"] = {tuple(key): number for *key, number in now["faults"]}
    plain["clocks_known"] = {tuple(key): numbers[:2] for *key, numbers in _keyed(now["clocks"])}
    return more_counts, plain


def _keyed(clocks: list[list[Any]]) -> list[tuple[Any, ...]]:
    return [(*row[:3], row[3:]) for row in clocks]


def _length(microseconds: int) -> str:
    """A length of time in words, rounded up to what matters."""
    unit = next((unit for unit in (60_000_000, 1_000_000, 1_000) if microseconds >= 2 * unit), 1)
    from ..ir_text import value_text

    return value_text(ir.Duration(-(-microseconds // unit) * unit))


def _about(code: Code, message: str, origins: list[str], number: int) -> Diagnostic:
    more = f" and {number - len(origins):,} more" if origins and number > len(origins) else ""
    return Diagnostic(code, message, notes=(", ".join(origins) + more,) if origins else ())


def name_origin(origins: list[str], origin: Origin | None) -> None:
    """Name where an event came from, of the first few."""
    if origin is not None and len(origins) < _NAMED_ORIGINS:
        origins.append(f"{origin.source}:{origin.record}")
