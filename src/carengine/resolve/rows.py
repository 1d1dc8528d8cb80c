"""Expressions about the row at hand: its fields, constants, aggregates, ranks, columns of counted
streams.

What a name stands for where a value is needed, first that fits::

    exe                    a field of the row
    suspicious             a list; a value that was defined or an input
    counts.n               the column of an aggregated stream, for the keys of this row
    count(*), sum(bytes)   an aggregate over the rows of the group at hand
    average(t.bytes)       an aggregate over a whole stream, as one value; average(bytes) in a
                           condition on single rows is one over the stream they are of
    pid in top 5 of t.pid  a rank among a stream's rows
    user in known          a value that occurs in a stream: in its one column, in
                           ``known.user``, in values(t.user)
"""

from __future__ import annotations

from attrs import evolve, frozen

from .. import ir
from ..diagnostics import codes
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
from .names import Broken, Names, ScalarBinding, StreamBinding
from .shapes import EventShape, GroupShape, JoinShape, RowShape
from .value_functions import VALUE_FUNCTIONS, function_of_values, is_value_function

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
_OF_ONE_VALUE = {"length": Type.INTEGER}
"""Functions of one value of a row, under the names of field maps' functions."""
_SPELLINGS = {
    "len": "length",
    "avg": "average",
    "mean": "average",
    "stdev": "standard_deviation",
    "stddev": "standard_deviation",
    "dc": "distinct_count",
    "minimum": "min",
    "maximum": "max",
}


