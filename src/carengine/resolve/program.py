"""From a syntax tree to the IR.

``resolve`` walks a program's statements in order and binds their names (``names``) to what they
mean: a stream with what its rows look like, a list, a value. Here are the statements and the
streams; what an expression says about a row is the business of ``rows``. All problems are
collected; a statement that has one leaves its name *broken* unless it is plain what its rows look
like, and what is built on a broken name stays silent, so that each mistake is reported once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import assert_never

from attrs import evolve

from .. import ir
from ..datamodel import DataModel, model
from ..diagnostics import Diagnostic, Edit, Fix, Span, codes, ordered
from ..ir import Type
from ..syntax import ast
from .expressions import Abandoned, ListConstant, fail, suggestion
from .names import Binding, Broken, Names, ScalarBinding, StreamBinding
from .outcome import Clause, Resolution, RunTarget
from .rows import RowScope
from .shapes import EventShape, GroupShape, JoinShape, RowShape, Shape, merged

InputConstant = str | int | float | bool | ir.Duration | tuple[str, ...]
"""What may be bound to an ``input``."""


def resolve_program(
    program: ast.SyntaxTree,
    *,
    datamodel: DataModel | None = None,
    analytics: Callable[[str], RunTarget | None] = lambda _id: None,
    parameters: Mapping[str, InputConstant] | None = None,
) -> Resolution:
    """The meaning of a program.

    ``analytics`` finds the plan of a rule that the program runs by its id; ``parameters`` binds
    ``input`` names, unbound ones stay ``ir.Parameter`` and are listed in the program.
    """
    resolver = _Resolver(datamodel or model(), analytics, dict(parameters or {}))
    return resolver.run(program)


class _Resolver:
    """One resolution: the names so far, and what the program has given besides."""

    def __init__(
        self,
        datamodel: DataModel,
        analytics: Callable[[str], RunTarget | None],
        parameters: dict[str, InputConstant],
    ) -> None:
        self.names = Names(datamodel)
        self.analytics = analytics
        self.bound = parameters
        self.parameters: dict[str, None] = {}
        self.runs: dict[str, None] = {}
        self.outputs: dict[str, tuple[ir.Output, Shape]] = {}
        self.clauses: list[Clause] = []

    def run(self, program: ast.SyntaxTree) -> Resolution:
        for statement in program.statements:
            try:
                self._statement(statement)
            except Abandoned:
                if isinstance(statement, ast.DefineStatement):
                    self.names.bindings[statement.name.text] = self._recovered(statement.value)
                elif isinstance(statement, ast.AssignStatement):
                    name = statement.stream.text
                    if self.names.found and self.names.found[-1].code is codes.TOO_LARGE:
                        self.names.bindings[name] = Broken()
                    self.names.bindings.setdefault(name, Broken())
        if not any(isinstance(item, ast.OutputStatement) for item in program.statements):
            self.names.found.append(self._no_output(program))
        found = ordered(self.names.found)
        refused = any(item.severity.rank == 0 for item in found)
        made = ir.Program(
            tuple(output for output, _ in self.outputs.values()), tuple(self.parameters)
        )
        return Resolution(
            None if refused else made,
            found,
            tuple(shape for _, shape in self.outputs.values()),
            tuple(self.names.references),
            tuple(self.runs),
            tuple(self.clauses),
            tuple(self.names.spelt),
        )

    def _recovered(self, value: ast.StreamExpression | ast.Expression) -> Binding:
        """What a name stands for after an error in its definition.

        A condition does not change what rows look like, nor does a misspelt action: what is built
        on the stream can be checked as well. The program is refused in any case.
        """
        if self.names.found and self.names.found[-1].code is codes.TOO_LARGE:
            return Broken()
        match value:
            case ast.FilterExpression(source):
                known = self.names.bindings.get(source.text)
                return known if isinstance(known, StreamBinding) else Broken()
            case ast.SearchExpression(kinds):
                found: dict[ir.EventKind, None] = {}
                for kind in kinds:
                    if isinstance(kind, ast.SourceName):
                        named = ir.source_kinds(kind.product.lower(), kind.name.lower())
                        found.update(dict.fromkeys(named))
                    elif (spec := self.names.model.object(kind.object.text)) is not None:
                        found.update(
                            dict.fromkeys(ir.EventKind(spec.name, a) for a in spec.actions)
                        )
                    else:
                        return Broken()
                return StreamBinding(ir.Search(tuple(found), value.span), EventShape(tuple(found)))
            case _:
                # What the rows of anything else would look like is not known.
                pass
        return Broken()

    def _no_output(self, program: ast.SyntaxTree) -> Diagnostic:
        streams = [
            n for n, b in self.names.bindings.items() if isinstance(b, StreamBinding | Broken)
        ]
        fix = None
        if streams:
            end = program.span.end
            edit = Edit(Span(program.span.source, end, end), f"\noutput {streams[-1]}\n")
            fix = Fix(f"add: output {streams[-1]}", (edit,))
        place = program.statements[-1].span if program.statements else program.span
        return Diagnostic(codes.NO_OUTPUT, "the program has no output", place, "ends here", fix=fix)

    # Statements

    def _statement(self, statement: ast.Statement) -> None:
        match statement:
            case ast.DefineStatement(name, value):
                self.names.bindings[name.text] = self._definition(name, value)
            case ast.AssignStatement():
                self._assign(statement)
            case ast.InputStatement(name):
                self._input(name)
            case ast.OutputStatement(names):
                self._output(names)

    def _input(self, name: ast.Name) -> None:
        if name.text in self.bound:
            self.names.bindings[name.text] = _bound(self.bound[name.text], name.span)
        else:
            self.parameters.setdefault(name.text)
            self.names.bindings[name.text] = ScalarBinding(ir.Parameter(name.text), Type.ANY)

    def _output(self, names: tuple[ast.Name, ...]) -> None:
        for name in names:
            try:
                stream = self.names.stream(name)
            except Abandoned:
                continue
            output = ir.Output(name.text, stream.plan, name.span)
            self.outputs[name.text] = (output, stream.shape)

    def _assign(self, statement: ast.AssignStatement) -> None:
        stream = self.names.stream(statement.stream)
        name = ".".join(statement.field)
        value, type_ = RowScope(self.names, stream, statement.stream.text).value(statement.value)
        match stream.shape:
            case EventShape(_, assigned):
                spec = self.names.event_field(stream.shape, name)
                name = name if spec is None else spec.name
                self.names.spell(statement.span, statement.field, ir.Field(name))
                kept = tuple((n, t) for n, t in assigned if n != name)
                shape: Shape = evolve(stream.shape, assigned=(*kept, (name, type_)))
            case RowShape(columns):
                kept = tuple((n, t) for n, t in columns if n != name)
                shape = RowShape((*kept, (name, type_)))
            case _:
                fail(
                    self.names.report,
                    codes.BAD_TYPE,
                    "a field can be assigned on events and projections only",
                    statement.span,
                )
        plan = self.names.sized(ir.Assign(stream.plan, name, value, statement.span), statement.span)
        self.names.bindings[statement.stream.text] = StreamBinding(plan, shape)

    def _definition(self, name: ast.Name, value: ast.StreamExpression | ast.Expression) -> Binding:
        match value:
            case ast.SearchExpression():
                return self._search(name, value)
            case ast.FilterExpression(source, condition):
                stream = self.names.stream(source)
                return self._filter(stream, condition, source.text, value.span)
            case ast.JoinExpression():
                return self._join(value)
            case ast.GroupExpression():
                return self._group(value)
            case ast.SelectExpression():
                return self._select(value)
            case ast.CountExpression():
                return self._count(value)
            case ast.RunExpression(rule):
                return self._run_rule(rule)
            case ast.ListExpression():
                return ListConstant(value)
            case ast.ArithmeticExpression(
                ast.Sign.MINUS, ast.FieldPath((a,)), ast.FieldPath((b,))
            ) if isinstance(self.names.bindings.get(a), StreamBinding) or isinstance(
                self.names.bindings.get(b), StreamBinding
            ):
                return self._difference(value)
            case ast.FieldPath((only,)) if isinstance(
                self.names.bindings.get(only), StreamBinding | ListConstant
            ):
                return self.names.bindings[only]
            case ast.CallExpression(function, (ast.FieldPath() as of,)) if (
                function.lower() == "unique"
            ):
                return self._unique(of, value.span)
            case _:
                made, type_ = RowScope(self.names).value(value)
                return ScalarBinding(made, type_)

    def _search(self, name: ast.Name, search: ast.SearchExpression) -> StreamBinding:
        kinds: dict[ir.EventKind, None] = {}
        failed = False
        for kind in search.kinds:
            try:
                if isinstance(kind, ast.SourceName):
                    kinds.update(dict.fromkeys(self._source(kind, search)))
                else:
                    kinds.update(dict.fromkeys(self._kinds(kind)))
            except Abandoned:
                failed = True
        if failed:
            raise Abandoned
        shape = EventShape(tuple(kinds))
        plan: ir.Plan = ir.Search(shape.kinds, search.span)
        match search.kinds:
            case (ast.SourceName(service=service),) if service:
                plan = ir.Filter(plan, ir.of_service(service.lower()), search.span)
            case _:
                pass
        stream = StreamBinding(self.names.sized(plan, search.span), shape)
        if search.condition is None:
            return stream
        return self._filter(stream, search.condition, name.text, search.span)

    def _source(
        self, source: ast.SourceName, search: ast.SearchExpression
    ) -> tuple[ir.EventKind, ...]:
        """The kinds of events of a log source."""
        product, name = source.product.lower(), source.name.lower()
        spec = self.names.model.object(product)
        if spec is not None:
            action = spec.action(name)
            meant = f"{spec.title}:{action.title}" if action is not None else f"{spec.title}:*"
            fix = Fix(f"write {meant}", (Edit(source.span, meant),))
            message = f"{spec.title} is an object of the data model, and not a product"
            fail(self.names.report, codes.BAD_LOG_SOURCE, message, source.span, fix=fix)
        if product == name == ir.ANY_SOURCE:
            fail(
                self.names.report,
                codes.BAD_LOG_SOURCE,
                f"{source.text} names no log source",
                source.span,
                notes=("write product/service, product/category, or */category",),
            )
        if source.service and len(search.kinds) > 1:
            fail(
                self.names.report,
                codes.BAD_LOG_SOURCE,
                f"{source.text} has a service, and is searched for alone",
                source.span,
                notes=("search for each in a statement of its own",),
            )
        return ir.source_kinds(product, name)

    def _kinds(self, kind: ast.KindName) -> list[ir.EventKind]:
        spec = self.names.model.object(kind.object.text)
        if spec is None:
            near = self.names.near(kind.object.text, self.names.model.objects)
            titles = [
                found.title for n in near if (found := self.names.model.object(n)) is not None
            ]
            fail(
                self.names.report,
                codes.UNKNOWN_OBJECT,
                f"the data model has no object {kind.object.text}",
                kind.object.span,
                "unknown object",
                notes=(
                    "objects: " + ", ".join(s.title for s in self.names.model.objects.values()),
                    "a log source is written with a slash: aws/cloudtrail, */webserver",
                    "objects of one's own: --model FILE, or `objects` in a field map",
                ),
                fix=suggestion(titles, kind.object.span),
            )
        if kind.action is None:
            return [ir.EventKind(spec.name, action) for action in spec.actions]
        action = spec.action(kind.action.text)
        if action is None:
            fail(
                self.names.report,
                codes.UNKNOWN_ACTION,
                f"{spec.title} has no action {kind.action.text}",
                kind.action.span,
                "unknown action",
                notes=(f"actions of {spec.title}: {', '.join(spec.actions)}",),
                fix=suggestion(self.names.near(kind.action.text, spec.actions), kind.action.span),
            )
        return [ir.EventKind(spec.name, action.name)]

    def _filter(
        self, stream: StreamBinding, condition: ast.Expression, name: str, span: Span
    ) -> StreamBinding:
        written = RowScope(self.names, stream, name).condition(condition)
        self.clauses.append(Clause(condition, written, stream.plan))
        made = ir.simplify(written)
        return StreamBinding(
            self.names.sized(ir.Filter(stream.plan, made, span), span), stream.shape
        )

    def _join(self, join: ast.JoinExpression) -> StreamBinding:
        branches: list[tuple[str, StreamBinding]] = []
        for name in join.streams:
            if name.text in dict(branches):
                fail(
                    self.names.report,
                    codes.AMBIGUOUS_FIELD,
                    f"{name.text} is joined with itself under one name",
                    name.span,
                    notes=(f"give it a second name first: other = {name.text}",),
                )
            branches.append((name.text, self.names.stream(name)))
        shape = JoinShape(tuple((name, stream.shape) for name, stream in branches))
        plan = ir.Join(
            tuple(ir.Branch(name, stream.plan) for name, stream in branches),
            ir.Truth(True),
            join.span,
        )
        written = RowScope(self.names, StreamBinding(plan, shape)).condition(join.condition)
        self.clauses.append(Clause(join.condition, written, plan))
        made = ir.simplify(written)
        return StreamBinding(self.names.sized(evolve(plan, condition=made), join.span), shape)

    def _group(self, group: ast.GroupExpression) -> StreamBinding:
        streams = [(name.text, self.names.stream(name)) for name in group.streams]
        keys = self._keys(group.keys, streams)
        within = self._within(group.within)
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
        return StreamBinding(self.names.sized(plan, group.span), shape)

    def _within(self, within: ast.DurationLiteral | ast.Name | None) -> int | None:
        """The longest pause in a group, in microseconds."""
        match within:
            case None:
                return None
            case ast.DurationLiteral(microseconds):
                return microseconds
            case ast.Name(name):
                match self.names.bindings.get(name):
                    case ScalarBinding(ir.Duration(microseconds)) if microseconds > 0:
                        return microseconds
                    case ScalarBinding(ir.Parameter()):
                        # Its value is missing, and that is told of the input.
                        return None
                    case Broken():
                        raise Abandoned
                    case _:
                        fail(
                            self.names.report,
                            codes.BAD_TYPE,
                            f"{name} is no length of time",
                            within.span,
                            notes=("write `within 30 minutes`, or the name of a length of time",),
                        )
            case _:
                assert_never(within)

    def _keys(
        self, keys: Sequence[ast.FieldPath], streams: Sequence[tuple[str, StreamBinding]]
    ) -> list[tuple[ir.Field, Type]]:
        made: list[tuple[ir.Field, Type]] = []
        for key in keys:
            found = [
                self.names.field(key, stream.shape, name, key.span) for name, stream in streams
            ]
            value, type_ = found[0]
            if not isinstance(value, ir.Field):
                fail(self.names.report, codes.BAD_TYPE, "a key must be a field", key.span)
            made.append((value, type_))
        return made

    def _select(self, select: ast.SelectExpression) -> StreamBinding:
        stream = self.names.stream(select.stream)
        name = select.stream.text
        row = RowScope(self.names, stream, name, selecting=True)
        columns: list[ir.Column] = []
        types: list[tuple[str, Type]] = []
        for item in select.items:
            value, type_ = row.value(item.value)
            column = item.alias.text if item.alias else _column_name(item.value, name)
            if column in dict(types):
                fail(
                    self.names.report,
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
        elif any(isinstance(part, ir.Aggregate) for c in columns for part in ir.values_in(c.value)):
            self._refuse_single_fields(columns, select)
            # Aggregates over an ungrouped stream: one group of everything.
            whole = ir.Group((stream.plan,), (), None, select.span)
            plan = ir.Aggregated(whole, tuple(columns), select.span)
        else:
            plan = ir.Project(stream.plan, tuple(columns), select.span)
        return StreamBinding(self.names.sized(plan, select.span), RowShape(tuple(types)))

    def _refuse_single_fields(
        self, columns: Sequence[ir.Column], select: ast.SelectExpression
    ) -> None:
        """Over a whole stream there is one row: a field of single events has no place beside
        aggregates."""
        for column, item in zip(columns, select.items, strict=True):
            if any(isinstance(part, ir.Field) for part in _outside_aggregates(column.value)):
                fail(
                    self.names.report,
                    codes.BAD_TYPE,
                    f"{column.name} is a field of single events, and the aggregates beside it "
                    "are over all of them",
                    item.span,
                    notes=(
                        f"group first: groups = group {select.stream.text} by {column.name}",
                        "or take an aggregate of it: min, max, values",
                    ),
                )

    def _count(self, count: ast.CountExpression) -> StreamBinding:
        stream = self.names.stream(count.stream)
        keys = self._keys(count.keys, [(count.stream.text, stream)])
        group = ir.Group((stream.plan,), tuple(key for key, _ in keys), None, count.span)
        columns = (
            *(ir.Column(key.name, key) for key, _ in keys),
            ir.Column("count", ir.Aggregate("count", None)),
        )
        types = (*((key.name, type_) for key, type_ in keys), ("count", Type.INTEGER))
        plan = ir.Aggregated(group, columns, count.span)
        return StreamBinding(self.names.sized(plan, count.span), RowShape(types))

    def _difference(self, value: ast.ArithmeticExpression) -> StreamBinding:
        assert isinstance(value.left, ast.FieldPath)
        assert isinstance(value.right, ast.FieldPath)
        left = self.names.stream(ast.Name(value.left.text, span=value.left.span))
        right = self.names.stream(ast.Name(value.right.text, span=value.right.span))
        fields = self._difference_fields(left.shape, value.span)
        for compared in fields:
            self.names.field(
                ast.FieldPath((compared.name,), span=value.right.span),
                right.shape,
                value.right.text,
                value.right.span,
            )
        plan = ir.Difference(left.plan, right.plan, fields, value.span)
        return StreamBinding(self.names.sized(plan, value.span), left.shape)

    def _difference_fields(self, shape: Shape, span: Span) -> tuple[ir.Field, ...]:
        match shape:
            case RowShape(columns):
                return tuple(ir.Field(name, None, type_) for name, type_ in columns)
            case EventShape(kinds):
                specs = self.names.objects(kinds)
                open_ = not specs or self.names.is_open(shape)
                shared = [
                    name
                    for name in (() if open_ else specs[0].identity)
                    if all(other.field(name) is not None for other in specs)
                ]
                found = [(name, specs[0].field(name)) for name in shared]
                if found:
                    return tuple(
                        ir.Field(name, None, spec.type) for name, spec in found if spec is not None
                    )
            case JoinShape() | GroupShape():
                pass
            case _:
                assert_never(shape)
        fail(
            self.names.report,
            codes.BAD_TYPE,
            "nothing says on which fields these streams are compared",
            span,
            notes=("project the fields to compare: x = from t select image_path",),
        )

    def _unique(self, of: ast.FieldPath, span: Span) -> StreamBinding:
        if len(of.path) < 2:
            fail(
                self.names.report,
                codes.BAD_ARGUMENTS,
                "unique needs a field of a stream: unique(t.user)",
                of.span,
            )
        name = ast.Name(of.path[0], span=of.span)
        stream = self.names.stream(name)
        value, _ = self.names.field(of, stream.shape, name.text, of.span)
        if not isinstance(value, ir.Field):
            fail(self.names.report, codes.BAD_TYPE, "unique needs a field", of.span)
        plan = ir.Distinct(stream.plan, value, span)
        return StreamBinding(self.names.sized(plan, span), stream.shape)

    def _run_rule(self, rule: ast.Name) -> StreamBinding:
        self.runs.setdefault(rule.text)
        analytic = self.analytics(rule.text)
        if analytic is None:
            fail(
                self.names.report,
                codes.UNKNOWN_RULE,
                f"no loaded rule has the id {rule.text}",
                rule.span,
                "not loaded, or refused",
            )
        return StreamBinding(self.names.sized(analytic.plan, rule.span), analytic.shape)


def _bound(value: InputConstant, span: Span) -> Binding:
    """What an input stands for that has a value."""
    match value:
        case ir.Duration():
            return ScalarBinding(value, Type.DURATION)
        case tuple():
            items = tuple(ast.StringLiteral(item, span=span) for item in value)
            return ListConstant(ast.ListExpression(items, span=span))
        case str():
            return ScalarBinding(ir.Constant(value), Type.TEXT)
        case _:
            return ScalarBinding(ir.Constant(value), Type.ANY)


def _column_name(expression: ast.Expression, stream: str) -> str:
    match expression:
        case ast.FieldPath(path):
            return ".".join(path[1:] if path[0] == stream and len(path) > 1 else path)
        case ast.CallExpression(function, (ast.FieldPath(path),)):
            return f"{function.lower()}_{path[-1]}"
        case ast.CallExpression(function):
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
