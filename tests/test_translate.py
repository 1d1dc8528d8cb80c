"""Translations as texts: golden files, what is refused and why, and the formulas that most targets
start from.

What the queries find is tested in `test_translations_run`.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

import carengine
from carengine import ir
from carengine.cli import main
from carengine.diagnostics import CarError, Severity
from carengine.evaluate import NoContext, RawRow, holds
from carengine.languages import two_valued as formula
from carengine.languages.lowered import settle_value
from carengine.languages.translation import Findings, Untranslatable
from carengine.languages.two_valued import AnyOf, IsPresent, Negated, all_of, holds_for, negation_of
from carengine.languages.two_valued.rewriter import TwoValuedRewriter
from carengine.languages.writing import TARGETS, translate
from carengine.pattern import Pattern
from carengine.regex import NotPortable, network_to_regex, portable_regex
from running import SYSMON_FIELDS
from sigma_rules import load, with_detection
from strategies import some as examples

GOLDEN = Path(__file__).parent / "golden" / "translate"
RULES = carengine.load_rules(carengine.shipped_rules())
# What rules are made of, each at least once: base names, paths, lists, regexes, negations, null,
# hashes, registry, networks, several kinds and outputs, assignments, joins, groups, baselines,
# differences.
CHOSEN = [
    "CAR-2013-02-003",
    "CAR-2013-03-001",
    "CAR-2013-04-002",
    "CAR-2013-05-009",
    "CAR-2013-07-001",
    "CAR-2013-09-005",
    "CAR-2014-03-005",
    "CAR-2014-07-001",
    "CAR-2014-11-003",
    "CAR-2019-04-002",
    "CAR-2019-04-004",
    "CAR-2019-08-001",
    "CAR-2020-05-003",
    "CAR-2020-11-010",
    "CAR-2020-11-011",
    "CAR-2021-04-001",
]


def told(rule: str, target: str) -> str:
    """A rule's translation with its notes, or why there is none."""
    found = RULES.get(rule)
    assert found is not None
    try:
        made = translate(
            found, target, "sysmon.flat", present=[*SYSMON_FIELDS, "@timestamp"], recognise=False
        )
    except CarError as error:
        errors = [d for d in error.diagnostics if d.severity is Severity.ERROR]
        return "".join(f"{d.code.id}: {d.message}\n" for d in errors)
    notes = dict.fromkeys(f"{note.code.id}: {note.message}" for note in made.notes)
    return made.text + "".join(f"\n{note}" for note in notes) + "\n"


@pytest.mark.parametrize(
    "target", ["splunk", "eql", "elastic-eql", "esql", "kusto", "sigma", "duckdb", "postgres"]
)
def test_golden(target: str) -> None:
    for rule in CHOSEN:
        path = GOLDEN / target / f"{rule}.out"
        made = told(rule, target)
        if os.environ.get("CARENGINE_GOLDEN"):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(made, encoding="utf-8")
        assert path.read_text(encoding="utf-8") == made, f"{path} (CARENGINE_GOLDEN=1 writes it)"


@pytest.mark.parametrize(
    "target", sorted(name for name, t in TARGETS.items() if t.module.startswith("sql."))
)
def test_every_dialect_parses_what_is_written_for_it(target: str) -> None:
    """SQLGlot reads each query in its product's grammar before it lays it out."""
    made = [told(rule, target) for rule in CHOSEN]
    expressed = [text for text in made if not text.startswith("CE9")]
    assert len(expressed) >= len(CHOSEN) - 5


def test_sigma_rules_are_yaml_with_what_sigma_wants() -> None:
    rule = RULES.get("CAR-2019-04-002")
    assert rule is not None
    documents = list(yaml.safe_load_all(translate(rule, "sigma", "sysmon.flat").text))
    assert len(documents) == len(rule.program.outputs)
    for document in documents:
        assert document["logsource"] == {"product": "windows", "service": "sysmon"}
        assert "condition" in document["detection"]


def test_names_and_fields() -> None:
    rule = carengine.parse_rule(
        'a = search File:Create b = filter a where extension = ".bat" output b'
    )
    made = carengine.translate(
        rule, target="duckdb", fieldmap="car", present=["object", "action", "extension"]
    )
    assert made.fields == ("action", "extension", "object")
    assert [query.output for query in made.queries] == ["b"]
    assert carengine.Translation is type(made)


