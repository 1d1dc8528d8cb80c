"""Comparing implementations: a proof is held to random events, a difference to the engine, the seed
page to what it shows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import carengine
from carengine import ir
from carengine.cli import main
from carengine.engine import Engine
from carengine.verify import Comparison, Report, compare, load_analytics, verify_analytic
from carengine.verify.corpus import block_results, corpus_table

SHARED = Path(__file__).parents[1].parent / "shared"
SEED = SHARED / "car" / "CAR-2019-08-001.md"
Event = dict[str, Any]


def rule(condition: str) -> carengine.Rule:
    return carengine.parse_rule(f"a = search Process:Create where ({condition}) output a")


def found(tested: carengine.Rule, events: list[Event]) -> list[Event]:
    return [dict(m.events[0].event) for m in Engine([tested], fieldmap="car").run(events)]


SAME = [
    ('exe = "cmd.exe"', 'exe = "CMD.EXE"'),
    ('exe = "cmd.exe"', 'image_path match "(^|[\\\\/])cmd\\.exe$"'),
    (
        'command_line = "*a*b*" and command_line = "*c*"',
        'command_line = "*c*" and command_line = "*a*b*"',
    ),
    ('not (exe = "a" or exe = "b")', 'exe != "a" and exe != "b"'),
    ('exe in ["a", "b"]', 'exe = "b" or exe = "a"'),
    ("pid > 4", "pid >= 5"),
    # A base name is the last part of its path: where one is, the other is, unless the path ends in
    # a separator.
    ("exe exists", 'image_path exists and image_path != "*\\" and image_path != "*/"'),
    ('exe = "a" and exe = "b"', 'exe = "c" and exe = "d"'),
    ('command_line match "abc"', 'command_line = "*abc*"'),
]

DIFFERENT = [
    ('exe = "lsass*.dmp"', 'exe = "*lsass*.dmp"'),
    ('exe = "cmd.exe"', 'image_path = "C:\\*\\cmd.exe"'),
    ('exe = "cmd.exe"', 'image_path = "*\\cmd.exe"'),
    ('exe != "a"', 'not (exe = "a") or exe == null'),
    ("pid > 4", "pid > 5"),
    ('exe = "a"', 'exe = "a" and user = "x"'),
    ('command_line match "^a.*b$"', 'command_line = "a*b"'),
    ('exe = "a" or exe = "b"', 'exe = "a" or exe = "c"'),
    ('dest_ip = "10.0.0.1"', "dest_ip in [10.0.0.0/8]"),
    ('"x" in raw event', '"y" in raw event'),
    ("exe exists", "image_path exists"),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_equivalence_is_proved(one: str, other: str) -> None:
    assert compare(rule(one).program, rule(other).program).equivalent is True


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_differences_come_with_events(one: str, other: str) -> None:
    if "dest_ip" in one:
        search = "a = search Flow:Start where ({}) output a"
        first, second = (carengine.parse_rule(search.format(c)) for c in (one, other))
    else:
        first, second = rule(one), rule(other)
    comparison = compare(first.program, second.program)
    assert comparison.equivalent is False
    for difference in comparison.only_first.differences:
        event = dict(difference.event)
        assert found(first, [event])
        assert not found(second, [event])
    for difference in comparison.only_second.differences:
        event = dict(difference.event)
        assert found(second, [event])
        assert not found(first, [event])


def test_each_condition_is_a_difference_of_its_own() -> None:
    first = rule('exe = "a*"')
    second = rule('exe = "ab*" and user = "root" and pid = 4')
    differences = compare(first.program, second.program).only_first.differences
    assert [d.span.text for d in differences if d.span] == [
        'exe = "ab*"',
        'user = "root"',
        "pid = 4",
    ]
    # On each of the events, the other conditions hold.
    assert [sorted(set(d.event) - {"object", "action"}) for d in differences] == [
        ["exe", "pid", "user"],
        ["exe", "pid"],
        ["exe", "user"],
    ]


def test_each_alternative_is_looked_at() -> None:
    first = rule('exe = "a" or exe = "b" or exe = "c"')
    second = rule('exe = "a"')
    differences = compare(first.program, second.program).only_first.differences
    assert [d.found_by.text for d in differences if d.found_by] == ['exe = "b"', 'exe = "c"']


def test_kinds_that_only_one_looks_at() -> None:
    first = carengine.parse_rule('a = search File:Create,Modify where file_name = "x" output a')
    second = carengine.parse_rule('a = search File:Create where file_name = "x" output a')
    [difference] = compare(first.program, second.program).only_first.differences
    assert difference.condition is None
    assert difference.kinds == (ir.EventKind("file", "modify"),)
    assert difference.event == {"object": "file", "action": "modify", "file_name": "x"}


# Several events at a time

PAGE = (
    '---\ntitle: "CAR-2030-01-001: x"\n---\n\n### Implementations\n\n'
    '#### A (Pseudocode)\n\n```\na = search Process:Create\nb = filter a where exe = "x.exe"\noutput b\n```\n\n'
)
JOIN = """a = search Process:Create where exe = "cmd.exe"
b = search File:Create where extension = ".ps1"
j = join (a, b) where a.pid = b.pid and a.hostname = b.hostname and a.time <= b.time < a.time + 5 minutes
output j"""
GROUP = """p = search Process:Create
g = group p by hostname within 1 minute
s = from g select hostname, count(*) as n, distinct_count(exe) as d
x = filter s where n >= 3 and d > 1
output x"""
MINUS = """p = search Process:Create
a = filter p where exe = "*e*"
b = filter p where exe = "c*"
d = a - b
output d"""
UNIQUE = "p = search Process:Create\nu = unique(p.user)\noutput u"

ALIKE = [
    (JOIN, "5 minutes", "300 seconds"),
    (
        JOIN,
        "a.pid = b.pid and a.hostname = b.hostname",
        "b.hostname = a.hostname and b.pid = a.pid",
    ),
    (JOIN, "join (a, b)", "join (b, a)"),
    (JOIN, 'exe = "cmd.exe"', 'image_path match "(^|[\\\\/])cmd\\.exe$"'),
    (
        JOIN,
        "a.time <= b.time < a.time + 5 minutes",
        "b.time >= a.time and a.time + 5 minutes > b.time",
    ),
    (GROUP, "n >= 3", "n > 2"),
    (GROUP, "count(*) as n, distinct_count(exe) as d", "distinct_count(exe) as d, count(*) as n"),
    (
        GROUP,
        "x = filter s where n >= 3 and d > 1",
        "y = filter s where d > 1 x = filter y where n >= 3",
    ),
]
UNLIKE = [
    (JOIN, "5 minutes", "6 minutes", "b.time < a.time + 5 minutes"),
    (JOIN, "b.time < a", "b.time <= a", "b.time < a.time + 5 minutes"),
    (JOIN, " and a.hostname = b.hostname", "", "a.hostname = b.hostname"),
    (JOIN, '"cmd.exe"', '"*cmd.exe"', 'exe = "cmd.exe"'),
    (JOIN, "a.time <= b.time", "a.time < b.time", "a.time < b.time"),
    (GROUP, "n >= 3", "n > 3", "n > 3"),
    (GROUP, "d > 1", "d >= 1", "d > 1"),
    (GROUP, "1 minute", "2 minutes", "group p by hostname within 1 minute"),
    (
        GROUP,
        "by hostname within",
        "by hostname, user within",
        "group p by hostname, user within 1 minute",
    ),
    (MINUS, '"c*"', '"ce*"', ""),
    (UNIQUE, "p.user", "p.exe", ""),
]


@pytest.mark.parametrize(("text", "old", "new"), ALIKE)
def test_programs_that_are_built_alike(text: str, old: str, new: str) -> None:
    assert text != text.replace(old, new)
    first, second = (carengine.parse_rule(t).program for t in (text, text.replace(old, new)))
    assert compare(first, second) == Comparison(True)


@pytest.mark.parametrize(("text", "old", "new", "demanded"), UNLIKE)
def test_lists_of_events_on_which_programs_differ(
    text: str, old: str, new: str, demanded: str
) -> None:
    first, second = (carengine.parse_rule(t) for t in (text, text.replace(old, new)))
    comparison = compare(first.program, second.program)
    assert comparison.equivalent is False
    assert not comparison.compared
    shown = [
        (mine, theirs, difference)
        for mine, theirs, direction in (
            (first, second, comparison.only_first),
            (second, first, comparison.only_second),
        )
        for difference in direction.differences
    ]
    for mine, theirs, difference in shown:
        events = [dict(event) for event in difference.among]
        assert difference.event in events
        assert dict(difference.event) in found_among(mine, events)
        assert dict(difference.event) not in found_among(theirs, events)
        assert len(events) <= 4
    assert demanded in [d.span.text if d.span else "" for _, _, d in shown]


def found_among(tested: carengine.Rule, events: list[Event]) -> list[Event]:
    """The events that the engine, not the reference, finds."""
    matches = Engine([tested], fieldmap="car").run(events)
    return [dict(event.event) for match in matches for event in match.events]


def test_joins_of_many_are_compared_in_bounds() -> None:
    text = """a = search Process:Create
