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

from collections.abc import Callable, Hashable, Sequence
from typing import assert_never

from attrs import define, evolve, field

from .. import ir
from .kind_conditions import conjuncts, selection

Leaf = tuple[ir.Stage, ...]
Names = Callable[[ir.Field], ir.Value]
"""What a field of a plan's rows stands for, in terms of the plan's own inputs."""
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
            self.part(selection(output.plan, keyed=keyed))[0] for output in program.outputs
        )

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
            case ir.Project(inner, columns):
                _, names = self.part(inner)
                shown = frozenset((c.name, resolved(c.value, names)) for c in columns)
                return shown, None, self._grouping(inner)
            case ir.Assign(inner, name, value):
                _, names = self.part(inner)
                shown = frozenset({(name, resolved(value, names))})
                return shown, self.shown(inner), self._grouping(inner)
            case ir.Aggregated(group, columns):
                _, names = self.part(group)
                shown = frozenset((c.name, resolved(c.value, names)) for c in columns)
                return shown, None, self._grouping(group)
            case ir.Union(plans):
                return frozenset(self.shown(part) for part in plans)
            case ir.Group():
                return frozenset(), None, self._grouping(plan)
            case ir.Window(columns=columns, keys=keys):
                return frozenset((c.name, c.value) for c in columns), None, frozenset(keys)
            case ir.Search() | ir.Join() | ir.Sequence() | ir.Difference():
                # The events as they are.
                return frozenset({(frozenset(), None)})
            case _:
                assert_never(plan)

    def part(self, plan: ir.Plan) -> tuple[Form, Names]:
        """The form of a plan's rows, and what their fields stand for."""
        plan = pushed_down(plan)
        stages = ir.as_stages(plan)
        if stages is not None:
            return self._leaf(stages), as_is
        match plan:
            case ir.Filter(inner, condition):
                form, names = self.part(inner)
                return _filtered(form, _conjuncts(condition, names)), names
            case ir.Join(branches, condition):
                return self._join(branches, condition)
            case ir.Group(plans, keys, within):
                parts = [self.part(part) for part in plans]
                if len(parts) > 1 and _are_named(parts):
                    # What a name stands for may differ between them.
                    return plan, as_is
                names = parts[0][1]
                by = frozenset(resolved(key, names) for key in keys)
                return ("group", frozenset(form for form, _ in parts), by, within), names
            case ir.Aggregated(group, columns):
                form, names = self.part(group)
                return ("aggregated", form), columns_of(columns, names)
            case ir.Project(inner, columns):
                form, names = self.part(inner)
                return ("project", form), columns_of(columns, names)
            case ir.Assign(inner, name, value):
                form, names = self.part(inner)
                return ("assign", form, name), _assigned(name, resolved(value, names), names)
            case ir.Distinct(inner, value):
                form, names = self.part(inner)
                return ("distinct", form, resolved(value, names)), names
            case ir.Difference(left, right, fields):
                form, names = self.part(left)
                theirs, their_names = self.part(right)
                pairs = frozenset((resolved(f, names), resolved(f, their_names)) for f in fields)
                return ("difference", form, theirs, pairs), names
            case ir.Union(plans):
                parts = [self.part(part) for part in plans]
                if _are_named(parts):
                    return plan, as_is
                return ("union", frozenset(form for form, _ in parts)), as_is
            case ir.Window(plans, keys, span, columns, condition, complete, ordered):
                parts = [self.part(part) for part in plans]
                if _are_named(parts):
                    # What a key or a column stands for may differ between them.
                    return plan, as_is
                shown = frozenset((column.name, column.value) for column in columns)
                asked = _conjuncts(condition, columns_of(columns, as_is))
                forms = tuple(form for form, _ in parts)
                if not ordered:
                    forms = tuple(sorted(forms, key=_order))
                form = ("window", forms, frozenset(keys), span, shown, asked, complete, ordered)
                return form, as_is
            case ir.Sequence(steps, optional, within, until, ordered):
                every = (*steps, *(() if until is None else (until,)))
                parts = [self.part(step.plan) for step in every]
                if _are_named(parts):
                    return plan, as_is
                taken = tuple(
                    (form, step.keys, step.absent)
                    for step, (form, _) in zip(every, parts, strict=True)
                )
                return ("sequence", taken, optional, within, until is None, ordered), as_is
            case ir.Search():
                # Its own form: only equal plans are known to be alike.
                return plan, as_is
            case _:
                assert_never(plan)

    def _leaf(self, stages: Leaf) -> Form:
        for number, known in enumerate(self.leaves):
            if known == stages or self.same(known, stages):
                return "leaf", number
        self.leaves.append(stages)
        return "leaf", len(self.leaves) - 1

    def _join(self, branches: Sequence[ir.Branch], condition: ir.Condition) -> tuple[Form, Names]:
        ordered = sorted(branches, key=lambda branch: _order(self.part(branch.plan)[0]))
        names = self.renaming(ordered)
        forms = tuple(self.part(branch.plan)[0] for branch in ordered)
        return _filtered(("join", forms), _conjuncts(condition, names)), names

    def renaming(self, branches: Sequence[ir.Branch]) -> Names:
        """What names the fields of a join's branches by their places among these."""
        inner = {
            branch.name: (str(place), self.part(branch.plan)[1])
            for place, branch in enumerate(branches)
        }

        def named(of: ir.Field) -> ir.Value:
            source = of.source or ""
            known = [n for n in inner if source == n or source.startswith(f"{n}.")]
            if not known:
                return of
            name = max(known, key=len)
            place, names = inner[name]
            value = names(evolve(of, source=source[len(name) + 1 :] or None))
            if isinstance(value, ir.Field):
                below = "" if value.source is None else f".{value.source}"
                return evolve(value, source=place + below)
            return ir.Call("of", (ir.Constant(place), value), ir.type_of(value))

        return named

    def _grouping(self, plan: ir.Plan) -> Form:
        """The keys of the groups that a plan's rows are, or None where they are no groups."""
        match plan:
            case ir.Project(inner) | ir.Assign(inner) | ir.Filter(inner) | ir.Aggregated(inner):
                return self._grouping(inner)
            case ir.Group(plans, keys):
                names = self.part(plans[0])[1] if len(plans) == 1 else as_is
                return frozenset(resolved(key, names) for key in keys)
            case _:
                # Rows of any other plan are no groups.
                return None


