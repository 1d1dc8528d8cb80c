"""Why an event matches a rule, or why it does not: the condition tree with a verdict at every node.

`explain` looks at one event the way the reference does. Each CAR view of the event (a raw event can
be several) meets each stream that the rule's outputs are made of. Where the view is of a kind that
the stream searches, the condition is taken apart::

    Explanation
      View  sysmon.flat  file/create
        Test  output lsass_dump  verdict False
          and                                             False
            file_name = "lsass*.dmp"                      True    "lsass.DMP" matches it
            image_path = "C:\\Windows\\*\\taskmgr.exe"    False   "C:\\Tools\\dumper.exe" does not match it

Every value is named twice: as CAR calls it, and as the log does (``basename(TargetFilename)``). A
node *decides* when the verdict above it depends on it: the false parts of a false ``and``, the true
parts of a true ``or``. A join or a group needs more than one event; of such an output the streams
that feed it are tested, each alone, and the output itself stays open. `matches_with` closes it: it
runs the rule over all records and gives the matches that the event is part of.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, assert_never

from attrs import evolve, field, frozen

from ... import ir
from ...evaluate import NoContext, RawRow, all_of, any_of, holds, negation, value_of
from ...fieldmap import (
    CarEvent,
    CarRow,
    Entry,
    FieldMap,
    MapChoice,
    entries_of,
    maps_for,
    recognise,
    unwrap,
    view,
)
from ...ir_text import condition_text, pattern_text, value_text
from ...pyvalues import plain_event
from ...rule import Rule
from ...values import format_time, is_null, text_of
from ..engine import Engine
from ..interpreter import asked_of
from ..match import Match, Origin
from ..notebook import explanation_as_html
from ..streams import StreamOptions

_NO_CONTEXT = NoContext()
# How much of a list of patterns, and of a text, a line shows.
_PATTERNS = 6
_TEXT = 200
_KEYS = 30


@frozen
class Operand:
    """A value that a condition looks at.

    ``car`` is its expression in CAR's names, ``native`` the same in the log's own (empty where the
    map gives none), ``value`` what it is for this event; None is null. Times are ISO 8601 text.
    """

    car: str
    native: str
    value: Any = field(hash=False)


@frozen
class Node:
    """A condition and what it comes to: True, False, or None where that is unknown.

    ``reason`` is a sentence for conditions without parts and for connectives that are decided by a
    part of them. ``decides`` tells whether the verdict of the whole depends on this node.
    """

    condition: str
    verdict: bool | None
    reason: str = ""
    operands: tuple[Operand, ...] = ()
    children: tuple[Node, ...] = ()
    decides: bool = False


@frozen
class Test:
    """One stream of the rule, asked about one view of the event.

    ``output`` is what the rule calls the result; ``branch`` names the stream that feeds it, where
    the output is a join, a group or a difference, and is empty elsewhere. ``verdict`` is whether
    the event is in the stream; ``tree`` is None where the event is of no kind in ``kinds``.
    """

    __test__ = False  # for pytest, which takes classes of this name for its own

    output: str
    branch: str
    kinds: tuple[ir.EventKind, ...]
    verdict: bool | None
    tree: Node | None


@frozen
class View:
    """One CAR event that the event is, through one field map, and the tests it met."""

    fieldmap: str
    kind: ir.EventKind
    time: int | None
    fields: Mapping[str, Any] = field(hash=False)
    tests: tuple[Test, ...]


@frozen
class Explanation:
    """What a rule makes of an event.

    ``shapes`` names the field maps that recognise the event; it may have a shape and still be no
    CAR event (no ``views``). ``keys`` are the first of the event's own top-level keys.

    >>> import carengine
    >>> rule = carengine.parse_rule('a = search Process:Create where exe = "x.exe" output a')
    >>> event = {"object": "process", "action": "create", "exe": "x.exe", "pid": 7}
    >>> found = carengine.explain(rule, {**event, "exe": "y.exe"})
    >>> found.verdict, found.shapes
    (False, ('car',))
    """

    rule: Rule
    shapes: tuple[str, ...]
    keys: tuple[str, ...]
    views: tuple[View, ...]

    @property
    def verdict(self) -> bool | None:
        """True when the event alone is a match; None when it may be part of one, with other
        events."""
        tests = [test for view in self.views for test in view.tests]
        if any(test.verdict is True and not test.branch for test in tests):
            return True
        return None if any(test.verdict is not False and test.branch for test in tests) else False

    def as_json(self) -> dict[str, Any]:
        """The explanation as plain data."""
        return {
            "rule": {"id": self.rule.id, "title": self.rule.title},
            "verdict": self.verdict,
            "shapes": list(self.shapes),
            "keys": list(self.keys),
            "views": [_view_as_json(seen) for seen in self.views],
        }

    def _repr_html_(self) -> str:
        return explanation_as_html(self)


def matches_with(
    rule: Rule,
    records: Iterable[tuple[Mapping[str, Any], Origin]],
    origin: Origin,
    fieldmap: MapChoice = "auto",
    options: StreamOptions | None = None,
) -> Iterator[Match]:
    """The matches of a rule over records that the event of an origin has a part in.

    What a join, a group or a baseline makes of the event together with the others: which event
    filled which stream, the keys and the aggregates are in the match.
    """
    session = Engine([rule], fieldmap).session(options)
    for event, place in records:
        yield from _having(session.feed(event, place), origin)
    yield from _having(session.flush(), origin)


def _having(matches: Iterable[Match], origin: Origin) -> Iterator[Match]:
    return (m for m in matches if any(event.origin == origin for event in m.events))


def _view_as_json(seen: View) -> dict[str, Any]:
    return {
        "fieldmap": seen.fieldmap,
        "object": seen.kind.object,
        "action": seen.kind.action,
        "time": None if seen.time is None else format_time(seen.time),
        "fields": dict(seen.fields),
        "tests": [
            {
                "output": test.output,
                "branch": test.branch,
                "kinds": [str(kind) for kind in test.kinds],
                "verdict": test.verdict,
                "condition": None if test.tree is None else _node_as_json(test.tree),
            }
            for test in seen.tests
        ],
    }


def _node_as_json(node: Node) -> dict[str, Any]:
    data: dict[str, Any] = {"text": node.condition, "verdict": node.verdict}
    if node.reason:
        data["reason"] = node.reason
    if node.decides:
        data["decides"] = True
    if node.operands:
        data["values"] = [
            {"car": item.car, "native": item.native, "value": item.value} for item in node.operands
        ]
    if node.children:
        data["parts"] = [_node_as_json(child) for child in node.children]
    return data


def explain(rule: Rule, event: Mapping[str, Any], fieldmap: MapChoice = "auto") -> Explanation:
    """Why an event matches a rule or does not. ``fieldmap`` is what `find_maps` takes; it may raise
    `CarError`.

    >>> import carengine
    >>> rule = carengine.parse_rule('a = search Process:Create where exe = "x.exe" output a')
    >>> found = explain(rule, {"object": "process", "action": "create", "exe": "y.exe"})
    >>> found.verdict, found.views[0].tests[0].tree.reason
    (False, '"y.exe" does not match it')
    """
    event = plain_event(event)
    inner = unwrap(event)
    searched = {kind for output in rule.program.outputs for kind in ir.searched(output.plan)}
    shapes = recognise(inner, maps_for(fieldmap, searched))
    streams = [
        (output.name, branch, stage)
        for output in rule.program.outputs
        for branch, stage in streams_of(output.plan)
    ]
    views = []
    for shape in shapes:
        for entry in entries_of(inner, shape):
            if entry.native is not None and searched.isdisjoint(entry.kinds):
                # A log source is a second view of an event; only those that the rule reads are
                # told.
                continue
            seen = _Seen(view(event, inner, entry), inner, shape, entry)
            tests = tuple(_test(name, branch, stage, seen) for name, branch, stage in streams)
            views.append(View(shape.name, entry.kind, seen.event.time, seen.event.fields, tests))
    keys = tuple(str(key)[:_TEXT] for key in list(inner)[:_KEYS])
    return Explanation(rule, tuple(shape.name for shape in shapes), keys, tuple(views))


def streams_of(plan: ir.Plan) -> Iterator[tuple[str, ir.Stage]]:
    """The streams that one event at a time can be asked about, each with the name of the branch it
    feeds.

    The name is empty where the plan itself is such a stream. A condition that needs other events (a
    rank, an average) is in the stage: for one event alone it is unknown.
    """
    yield from _streams(plan, "", {})


def _streams(
    plan: ir.Plan, branch: str, seen: dict[tuple[ir.Plan, str], None]
) -> Iterator[tuple[str, ir.Stage]]:
    # Plans are shared; each is looked at once for a name, however many ways lead to it.
    if (plan, branch) in seen:
        return
    seen[plan, branch] = None
    stages = ir.as_stages(plan)
    if stages is not None:
        yield from ((branch, stage) for stage in dict.fromkeys(stages))
        return
    match plan:
        case ir.Filter(inner, condition):
            stages = ir.as_stages(inner)
            if stages is None or not _readable(condition):
                yield from _streams(inner, branch or "the filtered stream", seen)
                return
            for stage in stages:
                whole = ir.conjunction((stage.condition, condition))
                yield branch or "the filtered stream", evolve(stage, condition=whole)
        case ir.Join(branches):
            for part in branches:
                yield from _streams(part.plan, part.name, seen)
        case ir.Sequence():
            for number, step in enumerate(ir.steps_of(plan), 1):
                yield from _streams(step.plan, branch or f"step {number}", seen)
        case ir.Group(plans) | ir.Window(plans) | ir.Union(plans):
            for part_plan in plans:
                yield from _streams(part_plan, branch or "the grouped stream", seen)
        case ir.Aggregated(group):
            yield from _streams(group, branch, seen)
        case ir.Difference(left, right):
            yield from _streams(left, branch or "the left side", seen)
            yield from _streams(right, "the right side, which is taken away", seen)
        case ir.Assign(inner) | ir.Project(inner) | ir.Distinct(inner):
            yield from _streams(inner, branch or "the stream", seen)
        case ir.Search():
            raise AssertionError("a search is a stage")
        case _:
            assert_never(plan)


def _readable(condition: ir.Condition) -> bool:
    """Whether a condition reads fields of the event itself, not of rows made of several."""
    return all(wanted.source is None for wanted in ir.fields_of(condition))


@frozen
class _Seen:
    """A view of an event with everything it was made of."""

    event: CarEvent
    inner: Mapping[str, Any]
    fieldmap: FieldMap
    entry: Entry


def _test(output: str, branch: str, stage: ir.Stage, seen: _Seen) -> Test:
    if not seen.event.is_one_of(stage.kinds):
        return Test(output, branch, stage.kinds, False, None)
    tree = _decisive(_node(asked_of(stage, seen.event), seen))
    return Test(output, branch, stage.kinds, tree.verdict, tree)


def _node(condition: ir.Condition, seen: _Seen) -> Node:
    match condition:
        case ir.And(items) | ir.Or(items):
            children = tuple(_node(item, seen) for item in items)
            verdicts = [child.verdict for child in children]
            conjunctive = isinstance(condition, ir.And)
            verdict = all_of(verdicts) if conjunctive else any_of(verdicts)
            return Node("all of" if conjunctive else "any of", verdict, children=children)
        case ir.Not(ir.IsNull()):
            return _atom(condition, seen)
        case ir.Not(ir.IsTrue(item)):
            # Sigma's `not`: of what is not true, whether it is false or unknown.
            child = _node(item, seen)
            return Node("not", child.verdict is not True, children=(child,))
        case ir.Not(item):
            child = _node(item, seen)
            return Node("not", negation(child.verdict), children=(child,))
        case ir.IsTrue(item):
            child = _node(item, seen)
            return Node("is true", child.verdict is True, children=(child,))
        case ir.Truth():
            return _atom(condition, seen)
        case _:
            atom: ir.Atom = condition
            return _atom(atom, seen)


def _decisive(node: Node) -> Node:
    """The tree with the nodes marked that its verdict depends on.

    The verdict of an ``and`` or ``or`` is always that of the parts that decide it: of the false
    ones, of the unknown ones, or of all.
    """
    single = len(node.children) == 1
    children = tuple(
        _decisive(child) if single or child.verdict is node.verdict else child
        for child in node.children
    )
    return evolve(node, children=children, decides=True)


def _atom(condition: ir.Condition, seen: _Seen) -> Node:
    row = CarRow(seen.event)
    verdict = holds(condition, row, _NO_CONTEXT)
    inner = condition.item if isinstance(condition, ir.Not) else condition
    values = ir.values_of(inner)
    operands = tuple(_operand(value, seen) for value in values if not _is_fixed(value))
    reason = _reason(condition, verdict, values, seen)
    return Node(condition_text(condition, most=_PATTERNS), verdict, reason, operands)


def _is_fixed(value: ir.Value) -> bool:
    return isinstance(value, ir.Constant | ir.Moment | ir.Duration)


def _operand(value: ir.Value, seen: _Seen) -> Operand:
    def native(leaf: ir.Value) -> ir.Value:
        found = seen.entry.value(leaf) if isinstance(leaf, ir.Field) else leaf
        return ir.Constant(None) if found is None else found

    lowered = ir.rewrite_value(value, native)
    found = value_of(value, CarRow(seen.event), _NO_CONTEXT)
    unmapped = lowered == ir.Constant(None)
    return Operand(value_text(value), "" if unmapped else value_text(lowered), _shown(value, found))


def _shown(value: ir.Value, found: Any) -> Any:
    timed = isinstance(value, ir.Field | ir.Call) and value.type is ir.Type.TIME
    return format_time(found) if timed and isinstance(found, int) else found


def _reason(
    condition: ir.Condition, verdict: bool | None, values: tuple[ir.Value, ...], seen: _Seen
) -> str:
    """Why an atom comes to its verdict, in a sentence."""
    row = CarRow(seen.event)
    found = [value_of(value, row, _NO_CONTEXT) for value in values]
    match condition:
        case ir.Truth():
            return "this is so for every event"
        case ir.RawMatch() | ir.RawRegex():
            return f"the text of the event {'has' if verdict else 'does not have'} it"
        case ir.Rank():
            return "other events of the run decide this"
        case ir.Not(ir.IsNull(ir.Presence(of) as value)) | ir.IsNull(ir.Presence(of) as value):
            there = not is_null(value_of(value, row, _NO_CONTEXT))
            null = there and is_null(value_of(of, row, _NO_CONTEXT))
            has = "has" if there else "has no"
            return f"the event {has} {_cut(value_text(of))}{', with null' if null else ''}"
        case ir.Not(ir.IsNull(value)) | ir.IsNull(value):
            if is_null(found[0] if found else value_of(value, row, _NO_CONTEXT)):
                return _absence(value, seen)
            return "it is there"
        case _:
            # What the rest come to depends on the values that they test.
            pass
    for value, one in zip(values, found, strict=True):
        if is_null(one):
            return _absence(value, seen)
    if verdict is None:
        return f"{_quoted(found[0])} cannot be compared"
    shown = _quoted(_shown(values[0], found[0]))
    match condition:
        case ir.Match(_, patterns) if verdict and len(patterns) > 1:
            texts = [text for item in _parts(found[0]) if (text := text_of(item)) is not None]
            hit = next((p for p in patterns if any(p.matches(text) for text in texts)), None)
            return f"{shown} matches {_cut(pattern_text(hit))}" if hit else f"{shown} matches it"
        case ir.Match(_, patterns):
            several = len(patterns) > 1
            return (
                f"{shown} matches {'it' if verdict else 'none of them'}"
                if several
                else (f"{shown} {'matches' if verdict else 'does not match'} it")
            )
        case ir.Regex():
            return f"the expression is {'' if verdict else 'not '}found in {shown}"
        case ir.InNetwork():
            return f"{shown} is {'' if verdict else 'not '}in it"
        case ir.Occurs():
            return f"{shown} {'occurs' if verdict else 'does not occur'} in {_quoted(found[1])}"
        case ir.Compare(_, _, right) if not _is_fixed(right):
            return f"it is {shown}, and the other side {_quoted(_shown(right, found[1]))}"
        case ir.Compare():
            return f"it is {shown}"
        case ir.And() | ir.Or() | ir.Not() | ir.IsTrue():
            raise AssertionError("only an atom has a reason of its own")
        case _:
            assert_never(condition)


def _parts(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]


def _absence(value: ir.Value, seen: _Seen) -> str:
    """Why a value is null: the map gives none, the log has none, or the log says it does not
    know."""
    if any(
        isinstance(leaf, ir.Whole | ir.Lookup | ir.Aggregate | ir.Now) for leaf in ir.leaves(value)
    ):
        return "other events of the run decide this"
    row = RawRow(seen.inner)
    for wanted in ir.fields_in(value):
        expression = seen.entry.value(wanted)
        if expression is None:
            return (
                f"the field map {seen.fieldmap.name} gives no {wanted.name} for {seen.entry.kind}"
            )
        raws = list(ir.raws_in(expression))
        there = [raw for raw in raws if not is_null(row.raw(raw.path))]
        if raws and not there:
            names = ", ".join(value_text(raw) for raw in raws)
            return f"null: the event has no {_cut(names)}"
        for raw in there:
            text = row.raw(raw.path)
            if isinstance(text, str) and text in raw.empty:
                return f"null: {value_text(raw)} is {_quoted(text)}, which here means not known"
        if is_null(value_of(wanted, CarRow(seen.event), _NO_CONTEXT)):
            return f"null: {_cut(value_text(expression))} gives nothing"
    return "null"


def _quoted(value: Any) -> str:
    match value:
        case None:
            return "null"
        case str():
            return _cut(f'"{value[: _TEXT + 1]}"')
        case list() | tuple():
            inner = ", ".join(_quoted(item) for item in value[:10])
            return _cut(f"[{inner}{', …' if len(value) > 10 else ''}]")
        case Mapping():
            return "a mapping"
        case _:
            return _cut(str(text_of(value)))


def _cut(text: str) -> str:
    return text if len(text) <= _TEXT else text[: _TEXT - 1] + "…"
