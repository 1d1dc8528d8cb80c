"""Rules of different logs and languages, compared under names that both can have."""

from __future__ import annotations

import pytest

from carengine import ir
from carengine.engine import Engine
from carengine.verify import (
    RuleRelation,
    Verdict,
    compare_subjects,
    matching_event,
    subjects_of_text,
)
from carengine.verify.common_names import Subject

V = Verdict
CMD = r"Image|endswith: '\cmd.exe', CommandLine|contains: ' /c '"
OLD_CMD = r"EventID: 4688, NewProcessName|endswith: '\cmd.exe', CommandLine|contains: ' /c '"
PIPE = r"PipeName|startswith: '\postex'"
DNS = "QueryName|endswith: '.evil.com'"


def sigma(source: str, detection: str) -> str:
    kind = "category" if "_" in source else "service"
    return (
        "title: t\nid: 5013198a-12fb-4ecd-9bc8-000000000001\n"
        f"logsource: {{product: windows, {kind}: {source}}}\n"
        f"detection:\n  s: {{{detection}}}\n  condition: s\n"
    )


def toml(query: str, language: str = "eql") -> str:
    kind = "eql" if language == "eql" else "query"
    return (
        f'[rule]\nrule_id = "r"\nname = "r"\ntype = "{kind}"\nlanguage = "{language}"\n'
        f"query = '''{query}'''\n"
    )


def subject(text: str, language: str) -> Subject:
    [one], _ = subjects_of_text(text, language)
    return one


def relation(one: tuple[str, str], other: tuple[str, str]) -> RuleRelation:
    made = compare_subjects(subject(*one), subject(*other))
    back = compare_subjects(subject(*other), subject(*one))
    assert back.verdict is made.mirrored.verdict
    return made


def s(source: str, detection: str) -> tuple[str, str]:
    return sigma(source, detection), "sigma"


def car(search: str) -> tuple[str, str]:
    return f"a = search {search} output a", "car"


def elastic(query: str, language: str = "eql") -> tuple[str, str]:
    return toml(query, language), "elastic"


SOURCES = [
    # A category, and the service and event by which it is served.
    (s("dns_query", DNS), s("sysmon", f"EventID: 22, {DNS}"), V.SAME),
    (s("pipe_created", PIPE), s("sysmon", f"EventID: [17, 18], {PIPE}"), V.SAME),
    (s("pipe_created", PIPE), s("sysmon", f"EventID: 17, {PIPE}"), V.COVERS),
    (s("process_creation", CMD), s("security", OLD_CMD), V.COVERS),
    (s("process_creation", CMD), s("sysmon", f"EventID: 1, {CMD}"), V.COVERS),
    (s("sysmon", f"EventID: 1, {CMD}"), s("security", OLD_CMD), V.DISJOINT),
    # Of two conditions one asks for less.
    (s("dns_query", DNS), s("sysmon", "EventID: 22, QueryName|contains: evil"), V.COVERED),
    (s("image_load", r"ImageLoaded|endswith: '\a.dll'"), s("dns_query", DNS), V.DISJOINT),
    (s("file_event", "TargetFilename|endswith: .dmp"), s("sysmon", "EventID: 12"), V.DISJOINT),
    (
        s("ps_script", "ScriptBlockText|contains: x"),
        s("powershell", "ScriptBlockText: x"),
        V.OVERLAPS,
    ),
    (s("ps_script", "ScriptBlockText: x"), s("powershell", "ScriptBlockText: x"), V.COVERED),
]


@pytest.mark.parametrize(("one", "other", "verdict"), SOURCES)
def test_log_sources_of_windows(
    one: tuple[str, str], other: tuple[str, str], verdict: Verdict
) -> None:
    made = relation(one, other)
    assert made.verdict is verdict
    assert made.assumptions
    rules = {"a": subject(*one).rule, "b": subject(*other).rule}
    for witness in made.witnesses:
        found = {
            name
            for name, rule in rules.items()
            if list(Engine([rule], fieldmap=witness.fieldmap).run(witness.events))
        }
        assert found == ({witness.finder} if witness.finder != "both" else {"a", "b"})