def as_is(of: ir.Field) -> ir.Value:
    """Of plans whose fields are those of their events."""
    return of


def _are_named(parts: Sequence[tuple[Form, Names]]) -> bool:
    return any(names is not as_is for _, names in parts)


def columns_of(columns: Sequence[ir.Column], names: Names) -> Names:
    """What the columns of a row stand for, where the fields below them stand for ``names``."""
    made = {column.name: resolved(column.value, names) for column in columns}

    def named(of: ir.Field) -> ir.Value:
        return made.get(of.name, of) if of.source is None else of

    return named


def _assigned(name: str, value: ir.Value, names: Names) -> Names:
    def named(of: ir.Field) -> ir.Value:
        return value if of.source is None and of.name == name else names(of)

    return named


def pushed_down(plan: ir.Plan) -> ir.Plan:
    """The plan with what is asked behind a join asked by it, and what that asks of one branch alone
    asked below it."""
    match plan:
        case ir.Filter(inner, condition):
            below = pushed_down(inner)
            if isinstance(below, ir.Join):
                both = ir.conjunction((below.condition, condition))
                return pushed_down(evolve(below, condition=both))
            return plan if below == inner else evolve(plan, plan=below)
        case ir.Join(branches, condition):
            asked: dict[str, list[ir.Condition]] = {}
            left = []
            for part in conjuncts(ir.simplify(_pushed(condition))):
                name = _only_source(part)
                branch = next((b for b in branches if b.name == name), None)
                if branch is None or isinstance(pushed_down(branch.plan), ir.Join):
                    left.append(part)
                else:
                    asked.setdefault(branch.name, []).append(
                        ir.rewrite_condition(part, _without_source)
                    )
            made = tuple(
                evolve(b, plan=ir.Filter(b.plan, ir.conjunction(tuple(asked[b.name]))))
                if b.name in asked
                else b
                for b in branches
            )
            return evolve(plan, branches=made, condition=ir.conjunction(tuple(left)))
        case _:
            return plan


def _only_source(condition: ir.Condition) -> str | None:
    """The branch that a condition on single events speaks of, if it speaks of one alone."""
    if not ir.is_stateless(condition) or any(map(ir.reads_raw_event, ir.atoms(condition))):
        return None
    sources = {found.source for found in ir.fields_of(condition)}
    return next(iter(sources)) if len(sources) == 1 else None


def _without_source(value: ir.Value) -> ir.Value:
    return evolve(value, source=None) if isinstance(value, ir.Field) else value


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


def resolved(value: ir.Value, names: Names) -> ir.Value:
    """A value with each field as what it stands for."""

    def known(leaf: ir.Value) -> ir.Value:
        return names(leaf) if isinstance(leaf, ir.Field) else leaf

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
            return _timed(evolve(condition, relation=relation.negated))
        case ir.Compare():
            made_atom = _timed(condition)
            return ir.Not(made_atom) if negated else made_atom
        case ir.IsTrue(item):
            made: ir.Condition = ir.IsTrue(_pushed(item))
            return ir.Not(made) if negated else made
        case _:
            return ir.Not(condition) if negated else condition


def _timed(compared: ir.Compare) -> ir.Compare:
    """An order of two times as that of the one and of the other some time later, whichever way it
    is written: ``b.time - a.time < 5 minutes``, ``a.time > b.time - 5 minutes``."""
    if compared.relation is ir.Relation.EQUAL:
        return compared
    match compared:
        case ir.Compare(ir.Duration(), relation, ir.Arithmetic("-") as right):
            turned = evolve(compared, left=right, relation=relation.mirrored, right=compared.left)
            return _timed(turned)
        case ir.Compare(
            ir.Arithmetic("-", ir.Field() as later, ir.Field() as earlier),
            _,
            ir.Duration() as length,
        ) if later.type is earlier.type is ir.Type.TIME:
            sum_ = ir.Arithmetic("+", earlier, length)
            return evolve(compared, left=later, right=sum_, type=ir.Type.TIME)
        case ir.Compare(
            ir.Arithmetic("-", ir.Field() as later, ir.Duration() as length),
            _,
            ir.Field() as earlier,
            ir.Type.TIME,
        ):
            return evolve(compared, left=later, right=ir.Arithmetic("+", earlier, length))
        case ir.Compare(
            ir.Field() as earlier,
            relation,
            ir.Arithmetic("-", ir.Field() as later, ir.Duration() as length),
            ir.Type.TIME,
        ):
            sum_ = ir.Arithmetic("+", earlier, length)
            return evolve(compared, left=later, relation=relation.mirrored, right=sum_)
        case _:
            return compared


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
            return _compared(resolved(left, names), relation, resolved(right, names), type_)
        case ir.Truth():
            return condition
        case _:
            atom: ir.Atom = condition
            return ir.rewrite_condition(atom, lambda leaf: resolved(leaf, names))


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
