"""Sessions on disk: what a session holds, as JSON, and back.

A state file holds plain data only, so that reading one runs no code. Events that several rows share
are written once::

    {"sha256": "…", "carengine": 3, "fingerprint": "…", "options": {…}, "account": {…}, "attached":
    {…},
     "events": [["process", "create", {fields}, time, {event}, "x.jsonl", 17], …],
     "flow": {"clock": …, "nodes": [state of each node, …]}}

    row = ["e", 3]                      event 3        ["e", 3, {assigned}, [times]]
        | ["e", 3, {…}, […], [7]]                      which stands for event 7 too
        | ["r", {columns}, [times], row]               a projection
        | ["j", [names], [rows]]                       a joined row
        | ["g", {keys}, [times], [rows]]               a group

The check sum at its head is that of all that follows it: a file that was damaged is refused,
whatever it still looks like. The *fingerprint* is made of the rules, the field maps and the format;
a state of other ones is refused, since its nodes would mean something else. Files are replaced in
one step: what is at the path is the old state or the new one, whole, at any moment.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from typing import Any

from .. import ir
from ..diagnostics import CarError, Diagnostic, codes
from ..fieldmap import CarEvent, FieldMap, Sighting, entries_of, recognise, unwrap
from ..filewrite import bounded_text, replacing
from ..jsontext import DEPTH
from ..rule import Rule
from .match import Origin
from .streams.rows import EventRow, GroupRow, JoinRow, Occurrence, RecordRow, Row

FORMAT = 3
_OLDER = (1, 2)
_MOST_BYTES = 8 << 30
_SEAL = '{"sha256":"%s",'
# Events are no deeper than `jsontext.DEPTH`, and rules nest values 150 deep at most: what is deeper
# is left out.
_DEPTH = DEPTH + 150


def fingerprint(rules: Iterable[Rule], maps: Iterable[FieldMap]) -> str:
    """A text that is equal for equal rules and field maps, in every process."""
    digest = hashlib.sha256(f"carengine {FORMAT}\n".encode())
    for rule in rules:
        digest.update(f"{rule.id}\n{rule.program!r}\n".encode("utf-8", "backslashreplace"))
    for fieldmap in maps:
        digest.update(f"{fieldmap!r}\n".encode("utf-8", "backslashreplace"))
    return digest.hexdigest()


def refused(path: str | Path, message: str, *notes: str) -> CarError:
    """The error of a state file that cannot be used."""
    return CarError([Diagnostic(codes.BAD_STATE, message, origin=str(path), notes=notes)])


def sealed(state: Mapping[str, Any]) -> str:
    """A state as text, with its check sum at the head. Raises what comes of data that JSON has
    not.

    ``events``, which are most of it, are written one by one: a thread that does it lets others run
    in between.
    """
    rest = dict(state)
    given = rest.pop("events", None)
    events = given.events if isinstance(given, RowEncoder) else given
    if not isinstance(events, list):
        text = json.dumps(state, separators=(",", ":")).removeprefix("{")
    else:
        text = json.dumps(rest, separators=(",", ":")).removeprefix("{")
        written = ",".join(json.dumps(one, separators=(",", ":")) for one in events)
        text = f'{text[:-1]},"events":[{written}]}}'
    return _SEAL % _sum(text) + text


def unsealed(
    text: str,
    name: str | Path,
    key: str = "carengine",
    version: int = FORMAT,
    older: Sequence[int] = (),
) -> Any:
    """The state of a text that `sealed` gave; ``key`` has its version, or one of ``older``. Raises
    `CarError`."""
    try:
        state = json.loads(text)
    except (ValueError, RecursionError):
        raise refused(name, "this is not a state file, or a damaged one") from None
    if not isinstance(state, dict) or state.get(key) not in (version, *older):
        raise refused(name, "this is not a state file of this version")
    seal = _SEAL % state.get("sha256")
    if not text.startswith(seal) or state["sha256"] != _sum(text[len(seal) :]):
        raise refused(name, "the state file is damaged: its check sum is another")
    return state


def sealed_state(path: str | Path, state: Mapping[str, Any]) -> str:
    """`sealed`; raises `CarError` where an event is no plain data."""
    try:
        return sealed(state)
    except (TypeError, ValueError, RecursionError) as error:
        message = f"the session holds an event that is no plain data: {error}"
        raise refused(path, message) from None


def write_state(path: str | Path, state: Mapping[str, Any]) -> None:
    """Put a state in the place of the one at the path, in one step. Raises `CarError`."""
    target = Path(path)
    text = sealed_state(path, state)
    try:
        with replacing(target) as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        folder = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise refused(path, f"the state cannot be written: {error.strerror}") from None


def read_state(path: str | Path | bytes) -> dict[str, Any]:
    """The state at a path, or of the bytes that `Session.dump` gave. Raises `CarError` where there
    is none, or something else."""
    name = "<dumped session>" if isinstance(path, bytes) else path
    try:
        if isinstance(path, bytes):
            text = path.decode("ascii")
        else:
            text = bounded_text(path, "ascii", _MOST_BYTES)
    except OSError as error:
        raise refused(name, f"the state cannot be read: {error.strerror}") from None
    except ValueError:
        raise refused(name, "this is not a state file, or a damaged one") from None
    state: dict[str, Any] = unsealed(text, name, older=_OLDER)
    return state


def _sum(text: str) -> str:
    return hashlib.sha256(text.encode("ascii")).hexdigest()


class RowEncoder:
    """Rows to plain data. `events` is the table that they refer to.

    Rows are written at once; what the events hold only when `events` is asked for, since that is
    most of the work, and a session may go on meanwhile.
    """

    def __init__(self) -> None:
        self._seen: list[Occurrence] = []
        self._numbers: dict[int, int] = {}

    @property
    def events(self) -> list[Any]:
        """The events as plain data. They never change, so that any thread may ask, at any time."""
        return [_event_as_data(seen) for seen in self._seen]

    def occurrence(self, seen: Occurrence) -> int:
        """The number of an event in the table."""
        number = self._numbers.get(id(seen))
        if number is None:
            number = self._numbers[id(seen)] = len(self._seen)
            self._seen.append(seen)
        return number

    def row(self, row: Row) -> Any:
        """A row as plain data."""
        match row:
            case EventRow(occurrence, assigned, times, also):
                number = self.occurrence(occurrence)
                if also:
                    others = [self.occurrence(one) for one in also]
                    return ["e", number, pruned(assigned), sorted(times), others]
                return ["e", number, pruned(assigned), sorted(times)] if assigned else ["e", number]
            case RecordRow(columns, base, times):
                return ["r", pruned(columns), sorted(times), self.row(base)]
            case JoinRow(names, parts):
                return ["j", list(names), [self.row(part) for part in parts]]
            case GroupRow(keys, members, times):
                return ["g", pruned(keys), sorted(times), [self.row(row) for row in members]]

    def key(self, key: Any) -> Any:
        """A value that rows were compared by."""
        match key:
            case tuple():
                return ["t", *map(self.key, key)]
            case IPv4Address() | IPv6Address():
                return ["a", str(key)]
            case _:
                return key


def _event_as_data(seen: Occurrence) -> list[Any]:
    view, origin = seen.view, seen.origin
    return [
        view.kind.object,
        view.kind.action,
        pruned(view.fields),
        view.time,
        pruned(view.raw),
        None if origin is None else origin.source,
        None if origin is None else origin.record,
        *([] if seen.sighting is None else [seen.sighting.as_data()]),
    ]


def pruned(value: Any, depth: int = _DEPTH) -> Any:
    """A value without what is nested deeper than JSON can be read back; tuples become lists."""
    match value:
        case str() | int() | float() | bool() | None:
            return value
        case Mapping():
            return {k: pruned(v, depth - 1) for k, v in value.items()} if depth else None
        case list() | tuple():
            return [pruned(item, depth - 1) for item in value] if depth else None
        case _:
            raise TypeError(f"{type(value).__name__} is no JSON value")


class RowDecoder:
    """Plain data to rows. ``maps`` give the events of log sources their native names back."""

    def __init__(self, events: Iterable[Any], maps: Sequence[FieldMap] = ()) -> None:
        self.occurrences = []
        for number, event in enumerate(events):
            try:
                self.occurrences.append(_occurrence(event, maps))
            except (TypeError, ValueError) as error:
                raise ValueError(f"events[{number}]: {error}") from None

    def row(self, data: Any) -> Row:
        """The row that was written."""
        match data:
            case ["e", int(number)] if 0 <= number < len(self.occurrences):
                return EventRow(self.occurrences[number])
            case ["e", int(number), dict(assigned), list(times)] if (
                0 <= number < len(self.occurrences)
            ):
                return EventRow(self.occurrences[number], assigned, _names(times))
            case ["e", int(number), dict(assigned), list(times), list(others)] if all(
                type(one) is int and 0 <= one < len(self.occurrences) for one in (number, *others)
            ):
                also = tuple(self.occurrences[one] for one in others)
                return EventRow(self.occurrences[number], assigned, _names(times), also)
            case ["r", dict(columns), list(times), base]:
                return RecordRow(columns, self.row(base), _names(times))
            case ["j", list(names), list(parts)] if len(names) == len(parts) > 0:
                branches = tuple(text_in(name, "a branch") for name in names)
                return JoinRow(branches, tuple(self.row(part) for part in parts))
            case ["g", dict(keys), list(times), list(members)] if members:
                return GroupRow(keys, tuple(self.row(row) for row in members), _names(times))
            case _:
                raise ValueError(f"{_short(data)} is no row")

    def key(self, data: Any) -> Any:
        """The value that was written."""
        match data:
            case ["t", *parts]:
                return tuple(map(self.key, parts))
            case ["a", str(text)]:
                return ip_address(text)
            case _:
                return data


def whole_in(data: Any, what: str) -> int:
    """A whole number of a state; raises ``ValueError`` that says what is none."""
    if type(data) is not int:
        raise ValueError(f"{what} is {_short(data)}, and not a whole number")
    return data


def text_in(data: Any, what: str) -> str:
    """A text of a state; raises ``ValueError`` that says what is none."""
    if not isinstance(data, str):
        raise ValueError(f"{what} is {_short(data)}, and not a text")
    return data


def _names(data: list[Any]) -> frozenset[str]:
    return frozenset(text_in(name, "the name of a time") for name in data)


def _short(data: Any) -> str:
    text = json.dumps(data)
    return text if len(text) < 60 else text[:60] + "…"


def _occurrence(data: Any, maps: Sequence[FieldMap]) -> Occurrence:
    match data:
        case [
            str(object_),
            str(action),
            dict(fields),
            int() | None as time,
            dict(raw),
            source,
            record,
            *sighting,
        ] if len(sighting) < 2:
            pass
        case _:
            raise ValueError(f"{_short(data)} is no event")
    if not (isinstance(source, str | None) and isinstance(record, int | None)):
        raise ValueError(f"{_short([source, record])} is no origin")
    if isinstance(time, bool) or isinstance(record, bool):
        raise ValueError(f"{_short([time, record])}: a number is needed")
    origin = None if source is None or record is None else Origin(source, record)
    kind = ir.EventKind(object_, action)
    of_kind = [fieldmap for fieldmap in maps if kind in fieldmap.by_kind]
    native = None
    if any(kind in fieldmap.sources() for fieldmap in of_kind):
        inner = unwrap(raw)
        entries = (
            entry for found in recognise(inner, of_kind) for entry in entries_of(inner, found)
        )
        native = next((entry.native for entry in entries if entry.kind == kind), None)
    seen = Sighting.of_data(sighting[0]) if sighting else None
    return Occurrence(CarEvent(kind, fields, time, raw, native), origin, seen)


def kinds_as_data(kinds: Counter[tuple[str, ir.EventKind]]) -> list[Any]:
    """Counts by map and kind as plain data."""
    return [[name, kind.object, kind.action, n] for (name, kind), n in kinds.items()]


def kinds_from_data(data: Any) -> Counter[tuple[str, ir.EventKind]]:
    """What `kinds_as_data` was made of."""
    return Counter(
        {
            (
                text_in(name, "a map"),
                ir.EventKind(text_in(o, "an object"), text_in(a, "an action")),
            ): (whole_in(n, "a count"))
            for name, o, a, n in data
        }
    )