LANGUAGES = [
    (car("windows/dns_query where QueryName = '*.evil.com'"), s("dns_query", DNS), V.SAME),
    (car(r"windows/pipe_created where PipeName = '\postex*'"), s("pipe_created", PIPE), V.SAME),
    (s("dns_query", DNS), elastic('dns where dns.question.name : "*.evil.com"'), V.SAME),
    (s("dns_query", DNS), elastic('network where dns.question.name : "*.evil.com"'), V.SAME),
    (s("dns_query", DNS), ('dns where query_name == "*.evil.com"', "eql"), V.SAME),
    (s("dns_query", DNS), ('EventCode=22 QueryName="*.evil.com"', "splunk"), V.SAME),
    (s("dns_query", DNS), ('QueryName="*.evil.com"', "splunk"), V.COVERED),
    (s("dns_query", DNS), ('QueryName endswith ".evil.com"', "kusto"), V.SAME),
    (s("dns_query", DNS), ("QueryName:*.evil.com", "lucene"), V.COVERS),
    (s("dns_query", DNS), ('from * | where ends_with(QueryName, ".evil.com")', "esql"), V.COVERS),
    (s("pipe_created", PIPE), ('EventCode IN (17,18) PipeName="\\\\postex*"', "splunk"), V.SAME),
    (s("pipe_created", PIPE), ('EventCode=17 PipeName="\\\\postex*"', "splunk"), V.COVERS),
    (s("pipe_created", PIPE), ('PipeName startswith "\\\\postex"', "kusto"), V.SAME),
    (
        s("process_creation", CMD),
        elastic(
            r'process where host.os.type == "windows" and event.type == "start" and '
            r'process.executable : "*\\cmd.exe" and process.command_line : "* /c *"'
        ),
        V.SAME,
    ),
    (
        car(r"Process:Create where exe = 'cmd.exe' and command_line = '* /c *'"),
        elastic(
            'process where event.type == "start" and process.name : "cmd.exe" and '
            'process.command_line : "* /c *"'
        ),
        V.SAME,
    ),
    (
        car("Process:Create where exe = 'cmd.exe'"),
        elastic('process where event.type == "start" and process.name : "cmd.exe*"'),
        V.COVERED,
    ),
    (
        s("file_event", "TargetFilename|endswith: .dmp"),
        ('file where event.type == "creation" and file.path : "*.dmp"', "eql"),
        V.SAME,
    ),
    (
        car("Module:Load where module_path = '*\\evil.dll'"),
        elastic(r'library where dll.path : "*\\evil.dll"'),
        V.SAME,
    ),
    (
        s("process_creation", CMD),
        (r'Image endswith "\\cmd.exe" and CommandLine contains " /c "', "kusto"),
        V.SAME,
    ),
]


@pytest.mark.parametrize(("one", "other", "verdict"), LANGUAGES)
def test_languages(one: tuple[str, str], other: tuple[str, str], verdict: Verdict) -> None:
    made = relation(one, other)
    assert made.verdict is verdict
    assert made.assumptions


UNDECIDED = [
    # The query reads what is no name of the rule's log, and may be another one's.
    (s("dns_query", DNS), ('Domain endswith ".evil.com"', "kusto")),
    # CAR has no name for the action, and so cannot tell whether it makes a difference.
    (
        car("Process:Create where exe = 'cmd.exe'"),
        elastic(
            'process where event.type == "start" and process.name : "cmd.exe" and '
            'process.args == "x"'
        ),
    ),
    # A message of the network may be the query that the machine saw.
    (s("dns_query", DNS), car("Flow:Message where proto_info.query = '*.evil.com'")),
    # `Logon_Type` is no name that CAR knows, and may be what it calls otherwise.
    (s("security", "EventID: 4624, LogonType: 10"), ("EventCode=4624 Logon_Type=10", "splunk")),
    (car("Authentication where login_type = 10"), ("EventCode=4624 Logon_Type=10", "splunk")),
    # CAR has no name for what Sysmon says of the signature.
    (
        s("image_load", "Signed: 'false'"),
        ("library where dll.code_signature.trusted == false", "eql"),
    ),
    # Windows' logs are not those of a host with Linux.
    (
        s("process_creation", CMD),
        elastic('process where host.os.type == "linux" and process.name : "cmd.exe"'),
    ),
    # A folder alone is not the path.
    (
        car(r"Process:Create where image_path = '*\cmd.exe'"),
        (r'DeviceProcessEvents | where FolderPath endswith "\\cmd.exe"', "kusto"),
    ),
]


