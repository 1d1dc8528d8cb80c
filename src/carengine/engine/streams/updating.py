"""A flow that goes on with other rules: what nodes of equal plans hold is taken over.

What a node holds depends on its plan and on the events, and on nothing else of the rules. So a state
says of each node which plan it is for, as a digest; a flow of other rules takes over the state of
every node that it has too, and names the others. A rule that is the same has the same nodes, so that
its windows go on as if nothing had happened.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from typing import Any

from .flow import Flow
from .node import Restore
from .rows import EventRow


def digest_of(part: object) -> str:
    """A text that is equal for equal parts of the IR, in every process."""
    return hashlib.sha256(repr(part).encode("utf-8", "backslashreplace")).hexdigest()


def contents_of(flow: Flow) -> list[list[Any]]:
    """For each node of a flow: the digest of what it is for, what it is called, and how many rows
    it holds."""
    digests = digests_of(flow)[0]
    return [
        [
            # What a node holds that was given up is not whole.
            "" if flow.is_given_up(node) else digest,
            flow.described(number),
            node.held_rows(),
        ]
        for number, (node, digest) in enumerate(zip(flow.nodes, digests, strict=True))
    ]


def digests_of(flow: Flow) -> tuple[list[str], list[str]]:
    """The digests of the nodes of a flow, and of the stages that feed it, in their order."""
    if flow.digests is None:
        names = {id(node): digest_of(what) for what, node in flow.purposes()}
        nodes = [names[id(node)] for node in flow.nodes]
        flow.digests = (nodes, [digest_of(stage) for stage in flow.stages])
    return flow.digests


def take_over(flow: Flow, data: Any, reader: Restore) -> Counter[str]:
    """Give a new flow what a flow of other rules held, as its saved state says; what was dropped:
    rows by what the node was.

    Raises what comes of data that no flow saves.
    """
    _take_clock(flow, data)
    flow.load_merged(data)
    states = {
        content[0]: (state, content)
        for content, state in zip(data["contents"], data["nodes"], strict=True)
    }
    by_digest = {digest: number for number, digest in enumerate(data["stages"])}
    nodes, stages = digests_of(flow)
    own = {
        by_digest[digest]: stage
        for stage, digest in zip(flow.stages, stages, strict=True)
        if digest in by_digest
    }
    dropped: Counter[str] = Counter()
    for item, numbers in data["untimed"]:
        row = reader.row(item)
        if not isinstance(row, EventRow):
            raise ValueError("no event")
        if passed := [own[number] for number in numbers if number in own]:
            flow.feed(row.occurrence, passed)
        else:
            dropped["events without a time"] += 1
    for node, digest in zip(flow.nodes, nodes, strict=True):
        state, _ = states.pop(digest, (None, None))
        if state is not None:
            node.load(state, reader)
    for _, (_, name, rows) in states.values():
        if rows:
            dropped[str(name)] += int(rows)
    return dropped


def _take_clock(flow: Flow, data: Any) -> None:
    clock, latest, forced = data["clock"], data["latest"], data["forced"]
    if not all(one is None or type(one) is int for one in (clock, latest)):
        raise ValueError("flow.clock and flow.latest are times")
    flow.set_clock(-math.inf if clock is None else clock, latest)
    flow.forced = int(forced)
    flow.dropped = Counter({str(what): int(number) for what, number in data["dropped"].items()})
