"""What a report holds of one match: a row of the list, and the detail behind it.

The row has what is searched and filtered. The detail has each event whole, the values that decided
with the conditions they met, and the tree of conditions that `carengine.explain` gives.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from attrs import field, frozen

from ..engine import Engine, Match, MatchedEvent
from ..engine.report import Explanation, Node, explain
from ..fieldmap import unwrap
from ..jsontext import json_line
from ..values import text_of
from .identity import Identity, identity_of

_EVENTS = 50
"""Events of a match that the page shows; of a group there may be thousands."""
_NODES = 300
_DEPTH = 60
_UNDECIDING = 8
"""Parts of a condition that are shown although they do not decide."""
_VALUE = 4_096
_SHORT = 160
_SUMMARY = 420
_MOST_EVENT = 4 << 20
# What nearly every rule reads, and what tells nothing of the attack.
_EVERYWHERE = frozenset({"EventID", "Channel", "Provider_Name", "event_id", "log_name"})


@frozen
class MatchView:
    """One match as the page has it.

    ``time`` is in microseconds since 1970 UTC, None without one. ``summary`` are the values that
    decided, in a line; ``detail`` is what is read when somebody opens the match.
    """

    time: int | None
    host: str
    user: str
    source: str
    summary: str
    detail: Mapping[str, Any] = field(hash=False)
    processes: tuple[Identity, ...] = ()


def view_of(match: Match, engine: Engine) -> MatchView:
    """A match as the page has it. ``engine`` is the one that gave it."""
    identities = [identity_of(event, engine) for event in match.events[:_EVENTS]]
    events = []
    values: list[tuple[str, str]] = [
        (name, _short(match.shown(name, value))) for name, value in match.columns.items()
    ]
    for event, identity in zip(match.events, identities, strict=False):
        told, deciding = _event(match, event, identity, engine)
        events.append(told)
        values += deciding
    detail: dict[str, Any] = {
        "output": _cut(match.output, 200),
        "columns": {
            _cut(name, 200): _value(match.shown(name, value))
            for name, value in match.columns.items()
        },
        "events": events,
        "more": max(0, len(match.events) - _EVENTS),
    }
    first = match.events[0] if match.events else None
    origin = first.origin if first else None
    return MatchView(
        match.time,
        next((one.host for one in identities if one.host), ""),
        next((one.user for one in identities if one.user), ""),
        f"{origin.source}:{origin.record}" if origin else "",
        _summary(values, identities),
        detail,
        tuple(one for one in identities if one.has_process),
    )


def _event(
    match: Match, event: MatchedEvent, identity: Identity, engine: Engine
) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    """An event of a match as the page has it, and the values of it that decided."""
    try:
        # The engine knows at once which maps recognise the event; no other has to be tried.
        classes = engine.classify(unwrap(event.event)).classes
        maps = tuple(dict.fromkeys(one.fieldmap for one in classes)) or engine.maps
        trees, failed = list(_trees(match, event, explain(match.rule, event.event, maps))), ""
    except Exception as error:
        # A match without its reason is still a match; the page says what is missing.
        trees, failed = [], f"it could not be worked out: {type(error).__name__}: {error}"
    origin = event.origin
    raw: Any = event.event
    written = json_line(raw)
    told: dict[str, Any] = {
        "kind": str(event.kind),
        "time": event.time,
        "stream": event.stream,
        "source": origin.source if origin else "",
        "record": origin.record if origin else None,
        "fields": {_cut(name, 200): _value(value) for name, value in event.fields.items()},
        "why": [_Tree().node(tree, 0) for tree in trees],
    }
    if len(written) > _MOST_EVENT:
        told["tooLarge"] = len(written)
    else:
        told["event"] = raw
    if failed:
        told["failed"] = _cut(failed, 500)
    if identity.has_process:
        told["process"] = {
            "host": identity.host,
            "guid": identity.guid,
            "pid": identity.pid,
            "image": _cut(identity.image, 500),
            "commandLine": _cut(identity.command_line, _VALUE),
        }
    leaves = [leaf for tree in trees for leaf in _deciding(tree)]
    told["deciding"] = [
        {
            "name": _cut(item.car, 200),
            "native": _cut(item.native, 200),
            "value": _value(item.value),
            "condition": _cut(leaf.condition, 500),
        }
        for leaf in leaves
        for item in leaf.operands
        if item.value is not None
    ][: _UNDECIDING * 4]
    pairs = [
        (item.car, _short(item.value))
        for leaf in leaves
        for item in leaf.operands
        if item.value is not None
    ]
    return told, pairs


def _trees(match: Match, event: MatchedEvent, explanation: Explanation) -> Iterator[Node]:
    """The conditions that the event met for this output; of several views those that are true."""
    for seen in explanation.views:
        if seen.kind != event.kind:
            continue
        for test in seen.tests:
            if test.output != match.output or test.tree is None or test.verdict is False:
                continue
            if event.stream and test.branch and test.branch != event.stream.split(".")[-1]:
                continue
            yield test.tree


def _deciding(tree: Node) -> Iterator[Node]:
    """The conditions without parts that decide, in the order of the rule; none below a `not`."""
    work = [tree]
    while work:
        node = work.pop()
        if not node.decides or node.condition == "not":
            continue
        if node.children:
            work += reversed(node.children)
        elif node.verdict is True:
            yield node


class _Tree:
    """A tree of conditions as plain data, of bounded size; what is left out is counted."""

    def __init__(self) -> None:
        self._left = _NODES

    def node(self, node: Node, depth: int) -> dict[str, Any]:
        self._left -= 1
        told: dict[str, Any] = {
            "text": _cut(node.condition, 1_000),
            "verdict": node.verdict,
            "decides": node.decides,
        }
        if node.reason:
            told["reason"] = node.reason
        values = [
            {"car": _cut(one.car, 200), "native": _cut(one.native, 200), "value": _value(one.value)}
            for one in node.operands
        ]
        if values:
            told["values"] = values
        shown = list(self._chosen(node.children)) if depth < _DEPTH else []
        parts = [self.node(child, depth + 1) for child in shown if self._left > 0]
        if parts:
            told["parts"] = parts
        if len(parts) < len(node.children):
            told["hidden"] = len(node.children) - len(parts)
        return told

    def _chosen(self, children: Sequence[Node]) -> Iterator[Node]:
        room = _UNDECIDING
        for child in children:
            if child.decides:
                yield child
            elif room:
                room -= 1
                yield child


def _summary(values: Iterable[tuple[str, str]], identities: Sequence[Identity]) -> str:
    """What decided, in a line: what every rule reads comes last, nothing twice."""
    told: dict[tuple[str, str], None] = {}
    ranked = sorted(values, key=lambda pair: pair[0] in _EVERYWHERE)
    for name, value in ranked:
        told[_cut(name, 60), value] = None
    known = {value for _, value in told}
    for identity in identities[:1]:
        for name, text in (("command line", identity.command_line), ("image", identity.image)):
            if text and _short(text) not in known:
                told[name, _short(text)] = None
    return _cut("  ".join(f"{name}={value}" for name, value in told), _SUMMARY)


def _value(value: Any) -> Any:
    """A value of a field, cut where it is long: the event beside it has it whole."""
    if value is None or isinstance(value, bool | int | float):
        return value
    text = text_of(value)
    if text is None:
        text = json_line(value).decode("utf-8")
    return _cut(text, _VALUE)


def _short(value: Any) -> str:
    """A value for a line, cut in the middle: a path says most at its ends."""
    text = text_of(value)
    if text is None:
        text = json_line(value).decode("utf-8")
    if len(text) <= _SHORT:
        return text
    half = _SHORT // 2
    return f"{text[:half]} … {text[-half:]}"


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[:most]}… ({len(text):,} characters)"