@pytest.mark.parametrize(("one", "other"), UNDECIDED)
def test_what_stays_open(one: tuple[str, str], other: tuple[str, str]) -> None:
    made = relation(one, other)
    assert made.verdict is V.UNDECIDED
    assert made.reasons


def test_the_operating_system_is_taken_for_granted_only_where_it_is_demanded() -> None:
    rule = subject(*car("Process:Create where exe = 'a'"))
    demanded = elastic(
        'process where event.type == "start" and host.os.type == "linux" and process.name : "a"'
    )
    made = compare_subjects(rule, subject(*demanded))
    assert made.verdict is V.SAME
    assert any("linux" in text for text in made.assumptions)
    either = elastic(
        'process where event.type == "start" and process.name : "a" and '
        '(host.os.type == "linux" or process.name : "b")'
    )
    assert compare_subjects(rule, subject(*either)).verdict is V.UNDECIDED


def test_a_rule_about_all_of_windows_is_about_all_channels() -> None:
    rule = sigma("security", "EventID: 4625")
    every = rule.replace(", service: security", "")
    assert every != rule
    assert relation((every, "sigma"), (rule, "sigma")).verdict is V.COVERS


def test_events_of_one_product_are_not_apart_from_those_under_ecs() -> None:
    one = subject(*s("process_creation", CMD))
    other = subject(*elastic('process where process.name : "cmd.exe"'))
    assert compare_subjects(one, other).verdict is not V.DISJOINT


QUERIES = [
    # A backslash in a pattern of ES|QL has to be one for the pattern, too.
    (r'from * | where a like "*\\\\Temp\\*"', "esql", r"*\Temp[*]"),
    (r'from * | where a like """*\\Temp\*"""', "esql", r"*\Temp[*]"),
    (r"""a endswith @'C:\b "c"'""", "kusto", r'*C:\b "c"'),
    (r'a endswith @"C:\b ""c"""', "kusto", r'*C:\b "c"'),
    (r"a endswith 'C:\\b'", "kusto", r"*C:\b"),
]


@pytest.mark.parametrize(("text", "language", "pattern"), QUERIES)
def test_texts_of_queries(text: str, language: str, pattern: str) -> None:
    plan = subject(text, language).rule.program.outputs[0].plan
    assert isinstance(plan, ir.Filter)
    [test] = [atom for atom in ir.atoms(plan.condition) if isinstance(atom, ir.Match)]
    assert [one.text for one in test.patterns] == [pattern]


def test_a_query_that_elasticsearch_refuses_is_not_read() -> None:
    """``Invalid pattern for LIKE: escape character is not followed by special wildcard char``"""
    for text in (r"*\\Temp*", r"a\\", r"*\\\\\\x"):
        found, said = subjects_of_text(f'from * | where a like "{text}"', "esql")
        assert not found
        assert "before anything but" in said[0].message


def test_a_network_in_lucene_is_one_of_addresses() -> None:
    rule = s("network_connection", "DestinationIp|cidr: 10.0.0.0/8")
    made = relation(rule, (r"DestinationIp:10.0.0.0\/8", "lucene"))
    assert made.verdict is V.SAME
    assert any("indexed as an address" in text for text in made.assumptions)
    assert relation(rule, (r"DestinationIp:10.0.0.0\/16", "lucene")).verdict is V.COVERS


