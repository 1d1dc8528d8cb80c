"""Whether two programs that look at several events at a time are built alike, out of filters that
find the same events.

``NormalForms`` gives each plan a form in which what makes no difference is gone: the order of
conditions, keys and branches, the names of branches and columns, the way round in which two values
are compared, and which of two conditions is written where both are proved to find the same single
events::

    c = count(p) by host, filter c where count > 3
    EventCode=1 | stats count as n by host | search n>=4

Plans of one form have the same rows. Plans of different forms may have them too: that is not known.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import assert_never

from attrs import define, evolve, field

from .. import ir
from .kind_conditions import selection

Leaf = tuple[ir.Stage, ...]
Names = Mapping[tuple[str | None, str], ir.Value]
Form = Hashable

_COUNTS = ("count", "distinct_count")


@define
class NormalForms:
    """The forms of plans. ``same`` tells whether two leaves, which single events decide, are proved
    to have the same rows."""

    same: Callable[[Leaf, Leaf], bool]
    leaves: list[Leaf] = field(factory=list)

    def of(self, program: ir.Program, *, keyed: bool = False) -> Form:
        """The form of a program: what its outputs find, in whatever order; ``keyed`` as
        `selection` has it."""
        return frozenset(
            self._of(selection(output.plan, keyed=keyed))[0] for output in program.outputs
        )

    def within(self, first: ir.Program, second: ir.Program, *, keyed: bool = False) -> bool:
        """Whether it is plain that the second program finds all that the first finds: both keep
        rows of the same plan, and the first asks at least as much of them."""
        if len(first.outputs) != 1 or len(second.outputs) != 1:
            return False
        one, other = (
            self._of(selection(program.outputs[0].plan, keyed=keyed))[0]
            for program in (first, second)
        )
        mine, asked = _filters_of(one)
        theirs, wanted = _filters_of(other)
        return mine == theirs and all(any(_implies(has, want) for has in asked) for want in wanted)

    def shown(self, plan: ir.Plan) -> Form:
        """What the rows of a plan show: the events as they are, or columns and what these hold,
        and for groups their keys."""
        stages = ir.as_stages(plan)
        if stages is not None:
            return frozenset(
                (frozenset(stage.assigned), None if stage.columns is None else "columns")
                for stage in stages
            )
        match plan:
            case ir.Filter(inner) | ir.Distinct(inner):
                return self.shown(inner)
            case ir.Project(inner) | ir.Assign(inner):
                _, names = self._of(plan)
                sources = _places(self, inner)
                columns = frozenset(
                    (name, ir.rewrite_value(value, sources)) for name, value in names.items()
                )
                whole = self.shown(inner) if isinstance(plan, ir.Assign) else None
                return columns, whole, _grouping(self, inner)
            case ir.Aggregated(group):
                _, names = self._of(plan)
                return frozenset(names.items()), None, _grouping(self, group)
            case ir.Union(plans):
                return frozenset(self.shown(part) for part in plans)
            case ir.Group():
                return frozenset(), None, _grouping(self, plan)
            case ir.Window(columns=columns, keys=keys):
                return frozenset((c.name, c.value) for c in columns), None, frozenset(keys)
            case ir.Search() | ir.Join() | ir.Sequence() | ir.Difference():
                # The events as they are.
                return frozenset({(frozenset(), None)})
            case _:
                assert_never(plan)

    def _of(self, plan: ir.Plan) -> tuple[Form, Names]:
        stages = ir.as_stages(plan)
        if stages is not None:
            return self._leaf(stages), {}
        match plan:
            case ir.Filter(inner, condition):
                form, names = self._of(inner)
                return _filtered(form, _conjuncts(condition, names)), names
            case ir.Join(branches, condition):
                return self._join(branches, condition)
            case ir.Group(plans, keys, within):
                parts = [self._of(part) for part in plans]
                if len(parts) > 1 and any(names for _, names in parts):
                    # What a name stands for may differ between them.
                    return plan, {}
                names = parts[0][1]
                by = frozenset(_value(key, names) for key in keys)
                return ("group", frozenset(form for form, _ in parts), by, within), names
            case ir.Aggregated(group, columns):
                form, names = self._of(group)
                return ("aggregated", form), {**_named(columns, names)}
            case ir.Project(inner, columns):
                form, names = self._of(inner)
                return ("project", form), {**_named(columns, names)}
            case ir.Assign(inner, name, value):
                form, names = self._of(inner)
                return ("assign", form, name), {**names, (None, name): _value(value, names)}
            case ir.Distinct(inner, value):
                form, names = self._of(inner)
                return ("distinct", form, _value(value, names)), names
            case ir.Difference(left, right, fields):
                form, names = self._of(left)
                theirs, their_names = self._of(right)
                pairs = frozenset((_value(f, names), _value(f, their_names)) for f in fields)
                return ("difference", form, theirs, pairs), names
            case ir.Union(plans):
                return frozenset(self._of(part)[0] for part in plans), {}
            case ir.Window(plans, keys, span, columns, condition, complete, ordered):
                parts = [self._of(part) for part in plans]
                if any(names for _, names in parts):
                    # What a key or a column stands for may differ between them.
                    return plan, {}
                shown = frozenset((column.name, column.value) for column in columns)
                asked = _conjuncts(condition, {})
                forms = tuple(form for form, _ in parts)
                form = ("window", forms, frozenset(keys), span, shown, asked, complete, ordered)
                return form, {}
            case ir.Sequence(steps, optional, within, until, ordered):
                every = (*steps, *(() if until is None else (until,)))
                parts = [self._of(step.plan) for step in every]
                if any(names for _, names in parts):
                    return plan, {}
                taken = tuple(
                    (form, step.keys, step.absent)
                    for step, (form, _) in zip(every, parts, strict=True)
                )
                return ("sequence", taken, optional, within, until is None, ordered), {}
            case ir.Search():
                # Its own form: only equal plans are known to be alike.
                return plan, {}
            case _:
                assert_never(plan)

    def _leaf(self, stages: Leaf) -> Form:
        for number, known in enumerate(self.leaves):
            if known == stages or self.same(known, stages):
                return "leaf", number
        self.leaves.append(stages)
        return "leaf", len(self.leaves) - 1

    def _join(self, branches: Sequence[ir.Branch], condition: ir.Condition) -> tuple[Form, Names]:
        parts, renamed = self.renaming(branches)
        changed = ir.rewrite_condition(condition, renamed)
        return _filtered(("join", parts), _conjuncts(changed, {})), {}

    def renaming(
        self, branches: Sequence[ir.Branch]
    ) -> tuple[tuple[Form, ...], Callable[[ir.Value], ir.Value]]:
        """The forms of a join's branches in an order of their own, and what names the fields of the
        branches by their places in it."""
        forms = [(branch.name, *self._of(branch.plan)) for branch in branches]
        ordered = sorted(forms, key=lambda item: _order(item[1]))
        places = {name: str(place) for place, (name, _, _) in enumerate(ordered)}

        def renamed(value: ir.Value) -> ir.Value:
            match value:
                case ir.Field(name, str() as source):
                    first, dot, rest = source.partition(".")
                    inner = next((names for n, _, names in forms if n == source), {})
                    known = inner.get((None, name))
                    if known is not None:
                        return ir.Call("of", (ir.Constant(places.get(source, source)), known))
                    return evolve(value, source=places.get(first, first) + dot + rest)
                case _:
                    return value

        return tuple(form for _, form, _ in ordered), renamed


def _filters_of(form: Form) -> tuple[Form, frozenset[Form]]:
    """What rows are kept of, and what is asked of them."""
    match form:
        case ("filter", inner, frozenset() as conditions):
            return inner, conditions
        case _:
            return form, frozenset()


def _implies(one: Form, other: Form) -> bool:
    """Whether a condition says at least as much as another one."""
    if one == other:
        return True
    match one, other:
        case (">=", left, int() as more), (">=", right, int() as less):
            return bool(left == right and more >= less)
        case ("<=", left, int() as less), ("<=", right, int() as more):
            return bool(left == right and less <= more)
        case (
            (
                ir.Relation() as relation,
                ir.Arithmetic("+", of, ir.Duration(shorter)),
                right,
                type_,
            ),
            (
                ir.Relation() as same,
                ir.Arithmetic("+", of_other, ir.Duration(longer)),
                right_other,
                type_other,
            ),
        ):
            # A later bound leaves more.
            alike = (of, right, type_) == (of_other, right_other, type_other)
            return alike and shorter <= longer and relation is same
        case (ir.Relation.GREATER, *rest), (ir.Relation.GREATER_EQUAL, *others):
            return rest == others
        case _:
            return False


def _grouping(forms: NormalForms, plan: ir.Plan) -> Form:
    """The keys of the groups that a plan's rows are, or None where they are no groups."""
    match plan:
        case ir.Project(inner) | ir.Assign(inner) | ir.Filter(inner) | ir.Aggregated(inner):
            return _grouping(forms, inner)
        case ir.Group(plans, keys):
            names = forms._of(plans[0])[1] if len(plans) == 1 else {}
            return frozenset(_value(key, names) for key in keys)
        case _:
            # Rows of any other plan are no groups.
            return None


