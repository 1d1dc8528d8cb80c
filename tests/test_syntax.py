"""The parser and the printer: what each text means, what is said of wrong ones, and that
printing and parsing undo each other.

The golden files in ``golden/syntax`` hold wrong programs (``.car``) and all that is said of
them (``.out``). ``CARENGINE_GOLDEN=write`` writes them anew.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import lark
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from carengine import resources
from carengine.diagnostics import Block, Source, codes, render
from carengine.syntax import (
    ast,
    parse_condition,
    parse_program,
    parse_value,
    print_expression,
    print_program,
    print_statement,
    tables,
)
from carengine.syntax.lexical import MAX_CHARACTERS, MAX_DEPTH, MAX_LEXEMES
from carengine.syntax.parser import MAX_EXPLAINED, MICROSECONDS
from generators import expressions, programs

GOLDEN = Path(__file__).parent / "golden" / "syntax"
SHARED = Path(__file__).parents[1].parent / "shared"


def good(text: str | Block) -> ast.SyntaxTree:
    parsed = parse_program(text)
    assert not parsed.diagnostics, "\n".join(map(render, parsed.diagnostics))
    return parsed.program


def only(text: str) -> ast.Statement:
    (statement,) = good(text).statements
    return statement


def condition(text: str) -> ast.Expression:
    expression, diagnostics = parse_condition(text)
    assert not diagnostics, "\n".join(map(render, diagnostics))
    assert expression is not None
    return expression


def field(path: str) -> ast.FieldPath:
    return ast.FieldPath(tuple(path.split(".")))


def name(text: str) -> ast.Name:
    return ast.Name(text)


def kind(noun: str, verb: str | None) -> ast.KindName:
    return ast.KindName(name(noun), None if verb is None else name(verb))


def equal(path: str, value: ast.Expression) -> ast.ComparisonExpression:
    return ast.ComparisonExpression(field(path), ((ast.Operator.EQUAL, value),))


A_IS_X = equal("a", ast.StringLiteral("x"))
B_EXISTS = ast.ExistsExpression(field("b"))

STREAMS = {
    "search File:Create": ast.SearchExpression((kind("File", "Create"),)),
    "search File:Create,Modify": ast.SearchExpression(
        (kind("File", "Create"), kind("File", "Modify"))
    ),
    "search (Registry:Add OR Registry:Edit)": ast.SearchExpression(
        (kind("Registry", "Add"), kind("Registry", "Edit"))
    ),
    "search Registry:Add or File:*": ast.SearchExpression(
        (kind("Registry", "Add"), kind("File", None))
    ),
    "search File, Process": ast.SearchExpression((kind("File", None), kind("Process", None))),
    "search Process:*": ast.SearchExpression((kind("Process", None),)),
    "search Process": ast.SearchExpression((kind("Process", None),)),
    'SEARCH Process WHERE (a == "x")': ast.SearchExpression((kind("Process", None),), A_IS_X),
    'filter t where a = "x"': ast.FilterExpression(name("t"), A_IS_X),
    "filter t where ((b exists))": ast.FilterExpression(name("t"), B_EXISTS),
    'filter where where "lsass" in raw event': ast.FilterExpression(
        name("where"), ast.RawContainsExpression(ast.StringLiteral("lsass"))
    ),
    "join a, b where b exists": ast.JoinExpression((name("a"), name("b")), B_EXISTS),
    "join (a, b, c) where b exists": ast.JoinExpression(
        (name("a"), name("b"), name("c")), B_EXISTS
    ),
    "group t by f": ast.GroupExpression((name("t"),), (field("f"),)),
    "group group by group, a.by within 30 minutes": ast.GroupExpression(
        (name("group"),), (field("group"), field("a.by")), ast.DurationLiteral(1_800_000_000)
    ),
    "group a, b by f within pause": ast.GroupExpression(
        (name("a"), name("b")), (field("f"),), name("pause")
    ),
    "group a, b by f within 0.5 h": ast.GroupExpression(
        (name("a"), name("b")), (field("f"),), ast.DurationLiteral(1_800_000_000)
    ),
    "from t select min(time) as first, f, count(*) as n": ast.SelectExpression(
        name("t"),
        (
            ast.SelectItem(ast.CallExpression("min", (field("time"),)), name("first")),
            ast.SelectItem(field("f")),
            ast.SelectItem(ast.CallExpression("count", ()), name("n")),
        ),
    ),
    "count(t) by f, a.g": ast.CountExpression(name("t"), (field("f"), field("a.g"))),
    "run Analytic:CAR-2013-05-003": ast.RunExpression(name("CAR-2013-05-003")),
    "run analytic: my_rule.v2": ast.RunExpression(name("my_rule.v2")),
    "count(t)": ast.CallExpression("count", (field("t"),)),
    "average(x)": ast.CallExpression("average", (field("x"),)),
    "max(t.time)": ast.CallExpression("max", (field("t.time"),)),
    "unique(t.user)": ast.CallExpression("unique", (field("t.user"),)),
    "a - b": ast.ArithmeticExpression(ast.Sign.MINUS, field("a"), field("b")),
    "group.by": field("group.by"),
    '["a", 1, -2, "b"]': ast.ListExpression(
        (
            ast.StringLiteral("a"),
            ast.NumberLiteral(1),
            ast.NumberLiteral(-2),
            ast.StringLiteral("b"),
        )
    ),
    "[10.0.0.0/8, fe80::/10, ::1,]": ast.ListExpression(
        (
            ast.NetworkLiteral("10.0.0.0/8"),
            ast.NetworkLiteral("fe80::/10"),
            ast.NetworkLiteral("::1"),
        )
    ),
    "[]": ast.ListExpression(()),
}


@pytest.mark.parametrize(("text", "value"), STREAMS.items(), ids=STREAMS)
def test_what_a_definition_means(text: str, value: object) -> None:
    assert only(f"x = {text}") == ast.DefineStatement(name("x"), value)  # type: ignore[arg-type]


STATEMENTS: dict[str, tuple[ast.Statement, ...]] = {
    "output a, b": (ast.OutputStatement((name("a"), name("b"))),),
    "return (a, b)": (ast.OutputStatement((name("a"), name("b"))),),
    "Output output": (ast.OutputStatement((name("output"),)),),
    "input a": (ast.InputStatement(name("a")),),
    "input a, b": (ast.InputStatement(name("a")), ast.InputStatement(name("b"))),
    "x.f = a.b": (ast.AssignStatement(name("x"), ("f",), field("a.b")),),
    "output.in.`a b` = 1": (
        ast.AssignStatement(name("output"), ("in", "a b"), ast.NumberLiteral(1)),
    ),
    "output = null": (ast.DefineStatement(name("output"), ast.NullLiteral()),),
    "": (),
    " # nothing\n\n": (),
}


@pytest.mark.parametrize(("text", "meaning"), STATEMENTS.items(), ids=STATEMENTS)
def test_what_a_statement_means(text: str, meaning: tuple[ast.Statement, ...]) -> None:
    assert good(text).statements == meaning


less, minus, plus, times = ast.Operator.LESS, ast.Sign.MINUS, ast.Sign.PLUS, ast.Sign.TIMES
a, b, c = field("a"), field("b"), field("c")

CONDITIONS: dict[str, ast.Expression] = {
    "not a = 'x' and b exists or b exists": ast.OrExpression(
        (ast.AndExpression((ast.NotExpression(A_IS_X), B_EXISTS)), B_EXISTS)
    ),
    "a AND b aNd (b AND c)": ast.AndExpression((a, b, ast.AndExpression((b, c)))),
    "(a or b) or c": ast.OrExpression((ast.OrExpression((a, b)), c)),
    "(a and b) or c": ast.OrExpression((ast.AndExpression((a, b)), c)),
    "a < b < a + 1 second": ast.ComparisonExpression(
        a, ((less, b), (less, ast.ArithmeticExpression(plus, a, ast.DurationLiteral(1_000_000))))
    ),
    "a != null": ast.ComparisonExpression(a, ((ast.Operator.NOT_EQUAL, ast.NullLiteral()),)),
    "a - b - c * 2": ast.ArithmeticExpression(
        minus,
        ast.ArithmeticExpression(minus, a, b),
        ast.ArithmeticExpression(times, c, ast.NumberLiteral(2)),
    ),
    "a-(b-c)": ast.ArithmeticExpression(minus, a, ast.ArithmeticExpression(minus, b, c)),
    "a <-5": ast.ComparisonExpression(a, ((less, ast.NumberLiteral(-5)),)),
    "- a": ast.ArithmeticExpression(minus, ast.NumberLiteral(0), a),
    "a in b": ast.InExpression(a, b),
    'a not in ["x"]': ast.InExpression(a, ast.ListExpression((ast.StringLiteral("x"),)), True),
    "a in 10.0.0.0/8": ast.InExpression(a, ast.NetworkLiteral("10.0.0.0/8")),
    "a NOT  IN fe80::/10": ast.InExpression(a, ast.NetworkLiteral("fe80::/10"), True),
    "a match '^x'": ast.MatchExpression(a, ast.StringLiteral("^x")),
    "a contains ['x', 'y']": ast.ContainsExpression(
        a, ast.ListExpression((ast.StringLiteral("x"), ast.StringLiteral("y")))
    ),
    "a does not\n contain 'x'": ast.ContainsExpression(a, ast.StringLiteral("x"), True),
    "not a exists": ast.NotExpression(ast.ExistsExpression(a)),
    "'x' not in raw event": ast.RawContainsExpression(ast.StringLiteral("x"), True),
    "a in raw": ast.InExpression(a, field("raw")),
    "a in top": ast.InExpression(a, field("top")),
    "a in top 30 of (user)": ast.RankExpression(a, 30, field("user")),
    "a not in bottom 3 of t.user": ast.RankExpression(a, 3, field("t.user"), True, True),
    "time > now - 1 day": ast.ComparisonExpression(
        field("time"),
        (
            (
                ast.Operator.GREATER,
                ast.ArithmeticExpression(
                    minus, ast.NowLiteral(), ast.DurationLiteral(86_400_000_000)
                ),
            ),
        ),
    ),
    "a = TRUE": equal("a", ast.BooleanLiteral(True)),
    'group = "x" and to = "x" and from exists': ast.AndExpression(
        (
            equal("group", ast.StringLiteral("x")),
            equal("to", ast.StringLiteral("x")),
            ast.ExistsExpression(field("from")),
        )
    ),
    "in in in and not not = 1": ast.AndExpression(
        (
            ast.InExpression(field("in"), field("in")),
            ast.NotExpression(equal("not", ast.NumberLiteral(1))),
        )
    ),
    "match match 'x'": ast.MatchExpression(field("match"), ast.StringLiteral("x")),
    "email.from = null.x": equal("email.from", field("null.x")),
    "`id.orig_h` exists": ast.ExistsExpression(ast.FieldPath(("id.orig_h",))),
    "@timestamp = winlog.`user-agent`.`a``b`": ast.ComparisonExpression(
        ast.FieldPath(("@timestamp",)),
        ((ast.Operator.EQUAL, ast.FieldPath(("winlog", "user-agent", "a`b"))),),
    ),
    'a = "C:\\Windows\\"': equal("a", ast.StringLiteral("C:\\Windows\\")),
    'a = "say ""x"" it\'s"': equal("a", ast.StringLiteral('say "x" it\'s')),
    "a = 'it''s'": equal("a", ast.StringLiteral("it's")),
    'a = "# x"# y': equal("a", ast.StringLiteral("# x")),
    "a = 1.50": equal("a", ast.NumberLiteral(1.5)),
    "a\u00a0=\t1\r\n and\fb": ast.AndExpression((equal("a", ast.NumberLiteral(1)), b)),
    "first(UtcTime, System.TimeCreated)": ast.CallExpression(
        "first", (field("UtcTime"), field("System.TimeCreated"))
    ),
    'EventID = 12 and EventType in ["DeleteKey"]': ast.AndExpression(
        (
            equal("EventID", ast.NumberLiteral(12)),
            ast.InExpression(
                field("EventType"), ast.ListExpression((ast.StringLiteral("DeleteKey"),))
            ),
        )
    ),
}


@pytest.mark.parametrize(("text", "meaning"), CONDITIONS.items(), ids=CONDITIONS)
def test_what_a_condition_means(text: str, meaning: ast.Expression) -> None:
    assert condition(text) == meaning
    assert parse_value(text) == (meaning, ())


@pytest.mark.parametrize("unit", MICROSECONDS)
@pytest.mark.parametrize("form", ["3{}", "3 {}s", "3\n{}", "3.0\t{}"])
def test_durations(unit: str, form: str) -> None:
    if unit in ("us", "ms", "s", "m", "h", "d", "w"):
        form = form.replace("{}s", "{}")
    written = form.format(unit.upper())
    assert condition(written) == ast.DurationLiteral(3 * MICROSECONDS[unit])


def test_durations_are_exact() -> None:
    assert condition("0 s") == condition("0.0 days") == ast.DurationLiteral(0)
    assert condition("0.1 s") == ast.DurationLiteral(100_000)
    assert condition("4.35 days") == ast.DurationLiteral(375_840_000_000)
    assert "whole microseconds" in parse_condition("0.5 us")[1][0].message
    assert "10,000 years" in parse_condition("9999999999 weeks")[1][0].message


BOUNDARIES = {
    "a string": 'a = filter t where f = "x"\nb = search X',
    "a field": "a = filter t where f = g\nb = search X",
    "a number, then the name of a unit": "a = 1\nm = 2\nd.f = 3",
    "a keyword as a name": "a = b\nand = c\nin.x = d\nnow = e\nexists = f\nwithin = g",
    "raw, then event": "a = filter t where f in raw\nevent = search X",
    "streams on one line": 'a = search X b = filter a where f = "x" output b',
    "no line end after a comment": "a = search X # y",
    "a kind without action": "a = search X\nor = search Y",
    "carriage returns": "a = search X\r\nb = search Y\r\n",
    "a byte order mark": "\ufeffa = search X",
}


@pytest.mark.parametrize("text", BOUNDARIES.values(), ids=BOUNDARIES)
def test_a_statement_ends_where_the_next_begins(text: str) -> None:
    program = good(text)
    assert len(program.statements) == text.replace("!=", "").count(" = ") - text.count("f = ") + (
        text.count("d.f = ") + text.count("output")
    )


def test_spans_point_into_the_source() -> None:
    source = Source("x.car", '---\nid: A\n---\na = filter t where (exe = "x" and (pid exists))\n')
    block = Block(source, source.text[14:], range(14, len(source.text) + 1))
    (statement,) = good(block).statements
    match statement:
        case ast.DefineStatement(
            defined, ast.FilterExpression(stream, ast.AndExpression((first, second)))
        ):
            assert statement.span.text == 'a = filter t where (exe = "x" and (pid exists))'
            assert (defined.span.text, defined.span.line) == ("a", 4)
            assert stream.span.text == "t"
            assert statement.value.span.text == statement.span.text[4:]
            assert (first.span.text, second.span.text) == ('exe = "x"', "pid exists")
        case _:
            pytest.fail(str(statement))


def test_spans_follow_a_text_that_was_moved() -> None:
    """A block whose characters stand in the source in another order of places."""
    source = Source("page.yaml", "code: |\n    a = serach X\n    output a\n")
    text = "a = serach X\noutput a\n"
    offsets = [*range(12, 25), *range(29, 39)]
    parsed = parse_program(Block(source, text, offsets))
    (wrong,) = parsed.diagnostics
    assert wrong.span is not None
    assert (wrong.span.text, wrong.span.line, wrong.span.column) == ("serach", 2, 9)
    (output,) = parsed.program.statements
    assert output.span.text == "output a"


# Printing

LAYOUTS = {
    "short": 'x = filter t where (a = "x" and b exists)\n',
    "broken": (
        "lsass_dump = filter files where (\n"
        '  file_name = "lsass*.dmp" and\n'
        '  (image_path = "C:\\Windows\\*\\taskmgr.exe" or\n'
        '   image_path = "C:\\Program Files (x86)\\A rather long name, made up\\*.exe") and\n'
        '  user not in ["SYSTEM", "LOCAL SERVICE"])\n'
    ),
    "list": (
        "names = [\n"
        '  "a rather long name, 0", "a rather long name, 1", "a rather long name, 2",\n'
        '  "a rather long name, 3", "a rather long name, 4"]\n'
    ),
    "select": (
        "x = from grouped select\n"
        "  min(time) as earliest_time,\n"
        "  max(time) as latest_time,\n"
        "  count(*) as number,\n"
        "  distinct_count(user) as users\n"
    ),
    "kinds": "x = search (File:Create or File:* or Process:Create)\ny = search File:Create,Modify\n",
    "value": "x = a and b and (c or d)\n",
    "every statement": (
        "input host\n"
        "x = group a, b by f, g within 90 minutes\n"
        "y = count(x) by f\n"
        "y.f = f + 1 * (2 - 3) - -4\n"
        "z = x - y\n"
        "r = run Analytic:CAR-2013-05-003\n"
        "j = join (a, b, c) where a.time < b.time < a.time + 1 second\n"
        'k = search Process:* where not "x" in raw event\n'
        "output x, y\n"
    ),
    "keywords": "x = (group - 1)\ny = `now` + now\nnot = `not` in group\n",
}


@pytest.mark.parametrize("text", LAYOUTS.values(), ids=LAYOUTS)
def test_the_layout(text: str) -> None:
    assert print_program(good(text)) == text
    assert print_program(good(" ".join(text.split()) if text.count("=") == 1 else text)) == text


@settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
@given(programs())
@example(
    ast.SyntaxTree(
        (ast.DefineStatement(name("x"), field("group")), ast.DefineStatement(name("by"), c))
    )
)
@example(
    ast.SyntaxTree(
        (
            ast.DefineStatement(name("x"), ast.NumberLiteral(5)),
            ast.AssignStatement(name("m"), ("f",), c),
        )
    )
)
def test_printing_and_parsing_undo_each_other(program: ast.SyntaxTree) -> None:
    text = print_program(program)
    again = good(text)
    assert again == program, text
    assert print_program(again) == text


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(expressions())
def test_printing_and_parsing_an_expression(expression: ast.Expression) -> None:
    text = print_expression(expression)
    assert condition(text) == expression, text


def test_what_no_text_says_is_refused() -> None:
    for expression in (ast.StringLiteral("a\nb"), ast.FieldPath(("",)), ast.FieldPath(("a\r",))):
        with pytest.raises(ValueError, match=r"line end|written"):
            print_expression(expression)
    with pytest.raises(ValueError, match="id of a rule"):
        print_statement(ast.DefineStatement(name("x"), ast.RunExpression(name("a b"))))


COMMENTED = """\
#!head


