"""The checker: what it finds in rules, that its safe fixes change nothing, and that it is quiet
about good rules."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carengine import CarError, ir, load_rules, parse_rule
from carengine.check import apply_fixes, check_rule, check_rules, to_sarif
from carengine.diagnostics import Block, Diagnostic, Edit, Fix, Source, Span, codes, render
from carengine.evaluate import holds
from carengine.rule import Metadata, Rule
from carengine.syntax import ast
from test_check_logic import Noon, world

RULES = Path(__file__).parents[1] / "rules" / "car"


def findings(text: str) -> list[Diagnostic]:
    return list(check_rule(parse_rule(text)))


def said(text: str) -> list[tuple[str, str]]:
    """The codes that a rule gets, each with the text it points at."""
    return [(f.code.id, f.span.text if f.span else "") for f in findings(text)]


def in_filter(condition: str, search: str = "Process:Create") -> str:
    return f"a = search {search}\nb = filter a where {condition}\noutput b\n"


# The logical mistakes of the published corpus, in canonical spelling.

KNOWN = {
    "CAR-2013-09-005": (
        r"""
processes = search Process:Create
services = filter processes where parent_image_path = "C:\Windows\System32\services.exe"
historic_services = filter services where (time < now - 1 day and time > now - 1 day)
current_services = filter services where time >= now - 1 day
new_services = historic_services - current_services
output new_services
""",
        {
            ("CE701", "time > now - 1 day"),
            ("CE715", "historic_services - current_services"),
            ("CE716", "historic_services - current_services"),
        },
    ),
    "CAR-2014-11-002": (
        r"""
processes = search Process:Create
cmd = filter processes where exe = "cmd.exe"
cmd = from cmd select parent_exe
historic_cmd = filter cmd where (time < now - 1 day and time > now - 1 day)
current_cmd = filter cmd where time >= now - 1 day
new_cmd = historic_cmd - current_cmd
output new_cmd
""",
        {("CE701", "time > now - 1 day"), ("CE715", "historic_cmd - current_cmd")},
    ),
    "CAR-2014-11-003": (
        r"""
process = search Process:Create
debuggers = filter process where (
  command_line match "$.* .*(sethc|utilman|osk|narrator|magnify)\.exe")
output debuggers
""",
        {("CE705", r'"$.* .*(sethc|utilman|osk|narrator|magnify)\.exe"')},
    ),
    "CAR-2020-11-008": (
        r"""
processes = search Process:Create
target_processes = filter processes where (
  (exe = "C:\Program Files (x86)\Microsoft Visual Studio\*\bin\MSBuild.exe" or
   exe = "C:\Windows\Microsoft.NET\Framework*\msbuild.exe" or
   exe = "C:\users\*\appdata\roaming\microsoft\msxsl.exe") and
  image_path != "*Microsoft Visual Studio*")
output target_processes
""",
        {
            ("CE704", r'exe = "C:\Program Files (x86)\Microsoft Visual Studio\*\bin\MSBuild.exe"'),
            ("CE704", r'exe = "C:\Windows\Microsoft.NET\Framework*\msbuild.exe"'),
            ("CE704", r'exe = "C:\users\*\appdata\roaming\microsoft\msxsl.exe"'),
        },
    ),
    "CAR-2021-04-001": (
        r"""
processes = search Process:*
suspicious_processes = filter processes where (
  (exe = "svchost.exe" and (
    image_path != "C:\Windows\System32\svchost.exe" or
    image_path != "C:\Windows\SysWow64\svchost.exe")) or
  (exe = "smss.exe" and image_path != "C:\Windows\System32\smss.exe") or
  (exe = "lasass.exe" and image_path != "C:\Windows\System32\lsass.exe"))
