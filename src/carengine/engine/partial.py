"""Runs in two halves, for any number of machines: partial results as bytes, and their merge.

A *partial result* is what a part of the events gives: the matches that single events decide, the
account, and, event by event, what joins, groups and windows would have been fed (`recording`). The
merge replays it in one session, so that matches, lateness and memory are those of one process that
was given the parts one after the other::

    {"sha256": "…", "carengine_partial": 2, "fingerprint": "…", "options": {…}, "account": {…},
     "unread_objects": {…}, "source": "…",
     "entries": [[record, [[place, match], …], [action, …]], …]}

It is JSON in ASCII, sealed as state files are (`saved_session`): reading one runs no code, and a
damaged one is refused, as is one of other rules, field maps, options or another version.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from ..diagnostics import CarError
from .match import Match, Origin
from .recording import EngineCodec, recording_session, replay
from .saved_session import pruned, refused, sealed, unsealed
from .session import Session
from .stats import difference
from .streams import StreamOptions

if TYPE_CHECKING:
    from .engine import Engine

_FORMAT = 2
_NAME = "<partial result>"


def write_partial(
    engine: Engine,
    events: Iterable[Mapping[str, Any]],
    options: StreamOptions | None,
    source: str,
    first: int,
) -> bytes:
    """The partial result of some events; see `Engine.partial`."""
    options = options or StreamOptions()
    codec = EngineCodec(engine)
    session, recording = recording_session(engine, codec, options)
    for number, event in enumerate(events, first):
        origin = Origin(source, number) if source else None
        matches = session.feed(event, origin)
        shown = [[codec.place_of(match), codec.encode_match(match)] for match in matches]
        recording.end_event(number, shown)
    account, _ = difference(session.stats, {})
    state = {
        "carengine_partial": _FORMAT,
        "fingerprint": engine.fingerprint,
        "options": options.as_data(),
        "account": account,
        "unread_objects": session.stats.unread_objects,
        "source": source,
        "entries": recording.taken(),
    }
    try:
        return sealed(pruned(state)).encode("ascii")
    except TypeError as error:
        message = f"an event is no plain data: {error}"
        raise refused(_NAME, message) from None


def merge_partials(
    engine: Engine, partials: Iterable[bytes], session: Session | None
) -> Iterator[Match]:
    """The matches of partial results together; see `Engine.merge`."""
    codec = EngineCodec(engine)
    for number, data in enumerate(partials, 1):
        name = f"<partial result {number}>"
        state = _read(engine, data, name)
        try:
            options = StreamOptions.from_data(state["options"])
            if session is None:
                session = engine.session(options)
            elif session.options.meaning != options.meaning:
                differences = options.differences(session.options)
                raise refused(name, f"it was made with other options: {differences}")
            yield from _taken_in(codec, session, state)
        except CarError:
            raise
        except Exception as error:
            raise refused(name, f"it holds what no engine writes: {error!r}") from None
    if session is not None:
        yield from session.flush()


def _read(engine: Engine, data: bytes, name: str) -> dict[str, Any]:
    state: dict[str, Any] = unsealed(
        bytes(data).decode("ascii", "replace"), name, "carengine_partial", _FORMAT
    )
    if state.get("fingerprint") != engine.fingerprint:
        message = "the partial result was made with other rules or field maps"
        raise refused(name, message, "make all parts and the merge with one engine")
    return state


def _taken_in(codec: EngineCodec, session: Session, state: Mapping[str, Any]) -> list[Match]:
    session.stats.add(state["account"])
    session.stats.unread_objects.update(
        {str(one): int(number) for one, number in state["unread_objects"].items()}
    )
    source = state["source"]
    found: list[Match] = []
    for number, matches, actions in state["entries"]:
        origin = Origin(source, number) if source else None
        placed = [
            ((rule, output), codec.decode_match((rule, output), data, origin))
            for (rule, output), data in matches
        ]
        if actions:
            arrived = replay(session, codec, actions, origin)
            if arrived:
                placed += arrived
                placed.sort(key=lambda item: item[0])
        found += [match for _, match in placed]
    return found
