"""Any two rules compared: verdicts as tables, witnesses replayed, and every way to a proof of nothing
shut by a mutant."""

from __future__ import annotations

from pathlib import Path

import pytest

import carengine
from carengine.diagnostics import Block
from carengine.engine import Engine
from carengine.languages.query import as_rule
from carengine.languages.reading import read
from carengine.verify import (
    Comparison,
    RuleRelation,
    Verdict,
    compare,
    compare_rules,
    compare_subjects,
    distinguishing_event,
    load_analytics,
    matching_event,
    rule_changes,
    subjects_of_text,
    verify_analytic,
)
from carengine.verify.common_names import in_car_names, subject_of
from carengine.verify.native_names import same_in_own_names
from carengine.verify.natural import natural
from carengine.verify.relations import are_apart

PROCESS = "category: process_creation\n  product: windows"


def sigma(folder: Path, detection: str, source: str = PROCESS) -> carengine.Rule:
    """A Sigma rule with one selection, or with a condition of its own."""
    folder.mkdir(exist_ok=True)
    body = detection if "condition:" in detection else f"{detection}\n  condition: selection"
    if "selection" not in detection.split(":", 1)[0]:
        body = f"selection:\n    {body}"
    path = folder / "rule.yml"
    path.write_text(
        f"title: t\nid: 5013198a-12fb-4ecd-9bc8-{abs(hash(detection)) % 10**12:012d}\n"
        f"logsource:\n  {source}\ndetection:\n  {body}\n",
        encoding="utf-8",
    )
    return carengine.load_rule(path)


def car(condition: str) -> carengine.Rule:
    return carengine.parse_rule(f"a = search Process:Create where ({condition}) output a")


V = Verdict
TABLE = [
    ('exe = "cmd.exe"', 'exe = "CMD.EXE"', V.SAME),
    ('exe = "*.exe"', 'exe = "cmd.exe"', V.COVERS),
    ('exe = "cmd.exe"', 'exe = "*.exe"', V.COVERED),
    ('exe = "a*"', 'exe = "*b"', V.OVERLAPS),
    ('exe = "a"', 'exe = "b"', V.DISJOINT),
    ('exe = "a" and not (user = "x")', 'exe = "a"', V.COVERED),
    ('exe = "a" and exe = "b"', 'exe = "c"', V.DISJOINT),
    ("pid > 4", "pid >= 5", V.SAME),
    ("pid > 4", "pid > 5", V.COVERS),
]


@pytest.mark.parametrize(("one", "other", "verdict"), TABLE)
def test_verdicts(one: str, other: str, verdict: Verdict) -> None:
    relation = compare_rules(car(one), car(other))
    assert relation.verdict is verdict
    replay(relation, car(one), car(other))
    assert compare_rules(car(other), car(one)).verdict is relation.mirrored.verdict


def replay(relation: RuleRelation, first: carengine.Rule, second: carengine.Rule) -> None:
    """Hold the witnesses to engines of their own."""
    for witness in relation.witnesses:
        chosen = witness.fieldmap
        if witness.fieldmap == "raw":
            continue
        seen = [
            bool(list(Engine([rule], fieldmap=chosen).run(witness.events)))
            for rule in (first, second)
        ]
        assert (
            seen == {"a": [True, False], "b": [False, True], "both": [True, True]}[witness.finder]
        )


SOURCES = [
    (PROCESS, "Image|endswith: '\\cmd.exe'", "Image: '*\\cmd.exe'", V.SAME),
    (PROCESS, "Image|endswith: '\\cmd.exe'", "Image|endswith: 'cmd.exe'", V.COVERED),
    (
        "category: dns_query\n  product: windows",
        "QueryName|endswith: '.com'",
        "QueryName: 'a.com'",
        V.COVERS,
    ),
    (
        "category: pipe_created\n  product: windows",
        "PipeName: '\\a'",
        "PipeName|startswith: '\\a'",
        V.COVERED,
    ),
    ("product: aws\n  service: cloudtrail", "eventName: A", "eventName: a", V.SAME),
    ("product: aws\n  service: cloudtrail", "eventName: A", "eventName: B", V.DISJOINT),
    ("category: webserver", "cs-method: GET", "sc-status: 404", V.OVERLAPS),
    ("product: windows\n  service: system", "EventID: 7045", "EventID: 7046", V.DISJOINT),
    # An empty text is no null in a log's own names.
    (PROCESS, "CommandLine: ''", "CommandLine: null", None),
]