output suspicious_processes
""",
        {("CE703", r'image_path != "C:\Windows\SysWow64\svchost.exe"')},
    ),
}


@pytest.mark.parametrize("name", KNOWN)
def test_mistakes_that_were_published(name: str) -> None:
    text, expected = KNOWN[name]
    assert set(said(text)) == expected


def test_our_own_rules_have_nothing_to_be_said_of() -> None:
    rules = load_rules(RULES)
    assert len(rules) > 90
    # Some of them count over all data, and mean it.
    found = [item for item in check_rules(rules) if item.code is not codes.UNBOUNDED_GROUP]
    assert [render(item) for item in found] == []


# One condition: code, and the text that is pointed at.

CONDITIONS = [
    ('exe = "a*" and exe = "b*"', "CE701", 'exe = "b*"'),
    ('exe = "x.exe" and not exe = "*.exe"', "CE701", 'not exe = "*.exe"'),
    ('exe in ["a.exe", "b.exe"] and exe = "c.exe"', "CE701", 'exe = "c.exe"'),
    ("pid > 10 and pid < 5", "CE701", "pid < 5"),
    ("5 < pid < 3", "CE701", "pid < 3"),
    ("pid = 5 and pid = 6", "CE701", "pid = 6"),
    ("time < now - 2 days and time > now - 1 day", "CE701", "time > now - 1 day"),
    ('time < "2024-01-01" and time > "2024-02-01"', "CE701", 'time > "2024-02-01"'),
    ('exe == null and exe = "a"', "CE701", 'exe = "a"'),
    ('exe = "abc" and exe match "^b"', "CE701", 'exe match "^b"'),
    ('command_line match "^a" and command_line match "^b"', "CE701", 'command_line match "^b"'),
    ("exe in []", "CE701", "exe in []"),
    ("pid < pid", "CE701", "pid < pid"),
    ("exe exists or exe == null", "CE702", "exe == null"),
    ("pid >= 5 or pid <= 5", "CE702", "pid <= 5"),
    ('exe = "a" or exe != "a"', "CE702", 'exe != "a"'),
    ('not (exe = "a" and exe = "b")', "CE701", 'exe = "b"'),
    ('command_line match "a*"', "CE702", 'command_line match "a*"'),
    ('exe != "a" or exe != "b"', "CE703", 'exe != "b"'),
    ('exe not in ["a", "b"] or exe != "c"', "CE703", 'exe != "c"'),
    ('not exe = "a" or not exe = "b"', "CE703", 'not exe = "b"'),
    (r'exe = "C:\x.exe"', "CE704", r'exe = "C:\x.exe"'),
    (r'exe != "*\x.exe"', "CE704", r'exe != "*\x.exe"'),
    (r'exe in ["x.exe", "*\y.exe"]', "CE704", r'"*\y.exe"'),
    (r'exe match "system32\\"', "CE704", r'exe match "system32\\"'),
    ('command_line match "$a"', "CE705", '"$a"'),
    ('command_line match "(x|y$)z^"', "CE705", '"(x|y$)z^"'),
    (r'command_line match "a\bb"', "CE705", r'"a\bb"'),
    ('exe = "a.exe" and exe != "b.exe"', "CE706", 'exe != "b.exe"'),
    ('exe exists and exe = "a"', "CE706", "exe exists"),
    ("pid > 5 and pid > 3", "CE706", "pid > 3"),
    ('exe = "a" or (exe = "a" and user = "b")', "CE706", 'exe = "a" and user = "b"'),
    ('exe = "a" and exe = "A"', "CE707", 'exe = "A"'),
    ('exe = "a" and user = "x" and "a" = exe', "CE707", '"a" = exe'),
    ('exe in ["svchost.exe", "SvcHost.exe"]', "CE707", '"SvcHost.exe"'),
    ('exe in ["a*", "abc", "b"]', "CE708", '"abc"'),
    ('exe not in ["a*", "abc", "b"]', "CE708", '"abc"'),
    ('exe = "ab" or exe = "a?"', "CE708", 'exe = "ab"'),
    ('command_line contains ["add", "badder"]', "CE708", '"badder"'),
    ('command_line contains "*x*"', "CE709", '"*x*"'),
    ('exe = "a**b"', "CE709", '"a**b"'),
    ('"*x*" in command_line', "CE709", '"*x*"'),
    ('"*x" in raw event', "CE709", '"*x"'),
    ('command_line match ".*x.*"', "CE709", '".*x.*"'),
    ('exe = "*.exe" and (exe = "b.dll" or user = "x")', "CE710", 'exe = "b.dll"'),
    ('exe = "*.exe" and exe in ["a.exe", "b.dll"]', "CE710", '"b.dll"'),
    ('time > "5"', "CE717", 'time > "5"'),
    ('time = "2024-*"', "CE718", 'time = "2024-*"'),
    ('exe = "*"', "CE720", 'exe = "*"'),
]


@pytest.mark.parametrize(("condition", "code", "place"), CONDITIONS)
def test_findings_of_one_condition(condition: str, code: str, place: str) -> None:
    assert (code, place) in said(in_filter(condition)), said(in_filter(condition))


GOOD = [
    'exe = "a" and image_path = "*b"',
    'exe = "*a*" and exe = "*b*"',
    'exe != "a" and exe != "b"',
    'exe = "a" or user = "b"',
    "now - 30 days <= time < now - 1 day",
    "pid > 5 and ppid < 3",
    'exe = "a" and user != "a"',
    'exe == null or exe not in ["a", "b"]',
    'command_line match "^a.*b$"',
    'command_line match "(^a|b$)"',
    'command_line match "a$|^b"',
    r'command_line match "\bx\b"',
    'command_line contains ["a ", " a"]',
    'command_line contains "[*]x[*]"',
    'command_line match "x|.*y"',
    r'command_line match "a\.*"',
    'exe in ["a?", "a"]',
    'exe in ["a*b", "a*c"]',
    'exe = "[*]"',
    "true",
    "exe = user",
    '(exe = "a" and pid > 5) or (exe = "b" and pid < 5)',
    '(exe = "a" and user = "x") or (exe = "a" and user = "y")',
]


@pytest.mark.parametrize("condition", GOOD)
def test_nothing_is_said_of_good_conditions(condition: str) -> None:
    assert said(in_filter(condition)) == []


PROGRAMS = [
    # Streams limited before.
    (
        'a = search Process where exe = "x"\nb = filter a where exe = "y"\noutput b',
        [("CE701", 'exe = "y"')],
    ),
    (
        'a = search Process where exe = "x"\nb = from a select exe as e\nc = filter b where e = "y"\noutput c',
        [("CE701", 'e = "y"')],
    ),
    (
        'a = search Process where exe = "x"\nb = from a select user as exe\nc = filter b where exe = "y"\noutput c',
        [],
    ),
    (
        'a = search Process where exe = "x"\na.exe = a.user\nb = filter a where exe = "y"\noutput b',
        [],
    ),
    # What follows an empty stream is left alone.
    (
        "a = search Process where (pid < 1 and pid > 1)\nb = filter a where pid = 1\noutput b",
        [("CE701", "pid > 1")],
    ),
    # Assigned fields are no base names.
    (
        'a = search Flow:Message\na.exe = a.proto_info.path\nb = filter a where exe = "*\\\\x"\noutput b',
        [],
    ),
    # Names.
    ("a = search Process\nb = search File\noutput a", [("CE711", "b")]),
    (
        'a = search Process\nb = filter a where exe = "x"\nc = filter b where pid = 1\noutput a',
        [("CE711", "b"), ("CE711", "c")],
    ),
    ("a = search Process\na = search File\noutput a", [("CE712", "a")]),
    ('a = search Process\na = filter a where exe = "x"\noutput a', []),
    ('l = ["x"]\na = search Process where exe in l\noutput a', []),
    ('l = ["x"]\na = search Process\noutput a', [("CE711", "l")]),
    ("a = search Process\na.x = a.exe\noutput a", []),
    ("a = search Process\nb = max(a.time)\nc = filter a where time > b - 1 day\noutput c", []),
    # Joins.
    (
        "a = search Process\nb = search File\nc = join (a, b) where a.hostname = b.hostname\noutput c",
        [("CE713", "join (a, b) where a.hostname = b.hostname")],
    ),
    (
        "a = search Process\nb = search File\nc = join (a, b) where (a.hostname = b.hostname and a.time < b.time)\noutput c",
        [("CE713", "join (a, b) where (a.hostname = b.hostname and a.time < b.time)")],
    ),
    (
        "a = search Process\nb = search File\nc = join (a, b) where a.time < b.time < a.time + 1 hour\noutput c",
        [("CE714", "join (a, b) where a.time < b.time < a.time + 1 hour")],
    ),
    (
        "a = search Process where time > now - 1 day\nb = search File where time > now - 1 day\n"
        "c = join (a, b) where a.hostname = b.hostname\noutput c",
        [],
    ),
    (
        "a = search Process\nb = search File\nd = search Module\n"
        "c = join (a, b, d) where (a.pid = b.pid and b.pid = d.pid and\n"
        "a.time < b.time < a.time + 1 hour and b.time - 1 hour < d.time < b.time)\noutput c",
        [],
    ),
    (
        "a = search Process\nb = search File\nc = join (a, b) where a.time < b.time < a.time + 1 hour "
        "and (a.pid = b.pid or a.user = b.user)\noutput c",
        [],
    ),
    # Differences.
    (
        "a = search Process\nx = from a select exe\no = filter x where time < now - 1 day\n"
        "n = filter x where time >= now - 1 day\nd = n - o\noutput d",
        [],
    ),
    (
        'a = search Process\nx = from a select exe\no = filter x where time < "2024-01-01"\n'
        'n = filter x where time >= "2024-01-01"\nd = o - n\noutput d',
        [("CE715", "o - n")],
    ),
    (
        "a = search Process where pid = 1\nb = search Process where pid = 2\nd = a - b\noutput d",
        [("CE716", "a - b")],
    ),
    # Fields that are not there.
    (
        'a = search (Process:Create or File:Create)\nb = filter a where (extension = ".x" and sid = "y")\noutput b',
        [("CE701", 'sid = "y"')],
    ),
    (
        'a = search Process\na.user = null\nb = filter a where user = "x"\noutput b',
        [("CE719", 'user = "x"')],
    ),
    # Columns.
    (
        "a = search Process\ng = group a by user within 1 hour\nc = from g select user, count(*) as n, values(exe) as e\n"
        'd = filter c where (n < 1 or (e = "a" and e = "b"))\noutput d',
        [("CE701", "n < 1")],
    ),
]


@pytest.mark.parametrize(("text", "expected"), PROGRAMS)
def test_findings_of_programs(text: str, expected: list[tuple[str, str]]) -> None:
    assert said(text) == expected


def test_a_rule_that_was_made_in_code_is_checked_from_its_meaning() -> None:
    exe = ir.Field("exe", None, ir.Type.TEXT)
    search = ir.Search((ir.EventKind("process", "create"),))
    both = ir.And((ir.Regex(exe, "^a"), ir.Regex(exe, "^b")))
    program = ir.Program((ir.Output("o", ir.Filter(search, both)),))
    rule = Rule("r", Metadata(), program, ast.SyntaxTree(()), Block.of("", "made.yml"))
    (finding,) = check_rule(rule)
    assert finding.code is codes.NEVER_TRUE
    assert finding.origin == "made.yml"
    assert '`exe match "^b"`' in finding.message


def test_a_finding_has_places_reasons_and_a_way_out() -> None:
    text = 'a = search Process where (\n  exe != "x" or\n  exe != "y")\noutput a\n'
    assert render(findings(text)[0]) == (
        'warning[CE703]: `exe != "x"` or `exe != "y"` is true of every exe: no value equals all of these\n'
        "  --> <text>:3:3\n"
        "   |\n"
        ' 3 |   exe != "y")\n'
        "   |   ^^^^^^^^^^ always true\n"
        "  ::: <text>:2:3\n"
        "   |\n"
        ' 2 |   exe != "x" or\n'
        "   |   ---------- true of all the others\n"
        "   = note: not (a or b) is (not a) and (not b): exclusions are joined by `and`\n"
        "   = help: join them by `and`, or write exe not in [ … ]"
    )
    fixed = apply_fixes(text, findings(text), safe_only=False)
    assert fixed == text.replace(" or\n", " and\n")
    assert findings(fixed) == []


def test_hard_conditions_end_in_time() -> None:
    words = [f"w{n}" for n in range(40)]
    items = ", ".join(f'"*{a}*{b}*"' for a in words[:12] for b in words[:12])
    several = " and ".join(
        f'(command_line contains "{a}" or exe contains "{a}" or user contains "{a}")' for a in words
    )
    nots = " and ".join(f'command_line != "*{a}*z*"' for a in words)
    text = in_filter(f"exe in [{items}] and {several} and {nots}")
    assert isinstance(findings(text), list)


# Fixes

FIXED = [
    ('exe contains "*x*"', 'exe contains "x"'),
    ('exe contains ["*x*", "y"]', 'exe contains ["x", "y"]'),
    ('exe contains "*[*]x**y*"', 'exe contains "[*]x*y"'),
    ("exe = 'a**\"'", "exe = 'a*\"'"),
    ('exe in ["a*", "ab", "c"]', 'exe in ["a*", "c"]'),
    ('exe in ["ab", "a*", "c"]', 'exe in ["a*", "c"]'),
    ('exe = "a" and exe = "A"', 'exe = "a"'),
    ('exe exists and exe = "a"', 'exe = "a"'),
    ('command_line match ".*x.*"', 'command_line match "x"'),
    ('(exe = "a") and (exe = "a")', '(exe = "a") and (exe = "a")'),
    ('exe = "a" or # why\n exe = "a"', 'exe = "a" or # why\n exe = "a"'),
    ('exe != "a" or exe != "b"', 'exe != "a" or exe != "b"'),
]


@pytest.mark.parametrize(("before", "after"), FIXED)
def test_safe_fixes(before: str, after: str) -> None:
    text = in_filter(before)
    assert apply_fixes(text, findings(text)) == in_filter(after)


def test_fixes_are_put_in_whole_and_never_over_one_another() -> None:
    source = Source("x", "abcdef")

    def one(*edits: tuple[int, int, str], safe: bool = True) -> Diagnostic:
        made = tuple(Edit(Span(source, a, b), text) for a, b, text in edits)
        return Diagnostic(codes.NEVER_TRUE, "", fix=Fix("", made, safe))

    first, second = one((0, 2, "X"), (4, 5, "")), one((1, 3, "Y"), (5, 6, "Z"))
    assert apply_fixes("abcdef", [first, second]) == "Xcdf"
    assert apply_fixes("abcdef", [one((0, 6, ""), safe=False)]) == "abcdef"
    assert apply_fixes("abcdef", [one((0, 6, ""), safe=False)], safe_only=False) == ""
    assert apply_fixes("another", [first]) == "another"
    assert apply_fixes("abcdef", [first, first]) == "Xcdf"


texts = st.sampled_from(["a", "A", "b", "*", "a*", "*b", "**", "ab", "?", "*a*", "a**b"])
fields = st.sampled_from(["exe", "command_line"])
written = st.recursive(
    st.one_of(
        st.builds(lambda f, t: f'{f} = "{t}"', fields, texts),
        st.builds(lambda f, t: f'{f} != "{t}"', fields, texts),
        st.builds(lambda f, t: f'{f} contains "{t}"', fields, texts),
        st.builds(
            lambda f, not_, ts: f"{f} {not_}in [" + ", ".join(f'"{t}"' for t in ts) + "]",
            fields,
            st.sampled_from(["", "not "]),
            st.lists(texts, min_size=1, max_size=3),
        ),
        st.builds(lambda f: f"{f} exists", fields),
        st.builds(
            lambda f, r: f'{f} match "{r}"',
            fields,
            st.sampled_from([".*a", "a.*", "^a", "b$", "."]),
        ),
        st.builds(
            lambda sign, n: f"pid {sign} {n}",
            st.sampled_from(["=", "<", ">=", "!="]),
            st.integers(1, 3),
        ),
    ),
    lambda inner: st.one_of(
        st.lists(inner, min_size=2, max_size=3).map(" and ".join),
        st.lists(inner, min_size=2, max_size=3).map(lambda xs: "(" + " or ".join(xs) + ")"),
        inner.map(lambda x: f"not ({x})"),
    ),
    max_leaves=6,
)


@settings(max_examples=150, deadline=None)
@given(written)
def test_safe_fixes_change_no_meaning_and_findings_are_true(condition: str) -> None:
    text = in_filter(condition)
    found = findings(text)
    fixed = apply_fixes(text, found)
    before, after = filter_of(text), filter_of(fixed)
    for event in world(ir.And((before, after))):
        kept = holds(before, event, Noon()) is True
        assert kept == (holds(after, event, Noon()) is True), (event, fixed)
        assert not (kept and any(impossible(item, condition) for item in found)), event


def impossible(item: Diagnostic, condition: str) -> bool:
    """Whether a finding says that the whole condition can never be true."""
    return (
        item.code is codes.NEVER_TRUE and condition == item.message.partition("` can never")[0][1:]
    )


def filter_of(text: str) -> ir.Condition:
    plan = parse_rule(text).program.outputs[0].plan
    assert isinstance(plan, ir.Filter)
    return plan.condition


# SARIF


def test_sarif() -> None:
    text = '---\nid: x\n---\na = search Process where (exe = "é**" and user != "a" and user = "A")\noutput a'
    source = "rules/my rule.car"
    found = [
        *check_rule(parse_rule(text, source)),
        Diagnostic(codes.NO_RULES, "nothing there", origin="/abs/empty"),
    ]
    log = to_sarif(found)
    assert json.loads(json.dumps(log)) == log
    assert log["version"] == "2.1.0"
    (run,) = log["runs"]
    rules = run["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in rules] == sorted({item.code.id for item in found})
    lines = text.split("\n")
    for result, item in zip(run["results"], found, strict=True):
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"] == item.code.id
        assert result["level"] in ("error", "warning", "note")
        assert item.message in result["message"]["text"]
        (place,) = result["locations"]
        if item.span is None:
            assert place["physicalLocation"]["artifactLocation"]["uri"] == "file:///abs/empty"
            continue
        assert place["physicalLocation"]["artifactLocation"]["uri"] == "rules/my%20rule.car"
        region = place["physicalLocation"]["region"]
        assert marked(lines, region) == item.span.text
        for related in result.get("relatedLocations", []):
            assert related["message"]["text"]
            assert marked(lines, related["physicalLocation"]["region"])
    fixes = [fix for result in run["results"] for fix in result.get("fixes", [])]
    replacements = [
        (marked(lines, one["deletedRegion"]), one["insertedContent"]["text"])
        for fix in fixes
        for change in fix["artifactChanges"]
        for one in change["replacements"]
    ]
    assert ('"é**"', '"é*"') in replacements


def marked(lines: list[str], region: dict[str, Any]) -> str:
    """The text of a region, by its lines and columns, as a code-scanning tool would find it."""
    assert region["startLine"] == region["endLine"]
    line = lines[region["startLine"] - 1]
    start, end = region["startColumn"] - 1, region["endColumn"] - 1
    assert isinstance(line, str)
    return line[start:end]


def test_findings_of_a_set_are_sorted_and_each_is_there_once() -> None:
    texts = [in_filter('exe = "*" and exe = "a**"'), in_filter("pid < 1 and pid > 1")]
    rules = [parse_rule(text, f"{n}.car") for n, text in enumerate(texts)]
    found = check_rules(itertools.chain(rules, rules))
    assert [item.where.partition(":")[0] for item in found] == ["0.car"] * 2 + ["1.car"]


@pytest.mark.parametrize(
    "search",
    ["search (Registry:Add AND Registry:Remove)", "search Registry:Add and Registry:Remove"],
)
def test_and_between_the_actions_of_one_event_is_explained(search: str) -> None:
    with pytest.raises(CarError) as raised:
        parse_rule(f"a = {search}\noutput a")
    (finding,) = raised.value.diagnostics
    assert "an event has one action" in finding.message
    fixed = apply_fixes(f"a = {search}\noutput a", [finding], safe_only=False)
    assert parse_rule(fixed).program.outputs


def test_comments_are_not_quoted() -> None:
    rule = parse_rule('a = search Process where (exe = "a" and # why\n exe = "b") output a')
    (finding,) = check_rule(rule)
    assert "why" not in finding.message


def test_difference_is_the_wrong_way_round_in_other_words() -> None:
    text = """p = search Process
    old = filter p where not time >= now - 1 day
    recent = filter p where not (time < now - 1 day or exe = "x")
    a = from old select exe
    b = from recent select exe
    """
    assert [d.code.id for d in check_rule(parse_rule(f"{text} d = a - b output d"))] == ["CE715"]
    assert check_rule(parse_rule(f"{text} d = b - a output d")) == ()
