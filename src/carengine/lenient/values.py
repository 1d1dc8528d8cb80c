r"""Texts that parse, and cannot be meant as they stand.

Looked at are the strings of a program that is right otherwise::

    "C:\\Windows\\System32\\sc.exe"       doubled backslashes: "C:\Windows\System32\sc.exe"
    exe = "C:\Windows\cmd.exe"            a base name is compared with a path: image_path = …
    exe = "cmd.exe OR bash.exe"           a list in one string: exe in ["cmd.exe", "bash.exe"]
    "(sethc{{pipe}}utilman)\.exe"         a template's sign: "(sethc|utilman)\.exe"
    "reg.exe%System%REG_DWORD /d 0%"      the wildcard of SQL: "reg.exe*System*REG_DWORD /d 0*"
    "*\.exe"                              a dot escaped as in a regular expression: "*.exe"
    "__some_regex__"                      a placeholder, which is refused

Backslashes are doubled where every run of them in the program's patterns is of even length and one
of them at least stands inside a path, or where such a run stands inside the path of a string: no
path has an empty part. A share's two at the beginning (``\\server``) are left. In regular
expressions nothing is undone: there two may mean one, unless they stand before a class that is
repeated (``\\\\d+``); if the program doubles them elsewhere, nobody can tell.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from attrs import frozen

from ..datamodel import DataModel
from ..diagnostics import codes
from ..syntax import ast
from ..syntax.lexical import quoted
from ..syntax.walking import all_in, expressions, streams_of
from . import foreign
from .editing import Repair, Text

_RUN = re.compile(r"\\+")
_INSIDE = re.compile(r"(?<=[\w:%.)$])\\\\(?!\\)(?=[\w%.(*$])")
# A class of characters that is repeated: with two backslashes it would be a letter that is.
_CLASS = re.compile(r"(?<!\\)\\\\[dwsDWS][{+*]")
_OR = re.compile(r"\s+OR\s+|\s*\|\|\s*")
_OR_ANY = re.compile(r"\s+or\s+", re.IGNORECASE)
_PART = re.compile(r"\*?[\w.\-]+\*?\.\w{1,5}|\S*\*\S*", re.ASCII)
_DOT = re.compile(r"\*\\\.(?=(?:exe|dll|sys|bat|cmd|com|ps1|vbs|js|scr|msi)\Z)", re.IGNORECASE)
_VARIABLE = re.compile(r"%[A-Za-z_][\w()]*%|%%\d+|%[0-9A-Fa-f]{2}(?![A-Za-z])", re.ASCII)


@frozen
class _StringUse:
    """A string, and how it is used: on which field, by which operator, alone or in a list."""

    node: ast.StringLiteral
    left: ast.Expression | None
    how: str
    whole: ast.Expression
    listed: bool = False


def mend_values(text: Text, program: ast.SyntaxTree, datamodel: DataModel) -> list[Repair]:
    """The repairs of strings in a program whose spans are places in the present text."""
    found = list(_uses(program))
    _placeholders(text, found)
    if text.refused:
        return []
    made = [
        *_pipes(found),
        *_backslashes(text, found),
        *_lists(found),
        *_patterns(found),
    ]
    return made or list(_base_names(program, datamodel))


# Strings and their uses


def _uses(program: ast.SyntaxTree) -> Iterator[_StringUse]:
    for statement in program.statements:
        for expr in expressions(statement):
            for item in all_in(expr):
                yield from _uses_in(item)


def _uses_in(expr: ast.Expression) -> Iterator[_StringUse]:
    match expr:
        case ast.ComparisonExpression(first, ((sign, ast.StringLiteral() as node),)):
            how = {ast.Operator.EQUAL: "=", ast.Operator.NOT_EQUAL: "!="}.get(sign, "<")
            yield _StringUse(node, first, how, expr)
        case ast.ComparisonExpression(ast.StringLiteral() as node, ((sign, other),)):
            yield _StringUse(node, other, "other", expr)
        case ast.InExpression(value, ast.ListExpression(items), negated):
            for item in items:
                if isinstance(item, ast.StringLiteral):
                    yield _StringUse(item, value, "not in" if negated else "in", expr, True)
        case ast.InExpression(ast.StringLiteral() as node, other):
            yield _StringUse(node, other, "contains", expr)
        case ast.ContainsExpression(value, ast.StringLiteral() as node):
            yield _StringUse(node, value, "contains", expr)
        case ast.ContainsExpression(value, ast.ListExpression(items)):
            for item in items:
                if isinstance(item, ast.StringLiteral):
                    yield _StringUse(item, value, "contains", expr, True)
        case ast.MatchExpression(value, regex):
            yield _StringUse(regex, value, "match", expr)
        case ast.RawContainsExpression(node):
            yield _StringUse(node, None, "raw", expr)
        case ast.ListExpression(items):
            for item in items:
                if isinstance(item, ast.StringLiteral):
                    yield _StringUse(item, None, "list", expr, True)
        case _:
            pass


def _rewritten(node: ast.StringLiteral, value: str) -> tuple[int, int, str]:
    return node.span.start, node.span.end, quoted(value)


def _placeholders(text: Text, found: list[_StringUse]) -> None:
    for use in found:
        value = use.node.value.strip()
        if value in ("...", "…") or foreign.PLACEHOLDER.fullmatch(value):
            text.refuse(
                use.node.span.start,
                use.node.span.end,
                f"`{value}` is a placeholder: what belongs here was not published",
                codes.PLACEHOLDER,
            )


def _pipes(found: list[_StringUse]) -> Iterator[Repair]:
    for use in found:
        if foreign.PIPE in use.node.value:
            value = use.node.value.replace(foreign.PIPE, "|")
            message = f"{foreign.PIPE} is what a web page's template needs for |"
            yield Repair(*_rewritten(use.node, value), codes.FOREIGN_PATTERN, message)


# Backslashes


def _backslashes(text: Text, found: list[_StringUse]) -> Iterator[Repair]:
    patterns = {use.node.span.start: use.node for use in found if use.how != "match"}
    regexes = {use.node.span.start: use.node for use in found if use.how == "match"}
    inside = any(_INSIDE.search(node.value) for node in patterns.values())
    classes = any(_CLASS.search(node.value) for node in regexes.values())
    doubled = (inside or classes) and _all_even(patterns.values())
    for node in patterns.values():
        value = node.value
        if doubled or (_INSIDE.search(value) and _all_even([node])):
            value = _halved(value)
        else:
            value = _INSIDE.sub(r"\\", value)
        if value != node.value:
            message = "a backslash is an ordinary character here, and is written once"
            yield Repair(*_rewritten(node, value), codes.DOUBLED_BACKSLASHES, message)
    for node in regexes.values():
        if "\\\\" not in node.value:
            continue
        if classes and _all_even(regexes.values()):
            message = "a backslash of a regular expression is written once here"
            yield Repair(*_rewritten(node, _halved(node.value)), codes.DOUBLED_BACKSLASHES, message)
        elif doubled or classes:
            text.refuse(
                node.span.start,
                node.span.end,
                "the program doubles its backslashes, and here two may be one or two",
            )


def _all_even(nodes: Iterable[ast.StringLiteral]) -> bool:
    return all(len(run) % 2 == 0 for node in nodes for run in _RUN.findall(node.value))


def _halved(value: str) -> str:
    return _RUN.sub(lambda run: "\\" * (len(run[0]) // 2), value)


# Lists in one string


def _lists(found: list[_StringUse]) -> Iterator[Repair]:
    for use in found:
        node, value = use.node, use.node.value
        if use.listed or use.how not in ("=", "!=", "contains") or use.left is None:
            continue
        parts = [part.strip() for part in _OR.split(value)]
        if len(parts) == 1:
            parts = [part.strip() for part in _OR_ANY.split(value)]
        if len(parts) < 2 or not all(_PART.fullmatch(part) for part in parts):
            continue
        listed = "[" + ", ".join(map(quoted, parts)) + "]"
        message = "several values stand in one string"
        if use.how == "contains":
            yield Repair(node.span.start, node.span.end, listed, codes.LIST_IN_STRING, message)
        else:
            word = "in" if use.how == "=" else "not in"
            start = use.left.span.end
            yield Repair(start, node.span.end, f" {word} {listed}", codes.LIST_IN_STRING, message)


# Patterns of other languages


def _patterns(found: list[_StringUse]) -> Iterator[Repair]:
    for use in found:
        value = use.node.value
        if use.how not in ("=", "!=", "in", "not in", "contains"):
            continue
        if "%" in value and "*" not in value and "?" not in value:
            rest = _VARIABLE.sub("", value)
            if rest.count("%") >= 2:
                parts = []
                at = 0
                for kept in _VARIABLE.finditer(value):
                    parts += [value[at : kept.start()].replace("%", "*"), kept[0]]
                    at = kept.end()
                new = "".join(parts) + value[at:].replace("%", "*")
                message = "`%` for any text is SQL's; here it is `*`"
                yield Repair(*_rewritten(use.node, new), codes.FOREIGN_PATTERN, message)
                continue
        new = _DOT.sub("*.", value)
        if new != value:
            message = "a dot is an ordinary character in a pattern, with no backslash before it"
            yield Repair(*_rewritten(use.node, new), codes.FOREIGN_PATTERN, message)


# Paths for base names


def _base_names(program: ast.SyntaxTree, datamodel: DataModel) -> Iterator[Repair]:
    objects = _objects_of(program, datamodel)
    for statement in program.statements:
        known = objects.get(id(statement), {})
        for expr in expressions(statement):
            for item in all_in(expr):
                yield from _base_name(item, known, datamodel)


def _base_name(
    expr: ast.Expression, objects: dict[str, tuple[str, ...]], datamodel: DataModel
) -> Iterator[Repair]:
    match expr:
        case ast.ComparisonExpression(ast.FieldPath() as left, rest) if all(
            sign in (ast.Operator.EQUAL, ast.Operator.NOT_EQUAL) for sign, _ in rest
        ):
            values = [item for _, item in rest]
        case ast.InExpression(ast.FieldPath() as left, ast.ListExpression(items)):
            values = list(items)
        case ast.ContainsExpression(ast.FieldPath() as left, ast.ListExpression(items)):
            values = list(items)
        case ast.ContainsExpression(ast.FieldPath() as left, ast.StringLiteral() as only):
            values = [only]
        case _:
            return
    texts = [item.value for item in values if isinstance(item, ast.StringLiteral)]
    if not texts or len(texts) != len(values):
        return
    if not all("\\" in item or "/" in item for item in texts):
        return
    prefix, name = ".".join(left.path[:-1]), left.path[-1]
    specs = [
        spec
        for object_ in objects.get(prefix, objects.get("", ()))
        if (spec := datamodel.objects[object_].field(name)) is not None
    ]
    paths = {spec.base_name_of for spec in specs}
    if len(paths) != 1:
        return
    path = paths.pop()
    if path is None:
        return
    last = left.span.end
    new = ".".join([*left.path[:-1], path])
    yield Repair(
        left.span.start,
        last,
        new,
        codes.PATH_READ_AS,
        f"{name} is a base name, and never equals a path; {path} holds the path",
    )


def _objects_of(
    program: ast.SyntaxTree, datamodel: DataModel
) -> dict[int, dict[str, tuple[str, ...]]]:
    """For each statement, the objects of the rows it looks at, by the prefix their fields have."""
    streams: dict[str, tuple[str, ...]] = {}
    found: dict[int, dict[str, tuple[str, ...]]] = {}
    for statement in program.statements:
        scope: dict[str, tuple[str, ...]] = {}
        read = [name.text for name in streams_of(statement)]
        match statement:
            case ast.DefineStatement(name, ast.SearchExpression(kinds)):
                named = [kind for kind in kinds if isinstance(kind, ast.KindName)]
                specs = [datamodel.object(kind.object.text) for kind in named]
                objects = tuple(dict.fromkeys(spec.name for spec in specs if spec is not None))
                scope = {"": objects, name.text: objects}
                streams[name.text] = objects
            case ast.DefineStatement(name, ast.JoinExpression()):
                scope = {item: streams.get(item, ()) for item in read}
                streams[name.text] = ()
                for item in read:
                    streams[f"{name.text}.{item}"] = streams.get(item, ())
            case ast.DefineStatement(name):
                objects = tuple(dict.fromkeys(o for item in read for o in streams.get(item, ())))
                scope = {"": objects, **{item: streams.get(item, ()) for item in read}}
                for item in read:
                    for key, value in list(streams.items()):
                        if key.startswith(f"{item}."):
                            scope[key.removeprefix(f"{item}.")] = value
                if read:
                    streams[name.text] = objects
            case _:
                pass
        found[id(statement)] = scope
    return found
