"""What a report holds of one match: a row of the list, and the detail behind it.

The row has what is searched and filtered: host, user and values are those that the table shows
(`carengine.matches`). The detail has each event whole, the values that decided with the conditions
they met, and the tree of conditions that `carengine.explain` gives.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from attrs import field, frozen

from ..engine import Engine, Match, MatchedEvent
from ..engine.report import Explanation, Node, explain
from ..fieldmap import unwrap
from ..jsontext import json_line
from ..matches import MatchReporter, MatchRow, ReportedEvent, ReportedValue, bounded
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
    tell, in a line; ``marks`` are the parts of it that decided, each as a start and an end in units
    of UTF-16, as JavaScript counts. ``detail`` is what is read when somebody opens the match.
    """

    time: int | None
    host: str
    user: str
    source: str
    summary: str
    marks: tuple[int, ...]
    detail: Mapping[str, Any] = field(hash=False)
    processes: tuple[Identity, ...] = ()


def view_of(match: Match, engine: Engine, reporter: MatchReporter) -> MatchView:
    """A match as the page has it. ``engine`` is the one that gave it, ``reporter`` one with its
    maps."""
    row = reporter.row(match)
    shown = row.events[:_EVENTS]
    identities = [identity_of(event.event, engine) for event in shown]
    detail: dict[str, Any] = {
        "output": _cut(match.output, 200),
        "columns": {_cut(value.name, 200): _cut(value.text, _VALUE) for value in row.columns},
        "events": [
            _event(match, event, identity, engine)
            for event, identity in zip(shown, identities, strict=True)
        ],
        "more": len(row.events) - len(shown),
    }
    first = row.events[0] if row.events else None
    summary, marks = _summary(row)
    return MatchView(
        row.time,
        row.host,
        row.user,
        f"{first.source}:{first.record}" if first and first.source else "",
        summary,
        marks,
        detail,
        tuple(one for one in identities if one.has_process),
    )


def _event(
    match: Match, reported: ReportedEvent, identity: Identity, engine: Engine
) -> dict[str, Any]:
    """An event of a match as the page has it."""
    event = reported.event
    try:
        # The engine knows at once which maps recognise the event; no other has to be tried.
        classes = engine.classify(unwrap(event.event)).classes
        maps = tuple(dict.fromkeys(one.fieldmap for one in classes)) or engine.maps
        trees, failed = list(_trees(match, event, explain(match.rule, event.event, maps))), ""
    except Exception as error:
        # A match without its reason is still a match; the page says what is missing.
        trees, failed = [], f"it could not be worked out: {type(error).__name__}: {error}"
    raw: Any = event.event
    written = json_line(raw)
    told: dict[str, Any] = {
        "kind": str(event.kind),
        "time": event.time,
        "stream": event.stream,
        "source": reported.source,
        "record": reported.record,
        "also": [
            f"{one.origin.source}:{one.origin.record}"
            for one in event.also
            if one.origin is not None
        ],
        "fields": {_cut(name, 200): _value(value) for name, value in event.fields.items()},
        "deciding": _deciding_values(reported, [leaf for tree in trees for leaf in _leaves(tree)]),
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
    return told


def _deciding_values(reported: ReportedEvent, leaves: Sequence[Node]) -> list[dict[str, Any]]:
    """The values that decided, each with the condition it met and the parts of it that did; what
    nearly every rule reads is last."""
    known = {value.name: value for value in reported.values if value.decides}
    told: list[dict[str, Any]] = []
    for leaf in leaves:
        for item in leaf.operands:
            if item.value is not None:
                whole = _value(item.value)
                value = known.get(item.car)
                # A span counts characters of the text; a value that is none is marked whole.
                spans = value.spans if value is not None and value.text == whole else ()
                told.append(
                    {
                        "name": _cut(item.car, 200),
                        "native": _cut(item.native, 200),
                        "value": whole,
                        "marks": _units(whole, spans) if spans else [],
                        "condition": _cut(leaf.condition, 500),
                    }
                )
    # A keyword is looked for in the whole event: the model says in which fields it stands.
    keywords = "; ".join(leaf.condition for leaf in leaves if not leaf.operands)
    named = {one["name"] for one in told}
    for value in known.values() if keywords else ():
        if value.name not in named and value.spans:
            cut = bounded(value, _VALUE)
            told.append(
                {
                    "name": _cut(value.name, 200),
                    "native": "",
                    "value": cut.text,
                    "marks": _units(cut.text, cut.spans),
                    "condition": _cut(keywords, 500),
                }
            )
    told.sort(key=lambda one: one["name"] in _EVERYWHERE)
    return told[: _UNDECIDING * 4]


def _units(text: Any, spans: Iterable[tuple[int, int]]) -> list[int]:
    """Starts and ends in characters as starts and ends in units of UTF-16."""
    ends = [end for span in spans for end in span]
    if not isinstance(text, str) or text.isascii():
        return ends
    return [end + sum(character > "\uffff" for character in text[:end]) for end in ends]


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


def _leaves(tree: Node) -> Iterator[Node]:
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


def _summary(row: MatchRow) -> tuple[str, tuple[int, ...]]:
    """What tells of a match, in a line, nothing twice; and the parts of it that decided."""
    values = [*row.columns, *(value for event in row.events[:_EVENTS] for value in event.values)]
    ranked = sorted(values, key=lambda value: (value.name in _EVERYWHERE, not value.decides))
    told: dict[tuple[str, str], ReportedValue] = {}
    for value in ranked:
        told.setdefault((value.name, value.text), value)
    text, spans = "", []
    for value in told.values():
        cut = bounded(value, _SHORT)
        head = f"{'  ' if text else ''}{_cut(value.name, 60)}="
        start = len(text) + len(head)
        if start + len(cut.text) > _SUMMARY:
            break
        text += head + cut.text
        spans += [(start + a, start + b) for a, b in cut.spans]
    return text, tuple(_units(text, spans))


def _value(value: Any) -> Any:
    """A value of a field, cut where it is long: the event beside it has it whole."""
    if value is None or isinstance(value, bool | int | float):
        return value
    text = text_of(value)
    if text is None:
        text = json_line(value).decode("utf-8")
    return _cut(text, _VALUE)


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[:most]}… ({len(text):,} characters)"
