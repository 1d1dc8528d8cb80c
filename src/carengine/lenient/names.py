"""Names that nobody knows: streams, objects, actions, fields.

The statements are walked in order with what each name stands for so far, as the resolver does. A
stream that nothing defines is read as the one that is near, or as the only one there is, or as the
only one that nothing else reads. A field that the object lacks is read as the field that other
products call so, or as the one it is a typing error of. A word where a text is needed, which names
nothing, is the text.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import assert_never

from attrs import define, field, frozen

from ..datamodel import DataModel, ObjectSpec
from ..diagnostics import Block, Code, Span, codes
from ..syntax import ast
from ..syntax.lexical import quoted
from ..syntax.walking import fields_in, reads
from . import foreign, kinds
from .choosing import by_typing, by_words, is_near
from .editing import Repair, Text
from .outlines import (
    Events,
    Grouped,
    Joined,
    Missing,
    Opaque,
    Outline,
    Rows,
    Single,
    fields_of,
    has_field,
    is_stream,
    together,
    with_field,
)

Programs = Callable[[str], "ast.SyntaxTree | None"]
"""Finds the syntax tree of a rule by its id."""

_MAX_RUNS = 20
_FILE = re.compile(
    r"(?:exe|dll|sys|bat|cmd|com|ps1|vbs|vbe|js|jse|wsf|msi|scr|cpl|hta|py|sh|txt|dmp|dit|tmp|zip"
    r"|lnk)\Z",
    re.IGNORECASE,
)


@frozen
class NameScope:
    """The rows that an expression is about, and what their stream is called in it."""

    outline: Outline | None
    name: str | None = None
    referenced: frozenset[str] = frozenset()
    members: Outline | None = None


def mend_names(
    text: Text, program: ast.SyntaxTree, datamodel: DataModel, programs: Programs
) -> list[Repair]:
    """The repairs of names in a program whose spans are places in the present text."""
    walker = _NameWalker(text, program, datamodel, programs)
    walker.run()
    return walker.made


def outline_of(id_: str, datamodel: DataModel, programs: Programs, depth: int = 0) -> Outline:
    """What the rows of another rule's outputs look like."""
    program = programs(id_) if depth < _MAX_RUNS else None
    if program is None:
        return Opaque()
    walker = _NameWalker(Text(Block.of("")), program, datamodel, programs, depth=depth + 1)
    walker.run()
    outlines = [
        walker.env.get(name.text, Opaque())
        for statement in program.statements
        if isinstance(statement, ast.OutputStatement)
        for name in statement.names
    ]
    return together(outlines) if outlines else Opaque()


