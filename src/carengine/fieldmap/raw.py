"""Events by the names of their own fields: the map for logs that no map knows.

Sigma's rules name a log's own fields. So a rule can run on any log whose fields have these names,
once somebody says what the log is. A field ``a.b`` is found in ``{"a": {"b": 1}}`` and in
``{"a.b": 1}``, in lines of any format as in JSON.

    >>> import carengine
    >>> own = raw_map(["aws/cloudtrail"])
    >>> [str(kind) for kind in own.sources()]
    ['aws/cloudtrail', '*/cloudtrail', 'aws/*']

Without log sources the map is for rules of every log source. CAR's pseudocode runs on events that
have CAR's names, as the map `car` reads them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from attrs import evolve

from .. import ir
from .car_names import car_map
from .logsource import BY_OWN_NAMES, RAW, NamedLogSource
from .model import Entry, FieldMap, first_of

_ANY = "*"

# When it was, under the names that logs have for it; the first that is there.
_TIMES = (
    "@timestamp",
    "timestamp",
    "eventTime",
    "event_time",
    "event.created",
    "time",
    "datetime",
    "date_time",
    "_time",
    "ts",
    "when",
    "TimeCreated",
    "TimeGenerated",
    "UtcTime",
    "createdDateTime",
    "created_at",
    "published",
    "date",
)


def raw_map(
    logsources: Iterable[str | NamedLogSource] | None = None,
    *,
    beside: Sequence[FieldMap] = (),
    car: bool | None = None,
) -> FieldMap:
    """A field map that gives fields by their own names.

    ``logsources`` say what the events are (``"aws/cloudtrail"``, ``"webserver"``, ``"acme/audit
    where tenant exists"``); without them the events are of every log source that rules name.
    ``beside`` are the maps that are used together with it: an event that one of them recognises is
    left to it, for the log sources that it has. ``car`` says whether events in CAR's own names are
    CAR events too; by default they are where no log source is given.

    Raises `CarError` for a text that names no log source.

    >>> import carengine
    >>> own = raw_map(["acme/audit where tenant exists"])
    >>> own.recognises({"tenant": "a"}), own.recognises({"user": "ann"})
    (True, False)
    """
    given = [
        one if isinstance(one, NamedLogSource) else NamedLogSource.parse(one, "logsources")
        for one in logsources or ()
    ]
    entries = _entries(given, beside) if given else (_entry(_EVENT, (), ir.Truth(True)),)
    if given and not car:
        recognise = ir.simplify(_either(entry.when for entry in entries))
    else:
        recognise = ir.Truth(True)
        entries = (*car_map().entries, *entries)
    return FieldMap(RAW, "Fields by their own names", recognise, entries)


_EVENT = ir.EventKind(RAW, "event")


def _entries(given: list[NamedLogSource], beside: Sequence[FieldMap]) -> tuple[Entry, ...]:
    """An entry for the log sources that say the same of when: a rule for two of them looks at an
    event once."""
    groups: dict[tuple[ir.Condition, str], dict[ir.EventKind, None]] = {}
    for one in given:
        own = ir.EventKind(one.product, one.name)
        others = [m.recognise for m in beside if own in m.sources()]
        free = () if not others else (ir.Not(ir.IsTrue(_either(others))),)
        when = ir.simplify(ir.conjunction((*free, one.when)))
        groups.setdefault((when, one.service), {}).update(dict.fromkeys(one.kinds))
    made = []
    for (when, service), kinds in groups.items():
        first, *also = kinds
        made.append(_entry(first, tuple(also), when, service))
    return tuple(made)


def _entry(
    kind: ir.EventKind,
    also: tuple[ir.EventKind, ...],
    when: ir.Condition,
    service: str = "",
) -> Entry:
    names: dict[str, ir.Value] = {ir.SERVICE: ir.Constant(service)} if service else {}
    native = evolve(BY_OWN_NAMES, names=names)
    time = {"time": first_of([native.placed(tuple(name.split("."))) for name in _TIMES])}
    return Entry(kind, when, time, None, native, also, any_source=kind == _EVENT)


def _either(conditions: Iterable[ir.Condition]) -> ir.Condition:
    items = tuple(conditions)
    return items[0] if len(items) == 1 else ir.Or(items)