@pytest.mark.parametrize(
    ("target", "code"),
    [("nope", "CE903"), ("duckdb/x", "CE903"), ("sigma/", "CE903"), ("splnk", "CE903")],
)
def test_unknown_targets(target: str, code: str) -> None:
    with pytest.raises(CarError) as caught:
        translate(next(iter(RULES)), target, "car")
    assert caught.value.diagnostics[0].code.id == code


@pytest.mark.parametrize(
    ("text", "target", "said"),
    [
        ("a = search Process:Create b = group a by exe output b", "eql", "a group of events"),
        (
            "a = search Process:Create b = group a by exe output b",
            "sigma",
            "more than single events",
        ),
        (
            'a = search Process:Create b = filter a where "x" in raw event output b',
            "eql",
            "raw event",
        ),
        (
            "a = search Process:Create b = filter a where exe in command_line output b",
            "eql",
            "basename",
        ),
        (
            "a = search Process:Create b = filter a where pid = 9007199254740993 output b",
            "duckdb",
            "9007199254740993",
        ),
        (
            "a = search Flow:Message b = filter a where dest_port = 1 output b",
            "duckdb",
            "no flow/message",
        ),
    ],
)
def test_refused_by_name(text: str, target: str, said: str) -> None:
    with pytest.raises(CarError) as caught:
        translate(carengine.parse_rule(text), target, "sysmon.flat")
    [error] = [d for d in caught.value.diagnostics if d.severity is Severity.ERROR]
    assert error.code.id in ("CE901", "CE904")
    assert said in error.message
    assert error.span is not None


def test_all_that_is_wrong_is_told_at_once() -> None:
    text = "a = search Process:Create b = group a by exe c = group a by pid output b, c"
    with pytest.raises(CarError) as caught:
        translate(carengine.parse_rule(text), "eql", "sysmon.flat")
    assert sum(d.code.id == "CE901" for d in caught.value.diagnostics) == 2


# TwoValuedRewriter

A, B = (ir.Raw((name,), ("-", "")) for name in "ab")


def call(function: str, *arguments: ir.Value) -> ir.Call:
    return ir.Call(function, arguments)


VALUES = (
    A,
    B,
    *(call(n, A) for n in ("basename", "dirname", "extension", "domain_of", "user_of", "label")),
    *(call(n, A) for n in ("qualified", "unescape", "lower", "hive")),
    call("hash", A, ir.Constant("MD5")),
    call("labelled", A, ir.Constant("EventType")),
    call("account", B, A),
    call("first", A, B),
    call("choose", A, ir.Constant("a.exe"), ir.Constant("x"), ir.Constant("445"), B, A),
    call("basename", call("unescape", A)),
    call("basename", call("first", A, B)),
)
TEXTS = st.one_of(
    st.sampled_from(
        [
            *(
                "",
                "-",
                "a.exe",
                "C:\\x\\a.exe",
                "/b/a.exe",
                "\\a.exe",
                "a.exe\\",
                "D\\u",
                "D\\u\\v",
            ),
            *("MD5=ab", "SHA1=1, md5 = AB ,X=2", "MD5=", "WS.corp", "10.0.0.1", "a:b", "HKLM\\x"),
            *(
                "\\REGISTRY\\machine\\y",
                "EventType: CreateKey\r\nx",
                "x\n EventType:a.exe",
                "a\\\\b",
            ),
            *("a\\\\\\\\b\\\\c", "a\\b", ".bat", "x.bat", "x.b.bat", "x.b/y"),
        ]
    ),
    st.text("a.\\/:,=\n 0MD5-bexkKs", max_size=8),
)
EVENTS = st.fixed_dictionaries({}, optional={"a": TEXTS | st.none(), "b": TEXTS | st.none()})
PATTERNS = st.one_of(
    st.sampled_from(
        [
            *(
                "a.exe",
                "*.exe",
                "a*",
                "*",
                "",
                "?",
                "*a*",
                ".bat",
                ".*",
                "*.*",
                "?b",
                "ab",
                "u",
                "D",
            ),
            *(
                "HKEY_LOCAL_MACHINE",
                "HKEY*",
                "CreateKey",
                "D\\u",
                "*u",
                "a\\b",
                "*\\b",
                "\\*",
                "*b\\*",
            ),
        ]
    ),
    st.text("a.\\/*?bexMD5", max_size=5),
)