@define
class _NameWalker:
    text: Text
    program: ast.SyntaxTree
    model: DataModel
    programs: Programs
    depth: int = 0
    env: dict[str, Outline] = field(factory=dict)
    made: list[Repair] = field(factory=list)
    reads: Counter[tuple[str, int]] = field(factory=Counter)
    defined: dict[str, int] = field(factory=dict)
    statement: int = 0
    wanted: dict[int, dict[str, None]] = field(factory=dict)
    lacking: dict[int, dict[str, None]] = field(factory=dict)

    def run(self) -> None:
        self.reads = reads(self.program)
        for number, statement in enumerate(self.program.statements):
            self.statement = number
            match statement:
                case ast.DefineStatement(name, value):
                    self.env[name.text] = self._define(name, value)
                    self.defined[name.text] = number
                case ast.AssignStatement():
                    self._assign(statement)
                case ast.InputStatement(name):
                    self.env[name.text] = Single()
                case ast.OutputStatement(names):
                    for name in names:
                        self._stream(name)
        if self.depth:
            return
        if not any(isinstance(item, ast.OutputStatement) for item in self.program.statements):
            self._no_output()
        if not self.made:
            self.made += kinds.other_objects(self.program, self.model, self.wanted, self.lacking)
        if not self.made:
            self.made += kinds.without_missing(self.text, self.program, self.model, self.env)

    # Repairs

    def _say(self, node: ast.Name | ast.FieldPath, new: str, code: Code, message: str) -> None:
        if not self.depth:
            self.made.append(Repair(node.span.start, node.span.end, new, code, message))

    def _source(self, node: ast.Name | ast.FieldPath) -> str:
        return self.text.text[node.span.start : node.span.end]

    # Definitions

    def _define(self, name: ast.Name, value: ast.StreamExpression | ast.Expression) -> Outline:
        match value:
            case ast.SearchExpression():
                return self._search(name, value)
            case ast.FilterExpression(stream, condition):
                outline = self._stream(stream, condition)
                self._condition(condition, NameScope(outline, stream.text))
                return outline
            case ast.JoinExpression(streams, condition):
                return self._join(streams, condition)
            case ast.GroupExpression(streams, keys):
                members = together([self._stream(item) for item in streams])
                names = tuple(self._field(key, NameScope(members, streams[0].text)) for key in keys)
                if not all(has_field(members, name.split(".")) for name in names):
                    return Opaque()
                return Grouped(names, members)
            case ast.SelectExpression(stream, items):
                outline = self._stream(stream)
                return self._select(stream, outline, items)
            case ast.CountExpression(stream, keys):
                outline = self._stream(stream)
                names = tuple(self._field(key, NameScope(outline, stream.text)) for key in keys)
                return Rows((*names, "count"))
            case ast.RunExpression(rule):
                return outline_of(rule.text, self.model, self.programs, self.depth)
            case ast.ListExpression():
                return Single(several=True)
            case ast.ArithmeticExpression(
                ast.Sign.MINUS, ast.FieldPath((a,)) as left, ast.FieldPath((b,)) as right
            ):
                known = [n for n, o in self.env.items() if is_stream(o)]
                if a in known or b in known:
                    first = self._stream(_as_name(left))
                    self._stream(_as_name(right))
                    return first
                self._expression(value, NameScope(None))
                return Single()
            case ast.FieldPath((only,)) if only in self.env:
                return self.env[only]
            case ast.CallExpression(function, (ast.FieldPath((stream_, *rest), span=span),)) if (
                function.lower() == "unique" and rest
            ):
                name = ast.Name(stream_, span=_part(span, 0, len(stream_)))
                outline = self._stream(name)
                self._field(ast.FieldPath((stream_, *rest), span=span), NameScope(outline, stream_))
                return outline
            case _:
                self._expression(value, NameScope(None))
                return Single()

    def _search(self, name: ast.Name, search: ast.SearchExpression) -> Outline:
        found: list[ObjectSpec] = []
        for kind in search.kinds:
            if isinstance(kind, ast.SourceName):
                return Opaque()
            spec, repairs = kinds.mended(kind, self.model)
            if not self.depth:
                self.made += repairs
            if spec is None:
                return Missing(self.statement)
            found.append(spec)
        objects = {spec.name: spec for spec in found}
        outline = Events(tuple(objects.values()), (), self.statement)
        if search.condition is not None:
            self._condition(search.condition, NameScope(outline, name.text))
        return outline

    def _join(self, streams: Sequence[ast.Name], condition: ast.Expression) -> Outline:
        prefixes = dict.fromkeys(
            item.path[0] for item in fields_in(condition) if len(item.path) > 1
        )
        joined = {name.text for name in streams}
        unknown = [name for name in streams if name.text not in self.env]
        named = [
            prefix
            for prefix in prefixes
            if prefix not in joined and is_stream(self.env.get(prefix, Single()))
        ]
        outlines: list[tuple[str, Outline]] = []
        for name in streams:
            new = name.text
            if name in unknown and len(named) == len(unknown):
                new = self._named(name, named)
                self._say(
                    name,
                    new,
                    codes.STREAM_READ_AS,
                    f"nothing before this defines {name.text}; the condition joins {new}",
                )
                outlines.append((new, self.env[new]))
            else:
                outlines.append((new, self._stream(name)))
        outline = Joined(tuple(outlines))
        self._condition(condition, NameScope(outline, None, frozenset(prefixes)))
        return outline

    def _named(self, name: ast.Name, named: list[str]) -> str:
        """Which of the streams that a condition names is meant; it is taken out of them."""
        chosen = by_typing(name.text, named) or by_words(name.text, named) or named[0]
        named.remove(chosen)
        return chosen

    def _select(
        self, stream: ast.Name, outline: Outline, items: Sequence[ast.SelectItem]
    ) -> Outline:
        members = outline.members if isinstance(outline, Grouped) else outline
        columns: list[str] = []
        for item in items:
            self._expression(item.value, NameScope(outline, stream.text, members=members))
            if item.alias is not None:
                columns.append(item.alias.text)
            elif isinstance(item.value, ast.FieldPath):
                path = item.value.path
                columns.append(
                    ".".join(path[1:] if path[0] == stream.text and len(path) > 1 else path)
                )
            elif isinstance(item.value, ast.CallExpression):
                call = item.value
                first = call.arguments[0] if call.arguments else None
                last = f"_{first.path[-1]}" if isinstance(first, ast.FieldPath) else ""
                columns.append(call.function.lower() + last)
        return Rows(tuple(columns))

    def _assign(self, statement: ast.AssignStatement) -> None:
        outline = self._stream(statement.stream)
        self._expression(statement.value, NameScope(outline, statement.stream.text))
        if statement.stream.text in self.env:
            changed = with_field(outline, ".".join(statement.field))
            self.env[statement.stream.text] = changed

    def _no_output(self) -> None:
        streams = [
            item.name.text
            for item in self.program.statements
            if isinstance(item, ast.DefineStatement)
            and is_stream(self.env.get(item.name.text, Single()))
        ]
        loose = [name for name in dict.fromkeys(streams) if self._is_unread(name)]
        if len(loose) != 1:
            return
        body = self.text.text.rstrip()
        self.made.append(
            Repair(
                len(body),
                len(body),
                f"\noutput {loose[0]}",
                codes.OUTPUT_ADDED,
                "the program has no output",
                (f"{loose[0]} is the one stream that nothing reads",),
            )
        )

    # Streams

    def _stream(self, name: ast.Name, condition: ast.Expression | None = None) -> Outline:
        """What the rows of a stream look like; a name that nothing defines is repaired where it can
        be."""
        known = self.env.get(name.text)
        if known is not None:
            return known
        streams = {n: o for n, o in self.env.items() if is_stream(o)}
        if condition is not None:
            needed = [item.path for item in fields_in(condition)]
            fitting = {
                n: o for n, o in streams.items() if all(_fits(o, n, path) for path in needed)
            }
            streams = fitting or streams
        chosen = self._chosen(name.text, streams)
        if chosen is None:
            return Opaque()
        reason = f"nothing before this defines {name.text}"
        self._say(name, _named_as(chosen), codes.STREAM_READ_AS, reason)
        self.reads[chosen, self.defined.get(chosen, -1)] += 1
        return self.env[chosen]

    def _is_unread(self, name: str) -> bool:
        """Whether nothing reads what a name stands for at present."""
        return not self.reads[name, self.defined.get(name, -1)]

    def _chosen(self, spelling: str, streams: Iterable[str]) -> str | None:
        names = list(streams)
        unread = [name for name in names if self._is_unread(name)]
        if len(names) == 1:
            return names[0]
        near = [name for name in names if is_near(spelling, [name])]
        chosen = by_typing(spelling, names)
        if chosen is None and len(unread) == 1 and (not near or unread[0] in near):
            chosen = unread[0]
        if chosen is None:
            chosen = by_words(spelling, names)
            if chosen is not None and near not in ([], [chosen]):
                return None
        # A stream that nothing else reads has lost its reader, and it may be this one.
        return chosen if not unread or chosen in unread else None

    # Expressions

    def _condition(self, condition: ast.Expression, scope: NameScope) -> None:
        self._expression(condition, scope)

    def _expression(self, expr: ast.Expression, scope: NameScope) -> None:
        """Look at the names in an expression."""
        match expr:
            case ast.FieldPath():
                self._field(expr, scope)
            case ast.AndExpression(items) | ast.OrExpression(items) | ast.ListExpression(items):
                for item in items:
                    self._expression(item, scope)
            case ast.NotExpression(item) | ast.ExistsExpression(item) | ast.MatchExpression(item):
                self._expression(item, scope)
            case ast.ComparisonExpression(first, rest):
                self._comparison(first, rest, scope)
            case ast.InExpression(value, ast.FieldPath((first, _, *_)) as items) if (
                first != scope.name and is_stream(self.env.get(first, Single()))
            ):
                self._expression(value, scope)
                self._field(items, NameScope(self.env[first], first))
            case ast.InExpression(value, ast.FieldPath() as items):
                self._expression(value, scope)
                self._field(items, scope)
            case ast.InExpression(value, items) | ast.ContainsExpression(value, items):
                self._expression(value, scope)
                self._values(items, scope)
            case ast.ArithmeticExpression(_, left, right):
                self._expression(left, scope)
                self._expression(right, scope)
            case ast.RankExpression(value, _, of):
                self._expression(value, scope)
                if of.path[0] not in self.env:
                    self._field(of, scope)
            case ast.CallExpression():
                self._call(expr, scope)
            case ast.StringLiteral() | ast.NumberLiteral() | ast.DurationLiteral():
                return
            case ast.NetworkLiteral() | ast.NullLiteral() | ast.NowLiteral():
                return
            case ast.BooleanLiteral() | ast.RawContainsExpression():
                return
            case _:
                assert_never(expr)

    def _values(self, items: ast.Expression, scope: NameScope) -> None:
        """The items of a list, of which words that name nothing are texts."""
        match items:
            case ast.ListExpression(inner):
                for item in inner:
                    self._values(item, scope)
            case ast.FieldPath():
                self._word(items, scope, None)
            case _:
                self._expression(items, scope)

    def _comparison(
        self,
        first: ast.Expression,
        rest: Sequence[tuple[ast.Operator, ast.Expression]],
        scope: NameScope,
    ) -> None:
        literal = next(
            (item.value for _, item in rest if isinstance(item, ast.StringLiteral)), None
        )
        if isinstance(first, ast.FieldPath):
            self._field(first, scope, literal)
        else:
            self._expression(first, scope)
        for operator, item in rest:
            equality = operator in (ast.Operator.EQUAL, ast.Operator.NOT_EQUAL)
            if equality and isinstance(item, ast.FieldPath) and len(rest) == 1:
                self._word(item, scope, first)
            else:
                self._expression(item, scope)

    def _call(self, call: ast.CallExpression, scope: NameScope) -> None:
        members = scope.members or scope.outline
        for argument in call.arguments:
            match argument:
                case ast.FieldPath((only,)) if only in self.env:
                    pass
                case ast.FieldPath((first, *rest)) if rest and is_stream(
                    self.env.get(first, Single())
                ):
                    self._field(argument, NameScope(self.env[first], first))
                case _:
                    self._expression(argument, NameScope(members, scope.name))

    def _word(self, node: ast.FieldPath, scope: NameScope, other: ast.Expression | None) -> None:
        """A path where a value belongs: a field or a constant, or else a text without quotes."""
        if self._is_known(node, scope) or isinstance(scope.outline, Opaque | Missing):
            self._field(node, scope)
            return
        path = node.path
        file = len(path) > 1 and _FILE.match(path[-1]) is not None
        names = [*self.env, *fields_of(scope.outline)] if scope.outline else list(self.env)
        if isinstance(scope.outline, Joined) and not file:
            self._field(node, scope)
            return
        if not file and (is_near(path[0], names) or path[0] in self.env):
            return
        if file and path[0] in self.env and is_stream(self.env[path[0]]):
            return
        source = self._source(node)
        if "`" in source or self._is_foreign(node, scope) or self._is_spaced(node):
            return
        self._say(node, quoted(source), codes.UNQUOTED, "a text stands in quotes")

    def _is_spaced(self, node: ast.FieldPath) -> bool:
        """Whether more than one blank stands beside a name: as a text it may have begun or ended
        with one."""
        text, span = self.text.text, node.span
        beside = text[max(0, span.start - 2) : span.start], text[span.end : span.end + 2]
        return any(len(gap) == 2 and not gap.strip(" \t\u00a0") for gap in beside)

    def _is_foreign(self, node: ast.FieldPath, scope: NameScope) -> bool:
        """Whether a path is another product's name for a field here."""
        outline = scope.outline
        return isinstance(outline, Events) and any(
            _foreign(spec, ".".join(node.path), None) for spec in outline.objects
        )

    def _is_known(self, node: ast.FieldPath, scope: NameScope) -> bool:
        path = node.path
        if scope.outline is not None and has_field(scope.outline, path, scope.name):
            return True
        known = self.env.get(path[0])
        return known is not None and (len(path) == 1 or isinstance(known, Rows))

    # Fields

    def _field(self, node: ast.FieldPath, scope: NameScope, literal: str | None = None) -> str:
        """The field that a path means, repaired where it has to be."""
        path = node.path
        written = ".".join(path)
        if scope.outline is None:
            if path[0] not in self.env:
                self._value(node)
            return written
        if isinstance(scope.outline, Opaque | Missing) or self._is_known(node, scope):
            self._want(scope, path)
            return written
        better = self._better(path, scope, literal)
        if better is None:
            self._lack(scope, path)
            return written
        new, reason = better
        code = codes.FIELD_READ_AS if reason != _STREAM else codes.STREAM_READ_AS
        if "`" not in self._source(node):
            self._say(node, ".".join(map(_named_as, new)), code, reason % written)
        return ".".join(new)

    def _value(self, node: ast.FieldPath) -> None:
        """A name in a value that nothing defines."""
        if len(node.path) > 1 or "`" in self._source(node):
            return
        spelling = node.path[0]
        chosen = by_typing(spelling, self.env)
        if chosen is None and not is_near(spelling, self.env):
            chosen = by_words(spelling, self.env)
            if chosen is None:
                ending = [name for name in self.env if name.endswith(spelling)]
                chosen = ending[0] if len(ending) == 1 and len(spelling) > 3 else None
        if chosen is not None:
            reason = f"nothing before this defines {spelling}"
            self._say(node, _named_as(chosen), codes.STREAM_READ_AS, reason)

    def _better(
        self, path: tuple[str, ...], scope: NameScope, literal: str | None
    ) -> tuple[tuple[str, ...], str] | None:
        """The path that is meant by one that is no field, and why, with a place for the path
        itself."""
        outline = scope.outline
        if isinstance(outline, Joined):
            return self._in_join(path, outline, scope, literal)
        assert outline is not None
        if scope.name is not None and path[0] == scope.name and len(path) > 1:
            inner = self._field_in(outline, path[1:], literal)
            return ((path[0], *inner), _FIELD) if inner else None
        found = self._field_in(outline, path, literal)
        if found is not None:
            return found, _FIELD
        if len(path) > 1 and not has_field(outline, path[:1]):
            rest = path[1:]
            inner = rest if has_field(outline, rest) else self._field_in(outline, rest, literal)
            if inner is not None and not isinstance(self.env.get(path[0]), Rows | Single):
                prefix = (scope.name,) if scope.name is not None else ()
                return (*prefix, *inner), _STREAM
        return None

    def _field_in(
        self, outline: Outline, path: tuple[str, ...], literal: str | None
    ) -> tuple[str, ...] | None:
        spelling = ".".join(path)
        match outline:
            case Events(objects, assigned):
                meant = {
                    name
                    for spec in objects
                    if (name := _foreign(spec, spelling, literal)) is not None
                }
                if len(meant) == 1:
                    return (meant.pop(),)
                if meant:
                    return None
            case Rows() | Grouped():
                assigned = ()
                if foreign.field_of("", spelling) == "time":
                    return ("time",)
            case _:
                return None
        names = [*fields_of(outline), *(n for n, o in self.env.items() if not is_stream(o))]
        typed = by_typing(spelling, names)
        if typed is not None:
            return (typed,)
        if is_near(spelling, names, 2):
            return None
        if assigned:
            words = set(spelling.lower().split("_"))
            near = [name for name in assigned if words & set(name.lower().split("_"))]
            if len(near) == 1:
                return (near[0],)
        return None

    def _in_join(
        self, path: tuple[str, ...], outline: Joined, scope: NameScope, literal: str | None
    ) -> tuple[tuple[str, ...], str] | None:
        branches = dict(outline.branches)
        if path[0] in branches and len(path) > 1:
            inner = self._field_in(branches[path[0]], path[1:], literal)
            return ((path[0], *inner), _FIELD) if inner else None
        if len(path) == 1:
            holders = [
                (name, field)
                for name, inner in branches.items()
                if (
                    field := path
                    if has_field(inner, path)
                    else self._field_in(inner, path, literal)
                )
            ]
            if len(holders) == 1:
                return (holders[0][0], *holders[0][1]), _FIELD
            return None
        fitting = [name for name, inner in branches.items() if has_field(inner, path[1:])]
        typed = by_typing(path[0], branches)
        if typed is None:
            unnamed = [name for name in branches if name not in scope.referenced]
            typed = unnamed[0] if len(unnamed) == 1 else by_words(path[0], branches)
            if typed is not None and is_near(path[0], [n for n in branches if n != typed]):
                typed = None
        if typed is None or typed not in fitting:
            return None
        return (typed, *path[1:]), _STREAM

    # What a search must have

    def _want(self, scope: NameScope, path: tuple[str, ...]) -> None:
        self._note(self.wanted, scope, path)

    def _lack(self, scope: NameScope, path: tuple[str, ...]) -> None:
        self._note(self.lacking, scope, path)

    def _note(
        self, notes: dict[int, dict[str, None]], scope: NameScope, path: tuple[str, ...]
    ) -> None:
        outline: Outline | None = scope.outline
        if isinstance(outline, Joined) and len(path) > 1:
            outline = dict(outline.branches).get(path[0])
            path = path[1:]
        elif scope.name is not None and len(path) > 1 and path[0] == scope.name:
            path = path[1:]
        if isinstance(outline, Grouped):
            outline = outline.members
        if isinstance(outline, Events) and outline.root is not None:
            text = ".".join(path)
            if text not in outline.assigned and path[0] not in self.env:
                notes.setdefault(outline.root, {})[text] = None


_FIELD = "%s is no field here"
_STREAM = "%s names no stream that is read here"


def _foreign(spec: ObjectSpec, spelling: str, literal: str | None) -> str | None:
    found = foreign.field_of(spec.name, spelling)
    if found is None and foreign.folded(spelling) == "protocol" and literal is not None:
        transport = literal.lower() in foreign.TRANSPORTS
        found = "transport_protocol" if transport else "application_protocol"
    return found if found is not None and spec.field(found) is not None else None


def _fits(outline: Outline, name: str, path: tuple[str, ...]) -> bool:
    """Whether a path could be a field in rows of a stream, as far as it is known at all."""
    if has_field(outline, path, name):
        return True
    return isinstance(outline, Opaque | Joined | Grouped)


def _named_as(name: str) -> str:
    """A name as it is written, in backquotes if it needs them."""
    if re.fullmatch(r"(?![0-9])[\w@]+(?:\.(?![0-9])[\w@]+)*", name):
        return name
    return "`" + name.replace("`", "``") + "`"


def _as_name(node: ast.FieldPath) -> ast.Name:
    return ast.Name(node.path[0], span=node.span)


def _part(span: Span, start: int, end: int) -> Span:
    return Span(span.source, span.start + start, span.start + end)
