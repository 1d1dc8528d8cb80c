"""From a syntax tree to the IR.

``resolve`` walks a program's statements in order with an environment of what each name means
so far (a stream and what its rows look like, a list, a value). All problems are collected; a
statement that has one leaves its name *broken* unless it is plain what its rows look like, and what is
built on a broken name stays silent, so that each mistake is reported once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NoReturn

from attrs import evolve, frozen

from .. import ir
from ..datamodel import DataModel, FieldSpec, ObjectSpec, fold_name, model, nearest
from ..diagnostics import Diagnostic, Edit, Fix, Span, codes, ordered
from ..ir import Type
from ..syntax import ast
from .expressions import (
    Abandoned,
    ListConstant,
    Scope,
    Typed,
    condition_of,
    fail,
    head_of,
    suggestion,
    value_of,
)
from .outcome import Analytic, Clause, Path, Reference, Resolution
from .shapes import EventShape, GroupShape, JoinShape, RowShape, Shape, merged
from .size import Sizes

AGGREGATES = {
    "count": Type.INTEGER,
    "distinct_count": Type.INTEGER,
    "min": Type.ANY,
    "max": Type.ANY,
    "sum": Type.NUMBER,
    "average": Type.NUMBER,
    "standard_deviation": Type.NUMBER,
    "values": Type.ANY,
}
_SPELLINGS = {
    "avg": "average",
    "mean": "average",
    "stdev": "standard_deviation",
    "stddev": "standard_deviation",
    "dc": "distinct_count",
    "minimum": "min",
    "maximum": "max",
}


@frozen
class _Stream:
    plan: ir.Plan
    shape: Shape


@frozen
class _Scalar:
    value: ir.Value
    type: Type


@frozen
class _Broken:
    """A name whose definition has an error that is reported already."""


_Binding = _Stream | ListConstant | _Scalar | _Broken


def resolve(
    program: ast.Program,
    *,
    datamodel: DataModel | None = None,
    analytics: Callable[[str], Analytic | None] = lambda _id: None,
    parameters: Mapping[str, str | int | float | bool] | None = None,
) -> Resolution:
    """The meaning of a program.

    ``analytics`` finds the plan of a rule that the program runs by its id; ``parameters`` binds
    ``input`` names, unbound ones stay ``ir.Parameter`` and are listed in the program.
    """
    resolver = _Resolver(datamodel or model(), analytics, dict(parameters or {}))
    return resolver.run(program)


class _Resolver:
    """The state of one resolution: the environment so far and what was found."""

    def __init__(
        self,
        datamodel: DataModel,
        analytics: Callable[[str], Analytic | None],
        parameters: dict[str, str | int | float | bool],
    ) -> None:
        self.model = datamodel
        self.analytics = analytics
        self.bound = parameters
        self.names: dict[str, _Binding] = {}
        self.found: list[Diagnostic] = []
        self.references: dict[Reference, None] = {}
        self.parameters: dict[str, None] = {}
        self.runs: dict[str, None] = {}
        self.outputs: dict[str, tuple[ir.Output, Shape]] = {}
        self.sizes = Sizes()
        self.clauses: list[Clause] = []
        self.spelt: dict[tuple[Span, Path, Path], None] = {}

    def run(self, program: ast.Program) -> Resolution:
        for statement in program.statements:
            try:
                self._statement(statement)
            except Abandoned:
                if isinstance(statement, ast.Define):
                    self.names[statement.name.text] = self._recovered(statement.value)
                elif isinstance(statement, ast.Assign):
                    name = statement.stream.text
                    if self.found and self.found[-1].code is codes.TOO_LARGE:
                        self.names[name] = _Broken()
                    self.names.setdefault(name, _Broken())
        if not any(isinstance(item, ast.Output) for item in program.statements):
            self.found.append(self._no_output(program))
        found = ordered(self.found)
        refused = any(item.severity.rank == 0 for item in found)
        made = ir.Program(
            tuple(output for output, _ in self.outputs.values()), tuple(self.parameters)
        )
        return Resolution(
            None if refused else made,
            found,
            tuple(shape for _, shape in self.outputs.values()),
            tuple(self.references),
            tuple(self.runs),
            tuple(self.clauses),
            tuple(self.spelt),
        )

    def _recovered(self, value: ast.StreamExpression | ast.Expression) -> _Binding:
        """What a name stands for after an error in its definition.

        A condition does not change what rows look like, nor does a misspelt action: what is built on
        the stream can be checked as well. The program is refused in any case.
        """
        if self.found and self.found[-1].code is codes.TOO_LARGE:
            return _Broken()
        match value:
            case ast.Filter(source):
                known = self.names.get(source.text)
                return known if isinstance(known, _Stream) else _Broken()
            case ast.Search(kinds):
                specs = [self.model.object(kind.object.text) for kind in kinds]
                found = {
                    ir.EventKind(spec.name, action): None
                    for spec in specs
                    if spec is not None
                    for action in spec.actions
                }
                if None not in specs:
                    return _Stream(ir.Search(tuple(found), value.span), EventShape(tuple(found)))
        return _Broken()

    def _no_output(self, program: ast.Program) -> Diagnostic:
        streams = [n for n, b in self.names.items() if isinstance(b, _Stream | _Broken)]
        fix = None
        if streams:
            end = program.span.end
            edit = Edit(Span(program.span.source, end, end), f"\noutput {streams[-1]}\n")
            fix = Fix(f"add: output {streams[-1]}", (edit,))
        place = program.statements[-1].span if program.statements else program.span
        return Diagnostic(codes.NO_OUTPUT, "the program has no output", place, "ends here", fix=fix)

    def _report(self, diagnostic: Diagnostic) -> None:
        self.found.append(diagnostic)

    # Statements

    def _statement(self, statement: ast.Statement) -> None:
        match statement:
            case ast.Define(name, value):
                self.names[name.text] = self._definition(name, value)
            case ast.Assign():
                self._assign(statement)
            case ast.Input(name):
                self._input(name)
            case ast.Output(names):
                self._output(names)

    def _input(self, name: ast.Name) -> None:
        if name.text in self.bound:
            value = self.bound[name.text]
            type_ = Type.TEXT if isinstance(value, str) else Type.ANY
            self.names[name.text] = _Scalar(ir.Constant(value), type_)
        else:
            self.parameters.setdefault(name.text)
            self.names[name.text] = _Scalar(ir.Parameter(name.text), Type.ANY)

    def _output(self, names: tuple[ast.Name, ...]) -> None:
        for name in names:
            try:
                stream = self._stream(name)
            except Abandoned:
                continue
            output = ir.Output(name.text, stream.plan, name.span)
            self.outputs[name.text] = (output, stream.shape)

    def _assign(self, statement: ast.Assign) -> None:
        stream = self._stream(statement.stream)
        name = ".".join(statement.field)
        value, type_ = self._row_value(statement.value, stream, statement.stream.text)
        match stream.shape:
            case EventShape(_, assigned):
                spec = self._event_field(stream.shape, name)
                name = name if spec is None else spec.name
                self._spell(statement.span, statement.field, ir.Field(name))
                kept = tuple((n, t) for n, t in assigned if n != name)
                shape: Shape = evolve(stream.shape, assigned=(*kept, (name, type_)))
            case RowShape(columns):
                kept = tuple((n, t) for n, t in columns if n != name)
                shape = RowShape((*kept, (name, type_)))
            case _:
                fail(
                    self._report,
                    codes.BAD_TYPE,
                    "a field can be assigned on events and projections only",
                    statement.span,
                )
        plan = self._sized(ir.Assign(stream.plan, name, value, statement.span), statement.span)
        self.names[statement.stream.text] = _Stream(plan, shape)

    def _definition(self, name: ast.Name, value: ast.StreamExpression | ast.Expression) -> _Binding:
        match value:
            case ast.Search():
                return self._search(name, value)
            case ast.Filter(source, condition):
                stream = self._stream(source)
                return self._filter(stream, condition, source.text, value.span)
            case ast.Join():
                return self._join(value)
            case ast.Group():
                return self._group(value)
            case ast.Select():
                return self._select(value)
            case ast.Count():
                return self._count(value)
            case ast.Run(rule):
                return self._run_rule(rule)
            case ast.List():
                return ListConstant(value)
            case ast.Arithmetic(ast.Sign.MINUS, ast.Field((a,)), ast.Field((b,))) if isinstance(
                self.names.get(a), _Stream
            ) or isinstance(self.names.get(b), _Stream):
                return self._difference(value)
            case ast.Field((only,)) if isinstance(self.names.get(only), _Stream | ListConstant):
                return self.names[only]
            case ast.Call(function, (ast.Field() as of,)) if function.lower() == "unique":
                return self._unique(of, value.span)
            case _:
                made, type_ = self._row_value(value, None, None)
                return _Scalar(made, type_)

    def _sized(self, plan: ir.Plan, span: Span) -> ir.Plan:
        """The plan, unless it is too large when written out as a tree."""
        problem = self.sizes.problem(plan)
        if problem is not None:
            fail(self._report, codes.TOO_LARGE, problem, span)
        return plan

    def _search(self, name: ast.Name, search: ast.Search) -> _Stream:
        kinds: dict[ir.EventKind, None] = {}
        failed = False
        for kind in search.kinds:
            try:
                kinds.update(dict.fromkeys(self._kinds(kind)))
            except Abandoned:
                failed = True
        if failed:
            raise Abandoned
        shape = EventShape(tuple(kinds))
        stream = _Stream(self._sized(ir.Search(shape.kinds, search.span), search.span), shape)
        if search.condition is None:
            return stream
        return self._filter(stream, search.condition, name.text, search.span)

    def _kinds(self, kind: ast.Kind) -> list[ir.EventKind]:
        spec = self.model.object(kind.object.text)
        if spec is None:
            near = self.model.nearest_objects(kind.object.text)
            titles = [found.title for n in near if (found := self.model.object(n)) is not None]
            fail(
                self._report,
                codes.UNKNOWN_OBJECT,
                f"the data model has no object {kind.object.text}",
                kind.object.span,
                "unknown object",
                notes=("objects: " + ", ".join(s.title for s in self.model.objects.values()),),
                fix=suggestion(titles, kind.object.span),
            )
        if kind.action is None:
            return [ir.EventKind(spec.name, action) for action in spec.actions]
        action = spec.action(kind.action.text)
        if action is None:
            fail(
                self._report,
                codes.UNKNOWN_ACTION,
                f"{spec.title} has no action {kind.action.text}",
                kind.action.span,
                "unknown action",
                notes=(f"actions of {spec.title}: {', '.join(spec.actions)}",),
                fix=suggestion(spec.nearest_actions(kind.action.text), kind.action.span),
            )
        return [ir.EventKind(spec.name, action.name)]

    def _filter(self, stream: _Stream, condition: ast.Expression, name: str, span: Span) -> _Stream:
        scope = self._row_scope(stream, name)
        written = condition_of(condition, scope)
        self.clauses.append(Clause(condition, written, stream.plan))
        made = ir.simplify(written)
        return _Stream(self._sized(ir.Filter(stream.plan, made, span), span), stream.shape)

    def _join(self, join: ast.Join) -> _Stream:
        branches: list[tuple[str, _Stream]] = []
        for name in join.streams:
            if name.text in dict(branches):
                fail(
                    self._report,
                    codes.AMBIGUOUS_FIELD,
                    f"{name.text} is joined with itself under one name",
                    name.span,
                    notes=(f"give it a second name first: other = {name.text}",),
                )
            branches.append((name.text, self._stream(name)))
        shape = JoinShape(tuple((name, stream.shape) for name, stream in branches))
        plan = ir.Join(
            tuple(ir.Branch(name, stream.plan) for name, stream in branches),
            ir.Truth(True),
            join.span,
        )
        scope = self._row_scope(_Stream(plan, shape), None)
        written = condition_of(join.condition, scope)
        self.clauses.append(Clause(join.condition, written, plan))
        made = ir.simplify(written)
        return _Stream(self._sized(evolve(plan, condition=made), join.span), shape)

    def _group(self, group: ast.Group) -> _Stream:
        streams = [(name.text, self._stream(name)) for name in group.streams]
        keys = self._keys(group.keys, streams)
        within = None if group.within is None else group.within.microseconds
        plan = ir.Group(
            tuple(stream.plan for _, stream in streams),
            tuple(key for key, _ in keys),
            within,
            group.span,
        )
        members = merged([stream.shape for _, stream in streams])
        shape = GroupShape(
            tuple((key.name, type_) for key, type_ in keys),
            members,
            tuple(key.source for key, _ in keys),
        )
        return _Stream(self._sized(plan, group.span), shape)

    def _keys(
        self, keys: Sequence[ast.Field], streams: Sequence[tuple[str, _Stream]]
    ) -> list[tuple[ir.Field, Type]]:
        made: list[tuple[ir.Field, Type]] = []
        for key in keys:
            found = [self._row_field(key, stream.shape, name, key.span) for name, stream in streams]
            value, type_ = found[0]
            if not isinstance(value, ir.Field):
                fail(self._report, codes.BAD_TYPE, "a key must be a field", key.span)
            made.append((value, type_))
        return made

    def _select(self, select: ast.Select) -> _Stream:
        stream = self._stream(select.stream)
        name = select.stream.text
        columns: list[ir.Column] = []
        types: list[tuple[str, Type]] = []
        for item in select.items:
            value, type_ = self._row_value(item.value, stream, name)
            column = item.alias.text if item.alias else _column_name(item.value, name)
            if column in dict(types):
                fail(
                    self._report,
                    codes.BAD_ARGUMENTS,
                    f"two columns are called {column}; name one with `as`",
                    item.span,
                )
            columns.append(ir.Column(column, value))
            types.append((column, type_))
        if isinstance(stream.plan, ir.Group):
            plan: ir.Plan = ir.Aggregated(stream.plan, tuple(columns), select.span)
        elif isinstance(stream.shape, GroupShape):
            # Groups that were filtered: still one row a group.
            plan = ir.Project(stream.plan, tuple(columns), select.span)
        elif any(isinstance(part, ir.Aggregate) for c in columns for part in _leaves(c.value)):
            self._refuse_single_fields(columns, select)
            # Aggregates over an ungrouped stream: one group of everything.
            whole = ir.Group((stream.plan,), (), None, select.span)
            plan = ir.Aggregated(whole, tuple(columns), select.span)
        else:
            plan = ir.Project(stream.plan, tuple(columns), select.span)
        return _Stream(self._sized(plan, select.span), RowShape(tuple(types)))

    def _refuse_single_fields(self, columns: Sequence[ir.Column], select: ast.Select) -> None:
        """Over a whole stream there is one row: a field of single events has no place beside aggregates."""
        for column, item in zip(columns, select.items, strict=True):
            if any(isinstance(part, ir.Field) for part in _outside_aggregates(column.value)):
                fail(
                    self._report,
                    codes.BAD_TYPE,
                    f"{column.name} is a field of single events, and the aggregates beside it are over all of them",
                    item.span,
                    notes=(
                        f"group first: groups = group {select.stream.text} by {column.name}",
                        "or take an aggregate of it: min, max, values",
                    ),
                )

    def _count(self, count: ast.Count) -> _Stream:
        stream = self._stream(count.stream)
        keys = self._keys(count.keys, [(count.stream.text, stream)])
        group = ir.Group((stream.plan,), tuple(key for key, _ in keys), None, count.span)
        columns = (
            *(ir.Column(key.name, key) for key, _ in keys),
            ir.Column("count", ir.Aggregate("count", None)),
        )
        types = (*((key.name, type_) for key, type_ in keys), ("count", Type.INTEGER))
        plan = ir.Aggregated(group, columns, count.span)
        return _Stream(self._sized(plan, count.span), RowShape(types))

    def _difference(self, value: ast.Arithmetic) -> _Stream:
        assert isinstance(value.left, ast.Field)
        assert isinstance(value.right, ast.Field)
        left = self._stream(ast.Name(value.left.text, span=value.left.span))
        right = self._stream(ast.Name(value.right.text, span=value.right.span))
        fields = self._difference_fields(left.shape, value.span)
        for compared in fields:
            self._row_field(
                ast.Field((compared.name,), span=value.right.span),
                right.shape,
                value.right.text,
                value.right.span,
            )
        plan = ir.Difference(left.plan, right.plan, fields, value.span)
        return _Stream(self._sized(plan, value.span), left.shape)

    def _difference_fields(self, shape: Shape, span: Span) -> tuple[ir.Field, ...]:
        match shape:
            case RowShape(columns):
                return tuple(ir.Field(name, None, type_) for name, type_ in columns)
            case EventShape(kinds):
                specs = self._objects(kinds)
                shared = [
                    name
                    for name in specs[0].identity
                    if all(other.field(name) is not None for other in specs)
                ]
                found = [(name, specs[0].field(name)) for name in shared]
                if found:
                    return tuple(
                        ir.Field(name, None, spec.type) for name, spec in found if spec is not None
                    )
        fail(
            self._report,
            codes.BAD_TYPE,
            "nothing says on which fields these streams are compared",
            span,
            notes=("project the fields to compare: x = from t select image_path",),
        )

    def _unique(self, of: ast.Field, span: Span) -> _Stream:
        if len(of.path) < 2:
            fail(
                self._report,
                codes.BAD_ARGUMENTS,
                "unique needs a field of a stream: unique(t.user)",
                of.span,
            )
        name = ast.Name(of.path[0], span=of.span)
        stream = self._stream(name)
        value, _ = self._row_field(of, stream.shape, name.text, of.span)
        if not isinstance(value, ir.Field):
            fail(self._report, codes.BAD_TYPE, "unique needs a field", of.span)
        plan = ir.Distinct(stream.plan, value, span)
        return _Stream(self._sized(plan, span), stream.shape)

    def _run_rule(self, rule: ast.Name) -> _Stream:
        self.runs.setdefault(rule.text)
        analytic = self.analytics(rule.text)
        if analytic is None:
            fail(
                self._report,
                codes.UNKNOWN_RULE,
                f"no loaded rule has the id {rule.text}",
                rule.span,
                "not loaded, or refused",
            )
        return _Stream(self._sized(analytic.plan, rule.span), analytic.shape)

    # Names

    def _stream(self, name: ast.Name) -> _Stream:
        match self.names.get(name.text):
            case _Stream() as stream:
                return stream
            case _Broken():
                raise Abandoned
            case None:
                near = nearest(name.text, list(self.names), 3)
                fail(
                    self._report,
                    codes.UNKNOWN_STREAM,
                    f"nothing before this defines {name.text}",
                    name.span,
                    "undefined",
                    fix=suggestion(near, name.span),
                )
            case _:
                fail(
                    self._report,
                    codes.NOT_A_STREAM,
                    f"{name.text} is a value, not a stream of events",
                    name.span,
                )

    def _objects(self, kinds: Sequence[ir.EventKind]) -> list[ObjectSpec]:
        return [self.model.objects[name] for name in dict.fromkeys(kind.object for kind in kinds)]

    # Rows

    def _row_scope(self, stream: _Stream | None, name: str | None) -> Scope:
        return Scope(
            field=lambda field: self._field(field, stream, name),
            call=lambda call: self._call(call, stream, name),
            rank=lambda rank: self._rank(rank, stream, name),
            report=self._report,
        )

    def _row_value(
        self, expression: ast.Expression, stream: _Stream | None, name: str | None
    ) -> Typed:
        return value_of(expression, self._row_scope(stream, name))

    def _field(
        self, expression: ast.Field, stream: _Stream | None, name: str | None
    ) -> Typed | ListConstant:
        """What a path means: a field of the row, a constant, a column of a counted stream."""
        path = expression.path
        binding = self.names.get(path[0])
        if stream is not None:
            known = self._lookup(path, stream.shape, name)
            if known is not None:
                self._spell(expression.span, path, known[0])
                return known
        match binding:
            case _Broken():
                raise Abandoned
            case ListConstant() if len(path) == 1:
                return binding
            case _Scalar(value, type_) if len(path) == 1:
                return value, type_
            case _Stream(ir.Aggregated() as plan, RowShape(columns)) if stream is not None:
                return self._counted(expression, plan, columns, stream, name)
        # A stream that is named where a value is needed; `a.x` in a filter of `a` is a field of its rows.
        named = isinstance(binding, _Stream) and (path[0] != name or len(path) == 1)
        if stream is None or (named and not isinstance(stream.shape, JoinShape)):
            self._undefined(expression, binding)
        return self._row_field(expression, stream.shape, name, expression.span)

    def _undefined(self, expression: ast.Field, binding: _Binding | None) -> NoReturn:
        if isinstance(binding, _Stream):
            fail(
                self._report,
                codes.NOT_A_VALUE,
                f"{expression.path[0]} is a stream, and a value is needed here",
                expression.span,
            )
        fail(
            self._report,
            codes.UNKNOWN_STREAM,
            f"nothing before this defines {expression.text}",
            expression.span,
            "undefined",
            fix=suggestion(nearest(expression.path[0], list(self.names), 3), expression.span),
        )

    def _counted(
        self,
        expression: ast.Field,
        plan: ir.Aggregated,
        columns: tuple[tuple[str, Type], ...],
        stream: _Stream,
        name: str | None,
    ) -> Typed:
        """The column of an aggregated stream for the row at hand, found by the group's keys."""
        keys = {key.name for key in plan.group.keys}
        wanted = expression.path[1:]
        candidates = [
            (column, type_)
            for column, type_ in columns
            if (column == wanted[0] if wanted else column not in keys)
        ]
        if len(candidates) != 1:
            fail(
                self._report,
                codes.NOT_A_VALUE,
                f"{expression.path[0]} has no column {'.'.join(wanted)}"
                if wanted
                else f"{expression.path[0]} has {len(candidates)} columns that could be meant",
                expression.span,
                notes=(
                    "name one: "
                    + ", ".join(f"{expression.path[0]}.{c}" for c, _ in columns if c not in keys),
                ),
            )
        column, type_ = candidates[0]
        found: list[ir.Field] = []
        for key in plan.group.keys:
            value, _ = self._row_field(
                ast.Field((key.name,), span=expression.span), stream.shape, name, expression.span
            )
            if not isinstance(value, ir.Field):
                fail(
                    self._report, codes.NOT_A_VALUE, "its keys are no fields here", expression.span
                )
            found.append(value)
        return ir.Lookup(plan, column, tuple(found)), type_

    def _row_field(
        self, expression: ast.Field, shape: Shape, name: str | None, span: Span
    ) -> Typed:
        """A path as a field of a row; unknown and ambiguous ones are errors with suggestions."""
        found = self._lookup(expression.path, shape, name)
        if found is not None:
            self._spell(span, expression.path, found[0])
            return found
        if isinstance(shape, JoinShape):
            self._unknown_in_join(expression, shape, span)
        if isinstance(shape, GroupShape):
            fail(
                self._report,
                codes.UNKNOWN_FIELD,
                f"{expression.text} is no key of this group",
                span,
                notes=(
                    "keys: " + ", ".join(key for key, _ in shape.keys),
                    "use an aggregate to look inside: count(*), min(time), values(user)",
                ),
            )
        if isinstance(shape, RowShape):
            columns = [column for column, _ in shape.columns]
            fail(
                self._report,
                codes.UNKNOWN_FIELD,
                f"the selected columns have no {expression.text}",
                span,
                "unknown column",
                notes=(f"columns: {', '.join([*columns, 'time'])}",),
                fix=suggestion(nearest(expression.text, columns, 3), span),
            )
        specs = self._objects(shape.kinds)
        field_name = expression.path[-1] if expression.path[0] == name else expression.text
        near = list(dict.fromkeys(n for s in specs for n in s.nearest_fields(field_name)))[:3]
        near += [n for n in nearest(field_name, list(self.names), 1) if n not in near]
        titles = " or ".join(spec.title for spec in specs[:3])
        # Behind a `=`, what is no field is mostly a text without its quotes: exe = cmd.exe
        bare = span.source.text[max(0, span.start - 9) : span.start].rstrip().endswith("=")
        fail(
            self._report,
            codes.UNKNOWN_FIELD,
            f"{titles} has no field {field_name}",
            span,
            "unknown field",
            notes=(f'if it is a text, it stands in quotes: "{field_name}"',) if bare else (),
            fix=suggestion(near, span),
        )

    def _spell(self, span: Span, path: Path, found: ir.Value) -> None:
        """Remember how a path should be spelt, where it is not spelt so."""
        if not isinstance(found, ir.Field):
            return
        first, _, rest = found.name.partition(".")
        for place, part in enumerate(path):
            if ".".join(path[place + 1 :]) == rest and fold_name(part) == fold_name(first):
                if part != first:
                    meant = (*path[:place], first, *path[place + 1 :])
                    self.spelt.setdefault((span, path, meant))
                return

    def _unknown_in_join(self, expression: ast.Field, shape: JoinShape, span: Span) -> NoReturn:
        branches = [name for name, _ in shape.branches]
        holders = [
            name
            for name, inner in shape.branches
            if self._lookup(expression.path, inner, name) is not None
        ]
        if holders and expression.path[0] not in branches:
            fix = None
            if len(holders) == 1:
                text = f"{holders[0]}.{expression.text}"
                fix = Fix(f"write {text}", (Edit(span, text),), safe=True)
            fail(
                self._report,
                codes.AMBIGUOUS_FIELD,
                f"{expression.text} could be a field of {' or '.join(holders)}",
                span,
                "of which stream?",
                fix=fix,
            )
        if expression.path[0] in branches and len(expression.path) > 1:
            inner = dict(shape.branches)[expression.path[0]]
            rest = ast.Field(expression.path[1:], span=expression.span)
            self._row_field(rest, inner, expression.path[0], span)
        near = nearest(expression.path[0], branches, 2)
        fail(
            self._report,
            codes.UNKNOWN_STREAM,
            f"{expression.path[0]} is none of the joined streams",
            span,
            notes=(f"joined: {', '.join(branches)}",),
            fix=suggestion([".".join((n, *expression.path[1:])) for n in near], span),
        )

    def _lookup(self, path: tuple[str, ...], shape: Shape, name: str | None) -> Typed | None:
        """The field that a path means in rows of a shape, or None."""
        if name is not None and len(path) > 1 and path[0] == name:
            inner = self._lookup(path[1:], shape, None)
            if inner is not None:
                return inner
        match shape:
            case EventShape(kinds, assigned):
                text = ".".join(path)
                types = dict(assigned)
                if text in types:
                    return ir.Field(text, None, types[text]), types[text]
                spec = self._event_field(shape, text)
                if spec is None:
                    return None
                if spec.name in types:
                    return ir.Field(spec.name, None, types[spec.name]), types[spec.name]
                for kind in kinds:
                    if self.model.objects[kind.object].field(text) is not None:
                        self.references.setdefault(Reference(kind.object, kind.action, spec.name))
                return ir.Field(spec.name, None, spec.type), spec.type
            case JoinShape(branches):
                for branch, inner_shape in branches:
                    if path[0] == branch and len(path) > 1:
                        inner = self._lookup(path[1:], inner_shape, None)
                        if inner is not None and isinstance(inner[0], ir.Field):
                            deeper = inner[0].source
                            source = branch if deeper is None else f"{branch}.{deeper}"
                            return evolve(inner[0], source=source), inner[1]
                return _time_of_row(path)
            case RowShape(columns):
                types = dict(columns)
                text = ".".join(path)
                if text in types:
                    return ir.Field(text, None, types[text]), types[text]
                return _time_of_row(path)
            case GroupShape(keys, members, sources):
                types = dict(keys)
                for key, type_ in types.items():
                    if _same_name(key, ".".join(path)):
                        return ir.Field(key, None, type_), type_
                if isinstance(members, JoinShape) and len(path) > 1:
                    # A key of joined rows, written as it was in the `group`: a.hostname.
                    inner = self._lookup(path, members, None)
                    for (key, type_), branch_name in zip(keys, sources, strict=True):
                        if inner is not None and inner[0] == ir.Field(key, branch_name, type_):
                            return ir.Field(key, None, type_), type_
                return _time_of_row(path)

    def _event_field(self, shape: EventShape, text: str) -> FieldSpec | None:
        """The first object's field of that name. Objects without it give null."""
        for spec in self._objects(shape.kinds):
            found = spec.field(text)
            if found is not None:
                return found
        return None

    # Aggregates and ranks

    def _call(self, call: ast.Call, stream: _Stream | None, name: str | None) -> Typed:
        function = _SPELLINGS.get(call.function.lower(), call.function.lower())
        if function not in AGGREGATES:
            near = nearest(function, list(AGGREGATES), 3)
            fail(
                self._report,
                codes.UNKNOWN_FUNCTION,
                f"there is no function {call.function}",
                call.span,
                notes=("functions: " + ", ".join(AGGREGATES),),
                fix=suggestion(near, head_of(call.span, call.function)),
            )
        match call.arguments:
            case (ast.Field((first, *rest)),) if isinstance(self.names.get(first), _Stream) and (
                first != name or not rest or stream is None
            ):
                if stream is None or self._lookup((first, *rest), stream.shape, name) is None:
                    return self._whole(function, call, first, tuple(rest))
            case (ast.Field((first, *_)),) if isinstance(self.names.get(first), _Broken):
                raise Abandoned
        if stream is None:
            fail(
                self._report,
                codes.NOT_A_VALUE,
                f"{function} needs a stream here: {function}(stream.field)",
                call.span,
            )
        return self._aggregate(function, call, stream, name)

    def _aggregate(self, function: str, call: ast.Call, stream: _Stream, name: str | None) -> Typed:
        """An aggregate over the rows of the group (or of the stream that is projected)."""
        members = stream
        if isinstance(stream.shape, GroupShape):
            members = _Stream(stream.plan, stream.shape.members)
        match call.arguments:
            case () if function == "count":
                return ir.Aggregate("count", None), Type.INTEGER
            case (argument,):
                value, type_ = self._row_value(argument, members, name)
                return ir.Aggregate(function, value), _aggregate_type(function, type_)
        fail(
            self._report,
            codes.BAD_ARGUMENTS,
            f"{function} takes one field",
            call.span,
        )

    def _whole(self, function: str, call: ast.Call, first: str, rest: tuple[str, ...]) -> Typed:
        """An aggregate over a whole stream, as a value."""
        stream = self._stream(ast.Name(first, span=call.span))
        if not rest and function == "count":
            return ir.Whole(ir.Aggregate("count", None), stream.plan), Type.INTEGER
        if rest:
            argument = ast.Field(rest, span=call.arguments[0].span)
            value, type_ = self._row_field(argument, stream.shape, None, argument.span)
        else:
            value, type_ = self._only_number(stream, first, call)
        aggregate = ir.Aggregate(function, value)
        return ir.Whole(aggregate, stream.plan), _aggregate_type(function, type_)

    def _only_number(self, stream: _Stream, name: str, call: ast.Call) -> Typed:
        if isinstance(stream.shape, RowShape):
            keys: set[str] = set()
            if isinstance(stream.plan, ir.Aggregated):
                keys = {key.name for key in stream.plan.group.keys}
            left = [(n, t) for n, t in stream.shape.columns if n not in keys]
            if len(left) == 1:
                return ir.Field(left[0][0], None, left[0][1]), left[0][1]
        fail(
            self._report,
            codes.BAD_ARGUMENTS,
            f"of which field of {name}? write {call.function}({name}.field)",
            call.span,
        )

    def _rank(self, rank: ast.Rank, stream: _Stream | None, name: str | None) -> ir.Condition:
        value, _ = self._row_value(rank.value, stream, name)
        first, rest = rank.field.path[0], rank.field.path[1:]
        over = self.names.get(first)
        if rest and isinstance(over, _Stream):
            of, _ = self._row_field(
                ast.Field(rest, span=rank.field.span), over.shape, None, rank.field.span
            )
        elif stream is not None:
            over = stream
            of, _ = self._row_field(rank.field, stream.shape, name, rank.field.span)
        else:
            self._undefined(rank.field, over)
        if not isinstance(of, ir.Field):
            fail(self._report, codes.BAD_TYPE, "a rank is of a field", rank.field.span)
        return ir.Rank(value, rank.count, of, over.plan, rank.bottom, rank.span)