@pytest.mark.parametrize(("source", "one", "other", "verdict"), SOURCES)
def test_log_sources(
    source: str, one: str, other: str, verdict: Verdict | None, tmp_path: Path
) -> None:
    first, second = (sigma(tmp_path, text, source) for text in (one, other))
    relation = compare_rules(first, second)
    if verdict is None:
        assert relation.verdict is not V.SAME
    else:
        assert relation.verdict is verdict
    replay(relation, first, second)
    assert matching_event(first) is not None


def test_witnesses_have_the_shape_of_the_log(tmp_path: Path) -> None:
    first = sigma(tmp_path, "Image|endswith: '\\cmd.exe'")
    second = sigma(tmp_path, "Image|endswith: '\\cmd.exe'\n    User: x")
    witness = distinguishing_event(first, second)
    assert witness is not None
    assert witness.fieldmap == "windows.flat"
    [event] = witness.events
    assert event == {
        "EventID": 1,
        "Channel": "Microsoft-Windows-Sysmon/Operational",
        "Image": "C:\\Windows\\System32\\cmd.exe",
    }
    assert distinguishing_event(second, first) is None


def test_log_sources_that_no_event_is_of_both(tmp_path: Path) -> None:
    first = sigma(tmp_path, "Image: x")
    second = sigma(tmp_path, "ImageLoaded: x", "category: image_load\n  product: windows")
    assert compare_rules(first, second).verdict is V.DISJOINT
    third = sigma(tmp_path, "Image: x", "product: windows\n  service: sysmon")
    assert compare_rules(first, third).verdict is V.OVERLAPS
    kinds = [next(iter(carengine.ir.searched(r.program.outputs[0].plan))) for r in (first, second)]
    assert are_apart(*kinds)


@pytest.mark.parametrize(
    ("detection", "source"),
    [
        (r"Image|endswith: '\at.exe'", PROCESS),
        ("EventID: 4688", "service: security\n  product: windows"),
        (r"TargetObject|contains: '\Run\'", "category: registry_event\n  product: windows"),
        ("DestinationPort: 4444", "category: network_connection\n  product: windows"),
    ],
)
def test_a_rule_is_raised_as_its_text_is(tmp_path: Path, detection: str, source: str) -> None:
    rule = sigma(tmp_path, detection, source)
    made = in_car_names(subject_of(rule))
    text = read(Block.of((tmp_path / "rule.yml").read_text(encoding="utf-8")), "sigma")
    assert made is not None
    assert text.program is not None
    assert made.rule.program == text.program
    assert [d.code for d in made.rule.diagnostics] == [d.code for d in text.diagnostics]


def test_two_languages(tmp_path: Path) -> None:
    rule = sigma(tmp_path, "Image|endswith: '\\cmd.exe'")
    same = car('image_path = "*\\cmd.exe"')
    found = compare_rules(same, rule)
    assert found.verdict is V.SAME
    assert any("field maps" in text for text in found.assumptions)
    assert compare_rules(rule, car('exe = "cmd.exe"')).verdict is V.COVERED


# Proofs of nothing


def pair_of(tmp_path: Path, pseudocode: str, *others: tuple[str, str]) -> list[bool | None]:
    """What is said of the pairs of an analytic's implementations."""
    page = tmp_path / "CAR-2030-01-001.md"
    blocks = "".join(f"#### A ({name})\n\n```\n{code}\n```\n\n" for name, code in others)
    page.write_text(
        '---\ntitle: "CAR-2030-01-001: x"\n---\n\n### Implementations\n\n'
        f"#### A (Pseudocode)\n\n```\n{pseudocode}\n```\n\n{blocks}",
        encoding="utf-8",
    )
    return [pair.equivalent for pair in verify_analytic(*load_analytics(page)).pairs]