def _places(forms: NormalForms, plan: ir.Plan) -> Callable[[ir.Value], ir.Value]:
    """What names the branches of the join that a plan filters by their places."""
    while isinstance(plan, ir.Filter):
        plan = plan.plan
    if not isinstance(plan, ir.Join):
        return lambda value: value
    return forms.renaming(plan.branches)[1]


def computed(form: Form) -> frozenset[ir.Value]:
    """The values in a form of what is shown that are computed of several events or fields."""
    match form:
        case frozenset() | tuple():
            return frozenset().union(*map(computed, form)) if form else frozenset()
        case ir.Aggregate() | ir.Arithmetic() | ir.Whole() | ir.Lookup():
            return frozenset({form})
        case _:
            return frozenset()


def _order(form: Form) -> str:
    """A text that is the same for equal forms, however their sets are ordered."""
    match form:
        case frozenset():
            return f"{{{', '.join(sorted(map(_order, form)))}}}"
        case tuple():
            return f"({', '.join(map(_order, form))})"
        case _:
            return repr(form)


def _filtered(form: Form, conditions: frozenset[Form]) -> Form:
    """Filters behind each other are one."""
    match form:
        case ("filter", inner, frozenset() as known):
            return ("filter", inner, known | conditions)
        case _:
            return ("filter", form, conditions)