@examples(400)
@given(
    st.sampled_from(VALUES),
    st.lists(PATTERNS, min_size=1, max_size=2),
    st.lists(EVENTS, min_size=3, max_size=6),
)
def test_a_formula_holds_where_the_condition_is_true(
    value: ir.Value, patterns: list[str], events: list[dict[str, str | None]]
) -> None:
    formulas = TwoValuedRewriter(Findings("rule", "target"), presence=True)
    for condition in (
        ir.Match(value, tuple(map(Pattern, patterns))),
        ir.IsNull(value),
        ir.IsNull(ir.presence_of(value)),
    ):
        try:
            true, false = formulas.true_of(condition), formulas.false_of(condition)
        except Untranslatable:
            return
        for event in events:
            verdict = holds(condition, RawRow(event), NoContext())
            assert holds_for(true, event) == (verdict is True)
            assert holds_for(false, event) == (verdict is False)


def test_a_language_that_does_not_tell_null_from_nothing_says_so() -> None:
    findings = Findings("rule", "target")
    there = ir.IsNull(ir.presence_of(A))
    assert TwoValuedRewriter(findings).false_of(there) == IsPresent(ir.Raw(("a",)))
    [note] = findings.all
    assert note.code.id == "CE902"
    assert "null" in note.message
    [rule] = load(with_detection("s: {CommandLine|exists: true}\ncondition: s"))
    for target in ("splunk", "eql", "duckdb"):
        assert any("with null" in n.message for n in translate(rule, target, "windows.flat").notes)
    made = translate(rule, "sigma", "windows.flat")
    assert "CommandLine|exists: true" in made.text
    assert not any("with null" in note.message for note in made.notes)


def test_formulas_are_put_together() -> None:
    one, other = (formula.AtomHolds(ir.Match(A, (Pattern(text),))) for text in ("x", "y"))
    both = formula.AtomHolds(ir.Match(A, (Pattern("x"), Pattern("y"))))
    assert negation_of(all_of((one, IsPresent(B)))) == AnyOf((Negated(one), Negated(IsPresent(B))))
    assert all_of((Negated(one), Negated(other))) == Negated(both)


def test_what_the_data_has_not_is_worked_out() -> None:
    def leaf(value: ir.Value) -> ir.Value:
        return ir.Constant(None) if value == A else value

    assert settle_value(call("first", A, B), leaf) == B
    assert settle_value(call("basename", A), leaf) == ir.Constant(None)


# Regular expressions


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("(?i)a", "group"),
        (r"\pL", "escape"),
        ("[[:alpha:]]", "named class"),
        ("[a", "without an end"),
    ],
)
def test_not_portable(pattern: str, said: str) -> None:
    with pytest.raises(NotPortable, match=said):
        portable_regex(pattern)


def test_portable() -> None:
    assert portable_regex(r"a.b$", end=r"\Z") == r"a[^\n]b\Z"
    assert portable_regex(r"x{2,3}?y{", lazy=False) == r"x{2,3}y\{"
    assert portable_regex(r"[\d\]]") == r"[0-9\]]"


@examples(60)
@given(st.ip_addresses(v=4), st.integers(0, 32), st.ip_addresses(v=4))
def test_networks_as_expressions(base: object, prefix: int, other: object) -> None:
    import ipaddress

    import re2

    net = ipaddress.ip_network(f"{base}/{prefix}", strict=False)
    found = network_to_regex(str(net))
    assert found is not None
    body, exact = found
    assert exact
    compiled = re2.compile(f"^(?:{body})$")
    for address in (base, other, net[0], net[-1]):
        inside = ipaddress.ip_address(str(address)) in net
        assert (compiled.match(str(address)) is not None) == inside


# The command


def test_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        main(["translate", "-t", "eql", "-m", "sysmon.flat", "CAR-2019-08-001", "--any-shape"]) == 0
    )
    shown = capsys.readouterr()
    assert shown.out.startswith("// lsass_dump\nany where ")
    assert "1 of 1 rules translated" in shown.err


def test_the_command_counts_and_names_what_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    chosen = ["CAR-2019-08-001", "CAR-2013-04-002"]
    assert (
        main(["translate", "-t", "eql", "-m", "sysmon.flat", "--strict", "-f", "jsonl", *chosen])
        == 1
    )
    shown = capsys.readouterr()
    assert len(shown.out.splitlines()) == 1
    assert "error[CE901]" in shown.err
    assert "1 of 2 rules translated, 1 refused; 1 × operation" in shown.err
    assert main(["translate", "-t", "nope", chosen[0]]) == 2
    assert main(["translate", "-t", "eql", "no-such-rule"]) == 2