def test_a_lost_condition_proves_nothing(tmp_path: Path) -> None:
    files = 'a = search File:Create where file_path = "C:\\x\\*" output a'
    lost = 'norm_id=WindowsSysmon event_id=11 -source_image="C:\\a.exe" (path="C:\\y*" OR path="b")'
    assert pair_of(tmp_path, files, ("LogPoint", lost)) == [None]
    other = lost.replace("y", "z")
    assert pair_of(tmp_path, files, ("LogPoint", lost), ("LogPoint", other)) == [None] * 3


def test_an_empty_common_ground_proves_nothing(tmp_path: Path) -> None:
    # Sysmon's logs have no file/acl_modify: on them, neither finds anything.
    pseudocode = 'a = search File:Acl_Modify where file_path = "x" output a'
    query = 'EventCode=11 TargetFilename="y" | search Image="a" | where Image="b"'
    assert pair_of(tmp_path, pseudocode, ("Splunk", query)) != [True]


def test_the_maps_of_a_query_that_is_about_nothing() -> None:
    reading = read(Block.of("EventCode=99999"), "splunk", raise_names=False)
    assert not same_in_own_names(car('exe = "a" and exe = "b"').program, reading, (), 1_000_000)


OUTPUTS = """p = search Process:Create
a = filter p where exe = "a*" and not (user = "x")
b = filter p where exe = "a*"
output a, b"""
SHOWN = """p = search Process:Create
g = group p by hostname
s = from g select hostname, min(time) as seen
output s"""
JOINED = """a = search Process:Create where exe = "cmd.exe"
b = search File:Create where extension = ".ps1"
j = join (a, b) where a.pid = b.pid and a.time <= b.time < a.time + 5 minutes
output j"""


@pytest.mark.parametrize(
    ("text", "old", "new"),
    [
        # Another output covers what the broken exclusion of one lets through.
        (OUTPUTS, ' and not (user = "x")', ""),
        (OUTPUTS, "output a, b", "output b"),
        (SHOWN, "min(time)", "max(time)"),
        (SHOWN.replace("hostname, min", "min"), "by hostname", "by user"),
        (SHOWN.replace("hostname, min", "min"), "by hostname", "by hostname, user"),
        # A row without a key is in no group.
        (
            "p = search Process:Create\nc = count(p) by hostname\noutput c",
            "count(p) by hostname",
            "filter p where pid > 0",
        ),
        (JOINED, "5 minutes", "6 minutes"),
        (JOINED, "a.pid = b.pid and ", ""),
    ],
)
def test_mutants_are_not_the_same(text: str, old: str, new: str) -> None:
    assert text != text.replace(old, new)
    first, second = (carengine.parse_rule(t) for t in (text, text.replace(old, new)))
    assert compare_rules(first, second).verdict is not V.SAME
    assert compare_rules(first, first).verdict is V.SAME


def test_the_union_of_outputs_on_request() -> None:
    first = carengine.parse_rule(OUTPUTS).program
    second = carengine.parse_rule(OUTPUTS.replace(' and not (user = "x")', "")).program
    assert compare(first, second).equivalent is False
    assert compare(first, second, together=True).equivalent is True


def test_outputs_that_were_renamed_or_moved() -> None:
    moved = OUTPUTS.replace("output a, b", "output b, a")
    renamed = OUTPUTS.replace("b = filter", "c = filter").replace("output a, b", "output c, a")
    for other in (moved, renamed):
        relation = compare_rules(carengine.parse_rule(OUTPUTS), carengine.parse_rule(other))
        assert relation.verdict is V.SAME


def test_what_was_lost_outweighs_everything() -> None:
    assert Comparison(True).equivalent is True
    assert Comparison(True, lost=("x",)).equivalent is None


