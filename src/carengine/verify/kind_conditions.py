"""What an implementation asks of one event, for each kind of event: what comparing needs.

``selection`` takes off what only shows events (a table, counts at the end); ``by_kind`` gives the
condition for each kind of CAR event, and ``on_paths`` restates conditions on base names as
conditions on the path, so that ``exe`` and ``image_path`` can be reasoned about together::

    exe = "taskmgr.exe"      image_path = "*\\taskmgr.exe" or image_path = "*/taskmgr.exe"
                             or image_path = "taskmgr.exe"
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import assert_never

from attrs import evolve

from .. import ir
from ..datamodel import model
from ..diagnostics import Span
from ..evaluate import without_flags
from ..pattern import Any, One, Pattern, Token, fold, tokenize


def selection(plan: ir.Plan, *, keyed: bool = False) -> ir.Plan:
    """The plan whose rows are the events found, without what is done to show them.

    A row without a key is in no group, so that a group finds less than what it is made of: with
    ``keyed`` the rows of groups have to have their keys.
    """
    match plan:
        case ir.Project(inner) | ir.Assign(inner):
            return selection(inner, keyed=keyed)
        case ir.Aggregated(ir.Group(_, _, None) as group):
            return members(group, keyed=keyed)
        case ir.Group(_, _, None):
            return members(plan, keyed=keyed)
        case ir.Search() | ir.Filter() | ir.Join() | ir.Union() | ir.Distinct() | ir.Difference():
            return plan
        case ir.Group() | ir.Aggregated() | ir.Window() | ir.Sequence():
            # They end where time has passed, which decides what is found.
            return plan
        case _:
            assert_never(plan)


def members(group: ir.Group, *, keyed: bool) -> ir.Plan:
    """The rows that the groups of a plan gather; with ``keyed`` those that have the keys."""
    parts = []
    for part in group.plans:
        made = selection(part, keyed=keyed)
        if keyed and group.keys:
            there = tuple(ir.Not(ir.IsNull(key)) for key in group.keys)
            # A key may be a column, which a plan without its projections does not have.
            below = made if not _names_columns(part) else part
            made = ir.Filter(below, ir.conjunction(there))
        parts.append(made)
    return parts[0] if len(parts) == 1 else ir.Union(tuple(parts))


def _names_columns(plan: ir.Plan) -> bool:
    match plan:
        case ir.Project() | ir.Assign() | ir.Aggregated():
            return True
        case ir.Filter(inner) | ir.Distinct(inner):
            return _names_columns(inner)
        case _:
            # No other plan gives its rows' fields names of its own.
            return False


def keys_of(program: ir.Program) -> tuple[str, ...]:
    """The names by which a program groups only to show what it finds."""
    found: dict[str, None] = {}
    for output in program.outputs:
        plan = output.plan
        while isinstance(plan, ir.Project | ir.Assign):
            plan = plan.plan
        group = plan.group if isinstance(plan, ir.Aggregated) else plan
        if isinstance(group, ir.Group) and group.within is None:
            found.update(dict.fromkeys(key.name for key in group.keys))
    return tuple(found)


def by_kind(program: ir.Program, *, keyed: bool = False) -> dict[ir.EventKind, ir.Condition] | None:
    """The condition of a program for each kind of event; None where it looks at several events at a
    time. ``keyed`` as `selection` has it."""
    whole: list[ir.Stage] = []
    for output in program.outputs:
        stages = ir.as_stages(selection(output.plan, keyed=keyed))
        if stages is None:
            return None
        whole += stages
    return conditions_of(whole)


def conditions_of(stages: Iterable[ir.Stage]) -> dict[ir.EventKind, ir.Condition]:
    """The condition of several stages together for each kind of event."""
    found: dict[ir.EventKind, list[ir.Condition]] = {}
    for stage in stages:
        for kind in stage.kinds:
            found.setdefault(kind, []).append(stage.condition)
    return {kind: ir.simplify(ir.Or(tuple(items))) for kind, items in found.items()}


@lru_cache(maxsize=1024)
def merged(condition: ir.Condition) -> ir.Condition:
    """The condition with alternatives that match patterns on one value as one test, patterns in
    order."""
    match condition:
        case ir.Match(_, patterns):
            return evolve(condition, patterns=_in_order(patterns))
        case ir.And(items):
            return ir.And(tuple(map(merged, items)))
        case ir.Not(item) | ir.IsTrue(item):
            return type(condition)(merged(item))
        case ir.Or(items):
            made: dict[object, list[ir.Condition]] = {}
            for item in map(merged, items):
                match item:
                    case ir.Match(value) | ir.IsTrue(ir.Match(value)):
                        key: object = (type(item), value)
                    case _:
                        key = item
                made.setdefault(key, []).append(item)
            several = tuple(map(_together, made.values()))
            return several[0] if len(several) == 1 else ir.Or(several)
        case ir.Compare(ir.Constant() | ir.Moment() as left, relation, right) if not isinstance(
            right, ir.Constant | ir.Moment
        ):
            return evolve(condition, left=right, relation=relation.mirrored, right=left)
        case ir.Regex():
            return without_flags(condition)
        case ir.Truth():
            return condition
        case _:
            atom: ir.Atom = condition
            return atom


def _together(alternatives: Sequence[ir.Condition]) -> ir.Condition:
    """Alternatives on one value as one test; of others there is one alone."""
    first = alternatives[0]
    if len(alternatives) == 1:
        return first
    tests = [one.item if isinstance(one, ir.IsTrue) else one for one in alternatives]
    patterns = (p for test in tests if isinstance(test, ir.Match) for p in test.patterns)
    match first:
        case ir.Match():
            return evolve(first, patterns=_in_order(patterns))
        case ir.IsTrue(ir.Match() as test):
            return ir.IsTrue(evolve(test, patterns=_in_order(patterns)))
        case _:
            return first


def _in_order(patterns: Iterable[Pattern]) -> tuple[Pattern, ...]:
    """Patterns in an order of their own, so that the same ones are the same test; without case
    where it is ignored."""
    folded = {p if p.cased and _has_case(p.text) else Pattern(fold(p.text)) for p in patterns}
    return tuple(sorted(folded, key=lambda p: (p.text, p.cased)))


def _has_case(text: str) -> bool:
    return text.lower() != text.upper()


def on_paths(
    object_: str, conditions: Iterable[ir.Condition], bases: Mapping[str, str] | None = None
) -> list[ir.Condition]:
    """The conditions, those on a base name restated on its path where another one reads the path.

    A base name is the path's last part, as the data model says or ``bases``; a path that ends in a
    separator has none.
    """
    given = list(conditions)
    paths = paths_read(object_, given, bases)
    return [_on_paths(condition, paths) for condition in given] if paths else given


def paths_read(
    object_: str, conditions: Iterable[ir.Condition], bases: Mapping[str, str] | None = None
) -> dict[str, ir.Field]:
    """The base names that conditions read together with their paths, each with its path."""
    spec = model().object(object_)
    read = {field.name for condition in conditions for field in ir.fields_of(condition)}
    paths: dict[str, ir.Field] = {}
    for name in read if spec is not None else ():
        assert spec is not None
        found = spec.field(name)
        of = (found.base_name_of if found else None) or (bases or {}).get(name)
        path = spec.field(of) if of in read and of is not None else None
        if path is not None:
            paths[name] = ir.Field(path.name, None, path.type)
    return paths


def _on_paths(condition: ir.Condition, paths: dict[str, ir.Field]) -> ir.Condition:
    return ir.map_atoms(condition, lambda atom: _atom_on_path(atom, paths))


def _atom_on_path(atom: ir.Atom, paths: dict[str, ir.Field]) -> ir.Condition:
    match atom:
        case ir.Match(ir.Field(name, None), patterns, span) if name in paths:
            if any(pattern.cased for pattern in patterns):
                return atom
            path = paths[name]
            # Without a base name nothing is known of it.
            unknown = ir.And((_has_none(path, span), ir.Truth(None)))
            return ir.Or((*_last_part(path, patterns, span), unknown))
        case ir.IsNull(ir.Field(name, None), span) if name in paths:
            return ir.Or((ir.IsNull(paths[name], span), _has_none(paths[name], span)))
        case _:
            # Whatever else a test asks of a base name, it stays a test of the base name.
            return atom


def derived(name: str, path: str) -> ir.Condition:
    """What is true of a base name that follows from its path where it is not given: both are null,
    or neither."""
    there = ir.Field(path)
    known = ir.Not(ir.IsNull(ir.Field(name)))
    return ir.Or((known, ir.IsNull(there), _has_none(there, None)))


_SEPARATED = (Pattern("*\\"), Pattern("*/"), Pattern(""))


def _has_none(path: ir.Field, span: Span | None) -> ir.Condition:
    """Whether a path that is there has no last part."""
    return ir.Match(path, _SEPARATED, span)


def _last_part(
    path: ir.Field, patterns: tuple[Pattern, ...], span: Span | None
) -> list[ir.Condition]:
    """Tests of which one holds where a path's last part matches one of the patterns."""
    plain: list[Pattern] = []
    bodies: list[str] = []
    for pattern in patterns:
        match tokenize(pattern.text):
            case (str() as text,):
                if "\\" not in text and "/" not in text:
                    plain += [Pattern(before + pattern.text) for before in ("*\\", "*/", "")]
            case (Any(), str() as text) if "\\" not in text and "/" not in text:
                plain.append(pattern)
            case tokens:
                bodies.append(_expression(tokens))
    made: list[ir.Condition] = []
    if plain:
        made.append(ir.Match(path, tuple(plain), span))
    if bodies:
        body = bodies[0] if len(bodies) == 1 else f"(?:{'|'.join(bodies)})"
        text = rf"(?:^|[\\/]){body}$"
        made.append(ir.Regex(path, text, dotall=True, span=span))
    return made


def _expression(tokens: tuple[Token, ...]) -> str:
    if all(isinstance(token, Any) for token in tokens):
        return r"[^\\/]+" if tokens else r"[^\s\S]"
    parts = []
    for token in tokens:
        match token:
            case Any():
                parts.append(r"[^\\/]*")
            case One():
                parts.append(r"[^\\/]")
            case str():
                # RE2 takes an escape before ASCII punctuation only.
                parts.append(re.sub(r"([!-/:-@\[-`{-~])", r"\\\1", token))
    return "".join(parts)


def conjuncts(condition: ir.Condition) -> tuple[ir.Condition, ...]:
    """The conditions that all have to be true for a condition to be."""
    return condition.items if isinstance(condition, ir.And) else (condition,)


def place_of(condition: ir.Condition) -> Span | None:
    """Where a condition is written: from its first atom to its last, as far as they say."""
    spans = [
        span for atom in ir.atoms(condition) if (span := getattr(atom, "span", None)) is not None
    ]
    if not spans:
        return None
    whole: Span = spans[0]
    for span in spans[1:]:
        if span.source == whole.source:
            whole = whole.to(span)
    return whole
