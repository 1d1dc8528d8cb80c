"""EQL's queries about several events: ``sequence``, ``sample`` and ``join``.

They become an ``ir.Sequence``. ``with runs=3`` is a step three times; a missing event (``![…]``) is
an absent step. As Elasticsearch has it, a missing event at either end needs ``maxspan``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ... import ir
from ...diagnostics import Span
from ..query import unsupported, wrong

if TYPE_CHECKING:
    from .reader import EqlReader

Node = Any

_UNITS = {
    "ms": 1_000,
    "s": 1_000_000,
    "m": 60_000_000,
    "h": 3_600_000_000,
    "d": 86_400_000_000,
}
_MOST_RUNS = 100
_MOST_STEPS = 256


def several(reader: EqlReader, tree: Node) -> ir.Plan:
    """The plan of a sequence, a sample or a join. Raises `Refusal`."""
    what = str(tree.children[0])
    span = reader.span(tree)
    parts = [child for child in tree.children[1:] if not _is_token(child)]
    clauses = [part for part in parts if part.data != "term"]
    terms = [part for part in parts if part.data == "term"]
    until = terms.pop() if any(_is_token(c, "UNTIL") for c in tree.children) else None
    shared, within = _clauses(reader, clauses, what)
    made = [_Term(reader, term, what) for term in terms]
    for term in made[1:]:
        if len(term.keys) != len(made[0].keys):
            message = f"there are {len(made[0].keys)} keys in the first item, and others here"
            raise wrong(message, term.span)
    optional = tuple(
        any(flags)
        for flags in zip(*([o for _, o in (*shared, *term.keys)] for term in made), strict=True)
    )
    steps = tuple(
        _step(term.plan, [*shared, *term.keys], term.absent)
        for term in made
        for _ in range(term.runs)
    )
    if len(steps) > _MOST_STEPS:
        raise unsupported(f"a {what} of more than {_MOST_STEPS} items", span)
    if all(step.absent for step in steps):
        raise wrong(f"a {what} has an item that is not missing", span)
    ends = steps[0].absent or steps[-1].absent
    if ends and within is None:
        note = "write `with maxspan=…`, as Elasticsearch wants it"
        raise wrong("a missing event at an end of a sequence, and no maxspan", span, note)
    if what != "sequence" and any(step.absent for step in steps):
        raise unsupported(f"a missing event in a {what}", span)
    end: ir.Step | None = None
    if until is not None:
        last = _Term(reader, until, what)
        if last.absent or last.runs > 1:
            raise wrong("`until` has one plain event", last.span)
        if not last.keys and made[0].keys:
            raise wrong("`until` has the keys that the items have", last.span)
        end = _step(last.plan, [*shared, *last.keys])
    return ir.Sequence(steps, optional, within, end, what == "sequence", span)


Key = tuple[ir.Value, bool]
"""A key, and whether it may be missing."""


def _step(plan: ir.Plan, keys: list[Key], absent: bool = False) -> ir.Step:
    """The step of events with keys; a key that is computed is worked out before."""
    names: list[ir.Field] = []
    for number, (value, _) in enumerate(keys, 1):
        if isinstance(value, ir.Field):
            names.append(value)
        else:
            plan = ir.Assign(plan, f"key {number}", value)
            names.append(ir.Field(f"key {number}"))
    return ir.Step(plan, tuple(names), absent)


class _Term:
    """One item: its events, its own keys, how often it is wanted, and whether it is to be missing."""

    def __init__(self, reader: EqlReader, tree: Node, what: str) -> None:
        opening, event = tree.children[0], tree.children[1]
        self.span = reader.span(tree)
        self.absent = opening.type == "ABSENT"
        self.plan = reader.event(event)
        self.keys: list[Key] = []
        self.runs = 1
        for clause in tree.children[3:]:
            match clause.data:
                case "joined_by":
                    self.keys += _keys(reader, clause)
                case "option":
                    self.runs = _runs(reader, clause, what)
                case _:
                    name = str(clause.children[0])
                    raise unsupported(f"`{name}` in a {what}", reader.span(clause))
        if self.absent and self.runs > 1:
            raise wrong("a missing event has no runs", self.span)


def _clauses(reader: EqlReader, clauses: list[Node], what: str) -> tuple[list[Key], int | None]:
    """The keys that all items share, and ``maxspan`` in microseconds."""
    keys: list[Key] = []
    within: int | None = None
    for clause in clauses:
        match clause.data:
            case "joined_by":
                keys += _keys(reader, clause)
            case "option" if str(clause.children[1]) == "maxspan" and what == "sequence":
                within = _duration(reader, clause)
            case _:
                words = " ".join(map(str, clause.children[:2]))
                raise unsupported(f"`{words}` of a {what}", reader.span(clause))
    return keys, within


def _keys(reader: EqlReader, clause: Node) -> list[Key]:
    found: list[Key] = []
    for node in clause.children[1:]:
        if _is_token(node):
            continue
        value = reader.value(node, 0)
        if isinstance(value, ir.Constant):
            raise unsupported("a key that is the same for all events", reader.span(node))
        found.append((value, any(_is_token(c, "OPTIONAL") for c in node.children)))
    return found


def _runs(reader: EqlReader, clause: Node, what: str) -> int:
    _, name, _, number, *unit = clause.children
    span = reader.span(clause)
    if str(name) != "runs" or unit or what != "sequence":
        raise wrong(f"EQL has no `with {name}` here", span)
    runs = int(str(number)[:9])
    if not 1 <= runs <= _MOST_RUNS:
        raise unsupported(f"more than {_MOST_RUNS} runs", span)
    return runs


def _duration(reader: EqlReader, clause: Node) -> int:
    number, *unit = clause.children[3:]
    span: Span = reader.span(clause)
    # A number alone is seconds to the package, and refused by Elasticsearch.
    factor = _UNITS.get(str(unit[0]) if unit else "s")
    if factor is None:
        raise wrong(f"`{unit[0]}` is no unit of time", span, "there are ms, s, m, h and d")
    found = int(str(number)[:12]) * factor
    if found <= 0:
        raise wrong("a maxspan of nothing", span)
    return found


def _is_token(node: object, type_: str = "") -> bool:
    found = getattr(node, "type", None)
    return found is not None and (not type_ or found == type_)