def _named(columns: Sequence[ir.Column], names: Names) -> Names:
    return {(None, column.name): _value(column.value, names) for column in columns}


def _value(value: ir.Value, names: Names) -> ir.Value:
    def known(leaf: ir.Value) -> ir.Value:
        if isinstance(leaf, ir.Field):
            return names.get((leaf.source, leaf.name), leaf)
        return leaf

    return ir.rewrite_value(value, known)


def _conjuncts(condition: ir.Condition, names: Names) -> frozenset[Form]:
    """The forms of the conditions that all have to be true for a condition to be true."""
    form = _absorbed(_condition(ir.simplify(_pushed(condition)), names))
    match form:
        case ("and", frozenset() as items):
            return items
        case _:
            return frozenset({form})


def _pushed(condition: ir.Condition, *, negated: bool = False) -> ir.Condition:
    """The condition with ``not`` at its atoms alone, and an order for one that is not so.

    All of it holds with three truth values: an order is unknown exactly where its opposite is.
    """
    match condition:
        case ir.And(items) | ir.Or(items):
            parts = tuple(_pushed(item, negated=negated) for item in items)
            return ir.And(parts) if isinstance(condition, ir.And) is not negated else ir.Or(parts)
        case ir.Not(item):
            return _pushed(item, negated=not negated)
        case ir.Compare(relation=relation) if negated and relation.negated is not None:
            return evolve(condition, relation=relation.negated)
        case ir.IsTrue(item):
            made: ir.Condition = ir.IsTrue(_pushed(item))
            return ir.Not(made) if negated else made
        case _:
            return ir.Not(condition) if negated else condition


def _absorbed(form: Form) -> Form:
    """The form without alternatives that say nothing beside what is asked anyway: a and (a or b),
    a or (a and b)."""
    match form:
        case (("and" | "or") as word, frozenset() as items):
            made = {_absorbed(item) for item in items}
            other = "or" if word == "and" else "and"
            kept = frozenset(
                item
                for item in made
                if not (isinstance(item, tuple) and item[0] == other and item[1] & made)
            )
            return next(iter(kept)) if len(kept) == 1 else (word, kept)
        case _:
            return form


def _condition(condition: ir.Condition, names: Names) -> Form:
    match condition:
        case ir.And(items):
            parts: frozenset[Form] = frozenset()
            for item in items:
                parts |= _conjuncts(item, names)
            return "and", parts
        case ir.Or(items):
            return "or", frozenset(_condition(item, names) for item in items)
        case ir.Not(item) | ir.IsTrue(item):
            return type(condition).__name__, _condition(item, names)
        case ir.Compare(left, relation, right, type_):
            return _compared(_value(left, names), relation, _value(right, names), type_)
        case ir.Truth():
            return condition
        case _:
            atom: ir.Atom = condition
            return ir.rewrite_condition(atom, lambda leaf: _value(leaf, names))


def _compared(left: ir.Value, relation: ir.Relation, right: ir.Value, type_: ir.Type) -> Form:
    if relation is ir.Relation.EQUAL:
        return "=", frozenset((left, right)), type_
    if relation in (ir.Relation.LESS, ir.Relation.LESS_EQUAL):
        left, right, relation = right, left, relation.mirrored
    match left, right:
        case ir.Aggregate(function), ir.Constant(int() as number) if function in _COUNTS:
            # Between whole numbers, more than three is four at least.
            above = relation is ir.Relation.GREATER
            return ">=", left, number + 1 if above else number
        case ir.Constant(int() as number), ir.Aggregate(function) if function in _COUNTS:
            above = relation is ir.Relation.GREATER
            return "<=", right, number - 1 if above else number
    return relation, left, right, type_
