"""Which fields a rule reads, and which values of an event decided that it matched.

A value decides where a test of it is true and the rule's verdict needs that test: all parts of an
``and``, the true parts of an ``or``. What stands under ``not`` tells what an event is not; it is
read, and does not decide.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from attrs import evolve, frozen

from .. import ir
from ..engine import MatchedEvent
from ..evaluate import NoContext, holds, regex_of, searchable, value_of
from ..fieldmap import CarEvent, CarRow, unwrap
from ..pattern import Any as AnyRun
from ..pattern import Pattern, fold
from ..rule import Rule
from ..values import text_of

_NO_CONTEXT = NoContext()
_LAST = frozenset({"EventID", "Channel", "Provider_Name"})
# More text than this is not searched for the place of a keyword: whoever looks sees the value.
_LONGEST = 1 << 20
Span = tuple[int, int]


@frozen
class DecidingField:
    """A field whose value decided a match, and the parts of its text that did (start, end)."""

    name: str
    spans: tuple[Span, ...] = ()


def fields_read(rule: Rule) -> tuple[str, ...]:
    """The names of the fields that a rule's conditions and groups read, as the rule calls them.

    A Sigma rule's own ``fields`` come first, then what is asked for, then what only
    exceptions read.

    >>> import carengine
    >>> rule = carengine.parse_rule('''
    ... a = search Process:Create where not user = "x" and exe = "y.exe" output a''')
    >>> fields_read(rule)
    ('exe', 'user')
    """
    asked: dict[str, None] = dict.fromkeys(rule.metadata.fields)
    denied: dict[str, None] = {}
    for plan in ir.every_plan(output.plan for output in rule.program.outputs):
        condition = ir.condition_of(plan)
        if condition is not None:
            for name, negative in _names(condition, False):
                (denied if negative else asked)[name] = None
        else:
            for value in ir.values_of_plan(plan):
                asked |= dict.fromkeys(field.name for field in ir.fields_in(value))
    names = [name for name in (*asked, *denied) if name not in (ir.SERVICE, "time")]
    return tuple(dict.fromkeys(sorted(names, key=lambda name: name in _LAST)))


def _names(condition: ir.Condition, negative: bool) -> Iterator[tuple[str, bool]]:
    """The fields of a condition, each with whether it stands under ``not``.

    A stack instead of recursion: conditions may be deep.
    """
    work = [(condition, negative)]
    while work:
        item, under = work.pop()
        match item:
            case ir.And(items) | ir.Or(items):
                work += [(part, under) for part in reversed(items)]
            case ir.Not(inner):
                work.append((inner, not under))
            case ir.IsTrue(inner):
                work.append((inner, under))
            case _:
                for value in ir.values_of(item):
                    for field in ir.fields_in(value):
                        yield field.name, under


def with_inner_fields(event: MatchedEvent, names: Iterable[str]) -> MatchedEvent:
    """An event of a match whose fields also have those of some names that are inside others:
    ``requestParameters.userName``.

    The fields of an event know them as long as they are read from the event itself; those of a
    match that comes from another process are a plain ``dict``.
    """
    inner: dict[str, Any] = {}
    raw: Mapping[str, Any] | None = None
    for name in names:
        if "." in name and name not in event.fields:
            raw = unwrap(event.event) if raw is None else raw
            value: Any = raw
            for part in name.split("."):
                value = value.get(part) if isinstance(value, Mapping) else None
            if value is not None:
                inner[name] = value
    return evolve(event, fields={**event.fields, **inner}) if inner else event


def deciding_values(rule: Rule, event: MatchedEvent) -> tuple[DecidingField, ...]:
    """The fields of an event of a match whose values decided, in the order of the rule.

    Of an event from another process `with_inner_fields` gives what is inside other fields.

    >>> import carengine
    >>> rule = carengine.parse_rule('a = search Process:Create where exe = "*x.exe" output a')
    >>> [match] = carengine.Engine([rule]).run(
    ...     [{"object": "process", "action": "create", "exe": "ax.exe"}])
    >>> deciding_values(rule, match.events[0])
    (DecidingField(name='exe', spans=((1, 6),)),)
    """
    from ..engine.report import streams_of

    row = CarRow(CarEvent(event.kind, event.fields, event.time, event.event))
    stages = [
        (branch, stage)
        for output in rule.program.outputs
        for branch, stage in streams_of(output.plan)
        if event.kind in stage.kinds
    ]
    own = [pair for pair in stages if event.stream and pair[0] == event.stream]
    spans: dict[str, list[Span]] = {}
    for _, stage in own or stages:
        if holds(stage.condition, row, _NO_CONTEXT) is False:
            continue
        for atom in _decisive(stage.condition, row):
            for name, found in _evidence(atom, row, event):
                spans.setdefault(name, []).extend(found)
    return tuple(DecidingField(name, _joined(found)) for name, found in spans.items())


def _decisive(condition: ir.Condition, row: CarRow) -> Iterator[ir.Atom]:
    """The true atoms that a true condition needs."""
    work: list[ir.Condition] = [condition]
    while work:
        item = work.pop()
        match item:
            case ir.And(items) | ir.Or(items):
                work += reversed(items)
            case ir.IsTrue(inner):
                work.append(inner)
            case ir.Not() | ir.Truth():
                pass
            case _:
                if holds(item, row, _NO_CONTEXT) is True:
                    yield item


def _evidence(atom: ir.Atom, row: CarRow, event: MatchedEvent) -> Iterator[tuple[str, list[Span]]]:
    match atom:
        case ir.RawMatch(patterns):
            yield from _in_fields(event, lambda text: _pattern_spans(patterns, text))
            return
        case ir.RawRegex():
            yield from _in_fields(event, lambda text: _regex_spans(atom, text))
            return
        case ir.IsNull():
            return
        case _:
            pass
    for value in ir.values_of(atom):
        for field in ir.fields_in(value):
            text = text_of(value_of(field, row, _NO_CONTEXT))
            if text is None:
                yield field.name, []
            elif isinstance(value, ir.Field) and isinstance(atom, ir.Match):
                yield field.name, _pattern_spans(atom.patterns, text)
            elif isinstance(value, ir.Field) and isinstance(atom, ir.Regex):
                yield field.name, _regex_spans(atom, text)
            else:
                yield field.name, [(0, len(text))]


def _in_fields(event: MatchedEvent, find: Any) -> Iterator[tuple[str, list[Span]]]:
    """The fields in which a keyword is found: a keyword is looked for in the whole event."""
    for name, value in event.fields.items():
        text = text_of(value)
        if text is not None and len(text) <= _LONGEST and (found := find(text)):
            yield name, found


def _pattern_spans(patterns: tuple[Pattern, ...], text: str) -> list[Span]:
    """Where the literal parts of the first pattern that matches stand."""
    hit = next((pattern for pattern in patterns if pattern.matches(text)), None)
    if hit is None:
        return []
    tokens = hit.tokens
    literal = [token for token in tokens if isinstance(token, str)]
    if not any(isinstance(token, AnyRun) for token in tokens):
        return [(0, len(text))]
    folded, spans, at = (text if hit.cased else fold(text)), [], 0
    for token in literal:
        wanted = token if hit.cased else fold(token)
        last = token is tokens[-1]
        start = folded.rfind(wanted) if last else folded.find(wanted, at)
        if start >= 0:
            at = start + len(wanted)
            spans.append((start, at))
    return spans


def _regex_spans(atom: ir.Regex | ir.RawRegex, text: str) -> list[Span]:
    found = regex_of(atom).search(searchable(text))
    return [] if found is None else [(found.start(), found.end())]


def _joined(spans: list[Span]) -> tuple[Span, ...]:
    """Spans in order, those that touch made one, empty ones left out."""
    joined: list[Span] = []
    for start, end in sorted(span for span in spans if span[0] < span[1]):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    return tuple(joined)