SEVERAL = """p = search Process:Create where user != "x"
u = search UserSession:Login
output p, u"""


def test_an_output_that_the_log_has_nothing_of_is_left_out() -> None:
    rule = carengine.parse_rule(SEVERAL)
    found = carengine.translate(rule, "splunk", "sysmon.flat")
    assert [query.output for query in found.queries] == ["p"]
    [left_out] = [note for note in found.notes if note.code.id == "CE907"]
    assert "user_session/login" in left_out.message


@pytest.mark.parametrize(
    "target", ["splunk", "eql", "elastic-eql", "esql", "kusto", "sigma", "duckdb"]
)
def test_nothing_is_left_of_data_without_the_fields(target: str) -> None:
    rule = carengine.parse_rule(
        'p = search Process:Create where current_working_directory = "C:*" output p'
    )
    present = ["Channel", "EventID", "Image"]
    with pytest.raises(carengine.CarError, match=r"CE904.*with just these fields"):
        carengine.translate(rule, target, "sysmon.flat", present=present)
    # What is unknown together with something else is never true either.
    with pytest.raises(carengine.CarError, match=r"CE904.*current_working_directory"):
        carengine.translate(rule, target, "eql")


def test_columns_of_several_kinds_have_one_type() -> None:
    """Two of the three kinds of events have no parent's number."""
    rule = carengine.parse_rule("p = search Process\np.both = pid + ppid\noutput p")
    text = carengine.translate(rule, "postgres", "sysmon.flat").text
    assert 'CAST(NULL AS DOUBLE PRECISION) AS "both"' in text
    assert 'CAST(NULL AS TEXT) AS "both"' not in text


@pytest.mark.parametrize(
    ("fieldmap", "source"),
    [
        ("sysmon.flat", {"product": "windows", "service": "sysmon"}),
        ("eventlog.flat", {"product": "windows"}),
    ],
)
def test_the_log_source_is_one_that_sigma_knows(fieldmap: str, source: dict[str, str]) -> None:
    rule = carengine.parse_rule('p = search Process:Create where exe = "a.exe" output p')
    text = carengine.translate(rule, "sigma", fieldmap).queries[0].text
    assert yaml.safe_load(text)["logsource"] == source


def test_a_vertical_tab_in_a_class() -> None:
    rule = carengine.parse_rule('p = search Process:Create where sha256_hash = "A*" output p')
    assert r"\\x0b" in carengine.translate(rule, "splunk", "sysmon.flat").text


def test_a_field_map_that_has_the_events_is_named() -> None:
    rule = carengine.parse_rule('a = search User_Session:Login where user = "x" output a')
    with pytest.raises(CarError, match=r"sysmon.flat has no user_session/login; the field map \w+"):
        translate(rule, "splunk", "sysmon.flat")


OPEN = 'a = search Process:Create where exe = "a.exe" b = group a by hostname output b'
BOUND = (
    'a = search Process:Create where exe = "a.exe" b = search Process:Create where exe = "b.exe" '
    "j = join a, b where a.hostname = b.hostname and b.time - a.time <= 5 minutes output j"
)


@pytest.mark.parametrize(("text", "open_"), [(OPEN, True), (BOUND, False)])
@pytest.mark.parametrize("target", ["splunk", "duckdb"])
def test_what_a_session_forgets_is_noted(text: str, open_: bool, target: str) -> None:
    made = translate(carengine.parse_rule(text), target, "sysmon.flat")
    assert any("forgets" in note.message for note in made.notes) is open_


def test_searches_of_splunk_read_no_more_than_they_have_to() -> None:
    """By default the shape is what events say themselves; search terms say what `where` needs."""
    rule = RULES.get("CAR-2020-11-011")
    assert rule is not None
    made = translate(rule, "splunk", "sysmon.flat")
    assert "search *" not in made.text
    assert "NOT EventData=*" not in made.text
    assert 'Channel IN ("Microsoft-Windows-Sysmon/Operational"' in made.text
    assert any("--whole-shape" in note.message for note in made.notes)
    whole = translate(rule, "splunk", "sysmon.flat", recognise=True)
    assert "isnull(EventData)" in whole.text
    assert not any("--whole-shape" in note.message for note in whole.notes)