def _same_name(a: str, b: str) -> bool:
    return a.replace("_", "").lower() == b.replace("_", "").lower()


def _time_of_row(path: tuple[str, ...]) -> Typed | None:
    if path == ("time",):
        return ir.Field("time", None, Type.TIME), Type.TIME
    return None


def _aggregate_type(function: str, of: Type) -> Type:
    if function in ("min", "max"):
        return of
    if function in ("average", "sum", "standard_deviation") and of is Type.DURATION:
        return of
    return AGGREGATES[function]


def _column_name(expression: ast.Expression, stream: str) -> str:
    match expression:
        case ast.Field(path):
            return ".".join(path[1:] if path[0] == stream and len(path) > 1 else path)
        case ast.Call(function, (ast.Field(path),)):
            return f"{function.lower()}_{path[-1]}"
        case ast.Call(function):
            return function.lower()
        case _:
            return "value"


def _outside_aggregates(value: ir.Value) -> list[ir.Value]:
    """The values of an expression that stand in no aggregate."""
    if isinstance(value, ir.Aggregate):
        return []
    found: list[ir.Value] = [value]
    for inner in ir.operands(value):
        found += _outside_aggregates(inner)
    return found


def _leaves(value: ir.Value) -> list[ir.Value]:
    found = [value]
    for inner in ir.operands(value):
        found += _leaves(inner)
    return found
