"""The kinds of events that programs search for: objects and actions, and what to do without
them."""

from __future__ import annotations

from collections.abc import Mapping

from ..datamodel import DataModel, ObjectSpec
from ..diagnostics import codes
from ..syntax import ast
from ..syntax.walking import expressions, fields_in, streams_of
from . import foreign
from .choosing import by_typing, is_near
from .editing import Repair, Text
from .outlines import Outline


def mended(kind: ast.KindName, datamodel: DataModel) -> tuple[ObjectSpec | None, list[Repair]]:
    """The object of a kind, and the repairs of its name and its action's; None where CAR has no
    such object."""
    made: list[Repair] = []
    name, spec = kind.object, datamodel.object(kind.object.text)
    titles = {item.title: item for item in datamodel.objects.values()}
    implied = kind.span.start == name.span.start
    if spec is None:
        other = foreign.object_of(name.text)
        title = by_typing(name.text, titles)
        spec = datamodel.object(other or title or "")
        if spec is None:
            return None, []
        if implied:
            made.append(_read(name, spec.title, f"the data model has no object {name.text}"))
    action = kind.action
    if action is None or spec.action(action.text) is not None:
        return spec, made
    meant = foreign.actions_of(spec.name, action.text)
    if not meant:
        typed = by_typing(action.text, spec.actions)
        meant = (typed,) if typed is not None else ()
    if meant:
        shown = [spec.actions[item].title for item in meant]
        if implied:
            head = spec.title if made else name.text
            text = f" or {head}:".join(shown)
            if _listed(kind):
                text = ",".join(shown)
        else:
            text = ",".join(shown)
        message = f"{spec.title} has no action {action.text}"
        made.append(_read(action, text, message))
    return spec, made


def _listed(kind: ast.KindName) -> bool:
    """Whether further actions of the same object follow after commas."""
    text = kind.span.source.text
    rest = text[kind.span.end :].lstrip()
    if not rest.startswith(","):
        return False
    after = rest[1:].lstrip()
    word = after.split(None, 1)[0] if after.split() else ""
    return ":" not in word.split(",")[0]


def _read(name: ast.Name, new: str, message: str) -> Repair:
    return Repair(name.span.start, name.span.end, new, codes.KIND_READ_AS, message)


# Objects that have the fields


def other_objects(
    program: ast.SyntaxTree,
    datamodel: DataModel,
    wanted: Mapping[int, Mapping[str, None]],
    lacking: Mapping[int, Mapping[str, None]],
) -> list[Repair]:
    """The repairs of searches for an object that lacks a field, where one other has all of the
    fields.

    Only CAR's own fields count, not what this data model adds to them.
    """
    made: list[Repair] = []
    for number, missing in lacking.items():
        statement = program.statements[number]
        if not isinstance(statement, ast.DefineStatement) or not isinstance(
            statement.value, ast.SearchExpression
        ):
            continue
        search = statement.value
        kind = search.kinds[0]
        if isinstance(kind, ast.SourceName):
            continue
        spec, action = datamodel.object(kind.object.text), kind.action
        if spec is None or len(search.kinds) != 1 or action is None:
            continue
        if any(is_near(name, spec.fields, 2) for name in missing):
            continue
        needed = [*missing, *wanted.get(number, {})]
        found = [
            other
            for other in datamodel.objects.values()
            if other is not spec and all(_own(other, name) for name in needed)
        ]
        if len(found) != 1:
            continue
        new = _analogue(found[0], spec, action.text)
        if new is None:
            continue
        fields = ", ".join(missing)
        made.append(
            Repair(
                kind.span.start,
                kind.span.end,
                f"{found[0].title}:{new}",
                codes.OTHER_OBJECT,
                f"{spec.title} has no field {fields}; of all objects only {found[0].title} has "
                "all the fields that the conditions need",
            )
        )
    return made


def _own(spec: ObjectSpec, name: str) -> bool:
    found = spec.field(name)
    return found is not None and (not found.extension or found.name == "time")


def _analogue(other: ObjectSpec, spec: ObjectSpec, action: str) -> str | None:
    """The action of another object that is what this one is for its own: both begin something, or
    end it."""
    known = spec.action(action)
    if known is None:
        return None
    if known.name in other.actions:
        return other.actions[known.name].title
    for group in foreign.ANALOGUES:
        if known.name in group:
            found = [name for name in group if name in other.actions]
            return other.actions[found[0]].title if len(found) == 1 else None
    return None


# Outputs that rest on events nobody has


def without_missing(
    text: Text, program: ast.SyntaxTree, datamodel: DataModel, env: Mapping[str, Outline]
) -> list[Repair]:
    """Take out what is built on objects that CAR lacks, if outputs are left that are not."""
    lost, roots = _lost(program, datamodel)
    titles = [item.title for item in datamodel.objects.values()]
    missing = [name for found in roots.values() for name in found]
    specs = datamodel.objects.values()
    actions = {foreign.folded(action) for spec in specs for action in spec.actions}
    if any(is_near(name, titles, 2) or foreign.folded(name) in actions for name in missing):
        # A typing error, or an object and an action that changed places.
        return []
    if not roots:
        return []
    names = [
        n.text for s in program.statements if isinstance(s, ast.OutputStatement) for n in s.names
    ]
    kept = [name for name in names if name not in lost]
    if not kept or len(kept) == len(names) or any(name not in env for name in kept):
        return []
    made: list[Repair] = []
    for number, statement in enumerate(program.statements):
        start, end = statement.span.start, statement.span.end
        match statement:
            case ast.DefineStatement(name) if name.text in lost:
                message, notes = "", ()
                if number in roots:
                    objects = ", ".join(roots[number])
                    gone = [item for item in names if item in lost]
                    message = (
                        f"CAR's data model has no object {objects}, so that there are no events "
                        f"for the output {', '.join(gone)}"
                    )
                made.append(
                    Repair(
                        start, _line_end(text.text, end), "", codes.OUTPUT_DROPPED, message, notes
                    )
                )
            case ast.AssignStatement(stream) if stream.text in lost:
                made.append(Repair(start, _line_end(text.text, end), "", codes.OUTPUT_DROPPED))
            case ast.OutputStatement(listed) if any(item.text in lost for item in listed):
                left = [item.text for item in listed if item.text not in lost]
                new = f"output {', '.join(left)}" if left else ""
                made.append(Repair(start, end, new, codes.OUTPUT_DROPPED))
    return made


def _line_end(text: str, at: int) -> int:
    rest = text[at:]
    return at + len(rest) - len(rest.lstrip())


def _lost(program: ast.SyntaxTree, datamodel: DataModel) -> tuple[set[str], dict[int, list[str]]]:
    """The names built on unknown objects, and the searches for these."""
    lost: set[str] = set()
    roots: dict[int, list[str]] = {}
    for number, statement in enumerate(program.statements):
        if not isinstance(statement, ast.DefineStatement):
            continue
        read = {name.text for name in streams_of(statement)}
        read |= {item.path[0] for e in expressions(statement) for item in fields_in(e)}
        value = statement.value
        unknown: list[str] = []
        if isinstance(value, ast.SearchExpression):
            unknown = [
                kind.object.text
                for kind in value.kinds
                if isinstance(kind, ast.KindName) and datamodel.object(kind.object.text) is None
            ]
        if unknown:
            roots[number] = unknown
        if unknown or read & lost:
            lost.add(statement.name.text)
        else:
            lost.discard(statement.name.text)
    return lost, roots
