"""Every accessor of the IR knows every node class.

A node of each class is built from its annotations, so that a new class is tried without a line
here. What an accessor should say is read off the node's fields by reflection; an accessor that does
not know a class fails, by a wrong answer or by ``assert_never``. `mypy` names the same places.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Callable, Iterator
from typing import Any

import attrs
import pytest

from carengine import ir
from carengine.datamodel import model
from carengine.diagnostics import Span
from carengine.engine.matcher.columns import single_value
from carengine.engine.streams.bounds import conjuncts, lag
from carengine.engine.streams.plans import prepare
from carengine.evaluate import NoContext, RawRow, decided, holds, value_of
from carengine.fieldmap import find_maps, getter, outcomes
from carengine.ir import nodes
from carengine.ir_text import condition_text, value_text
from carengine.languages.lowered import log_of, why_empty
from carengine.languages.reads import fields_of_plan
from carengine.languages.translation import Findings, Untranslatable
from carengine.languages.two_valued.rewriter import TwoValuedRewriter
from carengine.pattern import Pattern
from carengine.resolve.size import Sizes
from carengine.solver.facts import Facts, context
from carengine.solver.satisfiability import can_be
from carengine.solver.texts import Budget

CONDITIONS: tuple[type, ...] = typing.get_args(ir.Condition)
ATOMS: tuple[type, ...] = typing.get_args(ir.Atom)
VALUES: tuple[type, ...] = typing.get_args(ir.Value)
PLANS: tuple[type, ...] = typing.get_args(ir.Plan)

KIND = ir.EventKind("process", "create")
SEARCH = ir.Search((KIND,))
GROUP = ir.Group((SEARCH,), (ir.Field("hostname"),))
EXE = ir.Field("exe")
CONNECTIVES = (ir.And, ir.Or, ir.Not, ir.IsTrue)


def sample(kind: Any) -> Any:
    """Something of an annotated type."""
    if kind == ir.Condition:
        return ir.IsNull(EXE)
    if kind == ir.Value:
        return EXE
    if kind == ir.Plan:
        return SEARCH
    origin = typing.get_origin(kind)
    if origin in (typing.Union, types.UnionType):
        options = typing.get_args(kind)
        return sample(next(option for option in options if option is not types.NoneType))
    if origin is tuple:
        return (sample(typing.get_args(kind)[0]),)
    plain: dict[Any, Any] = {str: "-", int: 1, float: 1.0, bool: False}
    nodes_of: dict[Any, Any] = {
        Pattern: Pattern("a*"),
        ir.EventKind: KIND,
        ir.Group: GROUP,
        ir.Aggregated: ir.Aggregated(GROUP, (ir.Column("n", ir.Aggregate("count", None)),)),
    }
    if kind in plain or kind in nodes_of:
        return {**plain, **nodes_of}[kind]
    if issubclass(kind, ir.Type | ir.Relation):
        return next(iter(kind))
    return build(kind)


def build(kind: Any) -> Any:
    """A node of a class, its parts made after their annotations."""
    hints = typing.get_type_hints(kind, vars(nodes))
    given = {
        field.name: sample(hints[field.name])
        for field in attrs.fields(kind)
        if Span not in typing.get_args(hints[field.name])
    }
    if kind is ir.Aggregate:
        given["function"] = "max"
    if kind in (ir.InNetwork,):
        given["networks"] = ("10.0.0.0/8",)
    if kind is ir.Call:
        given["function"] = "basename"
    return kind(**given)


def parts(node: Any, union: Any) -> list[Any]:
    """What is of a union's classes directly in a node's fields, from left to right."""
    found: list[Any] = []
    for field in attrs.fields(type(node)):
        value = getattr(node, field.name)
        for item in value if isinstance(value, tuple) else (value,):
            if isinstance(item, union):
                found.append(item)
            elif isinstance(item, ir.Branch | ir.Column | ir.Step):
                found += parts(item, union)
    return found


def renamed(value: ir.Value) -> ir.Value:
    return ir.rewrite_value(value, lambda leaf: ir.Field("other"))


def constantly(value: ir.Value) -> Callable[[ir.Value], ir.Value]:
    return lambda _: value


def conditions() -> Iterator[Any]:
    for kind in CONDITIONS:
        yield pytest.param(build(kind), id=kind.__name__)


def values() -> Iterator[Any]:
    for kind in VALUES:
        yield pytest.param(build(kind), id=kind.__name__)


def plans() -> Iterator[Any]:
    for kind in PLANS:
        yield pytest.param(build(kind), id=kind.__name__)


each_condition = pytest.mark.parametrize("condition", list(conditions()))
each_value = pytest.mark.parametrize("value", list(values()))
each_plan = pytest.mark.parametrize("plan", list(plans()))


# Conditions


@each_condition
def test_children(condition: ir.Condition) -> None:
    assert list(ir.children(condition)) == parts(condition, ir.Condition)


@each_condition
def test_values_of(condition: ir.Condition) -> None:
    # What a rank counts is a field of the rows of another plan.
    own = [v for v in parts(condition, ir.Value) if not isinstance(condition, ir.Rank)]
    own = [condition.value] if isinstance(condition, ir.Rank) else own
    assert list(ir.values_of(condition)) == own


@each_condition
def test_atoms(condition: ir.Condition) -> None:
    inner = parts(condition, ir.Condition)
    assert list(ir.atoms(condition)) == (inner or [condition])


@each_condition
def test_fields_of(condition: ir.Condition) -> None:
    below = parts(condition, ir.Condition) or [condition]
    read = [v for c in below for v in ir.values_of(c)]
    assert list(ir.fields_of(condition)) == read


@each_condition
def test_rewrite_operands(condition: ir.Condition) -> None:
    changed = ir.rewrite_operands(condition, renamed)
    assert type(changed) is type(condition)
    assert all(field.name == "other" for field in ir.fields_of(changed))
    assert ir.rewrite_operands(condition, lambda value: value) == condition


@each_condition
def test_map_atoms(condition: ir.Condition) -> None:
    assert ir.map_atoms(condition, lambda atom: atom) == condition
    changed = ir.map_atoms(condition, lambda atom: ir.Truth(False))
    assert all(isinstance(atom, ir.Truth) for atom in ir.atoms(changed))


@each_condition
def test_simplify_and_decided_keep_what_is_open(condition: ir.Condition) -> None:
    assert decided(condition) == condition
    assert set(ir.atoms(ir.simplify(condition))) == set(ir.atoms(condition))


@each_condition
def test_never_unknown_is_what_outcomes_and_the_reference_say(condition: ir.Condition) -> None:
    if ir.never_unknown(condition):
        assert None not in outcomes(condition)
        assert holds(condition, RawRow({}), NoContext()) is not None


@each_condition
def test_reads_raw_event(condition: ir.Condition) -> None:
    for atom in ir.atoms(condition):
        assert ir.reads_raw_event(atom) == isinstance(atom, ir.RawMatch | ir.RawRegex)


@each_condition
@pytest.mark.parametrize("goal", list(ir.Goal))
def test_demand(condition: ir.Condition, goal: ir.Goal) -> None:
    """What is demanded of the parts comes to the goal for the whole."""

    def met(wanted: ir.Demand) -> bool:
        match wanted:
            case ir.EveryOf(items, each):
                return all(met(ir.demand(item, each)) for item in items)
            case ir.OneOf(items, each):
                return any(met(ir.demand(item, each)) for item in items)
            case ir.Decided(whether):
                return whether
            case ir.AtomGoal(atom, each):
                return holds(atom, RawRow({}), NoContext()) in each.allowed

    assert met(ir.demand(condition, goal)) == (
        holds(condition, RawRow({}), NoContext()) in goal.allowed
    )
    assert goal.opposite.opposite is goal
    assert goal.under_not.under_not is goal


@each_condition
def test_is_stateless(condition: ir.Condition) -> None:
    assert ir.is_stateless(condition) == (not isinstance(condition, ir.Rank))
    for kind in (ir.Now, ir.Whole, ir.Lookup):
        state: ir.Value = build(kind)
        with_state = ir.rewrite_operands(condition, constantly(state))
        assert ir.is_stateless(with_state) == (not any(ir.fields_of(condition)))


@each_condition
def test_condition_text(condition: ir.Condition) -> None:
    assert condition_text(condition)


@each_condition
def test_single_value(condition: ir.Condition) -> None:
    assert single_value(condition) in (None, *ir.values_of(condition))


@each_condition
def test_conjuncts(condition: ir.Condition) -> None:
    assert ir.conjunction(conjuncts(condition)) == ir.simplify(condition)


@each_condition
@pytest.mark.parametrize("goal", list(ir.Goal))
def test_solver(condition: ir.Condition, goal: ir.Goal) -> None:
    assert can_be([(condition, goal)], Facts(SEARCH), Budget()) is not None


@each_condition
def test_two_valued(condition: ir.Condition) -> None:
    raw = ir.rewrite_operands(condition, lambda value: ir.Raw(("Image",)))
    for goal in ir.Goal:
        try:
            TwoValuedRewriter(Findings("", "")).where(raw, goal)
        except Untranslatable:
            assert any(isinstance(atom, ir.Rank) for atom in ir.atoms(condition))


# Values


@each_value
def test_operands(value: ir.Value) -> None:
    # A look-up's keys are read from the row by the look-up itself.
    own = [] if isinstance(value, ir.Whole | ir.Lookup) else parts(value, ir.Value)
    assert list(ir.operands(value)) == own
    assert list(ir.values_in(value)) == [value, *own]
    assert list(ir.leaves(value)) == (own or [value])


@each_value
def test_rewrite_value(value: ir.Value) -> None:
    assert ir.rewrite_value(value, lambda leaf: leaf) == value
    changed = ir.rewrite_value(value, lambda leaf: ir.Constant(1))
    assert set(ir.leaves(changed)) == {ir.Constant(1)}


@each_value
def test_value_is_stateless(value: ir.Value) -> None:
    needs_more = isinstance(value, ir.Now | ir.Whole | ir.Lookup | ir.Aggregate)
    assert ir.value_is_stateless(value) == (not needs_more)


@each_value
@pytest.mark.parametrize(
    "accessor",
    [
        ir.type_of,
        value_text,
        getter,
        lambda value: value_of(value, RawRow({}), NoContext()),
        lambda value: list(ir.fields_in(value)),
        lambda value: list(ir.raws_in(value)),
    ],
)
def test_accessors_of_values(value: ir.Value, accessor: Callable[[ir.Value], Any]) -> None:
    accessor(value)


# Plans


@each_plan
def test_plans_below(plan: ir.Plan) -> None:
    assert list(ir.plans_below(plan)) == parts(plan, ir.Plan)


@each_plan
def test_map_plans(plan: ir.Plan) -> None:
    assert ir.map_plans(plan, lambda inner: inner) == plan
    seen: list[ir.Plan] = []

    def look(inner: ir.Plan) -> ir.Plan:
        seen.append(inner)
        return inner

    ir.map_plans(plan, look)
    assert seen == list(ir.plans_below(plan))


@each_plan
def test_condition_of(plan: ir.Plan) -> None:
    own = parts(plan, ir.Condition)
    assert ir.condition_of(plan) == (own[0] if own else None)
    assert list(ir.atoms_of_plan(plan)) == own


@each_plan
def test_values_of_plan(plan: ir.Plan) -> None:
    tested = [value for atom in ir.atoms_of_plan(plan) for value in ir.values_of(atom)]
    assert sorted(map(repr, ir.values_of_plan(plan))) == sorted(
        map(repr, [*parts(plan, ir.Value), *tested])
    )


@each_plan
def test_plans_beside(plan: Any) -> None:
    """A plan that a value looks at is found wherever the value stands."""
    if not any(isinstance(v, ir.Field) for v in parts(plan, ir.Value)):
        assert not ir.plans_beside(plan)
    whole = build(ir.Whole)
    for field in attrs.fields(type(plan)):
        if field.name == "condition":
            looking = attrs.evolve(plan, condition=ir.IsNull(whole))
            assert ir.plans_beside(looking) == (SEARCH,)
            ranked = attrs.evolve(plan, condition=build(ir.Rank))
            assert ir.plans_beside(ranked) == (SEARCH,)
        if field.name == "columns":
            looking = attrs.evolve(plan, columns=(ir.Column("n", whole),))
            assert ir.plans_beside(looking) == (SEARCH,)
    assert {*map(id, ir.plans_below(plan))} < {*map(id, ir.every_plan((plan,)))}
    assert ir.searched(plan) == {KIND}


@each_plan
@pytest.mark.parametrize(
    "accessor",
    [
        ir.as_stages,
        prepare,
        context,
        fields_of_plan,
        lambda plan: Sizes().problem(plan),
        lambda plan: lag(plan, ir.Field("time")),
        lambda plan: why_empty(plan, log_of(find_maps("sysmon.flat"), None, True)[0]),
        lambda plan: Facts(plan).always_null(EXE),
        lambda plan: list(Facts(plan).worlds()),
    ],
)
def test_accessors_of_plans(plan: ir.Plan, accessor: Callable[[ir.Plan], Any]) -> None:
    accessor(plan)


@pytest.mark.parametrize("raw", [build(ir.RawMatch), ir.RawRegex("evil")])
def test_a_test_of_the_raw_event_stays_at_the_join(raw: ir.Atom) -> None:
    """The raw event of a joined row is the text of all its events, not of one branch's."""
    branches = (ir.Branch("a", SEARCH), ir.Branch("b", SEARCH))
    either = ir.Or((raw, ir.IsNull(ir.Field("exe", "a"))))
    join = ir.Join(branches, either)
    assert prepare(join) == join
    assert context(ir.Join((ir.Branch("a", ir.Filter(SEARCH, raw)),), either)) == (either,)


# Relations


@pytest.mark.parametrize("relation", list(ir.Relation))
def test_relations(relation: ir.Relation) -> None:
    def true(of: ir.Relation, a: int, b: int) -> bool:
        compared = ir.Compare(ir.Constant(a), of, ir.Constant(b), ir.Type.INTEGER)
        return holds(compared, RawRow({}), NoContext()) is True

    for a in range(3):
        for b in range(3):
            assert true(relation, a, b) == true(relation.mirrored, b, a)
            if relation.negated is not None:
                assert true(relation, a, b) != true(relation.negated, a, b)
    assert (relation.negated is None) == (relation is ir.Relation.EQUAL)


def test_every_class_of_nodes_is_in_a_union() -> None:
    helpers = {ir.EventKind, ir.Branch, ir.Step, ir.Column, ir.Output, ir.Program}
    classes = {c for c in vars(nodes).values() if isinstance(c, type) and attrs.has(c)}
    classes = {c for c in classes if c.__module__ == nodes.__name__}
    assert classes - helpers == {*CONDITIONS, *VALUES, *PLANS}
    assert {*ATOMS} == {*CONDITIONS} - {*CONNECTIVES, ir.Truth}
    assert model().object("process") is not None