LUCENE = [
    # `(?` opens a group that begins with a question mark.
    (r"CommandLine|re: '.*(?:a|b).*'", "CommandLine:/.*(?:a|b).*/", V.COVERS),
    (r"CommandLine|re: '^(a|b)$'", "CommandLine:/(a|b)/", V.SAME),
    # A quote opens a text, and what takes little is repeated once more.
    (r"""CommandLine|re: '^a"b"$'""", 'CommandLine:/a"b"/', None),
    (r"CommandLine|re: '^a.+?b$'", "CommandLine:/a.+?b/", None),
    (r"CommandLine|re: '^a\bb$'", r"CommandLine:/a\bb/", None),
]


@pytest.mark.parametrize(("detection", "query", "verdict"), LUCENE)
def test_expressions_of_lucene(detection: str, query: str, verdict: Verdict | None) -> None:
    found, _ = subjects_of_text(query, "lucene")
    if verdict is None:
        assert not found
        return
    assert relation(s("process_creation", detection), (query, "lucene")).verdict is verdict


def test_a_blank_that_lucene_does_not_know_belongs_to_a_term() -> None:
    plan = subject("a:(*\u2003* OR *\u00a0x*)", "lucene").rule.program.outputs[0].plan
    assert isinstance(plan, ir.Filter)
    tests = [atom for atom in ir.atoms(plan.condition) if isinstance(atom, ir.Match)]
    assert [t.patterns[0].text for t in tests] == ["*\u2003*", "*\u00a0x*"]


def test_an_escape_that_esql_does_not_know_is_refused() -> None:
    for text in (r'a like "x\*"', r'a == "\w"', r'a in ("b", "\*")'):
        assert not subjects_of_text(f"from * | where {text}", "esql")[0]


NATURAL = [
    (
        "CommandLine|contains|all: [' --adcs ', ' --port ']",
        "CommandLine",
        "example.exe --adcs --port ",
    ),
    (
        "ScriptBlockText|contains|all: ['Get-AdGroup ', '-Filter']",
        "ScriptBlockText",
        "Get-AdGroup -Filter",
    ),
    (r"Image|contains: ':\Perflogs\'", "Image", r"C:\Perflogs\example.exe"),
    (
        r"TargetFilename|contains|all: ['\AppData\Roaming\x\java', '.exe']",
        "TargetFilename",
        r"C:\Users\alice\AppData\Roaming\x\java.exe",
    ),
    (
        r"ImagePath|contains|all: ['\rutserv.exe', '-service']",
        "ImagePath",
        r"C:\Windows\System32\rutserv.exe -service",
    ),
]


@pytest.mark.parametrize(("detection", "name", "value"), NATURAL)
def test_a_witness_is_spelt_as_one_writes_it(detection: str, name: str, value: str) -> None:
    source = "process_creation" if name in ("CommandLine", "Image") else "file_event"
    source = "ps_script" if name == "ScriptBlockText" else source
    source = "system" if name == "ImagePath" else source
    found = matching_event(subject(*s(source, detection)).rule)
    assert found is not None
    assert found.events[0][name] == value


KUSTO = [
    ('A !contains "x"', 'not(A contains "x")', V.SAME),
    ('A !in~ ("a", "b")', 'A !~ "a" and A !~ "b"', V.SAME),
    ('A !endswith "x" and B == "y"', 'B == "y"', V.COVERED),
    ('A has "cmd.exe"', 'A contains "cmd.exe"', V.COVERED),
    ('A has "cmd"', 'A has_cs "cmd"', V.COVERS),
    ('A has_any ("a", "b")', 'A has "b" or A has "a"', V.SAME),
    ('A has_all ("a", "b")', 'A has "b" and A has "a"', V.SAME),
    ('A has_all ("a", "b")', 'A has "a"', V.COVERED),
    ('A !has "a"', 'A !contains "a"', V.COVERS),
]


@pytest.mark.parametrize(("one", "other", "verdict"), KUSTO)
def test_terms_and_negations_of_kusto(one: str, other: str, verdict: Verdict) -> None:
    assert relation((one, "kusto"), (other, "kusto")).verdict is verdict
