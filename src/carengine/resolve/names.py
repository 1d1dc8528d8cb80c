"""What names mean so far, and what a dotted path means in the rows of a stream.

``Names`` is what one resolution knows and has found out. Each name is bound to a stream, a list or
a value, or is *broken*: its definition has an error that is reported already, and what is built on
it stays silent. A path is looked up in the shape of the rows at hand::

    Shape         path          IR
    EventShape    process.exe   Field("exe")           the canonical name, for each spelling
    JoinShape     a.pid         Field("pid", "a")      bare names are ambiguous, time excepted
    RowShape      n             Field("n")             columns, and time
    GroupShape    hostname      Field("hostname")      keys, and time

An unknown or ambiguous path is reported with the nearest names that would be right there.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import NoReturn

from attrs import evolve, frozen

from .. import ir
from ..datamodel import TIME, DataModel, FieldSpec, ObjectSpec, fold_name, nearest
from ..diagnostics import Diagnostic, Edit, Fix, Span, codes
from ..ir import Type
from ..syntax import ast
from .expressions import Abandoned, ListConstant, Typed, fail, suggestion
from .outcome import Path, Reference
from .shapes import EventShape, GroupShape, JoinShape, RowShape, Shape
from .size import Sizes

# A name is compared with others to suggest one in its place, so often in one program and no more:
# with thousands of unknown names nobody reads the suggestions, and looking for them took most of
# the time.
_MOST_COMPARISONS = 50_000


@frozen
class StreamBinding:
    """Rows: the plan that gives them, and what they look like."""

    plan: ir.Plan
    shape: Shape


@frozen
class ScalarBinding:
    """A value that was defined, or an input."""

    value: ir.Value
    type: Type


@frozen
class Broken:
    """A name whose definition has an error that is reported already."""


Binding = StreamBinding | ListConstant | ScalarBinding | Broken


class Names:
    """The state of one resolution: what is bound so far, and what was found on the way.

    ``found`` collects the diagnostics, ``references`` the CAR fields that are read, ``spelt`` the
    fields that are spelt otherwise than the data model spells them.
    """

    def __init__(self, datamodel: DataModel) -> None:
        self.model = datamodel
        self.bindings: dict[str, Binding] = {}
        self.found: list[Diagnostic] = []
        self.references: dict[Reference, None] = {}
        self.spelt: dict[tuple[Span, Path, Path], None] = {}
        self.sizes = Sizes()
        self._comparisons = 0

    def report(self, diagnostic: Diagnostic) -> None:
        """Keep a finding."""
        self.found.append(diagnostic)

    def near(self, name: str, candidates: Collection[str], n: int = 3) -> list[str]:
        """The candidates that a name may stand for, the likeliest first; none after very many
        searches."""
        self._comparisons += len(candidates)
        return list(nearest(name, candidates, n)) if self._comparisons <= _MOST_COMPARISONS else []

    def sized(self, plan: ir.Plan, span: Span) -> ir.Plan:
        """The plan, unless it is too large when written out as a tree."""
        problem = self.sizes.problem(plan)
        if problem is not None:
            fail(self.report, codes.TOO_LARGE, problem, span)
        return plan

    def stream(self, name: ast.Name) -> StreamBinding:
        """The stream that a name is bound to; anything else is reported."""
        match self.bindings.get(name.text):
            case StreamBinding() as stream:
                return stream
            case Broken():
                raise Abandoned
            case None:
                near = self.near(name.text, self.bindings)
                fail(
                    self.report,
                    codes.UNKNOWN_STREAM,
                    f"nothing before this defines {name.text}",
                    name.span,
                    "undefined",
                    fix=suggestion(near, name.span),
                )
            case _:
                fail(
                    self.report,
                    codes.NOT_A_STREAM,
                    f"{name.text} is a value, not a stream of events",
                    name.span,
                )

    def objects(self, kinds: Sequence[ir.EventKind]) -> list[ObjectSpec]:
        """The objects of these kinds, each once; log sources have none."""
        names = dict.fromkeys(kind.object for kind in kinds)
        return [self.model.objects[name] for name in names if name in self.model.objects]

    def is_open(self, shape: EventShape) -> bool:
        """Whether there are events of log sources among those of a shape: any name is a field."""
        return any(kind.object not in self.model.objects for kind in shape.kinds)

    def undefined(
        self, expression: ast.FieldPath, binding: Binding | None, own: str = ""
    ) -> NoReturn:
        """Report a path that stands for no value here; ``own`` is how a field of that name is
        written, if there may be one."""
        if isinstance(binding, StreamBinding):
            fail(
                self.report,
                codes.NOT_A_VALUE,
                f"{expression.path[0]} is a stream, and a value is needed here",
                expression.span,
                notes=(f"a field of that name is written {own}",) if own else (),
            )
        fail(
            self.report,
            codes.UNKNOWN_STREAM,
            f"nothing before this defines {expression.text}",
            expression.span,
            "undefined",
            fix=suggestion(self.near(expression.path[0], self.bindings), expression.span),
        )

    def field(self, expression: ast.FieldPath, shape: Shape, name: str | None, span: Span) -> Typed:
        """A path as a field of a row; unknown and ambiguous ones are errors with suggestions."""
        found = self.lookup(expression.path, shape, name)
        if found is None and isinstance(shape, EventShape):
            # A name that the program defines, where only a field of a log source can be meant.
            found = self.lookup(expression.path, shape, None)
        if found is not None:
            self.spell(span, expression.path, found[0])
            return found
        if isinstance(shape, JoinShape):
            self._unknown_in_join(expression, shape, span)
        if isinstance(shape, GroupShape):
            fail(
                self.report,
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
                self.report,
                codes.UNKNOWN_FIELD,
                f"the selected columns have no {expression.text}",
                span,
                "unknown column",
                notes=(f"columns: {', '.join([*columns, 'time'])}",),
                fix=suggestion(self.near(expression.text, columns), span),
            )
        specs = self.objects(shape.kinds)
        field_name = expression.path[-1] if expression.path[0] == name else expression.text
        near = list(dict.fromkeys(n for s in specs for n in self.near(field_name, s.fields)))[:3]
        near += [n for n in self.near(field_name, self.bindings, 1) if n not in near]
        titles = " or ".join(spec.title for spec in specs[:3])
        # Behind a `=`, what is no field is mostly a text without its quotes: exe = cmd.exe
        bare = span.source.text[max(0, span.start - 9) : span.start].rstrip().endswith("=")
        fail(
            self.report,
            codes.UNKNOWN_FIELD,
            f"{titles} has no field {field_name}",
            span,
            "unknown field",
            notes=(f'if it is a text, it stands in quotes: "{field_name}"',) if bare else (),
            fix=suggestion(near, span),
        )

    def spell(self, span: Span, path: Path, found: ir.Value) -> None:
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

    def _unknown_in_join(self, expression: ast.FieldPath, shape: JoinShape, span: Span) -> NoReturn:
        branches = [name for name, _ in shape.branches]
        holders = [
            name
            for name, inner in shape.branches
            if self.lookup(expression.path, inner, name) is not None
        ]
        if holders and expression.path[0] not in branches:
            fix = None
            if len(holders) == 1:
                text = f"{holders[0]}.{expression.text}"
                fix = Fix(f"write {text}", (Edit(span, text),), safe=True)
            else:
                fix = _of_each(span, expression.text, holders)
            fail(
                self.report,
                codes.AMBIGUOUS_FIELD,
                f"{expression.text} could be a field of {' or '.join(holders)}",
                span,
                "of which stream?",
                fix=fix,
            )
        if expression.path[0] in branches and len(expression.path) > 1:
            inner = dict(shape.branches)[expression.path[0]]
            rest = ast.FieldPath(expression.path[1:], span=expression.span)
            self.field(rest, inner, expression.path[0], span)
        near = self.near(expression.path[0], branches, 2)
        fail(
            self.report,
            codes.UNKNOWN_STREAM,
            f"{expression.path[0]} is none of the joined streams",
            span,
            notes=(f"joined: {', '.join(branches)}",),
            fix=suggestion([".".join((n, *expression.path[1:])) for n in near], span),
        )

    def lookup(self, path: tuple[str, ...], shape: Shape, name: str | None) -> Typed | None:
        """The field that a path means in rows of a shape, or None.

        In rows of a log source any path is a field, unless the program defines its first part.
        Without the stream's ``name`` the path is one in the rows, whatever the program defines.
        """
        if name is not None and len(path) > 1 and path[0] == name:
            inner = self.lookup(path[1:], shape, None)
            if inner is not None:
                return inner
        match shape:
            case EventShape(kinds, assigned):
                text = ".".join(path)
                types = dict(assigned)
                if text in types:
                    return ir.Field(text, None, types[text]), types[text]
                spec = self.event_field(shape, text)
                if spec is None:
                    defined = name is not None and path[0] in self.bindings
                    if defined or not self.is_open(shape):
                        return None
                    return ir.Field(text, None, Type.ANY), Type.ANY
                if spec.name in types:
                    return ir.Field(spec.name, None, types[spec.name]), types[spec.name]
                for kind in kinds:
                    known = self.model.objects.get(kind.object)
                    if known is not None and known.field(text) is not None:
                        self.references.setdefault(Reference(kind.object, kind.action, spec.name))
                return ir.Field(spec.name, None, spec.type), spec.type
            case JoinShape(branches):
                for branch, inner_shape in branches:
                    if path[0] == branch and len(path) > 1:
                        inner = self.lookup(path[1:], inner_shape, None)
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
                    inner = self.lookup(path, members, None)
                    for (key, type_), branch_name in zip(keys, sources, strict=True):
                        if inner is not None and inner[0] == ir.Field(key, branch_name, type_):
                            return ir.Field(key, None, type_), type_
                return _time_of_row(path)

    def event_field(self, shape: EventShape, text: str) -> FieldSpec | None:
        """The first object's field of that name. Objects without it give null.

        Beside log sources, which spell names as they like, CAR's have CAR's own spelling.
        """
        if text == TIME.name:
            return TIME
        is_open = self.is_open(shape)
        for spec in self.objects(shape.kinds):
            if is_open and text.partition(".")[0] not in spec.fields:
                continue
            found = spec.field(text)
            if found is not None:
                return found
        return None


def _same_name(a: str, b: str) -> bool:
    return a.replace("_", "").lower() == b.replace("_", "").lower()


def _time_of_row(path: tuple[str, ...]) -> Typed | None:
    if path == ("time",):
        return ir.Field("time", None, Type.TIME), Type.TIME
    return None


def _of_each(span: Span, text: str, holders: list[str]) -> Fix:
    """``pid = pid``, where each side is meant of another stream; otherwise both ways to say whose
    field it is."""
    source = span.source.text
    behind = re.compile(rf"\s*==?\s*(?<![\w.]){re.escape(text)}(?![\w.])").match(source, span.end)
    if behind is None or source[span.start : span.end] != text or len(holders) != 2:
        return Fix(f"write {' or '.join(f'{name}.{text}' for name in holders)}")
    other = Span(span.source, behind.end() - len(text), behind.end())
    one, two = (f"{name}.{text}" for name in holders)
    return Fix(f"write {one} = {two}", (Edit(span, one), Edit(other, two)))
