"""Programs that mean something, made at random: streams of one object, conditions on its fields, an
output.

They are printed canonically, parse and resolve. Names, values and shapes are like those that people
write.
"""

from __future__ import annotations

from random import Random

from carengine.datamodel import ObjectSpec, model
from carengine.ir import Type
from carengine.syntax import ast, print_program

_STREAMS = {
    "process": ["processes", "procs", "process_events"],
    "file": ["files", "file_events", "written"],
    "registry": ["registry_keys", "reg_events"],
    "flow": ["flows", "connections"],
    "module": ["modules", "loads"],
    "service": ["services", "service_events"],
    "thread": ["threads", "remote_threads"],
    "user_session": ["logins", "sessions"],
}
_FILTERED = ["suspicious", "target_events", "lsass_dump", "odd_parents", "hits", "from_office"]
_FILES = ["cmd.exe", "powershell.exe", "rundll32.exe", "lsass*.dmp", "net1.exe", "*.ps1", "a b.exe"]
_PATHS = [
    "C:\\Windows\\System32\\cmd.exe",
    "C:\\Windows\\*\\taskmgr.exe",
    "C:\\Program Files (x86)\\Tools\\*",
    "*\\AppData\\Local\\Temp\\*",
    "\\\\server\\share\\*.exe",
    "%windir%\\Tasks\\*",
    "/usr/bin/python3",
]
_TEXTS = [
    "*-enc *",
    "* /add*",
    '*"quoted" text*',
    "it's",
    "*(Get-Item).Path*",
    "reg add *",
    "search and destroy",
    "*a, b*",
    "SYSTEM",
    "x",
    "*[*]*",
]
_REGEXES = ["\\d{1,3}\\.\\d{1,3}", "-pw .* .*@.*", "(a|b)\\.exe$", " a "]


def program(random: Random) -> str:
    """The text of a program."""
    spec = model().objects[random.choice(list(_STREAMS))]
    action = random.choice(list(spec.actions.values()))
    first = random.choice(_STREAMS[spec.name])
    kind = ast.KindName(ast.Name(spec.title), ast.Name(action.title))
    statements: list[ast.Statement] = [
        ast.DefineStatement(ast.Name(first), ast.SearchExpression((kind,), _maybe(random, spec)))
    ]
    names = [first]
    for name in random.sample(_FILTERED, random.randint(1, 3)):
        source = random.choice([names[-1], first])
        condition = _condition(random, spec, random.randint(0, 3))
        statements.append(
            ast.DefineStatement(ast.Name(name), ast.FilterExpression(ast.Name(source), condition))
        )
        names.append(name)
    last = names[-1]
    match random.randrange(5):
        case 0:
            keys = tuple(ast.FieldPath((name,)) for name in _some(random, _plain(spec), 2))
            within = random.choice([None, ast.DurationLiteral(30 * 60_000_000)])
            statements.append(
                ast.DefineStatement(
                    ast.Name("grouped"), ast.GroupExpression((ast.Name(last),), keys, within)
                )
            )
            names.append("grouped")
        case 1 if "hostname" in spec.fields:
            match = ast.ComparisonExpression(
                ast.FieldPath((first, "hostname")),
                ((ast.Operator.EQUAL, ast.FieldPath((last, "hostname"))),),
            )
            later = ast.ComparisonExpression(
                ast.FieldPath((first, "time")),
                ((ast.Operator.LESS, ast.FieldPath((last, "time"))),),
            )
            joined = ast.JoinExpression(
                (ast.Name(first), ast.Name(last)), ast.AndExpression((match, later))
            )
            statements.append(ast.DefineStatement(ast.Name("joined"), joined))
            names.append("joined")
        case _:
            pass
    used = {name.text for s in statements for name in _read(s)}
    outputs = [name for name in names if name not in used]
    statements.append(ast.OutputStatement(tuple(map(ast.Name, outputs))))
    return print_program(ast.SyntaxTree(tuple(statements)))


def _read(statement: ast.Statement) -> tuple[ast.Name, ...]:
    match statement:
        case ast.DefineStatement(_, ast.FilterExpression(stream)):
            return (stream,)
        case ast.DefineStatement(_, ast.JoinExpression(streams) | ast.GroupExpression(streams)):
            return streams
        case _:
            return ()


def _maybe(random: Random, spec: ObjectSpec) -> ast.Expression | None:
    return _atom(random, spec) if random.random() < 0.2 else None


def _plain(spec: ObjectSpec) -> list[str]:
    return [name for name, field in spec.fields.items() if not field.open]


def _some(random: Random, items: list[str], most: int) -> list[str]:
    return random.sample(items, random.randint(1, most))


def _condition(random: Random, spec: ObjectSpec, depth: int) -> ast.Expression:
    if depth == 0 or random.random() < 0.2:
        return _atom(random, spec)
    parts = tuple(_condition(random, spec, depth - 1) for _ in range(random.randint(2, 4)))
    match random.randrange(7):
        case 0:
            return ast.NotExpression(parts[0])
        case 1 | 2 | 3:
            return ast.AndExpression(_apart(parts, ast.AndExpression))
        case _:
            return ast.OrExpression(_apart(parts, ast.OrExpression))


def _apart(
    parts: tuple[ast.Expression, ...], kind: type[ast.AndExpression] | type[ast.OrExpression]
) -> tuple[ast.Expression, ...]:
    """The parts of nested connectives of one kind, side by side."""
    flat: list[ast.Expression] = []
    for part in parts:
        flat += part.items if isinstance(part, kind) else [part]
    return tuple(flat)


def _atom(random: Random, spec: ObjectSpec) -> ast.Expression:
    name = random.choice(_plain(spec))
    field, known = ast.FieldPath((name,)), spec.fields[name]
    if known.type in (Type.INTEGER, Type.NUMBER):
        sign = random.choice(list(ast.Operator))
        return ast.ComparisonExpression(
            field, ((sign, ast.NumberLiteral(random.randint(0, 70_000))),)
        )
    if known.type is Type.TIME:
        value = ast.ArithmeticExpression(
            ast.Sign.MINUS, ast.NowLiteral(), ast.DurationLiteral(86_400_000_000)
        )
        return ast.ComparisonExpression(field, ((ast.Operator.GREATER, value),))
    if known.type is Type.ADDRESS and random.random() < 0.5:
        networks = (ast.NetworkLiteral("10.0.0.0/8"), ast.NetworkLiteral("fe80::/10"))
        return ast.InExpression(field, ast.ListExpression(networks), random.random() < 0.5)
    texts = _TEXTS
    if known.base_name_of is not None:
        texts = _FILES
    elif name.endswith("path"):
        texts = _PATHS
    strings = [ast.StringLiteral(text) for text in _some(random, texts, 4)]
    match random.randrange(8):
        case 0:
            return ast.InExpression(
                field, ast.ListExpression(tuple(strings)), random.random() < 0.3
            )
        case 1:
            return ast.ContainsExpression(
                field, ast.ListExpression(tuple(strings)), random.random() < 0.3
            )
        case 2:
            return ast.ContainsExpression(field, strings[0])
        case 3:
            return ast.ExistsExpression(field)
        case 4:
            return ast.MatchExpression(field, ast.StringLiteral(random.choice(_REGEXES)))
        case _:
            sign = random.choice([ast.Operator.EQUAL, ast.Operator.EQUAL, ast.Operator.NOT_EQUAL])
            return ast.ComparisonExpression(field, ((sign, strings[0]),))
