"""What a session holds as plain data, and sessions read back: see `Engine.load_session`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..diagnostics import CarError
from .saved_session import FORMAT, RowDecoder, RowEncoder, pruned, read_state, refused
from .streams import StreamOptions
from .streams.updating import contents_of, digests_of, take_over
from .updating import compared

if TYPE_CHECKING:
    from .engine import Engine
    from .session import Session
    from .streams.merging import Output


def state_of(session: Session, path: str | Path, *, whole: bool = True) -> dict[str, Any]:
    """The state as plain data; if not ``whole``, its events are made so when it is written."""
    writer = RowEncoder()
    engine, streams = session.engine, session.own_flow
    try:
        flow = None if streams is None else streams.save(writer)
        if flow is not None and streams is not None:
            flow["matches"] = streams.matches.save(writer, engine.rule_digests)
            flow["contents"] = contents_of(streams)
            flow["stages"] = digests_of(streams)[1]
        kept = pruned([session.stats.as_data(), session.attached])
        events = writer.events if whole else writer
    except TypeError as error:
        message = f"the session holds an event that is no plain data: {error}"
        raise refused(path, message) from None
    return {
        "carengine": FORMAT,
        "fingerprint": engine.fingerprint,
        "rules": engine.rule_digests,
        "options": session.options.as_data(),
        "account": kept[0],
        "attached": kept[1],
        "events": events,
        "flow": flow,
    }


def taken_over(session: Session, state: Mapping[str, Any]) -> Counter[str]:
    """Take over what a session of other rules held; what was dropped."""
    flow, streams = state["flow"], session.own_flow
    if flow is None:
        return Counter()
    if streams is None:
        return Counter({str(name): int(rows) for _, name, rows in flow["contents"] if rows})
    decoder = RowDecoder(state["events"], session.engine.maps)
    dropped = take_over(streams, flow, decoder)
    waited = _matches_taken(session, flow, decoder)
    return dropped + Counter({"matches that waited for other records": waited})


def _matches_taken(session: Session, flow: Mapping[str, Any], decoder: RowDecoder) -> int:
    """Take over the matches that waited; how many are of rules that are not here."""
    assert session.own_flow is not None
    engine = session.engine

    def output_of(rule_id: str, digest: str, output: str) -> Output | None:
        for place, rule in enumerate(engine.rules):
            if rule.id == rule_id and engine.rule_digests[rule_id] == digest:
                for at, one in enumerate(rule.program.outputs):
                    if one.name == output:
                        return rule, output, (place, at)
        return None

    return session.own_flow.matches.load(flow.get("matches", ()), decoder, output_of)


def _restore(session: Session, state: Mapping[str, Any], *, same: bool) -> None:
    """Take over what another session was saved with; ``same`` where it had the same rules."""
    session.stats.restore(state["account"])
    session.attached = dict(state["attached"])
    engine, streams = session.engine, session.own_flow
    if not same:
        if "rules" not in state:
            rows = len(state["events"])  # what they are for is not known
            dropped = Counter({"a state of an earlier version": rows} if rows else {})
            session.updated = compared({}, engine.rule_digests, dropped)
            return
        dropped = taken_over(session, state)
        session.updated = compared(state["rules"], engine.rule_digests, dropped)
    elif streams is not None:
        decoder = RowDecoder(state["events"], engine.maps)
        streams.load(state["flow"], decoder)
        if _matches_taken(session, state["flow"], decoder):
            raise ValueError("flow.matches has those of other rules")


def load_session(
    engine: Engine,
    path: str | Path | bytes,
    options: StreamOptions | None = None,
    update: bool = False,
) -> Session:
    """The session that `Session.save` or `Session.dump` wrote: see `Engine.load_session`."""
    from .session import Session

    state = read_state(path)
    path = "<dumped session>" if isinstance(path, bytes) else path
    same = state.get("fingerprint") == engine.fingerprint
    if not same and not update:
        raise refused(
            path,
            "the state was made with other rules or field maps",
            "start afresh with another state file, or go back to those rules",
        )
    try:
        saved = StreamOptions.from_data(state["options"])
        if options is not None and options.meaning != saved.meaning:
            message = f"the state was made with other options: {saved.differences(options)}"
            raise refused(path, message)
        session = Session(engine, options or saved)
        _restore(session, state, same=same)
    except CarError:
        raise
    except Exception as error:
        # Its check sum is right: it was written so. Whatever is wrong in it is found here.
        raise refused(path, f"the state file holds what no session writes: {error}") from None
    return session