def test_queries_of_one_language() -> None:
    rules = [
        as_rule(read(Block.of(text), "splunk", raise_names=False), text)
        for text in ('EventCode=1 Image="*a*"', 'EventCode=1 Image="*A*"', "EventCode=1")
    ]
    assert compare_rules(rules[0], rules[1]).verdict is V.SAME
    assert compare_rules(rules[2], rules[0]).verdict is V.COVERS


COUNTED = """p = search Process:Create where exe = "net.exe"
c = count(p) by hostname
x = filter c where count > 3
output x"""


@pytest.mark.parametrize(
    ("text", "old", "new", "verdict"),
    [
        (COUNTED, "> 3", "> 4", V.COVERS),
        (COUNTED, "> 3", ">= 3", V.COVERED),
        (COUNTED, "> 3", ">= 4", V.SAME),
        (COUNTED, "count > 3", "not (count <= 3)", V.SAME),
        (COUNTED, "count > 3", "count > 3 and (count > 3 or count > 9)", V.SAME),
        (COUNTED, '"net.exe"', '"net1.exe"', V.DISJOINT),
        (JOINED, "5 minutes", "6 minutes", V.COVERED),
        (JOINED, "5 minutes", "4 minutes", V.COVERS),
        (JOINED, "a.pid = b.pid and ", "", V.COVERED),
    ],
)
def test_rules_that_look_at_several_events(text: str, old: str, new: str, verdict: Verdict) -> None:
    assert text != text.replace(old, new)
    first, second = (carengine.parse_rule(t) for t in (text, text.replace(old, new)))
    relation = compare_rules(first, second)
    assert relation.verdict is verdict
    if verdict is not V.SAME:
        assert relation.witnesses


HOST_JOIN = """a = search Process:Create where exe = "cmd.exe"
b = search File:Create where extension = ".ps1"
j = join (a, b) where a.pid = b.pid and a.time <= b.time < a.time + 5 minutes
output j"""
SWAPPED = """a = search File:Create where extension = ".ps1"
b = search Process:Create where exe = "cmd.exe"
j = join (b, a) where b.pid = a.pid and {}
output {}"""


@pytest.mark.parametrize(
    "window",
    [
        "b.time <= a.time and a.time - b.time < 5 minutes",
        "not (b.time > a.time) and a.time - 5 minutes < b.time",
        "5 minutes > a.time - b.time and a.time >= b.time",
    ],
)
def test_a_join_written_otherwise_is_the_same(window: str) -> None:
    first, second = (
        carengine.parse_rule(text) for text in (HOST_JOIN, SWAPPED.format(window, "j"))
    )
    assert compare_rules(first, second).verdict is V.SAME


def test_what_is_asked_behind_a_join_is_of_the_branch_that_is_meant() -> None:
    """The names of branches are changed about: `a.user` is another user in each."""
    first = HOST_JOIN.replace("output j", 'x = filter j where a.user = "x"\noutput x')
    window = "b.time <= a.time < b.time + 5 minutes"
    other = SWAPPED.format(window, "j").replace(
        "output j", 'x = filter j where a.user = "x"\noutput x'
    )
    same = other.replace("a.user", "b.user")
    rules = [carengine.parse_rule(text) for text in (first, other, same)]
    assert compare_rules(rules[0], rules[1]).verdict is not V.SAME
    assert compare_rules(rules[0], rules[2]).verdict is V.SAME


def test_columns_behind_a_join_are_of_the_branch_that_is_meant() -> None:
    texts = [
        HOST_JOIN.replace(
            "output j",
            f'c = from j select {side}.user as who\nx = filter c where who = "x"\noutput x',
        )
        for side in ("a", "b")
    ]
    first, second = map(carengine.parse_rule, texts)
    verdict = compare_rules(first, second).verdict
    assert verdict in (V.OVERLAPS, V.UNDECIDED)