@frozen
class RowScope:
    """Where an expression stands: a row of ``stream``, which is called ``name``.

    ``stream`` is None where there is no row, as in the definition of a constant. ``selecting`` is
    True in a projection, where aggregates are over the rows that are projected together.
    """

    names: Names
    stream: StreamBinding | None = None
    name: str | None = None
    selecting: bool = False

    def scope(self) -> Scope:
        """What expressions may refer to here."""
        return Scope(
            field=self._field,
            call=self._called,
            rank=self._rank,
            column=self._column,
            report=self.names.report,
        )

    def _called(self, call: ast.CallExpression) -> Typed:
        """What a call means: a function of values of the row, or an aggregate."""
        if is_value_function(call):
            return function_of_values(call, self.value, self.names.report)
        return self._call(call)

    def value(self, expression: ast.Expression) -> Typed:
        """An expression as a value of the row, and its type."""
        return value_of(expression, self.scope())

    def condition(self, expression: ast.Expression) -> ir.Condition:
        """An expression as a condition on the row, as it is written: not simplified."""
        return condition_of(expression, self.scope())

    def _field(self, expression: ast.FieldPath) -> Typed | ListConstant:
        """What a path means: a field of the row, a constant, a column of a counted stream."""
        stream, name, path = self.stream, self.name, expression.path
        binding = self.names.bindings.get(path[0])
        if stream is not None:
            known = self.names.lookup(path, stream.shape, name)
            if known is not None:
                self.names.spell(expression.span, path, known[0])
                return known
        match binding:
            case Broken():
                raise Abandoned
            case ListConstant() if len(path) == 1:
                return binding
            case ScalarBinding(value, type_) if len(path) == 1:
                return value, type_
            case StreamBinding(ir.Aggregated() as plan, RowShape(columns)) if stream is not None:
                return self._counted(expression, plan, columns, stream)
        # A stream that is named where a value is needed; `a.x` in a filter of `a` is a field of its
        # rows.
        named = isinstance(binding, StreamBinding) and (path[0] != name or len(path) == 1)
        if stream is None or (named and not isinstance(stream.shape, JoinShape)):
            is_open = stream is not None and isinstance(stream.shape, EventShape)
            own = f"{name}.{expression.text}" if is_open and name else ""
            self.names.undefined(expression, binding, own)
        return self.names.field(expression, stream.shape, name, expression.span)

    def _counted(
        self,
        expression: ast.FieldPath,
        plan: ir.Aggregated,
        columns: tuple[tuple[str, Type], ...],
        stream: StreamBinding,
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
                self.names.report,
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
            value, _ = self.names.field(
                ast.FieldPath((key.name,), span=expression.span),
                stream.shape,
                self.name,
                expression.span,
            )
            if not isinstance(value, ir.Field):
                fail(
                    self.names.report,
                    codes.NOT_A_VALUE,
                    "its keys are no fields here",
                    expression.span,
                )
            found.append(value)
        return ir.Lookup(plan, column, tuple(found)), type_

    def _call(self, call: ast.CallExpression) -> Typed:
        stream, name = self.stream, self.name
        function = _SPELLINGS.get(call.function.lower(), call.function.lower())
        if function in _OF_ONE_VALUE:
            return self._of_one_value(function, call)
        if function not in AGGREGATES:
            near = self.names.near(function, (*AGGREGATES, *_OF_ONE_VALUE, *VALUE_FUNCTIONS))
            fail(
                self.names.report,
                codes.UNKNOWN_FUNCTION,
                f"there is no function {call.function}",
                call.span,
                notes=("functions: " + ", ".join((*AGGREGATES, *_OF_ONE_VALUE, *VALUE_FUNCTIONS)),),
                fix=suggestion(near, head_of(call.span, call.function)),
            )
        match call.arguments:
            case (ast.FieldPath((first, *rest)),) if isinstance(
                self.names.bindings.get(first), StreamBinding
            ) and (first != name or not rest or stream is None):
                if stream is None or self.names.lookup((first, *rest), stream.shape, name) is None:
                    return self._whole(function, call, first, tuple(rest))
            case (ast.FieldPath((first, *_)),) if isinstance(
                self.names.bindings.get(first), Broken
            ):
                raise Abandoned
        if stream is None:
            fail(
                self.names.report,
                codes.NOT_A_VALUE,
                f"{function} needs a stream here: {function}(stream.field)",
                call.span,
            )
        if self.selecting or isinstance(stream.shape, GroupShape):
            return self._aggregate(function, call, stream)
        return self._whole_of_own(function, call, stream)

    def _of_one_value(self, function: str, call: ast.CallExpression) -> Typed:
        """A function of a value of the row at hand: ``length(command_line)``."""
        match call.arguments:
            case (argument,):
                value, _ = self.value(argument)
                type_ = _OF_ONE_VALUE[function]
                return ir.Call(function, (value,), type_), type_
            case _:
                pass
        message = f"{function} takes one value: {function}(command_line)"
        fail(self.names.report, codes.BAD_ARGUMENTS, message, call.span)

    def _whole_of_own(
        self, function: str, call: ast.CallExpression, stream: StreamBinding
    ) -> Typed:
        """An aggregate in a condition on single rows: over the whole of the stream that it speaks
        of."""
        match call.arguments:
            case (ast.FieldPath((first, *rest)),) if isinstance(
                self.names.bindings.get(first), StreamBinding
            ):
                return self._whole(function, call, first, tuple(rest))
        if isinstance(stream.shape, JoinShape):
            fail(
                self.names.report,
                codes.NOT_A_VALUE,
                f"{function} needs a stream here: {function}(stream.field)",
                call.span,
            )
        made, type_ = self._aggregate(function, call, stream)
        assert isinstance(made, ir.Aggregate)
        return ir.Whole(made, stream.plan), type_

    def _aggregate(self, function: str, call: ast.CallExpression, stream: StreamBinding) -> Typed:
        """An aggregate over the rows of the group (or of the stream that is projected)."""
        members = stream
        if isinstance(stream.shape, GroupShape):
            members = StreamBinding(stream.plan, stream.shape.members)
        match call.arguments:
            case () if function == "count":
                return ir.Aggregate("count", None), Type.INTEGER
            case (argument,):
                value, type_ = evolve(self, stream=members, selecting=False).value(argument)
                return ir.Aggregate(function, value), _aggregate_type(function, type_)
            case _:
                pass
        fail(
            self.names.report,
            codes.BAD_ARGUMENTS,
            f"{function} takes one field",
            call.span,
        )

    def _whole(
        self, function: str, call: ast.CallExpression, first: str, rest: tuple[str, ...]
    ) -> Typed:
        """An aggregate over a whole stream, as a value."""
        stream = self.names.stream(ast.Name(first, span=call.span))
        if not rest and function == "count":
            return ir.Whole(ir.Aggregate("count", None), stream.plan), Type.INTEGER
        if rest:
            argument = ast.FieldPath(rest, span=call.arguments[0].span)
            value, type_ = self.names.field(argument, stream.shape, None, argument.span)
        else:
            value, type_ = self._only_number(stream, first, call)
        aggregate = ir.Aggregate(function, value)
        return ir.Whole(aggregate, stream.plan), _aggregate_type(function, type_)

    def _only_number(self, stream: StreamBinding, name: str, call: ast.CallExpression) -> Typed:
        if isinstance(stream.shape, RowShape):
            keys: set[str] = set()
            if isinstance(stream.plan, ir.Aggregated):
                keys = {key.name for key in stream.plan.group.keys}
            left = [(n, t) for n, t in stream.shape.columns if n not in keys]
            if len(left) == 1:
                return ir.Field(left[0][0], None, left[0][1]), left[0][1]
        fail(
            self.names.report,
            codes.BAD_ARGUMENTS,
            f"of which field of {name}? write {call.function}({name}.field)",
            call.span,
        )

    def _column(self, items: ast.FieldPath | ast.CallExpression) -> tuple[ir.Field, ir.Plan] | None:
        """The field of a stream's rows that stands behind an `in`; None for what is of the row at
        hand, or no stream."""
        name = items
        if isinstance(items, ast.CallExpression):
            match items.arguments:
                case (ast.FieldPath() as name,) if items.function.lower() in ("values", "unique"):
                    pass
                case _:
                    return None
        assert isinstance(name, ast.FieldPath)
        first, *rest = name.path
        over = self.names.bindings.get(first)
        stream = self.stream
        own = stream is not None and self.names.lookup(name.path, stream.shape, self.name)
        if (
            isinstance(items, ast.CallExpression)
            and stream is not None
            and (own or first == self.name)
        ):
            # The values of the group at hand, or those of the whole stream that is filtered.
            if self.selecting or isinstance(stream.shape, GroupShape | JoinShape):
                return None
            field = ast.FieldPath(tuple(rest) if first == self.name else name.path, span=name.span)
            return self._field_of(stream, field), stream.plan
        if own or not isinstance(over, StreamBinding):
            return None
        if isinstance(over.plan, ir.Aggregated) and stream is not None:
            keys = {key.name for key in over.plan.group.keys}
            if len(rest) != 1 or rest[0] not in keys:
                # The column of the group with the keys of the row at hand.
                return None
        if rest:
            return self._field_of(over, ast.FieldPath(tuple(rest), span=name.span)), over.plan
        return self._only_column(over, name), over.plan

    def _field_of(self, stream: StreamBinding, field: ast.FieldPath) -> ir.Field:
        value, _ = self.names.field(field, stream.shape, None, field.span)
        if not isinstance(value, ir.Field):
            fail(self.names.report, codes.BAD_TYPE, f"{field.text} is no field", field.span)
        return value

    def _only_column(self, stream: StreamBinding, name: ast.FieldPath) -> ir.Field:
        """What a stream of one column has in its rows: that of a projection, or the value that is
        unique."""
        plan = stream.plan
        while isinstance(plan, ir.Filter):
            plan = plan.plan
        if isinstance(plan, ir.Distinct):
            return plan.value
        if isinstance(stream.shape, RowShape) and len(stream.shape.columns) == 1:
            [(column, type_)] = stream.shape.columns
            return ir.Field(column, None, type_)
        fail(
            self.names.report,
            codes.NOT_A_VALUE,
            f"{name.text} is a stream, and a value is needed here",
            name.span,
            notes=(f"of which field? write {name.text}.field",),
        )

    def _rank(self, rank: ast.RankExpression) -> ir.Condition:
        stream, name = self.stream, self.name
        value, _ = self.value(rank.value)
        first, rest = rank.field.path[0], rank.field.path[1:]
        over = self.names.bindings.get(first)
        if rest and isinstance(over, StreamBinding):
            of, _ = self.names.field(
                ast.FieldPath(rest, span=rank.field.span), over.shape, None, rank.field.span
            )
        elif stream is not None:
            over = stream
            of, _ = self.names.field(rank.field, stream.shape, name, rank.field.span)
        else:
            self.names.undefined(rank.field, over)
        if not isinstance(of, ir.Field):
            fail(self.names.report, codes.BAD_TYPE, "a rank is of a field", rank.field.span)
        return ir.Rank(value, rank.count, of, over.plan, rank.bottom, rank.span)


def _aggregate_type(function: str, of: Type) -> Type:
    if function in ("min", "max"):
        return of
    if function in ("average", "sum", "standard_deviation") and of is Type.DURATION:
        return of
    return AGGREGATES[function]
