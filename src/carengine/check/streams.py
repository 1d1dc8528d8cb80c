"""What is wrong between statements: names that nothing uses, joins without bounds, differences
reversed.

Uses of names are read off the syntax tree. They are over-counted where a field and a stream have
one name; a name that is reported as unused is certainly not used. Joins and differences are read
off the plans.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import assert_never

from attrs import evolve, frozen

from .. import ir
from ..diagnostics import Diagnostic, Edit, Fix, Label, Span, codes
from ..ir import Relation, Type
from ..solver.differences import NOW, ZERO, Bound, Differences, Term, less, term
from ..solver.facts import context
from ..syntax import ast
from ..syntax.walking import expressions, fields_in, streams_of

# Names


@frozen
class _Definition:
    """One meaning of a name: where it begins, and the definitions that it reads."""

    name: ast.Name
    place: int
    reads: tuple[int, ...]


def check_names(program: ast.SyntaxTree) -> list[Diagnostic]:
    """Definitions that reach no output."""
    definitions: list[_Definition] = []
    current: dict[str, int] = {}
    wanted: list[int] = []
    readers: dict[int, int] = {}
    for statement in program.statements:
        read = tuple(dict.fromkeys(current[n] for n in _read(statement) if n in current))
        for one in read:
            readers.setdefault(one, len(definitions))
        match statement:
            case ast.OutputStatement():
                wanted += read
                continue
            case ast.AssignStatement(name):
                reads = tuple(dict.fromkeys((*read, *_known(current, name))))
                for one in reads:
                    readers.setdefault(one, len(definitions))
            case ast.DefineStatement(name) | ast.InputStatement(name):
                reads = read
        current[name.text] = len(definitions)
        definitions.append(_Definition(name, len(definitions), reads))
    alive: set[int] = set()
    while wanted:
        place = wanted.pop()
        if place not in alive:
            alive.add(place)
            wanted += definitions[place].reads
    return [_unused(d, definitions, current, readers) for d in definitions if d.place not in alive]


def _known(current: dict[str, int], name: ast.Name) -> tuple[int, ...]:
    return (current[name.text],) if name.text in current else ()


def _unused(
    definition: _Definition,
    definitions: list[_Definition],
    current: dict[str, int],
    readers: dict[int, int],
) -> Diagnostic:
    name = definition.name
    reader = readers.get(definition.place)
    if reader is not None and definitions[reader].name.text != name.text:
        other = definitions[reader].name
        return Diagnostic(
            codes.UNUSED_NAME,
            f"{name.text} is used only by {other.text}, which reaches no output",
            name.span,
            "reaches no output",
            (Label(other.span, "used here"),),
            fix=Fix(f"leave it out, or write output {other.text}"),
        )
    later = next((d for d in definitions[definition.place + 1 :] if d.name.text == name.text), None)
    if reader is None and later is not None:
        return Diagnostic(
            codes.OVERWRITTEN_NAME,
            f"{name.text} is defined again before anything uses it",
            name.span,
            "never used",
            (Label(later.name.span, "defined again here"),),
            fix=Fix(f"give one of the two another name, or let the second read {name.text}"),
        )
    return Diagnostic(
        codes.UNUSED_NAME,
        f"nothing uses {name.text}",
        name.span,
        "never used",
        fix=Fix(f"leave it out, or write output {name.text}"),
    )


def _read(statement: ast.Statement) -> Iterator[str]:
    """The names that a statement may read."""
    yield from (name.text for name in streams_of(statement))
    match statement:
        case ast.DefineStatement(_, ast.GroupExpression() | ast.CountExpression()):
            # Their keys are fields of the stream's rows.
            match statement.value:
                case ast.GroupExpression(within=ast.Name(length)):
                    yield length
                case _:
                    return
        case _:
            for expression in expressions(statement):
                yield from (path.path[0] for path in fields_in(expression))


# Plans


def check_plans(program: ir.Program, block: Span) -> list[Diagnostic]:
    """Joins, groups and differences in a program's plans. ``block`` is the text that may be spoken
    about."""
    found: list[Diagnostic] = []
    for plan in ir.every_plan(output.plan for output in program.outputs):
        # A span outside `block` is of a rule that this one runs: it is checked there.
        match plan:
            case ir.Join(span=Span() as span) if _within(span, block):
                found += _join(plan, span)
            case ir.Group(within=None, span=Span() as span) if _within(span, block):
                found.append(_open_group(plan, span))
            case ir.Difference(span=Span() as span) if _within(span, block):
                found += _difference(plan, span)
    return found


def _open_group(group: ir.Group, span: Span) -> Diagnostic:
    keys = ", ".join(key.name for key in group.keys) or "nothing"
    return Diagnostic(
        codes.UNBOUNDED_GROUP,
        f"nothing says when a group by {keys} ends; the run's horizon does",
        span,
        "no time bound",
        fix=Fix("if events far apart do not belong together, add: within 1 hour"),
    )


def _within(span: Span, block: Span) -> bool:
    return span.source is block.source and block.start <= span.start and span.end <= block.end


# Joins


def _join(join: ir.Join, span: Span) -> Iterator[Diagnostic]:
    cases = _cases(join.condition)
    if cases is None:
        return
    names = [branch.name for branch in join.branches]
    untied = [group for case in cases if len(group := _tied(case, names)) > 1]
    if untied:
        yield Diagnostic(
            codes.CROSS_JOIN,
            f"nothing but time ties {' and '.join(_shown(g) for g in untied[0])} together",
            span,
            "every pair is looked at",
            fix=Fix(f"demand something in common: {names[0]}.hostname = {names[1]}.hostname"),
        )
    open_ = [pair for case in cases for pair in _unbounded(join, case)]
    if open_:
        earlier, later = open_[0]
        both = (later, earlier) in open_
        yield Diagnostic(
            codes.UNBOUNDED_JOIN,
            f"nothing says how long after {earlier} an event of {later} may come"
            + (", or before" if both else ""),
            span,
            "no bound on time",
            fix=Fix(
                f"add a window: {earlier}.time < {later}.time < {earlier}.time + 1 hour",
            ),
        )


def _shown(group: tuple[str, ...]) -> str:
    return "/".join(group)


_MAX_CASES = 32


def _cases(condition: ir.Condition) -> list[tuple[ir.Condition, ...]] | None:
    """The atoms that are true in each way the condition can be; None where there are too many
    ways."""
    match condition:
        case ir.And(items):
            cases: list[tuple[ir.Condition, ...]] = [()]
            for item in items:
                inner = _cases(item)
                if inner is None or len(cases) * len(inner) > _MAX_CASES:
                    return None
                cases = [(*a, *b) for a in cases for b in inner]
            return cases
        case ir.Or(items):
            found: list[tuple[ir.Condition, ...]] = []
            for item in items:
                inner = _cases(item)
                if inner is None or len(found) + len(inner) > _MAX_CASES:
                    return None
                found += inner
            return found
        case ir.Not() | ir.IsTrue() | ir.Truth():
            # They are left whole: nothing is read off what is inside.
            return [(condition,)]
        case _:
            atom: ir.Atom = condition
            return [(atom,)]


def _tied(case: tuple[ir.Condition, ...], names: list[str]) -> list[tuple[str, ...]]:
    """The branches, in groups that equalities (or texts that occur in one another) tie together."""
    groups = [{name} for name in names]
    for atom in case:
        equal = isinstance(atom, ir.Compare) and atom.relation is Relation.EQUAL
        if not equal and not isinstance(atom, ir.Occurs):
            continue
        touched = {
            name
            for value in ir.values_of(atom)
            for f in ir.fields_in(value)
            if (name := _branch(f, names)) is not None
        }
        joined = [group for group in groups if group & touched]
        if len(joined) > 1:
            groups = [group for group in groups if not group & touched]
            groups.append(set().union(*joined))
    return [tuple(name for name in names if name in group) for group in groups]


def _branch(field: ir.Field, names: list[str]) -> str | None:
    if field.source is None:
        return None
    return next((n for n in names if field.source == n or field.source.startswith(n + ".")), None)


def _unbounded(join: ir.Join, case: tuple[ir.Condition, ...]) -> list[tuple[str, str]]:
    """Pairs of branches of which the second may come any time after the first."""
    given = Differences()
    times: dict[str, dict[Hashable, None]] = {}
    names = [branch.name for branch in join.branches]
    for condition in (*case, *context(join)):
        for atom in _demanded(condition):
            _note_time(atom, given, times, names)
    for name in names:
        # Nothing that happens now is in the future.
        for time in times.get(name, ()):
            given.add(Term(time), Relation.LESS_EQUAL, Term(NOW))
    given.close()
    open_ = []
    for first in names:
        for second in names:
            bounded = any(
                given.most(later, earlier) is not None
                for later in times.get(second, ())
                for earlier in times.get(first, ())
            )
            if first != second and not bounded:
                open_.append((first, second))
    return open_


def _demanded(condition: ir.Condition, goal: ir.Goal = ir.Goal.TRUE) -> Iterator[ir.Compare]:
    """The comparisons that have to be true for the condition to be the goal."""
    match ir.demand(condition, goal):
        case ir.EveryOf(items, each):
            for item in items:
                yield from _demanded(item, each)
        case ir.AtomGoal(ir.Compare() as atom, ir.Goal.TRUE):
            yield atom
        case ir.AtomGoal(ir.Compare(relation=relation) as atom, ir.Goal.FALSE):
            # What is false is not unknown: both sides are there.
            if (negated := relation.negated) is not None:
                yield evolve(atom, relation=negated)
        case ir.AtomGoal() | ir.OneOf() | ir.Decided():
            return


def _note_time(
    atom: ir.Compare,
    given: Differences,
    times: dict[str, dict[Hashable, None]],
    names: list[str],
) -> None:
    if atom.type is not Type.TIME:
        return
    a, b = term(atom.left), term(atom.right)
    if a is None or b is None:
        return
    for value in (atom.left, atom.right):
        for f in ir.fields_in(value):
            branch = _branch(f, names)
            one = term(f)
            if branch is not None and one is not None:
                times.setdefault(branch, {})[one.variable] = None
    given.add(a, atom.relation, b)


# Differences


def _difference(difference: ir.Difference, span: Span) -> Iterator[Diagnostic]:
    if not _has_columns(difference.left):
        fields = ", ".join(f.name for f in difference.fields)
        yield Diagnostic(
            codes.DIFFERENCE_ON_IDENTITY,
            f"the events are compared on {fields}",
            span,
            "what is compared is not said",
            fix=Fix(f"say it: x = from … select {fields}"),
        )
    for base, word in ((NOW, "now"), (ZERO, "")):
        latest = _bound(difference.left, base, upper=True)
        earliest = _bound(difference.right, base, upper=False)
        if latest is not None and earliest is not None and latest[0] <= -earliest[0]:
            yield _reversed(span, word)
            return


def _reversed(span: Span, word: str) -> Diagnostic:
    left, sign, right = span.text.partition("-")
    edits: tuple[Edit, ...] = ()
    if sign and "-" not in right and "#" not in span.text:
        edits = (Edit(span, f"{right.strip()} - {left.strip()}"),)
    return Diagnostic(
        codes.DIFFERENCE_REVERSED,
        "every event on the left is older than every event on the right: "
        "this finds what is no longer there",
        span,
        "the past minus the present",
        notes=("what is new is the present minus the past",),
        fix=Fix("turn it round", edits),
    )


def _has_columns(plan: ir.Plan) -> bool:
    match plan:
        case ir.Filter(inner) | ir.Assign(inner) | ir.Distinct(inner) | ir.Difference(inner):
            return _has_columns(inner)
        case ir.Search() | ir.Join() | ir.Group() | ir.Sequence():
            return False
        case ir.Project() | ir.Aggregated() | ir.Window() | ir.Union():
            return True
        case _:
            assert_never(plan)


def _bound(plan: ir.Plan, base: Hashable, *, upper: bool) -> Bound | None:
    """The least upper bound of ``time - base`` over a plan's rows, or of ``base - time``."""
    best: Bound | None = None
    for condition in context(plan):
        for atom in _demanded(condition):
            if atom.type is not Type.TIME:
                continue
            a, b = term(atom.left), term(atom.right)
            if a is None or b is None:
                continue
            one = Differences()
            one.add(a, atom.relation, b)
            time = (None, "time", True)
            found = one.most(time, base) if upper else one.most(base, time)
            if found is not None and (best is None or less(found, best)):
                best = found
    return best