def test_an_output_of_one_event_beside_one_of_several() -> None:
    text = """s = search windows/application where EventID = 1 and Data = "x"
p = search Process:Create where parent_exe = "b.exe"
g = group p by hostname within 1 hour
c = from g select hostname, count(pid) as n
m = filter c where n >= 2
output s, m"""
    rule, wider = (
        carengine.parse_rule(one) for one in (text, text.replace("EventID = 1 and ", ""))
    )
    assert compare_rules(rule, wider).verdict is Verdict.COVERED
    assert compare_rules(wider, rule).verdict is Verdict.COVERS


JOINED = """a = search Process:Create where exe = "a.exe"
b = search Process:Create where {b}
c = search Flow:Start where {c}
j = join (a, b, c) where a.hostname = b.hostname = c.hostname and a.pid = b.ppid
  and b.pid = c.pid and b.time <= c.time <= b.time + 1 hour and a.user != b.user
output j"""
GROUPED = """p = search UserSession:Login where login_type = "Remote*"
g = group p by user within 10 minutes
s = from g select user, {counted}(hostname) as hosts
x = filter s where hosts >= 3 and {asked}
output x"""
NEW = """p = search Process:Create
c = filter p where exe = "{old}"
n = filter p where exe = "{new}"
old = from c select parent_exe
new = from n select parent_exe
before = filter old where {before}
today = filter new where {today}
x = today - before
output x"""
WRITTEN = """w = search Flow:Message where dest_port = {port}
w.file_name = w.proto_info.file_name
p = search Process:Create
j = join (w, p) where w.hostname = p.hostname and p.exe in w.file_name
  and w.time < p.time < w.time + 1 hour
output j"""
PARENTS = 'parent_exe = "a.exe" and command_line = "*-x*"'
YESTERDAY = "now - 30 days <= time < now - 1 day"


def new(**changed: str) -> str:
    plain = {"old": "cmd.exe", "new": "cmd.exe", "before": YESTERDAY}
    return NEW.format(**{**plain, "today": "time >= now - 1 day", **changed})


TOGETHER = [
    (
        JOINED.format(b=PARENTS, c="dest_port = 445"),
        JOINED.format(b=PARENTS, c="dest_port = 446"),
        V.OVERLAPS,
    ),
    (
        GROUPED.format(counted="distinct_count", asked='user != "*$"'),
        GROUPED.format(counted="count", asked='user != "*$"'),
        V.COVERED,
    ),
    (
        GROUPED.format(counted="count", asked='user != "*$"'),
        GROUPED.format(counted="count", asked='user != "*$x"'),
        V.OVERLAPS,
    ),
    (new(), new(old="CMD.EXE"), V.SAME),
    (new(), new(old="*cmd.exe"), V.COVERS),
    (new(), new(today="time < now - 1 day"), V.DISJOINT),
    (WRITTEN.format(port=445), WRITTEN.format(port=445), V.SAME),
    (WRITTEN.format(port=445), WRITTEN.format(port="445 or w.dest_port = 139"), V.COVERED),
]


@pytest.mark.parametrize(("one", "other", "verdict"), TOGETHER)
def test_what_rules_find_together(one: str, other: str, verdict: Verdict) -> None:
    first, second = carengine.parse_rule(one), carengine.parse_rule(other)
    relation = compare_rules(first, second, 1_000_000)
    assert relation.verdict is verdict
    replay(relation, first, second)


SOURCE = """title: t
id: 11111111-1111-4111-8111-111111111111
logsource:
    product: windows
    service: security
detection:
    selection:
        {test}
    condition: selection
"""


@pytest.mark.parametrize(
    ("one", "other", "verdict"),
    [
        ("EventID: 4625", "EventID: '4625'", Verdict.SAME),
        ("EventID: 4625", "EventID: '4626'", Verdict.DISJOINT),
        ("Status|re: '(foo|bar)'", "Status|contains|cased: [bar, foo]", Verdict.SAME),
        ("Status|re: 'a.*b'", "Status|contains: 'a*b'", Verdict.COVERED),
        ("Status|re: '(?i)a|b'", "Status|contains: [A, B]", Verdict.SAME),
        ("Status|re: '[a-z]x'", "Status|re: '[a-zA-Z]x'", Verdict.COVERED),
    ],
)
def test_numbers_as_texts_and_tests_that_heed_case(one: str, other: str, verdict: Verdict) -> None:
    pair = [subjects_of_text(SOURCE.format(test=test), "sigma")[0][0] for test in (one, other)]
    relation = compare_subjects(pair[0], pair[1])
    assert relation.verdict is verdict, relation