# of a
a = search Process:Create # behind a
b = filter a where ( # behind the bracket
  # before exe
  exe = "cmd.exe" and # behind exe
  (parent_exe = "a rather long name.exe" or # behind parent
  # before the other
  parent_exe = "another rather long name.exe") and # behind both
  pid > 4
  # alone before the end
  ) # behind b
c = ["a", # one
  "b" # two
]
d = a # behind d
e = b f = search File:* # behind f

output a, b # last
# end
"""


def test_comments_survive() -> None:
    program = good(COMMENTED)
    assert len(program.comments) == COMMENTED.count("#") == 17
    printed = print_program(program)
    again = good(printed)
    assert again == program
    assert sorted(x.text for x in again.comments) == sorted(x.text for x in program.comments)
    assert print_program(again) == printed
    for line in (
        "#!head\n\n# of a\na = search Process:Create  # behind a\n",
        "b = filter a where (  # behind the bracket\n  # before exe\n",
        '  exe = "cmd.exe" and  # behind exe\n',
        "  # alone before the end\n  pid > 4)  # behind b\n",
        "  # before the other\n",
        '# one\n# two\nc = ["a", "b"]\n',
        "d = a  # behind d\n",
        "f = search File:*  # behind f\n\noutput a, b  # last\n# end\n",
    ):
        assert line in printed


@settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))
@given(programs(), st.randoms(use_true_random=False))
def test_no_comment_is_lost_wherever_it_stands(program: ast.SyntaxTree, random: object) -> None:
    lines = print_program(program).split("\n")
    choose = getattr(random, "choice")  # noqa: B009
    commented = "".join(
        line + choose(["\n", f" # b{i}\n", f"\n  # c{i}\n", f"\n\n# d{i} \n#\n"])
        for i, line in enumerate(lines)
    )
    first = good(commented)
    assert first == program
    printed = print_program(first)
    second = good(printed)
    assert second == program
    assert sorted(x.text for x in second.comments) == sorted(x.text for x in first.comments)
    assert print_program(second) == printed


# Errors


@pytest.mark.parametrize(
    ("condition", "second"),
    [
        ('exe = "x" or or exe = "y"', 13),
        ('exe = "x" and OR exe = "y"', 14),
        ('exe = "x" and and not exe = "y"', 14),
    ],
)
def test_a_doubled_connective_is_told_at_the_second(condition: str, second: int) -> None:
    start = "a = search process:create where "
    [found] = parse_program(start + condition + "\noutput a\n").diagnostics
    assert found.span is not None
    assert "side by side" in found.message
    assert found.span.start == len(start) + second
    assert found.fix is not None
    [edit] = found.fix.edits
    assert edit.span.text == " " + found.span.text


def _golden() -> list[Path]:
    return sorted(GOLDEN.glob("*.car"))


@pytest.mark.parametrize("path", _golden(), ids=[path.stem for path in _golden()])
def test_what_is_said_of_wrong_programs(path: Path) -> None:
    parsed = parse_program(Block.of(path.read_bytes().decode("utf-8"), path.name))
    said = "\n\n".join(map(render, parsed.diagnostics))
    said += f"\n\n-- kept --\n{print_program(parsed.program)}"
    out = path.with_suffix(".out")
    if os.environ.get("CARENGINE_GOLDEN") == "write":
        out.write_text(said, encoding="utf-8")
    assert said == out.read_text(encoding="utf-8")
    for diagnostic in parsed.diagnostics:
        for edit in diagnostic.fix.edits if diagnostic.fix else ():
            assert edit.span.text != edit.text


FIXES = {
    "x = fliter a where b exists": "x = filter a where b exists",
    "x = filter a wehre b exists": "x = filter a where b exists",
    "x = filter a (b exists)": "x = filter a where (b exists)",
    "x = filter a (where b exists)": "x = filter a where ( b exists)",
    "x = serach File:Create": "x = search File:Create",
    "ouput x": "output x",
    "x = filter a where b exists adn c exists": "x = filter a where b exists and c exists",
    "x = filter a where (b exists c exists)": "x = filter a where (b exists and c exists)",
    'x = filter a where b = "x" c = "y"': 'x = filter a where b = "x" and c = "y"',
    "x = filter a where b => 1": "x = filter a where b >= 1",
    "x = filter a where b <> 1&&c": "x = filter a where b != 1 and c",
    "x = filter a where !b||c": "x = filter a where not b or c",
    "x = filter a where b = “it's”": 'x = filter a where b = "it\'s"',
    "x = filter a where b = ‘y’": "x = filter a where b = 'y'",
    'x = filter a where b = "y': 'x = filter a where b = "y"',
    "x = filter a where (b = 'y)": "x = filter a where (b = 'y')",
    'x = filter a where b = y.exe"': 'x = filter a where b = "y.exe"',
    "x = filter a where (b exists": "x = filter a where (b exists)",
    "x = filter a where b exists)": "x = filter a where b exists",
    "x = [b, [c)": "x = [b, [c]]",
    'x = ["a" "b"]': 'x = ["a", "b"]',
    "x = from t select a b": "x = from t select a, b",
    "output a b": "output a, b",
    "x = filter a where b = *y*": 'x = filter a where b = "*y*"',
    "x = filter a where b = C:\\y\\z.exe and c": 'x = filter a where b = "C:\\y\\z.exe" and c',
    "x = filter a where b = 0x1f": 'x = filter a where b = "0x1f"',
    "x = filter a where b in ('x', 'y')": "x = filter a where b in ['x', 'y']",
    "x = filter a where b like 'x'": "x = filter a where b = 'x'",
    "x = filter a where b matches 'x'": "x = filter a where b match 'x'",
    "x = run CAR-1": "x = run Analytic:CAR-1",
    "output x;": "output x",
    "x = a – 1": "x = a - 1",
    "x = a\u200b": "x = a",
}


@pytest.mark.parametrize(("text", "mended"), FIXES.items(), ids=FIXES)
def test_a_fix_mends(text: str, mended: str) -> None:
    for _ in range(3):
        diagnostics = parse_program(text).diagnostics
        if not diagnostics:
            break
        fix = diagnostics[0].fix
        assert fix is not None
        assert fix.edits
        for edit in sorted(fix.edits, key=lambda edit: -edit.span.start):
            text = text[: edit.span.start] + edit.text + text[edit.span.end :]
    assert text == mended
    assert not parse_program(text).diagnostics


def test_all_errors_are_told_and_all_good_statements_kept() -> None:
    text = "".join(
        f"a{i} = search File:Create\nb{i} = fliter a{i} where (x = 1)\n" for i in range(10)
    )
    parsed = parse_program(text)
    assert [d.span.line for d in parsed.diagnostics if d.span] == list(range(2, 21, 2))
    assert len(parsed.program.statements) == 10


def test_a_condition_that_goes_on_after_an_error_is_no_statement() -> None:
    parsed = parse_program('a = filter t where (\n  x = "1" and\n  y = = 2 and\nz = 3)\nb = a')
    assert len(parsed.diagnostics) == 1
    assert [print_statement(s) for s in parsed.program.statements] == ["b = a"]


# Hostile texts


@pytest.mark.parametrize("depth", [MAX_DEPTH - 1, MAX_DEPTH, MAX_DEPTH + 1, 20_000])
@pytest.mark.parametrize(
    ("before", "after"),
    [("(", ")"), ("[", "]"), ("f(", ")"), ("not ", ""), ("- ", ""), ("", " + a")],
)
def test_depth_is_limited(depth: int, before: str, after: str) -> None:
    text = f"x = {before * depth}a{after * depth}"
    parsed = parse_program(text)
    if depth < MAX_DEPTH:
        assert good(text) == parse_program(print_program(parsed.program)).program
    elif depth > MAX_DEPTH:
        assert [d.code for d in parsed.diagnostics] == [codes.TOO_DEEP]


def test_depth_counts_what_stands_before_and_behind_brackets() -> None:
    text = "a"
    for _ in range(30):
        text = f"({text} + b * c + d)"
    assert [d.code for d in parse_program(f"x = {text}").diagnostics] == [codes.TOO_DEEP]


@pytest.mark.parametrize(
    "text",
    [
        "(" * 100_000,
        ")" * 8_000,
        "x = " + "a or " * 5_000 + "b",
        '"' * 999_999,
        "'" * 999_999,
        "`" * 500_000,
        "a" * 1_000_000,
        "9" * 1_000_000,
        "x = 1 " + " " * 900_000 + "m = 2",
        "\\" * 100_000,
        "x = " + "“" * 10_000,
        "a = (\n" * 5_000,
        "a = = b\n" * 2_000,
        "#" * 900_000,
        "{" * 50_000,
        "x = [" + "1, " * 4_000 + "1]",
        "\x00" * 50_000,
        "a?\r" * 8_000,
        "\r" * 990_000,
        "a\r" * 10_000,
        "? " * 8_000,
        '? "? ' * 8_000,
        "a.b" * 4_000,
        "-\u2028" * 60_000,
        "a" * 10_000_000,
        "a " * 5_000_000,
    ],
    ids=lambda text: f"{text[:10]!r} {len(text)}",
)
def test_hostile_texts_take_little_time(text: str) -> None:
    started = time.process_time()
    parsed = parse_program(text)
    assert time.process_time() - started < 15
    assert len(parsed.diagnostics) <= MAX_EXPLAINED + 1
    for diagnostic in parsed.diagnostics[:3]:
        render(diagnostic)


def test_limits_are_told() -> None:
    assert parse_program("#" * MAX_CHARACTERS).diagnostics == ()
    for text in ("#" * (MAX_CHARACTERS + 1), "a " * (MAX_LEXEMES + 1)):
        parsed = parse_program(text)
        assert [d.code for d in parsed.diagnostics] == [codes.TOO_LONG]
    assert [d.code for d in parse_condition("a " * (MAX_LEXEMES + 1))[1]] == [codes.TOO_LONG]
    many = parse_program("a = = b\n" * (MAX_EXPLAINED + 50)).diagnostics
    assert len(many) == MAX_EXPLAINED + 1
    assert any("50 more mistakes" in d.message for d in many)


def test_ten_thousand_terms() -> None:
    terms = [f'exe = "{i}"' for i in range(10_000)]
    text = f"x = filter t where {' or '.join(terms)}"
    statement = only(text)
    assert isinstance(statement, ast.DefineStatement)
    assert isinstance(statement.value, ast.FilterExpression)
    assert isinstance(statement.value.condition, ast.OrExpression)
    assert len(statement.value.condition.items) == 10_000
    assert only(print_statement(statement)) == statement


@settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.lists(
        st.sampled_from(
            [
                "a",
                "x.y",
                "=",
                "==",
                "(",
                ")",
                "[",
                "]",
                ",",
                ":",
                ".",
                "*",
                "-",
                "+",
                "<",
                "search",
                "filter",
                "where",
                "and",
                "or",
                "not",
                "in",
                "raw",
                "event",
                "output",
                "input",
                "group",
                "by",
                "within",
                "3",
                "3s",
                "10.0.0.0/8",
                '"s"',
                "'s'",
                '"',
                "'",
                "`",
                "#",
                "…",
                "\\",
                "&&",
                ";",
                "\n",
                "\r\n",
                "“",
                "”",
                "top",
                "30",
                "of",
                "from",
                "select",
                "as",
                "count",
                "run",
                "Analytic",
            ]
        ),
        max_size=30,
    ).map(" ".join)
    | st.text(max_size=60)
)
def test_nothing_raises(text: str) -> None:
    parsed = parse_program(text)
    assert parse_program(text) == parsed or parsed.diagnostics
    for diagnostic in parsed.diagnostics:
        render(diagnostic)
        assert diagnostic.span is not None
    if not parsed.diagnostics:
        assert parse_program(print_program(parsed.program)).program == parsed.program
    parse_condition(text)


# The published pseudocode


def test_the_seed_rule_of_the_corpus_parses() -> None:
    page = SHARED / "car" / "CAR-2019-08-001.md"
    if not page.exists():
        pytest.skip("the shared corpus is not here")
    text = page.read_text(encoding="utf-8")
    start = text.index("files = search File:Create")
    program = good(text[start : text.index("```", start)])
    assert len(program.statements) == 3


def test_lark_is_imported_only_for_a_parse() -> None:
    code = (
        "import sys, carengine.syntax as s; assert 'lark' not in sys.modules; "
        "s.print_program(s.ast.SyntaxTree(())); assert 'lark' not in sys.modules; "
        "s.parse_program('output a'); assert 'lark' in sys.modules"
    )
    path = str(Path(__file__).parents[1] / "src")
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, "PYTHONPATH": path})


def test_the_grammar_has_no_conflicts() -> None:
    """Lark settles a shift/reduce conflict without a word; with ``debug`` it says so."""
    import logging

    import lark

    from carengine import resources

    heard: list[str] = []

    class Ear(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            heard.append(record.getMessage())

    ear = Ear()
    level = lark.logger.level
    lark.logger.addHandler(ear)
    lark.logger.setLevel(logging.DEBUG)
    try:
        text = resources.grammar_file().read_text(encoding="utf-8")
        lark.Lark(text, parser="lalr", start=["program", "expression"], debug=True)
    finally:
        lark.logger.removeHandler(ear)
        lark.logger.setLevel(level)
    assert [line for line in heard if "onflict" in line] == []


def test_the_tables_that_ship_are_those_of_the_grammar_and_are_used() -> None:
    """Another Lark than the one they were made by works out its own."""
    shipped = json.loads(resources.grammar_tables().read_text(encoding="ascii"))
    grammar = resources.grammar_file().read_bytes()
    assert shipped["for"][0] == hashlib.sha256(grammar).hexdigest(), "run python docs/generate.py"
    if shipped["for"][1] == lark.__version__:
        assert tables.parser().source_path == "<deserialized>"


@pytest.mark.parametrize("start", ["program", "expression"])
def test_the_tables_that_ship_parse_as_the_grammar_does(start: str) -> None:
    built = tables._built(resources.grammar_file().read_text(encoding="utf-8"))
    texts = {
        "program": ['a = search Process:Create where exe = "x" and pid > 3\noutput a', "output"],
        "expression": ['a = 1 or not (b = "*x*" and c in (1, 2))', "f(a, b) = 2", "a ="],
    }[start]
    for text in texts:
        outcomes: list[object] = []
        for parser in (built, tables.parser()):
            try:
                outcomes.append(parser.parse(text, start=start))
            except lark.exceptions.UnexpectedInput as error:
                outcomes.append(f"{type(error).__name__} {error.pos_in_stream}")
        assert outcomes[0] == outcomes[1]


@pytest.mark.parametrize("content", ["", "[]", "{", '{"for": ["", "0"]}', None])
def test_without_tables_that_fit_they_are_worked_out(
    content: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "car.tables.json"
    if content is not None:
        place.write_text(content, encoding="ascii")
    monkeypatch.setattr(resources, "grammar_tables", lambda: place)
    assert tables.parser().source_path != "<deserialized>"