b = search Process:Create
c = search Process:Create
d = search Process:Create
j = join (a, b, c, d) where a.pid < 20 and b.pid != c.pid and d.time < a.time + 5 minutes
g = group j by a.user
n = from g select a.user, count(*) as k
x = filter n where k > 20
output x"""
    first = carengine.parse_rule(text).program
    second = carengine.parse_rule(text.replace("k > 20", "k > 20 and k != 21")).program
    comparison = compare(first, second)
    assert comparison.equivalent is not True
    assert 0 < comparison.lists <= 3_000


def test_what_is_not_proved_is_not_said() -> None:
    # The same, but not built alike.
    first = GROUP.replace("n >= 3 and d > 1", "n >= 3")
    second = GROUP.replace("n >= 3 and d > 1", "n >= 3 and d < 1000")
    one, other = (carengine.parse_rule(text).program for text in (first, second))
    comparison = compare(one, other)
    assert comparison.equivalent is None
    assert not comparison.compared
    assert comparison.lists > 100


def test_a_query_that_counts_is_compared_on_its_logs(tmp_path: Path) -> None:
    counted = 'p = search Process:Create where exe = "net.exe"\nc = count(p) by hostname\nx = filter c where count > 3\noutput x'
    page = tmp_path / "CAR-2030-01-002.md"
    query = 'EventCode=1 Image="*\\\\net.exe" | stats count as n by ComputerName | search n>=4'
    text = (
        PAGE[: PAGE.index("a = search")]
        + counted
        + "\n```\n\n#### A (Splunk)\n\n```\n"
        + query
        + "\n```\n"
    )
    page.write_text(text, encoding="utf-8")
    report = verify_analytic(*load_analytics(page))
    [pair] = report.pairs
    # Where an image has no folder, `*\\net.exe` is not found: the general difference.
    assert pair.comparison.equivalent is False
    page.write_text(
        text.replace('"*\\\\net.exe"', "*net.exe").replace(
            'exe = "net.exe"', 'image_path = "*net.exe"'
        )
    )
    assert verify_analytic(*load_analytics(page)).equivalent is True
    page.write_text(text.replace("n>=4", "n>=5"))
    report = verify_analytic(*load_analytics(page))
    assert report.equivalent is False
    assert main(["verify", str(page)]) == 1


NAMES = ["a", "ab", "b", "abc"]
ATOMS = st.one_of(
    st.builds('exe = "{}"'.format, st.sampled_from(["a", "a*", "*b", "?b", "*"])),
    st.builds('image_path = "{}"'.format, st.sampled_from(["C:\\*", "*\\a", "*\\*b", "x*"])),
    st.builds('command_line contains "{}"'.format, st.sampled_from(["a", "b", "ab"])),
    st.builds('command_line match "{}"'.format, st.sampled_from(["^a", "b$", "a.*b", "[ab]c"])),
    st.builds("pid {} {}".format, st.sampled_from(["=", "<", ">="]), st.sampled_from([1, 2])),
    st.sampled_from(["exe exists", "command_line == null"]),
)
CONDITIONS = st.recursive(
    ATOMS,
    lambda inner: st.one_of(
        st.builds("({} and {})".format, inner, inner),
        st.builds("({} or {})".format, inner, inner),
        st.builds("not ({})".format, inner),
    ),
    max_leaves=4,
)
EVENTS = st.fixed_dictionaries(
    {"object": st.just("process"), "action": st.just("create")},
    optional={
        "image_path": st.builds(
            "{}{}".format, st.sampled_from(["C:\\", "x\\", ""]), st.sampled_from(NAMES)
        ),
        "command_line": st.sampled_from(["a", "b", "ab", "a\nb", "ac", "", "x"]),
        "pid": st.sampled_from([0, 1, 2, "1"]),
    },
)


@settings(max_examples=60, deadline=None)
@given(CONDITIONS, CONDITIONS, st.lists(EVENTS, max_size=20))
def test_answers_hold(one: str, other: str, events: list[Event]) -> None:
    first, second = rule(one), rule(other)
    comparison = compare(first.program, second.program, 400_000)
    if comparison.equivalent is True:
        assert found(first, events) == found(second, events)
    for mine, theirs, direction in (
        (first, second, comparison.only_first),
        (second, first, comparison.only_second),
    ):
        for difference in direction.differences:
            assert found(mine, [dict(difference.event)])
            assert not found(theirs, [dict(difference.event)])


# The seed page


@pytest.fixture(scope="module")
def seed() -> Report:
    if not SEED.exists():
        pytest.skip("the seed page is not here")
    [analytic] = load_analytics(SEED)
    return verify_analytic(analytic)


def test_every_implementation_of_the_seed_page_finds_its_event(seed: Report) -> None:
    assert [item.language for item in seed.implementations] == ["pseudocode", "splunk", "eql"]
    assert [item.found for item in seed.implementations] == [(True,), (True,), (True,)]
    assert not seed.misses


def test_the_differences_of_the_seed_page(seed: Report) -> None:
    assert seed.equivalent is False
    pairs = {(pair.first, pair.second): pair.comparison for pair in seed.pairs}
    # Pseudocode and Splunk: the name may begin with something else; doubled backslashes make no
    # difference.
    splunk = pairs[0, 1]
    assert not splunk.only_first.differences
    [name] = splunk.only_second.differences
    assert name.span is not None
    assert name.span.text == 'file_name = "lsass*.dmp"'
    assert "lsass" in name.event["file_path"]
    # Pseudocode and EQL: the path of taskmgr.exe, and the actions.
    eql = pairs[0, 2]
    assert not eql.only_first.differences
    path, actions = eql.only_second.differences
    assert path.span is not None
    assert path.span.text.startswith("image_path =")
    assert path.kinds == (ir.EventKind("file", "create"),)
    assert actions.condition is None
    assert [kind.action for kind in actions.kinds] == ["modify", "delete"]
    assert not splunk.only_second.undecided
    assert not eql.only_second.undecided


def test_the_command_tells_it(seed: Report, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", str(SEED)]) == 1
    out = capsys.readouterr()
    assert "1 and 2 differ" in out.out
    assert 'demands file_name = "lsass*.dmp" (line 42' in out.out
    assert "3 pairs: 0 same, 3 differ" in out.err
    assert main(["verify", "-f", "json", str(SEED)]) == 1
    [data] = json.loads(capsys.readouterr().out)
    assert data["equivalent"] is False
    assert [item["read"] for item in data["implementations"]] == [True, True, True]


def test_a_file_that_is_not_there() -> None:
    assert main(["verify", "no-such-page.md"]) == 2


def test_agreeing_implementations(tmp_path: Path) -> None:
    page = tmp_path / "CAR-2030-01-001.md"
    page.write_text(
        '---\ntitle: "CAR-2030-01-001: x"\n---\n\n### Implementations\n\n'
        '#### A (Pseudocode)\n\n```\na = search Process:Create\nb = filter a where exe = "x.exe"\noutput b\n```\n\n'
        '#### A (EQL)\n\n```\nprocess where subtype.create and process_name == "x.exe"\n```\n'
        "#### A (DNIF)\n\n```\n_fetch x\n```\n",
        encoding="utf-8",
    )
    [analytic] = load_analytics(page)
    report = verify_analytic(analytic)
    assert [pair.comparison.equivalent for pair in report.pairs] == [True]
    # One is in a language that is not read: it may agree or not.
    assert report.equivalent is None


EQL = '#### A (EQL)\n\n```\nprocess where subtype.create and process_name == "x.exe"\n```\n'


@pytest.mark.parametrize(
    ("text", "state"),
    [
        (PAGE + EQL, 0),
        (PAGE, 0),
        ((PAGE + EQL).replace("\n", "\r\n"), 0),
        ((PAGE + EQL).replace("\n", "\r"), 0),
        ("\ufeff" + PAGE + EQL, 0),
        (PAGE + EQL + EQL, 0),
        (PAGE + EQL.replace("x.exe", "y.exe"), 1),
        (PAGE + EQL + EQL.replace("x.exe", "y.exe"), 1),
        # What cannot be read is no agreement.
        (PAGE + EQL.replace('"x.exe"', '"x.exe'), 3),
        (PAGE + EQL.replace("(EQL)", "(KQL)"), 3),
        (PAGE + "#### A (EQL)\n", 3),
        (PAGE + "#### A (EQL)\n\n```\n```\n", 3),
        (EQL, 2),
        ("", 2),
        ("---\ntitle: [\n---\n", 2),
        (PAGE.replace("exe =", "exe = ="), 2),
    ],
)
def test_the_exit_status(text: str, state: int, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_bytes(text.encode())
    assert main(["verify", str(page)]) == state


def test_names_outside_ascii() -> None:
    assert compare(rule('exe = "é*"').program, rule('exe = "É*"').program).equivalent
    path = rule('image_path match "(^|[\\\\/])é[^\\\\/]*$"').program
    comparison = compare(rule('exe = "é*"').program, path)
    assert not comparison.only_first.differences
    assert not comparison.only_second.differences


def test_the_table_of_a_corpus() -> None:
    folder = SHARED / "car" / "analytics"
    if not folder.exists():
        pytest.skip("the analytics are not here")
    chosen = [folder / f"CAR-{n}.yaml" for n in ("2014-11-008", "2020-11-007", "2013-10-001")]
    analytics = load_analytics(*chosen)
    results = block_results(analytics)
    assert [(r.language, r.result) for r in results if r.analytic == "CAR-2014-11-008"] == [
        ("Splunk", "differs"),
        ("EQL", "agrees"),
        ("LogPoint", "differs"),
    ]
    assert {r.result for r in results if r.analytic == "CAR-2020-11-007"} == {"agrees"}
    table = corpus_table(analytics)
    assert "| CAR-2013-10-001 | Splunk: Account Logon with Filtering | not read |" in table
    page = (Path(__file__).parents[1] / "docs" / "corpus.md").read_text(encoding="utf-8")
    for line in table.splitlines():
        if line.startswith("| CAR"):
            assert line.count(" | ") == 3
            # What the page says is what comes out today.
            assert line in page