@pytest.mark.parametrize(
    ("name", "value", "whole"),
    [
        ("ParentImage", "C:\\Users\\Public\\", "C:\\Users\\Public\\example.exe"),
        ("TargetFilename", "C:\\PerfLogs\\", "C:\\PerfLogs\\example.txt"),
        ("Image", "\\cmd.exe", "C:\\Windows\\System32\\cmd.exe"),
    ],
)
def test_a_witness_has_a_whole_path(name: str, value: str, whole: str) -> None:
    assert natural({name: value}, lambda event: value in event[name]) == {name: whole}


@pytest.mark.parametrize(
    ("first", "second", "verdict"),
    [
        ("Duration|gt: 4", "Duration|gte: 5", "covers"),
        ("Duration|lt: 4", "Duration|lte: 3", "covers"),
        ("Duration|gt: 4", "Duration|gt: 4.5", "covers"),
        ("Duration|gt: 4", "Duration|gt: 4.0", "same"),
        ("Duration|gte: 4", "Duration|gt: 4", "covers"),
    ],
)
def test_numbers_of_a_log_may_have_fractions(
    first: str, second: str, verdict: str, tmp_path: Path
) -> None:
    found = compare_rules(sigma(tmp_path / "a", first), sigma(tmp_path / "b", second))
    assert found.verdict.value == verdict


def test_numbers_that_the_data_model_calls_whole_have_none() -> None:
    made = [
        carengine.parse_rule(f"a = search Process:Create where pid {text} output a")
        for text in ("> 4", ">= 5")
    ]
    found = compare_rules(made[0], made[1])
    assert found.verdict is Verdict.SAME
    assert any("no fraction" in text for text in found.assumptions)


@pytest.mark.parametrize(
    ("language", "first", "second", "verdict"),
    [
        ("kusto", "Net | where Port == 80", "Proc | where Port == 80", "undecided"),
        ("kusto", "Net | where Port == 80", "net | where Port == 80", "same"),
        ("kusto", "Net | where Port == 80", "Port == 80", "same"),
        ("esql", "from logs-a* | where port == 80", "from logs-b* | where port == 80", "undecided"),
        ("esql", "from * metadata _id | where port == 80", "from * | where port == 80", "same"),
        ("splunk", "index=a dest_port=80", "index=b dest_port=80", "undecided"),
        ("splunk", "index=a dest_port=80", "index=A dest_port=80", "same"),
    ],
)
def test_queries_that_look_in_different_places(
    language: str, first: str, second: str, verdict: str
) -> None:
    [[one], [other]] = (subjects_of_text(text, language)[0] for text in (first, second))
    assert compare_subjects(one, other).verdict.value == verdict


def test_elastic_rules_of_different_indices(tmp_path: Path) -> None:
    text = (
        '[rule]\nrule_id = "4d1ab5ce-7a67-4c0c-8a3c-1f1c9ad2a001"\nname = "n"\ntype = "query"\n'
        'language = "kuery"\nindex = ["logs-{}*"]\nquery = "process.name: a.exe"\n'
    )
    made = []
    for name in ("aws", "azure"):
        (tmp_path / f"{name}.toml").write_text(text.format(name))
        made.append(carengine.load_rules(tmp_path / f"{name}.toml"))
    [relation] = [compare_rules(made[0][0], made[1][0])]
    assert relation.verdict is Verdict.UNDECIDED
    assert relation.reasons == ("they look in different places: logs-aws*, and logs-azure*",)
    [change] = rule_changes(made[0], made[1])
    assert change.change.value == "undecided"
    [same] = rule_changes(made[0], made[0])
    assert same.change.value == "unchanged"
